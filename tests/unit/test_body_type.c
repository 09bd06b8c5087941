/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_body_type.c -- dtypes of expressions, the IR that bodies become (as text), and
 * the errors of typing, word by word. Expected dtypes are NumPy 2's, but where SEMANTICS says
 * otherwise: integers give f64 in / and in math functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/model/dtype.h"
#include "jit/body.h"

/* Dtypes of the stores y, b, i8, ... that expressions name. */
static const rp_dtype dtypes[] = {-1,    RP_BOOL, RP_I8,  RP_I32, RP_I64,
                                  RP_U8, RP_U32,  RP_U64, RP_F32, RP_F64};

static char text[4000];

/* Parses `expr` with only those parameters that it names. */
static rpi_body *parse_named(const char *expr, rpi_body_arg *args) {
  static const char *const name[] = {"y",  "b",   "i8",  "i32", "i64",
                                     "u8", "u32", "u64", "f32", "f64"};
  static const char *const scalar[] = {"n:int", "a:float", "h:f32"};
  char list[200] = "y";
  rpi_body *b = NULL;
  int32_t n = 1;
  memset(args, 0, 16 * sizeof *args);
  args[0].dtype = -1;
  for (int32_t i = 1; i < RPI_COUNT(name); i++) {
    bool found = false;
    size_t len = strlen(name[i]);
    for (const char *p = expr; (p = strstr(p, name[i])) != NULL; p += len) {
      bool starts = p == expr || strchr(" (,-~!+*.", p[-1]) != NULL;
      found = found || (starts && p[len] != '(' && (p[len] < '0' || p[len] > '9') &&
                        (p[len] < 'a' || p[len] > 'z'));
    }
    if (!found) continue;
    strcat(strcat(list, ","), name[i]);
    args[n++].dtype = dtypes[i];
  }
  for (int32_t i = 0; i < RPI_COUNT(scalar); i++) strcat(strcat(list, ","), scalar[i]);
  snprintf(text, sizeof text, "y = %s", expr);
  if (rpi_body_parse(list, text, &b) != RP_OK) fail_msg("%s", rpi_status_message());
  return b;
}

static void check_dtype(const char *expr, rp_dtype want) {
  rpi_body_arg args[16];
  const rpi_variant *v = NULL;
  rpi_body *b = parse_named(expr, args);
  if (rpi_body_infer(b, args) != RP_OK) fail_msg("%s", rpi_status_message());
  if (args[0].dtype != want) {
    fail_msg("%s: %s, not %s", expr, rpi_dtype_name(args[0].dtype), rpi_dtype_name(want));
  }
  assert_int_equal(args[0].geom.ndim, 0);
  if (rpi_body_variant(b, args, &v) != RP_OK) fail_msg("%s", rpi_status_message());
  if (rpi_ir_check(&v->ir) != RP_OK) fail_msg("%s", rpi_status_message());
  rpi_body_free(b);
}

static void promotion(void **state) {
  (void)state;
  check_dtype("b + b", RP_BOOL);
  check_dtype("b * b", RP_BOOL);
  check_dtype("b + i8", RP_I8);
  check_dtype("b // b", RP_I8);
  check_dtype("b ** b", RP_I8);
  check_dtype("i8 + u8", RP_I16);
  check_dtype("i32 + u32", RP_I64);
  check_dtype("i64 + u64", RP_F64);
  check_dtype("u32 + u8", RP_U32);
  check_dtype("f32 + i8", RP_F32);
  check_dtype("f32 + i32", RP_F64);
  check_dtype("f32 + u64", RP_F64);
  check_dtype("f32 + f64", RP_F64);
  check_dtype("f32 + b", RP_F32);
  check_dtype("i8 / i8", RP_F64);
  check_dtype("f32 / i8", RP_F32);
  check_dtype("i32 % u8", RP_I32);
  check_dtype("i32 << i8", RP_I32);
  check_dtype("b << b", RP_I8);
  check_dtype("i8 & u8", RP_I16);
  check_dtype("b ^ b", RP_BOOL);
  check_dtype("~b", RP_BOOL);
  check_dtype("~u8", RP_U8);
  check_dtype("i8 < u64", RP_BOOL);
  check_dtype("f32 && i8", RP_BOOL);
  check_dtype("!f32", RP_BOOL);
}

