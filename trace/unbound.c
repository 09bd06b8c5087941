/* SPDX-License-Identifier: Apache-2.0
 * trace/unbound.c -- see unbound.h. */
#include "trace/unbound.h"

#include <string.h>

#include "core/comm/collect.h"
#include "core/comm/route.h"
#include "core/exec/opaque.h"
#include "core/exec/pieces.h"
#include "core/model/residence.h"
#include "trace/context.h"
#include "trace/places.h"

/* ---- making and launching ---- */

/* The whole of an array like s's with so many rows. */
static const rpi_view *view_of(const rp_store *s, int64_t rows) {
  const rpi_view *v = s->view;
  int64_t shape[RP_MAX_DIM];
  rpi_geom g;
  memcpy(shape, v->bshape, sizeof shape);
  shape[0] = rows;
  rpi_geom_dense(v->bdim, shape, &g);
  return rpi_view_get(&s->buf->pool->views, v->dtype, v->bdim, shape, &g);
}

rp_status rpi_unbound_create(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *row,
                             rp_store **out) {
  int64_t shape[RP_MAX_DIM] = {0};
  for (int32_t d = 1; d < ndim; d++) shape[d] = row[d - 1];
  RPI_TRY(rpi_store_new(ctx->pool, dtype, ndim, shape, out));
  (*out)->magic = RPI_MAGIC_UNBOUND;
  return RP_OK;
}

static rp_status refuse(rp_status st, const rp_op *op, int32_t i, const char *why) {
  char name[RPI_OP_PARAM];
  return rpi_status_fail(st, "%s.%s: %s %s", op->lib->name, op->name,
                         rpi_op_param(op, i, false, name), why);
}

/* Room for what the launch may make, and a place for what it does make. */
static rp_status prepare(const rp_op *op, rp_store *const *stores, int32_t k) {
  const int32_t i = rpi_opaque_unbound(op->opaque, k);
  const rp_constraint *c = rpi_opaque_room(op->opaque, k);
  const rpi_geom *from = &stores[c->b]->view->geom;
  rp_store *s = stores[i];
  int64_t rows, row, bytes;
  if (!rpi_unbound_is(s)) return refuse(RP_ERR_STATE, op, i, "is to be sized, but has a size");
  if (s->made) return refuse(RP_ERR_ACCESS, op, i, "is written twice");
  if (from->ndim == 0) return refuse(RP_ERR_SHAPE, op, c->b, "has no rows");
  rpi_geom one = s->view->geom;
  one.shape[0] = 1;
  row = rpi_geom_size(&one);
  if (__builtin_mul_overflow(from->shape[0], c->factor, &rows) ||
      __builtin_mul_overflow(rows, row, &bytes) ||
      __builtin_mul_overflow(bytes, (int64_t)rpi_dtype_size(s->view->dtype), &bytes))
    return refuse(RP_ERR_SHAPE, op, i, "may get more than 2^63-1 bytes");
  const rpi_view *v = view_of(s, rows);
  if (!v) return RP_ERR_MEMORY;
  RPI_TRY(rpi_store_new(s->buf->pool, RP_I64, 1, (int64_t[]){RPI_PIECES_WORDS}, &s->made));
  rpi_store_reshape(s, v);
  return RP_OK;
}

/* The launch was refused: the first n outputs are without a size again. */
static void undo(const rp_op *op, rp_store *const *stores, int32_t n) {
  for (int32_t k = 0; k < n; k++) {
    rp_store *s = stores[rpi_opaque_unbound(op->opaque, k)];
    const rpi_view *v = view_of(s, 0);
    if (v) rpi_store_reshape(s, v);
    rpi_store_release(s->made);
    s->made = NULL;
  }
}

rp_status rpi_unbound_launch(rp_op *op, rp_store *const *stores, const void *const *scalars) {
  const int32_t n = op->n_stores - op->n_unbound;
  rp_store *all[RPI_OP_MAX_STORES];
  for (int32_t i = 0; i < n; i++) {
    all[i] = stores[i];
    if (rpi_unbound_is(all[i]) && (op->privilege[i] != RP_PRIV_UNBOUND || all[i]->made))
      RPI_TRY(rpi_unbound_settle(op->ctx, all[i]));
  }
  for (int32_t k = 0; k < op->n_unbound; k++) {
    const rp_status st = prepare(op, all, k);
    if (st != RP_OK) {
      undo(op, all, k);
      return st;
    }
    all[n + k] = all[rpi_opaque_unbound(op->opaque, k)]->made;
  }
  const rp_status st = rpi_segment_launch(op->ctx, op, all, scalars);
  if (st != RP_OK) undo(op, all, op->n_unbound);
  return st;
}

