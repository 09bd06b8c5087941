/* SPDX-License-Identifier: Apache-2.0
 * trace/commit.c -- see commit.h. */
#include "trace/commit.h"

#include <string.h>

#include "core/exec/run.h"
#include "trace/calls.h"
#include "trace/converge.h"
#include "trace/gpu_bind.h"
#include "trace/places.h"
#include "trace/nonfinite.h"
#include "trace/outcome.h"
#include "trace/piecemeal.h"
#include "trace/poison.h"

/* ---- who is alive ---- */

/* An output lives if the application holds it or the next segment reads it; if the next segment
 * overwrites it first, nobody can see it. */
static void find_live(const rpi_template *t, const rpi_segment *s, const rpi_segment *next,
                      bool *live) {
  for (uint32_t i = 0; i < s->n_slot; i++) {
    const rpi_buffer *b = s->slot[i];
    if (!(t->slot[i] & RPI_SLOT_WRITTEN)) {
      live[i] = true;
      continue;
    }
    const uint8_t then = !next || b->stamp != next->number ? 0
                         : !next->done                     ? RPI_SLOT_READS_OLD
                                                           : next->done->slot[b->slot];
    live[i] = then != 0 ? (then & RPI_SLOT_READS_OLD) != 0 : b->app_refs > 0;
  }
}

/* Waiting for the next segment is worth it while outputs would have been stored for nothing. */
static void learn_lateness(rpi_template *t, const rpi_segment *s, const rpi_segment *next,
                           const bool *live) {
  if (!next) return;
  bool saved = false;
  for (uint32_t i = 0; i < s->n_slot && !saved; i++)
    saved = !live[i] && s->slot[i]->base->bsize > 1;
  t->late_idle = saved ? 0 : t->late_idle + 1;
  if (t->late_idle >= 4) {
    t->late = false;
    t->died_unread = 0;
  }
}

/* ---- ranks ---- */

/* Where the slots are valid; NULL for a process alone. */
static const uint32_t *places_of(const rp_context *ctx, const rpi_template *t,
                                 const rpi_segment *s) {
  if (!ctx->comm) return NULL;
  for (uint32_t i = 0; i < s->n_slot; i++) t->place[i] = s->slot[i]->place;
  return t->place;
}

/* A segment's choice does not see the next segment's: where they do not agree an array moves in each pass. */
static void count_turns(rp_context *ctx, rpi_buffer *b, uint32_t now) {
  enum { TURNS = 8 };
  if (b->place < RPI_PLACE_TILED || now < RPI_PLACE_TILED || ctx->rows_only ||
      rpi_places_is_grid(ctx, b->place) == rpi_places_is_grid(ctx, now) || ++b->turns < TURNS)
    return;
  b->turns = 0;
  if (ctx->config.cut != RPI_CUT_AUTO) return;
  ctx->rows_only = ctx->stale = true;
  rpi_context_reason(ctx, RPI_REASON_RANKS_ROWS);
}

static void settle_place(rp_context *ctx, rpi_buffer *b, uint32_t now) {
  if (b->place == RPI_PLACE_PINNED || b->place == now) return;
  count_turns(ctx, b, now);
  if (b->place >= RPI_PLACE_TILED && now == RPI_PLACE_WHOLE) b->whole = true;
  b->place = now;
}

static void settle_places(rp_context *ctx, const rpi_segment *s, const rpi_bound *b) {
  for (uint32_t i = 0; b->place_out && i < s->n_slot; i++)
    settle_place(ctx, s->slot[i], b->place_out[i]);
}

/* ---- index data ---- */

static bool in_range(rp_context *ctx, const rpi_template *t, const rpi_segment *s) {
  bool ok = true;
  for (int32_t i = 0; i < t->n_range; i++) {
    rpi_buffer *b = s->slot[t->range[i].slot];
    rpi_places_index_range(ctx, b); /* a failure stays in ctx->ranks_status */
    ok = ok && b->range_lo >= t->range[i].lo && b->range_hi <= t->range[i].hi;
  }
  return ok;
}

/* ---- memory of the symbols ---- */

