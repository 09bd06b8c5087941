/* SPDX-License-Identifier: Apache-2.0
 * trace/margins.c -- see margins.h. */
#include "trace/margins.h"

#include <stdlib.h>

#include "core/base/alloc.h"

typedef struct box {
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM];
} box;

bool rpi_margins_of(const rpi_grid *reader, const rpi_geom *view, const rpi_tiling *owner,
                    const int64_t *bshape, rpi_margin *out) {
  rpi_tiling_map map[RP_MAX_DIM];
  int64_t at[RP_MAX_DIM];
  out->reader = *reader;
  out->owner = *owner;
  if (!rpi_tiling_axes(view, owner->ndim, bshape, map, at)) return false;
  for (int32_t b = 0; b < owner->ndim; b++) {
    out->axis[b] = -1;
    out->first[b] = at[b];
    out->step[b] = 1;
  }
  for (int32_t d = 0; d < view->ndim; d++) {
    if (map[d].axis < 0) continue;
    if (map[d].step < 0) return false;
    out->axis[map[d].axis] = d;
    out->step[map[d].axis] = map[d].step;
  }
  return true;
}

bool rpi_margins_add(rpi_margins *m, const rpi_margin *one) {
  void *list = m->list;
  if (!rpi_alloc_grow(&list, &m->cap, m->n + 1, sizeof *m->list)) return false;
  m->list = list;
  m->list[m->n++] = *one;
  return true;
}

void rpi_margins_deinit(rpi_margins *m) {
  rpi_alloc_free(m->list);
  rpi_alloc_free(m->peer);
}

/* What rank r needs of the array. */
static bool needed(const rpi_margin *n, int32_t r, box *out) {
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM];
  if (!rpi_grid_box(&n->reader, r, lo, hi)) return false;
  for (int32_t b = 0; b < n->owner.ndim; b++) {
    const int32_t d = n->axis[b];
    out->lo[b] = n->first[b] + (d >= 0 ? n->step[b] * lo[d] : 0);
    out->hi[b] = n->first[b] + (d >= 0 ? n->step[b] * (hi[d] - 1) : 0) + 1;
  }
  return true;
}

/* Of a range of indices that is needed step by step what lies in lo..hi-1, from the first to the last; false: none. */
static bool clip(const rpi_margin *n, int32_t b, int64_t lo, int64_t hi, int64_t *from,
                 int64_t *to) {
  const int64_t step = n->step[b], first = *from;
  if (*to > hi) *to = hi;
  if (lo > first) *from = first + (lo - first + step - 1) / step * step;
  if (*from < *to) *to = *from + (*to - 1 - *from) / step * step + 1;
  return *from < *to;
}

/* The hull of what a reader needs of an owner's tile, over all needs of the symbol; false: nothing. */
static bool piece(const rpi_margins *m, int32_t symbol, int32_t owner, int32_t reader, box *out) {
  bool any = false;
  for (int32_t i = 0; i < m->n; i++) {
    const rpi_margin *n = &m->list[i];
    box tile, want;
    if (n->symbol != symbol || !needed(n, reader, &want) ||
        !rpi_tiling_tile(&n->owner, owner, tile.lo, tile.hi))
      continue;
    bool meets = true;
    for (int32_t b = 0; b < n->owner.ndim && meets; b++)
      meets = clip(n, b, tile.lo[b], tile.hi[b], &want.lo[b], &want.hi[b]);
    if (!meets) continue;
    for (int32_t b = 0; b < n->owner.ndim; b++) {
      if (!any || want.lo[b] < out->lo[b]) out->lo[b] = want.lo[b];
      if (!any || want.hi[b] > out->hi[b]) out->hi[b] = want.hi[b];
    }
    any = true;
  }
  return any;
}

/* ---- who may have something for whom ---- */

/* All ranks of a grid of so many along each axis that lie in first..last of each. */
static bool add_peers(rpi_margins *m, int32_t n, const int64_t *ranks, const int32_t *first,
                      const int32_t *last) {
  int32_t at[RP_MAX_DIM];
  for (int32_t k = 0; k < n; k++) at[k] = first[k];
  for (;;) {
    void *list = m->peer;
    if (!rpi_alloc_grow(&list, &m->cap_peer, m->n_peer + 1, sizeof *m->peer)) return false;
    m->peer = list;
    int32_t rank = 0, k = n - 1;
    for (int32_t q = 0; q < n; q++) rank = rank * (int32_t)ranks[q] + at[q];
    m->peer[m->n_peer++] = rank;
    while (k >= 0 && at[k] == last[k]) {
      at[k] = first[k];
      k--;
    }
    if (k < 0) return true;
    at[k]++;
  }
}

