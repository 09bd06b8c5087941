/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_solve_api.c -- the solvers through a context: the answer put into A x = b by a host loop,
 * known eigenvalues, matrix-free operators, options and errors. */
#include "tests/support/api_group.h"

#include <math.h>

#include "core/include/reprise_solve.h"

enum { SIDE = 12, N = SIDE * SIDE };

static const int64_t n = N;

/* Coefficients of centre, up, down, left, right: Poisson, and one that is not symmetric. */
static const double poisson[] = {4, -1, -1, -1, -1}, convection[] = {4, -1.5, -0.5, -1.25, -0.75};

static rp_operator *make(rp_dtype dtype, const double *coefficient) {
  static const int64_t offset[] = {0, 0, -1, 0, 1, 0, 0, -1, 0, 1}, shape[] = {SIDE, SIDE};
  rp_csr *a;
  rp_operator *op;
  OK(rp_csr_from_stencil(ctx, dtype, 2, shape, 5, offset, coefficient, &a));
  OK(rp_operator_from_csr(a, &op));
  OK(rp_csr_release(a));
  return op;
}

static rp_store *vector(rp_dtype dtype, const double *data) {
  rp_store *s;
  float narrow[N];
  for (int k = 0; k < N; k++) narrow[k] = (float)data[k];
  OK(rp_store_create(ctx, dtype, 1, &n, &s));
  OK(rp_store_write(s, dtype == RP_F32 ? (const void *)narrow : data, N * rp_dtype_size(dtype)));
  return s;
}

static void values(rp_store *s, double *out) {
  float narrow[N];
  const rp_dtype dtype = rp_store_dtype(s);
  OK(rp_store_read(s, dtype == RP_F32 ? (void *)narrow : out, N * rp_dtype_size(dtype)));
  for (int k = 0; dtype == RP_F32 && k < N; k++) out[k] = (double)narrow[k];
}

/* |b - A x| by loops. */
static double residual(const double *c, const double *b, const double *x) {
  double sum = 0;
  for (int i = 0; i < SIDE; i++) {
    for (int j = 0; j < SIDE; j++) {
      const int k = i * SIDE + j;
      double r = b[k] - c[0] * x[k];
      if (i > 0) r -= c[1] * x[k - SIDE];
      if (i < SIDE - 1) r -= c[2] * x[k + SIDE];
      if (j > 0) r -= c[3] * x[k - 1];
      if (j < SIDE - 1) r -= c[4] * x[k + 1];
      sum += r * r;
    }
  }
  return sqrt(sum);
}

typedef rp_status (*solver)(rp_operator *, rp_store *, rp_store *, const rp_solve_options *,
                            rp_solve_result *);

static const struct {
  solver solve;
  const double *coefficient;
  int64_t max_iterations;
} cases[] = {{rp_solve_cg, poisson, 200},       {rp_solve_pcg, poisson, 200},
             {rp_solve_bicgstab, poisson, 200}, {rp_solve_bicgstab, convection, 200},
             {rp_solve_jacobi, poisson, 2000},  {rp_solve_jacobi, convection, 2000}};

static void test_solvers(void **state) {
  (void)state;
  double b[N], x[N], guess[N];
  for (int k = 0; k < N; k++) {
    b[k] = sin(0.7 * k) + 0.5;
    guess[k] = cos(1.3 * k);
  }
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    for (int t = 0; t < 2; t++) {
      const rp_dtype dtype = t ? RP_F32 : RP_F64;
      rp_operator *a = make(dtype, cases[c].coefficient);
      rp_store *sb = vector(dtype, b), *sx = vector(dtype, guess);
      const rp_solve_options options = {.struct_size = sizeof options,
                                        .check_every = 10,
                                        .max_iterations = cases[c].max_iterations};
      rp_solve_result result = {.struct_size = sizeof result};
      OK(cases[c].solve(a, sb, sx, &options, &result));
      values(sx, x);
      const double found = residual(cases[c].coefficient, b, x), zero[N] = {0};
      const double norm_b = residual(poisson, b, zero);
      assert_int_equal(result.converged, 1);
      assert_int_equal(result.iterations % 10, 0);
      assert_true(result.iterations > 0 && result.iterations < cases[c].max_iterations);
      if (!(found <= norm_b * (t ? 2e-4 : 2e-8))) fail_msg("case %zu: residual %g", c, found);
      OK(rp_store_release(sb));
      OK(rp_store_release(sx));
      OK(rp_operator_release(a));
    }
  }
}

