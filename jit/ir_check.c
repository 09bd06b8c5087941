/* SPDX-License-Identifier: Apache-2.0
 * jit/ir_check.c -- the validator of the kernel IR.
 *
 * Lives here: everything ir.h's head comment and ir_ops.def promise, as checks with a sentence each.
 * Not here:   repairs. A failed check is an error of whoever built the IR, not of the user.
 * How:        tables first (operands, scalars, reductions), then one walk over the instructions with
 *             a stack of open loops. A value is visible while the scope it was made in is open:
 *             scope 0 is the prologue (never closes), 1 the section at hand, 2 + i the LOOP at i.
 * Allowed:    a READ bit without a LOAD (passes remove loads, operands keep their numbers), several
 *             reductions into one operand if all but the first join. */
#include <string.h>

#include "core/base/alloc.h"
#include "jit/ir.h"
#include "jit/ir_value.h"

enum { SECTION_PRO, SECTION_BODY, SECTION_EPI };
enum { SCOPE_PRO = 0, SCOPE_SECTION = 1, SCOPE_LOOP = 2, SCOPE_GONE = -1 };

typedef struct checker {
  const rpi_ir *ir;
  int32_t at;
  int32_t section;
  int32_t scope;    /* innermost */
  int32_t *made_in; /* scope of each value; SCOPE_GONE once it has closed */
  int32_t *parent;  /* of the LOOP at an index: the scope around it */
  bool *closed;     /* the LOOP at an index has met its ENDLOOP */
  uint8_t *used;    /* RPI_ACCESS_ bits seen, per operand */
  bool *reduced;    /* per reduction */
} checker;

static const rpi_ir_ins *ins_at(const checker *c) { return &c->ir->ins[c->at]; }

#define BAD(c, fmt, ...) \
  rpi_status_fail(RP_ERR_INTERNAL, "kernel instruction %d (%s): " fmt, (int)(c)->at, \
                  rpi_ir_op_name((rpi_irop)ins_at(c)->op), __VA_ARGS__)

/* ---- tables -------------------------------------------------------------------------------- */

static bool redop_takes(int32_t op, rp_dtype t) {
  int32_t kind = rpi_dtype_kind(t);
  switch (op) {
    case RPI_RED_SUM:
    case RPI_RED_PROD: return kind != RPI_KIND_B;
    case RPI_RED_AND:
    case RPI_RED_OR:
    case RPI_RED_XOR: return kind != RPI_KIND_F;
    case RPI_RED_ANY:
    case RPI_RED_ALL: return kind == RPI_KIND_B;
    default: return true;
  }
}

static rp_status check_operand(const rpi_ir *ir, int32_t n) {
  const rpi_ir_operand *o = &ir->operand[n];
  if (!rpi_dtype_valid(o->dtype)) {
    return rpi_status_fail(RP_ERR_INTERNAL, "kernel operand %d: dtype %d", (int)n, o->dtype);
  }
  if (o->kind > RPI_OPERAND_TABLE || o->checked > (o->kind == RPI_OPERAND_TABLE)) {
    return rpi_status_fail(RP_ERR_INTERNAL, "kernel operand %d: kind %d with checked %d", (int)n,
                           o->kind, o->checked);
  }
  if (o->kind == RPI_OPERAND_AFFINE ? o->rank != ir->rank : o->rank < 1 || o->rank > RP_MAX_DIM) {
    return rpi_status_fail(RP_ERR_INTERNAL, "kernel operand %d: rank %d in a space of rank %d",
                           (int)n, o->rank, (int)ir->rank);
  }
  int32_t may = o->kind == RPI_OPERAND_TABLE
                    ? RPI_ACCESS_READ
                    : RPI_ACCESS_READ | RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE;
  if (o->access & ~may) {
    return rpi_status_fail(RP_ERR_INTERNAL, "kernel operand %d: access bits %d", (int)n, o->access);
  }
  for (int32_t d = 0; d < RP_MAX_DIM; d++) {
    bool fits = d >= o->rank ? o->sclass[d] == RPI_STRIDE_ZERO : o->sclass[d] <= RPI_STRIDE_ANY;
    if (!fits || (o->sclass[d] == RPI_STRIDE_UNIT && d != o->rank - 1)) {
      return rpi_status_fail(RP_ERR_INTERNAL, "kernel operand %d: stride class %d on axis %d",
                             (int)n, o->sclass[d], (int)d);
    }
  }
  return RP_OK;
}

