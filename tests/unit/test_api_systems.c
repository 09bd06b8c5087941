/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_systems.c -- systems of dense equations: solutions against what they were made from, in both dtypes,
 * on any number of threads and ranks, and on the emulated GPU by a library in cuSOLVER's place; matrices without a solution;
 * errors. */
#include "tests/support/gpu_context.h"

#include <math.h>
#include <pthread.h>

#include "core/include/reprise_dense.h"
#include "tests/support/fake_cusolver.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

/* A matrix whose elements are known; n on the diagonal if it is to be positive. */
static double element(int64_t i, int64_t j, int64_t n, bool positive) {
  const int64_t lo = i < j ? i : j, hi = i < j ? j : i;
  const double v = (double)((hi * 31 + lo * 17 + hi * lo % 13) % 19 - 9) / 8;
  if (positive) return i == j ? (double)(2 * n) : v;
  return v + (double)((i * 7 + j * 3) % 5);
}

static rp_store *made(rp_context *c, rp_dtype dtype, int32_t ndim, int64_t n, int64_t m,
                      const double *data) {
  const int64_t shape[] = {n, m};
  const size_t count = (size_t)(ndim == 2 ? n * m : n);
  float *narrow = malloc((count + 1) * sizeof *narrow);
  rp_store *s;
  for (size_t i = 0; i < count; i++) narrow[i] = (float)data[i];
  OK(rp_store_create(c, dtype, ndim, shape, &s));
  OK(rp_store_write(s, dtype == RP_F64 ? (const void *)data : narrow,
                    count * rp_dtype_size(dtype)));
  free(narrow);
  return s;
}

static void values_of(rp_store *s, double *out) {
  const size_t n = (size_t)rp_store_size(s);
  float *narrow = malloc((n + 1) * sizeof *narrow);
  if (rp_store_dtype(s) == RP_F64) OK(rp_store_read(s, out, n * sizeof *out));
  if (rp_store_dtype(s) == RP_F32) OK(rp_store_read(s, narrow, n * sizeof *narrow));
  for (size_t i = 0; i < n && rp_store_dtype(s) == RP_F32; i++) out[i] = (double)narrow[i];
  free(narrow);
}

typedef struct system_of {
  int64_t n, m; /* m 0: b is a vector */
  rp_store *a, *b;
  double *x; /* the solution: small integers */
} system_of;

static system_of make_system(rp_context *c, rp_dtype dtype, int64_t n, int64_t m, bool positive) {
  const int64_t cols = m ? m : 1;
  system_of s = {.n = n, .m = m, .x = malloc((size_t)(n * cols + 1) * sizeof *s.x)};
  double *a = calloc((size_t)(n * n + 1), sizeof *a),
         *b = calloc((size_t)(n * cols + 1), sizeof *b);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++)
      a[i * n + j] =
          dtype == RP_F32 ? (double)(float)element(i, j, n, positive) : element(i, j, n, positive);
  for (int64_t i = 0; i < n * cols; i++) s.x[i] = (double)(i * 5 % 7 - 3);
  for (int64_t i = 0; i < n; i++)
    for (int64_t r = 0; r < cols; r++) {
      for (int64_t j = 0; j < n; j++) b[i * cols + r] += a[i * n + j] * s.x[j * cols + r];
    }
  s.a = made(c, dtype, 2, n, n, a);
  s.b = made(c, dtype, m ? 2 : 1, n, cols, b);
  free(a);
  free(b);
  return s;
}

static void end_system(system_of *s) {
  OK(rp_store_release(s->a));
  OK(rp_store_release(s->b));
  free(s->x);
}

static void check_solution(const system_of *s, rp_store *x, const char *what) {
  const size_t n = (size_t)rp_store_size(x);
  const double near = rp_store_dtype(x) == RP_F64 ? 1e-9 : 2e-2;
  double *got = malloc((n + 1) * sizeof *got);
  assert_int_equal(rp_store_ndim(x), s->m ? 2 : 1);
  assert_int_equal(rp_store_extent(x, 0), s->n);
  if (s->m) assert_int_equal(rp_store_extent(x, 1), s->m);
  values_of(x, got);
  for (size_t i = 0; i < n; i++)
    if (!(fabs(got[i] - s->x[i]) <= near))
      fail_msg("%s of %lld, %s, element %zu: %.9g, not %.9g", what, (long long)s->n,
               rp_dtype_name(rp_store_dtype(x)), i, got[i], s->x[i]);
  free(got);
}

