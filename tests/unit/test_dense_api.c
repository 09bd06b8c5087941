/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_dense_api.c -- products of dense matrices: on the host against loops, in whatever blocks; on the
 * emulated GPU by a library in cuBLAS' place; errors. */
#include "tests/support/gpu_context.h"

#include <math.h>

#include "core/include/reprise_dense.h"
#include "tests/support/fake_cublas.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

/* ---- matrices of small integers, whose products are exact in both dtypes */

static double element(int seed, int64_t i) { return (double)((i * 7 + seed * 5 + i / 11) % 9 - 4); }

static rp_store *matrix(rp_context *c, rp_dtype dtype, int64_t rows, int64_t cols, int seed) {
  const size_t n = (size_t)(rows * cols);
  double *wide = malloc((n + 1) * sizeof *wide);
  float *narrow = malloc((n + 1) * sizeof *narrow);
  rp_store *s;
  for (size_t i = 0; i < n; i++) narrow[i] = (float)(wide[i] = element(seed, (int64_t)i));
  OK(rp_store_create(c, dtype, 2, (int64_t[]){rows, cols}, &s));
  OK(rp_store_write(s, dtype == RP_F64 ? (void *)wide : narrow, n * rp_dtype_size(dtype)));
  free(wide);
  free(narrow);
  return s;
}

static void values_of(rp_store *s, double *out) {
  const size_t n = (size_t)rp_store_size(s);
  float *narrow = malloc((n + 1) * sizeof *narrow);
  if (rp_store_dtype(s) == RP_F64) {
    OK(rp_store_read(s, out, n * sizeof *out));
  } else {
    OK(rp_store_read(s, narrow, n * sizeof *narrow));
    for (size_t i = 0; i < n; i++) out[i] = narrow[i];
  }
  free(narrow);
}

/* c = 2*a*b - c of m x k and k x n, taken transposed as the flags say, against loops. */
static void check_gemm(rp_context *ctx, rp_dtype dtype, int32_t flags, int64_t m, int64_t n,
                       int64_t k, double beta) {
  const bool ta = flags & RP_DENSE_TRANSPOSE_A, tb = flags & RP_DENSE_TRANSPOSE_B;
  rp_store *a = matrix(ctx, dtype, ta ? k : m, ta ? m : k, 1);
  rp_store *b = matrix(ctx, dtype, tb ? n : k, tb ? k : n, 2), *c = matrix(ctx, dtype, m, n, 3);
  double *got = malloc((size_t)(m * n + 1) * sizeof *got);
  OK(rp_dense_gemm(flags, 2, a, b, beta, c));
  values_of(c, got);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double want = beta * element(3, i * n + j);
      for (int64_t p = 0; p < k; p++)
        want += 2 * element(1, ta ? p * m + i : i * k + p) * element(2, tb ? j * k + p : p * n + j);
      if (got[i * n + j] != want)
        fail_msg("%s, flags %d, %lld x %lld x %lld, (%lld, %lld): %g, not %g", rp_dtype_name(dtype),
                 (int)flags, (long long)m, (long long)n, (long long)k, (long long)i, (long long)j,
                 got[i * n + j], want);
    }
  free(got);
  OK(rp_store_release(a));
  OK(rp_store_release(b));
  OK(rp_store_release(c));
}

static void check_all(rp_context *c) {
  static const int64_t sizes[][3] = {{1, 1, 1},     {3, 5, 2}, {70, 130, 67}, {129, 33, 200},
                                     {4, 260, 128}, {5, 7, 0}, {0, 3, 4},     {6, 1, 65}};
  for (int flags = 0; flags < 4; flags++)
    for (int i = 0; i < COUNT(sizes); i++)
      for (int beta = -1; beta < 1; beta++) {
        check_gemm(c, RP_F64, flags, sizes[i][0], sizes[i][1], sizes[i][2], beta);
        check_gemm(c, RP_F32, flags, sizes[i][0], sizes[i][1], sizes[i][2], beta);
      }
}

