/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_plan.c -- from a section of an IR to a program of the interpreter.
 *
 * Lives here: levels, in-place operands, registers. Not here: running the program.
 * How:        every value has a level: 0 the same for the whole call, 1 for a row, 2 + d for a value
 *             that changes inside d loops. An instruction runs at its value's level, so what a loop
 *             does not change runs before it (but gathers: they stay, an index is only good where
 *             the loop reaches it). Levels 0 and 1 are splats. Registers come from one pool, given
 *             out along the order of instructions and given back after the last use.
 *             Superinstructions come from a table of pairs (RPI_PAIRS) and three rules: a product that
 *             is only summed, a gather that is only a factor of it, a cast that is only an index. The
 *             operation that is absorbed makes no step; its sources live until its user runs.
 * Invariants: operands of one dtype may be one memory, then they are one box. So a load that outlives
 *             a store of its dtype, or a result that is stored after such operands were touched, is
 *             guarded (rpi_guard): it stays in place unless the call has them as one memory. */
#include "core/base/alloc.h"
#include "jit/interp_impl.h"

enum { LEVEL_CALL = 0, LEVEL_ROW = 1, LEVEL_BLOCK = 2, STORE_WINDOW = 256 };

typedef struct value {
  int32_t place, reg; /* reg: register to give back; -1: none */
  int32_t last_use;   /* instruction after which nobody reads it */
  int32_t next_dead;  /* list of the values with one last use */
  int32_t dead;       /* head of that list for this instruction */
  int32_t match;      /* LOOP: its ENDLOOP; ENDLOOP: its LOOP */
  int32_t inner;      /* LOOP: its number in the program */
  int32_t uses, user; /* number of uses, and the last one */
  int32_t store;      /* the first STORE of the value; -1 */
  int32_t next_store; /* LOAD: the next STORE of its dtype */
  uint8_t level, nest;
  uint8_t part; /* head of a pair: the source that is absorbed, and 1; of a dot: its gather, and 1 */
  bool done;
  bool absorbed; /* its user computes it */
  bool stored;   /* the result goes to where its store would copy it; guarded: perhaps */
} value;

typedef struct frame {
  struct frame *parent;
  int32_t depth, inner; /* inner: -1 for the block itself */
  int32_t temp[2];
  bool tail; /* steps go to the tail of the inner program */
} frame;

typedef struct planner {
  const rpi_interp *p;
  const rpi_ir *ir;
  rpi_program *g;
  rpi_section section;
  int32_t first, end;
  value *v;
  int32_t *pool, n_pool, cap_pool;
  int32_t *inplace, n_inplace, cap_inplace; /* values that are memory, perhaps guarded */
  int32_t zero;
  int32_t at;      /* the instruction at hand */
  int32_t missing; /* the first that has no loop; -1 */
  bool failed;
} planner;

#define GROW(ctx, array, n, cap) \
  grow(ctx, (void **)&(array), &(cap), (n) + 1, sizeof *(array))

static bool grow(planner *c, void **array, int32_t *cap, int32_t need, size_t elem) {
  if (!c->failed && !rpi_alloc_grow(array, cap, need, elem)) c->failed = true;
  return !c->failed;
}

/* ---- places, registers, steps */

static int32_t place_add(planner *c, rpi_place_kind kind, int32_t arg) {
  rpi_program *g = c->g;
  if (!GROW(c, g->place, g->n_place, g->cap_place)) return 0;
  rpi_place *p = &g->place[g->n_place];
  *p = (rpi_place){.kind = (uint8_t)kind, .arg = arg};
  if (kind == RPI_PLACE_MEMORY || kind == RPI_PLACE_STRIDE) {
    p->size = (uint8_t)rpi_dtype_size(c->ir->operand[arg].dtype);
    p->stride = rpi_ir_layout_stride(c->ir, &c->p->layout, arg);
  } else if (kind == RPI_PLACE_PARTIAL) {
    p->size = (uint8_t)rpi_dtype_size(c->ir->operand[c->ir->red[arg].operand].dtype);
  }
  return g->n_place++;
}

static int32_t list_add(planner *c, int32_t **list, int32_t *n, int32_t *cap, int32_t place) {
  if (grow(c, (void **)list, cap, *n + 1, sizeof **list)) (*list)[(*n)++] = place;
  return place;
}

static int32_t place_moving(planner *c, rpi_place_kind kind, int32_t arg) {
  rpi_program *g = c->g;
  for (int32_t i = 0; i < g->n_moving; i++)
    if (g->place[g->moving[i]].kind == kind && g->place[g->moving[i]].arg == arg) return g->moving[i];
  return list_add(c, &g->moving, &g->n_moving, &g->cap_moving, place_add(c, kind, arg));
}

