/* SPDX-License-Identifier: Apache-2.0
 * jit/body_value.c -- the value of an expression of a body: leaves, lets, reductions as loops.
 *
 * Not here:   what operators give (body_type.c); statements (body_emit.c).
 * Invariant:  values of lets that were made inside a loop are forgotten when it closes. */
#include "jit/body_emit_impl.h"

static rpi_body_value strong(rpi_irval ins, rp_dtype dtype) {
  return (rpi_body_value){.ins = ins, .dtype = (uint8_t)dtype};
}

static rpi_irval emit_imm(rpi_body_emitter *e, rpi_irop op, rp_dtype dtype, uint64_t imm) {
  return rpi_ir_emit(e->ir, op, dtype, imm, 0, NULL);
}

/* ---- leaves of the tree */

rp_status rpi_body_value_extent(rpi_body_emitter *e, int32_t store, int32_t axis, rpi_irval *out) {
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

static rpi_irval emit_index(rpi_body_emitter *e, int32_t logical) {
  if (e->at_point) return e->point[logical];
  return emit_imm(e, RPI_IR_INDEX, RP_I64, (uint64_t)e->facts->kaxis[logical]);
}

static int32_t rank_of(const rpi_body_emitter *e) {
  return e->at_point ? e->s->n_axis : e->facts->rank;
}

static rpi_irval emit_name(rpi_body_emitter *e, int32_t name) {
  for (int32_t i = e->n_loop - 1; i >= 0; i--) {
    if (e->b->range[e->loop[i].range].name == name) return e->loop[i].k;
  }
  int32_t d = 0;
  while (d < e->s->n_axis && e->s->axis[d] != name) d++;
  rpi_assert(d < e->s->n_axis);
  return emit_index(e, d);
}

rp_status rpi_body_value_integer(rpi_body_emitter *e, int32_t node, const char *what,
                                 rpi_irval *out) {
  const int32_t at = e->b->node[node].at;
  rpi_body_value v;
  RPI_TRY(rpi_body_value_emit(e, node, &v));
  const int32_t kind = rpi_dtype_kind(v.dtype);
  if (kind != RPI_KIND_I && kind != RPI_KIND_U) {
    return type_fail(e, at, "%s must be an integer, found %s", what, rpi_dtype_name(v.dtype));
  }
  RPI_TRY(rpi_body_type_cast(&e->typer, at, v, RP_I64, &v));
  *out = v.ins;
  return RP_OK;
}

static rp_status emit_store_read(rpi_body_emitter *e, const rpi_body_node *n, rpi_body_value *out) {
  const rpi_body_access *a = &e->b->access[n->access];
  rpi_irval src[RP_MAX_DIM];
  int32_t o = 0;
  if (!a->table) {
    RPI_TRY(rpi_body_emit_load(e, n->access, &src[0]));
    *out = strong(src[0], e->dtype[a->store]);
    return RP_OK;
  }
  for (int32_t i = 0; i < n->n_kid; i++)
    RPI_TRY(rpi_body_value_integer(e, e->b->kids[n->kid + i], "a subscript", &src[i]));
  RPI_TRY(rpi_body_emit_operand(e, n->access, RPI_ACCESS_READ, &o));
  rp_dtype dtype = e->dtype[a->store];
  *out = strong(rpi_ir_emit(e->ir, RPI_IR_GATHER, dtype, (uint64_t)o, n->n_kid, src), dtype);
  return RP_OK;
}

/* ---- lets */

static rp_status emit_let(rpi_body_emitter *e, int32_t let, rpi_body_value *out) {
  if (!e->let_known[let]) {
    RPI_TRY(rpi_body_value_emit(e, e->b->let[let].node, &e->let[let]));
    e->let_known[let] = true;
    e->known[e->n_known++] = let;
  }
  *out = e->let[let];
  return RP_OK;
}

void rpi_body_value_forget(rpi_body_emitter *e, int32_t mark) {
  while (e->n_known > mark) e->let_known[e->known[--e->n_known]] = false;
}

/* ---- reductions as loops */

rp_dtype rpi_body_value_accumulator(int32_t redop, const rpi_body_value *v) {
  int32_t kind = rpi_dtype_kind(v->dtype);
  if (redop == RPI_RED_ANY || redop == RPI_RED_ALL) return RP_BOOL;
  if (redop != RPI_RED_SUM && redop != RPI_RED_PROD) return v->dtype;
  return kind == RPI_KIND_F ? v->dtype : kind == RPI_KIND_U ? RP_U64 : RP_I64;
}

static rp_status push_loop(rpi_body_emitter *e, int32_t range, rpi_irval k) {
  if (!RPI_BODY_ROOM(e->loop, e->cap_loop, e->n_loop + 1)) {
    return rpi_status_nomem("loops of a body");
  }
  e->loop[e->n_loop++] = (struct open_loop){range, k};
  return RP_OK;
}

/* The extent that a range without `in` runs over. */
static rp_status emit_range_extent(rpi_body_emitter *e, int32_t range, rpi_irval *out) {
  const rpi_body *b = e->b;
  int32_t i = 0;
  while (i < b->n_use && b->use[i].range != range) i++;
  rpi_assert(i < b->n_use);
  return rpi_body_value_extent(e, b->use[i].store, b->use[i].axis, out);
}

static rp_status emit_ranges(rpi_body_emitter *e, int32_t node, int32_t range, int32_t n,
                             rpi_body_value *out);

static rp_status close_loop(rpi_body_emitter *e, int32_t redop, rpi_body_value v,
                            rpi_body_value *out) {
  bool arg = redop == RPI_RED_ARGMIN || redop == RPI_RED_ARGMAX;
  rp_dtype dtype = arg ? RP_I64 : v.dtype;
  rpi_irval r = rpi_ir_emit(e->ir, RPI_IR_ENDLOOP, dtype, (uint64_t)redop, 1, &v.ins);
  *out = strong(r, dtype);
  return RP_OK;
}

static rp_status emit_element(rpi_body_emitter *e, int32_t node, rpi_body_value *out) {
  const rpi_body_node *n = &e->b->node[node];
  rpi_body_value v;
  RPI_TRY(rpi_body_value_emit(e, e->b->kids[n->kid], &v));
  if (n->op == RPI_RED_ANY || n->op == RPI_RED_ALL) {
    return rpi_body_type_bool(&e->typer, n->at, v, out);
  }
  return rpi_body_type_cast(&e->typer, n->at, v, rpi_body_value_accumulator(n->op, &v), out);
}

static rp_status emit_one_range(rpi_body_emitter *e, int32_t node, int32_t range, int32_t n,
                                rpi_body_value *out) {
  const rpi_body_range *r = &e->b->range[range];
  rpi_irval src[2];
  rpi_looprule rule = r->lo >= 0 ? RPI_LOOP_SEGMENT : RPI_LOOP_AXIS;
  if (r->lo >= 0) {
    RPI_TRY(rpi_body_value_integer(e, r->lo, "a bound", &src[0]));
    RPI_TRY(rpi_body_value_integer(e, r->hi, "a bound", &src[1]));
  } else {
    src[0] = rpi_ir_const_i64(e->ir, RP_I64, 0);
    RPI_TRY(emit_range_extent(e, range, &src[1]));
  }
  int32_t mark = e->n_known;
  RPI_TRY(push_loop(e, range, rpi_ir_emit(e->ir, RPI_IR_LOOP, RP_I64, rule, 2, src)));
  RPI_TRY(emit_ranges(e, node, range + 1, n - 1, out));
  RPI_TRY(close_loop(e, e->b->node[node].op, *out, out));
  rpi_body_value_forget(e, mark);
  e->n_loop--;
  return RP_OK;
}

/* Several extents: the outer ones as rows of one loop, the last axis inside. */
static rp_status emit_rows(rpi_body_emitter *e, int32_t node, int32_t range, int32_t n,
                           rpi_body_value *out) {
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
  rpi_body_value_forget(e, mark);
  e->n_loop -= n - 1;
  return RP_OK;
}

/* The loops over n ranges from `range` on, or the element itself for none. */
static rp_status emit_ranges(rpi_body_emitter *e, int32_t node, int32_t range, int32_t n,
                             rpi_body_value *out) {
  if (n == 0) return emit_element(e, node, out);
  bool rows = n > 1 && e->b->node[node].n_range == n;
  for (int32_t i = 0; i < n; i++) rows = rows && e->b->range[range + i].lo < 0;
  return rows ? emit_rows(e, node, range, n, out) : emit_one_range(e, node, range, n, out);
}

/* ---- the tree */

static rp_status emit_call(rpi_body_emitter *e, const rpi_body_node *n, rpi_body_value *out) {
  rpi_body_value arg[3];
  for (int32_t i = 0; i < n->n_kid; i++)
    RPI_TRY(rpi_body_value_emit(e, e->b->kids[n->kid + i], &arg[i]));
  return rpi_body_type_call(&e->typer, n->at, n->op, arg, out);
}

static rp_status emit_scalar(rpi_body_emitter *e, const rpi_body_node *n, rpi_body_value *out) {
  const rpi_body_param *p = &e->b->param[e->b->scalar[n->ref]];
  *out = strong(emit_imm(e, RPI_IR_SCALAR, p->dtype, (uint64_t)n->ref), p->dtype);
  out->weak = p->weak;
  return RP_OK;
}

rp_status rpi_body_value_emit(rpi_body_emitter *e, int32_t node, rpi_body_value *out) {
  const rpi_body_node *n = &e->b->node[node];
  RPI_TRY(rpi_body_emit_check(e, n->at));
  switch ((rpi_body_kind)n->kind) {
    case RPI_NODE_INT:
      *out = (rpi_body_value){
          .dtype = RP_I64, .weak = true, .literal = true, .i = n->v.u, .f = (double)n->v.u};
      return RP_OK;
    case RPI_NODE_FLOAT:
      *out = (rpi_body_value){.dtype = RP_F64, .weak = true, .literal = true, .f = n->v.f};
      return RP_OK;
    case RPI_NODE_STORE: return emit_store_read(e, n, out);
    case RPI_NODE_SCALAR: return emit_scalar(e, n, out);
    case RPI_NODE_LET: return emit_let(e, n->ref, out);
    case RPI_NODE_NAME: *out = strong(emit_name(e, n->ref), RP_I64); return RP_OK;
    case RPI_NODE_COORD:
      *out = strong(emit_index(e, n->ref < 0 ? n->ref + rank_of(e) : n->ref), RP_I64);
      return RP_OK;
    case RPI_NODE_EXTENT:
      *out = strong(0, RP_I64);
      return rpi_body_value_extent(e, n->ref, (int32_t)(int64_t)n->v.u, &out->ins);
    case RPI_NODE_CALL: return emit_call(e, n, out);
    case RPI_NODE_CAST:
      RPI_TRY(rpi_body_value_emit(e, e->b->kids[n->kid], out));
      return rpi_body_type_cast(&e->typer, n->at, *out, n->op, out);
    case RPI_NODE_RED: return emit_ranges(e, node, n->ref, n->n_range, out);
  }
  return rpi_status_fail(RP_ERR_INTERNAL, "node %d of a body has no kind", node);
}