/* ---- settling ---- */

/* This rank's rows, what lies before them, and where they are to go. */
typedef struct piece {
  rp_store *store;
  const rpi_view *now;
  const char *data; /* the rows that this rank made */
  int64_t elem, row;
  int64_t before, made, all; /* rows */
} piece;

/* Rows that fit tightly stay where they were made. */
static rp_status keep_memory(const piece *p) {
  rpi_buffer *b = p->store->buf;
  const int64_t bytes = p->all * p->row * p->elem;
  if (b->inst->bytes <= 2 * bytes) return RP_OK;
  rpi_instance *own = bytes > 0 ? rpi_store_instance(b->pool, bytes, NULL) : NULL;
  if (bytes > 0 && !own) return RP_ERR_MEMORY;
  if (own) {
    rp_status st = rpi_residence_host(b->pool, own, RPI_USE_OVERWRITE);
    if (st != RP_OK) {
      rpi_store_instance_release(b->pool, own);
      return st;
    }
    memcpy(own->data, p->data, (size_t)bytes);
  }
  rpi_store_instance_release(b->pool, b->inst);
  b->inst = own;
  return RP_OK;
}

static void put_behind(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  (void)arg;
  if (m > 0) memcpy((char *)into + *n, from, (size_t)m);
  *n += m;
}

/* A small array: every rank gets all of it. */
static rp_status join_all(rp_context *ctx, const piece *p, char *data) {
  const int64_t room = p->all * p->row * p->elem;
  int64_t bytes = p->made * p->row * p->elem;
  if (bytes > 0) memcpy(data, p->data, (size_t)bytes);
  return room > 0 ? rpi_collect_merge(ctx->comm, data, &bytes, room, put_behind, NULL) : RP_OK;
}

/* Elements from..to-1 of the array, for each rank that is to have some of this rank's. */
static bool announce(const piece *p, const rpi_cuts *c, rpi_route_list *list) {
  const int64_t end = (p->before + p->made) * p->row;
  for (int64_t at = p->before * p->row, to; at < end; at = to) {
    const int32_t peer = rpi_cuts_owner(c, at);
    to = rpi_cuts_at(c, peer + 1) < end ? rpi_cuts_at(c, peer + 1) : end;
    if (!rpi_route_add(list, peer, (int64_t[4]){at, to})) return false;
  }
  return true;
}

/* What this rank gets, as the list says, and what it sends, as the cuts say; its own it takes along. */
static int32_t messages_of(const piece *p, const rpi_cuts *c, int32_t rank,
                           const rpi_route_list *list, char *data, rpi_message *m) {
  const int64_t first = p->before * p->row, end = first + p->made * p->row;
  int32_t n = 0;
  for (int32_t i = 0; i < list->n; i++) {
    const rpi_route_record *r = &list->records[i];
    const int64_t at = r->word[0] * p->elem, bytes = (r->word[1] - r->word[0]) * p->elem;
    if (r->from == rank)
      memcpy(data + at, p->data + at - first * p->elem, (size_t)bytes);
    else
      m[n++] = (rpi_message){.data = data + at, .bytes = bytes, .peer = r->from};
  }
  for (int64_t at = first, to; at < end; at = to) {
    const int32_t peer = rpi_cuts_owner(c, at);
    to = rpi_cuts_at(c, peer + 1) < end ? rpi_cuts_at(c, peer + 1) : end;
    if (peer != rank)
      m[n++] = (rpi_message){.data = (char *)p->data + (at - first) * p->elem,
                             .bytes = (to - at) * p->elem,
                             .peer = peer,
                             .send = true};
  }
  return n;
}

