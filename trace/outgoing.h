/* SPDX-License-Identifier: Apache-2.0
 * trace/outgoing.h -- elements of a store that leave for the program, on each rank those that it asks for.
 *
 * Lives here: who holds what a rank wants, and how it comes there; what the program reads on all ranks alike.
 * Not here:   the other direction (supply.h), how ranks bring a box together (places.h), arguments (bindings/c).
 * How:        what is asked for is a range in C order of the view. Where the elements of a view are cut in closed form,
 *             its owners follow from it; each is told by a record (core/comm/route.h), and sends one message, which
 *             arrives where the caller wants it. An array that is cut in boxes brings its ranks rows first. Else the
 *             array is gathered. */
#ifndef RPI_OUTGOING_H
#define RPI_OUTGOING_H

#include "trace/context.h"

/* Elements lo..lo+n-1 come to `data`; `mine` is what this rank's arguments came to. Collective; an error is all ranks'. In
 * a dry run they are zeros. */
rp_status rpi_outgoing_share(rp_context *ctx, rp_store *s, rp_status mine, int64_t lo, int64_t n,
                             void *data);

/* The elements of a box of the store, in C order, on every rank: waits for what they need. In a dry run they are the knob
 * stub. RP_ERR_DATA: they are poisoned. `call` opens its sentence. `data` is NULL for followers of a crew, which do not ask. */
rp_status rpi_outgoing_box(rp_context *ctx, const char *call, rp_store *s, const rpi_geom *box,
                           void *data);

#endif
