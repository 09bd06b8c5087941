/* SPDX-License-Identifier: Apache-2.0
 * trace/template.c -- see template.h. */
#include "trace/template.h"

#include <string.h>

#include "core/base/hash.h"
#include "trace/calls.h"
#include "trace/decision.h"
#include "trace/places.h"

/* ---- templates by content ---- */

static uint64_t content_hash(const uint64_t *words, int32_t n, const uint32_t *klass,
                             uint32_t n_slot) {
  uint64_t part[2] = {rpi_hash_bytes(words, sizeof *words * (size_t)n).lo,
                      rpi_hash_bytes(klass, sizeof *klass * n_slot).lo};
  return rpi_hash_bytes(part, sizeof part).lo;
}

static bool same_content(const rpi_template *t, const uint64_t *words, int32_t n,
                         const uint32_t *klass, uint32_t n_slot) {
  return t->n_words == n && t->n_slot == n_slot &&
         memcmp(t->words, words, sizeof *words * (size_t)n) == 0 &&
         memcmp(t->klass, klass, sizeof *klass * n_slot) == 0;
}

/* What the tasks do to each slot, whoever is alive afterwards. */
static void describe_slots(rpi_template *t) {
  uint8_t writes = RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE;
  bool *seen = t->live; /* free at this time */
  for (int32_t k = 0; k < t->tasks.n_task; k++) {
    const rpi_task *task = &t->tasks.task[k];
    const rpi_access *a = &t->tasks.access[task->first_access];
    for (int32_t i = 0; i < task->n_access; i++)
      if ((a[i].mode & RPI_ACCESS_READ) && !seen[a[i].slot])
        t->slot[a[i].slot] |= RPI_SLOT_READS_OLD;
    for (int32_t i = 0; i < task->n_access; i++) {
      if (!(a[i].mode & writes)) continue;
      t->slot[a[i].slot] |= RPI_SLOT_WRITTEN;
      if (rpi_task_overwrites(&a[i]))
        seen[a[i].slot] = true;
      else if (!seen[a[i].slot])
        t->slot[a[i].slot] |= RPI_SLOT_READS_OLD;
    }
  }
  memset(seen, 0, t->tasks.n_slot); /* temporaries of the segment's own are never alive */
}

static rp_status fill(rp_context *ctx, rpi_template *t, const uint64_t *words,
                      const uint32_t *klass) {
  rpi_arena *a = &t->arena;
  t->words = rpi_arena_get(a, sizeof *words * (size_t)(t->n_words + 1));
  t->klass = rpi_arena_get(a, sizeof *klass * (t->n_slot + 1u));
  if (a->failed) return rpi_status_nomem("template");
  memcpy(t->words, words, sizeof *words * (size_t)t->n_words);
  memcpy(t->klass, klass, sizeof *klass * t->n_slot);
  RPI_TRY(rpi_task_build(ctx, t->words, t->n_words, t->n_slot, a, &t->tasks));
  bool *provable = rpi_arena_get(a, (size_t)t->tasks.n_access + 1);
  t->slot = rpi_arena_get(a, t->tasks.n_slot + 1u);
  t->live = rpi_arena_get(a, t->tasks.n_slot + 1u);
  if (ctx->comm) t->place = rpi_arena_get(a, sizeof *t->place * (t->n_slot + 1u));
  t->bad = rpi_arena_get(a, t->tasks.n_slot - t->n_slot + 1u);
  if (!provable || a->failed) return rpi_status_nomem("template");
  t->n_range = rpi_ranges(&t->tasks, t->range, RPI_RANGES, provable);
  describe_slots(t);
  for (int32_t k = 0; k < t->tasks.n_task; k++)
    t->has_opaque = t->has_opaque || t->tasks.task[k].kind == RPI_TASK_OPAQUE;
  if (ctx->comm) t->meaning = rpi_calls_meaning(ctx, t->words, t->n_words);
  return RP_OK;
}

rp_status rpi_template_get(rp_context *ctx, const uint64_t *words, int32_t n_words,
                           const uint32_t *klass, uint32_t n_slot, rpi_template **out) {
  *out = NULL;
  uint64_t hash = content_hash(words, n_words, klass, n_slot);
  int32_t it = -1;
  for (rpi_template *t; (t = rpi_map_next(&ctx->templates, hash, &it));)
    if (same_content(t, words, n_words, klass, n_slot)) {
      *out = t;
      return RP_OK;
    }
  rpi_template *t = rpi_alloc_zero(sizeof *t);
  if (!t) return rpi_status_nomem("template");
  rpi_arena_init(&t->arena);
  t->n_words = n_words;
  t->n_slot = n_slot;
  t->hash = hash;
  rp_status st = fill(ctx, t, words, klass);
  bool keep = ctx->config.tracing;
  if (st == RP_OK && keep && !rpi_map_add(&ctx->templates, hash, t))
    st = rpi_status_nomem("template");
  if (st != RP_OK) {
    rpi_template_free(ctx, t);
    return st;
  }
  t->number = (int32_t)++ctx->stats.templates;
  if (keep) {
    ctx->n_templates++;
    t->all = ctx->all_templates;
    ctx->all_templates = t;
  } else {
    rpi_context_reason(ctx, RPI_REASON_MISS_TRACING_OFF);
  }
  *out = t;
  return RP_OK;
}