static void test_host(void **state) {
  (void)state;
  static const char *const ways[] = {"--threads 1", "--threads 3 --grain 1024"};
  for (int i = 0; i < COUNT(ways); i++) {
    rp_context *c = check_context(ways[i]);
    check_all(c);
    OK(rp_context_destroy(c));
  }
}

/* Fractions: blocks of rows do not change the order of a sum. */
static void test_bits(void **state) {
  (void)state;
  enum { N = 90 };
  double bits[2][N * N];
  for (int i = 0; i < 2; i++) {
    rp_context *c = check_context(i ? "--threads 4 --grain 1024" : "--threads 1");
    rp_store *a = matrix(c, RP_F64, N, N, 1), *out;
    OK(EVAL(c, "a", "a = exp(a/3)", a));
    OK(rp_dense_matmul(a, a, &out));
    values_of(out, bits[i]);
    OK(rp_store_release(a));
    OK(rp_store_release(out));
    OK(rp_context_destroy(c));
  }
  assert_memory_equal(bits[0], bits[1], sizeof bits[0]);
}

/* With beta 0 what c holds does not matter; views are taken as they are seen. */
static void test_views(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *a = check_store(c, 2, (int64_t[]){2, 4}, (double[]){1, 9, 2, 9, 3, 9, 4, 9}), *odd;
  rp_store *b = check_store(c, 2, (int64_t[]){2, 2}, (double[]){1, 10, 100, 1000}), *flipped;
  rp_store *d = check_store(c, 2, (int64_t[]){2, 2}, (double[]){NAN, NAN, NAN, NAN});
  OK(rp_store_slice(a, 1, 0, 4, 2, &odd));
  OK(rp_store_transpose(b, (int32_t[]){1, 0}, &flipped));
  OK(rp_dense_gemm(0, 1, odd, flipped, 0, d));
  check_values(d, (double[]){21, 2100, 43, 4300});
  rp_store *const all[] = {a, odd, b, flipped, d};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  OK(rp_context_destroy(c));
}

static void test_errors(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *a = matrix(c, RP_F64, 2, 3, 1), *b = matrix(c, RP_F64, 2, 3, 1), *out;
  rp_store *f = matrix(c, RP_F32, 3, 2, 1), *v = check_vector(c, 3, NULL), *n;
  OK(rp_store_create(c, RP_I32, 2, (int64_t[]){2, 2}, &n));
  FAILS(RP_ERR_SHAPE, "rp_dense_matmul: a is 2 x 3, b is 2 x 3", rp_dense_matmul(a, b, &out));
  assert_null(out);
  FAILS(RP_ERR_SHAPE, "a is 2 x 3 transposed, b is 2 x 3 transposed",
        rp_dense_gemm(3, 1, a, b, 0, a));
  FAILS(RP_ERR_SHAPE, "c is 2 x 3, not 2 x 2", rp_dense_gemm(2, 1, a, b, 0, a));
  FAILS(RP_ERR_DTYPE, "b is f32", rp_dense_matmul(a, f, &out));
  FAILS(RP_ERR_DTYPE, "a is i32", rp_dense_matmul(n, n, &out));
  FAILS(RP_ERR_SHAPE, "b has 1 axes, not 2", rp_dense_matmul(a, v, &out));
  FAILS(RP_ERR_ARGUMENT, "a is NULL", rp_dense_matmul(NULL, a, &out));
  FAILS(RP_ERR_ARGUMENT, "out is NULL", rp_dense_matmul(a, b, NULL));
  FAILS(RP_ERR_ARGUMENT, "flags is 4", rp_dense_gemm(4, 1, a, b, 0, a));
  rp_store *const all[] = {a, b, f, v, n};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  OK(rp_context_destroy(c));
}

/* ---- on a GPU ------------------------------------------------------------------------------------------ */

