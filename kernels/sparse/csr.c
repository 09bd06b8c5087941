/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/csr.c -- the matrix object: three stores and the ops that read them.
 * Lives here: rp_csr, its making, its product and diagonal.
 * Not here:   assembly (csr_host.c), the stores' contents (csr_stores.c), its rows on the host (csr_rows.c), the file format
 *             (mm_read.c, mm_write.c).
 * Invariants: a handle begins with a magic word, which is cleared when the last reference goes. */
#include <fenv.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/include/reprise_sparse.h"
#include "kernels/failure.h"
#include "kernels/sparse/csr_host.h"
#include "kernels/sparse/csr_rows.h"
#include "kernels/sparse/csr_stores.h"
#include "kernels/sparse/csr_triangle.h"
#include "kernels/sparse/mm_write.h"

static const uint64_t magic = UINT64_C(0x5250435352303031);

struct rp_csr {
  uint64_t magic;
  int64_t refs;
  int64_t number; /* of this matrix alone */
  bool valid;     /* its arrays are known to be a matrix */
  int64_t n_rows, n_cols, nnz;
  rp_context *ctx;
  rp_store *ptr, *col, *val;
  rp_store *narrow_ptr; /* of i32; NULL: nobody has asked */
  rp_op *multiply, *multiply_columns, *diagonal;
};

/* What is computed on the host is rounded to nearest, whatever the caller's mode; fesetenv(before) ends it. */
static void round_to_nearest(fenv_t *before) {
  fegetenv(before);
  fesetenv(FE_DFL_ENV);
}

static bool is_csr(const rp_csr *a) { return a && a->magic == magic; }

rp_status rpi_csr_check(const rp_csr *a, const char *function) {
  if (is_csr(a)) return RP_OK;
  if (!a) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: a is NULL", function);
  return rpi_failure_set(RP_ERR_HANDLE, "%s: a is no matrix, or was released", function);
}

/* ---- making ---------------------------------------------------------------------------------------- */

/* Takes the references to the stores, also on failure. */
static rp_status wrap(rp_context *ctx, int64_t n_rows, int64_t n_cols, const rpi_csr_stores *s,
                      rp_csr **out) {
  rp_library *lib;
  rp_op *multiply = NULL, *multiply_columns = NULL, *diagonal = NULL;
  rp_status status = rp_library_create(ctx, "sparse", &lib);
  if (status == RP_OK) {
    status = rp_op_create(lib, "csr_multiply", "y, ptr, col, val, x",
                          "y[i] = sum(k in ptr[i]..ptr[i+1]) val[k]*x[col[k]]", &multiply);
  }
  if (status == RP_OK) {
    status =
        rp_op_create(lib, "csr_multiply_columns", "y, ptr, col, val, x",
                     "y[i,j] = sum(k in ptr[i]..ptr[i+1]) val[k]*x[col[k],j]", &multiply_columns);
  }
  if (status == RP_OK) {
    status =
        rp_op_create(lib, "csr_diagonal", "d, ptr, col, val",
                     "d[i] = sum(k in ptr[i]..ptr[i+1]) where(col[k] == i, val[k], 0)", &diagonal);
  }
  rp_csr *a = status == RP_OK ? malloc(sizeof *a) : NULL;
  if (status == RP_OK && !a) status = rpi_failure_memory("a sparse matrix");
  if (status != RP_OK) {
    rpi_csr_stores_release(s);
    return status;
  }
  static atomic_llong made;
  *a = (rp_csr){.magic = magic,
                .refs = 1,
                .number = atomic_fetch_add(&made, 1),
                .valid = true,
                .n_rows = n_rows,
                .n_cols = n_cols,
                .nnz = rp_store_size(s->val),
                .ctx = ctx,
                .ptr = s->ptr,
                .col = s->col,
                .val = s->val,
                .multiply = multiply,
                .multiply_columns = multiply_columns,
                .diagonal = diagonal};
  *out = a;
  return RP_OK;
}

static rp_status from_host(rp_context *ctx, rp_dtype dtype, int64_t n_rows, int64_t n_cols,
                           int64_t nnz, rpi_csr_arrays from, rp_csr **out) {
  rpi_csr_stores s;
  const rp_status status = rpi_csr_stores_supply(ctx, dtype, n_rows, n_cols, nnz, &from, &s);
  return status == RP_OK ? wrap(ctx, n_rows, n_cols, &s, out) : status;
}

static rp_status from_host_and_free(rp_context *ctx, rp_dtype dtype, rpi_csr_host *a,
                                    rp_csr **out) {
  const rpi_csr_arrays from = {.ptr = a->ptr, .col = a->col, .val = a->val};
  const rp_status status =
      from_host(ctx, dtype, a->n_rows, a->n_cols, a->ptr[a->n_rows], from, out);
  rpi_csr_host_free(a);
  return status;
}

