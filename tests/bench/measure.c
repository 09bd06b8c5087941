/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/measure.c -- times programs in turns, and compares what they compute.
 *
 * How: samples alternate between the two sides; each is at least `shortest` seconds long, starts after
 * the other side's threads have gone to sleep, and begins with an iteration that is not timed.
 * A pass of ours is timed when it is committed, which a late commit does in the next pass: over many
 * passes that is the same number of passes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/bench.h"

enum { SAMPLES = 7, MANY_SAMPLES = 41 };

double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double bench_median(double *v, int n) {
  qsort(v, (size_t)n, sizeof *v, ascending);
  return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

int64_t bench_stat(rp_context *ctx, const char *name) {
  int64_t value;
  RP_CHECK(rp_stat(ctx, name, &value));
  return value;
}

void bench_prog_free(bench_prog *p) {
  if (p->self) p->free(p->self);
  p->self = NULL;
}

/* ---- time -------------------------------------------------------------------------------------------- */

static void rest(void) {
  const struct timespec t = {0, bench_quick ? 100000 : 10000000};
  nanosleep(&t, NULL);
}

static double timed(bench_prog *p, int64_t passes) {
  const double start = bench_now();
  p->run(p->self, passes);
  return bench_now() - start;
}

/* How many iterations make a sample. */
static int64_t calibrate(bench_prog *p) {
  const double shortest = bench_quick ? 1e-4 : 0.03;
  int64_t passes = 1;
  for (;;) {
    const double t = timed(p, passes);
    if (t >= shortest) return passes;
    const double factor = t > 0 ? 1.2 * shortest / t : 10;
    passes = (int64_t)(1 + (double)passes * (factor < 10 ? factor : 10));
  }
}

static double sample(bench_prog *p, int64_t passes, int64_t at_most) {
  rest();
  if (at_most > 0 && p->reset) p->reset(p->self);
  p->run(p->self, 1);
  return timed(p, passes) / (double)passes;
}

static int64_t length(bench_prog *p, int64_t at_most) {
  return at_most > 0 ? at_most : calibrate(p);
}

void bench_pair(bench_prog *ours, bench_prog *base, int64_t at_most, double *t_ours,
                double *t_base) {
  double a[MANY_SAMPLES], b[MANY_SAMPLES];
  const int n = bench_quick ? 3 : at_most > 0 ? MANY_SAMPLES : SAMPLES;
  bench_settle(ours); /* once more: what came before may have ended in another state */
  const int64_t pa = length(ours, at_most), pb = length(base, at_most);
  for (int i = 0; i < n; i++) {
    a[i] = sample(ours, pa, at_most);
    b[i] = sample(base, pb, at_most);
  }
  *t_ours = bench_median(a, n);
  *t_base = bench_median(b, n);
}

double bench_alone(bench_prog *p) {
  double a[SAMPLES];
  const int64_t passes = calibrate(p);
  for (int i = 0; i < SAMPLES; i++) a[i] = sample(p, passes, 0);
  return bench_median(a, SAMPLES);
}

/* Several times, as a plan that is made later (for other live outputs, after a wait or without one) can
 * bring kernels of its own. */
void bench_settle(bench_prog *ours) {
  for (int i = 0; i < 4; i++) {
    if (i == 1) RP_CHECK(rp_wait(ours->ctx));
    ours->run(ours->self, 4);
    RP_CHECK(rp_wait_compiled(ours->ctx));
  }
}

/* ---- results ----------------------------------------------------------------------------------------- */

bool bench_agree(const char *row, bench_prog *ours, bench_prog *base, int passes,
                 double tolerance) {
  const int64_t n = base->n_result;
  const size_t bytes = (size_t)n * sizeof(double);
  bench_prog *const side[] = {ours, base};
  double *result[2];
  for (int k = 0; k < 2; k++) {
    if (side[k]->reset) side[k]->reset(side[k]->self);
    side[k]->run(side[k]->self, passes);
    result[k] = bench_alloc(bytes);
    side[k]->result(side[k]->self, result[k]);
  }
  double largest = 0, apart = 0;
  for (int64_t i = 0; i < n; i++) {
    const double d = fabs(result[0][i] - result[1][i]);
    if (!(d <= apart)) apart = d; /* a NaN stays */
    largest = fmax(largest, fabs(result[1][i]));
  }
  for (int k = 0; k < 2; k++) bench_free(result[k], bytes);
  if (ours->n_result == n && apart <= tolerance * largest) return true;
  fprintf(stderr, "reprise-bench: %s: WRONG: %g apart, of numbers up to %g, after %d passes\n", row,
          apart, largest, passes);
  return false;
}
