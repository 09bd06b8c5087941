/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_body_parse.c -- the grammar of op bodies, its errors word by word, its limits,
 * privileges. Values are checked by running the IR point by point (tests/support/body_eval.h). */
#include <stdio.h>

#include "jit/body_tree.h"
#include "tests/support/body_eval.h"

static void rejects(const char *params, const char *body, const char *message) {
  rpi_body *b = (rpi_body *)(void *)&b;
  assert_int_equal(rpi_body_parse(params, body, &b), RP_ERR_BODY);
  assert_null(b);
  assert_string_equal(rpi_status_message(), message);
}

static rpi_body *accepts(const char *params, const char *body) {
  rpi_body *b = NULL;
  if (rpi_body_parse(params, body, &b) != RP_OK) fail_msg("%s", rpi_status_message());
  return b;
}

/* The integer value of an expression of x = 7 and w = -3. */
static int64_t int_value(const char *expr) {
  char body[256];
  static cell cells[3][EVAL_CELLS];
  cell *at[3] = {cells[0], cells[1], cells[2]};
  rpi_body_arg args[3];
  memset(args, 0, sizeof args);
  for (int32_t i = 0; i < 3; i++) args[i].dtype = RP_I64;
  cells[1][0].i = 7;
  cells[2][0].i = -3;
  snprintf(body, sizeof body, "y = i64(%s) + 0*(x + w)", expr);
  rpi_body *b = accepts("y, x, w", body);
  eval_body(b, args, NULL, at);
  rpi_body_free(b);
  return cells[0][0].i;
}

static void precedence(void **state) {
  (void)state;
  const int64_t x = 7, w = -3;
  assert_int_equal(int_value("x + w*2"), x + w * 2);
  assert_int_equal(int_value("(x + w)*2"), (x + w) * 2);
  assert_int_equal(int_value("x - w - 1"), x - w - 1);
  assert_int_equal(int_value("x | 8 ^ 3 & 6"), x | (8 ^ (3 & 6)));
  assert_int_equal(int_value("x << 1 + 1"), x << 2);
  assert_int_equal(int_value("x > w == 1"), (x > w) == 1);
  assert_int_equal(int_value("x < w || x > 5 && w < 0"), 1);
  assert_int_equal(int_value("x & 3 == 3"), x & (3 == 3));
  assert_int_equal(int_value("-x**2"), -49);
  assert_int_equal(int_value("2**3**2"), 512);
  assert_int_equal(int_value("x*-w"), 21);
  assert_int_equal(int_value("-x//2"), -4);
  assert_int_equal(int_value("w % x"), 4);
  assert_int_equal(int_value("x // 2 * 2"), 6);
  assert_int_equal(int_value("~x + !w"), ~x);
  assert_int_equal(int_value("0x1F + 1"), 32);
  assert_int_equal(int_value("min(x, w)*2 + max(x, -w)"), -6 + 7);
  assert_int_equal(int_value("where(x >= 7, 1, 2) + where(x <= 6, 10, 20)"), 21);
  assert_int_equal(int_value("sum(k in 0..4) k + 1"), 10); /* a reduction takes all to its right */
  assert_int_equal(int_value("(sum(k in 0..4) k) + 1"), 7);
  assert_int_equal(int_value("max(k in 0..4) -k*k + 3"), 3);
  assert_int_equal(int_value("x # a comment\n + 1"), 8);
  assert_int_equal(int_value("clip(x, 0, 5) + square(w)"), 14);
}

