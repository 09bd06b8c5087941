/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/triangle_host.c -- see triangle_host.h. */
#include "kernels/sparse/triangle_host.h"

#include <stdbool.h>

#include "core/include/reprise_sparse.h"

#define REAL float
#define INDEX int32_t
#define SOLVE rpi_triangle_solve_f32_i32
#include "kernels/sparse/triangle_loop.h"
#undef INDEX
#undef SOLVE
#define INDEX int64_t
#define SOLVE rpi_triangle_solve_f32_i64
#include "kernels/sparse/triangle_loop.h"
#undef REAL
#undef SOLVE
#define REAL double
#define SOLVE rpi_triangle_solve_f64_i64
#include "kernels/sparse/triangle_loop.h"
#undef INDEX
#undef SOLVE
#define INDEX int32_t
#define SOLVE rpi_triangle_solve_f64_i32
#include "kernels/sparse/triangle_loop.h"