static rp_status reserve_symbols(rp_context *ctx, int32_t n) {
  if (n <= ctx->cap_symbols) return RP_OK;
  void **p = rpi_alloc_resize(ctx->pointers, sizeof *p * (size_t)n);
  if (p) ctx->pointers = p;
  bool *q = rpi_alloc_resize(ctx->patch, (size_t)n);
  if (q) ctx->patch = q;
  int64_t *r = rpi_alloc_resize(ctx->patch_bytes, sizeof *r * (size_t)n);
  if (r) ctx->patch_bytes = r;
  rpi_instance **i = rpi_alloc_resize(ctx->instances, sizeof(*i) * (size_t)n);
  if (i) ctx->instances = i;
  CUdeviceptr *g = rpi_alloc_resize(ctx->addresses, sizeof *g * (size_t)n);
  if (g) ctx->addresses = g;
  rpi_hull *h = rpi_alloc_resize(ctx->parts, sizeof *h * (size_t)n);
  if (h) ctx->parts = h;
  uint64_t *v = rpi_alloc_resize(ctx->values, sizeof *v * (size_t)n);
  if (v) ctx->values = v;
  if (!p || !q || !r || !i || !g || !h || !v) return rpi_status_nomem("symbols");
  ctx->cap_symbols = n;
  return RP_OK;
}

static rp_status reserve_held(rp_context *ctx, int32_t n) {
  void *p = ctx->held;
  if (!rpi_alloc_grow(&p, &ctx->cap_held, n, sizeof(*ctx->held))) return rpi_status_nomem("held");
  ctx->held = p;
  return RP_OK;
}

static rp_status reserve_scratch(rp_context *ctx, const rpi_bound *b) {
  if (b->scratch_bytes > ctx->scratch_bytes && (!ctx->device || b->sides.host)) {
    if (ctx->scratch) rpi_memory_put(ctx->memory, ctx->scratch, (size_t)ctx->scratch_bytes);
    ctx->scratch_bytes = 0;
    ctx->scratch = rpi_memory_get(ctx->memory, (size_t)b->scratch_bytes, NULL);
    if (!ctx->scratch) return RP_ERR_MEMORY;
    ctx->scratch_bytes = b->scratch_bytes;
  }
  if (b->n_flag > ctx->cap_flags) {
    rpi_kernel_flag *f = rpi_alloc_resize(ctx->flags, sizeof *f * (size_t)b->n_flag);
    if (!f) return rpi_status_nomem("flags");
    memset(f, 0, sizeof *f * (size_t)b->n_flag);
    ctx->flags = f;
    ctx->cap_flags = b->n_flag;
  }
  return RP_OK;
}

static rp_status own_input(rpi_buffer *b, const rpi_symbol *k) {
  rpi_instance *inst = b->inst;
  /* Code for the GPU is made for how the buffer's own memory is aligned, not a copy's that it shares. */
  const bool odd = inst && RPI_UNLIKELY(inst->unaligned) && !(b->klass & RPI_CLASS_UNALIGNED);
  if (RPI_LIKELY(inst && !odd && (!k->written || inst->refs == 1 + (inst == b->home))))
    return RP_OK;
  return rpi_store_own(b, k->needs_old);
}

/* The instance a buffer takes on renaming: its spare if there is one. */
static rp_status new_instance(rp_context *ctx, rpi_buffer *b, const rpi_bound *bound, int32_t s) {
  rpi_instance *spare = b->spare;
  uint32_t slot = bound->an->symbol[s].slot;
  if (spare && spare->refs == 1 + (spare == b->home)) {
    ctx->patch[s] = !(b->spare_tag != 0 && b->spare_tag == bound->tag[slot]);
    if (bound->patched && b->spare_place != RPI_PLACE_WHOLE && b->spare_place != bound->patched[s])
      ctx->patch[s] = true;
    b->spare = NULL;
  } else {
    if (spare) rpi_store_instance_release(b->pool, spare);
    b->spare = NULL;
    spare = rpi_store_instance(b->pool, rpi_store_bytes(b), b->inst);
    if (!spare) return RP_ERR_MEMORY;
    ctx->patch[s] = true;
  }
  ctx->instances[s] = spare;
  return RP_OK;
}

