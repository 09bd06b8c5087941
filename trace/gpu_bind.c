/* SPDX-License-Identifier: Apache-2.0
 * trace/gpu_bind.c -- see gpu_bind.h. */
#include "trace/gpu_bind.h"

#include <stdio.h>
#include <string.h>

#include "core/base/log.h"
#include "core/model/residence.h"
#include "jit/cuda_board.h"

/* ---- the device ---- */

enum { SENTENCE = 1024 };

static const char *library_of(const rpi_config *c) { return c->cuda && *c->cuda ? c->cuda : NULL; }

/* Nobody has asked for a GPU, so nobody wants to read why there is none where his last error was. */
static void forget(const char *before) {
  rpi_log(RPI_LOG_INFO, "no GPU is used: %s", rpi_status_message());
  rpi_status_fail(RP_OK, "%s", before);
}

/* Ranks of one machine take its GPUs in turn, and share them if they are more. */
static int32_t number_of(const rp_context *ctx, int32_t n) {
  const int32_t first = (int32_t)ctx->config.gpu;
  return first + rpi_comm_seat(ctx->comm) % (n - first);
}

rp_status rpi_gpu_bind_several(const rpi_config *c, int32_t *n) {
  int32_t there = 0;
  *n = 1;
  if (c->gpus < 2 || !rpi_comm_alone(c) || (library_of(c) && strcmp(c->cuda, "none") == 0))
    return RP_OK;
  RPI_TRY(rpi_device_count(library_of(c), &there));
  if (c->gpu < there && (c->gpu + c->gpus <= there || c->gpu_share)) {
    *n = (int32_t)c->gpus;
    return RP_OK;
  }
  return rpi_status_fail(
      RP_ERR_CONFIG,
      "gpus: %lld from number %lld on, but there are %d (several memories on one "
      "GPU: knob gpu_share)",
      (long long)c->gpus, (long long)c->gpu, (int)there);
}

rp_status rpi_gpu_bind_open(rp_context *ctx) {
  const rpi_config *c = &ctx->config;
  const bool asked = c->gpus > 0;
  char before[SENTENCE];
  int32_t n = 0;
  if (c->gpus == 0 || rpi_comm_dry(ctx->comm)) return RP_OK;
  if (c->gpus > 1 && !rpi_comm_alone(c))
    return rpi_status_fail(RP_ERR_CONFIG,
                           "gpus: %lld, but a process that is one of several uses one: several are "
                           "used by as many ranks",
                           (long long)c->gpus);
  if (library_of(c) && strcmp(c->cuda, "none") == 0)
    return asked ? rpi_status_fail(RP_ERR_CONFIG, "gpus: %lld, but cuda is \"none\"",
                                   (long long)c->gpus)
                 : RP_OK;
  snprintf(before, sizeof before, "%s", rpi_status_message());
  rp_status st = rpi_device_count(library_of(c), &n);
  if (st == RP_OK && c->gpu >= n)
    st = rpi_status_fail(RP_ERR_CONFIG, "gpu: %lld, but there are %d", (long long)c->gpu, (int)n);
  if (st == RP_OK) ctx->gpu_shared = rpi_comm_seat(ctx->comm) >= n - (int32_t)c->gpu;
  if (st == RP_OK)
    st = rpi_device_open(library_of(c), number_of(ctx, n), c->gpu_mb << 20, &ctx->device);
  if (st == RP_OK && ctx->comm) st = rpi_device_span_begin(ctx->device);
  if (st != RP_OK) rpi_device_close(ctx->device);
  if (st != RP_OK) ctx->device = NULL;
  if (st == RP_OK || asked) return st;
  forget(before);
  return RP_OK;
}

static void drop_scratch(rp_context *ctx) {
  if (ctx->gpu_span)
    rpi_device_span_put(ctx->device, ctx->gpu_span);
  else
    rpi_device_put(ctx->device, ctx->gpu_scratch, ctx->gpu_scratch_bytes);
  ctx->gpu_span = NULL;
  ctx->gpu_scratch = 0;
  ctx->gpu_scratch_bytes = 0;
}

void rpi_gpu_bind_close(rp_context *ctx) {
  if (!ctx->device) return;
  rpi_opaque_gpu_end(&ctx->opaque_device);
  drop_scratch(ctx);
  rpi_device_put(ctx->device, ctx->gpu_flags, ctx->gpu_flags_bytes);
  if (ctx->gpu_board) rpi_device_put(ctx->device, ctx->gpu_board, sizeof(rpk_board));
  ctx->device = NULL;
}

