/* SPDX-License-Identifier: Apache-2.0
 * trace/repeat.h -- a pass that is made again and again without the program.
 *
 * Lives here: rp_trace_repeat: the launches of the open segment, bound again on the same arrays while an element is not 0.
 * Not here:   passes that follow each other on a GPU without the host (converge.h).
 * How:        what the segment has bound is kept, and is the next segment at one blow, as if its launches had come one
 *             by one and been the predicted ones. The host reads the element between two passes, so all ranks decide
 *             alike; where a loop on the GPU takes over, a pass that commits stands for many.
 *             Arrays that the program has released are temporaries: each pass gets new ones, of zeros.
 * Invariants: what keeps arrays bound is the segments' own reference, so what nobody holds dies in each pass. Templates and
 *             views are not forgotten meanwhile. */
#ifndef RPI_REPEAT_H
#define RPI_REPEAT_H

#include "trace/template.h"

/* A pass as it was, for finding out what the next ones will be (converge.c). */
typedef struct rpi_repeat_past {
  const rpi_bound *plan; /* that ran; NULL: unknown, or not by launches on a GPU alone */
  rpi_word *words;       /* as it was bound */
  uint64_t *state;       /* RPI_REPEAT_STATE words for each slot: what its array was before, */
  CUdeviceptr *after;    /* where its values were afterwards; a temporary's: where it was */
  int64_t before,
      made; /* instances: all that the pool had made before it; made for it, but for temporaries */
} rpi_repeat_past;

enum { RPI_REPEAT_STATE = 9, RPI_REPEAT_PAST = 3 };

typedef struct rpi_repeat {
  uint64_t *words, *scalar;
  rpi_buffer **slot;     /* NULL: a temporary, */
  const rpi_view **base; /* which is like this */
  int32_t n_words, n_scalar, n_task;
  uint32_t n_slot;
  rp_store *go;
  /* Of the pass that is made now: */
  int64_t most; /* passes that may be made from it on */
  int64_t ran;  /* how many it was: more than one were a loop on the GPU */
  bool owed;    /* of these the last has not been committed: it does not run again */
  /* The passes before it, the latest first; [0] is its own. */
  rpi_repeat_past past[RPI_REPEAT_PAST];
} rpi_repeat;

/* Ends the pass of trace `id` and makes it again at most `most` times while the one element of `go` is not 0; *passes: how
 * often. RP_ERR_STATE: the trace is not open, or its pass is not one segment of launches that can be made again;
 * nothing has happened then. */
rp_status rpi_repeat_trace(rp_context *ctx, int64_t id, rp_store *go, int64_t most,
                           int64_t *passes);

#endif