/* Instances that were taken for a run that does not happen. */
static void drop_new(rp_context *ctx, const rpi_analysis *an, int32_t n) {
  for (int32_t i = 0; i < n; i++)
    if (an->symbol[i].kind == RPI_SYMBOL_NEW && ctx->instances[i])
      rpi_store_instance_release(ctx->pool, ctx->instances[i]);
}

static rp_status bind_each(rp_context *ctx, const rpi_segment *s, rpi_bound *bound, int32_t *n) {
  const rpi_analysis *an = bound->an;
  for (int32_t i = 0; i < an->n_symbol; i++) {
    const rpi_symbol *k = &an->symbol[i];
    rpi_buffer *b = k->slot < s->n_slot ? s->slot[k->slot] : NULL; /* NULL: a temporary */
    *n = i + 1;
    ctx->patch[i] = true;
    ctx->values[i] = 0;
    ctx->instances[i] = NULL;
    switch (k->kind) {
      case RPI_SYMBOL_IN:
        RPI_TRY(own_input(b, k));
        ctx->instances[i] = b->inst;
        ctx->pointers[i] = b->inst->data;
        if (!k->written) ctx->values[i] = b->version;
        break;
      case RPI_SYMBOL_NEW:
        RPI_TRY(new_instance(ctx, b, bound, i));
        ctx->pointers[i] = ctx->instances[i]->data;
        ctx->patch_bytes[i] = rpi_store_bytes(b);
        ctx->stats.patched += ctx->patch[i] && k->old >= 0;
        break;
      case RPI_SYMBOL_SCRATCH:
        ctx->pointers[i] = ctx->scratch ? (char *)ctx->scratch + bound->scratch[i] : NULL;
        ctx->patch_bytes[i] = b ? rpi_store_bytes(b) : 0;
        break;
    }
  }
  ctx->values[an->n_symbol] = 0;
  ctx->pointers[an->n_symbol] = ctx->scratch;
  ctx->pointers[an->n_symbol + 1] = ctx->flags;
  ctx->pointers[an->n_symbol + 2] = NULL; /* the GPU's alone */
  return ctx->device ? rpi_gpu_bind_symbols(ctx, bound) : RP_OK;
}

static rp_status bind_symbols(rp_context *ctx, const rpi_segment *s, rpi_bound *bound) {
  int32_t n = 0;
  RPI_TRY(reserve_symbols(ctx, bound->n_symbol));
  RPI_TRY(reserve_held(ctx, bound->n_symbol + (int32_t)s->n_slot));
  RPI_TRY(reserve_scratch(ctx, bound));
  const rp_status st = bind_each(ctx, s, bound, &n);
  if (RPI_UNLIKELY(st != RP_OK)) drop_new(ctx, bound->an, n);
  return st;
}

/* ---- afterwards ---- */

/* A buffer gives the instance up; steps of the run that are left (commit is for one buffer's sake) may
 * still use it, so it goes when they are done. */
static void give_up(rp_context *ctx, rpi_instance *i) { ctx->held[ctx->n_held++] = i; }

static void release_held(rp_context *ctx) {
  while (ctx->n_held > 0) rpi_store_instance_release(ctx->pool, ctx->held[--ctx->n_held]);
}

/* A slot's buffer holds what its last symbol is now; the symbol's instance is counted already. */
static void settle_slot(rp_context *ctx, rpi_buffer *b, const rpi_bound *bound, uint32_t slot,
                        rpi_instance *now) {
  const rpi_symbol *k = &bound->an->symbol[bound->an->out[slot]];
  rpi_instance *old = b->inst;
  b->inst = now;
  if (!old) return;
  bool renamed = k->kind == RPI_SYMBOL_NEW && k->slot == slot;
  if (renamed && old->refs == 1 + (old == b->home) && !b->spare) {
    b->spare = old;
    b->spare_tag = bound->tag[slot];
    b->spare_place = b->place;
  } else {
    give_up(ctx, old);
    b->spare_tag = 0;
  }
}

