/* SPDX-License-Identifier: Apache-2.0
 * trace/margins.h -- what ranks read beyond their own tiles of arrays that are cut along axes, as messages.
 *
 * Lives here: such needs in closed form, and the messages of one rank that follow.
 * Not here:   arrays whose line of elements is cut, read by rows (needs.h); needs that are no closed form
 *             (core/exec/image.h).
 * How:        a rank's box of a space is, through a view whose axes lie along the array's, a box of the array. What is read
 *             of one owner is the hull of what each of the needs has there: the corners of a tile, which a star-shaped
 *             stencil does not read, are not sent. Owners and readers along an axis are found by division, or bisection.
 * Invariant:  between two ranks there is one message for an array at most, in each direction, and both compute it from the
 *             same numbers. */
#ifndef RPI_MARGINS_H
#define RPI_MARGINS_H

#include "core/exec/plan.h"
#include "trace/grid.h"

/* Index i of axis `axis[b]` of the reader's space needs index first[b] + step[b]*i of axis b of the array. */
typedef struct rpi_margin {
  int32_t symbol, user; /* user: the caller's */
  rpi_tiling owner;     /* by the array's axes */
  rpi_grid reader;
  int32_t axis[RP_MAX_DIM]; /* -1: index first[b] */
  int64_t first[RP_MAX_DIM], step[RP_MAX_DIM];
} rpi_margin;

typedef struct rpi_margins {
  rpi_margin *list;
  int32_t n, cap;
  int32_t *peer; /* scratch */
  int32_t n_peer, cap_peer;
} rpi_margins;

/* The need of a grid of ranks through a view of an array of this shape and tiling; false: it is no box, or it would have
 * to be looked for at all ranks. */
bool rpi_margins_of(const rpi_grid *reader, const rpi_geom *view, const rpi_tiling *owner,
                    const int64_t *bshape, rpi_margin *out);
/* Of the reader's box lo..hi-1, which is a rank's or lies in it, what needs nothing of other ranks is left: in each axis
 * that the array is cut along. An empty box has hi <= lo in some axis. */
void rpi_margins_within(const rpi_margin *need, int32_t rank, int64_t *lo, int64_t *hi);
/* False without memory. */
bool rpi_margins_add(rpi_margins *m, const rpi_margin *one);
/* This rank's messages for all needs of a symbol, which have one owner tiling, with elements of `elem` bytes. False
 * without memory. */
bool rpi_margins_messages(rpi_margins *m, int32_t symbol, int32_t rank, int32_t elem,
                          rpi_plan_exchange *out);
void rpi_margins_deinit(rpi_margins *m);

#endif
