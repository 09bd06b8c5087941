/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_csr_api.c -- sparse matrices through a context: products and diagonals against dense
 * loops, files there and back, errors. */
#include "tests/support/api_group.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "core/include/reprise_sparse.h"

static uint64_t seed = 42;

static double next_random(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (double)(seed >> 11) * 0x1p-53;
}

enum { ROWS = 23, COLS = 31, ENTRIES = 200 };

static int64_t row[ENTRIES], col[ENTRIES];
static double val[ENTRIES], dense[ROWS][COLS];

/* Random triplets with repeats, and their sums in `dense`. */
static void make_entries(int64_t n_cols) {
  memset(dense, 0, sizeof dense);
  for (int k = 0; k < ENTRIES; k++) {
    row[k] = (int64_t)(next_random() * ROWS);
    col[k] = (int64_t)(next_random() * (double)n_cols);
    val[k] = floor(16 * next_random()) - 8;
    dense[row[k]][col[k]] += val[k];
  }
}

/* y = A x for small whole numbers, which every order of summation gets exactly. */
static void check_product(rp_csr *a, rp_dtype dtype, int64_t n_cols) {
  assert_int_equal(rp_csr_rows(a), ROWS);
  assert_int_equal(rp_csr_cols(a), n_cols);
  assert_int_equal(rp_csr_dtype(a), dtype);
  double x[COLS], y[ROWS];
  float narrow[COLS];
  for (int j = 0; j < n_cols; j++) narrow[j] = (float)(x[j] = floor(9 * next_random()));
  rp_store *sx, *sy;
  const size_t size = rp_dtype_size(dtype);
  OK(rp_store_create(ctx, dtype, 1, &n_cols, &sx));
  OK(rp_store_write(sx, size == 4 ? (void *)narrow : (void *)x, (size_t)n_cols * size));
  OK(rp_csr_multiply(a, sx, &sy));
  assert_int_equal(rp_store_dtype(sy), dtype);
  OK(rp_store_read(sy, size == 4 ? (void *)narrow : (void *)y, ROWS * size));
  for (int i = 0; i < ROWS; i++) {
    double want = 0;
    for (int j = 0; j < n_cols; j++) want += dense[i][j] * x[j];
    const double got = size == 4 ? (double)narrow[i] : y[i];
    if (got != want) fail_msg("row %d: %g, wanted %g", i, got, want);
  }
  OK(rp_store_release(sx));
  OK(rp_store_release(sy));
}

static void test_product(void **state) {
  (void)state;
  for (int t = 0; t < 2; t++) {
    const rp_dtype dtype = t ? RP_F32 : RP_F64;
    make_entries(COLS);
    rp_csr *a, *b;
    OK(rp_csr_from_triplets(ctx, dtype, ROWS, COLS, ENTRIES, row, col, val, &a));
    assert_int_equal(rp_store_dtype(rp_csr_col(a)), RP_I32);
    check_product(a, dtype, COLS);
    OK(rp_csr_from_stores(rp_csr_ptr(a), rp_csr_col(a), rp_csr_val(a), COLS, &b));
    OK(rp_csr_release(a));
    check_product(b, dtype, COLS);
    OK(rp_csr_release(b));
  }
}

/* Columns of x, which may be a view, have the bits they have alone. */
static void test_columns(void **state) {
  (void)state;
  enum { M = 5 };
  double x[COLS * M], got[ROWS * M], alone[ROWS];
  rp_store *sx, *turned, *y, *column, *one;
  rp_csr *a;
  make_entries(COLS);
  for (int k = 0; k < ENTRIES; k++) val[k] /= 7;
  for (int k = 0; k < COLS * M; k++) x[k] = next_random();
  OK(rp_csr_from_triplets(ctx, RP_F64, ROWS, COLS, ENTRIES, row, col, val, &a));
  for (int flipped = 0; flipped < 2; flipped++) {
    sx = check_store(ctx, 2, flipped ? (int64_t[]){M, COLS} : (int64_t[]){COLS, M}, x);
    OK(rp_store_transpose(sx, flipped ? (int32_t[]){1, 0} : (int32_t[]){0, 1}, &turned));
    OK(rp_csr_multiply(a, turned, &y));
    OK(rp_store_read(y, got, sizeof got));
    for (int j = 0; j < M; j++) {
      OK(rp_store_project(turned, 1, j, &column));
      OK(rp_csr_multiply(a, column, &one));
      OK(rp_store_read(one, alone, sizeof alone));
      for (int i = 0; i < ROWS; i++)
        if (got[i * M + j] != alone[i])
          fail_msg("(%d, %d): %g, not %g", i, j, got[i * M + j], alone[i]);
      drop(column);
      drop(one);
    }
    drop(sx);
    drop(turned);
    drop(y);
  }
  sx = check_store(ctx, 2, (int64_t[]){COLS, 2}, NULL);
  y = check_store(ctx, 2, (int64_t[]){ROWS, 3}, NULL);
  FAILS(RP_ERR_SHAPE, "x has 2 columns, y has 3", rp_csr_multiply_to(a, sx, y));
  FAILS(RP_ERR_SHAPE, "not 23 (2 axes) to 23 (2)", rp_csr_multiply_to(a, y, y));
  drop(sx);
  drop(y);
  OK(rp_csr_release(a));
}

