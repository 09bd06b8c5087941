/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_messages.c -- messages of plans made run by run: the elements named, in their order, however runs are put
 * together; one message for consecutive runs to one rank; room for what must be packed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/comm/comm.h"
#include "core/exec/messages.h"

enum { MOST = 4000, PEERS = 3 };

static uint64_t state = 11;

static int64_t below(int64_t n) {
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (int64_t)((state >> 33) % (uint64_t)n);
}

/* The bytes that a message names, one by one. */
static int64_t spelled(const rpi_plan_exchange *e, const rpi_plan_message *m, int64_t *at) {
  int64_t n = 0;
  for (int32_t i = 0; i < m->n_run; i++) {
    const rpi_plan_run *r = &e->run[m->first_run + i];
    for (int64_t k = 0; k < r->count; k++)
      for (int64_t b = 0; b < r->bytes; b++) at[n++] = r->at + k * r->step + b;
  }
  return n;
}

/* Runs that often continue each other, to a few peers by turns; what is named stays as it was given, in one message for
 * each peer. */
static void one_exchange(rpi_plan_exchange *e) {
  static int64_t want[PEERS][MOST], got[MOST];
  int64_t n[PEERS] = {0}, at = 0;
  int32_t peer = 0, messages = 0;
  rpi_messages_clear(e);
  for (int32_t k = 0, runs = 1 + (int32_t)below(12); k < runs; k++) {
    rpi_plan_run r = {
        .at = at, .bytes = 4 * (1 + below(3)), .count = 1 + (below(4) == 0) * below(4)};
    r.step = r.count > 1 ? r.bytes + 4 * below(3) : 0;
    at = r.at + (r.count - 1) * r.step + r.bytes + 4 * below(2);
    if (below(5) == 0) peer = (int32_t)below(PEERS);
    messages += n[peer] == 0;
    for (int64_t i = 0; i < r.count; i++)
      for (int64_t b = 0; b < r.bytes; b++) want[peer][n[peer]++] = r.at + i * r.step + b;
    assert_true(rpi_messages_add(e, 3, peer, false, &r));
  }
  assert_true(rpi_messages_close(e));
  assert_int_equal(e->n, messages);
  int64_t end = 0;
  for (int32_t i = 0; i < e->n; i++) {
    const rpi_plan_message *m = &e->list[i];
    assert_int_equal(m->bytes, n[m->peer]);
    assert_int_equal(spelled(e, m, got), n[m->peer]);
    assert_memory_equal(got, want[m->peer], (size_t)m->bytes * sizeof *got);
    assert_true(i == 0 || e->list[i - 1].peer < m->peer);
    const bool one_block = m->n_run == 1 && e->run[m->first_run].count == 1;
    assert_true(one_block == (m->stage < 0));
    if (one_block) continue;
    assert_true(m->stage >= end);
    end = m->stage + m->bytes;
    memset(e->stage + m->stage, 1, (size_t)m->bytes); /* is there */
  }
}

static void test_runs(void **unused) {
  rpi_plan_exchange e = {0};
  (void)unused;
  for (int32_t k = 0; k < 20000; k++) one_exchange(&e);
  rpi_messages_deinit(&e);
}

/* The columns of a matrix are one run, elements beside each other one block. */
static void test_regular(void **unused) {
  rpi_plan_exchange e = {0};
  (void)unused;
  for (int64_t i = 0; i < 100; i++)
    assert_true(
        rpi_messages_add(&e, 0, 1, true, &(rpi_plan_run){.at = i * 800, .bytes = 24, .count = 1}));
  for (int64_t i = 0; i < 100; i++)
    assert_true(
        rpi_messages_add(&e, 0, 2, true, &(rpi_plan_run){.at = i * 8, .bytes = 8, .count = 1}));
  assert_int_equal(e.n, 2);
  assert_int_equal(e.n_run, 2);
  assert_int_equal(e.run[0].count, 100);
  assert_int_equal(e.run[0].step, 800);
  assert_int_equal(e.run[1].bytes, 800);
  rpi_messages_deinit(&e);
}

static void test_memory(void **unused) {
  (void)unused;
  for (int64_t fail = 1; fail < 4; fail++) {
    rpi_plan_exchange e = {0};
    rpi_alloc_inject(fail);
    bool ok = rpi_messages_add(&e, 0, 1, true, &(rpi_plan_run){.bytes = 8, .count = 2, .step = 16});
    ok = ok && rpi_messages_close(&e);
    rpi_alloc_inject(-1);
    assert_false(ok);
    rpi_messages_deinit(&e);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_runs), cmocka_unit_test(test_regular),
                                     cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
