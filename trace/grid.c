/* SPDX-License-Identifier: Apache-2.0
 * trace/grid.c -- see grid.h. */
#include "trace/grid.h"

#include <string.h>

static void begin(rpi_grid *g, const rpi_geom *operand, int32_t n, int32_t ranks) {
  memset(g, 0, sizeof *g);
  g->n = n;
  g->ranks = ranks;
  g->rank = operand->ndim;
  memcpy(g->extent, operand->shape, sizeof g->extent);
}

/* The axis of the view that lies along an axis of the array; -1: none does. */
static int32_t driver(const rpi_tiling_map *map, int32_t ndim, int32_t b) {
  for (int32_t d = 0; d < ndim; d++)
    if (map[d].axis == b) return d;
  return -1;
}

bool rpi_grid_by(const rpi_tiling *t, const rpi_geom *operand, const int64_t *bshape,
                 rpi_grid *out) {
  rpi_tiling_map map[RP_MAX_DIM];
  int64_t at[RP_MAX_DIM];
  if (!rpi_tiling_axes(operand, t->ndim, bshape, map, at)) return false;
  begin(out, operand, t->ndim, t->ranks);
  for (int32_t b = 0; b < t->ndim; b++) {
    const int32_t d = driver(map, operand->ndim, b);
    if (d >= 0 && map[d].step < 0) return false;
    out->axis[b] = (rpi_grid_axis){.axis = d,
                                   .leaf = 1,
                                   .rows = {.cuts = t->axis[b],
                                            .first = at[b],
                                            .step = d >= 0 ? map[d].step : 1,
                                            .extent = d >= 0 ? operand->shape[d] : 1,
                                            .leaf = 1}};
  }
  return true;
}

void rpi_grid_rows(const rpi_rows *rows, int64_t leaf, const rpi_geom *operand, rpi_grid *out) {
  begin(out, operand, 1, (int32_t)rows->cuts.ranks);
  out->axis[0] = (rpi_grid_axis){.axis = 0, .rows = *rows, .leaf = leaf};
}

bool rpi_grid_box(const rpi_grid *g, int32_t r, int64_t *lo, int64_t *hi) {
  bool any = true;
  for (int32_t d = 0; d < g->rank; d++) {
    lo[d] = 0;
    hi[d] = g->extent[d];
    any = any && hi[d] > 0;
  }
  for (int32_t k = g->n - 1; k >= 0; k--) {
    const rpi_grid_axis *a = &g->axis[k];
    const int32_t ranks = (int32_t)a->rows.cuts.ranks, at = r % ranks;
    int64_t from, to;
    r /= ranks;
    any = any && rpi_rows_at(&a->rows, at) < rpi_rows_at(&a->rows, at + 1);
    if (a->axis < 0) continue;
    rpi_rows_wide(&a->rows, a->leaf, at, &from, &to);
    lo[a->axis] = from;
    hi[a->axis] = to;
  }
  return any;
}

/* The last rank that begins at or before row i. */
static int32_t holder(const rpi_rows *s, int64_t i) {
  int64_t lo = 0, hi = s->cuts.ranks;
  while (hi - lo > 1) {
    const int64_t mid = lo + (hi - lo) / 2;
    if (rpi_rows_at(s, (int32_t)mid) <= i)
      lo = mid;
    else
      hi = mid;
  }
  return (int32_t)lo;
}

void rpi_grid_holders(const rpi_grid *g, int32_t k, int64_t from, int64_t to, int32_t *first,
                      int32_t *last) {
  const rpi_grid_axis *a = &g->axis[k];
  int64_t end = (to + a->leaf - 1) / a->leaf * a->leaf;
  if (end > a->rows.extent) end = a->rows.extent;
  *first = holder(&a->rows, from / a->leaf * a->leaf);
  *last = holder(&a->rows, end - 1);
}

bool rpi_grid_tiling(const rpi_grid *g, const rpi_geom *operand, int32_t bdim,
                     const int64_t *bshape, rpi_tiling *out) {
  rpi_tiling_map map[RP_MAX_DIM];
  rpi_cuts axis[RP_MAX_DIM];
  int64_t at[RP_MAX_DIM];
  int32_t next = 0; /* axes come in the order of the grid's, for ranks are numbered by them */
  if (bdim == 0 || !rpi_tiling_axes(operand, bdim, bshape, map, at)) return false;
  for (int32_t b = 0; b < bdim; b++)
    axis[b] = (rpi_cuts){.n = bshape[b], .grain = bshape[b], .units = 1, .ranks = 1};
  for (int32_t k = 0; k < g->n; k++) {
    const rpi_grid_axis *a = &g->axis[k];
    if (a->rows.cuts.ranks == 1) continue;
    const int32_t b = a->axis >= 0 ? map[a->axis].axis : k;
    if (b < next || b >= bdim || a->leaf > 1 || a->rows.leaf > 1) return false;
    if (a->axis < 0 && driver(map, operand->ndim, b) >= 0) return false;
    const rpi_geom along = {.ndim = 1,
                            .offset = at[b],
                            .shape = {a->rows.extent},
                            .stride = {a->axis >= 0 ? map[a->axis].step : 1}};
    if (!rpi_rows_cuts(&a->rows, &along, bshape[b], &axis[b])) return false;
    next = b + 1;
  }
  *out = rpi_tiling_grid(bdim, axis);
  return out->ranks == g->ranks;
}

bool rpi_grid_same(const rpi_grid *a, const rpi_grid *b) {
  int32_t k = 0, q = 0;
  for (;; k++, q++) { /* axes of one rank say nothing */
    while (k < a->n && a->axis[k].rows.cuts.ranks == 1) k++;
    while (q < b->n && b->axis[q].rows.cuts.ranks == 1) q++;
    if (k == a->n || q == b->n) return k == a->n && q == b->n;
    const rpi_grid_axis *x = &a->axis[k], *y = &b->axis[q];
    if (x->axis != y->axis || x->leaf != y->leaf || x->rows.cuts.ranks != y->rows.cuts.ranks ||
        x->rows.extent != y->rows.extent || !rpi_rows_same(&x->rows, &y->rows))
      return false;
  }
}
