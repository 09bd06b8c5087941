/* SPDX-License-Identifier: Apache-2.0
 * kernels/solve/solve_operator.c -- making operators from matrices and from functions.
 * Lives here: see solve_operator.h. */
#include "kernels/solve/solve_operator.h"

#include <stdlib.h>

#include "kernels/failure.h"

static const uint64_t magic = UINT64_C(0x52504f5052303031);

rp_status rpi_solve_operator_check(const rp_operator *a, const char *function) {
  if (!a) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: a is NULL", function);
  if (a->magic == magic) return RP_OK;
  return rpi_failure_set(RP_ERR_HANDLE, "%s: a is no operator, or was released", function);
}

static rp_status apply_csr(void *user, rp_store *x, rp_store *y) {
  return rp_csr_multiply_to(user, x, y);
}

rp_status rp_operator_from_csr(rp_csr *a, rp_operator **out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: out is NULL", __func__);
  *out = NULL;
  if (rp_csr_retain(a) != RP_OK) {
    return rpi_failure_set(a ? RP_ERR_HANDLE : RP_ERR_ARGUMENT, "%s: a is %s", __func__,
                           a ? "no matrix, or was released" : "NULL");
  }
  if (rp_csr_rows(a) != rp_csr_cols(a)) {
    rp_csr_release(a);
    return rpi_failure_set(RP_ERR_SHAPE, "%s: the matrix is %lld by %lld, not square", __func__,
                           (long long)rp_csr_rows(a), (long long)rp_csr_cols(a));
  }
  rp_operator *op = malloc(sizeof *op);
  if (!op) {
    rp_csr_release(a);
    return rpi_failure_memory("an operator");
  }
  *op = (rp_operator){magic, rp_csr_context(a), rp_csr_dtype(a), rp_csr_rows(a), apply_csr, a, a,
                      NULL};
  *out = op;
  return RP_OK;
}

rp_status rp_operator_create(rp_context *ctx, rp_dtype dtype, int64_t n, rp_apply apply, void *user,
                             rp_store *diagonal, rp_operator **out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: out is NULL", __func__);
  *out = NULL;
  if (!ctx || !apply) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "%s: %s is NULL", __func__, ctx ? "apply" : "ctx");
  }
  if (dtype != RP_F32 && dtype != RP_F64) {
    return rpi_failure_set(RP_ERR_DTYPE, "%s: vectors are f32 or f64, not %s", __func__,
                           rp_dtype_name(dtype));
  }
  if (n < 0 || (diagonal && (rp_store_ndim(diagonal) != 1 || rp_store_extent(diagonal, 0) != n))) {
    return rpi_failure_set(RP_ERR_SHAPE,
                           "%s: vectors of %lld elements, a diagonal of rank %d "
                           "with %lld",
                           __func__, (long long)n, (int)rp_store_ndim(diagonal),
                           (long long)rp_store_size(diagonal));
  }
  if (diagonal && rp_store_dtype(diagonal) != dtype) {
    return rpi_failure_set(RP_ERR_DTYPE, "%s: the diagonal is %s, the vectors are %s", __func__,
                           rp_dtype_name(rp_store_dtype(diagonal)), rp_dtype_name(dtype));
  }
  rp_operator *op = malloc(sizeof *op);
  if (!op) return rpi_failure_memory("an operator");
  if (diagonal) rp_store_retain(diagonal);
  *op = (rp_operator){magic, ctx, dtype, n, apply, user, NULL, diagonal};
  *out = op;
  return RP_OK;
}

rp_status rp_operator_release(rp_operator *a) {
  if (!a) return RP_OK;
  const rp_status status = rpi_solve_operator_check(a, __func__);
  if (status != RP_OK) return status;
  rp_store_release(a->diagonal);
  rp_csr_release(a->csr);
  a->magic = 0;
  free(a);
  return RP_OK;
}

rp_status rpi_solve_operator_diagonal(rp_operator *a, const char *function, rp_store **out) {
  *out = NULL;
  if (!a->diagonal && !a->csr) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "%s: the operator was created without a diagonal",
                           function);
  }
  if (!a->diagonal) {
    const rp_status status = rp_csr_diagonal(a->csr, &a->diagonal);
    if (status != RP_OK) return status;
  }
  *out = a->diagonal;
  return RP_OK;
}
