/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/test_compiled.c -- random programs compute the same bits with compiled kernels.
 *
 * Lives here: how thousands of kernels are compiled in little time, and when.
 * Not here:   programs (program.h), ways (ways.h), failures (campaign.h); tier 0 (test_programs.c).
 * Use:        test_compiled A B FOLDER [--batch N] [--large]    seeds A..B-1
 * How:        the seeds of a batch run first in one context of a child process, where compiled code is
 *             taken whenever it is ready: so their kernels share the inbox of one compile thread,
 *             which hands many to each run of the compiler. Then each runs with tier 1: its kernels come
 *             from the disk. The folder of kernels is made anew in FOLDER and removed at the end, so that
 *             no run lives on what another version compiled. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/equal/campaign.h"

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void remove_folder(const char *path) {
  DIR *d = opendir(path);
  if (!d) return;
  for (struct dirent *e; (e = readdir(d));) {
    char name[4600];
    snprintf(name, sizeof name, "%s/%s", path, e->d_name);
    unlink(name);
  }
  closedir(d);
  rmdir(path);
}

/* One batch: collects and compiles, then loads. */
static int64_t run_batch(campaign c, uint64_t from, uint64_t to, tally *t) {
  const double start = seconds();
  c.from = from;
  c.to = to;
  c.choice.one = 1;
  c.batch = (int32_t)(to - from);
  int64_t bad = campaign_run(&c, NULL);
  const double built = seconds();
  c.choice.one = 0;
  c.batch = 32;
  if (bad == 0 || c.keep) bad += campaign_run(&c, t);
  printf("seeds %llu..%llu: %lld failed, %.1f s to compile, %.1f s to load and run\n",
         (unsigned long long)from, (unsigned long long)to - 1, (long long)bad, built - start,
         seconds() - built);
  fflush(stdout);
  return bad;
}

int main(int argc, char **argv) {
  static tally t;
  char folder[4200];
  uint64_t batch = 250;
  if (argc < 4) {
    fprintf(stderr,
            "usage: test_compiled FIRST_SEED END_SEED FOLDER: see the head of its source\n");
    return EXIT_FAILURE;
  }
  snprintf(folder, sizeof folder, "%s/programs_XXXXXX", argv[3]);
  if (!mkdtemp(folder)) {
    perror(folder);
    return EXIT_FAILURE;
  }
  campaign c = {.features = PROGRAM_ALL & ~(uint32_t)PROGRAM_LARGE, .choice = {.cache = folder}};
  for (int i = 4; i < argc; i++) {
    if (strcmp(argv[i], "--keep") == 0) c.keep = true;
    if (strcmp(argv[i], "--large") == 0) c.features = PROGRAM_ALL;
    if (strcmp(argv[i], "--batch") == 0 && i + 1 < argc) batch = strtoull(argv[i + 1], NULL, 10);
  }
  int64_t bad = 0;
  const uint64_t end = strtoull(argv[2], NULL, 10);
  for (uint64_t s = strtoull(argv[1], NULL, 10); s < end && (bad == 0 || c.keep); s += batch)
    bad += run_batch(c, s, end - s < batch ? end : s + batch, &t);
  remove_folder(folder);
  tally_print(&t);
  return bad == 0 && tally_good(&t, c.choice.ranks               ? TALLY_RANKS
                                    : c.features & PROGRAM_LARGE ? TALLY_LARGE
                                                                 : TALLY_SMALL)
             ? EXIT_SUCCESS
             : EXIT_FAILURE;
}
