/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_lanes.c -- jit/lanes.h: vector = scalar = an independent reference in plain C, on
 * special values against special values, for every dtype. Math functions: vector = scalar, near libm.
 * Needs -mavx2 -mfma -fno-math-errno -Wno-pedantic -Wno-psabi; RPV_W, RPV_MASK may be set from outside. */
/* Tables of macros, laid out by hand: */
/* clang-format off */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#ifndef RPV_W
#define RPV_W 4
#define RPV_MASK 8
#endif
#define RPV_BITS 256
#define RPV_USE_ALL
#include "jit/lanes.h"
#undef bool

#pragma GCC diagnostic ignored "-Wfloat-equal"

typedef __int128 wide;
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const int64_t whole[] = {0, 1, -1, 2, -2, 3, -3, 5, 7, -7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 100, 127,
                                128, -128, -129, 255, 256, 1000, 32767, 32768, -32768, 65535, 65536,
                                2147483647, 2147483648, -2147483647 - 1, -2147483649, 4294967295, 4294967296,
                                9007199254740993, 1152921504606846977, 1152921573326323713, INT64_MAX, INT64_MIN, INT64_MIN + 1};
static const double real[] = {0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3, -3, 7, -7, 0.1, -0.1, 127.5,
                              -128.5, 128, -129, 255.9, 256, 32767.5, -32769, 65535.5, 65536, 2147483520,
                              2147483647.5, 2147483648, -2147483648.0, -2147483649.0, 4294967040, 4294967295.5,
                              4294967296, 0x1p52, -0x1p52 - 1, 0x1p53, 9223371487098961920.0, 0x1p63, -0x1p63,
                              0x1.fffffffffffffp62, 0x1.fffffep63, 0x1p64, -0x1p64, 1e300, -1e300, 1e-300, 1e30,
                              0x1p-1074, 0x1p-1022, 0x1p-149, INFINITY, -INFINITY, NAN, -NAN, 1e16, 123456.75};

static int same_bits(const void *a, const void *b, size_t n) { return memcmp(a, b, n) == 0; }
#define SAME_INT(a, b) ((a) == (b))
#define SAME_f32(a, b) (((a) != (a) && (b) != (b)) || same_bits(&(rpc_f32){a}, &(rpc_f32){b}, 4))
#define SAME_f64(a, b) (((a) != (a) && (b) != (b)) || same_bits(&(rpc_f64){a}, &(rpc_f64){b}, 8))
#define SAME_bool SAME_INT
#define SAME_i8 SAME_INT
#define SAME_i16 SAME_INT
#define SAME_i32 SAME_INT
#define SAME_i64 SAME_INT
#define SAME_u8 SAME_INT
#define SAME_u16 SAME_INT
#define SAME_u32 SAME_INT
#define SAME_u64 SAME_INT
#define CHECK(T, what, a, b, got, want)                                                            \
  do {                                                                                             \
    const rpc_##T got_ = (got), want_ = (want);                                                    \
    if (!SAME_##T(got_, want_)) {                                                                  \
      print_error("%s(%.17g, %.17g) = %.17g, not %.17g\n", what, (double)(a), (double)(b),         \
                  (double)got_, (double)want_);                                                    \
      fail();                                                                                      \
    }                                                                                              \
  } while (0)

