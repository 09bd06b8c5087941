/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/program.c -- the generator of random programs: see program.h.
 *
 * Lives here: families of arrays, loops, phases. Not here: single steps (maker.h says where).
 * How:        a few families of arrays (several ranks and sizes, with rows, columns and scalars to go
 *             with them) and views of them; then phases: loose steps, or a loop whose body is made once
 *             and written out several times with small changes: other scalars, a missing step, an early
 *             end, views that slide; midway the arrays may be made anew in another size, or a step may
 *             give way to another one. Decisions come from a seed or, for fuzzing, from bytes. */
#include <stdlib.h>
#include <string.h>

#include "tests/equal/maker.h"

/* ---- single steps */

static void make_one(maker *m) {
  const int32_t what = maker_pick(m, 100);
  const bool reduce = maker_has(m, PROGRAM_REDUCE), gather = maker_has(m, PROGRAM_GATHER);
  if (what < 24)
    make_assign(m);
  else if (what < 29)
    make_call(m);
  else if (what < 36)
    make_chain(m);
  else if (what < 45 && reduce)
    make_reduce(m);
  else if (what < 54)
    make_form(m, FORM_STENCIL);
  else if (what < 63)
    make_form(m, FORM_WHOLE);
  else if (what < 70 && reduce)
    make_form(m, FORM_REDUCE);
  else if (what < 75 && gather)
    make_form(m, FORM_GATHER);
  else if (what < 78 && gather)
    make_scatter(m);
  else if (what < 82)
    make_view(m);
  else if (what < 87 && maker_has(m, PROGRAM_COPY))
    make_copy(m);
  else if (what < 91) {
    const int32_t v = maker_choose(m, maker_writable, NULL);
    if (v >= 0) maker_emit_simple(m, STEP_FILL, v, 0, 0);
  } else if (what < 95 && maker_has(m, PROGRAM_HOST))
    make_host(m);
  else if (what < 97 && maker_has(m, PROGRAM_OPAQUE))
    make_opaque(m);
  else if (maker_has(m, PROGRAM_LATE_RELEASE)) {
    const int32_t v = maker_choose(m, maker_any, NULL);
    if (v >= 0 && maker_chance(m, 50)) maker_emit_simple(m, STEP_RELEASE, v, 0, maker_pick(m, 2));
  }
}

/* ---- families */

static like family_shape(maker *m) {
  static const int64_t sizes[] = {1,   2,   3,   5,    7,    8,    17,   31,  64,
                                  100, 129, 257, 1023, 1025, 2049, 3001, 4100};
  static const int64_t rows[] = {1, 2, 5, 9, 33, 257, 520}, cols[] = {1, 3, 8, 20, 65, 1025, 2050};
  static const rp_dtype dtypes[] = {RP_F64,  RP_F64, RP_F64, RP_F64, RP_F64, RP_F32,
                                    RP_F32,  RP_F32, RP_I64, RP_I64, RP_I32, RP_U8,
                                    RP_BOOL, RP_I16, RP_U64, RP_I8,  RP_U32, RP_U16};
  like l = {.ndim = 1 + maker_pick(m, 10) / 5 + maker_pick(m, 10) / 8,
            .dtype = dtypes[maker_pick(m, 18)]};
  l.shape[0] = sizes[maker_pick(m, 17)];
  if (l.ndim == 2) {
    l.shape[0] = rows[maker_pick(m, 7)];
    l.shape[1] = cols[maker_pick(m, l.shape[0] > 100 ? 4 : l.shape[0] > 9 ? 5 : 7)];
  } else if (l.ndim == 3) {
    for (int32_t d = 0; d < 3; d++) l.shape[d] = sizes[maker_pick(m, d == 2 ? 11 : 6)];
  }
  if (maker_chance(m, 4)) l.shape[maker_pick(m, l.ndim)] = 0;
  return l;
}

static void make_family(maker *m) {
  like l = family_shape(m);
  const int32_t copies = 2 + maker_pick(m, 2);
  for (int32_t i = 0; i < copies; i++) {
    if (maker_chance(m, 15) && maker_has(m, PROGRAM_ATTACH)) {
      program_step s = maker_step(STEP_ATTACH, maker_free_var(m), 0);
      s.dtype = l.dtype;
      s.ndim = l.ndim;
      s.flag = maker_chance(m, 80) ? RP_READ_WRITE : RP_READ_ONLY;
      s.seed = maker_draw(m);
      memcpy(s.n, l.shape, sizeof *s.n * (size_t)l.ndim);
      maker_emit(m, &s);
    } else {
      maker_make_like(m, &l, maker_chance(m, 85));
    }
  }
  like wide = l;
  for (int32_t d = 0; d < l.ndim; d++) wide.shape[d] += 2;
  if (maker_chance(m, 60)) maker_make_like(m, &wide, true);
  if (l.ndim > 1) {
    like row = {.ndim = 1, .dtype = l.dtype}, column = l;
    row.shape[0] = l.shape[l.ndim - 1];
    column.shape[l.ndim - 1] = 1;
    maker_make_like(m, &row, true);
    maker_make_like(m, &column, true);
  }
  program_step s = maker_step(STEP_SCALAR, maker_free_var(m), 0);
  s.dtype = l.dtype;
  s.seed = maker_draw(m);
  maker_emit(m, &s);
}

