/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_semantics_float.c -- SEMANTICS.md 1, floats and NaN, and 5, rule by rule, through the public interface:
 * in both tiers, fused and not, against plain C on edge values. */
#include "tests/support/sheet.h"

#include <fenv.h>
#include <float.h>
#include <xmmintrin.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

/* ---- floats ---------------------------------------------------------------------------------------------- */

enum { FLOATS = 22, FLOAT_PAIRS = FLOATS * FLOATS + 7 };

static double made_nan(uint64_t bits) {
  double d;
  memcpy(&d, &bits, sizeof d);
  return d;
}

/* All pairs of edge values; c runs differently. */
static void f64_triples(double *a, double *b, double *c) {
  const double v[FLOATS] = {0.0,
                            -0.0,
                            1.0,
                            -1.0,
                            0.5,
                            -2.5,
                            3.0,
                            -7.0,
                            0.1,
                            1e300,
                            -DBL_MAX,
                            DBL_MIN,
                            5e-324,
                            -5e-324,
                            INFINITY,
                            -INFINITY,
                            0x1p53,
                            1.0 + DBL_EPSILON,
                            made_nan(UINT64_C(0x7ff8000000000000)),
                            made_nan(UINT64_C(0xfff8000000000000)),
                            made_nan(UINT64_C(0xfff8000000000abc)),
                            1.0 / 3};
  for (int i = 0; i < FLOAT_PAIRS; i++) {
    a[i] = v[i % FLOATS];
    b[i] = v[i / FLOATS % FLOATS];
    c[i] = v[(i * 7 + i / FLOATS) % FLOATS];
  }
}

static void f32_triples(float *a, float *b, float *c) {
  static double x[FLOAT_PAIRS], y[FLOAT_PAIRS], z[FLOAT_PAIRS];
  f64_triples(x, y, z);
  for (int i = 0; i < FLOAT_PAIRS; i++) {
    a[i] = fabs(x[i]) == 5e-324 ? copysignf(1e-45f, (float)x[i]) : (float)x[i];
    b[i] = fabs(y[i]) == 5e-324 ? copysignf(1e-45f, (float)y[i]) : (float)y[i];
    c[i] = fabs(z[i]) == 5e-324 ? copysignf(1e-45f, (float)z[i]) : (float)z[i];
  }
}

static double a8[FLOAT_PAIRS], b8[FLOAT_PAIRS], c8[FLOAT_PAIRS];
static float a4[FLOAT_PAIRS], b4[FLOAT_PAIRS], c4[FLOAT_PAIRS];

static void open_floats(sheet *s) {
  s->n = FLOAT_PAIRS;
  f64_triples(a8, b8, c8);
  f32_triples(a4, b4, c4);
  sheet_in(s, "a", RP_F64, a8);
  sheet_in(s, "b", RP_F64, b8);
  sheet_in(s, "c", RP_F64, c8);
  sheet_in(s, "p", RP_F32, a4);
  sheet_in(s, "q", RP_F32, b4);
  sheet_in(s, "r", RP_F32, c4);
}

static int n_named;

/* An output of both precisions: `text8` over a b c, `text4` over p q r; in C, `expr` over a b c. */
#define BOTH(s, text8, text4, expr) \
  do { \
    static double want8[FLOAT_PAIRS]; \
    static float want4[FLOAT_PAIRS]; \
    char name[16]; \
    for (int i = 0; i < FLOAT_PAIRS; i++) { \
      volatile double a = a8[i], b = b8[i], c = c8[i]; \
      (void)a, (void)b, (void)c; \
      want8[i] = (expr); \
    } \
    for (int i = 0; i < FLOAT_PAIRS; i++) { \
      volatile float a = a4[i], b = b4[i], c = c4[i]; \
      (void)a, (void)b, (void)c; \
      want4[i] = (expr); \
    } \
    snprintf(name, sizeof name, "y%d", n_named++); \
    sheet_out(s, name, RP_F64, want8, text8); \
    snprintf(name, sizeof name, "y%d", n_named++); \
    sheet_out(s, name, RP_F32, want4, text4); \
  } while (0)

