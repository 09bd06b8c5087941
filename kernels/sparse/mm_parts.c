/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_parts.c -- see mm_parts.h. */
#include "kernels/sparse/mm_parts.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/failure.h"
#include "kernels/sparse/mm_file.h"

/* ---- even shares ---- */

int64_t rpi_mm_parts_begin(int64_t n, int64_t ranks, int64_t r) {
  const int64_t each = n / ranks, more = n % ranks;
  return r * each + (r < more ? r : more);
}

static int32_t owner_of(int64_t n, int64_t ranks, int64_t i) {
  const int64_t each = n / ranks, more = n % ranks, first = more * (each + 1);
  return (int32_t)(i < first ? i / (each + 1) : more + (i - first) / each);
}

/* ---- reading ---- */

typedef struct reading {
  rp_context *ctx;
  int32_t ranks, rank;
  rpi_mm_file file;
  rpi_mm_head head;
  rpi_mm_lines lines;
  rpi_mm_part part;
  int32_t *to;         /* which rank gets each entry of the part */
  rpi_mm_entry *entry; /* what this rank got, n of them */
  int64_t n;
} reading;

static void clear(reading *r) {
  rpi_mm_file_close(&r->file);
  rpi_mm_read_free(&r->part);
  free(r->lines.own);
  free(r->to);
  free(r->entry);
}

/* What this rank finds in its part, whatever others find in theirs. */
static rp_status read_part(reading *r, const char *path) {
  rp_status status = rpi_mm_file_open(path, r->ranks > 1, &r->file);
  if (status == RP_OK) status = rpi_mm_file_head(&r->file, &r->head);
  if (status != RP_OK) return status;
  const int64_t at = r->head.at, body = r->file.size - at;
  status = rpi_mm_file_lines(&r->file, at + rpi_mm_parts_begin(body, r->ranks, r->rank),
                             at + rpi_mm_parts_begin(body, r->ranks, r->rank + 1), &r->lines);
  if (status == RP_OK) rpi_mm_read_lines(&r->head, r->lines.text, r->lines.size, &r->part);
  return status;
}

/* Lines are counted from the start of the file only now. */
static rp_status part_failed(reading *r) {
  int64_t line = 0;
  const rp_status status = rpi_mm_file_count(&r->file, r->lines.begin, &line);
  if (status != RP_OK) return status;
  return rpi_failure_set(r->part.status, "\"%s\", line %lld: %s", r->file.path,
                         (long long)(line + r->part.line), r->part.message);
}

/* With `before` lines of entries in front of the part. */
static rp_status place(reading *r, int64_t before) {
  rpi_mm_read_place(&r->head, r->lines.text, r->lines.size, before, r->rank == r->ranks - 1,
                    &r->part);
  if (r->part.status != RP_OK) return part_failed(r);
  free(r->lines.own);
  r->lines = (rpi_mm_lines){0};
  if (r->ranks == 1) return RP_OK;
  r->to = malloc(((size_t)r->part.n + 1) * sizeof *r->to);
  if (!r->to) return rpi_failure_memory("entries of a matrix");
  for (int64_t k = 0; k < r->part.n; k++) {
    r->to[k] = owner_of(r->head.n_rows, r->ranks, r->part.entry[k].row);
  }
  return RP_OK;
}

/* All ranks see one file. */
static uint64_t facts(const reading *r) {
  return (uint64_t)r->file.size * 0x9e3779b97f4a7c15u ^ (uint64_t)r->head.n_rows ^
         (uint64_t)r->head.n_cols << 20 ^ (uint64_t)r->head.n << 40;
}

/* Each rank's entries, in file order. */
static rp_status deal(reading *r) {
  if (r->ranks == 1) {
    r->entry = r->part.entry;
    r->n = r->part.n;
    r->part.entry = NULL;
    return RP_OK;
  }
  void *out;
  const rp_status status =
      rp_context_deal(r->ctx, r->part.n, r->to, sizeof *r->entry, r->part.entry, &r->n, &out);
  r->entry = out;
  r->part.entry = NULL;
  free(r->to);
  r->to = NULL;
  return status;
}

static rp_status read_entries(reading *r, const char *path) {
  int64_t before, all;
  rp_status mine = read_part(r, path);
  const rp_status status = rp_context_scan(r->ctx, r->part.lines, &before, &all);
  if (status != RP_OK) return status;
  if (mine == RP_OK) mine = place(r, before);
  mine = rp_context_agree(r->ctx, mine, mine == RP_OK ? facts(r) : 0);
  return mine == RP_OK ? deal(r) : mine;
}

/* ---- rows ---- */

static rp_status assemble(reading *r, rpi_mm_rows *out) {
  const int64_t first = rpi_mm_parts_begin(r->head.n_rows, r->ranks, r->rank);
  const int64_t n_rows = rpi_mm_parts_begin(r->head.n_rows, r->ranks, r->rank + 1) - first;
  char message[RPI_CSR_MESSAGE];
  for (int64_t k = 0; k < r->n; k++) r->entry[k].row -= first;
  const rpi_csr_triplets t = {r->n, &r->entry->row, &r->entry->col, &r->entry->val,
                              sizeof *r->entry / sizeof(int64_t)};
  const rp_status status = rpi_csr_host_triplets(n_rows, r->head.n_cols, &t, &out->a, message);
  return status == RP_OK ? RP_OK : rpi_failure_set(status, "\"%s\": %s", r->file.path, message);
}

rp_status rpi_mm_parts_read(rp_context *ctx, const char *path, rpi_mm_rows *out) {
  reading r = {.ctx = ctx,
               .ranks = rp_context_ranks(ctx),
               .rank = rp_context_rank(ctx),
               .file = {.path = path, .fd = -1}};
  *out = (rpi_mm_rows){0};
  rp_status status = read_entries(&r, path);
  if (status == RP_OK) {
    rp_status mine = assemble(&r, out);
    status = rp_context_scan(ctx, mine == RP_OK ? out->a.ptr[out->a.n_rows] : 0, &out->before,
                             &out->nnz);
    if (status == RP_OK) status = rp_context_agree(ctx, mine, 0);
  }
  out->n_rows = r.head.n_rows;
  out->n_cols = r.head.n_cols;
  clear(&r);
  if (status != RP_OK) rpi_mm_parts_free(out);
  return status;
}

void rpi_mm_parts_free(rpi_mm_rows *r) { rpi_csr_host_free(&r->a); }
