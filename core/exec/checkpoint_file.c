/* SPDX-License-Identifier: Apache-2.0
 * core/exec/checkpoint_file.c -- see checkpoint_file.h. */
#include "core/exec/checkpoint_file.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/model/dtype.h"

#define ORDER UINT64_C(0x0102030405060708)
#define ORDER_OTHER UINT64_C(0x0807060504030201)

static const char manifest_magic[8] = "RPmanif", part_magic[8] = "RPpart";

typedef struct manifest_head {
  char magic[8];
  uint64_t order, bytes, generation, attempt;
  uint32_t version, parts, n, reserved;
} manifest_head;

typedef struct array_head {
  uint32_t name, dtype, ndim, zero;
  int64_t grain, units, offset;
  /* int64_t shape[ndim]; char name[], filled up with zeros to 8 bytes */
} array_head;

typedef struct part_head {
  char magic[8];
  uint64_t order, attempt, manifest, blocks;
  uint32_t version, part;
} part_head;

enum { HEAD_ALIGN = 4096, SECTION_ALIGN = 64 };

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* ---- parts ---- */

rpi_cuts rpi_checkpoint_cuts_first(int64_t n, int32_t parts) {
  return (rpi_cuts){.n = n, .grain = 1, .units = 0, .offset = -n, .ranks = parts};
}

int32_t rpi_checkpoint_part_of(const rpi_checkpoint_array *a, int64_t i) {
  int32_t lo = 0, hi = (int32_t)a->cuts.ranks; /* lo begins at or before i, hi behind it */
  while (hi - lo > 1) {
    const int32_t middle = lo + (hi - lo) / 2;
    if (rpi_cuts_at(&a->cuts, middle) <= i)
      lo = middle;
    else
      hi = middle;
  }
  return lo;
}

void rpi_checkpoint_lay_out(const rpi_checkpoint_table *t, int32_t part,
                            rpi_checkpoint_section *section, rpi_checkpoint_layout *out) {
  int64_t blocks = 0;
  for (int32_t i = 0; i < t->n; i++) {
    const rpi_checkpoint_array *a = &t->array[i];
    rpi_checkpoint_section *s = &section[i];
    s->lo = a->zero ? 0 : rpi_cuts_at(&a->cuts, part);
    s->hi = a->zero ? 0 : rpi_cuts_at(&a->cuts, part + 1);
    s->block = blocks;
    blocks += ((s->hi - s->lo) * rpi_dtype_size(a->dtype) + RPI_CHECKPOINT_BLOCK - 1) /
              RPI_CHECKPOINT_BLOCK;
  }
  out->blocks = blocks;
  out->head = (int64_t)sizeof(part_head) + (blocks + 1) * 8;
  out->bytes = out->start = round_up(out->head, HEAD_ALIGN);
  int64_t at = out->start;
  for (int32_t i = 0; i < t->n; i++) {
    rpi_checkpoint_section *s = &section[i];
    s->at = round_up(at, SECTION_ALIGN);
    if (s->lo == s->hi) continue;
    at = s->at + (s->hi - s->lo) * rpi_dtype_size(t->array[i].dtype);
    out->bytes = at;
  }
}

uint64_t *rpi_checkpoint_sums(uint64_t *head) { return head + sizeof(part_head) / 8; }

static part_head head_of(const rpi_checkpoint_table *t, int32_t part, int64_t blocks) {
  part_head h = {.order = ORDER,
                 .attempt = t->attempt,
                 .manifest = t->sum,
                 .blocks = (uint64_t)blocks,
                 .version = RPI_CHECKPOINT_VERSION,
                 .part = (uint32_t)part};
  memcpy(h.magic, part_magic, sizeof h.magic);
  return h;
}

void rpi_checkpoint_seal(const rpi_checkpoint_table *t, int32_t part,
                         const rpi_checkpoint_layout *l, uint64_t *head) {
  const part_head h = head_of(t, part, l->blocks);
  memcpy(head, &h, sizeof h);
  head[l->head / 8 - 1] = rpi_hash_bytes64(head, (size_t)l->head - 8);
}

rp_status rpi_checkpoint_check(const rpi_checkpoint_table *t, int32_t part,
                               const rpi_checkpoint_layout *l, const uint64_t *head) {
  const part_head want = head_of(t, part, l->blocks);
  if (head[l->head / 8 - 1] != rpi_hash_bytes64(head, (size_t)l->head - 8))
    return rpi_status_fail(RP_ERR_IO, "its head is damaged");
  if (memcmp(head, &want, sizeof want) != 0)
    return rpi_status_fail(RP_ERR_IO, "it is not part %d of this checkpoint", part);
  return RP_OK;
}

