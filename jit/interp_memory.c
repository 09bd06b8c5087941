/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_memory.c -- the planner's steps that touch memory: loads, stores, reductions, gathers.
 *
 * Lives here: when an operand is used in place, as a source and as a destination, and guards.
 * Invariants: operands of one dtype may be one memory, then they are one box. So a load that outlives
 *             a store of its dtype, or a result that is stored after such operands were touched, is
 *             guarded (rpi_guard): it stays in place unless the call has them as one memory. */
#include "jit/interp_plan_impl.h"

/* How many stores, values or instructions a decision looks at: beyond, memory is copied. */
enum { STORE_WINDOW = 256 };

static bool operand_unit(const rpi_planner *c, int32_t o) {
  return c->section != RPI_SECTION_BODY ||
         c->ir->operand[o].sclass[c->ir->rank - 1] == RPI_STRIDE_UNIT;
}

/* ---- guards */

static bool guard_other(rpi_guard *t, int32_t operand) {
  if (operand == t->operand) return false;
  for (int32_t k = 0; k < t->n_other; k++)
    if (t->other[k] == operand) return true;
  if (t->n_other == RPI_GUARD_OPERANDS) return false;
  t->other[t->n_other++] = (uint16_t)operand;
  return true;
}

/* The guarded value of i: its register and its place. */
static void guard_add(rpi_planner *c, rpi_guard *t, int32_t i) {
  rpi_plan_value *x = &c->v[i];
  rpi_program *g = c->g;
  t->memory = rpi_interp_place_moving(c, RPI_PLACE_MEMORY, t->operand);
  t->reg = x->reg = rpi_interp_register_get(c);
  t->d = x->place = rpi_interp_place_add(c, RPI_PLACE_DYNAMIC, 0);
  if (RPI_INTERP_GROW(c, g->guard, g->n_guard, g->cap_guard)) g->guard[g->n_guard] = *t;
  rpi_interp_step_add(c, &g->block, (rpi_interp_step){.kind = RPI_INTERP_GUARD, .a = g->n_guard++});
}

/* ---- loads and stores */

/* The operand whose memory the value is. */
static int32_t memory_of(const rpi_planner *c, int32_t v) {
  return (int32_t)ins(c, ins(c, v)->op == RPI_IR_LOAD ? v : c->v[v].store)->imm;
}

/* The load i is used in place, perhaps with a guard; false: it must be copied. */
static bool load_in_place(rpi_planner *c, const rpi_frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  rpi_plan_value *x = &c->v[i];
  rpi_guard t = {.operand = (uint16_t)in->imm};
  t.copy = rpi_interp_loops(c->p, in->dtype)->copy[in->dtype];
  int32_t stores = 0;
  for (int32_t s = x->next_store; s < x->last_use; s = c->v[s].next_store)
    if (++stores > STORE_WINDOW || !guard_other(&t, (int32_t)ins(c, s)->imm)) return false;
  if (stores > 0 && f->depth > 0) return false;
  rpi_interp_list_add(c, &c->inplace, &c->n_inplace, &c->cap_inplace, i);
  if (stores > 0)
    guard_add(c, &t, i);
  else
    x->place = rpi_interp_place_moving(c, RPI_PLACE_MEMORY, (int32_t)in->imm);
  return true;
}

void rpi_interp_plan_load(rpi_planner *c, const rpi_frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const rpi_loops *loops = rpi_interp_loops(c->p, in->dtype);
  const int32_t o = (int32_t)in->imm, from = rpi_interp_place_moving(c, RPI_PLACE_MEMORY, o);
  rpi_plan_value *x = &c->v[i];
  rpi_interp_step s = {.a = from};
  if (x->level == RPI_LEVEL_ROW) {
    s.fn = loops->loads[in->dtype], s.c = c->zero, s.d = x->place = rpi_interp_splat_get(c);
    s.fixed = RPI_SPLAT_BYTES / rpi_dtype_size(in->dtype);
    rpi_interp_step_add(c, &c->g->row, s);
    return;
  }
  if (operand_unit(c, o) && load_in_place(c, f, i)) return;
  s.d = x->place = x->reg = rpi_interp_register_get(c);
  if (operand_unit(c, o))
    s.fn = loops->copy[in->dtype];
  else
    s.fn = loops->loads[in->dtype], s.c = rpi_interp_place_add(c, RPI_PLACE_STRIDE, o);
  rpi_interp_step_add(c, rpi_interp_steps_of(c, f, RPI_LEVEL_BLOCK), s);
}

void rpi_interp_plan_store(rpi_planner *c, const rpi_frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const rpi_loops *loops = rpi_interp_loops(c->p, in->dtype);
  const int32_t v = source(c, i, 0), o = (int32_t)in->imm;
  rpi_interp_step s = {.a = rpi_interp_resolve(c, f, v),
                       .d = rpi_interp_place_moving(c, RPI_PLACE_MEMORY, o)};
  if (v >= c->first && c->v[v].stored && c->v[v].store == i) {
    if (s.a == s.d) return; /* it is there already */
    s.kind = RPI_INTERP_SETTLE;
  }
  if (is_splat(c, v)) s.flags = RPI_SPLAT(0);
  if (operand_unit(c, o))
    s.fn = loops->copy[in->dtype];
  else
    s.fn = loops->stores[in->dtype], s.c = rpi_interp_place_add(c, RPI_PLACE_STRIDE, o);
  rpi_interp_step_add(c, rpi_interp_steps_of(c, f, RPI_LEVEL_BLOCK), s);
}

