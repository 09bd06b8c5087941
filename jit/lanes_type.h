/* SPDX-License-Identifier: Apache-2.0
 * jit/lanes_type.h -- the part of lanes.h on which the others stand: types, limits, masks, lists of
 * dtypes. RPV_USE_ALL stands for all of RPV_USE_<T>. */
/* Tables of macros, laid out by hand: */
/* clang-format off */

typedef unsigned char rpc_bool;
typedef signed char rpc_i8;
typedef short rpc_i16;
typedef int rpc_i32;
typedef long rpc_i64;
typedef unsigned char rpc_u8;
typedef unsigned short rpc_u16;
typedef unsigned int rpc_u32;
typedef unsigned long rpc_u64;
typedef float rpc_f32;
typedef double rpc_f64;

/* What is there only beside vectors. */
#ifdef RPV_ONE
#define RPV_WIDE(...)
#else
#define RPV_WIDE(...) __VA_ARGS__
#define RPV_VECTOR(T, bytes) \
  typedef rpc_##T rpv_##T __attribute__((vector_size(RPV_W * bytes)));
RPV_VECTOR(i8, 1)
RPV_VECTOR(i16, 2)
RPV_VECTOR(i32, 4)
RPV_VECTOR(i64, 8)
RPV_VECTOR(u8, 1)
RPV_VECTOR(u16, 2)
RPV_VECTOR(u32, 4)
RPV_VECTOR(u64, 8)
RPV_VECTOR(f32, 4)
RPV_VECTOR(f64, 8)
#if RPV_MASK == 8
typedef rpv_i64 rpv_bool;
#else
typedef rpv_i32 rpv_bool;
#endif
#endif

/* The signed and unsigned integers of a dtype's width; its width; where it is made from a float. */
#define RPV_SAME_I_i8 i8
#define RPV_SAME_I_i16 i16
#define RPV_SAME_I_i32 i32
#define RPV_SAME_I_i64 i64
#define RPV_SAME_I_u8 i8
#define RPV_SAME_I_u16 i16
#define RPV_SAME_I_u32 i32
#define RPV_SAME_I_u64 i64
#define RPV_SAME_I_f32 i32
#define RPV_SAME_I_f64 i64
#define RPV_SAME_U_i8 u8
#define RPV_SAME_U_i16 u16
#define RPV_SAME_U_i32 u32
#define RPV_SAME_U_i64 u64
#define RPV_SAME_U_u8 u8
#define RPV_SAME_U_u16 u16
#define RPV_SAME_U_u32 u32
#define RPV_SAME_U_u64 u64
#define RPV_VIA_i8 i32
#define RPV_VIA_i16 i32
#define RPV_VIA_i32 i32
#define RPV_VIA_i64 i64
#define RPV_VIA_u8 i32
#define RPV_VIA_u16 i32
#define RPV_VIA_u32 i64
#define RPV_VIA_u64 u64
#define RPV_IV(T) RPV_CAT(rpv_, RPV_SAME_I_##T)
#define RPV_UV(T) RPV_CAT(rpv_, RPV_SAME_U_##T)
#define RPV_UC(T) RPV_CAT(rpc_, RPV_SAME_U_##T)

/* Limits: smallest, largest, and largest + 1, which is exact as a float. */
#define RPV_MIN_i8 (-128)
#define RPV_MIN_i16 (-32768)
#define RPV_MIN_i32 (-2147483647 - 1)
#define RPV_MIN_i64 (-9223372036854775807L - 1)
#define RPV_MIN_u8 0
#define RPV_MIN_u16 0
#define RPV_MIN_u32 0U
#define RPV_MIN_u64 0UL
#define RPV_MAX_i8 127
#define RPV_MAX_i16 32767
#define RPV_MAX_i32 2147483647
#define RPV_MAX_i64 9223372036854775807L
#define RPV_MAX_u8 255
#define RPV_MAX_u16 65535
#define RPV_MAX_u32 4294967295U
#define RPV_MAX_u64 18446744073709551615UL
#define RPV_TOP_i8 0x1p7f
#define RPV_TOP_i16 0x1p15f
#define RPV_TOP_i32 0x1p31f
#define RPV_TOP_i64 0x1p63f
#define RPV_TOP_u8 0x1p8f
#define RPV_TOP_u16 0x1p16f
#define RPV_TOP_u32 0x1p32f
#define RPV_TOP_u64 0x1p64f
#ifndef RPV_CUDA
#define RPV_INF_f32 __builtin_inff()
#define RPV_INF_f64 __builtin_inf()
#endif
#define RPV_SIGN_f32 ((rpc_i32)RPV_MIN_i32)
#define RPV_SIGN_f64 ((rpc_i64)RPV_MIN_i64)

