/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_margins.c -- boxes and messages of grids of ranks in closed form, against enumeration: each point of a
 * space is in one rank's box, tilings follow each other, what r sends to s is what s receives from r, a rank then has
 * all it needs, and what it needs nothing for is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/support/pick.h"
#include "trace/margins.h"

enum { MOST = 4096 };

static int64_t size_of(int32_t ndim, const int64_t *shape) {
  int64_t n = 1;
  for (int32_t d = 0; d < ndim; d++) n *= shape[d];
  return n;
}

static rpi_tiling any_tiling(int32_t ndim, const int64_t *shape, const int64_t *parts) {
  rpi_cuts axis[RP_MAX_DIM];
  for (int32_t d = 0; d < ndim; d++) {
    const int64_t grain = pick(1, 3);
    axis[d] = (rpi_cuts){.n = shape[d],
                         .grain = grain,
                         .units = (shape[d] + grain - 1) / grain,
                         .offset = pick(0, 4) ? 0 : pick(-2, 2),
                         .ranks = parts[d]};
  }
  return rpi_tiling_grid(ndim, axis);
}

/* A view of part of an array: ranges with steps, some axes at one index, sometimes transposed. */
static rpi_geom any_view(int32_t ndim, const int64_t *shape) {
  rpi_geom g;
  rpi_geom_dense(ndim, shape, &g);
  for (int32_t d = ndim - 1; d >= 0; d--) {
    const int64_t step = pick(0, 3) ? 1 : pick(2, 3), from = pick(0, shape[d] - 1);
    const int64_t most = (shape[d] - 1 - from) / step + 1;
    g.offset += from * g.stride[d];
    g.shape[d] = pick(1, most);
    g.stride[d] *= step;
    if (g.ndim == 1 || pick(0, 4)) continue;
    for (int32_t k = d; k + 1 < g.ndim; k++) {
      g.shape[k] = g.shape[k + 1];
      g.stride[k] = g.stride[k + 1];
    }
    g.ndim--;
    g.shape[g.ndim] = g.stride[g.ndim] = 0;
  }
  return g;
}

/* The element of the i-th point of a box of a space (row-major), and whether there is one. */
static bool element(const rpi_geom *g, const int64_t *lo, const int64_t *hi, int64_t i,
                    int64_t *e) {
  *e = g->offset;
  for (int32_t d = g->ndim - 1; d >= 0; d--) {
    const int64_t n = hi[d] - lo[d];
    if (n <= 0) return false;
    *e += (lo[d] + i % n) * g->stride[d];
    i /= n;
  }
  return i == 0;
}

static int32_t owner_of(const rpi_tiling *t, int64_t e) {
  int32_t at[RP_MAX_DIM];
  for (int32_t d = t->ndim - 1; d >= 0; d--) {
    at[d] = rpi_cuts_owner(&t->axis[d], e % t->axis[d].n);
    e /= t->axis[d].n;
  }
  return rpi_tiling_rank(t, at);
}

/* Each point belongs to the rank that owns its element. */
static void boxes_fit(const rpi_grid *grid, const rpi_tiling *t, const rpi_geom *g) {
  int64_t points = 0;
  for (int32_t r = 0; r < t->ranks; r++) {
    int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM], e;
    if (!rpi_grid_box(grid, r, lo, hi)) continue;
    for (int64_t i = 0; element(g, lo, hi, i, &e); i++, points++)
      assert_int_equal(owner_of(t, e), r);
  }
  assert_int_equal(points, rpi_geom_size(g));
}

static void test_boxes(void **state) {
  int32_t followed = 0;
  (void)state;
  for (int32_t turn = 0; turn < 20000; turn++) {
    const int32_t ndim = (int32_t)pick(1, 3);
    int64_t shape[3], other[3], parts[3];
    for (int32_t d = 0; d < ndim; d++) {
      shape[d] = pick(1, 12);
      other[d] = pick(0, 1) ? shape[d] : pick(1, 14);
      parts[d] = pick(1, 4);
    }
    const rpi_tiling t = any_tiling(ndim, shape, parts);
    const rpi_geom g = any_view(ndim, shape);
    rpi_geom h = any_view(ndim, other);
    rpi_grid grid, mine;
    rpi_tiling u;
    if (!rpi_grid_by(&t, &g, shape, &grid)) continue;
    boxes_fit(&grid, &t, &g);
    assert_true(rpi_grid_same(&grid, &grid));
    if (h.ndim != g.ndim) continue;
    for (int32_t d = 0; d < g.ndim; d++)
      if (g.shape[d] < h.shape[d]) h.shape[d] = g.shape[d];
    if (memcmp(h.shape, g.shape, sizeof h.shape) != 0 ||
        !rpi_grid_tiling(&grid, &h, ndim, other, &u))
      continue;
    followed++;
    boxes_fit(&grid, &u, &h);
    if (rpi_grid_by(&u, &h, other, &mine) && rpi_grid_same(&grid, &mine)) boxes_fit(&mine, &u, &h);
  }
  assert_true(followed > 300);
}

