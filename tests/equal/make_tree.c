/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/make_tree.c -- the generator's expressions: whole-array bodies grown as trees.
 *
 * Lives here: growing a tree of typed nodes, choosing its operands, and the text of a tree.
 * Not here:   what a tree computes (direct.c).
 * How:        all kids of a node have the node's dtype, but for casts, comparisons and conditions;
 *             now and then an operand is taken as it is and promotes. */
#include <stdio.h>
#include <string.h>

#include "tests/equal/direct.h"
#include "tests/equal/maker.h"

typedef struct tree {
  maker *m;
  program_step *s;
  const int32_t *from; /* candidates for operands */
  int32_t n_from;
  bool math, has_dest;
} tree;

bool make_is_float(rp_dtype d) { return d >= RP_F32; }

static int32_t use_of(const tree *t, rp_dtype d) {
  if (d == RP_BOOL) return DIRECT_LOGIC;
  if (!make_is_float(d)) return DIRECT_INT;
  return DIRECT_FLOAT | (t->math ? DIRECT_MATH : 0);
}

/* ---- leaves */

/* Parameter number of variable v. */
static int32_t operand(tree *t, int32_t v) {
  program_step *s = t->s;
  for (int32_t i = 0; i < s->n_store; i++)
    if (s->v[i] == v && (i > 0 || t->has_dest)) return i;
  if (s->n_store == PROGRAM_STORES) return s->n_store - 1;
  s->v[s->n_store] = v;
  return s->n_store++;
}

static int32_t new_node(program_step *s, int32_t op, rp_dtype dtype) {
  s->node[s->n_node] =
      (program_node){.op = (int16_t)op, .kid = {-1, -1, -1}, .dtype = (int16_t)dtype};
  return s->n_node++;
}

static int32_t literal_node(tree *t, rp_dtype dtype) {
  static const double reals[] = {0.5, 2.0, 0.25, 3.0, 1.5}, wholes[] = {1, 2, 3, 5, 7};
  const int32_t n = new_node(t->s, DIRECT_LITERAL, dtype), at = maker_pick(t->m, 5);
  t->s->node[n].literal = dtype == RP_BOOL ? 1 : make_is_float(dtype) ? reals[at] : wholes[at];
  return n;
}

static int32_t scalar_node(tree *t, rp_dtype dtype) {
  const int32_t n = new_node(t->s, DIRECT_OPERAND, dtype);
  t->s->scalar[t->s->n_scalar] = (double)maker_pick(t->m, 9) * 0.125 - 0.5;
  t->s->node[n].operand = (int16_t)(-1 - t->s->n_scalar++);
  return n;
}

/* NumPy converts `from` to `to` by itself without loss. */
static bool promotes(rp_dtype from, rp_dtype to) {
  rp_dtype both;
  return rp_dtype_promote(from, to, &both) == RP_OK && both == to;
}

static int32_t leaf_node(tree *t, rp_dtype dtype) {
  maker *m = t->m;
  if (maker_chance(m, 20)) return literal_node(t, dtype);
  if (make_is_float(dtype) && t->s->n_scalar < 2 && maker_chance(m, 12))
    return scalar_node(t, dtype);
  const int32_t param = operand(t, t->from[maker_pick(m, t->n_from)]);
  const rp_dtype has = rp_store_dtype(m->var[t->s->v[param]]);
  int32_t cast = -1;
  if (has != dtype && !(promotes(has, dtype) && maker_chance(m, 30)))
    cast = new_node(t->s, DIRECT_CAST, dtype);
  const int32_t n = new_node(t->s, DIRECT_OPERAND, has);
  t->s->node[n].operand = (int16_t)param;
  if (cast < 0) return n;
  t->s->node[cast].kid[0] = (int16_t)n;
  return cast;
}

/* ---- growing */

