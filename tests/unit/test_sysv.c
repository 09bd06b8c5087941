/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_sysv.c -- calls by the ABI reach functions with natural signatures: each class of arguments in
 * registers, on the stack, and in any mixture of both; narrow ones are extended; what int functions return. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/exec/sysv.h"
#include "core/include/reprise.h"

#define CALL(f, n, dtype, value) rpi_sysv_call((void (*)(void))(f), (n), (dtype), (value))

static uint64_t of_double(double v) {
  uint64_t w;
  memcpy(&w, &v, sizeof w);
  return w;
}

/* The upper half is what must not matter. */
static uint64_t of_float(float v) {
  uint32_t w;
  memcpy(&w, &v, sizeof w);
  return w | UINT64_C(0x7ff8dead00000000);
}

static int64_t called;

static void nothing(void) { called++; }
static int answer(void) { return -77; }

static void test_nothing(void **state) {
  (void)state;
  called = 0;
  CALL(nothing, 0, NULL, NULL);
  assert_int_equal(called, 1);
  assert_int_equal(CALL(answer, 0, NULL, NULL), -77);
}

static int64_t narrow[8];

static int narrows(bool b, int8_t c, int16_t s, int32_t i, uint8_t uc, uint16_t us, uint32_t ui,
                   int64_t l) {
  const int64_t all[] = {b, c, s, i, uc, us, (int64_t)ui, l};
  memcpy(narrow, all, sizeof all);
  return b ? (int)i : -1;
}

/* A function may take it that its caller has extended them; this one looks. */
static void wide(int64_t b, int64_t c, int64_t s, int64_t i, int64_t uc, int64_t us, int64_t ui,
                 int64_t l) {
  const int64_t all[] = {b, c, s, i, uc, us, ui, l};
  memcpy(narrow, all, sizeof all);
}

/* In registers and, the last two, on the stack; garbage above what counts. */
static void test_narrow(void **state) {
  (void)state;
  const uint8_t dtype[] = {RP_BOOL, RP_I8, RP_I16, RP_I32, RP_U8, RP_U16, RP_U32, RP_I64};
  const uint64_t up = UINT64_C(0xabcdef0123000000), garbage = up << 8;
  const uint64_t value[] = {1 | garbage,
                            0x80 | garbage,
                            0x8001 | garbage,
                            UINT64_C(0x80000002) | UINT64_C(0xabcdef0100000000),
                            0xfe | garbage,
                            0xfffd | garbage,
                            UINT64_C(0xfffffffc) | UINT64_C(0xabcdef0100000000),
                            (uint64_t)INT64_MIN + 5};
  const int64_t want[] = {
      1, -128, -32767, INT32_MIN + 2, 0xfe, 0xfffd, INT64_C(0xfffffffc), INT64_MIN + 5};
  assert_int_equal(CALL(narrows, 8, dtype, value), INT32_MIN + 2);
  for (int32_t i = 0; i < 8; i++) assert_true(narrow[i] == want[i]);
  memset(narrow, 0, sizeof narrow);
  CALL(wide, 8, dtype, value);
  for (int32_t i = 0; i < 8; i++) assert_true(narrow[i] == want[i]);
}

static int mixed(double a, int64_t i, float b, const char *p, double c, float d, double e, double f,
                 double g, double h, double on_stack, int32_t j, int64_t k, int64_t l, int64_t m,
                 int64_t n_on_stack, float last, int16_t short_on_stack) {
  const bool numbers = a == 1.5 && b == 2.5f && c == 3.5 && d == 4.5f && e == 5.5 && f == 6.5 &&
                       g == 7.5 && h == 8.5 && on_stack == 9.5 && last == 10.5f;
  const bool integers = i == -1 && strcmp(p, "text") == 0 && j == -3 && k == 4 && l == 5 &&
                        m == 6 && n_on_stack == -7 && short_on_stack == -8;
  return (numbers ? 1 : 0) + (integers ? 2 : 0);
}

