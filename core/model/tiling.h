/* SPDX-License-Identifier: Apache-2.0
 * core/model/tiling.h -- how an array is shared out among ranks: closed forms, axis by axis.
 *
 * Lives here: tilings, which tile a rank has, and how views' axes lie along an array's. Pure arithmetic.
 * Not here:   one axis (cuts.h), who computes what (trace/grid.h), which tiling an array gets (trace/places.h).
 * How:        ranks form a grid, numbered in row-major order, and each axis is cut on its own. The axes are those of
 *             the array; or there is one, the line of all elements in C order, which may be cut in the middle of a row.
 * Invariants: each element is in one tile; tiles may be empty. Nothing loops over ranks. */
#ifndef RPI_TILING_H
#define RPI_TILING_H

#include "core/model/cuts.h"
#include "core/model/geom.h"

typedef struct rpi_tiling {
  int32_t ndim; /* 1: a line, whatever the array's shape; else the array's axes */
  int32_t ranks;
  rpi_cuts axis[RP_MAX_DIM]; /* axis[d].ranks parts of axis d */
} rpi_tiling;

static inline bool rpi_tiling_is_line(const rpi_tiling *t) { return t->ndim == 1; }
rpi_tiling rpi_tiling_line(const rpi_cuts *c);
/* A tiling by the array's axes; ranks follow from them. */
rpi_tiling rpi_tiling_grid(int32_t ndim, const rpi_cuts *axis);
bool rpi_tiling_equal(const rpi_tiling *a, const rpi_tiling *b);
/* The same tiles by the axes of an array of this shape; false: it is a line that is cut in the middle of rows. */
bool rpi_tiling_by_axes(const rpi_tiling *t, int32_t bdim, const int64_t *bshape, rpi_tiling *out);

/* Where a rank is in the grid. */
void rpi_tiling_place(const rpi_tiling *t, int32_t rank, int32_t *at);
int32_t rpi_tiling_rank(const rpi_tiling *t, const int32_t *at);
/* The tile lo <= index < hi; false: it is empty. */
bool rpi_tiling_tile(const rpi_tiling *t, int32_t rank, int64_t *lo, int64_t *hi);
/* From the tile's first element to its last, which is not in it, in C order; both the same if it is empty. */
void rpi_tiling_hull(const rpi_tiling *t, int32_t rank, int64_t *lo, int64_t *hi);
/* The tile as a box of the elements of an array of the tiling's axes; false: it is empty. */
bool rpi_tiling_box(const rpi_tiling *t, int32_t rank, rpi_geom *out);

/* Index i of an axis of a view is index start + step*i of an axis of the array. */
typedef struct rpi_tiling_map {
  int32_t axis; /* -1: no axis of the array (extent 1, or repeated elements) */
  int64_t start;
  int64_t step; /* not 0 */
} rpi_tiling_map;

/* The map of each axis of a view of an array of shape bshape[bdim], and the index at[] of its first element; false where
 * axes do not lie along axes (diagonals, reshapes, windows), and of views without elements. */
bool rpi_tiling_axes(const rpi_geom *view, int32_t bdim, const int64_t *bshape, rpi_tiling_map *map,
                     int64_t *at);

#endif
