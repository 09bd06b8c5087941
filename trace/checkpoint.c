/* SPDX-License-Identifier: Apache-2.0
 * trace/checkpoint.c -- see checkpoint.h. */
#include "trace/checkpoint.h"

#include <string.h>

#include "core/base/hash.h"
#include "core/model/residence.h"
#include "trace/places.h"
#include "trace/rows.h"

enum { PIECE = 1024 }; /* elements: pieces of an array that all ranks have are multiples of it */

typedef struct saving {
  rp_context *ctx;
  rp_store *const *stores; /* by the index of an array of the table */
  int32_t rank;
  rpi_checkpoint_table table;
  rpi_checkpoint_section *section; /* of this rank's part */
  rpi_checkpoint_layout layout;
  uint64_t *head;
  char *block; /* room for one */
  void *manifest;
  size_t manifest_bytes;
  uint64_t old_attempt; /* of the checkpoint that is replaced; 0: there is none */
  int32_t old_parts;
  rpi_checkpoint_disk disk;
  rpi_checkpoint_part part;
  bool created;  /* the part's file */
  int32_t array; /* the next block to write is block `next` of this one */
  int64_t next;
} saving;

rp_status rpi_checkpoint_agree(rp_context *ctx, rp_status mine, rpi_verdict *v, bool *heard) {
  const rp_status st = rpi_verdict_reach(ctx->comm, mine, v, heard);
  return *heard ? st : rpi_places_failed(ctx, st);
}

/* ---- what each rank has ---- */

bool rpi_checkpoint_follow(const rpi_tiling *t, const rpi_view *v, rpi_cuts *out) {
  const rpi_cuts *c = &t->axis[0];
  const rpi_geom *g = &v->geom;
  rpi_geom dense;
  rpi_rows rows;
  if (!rpi_tiling_is_line(t)) return false;
  *out = *c;
  out->n = v->size;
  if (v->dense) {
    out->offset += g->offset;
    return true;
  }
  rpi_geom_dense(g->ndim, g->shape, &dense);
  return rpi_rows_by(c, g, g->shape[0], &rows) && rpi_rows_cuts(&rows, &dense, v->size, out);
}

rp_status rpi_checkpoint_parts(rp_context *ctx, rpi_buffer *b, const rpi_view *v, rpi_cuts *out,
                               bool *parts) {
  rpi_tiling line;
  *parts = b->inst && rpi_places_as_line(ctx, b, &line) && rpi_checkpoint_follow(&line, v, out);
  return *parts ? rpi_places_lines(ctx, b, &line) : RP_OK;
}

static rp_status describe(saving *s, const rp_store *store, rpi_checkpoint_array *a) {
  const rpi_view *v = store->view;
  rpi_buffer *b = store->buf;
  a->dtype = v->dtype;
  a->ndim = v->geom.ndim;
  memcpy(a->shape, v->geom.shape, sizeof a->shape);
  a->zero = v->size == 0 || !b->inst;
  bool parts = false;
  if (!a->zero) {
    RPI_TRY(rpi_residence_host(b->pool, b->inst, RPI_USE_READ));
    RPI_TRY(rpi_checkpoint_parts(s->ctx, b, v, &a->cuts, &parts));
  }
  if (parts) return RP_OK;
  a->cuts = rpi_checkpoint_cuts_first(v->size, s->table.parts);
  if (a->zero) return RP_OK;
  RPI_TRY(rpi_places_gather(s->ctx, b));
  if (v->size * rpi_dtype_size(v->dtype) >= s->ctx->config.tile)
    a->cuts = (rpi_cuts){.n = v->size,
                         .grain = PIECE,
                         .units = (v->size + PIECE - 1) / PIECE,
                         .ranks = s->table.parts};
  return RP_OK;
}

