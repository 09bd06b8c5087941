/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_opt.c -- opt_*.c: each pass on texts before and after, folded operations against
 * the oracle of tests/support/ir_eval.h and the interpreter, and random kernels run before and after every pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <xmmintrin.h>
#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/base/config.h"
#include "jit/interp.h"
#include "tests/support/ir_eval.h"
#include "tests/support/ir_random.h"

typedef rp_status (*pass_fn)(rpi_ir *ir);

static void must(rp_status status, const char *text) {
  if (status != RP_OK) fail_msg("%s in\n%s", rpi_status_message(), text);
}

/* Runs `pass` on a kernel over the operands below and compares the instructions. */
static void expect(pass_fn pass, const char *before, const char *after) {
  static const char head[] = "kernel rank 1\n"
                             "operand @0: f64 affine [any] read\n"
                             "operand @1: i32 affine [any] read\n"
                             "operand @2: f64 affine [zero] read\n"
                             "operand @3: f64 affine [any] read write\n"
                             "operand @4: i32 affine [any] read write\n"
                             "operand @5: bool affine [any] read write\n"
                             "scalar $0: f64\n"
                             "extents 1\n";
  char text[4096];
  rpi_strbuf out;
  rpi_ir ir;
  snprintf(text, sizeof text, "%s%s", head, before);
  must(rpi_ir_parse(text, &ir), text);
  /* A snippet writes what it needs; the other operands are declared as read. */
  for (int32_t o = 3; o < 6; o++) ir.operand[o].access = RPI_ACCESS_READ;
  for (int32_t i = 0; i < ir.n_ins; i++) {
    if (ir.ins[i].op == RPI_IR_STORE) ir.operand[ir.ins[i].imm].access |= RPI_ACCESS_WRITE;
  }
  must(rpi_ir_check(&ir), text);
  must(pass(&ir), text);
  rpi_strbuf_init(&out);
  rpi_ir_print(&ir, &out);
  must(rpi_ir_check(&ir), out.text);
  assert_string_equal(strstr(out.text, "extents 1\n") + strlen("extents 1\n"), after);
  rpi_strbuf_deinit(&out);
  rpi_ir_deinit(&ir);
}

static rp_status fold_dce(rpi_ir *ir) {
  RPI_TRY(rpi_opt_fold(ir));
  return rpi_opt_dce(ir);
}

#define F64_1(code) "body:\n  %0 = load.f64 @0\n" code
#define I32_1(code) "body:\n  %0 = load.i32 @1\n" code
#define F64_SAME "body:\n  %0 = load.f64 @0\n  store.f64 @3, %0\n"
#define I32_SAME "body:\n  %0 = load.i32 @1\n  store.i32 @4, %0\n"
#define F64_BY(op, c) \
  F64_1("  %1 = const.f64 " c "\n  %2 = " op ".f64 %0, %1\n  store.f64 @3, %2\n")
#define F64_OF(op, c) \
  F64_1("  %1 = const.f64 " c "\n  %2 = " op ".f64 %1, %0\n  store.f64 @3, %2\n")
#define I32_BY(op, c) \
  I32_1("  %1 = const.i32 " c "\n  %2 = " op ".i32 %0, %1\n  store.i32 @4, %2\n")
#define I32_OF(op, c) \
  I32_1("  %1 = const.i32 " c "\n  %2 = " op ".i32 %1, %0\n  store.i32 @4, %2\n")
#define I32_TWICE(op) I32_1("  %1 = " op ".i32 %0, %0\n  store.i32 @4, %1\n")
#define I32_CONST(c) "body:\n  %0 = const.i32 " c "\n  store.i32 @4, %0\n"

