/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_query.c -- the geometric questions of an analysis: answers against element sets, and
 * guards that hold exactly where all answers come out the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "trace/query.h"

enum { SIZE = 12, N_ACCESS = 6 };

/* Progressions of one buffer of SIZE elements: offset, stride, count. */
typedef struct progression {
  int64_t offset, stride, count;
} progression;

static rpi_view view;
static rpi_access access[N_ACCESS];
static rpi_task task[2];

static rpi_tasks tasks_of(const progression *p) {
  view = (rpi_view){.dtype = RP_F64, .bdim = 1, .bshape = {SIZE}, .bsize = SIZE, .covers = true};
  for (int i = 0; i < N_ACCESS; i++) {
    access[i] = (rpi_access){
        .task = i / 3,
        .mode = RPI_ACCESS_WRITE,
        .view = &view,
        .geom = {.ndim = 1, .shape = {p[i].count}, .stride = {p[i].stride}, .offset = p[i].offset}};
  }
  for (int t = 0; t < 2; t++)
    task[t] =
        (rpi_task){.first_access = 3 * t, .n_access = 3, .rank = 1, .extent = {p[3 * t].count}};
  return (rpi_tasks){
      .task = task, .n_task = 2, .access = access, .n_access = N_ACCESS, .n_slot = 1};
}

static uint32_t set_of(const progression *p) {
  uint32_t s = 0;
  for (int64_t i = 0; i < p->count; i++) s |= 1u << (p->offset + i * p->stride);
  return s;
}

static const progression some[N_ACCESS] = {{0, 2, 6},  {1, 2, 6},    {2, 2, 3},
                                           {0, 1, 12}, {11, -1, 12}, {5, 1, 4}};

static void test_answers(void **state) {
  (void)state;
  rpi_tasks ts = tasks_of(some);
  rpi_queries q;
  rpi_query_init(&q, &ts);
  for (int twice = 0; twice < 2; twice++) /* from the memo the second time */
    for (int a = 0; a < N_ACCESS; a++) {
      for (int b = 0; b < N_ACCESS; b++) {
        const uint32_t x = set_of(&some[a]), y = set_of(&some[b]);
        const int32_t r = rpi_query_relate(&q, a, b);
        assert_int_equal((r & RPI_REL_DISJOINT) != 0, (x & y) == 0);
        assert_int_equal((r & RPI_REL_COVERS) != 0, (x & y) == y);
        assert_int_equal((r & RPI_REL_EQUAL) != 0, a == b); /* the order counts */
        assert_false(r & RPI_REL_INEXACT);
      }
      assert_int_equal(rpi_query_overwrites(&q, a), some[a].count == SIZE);
      assert_int_equal(rpi_query_large(&q, a), 2 * some[a].count >= SIZE);
    }
  assert_false(rpi_query_same_space(&q, 0, 1));
  assert_true(rpi_query_same_space(&q, 1, 1));
  assert_true(rpi_query_small(&q, 0));
  const int32_t asked = q.n;
  rpi_query_relate(&q, 0, 1);
  assert_int_equal(q.n, asked);
  /* A table touches an unknown part: never equal, covers nothing. */
  access[3].table = true;
  assert_int_equal(rpi_query_hold(&q, &ts), false);
  access[3].table = false;
  assert_true(rpi_query_hold(&q, &ts));
  rpi_query_deinit(&q);
}

static void test_guards(void **state) {
  (void)state;
  rpi_tasks ts = tasks_of(some);
  rpi_queries q;
  rpi_query_init(&q, &ts);
  rpi_query_relate(&q, 0, 1); /* disjoint */
  rpi_query_relate(&q, 0, 2); /* covers */
  progression moved[N_ACCESS];
  for (int i = 0; i < N_ACCESS; i++) moved[i] = some[i];
  moved[2].count = 2;  /* still covered */
  moved[5].offset = 0; /* never asked about */
  ts = tasks_of(moved);
  assert_true(rpi_query_hold(&q, &ts));
  moved[1].offset = 0; /* no longer disjoint */
  ts = tasks_of(moved);
  assert_false(rpi_query_hold(&q, &ts));
  moved[1] = some[1];
  moved[2].offset = 1; /* no longer covered */
  ts = tasks_of(moved);
  assert_false(rpi_query_hold(&q, &ts));
  rpi_query_deinit(&q);
}

/* Tables and the stores of C functions touch an unknown part of their box: they are never the same points, and
 * tables cover nothing. What is one element for all points is uniform, but not for a C function. */