rp_status rpi_gpu_bind_without(rp_context *ctx, rp_status why) {
  rpi_device *d = ctx->device;
  if (!d || ctx->config.gpus > 0 || why != RP_ERR_DEVICE) return why;
  forget("");
  rpi_gpu_bind_close(ctx);
  ctx->pool->device = NULL;
  ctx->opaque_device.device = NULL;
  rpi_device_close(d);
  return RP_OK;
}

/* ---- before a run ---- */

/* At least so many bytes of zeros; what was there is lost. */
static rp_status reserve_flags(rp_context *ctx, const rpi_bound *b) {
  enum { LEAST = 256 };
  const int64_t bytes = (b->n_flag < LEAST ? LEAST : b->n_flag) * (int64_t)sizeof(rpi_kernel_flag);
  if (bytes <= ctx->gpu_flags_bytes) return RP_OK;
  rpi_device_put(ctx->device, ctx->gpu_flags, ctx->gpu_flags_bytes);
  ctx->gpu_flags = 0;
  ctx->gpu_flags_bytes = 0;
  RPI_TRY(rpi_residence_get(ctx->pool, bytes, &ctx->gpu_flags));
  ctx->gpu_flags_bytes = bytes;
  return rpi_device_zero(ctx->device, ctx->gpu_flags, bytes);
}

/* Zeros at first and between launches. */
static rp_status reserve_board(rp_context *ctx, const rpi_bound *b) {
  if (RPI_LIKELY(!b->board || ctx->gpu_board)) return RP_OK;
  RPI_TRY(rpi_residence_get(ctx->pool, sizeof(rpk_board), &ctx->gpu_board));
  return rpi_device_zero(ctx->device, ctx->gpu_board, sizeof(rpk_board));
}

/* Bytes of scratch are used. */
static rp_status map_scratch(rp_context *ctx, rpi_hull part) {
  return ctx->gpu_span ? rpi_residence_span(ctx->pool, ctx->gpu_scratch_bytes, part, &ctx->gpu_span)
                       : RP_OK;
}

/* Of a large one memory for what the plan touches of each symbol. */
static rp_status reserve_scratch(rp_context *ctx, rpi_bound *b) {
  const int64_t bytes = b->scratch_bytes;
  if (bytes > ctx->gpu_scratch_bytes) {
    drop_scratch(ctx);
    ctx->gpu_scratch_number++;
    if (b->touch && rpi_residence_spans(ctx->pool, bytes)) {
      RPI_TRY(rpi_residence_span(ctx->pool, bytes, (rpi_hull){0, 0}, &ctx->gpu_span));
      ctx->gpu_scratch = rpi_device_span_at(ctx->gpu_span);
    } else {
      RPI_TRY(rpi_residence_get(ctx->pool, bytes, &ctx->gpu_scratch));
    }
    ctx->gpu_scratch_bytes = bytes;
  }
  if (!ctx->gpu_span || b->scratch_in == ctx->gpu_scratch_number) return RP_OK;
  for (int32_t i = 0; i < b->an->n_symbol; i++) {
    const rpi_hull h = b->touch[i];
    if (!ctx->instances[i] && !rpi_hull_is_empty(h))
      RPI_TRY(map_scratch(ctx, (rpi_hull){b->scratch[i] + h.lo, b->scratch[i] + h.hi}));
  }
  RPI_TRY(map_scratch(ctx, (rpi_hull){b->partials, bytes}));
  b->scratch_in = ctx->gpu_scratch_number;
  return RP_OK;
}

/* An instance comes to where the plan wants it; `keeps`: with its values. */
static rp_status bring(rp_context *ctx, const rpi_bound *b, int32_t symbol, bool keeps) {
  rpi_instance *i = ctx->instances[symbol];
  const uint8_t entry = keeps ? b->sides.entry[symbol] : 0;
  const rpi_hull touched = b->touch ? b->touch[symbol] : (rpi_hull){0, i->bytes};
  if (b->an->symbol[symbol].kind == RPI_SYMBOL_NEW && !keeps) rpi_residence_forget(ctx->pool, i);
  RPI_TRY(rpi_residence_room(ctx->pool, i, entry | b->sides.room[symbol], touched));
  RPI_TRY(rpi_residence_bring(ctx->pool, i, entry));
  RPI_TRY(rpi_residence_hold(ctx->pool, i, touched));
  ctx->parts[symbol] = i->held;
  return RP_OK;
}