/* The eigenvalues of the Poisson matrix are 4 - 2 cos(i h) - 2 cos(j h), h = pi/(SIDE + 1). */
static void test_power(void **state) {
  (void)state;
  double guess[N];
  for (int k = 0; k < N; k++) guess[k] = ((k / SIDE + k % SIDE) % 2 ? -1 : 1) + 0.1 * sin(2.1 * k);
  rp_operator *a = make(RP_F64, poisson);
  rp_store *x = vector(RP_F64, guess);
  const rp_solve_options options = {
      .struct_size = sizeof options, .max_iterations = 3000, .rtol = 1e-7};
  rp_solve_result result = {.struct_size = sizeof result};
  OK(rp_solve_power(a, x, &options, &result));
  const double want = 4 + 4 * cos(3.14159265358979323846 / (SIDE + 1));
  assert_int_equal(result.converged, 1);
  assert_true(fabs(result.value - want) < 1e-10);
  values(x, guess);
  double norm = 0;
  for (int k = 0; k < N; k++) norm += guess[k] * guess[k];
  assert_true(fabs(norm - 1) < 1e-12);
  memset(guess, 0, sizeof guess);
  OK(rp_store_write(x, guess, sizeof guess));
  assert_int_equal(rp_solve_power(a, x, NULL, NULL), RP_ERR_ARGUMENT);
  OK(rp_store_release(x));
  OK(rp_operator_release(a));
}

/* y = d*x, by one body. */
static rp_status apply_diagonal(void *user, rp_store *x, rp_store *y) {
  rp_store *const stores[] = {y, user, x};
  return rp_eval(ctx, "y, d, x", "y = d*x", stores, 3);
}

static rp_status apply_failing(void *user, rp_store *x, rp_store *y) {
  (void)x;
  (void)y;
  return ++*(int *)user > 3 ? RP_ERR_OPAQUE : RP_OK;
}

static int32_t stop_at_second(void *user, int64_t iteration, double r) {
  (void)iteration;
  (void)r;
  return ++*(int *)user == 2;
}

static void test_matrix_free(void **state) {
  (void)state;
  double d[N], b[N], x[N];
  for (int k = 0; k < N; k++) {
    d[k] = 1 + k % 3;
    b[k] = 5.0 + k;
    x[k] = 0;
  }
  rp_store *sd = vector(RP_F64, d), *sb = vector(RP_F64, b), *sx = vector(RP_F64, x);
  rp_operator *a;
  rp_solve_result result = {.struct_size = sizeof result};
  OK(rp_operator_create(ctx, RP_F64, n, apply_diagonal, sd, sd, &a));
  rp_solve_options options = {.struct_size = sizeof options, .check_every = 1};
  OK(rp_solve_cg(a, sb, sx, &options, &result));
  assert_int_equal(result.converged, 1);
  assert_int_equal(result.iterations, 3); /* as many as there are eigenvalues */
  values(sx, x);
  for (int k = 0; k < N; k++) assert_true(fabs(x[k] * d[k] - b[k]) < 1e-9);
  OK(rp_solve_pcg(a, sb, sx, &options, &result));
  assert_int_equal(result.iterations, 0); /* the guess is the answer */
  const double zero = 0;
  OK(rp_store_fill(sx, &zero));
  OK(rp_solve_pcg(a, sb, sx, &options, &result));
  assert_int_equal(result.iterations, 1);
  OK(rp_store_fill(sx, &zero));
  int calls = 0;
  options.progress = stop_at_second;
  options.user = &calls;
  OK(rp_solve_cg(a, sb, sx, &options, &result));
  assert_int_equal(result.iterations, 1);
  assert_int_equal(result.converged, 0);
  OK(rp_operator_release(a));
  calls = 0;
  OK(rp_operator_create(ctx, RP_F64, n, apply_failing, &calls, NULL, &a));
  assert_int_equal(rp_solve_cg(a, sb, sx, NULL, &result), RP_ERR_OPAQUE);
  assert_int_equal(rp_solve_pcg(a, sb, sx, NULL, &result), RP_ERR_ARGUMENT);
  OK(rp_trace_begin(ctx, 5)); /* the failed pass left no trace open */
  OK(rp_trace_end(ctx, 5));
  OK(rp_operator_release(a));
  OK(rp_store_release(sd));
  OK(rp_store_release(sb));
  OK(rp_store_release(sx));
}

