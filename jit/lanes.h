/* SPDX-License-Identifier: Apache-2.0
 * jit/lanes.h -- what an IR operation computes, once for every tier: vectors and scalars.
 *
 * Lives here: the meaning, to the bit, of each operation of ir_ops.def on each dtype, of the combine
 *             operators of reductions, and of loads and stores of W lanes.
 * Not here:   which operations a kernel has (interp_loops.h, emit_c), the order of a reduction.
 *
 * Who reads:  the interpreter's loop files include it; the build embeds it as a string that opens every
 *             generated C kernel. So it includes nothing, and one text holds it once. It needs
 *             gcc >= 12 or clang >= 14, x86-64, C11 or later, -mavx2 -mfma (level 512: also
 *             -mavx512f -mavx512bw -mavx512dq -mavx512vl), -ffp-contract=off -fno-math-errno.
 *
 * Before it, the reader defines
 *   RPV_W        lanes of every vector in this text: 4, 8 or 16
 *   RPV_BITS     256 or 512: the vector level, that is whose libmvec symbols are called
 *   RPV_MASK     bytes of one lane of a bool vector: 4 or 8; 8 where any 8-byte dtype is used
 *   RPV_USE_<T>  for each dtype T wanted (bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64); i64 is always
 *                there
 * and gets, for each T in use, with the lower-case op names of ir_ops.def:
 *   rpv_T                    vector of RPV_W lanes; rpv_bool: lanes of RPV_MASK bytes, 0 or -1
 *   rpv_<op>_T(...)          rpv_add_f64(a, b), rpv_lt_i32(a, b) -> rpv_bool, rpv_exp_f32(a)
 *   rpv_cast_S_T(a)          between any two dtypes in use
 *   rpv_select_T(c, a, b)    c is rpv_bool
 *   rpv_splat_T(x), rpv_iota() -> rpv_i64 0..W-1, rpv_get_T(v, lane) -> scalar
 *   rpv_load_T(p), rpv_store_T(p, v)           W consecutive elements, unaligned
 *   rpv_loadn_T(p, n), rpv_storen_T(p, v, n)   the first n lanes, 0 < n < W; the other lanes of a
 *                            load are 1: never a reason for an exception or a slow path
 *   rpv_loads_T(p, stride), rpv_stores_T(p, stride, v), rpv_loadsn_T(p, stride, n),
 *   rpv_storesn_T(p, stride, v, n)             strides count elements
 *   rpv_gather_T(base, rpv_i64 index)          base[index], W lanes
 *   rps_<op>_T, rps_cast_S_T, rps_select_T     the same on C scalars (bool: 0 or 1 in a byte), with
 *                            the bits of the vector forms: a function of class M calls the same
 *                            vector symbol with a splat and takes lane 0
 *   rpv_red_<redop>_T(a, b), rps_red_<redop>_T combine operators: sum prod min max; and or xor on
 *                            bool and integers; any all on bool (sum and prod of bool: or, and)
 *   rps_identity_<redop>_T() identity (-0.0 for sums of floats);
 *   rps_empty_<redop>_T()    value of a reduction over nothing: the identity, but +0.0 for sums
 *   rps_beats_argmin_T(b, a), rps_beats_argmax_T(b, a)   1 where b, of a higher index, replaces a:
 *                            strictly smaller (larger), or the first NaN
 * Bools in memory are bytes: loads normalise (any non-zero byte is true), stores write 0 or 1.
 * The 64 accumulators of a leaf (SEMANTICS 3): element j goes to accumulator j mod 64; absent elements
 * are masked, the accumulator keeps its value; the fold halves: a[i] op= a[i+32], then 16, 8, 4, 2, 1.
 *
 * Rules, beyond SEMANTICS 1 (which scalar and vector forms share):
 *  - Shift counts are read as unsigned: a negative count is one of the width or more.
 *  - Integer pow wraps; x ** -n is 1/x**n truncated: 1 for 1, +-1 for -1, 0 for all others and for 0.
 *  - Float mod: r = fmod(a, b); if r is not 0 and its sign is not b's, r += b; a zero gets b's sign.
 *    Float floordiv: b == 0: a / b. Else q = (a - fmod(a, b)) / b, less 1 where mod was corrected;
 *    q == 0: a zero with the sign of a / b; else floor(q), plus 1 if q - floor(q) > 0.5. All in the
 *    dtype's own precision: Python's and NumPy's definition.
 *  - min and max with one NaN give that NaN, fmin and fmax the other value; all four order -0 < +0.
 *  - ldexp casts its exponent to i32 by the rule of casts.
 *  - Vectors narrower than the hardware's are doubled up for a libmvec call, wider ones are cut: lanes do
 *    not influence each other, so bits depend on the level only. libmvec of glibc 2.36 has neither
 *    tgamma nor lgamma; they, and fmod, nextafter and ldexp, go lane by lane to libm. */
