/* SPDX-License-Identifier: Apache-2.0
 * jit/ir.c -- the kernel IR: builder, facts about operations, parameter words, units of work.
 *
 * Lives here: growing an IR, the tables made of ir_ops.def, rpi_ir_layout, the split of a space
 *             into units, and the canonical bytes.
 * Not here:   validation (ir_check.c), text (ir_print.c, ir_parse.c), passes (opt_*.c).
 * Invariants: a failed append changes nothing but `failed` and returns 0, so that a builder may go
 *             on and look once at the end. Canonical bytes list fields one by one, little-endian,
 *             with sources in order of their instructions: neither padding nor the order in which
 *             the source pool was filled nor `origin` can make equal kernels differ. */
#include "jit/ir.h"

#include <string.h>

#include "core/base/alloc.h"
#include "jit/ir_value.h"

/* ---- builder ------------------------------------------------------------------------------- */

void rpi_ir_init(rpi_ir *ir, int32_t rank) {
  memset(ir, 0, sizeof *ir);
  ir->rank = rank;
}

void rpi_ir_deinit(rpi_ir *ir) {
  rpi_alloc_free(ir->scalar);
  rpi_alloc_free(ir->red);
  rpi_alloc_free(ir->operand);
  rpi_alloc_free(ir->srcs);
  rpi_alloc_free(ir->ins);
  rpi_ir_init(ir, 0);
}

/* Room for n elements; the typed pointers of an IR pass through void * here and nowhere else. */
#define ROOM(ir, array, cap, n) room((ir), &(array), sizeof *(array), &(cap), (n))

static bool room(rpi_ir *ir, void *array, size_t elem, int32_t *cap, int32_t n) {
  void *p;
  if (n <= *cap) return true;
  memcpy(&p, array, sizeof p);
  if (!rpi_alloc_grow(&p, cap, n, elem)) {
    ir->failed = true;
    return false;
  }
  memcpy(array, &p, sizeof p);
  return true;
}

rp_status rpi_ir_copy(const rpi_ir *from, rpi_ir *to) {
  rpi_ir_init(to, from->rank);
  if (!ROOM(to, to->ins, to->cap_ins, from->n_ins) ||
      !ROOM(to, to->srcs, to->cap_src, from->n_src) ||
      !ROOM(to, to->operand, to->cap_operand, from->n_operand) ||
      !ROOM(to, to->red, to->cap_red, from->n_red) ||
      !ROOM(to, to->scalar, to->cap_scalar, from->n_scalar)) {
    rpi_ir_deinit(to);
    return rpi_status_nomem("a kernel's IR");
  }
  to->n_ins = from->n_ins;
  to->n_src = from->n_src;
  to->n_operand = from->n_operand;
  to->n_red = from->n_red;
  to->n_scalar = from->n_scalar;
  to->n_pro = from->n_pro;
  to->n_body = from->n_body;
  to->n_extent = from->n_extent;
  to->failed = from->failed;
  /* The pointers are NULL where the counts are 0, which memcpy must not see. */
  if (to->n_ins) memcpy(to->ins, from->ins, (size_t)to->n_ins * sizeof *to->ins);
  if (to->n_src) memcpy(to->srcs, from->srcs, (size_t)to->n_src * sizeof *to->srcs);
  if (to->n_operand) {
    memcpy(to->operand, from->operand, (size_t)to->n_operand * sizeof *to->operand);
  }
  if (to->n_red) memcpy(to->red, from->red, (size_t)to->n_red * sizeof *to->red);
  if (to->n_scalar) memcpy(to->scalar, from->scalar, (size_t)to->n_scalar);
  return RP_OK;
}

int32_t rpi_ir_operand_add(rpi_ir *ir, const rpi_ir_operand *o) {
  if (!ROOM(ir, ir->operand, ir->cap_operand, ir->n_operand + 1)) return 0;
  ir->operand[ir->n_operand] = *o;
  return ir->n_operand++;
}

