/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_view.c -- a view exists once, keeps its id while it lives, and ids are given out again after a trim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/model/view.h"

enum { N = 300 };

/* Elements i, i + 1, ... of a vector of N, as many as there are. */
static const rpi_view *tail(rpi_views *all, int64_t i) {
  const rpi_geom g = {.ndim = 1, .offset = i, .shape = {N - i}, .stride = {1}};
  const rpi_view *v = rpi_view_get(all, RP_F64, 1, (int64_t[]){N}, &g);
  assert_non_null(v);
  return v;
}

static void test_once(void **state) {
  (void)state;
  static const rpi_view *seen[N];
  rpi_views all;
  rpi_view_init(&all);
  for (int64_t i = 0; i < N; i++) {
    seen[i] = tail(&all, i);
    assert_int_equal(seen[i]->size, N - i);
    assert_int_equal(seen[i]->whole, i == 0);
    assert_ptr_equal(rpi_view_of_id(&all, seen[i]->id), seen[i]);
  }
  for (int64_t i = 0; i < N; i++) assert_ptr_equal(tail(&all, i), seen[i]);
  assert_int_equal(all.live, N);
  assert_null(rpi_view_of_id(&all, N));
  rpi_view_deinit(&all);
}

/* What differs in dtype, in the array's shape or in the box alone is another view; what lies behind the axes is no part. */
static void test_differs(void **state) {
  (void)state;
  rpi_views all;
  rpi_view_init(&all);
  rpi_geom g = {.ndim = 1, .shape = {6}, .stride = {1}};
  const rpi_view *v = rpi_view_get(&all, RP_F64, 1, (int64_t[]){6}, &g);
  assert_ptr_not_equal(rpi_view_get(&all, RP_F32, 1, (int64_t[]){6}, &g), v);
  assert_ptr_not_equal(rpi_view_get(&all, RP_F64, 1, (int64_t[]){7}, &g), v);
  assert_ptr_not_equal(rpi_view_get(&all, RP_F64, 2, (int64_t[]){2, 3}, &g), v);
  g.shape[1] = g.stride[1] = 99;
  assert_ptr_equal(rpi_view_get(&all, RP_F64, 1, (int64_t[]){6, 8}, &g), v);
  g.stride[0] = 0;
  assert_ptr_not_equal(rpi_view_get(&all, RP_F64, 1, (int64_t[]){6}, &g), v);
  assert_int_equal(all.live, 5);
  rpi_view_deinit(&all);
}

static void test_trim(void **state) {
  (void)state;
  static const rpi_view *kept[N];
  static bool used[N];
  rpi_views all;
  rpi_view_init(&all);
  for (int64_t i = 0; i < N; i++) kept[i] = tail(&all, i);
  for (int64_t i = 0; i < N; i++) used[kept[i]->id] = i % 3 == 0;
  const uint64_t before = all.trims;
  rpi_view_trim(&all, used);
  assert_int_not_equal(all.trims, before);
  assert_int_equal(all.live, N / 3);
  for (uint32_t id = 0; id < N; id++) assert_int_equal(rpi_view_of_id(&all, id) != NULL, used[id]);
  for (int64_t i = 0; i < N; i += 3) assert_ptr_equal(tail(&all, i), kept[i]);
  for (int64_t i = 0; i < N; i++) assert_in_range(tail(&all, i)->id, 0, N - 1);
  assert_int_equal(all.live, N);
  rpi_view_deinit(&all);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_once), cmocka_unit_test(test_differs),
                                     cmocka_unit_test(test_trim)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
