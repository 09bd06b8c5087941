/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/fourier_calls.h -- the C functions of the ops: transforms over up to three axes.
 * Lives here: what the runtime calls with a block of a launch's stores. Not here: the ops (fourier.c), lines
 *             (fourier_host.h).
 * How:        arrays are f64 if `wide`, else f32; n1, n2, n3 are the extents of the axes, 1 for those that there are not,
 *             of the real array where one is. `cache` is an rpi_fourier_cache.
 * Threads:    any. Each returns 0, or 1 if memory lacks. */
#ifndef RPI_FOURIER_CALLS_H
#define RPI_FOURIER_CALLS_H

#include <stdint.h>

/* Dense stores; `size`: numbers of the complex one, y but for to_real. y may be x. */
int rpi_fourier_calls_complex(void *y, const void *x, int64_t size, int64_t cache, int64_t wide,
                              int32_t inverse, int64_t n1, int64_t n2, int64_t n3);
int rpi_fourier_calls_from_real(void *y, const void *x, int64_t size, int64_t cache, int64_t wide,
                                int32_t inverse, int64_t n1, int64_t n2, int64_t n3);
int rpi_fourier_calls_to_real(void *y, const void *x, int64_t size, int64_t cache, int64_t wide,
                              int32_t inverse, int64_t n1, int64_t n2, int64_t n3);

/* Stores of rows, n, inner and 2 elements, that lie anyhow: each of rows*inner lines along n is transformed. */
int rpi_fourier_calls_columns(void *y, const void *x, int64_t rows, int64_t n, int64_t inner,
                              int64_t y_row, int64_t y_element, int64_t y_inner, int64_t y_part,
                              int64_t x_row, int64_t x_element, int64_t x_inner, int64_t x_part,
                              int64_t cache, int64_t wide, int32_t inverse);

#endif
