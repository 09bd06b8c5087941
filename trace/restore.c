/* SPDX-License-Identifier: Apache-2.0
 * trace/restore.c -- see restore.h. */
#include "trace/restore.h"

#include <string.h>

#include "core/base/hash.h"
#include "core/base/strbuf.h"
#include "core/comm/collect.h"
#include "trace/checkpoint.h"
#include "trace/places.h"
#include "trace/incoming.h"

enum { OPEN_MOST = 4, LISTED = 20 };

/* One store, and the array that it gets. */
typedef struct target {
  rpi_incoming in;
  const rpi_checkpoint_array *array;
  int32_t number; /* of the array in the table */
} target;

/* A part that is being read. */
typedef struct source {
  int32_t part;
  rpi_checkpoint_part file; /* fd -1: the slot is free */
  rpi_checkpoint_layout layout;
  rpi_checkpoint_section *section;
  uint64_t *head;
} source;

typedef struct restoring {
  rp_context *ctx;
  int32_t n;
  target *target;
  rpi_checkpoint_disk disk;
  rpi_arena memory; /* of the table */
  rpi_checkpoint_table table;
  source source[OPEN_MOST];
  int32_t turn; /* the slot that is reused next */
  char *block;  /* room for one */
  int32_t at;   /* the target whose elements come next, */
  int64_t next; /* from this one on; -1: its first */
} restoring;

/* ---- the manifest, on all ranks ---- */

static void append(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  (void)arg;
  memcpy((char *)into + *n, from, (size_t)m);
  *n += m;
}

/* Rank 0 has them, all get them: bytes for rpi_alloc_free. */
static rp_status spread(rp_context *ctx, void **bytes, int64_t size) {
  int64_t n = size;
  if (rpi_comm_rank(ctx->comm) != 0) {
    n = 0;
    *bytes = rpi_alloc((size_t)size);
    if (!*bytes) return rpi_places_failed(ctx, rpi_status_nomem("a manifest"));
  }
  return rpi_places_failed(ctx, rpi_collect_merge(ctx->comm, *bytes, &n, size, append, NULL));
}

/* The manifest's bytes on all ranks; all succeed, or none. */
static rp_status load(restoring *r, const char *path, void **bytes, size_t *size) {
  const bool first = rpi_comm_rank(r->ctx->comm) == 0;
  bool heard;
  *bytes = NULL;
  *size = 0;
  rp_status st = first ? rpi_checkpoint_disk_open(path, false, &r->disk) : RP_OK;
  if (st == RP_OK && first) st = rpi_checkpoint_disk_load(&r->disk, bytes, size);
  if (st == RP_OK && first && !*bytes)
    st = rpi_status_fail(RP_ERR_ARGUMENT, "there is no checkpoint in %s", path);
  rpi_verdict v = {.most = (int64_t)*size};
  RPI_TRY(rpi_checkpoint_agree(r->ctx, st, &v, &heard));
  *size = (size_t)v.most;
  return r->ctx->comm ? spread(r->ctx, bytes, v.most) : RP_OK;
}

static rp_status decode(restoring *r, const char *path, const void *bytes, size_t size) {
  const rp_status st = rpi_checkpoint_decode(bytes, size, &r->memory, &r->table);
  return st == RP_OK ? RP_OK : rpi_status_context(st, "%s/manifest", path);
}

/* ---- what goes where ---- */

static rp_status missing(const restoring *r, const char *path, const char *name) {
  rpi_strbuf list;
  rpi_strbuf_init(&list);
  for (int32_t i = 0; i < r->table.n && i < LISTED; i++)
    rpi_strbuf_addf(&list, "%s\"%.60s\"", i ? ", " : "", r->table.array[i].name);
  if (r->table.n > LISTED) rpi_strbuf_addf(&list, " and %d more", r->table.n - LISTED);
  const rp_status st =
      rpi_status_fail(RP_ERR_ARGUMENT, "the checkpoint in %s has no \"%s\", but %s", path, name,
                      rpi_strbuf_str(&list));
  rpi_strbuf_deinit(&list);
  return st;
}