/* What every maker checks first. */
static rp_status start(const char *function, rp_context *ctx, rp_dtype dtype, rp_csr **out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: out is NULL", function);
  *out = NULL;
  if (!ctx) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: ctx is NULL", function);
  if (dtype == RP_F32 || dtype == RP_F64) return RP_OK;
  return rpi_failure_set(RP_ERR_DTYPE, "%s: values are f32 or f64, not %s", function,
                         rp_dtype_name(dtype));
}

rp_status rp_csr_from_triplets(rp_context *ctx, rp_dtype dtype, int64_t n_rows, int64_t n_cols,
                               int64_t n_entries, const int64_t *row, const int64_t *col,
                               const double *val, rp_csr **out) {
  rp_status status = start(__func__, ctx, dtype, out);
  if (status != RP_OK) return status;
  if (n_entries > 0 && (!row || !col || !val)) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "%s: row, col or val is NULL", __func__);
  }
  rpi_csr_host a;
  char message[RPI_CSR_MESSAGE];
  fenv_t mode;
  round_to_nearest(&mode);
  const rpi_csr_triplets t = {n_entries, row, col, val, 1};
  status = rpi_csr_host_triplets(n_rows, n_cols, &t, &a, message);
  status = status == RP_OK ? from_host_and_free(ctx, dtype, &a, out)
                           : rpi_failure_set(status, "%s: %s", __func__, message);
  fesetenv(&mode);
  return status;
}

rp_status rp_csr_from_arrays(rp_context *ctx, rp_dtype dtype, int64_t n_rows, int64_t n_cols,
                             const int64_t *ptr, const int64_t *col, const double *val,
                             rp_csr **out) {
  rp_status status = start(__func__, ctx, dtype, out);
  if (status != RP_OK) return status;
  if (!ptr || !col || !val) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "%s: ptr, col or val is NULL", __func__);
  }
  char message[RPI_CSR_MESSAGE];
  status = rpi_csr_host_check(n_rows, n_cols, ptr, col, message);
  if (status != RP_OK) return rpi_failure_set(status, "%s: %s", __func__, message);
  fenv_t mode;
  round_to_nearest(&mode); /* f64 to f32 */
  const rpi_csr_arrays from = {.ptr = ptr, .col = col, .val = val};
  status = from_host(ctx, dtype, n_rows, n_cols, ptr[n_rows], from, out);
  fesetenv(&mode);
  return status;
}

rp_status rp_csr_from_stores(rp_store *ptr, rp_store *col, rp_store *val, int64_t n_cols,
                             rp_csr **out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: out is NULL", __func__);
  *out = NULL;
  const char *bad = rp_store_ndim(ptr) < 0   ? "ptr"
                    : rp_store_ndim(col) < 0 ? "col"
                    : rp_store_ndim(val) < 0 ? "val"
                                             : NULL;
  if (bad) return rpi_failure_set(RP_ERR_HANDLE, "%s: %s is NULL or released", __func__, bad);
  const rp_status status = start(__func__, rp_store_context(ptr), rp_store_dtype(val), out);
  if (status != RP_OK) return status;
  const rp_dtype index = rp_store_dtype(col);
  if (rp_store_dtype(ptr) != RP_I64 || (index != RP_I32 && index != RP_I64)) {
    return rpi_failure_set(RP_ERR_DTYPE,
                           "%s: ptr is %s and must be i64, col is %s and must be "
                           "i32 or i64",
                           __func__, rp_dtype_name(rp_store_dtype(ptr)), rp_dtype_name(index));
  }
  if (rp_store_ndim(ptr) != 1 || rp_store_ndim(col) != 1 || rp_store_ndim(val) != 1 ||
      rp_store_size(ptr) < 1 || rp_store_size(col) != rp_store_size(val) || n_cols < 0) {
    return rpi_failure_set(RP_ERR_SHAPE,
                           "%s: ptr has rank %d and %lld elements (1 and at least 1), "
                           "col %d and %lld, val %d and %lld (1 and equal), n_cols is %lld",
                           __func__, (int)rp_store_ndim(ptr), (long long)rp_store_size(ptr),
                           (int)rp_store_ndim(col), (long long)rp_store_size(col),
                           (int)rp_store_ndim(val), (long long)rp_store_size(val),
                           (long long)n_cols);
  }
  rp_store_retain(ptr);
  rp_store_retain(col);
  rp_store_retain(val);
  const rpi_csr_stores s = {ptr, col, val};
  const rp_status wrapped = wrap(rp_store_context(ptr), rp_store_size(ptr) - 1, n_cols, &s, out);
  if (wrapped == RP_OK) (*out)->valid = false;
  return wrapped;
}

