/* SPDX-License-Identifier: Apache-2.0
 * tests/support/ir_eval.h -- a kernel IR run one scalar at a time on a tiny space: an oracle for
 * passes. Written from SEMANTICS.md, not from the library's code: integers in 128 bits, order of
 * floats by a key of their bits.
 * Every axis of the space has extent 2, every axis of a table 3; a segment stops after 3 elements.
 * Reductions are folded in order of the points: equal for two IRs that are compared, which is all
 * that is asked. */
#ifndef RPT_IR_EVAL_H
#define RPT_IR_EVAL_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/dtype.h"
#include "jit/ir.h"

__extension__ typedef __int128 ir_wide;

enum { IR_EVAL_CELLS = 16, IR_EVAL_AXIS = 2, IR_EVAL_TABLE = 3, IR_EVAL_STEPS = 3 };

typedef struct ir_eval {
  const rpi_ir *ir;
  uint64_t (*mem)[IR_EVAL_CELLS]; /* per operand */
  uint64_t *val;
  uint64_t *red;
  bool *seen;
  int32_t point[RP_MAX_DIM];
} ir_eval;

static inline double ir_eval_real(rp_dtype t, uint64_t b) {
  float f;
  double d;
  uint32_t low = (uint32_t)b;
  memcpy(&f, &low, 4);
  memcpy(&d, &b, 8);
  return t == RP_F32 ? (double)f : d;
}

static inline uint64_t ir_eval_image(rp_dtype t, double v) {
  float f = (float)v;
  uint32_t low;
  uint64_t b;
  if (isnan(v)) return t == RP_F32 ? 0x7fc00000u : UINT64_C(0x7ff8000000000000);
  memcpy(&low, &f, 4);
  memcpy(&b, &v, 8);
  return t == RP_F32 ? low : b;
}

static inline bool ir_eval_is_real(rp_dtype t) { return t == RP_F32 || t == RP_F64; }

static inline ir_wide ir_eval_whole(rp_dtype t, uint64_t b) {
  switch (t) {
    case RP_I8: return (int8_t)b;
    case RP_I16: return (int16_t)b;
    case RP_I32: return (int32_t)b;
    case RP_I64: return (int64_t)b;
    default: return b;
  }
}

static inline uint64_t ir_eval_fit(rp_dtype t, ir_wide v) {
  switch (t) {
    case RP_BOOL: return v != 0;
    case RP_I8:
    case RP_U8: return (uint8_t)v;
    case RP_I16:
    case RP_U16: return (uint16_t)v;
    case RP_I32:
    case RP_U32: return (uint32_t)v;
    default: return (uint64_t)v;
  }
}

static inline uint64_t ir_eval_cast(rp_dtype from, rp_dtype to, uint64_t b) {
  static const double low[] = {0, -0x1p7, -0x1p15, -0x1p31, -0x1p63, 0, 0, 0, 0};
  static const double high[] = {0, 0x1p7, 0x1p15, 0x1p31, 0x1p63, 0x1p8, 0x1p16, 0x1p32, 0x1p64};
  if (ir_eval_is_real(from)) {
    double v = ir_eval_real(from, b);
    if (ir_eval_is_real(to)) return ir_eval_image(to, v);
    if (to == RP_BOOL) return v != 0;
    if (isnan(v)) return 0;
    if (v <= low[to]) return ir_eval_fit(to, (ir_wide)low[to]);
    return ir_eval_fit(to, v >= high[to] ? (ir_wide)high[to] - 1 : (ir_wide)v);
  }
  ir_wide v = ir_eval_whole(from, b);
  if (to == RP_F32) { /* not by way of double: that would round twice */
    float f = v < 0 ? (float)(int64_t)v : (float)(uint64_t)v;
    return ir_eval_image(to, (double)f);
  }
  if (to == RP_F64) return ir_eval_image(to, v < 0 ? (double)(int64_t)v : (double)(uint64_t)v);
  return ir_eval_fit(to, v);
}

