/* SPDX-License-Identifier: Apache-2.0
 * jit/lanes_float.h -- the part of lanes.h about floats: arithmetic, rounding, bits, and the functions
 * of <math.h>. */
/* Tables of macros, laid out by hand: */
/* clang-format off */

/* Where the functions come from; in CUDA text lanes_cuda.h says so. */
#ifndef RPV_CUDA
#ifdef __cplusplus
#define RPV_EXTERN extern "C"
#else
#define RPV_EXTERN extern
#endif
/* By names that the compiler does not know: of constants it computes these functions itself, correctly rounded, which
 * libm's are not. */
RPV_EXTERN double rpv_libm_tgamma_f64(double) __asm__("tgamma");
RPV_EXTERN float rpv_libm_tgamma_f32(float) __asm__("tgammaf");
RPV_EXTERN double rpv_libm_lgamma_f64(double, int *) __asm__("lgamma_r");
RPV_EXTERN float rpv_libm_lgamma_f32(float, int *) __asm__("lgammaf_r");
#define RPV_LIBM_f32(name) __builtin_##name##f
#define RPV_LIBM_f64(name) __builtin_##name
#define RPV_TGAMMA_f32 rpv_libm_tgamma_f32
#define RPV_TGAMMA_f64 rpv_libm_tgamma_f64
#define RPV_LGAMMA_f32 rpv_libm_lgamma_f32
#define RPV_LGAMMA_f64 rpv_libm_lgamma_f64
#define RPV_MINUS_f32 __builtin_signbit
#define RPV_MINUS_f64 __builtin_signbit
#endif
#define RPV_BITS_OF(T, v) ((RPV_IV(T))(v))
#define RPV_FLOOR_f32(v) RPV_ROUND_f32(v, 9)
#define RPV_FLOOR_f64(v) RPV_ROUND_f64(v, 9)
#define RPV_CEIL_f32(v) RPV_ROUND_f32(v, 10)
#define RPV_CEIL_f64(v) RPV_ROUND_f64(v, 10)
#define RPV_TRUNC_f32(v) RPV_ROUND_f32(v, 11)
#define RPV_TRUNC_f64(v) RPV_ROUND_f64(v, 11)
#define RPV_RINT_f32(v) RPV_ROUND_f32(v, 8)
#define RPV_RINT_f64(v) RPV_ROUND_f64(v, 8)

/* r = a where `pick`, else b; where a == b, which can only differ in zeros, the bits are joined: or
 * makes -0 of any -0 (min), and makes +0 of any +0 (max). */
#define RPV_MINMAX(T, op, pick, join)                                                       \
  RPV_WIDE(RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a, rpv_##T b) {                            \
    RPV_IV(T) r = RPV_BITS_OF(T, RPV_PICK(T, pick, a, b)), same = (RPV_IV(T))(a == b);      \
    return (rpv_##T)join(r, same, RPV_BITS_OF(T, a));                                       \
  })
#define RPV_JOIN_OR(r, same, a) ((r) | ((same) & (a)))
#define RPV_JOIN_AND(r, same, a) ((r) & (~(same) | (a)))
#define RPV_FLOAT1(T, op, body)                       \
  RPV_WIDE(RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a) { body })
#define RPV_LIBM1(T, op) \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a) { return RPV_LIBM_##T(op)(a); }
#define RPV_LIBM2(T, op) \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a, rpc_##T b) { return RPV_LIBM_##T(op)(a, b); }

