/* SPDX-License-Identifier: Apache-2.0
 * core/exec/messages.c -- see messages.h. */
#include "core/exec/messages.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/comm/comm.h"
#include "core/device/device.h"
#include "core/model/store.h"

enum { LINE = 64 };

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
  *last = (rpi_plan_message){.symbol = symbol,
                             .peer = peer,
                             .send = send,
                             .sides = e->sides,
                             .direct = e->direct,
                             .first_run = e->n_run,
                             .stage = -1};
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

/* ---- boxes and tiles ---- */

bool rpi_messages_box(rpi_plan_exchange *e, int32_t symbol, int32_t peer, bool send,
                      const rpi_plan_array *array, const int64_t *lo, const int64_t *hi) {
  const int32_t last = array->ndim - 1;
  const int64_t elem = array->elem;
  int64_t at[RP_MAX_DIM];
  for (int32_t d = 0; d <= last; d++) at[d] = lo[d];
  for (;;) {
    int64_t begin = 0;
    for (int32_t d = 0; d <= last; d++) begin = begin * array->shape[d] + at[d];
    rpi_plan_run run = {
        .at = array->at + begin * elem, .bytes = (hi[last] - lo[last]) * elem, .count = 1};
    if (last > 0) {
      run.count = hi[last - 1] - lo[last - 1];
      run.step = array->shape[last] * elem;
    }
    if (run.bytes == run.step) { /* whole rows */
      run.bytes *= run.count;
      run.count = 1;
    }
    if (!rpi_messages_add(e, symbol, peer, send, &run)) return false;
    int32_t d = last - 2;
    while (d >= 0 && ++at[d] == hi[d]) {
      at[d] = lo[d];
      d--;
    }
    if (d < 0) return true;
  }
}

bool rpi_messages_tiles(rpi_plan_exchange *e, int32_t symbol, const rpi_tiling *tiling,
                        int32_t elem, int32_t rank) {
  rpi_plan_array array = {.ndim = tiling->ndim, .elem = elem};
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM], from[RP_MAX_DIM], to[RP_MAX_DIM];
  const bool any = rpi_tiling_tile(tiling, rank, lo, hi);
  for (int32_t d = 0; d < tiling->ndim; d++) array.shape[d] = tiling->axis[d].n;
  for (int32_t peer = 0; peer < tiling->ranks; peer++) {
    if (peer == rank) continue;
    if (rpi_tiling_tile(tiling, peer, from, to) &&
        !rpi_messages_box(e, symbol, peer, false, &array, from, to))
      return false;
    if (any && !rpi_messages_box(e, symbol, peer, true, &array, lo, hi)) return false;
  }
  return true;
}

/* ---- one message for a symbol, a peer and a direction ---- */

static int order(const rpi_plan_message *a, const rpi_plan_message *b) {
  if (a->symbol != b->symbol) return a->symbol < b->symbol ? -1 : 1;
  if (a->send != b->send) return a->send ? 1 : -1;
  return (a->peer > b->peer) - (a->peer < b->peer);
}

/* Runs of one message stay in the order in which they were added: it is the other side's order, too. */
static int by_order(const void *a, const void *b) {
  const rpi_plan_message *x = a, *y = b;
  const int o = order(x, y);
  return o != 0 ? o : (x->first_run > y->first_run) - (x->first_run < y->first_run);
}

static bool in_order(const rpi_plan_exchange *e) {
  for (int32_t i = 1; i < e->n; i++)
    if (order(&e->list[i - 1], &e->list[i]) >= 0) return false;
  return true;
}