/* The instance the slot's buffer changes to, NULL if it keeps its own. */
static rpi_instance *changes_to(const rp_context *ctx, const rpi_segment *s, const rpi_bound *bound,
                                uint32_t slot) {
  int32_t out = bound->an->out[slot];
  if (out < 0 || ctx->instances[out] == s->slot[slot]->inst) return NULL;
  return ctx->instances[out];
}

/* Shared copies take their references before anybody releases one; a NEW symbol that is not its
 * slot's last one gives back the reference it was made with. */
static void settle_instances(rp_context *ctx, const rpi_segment *s, const rpi_bound *bound) {
  const rpi_analysis *an = bound->an;
  for (uint32_t i = 0; i < s->n_slot; i++) {
    rpi_instance *now = changes_to(ctx, s, bound, i);
    if (now) now->refs++;
  }
  for (int32_t i = 0; i < an->n_symbol; i++)
    if (an->symbol[i].kind == RPI_SYMBOL_NEW) give_up(ctx, ctx->instances[i]);
  for (uint32_t i = 0; i < s->n_slot; i++) {
    rpi_instance *now = changes_to(ctx, s, bound, i);
    if (now) settle_slot(ctx, s->slot[i], bound, i, now);
  }
}

/* What the buffers' counters say after the run. */
static void settle(rp_context *ctx, rpi_template *t, const rpi_segment *s, const rpi_bound *bound) {
  const rpi_analysis *an = bound->an;
  for (uint32_t i = 0; i < s->n_slot; i++) {
    rpi_buffer *b = s->slot[i];
    bool writes = t->slot[i] & RPI_SLOT_WRITTEN;
    if (b->unread) {
      bool reads = t->slot[i] & RPI_SLOT_READS_OLD;
      if (writes && !reads && b->base->bsize > 1) ++*b->unread;
      if (writes || reads) b->unread = NULL;
    }
    if (!writes) continue;
    b->version = ++ctx->pool->versions;
    if (!an->written[i] || an->out[i] < 0 || an->symbol[an->out[i]].kind == RPI_SYMBOL_IN)
      b->spare_tag = 0;
    if (an->written[i] && an->live[i] && ctx->config.tracing) b->unread = &t->died_unread;
  }
  if (bound->moves && !rpi_comm_dry(ctx->comm)) settle_instances(ctx, s, bound);
}

static void count_run(rp_context *ctx, const rpi_bound *b, int64_t times) {
  const rpi_analysis *an = b->an;
  ctx->stats.segments += times;
  ctx->stats.kernels_run += times * b->plan.n_kernels;
  ctx->stats.steps_run += times * b->plan.n_step;
  ctx->stats.bytes_moved += times * b->plan.bytes;
  ctx->stats.temporaries += times * an->n_temporary;
  ctx->stats.dead_tasks += times * an->n_dead;
  ctx->stats.renamed += times * an->n_renamed;
  ctx->stats.copies_shared += times * an->n_copies;
  ctx->stats.kernels_shared += b->plan.n_shared;
  ctx->stats.kernels_boxed += b->plan.n_boxed;
  ctx->stats.gathers += b->plan.n_gather;
  ctx->stats.joint_reductions += b->plan.n_joint;
}

/* ---- the whole ---- */

static void unbind(rpi_segment *s) {
  for (uint32_t i = 0; i < s->n_slot; i++) rpi_store_buffer_unbind(s->slot[i]);
  s->n_slot = 0;
  s->n_scalar = 0;
  s->n_task = 0;
  s->number = 0;
  s->done = NULL;
}

/* What this rank was doing when it parted from the others. */
static rp_status name_place(const rpi_segment *s, rp_status st) {
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rpi_task_print_op(&s->done->tasks, 0, &text);
  rpi_status_context(st, "in launches %lld to %lld, from %s on", (long long)s->first_launch,
                     (long long)s->first_launch + s->n_task - 1, rpi_strbuf_str(&text));
  rpi_strbuf_deinit(&text);
  return st;
}