#ifndef RPV_LANES_H
#define RPV_LANES_H

#if !defined(RPV_W) || !defined(RPV_BITS) || !defined(RPV_MASK)
#error "define RPV_W, RPV_BITS and RPV_MASK before lanes.h"
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wpsabi"
#pragma GCC diagnostic ignored "-Wfloat-equal"
#pragma GCC diagnostic ignored "-Wpedantic"

/* The dtype is a word of its own here, whatever <stdbool.h> made of it. */
#pragma push_macro("bool")
#undef bool

#define RPV_FN static inline __attribute__((always_inline, unused))
#define RPV_CAT_(a, b) a##b
#define RPV_CAT(a, b) RPV_CAT_(a, b)

/* ---- scalar and vector types ------------------------------------------------------------------ */

typedef unsigned char rpc_bool;
typedef __INT8_TYPE__ rpc_i8;
typedef __INT16_TYPE__ rpc_i16;
typedef __INT32_TYPE__ rpc_i32;
typedef __INT64_TYPE__ rpc_i64;
typedef __UINT8_TYPE__ rpc_u8;
typedef __UINT16_TYPE__ rpc_u16;
typedef __UINT32_TYPE__ rpc_u32;
typedef __UINT64_TYPE__ rpc_u64;
typedef float rpc_f32;
typedef double rpc_f64;

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
#define RPV_IC(T) RPV_CAT(rpc_, RPV_SAME_I_##T)
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
#define RPV_INF_f32 __builtin_inff()
#define RPV_INF_f64 __builtin_inf()
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
/* m ? a : b on the bits; m has lanes of T's width. */
#define RPV_PICK(T, m, a, b) \
  ((rpv_##T)(((RPV_IV(T))(a) & (RPV_IV(T))(m)) | ((RPV_IV(T))(b) & ~(RPV_IV(T))(m))))

/* ---- hardware vectors of the level: libmvec and rounding ------------------------------------------ */

typedef double rpv_hw_f64 __attribute__((vector_size(RPV_BITS / 8)));
typedef float rpv_hw_f32 __attribute__((vector_size(RPV_BITS / 8)));

#if RPV_BITS == 512
#define RPV_ZEROS_f64 RPV_EACH8(RPV_LANE_0, 0, 0)
#define RPV_ZEROS_f32 RPV_EACH16(RPV_LANE_0, 0, 0)
#define RPV_ROUND_f64(v, how) __builtin_ia32_rndscalepd_mask(v, how, v, (rpc_u8)-1, 4)
#define RPV_ROUND_f32(v, how) __builtin_ia32_rndscaleps_mask(v, how, v, (rpc_u16)-1, 4)
#define RPV_FMA_f64(a, b, c) __builtin_ia32_vfmaddpd512_mask(a, b, c, (rpc_u8)-1, 4)
#define RPV_FMA_f32(a, b, c) __builtin_ia32_vfmaddps512_mask(a, b, c, (rpc_u16)-1, 4)
#ifdef __clang__
#define RPV_SQRT_f64(v) __builtin_ia32_sqrtpd512(v, 4)
#define RPV_SQRT_f32(v) __builtin_ia32_sqrtps512(v, 4)
#else
#define RPV_SQRT_f64(v) __builtin_ia32_sqrtpd512_mask(v, v, (rpc_u8)-1, 4)
#define RPV_SQRT_f32(v) __builtin_ia32_sqrtps512_mask(v, v, (rpc_u16)-1, 4)
#endif
#define RPV_MVEC1_f64(name) _ZGVeN8v_##name
#define RPV_MVEC2_f64(name) _ZGVeN8vv_##name
#define RPV_MVEC1_f32(name) _ZGVeN16v_##name##f
#define RPV_MVEC2_f32(name) _ZGVeN16vv_##name##f
#else
#define RPV_ZEROS_f64 RPV_EACH4(RPV_LANE_0, 0, 0)
#define RPV_ZEROS_f32 RPV_EACH8(RPV_LANE_0, 0, 0)
#define RPV_ROUND_f64(v, how) __builtin_ia32_roundpd256(v, how)
#define RPV_ROUND_f32(v, how) __builtin_ia32_roundps256(v, how)
#define RPV_FMA_f64(a, b, c) __builtin_ia32_vfmaddpd256(a, b, c)
#define RPV_FMA_f32(a, b, c) __builtin_ia32_vfmaddps256(a, b, c)
#define RPV_SQRT_f64(v) __builtin_ia32_sqrtpd256(v)
#define RPV_SQRT_f32(v) __builtin_ia32_sqrtps256(v)
#define RPV_MVEC1_f64(name) _ZGVdN4v_##name
#define RPV_MVEC2_f64(name) _ZGVdN4vv_##name
#define RPV_MVEC1_f32(name) _ZGVdN8v_##name##f
#define RPV_MVEC2_f32(name) _ZGVdN8vv_##name##f
#endif

/* A splat into a hardware vector. */
#define RPV_HW_SPLAT(T, x) \
  __builtin_shufflevector((rpv_hw_##T){x}, (rpv_hw_##T){x}, RPV_ZEROS_##T)

/* Function bodies that apply f, which works on hardware vectors: _SAME where W is the hardware's
 * number of lanes, _CUT where it is larger, _FILL where it is smaller. */
#define RPV_1_SAME(T, f) return f(a);
#define RPV_2_SAME(T, f) return f(a, b);
#define RPV_3_SAME(T, f) return f(a, b, c);
#define RPV_CUT_BODY(T, call)                                                           \
  enum { n_ = (int)(sizeof(rpv_##T) / sizeof(rpv_hw_##T)) };                             \
  rpv_hw_##T p_[n_ + 1], q_[n_ + 1], r_[n_ + 1];                                         \
  __builtin_memcpy(p_, &a, sizeof a);                                                    \
  call __builtin_memcpy(&a, p_, sizeof a);                                               \
  return a;
#define RPV_1_CUT(T, f) \
  RPV_CUT_BODY(T, (void)q_; (void)r_; for (int k_ = 0; k_ < n_; k_++) p_[k_] = f(p_[k_]);)
#define RPV_2_CUT(T, f)                                                           \
  RPV_CUT_BODY(T, (void)r_; __builtin_memcpy(q_, &b, sizeof b);                   \
               for (int k_ = 0; k_ < n_; k_++) p_[k_] = f(p_[k_], q_[k_]);)
#define RPV_3_CUT(T, f)                                                                      \
  RPV_CUT_BODY(T, __builtin_memcpy(q_, &b, sizeof b); __builtin_memcpy(r_, &c, sizeof c);     \
               for (int k_ = 0; k_ < n_; k_++) p_[k_] = f(p_[k_], q_[k_], r_[k_]);)
#define RPV_KEEP(v_) __builtin_shufflevector(v_, v_, RPV_EACH(RPV_LANE_I, 0))
#define RPV_1_FILL(T, f) rpv_hw_##T r_ = f(RPV_FILL_##T(a)); return RPV_KEEP(r_);
#define RPV_2_FILL(T, f) rpv_hw_##T r_ = f(RPV_FILL_##T(a), RPV_FILL_##T(b)); return RPV_KEEP(r_);
#define RPV_3_FILL(T, f)                                                     \
  rpv_hw_##T r_ = f(RPV_FILL_##T(a), RPV_FILL_##T(b), RPV_FILL_##T(c)); \
  return RPV_KEEP(r_);
#define RPV_LIST RPV_EACH(RPV_LANE_I, 0)
#define RPV_FILL2(v_) __builtin_shufflevector(v_, v_, RPV_LIST, RPV_LIST)
#define RPV_FILL4(v_) __builtin_shufflevector(v_, v_, RPV_LIST, RPV_LIST, RPV_LIST, RPV_LIST)
#if RPV_W * 64 == RPV_BITS
#define RPV_FIT_f64 _SAME
#elif RPV_W * 64 > RPV_BITS
#define RPV_FIT_f64 _CUT
#else
#define RPV_FIT_f64 _FILL
#define RPV_FILL_f64 RPV_FILL2
#endif
#if RPV_W * 32 == RPV_BITS
#define RPV_FIT_f32 _SAME
#elif RPV_W * 32 > RPV_BITS
#define RPV_FIT_f32 _CUT
#else
#define RPV_FIT_f32 _FILL
#if RPV_W * 64 == RPV_BITS
#define RPV_FILL_f32 RPV_FILL2
#else
#define RPV_FILL_f32 RPV_FILL4
#endif
#endif
#define RPV_HW1(T, f) RPV_CAT(RPV_1, RPV_FIT_##T)(T, f)
#define RPV_HW2(T, f) RPV_CAT(RPV_2, RPV_FIT_##T)(T, f)
#define RPV_HW3(T, f) RPV_CAT(RPV_3, RPV_FIT_##T)(T, f)

/* ---- lists of dtypes ----------------------------------------------------------------------------- */

#ifndef RPV_USE_i64
#define RPV_USE_i64
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
#define RPV_ALL(D, x) RPV_IF_bool(D(bool, x)) RPV_NUMBERS(D, x)

/* ---- loads, stores, splats, select --------------------------------------------------------------- */

RPV_FN rpv_i64 rpv_iota(void) { return (rpv_i64){RPV_EACH(RPV_LANE_I, 0)}; }

#define RPV_LANE_S(i, p) p[(i) * stride]
#define RPV_LANE_G(i, p) p[index[i]]
#define RPV_MOVES(T, x)                                                                          \
  RPV_FN rpv_##T rpv_splat_##T(rpc_##T v) { return (rpv_##T){RPV_EACH(RPV_LANE_X, v)}; }          \
  RPV_FN rpc_##T rpv_get_##T(rpv_##T v, int lane) { return v[lane]; }                             \
  RPV_FN rpv_##T rpv_load_##T(const rpc_##T *p) {                                                 \
    rpv_##T v;                                                                                    \
    __builtin_memcpy(&v, p, sizeof v);                                                            \
    return v;                                                                                     \
  }                                                                                               \
  RPV_FN void rpv_store_##T(rpc_##T *p, rpv_##T v) { __builtin_memcpy(p, &v, sizeof v); }         \
  RPV_FN rpv_##T rpv_loads_##T(const rpc_##T *p, rpc_i64 stride) {                                \
    return (rpv_##T){RPV_EACH(RPV_LANE_S, p)};                                                    \
  }                                                                                               \
  RPV_FN rpv_##T rpv_loadsn_##T(const rpc_##T *p, rpc_i64 stride, rpc_i64 n) {                    \
    rpv_##T v = rpv_splat_##T(1);                                                                 \
    for (rpc_i64 i = 0; i < n; i++) v[i] = p[i * stride];                                         \
    return v;                                                                                     \
  }                                                                                               \
  RPV_FN void rpv_storesn_##T(rpc_##T *p, rpc_i64 stride, rpv_##T v, rpc_i64 n) {                 \
    rpc_##T t[RPV_W];                                                                             \
    __builtin_memcpy(t, &v, sizeof v);                                                            \
    for (rpc_i64 i = 0; i < n; i++) p[i * stride] = t[i];                                         \
  }                                                                                               \
  RPV_FN void rpv_stores_##T(rpc_##T *p, rpc_i64 stride, rpv_##T v) {                             \
    rpv_storesn_##T(p, stride, v, RPV_W);                                                         \
  }                                                                                               \
  RPV_FN rpv_##T rpv_loadn_##T(const rpc_##T *p, rpc_i64 n) { return rpv_loadsn_##T(p, 1, n); }    \
  RPV_FN void rpv_storen_##T(rpc_##T *p, rpv_##T v, rpc_i64 n) { rpv_storesn_##T(p, 1, v, n); }    \
  RPV_FN rpv_##T rpv_gather_##T(const rpc_##T *p, rpv_i64 index) {                                \
    return (rpv_##T){RPV_EACH(RPV_LANE_G, p)};                                                    \
  }                                                                                               \
  RPV_FN rpv_##T rpv_select_##T(rpv_bool c, rpv_##T a, rpv_##T b) {                               \
    return RPV_PICK(T, RPV_MASK_OF(T, c), a, b);                                                  \
  }                                                                                               \
  RPV_FN rpc_##T rps_select_##T(rpc_bool c, rpc_##T a, rpc_##T b) { return c ? a : b; }
RPV_NUMBERS(RPV_MOVES, 0)

/* A bool vector travels to and from memory as bytes. */
RPV_FN rpv_bool rpv_wide_bool(rpv_u8 bytes) {
  return __builtin_convertvector((rpv_i8)(bytes != 0), rpv_bool);
}
RPV_FN rpv_u8 rpv_bytes_bool(rpv_bool v) {
  return (rpv_u8)rpv_mask_i8(v) & (rpc_u8)1;
}
RPV_FN rpv_bool rpv_splat_bool(rpc_bool x) {
  return (rpv_bool){RPV_EACH(RPV_LANE_X, x ? -1 : 0)};
}
RPV_FN rpc_bool rpv_get_bool(rpv_bool v, int lane) { return (rpc_bool)(v[lane] & 1); }
RPV_FN rpv_bool rpv_load_bool(const rpc_bool *p) {
  rpv_u8 b;
  __builtin_memcpy(&b, p, sizeof b);
  return rpv_wide_bool(b);
}
RPV_FN void rpv_store_bool(rpc_bool *p, rpv_bool v) {
  rpv_u8 b = rpv_bytes_bool(v);
  __builtin_memcpy(p, &b, sizeof b);
}
RPV_FN rpv_bool rpv_loads_bool(const rpc_bool *p, rpc_i64 stride) {
  return rpv_wide_bool((rpv_u8){RPV_EACH(RPV_LANE_S, p)});
}
RPV_FN rpv_bool rpv_loadsn_bool(const rpc_bool *p, rpc_i64 stride, rpc_i64 n) {
  rpv_u8 b = {RPV_EACH(RPV_LANE_X, 1)};
  for (rpc_i64 i = 0; i < n; i++) b[i] = p[i * stride];
  return rpv_wide_bool(b);
}
RPV_FN void rpv_storesn_bool(rpc_bool *p, rpc_i64 stride, rpv_bool v, rpc_i64 n) {
  rpv_u8 b = rpv_bytes_bool(v);
  for (rpc_i64 i = 0; i < n; i++) p[i * stride] = b[i];
}
RPV_FN void rpv_stores_bool(rpc_bool *p, rpc_i64 stride, rpv_bool v) {
  rpv_storesn_bool(p, stride, v, RPV_W);
}
RPV_FN rpv_bool rpv_loadn_bool(const rpc_bool *p, rpc_i64 n) { return rpv_loadsn_bool(p, 1, n); }
RPV_FN void rpv_storen_bool(rpc_bool *p, rpv_bool v, rpc_i64 n) { rpv_storesn_bool(p, 1, v, n); }
RPV_FN rpv_bool rpv_gather_bool(const rpc_bool *p, rpv_i64 index) {
  return rpv_wide_bool((rpv_u8){RPV_EACH(RPV_LANE_G, p)});
}
RPV_FN rpv_bool rpv_select_bool(rpv_bool c, rpv_bool a, rpv_bool b) { return (a & c) | (b & ~c); }
RPV_FN rpc_bool rps_select_bool(rpc_bool c, rpc_bool a, rpc_bool b) { return c ? a : b; }

/* ---- bool ------------------------------------------------------------------------------------------ */

#define RPV_BOOL1(op, vec, scal)                                          \
  RPV_FN rpv_bool rpv_##op##_bool(rpv_bool a) { return vec; }             \
  RPV_FN rpc_bool rps_##op##_bool(rpc_bool a) { return (rpc_bool)(scal); }
#define RPV_BOOL2(op, vec, scal)                                                         \
  RPV_FN rpv_bool rpv_##op##_bool(rpv_bool a, rpv_bool b) { return vec; }                \
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
  RPV_FN rpv_bool rpv_##op##_##T(rpv_##T a, rpv_##T b) { return RPV_TO_BOOL(T, a c b); }            \
  RPV_FN rpc_bool rps_##op##_##T(rpc_##T a, rpc_##T b) { return (rpc_bool)(a c b); }
#define RPV_COMPARES(T, x) \
  RPV_COMPARE(T, lt, <) RPV_COMPARE(T, le, <=) RPV_COMPARE(T, eq, ==) RPV_COMPARE(T, ne, !=)
RPV_NUMBERS(RPV_COMPARES, 0)

#define RPV_VS1(T, op, vec, scal)                                          \
  RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a) { return (rpv_##T)(vec); }      \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a) { return (rpc_##T)(scal); }
#define RPV_VS2(T, op, vec, scal)                                                     \
  RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a, rpv_##T b) { return (rpv_##T)(vec); }      \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a, rpc_##T b) { return (rpc_##T)(scal); }
/* A scalar function first, then lane by lane. */
#define RPV_BY_LANE1(T, op) \
  RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a) { return (rpv_##T){RPV_EACH(RPV_LANE_F1, rps_##op##_##T)}; }
#define RPV_BY_LANE2(T, op)                                 \
  RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a, rpv_##T b) {     \
    return (rpv_##T){RPV_EACH(RPV_LANE_F2, rps_##op##_##T)}; \
  }

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
  RPV_FN rpv_##T rpv_shr_##T(rpv_##T a, rpv_##T b) {                                             \
    rpv_##T far = (rpv_##T)(RPV_U(T, b) >= (RPV_UC(T))RPV_WIDTH(T));                             \
    return a >> ((b & ~far) | (far & (rpc_##T)(RPV_WIDTH(T) - 1)));                              \
  }                                                                                              \
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

/* ---- floats ------------------------------------------------------------------------------------------- */

extern double lgamma_r(double, int *);
extern float lgammaf_r(float, int *);
#define RPV_LIBM_f32(name) __builtin_##name##f
#define RPV_LIBM_f64(name) __builtin_##name
#define RPV_LGAMMA_f32 lgammaf_r
#define RPV_LGAMMA_f64 lgamma_r
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
  RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a, rpv_##T b) {                                     \
    RPV_IV(T) r = RPV_BITS_OF(T, RPV_PICK(T, pick, a, b)), same = (RPV_IV(T))(a == b);      \
    return (rpv_##T)join(r, same, RPV_BITS_OF(T, a));                                       \
  }
#define RPV_JOIN_OR(r, same, a) ((r) | ((same) & (a)))
#define RPV_JOIN_AND(r, same, a) ((r) & (~(same) | (a)))
#define RPV_FLOAT1(T, op, body)                       \
  RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a) { body }
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
    if (a == b) return __builtin_signbit(a) ? a : b;                                               \
    return a < b || a != a ? a : b;                                                                \
  }                                                                                                \
  RPV_FN rpc_##T rps_max_##T(rpc_##T a, rpc_##T b) {                                               \
    if (a == b) return __builtin_signbit(a) ? b : a;                                               \
    return a > b || a != a ? a : b;                                                                \
  }                                                                                                \
  RPV_FN rpc_##T rps_fmin_##T(rpc_##T a, rpc_##T b) {                                              \
    return a != a ? b : b != b ? a : rps_min_##T(a, b);                                            \
  }                                                                                                \
  RPV_FN rpc_##T rps_fmax_##T(rpc_##T a, rpc_##T b) {                                              \
    return a != a ? b : b != b ? a : rps_max_##T(a, b);                                            \
  }                                                                                                \
  RPV_FN rpv_##T rpv_fma_##T(rpv_##T a, rpv_##T b, rpv_##T c) { RPV_HW3(T, RPV_FMA_##T) }          \
  RPV_FN rpc_##T rps_fma_##T(rpc_##T a, rpc_##T b, rpc_##T c) { return RPV_LIBM_##T(fma)(a, b, c); } \
  RPV_LIBM2(T, fmod) RPV_BY_LANE2(T, fmod)                                                         \
  RPV_FN rpc_##T rps_mod_##T(rpc_##T a, rpc_##T b) {                                               \
    rpc_##T r = RPV_LIBM_##T(fmod)(a, b);                                                          \
    if (r == 0) return RPV_LIBM_##T(copysign)(0, b);                                               \
    return (r < 0) != (b < 0) ? r + b : r;                                                         \
  }                                                                                                \
  RPV_FN rpc_##T rps_floordiv_##T(rpc_##T a, rpc_##T b) {                                          \
    if (b == 0) return a / b;                                                                      \
    rpc_##T r = RPV_LIBM_##T(fmod)(a, b), q = (a - r) / b;                                         \
    if (r != 0 && (r < 0) != (b < 0)) q -= 1;                                                      \
    if (q == 0) return RPV_LIBM_##T(copysign)(0, a / b);                                           \
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
  RPV_FN rpv_bool rpv_signbit_##T(rpv_##T a) {                                                   \
    return RPV_TO_BOOL(T, (RPV_BITS_OF(T, a) < 0) & (RPV_IV(T))(a == a));                        \
  }                                                                                              \
  RPV_FN rpc_bool rps_signbit_##T(rpc_##T a) {                                                   \
    return (rpc_bool)(a == a && __builtin_signbit(a) != 0);                                      \
  }                                                                                              \
  RPV_FN rpv_bool rpv_isnan_##T(rpv_##T a) { return RPV_TO_BOOL(T, a != a); }                    \
  RPV_FN rpc_bool rps_isnan_##T(rpc_##T a) { return (rpc_bool)(a != a); }                        \
  RPV_FN rpv_bool rpv_isinf_##T(rpv_##T a) {                                                     \
    return RPV_TO_BOOL(T, rpv_abs_##T(a) == RPV_INF_##T);                                        \
  }                                                                                              \
  RPV_FN rpc_bool rps_isinf_##T(rpc_##T a) { return (rpc_bool)(rps_abs_##T(a) == RPV_INF_##T); }  \
  RPV_FN rpv_bool rpv_isfinite_##T(rpv_##T a) {                                                  \
    return RPV_TO_BOOL(T, rpv_abs_##T(a) < RPV_INF_##T);                                         \
  }                                                                                              \
  RPV_FN rpc_bool rps_isfinite_##T(rpc_##T a) {                                                  \
    return (rpc_bool)(rps_abs_##T(a) < RPV_INF_##T);                                             \
  }                                                                                              \
  RPV_LIBM2(T, nextafter) RPV_BY_LANE2(T, nextafter)                                             \
  RPV_FN rpc_##T rps_ldexp_##T(rpc_##T a, rpc_##T b) {                                           \
    int e = b != b ? 0 : b >= RPV_TOP_i32 ? RPV_MAX_i32 : b < -RPV_TOP_i32 ? RPV_MIN_i32 : (int)b; \
    return RPV_LIBM_##T(ldexp)(a, e);                                                            \
  }                                                                                              \
  RPV_BY_LANE2(T, ldexp)                                                                         \
  RPV_LIBM1(T, tgamma) RPV_BY_LANE1(T, tgamma)                                                   \
  RPV_FN rpc_##T rps_lgamma_##T(rpc_##T a) {                                                     \
    int sign;                                                                                    \
    return RPV_LGAMMA_##T(a, &sign);                                                             \
  }                                                                                              \
  RPV_BY_LANE1(T, lgamma)
