/* SPDX-License-Identifier: Apache-2.0
 * trace/scatter.c -- see scatter.h.
 * How: what follows from the views of a launch's stores is remembered as a fit, so that a launch that repeats compares ids.
 *      The stores of an inverse are, in this order: the keys (none if an index array holds them), where segments begin
 *      with where the last one ends, two views of these, and the points' coordinates. */
#include "trace/scatter.h"

#include <stdio.h>
#include <string.h>

#include "core/exec/invert.h"
#include "trace/runtime.h"
#include "trace/task.h"

enum { MOST_FITS = 8, MOST_KEPT = 4, KEYS = 0, COUNT, FIRST, END, POINT };

typedef struct fit {
  struct fit *next;
  uint64_t number;
  rp_op *invert;
  const rpi_view *key, *count, *point; /* key: NULL if there is an array of them */
  int64_t n;                           /* elements of the destination */
  rpi_geom first, end;
  uint32_t view[]; /* of the op's stores */
} fit;

struct rpi_scatter {
  rpi_body_scatter how;
  rp_op *keys, *segments;
  fit *fits;      /* last used first */
  uint64_t trims; /* of the pool's views when they were made */
};

rp_status rpi_scatter_create(rp_op *op, const rpi_body_scatter *how, rp_op *keys, rp_op *segments) {
  struct rpi_scatter *s = rpi_alloc_zero(sizeof *s);
  if (!s) return rpi_status_nomem("op");
  s->how = *how;
  s->keys = keys;
  s->segments = segments;
  op->scatter = s;
  return RP_OK;
}

static void forget_fits(struct rpi_scatter *s) {
  while (s->fits) {
    fit *f = s->fits;
    s->fits = f->next;
    rpi_alloc_free(f);
  }
}

void rpi_scatter_free(struct rpi_scatter *s) {
  if (!s) return;
  forget_fits(s);
  rpi_alloc_free(s);
}

/* ---- the sort as an op */

static int invert(int64_t dtype, int64_t wide, int64_t rank, const void *key, int64_t n, int64_t e1,
                  int64_t e2, int64_t e3, int64_t e4, int64_t e5, int64_t e6, int64_t e7,
                  void *count, int64_t n_count, void *p0, void *p1, void *p2, void *p3, void *p4,
                  void *p5, void *p6, void *p7) {
  const rpi_invert_space space = {rank, {e1, e2, e3, e4, e5, e6, e7}};
  void *const point[RP_MAX_DIM] = {p0, p1, p2, p3, p4, p5, p6, p7};
  return rpi_invert((rp_dtype)dtype, wide != 0, &space, key, n, count, n_count - 1, point);
}

/* Made at its first use: "invert", with the keys' dtype, the width of what it writes, and the points' axes. */
static rp_status invert_op(rp_context *ctx, rp_dtype dtype, bool wide, int32_t rank, rp_op **out) {
  enum { N_ARGS = 14 + RP_MAX_DIM };
  char name[64], params[200] = "key, count";
  int32_t privilege[2 + RP_MAX_DIM] = {RP_PRIV_READ, RP_PRIV_WRITE};
  rp_opaque_arg arg[N_ARGS] = {{RP_ARG_CONST, 0, 0, 0, dtype},
                               {RP_ARG_CONST, 0, 0, 0, wide},
                               {RP_ARG_CONST, 0, 0, 0, rank},
                               {RP_ARG_PTR, 0, 0, 0, 0},
                               {RP_ARG_SIZE, 0, 0, 0, 0}};
  int32_t n = 5;
  for (int32_t d = 1; d < RP_MAX_DIM; d++) arg[n++] = (rp_opaque_arg){RP_ARG_EXTENT, 0, d, 0, 0};
  arg[n++] = (rp_opaque_arg){RP_ARG_PTR, 1, 0, 0, 0};
  arg[n++] = (rp_opaque_arg){RP_ARG_SIZE, 1, 0, 0, 0};
  for (int32_t d = 0; d < RP_MAX_DIM; d++) /* beyond the rank: anything */
    arg[n++] = (rp_opaque_arg){RP_ARG_PTR, d < rank ? 2 + d : 1, 0, 0, 0};
  for (int32_t d = 0; d < rank; d++) {
    const size_t used = strlen(params);
    snprintf(params + used, sizeof params - used, ", point%d", d);
    privilege[2 + d] = RP_PRIV_WRITE;
  }
  snprintf(name, sizeof name, "invert_%s_%d_%d", rpi_dtype_name(dtype), wide ? 64 : 32, rank);
  const rp_opaque_desc desc = {.struct_size = sizeof desc,
                               .name = name,
                               .params = params,
                               .privileges = privilege,
                               .function = (void (*)(void))invert,
                               .args = arg,
                               .n_args = n,
                               .flags = RP_OPAQUE_DENSE | RP_OPAQUE_STATUS};
  RPI_TRY(rpi_runtime_op_own(ctx, &desc, out));
  (*out)->special = RPI_OP_INVERT;
  return RP_OK;
}