static int32_t place_coord(planner *c, int32_t axis) {
  rpi_program *g = c->g;
  for (int32_t i = 0; i < g->n_coord; i++)
    if (g->place[g->coord[i]].arg == axis) return g->coord[i];
  return list_add(c, &g->coord, &g->n_coord, &g->cap_coord, place_add(c, RPI_PLACE_COORD, axis));
}

static int32_t register_fresh(planner *c) {
  return place_add(c, RPI_PLACE_REGISTER, c->g->n_register++);
}
static int32_t register_get(planner *c) {
  return c->n_pool > 0 ? c->pool[--c->n_pool] : register_fresh(c);
}
static void register_give(planner *c, int32_t place) {
  if (place >= 0) list_add(c, &c->pool, &c->n_pool, &c->cap_pool, place);
}
static int32_t splat_get(planner *c) {
  return place_add(c, RPI_PLACE_SPLAT, c->g->n_splat++);
}

static rpi_steps *steps_of(planner *c, const frame *f, int32_t level) {
  if (level == LEVEL_CALL) return &c->g->once;
  if (level == LEVEL_ROW) return &c->g->row;
  if (f->inner < 0) return &c->g->block;
  return f->tail ? &c->g->inner[f->inner].tail : &c->g->inner[f->inner].step;
}

static void need_loop(planner *c, rpi_loop_fn *fn) {
  if (fn == NULL && c->missing < 0) c->missing = c->at;
}

static void step_add(planner *c, rpi_steps *s, rpi_step step) {
  if (step.kind <= RPI_STEP_CALL4 || step.kind == RPI_STEP_SETTLE) need_loop(c, step.fn);
  if (GROW(c, s->at, s->n, s->cap)) s->at[s->n++] = step;
}

static const rpi_ir_ins *ins(const planner *c, int32_t i) { return &c->ir->ins[i]; }
static int32_t source(const planner *c, int32_t i, int32_t k) { return rpi_ir_src(c->ir, ins(c, i), k); }

/* ---- analysis: levels, uses, stores */

static uint8_t level_of_load(const planner *c, const rpi_ir_ins *in, bool stored) {
  if (c->section != RPI_SECTION_BODY) return LEVEL_BLOCK;
  const uint8_t *sclass = c->ir->operand[in->imm].sclass;
  return sclass[c->ir->rank - 1] == RPI_STRIDE_ZERO && !stored ? LEVEL_ROW : LEVEL_BLOCK;
}

static uint8_t level_of(const planner *c, int32_t i, int32_t nest, bool stored) {
  const rpi_ir_ins *in = ins(c, i);
  uint8_t level = LEVEL_CALL;
  switch (in->op) {
    case RPI_IR_CONST: case RPI_IR_SCALAR: case RPI_IR_EXTENT: return LEVEL_CALL;
    case RPI_IR_LOAD: return level_of_load(c, in, stored);
    case RPI_IR_INDEX:
      return (int32_t)in->imm == c->ir->rank - 1 ? LEVEL_BLOCK : LEVEL_ROW;
    case RPI_IR_GATHER: case RPI_IR_STORE: case RPI_IR_REDUCE: case RPI_IR_ENDLOOP:
      return (uint8_t)(LEVEL_BLOCK + nest);
    case RPI_IR_LOOP: return (uint8_t)(LEVEL_BLOCK + nest + 1);
    default: break;
  }
  for (int32_t k = 0; k < in->n_src; k++) {
    const int32_t s = source(c, i, k);
    const uint8_t l = s < c->first ? LEVEL_CALL : c->v[s].level;
    if (l > level) level = l;
  }
  return level;
}

static int32_t depth_of(const value *v) { return v->level <= LEVEL_BLOCK ? 0 : v->level - LEVEL_BLOCK; }

