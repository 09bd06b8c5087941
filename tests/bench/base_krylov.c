/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/base_krylov.c -- CG, BiCGSTAB and the power method by hand, on CSR with 32-bit indices.
 *
 * How: each loop over the vectors does all that can be done in one pass (3 loops for CG, 5 for BiCGSTAB,
 * 2 for the power method), and gives the dots it has at hand. One parallel region spans all
 * iterations; a thread owns a range of rows and leaves its sums in a slot of its own. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

enum { MOST_THREADS = 64, N_VECTORS = 7 };

typedef struct slot {
  _Alignas(128) double sum[3];
} slot;

typedef struct krylov {
  int64_t n, nnz;
  int threads;
  int32_t *ptr, *col;
  double *val;
  double *v[N_VECTORS];
  double rho;
  double scalar[2];            /* power: the eigenvalue */
  slot slots[3][MOST_THREADS]; /* in turns, so that one barrier per sum is enough */
} krylov;

typedef struct range {
  const krylov *k;
  int64_t lo, hi;
  int id, turn;
} range;

static range my_range(const krylov *k) {
  const int64_t id = omp_get_thread_num(), n = omp_get_num_threads();
  return (range){k, k->n * id / n, k->n * (id + 1) / n, (int)id, 0};
}

/* Adds up the threads' sums; every thread gets the same. */
static void all_sum(krylov *k, range *r, double *sum, int n) {
  if (k->threads == 1) return;
  slot *s = k->slots[r->turn];
  r->turn = (r->turn + 1) % 3;
  memcpy(s[r->id].sum, sum, (size_t)n * sizeof *sum);
#pragma omp barrier
  for (int i = 0; i < n; i++) {
    sum[i] = 0;
    for (int t = 0; t < k->threads; t++) sum[i] += s[t].sum[i];
  }
}

static inline void join(const krylov *k) {
  if (k->threads == 1) return;
#pragma omp barrier
}

static inline double row_dot(const krylov *k, int64_t i, const double *restrict x) {
  double sum = 0;
  for (int32_t e = k->ptr[i]; e < k->ptr[i + 1]; e++) sum += k->val[e] * x[k->col[e]];
  return sum;
}

/* ---- conjugate gradients ----------------------------------------------------------------------------- */

static double cg_product(range r, const double *restrict p, double *restrict Ap) {
  double sum = 0;
  for (int64_t i = r.lo; i < r.hi; i++) {
    const double y = row_dot(r.k, i, p);
    Ap[i] = y;
    sum += p[i] * y;
  }
  return sum;
}

static double cg_update(range r, double *restrict x, double *restrict res, const double *restrict p,
                        const double *restrict Ap, double alpha) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = r.lo; i < r.hi; i++) {
    x[i] += alpha * p[i];
    const double next = res[i] - alpha * Ap[i];
    res[i] = next;
    sum += next * next;
  }
  return sum;
}

static void cg_direction(range r, double *restrict p, const double *restrict res, double beta) {
#pragma omp simd
  for (int64_t i = r.lo; i < r.hi; i++) p[i] = res[i] + beta * p[i];
}

static void cg_loop(krylov *k, int64_t passes) {
  double *x = k->v[0], *res = k->v[1], *p = k->v[2], *Ap = k->v[3];
  range r = my_range(k);
  double rho = k->rho;
  for (int64_t it = 0; it < passes; it++) {
    double pAp = cg_product(r, p, Ap);
    all_sum(k, &r, &pAp, 1);
    double rr = cg_update(r, x, res, p, Ap, rho / pAp);
    all_sum(k, &r, &rr, 1);
    cg_direction(r, p, res, rr / rho);
    rho = rr;
    join(k);
  }
  if (r.id == 0) k->scalar[0] = rho;
}

static void cg_run(void *self, int64_t passes) {
  krylov *k = self;
  omp_set_num_threads(k->threads);
  if (k->threads == 1) {
    cg_loop(k, passes);
  } else {
#pragma omp parallel
    cg_loop(k, passes);
  }
  k->rho = k->scalar[0];
}

