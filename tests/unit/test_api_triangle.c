/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_triangle.c -- systems with a sparse triangle: against the textbook's loops, to the bit, on the host, on ranks
 * and on the emulated GPU; what poisons; errors. */
#include "tests/support/gpu_context.h"

#include <math.h>
#include <pthread.h>

#include "core/include/reprise_sparse.h"

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

static void test_gpu(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  check_all(c);
  end(c);
}

int main(void) {
  if (!gpu_library()) {
    fprintf(stderr, "RPI_EMULATED_CUDA is not set\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_host),     cmocka_unit_test(test_ranks),  cmocka_unit_test(test_loop),
      cmocka_unit_test(test_bad_data), cmocka_unit_test(test_errors), cmocka_unit_test(test_gpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
