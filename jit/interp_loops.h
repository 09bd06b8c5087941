/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_loops.h -- the interpreter's precompiled loops: one per operation and dtype.
 *
 * Lives here: the loops over contiguous blocks, made of lanes.h, and the table that names them; those
 *             that move and those that reduce lie in files of their own, included at their place.
 * Not here:   what a lane computes (lanes.h), which loops a kernel runs (interp_plan.c).
 * How:        a template. A .c file per vector level and lane width includes it after defining
 *               RPV_W, RPV_BITS, RPV_MASK   as lanes.h asks
 *               RPI_LOOPS_WIDE              1: the 8-byte dtypes and casts from and to them; 0: the rest
 *               RPI_LOOPS_TABLE             name of the table it makes
 *             Compiler flags those files need, beside the project's: -mavx2 -mfma -fno-math-errno
 *             -Wno-pedantic -Wno-psabi, and for level 512 -mavx512f -mavx512bw -mavx512dq -mavx512vl.
 * Invariants: a loop touches exactly the n elements it is given; equal source and destination
 *             addresses are fine, other overlaps are not. */
/* Tables of macros, laid out by hand: */
/* clang-format off */
#ifndef RPI_INTERP_LOOPS_H
#define RPI_INTERP_LOOPS_H

#include "jit/interp_impl.h"

#define RPV_USE_ALL
#include "jit/lanes.h"
#undef bool /* a dtype from here on */

#define DT_bool RP_BOOL
#define DT_i8 RP_I8
#define DT_i16 RP_I16
#define DT_i32 RP_I32
#define DT_i64 RP_I64
#define DT_u8 RP_U8
#define DT_u16 RP_U16
#define DT_u32 RP_U32
#define DT_u64 RP_U64
#define DT_f32 RP_F32
#define DT_f64 RP_F64

/* X(...) for each dtype of this file, by kind. */
#if RPI_LOOPS_WIDE
#define OF_SIGNED(X, ...) X(i64, __VA_ARGS__)
#define OF_UNSIGNED(X, ...) X(u64, __VA_ARGS__)
#define OF_FLOAT(X, ...) X(f64, __VA_ARGS__)
#define OF_BOOL(X, ...)
#else
#define OF_SIGNED(X, ...) X(i8, __VA_ARGS__) X(i16, __VA_ARGS__) X(i32, __VA_ARGS__)
#define OF_UNSIGNED(X, ...) X(u8, __VA_ARGS__) X(u16, __VA_ARGS__) X(u32, __VA_ARGS__)
#define OF_FLOAT(X, ...) X(f32, __VA_ARGS__)
#define OF_BOOL(X, ...) X(bool, __VA_ARGS__)
#endif
#define OF_INTEGER(X, ...) OF_SIGNED(X, __VA_ARGS__) OF_UNSIGNED(X, __VA_ARGS__)
#define OF_NUMBER(X, ...) OF_INTEGER(X, __VA_ARGS__) OF_FLOAT(X, __VA_ARGS__)
#define OF_ALL(X, ...) OF_BOOL(X, __VA_ARGS__) OF_NUMBER(X, __VA_ARGS__)

/* X(op, OP, group): operations by the dtypes they take. */
#define OPS1(X)                                                                                  \
  X(neg, NEG, OF_NUMBER) X(abs, ABS, OF_ALL) X(sign, SIGN, OF_NUMBER) X(not, NOT, OF_BOOL)        \
  X(not, NOT, OF_INTEGER) X(sqrt, SQRT, OF_FLOAT) X(floor, FLOOR, OF_FLOAT)                      \
  X(ceil, CEIL, OF_FLOAT) X(trunc, TRUNC, OF_FLOAT) X(rint, RINT, OF_FLOAT)                      \
  X(exp, EXP, OF_FLOAT) X(exp2, EXP2, OF_FLOAT) X(expm1, EXPM1, OF_FLOAT) X(log, LOG, OF_FLOAT)  \
  X(log2, LOG2, OF_FLOAT) X(log10, LOG10, OF_FLOAT) X(log1p, LOG1P, OF_FLOAT)                    \
  X(sin, SIN, OF_FLOAT) X(cos, COS, OF_FLOAT) X(tan, TAN, OF_FLOAT) X(asin, ASIN, OF_FLOAT)      \
  X(acos, ACOS, OF_FLOAT) X(atan, ATAN, OF_FLOAT) X(sinh, SINH, OF_FLOAT)                        \
  X(cosh, COSH, OF_FLOAT) X(tanh, TANH, OF_FLOAT) X(asinh, ASINH, OF_FLOAT)                      \
  X(acosh, ACOSH, OF_FLOAT) X(atanh, ATANH, OF_FLOAT) X(cbrt, CBRT, OF_FLOAT)                    \
  X(erf, ERF, OF_FLOAT) X(erfc, ERFC, OF_FLOAT) X(tgamma, TGAMMA, OF_FLOAT)                      \
  X(lgamma, LGAMMA, OF_FLOAT)