static bool add_owners(rpi_margins *m, const rpi_margin *n, int32_t rank) {
  int32_t first[RP_MAX_DIM], last[RP_MAX_DIM];
  int64_t ranks[RP_MAX_DIM];
  box want;
  if (!needed(n, rank, &want)) return true;
  for (int32_t b = 0; b < n->owner.ndim; b++) {
    const rpi_cuts *c = &n->owner.axis[b];
    ranks[b] = c->ranks;
    first[b] = rpi_cuts_owner(c, want.lo[b]);
    last[b] = rpi_cuts_owner(c, want.hi[b] - 1);
  }
  return add_peers(m, n->owner.ndim, ranks, first, last);
}

/* The rows of a reader's axis whose indices lie in lo..hi-1; false: none. */
static bool rows_within(const rpi_margin *n, int32_t b, int64_t lo, int64_t hi, int64_t *from,
                        int64_t *to) {
  const int64_t extent = n->reader.extent[n->axis[b]];
  const int64_t last = hi - 1 - n->first[b];
  *from = lo <= n->first[b] ? 0 : (lo - n->first[b] + n->step[b] - 1) / n->step[b];
  *to = last < 0 ? 0 : last / n->step[b] + 1;
  if (*to > extent) *to = extent;
  return *from < *to;
}

void rpi_margins_within(const rpi_margin *n, int32_t rank, int64_t *lo, int64_t *hi) {
  box tile;
  const bool any = rpi_tiling_tile(&n->owner, rank, tile.lo, tile.hi);
  for (int32_t b = 0; b < n->owner.ndim; b++) {
    const int32_t d = n->axis[b];
    int64_t from = 0, to = 0;
    if (any && d >= 0) {
      if (!rows_within(n, b, tile.lo[b], tile.hi[b], &from, &to)) from = to = 0;
      if (from > lo[d]) lo[d] = from;
      if (to < hi[d]) hi[d] = to;
    } else if (!any || n->first[b] < tile.lo[b] || n->first[b] >= tile.hi[b]) {
      hi[0] = lo[0]; /* all of it needs what another rank has */
    }
  }
}

static bool add_readers(rpi_margins *m, const rpi_margin *n, const box *own) {
  int32_t first[RP_MAX_DIM], last[RP_MAX_DIM];
  int64_t ranks[RP_MAX_DIM];
  for (int32_t k = 0; k < n->reader.n; k++) {
    const rpi_grid_axis *a = &n->reader.axis[k];
    int64_t from = 0, to = a->rows.extent;
    ranks[k] = a->rows.cuts.ranks;
    if (to == 0) return true;
    for (int32_t b = 0; b < n->owner.ndim; b++)
      if (a->axis >= 0 && n->axis[b] == a->axis &&
          !rows_within(n, b, own->lo[b], own->hi[b], &from, &to))
        return true;
    rpi_grid_holders(&n->reader, k, from, to, &first[k], &last[k]);
  }
  return add_peers(m, n->reader.n, ranks, first, last);
}

static int by_number(const void *a, const void *b) {
  const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

/* ---- messages ---- */

static bool add_messages(rpi_margins *m, int32_t symbol, int32_t rank, bool send,
                         const rpi_tiling *t, int32_t elem, rpi_plan_exchange *out) {
  rpi_plan_array array = {.ndim = t->ndim, .elem = elem};
  for (int32_t d = 0; d < t->ndim; d++) array.shape[d] = t->axis[d].n;
  if (m->n_peer > 1) qsort(m->peer, (size_t)m->n_peer, sizeof *m->peer, by_number);
  for (int32_t i = 0; i < m->n_peer; i++) {
    const int32_t peer = m->peer[i];
    box x;
    if (peer == rank || (i > 0 && peer == m->peer[i - 1]) ||
        !piece(m, symbol, send ? rank : peer, send ? peer : rank, &x))
      continue;
    if (!rpi_messages_box(out, symbol, peer, send, &array, x.lo, x.hi)) return false;
  }
  m->n_peer = 0;
  return true;
}

bool rpi_margins_messages(rpi_margins *m, int32_t symbol, int32_t rank, int32_t elem,
                          rpi_plan_exchange *out) {
  const rpi_tiling *t = NULL;
  box own;
  m->n_peer = 0;
  for (int32_t i = 0; i < m->n; i++) {
    if (m->list[i].symbol != symbol) continue;
    t = &m->list[i].owner;
    if (!add_owners(m, &m->list[i], rank)) return false;
  }
  if (!t) return true;
  if (!add_messages(m, symbol, rank, false, t, elem, out)) return false;
  if (!rpi_tiling_tile(t, rank, own.lo, own.hi)) return true;
  for (int32_t i = 0; i < m->n; i++)
    if (m->list[i].symbol == symbol && !add_readers(m, &m->list[i], &own)) return false;
  return add_messages(m, symbol, rank, true, t, elem, out);
}