static rp_status make_table(saving *s, int32_t n, const char *const *names) {
  rpi_checkpoint_table *t = &s->table;
  int64_t total = 0;
  t->array = rpi_alloc_zero(sizeof *t->array * (size_t)n);
  s->section = rpi_alloc_zero(sizeof *s->section * (size_t)n);
  if (!t->array || !s->section) return rpi_status_nomem("a checkpoint");
  for (; t->n < n; t->n++) {
    const rp_store *store = s->stores[t->n];
    int64_t bytes;
    if (store->buf->poison)
      return rpi_status_fail(RP_ERR_DATA, "the data of \"%s\" are poisoned: %s", names[t->n],
                             store->buf->poison);
    if (__builtin_mul_overflow(store->view->size, (int64_t)rpi_dtype_size(store->view->dtype),
                               &bytes) ||
        __builtin_add_overflow(total, bytes, &total) || total > RPI_CHECKPOINT_MOST)
      return rpi_status_fail(RP_ERR_SHAPE, "the elements up to \"%s\" have more than 2^61 bytes",
                             names[t->n]);
    t->array[t->n].name = names[t->n];
    t->array[t->n].index = t->n;
  }
  for (int32_t i = 0; i < n; i++) {
    s->stores[i]->buf->unread = NULL;
    RPI_TRY(describe(s, s->stores[i], &t->array[i]));
  }
  RPI_TRY(rpi_checkpoint_sort(t));
  rpi_checkpoint_lay_out(t, s->rank, s->section, &s->layout);
  s->head = rpi_alloc_zero((size_t)s->layout.start);
  s->block = rpi_alloc(RPI_CHECKPOINT_BLOCK);
  return s->head && s->block ? RP_OK : rpi_status_nomem("a checkpoint");
}

/* ---- before and after ---- */

/* Rank 0: the folder, what is there, and the attempt's number. What is there and not understood is not replaced. */
static rp_status prepare(saving *s, const char *path) {
  rpi_checkpoint_table old = {0};
  rpi_arena memory;
  void *bytes;
  size_t size;
  RPI_TRY(rpi_checkpoint_disk_open(path, true, &s->disk));
  RPI_TRY(rpi_checkpoint_disk_lock(&s->disk));
  RPI_TRY(rpi_checkpoint_disk_load(&s->disk, &bytes, &size));
  rpi_arena_init(&memory);
  rp_status st = bytes ? rpi_checkpoint_decode(bytes, size, &memory, &old) : RP_OK;
  rpi_arena_deinit(&memory);
  rpi_alloc_free(bytes);
  if (st != RP_OK) return rpi_status_context(st, "what is in %s is not replaced", path);
  rpi_checkpoint_disk_clean(&s->disk, old.attempt);
  s->old_attempt = old.attempt;
  s->old_parts = old.parts;
  s->table.generation = old.generation + 1;
  do s->table.attempt = rpi_checkpoint_disk_attempt();
  while (s->table.attempt == old.attempt);
  st = rpi_checkpoint_disk_create(&s->disk, s->table.attempt, 0, &s->part);
  s->created = st == RP_OK;
  return st;
}

/* The others, if they have something to write. */
static rp_status join(saving *s, const char *path) {
  if (s->rank == 0 || s->layout.blocks == 0) return RP_OK;
  RPI_TRY(rpi_checkpoint_disk_open(path, false, &s->disk));
  if (!rpi_checkpoint_disk_sees(&s->disk, s->table.attempt, 0))
    return rpi_status_fail(RP_ERR_IO,
                           "%s is here another folder than for rank 0: ranks need a file system "
                           "that they share",
                           path);
  const rp_status st = rpi_checkpoint_disk_create(&s->disk, s->table.attempt, s->rank, &s->part);
  s->created = st == RP_OK;
  return st;
}

static void clean_up(saving *s, bool published, bool replaced, bool heard) {
  rpi_checkpoint_disk_end(&s->part);
  if (s->created && heard && !published)
    rpi_checkpoint_disk_remove(&s->disk, s->table.attempt, s->rank);
  /* The old parts are shared out among the ranks, too. */
  for (int64_t i = s->rank; replaced && s->disk.fd >= 0 && i < s->old_parts; i += s->table.parts)
    rpi_checkpoint_disk_remove(&s->disk, s->old_attempt, (int32_t)i);
  rpi_checkpoint_disk_close(&s->disk);
  rpi_alloc_free(s->table.array);
  rpi_alloc_free(s->section);
  rpi_alloc_free(s->head);
  rpi_alloc_free(s->block);
  rpi_alloc_free(s->manifest);
}

/* ---- writing ---- */

static rp_status write_block(saving *s, const rpi_checkpoint_array *a,
                             const rpi_checkpoint_section *at, int64_t number) {
  const rp_store *store = s->stores[a->index];
  const rpi_view *v = store->view;
  const int32_t elem = rpi_dtype_size(a->dtype);
  const int64_t whole = RPI_CHECKPOINT_BLOCK / elem, from = at->lo + number * whole;
  const int64_t n = at->hi - from < whole ? at->hi - from : whole;
  const char *data = s->block;
  if (v->dense && a->dtype != RP_BOOL)
    data = (const char *)store->buf->inst->data + (v->geom.offset + from) * elem;
  else
    rpi_store_pack_part(store->buf->inst->data, &v->geom, elem, from, n, s->block);
  /* As rp_store_read: copies may hold bytes as they were attached or written. */
  for (int64_t i = 0; a->dtype == RP_BOOL && i < n; i++) s->block[i] = s->block[i] != 0;
  rpi_checkpoint_sums(s->head)[at->block + number] = rpi_hash_bytes64(data, (size_t)(n * elem));
  return rpi_checkpoint_disk_write(&s->disk, &s->part, data, (size_t)(n * elem),
                                   at->at + (from - at->lo) * elem);
}

