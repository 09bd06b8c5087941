/* SPDX-License-Identifier: Apache-2.0
 * core/model/geom.h -- geometry: which elements of a buffer an affine access touches, in O(1).
 *
 * Lives here: the strided box (rpi_geom), the view operations on it, and the relations between two
 *             boxes of one buffer. Pure arithmetic: no allocation, no handles, thread-safe.
 * Not here:   gathers and other data-dependent accesses (they touch a whole operand); partitions.
 * How:        a box is offset + sum of stride[d]*i[d], 0 <= i[d] < shape[d], in elements of a dense
 *             C-order buffer. Relations decompose both boxes into one arithmetic progression per
 *             dimension of a common refinement of the buffer's axes (its own weights, and the
 *             strides of the boxes where they divide); two progressions meet iff the gcd test and
 *             the range test say so. What cannot be decomposed (diagonals, windows, odd reshapes)
 *             gets the conservative answer and `exact` = false. */
#ifndef RPI_GEOM_H
#define RPI_GEOM_H

#include "core/base/status.h"

typedef struct rpi_geom {
  int32_t ndim;
  int64_t offset;
  int64_t shape[RP_MAX_DIM];
  int64_t stride[RP_MAX_DIM]; /* elements; may be negative or 0; entries beyond ndim are 0 */
} rpi_geom;

/* Is it a shape? ndim in 0..RP_MAX_DIM, extents >= 0, and the product of the non-zero ones fits in
 * an int64_t (so strides of an empty array are safe too); else RP_ERR_SHAPE. *size is the number of
 * elements. */
rp_status rpi_geom_check(int32_t ndim, const int64_t *shape, int64_t *size);
/* The whole of a dense C-order array; the shape has passed rpi_geom_check. */
void rpi_geom_dense(int32_t ndim, const int64_t *shape, rpi_geom *out);
int64_t rpi_geom_size(const rpi_geom *g); /* number of elements (1 for rank 0) */
/* Smallest and largest linear index touched; false if there are no elements. */
bool rpi_geom_span(const rpi_geom *g, int64_t *lo, int64_t *hi);
/* Elements are consecutive in C order: axes of extent 1 are free, an empty box is dense. */
bool rpi_geom_is_dense(const rpi_geom *g);
/* C order is the order in memory, of different elements: each axis steps over all that those after it span. */
bool rpi_geom_ascends(const rpi_geom *g);
/* How many elements of a box that ascends lie before linear index `end`. */
int64_t rpi_geom_before(const rpi_geom *g, int64_t end);
/* No element is touched twice; exact where the box decomposes, else conservatively false (also for
 * a box that leaves its buffer). */
bool rpi_geom_injective(const rpi_geom *g, int32_t bdim, const int64_t *bshape);

/* The view operations of reprise.h; errors name the axis and the values: RP_ERR_ARGUMENT for axes,
 * indices, steps and bounds, RP_ERR_SHAPE for extents and ranks. `out` may be `g`. */
rp_status rpi_geom_slice(const rpi_geom *g, int32_t axis, int64_t start, int64_t stop, int64_t step,
                         rpi_geom *out);
rp_status rpi_geom_box(const rpi_geom *g, const int64_t *lo, const int64_t *hi, rpi_geom *out);
rp_status rpi_geom_transpose(const rpi_geom *g, const int32_t *axes, rpi_geom *out);
rp_status rpi_geom_promote(const rpi_geom *g, int32_t axis, int64_t extent, rpi_geom *out);
rp_status rpi_geom_project(const rpi_geom *g, int32_t axis, int64_t index, rpi_geom *out);
rp_status rpi_geom_broadcast(const rpi_geom *g, int32_t ndim, const int64_t *shape, rpi_geom *out);
rp_status rpi_geom_reshape(const rpi_geom *g, int32_t ndim, const int64_t *shape, rpi_geom *out);

/* The same element at the same index: equal shapes, offset, and strides of all axes longer than 1. */
bool rpi_geom_equal(const rpi_geom *a, const rpi_geom *b);

typedef struct rpi_relation {
  bool disjoint; /* no element in common */
  bool covers;   /* every element of b is one of a */
  bool exact;    /* false: the answers are the conservative ones (false, false) */
} rpi_relation;

/* How a and b, boxes of one buffer of shape bshape[bdim], relate as sets of elements. */
rpi_relation rpi_geom_relate(const rpi_geom *a, const rpi_geom *b, int32_t bdim,
                             const int64_t *bshape);

/* Merges axes of a joint iteration space where every box steps through them as through one: axes
 * d and d+1 merge if stride[d] == shape[d+1]*stride[d+1] in all n boxes. Axes of extent 1 vanish;
 * at least one axis is left (of stride 1 where none was; extent 0 if empty). All boxes have the
 * same shape on entry and on exit. Returns the rank. */
int32_t rpi_geom_collapse(rpi_geom *g, int32_t n);

enum { RPI_GEOM_SHAPE = 200 };
/* "(4, 6)", for sentences: writes it and returns buf. */
const char *rpi_geom_print_shape(int32_t ndim, const int64_t *shape, char buf[RPI_GEOM_SHAPE]);

/* "(4,6):(12,1)@+3" (extents, strides, offset) for dumps into buf; cut to fit, terminated. */
void rpi_geom_print(const rpi_geom *g, char *buf, size_t size);

#endif
