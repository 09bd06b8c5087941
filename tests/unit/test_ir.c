/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_ir.c -- ir.c and ir_check.c: facts, identities, words, units against a walk over
 * the points of a space, canonical bytes, and one broken kernel per rule of the validator. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/alloc.h"
#include "tests/support/ir_eval.h"

static void test_facts(void **state) {
  (void)state;
  for (int32_t i = 0; i < RPI_IR_N_OPS; i++) {
    rpi_irop op = (rpi_irop)i;
    const char *name = rpi_ir_op_name(op);
    assert_int_equal(rpi_ir_op_find(name, strlen(name)), op);
    assert_int_equal(rpi_ir_op_find(name, strlen(name) - 1) == op, false);
  }
  assert_int_equal(rpi_ir_op_find("exp2x", 4), RPI_IR_EXP2);
  assert_int_equal(rpi_ir_op_find("", 0), RPI_IR_N_OPS);
  assert_int_equal(rpi_ir_op_n_src(RPI_IR_GATHER), -1);
  assert_int_equal(rpi_ir_op_n_src(RPI_IR_FMA), 3);
  assert_int_equal(rpi_ir_op_result(RPI_IR_LT), 'B');
  assert_int_equal(rpi_ir_op_class(RPI_IR_HYPOT), 'M');
  assert_true(rpi_ir_op_takes(RPI_IR_AND, RP_BOOL) && rpi_ir_op_takes(RPI_IR_ADD, RP_U8));
  assert_false(rpi_ir_op_takes(RPI_IR_AND, RP_F32) || rpi_ir_op_takes(RPI_IR_ADD, RP_BOOL) ||
               rpi_ir_op_takes(RPI_IR_SQRT, RP_I64) || rpi_ir_op_takes(RPI_IR_LOAD, RP_I64) ||
               rpi_ir_op_takes(RPI_IR_ADD, -1));
}

/* x (op) identity is x for every x that is tried. */
static void test_identities(void **state) {
  static const int64_t value[] = {0, 1, -1, 5, 127, -128, 255, INT64_MAX, INT64_MIN, 1 << 30};
  (void)state;
  for (int32_t op = RPI_RED_SUM; op <= RPI_RED_ALL; op++) {
    for (rp_dtype t = 0; t < RPI_N_DTYPE; t++) {
      int32_t kind = rpi_dtype_kind(t);
      if (op <= RPI_RED_PROD && kind == RPI_KIND_B) continue;
      if (op >= RPI_RED_AND && kind == RPI_KIND_F) continue;
      if (op >= RPI_RED_ANY && kind != RPI_KIND_B) continue;
      uint64_t e = rpi_ir_redop_identity((rpi_redop)op, t);
      for (int32_t i = 0; i < RPI_COUNT(value); i++) {
        uint64_t x = ir_eval_cast(RP_I64, t, (uint64_t)value[i]);
        if (ir_eval_is_real(t) && i == 0) x = ir_eval_image(t, -0.0);
        if (ir_eval_is_real(t) && i == 1) x = ir_eval_image(t, INFINITY);
        if (ir_eval_is_real(t) && i == 2) x = ir_eval_image(t, -INFINITY);
        assert_int_equal(ir_eval_combine(op, t, x, e), x);
        assert_int_equal(ir_eval_combine(op, t, e, x), x);
      }
      uint64_t empty = rpi_ir_redop_empty((rpi_redop)op, t);
      assert_int_equal(empty, op == RPI_RED_SUM ? 0 : e);
    }
  }
  assert_int_equal(rpi_ir_redop_empty(RPI_RED_ARGMIN, RP_I64), (uint64_t)-1);
}

static void test_constants(void **state) {
  static const struct {
    rp_dtype t;
    double v;
    uint64_t bits;
  } real[] = {{RP_F64, -0.0, UINT64_C(1) << 63},
              {RP_F32, 0.1, 0x3dcccccd},
              {RP_I8, 300, 127},
              {RP_I8, -300, 128},
              {RP_U8, -3.5, 0},
              {RP_U64, 1e30, UINT64_MAX},
              {RP_I32, -2.9, 0xfffffffe},
              {RP_BOOL, 0.25, 1},
              {RP_I64, NAN, 0}};
  rpi_ir ir;
  (void)state;
  rpi_ir_init(&ir, 0);
  for (int32_t i = 0; i < RPI_COUNT(real); i++) {
    rpi_irval v = rpi_ir_const_f64(&ir, real[i].t, real[i].v);
    assert_int_equal(ir.ins[v].imm, real[i].bits);
  }
  assert_int_equal(ir.ins[rpi_ir_const_i64(&ir, RP_I16, -2)].imm, 0xfffe);
  assert_int_equal(ir.ins[rpi_ir_const_i64(&ir, RP_BOOL, 256)].imm, 1);
  assert_int_equal(ir.ins[rpi_ir_const_i64(&ir, RP_F32, (1 << 24) + 1)].imm, 0x4b800000);
  rpi_ir_deinit(&ir);
}

