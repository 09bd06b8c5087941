/* SPDX-License-Identifier: Apache-2.0
 * jit/opt_eval.c -- class E operations on constants.
 *
 * Lives here: integers as 64-bit images that are wrapped at the end, floats in the dtype's own
 *             precision (one text for f32 and f64).
 * Not here:   casts (ir_value.h), math functions: their bits depend on the vector level.
 * Invariant:  equal to lanes.h in every bit; floor division and remainder are Python's. */
#include "jit/opt_eval.h"

#include <math.h>

#include "jit/ir_value.h"

/* ---- integers and bool --------------------------------------------------------------------- */

static uint64_t floor_divide(bool is_signed, uint64_t ua, uint64_t ub, bool remainder) {
  if (ub == 0) return 0;
  if (!is_signed) return remainder ? ua % ub : ua / ub;
  int64_t a = (int64_t)ua, b = (int64_t)ub;
  if (b == -1) return remainder ? 0 : 0 - ua; /* MIN / -1 traps in C */
  int64_t q = a / b, r = a % b;
  bool down = r != 0 && (r < 0) != (b < 0);
  return (uint64_t)(remainder ? (down ? r + b : r) : (down ? q - 1 : q));
}

static uint64_t shift_right(bool is_signed, uint64_t a, uint64_t count) {
  if (is_signed) return (uint64_t)((int64_t)a >> (count < 63 ? count : 63));
  return count < 64 ? a >> count : 0;
}

/* Sources are sign- or zero-extended; `count` is the second source as an unsigned image. */
static bool eval_integer(rpi_irop op, rp_dtype t, uint64_t a, uint64_t b, uint64_t count,
                         uint64_t *out) {
  bool is_signed = rpi_dtype_kind(t) == RPI_KIND_I;
  bool less = is_signed ? (int64_t)a < (int64_t)b : a < b;
  bool negative = is_signed && (int64_t)a < 0;
  uint64_t width = 8 * (uint64_t)rpi_dtype_size(t);
  switch (op) {
    case RPI_IR_NEG: *out = 0 - a; break;
    case RPI_IR_ABS: *out = negative ? 0 - a : a; break;
    case RPI_IR_SIGN: *out = negative ? UINT64_MAX : a != 0; break;
    case RPI_IR_ADD: *out = a + b; break;
    case RPI_IR_SUB: *out = a - b; break;
    case RPI_IR_MUL: *out = a * b; break;
    case RPI_IR_FLOORDIV: *out = floor_divide(is_signed, a, b, false); break;
    case RPI_IR_MOD: *out = floor_divide(is_signed, a, b, true); break;
    case RPI_IR_MIN:
    case RPI_IR_FMIN: *out = less ? a : b; break;
    case RPI_IR_MAX:
    case RPI_IR_FMAX: *out = less ? b : a; break;
    case RPI_IR_AND: *out = a & b; break;
    case RPI_IR_OR: *out = a | b; break;
    case RPI_IR_XOR: *out = a ^ b; break;
    case RPI_IR_NOT: *out = t == RP_BOOL ? !a : ~a; break;
    case RPI_IR_SHL: *out = count < width ? a << count : 0; break;
    case RPI_IR_SHR: *out = shift_right(is_signed, a, count); break;
    case RPI_IR_LT: *out = less; break;
    case RPI_IR_LE: *out = less || a == b; break;
    case RPI_IR_EQ: *out = a == b; break;
    case RPI_IR_NE: *out = a != b; break;
    default: return false;
  }
  return true;
}

/* ---- floats -------------------------------------------------------------------------------- */

