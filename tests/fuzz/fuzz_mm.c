/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_mm.c -- libFuzzer target: any bytes as a Matrix Market file.
 *
 * What is refused must name a line and leave nothing behind; in several parts it is the same matrix, or the same error.
 * What is read must lie inside its matrix, assemble to a valid CSR matrix, and be the same matrix after it was written and
 * read again. Words that are numbers must have the C library's value, to the bit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/sparse/mm_scan.h"
#include "kernels/sparse/mm_write.h"
#include "tests/support/mm_text.h"

enum { MOST_ROWS = 4096, MOST_WORD = 60 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
  if (!ok) abort();
}

static bool same_bits(double a, double b) {
  return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

/* ---- numbers ------------------------------------------------------------------------------------ */

static void check_word(const rpi_mm_scan *before, const char *word, size_t n) {
  static const char plain[] = "0123456789+-.eE";
  char text[MOST_WORD + 1], *stop;
  if (n == 0 || n > MOST_WORD) return;
  memcpy(text, word, n);
  text[n] = '\0';
  if (strspn(text, plain) != n) return;
  rpi_mm_scan s = *before;
  double got = 0;
  const bool read = rpi_mm_scan_real(&s, &got);
  const double want = strtod(text, &stop);
  require(read == (*stop == '\0'));
  require(!read || (same_bits(got, want) && s.at == word + n));
}

static void check_words(const char *text, size_t size) {
  rpi_mm_scan s;
  if (!rpi_mm_scan_init(&s, text, size)) return;
  while (s.at < s.end) {
    const rpi_mm_scan before = s;
    const char *word;
    const size_t n = rpi_mm_scan_word(&s, &word);
    check_word(&before, word, n);
    if (n == 0) s.at++; /* a line ends here */
  }
  rpi_mm_scan_deinit(&s);
}

/* ---- matrices ----------------------------------------------------------------------------------- */

static bool assemble(const mm_text *t, rpi_csr_host *a) {
  char message[RPI_CSR_MESSAGE];
  const rpi_csr_triplets list = {t->n, t->n ? &t->entry->row : NULL, t->n ? &t->entry->col : NULL,
                                 t->n ? &t->entry->val : NULL, 3};
  rp_status status = rpi_csr_host_triplets(t->head.n_rows, t->head.n_cols, &list, a, message);
  if (status == RP_ERR_MEMORY) return false;
  require(status == RP_OK);
  require(rpi_csr_host_check(a->n_rows, a->n_cols, a->ptr, a->col, message) == RP_OK);
  return true;
}

static void check_same(const rpi_csr_host *a, const rpi_csr_host *b) {
  require(a->n_rows == b->n_rows && a->n_cols == b->n_cols);
  require(memcmp(a->ptr, b->ptr, ((size_t)a->n_rows + 1) * sizeof *a->ptr) == 0);
  for (int64_t k = 0; k < a->ptr[a->n_rows]; k++) {
    require(a->col[k] == b->col[k] && same_bits(a->val[k], b->val[k]));
  }
}

/* A process alone, of which files are written; the same one for all inputs. */
static rp_context *context(void) {
  static rp_context *ctx;
  if (!ctx)
    require(rp_context_create("--tier 0 --threads 1 --cache_dir none --transport none --pin off",
                              &ctx) == RP_OK);
  return ctx;
}

/* The matrix as a file, and back in two parts. */
static void round_trip(const rpi_csr_host *a) {
  char path[64];
  mm_text t = {0};
  rpi_mm_file f;
  rpi_csr_host again;
  rpi_mm_output o;
  int64_t before = 0;
  snprintf(path, sizeof path, "/tmp/fuzz_mm.%d", (int)getpid());
  require(rpi_mm_write_begin(context(), path, a->n_rows, &o) == RP_OK);
  require(rpi_mm_write_rows(&o, a->n_rows, a, 17) == RP_OK);
  require(rpi_mm_file_open(path, true, &f) == RP_OK && rpi_mm_file_head(&f, &t.head) == RP_OK);
  const int64_t middle = t.head.at + (f.size - t.head.at) / 2;
  require(mm_text_part(&f, t.head.at, middle, &before, &t) == RP_OK);
  require(mm_text_part(&f, middle, f.size, &before, &t) == RP_OK);
  require(t.n == a->ptr[a->n_rows]);
  if (assemble(&t, &again)) {
    check_same(a, &again);
    rpi_csr_host_free(&again);
  }
  mm_text_free(&t);
  rpi_mm_file_close(&f);
  unlink(path);
}

static void check_entries(const mm_text *t) {
  rpi_csr_host a;
  for (int64_t k = 0; k < t->n; k++) {
    const rpi_mm_entry *e = &t->entry[k];
    require(e->row >= 0 && e->row < t->head.n_rows && e->col >= 0 && e->col < t->head.n_cols);
  }
  if (t->head.n_rows > MOST_ROWS || !assemble(t, &a)) return;
  round_trip(&a);
  rpi_csr_host_free(&a);
}

/* In some parts it is the same matrix, or the same error. */
static void check_parts(const char *text, size_t size, rp_status status, const mm_text *one) {
  mm_text many;
  const int64_t parts = 2 + (int64_t)(size % 13);
  require(mm_text_read(text, size, parts, &many) == status);
  require(strcmp(many.message, one->message) == 0 && many.n == one->n);
  for (int64_t k = 0; k < one->n; k++) {
    const rpi_mm_entry *a = &one->entry[k], *b = &many.entry[k];
    require(a->row == b->row && a->col == b->col && same_bits(a->val, b->val));
  }
  mm_text_free(&many);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size ? size : 1); /* exactly that long: a read behind the end is found */
  mm_text t;
  if (!text) return 0;
  if (size > 0) memcpy(text, data, size);
  check_words(text, size);
  const rp_status status = mm_text_read(text, size, 1, &t);
  check_parts(text, size, status, &t);
  if (status == RP_OK)
    check_entries(&t);
  else
    require(strncmp(t.message, "line ", 5) == 0 && t.message[5] >= '1' && t.message[5] <= '9');
  mm_text_free(&t);
  free(text);
  return 0;
}
