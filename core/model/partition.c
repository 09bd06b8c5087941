/* SPDX-License-Identifier: Apache-2.0
 * core/model/partition.c -- the arithmetic of partitions.
 *
 * Lives here: the functions of partition.h. Not here: see there.
 * How:        with B(c) = grain * floor(c*units/n_color), a dimension gives index x to the largest
 *             colour c > 0 with step*x + offset >= B(c), or else to colour 0. Both directions are
 *             one division: from c to the first (last) such x, and from x to c. Products are
 *             computed in 128 bits; a map whose numbers leave 64 bits is refused. */
#include "core/model/partition.h"

#include <inttypes.h>
#include <string.h>

__extension__ typedef __int128 wide;

/* ---- one dimension --------------------------------------------------------------------------- */

static wide floor_div(wide a, wide b) { /* b > 0 */
  wide q = a / b;
  return q * b > a ? q - 1 : q;
}

static int64_t clamp(wide x, int64_t lo, int64_t hi) {
  if (x < lo) return lo;
  return x > hi ? hi : (int64_t)x;
}

static rpi_partition_axis whole_axis(int64_t extent) {
  return (rpi_partition_axis){extent, 1, 1, extent > 0 ? extent : 1, 1, 0};
}

/* Where colours below c end and the others begin, in the order of v: the first x of colour c, or,
 * on an axis that runs backwards, one past its last. */
static int64_t axis_bound(const rpi_partition_axis *a, int64_t c) {
  bool up = a->step > 0;
  if (c == 0) return up ? 0 : a->extent;
  if (c == a->n_color) return up ? a->extent : 0;
  wide bound = a->grain * floor_div((wide)c * a->units, a->n_color) - a->offset;
  wide x = up ? -floor_div(-bound, a->step) : floor_div(-bound, -(wide)a->step) + 1;
  return clamp(x, 0, a->extent);
}

static void axis_tile(const rpi_partition_axis *a, int64_t c, int64_t *lo, int64_t *hi) {
  rpi_assert(c >= 0 && c < a->n_color);
  *lo = axis_bound(a, a->step > 0 ? c : c + 1);
  *hi = axis_bound(a, a->step > 0 ? c + 1 : c);
}

static int64_t axis_owner(const rpi_partition_axis *a, int64_t x) {
  wide v = (wide)a->step * x + a->offset;
  if (v < 0) return 0;
  wide unit = v / a->grain;
  if (unit >= a->units) return a->n_color - 1;
  return (int64_t)(((unit + 1) * a->n_color - 1) / a->units);
}

/* One colour or the same cuts. */
static bool axis_equal(const rpi_partition_axis *a, const rpi_partition_axis *b) {
  if (a->extent != b->extent || a->n_color != b->n_color) return false;
  return a->n_color == 1 || (a->units == b->units && a->grain == b->grain && a->step == b->step &&
                             a->offset == b->offset);
}

/* Stores grain, step and offset in lowest terms: step*x + offset >= grain*k asks the same of whole
 * numbers after a division by a common divisor of grain and step, rounding offset down. */
static bool set_form(rpi_partition_axis *a, wide grain, wide step, wide offset) {
  wide g = grain, t = step < 0 ? -step : step;
  while (t != 0) {
    wide r = g % t;
    g = t;
    t = r;
  }
  grain /= g;
  step /= g;
  offset = floor_div(offset, g);
  if (grain > INT64_MAX || step > INT64_MAX || step < -INT64_MAX || offset > INT64_MAX ||
      offset < -INT64_MAX)
    return false;
  a->grain = (int64_t)grain;
  a->step = (int64_t)step;
  a->offset = (int64_t)offset;
  return true;
}

/* ---- making ---------------------------------------------------------------------------------- */

void rpi_partition_replicate(int32_t ndim, const int64_t *shape, rpi_partition *out) {
  rpi_partition p;
  rpi_assert(ndim >= 0 && ndim <= RP_MAX_DIM);
  memset(&p, 0, sizeof p);
  p.kind = RPI_PARTITION_REPLICATED;
  p.ndim = ndim;
  for (int32_t d = 0; d < ndim; d++) p.axis[d] = whole_axis(shape[d]);
  *out = p;
}

