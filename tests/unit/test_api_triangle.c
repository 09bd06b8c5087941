/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_triangle.c -- systems with a sparse triangle: against the textbook's loops, to the bit, on the host, on ranks
 * and on the emulated GPU by a library in cuSPARSE's place; what poisons; errors. */
#include "tests/support/gpu_context.h"

#include <math.h>
#include <pthread.h>

#include "core/include/reprise_sparse.h"
#include "tests/support/fake_cusparse.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

enum { N = 150, ENTRIES = 1500 };

/* A matrix with entries on both sides: its triplets, and the elements. */
typedef struct sample {
  int64_t row[ENTRIES], col[ENTRIES];
  double val[ENTRIES], b[N];
} sample;

/* At most one entry in a place; small numbers, and a large diagonal. */
static void make_sample(sample *s) {
  uint64_t seed = 7;
  for (int i = 0; i < N; i++) {
    s->b[i] = (double)(i % 17 - 8) / 4;
    for (int k = 0; k < ENTRIES / N; k++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      const int64_t j = k == 0 ? i : (i + 1 + k * 14 + (int64_t)(seed >> 61)) % N;
      s->row[i * (ENTRIES / N) + k] = i;
      s->col[i * (ENTRIES / N) + k] = j;
      s->val[i * (ENTRIES / N) + k] = k == 0 ? 8 + i % 5 : (double)((seed >> 33) % 33) / 16 - 1;
    }
  }
}

/* In ascending order of columns, as a matrix of triplets has them. */
static void textbook(const sample *s, int32_t flags, bool narrow, double *x) {
  double(*dense)[N] = calloc(N, sizeof *dense);
  assert_non_null(dense);
  for (int k = 0; k < ENTRIES; k++) dense[s->row[k]][s->col[k]] = s->val[k];
  for (int q = 0; q < N; q++) {
    const bool upper = flags & RP_CSR_UPPER;
    const int i = upper ? N - 1 - q : q;
    double sum = s->b[i];
    float short_sum = (float)s->b[i];
    for (int j = upper ? i + 1 : 0; j < (upper ? N : i); j++) {
      sum -= dense[i][j] * x[j];
      short_sum -= (float)dense[i][j] * (float)x[j];
    }
    const double by = flags & RP_CSR_UNIT_DIAGONAL ? 1 : dense[i][i];
    x[i] = narrow ? (double)(short_sum / (float)by) : sum / by;
  }
  free(dense);
}

static rp_store *vector_of(rp_context *c, rp_dtype dtype, const double *data) {
  const int64_t n = N;
  float narrow[N];
  rp_store *s;
  for (int i = 0; i < N; i++) narrow[i] = (float)data[i];
  OK(rp_store_create(c, dtype, 1, &n, &s));
  OK(rp_store_write(s, dtype == RP_F64 ? (const void *)data : narrow, N * rp_dtype_size(dtype)));
  return s;
}

static void check_vector_is(rp_store *x, const double *want) {
  double wide[N];
  float narrow[N];
  const bool is_wide = rp_store_dtype(x) == RP_F64;
  OK(rp_store_read(x, is_wide ? (void *)wide : narrow, N * rp_dtype_size(rp_store_dtype(x))));
  for (int i = 0; i < N; i++) {
    const double got = is_wide ? wide[i] : (double)narrow[i];
    if (!(got == want[i])) fail_msg("unknown %d: %.17g, not %.17g", i, got, want[i]);
  }
}

static void check_matrix(rp_context *c, const sample *s, rp_csr *a, rp_dtype dtype) {
  rp_store *b = vector_of(c, dtype, s->b), *x;
  double want[N];
  for (int32_t flags = 0; flags < 4; flags++) {
    textbook(s, flags, dtype == RP_F32, want);
    OK(rp_csr_solve_triangular(a, b, flags, &x));
    check_vector_is(x, want);
    OK(rp_store_fill(x, dtype == RP_F64 ? (const void *)&(double){0} : &(float){0}));
    OK(rp_csr_solve_triangular_to(a, b, flags, x));
    check_vector_is(x, want);
    OK(rp_store_release(x));
  }
  OK(rp_store_release(b));
}

