/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_array_api.c -- the array library through a context, against loops and <math.h>. */
#include "tests/support/api_group.h"

#include <math.h>

#include "core/include/reprise_array.h"

static uint64_t seed = 123456789u;

static double next_random(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (double)(seed >> 11) * 0x1p-53;
}

static rp_store *make(rp_dtype dtype, int32_t ndim, const int64_t *shape, const void *data) {
  rp_store *s;
  OK(rp_store_create(ctx, dtype, ndim, shape, &s));
  OK(rp_store_write(s, data, (size_t)rp_store_size(s) * rp_dtype_size(dtype)));
  return s;
}

/* Reads `n` elements as doubles, whatever their dtype, and releases the store. */
static void take(rp_store *s, rp_dtype dtype, int64_t n, double *out) {
  union {
    uint8_t b[64];
    int64_t i[64];
    uint64_t u[64];
    float f[64];
    double d[64];
  } raw;
  assert_int_equal(rp_store_dtype(s), dtype);
  assert_int_equal(rp_store_size(s), n);
  OK(rp_store_read(s, &raw, (size_t)n * rp_dtype_size(dtype)));
  for (int64_t k = 0; k < n; k++) {
    out[k] = dtype == RP_BOOL  ? raw.b[k]
             : dtype == RP_F32 ? (double)raw.f[k]
             : dtype == RP_F64 ? raw.d[k]
             : dtype == RP_U64 ? (double)raw.u[k]
                               : (double)raw.i[k];
  }
  OK(rp_store_release(s));
}

static void expect_close(const char *what, double got, double want, double tolerance) {
  if (isnan(want) ? isnan(got) : got == want) return;
  if (fabs(got - want) <= tolerance * fabs(want)) return;
  fail_msg("%s: %.17g, wanted %.17g", what, got, want);
}

/* ---- element-wise -------------------------------------------------------------------------------- */

static double f_negative(double x) { return -x; }
static double f_sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double f_square(double x) { return x * x; }
static double f_reciprocal(double x) { return 1 / x; }
static double f_signbit(double x) { return signbit(x) != 0; }
static double f_isnan(double x) { return isnan(x) != 0; }
static double f_isinf(double x) { return isinf(x) != 0; }
static double f_isfinite(double x) { return isfinite(x) != 0; }
static double f_not(double x) { return x == 0; }

static const struct {
  rp_array_code code;
  double (*f)(double);
  double lo, hi;
  rp_dtype result;
} unary[] = {{RP_ARRAY_NEGATIVE, f_negative, -5, 5, RP_F64},
             {RP_ARRAY_ABSOLUTE, fabs, -5, 5, RP_F64},
             {RP_ARRAY_SIGN, f_sign, -5, 5, RP_F64},
             {RP_ARRAY_SQUARE, f_square, -5, 5, RP_F64},
             {RP_ARRAY_RECIPROCAL, f_reciprocal, -5, 5, RP_F64},
             {RP_ARRAY_SQRT, sqrt, 0, 9, RP_F64},
             {RP_ARRAY_CBRT, cbrt, -9, 9, RP_F64},
             {RP_ARRAY_EXP, exp, -9, 9, RP_F64},
             {RP_ARRAY_EXP2, exp2, -9, 9, RP_F64},
             {RP_ARRAY_EXPM1, expm1, -2, 2, RP_F64},
             {RP_ARRAY_LOG, log, 0.1, 9, RP_F64},
             {RP_ARRAY_LOG2, log2, 0.1, 9, RP_F64},
             {RP_ARRAY_LOG10, log10, 0.1, 9, RP_F64},
             {RP_ARRAY_LOG1P, log1p, -0.5, 9, RP_F64},
             {RP_ARRAY_SIN, sin, -3, 3, RP_F64},
             {RP_ARRAY_COS, cos, -1, 1, RP_F64},
             {RP_ARRAY_TAN, tan, -1, 1, RP_F64},
             {RP_ARRAY_ASIN, asin, -1, 1, RP_F64},
             {RP_ARRAY_ACOS, acos, -1, 0.9, RP_F64},
             {RP_ARRAY_ATAN, atan, -9, 9, RP_F64},
             {RP_ARRAY_SINH, sinh, -3, 3, RP_F64},
             {RP_ARRAY_COSH, cosh, -3, 3, RP_F64},
             {RP_ARRAY_TANH, tanh, -3, 3, RP_F64},
             {RP_ARRAY_ASINH, asinh, -9, 9, RP_F64},
             {RP_ARRAY_ACOSH, acosh, 1.1, 9, RP_F64},
             {RP_ARRAY_ATANH, atanh, -0.9, 0.9, RP_F64},
             {RP_ARRAY_FLOOR, floor, -5, 5, RP_F64},
             {RP_ARRAY_CEIL, ceil, -5, 5, RP_F64},
             {RP_ARRAY_TRUNC, trunc, -5, 5, RP_F64},
             {RP_ARRAY_RINT, rint, -5, 5, RP_F64},
             {RP_ARRAY_ERF, erf, -2, 2, RP_F64},
             {RP_ARRAY_ERFC, erfc, -2, 2, RP_F64},
             {RP_ARRAY_TGAMMA, tgamma, 0.5, 5, RP_F64},
             {RP_ARRAY_LGAMMA, lgamma, 2.5, 9, RP_F64},
             {RP_ARRAY_SIGNBIT, f_signbit, -5, 5, RP_BOOL},
             {RP_ARRAY_ISNAN, f_isnan, -5, 5, RP_BOOL},
             {RP_ARRAY_ISINF, f_isinf, -5, 5, RP_BOOL},
             {RP_ARRAY_ISFINITE, f_isfinite, -5, 5, RP_BOOL},
             {RP_ARRAY_LOGICAL_NOT, f_not, -5, 5, RP_BOOL}};