static void test_fold_floats(void **state) {
  (void)state;
  expect(fold_dce, F64_BY("mul", "1.0"), F64_SAME);
  expect(fold_dce, F64_OF("mul", "1.0"), F64_SAME);
  expect(fold_dce, F64_BY("div", "1.0"), F64_SAME);
  expect(fold_dce, F64_BY("add", "-0.0"), F64_SAME);
  expect(fold_dce, F64_OF("add", "-0.0"), F64_SAME);
  expect(fold_dce, F64_BY("sub", "0.0"), F64_SAME);
  expect(fold_dce, F64_BY("div", "-4.0"), F64_BY("mul", "-0.25"));
  /* None of these holds for -0.0, infinities and NaN, or rounds alike. */
  expect(fold_dce, F64_BY("add", "0.0"), F64_BY("add", "0.0"));
  expect(fold_dce, F64_BY("sub", "-0.0"), F64_BY("sub", "-0.0"));
  expect(fold_dce, F64_OF("sub", "0.0"), F64_OF("sub", "0.0"));
  expect(fold_dce, F64_BY("mul", "0.0"), F64_BY("mul", "0.0"));
  expect(fold_dce, F64_BY("div", "3.0"), F64_BY("div", "3.0"));
  expect(fold_dce, F64_BY("div", "5e-324"), F64_BY("div", "5e-324"));
  expect(fold_dce, F64_BY("div", "8.98846567431158e+307"), F64_BY("div", "8.98846567431158e+307"));
  expect(fold_dce, F64_1("  %1 = sub.f64 %0, %0\n  store.f64 @3, %1\n"),
         F64_1("  %1 = sub.f64 %0, %0\n  store.f64 @3, %1\n"));
  expect(fold_dce, F64_1("  %1 = neg.f64 %0\n  %2 = neg.f64 %1\n  store.f64 @3, %2\n"), F64_SAME);
  expect(fold_dce, F64_1("  %1 = max.f64 %0, %0\n  store.f64 @3, %1\n"), F64_SAME);
  /* Math functions stay, whatever their sources. */
  expect(fold_dce, "body:\n  %0 = const.f64 1.0\n  %1 = exp.f64 %0\n  store.f64 @3, %1\n",
         "body:\n  %0 = const.f64 1.0\n  %1 = exp.f64 %0\n  store.f64 @3, %1\n");
}

static void test_fold_integers(void **state) {
  (void)state;
  expect(fold_dce, I32_BY("add", "0"), I32_SAME);
  expect(fold_dce, I32_OF("add", "0"), I32_SAME);
  expect(fold_dce, I32_BY("sub", "0"), I32_SAME);
  expect(fold_dce, I32_OF("mul", "1"), I32_SAME);
  expect(fold_dce, I32_BY("and", "-1"), I32_SAME);
  expect(fold_dce, I32_BY("or", "0"), I32_SAME);
  expect(fold_dce, I32_BY("xor", "0"), I32_SAME);
  expect(fold_dce, I32_BY("shl", "0"), I32_SAME);
  expect(fold_dce, I32_BY("shr", "0"), I32_SAME);
  expect(fold_dce, I32_BY("floordiv", "1"), I32_SAME);
  expect(fold_dce, I32_TWICE("and"), I32_SAME);
  expect(fold_dce, I32_TWICE("min"), I32_SAME);
  expect(fold_dce, I32_1("  %1 = not.i32 %0\n  %2 = not.i32 %1\n  store.i32 @4, %2\n"), I32_SAME);
  expect(fold_dce, I32_BY("mul", "0"), I32_CONST("0"));
  expect(fold_dce, I32_BY("mod", "1"), I32_CONST("0"));
  expect(fold_dce, I32_OF("or", "-1"), I32_CONST("-1"));
  expect(fold_dce, I32_TWICE("sub"), I32_CONST("0"));
  expect(fold_dce, I32_TWICE("xor"), I32_CONST("0"));
  expect(fold_dce, I32_OF("sub", "0"), I32_OF("sub", "0"));
  expect(fold_dce, I32_OF("floordiv", "1"), I32_OF("floordiv", "1"));
  expect(fold_dce, I32_TWICE("floordiv"), I32_TWICE("floordiv")); /* 0 for 0 */
}

#define CASTS(by, to, at) \
  I32_1("  %1 = cast." by " %0\n  %2 = cast." to " %1\n  store." to " " at ", %2\n")

