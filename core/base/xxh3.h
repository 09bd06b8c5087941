/* SPDX-License-Identifier: Apache-2.0
 * core/base/xxh3.h -- XXH3 (Collet, the xxHash specification 0.2) with seed 0 and the default secret, for builds
 * without libxxhash: the same numbers, so that caches and checkpoints of all builds fit each other. */
#ifndef RPI_XXH3_H
#define RPI_XXH3_H

#include "core/base/hash.h"

rpi_hash128 rpi_xxh3_128(const void *data, size_t size);
uint64_t rpi_xxh3_64(const void *data, size_t size);

#endif
