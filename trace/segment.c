/* SPDX-License-Identifier: Apache-2.0
 * trace/segment.c -- see segment.h. */
#include "trace/segment.h"

#include <string.h>

#include "trace/calls.h"
#include "trace/commit.h"
#include "trace/consensus.h"
#include "trace/context.h"
#include "trace/scatter.h"
#include "trace/template.h"

/* ---- space ---- */

static bool grow_slots(rpi_segment *s, uint32_t need) {
  if (need <= s->cap_slot) return true;
  uint32_t cap = s->cap_slot ? 2 * s->cap_slot : 64;
  if (cap < need) cap = need;
  rpi_buffer **p = rpi_alloc_resize(s->slot, sizeof(*p) * cap);
  if (!p) return false;
  s->slot = p;
  s->cap_slot = cap;
  return true;
}

static bool grow_scalars(rpi_segment *s, int32_t need) {
  void *p = s->scalar;
  if (!rpi_alloc_grow(&p, &s->cap_scalar, need, sizeof *s->scalar)) return false;
  s->scalar = p;
  return true;
}

static bool grow_words(rpi_segment *s, int32_t need) {
  void *p = s->words;
  if (!rpi_alloc_grow(&p, &s->cap_words, need, sizeof *s->words)) return false;
  s->words = p;
  return true;
}

void rpi_segment_deinit(rpi_segment *s) {
  rpi_alloc_free(s->slot);
  rpi_alloc_free(s->scalar);
  rpi_alloc_free(s->words);
  *s = (rpi_segment){0};
}

rp_status rpi_segment_reserve(rpi_segment *s, uint32_t slots, int32_t scalars, int32_t words) {
  return grow_slots(s, slots) && grow_scalars(s, scalars) && grow_words(s, words)
             ? RP_OK
             : rpi_status_nomem("segment");
}

/* The segment has bound the buffer. */
static bool binds(const rpi_segment *s, const rpi_buffer *b) {
  if (s->number == 0) return false;
  if (b->stamp == s->number) return true;
  for (uint32_t i = 0; i < s->n_slot; i++)
    if (s->slot[i] == b) return true;
  return false;
}

const uint64_t *rpi_segment_words(const rpi_segment *s, int32_t *n) {
  *n = s->pred ? (int32_t)(s->at - s->pred->words) : s->n_words;
  return s->pred ? s->pred->words : s->words;
}

/* A launch so far writes the slot. */
static bool writes_slot(const rp_context *ctx, const rpi_segment *s, uint32_t slot) {
  int32_t n;
  const uint64_t *w = rpi_segment_words(s, &n), *end = w + n;
  while (w < end) {
    const rp_op *op = ctx->op_by_id[*w++ & 0xffffffffu];
    for (int32_t i = 0; i < op->n_stores; i++)
      if ((op->privilege[i] & RP_PRIV_WRITE) && (uint32_t)(w[i] >> 32) == slot) return true;
    w += op->n_stores;
  }
  return false;
}

bool rpi_segment_writes(const rp_context *ctx, const rpi_buffer *b) {
  if (b->run_refs == 0) return false;
  if (b->stamp == ctx->seg.number && ctx->seg.number != 0 && writes_slot(ctx, &ctx->seg, b->slot))
    return true;
  const rpi_segment *p = &ctx->pending;
  for (uint32_t i = 0; p->number != 0 && i < p->n_slot; i++)
    if (p->slot[i] == b) return (p->done->slot[i] & RPI_SLOT_WRITTEN) != 0;
  return false;
}

/* ---- launches ---- */

static void gather_scalars(rpi_segment *s, const rp_op *op, const void *const *scalars) {
  for (int32_t i = 0; i < op->n_scalars; i++) {
    uint64_t bits = 0;
    memcpy(&bits, scalars[i], op->scalar_size[i]);
    s->scalar[s->n_scalar++] = bits;
  }
}

/* The same store as predicted? Binds it at its first occurrence; undone by nobody: a mismatch keeps
 * what is bound, since recording binds in the same order. */
static inline bool match_store(rpi_segment *s, const rp_store *st, uint64_t predicted) {
  rpi_buffer *b = st->buf;
  if (b->stamp == s->number) return predicted == rpi_task_arg(b->slot, st->view_id);
  if (predicted != rpi_task_arg(s->n_slot, st->view_id)) return false;
  if (s->pred->klass[s->n_slot] != b->klass) return false;
  rpi_segment_bind(s, b);
  return true;
}

