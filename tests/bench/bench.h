/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/bench.h -- what the measurements share: programs, pairs of them, rows, memory.
 *
 * A program is a loop with its data: ours (through the public interface) or a hand-written baseline.
 * Both sides of a row start from the same numbers, are compared after a few iterations, and are then
 * timed in turns. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reprise.h"
#include "reprise_do.h"

/* ---- programs ----------------------------------------------------------------------------------- */

typedef struct bench_prog {
  void *self;
  void (*reset)(void *self);               /* back to the start; NULL: runs are all alike */
  void (*run)(void *self, int64_t passes); /* more iterations */
  void (*result)(void *self, double *out); /* n_result numbers; waits */
  void (*free)(void *self);
  int64_t n_result;
  double bytes;    /* baselines: memory traffic of an iteration */
  rp_context *ctx; /* ours: the context; NULL for a baseline */
} bench_prog;

/* One case: the same loop by us and by hand. */
typedef struct bench_case {
  const char *name;
  bench_prog (*ours)(const char *config, int64_t size);
  bench_prog (*base)(int64_t size, int threads);
  int64_t size, quick_size;
  int check_passes; /* how many iterations are compared */
  double tolerance; /* of the largest number of the result */
  double bar;       /* at most this times the baseline */
  double kernels;   /* at most so many of an iteration; 0: no such row */
} bench_case;

extern const bench_case bench_cases[];
extern const int bench_n_cases;
const bench_case *bench_case_find(const char *name);

bench_prog bench_ours_bs_f64(const char *config, int64_t n);
bench_prog bench_ours_bs_f32(const char *config, int64_t n);
bench_prog bench_ours_stencil(const char *config, int64_t n);
bench_prog bench_ours_stencil_dropping(const char *config, int64_t n);
bench_prog bench_ours_cg(const char *config, int64_t side);
bench_prog bench_ours_bicgstab(const char *config, int64_t side);
bench_prog bench_ours_power(const char *config, int64_t n);

bench_prog bench_base_bs_f64(int64_t n, int threads);
bench_prog bench_base_bs_f32(int64_t n, int threads);
bench_prog bench_base_stencil(int64_t n, int threads);
bench_prog bench_base_cg(int64_t side, int threads);
bench_prog bench_base_bicgstab(int64_t side, int threads);
bench_prog bench_base_power(int64_t n, int threads);

/* On n elements in the cache, one thread: ten array operations, each a C call; t = a*t + b. */
bench_prog bench_base_chain(int64_t n);
bench_prog bench_base_axpy(int64_t n);

/* PETSc's own solver on the same matrix, one process; only where the build found PETSc. `name` is the
 * case's, or with ranks_ before it for the processes that mpirun started; false where PETSc has no such row. */
bool bench_petsc_built(void);
bool bench_petsc(const char *name, int64_t size, bench_prog *out);
/* The same in the module that links with PETSc, which the former opens. */
__attribute__((visibility("default"))) bool bench_petsc_open(const char *name, int64_t size,
                                                             bench_prog *out);

void bench_prog_free(bench_prog *p);

/* ---- measuring ---------------------------------------------------------------------------------- */

extern bool bench_quick;       /* small sizes, short samples: only that it runs */
extern const char *bench_self; /* path of this program */

double bench_now(void); /* seconds */
double bench_median(double *v, int n);

/* Medians over interleaved samples, in seconds of one iteration. With `at_most` > 0 a sample is not
 * longer than that many iterations and starts after a reset. */
void bench_pair(bench_prog *ours, bench_prog *base, int64_t at_most, double *t_ours,
                double *t_base);
/* Median time of an iteration of one program. */
double bench_alone(bench_prog *p);

/* Runs ours until everything is compiled and steady. */
void bench_settle(bench_prog *ours);
/* Runs both from the start and compares; prints and returns false where they differ. */
bool bench_agree(const char *row, bench_prog *ours, bench_prog *base, int passes, double tolerance);

int64_t bench_stat(rp_context *ctx, const char *name);

/* ---- rows --------------------------------------------------------------------------------------- */

typedef enum bench_bar {
  BENCH_REPORTED, /* no bar */
  BENCH_RATIO,    /* value <= bar * baseline_value */
  BENCH_VALUE     /* value <= bar */
} bench_bar;

typedef struct bench_row {
  const char *name, *what, *unit, *baseline; /* baseline NULL: there is none */
  double value, baseline_value;
  bench_bar kind;
  double bar;
  bool wrong; /* the results differ: never met */
} bench_row;

/* Whether a row (or a family of rows, by the beginning of their names) was asked for. */
bool bench_wanted(const char *name);
/* Copies the row, strings included, and prints it; rows that were not asked for are dropped. */
void bench_add(const bench_row *row);

/* Each adds its rows, if they are wanted. */
void bench_rows_kernels(void);
void bench_rows_times(void);
void bench_rows_memory(void);
void bench_rows_small(void);
void bench_rows_numpy(void);
void bench_rows_first(void);
void bench_rows_ranks(void);
/* The inside of `reprise-bench --child KIND NAME SIZE`. */
int bench_child(const char *kind, const char *name, int64_t size);
/* The inside of `reprise-bench --ranks NAME SIZE PASSES`. */
int bench_ranks_child(const char *name, int64_t size, int64_t passes);

/* ---- data --------------------------------------------------------------------------------------- */

/* Zeros on 2 MiB boundaries, with huge pages asked for, not touched yet. */
void *bench_alloc(size_t bytes);
void bench_free(void *p, size_t bytes);
/* malloc that ends the program when there is no memory. */
void *bench_need(size_t bytes);

/* The next number of a fixed sequence (Steele, Lea and Flood's SplitMix64, 2014), in [0, 1). */
double bench_random(uint64_t *state);
/* n numbers from [lo, hi), the same for the same seed. */
void bench_uniform(double *out, int64_t n, double lo, double hi, uint64_t seed);

/* A square matrix on the host: i64 offsets as the library has them. */
typedef struct bench_matrix {
  int64_t n, nnz;
  int64_t *ptr, *col;
  double *val;
} bench_matrix;

bench_matrix bench_matrix_poisson(int64_t side); /* 5 points, side*side unknowns */
bench_matrix bench_matrix_random(int64_t n);     /* 10 entries a row, columns at random */
void bench_matrix_free(bench_matrix *a);

#endif
