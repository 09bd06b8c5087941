/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_array_forms.c -- the forms of the array library's functions that differ in where operands come
 * from and results go: numbers on either side, into stores that exist; two results at once. */
#include "tests/support/api_group.h"

#include <float.h>
#include <math.h>

#include "core/include/reprise_array.h"

#define DOUBLES(...) ((double[]){__VA_ARGS__})

/* The call made `out`: these values, and it goes. */
#define MAKES(call, ...) \
  do { \
    rp_store *out = NULL; \
    OK(call); \
    check_values(out, (double[]){__VA_ARGS__}); \
    drop(out); \
  } while (0)

/* The call writes `to`. */
#define WRITES(call, ...) \
  do { \
    OK(rp_store_fill(to, &(double){-99})); \
    OK(call); \
    check_values(to, (double[]){__VA_ARGS__}); \
  } while (0)

static void test_forms(void **state) {
  (void)state;
  rp_store *a = check_vector(ctx, 3, DOUBLES(6, 8, -10)),
           *b = check_vector(ctx, 3, DOUBLES(2, 4, 5));
  rp_store *to = check_vector(ctx, 3, NULL);
  WRITES(rp_array_binary_to(RP_ARRAY_SUBTRACT, a, b, to), 4, 4, -15);
  WRITES(rp_array_binary_float_to(RP_ARRAY_SUBTRACT, a, 0.5, to), 5.5, 7.5, -10.5);
  WRITES(rp_array_binary_int_to(RP_ARRAY_SUBTRACT, a, 1, to), 5, 7, -11);
  WRITES(rp_array_float_binary_to(RP_ARRAY_SUBTRACT, 0.5, a, to), -5.5, -7.5, 10.5);
  WRITES(rp_array_int_binary_to(RP_ARRAY_SUBTRACT, 1, a, to), -5, -7, 11);
  WRITES(rp_array_unary_to(RP_ARRAY_NEGATIVE, a, to), -6, -8, 10);
  WRITES(rp_array_subtract_to(a, b, to), 4, 4, -15);
  WRITES(rp_array_multiply_to(a, b, to), 12, 32, -50);
  WRITES(rp_array_divide_to(a, b, to), 3, 2, -2);
  MAKES(rp_array_binary_float(RP_ARRAY_POWER, a, 2, &out), 36, 64, 100);
  MAKES(rp_array_binary_int(RP_ARRAY_MAXIMUM, a, 7, &out), 7, 8, 7);
  MAKES(rp_array_float_binary(RP_ARRAY_DIVIDE, 24, a, &out), 4, 3, 24.0 / -10);
  MAKES(rp_array_int_binary(RP_ARRAY_SUBTRACT, 1, a, &out), -5, -7, 11);
  MAKES(rp_array_add_scalar(a, 0.25, &out), 6.25, 8.25, -9.75);
  MAKES(rp_array_subtract_scalar(a, 0.25, &out), 5.75, 7.75, -10.25);
  MAKES(rp_array_multiply_scalar(a, 0.5, &out), 3, 4, -5);
  MAKES(rp_array_divide_scalar(a, 4, &out), 1.5, 2, -2.5);
  MAKES(rp_array_zeros(ctx, RP_F64, 1, &(int64_t){2}, &out), 0, 0);
  MAKES(rp_array_copy(a, &out), 6, 8, -10);
  check_values(a, DOUBLES(6, 8, -10));
  drop(a);
  drop(b);
  drop(to);
}

static void test_reduce_to(void **state) {
  (void)state;
  const int64_t shape[] = {2, 3};
  const int32_t rows[] = {0}, columns[] = {1};
  rp_store *m = check_store(ctx, 2, shape, DOUBLES(1, 2, 3, 4, 5, 6));
  rp_store *v3 = check_vector(ctx, 3, NULL), *v2 = check_vector(ctx, 2, NULL);
  rp_store *s = check_store(ctx, 0, NULL, NULL);
  OK(rp_array_reduce_to(RP_ARRAY_SUM, m, 1, rows, v3));
  check_values(v3, DOUBLES(5, 7, 9));
  OK(rp_array_reduce_to(RP_ARRAY_MAX, m, 1, columns, v2));
  check_values(v2, DOUBLES(3, 6));
  OK(rp_array_reduce_to(RP_ARRAY_PROD, m, 0, NULL, s));
  assert_true(check_scalar(s) == 720);
  OK(rp_array_reduce_to(RP_ARRAY_SUM, m, 0, NULL, s)); /* overwrites */
  assert_true(check_scalar(s) == 21);
  OK(rp_array_dot_to(m, m, s));
  assert_true(check_scalar(s) == 91);
  FAILS(RP_ERR_SHAPE, "array.sum", rp_array_reduce_to(RP_ARRAY_SUM, m, 1, rows, v2));
  FAILS(RP_ERR_SHAPE, "axis 0 of out has extent 3, the result 2",
        rp_array_reduce_to(RP_ARRAY_SUM, m, 1, columns, v3));
  FAILS(RP_ERR_SHAPE, "rank 1, the result 0", rp_array_reduce_to(RP_ARRAY_SUM, m, 0, NULL, v3));
  FAILS(RP_ERR_SHAPE, "rank 0, the result 1", rp_array_reduce_to(RP_ARRAY_SUM, m, 1, rows, s));
  check_values(v2, DOUBLES(3, 6));
  check_values(v3, DOUBLES(5, 7, 9));
  assert_true(check_scalar(s) == 91);
  drop(m);
  drop(v3);
  drop(v2);
  drop(s);
}