static void test_unary(void **state) {
  (void)state;
  enum { N = 37 };
  const int64_t n = N;
  for (size_t c = 0; c < sizeof unary / sizeof *unary; c++) {
    double x[N], y[N];
    for (int k = 0; k < N; k++) x[k] = unary[c].lo + (unary[c].hi - unary[c].lo) * next_random();
    if (unary[c].result == RP_BOOL) x[3] = 0, x[4] = -0.0, x[5] = (double)NAN, x[6] = HUGE_VAL;
    rp_store *s = make(RP_F64, 1, &n, x), *out;
    OK(rp_array_unary(unary[c].code, s, &out));
    take(out, unary[c].result, N, y);
    for (int k = 0; k < N; k++) {
      if (unary[c].code == RP_ARRAY_SIGNBIT && isnan(x[k])) continue;
      expect_close(rp_array_name(unary[c].code), y[k], unary[c].f(x[k]), 1e-14);
    }
    OK(rp_store_release(s));
  }
}

static double g_add(double a, double b) { return a + b; }
static double g_subtract(double a, double b) { return a - b; }
static double g_multiply(double a, double b) { return a * b; }
static double g_divide(double a, double b) { return a / b; }
static double g_floor_divide(double a, double b) { return floor(a / b); }
static double g_remainder(double a, double b) { return a - b * floor(a / b); }
static double g_equal(double a, double b) { return a == b; }
static double g_not_equal(double a, double b) { return a != b; }
static double g_less(double a, double b) { return a < b; }
static double g_less_equal(double a, double b) { return a <= b; }
static double g_greater(double a, double b) { return a > b; }
static double g_greater_equal(double a, double b) { return a >= b; }
static double g_and(double a, double b) { return a != 0 && b != 0; }
static double g_or(double a, double b) { return a != 0 || b != 0; }
static double g_xor(double a, double b) { return (a != 0) != (b != 0); }