static inline ir_wide ir_eval_modulo(ir_wide a, ir_wide b) {
  ir_wide r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static inline ir_wide ir_eval_power(ir_wide a, ir_wide e) {
  uint64_t r = 1, m = (uint64_t)a;
  if (e < 0) return a == 1 ? 1 : a == -1 ? (e % 2 ? -1 : 1) : 0;
  for (; e > 0; e /= 2, m *= m) r *= e % 2 ? m : 1;
  return r;
}

static inline uint64_t ir_eval_integer(rpi_irop op, rp_dtype t, const uint64_t *s) {
  ir_wide a = ir_eval_whole(t, s[0]), b = ir_eval_whole(t, s[1]), v = 0;
  uint64_t width = 8 * (uint64_t)rpi_dtype_size(t);
  switch (op) {
    case RPI_IR_NEG: v = -a; break;
    case RPI_IR_ABS: v = a < 0 ? -a : a; break;
    case RPI_IR_SIGN: v = (a > 0) - (a < 0); break;
    case RPI_IR_ADD: v = a + b; break;
    case RPI_IR_SUB: v = a - b; break;
    case RPI_IR_MUL: v = (ir_wide)((uint64_t)a * (uint64_t)b); break;
    case RPI_IR_FLOORDIV: v = b == 0 ? 0 : (a - ir_eval_modulo(a, b)) / b; break;
    case RPI_IR_MOD: v = b == 0 ? 0 : ir_eval_modulo(a, b); break;
    case RPI_IR_POW: v = ir_eval_power(a, b); break;
    case RPI_IR_MIN:
    case RPI_IR_FMIN: v = a < b ? a : b; break;
    case RPI_IR_MAX:
    case RPI_IR_FMAX: v = a > b ? a : b; break;
    case RPI_IR_AND: v = a & b; break;
    case RPI_IR_OR: v = a | b; break;
    case RPI_IR_XOR: v = a ^ b; break;
    case RPI_IR_NOT: v = t == RP_BOOL ? !a : -a - 1; break;
    case RPI_IR_SHL: v = s[1] < width ? (ir_wide)((uint64_t)a << s[1]) : 0; break;
    case RPI_IR_SHR: v = s[1] < width ? a >> s[1] : a < 0 ? -1 : 0; break;
    case RPI_IR_LT: return a < b;
    case RPI_IR_LE: return a <= b;
    case RPI_IR_EQ: return a == b;
    case RPI_IR_NE: return a != b;
    default: abort();
  }
  return ir_eval_fit(t, v);
}

/* Orders floats, -0 before +0. */
static inline int64_t ir_eval_rank(double v) {
  int64_t b;
  memcpy(&b, &v, 8);
  return b < 0 ? INT64_MIN - b - 1 : b;
}

static inline double ir_eval_least(double a, double b, bool largest, bool skip) {
  if (isnan(a) || isnan(b)) return skip ? (isnan(a) ? b : a) : NAN;
  return (ir_eval_rank(a) < ir_eval_rank(b)) == !largest ? a : b;
}

/* Operations whose f32 result is not the rounded f64 one. */
static inline bool ir_eval_single(rpi_irop op, float a, float b, float c, double *v) {
  switch (op) {
    case RPI_IR_FMA: *v = (double)fmaf(a, b, c); return true;
    case RPI_IR_NEXTAFTER: *v = (double)nextafterf(a, b); return true;
    case RPI_IR_FLOORDIV: {
      if (b == 0) return false;
      float r = fmodf(a, b), q = (a - r) / b;
      if (r != 0 && (r < 0) != (b < 0)) q -= 1;
      float f = floorf(q);
      *v = q == 0 ? copysign(0, (double)(a / b)) : (double)(q - f > 0.5f ? f + 1 : f);
      return true;
    }
    default: return false;
  }
}

static inline double ir_eval_floordiv(double a, double b) {
  if (b == 0) return a / b;
  double r = fmod(a, b), q = (a - r) / b;
  if (r != 0 && (r < 0) != (b < 0)) q -= 1;
  double f = floor(q);
  return q == 0 ? copysign(0, a / b) : q - f > 0.5 ? f + 1 : f;
}

static inline double ir_eval_remainder(double a, double b) {
  double r = fmod(a, b);
  if (r == 0) return copysign(0, b);
  return (r < 0) != (b < 0) ? r + b : r;
}

/* A stand-in for the math functions: passes must leave them alone. */
static inline double ir_eval_math(rpi_irop op, double a, double b) {
  return sin(a) + (double)op + (isnan(b) ? 0 : cos(b));
}

static inline uint64_t ir_eval_float(rpi_irop op, rp_dtype t, const uint64_t *s) {
  double a = ir_eval_real(t, s[0]), b = ir_eval_real(t, s[1]), c = ir_eval_real(t, s[2]), v;
  switch (op) {
    case RPI_IR_LT: return a < b;
    case RPI_IR_LE: return a <= b;
    case RPI_IR_EQ: return a == b;
    case RPI_IR_NE: return a != b;
    case RPI_IR_SIGNBIT: return !isnan(a) && signbit(a);
    case RPI_IR_ISNAN: return isnan(a) != 0;
    case RPI_IR_ISINF: return isinf(a) != 0;
    case RPI_IR_ISFINITE: return isfinite(a) != 0;
    default: break;
  }
  if (t == RP_F32 && ir_eval_single(op, (float)a, (float)b, (float)c, &v)) {
    return ir_eval_image(t, v);
  }
  switch (op) {
    case RPI_IR_NEG: v = -a; break;
    case RPI_IR_ABS: v = fabs(a); break;
    case RPI_IR_SIGN: v = a > 0 ? 1 : a < 0 ? -1 : a; break;
    case RPI_IR_ADD: v = a + b; break;
    case RPI_IR_SUB: v = a - b; break;
    case RPI_IR_MUL: v = a * b; break;
    case RPI_IR_DIV: v = a / b; break;
    case RPI_IR_FLOORDIV: v = ir_eval_floordiv(a, b); break;
    case RPI_IR_MOD: v = ir_eval_remainder(a, b); break;
    case RPI_IR_FMA: v = fma(a, b, c); break;
    case RPI_IR_MIN: v = ir_eval_least(a, b, false, false); break;
    case RPI_IR_MAX: v = ir_eval_least(a, b, true, false); break;
    case RPI_IR_FMIN: v = ir_eval_least(a, b, false, true); break;
    case RPI_IR_FMAX: v = ir_eval_least(a, b, true, true); break;
    case RPI_IR_SQRT: v = sqrt(a); break;
    case RPI_IR_FLOOR: v = floor(a); break;
    case RPI_IR_CEIL: v = ceil(a); break;
    case RPI_IR_TRUNC: v = trunc(a); break;
    case RPI_IR_RINT: v = rint(a); break;
    case RPI_IR_COPYSIGN: v = copysign(a, isnan(b) ? 1 : b); break;
    case RPI_IR_FMOD: v = fmod(a, b); break;
    case RPI_IR_NEXTAFTER: v = nextafter(a, b); break;
    case RPI_IR_LDEXP:
      v = ldexp(a, (int)ir_eval_whole(RP_I32, ir_eval_cast(t, RP_I32, s[1])));
      break;
    default: v = ir_eval_math(op, a, b); break;
  }
  return ir_eval_image(t, v);
}

static inline uint64_t ir_eval_combine(int32_t op, rp_dtype t, uint64_t a, uint64_t b) {
  static const rpi_irop as[] = {RPI_IR_ADD, RPI_IR_MUL, RPI_IR_MIN, RPI_IR_MAX, RPI_IR_AND,
                                RPI_IR_OR,  RPI_IR_XOR, RPI_IR_OR,  RPI_IR_AND};
  const uint64_t s[3] = {a, b, 0};
  return ir_eval_is_real(t) ? ir_eval_float(as[op], t, s) : ir_eval_integer(as[op], t, s);
}

static inline int32_t ir_eval_cell(const ir_eval *e, const rpi_ir_operand *o) {
  int32_t at = 0;
  for (int32_t d = 0; d < o->rank; d++) {
    at = at * IR_EVAL_AXIS + (o->sclass[d] == RPI_STRIDE_ZERO ? 0 : e->point[d]);
  }
  return at;
}

static inline int32_t ir_eval_table(const ir_eval *e, const rpi_ir_ins *i) {
  int32_t at = 0;
  for (int32_t s = 0; s < i->n_src; s++) {
    int64_t k = (int64_t)e->val[rpi_ir_src(e->ir, i, s)];
    at = at * IR_EVAL_TABLE + (int32_t)(k < 0 ? 0 : k >= IR_EVAL_TABLE ? IR_EVAL_TABLE - 1 : k);
  }
  return at;
}

/* Any instruction but LOOP and ENDLOOP. */
static inline void ir_eval_ins(ir_eval *e, int32_t n) {
  const rpi_ir_ins *i = &e->ir->ins[n];
  uint64_t s[3] = {0};
  for (int32_t k = 0; k < i->n_src && k < 3; k++) s[k] = e->val[rpi_ir_src(e->ir, i, k)];
  const rpi_ir_operand *o = i->imm < (uint64_t)e->ir->n_operand ? &e->ir->operand[i->imm] : NULL;
  rp_dtype from = i->n_src ? e->ir->ins[rpi_ir_src(e->ir, i, i->n_src - 1)].dtype : RP_I64;
  switch (i->op) {
    case RPI_IR_CONST: e->val[n] = i->imm; break;
    case RPI_IR_SCALAR:
      e->val[n] = ir_eval_cast(RP_F64, i->dtype, ir_eval_image(RP_F64, 1.5));
      break;
    case RPI_IR_EXTENT: e->val[n] = 2 + i->imm; break;
    case RPI_IR_INDEX: e->val[n] = (uint64_t)e->point[i->imm]; break;
    case RPI_IR_LOAD: e->val[n] = e->mem[i->imm][ir_eval_cell(e, o)]; break;
    case RPI_IR_GATHER: e->val[n] = e->mem[i->imm][ir_eval_table(e, i)]; break;
    case RPI_IR_STORE: e->mem[i->imm][ir_eval_cell(e, o)] = s[0]; break;
    case RPI_IR_REDUCE:
      e->red[i->imm] = e->seen[i->imm]
                           ? ir_eval_combine(e->ir->red[i->imm].op, i->dtype, e->red[i->imm], s[0])
                           : s[0];
      e->seen[i->imm] = true;
      break;
    case RPI_IR_CAST: e->val[n] = ir_eval_cast(from, i->dtype, s[0]); break;
    case RPI_IR_SELECT: e->val[n] = s[0] ? s[1] : s[2]; break;
    default:
      e->val[n] = ir_eval_is_real(from) ? ir_eval_float((rpi_irop)i->op, from, s)
                                        : ir_eval_integer((rpi_irop)i->op, from, s);
      break;
  }
}

static inline int32_t ir_eval_close(const rpi_ir *ir, int32_t loop) {
  int32_t depth = 1, i = loop + 1;
  for (;; i++) {
    depth += (ir->ins[i].op == RPI_IR_LOOP) - (ir->ins[i].op == RPI_IR_ENDLOOP);
    if (depth == 0) return i;
  }
}

static inline void ir_eval_run(ir_eval *e, int32_t begin, int32_t end) {
  for (int32_t i = begin; i < end; i++) {
    const rpi_ir_ins *n = &e->ir->ins[i];
    if (n->op != RPI_IR_LOOP) {
      ir_eval_ins(e, i);
      continue;
    }
    int32_t close = ir_eval_close(e->ir, i);
    const rpi_ir_ins *c = &e->ir->ins[close];
    int64_t lo = (int64_t)e->val[rpi_ir_src(e->ir, n, 0)],
            hi = (int64_t)e->val[rpi_ir_src(e->ir, n, 1)];
    uint64_t acc = rpi_ir_redop_empty((rpi_redop)c->imm, c->dtype), best = 0;
    for (int64_t k = lo; k < hi && k < lo + IR_EVAL_STEPS; k++) {
      e->val[i] = (uint64_t)k;
      ir_eval_run(e, i + 1, close);
      uint64_t x = e->val[rpi_ir_src(e->ir, c, 0)];
      if (c->imm >= RPI_RED_ARGMIN) {
        if (k == lo ||
            ir_eval_rank(ir_eval_real(RP_F64, x)) < ir_eval_rank(ir_eval_real(RP_F64, best))) {
          best = x;
          acc = (uint64_t)k;
        }
      } else {
        acc = k == lo ? x : ir_eval_combine((int32_t)c->imm, c->dtype, acc, x);
      }
    }
    i = close;
    e->val[close] = acc;
  }
}

/* Runs the kernel; mem holds ir->n_operand rows that the caller has filled. */
static inline void ir_eval_kernel(const rpi_ir *ir, uint64_t (*mem)[IR_EVAL_CELLS]) {
  ir_eval e = {.ir = ir, .mem = mem};
  e.val = calloc((size_t)ir->n_ins + 1, sizeof *e.val);
  e.red = calloc((size_t)ir->n_red + 1, sizeof *e.red);
  e.seen = calloc((size_t)ir->n_red + 1, sizeof *e.seen);
  ir_eval_run(&e, 0, ir->n_pro);
  for (int32_t p = 0; p < 1 << ir->rank; p++) {
    for (int32_t d = 0; d < ir->rank; d++) e.point[d] = p >> d & 1;
    ir_eval_run(&e, ir->n_pro, ir->n_body);
  }
  memset(e.point, 0, sizeof e.point);
  for (int32_t r = 0; r < ir->n_red; r++) { /* over all axes: one cell */
    const rpi_ir_red *red = &ir->red[r];
    uint64_t *to = &mem[red->operand][0];
    *to = red->join ? ir_eval_combine(red->op, ir->operand[red->operand].dtype, *to, e.red[r])
                    : e.red[r];
  }
  ir_eval_run(&e, ir->n_body, ir->n_ins);
  free(e.seen);
  free(e.red);
  free(e.val);
}

#endif
