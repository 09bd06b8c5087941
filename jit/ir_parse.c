/* SPDX-License-Identifier: Apache-2.0
 * jit/ir_parse.c -- text to kernel IR: reads what ir_print.c writes (its head comment has the form).
 *
 * Lives here: the reader. It refuses what it cannot represent and leaves the meaning to rpi_ir_check.
 * Besides the printed form it takes blank lines, lines that start with ";", and any spacing.
 * Invariant:  on failure *out is empty and the sentence names the line. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "jit/ir.h"
#include "jit/ir_value.h"

enum { MAX_SRC = UINT8_MAX };

typedef struct parser {
  const char *at;
  int32_t line;
  int32_t section; /* -1 before the first, then 0, 1, 2 */
  rpi_ir *ir;
} parser;

#define BAD(p, fmt, ...) \
  rpi_status_fail(RP_ERR_ARGUMENT, "kernel text, line %d: " fmt, (int)(p)->line, __VA_ARGS__)

/* ---- words --------------------------------------------------------------------------------- */

static void spaces(parser *p) {
  while (*p->at == ' ' || *p->at == '\t' || *p->at == '\r') p->at++;
}

static bool accept(parser *p, char c) {
  spaces(p);
  if (*p->at != c) return false;
  p->at++;
  return true;
}

static rp_status expect(parser *p, char c) {
  return accept(p, c) ? RP_OK : BAD(p, "'%c' expected at \"%.20s\"", c, p->at);
}

static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* A word of letters and digits that starts with a letter; its length, 0 if there is none. */
static size_t word(parser *p, const char **text) {
  spaces(p);
  *text = p->at;
  if (is_letter(*p->at)) {
    while (is_letter(*p->at) || is_digit(*p->at)) p->at++;
  }
  return (size_t)(p->at - *text);
}

static bool keyword(parser *p, const char *want) {
  const char *before = p->at, *text;
  size_t n = word(p, &text);
  if (n == strlen(want) && memcmp(text, want, n) == 0) return true;
  p->at = before;
  return false;
}

static rp_status number(parser *p, uint64_t max, uint64_t *out) {
  uint64_t v = 0;
  spaces(p);
  if (!is_digit(*p->at)) return BAD(p, "a number expected at \"%.20s\"", p->at);
  for (; is_digit(*p->at); p->at++) {
    uint64_t digit = (uint64_t)(*p->at - '0');
    if (v > (max - digit) / 10 || digit > max) {
      return BAD(p, "a number beyond %llu", (unsigned long long)max);
    }
    v = 10 * v + digit;
  }
  *out = v;
  return RP_OK;
}

/* One of n names; its number. */
static rp_status choice(parser *p, const char *const *name, int32_t n, const char *what,
                        uint64_t *out) {
  for (int32_t i = 0; i < n; i++) {
    if (keyword(p, name[i])) {
      *out = (uint64_t)i;
      return RP_OK;
    }
  }
  return BAD(p, "%s expected at \"%.20s\"", what, p->at);
}

static rp_status redop(parser *p, uint64_t *out) {
  const char *name[RPI_N_RED];
  for (int32_t i = 0; i < RPI_N_RED; i++) name[i] = rpi_ir_redop_name((rpi_redop)i);
  return choice(p, name, RPI_N_RED, "a reduction operator", out);
}

static rp_status dtype(parser *p, rp_dtype *out) {
  const char *text;
  size_t n = word(p, &text);
  *out = rpi_dtype_find(text, n);
  return *out >= 0 ? RP_OK : BAD(p, "a dtype expected at \"%.20s\"", text);
}

static rp_status end_of_line(parser *p) {
  spaces(p);
  return *p->at == '\n' || *p->at == '\0' ? RP_OK : BAD(p, "\"%.20s\" is too much", p->at);
}

/* "@3:" and the like: the number must be the next one. */
static rp_status numbered(parser *p, char mark, int32_t next) {
  uint64_t n;
  RPI_TRY(expect(p, mark));
  RPI_TRY(number(p, UINT32_MAX, &n));
  if (n != (uint64_t)next) return BAD(p, "%c%d expected", mark, (int)next);
  return expect(p, ':');
}

/* ---- declarations -------------------------------------------------------------------------- */

static rp_status parse_operand(parser *p) {
  static const char *const sclass[] = {"zero", "unit", "any"};
  rpi_ir_operand o = {0};
  rp_dtype t;
  uint64_t v = 0;
  if (p->ir->n_operand >= RPI_IR_MAX_OPERAND) return BAD(p, "%s", "too many operands");
  RPI_TRY(numbered(p, '@', p->ir->n_operand));
  RPI_TRY(dtype(p, &t));
  o.dtype = (uint8_t)t;
  if (keyword(p, "table"))
    o.kind = RPI_OPERAND_TABLE;
  else if (!keyword(p, "affine"))
    return BAD(p, "%s expected", "\"affine\" or \"table\"");
  RPI_TRY(expect(p, '['));
  while (!accept(p, ']')) {
    if (o.rank == RP_MAX_DIM) return BAD(p, "more than %d axes", RP_MAX_DIM);
    RPI_TRY(choice(p, sclass, RPI_COUNT(sclass), "\"zero\", \"unit\" or \"any\"", &v));
    o.sclass[o.rank++] = (uint8_t)v;
  }
  if (keyword(p, "read")) o.access |= RPI_ACCESS_READ;
  if (keyword(p, "write")) o.access |= RPI_ACCESS_WRITE;
  if (keyword(p, "reduce")) o.access |= RPI_ACCESS_REDUCE;
  if (keyword(p, "checked")) o.checked = 1;
  rpi_ir_operand_add(p->ir, &o);
  return RP_OK;
}

