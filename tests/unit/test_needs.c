/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_needs.c -- rows and messages of ranks in closed form, against enumeration: each row belongs to one
 * rank, tilings follow each other, what r sends to s is what s receives from r, and a rank then has all it needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "trace/needs.h"

enum { MOST = 4000 };

static uint64_t state = 7;

static int64_t below(int64_t n) {
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (int64_t)((state >> 33) % (uint64_t)n);
}

static rpi_cuts any_cuts(int64_t n, int32_t ranks) {
  const int64_t grain = 1 + below(n < 40 ? n : 40);
  return (rpi_cuts){.n = n,
                    .grain = grain,
                    .units = (n + grain - 1) / grain,
                    .ranks = ranks,
                    .offset = below(4) ? 0 : below(2 * grain) - grain};
}

static void test_cuts(void **unused) {
  (void)unused;
  for (int32_t i = 0; i < 3000; i++) {
    const int64_t n = 1 + below(500);
    const int32_t ranks = 1 + (int32_t)below(12);
    const rpi_cuts c = any_cuts(n, ranks);
    assert_int_equal(rpi_cuts_at(&c, 0), 0);
    assert_int_equal(rpi_cuts_at(&c, ranks), n);
    for (int32_t r = 0; r < ranks; r++) assert_true(rpi_cuts_at(&c, r) <= rpi_cuts_at(&c, r + 1));
    for (int64_t e = 0; e < n; e++) {
      const int32_t owner = rpi_cuts_owner(&c, e);
      assert_true(rpi_cuts_at(&c, owner) <= e && e < rpi_cuts_at(&c, owner + 1));
    }
  }
  const rpi_cuts wide = {
      .n = INT64_C(1) << 60, .grain = 1, .units = INT64_C(1) << 60, .ranks = 1 << 20};
  assert_int_equal(rpi_cuts_at(&wide, 1 << 19), INT64_C(1) << 59); /* no overflow on the way */
  assert_int_equal(rpi_cuts_owner(&wide, (INT64_C(1) << 59) - 1), (1 << 19) - 1);
}

/* A view of rows and columns of an array of n elements: rows do not overlap. */
static rpi_geom any_view(int64_t n) {
  rpi_geom g = {.ndim = 1 + (int32_t)below(2)};
  const int64_t step = 1 + below(12);
  g.stride[0] = step;
  if (g.ndim == 2) {
    g.stride[1] = 1;
    g.shape[1] = 1 + below(step);
  }
  const int64_t span = g.ndim == 2 ? g.shape[1] - 1 : 0;
  g.offset = below(n < 30 ? n : 30);
  g.shape[0] = (n - 1 - span - g.offset) / step + 1;
  if (n - 1 - span - g.offset < 0) g.shape[0] = 0;
  if (g.shape[0] > 1) g.shape[0] = 1 + below(g.shape[0]);
  return g;
}

static int64_t reach_of(const rpi_geom *g) { return g->ndim == 2 ? g->shape[1] - 1 : 0; }

/* Each row is whole in its rank's range. */
static void rows_fit(const rpi_rows *s, const rpi_geom *g, const rpi_cuts *c) {
  assert_int_equal(rpi_rows_at(s, 0), 0);
  assert_int_equal(rpi_rows_at(s, (int32_t)c->ranks), g->shape[0]);
  for (int32_t r = 0; r < c->ranks; r++)
    for (int64_t i = rpi_rows_at(s, r); i < rpi_rows_at(s, r + 1); i++) {
      const int64_t first = g->offset + i * g->stride[0];
      assert_true(rpi_cuts_at(c, r) <= first && first + reach_of(g) < rpi_cuts_at(c, r + 1));
    }
}

static void test_rows(void **unused) {
  int32_t fit = 0, followed = 0;
  (void)unused;
  for (int32_t k = 0; k < 200000; k++) {
    const int64_t n = 1 + below(300), m = 1 + below(300);
    const rpi_cuts c = any_cuts(n, 1 + (int32_t)below(9));
    const rpi_geom g = any_view(n), h = any_view(m);
    rpi_rows s, t;
    rpi_cuts d;
    if (g.shape[0] < 1 || !rpi_rows_by(&c, &g, g.shape[0], &s)) continue;
    rows_fit(&s, &g, &c);
    fit++;
    assert_true(rpi_rows_same(&s, &s));
    if (h.shape[0] != g.shape[0] || !rpi_rows_cuts(&s, &h, m, &d)) continue;
    for (int32_t r = 0; r < d.ranks; r++)
      for (int64_t i = rpi_rows_at(&s, r); i < rpi_rows_at(&s, r + 1); i++) {
        const int64_t first = h.offset + i * h.stride[0];
        assert_true(rpi_cuts_at(&d, r) <= first && first + reach_of(&h) < rpi_cuts_at(&d, r + 1));
      }
    if (rpi_rows_by(&d, &h, h.shape[0], &t) && rpi_rows_same(&s, &t))
      for (int32_t r = 0; r <= d.ranks; r++)
        assert_int_equal(rpi_rows_at(&s, r), rpi_rows_at(&t, r));
    followed++;
  }
  assert_true(fit > 10000 && followed > 100);
}