static void check_system(rp_context *c, rp_dtype dtype, int64_t n, int64_t m) {
  rp_store *x, *lu, *pivots, *l;
  system_of s = make_system(c, dtype, n, m, false), p = make_system(c, dtype, n, m, true);
  OK(rp_dense_solve(s.a, s.b, &x));
  check_solution(&s, x, "solve");
  OK(rp_store_release(x));
  OK(rp_dense_lu(s.a, &lu, &pivots));
  OK(rp_dense_lu_solve(lu, pivots, s.b, &x));
  check_solution(&s, x, "lu_solve");
  OK(rp_store_release(x));
  OK(rp_dense_solve_spd(p.a, p.b, &x));
  check_solution(&p, x, "solve_spd");
  OK(rp_store_release(x));
  OK(rp_dense_cholesky(p.a, &l));
  OK(rp_dense_cholesky_solve(l, p.b, &x));
  check_solution(&p, x, "cholesky_solve");
  rp_store *const all[] = {x, lu, pivots, l};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  end_system(&s);
  end_system(&p);
}

static void check_all(rp_context *c) {
  static const int64_t sizes[][2] = {{1, 0},   {2, 1}, {5, 3}, {33, 0},
                                     {70, 40}, {0, 0}, {0, 2}, {9, 0}};
  for (int i = 0; i < COUNT(sizes); i++) {
    check_system(c, RP_F64, sizes[i][0], sizes[i][1]);
    check_system(c, RP_F32, sizes[i][0], sizes[i][1]);
  }
}

static void test_solutions(void **state) {
  (void)state;
  static const char *const ways[] = {"--threads 1", "--threads 2 --grain 1024"};
  for (int i = 0; i < COUNT(ways); i++) {
    rp_context *c = check_context(ways[i]);
    check_all(c);
    OK(rp_context_destroy(c));
  }
}

/* ---- bits ---- */

enum { N = 96, M = 60 }; /* a matrix of 72 KiB, which ranks share out */

static void solve_bits(rp_context *c, double *out) {
  system_of s = make_system(c, RP_F64, N, M, false);
  rp_store *x, *l;
  OK(EVAL(c, "b", "b = exp(b/300)", s.b));
  OK(rp_dense_solve(s.a, s.b, &x));
  values_of(x, out);
  OK(EVAL(c, "a", "a[i,j] = where(i == j, 1000., 1/(1. + i + j))", s.a));
  OK(rp_dense_cholesky(s.a, &l));
  values_of(l, out + N * M);
  OK(rp_store_release(x));
  OK(rp_store_release(l));
  end_system(&s);
}

static void test_threads(void **state) {
  (void)state;
  static double bits[2][N * M + N * N];
  for (int i = 0; i < 2; i++) {
    rp_context *c = check_context(i ? "--threads 4 --grain 1024" : "--threads 1");
    solve_bits(c, bits[i]);
    OK(rp_context_destroy(c));
  }
  assert_memory_equal(bits[0], bits[1], sizeof bits[0]);
}

typedef struct rank_run {
  int32_t rank;
  pthread_t thread;
  double bits[N * M + N * N];
} rank_run;

static void *as_rank(void *arg) {
  rank_run *r = arg;
  rp_context *c = check_context_of(
      "--ranks 3 --transport threads --world systems --threads 2 --grain 1024 --tile 1024",
      r->rank);
  solve_bits(c, r->bits);
  check_all(c);
  OK(rp_context_destroy(c));
  return NULL;
}

static void test_ranks(void **state) {
  (void)state;
  static double alone[N * M + N * N];
  static rank_run ranks[3];
  rp_context *c = check_context("--threads 1");
  solve_bits(c, alone);
  OK(rp_context_destroy(c));
  for (int i = 0; i < COUNT(ranks); i++) {
    ranks[i].rank = i;
    assert_int_equal(pthread_create(&ranks[i].thread, NULL, as_rank, &ranks[i]), 0);
  }
  for (int i = 0; i < COUNT(ranks); i++) {
    assert_int_equal(pthread_join(ranks[i].thread, NULL), 0);
    assert_memory_equal(ranks[i].bits, alone, sizeof alone);
  }
}

