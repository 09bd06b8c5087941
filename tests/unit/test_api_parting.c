/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_parting.c -- ranks whose programs part: the error names both ranks' call and where it is
 * made. Ranks are threads here; rank 1 of three is the one that goes its own way. */
#include "tests/support/members.h"

#include <unistd.h>

#include "core/include/reprise_array.h"
#include "tests/support/lines.h"

enum { N = 50000, RANKS = 3 };

/* Notes the line for assertions. */
static void here(member *m, int line) { m->line = line; }

typedef struct arrays {
  rp_store *x, *y, *s;
} arrays;

static rp_status make(member *m, arrays *a) {
  const int64_t n = N;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &a->x));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &a->y));
  return rp_store_create(m->ctx, RP_F64, 0, NULL, &a->s);
}

/* Releases all whatever happened, and keeps the sentence. */
static rp_status end(member *m, const arrays *a, rp_status st) {
  if (st != RP_OK) snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  rp_store_release(a->x);
  rp_store_release(a->y);
  rp_store_release(a->s);
  return st;
}

static bool odd(const member *m) { return m->rank == 1; }

/* Reads the sum of x, which takes messages. */
static rp_status sum(member *m, const arrays *a, rp_status st) {
  double sum;
  if (st == RP_OK) st = EVAL(m->ctx, "s, x", "s += x", a->s, a->x);
  if (st == RP_OK) st = rp_store_read(a->s, &sum, sizeof sum);
  return end(m, a, st);
}

/* ---- programs ---- */

static rp_status extra_launch(member *m) {
  arrays a;
  double value;
  TRY(make(m, &a));
  rp_status st = EVAL(m->ctx, "x", "x = x + 1", a.x);
  if (odd(m) && st == RP_OK) here(m, __LINE__), st = EVAL(m->ctx, "x", "x = 2*x", a.x);
  if (!odd(m)) here(m, __LINE__);
  if (st == RP_OK) st = EVAL(m->ctx, "s, x", "s += x", a.s, a.x); /* one line on */
  if (st == RP_OK) st = rp_store_read(a.s, &value, sizeof value);
  return end(m, &a, st);
}

static rp_status other_extent(member *m) {
  const int64_t n = odd(m) ? N - 1 : N;
  arrays a;
  here(m, __LINE__ + 1);
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &a.x));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &a.y));
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &a.s));
  return sum(m, &a, EVAL(m->ctx, "x", "x = x + 1", a.x));
}

static rp_status other_array(member *m) {
  arrays a;
  TRY(make(m, &a));
  rp_status st = EVAL(m->ctx, "x, y", "x = 1; y = 2", a.x, a.y);
  if (st == RP_OK) here(m, __LINE__), st = EVAL(m->ctx, "x", "x = x + 1", odd(m) ? a.y : a.x);
  return sum(m, &a, st);
}

static rp_status other_value(member *m) {
  const double value = odd(m) ? 2 : 1;
  arrays a;
  TRY(make(m, &a));
  here(m, __LINE__ + 1);
  TRY(rp_store_fill(a.x, &value));
  return sum(m, &a, RP_OK);
}

static rp_status other_read(member *m) {
  arrays a;
  double *all = calloc(N, sizeof *all);
  TRY(make(m, &a));
  rp_status st = EVAL(m->ctx, "x, y", "x = x + 1; y = y + 2", a.x, a.y);
  if (st == RP_OK) st = rp_wait(m->ctx);
  if (st == RP_OK) here(m, __LINE__), st = rp_store_read(odd(m) ? a.y : a.x, all, N * sizeof *all);
  free(all);
  return end(m, &a, st);
}

static rp_status early_end(member *m) {
  arrays a;
  TRY(make(m, &a));
  if (odd(m)) return end(m, &a, RP_OK);
  return sum(m, &a, EVAL(m->ctx, "x", "x = x + 1", a.x));
}

static rp_status library_call(member *m) {
  arrays a;
  rp_store *z = NULL;
  TRY(make(m, &a));
  rp_status st = odd(m) ? rp_array_add(a.x, a.y, &z) : rp_array_multiply(a.x, a.y, &z);
  st = sum(m, &a, st);
  rp_store_release(z);
  return st;
}

/* More calls than a rank remembers come between what differs and the next message. */
static rp_status long_ago(member *m) {
  arrays a;
  const int64_t few = 4;
  rp_store *small;
  TRY(make(m, &a));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &few, &small));
  rp_status st = EVAL(m->ctx, "x", odd(m) ? "x = 2*x" : "x = 3*x", small);
  for (int32_t i = 0; i < 900 && st == RP_OK; i++) st = EVAL(m->ctx, "x", "x = x + 1", small);
  st = sum(m, &a, st == RP_OK ? EVAL(m->ctx, "x", "x = x + 1", a.x) : st);
  rp_store_release(small);
  return st;
}

