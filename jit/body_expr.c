/* SPDX-License-Identifier: Apache-2.0
 * jit/body_expr.c -- expressions of bodies: tokens to nodes.
 *
 * Lives here: precedence, calls, reductions, subscripts, limits on nesting.
 * Not here:   statements and parameters (body_parse.c), which index is which axis (body_bind.c).
 * How:        recursive descent with precedence climbing. A reduction takes everything to its
 *             right, as the grammar says. `min(` and `max(` open a reduction if `id in` follows,
 *             or if only names stand in the brackets and an operand follows them; else a function.
 * Invariant:  no recursion deeper than RPI_BODY_MAX_NEST here, nor than RPI_BODY_MAX_DEPTH in any
 *             walk over the finished tree, lets put in. */
#include <string.h>

#include "core/model/dtype.h"
#include "jit/body_parse_impl.h"

static const rpi_body_fn_info fn_table[] = {
#define RPI_BODY_FN(NAME, text, n_arg, rule, op, flag) \
  {text, n_arg, RPI_RULE_##rule, RPI_IR_##op, flag},
#include "jit/body_funcs.def"
#undef RPI_BODY_FN
};

/* Binary operators by rising precedence, C's; `**` is apart. */
static const struct {
  const char *sign;
  int32_t level;
  int32_t fn;
} binary_table[] = {
    {"||", 1, RPI_FN_LOR}, {"&&", 2, RPI_FN_LAND},      {"|", 3, RPI_FN_OR},  {"^", 4, RPI_FN_XOR},
    {"&", 5, RPI_FN_AND},  {"==", 6, RPI_FN_EQ},        {"!=", 6, RPI_FN_NE}, {"<", 7, RPI_FN_LT},
    {"<=", 7, RPI_FN_LE},  {">", 7, RPI_FN_GT},         {">=", 7, RPI_FN_GE}, {"<<", 8, RPI_FN_SHL},
    {">>", 8, RPI_FN_SHR}, {"+", 9, RPI_FN_ADD},        {"-", 9, RPI_FN_SUB}, {"*", 10, RPI_FN_MUL},
    {"/", 10, RPI_FN_DIV}, {"//", 10, RPI_FN_FLOORDIV}, {"%", 10, RPI_FN_MOD}};

static const struct {
  const char *name;
  int32_t redop;
} red_table[] = {{"sum", RPI_RED_SUM},       {"prod", RPI_RED_PROD},    {"min", RPI_RED_MIN},
                 {"max", RPI_RED_MAX},       {"any", RPI_RED_ANY},      {"all", RPI_RED_ALL},
                 {"argmin", RPI_RED_ARGMIN}, {"argmax", RPI_RED_ARGMAX}};

const rpi_body_fn_info *rpi_body_expr_fn(int32_t fn) { return &fn_table[fn]; }

static rp_status enter(rpi_body_parser *p) {
  if (++p->nest <= RPI_BODY_MAX_NEST) return RP_OK;
  return fail_at(p, rpi_body_peek(p, 0)->at, "nested deeper than %d levels", RPI_BODY_MAX_NEST);
}

/* ---- nodes */

static rp_status add_node(rpi_body_parser *p, int32_t kind, int32_t at, const int32_t *kid,
                          int32_t n_kid, int32_t *out) {
  rpi_body *b = p->b;
  if (!RPI_BODY_ROOM(b->node, b->cap_node, b->n_node + 1) ||
      !RPI_BODY_ROOM(b->kids, b->cap_kids, b->n_kids + n_kid)) {
    return rpi_status_nomem("the tree of a body");
  }
  rpi_body_node *n = &b->node[b->n_node];
  memset(n, 0, sizeof *n);
  n->kind = (uint8_t)kind;
  n->at = at;
  n->kid = b->n_kids;
  n->n_kid = n_kid;
  n->stamp = -1;
  int32_t depth = 0;
  for (int32_t i = 0; i < n_kid; i++) {
    b->kids[b->n_kids + i] = kid[i];
    if (b->node[kid[i]].depth > depth) depth = b->node[kid[i]].depth;
  }
  b->n_kids += n_kid;
  if (depth + 1 > RPI_BODY_MAX_DEPTH) {
    return fail_at(p, at, "the expression has more than %d levels", RPI_BODY_MAX_DEPTH);
  }
  n->depth = (int16_t)(depth + 1);
  *out = b->n_node++;
  return RP_OK;
}

static rp_status add_call(rpi_body_parser *p, int32_t fn, int32_t at, const int32_t *kid,
                          int32_t n_kid, int32_t *out) {
  RPI_TRY(add_node(p, RPI_NODE_CALL, at, kid, n_kid, out));
  p->b->node[*out].op = (uint8_t)fn;
  return RP_OK;
}

/* Raises a node's depth to that of what it refers to. */
static rp_status deepen(rpi_body_parser *p, int32_t node, int32_t below) {
  rpi_body_node *n = &p->b->node[node];
  if (below + 1 > RPI_BODY_MAX_DEPTH) {
    return fail_at(p, n->at, "the expression has more than %d levels", RPI_BODY_MAX_DEPTH);
  }
  if (n->depth < below + 1) n->depth = (int16_t)(below + 1);
  return RP_OK;
}

/* ---- expressions */

static rp_status parse_unary(rpi_body_parser *p, int32_t *out);

rp_status rpi_body_subscripts(rpi_body_parser *p, int32_t *sub, int32_t *n) {
  *n = 0;
  do {
    if (*n == RP_MAX_DIM) {
      return fail_at(p, rpi_body_peek(p, 0)->at, "more than %d subscripts", RP_MAX_DIM);
    }
    RPI_TRY(rpi_body_expr(p, &sub[*n]));
    (*n)++;
  } while (rpi_body_accept(p, ","));
  if (!rpi_body_at_sign(p, "]")) return rpi_body_expected(p, "',' or ']'");
  p->pos++;
  p->b->indexed = true;
  return RP_OK;
}

static rp_status parse_int(rpi_body_parser *p, const rpi_body_token *t, uint64_t *out) {
  const char *s = p->text + t->at;
  uint64_t base = t->len > 2 && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
  uint64_t v = 0;
  for (int32_t i = base == 16 ? 2 : 0; i < t->len; i++) {
    char c = s[i];
    uint64_t digit = c <= '9' ? (uint64_t)(c - '0') : (uint64_t)((c | 32) - 'a' + 10);
    if (v > (UINT64_MAX - digit) / base) {
      return fail_at(p, t->at, "the number does not fit 64 bits");
    }
    v = v * base + digit;
  }
  *out = v;
  return RP_OK;
}

/* "[-] integer", as in index(0) and extent(x, -1). */
static rp_status parse_axis(rpi_body_parser *p, int64_t *out) {
  bool minus = rpi_body_accept(p, "-");
  const rpi_body_token *t = rpi_body_peek(p, 0);
  uint64_t u = 0;
  if (t->kind != RPI_TOK_INT) return rpi_body_expected(p, "the number of an axis");
  RPI_TRY(parse_int(p, t, &u));
  if (u > RP_MAX_DIM) return fail_at(p, t->at, "there are at most %d axes", RP_MAX_DIM);
  p->pos++;
  *out = minus ? -(int64_t)u : (int64_t)u;
  return RP_OK;
}

static rp_status parse_extent(rpi_body_parser *p, int32_t at, int32_t *out) {
  const rpi_body_token *t = rpi_body_peek(p, 0);
  int32_t name = 0, param = -1;
  int64_t axis = 0;
  if (t->kind == RPI_TOK_NAME) {
    RPI_TRY(rpi_body_name_of(p, t, &name));
    param = rpi_body_find_param(p->b, name);
  }
  if (param < 0 || !p->b->param[param].store) return rpi_body_expected(p, "the name of a store");
  p->pos++;
  RPI_TRY(rpi_body_expect(p, ","));
  RPI_TRY(parse_axis(p, &axis));
  RPI_TRY(rpi_body_expect(p, ")"));
  RPI_TRY(add_node(p, RPI_NODE_EXTENT, at, NULL, 0, out));
  p->b->node[*out].ref = p->b->param[param].slot;
  p->b->node[*out].v.u = (uint64_t)axis;
  p->b->param[param].used = true;
  return RP_OK;
}

static rp_status add_range(rpi_body_parser *p, rpi_body_range r, int32_t *out) {
  rpi_body *b = p->b;
  if (!RPI_BODY_ROOM(b->range, b->cap_range, b->n_range + 1)) {
    return rpi_status_nomem("ranges of a body");
  }
  b->range[b->n_range] = r;
  *out = b->n_range++;
  return RP_OK;
}

/* After "sum(": the indices, ")" and the element. */
static rp_status parse_red(rpi_body_parser *p, int32_t redop, int32_t at, int32_t *out) {
  rpi_body_range range[RP_MAX_DIM];
  int32_t n = 0, element = 0, first = 0, depth = 0;
  do {
    const rpi_body_token *t = rpi_body_peek(p, 0);
    if (t->kind != RPI_TOK_NAME || rpi_body_reserved(p, t))
      return rpi_body_expected(p, "the name of an index");
    if (n == RP_MAX_DIM) return fail_at(p, t->at, "more than %d indices", RP_MAX_DIM);
    rpi_body_range *r = &range[n++];
    *r = (rpi_body_range){0, t->at, -1, -1};
    RPI_TRY(rpi_body_name_of(p, t, &r->name));
    if (rpi_body_find_param(p->b, r->name) >= 0 || rpi_body_find_let(p->b, r->name) >= 0) {
      return rpi_body_expected(p, "a name of its own for the index");
    }
    p->pos++;
    if (rpi_body_accept(p, "in")) {
      RPI_TRY(rpi_body_expr(p, &r->lo));
      RPI_TRY(rpi_body_expect(p, ".."));
      RPI_TRY(rpi_body_expr(p, &r->hi));
      if (p->b->node[r->lo].depth > depth) depth = p->b->node[r->lo].depth;
      if (p->b->node[r->hi].depth > depth) depth = p->b->node[r->hi].depth;
    }
  } while (rpi_body_accept(p, ","));
  if (!rpi_body_at_sign(p, ")")) return rpi_body_expected(p, "',', 'in' or ')'");
  p->pos++;
  if (n > 1 && (redop == RPI_RED_ARGMIN || redop == RPI_RED_ARGMAX)) {
    return fail_at(p, range[1].at, "argmin and argmax take one index only");
  }
  RPI_TRY(rpi_body_expr(p, &element));
  for (int32_t i = 0; i < n; i++) {
    int32_t r = 0;
    RPI_TRY(add_range(p, range[i], &r));
    if (i == 0) first = r;
  }
  RPI_TRY(add_node(p, RPI_NODE_RED, at, &element, 1, out));
  p->b->node[*out].op = (uint8_t)redop;
  p->b->node[*out].ref = first;
  p->b->node[*out].n_range = n;
  return deepen(p, *out, depth);
}

/* Whether the tokens after "min(" (the position) begin a reduction. */
static bool is_red(const rpi_body_parser *p) {
  int32_t i = 0;
  for (;;) {
    if (rpi_body_peek(p, i)->kind != RPI_TOK_NAME || rpi_body_reserved(p, rpi_body_peek(p, i)))
      return false;
    i++;
    if (rpi_body_token_is(p, rpi_body_peek(p, i), "in")) return true;
    if (rpi_body_token_is(p, rpi_body_peek(p, i), ")")) break;
    if (!rpi_body_token_is(p, rpi_body_peek(p, i), ",")) return false;
    i++;
  }
  if (i == 1) return true;
  const rpi_body_token *t = rpi_body_peek(p, i + 1);
  return t->kind == RPI_TOK_NAME || t->kind == RPI_TOK_INT || t->kind == RPI_TOK_FLOAT ||
         rpi_body_token_is(p, t, "(") || rpi_body_token_is(p, t, "!") ||
         rpi_body_token_is(p, t, "~");
}

static rp_status parse_args(rpi_body_parser *p, const char *name, int32_t len, int32_t want,
                            int32_t at, int32_t *arg) {
  int32_t n = 0;
  if (!rpi_body_at_sign(p, ")")) {
    do {
      if (n == want)
        return fail_at(p, at, "%.*s takes %d argument%s", len, name, want, want == 1 ? "" : "s");
      RPI_TRY(rpi_body_expr(p, &arg[n++]));
    } while (rpi_body_accept(p, ","));
  }
  if (!rpi_body_at_sign(p, ")")) return rpi_body_expected(p, "',' or ')'");
  if (n != want) {
    return fail_at(p, at, "%.*s takes %d argument%s, found %d", len, name, want,
                   want == 1 ? "" : "s", n);
  }
  p->pos++;
  return RP_OK;
}

static rp_status parse_coord(rpi_body_parser *p, int32_t at, int32_t *out) {
  int64_t axis = 0;
  RPI_TRY(parse_axis(p, &axis));
  RPI_TRY(rpi_body_expect(p, ")"));
  RPI_TRY(add_node(p, RPI_NODE_COORD, at, NULL, 0, out));
  p->b->node[*out].ref = (int32_t)axis;
  return RP_OK;
}

/* At "name (". */
static rp_status parse_call(rpi_body_parser *p, int32_t *out) {
  rpi_body_token t = *rpi_body_peek(p, 0);
  const char *name = p->text + t.at;
  int32_t arg[3] = {0, 0, 0};
  p->pos += 2;
  for (int32_t i = 0; i < RPI_COUNT(red_table); i++) {
    if (!rpi_body_token_is(p, &t, red_table[i].name)) continue;
    bool both = red_table[i].redop == RPI_RED_MIN || red_table[i].redop == RPI_RED_MAX;
    if (!both || is_red(p)) return parse_red(p, red_table[i].redop, t.at, out);
  }
  if (rpi_body_token_is(p, &t, "index")) return parse_coord(p, t.at, out);
  if (rpi_body_token_is(p, &t, "extent")) return parse_extent(p, t.at, out);
  rp_dtype dtype = rpi_dtype_find(name, (size_t)t.len);
  if (dtype >= 0) {
    RPI_TRY(parse_args(p, name, t.len, 1, t.at, arg));
    RPI_TRY(add_node(p, RPI_NODE_CAST, t.at, arg, 1, out));
    p->b->node[*out].op = (uint8_t)dtype;
    return RP_OK;
  }
  for (int32_t i = 0; i < RPI_N_FN; i++) {
    if (!rpi_body_token_is(p, &t, fn_table[i].name)) continue;
    RPI_TRY(parse_args(p, name, t.len, fn_table[i].n_arg, t.at, arg));
    return add_call(p, i, t.at, arg, fn_table[i].n_arg, out);
  }
  if (rpi_body_token_is(p, &t, "uniform") || rpi_body_token_is(p, &t, "normal") ||
      rpi_body_token_is(p, &t, "bits")) {
    return fail_at(p, t.at, "random functions are not supported yet");
  }
  return fail_at(p, t.at, "expected a function, found '%.*s'", t.len < 40 ? t.len : 40, name);
}

/* A name that is no call: a parameter, a let or an index. */
static rp_status parse_ref(rpi_body_parser *p, int32_t *out) {
  rpi_body *b = p->b;
  rpi_body_token t = *rpi_body_peek(p, 0);
  int32_t name = 0, sub[RP_MAX_DIM], n_sub = 0;
  if (rpi_body_reserved(p, &t)) return rpi_body_expected(p, "an expression");
  RPI_TRY(rpi_body_name_of(p, &t, &name));
  p->pos++;
  int32_t param = rpi_body_find_param(b, name), let = rpi_body_find_let(b, name);
  bool bracket = rpi_body_at_sign(p, "[");
  if (bracket && (param < 0 || !b->param[param].store)) {
    return fail_at(p, rpi_body_peek(p, 0)->at, "'%.*s' is no store, so it takes no subscripts",
                   t.len < 40 ? t.len : 40, p->text + t.at);
  }
  if (param >= 0) {
    if (bracket) {
      p->pos++;
      RPI_TRY(rpi_body_subscripts(p, sub, &n_sub));
    }
    RPI_TRY(add_node(p, b->param[param].store ? RPI_NODE_STORE : RPI_NODE_SCALAR, t.at, sub, n_sub,
                     out));
    b->param[param].used = true;
    b->node[*out].ref = b->param[param].slot;
    b->node[*out].bracket = bracket;
    return RP_OK;
  }
  RPI_TRY(add_node(p, let >= 0 ? RPI_NODE_LET : RPI_NODE_NAME, t.at, NULL, 0, out));
  b->node[*out].ref = let >= 0 ? let : name;
  return let >= 0 ? deepen(p, *out, b->node[b->let[let].node].depth) : RP_OK;
}

static rp_status parse_primary(rpi_body_parser *p, int32_t *out) {
  rpi_body_token t = *rpi_body_peek(p, 0);
  if (t.kind == RPI_TOK_INT) {
    uint64_t u = 0;
    RPI_TRY(parse_int(p, &t, &u));
    p->pos++;
    RPI_TRY(add_node(p, RPI_NODE_INT, t.at, NULL, 0, out));
    p->b->node[*out].v.u = u;
    return RP_OK;
  }
  if (t.kind == RPI_TOK_FLOAT) {
    p->pos++;
    RPI_TRY(add_node(p, RPI_NODE_FLOAT, t.at, NULL, 0, out));
    p->b->node[*out].v.f = rpi_body_lex_float(p->text + t.at, t.len);
    return RP_OK;
  }
  if (t.kind == RPI_TOK_NAME) {
    if (rpi_body_token_is(p, rpi_body_peek(p, 1), "(")) return parse_call(p, out);
    return parse_ref(p, out);
  }
  if (rpi_body_accept(p, "(")) {
    RPI_TRY(rpi_body_expr(p, out));
    return rpi_body_expect(p, ")");
  }
  return rpi_body_expected(p, "an expression");
}

/* primary [ "**" unary ]: binds tighter than a minus on its left, not on its right. */
static rp_status parse_power(rpi_body_parser *p, int32_t *out) {
  int32_t kid[2];
  RPI_TRY(parse_primary(p, &kid[0]));
  int32_t at = rpi_body_peek(p, 0)->at;
  if (!rpi_body_accept(p, "**")) {
    *out = kid[0];
    return RP_OK;
  }
  RPI_TRY(parse_unary(p, &kid[1]));
  return add_call(p, RPI_FN_POW, at, kid, 2, out);
}

static rp_status parse_unary(rpi_body_parser *p, int32_t *out) {
  static const struct {
    const char *sign;
    int32_t fn;
  } prefix[] = {{"-", RPI_FN_NEG}, {"+", RPI_FN_PLUS}, {"!", RPI_FN_LNOT}, {"~", RPI_FN_INVERT}};
  int32_t at = rpi_body_peek(p, 0)->at;
  RPI_TRY(enter(p));
  for (int32_t i = 0; i < RPI_COUNT(prefix); i++) {
    if (!rpi_body_accept(p, prefix[i].sign)) continue;
    int32_t kid = 0;
    RPI_TRY(parse_unary(p, &kid));
    p->nest--;
    return add_call(p, prefix[i].fn, at, &kid, 1, out);
  }
  RPI_TRY(parse_power(p, out));
  p->nest--;
  return RP_OK;
}

static rp_status parse_binary(rpi_body_parser *p, int32_t level, int32_t *out) {
  int32_t left = 0;
  RPI_TRY(parse_unary(p, &left));
  for (;;) {
    int32_t op = -1;
    for (int32_t i = 0; i < RPI_COUNT(binary_table) && op < 0; i++) {
      if (rpi_body_at_sign(p, binary_table[i].sign) && binary_table[i].level >= level) op = i;
    }
    if (op < 0) break;
    int32_t kid[2] = {left, 0};
    int32_t at = rpi_body_peek(p, 0)->at;
    p->pos++;
    RPI_TRY(parse_binary(p, binary_table[op].level + 1, &kid[1]));
    RPI_TRY(add_call(p, binary_table[op].fn, at, kid, 2, &left));
  }
  *out = left;
  return RP_OK;
}

rp_status rpi_body_expr(rpi_body_parser *p, int32_t *out) { return parse_binary(p, 1, out); }
