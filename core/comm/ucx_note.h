/* SPDX-License-Identifier: Apache-2.0
 * core/comm/ucx_note.h -- notes between ranks over UCX: messages whose tags have a rank that nobody has.
 * Lives here: sending one, and the receive that always waits for the next. Not here: who gets which (watch.c). */
#ifndef RPI_UCX_NOTE_H
#define RPI_UCX_NOTE_H

#include "core/comm/transport.h"
#include "core/comm/ucx_worker.h"

enum { RPI_UCX_ASIDE = 0xFFFFE }; /* the rank in the tag */

/* Stays in place from listen to deaf, and while UCX moves after that. */
typedef struct rpi_ucx_ear {
  rpi_ucx *u;
  rpi_note note;   /* what came */
  void *listening; /* the request that waits for the next; NULL: `note` was not taken yet */
} rpi_ucx_ear;

rp_status rpi_ucx_listen(rpi_ucx_ear *e, rpi_ucx *u);
void rpi_ucx_deaf(rpi_ucx_ear *e);
/* The next note; false: none has come. */
bool rpi_ucx_hear(rpi_ucx_ear *e, rpi_note *note);
/* False: it did not leave. */
bool rpi_ucx_tell(rpi_ucx *u, ucp_ep_h to, const rpi_note *note);

#endif