/* ---- fits */

static const rpi_view *array_view(rp_context *ctx, rp_dtype dtype, int32_t ndim,
                                  const int64_t *shape) {
  rpi_geom g;
  rpi_geom_dense(ndim, shape, &g);
  return rpi_view_get(&ctx->pool->views, dtype, ndim, shape, &g);
}

static rp_status fit_fill(rp_context *ctx, const rp_op *op, rp_store *const *stores, fit *f) {
  const struct rpi_scatter *s = op->scatter;
  const rpi_view *to = stores[s->how.dest]->view;
  rpi_body_arg args[RPI_OP_MAX_STORES];
  int64_t shape[RP_MAX_DIM], n = 1;
  for (int32_t i = 0; i < op->n_stores; i++) {
    args[i] = (rpi_body_arg){stores[i]->view->dtype, stores[i]->view->geom};
    f->view[i] = stores[i]->view_id;
  }
  RPI_TRY(rpi_body_points(op->body, args, shape));
  for (int32_t d = 0; d < s->how.rank; d++) n *= shape[d];
  const bool wide = n > INT32_MAX || to->size > INT32_MAX;
  const rp_dtype dtype = wide ? RP_I64 : RP_I32;
  f->number = ++ctx->scatter_fits;
  f->n = to->size;
  f->count = array_view(ctx, dtype, 1, (int64_t[]){to->size + 1});
  f->point = array_view(ctx, dtype, 1, &n);
  if (s->keys) f->key = array_view(ctx, dtype, s->how.rank, shape);
  if (!f->count || !f->point || (s->keys && !f->key)) return RP_ERR_MEMORY;
  rpi_geom_dense(to->geom.ndim, to->geom.shape, &f->first);
  f->end = f->first;
  f->end.offset = 1;
  return invert_op(ctx, s->keys ? dtype : stores[s->how.plain]->view->dtype, wide, s->how.rank,
                   &f->invert);
}

/* The launch is one that the op refuses, or a fit is made. */
static rp_status fit_make(rp_context *ctx, rp_op *op, rp_store *const *stores) {
  struct rpi_scatter *s = op->scatter;
  RPI_TRY(rpi_task_validate(op, stores));
  fit *f = rpi_alloc_zero(sizeof *f + (size_t)op->n_stores * sizeof *f->view);
  if (!f) return rpi_status_nomem("op");
  const rp_status st = fit_fill(ctx, op, stores, f);
  if (st != RP_OK) {
    rpi_alloc_free(f);
    return st;
  }
  f->next = s->fits;
  s->fits = f;
  int32_t n = 1;
  for (fit *last = f; last->next; last = last->next)
    if (++n > MOST_FITS) {
      rpi_alloc_free(last->next);
      last->next = NULL;
      break;
    }
  return RP_OK;
}