#define OPS2_LIGHT(X)                                                                            \
  X(add, ADD, OF_NUMBER) X(sub, SUB, OF_NUMBER) X(mul, MUL, OF_NUMBER) X(div, DIV, OF_FLOAT)     \
  X(and, AND, OF_BOOL) X(or, OR, OF_BOOL) X(xor, XOR, OF_BOOL) X(and, AND, OF_INTEGER)           \
  X(or, OR, OF_INTEGER) X(xor, XOR, OF_INTEGER)
#define OPS2_OTHER(X)                                                                            \
  X(floordiv, FLOORDIV, OF_NUMBER) X(mod, MOD, OF_NUMBER) X(pow, POW, OF_NUMBER)                 \
  X(min, MIN, OF_ALL) X(max, MAX, OF_ALL) X(fmin, FMIN, OF_ALL) X(fmax, FMAX, OF_ALL)            \
  X(shl, SHL, OF_INTEGER) X(shr, SHR, OF_INTEGER)                                                \
  X(copysign, COPYSIGN, OF_FLOAT) X(fmod, FMOD, OF_FLOAT) X(nextafter, NEXTAFTER, OF_FLOAT)      \
  X(ldexp, LDEXP, OF_FLOAT) X(atan2, ATAN2, OF_FLOAT) X(hypot, HYPOT, OF_FLOAT)
#define OPS2(X) OPS2_LIGHT(X) OPS2_OTHER(X)
#define OPS1B(X)                                                                                 \
  X(signbit, SIGNBIT, OF_FLOAT) X(isnan, ISNAN, OF_FLOAT) X(isinf, ISINF, OF_FLOAT)              \
  X(isfinite, ISFINITE, OF_FLOAT)
#define OPS2B(X) X(lt, LT, OF_ALL) X(le, LE, OF_ALL) X(eq, EQ, OF_ALL) X(ne, NE, OF_ALL)
#define REDS(X)                                                                                  \
  X(sum, SUM, OF_ALL) X(prod, PROD, OF_ALL) X(min, MIN, OF_ALL) X(max, MAX, OF_ALL)              \
  X(and, AND, OF_BOOL) X(or, OR, OF_BOOL) X(xor, XOR, OF_BOOL) X(and, AND, OF_INTEGER)           \
  X(or, OR, OF_INTEGER) X(xor, XOR, OF_INTEGER) X(any, ANY, OF_BOOL) X(all, ALL, OF_BOOL)

#pragma GCC diagnostic ignored "-Wpsabi"

/* One step of a source: a vector on, or none where it is a splat. */
#define STEP(k) ((n >> (32 + (k)) & 1) ? 0 : RPV_W)
#define LOOP_HEAD(name) \
  static void name(void *dv, const void *av, const void *bv, const void *cv, int64_t n)
#define UNUSED_BC (void)bv, (void)cv
#define UNUSED_C (void)cv

/* Loops of one, two and three sources; U: two vectors at a time. R and S are the dtypes of result
 * and source. */
#define LOOP1(name, f, R, S)                                                             \
  LOOP_HEAD(name) {                                                                      \
    rpc_##R *d = dv;                                                                     \
    const rpc_##S *a = av;                                                               \
    const int64_t sa = STEP(0);                                                          \
    int64_t m = (int32_t)n;                                                              \
    UNUSED_BC;                                                                           \
    for (; m >= RPV_W; m -= RPV_W, d += RPV_W, a += sa) rpv_store_##R(d, f(rpv_load_##S(a))); \
    if (m > 0) rpv_storen_##R(d, f(rpv_loadn_##S(a, m)), m);                             \
  }
