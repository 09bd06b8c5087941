/* SPDX-License-Identifier: Apache-2.0
 * jit/body_parse_impl.h -- what the files of the body parser share: the text and a place in it.
 * Nobody else includes it. */
#ifndef RPI_BODY_PARSE_IMPL_H
#define RPI_BODY_PARSE_IMPL_H

#include "jit/body_tree.h"

typedef struct rpi_body_parser {
  rpi_body *b;
  const char *text;
  const char *what; /* heads the errors */
  int32_t pos;      /* the token at hand */
  int32_t nest;
} rpi_body_parser;

#define fail_at(p, at, ...) rpi_body_lex_fail(RP_ERR_BODY, (p)->what, (p)->text, at, __VA_ARGS__)

/* ---- body_cursor.c */
const rpi_body_token *rpi_body_peek(const rpi_body_parser *p, int32_t ahead);
bool rpi_body_token_is(const rpi_body_parser *p, const rpi_body_token *t, const char *text);
bool rpi_body_at_sign(const rpi_body_parser *p, const char *text);
/* Goes past the token if it is that text. */
bool rpi_body_accept(rpi_body_parser *p, const char *text);
/* Fails: "expected <wanted>, found <the token at hand>". */
rp_status rpi_body_expected(rpi_body_parser *p, const char *wanted);
/* Goes past the sign, of at most 5 bytes, or fails. */
rp_status rpi_body_expect(rpi_body_parser *p, const char *sign);
/* The number of a name, a new one if the body has not used it so far. */
rp_status rpi_body_name_of(rpi_body_parser *p, const rpi_body_token *t, int32_t *out);
/* The parameter or let of that name; -1. */
int32_t rpi_body_find_param(const rpi_body *b, int32_t name);
int32_t rpi_body_find_let(const rpi_body *b, int32_t name);
bool rpi_body_reserved(const rpi_body_parser *p, const rpi_body_token *t);

/* ---- body_expr.c */
rp_status rpi_body_expr(rpi_body_parser *p, int32_t *out);
/* After "[": 1 to RP_MAX_DIM subscripts and "]". */
rp_status rpi_body_subscripts(rpi_body_parser *p, int32_t *sub, int32_t *n);

#endif
