/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/fourier_host.c -- see fourier_host.h; the loops are included once for each dtype. */
#include "kernels/fourier/fourier_host.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define JOIN(name, dtype) name##_##dtype
#define HALF_ROOT 0.70710678118654752440

#define REAL double
#define LANES 4
#define NAME(name) JOIN(name, f64)
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7)
#include "kernels/fourier/fourier_passes.h"

#include "kernels/fourier/fourier_lines.h"
#undef REAL
#undef LANES
#undef NAME
#undef LOW
#undef HIGH
#undef EVEN
#undef ODD

#define REAL float
#define LANES 8
#define NAME(name) JOIN(name, f32)
#define LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define EVEN(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODD(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#include "kernels/fourier/fourier_passes.h"

#include "kernels/fourier/fourier_lines.h"
#undef REAL
#undef LANES
#undef NAME
#undef LOW
#undef HIGH
#undef EVEN
#undef ODD
