/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_invert.c -- the inverse of an array of keys, in both widths and every number of axes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/exec/invert.h"

enum { N = 2 * 3 * 5 * 100, BINS = 37 };

static int64_t at(const void *p, bool wide, int64_t i) {
  return wide ? ((const int64_t *)p)[i] : ((const int32_t *)p)[i];
}

/* For each bin its points, by walking over all of them. */
static void check(const rpi_invert_space *space, const int64_t *key, int64_t n, bool wide) {
  static int64_t count[BINS + 1], point[RP_MAX_DIM][N];
  void *to[RP_MAX_DIM];
  for (int d = 0; d < RP_MAX_DIM; d++) to[d] = point[d];
  memset(count, 0x55, sizeof count);
  assert_int_equal(rpi_invert(RP_I64, wide, space, key, n, count, BINS, to), 0);
  int64_t k = 0;
  for (int64_t e = 0; e < BINS; e++) {
    assert_int_equal(at(count, wide, e), k);
    for (int64_t i = 0; i < n; i++) {
      if (key[i] != e) continue;
      int64_t rest = i;
      for (int64_t d = space->rank - 1; d >= 0; d--) {
        const int64_t extent = d > 0 ? space->extent[d - 1] : INT64_MAX;
        assert_int_equal(at(point[d], wide, k), rest % extent);
        rest /= extent;
      }
      k++;
    }
  }
  assert_int_equal(at(count, wide, BINS), n);
}

static void points_in_order(void **state) {
  (void)state;
  static int64_t key[N];
  static const rpi_invert_space spaces[] = {
      {1, {1, 1}}, {2, {5}}, {3, {3, 5}}, {4, {2, 3, 5}}, {4, {1, 30, 1}}, {3, {1, 1}}, {2, {N}}};
  for (int i = 0; i < N; i++) key[i] = (i * 11 + i / 13) % BINS;
  for (int s = 0; s < 7; s++)
    for (int wide = 0; wide < 2; wide++) check(&spaces[s], key, N, wide);
  check(&(rpi_invert_space){0, {1}}, (int64_t[]){5}, 1, false);
  check(&spaces[0], key, 0, false);
}

/* The nearest bin, and a mark. */
static void keys_out_of_range(void **state) {
  (void)state;
  int32_t count[4], point[5];
  void *to[RP_MAX_DIM] = {point};
  const rpi_invert_space line = {1, {1}};
  const uint64_t keys[] = {1, UINT64_MAX, 3, 2, UINT64_C(1) << 63};
  assert_int_equal(rpi_invert(RP_U64, false, &line, keys, 5, count, 3, to), 1);
  assert_memory_equal(count, ((int32_t[]){0, 2, 3, 5}), sizeof count);
  assert_memory_equal(point, ((int32_t[]){1, 4, 0, 2, 3}), sizeof point);
  const int8_t small[] = {-1, 0, 127};
  assert_int_equal(rpi_invert(RP_I8, false, &line, small, 3, count, 3, to), 1);
  assert_int_equal(rpi_invert(RP_I8, false, &line, small + 1, 1, count, 3, to), 0);
  assert_int_equal(rpi_invert(RP_I8, false, &line, small, 3, count, 0, to), 1);
  assert_int_equal(count[0], 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(points_in_order),
                                     cmocka_unit_test(keys_out_of_range)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