static rp_status check_red(const rpi_ir *ir, int32_t n) {
  const rpi_ir_red *r = &ir->red[n];
  if (r->operand >= ir->n_operand || r->op > RPI_RED_ALL || r->join > 1) {
    return rpi_status_fail(RP_ERR_INTERNAL, "kernel reduction %d: operand %d, op %d, join %d",
                           (int)n, r->operand, r->op, r->join);
  }
  const rpi_ir_operand *o = &ir->operand[r->operand];
  if (o->kind != RPI_OPERAND_AFFINE || !(o->access & RPI_ACCESS_REDUCE)) {
    return rpi_status_fail(RP_ERR_INTERNAL,
                           "kernel reduction %d: operand %d is not an affine one to reduce into",
                           (int)n, r->operand);
  }
  if (!redop_takes(r->op, o->dtype)) {
    return rpi_status_fail(RP_ERR_INTERNAL, "kernel reduction %d: %s of %s", (int)n,
                           rpi_ir_redop_name((rpi_redop)r->op), rpi_dtype_name(o->dtype));
  }
  bool leaf = ir->rank > 0 && r->mask >> (ir->rank - 1) & 1;
  bool prefix = (r->mask & (r->mask + 1)) == 0;
  if (ir->rank == 0 || r->mask == 0 || r->mask >> ir->rank || (!leaf && !prefix)) {
    return rpi_status_fail(RP_ERR_INTERNAL,
                           "kernel reduction %d: axes mask %#x in a space of rank %d", (int)n,
                           r->mask, (int)ir->rank);
  }
  if (leaf == rpi_ir_row_mode(ir) || (!leaf && r->mask != ir->red[0].mask)) {
    return rpi_status_fail(RP_ERR_INTERNAL,
                           "kernel reduction %d: axes mask %#x beside %#x of reduction 0", (int)n,
                           r->mask, ir->red[0].mask);
  }
  for (int32_t d = 0; d < ir->rank; d++) {
    if (r->mask >> d & 1 && o->sclass[d] != RPI_STRIDE_ZERO) {
      return rpi_status_fail(RP_ERR_INTERNAL,
                             "kernel reduction %d: operand %d steps along the reduced axis %d",
                             (int)n, r->operand, (int)d);
    }
  }
  return RP_OK;
}

static rp_status check_counts(const rpi_ir *ir) {
  if (ir->rank < 0 || ir->rank > RP_MAX_DIM) {
    return rpi_status_fail(RP_ERR_INTERNAL, "kernel of rank %d", (int)ir->rank);
  }
  if (ir->n_pro < 0 || ir->n_pro > ir->n_body || ir->n_body > ir->n_ins ||
      ir->n_ins > RPI_IR_MAX_INS) {
    return rpi_status_fail(RP_ERR_INTERNAL,
                           "kernel sections end at %d, %d and %d of at most %d instructions",
                           (int)ir->n_pro, (int)ir->n_body, (int)ir->n_ins, RPI_IR_MAX_INS);
  }
  if (ir->n_operand < 0 || ir->n_operand > RPI_IR_MAX_OPERAND || ir->n_scalar < 0 ||
      ir->n_extent < 0 || ir->n_red < 0 || ir->n_red > RPI_IR_MAX_OPERAND) {
    return rpi_status_fail(
        RP_ERR_INTERNAL, "kernel with %d operands, %d scalars, %d extents, %d reductions",
        (int)ir->n_operand, (int)ir->n_scalar, (int)ir->n_extent, (int)ir->n_red);
  }
  if (ir->rank == 0 && ir->n_body > ir->n_pro) {
    return rpi_status_fail(RP_ERR_INTERNAL, "kernel of rank 0 with a body of %d instructions",
                           (int)(ir->n_body - ir->n_pro));
  }
  return RP_OK;
}

static rp_status check_tables(const rpi_ir *ir) {
  for (int32_t i = 0; i < ir->n_operand; i++) RPI_TRY(check_operand(ir, i));
  for (int32_t i = 0; i < ir->n_scalar; i++) {
    if (!rpi_dtype_valid(ir->scalar[i])) {
      return rpi_status_fail(RP_ERR_INTERNAL, "kernel scalar %d: dtype %d", (int)i, ir->scalar[i]);
    }
  }
  for (int32_t i = 0; i < ir->n_red; i++) RPI_TRY(check_red(ir, i));
  return RP_OK;
}