static void test_fold_casts(void **state) {
  (void)state;
  expect(fold_dce, I32_1("  %1 = cast.i32 %0\n  store.i32 @4, %1\n"), I32_SAME);
  expect(fold_dce, CASTS("i64", "i32", "@4"), I32_SAME);
  expect(fold_dce, CASTS("f64", "i32", "@4"), I32_SAME);
  expect(fold_dce, CASTS("i64", "f64", "@3"), I32_1("  %1 = cast.f64 %0\n  store.f64 @3, %1\n"));
  expect(fold_dce, CASTS("f64", "bool", "@5"), I32_1("  %1 = cast.bool %0\n  store.bool @5, %1\n"));
  expect(fold_dce, CASTS("f32", "i32", "@4"), CASTS("f32", "i32", "@4"));
  expect(fold_dce, CASTS("i8", "i32", "@4"), CASTS("i8", "i32", "@4"));
  expect(fold_dce, CASTS("u32", "f64", "@3"), CASTS("u32", "f64", "@3"));
  /* Over f64 to i8 saturates, directly it would wrap. */
#define NARROW \
  I32_1("  %1 = cast.f64 %0\n  %2 = cast.i8 %1\n  %3 = cast.f64 %2\n  store.f64 @3, %3\n")
  expect(fold_dce, NARROW, NARROW);
  /* f64 does not hold every i64, whatever NumPy calls safe. */
#define LOSSY \
  "body:\n  %0 = index.i64 0\n  %1 = cast.f64 %0\n  %2 = cast.i64 %1\n  %3 = cast.i32 %2\n" \
  "  store.i32 @4, %3\n"
  expect(fold_dce, LOSSY, LOSSY);
}

static void test_fold_select(void **state) {
  (void)state;
#define SELECT(c, a, b) \
  F64_1("  %1 = const.bool " c "\n  %2 = load.f64 @3\n  %3 = select.f64 %1, " a ", " b "\n" \
        "  store.f64 @3, %3\n")
  expect(fold_dce, SELECT("true", "%0", "%2"), F64_SAME);
  expect(fold_dce, SELECT("false", "%2", "%0"), F64_SAME);
  expect(fold_dce,
         F64_1("  %1 = isnan.bool %0\n  %2 = select.f64 %1, %0, %0\n  store.f64 @3, %2\n"),
         F64_SAME);
}

/* The caller's floating-point mode neither matters nor changes. */
static void test_fold_mode(void **state) {
  (void)state;
  unsigned before = _mm_getcsr(), rounds_up_flushes = 0x1f80 | 0x4000 | 0x8000 | 0x40;
  for (int32_t i = 0; i < 2; i++) {
    _mm_setcsr(i ? rounds_up_flushes : before);
    rpi_ir ir;
    must(rpi_ir_parse("kernel rank 0\noperand @0: f64 affine [] write\nprologue:\n"
                      "%0 = const.f64 1.0\n%1 = const.f64 3.0\n%2 = div.f64 %0, %1\n"
                      "store.f64 @0, %2",
                      &ir),
         "");
    must(rpi_opt_fold(&ir), "");
    unsigned after = _mm_getcsr();
    _mm_setcsr(before);
    assert_int_equal(after & 0xffc0, (i ? rounds_up_flushes : before) & 0xffc0);
    assert_int_equal(ir.ins[2].op, RPI_IR_CONST);
    assert_true(rpi_ir_value_f64(ir.ins[2].imm) == 0x1.5555555555555p-2);
    rpi_ir_deinit(&ir);
  }
}

/* ---- folded values ------------------------------------------------------------------------- */

static const int64_t whole[] = {
    0,          1,         2,         3,    7,   8,   31,    32,         63,
    64,         100,       127,       128,  255, 256, 32768, 0x7fffffff, 0x80000000,
    0xffffffff, INT64_MAX, INT64_MIN, -128, -7,  -2,  -1};
static const double real[] = {
    0.0,       -0.0,     1,         -1,     0.5,     -2.5,         3,      -7,    0.1,
    1e16,      127.5,    -128.5,    0x1p31, -0x1p31, 0x1p63,       0x1p64, 1e300, 0x1p-149,
    0x1p-1074, INFINITY, -INFINITY, NAN,    -NAN,    2147483647.5, -0x1p63};
enum { N_VALUE = RPI_COUNT(whole), N_PAIR = N_VALUE * N_VALUE };

static rpi_irval special(rpi_ir *ir, rp_dtype t, int32_t n) {
  if (rpi_dtype_kind(t) == RPI_KIND_F) return rpi_ir_const_f64(ir, t, real[n]);
  return rpi_ir_const_i64(ir, t, whole[n]);
}

/* One operation on every pair of special values (the third source varies too), in a body of rank 1;
 * each result is stored to an operand of its own. */
