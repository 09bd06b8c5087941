/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/dense.c -- products of dense matrices as opaque ops.
 * Lives here: the ops of a context, what must hold between factors, what a GPU's function makes of a launch.
 * Not here:   the product itself (dense_host.h, cublas.h).
 * How:        an op for each dtype, for a transposed or not, since its rows go with c's or it is needed whole, and for
 *             whether c is read. */
#include <stdbool.h>
#include <stdlib.h>

#include "core/include/reprise_dense.h"
#include "kernels/dense/cublas.h"
#include "kernels/dense/dense_check.h"
#include "kernels/dense/dense_host.h"
#include "kernels/failure.h"

typedef struct table {
  rp_library *lib;
  rp_op *op[2][2][2]; /* f32, f64; a as it is, transposed; c written, updated */
} table;

/* Its address is the key of the table in a context. */
static const char table_key;

/* ---- ops ---- */

enum { C, A, B };                                /* stores */
enum { FLAG_A, FLAG_B, ALPHA, BETA, N_SCALARS }; /* scalars */

static rp_status multiply_on_gpu(const rp_gpu_call *call) {
  const rp_gpu_store *c = call->stores[C], *a = call->stores[A], *b = call->stores[B];
  const bool flipped = *(const int32_t *)call->scalars[FLAG_A] != 0;
  const rpi_cublas_product p = {.wide = c->dtype == RP_F64,
                                .transpose_a = flipped,
                                .transpose_b = *(const int32_t *)call->scalars[FLAG_B] != 0,
                                .m = c->extents[0],
                                .n = c->extents[1],
                                .k = a->extents[flipped ? 0 : 1],
                                .a = a->address,
                                .b = b->address,
                                .c = c->address,
                                .alpha = *(const double *)call->scalars[ALPHA],
                                .beta = *(const double *)call->scalars[BETA]};
  return rpi_cublas_multiply(call, &p);
}

static rp_status make_op(rp_context *ctx, const table *t, int wide, int flipped, int updated,
                         rp_op **out) {
  static const char *const names[2][2][2] = {{{"smul", "sgemm"}, {"smul_t", "sgemm_t"}},
                                             {{"dmul", "dgemm"}, {"dmul_t", "dgemm_t"}}};
  static const rp_gpu_variant gpu = {
      .struct_size = sizeof gpu, .function = multiply_on_gpu, .flags = RP_GPU_QUEUES};
  const int32_t privileges[] = {updated ? RP_PRIV_READ_WRITE : RP_PRIV_WRITE, RP_PRIV_READ,
                                RP_PRIV_READ};
  const rp_opaque_arg args[] = {{.kind = RP_ARG_PTR, .a = C},
                                {.kind = RP_ARG_PTR, .a = A},
                                {.kind = RP_ARG_PTR, .a = B},
                                {.kind = RP_ARG_EXTENT, .a = C, .b = 0},
                                {.kind = RP_ARG_EXTENT, .a = C, .b = 1},
                                {.kind = RP_ARG_EXTENT, .a = A, .b = flipped ? 0 : 1},
                                {.kind = RP_ARG_EXTENT, .a = A, .b = 1},
                                {.kind = RP_ARG_EXTENT, .a = B, .b = 1},
                                {.kind = RP_ARG_OFFSET, .a = C},
                                {.kind = RP_ARG_SCALAR, .a = FLAG_A},
                                {.kind = RP_ARG_SCALAR, .a = FLAG_B},
                                {.kind = RP_ARG_SCALAR, .a = ALPHA},
                                {.kind = RP_ARG_SCALAR, .a = BETA}};
  const rp_constraint whole_b = {.kind = RP_CONSTRAINT_BROADCAST, .a = B};
  const rp_constraint rows[] = {{.kind = RP_CONSTRAINT_ALIGN, .a = C, .b = A}, whole_b};
  const rp_constraint whole[] = {{.kind = RP_CONSTRAINT_BROADCAST, .a = A}, whole_b};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = names[wide][flipped][updated],
                            .params = "c, a, b, ta:i32, tb:i32, alpha:f64, beta:f64",
                            .privileges = privileges,
                            .function = wide ? (void (*)(void))rpi_dense_host_f64
                                             : (void (*)(void))rpi_dense_host_f32,
                            .args = args,
                            .n_args = sizeof args / sizeof *args,
                            .flags = RP_OPAQUE_DENSE | RP_OPAQUE_SPLIT,
                            .constraints = flipped ? whole : rows,
                            .n_constraints = 2,
                            .constraint_size = sizeof(rp_constraint),
                            .gpu = rp_context_gpus(ctx) > 0 && rpi_cublas_found() ? &gpu : NULL};
  return rp_op_create_opaque(t->lib, &d, out);
}