/* ---- instructions -------------------------------------------------------------------------- */

static rp_dtype src_dtype(const checker *c, int32_t n) {
  return c->ir->ins[rpi_ir_src(c->ir, ins_at(c), n)].dtype;
}

static rp_status check_sources(const checker *c) {
  const rpi_ir_ins *i = ins_at(c);
  int32_t want = rpi_ir_op_n_src((rpi_irop)i->op);
  if (want >= 0 && i->n_src != want) {
    return BAD(c, "%d sources instead of %d", i->n_src, (int)want);
  }
  if (c->ir->n_src < i->n_src || i->src > (uint32_t)(c->ir->n_src - i->n_src)) {
    return BAD(c, "sources at %u of %d", i->src, (int)c->ir->n_src);
  }
  for (int32_t s = 0; s < i->n_src; s++) {
    int32_t v = rpi_ir_src(c->ir, i, s);
    if (v >= c->at) return BAD(c, "source %%%d is not made before", (int)v);
    if (rpi_ir_op_result((rpi_irop)c->ir->ins[v].op) == 'N') {
      return BAD(c, "source %%%d has no value", (int)v);
    }
    if (c->made_in[v] == SCOPE_GONE ||
        (c->made_in[v] >= SCOPE_LOOP && c->closed[c->made_in[v] - SCOPE_LOOP])) {
      return BAD(c, "source %%%d is not visible here", (int)v);
    }
  }
  return RP_OK;
}

/* A compute instruction: kinds and dtypes as ir_ops.def says. */
static rp_status check_compute(const checker *c) {
  const rpi_ir_ins *i = ins_at(c);
  rpi_irop op = (rpi_irop)i->op;
  if (i->imm != 0) return BAD(c, "an immediate %llu", (unsigned long long)i->imm);
  if (!rpi_ir_op_takes(op, src_dtype(c, 0))) {
    return BAD(c, "does not take %s", rpi_dtype_name(src_dtype(c, 0)));
  }
  if (op == RPI_IR_CAST) return RP_OK;
  int32_t first = op == RPI_IR_SELECT ? 1 : 0;
  rp_dtype t = src_dtype(c, first);
  for (int32_t s = first + 1; s < i->n_src; s++) {
    if (src_dtype(c, s) != t) {
      return BAD(c, "sources of %s and %s", rpi_dtype_name(t), rpi_dtype_name(src_dtype(c, s)));
    }
  }
  rp_dtype want = rpi_ir_op_result(op) == 'B' ? RP_BOOL : t;
  if (i->dtype != want) {
    return BAD(c, "a result of %s instead of %s", rpi_dtype_name(i->dtype), rpi_dtype_name(want));
  }
  return RP_OK;
}

static rp_status check_leaf(const checker *c) {
  const rpi_ir_ins *i = ins_at(c);
  unsigned long long imm = i->imm;
  if (i->op == RPI_IR_CONST) {
    uint64_t ones = i->dtype == RP_BOOL ? 1 : rpi_ir_value_ones(i->dtype);
    return imm & ~ones ? BAD(c, "bits %#llx are no %s", imm, rpi_dtype_name(i->dtype)) : RP_OK;
  }
  if (i->op == RPI_IR_SCALAR) {
    if (imm >= (uint64_t)c->ir->n_scalar) return BAD(c, "there is no scalar %llu", imm);
    return c->ir->scalar[imm] == i->dtype
               ? RP_OK
               : BAD(c, "scalar %llu is not %s", imm, rpi_dtype_name(i->dtype));
  }
  if (i->dtype != RP_I64) return BAD(c, "is %s, not i64", rpi_dtype_name(i->dtype));
  if (i->op == RPI_IR_EXTENT) {
    return imm < (uint64_t)c->ir->n_extent ? RP_OK : BAD(c, "there is no extent %llu", imm);
  }
  if (c->section != SECTION_BODY) return BAD(c, "outside %s", "the body");
  return imm < (uint64_t)c->ir->rank ? RP_OK : BAD(c, "there is no axis %llu", imm);
}

