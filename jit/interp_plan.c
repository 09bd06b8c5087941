/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_plan.c -- from a section of an IR to a program of the interpreter.
 *
 * Lives here: one step per instruction, the translation of loops, the end of a program. Not here:
 *             what is known of values (interp_value.c, interp_absorb.c), places (interp_place.c),
 *             memory (interp_memory.c), running the program (interp.c). */
#include "jit/interp_plan_impl.h"

/* ---- instructions */

/* Where the value of a loop step goes. A source of equal size that dies here hands on its register. */
static int32_t target(rpi_planner *c, const rpi_frame *f, int32_t i, const int32_t *src,
                      int32_t n_src) {
  rpi_plan_value *x = &c->v[i];
  if (x->level <= RPI_LEVEL_ROW) return x->place = rpi_interp_splat_get(c);
  if (rpi_interp_store_ahead(c, f, i)) return x->place;
  for (int32_t k = 0; k < n_src; k++) {
    const int32_t s = src[k];
    rpi_plan_value *y = &c->v[s];
    if (s < c->first || y->reg < 0 || y->last_use != i || depth_of(y) != f->depth) continue;
    if (rpi_dtype_size(ins(c, s)->dtype) != rpi_dtype_size(ins(c, i)->dtype)) continue;
    x->reg = y->reg, y->reg = -1;
    return x->place = x->reg;
  }
  return x->place = x->reg = rpi_interp_register_get(c);
}

static rpi_loop_fn *compute_loop(const rpi_planner *c, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const rp_dtype from = in->op == RPI_IR_SELECT ? in->dtype : ins(c, source(c, i, 0))->dtype;
  if (in->op != RPI_IR_CAST) return rpi_interp_loops(c->p, from)->op[in->op][from];
  const bool wide = rpi_interp_wide(from) || rpi_interp_wide(in->dtype);
  return (wide ? c->p->wide : c->p->narrow)->cast[from][in->dtype];
}

static void emit_compute(rpi_planner *c, const rpi_frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const int32_t part = c->v[i].absorbed ? 0 : c->v[i].part;
  rpi_interp_step s = {.fn = NULL};
  int32_t *at[4] = {&s.a, &s.b, &s.c, &s.e}, src[4], n = 0;
  if (part > 0) {
    int32_t inner = source(c, i, part - 1);
    const int32_t deep = c->v[inner].part;
    src[n++] = source(c, i, 2 - part);
    if (deep > 0) {
      src[n++] = source(c, inner, 2 - deep);
      inner = source(c, inner, deep - 1);
    }
    src[n++] = source(c, inner, 1), src[n++] = source(c, inner, 0);
    for (int32_t k = 0; k < n / 2; k++) { /* innermost first */
      const int32_t v = src[k];
      src[k] = src[n - 1 - k], src[n - 1 - k] = v;
    }
    const rpi_loops *loops = rpi_interp_loops(c->p, in->dtype);
    s.kind = deep > 0 ? RPI_INTERP_CALL4 : RPI_INTERP_CALL;
    s.fn = deep > 0 ? loops->sum4[in->dtype]
                    : loops->pair[rpi_interp_pair_of(c, i, part - 1)][in->dtype];
  } else {
    s.fn = compute_loop(c, i);
    for (; n < in->n_src; n++) src[n] = source(c, i, n);
  }
  for (int32_t k = 0; k < n; k++) {
    *at[k] = rpi_interp_resolve(c, f, src[k]);
    if (is_splat(c, src[k])) s.flags |= RPI_SPLAT(k);
  }
  s.d = target(c, f, i, src, n);
  if (c->v[i].level <= RPI_LEVEL_ROW) s.fixed = RPI_SPLAT_BYTES / rpi_dtype_size(in->dtype);
  rpi_interp_step_add(c, rpi_interp_steps_of(c, f, c->v[i].level), s);
}

static void emit_index(rpi_planner *c, const rpi_frame *f, int32_t i) {
  rpi_plan_value *x = &c->v[i];
  rpi_interp_step s = {.fn = c->p->wide->iota,
                       .a = rpi_interp_place_coord(c, (int32_t)ins(c, i)->imm)};
  if (x->level == RPI_LEVEL_ROW) {
    /* The number itself, copied: a step of stride 0 from its own slot. */
    s.d = x->place = rpi_interp_splat_get(c);
    s.fixed = RPI_SPLAT_BYTES / 8;
    s.fn = c->p->wide->scale;
    s.c = s.a, s.b = c->zero, s.a = rpi_interp_fill_add(c, RP_I64, -1, 1), s.flags = RPI_SPLAT(0);
    rpi_interp_step_add(c, &c->g->row, s);
    return;
  }
  s.d = x->place = x->reg = rpi_interp_register_get(c);
  rpi_interp_step_add(c, rpi_interp_steps_of(c, f, RPI_LEVEL_BLOCK), s);
}

