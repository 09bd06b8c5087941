/* SPDX-License-Identifier: Apache-2.0
 * core/base/map.c -- linear probing with backward-shift deletion (Knuth, TAOCP 3, 6.4, alg. R).
 *
 * How:        the home slot is the top bits of hash times an odd constant (2^64 over the golden
 *             ratio), so that hashes that differ only in high or low bits spread as well.
 * Invariants: at most 3/4 of the slots are taken, so every walk meets a free one; between an entry
 *             and its home no slot is free, so a walk from home to the first free slot sees all
 *             entries of a hash. */
#include "core/base/map.h"

#include "core/base/alloc.h"

void rpi_map_init(rpi_map *m) { *m = (rpi_map){0}; }

void rpi_map_deinit(rpi_map *m) {
  rpi_alloc_free(m->slots);
  *m = (rpi_map){0};
}

static int32_t home(uint64_t hash, int32_t cap) {
  uint64_t mixed = hash * 0x9E3779B97F4A7C15u;
  return (int32_t)((mixed >> 32) >> (32 - __builtin_ctz((unsigned)cap)));
}

void *rpi_map_next(const rpi_map *m, uint64_t hash, int32_t *it) {
  if (m->n == 0) return NULL;
  int32_t i = *it < 0 ? home(hash, m->cap) : (*it + 1) & (m->cap - 1);
  for (; m->slots[i].value; i = (i + 1) & (m->cap - 1)) {
    if (m->slots[i].hash != hash) continue;
    *it = i;
    return m->slots[i].value;
  }
  return NULL;
}

static void place(struct rpi_map_slot *slots, int32_t cap, uint64_t hash, void *value) {
  int32_t i = home(hash, cap);
  while (slots[i].value) i = (i + 1) & (cap - 1);
  slots[i].hash = hash;
  slots[i].value = value;
}

static bool grow(rpi_map *m) {
  if (m->cap > INT32_MAX / 4) return false;
  int32_t cap = m->cap ? m->cap * 2 : 16;
  struct rpi_map_slot *slots = rpi_alloc_zero((size_t)cap * sizeof *slots);
  if (!slots) return false;
  for (int32_t i = 0; i < m->cap; i++) {
    if (m->slots[i].value) place(slots, cap, m->slots[i].hash, m->slots[i].value);
  }
  rpi_alloc_free(m->slots);
  m->slots = slots;
  m->cap = cap;
  return true;
}

bool rpi_map_add(rpi_map *m, uint64_t hash, void *value) {
  rpi_assert(value);
  if (m->n >= m->cap / 4 * 3 && !grow(m)) return false;
  place(m->slots, m->cap, hash, value);
  m->n++;
  return true;
}

/* Frees slot i and moves back every later entry of the run that the hole would cut off from
 * home. */
static void close_gap(rpi_map *m, int32_t i) {
  int32_t mask = m->cap - 1;
  for (int32_t j = (i + 1) & mask; m->slots[j].value; j = (j + 1) & mask) {
    int32_t from_home = (j - home(m->slots[j].hash, m->cap)) & mask;
    int32_t from_hole = (j - i) & mask;
    if (from_home < from_hole) continue; /* its home lies behind the hole */
    m->slots[i] = m->slots[j];
    i = j;
  }
  m->slots[i].hash = 0;
  m->slots[i].value = NULL;
}

bool rpi_map_remove(rpi_map *m, uint64_t hash, const void *value) {
  int32_t it = -1;
  for (void *v; (v = rpi_map_next(m, hash, &it)) != NULL;) {
    if (v != value) continue;
    close_gap(m, it);
    m->n--;
    return true;
  }
  return false;
}