static void test_layout(void **state) {
  rpi_ir ir;
  rpi_ir_layout l;
  (void)state;
  rpi_ir_init(&ir, 2);
  rpi_ir_operand_add(&ir, &(rpi_ir_operand){.dtype = RP_F64, .rank = 2});
  rpi_ir_operand_add(&ir, &(rpi_ir_operand){.dtype = RP_F64, .kind = RPI_OPERAND_TABLE, .rank = 3});
  rpi_ir_operand_add(&ir, &(rpi_ir_operand){.dtype = RP_F64, .rank = 2});
  for (int32_t i = 0; i < 4; i++) rpi_ir_scalar_add(&ir, RP_F64);
  rpi_ir_red_add(&ir, &(rpi_ir_red){.mask = 2});
  ir.n_extent = 5;
  ir.n_pro = 7;
  rpi_ir_layout_get(&ir, &l);
  const int32_t want[] = {0, 2, 4, 7, 17, 21, 26, 33, 34, 35};
  assert_memory_equal(&l, want, sizeof want);
  assert_int_equal(rpi_ir_layout_stride(&ir, &l, 0), 7);
  assert_int_equal(rpi_ir_layout_stride(&ir, &l, 1), 9);
  assert_int_equal(rpi_ir_layout_stride(&ir, &l, 2), 15);
  rpi_ir_deinit(&ir);
}

/* Walks a space row by row and counts the units (sets of points) and partials ir.h's comment gives. */
static void count_points(int32_t rank, int32_t k, const int64_t *extent, int64_t *units,
                         int64_t *partials) {
  int64_t rows = 1, kept = 1, reduced = 1, n = extent[rank - 1];
  for (int32_t d = 0; d < rank - 1; d++)
    rows *= extent[d], *(d < k ? &reduced : &kept) *= extent[d];
  *units = *partials = 0;
  for (int64_t r = 0; r < rows; r++) {
    if (k > 0 && r / kept % RPI_ROW_LEAF != 0) continue; /* not the first row of its leaf */
    for (int64_t c = 0; c < n; c++) {
      *units += c % RPI_LEAF == 0;
      *partials += k > 0 || c % RPI_LEAF == 0;
    }
  }
  assert_true(reduced >= 0);
}

static void test_units(void **state) {
  static const int64_t extent[][3] = {{1, 1, 1},   {3, 4, 5},   {2, 3, 1024}, {2, 2, 1025},
                                      {256, 2, 3}, {257, 1, 9}, {20, 30, 2},  {0, 3, 4},
                                      {3, 0, 4},   {3, 4, 0},   {1, 1, 5000}, {700, 1, 1}};
  (void)state;
  for (int32_t i = 0; i < RPI_COUNT(extent); i++) {
    for (int32_t rank = 1; rank <= 3; rank++) {
      for (int32_t k = 0; k < rank; k++) { /* k > 0: ROW mode over k axes */
        rpi_ir ir;
        int64_t units, partials;
        rpi_ir_init(&ir, rank);
        uint8_t mask = (uint8_t)(k > 0 ? (1 << k) - 1 : 1 << (rank - 1));
        assert_int_equal(rpi_ir_partials(&ir, extent[i]), 0);
        rpi_ir_red_add(&ir, &(rpi_ir_red){.mask = mask});
        assert_int_equal(rpi_ir_row_mode(&ir), k > 0);
        count_points(rank, k, extent[i], &units, &partials);
        assert_int_equal(rpi_ir_units(&ir, extent[i]), units);
        assert_int_equal(rpi_ir_partials(&ir, extent[i]), partials);
        rpi_ir_deinit(&ir);
      }
    }
  }
}

