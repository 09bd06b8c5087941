/* SPDX-License-Identifier: Apache-2.0
 * trace/lower.h -- an analysis with the geometry of given tasks filled in: a plan.
 * Lives here: words, pointers, patches, scratch offsets, unit counts. Not here: decisions (analyse.h), memory
 *             at run time (commit.h). */
#ifndef RPI_LOWER_H
#define RPI_LOWER_H

#include "core/exec/plan.h"
#include "trace/analyse.h"
#include "trace/sides.h"

/* A plan of a template, for one set of live outputs. Symbols beyond the analysis' own: */
typedef struct rpi_bound {
  rpi_analysis *an;
  bool owns; /* the analysis is this plan's alone (tracing off) */
  bool trusted;
  const bool *live; /* the analysis' */
  rpi_plan plan;
  int32_t n_symbol;                /* the analysis' symbols, then SCRATCH, FLAGS and BOARD */
  int64_t *scratch;                /* per symbol of kind SCRATCH: offset */
  int64_t scratch_bytes, partials; /* of all; what lies from there on is for partials */
  uint64_t
      scratch_in; /* of several ranks with GPUs: all it touches has memory in the context's scratch of that number */
  bool board;      /* some kernel uses it */
  int32_t n_flag;  /* one per kernel of the plan */
  int32_t n_loose; /* of the plan's, those that have been counted */
  int32_t *flag_group;
  const struct rpi_grid *
      *grid;           /* one per kernel, among ranks: the boxes it is shared out by, or NULL */
  int32_t *call_group; /* one per opaque call */
  int32_t *ready;      /* per slot: number of steps after which it holds its final values */
  uint32_t *place;     /* per slot, with several ranks: RPI_PLACE_ at entry, */
  uint32_t *place_out; /* and at the end; else NULL */
  uint32_t *patched;   /* the same per symbol, of what its patch makes */
  uint64_t decided;    /* what all ranks must have decided alike; 0 for a process alone */
  bool joint_failure;  /* what raises a flag or fails on one rank, all must know: */
  int32_t *marks;      /* one per flag, one per call (outcome.h) */
  bool moves;          /* some buffer changes its instance */
  uint64_t *tag;       /* per slot: names what the spare will lack; 0: unknown */
  rpi_sides sides;     /* where the symbols are, with a GPU */
  rpi_hull *
      touch; /* per symbol, of several ranks with GPUs: what the plan touches here (touch.h); NULL: all */
  int64_t runs;
  int32_t *sub_group;  /* per kernel of the plan: its group */
  int64_t spills_seen; /* kernels of the context with spills, when the plan's were last looked at */
  rpi_arena arena;
  struct rpi_bound *next;
} rpi_bound;

/* *out NULL and RP_OK: the analysis does not fit these tasks after all. `klass` and `place`: of the segment's
 * slots, the latter NULL for a process alone. */
rp_status rpi_lower(rp_context *ctx, rpi_analysis *an, const rpi_tasks *tasks,
                    const uint32_t *klass, const uint32_t *place, uint32_t n_place,
                    rpi_bound **out);
void rpi_lower_free(rpi_bound *b);

#endif
