/* SPDX-License-Identifier: Apache-2.0
 * trace/sides.h -- on which side each symbol of a plan is, the host's or the GPU's, and what moves between them.
 *
 * Lives here: a walk over a finished plan's steps: where each symbol's values are by then; the steps that move them.
 * Not here:   which side a kernel runs on (lower.c), memory at run time (gpu_bind.h).
 * How:        what a step reads must be valid on its side, and is moved there by a step before it if it is not; what it
 *             writes is valid on that side alone. A symbol that the plan finds in memory is to be, at entry, wherever it is
 *             used before it changes. Messages between ranks take values from any side that has them, and bring them to all
 *             that do, so a valid side has all that this rank holds; afterwards these are the only ones. Gathers of
 *             whole arrays, and looks at index data, are the host's.
 * Invariant:  a pure function of the plan: at run time nothing is decided but whether an instance is where it is to be
 *             at entry. */
#ifndef RPI_SIDES_H
#define RPI_SIDES_H

#include "trace/analyse.h"

struct rpi_bound;

/* Of a plan, per symbol; RPI_AT_ bits. */
typedef struct rpi_sides {
  bool on;        /* there is a GPU */
  bool host, gpu; /* some step runs there */
  uint8_t *entry; /* where values must be at entry: sides, or 0 */
  uint8_t *room;  /* where it has memory while the plan runs */
  uint8_t *valid; /* where its values are, at the end; while walking: by now */
  bool *grown;    /* other sides lack what this plan changes, or gets from other ranks */
} rpi_sides;

/* Adds the moves to b's plan, whose launches, calls and patches know their side; fills in b->sides. */
rp_status rpi_sides_plan(rp_context *ctx, const rpi_tasks *ts, struct rpi_bound *b);

#endif
