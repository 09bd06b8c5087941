/* SPDX-License-Identifier: Apache-2.0
 * core/base/xxh3.c -- see xxh3.h. The four ways of the specification: up to 16 bytes, up to 128, up to 240, more.
 *
 * How:        words are read where they lie, whatever their alignment, by a little-endian processor. One
 *             multiplication for each 8 bytes of long data, in eight independent lanes that a compiler may make
 *             vectors of. The letters of a function are those of the specification's: acc, value, low, high.
 * Invariants: every result equals libxxhash's (tests/unit/test_hash.c compares them where it is there). */
#include "core/base/xxh3.h"

#include <string.h>

__extension__ typedef unsigned __int128 u128;

enum { STRIPE = 64, STRIPES = 16, BLOCK = STRIPE * STRIPES, LANES = 8, SECRET = 192 };

#define PRIME32_1 0x9E3779B1u
#define PRIME32_2 0x85EBCA77u
#define PRIME32_3 0xC2B2AE3Du
#define PRIME64_1 0x9E3779B185EBCA87u
#define PRIME64_2 0xC2B2AE3D27D4EB4Fu
#define PRIME64_3 0x165667B19E3779F9u
#define PRIME64_4 0x85EBCA77C2B2AE63u
#define PRIME64_5 0x27D4EB2F165667C5u
#define PRIME_MX1 0x165667919E3779F9u
#define PRIME_MX2 0x9FB21C651E98DF25u

static const uint8_t secret[SECRET] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e};

static uint32_t word32(const uint8_t *p) {
  uint32_t w;
  memcpy(&w, p, sizeof w);
  return w;
}

static uint64_t word64(const uint8_t *p) {
  uint64_t w;
  memcpy(&w, p, sizeof w);
  return w;
}

/* Two words of the secret, joined. */
static uint64_t secret_pair(int32_t at) { return word64(secret + at) ^ word64(secret + at + 8); }

