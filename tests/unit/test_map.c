/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_map.c -- random adds and removes against a list searched from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/base/map.h"

enum { MOST = 600 };

typedef struct model {
  uint64_t hash[MOST];
  int32_t id[MOST]; /* values are addresses in `place` */
  int32_t n;
} model;

static char place[100000];

/* The walk of `hash` gives exactly the model's values of that hash, each as often as it is
 * there. */
static void check_hash(const rpi_map *m, const model *o, uint64_t hash) {
  static int32_t seen[sizeof place];
  int32_t n = 0, want = 0, it = -1;
  for (char *v; (v = rpi_map_next(m, hash, &it)) != NULL; n++) seen[v - place]++;
  for (int32_t i = 0; i < o->n; i++) {
    if (o->hash[i] != hash) continue;
    want++;
    assert_true(seen[o->id[i]] > 0);
    seen[o->id[i]]--;
  }
  assert_int_equal(n, want);
}

static void run(uint64_t seed, int32_t n_hashes, int32_t shift) {
  rpi_map m;
  model o = {.n = 0};
  rpi_map_init(&m);
  uint64_t rng = seed;
  int32_t next = 0;
  for (int32_t step = 0; step < 6000; step++) {
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    uint32_t r = (uint32_t)(rng >> 33);
    bool growing = step / 1000 % 2 == 0;
    uint64_t hash = (uint64_t)(r / 16 % (uint32_t)n_hashes) << shift;
    if (o.n < MOST && r % 16 < (growing ? 11u : 5u)) {
      assert_true(rpi_map_add(&m, hash, &place[next]));
      o.hash[o.n] = hash;
      o.id[o.n++] = next++;
    } else if (o.n > 0) {
      int32_t i = (int32_t)(r / 16 % (uint32_t)o.n);
      hash = o.hash[i];
      assert_true(rpi_map_remove(&m, hash, &place[o.id[i]]));
      assert_false(rpi_map_remove(&m, hash, &place[o.id[i]]));
      o.n--;
      o.hash[i] = o.hash[o.n];
      o.id[i] = o.id[o.n];
    }
    assert_int_equal(m.n, o.n);
    check_hash(&m, &o, hash);
    if (step % 100) continue;
    for (int32_t h = 0; h < n_hashes; h++) check_hash(&m, &o, (uint64_t)h << shift);
  }
  rpi_map_deinit(&m);
}

static void test_random(void **state) {
  (void)state;
  run(1, 50, 0);
  run(2, 1000, 0);
  run(3, 1000, 54); /* hashes that differ in high bits only */
  run(4, 1, 0);     /* all the same */
}

static void test_empty(void **state) {
  (void)state;
  rpi_map m;
  rpi_map_init(&m);
  int32_t it = -1;
  assert_null(rpi_map_next(&m, 0, &it));
  assert_false(rpi_map_remove(&m, 0, place));
  rpi_map_deinit(&m);
}

/* Running out of memory changes nothing. */
static void test_failure(void **state) {
  (void)state;
  rpi_map m;
  model o = {.n = 0};
  rpi_map_init(&m);
  rpi_alloc_inject(2);
  while (rpi_map_add(&m, (uint64_t)o.n * 3, &place[o.n])) {
    o.hash[o.n] = (uint64_t)o.n * 3;
    o.id[o.n] = o.n;
    o.n++;
  }
  rpi_alloc_inject(-1);
  assert_true(o.n > 4 && o.n < 100);
  assert_int_equal(m.n, o.n);
  for (int32_t i = 0; i <= o.n; i++) check_hash(&m, &o, (uint64_t)i * 3);
  rpi_map_deinit(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_empty),
      cmocka_unit_test(test_random),
      cmocka_unit_test(test_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
