/* SPDX-License-Identifier: Apache-2.0
 * trace/invariant.c -- see invariant.h. */
#include "trace/invariant.h"

#include <string.h>

typedef struct pass {
  const rp_context *ctx;
  rpi_repeat *r;
  bool *gone;       /* per task */
  int32_t *writers; /* per slot: tasks that write it and stay */
  int32_t *all;     /* the same, of all tasks */
  uint32_t *slot;   /* per slot: its number in what is left; UINT32_MAX: none yet */
} pass;

static const rp_op *op_at(const pass *p, int32_t word) {
  return p->ctx->op_by_id[p->r->words[word] & 0xffffffffu];
}

static uint32_t slot_at(const pass *p, int32_t word, int32_t store) {
  return (uint32_t)(p->r->words[word + 1 + store] >> 32);
}

static bool inverts(const pass *p) {
  for (int32_t w = 0; w < p->r->n_words; w += 1 + op_at(p, w)->n_stores)
    if (op_at(p, w)->special == RPI_OP_INVERT) return true;
  return false;
}

static void count_writers(pass *p) {
  for (int32_t w = 0; w < p->r->n_words; w += 1 + op_at(p, w)->n_stores)
    for (int32_t i = 0; i < op_at(p, w)->n_stores; i++)
      if (op_at(p, w)->privilege[i] & RP_PRIV_WRITE) p->all[slot_at(p, w, i)]++;
  memcpy(p->writers, p->all, sizeof *p->all * p->r->n_slot);
}

/* Reads what stays as it is, writes what is its own and lives on. */
static bool is_invariant(const pass *p, int32_t word) {
  const rp_op *op = op_at(p, word);
  bool writes = false;
  if (op->opaque && op->special != RPI_OP_INVERT) return false;
  for (int32_t i = 0; i < op->n_stores; i++) {
    const uint32_t s = slot_at(p, word, i);
    if (!(op->privilege[i] & RP_PRIV_WRITE)) {
      if (p->writers[s] > 0) return false;
      continue;
    }
    if ((op->privilege[i] & RP_PRIV_READ) || p->all[s] != 1 || !p->r->slot[s]) return false;
    writes = true;
  }
  return writes;
}

/* Marks one task after the other until there is none any more; how many. */
static int32_t mark(pass *p) {
  int32_t n = 0, before;
  do {
    before = n;
    for (int32_t w = 0, t = 0; w < p->r->n_words; w += 1 + op_at(p, w)->n_stores, t++) {
      if (p->gone[t] || !is_invariant(p, w)) continue;
      p->gone[t] = true;
      n++;
      for (int32_t i = 0; i < op_at(p, w)->n_stores; i++)
        if (op_at(p, w)->privilege[i] & RP_PRIV_WRITE) p->writers[slot_at(p, w, i)]--;
    }
  } while (n > before);
  return n;
}

/* Slots have the numbers of what is left; others are let go. */
static rp_status renumber(const pass *p, uint32_t n) {
  rpi_repeat *r = p->r;
  rpi_buffer **slot = rpi_alloc(sizeof(*slot) * (n + 1));
  const rpi_view **base = rpi_alloc(sizeof(*base) * (n + 1));
  if (!slot || !base) {
    rpi_alloc_free(slot);
    rpi_alloc_free(base);
    return rpi_status_nomem("a repeated pass");
  }
  for (uint32_t s = 0; s < r->n_slot; s++) {
    if (p->slot[s] != UINT32_MAX) {
      slot[p->slot[s]] = r->slot[s];
      base[p->slot[s]] = r->base[s];
    } else if (r->slot[s]) {
      rpi_store_buffer_unbind(r->slot[s]);
    }
  }
  rpi_alloc_free(r->slot);
  rpi_alloc_free(r->base);
  r->slot = slot;
  r->base = base;
  r->n_slot = n;
  return RP_OK;
}

static rp_status leave_out(pass *p) {
  rpi_repeat *r = p->r;
  int32_t to = 0, n_task = 0, from_scalar = 0, n_scalar = 0;
  uint32_t n_slot = 0;
  for (int32_t w = 0, t = 0, next; w < r->n_words; w = next, t++) {
    const rp_op *op = op_at(p, w);
    next = w + 1 + op->n_stores;
    if (!p->gone[t]) {
      for (int32_t i = 0; i < op->n_scalars; i++)
        r->scalar[n_scalar++] = r->scalar[from_scalar + i];
      r->words[to] = r->words[w];
      for (int32_t i = 0; i < op->n_stores; i++) {
        const uint64_t word = r->words[w + 1 + i];
        uint32_t *s = &p->slot[word >> 32];
        if (*s == UINT32_MAX) *s = n_slot++;
        r->words[to + 1 + i] = rpi_task_arg(*s, (uint32_t)word);
      }
      to += 1 + op->n_stores;
      n_task++;
    }
    from_scalar += op->n_scalars;
  }
  r->n_words = to;
  r->n_scalar = n_scalar;
  r->n_task = n_task;
  return renumber(p, n_slot);
}

rp_status rpi_invariant_drop(const rp_context *ctx, rpi_repeat *r) {
  pass p = {.ctx = ctx, .r = r};
  if (!inverts(&p)) return RP_OK;
  const size_t slots = r->n_slot + 1, tasks = (size_t)r->n_task + 1;
  char *room = rpi_alloc_zero(slots * (2 * sizeof *p.all + sizeof *p.slot) + tasks);
  if (!room) return rpi_status_nomem("a repeated pass");
  p.all = (int32_t *)(void *)room;
  p.writers = p.all + slots;
  p.slot = (uint32_t *)(void *)(p.writers + slots);
  p.gone = (bool *)(p.slot + slots);
  for (uint32_t s = 0; s < r->n_slot; s++) p.slot[s] = UINT32_MAX;
  count_writers(&p);
  const int32_t n = mark(&p);
  const rp_status st = n > 0 && n < r->n_task ? leave_out(&p) : RP_OK;
  rpi_alloc_free(room);
  return st;
}