static void weak_values(void **state) {
  (void)state;
  check_dtype("1", RP_I64);
  check_dtype("1.0", RP_F64);
  check_dtype("1e3", RP_F64);
  check_dtype("-1 + 2", RP_I64);
  check_dtype("1/2", RP_F64);
  check_dtype("u8 + 255", RP_U8);
  check_dtype("u64 + 18446744073709551615", RP_U64);
  check_dtype("i8 - 128 * 1", RP_I8);
  check_dtype("i8 + -128", RP_I8);
  check_dtype("b + 1", RP_I64);
  check_dtype("b * 1.5", RP_F64);
  check_dtype("i8 * 1.5", RP_F64);
  check_dtype("f32 * 1.5", RP_F32);
  check_dtype("f32 * 2", RP_F32);
  check_dtype("f32 * (1/3)", RP_F32);
  check_dtype("f32 * n", RP_F32);
  check_dtype("f32 * a", RP_F32);
  check_dtype("u8 * n", RP_U8);
  check_dtype("u8 * a", RP_F64);
  check_dtype("n * a", RP_F64);
  check_dtype("f32 * sqrt(2)", RP_F32);
  check_dtype("f32 * min(n, 2.5)", RP_F32);
  check_dtype("i8 * h", RP_F32);
  check_dtype("i32 * h", RP_F64);
  check_dtype("f32 * f64(2)", RP_F64);
}

static void functions(void **state) {
  (void)state;
  check_dtype("sqrt(i8)", RP_F64);
  check_dtype("sqrt(b)", RP_F64);
  check_dtype("exp(f32)", RP_F32);
  check_dtype("arctan2(f32, 1)", RP_F32);
  check_dtype("hypot(f32, i32)", RP_F64);
  check_dtype("floor(i8)", RP_I8);
  check_dtype("rint(f32)", RP_F32);
  check_dtype("abs(u8)", RP_U8);
  check_dtype("fabs(u8)", RP_F64);
  check_dtype("sign(i8)", RP_I8);
  check_dtype("isnan(i8)", RP_BOOL);
  check_dtype("signbit(u8)", RP_BOOL);
  check_dtype("maximum(i8, u8)", RP_I16);
  check_dtype("where(i8, f32, 0)", RP_F32);
  check_dtype("where(b, 1, 2)", RP_I64);
  check_dtype("clip(u8, 0, 9)", RP_U8);
  check_dtype("u16(f64)", RP_U16);
  check_dtype("bool(f64)", RP_BOOL);
  check_dtype("u8 ** 2", RP_U8);
  check_dtype("u8 ** 0.5", RP_F64);
  check_dtype("f32 ** -1", RP_F32);
  check_dtype("fma(f32, 2, i8)", RP_F32);
  check_dtype("ldexp(f32, i64)", RP_F32);
  check_dtype("deg2rad(f32)", RP_F32);
  check_dtype("reciprocal(i8)", RP_F64);
  check_dtype("sum(k in 0..3) i8", RP_I64);
  check_dtype("sum(k in 0..3) u8", RP_U64);
  check_dtype("sum(k in 0..3) b", RP_I64);
  check_dtype("prod(k in 0..3) f32", RP_F32);
  check_dtype("max(k in 0..3) i8", RP_I8);
  check_dtype("any(k in 0..3) f32", RP_BOOL);
  check_dtype("argmin(k in 0..3) f32", RP_I64);
}

/* The table of jit/README.md. */
static void the_page(void **state) {
  (void)state;
  char line[200];
  int32_t n = 0;
  bool inside = false;
  FILE *f = fopen("jit/README.md", "r");
  if (f == NULL) fail_msg("run from the root of the sources");
  while (fgets(line, sizeof line, f) != NULL) {
    char *arrow = strstr(line, " -> ");
    if (strncmp(line, "```", 3) == 0) inside = strncmp(line, "```typing", 9) == 0;
    if (!inside || arrow == NULL) continue;
    *arrow = '\0';
    check_dtype(line, rpi_dtype_find(arrow + 4, strlen(arrow + 4) - 1));
    n++;
  }
  fclose(f);
  assert_in_range(n, 15, 40);
}

/* ---- IR as text */

static void add_text(const rpi_ir *ir, char *out, size_t size) {
  size_t n = 0;
  out[0] = '\0';
  for (int32_t i = 0; i < ir->n_ins; i++) {
    const rpi_ir_ins *s = &ir->ins[i];
    n += (size_t)snprintf(out + n, size - n, "%d %s.%s", i, rpi_ir_op_name((rpi_irop)s->op),
                          rpi_dtype_name(s->dtype));
    bool imm = s->op == RPI_IR_CONST || s->op == RPI_IR_SCALAR || s->op == RPI_IR_INDEX ||
               s->op == RPI_IR_EXTENT || s->op == RPI_IR_LOAD || s->op == RPI_IR_GATHER ||
               s->op == RPI_IR_STORE || s->op == RPI_IR_REDUCE || s->op == RPI_IR_LOOP ||
               s->op == RPI_IR_ENDLOOP;
    if (imm) n += (size_t)snprintf(out + n, size - n, " #%llx", (unsigned long long)s->imm);
    for (int32_t k = 0; k < s->n_src; k++) {
      n += (size_t)snprintf(out + n, size - n, " %%%d", (int)rpi_ir_src(ir, s, k));
    }
    n += (size_t)snprintf(out + n, size - n, "\n");
  }
}

