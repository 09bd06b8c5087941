/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/base_small.c -- array operations of 1000 elements by hand: a C function each, called. */
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

enum { CHAIN = 10 };

typedef struct small {
  int64_t n;
  double *a, *b, *t;
} small;

__attribute__((noinline)) static void add(const double *x, const double *y, double *out,
                                          int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) out[i] = x[i] + y[i];
}

__attribute__((noinline)) static void subtract(const double *x, const double *y, double *out,
                                               int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) out[i] = x[i] - y[i];
}

__attribute__((noinline)) static void multiply(const double *x, const double *y, double *out,
                                               int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) out[i] = x[i] * y[i];
}

__attribute__((noinline)) static void axpy(const double *a, const double *b, double *t, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; i++) t[i] = a[i] * t[i] + b[i];
}

static void run_chain(void *self, int64_t passes) {
  const small *s = self;
  for (int64_t i = 0; i < passes; i++) {
    add(s->t, s->b, s->t, s->n);
    for (int k = 1; k < CHAIN; k += 3) {
      multiply(s->t, s->a, s->t, s->n);
      subtract(s->t, s->b, s->t, s->n);
      add(s->t, s->a, s->t, s->n);
    }
  }
}

static void run_axpy(void *self, int64_t passes) {
  const small *s = self;
  for (int64_t i = 0; i < passes; i++) axpy(s->a, s->b, s->t, s->n);
}

static void reset(void *self) {
  small *s = self;
  bench_uniform(s->t, s->n, 0, 0.5, 3);
}

static void result(void *self, double *out) {
  const small *s = self;
  memcpy(out, s->t, (size_t)s->n * sizeof *out);
}

static void free_small(void *self) {
  small *s = self;
  free(s->a);
  free(s->b);
  free(s->t);
  free(s);
}

static bench_prog make(int64_t n, void (*run)(void *, int64_t)) {
  small *s = bench_need(sizeof *s);
  *s = (small){.n = n};
  double **const all[] = {&s->a, &s->b, &s->t};
  for (int i = 0; i < 3; i++) {
    *all[i] = bench_need((size_t)n * sizeof(double));
    bench_uniform(*all[i], n, 0, 0.5, (uint64_t)i + 1);
  }
  return (bench_prog){.self = s,
                      .reset = reset,
                      .run = run,
                      .result = result,
                      .free = free_small,
                      .n_result = n,
                      .bytes = 32.0 * (double)n};
}

bench_prog bench_base_chain(int64_t n) { return make(n, run_chain); }
bench_prog bench_base_axpy(int64_t n) { return make(n, run_axpy); }
