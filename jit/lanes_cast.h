/* SPDX-License-Identifier: Apache-2.0
 * jit/lanes_cast.h -- the part of lanes.h that casts: between any two dtypes in use. */
/* Tables of macros, laid out by hand: */
/* clang-format off */

#ifndef RPV_ONE
/* Floats that are known to be in range, to 64-bit integers. Without AVX-512 there is no such instruction:
 * split t = hi * 2^32 + lo, exactly, and read each half from the low bits of a number near 2^52. */
#if RPV_BITS == 512
RPV_FN rpv_i64 rpv_trunc_f64_i64(rpv_f64 a) { return __builtin_convertvector(a, rpv_i64); }
RPV_FN rpv_u64 rpv_trunc_f64_u64(rpv_f64 a) { return __builtin_convertvector(a, rpv_u64); }
RPV_FN rpv_f64 rpv_exact_i64_f64(rpv_i64 a) { return __builtin_convertvector(a, rpv_f64); }
RPV_FN rpv_f64 rpv_exact_u64_f64(rpv_u64 a) { return __builtin_convertvector(a, rpv_f64); }
#else
RPV_FN rpv_f64 rpv_whole_trunc(rpv_f64 a) { RPV_HW1(f64, RPV_TRUNC_f64) }
RPV_FN rpv_f64 rpv_whole_floor(rpv_f64 a) { RPV_HW1(f64, RPV_FLOOR_f64) }
RPV_FN rpv_u64 rpv_trunc_f64_u64(rpv_f64 a) {
  rpv_f64 t = rpv_whole_trunc(a), hi = rpv_whole_floor(t * 0x1p-32), lo = t - hi * 0x1p32;
  return ((rpv_u64)(hi + 0x1.8p52) << 32) | ((rpv_u64)(lo + 0x1p52) & 0xffffffffUL);
}
RPV_FN rpv_i64 rpv_trunc_f64_i64(rpv_f64 a) { return (rpv_i64)rpv_trunc_f64_u64(a); }
/* The halves as numbers near 2^84 and 2^52; only the last addition rounds. */
RPV_FN rpv_f64 rpv_exact_u64_f64(rpv_u64 a) {
  rpv_f64 hi = (rpv_f64)((a >> 32) | 0x4530000000000000UL);
  rpv_f64 lo = (rpv_f64)((a & 0xffffffffUL) | 0x4330000000000000UL);
  return (hi - (0x1p84 + 0x1p52)) + lo;
}
RPV_FN rpv_f64 rpv_exact_i64_f64(rpv_i64 a) {
  rpv_u64 b = (rpv_u64)a ^ 0x8000000000000000UL;
  rpv_f64 hi = (rpv_f64)((b >> 32) | 0x4530000000000000UL);
  rpv_f64 lo = (rpv_f64)((b & 0xffffffffUL) | 0x4330000000000000UL);
  return (hi - (0x1p84 + 0x1p63 + 0x1p52)) + lo;
}
#endif
RPV_FN rpv_i32 rpv_trunc_f64_i32(rpv_f64 a) { return __builtin_convertvector(a, rpv_i32); }
RPV_FN rpv_i32 rpv_trunc_f32_i32(rpv_f32 a) { return __builtin_convertvector(a, rpv_i32); }
RPV_FN rpv_i64 rpv_trunc_f32_i64(rpv_f32 a) {
  return rpv_trunc_f64_i64(__builtin_convertvector(a, rpv_f64));
}
RPV_FN rpv_u64 rpv_trunc_f32_u64(rpv_f32 a) {
  return rpv_trunc_f64_u64(__builtin_convertvector(a, rpv_f64));
}
#endif

#define RPV_CAST_SCALAR(S, T) \
  RPV_FN rpc_##T rps_cast_##S##_##T(rpc_##S a) { return (rpc_##T)a; }
