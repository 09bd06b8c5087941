/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/factor_host.h -- factorisations of dense matrices on a core, and solutions with the factors.
 * Lives here: LU with pivoting, Cholesky, substitution for some right-hand sides. Not here: threads, processes (the
 *             runtime's), who asks (dense_factor.c).
 * How:        matrices of n rows lie by rows. What LAPACK does to a matrix of columns is done to the same memory: LU of the
 *             transposed matrix, so that pivots exchange columns of this one, a = L U P with ones on U's diagonal. A factor
 *             is split into halves until few rows are left (Toledo, "Locality of reference in LU decomposition with partial
 *             pivoting", 1997); nearly all of the work is then products.
 * Invariants: an element is changed by one product at a time, each fused with its subtraction, in ascending order of what
 *             is eliminated; so bits do not depend on blocks. A right-hand side does not depend on its neighbours. */
#ifndef RPI_FACTOR_HOST_H
#define RPI_FACTOR_HOST_H

#include <stdint.h>

/* a becomes L, with its diagonal, and U above it. pivot[k]: the column, from 1, that column k was exchanged with. *info: 0, or the
 * number, from 1, of the first pivot that was 0; the rest is done, too. */
void rpi_factor_lu_f64(double *a, int64_t *pivot, int32_t *info, int64_t n);
void rpi_factor_lu_f32(float *a, int64_t *pivot, int32_t *info, int64_t n);

/* The lower triangle of a, which alone is read, becomes L of a = L L^T; what lies above may be anything then. *info: 0, or the
 * number, from 1, of the first pivot that was not positive, where it ends. */
void rpi_factor_cholesky_f64(double *a, int32_t *info, int64_t n);
void rpi_factor_cholesky_f32(float *a, int32_t *info, int64_t n);

/* Each of `rows` rows of x (n elements) is a right-hand side and becomes the solution. Pivots are in 1..n. */
void rpi_factor_lu_solve_f64(double *x, const double *lu, const int64_t *pivot, int64_t rows,
                             int64_t n);
void rpi_factor_lu_solve_f32(float *x, const float *lu, const int64_t *pivot, int64_t rows,
                             int64_t n);
void rpi_factor_cholesky_solve_f64(double *x, const double *l, int64_t rows, int64_t n);
void rpi_factor_cholesky_solve_f32(float *x, const float *l, int64_t rows, int64_t n);

#endif
