/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_run.c -- core/exec/run.c: every unit of a launch runs once, on one code, and a thread
 * that is held up is helped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <time.h>

#include "core/exec/run.h"

enum { UNITS = 1000, KERNELS = 20 };

typedef struct seen {
  _Atomic int32_t times[KERNELS][UNITS];
  _Atomic int64_t by_caller;
  void *caller; /* its scratch */
  bool slow;    /* the others take a millisecond for a unit */
  rpi_kernel kernel[KERNELS];
  rpi_kernel_code code[2];
  _Atomic bool other_code_ran;
} seen;

static void count(seen *s, const rpi_word *w, int64_t u0, int64_t u1, void *scratch) {
  for (int64_t u = u0; u < u1; u++) {
    atomic_fetch_add(&s->times[w[0].i][u], 1);
    if (scratch == s->caller)
      atomic_fetch_add(&s->by_caller, 1);
    else if (s->slow)
      nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
}

/* The first code publishes another one for all kernels as soon as it runs. */
static void first_body(const void *who, const rpi_word *w, int64_t u0, int64_t u1, void *scratch) {
  seen *s = (seen *)(uintptr_t)who;
  for (int32_t k = 0; k < KERNELS; k++) atomic_store(&s->kernel[k].code, &s->code[1]);
  count(s, w, u0, u1, scratch);
}

static void other_body(const void *who, const rpi_word *w, int64_t u0, int64_t u1, void *scratch) {
  seen *s = (seen *)(uintptr_t)who;
  atomic_store(&s->other_code_ran, true);
  count(s, w, u0, u1, scratch);
}

/* KERNELS kernels of `units` units side by side. */
static void launch(seen *s, rpi_workers *workers, int32_t threads, int64_t units, int64_t piece) {
  rpi_word words[KERNELS];
  rpi_sub sub[KERNELS];
  for (int32_t k = 0; k < KERNELS; k++) {
    s->kernel[k] = (rpi_kernel){.n_words = 1, .name = "count"};
    atomic_store(&s->kernel[k].code, &s->code[0]);
    words[k].i = k;
    sub[k] = (rpi_sub){.kernel = &s->kernel[k], .word = k, .units = units};
  }
  s->code[0] = (rpi_kernel_code){.body = first_body, .self = s};
  s->code[1] = (rpi_kernel_code){.body = other_body, .self = s, .tier = 1};
  rpi_step step = {.kind = RPI_STEP_LAUNCH,
                   .n_sub = KERNELS,
                   .threads = threads,
                   .units = units * KERNELS,
                   .piece = piece};
  rpi_plan plan = {.words = words, .step = &step, .sub = sub, .n_step = 1, .n_sub = KERNELS};
  s->caller = rpi_workers_scratch(workers);
  assert_int_equal(rpi_run_plan(&plan, 0, 1, &(rpi_run_host){.workers = workers}, NULL, NULL, NULL),
                   RP_OK);
  for (int32_t k = 0; k < KERNELS; k++) {
    for (int64_t u = 0; u < UNITS; u++) assert_int_equal(s->times[k][u], u < units);
  }
  assert_false(s->other_code_ran);
}

static seen *fresh(void) {
  seen *s = calloc(1, sizeof *s);
  assert_non_null(s);
  return s;
}

static void test_once(void **state) {
  static const int64_t sizes[] = {1, 2, 7, 100, UNITS};
  static const int64_t pieces[] = {0, 1, 3, 64, 100000};
  (void)state;
  for (int32_t threads = 1; threads < 8; threads++) {
    rpi_workers *w;
    assert_int_equal(rpi_workers_create(threads, false, 100, &w), RP_OK);
    for (int32_t i = 0; i < RPI_COUNT(sizes); i++) {
      for (int32_t p = 0; p < RPI_COUNT(pieces); p++) {
        seen *s = fresh();
        launch(s, w, threads, sizes[i], pieces[p]);
        free(s);
      }
    }
    rpi_workers_destroy(w);
  }
}

/* The caller, never held up, does nearly everything; with whole parts it would do its half. */
static void test_help(void **state) {
  (void)state;
  rpi_workers *w;
  assert_int_equal(rpi_workers_create(2, false, 100, &w), RP_OK);
  seen *s = fresh();
  s->slow = true;
  launch(s, w, 2, 100, 10);
  assert_true(s->by_caller > 100 * KERNELS * 6 / 10);
  free(s);
  rpi_workers_destroy(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_once), cmocka_unit_test(test_help)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
