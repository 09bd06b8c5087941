/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_mm_scan.c -- the scanner: numbers against strtod, lines and words by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/sparse/mm_scan.h"

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

/* The text in memory of exactly its size, so that a sanitizer sees a byte too many. */
static bool scan_real(const char *text, double *out, size_t *used) {
  const size_t n = strlen(text);
  char *copy = malloc(n ? n : 1);
  assert_non_null(copy);
  memcpy(copy, text, n);
  rpi_mm_scan s;
  assert_true(rpi_mm_scan_init(&s, copy, n));
  const bool ok = rpi_mm_scan_real(&s, out);
  *used = (size_t)(s.at - copy);
  rpi_mm_scan_deinit(&s);
  free(copy);
  return ok;
}

static void expect_real(const char *text) {
  double got = -1;
  size_t used;
  assert_true(scan_real(text, &got, &used));
  const double want = strtod(text, NULL);
  if (memcmp(&got, &want, sizeof got) != 0) {
    fail_msg("'%s' gave %a, strtod gives %a", text, got, want);
  }
  assert_int_equal(used, strlen(text));
}

static void test_real_random(void **state) {
  (void)state;
  for (int i = 0; i < 200000; i++) {
    char text[64];
    const uint64_t bits = next_random();
    double v;
    memcpy(&v, &bits, sizeof v);
    if (!isfinite(v)) continue;
    const double moderate = ldexp((double)(int64_t)bits, (int)(next_random() % 60) - 90);
    switch (i % 5) {
      case 0: snprintf(text, sizeof text, "%.*e", (int)(next_random() % 20), v); break;
      case 1: snprintf(text, sizeof text, "%.*e", (int)(next_random() % 20), moderate); break;
      case 2: snprintf(text, sizeof text, "%.17g", moderate); break;
      case 3: snprintf(text, sizeof text, "%.*f", (int)(next_random() % 12), moderate); break;
      default:
        snprintf(text, sizeof text, "%llu.%llue%d", (unsigned long long)(bits >> 20),
                 (unsigned long long)(next_random() >> 40), (int)(next_random() % 50) - 25);
    }
    expect_real(text);
  }
}

/* Decimal texts that lie on or beside the middle of two doubles. */
static void test_real_halfway(void **state) {
  (void)state;
  for (int i = 0; i < 20000; i++) {
    char text[64];
    const uint64_t odd = (next_random() >> 11) | (UINT64_C(1) << 52);
    snprintf(text, sizeof text, "%llu", (unsigned long long)(2 * odd + 1));
    expect_real(text);
    snprintf(text, sizeof text, "%llu.5", (unsigned long long)odd);
    expect_real(text);
    snprintf(text, sizeof text, "%llu.50000000000000000001", (unsigned long long)odd);
    expect_real(text);
    snprintf(text, sizeof text, "%llue-%d", (unsigned long long)(odd * 1000 + 500),
             (int)(next_random() % 27));
    expect_real(text);
  }
}

static void test_real_words(void **state) {
  (void)state;
  static const char *const good[] = {"0",
                                     "-0",
                                     "+1",
                                     ".5",
                                     "5.",
                                     "-.25e+3",
                                     "1e400",
                                     "1e-400",
                                     "4.9e-324",
                                     "1.7976931348623159e308",
                                     "inf",
                                     "-inf",
                                     "00012.50",
                                     "0.00000000000000000000000000001",
                                     "123456789012345678901234567890",
                                     "1E5",
                                     "12345678901234567890000000",
                                     "98765432109876543210000.5",
                                     "0e999999999999999999"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) expect_real(good[i]);
  double v;
  size_t used;
  assert_true(scan_real("1.5D-3", &v, &used));
  assert_true(v == 1.5e-3);
  assert_true(scan_real("-2d2", &v, &used));
  assert_true(v == -200.0);
  assert_true(scan_real("1.23456789012345678D300", &v, &used));
  assert_true(v == 1.23456789012345678e300);
  assert_true(scan_real("nan", &v, &used));
  assert_true(isnan(v));
  static const char *const bad[] = {"",    " ",   "-",     "+",      ".",     "e5",
                                    "1e",  "1e+", "0x10",  "1,5",    "1.2.3", "1e5x",
                                    "abc", "--1", "1 e5x", "nan(1)", "1d",    "1\r2"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (strcmp(bad[i], "1 e5x") == 0 || strcmp(bad[i], "1\r2") == 0) {
      assert_true(scan_real(bad[i], &v, &used));
      assert_int_equal(used, 1);
    } else if (scan_real(bad[i], &v, &used)) {
      fail_msg("'%s' was read as %g", bad[i], v);
    }
  }
}

static void test_int(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool ok;
    int64_t value;
  } cases[] = {{"0", true, 0},
               {"-17", true, -17},
               {"+4\n", true, 4},
               {"  12 13", true, 12},
               {"9223372036854775807", true, INT64_MAX},
               {"9223372036854775808", false, 0},
               {"99999999999999999999999", false, 0},
               {"", false, 0},
               {"-", false, 0},
               {"1.0", false, 0},
               {"1e3", false, 0},
               {"5a", false, 0},
               {"007", true, 7},
               {"3\r\n", true, 3},
               {"\n3", false, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rpi_mm_scan s;
    assert_true(rpi_mm_scan_init(&s, cases[i].text, strlen(cases[i].text)));
    int64_t v = 0;
    assert_int_equal(rpi_mm_scan_int(&s, &v), cases[i].ok);
    if (cases[i].ok) assert_true(v == cases[i].value);
    rpi_mm_scan_deinit(&s);
  }
}

static void test_lines(void **state) {
  (void)state;
  const char *text = "% one\r\n\n  \t\n%two\nthree four\r\n% five\nsix";
  rpi_mm_scan s;
  assert_true(rpi_mm_scan_init(&s, text, strlen(text)));
  const char *word;
  assert_true(rpi_mm_scan_content(&s, true));
  assert_int_equal(s.line, 5);
  assert_int_equal(rpi_mm_scan_word(&s, &word), 5);
  assert_memory_equal(word, "three", 5);
  assert_false(rpi_mm_scan_at_eol(&s));
  assert_int_equal(rpi_mm_scan_word(&s, &word), 4);
  assert_true(rpi_mm_scan_at_eol(&s));
  assert_int_equal(rpi_mm_scan_word(&s, &word), 0);
  rpi_mm_scan_next_line(&s);
  assert_int_equal(s.line, 6);
  assert_true(rpi_mm_scan_content(&s, false));
  assert_int_equal(s.line, 6);
  assert_true(rpi_mm_scan_content(&s, true));
  assert_int_equal(s.line, 7);
  rpi_mm_scan_next_line(&s);
  assert_false(rpi_mm_scan_content(&s, true));
  rpi_mm_scan_deinit(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_real_random), cmocka_unit_test(test_real_halfway),
      cmocka_unit_test(test_real_words), cmocka_unit_test(test_int), cmocka_unit_test(test_lines)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
