/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_semantics_scalar.c -- SEMANTICS.md 1 and 5, rule by rule, through the public interface:
 * in both tiers, fused and not, against plain C on edge values. */
#include "tests/support/sheet.h"

#include <fenv.h>
#include <float.h>
#include <xmmintrin.h>

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

/* ---- integers as wide numbers ------------------------------------------------------------------ */

static const char *const integer_name[] = {"",   "i8",  "i16", "i32", "i64",
                                           "u8", "u16", "u32", "u64"};

static int width_of(rp_dtype t) { return 8 * (int)rp_dtype_size(t); }
static bool is_signed(rp_dtype t) { return t <= RP_I64; }
static wide least(rp_dtype t) { return is_signed(t) ? -((wide)1 << (width_of(t) - 1)) : 0; }
static wide most(rp_dtype t) { return ((wide)1 << (width_of(t) - is_signed(t))) - 1; }

/* The low bits of v. */
static void fit(rp_dtype t, wide v, void *p, int64_t i) {
  memcpy((char *)p + (size_t)i * rp_dtype_size(t), &v, rp_dtype_size(t));
}

static wide whole(rp_dtype t, const void *p, int64_t i) {
  uint64_t bits = 0;
  memcpy(&bits, (const char *)p + (size_t)i * rp_dtype_size(t), rp_dtype_size(t));
  if (is_signed(t) && bits >> (width_of(t) - 1) & 1) return (wide)bits - ((wide)1 << width_of(t));
  return (wide)bits;
}

enum { EDGES = 16, PAIRS = EDGES * EDGES + 13 }; /* a tail for every number of lanes */

static void integer_pairs(rp_dtype t, void *a, void *b) {
  const wide w = width_of(t);
  const wide v[EDGES] = {0,           1,       2,     3,     -1,       -2,
                         -7,          5,       w - 1, w + 1, least(t), least(t) + 1,
                         most(t) - 1, most(t), w,     100};
  for (int i = 0; i < PAIRS; i++) {
    fit(t, v[i % EDGES], a, i);
    fit(t, v[i / EDGES % EDGES], b, i);
  }
}

typedef struct integer_rule {
  const char *text; /* over A and B, one letter per operand */
  wide (*value)(rp_dtype t, wide a, wide b);
} integer_rule;

/* "A + B" with the names of the dtype's columns: "a_i8 + b_i8". */
static void with_names(const char *text, const char *suffix, char *out) {
  size_t n = 0;
  for (const char *p = text; *p; p++) {
    if (*p == 'A' || *p == 'B')
      n += (size_t)snprintf(out + n, SHEET_TEXT - n, "%c_%s", *p == 'A' ? 'a' : 'b', suffix);
    else
      out[n++] = *p;
  }
  out[n] = '\0';
}

/* The rules on all integer dtypes at once. */
static void check_integers(const integer_rule *rule, int n) {
  static sheet s;
  s.n = PAIRS;
  for (rp_dtype t = RP_I8; t <= RP_U64; t++) {
    char a[8 * PAIRS], b[8 * PAIRS], want[8 * PAIRS], name[16], text[SHEET_TEXT];
    const char *suffix = integer_name[t];
    integer_pairs(t, a, b);
    with_names("A", suffix, name);
    sheet_in(&s, name, t, a);
    with_names("B", suffix, name);
    sheet_in(&s, name, t, b);
    for (int r = 0; r < n; r++) {
      for (int i = 0; i < PAIRS; i++)
        fit(t, rule[r].value(t, whole(t, a, i), whole(t, b, i)), want, i);
      with_names(rule[r].text, suffix, text);
      snprintf(name, sizeof name, "y%d_%s", r, suffix);
      sheet_out(&s, name, t, want, text);
    }
  }
  sheet_run(&s);
}

static wide plus(rp_dtype t, wide a, wide b) {
  (void)t;
  return a + b;
}
static wide minus(rp_dtype t, wide a, wide b) {
  (void)t;
  return a - b;
}
static wide times(rp_dtype t, wide a, wide b) {
  (void)t;
  return (wide)((uwide)a * (uwide)b);
}

