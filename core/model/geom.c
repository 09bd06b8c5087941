/* SPDX-License-Identifier: Apache-2.0
 * core/model/geom.c -- strided boxes: facts about one box, the view operations, collapse, print.
 *
 * Lives here: everything that looks at one box, or at several over one iteration space.
 * Not here:   how two boxes meet as sets of elements, and injectivity (core/model/relate.c).
 * How:        a view operation builds its result in a local and assigns it last, so that `out` may
 *             be the input and a failed call changes nothing.
 * Invariants: the product of the non-zero extents of every box fits in an int64_t (rpi_geom_check
 *             guards the entrances: dense, promote, broadcast, reshape; the rest only shrink); the
 *             elements of a box lie in its buffer, so no index or stride below can overflow. */
#include "core/model/geom.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- facts ----------------------------------------------------------------------------------- */

rp_status rpi_geom_check(int32_t ndim, const int64_t *shape, int64_t *size) {
  int64_t nonzero = 1;
  bool empty = false;
  if (ndim < 0 || ndim > RP_MAX_DIM)
    return rpi_status_fail(RP_ERR_SHAPE, "ndim is %" PRId32 ", it must be in 0..%d", ndim,
                           RP_MAX_DIM);
  for (int32_t d = 0; d < ndim; d++) {
    if (shape[d] < 0)
      return rpi_status_fail(RP_ERR_SHAPE, "shape[%" PRId32 "] is %" PRId64 ", it must be >= 0", d,
                             shape[d]);
    if (shape[d] == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(nonzero, shape[d], &nonzero)) {
      char text[RPI_GEOM_SHAPE];
      return rpi_status_fail(RP_ERR_SHAPE, "shape %s has more than 2^63-1 elements",
                             rpi_geom_print_shape(ndim, shape, text));
    }
  }
  *size = empty ? 0 : nonzero;
  return RP_OK;
}

/* C-order strides of a shape; extents of 0 count as 1, so that the strides stay distinct. */
static void fill_dense(rpi_geom *g) {
  int64_t stride = 1;
  for (int32_t d = g->ndim - 1; d >= 0; d--) {
    g->stride[d] = stride;
    stride *= g->shape[d] > 0 ? g->shape[d] : 1;
  }
}

void rpi_geom_dense(int32_t ndim, const int64_t *shape, rpi_geom *out) {
  rpi_geom g;
  rpi_assert(ndim >= 0 && ndim <= RP_MAX_DIM);
  memset(&g, 0, sizeof g);
  g.ndim = ndim;
  for (int32_t d = 0; d < ndim; d++) g.shape[d] = shape[d];
  fill_dense(&g);
  *out = g;
}

int64_t rpi_geom_size(const rpi_geom *g) {
  int64_t size = 1;
  for (int32_t d = 0; d < g->ndim; d++) {
    if (g->shape[d] == 0) return 0; /* before a product over the others could overflow */
  }
  for (int32_t d = 0; d < g->ndim; d++) size *= g->shape[d];
  return size;
}

bool rpi_geom_span(const rpi_geom *g, int64_t *lo, int64_t *hi) {
  int64_t least = g->offset, most = g->offset;
  *lo = 0;
  *hi = 0;
  for (int32_t d = 0; d < g->ndim; d++) {
    if (g->shape[d] == 0) return false;
  }
  for (int32_t d = 0; d < g->ndim; d++) {
    if (g->shape[d] == 1) continue; /* the stride is free: it may be anything */
    int64_t reach = (g->shape[d] - 1) * g->stride[d];
    if (reach < 0) {
      least += reach;
    } else {
      most += reach;
    }
  }
  *lo = least;
  *hi = most;
  return true;
}

bool rpi_geom_ascends(const rpi_geom *g) {
  int64_t span = 0;
  for (int32_t d = g->ndim - 1; d >= 0; d--) {
    if (g->shape[d] < 2) continue;
    if (g->stride[d] <= span) return false;
    span += g->stride[d] * (g->shape[d] - 1);
  }
  return true;
}

