/* SPDX-License-Identifier: Apache-2.0
 * trace/sides.c -- see sides.h. */
#include "trace/sides.h"

#include <string.h>

static int64_t bytes_of(const rpi_tasks *ts, uint32_t slot) {
  for (int32_t x = 0; x < ts->n_access; x++)
    if (ts->access[x].slot == slot)
      return ts->access[x].view->bsize * rpi_dtype_size(ts->access[x].view->dtype);
  return 0;
}

bool rpi_sides_init(rpi_sides *s, bool on, const rpi_analysis *an, const rpi_tasks *ts,
                    rpi_arena *a) {
  const size_t n = (size_t)an->n_symbol + 1;
  *s = (rpi_sides){.on = on};
  if (!on) return true;
  s->entry = rpi_arena_get(a, n);
  s->room = rpi_arena_get(a, n);
  s->valid = rpi_arena_get(a, n);
  s->bytes = rpi_arena_get(a, n * sizeof *s->bytes);
  if (a->failed) return false;
  memset(s->entry, 0, n);
  memset(s->room, 0, n);
  memset(s->valid, 0, n);
  for (int32_t i = 0; i < an->n_symbol; i++) s->bytes[i] = bytes_of(ts, an->symbol[i].slot);
  return true;
}

typedef struct walk {
  rpi_sides *s;
  const rpi_analysis *an;
  uint8_t side;
  rpi_sides_move *move;
  void *arg;
} walk;

/* Values that are there before are needed on the side, unless there are none that anybody sees. */
static void need(const walk *w, int32_t symbol) {
  rpi_sides *s = w->s;
  s->room[symbol] |= w->side;
  if (s->valid[symbol] & w->side) return;
  if (s->valid[symbol] == 0) {
    s->entry[symbol] = w->side;
  } else {
    w->move(w->arg, symbol, w->side);
    s->room[symbol] |= RPI_AT_HOST | RPI_AT_DEVICE;
  }
  s->valid[symbol] |= w->side;
}

static uint8_t access_of(const rpi_tasks *ts, const rpi_group *g, int32_t o) {
  const rpi_group_operand *k = &g->operand[o];
  return g->opaque ? ts->access[k->access].mode : k->ir.access;
}

void rpi_sides_group(rpi_sides *s, const rpi_analysis *an, const rpi_tasks *ts, const rpi_group *g,
                     uint8_t side, rpi_sides_move *move, void *arg) {
  const walk w = {s, an, side, move, arg};
  if (!s->on) {
    s->host = true;
    return;
  }
  *(side == RPI_AT_DEVICE ? &s->gpu : &s->host) = true;
  for (int32_t i = 0; i < g->n_patch; i++)
    if (an->symbol[g->patch[i]].old >= 0) need(&w, an->symbol[g->patch[i]].old);
  /* What is written may be written in part: the rest must be there, too. */
  for (int32_t o = 0; o < g->n_operand; o++)
    if (access_of(ts, g, o) != 0) need(&w, g->operand[o].symbol);
  for (int32_t i = 0; i < g->n_patch; i++) {
    need(&w, g->patch[i]);
    s->valid[g->patch[i]] = side;
  }
  for (int32_t o = 0; o < g->n_operand; o++)
    if (access_of(ts, g, o) & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE))
      s->valid[g->operand[o].symbol] = side;
}
