/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/ours_array.c -- Black-Scholes and the stencil as array programs write them: one call per
 * operation, temporaries released when their names end. */
#include <stdlib.h>

#include "tests/bench/bench.h"
#include "tests/examples/array_calls.h"
#include "tests/examples/prices.h"

static rp_context *context(const char *config) {
  rp_context *ctx;
  RP_CHECK(rp_context_create(config, &ctx));
  return ctx;
}

/* A store of numbers from [lo, hi). */
static rp_store *uniform(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                         double lo, double hi, uint64_t seed) {
  rp_store *s;
  RP_CHECK(rp_store_create(ctx, dtype, ndim, shape, &s));
  const int64_t n = rp_store_size(s);
  double *wide = bench_alloc((size_t)n * sizeof *wide);
  bench_uniform(wide, n, lo, hi, seed);
  if (dtype == RP_F32) {
    float *narrow = bench_alloc((size_t)n * sizeof *narrow);
    for (int64_t i = 0; i < n; i++) narrow[i] = (float)wide[i];
    RP_CHECK(rp_store_write(s, narrow, (size_t)n * sizeof *narrow));
    bench_free(narrow, (size_t)n * sizeof *narrow);
  } else {
    RP_CHECK(rp_store_write(s, wide, (size_t)n * sizeof *wide));
  }
  bench_free(wide, (size_t)n * sizeof *wide);
  return s;
}

/* ---- Black-Scholes: 63 operations ----------------------------------------------------------------------- */

typedef struct ours_bs {
  rp_context *ctx;
  int64_t n;
  rp_store *s, *x, *t, *call, *put;
} ours_bs;

/* Prices are looked at: without the wait, those that are released unread would not be computed. */
static void bs_run(void *self, int64_t passes) {
  ours_bs *b = self;
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_store_release(b->call));
    RP_CHECK(rp_store_release(b->put));
    RP_CHECK(rp_trace_begin(b->ctx, 1));
    prices(b->s, b->x, b->t, &b->call, &b->put);
    RP_CHECK(rp_trace_end(b->ctx, 1));
    RP_CHECK(rp_wait(b->ctx));
  }
}

static void bs_result(void *self, double *out) {
  ours_bs *b = self;
  rp_store *const from[] = {b->call, b->put};
  for (int k = 0; k < 2; k++, out += b->n) {
    if (rp_store_dtype(from[k]) == RP_F64) {
      RP_CHECK(rp_store_read(from[k], out, (size_t)b->n * sizeof *out));
      continue;
    }
    float *narrow = bench_alloc((size_t)b->n * sizeof *narrow);
    RP_CHECK(rp_store_read(from[k], narrow, (size_t)b->n * sizeof *narrow));
    for (int64_t i = 0; i < b->n; i++) out[i] = (double)narrow[i];
    bench_free(narrow, (size_t)b->n * sizeof *narrow);
  }
}

static void bs_free(void *self) {
  ours_bs *b = self;
  rp_store *const all[] = {b->s, b->x, b->t, b->call, b->put};
  for (int i = 0; i < 5; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(b->ctx));
  free(b);
}

static bench_prog bs_make(const char *config, int64_t n, rp_dtype dtype) {
  ours_bs *b = bench_need(sizeof *b);
  *b = (ours_bs){.ctx = context(config), .n = n};
  b->s = uniform(b->ctx, dtype, 1, &n, 5, 30, 1);
  b->x = uniform(b->ctx, dtype, 1, &n, 1, 100, 2);
  b->t = uniform(b->ctx, dtype, 1, &n, 0.25, 10, 3);
  return (bench_prog){.self = b,
                      .run = bs_run,
                      .result = bs_result,
                      .free = bs_free,
                      .n_result = 2 * n,
                      .ctx = b->ctx};
}

bench_prog bench_ours_bs_f64(const char *config, int64_t n) { return bs_make(config, n, RP_F64); }
bench_prog bench_ours_bs_f32(const char *config, int64_t n) { return bs_make(config, n, RP_F32); }

