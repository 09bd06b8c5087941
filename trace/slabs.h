/* SPDX-License-Identifier: Apache-2.0
 * trace/slabs.h -- a box cut into an inner one and what lies around it.
 * Lives here: the geometry alone. Not here: which kernels are cut so, and their words (distribute_impl.h). */
#ifndef RPI_SLABS_H
#define RPI_SLABS_H

#include "core/model/geom.h"

/* lo <= index < hi on each axis. */
typedef struct rpi_slab {
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM];
} rpi_slab;

enum { RPI_SLABS_MOST = 1 + 2 * RP_MAX_DIM };

/* The inner box as it is worth running by itself: one that is narrower than `box` on the last axis keeps `rows` of the
 * first at most. False: too little, less than half of the box, was there. */
bool rpi_slabs_inner(int32_t ndim, const rpi_slab *box, int64_t rows, rpi_slab *inner);
/* The inner box and then all else of `box`: two for each axis at most, as wide as the box on the axes behind, so that
 * only those of the last axis have short rows. Their number. */
int32_t rpi_slabs_cut(int32_t ndim, const rpi_slab *box, const rpi_slab *inner,
                      rpi_slab out[RPI_SLABS_MOST]);

#endif