int64_t rpi_geom_before(const rpi_geom *g, int64_t end) {
  int64_t rest = end - g->offset, each = rpi_geom_size(g), n = 0;
  if (rest <= 0 || each == 0) return 0;
  for (int32_t d = 0; d < g->ndim; d++) {
    each /= g->shape[d];
    if (g->shape[d] == 1) continue;
    int64_t last =
        (rest - 1) / g->stride[d]; /* that begins before the end: all before it are whole */
    if (last > g->shape[d] - 1) last = g->shape[d] - 1;
    n += last * each;
    rest -= last * g->stride[d];
  }
  return n + 1;
}

bool rpi_geom_is_dense(const rpi_geom *g) {
  int64_t expected = 1;
  bool dense = true;
  for (int32_t d = 0; d < g->ndim; d++) {
    if (g->shape[d] == 0) return true;
  }
  for (int32_t d = g->ndim - 1; d >= 0 && dense; d--) {
    if (g->shape[d] == 1) continue;
    dense = g->stride[d] == expected;
    expected *= g->shape[d];
  }
  return dense;
}

bool rpi_geom_equal(const rpi_geom *a, const rpi_geom *b) {
  if (a->ndim != b->ndim || a->offset != b->offset) return false;
  for (int32_t d = 0; d < a->ndim; d++) {
    if (a->shape[d] != b->shape[d]) return false;
    if (a->shape[d] > 1 && a->stride[d] != b->stride[d]) return false;
  }
  return true;
}

/* One step outside continues where `extent` steps inside end. (The element after the last one may
 * be one too many for an int64_t.) */
static bool steps_on(int64_t outer_stride, int64_t extent, int64_t stride) {
  int64_t end;
  return !__builtin_mul_overflow(extent, stride, &end) && end == outer_stride;
}

/* ---- view operations ------------------------------------------------------------------------- */

static rp_status check_axis(const rpi_geom *g, int32_t axis) {
  if (axis >= 0 && axis < g->ndim) return RP_OK;
  return rpi_status_fail(RP_ERR_ARGUMENT,
                         "axis is %" PRId32 ", the store has rank %" PRId32 " (axes count from 0)",
                         axis, g->ndim);
}

/* A bound of a slice as Python reads it: from the end if negative, then into lo..hi. */
static int64_t clamp_bound(int64_t bound, int64_t extent, int64_t lo, int64_t hi) {
  if (bound < 0) bound += extent;
  if (bound < lo) return lo;
  return bound > hi ? hi : bound;
}

rp_status rpi_geom_slice(const rpi_geom *g, int32_t axis, int64_t start, int64_t stop, int64_t step,
                         rpi_geom *out) {
  RPI_TRY(check_axis(g, axis));
  if (step == 0) return rpi_status_fail(RP_ERR_ARGUMENT, "step is 0, it must not be");
  rpi_geom r = *g;
  int64_t extent = g->shape[axis];
  /* Going down, -1 and extent-1 take the places of 0 and extent: stop lies beyond the last one. */
  int64_t low = step > 0 ? 0 : -1, high = step > 0 ? extent : extent - 1;
  int64_t first = clamp_bound(start, extent, low, high);
  int64_t last = clamp_bound(stop, extent, low, high);
  uint64_t magnitude = step > 0 ? (uint64_t)step : -(uint64_t)step; /* INT64_MIN has no negative */
  int64_t distance = step > 0 ? last - first : first - last;
  int64_t count = distance <= 0 ? 0 : (int64_t)((uint64_t)(distance - 1) / magnitude) + 1;
  r.shape[axis] = count;
  if (count > 0) r.offset += first * g->stride[axis];
  if (count > 1) r.stride[axis] = g->stride[axis] * step;
  *out = r;
  return RP_OK;
}

