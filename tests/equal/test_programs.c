/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/test_programs.c -- random programs compute the same bits in every configuration.
 *
 * Lives here: the configurations, the comparison with the program run task by task, shrinking.
 * Not here:   programs (program.h), the evaluator of single launches (direct.h).
 * Use:        test_programs                      what ctest runs: fixed seeds
 *             test_programs A B [options]        seeds A..B-1
 *               --only TEXT    configurations whose text contains TEXT
 *               --tier1        with compiled kernels too
 *               --without N    features of program.h to leave out (a sum of bits)
 *               --keep         go on after a failure
 *               --print        print each program */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/equal/program.h"

#define COMMON " --pin off --spin 100 --log quiet"
#define ORACLE "--fusion off --tracing off --tier 0 --threads 1 --rename off --late off --cache_dir none" COMMON
#define TIER_0 "--tier 0 --cache_dir none" COMMON

typedef struct way {
  const char *config;
  bool compiles;
} way;

static const way ways[] = {
    {TIER_0 " --threads 1", false},
    {TIER_0 " --threads 2 --grain 0", false},
    {TIER_0 " --threads 3 --grain 0", false},
    {TIER_0 " --threads 1 --fusion off", false},
    {TIER_0 " --threads 1 --tracing off", false},
    {TIER_0 " --threads 1 --rename off", false},
    {TIER_0 " --threads 1 --late off", false},
    {TIER_0 " --threads 2 --horizontal off", false},
    {TIER_0 " --threads 1 --max_tasks 7 --window 5", false},
    {TIER_0 " --threads 1 --max_tasks 1 --window 1", false},
    {"--tier auto --threads 2" COMMON, true},
    {"--tier 1 --threads 1" COMMON, true},
    {"--tier 1 --threads 3 --grain 0" COMMON, true}, /* by now the kernels are on disk */
};
enum { N_WAYS = sizeof ways / sizeof *ways };

typedef struct choice {
  const char *only;
  bool tier1, keep, print;
  uint32_t features;
} choice;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What a child process found out, in memory shared with it. */
typedef struct finding {
  int32_t way; /* tried last; -1: task by task */
  int64_t checks;
  char why[700];
} finding;

static finding *found;

/* Runs the program task by task and in the ways from..to-1 that are chosen. */
static void examine(const program *p, const choice *c, int32_t from, int32_t to) {
  const run_options base = {.config = ORACLE, .stepwise = true};
  transcript a, b;
  found->way = -1;
  program_run(p, &base, &a);
  found->checks = a.direct_checks;
  if (a.fault[0]) snprintf(found->why, sizeof found->why, "task by task: %s", a.fault);
  for (int32_t i = from; i < to && !found->why[0]; i++) {
    if ((ways[i].compiles && !c->tier1) || (c->only && !strstr(ways[i].config, c->only))) continue;
    const run_options o = {.config = ways[i].config, .compiled = ways[i].compiles};
    found->way = i;
    program_run(p, &o, &b);
    transcript_equal(p, &a, &b, found->why, sizeof found->why);
    transcript_free(&b);
  }
  transcript_free(&a);
}

