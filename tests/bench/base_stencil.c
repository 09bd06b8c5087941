/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/base_stencil.c -- the 5-point stencil by hand: one sweep from one array into another. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

typedef struct base_stencil {
  int64_t n; /* interior points a side */
  int threads;
  double *start, *from, *to; /* (n + 2)^2; start: NULL until a reset needs it */
} base_stencil;

static size_t cells(const base_stencil *b) { return (size_t)((b->n + 2) * (b->n + 2)); }

static void sweep(const double *restrict u, double *restrict v, int64_t n) {
  const int64_t w = n + 2;
#pragma omp parallel for schedule(static)
  for (int64_t i = 1; i <= n; i++) {
    const double *c = u + i * w;
    double *out = v + i * w;
#pragma omp simd
    for (int64_t j = 1; j <= n; j++) {
      out[j] = 0.2 * (c[j] + c[j - w] + c[j + 1] + c[j - 1] + c[j + w]);
    }
  }
}

/* The border never changes: the second array gets it once. */
static void copy_border(const double *u, double *v, int64_t n) {
  const size_t w = (size_t)n + 2;
  memcpy(v, u, w * sizeof *v);
  memcpy(v + (w - 1) * w, u + (w - 1) * w, w * sizeof *v);
  for (size_t i = 1; i + 1 < w; i++) {
    v[i * w] = u[i * w];
    v[i * w + w - 1] = u[i * w + w - 1];
  }
}

static void run(void *self, int64_t passes) {
  base_stencil *b = self;
  omp_set_num_threads(b->threads);
  for (int64_t i = 0; i < passes; i++) {
    sweep(b->from, b->to, b->n);
    double *swap = b->from;
    b->from = b->to;
    b->to = swap;
  }
}

static void reset(void *self) {
  base_stencil *b = self;
  bench_uniform(b->from, (int64_t)cells(b), 0, 1, 1);
  copy_border(b->from, b->to, b->n);
}

static void result(void *self, double *out) {
  const base_stencil *b = self;
  memcpy(out, b->from, cells(b) * sizeof *out);
}

static void free_stencil(void *self) {
  base_stencil *b = self;
  bench_free(b->from, cells(b) * sizeof *b->from);
  bench_free(b->to, cells(b) * sizeof *b->to);
  free(b);
}

bench_prog bench_base_stencil(int64_t n, int threads) {
  base_stencil *b = bench_need(sizeof *b);
  *b = (base_stencil){.n = n, .threads = threads};
  b->from = bench_alloc(cells(b) * sizeof *b->from);
  b->to = bench_alloc(cells(b) * sizeof *b->to);
  bench_uniform(b->from, (int64_t)cells(b), 0, 1, 1);
  return (bench_prog){.self = b,
                      .reset = reset,
                      .run = run,
                      .result = result,
                      .free = free_stencil,
                      .n_result = (int64_t)cells(b),
                      .bytes = 8.0 * ((double)cells(b) - 4.0 + (double)n * (double)n)};
}