static void make_pairs(rpi_ir *ir, rpi_irop op, rp_dtype t, rp_dtype to) {
  rpi_irval value[N_VALUE], truth[2];
  rpi_ir_init(ir, 1);
  for (int32_t n = 0; n < N_VALUE; n++) value[n] = special(ir, t, n);
  for (int32_t n = 0; n < 2; n++) truth[n] = rpi_ir_const_i64(ir, RP_BOOL, n);
  for (int32_t p = 0; p < N_PAIR; p++) {
    rpi_irval src[3] = {value[p / N_VALUE], value[p % N_VALUE], value[p % 7]};
    if (op == RPI_IR_SELECT) src[0] = truth[p % 2];
    rpi_irval v = rpi_ir_emit(ir, op, to, 0, rpi_ir_op_n_src(op), src);
    rpi_ir_operand o = {.dtype = (uint8_t)to, .rank = 1, .access = RPI_ACCESS_WRITE, .sclass = {2}};
    rpi_ir_emit(ir, RPI_IR_STORE, to, (uint64_t)rpi_ir_operand_add(ir, &o), 1, &v);
  }
  ir->n_body = ir->n_ins;
  must(rpi_ir_check(ir), rpi_ir_op_name(op));
}

static bool same(rp_dtype t, uint64_t a, uint64_t b) {
  if (!ir_eval_is_real(t)) return a == b;
  double x = ir_eval_real(t, a), y = ir_eval_real(t, b);
  return a == b || (isnan(x) && isnan(y));
}

/* Runs the kernel of make_pairs in the interpreter: one point. */
static void interpret(const rpi_ir *ir, uint64_t *cell) {
  rpi_interp *p;
  rpi_ir_layout l;
  must(rpi_interp_create(ir, RPI_VECTOR_AVX2, &p), "");
  rpi_ir_layout_get(ir, &l);
  rpi_word *w = calloc((size_t)l.n_words, sizeof *w);
  void *scratch = aligned_alloc(64, RPI_KERNEL_SCRATCH);
  uint32_t flag = 0;
  w[l.extent].i = 1;
  w[l.flag].p = &flag;
  for (int32_t o = 0; o < ir->n_operand; o++) {
    w[l.ptr + o].p = &cell[o];
    w[rpi_ir_layout_stride(ir, &l, o)].i = 1;
  }
  const rpi_kernel_code *code = rpi_interp_code(p);
  if (code->pro) code->pro(code->self, w);
  code->body(code->self, w, 0, 1, scratch);
  free(scratch);
  free(w);
  rpi_interp_free(p);
}

/* Folding, the oracle and the interpreter agree; everything of class E folds. */
static void compare_pairs(rpi_irop op, rp_dtype t, rp_dtype to) {
  uint64_t want[N_PAIR] = {0}, ran[N_PAIR] = {0};
  uint64_t(*mem)[IR_EVAL_CELLS] = calloc(N_PAIR, sizeof *mem);
  rpi_ir ir;
  make_pairs(&ir, op, t, to);
  ir_eval_kernel(&ir, mem);
  interpret(&ir, ran);
  for (int32_t p = 0; p < N_PAIR; p++) want[p] = mem[p][0];
  must(rpi_opt_fold(&ir), "");
  for (int32_t i = 0; i < ir.n_ins; i++) {
    if (ir.ins[i].op != RPI_IR_STORE) continue;
    const rpi_ir_ins *made = &ir.ins[rpi_ir_src(&ir, &ir.ins[i], 0)];
    uint64_t p = ir.ins[i].imm;
    assert_int_equal(made->op, RPI_IR_CONST);
    if (same(to, made->imm, want[p]) && same(to, made->imm, ran[p])) continue;
    fail_msg("%s.%s of %s, pair %d: folded %#llx, oracle %#llx, interpreted %#llx",
             rpi_ir_op_name(op), rpi_dtype_name(to), rpi_dtype_name(t), (int)p,
             (unsigned long long)made->imm, (unsigned long long)want[p],
             (unsigned long long)ran[p]);
  }
  rpi_ir_deinit(&ir);
  free(mem);
}

