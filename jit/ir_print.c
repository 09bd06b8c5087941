/* SPDX-License-Identifier: Apache-2.0
 * jit/ir_print.c -- a kernel IR as text.
 *
 * Lives here: the writer. The reader is ir_parse.c; what it reads back is equal, `origin` included.
 * Form, one thing a line (numbers count from 0; %n values, @n operands, $n scalars, #n reductions):
 *     kernel rank 2
 *     operand @0: f64 affine [any unit] read
 *     operand @1: f32 table [any] read checked
 *     scalar $0: f64
 *     extents 1
 *     reduction #0: sum into @2 over 0 1 join
 *     prologue:
 *       %0 = scalar.f64 $0
 *     body:
 *       %1 = load.f64 @0
 *       %2 = mul.f64 %0, %1 from 3
 *       reduce.f64 #0, %2
 * Instructions without a value count too: the one after the reduce is %4. Floats are written with as
 * few digits as give the same bits back, whatever the locale. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jit/ir.h"
#include "jit/ir_value.h"

enum { MAX_INDENT = 16 };

/* The shortest %g that reads back equal, under the locale in force. */
static void shortest(rp_dtype t, double v, char *buf, size_t size) {
  for (int32_t digits = 1; digits <= 17; digits++) {
    snprintf(buf, size, "%.*g", (int)digits, v);
    if (t == RP_F32 ? (double)strtof(buf, NULL) == v : strtod(buf, NULL) == v) return;
  }
}

static void print_float(rpi_strbuf *out, rp_dtype t, uint64_t bits, locale_t c_locale) {
  double v = t == RP_F32 ? (double)rpi_ir_value_f32(bits) : rpi_ir_value_f64(bits);
  char buf[40];
  if (v != v) {
    bool canonical = bits == (t == RP_F32 ? UINT64_C(0x7fc00000) : UINT64_C(0x7ff8000000000000));
    if (canonical)
      rpi_strbuf_add(out, "nan");
    else
      rpi_strbuf_addf(out, "nan:0x%llx", (unsigned long long)bits);
    return;
  }
  locale_t before = uselocale(c_locale);
  shortest(t, v, buf, sizeof buf);
  uselocale(before);
  rpi_strbuf_add(out, buf);
  if (strspn(buf, "-0123456789") == strlen(buf)) rpi_strbuf_add(out, ".0");
}

static void print_const(rpi_strbuf *out, const rpi_ir_ins *i, locale_t c_locale) {
  switch (rpi_dtype_kind(i->dtype)) {
    case RPI_KIND_B: rpi_strbuf_add(out, i->imm ? "true" : "false"); break;
    case RPI_KIND_I:
      rpi_strbuf_addf(out, "%lld", (long long)rpi_ir_value_signed(i->dtype, i->imm));
      break;
    case RPI_KIND_U: rpi_strbuf_addf(out, "%llu", (unsigned long long)i->imm); break;
    default: print_float(out, i->dtype, i->imm, c_locale); break;
  }
}

/* What stands between the operation and its sources; true if there was something. */
static bool print_imm(rpi_strbuf *out, const rpi_ir_ins *i, locale_t c_locale) {
  static const char *const rule[] = {"segment", "axis", "rows"};
  unsigned long long imm = i->imm;
  switch (i->op) {
    case RPI_IR_CONST: print_const(out, i, c_locale); return true;
    case RPI_IR_SCALAR: rpi_strbuf_addf(out, "$%llu", imm); return true;
    case RPI_IR_INDEX:
    case RPI_IR_EXTENT: rpi_strbuf_addf(out, "%llu", imm); return true;
    case RPI_IR_LOAD:
    case RPI_IR_GATHER:
    case RPI_IR_STORE: rpi_strbuf_addf(out, "@%llu", imm); return true;
    case RPI_IR_REDUCE: rpi_strbuf_addf(out, "#%llu", imm); return true;
    case RPI_IR_LOOP: rpi_strbuf_add(out, imm < 3 ? rule[imm] : "?"); return true;
    case RPI_IR_ENDLOOP:
      rpi_strbuf_add(out, rpi_ir_redop_name(imm < RPI_N_RED ? (rpi_redop)imm : RPI_N_RED));
      return true;
    default: return false;
  }
}

