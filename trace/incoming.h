/* SPDX-License-Identifier: Apache-2.0
 * trace/incoming.h -- elements of a store that come from outside: room for those that this rank holds.
 *
 * Lives here: which elements of a store a rank gets, where they wait, and how they become the store's.
 * Not here:   where they come from (restore.c: files; supply.c: the program), what ranks tell each other of it.
 * How:        all of an array is written into memory that becomes its instance; of a view, or of memory that the
 *             caller lent, the elements wait in a buffer.
 * Invariant:  until rpi_incoming_commit, which cannot fail, the store has the values it had. */
#ifndef RPI_INCOMING_H
#define RPI_INCOMING_H

#include "trace/context.h"

typedef struct rpi_incoming {
  rp_store *store;
  int64_t lo, hi;     /* the elements that this rank gets, in C order of the view */
  rpi_cuts cuts;      /* if `parts`: which each rank gets */
  bool parts;         /* else each gets all of them */
  bool zero;          /* they are zeros, and none are waited for */
  rpi_instance *inst; /* becomes the buffer's; NULL: they wait in `stage` */
  char *stage;
  uint32_t place; /* the buffer's afterwards */
} rpi_incoming;

/* Before, where no rank can have failed alone: a view of an array that is cut in boxes gets its elements by rows, and the
 * array moves to them. Collective. */
rp_status rpi_incoming_prepare(rp_context *ctx, const rp_store *s);
/* All but `store` is zero; nothing is left to run that touches it, and it may be written. */
rp_status rpi_incoming_open(rp_context *ctx, rpi_incoming *in, bool zero);
/* Where element i (lo <= i < hi) goes; those behind it follow. */
char *rpi_incoming_at(const rpi_incoming *in, int64_t i);
/* They are all there. */
void rpi_incoming_commit(rp_context *ctx, rpi_incoming *in);
/* Frees what was not committed; also after a failed open. */
void rpi_incoming_close(rpi_incoming *in);

#endif
