/* SPDX-License-Identifier: Apache-2.0
 * trace/repeat.c -- see repeat.h. */
#include "trace/repeat.h"

#include <string.h>

#include "trace/calls.h"
#include "trace/converge.h"
#include "trace/invariant.h"
#include "trace/outgoing.h"
#include "trace/segment.h"

static const char call[] = "rp_trace_repeat";

/* ---- can the pass be made again? ---- */

/* Inverses of scatters that the buffer keeps, of its values now, are among the segment's arrays. */
static bool gives_subscripts(const rpi_segment *s, const rpi_buffer *b) {
  for (const rpi_kept *k = b->kept; k; k = k->next)
    for (int32_t i = 0; i < RPI_KEPT_STORES; i++)
      if (k->store[i] && k->store[i]->buf->stamp == s->number) return true;
  return false;
}

static rp_status check_task(const rp_context *ctx, const rp_op *op, const uint64_t *stores) {
  const rpi_segment *s = &ctx->seg;
  if (op->n_unbound > 0)
    return rpi_status_fail(RP_ERR_STATE,
                           "%s: op %s makes arrays whose size it decides, so each pass has others",
                           call, op->name);
  for (int32_t i = 0; i < op->n_stores; i++) {
    const uint32_t slot = (uint32_t)(stores[i] >> 32);
    if (!(op->privilege[i] & RP_PRIV_WRITE) || !gives_subscripts(s, s->slot[slot])) continue;
    return rpi_status_fail(RP_ERR_STATE,
                           "%s: op %s writes an array that gives the subscripts of a scatter in "
                           "the same pass: the next pass would use the old ones",
                           call, op->name);
  }
  return RP_OK;
}

static rp_status check_pass(const rp_context *ctx, int64_t id) {
  const rpi_segment *s = &ctx->seg;
  if (!ctx->trace || ctx->trace->id != id)
    return rpi_status_fail(RP_ERR_STATE, "%s: trace %lld is not open", call, (long long)id);
  const int64_t launched = ctx->stats.launches - ctx->trace->launches;
  if (launched == 0)
    return rpi_status_fail(RP_ERR_STATE, "%s: the pass has no launch to repeat", call);
  if (launched != s->n_task)
    return rpi_status_fail(
        RP_ERR_STATE,
        "%s: of the pass's %lld launches %lld have been run before its end, for the host to see "
        "their effect or by the knobs max_tasks and nonfinite; such a pass only the program can "
        "repeat",
        call, (long long)launched, (long long)(launched - s->n_task));
  int32_t n;
  const uint64_t *w = rpi_segment_words(s, &n);
  for (const uint64_t *end = w + n; w < end;) {
    const rp_op *op = ctx->op_by_id[*w++ & 0xffffffffu];
    RPI_TRY(check_task(ctx, op, w));
    w += op->n_stores;
  }
  return RP_OK;
}

static rp_status check_go(const rp_store *go, int64_t most) {
  const int32_t kind = rpi_dtype_kind(go->view->dtype);
  if (go->view->size != 1)
    return rpi_status_fail(RP_ERR_SHAPE, "%s: go has %lld elements, not 1", call,
                           (long long)go->view->size);
  if (kind == RPI_KIND_F)
    return rpi_status_fail(RP_ERR_DTYPE, "%s: go is of %s, not bool or an integer", call,
                           rpi_dtype_name(go->view->dtype));
  if (most < 0) return rpi_status_fail(RP_ERR_ARGUMENT, "%s: most is %lld", call, (long long)most);
  return RP_OK;
}

/* ---- what is kept of it ---- */

static void unkeep(rpi_repeat *r) {
  for (uint32_t i = 0; i < r->n_slot; i++)
    if (r->slot[i]) rpi_store_buffer_unbind(r->slot[i]);
  rpi_alloc_free(r->words);
  rpi_alloc_free(r->base);
  rpi_alloc_free(r->scalar);
  rpi_alloc_free(r->slot);
  rpi_converge_end(r);
}

static void *copy_of(const void *from, size_t bytes) {
  void *to = rpi_alloc(bytes + 1);
  if (to && bytes > 0) memcpy(to, from, bytes);
  return to;
}

static rp_status keep(const rpi_segment *s, rpi_repeat *r) {
  const uint64_t *words = rpi_segment_words(s, &r->n_words);
  r->words = copy_of(words, sizeof *words * (size_t)r->n_words);
  r->scalar = copy_of(s->scalar, sizeof *s->scalar * (size_t)s->n_scalar);
  r->slot = rpi_alloc(sizeof(*r->slot) * (s->n_slot + 1));
  r->base = rpi_alloc(sizeof(*r->base) * (s->n_slot + 1));
  r->n_scalar = s->n_scalar;
  r->n_task = s->n_task;
  if (!r->words || !r->scalar || !r->slot || !r->base) return rpi_status_nomem("a repeated pass");
  for (uint32_t i = 0; i < s->n_slot; i++, r->n_slot++) {
    rpi_buffer *b = s->slot[i];
    r->base[i] = b->base;
    r->slot[i] = b->app_refs > 0 ? b : NULL;
    if (r->slot[i]) b->run_refs++;
  }
  return RP_OK;
}

