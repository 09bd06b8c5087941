/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_hash.c -- the hash is the XXH3 of the specification and does not drift.
 * Known values: XXH3 of no bytes (xxHash's own sanity tests), 64 and 128 bits, seed 0. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/hash.h"

static void test_known(void **state) {
  (void)state;
  char hex[33];
  rpi_hash_hex(rpi_hash_bytes("", 0), hex);
  assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
  assert_true(rpi_hash_bytes64("", 0) == 0x2D06800538D394C2u);
}

static void test_hex(void **state) {
  (void)state;
  char hex[34];
  memset(hex, '!', sizeof hex);
  rpi_hash_hex((rpi_hash128){.lo = 0x0123456789abcdefu, .hi = 0xfedcba9876543210u}, hex);
  assert_memory_equal(hex, "fedcba98765432100123456789abcdef\0!", 34);
}

/* Lengths on both sides of the algorithm's own branches: every byte counts, address does not. */
static void test_bytes(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 1024, 5000};
  static char a[5001], b[5001];
  for (int32_t i = 0; i < 5000; i++) b[i + 1] = a[i] = (char)(i * 31 + i / 7);
  for (int32_t s = 0; s < RPI_COUNT(sizes); s++) {
    size_t n = sizes[s];
    rpi_hash128 h = rpi_hash_bytes(a, n);
    assert_true(rpi_hash_equal(h, rpi_hash_bytes(b + 1, n)));
    assert_true(rpi_hash_bytes64(a, n) == rpi_hash_bytes64(b + 1, n));
    assert_false(rpi_hash_equal(h, rpi_hash_bytes(a, n - 1)));
    for (size_t i = 0; i < n; i += n / 50 + 1) {
      a[i] ^= 1;
      rpi_hash128 other = rpi_hash_bytes(a, n);
      assert_true(other.lo != h.lo && other.hi != h.hi);
      assert_false(rpi_hash_equal(h, other));
      a[i] ^= 1;
    }
  }
  rpi_hash128 x = {.lo = 1, .hi = 2}, y = {.lo = 1, .hi = 3}, z = {.lo = 2, .hi = 2};
  assert_true(rpi_hash_equal(x, x));
  assert_false(rpi_hash_equal(x, y));
  assert_false(rpi_hash_equal(x, z));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known),
      cmocka_unit_test(test_hex),
      cmocka_unit_test(test_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
