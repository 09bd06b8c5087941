/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_csr_host.c -- CSR assembly against sums taken one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kernels/sparse/csr_host.h"

static uint64_t seed = 2463534242u;

static uint64_t next_random(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

enum { MAX_ENTRIES = 3000 };

/* Entry (i, j): the triplets of that place added in input order; *found: whether there is one. */
static double sum_at(int64_t i, int64_t j, int64_t n, const int64_t *row, const int64_t *col,
                     const double *val, int *found) {
  double sum = 0;
  *found = 0;
  for (int64_t k = 0; k < n; k++) {
    if (row[k] != i || col[k] != j) continue;
    sum = *found ? sum + val[k] : val[k];
    *found = 1;
  }
  return sum;
}

static void check_against(const rpi_csr_host *a, int64_t n, const int64_t *row, const int64_t *col,
                          const double *val) {
  assert_int_equal(a->ptr[0], 0);
  for (int64_t i = 0; i < a->n_rows; i++) {
    int64_t k = a->ptr[i];
    for (int64_t j = 0; j < a->n_cols; j++) {
      int found;
      const double want = sum_at(i, j, n, row, col, val, &found);
      if (!found) continue;
      assert_true(k < a->ptr[i + 1]);
      assert_int_equal(a->col[k], j);
      assert_memory_equal(&a->val[k], &want, sizeof want);
      k++;
    }
    assert_int_equal(k, a->ptr[i + 1]);
  }
}

static void test_triplets(void **state) {
  (void)state;
  static int64_t row[MAX_ENTRIES], col[MAX_ENTRIES];
  static double val[MAX_ENTRIES];
  static const struct {
    int64_t n_rows, n_cols, n;
  } sizes[] = {{1, 1, 1},    {1, 1, 40},   {5, 7, 0},  {0, 0, 0},     {9, 4, 30},
               {3, 50, 300}, {2, 20, 400}, {2, 3, 20}, {40, 40, 120}, {1, 300, 1000}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    for (int64_t k = 0; k < sizes[s].n; k++) {
      row[k] = (int64_t)(next_random() % (uint64_t)sizes[s].n_rows);
      col[k] = (int64_t)(next_random() % (uint64_t)sizes[s].n_cols);
      /* Of very different sizes, so that the order of a sum shows in its bits. */
      val[k] = (double)(int64_t)next_random() * (next_random() % 2 ? 1.0 : 1e-12);
    }
    rpi_csr_host a;
    char message[RPI_CSR_MESSAGE];
    assert_int_equal(rpi_csr_host_triplets(sizes[s].n_rows, sizes[s].n_cols,
                                           &(rpi_csr_triplets){sizes[s].n, row, col, val, 1}, &a,
                                           message),
                     RP_OK);
    check_against(&a, sizes[s].n, row, col, val);
    assert_int_equal(rpi_csr_host_check(a.n_rows, a.n_cols, a.ptr, a.col, message), RP_OK);
    rpi_csr_host_free(&a);
  }
}

static void test_triplet_errors(void **state) {
  (void)state;
  const int64_t row[] = {0, 1, 2}, col[] = {0, 5, 1};
  const double val[] = {1, 2, 3};
  rpi_csr_host a;
  char message[RPI_CSR_MESSAGE];
  assert_int_equal(
      rpi_csr_host_triplets(3, 5, &(rpi_csr_triplets){3, row, col, val, 1}, &a, message),
      RP_ERR_ARGUMENT);
  assert_non_null(strstr(message, "entry 1 is at (1, 5)"));
  assert_null(a.ptr);
  assert_int_equal(
      rpi_csr_host_triplets(2, 6, &(rpi_csr_triplets){3, row, col, val, 1}, &a, message),
      RP_ERR_ARGUMENT);
  assert_non_null(strstr(message, "entry 2"));
  assert_int_equal(
      rpi_csr_host_triplets(-1, 6, &(rpi_csr_triplets){0, row, col, val, 1}, &a, message),
      RP_ERR_SHAPE);
  assert_int_equal(
      rpi_csr_host_triplets(INT64_MAX, 6, &(rpi_csr_triplets){0, row, col, val, 1}, &a, message),
      RP_ERR_MEMORY);
}

/* All pairs of points of a 3-d grid: those that differ by an offset have its coefficient. */
static void test_check(void **state) {
  (void)state;
  const int64_t good[] = {0, 1, 1, 3}, late[] = {1, 1, 1, 3}, falls[] = {0, 2, 1, 3};
  const int64_t col[] = {2, 0, 2}, beyond[] = {2, 0, 3}, negative[] = {2, -1, 0};
  char message[RPI_CSR_MESSAGE];
  assert_int_equal(rpi_csr_host_check(3, 3, good, col, message), RP_OK);
  assert_int_equal(rpi_csr_host_check(3, 3, late, col, message), RP_ERR_ARGUMENT);
  assert_int_equal(rpi_csr_host_check(3, 3, falls, col, message), RP_ERR_ARGUMENT);
  assert_non_null(strstr(message, "row 1"));
  assert_int_equal(rpi_csr_host_check(3, 3, good, beyond, message), RP_ERR_ARGUMENT);
  assert_non_null(strstr(message, "col[2] is 3"));
  assert_int_equal(rpi_csr_host_check(3, 3, good, negative, message), RP_ERR_ARGUMENT);
  assert_int_equal(rpi_csr_host_check(-1, 3, good, col, message), RP_ERR_SHAPE);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_triplets),
                                     cmocka_unit_test(test_triplet_errors),
                                     cmocka_unit_test(test_check)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
