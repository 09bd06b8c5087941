/* SPDX-License-Identifier: Apache-2.0
 * core/base/hash.h -- the one structural hash: XXH3, 128 bits. A match is always followed by a full
 * comparison of what was hashed. */
#ifndef RPI_HASH_H
#define RPI_HASH_H

#include "core/base/attr.h"

typedef struct rpi_hash128 {
  uint64_t lo, hi;
} rpi_hash128;

rpi_hash128 rpi_hash_bytes(const void *data, size_t size);
uint64_t rpi_hash_bytes64(const void *data, size_t size);
static inline bool rpi_hash_equal(rpi_hash128 a, rpi_hash128 b) {
  return a.lo == b.lo && a.hi == b.hi;
}
/* 32 hex digits and a NUL into out[33]. */
void rpi_hash_hex(rpi_hash128 h, char *out);

#endif
