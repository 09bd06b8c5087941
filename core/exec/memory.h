/* SPDX-License-Identifier: Apache-2.0
 * core/exec/memory.h -- memory of arrays: size classes over large aligned blocks.
 *
 * Lives here: rpi_memory, the allocator of one context.
 * Not here:   who owns an instance, scratch plans.
 * How:        sizes are rounded up to a class (64-byte steps, then eight classes per power of two);
 *             a freed block goes to its class's list and serves the next request in O(1) without
 *             a system call. Blocks of 2 MiB and more are 2 MiB-aligned mappings with huge pages
 *             asked for. The lists keep everything until destroy or rpi_memory_trim (out of memory:
 *             trim, then retry once). A mapping holds a page more than its block, so that a block can
 *             begin at any line of a page (its phase): equal indices of different arrays should not
 *             share cache sets (1.3x with 24 arrays), but what is read and written at neighbouring
 *             indices should enter its pages together (1.2x on a stencil), so each phase is a line
 *             after the last unless one is asked for.
 * Threads:    the context's thread only. All memory is 64-byte aligned. At least 64 readable bytes follow every
 *             block. */
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
/* NULL with the status message set when out of memory. `size` 0 is allowed. Contents undefined. A large
 * block has the phase of `like`, if there is one and the block comes from a mapping. */
void *rpi_memory_get(rpi_memory *m, size_t size, const void *like);
/* `size` as requested. */
void rpi_memory_put(rpi_memory *m, void *p, size_t size);
/* Returns what is free to the system. */
void rpi_memory_trim(rpi_memory *m);
void rpi_memory_stats_get(const rpi_memory *m, rpi_memory_stats *out);

#endif
