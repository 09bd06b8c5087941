/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_status.c -- the sentence of a thread: set, put in context, cut, kept per
 * thread. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/status.h"

enum { LONGEST = 1023 };

static void test_set(void **state) {
  (void)state;
  assert_string_equal(rpi_status_message(), "");
  assert_int_equal(rpi_status_fail(RP_ERR_SHAPE, "axis %d of %s", 3, "x"), RP_ERR_SHAPE);
  assert_string_equal(rpi_status_message(), "axis 3 of x");
  assert_int_equal(rpi_status_context(RP_ERR_SHAPE, "op %s", "mul"), RP_ERR_SHAPE);
  assert_string_equal(rpi_status_message(), "op mul: axis 3 of x");
  assert_int_equal(rpi_status_nomem("a map"), RP_ERR_MEMORY);
  assert_string_equal(rpi_status_message(), "out of memory: a map");
  rpi_status_fail(RP_ERR_SHAPE, "again: %s", rpi_status_message());
  assert_string_equal(rpi_status_message(), "again: out of memory: a map");
}

static void test_cut(void **state) {
  (void)state;
  char text[2001];
  memset(text, 'a', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  for (int32_t n = LONGEST - 3; n <= LONGEST + 3; n++) {
    rpi_status_fail(RP_ERR_IO, "%.*s", n, text);
    const char *got = rpi_status_message();
    assert_int_equal(strlen(got), n <= LONGEST ? n : LONGEST);
    assert_int_equal(strcmp(got + strlen(got) - 3, "...") == 0, n > LONGEST);
  }
  rpi_status_fail(RP_ERR_IO, "short");
  rpi_status_context(RP_ERR_IO, "%s", text);
  assert_int_equal(strlen(rpi_status_message()), LONGEST);
  rpi_status_fail(RP_ERR_IO, "%s", text);
  rpi_status_context(RP_ERR_IO, "in front");
  assert_int_equal(strlen(rpi_status_message()), LONGEST);
  assert_memory_equal(rpi_status_message(), "in front: aaa", 13);
}

/* A cut never leaves a part of a UTF-8 character: three-byte characters behind 0, 1 or 2
 * letters. */
static void test_cut_utf8(void **state) {
  (void)state;
  char text[1501];
  for (int32_t shift = 0; shift < 3; shift++) {
    memset(text, 'x', (size_t)shift);
    for (int32_t i = shift; i + 3 < 1500; i += 3) memcpy(text + i, "\xE2\x82\xAC", 4);
    rpi_status_fail(RP_ERR_IO, "%s", text);
    const char *got = rpi_status_message();
    size_t whole = strlen(got) - 3;
    assert_string_equal(got + whole, "...");
    assert_int_equal((whole - (size_t)shift) % 3, 0);
    assert_true(whole + 3 > LONGEST - 3);
  }
}

static void *other_thread(void *arg) {
  strcpy(arg, rpi_status_message());
  rpi_status_fail(RP_ERR_DATA, "theirs");
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  char seen[1024] = "?";
  pthread_t t;
  rpi_status_fail(RP_ERR_DATA, "mine");
  assert_int_equal(pthread_create(&t, NULL, other_thread, seen), 0);
  assert_int_equal(pthread_join(t, NULL), 0);
  assert_string_equal(seen, "");
  assert_string_equal(rpi_status_message(), "mine");
}

static rp_status tried(rp_status s, int32_t *reached) {
  RPI_TRY(s);
  *reached = 1;
  return RP_OK;
}

static void test_try(void **state) {
  (void)state;
  int32_t reached = 0;
  assert_int_equal(tried(RP_ERR_BODY, &reached), RP_ERR_BODY);
  assert_int_equal(reached, 0);
  assert_int_equal(tried(RP_OK, &reached), RP_OK);
  assert_int_equal(reached, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_set),     cmocka_unit_test(test_cut), cmocka_unit_test(test_cut_utf8),
      cmocka_unit_test(test_threads), cmocka_unit_test(test_try),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