rp_status rpi_gpu_bind_symbols(rp_context *ctx, rpi_bound *b) {
  const rpi_analysis *an = b->an;
  const rpi_sides *s = &b->sides;
  rpi_residence_turn(ctx->pool);
  RPI_TRY(reserve_flags(ctx, b));
  RPI_TRY(reserve_board(ctx, b));
  if (s->gpu) RPI_TRY(reserve_scratch(ctx, b));
  for (int32_t i = 0; i < an->n_symbol; i++) {
    const rpi_symbol *k = &an->symbol[i];
    rpi_instance *inst = ctx->instances[i];
    if (!inst) {
      ctx->addresses[i] = ctx->gpu_scratch + (CUdeviceptr)b->scratch[i];
      if (b->touch) ctx->parts[i] = b->touch[i];
      continue;
    }
    const bool keeps = k->kind == RPI_SYMBOL_IN ? k->needs_old || !k->written : !ctx->patch[i];
    RPI_TRY(bring(ctx, b, i, keeps));
    ctx->pointers[i] = inst->data;
    /* A prologue may look at an array without elements; what it finds is not used. */
    ctx->addresses[i] = inst->bytes > 0 ? inst->device : ctx->gpu_flags;
    ctx->patch_bytes[i] = inst->bytes;
  }
  ctx->addresses[an->n_symbol] = ctx->gpu_scratch;
  ctx->addresses[an->n_symbol + 1] = ctx->gpu_flags;
  ctx->addresses[an->n_symbol + 2] = ctx->gpu_board;
  return RP_OK;
}

rp_status rpi_gpu_bind_reach(void *arg, int32_t symbol, rpi_hull more) {
  rp_context *ctx = arg;
  rpi_instance *i = ctx->instances[symbol];
  if (RPI_LIKELY(rpi_hull_has(ctx->parts[symbol], more))) return RP_OK;
  ctx->parts[symbol] = rpi_hull_join(ctx->parts[symbol], more);
  if (i) return rpi_residence_hold(ctx->pool, i, more);
  const int64_t at = (int64_t)(ctx->addresses[symbol] - ctx->gpu_scratch);
  return map_scratch(ctx, (rpi_hull){at + more.lo, at + more.hi});
}

/* ---- after it ---- */

void rpi_gpu_bind_settle(rp_context *ctx, const rpi_bound *b) {
  const rpi_analysis *an = b->an;
  const rpi_sides *s = &b->sides;
  for (int32_t i = 0; i < an->n_symbol; i++) {
    rpi_instance *inst = ctx->instances[i];
    if (!inst) continue;
    const uint8_t valid = s->grown[i] ? s->valid[i] : inst->valid | s->valid[i];
    if (valid != 0) rpi_residence_settle(ctx->pool, inst, valid);
  }
}

static bool may_raise(const rpi_bound *b) {
  bool may = false;
  for (int32_t i = 0; i < b->plan.n_step; i++) {
    const rpi_step *s = &b->plan.step[i];
    for (int32_t k = 0; s->kind == RPI_STEP_LAUNCH && s->gpu && k < s->n_sub; k++) {
      const rpi_ir *ir = rpi_jit_ir(b->plan.sub[s->first_sub + k].kernel);
      for (int32_t o = 0; o < ir->n_operand; o++) may = may || ir->operand[o].checked;
    }
  }
  return may;
}

rp_status rpi_gpu_bind_flags(rp_context *ctx, const rpi_bound *b) {
  if (!b->sides.gpu || !may_raise(b)) return RP_OK;
  const int64_t bytes = b->n_flag * (int64_t)sizeof(rpi_kernel_flag);
  bool raised = false;
  rpi_context_reason(ctx, RPI_REASON_GPU_FLAG);
  rpi_kernel_flag *now = rpi_alloc((size_t)bytes);
  if (!now) return rpi_status_nomem("flags");
  rp_status st = rpi_device_download(ctx->device, now, ctx->gpu_flags, bytes);
  for (int32_t f = 0; f < b->n_flag && st == RP_OK; f++) {
    ctx->flags[f].raised |= now[f].raised;
    raised = raised || now[f].raised;
  }
  if (raised) st = rpi_device_zero(ctx->device, ctx->gpu_flags, bytes);
  rpi_alloc_free(now);
  return st;
}
