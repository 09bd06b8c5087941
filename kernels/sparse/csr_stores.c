/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/csr_stores.c -- see csr_stores.h. */
#include "kernels/sparse/csr_stores.h"

#include <stdbool.h>
#include <string.h>

void rpi_csr_stores_release(const rpi_csr_stores *s) {
  rp_store_release(s->ptr);
  rp_store_release(s->col);
  rp_store_release(s->val);
}

/* ---- arrays and stencils, of which parts are asked for ------------------------------------------------ */

enum { BLOCK = 4096 }; /* entries that are narrowed at a time */

static void take_col(const rpi_csr_arrays *a, int64_t lo, int64_t n, int64_t *col) {
  if (a->stencil)
    rpi_csr_stencil_entries(a->stencil, lo, n, col, NULL);
  else
    memcpy(col, a->col + lo, (size_t)n * sizeof *col);
}

static void take_val(const rpi_csr_arrays *a, int64_t lo, int64_t n, double *val) {
  if (a->stencil)
    rpi_csr_stencil_entries(a->stencil, lo, n, NULL, val);
  else
    memcpy(val, a->val + lo, (size_t)n * sizeof *val);
}

static rp_status supply_ptr(void *arg, int64_t lo, int64_t n, void *out) {
  const rpi_csr_arrays *a = arg;
  if (a->stencil)
    rpi_csr_stencil_ptr(a->stencil, lo, n, out);
  else
    memcpy(out, a->ptr + lo, (size_t)n * sizeof *a->ptr);
  return RP_OK;
}

static rp_status supply_col(void *arg, int64_t lo, int64_t n, void *out) {
  take_col(arg, lo, n, out);
  return RP_OK;
}

static rp_status supply_col_narrow(void *arg, int64_t lo, int64_t n, void *out) {
  int32_t *narrow = out;
  int64_t wide[BLOCK];
  for (int64_t i = 0, m; i < n; i += m) {
    m = n - i < BLOCK ? n - i : BLOCK;
    take_col(arg, lo + i, m, wide);
    for (int64_t k = 0; k < m; k++) narrow[i + k] = (int32_t)wide[k];
  }
  return RP_OK;
}

static rp_status supply_val(void *arg, int64_t lo, int64_t n, void *out) {
  take_val(arg, lo, n, out);
  return RP_OK;
}

static rp_status supply_val_narrow(void *arg, int64_t lo, int64_t n, void *out) {
  float *narrow = out;
  double wide[BLOCK];
  for (int64_t i = 0, m; i < n; i += m) {
    m = n - i < BLOCK ? n - i : BLOCK;
    take_val(arg, lo + i, m, wide);
    for (int64_t k = 0; k < m; k++) narrow[i + k] = (float)wide[k];
  }
  return RP_OK;
}

/* A vector of n elements; *out stays NULL on failure. */
static rp_status make_store(rp_context *ctx, rp_dtype dtype, int64_t n, rp_supply_fn *supply,
                            const rpi_csr_arrays *from, rp_store **out) {
  rp_store *made;
  rp_status status = rp_store_create(ctx, dtype, 1, &n, &made);
  if (status == RP_OK && n > 0) status = rp_store_supply(made, supply, (void *)from);
  if (status != RP_OK) rp_store_release(made);
  *out = status == RP_OK ? made : NULL;
  return status;
}

rp_status rpi_csr_stores_supply(rp_context *ctx, rp_dtype dtype, int64_t n_rows, int64_t n_cols,
                                int64_t nnz, const rpi_csr_arrays *from, rpi_csr_stores *out) {
  const bool wide = n_cols > INT32_MAX, full = dtype == RP_F64;
  *out = (rpi_csr_stores){NULL, NULL, NULL};
  rp_status status = make_store(ctx, RP_I64, n_rows + 1, supply_ptr, from, &out->ptr);
  if (status == RP_OK) {
    status = make_store(ctx, wide ? RP_I64 : RP_I32, nnz, wide ? supply_col : supply_col_narrow,
                        from, &out->col);
  }
  if (status == RP_OK) {
    status = make_store(ctx, dtype, nnz, full ? supply_val : supply_val_narrow, from, &out->val);
  }
  if (status != RP_OK) rpi_csr_stores_release(out);
  return status;
}

/* ---- rows, of which each rank has some ----------------------------------------------------------------- */

/* Columns and values become those of the dtypes in place. */
static void narrow(rpi_csr_host *a, bool cols, bool vals) {
  const int64_t nnz = a->ptr[a->n_rows];
  for (int64_t k = 0; cols && k < nnz; k++) {
    const int32_t c = (int32_t)a->col[k];
    memcpy((char *)a->col + k * 4, &c, 4);
  }
  for (int64_t k = 0; vals && k < nnz; k++) {
    const float v = (float)a->val[k];
    memcpy((char *)a->val + k * 4, &v, 4);
  }
}

static rp_status write_rows(rpi_mm_rows *r, rp_dtype index, rp_dtype dtype,
                            const rpi_csr_stores *s) {
  rpi_csr_host *a = &r->a;
  rp_context *ctx = rp_store_context(s->ptr);
  const int64_t nnz = a->ptr[a->n_rows];
  const bool last = rp_context_rank(ctx) == rp_context_ranks(ctx) - 1;
  narrow(a, index == RP_I32, dtype == RP_F32);
  for (int64_t i = 0; i <= a->n_rows; i++) a->ptr[i] += r->before;
  rp_status status =
      rp_store_write_share(s->ptr, a->ptr, (size_t)(a->n_rows + last) * sizeof *a->ptr);
  if (status == RP_OK) {
    status = rp_store_write_share(s->col, a->col, (size_t)nnz * rp_dtype_size(index));
  }
  if (status == RP_OK) {
    status = rp_store_write_share(s->val, a->val, (size_t)nnz * rp_dtype_size(dtype));
  }
  return status;
}

rp_status rpi_csr_stores_share(rp_context *ctx, rp_dtype dtype, rpi_mm_rows *r,
                               rpi_csr_stores *out) {
  const rp_dtype index = r->n_cols > INT32_MAX ? RP_I64 : RP_I32;
  const int64_t n_ptr = r->n_rows + 1;
  *out = (rpi_csr_stores){NULL, NULL, NULL};
  rp_status status = rp_store_create(ctx, RP_I64, 1, &n_ptr, &out->ptr);
  if (status == RP_OK) status = rp_store_create(ctx, index, 1, &r->nnz, &out->col);
  if (status == RP_OK) status = rp_store_create(ctx, dtype, 1, &r->nnz, &out->val);
  if (status == RP_OK) status = write_rows(r, index, dtype, out);
  if (status != RP_OK) rpi_csr_stores_release(out);
  return status;
}
