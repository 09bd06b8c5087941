/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/csr_stencil.c -- see csr_stencil.h. */
#include "kernels/sparse/csr_stencil.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- points ---- */

static rp_status check(int32_t ndim, const int64_t *shape, int32_t n_points, const int64_t *offset,
                       int64_t *n_rows, char *message) {
  if (ndim < 1 || ndim > RP_MAX_DIM || n_points < 1) {
    return rpi_csr_host_fail(message, RP_ERR_ARGUMENT, "a stencil of %d points in %d dimensions",
                             (int)n_points, (int)ndim);
  }
  int64_t n = 1, room;
  for (int32_t d = 0; d < ndim; d++) {
    if (shape[d] < 0 || __builtin_mul_overflow(n, shape[d], &n)) {
      return rpi_csr_host_fail(message, RP_ERR_SHAPE, "a grid of %lld points along axis %d",
                               (long long)shape[d], (int)d);
    }
  }
  if (__builtin_mul_overflow(n, n_points, &room)) {
    return rpi_csr_host_fail(message, RP_ERR_MEMORY, "%d entries in each of %lld rows",
                             (int)n_points, (long long)n);
  }
  const size_t width = (size_t)ndim * sizeof *offset;
  for (int32_t a = 0; a < n_points; a++) {
    for (int32_t b = 0; b < a; b++) {
      if (memcmp(offset + (int64_t)a * ndim, offset + (int64_t)b * ndim, width) != 0) continue;
      return rpi_csr_host_fail(message, RP_ERR_ARGUMENT,
                               "points %d and %d of the stencil have one offset", (int)b, (int)a);
    }
  }
  *n_rows = n;
  return RP_OK;
}

static int by_step(const void *a, const void *b) {
  const int64_t x = ((const rpi_csr_point *)a)->step, y = ((const rpi_csr_point *)b)->step;
  return (x > y) - (x < y);
}

/* False: it is inside nowhere, since it is as far off as the grid is long (and its step might not fit). */
static bool make_point(const rpi_csr_stencil *s, const int64_t *offset, rpi_csr_point *p) {
  p->step = 0;
  for (int32_t d = 0; d < s->ndim; d++) {
    if (offset[d] <= -s->shape[d] || offset[d] >= s->shape[d]) return false;
    p->step = p->step * s->shape[d] + offset[d];
    p->lo[d] = offset[d] < 0 ? -offset[d] : 0;
    p->hi[d] = offset[d] > 0 ? s->shape[d] - offset[d] : s->shape[d];
  }
  return true;
}

/* ---- where entries begin ---- */

/* How many of the grid points at which p is inside have coordinates before `at`, in C order. */
static int64_t count_before(const rpi_csr_stencil *s, const rpi_csr_point *p, const int64_t *at) {
  int64_t count = 0;
  bool same = true; /* the coordinates so far are those of a point of the box */
  for (int32_t d = 0; d < s->ndim; d++) {
    const int64_t width = p->hi[d] - p->lo[d];
    const int64_t k = at[d] < p->lo[d] ? 0 : at[d] > p->hi[d] ? width : at[d] - p->lo[d];
    count = count * width + (same ? k : 0);
    same = same && at[d] >= p->lo[d] && at[d] < p->hi[d];
  }
  return count;
}

static void coordinates(const rpi_csr_stencil *s, int64_t row, int64_t *at) {
  for (int32_t d = s->ndim - 1; d > 0; d--) {
    at[d] = row % s->shape[d];
    row /= s->shape[d];
  }
  at[0] = row; /* behind the last row: its extent */
}

/* Where the entries of a row of 0..n_rows begin. */
static int64_t begin_of(const rpi_csr_stencil *s, int64_t row) {
  int64_t at[RP_MAX_DIM], sum = 0;
  if (s->n_rows == 0) return 0;
  coordinates(s, row, at);
  for (int32_t k = 0; k < s->n_points; k++) sum += count_before(s, &s->point[k], at);
  return sum;
}

/* The last row that begins at or before an entry: the one that has it. */
static int64_t row_of(const rpi_csr_stencil *s, int64_t entry) {
  int64_t lo = 0, hi = s->n_rows;
  while (hi - lo > 1) {
    const int64_t middle = lo + (hi - lo) / 2;
    if (begin_of(s, middle) <= entry)
      lo = middle;
    else
      hi = middle;
  }
  return lo;
}

rp_status rpi_csr_stencil_init(int32_t ndim, const int64_t *shape, int32_t n_points,
                               const int64_t *offset, const double *coefficient,
                               rpi_csr_stencil *out, char message[RPI_CSR_MESSAGE]) {
  *out = (rpi_csr_stencil){.ndim = ndim};
  const rp_status status = check(ndim, shape, n_points, offset, &out->n_rows, message);
  if (status != RP_OK) return status;
  memcpy(out->shape, shape, (size_t)ndim * sizeof *shape);
  out->point = calloc((size_t)n_points, sizeof *out->point);
  out->used = calloc((size_t)n_points, sizeof *out->used);
  if (!out->point || !out->used) {
    rpi_csr_stencil_deinit(out);
    return rpi_csr_host_fail(message, RP_ERR_MEMORY, "out of memory for %d points", (int)n_points);
  }
  for (int32_t k = 0; k < n_points; k++) {
    rpi_csr_point *p = &out->point[out->n_points];
    p->coefficient = coefficient[k];
    out->n_points += make_point(out, offset + (int64_t)k * ndim, p);
  }
  qsort(out->point, (size_t)out->n_points, sizeof *out->point, by_step);
  out->nnz = begin_of(out, out->n_rows);
  return RP_OK;
}

