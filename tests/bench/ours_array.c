/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/ours_array.c -- Black-Scholes and the stencil as array programs write them: one call per
 * operation, temporaries released when their names end. */
#include <stdlib.h>

#include "reprise_array.h"
#include "tests/bench/bench.h"

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

enum { KEEP = 0, TAKE = 1 }; /* TAKE: the operand's name ends here */

static rp_store *done(rp_store *operand, int take, rp_store *result) {
  if (take) RP_CHECK(rp_store_release(operand));
  return result;
}

static rp_store *un(rp_array_code f, rp_store *x, int take) {
  rp_store *out;
  RP_CHECK(rp_array_unary(f, x, &out));
  return done(x, take, out);
}

static rp_store *num(rp_array_code f, double number, rp_store *x, int take) {
  rp_store *out;
  RP_CHECK(rp_array_float_binary(f, number, x, &out));
  return done(x, take, out);
}

static rp_store *bin(rp_array_code f, rp_store *a, int take_a, rp_store *b, int take_b) {
  rp_store *out;
  RP_CHECK(rp_array_binary(f, a, b, &out));
  return done(b, take_b, done(a, take_a, out));
}

static rp_store *cnd(rp_store *d) {
  static const double a[] = {0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429};
  rp_store *k = num(RP_ARRAY_MULTIPLY, 0.2316419, un(RP_ARRAY_ABSOLUTE, d, KEEP), TAKE);
  k = num(RP_ARRAY_DIVIDE, 1.0, num(RP_ARRAY_ADD, 1.0, k, TAKE), TAKE);
  rp_store *poly = num(RP_ARRAY_MULTIPLY, a[4], k, KEEP);
  for (int i = 3; i >= 0; i--) {
    poly = bin(RP_ARRAY_MULTIPLY, k, KEEP, num(RP_ARRAY_ADD, a[i], poly, TAKE), TAKE);
  }
  rp_store *bell = bin(RP_ARRAY_MULTIPLY, num(RP_ARRAY_MULTIPLY, -0.5, d, KEEP), TAKE, d, KEEP);
  bell = num(RP_ARRAY_MULTIPLY, 0.39894228040143267, un(RP_ARRAY_EXP, bell, TAKE), TAKE);
  rp_store *tail = bin(RP_ARRAY_MULTIPLY, bell, TAKE, poly, TAKE);
  rp_store *head = num(RP_ARRAY_SUBTRACT, 1.0, tail, KEEP), *positive, *out;
  RP_CHECK(rp_array_binary_float(RP_ARRAY_GREATER, d, 0.0, &positive));
  RP_CHECK(rp_array_where(positive, head, tail, &out));
  return done(k, TAKE, done(positive, TAKE, done(head, TAKE, done(tail, TAKE, out))));
}

static void bs_pass(ours_bs *b) {
  const double rate = 0.02, volatility = 0.30, drift = 0.02 + 0.5 * 0.30 * 0.30;
  rp_store *root = un(RP_ARRAY_SQRT, b->t, KEEP);
  rp_store *d1 = un(RP_ARRAY_LOG, bin(RP_ARRAY_DIVIDE, b->s, KEEP, b->x, KEEP), TAKE);
  rp_store *spread = num(RP_ARRAY_MULTIPLY, volatility, root, KEEP);
  d1 = bin(RP_ARRAY_ADD, d1, TAKE,
           bin(RP_ARRAY_DIVIDE, num(RP_ARRAY_MULTIPLY, drift, b->t, KEEP), TAKE, spread, TAKE),
           TAKE);
  spread = num(RP_ARRAY_MULTIPLY, volatility, root, TAKE);
  rp_store *d2 = bin(RP_ARRAY_SUBTRACT, d1, KEEP, spread, TAKE);
  rp_store *c1 = cnd(d1), *c2 = cnd(d2);
  rp_store *e = un(RP_ARRAY_EXP, num(RP_ARRAY_MULTIPLY, -rate, b->t, KEEP), TAKE);
  rp_store *gain = bin(RP_ARRAY_MULTIPLY, b->s, KEEP, c1, KEEP);
  rp_store *cost =
      bin(RP_ARRAY_MULTIPLY, bin(RP_ARRAY_MULTIPLY, b->x, KEEP, e, KEEP), TAKE, c2, KEEP);
  b->call = bin(RP_ARRAY_SUBTRACT, gain, TAKE, cost, TAKE);
  gain = bin(RP_ARRAY_MULTIPLY, bin(RP_ARRAY_MULTIPLY, b->x, KEEP, e, TAKE), TAKE,
             num(RP_ARRAY_SUBTRACT, 1.0, c2, TAKE), TAKE);
  cost = bin(RP_ARRAY_MULTIPLY, b->s, KEEP, num(RP_ARRAY_SUBTRACT, 1.0, c1, TAKE), TAKE);
  b->put = bin(RP_ARRAY_SUBTRACT, gain, TAKE, cost, TAKE);
  RP_CHECK(rp_store_release(d1));
  RP_CHECK(rp_store_release(d2));
}

/* Prices are looked at: without the wait, those that are released unread would not be computed. */
static void bs_run(void *self, int64_t passes) {
  ours_bs *b = self;
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_store_release(b->call));
    RP_CHECK(rp_store_release(b->put));
    RP_CHECK(rp_trace_begin(b->ctx, 1));
    bs_pass(b);
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