static void floats_are_not_reordered(void **state) {
  (void)state;
  static sheet s;
  open_floats(&s);
  BOTH(&s, "(a + b) + c", "(p + q) + r", (a + b) + c);
  BOTH(&s, "a + (b + c)", "p + (q + r)", a + (b + c));
  BOTH(&s, "(a*b)*c", "(p*q)*r", (a * b) * c);
  BOTH(&s, "a*(b*c)", "p*(q*r)", a * (b * c));
  BOTH(&s, "a*b/b", "p*q/q", a * b / b);
  BOTH(&s, "(a + b) - b", "(p + q) - q", (a + b) - b);
  BOTH(&s, "a*2*0.5", "p*2*0.5", a * 2 / 2);
  BOTH(&s, "a/3", "p/3", a / 3);
  sheet_run(&s);
}

/* Identities of the reals that are none of the floats: signs of zero, NaN, infinities. */
static void floats_keep_their_zeros(void **state) {
  (void)state;
  static sheet s;
  open_floats(&s);
  BOTH(&s, "a + 0", "p + 0", a + 0);
  BOTH(&s, "a - 0", "p - 0", a - 0);
  BOTH(&s, "0 - a", "0 - p", 0 - a);
  BOTH(&s, "-a", "-p", -a);
  BOTH(&s, "a*0", "p*0", a * 0);
  BOTH(&s, "a*1", "p*1", a * 1);
  BOTH(&s, "a*-1", "p*-1", a * -1);
  BOTH(&s, "a - a", "p - p", a - a);
  BOTH(&s, "a/a", "p/p", a / a);
  BOTH(&s, "1/(1/a)", "1/(1/p)", 1 / (1 / a));
  BOTH(&s, "where(a == b, a, b)", "where(p == q, p, q)", a == b ? a : b);
  sheet_run(&s);
}

static double spread(int i) { return sin(i * 12.9898) * 43758.5453; }

/* A product and a sum are two roundings: in one task, in two, with the product kept and not. */
static void floats_are_not_contracted(void **state) {
  (void)state;
  static sheet s;
  static double product[FLOAT_PAIRS], sum[FLOAT_PAIRS], difference[FLOAT_PAIRS], two[FLOAT_PAIRS];
  static float sum4[FLOAT_PAIRS];
  int differ = 0, differ4 = 0;
  s.n = FLOAT_PAIRS;
  for (int i = 0; i < FLOAT_PAIRS; i++) {
    volatile double a = a8[i] = spread(i), b = b8[i] = spread(i + 1000),
                    c = c8[i] = spread(i + 2000);
    volatile double ab = product[i] = a * b, cc = c * c;
    volatile float x = a4[i] = (float)a, y = b4[i] = (float)b, z = c4[i] = (float)c, xy = x * y;
    sum[i] = ab + c;
    difference[i] = c - ab;
    two[i] = ab - cc;
    sum4[i] = xy + z;
    differ += sum[i] != fma(a, b, c);
    differ4 += sum4[i] != fmaf(x, y, z);
  }
  assert_true(differ > 50 && differ4 > 50); /* else the test could not fail */
  sheet_in(&s, "a", RP_F64, a8);
  sheet_in(&s, "b", RP_F64, b8);
  sheet_in(&s, "c", RP_F64, c8);
  sheet_in(&s, "p", RP_F32, a4);
  sheet_in(&s, "q", RP_F32, b4);
  sheet_in(&s, "r", RP_F32, c4);
  sheet_out(&s, "y0", RP_F64, sum, "a*b + c");
  sheet_out(&s, "y1", RP_F64, difference, "c - a*b");
  sheet_out(&s, "y2", RP_F64, two, "a*b - c*c");
  sheet_out(&s, "y3", RP_F32, sum4, "p*q + r");
  sheet_run(&s);
  s.n = FLOAT_PAIRS;
  sheet_in(&s, "a", RP_F64, a8);
  sheet_in(&s, "b", RP_F64, b8);
  sheet_in(&s, "c", RP_F64, c8);
  sheet_out(&s, "t0", RP_F64, NULL, "a*b");
  sheet_out(&s, "y0", RP_F64, sum, "t0 + c");
  sheet_out(&s, "t1", RP_F64, product, "a*b");
  sheet_out(&s, "y1", RP_F64, difference, "c - t1");
  sheet_run(&s);
}