static void emit(rpi_planner *c, rpi_frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const rpi_ir_layout *l = &c->p->layout;
  rpi_plan_value *x = &c->v[i];
  x->done = true;
  c->at = i;
  if (x->absorbed) return;
  switch (in->op) {
    case RPI_IR_CONST: x->place = rpi_interp_fill_add(c, in->dtype, -1, in->imm); break;
    case RPI_IR_SCALAR:
      x->place = rpi_interp_fill_add(c, in->dtype, l->scalar + (int32_t)in->imm, 0);
      break;
    case RPI_IR_EXTENT:
      x->place = rpi_interp_fill_add(c, in->dtype, l->param + (int32_t)in->imm, 0);
      break;
    case RPI_IR_INDEX: emit_index(c, f, i); break;
    case RPI_IR_LOAD: rpi_interp_plan_load(c, f, i); break;
    case RPI_IR_STORE: rpi_interp_plan_store(c, f, i); return;
    case RPI_IR_REDUCE: rpi_interp_plan_reduce(c, f, i); return;
    case RPI_IR_GATHER: rpi_interp_plan_gather(c, f, i); break;
    default: emit_compute(c, f, i); break;
  }
}

/* What the body and the epilogue may use of the prologue. */
static void emit_word(rpi_planner *c, const rpi_frame *f, int32_t i) {
  const rp_dtype t = ins(c, i)->dtype;
  if (c->section != RPI_SECTION_PRO || ins(c, i)->op == RPI_IR_STORE || f->depth > 0) return;
  rpi_interp_step_add(c, &c->g->block,
                      (rpi_interp_step){.fn = rpi_interp_loops(c->p, t)->copy[t],
                                        .a = rpi_interp_resolve(c, f, i),
                                        .fixed = 1,
                                        .d = rpi_interp_place_add(c, RPI_PLACE_WORD, i),
                                        .flags = is_splat(c, i) ? RPI_SPLAT(0) : 0});
}

static void bury(rpi_planner *c, int32_t i) {
  for (int32_t v = c->v[i].dead; v >= 0; v = c->v[v].next_dead) {
    if (c->v[v].reg >= 0) rpi_interp_register_give(c, c->v[v].reg);
    if (c->v[v].reg >= 0) c->v[v].reg = -1;
  }
}

/* ---- loops */

/* The element of a loop that is a product: the tail makes it, `dot` does without. */
static int32_t emit_dot(rpi_planner *c, rpi_frame *f, int32_t m) {
  const int32_t x = f->inner, part = c->v[m].part;
  int32_t place[2], gather = -1;
  c->at = m;
  for (int32_t k = 0; k < 2; k++)
    if (part != k + 1) place[k] = rpi_interp_resolve(c, f, source(c, m, k));
  f->tail = true;
  if (part > 0) {
    gather = c->g->n_gather;
    rpi_interp_plan_gather(c, f, source(c, m, part - 1));
    place[part - 1] = c->v[source(c, m, part - 1)].place;
  }
  const int32_t d = c->v[m].place = rpi_interp_register_get(c);
  rpi_interp_step_add(
      c, rpi_interp_steps_of(c, f, RPI_LEVEL_BLOCK),
      (rpi_interp_step){.fn = compute_loop(c, m), .d = d, .a = place[0], .b = place[1]});
  f->tail = false;
  if (c->failed) return 0;
  rpi_inner *in = &c->g->inner[x];
  in->dot = part > 0 ? RPI_DOT_GATHER : RPI_DOT_PLAIN;
  in->dot_a = place[part == 1 ? 1 : 0], in->dot_b = part > 0 ? gather : place[1];
  if (part > 0) {
    rpi_plan_value *y = &c->v[source(c, m, part - 1)];
    rpi_interp_register_give(c, y->reg);
    y->reg = -1;
  }
  return d;
}

static void translate(rpi_planner *c, rpi_frame *f, int32_t from, int32_t to);

