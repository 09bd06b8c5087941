/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/smaller.c -- see smaller.h. */
#include "tests/equal/smaller.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/equal/direct.h"

typedef struct shrinker {
  program *p, *q; /* the smallest so far, and the attempt */
  uint64_t seed;
  const way_choice *c;
  way_finding *f;
  double until;
} shrinker;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void copy(program *to, const program *from) {
  to->n_step = from->n_step;
  memcpy(to->step, from->step, sizeof *to->step * (size_t)from->n_step);
}

/* Keeps the attempt if it fails. */
static bool attempt(shrinker *s) {
  if (now() > s->until || way_examine_apart(s->q, s->seed, s->c, s->f)) return false;
  copy(s->p, s->q);
  return true;
}

static bool drop_steps(shrinker *s, int32_t run) {
  bool any = false;
  for (int32_t at = s->p->n_step - run; at >= 0; at -= run) {
    if (at + run > s->p->n_step) continue;
    const int32_t rest = s->p->n_step - at - run;
    s->q->n_step = at + rest;
    memcpy(s->q->step, s->p->step, sizeof *s->q->step * (size_t)at);
    memcpy(s->q->step + at, s->p->step + at + run, sizeof *s->q->step * (size_t)rest);
    any = attempt(s) || any;
  }
  return any;
}

/* ---- expressions */

/* Copies the tree at node `at` behind the nodes of `to`. */
static int16_t graft(program_step *to, const program_step *from, int32_t at, int32_t by_kid_of,
                     int32_t kid) {
  if (at == by_kid_of) at = from->node[at].kid[kid];
  const int16_t n = (int16_t)to->n_node++;
  to->node[n] = from->node[at];
  const int32_t kids = from->node[at].op == DIRECT_OPERAND || from->node[at].op == DIRECT_LITERAL
                           ? 0
                           : direct_ops[from->node[at].op].n_kid;
  for (int32_t i = 0; i < kids; i++)
    to->node[n].kid[i] = graft(to, from, from->node[at].kid[i], by_kid_of, kid);
  return n;
}

/* Stores and scalars that no leaf names any more go; a body uses all it is given. */
static void drop_operands(program_step *s) {
  int32_t now_store[PROGRAM_STORES] = {0}, now_scalar[2] = {0}, n_store = 1, n_scalar = 0;
  bool used[PROGRAM_STORES] = {true}, used_scalar[2] = {false, false};
  for (int32_t i = 0; i < s->n_node; i++) {
    const program_node *n = &s->node[i];
    if (n->op != DIRECT_OPERAND) continue;
    if (n->operand >= 0)
      used[n->operand] = true;
    else
      used_scalar[-1 - n->operand] = true;
  }
  for (int32_t i = 1; i < s->n_store; i++) {
    if (!used[i]) continue;
    now_store[i] = n_store;
    s->v[n_store++] = s->v[i];
  }
  for (int32_t i = 0; i < s->n_scalar; i++) {
    if (!used_scalar[i]) continue;
    now_scalar[i] = n_scalar;
    s->scalar[n_scalar++] = s->scalar[i];
  }
  s->n_store = n_store;
  s->n_scalar = n_scalar;
  for (int32_t i = 0; i < s->n_node; i++) {
    program_node *n = &s->node[i];
    if (n->op != DIRECT_OPERAND) continue;
    n->operand =
        (int16_t)(n->operand >= 0 ? now_store[n->operand] : -1 - now_scalar[-1 - n->operand]);
  }
}

/* Puts a kid of a node in the node's place. */
static bool lift(shrinker *s, int32_t step, int32_t node, int32_t kid) {
  const program_step *from = &s->p->step[step];
  const program_node *n = &from->node[node];
  if (from->node[n->kid[kid]].dtype != n->dtype) return false;
  copy(s->q, s->p);
  program_step *to = &s->q->step[step];
  to->n_node = 0;
  graft(to, from, 0, node, kid);
  drop_operands(to);
  program_write_body(to);
  return attempt(s);
}

static bool prune(shrinker *s, int32_t step) {
  const program_step *p = &s->p->step[step];
  for (int32_t i = 0; i < p->n_node; i++) {
    const program_node *n = &p->node[i];
    if (n->op == DIRECT_OPERAND || n->op == DIRECT_LITERAL) continue;
    for (int32_t k = 0; k < direct_ops[n->op].n_kid; k++)
      if (lift(s, step, i, k)) return true;
  }
  return false;
}

void shrink(program *p, uint64_t seed, const way_choice *c, way_finding *f, double seconds) {
  shrinker s = {
      .p = p, .q = malloc(sizeof *p), .seed = seed, .c = c, .f = f, .until = now() + seconds};
  if (!s.q) abort();
  for (bool again = true; again && now() < s.until;) {
    again = false;
    for (int32_t run = p->n_step / 2 > 0 ? p->n_step / 2 : 1; run > 0; run /= 2)
      again = drop_steps(&s, run) || again;
    for (int32_t i = 0; i < p->n_step && now() < s.until; i++)
      while (p->step[i].kind == STEP_LAUNCH && p->step[i].n_node > 0 && prune(&s, i)) again = true;
  }
  free(s.q);
  way_examine_apart(p, seed, c, f);
}
