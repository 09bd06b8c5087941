/* SPDX-License-Identifier: Apache-2.0
 * reprise_dense.h -- dense matrices: products, factorisations, systems of equations.
 *
 * Lives here: the public interface of kernels/dense, an ordinary client of reprise.h.
 * Not here:   sparse matrices (reprise_sparse.h), solvers (reprise_solve.h).
 *
 * A matrix is a store of two axes, f32 or f64; all of a product have one dtype. Views that are not dense are copied first,
 * so transpose factors of a product by flags rather than by views. On a GPU the product is cuBLAS' and the factorisations are
 * cuSOLVER's where these are found (libcublas.so.13 or .12, libcusolver.so.12 or .11: by the loader's path, in $CUDA_HOME or
 * /usr/local/cuda), and else they are computed on the host.
 * On the host an element is a sum in ascending order of k, the same on any number of threads and processes; NVIDIA's
 * libraries have orders of their own.
 */
#ifndef REPRISE_DENSE_H
#define REPRISE_DENSE_H

#include "reprise.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  RP_DENSE_TRANSPOSE_A = 1, /* a is taken transposed, */
  RP_DENSE_TRANSPOSE_B = 2  /* and so is b */
};

/* A new store, a b, for a of m x k and b of k x n elements. One launch. */
RP_API rp_status rp_dense_matmul(rp_store *a, rp_store *b, rp_store **out);

/* c = alpha*a*b + beta*c, one launch. With beta 0 c is not read. c shares no elements with a or b. */
RP_API rp_status rp_dense_gemm(int32_t flags, double alpha, rp_store *a, rp_store *b, double beta,
                               rp_store *c);

/* ---- systems of equations ------------------------------------------------------------------------------
 *
 * A system a x = b has a square matrix a of n rows, and as b a vector of n elements, or a matrix of n rows whose columns are
 * right-hand sides; x has the shape of b (of a matrix it is a view whose columns are dense). All of these have one dtype.
 * Who solves with one matrix several times keeps its factors. Right-hand sides are shared out to threads and processes; a
 * matrix is factored by one thread, on all processes alike.
 *
 * Where a pivot is 0 (LU: the matrix is singular) or is not positive (Cholesky: it is not positive definite) the launch finds
 * that while it runs: pivots, l and x below are poisoned then, so that reading them is RP_ERR_DATA with the name of the
 * launch, dense.lu_pivots or dense.cholesky_lower. A matrix that is nearly singular gives a poor solution and no error.
 * NaN in it gives NaN by LU; to Cholesky it is no positive pivot. */

/* The factors of LU with partial pivoting (Golub and Van Loan, "Matrix Computations", 3.4): new stores, for
 * rp_dense_lu_solve. lu holds what LAPACK's getrf makes of a matrix of columns that lies as `a` does: in terms of a's
 * rows a = L U P, L below and on the diagonal, U above it with ones on its own, and P exchanges columns k and pivots[k] - 1
 * for k = 0, 1, ... (i64, n of them, from 1). Three launches. */
RP_API rp_status rp_dense_lu(rp_store *a, rp_store **lu, rp_store **pivots);
/* The solution for the factored matrix: three launches. Where a pivot is not in 1..n the solution is poisoned. */
RP_API rp_status rp_dense_lu_solve(rp_store *lu, rp_store *pivots, rp_store *b, rp_store **x);

/* The lower triangular l with a = l l^T (4.2 there), of a symmetric positive definite matrix, of which the lower
 * triangle is read. Zeros are above l's diagonal. Three launches. */
RP_API rp_status rp_dense_cholesky(rp_store *a, rp_store **l);
/* The solution for l l^T; what is above l's diagonal is not read. Two launches. */
RP_API rp_status rp_dense_cholesky_solve(rp_store *l, rp_store *b, rp_store **x);

/* A solution by LU, and for a symmetric positive definite matrix by Cholesky, with half the operations. */
RP_API rp_status rp_dense_solve(rp_store *a, rp_store *b, rp_store **x);
RP_API rp_status rp_dense_solve_spd(rp_store *a, rp_store *b, rp_store **x);

#ifdef __cplusplus
}
#endif

#endif
