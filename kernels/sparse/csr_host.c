/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/csr_host.c -- assembly of CSR matrices in the host's memory.
 * Lives here: see csr_host.h.
 * How:        triplets are dealt to their rows in input order (a counting sort), each row is sorted by
 *             column without changing the order of equals, and equals are added from left to right.
 * Invariants: a matrix that is returned has ascending columns in every row. */
#include "kernels/sparse/csr_host.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INSERTION = 24 }; /* rows up to this length are sorted by insertion */

rp_status rpi_csr_host_fail(char *message, rp_status status, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  vsnprintf(message, RPI_CSR_MESSAGE, fmt, args);
  va_end(args);
  return status;
}

rp_status rpi_csr_host_alloc(int64_t n_rows, int64_t n_cols, int64_t nnz, rpi_csr_host *out,
                             char message[RPI_CSR_MESSAGE]) {
  *out = (rpi_csr_host){.n_rows = n_rows, .n_cols = n_cols};
  const int64_t limit = INT64_MAX / 16;
  if (n_rows < limit && nnz < limit) {
    out->ptr = calloc((size_t)n_rows + 1, sizeof *out->ptr);
    out->col = malloc(((size_t)nnz + 1) * sizeof *out->col);
    out->val = malloc(((size_t)nnz + 1) * sizeof *out->val);
  }
  if (out->ptr && out->col && out->val) return RP_OK;
  rpi_csr_host_free(out);
  return rpi_csr_host_fail(message, RP_ERR_MEMORY, "out of memory for %lld rows with %lld entries",
                           (long long)n_rows, (long long)nnz);
}

void rpi_csr_host_free(rpi_csr_host *a) {
  free(a->ptr);
  free(a->col);
  free(a->val);
  *a = (rpi_csr_host){0};
}

/* ---- triplets ------------------------------------------------------------------------------------- */

typedef struct entry {
  int64_t col;
  double val;
} entry;

static void insertion_sort(int64_t *col, double *val, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    const int64_t c = col[i];
    const double v = val[i];
    int64_t j = i;
    for (; j > 0 && col[j - 1] > c; j--) {
      col[j] = col[j - 1];
      val[j] = val[j - 1];
    }
    col[j] = c;
    val[j] = v;
  }
}

/* Merges from[lo, mid) and from[mid, hi) into to[lo, hi), the left one first among equals. */
static void merge_runs(const entry *from, entry *to, int64_t lo, int64_t mid, int64_t hi) {
  int64_t a = lo, b = mid;
  for (int64_t k = lo; k < hi; k++) {
    const bool left = a < mid && (b >= hi || from[a].col <= from[b].col);
    to[k] = left ? from[a++] : from[b++];
  }
}

/* Bottom-up merge sort through `room`, which holds 2 n entries. */
static void merge_sort(int64_t *col, double *val, int64_t n, entry *room) {
  entry *from = room, *to = room + n;
  for (int64_t i = 0; i < n; i++) from[i] = (entry){col[i], val[i]};
  for (int64_t width = 1; width < n; width *= 2) {
    for (int64_t lo = 0; lo < n; lo += 2 * width) {
      const int64_t mid = lo + width < n ? lo + width : n;
      const int64_t hi = lo + 2 * width < n ? lo + 2 * width : n;
      merge_runs(from, to, lo, mid, hi);
    }
    entry *swap = from;
    from = to;
    to = swap;
  }
  for (int64_t i = 0; i < n; i++) {
    col[i] = from[i].col;
    val[i] = from[i].val;
  }
}

/* Sorts every row; equal columns keep their order. */
static rp_status sort_rows(rpi_csr_host *a, char *message) {
  int64_t longest = 0;
  for (int64_t i = 0; i < a->n_rows; i++) {
    const int64_t n = a->ptr[i + 1] - a->ptr[i];
    if (n > longest) longest = n;
  }
  entry *room = NULL;
  if (longest > INSERTION) {
    room = malloc((size_t)longest * 2 * sizeof *room);
    if (!room) {
      return rpi_csr_host_fail(message, RP_ERR_MEMORY,
                               "out of memory to sort a row of %lld entries", (long long)longest);
    }
  }
  for (int64_t i = 0; i < a->n_rows; i++) {
    int64_t *col = a->col + a->ptr[i];
    double *val = a->val + a->ptr[i];
    const int64_t n = a->ptr[i + 1] - a->ptr[i];
    int64_t sorted = 1;
    while (sorted < n && col[sorted - 1] <= col[sorted]) sorted++;
    if (sorted >= n) continue;
    if (n <= INSERTION) {
      insertion_sort(col, val, n);
    } else {
      merge_sort(col, val, n, room);
    }
  }
  free(room);
  return RP_OK;
}

