/* SPDX-License-Identifier: Apache-2.0
 * trace/segment.h -- the launches between two cuts, as tokens.
 *
 * Lives here: the open segment: recording launches as words, or following a predicted template and
 *             only comparing; cuts.
 * Not here:   templates (template.h), running (commit.h).
 * How:        a launch is 1 + n_stores words (task.h). Stores are slots, numbered by first occurrence
 *             since the cut; a buffer carries the number of the segment that bound it last and its
 *             slot there. Following a template, a launch is compared word by word with what was
 *             predicted, and only slots and scalars are written down; on a difference the words so
 *             far are copied from the template and recording goes on: nothing ran, nothing is lost.
 * Invariants: a bound buffer has one run reference from the segment. Scalars are values, 8 bytes each,
 *             never compared. */
#ifndef RPI_SEGMENT_H
#define RPI_SEGMENT_H

#include "core/model/op.h"

struct rpi_template;

typedef struct rpi_segment {
  uint64_t number;           /* never reused; stamps buffers */
  struct rpi_template *pred; /* template that is followed; NULL: recording */
  const uint64_t *at;        /* next predicted word */
  const uint64_t *end;
  uint32_t n_slot, cap_slot;
  rpi_buffer **slot;
  int32_t n_scalar, cap_scalar;
  uint64_t *scalar;
  int32_t n_task, max_task;
  uint64_t *words; /* recording only */
  int32_t n_words, cap_words;
  struct rpi_template *done; /* complete: the template it matched or became */
  int64_t first_launch;      /* complete: the context's number of its first launch, */
  int64_t trace, pass;       /* its trace's id and pass; pass 0: outside any trace */
} rpi_segment;

/* Records or matches one launch whose handles are good. */
rp_status rpi_segment_launch(rp_context *ctx, rp_op *op, rp_store *const *stores,
                             const void *const *scalars);
/* Starts to follow `pred` (NULL: to record). The open segment is empty. */
rp_status rpi_segment_predict(rp_context *ctx, struct rpi_template *pred);
/* Ends the open segment for the reason given (rpi_reason): finds or makes its template, commits
 * what is pending, and commits it or lets it wait. Nothing happens if it is empty. With `all`, it
 * does not wait either. */
rp_status rpi_segment_cut(rp_context *ctx, int32_t reason, bool all);
/* Before the host reads the buffer (reason CUT_WRITE: writes it): what it needs has run. */
rp_status rpi_segment_settle(rp_context *ctx, rpi_buffer *b, int32_t reason);
/* The caller may free lent memory once its last handle is gone: by then all tasks on it have run,
 * and copies that share it have values of their own. */
rp_status rpi_segment_let_go(rp_context *ctx, rpi_buffer *b);
/* A task that has not run writes the buffer: one of the open segment, or of the pending one. */
bool rpi_segment_writes(const rp_context *ctx, const rpi_buffer *b);
/* The words of the launches so far, n of them. */
const uint64_t *rpi_segment_words(const rpi_segment *s, int32_t *n);
/* The segment binds a buffer that it has not bound, as its next slot, for which there is room. */
static inline void rpi_segment_bind(rpi_segment *s, rpi_buffer *b) {
  b->stamp = s->number;
  b->slot = s->n_slot;
  b->run_refs++;
  s->slot[s->n_slot++] = b;
}
/* Room for so many slots, scalars, recorded words. */
rp_status rpi_segment_reserve(rpi_segment *s, uint32_t slots, int32_t scalars, int32_t words);
void rpi_segment_deinit(rpi_segment *s);

/* Traces. */
rp_status rpi_segment_trace_begin(rp_context *ctx, int64_t id);
rp_status rpi_segment_trace_end(rp_context *ctx, int64_t id);

#endif