/* The special values as T. */
#define VALUES_INT(T) \
  enum { N = COUNT(whole) }; \
  rpc_##T v[N]; \
  for (int i = 0; i < N; i++) v[i] = (rpc_##T)whole[i];
#define VALUES_FLOAT(T) \
  enum { N = COUNT(real) }; \
  rpc_##T v[N]; \
  for (int i = 0; i < N; i++) v[i] = (rpc_##T)real[i];

/* Every pair: the scalar against `want`, and each lane of a vector of neighbours against the scalar. */
#define PAIRS(T, R, op, want)                                                                      \
  for (int i = 0; i < N; i++)                                                                      \
    for (int j = 0; j < N; j++) {                                                                  \
      const rpc_##T a = v[i], b = v[j];                                                            \
      const rpc_##R s = rps_##op##_##T(a, b);                                                      \
      CHECK(R, #op "_" #T, a, b, s, want);                                                         \
      rpv_##T va = rpv_splat_##T(a), vb = va;                                                      \
      for (int k = 0; k < RPV_W; k++) vb[k] = v[(j + k) % N];                                      \
      const rpv_##R r = rpv_##op##_##T(va, vb);                                                    \
      for (int k = 0; k < RPV_W; k++)                                                              \
        CHECK(R, "vector " #op "_" #T, a, vb[k], rpv_get_##R(r, k), rps_##op##_##T(a, vb[k]));     \
    }
#define SINGLES(T, R, op, want)                                                                    \
  for (int i = 0; i < N; i++) {                                                                    \
    const rpc_##T a = v[i];                                                                        \
    const rpc_##R s = rps_##op##_##T(a);                                                           \
    CHECK(R, #op "_" #T, a, 0, s, want);                                                           \
    rpv_##T va = rpv_splat_##T(a);                                                                 \
    for (int k = 0; k < RPV_W; k++) va[k] = v[(i + k) % N];                                        \
    const rpv_##R r = rpv_##op##_##T(va);                                                          \
    for (int k = 0; k < RPV_W; k++)                                                                \
      CHECK(R, "vector " #op "_" #T, va[k], 0, rpv_get_##R(r, k), rps_##op##_##T(va[k]));          \
  }

static wide W(wide x) { return x; }
static wide floor_of(wide a, wide b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
static wide power(wide a, wide b) {
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 != 0 ? -1 : 1) : 0;
  unsigned __int128 r = 1;
  for (int bit = 63; bit >= 0; bit--) {
    r = (uint64_t)(r * r);
    if ((uint64_t)b >> bit & 1) r = (uint64_t)(r * (uint64_t)a);
  }
  return (wide)r;
}
#define BITS(T) ((wide)sizeof(rpc_##T) * 8)
#define INTEGER(T)                                                                                  \
  static void integer_##T(void **state) {                                                           \
    (void)state;                                                                                    \
    VALUES_INT(T)                                                                                   \
    PAIRS(T, T, add, (rpc_##T)(W(a) + W(b)))                                                        \
    PAIRS(T, T, sub, (rpc_##T)(W(a) - W(b)))                                                        \
    PAIRS(T, T, mul, (rpc_##T)((unsigned __int128)W(a) * (unsigned __int128)W(b)))                  \
    PAIRS(T, T, floordiv, (rpc_##T)(b == 0 ? 0 : floor_of(a, b)))                                   \
    PAIRS(T, T, mod, (rpc_##T)(b == 0 ? 0 : W(a) - floor_of(a, b) * W(b)))                          \
    PAIRS(T, T, pow, (rpc_##T)power(a, b))                                                          \
    PAIRS(T, T, min, a < b ? a : b)                                                                 \
    PAIRS(T, T, max, a < b ? b : a)                                                                 \
    PAIRS(T, T, fmin, a < b ? a : b)                                                                \
    PAIRS(T, T, fmax, a < b ? b : a)                                                                \
    PAIRS(T, T, and, (rpc_##T)(W(a) & W(b)))                                                        \
    PAIRS(T, T, or, (rpc_##T)(W(a) | W(b)))                                                         \
    PAIRS(T, T, xor, (rpc_##T)(W(a) ^ W(b)))                                                        \
    PAIRS(T, T, shl, (rpc_##T)(W(b) < 0 || W(b) >= BITS(T) ? 0 : W(a) * (W(1) << (int)b)))          \
    PAIRS(T, T, shr,                                                                                \
          (rpc_##T)(W(b) < 0 || W(b) >= BITS(T) ? (W(a) < 0 ? -1 : 0) : floor_of(a, W(1) << (int)b))) \
    PAIRS(T, bool, lt, W(a) < W(b))                                                                 \
    PAIRS(T, bool, le, W(a) <= W(b))                                                                \
    PAIRS(T, bool, eq, W(a) == W(b))                                                                \
    PAIRS(T, bool, ne, W(a) != W(b))                                                                \
    SINGLES(T, T, neg, (rpc_##T)-W(a))                                                              \
    SINGLES(T, T, abs, (rpc_##T)(W(a) < 0 ? -W(a) : W(a)))                                          \
    SINGLES(T, T, sign, (rpc_##T)(W(a) < 0 ? -1 : W(a) > 0))                                        \
    SINGLES(T, T, not, (rpc_##T)~W(a))                                                              \
    PAIRS(T, T, red_sum, (rpc_##T)(W(a) + W(b)))                                                    \
    PAIRS(T, T, red_min, a < b ? a : b)                                                             \
  }
INTEGER(i8)
INTEGER(i16)
INTEGER(i32)
INTEGER(i64)
INTEGER(u8)
INTEGER(u16)
INTEGER(u32)
INTEGER(u64)

/* Python's float floor division and remainder, by their documented definition (Objects/floatobject). */
static double py_mod(double a, double b, double (*mod)(double, double)) {
  double r = mod(a, b);
  if (r != 0) return (b < 0) != (r < 0) ? r + b : r;
  return copysign(0, b);
}
static double lt_zero_first(double a, double b) { return a < b || (a == b && signbit(a) && !signbit(b)); }
#define REF_F_f32(g) g##f
#define REF_F_f64(g) g
#define FLOATS(T)                                                                                   \
  static rpc_##T div_##T(rpc_##T a, rpc_##T b) {                                                    \
    if (b == 0) return a / b;                                                                       \
    const rpc_##T r = REF_F_##T(fmod)(a, b);                                                        \
    rpc_##T q = (a - r) / b;                                                                        \
    if (r != 0 && (b < 0) != (r < 0)) q = q - 1;                                                    \
    if (q == 0) return REF_F_##T(copysign)(0, a / b);                                               \
    const rpc_##T f = REF_F_##T(floor)(q);                                                          \
    return q - f > (rpc_##T)0.5 ? f + 1 : f;                                                        \
  }                                                                                                 \
  static void float_##T(void **state) {                                                             \
    (void)state;                                                                                    \
    VALUES_FLOAT(T)                                                                                 \
    PAIRS(T, T, add, a + b)                                                                         \
    PAIRS(T, T, sub, a - b)                                                                         \
    PAIRS(T, T, mul, a * b)                                                                         \
    PAIRS(T, T, div, a / b)                                                                         \
    PAIRS(T, T, fmod, REF_F_##T(fmod)(a, b))                                                        \
    PAIRS(T, T, mod, sizeof a == 8 ? (rpc_##T)py_mod(a, b, fmod) : div_mod_f32((float)a, (float)b)) \
    PAIRS(T, T, floordiv, div_##T(a, b))                                                            \
    PAIRS(T, T, min, isnan(a) ? a : isnan(b) ? b : lt_zero_first(a, b) ? a : b)                     \
    PAIRS(T, T, max, isnan(a) ? a : isnan(b) ? b : lt_zero_first(a, b) ? b : a)                     \
    PAIRS(T, T, fmin, isnan(a) ? b : isnan(b) ? a : lt_zero_first(a, b) ? a : b)                    \
    PAIRS(T, T, fmax, isnan(a) ? b : isnan(b) ? a : lt_zero_first(a, b) ? b : a)                    \
    PAIRS(T, T, copysign, REF_F_##T(copysign)(a, isnan(b) ? 1 : b))                                 \
    PAIRS(T, T, nextafter, REF_F_##T(nextafter)(a, b))                                              \
    PAIRS(T, T, ldexp, REF_F_##T(ldexp)(a, isnan(b) ? 0 : b > 99999 ? 99999 : b < -99999 ? -99999 : (int)b)) \
    PAIRS(T, bool, lt, a < b)                                                                       \
    PAIRS(T, bool, le, a <= b)                                                                      \
    PAIRS(T, bool, eq, a == b)                                                                      \
    PAIRS(T, bool, ne, a != b)                                                                      \
    SINGLES(T, T, neg, -a)                                                                          \
    SINGLES(T, T, abs, REF_F_##T(fabs)(a))                                                          \
    SINGLES(T, T, sign, isnan(a) || a == 0 ? a : REF_F_##T(copysign)(1, a))                         \
    SINGLES(T, T, sqrt, REF_F_##T(sqrt)(a))                                                         \
    SINGLES(T, T, floor, REF_F_##T(floor)(a))                                                       \
    SINGLES(T, T, ceil, REF_F_##T(ceil)(a))                                                         \
    SINGLES(T, T, trunc, REF_F_##T(trunc)(a))                                                       \
    SINGLES(T, T, rint, REF_F_##T(rint)(a))                                                         \
    SINGLES(T, bool, signbit, !isnan(a) && signbit(a) != 0)                                         \
    SINGLES(T, bool, isnan, isnan(a) != 0)                                                          \
    SINGLES(T, bool, isinf, isinf(a) != 0)                                                          \
    SINGLES(T, bool, isfinite, isfinite(a) != 0)                                                    \
    for (int i = 0; i < N; i++)                                                                     \
      for (int j = 0; j < N; j++) {                                                                 \
        const rpc_##T a = v[i], b = v[j], c = v[(i * 7 + j) % N];                                   \
        CHECK(T, "fma", a, b, rps_fma_##T(a, b, c), REF_F_##T(fma)(a, b, c));                       \
        const rpv_##T r = rpv_fma_##T(rpv_splat_##T(a), rpv_splat_##T(b), rpv_splat_##T(c));        \
        CHECK(T, "vector fma", a, b, r[RPV_W - 1], REF_F_##T(fma)(a, b, c));                        \
      }                                                                                             \
  }
static float div_mod_f32(float a, float b) {
  float r = fmodf(a, b);
  if (r != 0) return (b < 0) != (r < 0) ? r + b : r;
  return copysignf(0, b);
}
FLOATS(f32)
FLOATS(f64)

static void test_python(void **state) {
  (void)state; /* what Python 3 prints */
  CHECK(f64, "//", 7, -2, rps_floordiv_f64(7, -2), -4.0);
  CHECK(f64, "%", 7, -2, rps_mod_f64(7, -2), -1.0);
  CHECK(f64, "%", -1, 3, rps_mod_f64(-1, 3), 2.0);
  CHECK(f64, "//", 1, 0.1, rps_floordiv_f64(1, 0.1), 9.0);
  CHECK(f64, "%", 1, 0.1, rps_mod_f64(1, 0.1), 0.09999999999999995);
  CHECK(f64, "//", -1, INFINITY, rps_floordiv_f64(-1, INFINITY), -1.0);
  CHECK(f64, "%", -1, INFINITY, rps_mod_f64(-1, INFINITY), INFINITY);
  CHECK(f64, "//", -0.0, 5, rps_floordiv_f64(-0.0, 5), -0.0);
}

/* ---- casts */
static wide saturate(double a, wide least, wide most) {
  if (isnan(a)) return 0;
  const double t = trunc(a);
  if (t >= 0x1p70 || (t > 0 && (wide)t > most)) return most;
  if (t <= -0x1p70 || (t < 0 && (wide)t < least)) return least;
  return (wide)t;
}
#define CASTS_ONE(S, T, want)                                                                       \
  for (int i = 0; i < N; i++) {                                                                     \
    const rpc_##S a = v[i];                                                                         \
    CHECK(T, "cast_" #S "_" #T, a, 0, rps_cast_##S##_##T(a), want);                                 \
    rpv_##S va = rpv_splat_##S(a);                                                                  \
    for (int k = 0; k < RPV_W; k++) va[k] = v[(i + k) % N];                                         \
    const rpv_##T r = rpv_cast_##S##_##T(va);                                                       \
    for (int k = 0; k < RPV_W; k++)                                                                 \
      CHECK(T, "vector cast_" #S "_" #T, va[k], 0, rpv_get_##T(r, k), rps_cast_##S##_##T(va[k]));   \
  }
#define FLOAT_CASTS(S)                                                                              \
  {                                                                                                 \
    VALUES_FLOAT(S)                                                                                 \
    CASTS_ONE(S, i8, (rpc_i8)saturate(a, INT8_MIN, INT8_MAX))                                       \
    CASTS_ONE(S, i16, (rpc_i16)saturate(a, INT16_MIN, INT16_MAX))                                   \
    CASTS_ONE(S, i32, (rpc_i32)saturate(a, INT32_MIN, INT32_MAX))                                   \
    CASTS_ONE(S, i64, (rpc_i64)saturate(a, INT64_MIN, INT64_MAX))                                   \
    CASTS_ONE(S, u8, (rpc_u8)saturate(a, 0, UINT8_MAX))                                             \
    CASTS_ONE(S, u16, (rpc_u16)saturate(a, 0, UINT16_MAX))                                          \
    CASTS_ONE(S, u32, (rpc_u32)saturate(a, 0, UINT32_MAX))                                          \
    CASTS_ONE(S, u64, (rpc_u64)saturate(a, 0, UINT64_MAX))                                          \
    CASTS_ONE(S, f32, (float)a)                                                                     \
    CASTS_ONE(S, f64, (double)a)                                                                    \
    CASTS_ONE(S, bool, a != 0)                                                                      \
  }
#define INT_CASTS(S)                                                                                \
  {                                                                                                 \
    VALUES_INT(S)                                                                                   \
    CASTS_ONE(S, i8, (rpc_i8)W(a)) CASTS_ONE(S, i16, (rpc_i16)W(a)) CASTS_ONE(S, i32, (rpc_i32)W(a)) \
    CASTS_ONE(S, i64, (rpc_i64)W(a)) CASTS_ONE(S, u8, (rpc_u8)W(a)) CASTS_ONE(S, u16, (rpc_u16)W(a)) \
    CASTS_ONE(S, u32, (rpc_u32)W(a)) CASTS_ONE(S, u64, (rpc_u64)W(a))                               \
    CASTS_ONE(S, f32, (float)W(a)) CASTS_ONE(S, f64, (double)W(a)) CASTS_ONE(S, bool, a != 0)       \
  }
static void test_casts(void **state) {
  (void)state;
  FLOAT_CASTS(f32)
  FLOAT_CASTS(f64)
  INT_CASTS(i8) INT_CASTS(i16) INT_CASTS(i32) INT_CASTS(i64)
  INT_CASTS(u8) INT_CASTS(u16) INT_CASTS(u32) INT_CASTS(u64)
}

/* ---- bool, moves */
#define FROM_BOOL(T, x)                                                                             \
  {                                                                                                 \
    const rpv_##T r = rpv_cast_bool_##T(c);                                                         \
    const rpv_##T s = rpv_select_##T(c, rpv_splat_##T(3), rpv_splat_##T(5));                        \
    for (int k = 0; k < RPV_W; k++) {                                                               \
      CHECK(T, "cast bool " #T, k, 0, rpv_get_##T(r, k), (rpc_##T)(bytes[k] != 0));                 \
      CHECK(T, "select " #T, k, 0, rpv_get_##T(s, k), rps_select_##T(bytes[k] != 0, 3, 5));         \
    }                                                                                               \
    rpc_##T from[RPV_W * 3], to[RPV_W * 3 + 1];                                                     \
    for (int k = 0; k < RPV_W * 3; k++) from[k] = (rpc_##T)(k + 1);                                 \
    for (rpc_i64 n = 1; n < RPV_W; n++) {                                                           \
      memset(to, 0, sizeof to);                                                                     \
      rpv_storen_##T(to, rpv_loadn_##T(from, n), n);                                                \
      for (int k = 0; k < RPV_W; k++) CHECK(T, "storen", k, n, to[k], (rpc_##T)(k < n ? k + 1 : 0)); \
      CHECK(T, "loadn", n, 0, rpv_get_##T(rpv_loadn_##T(from, n), RPV_W - 1), 1);                   \
      rpv_storesn_##T(to, 2, rpv_loadsn_##T(from, 3, n), n);                                        \
      for (int k = 0; k < n; k++) CHECK(T, "storesn", k, n, to[2 * k], (rpc_##T)(3 * k + 1));       \
    }                                                                                               \
    rpv_stores_##T(to + RPV_W - 1, -1, rpv_load_##T(from));                                         \
    for (int k = 0; k < RPV_W; k++) CHECK(T, "stores", k, 0, to[RPV_W - 1 - k], (rpc_##T)(k + 1));  \
    rpv_store_##T(to, rpv_gather_##T(from, rpv_iota() * 2));                                        \
    for (int k = 0; k < RPV_W; k++) CHECK(T, "gather", k, 0, to[k], (rpc_##T)(2 * k + 1));          \
  }
static void test_moves(void **state) {
  (void)state;
  for (int pattern = 0; pattern < 1 << (RPV_W < 8 ? RPV_W : 8); pattern++) {
    rpc_bool bytes[RPV_W], out[RPV_W];
    for (int k = 0; k < RPV_W; k++) bytes[k] = (rpc_bool)((pattern >> k % 8 & 1) << (pattern + k) % 8);
    const rpv_bool c = rpv_load_bool(bytes);
    rpv_store_bool(out, rpv_not_bool(rpv_not_bool(c)));
    for (int k = 0; k < RPV_W; k++) assert_int_equal(out[k], bytes[k] != 0);
    RPV_NUMBERS(FROM_BOOL, 0)
  }
  for (int a = 0; a < 2; a++)
    for (int b = 0; b < 2; b++) {
      const rpc_bool x = (rpc_bool)a, y = (rpc_bool)b;
#define BOOLS(op, want)                                                                        \
  assert_int_equal(rps_##op##_bool(x, y), want);                                               \
  assert_int_equal(rpv_get_bool(rpv_##op##_bool(rpv_splat_bool(x), rpv_splat_bool(y)), 1), want);
      BOOLS(and, a && b) BOOLS(or, a || b) BOOLS(xor, a != b) BOOLS(lt, a < b) BOOLS(le, a <= b)
      BOOLS(eq, a == b) BOOLS(ne, a != b) BOOLS(min, a && b) BOOLS(max, a || b)
      BOOLS(red_sum, a || b) BOOLS(red_prod, a && b) BOOLS(red_any, a || b) BOOLS(red_all, a && b)
    }
  assert_true(signbit(rps_identity_sum_f64()) && !signbit(rps_empty_sum_f64()));
  assert_int_equal(rps_identity_min_i8(), 127);
  assert_int_equal(rps_identity_and_u16(), 65535);
  assert_true(rps_beats_argmin_f64(NAN, 1) && !rps_beats_argmin_f64(NAN, NAN));
  assert_true(!rps_beats_argmin_f64(-0.0, 0.0) && !rps_beats_argmin_f64(1, NAN));
}

/* ---- math functions */
#define NEAR(T, op, ref, x, tol)                                                                    \
  {                                                                                                 \
    const rpc_##T a = (rpc_##T)(x), s = rps_##op##_##T(a);                                          \
    rpv_##T va = rpv_splat_##T((rpc_##T)0.25);                                                      \
    va[RPV_W - 1] = a;                                                                              \
    CHECK(T, "vector " #op, a, 0, rpv_##op##_##T(va)[RPV_W - 1], s);                                \
    const double want = ref((double)a);                                                             \
    if (isfinite(want) && !(fabs((double)s - want) <= (tol) * fmax(fabs(want), 1e-30))) {           \
      print_error(#op "_" #T "(%.9g) = %.17g, libm %.17g\n", (double)a, (double)s, want);           \
      fail();                                                                                       \
    }                                                                                               \
  }
#define MATHS(X)                                                                                    \
  X(exp, -5) X(exp2, -5) X(expm1, -5) X(sin, -3) X(cos, -1.5) X(tan, -1.5) X(atan, -5) X(sinh, -5)  \
  X(cosh, -5) X(tanh, -5) X(asinh, -5) X(cbrt, -5) X(erf, -3) X(erfc, -3) X(tgamma, 0.1)            \
  X(lgamma, 2.5) X(log, 0.01) X(log2, 0.01) X(log10, 0.01) X(log1p, -0.5) X(asin, -0.99)            \
  X(acos, -0.99) X(acosh, 1.01) X(atanh, -0.99)
#define RUN(op, from)                                                                               \
  for (int i = 0; i < 39; i++) {                                                                    \
    NEAR(f64, op, op, (from) + i * 0.05, 4e-15)                                                     \
    NEAR(f32, op, op, (from) + i * 0.05, 2e-6)                                                      \
  }
static void test_math(void **state) {
  (void)state;
  MATHS(RUN)
  for (int i = 0; i < COUNT(real); i++) { /* special values: vector = scalar */
    const double x = real[i];
#define SPECIAL(op, from)                                                                           \
  CHECK(f64, #op, x, 0, rpv_##op##_f64(rpv_splat_f64(x))[1], rps_##op##_f64(x));                    \
  CHECK(f32, #op, x, 0, rpv_##op##_f32(rpv_splat_f32((float)x))[1], rps_##op##_f32((float)x));
    MATHS(SPECIAL)
    for (int j = 0; j < COUNT(real); j++) {
      const double y = real[j];
#define TWO(op)                                                                                     \
  CHECK(f64, #op, x, y, rpv_##op##_f64(rpv_splat_f64(x), rpv_splat_f64(y))[1], rps_##op##_f64(x, y)); \
  CHECK(f32, #op, x, y, rpv_##op##_f32(rpv_splat_f32((float)x), rpv_splat_f32((float)y))[1],        \
        rps_##op##_f32((float)x, (float)y));
      TWO(pow) TWO(atan2) TWO(hypot)
    }
  }
  assert_true(fabs(rps_pow_f64(1.7, 2.3) - pow(1.7, 2.3)) < 1e-14);
  assert_true(fabs(rps_atan2_f64(-1.7, -2.3) - atan2(-1.7, -2.3)) < 1e-14);
  assert_true(fabs(rps_hypot_f64(3, 4) - 5) < 1e-14);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(integer_i8),  cmocka_unit_test(integer_i16), cmocka_unit_test(integer_i32),
    cmocka_unit_test(integer_i64), cmocka_unit_test(integer_u8),  cmocka_unit_test(integer_u16),
    cmocka_unit_test(integer_u32), cmocka_unit_test(integer_u64), cmocka_unit_test(float_f32),
    cmocka_unit_test(float_f64),   cmocka_unit_test(test_python), cmocka_unit_test(test_casts),
    cmocka_unit_test(test_moves),  cmocka_unit_test(test_math),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
