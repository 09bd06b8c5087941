/* SPDX-License-Identifier: Apache-2.0
 * jit/body_type.c -- the typing rules of bodies: what an operator or function gives, and its IR.
 *
 * Lives here: promotion (NEP 50: literals and weak scalars adopt the dtype of what they meet),
 *             conversions, and one small function per rule of body_funcs.def.
 * Not here:   the tree, loops, accesses (body_emit.c); what an instruction computes (lanes.h).
 * How:        values carry their dtype and weakness; a literal is emitted only when its dtype is
 *             known, so 2*x costs no cast. Weak values that are no literals are computed in
 *             i64 or f64. */
#include "core/model/dtype.h"
#include "jit/body_tree.h"

typedef rpi_body_value value;
typedef rpi_body_typer typer;

#define type_fail(t, at, ...) \
  rpi_body_lex_fail(RP_ERR_DTYPE, "body", (t)->body->text, at, __VA_ARGS__)

static bool is_float(rp_dtype d) { return rpi_dtype_kind(d) == RPI_KIND_F; }

static value strong(rpi_irval ins, rp_dtype dtype) {
  return (value){.ins = ins, .dtype = (uint8_t)dtype};
}

static value with_weak(rpi_irval ins, rp_dtype dtype, bool weak) {
  return (value){.ins = ins, .dtype = (uint8_t)dtype, .weak = weak};
}

/* ---- literals */

static bool fits(rpi_body_wide v, rp_dtype to) {
  int32_t bits = rpi_dtype_size(to) * 8;
  switch (rpi_dtype_kind(to)) {
    case RPI_KIND_B: return v == 0 || v == 1;
    case RPI_KIND_I:
      return v >= -((rpi_body_wide)1 << (bits - 1)) && v < (rpi_body_wide)1 << (bits - 1);
    case RPI_KIND_U: return v >= 0 && v < (rpi_body_wide)1 << bits;
    default: return true;
  }
}

static rp_status literal(typer *t, int32_t at, value v, rp_dtype to, value *out) {
  if (is_float(to)) {
    double f = is_float(v.dtype) ? v.f : (double)v.i;
    *out = strong(rpi_ir_const_f64(t->ir, to, f), to);
    return RP_OK;
  }
  if (is_float(v.dtype)) {
    return type_fail(t, at, "a literal with a point is no %s: write %s(...)", rpi_dtype_name(to),
                     rpi_dtype_name(to));
  }
  if (!fits(v.i, to)) {
    uint64_t size = v.i < 0 ? (uint64_t)-v.i : (uint64_t)v.i;
    return type_fail(t, at, "the literal %s%llu does not fit %s", v.i < 0 ? "-" : "",
                     (unsigned long long)size, rpi_dtype_name(to));
  }
  *out = strong(rpi_ir_const_i64(t->ir, to, (int64_t)(uint64_t)v.i), to);
  return RP_OK;
}

/* Emits a literal in its own dtype; it stays weak. */
static rp_status settle(typer *t, int32_t at, value v, value *out) {
  *out = v;
  if (!v.literal) return RP_OK;
  rp_dtype to = is_float(v.dtype) ? RP_F64 : fits(v.i, RP_I64) ? RP_I64 : RP_U64;
  RPI_TRY(literal(t, at, v, to, out));
  out->weak = true;
  return RP_OK;
}

/* ---- conversions */

rp_status rpi_body_type_cast(typer *t, int32_t at, value v, rp_dtype to, value *out) {
  if (v.literal && (is_float(to) || (!is_float(v.dtype) && fits(v.i, to)))) {
    return literal(t, at, v, to, out);
  }
  RPI_TRY(settle(t, at, v, &v));
  *out =
      v.dtype == to ? strong(v.ins, to) : strong(rpi_ir_emit1(t->ir, RPI_IR_CAST, to, v.ins), to);
  return RP_OK;
}

rp_status rpi_body_type_convert(typer *t, int32_t at, value v, rp_dtype to, value *out) {
  return v.literal ? literal(t, at, v, to, out) : rpi_body_type_cast(t, at, v, to, out);
}

rp_status rpi_body_type_bool(typer *t, int32_t at, value v, value *out) {
  RPI_TRY(settle(t, at, v, &v));
  *out = strong(v.ins, RP_BOOL);
  if (v.dtype == RP_BOOL) return RP_OK;
  rpi_irval zero =
      is_float(v.dtype) ? rpi_ir_const_f64(t->ir, v.dtype, 0) : rpi_ir_const_i64(t->ir, v.dtype, 0);
  out->ins = rpi_ir_emit2(t->ir, RPI_IR_NE, RP_BOOL, v.ins, zero);
  return RP_OK;
}