/* ---- analyses by skeleton ---- */

/* What an analysis depends on besides geometry: the tasks' variants and kinds, who touches which
 * slot, which outputs live. */
static uint64_t *skeleton_of(const rpi_tasks *ts, const bool *live, bool trusted, int32_t most,
                             int32_t *n) {
  int32_t size = 4 + ts->n_task * 2 + (int32_t)ts->n_slot;
  for (int32_t t = 0; t < ts->n_task; t++) size += ts->task[t].n_store;
  uint64_t *w = rpi_alloc(sizeof *w * (size_t)size);
  if (!w) return NULL;
  *n = 0;
  w[(*n)++] = (uint64_t)ts->n_task << 1 | trusted;
  w[(*n)++] = ts->n_slot;
  w[(*n)++] = (uint64_t)most;
  for (int32_t t = 0; t < ts->n_task; t++) {
    const rpi_task *k = &ts->task[t];
    uint64_t what = k->variant ? k->variant->id : (uint64_t)k->op->id << 32;
    w[(*n)++] = what;
    w[(*n)++] = (uint64_t)k->kind | (uint64_t)k->rank << 8 | (uint64_t)k->op->special << 16 |
                (uint64_t)rpi_task_idle(k) << 32;
    for (int32_t i = 0; i < k->n_store; i++)
      w[(*n)++] = (uint64_t)k->slot[i] << 8 | (uint64_t)k->view[i]->dtype;
  }
  for (uint32_t s = 0; s < ts->n_slot; s++) w[(*n)++] = live[s];
  return w;
}

/* Sizes decide, too, which gathers can go unchecked. */
static bool same_provable(const rpi_analysis *an, const rpi_tasks *ts) {
  if (!an->trusted || !an->has_tables) return true;
  rpi_range ranges[RPI_RANGES];
  bool *now = rpi_alloc((size_t)ts->n_access + 1);
  if (!now) return false;
  rpi_ranges(ts, ranges, RPI_RANGES, now);
  const bool same = memcmp(now, an->provable, (size_t)ts->n_access) == 0;
  rpi_alloc_free(now);
  return same;
}

static rp_status find_plan(rp_context *ctx, rpi_template *t, const uint64_t *skeleton, int32_t n,
                           uint64_t hash, const uint32_t *place, rpi_bound **out) {
  int32_t it = -1;
  for (rpi_analysis *an; (an = rpi_map_next(&ctx->skeletons, hash, &it));) {
    if (an->n_skeleton != n || memcmp(an->skeleton, skeleton, sizeof *skeleton * (size_t)n) != 0)
      continue;
    if (rpi_query_hold(&an->queries, &t->tasks) && same_provable(an, &t->tasks)) {
      RPI_TRY(rpi_lower(ctx, an, &t->tasks, t->klass, place, t->n_slot, out));
      if (*out) {
        ctx->stats.skeleton_hits++;
        return RP_OK;
      }
    }
    rpi_context_reason(ctx, RPI_REASON_SKELETON_GUARD);
  }
  return RP_OK;
}

static rp_status new_plan(rp_context *ctx, rpi_template *t, const bool *live, bool trusted,
                          const uint32_t *place, rpi_bound **out) {
  int32_t n;
  uint64_t *skeleton = skeleton_of(&t->tasks, live, trusted, t->most, &n);
  if (!skeleton) return rpi_status_nomem("skeleton");
  uint64_t hash = rpi_hash_bytes(skeleton, sizeof *skeleton * (size_t)n).lo;
  bool keep = ctx->config.tracing;
  rp_status st = keep ? find_plan(ctx, t, skeleton, n, hash, place, out) : RP_OK;
  if (st != RP_OK || *out) {
    rpi_alloc_free(skeleton);
    return st;
  }
  rpi_analysis *an;
  st = rpi_analyse(ctx, &t->tasks, live, trusted, t->most, &an);
  if (st != RP_OK) {
    rpi_alloc_free(skeleton);
    return st;
  }
  an->skeleton = skeleton;
  an->n_skeleton = n;
  an->hash = hash;
  if (keep && !rpi_map_add(&ctx->skeletons, hash, an)) {
    rpi_analyse_free(an);
    return rpi_status_nomem("analysis");
  }
  if (keep) {
    an->next = ctx->all_analyses;
    ctx->all_analyses = an;
  }
  st = rpi_lower(ctx, an, &t->tasks, t->klass, place, t->n_slot, out);
  if (!keep && *out)
    (*out)->owns = true;
  else if (!keep)
    rpi_analyse_free(an);
  if (st == RP_OK && !*out)
    st = rpi_status_fail(RP_ERR_INTERNAL, "an analysis does not fit the tasks it was made for");
  return st;
}