static void test_bytes(void **state) {
  static const char text[] = "kernel rank 1\noperand @0: f64 affine [any] read write\nbody:\n"
                             "%0 = load.f64 @0\n%1 = neg.f64 %0\n%2 = add.f64 %0, %1\n"
                             "store.f64 @0, %2";
  rpi_ir a, b;
  rpi_strbuf x, y;
  (void)state;
  assert_int_equal(rpi_ir_parse(text, &a), RP_OK);
  assert_int_equal(rpi_ir_copy(&a, &b), RP_OK);
  rpi_strbuf_init(&x);
  rpi_strbuf_init(&y);
  /* Another origin, and another order of the pool of sources. */
  b.ins[1].origin = 9;
  const rpi_irval pool[] = {2, 0, 1, 0};
  memcpy(b.srcs, pool, sizeof pool);
  b.ins[3].src = 0, b.ins[2].src = 1, b.ins[1].src = 3;
  rpi_ir_bytes(&a, &x);
  rpi_ir_bytes(&b, &y);
  assert_int_equal(x.len, y.len);
  assert_memory_equal(x.text, y.text, x.len);
  b.ins[2].op = RPI_IR_SUB;
  rpi_strbuf_clear(&y);
  rpi_ir_bytes(&b, &y);
  assert_true(x.len == y.len && memcmp(x.text, y.text, x.len) != 0);
  rpi_strbuf_deinit(&y);
  rpi_strbuf_deinit(&x);
  rpi_ir_deinit(&b);
  rpi_ir_deinit(&a);
}

static void test_full(void **state) {
  rpi_ir ir;
  (void)state;
  rpi_ir_init(&ir, 1);
  for (int32_t i = 0; i < RPI_IR_MAX_INS; i++) rpi_ir_const_i64(&ir, RP_I64, i);
  assert_false(ir.failed);
  rpi_ir_const_i64(&ir, RP_I64, 0);
  assert_true(ir.failed);
  assert_int_equal(ir.n_ins, RPI_IR_MAX_INS);
  assert_int_equal(rpi_ir_check(&ir), RP_ERR_MEMORY);
  rpi_ir_deinit(&ir);
  for (int64_t n = 0; n < 3; n++) {
    rpi_ir_init(&ir, 1);
    rpi_alloc_inject(n);
    rpi_irval v = rpi_ir_const_i64(&ir, RP_I64, 0);
    rpi_ir_emit2(&ir, RPI_IR_ADD, RP_I64, v, v);
    rpi_ir_scalar_add(&ir, RP_I64);
    rpi_alloc_inject(-1);
    assert_true(ir.failed);
    rpi_ir_deinit(&ir);
  }
}

/* ---- the validator ------------------------------------------------------------------------- */

#define HEAD \
  "kernel rank 2\noperand @0: f64 affine [any unit] read\n" \
  "operand @1: f64 table [any] read checked\noperand @2: f64 affine [zero zero] read\n" \
  "operand @3: i32 affine [any any] read\nscalar $0: f64\nextents 1\n"
#define OUT "operand @4: f64 affine [any any] write\n"
#define RED(classes, op, mask) \
  "operand @4: f64 affine [" classes "] reduce\nreduction #0: " op " into @4 over " mask "\n"
#define SUMS HEAD RED("zero zero", "sum", "0 1")
#define LOOP "%0 = const.i64 0\n%1 = const.i64 9\n%2 = loop.i64 segment, %0, %1\n"

