/* SPDX-License-Identifier: Apache-2.0
 * trace/rehearsal.c -- a walk over a plan that leaves nothing behind: what it has changed is put back.
 *
 * Lives here: what a walk changes. Not here: what rehearsals are for (choice.c, ahead.c).
 * How:        the plan's lists are copied, and an arena of the rehearsal's own takes the place of the plan's.
 * Invariant:  numbers of tilings stay taken. */
#include <string.h>

#include "core/base/alloc.h"
#include "trace/distribute_impl.h"

/* What a walk changes of a plan, piece by piece. */
static size_t piece_of(const rpi_plan *p, int32_t i, void **at) {
  switch (i) {
    case 0: *at = p->words; return sizeof *p->words * (size_t)p->n_words;
    case 1: *at = p->sub; return sizeof *p->sub * (size_t)p->n_sub;
    case 2: *at = p->pointer; return sizeof *p->pointer * (size_t)p->n_pointer;
    case 3: *at = p->call; return sizeof *p->call * (size_t)p->n_call;
    default: *at = p->box; return sizeof *p->box * (size_t)p->n_box;
  }
}

rp_status rpi_rehearsal_begin(rpi_bound *b, rpi_rehearsal *s) {
  *s = (rpi_rehearsal){.plan = b->plan, .arena = b->arena, .joint_failure = b->joint_failure};
  rpi_arena_init(&b->arena);
  bool ok = true;
  for (int32_t i = 0; i < RPI_COUNT(s->copy); i++) {
    void *at;
    const size_t bytes = piece_of(&b->plan, i, &at);
    s->copy[i] = rpi_alloc(bytes + 1);
    ok = ok && s->copy[i];
    if (ok && bytes > 0) memcpy(s->copy[i], at, bytes);
  }
  s->saved = ok;
  return ok ? RP_OK : rpi_status_nomem("plan");
}

rp_status rpi_rehearsal_end(rpi_bound *b, rpi_rehearsal *s, rp_status st) {
  while (b->plan.exchanges != s->plan.exchanges) {
    rpi_plan_exchange *e = b->plan.exchanges;
    b->plan.exchanges = e->next;
    rpi_messages_deinit(e);
    rpi_alloc_free(e);
  }
  b->plan = s->plan;
  b->joint_failure = s->joint_failure;
  for (int32_t i = 0; i < RPI_COUNT(s->copy); i++) {
    void *at;
    const size_t bytes = piece_of(&b->plan, i, &at);
    if (s->saved && bytes > 0) memcpy(at, s->copy[i], bytes);
    rpi_alloc_free(s->copy[i]);
  }
  if (st == RP_OK && b->arena.failed) st = rpi_status_nomem("plan");
  rpi_arena_deinit(&b->arena);
  b->arena = s->arena;
  return st;
}