/* ---- BiCGSTAB -------------------------------------------------------------------------------------- */

/* y = A x with y.u, and with y.y if wanted */
static void product_dots(range r, const double *restrict x, double *restrict y,
                         const double *restrict u, double sum[2]) {
  double uy = 0, yy = 0;
  for (int64_t i = r.lo; i < r.hi; i++) {
    const double v = row_dot(r.k, i, x);
    y[i] = v;
    uy += u[i] * v;
    yy += v * v;
  }
  sum[0] = uy;
  sum[1] = yy;
}

static void half_step(range r, double *restrict s, const double *restrict res,
                      const double *restrict Ap, double alpha) {
#pragma omp simd
  for (int64_t i = r.lo; i < r.hi; i++) s[i] = res[i] - alpha * Ap[i];
}

typedef struct factors {
  double alpha, omega, beta;
} factors;

static void full_step(range r, double *const v[N_VECTORS], factors f, double sum[2]) {
  double *restrict x = v[0], *restrict res = v[1];
  const double *restrict p = v[2], *restrict q = v[4], *restrict s = v[5], *restrict As = v[6];
  double qr = 0, rr = 0;
#pragma omp simd reduction(+ : qr, rr)
  for (int64_t i = r.lo; i < r.hi; i++) {
    x[i] += f.alpha * p[i] + f.omega * s[i];
    const double next = s[i] - f.omega * As[i];
    res[i] = next;
    qr += q[i] * next;
    rr += next * next;
  }
  sum[0] = qr;
  sum[1] = rr;
}

static void bicgstab_direction(range r, double *restrict p, const double *restrict res,
                               const double *restrict Ap, factors f) {
#pragma omp simd
  for (int64_t i = r.lo; i < r.hi; i++) p[i] = res[i] + f.beta * (p[i] - f.omega * Ap[i]);
}

static void bicgstab_loop(krylov *k, int64_t passes) {
  double *res = k->v[1], *p = k->v[2], *Ap = k->v[3], *q = k->v[4], *s = k->v[5], *As = k->v[6];
  range r = my_range(k);
  double rho = k->rho, sum[2];
  for (int64_t it = 0; it < passes; it++) {
    factors f;
    product_dots(r, p, Ap, q, sum);
    all_sum(k, &r, sum, 1);
    f.alpha = rho / sum[0];
    half_step(r, s, res, Ap, f.alpha);
    join(k);
    product_dots(r, s, As, s, sum);
    all_sum(k, &r, sum, 2);
    f.omega = sum[0] / sum[1];
    full_step(r, k->v, f, sum);
    all_sum(k, &r, sum, 2);
    f.beta = (sum[0] / rho) * (f.alpha / f.omega);
    rho = sum[0];
    bicgstab_direction(r, p, res, Ap, f);
    join(k);
  }
  if (r.id == 0) k->scalar[0] = rho;
}

static void bicgstab_run(void *self, int64_t passes) {
  krylov *k = self;
  omp_set_num_threads(k->threads);
  if (k->threads == 1) {
    bicgstab_loop(k, passes);
  } else {
#pragma omp parallel
    bicgstab_loop(k, passes);
  }
  k->rho = k->scalar[0];
}

/* ---- the power method ----------------------------------------------------------------------------- */

static void power_product(range r, const double *restrict x, double *restrict y, double sum[3]) {
  double xx = 0, xy = 0, yy = 0;
  for (int64_t i = r.lo; i < r.hi; i++) {
    const double v = row_dot(r.k, i, x);
    y[i] = v;
    xx += x[i] * x[i];
    xy += x[i] * v;
    yy += v * v;
  }
  sum[0] = xx;
  sum[1] = xy;
  sum[2] = yy;
}

static void power_scale(range r, double *restrict x, const double *restrict y, double norm) {
#pragma omp simd
  for (int64_t i = r.lo; i < r.hi; i++) x[i] = y[i] / norm;
}