/* The elements of a message, in order; their number. */
static int64_t list_of(const rpi_plan_exchange *e, const rpi_plan_message *m, int64_t *out) {
  int64_t n = 0;
  for (int32_t i = 0; i < m->n_run; i++) {
    const rpi_plan_run *r = &e->run[m->first_run + i];
    for (int64_t k = 0; k < r->count; k++)
      for (int64_t b = 0; b < r->bytes; b++) out[n++] = r->at + k * r->step + b;
  }
  assert_int_equal(n, m->bytes);
  return n;
}

static const rpi_plan_message *between(const rpi_plan_exchange *e, int32_t peer, bool send) {
  const rpi_plan_message *found = NULL;
  for (int32_t i = 0; i < e->n; i++) {
    if (e->list[i].peer != peer || e->list[i].send != send) continue;
    assert_null(found);
    found = &e->list[i];
  }
  return found;
}

static void agree_in_pairs(const rpi_plan_exchange *e, int32_t ranks) {
  static int64_t out[MOST], in[MOST];
  for (int32_t r = 0; r < ranks; r++)
    for (int32_t s = 0; s < ranks; s++) {
      const rpi_plan_message *a = between(&e[r], s, true), *b = between(&e[s], r, false);
      assert_int_equal(a != NULL, b != NULL);
      if (!a) continue;
      assert_true(r != s);
      const int64_t n = list_of(&e[r], a, out);
      assert_int_equal(list_of(&e[s], b, in), n);
      assert_memory_equal(in, out, (size_t)n * sizeof *in);
    }
}

/* What is owned or came is there; what came was its sender's. */
static void brings_all(const rpi_plan_exchange *e, const rpi_margins *m, const rpi_tiling *t,
                       const rpi_geom *view, int64_t n) {
  static bool has[MOST];
  static int64_t in[MOST];
  for (int32_t r = 0; r < t->ranks; r++) {
    for (int64_t i = 0; i < n; i++) has[i] = owner_of(t, i) == r;
    for (int32_t k = 0; k < e[r].n; k++) {
      if (e[r].list[k].send) continue;
      for (int64_t i = list_of(&e[r], &e[r].list[k], in) - 1; i >= 0; i--) {
        assert_int_equal(owner_of(t, in[i]), e[r].list[k].peer);
        has[in[i]] = true;
      }
    }
    for (int32_t k = 0; k < m->n; k++) {
      int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM], at;
      if (!rpi_grid_box(&m->list[k].reader, r, lo, hi)) continue;
      for (int64_t i = 0; element(&view[k], lo, hi, i, &at); i++) assert_true(has[at]);
    }
  }
}

/* What a rank reads of its own tile is a box of its box. */
static void inner_is_own(const rpi_margins *m, const rpi_tiling *t, const rpi_geom *view) {
  for (int32_t r = 0; r < t->ranks; r++) {
    for (int32_t k = 0; k < m->n; k++) {
      int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM], from[RP_MAX_DIM], to[RP_MAX_DIM], e;
      if (!rpi_grid_box(&m->list[k].reader, r, lo, hi)) continue;
      memcpy(from, lo, sizeof from);
      memcpy(to, hi, sizeof to);
      rpi_margins_within(&m->list[k], r, from, to);
      for (int64_t i = 0; element(&view[k], lo, hi, i, &e); i++) {
        int64_t at = i;
        bool inner = true;
        for (int32_t d = view[k].ndim - 1; d >= 0; at /= hi[d] - lo[d], d--) {
          const int64_t x = lo[d] + at % (hi[d] - lo[d]);
          inner = inner && from[d] <= x && x < to[d];
        }
        assert_int_equal(inner, owner_of(t, e) == r);
      }
    }
  }
}

