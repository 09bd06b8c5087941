/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_partition.c -- core/model/partition.c against owners found by counting.
 *
 * How: the oracle of a fresh tiling deals units of `align` indices out to colours with a loop; the
 *      oracle of a mapped one asks, element by element, who owns that element on the other side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "core/model/partition.h"
#include "tests/support/pick.h"

static rpi_partition random_tiling(int32_t ndim, const int64_t *shape) {
  int64_t n_color[RP_MAX_DIM], align[RP_MAX_DIM];
  rpi_partition p;
  for (int32_t d = 0; d < ndim; d++) {
    n_color[d] = pick(1, 5);
    align[d] = pick(0, 1) ? 1 : pick(1, 6);
  }
  assert_int_equal(rpi_partition_tile(ndim, shape, n_color, align, &p), RP_OK);
  return p;
}

/* Tiles and owners of each dimension agree, and every index is in exactly one tile. */
static void check_tiles(const rpi_partition *p) {
  for (int32_t d = 0; d < p->ndim; d++) {
    int64_t extent = p->axis[d].extent, color[RP_MAX_DIM] = {0}, index[RP_MAX_DIM] = {0};
    int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM], owner[RP_MAX_DIM], total = 0;
    for (color[d] = 0; color[d] < p->axis[d].n_color; color[d]++) {
      rpi_partition_box(p, color, lo, hi);
      for (int64_t x = lo[d]; x < hi[d]; x++) {
        assert_in_range(x, 0, extent - 1);
        index[d] = x;
        rpi_partition_owner(p, index, owner);
        assert_int_equal(owner[d], color[d]);
        total++;
      }
    }
    assert_int_equal(total, extent);
  }
}

static void test_fresh_tilings(void **state) {
  (void)state;
  for (int32_t k = 0; k < 5000; k++) {
    int64_t extent = pick(0, 40), n = pick(1, 9), align = pick(1, 7), lo, hi;
    rpi_partition p;
    assert_int_equal(rpi_partition_tile(1, &extent, &n, &align, &p), RP_OK);
    check_tiles(&p);
    int64_t units = (extent + align - 1) / align, least = INT64_MAX, most = 0;
    for (int64_t c = 0; c < n; c++) {
      bool any = rpi_partition_box(&p, &c, &lo, &hi);
      assert_int_equal(any, lo < hi);
      assert_true(lo % align == 0 || lo == extent);
      assert_true(hi % align == 0 || hi == extent);
      int64_t mine = (hi - lo + align - 1) / align;
      if (mine < least) least = mine;
      if (mine > most) most = mine;
    }
    assert_true(most - least <= 1); /* balanced, in units */
    assert_true(units > 0 || most == 0);
  }
  int64_t huge = INT64_MAX, n = 1000, leaf = RPI_PARTITION_LEAF, lo, hi, end = 0;
  rpi_partition p;
  assert_int_equal(rpi_partition_tile(1, &huge, &n, &leaf, &p), RP_OK);
  for (int64_t c = 0; c < n; c++) {
    assert_true(rpi_partition_box(&p, &c, &lo, &hi));
    assert_true(lo == end && lo % leaf == 0);
    end = hi;
  }
  assert_true(end == huge);
  n = 0;
  assert_int_equal(rpi_partition_tile(1, &huge, &n, NULL, &p), RP_ERR_ARGUMENT);
}

static void test_bloat_and_meet(void **state) {
  (void)state;
  for (int32_t k = 0; k < 3000; k++) {
    int64_t extent = pick(1, 30), lo, hi, wide_lo, wide_hi, before = pick(0, 5), after = pick(0, 5);
    rpi_partition p = random_tiling(1, &extent);
    int64_t c = pick(0, p.axis[0].n_color - 1);
    bool any = rpi_partition_box(&p, &c, &lo, &hi);
    assert_int_equal(rpi_partition_bloat(&p, &c, &before, &after, &wide_lo, &wide_hi), any);
    if (any) {
      assert_int_equal(wide_lo, lo < before ? 0 : lo - before);
      assert_int_equal(wide_hi, hi + after > extent ? extent : hi + after);
    }
    int64_t a = pick(0, extent), b = pick(0, extent), first, last;
    any = rpi_partition_meet(&p, &a, &b, &first, &last);
    assert_int_equal(any, a < b);
    if (!any) continue;
    for (c = 0; c < p.axis[0].n_color; c++) {
      bool shares = rpi_partition_box(&p, &c, &lo, &hi) && lo < b && a < hi;
      if (shares) assert_true(c >= first && c <= last);
      if (c == first || c == last) assert_true(shares);
    }
  }
  int64_t lo, hi;
  assert_true(rpi_partition_reach(3, 9, 8, &lo, &hi) && lo == 3 && hi == 8);
  assert_false(rpi_partition_reach(5, 5, 8, &lo, &hi));
  assert_true(rpi_partition_reach(-2, 4, 8, &lo, &hi) && lo == 0 && hi == 4);
}