/* Some more blocks, at most those of a step. */
static rp_status write_step(saving *s) {
  int64_t first = -1, end = 0;
  for (int64_t left = RPI_CHECKPOINT_STEP / RPI_CHECKPOINT_BLOCK; left > 0;) {
    if (s->array == s->table.n) break;
    const rpi_checkpoint_array *a = &s->table.array[s->array];
    const rpi_checkpoint_section *at = &s->section[s->array];
    const int64_t bytes = (at->hi - at->lo) * rpi_dtype_size(a->dtype);
    if (s->next * RPI_CHECKPOINT_BLOCK >= bytes) {
      s->array++;
      s->next = 0;
      continue;
    }
    RPI_TRY(write_block(s, a, at, s->next));
    if (first < 0) first = at->at + s->next * RPI_CHECKPOINT_BLOCK;
    const int64_t done = ++s->next * RPI_CHECKPOINT_BLOCK;
    end = at->at + (done < bytes ? done : bytes);
    left--;
  }
  return first < 0 ? RP_OK : rpi_checkpoint_disk_flush(&s->disk, &s->part, first, end);
}

/* All blocks are written: so is the head that knows them, and the part is on the disk. */
static rp_status seal(saving *s) {
  if (!s->created) return RP_OK;
  rpi_checkpoint_seal(&s->table, s->rank, &s->layout, s->head);
  RPI_TRY(rpi_checkpoint_disk_write(&s->disk, &s->part, s->head, (size_t)s->layout.start, 0));
  return rpi_checkpoint_disk_sync(&s->disk, &s->part);
}

static rp_status write_parts(saving *s, const char *path, int64_t steps, bool *heard) {
  rp_status st = join(s, path);
  if (st == RP_OK) st = rpi_checkpoint_encode(&s->table, &s->manifest, &s->manifest_bytes);
  for (int64_t i = 0; i < steps && *heard; i++) {
    rpi_verdict v = {.same = s->table.sum};
    if (st == RP_OK) st = write_step(s);
    if (st == RP_OK && i == steps - 1) st = seal(s);
    st = rpi_checkpoint_agree(s->ctx, st, &v, heard);
    if (st != RP_OK) break;
  }
  return st;
}

static rp_status publish(saving *s, bool *published, bool *heard) {
  rpi_verdict v = {0};
  rp_status st = RP_OK;
  if (s->rank == 0)
    st = rpi_checkpoint_disk_publish(&s->disk, s->manifest, s->manifest_bytes, published);
  v.word[0] = *published;
  st = rpi_checkpoint_agree(s->ctx, st, &v, heard);
  if (*heard) *published = v.word[0] != 0;
  return st;
}

rp_status rpi_checkpoint_save(rp_context *ctx, const char *path, int32_t n,
                              const char *const *names, rp_store *const *stores) {
  saving s = {.ctx = ctx,
              .stores = stores,
              .rank = rpi_comm_rank(ctx->comm),
              .table.parts = rpi_comm_size(ctx->comm),
              .disk.fd = -1,
              .part.fd = -1};
  bool heard = true, published = false;
  RPI_TRY(rpi_segment_cut(ctx, RPI_REASON_CUT_CHECKPOINT, true));
  if (rpi_comm_dry(ctx->comm)) return RP_OK;
  rp_status st = make_table(&s, n, names);
  if (st == RP_OK && s.rank == 0) st = prepare(&s, path);
  const int64_t step = RPI_CHECKPOINT_STEP / RPI_CHECKPOINT_BLOCK;
  rpi_verdict v = {
      .most = s.layout.blocks > step ? (s.layout.blocks + step - 1) / step : 1,
      .word = {s.table.attempt, s.table.generation, s.old_attempt, (uint64_t)s.old_parts}};
  st = rpi_checkpoint_agree(ctx, st, &v, &heard);
  if (heard) {
    s.table.attempt = v.word[0];
    s.table.generation = v.word[1];
    s.old_attempt = v.word[2];
    s.old_parts = (int32_t)v.word[3];
  }
  if (st == RP_OK) st = write_parts(&s, path, v.most, &heard);
  if (st == RP_OK) st = publish(&s, &published, &heard);
  clean_up(&s, published, st == RP_OK && s.old_attempt != 0, heard);
  return st;
}
