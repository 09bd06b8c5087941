/* SPDX-License-Identifier: Apache-2.0
 * trace/needs.c -- see needs.h. */
#include "trace/needs.h"

#include "core/base/alloc.h"

rpi_need rpi_needs_of(int32_t symbol, const rpi_rows *space, int64_t leaf, const rpi_geom *view) {
  rpi_need n = {.symbol = symbol, .space = *space, .leaf = leaf, .step = view->stride[0]};
  rpi_rows_hull(view, &n.first, &n.span);
  return n;
}

bool rpi_needs_add(rpi_needs *needs, const rpi_need *one) {
  void *list = needs->list;
  if (!rpi_alloc_grow(&list, &needs->cap, needs->n + 1, sizeof *needs->list)) return false;
  needs->list = list;
  needs->list[needs->n++] = *one;
  return true;
}

void rpi_needs_within(const rpi_need *need, int64_t from, int64_t to, int64_t *lo, int64_t *hi) {
  const int64_t first = from - need->first, last = to - 1 - need->span - need->first;
  *lo = first <= 0 ? 0 : (first + need->step - 1) / need->step;
  *hi = last < 0 ? 0 : last / need->step + 1;
}

static bool add(rpi_plan_exchange *m, int32_t symbol, int32_t peer, bool send, int64_t lo,
                int64_t hi, int32_t elem) {
  const rpi_plan_run run = {.at = lo * elem, .bytes = (hi - lo) * elem, .count = 1};
  return rpi_messages_add(m, symbol, peer, send, &run);
}

/* What rank r needs of a symbol: lo..hi-1. Both ends move upwards with r; a rank without rows needs nothing, though
 * the ends are still in their order. */
static void needed(const rpi_needs *needs, int32_t symbol, int32_t r, int64_t *lo, int64_t *hi) {
  *lo = INT64_MAX;
  *hi = 0;
  for (int32_t i = 0; i < needs->n; i++) {
    const rpi_need *n = &needs->list[i];
    if (n->symbol != symbol) continue;
    int64_t from, to;
    rpi_rows_wide(&n->space, n->leaf, r, &from, &to);
    const int64_t a = n->first + n->step * from, b = n->first + n->step * (to - 1) + n->span + 1;
    if (a < *lo) *lo = a;
    if (b > *hi) *hi = b;
  }
}

static bool has_rows(const rpi_needs *needs, int32_t symbol, int32_t r) {
  for (int32_t i = 0; i < needs->n; i++) {
    const rpi_need *n = &needs->list[i];
    if (n->symbol == symbol && rpi_rows_at(&n->space, r) < rpi_rows_at(&n->space, r + 1))
      return true;
  }
  return false;
}

/* The first rank from r on that has rows. Of more ranks than rows most have none, and lie in long stretches between
 * those that do, which are not walked through. */
static int32_t next_with_rows(const rpi_needs *needs, int32_t symbol, int32_t ranks, int32_t r) {
  int64_t end = ranks;
  for (int32_t i = 0; i < needs->n; i++) {
    const rpi_need *n = &needs->list[i];
    if (n->symbol != symbol) continue;
    const int64_t row = rpi_rows_at(&n->space, r);
    int64_t lo = (int64_t)r - 1, step = 1; /* the ranks from r to lo have none */
    for (; lo + step < end && rpi_rows_at(&n->space, (int32_t)(lo + step + 1)) == row; step *= 2)
      lo += step;
    if (lo + step < end) end = lo + step;
    while (end - lo > 1) {
      const int64_t mid = lo + (end - lo) / 2;
      if (rpi_rows_at(&n->space, (int32_t)(mid + 1)) == row)
        lo = mid;
      else
        end = mid;
    }
  }
  return (int32_t)end;
}

/* Rank r's need ends beyond `at` or, with `begins`, begins at it or beyond. Once true it stays so as r grows. */
static bool is_past(const rpi_needs *needs, int32_t symbol, int32_t r, int64_t at, bool begins) {
  int64_t lo, hi;
  needed(needs, symbol, r, &lo, &hi);
  return begins ? lo >= at : hi > at;
}

/* The smallest such r; the number of ranks if none. Looked for from rank `near` outwards, since mostly neighbours need
 * something: the cost grows with the logarithm of the distance. */
static int32_t first_rank(const rpi_needs *needs, int32_t symbol, int32_t ranks, int32_t near,
                          int64_t at, bool begins) {
  int64_t lo = -1, hi = ranks, step = 1; /* not past, past */
  if (is_past(needs, symbol, near, at, begins)) {
    for (hi = near; hi - step >= 0 && is_past(needs, symbol, (int32_t)(hi - step), at, begins);
         step *= 2)
      hi -= step;
    lo = hi - step < 0 ? -1 : hi - step;
  } else {
    for (lo = near; lo + step < ranks && !is_past(needs, symbol, (int32_t)(lo + step), at, begins);
         step *= 2)
      lo += step;
    hi = lo + step > ranks ? ranks : lo + step;
  }
  while (hi - lo > 1) {
    const int64_t mid = lo + (hi - lo) / 2;
    if (is_past(needs, symbol, (int32_t)mid, at, begins))
      hi = mid;
    else
      lo = mid;
  }
  return (int32_t)hi;
}

static bool receives(int64_t lo, int64_t hi, int32_t symbol, const rpi_cuts *cuts, int32_t rank,
                     int32_t elem, rpi_plan_exchange *out) {
  while (lo < hi) {
    const int32_t peer = rpi_cuts_owner(cuts, lo);
    const int64_t all = rpi_cuts_at(cuts, peer + 1), end = all < hi ? all : hi;
    if (peer != rank && !add(out, symbol, peer, false, lo, end, elem)) return false;
    lo = end;
  }
  return true;
}

static bool send_to(int64_t lo, int64_t hi, int32_t peer, int32_t symbol, const rpi_cuts *cuts,
                    int32_t rank, int32_t elem, rpi_plan_exchange *out) {
  const int64_t own_lo = rpi_cuts_at(cuts, rank), own_hi = rpi_cuts_at(cuts, rank + 1);
  if (lo < own_lo) lo = own_lo;
  if (hi > own_hi) hi = own_hi;
  return peer == rank || lo >= hi || add(out, symbol, peer, true, lo, hi, elem);
}

bool rpi_needs_messages(const rpi_needs *needs, int32_t symbol, const rpi_cuts *cuts, int32_t rank,
                        int32_t elem, rpi_plan_exchange *out) {
  const int64_t own_lo = rpi_cuts_at(cuts, rank), own_hi = rpi_cuts_at(cuts, rank + 1);
  const int32_t ranks = (int32_t)cuts->ranks;
  int64_t lo, hi;
  if (has_rows(needs, symbol, rank)) {
    needed(needs, symbol, rank, &lo, &hi);
    if (!receives(lo, hi, symbol, cuts, rank, elem, out)) return false;
  }
  if (own_lo == own_hi) return true;
  const int32_t end = first_rank(needs, symbol, ranks, rank, own_hi, true);
  for (int32_t r = first_rank(needs, symbol, ranks, rank, own_lo, false);
       (r = next_with_rows(needs, symbol, ranks, r)) < end; r++) {
    needed(needs, symbol, r, &lo, &hi);
    if (!send_to(lo, hi, r, symbol, cuts, rank, elem, out)) return false;
  }
  return true;
}
