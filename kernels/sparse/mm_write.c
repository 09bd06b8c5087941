/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_write.c -- see mm_write.h. */
#define _GNU_SOURCE
#include "kernels/sparse/mm_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kernels/failure.h"
#include "kernels/sparse/mm_parts.h"

enum { BLOCK = 1 << 20, LINE = 128 };

static rp_status io_failure(const char *path, const char *what, int why) {
  return rpi_failure_set(RP_ERR_IO, "cannot %s \"%s\": %s", what, path, strerror(why));
}

/* ---- who writes what ---- */

/* No two attempts have the same, whoever makes them; one bit is free. */
static uint64_t draw(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  const uint64_t x = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
  return (x ^ (uint64_t)getpid() << 40) * 0x9e3779b97f4a7c15u >> 2;
}

rp_status rpi_mm_write_begin(rp_context *ctx, const char *path, int64_t n_rows,
                             rpi_mm_output *out) {
  const int32_t ranks = rp_context_ranks(ctx), rank = rp_context_rank(ctx);
  struct stat facts;
  int64_t before, all, mine = 0;
  *out = (rpi_mm_output){.ctx = ctx, .path = path};
  if (rank == 0) {
    const bool in_order = stat(path, &facts) == 0 && !S_ISREG(facts.st_mode);
    mine = (int64_t)(draw() << 1 | in_order);
  }
  const rp_status status = rp_context_scan(ctx, mine, &before, &all); /* rank 0's, to all */
  if (status != RP_OK) return status;
  out->in_order = all & 1;
  out->number = (uint64_t)all >> 1;
  out->first = out->in_order ? rank == 0 ? 0 : n_rows : rpi_mm_parts_begin(n_rows, ranks, rank);
  out->end = out->in_order ? n_rows : rpi_mm_parts_begin(n_rows, ranks, rank + 1);
  return RP_OK;
}

/* ---- text ---- */

typedef struct text {
  int fd;
  int64_t at; /* in the file; < 0: wherever it stands */
  bool
      keeps; /* all of it, since it is not known yet where it begins; else it is written in blocks */
  char *block;
  size_t n, room;
  int failed; /* an errno */
} text;

static void flush(text *t) {
  for (size_t done = 0; done < t->n && !t->failed;) {
    const char *from = t->block + done;
    const ssize_t k = t->at < 0 ? write(t->fd, from, t->n - done)
                                : pwrite(t->fd, from, t->n - done, t->at + (off_t)done);
    if (k < 0 && errno != EINTR) t->failed = errno;
    if (k > 0) done += (size_t)k;
  }
  if (t->at >= 0) t->at += (int64_t)t->n;
  t->n = 0;
}

static void grow(text *t) {
  char *more = realloc(t->block, 2 * t->room);
  if (!more) {
    t->failed = ENOMEM;
    t->n = 0;
    return;
  }
  t->block = more;
  t->room *= 2;
}

/* What printf made of a line. */
static void put(text *t, const char *line, int n) {
  if (t->n + (size_t)n > t->room) t->keeps ? grow(t) : flush(t);
  memcpy(t->block + t->n, line, (size_t)n);
  t->n += (size_t)n;
}

static void put_head(text *t, int64_t n_rows, int64_t n_cols, int64_t nnz) {
  char line[LINE];
  put(t, line,
      snprintf(line, sizeof line,
               "%%%%MatrixMarket matrix coordinate real general\n%" PRId64 " %" PRId64 " %" PRId64
               "\n",
               n_rows, n_cols, nnz));
}

static void put_rows(text *t, const rpi_csr_host *a, int64_t first, int digits) {
  char line[LINE];
  for (int64_t i = 0; i < a->n_rows && !t->failed; i++) {
    for (int64_t k = a->ptr[i]; k < a->ptr[i + 1]; k++) {
      put(t, line,
          snprintf(line, sizeof line, "%" PRId64 " %" PRId64 " %.*g\n", first + i + 1,
                   a->col[k] + 1, digits, a->val[k]));
    }
  }
}

/* ---- the file ---- */