bool rpi_body_type_storable(const value *v, rp_dtype to) {
  if (!v->weak) return rpi_dtype_lossless(v->dtype, to);
  if (is_float(to)) return true;
  if (is_float(v->dtype)) return false;
  return v->literal ? fits(v->i, to) : to != RP_BOOL;
}

/* ---- promotion */

/* The common dtype of n values; *weak if all are weak. */
static rp_dtype promote(const value *a, int32_t n, bool *weak) {
  rp_dtype hard = -1;
  bool soft_float = false, soft = false;
  for (int32_t i = 0; i < n; i++) {
    if (a[i].weak) {
      soft = true;
      soft_float = soft_float || is_float(a[i].dtype);
    } else {
      hard = hard < 0 ? a[i].dtype : rpi_dtype_promote(hard, a[i].dtype);
    }
  }
  *weak = hard < 0;
  if (hard < 0) return soft_float ? RP_F64 : RP_I64;
  if (!soft || is_float(hard)) return hard;
  if (soft_float) return RP_F64;
  return hard == RP_BOOL ? RP_I64 : hard;
}

static rp_status to_common(typer *t, int32_t at, const value *a, int32_t n, rp_dtype to,
                           rpi_irval *out) {
  for (int32_t i = 0; i < n; i++) {
    value v;
    RPI_TRY(rpi_body_type_convert(t, at, a[i], to, &v));
    out[i] = v.ins;
  }
  return RP_OK;
}

/* Converts n values to `to` and emits `op`, whose result has dtype `result`. */
static rp_status emit_as(typer *t, int32_t at, rpi_irop op, const value *a, int32_t n, rp_dtype to,
                         rp_dtype result, bool weak, value *out) {
  rpi_irval src[3];
  RPI_TRY(to_common(t, at, a, n, to, src));
  *out = with_weak(rpi_ir_emit(t->ir, op, result, 0, n, src), result, weak);
  return RP_OK;
}

static rp_status no_op(typer *t, int32_t at, const char *name, rp_dtype dtype, const char *hint) {
  return type_fail(t, at, "%s does not take %s%s%s", name, rpi_dtype_name(dtype),
                   hint[0] != '\0' ? "; " : "", hint);
}

/* ---- rules */

static rp_status rule_arith(typer *t, int32_t at, const rpi_body_fn_info *f, const value *a,
                            value *out) {
  bool weak;
  rp_dtype to = promote(a, 2, &weak);
  rpi_irop op = (rpi_irop)f->op;
  if (to == RP_BOOL) {
    if (op == RPI_IR_SUB) return no_op(t, at, "subtract", to, "use ^");
    op = op == RPI_IR_ADD ? RPI_IR_OR : RPI_IR_AND;
  }
  return emit_as(t, at, op, a, 2, to, to, weak, out);
}

static rp_status rule_divide(typer *t, int32_t at, const value *a, value *out) {
  bool weak;
  rp_dtype to = promote(a, 2, &weak);
  if (!is_float(to)) to = RP_F64;
  return emit_as(t, at, RPI_IR_DIV, a, 2, to, to, weak, out);
}

static rp_status rule_intdiv(typer *t, int32_t at, const rpi_body_fn_info *f, const value *a,
                             value *out) {
  bool weak;
  rp_dtype to = promote(a, 2, &weak);
  if (to == RP_BOOL) to = RP_I8;
  return emit_as(t, at, (rpi_irop)f->op, a, 2, to, to, weak, out);
}

/* x**2 is x*x and x**0.5 is sqrt(x), by definition. */
static rp_status rule_pow(typer *t, int32_t at, const value *a, value *out) {
  bool weak;
  rp_dtype to = promote(a, 2, &weak);
  const value *e = &a[1];
  bool two = e->literal && (is_float(e->dtype) ? e->f == 2.0 : e->i == 2);
  bool half = e->literal && is_float(e->dtype) && e->f == 0.5;
  if (to == RP_BOOL) to = RP_I8;
  if (!two && !half) return emit_as(t, at, RPI_IR_POW, a, 2, to, to, weak, out);
  value x;
  RPI_TRY(rpi_body_type_convert(t, at, a[0], to, &x));
  rpi_irval r = two ? rpi_ir_emit2(t->ir, RPI_IR_MUL, to, x.ins, x.ins)
                    : rpi_ir_emit1(t->ir, RPI_IR_SQRT, to, x.ins);
  *out = with_weak(r, to, weak);
  return RP_OK;
}