/* The same in a child, so that a crash is a finding like any other. True if all is well. */
static bool examine_apart(const program *p, const choice *c, int32_t from, int32_t to) {
  int status = 0;
  found->why[0] = '\0';
  found->checks = 0;
  fflush(NULL);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    alarm(60);
    examine(p, c, from, to);
    _exit(0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  if (status != 0 && !found->why[0])
    snprintf(found->why, sizeof found->why, "the process ended with %s %d", WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return found->why[0] == '\0';
}

/* Drops steps as long as the program still fails: ever smaller runs of steps, for at most 20 s. */
static void shrink(program *p, const choice *c, int32_t way_at) {
  const double until = seconds() + 20;
  program *q = malloc(sizeof *q);
  assert_non_null(q);
  for (bool again = true; again && seconds() < until;) {
    again = false;
    for (int32_t run = p->n_step / 2 > 0 ? p->n_step / 2 : 1; run > 0; run /= 2) {
      for (int32_t at = p->n_step - run; at >= 0 && seconds() < until; at -= run) {
        q->n_step = p->n_step - run;
        memcpy(q->step, p->step, sizeof *q->step * (size_t)at);
        memcpy(q->step + at, p->step + at + run, sizeof *q->step * (size_t)(q->n_step - at));
        if (examine_apart(q, c, way_at, way_at + 1)) continue;
        memcpy(p, q, sizeof *p);
        again = true;
        if (at > p->n_step) at = p->n_step;
      }
    }
  }
  free(q);
}

static void report(uint64_t seed, program *p, const choice *c) {
  const int32_t at = found->way;
  const way *w = &ways[at < 0 ? 0 : at];
  fprintf(stderr, "seed %llu, %s\n  %s\n", (unsigned long long)seed, at < 0 ? ORACLE : w->config, found->why);
  shrink(p, c, at < 0 ? 0 : at);
  examine_apart(p, c, at < 0 ? 0 : at, at + 1);
  fprintf(stderr, "shrunk to %d steps: %s\n", p->n_step, found->why);
  program_print(p);
  fflush(stderr);
  const pid_t child = fork();
  if (child == 0) {
    const run_options o = {.config = w->config, .compiled = w->compiles, .explain = true};
    transcript t;
    program_run(p, &o, &t);
    fprintf(stderr, "%s\n", t.explain ? t.explain : t.fault);
    _exit(0);
  }
  if (child > 0) waitpid(child, NULL, 0);
}

/* True if the program gives the same bits in all ways. */
static bool try_seed(uint64_t seed, const choice *c, int64_t *checks) {
  program *p = malloc(sizeof *p);
  assert_non_null(p);
  program_make(p, seed, NULL, 0, c->features);
  if (c->print) program_print(p);
  const bool good = examine_apart(p, c, 0, N_WAYS);
  *checks += found->checks;
  if (!good) report(seed, p, c);
  free(p);
  return good;
}

static int32_t try_seeds(uint64_t from, uint64_t to, const choice *c, double limit) {
  const double start = seconds();
  int64_t checks = 0;
  int32_t bad = 0;
  uint64_t s = from;
  for (; s < to && (bad == 0 || c->keep) && seconds() - start < limit; s++) bad += !try_seed(s, c, &checks);
  printf("seeds %llu..%llu: %d failed, %lld launches checked directly, %.1f s\n", (unsigned long long)from,
         (unsigned long long)s, bad, (long long)checks, seconds() - start);
  return bad;
}

/* ---- what ctest runs */

static void interpreted(void **state) {
  (void)state;
  const choice c = {.features = PROGRAM_ALL};
  assert_int_equal(try_seeds(1, 121, &c, 25), 0);
}

static void compiled(void **state) {
  (void)state;
  const choice c = {.features = PROGRAM_ALL, .tier1 = true, .only = "--tier "};
  assert_int_equal(try_seeds(1000, 1003, &c, 15), 0);
}

int main(int argc, char **argv) {
  found = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED) return EXIT_FAILURE;
  if (argc > 2) {
    choice c = {.features = PROGRAM_ALL};
    for (int i = 3; i < argc; i++) {
      if (strcmp(argv[i], "--tier1") == 0) c.tier1 = true;
      if (strcmp(argv[i], "--keep") == 0) c.keep = true;
      if (strcmp(argv[i], "--print") == 0) c.print = true;
      if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) c.only = argv[i + 1];
      if (strcmp(argv[i], "--without") == 0 && i + 1 < argc) c.features &= ~(uint32_t)atoi(argv[i + 1]);
    }
    return try_seeds(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10), &c, 1e9) != 0;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(interpreted), cmocka_unit_test(compiled)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