int32_t rpi_ir_scalar_add(rpi_ir *ir, rp_dtype dtype) {
  if (!ROOM(ir, ir->scalar, ir->cap_scalar, ir->n_scalar + 1)) return 0;
  ir->scalar[ir->n_scalar] = (uint8_t)dtype;
  return ir->n_scalar++;
}

int32_t rpi_ir_red_add(rpi_ir *ir, const rpi_ir_red *r) {
  if (!ROOM(ir, ir->red, ir->cap_red, ir->n_red + 1)) return 0;
  ir->red[ir->n_red] = *r;
  return ir->n_red++;
}

rpi_irval rpi_ir_emit(rpi_ir *ir, rpi_irop op, rp_dtype dtype, uint64_t imm, int32_t n_src,
                      const rpi_irval *src) {
  rpi_assert(op < RPI_IR_N_OPS && n_src >= 0 && n_src <= UINT8_MAX);
  if (ir->n_ins >= RPI_IR_MAX_INS) {
    ir->failed = true;
    return 0;
  }
  if (!ROOM(ir, ir->ins, ir->cap_ins, ir->n_ins + 1) ||
      !ROOM(ir, ir->srcs, ir->cap_src, ir->n_src + n_src)) {
    return 0;
  }
  ir->ins[ir->n_ins] = (rpi_ir_ins){
      .op = (uint8_t)op,
      .dtype = (uint8_t)dtype,
      .n_src = (uint8_t)n_src,
      .src = (uint32_t)ir->n_src,
      .imm = imm,
  };
  for (int32_t i = 0; i < n_src; i++) ir->srcs[ir->n_src++] = src[i];
  return (rpi_irval)ir->n_ins++;
}

rpi_irval rpi_ir_emit1(rpi_ir *ir, rpi_irop op, rp_dtype dtype, rpi_irval a) {
  return rpi_ir_emit(ir, op, dtype, 0, 1, &a);
}

rpi_irval rpi_ir_emit2(rpi_ir *ir, rpi_irop op, rp_dtype dtype, rpi_irval a, rpi_irval b) {
  return rpi_ir_emit(ir, op, dtype, 0, 2, (const rpi_irval[]){a, b});
}

rpi_irval rpi_ir_emit3(rpi_ir *ir, rpi_irop op, rp_dtype dtype, rpi_irval a, rpi_irval b,
                       rpi_irval c) {
  return rpi_ir_emit(ir, op, dtype, 0, 3, (const rpi_irval[]){a, b, c});
}

rpi_irval rpi_ir_const_f64(rpi_ir *ir, rp_dtype dtype, double value) {
  uint64_t bits = rpi_ir_value_cast(RP_F64, dtype, rpi_ir_value_of_f64(value));
  return rpi_ir_emit(ir, RPI_IR_CONST, dtype, bits, 0, NULL);
}

rpi_irval rpi_ir_const_i64(rpi_ir *ir, rp_dtype dtype, int64_t value) {
  uint64_t bits = rpi_ir_value_cast(RP_I64, dtype, (uint64_t)value);
  return rpi_ir_emit(ir, RPI_IR_CONST, dtype, bits, 0, NULL);
}

/* ---- facts --------------------------------------------------------------------------------- */

enum { V = -1 }; /* n_src of ir_ops.def: given by the instruction */

typedef struct op_facts {
  const char *text;
  const char *operands;
  int8_t n_src;
  char result;
  char class;
} op_facts;

