/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_c_line.c -- one value, one line of C.
 *
 * Lives here: how values, loads, gathers and stores are spelled, as vectors (rpv_) and as scalars
 *             (rps_).
 * Not here:   loops around the lines (emit_c_body.c, emit_c_loop.c); what the operations mean
 *             (lanes.h).
 * Invariant:  numbers are printed as integers or bits, never through the locale's decimal point. */
#include "jit/emit_c_impl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/model/dtype.h"
#include "jit/emit_cuda_impl.h"

static const char *const ctypes[] = {
#define RPI_DTYPE(ID, name, ctype, kind) #ctype,
#include "core/model/dtype.def"
#undef RPI_DTYPE
};

const char *rpi_emit_ctype(rp_dtype t) { return ctypes[t]; }

void rpi_emit_add(char *buf, const char *fmt, ...) {
  const size_t used = strlen(buf);
  va_list args;
  va_start(args, fmt);
  vsnprintf(buf + used, RPI_EMIT_EXPR - used, fmt, args);
  va_end(args);
}

static void add_line(rpi_emit *e, const char *fmt, va_list args) {
  char text[2 * RPI_EMIT_EXPR];
  static const char blanks[] = "                                ";
  const int32_t n =
      2 * e->indent < (int32_t)sizeof blanks - 1 ? 2 * e->indent : (int32_t)sizeof blanks - 1;
  const int len = vsnprintf(text, sizeof text, fmt, args);
  rpi_assert(len >= 0 && (size_t)len < sizeof text);
  (void)len;
  if (text[0] != '#') rpi_strbuf_addn(e->out, blanks, (size_t)n);
  rpi_strbuf_add(e->out, text);
  rpi_strbuf_add(e->out, "\n");
}

void rpi_emit_line(rpi_emit *e, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  add_line(e, fmt, args);
  va_end(args);
}

void rpi_emit_open(rpi_emit *e, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  add_line(e, fmt, args);
  va_end(args);
  e->indent++;
}

void rpi_emit_close(rpi_emit *e) {
  e->indent--;
  rpi_emit_line(e, "}");
}

/* A C expression of that dtype with exactly these bits, in buf. */
static const char *bits_text(rp_dtype t, uint64_t bits, char *buf, size_t size) {
  double value = 0;
  float narrow = 0;
  switch (t) {
    case RP_F32:
    case RP_F64:
      if (t == RP_F32) {
        const uint32_t low = (uint32_t)bits;
        memcpy(&narrow, &low, sizeof narrow);
        value = (double)narrow;
      } else {
        memcpy(&value, &bits, sizeof value);
      }
      if (isfinite(value) && fabs(value) < 1e6 && value == floor(value) &&
          !(value == 0 && signbit(value))) {
        snprintf(buf, size, "%s%lld.0%s%s", value < 0 ? "(" : "", (long long)value,
                 t == RP_F32 ? "f" : "", value < 0 ? ")" : "");
      } else {
        snprintf(buf, size, "rpk_%s(0x%llxu) /* %.*g */", rpi_dtype_name(t),
                 (unsigned long long)bits, t == RP_F32 ? 9 : 17, value);
      }
      return buf;
    case RP_BOOL: snprintf(buf, size, "%d", bits != 0); return buf;
    default: snprintf(buf, size, "(%s)0x%llxu", ctypes[t], (unsigned long long)bits); return buf;
  }
}

void rpi_emit_add_name(const rpi_emit *e, char *buf, int32_t v, rpi_emit_place where) {
  const bool body = v >= e->ir->n_pro && v < e->ir->n_body;
  rpi_emit_add(buf, "s%d", v);
  if (where == RPI_EMIT_THREAD && body && e->lanes > 1) rpi_emit_add(buf, "_%d", e->lane);
}

static bool vectors(rpi_emit_place where) {
  return where != RPI_EMIT_POINT && where != RPI_EMIT_SCALAR && where != RPI_EMIT_THREAD;
}

/* The letter of value i among vectors: what is the same for the whole row has no twin. */
static char letter_of(const rpi_emit *e, int32_t i) {
  return e->twin && i >= e->ir->n_pro && e->level[i] >= RPI_EMIT_COLUMN ? 'y' : 'v';
}

/* The first column of the vector at hand. */
static const char *column_of(const rpi_emit *e) { return e->twin ? "c1" : "c"; }

