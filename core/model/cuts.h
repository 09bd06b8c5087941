/* SPDX-License-Identifier: Apache-2.0
 * core/model/cuts.h -- how the elements of an array are shared out among ranks: closed forms.
 *
 * Lives here: the tiling of an array's elements in C order into one consecutive range for each rank. It is
 *             partition.h's form for the leading axis, counted in elements, so that a view's rows can be
 *             asked about without knowing the array's shape.
 * How:        `units` pieces of `grain` elements are shared evenly: rank r begins at grain * floor(r*units/ranks) -
 *             offset; the first rank and the last take what lies outside. With the offset one array's tiling
 *             can follow another's through a view.
 * Invariants: nondecreasing in r; no loop over ranks anywhere. */
#ifndef RPI_CUTS_H
#define RPI_CUTS_H

#include "core/base/attr.h"

typedef struct rpi_cuts {
  int64_t n; /* elements of the array */
  int64_t grain, units, offset;
  int64_t ranks;
} rpi_cuts;

/* Where rank r's range begins (r 0..ranks). */
static inline int64_t rpi_cuts_at(const rpi_cuts *c, int32_t r) {
  if (r <= 0) return 0;
  if (r >= c->ranks) return c->n;
  const int64_t each = c->units / c->ranks, more = c->units % c->ranks; /* r * units may overflow */
  const int64_t at = (r * each + r * more / c->ranks) * c->grain - c->offset;
  return at < 0 ? 0 : at < c->n ? at : c->n;
}

/* The rank that holds element i (0 <= i < n). */
static inline int32_t rpi_cuts_owner(const rpi_cuts *c, int64_t i) {
  __extension__ typedef unsigned __int128 wide;
  int64_t unit = i + c->offset < 0 ? 0 : (i + c->offset) / c->grain;
  if (unit >= c->units) unit = c->units - 1;
  /* The last rank that begins at or before the unit; offsets may leave what lies outside to others. */
  int32_t r = (int32_t)(((wide)(unit + 1) * (wide)c->ranks - 1) / (wide)c->units);
  while (r > 0 && rpi_cuts_at(c, r) > i) r--;
  while (rpi_cuts_at(c, r + 1) <= i) r++;
  return r;
}

#endif
