/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_consensus.c -- rp_store_release_any with several ranks, which are threads here: finalizers run
 * in another order and at other times on each, memory comes back all the same, and plans stay equal. */
#include "tests/support/members.h"

#include <stdatomic.h>
#include <unistd.h>

enum { PASSES = 600, EACH = 5, LAG = 40, N = 3000 };

/* What waits for this rank's finalizers, which come to it when they like. */
typedef struct finalizers {
  rp_store *held[PASSES * EACH];
  int32_t n;
  uint64_t random;
} finalizers;

static uint32_t next_of(finalizers *f, uint32_t n) {
  f->random = f->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(f->random >> 33) % n;
}

/* Some of what is held, in any order; never less than is `few`. */
static rp_status finalize(finalizers *f, int32_t few) {
  while (f->n > few && next_of(f, 4) != 0) {
    const int32_t i = (int32_t)next_of(f, (uint32_t)f->n);
    rp_store *s = f->held[i];
    f->held[i] = f->held[--f->n];
    TRY(rp_store_release_any(s));
  }
  return RP_OK;
}

static rp_status keep(finalizers *f, rp_store *s) {
  f->held[f->n++] = s;
  return RP_OK;
}

/* A loop that makes temporaries, whose last handles only finalizers give back. */
static rp_status collected(member *m, finalizers *f, bool released) {
  const int64_t n = N;
  rp_store *x, *sum;
  double value;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &sum));
  for (int32_t i = 0; i < PASSES; i++) {
    rp_store *t, *half;
    TRY(rp_trace_begin(m->ctx, 1));
    TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &t));
    TRY(EVAL(m->ctx, "t, x", "t = x + 1", t, x));
    TRY(rp_store_slice(t, 0, 0, n, 2, &half));
    TRY(EVAL(m->ctx, "h", "h = 0.5*h", half));
    TRY(EVAL(m->ctx, "x, t", "x = 0.5*(x + t)", x, t));
    TRY(rp_trace_end(m->ctx, 1));
    TRY(keep(f, t));
    TRY(keep(f, half));
    if (released) TRY(finalize(f, (int32_t)next_of(f, LAG)));
    if (m->rank == (int32_t)next_of(f, 7)) usleep(50);
    if (i % 50 == 49) TRY(EVAL(m->ctx, "s, x", "s = sum(i) x[i]", sum, x));
    if (i == PASSES - 1) TRY(rp_stat(m->ctx, "memory_live", &m->stat[0]));
  }
  TRY(rp_store_read(sum, &value, sizeof value));
  TRY(rp_store_read(x, m->out, N * sizeof(double)));
  TRY(rp_stat(m->ctx, "memory_peak", &m->stat[1]));
  TRY(rp_stat(m->ctx, "agreed", &m->stat[2]));
  TRY(rp_stat(m->ctx, "agreements", &m->stat[3]));
  TRY(rp_stat(m->ctx, "plans", &m->stat[4]));
  TRY(rp_stat(m->ctx, "templates", &m->stat[5]));
  TRY(rp_store_release(x));
  return rp_store_release(sum);
}

static rp_status shuffled(member *m) {
  finalizers *f = calloc(1, sizeof *f);
  if (!f) return RP_ERR_MEMORY;
  f->random = (uint64_t)m->rank * 77 + 5;
  const rp_status st = collected(m, f, true);
  while (f->n > 0) rp_store_release_any(f->held[--f->n]);
  free(f);
  return st;
}

/* One process gives the bits; and ranks, however many, hold a bounded number of arrays. */
static void test_shuffled(void **state) {
  (void)state;
  static const int32_t ranks[] = {2, 3, 4, 7};
  member alone, all[MOST];
  run(&alone, 1, "--threads 1", shuffled, N);
  all_fine(&alone, 1);
  assert_int_equal(alone.stat[3], 0);
  for (int32_t k = 0; k < 4; k++) {
    run(all, ranks[k], "--threads 1 --tile 0 --consensus 20", shuffled, N);
    all_fine(all, ranks[k]);
    for (int32_t r = 0; r < ranks[k]; r++) {
      assert_memory_equal(all[r].out, alone.out, N * sizeof(double));
      assert_true(all[r].stat[2] > 2 * PASSES - 300); /* all but the last ones of 2 for each pass */
      assert_true(all[r].stat[1] < 200 * N * 8);      /* bytes; PASSES arrays were made */
      for (int32_t i = 2; i < 6; i++) assert_int_equal(all[r].stat[i], all[0].stat[i]);
    }
    forget(all, ranks[k]);
  }
  forget(&alone, 1);
}

/* Who never releases so is not asked: not one comparison while the number of arrays stays. */
static rp_status ordered(member *m) {
  const int64_t n = N;
  rp_store *x;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  for (int32_t i = 0; i < PASSES; i++) {
    rp_store *t;
    TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &t));
    TRY(EVAL(m->ctx, "t, x", "t = x + 1", t, x));
    TRY(EVAL(m->ctx, "x, t", "x = 0.5*(x + t)", x, t));
    TRY(rp_wait(m->ctx));
    TRY(rp_store_release(t));
  }
  TRY(rp_stat(m->ctx, "agreements", &m->stat[0]));
  return rp_store_release(x);
}

static void test_ordered(void **state) {
  (void)state;
  member all[MOST];
  run(all, 3, "--threads 1 --tile 0 --consensus 5", ordered, 1);
  all_fine(all, 3);
  for (int32_t r = 0; r < 3; r++) assert_int_equal(all[r].stat[0], 0);
  forget(all, 3);
}

