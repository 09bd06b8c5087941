/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/bench_petsc_none.c -- in place of bench_petsc.c where PETSc is not installed. */
#include <stdio.h>

#include "tests/bench/bench.h"

bool bench_petsc(const char *name, int64_t size, bench_prog *out) {
  static bool said;
  (void)name;
  (void)size;
  *out = (bench_prog){.self = NULL};
  if (!said) fprintf(stderr, "reprise-bench: built without PETSc: its rows are skipped\n");
  said = true;
  return false;
}