RPV_FLOATS(RPV_FLOAT_BITS, 0)

/* libmvec. The symbols are declared as the functions are named, without a header. */
#define RPV_MATH1(T, op)                                                    \
  extern rpv_hw_##T RPV_MVEC1_##T(op)(rpv_hw_##T);                          \
  RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a) { RPV_HW1(T, RPV_MVEC1_##T(op)) } \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a) { return RPV_MVEC1_##T(op)(RPV_HW_SPLAT(T, a))[0]; }
#define RPV_MATH2(T, op)                                                               \
  extern rpv_hw_##T RPV_MVEC2_##T(op)(rpv_hw_##T, rpv_hw_##T);                         \
  RPV_FN rpv_##T rpv_##op##_##T(rpv_##T a, rpv_##T b) { RPV_HW2(T, RPV_MVEC2_##T(op)) } \
  RPV_FN rpc_##T rps_##op##_##T(rpc_##T a, rpc_##T b) {                                \
    return RPV_MVEC2_##T(op)(RPV_HW_SPLAT(T, a), RPV_HW_SPLAT(T, b))[0];               \
  }
#define RPV_MATHS(T, x)                                                                       \
  RPV_MATH1(T, exp) RPV_MATH1(T, exp2) RPV_MATH1(T, expm1) RPV_MATH1(T, log) RPV_MATH1(T, log2) \
  RPV_MATH1(T, log10) RPV_MATH1(T, log1p) RPV_MATH1(T, sin) RPV_MATH1(T, cos) RPV_MATH1(T, tan) \
  RPV_MATH1(T, asin) RPV_MATH1(T, acos) RPV_MATH1(T, atan) RPV_MATH1(T, sinh) RPV_MATH1(T, cosh) \
  RPV_MATH1(T, tanh) RPV_MATH1(T, asinh) RPV_MATH1(T, acosh) RPV_MATH1(T, atanh)              \
  RPV_MATH1(T, cbrt) RPV_MATH1(T, erf) RPV_MATH1(T, erfc)                                     \
  RPV_MATH2(T, pow) RPV_MATH2(T, atan2) RPV_MATH2(T, hypot)
RPV_FLOATS(RPV_MATHS, 0)

/* ---- casts ---------------------------------------------------------------------------------------------- */

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

#define RPV_CAST_SCALAR(S, T) \
  RPV_FN rpc_##T rps_cast_##S##_##T(rpc_##S a) { return (rpc_##T)a; }
#define RPV_CAST_PLAIN(S, T)                                     \
  RPV_CAST_SCALAR(S, T)                                          \
  RPV_FN rpv_##T rpv_cast_##S##_##T(rpv_##S a) { return __builtin_convertvector(a, rpv_##T); }
/* Integers to integers, by the widths: narrowing, or the sign or zeros carried up. */
#define RPV_CAST_LOW(S, T, from, to)                                                     \
  RPV_CAST_SCALAR(S, T)                                                                  \
  RPV_FN rpv_##T rpv_cast_##S##_##T(rpv_##S a) { return (rpv_##T)rpv_low_##from##_##to((rpv_i##from)a); }
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
  RPV_FN rpv_f32 rpv_cast_##S##_f32(rpv_##S a) { return (rpv_f32){RPV_EACH(RPV_LANE_FLOAT, a)}; }
#define RPV_CAST_LONG_f64(S)  \
  RPV_CAST_SCALAR(S, f64)     \
  RPV_FN rpv_f64 rpv_cast_##S##_f64(rpv_##S a) { return rpv_exact_##S##_f64(a); }
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
  RPV_FN rpv_##T rpv_cast_##S##_##T(rpv_##S a) {                                               \
    RPV_IV(S) over = (RPV_IV(S))(a >= (rpc_##S)RPV_TOP_##T);                                   \
    RPV_IV(S) under = (RPV_IV(S))(a < (rpc_##S)RPV_MIN_##T);                                   \
    rpv_##S in = (rpv_##S)(RPV_BITS_OF(S, a) & ~over & ~under & (RPV_IV(S))(a == a));          \
    RPV_CAT(rpv_, RPV_VIA_##T) w = RPV_CAT(rpv_trunc_##S##_, RPV_VIA_##T)(in);                 \
    rpv_##T r = RPV_SHRINK_##T(w);                                                             \
    rpv_##T hi = (rpv_##T)RPV_MASK_OF(T, RPV_TO_BOOL(S, over)) & (rpc_##T)RPV_MAX_##T;         \
    rpv_##T lo = (rpv_##T)RPV_MASK_OF(T, RPV_TO_BOOL(S, under)) & (rpc_##T)RPV_MIN_##T;        \
    return r | hi | lo;                                                                        \
  }
#define RPV_CAST_TO_BOOL(S, x)                                                                  \
  RPV_FN rpc_bool rps_cast_##S##_bool(rpc_##S a) { return (rpc_bool)(a != 0); }                 \
  RPV_FN rpv_bool rpv_cast_##S##_bool(rpv_##S a) { return RPV_TO_BOOL(S, a != 0); }
#define RPV_CAST_FROM_BOOL(T, x)                                                                \
  RPV_FN rpc_##T rps_cast_bool_##T(rpc_bool a) { return (rpc_##T)a; }                           \
  RPV_FN rpv_##T rpv_cast_bool_##T(rpv_bool a) {                                                \
    return (rpv_##T)(RPV_MASK_OF(T, a) & (RPV_IV(T))rpv_splat_##T(1));                          \
  }
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
RPV_FN rpv_bool rpv_cast_bool_bool(rpv_bool a) { return a; }
RPV_FN rpc_bool rps_cast_bool_bool(rpc_bool a) { return (rpc_bool)(a != 0); }

/* ---- combine operators of reductions ------------------------------------------------------------------- */

#define RPV_RED(T, red, op, identity, empty)                                                        \
  RPV_FN rpv_##T rpv_red_##red##_##T(rpv_##T a, rpv_##T b) { return rpv_##op##_##T(a, b); }         \
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

#pragma pop_macro("bool")
#pragma GCC diagnostic pop
#endif
