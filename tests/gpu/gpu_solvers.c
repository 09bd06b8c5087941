/* SPDX-License-Identifier: Apache-2.0
 * tests/gpu/gpu_solvers.c -- see gpu_programs.h: products, systems of equations, triangles, Fourier transforms, which NVIDIA's
 * libraries do on a GPU; and what must hold of their results whatever their order of operations.
 *
 * How: matrices are such that a vector of ones is a fixed point and all else comes closer to it, so that a loop on its own
 *      result neither grows nor vanishes. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reprise_dense.h"
#include "reprise_fourier.h"
#include "reprise_sparse.h"
#include "tests/gpu/bench_gpu.h"

enum { LINE = 4096, SMALL_LINE = 24 };

/* ---- dense ----------------------------------------------------------------------------------------------- */

typedef struct dense {
  rp_context *ctx;
  rp_store *a, *b[2]; /* b: a vector and nothing, or two matrices by turns */
  rp_status (*solve)(rp_store *a, rp_store *b, rp_store **x);
  int64_t n, passes;
} dense;

/* Symmetric: what is off the diagonal is random, `off` of it in a row at most; rows add up to 1. */
static double *make_matrix(int64_t n, double off) {
  uint64_t seed = 11;
  double *a = bench_alloc((size_t)(n * n) * sizeof *a);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < i; j++)
      a[i * n + j] = a[j * n + i] = off / (double)n * bench_random(&seed);
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    a[i * n + i] = 0;
    for (int64_t j = 0; j < n; j++) sum += a[i * n + j];
    a[i * n + i] = 1 - sum;
  }
  return a;
}

static void solve_run(void *self, int64_t passes) {
  dense *d = self;
  for (int64_t i = 0; i < passes; i++) {
    rp_store *x;
    RP_CHECK(rp_trace_begin(d->ctx, 1));
    RP_CHECK(d->solve(d->a, d->b[0], &x));
    RP_CHECK(rp_store_release(d->b[0]));
    d->b[0] = x;
    RP_CHECK(rp_trace_end(d->ctx, 1));
  }
}

static void gemm_run(void *self, int64_t passes) {
  dense *d = self;
  for (int64_t i = 0; i < passes; i++, d->passes++) {
    const int64_t way = d->passes % 2;
    RP_CHECK(rp_trace_begin(d->ctx, 1 + way));
    RP_CHECK(rp_dense_gemm(0, 1, d->a, d->b[way], 0, d->b[1 - way]));
    RP_CHECK(rp_trace_end(d->ctx, 1 + way));
  }
}

static void dense_reset(void *self) {
  dense *d = self;
  gpu_fill(d->b[0], 13);
  d->passes = 0;
}

static void dense_result(void *self, double *out) {
  const dense *d = self;
  gpu_read(d->b[d->passes % 2], out);
}

static void dense_free(void *self) {
  dense *d = self;
  rp_store *const all[] = {d->a, d->b[0], d->b[1]};
  for (int i = 0; i < 3; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(d->ctx));
  free(d);
}

/* `solve` NULL: a product. */
static bench_prog dense_make(const char *config, int64_t n, double off,
                             rp_status (*solve)(rp_store *a, rp_store *b, rp_store **x)) {
  const int64_t shape[] = {n, n};
  const size_t bytes = (size_t)(n * n) * sizeof(double);
  dense *d = bench_need(sizeof *d);
  *d = (dense){.solve = solve, .n = n};
  RP_CHECK(rp_context_create(config, &d->ctx));
  RP_CHECK(rp_store_create(d->ctx, RP_F64, 2, shape, &d->a));
  for (int k = 0; k < (solve ? 1 : 2); k++)
    RP_CHECK(rp_store_create(d->ctx, RP_F64, solve ? 1 : 2, shape, &d->b[k]));
  double *a = make_matrix(n, off);
  RP_CHECK(rp_store_write(d->a, a, bytes));
  bench_free(a, bytes);
  dense_reset(d);
  return (bench_prog){.self = d,
                      .reset = dense_reset,
                      .run = solve ? solve_run : gemm_run,
                      .result = dense_result,
                      .free = dense_free,
                      .n_result = solve ? n : n * n,
                      .ctx = d->ctx};
}

bench_prog gpu_gemm(const char *config, int64_t n) { return dense_make(config, n, 1, NULL); }
bench_prog gpu_solve(const char *config, int64_t n) {
  return dense_make(config, n, -1, rp_dense_solve);
}
bench_prog gpu_cholesky(const char *config, int64_t n) {
  return dense_make(config, n, -1, rp_dense_solve_spd);
}