static bool all_zero(const rpi_ir_operand *o) {
  for (int32_t d = 0; d < o->rank; d++) {
    if (o->sclass[d] != RPI_STRIDE_ZERO) return false;
  }
  return true;
}

/* LOAD, GATHER and STORE. */
static rp_status check_memory(checker *c) {
  const rpi_ir_ins *i = ins_at(c);
  if (i->imm >= (uint64_t)c->ir->n_operand) {
    return BAD(c, "there is no operand %llu", (unsigned long long)i->imm);
  }
  int32_t n = (int32_t)i->imm;
  const rpi_ir_operand *o = &c->ir->operand[n];
  int32_t kind = i->op == RPI_IR_GATHER ? RPI_OPERAND_TABLE : RPI_OPERAND_AFFINE;
  int32_t bit = i->op == RPI_IR_STORE ? RPI_ACCESS_WRITE : RPI_ACCESS_READ;
  if (o->kind != kind) return BAD(c, "operand %d is of the wrong kind", (int)n);
  if (!(o->access & bit)) return BAD(c, "operand %d is not declared for it", (int)n);
  if (o->dtype != i->dtype) return BAD(c, "operand %d has another dtype", (int)n);
  c->used[n] |= (uint8_t)bit;
  if (i->op == RPI_IR_GATHER) {
    if (c->section != SECTION_BODY) return BAD(c, "outside %s", "the body");
    if (i->n_src != o->rank) return BAD(c, "%d indices for %d axes", i->n_src, o->rank);
    for (int32_t s = 0; s < i->n_src; s++) {
      if (src_dtype(c, s) != RP_I64) return BAD(c, "index %d is not i64", (int)s);
    }
    return RP_OK;
  }
  if (c->section != SECTION_BODY && !all_zero(o)) {
    return BAD(c, "operand %d has strides outside the body", (int)n);
  }
  if (i->op == RPI_IR_LOAD) return RP_OK;
  if (src_dtype(c, 0) != i->dtype) return BAD(c, "stores a %s", rpi_dtype_name(src_dtype(c, 0)));
  return c->scope >= SCOPE_LOOP ? BAD(c, "inside %s", "a loop") : RP_OK;
}

static rp_status check_reduce(checker *c) {
  const rpi_ir_ins *i = ins_at(c);
  if (i->imm >= (uint64_t)c->ir->n_red) {
    return BAD(c, "there is no reduction %llu", (unsigned long long)i->imm);
  }
  const rpi_ir_red *r = &c->ir->red[i->imm];
  if (c->section != SECTION_BODY || c->scope >= SCOPE_LOOP) {
    return BAD(c, "outside %s", "the body, or inside a loop");
  }
  if (c->reduced[i->imm]) return BAD(c, "reduction %d a second time", (int)i->imm);
  c->reduced[i->imm] = true;
  if ((c->used[r->operand] & RPI_ACCESS_REDUCE) && !r->join) {
    return BAD(c, "operand %d is reduced into before, and not joined", r->operand);
  }
  c->used[r->operand] |= RPI_ACCESS_REDUCE;
  rp_dtype t = c->ir->operand[r->operand].dtype;
  if (i->dtype != t || src_dtype(c, 0) != t) {
    return BAD(c, "of %s into %s", rpi_dtype_name(src_dtype(c, 0)), rpi_dtype_name(t));
  }
  return RP_OK;
}

static rp_status check_loop(checker *c) {
  const rpi_ir_ins *i = ins_at(c);
  if (c->section != SECTION_BODY) return BAD(c, "outside %s", "the body");
  if (i->imm > RPI_LOOP_ROWS) return BAD(c, "rule %llu", (unsigned long long)i->imm);
  if (i->dtype != RP_I64 || src_dtype(c, 0) != RP_I64 || src_dtype(c, 1) != RP_I64) {
    return BAD(c, "bounds of %s", rpi_dtype_name(src_dtype(c, 0)));
  }
  c->parent[c->at] = c->scope;
  c->scope = SCOPE_LOOP + c->at;
  return RP_OK;
}