static void test_mixed(void **state) {
  (void)state;
  const uint8_t dtype[] = {RP_F64, RP_I64, RP_F32, RP_I64, RP_F64, RP_F32, RP_F64, RP_F64, RP_F64,
                           RP_F64, RP_F64, RP_I32, RP_I64, RP_I64, RP_I64, RP_I64, RP_F32, RP_I16};
  const uint64_t value[] = {of_double(1.5),
                            (uint64_t)-1,
                            of_float(2.5f),
                            (uintptr_t) "text",
                            of_double(3.5),
                            of_float(4.5f),
                            of_double(5.5),
                            of_double(6.5),
                            of_double(7.5),
                            of_double(8.5),
                            of_double(9.5),
                            (uint64_t)-3,
                            4,
                            5,
                            6,
                            (uint64_t)-7,
                            of_float(10.5f),
                            0xfff8};
  assert_int_equal(CALL(mixed, 18, dtype, value), 3);
}

/* More than the smaller of the two rooms on the stack, and all there can be. */
#define TEN(x) x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9
#define EACH(type, x) \
  type x##0, type x##1, type x##2, type x##3, type x##4, type x##5, type x##6, type x##7, \
      type x##8, type x##9

static int thirty(EACH(int64_t, a), EACH(int64_t, b), EACH(int64_t, c)) {
  const int64_t v[] = {TEN(a), TEN(b), TEN(c)};
  int sum = 0;
  for (int i = 0; i < 30; i++) sum += (int)v[i] * (i + 1);
  return sum;
}

static int sixty(EACH(int64_t, a), EACH(double, b), EACH(int64_t, c), EACH(double, d),
                 EACH(int64_t, e), EACH(float, f)) {
  const int64_t v[] = {TEN(a), TEN(c), TEN(e)};
  const double w[] = {TEN(b), TEN(d), TEN(f)};
  int sum = 0;
  for (int i = 0; i < 30; i++) sum += (int)v[i] * (i + 1) + (int)w[i] * (i + 31);
  return sum;
}

static int last_of_all(EACH(int64_t, a), EACH(int64_t, b), EACH(int64_t, c), EACH(int64_t, d),
                       EACH(int64_t, e), EACH(int64_t, f), EACH(int64_t, g), EACH(int64_t, h),
                       EACH(int64_t, i), EACH(int64_t, j), EACH(int64_t, k), EACH(int64_t, l),
                       int64_t m0, int64_t m1, int64_t m2, int64_t m3, int64_t m4, int64_t m5,
                       int64_t m6, int64_t m7) {
  const int64_t v[] = {TEN(a), TEN(b), TEN(c), TEN(d), TEN(e), TEN(f), TEN(g),
                       TEN(h), TEN(i), TEN(j), TEN(k), TEN(l), m0,     m1,
                       m2,     m3,     m4,     m5,     m6,     m7};
  int sum = 0;
  for (int n = 0; n < 128; n++) sum += (int)v[n] * (n + 1);
  return sum;
}

static void test_many(void **state) {
  (void)state;
  uint8_t dtype[RPI_SYSV_ARGS];
  uint64_t value[RPI_SYSV_ARGS];
  int want = 0;
  for (int32_t i = 0; i < RPI_SYSV_ARGS; i++) {
    dtype[i] = RP_I64;
    value[i] = (uint64_t)(3 * i + 7);
    want += (3 * i + 7) * (i + 1);
    if (i == 29) assert_int_equal(CALL(thirty, 30, dtype, value), want);
  }
  assert_int_equal(CALL(last_of_all, RPI_SYSV_ARGS, dtype, value), want);
  want = 0;
  for (int32_t i = 0; i < 60; i++) {
    const int32_t ten = i / 10, place = 10 * (ten / 2) + i % 10;
    const int v = 5 * i + 1;
    want += v * (place + (ten % 2 ? 31 : 1));
    dtype[i] = ten % 2 == 0 ? RP_I64 : ten == 5 ? RP_F32 : RP_F64;
    value[i] = ten % 2 == 0 ? (uint64_t)v : ten == 5 ? of_float((float)v) : of_double(v);
  }
  assert_int_equal(CALL(sixty, 60, dtype, value), want);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing),
      cmocka_unit_test(test_narrow),
      cmocka_unit_test(test_mixed),
      cmocka_unit_test(test_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