typedef struct writing {
  const rpi_mm_output *o;
  const rpi_csr_host *a;
  int64_t n_rows, nnz;
  int digits;
  bool first;   /* this is rank 0 */
  bool made;    /* the temporary file, by this rank */
  char *target; /* what `path` leads to */
  char *temporary;
  text text;
} writing;

static rp_status name_files(writing *w) {
  w->text.block = malloc(BLOCK);
  w->text.room = BLOCK;
  w->target = realpath(w->o->path, NULL);
  if (!w->target) w->target = strdup(w->o->path); /* to be made */
  if (!w->text.block || !w->target ||
      asprintf(&w->temporary, "%s.%" PRIx64, w->target, w->o->number) < 0) {
    w->temporary = NULL;
    return rpi_failure_memory("text of a matrix");
  }
  return RP_OK;
}

/* A file in the other's place has its permissions. */
static rp_status make(writing *w) {
  struct stat old;
  if (w->o->in_order) {
    w->text.fd = open(w->o->path, O_WRONLY | O_CLOEXEC);
  } else {
    w->text.fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    w->made = w->text.fd >= 0;
    if (w->made && stat(w->target, &old) == 0) (void)!fchmod(w->text.fd, old.st_mode & 07777);
  }
  return w->text.fd >= 0 ? RP_OK : io_failure(w->o->path, "create", errno);
}

static rp_status join(writing *w) {
  w->text.fd = open(w->temporary, O_WRONLY | O_CLOEXEC);
  if (w->text.fd >= 0) return RP_OK;
  return rpi_failure_set(RP_ERR_IO, "cannot open \"%s\", which rank 0 has made: %s", w->temporary,
                         strerror(errno));
}

static void make_text(writing *w) {
  if (w->first) put_head(&w->text, w->n_rows, w->a->n_cols, w->nnz);
  put_rows(&w->text, w->a, w->o->first, w->digits);
}

/* How many bytes stand before this rank's. */
static rp_status find_place(writing *w) {
  int64_t all;
  w->text.keeps = true;
  make_text(w);
  return rp_context_scan(w->o->ctx, (int64_t)w->text.n, &w->text.at, &all);
}

static rp_status write_part(writing *w) {
  text *t = &w->text;
  if (!t->keeps) make_text(w);
  flush(t);
  if (close(t->fd) != 0 && !t->failed) t->failed = errno;
  t->fd = -1;
  if (t->failed == ENOMEM) return rpi_failure_memory("text of a matrix");
  return t->failed ? io_failure(w->o->path, "write", t->failed) : RP_OK;
}

static rp_status write_all(writing *w) {
  rp_context *ctx = w->o->ctx;
  rp_status status = name_files(w);
  if (status == RP_OK && w->first) status = make(w);
  status = rp_context_agree(ctx, status, 0);
  if (status != RP_OK) return status;
  if (!w->first && !w->o->in_order) status = join(w);
  status = rp_context_agree(ctx, status, 0);
  if (status != RP_OK) return status;
  if (w->o->in_order)
    w->text.at = -1;
  else if (rp_context_ranks(ctx) > 1)
    status = find_place(w);
  if (status != RP_OK) return status;
  status = w->first || !w->o->in_order ? write_part(w) : RP_OK;
  status = rp_context_agree(ctx, status, 0);
  if (status != RP_OK || w->o->in_order) return status;
  if (w->first && rename(w->temporary, w->target) != 0)
    status = io_failure(w->o->path, "replace", errno);
  else
    w->made = false;
  return rp_context_agree(ctx, status, 0);
}

rp_status rpi_mm_write_rows(const rpi_mm_output *o, int64_t n_rows, const rpi_csr_host *a,
                            int digits) {
  int64_t before;
  writing w = {.o = o,
               .a = a,
               .n_rows = n_rows,
               .digits = digits,
               .first = rp_context_rank(o->ctx) == 0,
               .text = {.fd = -1}};
  rp_status status = rp_context_scan(o->ctx, a->ptr[a->n_rows], &before, &w.nnz);
  if (status == RP_OK) status = write_all(&w);
  if (w.text.fd >= 0) close(w.text.fd);
  if (w.made) unlink(w.temporary);
  free(w.text.block);
  free(w.target);
  free(w.temporary);
  return status;
}
