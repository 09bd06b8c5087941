/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/dense_check.c -- see dense_check.h. */
#include "kernels/dense/dense_check.h"

#include "kernels/failure.h"

rp_status rpi_dense_check_store(const char *function, const char *name, rp_store *x,
                                rp_dtype dtype) {
  if (!x) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: %s is NULL", function, name);
  if (!rp_store_context(x))
    return rpi_failure_set(RP_ERR_HANDLE, "%s: %s is no store (or was released)", function, name);
  const rp_dtype is = rp_store_dtype(x);
  if ((is == RP_F32 || is == RP_F64) && (dtype == -1 || is == dtype)) return RP_OK;
  return rpi_failure_set(RP_ERR_DTYPE, "%s: %s is %s: all matrices are f32, or all are f64",
                         function, name, rp_dtype_name(is));
}

rp_status rpi_dense_check_matrix(const char *function, const char *name, rp_store *x,
                                 rp_dtype dtype) {
  const rp_status status = rpi_dense_check_store(function, name, x, dtype);
  if (status != RP_OK || rp_store_ndim(x) == 2) return status;
  return rpi_failure_set(RP_ERR_SHAPE, "%s: %s has %d axes, not 2", function, name,
                         (int)rp_store_ndim(x));
}

rp_status rpi_dense_check_square(const char *function, const char *name, rp_store *x,
                                 rp_dtype dtype) {
  const rp_status status = rpi_dense_check_matrix(function, name, x, dtype);
  if (status != RP_OK || rp_store_extent(x, 0) == rp_store_extent(x, 1)) return status;
  return rpi_failure_set(RP_ERR_SHAPE, "%s: %s is %lld x %lld, not square", function, name,
                         (long long)rp_store_extent(x, 0), (long long)rp_store_extent(x, 1));
}
