/* SPDX-License-Identifier: Apache-2.0
 * jit/lanes_reduce.h -- the part of lanes.h about reductions: combine operators, identities, who wins. */
/* Tables of macros, laid out by hand: */
/* clang-format off */

#define RPV_RED(T, red, op, identity, empty)                                                        \
  RPV_WIDE(RPV_FN rpv_##T rpv_red_##red##_##T(rpv_##T a, rpv_##T b) { return rpv_##op##_##T(a, b); }) \
  RPV_FN rpc_##T rps_red_##red##_##T(rpc_##T a, rpc_##T b) { return rps_##op##_##T(a, b); }         \
  RPV_FN rpc_##T rps_identity_##red##_##T(void) { return (rpc_##T)(identity); }                     \
  RPV_FN rpc_##T rps_empty_##red##_##T(void) { return (rpc_##T)(empty); }
#define RPV_RED_BITS(T, ones) \
  RPV_RED(T, and, and, ones, ones) RPV_RED(T, or, or, 0, 0) RPV_RED(T, xor, xor, 0, 0)
#define RPV_RED_INTEGER(T, x)                                                                       \
  RPV_RED(T, sum, add, 0, 0) RPV_RED(T, prod, mul, 1, 1) RPV_RED_BITS(T, ~(rpc_##T)0)                \
  RPV_RED(T, min, min, RPV_MAX_##T, RPV_MAX_##T) RPV_RED(T, max, max, RPV_MIN_##T, RPV_MIN_##T)
#define RPV_RED_FLOAT(T, x)                                                                         \
  RPV_RED(T, sum, add, -0.0, 0.0) RPV_RED(T, prod, mul, 1, 1)                                       \
  RPV_RED(T, min, min, RPV_INF_##T, RPV_INF_##T) RPV_RED(T, max, max, -RPV_INF_##T, -RPV_INF_##T)
RPV_INTEGERS(RPV_RED_INTEGER, 0)
RPV_FLOATS(RPV_RED_FLOAT, 0)
RPV_RED(bool, sum, or, 0, 0)
RPV_RED(bool, prod, and, 1, 1)
RPV_RED(bool, min, and, 1, 1)
RPV_RED(bool, max, or, 0, 0)
RPV_RED(bool, any, or, 0, 0)
RPV_RED(bool, all, and, 1, 1)
RPV_RED_BITS(bool, 1)

#define RPV_BEATS(T, x)                                                                       \
  RPV_FN rpc_bool rps_beats_argmin_##T(rpc_##T b, rpc_##T a) {                                \
    return (rpc_bool)(b < a || (b != b && a == a));                                           \
  }                                                                                           \
  RPV_FN rpc_bool rps_beats_argmax_##T(rpc_##T b, rpc_##T a) {                                \
    return (rpc_bool)(b > a || (b != b && a == a));                                           \
  }
RPV_NUMBERS(RPV_BEATS, 0)
RPV_FN rpc_bool rps_beats_argmin_bool(rpc_bool b, rpc_bool a) { return (rpc_bool)(b < a); }
RPV_FN rpc_bool rps_beats_argmax_bool(rpc_bool b, rpc_bool a) { return (rpc_bool)(b > a); }
