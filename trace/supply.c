/* SPDX-License-Identifier: Apache-2.0
 * trace/supply.c -- see supply.h. */
#include "trace/supply.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/comm/collect.h"
#include "core/comm/route.h"
#include "trace/checkpoint.h"
#include "trace/places.h"
#include "trace/incoming.h"

enum { BLOCK = 1 << 20 }; /* bytes that are asked for at a time */

/* ---- the end of both ---- */

static bool is_integer(rp_dtype t) {
  const int32_t kind = rpi_dtype_kind(t);
  return kind == RPI_KIND_I || kind == RPI_KIND_U;
}

/* All ranks have come to the status `st`: if it is good, the elements become the store's. */
static rp_status finish(rp_context *ctx, rpi_incoming *in, rp_status st) {
  if (st == RP_OK) rpi_incoming_commit(ctx, in);
  rpi_incoming_close(in);
  /* Integers may be indices: their range is found here, not in the first pass of a loop. */
  const rpi_view *view = in->store->view;
  if (st == RP_OK && view->covers && is_integer(view->dtype))
    st = rpi_places_index_range(ctx, in->store->buf);
  return st;
}

/* Of a dry run only where the array would be is known. */
static rp_status pretend(rp_context *ctx, rp_store *s) {
  if (s->view->covers) RPI_TRY(rpi_places_host(ctx, s->buf, &s->buf->place));
  rpi_store_touch(s->buf);
  return RP_OK;
}

/* ---- elements that are asked for ---- */

static rp_status ask(char *to, int64_t lo, int64_t n, rp_supply_fn *fn, void *arg) {
  rpi_status_fail(RP_OK, "%s", ""); /* what it leaves there is its own */
  const rp_status st = fn(arg, lo, n, to);
  if (RPI_LIKELY(st == RP_OK)) return RP_OK;
  if (st > 0 || !rpi_status_message()[0])
    return rpi_status_fail(st > 0 ? RP_ERR_ARGUMENT : st,
                           "the function returned %d for elements %lld to %lld", st, (long long)lo,
                           (long long)(lo + n - 1));
  return st;
}

rp_status rpi_supply_ask(rp_context *ctx, rp_store *s, rp_supply_fn *fn, void *arg) {
  RPI_TRY(rpi_segment_settle(ctx, s->buf, RPI_REASON_CUT_WRITE));
  if (rpi_comm_dry(ctx->comm)) return pretend(ctx, s);
  RPI_TRY(rpi_incoming_prepare(ctx, s));
  bool heard;
  rpi_incoming in = {.store = s};
  rp_status st = rpi_incoming_open(ctx, &in, false);
  const int64_t block = BLOCK / rpi_dtype_size(s->view->dtype);
  for (int64_t i = in.lo; i < in.hi && st == RP_OK; i += block) {
    const int64_t n = in.hi - i < block ? in.hi - i : block;
    st = ask(rpi_incoming_at(&in, i), i, n, fn, arg);
    if (ctx->comm) rpi_comm_poll(ctx->comm); /* others who wait may ask whether we are alive */
  }
  return finish(ctx, &in, rpi_checkpoint_agree(ctx, st, &(rpi_verdict){0}, &heard));
}

/* ---- elements that ranks have in shares ---- */

/* A share on its way: elements before..before+n-1 of the store, at `data`. */
typedef struct sharing {
  rpi_comm *comm;
  rpi_incoming *in;
  const char *data;
  int64_t before, n;
  int32_t elem;
  rpi_cuts cuts;       /* who gets what in the first place */
  rpi_route_list list; /* pieces of ours; then of others, for us: words are from, to */
  rpi_message *message;
  int32_t n_messages;
} sharing;

/* A record for each rank that gets elements of our share. */
static rp_status cut_share(sharing *s) {
  const int64_t end = s->before + s->n;
  for (int64_t i = s->before; i < end;) {
    const int32_t r = rpi_cuts_owner(&s->cuts, i);
    const int64_t next = rpi_cuts_at(&s->cuts, r + 1), to = next < end ? next : end;
    if (!rpi_route_add(&s->list, r, (int64_t[4]){i, to, 0, 0})) return rpi_status_nomem("a share");
    i = to;
  }
  return RP_OK;
}