static rpi_reason miss_reason(const rpi_segment *s, const rp_op *op, rp_store *const *stores,
                              int32_t i) {
  if (i < 0)
    return s->at == s->end || *s->at != rpi_task_word(op) ? RPI_REASON_MISS_TASK
                                                          : RPI_REASON_MISS_SLOT;
  uint64_t w = s->at[1 + i];
  const rpi_buffer *b = stores[i]->buf;
  if ((uint32_t)w != stores[i]->view_id) return RPI_REASON_MISS_VIEW;
  uint32_t slot = b->stamp == s->number ? b->slot : s->n_slot;
  return w >> 32 != slot ? RPI_REASON_MISS_SLOT : RPI_REASON_MISS_CLASS;
}

static bool ends_segment(const rpi_segment *s, const rp_op *op) {
  if (s->n_task >= s->max_task) return true;
  return op->opaque && (rpi_opaque_flags(op->opaque) & RP_OPAQUE_SIDE_EFFECT);
}

static rp_status cut_after(rp_context *ctx, const rp_op *op) {
  bool effect = op->opaque && (rpi_opaque_flags(op->opaque) & RP_OPAQUE_SIDE_EFFECT);
  return rpi_segment_cut(ctx, effect ? RPI_REASON_CUT_SIDE_EFFECT : RPI_REASON_CUT_TASKS, effect);
}

/* The launch is the predicted one and its stores are bound. */
static inline rp_status follow(rp_context *ctx, const rp_op *op, const void *const *scalars) {
  rpi_segment *s = &ctx->seg;
  if (op->n_scalars > 0) gather_scalars(s, op, scalars);
  s->at += 1 + op->n_stores;
  s->n_task++;
  ctx->stats.launches++;
  rpi_calls_launch(ctx, op);
  return RPI_UNLIKELY(s->at == s->end) && ends_segment(s, op) ? cut_after(ctx, op) : RP_OK;
}

static rp_status record(rp_context *ctx, rp_op *op, rp_store *const *stores,
                        const void *const *scalars);
static rp_status leave_prediction(rp_context *ctx, const uint64_t *upto);

/* Does the launch agree with the words at `at`, were they followed? Binds nothing. */
static bool would_match(const rpi_segment *s, const rp_op *op, rp_store *const *stores,
                        const uint64_t *at) {
  if (*at != rpi_task_word(op)) return false;
  uint32_t next = s->n_slot;
  for (int32_t i = 0; i < op->n_stores; i++) {
    const rpi_buffer *b = stores[i]->buf;
    uint32_t slot = b->stamp == s->number ? b->slot : UINT32_MAX;
    for (int32_t j = 0; j < i && slot == UINT32_MAX; j++)
      if (stores[j]->buf == b) slot = (uint32_t)(at[1 + j] >> 32);
    if (slot == UINT32_MAX) slot = next++;
    if (at[1 + i] != rpi_task_arg(slot, stores[i]->view_id)) return false;
  }
  return true;
}

/* Another template of this trace that agrees with everything so far and with this launch. */
static bool switch_template(rp_context *ctx, const rp_op *op, rp_store *const *stores) {
  rpi_segment *s = &ctx->seg;
  rpi_trace *tr = ctx->trace ? ctx->trace : &ctx->loose;
  ptrdiff_t done = s->at - s->pred->words;
  for (rpi_template *t = tr->all; t; t = t->in_trace) {
    if (t == s->pred || t->n_words <= done || t->n_slot < s->n_slot) continue;
    if (memcmp(t->words, s->pred->words, sizeof *t->words * (size_t)done) != 0) continue;
    if (memcmp(t->klass, s->pred->klass, sizeof *t->klass * s->n_slot) != 0) continue;
    if (!would_match(s, op, stores, t->words + done)) continue;
    if (!grow_slots(s, t->n_slot) || !grow_scalars(s, t->tasks.n_scalar)) return false;
    s->pred = t;
    s->at = t->words + done;
    s->end = t->words + t->n_words;
    return true;
  }
  return false;
}

/* A refused launch binds nothing: a slot that no task touches would count as overwritten. (If it was a
 * cut behind the launch that failed, nothing is bound any more.) */
