/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_route.c -- records that ranks have for each other arrive, all of them, once, in order, on 1 to 17
 * ranks; how many messages that takes, also among a million ranks; and what is left when memory or a rank fails. */
#include "tests/support/ranks.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/hash.h"
#include "core/comm/route.h"

enum { MOST = 17 };

static int32_t log2_up(int32_t n) {
  int32_t k = 0;
  while (k < 31 && 1 << k < n) k++;
  return k;
}

/* ---- messages are counted ---- */

typedef struct counts {
  int64_t sends, receives, bytes; /* bytes: sent */
} counts;

static _Thread_local counts started;

rp_status __real_rpi_comm_start(rpi_comm *c, rpi_message *m, int32_t n);
rp_status __wrap_rpi_comm_start(rpi_comm *c, rpi_message *m, int32_t n);

rp_status __wrap_rpi_comm_start(rpi_comm *c, rpi_message *m, int32_t n) {
  for (int32_t i = 0; i < n; i++) {
    started.sends += m[i].send;
    started.receives += !m[i].send;
    started.bytes += m[i].send ? m[i].bytes : 0;
  }
  return __real_rpi_comm_start(c, m, n);
}

/* ---- what is sent ---- */

enum { NONE, ONE_EACH, NEIGHBOURS, ALL_TO_ONE, ONE_TO_ALL, RANDOM, MANY, PATTERNS };

/* The k-th record of a rank is a function of these, so that every rank computes what all have. */
typedef struct letters {
  int32_t pattern, ranks;
  uint64_t seed;
} letters;

/* A number without order for each seed and k. */
static uint64_t random_of(uint64_t seed, int32_t k) {
  const uint64_t words[2] = {seed, (uint64_t)k};
  return rpi_hash_bytes64(words, sizeof words);
}

static int32_t count_of(const letters *l, int32_t from) {
  switch (l->pattern) {
    case NONE: return 0;
    case ONE_EACH: return l->ranks; /* to each, itself too */
    case NEIGHBOURS: return 2;
    case ALL_TO_ONE: return 3;
    case ONE_TO_ALL: return from == l->ranks / 2 ? 3 * l->ranks : 0;
    case RANDOM: return (int32_t)(random_of(l->seed, from) % 40);
    default: return from % 3 == 1 ? 5000 : from; /* more than any first room */
  }
}

static int32_t target_of(const letters *l, int32_t from, int32_t k) {
  const int32_t n = l->ranks;
  switch (l->pattern) {
    case ONE_EACH: return n - 1 - k;
    case NEIGHBOURS: return (from + (k ? 1 : n - 1)) % n;
    case ALL_TO_ONE: return n / 3;
    case ONE_TO_ALL: return k % n;
    default: return (int32_t)(random_of(l->seed + 1 + (uint64_t)from, k) % (uint64_t)n);
  }
}

static rpi_route_record record_of(const letters *l, int32_t from, int32_t k) {
  return (rpi_route_record){.from = from,
                            .to = target_of(l, from, k),
                            .word = {from * (int64_t)100000 + k, -k, (int64_t)random_of(0, k), k}};
}

/* What rank `to` must end with, by looking at what all ranks have. */
static int32_t wanted(const letters *l, int32_t to, rpi_route_record *out) {
  int32_t n = 0;
  for (int32_t from = 0; from < l->ranks; from++)
    for (int32_t k = 0; k < count_of(l, from); k++)
      if (target_of(l, from, k) == to) out[n++] = record_of(l, from, k);
  return n;
}

static int64_t count_all(const letters *l) {
  int64_t n = 0;
  for (int32_t from = 0; from < l->ranks; from++) n += count_of(l, from);
  return n;
}

static bool fill(const letters *l, int32_t from, rpi_route_list *list) {
  for (int32_t k = 0; k < count_of(l, from); k++) {
    const rpi_route_record r = record_of(l, from, k);
    if (!rpi_route_add(list, r.to, r.word)) return false;
  }
  return true;
}

/* Twice with the same list: what came is sent on to the next rank, whom that leaves with its neighbour's. */
static rp_status routes(one_rank *r) {
  const letters *l = r->shared;
  rpi_route_list list = {0};
  rpi_route_record *want = calloc((size_t)count_all(l) + 1, sizeof *want);
  r->wrong += !fill(l, r->rank, &list);
  started = (counts){0};
  rp_status st = rpi_route_records(r->comm, &list);
  const int32_t rounds = log2_up(r->ranks);
  r->wrong += started.sends > 2 * rounds || started.receives > 4 * rounds;
  if (st == RP_OK) {
    const int32_t n = wanted(l, r->rank, want);
    r->wrong += list.n != n || (n > 0 && memcmp(list.records, want, (size_t)n * sizeof *want) != 0);
    for (int32_t i = 0; i < list.n; i++) list.records[i].to = (r->rank + 1) % r->ranks;
    st = rpi_route_records(r->comm, &list);
  }
  if (st == RP_OK) {
    const int32_t before = (r->rank + r->ranks - 1) % r->ranks, n = wanted(l, before, want);
    for (int32_t i = 0; i < n; i++) {
      want[i].from = before;
      want[i].to = r->rank;
    }
    r->wrong += list.n != n || (n > 0 && memcmp(list.records, want, (size_t)n * sizeof *want) != 0);
  }
  rpi_alloc_free(list.records);
  free(want);
  return st;
}

