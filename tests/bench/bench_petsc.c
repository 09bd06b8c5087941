/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/bench_petsc.c -- PETSc's CG, BiCGSTAB and vector operations on the same matrices, in one
 * process, for the rows beside ours. A module that petsc_rows.c opens, built only where PETSc is
 * installed.
 * How: a solve is cut every fifty iterations, so that a small system does not end early. */
#include <stdlib.h>
#include <string.h>

#include <petscksp.h>

#include "tests/bench/bench.h"

enum { CHUNK = 50 };

typedef struct petsc {
  bench_matrix host;
  PetscInt *ptr, *col;
  Mat a;
  Vec x, y;
  KSP ksp; /* NULL: the power method */
} petsc;

#define CHECK(call) \
  do { \
    if ((call) != 0) { \
      fprintf(stderr, "reprise-bench: PETSc: %s failed\n", #call); \
      exit(EXIT_FAILURE); \
    } \
  } while (0)

static void finish(void) { PetscFinalize(); }

static void start(void) {
  static bool started;
  if (started) return;
  started = true;
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
  CHECK(PetscInitializeNoArguments());
  atexit(finish);
}

static void run_solve(void *self, int64_t passes) {
  petsc *p = self;
  while (passes > 0) {
    const int64_t now = passes < CHUNK ? passes : CHUNK;
    CHECK(KSPSetTolerances(p->ksp, 1e-200, 1e-200, 1e200, (PetscInt)now));
    CHECK(KSPSolve(p->ksp, p->y, p->x));
    passes -= now;
  }
}

static void run_power(void *self, int64_t passes) {
  petsc *p = self;
  for (int64_t i = 0; i < passes; i++) {
    PetscScalar xx, xy;
    PetscReal norm;
    CHECK(MatMult(p->a, p->x, p->y));
    CHECK(VecDot(p->x, p->x, &xx));
    CHECK(VecDot(p->x, p->y, &xy));
    CHECK(VecNorm(p->y, NORM_2, &norm));
    CHECK(VecAXPBY(p->x, 1 / norm, 0, p->y));
  }
}

static void free_petsc(void *self) {
  petsc *p = self;
  if (p->ksp) KSPDestroy(&p->ksp);
  VecDestroy(&p->x);
  VecDestroy(&p->y);
  MatDestroy(&p->a);
  free(p->ptr);
  free(p->col);
  bench_matrix_free(&p->host);
  free(p);
}

static PetscInt *narrow(const int64_t *from, int64_t n) {
  PetscInt *to = bench_need((size_t)n * sizeof *to);
  for (int64_t i = 0; i < n; i++) to[i] = (PetscInt)from[i];
  return to;
}

bool bench_petsc_open(const char *name, int64_t size, bench_prog *out) {
  const bool power = strncmp(name, "power", 5) == 0, cg = strncmp(name, "cg", 2) == 0;
  if (!power && !cg && strncmp(name, "bicgstab", 8) != 0) return false;
  start();
  petsc *p = bench_need(sizeof *p);
  memset(p, 0, sizeof *p);
  p->host = power ? bench_matrix_random(size) : bench_matrix_poisson(size);
  const PetscInt n = (PetscInt)p->host.n;
  p->ptr = narrow(p->host.ptr, p->host.n + 1);
  p->col = narrow(p->host.col, p->host.nnz);
  CHECK(MatCreateSeqAIJWithArrays(PETSC_COMM_SELF, n, n, p->ptr, p->col, p->host.val, &p->a));
  CHECK(MatCreateVecs(p->a, &p->x, &p->y));
  CHECK(VecSet(p->x, 1));
  CHECK(VecSet(p->y, 1));
  if (!power) {
    PC none;
    CHECK(KSPCreate(PETSC_COMM_SELF, &p->ksp));
    CHECK(KSPSetType(p->ksp, cg ? KSPCG : KSPBCGS));
    CHECK(KSPSetOperators(p->ksp, p->a, p->a));
    CHECK(KSPGetPC(p->ksp, &none));
    CHECK(PCSetType(none, PCNONE));
  }
  *out = (bench_prog){
      .self = p, .run = power ? run_power : run_solve, .free = free_petsc, .n_result = n};
  return true;
}
