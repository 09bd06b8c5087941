/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_memory.c -- random traffic whose blocks are filled and looked at again;
 * alignment, the readable tail, reuse without system calls, running out of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/exec/memory.h"

enum { MIB = 1 << 20 };

static rpi_memory_stats stats(const rpi_memory *m) {
  rpi_memory_stats s;
  rpi_memory_stats_get(m, &s);
  return s;
}

static rpi_memory *create(void) {
  rpi_memory *m;
  assert_int_equal(rpi_memory_create(true, &m), RP_OK);
  return m;
}

/* Alignment, writable to the end, readable 64 bytes past it; at most an eighth and a page lost. */
static void check_block(rpi_memory *m, size_t size) {
  int64_t held = stats(m).held;
  char *p = rpi_memory_get(m, size, NULL);
  assert_non_null(p);
  uintptr_t at = (uintptr_t)p;
  assert_int_equal(at % 64, 0);
  if (size >= 2 * MIB) assert_true(at % (2 * MIB) < 4096);
  if (size) p[0] = p[size - 1] = 1;
  for (int32_t i = 0; i < 64; i++) (void)*(volatile char *)(p + size + i);
  held = stats(m).held - held;
  assert_true(held <= (int64_t)(size + size / 8 + 128 + (size >= MIB ? 4096 : 0)));
  rpi_memory_put(m, p, size);
  rpi_memory_trim(m);
  assert_int_equal(stats(m).held, 0);
}

static void test_sizes(void **state) {
  (void)state;
  rpi_memory *m = create();
  for (size_t size = 0; size < 3000; size++) check_block(m, size);
  for (size_t power = 4096; power <= (size_t)64 * MIB; power *= 2) {
    for (size_t eighth = 8; eighth < 16; eighth++) {
      for (size_t near = 0; near < 3; near++) check_block(m, power / 8 * eighth + near - 1);
    }
  }
  rpi_memory_destroy(m);
}

/* Equal sizes that follow each other begin at different lines of their page; one that is to be like
 * another at its line, and so does a block that was something else before. */
static void test_phase(void **state) {
  (void)state;
  rpi_memory *m = create();
  char *p[16];
  for (int32_t i = 0; i < 16; i++) {
    p[i] = rpi_memory_get(m, 2 * MIB, NULL);
    for (int32_t j = 0; j < i; j++) {
      assert_int_not_equal((uintptr_t)p[i] % 4096, (uintptr_t)p[j] % 4096);
    }
  }
  char *twin = rpi_memory_get(m, 2 * MIB, p[5]);
  assert_int_equal((uintptr_t)twin % 4096, (uintptr_t)p[5] % 4096);
  memset(twin, 1, 2 * MIB);
  rpi_memory_put(m, twin, 2 * MIB);
  char *page = twin - (uintptr_t)twin % 4096;
  twin = rpi_memory_get(m, 2 * MIB, p[7] + 16);
  assert_ptr_equal(twin, page + (uintptr_t)p[7] % 4096);
  memset(twin, 1, 2 * MIB);
  rpi_memory_put(m, twin, 2 * MIB);
  for (int32_t i = 0; i < 16; i++) rpi_memory_put(m, p[i], 2 * MIB);
  rpi_memory_destroy(m);
}

typedef struct block {
  unsigned char *p;
  size_t size;
  unsigned char mark;
} block;

/* Looks at 64 places of a block, the ends among them. */
static void touch(const block *b, bool write) {
  size_t step = b->size / 64 + 1;
  for (size_t i = 0; i < b->size; i += step) {
    if (write) b->p[i] = b->mark;
    assert_int_equal(b->p[i], b->mark);
  }
  if (b->size && write) b->p[b->size - 1] = b->mark;
  if (b->size) assert_int_equal(b->p[b->size - 1], b->mark);
}