/* ---- what is read and written ---- */

/* Views go in; zeros come out above l's diagonal, whatever lay there; a and b are as they were. */
static void test_views(void **state) {
  (void)state;
  rp_context *c = check_context("");
  const int64_t shape[] = {2, 4}, rows[] = {2, 1};
  rp_store *wide = check_store(c, 2, shape, (double[]){4, 9, NAN, 9, 2, 9, 5, 9}), *a, *t, *l, *x;
  rp_store *b = check_store(c, 2, rows, (double[]){8, 14});
  OK(rp_store_slice(wide, 1, 0, 4, 2, &a));
  OK(rp_dense_cholesky(a, &l));
  check_values(l, (double[]){2, 0, 1, 2});
  OK(rp_dense_solve_spd(a, b, &x));
  check_values(x, (double[]){0.75, 2.5});
  OK(rp_store_release(x));
  check_values(b, (double[]){8, 14});
  OK(rp_store_transpose(l, (int32_t[]){1, 0}, &t));
  OK(rp_dense_solve(t, b, &x)); /* 2 1 / 0 2 */
  check_values(x, (double[]){0.5, 7});
  check_values(l, (double[]){2, 0, 1, 2});
  rp_store *const all[] = {wide, a, t, l, x, b};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  OK(rp_context_destroy(c));
}

/* The factors as LAPACK would have them of a matrix of columns. */
static void test_factors(void **state) {
  (void)state;
  rp_context *c = check_context("");
  const int64_t shape[] = {3, 3};
  rp_store *a = check_store(c, 2, shape, (double[]){1, 4, 2, 3, 4, 8, 5, 4, 1}), *lu, *pivots;
  int64_t p[3];
  OK(rp_dense_lu(a, &lu, &pivots));
  check_values(lu, (double[]){4, 0.5, 0.25, 4, 6, 1. / 3, 4, -1, 13. / 3});
  OK(rp_store_read(pivots, p, sizeof p));
  assert_int_equal(p[0], 2);
  assert_int_equal(p[1], 3);
  assert_int_equal(p[2], 3);
  rp_store *const all[] = {a, lu, pivots};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  OK(rp_context_destroy(c));
}

/* Replayed: a matrix that changes, and so does its solution. */
static void test_loop(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *a = check_store(c, 2, (int64_t[]){2, 2}, (double[]){2, 0, 0, 4});
  rp_store *b = check_vector(c, 2, (double[]){64, 64}), *x = NULL;
  for (int i = 0; i < 6; i++) {
    rp_store_release(x);
    OK(rp_trace_begin(c, 1));
    OK(rp_dense_solve(a, b, &x));
    OK(EVAL(c, "a", "a = 2*a", a));
    OK(rp_trace_end(c, 1));
    if (i > 3) check_values(x, (double[]){32 >> i, 16. / (1 << i)});
  }
  rp_store *const all[] = {a, b, x};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  OK(rp_context_destroy(c));
}

/* ---- no solution ---- */

static void check_poison(rp_context *c) {
  rp_store *a = check_store(c, 2, (int64_t[]){2, 2}, (double[]){1, 2, 2, 4});
  rp_store *b = check_vector(c, 2, (double[]){1, 2}), *x, *lu, *pivots, *l;
  double v[4];
  OK(rp_dense_solve(a, b, &x));
  FAILS(RP_ERR_DATA, "dense.lu_pivots, launch ", rp_store_read(x, v, 16));
  FAILS(RP_ERR_DATA, "met an index out of range of stores[3] ('no_zero_pivot')",
        rp_store_read(x, v, 16));
  OK(rp_store_release(x));
  OK(rp_dense_lu(a, &lu, &pivots));
  OK(rp_store_read(lu, v, sizeof v)); /* to its end, as LAPACK does it */
  assert_true(v[0] == 2 && v[1] == 0.5 && v[2] == 4 && v[3] == 0);
  FAILS(RP_ERR_DATA, "lu_pivots", rp_store_read(pivots, v, 16));
  OK(rp_dense_solve_spd(a, b, &x));
  FAILS(RP_ERR_DATA, "dense.cholesky_lower, launch ", rp_store_read(x, v, 16));
  OK(rp_dense_cholesky(a, &l));
  FAILS(RP_ERR_DATA, "out of range of stores[3] ('no_pivot_below_zero')",
        rp_store_read(l, v, sizeof v));
  rp_store *const all[] = {a, b, x, lu, pivots, l};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  assert_int_equal(rp_wait(c), RP_ERR_DATA);
}

