/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/bench_petsc.c -- PETSc's CG, BiCGSTAB and vector operations on the same matrices, in one
 * process or shared out among those that mpirun started, for the rows beside ours. A module that
 * petsc_rows.c opens, built only where PETSc is installed.
 * How: a solve is cut every fifty iterations, so that a small system does not end early. Among ranks each has as many
 *      rows as the others, and CG takes its norm from a dot product that it needs anyway (KSP_NORM_NATURAL). */
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
  PetscInt done;
  while (passes > 0) {
    const int64_t now = passes < CHUNK ? passes : CHUNK;
    CHECK(KSPSetTolerances(p->ksp, 1e-200, 1e-200, 1e200, (PetscInt)now));
    CHECK(KSPSolve(p->ksp, p->y, p->x));
    CHECK(KSPGetIterationNumber(p->ksp, &done));
    if (done != now) {
      fprintf(stderr, "reprise-bench: PETSc: %d iterations, not %d\n", (int)done, (int)now);
      exit(EXIT_FAILURE);
    }
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

static void run_dot(void *self, int64_t passes) {
  petsc *p = self;
  for (int64_t i = 0; i < passes; i++) {
    PetscScalar xy;
    CHECK(VecDot(p->x, p->y, &xy));
  }
}

static void free_petsc(void *self) {
  petsc *p = self;
  if (p->ksp) KSPDestroy(&p->ksp);
  VecDestroy(&p->x);
  VecDestroy(&p->y);
  if (p->a) MatDestroy(&p->a);
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

static petsc *make(bench_matrix host) {
  petsc *p = bench_need(sizeof *p);
  memset(p, 0, sizeof *p);
  p->host = host;
  return p;
}

/* The matrix, x and y; `all`: shared out among all ranks. */
static void make_matrix(petsc *p, bool all) {
  const int64_t *ptr = p->host.ptr;
  const PetscInt n = (PetscInt)p->host.n;
  int rank = 0, ranks = 1;
  if (all) {
    MPI_Comm_rank(PETSC_COMM_WORLD, &rank);
    MPI_Comm_size(PETSC_COMM_WORLD, &ranks);
  }
  const int64_t lo = p->host.n * rank / ranks, hi = p->host.n * (rank + 1) / ranks;
  const PetscInt rows = (PetscInt)(hi - lo);
  p->ptr = narrow(ptr + lo, rows + 1);
  for (PetscInt i = rows; i >= 0; i--) p->ptr[i] -= p->ptr[0];
  p->col = narrow(p->host.col + ptr[lo], ptr[hi] - ptr[lo]);
  double *val = p->host.val + ptr[lo];
  if (all)
    CHECK(
        MatCreateMPIAIJWithArrays(PETSC_COMM_WORLD, rows, rows, n, n, p->ptr, p->col, val, &p->a));
  else
    CHECK(MatCreateSeqAIJWithArrays(PETSC_COMM_SELF, n, n, p->ptr, p->col, val, &p->a));
  CHECK(MatCreateVecs(p->a, &p->x, &p->y));
}

static void make_solver(petsc *p, bool all, bool cg) {
  PC none;
  CHECK(KSPCreate(all ? PETSC_COMM_WORLD : PETSC_COMM_SELF, &p->ksp));
  CHECK(KSPSetType(p->ksp, cg ? KSPCG : KSPBCGS));
  if (all && cg) CHECK(KSPSetNormType(p->ksp, KSP_NORM_NATURAL));
  CHECK(KSPSetOperators(p->ksp, p->a, p->a));
  CHECK(KSPGetPC(p->ksp, &none));
  CHECK(PCSetType(none, PCNONE));
}

static bench_prog program(petsc *p, void (*run)(void *self, int64_t passes)) {
  CHECK(VecSet(p->x, 1));
  CHECK(VecSet(p->y, 1));
  return (bench_prog){.self = p, .run = run, .free = free_petsc, .n_result = p->host.n};
}

bool bench_petsc_open(const char *name, int64_t size, bench_prog *out) {
  const bool all = strncmp(name, "ranks_", 6) == 0;
  if (all) name += 6;
  const bool power = strncmp(name, "power", 5) == 0, cg = strncmp(name, "cg", 2) == 0;
  const bool dot = all && strcmp(name, "dot") == 0;
  if (!power && !cg && !dot && strncmp(name, "bicgstab", 8) != 0) return false;
  start();
  if (dot) {
    petsc *p = make((bench_matrix){.n = size});
    CHECK(VecCreateMPI(PETSC_COMM_WORLD, PETSC_DECIDE, (PetscInt)size, &p->x));
    CHECK(VecDuplicate(p->x, &p->y));
    *out = program(p, run_dot);
    return true;
  }
  petsc *p = make(power ? bench_matrix_random(size) : bench_matrix_poisson(size));
  make_matrix(p, all);
  if (!power) make_solver(p, all, cg);
  *out = program(p, power ? run_power : run_solve);
  return true;
}