static void run_steps(rp_context *ctx, rpi_bound *b, const rpi_segment *s, int32_t first,
                      int32_t end) {
  rpi_exchange_count count = {0};
  const rpi_run_host host = {.workers = ctx->workers,
                             .comm = ctx->comm,
                             .version = ctx->values,
                             .count = &count,
                             .nccl = ctx->nccl,
                             .device = ctx->device,
                             .graphs = ctx->config.graphs,
                             .addresses = ctx->addresses,
                             .held = ctx->parts,
                             .reach = b->touch ? rpi_gpu_bind_reach : NULL,
                             .reach_arg = ctx,
                             .opaque = &ctx->opaque_device};
  rp_status st = RP_OK;
  if (RPI_LIKELY(!ctx->repeat || first > 0) || !rpi_converge_run(ctx, b, s, &st))
    st = rpi_run_plan(&b->plan, first, end, &host, ctx->pointers, ctx->patch, ctx->patch_bytes);
  for (; RPI_UNLIKELY(b->n_loose < b->plan.n_loose); b->n_loose++)
    rpi_context_reason(ctx, RPI_REASON_GPU_RECORD);
  const bool owes =
      RPI_UNLIKELY(ctx->repeat) && ctx->repeat->owed; /* the flags are of a later pass */
  if (st == RP_OK && ctx->device && !owes) st = rpi_gpu_bind_flags(ctx, b);
  if (RPI_UNLIKELY(st != RP_OK)) st = name_place(s, st);
  if (ctx->device && ctx->gpu_status == RP_OK) ctx->gpu_status = st;
  if (ctx->comm) rpi_places_failed(ctx, st);
  ctx->stats.messages += count.messages;
  ctx->stats.bytes_sent += count.bytes;
  ctx->stats.images += count.images;
  ctx->stats.index_values += count.index_values;
  ctx->stats.overlapped += count.overlapped;
}

/* After the last step. */
static void close_run(rp_context *ctx, rpi_segment *s, rpi_bound *b) {
  rpi_template *t = s->done;
  release_held(ctx);
  rpi_outcome_join(ctx, b);
  if (!rpi_comm_dry(ctx->comm)) rpi_poison_spread(ctx, t, s, b);
  if (RPI_UNLIKELY(ctx->config.nonfinite)) rpi_nonfinite_look(ctx, t, s);
  unbind(s);
  if (!ctx->config.tracing) rpi_template_free(ctx, t);
}

void rpi_commit_finish(rp_context *ctx) {
  if (ctx->running.number == 0) return;
  rpi_bound *b = ctx->running_plan;
  run_steps(ctx, b, &ctx->running, ctx->running_step, b->plan.n_step);
  close_run(ctx, &ctx->running, b);
}

/* Which steps of a plan a rank has differs; whether it goes on must not, where others wait for its messages. */
bool rpi_commit_unfinished(const rp_context *ctx, const rpi_buffer *b, bool writes) {
  if (ctx->running.number == 0) return false;
  writes = writes || ctx->comm;
  for (uint32_t i = 0; i < ctx->running.n_slot; i++)
    if (ctx->running.slot[i] == b) return writes || ctx->running_plan->ready[i] > ctx->running_step;
  return false;
}

/* A step that may fail poisons whole arrays, parts included that others read before it ran. */
static bool may_fail(const rpi_template *t, const rpi_bound *b) {
  bool may = false;
  for (int32_t k = 0; k < t->tasks.n_task; k++) may = may || b->an->checked[k];
  for (int32_t c = 0; c < b->plan.n_call; c++)
    may = may || rpi_opaque_may_fail(b->plan.call[c].opaque);
  return may;
}

/* How many steps the wanted buffer needs. */
static int32_t steps_for(const rp_context *ctx, const rpi_segment *s, const rpi_bound *b,
                         const rpi_buffer *want) {
  if (want && (b->sides.gpu || ctx->gpu_somewhere || may_fail(s->done, b))) return b->plan.n_step;
  for (uint32_t i = 0; want && i < s->n_slot; i++)
    if (s->slot[i] == want) return b->ready[i];
  return b->plan.n_step;
}