/* Leaves the launch's fit in front. */
static rp_status fit_find(rp_context *ctx, rp_op *op, rp_store *const *stores) {
  struct rpi_scatter *s = op->scatter;
  if (RPI_UNLIKELY(s->trims != ctx->pool->views.trims)) forget_fits(s);
  s->trims = ctx->pool->views.trims;
  if (stores[s->how.dest]->buf->klass & RPI_CLASS_READ_ONLY) return rpi_task_validate(op, stores);
  for (fit **at = &s->fits; *at; at = &(*at)->next) {
    fit *f = *at;
    int32_t i = 0;
    while (i < op->n_stores && f->view[i] == stores[i]->view_id) i++;
    if (i < op->n_stores) continue;
    *at = f->next;
    f->next = s->fits;
    s->fits = f;
    return RP_OK;
  }
  return fit_make(ctx, op, stores);
}

/* ---- inverses */

static void name_of(const rp_context *ctx, const struct rpi_scatter *s, rp_store *const *stores,
                    uint64_t name[RPI_KEPT_NAME]) {
  const fit *f = s->fits;
  name[0] = s->keys ? f->number : 0; /* arrays of keys may serve several ops */
  name[1] = s->keys ? 0 : stores[s->how.plain]->view_id;
  name[2] = s->keys ? 0 : (uint64_t)f->n;
  name[3] = s->keys ? 0 : ctx->pool->views.trims;
}

/* The buffers that the subscripts read, or 0 if there are none or too many to keep anything. */
static int32_t inputs_of(const struct rpi_scatter *s, rp_store *const *stores, int32_t n_stores,
                         rpi_buffer *input[RPI_KEPT_INPUTS]) {
  int32_t n = 0;
  for (int32_t i = 0; i < n_stores && !s->how.scalars; i++) {
    if ((s->how.reads >> i & 1) == 0) continue;
    if (n == RPI_KEPT_INPUTS) return 0;
    input[n++] = stores[i]->buf;
  }
  return n;
}

static rp_status make_stores(rp_context *ctx, const struct rpi_scatter *s, rp_store **out) {
  const fit *f = s->fits;
  if (f->key) RPI_TRY(rpi_store_make(ctx->pool, f->key, &out[KEYS]));
  RPI_TRY(rpi_store_make(ctx->pool, f->count, &out[COUNT]));
  RPI_TRY(rpi_store_derive(out[COUNT], &f->first, &out[FIRST]));
  RPI_TRY(rpi_store_derive(out[COUNT], &f->end, &out[END]));
  for (int32_t d = 0; d < s->how.rank; d++)
    RPI_TRY(rpi_store_make(ctx->pool, f->point, &out[POINT + d]));
  return RP_OK;
}

/* The record of that name, at the head of the buffer's; made if there is none. */
static rp_status kept_find(rp_context *ctx, const struct rpi_scatter *s, rpi_buffer *b,
                           const uint64_t name[RPI_KEPT_NAME], rpi_kept **out) {
  int32_t n = 0;
  for (rpi_kept **at = &b->kept; *at; at = &(*at)->next, n++) {
    rpi_kept *k = *at;
    if (memcmp(k->name, name, sizeof k->name) != 0) continue;
    *at = k->next;
    k->next = b->kept;
    b->kept = k;
    *out = k;
    return RP_OK;
  }
  if (n >= MOST_KEPT) rpi_store_kept_trim(b, MOST_KEPT - 1);
  rpi_kept *k = rpi_store_keep(b);
  if (!k) return rpi_status_nomem("the inverse of an index array");
  memcpy(k->name, name, sizeof k->name);
  const rp_status st = make_stores(ctx, s, k->store);
  if (st != RP_OK) {
    rpi_store_kept_trim(b, 0); /* the newest is among them: memory is short */
    return st;
  }
  *out = k;
  return RP_OK;
}

/* It has been launched for what the buffers hold at this point of the program, and has run or will before what follows. */
static bool holds(const rp_context *ctx, const rpi_kept *k, rpi_buffer *const *input, int32_t n) {
  const rpi_buffer *count = k->store[COUNT]->buf;
  for (int32_t i = 0; i < n; i++)
    if (k->input[i] != input[i] || k->version[i] != input[i]->version ||
        rpi_segment_writes(ctx, input[i]))
      return false;
  return count->version != k->before || rpi_segment_writes(ctx, count);
}

