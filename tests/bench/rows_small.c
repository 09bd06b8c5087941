/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/rows_small.c -- the rows where the runtime's own cost is what counts: passes over 1000
 * elements, one launch, one task outside any trace, views that move. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reprise_array.h"
#include "tests/bench/bench.h"

enum { CHAIN = 10 };

/* ---- ten operations on 1000 elements ----------------------------------------------------------------- */

typedef struct small {
  rp_context *ctx;
  int64_t n;
  rp_store *a, *b, *t; /* t: the result */
  rp_op *axpy;
  double seconds; /* in launches, where a run measures that itself */
} small;

/* Each pass reads what the one before has made: one that nobody reads would not run at all. */
static void small_pass_out(small *s) {
  RP_CHECK(rp_array_add_to(s->t, s->b, s->t));
  for (int i = 1; i < CHAIN; i += 3) {
    RP_CHECK(rp_array_multiply_to(s->t, s->a, s->t));
    RP_CHECK(rp_array_subtract_to(s->t, s->b, s->t));
    RP_CHECK(rp_array_add_to(s->t, s->a, s->t));
  }
}

static void step(rp_store **t, rp_status (*f)(rp_store *, rp_store *, rp_store **), rp_store *x) {
  rp_store *next;
  RP_CHECK(f(*t, x, &next));
  RP_CHECK(rp_store_release(*t));
  *t = next;
}

static void small_pass_fresh(small *s) {
  rp_store *t;
  RP_CHECK(rp_array_add(s->t, s->b, &t));
  for (int i = 1; i < CHAIN; i += 3) {
    step(&t, rp_array_multiply, s->a);
    step(&t, rp_array_subtract, s->b);
    step(&t, rp_array_add, s->a);
  }
  RP_CHECK(rp_store_release(s->t));
  s->t = t;
}

static void run_out(void *self, int64_t passes) {
  small *s = self;
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_trace_begin(s->ctx, 1));
    small_pass_out(s);
    RP_CHECK(rp_trace_end(s->ctx, 1));
  }
}

static void run_fresh(void *self, int64_t passes) {
  small *s = self;
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_trace_begin(s->ctx, 1));
    small_pass_fresh(s);
    RP_CHECK(rp_trace_end(s->ctx, 1));
  }
}

/* t = a*t + b, one launch each, no trace; everything has run at the end. */
static void run_single(void *self, int64_t passes) {
  small *s = self;
  rp_store *const args[] = {s->t, s->a, s->b};
  for (int64_t i = 0; i < passes; i++) RP_CHECK(rp_launch(s->axpy, args, 3, NULL, 0));
  RP_CHECK(rp_wait(s->ctx));
}

/* A pass of many launches, each with a handle made and released. Only the launches are timed, not the
 * running of the pass. */
enum { LONG_PASS = 200 };

static void run_launch(void *self, int64_t passes) {
  small *s = self;
  s->seconds = 0;
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_trace_begin(s->ctx, 2));
    rp_store *t = s->t;
    RP_CHECK(rp_store_retain(t));
    const double start = bench_now();
    for (int k = 0; k < LONG_PASS; k++) {
      rp_store *args[] = {NULL, s->a, t};
      RP_CHECK(rp_call(s->axpy, args, 3, NULL, 0));
      RP_CHECK(rp_store_release(t));
      t = args[0];
    }
    s->seconds += bench_now() - start;
    RP_CHECK(rp_store_release(s->t));
    s->t = t;
    RP_CHECK(rp_trace_end(s->ctx, 2));
  }
}

static void small_result(void *self, double *out) {
  small *s = self;
  RP_CHECK(rp_store_read(s->t, out, (size_t)s->n * sizeof *out));
}

static void small_fill(rp_store *s, double lo, uint64_t seed) {
  const int64_t n = rp_store_size(s);
  double *v = bench_need((size_t)n * sizeof *v);
  bench_uniform(v, n, lo, lo + 0.5, seed);
  RP_CHECK(rp_store_write(s, v, (size_t)n * sizeof *v));
  free(v);
}