/* "p3 (f64), task 2": what a person wants to know of a memory access. */
static void add_note(const rpi_emit *e, int32_t i, char *buf) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  rpi_emit_add(buf, " /* operand %d %s, task %d */", (int)ins->imm,
               rpi_dtype_name(e->ir->operand[ins->imm].dtype), ins->origin);
}

static void load_expr(const rpi_emit *e, int32_t i, rpi_emit_place where, char *buf) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const int32_t o = (int32_t)ins->imm;
  const char *t = rpi_dtype_name(ins->dtype);
  const uint8_t sclass =
      e->ir->rank > 0 ? e->ir->operand[o].sclass[e->ir->rank - 1] : RPI_STRIDE_ZERO;
  const char *truth = ins->dtype == RP_BOOL ? " != 0" : "";
  const bool column = where == RPI_EMIT_FULL || where == RPI_EMIT_TAIL;
  if (where == RPI_EMIT_SCALAR) {
    rpi_emit_add(buf, "p%d[0]%s", o, truth);
  } else if (where == RPI_EMIT_POINT || where == RPI_EMIT_LANES) {
    if (where == RPI_EMIT_LANES) rpi_emit_add(buf, "rpv_splat_%s(", t);
    if (sclass == RPI_STRIDE_ZERO)
      rpi_emit_add(buf, "q%d[0]%s", o, truth);
    else if (sclass == RPI_STRIDE_UNIT)
      rpi_emit_add(buf, "q%d[c]%s", o, truth);
    else
      rpi_emit_add(buf, "q%d[c * p%d_s%d]%s", o, o, e->ir->rank - 1, truth);
    if (where == RPI_EMIT_LANES) rpi_emit_add(buf, ")");
  } else if (sclass == RPI_STRIDE_ZERO || !column) {
    rpi_emit_add(buf, "rpv_splat_%s(q%d[0]%s)", t, o, truth);
  } else if (sclass == RPI_STRIDE_UNIT) {
    if (where == RPI_EMIT_FULL)
      rpi_emit_add(buf, "rpv_load_%s(q%d + %s)", t, o, column_of(e));
    else
      rpi_emit_add(buf, "rpk_loadn_%s(q%d + c, m)", t, o);
  } else if (where == RPI_EMIT_FULL) {
    rpi_emit_add(buf, "rpv_loads_%s(q%d + %s * p%d_s%d, p%d_s%d)", t, o, column_of(e), o,
                 e->ir->rank - 1, o, e->ir->rank - 1);
  } else {
    rpi_emit_add(buf, "rpk_loadsn_%s(q%d + c * p%d_s%d, p%d_s%d, m)", t, o, o, e->ir->rank - 1, o,
                 e->ir->rank - 1);
  }
  add_note(e, i, buf);
}

/* Index i of a gather is the lanes' own k, and the axis has stride 1: consecutive elements. */
static bool gathers_run(const rpi_emit *e, const rpi_ir_ins *ins) {
  const rpi_ir_operand *op = &e->ir->operand[ins->imm];
  if (op->checked || op->sclass[op->rank - 1] != RPI_STRIDE_UNIT) return false;
  for (int32_t d = 0; d < ins->n_src; d++) {
    const rpi_irval v = rpi_ir_src(e->ir, ins, d);
    if (d == ins->n_src - 1 ? v != e->loop_inner : v >= e->loop_inner) return false;
  }
  return true;
}

/* Checked indices: clamped into g<i>_<d>, with the flag raised through `bad`. */
static void gather_checks(rpi_emit *e, int32_t i, rpi_emit_place where) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const int32_t o = (int32_t)ins->imm;
  const bool v = vectors(where), checked = e->ir->operand[o].checked != 0;
  for (int32_t d = 0; d < ins->n_src; d++) {
    const int32_t s = rpi_ir_src(e->ir, ins, d);
    if (!v) {
      if (checked)
        rpi_emit_line(e, "const int64_t g%d_%d = rpk_clamp(s%d, p%d_n%d, &bad);", i, d, s, o, d);
      continue;
    }
    char idx[64];
    snprintf(idx, sizeof idx, "v%d", s);
    if (where == RPI_EMIT_TAIL && (s < e->ir->n_pro || e->level[s] >= RPI_EMIT_COLUMN)) {
      rpi_emit_line(
          e, "const rpv_i64 h%d_%d = rpv_select_i64(in, v%d, rpv_splat_i64(rpv_get_i64(v%d, 0)));",
          i, d, s, s);
      snprintf(idx, sizeof idx, "h%d_%d", i, d);
    }
    if (checked)
      rpi_emit_line(e, "const rpv_i64 g%d_%d = rpk_clampv(%s, p%d_n%d, &badv);", i, d, idx, o, d);
    else if (where == RPI_EMIT_TAIL)
      rpi_emit_line(e, "const rpv_i64 g%d_%d = %s;", i, d, idx);
  }
}