static void floats_fma_is_an_op(void **state) {
  (void)state;
  static sheet s;
  open_floats(&s);
  BOTH(&s, "fma(a, b, c)", "fma(p, q, r)",
       _Generic(a, float
                : fmaf((float)a, (float)b, (float)c), default
                : fma(a, b, c)));
  BOTH(&s, "fma(a, b, -c)", "fma(p, q, -r)",
       _Generic(a, float
                : fmaf((float)a, (float)b, -(float)c), default
                : fma(a, b, -c)));
  sheet_run(&s);
}

static void floats_subnormals_stay(void **state) {
  (void)state;
  static sheet s;
  open_floats(&s);
  for (int i = 0; i < FLOAT_PAIRS; i++) {
    a8[i] = ldexp(1 + i, -1074 + i % 40);
    b8[i] = ldexp(i % 17 - 8, -1060);
    a4[i] = ldexpf((float)(1 + i), -149 + i % 20);
    b4[i] = ldexpf((float)(i % 17 - 8), -140);
  }
  sheet_clear(&s);
  sheet_in(&s, "a", RP_F64, a8);
  sheet_in(&s, "b", RP_F64, b8);
  sheet_in(&s, "p", RP_F32, a4);
  sheet_in(&s, "q", RP_F32, b4);
  BOTH(&s, "a + b", "p + q", a + b);
  BOTH(&s, "a - b", "p - q", a - b);
  BOTH(&s, "a*0.25", "p*0.25", a / 4);
  BOTH(&s, "a/b", "p/q", a / b);
  BOTH(&s, "max(a, b)", "max(p, q)", a > b ? a : b);
  BOTH(&s, "sqrt(a)", "sqrt(p)", _Generic(a, float : sqrtf((float)a), default : sqrt(a)));
  static float narrow[FLOAT_PAIRS];
  static bool positive[FLOAT_PAIRS];
  for (int i = 0; i < FLOAT_PAIRS; i++) {
    narrow[i] = (float)(a8[i] * 1e280);
    positive[i] = a8[i] > 0;
    assert_true(positive[i] && a8[i] < DBL_MIN);
  }
  sheet_out(&s, "z0", RP_F32, narrow, "f32(a*1e280)");
  sheet_out(&s, "z1", RP_BOOL, positive, "a > 0");
  sheet_run(&s);
}

static void floats_divide_as_python(void **state) {
  (void)state;
  static sheet s;
  open_floats(&s);
  static double m8[FLOAT_PAIRS], d8[FLOAT_PAIRS];
  static float m4[FLOAT_PAIRS], d4[FLOAT_PAIRS];
#define PYTHON(a, b, m, d, fmod_, floor_, copysign_, T) \
  for (int i = 0; i < FLOAT_PAIRS; i++) { \
    T r = fmod_(a[i], b[i]), q = (a[i] - r) / b[i]; \
    if (isnan(r)) { \
      m[i] = r; \
      d[i] = b[i] == 0 ? a[i] / b[i] : q; \
      continue; \
    } \
    if (r != 0 && (r < 0) != (b[i] < 0)) r += b[i], q -= 1; \
    m[i] = r == 0 ? copysign_(0, b[i]) : r; \
    T f = floor_(q); \
    d[i] = q == 0 ? copysign_(0, a[i] / b[i]) : q - f > (T)0.5 ? f + 1 : f; \
  }
  PYTHON(a8, b8, m8, d8, fmod, floor, copysign, double)
  PYTHON(a4, b4, m4, d4, fmodf, floorf, copysignf, float)
  sheet_out(&s, "y0", RP_F64, m8, "a % b");
  sheet_out(&s, "y1", RP_F64, d8, "a // b");
  sheet_out(&s, "y2", RP_F32, m4, "p % q");
  sheet_out(&s, "y3", RP_F32, d4, "p // q");
  sheet_run(&s);
}

