/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_checkpoint_file.c -- the formats of a checkpoint's files: what is written is read, what is damaged is
 * refused, parts hold each element once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/exec/checkpoint_file.h"
#include "core/model/dtype.h"
#include "tests/support/pick.h"

enum { MOST_ARRAYS = 6 };

typedef struct sample {
  rpi_checkpoint_array array[MOST_ARRAYS];
  char name[MOST_ARRAYS][RPI_CHECKPOINT_NAME + 1];
  rpi_checkpoint_table table;
} sample;

/* Arrays of all kinds, cut in all ways, under random names that differ. */
static void sample_make(sample *s, uint64_t seed) {
  memset(s, 0, sizeof *s);
  s->table = (rpi_checkpoint_table){.generation = 1 + seed,
                                    .attempt = seed * 2654435761u + 3,
                                    .parts = (int32_t)pick(1, 9),
                                    .n = (int32_t)pick(1, MOST_ARRAYS),
                                    .array = s->array};
  for (int32_t i = 0; i < s->table.n; i++) {
    rpi_checkpoint_array *a = &s->array[i];
    const int32_t length = (int32_t)pick(1, i == 0 ? RPI_CHECKPOINT_NAME : 12);
    for (int32_t k = 0; k < length; k++) s->name[i][k] = (char)pick(1, 255);
    s->name[i][0] = (char)('a' + i);
    a->name = s->name[i];
    a->dtype = (rp_dtype)pick(0, RPI_N_DTYPE - 1);
    a->ndim = (int32_t)pick(0, RP_MAX_DIM);
    int64_t n = 1;
    for (int32_t d = 0; d < a->ndim; d++) n *= a->shape[d] = pick(0, 4);
    a->zero = n == 0 || pick(0, 3) == 0;
    a->cuts = rpi_checkpoint_cuts_first(n, s->table.parts);
    if (pick(0, 1) && n > 0)
      a->cuts = (rpi_cuts){.n = n,
                           .grain = pick(1, 7),
                           .units = pick(1, 200),
                           .offset = pick(-25, 24),
                           .ranks = s->table.parts};
    a->index = i;
  }
  assert_int_equal(rpi_checkpoint_sort(&s->table), RP_OK);
}

static void same_array(const rpi_checkpoint_array *a, const rpi_checkpoint_array *b) {
  assert_string_equal(a->name, b->name);
  assert_int_equal(a->dtype, b->dtype);
  assert_int_equal(a->zero, b->zero);
  assert_int_equal(a->ndim, b->ndim);
  assert_memory_equal(a->shape, b->shape, 8 * (size_t)a->ndim);
  assert_memory_equal(&a->cuts, &b->cuts, sizeof a->cuts);
}

static void test_round_trip(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 2000; seed++) {
    sample s;
    rpi_checkpoint_table t;
    rpi_arena memory;
    void *bytes;
    size_t size;
    sample_make(&s, seed);
    assert_int_equal(rpi_checkpoint_encode(&s.table, &bytes, &size), RP_OK);
    rpi_arena_init(&memory);
    if (rpi_checkpoint_decode(bytes, size, &memory, &t) != RP_OK)
      fail_msg("seed %llu: %s", (unsigned long long)seed, rpi_status_message());
    assert_true(t.generation == s.table.generation && t.attempt == s.table.attempt);
    assert_true(t.parts == s.table.parts && t.n == s.table.n && t.sum == s.table.sum);
    for (int32_t i = 0; i < t.n; i++) {
      same_array(&t.array[i], &s.array[i]);
      assert_ptr_equal(rpi_checkpoint_find(&t, s.array[i].name), &t.array[i]);
    }
    assert_null(rpi_checkpoint_find(&t, "A"));
    rpi_arena_deinit(&memory);
    rpi_alloc_free(bytes);
  }
}

/* With a checksum that fits or not: refused with a sentence, or the same bytes again. */
static void decode_any(char *bytes, size_t size, bool must_fail) {
  rpi_arena memory;
  rpi_checkpoint_table t;
  char *exact = rpi_alloc(size); /* a read behind the end is found */
  assert_non_null(exact);
  memcpy(exact, bytes, size);
  rpi_arena_init(&memory);
  if (rpi_checkpoint_decode(exact, size, &memory, &t) == RP_OK) {
    void *again;
    size_t n;
    assert_false(must_fail);
    assert_int_equal(rpi_checkpoint_encode(&t, &again, &n), RP_OK);
    assert_int_equal(n, size);
    assert_memory_equal(again, exact, n);
    rpi_alloc_free(again);
  } else {
    assert_true(strlen(rpi_status_message()) > 10);
    assert_null(t.array);
  }
  rpi_arena_deinit(&memory);
  rpi_alloc_free(exact);
}

static void seal(char *bytes, size_t size) {
  const uint64_t sum = rpi_hash_bytes64(bytes, size - 8);
  memcpy(bytes + size - 8, &sum, 8);
}

static void test_damage(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 30; seed++) {
    sample s;
    void *all;
    size_t size;
    sample_make(&s, seed);
    assert_int_equal(rpi_checkpoint_encode(&s.table, &all, &size), RP_OK);
    char *bytes = all, *copy = rpi_alloc(size);
    assert_non_null(copy);
    for (size_t i = 0; i < size; i++) {
      bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
      decode_any(bytes, size, true);
      bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
    }
    for (size_t n = 0; n < size; n++) decode_any(bytes, n, true);
    for (int32_t k = 0; k < 2000; k++) { /* damage that the checksum does not see */
      memcpy(copy, bytes, size);
      for (int64_t i = pick(1, 3); i > 0; i--)
        copy[pick(0, (int64_t)size - 9)] = (char)(pick(0, 2) ? pick(0, 3) : 0xff);
      seal(copy, size);
      decode_any(copy, size, false);
    }
    rpi_alloc_free(copy);
    rpi_alloc_free(all);
  }
}

