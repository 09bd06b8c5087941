/* SPDX-License-Identifier: Apache-2.0
 * trace/converge.h -- passes of a repeated trace that follow each other on a GPU without the host.
 *
 * Lives here: which pass may go on by itself, and what the host takes down of it afterwards.
 * Not here:   the host's way (repeat.h), the loop as a graph (core/exec/loop.h).
 * How:        a plan of launches alone, bound for one pass, can be run again as it is if every array whose values the pass uses
 *             is, after it, where it was before. Programs that swap memory come back to it after two passes: then the
 *             loop has two phases, if the last passes have shown that. Commit, which binds a pass, asks before it runs the
 *             plan; what it writes down afterwards is true after the first pass of such a loop, and so after any, or with
 *             two phases after any odd number; after an even one the next commit is of a pass that has been run (owed).
 * Invariants: the deciding kernel stops where the host would. Nothing that the loop touches is given to others meanwhile: of one phase
 *             all is bound by the pass at hand; with two no instance has been made in the passes before, so all have owners. */
#ifndef RPI_CONVERGE_H
#define RPI_CONVERGE_H

#include "trace/repeat.h"

/* Before a pass is launched: remembers where its arrays are. */
void rpi_converge_look(rp_context *ctx, rpi_repeat *r);
/* The plan is bound for the pass. True: it has been run, ctx->repeat->ran times, or *st says why not; false: it is to be run. */
bool rpi_converge_run(rp_context *ctx, rpi_bound *b, const rpi_segment *s, rp_status *st);
void rpi_converge_end(rpi_repeat *r);

#endif
