/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_nccl_types.c -- NCCL's declarations in the tree are those of <nccl.h>: sizes, offsets and values when it runs,
 * the signatures in nccl.def when it compiles. Without an nccl.h at configure time it exits with 77. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#ifdef SIGNATURES

#include <limits.h>

#include "core/device/nccl.h"
#include "tests/support/nccl_layout.h"

enum { MOST = 64 };

typedef struct layout {
  nccl_fact facts[MOST];
  int32_t n;
} layout;

static void note(void *arg, const nccl_fact *f) {
  layout *l = arg;
  assert_true(l->n < MOST);
  l->facts[l->n++] = *f;
}

static void test_same(void **state) {
  (void)state;
  static layout ours, theirs;
  nccl_ours(note, &ours);
  nccl_layout(note, &theirs);
  assert_int_equal(ours.n, theirs.n);
  assert_true(ours.n == 20);
  for (int32_t i = 0; i < ours.n; i++) {
    const nccl_fact *a = &ours.facts[i], *b = &theirs.facts[i];
    assert_string_equal(a->name, b->name);
    if (a->value != b->value || a->size != b->size)
      fail_msg("%s: %lld, %lld bytes; nccl.h has %lld, %lld bytes", a->name, (long long)a->value,
               (long long)a->size, (long long)b->value, (long long)b->size);
  }
}

/* How a version is written, and what a config begins with. */
static void test_numbers(void **state) {
  (void)state;
  const ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  assert_int_equal(RPI_NCCL_OLDEST, NCCL_VERSION(2, 7, 0));
  assert_int_equal(RPI_NCCL_CONFIG_VERSION, NCCL_VERSION(2, 14, 0));
  assert_int_equal(RPI_NCCL_CONFIG_MAGIC, config.magic);
}

#define SIGNATURE(field, symbol) \
  _Static_assert(_Generic(&symbol, __typeof__(((rpi_nccl_table *)0)->field) : 1, default : 0), \
                 #symbol " has another signature in nccl.h");
#include SIGNATURES
#undef SIGNATURE
_Static_assert(_Generic(&ncclGetErrorString, __typeof__(((rpi_nccl_table *)0)->words) : 1,
                        default : 0) &&
                   _Generic(&ncclGetLastError, __typeof__(((rpi_nccl_table *)0)->last) : 1,
                            default : 0),
               "what returns words has another signature in nccl.h");

static void test_signatures(void **state) {
  (void)state;
  int32_t n = 0;
#define SIGNATURE(field, symbol) n++;
#include SIGNATURES
#undef SIGNATURE
  assert_int_equal(n, offsetof(rpi_nccl_table, words) / sizeof(void *));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_same), cmocka_unit_test(test_numbers),
                                     cmocka_unit_test(test_signatures)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) {
  printf("no nccl.h was found when this was built\n");
  return 77;
}

#endif