static rp_status compare(const rpi_checkpoint_array *a, const rp_store *s) {
  const rpi_geom *g = &s->view->geom;
  char there[RPI_GEOM_SHAPE], here[RPI_GEOM_SHAPE];
  if (a->dtype != s->view->dtype)
    return rpi_status_fail(RP_ERR_DTYPE, "\"%s\" is %s in the checkpoint, the store is %s", a->name,
                           rpi_dtype_name(a->dtype), rpi_dtype_name(s->view->dtype));
  bool same = a->ndim == g->ndim;
  for (int32_t d = 0; same && d < g->ndim; d++) same = a->shape[d] == g->shape[d];
  if (same) return RP_OK;
  return rpi_status_fail(RP_ERR_SHAPE, "\"%s\" has the shape %s in the checkpoint, the store %s",
                         a->name, rpi_geom_print_shape(a->ndim, a->shape, there),
                         rpi_geom_print_shape(g->ndim, g->shape, here));
}

static rp_status writable(const char *name, const rp_store *s) {
  if (s->buf->klass & RPI_CLASS_READ_ONLY)
    return rpi_status_fail(RP_ERR_ACCESS, "the store of \"%s\" is attached read-only", name);
  if (s->readonly_view)
    return rpi_status_fail(RP_ERR_ACCESS, "the view of \"%s\" shows elements twice", name);
  return RP_OK;
}

static rp_status stage_all(restoring *r, const char *path, const char *const *names,
                           rp_store *const *stores) {
  r->target = rpi_alloc_zero(sizeof *r->target * (size_t)r->n);
  r->block = rpi_alloc(RPI_CHECKPOINT_BLOCK);
  if (!r->target || !r->block) return rpi_status_nomem("a restore");
  for (int32_t i = 0; i < r->n; i++) {
    target *t = &r->target[i];
    t->in.store = stores[i];
    t->array = rpi_checkpoint_find(&r->table, names[i]);
    if (!t->array) return missing(r, path, names[i]);
    t->number = (int32_t)(t->array - r->table.array);
    RPI_TRY(writable(names[i], stores[i]));
    RPI_TRY(compare(t->array, stores[i]));
  }
  for (int32_t i = 0; i < r->n; i++)
    RPI_TRY(rpi_incoming_open(r->ctx, &r->target[i].in, r->target[i].array->zero));
  if (r->disk.fd >= 0) return RP_OK;
  return rpi_checkpoint_disk_open(path, false, &r->disk);
}

/* ---- reading ---- */

static void close_source(source *s) {
  rpi_checkpoint_disk_end(&s->file);
  rpi_alloc_free(s->section);
  rpi_alloc_free(s->head);
  s->section = NULL;
  s->head = NULL;
}

/* Its sentence gets the name of the file. */
static rp_status in_file(const restoring *r, const source *s, rp_status st) {
  return st == RP_OK ? RP_OK : rpi_status_context(st, "%s/%s", r->disk.path, s->file.name);
}

/* The part with its head read and checked. */
static rp_status open_source(restoring *r, int32_t part, source **out) {
  for (int32_t i = 0; i < OPEN_MOST; i++)
    if (r->source[i].file.fd >= 0 && r->source[i].part == part) {
      *out = &r->source[i];
      return RP_OK;
    }
  source *s = *out = &r->source[r->turn++ % OPEN_MOST];
  close_source(s);
  s->part = part;
  s->section = rpi_alloc_zero(sizeof *s->section * (size_t)r->table.n);
  if (!s->section) return rpi_status_nomem("the head of a part");
  rpi_checkpoint_lay_out(&r->table, part, s->section, &s->layout);
  RPI_TRY(rpi_checkpoint_disk_find(&r->disk, r->table.attempt, part, s->layout.bytes, &s->file));
  s->head = rpi_alloc((size_t)s->layout.head);
  rp_status st =
      s->head ? rpi_checkpoint_disk_read(&r->disk, &s->file, s->head, (size_t)s->layout.head, 0)
              : rpi_status_nomem("the head of a part");
  if (st == RP_OK) st = in_file(r, s, rpi_checkpoint_check(&r->table, part, &s->layout, s->head));
  if (st != RP_OK) rpi_checkpoint_disk_end(&s->file);
  return st;
}