rp_status rpi_geom_box(const rpi_geom *g, const int64_t *lo, const int64_t *hi, rpi_geom *out) {
  rpi_geom r = *g;
  for (int32_t d = 0; d < g->ndim; d++) {
    if (lo[d] < 0 || lo[d] > hi[d] || hi[d] > g->shape[d])
      return rpi_status_fail(RP_ERR_ARGUMENT,
                             "lo[%" PRId32 "] = %" PRId64 " and hi[%" PRId32 "] = %" PRId64
                             " must be a range inside 0..%" PRId64,
                             d, lo[d], d, hi[d], g->shape[d]);
    r.shape[d] = hi[d] - lo[d];
    if (r.shape[d] > 0) r.offset += lo[d] * g->stride[d];
  }
  *out = r;
  return RP_OK;
}

rp_status rpi_geom_transpose(const rpi_geom *g, const int32_t *axes, rpi_geom *out) {
  rpi_geom r = *g;
  uint32_t seen = 0;
  for (int32_t d = 0; d < g->ndim; d++) {
    if (axes[d] < 0 || axes[d] >= g->ndim)
      return rpi_status_fail(RP_ERR_ARGUMENT,
                             "axes[%" PRId32 "] is %" PRId32 ", the store has rank %" PRId32, d,
                             axes[d], g->ndim);
    if (seen & (1u << axes[d]))
      return rpi_status_fail(RP_ERR_ARGUMENT, "axes names axis %" PRId32 " twice", axes[d]);
    seen |= 1u << axes[d];
    r.shape[d] = g->shape[axes[d]];
    r.stride[d] = g->stride[axes[d]];
  }
  *out = r;
  return RP_OK;
}

rp_status rpi_geom_promote(const rpi_geom *g, int32_t axis, int64_t extent, rpi_geom *out) {
  if (axis < 0 || axis > g->ndim)
    return rpi_status_fail(RP_ERR_ARGUMENT, "axis is %" PRId32 ", it must be in 0..%" PRId32, axis,
                           g->ndim);
  if (extent < 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "extent is %" PRId64 ", it must be >= 0", extent);
  if (g->ndim == RP_MAX_DIM)
    return rpi_status_fail(RP_ERR_SHAPE, "the store has rank %d already, which is the most",
                           RP_MAX_DIM);
  rpi_geom r = *g;
  int64_t size;
  for (int32_t d = g->ndim; d > axis; d--) {
    r.shape[d] = g->shape[d - 1];
    r.stride[d] = g->stride[d - 1];
  }
  r.shape[axis] = extent;
  r.stride[axis] = 0;
  r.ndim++;
  RPI_TRY(rpi_geom_check(r.ndim, r.shape, &size));
  *out = r;
  return RP_OK;
}

rp_status rpi_geom_project(const rpi_geom *g, int32_t axis, int64_t index, rpi_geom *out) {
  RPI_TRY(check_axis(g, axis));
  if (index < 0 || index >= g->shape[axis])
    return rpi_status_fail(RP_ERR_ARGUMENT,
                           "index is %" PRId64 ", axis %" PRId32 " has extent %" PRId64, index,
                           axis, g->shape[axis]);
  rpi_geom r = *g;
  r.offset += index * g->stride[axis];
  r.ndim--;
  for (int32_t d = axis; d < r.ndim; d++) {
    r.shape[d] = g->shape[d + 1];
    r.stride[d] = g->stride[d + 1];
  }
  r.shape[r.ndim] = 0;
  r.stride[r.ndim] = 0;
  *out = r;
  return RP_OK;
}