/* What was added to a message again, after others, joins it. */
static bool join_messages(rpi_plan_exchange *e) {
  rpi_plan_run *run = rpi_alloc(sizeof *run * ((size_t)e->n_run + 1));
  int32_t n = 0, n_run = 0;
  if (!run) return false;
  qsort(e->list, (size_t)e->n, sizeof *e->list, by_order);
  for (int32_t i = 0; i < e->n; i++) {
    rpi_plan_message m = e->list[i];
    memcpy(run + n_run, e->run + m.first_run, sizeof *run * (size_t)m.n_run);
    if (n > 0 && order(&e->list[n - 1], &m) == 0) {
      e->list[n - 1].n_run += m.n_run;
      e->list[n - 1].bytes += m.bytes;
    } else {
      e->list[n] = m;
      e->list[n++].first_run = n_run;
    }
    n_run += m.n_run;
  }
  rpi_alloc_free(e->run);
  e->run = run;
  e->cap_run = n_run + 1;
  e->n = n;
  return true;
}

bool rpi_messages_join(rpi_plan_exchange *e) { return in_order(e) || join_messages(e); }

/* ---- what is packed ---- */

static void drop_stage(rpi_plan_exchange *e) {
  if (e->taken) (void)rpi_device_wait(e->device);
  if (e->device)
    rpi_device_unpin(e->device, e->stage);
  else
    rpi_alloc_free(e->stage);
  e->stage = NULL;
  e->stage_bytes = 0;
  e->taken = false;
}

static bool reserve_there(rpi_plan_exchange *e, int64_t bytes) {
  if (bytes <= e->there_bytes) return true;
  CUdeviceptr there;
  if (rpi_device_get(e->device, bytes, &there) != RP_OK) return false;
  rpi_device_put(e->device, e->there, e->there_bytes);
  e->there = there;
  e->there_bytes = bytes;
  return true;
}

/* At least so many bytes; what is there is kept if it suffices. */
static bool reserve_stage(rpi_plan_exchange *e, int64_t bytes) {
  if (bytes <= e->stage_bytes) return true;
  if (e->stage) drop_stage(e);
  void *stage = NULL;
  if (!e->device)
    stage = rpi_alloc_aligned(LINE, (size_t)bytes);
  else if (rpi_device_pin(e->device, bytes, &stage) != RP_OK)
    return false;
  e->stage = stage;
  e->stage_bytes = stage ? bytes : 0;
  return stage != NULL;
}

bool rpi_messages_close(rpi_plan_exchange *e) {
  int64_t here = 0, there = 0;
  if (!rpi_messages_join(e)) return false;
  for (int32_t i = 0; i < e->n; i++) {
    rpi_plan_message *m = &e->list[i];
    const bool one = m->n_run == 1 && e->run[m->first_run].count == 1;
    m->seen = 0;
    m->stage = -1;
    if (e->apart || (one && (m->direct || !(m->sides & RPI_AT_DEVICE)))) continue;
    int64_t *at = m->direct ? &there : &here;
    m->stage = *at;
    *at += (m->bytes + LINE - 1) / LINE * LINE;
  }
  void *post = e->post;
  if (!reserve_stage(e, here) || !reserve_there(e, there) ||
      !rpi_alloc_grow(&post, &e->cap_post, e->n, sizeof *e->post))
    return false;
  e->post = post;
  return true;
}

rpi_hull rpi_messages_hull(const rpi_plan_exchange *e, int32_t symbol) {
  rpi_hull h = {0, 0};
  for (int32_t i = 0; i < e->n; i++)
    for (int32_t k = 0; e->list[i].symbol == symbol && k < e->list[i].n_run; k++) {
      const rpi_plan_run *r = &e->run[e->list[i].first_run + k];
      h = rpi_hull_join(h, (rpi_hull){r->at, r->at + (r->count - 1) * r->step + r->bytes});
    }
  return h;
}

void rpi_messages_clear(rpi_plan_exchange *e) { e->n = e->n_run = 0; }

void rpi_messages_deinit(rpi_plan_exchange *e) {
  rpi_alloc_free(e->list);
  rpi_alloc_free(e->run);
  rpi_alloc_free(e->post);
  drop_stage(e);
  if (e->device) rpi_device_unmark(e->device, e->mark);
  if (e->device) rpi_device_put(e->device, e->there, e->there_bytes);
}
