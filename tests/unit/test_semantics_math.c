/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_semantics_math.c -- SEMANTICS.md 2, rule by rule, through the public interface: one vector
 * level per context, the same symbol of libmvec wherever an element lies, scalar libm for what
 * libmvec lacks. The symbols are called here by hand. */
#include "tests/support/sheet.h"

#include <dlfcn.h>
#include <immintrin.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

/* ---- libmvec by hand ---------------------------------------------------------------------------- */

static const char *const unary[] = {
    "exp",  "exp2", "expm1", "log",  "log2", "log10", "log1p", "sin",   "cos",  "tan", "asin",
    "acos", "atan", "sinh",  "cosh", "tanh", "asinh", "acosh", "atanh", "cbrt", "erf", "erfc"};
static const char *const binary[] = {"pow", "atan2", "hypot"};

static void *symbol(const char *prefix, const char *name, const char *suffix) {
  static void *library;
  char full[64];
  if (!library) library = dlopen("libmvec.so.1", RTLD_NOW);
  assert_non_null(library);
  snprintf(full, sizeof full, "%s_%s%s", prefix, name, suffix);
  void *f = dlsym(library, full);
  if (!f) fail_msg("libmvec has no %s", full);
  return f;
}

typedef __m256d call_d(__m256d), call_dd(__m256d, __m256d);
typedef __m256 call_f(__m256), call_ff(__m256, __m256);

static double mvec_d(const char *name, double x) {
  call_d *f = (call_d *)(uintptr_t)symbol("_ZGVdN4v", name, "");
  return _mm256_cvtsd_f64(f(_mm256_set1_pd(x)));
}

static float mvec_f(const char *name, float x) {
  call_f *f = (call_f *)(uintptr_t)symbol("_ZGVdN8v", name, "f");
  return _mm256_cvtss_f32(f(_mm256_set1_ps(x)));
}

static double mvec_dd(const char *name, double x, double y) {
  call_dd *f = (call_dd *)(uintptr_t)symbol("_ZGVdN4vv", name, "");
  return _mm256_cvtsd_f64(f(_mm256_set1_pd(x), _mm256_set1_pd(y)));
}

static float mvec_ff(const char *name, float x, float y) {
  call_ff *f = (call_ff *)(uintptr_t)symbol("_ZGVdN8vv", name, "f");
  return _mm256_cvtss_f32(f(_mm256_set1_ps(x), _mm256_set1_ps(y)));
}

__attribute__((target("avx512f"))) static double mvec512_d(const char *name, double x) {
  typedef __m512d call(__m512d);
  double lane[8];
  call *f = (call *)(uintptr_t)symbol("_ZGVeN8v", name, "");
  _mm512_storeu_pd(lane, f(_mm512_set1_pd(x)));
  return lane[0];
}

/* ---- arguments ------------------------------------------------------------------------------------- */

enum { VALUES = 61, N = 1037 }; /* 61 is prime: each value meets every lane, and the tail */

static double value(int i) {
  static const double odd[] = {0.0,   -0.0,   1.0,     -1.0,  0.5,    INFINITY, -INFINITY, NAN,
                               1e300, 5e-324, -1e-310, 708.0, -745.0, 1e10,     0.9999999, 171.5};
  i %= VALUES;
  return i < COUNT(odd) ? odd[i] : (i - 38) * 0.173;
}

static double x8[N], y8[N], want8[N];
static float x4[N], y4[N], want4[N];

static void open_values(sheet *s, bool two) {
  s->n = N;
  for (int i = 0; i < N; i++) {
    x4[i] = (float)(x8[i] = value(i));
    y4[i] = (float)(y8[i] = value(3 * i + i / VALUES));
  }
  sheet_in(s, "x", RP_F64, x8);
  sheet_in(s, "p", RP_F32, x4);
  if (!two) return;
  sheet_in(s, "y", RP_F64, y8);
  sheet_in(s, "q", RP_F32, y4);
}

