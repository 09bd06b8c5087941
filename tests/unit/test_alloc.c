/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_alloc.c -- counted and failing allocations, growing arrays, the arena. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"

static void test_calls(void **state) {
  (void)state;
  int64_t before = rpi_alloc_count();
  char *a = rpi_alloc(0), *b = rpi_alloc(0);
  assert_non_null(a);
  assert_non_null(b);
  assert_ptr_not_equal(a, b);
  unsigned char *z = rpi_alloc_zero(1000);
  for (int32_t i = 0; i < 1000; i++) assert_int_equal(z[i], 0);
  char *s = rpi_alloc_string("text");
  assert_string_equal(s, "text");
  s = rpi_alloc_resize(s, 4000);
  assert_string_equal(s, "text");
  assert_int_equal(rpi_alloc_count() - before, 5);
  rpi_alloc_free(s);
  rpi_alloc_free(z);
  rpi_alloc_free(b);
  rpi_alloc_free(a);
  rpi_alloc_free(NULL);
  for (size_t align = 1; align <= 1 << 16; align *= 2) {
    char *p = rpi_alloc_aligned(align, 100);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % align, 0);
    memset(p, 1, 100);
    rpi_alloc_free(p);
  }
}

/* The n-th fails and each after it, for every kind of call. */
static void test_inject(void **state) {
  (void)state;
  for (int32_t n = 1; n <= 6; n++) {
    rpi_alloc_inject(n);
    for (int32_t i = 1; i <= 10; i++) {
      void *p = i % 4 == 0   ? rpi_alloc(8)
                : i % 4 == 1 ? rpi_alloc_zero(8)
                : i % 4 == 2 ? rpi_alloc_aligned(64, 8)
                             : rpi_alloc_resize(NULL, 8);
      assert_int_equal(p != NULL, i < n);
      rpi_alloc_free(p);
    }
    rpi_alloc_inject(-1);
    void *p = rpi_alloc(8);
    assert_non_null(p);
    rpi_alloc_free(p);
  }
  char *kept = rpi_alloc_string("kept");
  rpi_alloc_inject(1);
  assert_null(rpi_alloc_string("x"));
  assert_null(rpi_alloc_resize(kept, 100));
  rpi_alloc_inject(-1);
  assert_string_equal(kept, "kept");
  rpi_alloc_free(kept);
}

static void test_grow(void **state) {
  (void)state;
  int32_t *p = NULL, cap = 0;
  int64_t before = rpi_alloc_count();
  for (int32_t n = 0; n < 100000; n++) {
    assert_true(rpi_alloc_grow((void **)&p, &cap, n + 1, sizeof *p));
    assert_true(cap > n);
    p[n] = n * 7;
  }
  for (int32_t n = 0; n < 100000; n++) assert_int_equal(p[n], n * 7);
  assert_true(rpi_alloc_count() - before <= 18);
  int32_t old_cap = cap, *old = p;
  assert_false(rpi_alloc_grow((void **)&p, &cap, INT32_MAX, SIZE_MAX / 1000));
  rpi_alloc_inject(1);
  assert_false(rpi_alloc_grow((void **)&p, &cap, cap + 1, sizeof *p));
  assert_true(rpi_alloc_grow((void **)&p, &cap, cap, sizeof *p));
  rpi_alloc_inject(-1);
  assert_ptr_equal(p, old);
  assert_int_equal(cap, old_cap);
  rpi_alloc_free(p);
}

/* Random requests: zeroed, aligned, disjoint (each is filled and looked at again at the end). */
static void test_arena(void **state) {
  (void)state;
  enum { N = 2000 };
  static unsigned char *got[N];
  static size_t size[N];
  uint64_t rng = 12345;
  rpi_arena a;
  rpi_arena_init(&a);
  for (int32_t pass = 0; pass < 3; pass++) {
    int64_t before = rpi_alloc_count();
    for (int32_t i = 0; i < N; i++) {
      rng = rng * 6364136223846793005u + 1442695040888963407u;
      size[i] = (size_t)(rng >> 33) % (i % 100 == 0 ? 9000 : 60);
      got[i] = rpi_arena_get(&a, size[i]);
      assert_non_null(got[i]);
      assert_int_equal((uintptr_t)got[i] % 16, 0);
      for (size_t j = 0; j < size[i]; j++) assert_int_equal(got[i][j], 0);
      memset(got[i], i % 255 + 1, size[i]);
    }
    for (int32_t i = 0; i < N; i++) {
      for (size_t j = 0; j < size[i]; j++) assert_int_equal(got[i][j], i % 255 + 1);
    }
    assert_false(a.failed);
    assert_true(rpi_alloc_count() - before < 10);
  }
  rpi_arena_deinit(&a);
  rpi_arena_deinit(&a);
}

static void test_arena_fails(void **state) {
  (void)state;
  rpi_arena a;
  rpi_arena_init(&a);
  rpi_alloc_inject(2);
  char *first = rpi_arena_get(&a, 100);
  assert_non_null(first);
  assert_null(rpi_arena_get(&a, 1 << 20));
  assert_true(a.failed);
  assert_non_null(rpi_arena_get(&a, 100)); /* what is there still serves; `failed` stays */
  assert_true(a.failed);
  rpi_alloc_inject(-1);
  rpi_arena_deinit(&a);
  assert_false(a.failed);
  assert_null(rpi_arena_get(&a, SIZE_MAX - 8));
  assert_true(a.failed);
  rpi_arena_deinit(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_calls), cmocka_unit_test(test_inject),      cmocka_unit_test(test_grow),
      cmocka_unit_test(test_arena), cmocka_unit_test(test_arena_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
