/* SPDX-License-Identifier: Apache-2.0
 * core/comm/ucx_note.h -- what ranks say to each other over UCX aside from messages: notes, and last words, with tags
 * whose rank nobody has.
 * Lives here: sending them, and the receives that always wait for the next. Not here: who gets which (notes.h), when a
 *             rank gives up (comm_ucx.c). */
#ifndef RPI_UCX_NOTE_H
#define RPI_UCX_NOTE_H

#include "core/comm/notes.h"
#include "core/comm/ucx_worker.h"

enum {
  RPI_UCX_RANKS = 0xFFFFE, /* ranks are fewer: the first whose tag means something else */
  RPI_UCX_WORDS = 1000     /* bytes of a sentence that travels */
};

/* Stays in place from listen to deaf, and while UCX moves after that. */
typedef struct rpi_ucx_ear {
  rpi_ucx *u;
  rpi_note note;   /* what came */
  void *listening; /* the request that waits for the next; NULL: `note` was not taken yet */
  void (*gave_up)(void *arg);
  void *arg;
  char words[RPI_UCX_WORDS]; /* another rank's reason to give up, */
  void *expecting; /* and the request that waits for it; NULL: it is there, or nobody listens */
} rpi_ucx_ear;

/* Why another rank gave up; empty: none has. */
static inline const char *rpi_ucx_last_words(const rpi_ucx_ear *e) {
  return e->expecting ? "" : e->words;
}

/* gave_up(arg) is called when another rank has given up. */
rp_status rpi_ucx_listen(rpi_ucx_ear *e, rpi_ucx *u, void (*gave_up)(void *arg), void *arg);
void rpi_ucx_deaf(rpi_ucx_ear *e);
/* The next note; false: none has come. */
bool rpi_ucx_hear(rpi_ucx_ear *e, rpi_note *note);
/* False: it did not leave. The note may change afterwards. */
bool rpi_ucx_tell(rpi_ucx *u, ucp_ep_h to, const rpi_note *note);
/* Why this rank gives up; the text stays in place while UCX moves. */
void rpi_ucx_give_up(rpi_ucx *u, ucp_ep_h to, const char *text);

#endif
