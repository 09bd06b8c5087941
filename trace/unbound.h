/* SPDX-License-Identifier: Apache-2.0
 * trace/unbound.h -- stores whose first axis gets its extent from the task that writes them.
 *
 * Lives here: what a launch makes of unbound outputs, and how they become stores like others.
 * Not here:   what the function says and how its blocks' rows are packed (core/exec/pieces.h).
 * How:        for the launch the store has as many rows as there is room for, and another store of the launch gets
 *             what was made. To who asks for the size the segment is cut; then the buffer changes its shape and, with
 *             several ranks, the rows move to where a tiling of that size has them.
 * Invariants: an unbound store has one handle, with the magic RPI_MAGIC_UNBOUND, which no call takes for a store: what
 *             takes stores settles it first. All ranks settle at the same place in their programs. */
#ifndef RPI_UNBOUND_H
#define RPI_UNBOUND_H

#include "core/model/op.h"

/* A handle without a size; `row` has the extents of axes 1..ndim-1. */
rp_status rpi_unbound_create(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *row,
                             rp_store **out);
/* Launches an op with unbound outputs on the caller's stores; those that are not outputs are settled. */
rp_status rpi_unbound_launch(rp_op *op, rp_store *const *stores, const void *const *scalars);
/* Makes it a store like others: waits for its writer. RP_ERR_STATE: it has none. Of a writer that failed there are no
 * rows, and they are poisoned. Collective. */
rp_status rpi_unbound_settle(rp_context *ctx, rp_store *s);

static inline bool rpi_unbound_is(const rp_store *s) { return s->magic == RPI_MAGIC_UNBOUND; }

#endif
