/* SPDX-License-Identifier: Apache-2.0
 * trace/rows.c -- see rows.h. */
#include "trace/rows.h"

#include <string.h>

int64_t rpi_rows_gcd(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t r = a % b;
    a = b;
    b = r;
  }
  return a < 0 ? -a : a;
}

/* For b > 0, towards minus infinity: offsets can be negative. */
static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static int64_t floor_mod(int64_t a, int64_t b) { return a - floor_div(a, b) * b; }

int64_t rpi_rows_at(const rpi_rows *s, int32_t r) {
  if (r <= 0) return 0;
  if (r >= s->cuts.ranks) return s->extent;
  const int64_t at = rpi_cuts_at(&s->cuts, r);
  int64_t row = at <= s->first ? 0 : (at - s->first + s->step - 1) / s->step;
  if (s->leaf > 1) row = (row + s->leaf / 2) / s->leaf * s->leaf;
  return row < s->extent ? row : s->extent;
}

void rpi_rows_wide(const rpi_rows *s, int64_t leaf, int32_t r, int64_t *lo, int64_t *hi) {
  *lo = rpi_rows_at(s, r) / leaf * leaf;
  *hi = (rpi_rows_at(s, r + 1) + leaf - 1) / leaf * leaf;
  if (*hi > s->extent) *hi = s->extent;
}

/* The first element of a row's hull and how far it reaches, over all axes but the first. */
void rpi_rows_hull(const rpi_geom *g, int64_t *first, int64_t *span) {
  *first = g->offset;
  *span = 0;
  for (int32_t d = 1; d < g->ndim; d++) {
    const int64_t reach = g->stride[d] * (g->shape[d] - 1);
    if (reach < 0) *first += reach;
    *span += reach < 0 ? -reach : reach;
  }
}

/* The rows of a space by an operand of an array with these cuts, if none of them lies in two ranks' ranges. */
bool rpi_rows_by(const rpi_cuts *cuts, const rpi_geom *g, int64_t extent, rpi_rows *out) {
  int64_t span;
  *out = (rpi_rows){.cuts = *cuts, .extent = extent, .step = g->stride[0], .leaf = 1};
  rpi_rows_hull(g, &out->first, &span);
  if (out->step <= 0) return false;
  const int64_t cell = rpi_rows_gcd(out->step, cuts->grain);
  return floor_mod(out->first + cuts->offset, cell) + span < cell;
}

/* Cuts with which an operand of another array is cut where these rows are: row i begins at step*i, and every piece is
 * a number of rows. */
bool rpi_rows_cuts(const rpi_rows *s, const rpi_geom *g, int64_t n, rpi_cuts *out) {
  int64_t first, span;
  const int64_t step = g->stride[0];
  rpi_rows_hull(g, &first, &span);
  if (step <= 0 || span >= step || s->cuts.grain % s->step != 0) return false;
  *out = s->cuts;
  out->n = n;
  out->grain = s->cuts.grain / s->step * step;
  if (first % step + span < step) first -= first % step; /* where a row of the array begins */
  out->offset = floor_div(s->first + s->cuts.offset, s->step) * step - first;
  return true;
}

/* Cut alike: row by row (see rpi_rows_cuts), or by the same array in the same way. */
bool rpi_rows_same(const rpi_rows *a, const rpi_rows *b) {
  if (a->cuts.units != b->cuts.units) return false;
  if (a->cuts.grain % a->step == 0 && b->cuts.grain % b->step == 0)
    return a->cuts.grain / a->step == b->cuts.grain / b->step &&
           floor_div(a->first + a->cuts.offset, a->step) ==
               floor_div(b->first + b->cuts.offset, b->step);
  const int64_t cell = rpi_rows_gcd(a->step, a->cuts.grain);
  return memcmp(&a->cuts, &b->cuts, sizeof a->cuts) == 0 && a->step == b->step &&
         floor_div(a->first + a->cuts.offset, cell) == floor_div(b->first + b->cuts.offset, cell);
}

static bool has_at_least(const rpi_rows *s, int64_t row, int64_t least) {
  const int32_t r = rpi_cuts_owner(&s->cuts, s->first + row * s->step);
  return rpi_rows_at(s, r + 1) - rpi_rows_at(s, r) >= least;
}

/* Between the ranks of the first row and the last all have whole pieces of the cuts. */
bool rpi_rows_at_least(const rpi_rows *s, int64_t least) {
  if (least <= 1 || s->extent == 0) return true;
  if (!has_at_least(s, 0, least) || !has_at_least(s, s->extent - 1, least)) return false;
  return rpi_cuts_owner(&s->cuts, s->first) + 1 >=
             rpi_cuts_owner(&s->cuts, s->first + (s->extent - 1) * s->step) ||
         s->cuts.units / s->cuts.ranks * s->cuts.grain / s->step >= least;
}

bool rpi_rows_at_leaves(const rpi_rows *s, int64_t leaf) {
  return s->cuts.grain % (s->step * leaf) == 0 &&
         floor_mod(floor_div(s->first + s->cuts.offset, s->step), leaf) == 0;
}