/* Only the ways of this level; the others have symbols of their own. */
static void run_avx2(sheet *s) {
  for (int w = 0; w < n_ways; w++)
    if (!strstr(ways[w].name, "avx512")) sheet_run_on(s, ways[w].name, ways[w].ctx, ways[w].joined);
  sheet_clear(s);
}

static void add_unary(sheet *s, const char *name, bool f64, bool f32) {
  char text[32], out[16];
  for (int i = 0; i < N; i++) {
    if (f64) want8[i] = mvec_d(name, x8[i]);
    if (f32) want4[i] = mvec_f(name, x4[i]);
  }
  snprintf(text, sizeof text, "%s(x)", name);
  snprintf(out, sizeof out, "d_%s", name);
  if (f64) sheet_out(s, out, RP_F64, want8, text);
  snprintf(text, sizeof text, "%s(p)", name);
  snprintf(out, sizeof out, "f_%s", name);
  if (f32) sheet_out(s, out, RP_F32, want4, text);
}

/* ---- the vector symbol everywhere ------------------------------------------------------------------- */

static void symbols_of_one_argument(void **state) {
  (void)state;
  static sheet s;
  for (int part = 0; part < 2; part++) {
    open_values(&s, false);
    for (int f = part; f < COUNT(unary); f += 2) add_unary(&s, unary[f], true, true);
    run_avx2(&s);
  }
}

static void symbols_of_two_arguments(void **state) {
  (void)state;
  static sheet s;
  open_values(&s, true);
  for (int f = 0; f < COUNT(binary); f++) {
    char text[32], out[16];
    for (int i = 0; i < N; i++) {
      want8[i] = mvec_dd(binary[f], x8[i], y8[i]);
      want4[i] = mvec_ff(binary[f], x4[i], y4[i]);
    }
    snprintf(text, sizeof text, "%s(x, y)", binary[f]);
    snprintf(out, sizeof out, "d_%s", binary[f]);
    sheet_out(&s, out, RP_F64, want8, text);
    snprintf(text, sizeof text, "%s(p, q)", binary[f]);
    snprintf(out, sizeof out, "f_%s", binary[f]);
    sheet_out(&s, out, RP_F32, want4, text);
  }
  run_avx2(&s);
}

/* Kernels of one precision have other widths: no lane may see that. */
static void symbols_in_any_width(void **state) {
  (void)state;
  static sheet s;
  for (int f32 = 0; f32 < 2; f32++) {
    open_values(&s, false);
    add_unary(&s, "tanh", !f32, f32);
    add_unary(&s, "exp2", !f32, f32);
    run_avx2(&s);
  }
}

/* Every length: one element is all tail. */
static void symbols_in_tails(void **state) {
  (void)state;
  static sheet s;
  for (int n = 1; n < 20; n++) {
    open_values(&s, false);
    add_unary(&s, "tanh", true, true);
    add_unary(&s, "log1p", true, true);
    s.n = n;
    run_avx2(&s);
  }
}

