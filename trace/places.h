/* SPDX-License-Identifier: Apache-2.0
 * trace/places.h -- where buffers are valid among ranks, outside of plans: tilings by their numbers, what the host
 * reads and writes, and what becomes of ranks that cannot go on.
 * Not here:   what plans do (distribute.h), closed forms (core/model/tiling.h).
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
/* Every rank gets its part of a line (rpi_places_as_line) of a buffer that is cut in boxes, beside its own tile: until the
 * buffer is written it is valid at both. */
rp_status rpi_places_lines(rp_context *ctx, rpi_buffer *b, const rpi_tiling *line);
/* The elements of a box of the buffer, which has an instance, in C order, on every rank. The buffer stays in parts if
 * the box's axes lie along its own, or its elements are in the order of memory; else all of it comes to all. In a crew
 * only rank 0 asks, but while a pass repeats itself: `data` of the others is not touched. */
rp_status rpi_places_read(rp_context *ctx, rpi_buffer *b, const rpi_geom *box, void *data);
/* Makes range_lo and range_hi true: bounds of an integer buffer's values on all ranks (index_range.h). */
rp_status rpi_places_index_range(rp_context *ctx, rpi_buffer *b);

/* Of a new context that has its ranks. */
void rpi_places_begin(rp_context *ctx);
/* How an array is cut that no other tells; false: too small, every rank holds all of it. v NULL: unknown. */
bool rpi_places_default(const rp_context *ctx, const rpi_view *v, rpi_cuts *out);
/* How an array of several axes is cut along more than the first; false: it is not. */
bool rpi_places_grid(rp_context *ctx, const rpi_view *v, rpi_tiling *out);
/* The line that a buffer is cut by, or, if it is cut in boxes, by which its elements would come; false: none. */
bool rpi_places_as_line(const rp_context *ctx, const rpi_buffer *b, rpi_tiling *out);
/* The place that a tiling is, or a line's; RPI_PLACE_WHOLE and a status message without memory for it. */
uint32_t rpi_places_number(rp_context *ctx, const rpi_tiling *t);
uint32_t rpi_places_line(rp_context *ctx, const rpi_cuts *c);
/* The tiling that a place >= RPI_PLACE_TILED is; until the next new one. */
static inline const rpi_tiling *rpi_places_tiling(const rp_context *ctx, uint32_t place) {
  return &ctx->tiling[place - RPI_PLACE_TILED];
}
/* Is it a tiling of the line of all elements, or one of several axes? */
static inline bool rpi_places_is_line(const rp_context *ctx, uint32_t place) {
  return place >= RPI_PLACE_TILED && rpi_tiling_is_line(rpi_places_tiling(ctx, place));
}
static inline bool rpi_places_is_grid(const rp_context *ctx, uint32_t place) {
  return place >= RPI_PLACE_TILED && !rpi_tiling_is_line(rpi_places_tiling(ctx, place));
}
/* Tilings that no array has are given up. Only while there are no plans. */
void rpi_places_forget(rp_context *ctx);
/* Where the buffer is to be valid when the host has written all of it. */
rp_status rpi_places_host(rp_context *ctx, const rpi_buffer *b, uint32_t *place);

#endif