static void gather_expr(const rpi_emit *e, int32_t i, rpi_emit_place where, char *buf) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const int32_t o = (int32_t)ins->imm;
  const rpi_ir_operand *op = &e->ir->operand[o];
  const bool v = vectors(where), renamed = op->checked || where == RPI_EMIT_TAIL;
  const bool run = where == RPI_EMIT_LANES && gathers_run(e, ins);
  const char *t = rpi_dtype_name(ins->dtype);
  if (run)
    rpi_emit_add(buf, "rpv_load_%s(p%d", t, o);
  else if (v)
    rpi_emit_add(buf, "rpv_gather_%s(p%d, ", t, o);
  else
    rpi_emit_add(buf, "p%d[", o);
  char term[64];
  for (int32_t d = 0; d < ins->n_src; d++) {
    const int32_t s = rpi_ir_src(e->ir, ins, d);
    const bool unit = d == ins->n_src - 1 && op->sclass[d] == RPI_STRIDE_UNIT;
    if (run) {
      if (unit)
        rpi_emit_add(buf, " + k%d", e->loop_inner);
      else
        rpi_emit_add(buf, " + s%d * p%d_s%d", s, o, d);
      continue;
    }
    if (renamed && (v || op->checked))
      snprintf(term, sizeof term, "g%d_%d", i, d);
    else
      snprintf(term, sizeof term, "%c%d", v ? 'v' : 's', s);
    if (d) rpi_emit_add(buf, " + ");
    if (unit)
      rpi_emit_add(buf, "%s", term);
    else if (v)
      rpi_emit_add(buf, "%s * rpv_splat_i64(p%d_s%d)", term, o, d);
    else
      rpi_emit_add(buf, "%s * p%d_s%d", term, o, d);
  }
  rpi_emit_add(buf, v ? ")" : "]%s", !v && ins->dtype == RP_BOOL ? " != 0" : "");
  add_note(e, i, buf);
}

static void index_expr(const rpi_emit *e, const rpi_ir_ins *ins, rpi_emit_place where, char *buf) {
  const int32_t d = (int32_t)ins->imm;
  const bool last = d == e->ir->rank - 1;
  if (where == RPI_EMIT_THREAD && last && e->lanes > 1)
    rpi_emit_add(buf, "at%d + c_%d", d, e->lane);
  else if (where == RPI_EMIT_POINT || where == RPI_EMIT_THREAD)
    rpi_emit_add(buf, last ? "at%d + c" : "at%d", d);
  else if (!last)
    rpi_emit_add(buf, "rpv_splat_i64(at%d)", d);
  else if (where == RPI_EMIT_LANES)
    rpi_emit_add(buf, "rpv_splat_i64(at%d + c)", d);
  else
    rpi_emit_add(buf, "rpv_add_i64(rpv_iota(), rpv_splat_i64(at%d + %s))", d, column_of(e));
}

static void compute_expr(const rpi_emit *e, const rpi_ir_ins *ins, rpi_emit_place where,
                         char *buf) {
  const rpi_ir *ir = e->ir;
  const char *pre = vectors(where) ? "rpv" : "rps";
  const rp_dtype from = ir->ins[rpi_ir_src(ir, ins, 0)].dtype;
  if (ins->op == RPI_IR_CAST) {
    rpi_emit_add(buf, "%s_cast_%s_%s(", pre, rpi_dtype_name(from), rpi_dtype_name(ins->dtype));
  } else {
    rpi_emit_add(buf, "%s_%s_%s(", pre, rpi_ir_op_name(ins->op),
                 rpi_dtype_name(ins->op == RPI_IR_SELECT ? ins->dtype : from));
  }
  for (int32_t s = 0; s < ins->n_src; s++) {
    const rpi_irval v = rpi_ir_src(ir, ins, s);
    if (s) rpi_emit_add(buf, ", ");
    if (vectors(where))
      rpi_emit_add(buf, "%c%d", letter_of(e, v), v);
    else
      rpi_emit_add_name(e, buf, v, where);
  }
  rpi_emit_add(buf, ")");
}