/* The same matrix with columns of i64. */
static rp_csr *far_matrix(rp_context *c, rp_csr *a) {
  const int64_t nnz = rp_csr_nnz(a);
  rp_store *col;
  rp_csr *far;
  OK(rp_store_create(c, RP_I64, 1, &nnz, &col));
  OK(EVAL(c, "far, col", "far = col", col, rp_csr_col(a)));
  OK(rp_csr_from_stores(rp_csr_ptr(a), col, rp_csr_val(a), rp_csr_cols(a), &far));
  OK(rp_store_release(col));
  return far;
}

static void check_all(rp_context *c) {
  sample s;
  make_sample(&s);
  for (int i = 0; i < 2; i++) {
    const rp_dtype dtype = i ? RP_F64 : RP_F32;
    rp_csr *a, *far;
    OK(rp_csr_from_triplets(c, dtype, N, N, ENTRIES, s.row, s.col, s.val, &a));
    check_matrix(c, &s, a, dtype);
    far = far_matrix(c, a);
    OK(rp_csr_release(a));
    check_matrix(c, &s, far, dtype);
    OK(rp_csr_release(far));
  }
}

static void test_host(void **state) {
  (void)state;
  static const char *const ways[] = {"--threads 1", "--threads 2 --grain 1024"};
  for (int i = 0; i < COUNT(ways); i++) {
    rp_context *c = check_context(ways[i]);
    check_all(c);
    OK(rp_context_destroy(c));
  }
}

static void *as_rank(void *arg) {
  rp_context *c = check_context_of(
      "--ranks 3 --transport threads --world triangle --threads 1 --tile 256", *(int32_t *)arg);
  check_all(c);
  OK(rp_context_destroy(c));
  return NULL;
}

static void test_ranks(void **state) {
  (void)state;
  pthread_t thread[3];
  int32_t rank[3] = {0, 1, 2};
  for (int i = 0; i < 3; i++)
    assert_int_equal(pthread_create(&thread[i], NULL, as_rank, &rank[i]), 0);
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_join(thread[i], NULL), 0);
}

/* Incomplete LU in one matrix, as a preconditioner in a loop. */
static void test_loop(void **state) {
  (void)state;
  rp_context *c = check_context("");
  const int64_t ptr[] = {0, 2, 4}, col[] = {0, 1, 0, 1};
  const double val[] = {4, 2, 0.5, 2}; /* L 1 0 / .5 1, U 4 2 / 0 2 */
  rp_csr *lu;
  rp_store *r = check_vector(c, 2, (double[]){8, 6}), *y = check_vector(c, 2, NULL);
  rp_store *z = check_vector(c, 2, NULL);
  OK(rp_csr_from_arrays(c, RP_F64, 2, 2, ptr, col, val, &lu));
  for (int i = 0; i < 5; i++) {
    OK(rp_trace_begin(c, 1));
    OK(rp_csr_solve_triangular_to(lu, r, RP_CSR_UNIT_DIAGONAL, y));
    OK(rp_csr_solve_triangular_to(lu, y, RP_CSR_UPPER, z));
    OK(EVAL(c, "r", "r = 2*r", r));
    OK(rp_trace_end(c, 1));
  }
  check_values(y, (double[]){128, 32});
  check_values(z, (double[]){24, 16});
  OK(rp_csr_solve_triangular_to(lu, y, RP_CSR_UPPER, y)); /* in place */
  check_values(y, (double[]){24, 16});
  rp_store *const all[] = {r, y, z};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  OK(rp_csr_release(lu));
  OK(rp_context_destroy(c));
}