/* ---- tables ---- */

static int by_name(const void *a, const void *b) {
  return strcmp(((const rpi_checkpoint_array *)a)->name, ((const rpi_checkpoint_array *)b)->name);
}

rp_status rpi_checkpoint_sort(rpi_checkpoint_table *t) {
  qsort(t->array, (size_t)t->n, sizeof *t->array, by_name);
  for (int32_t i = 1; i < t->n; i++)
    if (by_name(&t->array[i - 1], &t->array[i]) == 0)
      return rpi_status_fail(RP_ERR_ARGUMENT, "the name \"%s\" is given twice", t->array[i].name);
  return RP_OK;
}

const rpi_checkpoint_array *rpi_checkpoint_find(const rpi_checkpoint_table *t, const char *name) {
  const rpi_checkpoint_array key = {.name = name};
  return bsearch(&key, t->array, (size_t)t->n, sizeof key, by_name);
}

/* ---- writing a manifest ---- */

static size_t padded(size_t name) { return (name + 7) / 8 * 8; }

static size_t manifest_bytes(const rpi_checkpoint_table *t) {
  size_t n = sizeof(manifest_head) + 8;
  for (int32_t i = 0; i < t->n; i++)
    n += sizeof(array_head) + 8 * (size_t)t->array[i].ndim + padded(strlen(t->array[i].name));
  return n;
}

static char *encode_array(const rpi_checkpoint_array *a, char *to) {
  const array_head h = {.name = (uint32_t)strlen(a->name),
                        .dtype = (uint32_t)a->dtype,
                        .ndim = (uint32_t)a->ndim,
                        .zero = a->zero,
                        .grain = a->cuts.grain,
                        .units = a->cuts.units,
                        .offset = a->cuts.offset};
  memcpy(to, &h, sizeof h);
  to += sizeof h;
  if (a->ndim > 0) memcpy(to, a->shape, 8 * (size_t)a->ndim);
  to += 8 * a->ndim;
  memcpy(to, a->name, h.name);
  return to + padded(h.name);
}

rp_status rpi_checkpoint_encode(rpi_checkpoint_table *t, void **bytes, size_t *size) {
  manifest_head h = {.order = ORDER,
                     .bytes = manifest_bytes(t),
                     .generation = t->generation,
                     .attempt = t->attempt,
                     .version = RPI_CHECKPOINT_VERSION,
                     .parts = (uint32_t)t->parts,
                     .n = (uint32_t)t->n};
  *size = h.bytes;
  char *to = *bytes = rpi_alloc_zero(h.bytes);
  if (!to) return rpi_status_nomem("the manifest of a checkpoint");
  memcpy(h.magic, manifest_magic, sizeof h.magic);
  memcpy(to, &h, sizeof h);
  to += sizeof h;
  for (int32_t i = 0; i < t->n; i++) to = encode_array(&t->array[i], to);
  t->sum = rpi_hash_bytes64(*bytes, h.bytes - 8);
  memcpy(to, &t->sum, 8);
  return RP_OK;
}

/* ---- reading one ---- */

typedef struct reader {
  const char *at, *end;
  rpi_arena *memory;
  int64_t total; /* bytes of all arrays so far */
} reader;

static rp_status bad(const char *what) {
  return rpi_status_fail(RP_ERR_IO, "the manifest is damaged: %s", what);
}

/* The next n bytes to `out`; false: there are no more. */
static bool take(reader *r, void *out, size_t n) {
  if ((size_t)(r->end - r->at) < n) return false;
  if (n > 0) memcpy(out, r->at, n);
  r->at += n;
  return true;
}

static bool between(int64_t n, int64_t lo, int64_t hi) { return lo <= n && n <= hi; }

static rp_status decode_cuts(const array_head *h, rpi_checkpoint_array *a) {
  rpi_cuts *c = &a->cuts;
  int64_t reach;
  c->grain = h->grain;
  c->units = h->units;
  c->offset = h->offset;
  if (!between(c->grain, 1, RPI_CHECKPOINT_MOST) || !between(c->units, 0, RPI_CHECKPOINT_MOST) ||
      !between(c->offset, -RPI_CHECKPOINT_MOST, RPI_CHECKPOINT_MOST) ||
      __builtin_mul_overflow(c->grain, c->units, &reach) || reach > RPI_CHECKPOINT_MOST)
    return bad("an array's cuts are none");
  if (c->units == 0 && (c->grain != 1 || c->offset != -c->n))
    return bad("an array's cuts are none");
  return RP_OK;
}