void rpi_csr_stencil_deinit(rpi_csr_stencil *s) {
  free(s->point);
  free(s->used);
  *s = (rpi_csr_stencil){0};
}

/* ---- lines of the grid ---- */

/* Rows that differ in the last axis only have the same points in all other axes. */
typedef struct line {
  rpi_csr_stencil *s;
  int64_t at[RP_MAX_DIM];
  int32_t n;      /* points that are inside in all axes but the last, in s->used */
  int64_t lo, hi; /* of the last axis: where all of them are inside */
} line;

static bool on_line(const line *l, const rpi_csr_point *p) {
  for (int32_t d = 0; d < l->s->ndim - 1; d++) {
    if (l->at[d] < p->lo[d] || l->at[d] >= p->hi[d]) return false;
  }
  return true;
}

static void enter_line(line *l) {
  const int32_t last = l->s->ndim - 1;
  l->n = 0;
  l->lo = 0;
  l->hi = l->s->shape[last];
  for (int32_t k = 0; k < l->s->n_points; k++) {
    const rpi_csr_point *p = &l->s->point[k];
    if (!on_line(l, p)) continue;
    l->s->used[l->n++] = p;
    if (p->lo[last] > l->lo) l->lo = p->lo[last];
    if (p->hi[last] < l->hi) l->hi = p->hi[last];
  }
}

/* The first axis runs on behind the last row. */
static void next_line(line *l) {
  l->at[l->s->ndim - 1] = 0;
  for (int32_t d = l->s->ndim - 2; d >= 0 && (++l->at[d] == l->s->shape[d] && d > 0); d--) {
    l->at[d] = 0;
  }
}

void rpi_csr_stencil_ptr(rpi_csr_stencil *s, int64_t lo, int64_t n, int64_t *ptr) {
  const int32_t last = s->ndim - 1;
  line l = {.s = s};
  int64_t sum = begin_of(s, lo), i = 0;
  if (s->n_rows > 0) coordinates(s, lo, l.at);
  while (i < n) {
    if (lo + i >= s->n_rows) { /* where a row behind the last one would begin */
      ptr[i] = sum;
      return;
    }
    enter_line(&l);
    for (int64_t j = l.at[last]; j < s->shape[last] && i < n; j++) {
      ptr[i++] = sum;
      if (j >= l.lo && j < l.hi) {
        sum += l.n;
        continue;
      }
      for (int32_t k = 0; k < l.n; k++)
        sum += j >= s->used[k]->lo[last] && j < s->used[k]->hi[last];
    }
    next_line(&l);
  }
}

/* What is still to be written: n entries, after `skip` others. */
typedef struct sink {
  int64_t skip, n;
  int64_t *col;
  double *val;
} sink;

static void put(sink *to, int64_t col, double val) {
  if (to->skip > 0) {
    to->skip--;
    return;
  }
  if (to->n == 0) return;
  if (to->col) *to->col++ = col;
  if (to->val) *to->val++ = val;
  to->n--;
}

/* m rows from `row` on, in which all points of the line are inside. */
static void put_rows(sink *to, const line *l, int64_t row, int64_t m) {
  for (int64_t end = row + m; row < end; row++) {
    if (to->col) {
      for (int32_t k = 0; k < l->n; k++) *to->col++ = row + l->s->used[k]->step;
    }
    if (to->val) {
      for (int32_t k = 0; k < l->n; k++) *to->val++ = l->s->used[k]->coefficient;
    }
  }
  to->n -= m * l->n;
}

/* The line's rows; `row` is the one at l->at. */
static void put_line(sink *to, const line *l, int64_t row) {
  const int32_t last = l->s->ndim - 1;
  for (int64_t j = l->at[last]; j < l->s->shape[last] && to->n > 0 && l->n > 0; j++, row++) {
    int64_t m = j >= l->lo && j < l->hi && to->skip == 0 ? l->hi - j : 0;
    if (m > to->n / l->n) m = to->n / l->n;
    if (m > 0) {
      put_rows(to, l, row, m);
      j += m - 1;
      row += m - 1;
      continue;
    }
    for (int32_t k = 0; k < l->n; k++) {
      const rpi_csr_point *p = l->s->used[k];
      if (j >= p->lo[last] && j < p->hi[last]) put(to, row + p->step, p->coefficient);
    }
  }
}

void rpi_csr_stencil_entries(rpi_csr_stencil *s, int64_t lo, int64_t n, int64_t *col, double *val) {
  if (n <= 0) return;
  line l = {.s = s};
  int64_t row = row_of(s, lo);
  sink to = {lo - begin_of(s, row), n, col, val};
  coordinates(s, row, l.at);
  while (to.n > 0) {
    enter_line(&l);
    put_line(&to, &l, row);
    row += s->shape[s->ndim - 1] - l.at[s->ndim - 1];
    next_line(&l);
  }
}
