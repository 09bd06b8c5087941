/* SPDX-License-Identifier: Apache-2.0
 * trace/converge.c -- see converge.h. */
#include "trace/converge.h"

#include <string.h>

#include "core/exec/graph.h"
#include "core/exec/loop.h"
#include "trace/segment.h"

/* ---- what passes were ---- */

/* What commit goes by when it binds the buffer. */
static void state_of(const rpi_buffer *b, uint64_t to[RPI_REPEAT_STATE]) {
  const rpi_instance *i = b->inst, *spare = b->spare;
  to[0] = (uintptr_t)i;
  to[1] = i ? i->device : 0;
  to[2] = i ? (uint64_t)i->refs : 0;
  to[3] = (uintptr_t)spare;
  to[4] = spare ? spare->device : 0;
  to[5] = spare ? (uint64_t)spare->refs : 0;
  to[6] = b->spare_tag;
  to[7] = b->klass;
  to[8] = b->poison != NULL;
}

void rpi_converge_look(rp_context *ctx, rpi_repeat *r) {
  if (!ctx->device || ctx->comm) return;
  rpi_repeat_past p = r->past[RPI_REPEAT_PAST - 1];
  memmove(&r->past[1], &r->past[0], sizeof r->past - sizeof r->past[0]);
  p.plan = NULL;
  if (!p.state) p.state = rpi_alloc_zero(sizeof *p.state * RPI_REPEAT_STATE * (r->n_slot + 1));
  if (!p.after) p.after = rpi_alloc_zero(sizeof *p.after * (r->n_slot + 1));
  for (uint32_t i = 0; p.state && i < r->n_slot; i++)
    if (r->slot[i]) state_of(r->slot[i], p.state + i * RPI_REPEAT_STATE);
  p.before = ctx->pool->made;
  r->past[0] = p;
}

void rpi_converge_end(rpi_repeat *r) {
  for (int32_t i = 0; i < RPI_REPEAT_PAST; i++) {
    rpi_alloc_free(r->past[i].words);
    rpi_alloc_free(r->past[i].state);
    rpi_alloc_free(r->past[i].after);
  }
}

/* What the slot's buffer will hold after the run. */
static rpi_instance *instance_after(const rp_context *ctx, const rpi_bound *b, const rpi_segment *s,
                                    uint32_t slot) {
  const int32_t out = b->an->out[slot];
  return out < 0 ? s->slot[slot]->inst : ctx->instances[out];
}

/* The pass at hand is bound: for those that follow. */
static void note(const rp_context *ctx, const rpi_bound *b, const rpi_segment *s, rpi_repeat *r) {
  rpi_repeat_past *p = &r->past[0];
  const size_t bytes = sizeof *p->words * (size_t)b->plan.n_words;
  int64_t temporaries = 0;
  rpi_word *words = rpi_alloc_resize(p->words, bytes + 1);
  if (words) p->words = words;
  if (!words || !p->state || !p->after) return;
  memcpy(words, b->plan.words, bytes);
  for (uint32_t i = 0; i < s->n_slot; i++) {
    const rpi_instance *now = r->slot[i] ? instance_after(ctx, b, s, i) : s->slot[i]->inst;
    p->after[i] = now ? now->device : 0;
    temporaries += !r->slot[i] && now;
  }
  p->made = ctx->pool->made - p->before - temporaries;
  p->plan = b;
}

/* ---- may the next ones be the same? ---- */

/* Every array whose values the pass uses is after it where it was before. */
static bool stays(const rp_context *ctx, const rpi_bound *b, const rpi_segment *s) {
  for (uint32_t i = 0; i < s->n_slot; i++) {
    const uint8_t does = s->done->slot[i];
    const bool needed = !(does & RPI_SLOT_WRITTEN) || does & RPI_SLOT_READS_OLD;
    if (ctx->repeat->slot[i] && needed && instance_after(ctx, b, s, i) != s->slot[i]->inst)
      return false;
  }
  return true;
}

/* The last passes have shown that memory is what it was two passes ago, and that only temporaries have new memory, which is in
 * each pass the same. */
static bool swaps(const rpi_bound *b, const rpi_repeat *r) {
  const rpi_repeat_past *now = &r->past[0], *one = &r->past[1], *two = &r->past[2];
  const size_t state = sizeof *now->state * RPI_REPEAT_STATE;
  if (now->plan != b || one->plan != b || two->plan != b) return false;
  if (now->made != 0 || one->made != 0 || two->made != 0) return false;
  for (uint32_t i = 0; i < r->n_slot; i++)
    if (!r->slot[i] && now->after[i] != one->after[i]) return false;
  return memcmp(now->words, two->words, sizeof *now->words * (size_t)b->plan.n_words) == 0 &&
         memcmp(now->state, two->state, state * r->n_slot) == 0;
}

static bool is_compiled(const rp_context *ctx, const rpi_plan *plan) {
  if (ctx->config.tier == RPI_TIER_0) return true;
  for (int32_t i = 0; i < plan->n_sub; i++)
    if (plan->sub[i].gpu->code->tier != 1) return false;
  return true;
}

/* Where the element is after a pass that leaves its buffer's values in `i`; 0: nowhere on the GPU. */
static CUdeviceptr address_of(const rp_store *go, const rpi_instance *i) {
  const int64_t elem = rpi_dtype_size(go->view->dtype);
  return i && i->device ? i->device + (CUdeviceptr)(go->view->geom.offset * elem) : 0;
}

