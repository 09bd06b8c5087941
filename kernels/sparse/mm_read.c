/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_read.c -- the Matrix Market format: banner, sizes, entries.
 * Lives here: see mm_read.h.
 * How:        the banner gives a format (which reader), a field (which values) and a symmetry (which
 *             entries a file may have, and what is mirrored). One entry stands on one line; empty
 *             lines may stand anywhere behind the banner, comments before the sizes.
 * Invariants: no size from the file is believed before the text is long enough to hold it. */
#include "kernels/sparse/mm_read.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/sparse/mm_scan.h"

typedef enum mm_format { COORDINATE, ARRAY } mm_format;
typedef enum mm_field { REAL, INTEGER, COMPLEX, PATTERN } mm_field;
typedef enum mm_symmetry { GENERAL, SYMMETRIC, SKEW, HERMITIAN } mm_symmetry;

typedef struct reader {
  rpi_mm_scan scan;
  mm_format format;
  mm_field field;
  mm_symmetry symmetry;
  rpi_mm_triplets *out;
  char *message;
} reader;

__attribute__((format(printf, 3, 4))) static rp_status fail(reader *r, rp_status status,
                                                            const char *fmt, ...) {
  const int n = snprintf(r->message, RPI_MM_MESSAGE, "line %lld: ", (long long)r->scan.line);
  va_list args;
  va_start(args, fmt);
  vsnprintf(r->message + n, (size_t)(RPI_MM_MESSAGE - n), fmt, args);
  va_end(args);
  return status;
}

/* "expected <what>, found 'word'". */
static rp_status expected(reader *r, const char *what) {
  const char *word;
  const size_t n = rpi_mm_scan_word(&r->scan, &word);
  if (n == 0) {
    const bool end = r->scan.at == r->scan.end;
    return fail(r, RP_ERR_IO, "expected %s, found the end of the %s", what, end ? "file" : "line");
  }
  char shown[32];
  size_t k = 0;
  for (; k < n && k < sizeof shown - 1; k++) {
    shown[k] = word[k] < ' ' || word[k] > '~' ? '?' : word[k];
  }
  shown[k] = '\0';
  return fail(r, RP_ERR_IO, "expected %s, found '%s'%s", what, shown, k < n ? "..." : "");
}

static rp_status end_line(reader *r, const char *after) {
  if (rpi_mm_scan_at_eol(&r->scan)) return RP_OK;
  char what[64];
  snprintf(what, sizeof what, "the end of the line after %s", after);
  return expected(r, what);
}

/* ---- banner --------------------------------------------------------------------------------------- */

/* Compares a word with a lower-case one, letters of either case being equal. */
static bool word_is(const char *word, size_t n, const char *lower) {
  if (n != strlen(lower)) return false;
  for (size_t i = 0; i < n; i++) {
    const char c = word[i] >= 'A' && word[i] <= 'Z' ? (char)(word[i] - 'A' + 'a') : word[i];
    if (c != lower[i]) return false;
  }
  return true;
}

/* The number of the next word among `names`, all of which `what` lists for the error. */
static rp_status banner_word(reader *r, const char *const *names, int n_names, const char *what,
                             int *out) {
  const char *at = r->scan.at, *word;
  const size_t n = rpi_mm_scan_word(&r->scan, &word);
  for (int i = 0; i < n_names; i++) {
    if (!word_is(word, n, names[i])) continue;
    *out = i;
    return RP_OK;
  }
  r->scan.at = at;
  return expected(r, what);
}

/* Combinations that the format excludes. */
static rp_status check_kind(reader *r) {
  if (r->format == ARRAY && r->field == PATTERN) {
    return fail(r, RP_ERR_IO,
                "an array file has values: expected real, integer or complex, "
                "found 'pattern'");
  }
  if (r->symmetry == HERMITIAN && r->field != COMPLEX) {
    return fail(r, RP_ERR_IO,
                "only complex matrices are hermitian: expected general, symmetric "
                "or skew-symmetric");
  }
  if (r->symmetry == SKEW && r->field == PATTERN) {
    return fail(r, RP_ERR_IO,
                "a pattern has no signs: expected general or symmetric, found "
                "'skew-symmetric'");
  }
  if (r->field == COMPLEX) {
    return fail(r, RP_ERR_DTYPE, "complex matrices are not supported: there are no complex dtypes");
  }
  return RP_OK;
}