static rp_status from_file(rp_context *ctx, rp_dtype dtype, const char *path, rp_csr **out) {
  rpi_mm_rows r;
  rp_status status = rpi_mm_parts_read(ctx, path, &r);
  if (status != RP_OK) return status;
  rpi_csr_stores s;
  status = rpi_csr_stores_share(ctx, dtype, &r, &s);
  if (status == RP_OK) status = wrap(ctx, r.n_rows, r.n_cols, &s, out);
  rpi_mm_parts_free(&r);
  return status;
}

rp_status rp_csr_from_matrix_market(rp_context *ctx, rp_dtype dtype, const char *path,
                                    rp_csr **out) {
  rp_status status = start(__func__, ctx, dtype, out);
  if (status != RP_OK) return status;
  if (!path) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: path is NULL", __func__);
  fenv_t mode;
  round_to_nearest(&mode);
  status = from_file(ctx, dtype, path, out);
  fesetenv(&mode);
  if (status != RP_OK) rpi_failure_set(status, "%s: %s", __func__, rp_last_error());
  return status;
}

rp_status rp_csr_from_stencil(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                              int32_t n_points, const int64_t *offset, const double *coefficient,
                              rp_csr **out) {
  rp_status status = start(__func__, ctx, dtype, out);
  if (status != RP_OK) return status;
  if (!shape || !offset || !coefficient) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "%s: shape, offset or coefficient is NULL", __func__);
  }
  rpi_csr_stencil s;
  char message[RPI_CSR_MESSAGE];
  status = rpi_csr_stencil_init(ndim, shape, n_points, offset, coefficient, &s, message);
  if (status != RP_OK) return rpi_failure_set(status, "%s: %s", __func__, message);
  fenv_t mode;
  round_to_nearest(&mode);
  status = from_host(ctx, dtype, s.n_rows, s.n_rows, s.nnz, (rpi_csr_arrays){.stencil = &s}, out);
  fesetenv(&mode);
  rpi_csr_stencil_deinit(&s);
  return status;
}

rp_status rp_csr_retain(rp_csr *a) {
  const rp_status status = rpi_csr_check(a, __func__);
  if (status == RP_OK) a->refs++;
  return status;
}

rp_status rp_csr_release(rp_csr *a) {
  if (!a) return RP_OK;
  const rp_status status = rpi_csr_check(a, __func__);
  if (status != RP_OK || --a->refs > 0) return status;
  rp_store_release(a->ptr);
  rp_store_release(a->col);
  rp_store_release(a->val);
  rp_store_release(a->narrow_ptr);
  a->magic = 0;
  free(a);
  return RP_OK;
}

/* ---- facts ------------------------------------------------------------------------------------------- */

int64_t rp_csr_rows(const rp_csr *a) { return is_csr(a) ? a->n_rows : -1; }
int64_t rp_csr_cols(const rp_csr *a) { return is_csr(a) ? a->n_cols : -1; }
int64_t rp_csr_nnz(const rp_csr *a) { return is_csr(a) ? a->nnz : -1; }
rp_dtype rp_csr_dtype(const rp_csr *a) { return is_csr(a) ? rp_store_dtype(a->val) : -1; }
rp_context *rp_csr_context(const rp_csr *a) { return is_csr(a) ? a->ctx : NULL; }
rp_store *rp_csr_ptr(const rp_csr *a) { return is_csr(a) ? a->ptr : NULL; }
rp_store *rp_csr_col(const rp_csr *a) { return is_csr(a) ? a->col : NULL; }
rp_store *rp_csr_val(const rp_csr *a) { return is_csr(a) ? a->val : NULL; }

/* ---- for triangular solutions ------------------------------------------------------------------------- */

int64_t rpi_csr_number(const rp_csr *a) { return a->number; }
bool rpi_csr_is_valid(const rp_csr *a) { return a->valid; }

rp_status rpi_csr_ptr_as_col(rp_csr *a, rp_store **out) {
  *out = a->ptr;
  if (rp_store_dtype(a->col) == RP_I64) return RP_OK;
  *out = a->narrow_ptr;
  if (*out) return RP_OK;
  const int64_t n = a->n_rows + 1;
  rp_store *made = NULL;
  rp_status status = rp_store_create(a->ctx, RP_I32, 1, &n, &made);
  if (status == RP_OK)
    status = rp_eval(a->ctx, "narrow, ptr", "narrow = i32(ptr)", (rp_store *[]){made, a->ptr}, 2);
  if (status == RP_OK)
    *out = a->narrow_ptr = made;
  else
    rp_store_release(made);
  return status;
}