static void test_fold_values(void **state) {
  (void)state;
  for (int32_t i = RPI_IR_CAST; i < RPI_IR_N_OPS; i++) {
    rpi_irop op = (rpi_irop)i;
    if (rpi_ir_op_class(op) != 'E') continue;
    for (rp_dtype t = 0; t < RPI_N_DTYPE; t++) {
      if (op != RPI_IR_SELECT && !rpi_ir_op_takes(op, t)) continue;
      if (op == RPI_IR_CAST) {
        for (rp_dtype to = 0; to < RPI_N_DTYPE; to++) compare_pairs(op, t, to);
      } else {
        compare_pairs(op, t, rpi_ir_op_result(op) == 'B' ? RP_BOOL : t);
      }
    }
  }
}

/* ---- sharing, hoisting, removal -------------------------------------------------------------- */

static void test_cse(void **state) {
  (void)state;
  expect(rpi_opt_cse,
         F64_1("  %1 = load.f64 @0\n  %2 = load.f64 @3\n  %3 = mul.f64 %0, %2\n"
               "  %4 = mul.f64 %2, %1\n  %5 = sub.f64 %0, %2\n  %6 = sub.f64 %2, %0\n"
               "  %7 = add.f64 %3, %4\n  %8 = add.f64 %5, %6\n  %9 = mul.f64 %7, %8\n"
               "  store.f64 @3, %9\n"),
         F64_1("  %1 = load.f64 @3\n  %2 = mul.f64 %0, %1\n  %3 = sub.f64 %0, %1\n"
               "  %4 = sub.f64 %1, %0\n  %5 = add.f64 %2, %2\n  %6 = add.f64 %3, %4\n"
               "  %7 = mul.f64 %5, %6\n  store.f64 @3, %7\n"));
  /* A store to the operand ends what is known of it, and of no other. */
  expect(rpi_opt_cse,
         F64_1("  %1 = load.f64 @3\n  store.f64 @3, %0\n  %3 = load.f64 @3\n"
               "  %4 = load.f64 @0\n  %5 = add.f64 %1, %3\n  %6 = add.f64 %5, %4\n"
               "  store.f64 @3, %6\n"),
         F64_1("  %1 = load.f64 @3\n  store.f64 @3, %0\n  %3 = load.f64 @3\n"
               "  %4 = add.f64 %1, %3\n  %5 = add.f64 %4, %0\n  store.f64 @3, %5\n"));
}

static void test_cse_scopes(void **state) {
  (void)state;
#define BOUNDS "body:\n  %0 = const.i64 0\n  %1 = extent.i64 0\n  %2 = load.f64 @0\n"
  /* Two loops compute the same, and so does what follows: nothing may leave a loop. */
#define SIBLINGS \
  BOUNDS "  %3 = loop.i64 segment, %0, %1\n    %4 = mul.f64 %2, %2\n  %5 = endloop.f64 sum, %4\n" \
         "  %6 = loop.i64 segment, %0, %1\n    %7 = mul.f64 %2, %2\n  %8 = endloop.f64 sum, %7\n" \
         "  %9 = mul.f64 %2, %2\n  %10 = add.f64 %5, %8\n  %11 = add.f64 %9, %10\n" \
         "  store.f64 @3, %11\n"
  expect(rpi_opt_cse, SIBLINGS, SIBLINGS);
  /* What was made outside serves inside. */
  expect(rpi_opt_cse,
         BOUNDS "  %3 = mul.f64 %2, %2\n  %4 = loop.i64 segment, %0, %1\n    %5 = mul.f64 %2, %2\n"
                "    %6 = add.f64 %5, %5\n  %7 = endloop.f64 sum, %6\n  %8 = add.f64 %3, %7\n"
                "  store.f64 @3, %8\n",
         BOUNDS "  %3 = mul.f64 %2, %2\n  %4 = loop.i64 segment, %0, %1\n"
                "    %5 = add.f64 %3, %3\n  %6 = endloop.f64 sum, %5\n  %7 = add.f64 %3, %6\n"
                "  store.f64 @3, %7\n");
  /* Constants stay in their sections, other uniform values come from the prologue. */
  expect(rpi_opt_cse,
         "prologue:\n  %0 = const.f64 2.0\n  %1 = load.f64 @2\nbody:\n  %2 = const.f64 2.0\n"
         "  %3 = load.f64 @2\n  %4 = mul.f64 %2, %3\n  store.f64 @3, %4\n",
         "prologue:\n  %0 = const.f64 2.0\n  %1 = load.f64 @2\nbody:\n  %2 = const.f64 2.0\n"
         "  %3 = mul.f64 %2, %1\n  store.f64 @3, %3\n");
}