rp_status rpi_partition_tile(int32_t ndim, const int64_t *shape, const int64_t *n_color,
                             const int64_t *align, rpi_partition *out) {
  rpi_partition p;
  rpi_partition_replicate(ndim, shape, &p);
  p.kind = RPI_PARTITION_TILING;
  for (int32_t d = 0; d < ndim; d++) {
    int64_t grain = align != NULL ? align[d] : 1;
    if (n_color[d] < 1 || grain < 1)
      return rpi_status_fail(RP_ERR_ARGUMENT,
                             "axis %" PRId32 " asks for %" PRId64 " tiles at multiples of %" PRId64
                             ", both must be at least 1",
                             d, n_color[d], grain);
    p.axis[d].n_color = n_color[d];
    p.axis[d].units = shape[d] > 0 ? (shape[d] - 1) / grain + 1 : 1;
    p.axis[d].grain = grain;
  }
  *out = p;
  return RP_OK;
}

void rpi_partition_image(int32_t ndim, const int64_t *shape, int64_t image, rpi_partition *out) {
  rpi_partition_replicate(ndim, shape, out);
  out->kind = RPI_PARTITION_IMAGE;
  out->image = image;
}

/* ---- tiles ----------------------------------------------------------------------------------- */

bool rpi_partition_box(const rpi_partition *p, const int64_t *color, int64_t *lo, int64_t *hi) {
  bool any = true;
  for (int32_t d = 0; d < p->ndim; d++) {
    axis_tile(&p->axis[d], p->axis[d].n_color > 1 ? color[d] : 0, &lo[d], &hi[d]);
    any = any && lo[d] < hi[d];
  }
  return any;
}

bool rpi_partition_bloat(const rpi_partition *p, const int64_t *color, const int64_t *before,
                         const int64_t *after, int64_t *lo, int64_t *hi) {
  if (!rpi_partition_box(p, color, lo, hi)) return false;
  for (int32_t d = 0; d < p->ndim; d++) {
    lo[d] = clamp((wide)lo[d] - before[d], 0, p->axis[d].extent);
    hi[d] = clamp((wide)hi[d] + after[d], 0, p->axis[d].extent);
  }
  return true;
}

void rpi_partition_owner(const rpi_partition *p, const int64_t *index, int64_t *color) {
  for (int32_t d = 0; d < p->ndim; d++) color[d] = axis_owner(&p->axis[d], index[d]);
}

bool rpi_partition_meet(const rpi_partition *p, const int64_t *lo, const int64_t *hi,
                        int64_t *first, int64_t *last) {
  for (int32_t d = 0; d < p->ndim; d++) {
    if (lo[d] >= hi[d]) return false;
  }
  for (int32_t d = 0; d < p->ndim; d++) {
    const rpi_partition_axis *a = &p->axis[d];
    first[d] = axis_owner(a, a->step > 0 ? lo[d] : hi[d] - 1);
    last[d] = axis_owner(a, a->step > 0 ? hi[d] - 1 : lo[d]);
  }
  return true;
}

bool rpi_partition_reach(int64_t ptr_first, int64_t ptr_last, int64_t extent, int64_t *lo,
                         int64_t *hi) {
  *lo = clamp(ptr_first, 0, extent);
  *hi = clamp(ptr_last, 0, extent);
  return *lo < *hi;
}

/* ---- comparing ------------------------------------------------------------------------------- */

bool rpi_partition_equal(const rpi_partition *a, const rpi_partition *b) {
  if (a->ndim != b->ndim) return false;
  if ((a->kind == RPI_PARTITION_IMAGE) != (b->kind == RPI_PARTITION_IMAGE)) return false;
  if (a->kind == RPI_PARTITION_IMAGE && a->image != b->image) return false;
  for (int32_t d = 0; d < a->ndim; d++) {
    if (!axis_equal(&a->axis[d], &b->axis[d])) return false;
  }
  return true;
}