rp_status rpi_geom_broadcast(const rpi_geom *g, int32_t ndim, const int64_t *shape, rpi_geom *out) {
  rpi_geom r;
  int64_t size;
  RPI_TRY(rpi_geom_check(ndim, shape, &size));
  if (ndim < g->ndim)
    return rpi_status_fail(RP_ERR_SHAPE, "ndim is %" PRId32 ", less than the store's rank %" PRId32,
                           ndim, g->ndim);
  memset(&r, 0, sizeof r);
  r.ndim = ndim;
  r.offset = g->offset;
  for (int32_t d = 0; d < ndim; d++) {
    int32_t from = d - (ndim - g->ndim);
    r.shape[d] = shape[d];
    if (from < 0) continue;
    if (g->shape[from] == shape[d]) {
      r.stride[d] = g->stride[from];
    } else if (g->shape[from] != 1) {
      return rpi_status_fail(RP_ERR_SHAPE,
                             "shape[%" PRId32 "] is %" PRId64 ", but axis %" PRId32
                             " of the store has extent %" PRId64 ", which is neither that nor 1",
                             d, shape[d], from, g->shape[from]);
    }
  }
  *out = r;
  return RP_OK;
}

/* The target of a reshape with its one -1 filled in, and the number of elements checked. */
static rp_status resolve_shape(const rpi_geom *g, int32_t ndim, const int64_t *shape,
                               int64_t *full) {
  int64_t have = rpi_geom_size(g), size;
  int32_t unknown = -1;
  if (ndim < 0 || ndim > RP_MAX_DIM)
    return rpi_status_fail(RP_ERR_SHAPE, "ndim is %" PRId32 ", it must be in 0..%d", ndim,
                           RP_MAX_DIM);
  for (int32_t d = 0; d < ndim; d++) {
    full[d] = shape[d];
    if (shape[d] != -1) continue;
    if (unknown >= 0)
      return rpi_status_fail(RP_ERR_SHAPE, "shape[%" PRId32 "] and shape[%" PRId32 "] are both -1",
                             unknown, d);
    unknown = d;
    full[d] = 1;
  }
  RPI_TRY(rpi_geom_check(ndim, full, &size));
  if (unknown >= 0 && size > 0 && have % size == 0) {
    full[unknown] = have / size;
    RPI_TRY(rpi_geom_check(ndim, full, &size));
  }
  if (size != have || (unknown >= 0 && size == 0 && full[unknown] != 0))
    return rpi_status_fail(RP_ERR_SHAPE,
                           "the store has %" PRId64 " elements, which do not fill the shape asked "
                           "for (%" PRId64 "%s)",
                           have, size, unknown >= 0 ? " times the extent -1" : "");
  return RP_OK;
}

/* Strides for r->shape over the elements of g in C order, where no copy is needed: runs of axes
 * with equal products are matched, and each run of g must step through its elements as one axis
 * would. Both boxes have the same number of elements, more than 0. */
static bool match_strides(const rpi_geom *g, rpi_geom *r) {
  int64_t shape[RP_MAX_DIM], stride[RP_MAX_DIM], next = 1;
  int32_t n = 0;
  for (int32_t d = 0; d < g->ndim; d++) {
    if (g->shape[d] == 1) continue;
    shape[n] = g->shape[d];
    stride[n++] = g->stride[d];
  }
  int32_t old_end = n - 1, end = r->ndim - 1;
  while (old_end >= 0) {
    while (r->shape[end] == 1) r->stride[end--] = next;
    int32_t old = old_end, d = end;
    int64_t want = shape[old], got = r->shape[d];
    while (want != got) {
      if (got < want) {
        got *= r->shape[--d];
      } else {
        old--;
        if (!steps_on(stride[old], shape[old + 1], stride[old + 1])) return false;
        want *= shape[old];
      }
    }
    next = stride[old_end];
    for (; end >= d; end--) {
      r->stride[end] = next;
      if (end > d) next *= r->shape[end];
    }
    old_end = old - 1;
  }
  for (; end >= 0; end--) r->stride[end] = next; /* extents of 1 in front */
  return true;
}

rp_status rpi_geom_reshape(const rpi_geom *g, int32_t ndim, const int64_t *shape, rpi_geom *out) {
  rpi_geom r;
  memset(&r, 0, sizeof r);
  RPI_TRY(resolve_shape(g, ndim, shape, r.shape));
  r.ndim = ndim;
  r.offset = g->offset;
  if (rpi_geom_size(g) == 0) {
    fill_dense(&r);
  } else if (!match_strides(g, &r)) {
    char text[160];
    rpi_geom_print(g, text, sizeof text);
    return rpi_status_fail(
        RP_ERR_SHAPE, "the view %s (extents:strides) cannot take this shape without a copy", text);
  }
  *out = r;
  return RP_OK;
}

