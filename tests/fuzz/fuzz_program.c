/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_program.c -- fuzz target: bytes decide a program, which computes the same in two ways.
 *
 * Lives here: the choice of the way by the first byte, and the comparison.
 * Not here:   programs (tests/equal/program.h). Only the interpreter runs: a compiler is too slow here. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/equal/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COMMON " --tier 0 --cache_dir none --pin off --spin 100 --log quiet"

static const char *const ways[] = {"--threads 1" COMMON, "--threads 2 --grain 0" COMMON,
                                   "--threads 1 --max_tasks 3 --window 3" COMMON,
                                   "--threads 1 --rename off" COMMON,
                                   "--threads 1 --late off" COMMON};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static program p;
  transcript a, b;
  char why[700];
  if (size < 2) return 0;
  const run_options base = {
      .config = "--threads 1 --fusion off --tracing off --rename off --late off" COMMON,
      .stepwise = true};
  const run_options other = {.config = ways[data[0] % (sizeof ways / sizeof *ways)]};
  program_make(&p, 0, data + 1, size - 1, PROGRAM_ALL);
  program_run(&p, &base, &a);
  program_run(&p, &other, &b);
  if (a.fault[0] || !transcript_equal(&p, &a, &b, why, sizeof why)) {
    fprintf(stderr, "%s: %s\n", other.config, a.fault[0] ? a.fault : why);
    program_print(&p);
    abort();
  }
  transcript_free(&a);
  transcript_free(&b);
  return 0;
}
