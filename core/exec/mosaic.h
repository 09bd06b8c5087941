/* SPDX-License-Identifier: Apache-2.0
 * core/exec/mosaic.h -- a box of an array, of which each rank has a piece, comes together on all ranks.
 *
 * Lives here: which piece a rank has, where it travels, and putting pieces where they belong.
 * Not here:   ranges of memory, which need no packing (core/comm/collect.h); which pieces there are (the caller).
 * How:        ranks are a grid, numbered in row-major order, and each axis of it cuts one axis of the box. Pieces travel
 *             behind each other in the order of ranks, so that where each begins is a closed form; those that are
 *             not empty are found axis by axis, by bisection.
 * Invariant:  work and memory are proportional to the box, not to the number of ranks.
 * Collective. */
#ifndef RPI_MOSAIC_H
#define RPI_MOSAIC_H

#include "core/comm/comm.h"
#include "core/model/geom.h"

typedef struct rpi_mosaic {
  int32_t n;                  /* axes of the grid */
  int32_t ranks[RP_MAX_DIM];  /* places along each of them */
  int32_t axis[RP_MAX_DIM];   /* of the box, which it cuts; -1: none, and one place has all */
  int64_t extent[RP_MAX_DIM]; /* of that axis; if there is none, 1 */
  /* Where along axis k of the grid the piece of place `at` begins, 0..ranks[k]: nondecreasing, from 0 to the extent. */
  int64_t (*begin)(const void *arg, int32_t k, int32_t at);
  const void *arg;
} rpi_mosaic;

/* Points of the pieces of all ranks before this one (0..all ranks), of a box of so many. */
int64_t rpi_mosaic_before(const rpi_mosaic *m, int64_t points, int32_t rank);
/* The first rank from this one on whose piece is not empty; as many as there are ranks: none. */
int32_t rpi_mosaic_next(const rpi_mosaic *m, int32_t rank);
/* Every rank's piece, with elements of `elem` bytes, from where it is in the box `there` of the array at `from`, comes
 * to where it belongs in the box `here`, of the same shape, at `to`; `to` may be `from` with the same box. RP_ERR_MEMORY:
 * the box is packed. */
rp_status rpi_mosaic_gather(rpi_comm *comm, const rpi_mosaic *m, int32_t elem,
                            const rpi_geom *there, const void *from, const rpi_geom *here,
                            void *to);

#endif
