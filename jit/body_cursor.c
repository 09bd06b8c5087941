/* SPDX-License-Identifier: Apache-2.0
 * jit/body_cursor.c -- where the parser of bodies stands: tokens ahead, what was expected, names.
 *
 * Not here:   the grammar (body_expr.c, body_parse.c). */
#include <string.h>

#include "jit/body_parse_impl.h"

const rpi_body_token *rpi_body_peek(const rpi_body_parser *p, int32_t ahead) {
  int32_t i = p->pos + ahead;
  return &p->b->tok[i < p->b->n_tok ? i : p->b->n_tok - 1];
}

bool rpi_body_token_is(const rpi_body_parser *p, const rpi_body_token *t, const char *text) {
  return (t->kind == RPI_TOK_SIGN || t->kind == RPI_TOK_NAME) && strlen(text) == (size_t)t->len &&
         memcmp(p->text + t->at, text, (size_t)t->len) == 0;
}

bool rpi_body_at_sign(const rpi_body_parser *p, const char *text) {
  return rpi_body_token_is(p, rpi_body_peek(p, 0), text);
}

bool rpi_body_accept(rpi_body_parser *p, const char *text) {
  if (!rpi_body_at_sign(p, text)) return false;
  p->pos++;
  return true;
}

rp_status rpi_body_expected(rpi_body_parser *p, const char *wanted) {
  const rpi_body_token *t = rpi_body_peek(p, 0);
  if (t->kind == RPI_TOK_END) {
    return fail_at(p, t->at, "expected %s, found the end of the text", wanted);
  }
  return fail_at(p, t->at, "expected %s, found '%.*s'", wanted, t->len < 40 ? t->len : 40,
                 p->text + t->at);
}

rp_status rpi_body_expect(rpi_body_parser *p, const char *sign) {
  if (rpi_body_accept(p, sign)) return RP_OK;
  char quoted[8] = "'";
  memcpy(quoted + 1, sign, strlen(sign));
  quoted[strlen(sign) + 1] = '\'';
  quoted[strlen(sign) + 2] = '\0';
  return rpi_body_expected(p, quoted);
}

/* ---- names */

rp_status rpi_body_name_of(rpi_body_parser *p, const rpi_body_token *t, int32_t *out) {
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

int32_t rpi_body_find_param(const rpi_body *b, int32_t name) {
  for (int32_t i = 0; i < b->n_param; i++) {
    if (b->param[i].name == name) return i;
  }
  return -1;
}

int32_t rpi_body_find_let(const rpi_body *b, int32_t name) {
  for (int32_t i = 0; i < b->n_let; i++) {
    if (b->let[i].name == name) return i;
  }
  return -1;
}

bool rpi_body_reserved(const rpi_body_parser *p, const rpi_body_token *t) {
  return rpi_body_token_is(p, t, "let") || rpi_body_token_is(p, t, "in");
}