static uint64_t fold(uint64_t a, uint64_t b) {
  const u128 product = (u128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t avalanche(uint64_t x) {
  x = (x ^ (x >> 37)) * PRIME_MX1;
  return x ^ (x >> 32);
}

static uint64_t avalanche_short(uint64_t x) {
  x = (x ^ (x >> 33)) * PRIME64_2;
  x = (x ^ (x >> 29)) * PRIME64_3;
  return x ^ (x >> 32);
}

/* ---- up to 16 bytes ---- */

static uint32_t joined(const uint8_t *p, size_t n) {
  return (uint32_t)p[n - 1] | (uint32_t)n << 8 | (uint32_t)p[0] << 16 | (uint32_t)p[n >> 1] << 24;
}

static uint64_t short64(const uint8_t *p, size_t n) {
  if (n == 0) return avalanche_short(secret_pair(56));
  if (n <= 3)
    return avalanche_short((uint64_t)(word32(secret) ^ word32(secret + 4)) ^ joined(p, n));
  if (n <= 8) {
    const uint64_t both = (uint64_t)word32(p + n - 4) | (uint64_t)word32(p) << 32;
    uint64_t value = secret_pair(8) ^ both;
    value ^= (value << 49 | value >> 15) ^ (value << 24 | value >> 40);
    value *= PRIME_MX2;
    value ^= (value >> 35) + n;
    value *= PRIME_MX2;
    return value ^ (value >> 28);
  }
  const uint64_t low = secret_pair(24) ^ word64(p), high = secret_pair(40) ^ word64(p + n - 8);
  return avalanche(n + __builtin_bswap64(low) + high + fold(low, high));
}

static rpi_hash128 short128(const uint8_t *p, size_t n) {
  if (n == 0)
    return (rpi_hash128){avalanche_short(secret_pair(64)), avalanche_short(secret_pair(80))};
  if (n <= 3) {
    const uint32_t swapped = __builtin_bswap32(joined(p, n));
    const uint64_t high = (uint64_t)(word32(secret + 8) ^ word32(secret + 12)) ^
                          (uint32_t)(swapped << 13 | swapped >> 19);
    return (rpi_hash128){short64(p, n), avalanche_short(high)};
  }
  if (n <= 8) {
    const uint64_t both = (uint64_t)word32(p) | (uint64_t)word32(p + n - 4) << 32;
    const u128 product = (u128)(secret_pair(16) ^ both) * (PRIME64_1 + (n << 2));
    uint64_t low = (uint64_t)product, high = (uint64_t)(product >> 64);
    high += low << 1;
    low ^= high >> 3;
    low = (low ^ (low >> 35)) * PRIME_MX2;
    return (rpi_hash128){low ^ (low >> 28), avalanche(high)};
  }
  const uint64_t first = word64(p), last = word64(p + n - 8), tail = secret_pair(48) ^ last;
  const u128 product = (u128)(secret_pair(32) ^ first ^ last) * PRIME64_1;
  uint64_t low = (uint64_t)product + ((uint64_t)(n - 1) << 54);
  const uint64_t high =
      (uint64_t)(product >> 64) + tail + (uint64_t)(uint32_t)tail * (PRIME32_2 - 1);
  low ^= __builtin_bswap64(high);
  const u128 mixed = (u128)low * PRIME64_2;
  return (rpi_hash128){avalanche((uint64_t)mixed),
                       avalanche((uint64_t)(mixed >> 64) + high * PRIME64_2)};
}

/* ---- up to 240 bytes ---- */

static uint64_t mix(const uint8_t *p, int32_t at) {
  return fold(word64(p) ^ word64(secret + at), word64(p + 8) ^ word64(secret + at + 8));
}

static void mix_two(uint64_t acc[2], const uint8_t *p, const uint8_t *q, int32_t at) {
  acc[0] += mix(p, at);
  acc[1] += mix(q, at + 16);
  acc[0] ^= word64(q) + word64(q + 8);
  acc[1] ^= word64(p) + word64(p + 8);
}

static uint64_t middle64(const uint8_t *p, size_t n) {
  uint64_t acc = n * PRIME64_1;
  if (n <= 128) {
    for (int32_t i = (int32_t)((n - 1) >> 5); i >= 0; i--)
      acc += mix(p + 16 * i, 32 * i) + mix(p + n - 16 * i - 16, 32 * i + 16);
    return avalanche(acc);
  }
  for (int32_t i = 0; i < 8; i++) acc += mix(p + 16 * i, 16 * i);
  acc = avalanche(acc);
  for (int32_t i = 8; i < (int32_t)(n >> 4); i++) acc += mix(p + 16 * i, 16 * (i - 8) + 3);
  return avalanche(acc + mix(p + n - 16, 119));
}

static rpi_hash128 middle128(const uint8_t *p, size_t n) {
  uint64_t acc[2] = {n * PRIME64_1, 0};
  if (n <= 128) {
    for (int32_t i = (int32_t)((n - 1) >> 5); i >= 0; i--)
      mix_two(acc, p + 16 * i, p + n - 16 * i - 16, 32 * i);
  } else {
    for (int32_t i = 0; i < 4; i++) mix_two(acc, p + 32 * i, p + 32 * i + 16, 32 * i);
    acc[0] = avalanche(acc[0]);
    acc[1] = avalanche(acc[1]);
    for (int32_t i = 4; i < (int32_t)(n >> 5); i++)
      mix_two(acc, p + 32 * i, p + 32 * i + 16, 32 * (i - 4) + 3);
    mix_two(acc, p + n - 16, p + n - 32, 103);
  }
  const uint64_t high = acc[0] * PRIME64_1 + acc[1] * PRIME64_4 + n * PRIME64_2;
  return (rpi_hash128){avalanche(acc[0] + acc[1]), 0 - avalanche(high)};
}

/* ---- more ---- */

static void accumulate(uint64_t *restrict acc, const uint8_t *stripe, int32_t at) {
  for (int32_t i = 0; i < LANES; i++) {
    const uint64_t word = word64(stripe + 8 * i), value = word ^ word64(secret + at + 8 * i);
    acc[i ^ 1] += word;
    acc[i] += (uint64_t)(uint32_t)value * (value >> 32);
  }
}

static void scramble(uint64_t *acc) {
  for (int32_t i = 0; i < LANES; i++)
    acc[i] = (acc[i] ^ (acc[i] >> 47) ^ word64(secret + SECRET - STRIPE + 8 * i)) * PRIME32_1;
}

static uint64_t merge(const uint64_t *acc, uint64_t value, int32_t at) {
  for (int32_t i = 0; i < LANES; i += 2)
    value +=
        fold(acc[i] ^ word64(secret + at + 8 * i), acc[i + 1] ^ word64(secret + at + 8 * i + 8));
  return avalanche(value);
}

/* The last block stays, even a whole one, and the last 64 bytes count once more. */
static void consume(uint64_t acc[LANES], const uint8_t *p, size_t n) {
  static const uint64_t start[LANES] = {PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3,
                                        PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1};
  const uint8_t *const last = p + n - STRIPE;
  memcpy(acc, start, sizeof start);
  for (; n > BLOCK; p += BLOCK, n -= BLOCK) {
    for (int32_t s = 0; s < STRIPES; s++) accumulate(acc, p + STRIPE * s, 8 * s);
    scramble(acc);
  }
  for (int32_t s = 0; s < (int32_t)((n - 1) / STRIPE); s++) accumulate(acc, p + STRIPE * s, 8 * s);
  accumulate(acc, last, SECRET - STRIPE - 7);
}

uint64_t rpi_xxh3_64(const void *data, size_t size) {
  uint64_t acc[LANES];
  if (size <= 16) return short64(data, size);
  if (size <= 240) return middle64(data, size);
  consume(acc, data, size);
  return merge(acc, size * PRIME64_1, 11);
}

rpi_hash128 rpi_xxh3_128(const void *data, size_t size) {
  uint64_t acc[LANES];
  if (size <= 16) return short128(data, size);
  if (size <= 240) return middle128(data, size);
  consume(acc, data, size);
  return (rpi_hash128){merge(acc, size * PRIME64_1, 11),
                       merge(acc, ~(size * PRIME64_2), SECRET - STRIPE - 11)};
}