static void small_reset(void *self) {
  small *s = self;
  small_fill(s->t, 0, 3);
}

static void small_free(void *self) {
  small *s = self;
  RP_CHECK(rp_store_release(s->a));
  RP_CHECK(rp_store_release(s->b));
  RP_CHECK(rp_store_release(s->t));
  RP_CHECK(rp_context_destroy(s->ctx));
  free(s);
}

static bench_prog small_make(int64_t n, const char *body, void (*run)(void *, int64_t)) {
  small *s = bench_need(sizeof *s);
  *s = (small){.n = n};
  RP_CHECK(rp_context_create("", &s->ctx));
  rp_library *lib;
  RP_CHECK(rp_library_create(s->ctx, "bench", &lib));
  RP_CHECK(rp_op_create(lib, "axpy", strchr(body, 'c') ? "c, a, t" : "t, a, b", body, &s->axpy));
  rp_store **all[] = {&s->a, &s->b, &s->t};
  for (int i = 0; i < 3; i++) {
    RP_CHECK(rp_store_create(s->ctx, RP_F64, 1, &n, all[i]));
    small_fill(*all[i], 0, (uint64_t)i + 1);
  }
  return (bench_prog){.self = s,
                      .reset = small_reset,
                      .run = run,
                      .result = small_result,
                      .free = small_free,
                      .n_result = n,
                      .ctx = s->ctx};
}

static void add_small(const char *row, const char *what, void (*run)(void *, int64_t),
                      bench_prog (*base)(int64_t n), const char *baseline, double bar) {
  if (!bench_wanted(row)) return;
  bench_prog ours = small_make(1000, "t = a*t + b", run), plain = base(1000);
  bench_settle(&ours);
  const bool right = bench_agree(row, &ours, &plain, 5, 1e-9);
  double t_ours, t_base;
  bench_pair(&ours, &plain, 0, &t_ours, &t_base);
  bench_add(&(bench_row){.name = row,
                         .what = what,
                         .unit = "us",
                         .baseline = baseline,
                         .value = 1e6 * t_ours,
                         .baseline_value = 1e6 * t_base,
                         .kind = BENCH_VALUE,
                         .bar = bar,
                         .wrong = !right});
  bench_prog_free(&ours);
  bench_prog_free(&plain);
}

static void add_launch(void) {
  if (!bench_wanted("launch")) return;
  bench_prog ours = small_make(16, "c = a*t", run_launch);
  small *s = ours.self;
  bench_settle(&ours);
  double v[7];
  const int64_t passes = bench_quick ? 3 : 2000;
  for (int i = 0; i < 7; i++) {
    run_launch(s, passes);
    v[i] = s->seconds / (double)(passes * LONG_PASS);
  }
  bench_add(&(bench_row){.name = "launch",
                         .what = "rp_call on replay, handle made and released",
                         .unit = "ns",
                         .value = 1e9 * bench_median(v, 7),
                         .kind = BENCH_VALUE,
                         .bar = 40});
  bench_prog_free(&ours);
}

/* ---- views that move -------------------------------------------------------------------------------------- */

enum { MOVING_TASKS = 10 };

typedef struct moving {
  rp_context *ctx;
  rp_store *a;
  rp_op *op;
  int64_t n;
  bool moves;
} moving;

/* A[k:, k] = A[k:, k]*0.5 + A[k:, k+1], several times, as k runs through the matrix; or the same with a k
 * in the middle that stays. */