static void word_expr(const rpi_emit *e, const rpi_ir_ins *ins, char *buf) {
  char bits[96];
  if (ins->op == RPI_IR_CONST) {
    rpi_emit_add(buf, "%s", bits_text(ins->dtype, ins->imm, bits, sizeof bits));
  } else {
    const int32_t word = (ins->op == RPI_IR_SCALAR ? e->l.scalar : e->l.param) + (int32_t)ins->imm;
    rpi_emit_add(buf, "rpk_%s(w[%d].u)", rpi_dtype_name(ins->dtype), word);
  }
}

void rpi_emit_value(rpi_emit *e, int32_t i, rpi_emit_place where) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const char *t = rpi_dtype_name(ins->dtype);
  char buf[RPI_EMIT_EXPR] = "", name[32] = "";
  rpi_emit_add_name(e, name, i, where);
  switch (ins->op) {
    case RPI_IR_CONST:
    case RPI_IR_SCALAR:
    case RPI_IR_EXTENT:
      if (vectors(where)) rpi_emit_add(buf, "rpv_splat_%s(", t);
      word_expr(e, ins, buf);
      if (vectors(where)) rpi_emit_add(buf, ")");
      break;
    case RPI_IR_INDEX: index_expr(e, ins, where, buf); break;
    case RPI_IR_LOAD:
      if (where == RPI_EMIT_THREAD)
        rpi_emit_thread_load(e, i, buf);
      else
        load_expr(e, i, where, buf);
      break;
    case RPI_IR_GATHER:
      if (where == RPI_EMIT_THREAD) {
        rpi_emit_thread_gather(e, i, buf);
        break;
      }
      gather_checks(e, i, where);
      gather_expr(e, i, where, buf);
      break;
    default: compute_expr(e, ins, where, buf); break;
  }
  if (vectors(where))
    rpi_emit_line(e, "const rpv_%s %c%d = %s;", t, letter_of(e, i), i, buf);
  else
    rpi_emit_line(e, "const %s %s = %s;", ctypes[ins->dtype], name, buf);
}

bool rpi_emit_streams(const rpi_emit *e, int32_t o) {
  const rpi_ir_operand *op = &e->ir->operand[o];
  return op->access == RPI_ACCESS_WRITE && op->kind == RPI_OPERAND_AFFINE && op->dtype != RP_BOOL &&
         op->sclass[e->ir->rank - 1] == RPI_STRIDE_UNIT &&
         e->lanes * rpi_dtype_size(op->dtype) * 8 == e->bits;
}

void rpi_emit_store(rpi_emit *e, int32_t i, rpi_emit_place where) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const int32_t o = (int32_t)ins->imm, v = rpi_ir_src(e->ir, ins, 0);
  const char *t = rpi_dtype_name(ins->dtype);
  char note[96] = "";
  add_note(e, i, note);
  if (where == RPI_EMIT_SCALAR) {
    rpi_emit_line(e, "p%d[0] = s%d;%s", o, v, note);
    return;
  }
  if (e->streaming && rpi_emit_streams(e, o)) {
    const char *c = column_of(e);
    const char y = letter_of(e, v);
    rpi_emit_line(e, "if (past) rpk_stream(q%d + %s, &%c%d); else rpv_store_%s(q%d + %s, %c%d);%s",
                  o, c, y, v, t, o, c, y, v, note);
    return;
  }
  const uint8_t sclass = e->ir->operand[o].sclass[e->ir->rank - 1];
  const char *name = where == RPI_EMIT_FULL ? "rpv_store" : "rpk_store";
  const char *n = where == RPI_EMIT_FULL ? "" : "n", *m = where == RPI_EMIT_FULL ? "" : ", m";
  if (sclass == RPI_STRIDE_UNIT)
    rpi_emit_line(e, "%s%s_%s(q%d + %s, %c%d%s);%s", name, n, t, o, column_of(e), letter_of(e, v),
                  v, m, note);
  else if (sclass == RPI_STRIDE_ZERO) /* one column only */
    rpi_emit_line(e, "%ss%s_%s(q%d, 0, %c%d%s);%s", name, n, t, o, letter_of(e, v), v, m, note);
  else
    rpi_emit_line(e, "%ss%s_%s(q%d + %s * p%d_s%d, p%d_s%d, %c%d%s);%s", name, n, t, o,
                  column_of(e), o, e->ir->rank - 1, o, e->ir->rank - 1, letter_of(e, v), v, m,
                  note);
}

