/* SPDX-License-Identifier: Apache-2.0
 * core/model/partition.h -- how an index space is cut into tiles, one per colour: symbolic.
 *
 * Lives here: partitions as closed forms, and the questions analysis and execution ask of them.
 *             Pure arithmetic: no allocation, no handles, thread-safe.
 * Not here:   who runs a colour, and which partition a segment chooses.
 * How:        a colour is a point of a grid with one axis per dimension, and a tile is a product of
 *             ranges, so that each dimension is cut on its own. A dimension of `extent` indices is
 *             cut in terms of a number v(x) = step*x + offset: colours 0..n-1 share `units` units
 *             of `grain` evenly, colour c begins where v reaches grain * floor(c*units/n); the
 *             first and the last take what lies outside. Fresh tilings have v(x) = x; the affine
 *             form is what makes them closed under views. As in Legion's and Legate's symbolic
 *             partitions, nothing here loops over colours, and no answer costs more for more.
 * Invariants: the tiles of a tiling are disjoint and hold every index exactly once; some may be
 *             empty. gcd(grain, step) is 1, which makes equal forms compare equal. */
#ifndef RPI_PARTITION_H
#define RPI_PARTITION_H

#include "core/model/geom.h"

enum {
  RPI_PARTITION_REPLICATED, /* every colour has all of it; one colour per dimension */
  RPI_PARTITION_TILING,
  RPI_PARTITION_IMAGE /* what data-dependent accesses of each colour reach: known when it runs */
};

/* Innermost axes are cut at multiples of this only: a leaf of a reduction (SEMANTICS.md 3). */
enum { RPI_PARTITION_LEAF = 1024 };

typedef struct rpi_partition_axis {
  int64_t extent;
  int64_t n_color; /* >= 1 */
  int64_t units;   /* >= 1 */
  int64_t grain;   /* >= 1 */
  int64_t step;    /* not 0; negative where a view runs backwards */
  int64_t offset;
} rpi_partition_axis;

typedef struct rpi_partition {
  int32_t kind;
  int32_t ndim;
  rpi_partition_axis axis[RP_MAX_DIM];
  int64_t image; /* IMAGE: the caller's number for the accesses; equal numbers, equal tiles */
} rpi_partition;

/* ---- making ---- */

void rpi_partition_replicate(int32_t ndim, const int64_t *shape, rpi_partition *out);
/* Cuts axis d into n_color[d] tiles whose bounds are multiples of align[d] (NULL: 1 everywhere), as
 * even as that allows. RP_ERR_ARGUMENT for a number of colours or an alignment below 1. */
rp_status rpi_partition_tile(int32_t ndim, const int64_t *shape, const int64_t *n_color,
                             const int64_t *align, rpi_partition *out);
/* The image under accesses number `image` in a space of this shape. */
void rpi_partition_image(int32_t ndim, const int64_t *shape, int64_t image, rpi_partition *out);

/* ---- tiles ---- */

/* The tile lo <= index < hi of a colour (one number per dimension, ignored where the dimension
 * is not cut); false if it is empty. Of an image: everything, which is what it may reach. */
bool rpi_partition_box(const rpi_partition *p, const int64_t *color, int64_t *lo, int64_t *hi);
/* The same, larger by before[d] below and after[d] above (>= 0), within the space. An empty tile
 * stays empty. */
bool rpi_partition_bloat(const rpi_partition *p, const int64_t *color, const int64_t *before,
                         const int64_t *after, int64_t *lo, int64_t *hi);
/* The colour that owns an index of a tiling (0 in every dimension otherwise). */
void rpi_partition_owner(const rpi_partition *p, const int64_t *index, int64_t *color);
/* The colours first..last (both included, per dimension) that can hold elements of the box
 * lo <= index < hi of the space; false if the box is empty. Others hold none. */
bool rpi_partition_meet(const rpi_partition *p, const int64_t *lo, const int64_t *hi,
                        int64_t *first, int64_t *last);
/* What entries first..last-1 of a sorted pointer array reach, given ptr[first] and ptr[last]: the
 * range lo <= index < hi within 0..extent; false if it is empty. */
bool rpi_partition_reach(int64_t ptr_first, int64_t ptr_last, int64_t extent, int64_t *lo,
                         int64_t *hi);

/* ---- comparing ---- */

/* The same tile for every colour. `false` may be caution: two forms that cut alike by chance. */
bool rpi_partition_equal(const rpi_partition *a, const rpi_partition *b);
/* Every colour of b finds its tile of b inside its tile of a, where a dimension that a does not cut
 * serves all of b's colours. `false` may be caution. */
bool rpi_partition_covers(const rpi_partition *a, const rpi_partition *b);

/* ---- views ---- */

/* Index i of an axis of a view is index start + step*i of `axis` of the buffer. */
typedef struct rpi_partition_map {
  int32_t axis; /* -1: no axis of the buffer (extent 1, or repeated elements) */
  int64_t start;
  int64_t step; /* not 0 */
} rpi_partition_map;

/* The map of each axis of a view of a buffer of shape bshape[bdim]; false where axes do not map to
 * axes: diagonals, reshapes, windows, and views without elements. */
bool rpi_partition_axes(const rpi_geom *view, int32_t bdim, const int64_t *bshape,
                        rpi_partition_map *map);
/* From a partition of the buffer to that of a view: tile c is what tile c of the buffer holds of
 * the view. Grid axes follow the axes of the view; where the view fixes an axis of the buffer, the
 * colour along it is that of rpi_partition_owner. False where impossible. */
bool rpi_partition_pull(const rpi_partition *p, const rpi_geom *view, rpi_partition *out);
/* From a partition of the view to one of its buffer of which tile c holds what tile c of the view
 * does. Axes of the buffer that the view fixes are not cut. False where impossible, such as cuts
 * along repeated elements. */
bool rpi_partition_push(const rpi_partition *p, const rpi_geom *view, int32_t bdim,
                        const int64_t *bshape, rpi_partition *out);

#endif