static rp_status rule_bits(typer *t, int32_t at, const rpi_body_fn_info *f, const value *a,
                           int32_t n, value *out) {
  bool weak;
  rp_dtype to = promote(a, n, &weak);
  if (is_float(to)) return no_op(t, at, f->name, to, "it works on integers and bool");
  if (f->rule == RPI_RULE_SHIFT && to == RP_BOOL) to = RP_I8;
  return emit_as(t, at, (rpi_irop)f->op, a, n, to, to, weak, out);
}

static rp_status rule_compare(typer *t, int32_t at, const rpi_body_fn_info *f, const value *a,
                              value *out) {
  bool weak;
  value swapped[2] = {a[f->flag != 0 ? 1 : 0], a[f->flag != 0 ? 0 : 1]};
  rp_dtype to = promote(a, 2, &weak);
  return emit_as(t, at, (rpi_irop)f->op, swapped, 2, to, RP_BOOL, false, out);
}

static rp_status rule_logic(typer *t, int32_t at, const rpi_body_fn_info *f, const value *a,
                            int32_t n, value *out) {
  rpi_irval src[2];
  for (int32_t i = 0; i < n; i++) {
    value v;
    RPI_TRY(rpi_body_type_bool(t, at, a[i], &v));
    src[i] = v.ins;
  }
  *out = strong(rpi_ir_emit(t->ir, (rpi_irop)f->op, RP_BOOL, 0, n, src), RP_BOOL);
  return RP_OK;
}

static rp_status rule_neg(typer *t, int32_t at, const rpi_body_fn_info *f, const value *a,
                          value *out) {
  bool plus = f->rule == RPI_RULE_PLUS;
  *out = *a;
  if (a->dtype == RP_BOOL) return no_op(t, at, f->name, a->dtype, plus ? "" : "use !");
  if (plus) return RP_OK;
  if (a->literal) {
    out->i = -a->i;
    out->f = -a->f;
    return RP_OK;
  }
  out->ins = rpi_ir_emit1(t->ir, RPI_IR_NEG, a->dtype, a->ins);
  return RP_OK;
}

/* abs, sign, floor and friends: the dtype stays. */
static rp_status rule_same(typer *t, int32_t at, const rpi_body_fn_info *f, const value *a,
                           value *out) {
  RPI_TRY(settle(t, at, *a, out));
  if (f->rule == RPI_RULE_ROUND && !is_float(out->dtype)) return RP_OK;
  if (f->rule == RPI_RULE_SIGN && out->dtype == RP_BOOL) {
    return no_op(t, at, f->name, out->dtype, "");
  }
  out->ins = rpi_ir_emit1(t->ir, (rpi_irop)f->op, out->dtype, out->ins);
  return RP_OK;
}

static rp_status rule_math(typer *t, int32_t at, const rpi_body_fn_info *f, const value *a,
                           value *out) {
  bool weak;
  rp_dtype to = promote(a, f->n_arg, &weak);
  if (!is_float(to)) to = RP_F64;
  return emit_as(t, at, (rpi_irop)f->op, a, f->n_arg, to, to, weak, out);
}

/* isnan and friends: known for integers. */
static rp_status rule_test(typer *t, int32_t at, const rpi_body_fn_info *f, const value *a,
                           value *out) {
  value v;
  RPI_TRY(settle(t, at, *a, &v));
  rpi_irval r = is_float(v.dtype) ? rpi_ir_emit1(t->ir, (rpi_irop)f->op, RP_BOOL, v.ins)
                                  : rpi_ir_const_i64(t->ir, RP_BOOL, f->flag);
  *out = strong(r, RP_BOOL);
  return RP_OK;
}

static rp_status rule_signbit(typer *t, int32_t at, const value *a, value *out) {
  value v;
  RPI_TRY(settle(t, at, *a, &v));
  rpi_irval r = is_float(v.dtype) ? rpi_ir_emit1(t->ir, RPI_IR_SIGNBIT, RP_BOOL, v.ins)
                                  : rpi_ir_emit2(t->ir, RPI_IR_LT, RP_BOOL, v.ins,
                                                 rpi_ir_const_i64(t->ir, v.dtype, 0));
  *out = strong(r, RP_BOOL);
  return RP_OK;
}

static rp_status rule_pick(typer *t, int32_t at, rpi_irop op, const value *a, value *out) {
  bool weak;
  rp_dtype to = promote(a, 2, &weak);
  return emit_as(t, at, op, a, 2, to, to, weak, out);
}

