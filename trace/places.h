/* SPDX-License-Identifier: Apache-2.0
 * trace/places.h -- where buffers are valid among ranks, outside of plans: tilings by their numbers, what the host reads and
 * writes, and what becomes of ranks that cannot go on.
 * Not here:   what plans do (distribute.h), closed forms (core/model/cuts.h).
 * Invariant:  places are functions of the program and the number of ranks: all ranks number tilings alike. */
#ifndef RPI_PLACES_H
#define RPI_PLACES_H

#include "trace/context.h"

/* Takes what a message between ranks came to: of a failure the first is kept in ctx->ranks_status, the other ranks are
 * told, and nothing is sent any more. Returns st. */
rp_status rpi_places_failed(rp_context *ctx, rp_status st);

/* The following are collective where the buffer is tiled; their failures are passed to rpi_places_failed. */

/* Every rank gets all of the buffer's values. */
rp_status rpi_places_gather(rp_context *ctx, rpi_buffer *b);
/* The elements of a box of the buffer, which has an instance, in C order, on every rank; the buffer may stay in parts. */
rp_status rpi_places_read(rp_context *ctx, rpi_buffer *b, const rpi_geom *box, void *data);
/* Makes range_lo and range_hi true: bounds of an integer buffer's values on all ranks (index_range.h). */
rp_status rpi_places_index_range(rp_context *ctx, rpi_buffer *b);

/* How an array is cut that no other tells; false: too small, every rank holds all of it. v NULL: unknown. */
bool rpi_places_default(const rp_context *ctx, const rpi_view *v, rpi_cuts *out);
/* The place that a tiling is; RPI_PLACE_WHOLE and a status message without memory for it. */
uint32_t rpi_places_number(rp_context *ctx, const rpi_cuts *c);
/* Tilings that no array has are given up. Only while there are no plans. */
void rpi_places_forget(rp_context *ctx);
/* Where the buffer is to be valid when the host has written all of it. */
rp_status rpi_places_host(rp_context *ctx, const rpi_buffer *b, uint32_t *place);

#endif
