/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/dense_host.h -- products of dense matrices on a core.
 * Lives here: some rows of alpha*a*b + beta*c. Not here: threads, processes (the runtime's).
 * Invariant:  an element is a sum in ascending order of k, whatever rows are asked for. */
#ifndef RPI_DENSE_HOST_H
#define RPI_DENSE_HOST_H

#include "core/include/reprise.h"

/* c (rows x n) = alpha*op(a)*op(b) + beta*c; all are dense, of rows. a begins with the first row of c, or, transposed
 * (k x lda), has it in column `first`. With beta 0 c is not read. */
void rpi_dense_host_f64(double *c, const double *a, const double *b, int64_t rows, int64_t n,
                        int64_t k, int64_t lda, int64_t ldb, int64_t first, int32_t transpose_a,
                        int32_t transpose_b, double alpha, double beta);
void rpi_dense_host_f32(float *c, const float *a, const float *b, int64_t rows, int64_t n,
                        int64_t k, int64_t lda, int64_t ldb, int64_t first, int32_t transpose_a,
                        int32_t transpose_b, double alpha, double beta);

#endif