static rp_status rule_ldexp(typer *t, int32_t at, const value *a, value *out) {
  if (is_float(a[1].dtype)) return no_op(t, at, "the exponent of ldexp", a[1].dtype, "");
  rp_dtype to = is_float(a[0].dtype) ? a[0].dtype : RP_F64;
  return emit_as(t, at, RPI_IR_LDEXP, a, 2, to, to, a[0].weak, out);
}

static rp_status rule_where(typer *t, int32_t at, const value *a, value *out) {
  bool weak;
  rp_dtype to = promote(a + 1, 2, &weak);
  value c;
  rpi_irval src[2];
  RPI_TRY(rpi_body_type_bool(t, at, a[0], &c));
  RPI_TRY(to_common(t, at, a + 1, 2, to, src));
  *out = with_weak(rpi_ir_emit3(t->ir, RPI_IR_SELECT, to, c.ins, src[0], src[1]), to, weak);
  return RP_OK;
}

static rp_status rule_clip(typer *t, int32_t at, const value *a, value *out) {
  bool weak;
  rp_dtype to = promote(a, 3, &weak);
  rpi_irval src[3];
  RPI_TRY(to_common(t, at, a, 3, to, src));
  rpi_irval low = rpi_ir_emit2(t->ir, RPI_IR_MAX, to, src[0], src[1]);
  *out = with_weak(rpi_ir_emit2(t->ir, RPI_IR_MIN, to, low, src[2]), to, weak);
  return RP_OK;
}

static rp_status rule_scale(typer *t, int32_t at, const rpi_body_fn_info *f, const value *a,
                            value *out) {
  /* pi/180 and 180/pi, rounded to f64 */
  double k = f->flag == 0 ? 0x1.1df46a2529d39p-6 : 0x1.ca5dc1a63c1f8p+5;
  value pair[2] = {*a, {.dtype = RP_F64, .weak = true, .literal = true, .f = k}};
  bool weak;
  rp_dtype to = promote(pair, 2, &weak);
  return emit_as(t, at, RPI_IR_MUL, pair, 2, to, to, weak, out);
}

rp_status rpi_body_type_call(typer *t, int32_t at, int32_t fn, const value *a, value *out) {
  const rpi_body_fn_info *f = rpi_body_expr_fn(fn);
  value pair[2];
  switch ((rpi_body_rule)f->rule) {
    case RPI_RULE_ARITH: return rule_arith(t, at, f, a, out);
    case RPI_RULE_DIVIDE: return rule_divide(t, at, a, out);
    case RPI_RULE_INTDIV: return rule_intdiv(t, at, f, a, out);
    case RPI_RULE_POW: return rule_pow(t, at, a, out);
    case RPI_RULE_BITS:
    case RPI_RULE_SHIFT: return rule_bits(t, at, f, a, 2, out);
    case RPI_RULE_INVERT: return rule_bits(t, at, f, a, 1, out);
    case RPI_RULE_COMPARE: return rule_compare(t, at, f, a, out);
    case RPI_RULE_LOGIC: return rule_logic(t, at, f, a, 2, out);
    case RPI_RULE_NOT: return rule_logic(t, at, f, a, 1, out);
    case RPI_RULE_NEG:
    case RPI_RULE_PLUS: return rule_neg(t, at, f, a, out);
    case RPI_RULE_ABS:
    case RPI_RULE_SIGN:
    case RPI_RULE_ROUND: return rule_same(t, at, f, a, out);
    case RPI_RULE_MATH: return rule_math(t, at, f, a, out);
    case RPI_RULE_TEST: return rule_test(t, at, f, a, out);
    case RPI_RULE_SIGNBIT: return rule_signbit(t, at, a, out);
    case RPI_RULE_PICK: return rule_pick(t, at, (rpi_irop)f->op, a, out);
    case RPI_RULE_LDEXP: return rule_ldexp(t, at, a, out);
    case RPI_RULE_WHERE: return rule_where(t, at, a, out);
    case RPI_RULE_CLIP: return rule_clip(t, at, a, out);
    case RPI_RULE_SQUARE:
      RPI_TRY(settle(t, at, *a, &pair[0]));
      pair[1] = pair[0];
      return rule_arith(t, at, f, pair, out);
    case RPI_RULE_RECIPROCAL:
      pair[0] = (value){.dtype = RP_F64, .weak = true, .literal = true, .f = 1.0};
      pair[1] = *a;
      return rule_divide(t, at, pair, out);
    case RPI_RULE_SCALE: return rule_scale(t, at, f, a, out);
  }
  return rpi_status_fail(RP_ERR_INTERNAL, "function %d of bodies has no rule", fn);
}