/* All passes leave `text` as `want`. */
static void expect_all(const char *text, const char *want) {
  rpi_strbuf out;
  rpi_ir ir;
  must(rpi_ir_parse(text, &ir), text);
  must(rpi_ir_check(&ir), text);
  must(rpi_opt_all(&ir), text);
  rpi_strbuf_init(&out);
  rpi_ir_print(&ir, &out);
  assert_string_equal(rpi_strbuf_str(&out), want);
  rpi_strbuf_deinit(&out);
  rpi_ir_deinit(&ir);
}

/* A scalar in memory that the body writes is not uniform; one it only reads is. */
static void test_all(void **state) {
  (void)state;
#define TWO "kernel rank 1\noperand @0: f64 affine [zero] read\noperand @1: f64 affine [zero] "
  expect_all(TWO "read write\nbody:\n  %0 = load.f64 @1\n  %1 = neg.f64 %0\n"
                 "  %2 = load.f64 @0\n  %3 = const.f64 1.0\n  %4 = mul.f64 %2, %3\n"
                 "  %5 = load.f64 @0\n  %6 = add.f64 %4, %5\n  %7 = mul.f64 %1, %6\n"
                 "  store.f64 @1, %7\n",
             TWO "read write\nprologue:\n  %0 = load.f64 @0\n  %1 = add.f64 %0, %0\nbody:\n"
                 "  %2 = load.f64 @1\n  %3 = neg.f64 %2\n  %4 = mul.f64 %3, %1\n"
                 "  store.f64 @1, %4\n");
}

static void test_cse_finished(void **state) {
  static const char text[] = "kernel rank 1\noperand @0: f64 affine [zero] read write reduce\n"
                             "operand @1: f64 affine [zero] read write\n"
                             "reduction #0: sum into @0 over 0\n"
                             "prologue:\n  %0 = load.f64 @0\nbody:\n  reduce.f64 #0, %0\n"
                             "epilogue:\n  %2 = load.f64 @0\n  %3 = sub.f64 %2, %0\n"
                             "  store.f64 @1, %3\n  store.f64 @0, %3\n";
  (void)state;
  expect_all(text, text);
}

static void test_hoist(void **state) {
  (void)state;
  expect(rpi_opt_hoist,
         "prologue:\n  %0 = scalar.f64 $0\nbody:\n  %1 = load.f64 @0\n  %2 = const.f64 2.0\n"
         "  %3 = load.f64 @2\n  %4 = mul.f64 %2, %3\n  %5 = exp.f64 %4\n  %6 = add.f64 %5, %0\n"
         "  %7 = mul.f64 %6, %1\n  %8 = mul.f64 %7, %2\n  store.f64 @3, %8\n",
         "prologue:\n  %0 = scalar.f64 $0\n  %1 = load.f64 @2\n  %2 = const.f64 2.0\n"
         "  %3 = mul.f64 %2, %1\n  %4 = exp.f64 %3\n  %5 = add.f64 %4, %0\nbody:\n"
         "  %6 = load.f64 @0\n  %7 = const.f64 2.0\n  %8 = mul.f64 %5, %6\n"
         "  %9 = mul.f64 %8, %7\n  store.f64 @3, %9\n");
  /* From inside a loop, but neither its index nor what depends on the point. */
  expect(rpi_opt_hoist,
         "body:\n  %0 = const.i64 0\n  %1 = extent.i64 0\n  %2 = loop.i64 axis, %0, %1\n"
         "    %3 = load.f64 @2\n    %4 = sqrt.f64 %3\n    %5 = cast.f64 %2\n"
         "    %6 = mul.f64 %4, %5\n  %7 = endloop.f64 max, %6\n  store.f64 @3, %7\n",
         "prologue:\n  %0 = load.f64 @2\n  %1 = sqrt.f64 %0\nbody:\n  %2 = const.i64 0\n"
         "  %3 = extent.i64 0\n  %4 = loop.i64 axis, %2, %3\n    %5 = cast.f64 %4\n"
         "    %6 = mul.f64 %1, %5\n  %7 = endloop.f64 max, %6\n  store.f64 @3, %7\n");
  /* An operand with strides, or one that is written too, is not uniform. */
#define STAYS F64_1("  %1 = load.f64 @3\n  %2 = add.f64 %0, %1\n  store.f64 @3, %2\n")
  expect(rpi_opt_hoist, STAYS, STAYS);
}

