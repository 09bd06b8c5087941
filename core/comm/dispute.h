/* SPDX-License-Identifier: Apache-2.0
 * core/comm/dispute.h -- two ranks that have run different programs find out where they part.
 *
 * Lives here: who asks whom, and for how long. Not here: what a rank has called (rpi_witness, trace/calls.h), how
 *             notes travel (notes.h).
 * How:        who receives a message that it did not expect sends the digest of its calls to the sender; that one
 *             compares when it waits for something next, and answers. It may be computing, or gone: the question
 *             waits for a bounded time only. Both may ask at once; who asks also answers. Ranks that part may
 *             also wait for each other, with no message that could be wrong: who has waited in silence for a
 *             second asks the one it waits for, and goes on waiting unless the answer is that they part. It asks
 *             again after another second, but not before that one has answered. */
#ifndef RPI_DISPUTE_H
#define RPI_DISPUTE_H

#include "core/comm/comm.h"
#include "core/comm/notes.h"

typedef struct rpi_dispute {
  rpi_notes *notes;
  rpi_witness witness; /* tell NULL: nobody knows anything */
  double asked;        /* seconds of silence after which another was asked last, */
  int32_t unheard;     /* and who has not answered; -1: nobody */
  rpi_note reply;      /* the last answer; from -1: none, or it was looked at */
} rpi_dispute;

/* Receives its kinds of notes from now on, without a witness; d stays in place. */
void rpi_dispute_init(rpi_dispute *d, rpi_notes *notes);
/* The first failure of this rank is in the status message. If it is that another rank's message was odd, adds where the
 * two part. Takes up to a second or two. */
void rpi_dispute_settle(rpi_dispute *d);
/* While waiting for `peer` in silence, which has lasted so many seconds, and after notes were taken: asks. RP_ERR_RANKS:
 * the two have run different programs, and the status message says where they part. */
rp_status rpi_dispute_look(rpi_dispute *d, int32_t peer, double seconds);

#endif