static void moving_run(void *self, int64_t passes) {
  moving *m = self;
  for (int64_t i = 0; i < passes; i++) {
    const int64_t k = m->moves ? i % (m->n - 2) : m->n / 2;
    rp_store *rows, *col, *next;
    RP_CHECK(rp_trace_begin(m->ctx, 1));
    RP_CHECK(rp_store_slice(m->a, 0, k, m->n, 1, &rows));
    RP_CHECK(rp_store_project(rows, 1, k, &col));
    RP_CHECK(rp_store_project(rows, 1, k + 1, &next));
    rp_store *const args[] = {col, next};
    for (int t = 0; t < MOVING_TASKS; t++) RP_CHECK(rp_launch(m->op, args, 2, NULL, 0));
    RP_CHECK(rp_store_release(rows));
    RP_CHECK(rp_store_release(col));
    RP_CHECK(rp_store_release(next));
    RP_CHECK(rp_trace_end(m->ctx, 1));
  }
}

static void moving_free(void *self) {
  moving *m = self;
  RP_CHECK(rp_store_release(m->a));
  RP_CHECK(rp_context_destroy(m->ctx));
  free(m);
}

static bench_prog moving_make(int64_t n, bool moves) {
  moving *m = bench_need(sizeof *m);
  const int64_t shape[] = {n, n};
  *m = (moving){.n = n, .moves = moves};
  rp_library *lib;
  RP_CHECK(rp_context_create("--threads 1", &m->ctx));
  RP_CHECK(rp_library_create(m->ctx, "bench", &lib));
  RP_CHECK(rp_op_create(lib, "halve", "c, d", "c = c*0.5 + d", &m->op));
  RP_CHECK(rp_store_create(m->ctx, RP_F64, 2, shape, &m->a));
  small_fill(m->a, 0, 1);
  return (bench_prog){.self = m, .run = moving_run, .free = moving_free, .ctx = m->ctx};
}

static void add_moving(void) {
  if (!bench_wanted("moving_views") && !bench_wanted("moving_views_compiles")) return;
  const int64_t n = 256, passes = n - 2;
  bench_prog moves = moving_make(n, true), stays = moving_make(n, false);
  double v[7], w[7];
  moves.run(moves.self, 3);
  RP_CHECK(rp_wait_compiled(moves.ctx));
  const int64_t before = bench_stat(moves.ctx, "compiles") + bench_stat(moves.ctx, "disk_hits");
  bench_settle(&moves);
  moves.run(moves.self, passes);
  RP_CHECK(rp_wait_compiled(moves.ctx));
  const int64_t after = bench_stat(moves.ctx, "compiles") + bench_stat(moves.ctx, "disk_hits");
  bench_settle(&stays);
  for (int i = 0; i < 7; i++) {
    double start = bench_now();
    moves.run(moves.self, passes);
    v[i] = bench_now() - start;
    start = bench_now();
    stays.run(stays.self, passes);
    w[i] = bench_now() - start;
  }
  const double tasks = (double)(passes * MOVING_TASKS);
  const double ours = bench_median(v, 7) / tasks, still = bench_median(w, 7) / tasks;
  bench_add(&(bench_row){.name = "moving_views",
                         .what = "A[k:, k]: analysis per task",
                         .unit = "ns",
                         .baseline = "whole cost per task of views that stay",
                         .value = 1e9 * (ours > still ? ours - still : 0),
                         .baseline_value = 1e9 * still,
                         .kind = BENCH_VALUE,
                         .bar = 150});
  bench_add(&(bench_row){.name = "moving_views_compiles",
                         .what = "A[k:, k]: new kernels after three passes",
                         .unit = "kernels",
                         .value = (double)(after - before),
                         .kind = BENCH_VALUE,
                         .bar = 0});
  bench_prog_free(&moves);
  bench_prog_free(&stays);
}

void bench_rows_small(void) {
  add_small("tiny_1000_out", "pass of 10 tasks on 1000 elements, out=", run_out, bench_base_chain,
            "ten plain C calls", 0.7);
  add_small("tiny_1000_fresh", "the same with fresh temporaries", run_fresh, bench_base_chain,
            "ten plain C calls", 0.7);
  add_launch();
  add_small("single_1000", "one task on 1000 elements, no trace", run_single, bench_base_axpy,
            "one plain C call", 0.3);
  add_moving();
}