static void errors_of_bodies(void **state) {
  (void)state;
  rejects("y, x", "y = x + * 2",
          "body, line 1, column 9: expected an expression, found '*'\n"
          "  y = x + * 2\n"
          "          ^");
  rejects("y, x", "y = x\n  + (x",
          "body, line 2, column 7: expected ')', found the end of the text\n"
          "    + (x\n"
          "        ^");
  rejects("y, x", "y = x x",
          "body, line 1, column 7: expected an operator, ';' or the end, found 'x'\n"
          "  y = x x\n"
          "        ^");
  rejects("y, x", "y -= x",
          "body, line 1, column 3: expected = += *= min= max= &= |= or ^=, found '-'\n"
          "  y -= x\n"
          "    ^");
  rejects("y, x", "y = x + z",
          "body, line 1, column 9: expected a parameter or a let, found 'z'\n"
          "  y = x + z\n"
          "          ^");
  rejects("y, x", "y[i] = x[k]",
          "body, line 1, column 10: expected a parameter, a let or an index of the destination, "
          "found 'k' (an index to reduce over is named as in sum(k) ...)\n"
          "  y[i] = x[k]\n"
          "           ^");
  rejects("y, x", "y = foo(x)",
          "body, line 1, column 5: expected a function, found 'foo'\n"
          "  y = foo(x)\n"
          "      ^");
  rejects("y, x", "y = uniform(x, 1)",
          "body, line 1, column 5: random functions are not supported yet\n"
          "  y = uniform(x, 1)\n"
          "      ^");
  rejects(
      "h, b, w", "h[b[i]] = w[i]",
      "body, line 1, column 3: with '=' the subscripts on the left must be different indices, each "
      "alone (a scatter needs an operator, as in +=)\n"
      "  h[b[i]] = w[i]\n"
      "    ^");
  rejects(
      "h, b, w", "h[b[i]] += w[i]; w[i] += 1",
      "body, line 1, column 1: a scatter is the only assignment of its body: make it a body of its "
      "own\n"
      "  h[b[i]] += w[i]; w[i] += 1\n"
      "  ^");
  rejects("h, w", "h[i//2] += 1 + extent(w, 0)",
          "body, line 1, column 14: index 'i' stands alone in no subscript, so it needs a range: "
          "sum(i in a..b) ...\n"
          "  h[i//2] += 1 + extent(w, 0)\n"
          "               ^");
  rejects("y, x", "y = 3x", "body, line 1, column 5: malformed number\n  y = 3x\n      ^");
  rejects("y, x", "y = x $ 2",
          "body, line 1, column 7: unexpected character '$'\n"
          "  y = x $ 2\n        ^");
  rejects("y, x", "y = atan2(x)",
          "body, line 1, column 5: atan2 takes 2 arguments, found 1\n"
          "  y = atan2(x)\n      ^");
  rejects("y, x", "y = x; y = 2*x",
          "body, line 1, column 8: 'y' is written more than once, and not by one operator\n"
          "  y = x; y = 2*x\n         ^");
  rejects("y, x", "let x = 2; y = x",
          "body, line 1, column 5: expected a new name after 'let', found 'x'\n"
          "  let x = 2; y = x\n      ^");
  rejects("y, x", "let t = x",
          "body, line 1, column 10: expected an assignment, found the end of the text\n"
          "  let t = x\n           ^");
  rejects(
      "y, x", "y[i] = sum(k) x[i]",
      "body, line 1, column 12: index 'k' stands alone in no subscript, so it needs a range: k in "
      "a..b\n  y[i] = sum(k) x[i]\n             ^");
  rejects("y, x", "y[i] = 1 + sum(i) x[i]",
          "body, line 1, column 16: expected a name of its own for the index, found 'i'\n"
          "  y[i] = 1 + sum(i) x[i]\n                 ^");
  rejects("y, x", "y[i] = argmax(j, k) x[j,k]",
          "body, line 1, column 18: argmin and argmax take one index only\n"
          "  y[i] = argmax(j, k) x[j,k]\n                   ^");
  rejects(
      "y, z, x", "y[i] = x[i]; z[i,j] = x[j]",
      "body, line 1, column 14: this statement ranges over 2 axes, the first one over 1: one body "
      "has one space\n  y[i] = x[i]; z[i,j] = x[j]\n               ^");
  rejects("y, x", "y[i] = x[i] + x[i,i]",
          "body, line 1, column 15: 'x' has 2 subscripts here and 1 elsewhere\n"
          "  y[i] = x[i] + x[i,i]\n                ^");
  rejects("y, x", "y[i] = 18446744073709551616 + x[i]",
          "body, line 1, column 8: the number does not fit 64 bits\n"
          "  y[i] = 18446744073709551616 + x[i]\n         ^");
  rejects("y, a:f64, x", "y[i] = a[i] + x[i]",
          "body, line 1, column 9: 'a' is no store, so it takes no subscripts\n"
          "  y[i] = a[i] + x[i]\n          ^");
  rejects("y, x", "",
          "body, line 1, column 1: expected a statement, found the end of the text\n  \n  ^");
}