#define RPV_CAST_PLAIN(S, T)                                     \
  RPV_CAST_SCALAR(S, T)                                          \
  RPV_WIDE(RPV_FN rpv_##T rpv_cast_##S##_##T(rpv_##S a) { return __builtin_convertvector(a, rpv_##T); })
/* Integers to integers, by the widths: narrowing, or the sign or zeros carried up. */
#define RPV_CAST_LOW(S, T, from, to)                                                     \
  RPV_CAST_SCALAR(S, T)                                                                  \
  RPV_WIDE(RPV_FN rpv_##T rpv_cast_##S##_##T(rpv_##S a) {                                \
    return (rpv_##T)rpv_low_##from##_##to((rpv_i##from)a);                               \
  })
#define RPV_CAST_LOW_64_32(S, T) RPV_CAST_LOW(S, T, 64, 32)
#define RPV_CAST_LOW_64_16(S, T) RPV_CAST_LOW(S, T, 64, 16)
#define RPV_CAST_LOW_64_8(S, T) RPV_CAST_LOW(S, T, 64, 8)
#define RPV_CAST_LOW_32_16(S, T) RPV_CAST_LOW(S, T, 32, 16)
#define RPV_CAST_LOW_32_8(S, T) RPV_CAST_LOW(S, T, 32, 8)
#define RPV_CAST_LOW_16_8(S, T) RPV_CAST_LOW(S, T, 16, 8)
#define RPV_CAST_W64(S) \
  RPV_CAST_TO(S, RPV_CAST_LOW_64_8, RPV_CAST_LOW_64_16, RPV_CAST_LOW_64_32, RPV_CAST_PLAIN)
#define RPV_CAST_W32(S) \
  RPV_CAST_TO(S, RPV_CAST_LOW_32_8, RPV_CAST_LOW_32_16, RPV_CAST_PLAIN, RPV_CAST_PLAIN)
#define RPV_CAST_W16(S) \
  RPV_CAST_TO(S, RPV_CAST_LOW_16_8, RPV_CAST_PLAIN, RPV_CAST_PLAIN, RPV_CAST_PLAIN)
#define RPV_CAST_W8(S) \
  RPV_CAST_TO(S, RPV_CAST_PLAIN, RPV_CAST_PLAIN, RPV_CAST_PLAIN, RPV_CAST_PLAIN)
#define RPV_CAST_TO(S, to8, to16, to32, to64)                                                    \
  RPV_IF_i8(to8(S, i8)) RPV_IF_i16(to16(S, i16)) RPV_IF_i32(to32(S, i32)) RPV_IF_i64(to64(S, i64)) \
  RPV_IF_u8(to8(S, u8)) RPV_IF_u16(to16(S, u16)) RPV_IF_u32(to32(S, u32)) RPV_IF_u64(to64(S, u64))
/* 64-bit integers to f32: one rounding, so not by way of f64. */
#define RPV_LANE_FLOAT(i, v) (float)v[i]
#define RPV_CAST_LONG_f32(S)                                      \
  RPV_CAST_SCALAR(S, f32)                                         \
  RPV_WIDE(RPV_FN rpv_f32 rpv_cast_##S##_f32(rpv_##S a) { return (rpv_f32){RPV_EACH(RPV_LANE_FLOAT, a)}; })
#define RPV_CAST_LONG_f64(S)  \
  RPV_CAST_SCALAR(S, f64)     \
  RPV_WIDE(RPV_FN rpv_f64 rpv_cast_##S##_f64(rpv_##S a) { return rpv_exact_##S##_f64(a); })
#define RPV_CAST_INT_FLOAT(S, T) RPV_CAST_INT_FLOAT_##S(S, T)
#define RPV_CAST_INT_FLOAT_i8 RPV_CAST_PLAIN
#define RPV_CAST_INT_FLOAT_i16 RPV_CAST_PLAIN
#define RPV_CAST_INT_FLOAT_i32 RPV_CAST_PLAIN
#define RPV_CAST_INT_FLOAT_u8 RPV_CAST_PLAIN
#define RPV_CAST_INT_FLOAT_u16 RPV_CAST_PLAIN
#define RPV_CAST_INT_FLOAT_u32 RPV_CAST_PLAIN
#define RPV_CAST_INT_FLOAT_i64(S, T) RPV_CAST_LONG_##T(S)
#define RPV_CAST_INT_FLOAT_u64(S, T) RPV_CAST_LONG_##T(S)
#define RPV_SHRINK_i8(w) rpv_low_32_8(w)
#define RPV_SHRINK_i16(w) rpv_low_32_16(w)
#define RPV_SHRINK_i32(w) (w)
#define RPV_SHRINK_i64(w) (w)
#define RPV_SHRINK_u8(w) (rpv_u8) rpv_low_32_8(w)
#define RPV_SHRINK_u16(w) (rpv_u16) rpv_low_32_16(w)
#define RPV_SHRINK_u32(w) (rpv_u32) rpv_low_64_32(w)
#define RPV_SHRINK_u64(w) (w)
/* Out of range or NaN lanes are converted as 0 and then filled with the limit. */
#define RPV_CAST_FLOAT_INT(S, T)                                                               \
  RPV_FN rpc_##T rps_cast_##S##_##T(rpc_##S a) {                                               \
    if (a != a) return 0;                                                                      \
    if (a >= (rpc_##S)RPV_TOP_##T) return RPV_MAX_##T;                                         \
    if (a < (rpc_##S)RPV_MIN_##T) return RPV_MIN_##T;                                          \
    return (rpc_##T)a;                                                                         \
  }                                                                                            \
  RPV_WIDE(RPV_FN rpv_##T rpv_cast_##S##_##T(rpv_##S a) {                                      \
    RPV_IV(S) over = (RPV_IV(S))(a >= (rpc_##S)RPV_TOP_##T);                                   \
    RPV_IV(S) under = (RPV_IV(S))(a < (rpc_##S)RPV_MIN_##T);                                   \
    rpv_##S in = (rpv_##S)(RPV_BITS_OF(S, a) & ~over & ~under & (RPV_IV(S))(a == a));          \
    RPV_CAT(rpv_, RPV_VIA_##T) w = RPV_CAT(rpv_trunc_##S##_, RPV_VIA_##T)(in);                 \
    rpv_##T r = RPV_SHRINK_##T(w);                                                             \
    rpv_##T hi = (rpv_##T)RPV_MASK_OF(T, RPV_TO_BOOL(S, over)) & (rpc_##T)RPV_MAX_##T;         \
    rpv_##T lo = (rpv_##T)RPV_MASK_OF(T, RPV_TO_BOOL(S, under)) & (rpc_##T)RPV_MIN_##T;        \
    return r | hi | lo;                                                                        \
  })
#define RPV_CAST_TO_BOOL(S, x)                                                                  \
  RPV_FN rpc_bool rps_cast_##S##_bool(rpc_##S a) { return (rpc_bool)(a != 0); }                 \
  RPV_WIDE(RPV_FN rpv_bool rpv_cast_##S##_bool(rpv_##S a) { return RPV_TO_BOOL(S, a != 0); })
#define RPV_CAST_FROM_BOOL(T, x)                                                                \
  RPV_FN rpc_##T rps_cast_bool_##T(rpc_bool a) { return (rpc_##T)a; }                           \
  RPV_WIDE(RPV_FN rpv_##T rpv_cast_bool_##T(rpv_bool a) {                                       \
    return (rpv_##T)(RPV_MASK_OF(T, a) & (RPV_IV(T))rpv_splat_##T(1));                          \
  })
#define RPV_CAST_FROM_INT(S, x) \
  RPV_IF_f32(RPV_CAST_INT_FLOAT(S, f32)) RPV_IF_f64(RPV_CAST_INT_FLOAT(S, f64))
RPV_IF_i8(RPV_CAST_W8(i8)) RPV_IF_i16(RPV_CAST_W16(i16)) RPV_IF_i32(RPV_CAST_W32(i32))
RPV_IF_i64(RPV_CAST_W64(i64))
RPV_IF_u8(RPV_CAST_W8(u8)) RPV_IF_u16(RPV_CAST_W16(u16)) RPV_IF_u32(RPV_CAST_W32(u32))
RPV_IF_u64(RPV_CAST_W64(u64))
#define RPV_CAST_FROM_FLOAT(S, x)                                                               \
  RPV_IF_i8(RPV_CAST_FLOAT_INT(S, i8)) RPV_IF_i16(RPV_CAST_FLOAT_INT(S, i16))                   \
  RPV_IF_i32(RPV_CAST_FLOAT_INT(S, i32)) RPV_IF_i64(RPV_CAST_FLOAT_INT(S, i64))                 \
  RPV_IF_u8(RPV_CAST_FLOAT_INT(S, u8)) RPV_IF_u16(RPV_CAST_FLOAT_INT(S, u16))                   \
  RPV_IF_u32(RPV_CAST_FLOAT_INT(S, u32)) RPV_IF_u64(RPV_CAST_FLOAT_INT(S, u64))                 \
  RPV_IF_f32(RPV_CAST_PLAIN(S, f32)) RPV_IF_f64(RPV_CAST_PLAIN(S, f64))
RPV_NUMBERS(RPV_CAST_TO_BOOL, 0)
RPV_NUMBERS(RPV_CAST_FROM_BOOL, 0)
RPV_INTEGERS(RPV_CAST_FROM_INT, 0)
RPV_FLOATS(RPV_CAST_FROM_FLOAT, 0)
RPV_WIDE(RPV_FN rpv_bool rpv_cast_bool_bool(rpv_bool a) { return a; })
RPV_FN rpc_bool rps_cast_bool_bool(rpc_bool a) { return (rpc_bool)(a != 0); }
