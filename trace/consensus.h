/* SPDX-License-Identifier: Apache-2.0
 * trace/consensus.h -- what finalizers have released counts when all ranks have released it.
 *
 * Lives here: when ranks compare what rp_store_release_any has released on each, and what becomes of it.
 * Not here:   the queue of releases (store.h), messages (core/comm/comm.h).
 * How:        finalizers run at other times and in another order on each rank, but which outputs live decides plans.
 *             So releases wait until all ranks know that all have them, and then happen at one point of the program, in
 *             one order, on all. When that is is a function of the program: at the cut after the handles that live have
 *             grown by the knob `consensus`, or their arrays by as many MiB, since the last time; a program without
 *             such releases, whose arrays stay as many as they are, never speaks of it. Handles are compared
 *             as a bitmap over their records, which all ranks hand out and take back in the same order. What
 *             all have is its conjunction, by dissemination (as rpi_collect_barrier): conjunction is idempotent, so
 *             any number of ranks needs ceil(log2 ranks) rounds of one message each way. A round begins at one cut and
 *             ends some cuts later, when its messages have usually arrived: nobody waits in between.
 * Invariants: begin, rounds and end are at the same cuts of all ranks, whatever has arrived: k-th sends meet k-th
 *             receives. A handle in the bitmap has a release that waits, so it lives until the end of the comparison. */
#ifndef RPI_CONSENSUS_H
#define RPI_CONSENSUS_H

#include "trace/context.h"

/* Nothing for a process alone. */
rp_status rpi_consensus_create(rp_context *ctx);
/* Behind a cut: the open segment is empty. */
rp_status rpi_consensus_cut(rp_context *ctx);
/* Ends what is under way, unless ranks have failed. */
void rpi_consensus_end(rp_context *ctx);
/* After the comm has closed. */
void rpi_consensus_free(rp_context *ctx);

#endif