static void errors_of_params(void **state) {
  (void)state;
  rejects(
      "y, x, ", "y = x",
      "parameters, line 1, column 7: expected the name of a parameter, found the end of the text\n"
      "  y, x, \n        ^");
  rejects("y, x:f65", "y = x",
          "parameters, line 1, column 6: expected a dtype, 'float' or 'int', found 'f65'\n"
          "  y, x:f65\n       ^");
  rejects("y, y", "y = 1",
          "parameters, line 1, column 4: expected a new name for the parameter, found "
          "'y'\n  y, y\n     ^");
  rejects("y, x", "y = 1",
          "parameters, line 1, column 4: the body does not use 'x'\n  y, x\n     ^");
  rejects("y, let", "y = 1",
          "parameters, line 1, column 4: expected the name of a parameter, found "
          "'let'\n  y, let\n     ^");
}

/* A long line is shown as a window around the place. */
static void long_lines(void **state) {
  (void)state;
  char body[400] = "y = x";
  for (int32_t i = 0; i < 40; i++) strcat(body, " + 100");
  strcat(body, " ? 1");
  rpi_body *b = NULL;
  assert_int_equal(rpi_body_parse("y, x", body, &b), RP_ERR_BODY);
  const char *shown = strchr(rpi_status_message(), '\n') + 3;
  const char *caret = strchr(shown, '\n') + 3;
  assert_true(strlen(rpi_status_message()) < 300);
  assert_int_equal(shown[strlen(caret) - 1], '?');
}

static void limits(void **state) {
  (void)state;
  static char body[70000];
  rpi_body *b = NULL;
  for (int32_t depth = 250; depth <= 260; depth += 10) {
    strcpy(body, "y = ");
    for (int32_t i = 0; i < depth; i++) strcat(body, "(");
    strcat(body, "x");
    for (int32_t i = 0; i < depth; i++) strcat(body, ")");
    assert_int_equal(rpi_body_parse("y, x", body, &b), depth < 256 ? RP_OK : RP_ERR_BODY);
    rpi_body_free(b);
  }
  assert_non_null(strstr(rpi_status_message(), "nested deeper than 256 levels"));
  memset(body, '-', 60000);
  memcpy(body, "y = ", 4);
  body[60000] = '\0';
  assert_int_equal(rpi_body_parse("y, x", body, &b), RP_ERR_BODY);
  memset(body, '[', 60000);
  memcpy(body, "y = x", 5);
  assert_int_equal(rpi_body_parse("y, x", body, &b), RP_ERR_BODY);
  memset(body, ' ', 66000);
  memcpy(body, "y = x", 5);
  body[66000] = '\0';
  rejects("y, x", body, "the body is longer than 65536 bytes");
  strcpy(body, "y = x");
  for (int32_t i = 0; i < 1100; i++) strcpy(body + 5 + 2 * i, "+x");
  assert_int_equal(rpi_body_parse("y, x", body, &b), RP_ERR_BODY);
  assert_non_null(strstr(rpi_status_message(), "the expression has more than 1000 levels"));
}

