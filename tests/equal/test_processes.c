/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/test_processes.c -- random programs compute the same bits on ranks that are processes.
 *
 * Lives here: one rank of the job; tests/ranks/run_programs.py starts it.
 * Not here:   programs (program.h), ways (ways.h); shrinking what fails: test_programs --ranks does that.
 * Use:        test_processes A B          seeds A..B-1, by mpirun or alone
 * How:        every rank runs each seed task by task in a context that knows of no other rank, then in contexts
 *             shared with the others, and compares what it observed. The first difference ends it. No child is
 *             forked: to the launcher a process is a rank once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/equal/ways.h"

enum { KEPT = 50 /* seeds until contexts are made anew */ };

/* What all seeds together must have done. */
static const char *const counted[] = {"kernels_shared", "messages", "gathers", "joint_reductions"};
enum { N_COUNTED = sizeof counted / sizeof *counted };

static void count(const way_finding *f, int64_t sum[N_COUNTED]) {
  for (int32_t i = 0; i < N_STAT; i++)
    for (int32_t k = 0; k < N_COUNTED; k++)
      if (strcmp(program_stats[i], counted[k]) == 0) sum[k] += f->fused[i];
}

static const char *rank_name(void) {
  const char *name = getenv("PMIX_RANK");
  return name ? name : "alone";
}

int main(int argc, char **argv) {
  static program p;
  static way_contexts contexts;
  static way_finding f;
  const way_choice choice = {.one = -1, .processes = true};
  int64_t sum[N_COUNTED] = {0};
  if (argc != 3) {
    fprintf(stderr, "usage: test_processes FIRST_SEED END_SEED\n");
    return EXIT_FAILURE;
  }
  const uint64_t from = strtoull(argv[1], NULL, 10), to = strtoull(argv[2], NULL, 10);
  for (uint64_t s = from; s < to; s++) {
    if (s > from && (s - from) % KEPT == 0) way_contexts_free(&contexts);
    program_make(&p, s, NULL, 0, PROGRAM_ALL);
    way_examine(&p, s, &choice, &contexts, &f);
    if (f.why[0]) {
      way w;
      way_choose(s, f.way, &choice, &w);
      fprintf(stderr, "rank %s: seed %llu, way %d: %s\n  %s\n", rank_name(), (unsigned long long)s,
              f.way, w.config, f.why);
      return EXIT_FAILURE;
    }
    count(&f, sum);
  }
  way_contexts_free(&contexts);
  printf("rank %s: seeds %llu..%llu", rank_name(), (unsigned long long)from,
         (unsigned long long)to - 1);
  for (int32_t k = 0; k < N_COUNTED; k++) printf(", %s %lld", counted[k], (long long)sum[k]);
  printf("\n");
  return EXIT_SUCCESS;
}
