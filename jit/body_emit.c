/* SPDX-License-Identifier: Apache-2.0
 * jit/body_emit.c -- a bound body and the dtypes of its arguments to kernel IR.
 *
 * Lives here: operands, loads, loops, stores and reductions of one variant.
 * Not here:   what operators give (body_type.c); where operands lie (body_place.c).
 * How:        all LOADs first, one per distinct access, in order of appearance; then the values of
 *             the statements; then the STOREs and REDUCEs. So every read sees the state before.
 * Invariant:  values of lets that were made inside a loop are forgotten when it closes. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/model/dtype.h"
#include "jit/body_tree.h"

typedef rpi_body_value value;

typedef struct emitter {
  rpi_body *b;
  const rpi_body_facts *facts;
  uint8_t *dtype;
  rpi_body_variant_rec *rec;
  rpi_ir *ir;
  rpi_body_typer typer;
  const rpi_body_stmt *s;
  rpi_irval *load; /* per operand: its LOAD, or RPI_IR_NONE */
  int32_t cap_load;
  value *let; /* per let */
  bool *let_known;
  int32_t *known; /* stack of the lets that are known */
  int32_t n_known;
  struct open_loop {
    int32_t range;
    rpi_irval k;
  } * loop;
  int32_t n_loop, cap_loop;
} emitter;

#define type_fail(e, at, ...) rpi_body_lex_fail(RP_ERR_DTYPE, "body", (e)->b->text, at, __VA_ARGS__)

static rp_status emit(emitter *e, int32_t node, value *out);

static value strong(rpi_irval ins, rp_dtype dtype) {
  return (value){.ins = ins, .dtype = (uint8_t)dtype};
}

static rpi_irval emit_imm(emitter *e, rpi_irop op, rp_dtype dtype, uint64_t imm) {
  return rpi_ir_emit(e->ir, op, dtype, imm, 0, NULL);
}