/* Lets that double are linear; loops around them that multiply stop at a limit. */
static void doubling_lets(void **state) {
  (void)state;
  static char body[8000];
  rpi_body *b = NULL;
  const rpi_variant *v = NULL;
  rpi_body_arg args[2];
  memset(args, 0, sizeof args);
  args[0].dtype = args[1].dtype = RP_F64;
  int32_t n = sprintf(body, "let a0 = x;");
  for (int32_t i = 1; i < 60; i++) n += sprintf(body + n, "let a%d = a%d + a%d;", i, i - 1, i - 1);
  sprintf(body + n, "y = a59");
  b = accepts("y, x", body);
  assert_int_equal(rpi_body_variant(b, args, &v), RP_OK);
  assert_true(v->ir.n_ins < 70);
  rpi_body_free(b);
  n = sprintf(body, "let a0 = x;");
  for (int32_t i = 1; i < 40; i++) {
    n += sprintf(body + n, "let a%d = (sum(k%d in 0..2) a%d) + (sum(k%d in 0..2) a%d);", i, i,
                 i - 1, i, i - 1);
  }
  sprintf(body + n, "y = a39");
  assert_int_equal(rpi_body_parse("y, x", body, &b), RP_ERR_BODY);
  assert_non_null(strstr(rpi_status_message(), "too large with its lets put in"));
}

static void facts(void **state) {
  (void)state;
  rpi_body *b = accepts("y, a:float, x, n:i32, m:int, s", "y = a*x + n + m; s += x");
  assert_int_equal(rpi_body_n_stores(b), 3);
  assert_int_equal(rpi_body_n_scalars(b), 3);
  assert_int_equal(rpi_body_scalar_dtype(b, 0), RP_F64);
  assert_int_equal(rpi_body_scalar_dtype(b, 1), RP_I32);
  assert_int_equal(rpi_body_scalar_dtype(b, 2), RP_I64);
  assert_int_equal(rpi_body_privilege(b, 0), RP_PRIV_WRITE);
  assert_int_equal(rpi_body_privilege(b, 1), RP_PRIV_READ);
  assert_int_equal(rpi_body_privilege(b, 2), RP_PRIV_READ_WRITE);
  assert_string_equal(rpi_body_text(b), "y = a*x + n + m; s += x");
  rpi_body_free(b);
  b = accepts("y, x", "y = y + x;"); /* a ';' may end the body */
  assert_int_equal(rpi_body_privilege(b, 0), RP_PRIV_READ_WRITE);
  rpi_body_free(b);
  b = accepts("s, x, n", "s = sum(i) x[i] + extent(n, 0)");
  assert_int_equal(rpi_body_privilege(b, 0), RP_PRIV_WRITE);
  assert_int_equal(rpi_body_privilege(b, 2), RP_PRIV_READ);
  rpi_body_free(b);
  rpi_body_free(NULL);
}

/* The page for users: every example in it parses, and it names every function. */
static void the_page(void **state) {
  (void)state;
  static char page[20000];
  FILE *f = fopen("jit/README.md", "r");
  if (f == NULL) fail_msg("run from the root of the sources");
  size_t n = fread(page, 1, sizeof page - 2, f);
  fclose(f);
  for (size_t i = 0; i < n; i++) page[i] = page[i] == '`' ? ' ' : page[i];
  for (int32_t fn = 0; fn < RPI_N_FN; fn++) {
    const char *name = rpi_body_expr_fn(fn)->name, *at = strstr(page, "**Functions.**");
    size_t len = strlen(name);
    assert_non_null(at);
    while ((at = strstr(at, name)) != NULL && !(strchr(" \n", at[-1]) && strchr(" \n.", at[len]))) {
      at++;
    }
    if (at == NULL) fail_msg("jit/README.md does not name %s", name);
  }
  int32_t examples = 0;
  char *line = strstr(page, "   body\n");
  assert_non_null(line);
  for (line = strchr(line, '\n') + 1; strncmp(line, "   ", 3) != 0; examples++) {
    char *end = strchr(line, '\n'), *bar = strchr(line, '|');
    assert_true(bar != NULL && bar < end);
    *end = *bar = '\0';
    rpi_body_free(accepts(line, bar + 1));
    line = end + 1;
  }
  assert_in_range(examples, 9, 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(precedence),
      cmocka_unit_test(errors_of_bodies),
      cmocka_unit_test(errors_of_params),
      cmocka_unit_test(long_lines),
      cmocka_unit_test(limits),
      cmocka_unit_test(doubling_lets),
      cmocka_unit_test(facts),
      cmocka_unit_test(the_page),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
