/* SPDX-License-Identifier: Apache-2.0
 * core/exec/invert.h -- the inverse of an array of keys: for each value, where it stands.
 * Lives here: the sort, as the C function of an opaque op. Not here: who asks for it, and when (trace/scatter.h).
 * How:        a stable counting sort in two walks over the keys; the counters are the result's own. */
#ifndef RPI_INVERT_H
#define RPI_INVERT_H

#include "core/model/dtype.h"

/* `key`: n integers of that dtype. n_count + 1 elements of `count`, and as many as n of each `point`, are written, 8 bytes
 * wide if `wide`, else 4: points with key j are count[j] up to count[j + 1], which is not in it, in the order of the
 * keys; point[d][k] is the coordinate on axis d of a space of `rank` axes, whose extents from the second on are
 * `extent`. A key that is not in 0..n_count-1 counts as the nearest that is, and makes the result 1, else 0. */
typedef struct rpi_invert_space {
  int64_t rank;
  int64_t extent[RP_MAX_DIM - 1];
} rpi_invert_space;

int rpi_invert(rp_dtype dtype, bool wide, const rpi_invert_space *space, const void *key, int64_t n,
               void *count, int64_t n_count, void *const point[RP_MAX_DIM]);

#endif
