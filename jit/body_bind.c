/* SPDX-License-Identifier: Apache-2.0
 * jit/body_bind.c -- what each name of a body means: axes of the space, loops, affine accesses.
 *
 * Lives here: per statement its axes, which accesses are affine in them, which axes are reduced,
 *             the privileges of the stores. Everything that the text alone decides.
 * Not here:   what must hold of it then (body_check.c), extents (body_place.c), types and IR (body_type.c, body_emit.c).
 * How:        one walk per statement with its lets put in; a let is a name for its expression, and
 *             the indices in it mean what they mean where it is used. A root reduction first
 *             becomes a reduction of the space; if then the statements differ in rank, all
 *             become loops.
 * Invariant:  inside one statement a name is either an axis or the index of loops, never both, so
 *             an access is affine or a table independently of where in the statement it stands. */
#include <string.h>

#include "core/base/alloc.h"
#include "jit/body_tree.h"

enum { AFFINE_LIMIT_BITS = 40 };

typedef struct binder {
  rpi_body *b;
  rpi_body_stmt *s;
  int32_t stmt;
  int32_t visits;
  int32_t scope, last_scope; /* of the innermost reduction, and the largest given out */
  int32_t n_loop;            /* open loops: their ranges */
  int32_t *loop;
  int32_t cap_loop;
  bool right;                         /* of a scatter's statement: its right side is walked */
  int32_t looped[RPI_BODY_MAX_NAMES]; /* 1 + last statement in which the name is a loop's index */
} binder;

#define fail_at(x, at, ...) rpi_body_lex_fail(RP_ERR_BODY, "body", (x)->b->text, at, __VA_ARGS__)

static rp_status visit(binder *x, int32_t at) {
  if (++x->visits <= RPI_BODY_MAX_VISITS) return RP_OK;
  return fail_at(x, at, "the body is too large with its lets put in");
}

/* ---- names */

static int32_t find_axis(const rpi_body_stmt *s, int32_t name) {
  for (int32_t i = 0; i < s->n_axis; i++) {
    if (s->axis[i] == name) return i;
  }
  return -1;
}

/* The innermost open loop over that name, as a range; -1 if there is none. */
static int32_t find_loop(const binder *x, int32_t name) {
  for (int32_t i = x->n_loop - 1; i >= 0; i--) {
    if (x->b->range[x->loop[i]].name == name) return x->loop[i];
  }
  return -1;
}

static rp_status add_axis(binder *x, int32_t name, int32_t at) {
  if (x->s->n_axis == RP_MAX_DIM) {
    return fail_at(x, at, "the statement ranges over more than %d axes", RP_MAX_DIM);
  }
  x->s->axis[x->s->n_axis++] = name;
  return RP_OK;
}

static rp_status bind_name(binder *x, const rpi_body_node *n) {
  char buf[64];
  const int32_t axis = find_axis(x->s, n->ref);
  if (find_loop(x, n->ref) >= 0) return RP_OK;
  if (x->right) x->s->right_axes |= (uint8_t)(1u << (axis >= 0 ? axis : x->s->n_axis) % RP_MAX_DIM);
  if (axis >= 0) return RP_OK;
  const char *name = rpi_body_parse_name(x->b, n->ref, buf);
  if (!x->b->indexed) {
    return fail_at(x, n->at, "expected a parameter or a let, found '%s'", name);
  }
  if (x->s->asg == RPI_ASG_SET) {
    return fail_at(x, n->at,
                   "expected a parameter, a let or an index of the destination, found '%s' "
                   "(an index to reduce over is named as in sum(%s) ...)",
                   name, name);
  }
  if (x->looped[n->ref] == x->stmt + 1) {
    return fail_at(x, n->at, "'%s' is the index of a reduction of this statement already", name);
  }
  return add_axis(x, n->ref, n->at);
}

/* ---- affine forms */

static bool small(int64_t v) {
  return v <= (INT64_C(1) << AFFINE_LIMIT_BITS) && v >= -(INT64_C(1) << AFFINE_LIMIT_BITS);
}

static bool is_constant(const rpi_body_affine *a) {
  for (int32_t d = 0; d < RP_MAX_DIM; d++) {
    if (a->coef[d] != 0) return false;
  }
  return a->n_term == 0;
}