/* A large one: every rank gets its part. Who has it only he knows. */
static rp_status deal_out(rp_context *ctx, const piece *p, const rpi_cuts *c, char *data) {
  rpi_route_list list = {0};
  rp_status st = announce(p, c, &list) ? RP_OK : rpi_status_nomem("records of other ranks");
  const int32_t sends = list.n;
  if (st == RP_OK) st = rpi_route_records(ctx->comm, &list);
  rpi_message *m = st == RP_OK ? rpi_alloc_zero(sizeof *m * (size_t)(sends + list.n + 1)) : NULL;
  if (st == RP_OK && !m) st = rpi_status_nomem("messages");
  if (st == RP_OK) {
    const int32_t n = messages_of(p, c, rpi_comm_rank(ctx->comm), &list, data, m);
    for (int32_t i = 0; i < n; i++) {
      ctx->stats.messages += m[i].send;
      ctx->stats.bytes_sent += m[i].send ? m[i].bytes : 0;
    }
    st = rpi_comm_start(ctx->comm, m, n);
    if (st == RP_OK) st = rpi_comm_finish(ctx->comm, m, n);
  }
  rpi_alloc_free(m);
  rpi_alloc_free(list.records);
  return st;
}

/* Every rank made some rows: they move to where the whole's tiling has them. */
static rp_status retile(rp_context *ctx, const piece *p) {
  rpi_buffer *b = p->store->buf;
  rpi_cuts c;
  uint32_t place = RPI_PLACE_WHOLE;
  if (rpi_places_default(ctx, p->now, &c)) {
    place = rpi_places_line(ctx, &c);
    if (place == RPI_PLACE_WHOLE) return RP_ERR_MEMORY;
  }
  const int64_t bytes = p->all * p->row * p->elem;
  rpi_instance *own = bytes > 0 ? rpi_store_instance(b->pool, bytes, NULL) : NULL;
  if (bytes > 0 && !own) return RP_ERR_MEMORY;
  rp_status st = own ? rpi_residence_host(b->pool, own, RPI_USE_OVERWRITE) : RP_OK;
  if (own && st == RP_OK)
    st = place == RPI_PLACE_WHOLE ? join_all(ctx, p, own->data) : deal_out(ctx, p, &c, own->data);
  rpi_store_instance_release(b->pool, b->inst);
  b->inst = own;
  b->place = place;
  return st;
}

/* What the writer made, as this rank knows it. */
static rpi_pieces_made made_by(rp_context *ctx, const rp_store *s) {
  const rpi_instance *i = s->made->buf->inst;
  rpi_pieces_made made = {0};
  if (rpi_comm_dry(ctx->comm))
    made.rows = s->view->geom.shape[0]; /* a stub: all there is room for */
  else if (i && !s->buf->poison)
    memcpy(&made, i->data, sizeof made);
  return made;
}

static rp_status take_size(rp_context *ctx, rp_store *s) {
  rpi_buffer *b = s->buf;
  rpi_instance *number = s->made->buf->inst;
  if (number) RPI_TRY(rpi_residence_host(b->pool, number, RPI_USE_READ));
  const rpi_pieces_made made = made_by(ctx, s);
  rpi_geom one = s->view->geom;
  one.shape[0] = 1;
  piece p = {.store = s,
             .made = made.rows,
             .all = made.rows,
             .elem = rpi_dtype_size(s->view->dtype),
             .row = rpi_geom_size(&one)};
  if (made.part) RPI_TRY(rpi_collect_scan(ctx->comm, made.rows, &p.before, &p.all));
  p.now = view_of(s, p.all);
  if (!p.now) return RP_ERR_MEMORY;
  if (b->inst) {
    RPI_TRY(rpi_residence_host(b->pool, b->inst, RPI_USE_READ));
    p.data = (const char *)b->inst->data + made.first * p.row * p.elem;
    RPI_TRY(made.part ? retile(ctx, &p) : keep_memory(&p));
  }
  rpi_store_reshape(s, p.now);
  return RP_OK;
}

rp_status rpi_unbound_settle(rp_context *ctx, rp_store *s) {
  if (!rpi_unbound_is(s)) return RP_OK;
  if (!s->made)
    return rpi_status_fail(RP_ERR_STATE, "the store is unbound, and nothing has been launched that "
                                         "gives it a size");
  RPI_TRY(rpi_segment_settle(ctx, s->made->buf, RPI_REASON_CUT_SIZE));
  const rp_status st = take_size(ctx, s);
  if (st != RP_OK) return ctx->comm ? rpi_places_failed(ctx, st) : st;
  s->buf->unread = s->made->buf->unread = NULL;
  s->buf->version = ++s->buf->pool->versions;
  rpi_store_release(s->made);
  s->made = NULL;
  s->magic = RPI_MAGIC_STORE;
  return RP_OK;
}