static void test_other_formats(void **state) {
  (void)state;
  sample s;
  void *all;
  size_t size;
  rpi_arena memory;
  rpi_checkpoint_table t;
  sample_make(&s, 1);
  assert_int_equal(rpi_checkpoint_encode(&s.table, &all, &size), RP_OK);
  char *bytes = all;
  const uint64_t other = UINT64_C(0x0807060504030201);
  rpi_arena_init(&memory);
  memcpy(bytes + 8, &other, 8);
  seal(bytes, size);
  assert_int_equal(rpi_checkpoint_decode(bytes, size, &memory, &t), RP_ERR_IO);
  assert_non_null(strstr(rpi_status_message(), "other order of bytes"));
  rpi_alloc_free(all);
  assert_int_equal(rpi_checkpoint_encode(&s.table, &all, &size), RP_OK);
  bytes = all;
  bytes[40] = 9; /* the version follows the magic and four numbers */
  seal(bytes, size);
  assert_int_equal(rpi_checkpoint_decode(bytes, size, &memory, &t), RP_ERR_IO);
  assert_non_null(strstr(rpi_status_message(), "version 9, this library reads version 1"));
  rpi_arena_deinit(&memory);
  rpi_alloc_free(all);
}

static void test_same_name(void **state) {
  (void)state;
  rpi_checkpoint_array array[] = {{.name = "b"}, {.name = "a"}, {.name = "b"}};
  rpi_checkpoint_table t = {.n = 3, .array = array};
  assert_int_equal(rpi_checkpoint_sort(&t), RP_ERR_ARGUMENT);
  assert_non_null(strstr(rpi_status_message(), "\"b\" is given twice"));
}

/* ---- parts ---- */

/* Each element of each array lies in the part that is said to have it, behind what comes before it. */
static void test_layout(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 2000; seed++) {
    sample s;
    rpi_checkpoint_section section[MOST_ARRAYS];
    rpi_checkpoint_layout l;
    int64_t held[MOST_ARRAYS] = {0};
    uint64_t head[50];
    sample_make(&s, seed);
    for (int32_t part = 0; part < s.table.parts; part++) {
      rpi_checkpoint_lay_out(&s.table, part, section, &l);
      int64_t end = l.start, blocks = 0;
      assert_true(l.head <= l.start);
      for (int32_t i = 0; i < s.table.n; i++) {
        const rpi_checkpoint_array *a = &s.array[i];
        const int64_t n = section[i].hi - section[i].lo;
        if (n == 0) continue;
        assert_true(section[i].lo == held[i]);
        assert_true(section[i].at >= end && section[i].block == blocks);
        for (int64_t k = section[i].lo; k < section[i].hi; k++)
          assert_int_equal(rpi_checkpoint_part_of(a, k), part);
        end = section[i].at + n * rpi_dtype_size(a->dtype);
        blocks += 1; /* all of these are small */
        held[i] = section[i].hi;
      }
      assert_true(l.bytes == end && l.blocks == blocks);
      assert_true(l.head == (char *)(rpi_checkpoint_sums(head) + blocks + 1) - (char *)head);
    }
    for (int32_t i = 0; i < s.table.n; i++)
      assert_true(held[i] == (s.array[i].zero ? 0 : s.array[i].cuts.n));
  }
}

static void test_heads(void **state) {
  (void)state;
  sample s;
  rpi_checkpoint_section section[MOST_ARRAYS];
  rpi_checkpoint_layout l;
  void *bytes;
  size_t size;
  uint64_t head[600];
  sample_make(&s, 4);
  assert_int_equal(rpi_checkpoint_encode(&s.table, &bytes, &size), RP_OK);
  rpi_alloc_free(bytes);
  rpi_checkpoint_lay_out(&s.table, 0, section, &l);
  assert_true((size_t)l.head <= sizeof head);
  for (int64_t i = 0; i < l.blocks; i++) rpi_checkpoint_sums(head)[i] = (uint64_t)i * 77;
  rpi_checkpoint_seal(&s.table, 0, &l, head);
  assert_int_equal(rpi_checkpoint_check(&s.table, 0, &l, head), RP_OK);
  assert_int_equal(rpi_checkpoint_check(&s.table, 1, &l, head), RP_ERR_IO);
  for (int64_t i = 0; i < l.head; i++) {
    ((char *)head)[i] ^= 16;
    assert_int_equal(rpi_checkpoint_check(&s.table, 0, &l, head), RP_ERR_IO);
    ((char *)head)[i] ^= 16;
  }
  s.table.sum++; /* of another manifest of the same attempt, as it cannot be */
  assert_int_equal(rpi_checkpoint_check(&s.table, 0, &l, head), RP_ERR_IO);
  s.table.sum--;
  s.table.attempt++;
  assert_int_equal(rpi_checkpoint_check(&s.table, 0, &l, head), RP_ERR_IO);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_damage),
      cmocka_unit_test(test_other_formats), cmocka_unit_test(test_same_name),
      cmocka_unit_test(test_layout),        cmocka_unit_test(test_heads)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