static rp_status check_endloop(checker *c) {
  const rpi_ir_ins *i = ins_at(c);
  if (c->scope < SCOPE_LOOP) return BAD(c, "closes %s", "no loop");
  if (i->imm >= RPI_N_RED) return BAD(c, "operator %llu", (unsigned long long)i->imm);
  rp_dtype element = src_dtype(c, 0);
  bool arg = i->imm == RPI_RED_ARGMIN || i->imm == RPI_RED_ARGMAX;
  if (!redop_takes((int32_t)i->imm, element) || i->dtype != (arg ? RP_I64 : element)) {
    return BAD(c, "%s of %s as %s", rpi_ir_redop_name((rpi_redop)i->imm), rpi_dtype_name(element),
               rpi_dtype_name(i->dtype));
  }
  int32_t loop = c->scope - SCOPE_LOOP;
  c->closed[loop] = true;
  c->scope = c->parent[loop];
  return RP_OK;
}

static rp_status check_ins(checker *c) {
  const rpi_ir_ins *i = ins_at(c);
  if (i->op >= RPI_IR_N_OPS || !rpi_dtype_valid(i->dtype)) {
    return BAD(c, "operation %d of dtype %d", i->op, i->dtype);
  }
  RPI_TRY(check_sources(c));
  switch (i->op) {
    case RPI_IR_CONST:
    case RPI_IR_SCALAR:
    case RPI_IR_INDEX:
    case RPI_IR_EXTENT: return check_leaf(c);
    case RPI_IR_LOAD:
    case RPI_IR_GATHER:
    case RPI_IR_STORE: return check_memory(c);
    case RPI_IR_REDUCE: return check_reduce(c);
    case RPI_IR_LOOP: return check_loop(c);
    case RPI_IR_ENDLOOP: return check_endloop(c);
    default: return check_compute(c);
  }
}

/* Values of a section that ends are gone, but for the prologue's. */
static rp_status end_section(checker *c) {
  if (c->scope >= SCOPE_LOOP) {
    return rpi_status_fail(RP_ERR_INTERNAL, "kernel instruction %d (loop) is not closed",
                           (int)(c->scope - SCOPE_LOOP));
  }
  if (c->section == SECTION_BODY) {
    for (int32_t v = c->ir->n_pro; v < c->ir->n_body; v++) c->made_in[v] = SCOPE_GONE;
  }
  c->section++;
  c->scope = SCOPE_SECTION;
  return RP_OK;
}

static rp_status check_uses(const checker *c) {
  for (int32_t r = 0; r < c->ir->n_red; r++) {
    if (!c->reduced[r]) {
      return rpi_status_fail(RP_ERR_INTERNAL, "kernel reduction %d has no instruction", (int)r);
    }
  }
  for (int32_t o = 0; o < c->ir->n_operand; o++) {
    if (c->ir->operand[o].access & ~RPI_ACCESS_READ & ~c->used[o]) {
      return rpi_status_fail(RP_ERR_INTERNAL, "kernel operand %d is declared as written but is not",
                             (int)o);
    }
  }
  return RP_OK;
}

static rp_status check_code(checker *c) {
  c->section = SECTION_PRO;
  c->scope = SCOPE_PRO;
  for (c->at = 0; c->at < c->ir->n_ins; c->at++) {
    if (c->section == SECTION_PRO && c->at == c->ir->n_pro) RPI_TRY(end_section(c));
    if (c->section == SECTION_BODY && c->at == c->ir->n_body) RPI_TRY(end_section(c));
    RPI_TRY(check_ins(c));
    c->made_in[c->at] = c->scope;
  }
  RPI_TRY(end_section(c));
  return check_uses(c);
}

rp_status rpi_ir_check(const rpi_ir *ir) {
  if (ir->failed) return rpi_status_nomem("a kernel's IR");
  RPI_TRY(check_counts(ir));
  RPI_TRY(check_tables(ir));
  size_t n = (size_t)ir->n_ins, n_operand = (size_t)ir->n_operand, n_red = (size_t)ir->n_red;
  char *memory = rpi_alloc_zero(n * (2 * sizeof(int32_t) + sizeof(bool)) + n_operand + n_red);
  if (!memory) return rpi_status_nomem("the check of a kernel's IR");
  checker c = {.ir = ir, .made_in = (int32_t *)(void *)memory};
  c.parent = c.made_in + n;
  c.closed = (bool *)(c.parent + n);
  c.reduced = c.closed + n;
  c.used = (uint8_t *)(c.reduced + n_red);
  rp_status status = check_code(&c);
  rpi_alloc_free(memory);
  return status;
}