static void test_records(void **state) {
  (void)state;
  for (int32_t n = 1; n <= MOST; n++)
    for (int32_t pattern = 0; pattern < PATTERNS; pattern++)
      for (uint64_t seed = 0; seed < (pattern == RANDOM ? 8 : 1); seed++) {
        one_rank all[RANKS_MOST];
        letters l = {pattern, n, seed * 1000 + (uint64_t)n};
        ranks_run(all, n, routes, &l, 60);
        ranks_fine(all, n);
      }
}

/* ---- among many ranks ---- */

static rpi_comm *dry(int32_t rank, int32_t ranks) {
  char text[64];
  rpi_config config;
  rpi_comm *c;
  snprintf(text, sizeof text, "--dryrun %d/%d", rank, ranks);
  assert_int_equal(rpi_config_init(&config, text), RP_OK);
  assert_int_equal(rpi_comm_open(&config, &c), RP_OK);
  rpi_config_deinit(&config);
  return c;
}

/* One rank of so many: messages and memory follow the logarithm. What it has for itself stays, in order. */
static void test_many_ranks(void **state) {
  (void)state;
  const int32_t sizes[] = {2, 3, 1000, 1 << 20, (1 << 20) - 1, INT32_MAX};
  for (int32_t i = 0; i < RPI_COUNT(sizes); i++)
    for (int32_t j = 0; j < 5; j++) {
      const int32_t n = sizes[i], rank = (int32_t)(j * (int64_t)(n - 1) / 4);
      rpi_comm *c = dry(rank, n);
      rpi_route_list list = {0};
      for (int32_t k = 0; k < 4; k++) {
        assert_true(rpi_route_add(&list, rank, (int64_t[4]){k}));
        assert_true(rpi_route_add(&list, (int32_t)(k * (int64_t)(n - 1) / 3), (int64_t[4]){k, 1}));
      }
      int32_t kept = 0;
      for (int32_t k = 0; k < list.n; k++) kept += list.records[k].to == rank;
      const int64_t allocations = rpi_alloc_count();
      started = (counts){0};
      assert_int_equal(rpi_route_records(c, &list), RP_OK);
      const int32_t rounds = log2_up(n);
      assert_in_range(started.sends, rounds - 1, 2 * rounds);
      assert_in_range(started.receives, 0, 4 * rounds);
      assert_true(started.bytes <= rounds * 8 + 8 * (int64_t)sizeof(rpi_route_record));
      assert_in_range(rpi_alloc_count() - allocations, 0, 2);
      assert_int_equal(list.n, kept);
      for (int32_t k = 0; k < list.n; k++) {
        assert_true(list.records[k].to == rank && list.records[k].from == rank);
        assert_true(k == 0 || list.records[k - 1].word[0] < list.records[k].word[0] ||
                    list.records[k - 1].word[1] < list.records[k].word[1]);
      }
      rpi_alloc_free(list.records);
      rpi_comm_close(c, false);
    }
}

/* ---- failures ---- */

/* The last rank does not take part, and says so. */
static rp_status misses_one(one_rank *r) {
  const letters l = {ONE_EACH, r->ranks, 0};
  rpi_route_list list = {0};
  rp_status st;
  if (r->rank == r->ranks - 1) {
    rpi_comm_abort(r->comm, "no more");
    st = rpi_status_fail(RP_ERR_RANKS, "itself");
  } else {
    r->wrong += !fill(&l, r->rank, &list);
    st = rpi_route_records(r->comm, &list);
  }
  rpi_alloc_free(list.records);
  return st;
}

static void test_missing(void **state) {
  (void)state;
  for (int32_t n = 2; n <= 9; n++) {
    one_rank all[RANKS_MOST];
    char want[64];
    snprintf(want, sizeof want, "rank %d: no more", n - 1);
    ranks_run(all, n, misses_one, NULL, 60);
    for (int32_t i = 0; i < n; i++) rank_failed(&all[i], i == n - 1 ? "itself" : want);
  }
}

/* In a world that is not there every allocation fails in turn. */
static void test_no_memory(void **state) {
  (void)state;
  rpi_route_list none = {0};
  rpi_alloc_inject(1);
  assert_false(rpi_route_add(&none, 0, (int64_t[4]){0}));
  rpi_alloc_inject(-1);
  assert_int_equal(none.n, 0);
  int64_t n = 1;
  for (rp_status st = RP_ERR_MEMORY; st != RP_OK; n++) {
    rpi_comm *c = dry(1, 5);
    rpi_route_list list = {0};
    for (int32_t k = 0; k < 9; k++)
      assert_true(rpi_route_add(&list, k % 5, (int64_t[4]){k, k, k, k}));
    rpi_alloc_inject(n);
    st = rpi_route_records(c, &list);
    rpi_alloc_inject(-1);
    assert_true(st == RP_OK || st == RP_ERR_MEMORY);
    rpi_alloc_free(list.records);
    rpi_comm_close(c, false);
  }
  assert_true(n > 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_records),
      cmocka_unit_test(test_many_ranks),
      cmocka_unit_test(test_missing),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