#define LOOP2_BY(name, f, R, S, PAIRS)                                                   \
  LOOP_HEAD(name) {                                                                      \
    rpc_##R *d = dv;                                                                     \
    const rpc_##S *a = av, *b = bv;                                                      \
    const int64_t sa = STEP(0), sb = STEP(1);                                            \
    int64_t m = (int32_t)n;                                                              \
    UNUSED_C;                                                                            \
    PAIRS(f, R, S)                                                                       \
    for (; m >= RPV_W; m -= RPV_W, d += RPV_W, a += sa, b += sb)                         \
      rpv_store_##R(d, f(rpv_load_##S(a), rpv_load_##S(b)));                             \
    if (m > 0) rpv_storen_##R(d, f(rpv_loadn_##S(a, m), rpv_loadn_##S(b, m)), m);        \
  }
#define NO_PAIRS(f, R, S)
#define PAIRS_FIRST(f, R, S)                                                             \
  for (; m >= 2 * RPV_W; m -= 2 * RPV_W, d += 2 * RPV_W, a += 2 * sa, b += 2 * sb) {     \
    const rpv_##R v = f(rpv_load_##S(a), rpv_load_##S(b));                               \
    const rpv_##R w = f(rpv_load_##S(a + sa), rpv_load_##S(b + sb));                     \
    rpv_store_##R(d, v);                                                                 \
    rpv_store_##R(d + RPV_W, w);                                                         \
  }
#define LOOP2(name, f, R, S) LOOP2_BY(name, f, R, S, NO_PAIRS)
#define LOOP2U(name, f, R, S) LOOP2_BY(name, f, R, S, PAIRS_FIRST)
#define LOOP3U(name, f, T)                                                               \
  LOOP_HEAD(name) {                                                                      \
    rpc_##T *d = dv;                                                                     \
    const rpc_##T *a = av, *b = bv, *c = cv;                                             \
    const int64_t sa = STEP(0), sb = STEP(1), sc = STEP(2);                              \
    int64_t m = (int32_t)n;                                                              \
    for (; m >= 2 * RPV_W; m -= 2 * RPV_W, d += 2 * RPV_W) {                             \
      const rpv_##T v = f(rpv_load_##T(a), rpv_load_##T(b), rpv_load_##T(c));            \
      const rpv_##T w = f(rpv_load_##T(a + sa), rpv_load_##T(b + sb), rpv_load_##T(c + sc)); \
      a += 2 * sa, b += 2 * sb, c += 2 * sc;                                             \
      rpv_store_##T(d, v);                                                               \
      rpv_store_##T(d + RPV_W, w);                                                       \
    }                                                                                    \
    for (; m >= RPV_W; m -= RPV_W, d += RPV_W, a += sa, b += sb, c += sc)                \
      rpv_store_##T(d, f(rpv_load_##T(a), rpv_load_##T(b), rpv_load_##T(c)));            \
    if (m > 0)                                                                           \
      rpv_storen_##T(d, f(rpv_loadn_##T(a, m), rpv_loadn_##T(b, m), rpv_loadn_##T(c, m)), m); \
  }
#define LOOP3(name, f, T, Q)                                                             \
  LOOP_HEAD(name) {                                                                      \
    rpc_##T *d = dv;                                                                     \
    const rpc_##Q *a = av;                                                               \
    const rpc_##T *b = bv, *c = cv;                                                      \
    const int64_t sa = STEP(0), sb = STEP(1), sc = STEP(2);                              \
    int64_t m = (int32_t)n;                                                              \
    for (; m >= RPV_W; m -= RPV_W, d += RPV_W, a += sa, b += sb, c += sc)                \
      rpv_store_##T(d, f(rpv_load_##Q(a), rpv_load_##T(b), rpv_load_##T(c)));            \
    if (m > 0)                                                                           \
      rpv_storen_##T(d, f(rpv_loadn_##Q(a, m), rpv_loadn_##T(b, m), rpv_loadn_##T(c, m)), m); \
  }