static rp_status parse_scalar(parser *p) {
  rp_dtype t;
  RPI_TRY(numbered(p, '$', p->ir->n_scalar));
  RPI_TRY(dtype(p, &t));
  rpi_ir_scalar_add(p->ir, t);
  return RP_OK;
}

static rp_status parse_red(parser *p) {
  rpi_ir_red r = {0};
  uint64_t v = 0;
  if (p->ir->n_red >= RPI_IR_MAX_OPERAND) return BAD(p, "%s", "too many reductions");
  RPI_TRY(numbered(p, '#', p->ir->n_red));
  RPI_TRY(redop(p, &v));
  r.op = (uint8_t)v;
  if (!keyword(p, "into")) return BAD(p, "%s expected", "\"into\"");
  RPI_TRY(expect(p, '@'));
  RPI_TRY(number(p, UINT16_MAX, &v));
  r.operand = (uint16_t)v;
  if (!keyword(p, "over")) return BAD(p, "%s expected", "\"over\"");
  for (spaces(p); is_digit(*p->at); spaces(p)) {
    RPI_TRY(number(p, RP_MAX_DIM - 1, &v));
    r.mask |= (uint8_t)(1u << v);
  }
  r.join = keyword(p, "join");
  rpi_ir_red_add(p->ir, &r);
  return RP_OK;
}

static rp_status parse_extents(parser *p) {
  uint64_t v = 0;
  RPI_TRY(number(p, INT32_MAX, &v));
  p->ir->n_extent = (int32_t)v;
  return RP_OK;
}

/* ---- instructions -------------------------------------------------------------------------- */

static rp_status parse_float(parser *p, rp_dtype t, uint64_t *out) {
  char *end;
  spaces(p);
  if (strncmp(p->at, "nan:0x", 6) == 0) {
    *out = strtoull(p->at + 4, &end, 16);
    bool fits = t == RP_F64 || *out <= UINT32_MAX;
    double v = t == RP_F32 ? (double)rpi_ir_value_f32(*out) : rpi_ir_value_f64(*out);
    if (!fits || v == v) return BAD(p, "\"%.20s\" is no NaN", p->at);
  } else if (keyword(p, "nan")) {
    *out = rpi_ir_value_cast(RP_F64, t, UINT64_C(0x7ff8000000000000));
    return RP_OK;
  } else if (is_letter(*p->at) && strncmp(p->at, "inf", 3) != 0) {
    return BAD(p, "a float expected at \"%.20s\"", p->at);
  } else if (t == RP_F32) {
    *out = rpi_ir_value_of_f32(strtof(p->at, &end));
  } else {
    *out = rpi_ir_value_of_f64(strtod(p->at, &end));
  }
  /* The C library skips line ends too. */
  if (end == p->at || memchr(p->at, '\n', (size_t)(end - p->at))) {
    return BAD(p, "a float expected at \"%.20s\"", p->at);
  }
  p->at = end;
  return RP_OK;
}

static rp_status parse_const(parser *p, rp_dtype t, uint64_t *out) {
  static const char *const truth[] = {"false", "true"};
  switch (rpi_dtype_kind(t)) {
    case RPI_KIND_B: return choice(p, truth, 2, "\"true\" or \"false\"", out);
    case RPI_KIND_F: return parse_float(p, t, out);
    case RPI_KIND_U: return number(p, rpi_ir_value_ones(t), out);
    default: break;
  }
  uint64_t top = rpi_ir_value_ones(t) >> 1;
  if (!accept(p, '-')) return number(p, top, out);
  RPI_TRY(number(p, top + 1, out));
  *out = rpi_ir_value_wrap(t, 0 - *out);
  return RP_OK;
}

static rp_status marked(parser *p, char mark, uint64_t *out) {
  RPI_TRY(expect(p, mark));
  return number(p, UINT32_MAX, out);
}

/* What stands between the operation and its sources; *listed: there is something. */
static rp_status parse_imm(parser *p, rpi_irop op, rp_dtype t, uint64_t *imm, bool *listed) {
  static const char *const rule[] = {"segment", "axis", "rows"};
  *listed = true;
  *imm = 0;
  switch (op) {
    case RPI_IR_CONST: return parse_const(p, t, imm);
    case RPI_IR_SCALAR: return marked(p, '$', imm);
    case RPI_IR_INDEX:
    case RPI_IR_EXTENT: return number(p, UINT32_MAX, imm);
    case RPI_IR_LOAD:
    case RPI_IR_GATHER:
    case RPI_IR_STORE: return marked(p, '@', imm);
    case RPI_IR_REDUCE: return marked(p, '#', imm);
    case RPI_IR_LOOP: return choice(p, rule, RPI_COUNT(rule), "a rule of order", imm);
    case RPI_IR_ENDLOOP: return redop(p, imm);
    default: *listed = false; return RP_OK;
  }
}