/* ---- using --------------------------------------------------------------------------------------------- */

rp_status rp_csr_multiply_to(rp_csr *a, rp_store *x, rp_store *y) {
  const rp_status status = rpi_csr_check(a, __func__);
  if (status != RP_OK) return status;
  if (rp_store_ndim(x) < 0 || rp_store_ndim(y) < 0) {
    return rpi_failure_set(RP_ERR_HANDLE, "%s: %s is NULL or released", __func__,
                           rp_store_ndim(x) < 0 ? "x" : "y");
  }
  const int32_t axes = rp_store_ndim(x);
  if ((axes != 1 && axes != 2) || rp_store_ndim(y) != axes || rp_store_extent(x, 0) != a->n_cols ||
      rp_store_extent(y, 0) != a->n_rows) {
    return rpi_failure_set(RP_ERR_SHAPE,
                           "%s: a matrix of %lld by %lld takes x of %lld elements to "
                           "y of %lld, or of as many rows, not %lld (%d axes) to %lld (%d)",
                           __func__, (long long)a->n_rows, (long long)a->n_cols,
                           (long long)a->n_cols, (long long)a->n_rows,
                           (long long)rp_store_extent(x, 0), (int)axes,
                           (long long)rp_store_extent(y, 0), (int)rp_store_ndim(y));
  }
  if (axes == 2 && rp_store_extent(x, 1) != rp_store_extent(y, 1)) {
    return rpi_failure_set(RP_ERR_SHAPE, "%s: x has %lld columns, y has %lld", __func__,
                           (long long)rp_store_extent(x, 1), (long long)rp_store_extent(y, 1));
  }
  rp_store *stores[5] = {y, a->ptr, a->col, a->val, x};
  return rp_launch(axes == 2 ? a->multiply_columns : a->multiply, stores, 5, NULL, 0);
}

rp_status rp_csr_multiply(rp_csr *a, rp_store *x, rp_store **out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: out is NULL", __func__);
  *out = NULL;
  rp_status status = rpi_csr_check(a, __func__);
  rp_dtype dtype = 0;
  if (status == RP_OK && rp_store_ndim(x) < 0) {
    status = rpi_failure_set(RP_ERR_HANDLE, "%s: x is NULL or released", __func__);
  }
  if (status == RP_OK) status = rp_dtype_promote(rp_csr_dtype(a), rp_store_dtype(x), &dtype);
  rp_store *y;
  if (status == RP_OK) {
    const int64_t shape[] = {a->n_rows, rp_store_ndim(x) == 2 ? rp_store_extent(x, 1) : 1};
    status = rp_store_create(a->ctx, dtype, rp_store_ndim(x) == 2 ? 2 : 1, shape, &y);
  }
  if (status != RP_OK) return status;
  status = rp_csr_multiply_to(a, x, y);
  if (status != RP_OK) {
    rp_store_release(y);
    return status;
  }
  *out = y;
  return RP_OK;
}

rp_status rp_csr_diagonal(rp_csr *a, rp_store **out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: out is NULL", __func__);
  *out = NULL;
  rp_status status = rpi_csr_check(a, __func__);
  if (status != RP_OK) return status;
  if (a->n_rows != a->n_cols) {
    return rpi_failure_set(RP_ERR_SHAPE, "%s: the matrix is %lld by %lld, not square", __func__,
                           (long long)a->n_rows, (long long)a->n_cols);
  }
  rp_store *d;
  status = rp_store_create(a->ctx, rp_csr_dtype(a), 1, &a->n_rows, &d);
  if (status != RP_OK) return status;
  rp_store *stores[4] = {d, a->ptr, a->col, a->val};
  status = rp_launch(a->diagonal, stores, 4, NULL, 0);
  if (status != RP_OK) {
    rp_store_release(d);
    return status;
  }
  *out = d;
  return RP_OK;
}

/* ---- writing -------------------------------------------------------------------------------------------- */

rp_status rp_csr_write_matrix_market(rp_csr *a, const char *path) {
  rp_status status = rpi_csr_check(a, __func__);
  if (status != RP_OK) return status;
  if (!path) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: path is NULL", __func__);
  rpi_csr_host h = {0};
  rpi_mm_output o;
  status = rpi_mm_write_begin(a->ctx, path, a->n_rows, &o);
  if (status == RP_OK) status = rpi_csr_rows_read(a, o.first, o.end, &h);
  if (status == RP_OK) {
    status = rpi_mm_write_rows(&o, a->n_rows, &h, rp_store_dtype(a->val) == RP_F32 ? 9 : 17);
  }
  rpi_csr_host_free(&h);
  return status == RP_OK ? status : rpi_failure_set(status, "%s: %s", __func__, rp_last_error());
}