static const struct {
  rp_array_code code;
  double (*f)(double, double);
  rp_dtype result;
} binary[] = {{RP_ARRAY_ADD, g_add, RP_F64},
              {RP_ARRAY_SUBTRACT, g_subtract, RP_F64},
              {RP_ARRAY_MULTIPLY, g_multiply, RP_F64},
              {RP_ARRAY_DIVIDE, g_divide, RP_F64},
              {RP_ARRAY_FLOOR_DIVIDE, g_floor_divide, RP_F64},
              {RP_ARRAY_REMAINDER, g_remainder, RP_F64},
              {RP_ARRAY_POWER, pow, RP_F64},
              {RP_ARRAY_MINIMUM, fmin, RP_F64},
              {RP_ARRAY_MAXIMUM, fmax, RP_F64},
              {RP_ARRAY_FMIN, fmin, RP_F64},
              {RP_ARRAY_FMAX, fmax, RP_F64},
              {RP_ARRAY_FMOD, fmod, RP_F64},
              {RP_ARRAY_ATAN2, atan2, RP_F64},
              {RP_ARRAY_HYPOT, hypot, RP_F64},
              {RP_ARRAY_COPYSIGN, copysign, RP_F64},
              {RP_ARRAY_NEXTAFTER, nextafter, RP_F64},
              {RP_ARRAY_EQUAL, g_equal, RP_BOOL},
              {RP_ARRAY_NOT_EQUAL, g_not_equal, RP_BOOL},
              {RP_ARRAY_LESS, g_less, RP_BOOL},
              {RP_ARRAY_LESS_EQUAL, g_less_equal, RP_BOOL},
              {RP_ARRAY_GREATER, g_greater, RP_BOOL},
              {RP_ARRAY_GREATER_EQUAL, g_greater_equal, RP_BOOL},
              {RP_ARRAY_LOGICAL_AND, g_and, RP_BOOL},
              {RP_ARRAY_LOGICAL_OR, g_or, RP_BOOL},
              {RP_ARRAY_LOGICAL_XOR, g_xor, RP_BOOL}};

/* Small positive multiples of 1/4, so that quotients and remainders are exact; b is integral. */
static void test_binary(void **state) {
  (void)state;
  enum { N = 24 };
  const int64_t n = N;
  double a[N], b[N], y[N];
  for (int k = 0; k < N; k++) {
    a[k] = floor(40 * next_random()) / 4;
    b[k] = 1 + floor(4 * next_random());
  }
  rp_store *sa = make(RP_F64, 1, &n, a), *sb = make(RP_F64, 1, &n, b), *out;
  for (size_t c = 0; c < sizeof binary / sizeof *binary; c++) {
    const rp_array_code code = binary[c].code;
    OK(rp_array_binary(code, sa, sb, &out));
    take(out, binary[c].result, N, y);
    for (int k = 0; k < N; k++)
      expect_close(rp_array_name(code), y[k], binary[c].f(a[k], b[k]), 1e-14);
    OK(rp_array_binary_float(code, sa, 3, &out));
    take(out, binary[c].result, N, y);
    for (int k = 0; k < N; k++)
      expect_close(rp_array_name(code), y[k], binary[c].f(a[k], 3), 1e-14);
    OK(rp_array_float_binary(code, 7.25, sb, &out));
    take(out, binary[c].result, N, y);
    for (int k = 0; k < N; k++)
      expect_close(rp_array_name(code), y[k], binary[c].f(7.25, b[k]), 1e-14);
  }
  OK(rp_store_release(sa));
  OK(rp_store_release(sb));
}

static void test_integers(void **state) {
  (void)state;
  enum { N = 6 };
  const int64_t n = N, a[N] = {-7, 7, 12, 0, 5, -1}, b[N] = {2, -2, 5, 3, 1, 4};
  static const struct {
    rp_array_code code;
    int64_t want[N];
  } cases[] = {
      {RP_ARRAY_ADD, {-5, 5, 17, 3, 6, 3}},          {RP_ARRAY_FLOOR_DIVIDE, {-4, -4, 2, 0, 5, -1}},
      {RP_ARRAY_REMAINDER, {1, -1, 2, 0, 0, 3}},     {RP_ARRAY_BITWISE_AND, {0, 6, 4, 0, 1, 4}},
      {RP_ARRAY_BITWISE_OR, {-5, -1, 13, 3, 5, -1}}, {RP_ARRAY_BITWISE_XOR, {-5, -7, 9, 3, 4, -5}},
      {RP_ARRAY_MINIMUM, {-7, -2, 5, 0, 1, -1}}};
  rp_store *sa = make(RP_I64, 1, &n, a), *sb = make(RP_I64, 1, &n, b), *out;
  double y[N];
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    OK(rp_array_binary(cases[c].code, sa, sb, &out));
    take(out, RP_I64, N, y);
    for (int k = 0; k < N; k++) {
      expect_close(rp_array_name(cases[c].code), y[k], (double)cases[c].want[k], 0);
    }
  }
  OK(rp_array_binary_int(RP_ARRAY_LEFT_SHIFT, sa, 3, &out));
  take(out, RP_I64, N, y);
  for (int k = 0; k < N; k++) expect_close("left_shift", y[k], (double)(a[k] * 8), 0);
  OK(rp_array_int_binary(RP_ARRAY_SUBTRACT, 100, sa, &out));
  take(out, RP_I64, N, y);
  for (int k = 0; k < N; k++) expect_close("100 - a", y[k], (double)(100 - a[k]), 0);
  OK(rp_array_unary(RP_ARRAY_INVERT, sa, &out));
  take(out, RP_I64, N, y);
  for (int k = 0; k < N; k++) expect_close("invert", y[k], (double)~a[k], 0);
  OK(rp_array_float_binary(RP_ARRAY_LDEXP, 1.5, sa, &out));
  take(out, RP_F64, N, y);
  for (int k = 0; k < N; k++) expect_close("ldexp", y[k], ldexp(1.5, (int)a[k]), 0);
  OK(rp_array_divide(sa, sb, &out)); /* true division */
  take(out, RP_F64, N, y);
  for (int k = 0; k < N; k++) expect_close("divide", y[k], (double)a[k] / (double)b[k], 0);
  OK(rp_array_add_scalar(sa, 0.5, &out)); /* a weak double makes integers f64 */
  take(out, RP_F64, N, y);
  for (int k = 0; k < N; k++) expect_close("a + 0.5", y[k], (double)a[k] + 0.5, 0);
  OK(rp_store_release(sa));
  OK(rp_store_release(sb));
}

