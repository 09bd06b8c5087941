/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/make_access.c -- the generator's views, host access, copies and C functions. */
#include <string.h>

#include "tests/equal/maker.h"

enum { LARGEST_VIEW = 40000 };

/* ---- views */

static void slice_args(maker *m, program_step *s, int64_t n) {
  static const int64_t steps[] = {1, 1, 1, 2, -1, -2, 3};
  s->n[3] = steps[maker_pick(m, 7)];
  if (maker_chance(m, 60)) {
    const int64_t cut = maker_pick(m, 3);
    s->n[1] = s->n[3] > 0 ? cut : n - 1 - cut;
    s->n[2] = s->n[3] > 0 ? n - (2 - cut) : -n - 1 + (2 - cut);
    if (s->n[3] < 0 && s->n[2] < -n) s->n[2] = INT64_MIN;
  } else {
    s->n[1] = maker_pick(m, n + 1) - (maker_chance(m, 20) ? n : 0);
    s->n[2] = s->n[3] < 0 ? INT64_MIN : maker_chance(m, 50) ? INT64_MAX : maker_pick(m, n + 1);
  }
}

static void broadcast_args(maker *m, program_step *s, const like *l) {
  s->ndim = l->ndim < 3 ? l->ndim + 1 : 3;
  s->n[0] = s->ndim > l->ndim ? 1 + maker_pick(m, 4) : l->shape[0];
  for (int32_t d = 0; d < l->ndim && d < 3; d++) {
    const int64_t e = l->shape[d];
    s->n[s->ndim - (l->ndim < 3 ? l->ndim : 3) + d] = e == 1 ? 1 + maker_pick(m, 9) : e;
  }
}

static void view_args(maker *m, program_step *s, const like *l) {
  const int32_t axis = maker_pick(m, l->ndim);
  const int64_t n = l->ndim > 0 ? l->shape[axis] : 0;
  s->ndim = l->ndim;
  s->n[0] = axis;
  switch (s->flag) {
    case VIEW_SLICE: slice_args(m, s, n); break;
    case VIEW_BOX:
      for (int32_t d = 0; d < l->ndim; d++) {
        s->n[d] = maker_pick(m, l->shape[d] / 2 + 1);
        s->n[RP_MAX_DIM + d] = l->shape[d] - maker_pick(m, l->shape[d] / 3 + 1);
      }
      break;
    case VIEW_TRANSPOSE:
      for (int32_t d = 0; d < l->ndim; d++)
        s->n[d] = (d + 1 + (l->ndim == 3 && axis == 1)) % l->ndim;
      break;
    case VIEW_PROMOTE:
      s->n[0] = maker_pick(m, l->ndim + 1);
      s->n[1] = maker_chance(m, 50) ? 1 : maker_pick(m, 8);
      break;
    case VIEW_PROJECT: s->n[1] = maker_pick(m, n); break;
    case VIEW_BROADCAST: broadcast_args(m, s, l); break;
    default:
      s->ndim = 1 + maker_pick(m, 2);
      s->n[0] = s->ndim == 2 && n > 0 && n % 2 == 0 ? 2 : -1;
      s->n[1] = -1;
      if (s->ndim == 2 && s->n[0] < 0) s->n[0] = 1;
      break;
  }
}

void make_view(maker *m) {
  const int32_t of = maker_choose(m, maker_any, NULL);
  if (of < 0) return;
  const like l = maker_shape_of(m, of);
  program_step s = maker_step(STEP_VIEW, maker_free_var(m), of);
  s.flag = maker_chance(m, 50) ? VIEW_SLICE : maker_pick(m, N_VIEW);
  if (l.ndim > 3 || rp_store_size(m->var[of]) > LARGEST_VIEW) s.flag = VIEW_PROJECT;
  if (l.ndim == 0 && s.flag != VIEW_BROADCAST) s.flag = VIEW_PROMOTE;
  view_args(m, &s, &l);
  maker_emit(m, &s);
}

/* ---- the host */

static void make_part(maker *m, step_kind kind) {
  const int32_t v = maker_choose(m, kind == STEP_WRITE_PART ? maker_writable : maker_any, NULL);
  if (v < 0) return;
  const like l = maker_shape_of(m, v);
  program_step s = maker_step(kind, v, 0);
  s.ndim = l.ndim;
  s.seed = maker_draw(m);
  for (int32_t d = 0; d < l.ndim; d++) {
    s.n[d] = maker_pick(m, l.shape[d] / 2 + 1);
    s.n[RP_MAX_DIM + d] = l.shape[d] - maker_pick(m, l.shape[d] / 4 + 1);
    if (s.n[RP_MAX_DIM + d] < s.n[d]) s.n[RP_MAX_DIM + d] = s.n[d];
  }
  maker_emit(m, &s);
}

void make_host(maker *m) {
  const int32_t v = maker_choose(m, maker_any, NULL), w = maker_choose(m, maker_writable, NULL);
  const bool lends = maker_has(m, PROGRAM_ATTACH);
  if (v < 0 || w < 0) return;
  switch (maker_pick(m, 9)) {
    case 0:
    case 1: maker_emit_simple(m, STEP_READ, v, 0, 0); break;
    case 2: make_part(m, STEP_READ_PART); break;
    case 3: make_part(m, STEP_WRITE_PART); break;
    case 4: maker_emit_simple(m, STEP_WRITE, w, 0, 0); break;
    case 5: maker_emit_simple(m, STEP_WAIT, 0, 0, 0); break;
    case 6: maker_emit_simple(m, STEP_STORE_WAIT, v, 0, 0); break;
    default:
      if (lends) maker_emit_simple(m, maker_chance(m, 50) ? STEP_HOME : STEP_DETACH, v, 0, 0);
      break;
  }
}

void make_copy(maker *m) {
  const int32_t src = maker_choose(m, maker_any, NULL);
  if (src < 0) return;
  like l = maker_shape_of(m, src);
  l.write = true;
  const int32_t dst = maker_get_like(m, &l, 30);
  if (dst >= 0) maker_emit_simple(m, STEP_COPY, dst, src, 0);
}

/* ---- C functions */

static bool doubles(const maker *m, int32_t v, const void *with) {
  (void)with;
  return rp_store_dtype(m->var[v]) == RP_F64 && rp_store_ndim(m->var[v]) == 1;
}

void make_opaque(maker *m) {
  const int32_t a = maker_choose(m, doubles, NULL);
  if (a < 0) return;
  like l = maker_shape_of(m, a);
  l.write = true;
  const int32_t y = maker_get_like(m, &l, 0), how = maker_pick(m, m->bad_index ? 4 : 3);
  if (y >= 0 && y != a) maker_emit_simple(m, STEP_OPAQUE, y, a, how);
}
