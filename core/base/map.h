/* SPDX-License-Identifier: Apache-2.0
 * core/base/map.h -- an open-addressing table from a 64-bit hash to pointers; the caller compares.
 * Several entries may share a hash. Not threadsafe. */
#ifndef RPI_MAP_H
#define RPI_MAP_H

#include "core/base/attr.h"

typedef struct rpi_map {
  struct rpi_map_slot {
    uint64_t hash;
    void *value; /* NULL: free */
  } * slots;
  int32_t n, cap; /* cap is a power of two, or 0 */
} rpi_map;

void rpi_map_init(rpi_map *m);
void rpi_map_deinit(rpi_map *m);
/* Walks the values with that hash: start with *it = -1; NULL at the end. */
void *rpi_map_next(const rpi_map *m, uint64_t hash, int32_t *it);
bool rpi_map_add(rpi_map *m, uint64_t hash, void *value);          /* false: out of memory */
bool rpi_map_remove(rpi_map *m, uint64_t hash, const void *value); /* backward-shift deletion */

#endif