/* out += c * a; false if it leaves what an affine form can hold. */
static bool affine_add(rpi_body_affine *out, const rpi_body_affine *a, int64_t c) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a->k, c, &product) || !small(product)) return false;
  out->k += product;
  for (int32_t d = 0; d < RP_MAX_DIM; d++) {
    if (__builtin_mul_overflow(a->coef[d], c, &product) || !small(product)) return false;
    out->coef[d] += product;
    if (!small(out->coef[d])) return false;
  }
  for (int32_t i = 0; i < a->n_term; i++) {
    int32_t j = 0;
    while (j < out->n_term &&
           (out->term[j].store != a->term[i].store || out->term[j].axis != a->term[i].axis)) {
      j++;
    }
    if (j == RPI_BODY_MAX_TERMS) return false;
    if (j == out->n_term) {
      out->term[out->n_term++] = (struct rpi_body_term){0, a->term[i].store, a->term[i].axis};
    }
    if (__builtin_mul_overflow(a->term[i].coef, c, &product) || !small(product)) return false;
    out->term[j].coef += product;
    if (!small(out->term[j].coef)) return false;
  }
  return small(out->k);
}

static bool affine_of(binder *x, int32_t node, rpi_body_affine *out);

static bool affine_call(binder *x, const rpi_body_node *n, rpi_body_affine *out) {
  rpi_body_affine a, b;
  int32_t k0 = n->n_kid > 0 ? x->b->kids[n->kid] : -1;
  int32_t k1 = n->n_kid > 1 ? x->b->kids[n->kid + 1] : -1;
  switch (n->op) {
    case RPI_FN_PLUS: return affine_of(x, k0, out);
    case RPI_FN_NEG: return affine_of(x, k0, &a) && affine_add(out, &a, -1);
    case RPI_FN_ADD:
    case RPI_FN_SUB:
      return affine_of(x, k0, &a) && affine_of(x, k1, &b) && affine_add(out, &a, 1) &&
             affine_add(out, &b, n->op == RPI_FN_ADD ? 1 : -1);
    case RPI_FN_MUL:
      if (!affine_of(x, k0, &a) || !affine_of(x, k1, &b)) return false;
      if (is_constant(&a)) return affine_add(out, &b, a.k);
      return is_constant(&b) && affine_add(out, &a, b.k);
    default: return false;
  }
}

/* Whether the expression is affine in the axes of the statement, with constants known at launch. */
static bool affine_of(binder *x, int32_t node, rpi_body_affine *out) {
  const rpi_body_node *n = &x->b->node[node];
  memset(out, 0, sizeof *out);
  if (++x->visits > RPI_BODY_MAX_VISITS) return false;
  switch (n->kind) {
    case RPI_NODE_INT:
      out->k = (int64_t)(n->v.u & INT64_MAX);
      return n->v.u <= (UINT64_C(1) << AFFINE_LIMIT_BITS);
    case RPI_NODE_NAME: {
      int32_t d = find_axis(x->s, n->ref);
      if (d < 0 || find_loop(x, n->ref) >= 0) return false;
      out->coef[d] = 1;
      return true;
    }
    case RPI_NODE_EXTENT:
      out->n_term = 1;
      out->term[0] = (struct rpi_body_term){1, n->ref, (int32_t)(int64_t)n->v.u};
      return true;
    case RPI_NODE_LET: return affine_of(x, x->b->let[n->ref].node, out);
    case RPI_NODE_CALL: return affine_call(x, n, out);
    default: return false;
  }
}

/* ---- accesses */

static rp_status add_use(binder *x, rpi_body_use u) {
  rpi_body *b = x->b;
  if (!RPI_BODY_ROOM(b->use, b->cap_use, b->n_use + 1)) {
    return rpi_status_nomem("index uses of a body");
  }
  b->use[b->n_use++] = u;
  return RP_OK;
}

/* Notes what subscript `axis` of a store says about the extent of an index. */
static rp_status note_use(binder *x, int32_t store, int32_t axis, int32_t node, bool affine,
                          const rpi_body_affine *a) {
  const rpi_body_node *n = &x->b->node[node];
  rpi_body_use u = {-1, -1, store, axis, n->at, 1, 0};
  if (n->kind == RPI_NODE_NAME) {
    u.range = find_loop(x, n->ref);
    u.index = u.range >= 0 ? -1 : find_axis(x->s, n->ref);
    return add_use(x, u);
  }
  if (!affine || a->n_term > 0) return RP_OK;
  for (int32_t d = 0; d < RP_MAX_DIM; d++) {
    if (a->coef[d] == 0) continue;
    if (u.index >= 0) return RP_OK;
    u.index = d;
    u.coef = a->coef[d];
  }
  u.k = a->k;
  return u.index >= 0 ? add_use(x, u) : RP_OK;
}