static rp_status choose_plan(rp_context *ctx, rpi_segment *s, const rpi_segment *next,
                             rpi_bound **out) {
  rpi_template *t = s->done;
  find_live(t, s, next, t->live);
  if (t->late) learn_lateness(t, s, next, t->live);
  bool trusted = t->n_range == 0 || in_range(ctx, t, s);
  const uint32_t *place = places_of(ctx, t, s);
  *out = t->bound;
  if (RPI_UNLIKELY(ctx->device && !ctx->comm && *out && rpi_template_split(ctx, t, *out)))
    *out = t->bound;
  if (RPI_LIKELY(*out && rpi_template_fits(t, *out, t->live, trusted, place))) return RP_OK;
  return rpi_template_plan(ctx, t, t->live, trusted, place, out);
}

/* Runs as far as the wanted buffer needs, or all; returns how many steps. */
static int32_t run_first(rp_context *ctx, rpi_bound *b, const rpi_segment *s,
                         const rpi_buffer *want) {
  const int32_t end = steps_for(ctx, s, b, want);
  rpi_run_bind(&b->plan, ctx->pointers, ctx->addresses, s->scalar);
  run_steps(ctx, b, s, 0, end);
  if (end == b->plan.n_step || !(rpi_poison_raised(ctx, b) || ctx->config.nonfinite)) return end;
  run_steps(ctx, b, s, end, b->plan.n_step);
  return b->plan.n_step;
}

rp_status rpi_commit(rp_context *ctx, rpi_segment *s, const rpi_segment *next,
                     const rpi_buffer *want) {
  rpi_template *t = s->done;
  rpi_bound *b = NULL;
  rpi_commit_finish(ctx);
  if (ctx->comm) rpi_calls_commit(ctx, s);
  rp_status st = ctx->gpu_status == RP_OK ? rpi_jit_gpu_take(ctx->jit) : ctx->gpu_status;
  if (st == RP_OK) st = choose_plan(ctx, s, next, &b);
  if (ctx->comm && st == RP_OK) rpi_calls_decided(ctx, b->decided);
  const bool dry = rpi_comm_dry(ctx->comm);
  if (st == RP_OK && !dry) st = bind_symbols(ctx, s, b);
  if (st != RP_OK) {
    long long first = (long long)s->first_launch, last = first + s->n_task - 1;
    const bool apart = st == RP_ERR_MEMORY && ctx->device && !ctx->comm && s->n_task > 1;
    if (apart)
      st = rpi_piecemeal_commit(ctx, s);
    else
      rpi_status_context(st, "launches %lld to %lld of the context did not run", first, last);
    if (ctx->comm && st == RP_ERR_MEMORY) rpi_places_failed(ctx, st);
    unbind(s);
    if (!ctx->config.tracing) rpi_template_free(ctx, t);
    return st;
  }
  const int32_t end = dry ? b->plan.n_step : run_first(ctx, b, s, want);
  ctx->functions += b->plan.n_call;
  if (ctx->device) rpi_gpu_bind_settle(ctx, b);
  settle(ctx, t, s, b);
  settle_places(ctx, s, b);
  b->runs++;
  count_run(ctx, b, RPI_LIKELY(!ctx->repeat) ? 1 : ctx->repeat->ran);
  if (t->died_unread > 0 && !t->late) {
    if (!ctx->config.late) rpi_context_reason(ctx, RPI_REASON_LATE_OFF);
    t->late = ctx->config.late && t->late_idle < 4;
  }
  if (end < b->plan.n_step) {
    rpi_segment spare = ctx->running;
    ctx->running = *s;
    *s = spare; /* its arrays are free, and it is empty */
    ctx->running_plan = b;
    ctx->running_step = end;
  } else {
    close_run(ctx, s, b);
  }
  if (RPI_UNLIKELY(ctx->gpu_status != RP_OK)) return ctx->gpu_status;
  if (RPI_LIKELY(ctx->ranks_status == RP_OK)) return RP_OK;
  return rpi_status_context(ctx->ranks_status, "the ranks of the context have parted");
}
