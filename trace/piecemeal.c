/* SPDX-License-Identifier: Apache-2.0
 * trace/piecemeal.c -- see piecemeal.h. */
#include "trace/piecemeal.h"

#include "trace/commit.h"
#include "trace/template.h"

/* One launch: its words, with slots numbered anew, and its buffers. */
typedef struct piece {
  rpi_segment segment;
  uint64_t words[1 + RPI_OP_MAX_STORES];
  int32_t n_words;
  uint32_t klass[RPI_OP_MAX_STORES];
  rpi_buffer *slot[RPI_OP_MAX_STORES];
} piece;

static uint32_t slot_of(piece *p, rpi_buffer *b) {
  rpi_segment *s = &p->segment;
  for (uint32_t i = 0; i < s->n_slot; i++)
    if (p->slot[i] == b) return i;
  p->slot[s->n_slot] = b;
  p->klass[s->n_slot] = b->klass;
  b->run_refs++;
  return s->n_slot++;
}

/* The launch whose words begin at `at`; its scalars are the next of the whole segment's. */
static void take(const rpi_segment *whole, const uint64_t *at, int32_t scalar, int32_t number,
                 piece *p) {
  const int32_t n_stores = (int32_t)(at[0] >> 32 & 0xffff);
  p->segment = (rpi_segment){.number = whole->number,
                             .slot = p->slot,
                             .scalar = whole->scalar + scalar,
                             .n_scalar = (int32_t)(at[0] >> 48),
                             .n_task = 1,
                             .first_launch = whole->first_launch + number,
                             .trace = whole->trace,
                             .pass = whole->pass};
  p->n_words = 1 + n_stores;
  p->words[0] = at[0];
  for (int32_t i = 0; i < n_stores; i++)
    p->words[1 + i] = rpi_task_arg(slot_of(p, whole->slot[at[1 + i] >> 32]), (uint32_t)at[1 + i]);
}

static rp_status run(rp_context *ctx, piece *p) {
  rpi_segment *s = &p->segment;
  rp_status st = rpi_template_get(ctx, p->words, p->n_words, p->klass, s->n_slot, &s->done);
  if (st == RP_OK) return rpi_commit(ctx, s, NULL, NULL);
  for (uint32_t i = 0; i < s->n_slot; i++) rpi_store_buffer_unbind(s->slot[i]);
  return st;
}

rp_status rpi_piecemeal_commit(rp_context *ctx, const rpi_segment *s) {
  const rpi_template *t = s->done;
  rp_status st = RP_OK;
  int32_t scalar = 0, number = 0;
  piece p;
  for (uint32_t i = 0; i < s->n_slot; i++) s->slot[i]->app_refs++;
  for (int32_t at = 0; at < t->n_words && st == RP_OK; at += p.n_words) {
    take(s, t->words + at, scalar, number++, &p);
    scalar += (int32_t)(t->words[at] >> 48);
    st = run(ctx, &p);
  }
  for (uint32_t i = 0; i < s->n_slot; i++) s->slot[i]->app_refs--;
  rpi_context_reason(ctx, RPI_REASON_GPU_FULL);
  return st;
}
