/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_read.c -- the Matrix Market format: banner, sizes, entries.
 * Lives here: see mm_read.h.
 * How:        the banner gives a format (which reader), a field (which values) and a symmetry (which
 *             entries a file may have, and what is mirrored). One entry stands on one line; empty
 *             lines may stand anywhere behind the banner, comments before the sizes. Which entry of the file a line of a
 *             part is, is known only when the parts before it have been counted: until then values of array files have
 *             no place, and a line too many is a line like others.
 * Invariants: no size from the file is believed before the text is long enough to hold it. Of several faults in a file
 *             the first is reported, in however many parts it is read. */
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
  rpi_mm_head head;
  char *message;
} reader;

__attribute__((format(printf, 3, 4))) static rp_status fail(reader *r, rp_status status,
                                                            const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  vsnprintf(r->message, RPI_MM_MESSAGE, fmt, args);
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
  if (r->head.format == ARRAY && r->head.field == PATTERN) {
    return fail(r, RP_ERR_IO,
                "an array file has values: expected real, integer or complex, "
                "found 'pattern'");
  }
  if (r->head.symmetry == HERMITIAN && r->head.field != COMPLEX) {
    return fail(r, RP_ERR_IO,
                "only complex matrices are hermitian: expected general, symmetric "
                "or skew-symmetric");
  }
  if (r->head.symmetry == SKEW && r->head.field == PATTERN) {
    return fail(r, RP_ERR_IO,
                "a pattern has no signs: expected general or symmetric, found "
                "'skew-symmetric'");
  }
  if (r->head.field == COMPLEX) {
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
  r->head.format = format;
  r->head.field = field;
  r->head.symmetry = symmetry;
  status = check_kind(r);
  if (status == RP_OK) rpi_mm_scan_next_line(&r->scan);
  return status;
}

/* ---- sizes ---------------------------------------------------------------------------------------- */

static rp_status read_size(reader *r, const char *what, int64_t *out) {
  const char *at = r->scan.at;
  if (rpi_mm_scan_int(&r->scan, out) && *out >= 0) return RP_OK;
  r->scan.at = at;
  return expected(r, what);
}

/* How many values an array file of this size and symmetry has; false if that is beyond counting. */
static bool array_count(rpi_mm_head *h) {
  int64_t full;
  if (__builtin_mul_overflow(h->n_rows, h->n_cols, &full)) return false;
  const int64_t off = h->symmetry == GENERAL ? 0 : (full - h->n_cols) / 2; /* above the diagonal */
  h->n = full - off - (h->symmetry == SKEW ? h->n_cols : 0);
  return true;
}

static rp_status read_sizes(reader *r) {
  rpi_mm_head *h = &r->head;
  if (!rpi_mm_scan_content(&r->scan, true)) return expected(r, "the line of sizes");
  rp_status status = read_size(r, "the number of rows", &h->n_rows);
  if (status == RP_OK) status = read_size(r, "the number of columns", &h->n_cols);
  if (status == RP_OK && h->format == COORDINATE) {
    status = read_size(r, "the number of entries", &h->n);
  }
  if (status == RP_OK) status = end_line(r, "the sizes");
  if (status != RP_OK) return status;
  if (h->symmetry != GENERAL && h->n_rows != h->n_cols) {
    return fail(r, RP_ERR_IO, "expected a square matrix for this symmetry, found %lld by %lld",
                (long long)h->n_rows, (long long)h->n_cols);
  }
  if (h->format == ARRAY && !array_count(h)) {
    return fail(r, RP_ERR_IO, "expected sizes whose product fits 63 bits, found %lld by %lld",
                (long long)h->n_rows, (long long)h->n_cols);
  }
  return RP_OK;
}

/* The rest of the line that was read last is in the text. */
static bool line_is_whole(const rpi_mm_scan *s) {
  return s->at < s->end && memchr(s->at, '\n', (size_t)(s->end - s->at)) != NULL;
}

rp_status rpi_mm_read_head(const char *text, size_t size, int64_t file_size, rpi_mm_head *out,
                           bool *more, char message[RPI_MM_MESSAGE]) {
  reader r = {.message = message};
  *out = (rpi_mm_head){.line = 1};
  *more = false;
  message[0] = '\0';
  if (!rpi_mm_scan_init(&r.scan, text, size)) return fail(&r, RP_ERR_MEMORY, "out of memory");
  rp_status status = read_banner(&r);
  if (status == RP_OK) status = read_sizes(&r);
  *more = (int64_t)size < file_size && !line_is_whole(&r.scan);
  if (status == RP_OK) {
    rpi_mm_scan_next_line(&r.scan);
    r.head.at = r.scan.at - text;
    /* A line of an entry has two characters at least. */
    const int64_t left = file_size - r.head.at;
    if (r.head.n > left / 2 + 1) {
      status = fail(&r, RP_ERR_IO, "expected %lld entries, but only %lld bytes follow",
                    (long long)r.head.n, (long long)left);
    }
  }
  rpi_mm_scan_deinit(&r.scan);
  *out = r.head;
  out->line = r.scan.line;
  return status;
}

/* ---- lines of entries --------------------------------------------------------------------------------- */

static rp_status read_value(reader *r, double *out) {
  if (r->head.field == INTEGER) {
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
  const int32_t symmetry = r->head.symmetry;
  if (symmetry == GENERAL || row > col || (row == col && symmetry != SKEW)) return RP_OK;
  return fail(r, RP_ERR_IO, "expected an entry %s the diagonal of a %s matrix, found (%lld, %lld)",
              symmetry == SKEW ? "below" : "on or below",
              symmetry == SKEW ? "skew-symmetric" : "symmetric", (long long)row, (long long)col);
}

/* The entry, and its mirror image where the symmetry implies one. */
static void add(const rpi_mm_head *h, rpi_mm_part *p, int64_t row, int64_t col, double val) {
  p->entry[p->n++] = (rpi_mm_entry){row, col, val};
  if (h->symmetry != GENERAL && row != col) {
    p->entry[p->n++] = (rpi_mm_entry){col, row, h->symmetry == SKEW ? -val : val};
  }
}

static rp_status read_coordinate(reader *r, rpi_mm_part *p) {
  int64_t row = 0, col = 0;
  double val = 1.0;
  rp_status status = read_index(r, "row", r->head.n_rows, &row);
  if (status == RP_OK) status = read_index(r, "column", r->head.n_cols, &col);
  if (status == RP_OK) status = check_triangle(r, row, col);
  if (status == RP_OK && r->head.field != PATTERN) status = read_value(r, &val);
  if (status == RP_OK) status = end_line(r, "the entry");
  if (status == RP_OK) add(&r->head, p, row - 1, col - 1, val);
  return status;
}

static rp_status read_element(reader *r, rpi_mm_part *p) {
  const rp_status status = read_value(r, &p->value[p->lines]);
  return status == RP_OK ? end_line(r, "the value") : status;
}

/* Room for `lines` entries. */
static bool reserve(const rpi_mm_head *h, rpi_mm_part *p, int64_t lines) {
  const uint64_t cap = (uint64_t)lines * (h->symmetry == GENERAL ? 1 : 2) + 1;
  if (cap <= SIZE_MAX / sizeof *p->entry) p->entry = malloc((size_t)cap * sizeof *p->entry);
  return p->entry != NULL;
}

static rp_status no_room(reader *r, int64_t lines) {
  return fail(r, RP_ERR_MEMORY, "out of memory for %lld entries", (long long)lines);
}

/* So many lines there are at most, and no more than the file may have. */
static int64_t count_lines(const rpi_mm_head *h, const char *text, size_t size) {
  int64_t n = 1;
  for (const char *at = text; n < h->n && size > 0 && (at = memchr(at, '\n', size)) != NULL; n++) {
    at++;
    size -= (size_t)(at - text);
    text = at;
  }
  return n < h->n ? n : h->n;
}

static rp_status read_lines(reader *r, rpi_mm_part *p, int64_t room) {
  const bool array = r->head.format == ARRAY;
  if (array) p->value = malloc(((size_t)room + 1) * sizeof *p->value);
  if (array ? !p->value : !reserve(&r->head, p, room)) return no_room(r, room);
  while (rpi_mm_scan_content(&r->scan, false)) {
    if (p->lines == r->head.n) {
      p->more = true;
      return RP_OK;
    }
    const rp_status status = array ? read_element(r, p) : read_coordinate(r, p);
    if (status != RP_OK) return status;
    p->lines++;
    rpi_mm_scan_next_line(&r->scan);
  }
  return RP_OK;
}

void rpi_mm_read_lines(const rpi_mm_head *h, const char *text, size_t size, rpi_mm_part *p) {
  reader r = {.head = *h, .message = p->message};
  p->status = rpi_mm_scan_init(&r.scan, text, size) ? read_lines(&r, p, count_lines(h, text, size))
                                                    : fail(&r, RP_ERR_MEMORY, "out of memory");
  p->line = r.scan.line;
  rpi_mm_scan_deinit(&r.scan);
}

/* ---- where the lines stand in the file -------------------------------------------------------------------- */

/* The part has more lines than entries are left, the first of these behind `left` others. */
static rp_status one_too_many(const rpi_mm_head *h, const char *text, size_t size, int64_t left,
                              rpi_mm_part *p) {
  reader r = {.head = *h, .message = p->message};
  if (!rpi_mm_scan_init(&r.scan, text, size)) return fail(&r, RP_ERR_MEMORY, "out of memory");
  while (rpi_mm_scan_content(&r.scan, false) && left-- > 0) rpi_mm_scan_next_line(&r.scan);
  const rp_status status = expected(&r, "the end of the file after the last entry");
  p->line = r.scan.line;
  rpi_mm_scan_deinit(&r.scan);
  return status;
}

/* Column by column; of symmetric matrices the lower triangle, of skew-symmetric ones without the
 * diagonal. Zeros are not stored. */
static void place_values(const rpi_mm_head *h, int64_t before, rpi_mm_part *p) {
  const int64_t skip = h->symmetry == SKEW;
  int64_t col = 0, row = before; /* behind the first row of the column's that is there */
  if (h->symmetry == GENERAL) {
    col = before / h->n_rows;
    row = before % h->n_rows;
  } else {
    while (row >= h->n_rows - col - skip) row -= h->n_rows - col++ - skip;
    row += col + skip;
  }
  for (int64_t k = 0; k < p->lines; k++) {
    if (p->value[k] != 0.0) add(h, p, row, col, p->value[k]);
    if (++row < h->n_rows) continue;
    col++;
    row = h->symmetry == GENERAL ? 0 : col + skip;
  }
}

void rpi_mm_read_place(const rpi_mm_head *h, const char *text, size_t size, int64_t before,
                       bool last, rpi_mm_part *p) {
  reader r = {.head = *h, .message = p->message};
  const int64_t left = h->n - before;
  const bool another = p->more || p->status == RP_ERR_IO; /* a line behind those that were read */
  if (p->status == RP_ERR_MEMORY) return;
  if (p->lines > left || (p->lines == left && another)) {
    p->status = one_too_many(h, text, size, left, p);
  } else if (p->status == RP_OK && last && p->lines < left) {
    p->status = fail(&r, RP_ERR_IO, "expected entry %lld of %lld, found the end of the file",
                     (long long)(before + p->lines + 1), (long long)h->n);
  } else if (p->status == RP_OK && h->format == ARRAY) {
    if (!reserve(h, p, p->lines)) p->status = no_room(&r, p->lines);
    if (p->status == RP_OK && p->lines > 0) place_values(h, before, p);
  }
}

void rpi_mm_read_free(rpi_mm_part *p) {
  free(p->entry);
  free(p->value);
  *p = (rpi_mm_part){0};
}
