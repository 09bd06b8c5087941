/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_dtype.c -- facts of the element types; promotion against NumPy's table written
 * out, lossless casts against the ranges of values themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/model/dtype.h"

static const char *const names[RPI_N_DTYPE] = {"bool", "i8",  "i16", "i32", "i64", "u8",
                                               "u16",  "u32", "u64", "f32", "f64"};

static void test_facts(void **state) {
  (void)state;
  static const int32_t sizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
  static const char kinds[] = "BIIIIUUUUFF";
  for (rp_dtype t = 0; t < RPI_N_DTYPE; t++) {
    assert_true(rpi_dtype_valid(t));
    assert_int_equal(rpi_dtype_size(t), sizes[t]);
    assert_int_equal("BIUF"[rpi_dtype_kind(t)], kinds[t]);
    assert_string_equal(rpi_dtype_name(t), names[t]);
    assert_int_equal(rpi_dtype_find(names[t], strlen(names[t])), t);
    assert_int_equal(rpi_dtype_find(names[t], strlen(names[t]) - 1), -1);
  }
  assert_int_equal(rpi_dtype_find("i32]", 3), RP_I32);
  assert_int_equal(rpi_dtype_find("i128", 4), -1);
  assert_int_equal(rpi_dtype_find("", 0), -1);
}

static void test_invalid(void **state) {
  (void)state;
  static const rp_dtype bad[] = {-1, 11, INT32_MIN, INT32_MAX};
  for (int32_t i = 0; i < RPI_COUNT(bad); i++) {
    assert_false(rpi_dtype_valid(bad[i]));
    assert_int_equal(rpi_dtype_size(bad[i]), 0);
    assert_int_equal(rpi_dtype_kind(bad[i]), -1);
    assert_string_equal(rpi_dtype_name(bad[i]), "?");
    assert_int_equal(rpi_dtype_promote(bad[i], RP_I8), -1);
    assert_int_equal(rpi_dtype_promote(RP_I8, bad[i]), -1);
    assert_false(rpi_dtype_lossless(bad[i], RP_F64));
    assert_false(rpi_dtype_lossless(RP_I8, bad[i]));
    assert_false(rpi_dtype_lossless(bad[i], bad[i]));
  }
}

/* numpy.result_type of two arrays, rows and columns in the order of `names`. */
static const char *const promoted[RPI_N_DTYPE] = {
    "bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64", /* bool */
    "i8 i8 i16 i32 i64 i16 i32 i64 f64 f32 f64",  /* i8 */
    "i16 i16 i16 i32 i64 i16 i32 i64 f64 f32 f64",
    "i32 i32 i32 i32 i64 i32 i32 i64 f64 f64 f64",
    "i64 i64 i64 i64 i64 i64 i64 i64 f64 f64 f64",
    "u8 i16 i16 i32 i64 u8 u16 u32 u64 f32 f64", /* u8 */
    "u16 i32 i32 i32 i64 u16 u16 u32 u64 f32 f64",
    "u32 i64 i64 i64 i64 u32 u32 u32 u64 f64 f64",
    "u64 f64 f64 f64 f64 u64 u64 u64 u64 f64 f64",
    "f32 f32 f32 f64 f64 f32 f32 f64 f64 f32 f64", /* f32 */
    "f64 f64 f64 f64 f64 f64 f64 f64 f64 f64 f64",
};

static void test_promote(void **state) {
  (void)state;
  for (rp_dtype a = 0; a < RPI_N_DTYPE; a++) {
    const char *p = promoted[a];
    for (rp_dtype b = 0; b < RPI_N_DTYPE; b++) {
      size_t n = strcspn(p, " ");
      const char *got = rpi_dtype_name(rpi_dtype_promote(a, b));
      if (strlen(got) != n || memcmp(got, p, n) != 0) {
        fail_msg("%s with %s gives %s, not %.*s", names[a], names[b], got, (int)n, p);
      }
      p += n + 1;
    }
  }
}

/* Powers of two that bound the values: every integer in [-2^down, 2^up - 1]; down -1: none below
 * 0. */
static void bounds(rp_dtype t, int32_t *down, int32_t *up) {
  int32_t bits = 8 * rpi_dtype_size(t);
  switch (names[t][0]) {
    case 'b': *down = -1, *up = 1; break;
    case 'i': *down = *up = bits - 1; break;
    case 'u': *down = -1, *up = bits; break;
    default: *down = *up = bits == 32 ? 24 : 53;
  }
}

static void test_lossless(void **state) {
  (void)state;
  for (rp_dtype a = 0; a < RPI_N_DTYPE; a++) {
    for (rp_dtype b = 0; b < RPI_N_DTYPE; b++) {
      int32_t a_down, a_up, b_down, b_up;
      bounds(a, &a_down, &a_up);
      bounds(b, &b_down, &b_up);
      bool want = a_down <= b_down && a_up <= b_up;
      if (names[a][0] == 'f' && names[b][0] != 'f') want = false;
      if (b == RP_F64) want = true; /* NumPy counts the 64-bit integers as safe */
      if (rpi_dtype_lossless(a, b) != want) fail_msg("%s to %s", names[a], names[b]);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_facts),
      cmocka_unit_test(test_invalid),
      cmocka_unit_test(test_promote),
      cmocka_unit_test(test_lossless),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
