/* SPDX-License-Identifier: Apache-2.0
 * jit/body_scatter.c -- bodies that scatter, `h[b[i]] += w[i]`: the two that run in their place, see body.h.
 *
 * Lives here: what is known about the subscripts on the left, the accesses to the added stores, the IR of both forms.
 * Not here:   binding the text (body_bind.c), expressions (body_value.c), who launches what (trace/scatter.h).
 * How:        KEYS is a body over the points. SEGMENTS ranges over the destination; at each element a loop runs over the
 *             segment of the points that go there, in their order, and what the text says at a point is said at
 *             the coordinates that the loop finds: every read becomes a gather.
 * Invariants: the three forms bind the same text alike. An element that no point goes to keeps its bits: an empty sum
 *             is +0.0, which would change -0.0. */
#include <string.h>

#include "jit/body_emit_impl.h"

bool rpi_body_scatters(const rpi_body *b, rpi_body_scatter *out) {
  const rpi_body_stmt *s = &b->stmt[0];
  if (!s->scatter) return false;
  *out = (rpi_body_scatter){
      .dest = s->dest, .rank = s->n_axis, .plain = -1, .scalars = s->left_scalar};
  for (int32_t i = 0; i < s->n_left; i++)
    out->reads |= UINT64_C(1) << b->access[s->access + i].store;
  const rpi_body_access *a = &b->access[s->access];
  if (s->n_sub != 1 || s->n_left != 1 || a->node != b->kids[s->sub] || a->table ||
      a->n_sub != s->n_axis) {
    return true;
  }
  for (int32_t j = 0; j < a->n_sub; j++) {
    rpi_body_affine own = {0};
    own.coef[j] = 1;
    if (memcmp(&b->affine[a->affine + j], &own, sizeof own) != 0) return true;
  }
  out->plain = a->store;
  return true;
}

rp_status rpi_body_points(const rpi_body *b, const rpi_body_arg *args, int64_t *shape) {
  rpi_body_facts f;
  RPI_TRY(rpi_body_place_facts(b, args, &f));
  for (int32_t d = 0; d < f.rank; d++) shape[d] = f.extent[d];
  return RP_OK;
}

/* ---- binding */

/* All elements of a store, one for each point of a space of n axes. */
static rp_status add_whole(rpi_body *b, int32_t store, int32_t n) {
  rpi_body_affine form[RP_MAX_DIM];
  memset(form, 0, sizeof form);
  for (int32_t d = 0; d < n; d++) form[d].coef[d] = 1;
  return rpi_body_bind_access(b, (rpi_body_access){-1, store, 0, false, -1, n, UINT8_MAX}, form);
}

static rp_status bind_keys(rpi_body *b) {
  b->param[b->store[b->stmt[0].dest]].access = RP_PRIV_READ; /* its extents */
  b->param[b->store[b->n_store - 1]].access = RP_PRIV_WRITE;
  return add_whole(b, b->n_store - 1, b->stmt[0].n_axis);
}

static rp_status bind_segments(rpi_body *b) {
  const rpi_body_stmt *s = &b->stmt[0];
  const int32_t first = b->n_store - b->n_hidden;
  const rpi_body_affine none[RP_MAX_DIM] = {0};
  for (int32_t i = 0; i < s->n_access; i++)
    b->access[s->access + i].table = b->access[s->access + i].n_sub > 0;
  for (int32_t i = 0; i < b->n_hidden; i++) b->param[b->store[first + i]].access = RP_PRIV_READ;
  RPI_TRY(add_whole(b, s->dest, s->n_sub));
  RPI_TRY(add_whole(b, first, s->n_sub));
  RPI_TRY(add_whole(b, first + 1, s->n_sub));
  for (int32_t d = 0; d < s->n_axis; d++)
    RPI_TRY(rpi_body_bind_access(b, (rpi_body_access){-1, first + 2 + d, 0, true, -1, 1, 0}, none));
  return RP_OK;
}

rp_status rpi_body_scatter_bind(rpi_body *b) {
  b->hidden = b->n_access;
  if (b->form == RPI_BODY_KEYS) return bind_keys(b);
  return b->form == RPI_BODY_SEGMENTS ? bind_segments(b) : RP_OK;
}

void rpi_body_scatter_facts(const rpi_body *b, const rpi_body_arg *args, rpi_body_facts *out) {
  const rpi_geom *g = &args[b->stmt[0].dest].geom;
  out->rank = g->ndim;
  for (int32_t d = 0; d < g->ndim; d++) {
    out->extent[d] = g->shape[d];
    out->perm[d] = out->kaxis[d] = (int8_t)d;
  }
}

/* ---- IR */

/* What a launch of the text as it is written may get wrong about types. */
static rp_status emit_check(rpi_body_emitter *e) {
  const rpi_body_stmt *s = &e->b->stmt[0];
  rpi_body_value v;
  rpi_irval unused;
  RPI_TRY(rpi_body_emit_value(e, s, &v));
  for (int32_t j = 0; j < s->n_sub; j++)
    RPI_TRY(rpi_body_value_integer(e, e->b->kids[s->sub + j], "a subscript", &unused));
  return RP_OK;
}

