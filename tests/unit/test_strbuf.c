/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_strbuf.c -- against a plain array that the same text is written into. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/base/strbuf.h"

static void test_empty(void **state) {
  (void)state;
  rpi_strbuf b;
  rpi_strbuf_init(&b);
  assert_string_equal(rpi_strbuf_str(&b), "");
  rpi_strbuf_add(&b, "");
  rpi_strbuf_addf(&b, "%s", "");
  rpi_strbuf_clear(&b);
  assert_string_equal(rpi_strbuf_str(&b), "");
  assert_int_equal(b.len, 0);
  assert_false(b.failed);
  rpi_strbuf_deinit(&b);
}

static void test_add(void **state) {
  (void)state;
  static char want[200000];
  size_t len = 0;
  rpi_strbuf b;
  rpi_strbuf_init(&b);
  uint64_t rng = 99;
  for (int32_t i = 0; len < sizeof want - 2000; i++) {
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    int n = (int)((rng >> 33) % (i % 50 == 0 ? 1000 : 20));
    char piece[1001];
    memset(piece, 'a' + i % 26, (size_t)n);
    piece[n] = '\0';
    memcpy(want + len, piece, (size_t)n + 1);
    len += (size_t)n;
    if (i % 3 == 0) {
      rpi_strbuf_add(&b, piece);
    } else if (i % 3 == 1) {
      memset(piece + n, '!', (size_t)(1000 - n));
      rpi_strbuf_addn(&b, piece, (size_t)n);
    } else {
      rpi_strbuf_addf(&b, "%s<%08d>", piece, i);
      len += (size_t)sprintf(want + len, "<%08d>", i);
    }
    assert_int_equal(b.len, len);
    assert_int_equal(strlen(rpi_strbuf_str(&b)), len);
  }
  assert_string_equal(rpi_strbuf_str(&b), want);
  size_t cap = b.cap;
  rpi_strbuf_clear(&b);
  assert_string_equal(rpi_strbuf_str(&b), "");
  rpi_strbuf_add(&b, "new");
  assert_string_equal(rpi_strbuf_str(&b), "new");
  assert_int_equal(b.cap, cap);
  rpi_strbuf_deinit(&b);
}

/* A formatted piece that just fits, and one that just does not. */
static void test_edge(void **state) {
  (void)state;
  for (int n = 250; n < 262; n++) {
    char want[300];
    rpi_strbuf b;
    rpi_strbuf_init(&b);
    rpi_strbuf_add(&b, "0123456789");
    rpi_strbuf_addf(&b, "%0*d", n - 10, 7);
    snprintf(want, sizeof want, "0123456789%0*d", n - 10, 7);
    assert_string_equal(rpi_strbuf_str(&b), want);
    rpi_strbuf_deinit(&b);
  }
}

/* Whenever memory runs out, what is there is a beginning of the text, and it is remembered. */
static void test_failure(void **state) {
  (void)state;
  for (int32_t n = 1; n <= 3; n++) {
    rpi_strbuf b;
    rpi_strbuf_init(&b);
    rpi_alloc_inject(n);
    char want[4001];
    for (int32_t i = 0; i < 400; i++) {
      sprintf(want + (ptrdiff_t)i * 10, "%010d", i);
      if (i % 2)
        rpi_strbuf_addf(&b, "%010d", i);
      else
        rpi_strbuf_add(&b, want + (ptrdiff_t)i * 10);
    }
    rpi_alloc_inject(-1);
    assert_true(b.failed);
    assert_int_equal(strlen(rpi_strbuf_str(&b)), b.len);
    assert_true(b.len % 10 == 0 && b.len < 4000);
    assert_memory_equal(rpi_strbuf_str(&b), want, b.len);
    rpi_strbuf_add(&b, "no more");
    assert_memory_equal(rpi_strbuf_str(&b), want, b.len + 0);
    assert_true(b.len % 10 == 0);
    rpi_strbuf_clear(&b);
    assert_false(b.failed);
    rpi_strbuf_add(&b, "again");
    assert_string_equal(rpi_strbuf_str(&b), "again");
    rpi_strbuf_deinit(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_empty),
      cmocka_unit_test(test_add),
      cmocka_unit_test(test_edge),
      cmocka_unit_test(test_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
