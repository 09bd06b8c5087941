/* SPDX-License-Identifier: Apache-2.0
 * core/comm/notes.h -- notes: words of one rank to another aside from the order of messages.
 *
 * Lives here: what a note is, and the desk: where notes are written, and who gets those that came.
 * Not here:   how they travel (transport.h), what they say (watch.c, dispute.c).
 * How:        notes are few and small, and nobody counts on their arrival. A rank takes those that came whenever it
 *             waits for long or has finished a wait; after a failure, for as long as somebody waits for an answer.
 * Invariants: a kind of note concerns one receiver. Receivers may send notes, but not take others.
 * Threads:    that of the comm. */
#ifndef RPI_NOTES_H
#define RPI_NOTES_H

#include <stddef.h>

#include "core/base/status.h"

enum { RPI_NOTE_ROOM = 4800 };

typedef enum rpi_note_kind {
  RPI_NOTE_ALIVE, /* are you? (watch.c) */
  RPI_NOTE_YES,
  RPI_NOTE_CALLS, /* what has been called (dispute.c) */
  RPI_NOTE_PARTING,
  RPI_N_NOTE
} rpi_note_kind;

typedef struct rpi_note {
  int32_t kind, from, bytes;
  RPI_ALIGNED(8) char data[RPI_NOTE_ROOM];
} rpi_note;

/* How much of it travels. */
static inline size_t rpi_note_size(const rpi_note *note) {
  return offsetof(rpi_note, data) + (size_t)note->bytes;
}

typedef struct rpi_notes {
  const struct rpi_transport *t;
  void *self;
  int32_t rank, size;
  struct {
    void (*take)(void *arg, const rpi_note *note);
    void *arg;
  } receiver[RPI_N_NOTE];
  rpi_note out, in;
} rpi_notes;

/* Of rank `rank` of `size`, over the transport `t`, whose state is `self`. */
void rpi_notes_init(rpi_notes *n, const struct rpi_transport *t, void *self, int32_t rank,
                    int32_t size);
/* Notes of that kind go to take(arg, note). */
void rpi_notes_receive(rpi_notes *n, rpi_note_kind kind, void (*take)(void *, const rpi_note *),
                       void *arg);
/* Where the next one is written: RPI_NOTE_ROOM bytes. */
static inline void *rpi_notes_write(rpi_notes *n) { return n->out.data; }
/* Sends what was written there; false: it did not leave. Never waits. */
bool rpi_notes_send(rpi_notes *n, int32_t peer, rpi_note_kind kind, int32_t bytes);
/* Gives out those that came. RP_ERR_RANKS: another rank gave up, the status message says why. Never waits. */
rp_status rpi_notes_take(rpi_notes *n);

#endif