static void print_ins(rpi_strbuf *out, const rpi_ir *ir, int32_t n, locale_t c_locale) {
  const rpi_ir_ins *i = &ir->ins[n];
  if (rpi_ir_op_result((rpi_irop)i->op) != 'N') rpi_strbuf_addf(out, "%%%d = ", (int)n);
  rpi_strbuf_addf(out, "%s.%s ", rpi_ir_op_name((rpi_irop)i->op), rpi_dtype_name(i->dtype));
  bool listed = print_imm(out, i, c_locale);
  for (int32_t s = 0; s < i->n_src; s++) {
    rpi_strbuf_addf(out, "%s%%%d", listed ? ", " : "", (int)rpi_ir_src(ir, i, s));
    listed = true;
  }
  if (i->origin) rpi_strbuf_addf(out, " from %d", i->origin);
  rpi_strbuf_add(out, "\n");
}

static void print_operand(rpi_strbuf *out, const rpi_ir_operand *o, int32_t n) {
  static const char *const sclass[] = {"zero", "unit", "any"};
  rpi_strbuf_addf(out, "operand @%d: %s %s [", (int)n, rpi_dtype_name(o->dtype),
                  o->kind == RPI_OPERAND_TABLE ? "table" : "affine");
  for (int32_t d = 0; d < o->rank && d < RP_MAX_DIM; d++) {
    rpi_strbuf_addf(out, "%s%s", d ? " " : "", o->sclass[d] <= 2 ? sclass[o->sclass[d]] : "?");
  }
  rpi_strbuf_add(out, "]");
  if (o->access & RPI_ACCESS_READ) rpi_strbuf_add(out, " read");
  if (o->access & RPI_ACCESS_WRITE) rpi_strbuf_add(out, " write");
  if (o->access & RPI_ACCESS_REDUCE) rpi_strbuf_add(out, " reduce");
  if (o->checked) rpi_strbuf_add(out, " checked");
  rpi_strbuf_add(out, "\n");
}

static void print_red(rpi_strbuf *out, const rpi_ir_red *r, int32_t n) {
  rpi_strbuf_addf(out, "reduction #%d: %s into @%d over", (int)n,
                  rpi_ir_redop_name((rpi_redop)r->op), r->operand);
  for (int32_t d = 0; d < RP_MAX_DIM; d++) {
    if (r->mask >> d & 1) rpi_strbuf_addf(out, " %d", (int)d);
  }
  rpi_strbuf_add(out, r->join ? " join\n" : "\n");
}

void rpi_ir_print(const rpi_ir *ir, rpi_strbuf *out) {
  locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  int32_t depth = 1;
  rpi_strbuf_addf(out, "kernel rank %d\n", (int)ir->rank);
  for (int32_t i = 0; i < ir->n_operand; i++) print_operand(out, &ir->operand[i], i);
  for (int32_t i = 0; i < ir->n_scalar; i++) {
    rpi_strbuf_addf(out, "scalar $%d: %s\n", (int)i, rpi_dtype_name(ir->scalar[i]));
  }
  if (ir->n_extent) rpi_strbuf_addf(out, "extents %d\n", (int)ir->n_extent);
  for (int32_t i = 0; i < ir->n_red; i++) print_red(out, &ir->red[i], i);
  for (int32_t i = 0; i < ir->n_ins; i++) {
    if (i == 0 && ir->n_pro > 0) rpi_strbuf_add(out, "prologue:\n");
    if (i == ir->n_pro && ir->n_body > ir->n_pro) rpi_strbuf_add(out, "body:\n");
    if (i == ir->n_body) rpi_strbuf_add(out, "epilogue:\n");
    if (ir->ins[i].op == RPI_IR_ENDLOOP && depth > 1) depth--;
    rpi_strbuf_addf(out, "%*s", (int)(2 * (depth < MAX_INDENT ? depth : MAX_INDENT)), "");
    print_ins(out, ir, i, c_locale);
    if (ir->ins[i].op == RPI_IR_LOOP) depth++;
  }
  if (c_locale) freelocale(c_locale);
}