/* Strides, backwards, transposed, one value for all. */
static void symbols_on_any_layout(void **state) {
  (void)state;
  enum { R = 17, C = 61 };
  static double v[R * C], row[R * C], col[R * C], every[R * C], back[R * C], one[R * C];
  for (int i = 0; i < R * C; i++) v[i] = value(i);
  for (int i = 0; i < R * C; i++) {
    row[i] = mvec_d("tanh", v[i]);
    col[i] = mvec_d("tanh", v[i % R * C + i / R]);
    back[i] = mvec_d("tanh", v[R * C - 1 - i]);
    one[i] = mvec_d("tanh", v[20]);
    if (i < (R * C + 2) / 3) every[i] = mvec_d("tanh", v[3 * i]);
  }
  for (int w = 0; w < n_ways; w++) {
    if (strstr(ways[w].name, "avx512")) continue;
    rp_context *ctx = ways[w].ctx;
    rp_store *x = check_store(ctx, 2, (int64_t[]){R, C}, v), *flat, *view[5], *y[5];
    OK(rp_store_reshape(x, 1, (int64_t[]){-1}, &flat));
    OK(rp_store_retain(x));
    view[0] = x;
    OK(rp_store_transpose(x, (int32_t[]){1, 0}, &view[1]));
    OK(rp_store_slice(flat, 0, 0, INT64_MAX, 3, &view[2]));
    OK(rp_store_slice(flat, 0, -1, INT64_MIN, -1, &view[3]));
    OK(rp_store_box(flat, (int64_t[]){20}, (int64_t[]){21}, &view[4]));
    rp_store *wide;
    OK(rp_store_broadcast(view[4], 1, (int64_t[]){R * C}, &wide));
    OK(rp_store_release(view[4]));
    view[4] = wide;
    const double *want[] = {row, col, every, back, one};
    const char *const name[] = {"rows", "transposed", "every third", "backwards", "one for all"};
    for (int k = 0; k < 5; k++) {
      int64_t shape[2] = {rp_store_extent(view[k], 0), k < 2 ? rp_store_extent(view[k], 1) : 0};
      OK(rp_store_create(ctx, RP_F64, rp_store_ndim(view[k]), shape, &y[k]));
      OK(EVAL(ctx, "y, x", "y = tanh(x)", y[k], view[k]));
    }
    for (int k = 0; k < 5; k++) {
      check_elements(ways[w].name, name[k], y[k], want[k]);
      OK(rp_store_release(y[k]));
      OK(rp_store_release(view[k]));
    }
    OK(rp_store_release(flat));
    OK(rp_store_release(x));
  }
}

/* A scalar in a prologue, in an epilogue, from the host, and a literal: never scalar libm. */
static void symbols_of_scalars(void **state) {
  (void)state;
  static double v[N];
  for (int w = 0; w < n_ways; w++) {
    if (strstr(ways[w].name, "avx512")) continue;
    rp_context *ctx = ways[w].ctx;
    rp_library *lib;
    rp_op *op;
    OK(rp_library_create(ctx, "scalars", &lib));
    OK(rp_op_create(lib, "shift", "y, a:f64, x", "y = x + tanh(a) + exp2(0.3)", &op));
    for (int i = 0; i < VALUES; i++) {
      const double a = value(i), zero = 0;
      double all[N], sum[1];
      rp_store *x = check_vector(ctx, N, v), *y = check_vector(ctx, N, NULL);
      rp_store *s = check_store(ctx, 0, NULL, &a), *t = check_store(ctx, 0, NULL, NULL);
      rp_store *u = check_store(ctx, 0, NULL, NULL), *e = check_store(ctx, 0, NULL, NULL);
      OK(rp_store_fill(x, &zero));
      OK(rp_wait(ctx));
      const int64_t kernels = check_stat(ctx, "kernels_run");
      OK(rp_trace_begin(ctx, 3));
      OK(EVAL(ctx, "t, s", "t = tan(s)", t, s)); /* prologue */
      OK(EVAL(ctx, "x, t", "x = x + t", x, t));
      OK(rp_launch(op, STORES(y, x), 2, (const void *[]){&a}, 1));
      OK(EVAL(ctx, "u, x", "u = max(i) x[i]", u, x));
      OK(EVAL(ctx, "e, u", "e = log1p(u)", e, u)); /* epilogue */
      OK(rp_trace_end(ctx, 3));
      OK(rp_wait(ctx));
      assert_int_equal(check_stat(ctx, "kernels_run") - kernels,
                       strstr(ways[w].config, "off") ? 5 : 1);
      for (int k = 0; k < N; k++) all[k] = 0.0 + mvec_d("tan", a);
      check_elements(ways[w].name, "prologue", x, all);
      sum[0] = mvec_d("log1p", all[0]);
      check_elements(ways[w].name, "epilogue", e, sum);
      for (int k = 0; k < N; k++) all[k] = (all[k] + mvec_d("tanh", a)) + mvec_d("exp2", 0.3);
      check_elements(ways[w].name, "host scalar, literal", y, all);
      rp_store *held[] = {x, y, s, t, u, e};
      for (int k = 0; k < COUNT(held); k++) OK(rp_store_release(held[k]));
    }
  }
}

