/* SPDX-License-Identifier: Apache-2.0
 * jit/body_emit.c -- a bound body and the dtypes of its arguments to kernel IR.
 *
 * Lives here: operands, loads, statements of one variant.
 * Not here:   expressions (body_value.c); what operators give (body_type.c); where operands lie
 *             (body_place.c).
 * How:        all LOADs first, one per distinct access, in order of appearance; then the values of
 *             the statements; then the STOREs and REDUCEs. So every read sees the state before. */
#include <string.h>

#include "core/base/alloc.h"
#include "jit/body_emit_impl.h"

rp_status rpi_body_emit_check(rpi_body_emitter *e, int32_t at) {
  if (e->ir->failed) return rpi_status_nomem("the kernel of a body");
  if (e->ir->n_ins > RPI_IR_MAX_INS - 64 || e->ir->n_operand > RPI_IR_MAX_OPERAND - 4) {
    return rpi_body_lex_fail(RP_ERR_BODY, "body", e->b->text, at,
                             "the body makes more than %d instructions or %d operands",
                             RPI_IR_MAX_INS - 64, RPI_IR_MAX_OPERAND - 4);
  }
  return RP_OK;
}

/* ---- operands */

static bool same_affine(const rpi_body_affine *a, const rpi_body_affine *b) {
  if (a->k != b->k || a->n_term != b->n_term) return false;
  if (memcmp(a->coef, b->coef, sizeof a->coef) != 0) return false;
  for (int32_t i = 0; i < a->n_term; i++) {
    if (a->term[i].coef != b->term[i].coef || a->term[i].store != b->term[i].store ||
        a->term[i].axis != b->term[i].axis) {
      return false;
    }
  }
  return true;
}

static bool same_access(const rpi_body *b, const rpi_body_access *p, const rpi_body_access *q) {
  if (p->store != q->store || p->table != q->table) return false;
  if (p->table || !b->indexed) return true;
  for (int32_t j = 0; j < p->n_sub; j++) {
    if (!same_affine(&b->affine[p->affine + j], &b->affine[q->affine + j])) return false;
  }
  return true;
}

static rp_status new_operand(rpi_body_emitter *e, int32_t access, uint8_t mask, uint8_t bits,
                             int32_t *out) {
  const rpi_body_access *a = &e->b->access[access];
  rpi_body_variant_rec *rec = e->rec;
  rpi_ir_operand o;
  memset(&o, 0, sizeof o);
  o.dtype = e->dtype[a->store];
  o.kind = a->table ? RPI_OPERAND_TABLE : RPI_OPERAND_AFFINE;
  o.rank = (uint8_t)(a->table ? a->n_sub : e->ir->rank);
  o.access = bits;
  o.checked = a->table;
  for (int32_t d = 0; d < o.rank; d++) {
    o.sclass[d] = (mask >> d & 1) != 0 ? RPI_STRIDE_ZERO : RPI_STRIDE_ANY;
  }
  int32_t n = e->ir->n_operand;
  if (!RPI_BODY_ROOM(rec->operand, rec->cap_operand, n + 1) ||
      !RPI_BODY_ROOM(rec->access, rec->cap_access, n + 1) ||
      !RPI_BODY_ROOM(e->load, e->cap_load, n + 1)) {
    return rpi_status_nomem("operands of a body");
  }
  rec->operand[n].arg = a->store;
  rec->access[n] = access;
  e->load[n] = RPI_IR_NONE;
  *out = rpi_ir_operand_add(e->ir, &o);
  return rpi_body_emit_check(e, a->at);
}

rp_status rpi_body_emit_operand(rpi_body_emitter *e, int32_t access, uint8_t bits, int32_t *out) {
  const rpi_body_access *a = &e->b->access[access];
  for (int32_t o = 0; o < e->ir->n_operand; o++) {
    if (same_access(e->b, a, &e->b->access[e->rec->access[o]])) {
      e->ir->operand[o].access |= bits;
      *out = o;
      return RP_OK;
    }
  }
  return new_operand(e, access, 0, bits, out);
}

rp_status rpi_body_emit_load(rpi_body_emitter *e, int32_t access, rpi_irval *out) {
  int32_t o = 0;
  RPI_TRY(rpi_body_emit_operand(e, access, RPI_ACCESS_READ, &o));
  if (e->load[o] == RPI_IR_NONE) {
    e->load[o] = rpi_ir_emit(e->ir, RPI_IR_LOAD, e->ir->operand[o].dtype, (uint64_t)o, 0, NULL);
  }
  *out = e->load[o];
  return RP_OK;
}

