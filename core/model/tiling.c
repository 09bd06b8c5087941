/* SPDX-License-Identifier: Apache-2.0
 * core/model/tiling.c -- see tiling.h. */
#include "core/model/tiling.h"

#include <string.h>

rpi_tiling rpi_tiling_line(const rpi_cuts *c) { return rpi_tiling_grid(1, c); }

rpi_tiling rpi_tiling_grid(int32_t ndim, const rpi_cuts *axis) {
  rpi_tiling t = {.ndim = ndim, .ranks = 1};
  memcpy(t.axis, axis, sizeof *axis * (size_t)ndim);
  for (int32_t d = 0; d < ndim; d++) t.ranks *= (int32_t)axis[d].ranks;
  return t;
}

bool rpi_tiling_equal(const rpi_tiling *a, const rpi_tiling *b) {
  return a->ndim == b->ndim && memcmp(a->axis, b->axis, sizeof *a->axis * (size_t)a->ndim) == 0;
}

bool rpi_tiling_by_axes(const rpi_tiling *t, int32_t bdim, const int64_t *bshape, rpi_tiling *out) {
  rpi_cuts axis[RP_MAX_DIM];
  int64_t row = 1;
  if (!rpi_tiling_is_line(t) || bdim == 1) {
    *out = *t;
    return t->ndim == bdim;
  }
  for (int32_t d = 1; d < bdim; d++) {
    row *= bshape[d];
    axis[d] = (rpi_cuts){.n = bshape[d], .grain = bshape[d], .units = 1, .ranks = 1};
  }
  axis[0] = t->axis[0];
  if (bdim == 0 || row == 0 || axis[0].grain % row != 0 || axis[0].offset % row != 0) return false;
  axis[0].n = bshape[0];
  axis[0].grain /= row;
  axis[0].offset /= row;
  *out = rpi_tiling_grid(bdim, axis);
  return true;
}

/* ---- tiles ---- */

void rpi_tiling_place(const rpi_tiling *t, int32_t rank, int32_t *at) {
  for (int32_t d = t->ndim - 1; d >= 0; d--) {
    at[d] = rank % (int32_t)t->axis[d].ranks;
    rank /= (int32_t)t->axis[d].ranks;
  }
}

int32_t rpi_tiling_rank(const rpi_tiling *t, const int32_t *at) {
  int32_t rank = 0;
  for (int32_t d = 0; d < t->ndim; d++) rank = rank * (int32_t)t->axis[d].ranks + at[d];
  return rank;
}

bool rpi_tiling_tile(const rpi_tiling *t, int32_t rank, int64_t *lo, int64_t *hi) {
  int32_t at[RP_MAX_DIM];
  bool any = true;
  rpi_tiling_place(t, rank, at);
  for (int32_t d = 0; d < t->ndim; d++) {
    lo[d] = rpi_cuts_at(&t->axis[d], at[d]);
    hi[d] = rpi_cuts_at(&t->axis[d], at[d] + 1);
    any = any && lo[d] < hi[d];
  }
  return any;
}

void rpi_tiling_hull(const rpi_tiling *t, int32_t rank, int64_t *lo, int64_t *hi) {
  int64_t from[RP_MAX_DIM], to[RP_MAX_DIM];
  const bool any = rpi_tiling_tile(t, rank, from, to);
  *lo = *hi = 0;
  if (!any && !rpi_tiling_is_line(t)) return;
  for (int32_t d = 0; d < t->ndim; d++) {
    *lo = *lo * t->axis[d].n + from[d];
    *hi = *hi * t->axis[d].n + to[d] - 1;
  }
  ++*hi;
}

bool rpi_tiling_box(const rpi_tiling *t, int32_t rank, rpi_geom *out) {
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM], shape[RP_MAX_DIM];
  if (!rpi_tiling_tile(t, rank, lo, hi)) return false;
  for (int32_t d = 0; d < t->ndim; d++) shape[d] = t->axis[d].n;
  rpi_geom_dense(t->ndim, shape, out);
  for (int32_t d = 0; d < t->ndim; d++) {
    out->offset += lo[d] * out->stride[d];
    out->shape[d] = hi[d] - lo[d];
  }
  return true;
}

/* ---- views ---- */

/* The axis of the array that a view's stride steps along, if it stays within it; bdim: none. */
static int32_t along(int64_t stride, int64_t count, int32_t bdim, const int64_t *bshape,
                     const int64_t *weight, const int64_t *at) {
  int32_t b = 0;
  while (b < bdim && (bshape[b] == 1 || stride % weight[b] != 0)) b++;
  if (b == bdim) return bdim;
  const int64_t step = stride / weight[b], room = step > 0 ? bshape[b] - 1 - at[b] : at[b];
  return count - 1 <= room / (step > 0 ? step : -step) ? b : bdim;
}

bool rpi_tiling_axes(const rpi_geom *view, int32_t bdim, const int64_t *bshape, rpi_tiling_map *map,
                     int64_t *at) {
  int64_t weight[RP_MAX_DIM], w = 1, rest = view->offset, lo, hi;
  uint32_t used = 0;
  if (!rpi_geom_span(view, &lo, &hi)) return false;
  for (int32_t b = bdim - 1; b >= 0; b--) {
    weight[b] = w;
    w *= bshape[b];
    at[b] = rest % bshape[b];
    rest /= bshape[b];
  }
  for (int32_t d = 0; d < view->ndim; d++) {
    map[d] = (rpi_tiling_map){-1, 0, 1};
    if (view->shape[d] == 1 || view->stride[d] == 0) continue;
    const int32_t b = along(view->stride[d], view->shape[d], bdim, bshape, weight, at);
    if (b == bdim || (used & (1u << b))) return false;
    used |= 1u << b;
    map[d] = (rpi_tiling_map){b, at[b], view->stride[d] / weight[b]};
  }
  return true;
}
