/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_mm_read.c -- Matrix Market texts of every kind against triplets written by hand, and
 * every malformed text against the line and the word its error must name; each in one part and in many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/mm_text.h"

/* The entries as text "rows x cols: (i,j)=v ...", which says all there is to compare; in however many parts. */
static void expect(const char *text, const char *want) {
  mm_text t;
  char got[512];
  for (int64_t parts = 1; parts < 60; parts++) {
    const rp_status status = mm_text_read(text, strlen(text), parts, &t);
    if (status != RP_OK) {
      fail_msg("'%s' in %d parts: status %d, %s", text, (int)parts, (int)status, t.message);
    }
    int n =
        snprintf(got, sizeof got, "%lldx%lld:", (long long)t.head.n_rows, (long long)t.head.n_cols);
    for (int64_t k = 0; k < t.n; k++) {
      n += snprintf(got + n, sizeof got - (size_t)n, " (%lld,%lld)=%g", (long long)t.entry[k].row,
                    (long long)t.entry[k].col, t.entry[k].val);
    }
    assert_string_equal(got, want);
    mm_text_free(&t);
  }
}

static void test_coordinate(void **state) {
  (void)state;
  expect("%%MatrixMarket matrix coordinate real general\n2 3 3\n1 1 1.5\n2 3 -2e1\n1 2 .5\n",
         "2x3: (0,0)=1.5 (1,2)=-20 (0,1)=0.5");
  expect("%%MatrixMarket matrix coordinate integer general\n2 2 1\n2 1 -7\n", "2x2: (1,0)=-7");
  expect("%%MatrixMarket matrix coordinate pattern general\n3 3 2\n1 3\n2 2\n",
         "3x3: (0,2)=1 (1,1)=1");
  expect("%%MatrixMarket matrix coordinate real symmetric\n3 3 3\n1 1 2\n2 1 3\n3 2 4\n",
         "3x3: (0,0)=2 (1,0)=3 (0,1)=3 (2,1)=4 (1,2)=4");
  expect("%%MatrixMarket matrix coordinate integer skew-symmetric\n2 2 1\n2 1 5\n",
         "2x2: (1,0)=5 (0,1)=-5");
  expect("%%MatrixMarket matrix coordinate pattern symmetric\n2 2 2\n2 1\n2 2\n",
         "2x2: (1,0)=1 (0,1)=1 (1,1)=1");
  expect("%%MatrixMarket matrix coordinate real general\n0 0 0\n", "0x0:");
  expect("%%MatrixMarket matrix coordinate real general\n5 4 0", "5x4:");
}

static void test_array(void **state) {
  (void)state;
  expect("%%MatrixMarket matrix array real general\n2 3\n1\n2\n3\n0\n5\n6\n",
         "2x3: (0,0)=1 (1,0)=2 (0,1)=3 (0,2)=5 (1,2)=6");
  expect("%%MatrixMarket matrix array integer symmetric\n3 3\n1\n2\n3\n4\n5\n6\n",
         "3x3: (0,0)=1 (1,0)=2 (0,1)=2 (2,0)=3 (0,2)=3 (1,1)=4 (2,1)=5 (1,2)=5 (2,2)=6");
  expect("%%MatrixMarket matrix array real skew-symmetric\n3 3\n1\n2\n3\n",
         "3x3: (1,0)=1 (0,1)=-1 (2,0)=2 (0,2)=-2 (2,1)=3 (1,2)=-3");
  expect("%%MatrixMarket matrix array real general\n0 9223372036854775807\n",
         "0x9223372036854775807:");
}

static void test_layout(void **state) {
  (void)state;
  const char *want = "2x2: (0,0)=1 (1,1)=2";
  expect("%%MATRIXMARKET Matrix COORDINATE Real GENERAL\n2 2 2\n1 1 1\n2 2 2", want);
  expect("%%matrixmarket matrix coordinate real general\r\n% c\r\n\r\n2 2 2\r\n1 1 1\r\n2 2 2\r\n",
         want);
  expect("%%MatrixMarket  matrix\tcoordinate real   general  \n%\n%%\n \t \n  2\t2  2 \n\n"
         "  1 1   1.0E+00\n\n\n2 2 0.2D1\n\n \n",
         want);
}