static int32_t dest_access(const rpi_body_stmt *s) { return s->access + s->n_access - 1; }

static rp_status emit_loads(rpi_body_emitter *e) {
  rpi_irval unused;
  for (int32_t i = 0; i < e->b->n_stmt; i++) {
    const rpi_body_stmt *s = &e->b->stmt[i];
    for (int32_t a = s->access; a < dest_access(s); a++) {
      if (!e->b->access[a].table) RPI_TRY(rpi_body_emit_load(e, a, &unused));
    }
    if (s->asg != RPI_ASG_SET && e->facts->mask[s->dest] == 0) {
      RPI_TRY(rpi_body_emit_load(e, dest_access(s), &unused));
    }
  }
  return RP_OK;
}

/* ---- statements */

static const struct {
  rpi_irop op;
  const char *sign;
} redop_table[] = {
    [RPI_RED_SUM] = {RPI_IR_ADD, "+="},   [RPI_RED_PROD] = {RPI_IR_MUL, "*="},
    [RPI_RED_MIN] = {RPI_IR_MIN, "min="}, [RPI_RED_MAX] = {RPI_IR_MAX, "max="},
    [RPI_RED_AND] = {RPI_IR_AND, "&="},   [RPI_RED_OR] = {RPI_IR_OR, "|="},
    [RPI_RED_XOR] = {RPI_IR_XOR, "^="},
};

static rp_status check_redop(rpi_body_emitter *e, const rpi_body_stmt *s, rp_dtype to) {
  int32_t kind = rpi_dtype_kind(to);
  const char *name = e->b->store_name[s->dest];
  if (s->redop == RPI_ASG_SET) return RP_OK;
  if (s->redop == RPI_RED_ANY || s->redop == RPI_RED_ALL) {
    if (kind == RPI_KIND_B) return RP_OK;
    return type_fail(e, s->at, "any and all give bool, but '%s' is %s: write %s(any(...) ...)",
                     name, rpi_dtype_name(to), rpi_dtype_name(to));
  }
  bool arithmetic = s->redop == RPI_RED_SUM || s->redop == RPI_RED_PROD;
  bool bits = s->redop == RPI_RED_AND || s->redop == RPI_RED_OR || s->redop == RPI_RED_XOR;
  if ((arithmetic && kind == RPI_KIND_B) || (bits && kind == RPI_KIND_F)) {
    return type_fail(e, s->at, "%s does not take '%s', which is %s", redop_table[s->redop].sign,
                     name, rpi_dtype_name(to));
  }
  return RP_OK;
}

rpi_irop rpi_body_emit_redop(int32_t redop) { return redop_table[redop].op; }

void rpi_body_emit_enter(rpi_body_emitter *e, const rpi_body_stmt *s) {
  e->s = s;
  rpi_body_value_forget(e, 0);
  for (int32_t a = s->access; a < dest_access(s); a++) {
    e->b->node[e->b->access[a].node].access = a;
  }
}

rp_status rpi_body_emit_value(rpi_body_emitter *e, const rpi_body_stmt *s, rpi_body_value *out) {
  const char *name = e->b->store_name[s->dest];
  int32_t at = e->b->node[s->rhs].at;
  rpi_body_value v;
  rpi_body_emit_enter(e, s);
  RPI_TRY(rpi_body_value_emit(e, s->value, &v));
  if (s->fold && (s->redop == RPI_RED_ANY || s->redop == RPI_RED_ALL)) {
    RPI_TRY(rpi_body_type_bool(&e->typer, at, v, &v));
  }
  if (e->dtype[s->dest] == 0xff) {
    e->dtype[s->dest] = (uint8_t)(s->fold ? rpi_body_value_accumulator(s->redop, &v) : v.dtype);
  }
  rp_dtype to = e->dtype[s->dest];
  RPI_TRY(check_redop(e, s, to));
  if (!rpi_body_type_storable(&v, to)) {
    if (v.literal) return rpi_body_type_convert(&e->typer, at, v, to, out);
    return type_fail(e, at, "'%s' is %s, which cannot hold every %s%s: write %s(...)", name,
                     rpi_dtype_name(to), v.weak ? "weak " : "", rpi_dtype_name(v.dtype),
                     rpi_dtype_name(to));
  }
  return rpi_body_type_cast(&e->typer, at, v, to, out);
}