/* ---- what libmvec lacks ---------------------------------------------------------------------------------- */

static void scalar_libm_for_the_rest(void **state) {
  (void)state;
  static sheet s;
  open_values(&s, true);
#define REST(text8, text4, expr8, expr4) \
  do { \
    char out[16]; \
    for (int i = 0; i < N; i++) { \
      volatile double x = x8[i], y = y8[i]; \
      volatile float p = x4[i], q = y4[i]; \
      (void)x, (void)y, (void)p, (void)q; \
      want8[i] = (expr8); \
      want4[i] = (expr4); \
    } \
    snprintf(out, sizeof out, "d%d", s.n_out); \
    sheet_out(&s, out, RP_F64, want8, text8); \
    snprintf(out, sizeof out, "f%d", s.n_out); \
    sheet_out(&s, out, RP_F32, want4, text4); \
  } while (0)
  REST("tgamma(x)", "tgamma(p)", tgamma(x), tgammaf(p));
  REST("lgamma(x)", "lgamma(p)", lgamma(x), lgammaf(p));
  REST("fmod(x, y)", "fmod(p, q)", fmod(x, y), fmodf(p, q));
  REST("nextafter(x, y)", "nextafter(p, q)", nextafter(x, y), nextafterf(p, q));
  REST("ldexp(x, i32(-17))", "ldexp(p, i32(5))", ldexp(x, -17), ldexpf(p, 5));
  sheet_run(&s); /* of no level: in all ways */
}

/* ---- levels ----------------------------------------------------------------------------------------------- */

/* Contexts of two levels share a cache and do not share kernels. */
static void levels_are_kept_apart(void **state) {
  (void)state;
  static sheet s;
  static double other[N];
  int differ = 0;
  if (!strstr(ways[n_ways - 1].name, "avx512")) {
    print_message("no AVX-512: its level was not tested\n");
    skip();
  }
  open_values(&s, false);
  for (int i = 0; i < N; i++) {
    other[i] = mvec512_d("tanh", x8[i]);
    differ += !same_element(RP_F64, &other[i], &(double){mvec_d("tanh", x8[i])});
  }
  assert_true(differ > 0);
  sheet_out(&s, "y", RP_F64, other, "tanh(x)");
  for (int w = 0; w < n_ways; w++)
    if (strstr(ways[w].name, "avx512")) sheet_run_on(&s, ways[w].name, ways[w].ctx, false);
  sheet_clear(&s);
  open_values(&s, false);
  add_unary(&s, "tanh", true, false);
  run_avx2(&s);
}

/* A context says its level. */
static void levels_are_shown(void **state) {
  (void)state;
  for (int w = 0; w < n_ways; w++) {
    char text[4096];
    size_t needed;
    OK(rp_explain(ways[w].ctx, text, sizeof text, &needed));
    assert_non_null(strstr(text, strstr(ways[w].name, "avx512") ? "vector avx512" : "vector avx2"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(symbols_of_one_argument),  cmocka_unit_test(symbols_of_two_arguments),
      cmocka_unit_test(symbols_in_any_width),     cmocka_unit_test(symbols_in_tails),
      cmocka_unit_test(symbols_on_any_layout),    cmocka_unit_test(symbols_of_scalars),
      cmocka_unit_test(scalar_libm_for_the_rest), cmocka_unit_test(levels_are_kept_apart),
      cmocka_unit_test(levels_are_shown)};
  return cmocka_run_group_tests(tests, ways_open, ways_close);
}