static void test_kinds(void **state) {
  (void)state;
  static const progression same[N_ACCESS] = {{3, 1, 4}, {3, 1, 4}, {5, 0, 4},
                                             {3, 1, 4}, {3, 1, 4}, {5, 1, 1}};
  rpi_tasks ts = tasks_of(same);
  access[3].table = true;
  access[4].operand = -1;
  rpi_queries q;
  rpi_query_init(&q, &ts);
  assert_int_equal(rpi_query_relate(&q, 0, 1), RPI_REL_EQUAL | RPI_REL_COVERS);
  assert_int_equal(rpi_query_relate(&q, 0, 3), RPI_REL_COVERS);
  assert_int_equal(rpi_query_relate(&q, 3, 0), 0);
  assert_int_equal(rpi_query_relate(&q, 3, 3), 0);
  assert_int_equal(rpi_query_relate(&q, 0, 4), RPI_REL_COVERS);
  assert_int_equal(rpi_query_relate(&q, 4, 4), RPI_REL_COVERS);
  assert_int_equal(rpi_query_relate(&q, 2, 0), RPI_REL_UNIFORM);
  assert_int_equal(rpi_query_relate(&q, 0, 2), RPI_REL_COVERS);
  rpi_query_deinit(&q);
  access[2].operand = -1;
  rpi_query_init(&q, &ts);
  assert_int_equal(rpi_query_relate(&q, 2, 0), 0);
  rpi_query_deinit(&q);
}

/* Two shapes of one buffer whose boxes may meet or not: said, and not guessed. */
static void test_inexact(void **state) {
  (void)state;
  rpi_tasks ts = tasks_of(some);
  access[0].geom = (rpi_geom){.ndim = 2, .shape = {7, 3}, .stride = {25, 1}};
  access[1].geom = (rpi_geom){.ndim = 2, .shape = {7, 3}, .stride = {36, 1}, .offset = 4};
  view.bshape[0] = view.bsize = 900;
  rpi_queries q;
  rpi_query_init(&q, &ts);
  assert_int_equal(rpi_query_relate(&q, 0, 1), RPI_REL_INEXACT);
  rpi_query_deinit(&q);
}

/* Spaces differ in rank and in each extent; a task is small by its bytes. */
static void test_tasks(void **state) {
  (void)state;
  rpi_tasks ts = tasks_of(some);
  for (int t = 0; t < 2; t++)
    task[t] = (rpi_task){.first_access = t, .n_access = 1, .rank = 2, .extent = {3, 4}};
  static const struct {
    int32_t rank;
    int64_t extent[2];
    bool same;
  } row[] = {{2, {3, 4}, true}, {2, {3, 5}, false}, {2, {2, 4}, false}, {1, {3, 4}, false}};
  for (int r = 0; r < 4; r++) {
    rpi_queries q;
    rpi_query_init(&q, &ts);
    task[1].rank = row[r].rank;
    memcpy(task[1].extent, row[r].extent, sizeof row[r].extent);
    assert_int_equal(rpi_query_same_space(&q, 0, 1), row[r].same);
    assert_int_equal(rpi_query_same_space(&q, 1, 0), row[r].same);
    rpi_query_deinit(&q);
  }
  access[0].geom.shape[0] = 4096;
  access[1].geom.shape[0] = 4097;
  rpi_queries q;
  rpi_query_init(&q, &ts);
  assert_true(rpi_query_small(&q, 0));
  assert_false(rpi_query_small(&q, 1));
  rpi_query_deinit(&q);
}

/* Thousands of questions: each is asked once, and no answer is another one's. */
static void test_memo(void **state) {
  (void)state;
  enum { MANY = 40 };
  static rpi_access many[MANY];
  rpi_tasks ts = tasks_of(some);
  for (int i = 0; i < MANY; i++) {
    many[i] = access[i % N_ACCESS];
    many[i].geom = (rpi_geom){.ndim = 1, .shape = {1 + i % SIZE}, .stride = {1}};
    many[i].geom.offset = i / SIZE < SIZE - i % SIZE ? i / SIZE : 0;
  }
  ts.access = many;
  ts.n_access = MANY;
  rpi_queries q;
  rpi_query_init(&q, &ts);
  int32_t asked = 0;
  for (int round = 0; round < 3; round++) {
    for (int a = 0; a < MANY; a++) {
      assert_int_equal(rpi_query_large(&q, a), 2 * many[a].geom.shape[0] >= SIZE);
      assert_int_equal(rpi_query_overwrites(&q, a), many[a].geom.shape[0] == SIZE);
      for (int b = 0; b < MANY; b++) {
        const int64_t lo = many[a].geom.offset, hi = lo + many[a].geom.shape[0];
        const int64_t from = many[b].geom.offset, to = from + many[b].geom.shape[0];
        const int32_t r = rpi_query_relate(&q, a, b);
        assert_int_equal((r & RPI_REL_COVERS) != 0, lo <= from && to <= hi);
        assert_int_equal((r & RPI_REL_DISJOINT) != 0, hi <= from || to <= lo);
      }
    }
    if (round == 0) asked = q.n;
    assert_int_equal(q.n, asked);
  }
  assert_int_equal(asked, MANY * (MANY + 2));
  assert_true(rpi_query_hold(&q, &ts));
  q.failed = true; /* memory ran out on the way: the list is not complete */
  assert_false(rpi_query_hold(&q, &ts));
  assert_false(rpi_query_large(&q, 0)); /* answers are right even so */
  rpi_query_deinit(&q);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_guards),
                                     cmocka_unit_test(test_kinds),   cmocka_unit_test(test_inexact),
                                     cmocka_unit_test(test_tasks),   cmocka_unit_test(test_memo)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