static int32_t grow(tree *t, rp_dtype dtype, int32_t depth) {
  maker *m = t->m;
  if (depth <= 0 || t->s->n_node > PROGRAM_NODES - 24) return leaf_node(t, dtype);
  const int32_t use = use_of(t, dtype);
  int32_t op = DIRECT_FIRST + maker_pick(m, direct_n_ops - DIRECT_FIRST);
  while (!(direct_ops[op].use & use)) op = op + 1 == direct_n_ops ? DIRECT_FIRST : op + 1;
  rp_dtype kids = dtype;
  if (maker_chance(m, 8)) {
    op = DIRECT_CAST;
    kids = maker_pick(m, RP_F64 + 1);
  } else if (direct_ops[op].use & DIRECT_TEST) {
    kids = maker_chance(m, 50) ? rp_store_dtype(m->var[t->from[maker_pick(m, t->n_from)]]) : RP_F64;
    if (kids == RP_BOOL) kids = RP_I64;
  }
  const int32_t n = new_node(t->s, op, dtype);
  const int32_t n_kid = op == DIRECT_CAST ? 1 : direct_ops[op].n_kid;
  for (int32_t i = 0; i < n_kid; i++) {
    const bool condition = i == 0 && direct_ops[op].use & DIRECT_SELECT;
    const int32_t k = grow(t, condition ? RP_BOOL : kids, depth - 1 - maker_pick(m, 2));
    t->s->node[n].kid[i] = (int16_t)k;
  }
  return n;
}

/* Operands that broadcast to the shape. */
static int32_t find_operands(maker *m, like *l, int32_t *out) {
  int32_t n = 0;
  const rp_dtype dtype = l->dtype;
  for (int32_t i = 0; i < 3; i++) {
    l->dtype = maker_chance(m, 75) ? dtype : -1;
    const int32_t v = maker_choose(m, maker_fits_into, l);
    if (v >= 0) out[n++] = v;
  }
  l->dtype = dtype;
  if (n == 0) {
    const int32_t v = maker_make_like(m, l, true);
    if (v >= 0) out[n++] = v;
  }
  return n;
}

/* The root joins an operand of the whole shape with the rest, so that the space is that operand's. */
static void grow_whole(tree *t, rp_dtype dtype) {
  const int32_t *from = t->from, n = t->n_from;
  const int32_t top = new_node(t->s, dtype == RP_BOOL ? DIRECT_XOR : DIRECT_FIRST, dtype);
  t->from = from + n - 1;
  t->n_from = 1;
  const int32_t leaf = new_node(t->s, DIRECT_OPERAND, dtype);
  t->s->node[leaf].operand = (int16_t)operand(t, from[n - 1]);
  t->s->node[top].kid[0] = (int16_t)leaf;
  t->from = from;
  t->n_from = n;
  const int32_t rest = grow(t, dtype, 1 + maker_pick(t->m, 2));
  t->s->node[top].kid[1] = (int16_t)rest;
}

/* y ASG expression over `space`; call: into a new array; use: an operand it has, -1: any. */
static void make_expression(maker *m, int32_t dest, const like *space, int32_t asg, bool call,
                            int32_t use) {
  like l = *space;
  int32_t from[4];
  l.dtype = call ? space->dtype : rp_store_dtype(m->var[dest]);
  l.write = false;
  program_step s = maker_step(STEP_LAUNCH, dest, 0);
  s.n_store = 1;
  s.flag = call;
  s.asg = asg;
  int32_t n = find_operands(m, &l, from);
  if (asg || call || use >= 0) from[n++] = use >= 0 ? use : maker_get_like(m, &l, 0);
  if (n == 0 || from[n - 1] < 0) return;
  tree t = {.m = m, .s = &s, .from = from, .n_from = n, .has_dest = !call && !asg};
  t.math = maker_has(m, PROGRAM_MATH) && maker_chance(m, 25);
  if (asg || call)
    grow_whole(&t, l.dtype);
  else
    grow(&t, l.dtype, 1 + maker_pick(m, 3));
  program_write_body(&s);
  maker_emit(m, &s);
}

void make_assign(maker *m) {
  const int32_t dest = maker_choose(m, maker_chance(m, 97) ? maker_writable : maker_any, NULL);
  if (dest < 0) return;
  const like l = maker_shape_of(m, dest);
  make_expression(m, dest, &l, 0, false, -1);
}

void make_call(maker *m) {
  const int32_t x = maker_choose(m, maker_any, NULL);
  if (x < 0) return;
  const like l = maker_shape_of(m, x);
  make_expression(m, maker_free_var(m), &l, 0, true, -1);
}

/* A temporary: made, used once or twice, mostly dropped at once. */
void make_chain(maker *m) {
  const int32_t dest = maker_choose(m, maker_writable, NULL);
  if (dest < 0) return;
  const like l = maker_shape_of(m, dest);
  const int32_t t = maker_free_var(m);
  if (t == dest) return;
  make_expression(m, t, &l, 0, true, -1);
  if (!m->var[t] || !maker_same_shape(m, t, &l)) return;
  if (maker_chance(m, 25)) make_expression(m, t, &l, 0, false, t);
  make_expression(m, dest, &l, 0, false, t);
  if (maker_chance(m, 80)) maker_emit_simple(m, STEP_RELEASE, t, 0, maker_chance(m, 10));
}