static rp_status decode_shape(reader *r, rpi_checkpoint_array *a) {
  int64_t bytes;
  if (!take(r, a->shape, 8 * (size_t)a->ndim)) return bad("it ends within a shape");
  if (rpi_geom_check(a->ndim, a->shape, &a->cuts.n) != RP_OK)
    return bad("an array's shape is none");
  if (__builtin_mul_overflow(a->cuts.n, (int64_t)rpi_dtype_size(a->dtype), &bytes) ||
      bytes > RPI_CHECKPOINT_MOST - r->total)
    return bad("its arrays are too large");
  r->total += bytes;
  return RP_OK;
}

static rp_status decode_name(reader *r, size_t n, rpi_checkpoint_array *a) {
  static const char zeros[8];
  char pad[8];
  char *name = rpi_arena_get(r->memory, n + 1);
  if (!name) return rpi_status_nomem("the manifest of a checkpoint");
  if (!take(r, name, n) || !take(r, pad, padded(n) - n)) return bad("it ends within a name");
  if (strlen(name) != n || memcmp(pad, zeros, padded(n) - n) != 0)
    return bad("a name is followed by something else");
  a->name = name;
  return RP_OK;
}

static rp_status decode_array(reader *r, int32_t parts, rpi_checkpoint_array *a) {
  array_head h;
  if (!take(r, &h, sizeof h)) return bad("it ends within an array");
  if (!between(h.name, 1, RPI_CHECKPOINT_NAME)) return bad("the length of a name is none");
  if (!rpi_dtype_valid((rp_dtype)h.dtype)) return bad("the dtype of an array is none");
  if (!between(h.ndim, 0, RP_MAX_DIM) || !between(h.zero, 0, 1))
    return bad("the numbers of an array are none");
  a->dtype = (rp_dtype)h.dtype;
  a->ndim = (int32_t)h.ndim;
  a->zero = h.zero == 1;
  a->cuts.ranks = parts;
  RPI_TRY(decode_shape(r, a));
  RPI_TRY(decode_cuts(&h, a));
  return decode_name(r, h.name, a);
}

static rp_status check_head(const manifest_head *h, const void *bytes, size_t size) {
  uint64_t sum;
  if (memcmp(h->magic, manifest_magic, sizeof h->magic) != 0)
    return rpi_status_fail(RP_ERR_IO, "it is not the manifest of a checkpoint");
  if (h->order == ORDER_OTHER)
    return rpi_status_fail(RP_ERR_IO, "it was written on a machine with the other order of bytes");
  if (h->order == ORDER && h->version != RPI_CHECKPOINT_VERSION)
    return rpi_status_fail(RP_ERR_IO, "its format is version %u, this library reads version %d",
                           h->version, RPI_CHECKPOINT_VERSION);
  memcpy(&sum, (const char *)bytes + size - 8, 8);
  if (h->order != ORDER || h->bytes != size || sum != rpi_hash_bytes64(bytes, size - 8))
    return bad("its checksum is another");
  if (h->parts < 1 || h->parts > INT32_MAX || h->n < 1 || h->n > RPI_CHECKPOINT_ARRAYS ||
      h->reserved != 0)
    return bad("its counts are none");
  return RP_OK;
}

rp_status rpi_checkpoint_decode(const void *bytes, size_t size, rpi_arena *memory,
                                rpi_checkpoint_table *out) {
  manifest_head h;
  memset(out, 0, sizeof *out);
  if (size < sizeof h + 8)
    return rpi_status_fail(RP_ERR_IO, "the manifest is damaged: it has %zu bytes", size);
  memcpy(&h, bytes, sizeof h);
  RPI_TRY(check_head(&h, bytes, size));
  rpi_checkpoint_table t = {.generation = h.generation,
                            .attempt = h.attempt,
                            .parts = (int32_t)h.parts,
                            .n = (int32_t)h.n};
  reader r = {.at = (const char *)bytes + sizeof h,
              .end = (const char *)bytes + size - 8,
              .memory = memory};
  memcpy(&t.sum, r.end, 8);
  if ((size_t)(r.end - r.at) / sizeof(array_head) < h.n) return bad("it has too few arrays");
  t.array = rpi_arena_get(memory, sizeof *t.array * h.n);
  if (!t.array) return rpi_status_nomem("the manifest of a checkpoint");
  for (int32_t i = 0; i < t.n; i++) {
    RPI_TRY(decode_array(&r, t.parts, &t.array[i]));
    if (i > 0 && by_name(&t.array[i - 1], &t.array[i]) >= 0) return bad("its names are unordered");
  }
  if (r.at != r.end) return bad("something follows its arrays");
  *out = t;
  return RP_OK;
}
