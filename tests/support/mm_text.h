/* SPDX-License-Identifier: Apache-2.0
 * tests/support/mm_text.h -- a Matrix Market text read as ranks read a file, in any number of parts, one after another.
 * Not here: ranks. */
#ifndef MM_TEXT_H
#define MM_TEXT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/sparse/mm_file.h"

/* All entries; after an error none, and `message` says "line 3: expected ...". */
typedef struct mm_text {
  rpi_mm_head head;
  rpi_mm_entry *entry;
  int64_t n;
  char message[RPI_MM_MESSAGE + 40];
} mm_text;

static inline void mm_text_free(mm_text *t) {
  free(t->entry);
  t->entry = NULL;
  t->n = 0;
}

/* One part; *before: lines of entries so far. */
static inline rp_status mm_text_part(const rpi_mm_file *f, int64_t lo, int64_t hi, int64_t *before,
                                     mm_text *t) {
  rpi_mm_part p = {0};
  rpi_mm_lines lines;
  int64_t line;
  rp_status st = rpi_mm_file_lines(f, lo, hi, &lines);
  if (st != RP_OK) return st;
  rpi_mm_read_lines(&t->head, lines.text, lines.size, &p);
  rpi_mm_read_place(&t->head, lines.text, lines.size, *before, hi == f->size, &p);
  st = p.status;
  if (st == RP_OK) {
    t->entry = realloc(t->entry, (size_t)(t->n + p.n + 1) * sizeof *t->entry);
    if (p.n > 0) memcpy(t->entry + t->n, p.entry, (size_t)p.n * sizeof *p.entry);
    t->n += p.n;
    *before += p.lines;
  } else if (rpi_mm_file_count(f, lines.begin, &line) == RP_OK) {
    snprintf(t->message, sizeof t->message, "line %lld: %s", (long long)(line + p.line), p.message);
  }
  free(lines.own);
  rpi_mm_read_free(&p);
  return st;
}

/* `text` is exactly so long. The caller frees *t, also after an error. */
static inline rp_status mm_text_read(const char *text, size_t size, int64_t parts, mm_text *t) {
  char *copy = malloc(size + !size);
  const rpi_mm_file f = {.path = "text", .fd = -1, .size = (int64_t)size, .text = copy};
  char message[RPI_MM_MESSAGE];
  bool more;
  int64_t before = 0;
  *t = (mm_text){0};
  memcpy(copy, text, size);
  rp_status st = rpi_mm_read_head(copy, size, (int64_t)size, &t->head, &more, message);
  if (st != RP_OK) {
    snprintf(t->message, sizeof t->message, "line %lld: %s", (long long)t->head.line, message);
  }
  for (int64_t k = 0, body = f.size - t->head.at; k < parts && st == RP_OK; k++)
    st = mm_text_part(&f, t->head.at + body * k / parts, t->head.at + body * (k + 1) / parts,
                      &before, t);
  if (st != RP_OK) mm_text_free(t);
  free(copy);
  return st;
}

#endif