/* Comma lists over the lanes: E(lane, x). */
#define RPV_EACH4(E, k, x) E(k, x), E(k + 1, x), E(k + 2, x), E(k + 3, x)
#define RPV_EACH8(E, k, x) RPV_EACH4(E, k, x), RPV_EACH4(E, k + 4, x)
#define RPV_EACH16(E, k, x) RPV_EACH8(E, k, x), RPV_EACH8(E, k + 8, x)
#define RPV_EACH(E, x) RPV_CAT(RPV_EACH, RPV_W)(E, 0, x)
#define RPV_LANE_X(i, x) x
#define RPV_LANE_I(i, x) i
#define RPV_LANE_0(i, x) 0
#define RPV_LANE_F1(i, f) f(a[i])
#define RPV_LANE_F2(i, f) f(a[i], b[i])

#ifndef RPV_ONE
/* ---- integers between widths ---------------------------------------------------------------------- */

/* Narrowing keeps the low part of each lane. Without AVX-512 there is no instruction for it and gcc
 * takes the lanes apart, so it is said as shuffles, halving step by step. */
#if RPV_BITS == 512
#define RPV_LOW(from, to) \
  RPV_FN rpv_i##to rpv_low_##from##_##to(rpv_i##from a) { return __builtin_convertvector(a, rpv_i##to); }
#else
#define RPV_LANE_EVEN(i, x) 2 * (i)
#define RPV_LOW(from, to)                                                      \
  RPV_FN rpv_i##to rpv_low_##from##_##to(rpv_i##from a) {                      \
    typedef rpc_i##to halves_ __attribute__((vector_size(sizeof(rpv_i##from)))); \
    return __builtin_shufflevector((halves_)a, (halves_)a, RPV_EACH(RPV_LANE_EVEN, 0)); \
  }
#endif
RPV_LOW(64, 32)
RPV_LOW(32, 16)
RPV_LOW(16, 8)
RPV_FN rpv_i16 rpv_low_64_16(rpv_i64 a) { return rpv_low_32_16(rpv_low_64_32(a)); }
RPV_FN rpv_i8 rpv_low_64_8(rpv_i64 a) { return rpv_low_16_8(rpv_low_64_16(a)); }
RPV_FN rpv_i8 rpv_low_32_8(rpv_i32 a) { return rpv_low_16_8(rpv_low_32_16(a)); }

/* ---- masks: lanes of a dtype's own width from and to rpv_bool ----------------------------------- */

#if RPV_MASK == 8
RPV_FN rpv_i8 rpv_mask_i8(rpv_bool c) { return rpv_low_64_8(c); }
RPV_FN rpv_i16 rpv_mask_i16(rpv_bool c) { return rpv_low_64_16(c); }
RPV_FN rpv_i32 rpv_mask_i32(rpv_bool c) { return rpv_low_64_32(c); }
RPV_FN rpv_i64 rpv_mask_i64(rpv_bool c) { return c; }
#define RPV_TO_BOOL_i64(m) (m)
#else
RPV_FN rpv_i8 rpv_mask_i8(rpv_bool c) { return rpv_low_32_8(c); }
RPV_FN rpv_i16 rpv_mask_i16(rpv_bool c) { return rpv_low_32_16(c); }
RPV_FN rpv_i32 rpv_mask_i32(rpv_bool c) { return c; }
RPV_FN rpv_i64 rpv_mask_i64(rpv_bool c) { return __builtin_convertvector(c, rpv_i64); }
#define RPV_TO_BOOL_i64(m) rpv_low_64_32(m)
#endif
#define RPV_TO_BOOL_i8(m) __builtin_convertvector(m, rpv_bool)
#define RPV_TO_BOOL_i16(m) __builtin_convertvector(m, rpv_bool)
#define RPV_TO_BOOL_i32(m) __builtin_convertvector(m, rpv_bool)
#define RPV_MASK_OF(T, c) RPV_CAT(rpv_mask_, RPV_SAME_I_##T)(c)
#define RPV_TO_BOOL(T, m) RPV_CAT(RPV_TO_BOOL_, RPV_SAME_I_##T)((RPV_IV(T))(m))
#endif

