/* SPDX-License-Identifier: Apache-2.0
 * jit/body_parse.c -- parameter lists and bodies: tokens to a tree.
 *
 * Lives here: the grammar of SEMANTICS 4, names, precedence, limits on nesting.
 * Not here:   which index is which axis (body_bind.c), types (body_type.c).
 * How:        recursive descent with precedence climbing. A reduction takes everything to its
 *             right, as the grammar says. `min(` and `max(` open a reduction if `id in` follows,
 *             or if only names stand in the brackets and an operand follows them; else a function.
 * Invariant:  no recursion deeper than RPI_BODY_MAX_NEST here, nor than RPI_BODY_MAX_DEPTH in any
 *             walk over the finished tree, lets put in. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/model/dtype.h"
#include "jit/body_tree.h"

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

static const struct {
  const char *sign;
  int32_t asg;
} asg_table[] = {{"=", RPI_ASG_SET},  {"+=", RPI_RED_SUM}, {"*=", RPI_RED_PROD},
                 {"&=", RPI_RED_AND}, {"|=", RPI_RED_OR},  {"^=", RPI_RED_XOR}};

typedef struct parser {
  rpi_body *b;
  const char *text;
  const char *what;
  int32_t pos;
  int32_t nest;
} parser;

const rpi_body_fn_info *rpi_body_parse_fn(int32_t fn) { return &fn_table[fn]; }

const char *rpi_body_parse_name(const rpi_body *b, int32_t name, char buf[64]) {
  const rpi_body_name *n = &b->name[name];
  size_t len = n->len < 60 ? (size_t)n->len : 60;
  memcpy(buf, n->text, len);
  buf[len] = '\0';
  return buf;
}

/* ---- tokens */

static const rpi_body_token *peek(const parser *p, int32_t ahead) {
  int32_t i = p->pos + ahead;
  return &p->b->tok[i < p->b->n_tok ? i : p->b->n_tok - 1];
}

static bool token_is(const parser *p, const rpi_body_token *t, const char *text) {
  return (t->kind == RPI_TOK_SIGN || t->kind == RPI_TOK_NAME) && strlen(text) == (size_t)t->len &&
         memcmp(p->text + t->at, text, (size_t)t->len) == 0;
}

static bool at_sign(const parser *p, const char *text) { return token_is(p, peek(p, 0), text); }

static bool accept(parser *p, const char *text) {
  if (!at_sign(p, text)) return false;
  p->pos++;
  return true;
}

#define fail_at(p, at, ...) rpi_body_lex_fail(RP_ERR_BODY, (p)->what, (p)->text, at, __VA_ARGS__)

static rp_status expected(parser *p, const char *wanted) {
  const rpi_body_token *t = peek(p, 0);
  if (t->kind == RPI_TOK_END) {
    return fail_at(p, t->at, "expected %s, found the end of the text", wanted);
  }
  return fail_at(p, t->at, "expected %s, found '%.*s'", wanted, t->len < 40 ? t->len : 40,
                 p->text + t->at);
}

static rp_status expect(parser *p, const char *sign) {
  if (accept(p, sign)) return RP_OK;
  char quoted[8] = "'";
  memcpy(quoted + 1, sign, strlen(sign));
  quoted[strlen(sign) + 1] = '\'';
  quoted[strlen(sign) + 2] = '\0';
  return expected(p, quoted);
}

static rp_status enter(parser *p) {
  if (++p->nest <= RPI_BODY_MAX_NEST) return RP_OK;
  return fail_at(p, peek(p, 0)->at, "nested deeper than %d levels", RPI_BODY_MAX_NEST);
}

/* ---- names */

static rp_status name_of(parser *p, const rpi_body_token *t, int32_t *out) {
  rpi_body *b = p->b;
  for (int32_t i = 0; i < b->n_name; i++) {
    if (b->name[i].len == t->len && memcmp(b->name[i].text, p->text + t->at, (size_t)t->len) == 0) {
      *out = i;
      return RP_OK;
    }
  }
  if (b->n_name == RPI_BODY_MAX_NAMES) {
    return fail_at(p, t->at, "more than %d different names", RPI_BODY_MAX_NAMES);
  }
  if (!RPI_BODY_ROOM(b->name, b->cap_name, b->n_name + 1)) {
    return rpi_status_nomem("names of a body");
  }
  b->name[b->n_name] = (rpi_body_name){p->text + t->at, t->len};
  *out = b->n_name++;
  return RP_OK;
}