/* The last rank sends what the others need, waits for nothing, and is busy with other things when asked. */
static rp_status busy(member *m) {
  arrays a;
  rp_store *to, *from;
  const bool last = m->rank == m->ranks - 1;
  TRY(make(m, &a));
  TRY(rp_store_slice(a.y, 0, 0, N - 1, 1, &to));
  TRY(rp_store_slice(a.x, 0, 1, N, 1, &from));
  rp_status st = EVAL(m->ctx, "x, y", "x = x + 1; y = 0", a.x, a.y);
  if (last && st == RP_OK) st = EVAL(m->ctx, "y", "y = 2*y", a.y);
  if (st == RP_OK) st = EVAL(m->ctx, "y, x", "y = x", to, from);
  if (!last) usleep(500000); /* they look at its message when it sleeps */
  if (st == RP_OK) st = rp_wait(m->ctx);
  if (last) usleep(3000000); /* longer than they wait for an answer, on a slow machine, too */
  rp_store_release(to);
  rp_store_release(from);
  return sum(m, &a, st);
}

/* ---- tests ---- */

static void says(const member *m, const char *text) {
  if (m->status != RP_ERR_RANKS || !strstr(m->said, text))
    fail_msg("rank %d: status %d, \"%s\" lacks \"%s\"", m->rank, (int)m->status, m->said, text);
}

static void parts(member *all, rp_status (*program)(member *), const char *usual,
                  const char *unusual) {
  char text[200];
  run(all, RANKS, "--threads 1 --tile 0", program, 1);
  for (int32_t r = 0; r < RANKS; r++) {
    if (all[r].status == RP_OK && program == early_end) continue;
    says(&all[r], "rank 1 ");
    snprintf(text, sizeof text, " calls %s", usual);
    says(&all[r], text);
    snprintf(text, sizeof text, "rank 1 calls %s", unusual);
    says(&all[r], text);
  }
}

/* Both calls are made behind the lines that the two ranks have noted. */
static void at_lines(const member *all, int after) {
  char text[200];
  for (int32_t r = 0; r < RANKS && has_lines(); r++)
    for (int32_t k = 0; k < 2; k++) {
      snprintf(text, sizeof text, " at test_api_parting.c:%d (",
               all[k].line + (k == 0 ? after : 0));
      says(&all[r], text);
    }
}

static void test_extra_launch(void **state) {
  (void)state;
  member all[MOST];
  parts(all, extra_launch, "\"s += x\" on f64 (), f64 (50000,)", "\"x = 2*x\" on f64 (50000,)");
  at_lines(all, 1);
  says(&all[0], "after 1 launches");
  forget(all, RANKS);
}

static void test_other_extent(void **state) {
  (void)state;
  member all[MOST];
  parts(all, other_extent, "rp_store_create of array 1, f64 (50000,)",
        "rp_store_create of array 1, f64 (49999,)");
  at_lines(all, 0);
  forget(all, RANKS);
}

static void test_other_data(void **state) {
  (void)state;
  member all[MOST];
  parts(all, other_array, "\"x = x + 1\" on", "\"x = x + 1\" on");
  at_lines(all, 0);
  says(&all[0], "on other arrays or with other values");
  forget(all, RANKS);
  parts(all, other_value, "rp.fill_f64 on", "rp.fill_f64 on");
  at_lines(all, 0);
  says(&all[0], "on other arrays or with other values");
  forget(all, RANKS);
}

static void test_other_calls(void **state) {
  (void)state;
  member all[MOST];
  parts(all, other_read, "rp_store_read of array 1", "rp_store_read of array 2");
  at_lines(all, 0);
  forget(all, RANKS);
  parts(all, early_end, "\"x = x + 1\"", "rp_context_destroy");
  forget(all, RANKS);
  parts(all, library_call, "array.multiply", "array.add");
  forget(all, RANKS);
}

static void test_long_ago(void **state) {
  (void)state;
  member all[MOST];
  parts(all, long_ago, "\"x = x + 1\"", "\"x = x + 1\"");
  says(&all[0], "there or before");
  forget(all, RANKS);
}

static void test_busy(void **state) {
  (void)state;
  member all[MOST];
  run(all, RANKS, "--threads 1 --tile 0", busy, 1);
  for (int32_t r = 0; r < RANKS; r++) {
    says(&all[r], "rank 2 did not say in time what it has called; after ");
    says(&all[r], "rank 1 calls rp_wait at ");
  }
  forget(all, RANKS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_extra_launch), cmocka_unit_test(test_other_extent),
      cmocka_unit_test(test_other_data),   cmocka_unit_test(test_other_calls),
      cmocka_unit_test(test_long_ago),     cmocka_unit_test(test_busy)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