#define DEF1_T(T, op) LOOP1(lp_##op##_##T, rpv_##op##_##T, T, T)
#define DEF2_T(T, op) LOOP2(lp_##op##_##T, rpv_##op##_##T, T, T)
#define DEF2U_T(T, op) LOOP2U(lp_##op##_##T, rpv_##op##_##T, T, T)
#define DEF1B_T(T, op) LOOP1(lp_##op##_##T, rpv_##op##_##T, bool, T)
#define DEF2B_T(T, op) LOOP2(lp_##op##_##T, rpv_##op##_##T, bool, T)
#define DEF1(op, OP, group) group(DEF1_T, op)
#define DEF2(op, OP, group) group(DEF2_T, op)
#define DEF2U(op, OP, group) group(DEF2U_T, op)
#define DEF1B(op, OP, group) group(DEF1B_T, op)
#define DEF2B(op, OP, group) group(DEF2B_T, op)
OPS1(DEF1)
OPS2_LIGHT(DEF2U)
OPS2_OTHER(DEF2)
OPS1B(DEF1B)
OPS2B(DEF2B)
#define DEF_FMA(T, x) LOOP3(lp_fma_##T, rpv_fma_##T, T, T)
OF_FLOAT(DEF_FMA, 0)
#define DEF_SELECT(T, x) LOOP3(lp_select_##T, rpv_select_##T, T, bool)
OF_ALL(DEF_SELECT, 0)