/* ---- loops */

typedef struct loop_body {
  program_step *step;
  int32_t n, cap, id;
  bool sliding; /* its views move on with every pass */
} loop_body;

static void body_set(loop_body *b, const program_step *s, int32_t n) {
  if (n > b->cap) {
    b->cap = n;
    b->step = realloc(b->step, sizeof *b->step * (size_t)n);
    if (!b->step) abort();
  }
  if (n > 0) memmove(b->step, s, sizeof *s * (size_t)n);
  b->n = n;
}

/* A pass differs from the one before in scalars and data, and in where its views lie. */
static void vary(maker *m, loop_body *b) {
  for (int32_t i = 0; i < b->n; i++) {
    program_step *s = &b->step[i];
    if (s->kind == STEP_LAUNCH)
      for (int32_t k = 0; k < s->n_scalar; k++) s->scalar[k] += 0.125;
    if ((s->kind == STEP_WRITE && s->flag == 0) || s->kind == STEP_FILL ||
        s->kind == STEP_WRITE_PART)
      s->seed = maker_draw(m);
    if (s->kind != STEP_VIEW || !b->sliding) continue;
    if (s->flag == VIEW_PROJECT || s->flag == VIEW_SLICE) s->n[1]++;
    if (s->flag == VIEW_SLICE && s->n[2] < INT64_MAX && s->n[2] > INT64_MIN) s->n[2]++;
  }
}

/* Another step in the place of step `at`, for this pass and the following ones. */
static void replace(maker *m, loop_body *b, int32_t at) {
  const int32_t from = m->p->n_step;
  make_one(m);
  const int32_t n = m->p->n_step - from, rest = b->n - at - 1;
  program_step *all = malloc(sizeof *all * (size_t)(b->n + n));
  if (!all) abort();
  memcpy(all, b->step, sizeof *all * (size_t)at);
  memcpy(all + at, m->p->step + from, sizeof *all * (size_t)n);
  memcpy(all + at + n, b->step + at + 1, sizeof *all * (size_t)rest);
  body_set(b, all, at + n + rest);
  free(all);
}

/* One more pass; `changed`: from here on another body. */
static void repeat(maker *m, loop_body *b, bool changed) {
  const int32_t missing = maker_chance(m, 12) ? maker_pick(m, b->n) : -1;
  const int32_t other = changed && b->n > 2 ? 1 + maker_pick(m, b->n - 2) : -1;
  int32_t last = b->n;
  if (maker_has(m, PROGRAM_BREAK) && maker_chance(m, 8)) last = maker_pick(m, b->n);
  vary(m, b);
  for (int32_t i = 0; i < last; i++) {
    const int32_t before = b->n;
    if (i == other) {
      replace(m, b, i);
      i += b->n - before;
      last += b->n - before;
    } else if (i != missing) {
      maker_emit(m, &b->step[i]);
    }
  }
}

/* Makes the arrays of before the loop anew, with the extent `old` (and two more or less) changed. */
static int64_t mapped(int64_t n, int64_t old, int64_t now) {
  return n >= old - 2 && n <= old + 2 ? n - old + now : n;
}

static void resize_step(program_step *s, int64_t old, int64_t now) {
  const bool box = s->kind == STEP_VIEW && s->flag == VIEW_BOX;
  for (int32_t d = 0; d < s->ndim; d++) {
    if (s->kind == STEP_CREATE || s->kind == STEP_ATTACH) s->n[d] = mapped(s->n[d], old, now);
    if (box) s->n[RP_MAX_DIM + d] = mapped(s->n[RP_MAX_DIM + d], old, now);
  }
}

static void resize(maker *m, loop_body *b, int32_t n_body, int32_t to) {
  static const int64_t sizes[] = {5, 6, 9, 20, 63, 130, 260, 1030, 2050};
  int64_t old = 0;
  for (int32_t tries = 0; tries < 8 && old < 5; tries++) {
    const int32_t v = maker_choose(m, maker_any, NULL);
    if (v >= 0 && rp_store_ndim(m->var[v]) > 0)
      old = rp_store_extent(m->var[v], maker_pick(m, rp_store_ndim(m->var[v])));
  }
  const int64_t now = sizes[maker_pick(m, old > 1000 ? 9 : 6)];
  if (old < 5 || maker_full(m, to)) return;
  for (int32_t i = 0; i < to; i++) {
    program_step s = m->p->step[i];
    const bool index = s.kind == STEP_WRITE && s.flag != 0;
    if (index || (s.kind != STEP_CREATE && s.kind != STEP_ATTACH && s.kind != STEP_WRITE &&
                  s.kind != STEP_VIEW))
      continue;
    resize_step(&s, old, now);
    maker_emit(m, &s);
  }
  for (int32_t k = 0; k < n_body; k++)
    for (int32_t i = 0; i < b[k].n; i++) resize_step(&b[k].step[i], old, now);
}

