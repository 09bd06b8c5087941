/* SPDX-License-Identifier: Apache-2.0
 * core/exec/pieces.h -- what the blocks of a call made of stores whose size it decides, put one behind the other.
 * Lives here: packing and the counts. Not here: sizes of stores (trace/unbound.h), calling the function (opaque.h). */
#ifndef RPI_PIECES_H
#define RPI_PIECES_H

#include "core/exec/plan.h"

/* What a call leaves behind for each of its unbound stores, in a store of its own. */
typedef struct rpi_pieces_made {
  int64_t rows;  /* of this rank's call, */
  int64_t first; /* beginning at this row of the store's memory */
  int64_t part;  /* 1: other ranks made the rows of other blocks; 0: these are all */
} rpi_pieces_made;

enum { RPI_PIECES_WORDS = sizeof(rpi_pieces_made) / sizeof(int64_t) };

/* After a call in n_blocks blocks, whose pointers are `words` and whose counts are c->counts: rows that blocks made come
 * to lie behind each other, and what was made is written down. A count that is no number of rows that there was room
 * for makes the call a failed one; of a failed call there are no rows. */
void rpi_pieces_pack(rpi_plan_call *c, const rpi_word *words, int32_t n_blocks);

#endif
