/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_slabs.c -- trace/slabs.c: the pieces of a box, against enumeration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/pick.h"
#include "trace/slabs.h"

static bool has(int32_t ndim, const rpi_slab *s, const int64_t *at) {
  for (int32_t d = 0; d < ndim; d++)
    if (at[d] < s->lo[d] || at[d] >= s->hi[d]) return false;
  return true;
}

/* Some box of points below `most`, and one in it. */
static void any_boxes(int32_t ndim, int64_t most, rpi_slab *box, rpi_slab *inner) {
  for (int32_t d = 0; d < ndim; d++) {
    box->lo[d] = pick(0, most - 1);
    box->hi[d] = pick(box->lo[d] + 1, most);
    inner->lo[d] = pick(0, 1) ? box->lo[d] : pick(box->lo[d], box->hi[d] - 1);
    inner->hi[d] = pick(0, 1) ? box->hi[d] : pick(inner->lo[d] + 1, box->hi[d]);
  }
}

/* Each point of the box is in one piece, those of the inner box in the first; no piece is empty, and only those that lie
 * beside the inner box on the last axis are narrower there than the box. */
static void test_cut(void **state) {
  (void)state;
  for (int32_t turn = 0; turn < 5000; turn++) {
    const int32_t ndim = (int32_t)pick(1, 4);
    rpi_slab box = {{0}, {0}}, inner = {{0}, {0}}, out[RPI_SLABS_MOST];
    any_boxes(ndim, 7, &box, &inner);
    const int32_t n = rpi_slabs_cut(ndim, &box, &inner, out);
    assert_in_range(n, 1, 1 + 2 * ndim);
    int64_t at[4] = {0};
    for (int64_t i = 0; i < 7 * 7 * 7 * 7; i++) {
      int32_t in = 0;
      int64_t rest = i;
      for (int32_t d = 0; d < 4; d++, rest /= 7) at[d] = rest % 7;
      for (int32_t k = 0; k < n; k++) in += has(ndim, &out[k], at);
      assert_int_equal(in, has(ndim, &box, at));
      assert_int_equal(has(ndim, &out[0], at), has(ndim, &inner, at));
    }
    int32_t narrow = 0;
    for (int32_t k = 0; k < n; k++) {
      for (int32_t d = 0; d < ndim; d++) assert_true(out[k].lo[d] < out[k].hi[d]);
      narrow += k > 0 &&
                (out[k].lo[ndim - 1] > box.lo[ndim - 1] || out[k].hi[ndim - 1] < box.hi[ndim - 1]);
    }
    assert_in_range(narrow, 0, 2);
  }
}

/* An inner box is kept if it is half of its box, but for rows where it is narrower on the last axis. */
static void test_inner(void **state) {
  int32_t kept = 0, short_of_rows = 0;
  (void)state;
  for (int32_t turn = 0; turn < 20000; turn++) {
    const int32_t ndim = (int32_t)pick(1, 3);
    rpi_slab box = {{0}, {0}}, inner = {{0}, {0}};
    for (int32_t d = 0; d < ndim; d++) {
      box.lo[d] = pick(0, 5);
      box.hi[d] = box.lo[d] + pick(1, 12);
      inner.lo[d] = box.lo[d] + pick(0, 2);
      inner.hi[d] = box.hi[d] - pick(0, 2);
    }
    const rpi_slab was = inner;
    const int64_t rows = pick(1, 8);
    const int32_t last = ndim - 1;
    int64_t all = 1, mine = 1;
    for (int32_t d = 0; d < ndim; d++) {
      all *= box.hi[d] - box.lo[d];
      mine *= inner.hi[d] > inner.lo[d] ? inner.hi[d] - inner.lo[d] : 0;
    }
    const bool keeps = rpi_slabs_inner(ndim, &box, rows, &inner);
    assert_int_equal(keeps, mine > 0 && 2 * mine >= all);
    if (!keeps) continue;
    kept++;
    const bool narrow = was.lo[last] > box.lo[last] || was.hi[last] < box.hi[last];
    if (narrow && ndim > 1 && was.hi[0] - was.lo[0] > rows) {
      short_of_rows++;
      assert_int_equal(inner.hi[0] - inner.lo[0], rows);
      inner.hi[0] = was.hi[0];
    }
    assert_memory_equal(&inner, &was, sizeof was);
  }
  assert_true(kept > 2000 && short_of_rows > 200);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut), cmocka_unit_test(test_inner)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
