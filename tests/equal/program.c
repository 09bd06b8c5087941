/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/program.c -- the generator of random programs: see program.h.
 *
 * Lives here: which steps follow one another. Not here: what a step does (program_run.c).
 * How:        a few families of arrays (several ranks and sizes, with rows, columns and scalars to go
 *             with them) and views of them; then phases: loose steps, or a loop whose body is made once
 *             and written out several times with small changes (other scalars, a missing step, an early
 *             end). Decisions come from a seed or, for fuzzing, from bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/equal/direct.h"
#include "tests/equal/program.h"

enum { ROLE_FREE, ROLE_DATA, ROLE_INDEX, ROLE_SPAN };

typedef struct maker {
  program *p;
  uint64_t state;
  const uint8_t *bytes;
  size_t n_bytes;
  uint32_t features;
  rp_context *ctx;
  rp_store *var[PROGRAM_VARS];
  int8_t role[PROGRAM_VARS];
  int64_t bound[PROGRAM_VARS]; /* of an index array */
  bool fixed[PROGRAM_VARS];    /* shows elements twice: not to be written */
  memory_piece *memory;
} maker;

/* ---- decisions */

static uint64_t draw(maker *m) {
  if (m->bytes) {
    if (m->n_bytes == 0) return 0;
    const uint64_t low = *m->bytes++;
    m->n_bytes--;
    return low * UINT64_C(0x0101010101010101) ^ (low * 2654435761u) << 17;
  }
  uint64_t z = m->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static int32_t pick(maker *m, int64_t n) { return n <= 1 ? 0 : (int32_t)((draw(m) >> 3) % (uint64_t)n); }
static bool chance(maker *m, int32_t percent) { return pick(m, 100) < percent; }
static bool has(const maker *m, uint32_t feature) { return (m->features & feature) != 0; }

/* ---- steps */

static bool full(const maker *m, int32_t n) { return m->p->n_step + n > PROGRAM_STEPS; }

/* Adds a step and does to the generator's own stores what it does to the program's. */
static void emit(maker *m, const program_step *s) {
  if (full(m, 1)) return;
  m->p->step[m->p->n_step++] = *s;
  bool skipped = false;
  if (s->kind == STEP_LAUNCH && s->flag) {
    if (program_step_launch(m->ctx, s, m->var, &skipped) == RP_OK && !skipped) {
      m->role[s->v[0]] = ROLE_DATA;
      m->fixed[s->v[0]] = false;
    }
    return;
  }
  if (program_step_handles(m->ctx, s, m->var, &m->memory, &skipped) != RP_OK || skipped) return;
  const int32_t v = s->v[0];
  if (s->kind == STEP_CREATE || s->kind == STEP_SCALAR || s->kind == STEP_ATTACH) {
    m->role[v] = ROLE_DATA;
    m->fixed[v] = s->kind == STEP_ATTACH && s->flag == RP_READ_ONLY;
  } else if (s->kind == STEP_VIEW) {
    m->role[v] = m->role[s->v[1]] == ROLE_DATA ? ROLE_DATA : ROLE_SPAN;
    m->fixed[v] = m->fixed[s->v[1]] || s->flag == VIEW_PROMOTE || s->flag == VIEW_BROADCAST;
  } else if (s->kind == STEP_RELEASE) {
    m->role[v] = ROLE_FREE;
  } else if (s->kind == STEP_SWAP) {
    const bool f = m->fixed[v];
    m->fixed[v] = m->fixed[s->v[1]];
    m->fixed[s->v[1]] = f;
  }
}

static program_step step(step_kind kind, int32_t v0, int32_t v1) {
  program_step s;
  memset(&s, 0, sizeof s);
  s.kind = kind;
  s.v[0] = v0;
  s.v[1] = v1;
  return s;
}

static void emit_simple(maker *m, step_kind kind, int32_t v0, int32_t v1, int32_t flag) {
  program_step s = step(kind, v0, v1);
  s.flag = flag;
  s.seed = draw(m);
  emit(m, &s);
}

/* ---- choosing variables */

static int32_t free_var(maker *m) {
  const int32_t from = pick(m, PROGRAM_VARS);
  for (int32_t i = 0; i < PROGRAM_VARS; i++)
    if (!m->var[(from + i) % PROGRAM_VARS]) return (from + i) % PROGRAM_VARS;
  for (int32_t i = 0; i < PROGRAM_VARS; i++)
    if (m->role[(from + i) % PROGRAM_VARS] == ROLE_DATA) return (from + i) % PROGRAM_VARS;
  return from;
}

typedef bool (*var_test)(const maker *m, int32_t v, const void *with);

/* A random data variable that passes; -1. */
static int32_t choose(maker *m, var_test test, const void *with) {
  const int32_t from = pick(m, PROGRAM_VARS);
  for (int32_t i = 0; i < PROGRAM_VARS; i++) {
    const int32_t v = (from + i) % PROGRAM_VARS;
    if (m->var[v] && m->role[v] == ROLE_DATA && test(m, v, with)) return v;
  }
  return -1;
}

static bool any_var(const maker *m, int32_t v, const void *with) {
  (void)m;
  (void)v;
  (void)with;
  return true;
}

static bool writable(const maker *m, int32_t v, const void *with) {
  (void)with;
  return !m->fixed[v];
}

typedef struct like {
  int32_t ndim;
  int64_t shape[RP_MAX_DIM];
  rp_dtype dtype; /* -1: any */
  bool write;
} like;

static like shape_of(const maker *m, int32_t v) {
  like l = {.ndim = rp_store_ndim(m->var[v]), .dtype = rp_store_dtype(m->var[v])};
  for (int32_t d = 0; d < l.ndim; d++) l.shape[d] = rp_store_extent(m->var[v], d);
  return l;
}

static bool same_shape(const maker *m, int32_t v, const void *with) {
  const like *l = with;
  const like o = shape_of(m, v);
  if (o.ndim != l->ndim || (l->dtype >= 0 && o.dtype != l->dtype) || (l->write && m->fixed[v])) return false;
  return memcmp(o.shape, l->shape, sizeof *o.shape * (size_t)o.ndim) == 0;
}

/* Broadcasts to the shape. */
static bool fits_into(const maker *m, int32_t v, const void *with) {
  const like *l = with;
  const like o = shape_of(m, v);
  if (o.ndim > l->ndim || (l->dtype >= 0 && o.dtype != l->dtype)) return false;
  for (int32_t d = 0; d < o.ndim; d++)
    if (o.shape[d] != 1 && o.shape[d] != l->shape[l->ndim - o.ndim + d]) return false;
  return true;
}

static int32_t make_like(maker *m, const like *l, bool filled) {
  const int32_t v = free_var(m);
  program_step s = step(STEP_CREATE, v, 0);
  s.dtype = l->dtype >= 0 ? l->dtype : RP_F64;
  s.ndim = l->ndim;
  memcpy(s.n, l->shape, sizeof *s.n * (size_t)l->ndim);
  emit(m, &s);
  if (filled) emit_simple(m, STEP_WRITE, v, 0, 0);
  return m->var[v] ? v : -1;
}

/* A variable of that shape, made if there is none (or now and then in any case). */
static int32_t get_like(maker *m, const like *l, int32_t fresh) {
  int32_t v = chance(m, fresh) ? -1 : choose(m, same_shape, l);
  return v >= 0 ? v : make_like(m, l, !l->write);
}

/* ---- expressions */

typedef struct tree {
  maker *m;
  program_step *s;
  rp_dtype dtype; /* of the result */
  int32_t use;
  const int32_t *from; /* candidates for operands */
  int32_t n_from;
  bool has_dest;
} tree;

static bool is_float(rp_dtype d) { return d >= RP_F32; }

/* Parameter number of variable v. */
static int32_t operand(tree *t, int32_t v) {
  program_step *s = t->s;
  for (int32_t i = 0; i < s->n_store; i++)
    if (s->v[i] == v && (i > 0 || t->has_dest)) return i;
  if (s->n_store == PROGRAM_STORES) return s->n_store - 1;
  s->v[s->n_store] = v;
  return s->n_store++;
}

static int32_t new_node(program_step *s, int32_t op) {
  s->node[s->n_node] = (program_node){.op = op, .kid = {-1, -1, -1}, .operand = 0, .literal = 0};
  return s->n_node++;
}

static int32_t leaf_node(tree *t) {
  static const double reals[] = {0.5, 2.0, 0.25, 3.0, 1.5}, wholes[] = {1, 2, 3, 5, 7};
  maker *m = t->m;
  if (chance(m, 20)) {
    const int32_t n = new_node(t->s, DIRECT_LITERAL);
    t->s->node[n].literal = (t->use & DIRECT_FLOAT ? reals : wholes)[pick(m, 5)];
    if (t->use == DIRECT_LOGIC) t->s->node[n].literal = 1;
    return n;
  }
  if ((t->use & DIRECT_FLOAT) && t->s->n_scalar < 2 && chance(m, 12)) {
    const int32_t n = new_node(t->s, DIRECT_OPERAND);
    t->s->scalar[t->s->n_scalar] = (double)pick(m, 9) * 0.125 - 0.5;
    t->s->node[n].operand = -1 - t->s->n_scalar++;
    return n;
  }
  const int32_t param = operand(t, t->from[pick(m, t->n_from)]);
  if (rp_store_dtype(m->var[t->s->v[param]]) != t->dtype) {
    const int32_t n = new_node(t->s, DIRECT_CAST), k = new_node(t->s, DIRECT_OPERAND);
    t->s->node[n].kid[0] = k;
    t->s->node[k].operand = param;
    return n;
  }
  const int32_t n = new_node(t->s, DIRECT_OPERAND);
  t->s->node[n].operand = param;
  return n;
}

static int32_t grow(tree *t, int32_t depth) {
  if (depth <= 0 || t->s->n_node > PROGRAM_NODES - 10) return leaf_node(t);
  int32_t op = DIRECT_FIRST + pick(t->m, direct_n_ops - DIRECT_FIRST);
  while (!(direct_ops[op].use & t->use)) op = op + 1 == direct_n_ops ? DIRECT_FIRST : op + 1;
  const int32_t n = new_node(t->s, op);
  for (int32_t i = 0; i < direct_ops[op].n_kid; i++) {
    const int32_t k = grow(t, depth - 1 - pick(t->m, 2));
    t->s->node[n].kid[i] = k;
  }
  return n;
}

static const char *const store_name[] = {"y", "a", "b", "c", "d", "e"};

static void print_tree(const tree *t, int32_t at, char *out, size_t size) {
  const program_node *n = &t->s->node[at];
  const size_t used = strlen(out);
  char *end = out + used;
  if (size - used < 40) return;
  size -= used;
  if (n->op == DIRECT_LITERAL) {
    if (t->use == DIRECT_LOGIC) snprintf(end, size, "bool(1)");
    else snprintf(end, size, t->use & DIRECT_FLOAT ? "%.3f" : "%.0f", n->literal);
    return;
  }
  if (n->op == DIRECT_OPERAND) {
    snprintf(end, size, "%s", n->operand < 0 ? n->operand == -1 ? "p" : "q" : store_name[n->operand]);
    return;
  }
  if (n->op == DIRECT_CAST) {
    snprintf(end, size, "%s(%s)", rp_dtype_name(t->dtype), store_name[t->s->node[n->kid[0]].operand]);
    return;
  }
  int32_t kid = 0;
  for (const char *c = direct_ops[n->op].text; *c && strlen(out) + 2 < PROGRAM_TEXT; c++) {
    const size_t len = strlen(out);
    if (c[0] == '%' && c[1] == 's') {
      print_tree(t, n->kid[kid++], out, PROGRAM_TEXT);
      c++;
    } else {
      out[len] = *c;
      out[len + 1] = '\0';
      c += c[0] == '%' && c[1] == '%';
    }
  }
}

static void print_params(program_step *s) {
  s->params[0] = '\0';
  for (int32_t i = 0; i < s->n_store; i++) {
    if (i) strcat(s->params, ", ");
    strcat(s->params, store_name[i]);
  }
  if (s->n_scalar > 0) strcat(s->params, ", p:float");
  if (s->n_scalar > 1) strcat(s->params, ", q:float");
}

/* Operands that broadcast to the shape. */
static int32_t find_operands(maker *m, like *l, int32_t *out) {
  int32_t n = 0;
  const rp_dtype dtype = l->dtype;
  for (int32_t i = 0; i < 3; i++) {
    l->dtype = chance(m, 80) ? dtype : -1;
    const int32_t v = choose(m, fits_into, l);
    if (v >= 0) out[n++] = v;
  }
  l->dtype = dtype;
  if (n == 0) {
    const int32_t v = make_like(m, l, true);
    if (v >= 0) out[n++] = v;
  }
  return n;
}

/* y ASG expression over `space`; call: into a new array. */
static void emit_expression(maker *m, int32_t dest, const like *space, int32_t asg, bool call) {
  static const char *const sign[] = {"=", "+=", "min=", "max="};
  static const int32_t code[] = {0, '+', 'm', 'M'};
  like l = *space;
  int32_t from[4];
  l.dtype = call ? space->dtype : rp_store_dtype(m->var[dest]);
  l.write = false;
  program_step s = step(STEP_LAUNCH, dest, 0);
  s.n_store = 1;
  s.flag = call;
  s.asg = code[asg];
  int32_t n = find_operands(m, &l, from);
  if (asg || call) from[n++] = get_like(m, &l, 0); /* the space is that of an operand */
  if (n == 0 || from[n - 1] < 0) return;
  tree t = {.m = m, .s = &s, .dtype = l.dtype, .from = from, .n_from = n, .has_dest = !call && !asg};
  t.use = l.dtype == RP_BOOL ? DIRECT_LOGIC : is_float(l.dtype) ? DIRECT_FLOAT : DIRECT_INT;
  if (t.use == DIRECT_FLOAT && has(m, PROGRAM_MATH) && chance(m, 25)) t.use |= DIRECT_MATH;
  if (asg || call) { /* at least one operand has the whole shape */
    const int32_t top = new_node(&s, t.use == DIRECT_LOGIC ? DIRECT_FIRST + 16 : DIRECT_FIRST);
    for (int32_t op = DIRECT_FIRST; op < direct_n_ops; op++)
      if (strcmp(direct_ops[op].text, t.use == DIRECT_LOGIC ? "(%s ^ %s)" : "(%s + %s)") == 0) s.node[top].op = op;
    t.from = from + n - 1;
    t.n_from = 1;
    const int32_t leaf = new_node(&s, DIRECT_OPERAND);
    s.node[leaf].operand = operand(&t, from[n - 1]);
    s.node[top].kid[0] = leaf;
    t.from = from;
    t.n_from = n;
    const int32_t rest = grow(&t, 1 + pick(m, 2));
    s.node[top].kid[1] = rest;
  } else {
    grow(&t, 1 + pick(m, 3));
  }
  snprintf(s.body, sizeof s.body, "y %s ", sign[asg]);
  print_tree(&t, 0, s.body, sizeof s.body);
  print_params(&s);
  emit(m, &s);
}

static void emit_assign(maker *m) {
  const int32_t dest = choose(m, chance(m, 97) ? writable : any_var, NULL);
  if (dest < 0) return;
  const like l = shape_of(m, dest);
  emit_expression(m, dest, &l, 0, false);
}

static void emit_call(maker *m) {
  const int32_t x = choose(m, any_var, NULL);
  if (x < 0) return;
  const like l = shape_of(m, x);
  emit_expression(m, free_var(m), &l, 0, true);
}

static void emit_reduce(maker *m) {
  const int32_t x = choose(m, any_var, NULL);
  if (x < 0) return;
  like space = shape_of(m, x), to = space;
  const int32_t how = pick(m, 4);
  to.write = true;
  if (how == 0 && space.ndim > 1) { /* inner */
    to.shape[to.ndim - 1] = 1;
  } else if (how == 1 && space.ndim > 1) { /* outer */
    to.ndim--;
    memmove(to.shape, to.shape + 1, sizeof *to.shape * (size_t)to.ndim);
  } else if (how == 2 && space.ndim == 3) { /* the middle */
    to.shape[1] = 1;
  } else {
    to.ndim = 0;
  }
  const int32_t dest = get_like(m, &to, 30);
  if (dest < 0) return;
  const int32_t asg = to.dtype == RP_BOOL ? 3 : 1 + pick(m, 3);
  emit_expression(m, dest, &space, asg, false);
  if (to.ndim == 0 && is_float(to.dtype) && chance(m, 40)) { /* a scalar that later tasks use */
    const like zero = {.ndim = 0, .dtype = to.dtype, .write = true};
    const int32_t other = get_like(m, &zero, 20);
    program_step s = step(STEP_LAUNCH, other, dest);
    s.n_store = 2;
    snprintf(s.params, sizeof s.params, "y, a");
    snprintf(s.body, sizeof s.body, "y = a/(a*a + 1.5)");
    emit(m, &s);
  }
}

/* ---- indexed bodies */

static void emit_body(maker *m, int32_t n_store, const int32_t *v, const char *params, const char *body) {
  program_step s = step(STEP_LAUNCH, 0, 0);
  for (int32_t i = 0; i < n_store; i++) {
    if (v[i] < 0) return;
    s.v[i] = v[i];
  }
  s.n_store = n_store;
  snprintf(s.params, sizeof s.params, "%s", params);
  snprintf(s.body, sizeof s.body, "%s", body);
  emit(m, &s);
}

typedef struct wanted {
  int32_t ndim;
  int64_t least;
  bool real;
} wanted;

static bool big_enough(const maker *m, int32_t v, const void *with) {
  const wanted *w = with;
  const like l = shape_of(m, v);
  if (l.ndim != w->ndim || (w->real && !is_float(l.dtype)) || l.dtype == RP_BOOL) return false;
  for (int32_t d = 0; d < l.ndim; d++)
    if (l.shape[d] < w->least) return false;
  return true;
}

static void emit_stencil(maker *m) {
  static const char *const one[] = {"y[i] = 0.25*(a[i] + 2*a[i+1] + a[i+2])", "y[i] = a[i+2] - a[i]",
                                    "y[i] = y[i] + 0.5*(a[i+2] - a[i+1])", "y[i] = a[extent(a, 0) - 1 - i]"};
  static const char *const two[] = {
      "y[i,j] = 0.2*(a[i+1,j+1] + a[i,j+1] + a[i+2,j+1] + a[i+1,j] + a[i+1,j+2])",
      "y[i,j] = a[i+2,j] - a[i,j+2]", "y[i,j] = 0.5*(y[i,j] + a[i,extent(a, 1) - 1 - j])",
      "y[i,j] = a[i,j]*index(1) + a[i+2,j+2]"};
  const int32_t ndim = 1 + pick(m, 2);
  const wanted w = {ndim, 3, true};
  const int32_t u = choose(m, big_enough, &w);
  if (u < 0) return;
  like l = shape_of(m, u);
  l.write = true;
  for (int32_t d = 0; d < ndim; d++) l.shape[d] -= 2;
  int32_t out;
  if (chance(m, 45)) { /* in place: the destination is the middle of what is read */
    program_step s = step(STEP_VIEW, free_var(m), u);
    s.flag = VIEW_BOX;
    s.ndim = ndim;
    for (int32_t d = 0; d < ndim; d++) {
      s.n[d] = 1;
      s.n[RP_MAX_DIM + d] = l.shape[d] + 1;
    }
    emit(m, &s);
    out = s.v[0];
  } else {
    out = get_like(m, &l, 25);
  }
  const int32_t v[2] = {out, u};
  emit_body(m, 2, v, "y, a", (ndim == 1 ? one : two)[pick(m, 4)]);
}

/* An index array of n elements below `bound` (rising up to it: `rising`). */
static int32_t make_index(maker *m, int64_t n, int64_t bound, bool rising) {
  const int32_t v = free_var(m);
  program_step s = step(STEP_CREATE, v, 0);
  s.dtype = chance(m, 50) ? RP_I64 : RP_I32;
  s.ndim = 1;
  s.n[0] = n;
  emit(m, &s);
  if (!m->var[v]) return -1;
  emit_simple(m, STEP_WRITE, v, 0, (int32_t)(rising ? -bound - 2 : bound));
  m->role[v] = ROLE_INDEX;
  m->bound[v] = bound;
  return v;
}

static void emit_gather(maker *m) {
  const wanted w = {1, 1, true};
  const int32_t x = choose(m, big_enough, &w), y = choose(m, big_enough, &w);
  if (x < 0 || y < 0 || m->fixed[y]) return;
  const int64_t n = rp_store_extent(m->var[y], 0), n_x = rp_store_extent(m->var[x], 0);
  like a = shape_of(m, x);
  const rp_dtype to = rp_store_dtype(m->var[y]);
  char body[PROGRAM_TEXT];
  const int32_t which = pick(m, 4);
  if (which == 0) {
    const int32_t v[3] = {y, x, make_index(m, n, n_x, false)};
    snprintf(body, sizeof body, "y[i] = %s(a[b[i]])", rp_dtype_name(to));
    emit_body(m, 3, v, "y, a, b", body);
  } else if (which == 1) {
    like l = {.ndim = 1, .dtype = RP_I64};
    l.shape[0] = n;
    const int32_t v[3] = {y, x, get_like(m, &l, 0)};
    snprintf(body, sizeof body, "y[i] = %s(a[b[i] %% extent(a, 0)])", rp_dtype_name(to));
    emit_body(m, 3, v, "y, a, b", body);
  } else {
    const int64_t entries = n * (1 + pick(m, 4)) + pick(m, 3) * 40;
    a.dtype = rp_store_dtype(m->var[x]);
    a.shape[0] = entries;
    const int32_t p = make_index(m, n + 1, entries, true), k = make_index(m, entries, n_x, false);
    const int32_t val = get_like(m, &a, 0);
    const int32_t v[5] = {y, p, val, k, x};
    snprintf(body, sizeof body, "y[i] %s %s(sum(k in a[i]..a[i+1]) b[k]*d[c[k]])", which == 2 ? "=" : "+=",
             rp_dtype_name(to));
    emit_body(m, 5, v, "y, a, b, c, d", body);
  }
}

static void emit_matrix(maker *m) {
  static const char *const body[] = {"y[i] = sum(k) a[i,k]*b[k]", "y[i] = y[i] + (max(k) a[i,k])",
                                     "y[j] += a[i,j]", "y[i] = sum(k) a[k,i]", "y[i] = argmin(k) a[i,k]",
                                     "y[i,j] = a[j,i]", "y += a[i,k]*b[k]"};
  const wanted w = {2, 1, true};
  const int32_t a = choose(m, big_enough, &w);
  if (a < 0) return;
  const like l = shape_of(m, a);
  const int32_t which = pick(m, 7);
  like out = {.ndim = which == 5 ? 2 : which == 6 ? 0 : 1, .dtype = which == 4 ? RP_I64 : l.dtype, .write = true};
  out.shape[0] = which == 2 || which == 3 || which == 5 ? l.shape[1] : l.shape[0];
  if (which == 5) out.shape[1] = l.shape[0];
  like in = {.ndim = 1, .dtype = l.dtype};
  in.shape[0] = l.shape[1];
  const bool three = which == 0 || which == 6;
  const int32_t b = three ? get_like(m, &in, 0) : 0;
  const int32_t v[3] = {get_like(m, &out, 20), a, b};
  emit_body(m, three ? 3 : 2, v, three ? "y, a, b" : "y, a", body[which]);
}

/* Several statements; a let; a swap of two arrays in one body; casts. */
static void emit_statements(maker *m) {
  static const char *const body[] = {"y = a; a = y", "let t = a + y; y = t; a = t*0.5", "y = where(a < y, a, y)",
                                     "y = y + a*0.5; a = a - 0.25*y", "y += a; a += 1"};
  const wanted any[] = {{1, 0, true}, {2, 0, true}, {3, 0, true}, {0, 0, true}};
  const int32_t a = choose(m, big_enough, &any[pick(m, 4)]);
  if (a < 0) return;
  like l = shape_of(m, a);
  l.write = true;
  const int32_t v[2] = {get_like(m, &l, 0), a};
  emit_body(m, 2, v, "y, a", body[pick(m, 5)]);
}

/* ---- views, host access and the rest */

static void slice_args(maker *m, program_step *s, int64_t n) {
  static const int64_t steps[] = {1, 1, 1, 2, -1, -2, 3};
  s->n[3] = steps[pick(m, 7)];
  if (chance(m, 60)) {
    const int64_t cut = pick(m, 3);
    s->n[1] = s->n[3] > 0 ? cut : n - 1 - cut;
    s->n[2] = s->n[3] > 0 ? n - (2 - cut) : -n - 1 + (2 - cut);
    if (s->n[3] < 0 && s->n[2] < -n) s->n[2] = INT64_MIN;
  } else {
    s->n[1] = pick(m, n + 1) - (chance(m, 20) ? n : 0);
    s->n[2] = s->n[3] > 0 ? (chance(m, 50) ? INT64_MAX : pick(m, n + 1)) : INT64_MIN;
  }
}

static void emit_view(maker *m) {
  const int32_t of = choose(m, any_var, NULL);
  if (of < 0) return;
  const like l = shape_of(m, of);
  program_step s = step(STEP_VIEW, free_var(m), of);
  s.flag = chance(m, 50) ? VIEW_SLICE : pick(m, N_VIEW);
  s.ndim = l.ndim;
  const int32_t axis = pick(m, l.ndim);
  const int64_t n = l.ndim > 0 ? l.shape[axis] : 0;
  if (s.flag == VIEW_SLICE) {
    s.n[0] = axis;
    slice_args(m, &s, n);
  } else if (s.flag == VIEW_BOX) {
    for (int32_t d = 0; d < l.ndim; d++) {
      s.n[d] = pick(m, l.shape[d] / 2 + 1);
      s.n[RP_MAX_DIM + d] = l.shape[d] - pick(m, l.shape[d] / 3 + 1);
    }
  } else if (s.flag == VIEW_TRANSPOSE) {
    for (int32_t d = 0; d < l.ndim; d++) s.n[d] = (d + 1 + (l.ndim == 3 && axis == 1)) % l.ndim;
  } else if (s.flag == VIEW_PROMOTE) {
    s.n[0] = pick(m, l.ndim + 1);
    s.n[1] = chance(m, 50) ? 1 : 2 + pick(m, 6);
  } else if (s.flag == VIEW_PROJECT) {
    s.n[0] = axis;
    s.n[1] = pick(m, n);
  } else if (s.flag == VIEW_BROADCAST) {
    s.ndim = l.ndim < 3 ? l.ndim + 1 : 3;
    s.n[0] = s.ndim > l.ndim ? 1 + pick(m, 4) : l.shape[0];
    for (int32_t d = 0; d < l.ndim; d++) {
      const int64_t e = l.shape[d];
      s.n[s.ndim - l.ndim + d] = e == 1 ? 1 + pick(m, 9) : e;
    }
  } else {
    s.ndim = 1 + pick(m, 2);
    s.n[0] = s.ndim == 2 && n > 0 && n % 2 == 0 ? 2 : -1;
    s.n[1] = -1;
    if (s.ndim == 2 && s.n[0] < 0) s.n[0] = 1;
  }
  emit(m, &s);
}

static void emit_part(maker *m, step_kind kind) {
  const int32_t v = choose(m, kind == STEP_WRITE_PART ? writable : any_var, NULL);
  if (v < 0) return;
  const like l = shape_of(m, v);
  program_step s = step(kind, v, 0);
  s.ndim = l.ndim;
  s.seed = draw(m);
  for (int32_t d = 0; d < l.ndim; d++) {
    s.n[d] = pick(m, l.shape[d] / 2 + 1);
    s.n[RP_MAX_DIM + d] = l.shape[d] - pick(m, l.shape[d] / 4 + 1);
    if (s.n[RP_MAX_DIM + d] < s.n[d]) s.n[RP_MAX_DIM + d] = s.n[d];
  }
  emit(m, &s);
}

static void emit_host(maker *m) {
  const int32_t v = choose(m, any_var, NULL), w = choose(m, writable, NULL);
  if (v < 0 || w < 0) return;
  switch (pick(m, 8)) {
    case 0: emit_simple(m, STEP_READ, v, 0, 0); break;
    case 1: emit_part(m, STEP_READ_PART); break;
    case 2: emit_part(m, STEP_WRITE_PART); break;
    case 3: emit_simple(m, STEP_WRITE, w, 0, 0); break;
    case 4: emit_simple(m, STEP_WAIT, 0, 0, 0); break;
    case 5: emit_simple(m, STEP_STORE_WAIT, v, 0, 0); break;
    case 6:
      if (has(m, PROGRAM_ATTACH)) emit_simple(m, STEP_HOME, v, 0, 0);
      break;
    default:
      if (has(m, PROGRAM_ATTACH)) emit_simple(m, STEP_DETACH, v, 0, 0);
      break;
  }
}

static void emit_copy(maker *m) {
  const int32_t src = choose(m, any_var, NULL);
  if (src < 0) return;
  like l = shape_of(m, src);
  l.write = true;
  const int32_t dst = get_like(m, &l, 30);
  if (dst >= 0) emit_simple(m, STEP_COPY, dst, src, 0);
}

static void emit_opaque(maker *m) {
  const wanted w = {1, 0, true};
  const int32_t a = choose(m, big_enough, &w);
  if (a < 0 || rp_store_dtype(m->var[a]) != RP_F64) return;
  like l = shape_of(m, a);
  l.write = true;
  const int32_t y = get_like(m, &l, 0), how = pick(m, 3);
  if (y >= 0 && y != a) emit_simple(m, STEP_OPAQUE, y, a, how);
}

static void emit_one(maker *m) {
  const int32_t what = pick(m, 100);
  if (what < 34) emit_assign(m);
  else if (what < 42) emit_call(m);
  else if (what < 54 && has(m, PROGRAM_REDUCE)) emit_reduce(m);
  else if (what < 64) emit_stencil(m);
  else if (what < 68 && has(m, PROGRAM_GATHER)) emit_gather(m);
  else if (what < 73 && has(m, PROGRAM_REDUCE)) emit_matrix(m);
  else if (what < 77) emit_statements(m);
  else if (what < 84) emit_view(m);
  else if (what < 88 && has(m, PROGRAM_COPY)) emit_copy(m);
  else if (what < 91) emit_simple(m, STEP_FILL, choose(m, writable, NULL) < 0 ? 0 : choose(m, writable, NULL), 0, 0);
  else if (what < 95 && has(m, PROGRAM_HOST)) emit_host(m);
  else if (what < 97 && has(m, PROGRAM_OPAQUE)) emit_opaque(m);
  else if (has(m, PROGRAM_LATE_RELEASE)) {
    const int32_t v = choose(m, any_var, NULL);
    if (v >= 0 && chance(m, 50)) emit_simple(m, STEP_RELEASE, v, 0, pick(m, 2));
  }
}

/* ---- families and phases */

static void emit_family(maker *m) {
  static const int64_t sizes[] = {1, 2, 3, 5, 7, 8, 17, 31, 64, 100, 129, 1023, 1025, 2049, 3001, 4100};
  static const rp_dtype dtypes[] = {RP_F64, RP_F64, RP_F64, RP_F64, RP_F32, RP_F32, RP_I64, RP_I64, RP_I32,
                                    RP_U8, RP_BOOL, RP_I16, RP_U64, RP_I8, RP_U32, RP_U16};
  like l = {.ndim = 1 + pick(m, 10) / 5 + pick(m, 10) / 8, .dtype = dtypes[pick(m, 16)]};
  l.shape[0] = chance(m, 4) ? 0 : sizes[pick(m, 16)];
  if (l.ndim == 2) {
    static const int64_t rows[] = {1, 2, 5, 9, 33, 257, 520}, cols[] = {1, 3, 8, 20, 65, 1025, 2050};
    l.shape[0] = rows[pick(m, 7)];
    l.shape[1] = cols[pick(m, l.shape[0] > 100 ? 4 : l.shape[0] > 9 ? 5 : 7)];
  } else if (l.ndim == 3) {
    for (int32_t d = 0; d < 3; d++) l.shape[d] = sizes[pick(m, d == 2 ? 10 : 6)];
  }
  const int32_t copies = 2 + pick(m, 2);
  for (int32_t i = 0; i < copies; i++) {
    if (chance(m, 15) && has(m, PROGRAM_ATTACH)) {
      program_step s = step(STEP_ATTACH, free_var(m), 0);
      s.dtype = l.dtype;
      s.ndim = l.ndim;
      s.flag = chance(m, 80) ? RP_READ_WRITE : RP_READ_ONLY;
      s.seed = draw(m);
      memcpy(s.n, l.shape, sizeof *s.n * (size_t)l.ndim);
      emit(m, &s);
    } else {
      make_like(m, &l, chance(m, 85));
    }
  }
  like wide = l;
  for (int32_t d = 0; d < l.ndim; d++) wide.shape[d] += 2;
  if (chance(m, 60)) make_like(m, &wide, true);
  if (l.ndim > 1) {
    like row = {.ndim = 1, .dtype = l.dtype}, column = l;
    row.shape[0] = l.shape[l.ndim - 1];
    column.shape[l.ndim - 1] = 1;
    make_like(m, &row, true);
    make_like(m, &column, true);
  }
  program_step s = step(STEP_SCALAR, free_var(m), 0);
  s.dtype = l.dtype;
  s.seed = draw(m);
  emit(m, &s);
}

/* One more pass of the body that lies at from..to, with other scalars and sometimes something missing. */
static void repeat(maker *m, int32_t from, int32_t to) {
  const int32_t missing = chance(m, 12) ? from + pick(m, to - from) : -1;
  const int32_t last = has(m, PROGRAM_BREAK) && chance(m, 8) ? from + pick(m, to - from) : to;
  for (int32_t i = from; i < last; i++) {
    program_step s = m->p->step[i];
    if (i == missing) continue;
    if (s.kind == STEP_LAUNCH)
      for (int32_t k = 0; k < s.n_scalar; k++) s.scalar[k] += 0.125;
    if ((s.kind == STEP_WRITE && s.flag == 0) || s.kind == STEP_FILL || s.kind == STEP_WRITE_PART) s.seed = draw(m);
    emit(m, &s);
  }
}

static void emit_swap(maker *m) {
  const int32_t a = choose(m, writable, NULL);
  if (a < 0) return;
  const like l = shape_of(m, a);
  const int32_t b = choose(m, same_shape, &l);
  if (b >= 0 && b != a) emit_simple(m, STEP_SWAP, a, b, 0);
}

static void emit_loop(maker *m) {
  const int32_t id = pick(m, 4), passes = 2 + pick(m, 6), steps = 1 + pick(m, 8), outer = chance(m, 25) ? 2 : 1;
  int32_t from[2], to[2];
  bool was[PROGRAM_VARS];
  for (int32_t v = 0; v < PROGRAM_VARS; v++) was[v] = m->var[v] != NULL;
  for (int32_t k = 0; k < outer; k++) {
    from[k] = m->p->n_step;
    emit_simple(m, STEP_BEGIN, 0, 0, id + k);
    for (int32_t i = 0; i < steps; i++) emit_one(m);
    if (chance(m, 35)) emit_swap(m);
    for (int32_t v = 0; v < PROGRAM_VARS; v++)
      if (m->var[v] && !was[v] && m->role[v] == ROLE_DATA && chance(m, 55)) emit_simple(m, STEP_RELEASE, v, 0, chance(m, 20));
    emit_simple(m, STEP_END, 0, 0, id + k);
    to[k] = m->p->n_step;
  }
  for (int32_t i = 0; i < passes; i++)
    for (int32_t k = 0; k < outer; k++) {
      if (full(m, to[k] - from[k] + 2)) return;
      repeat(m, from[k], to[k]);
    }
}

void program_make(program *p, uint64_t seed, const uint8_t *bytes, size_t n_bytes, uint32_t features) {
  maker m = {.p = p, .state = seed, .bytes = bytes, .n_bytes = n_bytes, .features = features};
  memset(p, 0, sizeof *p);
  if (rp_context_create("--tier 0 --threads 1 --pin off --cache_dir none", &m.ctx) != RP_OK) abort();
  const int32_t families = 1 + pick(&m, 3), phases = 1 + pick(&m, 5);
  for (int32_t i = 0; i < families; i++) emit_family(&m);
  for (int32_t i = 0, views = pick(&m, 5); i < views; i++) emit_view(&m);
  for (int32_t k = 0; k < phases && !full(&m, 1); k++) {
    if (bytes && m.n_bytes == 0) break;
    if (chance(&m, 65)) {
      emit_loop(&m);
    } else {
      const int32_t loose = 3 + pick(&m, 25);
      for (int32_t i = 0; i < loose; i++) emit_one(&m);
    }
  }
  for (int32_t v = 0; v < PROGRAM_VARS; v++) rp_store_release(m.var[v]);
  rp_context_destroy(m.ctx);
  while (m.memory) {
    memory_piece *piece = m.memory;
    m.memory = piece->next;
    free(piece->data);
    free(piece);
  }
}