static void unbind_from(rpi_segment *s, uint32_t n_slot) {
  while (s->n_slot > n_slot) {
    rpi_buffer *b = s->slot[--s->n_slot];
    b->stamp = 0;
    rpi_store_buffer_unbind(b);
  }
}

/* Where the prediction fails, a template that agrees is followed from here on; if there is none, or
 * it fails at this launch for another reason (a class), recording goes on. What this launch has
 * bound already stays bound: recording binds the same stores in the same order. */
static rp_status miss(rp_context *ctx, rp_op *op, rp_store *const *stores,
                      const void *const *scalars, int32_t at_store, uint32_t n_slot) {
  rpi_segment *s = &ctx->seg;
  rpi_context_reason(ctx, miss_reason(s, op, stores, at_store));
  if (at_store <= 0 && switch_template(ctx, op, stores)) {
    int32_t i = 0;
    while (i < op->n_stores && match_store(s, stores[i], s->at[1 + i])) i++;
    if (i == op->n_stores) return follow(ctx, op, scalars);
  }
  rp_status st = leave_prediction(ctx, s->at);
  if (st == RP_OK) st = record(ctx, op, stores, scalars);
  if (st != RP_OK) unbind_from(s, n_slot);
  return st;
}

rp_status rpi_segment_launch(rp_context *ctx, rp_op *op, rp_store *const *stores,
                             const void *const *scalars) {
  rpi_segment *s = &ctx->seg;
  if (RPI_UNLIKELY(op->scatter)) return rpi_scatter_launch(ctx, op, stores, scalars);
  if (RPI_UNLIKELY(!s->pred)) return record(ctx, op, stores, scalars);
  const uint64_t *at = s->at;
  const uint32_t n_slot = s->n_slot;
  if (RPI_UNLIKELY(at == s->end || *at != rpi_task_word(op)))
    return miss(ctx, op, stores, scalars, -1, n_slot);
  for (int32_t i = 0; i < op->n_stores; i++)
    if (RPI_UNLIKELY(!match_store(s, stores[i], at[1 + i])))
      return miss(ctx, op, stores, scalars, i, n_slot);
  return follow(ctx, op, scalars);
}

/* Recording goes on from what was predicted and came true. */
static rp_status leave_prediction(rp_context *ctx, const uint64_t *upto) {
  rpi_segment *s = &ctx->seg;
  int32_t n = (int32_t)(upto - s->pred->words);
  if (!grow_words(s, n + 1)) return rpi_status_nomem("segment");
  memcpy(s->words, s->pred->words, sizeof *s->words * (size_t)n);
  s->n_words = n;
  s->pred = NULL;
  s->at = s->end = NULL;
  return RP_OK;
}

static rp_status record(rp_context *ctx, rp_op *op, rp_store *const *stores,
                        const void *const *scalars) {
  rpi_segment *s = &ctx->seg;
  RPI_TRY(rpi_task_validate(op, stores));
  if (!grow_slots(s, s->n_slot + (uint32_t)op->n_stores) ||
      !grow_scalars(s, s->n_scalar + op->n_scalars) ||
      !grow_words(s, s->n_words + 1 + op->n_stores))
    return rpi_status_nomem("segment");
  s->words[s->n_words++] = rpi_task_word(op);
  for (int32_t i = 0; i < op->n_stores; i++) {
    rpi_buffer *b = stores[i]->buf;
    if (b->stamp != s->number) rpi_segment_bind(s, b);
    s->words[s->n_words++] = rpi_task_arg(b->slot, stores[i]->view_id);
  }
  gather_scalars(s, op, scalars);
  s->n_task++;
  ctx->stats.launches++;
  rpi_calls_launch(ctx, op);
  return ends_segment(s, op) ? cut_after(ctx, op) : RP_OK;
}

/* ---- cuts ---- */

static uint64_t next_number(void) {
  static _Atomic uint64_t number;
  return ++number;
}

rp_status rpi_segment_predict(rp_context *ctx, rpi_template *pred) {
  rpi_segment *s = &ctx->seg;
  if (s->number == 0) s->number = next_number();
  s->n_words = 0;
  if (RPI_UNLIKELY(rpi_template_too_many(ctx))) {
    rpi_template_limit(ctx);
    if (ctx->n_templates == 0) pred = NULL;
  }
  s->max_task = (int32_t)(ctx->trace ? ctx->config.max_tasks : ctx->config.window);
  s->pred = NULL;
  s->at = s->end = NULL;
  if (!pred || !ctx->config.tracing) return RP_OK;
  if (!grow_slots(s, pred->n_slot) || !grow_scalars(s, pred->tasks.n_scalar)) return RP_OK;
  s->pred = pred;
  s->at = pred->words;
  s->end = pred->words + pred->n_words;
  return RP_OK;
}