static int32_t find_param(const rpi_body *b, int32_t name) {
  for (int32_t i = 0; i < b->n_param; i++) {
    if (b->param[i].name == name) return i;
  }
  return -1;
}

static int32_t find_let(const rpi_body *b, int32_t name) {
  for (int32_t i = 0; i < b->n_let; i++) {
    if (b->let[i].name == name) return i;
  }
  return -1;
}

static bool reserved(const parser *p, const rpi_body_token *t) {
  return token_is(p, t, "let") || token_is(p, t, "in");
}

/* ---- nodes */

static rp_status add_node(parser *p, int32_t kind, int32_t at, const int32_t *kid, int32_t n_kid,
                          int32_t *out) {
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

static rp_status add_call(parser *p, int32_t fn, int32_t at, const int32_t *kid, int32_t n_kid,
                          int32_t *out) {
  RPI_TRY(add_node(p, RPI_NODE_CALL, at, kid, n_kid, out));
  p->b->node[*out].op = (uint8_t)fn;
  return RP_OK;
}

/* Raises a node's depth to that of what it refers to. */
static rp_status deepen(parser *p, int32_t node, int32_t below) {
  rpi_body_node *n = &p->b->node[node];
  if (below + 1 > RPI_BODY_MAX_DEPTH) {
    return fail_at(p, n->at, "the expression has more than %d levels", RPI_BODY_MAX_DEPTH);
  }
  if (n->depth < below + 1) n->depth = (int16_t)(below + 1);
  return RP_OK;
}

/* ---- expressions */

static rp_status parse_expr(parser *p, int32_t *out);
static rp_status parse_unary(parser *p, int32_t *out);

/* A `[ ... ]` list of 1 to RP_MAX_DIM subscripts. */
static rp_status parse_subscripts(parser *p, int32_t *sub, int32_t *n) {
  *n = 0;
  do {
    if (*n == RP_MAX_DIM) {
      return fail_at(p, peek(p, 0)->at, "more than %d subscripts", RP_MAX_DIM);
    }
    RPI_TRY(parse_expr(p, &sub[*n]));
    (*n)++;
  } while (accept(p, ","));
  if (!at_sign(p, "]")) return expected(p, "',' or ']'");
  p->pos++;
  p->b->indexed = true;
  return RP_OK;
}

static rp_status parse_int(parser *p, const rpi_body_token *t, uint64_t *out) {
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
static rp_status parse_axis(parser *p, int64_t *out) {
  bool minus = accept(p, "-");
  const rpi_body_token *t = peek(p, 0);
  uint64_t u = 0;
  if (t->kind != RPI_TOK_INT) return expected(p, "the number of an axis");
  RPI_TRY(parse_int(p, t, &u));
  if (u > RP_MAX_DIM) return fail_at(p, t->at, "there are at most %d axes", RP_MAX_DIM);
  p->pos++;
  *out = minus ? -(int64_t)u : (int64_t)u;
  return RP_OK;
}

static rp_status parse_extent(parser *p, int32_t at, int32_t *out) {
  const rpi_body_token *t = peek(p, 0);
  int32_t name = 0, param = -1;
  int64_t axis = 0;
  if (t->kind == RPI_TOK_NAME) {
    RPI_TRY(name_of(p, t, &name));
    param = find_param(p->b, name);
  }
  if (param < 0 || !p->b->param[param].store) return expected(p, "the name of a store");
  p->pos++;
  RPI_TRY(expect(p, ","));
  RPI_TRY(parse_axis(p, &axis));
  RPI_TRY(expect(p, ")"));
  RPI_TRY(add_node(p, RPI_NODE_EXTENT, at, NULL, 0, out));
  p->b->node[*out].ref = p->b->param[param].slot;
  p->b->node[*out].v.u = (uint64_t)axis;
  p->b->param[param].used = true;
  return RP_OK;
}

static rp_status add_range(parser *p, rpi_body_range r, int32_t *out) {
  rpi_body *b = p->b;
  if (!RPI_BODY_ROOM(b->range, b->cap_range, b->n_range + 1)) {
    return rpi_status_nomem("ranges of a body");
  }
  b->range[b->n_range] = r;
  *out = b->n_range++;
  return RP_OK;
}

/* After "sum(": the indices, ")" and the element. */
static rp_status parse_red(parser *p, int32_t redop, int32_t at, int32_t *out) {
  rpi_body_range range[RP_MAX_DIM];
  int32_t n = 0, element = 0, first = 0, depth = 0;
  do {
    const rpi_body_token *t = peek(p, 0);
    if (t->kind != RPI_TOK_NAME || reserved(p, t)) return expected(p, "the name of an index");
    if (n == RP_MAX_DIM) return fail_at(p, t->at, "more than %d indices", RP_MAX_DIM);
    rpi_body_range *r = &range[n++];
    *r = (rpi_body_range){0, t->at, -1, -1};
    RPI_TRY(name_of(p, t, &r->name));
    if (find_param(p->b, r->name) >= 0 || find_let(p->b, r->name) >= 0) {
      return expected(p, "a name of its own for the index");
    }
    p->pos++;
    if (accept(p, "in")) {
      RPI_TRY(parse_expr(p, &r->lo));
      RPI_TRY(expect(p, ".."));
      RPI_TRY(parse_expr(p, &r->hi));
      if (p->b->node[r->lo].depth > depth) depth = p->b->node[r->lo].depth;
      if (p->b->node[r->hi].depth > depth) depth = p->b->node[r->hi].depth;
    }
  } while (accept(p, ","));
  if (!at_sign(p, ")")) return expected(p, "',', 'in' or ')'");
  p->pos++;
  if (n > 1 && (redop == RPI_RED_ARGMIN || redop == RPI_RED_ARGMAX)) {
    return fail_at(p, range[1].at, "argmin and argmax take one index only");
  }
  RPI_TRY(parse_expr(p, &element));
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
static bool is_red(const parser *p) {
  int32_t i = 0;
  for (;;) {
    if (peek(p, i)->kind != RPI_TOK_NAME || reserved(p, peek(p, i))) return false;
    i++;
    if (token_is(p, peek(p, i), "in")) return true;
    if (token_is(p, peek(p, i), ")")) break;
    if (!token_is(p, peek(p, i), ",")) return false;
    i++;
  }
  if (i == 1) return true;
  const rpi_body_token *t = peek(p, i + 1);
  return t->kind == RPI_TOK_NAME || t->kind == RPI_TOK_INT || t->kind == RPI_TOK_FLOAT ||
         token_is(p, t, "(") || token_is(p, t, "!") || token_is(p, t, "~");
}

static rp_status parse_args(parser *p, const char *name, int32_t len, int32_t want, int32_t at,
                            int32_t *arg) {
  int32_t n = 0;
  if (!at_sign(p, ")")) {
    do {
      if (n == want)
        return fail_at(p, at, "%.*s takes %d argument%s", len, name, want, want == 1 ? "" : "s");
      RPI_TRY(parse_expr(p, &arg[n++]));
    } while (accept(p, ","));
  }
  if (!at_sign(p, ")")) return expected(p, "',' or ')'");
  if (n != want) {
    return fail_at(p, at, "%.*s takes %d argument%s, found %d", len, name, want,
                   want == 1 ? "" : "s", n);
  }
  p->pos++;
  return RP_OK;
}

static rp_status parse_coord(parser *p, int32_t at, int32_t *out) {
  int64_t axis = 0;
  RPI_TRY(parse_axis(p, &axis));
  RPI_TRY(expect(p, ")"));
  RPI_TRY(add_node(p, RPI_NODE_COORD, at, NULL, 0, out));
  p->b->node[*out].ref = (int32_t)axis;
  return RP_OK;
}

/* At "name (". */
static rp_status parse_call(parser *p, int32_t *out) {
  rpi_body_token t = *peek(p, 0);
  const char *name = p->text + t.at;
  int32_t arg[3] = {0, 0, 0};
  p->pos += 2;
  for (int32_t i = 0; i < RPI_COUNT(red_table); i++) {
    if (!token_is(p, &t, red_table[i].name)) continue;
    bool both = red_table[i].redop == RPI_RED_MIN || red_table[i].redop == RPI_RED_MAX;
    if (!both || is_red(p)) return parse_red(p, red_table[i].redop, t.at, out);
  }
  if (token_is(p, &t, "index")) return parse_coord(p, t.at, out);
  if (token_is(p, &t, "extent")) return parse_extent(p, t.at, out);
  rp_dtype dtype = rpi_dtype_find(name, (size_t)t.len);
  if (dtype >= 0) {
    RPI_TRY(parse_args(p, name, t.len, 1, t.at, arg));
    RPI_TRY(add_node(p, RPI_NODE_CAST, t.at, arg, 1, out));
    p->b->node[*out].op = (uint8_t)dtype;
    return RP_OK;
  }
  for (int32_t i = 0; i < RPI_N_FN; i++) {
    if (!token_is(p, &t, fn_table[i].name)) continue;
    RPI_TRY(parse_args(p, name, t.len, fn_table[i].n_arg, t.at, arg));
    return add_call(p, i, t.at, arg, fn_table[i].n_arg, out);
  }
  if (token_is(p, &t, "uniform") || token_is(p, &t, "normal") || token_is(p, &t, "bits")) {
    return fail_at(p, t.at, "random functions are not supported yet");
  }
  return fail_at(p, t.at, "expected a function, found '%.*s'", t.len < 40 ? t.len : 40, name);
}

/* A name that is no call: a parameter, a let or an index. */
static rp_status parse_ref(parser *p, int32_t *out) {
  rpi_body *b = p->b;
  rpi_body_token t = *peek(p, 0);
  int32_t name = 0, sub[RP_MAX_DIM], n_sub = 0;
  if (reserved(p, &t)) return expected(p, "an expression");
  RPI_TRY(name_of(p, &t, &name));
  p->pos++;
  int32_t param = find_param(b, name), let = find_let(b, name);
  bool bracket = at_sign(p, "[");
  if (bracket && (param < 0 || !b->param[param].store)) {
    return fail_at(p, peek(p, 0)->at, "'%.*s' is no store, so it takes no subscripts",
                   t.len < 40 ? t.len : 40, p->text + t.at);
  }
  if (param >= 0) {
    if (bracket) {
      p->pos++;
      RPI_TRY(parse_subscripts(p, sub, &n_sub));
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

static rp_status parse_primary(parser *p, int32_t *out) {
  rpi_body_token t = *peek(p, 0);
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
    if (token_is(p, peek(p, 1), "(")) return parse_call(p, out);
    return parse_ref(p, out);
  }
  if (accept(p, "(")) {
    RPI_TRY(parse_expr(p, out));
    return expect(p, ")");
  }
  return expected(p, "an expression");
}

/* primary [ "**" unary ]: binds tighter than a minus on its left, not on its right. */
static rp_status parse_power(parser *p, int32_t *out) {
  int32_t kid[2];
  RPI_TRY(parse_primary(p, &kid[0]));
  int32_t at = peek(p, 0)->at;
  if (!accept(p, "**")) {
    *out = kid[0];
    return RP_OK;
  }
  RPI_TRY(parse_unary(p, &kid[1]));
  return add_call(p, RPI_FN_POW, at, kid, 2, out);
}

static rp_status parse_unary(parser *p, int32_t *out) {
  static const struct {
    const char *sign;
    int32_t fn;
  } prefix[] = {{"-", RPI_FN_NEG}, {"+", RPI_FN_PLUS}, {"!", RPI_FN_LNOT}, {"~", RPI_FN_INVERT}};
  int32_t at = peek(p, 0)->at;
  RPI_TRY(enter(p));
  for (int32_t i = 0; i < RPI_COUNT(prefix); i++) {
    if (!accept(p, prefix[i].sign)) continue;
    int32_t kid = 0;
    RPI_TRY(parse_unary(p, &kid));
    p->nest--;
    return add_call(p, prefix[i].fn, at, &kid, 1, out);
  }
  RPI_TRY(parse_power(p, out));
  p->nest--;
  return RP_OK;
}

static rp_status parse_binary(parser *p, int32_t level, int32_t *out) {
  int32_t left = 0;
  RPI_TRY(parse_unary(p, &left));
  for (;;) {
    int32_t op = -1;
    for (int32_t i = 0; i < RPI_COUNT(binary_table) && op < 0; i++) {
      if (at_sign(p, binary_table[i].sign) && binary_table[i].level >= level) op = i;
    }
    if (op < 0) break;
    int32_t kid[2] = {left, 0};
    int32_t at = peek(p, 0)->at;
    p->pos++;
    RPI_TRY(parse_binary(p, binary_table[op].level + 1, &kid[1]));
    RPI_TRY(add_call(p, binary_table[op].fn, at, kid, 2, &left));
  }
  *out = left;
  return RP_OK;
}

static rp_status parse_expr(parser *p, int32_t *out) { return parse_binary(p, 1, out); }

/* ---- statements */

static rp_status parse_let(parser *p) {
  rpi_body *b = p->b;
  const rpi_body_token *t = peek(p, 0);
  rpi_body_let let = {0, 0, -1};
  if (t->kind != RPI_TOK_NAME || reserved(p, t)) return expected(p, "a name after 'let'");
  RPI_TRY(name_of(p, t, &let.name));
  if (find_param(b, let.name) >= 0 || find_let(b, let.name) >= 0) {
    return expected(p, "a new name after 'let'");
  }
  p->pos++;
  RPI_TRY(expect(p, "="));
  RPI_TRY(parse_expr(p, &let.node));
  if (!RPI_BODY_ROOM(b->let, b->cap_let, b->n_let + 1)) {
    return rpi_status_nomem("lets of a body");
  }
  b->let[b->n_let++] = let;
  return RP_OK;
}

static rp_status parse_asg(parser *p, int32_t *asg) {
  for (int32_t i = 0; i < RPI_COUNT(asg_table); i++) {
    if (accept(p, asg_table[i].sign)) {
      *asg = asg_table[i].asg;
      return RP_OK;
    }
  }
  bool min = at_sign(p, "min"), max = at_sign(p, "max");
  if ((min || max) && token_is(p, peek(p, 1), "=")) {
    p->pos += 2;
    *asg = min ? RPI_RED_MIN : RPI_RED_MAX;
    return RP_OK;
  }
  return expected(p, "= += *= min= max= &= |= or ^=");
}

static rp_status parse_assign(parser *p) {
  rpi_body *b = p->b;
  rpi_body_token t = *peek(p, 0);
  rpi_body_stmt s = {.at = t.at};
  int32_t name = 0, sub[RP_MAX_DIM];
  if (t.kind != RPI_TOK_NAME || reserved(p, &t)) return expected(p, "a statement");
  RPI_TRY(name_of(p, &t, &name));
  int32_t param = find_param(b, name);
  if (param < 0 || !b->param[param].store) return expected(p, "the name of a store to write");
  p->pos++;
  if (accept(p, "[")) {
    RPI_TRY(parse_subscripts(p, sub, &s.n_sub));
    if (!RPI_BODY_ROOM(b->kids, b->cap_kids, b->n_kids + s.n_sub)) {
      return rpi_status_nomem("the tree of a body");
    }
    s.sub = b->n_kids;
    memcpy(b->kids + s.sub, sub, (size_t)s.n_sub * sizeof *sub);
    b->n_kids += s.n_sub;
  }
  s.dest = b->param[param].slot;
  RPI_TRY(parse_asg(p, &s.asg));
  for (int32_t i = 0; i < b->n_stmt; i++) {
    if (b->stmt[i].dest == s.dest && (s.asg == RPI_ASG_SET || b->stmt[i].asg != s.asg)) {
      return fail_at(p, t.at, "'%.*s' is written more than once, and not by one operator", t.len,
                     p->text + t.at);
    }
  }
  RPI_TRY(parse_expr(p, &s.rhs));
  if (!RPI_BODY_ROOM(b->stmt, b->cap_stmt, b->n_stmt + 1)) {
    return rpi_status_nomem("statements of a body");
  }
  b->stmt[b->n_stmt++] = s;
  b->param[param].used = true;
  return RP_OK;
}

static rp_status parse_statements(parser *p) {
  for (;;) {
    if (accept(p, "let")) {
      RPI_TRY(parse_let(p));
    } else {
      RPI_TRY(parse_assign(p));
    }
    bool more = accept(p, ";");
    if (peek(p, 0)->kind == RPI_TOK_END) break;
    if (!more) return expected(p, "an operator, ';' or the end");
  }
  if (p->b->n_stmt == 0) return expected(p, "an assignment");
  return RP_OK;
}

/* ---- parameters */

static rp_status add_param(parser *p, rpi_body_param q, int32_t at) {
  rpi_body *b = p->b;
  int32_t *count = q.store ? &b->n_store : &b->n_scalar;
  if (*count == RPI_BODY_MAX_ARGS) {
    return fail_at(p, at, "more than %d %s", RPI_BODY_MAX_ARGS, q.store ? "stores" : "scalars");
  }
  if (!RPI_BODY_ROOM(b->param, b->cap_param, b->n_param + 1)) {
    return rpi_status_nomem("parameters of a body");
  }
  q.slot = (*count)++;
  (q.store ? b->store : b->scalar)[q.slot] = b->n_param;
  b->param[b->n_param++] = q;
  return RP_OK;
}

static rp_status parse_scalar_type(parser *p, rpi_body_param *q) {
  const rpi_body_token *t = peek(p, 0);
  rp_dtype dtype = -1;
  q->store = false;
  if (t->kind == RPI_TOK_NAME) {
    q->weak = token_is(p, t, "float") || token_is(p, t, "int");
    dtype = q->weak ? (token_is(p, t, "float") ? RP_F64 : RP_I64)
                    : rpi_dtype_find(p->text + t->at, (size_t)t->len);
  }
  if (dtype < 0) return expected(p, "a dtype, 'float' or 'int'");
  q->dtype = (uint8_t)dtype;
  p->pos++;
  return RP_OK;
}

static rp_status parse_params(parser *p) {
  do {
    rpi_body_token t = *peek(p, 0);
    rpi_body_param q = {.store = true};
    if (t.kind != RPI_TOK_NAME || reserved(p, &t)) return expected(p, "the name of a parameter");
    RPI_TRY(name_of(p, &t, &q.name));
    if (find_param(p->b, q.name) >= 0) return expected(p, "a new name for the parameter");
    p->pos++;
    if (accept(p, ":")) RPI_TRY(parse_scalar_type(p, &q));
    RPI_TRY(add_param(p, q, t.at));
  } while (accept(p, ","));
  return peek(p, 0)->kind == RPI_TOK_END ? RP_OK : expected(p, "',' or the end");
}

/* ---- the whole */

static rp_status copy_text(const char *what, const char *text, char **out) {
  if (text == NULL) return rpi_status_fail(RP_ERR_ARGUMENT, "the %s is NULL", what);
  if (strnlen(text, RPI_BODY_MAX_TEXT + 1) > RPI_BODY_MAX_TEXT) {
    return rpi_status_fail(RP_ERR_BODY, "the %s is longer than %d bytes", what, RPI_BODY_MAX_TEXT);
  }
  *out = rpi_alloc_string(text);
  return *out != NULL ? RP_OK : rpi_status_nomem("the text of a body");
}

static rp_status copy_names(rpi_body *b) {
  b->store_name = rpi_alloc_zero((size_t)(b->n_store + 1) * sizeof *b->store_name);
  if (b->store_name == NULL) return rpi_status_nomem("names of a body");
  for (int32_t i = 0; i < b->n_store; i++) {
    const rpi_body_name *n = &b->name[b->param[b->store[i]].name];
    char *s = rpi_alloc((size_t)n->len + 1);
    if (s == NULL) return rpi_status_nomem("names of a body");
    memcpy(s, n->text, (size_t)n->len);
    s[n->len] = '\0';
    b->store_name[i] = s;
  }
  return RP_OK;
}

static rp_status check_used(const rpi_body *b) {
  for (int32_t i = 0; i < b->n_param; i++) {
    if (b->param[i].store && !b->param[i].used) {
      const rpi_body_name *n = &b->name[b->param[i].name];
      return rpi_body_lex_fail(RP_ERR_BODY, "parameters", b->params_text,
                               (int32_t)(n->text - b->params_text), "the body does not use '%.*s'",
                               n->len < 40 ? n->len : 40, n->text);
    }
  }
  return RP_OK;
}

static rp_status parse_all(rpi_body *b, const char *params, const char *body) {
  RPI_TRY(copy_text("parameter list", params, &b->params_text));
  RPI_TRY(copy_text("body", body, &b->text));
  parser p = {b, b->params_text, "parameters", 0, 0};
  RPI_TRY(rpi_body_lex_scan(p.what, p.text, &b->tok, &b->n_tok, &b->cap_tok));
  RPI_TRY(parse_params(&p));
  RPI_TRY(copy_names(b));
  b->n_tok = 0;
  p = (parser){b, b->text, "body", 0, 0};
  RPI_TRY(rpi_body_lex_scan(p.what, p.text, &b->tok, &b->n_tok, &b->cap_tok));
  RPI_TRY(parse_statements(&p));
  RPI_TRY(check_used(b));
  return rpi_body_bind(b);
}

rp_status rpi_body_parse(const char *params, const char *body, rpi_body **out) {
  *out = NULL;
  rpi_body *b = rpi_alloc_zero(sizeof *b);
  if (b == NULL) return rpi_status_nomem("a body");
  rp_status status = parse_all(b, params, body);
  if (status != RP_OK) {
    rpi_body_free(b);
    return status;
  }
  rpi_alloc_free(b->tok);
  b->tok = NULL;
  *out = b;
  return RP_OK;
}
