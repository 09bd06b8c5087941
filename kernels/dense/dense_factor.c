/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/dense_factor.c -- systems of dense equations: factorisations and solutions as opaque ops.
 * Lives here: the ops of a context, the checks of shapes, the launches that a call becomes.
 * Not here:   the factorisations themselves (factor_host.h, cusolver.h).
 * How:        a matrix is copied and factored in place. A right-hand side is a row for the ops, so several are transposed on
 *             their way in, and a view of the solutions is what comes out. What pivots met is a number in a store; a body
 *             that reads an element at it, of an array that has only element 0, poisons what it writes: so on a GPU
 *             the host waits once for a segment, as for any checked subscript.
 * Invariant:  pivots that reach a solution are columns, whatever failed before: work that is queued already still runs. */
#include <stdbool.h>
#include <stdlib.h>

#include "core/include/reprise_dense.h"
#include "kernels/dense/cusolver.h"
#include "kernels/dense/dense_check.h"
#include "kernels/dense/factor_host.h"
#include "kernels/failure.h"

typedef enum kind { LU, CHOLESKY, LU_SOLVE, CHOLESKY_SOLVE, KINDS } kind;

typedef struct table {
  rp_library *lib;
  rp_op *op[2][KINDS]; /* f32, f64 */
  rp_op *pivots, *lower, *in_range;
} table;

/* Its address is the key of the table in a context. */
static const char table_key;

/* ---- ops ---- */

#define OF(name) (void (*)(void)) name

static const struct {
  const char *name[2], *params;
  void (*host[2])(void);
  rp_status (*gpu)(const rp_gpu_call *call);
  int32_t privileges[3], flags;
  int32_t n_stores, n_extents; /* its arguments: the stores, then the first extents of store 0 */
} kinds[KINDS] = {
    [LU] = {{"slu", "dlu"},
            "a, pivot, info",
            {OF(rpi_factor_lu_f32), OF(rpi_factor_lu_f64)},
            rpi_cusolver_lu,
            {RP_PRIV_READ_WRITE, RP_PRIV_WRITE, RP_PRIV_WRITE},
            RP_OPAQUE_DENSE,
            3,
            1},
    [CHOLESKY] = {{"scholesky", "dcholesky"},
                  "a, info",
                  {OF(rpi_factor_cholesky_f32), OF(rpi_factor_cholesky_f64)},
                  rpi_cusolver_cholesky,
                  {RP_PRIV_READ_WRITE, RP_PRIV_WRITE},
                  RP_OPAQUE_DENSE,
                  2,
                  1},
    [LU_SOLVE] = {{"slu_solve", "dlu_solve"},
                  "x, lu, pivot",
                  {OF(rpi_factor_lu_solve_f32), OF(rpi_factor_lu_solve_f64)},
                  rpi_cusolver_lu_solve,
                  {RP_PRIV_READ_WRITE, RP_PRIV_READ, RP_PRIV_READ},
                  RP_OPAQUE_DENSE | RP_OPAQUE_SPLIT,
                  3,
                  2},
    [CHOLESKY_SOLVE] = {{"scholesky_solve", "dcholesky_solve"},
                        "x, l",
                        {OF(rpi_factor_cholesky_solve_f32), OF(rpi_factor_cholesky_solve_f64)},
                        rpi_cusolver_cholesky_solve,
                        {RP_PRIV_READ_WRITE, RP_PRIV_READ},
                        RP_OPAQUE_DENSE | RP_OPAQUE_SPLIT,
                        2,
                        2},
};