static void random_view(int32_t bdim, const int64_t *bshape, rpi_geom *g) {
  rpi_geom_dense(bdim, bshape, g);
  for (int32_t d = 0; d < g->ndim; d++) {
    int64_t n = g->shape[d], step = pick(0, 1) ? pick(1, 3) : -pick(1, 3);
    int64_t start = pick(0, n - 1);
    int64_t stop = step > 0 ? pick(start + 1, n) : (pick(0, 1) ? INT64_MIN : pick(0, start));
    if (pick(0, 2) == 0) continue;
    assert_int_equal(rpi_geom_slice(g, d, start, stop, step, g), RP_OK);
  }
  if (g->ndim > 1 && pick(0, 1)) {
    int32_t axes[RP_MAX_DIM];
    for (int32_t d = 0; d < g->ndim; d++) axes[d] = g->ndim - 1 - d;
    assert_int_equal(rpi_geom_transpose(g, axes, g), RP_OK);
  }
  if (g->ndim > 0 && g->shape[0] > 0 && pick(0, 3) == 0)
    assert_int_equal(rpi_geom_project(g, 0, pick(0, g->shape[0] - 1), g), RP_OK);
  if (pick(0, 3) == 0)
    assert_int_equal(rpi_geom_promote(g, (int32_t)pick(0, g->ndim), pick(1, 3), g), RP_OK);
}

/* Index in a box number `at` in C order. */
static void unrank(int32_t ndim, const int64_t *shape, int64_t at, int64_t *index) {
  for (int32_t d = ndim - 1; d >= 0; d--) {
    index[d] = at % shape[d];
    at /= shape[d];
  }
}

/* Each element of the view has, along every axis that maps to one of the buffer, the same colour on
 * both sides. */
static void check_same_owner(const rpi_partition *pv, const rpi_partition *pb, const rpi_geom *g,
                             int32_t bdim, const int64_t *bshape) {
  rpi_partition_map map[RP_MAX_DIM];
  int64_t n = rpi_geom_size(g);
  assert_true(rpi_partition_axes(g, bdim, bshape, map));
  for (int64_t at = 0; at < n; at++) {
    int64_t i[RP_MAX_DIM], b[RP_MAX_DIM], linear = g->offset, ci[RP_MAX_DIM], cb[RP_MAX_DIM];
    unrank(g->ndim, g->shape, at, i);
    for (int32_t d = 0; d < g->ndim; d++) linear += i[d] * g->stride[d];
    unrank(bdim, bshape, linear, b);
    rpi_partition_owner(pv, i, ci);
    rpi_partition_owner(pb, b, cb);
    for (int32_t d = 0; d < g->ndim; d++) {
      if (map[d].axis < 0) continue;
      assert_int_equal(b[map[d].axis], map[d].start + map[d].step * i[d]);
      assert_int_equal(ci[d], cb[map[d].axis]);
    }
  }
}

static void test_views(void **state) {
  (void)state;
  int32_t pushed = 0;
  for (int32_t k = 0; k < 4000; k++) {
    int32_t bdim = (int32_t)pick(1, 3);
    int64_t bshape[RP_MAX_DIM];
    for (int32_t d = 0; d < bdim; d++) bshape[d] = pick(1, 12);
    rpi_partition p = random_tiling(bdim, bshape), pulled, back, again;
    rpi_geom g;
    random_view(bdim, bshape, &g);
    if (rpi_geom_size(&g) == 0) {
      assert_false(rpi_partition_pull(&p, &g, &pulled));
      continue;
    }
    assert_true(rpi_partition_pull(&p, &g, &pulled));
    check_tiles(&pulled);
    check_same_owner(&pulled, &p, &g, bdim, bshape);
    rpi_partition own = random_tiling(g.ndim, g.shape);
    if (!rpi_partition_push(&own, &g, bdim, bshape, &back)) continue;
    pushed++;
    check_tiles(&back);
    check_same_owner(&own, &back, &g, bdim, bshape);
    assert_true(rpi_partition_pull(&back, &g, &again)); /* and the round trip is the identity */
    assert_true(rpi_partition_equal(&own, &again) || g.ndim != bdim);
    rpi_geom h; /* another view of the same buffer, seen through both maps */
    random_view(bdim, bshape, &h);
    if (!rpi_partition_pull(&back, &h, &again)) continue;
    check_tiles(&again);
    check_same_owner(&again, &back, &h, bdim, bshape);
  }
  assert_true(pushed > 1000);
}

