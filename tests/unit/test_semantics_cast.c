/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_semantics_cast.c -- SEMANTICS.md 1, casts and bool, rule by rule, through the public interface:
 * in both tiers, fused and not, against plain C on edge values. */
#include "tests/support/sheet.h"

#include "tests/support/wide.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(casts_of_integers), cmocka_unit_test(casts_saturate),
      cmocka_unit_test(casts_return_no_negative_zero), cmocka_unit_test(casts_are_written),
      cmocka_unit_test(bools_are_normalised)};
  return cmocka_run_group_tests(tests, ways_open, ways_close);
}
