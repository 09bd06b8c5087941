/* SPDX-License-Identifier: Apache-2.0
 * jit/lanes_int.h -- the part of lanes.h about bools and integers, and comparisons of all numbers. */
/* Tables of macros, laid out by hand: */
/* clang-format off */

/* ---- bool ------------------------------------------------------------------------------------------ */

#define RPV_BOOL1(op, vec, scal)                                          \
  RPV_WIDE(RPV_FN rpv_bool rpv_##op##_bool(rpv_bool a) { return vec; })             \
  RPV_FN rpc_bool rps_##op##_bool(rpc_bool a) { return (rpc_bool)(scal); }
#define RPV_BOOL2(op, vec, scal)                                                         \
  RPV_WIDE(RPV_FN rpv_bool rpv_##op##_bool(rpv_bool a, rpv_bool b) { return vec; })                \
  RPV_FN rpc_bool rps_##op##_bool(rpc_bool a, rpc_bool b) { return (rpc_bool)(scal); }
RPV_BOOL1(abs, a, a)
RPV_BOOL1(not, ~a, !a)
RPV_BOOL2(and, a & b, a & b)
RPV_BOOL2(or, a | b, a | b)
RPV_BOOL2(xor, a ^ b, a ^ b)
RPV_BOOL2(min, a & b, a & b)
RPV_BOOL2(max, a | b, a | b)
RPV_BOOL2(fmin, a & b, a & b)
RPV_BOOL2(fmax, a | b, a | b)
RPV_BOOL2(lt, ~a & b, a < b)
RPV_BOOL2(le, ~a | b, a <= b)
RPV_BOOL2(eq, ~(a ^ b), a == b)
RPV_BOOL2(ne, a ^ b, a != b)

/* ---- integers and floats: what both have ------------------------------------------------------------- */

#define RPV_COMPARE(T, op, c)                                                                       \
  RPV_WIDE(RPV_FN rpv_bool rpv_##op##_##T(rpv_##T a, rpv_##T b) { return RPV_TO_BOOL(T, a c b); })            \
  RPV_FN rpc_bool rps_##op##_##T(rpc_##T a, rpc_##T b) { return (rpc_bool)(a c b); }
#define RPV_COMPARES(T, x) \
  RPV_COMPARE(T, lt, <) RPV_COMPARE(T, le, <=) RPV_COMPARE(T, eq, ==) RPV_COMPARE(T, ne, !=)
RPV_NUMBERS(RPV_COMPARES, 0)

#define RPV_VS1(T, op, vec, scal)                                          \
  RPV_WIDE(RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a) { return (rpv_##T)(vec); })      \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a) { return (rpc_##T)(scal); }
#define RPV_VS2(T, op, vec, scal)                                                     \
  RPV_WIDE(RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a, rpv_##T b) { return (rpv_##T)(vec); })      \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a, rpc_##T b) { return (rpc_##T)(scal); }
/* A scalar function first, then lane by lane. */
#define RPV_BY_LANE1(T, op) \
  RPV_WIDE(RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a) { return (rpv_##T){RPV_EACH(RPV_LANE_F1, rps_##op##_##T)}; })
#define RPV_BY_LANE2(T, op)                                 \
  RPV_WIDE(RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a, rpv_##T b) { \
    return (rpv_##T){RPV_EACH(RPV_LANE_F2, rps_##op##_##T)}; \
  })

/* ---- integers: all arithmetic is unsigned, so it wraps ----------------------------------------------- */

#define RPV_U(T, v) ((RPV_UV(T))(v))
#define RPV_L(v) ((rpc_u64)(v))
#define RPV_WIDTH(T) (8 * (int)sizeof(rpc_##T))
#define RPV_INTEGER(T, x)                                                                      \
  RPV_VS1(T, neg, -RPV_U(T, a), 0 - RPV_L(a))                                                  \
  RPV_VS2(T, add, RPV_U(T, a) + RPV_U(T, b), RPV_L(a) + RPV_L(b))                              \
  RPV_VS2(T, sub, RPV_U(T, a) - RPV_U(T, b), RPV_L(a) - RPV_L(b))                              \
  RPV_VS2(T, mul, RPV_U(T, a) * RPV_U(T, b), RPV_L(a) * RPV_L(b))                              \
  RPV_VS2(T, min, RPV_PICK(T, a < b, a, b), a < b ? a : b)                                     \
  RPV_VS2(T, max, RPV_PICK(T, a > b, a, b), a > b ? a : b)                                     \
  RPV_VS2(T, fmin, RPV_PICK(T, a < b, a, b), a < b ? a : b)                                    \
  RPV_VS2(T, fmax, RPV_PICK(T, a > b, a, b), a > b ? a : b)                                    \
  RPV_VS2(T, and, a & b, a & b)                                                                \
  RPV_VS2(T, or, a | b, a | b)                                                                 \
  RPV_VS2(T, xor, a ^ b, a ^ b)                                                                \
  RPV_VS1(T, not, ~a, ~a)                                                                      \
  RPV_VS2(T, shl,                                                                              \
          (RPV_U(T, a) << (RPV_U(T, b) & (RPV_UC(T))(RPV_WIDTH(T) - 1))) &                     \
              (RPV_UV(T))(RPV_U(T, b) < (RPV_UC(T))RPV_WIDTH(T)),                              \
          (RPV_UC(T))b < RPV_WIDTH(T) ? RPV_L(a) << ((RPV_UC(T))b & 63) : 0)
RPV_INTEGERS(RPV_INTEGER, 0)

RPV_FN rpc_u64 rpv_power(rpc_u64 m, rpc_u64 e) {
  rpc_u64 r = 1;
  for (; e != 0; e >>= 1, m *= m)
    if (e & 1) r *= m;
  return r;
}

#define RPV_SIGNED_OPS(T, x)                                                                     \
  RPV_VS1(T, abs, RPV_U(T, a ^ (a >> (RPV_WIDTH(T) - 1))) - RPV_U(T, a >> (RPV_WIDTH(T) - 1)),    \
          a < 0 ? 0 - RPV_L(a) : RPV_L(a))                                                       \
  RPV_VS1(T, sign, (a < 0) - (a > 0), (a > 0) - (a < 0))                                         \
  RPV_WIDE(RPV_FN rpv_##T rpv_shr_##T(rpv_##T a, rpv_##T b) {                                    \
    rpv_##T far = (rpv_##T)(RPV_U(T, b) >= (RPV_UC(T))RPV_WIDTH(T));                             \
    return a >> ((b & ~far) | (far & (rpc_##T)(RPV_WIDTH(T) - 1)));                              \
  })                                                                                             \
  RPV_FN rpc_##T rps_shr_##T(rpc_##T a, rpc_##T b) {                                             \
    return (rpc_##T)(a >> ((RPV_UC(T))b < RPV_WIDTH(T) ? (int)b : RPV_WIDTH(T) - 1));            \
  }                                                                                              \
  RPV_FN rpc_##T rps_floordiv_##T(rpc_##T a, rpc_##T b) {                                        \
    if (b == 0) return 0;                                                                        \
    if (b == -1) return (rpc_##T)(0 - RPV_L(a));                                                 \
    return (rpc_##T)(a / b - (a % b != 0 && (a < 0) != (b < 0)));                                \
  }                                                                                              \
  RPV_FN rpc_##T rps_mod_##T(rpc_##T a, rpc_##T b) {                                             \
    if (b == 0 || b == -1) return 0;                                                             \
    rpc_##T r = (rpc_##T)(a % b);                                                                \
    return (rpc_##T)(r != 0 && (r < 0) != (b < 0) ? r + b : r);                                  \
  }                                                                                              \
  RPV_FN rpc_##T rps_pow_##T(rpc_##T a, rpc_##T b) {                                             \
    if (b >= 0) return (rpc_##T)rpv_power(RPV_L(a), RPV_L(b));                                   \
    return (rpc_##T)(a == 1 ? 1 : a == -1 ? ((b & 1) ? -1 : 1) : 0);                             \
  }                                                                                              \
  RPV_BY_LANE2(T, floordiv) RPV_BY_LANE2(T, mod) RPV_BY_LANE2(T, pow)
RPV_SIGNED(RPV_SIGNED_OPS, 0)

#define RPV_UNSIGNED_OPS(T, x)                                                                \
  RPV_VS1(T, abs, a, a)                                                                       \
  RPV_VS1(T, sign, -RPV_U(T, a != 0), a != 0)                                                 \
  RPV_VS2(T, shr, (a >> (b & (rpc_##T)(RPV_WIDTH(T) - 1))) & (rpv_##T)(b < (rpc_##T)RPV_WIDTH(T)), \
          b < RPV_WIDTH(T) ? a >> (b & 63) : 0)                                               \
  RPV_FN rpc_##T rps_floordiv_##T(rpc_##T a, rpc_##T b) { return (rpc_##T)(b == 0 ? 0 : a / b); } \
  RPV_FN rpc_##T rps_mod_##T(rpc_##T a, rpc_##T b) { return (rpc_##T)(b == 0 ? 0 : a % b); }  \
  RPV_FN rpc_##T rps_pow_##T(rpc_##T a, rpc_##T b) {                                          \
    return (rpc_##T)rpv_power(RPV_L(a), RPV_L(b));                                            \
  }                                                                                           \
  RPV_BY_LANE2(T, floordiv) RPV_BY_LANE2(T, mod) RPV_BY_LANE2(T, pow)
RPV_UNSIGNED(RPV_UNSIGNED_OPS, 0)