/* Reads the elements of t from `next` on that lie in one block. */
static rp_status read_block(restoring *r, const target *t, int64_t *next) {
  const int32_t elem = rpi_dtype_size(t->array->dtype);
  const int64_t whole = RPI_CHECKPOINT_BLOCK / elem;
  source *s;
  RPI_TRY(open_source(r, rpi_checkpoint_part_of(t->array, *next), &s));
  const rpi_checkpoint_section *at = &s->section[t->number];
  const int64_t number = (*next - at->lo) / whole, from = at->lo + number * whole;
  const int64_t to = from + whole < at->hi ? from + whole : at->hi;
  const int64_t until = to < t->in.hi ? to : t->in.hi;
  char *data = rpi_incoming_at(&t->in, *next);
  char *into = *next == from && until == to ? data : r->block; /* all of a block is checked */
  const size_t bytes = (size_t)((to - from) * elem);
  RPI_TRY(
      rpi_checkpoint_disk_read(&r->disk, &s->file, into, bytes, at->at + (from - at->lo) * elem));
  if (rpi_hash_bytes64(into, bytes) != rpi_checkpoint_sums(s->head)[at->block + number])
    return in_file(r, s,
                   rpi_status_fail(RP_ERR_IO, "elements %lld to %lld of \"%s\" are damaged",
                                   (long long)from, (long long)to, t->array->name));
  if (into != data) memcpy(data, into + (*next - from) * elem, (size_t)((until - *next) * elem));
  *next = until;
  return RP_OK;
}

/* Reads on, until so many bytes have been read. */
static rp_status read_step(restoring *r, int64_t bytes) {
  while (r->at < r->n && bytes > 0) {
    const target *t = &r->target[r->at];
    if (r->next < 0) r->next = t->in.lo;
    if (r->next < t->in.hi) {
      RPI_TRY(read_block(r, t, &r->next));
      bytes -= RPI_CHECKPOINT_BLOCK;
    } else {
      r->at++;
      r->next = -1;
    }
  }
  return RP_OK;
}

/* Of what is read: all ranks read the same. */
static uint64_t sum_of(const restoring *r) {
  uint64_t sum = r->table.sum;
  for (int32_t i = 0; i < r->n && r->target; i++)
    sum = (sum ^ (uint64_t)r->target[i].number) * 0x9e3779b97f4a7c15u;
  return sum;
}

static int64_t steps_of(const restoring *r) {
  int64_t bytes = 0;
  for (int32_t i = 0; i < r->n && r->target; i++)
    if (r->target[i].array)
      bytes +=
          (r->target[i].in.hi - r->target[i].in.lo) * rpi_dtype_size(r->target[i].array->dtype);
  return bytes / RPI_CHECKPOINT_STEP + 1;
}

/* As many steps as the rank with the most of them takes; the last one reads what is left. */
static rp_status read_all(restoring *r, rp_status st) {
  bool heard;
  rpi_verdict v = {.most = steps_of(r), .same = sum_of(r)};
  st = rpi_checkpoint_agree(r->ctx, st, &v, &heard);
  for (int64_t i = 0, steps = v.most; i < steps && st == RP_OK; i++) {
    st = read_step(r, i == steps - 1 ? INT64_MAX : RPI_CHECKPOINT_STEP);
    st = rpi_checkpoint_agree(r->ctx, st, &v, &heard);
  }
  return st;
}

/* ---- the end ---- */

static void clean_up(restoring *r) {
  for (int32_t i = 0; i < OPEN_MOST; i++) close_source(&r->source[i]);
  for (int32_t i = 0; i < r->n && r->target; i++) rpi_incoming_close(&r->target[i].in);
  rpi_alloc_free(r->target);
  rpi_alloc_free(r->block);
  rpi_arena_deinit(&r->memory);
  rpi_checkpoint_disk_close(&r->disk);
}

rp_status rpi_restore_stores(rp_context *ctx, const char *path, int32_t n, const char *const *names,
                             rp_store *const *stores) {
  restoring r = {.ctx = ctx, .n = n, .disk = {.path = path, .fd = -1}, .next = -1};
  void *bytes;
  size_t size;
  RPI_TRY(rpi_segment_cut(ctx, RPI_REASON_CUT_CHECKPOINT, true));
  if (rpi_comm_dry(ctx->comm)) return RP_OK;
  for (int32_t i = 0; i < OPEN_MOST; i++) r.source[i].file.fd = -1;
  rpi_arena_init(&r.memory);
  rp_status st = load(&r, path, &bytes, &size);
  for (int32_t i = 0; i < n && st == RP_OK; i++) st = rpi_incoming_prepare(ctx, stores[i]);
  if (st == RP_OK) {
    st = decode(&r, path, bytes, size);
    if (st == RP_OK) st = stage_all(&r, path, names, stores);
    st = read_all(&r, st);
  }
  for (int32_t i = 0; i < n && st == RP_OK; i++) rpi_incoming_commit(ctx, &r.target[i].in);
  clean_up(&r);
  rpi_alloc_free(bytes);
  return st;
}