/* Our pieces for others are sent; before their records go. */
static rp_status begin(sharing *s) {
  s->message = rpi_alloc(sizeof *s->message * ((size_t)s->list.n + 1));
  if (!s->message) return rpi_status_nomem("a share");
  for (int32_t i = 0; i < s->list.n; i++) {
    const rpi_route_record *r = &s->list.records[i];
    const char *data = s->data + (r->word[0] - s->before) * s->elem;
    const int64_t bytes = (r->word[1] - r->word[0]) * s->elem;
    if (r->to == rpi_comm_rank(s->comm))
      memcpy(rpi_incoming_at(s->in, r->word[0]), data, (size_t)bytes);
    else
      s->message[s->n_messages++] = (rpi_message){
          .data = (void *)(uintptr_t)data, .bytes = bytes, .peer = r->to, .send = true};
  }
  return RP_OK;
}

/* All pieces go where their records say. */
static rp_status move(sharing *s) {
  RPI_TRY(rpi_route_records(s->comm, &s->list));
  rpi_message *all =
      rpi_alloc_resize(s->message, sizeof *all * (size_t)(s->n_messages + s->list.n + 1));
  if (!all) return rpi_status_nomem("a share");
  s->message = all;
  for (int32_t i = 0; i < s->list.n; i++) {
    const rpi_route_record *r = &s->list.records[i];
    if (r->from == rpi_comm_rank(s->comm)) continue;
    all[s->n_messages++] = (rpi_message){.data = rpi_incoming_at(s->in, r->word[0]),
                                         .bytes = (r->word[1] - r->word[0]) * s->elem,
                                         .peer = r->from};
  }
  RPI_TRY(rpi_comm_start(s->comm, all, s->n_messages));
  return rpi_comm_finish(s->comm, all, s->n_messages);
}

static int64_t piece_at(const void *arg, int32_t rank) {
  const sharing *s = arg;
  return rpi_cuts_at(&s->cuts, rank) * s->elem;
}

/* Pieces, then, of what all hold, all of it. Messages that fail are fatal. */
static rp_status exchange(rp_context *ctx, sharing *s) {
  if (!s->comm) return RP_OK;
  rp_status st = move(s);
  if (st == RP_OK && !s->in->parts && s->in->hi > 0)
    st = rpi_collect_gather(s->comm, rpi_incoming_at(s->in, 0), piece_at, s);
  return rpi_places_failed(ctx, st);
}

rp_status rpi_supply_share(rp_context *ctx, rp_store *store, rp_status mine, const void *data,
                           int64_t n) {
  const rpi_view *v = store->view;
  int64_t all;
  bool heard;
  RPI_TRY(rpi_segment_settle(ctx, store->buf, RPI_REASON_CUT_WRITE));
  if (rpi_comm_dry(ctx->comm)) return mine == RP_OK ? pretend(ctx, store) : mine;
  RPI_TRY(rpi_incoming_prepare(ctx, store));
  rpi_incoming in = {.store = store};
  sharing s = {.comm = ctx->comm,
               .in = &in,
               .data = data,
               .n = mine == RP_OK ? n : 0,
               .elem = rpi_dtype_size(v->dtype)};
  RPI_TRY(rpi_places_failed(ctx, rpi_collect_scan(s.comm, s.n, &s.before, &all)));
  if (mine == RP_OK && all != v->size)
    mine = rpi_status_fail(RP_ERR_ARGUMENT,
                           "the shares have %lld elements together, the store has %lld",
                           (long long)all, (long long)v->size);
  rp_status st = mine == RP_OK ? rpi_incoming_open(ctx, &in, false) : mine;
  s.cuts =
      in.parts
          ? in.cuts
          : (rpi_cuts){.n = v->size, .grain = 1, .units = v->size, .ranks = rpi_comm_size(s.comm)};
  if (st == RP_OK) st = cut_share(&s);
  if (st == RP_OK) st = begin(&s);
  st = rpi_checkpoint_agree(ctx, st, &(rpi_verdict){0}, &heard);
  if (st == RP_OK) st = exchange(ctx, &s);
  rpi_alloc_free(s.message);
  rpi_alloc_free(s.list.records);
  return finish(ctx, &in, st);
}

rp_status rpi_supply_first(rp_context *ctx, rp_store *s, rp_supply_fn *fn, void *arg) {
  const int64_t n = s->view->size, elem = rpi_dtype_size(s->view->dtype), block = BLOCK / elem;
  char *all = rpi_memory_get(ctx->memory, (size_t)(n * elem), NULL);
  rp_status st = all ? RP_OK : RP_ERR_MEMORY;
  for (int64_t i = 0; i < n && st == RP_OK; i += block)
    st = ask(all + i * elem, i, n - i < block ? n - i : block, fn, arg);
  st = rpi_supply_share(ctx, s, st, all, n);
  if (all) rpi_memory_put(ctx->memory, all, (size_t)(n * elem));
  return st;
}