static void test_f32_where_to(void **state) {
  (void)state;
  const int64_t shape[] = {2, 3}, three = 3;
  const float x[] = {1, -2, 3, -4, 5, -6}, row[] = {10, 20, 30};
  double y[6];
  rp_store *a = make(RP_F32, 2, shape, x), *b = make(RP_F32, 1, &three, row), *c, *out;
  OK(rp_array_multiply_scalar(a, 0.5, &out)); /* f32 stays f32 */
  take(out, RP_F32, 6, y);
  expect_close("half", y[3], -2, 0);
  OK(rp_array_binary_float(RP_ARRAY_GREATER, a, 0, &c));
  OK(rp_array_where(c, a, b, &out)); /* broadcasts */
  assert_int_equal(rp_store_ndim(out), 2);
  take(out, RP_F32, 6, y);
  static const double want[] = {1, 20, 3, 10, 5, 30};
  for (int k = 0; k < 6; k++) expect_close("where", y[k], want[k], 0);
  OK(rp_array_where_to(c, b, a, a));
  OK(rp_array_add_to(a, a, a)); /* in place: reads come first */
  OK(rp_array_astype(a, RP_I64, &out));
  take(out, RP_I64, 6, y);
  static const double twice[] = {20, -4, 60, -8, 40, -12};
  for (int k = 0; k < 6; k++) expect_close("in place", y[k], twice[k], 0);
  OK(rp_store_release(c));
  OK(rp_store_release(b));
  OK(rp_store_release(a));
}

/* ---- reductions ------------------------------------------------------------------------------------ */

enum { D0 = 3, D1 = 4, D2 = 5, TOTAL = D0 * D1 * D2 };

/* The element of a reduction over the axes of `mask`, by visiting all. */
static double reduce_loop(rp_array_reduction code, const double *x, int mask, int64_t kept) {
  double r = code == RP_ARRAY_PROD || code == RP_ARRAY_ALL ? 1 : 0;
  int64_t count = 0;
  for (int64_t k = 0; k < TOTAL; k++) {
    const int64_t i[3] = {k / (D1 * D2), k / D2 % D1, k % D2}, n[3] = {D0, D1, D2};
    int64_t place = 0;
    for (int d = 0; d < 3; d++) place = mask >> d & 1 ? place : place * n[d] + i[d];
    if (place != kept) continue;
    const double v = x[k];
    switch (code) {
      case RP_ARRAY_PROD: r *= v; break;
      case RP_ARRAY_MIN: r = count == 0 || v < r ? v : r; break;
      case RP_ARRAY_MAX: r = count == 0 || v > r ? v : r; break;
      case RP_ARRAY_ANY: r = r != 0 || v != 0; break;
      case RP_ARRAY_ALL: r = r != 0 && v != 0; break;
      case RP_ARRAY_COUNT: r += v != 0; break;
      case RP_ARRAY_SUM_SQUARES:
      case RP_ARRAY_NORM: r += v * v; break;
      default: r += v;
    }
    count++;
  }
  return code == RP_ARRAY_MEAN ? r / (double)count : code == RP_ARRAY_NORM ? sqrt(r) : r;
}