static rp_status emit_keys(rpi_body_emitter *e) {
  const rpi_body_stmt *s = &e->b->stmt[0];
  rpi_ir *ir = e->ir;
  const rp_dtype dtype = e->dtype[e->b->n_store - 1];
  rpi_irval key = rpi_ir_const_i64(ir, RP_I64, 0), inside = 0;
  const rpi_irval below = rpi_ir_const_i64(ir, RP_I64, -1);
  rpi_irval unused;
  int32_t o = 0;
  rpi_body_emit_enter(e, s);
  for (int32_t a = s->access; a < s->access + s->n_left; a++)
    if (!e->b->access[a].table) RPI_TRY(rpi_body_emit_load(e, a, &unused));
  for (int32_t j = 0; j < s->n_sub; j++) {
    rpi_irval v, n;
    RPI_TRY(rpi_body_value_integer(e, e->b->kids[s->sub + j], "a subscript", &v));
    RPI_TRY(rpi_body_value_extent(e, s->dest, j, &n));
    const rpi_irval fits =
        rpi_ir_emit2(ir, RPI_IR_AND, RP_BOOL, rpi_ir_emit2(ir, RPI_IR_LT, RP_BOOL, below, v),
                     rpi_ir_emit2(ir, RPI_IR_LT, RP_BOOL, v, n));
    inside = j == 0 ? fits : rpi_ir_emit2(ir, RPI_IR_AND, RP_BOOL, inside, fits);
    key = rpi_ir_emit2(ir, RPI_IR_ADD, RP_I64, rpi_ir_emit2(ir, RPI_IR_MUL, RP_I64, key, n), v);
  }
  key = rpi_ir_emit3(ir, RPI_IR_SELECT, RP_I64, inside, key, below);
  if (dtype != RP_I64) key = rpi_ir_emit1(ir, RPI_IR_CAST, dtype, key);
  RPI_TRY(rpi_body_emit_operand(e, e->b->hidden, RPI_ACCESS_WRITE, &o));
  rpi_ir_emit(ir, RPI_IR_STORE, dtype, (uint64_t)o, 1, &key);
  return rpi_body_emit_check(e, s->at);
}

static rpi_irval as_i64(rpi_body_emitter *e, rpi_irval v) {
  if (e->ir->ins[v].dtype == RP_I64) return v;
  return rpi_ir_emit1(e->ir, RPI_IR_CAST, RP_I64, v);
}

/* The coordinates of point k of the segments' order, as far as the right side asks for them. */
static rp_status emit_point(rpi_body_emitter *e, const rpi_body_stmt *s, rpi_irval k) {
  for (int32_t d = 0; d < s->n_axis; d++) {
    const int32_t access = e->b->hidden + 3 + d;
    int32_t o = 0;
    if ((s->right_axes >> d & 1) == 0) continue;
    RPI_TRY(rpi_body_emit_operand(e, access, RPI_ACCESS_READ, &o));
    e->point[d] =
        as_i64(e, rpi_ir_emit(e->ir, RPI_IR_GATHER, e->ir->operand[o].dtype, (uint64_t)o, 1, &k));
  }
  e->at_point = true;
  return RP_OK;
}

static rp_status emit_segments(rpi_body_emitter *e) {
  const rpi_body_stmt *s = &e->b->stmt[0];
  rpi_ir *ir = e->ir;
  const rp_dtype dtype = e->dtype[s->dest];
  const int32_t hidden = e->b->hidden;
  rpi_irval old, range[2], unused;
  rpi_body_value v;
  int32_t o = 0;
  RPI_TRY(rpi_body_emit_load(e, hidden, &old));
  for (int32_t i = 0; i < 2; i++) RPI_TRY(rpi_body_emit_load(e, hidden + 1 + i, &range[i]));
  for (int32_t a = s->access; a < s->access + s->n_access - 1; a++)
    if (!e->b->access[a].table) RPI_TRY(rpi_body_emit_load(e, a, &unused));
  for (int32_t i = 0; i < 2; i++) range[i] = as_i64(e, range[i]);
  RPI_TRY(emit_point(e, s, rpi_ir_emit(ir, RPI_IR_LOOP, RP_I64, RPI_LOOP_SEGMENT, 2, range)));
  RPI_TRY(rpi_body_emit_value(e, s, &v));
  rpi_irval r = rpi_ir_emit(ir, RPI_IR_ENDLOOP, dtype, (uint64_t)s->redop, 1, &v.ins);
  r = rpi_ir_emit2(ir, rpi_body_emit_redop(s->redop), dtype, old, r);
  if (s->redop == RPI_RED_SUM && rpi_dtype_kind(dtype) == RPI_KIND_F) {
    const rpi_irval any = rpi_ir_emit2(ir, RPI_IR_LT, RP_BOOL, range[0], range[1]);
    r = rpi_ir_emit3(ir, RPI_IR_SELECT, dtype, any, r, old);
  }
  RPI_TRY(rpi_body_emit_operand(e, hidden, RPI_ACCESS_WRITE, &o));
  rpi_ir_emit(ir, RPI_IR_STORE, dtype, (uint64_t)o, 1, &r);
  return rpi_body_emit_check(e, s->at);
}

rp_status rpi_body_scatter_emit(rpi_body_emitter *e) {
  switch ((rpi_body_form)e->b->form) {
    case RPI_BODY_KEYS: return emit_keys(e);
    case RPI_BODY_SEGMENTS: return emit_segments(e);
    case RPI_BODY_WRITTEN: break;
  }
  return emit_check(e);
}