/* The result of i may be written where its store would copy it, unless the guard's other operands are
 * the same memory: loads in use, loads and stores before the store, stores before the last use. */
static bool store_target(rpi_planner *c, const rpi_frame *f, int32_t i, rpi_guard *t) {
  const rpi_plan_value *x = &c->v[i];
  int32_t kept = 0;
  if (c->section != RPI_SECTION_BODY || f->depth > 0 || x->nest > 0 || x->store < 0) return false;
  const rpi_ir_ins *s = ins(c, x->store);
  if (x->last_use - i > STORE_WINDOW || !operand_unit(c, (int32_t)s->imm)) return false;
  t->operand = (uint16_t)s->imm;
  for (int32_t k = 0; k < c->n_inplace; k++)
    if (c->v[c->inplace[k]].last_use > i) c->inplace[kept++] = c->inplace[k];
  c->n_inplace = kept;
  if (kept > STORE_WINDOW) return false;
  for (int32_t k = 0; k < kept; k++) {
    const int32_t v = c->inplace[k];
    if (ins(c, v)->dtype == s->dtype && !guard_other(t, memory_of(c, v))) return false;
  }
  for (int32_t j = i + 1; j < x->last_use; j++) {
    const rpi_ir_ins *in = ins(c, j);
    if (in->dtype != s->dtype || j == x->store) continue;
    if ((in->op == RPI_IR_STORE || (in->op == RPI_IR_LOAD && j < x->store)) &&
        !guard_other(t, (int32_t)in->imm))
      return false;
  }
  rpi_interp_list_add(c, &c->inplace, &c->n_inplace, &c->cap_inplace, i);
  return true;
}

bool rpi_interp_store_ahead(rpi_planner *c, const rpi_frame *f, int32_t i) {
  rpi_plan_value *x = &c->v[i];
  rpi_guard t = {.copy = NULL};
  if (!store_target(c, f, i, &t)) return false;
  x->stored = true;
  if (t.n_other > 0)
    guard_add(c, &t, i);
  else
    x->place = rpi_interp_place_moving(c, RPI_PLACE_MEMORY, t.operand);
  return true;
}

/* ---- reductions and gathers */

void rpi_interp_plan_reduce(rpi_planner *c, const rpi_frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const rpi_loops *loops = rpi_interp_loops(c->p, in->dtype);
  const int32_t r = (int32_t)in->imm, op = c->ir->red[r].op, v = source(c, i, 0);
  if (rpi_ir_row_mode(c->ir)) {
    const int32_t at = rpi_interp_place_moving(c, RPI_PLACE_PARTIAL, r);
    rpi_interp_step_add(c, &c->g->block,
                        (rpi_interp_step){.fn = loops->red[op][in->dtype],
                                          .d = at,
                                          .a = at,
                                          .b = rpi_interp_resolve(c, f, v),
                                          .flags = is_splat(c, v) ? RPI_SPLAT(1) : 0});
    return;
  }
  if (v >= c->first && c->v[v].absorbed) {
    rpi_interp_step_add(c, &c->g->block,
                        (rpi_interp_step){.fn = loops->leaf_dot[in->dtype],
                                          .d = c->g->red_acc + r,
                                          .a = rpi_interp_resolve(c, f, source(c, v, 0)),
                                          .b = rpi_interp_resolve(c, f, source(c, v, 1))});
    return;
  }
  int32_t temp;
  const int32_t from = rpi_interp_resolve_block(c, f, v, &temp);
  rpi_interp_step_add(
      c, &c->g->block,
      (rpi_interp_step){.fn = loops->leaf[op][in->dtype], .d = c->g->red_acc + r, .a = from});
  rpi_interp_register_give(c, temp);
}

void rpi_interp_plan_gather(rpi_planner *c, rpi_frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  rpi_plan_value *x = &c->v[i];
  rpi_gather t = {
      .operand = (uint16_t)in->imm, .dtype = in->dtype, .n_axes = in->n_src, .loop = -1};
  t.checked = c->ir->operand[in->imm].checked;
  t.stride = rpi_ir_layout_stride(c->ir, &c->p->layout, t.operand);
  for (int32_t k = 0; k < 2; k++)
    if (f->temp[k] < 0) f->temp[k] = rpi_interp_register_get(c);
  for (int32_t k = 0; k < in->n_src; k++) {
    int32_t s = source(c, i, k);
    t.narrow[k] = s >= c->first && c->v[s].absorbed;
    if (t.narrow[k]) s = source(c, s, 0);
    t.splat[k] = is_splat(c, s);
    if (in->n_src == 1 && f->inner >= 0 && s >= c->first && ins(c, s)->op == RPI_IR_LOOP &&
        c->v[s].inner == f->inner) {
      t.loop = f->inner;
      t.index[k] = c->g->inner[f->inner].k;
    } else {
      t.index[k] = rpi_interp_resolve(c, f, s);
    }
  }
  t.temp[0] = f->temp[0], t.temp[1] = f->temp[1];
  t.reg = x->reg = rpi_interp_register_get(c);
  t.d = x->place = rpi_interp_place_add(c, RPI_PLACE_DYNAMIC, 0);
  if (RPI_INTERP_GROW(c, c->g->gather, c->g->n_gather, c->g->cap_gather))
    c->g->gather[c->g->n_gather] = t;
  rpi_interp_step_add(c, rpi_interp_steps_of(c, f, RPI_LEVEL_BLOCK),
                      (rpi_interp_step){.kind = RPI_INTERP_GATHER, .a = c->g->n_gather++});
}