/* A template is remembered by the trace that met it first. */
static void remember(rp_context *ctx, rpi_template *t) {
  rpi_trace *tr = ctx->trace ? ctx->trace : &ctx->loose;
  if (t->remembered) return;
  t->remembered = true;
  t->in_trace = tr->all;
  tr->all = t;
}

static rp_status find_template(rp_context *ctx) {
  rpi_segment *s = &ctx->seg;
  if (s->pred && s->at == s->end) {
    ctx->stats.trace_hits++;
    s->pred->hits++;
    s->done = s->pred;
    return RP_OK;
  }
  ctx->stats.trace_misses++;
  if (s->pred) {
    rpi_context_reason(ctx, RPI_REASON_MISS_SHORT);
    RPI_TRY(leave_prediction(ctx, s->at));
  } else {
    rpi_context_reason(ctx, RPI_REASON_MISS_NEW);
  }
  uint32_t small[64], *klass = small;
  if (s->n_slot > 64 && !(klass = rpi_alloc(sizeof *klass * s->n_slot)))
    return rpi_status_nomem("segment");
  for (uint32_t i = 0; i < s->n_slot; i++) klass[i] = s->slot[i]->klass;
  rp_status st = rpi_template_get(ctx, s->words, s->n_words, klass, s->n_slot, &s->done);
  if (klass != small) rpi_alloc_free(klass);
  return st;
}

static void link_prediction(rp_context *ctx, rpi_template *t) {
  if (!ctx->config.tracing) return;
  rpi_trace *tr = ctx->trace ? ctx->trace : &ctx->loose;
  if (ctx->last)
    ctx->last->next = t;
  else
    tr->first = t;
  ctx->last = t;
  remember(ctx, t);
}

static void forget(rpi_segment *s) {
  for (uint32_t i = 0; i < s->n_slot; i++) rpi_store_buffer_unbind(s->slot[i]);
  s->n_slot = 0;
  s->n_scalar = s->n_task = s->n_words = 0;
  s->number = 0;
  s->done = NULL;
}

/* `want`: the host waits for this buffer only. */
static rp_status cut_for(rp_context *ctx, int32_t reason, bool all, const rpi_buffer *want) {
  rpi_segment *s = &ctx->seg;
  rp_status st = RP_OK;
  if (s->n_task == 0) {
    if (s->n_slot > 0) forget(s); /* bound by a launch that was refused */
    if (all && ctx->pending.number) {
      rpi_context_reason(ctx, RPI_REASON_LATE_OBSERVED);
      st = rpi_commit(ctx, &ctx->pending, NULL, NULL);
    }
    rp_status st2 = rpi_segment_predict(ctx, ctx->last ? ctx->last->next : s->pred);
    return st != RP_OK ? st : st2;
  }
  rpi_context_reason(ctx, (rpi_reason)reason);
  s->first_launch = ctx->stats.launches - s->n_task + 1;
  s->trace = ctx->trace ? ctx->trace->id : 0;
  s->pass = ctx->trace ? ctx->trace->passes : 0;
  st = find_template(ctx);
  if (ctx->pending.number) {
    rp_status first = rpi_commit(ctx, &ctx->pending, st == RP_OK ? s : NULL, NULL);
    ctx->stats.late_commits += st == RP_OK;
    if (first != RP_OK && st == RP_OK) st = first;
  }
  if (!s->done) {
    forget(s);
    rpi_segment_predict(ctx, NULL);
    return st;
  }
  link_prediction(ctx, s->done);
  rpi_template *t = s->done;
  if (t->late && !all) {
    rpi_segment old = ctx->pending;
    ctx->pending = *s;
    *s = old; /* its arrays are free for the next segment */
    s->number = 0;
    s->n_slot = 0;
    s->n_scalar = s->n_task = 0;
    s->done = NULL;
  } else {
    if (t->late) rpi_context_reason(ctx, RPI_REASON_LATE_OBSERVED);
    rp_status ran = rpi_commit(ctx, s, NULL, want);
    if (st == RP_OK) st = ran;
  }
  rp_status st2 = rpi_segment_predict(ctx, ctx->last ? ctx->last->next : NULL);
  if (st == RP_OK && st2 == RP_OK) st2 = rpi_consensus_cut(ctx);
  return st != RP_OK ? st : st2;
}

