/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_factor_host.c -- factorisations on a core have the bits of the textbook's loops, whose products are fused
 * with their subtractions; a right-hand side has the same solution among others as alone; pivots that are 0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/dense/factor_host.h"

enum { MOST = 300, RIGHTS = 25 };
static const int64_t sizes[] = {0, 1, 2, 7, 8, 9, 16, 17, 31, 33, 47, 64, 100, 129, 199, MOST};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

static uint64_t state;
static double number(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (double)(state >> 40) / (1 << 24) - 0.5;
}

#define T double
#define N(name) name##_f64
#define FMA fma
#define SQRT sqrt
#define ABS fabs
#define NEAR 1e-13
#include "tests/support/factor_checks.h"
#undef T
#undef N
#undef FMA
#undef SQRT
#undef ABS
#undef NEAR
#define T float
#define N(name) name##_f32
#define FMA fmaf
#define SQRT sqrtf
#define ABS fabsf
#define NEAR 1e-4
#include "tests/support/factor_checks.h"

static void test_lu(void **unused) {
  (void)unused;
  for (int i = 0; i < N_SIZES; i++) {
    check_lu_f64(sizes[i]);
    check_lu_f32(sizes[i]);
  }
}

static void test_cholesky(void **unused) {
  (void)unused;
  for (int i = 0; i < N_SIZES; i++) {
    check_cholesky_f64(sizes[i]);
    check_cholesky_f32(sizes[i]);
  }
}

/* Two rows are zeros; the first counts. */
static void test_singular(void **unused) {
  (void)unused;
  enum { SIZE = 50 };
  double a[SIZE * SIZE];
  int64_t pivot[SIZE];
  int32_t info = -1;
  for (int i = 0; i < SIZE * SIZE; i++) a[i] = floor(number() * 8);
  for (int j = 0; j < SIZE; j++) a[3 * SIZE + j] = 0;
  for (int j = 0; j < SIZE; j++) a[40 * SIZE + j] = 0;
  rpi_factor_lu_f64(a, pivot, &info, SIZE);
  assert_int_equal(info, 4);
  for (int k = 0; k < SIZE; k++) assert_in_range(pivot[k], k + 1, SIZE);
}

static void test_not_positive(void **unused) {
  (void)unused;
  enum { SIZE = 50 };
  static const double bad[] = {0, -1, NAN};
  double a[SIZE * SIZE];
  for (int k = 0; k < SIZE; k += 7)
    for (int v = 0; v < 3; v++) {
      int32_t info = -1;
      for (int i = 0; i < SIZE * SIZE; i++) a[i] = i % (SIZE + 1) == 0 ? 4 : 0;
      a[k * SIZE + k] = bad[v];
      rpi_factor_cholesky_f64(a, &info, SIZE);
      assert_int_equal(info, k + 1);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_lu), cmocka_unit_test(test_cholesky),
                                     cmocka_unit_test(test_singular),
                                     cmocka_unit_test(test_not_positive)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
