/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/follow.c -- see follow.h. */
#include "bindings/c/follow.h"

#include <string.h>

#include "trace/places.h"

enum { SMALL = 4096 /* bytes that travel in a record */ };

static const uint8_t rules[RPI_N_FOLLOW] = {
#define RPI_FOLLOW(kind, function, rule) [RPI_FOLLOW_##kind] = RPI_FOLLOW_##rule,
#include "bindings/c/follow.def"
#undef RPI_FOLLOW
};

/* ---- beginning and ending ---- */

static void *begin(rp_context *ctx, rpi_follow_kind kind, int32_t arg, size_t bytes) {
  if (rules[kind] != RPI_FOLLOW_AFTER) ctx->told = rules[kind];
  return rpi_crew_begin(ctx->crew, (int32_t)kind, arg, bytes)->data;
}

static void tell(rp_context *ctx) { rpi_crew_tell(ctx->crew); }

/* The record has addresses of the program. */
static void tell_and_wait(rp_context *ctx) {
  tell(ctx);
  ctx->lends = true;
}

/* What the program may have written into memory that it lent comes to the followers' before the store is used. */
static void renew(rp_context *ctx, const rp_store *s) {
  if (RPI_LIKELY(!s->buf->theirs)) return;
  s->buf->theirs = false;
  const void **data = begin(ctx, RPI_FOLLOW_RENEW, s->index, sizeof *data);
  *data = s->buf->home->data;
  tell(ctx);
  rpi_crew_wait(ctx->crew); /* from now on tasks of rank 0 may change it */
}

/* Failures that a rank finds alone. */
static bool is_own(rp_status st) {
  return st == RP_ERR_MEMORY || st == RP_ERR_DEVICE || st == RP_ERR_INTERNAL;
}

rp_status rpi_follow_leave(rp_context *ctx, rp_status st) {
  const int32_t told = ctx->told;
  const bool waits = ctx->lends || ctx->functions != ctx->functions_done;
  ctx->told = 0;
  ctx->lends = false;
  ctx->functions_done = ctx->functions;
  if (told == RPI_FOLLOW_ALIKE && is_own(st)) rpi_places_failed(ctx, st);
  if (!waits) return st;
  rpi_crew_wait(ctx->crew);
  return told && st == RP_OK ? rpi_crew_check(ctx) : st;
}

/* ---- handles ---- */

void rpi_follow_create(rp_context *ctx, rpi_follow_kind kind, rp_dtype dtype, int32_t ndim,
                       const int64_t *shape, const rp_store *made) {
  rpi_follow_array *a = begin(ctx, kind, made->index, sizeof *a);
  a->dtype = dtype;
  a->ndim = ndim;
  const int32_t n = kind == RPI_FOLLOW_UNBOUND ? ndim - 1 : ndim;
  for (int32_t d = 0; d < n; d++) a->shape[d] = shape[d];
  tell(ctx);
}

void rpi_follow_view(rp_context *ctx, const rp_store *of, const rpi_geom *g, const rp_store *made) {
  rpi_follow_geom *v = begin(ctx, RPI_FOLLOW_VIEW, made->index, sizeof *v);
  v->of = of->index;
  v->geom = *g;
  tell(ctx);
}

void rpi_follow_store(rp_context *ctx, rpi_follow_kind kind, const rp_store *s) {
  begin(ctx, kind, s->index, 0);
  tell(ctx);
}

void rpi_follow_drain(rp_context *ctx, rp_store *released) {
  for (const rp_store *s = released; s; s = s->next)
    rpi_follow_store(ctx, RPI_FOLLOW_RELEASE_ANY, s);
}

void rpi_follow_op_made(const rp_op *op, const char *body) {
  rpi_follow_op *o = begin(op->ctx, RPI_FOLLOW_OP, (int32_t)op->id, sizeof *o);
  *o = (rpi_follow_op){op->lib->name, op->name, op->params, body};
  tell_and_wait(op->ctx);
}

void rpi_follow_opaque_made(const rp_op *op, const rp_opaque_desc *desc) {
  rpi_follow_opaque *o = begin(op->ctx, RPI_FOLLOW_OPAQUE, (int32_t)op->id, sizeof *o);
  *o = (rpi_follow_opaque){op->lib->name, desc};
  tell_and_wait(op->ctx);
}

/* ---- tasks ---- */

