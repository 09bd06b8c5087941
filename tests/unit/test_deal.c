/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_deal.c -- many records from each rank to any: all arrive, in order of sender and of his list, on 1 to 17
 * ranks; and what one rank does wrong, all are told. */
#include "tests/support/ranks.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/comm/collect.h"
#include "core/comm/deal.h"

typedef struct letter {
  int32_t from, to;
  int64_t number;
} letter;

enum { NOBODY, SELF, NEXT, ALL, RANDOM, LAST_FIRST, TO_ONE, PATTERNS, MANY = 3000 };

static int64_t count_of(int32_t pattern, int32_t from) {
  return pattern == NOBODY ? 0 : pattern == RANDOM ? from * 97 % MANY : MANY;
}

static int32_t target_of(int32_t pattern, int32_t ranks, int32_t from, int64_t k) {
  switch (pattern) {
    case SELF: return from;
    case NEXT: return (from + 1) % ranks;
    case ALL: return (int32_t)(k * ranks / MANY);
    case RANDOM: return (int32_t)((uint64_t)(k + 1) * 0x9e3779b97f4a7c15u >> 40) % ranks;
    case LAST_FIRST: return ranks - 1 - (int32_t)(k % ranks);
    default: return ranks / 2;
  }
}

/* What the rank must have now, worked out by everybody alike. */
static void check(one_rank *r, int32_t pattern, const letter *got, int64_t n) {
  int64_t at = 0;
  for (int32_t from = 0; from < r->ranks; from++) {
    for (int64_t k = 0; k < count_of(pattern, from); k++) {
      if (target_of(pattern, r->ranks, from, k) != r->rank) continue;
      r->wrong += at >= n || got[at].from != from || got[at].to != r->rank || got[at].number != k;
      at++;
    }
  }
  r->wrong += at != n;
}

static rp_status deal_all(one_rank *r) {
  static int32_t targets[RANKS_MOST][MANY];
  for (int32_t pattern = 0; pattern < PATTERNS; pattern++) {
    letter *mine = rpi_alloc(MANY * sizeof *mine);
    if (!mine) return rpi_status_nomem("letters");
    int32_t *to = targets[r->rank];
    const int64_t n = count_of(pattern, r->rank);
    for (int64_t k = 0; k < n; k++) {
      to[k] = target_of(pattern, r->ranks, r->rank, k);
      mine[k] = (letter){r->rank, to[k], k};
    }
    rpi_deal d = {.n = n, .to = to, .bytes = sizeof *mine, .records = mine};
    bool heard;
    RPI_TRY(rpi_deal_records(r->comm, RP_OK, &d, &heard));
    r->wrong += !heard;
    check(r, pattern, d.out, d.n_out);
    rpi_alloc_free(d.out);
  }
  return RP_OK;
}

static void test_all(void **state) {
  (void)state;
  one_rank all[RANKS_MOST];
  for (int32_t n = 1; n <= 17; n++) {
    ranks_run(all, n, deal_all, NULL, 20);
    ranks_fine(all, n);
  }
}

static void *copy(const void *data, size_t size) {
  void *p = rpi_alloc(size);
  return p ? memcpy(p, data, size) : NULL;
}

/* Rank 2 names a rank that is not there, then has an error of its own; the next deal is as if nothing had been. */
static rp_status one_wrong(one_rank *r) {
  const letter mine = {r->rank, 0, 0};
  int32_t to = r->rank == 2 ? r->ranks : 0;
  rpi_deal d = {.n = 1, .to = &to, .bytes = sizeof mine};
  bool heard;
  for (int32_t k = 0; k < 2; k++) {
    d.records = copy(&mine, sizeof mine);
    const rp_status own = r->rank == 2 && k == 1 ? rpi_status_fail(RP_ERR_IO, "mine") : RP_OK;
    const rp_status st = rpi_deal_records(r->comm, own, &d, &heard);
    r->wrong += st != (k == 0 ? RP_ERR_ARGUMENT : RP_ERR_IO) || !heard || d.out || d.n_out != 0;
    r->wrong += !strstr(rpi_status_message(), k == 0 ? "rank 2: to[0] is 5, not in 0..4" : "mine");
    to = 0;
  }
  d.records = copy(&mine, sizeof mine);
  RPI_TRY(rpi_deal_records(r->comm, RP_OK, &d, &heard));
  r->wrong += d.n_out != (r->rank == 0 ? 5 : 0);
  rpi_alloc_free(d.out);
  return RP_OK;
}

static void test_wrong(void **state) {
  (void)state;
  one_rank all[RANKS_MOST];
  ranks_run(all, 5, one_wrong, NULL, 20);
  ranks_fine(all, 5);
}

/* The digits of a rank beyond 2048 take a second pass. */
static void test_order(void **state) {
  (void)state;
  rpi_config config;
  rpi_comm *comm;
  enum { N = 1000 };
  int32_t to[N];
  assert_int_equal(rpi_config_init(&config, "--dryrun 5000/1000000"), RP_OK);
  assert_int_equal(rpi_comm_open(&config, &comm), RP_OK);
  int64_t own[N], n = 0;
  for (int32_t k = 0; k < N; k++) to[k] = k % 3 ? 5000 : (k * 7919) % 1000000;
  letter mine[N];
  for (int32_t k = 0; k < N; k++) {
    mine[k] = (letter){5000, to[k], k};
    if (to[k] == 5000) own[n++] = k;
  }
  rpi_deal d = {.n = N, .to = to, .bytes = sizeof *mine, .records = copy(mine, sizeof mine)};
  bool heard;
  assert_int_equal(rpi_deal_records(comm, RP_OK, &d, &heard), RP_OK);
  assert_int_equal(d.n_out, n);
  for (int64_t k = 0; k < n; k++) assert_int_equal(((letter *)d.out)[k].number, own[k]);
  rpi_alloc_free(d.out);
  rpi_comm_close(comm, true);
  rpi_config_deinit(&config);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_wrong),
                                     cmocka_unit_test(test_order)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
