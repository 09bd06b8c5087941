/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/dense_host.c -- see dense_host.h. */
#include "kernels/dense/dense_host.h"

enum { DEPTH = 64, WIDTH = 128 }; /* of a panel, which stays in L2 */

#define JOIN(name, dtype) name##_##dtype

#define REAL double
#define NAME(name) JOIN(name, f64)
#include "kernels/dense/dense_loops.h"
#undef REAL
#undef NAME

#define REAL float
#define NAME(name) JOIN(name, f32)
#include "kernels/dense/dense_loops.h"
#undef REAL
#undef NAME
