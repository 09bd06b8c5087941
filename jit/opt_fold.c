/* SPDX-License-Identifier: Apache-2.0
 * jit/opt_fold.c -- constants, identities, casts of casts, selects that are decided.
 *
 * Lives here: replacing an instruction by a constant, by one of its sources, or by a cheaper one.
 * Not here:   the arithmetic (opt_eval.c); removal of what is no longer used (opt_dce.c).
 * Why exact:  only rewrites that hold for every input. For floats that excludes x + 0.0 (it turns
 *             -0.0 into +0.0) and x * 0.0; NaNs are one value, so what maps NaN to NaN may go.
 *             Division by a power of two becomes multiplication where the reciprocal is exact and
 *             normal: both round the same real number. The floating-point mode is pinned meanwhile. */
#include <math.h>
#include <xmmintrin.h>

#include "jit/ir_value.h"
#include "jit/opt_eval.h"
#include "jit/opt_rewrite.h"

enum { MXCSR_DEFAULT = 0x1f80 }; /* all exceptions masked, nearest, subnormals kept */

typedef struct folder {
  rpi_opt_rewrite w;
  int32_t at; /* the old instruction at hand */
  rpi_irop op;
  rp_dtype dtype; /* of its result */
  rp_dtype from;  /* of its last source */
  int32_t n_src;
  rpi_irval src[3]; /* in the new IR */
} folder;

static const rpi_ir_ins *made(const folder *f, int32_t s) { return &f->w.to.ins[f->src[s]]; }

static bool is_const(const folder *f, int32_t s) { return made(f, s)->op == RPI_IR_CONST; }

/* Source s is the constant v of the dtype of that source. */
static bool is_int(const folder *f, int32_t s, int64_t v) {
  rp_dtype t = made(f, s)->dtype;
  return is_const(f, s) && rpi_dtype_kind(t) != RPI_KIND_F &&
         made(f, s)->imm == rpi_ir_value_cast(RP_I64, t, (uint64_t)v);
}

static bool is_float(const folder *f, int32_t s, double v) {
  rp_dtype t = made(f, s)->dtype;
  return is_const(f, s) && rpi_dtype_kind(t) == RPI_KIND_F &&
         made(f, s)->imm == rpi_ir_value_cast(RP_F64, t, rpi_ir_value_of_f64(v));
}

static bool alias(folder *f, rpi_irval v) {
  f->w.map[f->at] = v;
  return true;
}

static bool constant(folder *f, uint64_t bits) {
  rpi_opt_rewrite_put(&f->w, f->at, RPI_IR_CONST, f->dtype, bits, 0, NULL);
  return true;
}

static bool fold_constants(folder *f) {
  uint64_t src[3], bits;
  for (int32_t s = 0; s < f->n_src; s++) {
    if (!is_const(f, s)) return false;
    src[s] = made(f, s)->imm;
  }
  return f->n_src > 0 && rpi_opt_eval(f->op, f->from, f->dtype, src, &bits) && constant(f, bits);
}

/* ---- casts --------------------------------------------------------------------------------- */

/* Every value of `from` is one of `to`, truly: 64-bit integers are not in f64. */
static bool exact_cast(rp_dtype from, rp_dtype to) {
  bool wide = from == RP_I64 || from == RP_U64;
  return rpi_dtype_lossless(from, to) && !(wide && rpi_dtype_kind(to) == RPI_KIND_F);
}

static bool fold_cast(folder *f) {
  if (f->from == f->dtype) return alias(f, f->src[0]);
  const rpi_ir_ins *inner = made(f, 0);
  if (inner->op != RPI_IR_CAST) return false;
  rpi_irval x = rpi_ir_src(&f->w.to, inner, 0);
  rp_dtype first = f->w.to.ins[x].dtype;
  if (!exact_cast(first, inner->dtype)) return false;
  /* An integer that takes the way over a float saturates, on the direct one it wraps. */
  bool over_float = rpi_dtype_kind(inner->dtype) == RPI_KIND_F &&
                    rpi_dtype_kind(first) != RPI_KIND_F && rpi_dtype_kind(f->dtype) != RPI_KIND_F;
  if (over_float && f->dtype != RP_BOOL && !exact_cast(first, f->dtype)) return false;
  if (first == f->dtype) return alias(f, x);
  rpi_opt_rewrite_put(&f->w, f->at, RPI_IR_CAST, f->dtype, 0, 1, &x);
  return true;
}

/* ---- identities ---------------------------------------------------------------------------- */

/* Sources a and b in either order: for operations that commute. */
static bool fold_commuting(folder *f, int32_t a, int32_t b) {
  rpi_irval x = f->src[a];
  switch (f->op) {
    case RPI_IR_ADD: return (is_int(f, b, 0) || is_float(f, b, -0.0)) && alias(f, x);
    case RPI_IR_MUL:
      if (is_int(f, b, 0)) return constant(f, 0);
      return (is_int(f, b, 1) || is_float(f, b, 1.0)) && alias(f, x);
    case RPI_IR_AND:
      if (is_int(f, b, 0)) return constant(f, 0);
      return is_int(f, b, -1) && alias(f, x);
    case RPI_IR_OR:
      if (is_int(f, b, -1)) return constant(f, made(f, b)->imm);
      return is_int(f, b, 0) && alias(f, x);
    case RPI_IR_XOR: return is_int(f, b, 0) && alias(f, x);
    default: return false;
  }
}