static rp_status make_op(rp_context *ctx, const table *t, kind k, bool wide, rp_op **out) {
  enum { ROWS = 12 }; /* fewer would not pay for one more look at the factors */
  const rp_constraint whole[] = {{.kind = RP_CONSTRAINT_BROADCAST, .a = 1},
                                 {.kind = RP_CONSTRAINT_BROADCAST, .a = 2}};
  const bool splits = kinds[k].flags & RP_OPAQUE_SPLIT;
  const int32_t n = kinds[k].n_stores;
  const rp_gpu_variant gpu = {.struct_size = sizeof gpu, .function = kinds[k].gpu};
  rp_opaque_arg args[5] = {{0}};
  for (int32_t i = 0; i < n; i++) args[i] = (rp_opaque_arg){.kind = RP_ARG_PTR, .a = i};
  for (int32_t i = 0; i < kinds[k].n_extents; i++)
    args[n + i] = (rp_opaque_arg){.kind = RP_ARG_EXTENT, .a = 0, .b = i};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = kinds[k].name[wide],
                            .params = kinds[k].params,
                            .privileges = kinds[k].privileges,
                            .function = kinds[k].host[wide],
                            .args = args,
                            .n_args = n + kinds[k].n_extents,
                            .flags = kinds[k].flags,
                            .constraints = splits ? whole : NULL,
                            .n_constraints = splits ? n - 1 : 0,
                            .block_rows = splits ? ROWS : 0,
                            .constraint_size = sizeof(rp_constraint),
                            .gpu = rp_context_gpus(ctx) > 0 && rpi_cusolver_found() ? &gpu : NULL};
  return rp_op_create_opaque(t->lib, &d, out);
}

static rp_status table_of(rp_context *ctx, table **out) {
  table *t = *out = rp_context_data(ctx, &table_key);
  if (t) return RP_OK;
  t = calloc(1, sizeof *t);
  if (!t) return rpi_failure_memory("the dense library's table of factorisations");
  rp_status status = rp_library_create(ctx, "dense", &t->lib);
  if (status == RP_OK)
    status = rp_op_create(
        t->lib, "lu_pivots", "pivots, found, info, no_zero_pivot",
        "pivots[i] = min(max(found[i], 1), extent(found, 0)) + no_zero_pivot[info[0]]", &t->pivots);
  if (status == RP_OK)
    status = rp_op_create(t->lib, "pivots_in_range", "pivots, given, all_in_range",
                          "let ok = given[i] > 0 && given[i] <= extent(given, 0);"
                          "pivots[i] = where(ok, given[i], 1) + all_in_range[where(ok, 0, 1)]",
                          &t->in_range);
  if (status == RP_OK)
    status = rp_op_create(
        t->lib, "cholesky_lower", "l, factored, info, no_pivot_below_zero",
        "l[i,j] = where(j <= i && no_pivot_below_zero[info[0]] == 0, factored[i,j], 0)", &t->lower);
  if (status == RP_OK) status = rp_context_set_data(ctx, &table_key, t, free);
  if (status == RP_OK)
    *out = t;
  else
    free(t);
  return status;
}

/* Of no rows nothing is made. */
static rp_status launch(table *t, kind k, rp_store *const *stores) {
  const bool wide = rp_store_dtype(stores[0]) == RP_F64;
  rp_op **op = &t->op[wide][k];
  if (rp_store_size(stores[0]) == 0) return RP_OK;
  const rp_status status = *op ? RP_OK : make_op(rp_store_context(stores[0]), t, k, wide, op);
  return status == RP_OK ? rp_launch(*op, stores, kinds[k].n_stores, NULL, 0) : status;
}

/* ---- factors ---- */

/* What a factorisation works on: released together. */
typedef struct work {
  rp_store *a, *info, *zero; /* a copy, what its pivots met, one element */
} work;

static void release(const work *w) {
  rp_store_release(w->a);
  rp_store_release(w->info);
  rp_store_release(w->zero);
}

static rp_status make_work(rp_store *a, work *w) {
  rp_context *ctx = rp_store_context(a);
  const int64_t n[] = {rp_store_extent(a, 0), rp_store_extent(a, 0)}, one = 1;
  *w = (work){0};
  rp_status status = rp_store_create(ctx, rp_store_dtype(a), 2, n, &w->a);
  if (status == RP_OK) status = rp_store_create(ctx, RP_I32, 1, &one, &w->info);
  if (status == RP_OK) status = rp_store_create(ctx, RP_I64, 1, &one, &w->zero);
  if (status == RP_OK) status = rp_store_copy(w->a, a);
  return status;
}