/* A reader's grid over a space of the view's shape, of as many ranks. */
static bool any_reader(const rpi_geom *view, const int64_t *parts, int32_t n, rpi_grid *out) {
  int64_t shape[RP_MAX_DIM], mine[RP_MAX_DIM];
  for (int32_t d = 0; d < view->ndim; d++) {
    shape[d] = view->shape[d];
    mine[d] = 1;
  }
  for (int32_t k = 0; k < n; k++) mine[pick(0, view->ndim - 1)] *= parts[k];
  const rpi_tiling t = any_tiling(view->ndim, shape, mine);
  rpi_geom all;
  rpi_geom_dense(view->ndim, shape, &all);
  return rpi_grid_by(&t, &all, shape, out);
}

static void test_messages(void **state) {
  int32_t sent = 0;
  (void)state;
  for (int32_t turn = 0; turn < 15000; turn++) {
    const int32_t ndim = (int32_t)pick(1, 3);
    int64_t shape[3], parts[3];
    for (int32_t d = 0; d < ndim; d++) {
      shape[d] = pick(1, 12);
      parts[d] = pick(1, 3);
    }
    const rpi_tiling t = any_tiling(ndim, shape, parts);
    const int64_t n = size_of(ndim, shape);
    rpi_geom view[3];
    rpi_margins m = {0};
    rpi_plan_exchange e[27] = {{0}};
    const int32_t needs = (int32_t)pick(1, 3);
    for (int32_t k = 0; k < needs; k++) {
      rpi_margin one = {.symbol = 5};
      rpi_grid reader;
      view[m.n] = any_view(ndim, shape);
      if (!any_reader(&view[m.n], parts, ndim, &reader)) continue;
      if (pick(0, 5) == 0) reader.axis[0].leaf = pick(1, 4);
      if (!rpi_margins_of(&reader, &view[m.n], &t, shape, &one)) continue;
      one.symbol = 5;
      assert_true(rpi_margins_add(&m, &one));
    }
    for (int32_t r = 0; r < t.ranks; r++) {
      assert_true(rpi_margins_messages(&m, 5, r, 1, &e[r]));
      assert_true(rpi_messages_close(&e[r]));
      sent += e[r].n;
    }
    agree_in_pairs(e, t.ranks);
    brings_all(e, &m, &t, view, n);
    inner_is_own(&m, &t, view);
    for (int32_t r = 0; r < t.ranks; r++) rpi_messages_deinit(&e[r]);
    rpi_margins_deinit(&m);
  }
  assert_true(sent > 10000);
}

/* Among 2^20 ranks the messages of one are found without looking at the others: four for a star. */
static void test_many(void **state) {
  (void)state;
  const int64_t shape[] = {INT64_C(1) << 20, INT64_C(1) << 20};
  rpi_cuts axis[2];
  rpi_margins m = {0};
  rpi_plan_exchange e = {0};
  for (int32_t d = 0; d < 2; d++)
    axis[d] = (rpi_cuts){.n = shape[d], .grain = 1, .units = shape[d], .ranks = 1 << 10};
  const rpi_tiling t = rpi_tiling_grid(2, axis);
  static const int64_t shift[5][2] = {{0, 0}, {-1, 0}, {1, 0}, {0, -1}, {0, 1}};
  rpi_geom all;
  rpi_grid reader;
  rpi_geom_dense(2, shape, &all);
  for (int32_t k = 0; k < 5; k++) {
    rpi_geom v = all;
    rpi_margin one;
    for (int32_t d = 0; d < 2; d++) {
      v.shape[d] -= 2;
      v.offset += (1 + shift[k][d]) * v.stride[d];
    }
    if (k == 0) assert_true(rpi_grid_by(&t, &v, shape, &reader));
    assert_true(rpi_margins_of(&reader, &v, &t, shape, &one));
    one.symbol = 0;
    assert_true(rpi_margins_add(&m, &one));
  }
  const int32_t rank = 512 * 1024 + 300;
  assert_true(rpi_margins_messages(&m, 0, rank, 8, &e));
  assert_int_equal(e.n, 8);
  static const int32_t peer[] = {rank - 1024, rank - 1, rank + 1, rank + 1024};
  for (int32_t i = 0; i < 8; i++) {
    assert_int_equal(e.list[i].peer, peer[i % 4]);
    assert_int_equal(e.list[i].send, i >= 4);
    assert_int_equal(e.list[i].bytes, 1024 * 8);
  }
  rpi_messages_deinit(&e);
  rpi_margins_deinit(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_boxes), cmocka_unit_test(test_messages),
                                     cmocka_unit_test(test_many)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
