/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/test_programs.c -- random programs compute the same bits in every way.
 *
 * Lives here: the command line, and what must hold over many programs.
 * Not here:   programs (program.h), ways (ways.h), failures (campaign.h).
 * Use:        test_programs A B [options]        seeds A..B-1; ctest runs 2000 in shards
 *               --only TEXT    configurations whose text contains TEXT
 *               --way N        one way only
 *               --without N    features of program.h to leave out (a sum of bits)
 *               --batch N      seeds per process; 1: each in contexts of its own
 *               --ranks        the ways among ranks
 *               --cache DIR    of these the last: with tiers, and a folder of kernels for each rank in DIR
 *               --gpu LIBRARY  the ways on a GPU, with the kernels in --cache; card: that of the machine
 *               --several      of these, those on several in one process
 *               --keep         go on after a failure
 *               --print        print each program
 *               --long N       in stretches of N, with a line for each
 *               --part K P     of these the ones with number K, K + P, ... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/equal/campaign.h"

enum { BATCH = 64 };

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int64_t run(const campaign *c, tally *t) {
  const double start = seconds();
  const int64_t bad = campaign_run(c, t);
  printf("seeds %llu..%llu: %lld failed, %.1f s\n", (unsigned long long)c->from,
         (unsigned long long)c->to - 1, (long long)bad, seconds() - start);
  fflush(stdout);
  return bad;
}

/* The lines say which stretches are done, and so where to go on. */
static int64_t run_long(const campaign *all, uint64_t stretch, uint64_t part, uint64_t parts,
                        tally *t) {
  int64_t bad = 0;
  campaign c = *all;
  for (c.from += part * stretch; c.from < all->to && (bad == 0 || c.keep);
       c.from += parts * stretch) {
    c.to = all->to - c.from < stretch ? all->to : c.from + stretch;
    bad += run(&c, t);
  }
  return bad;
}

int main(int argc, char **argv) {
  static tally t;
  uint64_t stretch = 0, part = 0, parts = 1;
  if (argc < 3) {
    fprintf(stderr,
            "usage: test_programs FIRST_SEED END_SEED [options]: see the head of its source\n");
    return EXIT_FAILURE;
  }
  campaign c = {.from = strtoull(argv[1], NULL, 10),
                .to = strtoull(argv[2], NULL, 10),
                .features = PROGRAM_ALL,
                .choice = {.one = -1},
                .batch = BATCH};
  for (int i = 3; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--keep") == 0) c.keep = true;
    if (strcmp(argv[i], "--ranks") == 0) c.choice.ranks = true;
    if (strcmp(argv[i], "--several") == 0) c.choice.several = true;
    if (strcmp(argv[i], "--print") == 0) c.print = true;
    if (strcmp(argv[i], "--only") == 0) c.choice.only = value;
    if (strcmp(argv[i], "--gpu") == 0) c.choice.gpu = value;
    if (strcmp(argv[i], "--cache") == 0) c.choice.cache = value;
    if (strcmp(argv[i], "--way") == 0) c.choice.one = atoi(value);
    if (strcmp(argv[i], "--batch") == 0) c.batch = atoi(value);
    if (strcmp(argv[i], "--without") == 0) c.features &= ~(uint32_t)atoi(value);
    if (strcmp(argv[i], "--long") == 0) stretch = strtoull(value, NULL, 10);
    if (strcmp(argv[i], "--part") == 0 && i + 2 < argc) {
      part = strtoull(value, NULL, 10);
      parts = strtoull(argv[i + 2], NULL, 10);
    }
  }
  if (c.batch < 1) c.batch = 1;
  const int64_t bad = stretch > 0 ? run_long(&c, stretch, part, parts, &t) : run(&c, &t);
  tally_print(&t);
  return bad == 0 && tally_good(&t, c.choice.ranks || c.choice.several ? TALLY_RANKS
                                    : c.features & PROGRAM_LARGE       ? TALLY_LARGE
                                                                       : TALLY_SMALL)
             ? EXIT_SUCCESS
             : EXIT_FAILURE;
}