/* Stops before the numbers of instructions run out. */
static rp_status check_size(emitter *e, int32_t at) {
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

static rp_status new_operand(emitter *e, int32_t access, uint8_t mask, uint8_t bits, int32_t *out) {
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
  return check_size(e, a->at);
}

/* The operand of that access, shared by all accesses that touch the same elements at each point. */
static rp_status operand_of(emitter *e, int32_t access, uint8_t bits, int32_t *out) {
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

static rp_status load_of(emitter *e, int32_t access, rpi_irval *out) {
  int32_t o = 0;
  RPI_TRY(operand_of(e, access, RPI_ACCESS_READ, &o));
  if (e->load[o] == RPI_IR_NONE) {
    e->load[o] = emit_imm(e, RPI_IR_LOAD, e->ir->operand[o].dtype, (uint64_t)o);
  }
  *out = e->load[o];
  return RP_OK;
}

static int32_t dest_access(const rpi_body_stmt *s) { return s->access + s->n_access - 1; }

static rp_status emit_loads(emitter *e) {
  rpi_irval unused;
  for (int32_t i = 0; i < e->b->n_stmt; i++) {
    const rpi_body_stmt *s = &e->b->stmt[i];
    for (int32_t a = s->access; a < dest_access(s); a++) {
      if (!e->b->access[a].table) RPI_TRY(load_of(e, a, &unused));
    }
    if (s->asg != RPI_ASG_SET && e->facts->mask[s->dest] == 0) {
      RPI_TRY(load_of(e, dest_access(s), &unused));
    }
  }
  return RP_OK;
}

/* ---- leaves of the tree */

static rp_status emit_extent(emitter *e, int32_t store, int32_t axis, rpi_irval *out) {
  rpi_body_variant_rec *rec = e->rec;
  int32_t i = 0;
  while (i < e->ir->n_extent && (rec->extent[i].store != store || rec->extent[i].axis != axis)) i++;
  if (i == e->ir->n_extent) {
    if (!RPI_BODY_ROOM(rec->extent, rec->cap_extent, i + 1)) {
      return rpi_status_nomem("extents of a body");
    }
    rec->extent[i] = (rpi_body_extent){store, axis};
    e->ir->n_extent++;
  }
  *out = emit_imm(e, RPI_IR_EXTENT, RP_I64, (uint64_t)i);
  return RP_OK;
}

static rpi_irval emit_index(emitter *e, int32_t logical) {
  return emit_imm(e, RPI_IR_INDEX, RP_I64, (uint64_t)e->facts->kaxis[logical]);
}

static rpi_irval emit_name(emitter *e, int32_t name) {
  for (int32_t i = e->n_loop - 1; i >= 0; i--) {
    if (e->b->range[e->loop[i].range].name == name) return e->loop[i].k;
  }
  int32_t d = 0;
  while (d < e->s->n_axis && e->s->axis[d] != name) d++;
  rpi_assert(d < e->s->n_axis);
  return emit_index(e, d);
}

static rp_status emit_store_read(emitter *e, const rpi_body_node *n, value *out) {
  const rpi_body_access *a = &e->b->access[n->access];
  rpi_irval src[RP_MAX_DIM];
  int32_t o = 0;
  if (!a->table) {
    RPI_TRY(load_of(e, n->access, &src[0]));
    *out = strong(src[0], e->dtype[a->store]);
    return RP_OK;
  }
  for (int32_t i = 0; i < n->n_kid; i++) {
    int32_t kid = e->b->kids[n->kid + i];
    value v;
    RPI_TRY(emit(e, kid, &v));
    int32_t kind = rpi_dtype_kind(v.dtype);
    if (kind != RPI_KIND_I && kind != RPI_KIND_U) {
      return type_fail(e, e->b->node[kid].at, "a subscript must be an integer, found %s",
                       rpi_dtype_name(v.dtype));
    }
    RPI_TRY(rpi_body_type_cast(&e->typer, e->b->node[kid].at, v, RP_I64, &v));
    src[i] = v.ins;
  }
  RPI_TRY(operand_of(e, n->access, RPI_ACCESS_READ, &o));
  rp_dtype dtype = e->dtype[a->store];
  *out = strong(rpi_ir_emit(e->ir, RPI_IR_GATHER, dtype, (uint64_t)o, n->n_kid, src), dtype);
  return RP_OK;
}

/* ---- lets */

static rp_status emit_let(emitter *e, int32_t let, value *out) {
  if (!e->let_known[let]) {
    RPI_TRY(emit(e, e->b->let[let].node, &e->let[let]));
    e->let_known[let] = true;
    e->known[e->n_known++] = let;
  }
  *out = e->let[let];
  return RP_OK;
}

static void forget_lets(emitter *e, int32_t mark) {
  while (e->n_known > mark) e->let_known[e->known[--e->n_known]] = false;
}

/* ---- reductions as loops */

/* The dtype in which a reduction accumulates elements like v. */
static rp_dtype accumulator(int32_t redop, const value *v) {
  int32_t kind = rpi_dtype_kind(v->dtype);
  if (redop == RPI_RED_ANY || redop == RPI_RED_ALL) return RP_BOOL;
  if (redop != RPI_RED_SUM && redop != RPI_RED_PROD) return v->dtype;
  return kind == RPI_KIND_F ? v->dtype : kind == RPI_KIND_U ? RP_U64 : RP_I64;
}

static rp_status push_loop(emitter *e, int32_t range, rpi_irval k) {
  if (!RPI_BODY_ROOM(e->loop, e->cap_loop, e->n_loop + 1)) {
    return rpi_status_nomem("loops of a body");
  }
  e->loop[e->n_loop++] = (struct open_loop){range, k};
  return RP_OK;
}

static rp_status emit_bound(emitter *e, int32_t node, rpi_irval *out) {
  value v;
  int32_t at = e->b->node[node].at;
  RPI_TRY(emit(e, node, &v));
  int32_t kind = rpi_dtype_kind(v.dtype);
  if (kind != RPI_KIND_I && kind != RPI_KIND_U) {
    return type_fail(e, at, "a bound must be an integer, found %s", rpi_dtype_name(v.dtype));
  }
  RPI_TRY(rpi_body_type_cast(&e->typer, at, v, RP_I64, &v));
  *out = v.ins;
  return RP_OK;
}

/* The extent that a range without `in` runs over. */
static rp_status emit_range_extent(emitter *e, int32_t range, rpi_irval *out) {
  const rpi_body *b = e->b;
  int32_t i = 0;
  while (i < b->n_use && b->use[i].range != range) i++;
  rpi_assert(i < b->n_use);
  return emit_extent(e, b->use[i].store, b->use[i].axis, out);
}

static rp_status emit_ranges(emitter *e, int32_t node, int32_t range, int32_t n, value *out);

static rp_status close_loop(emitter *e, int32_t redop, value v, value *out) {
  bool arg = redop == RPI_RED_ARGMIN || redop == RPI_RED_ARGMAX;
  rp_dtype dtype = arg ? RP_I64 : v.dtype;
  rpi_irval r = rpi_ir_emit(e->ir, RPI_IR_ENDLOOP, dtype, (uint64_t)redop, 1, &v.ins);
  *out = strong(r, dtype);
  return RP_OK;
}

static rp_status emit_element(emitter *e, int32_t node, value *out) {
  const rpi_body_node *n = &e->b->node[node];
  value v;
  RPI_TRY(emit(e, e->b->kids[n->kid], &v));
  if (n->op == RPI_RED_ANY || n->op == RPI_RED_ALL) {
    return rpi_body_type_bool(&e->typer, n->at, v, out);
  }
  return rpi_body_type_cast(&e->typer, n->at, v, accumulator(n->op, &v), out);
}

static rp_status emit_one_range(emitter *e, int32_t node, int32_t range, int32_t n, value *out) {
  const rpi_body_range *r = &e->b->range[range];
  rpi_irval src[2];
  rpi_looprule rule = r->lo >= 0 ? RPI_LOOP_SEGMENT : RPI_LOOP_AXIS;
  if (r->lo >= 0) {
    RPI_TRY(emit_bound(e, r->lo, &src[0]));
    RPI_TRY(emit_bound(e, r->hi, &src[1]));
  } else {
    src[0] = rpi_ir_const_i64(e->ir, RP_I64, 0);
    RPI_TRY(emit_range_extent(e, range, &src[1]));
  }
  int32_t mark = e->n_known;
  RPI_TRY(push_loop(e, range, rpi_ir_emit(e->ir, RPI_IR_LOOP, RP_I64, rule, 2, src)));
  RPI_TRY(emit_ranges(e, node, range + 1, n - 1, out));
  RPI_TRY(close_loop(e, e->b->node[node].op, *out, out));
  forget_lets(e, mark);
  e->n_loop--;
  return RP_OK;
}

/* Several extents: the outer ones as rows of one loop, the last axis inside. */
static rp_status emit_rows(emitter *e, int32_t node, int32_t range, int32_t n, value *out) {
  rpi_irval extent[RP_MAX_DIM], k[RP_MAX_DIM], src[2];
  for (int32_t i = 0; i < n - 1; i++) RPI_TRY(emit_range_extent(e, range + i, &extent[i]));
  src[0] = rpi_ir_const_i64(e->ir, RP_I64, 0);
  src[1] = extent[0];
  for (int32_t i = 1; i < n - 1; i++) {
    src[1] = rpi_ir_emit2(e->ir, RPI_IR_MUL, RP_I64, src[1], extent[i]);
  }
  int32_t mark = e->n_known;
  rpi_irval row = rpi_ir_emit(e->ir, RPI_IR_LOOP, RP_I64, RPI_LOOP_ROWS, 2, src);
  for (int32_t i = n - 2; i > 0; i--) {
    k[i] = rpi_ir_emit2(e->ir, RPI_IR_MOD, RP_I64, row, extent[i]);
    row = rpi_ir_emit2(e->ir, RPI_IR_FLOORDIV, RP_I64, row, extent[i]);
  }
  k[0] = row;
  for (int32_t i = 0; i < n - 1; i++) RPI_TRY(push_loop(e, range + i, k[i]));
  RPI_TRY(emit_one_range(e, node, range + n - 1, 1, out));
  RPI_TRY(close_loop(e, e->b->node[node].op, *out, out));
  forget_lets(e, mark);
  e->n_loop -= n - 1;
  return RP_OK;
}

/* The loops over n ranges from `range` on, or the element itself for none. */
static rp_status emit_ranges(emitter *e, int32_t node, int32_t range, int32_t n, value *out) {
  if (n == 0) return emit_element(e, node, out);
  bool rows = n > 1 && e->b->node[node].n_range == n;
  for (int32_t i = 0; i < n; i++) rows = rows && e->b->range[range + i].lo < 0;
  return rows ? emit_rows(e, node, range, n, out) : emit_one_range(e, node, range, n, out);
}

/* ---- the tree */

static rp_status emit_call(emitter *e, const rpi_body_node *n, value *out) {
  value arg[3];
  for (int32_t i = 0; i < n->n_kid; i++) RPI_TRY(emit(e, e->b->kids[n->kid + i], &arg[i]));
  return rpi_body_type_call(&e->typer, n->at, n->op, arg, out);
}

static rp_status emit_scalar(emitter *e, const rpi_body_node *n, value *out) {
  const rpi_body_param *p = &e->b->param[e->b->scalar[n->ref]];
  *out = strong(emit_imm(e, RPI_IR_SCALAR, p->dtype, (uint64_t)n->ref), p->dtype);
  out->weak = p->weak;
  return RP_OK;
}

static rp_status emit(emitter *e, int32_t node, value *out) {
  const rpi_body_node *n = &e->b->node[node];
  RPI_TRY(check_size(e, n->at));
  switch ((rpi_body_kind)n->kind) {
    case RPI_NODE_INT:
      *out =
          (value){.dtype = RP_I64, .weak = true, .literal = true, .i = n->v.u, .f = (double)n->v.u};
      return RP_OK;
    case RPI_NODE_FLOAT:
      *out = (value){.dtype = RP_F64, .weak = true, .literal = true, .f = n->v.f};
      return RP_OK;
    case RPI_NODE_STORE: return emit_store_read(e, n, out);
    case RPI_NODE_SCALAR: return emit_scalar(e, n, out);
    case RPI_NODE_LET: return emit_let(e, n->ref, out);
    case RPI_NODE_NAME: *out = strong(emit_name(e, n->ref), RP_I64); return RP_OK;
    case RPI_NODE_COORD:
      *out = strong(emit_index(e, n->ref < 0 ? n->ref + e->facts->rank : n->ref), RP_I64);
      return RP_OK;
    case RPI_NODE_EXTENT:
      *out = strong(0, RP_I64);
      return emit_extent(e, n->ref, (int32_t)(int64_t)n->v.u, &out->ins);
    case RPI_NODE_CALL: return emit_call(e, n, out);
    case RPI_NODE_CAST:
      RPI_TRY(emit(e, e->b->kids[n->kid], out));
      return rpi_body_type_cast(&e->typer, n->at, *out, n->op, out);
    case RPI_NODE_RED: return emit_ranges(e, node, n->ref, n->n_range, out);
  }
  return rpi_status_fail(RP_ERR_INTERNAL, "node %d of a body has no kind", node);
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

static rp_status check_redop(emitter *e, const rpi_body_stmt *s, rp_dtype to) {
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

/* The value of a statement in the dtype of its destination. */
static rp_status emit_value(emitter *e, const rpi_body_stmt *s, value *out) {
  const char *name = e->b->store_name[s->dest];
  int32_t at = e->b->node[s->rhs].at;
  value v;
  e->s = s;
  forget_lets(e, 0);
  for (int32_t a = s->access; a < dest_access(s); a++) {
    e->b->node[e->b->access[a].node].access = a;
  }
  RPI_TRY(emit(e, s->value, &v));
  if (s->fold && (s->redop == RPI_RED_ANY || s->redop == RPI_RED_ALL)) {
    RPI_TRY(rpi_body_type_bool(&e->typer, at, v, &v));
  }
  if (e->dtype[s->dest] == 0xff) {
    e->dtype[s->dest] = (uint8_t)(s->fold ? accumulator(s->redop, &v) : v.dtype);
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

static rp_status emit_write(emitter *e, const rpi_body_stmt *s, rpi_irval v) {
  uint8_t mask = kernel_mask(e->facts, e->facts->mask[s->dest]);
  rp_dtype dtype = e->dtype[s->dest];
  int32_t o = 0;
  if (mask == 0) {
    RPI_TRY(operand_of(e, dest_access(s), RPI_ACCESS_WRITE, &o));
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
static rp_status emit_stmts(emitter *e) {
  const rpi_body *b = e->b;
  rpi_irval sum[RPI_BODY_MAX_ARGS];
  int32_t last[RPI_BODY_MAX_ARGS];
  for (int32_t i = 0; i < RPI_BODY_MAX_ARGS; i++) last[i] = -1;
  for (int32_t i = 0; i < b->n_stmt; i++) {
    const rpi_body_stmt *s = &b->stmt[i];
    value v;
    RPI_TRY(emit_value(e, s, &v));
    bool first = last[s->dest] < 0;
    if (first && s->asg != RPI_ASG_SET && e->facts->mask[s->dest] == 0) {
      RPI_TRY(load_of(e, dest_access(s), &sum[s->dest]));
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
  return check_size(e, b->stmt[0].at);
}

static rp_status emit_all(emitter *e) {
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
  RPI_TRY(emit_loads(e));
  RPI_TRY(emit_stmts(e));
  e->ir->n_pro = 0;
  e->ir->n_body = e->ir->n_ins;
  return RP_OK;
}

rp_status rpi_body_emit(rpi_body *b, const rpi_body_facts *facts, uint8_t *dtype,
                        rpi_body_variant_rec *rec) {
  emitter e = {.b = b, .facts = facts, .dtype = dtype, .rec = rec, .ir = &rec->pub.ir};
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