/* ---- NaN --------------------------------------------------------------------------------------------------- */

static void nan_compares_as_one_value(void **state) {
  (void)state;
  static sheet s;
  static bool want[FLOAT_PAIRS];
  open_floats(&s);
#define TEST_OF(text, expr) \
  do { \
    char name[16]; \
    for (int i = 0; i < FLOAT_PAIRS; i++) { \
      const double a = a8[i], b = b8[i]; \
      const float p = a4[i], q = b4[i]; \
      (void)a, (void)b, (void)p, (void)q; \
      want[i] = (expr); \
    } \
    snprintf(name, sizeof name, "y%d", n_named++); \
    sheet_out(&s, name, RP_BOOL, want, text); \
  } while (0)
  TEST_OF("a < b", a < b);
  TEST_OF("a <= b", a <= b);
  TEST_OF("a > b", a > b);
  TEST_OF("a >= b", a >= b);
  TEST_OF("a == b", a == b);
  TEST_OF("a != b", a != b);
  TEST_OF("p < q", p < q);
  TEST_OF("p <= q", p <= q);
  TEST_OF("p == q", p == q);
  TEST_OF("p != q", p != q);
  TEST_OF("!(a < b)", !(a < b));
  TEST_OF("isnan(a)", isnan(a) != 0);
  TEST_OF("isinf(p)", isinf(p) != 0);
  TEST_OF("isfinite(a)", isfinite(a) != 0);
  TEST_OF("a && b", a != 0 && b != 0);
  sheet_run(&s);
}

/* Neither the sign nor the payload of a NaN is seen. */
static void nan_signs_are_canonical(void **state) {
  (void)state;
  static sheet s;
  static bool want[FLOAT_PAIRS];
  open_floats(&s);
  TEST_OF("signbit(a)", !isnan(a) && signbit(a));
  TEST_OF("signbit(p)", !isnan(p) && signbit(p));
  TEST_OF("signbit(-a)", !isnan(a) && !signbit(a));
  TEST_OF("signbit(a*b)", !isnan(a * b) && signbit(a * b));
  BOTH(&s, "copysign(a, b)", "copysign(p, q)",
       _Generic(a, float
                : copysignf((float)a, isnan(b) ? 1 : (float)b), default
                : copysign(a, isnan(b) ? 1 : b)));
  BOTH(&s, "copysign(1, a - a)", "copysign(1, p - p)", 1);
  BOTH(&s, "sign(a)", "sign(p)", a > 0 ? 1 : a < 0 ? -1 : a);
  BOTH(&s, "abs(a)", "abs(p)", _Generic(a, float : fabsf((float)a), default : fabs(a)));
  sheet_run(&s);
}

/* -0 lies before +0. */
static bool before(double a, double b) { return a < b || (a == b && signbit(a) && !signbit(b)); }
static double low(double a, double b, bool skip) {
  if (isnan(a)) return skip ? b : a;
  if (isnan(b)) return skip ? a : b;
  return before(b, a) ? b : a;
}
static double high(double a, double b, bool skip) {
  if (isnan(a)) return skip ? b : a;
  if (isnan(b)) return skip ? a : b;
  return before(a, b) ? b : a;
}

static void nan_in_min_and_max(void **state) {
  (void)state;
  static sheet s;
  open_floats(&s);
#define AS(v) _Generic(a, float : (float)(v), default : (v))
  BOTH(&s, "min(a, b)", "min(p, q)", AS(low((double)a, (double)b, false)));
  BOTH(&s, "max(a, b)", "max(p, q)", AS(high((double)a, (double)b, false)));
  BOTH(&s, "minimum(b, a)", "minimum(q, p)", AS(low((double)b, (double)a, false)));
  BOTH(&s, "maximum(b, a)", "maximum(q, p)", AS(high((double)b, (double)a, false)));
  BOTH(&s, "fmin(a, b)", "fmin(p, q)", AS(low((double)a, (double)b, true)));
  BOTH(&s, "fmax(a, b)", "fmax(p, q)", AS(high((double)a, (double)b, true)));
  BOTH(&s, "min(max(a, b), c)", "min(max(p, q), r)",
       AS(low(high((double)a, (double)b, false), (double)c, false)));
  sheet_run(&s);
}