static rp_status parse_sources(parser *p, bool listed, rpi_irval *src, int32_t *n) {
  uint64_t v = 0;
  *n = 0;
  for (spaces(p); listed ? accept(p, ',') : *p->at == '%'; listed = true) {
    if (*n == MAX_SRC) return BAD(p, "more than %d sources", MAX_SRC);
    RPI_TRY(expect(p, '%'));
    RPI_TRY(number(p, UINT16_MAX, &v));
    src[(*n)++] = (rpi_irval)v;
  }
  return RP_OK;
}

static rp_status parse_ins(parser *p) {
  const char *text;
  uint64_t v = 0, imm = 0, origin = 0;
  rpi_irval src[MAX_SRC];
  int32_t n_src;
  bool has_value = accept(p, '%'), listed;
  rp_dtype t;
  if (has_value) {
    RPI_TRY(number(p, UINT32_MAX, &v));
    if (v != (uint64_t)p->ir->n_ins) return BAD(p, "%%%d expected", (int)p->ir->n_ins);
    RPI_TRY(expect(p, '='));
  }
  size_t n = word(p, &text);
  rpi_irop op = rpi_ir_op_find(text, n);
  if (op == RPI_IR_N_OPS) return BAD(p, "an operation expected at \"%.20s\"", text);
  if (has_value == (rpi_ir_op_result(op) == 'N')) {
    return BAD(p, "%s makes %s value", rpi_ir_op_name(op), has_value ? "no" : "a");
  }
  if (p->section < 0) return BAD(p, "%s before any section", rpi_ir_op_name(op));
  if (p->ir->n_ins >= RPI_IR_MAX_INS) return BAD(p, "more than %d instructions", RPI_IR_MAX_INS);
  RPI_TRY(expect(p, '.'));
  RPI_TRY(dtype(p, &t));
  RPI_TRY(parse_imm(p, op, t, &imm, &listed));
  RPI_TRY(parse_sources(p, listed, src, &n_src));
  if (keyword(p, "from")) RPI_TRY(number(p, UINT8_MAX, &origin));
  rpi_irval at = rpi_ir_emit(p->ir, op, t, imm, n_src, src);
  if (!p->ir->failed) p->ir->ins[at].origin = (uint8_t)origin;
  return RP_OK;
}

/* ---- lines --------------------------------------------------------------------------------- */

static rp_status enter(parser *p, int32_t section) {
  if (section <= p->section) return BAD(p, "%s", "a section out of order");
  if (p->section < 1 && section >= 1) p->ir->n_pro = p->ir->n_ins;
  if (p->section < 2 && section >= 2) p->ir->n_body = p->ir->n_ins;
  p->section = section;
  return section == 3 ? RP_OK : expect(p, ':');
}

static rp_status parse_line(parser *p) {
  static const char *const section[] = {"prologue", "body", "epilogue"};
  spaces(p);
  if (*p->at == ';') {
    while (*p->at != '\n' && *p->at != '\0') p->at++;
    return RP_OK;
  }
  if (*p->at == '\n' || *p->at == '\0') return RP_OK;
  for (int32_t s = 0; s < 3; s++) {
    if (keyword(p, section[s])) return enter(p, s);
  }
  if (p->section < 0) {
    if (keyword(p, "operand")) return parse_operand(p);
    if (keyword(p, "scalar")) return parse_scalar(p);
    if (keyword(p, "extents")) return parse_extents(p);
    if (keyword(p, "reduction")) return parse_red(p);
  }
  return parse_ins(p);
}

static rp_status parse_header(parser *p) {
  uint64_t rank = 0;
  if (!keyword(p, "kernel") || !keyword(p, "rank")) {
    return BAD(p, "%s expected", "\"kernel rank\"");
  }
  RPI_TRY(number(p, RP_MAX_DIM, &rank));
  p->ir->rank = (int32_t)rank;
  return end_of_line(p);
}

static rp_status parse_text(parser *p) {
  RPI_TRY(parse_header(p));
  while (*p->at != '\0') {
    p->at++; /* the end of the line before */
    p->line++;
    RPI_TRY(parse_line(p));
    RPI_TRY(end_of_line(p));
    if (p->ir->failed) return rpi_status_nomem("a kernel's IR");
  }
  return enter(p, 3);
}

rp_status rpi_ir_parse(const char *text, rpi_ir *out) {
  parser p = {.at = text, .line = 1, .section = -1, .ir = out};
  rpi_ir_init(out, 0);
  locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (!c_locale) return rpi_status_nomem("the C locale");
  locale_t before = uselocale(c_locale); /* strtod reads the decimal point of the locale */
  rp_status status = parse_text(&p);
  uselocale(before);
  freelocale(c_locale);
  if (status != RP_OK) rpi_ir_deinit(out);
  return status;
}
