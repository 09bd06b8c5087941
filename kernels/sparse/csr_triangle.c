/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/csr_triangle.c -- systems of equations with a sparse triangle, as opaque ops.
 * Lives here: the ops of a context, the checks of shapes. Not here: the substitution (triangle_host.h, cusparse.h).
 * How:        each row needs rows before it, so a body cannot say it and a function cannot be split: one thread does it, on
 *             all ranks alike. cuSPARSE looks at no index: on a GPU it gets the matrices that were checked when they were
 *             made, and the host's function does the others. */
#include <stdbool.h>
#include <stdlib.h>

#include "kernels/failure.h"
#include "kernels/sparse/csr_triangle.h"
#include "kernels/sparse/cusparse.h"
#include "kernels/sparse/triangle_host.h"

typedef struct table {
  rp_library *lib;
  rp_op *op[2][2][2]; /* f32, f64; indices i32, i64; with a variant for the GPU */
} table;

/* Its address is the key of the table in a context. */
static const char table_key;

enum { X, PTR, COL, VAL, B, N_STORES }; /* stores */
enum { FLAGS, NUMBER, N_SCALARS };      /* scalars */

static rp_status make_op(const table *t, bool wide, bool far, bool gpu, rp_op **out) {
#define OF(name) (void (*)(void)) name
  static void (*const functions[2][2])(void) = {
      {OF(rpi_triangle_solve_f32_i32), OF(rpi_triangle_solve_f32_i64)},
      {OF(rpi_triangle_solve_f64_i32), OF(rpi_triangle_solve_f64_i64)}};
#undef OF
  static const char *const names[2][2] = {{"csr_solve_f32_i32", "csr_solve_f32_i64"},
                                          {"csr_solve_f64_i32", "csr_solve_f64_i64"}};
  static const char *const gpu_names[2] = {"csr_solve_f32", "csr_solve_f64"};
  static const rp_gpu_variant variant = {.struct_size = sizeof variant,
                                         .function = rpi_cusparse_solve};
  static const int32_t privileges[N_STORES] = {RP_PRIV_WRITE, RP_PRIV_READ, RP_PRIV_READ,
                                               RP_PRIV_READ, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {
      {.kind = RP_ARG_PTR, .a = X},    {.kind = RP_ARG_PTR, .a = PTR},
      {.kind = RP_ARG_PTR, .a = COL},  {.kind = RP_ARG_PTR, .a = VAL},
      {.kind = RP_ARG_PTR, .a = B},    {.kind = RP_ARG_SIZE, .a = X},
      {.kind = RP_ARG_SIZE, .a = COL}, {.kind = RP_ARG_SCALAR, .a = FLAGS}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = gpu ? gpu_names[wide] : names[wide][far],
                            .params = "x, ptr, col, val, b, flags:i32, number:i64",
                            .privileges = privileges,
                            .function = functions[wide][far],
                            .args = args,
                            .n_args = sizeof args / sizeof *args,
                            .flags = RP_OPAQUE_DENSE | RP_OPAQUE_STATUS,
                            .gpu = gpu ? &variant : NULL};
  return rp_op_create_opaque(t->lib, &d, out);
}

static rp_status table_of(rp_context *ctx, table **out) {
  table *t = *out = rp_context_data(ctx, &table_key);
  if (t) return RP_OK;
  t = calloc(1, sizeof *t);
  if (!t) return rpi_failure_memory("the sparse library's table of triangles");
  rp_status status = rp_library_create(ctx, "sparse", &t->lib);
  if (status == RP_OK) status = rp_context_set_data(ctx, &table_key, t, free);
  if (status == RP_OK)
    *out = t;
  else
    free(t);
  return status;
}

static rp_status check_vector(const char *function, const char *name, const rp_csr *a,
                              rp_store *v) {
  if (!v) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: %s is NULL", function, name);
  if (!rp_store_context(v))
    return rpi_failure_set(RP_ERR_HANDLE, "%s: %s is no store (or was released)", function, name);
  if (rp_store_dtype(v) != rp_csr_dtype(a))
    return rpi_failure_set(RP_ERR_DTYPE, "%s: %s is %s, the matrix is %s", function, name,
                           rp_dtype_name(rp_store_dtype(v)), rp_dtype_name(rp_csr_dtype(a)));
  if (rp_store_ndim(v) == 1 && rp_store_extent(v, 0) == rp_csr_rows(a)) return RP_OK;
  return rpi_failure_set(RP_ERR_SHAPE, "%s: %s has %d axes and %lld elements, the matrix %lld rows",
                         function, name, (int)rp_store_ndim(v), (long long)rp_store_size(v),
                         (long long)rp_csr_rows(a));
}

static rp_status check(const char *function, const rp_csr *a, rp_store *b, int32_t flags) {
  const int32_t all = RP_CSR_UPPER | RP_CSR_UNIT_DIAGONAL;
  const rp_status status = rpi_csr_check(a, function);
  if (status != RP_OK) return status;
  if (flags & ~all)
    return rpi_failure_set(RP_ERR_ARGUMENT, "%s: flags is %d", function, (int)flags);
  if (rp_csr_rows(a) != rp_csr_cols(a))
    return rpi_failure_set(RP_ERR_SHAPE, "%s: the matrix is %lld by %lld, not square", function,
                           (long long)rp_csr_rows(a), (long long)rp_csr_cols(a));
  if (rp_store_dtype(rp_csr_col(a)) == RP_I32 && rp_csr_nnz(a) > INT32_MAX)
    return rpi_failure_set(RP_ERR_SHAPE, "%s: the matrix has %lld entries: with col of i32 %d",
                           function, (long long)rp_csr_nnz(a), INT32_MAX);
  return check_vector(function, "b", a, b);
}

static rp_status launch(rp_csr *a, rp_store *b, int32_t flags, rp_store *x) {
  const bool wide = rp_csr_dtype(a) == RP_F64, far = rp_store_dtype(rp_csr_col(a)) == RP_I64;
  const bool gpu =
      !far && rp_context_gpus(rp_csr_context(a)) > 0 && rpi_csr_is_valid(a) && rpi_cusparse_found();
  const int64_t number = rpi_csr_number(a);
  const void *const scalars[N_SCALARS] = {&flags, &number};
  rp_store *ptr;
  table *t;
  if (rp_csr_rows(a) == 0) return RP_OK;
  rp_status status = table_of(rp_csr_context(a), &t);
  if (status != RP_OK) return status;
  rp_op **op = &t->op[wide][far][gpu];
  if (!*op) status = make_op(t, wide, far, gpu, op);
  if (status == RP_OK) status = rpi_csr_ptr_as_col(a, &ptr);
  if (status != RP_OK) return status;
  rp_store *const stores[N_STORES] = {x, ptr, rp_csr_col(a), rp_csr_val(a), b};
  return rp_launch(*op, stores, N_STORES, scalars, N_SCALARS);
}

rp_status rp_csr_solve_triangular_to(rp_csr *a, rp_store *b, int32_t flags, rp_store *x) {
  rp_status status = check(__func__, a, b, flags);
  if (status == RP_OK) status = check_vector(__func__, "x", a, x);
  return status == RP_OK ? launch(a, b, flags, x) : status;
}

rp_status rp_csr_solve_triangular(rp_csr *a, rp_store *b, int32_t flags, rp_store **x) {
  if (!x) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: x is NULL", __func__);
  *x = NULL;
  rp_store *made = NULL;
  rp_status status = check(__func__, a, b, flags);
  const int64_t n = rp_csr_rows(a);
  if (status == RP_OK) status = rp_store_create(rp_csr_context(a), rp_csr_dtype(a), 1, &n, &made);
  if (status == RP_OK) status = launch(a, b, flags, made);
  if (status == RP_OK)
    *x = made;
  else
    rp_store_release(made);
  return status;
}
