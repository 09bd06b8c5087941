/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_depart.c -- the last calls of a process end in time, and it ends itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/comm/depart.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void soon(void *arg) { *(_Atomic int *)arg = 1; }

static void never(void *arg) {
  (void)arg;
  for (;;) pause();
}

static void test_last_calls(void **state) {
  static _Atomic int called;
  (void)state;
  rpi_depart_grace(2);
  assert_true(rpi_depart(soon, (void *)&called));
  assert_int_equal(called, 1);
  const double start = now();
  assert_false(rpi_depart(never, NULL));
  assert_true(now() - start >= 0.9); /* half of the grace */
}

/* Whoever goes on after it was told ends all the same, with the status of those that gave up. */
static void test_ends(void **state) {
  (void)state;
  rpi_depart_grace(2);
  const double start = now();
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    rpi_depart_say(1, 2, "the test says so");
    never(NULL);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == RPI_DEPART_STATUS);
  assert_true(now() - start >= 0.3);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_last_calls),
                                     cmocka_unit_test(test_ends)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