/* ---- the rounding mode of the caller ------------------------------------------------------------------------ */

enum { LONG = 100000 };

static void round_program(rp_context *ctx, const double *x, double *y, float *z, double sum[2]) {
  const int64_t n = LONG;
  const double third = 0.1;
  rp_store *sx, *sy, *sz, *ss, *st;
  rp_library *lib;
  rp_op *op;
  OK(rp_store_create(ctx, RP_F64, 1, &n, &sx));
  OK(rp_store_create(ctx, RP_F64, 1, &n, &sy));
  OK(rp_store_create(ctx, RP_F32, 1, &n, &sz));
  OK(rp_store_create(ctx, RP_F64, 0, NULL, &ss));
  OK(rp_store_create(ctx, RP_F64, 0, NULL, &st));
  OK(rp_store_write(sx, x, sizeof *x * LONG));
  OK(rp_library_create(ctx, "round", &lib));
  OK(rp_op_create(lib, "scale", "y, a:float, x", "y = (x/3 + a)*0.7 - 1/3.0 + exp(x)", &op));
  for (int pass = 0; pass < 3; pass++) {
    OK(rp_trace_begin(ctx, 1));
    OK(rp_launch(op, STORES(sy, sx), 2, (const void *[]){&third}, 1));
    OK(EVAL(ctx, "z, x", "z = f32(x/7)*0.1 + 0.2*0.3", sz, sx));
    OK(EVAL(ctx, "s, y", "s = sum(i) y[i]", ss, sy));
    OK(EVAL(ctx, "t, s", "t = s/7 + 1e-30 + log(abs(s) + 1)*(1/3.0)", st, ss));
    OK(EVAL(ctx, "x, t", "x = x + 0*t", sx, st));
    OK(rp_trace_end(ctx, 1));
  }
  OK(rp_store_read(sy, y, sizeof *y * LONG));
  OK(rp_store_read(sz, z, sizeof *z * LONG));
  OK(rp_store_read(ss, &sum[0], sizeof *sum));
  OK(rp_store_read(st, &sum[1], sizeof *sum));
  rp_store *all[] = {sx, sy, sz, ss, st};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
}

/* Text is read, constants are folded, kernels run and sums are finished as if the mode were the usual one,
 * and the caller finds his own afterwards, flush-to-zero bits included. */
static void rounding_mode_of_the_caller(void **state) {
  (void)state;
  static double x[LONG], y[LONG], usual[LONG];
  static float z[LONG], usual4[LONG];
  static const int mode[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST};
  static const unsigned flush = 0x8040; /* FTZ and DAZ */
  double sum[2], usual_sum[2];
  for (int i = 0; i < LONG; i++) x[i] = i % 5 == 0 ? ldexp(i, -1074) : sin(i);
  for (int tier = 0; tier < 2; tier++)
    for (int m = -1; m < COUNT(mode); m++) {
      const unsigned csr = _mm_getcsr();
      if (m >= 0) {
        fesetround(mode[m]);
        _mm_setcsr(_mm_getcsr() | flush);
      }
      const unsigned before_it = _mm_getcsr() & ~0x3fu;
      rp_context *ctx = ways_context(tier ? "--tier 1 --grain 1" : "--tier 0 --grain 1");
      round_program(ctx, x, m < 0 ? usual : y, m < 0 ? usual4 : z, m < 0 ? usual_sum : sum);
      OK(rp_context_destroy(ctx));
      const unsigned after_it = _mm_getcsr() & ~0x3fu;
      const int after_mode = fegetround();
      fesetround(FE_TONEAREST);
      _mm_setcsr(csr);
      assert_int_equal(before_it, after_it);
      if (m < 0) continue;
      assert_int_equal(after_mode, mode[m]);
      for (int i = 0; i < LONG; i++)
        if (memcmp(&y[i], &usual[i], sizeof *y) || memcmp(&z[i], &usual4[i], sizeof *z))
          fail_msg("tier %d, mode %d: element %d is %.17g, not %.17g; %.9g, not %.9g", tier, m, i,
                   y[i], usual[i], (double)z[i], (double)usual4[i]);
      assert_memory_equal(sum, usual_sum, sizeof sum);
    }
  assert_true(usual[5] != 0 && x[5] < DBL_MIN);
}