#define RPV_FLOAT_ARITHMETIC(T, x)                                                                 \
  RPV_VS1(T, neg, -a, -a)                                                                          \
  RPV_VS1(T, abs, RPV_BITS_OF(T, a) & ~RPV_SIGN_##T, RPV_LIBM_##T(fabs)(a))                        \
  RPV_VS1(T, sign,                                                                                 \
          RPV_PICK(T, a > 0, rpv_splat_##T(1), RPV_PICK(T, a < 0, rpv_splat_##T(-1), a)),          \
          a > 0 ? 1 : a < 0 ? -1 : a)                                                              \
  RPV_VS2(T, add, a + b, a + b)                                                                    \
  RPV_VS2(T, sub, a - b, a - b)                                                                    \
  RPV_VS2(T, mul, a *b, a *b)                                                                      \
  RPV_VS2(T, div, a / b, a / b)                                                                    \
  RPV_MINMAX(T, min, (a < b) | (a != a), RPV_JOIN_OR)                                              \
  RPV_MINMAX(T, max, (a > b) | (a != a), RPV_JOIN_AND)                                             \
  RPV_MINMAX(T, fmin, (a < b) | (b != b), RPV_JOIN_OR)                                             \
  RPV_MINMAX(T, fmax, (a > b) | (b != b), RPV_JOIN_AND)                                            \
  RPV_FN rpc_##T rps_min_##T(rpc_##T a, rpc_##T b) {                                               \
    if (a == b) return RPV_MINUS_##T(a) ? a : b;                                                   \
    return a < b || a != a ? a : b;                                                                \
  }                                                                                                \
  RPV_FN rpc_##T rps_max_##T(rpc_##T a, rpc_##T b) {                                               \
    if (a == b) return RPV_MINUS_##T(a) ? b : a;                                                   \
    return a > b || a != a ? a : b;                                                                \
  }                                                                                                \
  RPV_FN rpc_##T rps_fmin_##T(rpc_##T a, rpc_##T b) {                                              \
    return a != a ? b : b != b ? a : rps_min_##T(a, b);                                            \
  }                                                                                                \
  RPV_FN rpc_##T rps_fmax_##T(rpc_##T a, rpc_##T b) {                                              \
    return a != a ? b : b != b ? a : rps_max_##T(a, b);                                            \
  }                                                                                                \
  RPV_WIDE(RPV_FN rpv_##T rpv_fma_##T(rpv_##T a, rpv_##T b, rpv_##T c) { RPV_HW3(T, RPV_FMA_##T) }) \
  RPV_FN rpc_##T rps_fma_##T(rpc_##T a, rpc_##T b, rpc_##T c) { return RPV_LIBM_##T(fma)(a, b, c); } \
  RPV_LIBM2(T, fmod) RPV_BY_LANE2(T, fmod)                                                         \
  RPV_FN rpc_##T rps_mod_##T(rpc_##T a, rpc_##T b) {                                               \
    rpc_##T r = RPV_LIBM_##T(fmod)(a, b);                                                          \
    if (r == 0) return RPV_LIBM_##T(copysign)((rpc_##T)0, b);                                      \
    return (r < 0) != (b < 0) ? r + b : r;                                                         \
  }                                                                                                \
  RPV_FN rpc_##T rps_floordiv_##T(rpc_##T a, rpc_##T b) {                                          \
    if (b == 0) return a / b;                                                                      \
    rpc_##T r = RPV_LIBM_##T(fmod)(a, b), q = (a - r) / b;                                         \
    if (r != 0 && (r < 0) != (b < 0)) q -= 1;                                                      \
    if (q == 0) return RPV_LIBM_##T(copysign)((rpc_##T)0, a / b);                                  \
    rpc_##T f = RPV_LIBM_##T(floor)(q);                                                            \
    return q - f > (rpc_##T)0.5 ? f + 1 : f;                                                       \
  }                                                                                                \
  RPV_BY_LANE2(T, mod) RPV_BY_LANE2(T, floordiv)
RPV_FLOATS(RPV_FLOAT_ARITHMETIC, 0)