static rp_status read_banner(reader *r) {
  static const char *const banners[] = {"%%matrixmarket"};
  static const char *const objects[] = {"matrix"};
  static const char *const formats[] = {"coordinate", "array"};
  static const char *const fields[] = {"real", "integer", "complex", "pattern"};
  static const char *const symmetries[] = {"general", "symmetric", "skew-symmetric", "hermitian"};
  int ignored, format = 0, field = 0, symmetry = 0;
  rp_status status = banner_word(r, banners, 1, "the banner '%%MatrixMarket'", &ignored);
  if (status == RP_OK) status = banner_word(r, objects, 1, "'matrix'", &ignored);
  if (status == RP_OK) status = banner_word(r, formats, 2, "coordinate or array", &format);
  if (status == RP_OK) {
    status = banner_word(r, fields, 4, "real, integer, complex or pattern", &field);
  }
  if (status == RP_OK) {
    status =
        banner_word(r, symmetries, 4, "general, symmetric, skew-symmetric or hermitian", &symmetry);
  }
  if (status == RP_OK) status = end_line(r, "the banner");
  if (status != RP_OK) return status;
  r->format = (mm_format)format;
  r->field = (mm_field)field;
  r->symmetry = (mm_symmetry)symmetry;
  status = check_kind(r);
  rpi_mm_scan_next_line(&r->scan);
  return status;
}

/* ---- entries ---------------------------------------------------------------------------------------- */

static rp_status read_size(reader *r, const char *what, int64_t *out) {
  const char *at = r->scan.at;
  if (rpi_mm_scan_int(&r->scan, out) && *out >= 0) return RP_OK;
  r->scan.at = at;
  return expected(r, what);
}

/* Room for n entries, twice that if they are mirrored. */
static rp_status reserve(reader *r, int64_t n) {
  rpi_mm_triplets *t = r->out;
  const uint64_t cap = (uint64_t)n * (r->symmetry == GENERAL ? 1 : 2) + 1;
  if (cap <= SIZE_MAX / 8) {
    t->row = malloc((size_t)cap * sizeof *t->row);
    t->col = malloc((size_t)cap * sizeof *t->col);
    t->val = malloc((size_t)cap * sizeof *t->val);
  }
  if (t->row && t->col && t->val) return RP_OK;
  return fail(r, RP_ERR_MEMORY, "out of memory for %lld entries", (long long)n);
}

static void add(rpi_mm_triplets *t, int64_t row, int64_t col, double val) {
  t->row[t->n] = row;
  t->col[t->n] = col;
  t->val[t->n++] = val;
}

/* The entry, and its mirror image where the symmetry implies one. */
static void add_entry(reader *r, int64_t row, int64_t col, double val) {
  add(r->out, row, col, val);
  if (r->symmetry != GENERAL && row != col) {
    add(r->out, col, row, r->symmetry == SKEW ? -val : val);
  }
}

static rp_status read_value(reader *r, double *out) {
  if (r->field == INTEGER) {
    int64_t v;
    if (!rpi_mm_scan_int(&r->scan, &v)) return expected(r, "an integer value");
    *out = (double)v;
    return RP_OK;
  }
  return rpi_mm_scan_real(&r->scan, out) ? RP_OK : expected(r, "a real value");
}

static rp_status read_index(reader *r, const char *what, int64_t limit, int64_t *out) {
  const char *at = r->scan.at;
  if (rpi_mm_scan_int(&r->scan, out) && *out >= 1 && *out <= limit) return RP_OK;
  r->scan.at = at;
  char text[64];
  snprintf(text, sizeof text, "a %s index in 1..%lld", what, (long long)limit);
  return expected(r, text);
}

/* Symmetric files give the lower triangle only; a skew-symmetric one has no diagonal. */
static rp_status check_triangle(reader *r, int64_t row, int64_t col) {
  if (r->symmetry == GENERAL || row > col || (row == col && r->symmetry != SKEW)) return RP_OK;
  return fail(r, RP_ERR_IO, "expected an entry %s the diagonal of a %s matrix, found (%lld, %lld)",
              r->symmetry == SKEW ? "below" : "on or below",
              r->symmetry == SKEW ? "skew-symmetric" : "symmetric", (long long)row, (long long)col);
}

static rp_status next_entry(reader *r, int64_t k, int64_t n) {
  if (rpi_mm_scan_content(&r->scan, false)) return RP_OK;
  return fail(r, RP_ERR_IO, "expected entry %lld of %lld, found the end of the file",
              (long long)k + 1, (long long)n);
}

