/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/csr_rows.c -- see csr_rows.h. */
#include "kernels/sparse/csr_rows.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/failure.h"

/* Widens n elements of `narrow` bytes in place, from the end, into 8-byte ones. */
static void widen(void *data, int64_t n, bool is_float) {
  for (int64_t k = n - 1; k >= 0; k--) {
    if (is_float) {
      float v;
      memcpy(&v, (char *)data + k * 4, 4);
      const double w = (double)v;
      memcpy((char *)data + k * 8, &w, 8);
    } else {
      int32_t v;
      memcpy(&v, (char *)data + k * 4, 4);
      const int64_t w = v;
      memcpy((char *)data + k * 8, &w, 8);
    }
  }
}

/* Elements lo..lo+n-1, in room for as many of 8 bytes. Collective. */
static rp_status read_wide(rp_store *s, int64_t lo, int64_t n, void *data) {
  const rp_dtype dtype = rp_store_dtype(s);
  const rp_status status = rp_store_read_share(s, lo, data, (size_t)n * rp_dtype_size(dtype));
  if (status == RP_OK && rp_dtype_size(dtype) == 4) widen(data, n, dtype == RP_F32);
  return status;
}

/* Where the entries of rows first..first+n-1 lie, and whether that can be. */
static rp_status check_ptr(int64_t nnz, const int64_t *ptr, int64_t first, int64_t n) {
  if (n == 0) return RP_OK;
  if (first == 0 && ptr[0] != 0) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "ptr[0] is %lld and must be 0", (long long)ptr[0]);
  }
  for (int64_t i = 0; i < n; i++) {
    if (ptr[i + 1] >= ptr[i]) continue;
    return rpi_failure_set(RP_ERR_ARGUMENT, "ptr descends from %lld to %lld at row %lld",
                           (long long)ptr[i], (long long)ptr[i + 1], (long long)(first + i));
  }
  if (ptr[0] >= 0 && ptr[n] <= nnz) return RP_OK;
  return rpi_failure_set(RP_ERR_ARGUMENT, "ptr[%lld] is %lld, outside the %lld entries",
                         (long long)(ptr[0] < 0 ? first : first + n),
                         (long long)(ptr[0] < 0 ? ptr[0] : ptr[n]), (long long)nnz);
}

static rp_status check_col(const rpi_csr_host *h, int64_t before) {
  for (int64_t k = 0; k < h->ptr[h->n_rows]; k++) {
    if (h->col[k] >= 0 && h->col[k] < h->n_cols) continue;
    return rpi_failure_set(RP_ERR_ARGUMENT, "col[%lld] is %lld, outside 0..%lld",
                           (long long)(before + k), (long long)h->col[k], (long long)h->n_cols - 1);
  }
  return RP_OK;
}

rp_status rpi_csr_rows_read(const rp_csr *a, int64_t first, int64_t end, rpi_csr_host *out) {
  rp_context *ctx = rp_csr_context(a);
  const int64_t n = end - first;
  char message[RPI_CSR_MESSAGE];
  int64_t *ptr = malloc(((size_t)n + 1) * sizeof *ptr);
  rp_status status = rp_context_agree(ctx, ptr ? RP_OK : rpi_failure_memory("rows of a matrix"), 0);
  if (status == RP_OK) status = read_wide(rp_csr_ptr(a), first, n > 0 ? n + 1 : 0, ptr);
  if (status != RP_OK) {
    free(ptr);
    return status;
  }
  status = check_ptr(rp_csr_nnz(a), ptr, first, n);
  const int64_t before = n > 0 ? ptr[0] : 0, nnz = n > 0 ? ptr[n] - before : 0;
  if (status == RP_OK &&
      (status = rpi_csr_host_alloc(n, rp_csr_cols(a), nnz, out, message)) != RP_OK) {
    rpi_failure_set(status, "%s", message);
  }
  for (int64_t i = 1; status == RP_OK && i <= n; i++) out->ptr[i] = ptr[i] - before;
  free(ptr);
  status = rp_context_agree(ctx, status, 0);
  if (status == RP_OK) status = read_wide(rp_csr_col(a), before, nnz, out->col);
  if (status == RP_OK) status = read_wide(rp_csr_val(a), before, nnz, out->val);
  return status == RP_OK ? rp_context_agree(ctx, check_col(out, before), 0) : status;
}