rp_status rpi_follow_launch_of(const rp_op *op, rp_store *const *stores, int32_t n_stores,
                               const void *const *scalars, uint64_t made) {
  rp_context *ctx = op->ctx;
  RPI_TRY(rpi_crew_check(ctx));
  for (int32_t i = 0; i < n_stores; i++) renew(ctx, stores[i]);
  const size_t words = (size_t)(op->n_scalars + (n_stores + 1) / 2);
  rpi_follow_launch *l =
      begin(ctx, RPI_FOLLOW_LAUNCH, (int32_t)op->id, sizeof *l + words * sizeof l->value[0]);
  l->made = made;
  l->n_stores = n_stores;
  l->n_scalars = op->n_scalars;
  for (int32_t i = 0; i < op->n_scalars; i++) memcpy(&l->value[i], scalars[i], op->scalar_size[i]);
  int32_t *index = (int32_t *)(l->value + op->n_scalars);
  for (int32_t i = 0; i < n_stores; i++) index[i] = stores[i]->index;
  tell(ctx);
  return RP_OK;
}

rp_status rpi_follow_call(rp_context *ctx, rpi_follow_kind kind, int64_t number) {
  RPI_TRY(rpi_crew_check(ctx));
  int64_t *n = begin(ctx, kind, 0, sizeof *n);
  *n = number;
  if (kind == RPI_FOLLOW_BEGIN || kind == RPI_FOLLOW_END)
    tell(ctx);
  else
    tell_and_wait(ctx);
  return RP_OK;
}

rp_status rpi_follow_use(rp_context *ctx, rpi_follow_kind kind, rp_store *s) {
  RPI_TRY(rpi_crew_check(ctx));
  if (kind != RPI_FOLLOW_HOME) renew(ctx, s);
  rpi_follow_store(ctx, kind, s);
  return RP_OK;
}

rp_status rpi_follow_repeated(rp_context *ctx, int64_t trace, rp_store *go, int64_t most) {
  RPI_TRY(rpi_crew_check(ctx));
  renew(ctx, go);
  rpi_follow_repeat *r = begin(ctx, RPI_FOLLOW_REPEAT, go->index, sizeof *r);
  *r = (rpi_follow_repeat){trace, most};
  tell(ctx);
  return RP_OK;
}

/* ---- values ---- */

rp_status rpi_follow_read(rp_context *ctx, rp_store *s, const rpi_geom *g) {
  RPI_TRY(rpi_crew_check(ctx));
  rpi_follow_geom *r = begin(ctx, RPI_FOLLOW_READ, s->index, sizeof *r);
  r->geom = *g;
  tell(ctx);
  return RP_OK;
}

rp_status rpi_follow_write(rp_context *ctx, rp_store *s, const rpi_geom *g, const void *data) {
  const size_t bytes = (size_t)(rpi_geom_size(g) * rpi_dtype_size(s->view->dtype));
  const bool small = bytes <= SMALL;
  RPI_TRY(rpi_crew_check(ctx));
  renew(ctx, s);
  rpi_follow_geom *w = begin(ctx, RPI_FOLLOW_WRITE, s->index, sizeof *w + (small ? bytes : 0));
  w->geom = *g;
  w->data = small ? NULL : data;
  if (!small) {
    tell_and_wait(ctx);
    return RP_OK;
  }
  if (bytes > 0) memcpy(w->value, data, bytes);
  tell(ctx);
  return RP_OK;
}

/* ---- memory of others ---- */

void rpi_follow_attached(rp_context *ctx, const rp_store *s) {
  rpi_follow_attach *t = begin(ctx, RPI_FOLLOW_ATTACH, s->index, sizeof *t);
  const rpi_buffer *b = s->buf;
  t->array = (rpi_lent_array){.dtype = b->base->dtype,
                              .ndim = b->base->bdim,
                              .data = b->home->data,
                              .readonly = b->klass & RPI_CLASS_READ_ONLY};
  memcpy(t->array.shape, b->base->bshape, sizeof t->array.shape);
  t->viewed = !s->view->whole;
  t->geom = s->view->geom;
  tell_and_wait(ctx);
}

rp_status rpi_follow_exported(rp_context *ctx, rp_store *s, const rp_export_desc *d, bool legacy) {
  RPI_TRY(rpi_crew_check(ctx));
  renew(ctx, s);
  rpi_follow_export *e = begin(ctx, RPI_FOLLOW_EXPORT, s->index, sizeof *e);
  e->desc = *d;
  e->legacy = legacy;
  tell(ctx);
  return RP_OK;
}

/* ---- files ---- */

rp_status rpi_follow_saved(rp_context *ctx, rpi_follow_kind kind, const char *path, int32_t n,
                           const char *const *names, rp_store *const *stores) {
  RPI_TRY(rpi_crew_check(ctx));
  for (int32_t i = 0; i < n; i++) renew(ctx, stores[i]);
  rpi_follow_files *f = begin(ctx, kind, n, sizeof *f);
  *f = (rpi_follow_files){path, names, stores};
  tell_and_wait(ctx);
  return RP_OK;
}
