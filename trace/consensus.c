/* SPDX-License-Identifier: Apache-2.0
 * trace/consensus.c -- see consensus.h. */
#include "trace/consensus.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/model/lent.h"
#include "trace/places.h"

enum { CUTS = 4 /* of a round */, MIB = 1 << 20 };

/* What travels: which stores the sender counts with, and a bit for each record of a handle. */
typedef struct bits {
  int64_t live;
  uint64_t numbers; /* of arrays, given out */
  uint64_t word[];
} bits;

typedef struct rpi_consensus {
  int64_t stores, bytes; /* that lived when it ended last, or fewer if fewer did since */
  int32_t distance;      /* of the round under way; 0: none is */
  int32_t cuts;          /* until it ends */
  int32_t n, cap;        /* words */
  bits *mine, *theirs;
  rpi_message message[2];
} consensus;

rp_status rpi_consensus_create(rp_context *ctx) {
  if (!ctx->comm) return RP_OK;
  ctx->consensus = rpi_alloc_zero(sizeof *ctx->consensus);
  if (!ctx->consensus) return rpi_status_nomem("agreement of ranks");
  ctx->pool->weighs = true;
  return RP_OK;
}

static bool grow(consensus *c, int32_t words) {
  if (words <= c->cap) return true;
  const int32_t cap = 2 * words;
  const size_t size = sizeof(bits) + (size_t)cap * sizeof(uint64_t);
  bits *p = rpi_alloc_resize(c->mine, size);
  if (p) c->mine = p;
  bits *q = rpi_alloc_resize(c->theirs, size);
  if (q) c->theirs = q;
  if (p && q) c->cap = cap;
  return p && q;
}

static rp_status begin_round(rp_context *ctx, int32_t distance) {
  consensus *c = ctx->consensus;
  const int32_t size = rpi_comm_size(ctx->comm), rank = rpi_comm_rank(ctx->comm);
  const int64_t bytes = (int64_t)sizeof(bits) + c->n * (int64_t)sizeof(uint64_t);
  c->message[0] = (rpi_message){
      .data = c->theirs, .bytes = bytes, .peer = (rank - distance % size + size) % size};
  c->message[1] = (rpi_message){
      .data = c->mine, .bytes = bytes, .peer = (rank + distance) % size, .send = true};
  c->distance = distance;
  c->cuts = CUTS;
  return rpi_comm_start(ctx->comm, c->message, 2);
}

static rp_status begin(rp_context *ctx) {
  consensus *c = ctx->consensus;
  rpi_pool *p = ctx->pool;
  if (!grow(c, p->n_store_slabs)) return rpi_status_nomem("agreement of ranks");
  c->n = p->n_store_slabs;
  c->mine->live = p->live_stores;
  c->mine->numbers = p->numbers;
  rpi_store_waiting(p, c->mine->word);
  ctx->stats.agreements++;
  return begin_round(ctx, 1);
}

/* One waiting release of each handle that all have released, in the order of the records. */
static rp_status apply(rp_context *ctx) {
  consensus *c = ctx->consensus;
  rpi_pool *p = ctx->pool;
  /* What others follow has told them of all that they agreed on, so it is not in the queue; the rest waits there for that. */
  if (!ctx->crew) rpi_store_unqueue(p);
  for (int32_t w = 0; w < c->n; w++)
    for (uint64_t left = c->mine->word[w]; left; left &= left - 1) {
      rp_store *s = &p->store_slab[w][__builtin_ctzll(left)];
      const bool last = s->refs == 1 && s->buf->app_refs == 1;
      if (last && s->buf->home) RPI_TRY(rpi_segment_let_go(ctx, s->buf));
      const int32_t waiting = atomic_fetch_sub_explicit(&s->queued, 1, memory_order_acq_rel);
      if (ctx->crew && waiting > 1) rpi_store_queue(s); /* who follows hears of one at a time */
      rpi_store_release(s);
      ctx->stats.agreed++;
    }
  rpi_lent_tell_all(p);
  c->distance = 0;
  c->stores = p->live_stores;
  c->bytes = p->live_bytes;
  return RP_OK;
}

static rp_status end_round(rp_context *ctx) {
  consensus *c = ctx->consensus;
  RPI_TRY(rpi_comm_finish(ctx->comm, c->message, 2));
  /* Where nobody is there, all are taken to be as this one. */
  if (rpi_comm_dry(ctx->comm)) memcpy(c->theirs, c->mine, (size_t)c->message[0].bytes);
  if (c->theirs->live != c->mine->live || c->theirs->numbers != c->mine->numbers)
    return rpi_status_fail(RP_ERR_RANKS,
                           "rank %d holds %lld stores of %llu arrays made so far, rank %d holds "
                           "%lld of %llu: the ranks "
                           "run different programs",
                           c->message[0].peer, (long long)c->theirs->live,
                           (unsigned long long)c->theirs->numbers, rpi_comm_rank(ctx->comm),
                           (long long)c->mine->live, (unsigned long long)c->mine->numbers);
  for (int32_t w = 0; w < c->n; w++) c->mine->word[w] &= c->theirs->word[w];
  const int32_t next = 2 * c->distance;
  return next < rpi_comm_size(ctx->comm) ? begin_round(ctx, next) : apply(ctx);
}

/* Have so many stores, or bytes, come since the last time that it is worth a comparison? */
static bool is_due(rp_context *ctx) {
  consensus *c = ctx->consensus;
  const rpi_pool *p = ctx->pool;
  if (p->live_stores < c->stores) c->stores = p->live_stores;
  if (p->live_bytes < c->bytes) c->bytes = p->live_bytes;
  const int64_t stores = p->live_stores - c->stores, bytes = p->live_bytes - c->bytes;
  const int64_t every = ctx->config.consensus;
  /* Looking at all records must not cost more than making those that are new. */
  return (stores >= every && stores >= c->stores / 8) || bytes / MIB >= every;
}

rp_status rpi_consensus_cut(rp_context *ctx) {
  consensus *c = ctx->consensus;
  if (!c || ctx->ranks_status != RP_OK) return RP_OK;
  if (c->distance > 0) return --c->cuts > 0 ? RP_OK : rpi_places_failed(ctx, end_round(ctx));
  return is_due(ctx) ? rpi_places_failed(ctx, begin(ctx)) : RP_OK;
}

void rpi_consensus_end(rp_context *ctx) {
  const consensus *c = ctx->consensus;
  if (c && c->distance > 0 && ctx->ranks_status == RP_OK)
    rpi_places_failed(ctx, rpi_comm_finish(ctx->comm, ctx->consensus->message, 2));
}

void rpi_consensus_free(rp_context *ctx) {
  if (!ctx->consensus) return;
  rpi_alloc_free(ctx->consensus->mine);
  rpi_alloc_free(ctx->consensus->theirs);
  rpi_alloc_free(ctx->consensus);
  ctx->consensus = NULL;
}
