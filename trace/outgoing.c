/* SPDX-License-Identifier: Apache-2.0
 * trace/outgoing.c -- see outgoing.h. */
#include "trace/outgoing.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/comm/route.h"
#include "core/model/residence.h"
#include "trace/calls.h"
#include "trace/checkpoint.h"
#include "trace/places.h"
#include "trace/poison.h"
#include "trace/segment.h"

typedef struct taking {
  const rp_store *store;
  rpi_comm *comm;
  int64_t lo, n; /* elements of the view, in C order */
  char *data;    /* the caller's */
  int32_t elem;
  rpi_cuts cuts;       /* who holds which */
  rpi_route_list list; /* what we want of others; then what others want of us: words are from, to */
  rpi_message *message;
  int32_t n_messages;
  char *packed; /* what we send */
} taking;

static void pack(const taking *t, int64_t lo, int64_t n, char *to) {
  const rp_store *s = t->store;
  rpi_store_pack_part(s->buf->inst->data, &s->view->geom, t->elem, lo, n, to);
}

/* Our own elements; a record and a message for each other rank that has some. */
static rp_status want(taking *t) {
  const int64_t end = t->lo + t->n;
  for (int64_t i = t->lo; i < end;) {
    const int32_t r = rpi_cuts_owner(&t->cuts, i);
    const int64_t next = rpi_cuts_at(&t->cuts, r + 1), to = next < end ? next : end;
    if (r == rpi_comm_rank(t->comm))
      pack(t, i, to - i, t->data + (i - t->lo) * t->elem);
    else if (!rpi_route_add(&t->list, r, (int64_t[4]){i, to, 0, 0}))
      return rpi_status_nomem("a share");
    i = to;
  }
  t->message = rpi_alloc(sizeof *t->message * ((size_t)t->list.n + 1));
  if (!t->message) return rpi_status_nomem("a share");
  for (int32_t i = 0; i < t->list.n; i++) {
    const rpi_route_record *r = &t->list.records[i];
    t->message[t->n_messages++] = (rpi_message){.data = t->data + (r->word[0] - t->lo) * t->elem,
                                                .bytes = (r->word[1] - r->word[0]) * t->elem,
                                                .peer = r->to};
  }
  return RP_OK;
}

/* What others want of us, behind each other. */
static rp_status give(taking *t) {
  int64_t bytes = 0;
  for (int32_t i = 0; i < t->list.n; i++)
    bytes += (t->list.records[i].word[1] - t->list.records[i].word[0]) * t->elem;
  rpi_message *all =
      rpi_alloc_resize(t->message, sizeof *all * (size_t)(t->n_messages + t->list.n + 1));
  if (all) t->message = all;
  t->packed = rpi_alloc((size_t)bytes + 1);
  if (!all || !t->packed) return rpi_status_nomem("a share");
  char *at = t->packed;
  for (int32_t i = 0; i < t->list.n; i++) {
    const rpi_route_record *r = &t->list.records[i];
    const int64_t n = r->word[1] - r->word[0];
    pack(t, r->word[0], n, at);
    all[t->n_messages++] =
        (rpi_message){.data = at, .bytes = n * t->elem, .peer = r->from, .send = true};
    at += n * t->elem;
  }
  return RP_OK;
}

/* Memory for what is sent may be short on one rank alone: that is fatal, as messages that fail are. */
static rp_status move(taking *t) {
  RPI_TRY(rpi_route_records(t->comm, &t->list));
  RPI_TRY(give(t));
  RPI_TRY(rpi_comm_start(t->comm, t->message, t->n_messages));
  return rpi_comm_finish(t->comm, t->message, t->n_messages);
}

/* Where parts have a closed form, they go where they are wanted; else each rank gets all. */
static rp_status take(rp_context *ctx, taking *t, rp_status mine) {
  rpi_buffer *b = t->store->buf;
  const rpi_view *v = t->store->view;
  bool heard, parts;
  RPI_TRY(rpi_checkpoint_parts(ctx, b, v, &t->cuts, &parts));
  if (mine == RP_OK && parts) mine = want(t);
  RPI_TRY(rpi_checkpoint_agree(ctx, mine, &(rpi_verdict){0}, &heard));
  if (parts) return rpi_places_failed(ctx, move(t));
  RPI_TRY(rpi_places_gather(ctx, b));
  if (b->inst)
    pack(t, t->lo, t->n, t->data);
  else if (t->n > 0)
    memset(t->data, 0, (size_t)(t->n * t->elem));
  return RP_OK;
}

rp_status rpi_outgoing_share(rp_context *ctx, rp_store *s, rp_status mine, int64_t lo, int64_t n,
                             void *data) {
  taking t = {.store = s,
              .comm = ctx->comm,
              .lo = lo,
              .n = mine == RP_OK ? n : 0,
              .data = data,
              .elem = rpi_dtype_size(s->view->dtype)};
  RPI_TRY(rpi_segment_settle(ctx, s->buf, RPI_REASON_CUT_READ));
  s->buf->unread = NULL;
  if (rpi_comm_dry(ctx->comm)) {
    if (t.n > 0) memset(data, 0, (size_t)(t.n * t.elem));
    return mine;
  }
  if (s->buf->poison)
    return rpi_status_fail(RP_ERR_DATA, "the data are poisoned: %s", s->buf->poison);
  if (s->buf->inst) RPI_TRY(rpi_residence_host(s->buf->pool, s->buf->inst, RPI_USE_READ));
  const rp_status st = take(ctx, &t, mine);
  rpi_alloc_free(t.message);
  rpi_alloc_free(t.list.records);
  rpi_alloc_free(t.packed);
  uint8_t *bytes = data; /* shared copies may hold bytes as they were attached or written */
  for (int64_t i = 0; st == RP_OK && s->view->dtype == RP_BOOL && i < n; i++)
    bytes[i] = bytes[i] != 0;
  return st;
}

/* ---- the same on all ranks ---- */

/* What is read in a dry run. */
static void fill_stub(rp_dtype t, int64_t value, int64_t n, char *data) {
  const int32_t elem = rpi_dtype_size(t);
  const double d = (double)value;
  const float f = (float)value;
  const int64_t bit = value != 0;
  const void *one = t == RP_F64    ? (const void *)&d
                    : t == RP_F32  ? (const void *)&f
                    : t == RP_BOOL ? (const void *)&bit
                                   : &value;
  for (int64_t i = 0; i < n; i++) memcpy(data + i * elem, one, (size_t)elem);
}

rp_status rpi_outgoing_box(rp_context *ctx, const char *call, rp_store *s, const rpi_geom *box,
                           void *data) {
  rpi_buffer *b = s->buf;
  const int64_t n = rpi_geom_size(box);
  rpi_calls_note(ctx, RPI_CALLS_READ, s);
  RPI_TRY(rpi_segment_settle(ctx, b, RPI_REASON_CUT_READ));
  b->unread = NULL;
  if (b->poison) return rpi_poison_refuse(call, b);
  if (b->inst)
    RPI_TRY(rpi_places_read(ctx, b, box, data));
  else if (rpi_comm_dry(ctx->comm))
    fill_stub(s->view->dtype, ctx->config.stub, n, data);
  else if (n > 0 && data)
    memset(data, 0, (size_t)(n * rpi_dtype_size(s->view->dtype)));
  if (s->view->dtype == RP_BOOL &&
      data) /* shared copies may hold bytes as they were attached or written */
    for (int64_t i = 0; i < n; i++) ((uint8_t *)data)[i] = ((uint8_t *)data)[i] != 0;
  return RP_OK;
}