/* A diagonal without an entry, indices that are none; a 0 divides. */
static void test_bad_data(void **state) {
  (void)state;
  rp_context *c = check_context("");
  const int64_t n[] = {3, 4};
  static const int32_t cols[][4] = {{0, 0, 0, 2}, {0, 3, 1, 2}, {0, -1, 1, 2}, {0, 0, 1, 2}};
  static const int64_t ptrs[][4] = {{0, 1, 3, 4}, {0, 1, 3, 4}, {0, 1, 3, 4}, {0, 3, 1, 4}};
  rp_store *ptr, *col, *val = check_vector(c, 4, (double[]){1, 1, 0, 1}), *x;
  rp_store *b = check_vector(c, 3, (double[]){1, 2, 3});
  rp_csr *a;
  double v[3];
  for (int i = 0; i < COUNT(cols) + 1; i++) {
    const bool good = i == COUNT(cols);
    OK(rp_store_create(c, RP_I64, 1, &n[1], &ptr));
    OK(rp_store_create(c, RP_I32, 1, &n[1], &col));
    OK(rp_store_write(ptr, ptrs[good ? 0 : i], sizeof ptrs[0]));
    OK(rp_store_write(col, good ? cols[3] : cols[i], sizeof cols[0]));
    OK(rp_csr_from_stores(ptr, col, val, 3, &a));
    OK(rp_csr_solve_triangular(a, b, 0, &x));
    if (good) {
      OK(rp_store_read(x, v, sizeof v));
      assert_true(v[0] == 1 && isinf(v[1]) && v[2] == 3);
    } else {
      FAILS(RP_ERR_DATA, "sparse.csr_solve_f64_i32, launch ", rp_store_read(x, v, sizeof v));
    }
    rp_store *const all[] = {ptr, col, x};
    for (int k = 0; k < COUNT(all); k++) OK(rp_store_release(all[k]));
    OK(rp_csr_release(a));
  }
  OK(rp_store_release(val));
  OK(rp_store_release(b));
  OK(rp_context_destroy(c));
}

static void test_errors(void **state) {
  (void)state;
  rp_context *c = check_context("");
  const int64_t at[] = {0, 1};
  rp_csr *a, *wide;
  rp_store *b = check_vector(c, 2, NULL), *x, *three = check_vector(c, 3, NULL), *f;
  OK(rp_csr_from_triplets(c, RP_F64, 2, 2, 2, at, at, (double[]){1, 1}, &a));
  OK(rp_csr_from_triplets(c, RP_F64, 2, 3, 2, at, at, (double[]){1, 1}, &wide));
  OK(rp_store_create(c, RP_F32, 1, (int64_t[]){2}, &f));
  FAILS(RP_ERR_SHAPE, "rp_csr_solve_triangular: the matrix is 2 by 3, not square",
        rp_csr_solve_triangular(wide, b, 0, &x));
  assert_null(x);
  FAILS(RP_ERR_SHAPE, "b has 1 axes and 3 elements, the matrix 2 rows",
        rp_csr_solve_triangular(a, three, 0, &x));
  FAILS(RP_ERR_SHAPE, "rp_csr_solve_triangular_to: x has 1 axes and 3 elements",
        rp_csr_solve_triangular_to(a, b, 0, three));
  FAILS(RP_ERR_DTYPE, "b is f32, the matrix is f64", rp_csr_solve_triangular(a, f, 0, &x));
  FAILS(RP_ERR_ARGUMENT, "flags is 4", rp_csr_solve_triangular(a, b, 4, &x));
  FAILS(RP_ERR_ARGUMENT, "a is NULL", rp_csr_solve_triangular(NULL, b, 0, &x));
  FAILS(RP_ERR_ARGUMENT, "b is NULL", rp_csr_solve_triangular(a, NULL, 0, &x));
  FAILS(RP_ERR_ARGUMENT, "x is NULL", rp_csr_solve_triangular(a, b, 0, NULL));
  FAILS(RP_ERR_ARGUMENT, "x is NULL", rp_csr_solve_triangular_to(a, b, 0, NULL));
  rp_store *const all[] = {b, three, f};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  OK(rp_csr_release(a));
  OK(rp_csr_release(wide));
  OK(rp_context_destroy(c));
}

/* ---- on a GPU ------------------------------------------------------------------------------------------ */

