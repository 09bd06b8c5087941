/* SPDX-License-Identifier: Apache-2.0
 * trace/template.h -- what is known about a segment, found by its content.
 *
 * Lives here: the template, the tables that find it (by hash with a full comparison), its plans, and
 *             the analyses shared by all segments of one skeleton whose guards hold.
 * Not here:   recording (segment.h), running (commit.h).
 * Invariant:  a template is immutable but for its plans, its counters and its predicted successor. */
#ifndef RPI_TEMPLATE_H
#define RPI_TEMPLATE_H

#include <string.h>

#include "trace/lower.h"

enum { RPI_SLOT_WRITTEN = 1, RPI_SLOT_READS_OLD = 2 };

typedef struct rpi_template {
  uint64_t *words;
  int32_t n_words;
  uint32_t *klass; /* class bits of each slot's buffer at its first binding */
  uint32_t n_slot;
  uint64_t hash;
  uint64_t meaning; /* the same on all ranks; 0 for a process alone */
  bool has_opaque;  /* calls a C function */
  int32_t number;
  rpi_arena arena;
  rpi_tasks tasks;
  uint8_t *slot; /* RPI_SLOT_ bits: what the tasks do, dead ones included */
  rpi_range range[RPI_RANGES];
  int32_t n_range;
  rpi_bound *bound;              /* its plans, the last used first */
  bool *live;                    /* working space of commit */
  uint32_t *place;               /* the same; NULL for a process alone */
  bool *bad;                     /* the same: which of the tasks' own temporaries are poisoned */
  struct rpi_template *next;     /* predicted successor in the pass */
  struct rpi_template *in_trace; /* other templates of the same trace */
  struct rpi_template *all;
  bool late;         /* commit after the next segment has matched */
  int32_t late_idle; /* times in a row that waiting saved nothing */
  int64_t died_unread;
  int64_t hits;
  bool remembered; /* by its trace's list */
  int32_t most;    /* body tasks of a group; 0: any number (gpu_bind.h) */
} rpi_template;

/* The template of these words, made if it is new. `ctx->config.tracing` off: always made anew and
 * owned by the caller (rpi_template_free after the run). */
rp_status rpi_template_get(rp_context *ctx, const uint64_t *words, int32_t n_words,
                           const uint32_t *klass, uint32_t n_slot, rpi_template **out);
/* The plan for these live outputs; with several ranks for buffers that are valid where `place` says (one for each
 * slot of the segment), else NULL. */
rp_status rpi_template_plan(rp_context *ctx, rpi_template *t, const bool *live, bool trusted,
                            const uint32_t *place, rpi_bound **out);
/* A kernel of plan b has turned out to have more values than a GPU has registers: the plan is forgotten and the next one
 * has smaller groups. False: it has not. */
bool rpi_template_split(rp_context *ctx, rpi_template *t, rpi_bound *b);
/* Was the plan made for that? */
static inline bool rpi_template_fits(const rpi_template *t, const rpi_bound *b, const bool *live,
                                     bool trusted, const uint32_t *place) {
  return b->trusted == trusted && memcmp(b->live, live, t->n_slot) == 0 &&
         (!place || memcmp(b->place, place, sizeof *place * t->n_slot) == 0);
}
void rpi_template_free(rp_context *ctx, rpi_template *t);
/* More templates than the knob says, or many more views. */
static inline bool rpi_template_too_many(const rp_context *ctx) {
  return ctx->n_templates > ctx->config.templates ||
         ctx->pool->views.live > 16 * ctx->config.templates || ctx->stale;
}
/* Forgets everything, and views nobody holds, if no segment is open, pending or running. */
void rpi_template_limit(rp_context *ctx);
/* All of a context. */
void rpi_template_free_all(rp_context *ctx);

#endif