static rp_status read_coordinates(reader *r, int64_t n) {
  for (int64_t k = 0; k < n; k++) {
    int64_t row, col;
    double val = 1.0;
    rp_status status = next_entry(r, k, n);
    if (status == RP_OK) status = read_index(r, "row", r->out->n_rows, &row);
    if (status == RP_OK) status = read_index(r, "column", r->out->n_cols, &col);
    if (status == RP_OK) status = check_triangle(r, row, col);
    if (status == RP_OK && r->field != PATTERN) status = read_value(r, &val);
    if (status == RP_OK) status = end_line(r, "the entry");
    if (status != RP_OK) return status;
    add_entry(r, row - 1, col - 1, val);
    rpi_mm_scan_next_line(&r->scan);
  }
  return RP_OK;
}

/* Column by column; of symmetric matrices the lower triangle, of skew-symmetric ones without the
 * diagonal. Zeros are not stored. */
static rp_status read_array(reader *r, int64_t n) {
  int64_t k = 0;
  for (int64_t col = 0; k < n && col < r->out->n_cols; col++) {
    const int64_t first = r->symmetry == GENERAL ? 0 : col + (r->symmetry == SKEW);
    for (int64_t row = first; row < r->out->n_rows; row++, k++) {
      double val;
      rp_status status = next_entry(r, k, n);
      if (status == RP_OK) status = read_value(r, &val);
      if (status == RP_OK) status = end_line(r, "the value");
      if (status != RP_OK) return status;
      if (val != 0.0) add_entry(r, row, col, val);
      rpi_mm_scan_next_line(&r->scan);
    }
  }
  return RP_OK;
}

/* How many values an array file of this size and symmetry has; false if that is beyond counting. */
static bool array_count(const reader *r, int64_t *out) {
  const int64_t m = r->out->n_rows, n = r->out->n_cols;
  int64_t full;
  if (__builtin_mul_overflow(m, n, &full)) return false;
  const int64_t off = r->symmetry == GENERAL ? 0 : (full - n) / 2; /* above the diagonal */
  *out = full - off - (r->symmetry == SKEW ? n : 0);
  return true;
}

static rp_status read_body(reader *r) {
  rpi_mm_triplets *t = r->out;
  int64_t n = 0;
  if (!rpi_mm_scan_content(&r->scan, true)) return expected(r, "the line of sizes");
  rp_status status = read_size(r, "the number of rows", &t->n_rows);
  if (status == RP_OK) status = read_size(r, "the number of columns", &t->n_cols);
  if (status == RP_OK && r->format == COORDINATE) {
    status = read_size(r, "the number of entries", &n);
  }
  if (status == RP_OK) status = end_line(r, "the sizes");
  if (status != RP_OK) return status;
  if (r->symmetry != GENERAL && t->n_rows != t->n_cols) {
    return fail(r, RP_ERR_IO, "expected a square matrix for this symmetry, found %lld by %lld",
                (long long)t->n_rows, (long long)t->n_cols);
  }
  if (r->format == ARRAY && !array_count(r, &n)) {
    return fail(r, RP_ERR_IO, "expected sizes whose product fits 63 bits, found %lld by %lld",
                (long long)t->n_rows, (long long)t->n_cols);
  }
  rpi_mm_scan_next_line(&r->scan);
  /* A line of an entry has two characters at least. */
  const int64_t left = r->scan.end - r->scan.at;
  if (n > left / 2 + 1) {
    return fail(r, RP_ERR_IO, "expected %lld entries, but only %lld bytes follow", (long long)n,
                (long long)left);
  }
  status = reserve(r, n);
  if (status == RP_OK) status = r->format == ARRAY ? read_array(r, n) : read_coordinates(r, n);
  if (status == RP_OK && rpi_mm_scan_content(&r->scan, false)) {
    status = expected(r, "the end of the file after the last entry");
  }
  return status;
}

rp_status rpi_mm_read_text(const char *text, size_t size, rpi_mm_triplets *out,
                           char message[RPI_MM_MESSAGE]) {
  *out = (rpi_mm_triplets){0};
  message[0] = '\0';
  reader r = {.out = out, .message = message};
  if (!rpi_mm_scan_init(&r.scan, text, size)) return fail(&r, RP_ERR_MEMORY, "out of memory");
  rp_status status = read_banner(&r);
  if (status == RP_OK) status = read_body(&r);
  rpi_mm_scan_deinit(&r.scan);
  if (status != RP_OK) rpi_mm_read_free(out);
  return status;
}

void rpi_mm_read_free(rpi_mm_triplets *t) {
  free(t->row);
  free(t->col);
  free(t->val);
  *t = (rpi_mm_triplets){0};
}