/* Inside a trace of the caller's; with b = 0; after the exact solution. */
static void test_edges(void **state) {
  (void)state;
  double zero[N] = {0}, x[N];
  rp_operator *a = make(RP_F64, poisson);
  rp_store *b = vector(RP_F64, zero), *sx = vector(RP_F64, zero);
  rp_solve_result result = {.struct_size = sizeof result};
  OK(rp_solve_cg(a, b, sx, NULL, &result));
  assert_int_equal(result.converged, 1);
  assert_int_equal(result.iterations, 0);
  for (int k = 0; k < N; k++) x[k] = 1;
  OK(rp_store_write(b, x, sizeof x));
  const rp_solve_options options = {
      .struct_size = sizeof options, .rtol = 1e-300, .max_iterations = 300};
  OK(rp_trace_begin(ctx, 77));
  OK(rp_solve_cg(a, b, sx, &options, &result));
  OK(rp_trace_end(ctx, 77));
  values(sx, x);
  for (int k = 0; k < N; k++) assert_true(isfinite(x[k]));
  OK(rp_store_fill(sx, zero));
  OK(rp_solve_bicgstab(a, b, sx, &options, &result));
  values(sx, x);
  for (int k = 0; k < N; k++) assert_true(isfinite(x[k]));
  OK(rp_store_release(b));
  OK(rp_store_release(sx));
  OK(rp_operator_release(a));
}

static void test_errors(void **state) {
  (void)state;
  double zero[N] = {0};
  const int64_t few = 3;
  rp_operator *a = make(RP_F64, poisson);
  rp_store *b = vector(RP_F64, zero), *narrow = vector(RP_F32, zero), *small;
  OK(rp_store_create(ctx, RP_F64, 1, &few, &small));
  assert_int_equal(rp_solve_cg(NULL, b, b, NULL, NULL), RP_ERR_ARGUMENT);
  assert_int_equal(rp_solve_cg(a, b, NULL, NULL, NULL), RP_ERR_HANDLE);
  assert_int_equal(rp_solve_cg(a, NULL, b, NULL, NULL), RP_ERR_HANDLE);
  assert_int_equal(rp_solve_cg(a, narrow, b, NULL, NULL), RP_ERR_DTYPE);
  assert_int_equal(rp_solve_cg(a, b, small, NULL, NULL), RP_ERR_SHAPE);
  rp_solve_options options = {.struct_size = 3};
  assert_int_equal(rp_solve_cg(a, b, b, &options, NULL), RP_ERR_ARGUMENT);
  options.struct_size = sizeof options;
  options.max_iterations = -1;
  assert_int_equal(rp_solve_cg(a, b, b, &options, NULL), RP_ERR_ARGUMENT);
  OK(rp_operator_release(NULL));
  OK(rp_store_release(small));
  OK(rp_store_release(narrow));
  OK(rp_store_release(b));
  OK(rp_operator_release(a));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_solvers), cmocka_unit_test(test_power),
                                     cmocka_unit_test(test_matrix_free),
                                     cmocka_unit_test(test_edges), cmocka_unit_test(test_errors)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