/* The functions of one float type: c its C type, x the suffix of its libm. */
#define FLOAT_OPS(c, x) \
  static c order##x(c a, c b, bool largest, bool skip_nan) { \
    if (a != a) return skip_nan ? b : a; \
    if (b != b) return skip_nan ? a : b; \
    if (a == b) return (signbit(a) != 0) != largest ? a : b; \
    return (a < b) != largest ? a : b; \
  } \
  static c floor_mod##x(c a, c b) { \
    c r = fmod##x(a, b); \
    if (r == 0) return copysign##x(0, b); \
    return (r < 0) != (b < 0) ? r + b : r; \
  } \
  static c floor_div##x(c a, c b) { \
    if (b == 0) return a / b; \
    c r = fmod##x(a, b), q = (a - r) / b; \
    if (r != 0 && (r < 0) != (b < 0)) q -= 1; \
    if (q == 0) return copysign##x(0, a / b); \
    c f = floor##x(q); \
    return q - f > (c)0.5 ? f + 1 : f; \
  } \
  static c scale##x(c a, c b) { \
    int e = b != b                 ? 0 \
            : b >= (c)2147483648.0 ? INT32_MAX \
            : b < -(c)2147483648.0 ? INT32_MIN \
                                   : (int)b; \
    return ldexp##x(a, e); \
  } \
  static bool value##x(rpi_irop op, c a, c b, c d, c *out) { \
    switch (op) { \
      case RPI_IR_NEG: *out = -a; break; \
      case RPI_IR_ABS: *out = fabs##x(a); break; \
      case RPI_IR_SIGN: *out = a > 0 ? (c)1 : a < 0 ? (c)-1 : a; break; \
      case RPI_IR_ADD: *out = a + b; break; \
      case RPI_IR_SUB: *out = a - b; break; \
      case RPI_IR_MUL: *out = a * b; break; \
      case RPI_IR_DIV: *out = a / b; break; \
      case RPI_IR_FLOORDIV: *out = floor_div##x(a, b); break; \
      case RPI_IR_MOD: *out = floor_mod##x(a, b); break; \
      case RPI_IR_FMA: *out = fma##x(a, b, d); break; \
      case RPI_IR_MIN: *out = order##x(a, b, false, false); break; \
      case RPI_IR_MAX: *out = order##x(a, b, true, false); break; \
      case RPI_IR_FMIN: *out = order##x(a, b, false, true); break; \
      case RPI_IR_FMAX: *out = order##x(a, b, true, true); break; \
      case RPI_IR_SQRT: *out = sqrt##x(a); break; \
      case RPI_IR_FLOOR: *out = floor##x(a); break; \
      case RPI_IR_CEIL: *out = ceil##x(a); break; \
      case RPI_IR_TRUNC: *out = trunc##x(a); break; \
      case RPI_IR_RINT: *out = rint##x(a); break; \
      case RPI_IR_COPYSIGN: *out = copysign##x(a, b != b ? (c)1 : b); break; \
      case RPI_IR_FMOD: *out = fmod##x(a, b); break; \
      case RPI_IR_NEXTAFTER: *out = nextafter##x(a, b); break; \
      case RPI_IR_LDEXP: *out = scale##x(a, b); break; \
      default: return false; \
    } \
    return true; \
  }

FLOAT_OPS(double, )
FLOAT_OPS(float, f)

/* Comparisons and classes are the same in double, where every float is exact. */
static bool eval_test(rpi_irop op, double a, double b, uint64_t *out) {
  switch (op) {
    case RPI_IR_LT: *out = a < b; break;
    case RPI_IR_LE: *out = a <= b; break;
    case RPI_IR_EQ: *out = a == b; break;
    case RPI_IR_NE: *out = a != b; break;
    case RPI_IR_SIGNBIT: *out = a == a && signbit(a); break;
    case RPI_IR_ISNAN: *out = a != a; break;
    case RPI_IR_ISINF: *out = isinf(a) != 0; break;
    case RPI_IR_ISFINITE: *out = isfinite(a) != 0; break;
    default: return false;
  }
  return true;
}

static bool eval_float(rpi_irop op, rp_dtype t, const uint64_t *s, uint64_t *out) {
  if (t == RP_F32) {
    float v, a = rpi_ir_value_f32(s[0]), b = rpi_ir_value_f32(s[1]), c = rpi_ir_value_f32(s[2]);
    if (eval_test(op, (double)a, (double)b, out)) return true;
    if (!valuef(op, a, b, c, &v)) return false;
    *out = rpi_ir_value_of_f32(v != v ? __builtin_nanf("") : v);
    return true;
  }
  double v, a = rpi_ir_value_f64(s[0]), b = rpi_ir_value_f64(s[1]), c = rpi_ir_value_f64(s[2]);
  if (eval_test(op, a, b, out)) return true;
  if (!value(op, a, b, c, &v)) return false;
  *out = rpi_ir_value_of_f64(v != v ? __builtin_nan("") : v);
  return true;
}

/* ---- all ----------------------------------------------------------------------------------- */

bool rpi_opt_eval(rpi_irop op, rp_dtype from, rp_dtype to, const uint64_t *src, uint64_t *out) {
  uint64_t s[3] = {0};
  int32_t n = rpi_ir_op_n_src(op);
  if (n < 1 || n > 3 || rpi_ir_op_class(op) != 'E') return false;
  for (int32_t i = 0; i < n; i++) s[i] = src[i];
  if (op == RPI_IR_SELECT) {
    *out = s[0] ? s[1] : s[2];
    return true;
  }
  if (op == RPI_IR_CAST) {
    *out = rpi_ir_value_cast(from, to, s[0]);
    if (to == RP_F64 && rpi_ir_value_f64(*out) != rpi_ir_value_f64(*out)) {
      *out = rpi_ir_value_of_f64(__builtin_nan(""));
    }
    if (to == RP_F32 && rpi_ir_value_f32(*out) != rpi_ir_value_f32(*out)) {
      *out = rpi_ir_value_of_f32(__builtin_nanf(""));
    }
    return true;
  }
  if (rpi_dtype_kind(from) == RPI_KIND_F) return eval_float(op, from, s, out);
  uint64_t a = s[0], b = s[1];
  if (rpi_dtype_kind(from) == RPI_KIND_I) {
    a = (uint64_t)rpi_ir_value_signed(from, a);
    b = (uint64_t)rpi_ir_value_signed(from, b);
  }
  if (!eval_integer(op, from, a, b, s[1], out)) return false;
  if (to != RP_BOOL) *out = rpi_ir_value_wrap(to, *out);
  return true;
}
