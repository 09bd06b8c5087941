/* SPDX-License-Identifier: Apache-2.0
 * tests/support/cmocka/cmocka.h -- what our tests use of cmocka 1.1's interface, for machines that have no cmocka.
 * Lives here: assertions, a group of tests with setups and teardowns, skipping, the report.
 * Not here:   mocks, expected parameters, checks of the heap, signals: a test that crashes ends its program.
 * How:        a failed assertion leaves its test by longjmp, as there. State is weak, so that the files of a program
 *             share it, and of a thread: an assertion on another thread than the test's ends the program. */
#ifndef CMOCKA_H
#define CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uintmax_t LargestIntegralType;

typedef void (*CMUnitTestFunction)(void **state);
typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
  const char *name;
  CMUnitTestFunction test_func;
  CMFixtureFunction setup_func;
  CMFixtureFunction teardown_func;
  void *initial_state;
};

#define cmocka_unit_test(f) \
  { #f, f, NULL, NULL, NULL }
#define cmocka_unit_test_setup(f, setup) \
  { #f, f, setup, NULL, NULL }
#define cmocka_unit_test_teardown(f, teardown) \
  { #f, f, NULL, teardown, NULL }
#define cmocka_unit_test_setup_teardown(f, setup, teardown) \
  { #f, f, setup, teardown, NULL }

/* ---- leaving a test ---- */

#define RPI_CMOCKA_USED __attribute__((unused))

/* Where the running test is left; NULL: none runs on this thread. */
__attribute__((weak)) __thread jmp_buf *rpi_cmocka_way_out;
enum { RPI_CMOCKA_FAILED = 1, RPI_CMOCKA_SKIPPED = 2 };

__attribute__((noreturn)) static inline void rpi_cmocka_leave(int how) {
  if (rpi_cmocka_way_out) longjmp(*rpi_cmocka_way_out, how);
  fflush(NULL);
  _Exit(255);
}

__attribute__((noreturn)) static inline void rpi_cmocka_fail(const char *file, int line) {
  fprintf(stderr, "[   LINE   ] --- %s:%d: error: Failure!\n", file, line);
  rpi_cmocka_leave(RPI_CMOCKA_FAILED);
}

#define fail() rpi_cmocka_fail(__FILE__, __LINE__)
#define fail_msg(...) \
  do { \
    print_error("ERROR: "); \
    print_error(__VA_ARGS__); \
    print_error("\n"); \
    fail(); \
  } while (0)
#define skip() rpi_cmocka_leave(RPI_CMOCKA_SKIPPED)

__attribute__((format(printf, 1, 2))) RPI_CMOCKA_USED static void print_message(const char *format,
                                                                                ...) {
  va_list more;
  va_start(more, format);
  vprintf(format, more);
  va_end(more);
  fflush(stdout);
}

__attribute__((format(printf, 1, 2))) RPI_CMOCKA_USED static void print_error(const char *format,
                                                                              ...) {
  va_list more;
  va_start(more, format);
  vfprintf(stderr, format, more);
  va_end(more);
}

/* ---- assertions ---- */

static inline void rpi_cmocka_true(int good, const char *text, const char *file, int line) {
  if (good) return;
  fprintf(stderr, "%s\n", text);
  rpi_cmocka_fail(file, line);
}

static inline void rpi_cmocka_integers(uintmax_t a, uintmax_t b, int equal, const char *file,
                                       int line) {
  if ((a == b) == equal) return;
  fprintf(stderr, "%#jx %s %#jx\n", a, equal ? "!=" : "==", b);
  rpi_cmocka_fail(file, line);
}

static inline void rpi_cmocka_strings(const char *a, const char *b, int equal, const char *file,
                                      int line) {
  if ((strcmp(a, b) == 0) == equal) return;
  fprintf(stderr, "\"%s\" %s \"%s\"\n", a, equal ? "!=" : "==", b);
  rpi_cmocka_fail(file, line);
}

static inline void rpi_cmocka_bytes(const void *a, const void *b, size_t size, int equal,
                                    const char *file, int line) {
  const unsigned char *p = a, *q = b;
  size_t at = 0;
  while (at < size && p[at] == q[at]) at++;
  if ((at == size) == equal) return;
  if (equal)
    fprintf(stderr, "difference at offset %zu of %zu bytes: 0x%02x 0x%02x\n", at, size, p[at],
            q[at]);
  else
    fprintf(stderr, "%zu bytes are the same\n", size);
  rpi_cmocka_fail(file, line);
}

static inline void rpi_cmocka_range(uintmax_t v, uintmax_t lo, uintmax_t hi, int inside,
                                    const char *file, int line) {
  if ((v >= lo && v <= hi) == inside) return;
  fprintf(stderr, "%ju is %sin the range %ju..%ju\n", v, inside ? "not " : "", lo, hi);
  rpi_cmocka_fail(file, line);
}

#define RPI_CMOCKA_PTR(p) ((uintmax_t)(uintptr_t)(p))
#define assert_true(c) rpi_cmocka_true(!!(c), #c, __FILE__, __LINE__)
#define assert_false(c) rpi_cmocka_true(!(c), "!(" #c ")", __FILE__, __LINE__)
#define assert_non_null(p) rpi_cmocka_true((p) != NULL, #p " != NULL", __FILE__, __LINE__)
#define assert_null(p) rpi_cmocka_true((p) == NULL, #p " == NULL", __FILE__, __LINE__)
#define assert_int_equal(a, b) \
  rpi_cmocka_integers((uintmax_t)(a), (uintmax_t)(b), 1, __FILE__, __LINE__)
#define assert_int_not_equal(a, b) \
  rpi_cmocka_integers((uintmax_t)(a), (uintmax_t)(b), 0, __FILE__, __LINE__)
#define assert_ptr_equal(a, b) \
  rpi_cmocka_integers(RPI_CMOCKA_PTR(a), RPI_CMOCKA_PTR(b), 1, __FILE__, __LINE__)
#define assert_ptr_not_equal(a, b) \
  rpi_cmocka_integers(RPI_CMOCKA_PTR(a), RPI_CMOCKA_PTR(b), 0, __FILE__, __LINE__)
#define assert_string_equal(a, b) rpi_cmocka_strings((a), (b), 1, __FILE__, __LINE__)
#define assert_string_not_equal(a, b) rpi_cmocka_strings((a), (b), 0, __FILE__, __LINE__)
#define assert_memory_equal(a, b, size) rpi_cmocka_bytes((a), (b), (size), 1, __FILE__, __LINE__)
#define assert_memory_not_equal(a, b, size) \
  rpi_cmocka_bytes((a), (b), (size), 0, __FILE__, __LINE__)
#define assert_in_range(v, lo, hi) \
  rpi_cmocka_range((uintmax_t)(v), (uintmax_t)(lo), (uintmax_t)(hi), 1, __FILE__, __LINE__)
#define assert_not_in_range(v, lo, hi) \
  rpi_cmocka_range((uintmax_t)(v), (uintmax_t)(lo), (uintmax_t)(hi), 0, __FILE__, __LINE__)

/* ---- a group ---- */

/* 0, RPI_CMOCKA_FAILED or RPI_CMOCKA_SKIPPED. */
RPI_CMOCKA_USED static int rpi_cmocka_part(CMFixtureFunction fixture, CMUnitTestFunction test,
                                           void **state) {
  jmp_buf here;
  rpi_cmocka_way_out = &here;
  int how = setjmp(here);
  if (how == 0) {
    if (test)
      test(state);
    else if (fixture && fixture(state) != 0)
      how = RPI_CMOCKA_FAILED;
  }
  rpi_cmocka_way_out = NULL;
  return how;
}

RPI_CMOCKA_USED static int rpi_cmocka_one(const struct CMUnitTest *t, void *group_state) {
  void *state = t->initial_state ? t->initial_state : group_state;
  fprintf(stderr, "[ RUN      ] %s\n", t->name);
  int how = rpi_cmocka_part(t->setup_func, NULL, &state);
  if (how == 0) how = rpi_cmocka_part(NULL, t->test_func, &state);
  const int after = rpi_cmocka_part(t->teardown_func, NULL, &state);
  if (how == 0) how = after;
  fprintf(stderr, "%s %s\n",
          how == 0                    ? "[       OK ]"
          : how == RPI_CMOCKA_SKIPPED ? "[  SKIPPED ]"
                                      : "[  FAILED  ]",
          t->name);
  return how;
}

/* The number of tests that failed. As there, also for groups whose number of tests is known only at run time. */
RPI_CMOCKA_USED static int _cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests,
                                                   size_t n, CMFixtureFunction setup,
                                                   CMFixtureFunction teardown) {
  void *state = NULL;
  int failed = 0, skipped = 0;
  fprintf(stderr, "[==========] %s: Running %zu test(s).\n", name, n);
  if (rpi_cmocka_part(setup, NULL, &state) != 0) {
    fprintf(stderr, "[  FAILED  ] setup of the group\n");
    return 1;
  }
  for (size_t i = 0; i < n; i++) {
    const int how = rpi_cmocka_one(&tests[i], state);
    failed += how == RPI_CMOCKA_FAILED;
    skipped += how == RPI_CMOCKA_SKIPPED;
  }
  if (rpi_cmocka_part(teardown, NULL, &state) != 0) {
    fprintf(stderr, "[  FAILED  ] teardown of the group\n");
    failed++;
  }
  fprintf(stderr, "[==========] %zu test(s) run, %d skipped, %d FAILED.\n", n, skipped, failed);
  return failed;
}

#define cmocka_run_group_tests(tests, setup, teardown) \
  _cmocka_run_group_tests(#tests, (tests), sizeof(tests) / sizeof *(tests), (setup), (teardown))

#endif