/* A store that one rank never releases stays, and so does one whose handle the program still has; the others go. */
static rp_status one_keeps(member *m) {
  enum { MANY = 50 };
  const int64_t n = 8;
  rp_store *s[MANY], *x;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  for (int32_t i = 0; i < MANY; i++) {
    TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &s[i]));
    TRY(EVAL(m->ctx, "s", "s = 3", s[i]));
    if (i == 7) TRY(rp_store_retain(s[i]));
    if (i != 5 || m->rank != 1) TRY(rp_store_release_any(s[i]));
  }
  for (int32_t i = 0; i < 60; i++) {
    TRY(EVAL(m->ctx, "x", "x = x + 1", x));
    TRY(rp_wait(m->ctx));
  }
  TRY(rp_stat(m->ctx, "agreed", &m->stat[0]));
  TRY(rp_store_read(s[7], m->out, sizeof(double) * 8));
  TRY(rp_store_release(s[7]));
  if (m->rank == 1) TRY(rp_store_release_any(s[5]));
  return rp_store_release(x);
}

static void test_one_keeps(void **state) {
  (void)state;
  member all[MOST];
  run(all, 3, "--threads 1 --tile 0 --consensus 10", one_keeps, 8);
  all_fine(all, 3);
  for (int32_t r = 0; r < 3; r++) {
    assert_int_equal(all[r].stat[0], 49);
    assert_true(all[r].out[0] == 3);
  }
  forget(all, 3);
}

/* Lent memory that finalizers give back: it holds the values from then on. */
static rp_status lent(member *m) {
  const int64_t n = 100;
  rp_store *a, *x;
  double zeros[40][100] = {{0}};
  for (int32_t i = 0; i < n; i++) m->out[i] = i;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  for (int32_t i = 0; i < 40; i++) {
    double *own = i == 0 ? m->out : zeros[i];
    TRY(rp_store_attach(m->ctx, RP_F64, 1, &n, own, RP_READ_WRITE, &a));
    TRY(EVAL(m->ctx, "x, a", "x = x + a", x, a));
    TRY(rp_store_release_any(a));
    TRY(rp_wait(m->ctx));
  }
  TRY(rp_stat(m->ctx, "agreed", &m->stat[0]));
  memset(m->out, 0, (size_t)n * sizeof(double)); /* given back long ago */
  TRY(rp_store_read(x, m->out, (size_t)n * sizeof(double)));
  TRY(rp_store_release(x));
  const rp_status st = rp_context_destroy(m->ctx); /* while what is lent is there */
  m->ctx = NULL;
  return st;
}

static void test_lent(void **state) {
  (void)state;
  member all[MOST];
  run(all, 2, "--threads 1 --tile 0 --consensus 3", lent, 100);
  all_fine(all, 2);
  for (int32_t r = 0; r < 2; r++) {
    assert_true(all[r].stat[0] > 20);
    for (int32_t i = 0; i < 100; i++) assert_true(all[r].out[i] == i);
  }
  forget(all, 2);
}

/* Finalizers on threads of their own, while the ranks run. */
typedef struct helper {
  _Atomic(rp_store *) box;
  atomic_bool ends;
} helper;

static void *help(void *arg) {
  helper *h = arg;
  for (;;) {
    const bool last = atomic_load(&h->ends);
    rp_store *s = atomic_exchange(&h->box, NULL);
    if (s) rp_store_release_any(s);
    if (!s && last) return NULL;
    if (!s) usleep(20);
  }
}

static rp_status helped(member *m) {
  const int64_t n = N;
  helper h = {NULL, false};
  pthread_t thread;
  rp_store *x, *t;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  if (pthread_create(&thread, NULL, help, &h) != 0) return RP_ERR_INTERNAL;
  rp_status st = RP_OK;
  for (int32_t i = 0; i < PASSES && st == RP_OK; i++) {
    st = rp_store_create(m->ctx, RP_F64, 1, &n, &t);
    if (st == RP_OK) st = EVAL(m->ctx, "t, x", "t = x + 1", t, x);
    if (st == RP_OK) st = EVAL(m->ctx, "x, t", "x = 0.5*(x + t)", x, t);
    if (st == RP_OK) st = rp_wait(m->ctx);
    rp_store *before = atomic_exchange(&h.box, t);
    if (before) rp_store_release_any(before);
  }
  atomic_store(&h.ends, true);
  pthread_join(thread, NULL);
  TRY(st);
  TRY(rp_store_read(x, m->out, N * sizeof(double)));
  TRY(rp_stat(m->ctx, "agreed", &m->stat[0]));
  return rp_store_release(x);
}

static void test_helped(void **state) {
  (void)state;
  member alone, all[MOST];
  run(&alone, 1, "--threads 1", helped, N);
  all_fine(&alone, 1);
  run(all, 4, "--threads 1 --tile 0 --consensus 8", helped, N);
  all_fine(all, 4);
  for (int32_t r = 0; r < 4; r++) {
    assert_memory_equal(all[r].out, alone.out, N * sizeof(double));
    assert_true(all[r].stat[0] > PASSES / 2);
    assert_int_equal(all[r].stat[0], all[0].stat[0]);
  }
  forget(all, 4);
  forget(&alone, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shuffled), cmocka_unit_test(test_ordered),
      cmocka_unit_test(test_one_keeps), cmocka_unit_test(test_lent), cmocka_unit_test(test_helped)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
