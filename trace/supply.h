/* SPDX-License-Identifier: Apache-2.0
 * trace/supply.h -- values that the program has in parts become those of a store.
 *
 * Lives here: asking for the elements that this rank holds; moving elements from the ranks that have them to those
 *             that hold them.
 * Not here:   where elements wait until all ranks have theirs (incoming.h), arguments (bindings/c/api_ranks.c).
 * How:        an array that all ranks hold is supplied on each; handed over in shares, it is gathered from equal pieces.
 *             Shares lie in the order of ranks, so a scan of their sizes says where each begins; a piece goes straight
 *             from the caller's memory to where it stays. Who gets one is told by a record (core/comm/route.h).
 * Both are collective, cut the segment as a host write does, and change the store on all ranks or on none. In a dry run
 * nothing is asked for or moved. */
#ifndef RPI_SUPPLY_H
#define RPI_SUPPLY_H

#include "trace/context.h"

/* See rp_store_supply. The store may be written. */
rp_status rpi_supply_ask(rp_context *ctx, rp_store *s, rp_supply_fn *fn, void *arg);
/* The same in a crew: rank 0 asks for all elements and hands them over, the others have a share of none. */
rp_status rpi_supply_first(rp_context *ctx, rp_store *s, rp_supply_fn *fn, void *arg);
/* See rp_store_write_share: n elements, `mine` is what this rank's arguments came to. */
rp_status rpi_supply_share(rp_context *ctx, rp_store *s, rp_status mine, const void *data,
                           int64_t n);

#endif
