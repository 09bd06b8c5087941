/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/triangle_host.h -- substitution in a sparse triangle on a core.
 * Lives here: the solution, and whether the matrix is one. Not here: stores, flags' names (csr_triangle.c).
 * Invariant:  a row's products are subtracted in the order of its entries. */
#ifndef RPI_TRIANGLE_HOST_H
#define RPI_TRIANGLE_HOST_H

#include <stdint.h>

/* x of a x = b for the triangle (flags as rp_csr_solve_triangular has them) of n rows with nnz entries. 1: an index is out of
 * range, ptr descends, or an entry of the diagonal is not stored; then x is anything. */
#define RPI_TRIANGLE_SOLVE(dtype, real, index) \
  int rpi_triangle_solve_##dtype(real *x, const index *ptr, const index *col, const real *val, \
                                 const real *b, int64_t n, int64_t nnz, int32_t flags);
RPI_TRIANGLE_SOLVE(f32_i32, float, int32_t)
RPI_TRIANGLE_SOLVE(f32_i64, float, int64_t)
RPI_TRIANGLE_SOLVE(f64_i32, double, int32_t)
RPI_TRIANGLE_SOLVE(f64_i64, double, int64_t)
#undef RPI_TRIANGLE_SOLVE

#endif
