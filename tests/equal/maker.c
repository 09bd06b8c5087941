/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/maker.c -- decisions, variables and steps of the generator: see maker.h. */
#include "tests/equal/maker.h"

#include <string.h>

/* ---- decisions */

uint64_t maker_draw(maker *m) {
  if (m->bytes) {
    if (m->n_bytes == 0) return 0;
    const uint64_t low = *m->bytes++;
    m->n_bytes--;
    return low * UINT64_C(0x0101010101010101) ^ (low * 2654435761u) << 17;
  }
  uint64_t z = m->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

int32_t maker_pick(maker *m, int64_t n) {
  return n <= 1 ? 0 : (int32_t)((maker_draw(m) >> 3) % (uint64_t)n);
}

bool maker_chance(maker *m, int32_t percent) { return maker_pick(m, 100) < percent; }
bool maker_has(const maker *m, uint32_t feature) { return (m->features & feature) != 0; }

/* ---- steps */

bool maker_full(const maker *m, int32_t n) { return m->p->n_step + n > PROGRAM_STEPS; }

program_step maker_step(step_kind kind, int32_t v0, int32_t v1) {
  program_step s;
  memset(&s, 0, sizeof s);
  s.kind = kind;
  s.v[0] = v0;
  s.v[1] = v1;
  return s;
}

/* What the new handle in v0 may be used as. */
static void characterise(maker *m, const program_step *s) {
  const int32_t v = s->v[0];
  if (s->kind == STEP_CREATE || s->kind == STEP_SCALAR || s->kind == STEP_ATTACH) {
    m->role[v] = ROLE_DATA;
    m->fixed[v] = s->kind == STEP_ATTACH && s->flag == RP_READ_ONLY;
  } else if (s->kind == STEP_VIEW) {
    m->role[v] = m->role[s->v[1]] == ROLE_DATA ? ROLE_DATA : ROLE_SPAN;
    m->fixed[v] = m->fixed[s->v[1]] || s->flag == VIEW_PROMOTE || s->flag == VIEW_BROADCAST;
  } else if (s->kind == STEP_RELEASE) {
    m->role[v] = ROLE_FREE;
  } else if (s->kind == STEP_SWAP) {
    const bool f = m->fixed[v];
    const int8_t r = m->role[v];
    m->fixed[v] = m->fixed[s->v[1]];
    m->fixed[s->v[1]] = f;
    m->role[v] = m->role[s->v[1]];
    m->role[s->v[1]] = r;
  }
}

void maker_emit(maker *m, const program_step *s) {
  if (maker_full(m, 1)) return;
  m->p->step[m->p->n_step++] = *s;
  bool skipped = false;
  if (s->kind == STEP_LAUNCH) {
    if (s->flag && program_step_launch(m->ctx, s, m->var, &skipped) == RP_OK && !skipped) {
      m->role[s->v[0]] = ROLE_DATA;
      m->fixed[s->v[0]] = false;
    }
    return;
  }
  if (program_step_handles(m->ctx, s, m->var, &m->memory, &skipped) != RP_OK || skipped) return;
  characterise(m, s);
}

void maker_emit_simple(maker *m, step_kind kind, int32_t v0, int32_t v1, int32_t flag) {
  program_step s = maker_step(kind, v0, v1);
  s.flag = flag;
  s.seed = maker_draw(m);
  maker_emit(m, &s);
}

/* ---- variables */

int32_t maker_free_var(maker *m) {
  const int32_t from = maker_pick(m, PROGRAM_VARS);
  for (int32_t i = 0; i < PROGRAM_VARS; i++)
    if (!m->var[(from + i) % PROGRAM_VARS]) return (from + i) % PROGRAM_VARS;
  for (int32_t i = 0; i < PROGRAM_VARS; i++)
    if (m->role[(from + i) % PROGRAM_VARS] == ROLE_DATA) return (from + i) % PROGRAM_VARS;
  return from;
}

/* A random data variable that passes; -1. */
int32_t maker_choose(maker *m, maker_test test, const void *with) {
  const int32_t from = maker_pick(m, PROGRAM_VARS);
  for (int32_t i = 0; i < PROGRAM_VARS; i++) {
    const int32_t v = (from + i) % PROGRAM_VARS;
    if (m->var[v] && m->role[v] == ROLE_DATA && test(m, v, with)) return v;
  }
  return -1;
}

bool maker_any(const maker *m, int32_t v, const void *with) {
  (void)m;
  (void)v;
  (void)with;
  return true;
}

bool maker_writable(const maker *m, int32_t v, const void *with) {
  (void)with;
  return !m->fixed[v];
}

like maker_shape_of(const maker *m, int32_t v) {
  like l = {.ndim = rp_store_ndim(m->var[v]), .dtype = rp_store_dtype(m->var[v])};
  for (int32_t d = 0; d < l.ndim; d++) l.shape[d] = rp_store_extent(m->var[v], d);
  return l;
}

bool maker_same_shape(const maker *m, int32_t v, const void *with) {
  const like *l = with;
  const like o = maker_shape_of(m, v);
  if (o.ndim != l->ndim || (l->dtype >= 0 && o.dtype != l->dtype)) return false;
  if (l->write && m->fixed[v]) return false;
  return memcmp(o.shape, l->shape, sizeof *o.shape * (size_t)o.ndim) == 0;
}

bool maker_fits_into(const maker *m, int32_t v, const void *with) {
  const like *l = with;
  const like o = maker_shape_of(m, v);
  if (o.ndim > l->ndim || (l->dtype >= 0 && o.dtype != l->dtype)) return false;
  for (int32_t d = 0; d < o.ndim; d++)
    if (o.shape[d] != 1 && o.shape[d] != l->shape[l->ndim - o.ndim + d]) return false;
  return true;
}

int32_t maker_make_like(maker *m, const like *l, bool filled) {
  const int32_t v = maker_free_var(m);
  program_step s = maker_step(STEP_CREATE, v, 0);
  s.dtype = l->dtype >= 0 ? l->dtype : RP_F64;
  s.ndim = l->ndim;
  memcpy(s.n, l->shape, sizeof *s.n * (size_t)l->ndim);
  maker_emit(m, &s);
  if (filled) maker_emit_simple(m, STEP_WRITE, v, 0, 0);
  return m->var[v] ? v : -1;
}

int32_t maker_get_like(maker *m, const like *l, int32_t fresh) {
  const int32_t v = maker_chance(m, fresh) ? -1 : maker_choose(m, maker_same_shape, l);
  return v >= 0 ? v : maker_make_like(m, l, !l->write);
}