static void check_ir(const char *list, const char *body, const rp_dtype *dtype, const int32_t *rank,
                     const char *want) {
  static char got[4000];
  rpi_body *b = NULL;
  rpi_body_arg args[8];
  const rpi_variant *v = NULL;
  memset(args, 0, sizeof args);
  if (rpi_body_parse(list, body, &b) != RP_OK) fail_msg("%s", rpi_status_message());
  for (int32_t i = 0; i < rpi_body_n_stores(b); i++) {
    args[i].dtype = dtype[i];
    rpi_geom_dense(rank[i], (const int64_t[]){3, 3, 3}, &args[i].geom);
  }
  if (rpi_body_variant(b, args, &v) != RP_OK) fail_msg("%s", rpi_status_message());
  if (rpi_ir_check(&v->ir) != RP_OK) fail_msg("%s", rpi_status_message());
  add_text(&v->ir, got, sizeof got);
  assert_string_equal(got, want);
  assert_int_equal(v->ir.n_pro, 0);
  assert_int_equal(v->ir.n_body, v->ir.n_ins);
  rpi_body_free(b);
}

#define DTYPES (const rp_dtype[])
#define RANKS (const int32_t[])

static void ir_texts(void **state) {
  (void)state;
  check_ir("y, a:float, x", "y = a*x + y + 2", DTYPES{RP_F32, RP_F32}, RANKS{1, 1},
           "0 load.f32 #0\n1 load.f32 #1\n2 scalar.f64 #0\n3 cast.f32 %2\n4 mul.f32 %3 %0\n"
           "5 add.f32 %4 %1\n6 const.f32 #40000000\n7 add.f32 %5 %6\n8 store.f32 #1 %7\n");
  check_ir("s, x", "s += x*x", DTYPES{RP_F64, RP_F32}, RANKS{0, 1},
           "0 load.f32 #0\n1 mul.f32 %0 %0\n2 cast.f64 %1\n3 reduce.f64 #0 %2\n");
  check_ir("s, x", "s = sum(i) x[i]", DTYPES{RP_I32, RP_I8}, RANKS{0, 1},
           "0 load.i8 #0\n1 cast.i32 %0\n2 reduce.i32 #0 %1\n");
  check_ir("y, p, v, c, x", "y[i] = sum(k in p[i]..p[i+0]) v[k]*x[c[k]]",
           DTYPES{RP_F64, RP_I32, RP_F64, RP_I64, RP_F64}, RANKS{1, 1, 1, 1, 1},
           "0 load.i32 #0\n1 cast.i64 %0\n2 cast.i64 %0\n3 loop.i64 #0 %1 %2\n4 gather.f64 #1 %3\n"
           "5 gather.i64 #2 %3\n6 gather.f64 #3 %5\n7 mul.f64 %4 %6\n8 endloop.f64 #0 %7\n"
           "9 store.f64 #4 %8\n");
  check_ir("y, x", "y[i] = 1 + max(k) x[i,k]", DTYPES{RP_F64, RP_F64}, RANKS{1, 2},
           "0 const.i64 #0\n1 extent.i64 #0\n2 loop.i64 #1 %0 %1\n3 index.i64 #0\n"
           "4 gather.f64 #0 %3 %2\n5 endloop.f64 #3 %4\n6 const.f64 #3ff0000000000000\n"
           "7 add.f64 %6 %5\n8 store.f64 #1 %7\n");
  /* All loads before all stores; the written name is the old value. */
  check_ir("y, z, x", "y = x; z = y", DTYPES{RP_F64, RP_F64, RP_F64}, RANKS{1, 1, 1},
           "0 load.f64 #0\n1 load.f64 #1\n2 store.f64 #1 %0\n3 store.f64 #2 %1\n");
  /* x**2 and x**0.5 are defined as x*x and sqrt(x). */
  check_ir("y, x", "y = x**2 + x**0.5 + x**3", DTYPES{RP_F64, RP_F64}, RANKS{1, 1},
           "0 load.f64 #0\n1 mul.f64 %0 %0\n2 sqrt.f64 %0\n3 add.f64 %1 %2\n"
           "4 const.f64 #4008000000000000\n5 pow.f64 %0 %4\n6 add.f64 %3 %5\n"
           "7 store.f64 #1 %6\n");
  /* One operand and one load for equal accesses, however they are written. */
  check_ir("y, x", "let j = 1 - i; y[i] = x[j + 1] + x[2-i] + x[i - 2*i + 2] + x[i]",
           DTYPES{RP_F64, RP_F64}, RANKS{1, 1},
           "0 load.f64 #0\n1 load.f64 #1\n2 add.f64 %0 %0\n3 add.f64 %2 %0\n4 add.f64 %3 %1\n"
           "5 store.f64 #2 %4\n");
}