/* Two forms that are said to be the same are. */
static void test_same(void **unused) {
  int32_t same = 0;
  (void)unused;
  for (int32_t k = 0; k < 400000; k++) {
    const int64_t n = 1 + below(60);
    const rpi_cuts c = any_cuts(n, 3), d = below(2) ? c : any_cuts(n, 3);
    const rpi_geom g = any_view(n);
    rpi_geom h = below(2) ? g : any_view(n);
    h.offset = h.offset + (g.offset > 0 ? below(2) - 1 : 0);
    rpi_rows s, t;
    if (g.shape[0] < 1 || g.shape[0] != h.shape[0] || h.offset < 0) continue;
    if (!rpi_rows_by(&c, &g, g.shape[0], &s) || !rpi_rows_by(&d, &h, h.shape[0], &t)) continue;
    if (!rpi_rows_same(&s, &t)) continue;
    for (int32_t r = 0; r <= 3; r++) assert_int_equal(rpi_rows_at(&s, r), rpi_rows_at(&t, r));
    same++;
  }
  assert_true(same > 1000);
}

static const rpi_plan_message *between(const rpi_plan_exchange *e, int32_t peer, bool send,
                                       int32_t *n) {
  const rpi_plan_message *found = NULL;
  *n = 0;
  for (int32_t i = 0; i < e->n; i++) {
    if (e->list[i].peer != peer || e->list[i].send != send) continue;
    found = &e->list[i];
    ++*n;
  }
  return found;
}

/* A range is one block. */
static const rpi_plan_run *run_of(const rpi_plan_exchange *e, const rpi_plan_message *m) {
  const rpi_plan_run *r = &e->run[m->first_run];
  assert_true(m->n_run == 1 && r->count == 1 && r->bytes == m->bytes);
  return r;
}

/* All ranks' messages for up to three needs of one array: they agree in pairs, and bring all that is needed. */
static void agree(const rpi_needs *needs, const rpi_geom *view, const rpi_cuts *c) {
  static bool has[MOST];
  rpi_plan_exchange e[12] = {{0}};
  for (int32_t r = 0; r < c->ranks; r++) assert_true(rpi_needs_messages(needs, 5, c, r, 8, &e[r]));
  for (int32_t r = 0; r < c->ranks; r++) {
    for (int32_t s = 0; s < c->ranks; s++) {
      int32_t sends, receives;
      const rpi_plan_message *out = between(&e[r], s, true, &sends),
                             *in = between(&e[s], r, false, &receives);
      assert_int_equal(sends, receives);
      assert_true(sends <= (r != s));
      if (!out) continue;
      assert_int_equal(run_of(&e[r], out)->at, run_of(&e[s], in)->at);
      assert_int_equal(out->bytes, in->bytes);
      assert_int_equal(out->symbol, 5);
    }
    memset(has, 0, sizeof has);
    for (int64_t i = rpi_cuts_at(c, r); i < rpi_cuts_at(c, r + 1); i++) has[i] = true;
    for (int32_t i = 0; i < e[r].n; i++)
      for (int64_t at = 0; at < e[r].list[i].bytes && !e[r].list[i].send; at += 8)
        has[(run_of(&e[r], &e[r].list[i])->at + at) / 8] = true;
    for (int32_t k = 0; k < needs->n; k++) {
      const rpi_need *need = &needs->list[k];
      int64_t from = rpi_rows_at(&need->space, r), to = rpi_rows_at(&need->space, r + 1);
      const bool none = from == to;
      while (from % need->leaf != 0) from--;
      while (to % need->leaf != 0 && to < need->space.extent) to++;
      for (int64_t i = from; i < to && !none; i++)
        for (int64_t j = 0; j <= reach_of(&view[k]); j++)
          assert_true(has[view[k].offset + i * view[k].stride[0] + j]);
    }
  }
  for (int32_t r = 0; r < c->ranks; r++) {
    rpi_messages_deinit(&e[r]);
  }
}

static void test_messages(void **unused) {
  int32_t tried = 0;
  (void)unused;
  for (int32_t k = 0; k < 60000; k++) {
    const int64_t n = 1 + below(300), m = 1 + below(300);
    const int32_t ranks = 1 + (int32_t)below(12);
    const rpi_cuts c = any_cuts(n, ranks), own = any_cuts(m, ranks);
    const rpi_geom written = any_view(m);
    rpi_geom view[3];
    const int64_t leaf = below(3) ? 1 : 1 + below(9);
    rpi_needs needs = {0};
    rpi_rows space;
    if (written.shape[0] < 1 || !rpi_rows_by(&own, &written, written.shape[0], &space)) continue;
    for (int32_t i = 0, most = 1 + (int32_t)below(3); i < most; i++) {
      view[needs.n] = any_view(n);
      if (view[needs.n].shape[0] < space.extent) continue;
      const rpi_need one = rpi_needs_of(5, &space, leaf, &view[needs.n]);
      assert_true(rpi_needs_add(&needs, &one));
    }
    if (needs.n > 0) {
      agree(&needs, view, &c);
      tried++;
    }
    rpi_alloc_free(needs.list);
  }
  assert_true(tried > 2000);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cuts), cmocka_unit_test(test_rows),
                                     cmocka_unit_test(test_same), cmocka_unit_test(test_messages)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