bool rpi_partition_covers(const rpi_partition *a, const rpi_partition *b) {
  if (a->kind == RPI_PARTITION_IMAGE) return rpi_partition_equal(a, b);
  if (a->ndim != b->ndim) return false;
  for (int32_t d = 0; d < a->ndim; d++) {
    if (a->axis[d].extent != b->axis[d].extent) return false;
    if (a->axis[d].n_color > 1 && !axis_equal(&a->axis[d], &b->axis[d])) return false;
  }
  return true;
}

/* ---- views ----------------------------------------------------------------------------------- */

bool rpi_partition_axes(const rpi_geom *view, int32_t bdim, const int64_t *bshape,
                        rpi_partition_map *map) {
  int64_t weight[RP_MAX_DIM], start[RP_MAX_DIM], w = 1, rest = view->offset, lo, hi;
  uint32_t used = 0;
  if (!rpi_geom_span(view, &lo, &hi)) return false;
  for (int32_t b = bdim - 1; b >= 0; b--) {
    weight[b] = w;
    w *= bshape[b];
    start[b] = rest % bshape[b];
    rest /= bshape[b];
  }
  for (int32_t d = 0; d < view->ndim; d++) {
    int64_t stride = view->stride[d];
    map[d] = (rpi_partition_map){-1, 0, 1};
    if (view->shape[d] == 1 || stride == 0) continue;
    int32_t b = 0;
    while (b < bdim && (bshape[b] == 1 || stride % weight[b] != 0)) b++;
    if (b == bdim || (used & (1u << b))) return false;
    int64_t step = stride / weight[b], room = step > 0 ? bshape[b] - 1 - start[b] : start[b];
    if (view->shape[d] - 1 > room / (step > 0 ? step : -step)) return false;
    used |= 1u << b;
    map[d] = (rpi_partition_map){b, start[b], step};
  }
  return true;
}

bool rpi_partition_pull(const rpi_partition *p, const rpi_geom *view, rpi_partition *out) {
  rpi_partition_map map[RP_MAX_DIM];
  int64_t shape[RP_MAX_DIM];
  rpi_partition r;
  for (int32_t d = 0; d < p->ndim; d++) shape[d] = p->axis[d].extent;
  if (p->kind == RPI_PARTITION_IMAGE || !rpi_partition_axes(view, p->ndim, shape, map))
    return false;
  rpi_partition_replicate(view->ndim, view->shape, &r);
  r.kind = p->kind;
  for (int32_t d = 0; d < view->ndim; d++) {
    const rpi_partition_map *m = &map[d];
    const rpi_partition_axis *from = m->axis >= 0 ? &p->axis[m->axis] : NULL;
    if (from == NULL || from->n_color == 1) continue;
    r.axis[d].n_color = from->n_color;
    r.axis[d].units = from->units;
    if (!set_form(&r.axis[d], from->grain, (wide)from->step * m->step,
                  from->offset + (wide)from->step * m->start))
      return false;
  }
  *out = r;
  return true;
}

bool rpi_partition_push(const rpi_partition *p, const rpi_geom *view, int32_t bdim,
                        const int64_t *bshape, rpi_partition *out) {
  rpi_partition_map map[RP_MAX_DIM];
  rpi_partition r;
  if (p->kind == RPI_PARTITION_IMAGE || !rpi_partition_axes(view, bdim, bshape, map)) return false;
  rpi_partition_replicate(bdim, bshape, &r);
  r.kind = p->kind;
  for (int32_t d = 0; d < p->ndim; d++) {
    const rpi_partition_map *m = &map[d];
    const rpi_partition_axis *from = &p->axis[d];
    if (from->n_color == 1) continue;
    if (m->axis < 0) return false;
    wide scale = m->step > 0 ? m->step : -(wide)m->step;
    wide step = m->step > 0 ? from->step : -(wide)from->step;
    rpi_partition_axis *to = &r.axis[m->axis];
    to->n_color = from->n_color;
    to->units = from->units;
    if (!set_form(to, from->grain * scale, step, from->offset * scale - step * m->start))
      return false;
  }
  *out = r;
  return true;
}
