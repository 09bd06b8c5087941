/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_mm.c -- libFuzzer target: any bytes as a Matrix Market file.
 *
 * What is refused must name a line and leave nothing behind. What is read must lie inside its matrix,
 * assemble to a valid CSR matrix, and be the same matrix after it was written and read again. Words that
 * are numbers must have the C library's value, to the bit. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/sparse/mm_file.h"
#include "kernels/sparse/mm_scan.h"

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

static bool assemble(const rpi_mm_triplets *t, rpi_csr_host *a) {
  char message[RPI_CSR_MESSAGE];
  rp_status status =
      rpi_csr_host_triplets(t->n_rows, t->n_cols, t->n, t->row, t->col, t->val, a, message);
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

/* The matrix as a file in memory, and back. */
static void round_trip(const rpi_csr_host *a) {
  char path[64];
  rpi_mm_triplets t;
  rpi_csr_host again;
  const int fd = memfd_create("fuzz_mm", 0);
  if (fd < 0) return;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  require(rpi_mm_file_write(path, a, 17) == RP_OK);
  require(rpi_mm_file_read(path, &t) == RP_OK);
  require(t.n == a->ptr[a->n_rows]);
  if (assemble(&t, &again)) {
    check_same(a, &again);
    rpi_csr_host_free(&again);
  }
  rpi_mm_read_free(&t);
  fclose(fdopen(fd, "r"));
}

static void check_triplets(const rpi_mm_triplets *t) {
  rpi_csr_host a;
  for (int64_t k = 0; k < t->n; k++) {
    require(t->row[k] >= 0 && t->row[k] < t->n_rows && t->col[k] >= 0 && t->col[k] < t->n_cols);
  }
  if (t->n_rows > MOST_ROWS || !assemble(t, &a)) return;
  round_trip(&a);
  rpi_csr_host_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size ? size : 1); /* exactly that long: a read behind the end is found */
  char message[RPI_MM_MESSAGE];
  rpi_mm_triplets t;
  if (!text) return 0;
  if (size > 0) memcpy(text, data, size);
  check_words(text, size);
  if (rpi_mm_read_text(text, size, &t, message) == RP_OK) {
    check_triplets(&t);
    rpi_mm_read_free(&t);
  } else {
    require(strncmp(message, "line ", 5) == 0 && message[5] >= '1' && message[5] <= '9');
    require(!t.row && !t.col && !t.val && t.n == 0);
  }
  free(text);
  return 0;
}
