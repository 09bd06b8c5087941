/* SPDX-License-Identifier: Apache-2.0
 * jit/body_parse.c -- parameter lists and bodies: tokens to a tree.
 *
 * Lives here: the grammar of SEMANTICS 4 but for expressions (body_expr.c): statements, parameters.
 * Not here:   which index is which axis (body_bind.c), types (body_type.c). */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/rounding.h"
#include "core/model/dtype.h"
#include "jit/body_parse_impl.h"

static const struct {
  const char *sign;
  int32_t asg;
} asg_table[] = {{"=", RPI_ASG_SET},  {"+=", RPI_RED_SUM}, {"*=", RPI_RED_PROD},
                 {"&=", RPI_RED_AND}, {"|=", RPI_RED_OR},  {"^=", RPI_RED_XOR}};

const char *rpi_body_parse_name(const rpi_body *b, int32_t name, char buf[64]) {
  const rpi_body_name *n = &b->name[name];
  size_t len = n->len < 60 ? (size_t)n->len : 60;
  memcpy(buf, n->text, len);
  buf[len] = '\0';
  return buf;
}

/* ---- statements */

static rp_status parse_let(rpi_body_parser *p) {
  rpi_body *b = p->b;
  const rpi_body_token *t = rpi_body_peek(p, 0);
  rpi_body_let let = {0, 0, -1};
  if (t->kind != RPI_TOK_NAME || rpi_body_reserved(p, t))
    return rpi_body_expected(p, "a name after 'let'");
  RPI_TRY(rpi_body_name_of(p, t, &let.name));
  if (rpi_body_find_param(b, let.name) >= 0 || rpi_body_find_let(b, let.name) >= 0) {
    return rpi_body_expected(p, "a new name after 'let'");
  }
  p->pos++;
  RPI_TRY(rpi_body_expect(p, "="));
  RPI_TRY(rpi_body_expr(p, &let.node));
  if (!RPI_BODY_ROOM(b->let, b->cap_let, b->n_let + 1)) {
    return rpi_status_nomem("lets of a body");
  }
  b->let[b->n_let++] = let;
  return RP_OK;
}

static rp_status parse_asg(rpi_body_parser *p, int32_t *asg) {
  for (int32_t i = 0; i < RPI_COUNT(asg_table); i++) {
    if (rpi_body_accept(p, asg_table[i].sign)) {
      *asg = asg_table[i].asg;
      return RP_OK;
    }
  }
  bool min = rpi_body_at_sign(p, "min"), max = rpi_body_at_sign(p, "max");
  if ((min || max) && rpi_body_token_is(p, rpi_body_peek(p, 1), "=")) {
    p->pos += 2;
    *asg = min ? RPI_RED_MIN : RPI_RED_MAX;
    return RP_OK;
  }
  return rpi_body_expected(p, "= += *= min= max= &= |= or ^=");
}