/* ---- one pass ---- */

/* The prediction is this pass. */
static bool is_predicted(const rpi_segment *s, const rpi_repeat *r) {
  const rpi_template *t = s->pred;
  if (!t || t->n_words != r->n_words || t->n_slot != r->n_slot) return false;
  if (memcmp(t->words, r->words, sizeof *r->words * (size_t)r->n_words) != 0) return false;
  for (uint32_t i = 0; i < r->n_slot; i++)
    if (t->klass[i] != (r->slot[i] ? r->slot[i]->klass : 0)) return false;
  return true;
}

/* The slot's array, bound: a temporary is a new one. */
static rp_status bind(rp_context *ctx, const rpi_repeat *r, uint32_t i) {
  rp_store *handle = NULL;
  if (!r->slot[i]) RPI_TRY(rpi_store_make(ctx->pool, r->base[i], &handle));
  rpi_segment_bind(&ctx->seg, handle ? handle->buf : r->slot[i]);
  if (handle) rpi_store_release(handle);
  return RP_OK;
}

/* All launches of the pass at once. */
static rp_status launch(rp_context *ctx, const rpi_repeat *r) {
  rpi_segment *s = &ctx->seg;
  const bool predicted = is_predicted(s, r);
  RPI_TRY(rpi_segment_reserve(s, r->n_slot, r->n_scalar, predicted ? 0 : r->n_words));
  for (uint32_t i = 0; i < r->n_slot; i++) RPI_TRY(bind(ctx, r, i));
  if (r->n_scalar > 0) memcpy(s->scalar, r->scalar, sizeof *r->scalar * (size_t)r->n_scalar);
  s->n_scalar = r->n_scalar;
  s->n_task = r->n_task;
  if (predicted) {
    s->at = s->end;
  } else {
    s->pred = NULL;
    s->at = s->end = NULL;
    memcpy(s->words, r->words, sizeof *r->words * (size_t)r->n_words);
    s->n_words = r->n_words;
  }
  ctx->stats.launches += r->n_task;
  for (const uint64_t *w = r->words, *end = w + r->n_words; ctx->calls && w < end;) {
    const rp_op *op = ctx->op_by_id[*w & 0xffffffffu];
    rpi_calls_launch(ctx, op);
    w += 1 + op->n_stores;
  }
  return RP_OK;
}

static rp_status make_pass(rp_context *ctx, rpi_repeat *r) {
  rpi_trace *t = ctx->trace;
  ctx->last = NULL;
  t->passes++;
  RPI_TRY(rpi_segment_predict(ctx, t->first));
  RPI_TRY(launch(ctx, r));
  const rp_status st = rpi_segment_cut(ctx, RPI_REASON_CUT_REPEAT, true);
  if (RPI_LIKELY(r->ran <= 1)) return st;
  ctx->stats.launches += (r->ran - 1) * r->n_task;
  ctx->stats.trace_hits += r->ran - 1;
  t->passes += r->ran - 1;
  return st;
}

static rp_status goes_on(rp_context *ctx, rp_store *go, bool *on) {
  char data[8] = {0};
  *on = false;
  RPI_TRY(rpi_outgoing_box(ctx, call, go, &go->view->geom, data));
  for (size_t i = 0; i < sizeof data; i++) *on = *on || data[i] != 0;
  return RP_OK;
}

static rp_status repeat(rp_context *ctx, rpi_repeat *r, int64_t most, int64_t *passes) {
  for (;;) {
    bool on;
    RPI_TRY(goes_on(ctx, r->go, &on));
    if (!on || *passes == most) return RP_OK;
    r->most = most - *passes;
    do {
      r->ran = 1;
      rpi_converge_look(ctx, r);
      RPI_TRY(make_pass(ctx, r));
      *passes += r->ran;
    } while (r->owed);
  }
}

rp_status rpi_repeat_trace(rp_context *ctx, int64_t id, rp_store *go, int64_t most,
                           int64_t *passes) {
  rpi_repeat r = {.go = go, .ran = 1};
  *passes = 0;
  RPI_TRY(check_pass(ctx, id));
  RPI_TRY(check_go(go, most));
  rp_status st = keep(&ctx->seg, &r);
  if (st == RP_OK) {
    ctx->repeat = &r;
    st = rpi_segment_cut(ctx, RPI_REASON_CUT_TRACE_END, false);
    if (st == RP_OK) st = rpi_invariant_drop(ctx, &r);
    if (st == RP_OK) st = repeat(ctx, &r, most, passes);
    ctx->repeat = NULL;
    rp_status end = rpi_segment_trace_end(ctx, id);
    if (st == RP_OK) st = end;
  }
  unkeep(&r);
  return st;
}