/* Temporaries that the pass finds to be zeros are filled before each; false: no memory. */
static bool find_zeros(const rpi_segment *s, const rpi_repeat *r, rpi_loop_desc *loop) {
  loop->zero = rpi_alloc(sizeof *loop->zero * (s->n_slot + 1));
  for (uint32_t i = 0; loop->zero && i < s->n_slot; i++) {
    const rpi_instance *now = s->slot[i]->inst;
    if (!r->slot[i] && s->done->slot[i] & RPI_SLOT_READS_OLD && now && now->device)
      loop->zero[loop->n_zero++] = (rpi_device_fill){now->device, now->bytes};
  }
  return loop->zero != NULL;
}

/* A function that turns out not to be recordable ends that. */
static bool is_launches(const rp_context *ctx, const rpi_bound *b) {
  const int32_t n = b->plan.n_step;
  return n > 0 && rpi_graph_end(&b->plan, 0, n, ctx->patch) == n;
}

/* Why the host decides about the next pass; RPI_N_REASON: it need not. Fills in what the loop is. */
static rpi_reason refusal(rp_context *ctx, const rpi_bound *b, const rpi_segment *s,
                          rpi_loop_desc *out) {
  const rpi_repeat *r = ctx->repeat;
  const rpi_buffer *go = r->go->buf;
  bool never;
  if (ctx->comm) return RPI_REASON_REPEAT_RANKS;
  if (!ctx->config.graphs || !rpi_device_loops(ctx->device)) return RPI_REASON_REPEAT_DRIVER;
  if (!is_launches(ctx, b) || go->stamp != s->number) return RPI_REASON_REPEAT_STEPS;
  if (!is_compiled(ctx, &b->plan)) return RPI_REASON_REPEAT_COMPILE;
  out->check = rpi_jit_gpu_check(ctx->jit, &never);
  if (!out->check) return never ? RPI_REASON_REPEAT_REFUSED : RPI_REASON_REPEAT_COMPILE;
  const bool alone = stays(ctx, b, s);
  if (!alone && !swaps(b, r)) return RPI_REASON_REPEAT_MEMORY;
  out->n = alone ? 1 : 2;
  out->phase[0] = (rpi_loop_phase){.words = b->plan.words,
                                   .go = address_of(r->go, instance_after(ctx, b, s, go->slot))};
  if (!alone)
    out->phase[1] = (rpi_loop_phase){.words = r->past[1].words, .go = address_of(r->go, go->inst)};
  for (int32_t i = 0; i < out->n; i++)
    if (!out->phase[i].go) return RPI_REASON_REPEAT_MEMORY;
  return RPI_N_REASON;
}

/* ---- running ---- */

/* The pass at hand was the last one of a loop: its values are where this commit takes them to be. */
static rp_status settle_owed(const rp_context *ctx, const rpi_bound *b, const rpi_segment *s,
                             rpi_repeat *r) {
  const rpi_repeat_past *like = &r->past[2];
  bool same = b == like->plan;
  r->owed = false;
  for (uint32_t i = 0; i < s->n_slot && same; i++) {
    const rpi_instance *now = instance_after(ctx, b, s, i);
    same = !r->slot[i] || like->after[i] == (now ? now->device : 0);
  }
  return same ? RP_OK
              : rpi_status_fail(RP_ERR_INTERNAL,
                                "a repeated pass was run in other memory than it is committed in");
}

/* *ran 0 and RP_OK: it cannot be done so. */
static rp_status run(rp_context *ctx, rpi_bound *b, const rpi_segment *s, rpi_loop_desc *loop,
                     int64_t *ran) {
  rpi_repeat *r = ctx->repeat;
  *ran = 0;
  const rp_status st =
      find_zeros(s, r, loop) ? rpi_loop_run(&b->plan, &ctx->opaque_device, loop, ran) : RP_OK;
  rpi_alloc_free(loop->zero);
  if (st != RP_OK || *ran == 0) return st;
  r->owed = loop->n == 2 && *ran % 2 == 0;
  r->ran = *ran - r->owed;
  ctx->stats.loops++;
  ctx->stats.loop_passes += *ran;
  return RP_OK;
}

bool rpi_converge_run(rp_context *ctx, rpi_bound *b, const rpi_segment *s, rp_status *st) {
  rpi_repeat *r = ctx->repeat;
  if (!ctx->device || r->n_task != s->n_task || r->n_slot != s->n_slot) return false;
  if (r->owed) {
    *st = settle_owed(ctx, b, s, r);
    return true;
  }
  note(ctx, b, s, r);
  if (r->most < 2) return false;
  rpi_loop_desc loop = {.go_bytes = rpi_dtype_size(r->go->view->dtype),
                        .flags = ctx->addresses[b->an->n_symbol + 1],
                        .n_flag = b->n_flag,
                        .most = r->most};
  rpi_reason why = refusal(ctx, b, s, &loop);
  int64_t ran = 0;
  if (why == RPI_N_REASON) {
    *st = run(ctx, b, s, &loop, &ran);
    if (*st != RP_OK || ran > 0) return true;
    why = is_launches(ctx, b) ? RPI_REASON_REPEAT_REFUSED : RPI_REASON_REPEAT_STEPS;
  }
  rpi_context_reason(ctx, why);
  return false;
}
