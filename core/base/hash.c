/* SPDX-License-Identifier: Apache-2.0
 * core/base/hash.c -- XXH3 (Collet, the xxHash specification) as the library's one hash: libxxhash's where the build
 * found it, which uses vectors, else core/base/xxh3.c. The numbers are part of the names of files in the kernel cache,
 * and of checkpoints: seed 0, no secret. */
#include "core/base/hash.h"

#ifdef RPI_HAVE_XXHASH
#include <xxhash.h>

rpi_hash128 rpi_hash_bytes(const void *data, size_t size) {
  XXH128_hash_t h = XXH3_128bits(data, size);
  return (rpi_hash128){.lo = h.low64, .hi = h.high64};
}

uint64_t rpi_hash_bytes64(const void *data, size_t size) { return XXH3_64bits(data, size); }
#else
#include "core/base/xxh3.h"

rpi_hash128 rpi_hash_bytes(const void *data, size_t size) { return rpi_xxh3_128(data, size); }

uint64_t rpi_hash_bytes64(const void *data, size_t size) { return rpi_xxh3_64(data, size); }
#endif

void rpi_hash_hex(rpi_hash128 h, char *out) {
  static const char digit[] = "0123456789abcdef";
  for (int32_t i = 0; i < 16; i++) {
    out[i] = digit[(h.hi >> (60 - 4 * i)) & 15];
    out[16 + i] = digit[(h.lo >> (60 - 4 * i)) & 15];
  }
  out[32] = '\0';
}
