/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/dense_check.h -- what must hold of a matrix before it is launched on: sentences name the function and the
 * argument. Not here: what must hold between matrices (dense.c, dense_factor.c). */
#ifndef RPI_DENSE_CHECK_H
#define RPI_DENSE_CHECK_H

#include "core/include/reprise.h"

/* A store of that dtype, which is f32 or f64; -1: of either. */
rp_status rpi_dense_check_store(const char *function, const char *name, rp_store *x,
                                rp_dtype dtype);
/* And it has two axes. */
rp_status rpi_dense_check_matrix(const char *function, const char *name, rp_store *x,
                                 rp_dtype dtype);
/* And these are equal. */
rp_status rpi_dense_check_square(const char *function, const char *name, rp_store *x,
                                 rp_dtype dtype);

#endif