static void test_compare(void **state) {
  (void)state;
  const int64_t shape[2] = {20, 30}, rows[2] = {4, 1}, tiles[2] = {4, 3}, other[2] = {20, 31};
  rpi_partition by_row, by_tile, by_row_again, all, image, image2, strange;
  assert_int_equal(rpi_partition_tile(2, shape, rows, NULL, &by_row), RP_OK);
  assert_int_equal(rpi_partition_tile(2, shape, rows, NULL, &by_row_again), RP_OK);
  assert_int_equal(rpi_partition_tile(2, shape, tiles, NULL, &by_tile), RP_OK);
  assert_int_equal(rpi_partition_tile(2, other, rows, NULL, &strange), RP_OK);
  rpi_partition_replicate(2, shape, &all);
  rpi_partition_image(2, shape, 7, &image);
  rpi_partition_image(2, shape, 8, &image2);
  assert_true(rpi_partition_equal(&by_row, &by_row_again));
  assert_false(rpi_partition_equal(&by_row, &by_tile));
  assert_false(rpi_partition_equal(&by_row, &strange));
  assert_true(rpi_partition_covers(&by_row, &by_tile));
  assert_false(rpi_partition_covers(&by_tile, &by_row));
  assert_true(rpi_partition_covers(&all, &by_tile));
  assert_true(rpi_partition_covers(&all, &image));
  assert_false(rpi_partition_covers(&by_row, &all));
  assert_false(rpi_partition_covers(&by_row, &image));
  assert_true(rpi_partition_equal(&image, &image));
  assert_false(rpi_partition_equal(&image, &image2));
  assert_false(rpi_partition_equal(&image, &all));
  /* covers, counted: every tile of b in that of a with the colour b has on a's cut dimensions */
  for (int32_t k = 0; k < 2000; k++) {
    const int64_t small[2] = {pick(1, 9), pick(1, 9)};
    rpi_partition a = random_tiling(2, small), b = random_tiling(2, small);
    if (pick(0, 1)) b.axis[0] = a.axis[0];
    if (!rpi_partition_covers(&a, &b)) continue;
    for (int64_t at = b.axis[0].n_color * b.axis[1].n_color - 1; at >= 0; at--) {
      int64_t c[2] = {at / b.axis[1].n_color, at % b.axis[1].n_color}, alo[2], ahi[2], lo[2], hi[2];
      if (!rpi_partition_box(&b, c, lo, hi)) continue;
      assert_true(rpi_partition_box(&a, c, alo, ahi));
      for (int32_t d = 0; d < 2; d++) assert_true(alo[d] <= lo[d] && hi[d] <= ahi[d]);
    }
  }
}

static void test_axes_refused(void **state) {
  (void)state;
  const int64_t bshape[2] = {6, 6};
  const rpi_geom diagonal = {1, 0, {6}, {7}}, flat = {1, 0, {36}, {1}},
                 rows = {2, 0, {3, 2}, {12, 6}}, run = {1, 4, {4}, {1}},
                 repeated = {2, 0, {3, 6}, {0, 6}};
  rpi_partition_map map[RP_MAX_DIM];
  assert_false(rpi_partition_axes(&diagonal, 2, bshape, map));
  assert_false(rpi_partition_axes(&flat, 2, bshape, map));
  assert_false(rpi_partition_axes(&rows, 2, bshape, map));
  assert_false(rpi_partition_axes(&run, 2, bshape, map));
  const int64_t n_color[2] = {3, 1};
  rpi_partition p, out;
  assert_int_equal(rpi_partition_tile(2, repeated.shape, n_color, NULL, &p), RP_OK);
  assert_false(rpi_partition_push(&p, &repeated, 2, bshape, &out));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fresh_tilings), cmocka_unit_test(test_bloat_and_meet),
      cmocka_unit_test(test_views),         cmocka_unit_test(test_compare),
      cmocka_unit_test(test_axes_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
