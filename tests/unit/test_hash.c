/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_hash.c -- the hash is the XXH3 of the specification and does not drift.
 * Known values: XXH3 of no bytes (xxHash's own sanity tests), 64 and 128 bits, seed 0; and one for each way of the
 * specification, as libxxhash 0.8.1 gives it. Where the build has libxxhash, xxh3.c equals it at every length. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/hash.h"
#include "core/base/xxh3.h"

static void test_known(void **state) {
  (void)state;
  char hex[33];
  rpi_hash_hex(rpi_hash_bytes("", 0), hex);
  assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
  assert_true(rpi_hash_bytes64("", 0) == 0x2D06800538D394C2u);
}

/* Of the bytes 7*i + 3. */
typedef struct known {
  size_t size;
  uint64_t short_hash;
  const char *hex;
} known;
static const known ways[] = {
    {0, UINT64_C(0x2d06800538d394c2), "99aa06d3014798d86001c324468d497f"},
    {1, UINT64_C(0x13e608bc156defed), "22bbb76b211a39ba13e608bc156defed"},
    {3, UINT64_C(0xa9088dda485b481c), "ce31763cbf8245a5a9088dda485b481c"},
    {4, UINT64_C(0x6d9253b16c8b1ed3), "47197970590746b1788a609154b0fe20"},
    {8, UINT64_C(0x60539db630471163), "e3bc8a5f461715553cd024e3d63a1588"},
    {9, UINT64_C(0xfeff668361d723a8), "c72c88247a9a56d7eafab1c7f123109f"},
    {16, UINT64_C(0xb8c859b0f030b585), "ce0b9647ab24f88460d75c5e47d40a24"},
    {17, UINT64_C(0x714a04408e79b80f), "bfd327edcc2fbd12eeed7654312a26d7"},
    {128, UINT64_C(0x67425a03650261bf), "1b1962a096bac78bc580008b6c92ac53"},
    {129, UINT64_C(0xc664bf3311c6abc4), "293e4968c4619023bd91ce7ace4d385b"},
    {240, UINT64_C(0x64556dc6b462a6cf), "ad46c1021b076bc704e0b5f034bee80b"},
    {241, UINT64_C(0x8beadd3a8874fe17), "ac6c3492c3d6b45d8beadd3a8874fe17"},
    {1024, UINT64_C(0x9b81661c641c72b1), "18bc0eaca9a336369b81661c641c72b1"},
    {1025, UINT64_C(0x806c2072ed713576), "bf447251cfa98d7c806c2072ed713576"},
    {4096, UINT64_C(0xd7428746842be37e), "1546867423105cd5d7428746842be37e"},
    {5000, UINT64_C(0x799aaddd7339581d), "c98ae385d09887cc799aaddd7339581d"},
};

static void test_ways(void **state) {
  (void)state;
  uint8_t data[5000];
  char hex[33];
  for (int32_t i = 0; i < 5000; i++) data[i] = (uint8_t)(7 * i + 3);
  for (int32_t k = 0; k < RPI_COUNT(ways); k++) {
    rpi_hash_hex(rpi_xxh3_128(data, ways[k].size), hex);
    assert_string_equal(hex, ways[k].hex);
    assert_true(rpi_xxh3_64(data, ways[k].size) == ways[k].short_hash);
  }
}

static void test_every_length(void **state) {
  (void)state;
  static uint8_t data[5000];
  uint32_t x = 1;
  for (int32_t i = 0; i < 5000; i++) data[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
  for (size_t n = 0; n < 4900; n += n < 1100 ? 1 : 13) {
    const uint8_t *p = data + n % 17;
    assert_true(rpi_hash_equal(rpi_hash_bytes(p, n), rpi_xxh3_128(p, n)));
    assert_true(rpi_hash_bytes64(p, n) == rpi_xxh3_64(p, n));
  }
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
      cmocka_unit_test(test_known),        cmocka_unit_test(test_ways),
      cmocka_unit_test(test_every_length), cmocka_unit_test(test_hex),
      cmocka_unit_test(test_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