static const op_facts op_table[RPI_IR_N_OPS] = {
#define RPI_IROP(NAME, text_, n_src_, result_, operands_, class_) \
  [RPI_IR_##NAME] = {text_, operands_, n_src_, #result_[0], #class_[0]},
#include "jit/ir_ops.def"
#undef RPI_IROP
};

const char *rpi_ir_op_name(rpi_irop op) { return op < RPI_IR_N_OPS ? op_table[op].text : "?"; }

rpi_irop rpi_ir_op_find(const char *name, size_t n) {
  for (int32_t i = 0; i < RPI_IR_N_OPS; i++) {
    if (strncmp(op_table[i].text, name, n) == 0 && op_table[i].text[n] == '\0') {
      return (rpi_irop)i;
    }
  }
  return RPI_IR_N_OPS;
}

int32_t rpi_ir_op_n_src(rpi_irop op) { return op_table[op].n_src; }

char rpi_ir_op_result(rpi_irop op) { return op_table[op].result; }

char rpi_ir_op_class(rpi_irop op) { return op_table[op].class; }

bool rpi_ir_op_takes(rpi_irop op, rp_dtype dtype) {
  static const char letter[] = {
      [RPI_KIND_B] = 'B', [RPI_KIND_I] = 'I', [RPI_KIND_U] = 'U', [RPI_KIND_F] = 'F'};
  return rpi_dtype_valid(dtype) &&
         strchr(op_table[op].operands, letter[rpi_dtype_kind(dtype)]) != NULL;
}

const char *rpi_ir_redop_name(rpi_redop op) {
  static const char *const name[RPI_N_RED] = {"sum", "prod", "min", "max",    "and",   "or",
                                              "xor", "any",  "all", "argmin", "argmax"};
  return op < RPI_N_RED ? name[op] : "?";
}

/* The dtype's largest (or smallest) value: infinities for floats. */
static uint64_t extreme(rp_dtype t, bool largest) {
  switch (rpi_dtype_kind(t)) {
    case RPI_KIND_B: return largest;
    case RPI_KIND_I: return (rpi_ir_value_ones(t) >> 1) + (largest ? 0 : 1);
    case RPI_KIND_U: return largest ? rpi_ir_value_ones(t) : 0;
    default: break;
  }
  double inf = largest ? __builtin_inf() : -__builtin_inf();
  return rpi_ir_value_cast(RP_F64, t, rpi_ir_value_of_f64(inf));
}

uint64_t rpi_ir_redop_identity(rpi_redop op, rp_dtype dtype) {
  bool is_float = rpi_dtype_kind(dtype) == RPI_KIND_F;
  switch (op) {
    case RPI_RED_SUM:
      return is_float ? rpi_ir_value_cast(RP_F64, dtype, rpi_ir_value_of_f64(-0.0)) : 0;
    case RPI_RED_PROD: return rpi_ir_value_cast(RP_I64, dtype, 1);
    case RPI_RED_MIN: return extreme(dtype, true);
    case RPI_RED_MAX: return extreme(dtype, false);
    case RPI_RED_AND: return dtype == RP_BOOL ? 1 : rpi_ir_value_ones(dtype);
    case RPI_RED_OR:
    case RPI_RED_XOR:
    case RPI_RED_ANY: return 0;
    case RPI_RED_ALL: return 1;
    case RPI_RED_ARGMIN:
    case RPI_RED_ARGMAX: return UINT64_MAX; /* no element yet */
    case RPI_N_RED: break;
  }
  rpi_assert(false);
  return 0;
}

uint64_t rpi_ir_redop_empty(rpi_redop op, rp_dtype dtype) {
  return op == RPI_RED_SUM ? 0 : rpi_ir_redop_identity(op, dtype);
}

/* ---- parameter words ----------------------------------------------------------------------- */

static int32_t stride_words(const rpi_ir *ir, int32_t o) {
  return ir->operand[o].kind == RPI_OPERAND_TABLE ? 2 * ir->operand[o].rank : ir->rank;
}

int32_t rpi_ir_layout_stride(const rpi_ir *ir, const rpi_ir_layout *l, int32_t o) {
  int32_t w = l->stride;
  for (int32_t i = 0; i < o; i++) w += stride_words(ir, i);
  return w;
}

void rpi_ir_layout_get(const rpi_ir *ir, rpi_ir_layout *out) {
  out->extent = 0;
  out->origin = ir->rank;
  out->ptr = 2 * ir->rank;
  out->stride = out->ptr + ir->n_operand;
  out->scalar = rpi_ir_layout_stride(ir, out, ir->n_operand);
  out->param = out->scalar + ir->n_scalar;
  out->uniform = out->param + ir->n_extent;
  out->partial = out->uniform + ir->n_pro;
  out->flag = out->partial + ir->n_red;
  out->values = out->flag + 1;
  out->board = out->values + 1;
  out->n_words = out->board + 1;
}

int64_t rpi_ir_values(const rpi_ir *ir) { return ir->n_pro + ir->n_ins - ir->n_body; }

/* ---- units --------------------------------------------------------------------------------- */

bool rpi_ir_row_mode(const rpi_ir *ir) {
  return ir->n_red > 0 && (ir->red[0].mask >> (ir->rank - 1) & 1) == 0;
}

static int64_t divide_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/* Number of rows (LEAF mode), or of pairs of a row leaf and a kept row (ROW mode). */
static int64_t unit_rows(const rpi_ir *ir, const int64_t *extent) {
  int32_t axis = 0;
  int64_t rows = 1;
  if (rpi_ir_row_mode(ir)) {
    for (; ir->red[0].mask >> axis & 1; axis++) rows *= extent[axis];
    rows = divide_up(rows, RPI_ROW_LEAF);
  }
  for (; axis < ir->rank - 1; axis++) rows *= extent[axis];
  return rows;
}

int64_t rpi_ir_units(const rpi_ir *ir, const int64_t *extent) {
  if (ir->rank == 0) return 0;
  return unit_rows(ir, extent) * divide_up(extent[ir->rank - 1], RPI_LEAF);
}

int64_t rpi_ir_partials(const rpi_ir *ir, const int64_t *extent) {
  if (ir->n_red == 0) return 0;
  if (!rpi_ir_row_mode(ir)) return rpi_ir_units(ir, extent);
  return unit_rows(ir, extent) * extent[ir->rank - 1];
}

/* ---- canonical bytes ----------------------------------------------------------------------- */

static void add_int(rpi_strbuf *out, uint64_t v, int32_t bytes) {
  char b[8];
  for (int32_t i = 0; i < bytes; i++) b[i] = (char)(v >> (8 * i) & 0xff);
  rpi_strbuf_addn(out, b, (size_t)bytes);
}

static void add_operand(rpi_strbuf *out, const rpi_ir_operand *o) {
  add_int(out, o->dtype, 1);
  add_int(out, o->kind, 1);
  add_int(out, o->rank, 1);
  add_int(out, o->access, 1);
  add_int(out, o->checked, 1);
  for (int32_t d = 0; d < RP_MAX_DIM; d++) add_int(out, o->sclass[d], 1);
}

static void add_red(rpi_strbuf *out, const rpi_ir_red *r) {
  add_int(out, r->operand, 2);
  add_int(out, r->op, 1);
  add_int(out, r->join, 1);
  add_int(out, r->mask, 1);
}

static void add_ins(rpi_strbuf *out, const rpi_ir *ir, const rpi_ir_ins *i) {
  add_int(out, i->op, 1);
  add_int(out, i->dtype, 1);
  add_int(out, i->n_src, 1);
  add_int(out, i->imm, 8);
  for (int32_t s = 0; s < i->n_src; s++) add_int(out, rpi_ir_src(ir, i, s), 2);
}

void rpi_ir_bytes(const rpi_ir *ir, rpi_strbuf *out) {
  const int32_t count[] = {ir->rank,      ir->n_ins, ir->n_pro,    ir->n_body,
                           ir->n_operand, ir->n_red, ir->n_scalar, ir->n_extent};
  for (int32_t i = 0; i < RPI_COUNT(count); i++) add_int(out, (uint64_t)count[i], 4);
  for (int32_t i = 0; i < ir->n_operand; i++) add_operand(out, &ir->operand[i]);
  for (int32_t i = 0; i < ir->n_red; i++) add_red(out, &ir->red[i]);
  for (int32_t i = 0; i < ir->n_scalar; i++) add_int(out, ir->scalar[i], 1);
  for (int32_t i = 0; i < ir->n_ins; i++) add_ins(out, ir, &ir->ins[i]);
}
