/* SPDX-License-Identifier: Apache-2.0
 * core/comm/transport.h -- what a transport is: a table of functions over its own state.
 * Lives here: the table, and the list of transports. Not here: counting, errors (comm.c), what notes say (notes.h). */
#ifndef RPI_TRANSPORT_H
#define RPI_TRANSPORT_H

#include "core/comm/comm.h"
#include "core/comm/notes.h"

typedef enum rpi_progress {
  RPI_PROGRESS_NONE, /* nothing moved */
  RPI_PROGRESS_SOME,
  RPI_PROGRESS_FAILED /* the status message says why, naming the peer */
} rpi_progress;

/* All functions are called by the one thread that uses the comm. `self` is what `open` made. */
typedef struct rpi_transport {
  const char *name;
  /* *rank and *size of this process; *self NULL and RP_OK: this transport finds nobody (a process alone). Collective. */
  rp_status (*open)(const rpi_config *config, void **self, int32_t *rank, int32_t *size);
  /* Begins one message; `stamp` travels with it (send) or must be what arrives (receive). */
  rp_status (*start)(void *self, rpi_message *m, uint64_t stamp);
  /* Moves what can be moved now; sets `done` of finished messages. Never waits. */
  rpi_progress (*progress)(void *self);
  /* Sleeps until something may have arrived, at most `ms` milliseconds; may return early. */
  void (*sleep)(void *self, int32_t ms);
  /* How many turns of progress without any are worth more than a sleep, if fewer than the knob `spin` says; NULL:
   * the transport has no opinion. */
  int64_t (*spin)(const void *self);
  /* Sends a note, which may change afterwards; false: it did not leave. Never waits. */
  bool (*tell)(void *self, int32_t peer, const rpi_note *note);
  /* SOME: the next note that came is in *note; it wakes a sleep. FAILED: another rank gave up, the status message says
   * why. Never waits. After a failure of this rank's own it is what moves notes. */
  rpi_progress (*hear)(void *self, rpi_note *note);
  /* The rank whose message was not the one that this rank expected there; -1: none. */
  int32_t (*odd)(const void *self);
  /* This rank's number among those of its machine; NULL: its rank. */
  int32_t (*seat)(const void *self);
  /* For people: the machine and the process of a rank; "" where they are not known. */
  void (*where)(void *self, int32_t rank, char *text, size_t size);
  /* As rpi_comm_abort. */
  void (*abort)(void *self, const char *why);
  /* `orderly`: after a barrier, all messages done; else something failed and nobody may be waited for. */
  void (*close)(void *self, bool orderly);
} rpi_transport;

extern const rpi_transport
    rpi_transport_threads; /* ranks are threads of one process (comm_threads.c) */
extern const rpi_transport rpi_transport_ucx; /* PMIx and UCX, opened at run time (comm_ucx.c) */
extern const rpi_transport
    rpi_transport_mpi; /* a plug-in linked with the site's MPI (comm_mpi.c) */

#endif