static void integers_wrap(void **state) {
  (void)state;
  const integer_rule rule[] = {{"A + B", plus}, {"A - B", minus}, {"A*B", times}};
  check_integers(rule, COUNT(rule));
}

static wide negated(rp_dtype t, wide a, wide b) {
  (void)t;
  (void)b;
  return -a;
}
static wide size(rp_dtype t, wide a, wide b) {
  (void)t;
  (void)b;
  return a < 0 ? -a : a;
}

static void integers_abs_of_least(void **state) {
  (void)state;
  const integer_rule rule[] = {{"abs(A) + 0*B", size}, {"-A + 0*B", negated}};
  check_integers(rule, COUNT(rule));
}

static wide remainder_of(rp_dtype t, wide a, wide b) {
  (void)t;
  if (b == 0) return 0;
  const wide r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static wide quotient_of(rp_dtype t, wide a, wide b) {
  return b == 0 ? 0 : (a - remainder_of(t, a, b)) / b; /* wraps for MIN // -1 when stored */
}

static void integers_floor(void **state) {
  (void)state;
  const integer_rule rule[] = {{"A // B", quotient_of}, {"A % B", remainder_of}};
  check_integers(rule, COUNT(rule));
  assert_true(quotient_of(RP_I8, -7, 2) == -4 && remainder_of(RP_I8, -7, 2) == 1);
  assert_true(remainder_of(RP_I8, 7, -2) == -1 && quotient_of(RP_I8, -128, -1) == 128);
}

/* A negative count is one of the width or more. */
static wide left(rp_dtype t, wide a, wide b) {
  return b < 0 || b >= width_of(t) ? 0 : (wide)((uwide)a << (int)b);
}
static wide right(rp_dtype t, wide a, wide b) {
  return b < 0 || b >= width_of(t) ? (a < 0 ? -1 : 0) : a >> (int)b;
}

static void integers_shift(void **state) {
  (void)state;
  const integer_rule rule[] = {{"A << B", left}, {"A >> B", right}};
  check_integers(rule, COUNT(rule));
}

/* By a literal too: there the compiler could know better. */
static void integers_by_literals(void **state) {
  (void)state;
  static sheet s;
  int32_t a[PAIRS], b[PAIRS], want[PAIRS];
  const struct {
    const char *text;
    integer_rule rule;
    wide b;
  } row[] = {{"a // 0", {"", quotient_of}, 0},   {"a % 0", {"", remainder_of}, 0},
             {"a // -1", {"", quotient_of}, -1}, {"a % -1", {"", remainder_of}, -1},
             {"a // 2", {"", quotient_of}, 2},   {"a % 2", {"", remainder_of}, 2},
             {"a // -4", {"", quotient_of}, -4}, {"a % -4", {"", remainder_of}, -4},
             {"a << 32", {"", left}, 32},        {"a >> 32", {"", right}, 32},
             {"a << -1", {"", left}, -1},        {"a >> 31", {"", right}, 31}};
  integer_pairs(RP_I32, a, b);
  s.n = PAIRS;
  sheet_in(&s, "a", RP_I32, a);
  for (int r = 0; r < COUNT(row); r++) {
    char name[16];
    for (int i = 0; i < PAIRS; i++) fit(RP_I32, row[r].rule.value(RP_I32, a[i], row[r].b), want, i);
    snprintf(name, sizeof name, "y%d", r);
    sheet_out(&s, name, RP_I32, want, row[r].text);
  }
  sheet_run(&s);
}

static void integers_divide_truly(void **state) {
  (void)state;
  static sheet s;
  s.n = PAIRS;
  for (rp_dtype t = RP_I8; t <= RP_U64; t++) {
    char a[8 * PAIRS], b[8 * PAIRS], name[16], text[SHEET_TEXT];
    double want[PAIRS];
    integer_pairs(t, a, b);
    with_names("A", integer_name[t], name);
    sheet_in(&s, name, t, a);
    with_names("B", integer_name[t], name);
    sheet_in(&s, name, t, b);
    for (int i = 0; i < PAIRS; i++) want[i] = (double)whole(t, a, i) / (double)whole(t, b, i);
    with_names("A/B", integer_name[t], text);
    snprintf(name, sizeof name, "y_%s", integer_name[t]);
    sheet_out(&s, name, RP_F64, want, text);
  }
  sheet_run(&s);
}

/* ---- conversions ---------------------------------------------------------------------------------- */

/* Narrowing keeps the low bits; to a float it rounds once; to bool it is != 0. */
static void casts_of_integers(void **state) {
  (void)state;
  static sheet s;
  for (int part = 0; part < 2; part++) { /* two kernels: one would have too many operands */
    s.n = PAIRS;
    for (rp_dtype t = part ? RP_U8 : RP_I8; t <= (part ? RP_U64 : RP_I64); t++) {
      char a[8 * PAIRS], b[8 * PAIRS], narrow[PAIRS], name[16], text[SHEET_TEXT];
      double f64[PAIRS];
      float f32[PAIRS];
      bool bools[PAIRS];
      integer_pairs(t, a, b);
      fit(t, ((wide)1 << 60) + ((wide)1 << 36) + 1, a, 2); /* half of an f32's last place, and 1 */
      with_names("A", integer_name[t], name);
      sheet_in(&s, name, t, a);
      for (int i = 0; i < PAIRS; i++) {
        f64[i] = (double)whole(t, a, i);
        f32[i] = (float)whole(t, a, i);
        bools[i] = whole(t, a, i) != 0;
        fit(RP_I8, whole(t, a, i), narrow, i);
      }
      const struct {
        const char *text;
        rp_dtype to;
        const void *want;
      } row[] = {{"f64(A)", RP_F64, f64},
                 {"f32(A)", RP_F32, f32},
                 {"bool(A)", RP_BOOL, bools},
                 {"i8(A)", RP_I8, narrow},
                 {"u8(A)", RP_U8, narrow}};
      for (int r = 0; r < COUNT(row); r++) {
        with_names(row[r].text, integer_name[t], text);
        snprintf(name, sizeof name, "y%d_%s", r, integer_name[t]);
        sheet_out(&s, name, row[r].to, row[r].want, text);
      }
    }
    sheet_run(&s);
  }
}

static wide saturated(rp_dtype t, double v) {
  if (isnan(v)) return 0;
  v = trunc(v);
  if (v >= 0x1p70) return most(t);
  if (v <= -0x1p70) return least(t);
  const wide w = (wide)v;
  return w < least(t) ? least(t) : w > most(t) ? most(t) : w;
}

static const double real_edges[] = {0.0,
                                    -0.0,
                                    0.5,
                                    -0.5,
                                    0.999,
                                    -0.999,
                                    1.0,
                                    -1.0,
                                    1.5,
                                    -1.5,
                                    126.9,
                                    127.0,
                                    127.9,
                                    128.0,
                                    -128.0,
                                    -128.9,
                                    -129.0,
                                    255.0,
                                    255.9,
                                    256.0,
                                    32767.9,
                                    32768.0,
                                    -32768.9,
                                    -32769.0,
                                    65535.9,
                                    65536.0,
                                    0x1p31,
                                    -0x1p31,
                                    2147483647.0,
                                    0x1p32,
                                    4294967295.0,
                                    0x1p53,
                                    0x1p63,
                                    -0x1p63,
                                    0x1.fffffep62,
                                    0x1p64,
                                    0x1.fffffep63,
                                    -0x1p65,
                                    1e300,
                                    -1e300,
                                    5e-324,
                                    -5e-324,
                                    INFINITY,
                                    -INFINITY,
                                    NAN,
                                    -2147483649.0,
                                    9223372036854774784.0};
enum { REALS = sizeof real_edges / sizeof real_edges[0] };

static void casts_saturate(void **state) {
  (void)state;
  static sheet s;
  double a[REALS], wide_of_b[REALS];
  float b[REALS], narrow[REALS];
  bool bool_a[REALS], bool_b[REALS];
  s.n = REALS;
  for (int i = 0; i < REALS; i++) {
    a[i] = real_edges[i];
    b[i] = narrow[i] = (float)a[i];
    wide_of_b[i] = (double)b[i];
    bool_a[i] = a[i] != 0;
    bool_b[i] = b[i] != 0;
  }
  sheet_in(&s, "a", RP_F64, a);
  sheet_in(&s, "b", RP_F32, b);
  for (rp_dtype t = RP_I8; t <= RP_U64; t++) {
    char want[8 * REALS], text[SHEET_TEXT], name[16];
    for (int from = 0; from < 2; from++) {
      for (int i = 0; i < REALS; i++) fit(t, saturated(t, from ? (double)b[i] : a[i]), want, i);
      snprintf(text, sizeof text, "%s(%c)", integer_name[t], from ? 'b' : 'a');
      snprintf(name, sizeof name, "y%d_%s", from, integer_name[t]);
      sheet_out(&s, name, t, want, text);
    }
  }
  sheet_out(&s, "z0", RP_BOOL, bool_a, "bool(a)"); /* NaN is not 0 */
  sheet_out(&s, "z1", RP_BOOL, bool_b, "bool(b)");
  sheet_out(&s, "z2", RP_F32, narrow, "f32(a)");
  sheet_out(&s, "z3", RP_F64, wide_of_b, "f64(b)");
  sheet_run(&s);
}

/* There and back: an integer has no negative zero. A compiler may take the pair for trunc(). */
static void casts_return_no_negative_zero(void **state) {
  (void)state;
  static sheet s;
  double a[] = {-0.5, -0.0, 0.0, -1.5, 0.75, -0x1p-1074}, want[6];
  float b[6], narrow[6];
  s.n = 6;
  for (int i = 0; i < 6; i++) {
    b[i] = (float)a[i];
    want[i] = a[i] > -1 ? 0 : -1;
    narrow[i] = (float)want[i];
  }
  sheet_in(&s, "a", RP_F64, a);
  sheet_in(&s, "b", RP_F32, b);
  sheet_out(&s, "y0", RP_F64, want, "f64(i64(a))");
  sheet_out(&s, "y1", RP_F64, want, "f64(i32(a))");
  sheet_out(&s, "y2", RP_F32, narrow, "f32(i32(b))");
  sheet_out(&s, "y3", RP_F32, narrow, "f32(i64(b))");
  sheet_run(&s);
}

/* What loses is written; what does not, is implied. */
static void casts_are_written(void **state) {
  (void)state;
  rp_context *ctx = ways[0].ctx;
  const int64_t n = 2;
  const struct {
    rp_dtype from, to;
    bool fits;
  } row[] = {{RP_F64, RP_F32, false}, {RP_F64, RP_I64, false}, {RP_I64, RP_I32, false},
             {RP_I32, RP_U32, false}, {RP_U32, RP_I32, false}, {RP_I8, RP_BOOL, false},
             {RP_F32, RP_F64, true},  {RP_I32, RP_I64, true},  {RP_U8, RP_I16, true},
             {RP_BOOL, RP_I8, true},  {RP_I32, RP_F64, true}};
  for (int r = 0; r < COUNT(row); r++) {
    rp_store *x, *y;
    char body[32];
    OK(rp_store_create(ctx, row[r].from, 1, &n, &x));
    OK(rp_store_create(ctx, row[r].to, 1, &n, &y));
    const rp_status st = EVAL(ctx, "y, x", "y = x", y, x);
    if (st != (row[r].fits ? RP_OK : RP_ERR_DTYPE))
      fail_msg("%s from %s: %s", rp_dtype_name(row[r].to), rp_dtype_name(row[r].from),
               rp_status_name(st));
    snprintf(body, sizeof body, "y = %s(x)", rp_dtype_name(row[r].to));
    OK(EVAL(ctx, "y, x", body, y, x));
    OK(rp_store_release(x));
    OK(rp_store_release(y));
  }
  OK(rp_wait(ctx));
}

/* ---- bool --------------------------------------------------------------------------------------------- */

/* Any non-zero byte is true, wherever it is read. */
static void bools_are_normalised(void **state) {
  (void)state;
  enum { N = 1 << 11 };
  static unsigned char c[N], d[N], y[N];
  static int32_t number[N];
  int64_t count = 0, n = N;
  for (int i = 0; i < N; i++) {
    c[i] = (unsigned char)(i % 7 == 0 ? 0 : i);
    d[i] = (unsigned char)(i % 3 == 0 ? 0 : 255 - i % 5);
    count += c[i] != 0;
  }
  for (int w = 0; w < n_ways; w++) {
    rp_context *ctx = ways[w].ctx;
    rp_store *sc, *sd, *sum, *out[6], *copy;
    OK(rp_store_attach(ctx, RP_BOOL, 1, &n, c, RP_READ_ONLY, &sc));
    OK(rp_store_attach(ctx, RP_BOOL, 1, &n, d, RP_READ_WRITE, &sd));
    OK(rp_store_create(ctx, RP_I64, 0, NULL, &sum));
    OK(rp_store_create(ctx, RP_BOOL, 1, &n, &copy));
    OK(rp_store_create(ctx, RP_I32, 1, &n, &out[0]));
    for (int k = 1; k < 6; k++) OK(rp_store_create(ctx, RP_BOOL, 1, &n, &out[k]));
    OK(rp_trace_begin(ctx, 2));
    OK(EVAL(ctx, "p, q, r, s, t, u, c, d",
            "p = i32(c) + d; q = c & d; r = c ^ d; s = !c; t = c == d; u = c", out[0], out[1],
            out[2], out[3], out[4], out[5], sc, sd));
    OK(EVAL(ctx, "s, c", "s += c", sum, sc));
    OK(rp_store_copy(copy, sd));
    OK(rp_trace_end(ctx, 2));
    for (int i = 0; i < N; i++) number[i] = (c[i] != 0) + (d[i] != 0);
    check_elements(ways[w].name, "i32(c) + d", out[0], number);
    for (int i = 0; i < N; i++) y[i] = c[i] && d[i];
    check_elements(ways[w].name, "c & d", out[1], y);
    for (int i = 0; i < N; i++) y[i] = !c[i] != !d[i];
    check_elements(ways[w].name, "c ^ d", out[2], y);
    for (int i = 0; i < N; i++) y[i] = !c[i];
    check_elements(ways[w].name, "!c", out[3], y);
    for (int i = 0; i < N; i++) y[i] = !c[i] == !d[i];
    check_elements(ways[w].name, "c == d", out[4], y);
    for (int i = 0; i < N; i++) y[i] = c[i] != 0;
    check_elements(ways[w].name, "c", out[5], y);
    check_elements(ways[w].name, "sum of c", sum, &count);
    for (int i = 0; i < N; i++) y[i] = d[i] != 0;
    check_elements(ways[w].name, "a copy of d", copy, y);
    rp_store *all[] = {sc, sd, sum, copy, out[0], out[1], out[2], out[3], out[4], out[5]};
    for (int k = 0; k < COUNT(all); k++) OK(rp_store_release(all[k]));
    OK(rp_wait(ctx));
  }
}

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
  const struct CMUnitTest tests[] = {cmocka_unit_test(integers_wrap),
                                     cmocka_unit_test(integers_abs_of_least),
                                     cmocka_unit_test(integers_floor),
                                     cmocka_unit_test(integers_shift),
                                     cmocka_unit_test(integers_by_literals),
                                     cmocka_unit_test(integers_divide_truly),
                                     cmocka_unit_test(casts_of_integers),
                                     cmocka_unit_test(casts_saturate),
                                     cmocka_unit_test(casts_return_no_negative_zero),
                                     cmocka_unit_test(casts_are_written),
                                     cmocka_unit_test(bools_are_normalised),
                                     cmocka_unit_test(floats_are_not_reordered),
                                     cmocka_unit_test(floats_keep_their_zeros),
                                     cmocka_unit_test(floats_are_not_contracted),
                                     cmocka_unit_test(floats_fma_is_an_op),
                                     cmocka_unit_test(floats_subnormals_stay),
                                     cmocka_unit_test(floats_divide_as_python),
                                     cmocka_unit_test(nan_compares_as_one_value),
                                     cmocka_unit_test(nan_signs_are_canonical),
                                     cmocka_unit_test(nan_in_min_and_max),
                                     cmocka_unit_test(rounding_mode_of_the_caller),
                                     cmocka_unit_test(errors_are_values),
                                     cmocka_unit_test(errors_are_found_by_a_knob)};
  return cmocka_run_group_tests(tests, ways_open, ways_close);
}
