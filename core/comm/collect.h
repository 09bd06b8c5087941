/* SPDX-License-Identifier: Apache-2.0
 * core/comm/collect.h -- collective operations over messages, in log2(ranks) rounds.
 * Collective: all ranks call the same in the same order. Bits never depend on who arrives first. */
#ifndef RPI_COLLECT_H
#define RPI_COLLECT_H

#include "core/comm/comm.h"

/* Returns when all ranks have called it. */
rp_status rpi_collect_barrier(rpi_comm *c);
/* Joins `from`, what ranks to our right hold, to `into`, what ranks to our left hold: `into` then stands for both.
 * Sizes in bytes; *n may grow up to the room the caller gave. Must be associative, not commutative. */
typedef void rpi_collect_join(void *arg, void *into, int64_t *n, const void *from, int64_t m);
/* Every rank begins with *n bytes in data (room for `room`; the same on all ranks) and ends with the join of all
 * ranks' data in the order of ranks. */
rp_status rpi_collect_merge(rpi_comm *c, void *data, int64_t *n, int64_t room,
                            rpi_collect_join *join, void *arg);
/* *before becomes the sum of `n` (>= 0) over the ranks before this one, *all that over all ranks. A dry run: as if alone. */
rp_status rpi_collect_scan(rpi_comm *c, int64_t n, int64_t *before, int64_t *all);
/* The byte at which rank r's piece begins, nondecreasing; rank r's piece ends where r + 1's begins. Asked for
 * 0..size; of O(log size) ranks on each rank. */
typedef int64_t rpi_collect_bound(const void *arg, int32_t rank);
/* Every rank begins with its own piece of `data` in place and ends with all of them. */
rp_status rpi_collect_gather(rpi_comm *c, void *data, rpi_collect_bound *bound, const void *arg);

#endif
