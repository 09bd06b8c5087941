/* SPDX-License-Identifier: Apache-2.0
 * core/exec/memory.h -- memory of arrays: size classes over large aligned blocks.
 *
 * Lives here: rpi_memory, the allocator of one context.
 * Not here:   who owns an instance, scratch plans.
 * How:        sizes are rounded up to a class (64-byte steps, then eight classes per power of two);
 *             a freed block goes to its class's list and serves the next request in O(1) without
 *             a system call. Blocks of 2 MiB and more are 2 MiB-aligned mappings with huge pages
 *             asked for. The lists keep everything until destroy or rpi_memory_trim (out of memory:
 *             trim, then retry once).
 * Threads:    the context's thread only. All memory is 64-byte aligned (>= 2 MiB: 2 MiB-aligned,
 *             staggered by a few cache lines per block so that equal indices of arrays do not share
 *             cache sets; then 64-byte aligned). At least 64 readable bytes follow every block. */
#ifndef RPI_MEMORY_H
#define RPI_MEMORY_H

#include "core/base/status.h"

typedef struct rpi_memory rpi_memory;

typedef struct rpi_memory_stats {
  int64_t system_calls; /* mappings and heap calls made */
  int64_t live, peak;   /* bytes handed out now, and at most so far */
  int64_t held;         /* bytes taken from the system */
} rpi_memory_stats;

rp_status rpi_memory_create(bool hugepages, rpi_memory **out);
/* What is handed out and not put back stays valid and is never freed. NULL is allowed. */
void rpi_memory_destroy(rpi_memory *m);
/* NULL with the status message set when out of memory. `size` 0 is allowed. Contents undefined. */
void *rpi_memory_get(rpi_memory *m, size_t size);
/* `size` as requested. */
void rpi_memory_put(rpi_memory *m, void *p, size_t size);
/* Returns what is free to the system. */
void rpi_memory_trim(rpi_memory *m);
void rpi_memory_stats_get(const rpi_memory *m, rpi_memory_stats *out);

#endif