/* ---- a triangle ------------------------------------------------------------------------------------------- */

typedef struct triangle {
  rp_context *ctx;
  rp_csr *a;
  rp_store *x;
} triangle;

static void triangle_run(void *self, int64_t passes) {
  triangle *t = self;
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_trace_begin(t->ctx, 1));
    RP_CHECK(rp_csr_solve_triangular_to(t->a, t->x, 0, t->x));
    RP_CHECK(rp_trace_end(t->ctx, 1));
  }
}

static void triangle_reset(void *self) {
  const triangle *t = self;
  RP_CHECK(rp_store_fill(t->x, &(double){1}));
}

static void triangle_result(void *self, double *out) { gpu_read(((triangle *)self)->x, out); }

static void triangle_free(void *self) {
  triangle *t = self;
  RP_CHECK(rp_store_release(t->x));
  RP_CHECK(rp_csr_release(t->a));
  RP_CHECK(rp_context_destroy(t->ctx));
  free(t);
}

bench_prog gpu_triangle(const char *config, int64_t n) {
  static const int64_t offsets[] = {0, 0, -1, 0, 1, 0, 0, -1, 0, 1};
  static const double values[] = {3, -1, -1, -1, -1}; /* those on the other side are passed over */
  const int64_t shape[] = {n, n}, unknowns = n * n;
  triangle *t = bench_need(sizeof *t);
  RP_CHECK(rp_context_create(config, &t->ctx));
  RP_CHECK(rp_csr_from_stencil(t->ctx, RP_F64, 2, shape, 5, offsets, values, &t->a));
  RP_CHECK(rp_store_create(t->ctx, RP_F64, 1, &unknowns, &t->x));
  triangle_reset(t);
  return (bench_prog){.self = t,
                      .reset = triangle_reset,
                      .run = triangle_run,
                      .result = triangle_result,
                      .free = triangle_free,
                      .n_result = unknowns,
                      .ctx = t->ctx};
}

/* ---- Fourier transforms ------------------------------------------------------------------------------------ */

typedef struct fourier {
  rp_context *ctx;
  rp_store *u, *w;
  bool plane;
} fourier;

static void fourier_run(void *self, int64_t passes) {
  const fourier *f = self;
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_trace_begin(f->ctx, 1));
    RP_CHECK(f->plane ? rp_fourier_forward_real(2, f->u, f->w) : rp_fourier_forward(1, f->u, f->w));
    RP_CHECK(f->plane ? rp_fourier_inverse_real(2, f->w, f->u) : rp_fourier_inverse(1, f->w, f->u));
    RP_CHECK(rp_trace_end(f->ctx, 1));
  }
}

static void fourier_reset(void *self) { gpu_fill(((fourier *)self)->u, 17); }

static void fourier_result(void *self, double *out) { gpu_read(((fourier *)self)->u, out); }

static void fourier_free(void *self) {
  fourier *f = self;
  RP_CHECK(rp_store_release(f->u));
  RP_CHECK(rp_store_release(f->w));
  RP_CHECK(rp_context_destroy(f->ctx));
  free(f);
}

static bench_prog fourier_make(const char *config, int64_t n, bool plane) {
  const int64_t real[] = {n, n}, half[] = {n, n / 2 + 1, 2},
                lines[] = {n, gpu_small ? SMALL_LINE : LINE, 2};
  fourier *f = bench_need(sizeof *f);
  f->plane = plane;
  RP_CHECK(rp_context_create(config, &f->ctx));
  RP_CHECK(
      rp_store_create(f->ctx, plane ? RP_F64 : RP_F32, plane ? 2 : 3, plane ? real : lines, &f->u));
  RP_CHECK(rp_store_create(f->ctx, plane ? RP_F64 : RP_F32, 3, plane ? half : lines, &f->w));
  fourier_reset(f);
  return (bench_prog){.self = f,
                      .reset = fourier_reset,
                      .run = fourier_run,
                      .result = fourier_result,
                      .free = fourier_free,
                      .n_result = rp_store_size(f->u),
                      .ctx = f->ctx};
}

bench_prog gpu_fourier_plane(const char *config, int64_t n) {
  return fourier_make(config, n, true);
}
bench_prog gpu_fourier_lines(const char *config, int64_t n) {
  return fourier_make(config, n, false);
}

