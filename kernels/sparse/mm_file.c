/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_file.c -- Matrix Market files on disk.
 * Lives here: see mm_file.h. A file is read into memory whole: the parser then never waits, and pipes
 * work as files do. */
#include "kernels/sparse/mm_file.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/failure.h"

static rp_status io_failure(const char *path, const char *what) {
  return rpi_failure_set(RP_ERR_IO, "cannot %s \"%s\": %s", what, path, strerror(errno));
}

/* Everything that is left in `file`, in memory the caller frees. */
static rp_status read_all(FILE *file, const char *path, char **text, size_t *size) {
  size_t cap = 1 << 16, n = 0;
  char *buf = NULL;
  if (fseek(file, 0, SEEK_END) == 0) {
    const long length = ftell(file);
    /* One more byte, so that one read meets the end. A folder says LONG_MAX. */
    if (length > 0 && length < LONG_MAX) cap = (size_t)length + 1;
    rewind(file);
  }
  for (;;) {
    char *grown = realloc(buf, cap);
    if (!grown) {
      free(buf);
      return rpi_failure_set(RP_ERR_MEMORY, "%s: out of memory for %zu bytes", path, cap);
    }
    buf = grown;
    n += fread(buf + n, 1, cap - n, file);
    if (n < cap) break;
    cap *= 2;
  }
  if (ferror(file)) {
    free(buf);
    return io_failure(path, "read");
  }
  *text = buf;
  *size = n;
  return RP_OK;
}

rp_status rpi_mm_file_read(const char *path, rpi_mm_triplets *out) {
  *out = (rpi_mm_triplets){0};
  FILE *file = fopen(path, "rb");
  if (!file) return io_failure(path, "open");
  char *text = NULL, message[RPI_MM_MESSAGE];
  size_t size = 0;
  rp_status status = read_all(file, path, &text, &size);
  fclose(file);
  if (status != RP_OK) return status;
  status = rpi_mm_read_text(text, size, out, message);
  free(text);
  return status == RP_OK ? RP_OK : rpi_failure_set(status, "\"%s\", %s", path, message);
}

rp_status rpi_mm_file_write(const char *path, const rpi_csr_host *a, int digits) {
  FILE *file = fopen(path, "wb");
  if (!file) return io_failure(path, "create");
  const int64_t nnz = a->ptr[a->n_rows];
  fprintf(file,
          "%%%%MatrixMarket matrix coordinate real general\n%" PRId64 " %" PRId64 " %" PRId64 "\n",
          a->n_rows, a->n_cols, nnz);
  for (int64_t i = 0; i < a->n_rows; i++) {
    for (int64_t k = a->ptr[i]; k < a->ptr[i + 1]; k++) {
      fprintf(file, "%" PRId64 " %" PRId64 " %.*g\n", i + 1, a->col[k] + 1, digits, a->val[k]);
    }
  }
  const int bad = ferror(file);
  if (fclose(file) != 0 || bad) return io_failure(path, "write");
  return RP_OK;
}