/* A triangle is analysed once; matrices that nobody has looked at are the host's. */
static void test_gpu(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  fake_cusparse = (struct fake_cusparse){0};
  check_all(c);
  assert_int_equal(fake_cusparse.created, 1);
  assert_int_equal(fake_cusparse.analyses, 8);
  assert_int_equal(fake_cusparse.solutions, 16);
  end(c);
  assert_int_equal(fake_cusparse.alive, 0);
}

/* In a loop nothing is copied, and nobody waits. */
static void test_gpu_loop(void **state) {
  (void)state;
  enum { PASSES = 9 };
  rp_context *c = gpu_context("--late off");
  static sample s;
  make_sample(&s);
  rp_csr *a;
  double v = 0;
  OK(rp_csr_from_triplets(c, RP_F64, N, N, ENTRIES, s.row, s.col, s.val, &a));
  rp_store *r = vector_of(c, RP_F64, s.b), *y = vector_of(c, RP_F64, s.b);
  struct emu_counts before = counts();
  fake_cusparse = (struct fake_cusparse){0};
  for (int i = 0; i < PASSES; i++) {
    OK(rp_trace_begin(c, 1));
    OK(rp_csr_solve_triangular_to(a, r, RP_CSR_UNIT_DIAGONAL, y));
    OK(rp_csr_solve_triangular_to(a, y, RP_CSR_UPPER, y));
    OK(EVAL(c, "r, y", "r = r/2 + y", r, y));
    OK(rp_trace_end(c, 1));
    if (i == 2) before = counts();
  }
  assert_int_equal(counts().uploads - before.uploads, 0);
  assert_int_equal(counts().downloads - before.downloads, 0);
  assert_int_equal(counts().waits - before.waits, 0);
  assert_int_equal(fake_cusparse.analyses, 2);
  OK(rp_store_read_part(y, (int64_t[]){0}, (int64_t[]){1}, &v, sizeof v));
  OK(rp_store_release(r));
  OK(rp_store_release(y));
  OK(rp_csr_release(a));
  end(c);
  assert_int_equal(fake_cusparse.alive, 0);
}

/* More triangles than are remembered: the memory of those that are forgotten comes back. */
static void test_gpu_many(void **state) {
  (void)state;
  enum { MATRICES = 40 };
  int64_t live = 0;
  rp_context *c = gpu_context("");
  const int64_t from[] = {0, 1, 1}, to[] = {0, 0, 1};
  rp_csr *a[MATRICES];
  rp_store *b = check_vector(c, 2, (double[]){4, 8}), *x;
  fake_cusparse = (struct fake_cusparse){0};
  for (int i = 0; i < MATRICES; i++)
    OK(rp_csr_from_triplets(c, RP_F64, 2, 2, 3, from, to, (double[]){1, i, 2}, &a[i]));
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < MATRICES; i++)
      for (int k = 0; k < 2; k++) {
        OK(rp_csr_solve_triangular(a[i], b, 0, &x));
        check_values(x, (double[]){4, (8 - 4. * i) / 2});
        OK(rp_store_release(x));
      }
    if (pass > 0) assert_int_equal(check_stat(c, "gpu_memory_live"), live);
    live = check_stat(c, "gpu_memory_live");
  }
  assert_int_equal(fake_cusparse.analyses, 2 * MATRICES);
  assert_in_range(fake_cusparse.alive, 4 * 16, 4 * 16 + 1);
  for (int i = 0; i < MATRICES; i++) OK(rp_csr_release(a[i]));
  OK(rp_store_release(b));
  end(c);
  assert_int_equal(fake_cusparse.alive, 0);
}