static void check_reductions(rp_store *s, const double *x, rp_dtype dtype) {
  const bool floating = dtype == RP_F64;
  for (rp_array_reduction code = 0; code < RP_ARRAY_N_REDUCTIONS; code++) {
    for (int mask = 1; mask < 8; mask++) {
      int32_t axes[3], n_axes = 0;
      int64_t kept = 1;
      const int64_t n[3] = {D0, D1, D2};
      for (int d = 2; d >= 0; d--) {
        if (mask >> d & 1) axes[n_axes++] = d % 2 ? d : d - 3;
        if (!(mask >> d & 1)) kept *= n[d];
      }
      rp_store *out;
      double y[TOTAL];
      OK(rp_array_reduce(code, s, mask == 7 ? 0 : n_axes, axes, 0, &out));
      assert_int_equal(rp_store_ndim(out), 3 - n_axes);
      const bool is_bool = code == RP_ARRAY_ANY || code == RP_ARRAY_ALL;
      const bool widens = code >= RP_ARRAY_SUM_SQUARES;
      const rp_dtype want = is_bool                  ? RP_BOOL
                            : code == RP_ARRAY_COUNT ? RP_I64
                            : floating || widens     ? RP_F64
                                                     : RP_I64;
      take(out, want, kept, y);
      for (int64_t k = 0; k < kept; k++) {
        expect_close("reduce", y[k], reduce_loop(code, x, mask, k), 1e-13);
      }
    }
  }
}

static void test_reduce(void **state) {
  (void)state;
  const int64_t shape[] = {D0, D1, D2};
  double x[TOTAL];
  int64_t whole[TOTAL];
  for (int k = 0; k < TOTAL; k++) {
    whole[k] = (int64_t)(5 * next_random()) - 2;
    x[k] = (double)whole[k];
  }
  rp_store *s = make(RP_F64, 3, shape, x), *t = make(RP_I64, 3, shape, whole), *out;
  check_reductions(s, x, RP_F64);
  check_reductions(t, x, RP_I64);
  const int32_t middle = 1;
  OK(rp_array_reduce(RP_ARRAY_SUM, s, 1, &middle, 1, &out));
  assert_int_equal(rp_store_ndim(out), 3);
  assert_int_equal(rp_store_extent(out, 1), 1);
  double y[TOTAL];
  take(out, RP_F64, D0 * D2, y);
  for (int64_t k = 0; k < D0 * D2; k++)
    expect_close("keep", y[k], reduce_loop(RP_ARRAY_SUM, x, 2, k), 0);
  OK(rp_array_dot(s, s, &out));
  take(out, RP_F64, 1, y);
  expect_close("dot", y[0], reduce_loop(RP_ARRAY_SUM_SQUARES, x, 7, 0), 1e-13);
  OK(rp_store_release(s));
  OK(rp_store_release(t));
}

static void test_arg(void **state) {
  (void)state;
  const int64_t shape[] = {2, 4};
  const double x[] = {3, 1, 1, 9, 5, (double)NAN, -2, (double)NAN};
  rp_store *s = make(RP_F64, 2, shape, x), *t, *out;
  double y[8];
  OK(rp_array_argmin(s, 1, &out));
  take(out, RP_I64, 2, y);
  expect_close("tie", y[0], 1, 0);
  expect_close("nan", y[1], 1, 0);
  OK(rp_array_argmax(s, 0, &out));
  take(out, RP_I64, 4, y);
  static const double rows[] = {1, 1, 0, 1};
  for (int k = 0; k < 4; k++) expect_close("rows", y[k], rows[k], 0);
  OK(rp_array_argmin(s, RP_ARRAY_ALL_AXES, &out));
  take(out, RP_I64, 1, y);
  expect_close("all", y[0], 5, 0);
  const int32_t axes[] = {1, 0};
  OK(rp_store_transpose(s, axes, &t)); /* C order of a view that is no dense array */
  OK(rp_array_argmin(t, RP_ARRAY_ALL_AXES, &out));
  take(out, RP_I64, 1, y);
  expect_close("transposed", y[0], 3, 0);
  OK(rp_store_release(t));
  OK(rp_store_release(s));
}

/* ---- creation, errors ---------------------------------------------------------------------------------- */