/* The most body tasks of a group whose kernel spills; below two nothing can be split. */
static int32_t spilling_tasks(const rpi_bound *b) {
  enum { FEW = 64 }; /* bytes for each thread: they cost less than another pass over memory */
  int32_t most = 0;
  for (int32_t i = 0; i < b->plan.n_sub; i++) {
    const rpi_kernel_gpu *gpu = b->plan.sub[i].gpu;
    const int32_t n = b->an->group[b->sub_group[i]].n_body;
    if (gpu && gpu->code && gpu->code->spills > FEW && n > most) most = n;
  }
  return most;
}

/* Is a plan of smaller groups better? That is what the template makes next; the caller drops this one. */
static bool must_split(rpi_template *t, const rpi_bound *b) {
  const int32_t n = spilling_tasks(b);
  if (n >= 2) t->most = n / 2;
  return n >= 2;
}

bool rpi_template_split(rp_context *ctx, rpi_template *t, rpi_bound *b) {
  const int64_t now = rpi_jit_gpu_spills(ctx->jit);
  if (RPI_LIKELY(b->spills_seen == now)) return false;
  b->spills_seen = now;
  if (!must_split(t, b)) return false;
  rpi_bound **at = &t->bound;
  while (*at != b) at = &(*at)->next;
  *at = b->next;
  rpi_lower_free(b);
  return true;
}

rp_status rpi_template_plan(rp_context *ctx, rpi_template *t, const bool *live, bool trusted,
                            const uint32_t *place, rpi_bound **out) {
  rpi_bound **at = &t->bound;
  for (; *at; at = &(*at)->next)
    if (rpi_template_fits(t, *at, live, trusted, place)) {
      rpi_bound *b = *at;
      *at = b->next;
      b->next = t->bound;
      t->bound = b;
      *out = b;
      return RP_OK;
    }
  if (t->bound)
    rpi_context_reason(ctx, t->bound->trusted == trusted ? RPI_REASON_VARIANT_LIVE
                                                         : RPI_REASON_VARIANT_RANGE);
  for (;;) {
    *out = NULL;
    RPI_TRY(new_plan(ctx, t, live, trusted, place, out));
    if (!ctx->device || ctx->comm || !must_split(t, *out)) break;
    rpi_lower_free(*out);
  }
  if (ctx->comm) {
    (*out)->decided = rpi_decision_of(*out, t->tasks.n_task, t->n_slot);
    const uint64_t both[] = {(uint64_t)ctx->stats.decisions, (*out)->decided};
    ctx->stats.decisions = (int64_t)(rpi_hash_bytes64(both, sizeof both) >> 2);
  }
  (*out)->next = t->bound;
  t->bound = *out;
  return RP_OK;
}

/* ---- the end ---- */

void rpi_template_free(rp_context *ctx, rpi_template *t) {
  if (!ctx->config.tracing) rpi_calls_forget(ctx, t);
  while (t->bound) {
    rpi_bound *b = t->bound;
    t->bound = b->next;
    rpi_lower_free(b);
  }
  rpi_arena_deinit(&t->arena);
  rpi_alloc_free(t);
}

void rpi_template_limit(rp_context *ctx) {
  if (ctx->seg.n_slot > 0 || ctx->pending.number || ctx->running.number || ctx->repeat) return;
  rpi_context_reason(ctx, RPI_REASON_FORGET);
  rpi_template_free_all(ctx);
  rpi_map_init(&ctx->templates);
  rpi_map_init(&ctx->skeletons);
  for (int32_t i = 0; i < ctx->traces.cap; i++) {
    rpi_trace *tr = ctx->traces.slots[i].value;
    if (tr) tr->first = tr->all = NULL;
  }
  ctx->loose.first = ctx->loose.all = ctx->last = NULL;
  ctx->seg.pred = NULL;
  ctx->seg.at = ctx->seg.end = NULL;
  rpi_store_views_trim(ctx->pool);
  rpi_places_forget(ctx);
  ctx->stale = false;
}

void rpi_template_free_all(rp_context *ctx) {
  rpi_calls_forget(ctx, NULL);
  while (ctx->all_templates) {
    rpi_template *t = ctx->all_templates;
    ctx->all_templates = t->all;
    rpi_template_free(ctx, t);
  }
  while (ctx->all_analyses) {
    rpi_analysis *an = ctx->all_analyses;
    ctx->all_analyses = an->next;
    rpi_analyse_free(an);
  }
  ctx->n_templates = 0;
  rpi_map_deinit(&ctx->templates);
  rpi_map_deinit(&ctx->skeletons);
}