static void make_swap(maker *m) {
  const int32_t a = maker_choose(m, maker_writable, NULL);
  if (a < 0) return;
  const like l = maker_shape_of(m, a);
  const int32_t b = maker_choose(m, maker_same_shape, &l);
  if (b >= 0 && b != a) maker_emit_simple(m, STEP_SWAP, a, b, 0);
}

/* The first pass of a body, as it is made. */
static void first_pass(maker *m, loop_body *b, int32_t steps, const bool *was) {
  const int32_t from = m->p->n_step;
  maker_emit_simple(m, STEP_BEGIN, 0, 0, b->id);
  for (int32_t i = 0; b->sliding && i < 2; i++) make_view(m);
  for (int32_t i = 0; i < steps; i++) make_one(m);
  if (maker_chance(m, 35)) make_swap(m);
  for (int32_t v = 0; v < PROGRAM_VARS; v++)
    if (m->var[v] && !was[v] && m->role[v] == ROLE_DATA && maker_chance(m, 55))
      maker_emit_simple(m, STEP_RELEASE, v, 0, maker_chance(m, 20));
  maker_emit_simple(m, STEP_END, 0, 0, b->id);
  body_set(b, m->p->step + from, m->p->n_step - from);
}

/* Drops something that the loop made, some passes after it was made. */
static void drop_late(maker *m, const bool *was) {
  const int32_t from = maker_pick(m, PROGRAM_VARS);
  for (int32_t i = 0; i < PROGRAM_VARS; i++) {
    const int32_t v = (from + i) % PROGRAM_VARS;
    if (!m->var[v] || was[v] || m->role[v] != ROLE_DATA) continue;
    maker_emit_simple(m, STEP_RELEASE, v, 0, maker_chance(m, 20));
    return;
  }
}

static int32_t loop_length(maker *m) {
  const int32_t what = maker_has(m, PROGRAM_LARGE) ? maker_pick(m, 100) : 0;
  if (what < 76) return 1 + maker_pick(m, 9);
  if (what < 93) return 9 + maker_pick(m, 20);
  return what < 98 ? 25 + maker_pick(m, 50) : 70 + maker_pick(m, 130);
}

static void make_loop(maker *m) {
  const int32_t id = maker_pick(m, 4), steps = loop_length(m), outer = maker_chance(m, 25) ? 2 : 1;
  const int32_t passes = 2 + maker_pick(m, 6), start = m->p->n_step;
  const int32_t change = maker_chance(m, 30) ? maker_pick(m, passes) : -1;
  const bool size = maker_chance(m, 50);
  loop_body b[2] = {{.id = id, .sliding = maker_chance(m, 20)}, {.id = id + 1}};
  bool was[PROGRAM_VARS], room = true;
  for (int32_t v = 0; v < PROGRAM_VARS; v++) was[v] = m->var[v] != NULL;
  for (int32_t k = 0; k < outer; k++) first_pass(m, &b[k], steps, was);
  for (int32_t i = 0; i < passes && room; i++) {
    if (i == change && size) resize(m, b, outer, start < 60 ? start : 60);
    for (int32_t k = 0; k < outer && room; k++) {
      room = !maker_full(m, b[k].n + 2);
      if (room) repeat(m, &b[k], i == change && !size);
    }
    if (maker_has(m, PROGRAM_LATE_RELEASE) && maker_chance(m, 8)) drop_late(m, was);
  }
  free(b[0].step);
  free(b[1].step);
}

/* ---- the whole */

static void clean_up(maker *m) {
  for (int32_t v = 0; v < PROGRAM_VARS; v++) rp_store_release(m->var[v]);
  rp_context_destroy(m->ctx);
  program_memory_free(&m->memory);
}

void program_make(program *p, uint64_t seed, const uint8_t *bytes, size_t n_bytes,
                  uint32_t features) {
  maker m = {.p = p, .state = seed, .bytes = bytes, .n_bytes = n_bytes, .features = features};
  p->n_step = 0;
  /* Without a GPU: the ways are run in children, where CUDA would not work behind us. */
  if (rp_context_create("--transport none --tier 0 --threads 1 --pin off --cache_dir none --gpus 0",
                        &m.ctx) != RP_OK)
    abort();
  m.bad_index = maker_chance(&m, 15);
  const bool large = maker_has(&m, PROGRAM_LARGE);
  const int32_t families = 1 + maker_pick(&m, large ? 3 : 1),
                phases = 1 + maker_pick(&m, large ? 5 : 2);
  for (int32_t i = 0; i < families; i++) make_family(&m);
  for (int32_t i = 0, views = maker_pick(&m, 6); i < views; i++) make_view(&m);
  for (int32_t k = 0; k < phases && !maker_full(&m, 1); k++) {
    if (bytes && m.n_bytes == 0) break;
    if (maker_chance(&m, 65)) {
      make_loop(&m);
    } else {
      const int32_t loose = 3 + maker_pick(&m, large ? 25 : 8);
      for (int32_t i = 0; i < loose; i++) make_one(&m);
    }
  }
  clean_up(&m);
}
