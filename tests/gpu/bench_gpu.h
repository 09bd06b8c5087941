/* SPDX-License-Identifier: Apache-2.0
 * tests/gpu/bench_gpu.h -- what the files of bench_gpu share. */
#ifndef BENCH_GPU_H
#define BENCH_GPU_H

#include "tests/gpu/gpu_programs.h"

typedef enum gpu_kind {
  GPU_TIME, /* of a pass, with what the GPU does */
  GPU_HOST  /* of a pass's calls alone */
} gpu_kind;

/* Rows are measured and checked set by set. */
typedef enum gpu_set {
  GPU_LOOPS,  /* generated kernels whose figures have bars */
  GPU_SUMS,   /* segmented and nested sums */
  GPU_SOLVERS /* NVIDIA's libraries, by ours */
} gpu_set;

typedef struct gpu_row {
  const char *name;
  bench_prog (*make)(const char *config, int64_t size);
  int64_t size, small, check; /* check: for what is compared with the CPU */
  gpu_set set;
  gpu_kind kind;
  double element; /* bytes that a pass must move for each of... */
  int dimensions; /* ... size^dimensions elements; element 0: not said, or by the program */
  double flops;   /* of a pass, for each of size^3 */
  bool restarts;  /* each sample begins at the start */
  double apart; /* results on CPU and GPU at most, of the largest: 0 where the bits are the same */
} gpu_row;

extern const gpu_row gpu_rows[];
extern const int gpu_n_rows;
extern bool gpu_small;
extern int gpu_gpus; /* of the contexts */

const char *gpu_config(void);
/* Is the row, or are the checks of that set, asked for? */
bool gpu_wanted(gpu_set set);

/* One line of JSON on stdout; `met` NULL: there is no bar; `note` NULL: none. */
void gpu_print(const char *row, double value, const char *unit, const double *baseline,
               const bool *met, const char *note);
/* The same for what is so or is not so; returns it. */
bool gpu_print_yes(const char *row, bool yes, const char *note);

/* Kernels, bytes, registers and results of the rows against a context without a GPU; the first pass of a loop that was
 * never seen, and the compiles of a second process. True if nothing that has a bar missed it. */
bool gpu_checks(void);
/* What libraries compute, by itself: residuals, and what a singular matrix leaves (gpu_solvers.c). */
bool gpu_solver_checks(void);
/* Several ranks on one GPU, threads of this process, against one on the CPU (gpu_worlds.c). */
bool gpu_worlds(void);
/* The inside of `bench_gpu --child KIND`. */
int gpu_child(const char *kind);

#endif
