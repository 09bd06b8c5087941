/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_csr_stencil.c -- matrices of stencils against a loop over all pairs of grid points, and every range of
 * rows and entries against the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kernels/sparse/csr_stencil.h"

enum { POINTS = 10, MOST = 3 * 4 * 5 * POINTS + 1 };

static const int64_t offset[POINTS][3] = {
    {0, 0, 0},  {0, 0, 1}, {-1, 0, 0}, {1, 0, -2}, {0, -1, 1},
    {0, 1, -1}, {2, 1, 0}, {0, 0, -1}, {0, 9, 0},  {0, -900000000000000000, 0}};
static const double coefficient[POINTS] = {6, 1, 2, 3, 4, 5, 7, 8, 9, 10};

typedef struct whole {
  int64_t n_rows, nnz, ptr[MOST], col[MOST];
  double val[MOST];
} whole;

/* Pair by pair, grid points of a 3-d grid in C order. */
static void make_whole(const int64_t *n, whole *w) {
  *w = (whole){.n_rows = n[0] * n[1] * n[2]};
  for (int64_t g = 0; g < w->n_rows; g++) {
    for (int64_t h = 0; h < w->n_rows; h++) {
      const int64_t d[] = {h / (n[1] * n[2]) - g / (n[1] * n[2]), h / n[2] % n[1] - g / n[2] % n[1],
                           h % n[2] - g % n[2]};
      for (int p = 0; p < POINTS; p++) {
        if (memcmp(d, offset[p], sizeof d) != 0) continue;
        w->col[w->nnz] = h;
        w->val[w->nnz++] = coefficient[p];
      }
    }
    w->ptr[g + 1] = w->nnz;
  }
}

static void check_ranges(rpi_csr_stencil *s, const whole *w) {
  int64_t at[MOST];
  double val[MOST];
  assert_int_equal(s->n_rows, w->n_rows);
  assert_int_equal(s->nnz, w->nnz);
  for (int64_t lo = 0; lo <= w->n_rows; lo++) {
    for (int64_t n = 0; lo + n <= w->n_rows + 1; n++) {
      at[n] = -1;
      rpi_csr_stencil_ptr(s, lo, n, at);
      assert_memory_equal(at, w->ptr + lo, (size_t)n * sizeof *at);
      assert_int_equal(at[n], -1); /* nothing behind the range */
    }
  }
  for (int64_t lo = 0; lo <= w->nnz; lo++) {
    for (int64_t n = 0; lo + n <= w->nnz; n++) {
      at[n] = -1;
      val[n] = -1;
      rpi_csr_stencil_entries(s, lo, n, at, n % 3 ? val : NULL);
      assert_memory_equal(at, w->col + lo, (size_t)n * sizeof *at);
      if (n % 3 == 0) rpi_csr_stencil_entries(s, lo, n, NULL, val);
      assert_memory_equal(val, w->val + lo, (size_t)n * sizeof *val);
      assert_true(at[n] == -1 && val[n] == -1);
    }
  }
}

static void test_ranges(void **state) {
  (void)state;
  static const int64_t shapes[][3] = {{3, 4, 5}, {1, 6, 2}, {3, 1, 1},
                                      {2, 2, 7}, {1, 1, 9}, {0, 3, 2}};
  static whole w;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    rpi_csr_stencil s;
    char message[RPI_CSR_MESSAGE];
    make_whole(shapes[i], &w);
    assert_int_equal(
        rpi_csr_stencil_init(3, shapes[i], POINTS, &offset[0][0], coefficient, &s, message), RP_OK);
    check_ranges(&s, &w);
    rpi_csr_stencil_deinit(&s);
  }
}

/* Of a line, and without any point that is inside. */
static void test_small(void **state) {
  (void)state;
  const int64_t n = 5, three[] = {-1, 0, 1}, far = 5;
  const double c[] = {1, -2, 1}, want[] = {-2, 1, 1, -2, 1, 1, -2, 1, 1, -2, 1, 1, -2};
  int64_t ptr[6];
  double val[13];
  rpi_csr_stencil s;
  char message[RPI_CSR_MESSAGE];
  assert_int_equal(rpi_csr_stencil_init(1, &n, 3, three, c, &s, message), RP_OK);
  assert_int_equal(s.nnz, 13);
  rpi_csr_stencil_entries(&s, 0, 13, NULL, val);
  assert_memory_equal(val, want, sizeof want);
  rpi_csr_stencil_deinit(&s);
  assert_int_equal(rpi_csr_stencil_init(1, &n, 1, &far, c, &s, message), RP_OK);
  assert_int_equal(s.nnz, 0);
  rpi_csr_stencil_ptr(&s, 0, 6, ptr);
  for (int i = 0; i < 6; i++) assert_int_equal(ptr[i], 0);
  rpi_csr_stencil_deinit(&s);
}

static void test_errors(void **state) {
  (void)state;
  const int64_t shape[] = {4, 4}, huge[] = {INT64_MAX, 4}, twice[] = {0, 1, 1, 0, 0, 1};
  const double c[] = {1, 2, 3};
  rpi_csr_stencil s;
  char message[RPI_CSR_MESSAGE];
  assert_int_equal(rpi_csr_stencil_init(2, shape, 3, twice, c, &s, message), RP_ERR_ARGUMENT);
  assert_non_null(strstr(message, "points 0 and 2"));
  assert_int_equal(rpi_csr_stencil_init(0, shape, 1, twice, c, &s, message), RP_ERR_ARGUMENT);
  assert_int_equal(rpi_csr_stencil_init(9, shape, 1, twice, c, &s, message), RP_ERR_ARGUMENT);
  assert_int_equal(rpi_csr_stencil_init(2, shape, 0, twice, c, &s, message), RP_ERR_ARGUMENT);
  assert_int_equal(rpi_csr_stencil_init(2, huge, 1, twice, c, &s, message), RP_ERR_SHAPE);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges), cmocka_unit_test(test_small),
                                     cmocka_unit_test(test_errors)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
