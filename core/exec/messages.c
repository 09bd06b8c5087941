/* SPDX-License-Identifier: Apache-2.0
 * core/exec/messages.c -- see messages.h. */
#include "core/exec/messages.h"

#include "core/base/alloc.h"
#include "core/comm/comm.h"

/* The run continues the one before it. */
static bool join(rpi_plan_run *last, const rpi_plan_run *run) {
  if (last->count == 1 && run->count == 1 && run->at == last->at + last->bytes) {
    last->bytes += run->bytes;
    return true;
  }
  if (last->bytes != run->bytes || run->count != 1) return false;
  if (last->count == 1) last->step = run->at - last->at;
  if (run->at != last->at + last->count * last->step) return false;
  last->count++;
  return true;
}

static rpi_plan_message *message_for(rpi_plan_exchange *e, int32_t symbol, int32_t peer,
                                     bool send) {
  rpi_plan_message *last = e->n > 0 ? &e->list[e->n - 1] : NULL;
  if (last && last->symbol == symbol && last->peer == peer && last->send == send) return last;
  void *list = e->list;
  if (!rpi_alloc_grow(&list, &e->cap, e->n + 1, sizeof *e->list)) return NULL;
  e->list = list;
  last = &e->list[e->n++];
  *last = (rpi_plan_message){
      .symbol = symbol, .peer = peer, .send = send, .first_run = e->n_run, .stage = -1};
  return last;
}

bool rpi_messages_add(rpi_plan_exchange *e, int32_t symbol, int32_t peer, bool send,
                      const rpi_plan_run *run) {
  rpi_plan_message *m = message_for(e, symbol, peer, send);
  if (!m) return false;
  m->bytes += run->bytes * run->count;
  if (m->n_run > 0 && join(&e->run[e->n_run - 1], run)) return true;
  void *runs = e->run;
  if (!rpi_alloc_grow(&runs, &e->cap_run, e->n_run + 1, sizeof *e->run)) return false;
  e->run = runs;
  e->run[e->n_run++] = *run;
  m->n_run++;
  return true;
}

bool rpi_messages_close(rpi_plan_exchange *e) {
  enum { LINE = 64 };
  int64_t bytes = 0;
  for (int32_t i = 0; i < e->n; i++) {
    rpi_plan_message *m = &e->list[i];
    m->seen = 0;
    m->stage = -1;
    if (m->n_run == 1 && e->run[m->first_run].count == 1) continue;
    m->stage = bytes;
    bytes += (m->bytes + LINE - 1) / LINE * LINE;
  }
  rpi_alloc_free(e->stage);
  e->stage = bytes > 0 ? rpi_alloc_aligned(LINE, (size_t)bytes) : NULL;
  void *post = e->post;
  if ((bytes > 0 && !e->stage) || !rpi_alloc_grow(&post, &e->cap_post, e->n, sizeof *e->post))
    return false;
  e->post = post;
  return true;
}

void rpi_messages_clear(rpi_plan_exchange *e) { e->n = e->n_run = 0; }

void rpi_messages_deinit(rpi_plan_exchange *e) {
  rpi_alloc_free(e->list);
  rpi_alloc_free(e->run);
  rpi_alloc_free(e->post);
  rpi_alloc_free(e->stage);
}