/* ---- what must hold ---------------------------------------------------------------------------------------- */

/* |b - a x| of the largest norms over |a| |x| n eps, which LAPACK's own tests want below 30. */
static double residual(int64_t n, const double *a, const double *b, const double *x) {
  double of_a = 0, of_x = 0, of_r = 0;
  for (int64_t i = 0; i < n; i++) {
    double r = b[i], sum = 0;
    for (int64_t j = 0; j < n; j++) {
      r -= a[i * n + j] * x[j];
      sum += fabs(a[i * n + j]);
    }
    of_a = fmax(of_a, sum);
    of_x = fmax(of_x, fabs(x[i]));
    if (!(fabs(r) <= of_r)) of_r = fabs(r); /* a NaN stays */
  }
  return of_r / (of_a * of_x * (double)n * DBL_EPSILON);
}

/* One pass from the beginning: what it solved, and how well. */
static bool check_residual(const char *name, bench_prog (*make)(const char *, int64_t), int64_t n) {
  static const double most = 30;
  char row[64];
  double *a = make_matrix(n, -1), *b = bench_need((size_t)n * sizeof *b),
         *x = bench_need((size_t)n * sizeof *x);
  bench_prog p = make(gpu_config(), n);
  p.result(p.self, b);
  p.run(p.self, 1);
  p.result(p.self, x);
  const double r = residual(n, a, b, x);
  const bool met = r <= most;
  snprintf(row, sizeof row, "residual_%s", name);
  gpu_print(row, r, "n eps", &most, &met, "|b - a x| of |a| |x|: at most as in LAPACK's tests");
  bench_prog_free(&p);
  bench_free(a, (size_t)(n * n) * sizeof *a);
  free(b);
  free(x);
  return met;
}

/* The sentence of reading x must say that it is poisoned, by the launch of that name. */
static bool poisoned(const char *row, rp_store *x, const char *launch) {
  double out;
  const int64_t lo[] = {0}, hi[] = {1};
  const rp_status st = rp_store_read_part(x, lo, hi, &out, sizeof out);
  const bool good = st == RP_ERR_DATA && strstr(rp_last_error(), launch);
  if (!good)
    fprintf(stderr, "bench_gpu: %s: %s: %s\n", row, rp_status_name(st),
            st ? rp_last_error() : "no error");
  RP_CHECK(rp_store_release(x));
  return gpu_print_yes(row, good, "reading the solution is RP_ERR_DATA and names the launch");
}

static bool check_poison(void) {
  enum { N = 96 };
  static double a[N * N], b[N];
  const int64_t shape[] = {N, N};
  rp_context *ctx;
  rp_store *m, *right, *x;
  for (int i = 0; i < N; i++) b[i] = 1, a[i * N + i] = i == 40 ? 0 : 2;
  RP_CHECK(rp_context_create(gpu_config(), &ctx));
  RP_CHECK(rp_store_create(ctx, RP_F64, 2, shape, &m));
  RP_CHECK(rp_store_create(ctx, RP_F64, 1, shape, &right));
  RP_CHECK(rp_store_write(m, a, sizeof a));
  RP_CHECK(rp_store_write(right, b, sizeof b));
  RP_CHECK(rp_dense_solve(m, right, &x));
  bool good = poisoned("poison_singular", x, "dense.lu_pivots");
  a[40 * N + 40] = -1;
  RP_CHECK(rp_store_write(m, a, sizeof a));
  RP_CHECK(rp_dense_solve_spd(m, right, &x));
  good = poisoned("poison_indefinite", x, "dense.cholesky_lower") && good;
  RP_CHECK(rp_dense_solve(m, right, &x)); /* regular: the context goes on */
  RP_CHECK(rp_store_read(x, b, sizeof b));
  good = gpu_print_yes("regular_behind_poison", b[40] == -1 && b[41] == 0.5, NULL) && good;
  rp_store *const all[] = {m, right, x};
  for (int i = 0; i < 3; i++) RP_CHECK(rp_store_release(all[i]));
  (void)rp_context_destroy(ctx); /* says again that something was poisoned */
  return good;
}

bool gpu_solver_checks(void) {
  const int64_t n = gpu_small ? 64 : 1000;
  bool good = check_residual("solve", gpu_solve, n);
  good = check_residual("cholesky", gpu_cholesky, n) && good;
  return check_poison() && good;
}