/* ---- errors in floating point ---------------------------------------------------------------------------------- */

static void errors_are_values(void **state) {
  (void)state;
  for (int w = 0; w < n_ways; w++) {
    rp_context *ctx = ways[w].ctx;
    double v[] = {0.0, 1.0, -1.0, 1e200, INFINITY};
    double want[] = {NAN, INFINITY, -INFINITY, INFINITY, INFINITY}, square[5], root[5], log_of[5];
    rp_store *x = check_vector(ctx, 5, v), *y[4];
    for (int k = 0; k < 4; k++) y[k] = check_vector(ctx, 5, NULL);
    OK(EVAL(ctx, "p, q, r, s, x", "p = x/0.0; q = x*x; r = sqrt(-x); s = log(0*x)", y[0], y[1],
            y[2], y[3], x));
    OK(rp_wait(ctx));
    for (int i = 0; i < 5; i++) {
      square[i] = v[i] * v[i];
      root[i] = v[i] > 0 ? NAN : v[i] == 0 ? -0.0 : 1;
      log_of[i] = isinf(v[i]) ? NAN : -INFINITY;
    }
    check_elements(ways[w].name, "x/0.0", y[0], want);
    check_elements(ways[w].name, "x*x", y[1], square);
    check_elements(ways[w].name, "sqrt(-x)", y[2], root);
    check_elements(ways[w].name, "log(0*x)", y[3], log_of);
    for (int k = 0; k < 4; k++) OK(rp_store_release(y[k]));
    OK(rp_store_release(x));
  }
}

/* The knob counts what is not finite, and names the first op that made some. */
static void errors_are_found_by_a_knob(void **state) {
  (void)state;
  for (int tier = 0; tier < 2; tier++) {
    char text[8192];
    size_t needed;
    rp_library *lib;
    rp_op *twice, *invert;
    rp_context *ctx = ways_context(tier ? "--tier 1 --nonfinite on" : "--tier 0 --nonfinite on");
    rp_store *x = check_vector(ctx, 4, (double[]){0, 1, 0, 2}), *y = check_vector(ctx, 4, NULL);
    OK(rp_library_create(ctx, "mine", &lib));
    OK(rp_op_create(lib, "twice", "y, x", "y = 2*x", &twice));
    OK(rp_op_create(lib, "invert", "y, x", "y = 1/x", &invert));
    OK(rp_launch(twice, STORES(y, x), 2, NULL, 0));
    OK(rp_wait(ctx));
    assert_int_equal(check_stat(ctx, "nonfinite"), 0);
    OK(rp_launch(invert, STORES(y, x), 2, NULL, 0));
    OK(rp_launch(twice, STORES(x, y), 2, NULL, 0));
    OK(rp_wait(ctx));
    assert_int_equal(check_stat(ctx, "nonfinite"), 4);
    OK(rp_explain(ctx, text, sizeof text, &needed));
    assert_non_null(strstr(text, "first non-finite result: launch 2, mine.invert"));
    OK(rp_store_release(x));
    OK(rp_store_release(y));
    OK(rp_context_destroy(ctx));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(floats_are_not_reordered),  cmocka_unit_test(floats_keep_their_zeros),
      cmocka_unit_test(floats_are_not_contracted), cmocka_unit_test(floats_fma_is_an_op),
      cmocka_unit_test(floats_subnormals_stay),    cmocka_unit_test(floats_divide_as_python),
      cmocka_unit_test(nan_compares_as_one_value), cmocka_unit_test(nan_signs_are_canonical),
      cmocka_unit_test(nan_in_min_and_max),        cmocka_unit_test(rounding_mode_of_the_caller),
      cmocka_unit_test(errors_are_values),         cmocka_unit_test(errors_are_found_by_a_knob)};
  return cmocka_run_group_tests(tests, ways_open, ways_close);
}