/* ---- errors */

static void type_error(const char *expr, rp_dtype dest, const char *message) {
  rpi_body_arg args[16];
  const rpi_variant *v = NULL;
  rpi_body *b = parse_named(expr, args);
  args[0].dtype = dest;
  assert_int_equal(rpi_body_variant(b, args, &v), RP_ERR_DTYPE);
  assert_string_equal(rpi_status_message(), message);
  rpi_body_free(b);
}

static void errors(void **state) {
  (void)state;
  type_error("f64 + 1", RP_I32,
             "body, line 1, column 9: 'y' is i32, which cannot hold every f64: write i32(...)\n"
             "  y = f64 + 1\n          ^");
  type_error("i64", RP_I32,
             "body, line 1, column 5: 'y' is i32, which cannot hold every i64: write i32(...)\n"
             "  y = i64\n      ^");
  type_error(
      "a * 2", RP_I64,
      "body, line 1, column 7: 'y' is i64, which cannot hold every weak f64: write i64(...)\n"
      "  y = a * 2\n        ^");
  type_error("1.5", RP_I8,
             "body, line 1, column 5: a literal with a point is no i8: write i8(...)\n"
             "  y = 1.5\n      ^");
  type_error("u8 + 256", RP_U8,
             "body, line 1, column 8: the literal 256 does not fit u8\n"
             "  y = u8 + 256\n         ^");
  type_error("-129", RP_I8,
             "body, line 1, column 5: the literal -129 does not fit i8\n"
             "  y = -129\n      ^");
  type_error(
      "f32 & i8", RP_F64,
      "body, line 1, column 9: bitwise_and does not take f32; it works on integers and bool\n"
      "  y = f32 & i8\n          ^");
  type_error("b - b", RP_F64,
             "body, line 1, column 7: subtract does not take bool; use ^\n"
             "  y = b - b\n        ^");
  type_error("-b", RP_F64,
             "body, line 1, column 5: negative does not take bool; use !\n  y = -b\n      ^");
  type_error("sum(k in 0..f32) k", RP_F64,
             "body, line 1, column 17: a bound must be an integer, found f32\n"
             "  y = sum(k in 0..f32) k\n                  ^");
}

/* The first use with wrong arguments is an error; the body stays usable. */
static void bad_arguments(void **state) {
  (void)state;
  rpi_body *b = NULL;
  rpi_body_arg args[2];
  const rpi_variant *v = NULL;
  memset(args, 0, sizeof args);
  assert_int_equal(rpi_body_parse("y, x", "y += any(k) x[k]; # bool\n", &b), RP_OK);
  rpi_body_free(b);
  assert_int_equal(rpi_body_parse("y, x", "y = any(k) x[k]", &b), RP_OK);
  args[0].dtype = RP_I32;
  args[1].dtype = RP_F64;
  rpi_geom_dense(1, (const int64_t[]){4}, &args[1].geom);
  assert_int_equal(rpi_body_variant(b, args, &v), RP_ERR_DTYPE);
  assert_string_equal(rpi_status_message(),
                      "body, line 1, column 1: any and all give bool, but 'y' is i32: write "
                      "i32(any(...) ...)\n  y = any(k) x[k]\n  ^");
  args[0].dtype = 17;
  assert_int_equal(rpi_body_variant(b, args, &v), RP_ERR_ARGUMENT);
  assert_string_equal(rpi_status_message(), "store 'y' has 17, which is no dtype");
  args[0].dtype = RP_BOOL;
  assert_int_equal(rpi_body_variant(b, args, &v), RP_OK);
  rpi_body_free(b);
  assert_int_equal(rpi_body_parse("y, x", "y &= x", &b), RP_OK);
  args[0].dtype = RP_F64;
  args[1].dtype = RP_BOOL;
  assert_int_equal(rpi_body_variant(b, args, &v), RP_ERR_DTYPE);
  assert_string_equal(rpi_status_message(),
                      "body, line 1, column 1: &= does not take 'y', which is f64\n"
                      "  y &= x\n  ^");
  rpi_body_free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(promotion),     cmocka_unit_test(weak_values), cmocka_unit_test(functions),
      cmocka_unit_test(the_page),      cmocka_unit_test(ir_texts),    cmocka_unit_test(errors),
      cmocka_unit_test(bad_arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
