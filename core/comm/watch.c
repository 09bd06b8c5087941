/* SPDX-License-Identifier: Apache-2.0
 * core/comm/watch.c -- see watch.h.
 * How: a rank passes an ask on to the first of those it waits for only. Where every rank of a set waits for one
 *      of the set, following one wait of each ends in a circle, too, and no ask becomes many. An ask that
 *      has met as many ranks as there are runs round a circle that its origin is not part of: it ends there. */
#include "core/comm/watch.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/strbuf.h"
#include "core/comm/transport.h"

/* Parts of the patience: when asks begin, and when who has answered is asked again. */
#define BEGIN 0.5
#define AGAIN 0.125
enum { TICK_NS = 1000000000 }; /* more between two looks: this rank did not run */

/* ---- notes ---- */

static bool tell(const rpi_watch *w, int32_t peer, rpi_note_kind kind, const rpi_watch_ask *ask) {
  memcpy(rpi_notes_write(w->notes), ask, sizeof *ask);
  return rpi_notes_send(w->notes, peer, kind, sizeof *ask);
}

/* Passes an ask on, if this rank is stuck behind a living one. */
static void pass_on(const rpi_watch *w, const rpi_watch_ask *ask) {
  if (!w->still || w->n == 0 || !w->list[0].answered || ask->hops < 0) return;
  if (w->rank < ask->origin || ask->hops >= w->size) return;
  rpi_watch_ask next = *ask;
  if (next.hops < RPI_WATCH_PATH) next.path[next.hops] = w->rank;
  next.hops++;
  (void)tell(w, w->list[0].peer, RPI_NOTE_ALIVE, &next);
}

static void take_ask(void *arg, const rpi_note *note) {
  rpi_watch *w = arg;
  rpi_watch_ask ask;
  memcpy(&ask, note->data, sizeof ask);
  if (ask.origin == w->rank) {
    if (!w->still || ask.wait != w->wait) return; /* of a wait that is over */
    w->circle = true;
    w->found = ask;
    return;
  }
  if (note->from == ask.origin) (void)tell(w, ask.origin, RPI_NOTE_YES, &ask);
  pass_on(w, &ask);
}

static void take_answer(void *arg, const rpi_note *note) {
  rpi_watch *w = arg;
  rpi_watch_ask ask;
  memcpy(&ask, note->data, sizeof ask);
  if (!w->still || ask.wait != w->wait) return; /* of a wait that is over */
  for (int32_t i = 0; i < w->n; i++) {
    rpi_watched *p = &w->list[i];
    if (p->peer != note->from) continue;
    p->asked = false;
    p->answered = true;
    p->heard = w->clock;
  }
}

void rpi_watch_init(rpi_watch *w, rpi_notes *notes, double patience) {
  *w = (rpi_watch){.notes = notes, .rank = notes->rank, .size = notes->size, .patience = patience};
  rpi_notes_receive(notes, RPI_NOTE_ALIVE, take_ask, w);
  rpi_notes_receive(notes, RPI_NOTE_YES, take_answer, w);
}

void rpi_watch_deinit(rpi_watch *w) { rpi_alloc_free(w->list); }

/* ---- those who are waited for ---- */

static bool is_listed(const rpi_watch *w, int32_t peer) {
  for (int32_t i = 0; i < w->n; i++)
    if (w->list[i].peer == peer) return true;
  return false;
}

/* Each once. While nothing moves they stay the same. */
static rp_status list_peers(rpi_watch *w, const rpi_message *m, int32_t n) {
  for (int32_t i = 0; i < n; i++) {
    if (m[i].done || is_listed(w, m[i].peer)) continue;
    if (!rpi_alloc_grow((void **)&w->list, &w->cap, w->n + 1, sizeof *w->list))
      return rpi_status_nomem("the watchdog");
    w->list[w->n++] =
        (rpi_watched){.peer = m[i].peer, .send = m[i].send, .bytes = m[i].bytes, .heard = w->since};
  }
  return RP_OK;
}

static void ask(rpi_watch *w, rpi_watched *p) {
  const rpi_watch_ask about = {.origin = w->rank, .hops = p == w->list ? 0 : -1, .wait = w->wait};
  if (p->asked || (p->answered && w->clock - p->heard < AGAIN * w->patience)) return;
  p->asked = tell(w, p->peer, RPI_NOTE_ALIVE, &about);
}

/* ---- verdicts ---- */

static rp_status is_silent(const rpi_watch *w, const rpi_watched *p) {
  char where[160] = "";
  w->notes->t->where(w->notes->self, p->peer, where, sizeof where);
  return rpi_status_fail(
      RP_ERR_RANKS, "rank %d%s%s%s has been silent for %.0f s: rank %d of %d %s it (%lld bytes)",
      p->peer, where[0] ? " (" : "", where, where[0] ? ")" : "", w->patience, w->rank, w->size,
      p->send ? "sends to" : "waits for a message of", (long long)p->bytes);
}

static rp_status is_circle(const rpi_watch *w) {
  const rpi_watch_ask *f = &w->found;
  const int32_t n = f->hops < RPI_WATCH_PATH ? f->hops : RPI_WATCH_PATH;
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  for (int32_t i = 0; i < n; i++) rpi_strbuf_addf(&text, "rank %d, which waits for ", f->path[i]);
  if (f->hops > n) rpi_strbuf_addf(&text, "%d more, the last of which waits for ", f->hops - n);
  rpi_status_fail(
      RP_ERR_RANKS,
      "the ranks wait for each other, and nothing moved for %.0f s: rank %d of %d waits "
      "for %srank %d",
      w->patience, w->rank, w->size, rpi_strbuf_str(&text), w->rank);
  rpi_strbuf_deinit(&text);
  return RP_ERR_RANKS;
}

/* ---- looking ---- */

static void tick(rpi_watch *w) {
  const int64_t now = rpi_clock_ns(), passed = now - w->looked;
  w->looked = now;
  if (w->still) {
    w->clock += 1e-9 * (double)(passed < TICK_NS ? passed : TICK_NS);
    return;
  }
  w->still = true;
  w->wait++;
  w->n = 0;
  w->circle = false;
  w->since = w->clock;
}

rp_status rpi_watch_look(rpi_watch *w, const rpi_message *m, int32_t n) {
  tick(w);
  RPI_TRY(rpi_notes_take(w->notes));
  if (w->clock - w->since < BEGIN * w->patience) return RP_OK;
  if (w->n == 0) RPI_TRY(list_peers(w, m, n));
  for (int32_t i = 0; i < w->n; i++) {
    rpi_watched *p = &w->list[i];
    if (p->peer == w->rank) { /* nobody but this rank could send what it waits for */
      w->circle = true;
      w->found = (rpi_watch_ask){.hops = 0};
      continue;
    }
    ask(w, p);
    if (w->clock - p->heard > w->patience) return is_silent(w, p);
  }
  return w->circle && w->clock - w->since > w->patience ? is_circle(w) : RP_OK;
}
