/* SPDX-License-Identifier: Apache-2.0
 * trace/sides.h -- which side each step of a plan runs on, the host or the GPU, and what moves between them.
 *
 * Lives here: while a plan is lowered, where each symbol's values are after each step; the steps that move them.
 * Not here:   memory at run time (gpu_bind.h), whether a kernel has code for the GPU (jit/jit.h).
 * How:        the walk follows the plan: what a group reads must be valid on its side, and is moved there by a step
 *             before it if it is not; what it writes is valid on that side alone. A symbol that the plan finds in memory is
 *             to be, at entry, where it is used first.
 * Invariant:  a pure function of the plan: at run time nothing is decided but whether an instance is where it is to be
 *             at entry. */
#ifndef RPI_SIDES_H
#define RPI_SIDES_H

#include "trace/analyse.h"

/* Of a plan, per symbol; RPI_AT_ bits. */
typedef struct rpi_sides {
  bool on;        /* there is a GPU */
  bool host, gpu; /* some step runs there */
  uint8_t *entry; /* where values must be at entry: a side, or 0 */
  uint8_t *room;  /* where it has memory while the plan runs */
  uint8_t *valid; /* where its values are, at the end; while lowering: by now */
  int64_t *bytes;
} rpi_sides;

bool rpi_sides_init(rpi_sides *s, bool on, const rpi_analysis *an, const rpi_tasks *ts,
                    rpi_arena *a);
/* The group is to run on `side` next: calls `move` for each symbol that must come there before. */
typedef void rpi_sides_move(void *arg, int32_t symbol, uint8_t to);
void rpi_sides_group(rpi_sides *s, const rpi_analysis *an, const rpi_tasks *ts, const rpi_group *g,
                     uint8_t side, rpi_sides_move *move, void *arg);

#endif