rp_status rpi_body_bind_access(rpi_body *b, rpi_body_access a, const rpi_body_affine *form) {
  bool forms = b->indexed;
  if (!RPI_BODY_ROOM(b->access, b->cap_access, b->n_access + 1) ||
      !RPI_BODY_ROOM(b->affine, b->cap_affine, b->n_affine + a.n_sub)) {
    return rpi_status_nomem("accesses of a body");
  }
  a.affine = forms ? b->n_affine : -1;
  if (forms) {
    for (int32_t i = 0; i < a.n_sub; i++) b->affine[b->n_affine++] = form[i];
  }
  b->access[b->n_access++] = a;
  return RP_OK;
}

static rp_status walk(binder *x, int32_t node);

/* The forms of n subscripts of a store, which have been walked; *bounded: which of them are affine. */
static rp_status bind_subscripts(binder *x, int32_t store, int32_t first, int32_t n,
                                 rpi_body_affine *form, uint8_t *bounded) {
  *bounded = 0;
  for (int32_t i = 0; i < n; i++) {
    int32_t kid = x->b->kids[first + i];
    bool affine = affine_of(x, kid, &form[i]);
    if (affine)
      *bounded |= (uint8_t)(1u << i);
    else
      form[i] = (rpi_body_affine){0};
    RPI_TRY(note_use(x, store, i, kid, affine, &form[i]));
  }
  return RP_OK;
}

static rp_status bind_store(binder *x, int32_t node) {
  rpi_body *b = x->b;
  rpi_body_node n = b->node[node];
  rpi_body_affine form[RP_MAX_DIM];
  uint8_t bounded = 0;
  for (int32_t i = 0; i < n.n_kid; i++) RPI_TRY(walk(x, b->kids[n.kid + i]));
  RPI_TRY(bind_subscripts(x, n.ref, n.kid, n.n_kid, form, &bounded));
  const bool table = bounded != (1u << n.n_kid) - 1;
  b->param[b->store[n.ref]].access |= RP_PRIV_READ;
  if (n.stamp == x->stmt) return RP_OK;
  b->node[node].stamp = x->stmt;
  return rpi_body_bind_access(b, (rpi_body_access){node, n.ref, n.at, table, -1, n.n_kid, bounded},
                              form);
}

/* ---- reductions */

static rp_status open_range(binder *x, int32_t range) {
  rpi_body *b = x->b;
  rpi_body_range r = b->range[range];
  char buf[64];
  if (r.lo >= 0) {
    RPI_TRY(walk(x, r.lo));
    RPI_TRY(walk(x, r.hi));
  }
  if (find_loop(x, r.name) >= 0 || find_axis(x->s, r.name) >= 0) {
    return fail_at(x, r.at, "expected a name of its own for the index, found '%s'",
                   rpi_body_parse_name(b, r.name, buf));
  }
  if (!RPI_BODY_ROOM(x->loop, x->cap_loop, x->n_loop + 1)) {
    return rpi_status_nomem("loops of a body");
  }
  x->looped[r.name] = x->stmt + 1;
  x->loop[x->n_loop++] = range;
  return RP_OK;
}

static rp_status check_range(binder *x, int32_t range, int32_t use) {
  const rpi_body_range *r = &x->b->range[range];
  char buf[64];
  if (r->lo >= 0) return RP_OK;
  for (int32_t i = use; i < x->b->n_use; i++) {
    if (x->b->use[i].range == range) return RP_OK;
  }
  return fail_at(x, r->at,
                 "index '%s' stands alone in no subscript, so it needs a range: %s in a..b",
                 rpi_body_parse_name(x->b, r->name, buf), buf);
}

static rp_status bind_red(binder *x, int32_t node) {
  rpi_body_node n = x->b->node[node];
  int32_t use = x->b->n_use, scope = x->scope;
  x->scope = ++x->last_scope;
  for (int32_t i = 0; i < n.n_range; i++) RPI_TRY(open_range(x, n.ref + i));
  RPI_TRY(walk(x, x->b->kids[n.kid]));
  for (int32_t i = 0; i < n.n_range; i++) RPI_TRY(check_range(x, n.ref + i, use));
  x->n_loop -= n.n_range;
  x->scope = scope;
  return RP_OK;
}

