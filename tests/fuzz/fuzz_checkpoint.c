/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_checkpoint.c -- libFuzzer target: any bytes as the manifest of a checkpoint.
 *
 * The bytes are read as they are, and once more with the marks and the checksum of a manifest put in. What is refused
 * must say why and leave nothing behind. What is read must encode to the same bytes, and its parts must hold each
 * element once, one after another. */
#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/exec/checkpoint_file.h"
#include "core/model/dtype.h"

enum { HEAD = 56, MOST_PARTS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
  if (!ok) abort();
}

static void check_array(const rpi_checkpoint_table *t, int32_t i) {
  const rpi_checkpoint_array *a = &t->array[i];
  require(rpi_checkpoint_find(t, a->name) == a);
  for (int64_t k = 0; k < 3 && a->cuts.n > 0; k++) {
    const int64_t e = k * (a->cuts.n - 1) / 2;
    const int32_t part = rpi_checkpoint_part_of(a, e);
    require(part >= 0 && part < t->parts);
    require(rpi_cuts_at(&a->cuts, part) <= e && e < rpi_cuts_at(&a->cuts, part + 1));
  }
}

static void check_parts(const rpi_checkpoint_table *t) {
  rpi_checkpoint_section *now = calloc((size_t)t->n, sizeof *now);
  int64_t *held = calloc((size_t)t->n, sizeof *held);
  require(now && held);
  for (int32_t part = 0; part < t->parts; part++) {
    rpi_checkpoint_layout l;
    rpi_checkpoint_lay_out(t, part, now, &l);
    require(l.head <= l.start && l.start <= l.bytes && l.blocks >= 0);
    for (int32_t i = 0; i < t->n; i++) {
      if (t->array[i].zero) continue;
      require(now[i].lo == held[i] && now[i].hi >= now[i].lo && now[i].at >= l.start);
      held[i] = now[i].hi;
    }
  }
  for (int32_t i = 0; i < t->n; i++)
    require(held[i] == (t->array[i].zero ? 0 : t->array[i].cuts.n));
  free(now);
  free(held);
}

static void read_one(const char *bytes, size_t size) {
  rpi_arena memory;
  rpi_checkpoint_table t;
  rpi_arena_init(&memory);
  const rp_status st = rpi_checkpoint_decode(bytes, size, &memory, &t);
  if (st == RP_OK) {
    void *again;
    size_t n;
    require(rpi_checkpoint_encode(&t, &again, &n) == RP_OK);
    require(n == size && memcmp(again, bytes, n) == 0);
    rpi_alloc_free(again);
    for (int32_t i = 0; i < t.n; i++) check_array(&t, i);
    if (t.parts <= MOST_PARTS) check_parts(&t);
  } else {
    require(st == RP_ERR_IO && rpi_status_message()[0] && !t.array && t.n == 0);
  }
  rpi_arena_deinit(&memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *exact = malloc(size ? size : 1); /* a read behind the end is found */
  require(exact != NULL);
  if (size > 0) memcpy(exact, data, size);
  read_one(exact, size);
  if (size >= HEAD + 8) {
    const uint64_t order = UINT64_C(0x0102030405060708), length = size;
    const uint32_t version = RPI_CHECKPOINT_VERSION;
    memcpy(exact, "RPmanif", 8);
    memcpy(exact + 8, &order, 8);
    memcpy(exact + 16, &length, 8);
    memcpy(exact + 40, &version, 4);
    const uint64_t sum = rpi_hash_bytes64(exact, size - 8);
    memcpy(exact + size - 8, &sum, 8);
    read_one(exact, size);
  }
  free(exact);
  return 0;
}
