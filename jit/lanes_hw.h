/* SPDX-License-Identifier: Apache-2.0
 * jit/lanes_hw.h -- the part of lanes.h about the hardware's vectors: libmvec's names, rounding, roots.
 * Vectors of the text that are wider are cut for them, narrower ones are filled up. */
/* Tables of macros, laid out by hand: */
/* clang-format off */

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

#ifndef RPV_ONE
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
#endif