/* ---- two results -------------------------------------------------------------------------------- */

static const double points[] = {0.0,
                                -0.0,
                                1.0,
                                -1.0,
                                0.5,
                                2.0,
                                3.75,
                                -7.25,
                                1e300,
                                -1e-300,
                                DBL_MIN,
                                DBL_MAX,
                                -DBL_MAX,
                                4.9e-324,
                                -4.9e-324,
                                0x1.fffffffffffffp-1,
                                0x1.fffffffffffffp+9,
                                1024.0,
                                0x1p-1022,
                                0x1.8p-1050,
                                1e15,
                                1e16 + 2,
                                HUGE_VAL,
                                -HUGE_VAL,
                                (double)NAN};
enum { N_POINTS = sizeof points / sizeof *points };

/* Equal with their signs; any NaN is NaN. */
static void same(const char *what, double x, double got, double want) {
  if (isnan(got) && isnan(want)) return;
  if (got != want || signbit(got) != signbit(want))
    fail_msg("%s(%a) gives %a, not %a", what, x, got, want);
}

static void test_modf(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, N_POINTS, points), *f = NULL, *i = NULL;
  double fraction[N_POINTS], integral[N_POINTS];
  OK(rp_array_modf(x, &f, &i));
  OK(rp_store_read(f, fraction, sizeof fraction));
  OK(rp_store_read(i, integral, sizeof integral));
  for (int k = 0; k < N_POINTS; k++) {
    double whole;
    same("modf's fraction", points[k], fraction[k], modf(points[k], &whole));
    same("modf's integral part", points[k], integral[k], whole);
  }
  drop(f);
  drop(i);
  f = x;
  FAILS(RP_ERR_ARGUMENT, "array.modf", rp_array_modf(x, &f, NULL));
  assert_null(f);
  FAILS(RP_ERR_ARGUMENT, "array.modf", rp_array_modf(NULL, &f, &i));
  drop(x);
}

static void check_frexp(const double *x, int64_t n) {
  rp_store *s = check_vector(ctx, n, x), *m = NULL, *e = NULL;
  double *mantissa = malloc((size_t)n * sizeof *mantissa);
  int32_t *exponent = malloc((size_t)n * sizeof *exponent);
  assert_true(mantissa && exponent);
  OK(rp_array_frexp(s, &m, &e));
  assert_int_equal(rp_store_dtype(e), RP_I32);
  OK(rp_store_read(m, mantissa, (size_t)n * sizeof *mantissa));
  OK(rp_store_read(e, exponent, (size_t)n * sizeof *exponent));
  for (int64_t k = 0; k < n; k++) {
    int want = 0;
    same("frexp", x[k], mantissa[k], frexp(x[k], &want));
    if (!isfinite(x[k])) want = 0;
    if (exponent[k] != want)
      fail_msg("frexp(%a) has exponent %d, not %d", x[k], (int)exponent[k], want);
  }
  free(mantissa);
  free(exponent);
  drop(s);
  drop(m);
  drop(e);
}

static void test_frexp(void **state) {
  (void)state;
  enum { N = 6000 };
  static double x[N];
  check_frexp(points, N_POINTS);
  for (int k = 0; k < N; k++) { /* every power of two and its neighbours */
    const double p = ldexp(1.0, k / 3 % 2098 - 1074);
    x[k] = k % 3 == 0 ? p : nextafter(p, k % 3 == 1 ? 0 : HUGE_VAL);
  }
  check_frexp(x, N);
  const float f[] = {3.0f, FLT_MIN, 1.4e-45f, FLT_MAX, -0.1f};
  float mantissa[5];
  int32_t exponent[5];
  rp_store *s, *m = NULL, *e = NULL;
  OK(rp_store_create(ctx, RP_F32, 1, &(int64_t){5}, &s));
  OK(rp_store_write(s, f, sizeof f));
  OK(rp_array_frexp(s, &m, &e));
  OK(rp_store_read(m, mantissa, sizeof mantissa));
  OK(rp_store_read(e, exponent, sizeof exponent));
  for (int k = 0; k < 5; k++) {
    int want;
    assert_true(mantissa[k] == frexpf(f[k], &want));
    assert_int_equal(exponent[k], want);
  }
  drop(s);
  drop(m);
  drop(e);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_reduce_to),
                                     cmocka_unit_test(test_modf), cmocka_unit_test(test_frexp)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