static void test_random(void **state) {
  (void)state;
  enum { N = 64 };
  block all[N] = {{0}};
  rpi_memory *m = create();
  uint64_t rng = 7;
  int64_t live = 0, peak = 0;
  for (int32_t step = 0; step < 20000; step++) {
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    uint32_t r = (uint32_t)(rng >> 33);
    block *b = &all[r % N];
    if (b->p) {
      touch(b, false);
      rpi_memory_put(m, b->p, b->size);
      live -= (int64_t)b->size;
      b->p = NULL;
    } else {
      uint32_t top = r / N % 22;
      b->size = (r >> 11) % (2u << top);
      b->mark = (unsigned char)(step % 251);
      b->p = rpi_memory_get(m, b->size, NULL);
      assert_non_null(b->p);
      touch(b, true);
      live += (int64_t)b->size;
    }
    if (peak < live) peak = live;
    if (step % 5000 == 4999) rpi_memory_trim(m);
    assert_int_equal(stats(m).live, live);
    assert_int_equal(stats(m).peak, peak);
    assert_true(stats(m).held >= live);
  }
  for (int32_t i = 0; i < N; i++) {
    if (!all[i].p) continue;
    touch(&all[i], false);
    rpi_memory_put(m, all[i].p, all[i].size);
  }
  assert_int_equal(stats(m).live, 0);
  rpi_memory_trim(m);
  assert_int_equal(stats(m).held, 0);
  rpi_memory_destroy(m);
}

/* After a first round, the same traffic makes no system call, and the last block comes first. */
static void test_steady(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 8, 64, 65, 1000, 5000, 100000, MIB, 2 * MIB, 3 * MIB + 5};
  rpi_memory *m = create();
  void *p[RPI_COUNT(sizes)], *first[RPI_COUNT(sizes)];
  int64_t calls = 0, heap = 0;
  for (int32_t round = 0; round < 10; round++) {
    for (int32_t i = 0; i < RPI_COUNT(sizes); i++) {
      p[i] = rpi_memory_get(m, sizes[i], NULL);
      if (round == 0) first[i] = p[i];
    }
    for (int32_t i = RPI_COUNT(sizes); i-- > 0;) rpi_memory_put(m, p[i], sizes[i]);
    if (round == 0) calls = stats(m).system_calls, heap = rpi_alloc_count();
  }
  assert_int_equal(stats(m).system_calls, calls);
  assert_int_equal(rpi_alloc_count(), heap);
  void *a = rpi_memory_get(m, 60, NULL); /* the class of 8 and 64 */
  assert_ptr_equal(a, first[0]);
  rpi_memory_put(m, a, 60);
  rpi_memory_put(m, NULL, 60);
  rpi_memory_destroy(m);
  rpi_memory_destroy(NULL);
}

static void test_failure(void **state) {
  (void)state;
  rpi_memory *m;
  rpi_alloc_inject(1);
  assert_int_equal(rpi_memory_create(false, &m), RP_ERR_MEMORY);
  rpi_alloc_inject(-1);
  assert_null(m);
  m = create();
  void *free_one = rpi_memory_get(m, 500, NULL), *kept = rpi_memory_get(m, 500, NULL);
  rpi_memory_put(m, free_one, 500);
  rpi_alloc_inject(1);
  rpi_status_fail(RP_ERR_IO, "-");
  assert_null(rpi_memory_get(m, 5000, NULL));
  rpi_alloc_inject(-1);
  assert_non_null(strstr(rpi_status_message(), "out of memory: an array of 5000 bytes"));
  assert_true(stats(m).held >= 500 && stats(m).held < 1000); /* what was free has been returned */
  assert_int_equal(stats(m).live, 500);
  static const size_t huge[] = {(size_t)1 << 46, ((size_t)1 << 47) + 1, SIZE_MAX / 2, SIZE_MAX};
  for (int32_t i = 0; i < RPI_COUNT(huge); i++) assert_null(rpi_memory_get(m, huge[i], NULL));
  rpi_memory_put(m, kept, 500);
  rpi_memory_destroy(m);
}

/* With room for one of two arrays, the second is made from what trimming the first gives back. */
static void test_retry(void **state) {
  (void)state;
  rpi_memory *m = create();
  char *a = rpi_memory_get(m, 64 * MIB, NULL);
  rpi_memory_put(m, a, 64 * MIB);
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%ld", &pages) != 1) skip();
  fclose(f);
  struct rlimit was, now;
  getrlimit(RLIMIT_AS, &was);
  now = was;
  now.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + 32 * MIB;
  assert_int_equal(setrlimit(RLIMIT_AS, &now), 0);
  a = rpi_memory_get(m, 80 * MIB, NULL);
  assert_int_equal(setrlimit(RLIMIT_AS, &was), 0);
  assert_non_null(a);
  assert_int_equal(stats(m).system_calls, 3);
  assert_true(stats(m).held < 81 * MIB);
  rpi_memory_put(m, a, 80 * MIB);
  rpi_memory_destroy(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sizes),  cmocka_unit_test(test_phase),   cmocka_unit_test(test_random),
      cmocka_unit_test(test_steady), cmocka_unit_test(test_failure), cmocka_unit_test(test_retry),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