static rp_status table_of(rp_context *ctx, table **out) {
  table *t = *out = rp_context_data(ctx, &table_key);
  if (t) return RP_OK;
  t = calloc(1, sizeof *t);
  if (!t) return rpi_failure_memory("the dense library's table of ops");
  rp_status status = rp_library_create(ctx, "dense", &t->lib);
  if (status == RP_OK) status = rp_context_set_data(ctx, &table_key, t, free);
  if (status == RP_OK)
    *out = t;
  else
    free(t);
  return status;
}

/* ---- launches ---- */

/* m x k times k x n. */
static rp_status check_factors(const char *function, rp_store *a, rp_store *b, int32_t flags,
                               int64_t *m, int64_t *n) {
  const int ta = (flags & RP_DENSE_TRANSPOSE_A) != 0, tb = (flags & RP_DENSE_TRANSPOSE_B) != 0;
  rp_status status = rpi_dense_check_matrix(function, "a", a, -1);
  if (status == RP_OK) status = rpi_dense_check_matrix(function, "b", b, rp_store_dtype(a));
  if (status != RP_OK) return status;
  *m = rp_store_extent(a, ta);
  *n = rp_store_extent(b, !tb);
  if (rp_store_extent(a, !ta) == rp_store_extent(b, tb)) return RP_OK;
  return rpi_failure_set(RP_ERR_SHAPE, "%s: a is %lld x %lld%s, b is %lld x %lld%s", function,
                         (long long)rp_store_extent(a, 0), (long long)rp_store_extent(a, 1),
                         ta ? " transposed" : "", (long long)rp_store_extent(b, 0),
                         (long long)rp_store_extent(b, 1), tb ? " transposed" : "");
}

static rp_status launch(int32_t flags, double alpha, rp_store *a, rp_store *b, double beta,
                        rp_store *c) {
  rp_context *ctx = rp_store_context(c);
  const int wide = rp_store_dtype(c) == RP_F64, updated = beta != 0;
  const int32_t ta = (flags & RP_DENSE_TRANSPOSE_A) != 0, tb = (flags & RP_DENSE_TRANSPOSE_B) != 0;
  const void *const scalars[N_SCALARS] = {&ta, &tb, &alpha, &beta};
  rp_store *const stores[] = {c, a, b};
  table *t;
  rp_status status = table_of(ctx, &t);
  if (status != RP_OK) return status;
  rp_op **op = &t->op[wide][ta][updated];
  if (!*op) status = make_op(ctx, t, wide, ta, updated, op);
  return status == RP_OK ? rp_launch(*op, stores, 3, scalars, N_SCALARS) : status;
}

rp_status rp_dense_matmul(rp_store *a, rp_store *b, rp_store **out) {
  int64_t shape[2];
  rp_store *c;
  if (!out) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: out is NULL", __func__);
  *out = NULL;
  rp_status status = check_factors(__func__, a, b, 0, &shape[0], &shape[1]);
  if (status == RP_OK)
    status = rp_store_create(rp_store_context(a), rp_store_dtype(a), 2, shape, &c);
  if (status != RP_OK) return status;
  status = launch(0, 1, a, b, 0, c);
  if (status == RP_OK)
    *out = c;
  else
    rp_store_release(c);
  return status;
}

rp_status rp_dense_gemm(int32_t flags, double alpha, rp_store *a, rp_store *b, double beta,
                        rp_store *c) {
  const int32_t all = RP_DENSE_TRANSPOSE_A | RP_DENSE_TRANSPOSE_B;
  int64_t m = 0, n = 0;
  if (flags & ~all)
    return rpi_failure_set(RP_ERR_ARGUMENT, "%s: flags is %d", __func__, (int)flags);
  rp_status status = check_factors(__func__, a, b, flags, &m, &n);
  if (status == RP_OK) status = rpi_dense_check_matrix(__func__, "c", c, rp_store_dtype(a));
  if (status != RP_OK) return status;
  if (rp_store_extent(c, 0) != m || rp_store_extent(c, 1) != n)
    return rpi_failure_set(RP_ERR_SHAPE, "%s: c is %lld x %lld, not %lld x %lld", __func__,
                           (long long)rp_store_extent(c, 0), (long long)rp_store_extent(c, 1),
                           (long long)m, (long long)n);
  return launch(flags, alpha, a, b, beta, c);
}
