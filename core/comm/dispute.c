/* SPDX-License-Identifier: Apache-2.0
 * core/comm/dispute.c -- see dispute.h. */
#include "core/comm/dispute.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/comm/transport.h"

enum { PATIENCE_MS = 1000, SLEEP_MS = 5, SILENCE_S = 1 };

static void take_ask(void *arg, const rpi_note *asked) {
  const rpi_dispute *d = arg;
  const rpi_witness *w = &d->witness;
  if (!w->tell) return;
  void *answer = rpi_notes_write(d->notes);
  const int32_t bytes = w->compare(w->arg, asked->data, asked->bytes, answer, RPI_NOTE_ROOM);
  (void)rpi_notes_send(d->notes, asked->from, RPI_NOTE_PARTING, bytes);
}

static void take_reply(void *arg, const rpi_note *reply) {
  rpi_dispute *d = arg;
  memcpy(&d->reply, reply, rpi_note_size(reply));
  if (d->unheard == reply->from) d->unheard = -1;
}

void rpi_dispute_init(rpi_dispute *d, rpi_notes *notes) {
  *d = (rpi_dispute){.notes = notes, .unheard = -1, .reply.from = -1};
  rpi_notes_receive(notes, RPI_NOTE_CALLS, take_ask, d);
  rpi_notes_receive(notes, RPI_NOTE_PARTING, take_reply, d);
}

static bool ask(const rpi_dispute *d, int32_t peer) {
  const int32_t bytes = d->witness.tell(d->witness.arg, rpi_notes_write(d->notes), RPI_NOTE_ROOM);
  return rpi_notes_send(d->notes, peer, RPI_NOTE_CALLS, bytes);
}

/* ---- while waiting ---- */

static rp_status part(const rpi_dispute *d) {
  const rpi_note *m = &d->reply;
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  d->witness.conclude(d->witness.arg, m->from, m->data, m->bytes, &text);
  rpi_status_fail(RP_ERR_RANKS, "rank %d has run another program than rank %d: %s", m->from,
                  d->notes->rank, rpi_strbuf_str(&text));
  rpi_strbuf_deinit(&text);
  return RP_ERR_RANKS;
}

rp_status rpi_dispute_look(rpi_dispute *d, int32_t peer, double seconds) {
  const rpi_note *m = &d->reply;
  if (!d->witness.tell) return RP_OK;
  if (m->from >= 0 && d->witness.differ(d->witness.arg, m->data, m->bytes)) return part(d);
  d->reply.from = -1;
  if (seconds < d->asked) d->asked = 0;
  if (seconds < d->asked + SILENCE_S || peer == d->unheard || peer == d->notes->rank) return RP_OK;
  d->asked = seconds;
  if (ask(d, peer)) d->unheard = peer;
  return RP_OK;
}

/* ---- after a failure ---- */

/* Waits for the answer of `peer`. RP_ERR_RANKS: another rank was faster, and its sentence is the status message. */
static rp_status await_reply(rpi_dispute *d, int32_t peer) {
  const int64_t until = rpi_clock_ns() + PATIENCE_MS * INT64_C(1000000);
  while (d->reply.from != peer && rpi_clock_ns() < until) {
    RPI_TRY(rpi_notes_take(d->notes));
    if (d->reply.from != peer) d->notes->t->sleep(d->notes->self, SLEEP_MS);
  }
  return RP_OK;
}

void rpi_dispute_settle(rpi_dispute *d) {
  const int32_t peer = d->witness.tell ? d->notes->t->odd(d->notes->self) : -1;
  if (peer < 0) return;
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rpi_strbuf_addf(&text, "%s: ", rpi_status_message());
  d->reply.from = -1;
  (void)ask(d, peer);
  if (await_reply(d, peer) == RP_OK) {
    const int32_t bytes = d->reply.from == peer ? d->reply.bytes : 0;
    d->witness.conclude(d->witness.arg, peer, d->reply.data, bytes, &text);
    if (!text.failed) rpi_status_fail(RP_ERR_RANKS, "%s", rpi_strbuf_str(&text));
  }
  rpi_strbuf_deinit(&text);
}
