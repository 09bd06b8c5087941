/* SPDX-License-Identifier: Apache-2.0
 * trace/commit.h -- the moment a segment starts to run.
 * Lives here: which outputs are alive, which memory every symbol is, the run, and what the buffers
 *             hold afterwards. Not here: when to commit (segment.h), what to run (lower.h).
 * In steady state: no allocation from the system, no lock, no analysis. */
#ifndef RPI_COMMIT_H
#define RPI_COMMIT_H

#include "trace/context.h"
#include "trace/template.h"

/* Commits a complete segment; `s` is empty afterwards. `next` is the segment that follows, as far as it
 * is known: complete (next->done) or still open; NULL: nothing is known and all that is held lives.
 * With `want` (may be NULL) it runs only as far as that buffer needs; rpi_commit_finish, or the next
 * commit, runs the rest. */
rp_status rpi_commit(rp_context *ctx, rpi_segment *s, const rpi_segment *next,
                     const rpi_buffer *want);
/* Runs what rpi_commit left. */
void rpi_commit_finish(rp_context *ctx);
/* Does what is left to run touch the buffer in a way that matters to who reads (writes) it now? */
bool rpi_commit_unfinished(const rp_context *ctx, const rpi_buffer *b, bool writes);

#endif