static void test_broken(void **state) {
  static const struct {
    const char *text, *says;
  } bad[] = {
      {"kernel rank 0\nbody:\n%0 = const.f64 1.0", "rank 0 with a body"},
      {"kernel rank 2\noperand @0: f64 affine [any] read",
       "operand 0: rank 1 in a space of rank 2"},
      {"kernel rank 2\noperand @0: f64 affine [unit any] read",
       "operand 0: stride class 1 on axis 0"},
      {"kernel rank 1\noperand @0: f64 affine [any] read checked",
       "operand 0: kind 0 with checked"},
      {"kernel rank 1\noperand @0: f64 table [any] read write", "operand 0: access bits 3"},
      {"kernel rank 1\noperand @0: f64 table [] read", "operand 0: rank 0"},
      {"kernel rank 1\noperand @0: f64 affine [any] write", "operand 0 is declared as written"},
      {HEAD RED("any zero", "sum", "0 1"), "steps along the reduced axis 0"},
      {HEAD RED("zero zero", "sum", ""), "axes mask 0"},
      {HEAD RED("zero zero", "sum", "0 2"), "axes mask 0x5"},
      {HEAD RED("zero zero", "argmin", "0 1"), "reduction 0: operand 4, op 9"},
      {HEAD RED("zero zero", "or", "0 1"), "reduction 0: or of f64"},
      {HEAD "reduction #0: sum into @7 over 0", "reduction 0: operand 7"},
      {HEAD "reduction #0: sum into @2 over 0", "is not an affine one to reduce into"},
      {"kernel rank 3\noperand @0: f64 affine [zero zero zero] reduce\n"
       "reduction #0: sum into @0 over 1",
       "axes mask 0x2"},
      {"kernel rank 2\noperand @0: f64 affine [zero zero] reduce\n"
       "reduction #0: sum into @0 over 0\nreduction #1: sum into @0 over 1",
       "mask 0x2 beside 0x1"},
      {SUMS "body:\n%0 = load.f64 @0", "reduction 0 has no instruction"},
      {SUMS "body:\n%0 = load.f64 @0\nreduce.f64 #0, %0\nreduce.f64 #0, %0",
       "2 (reduce): reduction 0 a"},
      {SUMS "body:\n%0 = load.i32 @3\nreduce.f64 #0, %0", "1 (reduce): of i32 into f64"},
      {SUMS "body:\n%0 = load.f64 @0\nreduce.f64 #1, %0", "1 (reduce): there is no reduction 1"},
      {SUMS "prologue:\n%0 = load.f64 @2\nreduce.f64 #0, %0", "1 (reduce): outside the body"},
      {SUMS "body:\n" LOOP "%3 = load.f64 @0\nreduce.f64 #0, %3", "4 (reduce): outside"},
      {HEAD "operand @4: f64 affine [zero zero] reduce\nreduction #0: sum into @4 over 0 1\n"
            "reduction #1: sum into @4 over 0 1\nbody:\n%0 = load.f64 @0\nreduce.f64 #0, %0\n"
            "reduce.f64 #1, %0",
       "2 (reduce): operand 4 is reduced into before"},
      {HEAD "body:\n%0 = neg.f64 %0", "0 (neg): source %0 is not made before"},
      {HEAD "body:\n%0 = load.f64 @0\n%1 = add.f64 %0", "1 (add): 1 sources instead of 2"},
      {HEAD "body:\n%0 = load.f64 @0\n%1 = load.i32 @3\n%2 = add.f64 %0, %1",
       "sources of f64 and i32"},
      {HEAD "body:\n%0 = load.i32 @3\n%1 = sqrt.i32 %0", "1 (sqrt): does not take i32"},
      {HEAD "body:\n%0 = load.i32 @3\n%1 = div.i32 %0, %0", "1 (div): does not take i32"},
      {HEAD "body:\n%0 = load.f64 @0\n%1 = lt.f64 %0, %0",
       "1 (lt): a result of f64 instead of bool"},
      {HEAD "body:\n%0 = load.f64 @0\n%1 = neg.f32 %0", "1 (neg): a result of f32 instead of f64"},
      {HEAD "body:\n%0 = load.f64 @0\n%1 = select.f64 %0, %0, %0", "1 (select): does not take f64"},
      {HEAD "body:\n%0 = load.i32 @3\n%1 = const.i64 1\n%2 = shl.i32 %0, %1",
       "sources of i32 and i64"},
      {HEAD "body:\n%0 = load.f64 @5", "0 (load): there is no operand 5"},
      {HEAD "body:\n%0 = load.f32 @0", "0 (load): operand 0 has another dtype"},
      {HEAD "body:\n%0 = load.f64 @1", "0 (load): operand 1 is of the wrong kind"},
      {HEAD OUT "body:\n%0 = load.f64 @4", "0 (load): operand 4 is not declared for it"},
      {HEAD "prologue:\n%0 = load.f64 @0", "0 (load): operand 0 has strides outside the body"},
      {HEAD "epilogue:\n%0 = load.f64 @0", "0 (load): operand 0 has strides outside the body"},
      {HEAD "body:\n%0 = index.i64 0\n%1 = gather.f64 @1, %0, %0", "1 (gather): 2 indices for 1"},
      {HEAD "body:\n%0 = load.i32 @3\n%1 = gather.f64 @1, %0", "1 (gather): index 0 is not i64"},
      {HEAD "prologue:\n%0 = const.i64 0\n%1 = gather.f64 @1, %0", "1 (gather): outside the body"},
      {HEAD "body:\n%0 = load.f64 @0\nstore.f64 @0, %0", "1 (store): operand 0 is not declared"},
      {HEAD OUT "body:\n%0 = load.i32 @3\nstore.f64 @4, %0", "1 (store): stores a i32"},
      {HEAD OUT "body:\n" LOOP "%3 = load.f64 @0\nstore.f64 @4, %3", "4 (store): inside a loop"},
      {HEAD OUT "body:\n%0 = load.f64 @0\nstore.f64 @4, %0\n%2 = neg.f64 %1", "%1 has no value"},
      {HEAD "body:\n%0 = index.i64 2", "0 (index): there is no axis 2"},
      {HEAD "prologue:\n%0 = index.i64 0", "0 (index): outside the body"},
      {HEAD "body:\n%0 = index.i32 0", "0 (index): is i32, not i64"},
      {HEAD "body:\n%0 = extent.i64 1", "0 (extent): there is no extent 1"},
      {HEAD "body:\n%0 = scalar.f64 $1", "0 (scalar): there is no scalar 1"},
      {HEAD "body:\n%0 = scalar.f32 $0", "0 (scalar): scalar 0 is not f32"},
      {HEAD "body:\n" LOOP "%3 = load.f64 @0", "2 (loop) is not closed"},
      {HEAD "body:\n%0 = load.f64 @0\n%1 = endloop.f64 sum, %0", "1 (endloop): closes no loop"},
      {HEAD "body:\n%0 = load.f64 @0\n%1 = loop.i64 axis, %0, %0", "1 (loop): bounds of f64"},
      {HEAD "prologue:\n" LOOP, "2 (loop): outside the body"},
      {HEAD "body:\n" LOOP "%3 = endloop.i64 sum, %2\n%4 = neg.i64 %2",
       "4 (neg): source %2 is not visible"},
      {HEAD "body:\n" LOOP "%3 = load.f64 @0\n%4 = endloop.f64 sum, %3\n%5 = neg.f64 %3",
       "5 (neg): source %3 is not visible"},
      {HEAD "body:\n" LOOP "%3 = load.f64 @0\n%4 = endloop.i64 sum, %3",
       "4 (endloop): sum of f64 as i64"},
      {HEAD "body:\n" LOOP "%3 = load.f64 @0\n%4 = endloop.f64 argmin, %3", "argmin of f64 as f64"},
      {HEAD "body:\n" LOOP "%3 = load.f64 @0\n%4 = endloop.f64 any, %3", "4 (endloop): any of f64"},
      {HEAD "body:\n%0 = load.f64 @0\nepilogue:\n%1 = neg.f64 %0",
       "1 (neg): source %0 is not visible"},
  };
  (void)state;
  for (int32_t i = 0; i < RPI_COUNT(bad); i++) {
    rpi_ir ir;
    if (rpi_ir_parse(bad[i].text, &ir) != RP_OK) fail_msg("%d: %s", (int)i, rpi_status_message());
    if (rpi_ir_check(&ir) != RP_ERR_INTERNAL || !strstr(rpi_status_message(), bad[i].says)) {
      fail_msg("%d: \"%s\" says \"%s\"", (int)i, bad[i].says, rpi_status_message());
    }
    rpi_ir_deinit(&ir);
  }
}

