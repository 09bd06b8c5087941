/* SPDX-License-Identifier: Apache-2.0
 * core/comm/notes.c -- see notes.h. */
#include "core/comm/notes.h"

#include "core/comm/transport.h"

void rpi_notes_init(rpi_notes *n, const rpi_transport *t, void *self, int32_t rank, int32_t size) {
  *n = (rpi_notes){.t = t, .self = self, .rank = rank, .size = size};
}

void rpi_notes_receive(rpi_notes *n, rpi_note_kind kind, void (*take)(void *, const rpi_note *),
                       void *arg) {
  n->receiver[kind].take = take;
  n->receiver[kind].arg = arg;
}

bool rpi_notes_send(rpi_notes *n, int32_t peer, rpi_note_kind kind, int32_t bytes) {
  rpi_assert(bytes >= 0 && bytes <= RPI_NOTE_ROOM);
  n->out.kind = (int32_t)kind;
  n->out.from = n->rank;
  n->out.bytes = bytes;
  return n->t->tell(n->self, peer, &n->out);
}

rp_status rpi_notes_take(rpi_notes *n) {
  rpi_progress p;
  while ((p = n->t->hear(n->self, &n->in)) == RPI_PROGRESS_SOME) {
    const int32_t kind = n->in.kind;
    if (kind >= 0 && kind < RPI_N_NOTE && n->receiver[kind].take)
      n->receiver[kind].take(n->receiver[kind].arg, &n->in);
  }
  return p == RPI_PROGRESS_FAILED ? RP_ERR_RANKS : RP_OK;
}
