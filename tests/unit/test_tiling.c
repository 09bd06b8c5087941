/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_tiling.c -- tilings against counting element by element. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/model/tiling.h"
#include "tests/support/pick.h"

static rpi_cuts random_cuts(int64_t n, int64_t ranks) {
  const int64_t grain = pick(1, 4);
  return (rpi_cuts){.n = n,
                    .grain = grain,
                    .units = (n + grain - 1) / grain,
                    .offset = pick(0, 3) == 0 ? pick(-3, 3) : 0,
                    .ranks = ranks};
}

static rpi_tiling random_tiling(int32_t ndim, const int64_t *shape) {
  rpi_cuts axis[RP_MAX_DIM];
  for (int32_t d = 0; d < ndim; d++) axis[d] = random_cuts(shape[d], pick(1, 4));
  return rpi_tiling_grid(ndim, axis);
}

/* Tiles hold each element once; boxes and hulls are tight. */
static void test_tiles(void **state) {
  (void)state;
  for (int turn = 0; turn < 2000; turn++) {
    const int32_t ndim = (int32_t)pick(1, 3);
    int64_t shape[RP_MAX_DIM], all = 1;
    for (int32_t d = 0; d < ndim; d++) all *= shape[d] = pick(1, 9);
    const rpi_tiling t = random_tiling(ndim, shape);
    int32_t *seen = calloc((size_t)all, sizeof *seen);
    for (int32_t r = 0; r < t.ranks; r++) {
      int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM], from, to, first = all, last = -1;
      int32_t at[RP_MAX_DIM];
      rpi_tiling_place(&t, r, at);
      assert_int_equal(rpi_tiling_rank(&t, at), r);
      const bool any = rpi_tiling_tile(&t, r, lo, hi);
      int64_t count = 0;
      rpi_geom box;
      for (int64_t e = 0; e < all; e++) {
        int64_t rest = e;
        bool in = true;
        for (int32_t d = ndim - 1; d >= 0; d--) {
          in = in && rest % shape[d] >= lo[d] && rest % shape[d] < hi[d];
          rest /= shape[d];
        }
        if (!in) continue;
        if (e < first) first = e;
        last = e;
        seen[e]++;
        count++;
      }
      rpi_tiling_hull(&t, r, &from, &to);
      assert_int_equal(any, last >= 0);
      assert_int_equal(rpi_tiling_box(&t, r, &box), any);
      if (any) {
        int64_t least, most;
        assert_int_equal(rpi_geom_size(&box), count);
        assert_true(rpi_geom_span(&box, &least, &most));
        assert_int_equal(least, first);
        assert_int_equal(most, last);
        assert_int_equal(from, first);
        assert_int_equal(to, last + 1);
      } else {
        assert_int_equal(from, to);
      }
    }
    for (int64_t e = 0; e < all; e++) assert_int_equal(seen[e], 1);
    free(seen);
  }
}

/* A line that is cut at whole rows is the same tiling by axes; one that is not is none. */
static void test_by_axes(void **state) {
  (void)state;
  for (int turn = 0; turn < 2000; turn++) {
    int64_t shape[3] = {pick(1, 9), pick(1, 5), pick(1, 4)};
    const int32_t ndim = (int32_t)pick(2, 3);
    const int64_t row = ndim == 2 ? shape[1] : shape[1] * shape[2], n = shape[0] * row;
    rpi_cuts c = random_cuts(n, pick(1, 5));
    if (pick(0, 2)) {
      c.grain *= row;
      c.offset *= row;
      c.units = (n + c.grain - 1) / c.grain;
    }
    const rpi_tiling line = rpi_tiling_line(&c);
    rpi_tiling t;
    if (!rpi_tiling_by_axes(&line, ndim, shape, &t)) {
      assert_true(c.grain % row != 0 || c.offset % row != 0);
      continue;
    }
    assert_int_equal(t.ranks, c.ranks);
    for (int32_t r = 0; r < t.ranks; r++) {
      int64_t a, b, x, y;
      rpi_tiling_hull(&line, r, &a, &b);
      rpi_tiling_hull(&t, r, &x, &y);
      if (a == b)
        assert_int_equal(x, y);
      else
        assert_true(a == x && b == y);
    }
  }
}

/* Views' axes against the elements that they step over. */
static void test_axes(void **state) {
  (void)state;
  const int64_t shape[] = {6, 5, 4};
  rpi_tiling_map map[RP_MAX_DIM];
  int64_t at[RP_MAX_DIM];
  rpi_geom g, v;
  rpi_geom_dense(3, shape, &g);
  assert_int_equal(rpi_geom_slice(&g, 0, 5, -7, -2, &v), RP_OK);
  assert_int_equal(rpi_geom_project(&v, 2, 3, &v), RP_OK);
  assert_true(rpi_tiling_axes(&v, 3, shape, map, at));
  assert_true(map[0].axis == 0 && map[0].start == 5 && map[0].step == -2);
  assert_true(map[1].axis == 1 && map[1].start == 0 && map[1].step == 1);
  assert_true(at[0] == 5 && at[1] == 0 && at[2] == 3);
  const rpi_geom diagonal = {.ndim = 1, .shape = {4}, .stride = {4 + 1}};
  assert_false(rpi_tiling_axes(&diagonal, 3, shape, map, at));
  const rpi_geom beyond = {.ndim = 1, .offset = 2, .shape = {4}, .stride = {1}};
  assert_false(rpi_tiling_axes(&beyond, 3, shape, map, at));
  const rpi_geom repeated = {.ndim = 2, .offset = 21, .shape = {3, 4}, .stride = {0, 1}};
  assert_false(rpi_tiling_axes(&repeated, 3, shape, map, at));
  const rpi_geom row = {.ndim = 2, .offset = 20, .shape = {3, 4}, .stride = {0, 1}};
  assert_true(rpi_tiling_axes(&row, 3, shape, map, at));
  assert_true(map[0].axis == -1 && map[1].axis == 2 && at[0] == 1 && at[1] == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_tiles), cmocka_unit_test(test_by_axes),
                                     cmocka_unit_test(test_axes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