static void test_dce(void **state) {
  (void)state;
  expect(rpi_opt_dce,
         "prologue:\n  %0 = scalar.f64 $0\n  %1 = load.f64 @2\nbody:\n  %2 = const.i64 0\n"
         "  %3 = extent.i64 0\n  %4 = load.f64 @0\n  %5 = loop.i64 rows, %2, %3\n"
         "    %6 = cast.f64 %5\n    %7 = mul.f64 %6, %6\n  %8 = endloop.f64 sum, %6\n"
         "  %9 = loop.i64 rows, %2, %3\n  %10 = endloop.f64 sum, %4\n  %11 = add.f64 %8, %1\n"
         "  store.f64 @3, %11\n",
         "prologue:\n  %0 = load.f64 @2\nbody:\n  %1 = const.i64 0\n  %2 = extent.i64 0\n"
         "  %3 = loop.i64 rows, %1, %2\n    %4 = cast.f64 %3\n  %5 = endloop.f64 sum, %4\n"
         "  %6 = add.f64 %5, %0\n  store.f64 @3, %6\n");
}

/* ---- random kernels ------------------------------------------------------------------------ */

static uint64_t (*fill(const rpi_ir *ir, uint64_t seed))[IR_EVAL_CELLS] {
  uint64_t(*mem)[IR_EVAL_CELLS] = calloc((size_t)ir->n_operand + 1, sizeof *mem);
  ir_random g = {.state = seed + 99};
  for (int32_t o = 0; o < ir->n_operand; o++) {
    for (int32_t i = 0; i < IR_EVAL_CELLS; i++) {
      mem[o][i] = ir_random_bits(&g, ir->operand[o].dtype);
    }
  }
  return mem;
}

static void test_random_kernels(void **state) {
  static const pass_fn pass[] = {rpi_opt_fold, rpi_opt_cse, rpi_opt_hoist, rpi_opt_dce,
                                 rpi_opt_all};
  static const char *const name[] = {"fold", "cse", "hoist", "dce", "all"};
  int64_t before = 0, after = 0;
  (void)state;
  for (uint64_t seed = 1; seed <= 400; seed++) {
    rpi_ir ir;
    ir_random_make(&ir, seed);
    uint64_t(*want)[IR_EVAL_CELLS] = fill(&ir, seed);
    ir_eval_kernel(&ir, want);
    for (int32_t p = 0; p < RPI_COUNT(pass); p++) {
      rpi_ir copy;
      must(rpi_ir_copy(&ir, &copy), "");
      must(pass[p](&copy), name[p]);
      must(rpi_ir_check(&copy), name[p]);
      uint64_t(*got)[IR_EVAL_CELLS] = fill(&ir, seed);
      ir_eval_kernel(&copy, got);
      for (int32_t o = 0; o < ir.n_operand; o++) {
        if (memcmp(got[o], want[o], sizeof *got) != 0) {
          fail_msg("seed %d: operand %d differs after %s", (int)seed, (int)o, name[p]);
        }
      }
      if (p == RPI_COUNT(pass) - 1) before += ir.n_ins, after += copy.n_ins;
      free(got);
      rpi_ir_deinit(&copy);
    }
    free(want);
    rpi_ir_deinit(&ir);
  }
  assert_true(after < before);
}

/* ---- sizes, memory, live values ------------------------------------------------------------- */