static void test_gpu(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  assert_int_equal(rp_context_gpus(c), 1);
  fake_cublas = (struct fake_cublas){0};
  check_all(c);
  assert_int_equal(fake_cublas.created, 1);
  assert_in_range(fake_cublas.products, 100, 200);
  end(c);
  assert_int_equal(fake_cublas.handles, 0);
}

/* A loop around a product: nothing is copied, and in the end nothing is called. */
static void test_loop(void **state) {
  (void)state;
  enum { N = 20, PASSES = 6, RECORDED = 2 /* once when its memory is not there yet */ };
  rp_context *c = gpu_context("--late off");
  rp_store *a = matrix(c, RP_F64, N, N, 1), *x = matrix(c, RP_F64, N, 3, 2);
  rp_store *y = matrix(c, RP_F64, N, 3, 3);
  double v;
  const struct emu_counts before = counts();
  fake_cublas.products = 0;
  for (int i = 0; i < PASSES; i++) {
    OK(rp_trace_begin(c, 1));
    for (int k = 0; k < 2; k++) {
      OK(rp_dense_gemm(0, 0.5, a, x, 0, y));
      OK(EVAL(c, "x, y", "x = min(max(x + y, -8), 8)", x, y));
    }
    OK(rp_trace_end(c, 1));
  }
  OK(rp_store_read_part(x, (int64_t[]){0, 0}, (int64_t[]){1, 1}, &v, sizeof v));
  assert_int_equal(counts().uploads - before.uploads, 2);
  assert_int_equal(counts().downloads - before.downloads, 1);
  assert_int_equal(counts().kernels - before.kernels, 4 * PASSES);
  assert_int_equal(counts().graph_launches - before.graph_launches, PASSES - 2);
  assert_int_equal(fake_cublas.products, 2 * 2 + RECORDED);
  fake_cublas.fail = 13;
  OK(rp_dense_gemm(0, 0.5, a, x, 0, y));
  FAILS(RP_ERR_DATA,
        "dense.dmul, launch 25 of the context, reported failure: cublasDgemm: status 13",
        rp_store_read_part(y, (int64_t[]){0, 0}, (int64_t[]){1, 1}, &v, sizeof v));
  fake_cublas.fail = 0;
  rp_store *const all[] = {a, x, y};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  end(c);
}

/* A pass with a product repeats itself on the GPU. */
static void test_repeat(void **state) {
  (void)state;
  enum { N = 20 };
  double got[2][N];
  for (int gpu = 0; gpu < 2; gpu++) {
    rp_context *c = gpu ? gpu_context("") : check_context("");
    rp_store *a = matrix(c, RP_F64, N, N, 1), *x = matrix(c, RP_F64, N, 1, 2);
    rp_store *y = matrix(c, RP_F64, N, 1, 3), *n, *go;
    int64_t passes;
    OK(rp_store_create(c, RP_I64, 0, NULL, &n));
    OK(rp_store_create(c, RP_BOOL, 0, NULL, &go));
    OK(rp_trace_begin(c, 1));
    OK(rp_dense_gemm(0, 0.5, a, x, 0, y));
    OK(EVAL(c, "x, y", "x = min(max(x + y, -8), 8)", x, y));
    OK(EVAL(c, "n", "n = n + 1", n));
    OK(EVAL(c, "go, n", "go = n < 15", go, n));
    OK(rp_trace_repeat(c, 1, go, 100, &passes));
    assert_int_equal(passes, 14);
    if (gpu) assert_int_equal(check_stat(c, "loops"), 1);
    OK(rp_store_read(x, got[gpu], sizeof got[gpu]));
    rp_store *const all[] = {a, x, y, n, go};
    for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
    if (gpu)
      end(c);
    else
      OK(rp_context_destroy(c));
  }
  assert_memory_equal(got[0], got[1], sizeof got[0]);
}

int main(void) {
  if (gpu_missing()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_host),   cmocka_unit_test(test_bits), cmocka_unit_test(test_views),
      cmocka_unit_test(test_errors), cmocka_unit_test(test_gpu),  cmocka_unit_test(test_loop),
      cmocka_unit_test(test_repeat),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
