/* SPDX-License-Identifier: Apache-2.0
 * core/model/hull.h -- a range of an array's bytes, from the first to the last of a set of them.
 * Lives here: the range and its union. Not here: which bytes are held (residence.h) or touched (trace/touch.h). */
#ifndef RPI_HULL_H
#define RPI_HULL_H

#include "core/base/attr.h"

/* Bytes lo..hi-1; none: both are 0. */
typedef struct rpi_hull {
  int64_t lo, hi;
} rpi_hull;

static inline bool rpi_hull_is_empty(rpi_hull h) { return h.lo >= h.hi; }

/* Is all of `part` in it? */
static inline bool rpi_hull_has(rpi_hull h, rpi_hull part) {
  return rpi_hull_is_empty(part) || (h.lo <= part.lo && part.hi <= h.hi);
}

/* The smallest that has both. */
static inline rpi_hull rpi_hull_join(rpi_hull a, rpi_hull b) {
  if (rpi_hull_is_empty(b)) return a;
  if (rpi_hull_is_empty(a)) return b;
  return (rpi_hull){a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi};
}

#endif