rp_status rpi_segment_cut(rp_context *ctx, int32_t reason, bool all) {
  rp_status st = cut_for(ctx, reason, all, NULL);
  if (all) rpi_commit_finish(ctx);
  return st;
}

rp_status rpi_segment_settle(rp_context *ctx, rpi_buffer *b, int32_t reason) {
  bool writes = reason == RPI_REASON_CUT_WRITE;
  if (b->run_refs == 0) return RP_OK;
  if (binds(&ctx->seg, b)) return cut_for(ctx, reason, true, writes ? NULL : b);
  if (binds(&ctx->pending, b)) {
    rpi_context_reason(ctx, RPI_REASON_LATE_OBSERVED);
    return rpi_commit(ctx, &ctx->pending, &ctx->seg, writes ? NULL : b);
  }
  if (rpi_commit_unfinished(ctx, b, writes)) rpi_commit_finish(ctx);
  return RP_OK;
}

rp_status rpi_segment_let_go(rp_context *ctx, rpi_buffer *b) {
  if (!b->home->foreign) return RP_OK;
  RPI_TRY(rpi_segment_settle(ctx, b, RPI_REASON_CUT_WRITE));
  RPI_TRY(rpi_store_unshare(b->pool, b->home, 1 + (b->inst == b->home) + (b->spare == b->home)));
  /* Of a GPU that has failed nothing uses the memory either. */
  if (b->home->pinned == RPI_AT_DEVICE) (void)rpi_device_wait(ctx->device);
  return RP_OK;
}

/* ---- traces ---- */

static rpi_trace *trace_of(rp_context *ctx, int64_t id) {
  uint64_t hash = (uint64_t)id * 0x9e3779b97f4a7c15u;
  int32_t it = -1;
  for (rpi_trace *t; (t = rpi_map_next(&ctx->traces, hash, &it));)
    if (t->id == id) return t;
  rpi_trace *t = rpi_alloc_zero(sizeof *t);
  if (!t || !rpi_map_add(&ctx->traces, hash, t)) {
    rpi_alloc_free(t);
    return NULL;
  }
  t->id = id;
  return t;
}

rp_status rpi_segment_trace_begin(rp_context *ctx, int64_t id) {
  rp_status st = RP_OK;
  if (ctx->trace && ctx->trace->id != id)
    return rpi_status_fail(RP_ERR_STATE, "rp_trace_begin: trace %lld is open, not %lld",
                           (long long)ctx->trace->id, (long long)id);
  if (ctx->trace) {
    rpi_context_reason(ctx, RPI_REASON_CUT_REOPENED);
    st = rpi_segment_trace_end(ctx, id);
  } else if (ctx->seg.n_task > 0) {
    st = rpi_segment_cut(ctx, RPI_REASON_CUT_TRACE_BEGIN, false);
  }
  rpi_trace *t = ctx->last_trace && ctx->last_trace->id == id ? ctx->last_trace : trace_of(ctx, id);
  if (!t) return rpi_status_nomem("trace");
  ctx->trace = ctx->last_trace = t;
  ctx->last = NULL;
  t->passes++;
  t->launches = ctx->stats.launches;
  rp_status st2 = rpi_segment_predict(ctx, t->first);
  return st != RP_OK ? st : st2;
}

rp_status rpi_segment_trace_end(rp_context *ctx, int64_t id) {
  if (!ctx->trace)
    return rpi_status_fail(RP_ERR_STATE, "rp_trace_end: no trace is open (id %lld)", (long long)id);
  if (ctx->trace->id != id)
    return rpi_status_fail(RP_ERR_STATE, "rp_trace_end: trace %lld is open, not %lld",
                           (long long)ctx->trace->id, (long long)id);
  rp_status st = rpi_segment_cut(ctx, RPI_REASON_CUT_TRACE_END, false);
  ctx->trace = NULL;
  ctx->last = NULL;
  rp_status st2 = rpi_segment_predict(ctx, ctx->loose.first);
  return st != RP_OK ? st : st2;
}
