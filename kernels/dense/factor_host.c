/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/factor_host.c -- see factor_host.h. */
#include "kernels/dense/factor_host.h"

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
  TILE = 6,    /* rows whose sums are in registers, two vectors of each */
  DEPTH = 128, /* of a strip, which stays in L1 */
  BLOCK = 192, /* rows that meet a strip, and stay in L2 */
  SMALL = 32,  /* unknowns that are found one by one */
  FEW = 8      /* rows that are factored one by one */
};

#define JOIN(name, dtype) name##_##dtype

#define REAL double
#define NAME(name) JOIN(name, f64)
#define MINUS_PRODUCT(x, y, s) _mm256_fnmadd_pd(x, y, s)
#define MINUS_PRODUCT_OF_ONE(x, y, s) fma(-(x), y, s)
#define SPREAD(x) _mm256_set1_pd(x)
#define MAGNITUDE(x) fabs(x)
#define ROOT(x) sqrt(x)
#include "kernels/dense/factor_loops.h"
#undef REAL
#undef NAME
#undef MINUS_PRODUCT
#undef MINUS_PRODUCT_OF_ONE
#undef SPREAD
#undef MAGNITUDE
#undef ROOT

#define REAL float
#define NAME(name) JOIN(name, f32)
#define MINUS_PRODUCT(x, y, s) _mm256_fnmadd_ps(x, y, s)
#define MINUS_PRODUCT_OF_ONE(x, y, s) fmaf(-(x), y, s)
#define SPREAD(x) _mm256_set1_ps(x)
#define MAGNITUDE(x) fabsf(x)
#define ROOT(x) sqrtf(x)
#include "kernels/dense/factor_loops.h"