/* What text cannot say. */
static void test_broken_by_hand(void **state) {
  static const char text[] = HEAD "body:\n%0 = load.f64 @0\n%1 = const.i8 1\n%2 = neg.f64 %0\n";
  (void)state;
  for (int32_t i = 0; i < 10; i++) {
    rpi_ir ir;
    assert_int_equal(rpi_ir_parse(text, &ir), RP_OK);
    assert_int_equal(rpi_ir_check(&ir), RP_OK);
    switch (i) {
      case 0: ir.ins[1].imm = 0x100; break; /* wider than i8 */
      case 1: ir.ins[2].imm = 1; break;     /* no immediate there */
      case 2: ir.ins[2].src = 7; break;     /* beyond the pool */
      case 3: ir.ins[2].op = RPI_IR_N_OPS; break;
      case 4: ir.ins[2].dtype = RPI_N_DTYPE; break;
      case 5: ir.n_pro = 5; break;
      case 6: ir.operand[0].dtype = 99; break;
      case 7: ir.operand[0].sclass[5] = RPI_STRIDE_ANY; break;
      case 8: ir.scalar[0] = 99; break;
      default: ir.rank = 9; break;
    }
    assert_int_equal(rpi_ir_check(&ir), RP_ERR_INTERNAL);
    rpi_ir_deinit(&ir);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_facts),          cmocka_unit_test(test_identities),
      cmocka_unit_test(test_constants),      cmocka_unit_test(test_layout),
      cmocka_unit_test(test_units),          cmocka_unit_test(test_bytes),
      cmocka_unit_test(test_full),           cmocka_unit_test(test_broken),
      cmocka_unit_test(test_broken_by_hand),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