/* ---- several boxes over one iteration space -------------------------------------------------- */

static bool axes_merge(const rpi_geom *g, int32_t n, int32_t outer, int32_t inner) {
  for (int32_t k = 0; k < n; k++) {
    if (!steps_on(g[k].stride[outer], g[k].shape[inner], g[k].stride[inner])) return false;
  }
  return true;
}

static void move_axis(rpi_geom *g, int32_t n, int32_t to, int32_t from) {
  for (int32_t k = 0; k < n; k++) {
    g[k].shape[to] = g[k].shape[from];
    g[k].stride[to] = g[k].stride[from];
  }
}

/* Leaves `rank` axes; none at all becomes one axis of `extent` steps of 1. */
static int32_t set_rank(rpi_geom *g, int32_t n, int32_t rank, int64_t extent) {
  for (int32_t k = 0; k < n; k++) {
    for (int32_t d = rank; d < RP_MAX_DIM; d++) {
      g[k].shape[d] = 0;
      g[k].stride[d] = 0;
    }
    if (rank == 0) {
      g[k].shape[0] = extent;
      g[k].stride[0] = 1;
    }
    g[k].ndim = rank > 0 ? rank : 1;
  }
  return rank > 0 ? rank : 1;
}

int32_t rpi_geom_collapse(rpi_geom *g, int32_t n) {
  int32_t rank = 0;
  if (n <= 0) return 1;
  for (int32_t d = 0; d < g[0].ndim; d++) {
    if (g[0].shape[d] == 0) return set_rank(g, n, 0, 0);
  }
  for (int32_t d = 0; d < g[0].ndim; d++) {
    if (g[0].shape[d] == 1) continue;
    if (rank > 0 && axes_merge(g, n, rank - 1, d)) {
      for (int32_t k = 0; k < n; k++) {
        g[k].shape[rank - 1] *= g[k].shape[d];
        g[k].stride[rank - 1] = g[k].stride[d];
      }
    } else {
      move_axis(g, n, rank++, d);
    }
  }
  return set_rank(g, n, rank, 1);
}

/* ---- print ----------------------------------------------------------------------------------- */

/* Appends to a buffer of `size` bytes that holds `used`; text that does not fit is cut off. */
static size_t append(char *buf, size_t size, size_t used, const char *fmt, int64_t value) {
  char piece[32];
  int len = snprintf(piece, sizeof piece, fmt, value);
  for (int k = 0; k < len && used + 1 < size; k++) buf[used++] = piece[k];
  if (size > 0) buf[used] = '\0';
  return used;
}

const char *rpi_geom_print_shape(int32_t ndim, const int64_t *shape, char buf[RPI_GEOM_SHAPE]) {
  size_t used = append(buf, RPI_GEOM_SHAPE, 0, "(", 0);
  for (int32_t d = 0; d < ndim; d++)
    used = append(buf, RPI_GEOM_SHAPE, used, d > 0 ? ", %" PRId64 : "%" PRId64, shape[d]);
  append(buf, RPI_GEOM_SHAPE, used, ndim == 1 ? ",)" : ")", 0);
  return buf;
}

void rpi_geom_print(const rpi_geom *g, char *buf, size_t size) {
  size_t used = append(buf, size, 0, "(", 0);
  for (int32_t d = 0; d < g->ndim; d++)
    used = append(buf, size, used, d > 0 ? ",%" PRId64 : "%" PRId64, g->shape[d]);
  used = append(buf, size, used, "):(", 0);
  for (int32_t d = 0; d < g->ndim; d++)
    used = append(buf, size, used, d > 0 ? ",%" PRId64 : "%" PRId64, g->stride[d]);
  append(buf, size, used, ")@+%" PRId64, g->offset);
}