static void emit_loop(rpi_planner *c, rpi_frame *f, int32_t i) {
  rpi_program *g = c->g;
  const int32_t e = c->v[i].match, v = source(c, e, 0), x = g->n_inner;
  for (int32_t j = i + 1; j < e; j++)
    if (!c->v[j].done && depth_of(&c->v[j]) <= f->depth && ins(c, j)->op != RPI_IR_ENDLOOP)
      emit(c, f, j);
  rpi_inner n = {
      .rule = (uint8_t)ins(c, i)->imm, .op = (uint8_t)ins(c, e)->imm, .dtype = ins(c, v)->dtype};
  n.lo = rpi_interp_resolve(c, f, source(c, i, 0)), n.lo_splat = is_splat(c, source(c, i, 0));
  n.hi = rpi_interp_resolve(c, f, source(c, i, 1)), n.hi_splat = is_splat(c, source(c, i, 1));
  n.k = rpi_interp_register_get(c), n.temp = rpi_interp_register_get(c);
  n.d = c->v[e].place = c->v[e].reg =
      rpi_interp_register_get(c); /* before the inner program takes registers */
  n.offsets = rpi_interp_place_add(c, RPI_PLACE_OFFSETS, g->n_offsets++);
  n.acc = rpi_interp_place_add(c, RPI_PLACE_ACC, g->n_acc++);
  c->v[i].inner = x, c->v[i].place = n.k, c->v[i].done = true;
  if (!RPI_INTERP_GROW(c, g->inner, g->n_inner, g->cap_inner)) return;
  g->inner[g->n_inner++] = n;
  rpi_frame child = {.parent = f, .depth = f->depth + 1, .inner = x, .temp = {-1, -1}};
  translate(c, &child, i + 1, e);
  int32_t temp, place;
  if (v >= c->first && c->v[v].absorbed)
    place = temp = emit_dot(c, &child, v);
  else
    place = rpi_interp_resolve_block(c, &child, v, &temp);
  c->at = e;
  rpi_interp_need_loop(c, rpi_interp_loops(c->p, n.dtype)->segment[n.op][n.dtype]);
  if (c->failed) return;
  g->inner[x].value = place;
  c->v[e].done = true;
  rpi_interp_step_add(c, rpi_interp_steps_of(c, f, RPI_LEVEL_BLOCK),
                      (rpi_interp_step){.kind = RPI_INTERP_LOOP, .a = x});
  for (int32_t k = 0; k < g->inner[x].n_expansion; k++)
    rpi_interp_register_give(c, g->inner[x].expansion[k].to);
  const int32_t back[] = {n.k, n.temp, temp, child.temp[0], child.temp[1]};
  for (int32_t k = 0; k < RPI_COUNT(back); k++) rpi_interp_register_give(c, back[k]);
}

static void translate(rpi_planner *c, rpi_frame *f, int32_t from, int32_t to) {
  for (int32_t i = from; i < to && !c->failed; i++) {
    if (ins(c, i)->op == RPI_IR_LOOP) {
      emit_loop(c, f, i);
      i = c->v[i].match;
      emit_word(c, f, i);
    } else if (!c->v[i].done) {
      emit(c, f, i);
      emit_word(c, f, i);
    }
    bury(c, i);
  }
}

/* ---- the whole */

static rp_status no_loop(const rpi_planner *c) {
  const rpi_ir_ins *in = ins(c, c->missing);
  const rp_dtype from = in->n_src > 0 ? ins(c, source(c, c->missing, 0))->dtype : in->dtype;
  return rpi_status_fail(
      RP_ERR_INTERNAL, "instruction %d: the interpreter has no loop for %s from %s to %s",
      c->missing, rpi_ir_op_name(in->op), rpi_dtype_name(from), rpi_dtype_name(in->dtype));
}

static void plan_all(rpi_planner *c) {
  rpi_frame top = {.inner = -1, .temp = {-1, -1}};
  c->zero = rpi_interp_place_add(c, RPI_PLACE_ZERO, 0);
  c->g->red_acc = c->g->n_place;
  for (int32_t r = 0; c->section == RPI_SECTION_BODY && r < c->ir->n_red; r++)
    rpi_interp_place_add(c, RPI_PLACE_ACC, c->g->n_acc++);
  translate(c, &top, c->first, c->end);
}

rp_status rpi_interp_plan(const rpi_interp *p, rpi_section section, rpi_program *out) {
  const int32_t bound[4] = {0, p->ir.n_pro, p->ir.n_body, p->ir.n_ins};
  *out = (rpi_program){.size = 0};
  rpi_planner c = {.p = p, .ir = &p->ir, .g = out, .section = section, .missing = -1};
  c.first = bound[section], c.end = bound[section + 1];
  if (c.first == c.end) return RP_OK;
  c.v = rpi_alloc_zero((size_t)c.end * sizeof *c.v);
  if (c.v == NULL) return rpi_status_nomem("the interpreter's values");
  for (int32_t i = 0; i < c.end; i++) c.v[i].place = c.v[i].reg = c.v[i].dead = c.v[i].store = -1;
  rp_status status = RP_OK;
  if (!rpi_interp_values(&c))
    status = rpi_status_fail(RP_ERR_INTERNAL, "loops nest more than 64 deep");
  if (status == RP_OK) plan_all(&c);
  if (status == RP_OK && c.failed) status = rpi_status_nomem("the interpreter's program");
  if (status == RP_OK && c.missing >= 0) status = no_loop(&c);
  if (status == RP_OK) status = rpi_interp_lay_out(&c);
  rpi_alloc_free(c.v);
  rpi_alloc_free(c.inplace);
  rpi_alloc_free(c.pool);
  return status;
}

void rpi_interp_plan_deinit(rpi_program *g) {
  for (int32_t i = 0; i < g->n_inner; i++) {
    rpi_alloc_free(g->inner[i].step.at);
    rpi_alloc_free(g->inner[i].tail.at);
    rpi_alloc_free(g->inner[i].expansion);
  }
  rpi_alloc_free(g->place);
  rpi_alloc_free(g->fill);
  rpi_alloc_free(g->gather);
  rpi_alloc_free(g->guard);
  rpi_alloc_free(g->inner);
  rpi_alloc_free(g->once.at);
  rpi_alloc_free(g->row.at);
  rpi_alloc_free(g->block.at);
  rpi_alloc_free(g->moving);
  rpi_alloc_free(g->coord);
}
