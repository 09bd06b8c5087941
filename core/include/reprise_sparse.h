/* SPDX-License-Identifier: Apache-2.0
 * reprise_sparse.h -- sparse matrices in CSR form: making, reading, writing, multiplying, solving with triangles.
 *
 * Lives here: the public interface of kernels/sparse, an ordinary client of reprise.h.
 * Not here:   solvers (reprise_solve.h).
 *
 * A matrix of n rows is three stores: ptr (i64, n + 1 offsets), col (i32, or i64 if there are more than
 * 2^31 - 1 columns) and val (f32 or f64). It is not changed after it is made. Indices count from 0.
 */
#ifndef REPRISE_SPARSE_H
#define REPRISE_SPARSE_H

#include "reprise.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rp_csr rp_csr;

/* ---- making --------------------------------------------------------------------------------------- */

/* From n_entries triplets in any order: val[k] at (row[k], col[k]). Entries of one place are summed in
 * the order given, in f64; then values are rounded to `dtype` (f32 or f64). Columns ascend in each
 * row. An index out of range is RP_ERR_ARGUMENT and names the entry. The arrays are only read. */
RP_API rp_status rp_csr_from_triplets(rp_context *ctx, rp_dtype dtype, int64_t n_rows,
                                      int64_t n_cols, int64_t n_entries, const int64_t *row,
                                      const int64_t *col, const double *val, rp_csr **out);

/* From CSR arrays of the host, which are checked and copied as they are: ptr has n_rows + 1 offsets that
 * start at 0 and do not descend, col and val have ptr[n_rows] elements. Columns of a row may be in
 * any order and repeat (then they add up). */
RP_API rp_status rp_csr_from_arrays(rp_context *ctx, rp_dtype dtype, int64_t n_rows, int64_t n_cols,
                                    const int64_t *ptr, const int64_t *col, const double *val,
                                    rp_csr **out);

/* From stores that exist, of the dtypes above (col: i32 or i64), each of rank 1; the matrix keeps
 * references. What they hold is not looked at: a bad index poisons the results of a product. */
RP_API rp_status rp_csr_from_stores(rp_store *ptr, rp_store *col, rp_store *val, int64_t n_cols,
                                    rp_csr **out);

/* From a Matrix Market file: coordinate or array; real, integer or pattern (values 1); general,
 * symmetric or skew-symmetric (both triangles are stored). Entries that repeat are summed in file
 * order; zeros of an array file are not stored. Complex files (hermitian ones are) are RP_ERR_DTYPE:
 * there are no complex dtypes yet. A malformed file is RP_ERR_IO with the line and what was expected
 * there. With several ranks each reads and holds its part of the file, which all of them see; pipes are for one. */
RP_API rp_status rp_csr_from_matrix_market(rp_context *ctx, rp_dtype dtype, const char *path,
                                           rp_csr **out);

/* The matrix of a stencil on an n-d grid of `shape` in C order: row g has coefficient[k] in the column of
 * grid point g + offset[k], for the n_points offsets (ndim numbers each) that stay inside the grid;
 * beyond it values are taken as 0 (Dirichlet). Offsets must differ. Five-point Poisson on 2-d:
 * offsets {0,0, -1,0, 1,0, 0,-1, 0,1}, coefficients {4, -1, -1, -1, -1}. */
RP_API rp_status rp_csr_from_stencil(rp_context *ctx, rp_dtype dtype, int32_t ndim,
                                     const int64_t *shape, int32_t n_points, const int64_t *offset,
                                     const double *coefficient, rp_csr **out);

/* One more reference / one less. Releasing NULL is allowed. */
RP_API rp_status rp_csr_retain(rp_csr *a);
RP_API rp_status rp_csr_release(rp_csr *a);

/* ---- facts; on NULL: -1, or NULL for pointers -------------------------------------------------------- */

RP_API int64_t rp_csr_rows(const rp_csr *a);
RP_API int64_t rp_csr_cols(const rp_csr *a);
RP_API int64_t rp_csr_nnz(const rp_csr *a);
RP_API rp_dtype rp_csr_dtype(const rp_csr *a);
RP_API rp_context *rp_csr_context(const rp_csr *a);
/* The stores, borrowed. Writing to them changes the matrix: retain them only to read. */
RP_API rp_store *rp_csr_ptr(const rp_csr *a);
RP_API rp_store *rp_csr_col(const rp_csr *a);
RP_API rp_store *rp_csr_val(const rp_csr *a);

/* ---- using -------------------------------------------------------------------------------------------- */

/* y = A x, for rank-1 x of cols and y of rows elements, or matrices of as many rows and equally many columns; one launch. */
RP_API rp_status rp_csr_multiply(rp_csr *a, rp_store *x, rp_store **out);
RP_API rp_status rp_csr_multiply_to(rp_csr *a, rp_store *x, rp_store *y);

enum {
  RP_CSR_UPPER = 1,        /* the upper triangle, not the lower one */
  RP_CSR_UNIT_DIAGONAL = 2 /* with ones on the diagonal, whatever is stored there */
};
/* x of T x = b, for the triangle T of a square matrix that the flags name, its diagonal included: entries on the other side are
 * passed over, so that an incomplete LU may lie in one matrix. b and x are of rank 1, rows elements, of the matrix' dtype;
 * x may be b. Rows are done one after the other, by one thread, on all ranks alike; the products of a row are
 * subtracted in the order of its entries. A diagonal entry that is 0 divides as any 0 does; one that is not stored poisons x, as do
 * indices out of range. One launch, and another at the first call with a matrix.
 * On a GPU it is cuSPARSE's where that is found (libcusparse.so.12, as in reprise_dense.h), with the order of sums that it has,
 * for indices of i32 and but for matrices of rp_csr_from_stores, whose indices nobody has looked at; diagonal entries are stored
 * there. What it analyses at the first call, the values, too, is kept for the next ones. Else the host does it. */
RP_API rp_status rp_csr_solve_triangular(rp_csr *a, rp_store *b, int32_t flags, rp_store **x);
RP_API rp_status rp_csr_solve_triangular_to(rp_csr *a, rp_store *b, int32_t flags, rp_store *x);

/* The diagonal (rank 1, rows elements; 0 where nothing is stored) of a square matrix; one launch. */
RP_API rp_status rp_csr_diagonal(rp_csr *a, rp_store **out);
/* Writes "matrix coordinate real general" with as many digits as the dtype needs to come back equal.
 * Waits for the matrix. With several ranks each writes its rows; the bytes are the same for any number of them. They go
 * to a new file beside `path`, which takes its place when all is written: RP_ERR_IO, on all ranks, and `path` is as it was,
 * if that fails. What is no regular file (a pipe, a device) rank 0 writes in place. RP_ERR_ARGUMENT: the stores, written
 * meanwhile, are no valid matrix. */
RP_API rp_status rp_csr_write_matrix_market(rp_csr *a, const char *path);

#ifdef __cplusplus
}
#endif

#endif