/* The largest kernels: nothing is quadratic, nothing recurses. */
static void test_large(void **state) {
  rpi_ir ir;
  (void)state;
  rpi_ir_init(&ir, 1);
  rpi_ir_operand_add(&ir,
                     &(rpi_ir_operand){.dtype = RP_F64, .rank = 1, .access = 3, .sclass = {2}});
  rpi_irval lo = rpi_ir_const_i64(&ir, RP_I64, 0), hi = rpi_ir_const_i64(&ir, RP_I64, 1);
  rpi_irval v = rpi_ir_emit(&ir, RPI_IR_LOAD, RP_F64, 0, 0, NULL);
  for (int32_t i = 0; i < 14000; i++) rpi_ir_emit2(&ir, RPI_IR_LOOP, RP_I64, lo, hi);
  for (int32_t i = 0; i < 14000; i++) {
    rpi_irval x = rpi_ir_emit2(&ir, RPI_IR_ADD, RP_F64, v, v);
    v = rpi_ir_emit(&ir, RPI_IR_ENDLOOP, RP_F64, RPI_RED_MAX, 1, &x);
  }
  while (ir.n_ins < RPI_IR_MAX_INS - 1) v = rpi_ir_emit2(&ir, RPI_IR_MUL, RP_F64, v, v);
  rpi_ir_emit(&ir, RPI_IR_STORE, RP_F64, 0, 1, &v);
  ir.n_body = ir.n_ins;
  must(rpi_ir_check(&ir), "");
  assert_in_range(rpi_opt_live(&ir), 14000, 14010);
  must(rpi_opt_all(&ir), "");
  must(rpi_ir_check(&ir), "");
  assert_int_equal(ir.n_ins, RPI_IR_MAX_INS);
  rpi_ir_deinit(&ir);
}

static void test_memory(void **state) {
  static const pass_fn pass[] = {rpi_opt_fold, rpi_opt_cse, rpi_opt_hoist, rpi_opt_dce,
                                 rpi_opt_all};
  (void)state;
  for (int32_t p = 0; p < RPI_COUNT(pass); p++) {
    rp_status status = RP_ERR_MEMORY;
    for (int64_t n = 0; status != RP_OK; n++) {
      rpi_ir ir;
      ir_random_make(&ir, 5);
      rpi_alloc_inject(n);
      status = pass[p](&ir);
      rpi_alloc_inject(-1);
      assert_true(status == RP_OK || status == RP_ERR_MEMORY);
      must(rpi_ir_check(&ir), "");
      rpi_ir_deinit(&ir);
      assert_true(n < 1000);
    }
  }
}

static void test_live(void **state) {
  static const struct {
    const char *body;
    int32_t live;
  } kernels[] = {
      {"", 0},
      {F64_SAME, 1},
      {F64_1("  %1 = load.f64 @3\n  %2 = add.f64 %0, %1\n  %3 = mul.f64 %2, %0\n"
             "  store.f64 @3, %3\n"),
       3},
      {I32_1("  %1 = neg.i32 %0\n  %2 = add.i32 %0, %1\n  store.i32 @4, %2\n"), 2},
      {"prologue:\n  %0 = load.f64 @2\nbody:\n  %1 = const.f64 3.0\n  %2 = mul.f64 %0, %1\n"
       "  store.f64 @3, %2\n",
       1},
      /* %2 is used in the loop, so it lives until its end, beside k and two values inside. */
      {BOUNDS "  %3 = loop.i64 axis, %0, %1\n    %4 = mul.f64 %2, %2\n    %5 = neg.f64 %4\n"
              "    %6 = neg.f64 %5\n  %7 = endloop.f64 sum, %6\n  store.f64 @3, %7\n",
       4},
  };
  (void)state;
  for (int32_t i = 0; i < RPI_COUNT(kernels); i++) {
    char text[1000];
    rpi_ir ir;
    snprintf(text, sizeof text,
             "kernel rank 1\noperand @0: f64 affine [any] read\noperand @1: i32 affine [any] read\n"
             "operand @2: f64 affine [zero] read\noperand @3: f64 affine [any] read write\n"
             "operand @4: i32 affine [any] read write\nextents 1\n%s",
             kernels[i].body);
    must(rpi_ir_parse(text, &ir), text);
    assert_int_equal(rpi_opt_live(&ir), kernels[i].live);
    rpi_ir_deinit(&ir);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fold_floats),
      cmocka_unit_test(test_fold_integers),
      cmocka_unit_test(test_fold_casts),
      cmocka_unit_test(test_fold_select),
      cmocka_unit_test(test_fold_mode),
      cmocka_unit_test(test_fold_values),
      cmocka_unit_test(test_cse),
      cmocka_unit_test(test_cse_scopes),
      cmocka_unit_test(test_cse_finished),
      cmocka_unit_test(test_hoist),
      cmocka_unit_test(test_dce),
      cmocka_unit_test(test_all),
      cmocka_unit_test(test_random_kernels),
      cmocka_unit_test(test_large),
      cmocka_unit_test(test_memory),
      cmocka_unit_test(test_live),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
