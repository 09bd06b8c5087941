/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/petsc_rows.c -- opens bench_petsc.c's module when a row asks for it: its hundred libraries
 * would otherwise slow down the start of everything that is measured. */
#include <dlfcn.h>
#include <stdio.h>

#include "tests/bench/bench.h"

#ifndef BENCH_PETSC /* the module's path, where the build found PETSc */
#define BENCH_PETSC ""
#endif

bool bench_petsc_built(void) { return BENCH_PETSC[0] != '\0'; }

bool bench_petsc(const char *name, int64_t size, bench_prog *out) {
  static __typeof__(bench_petsc_open) *open;
  static bool tried;
  *out = (bench_prog){.self = NULL};
  if (!tried) {
    tried = true;
    void *module = bench_petsc_built() ? dlopen(BENCH_PETSC, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (module)
      *(void **)&open = dlsym(module, "bench_petsc_open");
    else
      fprintf(stderr, "reprise-bench: %s: PETSc's rows are skipped\n",
              bench_petsc_built() ? dlerror() : "built without PETSc");
  }
  return open && open(name, size, out);
}
