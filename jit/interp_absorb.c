/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_absorb.c -- which operations of the interpreter share a step with their user.
 *
 * How:        superinstructions come from a table of pairs (RPI_PAIRS) and three rules: a product that is
 *             only summed, a gather that is only a factor of it, a cast that is only an index. The
 *             operation that is absorbed makes no step; its sources live until its user runs. */
#include "jit/interp_plan_impl.h"

static const struct pair_rule {
  uint8_t outer, inner, at;
} pair_rules[RPI_N_PAIR] = {
#define PAIR_RULE(outer_, OUTER, inner_, INNER, at_) {RPI_IR_##OUTER, RPI_IR_##INNER, at_},
    RPI_PAIRS(PAIR_RULE)
#undef PAIR_RULE
};

int32_t rpi_interp_pair_of(const rpi_planner *c, int32_t i, int32_t k) {
  const int32_t outer = ins(c, i)->op, inner = ins(c, source(c, i, k))->op;
  for (int32_t p = 0; p < RPI_N_PAIR; p++) {
    const struct pair_rule *r = &pair_rules[p];
    if (r->outer == outer && r->inner == inner && (r->at == k || outer != RPI_IR_SUB)) return p;
  }
  return -1;
}

/* Source k of i is a block of that level which nobody else wants. */
static bool lone(const rpi_planner *c, int32_t i, int32_t k, int32_t op, int32_t level) {
  const int32_t s = source(c, i, k);
  return s >= c->first && ins(c, s)->op == op && c->v[s].uses == 1 && c->v[s].level == level &&
         level >= RPI_LEVEL_BLOCK && !c->v[s].absorbed;
}

static bool is_float(int32_t t) { return t == RP_F32 || t == RP_F64; }

static bool lone_product(const rpi_planner *c, int32_t i, int32_t level) {
  const int32_t s = source(c, i, 0);
  if (!is_float(ins(c, i)->dtype) || !lone(c, i, 0, RPI_IR_MUL, level)) return false;
  for (int32_t k = 0; k < 2; k++)
    if (source(c, s, k) < c->first || c->v[source(c, s, k)].level <= RPI_LEVEL_ROW) return false;
  return true;
}

static void absorb_dot(rpi_planner *c, int32_t e) {
  const int32_t level = RPI_LEVEL_BLOCK + c->v[e].nest + 1, m = source(c, e, 0);
  if (ins(c, e)->imm != RPI_RED_SUM || ins(c, c->v[e].match)->imm != RPI_LOOP_SEGMENT) return;
  if (!lone_product(c, e, level)) return;
  c->v[m].absorbed = true;
  for (int32_t k = 0; k < 2; k++) {
    if (!lone(c, m, k, RPI_IR_GATHER, level) || ins(c, source(c, m, k))->n_src != 1) continue;
    const int32_t index = source(c, source(c, m, k), 0);
    if (index < c->first || c->v[index].level <= RPI_LEVEL_ROW) continue;
    if (ins(c, index)->op == RPI_IR_LOOP) continue; /* read in place */
    c->v[source(c, m, k)].absorbed = true;
    c->v[m].part = (uint8_t)(k + 1);
    return;
  }
}

/* Of a sum in a sum, one more: sum4. */
static void absorb_sum(rpi_planner *c, int32_t s) {
  for (int32_t k = 0; k < 2; k++) {
    if (!lone(c, s, k, RPI_IR_ADD, c->v[s].level)) continue;
    c->v[source(c, s, k)].absorbed = true;
    c->v[s].part = (uint8_t)(k + 1);
    return;
  }
}

static void absorb(rpi_planner *c, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  rpi_plan_value *x = &c->v[i];
  /* Outside loops, other sections see what the prologue makes. */
  if (c->section == RPI_SECTION_PRO && x->nest == 0 && in->op != RPI_IR_ENDLOOP) return;
  if (in->op == RPI_IR_ENDLOOP) {
    absorb_dot(c, i);
  } else if (in->op == RPI_IR_REDUCE) {
    if (c->ir->red[in->imm].op != RPI_RED_SUM || rpi_ir_row_mode(c->ir)) return;
    if (lone_product(c, i, RPI_LEVEL_BLOCK)) c->v[source(c, i, 0)].absorbed = true;
  } else if (in->op == RPI_IR_GATHER) {
    for (int32_t k = 0; k < in->n_src; k++) {
      const int32_t s = source(c, i, k);
      if (lone(c, i, k, RPI_IR_CAST, x->level) && ins(c, source(c, s, 0))->dtype == RP_I32)
        c->v[s].absorbed = true;
    }
  } else if (is_float(in->dtype) && in->n_src == 2 && !x->absorbed && in->op != RPI_IR_STORE) {
    for (int32_t k = 0; k < 2 && x->part == 0; k++) {
      const int32_t s = source(c, i, k);
      if (!lone(c, i, k, ins(c, s)->op, x->level) || rpi_interp_pair_of(c, i, k) < 0) continue;
      c->v[s].absorbed = true;
      x->part = (uint8_t)(k + 1);
      if (in->op == RPI_IR_ADD && ins(c, s)->op == RPI_IR_ADD) absorb_sum(c, s);
    }
  }
}

/* From users to sources, so that an absorbed one absorbs no pair. Then lifetimes. */
void rpi_interp_absorb(rpi_planner *c) {
  for (int32_t i = c->end - 1; i >= c->first; i--) absorb(c, i);
  for (int32_t i = c->end - 1; i >= c->first; i--) {
    if (!c->v[i].absorbed) continue;
    int32_t user = c->v[i].user;
    while (c->v[user].absorbed) user = c->v[user].user;
    for (int32_t k = 0; k < ins(c, i)->n_src; k++) {
      const int32_t s = source(c, i, k);
      if (s >= c->first && c->v[s].last_use < user) c->v[s].last_use = user;
    }
  }
}