static void power_loop(krylov *k, int64_t passes) {
  double *x = k->v[0], *y = k->v[3];
  range r = my_range(k);
  double value = 0;
  for (int64_t it = 0; it < passes; it++) {
    double sum[3];
    power_product(r, x, y, sum);
    all_sum(k, &r, sum, 3);
    value = sum[1] / sum[0];
    power_scale(r, x, y, __builtin_sqrt(sum[2]));
    join(k);
  }
  if (r.id == 0) k->scalar[0] = value;
}

static void power_run(void *self, int64_t passes) {
  krylov *k = self;
  omp_set_num_threads(k->threads);
  if (k->threads == 1) {
    power_loop(k, passes);
  } else {
#pragma omp parallel
    power_loop(k, passes);
  }
}

/* ---- the programs ----------------------------------------------------------------------------------- */

/* x = 0 and r = p = q = b = 1; the power method starts from x = 1. */
static void reset_to(krylov *k, double x) {
  for (int64_t i = 0; i < k->n; i++) {
    k->v[0][i] = x;
    k->v[1][i] = k->v[2][i] = 1;
    if (k->v[4]) k->v[4][i] = 1;
  }
  k->rho = (double)k->n;
}
static void reset_solver(void *self) { reset_to(self, 0); }
static void reset_power(void *self) { reset_to(self, 1); }

static void result(void *self, double *out) {
  const krylov *k = self;
  memcpy(out, k->v[0], (size_t)k->n * sizeof *out);
}

static void free_krylov(void *self) {
  krylov *k = self;
  bench_free(k->ptr, (size_t)(k->n + 1) * sizeof *k->ptr);
  bench_free(k->col, (size_t)k->nnz * sizeof *k->col);
  bench_free(k->val, (size_t)k->nnz * sizeof *k->val);
  for (int i = 0; i < N_VECTORS; i++) bench_free(k->v[i], (size_t)k->n * sizeof(double));
  free(k);
}

/* Takes the matrix; bytes of an iteration: `products` times the matrix and so many vectors. */
static bench_prog make(bench_matrix a, int threads, int vectors, int products, int touched) {
  krylov *k = bench_need(sizeof *k);
  memset(k, 0, sizeof *k);
  k->n = a.n;
  k->nnz = a.nnz;
  k->threads = threads < MOST_THREADS ? threads : MOST_THREADS;
  k->ptr = bench_alloc((size_t)(a.n + 1) * sizeof *k->ptr);
  k->col = bench_alloc((size_t)a.nnz * sizeof *k->col);
  k->val = bench_alloc((size_t)a.nnz * sizeof *k->val);
  for (int64_t i = 0; i <= a.n; i++) k->ptr[i] = (int32_t)a.ptr[i];
  for (int64_t e = 0; e < a.nnz; e++) k->col[e] = (int32_t)a.col[e];
  memcpy(k->val, a.val, (size_t)a.nnz * sizeof *k->val);
  for (int i = 0; i < vectors; i++) k->v[i] = bench_alloc((size_t)a.n * sizeof(double));
  const double matrix = 12.0 * (double)a.nnz + 4.0 * ((double)a.n + 1);
  const double bytes = products * matrix + 8.0 * touched * (double)a.n;
  const int64_t n = a.n;
  bench_matrix_free(&a);
  return (bench_prog){.self = k,
                      .reset = reset_solver,
                      .result = result,
                      .free = free_krylov,
                      .n_result = n,
                      .bytes = bytes};
}

bench_prog bench_base_cg(int64_t side, int threads) {
  bench_prog p = make(bench_matrix_poisson(side), threads, 4, 1, 2 + 6 + 3);
  p.run = cg_run;
  reset_solver(p.self);
  return p;
}

bench_prog bench_base_bicgstab(int64_t side, int threads) {
  bench_prog p = make(bench_matrix_poisson(side), threads, 7, 2, 3 + 3 + 2 + 7 + 4);
  p.run = bicgstab_run;
  reset_solver(p.self);
  return p;
}

bench_prog bench_base_power(int64_t n, int threads) {
  bench_prog p = make(bench_matrix_random(n), threads, 4, 1, 2 + 2);
  p.run = power_run;
  p.reset = reset_power;
  reset_power(p.self);
  return p;
}
