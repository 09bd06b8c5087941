/* SPDX-License-Identifier: Apache-2.0
 * trace/commit.h -- the moment a segment starts to run.
 * Lives here: which outputs are alive, which memory every symbol is, the run, and what the buffers
 *             hold afterwards. Not here: when to commit (segment.h), what to run (lower.h).
 * In steady state: no allocation from the system, no lock, no analysis. */
#ifndef RPI_COMMIT_H
#define RPI_COMMIT_H

#include "trace/context.h"
#include "trace/template.h"

/* Runs a complete segment and unbinds it. `next` is the segment that follows, as far as it is known:
 * complete (next->done) or still open; NULL: nothing is known and all that is held lives. */
rp_status rpi_commit(rp_context *ctx, rpi_segment *s, const rpi_segment *next);

#endif