static void test_poison(void **state) {
  (void)state;
  rp_context *c = check_context("");
  check_poison(c);
  OK(rp_context_destroy(c));
}

static void test_errors(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *a = check_store(c, 2, (int64_t[]){2, 2}, (double[]){1, 0, 0, 1}), *x, *y;
  rp_store *tall = check_store(c, 2, (int64_t[]){3, 2}, NULL), *b = check_vector(c, 3, NULL);
  rp_store *cube = check_store(c, 3, (int64_t[]){2, 2, 2}, NULL), *f, *p, *bad;
  OK(rp_store_create(c, RP_F32, 1, (int64_t[]){2}, &f));
  OK(rp_store_create(c, RP_I64, 1, (int64_t[]){3}, &p));
  OK(rp_store_create(c, RP_I64, 1, (int64_t[]){2}, &bad));
  FAILS(RP_ERR_SHAPE, "rp_dense_solve: a is 3 x 2, not square", rp_dense_solve(tall, b, &x));
  assert_null(x);
  FAILS(RP_ERR_SHAPE, "rp_dense_solve_spd: a is 2 x 2, b has 3 rows", rp_dense_solve_spd(a, b, &x));
  FAILS(RP_ERR_SHAPE, "b has 3 axes, not 1 or 2", rp_dense_solve(a, cube, &x));
  FAILS(RP_ERR_SHAPE, "a has 1 axes, not 2", rp_dense_cholesky(b, &x));
  FAILS(RP_ERR_DTYPE, "b is f32", rp_dense_solve(a, f, &x));
  FAILS(RP_ERR_DTYPE, "a is i64", rp_dense_lu(p, &x, &y));
  FAILS(RP_ERR_ARGUMENT, "rp_dense_lu: lu is NULL", rp_dense_lu(a, NULL, &y));
  FAILS(RP_ERR_ARGUMENT, "rp_dense_lu: pivots is NULL", rp_dense_lu(a, &x, NULL));
  FAILS(RP_ERR_ARGUMENT, "l is NULL", rp_dense_cholesky(a, NULL));
  FAILS(RP_ERR_ARGUMENT, "x is NULL", rp_dense_solve(a, b, NULL));
  FAILS(RP_ERR_ARGUMENT, "b is NULL", rp_dense_solve(a, NULL, &x));
  FAILS(RP_ERR_ARGUMENT, "a is NULL", rp_dense_solve(NULL, a, &x));
  FAILS(RP_ERR_ARGUMENT, "pivots is NULL", rp_dense_lu_solve(a, NULL, a, &x));
  FAILS(RP_ERR_DTYPE, "pivots is f32, not i64", rp_dense_lu_solve(a, f, a, &x));
  FAILS(RP_ERR_SHAPE, "pivots has 1 axes and 3 elements, not 1 and 2",
        rp_dense_lu_solve(a, p, a, &x));
  double v[4];
  OK(rp_dense_lu_solve(a, bad, a, &x)); /* zeros are no pivots */
  FAILS(RP_ERR_DATA, "dense.pivots_in_range, launch ", rp_store_read(x, v, sizeof v));
  rp_store *const all[] = {a, tall, b, cube, f, p, bad, x};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  assert_int_equal(rp_context_destroy(c), RP_OK);
}

/* ---- on a GPU ------------------------------------------------------------------------------------------ */

static void test_gpu(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  fake_cusolver = (struct fake_cusolver){0};
  check_all(c);
  check_poison(c);
  assert_int_equal(fake_cusolver.created, 1);
  assert_int_equal(fake_cusolver.params, 1);
  end(c);
  assert_int_equal(fake_cusolver.handles, 0);
  assert_int_equal(fake_cusolver.params, 0);
}