/* A scalar that later tasks use. */
static void make_scalar_step(maker *m, const like *to, int32_t from) {
  const like zero = {.ndim = 0, .dtype = to->dtype, .write = true};
  const int32_t other = maker_get_like(m, &zero, 20);
  if (other < 0) return;
  program_step s = maker_step(STEP_LAUNCH, other, from);
  s.n_store = 2;
  snprintf(s.params, sizeof s.params, "y, a");
  snprintf(s.body, sizeof s.body, "y = a/(a*a + 1.5)");
  maker_emit(m, &s);
}

void make_reduce(maker *m) {
  static const char sums[] = "+mM*", bits[] = "+mM*&|^", logic[] = "mM&|^";
  const int32_t x = maker_choose(m, maker_any, NULL);
  if (x < 0) return;
  like space = maker_shape_of(m, x), to = space;
  const int32_t how = maker_pick(m, 4);
  to.write = true;
  if (how == 0 && space.ndim > 1) { /* inner */
    to.shape[to.ndim - 1] = 1;
  } else if (how == 1 && space.ndim > 1) { /* outer */
    to.ndim--;
    memmove(to.shape, to.shape + 1, sizeof *to.shape * (size_t)to.ndim);
  } else if (how == 2 && space.ndim == 3) { /* the middle */
    to.shape[1] = 1;
  } else if (!maker_chance(m, 12)) { /* else into the same shape: nothing is reduced */
    to.ndim = 0;
  }
  const int32_t dest = maker_get_like(m, &to, 30);
  if (dest < 0) return;
  const int32_t asg = to.dtype == RP_BOOL       ? logic[maker_pick(m, 5)]
                      : make_is_float(to.dtype) ? sums[maker_pick(m, 4)]
                                                : bits[maker_pick(m, 7)];
  make_expression(m, dest, &space, asg, false, -1);
  if (to.ndim == 0 && make_is_float(to.dtype) && maker_chance(m, 40))
    make_scalar_step(m, &to, dest);
}

/* Points go where an index array says; what they bring is an expression of arrays over the points. */
void make_scatter(maker *m) {
  static const char sums[] = "+mM*", bits[] = "+mM*&|^", logic[] = "mM&|^";
  like to = {.ndim = 1, .shape = {1 + maker_pick(m, 40)}, .dtype = -1, .write = true};
  const int32_t some = maker_choose(m, maker_writable, NULL);
  if (some < 0) return;
  to.dtype = rp_store_dtype(m->var[some]);
  const int32_t dest = maker_get_like(m, &to, 30);
  const int64_t n = maker_chance(m, 10) ? 0 : 1 + maker_pick(m, maker_chance(m, 30) ? 3000 : 200);
  const int32_t index = dest < 0 ? -1 : make_index(m, n, to.shape[0], false);
  if (index < 0) return;
  int32_t from[2];
  program_step s = maker_step(STEP_LAUNCH, dest, index);
  s.n_store = 2;
  s.scatter = true;
  s.asg = to.dtype == RP_BOOL       ? logic[maker_pick(m, 5)]
          : make_is_float(to.dtype) ? sums[maker_pick(m, 4)]
                                    : bits[maker_pick(m, 7)];
  for (int32_t i = 0; i < 2; i++) {
    const like l = {
        .ndim = 1, .shape = {n}, .dtype = i > 0 || maker_chance(m, 70) ? to.dtype : RP_I32};
    if ((from[i] = maker_get_like(m, &l, 10)) < 0) return;
  }
  tree t = {.m = m, .s = &s, .from = from, .n_from = 2};
  grow_whole(&t, to.dtype);
  program_write_body(&s);
  maker_emit(m, &s);
  for (int32_t i = 0; i < 3 && maker_chance(m, 50);
       i++) { /* by the inverse that is there, or by none */
    program_step w = maker_step(STEP_WRITE, index, 0);
    w.seed = maker_draw(m);
    w.flag = (int32_t)to.shape[0];
    if (maker_chance(m, 40)) maker_emit(m, &w);
    maker_emit(m, &s);
  }
}