/* ---- the stencil through views of one array --------------------------------------------------------------- */

typedef struct ours_stencil {
  rp_context *ctx;
  int64_t n;
  rp_store *grid, *center, *north, *south, *west, *east;
  rp_store *average, *work; /* keep their names until the next pass, as a Python loop has it */
  bool drop;                /* ... or are released within it */
} ours_stencil;

static rp_store *window(rp_store *grid, int64_t n, int64_t i, int64_t j) {
  const int64_t lo[] = {i, j}, hi[] = {i + n, j + n};
  rp_store *view;
  RP_CHECK(rp_store_box(grid, lo, hi, &view));
  return view;
}

static void stencil_run(void *self, int64_t passes) {
  ours_stencil *b = self;
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_trace_begin(b->ctx, 1));
    rp_store *sum = bin(RP_ARRAY_ADD, b->center, KEEP, b->north, KEEP);
    sum = bin(RP_ARRAY_ADD, sum, TAKE, b->east, KEEP);
    sum = bin(RP_ARRAY_ADD, sum, TAKE, b->west, KEEP);
    sum = bin(RP_ARRAY_ADD, sum, TAKE, b->south, KEEP);
    RP_CHECK(rp_store_release(b->average));
    b->average = sum;
    rp_store *scaled = num(RP_ARRAY_MULTIPLY, 0.2, b->average, KEEP);
    RP_CHECK(rp_store_release(b->work));
    b->work = scaled;
    RP_CHECK(rp_store_copy(b->center, b->work));
    if (b->drop) {
      RP_CHECK(rp_store_release(b->average));
      RP_CHECK(rp_store_release(b->work));
      b->average = b->work = NULL;
    }
    RP_CHECK(rp_trace_end(b->ctx, 1));
  }
}

static void stencil_reset(void *self) {
  ours_stencil *b = self;
  const int64_t cells = rp_store_size(b->grid);
  double *wide = bench_alloc((size_t)cells * sizeof *wide);
  bench_uniform(wide, cells, 0, 1, 1);
  RP_CHECK(rp_store_write(b->grid, wide, (size_t)cells * sizeof *wide));
  bench_free(wide, (size_t)cells * sizeof *wide);
}

static void stencil_result(void *self, double *out) {
  ours_stencil *b = self;
  RP_CHECK(rp_store_read(b->grid, out, (size_t)rp_store_size(b->grid) * sizeof *out));
}

static void stencil_free(void *self) {
  ours_stencil *b = self;
  rp_store *const all[] = {b->grid, b->center, b->north,   b->south,
                           b->west, b->east,   b->average, b->work};
  for (int i = 0; i < 8; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(b->ctx));
  free(b);
}

bench_prog bench_ours_stencil(const char *config, int64_t n) {
  ours_stencil *b = bench_need(sizeof *b);
  const int64_t shape[] = {n + 2, n + 2};
  *b = (ours_stencil){.ctx = context(config), .n = n};
  b->grid = uniform(b->ctx, RP_F64, 2, shape, 0, 1, 1);
  b->center = window(b->grid, n, 1, 1);
  b->north = window(b->grid, n, 0, 1);
  b->south = window(b->grid, n, 2, 1);
  b->west = window(b->grid, n, 1, 0);
  b->east = window(b->grid, n, 1, 2);
  return (bench_prog){.self = b,
                      .reset = stencil_reset,
                      .run = stencil_run,
                      .result = stencil_result,
                      .free = stencil_free,
                      .n_result = shape[0] * shape[1],
                      .ctx = b->ctx};
}

/* A first pass that is waited for: what still has a name then would have to be stored. */
bench_prog bench_ours_stencil_dropping(const char *config, int64_t n) {
  bench_prog p = bench_ours_stencil(config, n);
  ((ours_stencil *)p.self)->drop = true;
  return p;
}
