/* SPDX-License-Identifier: Apache-2.0
 * core/exec/mosaic.c -- see mosaic.h. */
#include "core/exec/mosaic.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/comm/collect.h"
#include "core/model/store.h"

/* ---- which piece a rank has ---- */

static int32_t all_ranks(const rpi_mosaic *m) {
  int32_t ranks = 1;
  for (int32_t k = 0; k < m->n; k++) ranks *= m->ranks[k];
  return ranks;
}

static void place_of(const rpi_mosaic *m, int32_t rank, int32_t *at) {
  for (int32_t k = m->n - 1; k >= 0; k--) {
    at[k] = rank % m->ranks[k];
    rank /= m->ranks[k];
  }
}

/* What lies before the place along axis k, with all of the later axes; then, within its part, along the next. Axes of
 * the box that nothing cuts stay in `rest` to the end. */
int64_t rpi_mosaic_before(const rpi_mosaic *m, int64_t points, int32_t rank) {
  int64_t rest = points, before = 0, width = 1;
  int32_t at[RP_MAX_DIM];
  if (rank >= all_ranks(m)) return points;
  place_of(m, rank, at);
  for (int32_t k = 0; k < m->n && rest > 0; k++) {
    const int64_t lo = m->begin(m->arg, k, at[k]);
    rest /= m->extent[k];
    before += width * lo * rest;
    width *= m->begin(m->arg, k, at[k] + 1) - lo;
  }
  return before;
}

/* The place along axis k that has point i: the last that begins at or before it. */
static int32_t owner(const rpi_mosaic *m, int32_t k, int64_t i) {
  int32_t lo = 0, hi = m->ranks[k];
  while (hi - lo > 1) {
    const int32_t mid = lo + (hi - lo) / 2;
    if (m->begin(m->arg, k, mid) <= i)
      lo = mid;
    else
      hi = mid;
  }
  return lo;
}

int32_t rpi_mosaic_next(const rpi_mosaic *m, int32_t rank) {
  int32_t at[RP_MAX_DIM], k = 0;
  const int32_t ranks = all_ranks(m);
  if (rank >= ranks) return ranks;
  for (int32_t q = 0; q < m->n; q++)
    if (m->extent[q] == 0) return ranks;
  place_of(m, rank, at);
  while (k < m->n) {
    const int64_t i = m->begin(m->arg, k, at[k]);
    const bool any = i < m->extent[k];
    if (!any && k == 0) return ranks;
    const int32_t place = any ? owner(m, k, i) : at[--k] + 1; /* none: the axis before goes on */
    if (place != at[k])
      for (int32_t q = k + 1; q < m->n; q++) at[q] = 0;
    at[k] = place;
    k += any;
  }
  rank = 0;
  for (int32_t q = 0; q < m->n; q++) rank = rank * m->ranks[q] + at[q];
  return rank;
}

/* A rank's piece of a box; false: it is empty. */
static bool piece(const rpi_mosaic *m, int32_t rank, const rpi_geom *box, rpi_geom *out) {
  int32_t at[RP_MAX_DIM];
  place_of(m, rank, at);
  *out = *box;
  for (int32_t k = 0; k < m->n; k++) {
    const int32_t d = m->axis[k];
    const int64_t lo = m->begin(m->arg, k, at[k]), hi = m->begin(m->arg, k, at[k] + 1);
    if (lo >= hi) return false;
    if (d < 0) continue;
    out->offset += lo * out->stride[d];
    out->shape[d] = hi - lo;
  }
  return true;
}

/* ---- together ---- */

typedef struct packing {
  const rpi_mosaic *m;
  int64_t points, elem;
} packing;

static int64_t bound(const void *arg, int32_t rank) {
  const packing *p = arg;
  return rpi_mosaic_before(p->m, p->points, rank) * p->elem;
}

rp_status rpi_mosaic_gather(rpi_comm *comm, const rpi_mosaic *m, int32_t elem,
                            const rpi_geom *there, const void *from, const rpi_geom *here,
                            void *to) {
  const packing p = {m, rpi_geom_size(there), elem};
  const int32_t ranks = all_ranks(m), rank = rpi_comm_rank(comm);
  rpi_geom g;
  if (p.points == 0) return RP_OK;
  char *packed = rpi_alloc((size_t)(p.points * elem));
  if (!packed) return rpi_status_nomem("the pieces of an array");
  if (piece(m, rank, there, &g))
    rpi_store_pack_part(from, &g, elem, 0, rpi_geom_size(&g), packed + bound(&p, rank));
  const rp_status st = rpi_collect_gather(comm, packed, bound, &p);
  for (int32_t r = rpi_mosaic_next(m, 0); st == RP_OK && r < ranks; r = rpi_mosaic_next(m, r + 1))
    if (piece(m, r, here, &g))
      rpi_store_unpack_part(to, &g, elem, 0, rpi_geom_size(&g), packed + bound(&p, r));
  rpi_alloc_free(packed);
  return st;
}