/* In a loop nothing is copied, and the host waits once in a pass, to see whether there were pivots. */
static void test_gpu_loop(void **state) {
  (void)state;
  enum { PASSES = 9, SIZE = 20 };
  rp_context *c = gpu_context("--late off");
  system_of s = make_system(c, RP_F64, SIZE, 3, false);
  rp_store *x = NULL;
  struct emu_counts before = counts();
  for (int i = 0; i < PASSES; i++) {
    rp_store_release(x);
    OK(rp_trace_begin(c, 1));
    OK(rp_dense_solve(s.a, s.b, &x));
    OK(EVAL(c, "b, x", "b = 2*b + 0*x", s.b, x));
    OK(EVAL(c, "a", "a = 2*a", s.a));
    OK(rp_trace_end(c, 1));
    if (i == 2) before = counts();
  }
  assert_int_equal(counts().uploads - before.uploads, 0);
  assert_int_equal(counts().waits - before.waits, PASSES - 3);
  assert_in_range(counts().download_bytes - before.download_bytes, 0, 64 * (PASSES - 3));
  check_solution(&s, x, "a loop");
  OK(rp_store_release(x));
  end_system(&s);
  end(c);
}

/* A failed call poisons what it was for, and the next solution is as it should be. */
static void test_gpu_failures(void **state) {
  (void)state;
  int64_t failed = 0;
  for (int n = 1;; n++) {
    rp_context *c = gpu_context("");
    system_of s = make_system(c, RP_F64, 6, 2, false), p = make_system(c, RP_F64, 6, 2, true);
    rp_store *x, *y;
    double v[12];
    fake_cusolver = (struct fake_cusolver){.fail = n};
    OK(rp_dense_solve(s.a, s.b, &x));
    OK(rp_dense_solve_spd(p.a, p.b, &y));
    const rp_status one = rp_store_read(x, v, sizeof v);
    if (one != RP_OK) assert_non_null(strstr(rp_last_error(), ": status 7"));
    const rp_status other = rp_store_read(y, v, sizeof v);
    if (other != RP_OK) assert_non_null(strstr(rp_last_error(), ": status 7"));
    const bool all = fake_cusolver.fail > 0;
    assert_int_equal(one == RP_OK && other == RP_OK, all);
    failed += !all;
    fake_cusolver.fail = 0;
    OK(rp_store_release(x));
    OK(rp_dense_solve(s.a, s.b, &x));
    check_solution(&s, x, "after a failure");
    OK(rp_store_release(x));
    OK(rp_store_release(y));
    end_system(&s);
    end_system(&p);
    end(c);
    assert_int_equal(fake_cusolver.handles, 0);
    assert_int_equal(fake_cusolver.params, 0);
    if (all) break;
  }
  assert_in_range(failed, 10, 20);
}

static rp_status life(void) {
  rp_context *c;
  rp_store *a = NULL, *b = NULL, *x = NULL;
  const double of_a[] = {4, 1, 1, 3}, of_b[] = {5, 4};
  double v[2] = {1, 1};
  const int64_t n[] = {2, 2};
  rp_status st = gpu_context_try("", &c);
  if (st != RP_OK) return st;
  st = rp_store_create(c, RP_F64, 2, n, &a);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 1, n, &b);
  if (st == RP_OK) st = rp_store_write(a, of_a, sizeof of_a);
  if (st == RP_OK) st = rp_store_write(b, of_b, sizeof of_b);
  if (st == RP_OK) st = rp_dense_solve(a, b, &x);
  if (st == RP_OK) st = rp_store_read(x, v, sizeof v);
  if (st == RP_OK) assert_true(fabs(v[0] - 1) < 1e-12 && fabs(v[1] - 1) < 1e-12);
  rp_store_release(a);
  rp_store_release(b);
  rp_store_release(x);
  const rp_status ended = rp_context_destroy(c);
  return st == RP_OK ? ended : st;
}

static void test_gpu_faults(void **state) {
  (void)state;
  fake_cusolver = (struct fake_cusolver){0};
  gpu_each_call_fails(life, RP_ERR_DATA);
}

int main(void) {
  if (gpu_missing()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_solutions),    cmocka_unit_test(test_threads),
      cmocka_unit_test(test_ranks),        cmocka_unit_test(test_views),
      cmocka_unit_test(test_factors),      cmocka_unit_test(test_loop),
      cmocka_unit_test(test_poison),       cmocka_unit_test(test_errors),
      cmocka_unit_test(test_gpu),          cmocka_unit_test(test_gpu_loop),
      cmocka_unit_test(test_gpu_failures), cmocka_unit_test(test_gpu_faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