static rp_status factor_lu(rp_store *a, rp_store **lu, rp_store **pivots) {
  const int64_t n = rp_store_extent(a, 0);
  rp_store *found = NULL, *checked = NULL;
  table *t;
  work w = {0};
  rp_status status = table_of(rp_store_context(a), &t);
  if (status == RP_OK) status = make_work(a, &w);
  if (status == RP_OK) status = rp_store_create(rp_store_context(a), RP_I64, 1, &n, &found);
  if (status == RP_OK) status = rp_store_create(rp_store_context(a), RP_I64, 1, &n, &checked);
  if (status == RP_OK) status = launch(t, LU, (rp_store *[]){w.a, found, w.info});
  if (status == RP_OK)
    status = rp_launch(t->pivots, (rp_store *[]){checked, found, w.info, w.zero}, 4, NULL, 0);
  rp_store_release(found);
  if (status == RP_OK) {
    *lu = w.a;
    *pivots = checked;
    w.a = NULL;
  } else {
    rp_store_release(checked);
  }
  release(&w);
  return status;
}

static rp_status factor_cholesky(rp_store *a, rp_store **l) {
  const int64_t n[] = {rp_store_extent(a, 0), rp_store_extent(a, 0)};
  rp_store *lower = NULL;
  table *t;
  work w = {0};
  rp_status status = table_of(rp_store_context(a), &t);
  if (status == RP_OK) status = make_work(a, &w);
  if (status == RP_OK)
    status = rp_store_create(rp_store_context(a), rp_store_dtype(a), 2, n, &lower);
  if (status == RP_OK) status = launch(t, CHOLESKY, (rp_store *[]){w.a, w.info});
  if (status == RP_OK)
    status = rp_launch(t->lower, (rp_store *[]){lower, w.a, w.info, w.zero}, 4, NULL, 0);
  if (status == RP_OK)
    *l = lower;
  else
    rp_store_release(lower);
  release(&w);
  return status;
}

rp_status rp_dense_lu(rp_store *a, rp_store **lu, rp_store **pivots) {
  if (lu) *lu = NULL;
  if (pivots) *pivots = NULL;
  if (!lu || !pivots)
    return rpi_failure_set(RP_ERR_ARGUMENT, "%s: %s is NULL", __func__, lu ? "pivots" : "lu");
  const rp_status status = rpi_dense_check_square(__func__, "a", a, -1);
  return status == RP_OK ? factor_lu(a, lu, pivots) : status;
}

rp_status rp_dense_cholesky(rp_store *a, rp_store **l) {
  if (!l) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: l is NULL", __func__);
  *l = NULL;
  const rp_status status = rpi_dense_check_square(__func__, "a", a, -1);
  return status == RP_OK ? factor_cholesky(a, l) : status;
}

/* ---- solutions ---- */

/* What b must be for the matrix a, called `name`. */
static rp_status check_right(const char *function, const char *name, rp_store *a, rp_store *b,
                             rp_store **x) {
  if (!x) return rpi_failure_set(RP_ERR_ARGUMENT, "%s: x is NULL", function);
  *x = NULL;
  rp_status status = rpi_dense_check_square(function, name, a, -1);
  if (status == RP_OK) status = rpi_dense_check_store(function, "b", b, rp_store_dtype(a));
  if (status != RP_OK) return status;
  const int64_t n = rp_store_extent(a, 0);
  const int32_t axes = rp_store_ndim(b);
  if (axes != 1 && axes != 2)
    return rpi_failure_set(RP_ERR_SHAPE, "%s: b has %d axes, not 1 or 2", function, (int)axes);
  if (rp_store_extent(b, 0) == n) return RP_OK;
  return rpi_failure_set(RP_ERR_SHAPE, "%s: %s is %lld x %lld, b has %lld rows", function, name,
                         (long long)n, (long long)n, (long long)rp_store_extent(b, 0));
}

/* A view of b, whose columns are right-hand sides, with these as its rows; and of such rows as columns. */
static rp_status turn(rp_store *b, int32_t axes, rp_store **out) {
  const int64_t row[] = {1, rp_store_extent(b, 0)};
  if (axes == 2) return rp_store_transpose(b, (int32_t[]){1, 0}, out);
  return rp_store_ndim(b) == 1 ? rp_store_reshape(b, 2, row, out) : rp_store_project(b, 0, 0, out);
}