static rp_status launch_inverse(rp_context *ctx, const rp_op *op, rp_store *const *stores,
                                const void *const *scalars, rp_store *const *made,
                                uint64_t *before) {
  const struct rpi_scatter *s = op->scatter;
  rp_op *const keys = s->keys, *const sort = s->fits->invert;
  rp_store *arg[RPI_OP_MAX_STORES + 1];
  ctx->stats.inversions++;
  if (keys) {
    memcpy(arg, stores, sizeof(*arg) * (size_t)op->n_stores);
    arg[op->n_stores] = made[KEYS];
    RPI_TRY(rpi_segment_launch(ctx, keys, arg, scalars));
  }
  *before = made[COUNT]->buf->version;
  arg[0] = keys ? made[KEYS] : stores[s->how.plain];
  arg[1] = made[COUNT];
  for (int32_t d = 0; d < s->how.rank; d++) arg[2 + d] = made[POINT + d];
  return rpi_segment_launch(ctx, sort, arg, NULL);
}

static rp_status launch_segments(rp_context *ctx, const rp_op *op, rp_store *const *stores,
                                 const void *const *scalars, rp_store *const *made) {
  const struct rpi_scatter *s = op->scatter;
  rp_store *arg[RPI_OP_MAX_STORES + 2 + RP_MAX_DIM];
  memcpy(arg, stores, sizeof(*arg) * (size_t)op->n_stores);
  arg[op->n_stores] = made[FIRST];
  arg[op->n_stores + 1] = made[END];
  for (int32_t d = 0; d < s->how.rank; d++) arg[op->n_stores + 2 + d] = made[POINT + d];
  return rpi_segment_launch(ctx, s->segments, arg, scalars);
}

static rp_status launch_kept(rp_context *ctx, const rp_op *op, rp_store *const *stores,
                             const void *const *scalars, rpi_buffer *const *input, int32_t n) {
  const struct rpi_scatter *s = op->scatter;
  uint64_t name[RPI_KEPT_NAME];
  rpi_kept *k = NULL;
  name_of(ctx, s, stores, name);
  RPI_TRY(kept_find(ctx, s, input[0], name, &k));
  if (!holds(ctx, k, input, n)) {
    for (int32_t i = 0; i < n; i++) { /* 0: what it is made of has no name yet */
      k->input[i] = input[i];
      k->version[i] = rpi_segment_writes(ctx, input[i]) ? 0 : input[i]->version;
    }
    const rp_status st = launch_inverse(ctx, op, stores, scalars, k->store, &k->before);
    if (st != RP_OK) {
      k->version[0] = 0;
      return st;
    }
  }
  return launch_segments(ctx, op, stores, scalars, k->store);
}

static rp_status launch_once(rp_context *ctx, const rp_op *op, rp_store *const *stores,
                             const void *const *scalars) {
  rp_store *made[RPI_KEPT_STORES] = {NULL};
  uint64_t before;
  rp_status st = make_stores(ctx, op->scatter, made);
  if (st == RP_OK) st = launch_inverse(ctx, op, stores, scalars, made, &before);
  if (st == RP_OK) st = launch_segments(ctx, op, stores, scalars, made);
  for (int32_t i = 0; i < RPI_KEPT_STORES; i++)
    if (made[i]) rpi_store_release(made[i]);
  return st;
}

rp_status rpi_scatter_launch(rp_context *ctx, rp_op *op, rp_store *const *stores,
                             const void *const *scalars) {
  rpi_buffer *input[RPI_KEPT_INPUTS];
  RPI_TRY(fit_find(ctx, op, stores));
  const int32_t n = inputs_of(op->scatter, stores, op->n_stores, input);
  return n > 0 ? launch_kept(ctx, op, stores, scalars, input, n)
               : launch_once(ctx, op, stores, scalars);
}