static void test_arrays(void **state) {
  (void)state;
  /* Unordered, with a repeat and an empty row. */
  const int64_t ptr[] = {0, 3, 3, 5}, cols[] = {2, 0, 2, 1, 1};
  const double v[] = {1, 2, 4, 8, 16}, x[] = {1, 10, 100};
  rp_csr *a;
  OK(rp_csr_from_arrays(ctx, RP_F64, 3, 3, ptr, cols, v, &a));
  assert_int_equal(rp_csr_nnz(a), 5);
  const int64_t three = 3;
  rp_store *sx, *y, *d;
  double got[3];
  OK(rp_store_create(ctx, RP_F64, 1, &three, &sx));
  OK(rp_store_write(sx, x, sizeof x));
  OK(rp_csr_multiply(a, sx, &y));
  OK(rp_store_read(y, got, sizeof got));
  assert_true(got[0] == 502 && got[1] == 0 && got[2] == 240);
  OK(rp_csr_diagonal(a, &d));
  OK(rp_store_read(d, got, sizeof got));
  assert_true(got[0] == 2 && got[1] == 0 && got[2] == 0);
  OK(rp_store_release(d));
  OK(rp_store_release(y));
  OK(rp_store_release(sx));
  OK(rp_csr_release(a));
}

static void test_diagonal(void **state) {
  (void)state;
  make_entries(ROWS);
  rp_csr *a;
  rp_store *d;
  double got[ROWS];
  OK(rp_csr_from_triplets(ctx, RP_F64, ROWS, ROWS, ENTRIES, row, col, val, &a));
  OK(rp_csr_diagonal(a, &d));
  OK(rp_store_read(d, got, sizeof got));
  for (int i = 0; i < ROWS; i++) assert_true(got[i] == dense[i][i]);
  OK(rp_store_release(d));
  OK(rp_csr_release(a));
}

static void test_stencil(void **state) {
  (void)state;
  const int64_t shape[] = {6, 7}, offset[] = {0, 0, -1, 0, 1, 0, 0, -1, 0, 1}, n = 42;
  const double coefficient[] = {4, -1, -1, -1, -1}, one = 1;
  rp_csr *a;
  rp_store *x, *y;
  double got[42];
  OK(rp_csr_from_stencil(ctx, RP_F64, 2, shape, 5, offset, coefficient, &a));
  OK(rp_store_create(ctx, RP_F64, 1, &n, &x));
  OK(rp_store_fill(x, &one));
  OK(rp_csr_multiply(a, x, &y));
  OK(rp_store_read(y, got, sizeof got));
  for (int k = 0; k < 42; k++) {
    const int i = k / 7, j = k % 7;
    assert_true(got[k] == (i == 0) + (i == 5) + (j == 0) + (j == 6));
  }
  OK(rp_store_release(x));
  OK(rp_store_release(y));
  OK(rp_csr_release(a));
}

/* What is written comes back to the bit. */
static void test_file(void **state) {
  (void)state;
  char path[] = "/tmp/test_csr_XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  make_entries(COLS);
  for (int k = 0; k < ENTRIES; k++)
    val[k] = (next_random() - 0.5) * pow(10, 40 * next_random() - 20);
  for (int t = 0; t < 2; t++) {
    const rp_dtype dtype = t ? RP_F32 : RP_F64;
    rp_csr *a, *b;
    OK(rp_csr_from_triplets(ctx, dtype, ROWS, COLS, ENTRIES, row, col, val, &a));
    OK(rp_csr_write_matrix_market(a, path));
    OK(rp_csr_from_matrix_market(ctx, dtype, path, &b));
    const int64_t nnz = rp_csr_nnz(a);
    assert_int_equal(rp_csr_nnz(b), nnz);
    assert_true(nnz <= ENTRIES);
    char before[ENTRIES * 8], after[ENTRIES * 8];
    const size_t bytes = (size_t)nnz * rp_dtype_size(dtype);
    OK(rp_store_read(rp_csr_val(a), before, bytes));
    OK(rp_store_read(rp_csr_val(b), after, bytes));
    assert_memory_equal(before, after, bytes);
    OK(rp_store_read(rp_csr_col(a), before, (size_t)nnz * 4));
    OK(rp_store_read(rp_csr_col(b), after, (size_t)nnz * 4));
    assert_memory_equal(before, after, (size_t)nnz * 4);
    OK(rp_csr_release(a));
    OK(rp_csr_release(b));
  }
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs("%%MatrixMarket matrix coordinate real general\n1 1 1\n1 2 3\n", file);
  fclose(file);
  rp_csr *a;
  assert_int_equal(rp_csr_from_matrix_market(ctx, RP_F64, path, &a), RP_ERR_IO);
  assert_non_null(strstr(rp_last_error(), path));
  assert_non_null(strstr(rp_last_error(), "line 3: expected a column index in 1..1, found '2'"));
  unlink(path);
  assert_int_equal(rp_csr_from_matrix_market(ctx, RP_F64, path, &a), RP_ERR_IO);
  assert_null(a);
}