/* Adds up neighbours of one column and closes the gaps. */
static void sum_duplicates(rpi_csr_host *a) {
  int64_t out = 0, begin = 0;
  for (int64_t i = 0; i < a->n_rows; i++) {
    const int64_t end = a->ptr[i + 1], row_out = out;
    for (int64_t k = begin; k < end; k++) {
      if (out > row_out && a->col[out - 1] == a->col[k]) {
        a->val[out - 1] += a->val[k];
      } else {
        a->col[out] = a->col[k];
        a->val[out++] = a->val[k];
      }
    }
    begin = end;
    a->ptr[i + 1] = out;
  }
}

static rp_status check_triplets(int64_t n_rows, int64_t n_cols, const rpi_csr_triplets *t,
                                char *message) {
  if (n_rows < 0 || n_cols < 0 || t->n < 0) {
    return rpi_csr_host_fail(message, RP_ERR_SHAPE, "a matrix of %lld by %lld with %lld entries",
                             (long long)n_rows, (long long)n_cols, (long long)t->n);
  }
  for (int64_t k = 0; k < t->n; k++) {
    const int64_t row = t->row[k * t->step], col = t->col[k * t->step];
    if (row >= 0 && row < n_rows && col >= 0 && col < n_cols) continue;
    return rpi_csr_host_fail(message, RP_ERR_ARGUMENT,
                             "entry %lld is at (%lld, %lld), outside %lld by %lld", (long long)k,
                             (long long)row, (long long)col, (long long)n_rows, (long long)n_cols);
  }
  return RP_OK;
}

rp_status rpi_csr_host_triplets(int64_t n_rows, int64_t n_cols, const rpi_csr_triplets *t,
                                rpi_csr_host *out, char message[RPI_CSR_MESSAGE]) {
  *out = (rpi_csr_host){0};
  rp_status status = check_triplets(n_rows, n_cols, t, message);
  if (status == RP_OK) status = rpi_csr_host_alloc(n_rows, n_cols, t->n, out, message);
  if (status != RP_OK) return status;
  /* ptr[i + 1] counts row i, then is where its next entry goes, and ends as where row i + 1 begins. */
  int64_t *ptr = out->ptr, before = 0;
  for (int64_t k = 0; k < t->n; k++) ptr[t->row[k * t->step] + 1]++;
  for (int64_t i = 1; i <= n_rows; i++) {
    const int64_t count = ptr[i];
    ptr[i] = before;
    before += count;
  }
  for (int64_t k = 0; k < t->n; k++) {
    const int64_t to = ptr[t->row[k * t->step] + 1]++;
    out->col[to] = t->col[k * t->step];
    out->val[to] = t->val[k * t->step];
  }
  status = sort_rows(out, message);
  if (status != RP_OK) {
    rpi_csr_host_free(out);
    return status;
  }
  sum_duplicates(out);
  return RP_OK;
}

/* ---- checks -------------------------------------------------------------------------------------------- */

rp_status rpi_csr_host_check(int64_t n_rows, int64_t n_cols, const int64_t *ptr, const int64_t *col,
                             char message[RPI_CSR_MESSAGE]) {
  if (n_rows < 0 || n_cols < 0) {
    return rpi_csr_host_fail(message, RP_ERR_SHAPE, "a matrix of %lld by %lld", (long long)n_rows,
                             (long long)n_cols);
  }
  if (ptr[0] != 0) {
    return rpi_csr_host_fail(message, RP_ERR_ARGUMENT, "ptr[0] is %lld and must be 0",
                             (long long)ptr[0]);
  }
  for (int64_t i = 0; i < n_rows; i++) {
    if (ptr[i + 1] >= ptr[i]) continue;
    return rpi_csr_host_fail(message, RP_ERR_ARGUMENT, "ptr descends from %lld to %lld at row %lld",
                             (long long)ptr[i], (long long)ptr[i + 1], (long long)i);
  }
  for (int64_t k = 0; k < ptr[n_rows]; k++) {
    if (col[k] >= 0 && col[k] < n_cols) continue;
    return rpi_csr_host_fail(message, RP_ERR_ARGUMENT, "col[%lld] is %lld, outside 0..%lld",
                             (long long)k, (long long)col[k], (long long)n_cols - 1);
  }
  return RP_OK;
}