/* ---- lists of dtypes ----------------------------------------------------------------------------- */

#ifdef RPV_USE_ALL
#define RPV_USE_bool
#define RPV_USE_i8
#define RPV_USE_i16
#define RPV_USE_i32
#define RPV_USE_u8
#define RPV_USE_u16
#define RPV_USE_u32
#define RPV_USE_u64
#define RPV_USE_f32
#define RPV_USE_f64
#endif
#ifdef RPV_USE_bool
#define RPV_IF_bool(...) __VA_ARGS__
#else
#define RPV_IF_bool(...)
#endif
#ifdef RPV_USE_i8
#define RPV_IF_i8(...) __VA_ARGS__
#else
#define RPV_IF_i8(...)
#endif
#ifdef RPV_USE_i16
#define RPV_IF_i16(...) __VA_ARGS__
#else
#define RPV_IF_i16(...)
#endif
#ifdef RPV_USE_i32
#define RPV_IF_i32(...) __VA_ARGS__
#else
#define RPV_IF_i32(...)
#endif
#define RPV_IF_i64(...) __VA_ARGS__
#ifdef RPV_USE_u8
#define RPV_IF_u8(...) __VA_ARGS__
#else
#define RPV_IF_u8(...)
#endif
#ifdef RPV_USE_u16
#define RPV_IF_u16(...) __VA_ARGS__
#else
#define RPV_IF_u16(...)
#endif
#ifdef RPV_USE_u32
#define RPV_IF_u32(...) __VA_ARGS__
#else
#define RPV_IF_u32(...)
#endif
#ifdef RPV_USE_u64
#define RPV_IF_u64(...) __VA_ARGS__
#else
#define RPV_IF_u64(...)
#endif
#ifdef RPV_USE_f32
#define RPV_IF_f32(...) __VA_ARGS__
#else
#define RPV_IF_f32(...)
#endif
#ifdef RPV_USE_f64
#define RPV_IF_f64(...) __VA_ARGS__
#else
#define RPV_IF_f64(...)
#endif
/* D(T, x) for each dtype in use; two levels so that one can stand inside the other. */
#define RPV_SIGNED(D, x) \
  RPV_IF_i8(D(i8, x)) RPV_IF_i16(D(i16, x)) RPV_IF_i32(D(i32, x)) RPV_IF_i64(D(i64, x))
#define RPV_UNSIGNED(D, x) \
  RPV_IF_u8(D(u8, x)) RPV_IF_u16(D(u16, x)) RPV_IF_u32(D(u32, x)) RPV_IF_u64(D(u64, x))
#define RPV_FLOATS(D, x) RPV_IF_f32(D(f32, x)) RPV_IF_f64(D(f64, x))
#define RPV_INTEGERS(D, x) RPV_SIGNED(D, x) RPV_UNSIGNED(D, x)
#define RPV_NUMBERS(D, x) RPV_INTEGERS(D, x) RPV_FLOATS(D, x)

#ifndef RPV_ONE
/* m ? a : b on the bits; m has lanes of T's width. GCC makes a blend only of a loop over lanes, clang only
 * of the logic. */
#if defined(__clang__) || __GNUC__ < 12
#define RPV_PICK_FN(T, x)                                                     \
  RPV_FN rpv_##T rpv_pick_##T(RPV_IV(T) m, rpv_##T a, rpv_##T b) {            \
    return (rpv_##T)(((RPV_IV(T))a & m) | ((RPV_IV(T))b & ~m));               \
  }
#else
#define RPV_PICK_FN(T, x)                                                     \
  RPV_FN rpv_##T rpv_pick_##T(RPV_IV(T) m, rpv_##T a, rpv_##T b) {            \
    rpv_##T r;                                                                \
    for (int k = 0; k < RPV_W; k++) r[k] = m[k] ? a[k] : b[k];                \
    return r;                                                                 \
  }
#endif
RPV_NUMBERS(RPV_PICK_FN, 0)
#define RPV_PICK(T, m, a, b) rpv_pick_##T((RPV_IV(T))(m), a, b)
#endif