#define RPV_FLOAT_BITS(T, x)                                                                     \
  RPV_FLOAT1(T, sqrt, RPV_HW1(T, RPV_SQRT_##T)) RPV_LIBM1(T, sqrt)                               \
  RPV_FLOAT1(T, floor, RPV_HW1(T, RPV_FLOOR_##T)) RPV_LIBM1(T, floor)                            \
  RPV_FLOAT1(T, ceil, RPV_HW1(T, RPV_CEIL_##T)) RPV_LIBM1(T, ceil)                               \
  RPV_FLOAT1(T, trunc, RPV_HW1(T, RPV_TRUNC_##T)) RPV_LIBM1(T, trunc)                            \
  RPV_FLOAT1(T, rint, RPV_HW1(T, RPV_RINT_##T)) RPV_LIBM1(T, rint)                               \
  RPV_VS2(T, copysign,                                                                           \
          (RPV_BITS_OF(T, a) & ~RPV_SIGN_##T) |                                                  \
              (RPV_BITS_OF(T, b) & RPV_SIGN_##T & (RPV_IV(T))(b == b)),                          \
          RPV_LIBM_##T(copysign)(a, b != b ? 1 : b))                                             \
  RPV_WIDE(RPV_FN rpv_bool rpv_signbit_##T(rpv_##T a) {                                          \
    return RPV_TO_BOOL(T, (RPV_BITS_OF(T, a) < 0) & (RPV_IV(T))(a == a));                        \
  })                                                                                             \
  RPV_FN rpc_bool rps_signbit_##T(rpc_##T a) {                                                   \
    return (rpc_bool)(a == a && RPV_MINUS_##T(a) != 0);                                      \
  }                                                                                              \
  RPV_WIDE(RPV_FN rpv_bool rpv_isnan_##T(rpv_##T a) { return RPV_TO_BOOL(T, a != a); })          \
  RPV_FN rpc_bool rps_isnan_##T(rpc_##T a) { return (rpc_bool)(a != a); }                        \
  RPV_WIDE(RPV_FN rpv_bool rpv_isinf_##T(rpv_##T a) {                                            \
    return RPV_TO_BOOL(T, rpv_abs_##T(a) == RPV_INF_##T);                                        \
  })                                                                                             \
  RPV_FN rpc_bool rps_isinf_##T(rpc_##T a) { return (rpc_bool)(rps_abs_##T(a) == RPV_INF_##T); }  \
  RPV_WIDE(RPV_FN rpv_bool rpv_isfinite_##T(rpv_##T a) {                                         \
    return RPV_TO_BOOL(T, rpv_abs_##T(a) < RPV_INF_##T);                                         \
  })                                                                                             \
  RPV_FN rpc_bool rps_isfinite_##T(rpc_##T a) {                                                  \
    return (rpc_bool)(rps_abs_##T(a) < RPV_INF_##T);                                             \
  }                                                                                              \
  RPV_LIBM2(T, nextafter) RPV_BY_LANE2(T, nextafter)                                             \
  RPV_FN rpc_##T rps_ldexp_##T(rpc_##T a, rpc_##T b) {                                           \
    int e = b != b ? 0 : b >= RPV_TOP_i32 ? RPV_MAX_i32 : b < -RPV_TOP_i32 ? RPV_MIN_i32 : (int)b; \
    return RPV_LIBM_##T(ldexp)(a, e);                                                            \
  }                                                                                              \
  RPV_BY_LANE2(T, ldexp)                                                                         \
  RPV_FN rpc_##T rps_tgamma_##T(rpc_##T a) { return RPV_TGAMMA_##T(a); }                         \
  RPV_BY_LANE1(T, tgamma)                                                                        \
  RPV_FN rpc_##T rps_lgamma_##T(rpc_##T a) {                                                     \
    int sign;                                                                                    \
    return RPV_LGAMMA_##T(a, &sign);                                                             \
  }                                                                                              \
  RPV_BY_LANE1(T, lgamma)
RPV_FLOATS(RPV_FLOAT_BITS, 0)

/* libmvec. The symbols are declared as the functions are named, without a header. */
#ifdef RPV_CUDA
#define RPV_MATH1(T, op)                                                                \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a) { return RPV_LIBM_##T(op)(RPV_UNKNOWN_##T(a)); }
#define RPV_MATH2(T, op)                                                                \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a, rpc_##T b) {                                 \
    return RPV_LIBM_##T(op)(RPV_UNKNOWN_##T(a), RPV_UNKNOWN_##T(b));                    \
  }
#else
#define RPV_MATH1(T, op)                                                    \
  RPV_EXTERN rpv_hw_##T RPV_MVEC1_##T(op)(rpv_hw_##T);                      \
  RPV_WIDE(RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a) { RPV_HW1(T, RPV_MVEC1_##T(op)) }) \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a) { return RPV_MVEC1_##T(op)(RPV_HW_SPLAT(T, a))[0]; }
#define RPV_MATH2(T, op)                                                               \
  RPV_EXTERN rpv_hw_##T RPV_MVEC2_##T(op)(rpv_hw_##T, rpv_hw_##T);                     \
  RPV_WIDE(RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a, rpv_##T b) { RPV_HW2(T, RPV_MVEC2_##T(op)) }) \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a, rpc_##T b) {                                \
    return RPV_MVEC2_##T(op)(RPV_HW_SPLAT(T, a), RPV_HW_SPLAT(T, b))[0];               \
  }
#endif
#define RPV_MATHS(T, x)                                                                       \
  RPV_MATH1(T, exp) RPV_MATH1(T, exp2) RPV_MATH1(T, expm1) RPV_MATH1(T, log) RPV_MATH1(T, log2) \
  RPV_MATH1(T, log10) RPV_MATH1(T, log1p) RPV_MATH1(T, sin) RPV_MATH1(T, cos) RPV_MATH1(T, tan) \
  RPV_MATH1(T, asin) RPV_MATH1(T, acos) RPV_MATH1(T, atan) RPV_MATH1(T, sinh) RPV_MATH1(T, cosh) \
  RPV_MATH1(T, tanh) RPV_MATH1(T, asinh) RPV_MATH1(T, acosh) RPV_MATH1(T, atanh)              \
  RPV_MATH1(T, cbrt) RPV_MATH1(T, erf) RPV_MATH1(T, erfc)                                     \
  RPV_MATH2(T, pow) RPV_MATH2(T, atan2) RPV_MATH2(T, hypot)
RPV_FLOATS(RPV_MATHS, 0)
