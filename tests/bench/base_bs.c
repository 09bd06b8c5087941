/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/base_bs.c -- Black-Scholes by hand: one loop, vectorised, with glibc's vector functions.
 * Not here: the formula (base_bs_formula.h), in which f64 and f32 differ by the type alone. */
#include <omp.h>
#include <stdlib.h>

#include "tests/bench/bench.h"

/* glibc declares its vector variants under -ffast-math only; these declarations are in place of
 * <math.h>. */
double exp(double) __attribute__((simd("notinbranch"), const, nothrow, leaf));
double log(double) __attribute__((simd("notinbranch"), const, nothrow, leaf));
float expf(float) __attribute__((simd("notinbranch"), const, nothrow, leaf));
float logf(float) __attribute__((simd("notinbranch"), const, nothrow, leaf));

#define REAL double
#define EXP exp
#define LOG log
#define SQRT __builtin_sqrt
#define ABS __builtin_fabs
#define CND cnd_f64
#define PRICES prices_f64
#include "tests/bench/base_bs_formula.h"
#undef REAL
#undef EXP
#undef LOG
#undef SQRT
#undef ABS
#undef CND
#undef PRICES
#define REAL float
#define EXP expf
#define LOG logf
#define SQRT __builtin_sqrtf
#define ABS __builtin_fabsf
#define CND cnd_f32
#define PRICES prices_f32
#include "tests/bench/base_bs_formula.h"

typedef struct base_bs {
  int64_t n;
  int threads;
  size_t item;
  void *array[5]; /* s, x, t, call, put */
} base_bs;

static void run(void *self, int64_t passes) {
  base_bs *b = self;
  omp_set_num_threads(b->threads);
  for (int64_t i = 0; i < passes; i++) {
    if (b->item == sizeof(double)) {
      prices_f64(b->array[0], b->array[1], b->array[2], b->array[3], b->array[4], b->n);
    } else {
      prices_f32(b->array[0], b->array[1], b->array[2], b->array[3], b->array[4], b->n);
    }
  }
}

static void result(void *self, double *out) {
  const base_bs *b = self;
  for (int k = 0; k < 2; k++) {
    const void *a = b->array[3 + k];
    for (int64_t i = 0; i < b->n; i++) {
      *out++ = b->item == sizeof(double) ? ((const double *)a)[i] : (double)((const float *)a)[i];
    }
  }
}

static void free_bs(void *self) {
  base_bs *b = self;
  for (int k = 0; k < 5; k++) bench_free(b->array[k], (size_t)b->n * b->item);
  free(b);
}

static bench_prog make(int64_t n, int threads, size_t item) {
  static const double range[3][2] = {{5, 30}, {1, 100}, {0.25, 10}};
  base_bs *b = bench_need(sizeof *b);
  *b = (base_bs){.n = n, .threads = threads, .item = item};
  double *wide = bench_alloc((size_t)n * sizeof *wide);
  for (int k = 0; k < 5; k++) {
    b->array[k] = bench_alloc((size_t)n * item);
    if (k >= 3) continue;
    bench_uniform(wide, n, range[k][0], range[k][1], (uint64_t)k + 1);
    for (int64_t i = 0; i < n; i++) {
      if (item == sizeof(double)) ((double *)b->array[k])[i] = wide[i];
      if (item == sizeof(float)) ((float *)b->array[k])[i] = (float)wide[i];
    }
  }
  bench_free(wide, (size_t)n * sizeof *wide);
  return (bench_prog){.self = b,
                      .run = run,
                      .result = result,
                      .free = free_bs,
                      .n_result = 2 * n,
                      .bytes = 5.0 * (double)item * (double)n};
}

bench_prog bench_base_bs_f64(int64_t n, int threads) { return make(n, threads, sizeof(double)); }
bench_prog bench_base_bs_f32(int64_t n, int threads) { return make(n, threads, sizeof(float)); }