static uint8_t kernel_mask(const rpi_body_facts *f, uint8_t logical) {
  uint8_t mask = 0;
  for (int32_t k = 0; k < f->rank; k++) {
    if ((logical >> f->perm[k] & 1) != 0) mask |= (uint8_t)(1u << k);
  }
  return mask;
}

static rp_status emit_write(rpi_body_emitter *e, const rpi_body_stmt *s, rpi_irval v) {
  uint8_t mask = kernel_mask(e->facts, e->facts->mask[s->dest]);
  rp_dtype dtype = e->dtype[s->dest];
  int32_t o = 0;
  if (mask == 0) {
    RPI_TRY(rpi_body_emit_operand(e, dest_access(s), RPI_ACCESS_WRITE, &o));
    rpi_ir_emit(e->ir, RPI_IR_STORE, dtype, (uint64_t)o, 1, &v);
    return RP_OK;
  }
  RPI_TRY(new_operand(e, dest_access(s), mask, RPI_ACCESS_REDUCE, &o));
  rpi_ir_red r = {(uint16_t)o, (uint8_t)s->redop, s->asg != RPI_ASG_SET, mask};
  int32_t n = rpi_ir_red_add(e->ir, &r);
  rpi_ir_emit(e->ir, RPI_IR_REDUCE, dtype, (uint64_t)n, 1, &v);
  return RP_OK;
}

/* All values, then all writes. Statements that write one store are combined in order. */
static rp_status emit_stmts(rpi_body_emitter *e) {
  const rpi_body *b = e->b;
  rpi_irval sum[RPI_BODY_MAX_ARGS];
  int32_t last[RPI_BODY_MAX_ARGS];
  for (int32_t i = 0; i < RPI_BODY_MAX_ARGS; i++) last[i] = -1;
  for (int32_t i = 0; i < b->n_stmt; i++) {
    const rpi_body_stmt *s = &b->stmt[i];
    rpi_body_value v;
    RPI_TRY(rpi_body_emit_value(e, s, &v));
    bool first = last[s->dest] < 0;
    if (first && s->asg != RPI_ASG_SET && e->facts->mask[s->dest] == 0) {
      RPI_TRY(rpi_body_emit_load(e, dest_access(s), &sum[s->dest]));
      first = false;
    }
    if (!first) {
      v.ins = rpi_ir_emit2(e->ir, redop_table[s->redop].op, e->dtype[s->dest], sum[s->dest], v.ins);
    }
    sum[s->dest] = v.ins;
    last[s->dest] = i;
  }
  for (int32_t i = 0; i < b->n_stmt; i++) {
    if (last[b->stmt[i].dest] == i) RPI_TRY(emit_write(e, &b->stmt[i], sum[b->stmt[i].dest]));
  }
  return rpi_body_emit_check(e, b->stmt[0].at);
}

static rp_status emit_all(rpi_body_emitter *e) {
  const rpi_body *b = e->b;
  e->let = rpi_alloc_zero((size_t)(b->n_let + 1) * sizeof *e->let);
  e->let_known = rpi_alloc_zero((size_t)(b->n_let + 1) * sizeof *e->let_known);
  e->known = rpi_alloc_zero((size_t)(b->n_let + 1) * sizeof *e->known);
  if (e->let == NULL || e->let_known == NULL || e->known == NULL) {
    return rpi_status_nomem("lets of a body");
  }
  for (int32_t i = 0; i < b->n_scalar; i++) {
    rpi_ir_scalar_add(e->ir, b->param[b->scalar[i]].dtype);
  }
  if (b->stmt[0].scatter) {
    RPI_TRY(rpi_body_scatter_emit(e));
  } else {
    RPI_TRY(emit_loads(e));
    RPI_TRY(emit_stmts(e));
  }
  e->ir->n_pro = 0;
  e->ir->n_body = e->ir->n_ins;
  return RP_OK;
}

rp_status rpi_body_emit(rpi_body *b, const rpi_body_facts *facts, uint8_t *dtype,
                        rpi_body_variant_rec *rec) {
  rpi_body_emitter e = {.b = b, .facts = facts, .dtype = dtype, .rec = rec, .ir = &rec->pub.ir};
  rpi_ir_init(e.ir, facts->rank > 0 ? facts->rank : 1);
  e.typer = (rpi_body_typer){e.ir, b};
  rp_status status = emit_all(&e);
  rpi_alloc_free(e.load);
  rpi_alloc_free(e.let);
  rpi_alloc_free(e.let_known);
  rpi_alloc_free(e.known);
  rpi_alloc_free(e.loop);
  return status;
}
