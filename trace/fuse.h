/* SPDX-License-Identifier: Apache-2.0
 * trace/fuse.h -- which tasks of a segment become one kernel.
 *
 * Lives here: the dependences between tasks, and the placement of every task in a group and a phase.
 * Not here:   memory (analyse.c), instruction text (jit/merge.h).
 * How:        groups form a line and run one after another. A task may sit in any group after all
 *             groups it depends on, or in the same one if the dependence is point-wise, or can be
 *             lifted by renaming. So fusion follows the dependence graph, not only contiguous runs.
 *             Tasks are placed in program order where they share most bytes; then tasks sink to
 *             later groups where they share more. One-point tasks go into prologues, or into the
 *             last group's epilogue.
 * Invariant:  for each conflicting pair p before t in the program: pos(p) < pos(t), or both lie in one
 *             body and the conflict is point-wise or renamed, or both in one prologue or epilogue. */
#ifndef RPI_FUSE_H
#define RPI_FUSE_H

#include "core/exec/opaque.h"
#include "trace/context.h"
#include "trace/query.h"

typedef enum rpi_phase { RPI_PHASE_PRO, RPI_PHASE_BODY, RPI_PHASE_EPI } rpi_phase;

typedef enum rpi_conflict {
  RPI_CONFLICT_NONE,
  RPI_CONFLICT_POINT,  /* same elements at the same point, or a read before a reduction's finish */
  RPI_CONFLICT_RENAME, /* p reads at other points what t overwrites: a new instance lifts it */
  RPI_CONFLICT_HARD
} rpi_conflict;

/* Why a task did not join a group; group -1: none of those behind which it has to stay. */
typedef struct rpi_refusal {
  int32_t task, group, reason;
} rpi_refusal;

enum { RPI_FUSION_REFUSALS = 64 };

typedef struct rpi_fusion {
  int32_t n_group;
  int32_t *group;       /* per task; -1: dropped (dead) */
  uint8_t *phase;       /* per task: rpi_phase; copies and opaque tasks: see below */
  rpi_refusal *refusal; /* the first RPI_FUSION_REFUSALS of them */
  int32_t n_refusal;
  /* A copy task in group g happens before g's prologue. An opaque task is alone in its group. */
} rpi_fusion;

/* `live[slot]`: the segment must leave the slot's values behind. `checked[task]`: it gathers with
 * indices that are checked while it runs; a kernel has one flag, so at most one such task. Arrays
 * come from `a`. */
rp_status rpi_fuse(rp_context *ctx, rpi_queries *q, const bool *live, const bool *checked,
                   int32_t most, rpi_arena *a, rpi_fusion *out);
/* The conflict between tasks p < t of the program; with `count`, its reasons are counted. */
rpi_conflict rpi_fuse_conflict(rp_context *ctx, rpi_queries *q, int32_t p, int32_t t, bool count);

#endif
