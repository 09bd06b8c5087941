/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_query.c -- the geometric questions of an analysis: answers against element sets, and
 * guards that hold exactly where all answers come out the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

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
    access[i] = (rpi_access){.task = i / 3, .mode = RPI_ACCESS_WRITE, .view = &view,
                             .geom = {.ndim = 1, .shape = {p[i].count}, .stride = {p[i].stride},
                                      .offset = p[i].offset}};
  }
  for (int t = 0; t < 2; t++)
    task[t] = (rpi_task){.first_access = 3 * t, .n_access = 3, .rank = 1,
                         .extent = {p[3 * t].count}};
  return (rpi_tasks){.task = task, .n_task = 2, .access = access, .n_access = N_ACCESS, .n_slot = 1};
}

static uint32_t set_of(const progression *p) {
  uint32_t s = 0;
  for (int64_t i = 0; i < p->count; i++) s |= 1u << (p->offset + i * p->stride);
  return s;
}

static const progression some[N_ACCESS] = {{0, 2, 6}, {1, 2, 6},  {2, 2, 3},
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
  moved[2].count = 2; /* still covered */
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

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers),
                                     cmocka_unit_test(test_guards)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