static rp_status walk(binder *x, int32_t node) {
  rpi_body_node n = x->b->node[node];
  RPI_TRY(visit(x, n.at));
  switch (n.kind) {
    case RPI_NODE_NAME: return bind_name(x, &n);
    case RPI_NODE_LET:
      if (x->b->let[n.ref].scope == x->scope) return RP_OK;
      x->b->let[n.ref].scope = x->scope;
      return walk(x, x->b->let[n.ref].node);
    case RPI_NODE_STORE:
      if (n.bracket || x->b->indexed || n.stamp != x->stmt) return bind_store(x, node);
      return RP_OK;
    case RPI_NODE_RED: return bind_red(x, node);
    case RPI_NODE_SCALAR: x->s->left_scalar = x->s->left_scalar || !x->right; return RP_OK;
    case RPI_NODE_COORD: x->s->right_axes |= x->right ? UINT8_MAX : 0; return RP_OK;
    default:
      for (int32_t i = 0; i < n.n_kid; i++) RPI_TRY(walk(x, x->b->kids[n.kid + i]));
      return RP_OK;
  }
}

/* ---- statements */

static bool is_scatter(const rpi_body *b, const rpi_body_stmt *s) {
  for (int32_t i = 0; i < s->n_sub; i++) {
    const rpi_body_node *n = &b->node[b->kids[s->sub + i]];
    if (n->kind != RPI_NODE_NAME) return true;
    for (int32_t j = 0; j < i; j++)
      if (b->node[b->kids[s->sub + j]].ref == n->ref) return true;
  }
  return false;
}

/* The indices of the points are those of the subscripts, from left to right, then those of the right side. */
static rp_status bind_scatter(binder *x) {
  const rpi_body *b = x->b;
  rpi_body_stmt *s = x->s;
  if (s->asg == RPI_ASG_SET) {
    return fail_at(x, b->node[b->kids[s->sub]].at,
                   "with '=' the subscripts on the left must be different indices, each alone "
                   "(a scatter needs an operator, as in +=)");
  }
  if (b->n_stmt > 1) {
    return fail_at(x, s->at,
                   "a scatter is the only assignment of its body: make it a body of its own");
  }
  for (int32_t i = 0; i < s->n_sub; i++) RPI_TRY(walk(x, b->kids[s->sub + i]));
  s->n_left = b->n_access - s->access;
  x->right = true;
  x->scope = ++x->last_scope; /* lets are walked once more */
  return RP_OK;
}

static rp_status bind_dest(binder *x) {
  rpi_body *b = x->b;
  rpi_body_stmt *s = x->s;
  s->n_axis = 0;
  s->mask = s->right_axes = 0;
  s->left_scalar = x->right = false;
  s->scatter = is_scatter(b, s);
  if (s->scatter) return bind_scatter(x);
  for (int32_t i = 0; i < s->n_sub; i++) {
    const rpi_body_node *n = &b->node[b->kids[s->sub + i]];
    RPI_TRY(add_axis(x, n->ref, n->at));
  }
  return RP_OK;
}

/* The access of the destination, the last of the statement. */
static rp_status bind_written(binder *x) {
  rpi_body_stmt *s = x->s;
  rpi_body_affine form[RP_MAX_DIM];
  uint8_t bounded = UINT8_MAX;
  memset(form, 0, sizeof form);
  if (s->scatter) {
    RPI_TRY(bind_subscripts(x, s->dest, s->sub, s->n_sub, form, &bounded));
  } else {
    for (int32_t d = 0; d < s->n_sub; d++) form[d].coef[d] = 1;
  }
  return rpi_body_bind_access(
      x->b, (rpi_body_access){-1, s->dest, s->at, s->scatter, -1, s->n_sub, bounded}, form);
}

/* Whether the right side is a reduction that may become one of the space. */
static bool foldable(const rpi_body *b, const rpi_body_stmt *s) {
  const rpi_body_node *n = &b->node[s->rhs];
  if (!b->indexed || is_scatter(b, s) || n->kind != RPI_NODE_RED || n->op == RPI_RED_ARGMIN ||
      n->op == RPI_RED_ARGMAX || (s->asg != RPI_ASG_SET && s->asg != n->op)) {
    return false;
  }
  for (int32_t i = 0; i < n->n_range; i++) {
    if (b->range[n->ref + i].lo >= 0) return false;
  }
  return true;
}

static rp_status bind_fold(binder *x) {
  rpi_body_node n = x->b->node[x->s->rhs];
  char buf[64];
  for (int32_t i = 0; i < n.n_range; i++) {
    rpi_body_range r = x->b->range[n.ref + i];
    if (find_axis(x->s, r.name) >= 0) {
      return fail_at(x, r.at, "expected a name of its own for the index, found '%s'",
                     rpi_body_parse_name(x->b, r.name, buf));
    }
    RPI_TRY(add_axis(x, r.name, r.at));
  }
  return walk(x, x->s->value);
}