static void test_malformed(void **state) {
  (void)state;
#define BANNER "%%MatrixMarket matrix coordinate real general\n"
#define SYMMETRIC "%%MatrixMarket matrix coordinate real symmetric\n"
#define SKEW "%%MatrixMarket matrix coordinate real skew-symmetric\n"
#define ARRAY_BANNER "%%MatrixMarket matrix array real general\n"
  static const struct {
    const char *text;
    rp_status status;
    const char *line, *word;
  } cases[] = {
      {"", RP_ERR_IO, "line 1:", "%%MatrixMarket"},
      {"\n" BANNER "1 1 0\n", RP_ERR_IO, "line 1:", "%%MatrixMarket"},
      {"%MatrixMarket matrix coordinate real general\n", RP_ERR_IO, "line 1:", "%%MatrixMarket"},
      {"%%MatrixMarket vector coordinate real general\n1 1 0\n", RP_ERR_IO, "line 1:", "'vector'"},
      {"%%MatrixMarket matrix dense real general\n", RP_ERR_IO, "line 1:", "coordinate or array"},
      {"%%MatrixMarket matrix coordinate double general\n", RP_ERR_IO, "line 1:", "'double'"},
      {"%%MatrixMarket matrix coordinate real\n", RP_ERR_IO, "line 1:", "skew-symmetric"},
      {"%%MatrixMarket matrix coordinate real general x\n", RP_ERR_IO, "line 1:", "'x'"},
      {"%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 0 1\n", RP_ERR_DTYPE,
       "line 1:", "complex"},
      {"%%MatrixMarket matrix array complex hermitian\n", RP_ERR_DTYPE, "line 1:", "complex"},
      {"%%MatrixMarket matrix coordinate real hermitian\n", RP_ERR_IO, "line 1:", "hermitian"},
      {"%%MatrixMarket matrix array pattern general\n", RP_ERR_IO, "line 1:", "pattern"},
      {"%%MatrixMarket matrix coordinate pattern skew-symmetric\n", RP_ERR_IO, "line 1:", "signs"},
      {BANNER, RP_ERR_IO, "line 2:", "sizes"},
      {BANNER "% only\n", RP_ERR_IO, "line 3:", "sizes"},
      {BANNER "2\n", RP_ERR_IO, "line 2:", "columns"},
      {BANNER "2 2\n", RP_ERR_IO, "line 2:", "entries"},
      {BANNER "2 x 1\n", RP_ERR_IO, "line 2:", "'x'"},
      {BANNER "-2 2 1\n", RP_ERR_IO, "line 2:", "'-2'"},
      {BANNER "2 2 -1\n", RP_ERR_IO, "line 2:", "'-1'"},
      {BANNER "2 2 1 9\n", RP_ERR_IO, "line 2:", "'9'"},
      {BANNER "2 2 99999999999999999999\n", RP_ERR_IO, "line 2:", "entries"},
      {BANNER "2 2 1000000000000\n1 1 1\n", RP_ERR_IO, "line 3:", "bytes"},
      {BANNER "2 2 2\n1 1 1\n", RP_ERR_IO, "line 4:", "entry 2 of 2"},
      {BANNER "2 2 1\n1 1 1\n2 2 2\n", RP_ERR_IO, "line 4:", "the end of the file"},
      {BANNER "2 2 1\n0 1 1\n", RP_ERR_IO, "line 3:", "1..2"},
      {BANNER "2 2 1\n3 1 1\n", RP_ERR_IO, "line 3:", "'3'"},
      {BANNER "% c\n\n2 2 1\n1 3 1\n", RP_ERR_IO, "line 5:", "column"},
      {BANNER "2 2 1\n1 1\n", RP_ERR_IO, "line 3:", "real value"},
      {BANNER "2 2 1\n1 1 x\n", RP_ERR_IO, "line 3:", "'x'"},
      {BANNER "2 2 1\n1 1 1 2\n", RP_ERR_IO, "line 3:", "'2'"},
      {BANNER "2 2 1\n1.0 1 1\n", RP_ERR_IO, "line 3:", "row"},
      {"%%MatrixMarket matrix coordinate integer general\n1 1 1\n1 1 1.5\n", RP_ERR_IO,
       "line 3:", "integer"},
      {"%%MatrixMarket matrix coordinate pattern general\n1 1 1\n1 1 1\n", RP_ERR_IO,
       "line 3:", "the end of the line"},
      {SYMMETRIC "2 3 0\n", RP_ERR_IO, "line 2:", "square"},
      {SYMMETRIC "2 2 1\n1 2 1\n", RP_ERR_IO, "line 3:", "on or below"},
      {SKEW "2 2 1\n1 1 0\n", RP_ERR_IO, "line 3:", "below"},
      {ARRAY_BANNER "2 1\n1\n", RP_ERR_IO, "line 4:", "entry 2 of 2"},
      {ARRAY_BANNER "1 1\n1 2\n", RP_ERR_IO, "line 3:", "'2'"},
      {ARRAY_BANNER "1 1 1\n1\n", RP_ERR_IO, "line 2:", "the end of the line"},
      {ARRAY_BANNER "9223372036854775807 3\n", RP_ERR_IO, "line 2:", "63 bits"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int64_t parts = 1; parts < 40; parts++) {
      mm_text t;
      const rp_status status = mm_text_read(cases[i].text, strlen(cases[i].text), parts, &t);
      if (status != cases[i].status ||
          strncmp(t.message, cases[i].line, strlen(cases[i].line)) != 0 ||
          !strstr(t.message, cases[i].word)) {
        fail_msg("case %zu in %d parts: status %d, '%s'; wanted %d, '%s' and '%s'", i, (int)parts,
                 (int)status, t.message, (int)cases[i].status, cases[i].line, cases[i].word);
      }
      assert_null(t.entry);
    }
  }
}