static rp_status parse_assign(rpi_body_parser *p) {
  rpi_body *b = p->b;
  rpi_body_token t = *rpi_body_peek(p, 0);
  rpi_body_stmt s = {.at = t.at};
  int32_t name = 0, sub[RP_MAX_DIM];
  if (t.kind != RPI_TOK_NAME || rpi_body_reserved(p, &t))
    return rpi_body_expected(p, "a statement");
  RPI_TRY(rpi_body_name_of(p, &t, &name));
  int32_t param = rpi_body_find_param(b, name);
  if (param < 0 || !b->param[param].store)
    return rpi_body_expected(p, "the name of a store to write");
  p->pos++;
  if (rpi_body_accept(p, "[")) {
    RPI_TRY(rpi_body_subscripts(p, sub, &s.n_sub));
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
  RPI_TRY(rpi_body_expr(p, &s.rhs));
  if (!RPI_BODY_ROOM(b->stmt, b->cap_stmt, b->n_stmt + 1)) {
    return rpi_status_nomem("statements of a body");
  }
  b->stmt[b->n_stmt++] = s;
  b->param[param].used = true;
  return RP_OK;
}

static rp_status parse_statements(rpi_body_parser *p) {
  for (;;) {
    if (rpi_body_accept(p, "let")) {
      RPI_TRY(parse_let(p));
    } else {
      RPI_TRY(parse_assign(p));
    }
    bool more = rpi_body_accept(p, ";");
    if (rpi_body_peek(p, 0)->kind == RPI_TOK_END) break;
    if (!more) return rpi_body_expected(p, "an operator, ';' or the end");
  }
  if (p->b->n_stmt == 0) return rpi_body_expected(p, "an assignment");
  return RP_OK;
}

/* ---- parameters */

static rp_status add_param(rpi_body_parser *p, rpi_body_param q, int32_t at) {
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

static rp_status parse_scalar_type(rpi_body_parser *p, rpi_body_param *q) {
  const rpi_body_token *t = rpi_body_peek(p, 0);
  rp_dtype dtype = -1;
  q->store = false;
  if (t->kind == RPI_TOK_NAME) {
    q->weak = rpi_body_token_is(p, t, "float") || rpi_body_token_is(p, t, "int");
    dtype = q->weak ? (rpi_body_token_is(p, t, "float") ? RP_F64 : RP_I64)
                    : rpi_dtype_find(p->text + t->at, (size_t)t->len);
  }
  if (dtype < 0) return rpi_body_expected(p, "a dtype, 'float' or 'int'");
  q->dtype = (uint8_t)dtype;
  p->pos++;
  return RP_OK;
}

static rp_status parse_params(rpi_body_parser *p) {
  do {
    rpi_body_token t = *rpi_body_peek(p, 0);
    rpi_body_param q = {.store = true};
    if (t.kind != RPI_TOK_NAME || rpi_body_reserved(p, &t))
      return rpi_body_expected(p, "the name of a parameter");
    RPI_TRY(rpi_body_name_of(p, &t, &q.name));
    if (rpi_body_find_param(p->b, q.name) >= 0)
      return rpi_body_expected(p, "a new name for the parameter");
    p->pos++;
    if (rpi_body_accept(p, ":")) RPI_TRY(parse_scalar_type(p, &q));
    RPI_TRY(add_param(p, q, t.at));
  } while (rpi_body_accept(p, ","));
  return rpi_body_peek(p, 0)->kind == RPI_TOK_END ? RP_OK : rpi_body_expected(p, "',' or the end");
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

/* Stores that the text does not know. Their names are no names of the language, so they mean nothing there. */
static rp_status add_hidden(rpi_body_parser *p) {
  static const char *const names[] = {"(first)", "(end)", "(point)"};
  rpi_body *b = p->b;
  for (int32_t i = 0; i < b->n_hidden; i++) {
    const char *name = b->form == RPI_BODY_KEYS ? "(key)" : names[i < 2 ? i : 2];
    if (!RPI_BODY_ROOM(b->name, b->cap_name, b->n_name + 1)) {
      return rpi_status_nomem("names of a body");
    }
    b->name[b->n_name] = (rpi_body_name){name, (int32_t)strlen(name)};
    RPI_TRY(add_param(p, (rpi_body_param){.name = b->n_name++, .store = true, .used = true}, 0));
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
  rpi_body_parser p = {b, b->params_text, "parameters", 0, 0};
  RPI_TRY(rpi_body_lex_scan(p.what, p.text, &b->tok, &b->n_tok, &b->cap_tok));
  RPI_TRY(parse_params(&p));
  RPI_TRY(add_hidden(&p));
  RPI_TRY(copy_names(b));
  b->n_tok = 0;
  p = (rpi_body_parser){b, b->text, "body", 0, 0};
  RPI_TRY(rpi_body_lex_scan(p.what, p.text, &b->tok, &b->n_tok, &b->cap_tok));
  RPI_TRY(parse_statements(&p));
  RPI_TRY(check_used(b));
  return rpi_body_bind(b);
}

static rp_status parse_form(const char *params, const char *body, rpi_body_form form,
                            int32_t n_hidden, rpi_body **out) {
  *out = NULL;
  rpi_body *b = rpi_alloc_zero(sizeof *b);
  if (b == NULL) return rpi_status_nomem("a body");
  b->form = (uint8_t)form;
  b->n_hidden = n_hidden;
  fenv_t caller;
  rpi_rounding_enter(&caller); /* literals */
  rp_status status = parse_all(b, params, body);
  rpi_rounding_leave(&caller);
  if (status != RP_OK) {
    rpi_body_free(b);
    return status;
  }
  rpi_alloc_free(b->tok);
  b->tok = NULL;
  *out = b;
  return RP_OK;
}

rp_status rpi_body_parse(const char *params, const char *body, rpi_body **out) {
  return parse_form(params, body, RPI_BODY_WRITTEN, 0, out);
}

rp_status rpi_body_derive(const rpi_body *b, rpi_body_form form, rpi_body **out) {
  const int32_t n = form == RPI_BODY_KEYS ? 1 : 2 + b->stmt[0].n_axis;
  return parse_form(b->params_text, b->text, form, n, out);
}