static void test_create(void **state) {
  (void)state;
  rp_store *out;
  double y[16];
  OK(rp_array_arange(ctx, RP_I64, 10, -3, -4, &out));
  take(out, RP_I64, 4, y);
  for (int k = 0; k < 4; k++) expect_close("arange", y[k], 10 - 4 * k, 0);
  OK(rp_array_arange(ctx, RP_F32, 0, 1, 0.25, &out));
  take(out, RP_F32, 4, y);
  for (int k = 0; k < 4; k++) expect_close("arange", y[k], 0.25 * k, 0);
  OK(rp_array_arange(ctx, RP_F64, 3, 3, 1, &out));
  take(out, RP_F64, 0, y);
  OK(rp_array_linspace(ctx, RP_F64, -1, 0.1, 12, &out));
  take(out, RP_F64, 12, y);
  expect_close("first", y[0], -1, 0);
  expect_close("last", y[11], 0.1, 0);
  for (int k = 0; k < 11; k++) expect_close("linspace", y[k], -1 + k * (1.1 / 11), 1e-13);
  const int64_t shape[] = {2, 2};
  const double value = 2.5;
  OK(rp_array_full(ctx, RP_F64, 2, shape, &value, &out));
  rp_store *copy;
  OK(rp_array_copy(out, &copy));
  OK(rp_array_add_to(out, out, out));
  take(copy, RP_F64, 4, y);
  expect_close("copy", y[3], 2.5, 0);
  take(out, RP_F64, 4, y);
  expect_close("full", y[3], 5, 0);
}

static void test_errors(void **state) {
  (void)state;
  const int64_t two = 2, three = 3, none = 0;
  const double x[] = {1, 2, 3};
  rp_store *a = make(RP_F64, 1, &two, x), *b = make(RP_F64, 1, &three, x), *e, *out = a;
  OK(rp_store_create(ctx, RP_F64, 1, &none, &e));
  assert_int_equal(rp_array_unary(RP_ARRAY_ADD, a, &out), RP_ERR_ARGUMENT);
  assert_null(out);
  assert_int_equal(rp_array_binary(RP_ARRAY_EXP, a, a, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rp_array_unary(-1, a, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rp_array_unary(RP_ARRAY_N_CODES, a, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rp_array_unary(RP_ARRAY_EXP, a, NULL), RP_ERR_ARGUMENT);
  assert_int_not_equal(rp_array_unary(RP_ARRAY_EXP, NULL, &out), RP_OK);
  assert_int_equal(rp_array_add(a, b, &out), RP_ERR_SHAPE);
  assert_null(out);
  assert_int_equal(rp_array_dot(a, b, &out), RP_ERR_SHAPE);
  assert_int_equal(rp_array_reduce(RP_ARRAY_MAX, e, 0, NULL, 0, &out), RP_ERR_SHAPE);
  assert_int_equal(rp_array_argmax(e, 0, &out), RP_ERR_SHAPE);
  const int32_t twice[] = {0, -1}, far = 1;
  assert_int_equal(rp_array_reduce(RP_ARRAY_SUM, a, 2, twice, 0, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rp_array_reduce(RP_ARRAY_SUM, a, 1, &far, 0, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rp_array_arange(ctx, RP_F64, 0, 1, 0, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rp_array_arange(ctx, RP_I32, 0.5, 4, 1, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rp_array_arange(ctx, RP_BOOL, 0, 4, 1, &out), RP_ERR_DTYPE);
  assert_int_equal(rp_array_linspace(ctx, RP_F64, 0, 1, 0, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rp_array_linspace(ctx, RP_I64, 0, 1, 3, &out), RP_ERR_DTYPE);
  rp_array_code code;
  int32_t n;
  OK(rp_array_find("hypot", &code, &n));
  assert_int_equal(code, RP_ARRAY_HYPOT);
  assert_int_equal(n, 2);
  assert_int_equal(rp_array_find("hyp", &code, &n), RP_ERR_ARGUMENT);
  double sum[1];
  OK(rp_array_sum(e, &out));
  take(out, RP_F64, 1, sum);
  expect_close("empty sum", sum[0], 0, 0);
  OK(rp_store_release(a));
  OK(rp_store_release(b));
  OK(rp_store_release(e));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_unary),    cmocka_unit_test(test_binary),
      cmocka_unit_test(test_integers), cmocka_unit_test(test_f32_where_to),
      cmocka_unit_test(test_reduce),   cmocka_unit_test(test_arg),
      cmocka_unit_test(test_create),   cmocka_unit_test(test_errors)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