/* Gives the statement the axes of the first one in the first one's order, if it has the same. */
static void align_axes(binder *x, int32_t access) {
  rpi_body *b = x->b;
  const rpi_body_stmt *first = &b->stmt[0];
  rpi_body_stmt *s = x->s;
  int32_t to[RP_MAX_DIM];
  if (s == first || s->n_axis != first->n_axis) return;
  for (int32_t d = 0; d < s->n_axis; d++) {
    to[d] = find_axis(first, s->axis[d]);
    if (to[d] < 0) return;
  }
  uint8_t mask = 0;
  for (int32_t d = 0; d < s->n_axis; d++) {
    if ((s->mask >> d & 1) != 0) mask |= (uint8_t)(1u << to[d]);
  }
  s->mask = mask;
  memcpy(s->axis, first->axis, sizeof s->axis);
  for (int32_t i = s->use; i < b->n_use; i++) {
    if (b->use[i].index >= 0) b->use[i].index = to[b->use[i].index];
  }
  for (int32_t i = access; i < b->n_access; i++) {
    const rpi_body_access *a = &b->access[i];
    for (int32_t j = 0; a->affine >= 0 && j < a->n_sub; j++) {
      rpi_body_affine *f = &b->affine[a->affine + j], old = *f;
      for (int32_t d = 0; d < s->n_axis; d++) f->coef[to[d]] = old.coef[d];
    }
  }
}

static rp_status bind_stmt(binder *x, bool fold) {
  rpi_body *b = x->b;
  rpi_body_stmt *s = x->s;
  s->access = b->n_access;
  s->use = b->n_use;
  x->scope = ++x->last_scope;
  x->n_loop = 0;
  RPI_TRY(bind_dest(x));
  s->fold = fold && foldable(b, s);
  s->value = s->fold ? rpi_body_kid(b, s->rhs, 0) : s->rhs;
  s->redop = s->fold ? b->node[s->rhs].op : s->asg;
  RPI_TRY(s->fold ? bind_fold(x) : walk(x, s->rhs));
  RPI_TRY(bind_written(x));
  RPI_TRY(rpi_body_check_axes(b, s));
  for (int32_t d = s->n_sub; d < s->n_axis && !s->scatter; d++) s->mask |= (uint8_t)(1u << d);
  align_axes(x, s->access);
  s->n_access = b->n_access - s->access;
  s->n_use = b->n_use - s->use;
  b->param[b->store[s->dest]].access |= s->asg == RPI_ASG_SET ? RP_PRIV_WRITE : RP_PRIV_READ_WRITE;
  return RP_OK;
}

static rp_status bind_all(binder *x, bool fold) {
  rpi_body *b = x->b;
  b->n_access = b->n_affine = b->n_use = 0;
  x->visits = 0;
  for (int32_t i = 0; i < b->n_node; i++) b->node[i].stamp = -1;
  for (int32_t i = 0; i < b->n_store; i++) b->param[b->store[i]].access = 0;
  memset(x->looped, 0, sizeof x->looped);
  for (int32_t i = 0; i < b->n_stmt; i++) {
    x->s = &b->stmt[i];
    x->stmt = i;
    RPI_TRY(bind_stmt(x, fold));
    RPI_TRY(rpi_body_check_twice(b, i));
    if (x->s->n_axis != b->stmt[0].n_axis) {
      return fail_at(x, x->s->at,
                     "this statement ranges over %d axes, the first one over %d: one body has "
                     "one space",
                     x->s->n_axis, b->stmt[0].n_axis);
    }
  }
  return RP_OK;
}

rp_status rpi_body_bind(rpi_body *b) {
  binder *x = rpi_alloc_zero(sizeof *x);
  if (x == NULL) return rpi_status_nomem("binding a body");
  x->b = b;
  bool any = false;
  for (int32_t i = 0; i < b->n_stmt; i++) any = any || foldable(b, &b->stmt[i]);
  rp_status status = bind_all(x, true);
  if (status != RP_OK && any) status = bind_all(x, false);
  if (status == RP_OK) status = rpi_body_scatter_bind(b);
  if (status == RP_OK && b->indexed) status = rpi_body_check_ranks(b);
  rpi_alloc_free(x->loop);
  rpi_alloc_free(x);
  return status;
}