/* References; and a matrix of stores with wide column indices, which the host wrote. */
static void test_stores(void **state) {
  (void)state;
  const int64_t ptr[] = {0, 2, 3}, cols[] = {0, 2, 1}, three = 3, two = 2;
  const double v[] = {2, 3, 4}, x[] = {1, 10, 100};
  double y[2];
  rp_store *s[5], *got;
  OK(rp_store_create(ctx, RP_I64, 1, &three, &s[0]));
  OK(rp_store_create(ctx, RP_I64, 1, &three, &s[1]));
  OK(rp_store_create(ctx, RP_F64, 1, &three, &s[2]));
  OK(rp_store_create(ctx, RP_F64, 1, &three, &s[3]));
  OK(rp_store_create(ctx, RP_F64, 1, &two, &s[4]));
  OK(rp_store_write(s[0], ptr, sizeof ptr));
  OK(rp_store_write(s[1], cols, sizeof cols));
  OK(rp_store_write(s[2], v, sizeof v));
  OK(rp_store_write(s[3], x, sizeof x));
  rp_csr *a;
  OK(rp_csr_from_stores(s[0], s[1], s[2], 3, &a));
  for (int i = 0; i < 3; i++) OK(rp_store_release(s[i])); /* the matrix keeps them */
  OK(rp_csr_retain(a));
  OK(rp_csr_release(a));
  assert_ptr_equal(rp_csr_context(a), ctx);
  assert_null(rp_csr_context(NULL));
  OK(rp_csr_multiply(a, s[3], &got));
  OK(rp_store_read(got, y, sizeof y));
  assert_true(y[0] == 302 && y[1] == 40);
  OK(rp_csr_multiply_to(a, s[3], s[4]));
  OK(rp_store_read(s[4], y, sizeof y));
  assert_true(y[0] == 302 && y[1] == 40);
  rp_store *index = rp_csr_col(a);
  const int64_t far[] = {0, 3, 1};
  OK(rp_store_write(index, far, sizeof far)); /* not looked at before a product */
  OK(rp_csr_multiply_to(a, s[3], s[4]));
  assert_int_equal(rp_store_read(s[4], y, sizeof y), RP_ERR_DATA);
  assert_non_null(strstr(rp_last_error(), "sparse.csr_multiply"));
  OK(rp_store_release(got));
  OK(rp_store_release(s[3]));
  OK(rp_store_release(s[4]));
  OK(rp_csr_release(a));
}

static void test_errors(void **state) {
  (void)state;
  const int64_t ptr[] = {0, 1, 2}, cols[] = {0, 2}, two = 2;
  const double v[] = {1, 2};
  rp_csr *a;
  rp_store *x, *y = NULL;
  assert_int_equal(rp_csr_from_arrays(ctx, RP_F64, 2, 2, ptr, cols, v, &a), RP_ERR_ARGUMENT);
  assert_null(a);
  assert_int_equal(rp_csr_from_arrays(ctx, RP_I32, 2, 3, ptr, cols, v, &a), RP_ERR_DTYPE);
  assert_int_equal(rp_csr_from_arrays(NULL, RP_F64, 2, 3, ptr, cols, v, &a), RP_ERR_ARGUMENT);
  assert_int_equal(rp_csr_multiply(NULL, NULL, &y), RP_ERR_ARGUMENT);
  assert_int_equal(rp_csr_rows(NULL), -1);
  OK(rp_csr_release(NULL));
  OK(rp_csr_from_arrays(ctx, RP_F64, 2, 3, ptr, cols, v, &a));
  OK(rp_store_create(ctx, RP_F64, 1, &two, &x));
  assert_int_equal(rp_csr_multiply(a, x, &y), RP_ERR_SHAPE);
  assert_null(y);
  assert_int_equal(rp_csr_diagonal(a, &y), RP_ERR_SHAPE);
  assert_int_equal(rp_csr_write_matrix_market(a, "/no/such/folder/m.mtx"), RP_ERR_IO);
  OK(rp_store_release(x));
  OK(rp_csr_release(a));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_product), cmocka_unit_test(test_columns),
      cmocka_unit_test(test_arrays),  cmocka_unit_test(test_diagonal),
      cmocka_unit_test(test_stencil), cmocka_unit_test(test_file),
      cmocka_unit_test(test_stores),  cmocka_unit_test(test_errors)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