/* Matches loops; false if they nest deeper than a level can say. */
static bool match_loops(planner *c) {
  int32_t open[64], n = 0;
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

static void note_use(planner *c, int32_t v, int32_t user, const int32_t *open, int32_t n_open) {
  value *x = &c->v[v];
  const int32_t depth = depth_of(x);
  const int32_t at = n_open > depth ? c->v[open[depth]].match : user;
  if (at > x->last_use) x->last_use = at;
  x->uses++;
  x->user = user;
  if (x->store < 0 && ins(c, user)->op == RPI_IR_STORE) x->store = user;
}

/* ---- superinstructions */

static const struct pair_rule {
  uint8_t outer, inner, at;
} pair_rules[RPI_N_PAIR] = {
#define PAIR_RULE(outer_, OUTER, inner_, INNER, at_) {RPI_IR_##OUTER, RPI_IR_##INNER, at_},
  RPI_PAIRS(PAIR_RULE)
#undef PAIR_RULE
};

/* The pair of i and its source k; -1. */
static int32_t pair_of(const planner *c, int32_t i, int32_t k) {
  const int32_t outer = ins(c, i)->op, inner = ins(c, source(c, i, k))->op;
  for (int32_t p = 0; p < RPI_N_PAIR; p++) {
    const struct pair_rule *r = &pair_rules[p];
    if (r->outer == outer && r->inner == inner && (r->at == k || outer != RPI_IR_SUB)) return p;
  }
  return -1;
}

/* Source k of i is a block of that level which nobody else wants. */
static bool lone(const planner *c, int32_t i, int32_t k, int32_t op, int32_t level) {
  const int32_t s = source(c, i, k);
  return s >= c->first && ins(c, s)->op == op && c->v[s].uses == 1 && c->v[s].level == level &&
         level >= LEVEL_BLOCK && !c->v[s].absorbed;
}

static bool is_float(int32_t t) { return t == RP_F32 || t == RP_F64; }

static bool lone_product(const planner *c, int32_t i, int32_t level) {
  const int32_t s = source(c, i, 0);
  if (!is_float(ins(c, i)->dtype) || !lone(c, i, 0, RPI_IR_MUL, level)) return false;
  for (int32_t k = 0; k < 2; k++)
    if (source(c, s, k) < c->first || c->v[source(c, s, k)].level <= LEVEL_ROW) return false;
  return true;
}

static void absorb_dot(planner *c, int32_t e) {
  const int32_t level = LEVEL_BLOCK + c->v[e].nest + 1, m = source(c, e, 0);
  if (ins(c, e)->imm != RPI_RED_SUM || ins(c, c->v[e].match)->imm != RPI_LOOP_SEGMENT) return;
  if (!lone_product(c, e, level)) return;
  c->v[m].absorbed = true;
  for (int32_t k = 0; k < 2; k++) {
    if (!lone(c, m, k, RPI_IR_GATHER, level) || ins(c, source(c, m, k))->n_src != 1) continue;
    const int32_t index = source(c, source(c, m, k), 0);
    if (index < c->first || c->v[index].level <= LEVEL_ROW) continue;
    if (ins(c, index)->op == RPI_IR_LOOP) continue; /* read in place */
    c->v[source(c, m, k)].absorbed = true;
    c->v[m].part = (uint8_t)(k + 1);
    return;
  }
}

/* Of a sum in a sum, one more: sum4. */
static void absorb_sum(planner *c, int32_t s) {
  for (int32_t k = 0; k < 2; k++) {
    if (!lone(c, s, k, RPI_IR_ADD, c->v[s].level)) continue;
    c->v[source(c, s, k)].absorbed = true;
    c->v[s].part = (uint8_t)(k + 1);
    return;
  }
}

static void absorb(planner *c, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  value *x = &c->v[i];
  /* Outside loops, other sections see what the prologue makes. */
  if (c->section == RPI_SECTION_PRO && x->nest == 0 && in->op != RPI_IR_ENDLOOP) return;
  if (in->op == RPI_IR_ENDLOOP) {
    absorb_dot(c, i);
  } else if (in->op == RPI_IR_REDUCE) {
    if (c->ir->red[in->imm].op != RPI_RED_SUM || rpi_ir_row_mode(c->ir)) return;
    if (lone_product(c, i, LEVEL_BLOCK)) c->v[source(c, i, 0)].absorbed = true;
  } else if (in->op == RPI_IR_GATHER) {
    for (int32_t k = 0; k < in->n_src; k++) {
      const int32_t s = source(c, i, k);
      if (lone(c, i, k, RPI_IR_CAST, x->level) && ins(c, source(c, s, 0))->dtype == RP_I32)
        c->v[s].absorbed = true;
    }
  } else if (is_float(in->dtype) && in->n_src == 2 && !x->absorbed && in->op != RPI_IR_STORE) {
    for (int32_t k = 0; k < 2 && x->part == 0; k++) {
      const int32_t s = source(c, i, k);
      if (!lone(c, i, k, ins(c, s)->op, x->level) || pair_of(c, i, k) < 0) continue;
      c->v[s].absorbed = true;
      x->part = (uint8_t)(k + 1);
      if (in->op == RPI_IR_ADD && ins(c, s)->op == RPI_IR_ADD) absorb_sum(c, s);
    }
  }
}

/* From users to sources, so that an absorbed one absorbs no pair. Then lifetimes. */
static void absorb_all(planner *c) {
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

static void analyse(planner *c) {
  int32_t open[64], n = 0, store[RPI_N_DTYPE];
  bool stored[RPI_N_DTYPE] = {false};
  for (int32_t i = c->first; i < c->end; i++) {
    const rpi_ir_ins *in = ins(c, i);
    value *x = &c->v[i];
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
  absorb_all(c);
  for (int32_t t = 0; t < RPI_N_DTYPE; t++) store[t] = c->end;
  for (int32_t i = c->end - 1; i >= c->first; i--) {
    value *x = &c->v[i];
    x->next_store = store[ins(c, i)->dtype];
    if (ins(c, i)->op == RPI_IR_STORE) store[ins(c, i)->dtype] = i;
    x->next_dead = c->v[x->last_use].dead;
    c->v[x->last_use].dead = i;
  }
}

/* ---- values as seen from a frame */

static bool is_splat(const planner *c, int32_t v) {
  return v < c->first || c->v[v].level <= LEVEL_ROW;
}

/* A value that is known when the call begins: a constant, or a word. */
static int32_t fill_add(planner *c, rp_dtype dtype, int32_t word, uint64_t bits) {
  rpi_program *g = c->g;
  const int32_t place = splat_get(c);
  if (GROW(c, g->fill, g->n_fill, g->cap_fill))
    g->fill[g->n_fill++] =
        (rpi_fill){.place = place, .dtype = (uint8_t)dtype, .word = word, .bits = bits};
  return place;
}

static int32_t resolve(planner *c, const frame *f, int32_t v) {
  value *x = &c->v[v];
  if (v < c->first && x->place < 0)
    x->place = fill_add(c, ins(c, v)->dtype, c->p->layout.uniform + v, 0);
  if (is_splat(c, v) || depth_of(x) == f->depth) {
    if (ins(c, v)->op == RPI_IR_LOOP) c->g->inner[x->inner].need_k = true;
    return x->place;
  }
  const int32_t from = resolve(c, f->parent, v);
  if (c->failed) return 0;
  rpi_inner *in = &c->g->inner[f->inner];
  for (int32_t i = 0; i < in->n_expansion; i++)
    if (in->expansion[i].from == from) return in->expansion[i].to;
  const int32_t to = register_fresh(c); /* written before the first step: not from the pool */
  in = &c->g->inner[f->inner];
  if (GROW(c, in->expansion, in->n_expansion, in->cap_expansion))
    in->expansion[in->n_expansion++] =
        (rpi_expansion){.from = from, .to = to, .dtype = ins(c, v)->dtype};
  return to;
}

/* The same, but never a splat: *temp is a register to give back, or -1. */
static int32_t resolve_block(planner *c, const frame *f, int32_t v, int32_t *temp) {
  const int32_t place = resolve(c, f, v);
  const rp_dtype t = ins(c, v)->dtype;
  *temp = -1;
  if (!is_splat(c, v)) return place;
  *temp = register_get(c);
  step_add(c, steps_of(c, f, LEVEL_BLOCK),
           (rpi_step){.fn = rpi_interp_loops(c->p, t)->copy[t], .d = *temp, .a = place, .flags = RPI_SPLAT(0)});
  return *temp;
}

/* ---- instructions */

static bool operand_unit(const planner *c, int32_t o) {
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
static void guard_add(planner *c, rpi_guard *t, int32_t i) {
  value *x = &c->v[i];
  rpi_program *g = c->g;
  t->memory = place_moving(c, RPI_PLACE_MEMORY, t->operand);
  t->reg = x->reg = register_get(c);
  t->d = x->place = place_add(c, RPI_PLACE_DYNAMIC, 0);
  if (GROW(c, g->guard, g->n_guard, g->cap_guard)) g->guard[g->n_guard] = *t;
  step_add(c, &g->block, (rpi_step){.kind = RPI_STEP_GUARD, .a = g->n_guard++});
}

/* The load i is used in place, perhaps with a guard; false: it must be copied. */
static bool load_in_place(planner *c, const frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  value *x = &c->v[i];
  rpi_guard t = {.operand = (uint16_t)in->imm};
  t.copy = rpi_interp_loops(c->p, in->dtype)->copy[in->dtype];
  int32_t stores = 0;
  for (int32_t s = x->next_store; s < x->last_use; s = c->v[s].next_store)
    if (++stores > STORE_WINDOW || !guard_other(&t, (int32_t)ins(c, s)->imm)) return false;
  if (stores > 0 && f->depth > 0) return false;
  list_add(c, &c->inplace, &c->n_inplace, &c->cap_inplace, i);
  if (stores > 0) guard_add(c, &t, i);
  else x->place = place_moving(c, RPI_PLACE_MEMORY, (int32_t)in->imm);
  return true;
}

static void emit_load(planner *c, const frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const rpi_loops *loops = rpi_interp_loops(c->p, in->dtype);
  const int32_t o = (int32_t)in->imm, from = place_moving(c, RPI_PLACE_MEMORY, o);
  value *x = &c->v[i];
  rpi_step s = {.a = from};
  if (x->level == LEVEL_ROW) {
    s.fn = loops->loads[in->dtype], s.c = c->zero, s.d = x->place = splat_get(c);
    s.fixed = RPI_SPLAT_BYTES / rpi_dtype_size(in->dtype);
    step_add(c, &c->g->row, s);
    return;
  }
  if (operand_unit(c, o) && load_in_place(c, f, i)) return;
  s.d = x->place = x->reg = register_get(c);
  if (operand_unit(c, o)) s.fn = loops->copy[in->dtype];
  else s.fn = loops->loads[in->dtype], s.c = place_add(c, RPI_PLACE_STRIDE, o);
  step_add(c, steps_of(c, f, LEVEL_BLOCK), s);
}

static void emit_store(planner *c, const frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const rpi_loops *loops = rpi_interp_loops(c->p, in->dtype);
  const int32_t v = source(c, i, 0), o = (int32_t)in->imm;
  rpi_step s = {.a = resolve(c, f, v), .d = place_moving(c, RPI_PLACE_MEMORY, o)};
  if (v >= c->first && c->v[v].stored && c->v[v].store == i) {
    if (s.a == s.d) return; /* it is there already */
    s.kind = RPI_STEP_SETTLE;
  }
  if (is_splat(c, v)) s.flags = RPI_SPLAT(0);
  if (operand_unit(c, o)) s.fn = loops->copy[in->dtype];
  else s.fn = loops->stores[in->dtype], s.c = place_add(c, RPI_PLACE_STRIDE, o);
  step_add(c, steps_of(c, f, LEVEL_BLOCK), s);
}

static void emit_reduce(planner *c, const frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const rpi_loops *loops = rpi_interp_loops(c->p, in->dtype);
  const int32_t r = (int32_t)in->imm, op = c->ir->red[r].op, v = source(c, i, 0);
  if (rpi_ir_row_mode(c->ir)) {
    const int32_t at = place_moving(c, RPI_PLACE_PARTIAL, r);
    step_add(c, &c->g->block,
             (rpi_step){.fn = loops->red[op][in->dtype], .d = at, .a = at, .b = resolve(c, f, v),
                        .flags = is_splat(c, v) ? RPI_SPLAT(1) : 0});
    return;
  }
  if (v >= c->first && c->v[v].absorbed) {
    step_add(c, &c->g->block,
             (rpi_step){.fn = loops->leaf_dot[in->dtype], .d = c->g->red_acc + r,
                        .a = resolve(c, f, source(c, v, 0)), .b = resolve(c, f, source(c, v, 1))});
    return;
  }
  int32_t temp;
  const int32_t from = resolve_block(c, f, v, &temp);
  step_add(c, &c->g->block,
           (rpi_step){.fn = loops->leaf[op][in->dtype], .d = c->g->red_acc + r, .a = from});
  register_give(c, temp);
}

/* The operand whose memory the value is. */
static int32_t memory_of(const planner *c, int32_t v) {
  return (int32_t)ins(c, ins(c, v)->op == RPI_IR_LOAD ? v : c->v[v].store)->imm;
}

/* The result of i may be written where its store would copy it, unless the guard's other operands are
 * the same memory: loads in use, loads and stores before the store, stores before the last use. */
static bool store_target(planner *c, const frame *f, int32_t i, rpi_guard *t) {
  const value *x = &c->v[i];
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
  list_add(c, &c->inplace, &c->n_inplace, &c->cap_inplace, i);
  return true;
}

/* Where the value of a loop step goes. A source of equal size that dies here hands on its register. */
static int32_t target(planner *c, const frame *f, int32_t i, const int32_t *src, int32_t n_src) {
  value *x = &c->v[i];
  rpi_guard t = {.copy = NULL};
  if (x->level <= LEVEL_ROW) return x->place = splat_get(c);
  if (store_target(c, f, i, &t)) {
    x->stored = true;
    if (t.n_other > 0) guard_add(c, &t, i);
    else x->place = place_moving(c, RPI_PLACE_MEMORY, t.operand);
    return x->place;
  }
  for (int32_t k = 0; k < n_src; k++) {
    const int32_t s = src[k];
    value *y = &c->v[s];
    if (s < c->first || y->reg < 0 || y->last_use != i || depth_of(y) != f->depth) continue;
    if (rpi_dtype_size(ins(c, s)->dtype) != rpi_dtype_size(ins(c, i)->dtype)) continue;
    x->reg = y->reg, y->reg = -1;
    return x->place = x->reg;
  }
  return x->place = x->reg = register_get(c);
}

static rpi_loop_fn *compute_loop(const planner *c, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const rp_dtype from = in->op == RPI_IR_SELECT ? in->dtype : ins(c, source(c, i, 0))->dtype;
  if (in->op != RPI_IR_CAST) return rpi_interp_loops(c->p, from)->op[in->op][from];
  const bool wide = rpi_interp_wide(from) || rpi_interp_wide(in->dtype);
  return (wide ? c->p->wide : c->p->narrow)->cast[from][in->dtype];
}

static void emit_compute(planner *c, const frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const int32_t part = c->v[i].absorbed ? 0 : c->v[i].part;
  rpi_step s = {.fn = NULL};
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
    s.kind = deep > 0 ? RPI_STEP_CALL4 : RPI_STEP_CALL;
    s.fn = deep > 0 ? loops->sum4[in->dtype] : loops->pair[pair_of(c, i, part - 1)][in->dtype];
  } else {
    s.fn = compute_loop(c, i);
    for (; n < in->n_src; n++) src[n] = source(c, i, n);
  }
  for (int32_t k = 0; k < n; k++) {
    *at[k] = resolve(c, f, src[k]);
    if (is_splat(c, src[k])) s.flags |= RPI_SPLAT(k);
  }
  s.d = target(c, f, i, src, n);
  if (c->v[i].level <= LEVEL_ROW) s.fixed = RPI_SPLAT_BYTES / rpi_dtype_size(in->dtype);
  step_add(c, steps_of(c, f, c->v[i].level), s);
}

static void emit_index(planner *c, const frame *f, int32_t i) {
  value *x = &c->v[i];
  rpi_step s = {.fn = c->p->wide->iota, .a = place_coord(c, (int32_t)ins(c, i)->imm)};
  if (x->level == LEVEL_ROW) { /* the number itself, copied: a step of stride 0 from its own slot */
    s.d = x->place = splat_get(c);
    s.fixed = RPI_SPLAT_BYTES / 8;
    s.fn = c->p->wide->scale;
    s.c = s.a, s.b = c->zero, s.a = fill_add(c, RP_I64, -1, 1), s.flags = RPI_SPLAT(0);
    step_add(c, &c->g->row, s);
    return;
  }
  s.d = x->place = x->reg = register_get(c);
  step_add(c, steps_of(c, f, LEVEL_BLOCK), s);
}

static void emit_gather(planner *c, frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  value *x = &c->v[i];
  rpi_gather t = {.operand = (uint16_t)in->imm, .dtype = in->dtype, .n_axes = in->n_src, .loop = -1};
  t.checked = c->ir->operand[in->imm].checked;
  t.stride = rpi_ir_layout_stride(c->ir, &c->p->layout, t.operand);
  for (int32_t k = 0; k < 2; k++)
    if (f->temp[k] < 0) f->temp[k] = register_get(c);
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
      t.index[k] = resolve(c, f, s);
    }
  }
  t.temp[0] = f->temp[0], t.temp[1] = f->temp[1];
  t.reg = x->reg = register_get(c);
  t.d = x->place = place_add(c, RPI_PLACE_DYNAMIC, 0);
  if (GROW(c, c->g->gather, c->g->n_gather, c->g->cap_gather)) c->g->gather[c->g->n_gather] = t;
  step_add(c, steps_of(c, f, LEVEL_BLOCK),
           (rpi_step){.kind = RPI_STEP_GATHER, .a = c->g->n_gather++});
}

static void emit(planner *c, frame *f, int32_t i) {
  const rpi_ir_ins *in = ins(c, i);
  const rpi_ir_layout *l = &c->p->layout;
  value *x = &c->v[i];
  x->done = true;
  c->at = i;
  if (x->absorbed) return;
  switch (in->op) {
    case RPI_IR_CONST: x->place = fill_add(c, in->dtype, -1, in->imm); break;
    case RPI_IR_SCALAR: x->place = fill_add(c, in->dtype, l->scalar + (int32_t)in->imm, 0); break;
    case RPI_IR_EXTENT: x->place = fill_add(c, in->dtype, l->param + (int32_t)in->imm, 0); break;
    case RPI_IR_INDEX: emit_index(c, f, i); break;
    case RPI_IR_LOAD: emit_load(c, f, i); break;
    case RPI_IR_STORE: emit_store(c, f, i); return;
    case RPI_IR_REDUCE: emit_reduce(c, f, i); return;
    case RPI_IR_GATHER: emit_gather(c, f, i); break;
    default: emit_compute(c, f, i); break;
  }
}

/* What the body and the epilogue may use of the prologue. */
static void emit_word(planner *c, const frame *f, int32_t i) {
  const rp_dtype t = ins(c, i)->dtype;
  if (c->section != RPI_SECTION_PRO || ins(c, i)->op == RPI_IR_STORE || f->depth > 0) return;
  step_add(c, &c->g->block,
           (rpi_step){.fn = rpi_interp_loops(c->p, t)->copy[t], .a = resolve(c, f, i), .fixed = 1,
                      .d = place_add(c, RPI_PLACE_WORD, i), .flags = is_splat(c, i) ? RPI_SPLAT(0) : 0});
}

static void bury(planner *c, int32_t i) {
  for (int32_t v = c->v[i].dead; v >= 0; v = c->v[v].next_dead) {
    if (c->v[v].reg >= 0) register_give(c, c->v[v].reg);
    if (c->v[v].reg >= 0) c->v[v].reg = -1;
  }
}

/* The element of a loop that is a product: the tail makes it, `dot` does without. */
static int32_t emit_dot(planner *c, frame *f, int32_t m) {
  const int32_t x = f->inner, part = c->v[m].part;
  int32_t place[2], gather = -1;
  c->at = m;
  for (int32_t k = 0; k < 2; k++)
    if (part != k + 1) place[k] = resolve(c, f, source(c, m, k));
  f->tail = true;
  if (part > 0) {
    gather = c->g->n_gather;
    emit_gather(c, f, source(c, m, part - 1));
    place[part - 1] = c->v[source(c, m, part - 1)].place;
  }
  const int32_t d = c->v[m].place = register_get(c);
  step_add(c, steps_of(c, f, LEVEL_BLOCK),
           (rpi_step){.fn = compute_loop(c, m), .d = d, .a = place[0], .b = place[1]});
  f->tail = false;
  if (c->failed) return 0;
  rpi_inner *in = &c->g->inner[x];
  in->dot = part > 0 ? RPI_DOT_GATHER : RPI_DOT_PLAIN;
  in->dot_a = place[part == 1 ? 1 : 0], in->dot_b = part > 0 ? gather : place[1];
  if (part > 0) {
    value *y = &c->v[source(c, m, part - 1)];
    register_give(c, y->reg);
    y->reg = -1;
  }
  return d;
}

static void translate(planner *c, frame *f, int32_t from, int32_t to);

static void emit_loop(planner *c, frame *f, int32_t i) {
  rpi_program *g = c->g;
  const int32_t e = c->v[i].match, v = source(c, e, 0), x = g->n_inner;
  for (int32_t j = i + 1; j < e; j++)
    if (!c->v[j].done && depth_of(&c->v[j]) <= f->depth && ins(c, j)->op != RPI_IR_ENDLOOP)
      emit(c, f, j);
  rpi_inner n = {.rule = (uint8_t)ins(c, i)->imm, .op = (uint8_t)ins(c, e)->imm, .dtype = ins(c, v)->dtype};
  n.lo = resolve(c, f, source(c, i, 0)), n.lo_splat = is_splat(c, source(c, i, 0));
  n.hi = resolve(c, f, source(c, i, 1)), n.hi_splat = is_splat(c, source(c, i, 1));
  n.k = register_get(c), n.temp = register_get(c);
  n.d = c->v[e].place = c->v[e].reg = register_get(c); /* before the inner program takes registers */
  n.offsets = place_add(c, RPI_PLACE_OFFSETS, g->n_offsets++);
  n.acc = place_add(c, RPI_PLACE_ACC, g->n_acc++);
  c->v[i].inner = x, c->v[i].place = n.k, c->v[i].done = true;
  if (!GROW(c, g->inner, g->n_inner, g->cap_inner)) return;
  g->inner[g->n_inner++] = n;
  frame child = {.parent = f, .depth = f->depth + 1, .inner = x, .temp = {-1, -1}};
  translate(c, &child, i + 1, e);
  int32_t temp, place;
  if (v >= c->first && c->v[v].absorbed) place = temp = emit_dot(c, &child, v);
  else place = resolve_block(c, &child, v, &temp);
  c->at = e;
  need_loop(c, rpi_interp_loops(c->p, n.dtype)->segment[n.op][n.dtype]);
  if (c->failed) return;
  g->inner[x].value = place;
  c->v[e].done = true;
  step_add(c, steps_of(c, f, LEVEL_BLOCK), (rpi_step){.kind = RPI_STEP_LOOP, .a = x});
  for (int32_t k = 0; k < g->inner[x].n_expansion; k++) register_give(c, g->inner[x].expansion[k].to);
  const int32_t back[] = {n.k, n.temp, temp, child.temp[0], child.temp[1]};
  for (int32_t k = 0; k < RPI_COUNT(back); k++) register_give(c, back[k]);
}

static void translate(planner *c, frame *f, int32_t from, int32_t to) {
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

static size_t up64(size_t n) { return (n + 63) & ~(size_t)63; }

static void lay_out(rpi_program *g, int32_t size) {
  size_t at = up64((size_t)g->n_place * sizeof(char *));
  g->size = size;
  g->register_bytes = up64((size_t)size * 8);
  g->at_register = at, at += (size_t)g->n_register * g->register_bytes;
  g->at_splat = at, at += (size_t)g->n_splat * RPI_SPLAT_BYTES;
  g->at_acc = at, at += (size_t)g->n_acc * RPI_ACCUMULATORS * 8;
  g->at_offsets = at, at += (size_t)g->n_offsets * up64((size_t)(size + 1) * 4);
  g->at_state = at, at += up64((size_t)g->n_inner * sizeof(struct rpi_inner_state));
  g->at_guard = at, at += up64((size_t)g->n_guard);
  g->scratch = at;
}

/* Blocks as long as registers and stretches of operands stay in the first-level cache. */
static int32_t best_size(const rpi_program *g) {
  enum { CACHE = 32 << 10, MOST = 1024, LEAST = 256, CROWD = 24 };
  int32_t size = MOST, n = g->n_register;
  for (int32_t i = 0; i < g->n_inner; i++)
    if (g->inner[i].dot != RPI_DOT_NONE) n = g->n_inner; /* most registers idle */
  while (size > LEAST && (n + g->n_moving) * size * 8 > CACHE) size /= 2;
  return n > CROWD ? LEAST / 2 : size;
}

/* Shorter ones where the scratch holds no more. Prologues and epilogues have one point, but their
 * inner loops have chunks. */
static rp_status choose_size(const planner *c) {
  rpi_program *g = c->g;
  int32_t size = best_size(g), least = 16;
  if (c->section != RPI_SECTION_BODY && g->n_inner == 0) size = least = 8;
  for (; size >= least; size /= 2) {
    lay_out(g, size);
    if (g->scratch <= RPI_KERNEL_SCRATCH) return RP_OK;
  }
  return rpi_status_fail(RP_ERR_INTERNAL,
                         "the interpreter needs %d registers and %d constants at once: even blocks "
                         "of %d elements take %zu bytes, the scratch has %d", g->n_register,
                         g->n_splat, least, g->scratch, RPI_KERNEL_SCRATCH);
}

static rp_status no_loop(const planner *c) {
  const rpi_ir_ins *in = ins(c, c->missing);
  const rp_dtype from = in->n_src > 0 ? ins(c, source(c, c->missing, 0))->dtype : in->dtype;
  return rpi_status_fail(RP_ERR_INTERNAL,
                         "instruction %d: the interpreter has no loop for %s from %s to %s",
                         c->missing, rpi_ir_op_name(in->op), rpi_dtype_name(from), rpi_dtype_name(in->dtype));
}

static void plan_all(planner *c) {
  frame top = {.inner = -1, .temp = {-1, -1}};
  c->zero = place_add(c, RPI_PLACE_ZERO, 0);
  c->g->red_acc = c->g->n_place;
  for (int32_t r = 0; c->section == RPI_SECTION_BODY && r < c->ir->n_red; r++)
    place_add(c, RPI_PLACE_ACC, c->g->n_acc++);
  analyse(c);
  translate(c, &top, c->first, c->end);
}

rp_status rpi_interp_plan(const rpi_interp *p, rpi_section section, rpi_program *out) {
  const int32_t bound[4] = {0, p->ir.n_pro, p->ir.n_body, p->ir.n_ins};
  *out = (rpi_program){.size = 0};
  planner c = {.p = p, .ir = &p->ir, .g = out, .section = section, .missing = -1};
  c.first = bound[section], c.end = bound[section + 1];
  if (c.first == c.end) return RP_OK;
  c.v = rpi_alloc_zero((size_t)c.end * sizeof *c.v);
  if (c.v == NULL) return rpi_status_nomem("the interpreter's values");
  for (int32_t i = 0; i < c.end; i++) c.v[i].place = c.v[i].reg = c.v[i].dead = c.v[i].store = -1;
  rp_status status = RP_OK;
  if (!match_loops(&c)) status = rpi_status_fail(RP_ERR_INTERNAL, "loops nest more than 64 deep");
  if (status == RP_OK) plan_all(&c);
  if (status == RP_OK && c.failed) status = rpi_status_nomem("the interpreter's program");
  if (status == RP_OK && c.missing >= 0) status = no_loop(&c);
  if (status == RP_OK) status = choose_size(&c);
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