void rpi_emit_operands(rpi_emit *e, int32_t from, int32_t to) {
  const rpi_ir *ir = e->ir;
  for (int32_t o = 0; o < ir->n_operand; o++) {
    const rpi_ir_operand *op = &ir->operand[o];
    bool used = false;
    for (int32_t i = from; i < to && !used; i++) {
      const uint8_t code = ir->ins[i].op;
      used = (code == RPI_IR_LOAD || code == RPI_IR_STORE || code == RPI_IR_GATHER) &&
             ir->ins[i].imm == (uint64_t)o;
      used |= e->cuda && code == RPI_IR_REDUCE && ir->red[ir->ins[i].imm].operand == o;
    }
    if (!used) continue;
    const int32_t at = rpi_ir_layout_stride(ir, &e->l, o);
    const char *t = ctypes[op->dtype];
    const bool table = op->kind == RPI_OPERAND_TABLE;
    if (table && op->checked) { /* an empty table reads as one zero */
      rpi_emit_line(e, "int p%d_empty = 0;", o);
      for (int32_t d = 0; d < op->rank; d++) {
        rpi_emit_line(e, "const int64_t p%d_n%d = w[%d].i; p%d_empty |= p%d_n%d <= 0;", o, d,
                      at + op->rank + d, o, o, d);
      }
      if (!e->cuda)
        rpi_emit_line(e, "%s *const p%d = p%d_empty ? (%s *)rpk_zero : (%s *)w[%d].p;", t, o, o, t,
                      t, e->l.ptr + o);
    }
    if (e->cuda || !table || !op->checked) {
      rpi_emit_line(e, "%s *const p%d = (%s *)w[%d].p;", t, o, t, e->l.ptr + o);
    }
    for (int32_t d = 0; d < op->rank; d++) {
      if (op->sclass[d] == RPI_STRIDE_UNIT || (!table && op->sclass[d] == RPI_STRIDE_ZERO))
        continue;
      if (e->cuda)
        rpi_emit_line(e, "const %s p%d_s%d = (%s)w[%d].i;", e->index, o, d, e->index, at + d);
      else
        rpi_emit_line(e, "const int64_t p%d_s%d = w[%d].i;", o, d, at + d);
    }
  }
}

void rpi_emit_uniforms(rpi_emit *e, int32_t from, int32_t to, bool as_vectors) {
  const rpi_ir *ir = e->ir;
  for (int32_t p = 0; p < ir->n_pro; p++) {
    bool used = false;
    for (int32_t i = from; i < to && !used; i++) {
      for (int32_t s = 0; s < ir->ins[i].n_src; s++) used |= rpi_ir_src(ir, &ir->ins[i], s) == p;
    }
    if (!used || ir->ins[p].op == RPI_IR_STORE) continue;
    const rp_dtype t = ir->ins[p].dtype;
    char bits[96];
    if (ir->ins[p].op == RPI_IR_CONST) {
      rpi_emit_line(e, "const %s s%d = %s;", ctypes[t], p,
                    bits_text(t, ir->ins[p].imm, bits, sizeof bits));
    } else {
      rpi_emit_line(e, "const %s s%d = rpk_%s(w[%d].u);", ctypes[t], p, rpi_dtype_name(t),
                    e->l.uniform + p);
    }
    if (as_vectors) {
      rpi_emit_line(e, "const rpv_%s v%d = rpv_splat_%s(s%d);", rpi_dtype_name(t), p,
                    rpi_dtype_name(t), p);
    }
  }
}

void rpi_emit_scalars(rpi_emit *e, int32_t from, int32_t to, rpi_emit_place where) {
  for (int32_t i = from; i < to; i++) {
    switch (e->ir->ins[i].op) {
      case RPI_IR_LOOP:
        rpi_emit_loop(e, i, where);
        i = e->end[i];
        break;
      case RPI_IR_STORE: rpi_emit_store(e, i, where); break;
      default: rpi_emit_value(e, i, where); break;
    }
  }
}