/* Reads in one part, then in others, with the same end. */
static rp_status read_same(const char *text, size_t n, char *message) {
  mm_text one, many;
  const rp_status status = mm_text_read(text, n, 1, &one);
  for (int64_t parts = 2; parts < 40; parts += 1 + parts / 3) {
    assert_int_equal(mm_text_read(text, n, parts, &many), status);
    assert_string_equal(many.message, one.message);
    assert_int_equal(many.n, one.n);
    if (one.n > 0) assert_memory_equal(many.entry, one.entry, (size_t)one.n * sizeof *one.entry);
    mm_text_free(&many);
  }
  strcpy(message, one.message);
  mm_text_free(&one);
  return status;
}

/* Every prefix and every one-byte change of a file gives a result or an error with a line. */
static void test_damaged(void **state) {
  (void)state;
  static const char text[] =
      "%%MatrixMarket matrix coordinate real symmetric\n% c\n3 3 3\n1 1 1.5\n2 1 -2\n3 3 1e3\n";
  const size_t n = sizeof text - 1;
  char changed[sizeof text], message[RPI_MM_MESSAGE + 40];
  for (size_t k = 0; k < n; k++) {
    const rp_status status = read_same(text, k, message);
    assert_true(status == RP_OK ? k >= n - 1 - 2 : strncmp(message, "line ", 5) == 0);
  }
  static const char bytes[] = {'\0', '\n', '\r', ' ', '%', '9', '-', 'x', '.', (char)0xff};
  for (size_t k = 0; k < n; k++) {
    for (size_t b = 0; b < sizeof bytes; b++) {
      memcpy(changed, text, sizeof text);
      changed[k] = bytes[b];
      if (read_same(changed, n, message) != RP_OK) {
        assert_true(strncmp(message, "line ", 5) == 0);
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_coordinate),
                                     cmocka_unit_test(test_array), cmocka_unit_test(test_layout),
                                     cmocka_unit_test(test_malformed),
                                     cmocka_unit_test(test_damaged)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