/* A matrix whose arrays have left the GPU and come back is analysed where it lies then. */
static void test_gpu_moves(void **state) {
  (void)state;
  enum { LARGE = 40000, ARRAYS = 8 };
  rp_context *c = gpu_context("--gpu_mb 2");
  static sample s;
  make_sample(&s);
  rp_csr *a;
  rp_store *large[ARRAYS];
  const int64_t n = LARGE;
  OK(rp_csr_from_triplets(c, RP_F64, N, N, ENTRIES, s.row, s.col, s.val, &a));
  for (int i = 0; i < ARRAYS; i++) OK(rp_store_create(c, RP_F64, 1, &n, &large[i]));
  fake_cusparse = (struct fake_cusparse){0};
  for (int i = 0; i < 6; i++) {
    check_matrix(c, &s, a, RP_F64);
    for (int k = 0; k < ARRAYS; k++) OK(EVAL(c, "x", "x = x + 1", large[(k + i) % ARRAYS]));
    OK(rp_wait(c));
  }
  assert_true(check_stat(c, "gpu_spilled") > 0);
  assert_in_range(fake_cusparse.analyses, 8, 6 * 4);
  for (int k = 0; k < ARRAYS; k++) OK(rp_store_release(large[k]));
  OK(rp_csr_release(a));
  end(c);
}

/* A failed call poisons what it was for, and the next solution is as it should be. */
static void test_gpu_failures(void **state) {
  (void)state;
  const int64_t from[] = {0, 1, 1}, to[] = {0, 0, 1};
  int64_t failed = 0;
  for (int n = 1;; n++) {
    rp_context *c = gpu_context("");
    rp_csr *a;
    rp_store *b = check_vector(c, 2, (double[]){4, 8}), *x;
    double v[2];
    OK(rp_csr_from_triplets(c, RP_F64, 2, 2, 3, from, to, (double[]){1, 1, 2}, &a));
    fake_cusparse = (struct fake_cusparse){.fail = n};
    OK(rp_csr_solve_triangular(a, b, 0, &x));
    const rp_status st = rp_store_read(x, v, sizeof v);
    const bool all = fake_cusparse.fail > 0;
    if (!all) assert_non_null(strstr(rp_last_error(), ": status 7"));
    assert_int_equal(st, all ? RP_OK : RP_ERR_DATA);
    failed += !all;
    fake_cusparse.fail = 0;
    OK(rp_store_release(x));
    OK(rp_csr_solve_triangular(a, b, 0, &x));
    check_values(x, (double[]){4, 2});
    OK(rp_store_release(x));
    OK(rp_store_release(b));
    OK(rp_csr_release(a));
    end(c);
    assert_int_equal(fake_cusparse.alive, 0);
    if (all) break;
  }
  assert_in_range(failed, 13, 13);
}

static rp_status life(void) {
  const int64_t from[] = {0, 1, 1}, to[] = {0, 0, 1}, n = 2;
  rp_context *c;
  rp_csr *a = NULL;
  rp_store *b = NULL, *x = NULL;
  double v[2] = {4, 2};
  rp_status st = gpu_context_try("", &c);
  if (st != RP_OK) return st;
  st = rp_csr_from_triplets(c, RP_F64, 2, 2, 3, from, to, (double[]){1, 1, 2}, &a);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 1, &n, &b);
  if (st == RP_OK) st = rp_store_write(b, (double[]){4, 8}, sizeof v);
  for (int i = 0; i < 3 && st == RP_OK; i++) {
    rp_store_release(x);
    x = NULL;
    st = rp_csr_solve_triangular(a, b, 0, &x);
    if (st == RP_OK) st = rp_store_read(x, v, sizeof v);
    if (st == RP_OK) assert_true(v[0] == 4 && v[1] == 2);
  }
  rp_csr_release(a);
  rp_store_release(b);
  rp_store_release(x);
  const rp_status ended = rp_context_destroy(c);
  return st == RP_OK ? ended : st;
}

static void test_gpu_faults(void **state) {
  (void)state;
  fake_cusparse = (struct fake_cusparse){0};
  gpu_each_call_fails(life, RP_ERR_DATA);
}

int main(void) {
  if (gpu_missing()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_host),       cmocka_unit_test(test_ranks),
      cmocka_unit_test(test_loop),       cmocka_unit_test(test_bad_data),
      cmocka_unit_test(test_errors),     cmocka_unit_test(test_gpu),
      cmocka_unit_test(test_gpu_loop),   cmocka_unit_test(test_gpu_many),
      cmocka_unit_test(test_gpu_moves),  cmocka_unit_test(test_gpu_failures),
      cmocka_unit_test(test_gpu_faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
