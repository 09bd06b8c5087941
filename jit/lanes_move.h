/* SPDX-License-Identifier: Apache-2.0
 * jit/lanes_move.h -- the part of lanes.h that moves: loads, stores, splats, gathers, select. */
/* Tables of macros, laid out by hand: */
/* clang-format off */

#define RPV_SELECT(T, x) \
  RPV_FN rpc_##T rps_select_##T(rpc_bool c, rpc_##T a, rpc_##T b) { return c ? a : b; }
RPV_NUMBERS(RPV_SELECT, 0)
RPV_SELECT(bool, 0)

#ifndef RPV_ONE
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
  RPV_FN rpv_##T rpv_gather_##T(const rpc_##T *p, rpv_i64 index) {                                \
    return (rpv_##T){RPV_EACH(RPV_LANE_G, p)};                                                    \
  }                                                                                               \
  RPV_FN rpv_##T rpv_select_##T(rpv_bool c, rpv_##T a, rpv_##T b) {                               \
    return RPV_PICK(T, RPV_MASK_OF(T, c), a, b);                                                  \
  }
RPV_NUMBERS(RPV_MOVES, 0)

/* The first n lanes: masked where the vector is one of the hardware's and its lanes have 4 or 8 bytes, else
 * lane by lane. AVX2's masked stores are not used: they are microcode on many processors. */
typedef int rpv_lanes4 __attribute__((vector_size(4 * RPV_W)));
typedef long long rpv_lanes8 __attribute__((vector_size(8 * RPV_W)));
#define RPV_PART_LOAD(T, code) \
  RPV_FN rpv_##T rpv_loadn_##T(const rpc_##T *p, rpc_i64 n) { code }
#define RPV_PART_STORE(T, code) \
  RPV_FN void rpv_storen_##T(rpc_##T *p, rpv_##T v, rpc_i64 n) { code }
#define RPV_PART_LANES(T, x) \
  RPV_PART_LOAD(T, return rpv_loadsn_##T(p, 1, n);) RPV_PART_STORE(T, rpv_storesn_##T(p, 1, v, n);)
#define RPV_PART_256(T, letter, lanes)                                                          \
  RPV_PART_LOAD(T, const RPV_IV(T) in = (RPV_IV(T))rpv_first(n);                                \
                const RPV_IV(T) v = (RPV_IV(T))__builtin_ia32_maskload##letter##256(            \
                    (const void *)p, (lanes)in);                                                \
                return (rpv_##T)(v | (~in & (RPV_IV(T))rpv_splat_##T(1)));)                     \
  RPV_PART_STORE(T, rpv_storesn_##T(p, 1, v, n);)
#define RPV_PART_512(T, letter, lanes, bits)                                                    \
  RPV_PART_LOAD(T, return (rpv_##T)__builtin_ia32_loaddqu##letter##512_mask(                    \
                       (const void *)p, (lanes)rpv_splat_##T(1), (bits)((1u << n) - 1));)       \
  RPV_PART_STORE(T, __builtin_ia32_storedqu##letter##512_mask((void *)p, (lanes)v,              \
                                                              (bits)((1u << n) - 1));)
#if RPV_W == 16 && RPV_BITS == 512
#define RPV_PART_4(T) RPV_PART_512(T, si, rpv_lanes4, rpc_u16)
#elif RPV_W == 8
RPV_FN rpv_i32 rpv_first(rpc_i64 n) { return (rpv_i32){RPV_EACH(RPV_LANE_I, 0)} < (rpc_i32)n; }
#define RPV_PART_4(T) RPV_PART_256(T, d, rpv_lanes4)
#else
#define RPV_PART_4(T) RPV_PART_LANES(T, 0)
#endif
#if RPV_W == 8 && RPV_BITS == 512
#define RPV_PART_8(T) RPV_PART_512(T, di, rpv_lanes8, rpc_u8)
#elif RPV_W == 4
RPV_FN rpv_i64 rpv_first(rpc_i64 n) { return rpv_iota() < n; }
#define RPV_PART_8(T) RPV_PART_256(T, q, rpv_lanes8)
#else
#define RPV_PART_8(T) RPV_PART_LANES(T, 0)
#endif
RPV_IF_i8(RPV_PART_LANES(i8, 0)) RPV_IF_u8(RPV_PART_LANES(u8, 0))
RPV_IF_i16(RPV_PART_LANES(i16, 0)) RPV_IF_u16(RPV_PART_LANES(u16, 0))
RPV_IF_i32(RPV_PART_4(i32)) RPV_IF_u32(RPV_PART_4(u32)) RPV_IF_f32(RPV_PART_4(f32))
RPV_IF_i64(RPV_PART_8(i64)) RPV_IF_u64(RPV_PART_8(u64)) RPV_IF_f64(RPV_PART_8(f64))

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
#endif
