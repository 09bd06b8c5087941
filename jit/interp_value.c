/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_value.c -- what the planner knows of each value before it emits a step.
 *
 * Lives here: levels, loops, uses, stores, lifetimes. Not here: which operations share a step
 *             (interp_absorb.c), places (interp_place.c).
 * How:        an instruction runs at its value's level, so what a loop does not change runs before it;
 *             but gathers stay: an index is only good where the loop reaches it. Forwards for levels
 *             and uses, then backwards for the lists of the values that die at one instruction. */
#include "jit/interp_plan_impl.h"

enum { MAX_NEST = 64 };

static uint8_t level_of_load(const rpi_planner *c, const rpi_ir_ins *in, bool stored) {
  if (c->section != RPI_SECTION_BODY) return RPI_LEVEL_BLOCK;
  const uint8_t *sclass = c->ir->operand[in->imm].sclass;
  return sclass[c->ir->rank - 1] == RPI_STRIDE_ZERO && !stored ? RPI_LEVEL_ROW : RPI_LEVEL_BLOCK;
}

static uint8_t level_of(const rpi_planner *c, int32_t i, int32_t nest, bool stored) {
  const rpi_ir_ins *in = ins(c, i);
  uint8_t level = RPI_LEVEL_CALL;
  switch (in->op) {
    case RPI_IR_CONST:
    case RPI_IR_SCALAR:
    case RPI_IR_EXTENT: return RPI_LEVEL_CALL;
    case RPI_IR_LOAD: return level_of_load(c, in, stored);
    case RPI_IR_INDEX: return (int32_t)in->imm == c->ir->rank - 1 ? RPI_LEVEL_BLOCK : RPI_LEVEL_ROW;
    case RPI_IR_GATHER:
    case RPI_IR_STORE:
    case RPI_IR_REDUCE:
    case RPI_IR_ENDLOOP: return (uint8_t)(RPI_LEVEL_BLOCK + nest);
    case RPI_IR_LOOP: return (uint8_t)(RPI_LEVEL_BLOCK + nest + 1);
    default: break;
  }
  for (int32_t k = 0; k < in->n_src; k++) {
    const int32_t s = source(c, i, k);
    const uint8_t l = s < c->first ? RPI_LEVEL_CALL : c->v[s].level;
    if (l > level) level = l;
  }
  return level;
}

/* Matches loops; false if they nest deeper than a level can say. */
static bool match_loops(rpi_planner *c) {
  int32_t open[MAX_NEST], n = 0;
  for (int32_t i = c->first; i < c->end; i++) {
    if (ins(c, i)->op == RPI_IR_LOOP) {
      if (n == RPI_COUNT(open)) return false;
      open[n++] = i;
    } else if (ins(c, i)->op == RPI_IR_ENDLOOP) {
      n--;
      c->v[i].match = open[n];
      c->v[open[n]].match = i;
    }
  }
  return true;
}

static void note_use(rpi_planner *c, int32_t v, int32_t user, const int32_t *open, int32_t n_open) {
  rpi_plan_value *x = &c->v[v];
  const int32_t depth = depth_of(x);
  const int32_t at = n_open > depth ? c->v[open[depth]].match : user;
  if (at > x->last_use) x->last_use = at;
  x->uses++;
  x->user = user;
  if (x->store < 0 && ins(c, user)->op == RPI_IR_STORE) x->store = user;
}

static void levels(rpi_planner *c) {
  int32_t open[MAX_NEST], n = 0;
  bool stored[RPI_N_DTYPE] = {false};
  for (int32_t i = c->first; i < c->end; i++) {
    const rpi_ir_ins *in = ins(c, i);
    rpi_plan_value *x = &c->v[i];
    const int32_t outside = in->op == RPI_IR_ENDLOOP ? n - 1 : n;
    x->nest = (uint8_t)outside;
    x->level = level_of(c, i, outside, stored[in->dtype]);
    x->last_use = outside > depth_of(x) ? c->v[open[depth_of(x)]].match : i;
    if (in->op == RPI_IR_LOOP) x->last_use = x->match;
    for (int32_t k = 0; k < in->n_src; k++)
      if (source(c, i, k) >= c->first) note_use(c, source(c, i, k), i, open, n);
    if (in->op == RPI_IR_LOOP) open[n++] = i;
    if (in->op == RPI_IR_ENDLOOP) n--;
    if (in->op == RPI_IR_STORE) stored[in->dtype] = true;
  }
}

static void lifetimes(rpi_planner *c) {
  int32_t store[RPI_N_DTYPE];
  for (int32_t t = 0; t < RPI_N_DTYPE; t++) store[t] = c->end;
  for (int32_t i = c->end - 1; i >= c->first; i--) {
    rpi_plan_value *x = &c->v[i];
    x->next_store = store[ins(c, i)->dtype];
    if (ins(c, i)->op == RPI_IR_STORE) store[ins(c, i)->dtype] = i;
    x->next_dead = c->v[x->last_use].dead;
    c->v[x->last_use].dead = i;
  }
}

bool rpi_interp_values(rpi_planner *c) {
  if (!match_loops(c)) return false;
  levels(c);
  rpi_interp_absorb(c);
  lifetimes(c);
  return true;
}
