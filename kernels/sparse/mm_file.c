/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_file.c -- Matrix Market files on disk.
 * Lives here: see mm_file.h. What cannot be read at any place, such as a pipe, is read into memory whole. */
#define _GNU_SOURCE
#include "kernels/sparse/mm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/failure.h"

enum { HEAD = 1 << 16, BLOCK = 1 << 20, TAIL = 1 << 10 };

static rp_status io_failure(const char *path, const char *what) {
  return rpi_failure_set(RP_ERR_IO, "cannot %s \"%s\": %s", what, path, strerror(errno));
}

static rp_status no_memory(const rpi_mm_file *f, int64_t bytes) {
  return rpi_failure_set(RP_ERR_MEMORY, "\"%s\": out of memory for %lld bytes", f->path,
                         (long long)bytes);
}

/* ---- bytes ----------------------------------------------------------------------------------------- */

/* Everything that is left. */
static rp_status read_all(rpi_mm_file *f) {
  int64_t cap = 0;
  for (;;) {
    if (f->size == cap) {
      cap = cap ? 2 * cap : HEAD;
      char *grown = realloc(f->text, (size_t)cap);
      if (!grown) return no_memory(f, cap);
      f->text = grown;
    }
    const ssize_t n = read(f->fd, f->text + f->size, (size_t)(cap - f->size));
    if (n == 0) return RP_OK;
    if (n < 0 && errno != EINTR) return io_failure(f->path, "read");
    if (n > 0) f->size += n;
  }
}

rp_status rpi_mm_file_open(const char *path, bool shared, rpi_mm_file *out) {
  struct stat facts;
  *out = (rpi_mm_file){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
  if (out->fd < 0) return io_failure(path, "open");
  if (fstat(out->fd, &facts) != 0) return io_failure(path, "look at");
  if (S_ISREG(facts.st_mode)) {
    out->size = facts.st_size;
    return RP_OK;
  }
  if (!shared || S_ISDIR(facts.st_mode)) return read_all(out);
  return rpi_failure_set(RP_ERR_IO, "cannot read \"%s\" on several ranks: it is no regular file",
                         path);
}

void rpi_mm_file_close(rpi_mm_file *f) {
  if (f->fd >= 0) close(f->fd);
  free(f->text);
  f->text = NULL;
  f->fd = -1;
}

/* n bytes from `at` on, which the file has. */
static rp_status read_at(const rpi_mm_file *f, char *to, int64_t n, int64_t at) {
  if (f->text) {
    memcpy(to, f->text + at, (size_t)n);
    return RP_OK;
  }
  while (n > 0) {
    const ssize_t got = pread(f->fd, to, (size_t)n, at);
    if (got == 0) return rpi_failure_set(RP_ERR_IO, "\"%s\" has become shorter", f->path);
    if (got < 0 && errno != EINTR) return io_failure(f->path, "read");
    if (got <= 0) continue;
    to += got;
    at += got;
    n -= got;
  }
  return RP_OK;
}

/* ---- lines ----------------------------------------------------------------------------------------- */

rp_status rpi_mm_file_head(const rpi_mm_file *f, rpi_mm_head *out) {
  bool more = true;
  for (int64_t size = HEAD; more; size *= 2) {
    if (size > f->size) size = f->size;
    char message[RPI_MM_MESSAGE], *text = malloc((size_t)size + 1);
    if (!text) return no_memory(f, size);
    rp_status status = read_at(f, text, size, 0);
    if (status == RP_OK) {
      status = rpi_mm_read_head(text, (size_t)size, f->size, out, &more, message);
      if (status != RP_OK) {
        rpi_failure_set(status, "\"%s\", line %lld: %s", f->path, (long long)out->line, message);
      }
    } else {
      more = false;
    }
    free(text);
    if (!more) return status;
  }
  return RP_OK;
}

/* Goes on until a line or the file ends. */
static rp_status read_tail(const rpi_mm_file *f, int64_t from, char **text, int64_t *n) {
  for (int64_t step = TAIL;; step *= 2) {
    const int64_t at = from + *n, more = f->size - at < step ? f->size - at : step;
    if (more == 0) return RP_OK;
    char *grown = realloc(*text, (size_t)(*n + more));
    if (!grown) return no_memory(f, *n + more);
    *text = grown;
    const rp_status status = read_at(f, grown + *n, more, at);
    if (status != RP_OK) return status;
    const char *end = memchr(grown + *n, '\n', (size_t)more);
    *n = end ? end + 1 - grown : *n + more;
    if (end) return RP_OK;
  }
}

rp_status rpi_mm_file_lines(const rpi_mm_file *f, int64_t lo, int64_t hi, rpi_mm_lines *out) {
  const int64_t from = lo > 0 ? lo - 1 : 0; /* does a line end before lo? */
  int64_t n = hi - from;
  *out = (rpi_mm_lines){.begin = hi};
  if (lo >= hi) return RP_OK;
  out->own = malloc((size_t)n);
  if (!out->own) return no_memory(f, n);
  rp_status status = read_at(f, out->own, n, from);
  if (status != RP_OK) return status;
  const char *end = lo > 0 ? memchr(out->own, '\n', (size_t)n) : NULL;
  const int64_t skip = lo == 0 ? 0 : end ? end + 1 - out->own : n;
  if (skip == n) return RP_OK;
  if (out->own[n - 1] != '\n') status = read_tail(f, from, &out->own, &n);
  out->begin = from + skip;
  out->text = out->own + skip;
  out->size = (size_t)(n - skip);
  return status;
}

rp_status rpi_mm_file_count(const rpi_mm_file *f, int64_t at, int64_t *out) {
  *out = 0;
  char *block = malloc(BLOCK);
  rp_status status = block ? RP_OK : no_memory(f, BLOCK);
  for (int64_t from = 0, n; from < at && status == RP_OK; from += n) {
    n = at - from < BLOCK ? at - from : BLOCK;
    status = read_at(f, block, n, from);
    for (const char *p = block; status == RP_OK && (p = memchr(p, '\n', (size_t)(block + n - p)));
         p++) {
      ++*out;
    }
  }
  free(block);
  return status;
}