/* stores[0] is set here: a copy of b, which becomes the solution. */
static rp_status solve(kind k, rp_store **stores, rp_store *b, rp_store **x) {
  rp_context *ctx = rp_store_context(b);
  const int32_t axes = rp_store_ndim(b);
  rp_store *rows = NULL, *mine = NULL;
  table *t;
  rp_status status = table_of(ctx, &t);
  if (status == RP_OK) status = turn(b, axes, &rows);
  if (status == RP_OK) {
    const int64_t shape[] = {rp_store_extent(rows, 0), rp_store_extent(rows, 1)};
    status = rp_store_create(ctx, rp_store_dtype(b), 2, shape, &mine);
  }
  if (status == RP_OK) status = rp_store_copy(mine, rows);
  stores[0] = mine;
  if (status == RP_OK) status = launch(t, k, stores);
  if (status == RP_OK) status = turn(mine, axes, x);
  rp_store_release(rows);
  rp_store_release(mine);
  return status;
}

static rp_status check_pivots(const char *function, rp_store *lu, rp_store *pivots) {
  if (!pivots || !rp_store_context(pivots))
    return rpi_failure_set(pivots ? RP_ERR_HANDLE : RP_ERR_ARGUMENT, "%s: pivots is %s", function,
                           pivots ? "no store (or was released)" : "NULL");
  if (rp_store_dtype(pivots) != RP_I64)
    return rpi_failure_set(RP_ERR_DTYPE, "%s: pivots is %s, not i64", function,
                           rp_dtype_name(rp_store_dtype(pivots)));
  if (rp_store_ndim(pivots) == 1 && rp_store_extent(pivots, 0) == rp_store_extent(lu, 0))
    return RP_OK;
  return rpi_failure_set(RP_ERR_SHAPE, "%s: pivots has %d axes and %lld elements, not 1 and %lld",
                         function, (int)rp_store_ndim(pivots), (long long)rp_store_size(pivots),
                         (long long)rp_store_extent(lu, 0));
}

/* Others may have made them: what is no column must not be an address. */
static rp_status pivots_in_range(rp_store *given, rp_store **out) {
  rp_context *ctx = rp_store_context(given);
  const int64_t n = rp_store_extent(given, 0), one = 1;
  rp_store *zero = NULL;
  table *t;
  rp_status status = table_of(ctx, &t);
  if (status == RP_OK) status = rp_store_create(ctx, RP_I64, 1, &one, &zero);
  if (status == RP_OK) status = rp_store_create(ctx, RP_I64, 1, &n, out);
  if (status == RP_OK)
    status = rp_launch(t->in_range, (rp_store *[]){*out, given, zero}, 3, NULL, 0);
  rp_store_release(zero);
  return status;
}

rp_status rp_dense_lu_solve(rp_store *lu, rp_store *pivots, rp_store *b, rp_store **x) {
  rp_store *in_range = NULL;
  rp_status status = check_right(__func__, "lu", lu, b, x);
  if (status == RP_OK) status = check_pivots(__func__, lu, pivots);
  if (status == RP_OK) status = pivots_in_range(pivots, &in_range);
  if (status == RP_OK) status = solve(LU_SOLVE, (rp_store *[]){NULL, lu, in_range}, b, x);
  rp_store_release(in_range);
  return status;
}

rp_status rp_dense_cholesky_solve(rp_store *l, rp_store *b, rp_store **x) {
  const rp_status status = check_right(__func__, "l", l, b, x);
  return status == RP_OK ? solve(CHOLESKY_SOLVE, (rp_store *[]){NULL, l}, b, x) : status;
}

rp_status rp_dense_solve(rp_store *a, rp_store *b, rp_store **x) {
  rp_store *lu = NULL, *pivots = NULL;
  rp_status status = check_right(__func__, "a", a, b, x);
  if (status == RP_OK) status = factor_lu(a, &lu, &pivots);
  if (status == RP_OK) status = solve(LU_SOLVE, (rp_store *[]){NULL, lu, pivots}, b, x);
  rp_store_release(lu);
  rp_store_release(pivots);
  return status;
}

rp_status rp_dense_solve_spd(rp_store *a, rp_store *b, rp_store **x) {
  rp_store *l = NULL;
  rp_status status = check_right(__func__, "a", a, b, x);
  if (status == RP_OK) status = factor_cholesky(a, &l);
  if (status == RP_OK) status = solve(CHOLESKY_SOLVE, (rp_store *[]){NULL, l}, b, x);
  rp_store_release(l);
  return status;
}