/* x / c as x * (1 / c) where c is a power of two whose reciprocal is a normal number. */
static bool fold_division(folder *f) {
  if (is_float(f, 1, 1.0)) return alias(f, f->src[0]);
  if (!is_const(f, 1)) return false;
  double c = rpi_ir_value_f64(rpi_ir_value_cast(f->dtype, RP_F64, made(f, 1)->imm));
  int exponent, limit = f->dtype == RP_F32 ? 126 : 1022;
  if (!isfinite(c) || c == 0.0 || fabs(frexp(c, &exponent)) != 0.5) return false;
  if (exponent - 1 > limit || exponent - 1 < -limit) return false;
  rpi_irval x = f->src[0];
  uint64_t bits = rpi_ir_value_cast(RP_F64, f->dtype, rpi_ir_value_of_f64(1.0 / c));
  rpi_irval r = rpi_opt_rewrite_put(&f->w, f->at, RPI_IR_CONST, f->dtype, bits, 0, NULL);
  rpi_opt_rewrite_put(&f->w, f->at, RPI_IR_MUL, f->dtype, 0, 2, (const rpi_irval[]){x, r});
  return true;
}

static bool fold_ordered(folder *f) {
  switch (f->op) {
    case RPI_IR_SUB: return (is_int(f, 1, 0) || is_float(f, 1, 0.0)) && alias(f, f->src[0]);
    case RPI_IR_SHL:
    case RPI_IR_SHR: return is_int(f, 1, 0) && alias(f, f->src[0]);
    case RPI_IR_FLOORDIV: return is_int(f, 1, 1) && alias(f, f->src[0]);
    case RPI_IR_MOD: return is_int(f, 1, 1) && constant(f, 0);
    case RPI_IR_DIV: return fold_division(f);
    default: return false;
  }
}

/* Both sources are one value. */
static bool fold_same(folder *f) {
  bool integer = rpi_dtype_kind(f->from) != RPI_KIND_F;
  switch (f->op) {
    case RPI_IR_MIN:
    case RPI_IR_MAX:
    case RPI_IR_FMIN:
    case RPI_IR_FMAX:
    case RPI_IR_AND:
    case RPI_IR_OR: return alias(f, f->src[0]);
    case RPI_IR_XOR:
    case RPI_IR_SUB:
    case RPI_IR_LT:
    case RPI_IR_NE: return integer && constant(f, 0);
    case RPI_IR_LE:
    case RPI_IR_EQ: return integer && constant(f, 1);
    default: return false;
  }
}

static bool fold_unary(folder *f) {
  const rpi_ir_ins *inner = made(f, 0);
  if (f->op == RPI_IR_CAST) return fold_cast(f);
  if ((f->op == RPI_IR_NEG || f->op == RPI_IR_NOT) && inner->op == f->op) {
    return alias(f, rpi_ir_src(&f->w.to, inner, 0));
  }
  return false;
}

static bool fold_select(folder *f) {
  if (f->src[1] == f->src[2]) return alias(f, f->src[1]);
  return is_const(f, 0) && alias(f, f->src[made(f, 0)->imm ? 1 : 2]);
}

static bool fold_ins(folder *f) {
  const rpi_ir_ins *old = &f->w.from->ins[f->at];
  f->op = (rpi_irop)old->op;
  f->dtype = old->dtype;
  f->n_src = old->n_src;
  if (rpi_ir_op_class(f->op) != 'E') return false;
  for (int32_t s = 0; s < f->n_src; s++) f->src[s] = f->w.map[rpi_ir_src(f->w.from, old, s)];
  f->from = made(f, f->n_src - 1)->dtype;
  if (fold_constants(f)) return true;
  if (f->n_src == 1) return fold_unary(f);
  if (f->op == RPI_IR_SELECT) return fold_select(f);
  if (f->n_src != 2) return false;
  return (f->src[0] == f->src[1] && fold_same(f)) || fold_commuting(f, 0, 1) ||
         fold_commuting(f, 1, 0) || fold_ordered(f);
}

rp_status rpi_opt_fold(rpi_ir *ir) {
  folder f = {0};
  RPI_TRY(rpi_opt_rewrite_begin(&f.w, ir));
  unsigned mode = _mm_getcsr();
  _mm_setcsr(MXCSR_DEFAULT);
  for (f.at = 0; f.at < ir->n_ins && !f.w.to.failed; f.at++) {
    rpi_opt_rewrite_mark(&f.w, f.at);
    if (!fold_ins(&f)) rpi_opt_rewrite_keep(&f.w, f.at);
  }
  _mm_setcsr(mode);
  return rpi_opt_rewrite_end(&f.w, ir);
}