/* ---- superinstructions */
#define PAIR_INNER_0(T, outer, v, c) rpv_##outer##_##T(v, c)
#define PAIR_INNER_1(T, outer, v, c) rpv_##outer##_##T(c, v)
#define DEF_PAIR_T(T, outer, inner, at)                                                  \
  RPV_FN rpv_##T pf_##outer##_##inner##_##at##_##T(rpv_##T a, rpv_##T b, rpv_##T c) {    \
    return PAIR_INNER_##at(T, outer, rpv_##inner##_##T(a, b), c);                        \
  }                                                                                      \
  LOOP3U(pr_##outer##_##inner##_##at##_##T, pf_##outer##_##inner##_##at##_##T, T)
#define DEF_PAIR(outer, OUTER, inner, INNER, at) OF_FLOAT(DEF_PAIR_T, outer, inner, at)
RPI_PAIRS(DEF_PAIR)

#define DEF_SUM4(T, _)                                                                   \
  LOOP_HEAD(lp_sum4_##T) {                                                               \
    rpc_##T *d = dv;                                                                     \
    const void *const *last = cv;                                                        \
    const rpc_##T *a = av, *b = bv, *c = last[0], *e = last[1];                          \
    const int64_t sa = STEP(0), sb = STEP(1), sc = STEP(2), se = STEP(3);                \
    int64_t m = (int32_t)n;                                                              \
    for (; m >= RPV_W; m -= RPV_W, d += RPV_W, a += sa, b += sb, c += sc, e += se) {     \
      const rpv_##T v = rpv_add_##T(rpv_load_##T(a), rpv_load_##T(b));                   \
      rpv_store_##T(d, rpv_add_##T(rpv_add_##T(v, rpv_load_##T(c)), rpv_load_##T(e)));   \
    }                                                                                    \
    if (m > 0) {                                                                         \
      const rpv_##T v = rpv_add_##T(rpv_loadn_##T(a, m), rpv_loadn_##T(b, m));           \
      const rpv_##T w = rpv_add_##T(v, rpv_loadn_##T(c, m));                             \
      rpv_storen_##T(d, rpv_add_##T(w, rpv_loadn_##T(e, m)), m);                         \
    }                                                                                    \
  }
OF_FLOAT(DEF_SUM4, 0)

/* ---- casts: those with an 8-byte side belong to the wide file */
#define DEF_CAST(S, T) LOOP1(ct_##S##_##T, rpv_cast_##S##_##T, T, S)
#if RPI_LOOPS_WIDE
#define CASTS(X)                                                                                 \
  X(i64, bool) X(i64, i8) X(i64, i16) X(i64, i32) X(i64, i64) X(i64, u8) X(i64, u16) X(i64, u32) \
  X(i64, u64) X(i64, f32) X(i64, f64) X(u64, bool) X(u64, i8) X(u64, i16) X(u64, i32)            \
  X(u64, i64) X(u64, u8) X(u64, u16) X(u64, u32) X(u64, u64) X(u64, f32) X(u64, f64)             \
  X(f64, bool) X(f64, i8) X(f64, i16) X(f64, i32) X(f64, i64) X(f64, u8) X(f64, u16)             \
  X(f64, u32) X(f64, u64) X(f64, f32) X(f64, f64) X(bool, i64) X(i8, i64) X(i16, i64)            \
  X(i32, i64) X(u8, i64) X(u16, i64) X(u32, i64) X(f32, i64) X(bool, u64) X(i8, u64)             \
  X(i16, u64) X(i32, u64) X(u8, u64) X(u16, u64) X(u32, u64) X(f32, u64) X(bool, f64)            \
  X(i8, f64) X(i16, f64) X(i32, f64) X(u8, f64) X(u16, f64) X(u32, f64) X(f32, f64)
#else
#define CASTS_TO(X, S) \
  X(S, bool) X(S, i8) X(S, i16) X(S, i32) X(S, u8) X(S, u16) X(S, u32) X(S, f32)
#define CASTS(X)                                                                             \
  CASTS_TO(X, bool) CASTS_TO(X, i8) CASTS_TO(X, i16) CASTS_TO(X, i32) CASTS_TO(X, u8)        \
  CASTS_TO(X, u16) CASTS_TO(X, u32) CASTS_TO(X, f32)
#endif
CASTS(DEF_CAST)

#include "jit/interp_loops_move.h"
#include "jit/interp_loops_reduce.h"

/* ---- the table */

#define ROW_OP_T(T, op_, OP_) .op[RPI_IR_##OP_][DT_##T] = lp_##op_##_##T,
#define ROW_OP(op_, OP_, group) group(ROW_OP_T, op_, OP_)
#define ROW_FMA(T, x) .op[RPI_IR_FMA][DT_##T] = lp_fma_##T,
#define ROW_SELECT(T, x) .op[RPI_IR_SELECT][DT_##T] = lp_select_##T,
#define ROW_MOVE(T, x)                                                               \
  .copy[DT_##T] = lp_copy_##T, .loads[DT_##T] = lp_loads_##T,                        \
  .stores[DT_##T] = lp_stores_##T, .gather[DT_##T] = lp_gather_##T,                  \
  .expand[DT_##T] = lp_expand_##T, .gather32[DT_##T] = lp_gather32_##T,
#define ROW_PAIR_T(T, outer_, OUTER_, inner_, INNER_, at)                            \
  .pair[RPI_PAIR_##OUTER_##_##INNER_##_##at][DT_##T] = pr_##outer_##_##inner_##_##at##_##T,
#define ROW_PAIR(outer_, OUTER_, inner_, INNER_, at) \
  OF_FLOAT(ROW_PAIR_T, outer_, OUTER_, inner_, INNER_, at)
#define ROW_DOTS(T, x)                                                               \
  .sum4[DT_##T] = lp_sum4_##T, .leaf_dot[DT_##T] = lp_leaf_dot_##T,                  \
  .dot[DT_##T] = lp_dot_##T,                                                         \
  .dot_gather32[DT_##T] = lp_dot_gather32_##T, .dot_gather64[DT_##T] = lp_dot_gather64_##T,
#define ROW_RED_T(T, red_, RED_)                                                     \
  .red[RPI_RED_##RED_][DT_##T] = rd_##red_##_##T, .leaf[RPI_RED_##RED_][DT_##T] = lf_##red_##_##T, \
  .fold[RPI_RED_##RED_][DT_##T] = fd_##red_##_##T, .segment[RPI_RED_##RED_][DT_##T] = sg_##red_##_##T,
#define ROW_RED(red_, RED_, group) group(ROW_RED_T, red_, RED_)
#define ROW_ARG(T, x)                                                                \
  .segment[RPI_RED_ARGMIN][DT_##T] = ag_argmin_##T, .segment[RPI_RED_ARGMAX][DT_##T] = ag_argmax_##T,
#define ROW_CAST(S, T) .cast[DT_##S][DT_##T] = ct_##S##_##T,

const rpi_loops RPI_LOOPS_TABLE = {
  OPS1(ROW_OP) OPS2(ROW_OP) OPS1B(ROW_OP) OPS2B(ROW_OP)
  OF_FLOAT(ROW_FMA, 0) OF_ALL(ROW_SELECT, 0) OF_ALL(ROW_MOVE, 0)
  REDS(ROW_RED) OF_ALL(ROW_ARG, 0) CASTS(ROW_CAST)
  RPI_PAIRS(ROW_PAIR) OF_FLOAT(ROW_DOTS, 0)
#if RPI_LOOPS_WIDE
  .iota = lp_iota, .clamp = lp_clamp, .scale = lp_scale,
  .inside32 = lp_inside32, .inside64 = lp_inside64, .run_on = lp_run_on,
#endif
};

#endif
