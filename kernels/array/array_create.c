/* SPDX-License-Identifier: Apache-2.0
 * kernels/array/array_create.c -- arrays from nothing, and copies.
 * Lives here: zeros, full, arange, linspace, copy. Not here: conversion (array_elementwise.c). */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "kernels/array/array_table.h"
#include "kernels/failure.h"

rp_status rp_array_zeros(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                         rp_store **out) {
  return rp_store_create(ctx, dtype, ndim, shape, out);
}

rp_status rp_array_full(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                        const void *value, rp_store **out) {
  rp_status status = rp_store_create(ctx, dtype, ndim, shape, out);
  if (status != RP_OK) return status;
  status = rp_store_fill(*out, value);
  if (status == RP_OK) return RP_OK;
  rp_store_release(*out);
  *out = NULL;
  return status;
}

rp_status rp_array_copy(rp_store *x, rp_store **out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_copy: out is NULL");
  *out = NULL;
  const int32_t ndim = rp_store_ndim(x);
  if (ndim < 0) return rpi_failure_set(RP_ERR_HANDLE, "rp_array_copy: x is NULL or released");
  int64_t shape[RP_MAX_DIM] = {0};
  for (int32_t d = 0; d < ndim; d++) shape[d] = rp_store_extent(x, d);
  rp_store *made;
  rp_status status = rp_store_create(rp_store_context(x), rp_store_dtype(x), ndim, shape, &made);
  if (status != RP_OK) return status;
  status = rp_store_copy(made, x);
  if (status != RP_OK) {
    rp_store_release(made);
    return status;
  }
  *out = made;
  return RP_OK;
}

/* Launches `op` on a new vector of n elements with three scalars. */
static rp_status make_vector(rp_context *ctx, rp_op *op, rp_dtype dtype, int64_t n,
                             const void *const *scalars, int32_t n_scalars, rp_store **out) {
  rp_store *made;
  rp_status status = rp_store_create(ctx, dtype, 1, &n, &made);
  if (status != RP_OK) return status;
  status = rp_launch(op, &made, 1, scalars, n_scalars);
  if (status != RP_OK) {
    rp_store_release(made);
    return status;
  }
  *out = made;
  return RP_OK;
}

static bool is_exact_integer(double v) { return v == rint(v) && fabs(v) < 0x1p53; }

rp_status rp_array_arange(rp_context *ctx, rp_dtype dtype, double start, double stop, double step,
                          rp_store **out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_arange: out is NULL");
  *out = NULL;
  rpi_array_table *t;
  rp_status status = rpi_array_table_get(ctx, &t);
  if (status != RP_OK) return status;
  if (dtype <= RP_BOOL || dtype >= RPI_ARRAY_N_DTYPES) {
    return rpi_failure_set(RP_ERR_DTYPE, "rp_array_arange: %s is no dtype for it",
                           rp_dtype_name(dtype));
  }
  const double count = ceil((stop - start) / step);
  if (!isfinite(start) || !isfinite(step) || !(count < 0x1p62)) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_arange: no range from %g to %g by %g", start,
                           stop, step);
  }
  const bool floating = dtype == RP_F32 || dtype == RP_F64;
  if (!floating && !(is_exact_integer(start) && is_exact_integer(step))) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_arange: start %g and step %g make no %s",
                           start, step, rp_dtype_name(dtype));
  }
  if (!t->arange[dtype]) {
    char name[32], body[64];
    snprintf(name, sizeof name, "arange.%s", rp_dtype_name(dtype));
    snprintf(body, sizeof body, "out[i] = %s(start + step*%s(i))", rp_dtype_name(dtype),
             floating ? "f64" : "i64");
    const char *params = floating ? "out, start:f64, step:f64" : "out, start:i64, step:i64";
    status = rp_op_create(t->lib, name, params, body, &t->arange[dtype]);
    if (status != RP_OK) return status;
  }
  const int64_t i_start = floating ? 0 : (int64_t)start, i_step = floating ? 0 : (int64_t)step;
  const void *scalars[2] = {&start, &step};
  if (!floating) {
    scalars[0] = &i_start;
    scalars[1] = &i_step;
  }
  const int64_t n = count > 0 ? (int64_t)count : 0;
  return make_vector(ctx, t->arange[dtype], dtype, n, scalars, 2, out);
}

rp_status rp_array_linspace(rp_context *ctx, rp_dtype dtype, double start, double stop, int64_t n,
                            rp_store **out) {
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_linspace: out is NULL");
  *out = NULL;
  rpi_array_table *t;
  rp_status status = rpi_array_table_get(ctx, &t);
  if (status != RP_OK) return status;
  if (dtype != RP_F32 && dtype != RP_F64) {
    return rpi_failure_set(RP_ERR_DTYPE, "rp_array_linspace: %s is not floating",
                           rp_dtype_name(dtype));
  }
  if (n < 1) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "rp_array_linspace: %lld points", (long long)n);
  }
  if (!t->linspace[dtype]) {
    char name[32], body[96];
    snprintf(name, sizeof name, "linspace.%s", rp_dtype_name(dtype));
    snprintf(body, sizeof body, "out[i] = %s(where(i == last, stop, start + step*f64(i)))",
             rp_dtype_name(dtype));
    status = rp_op_create(t->lib, name, "out, start:f64, step:f64, stop:f64, last:i64", body,
                          &t->linspace[dtype]);
    if (status != RP_OK) return status;
  }
  const int64_t last = n - 1;
  const double end = n == 1 ? start : stop, step = n == 1 ? 0.0 : (stop - start) / (double)last;
  const void *scalars[4] = {&start, &step, &end, &last};
  return make_vector(ctx, t->linspace[dtype], dtype, n, scalars, 4, out);
}
