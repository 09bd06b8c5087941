/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_merge.c -- joining bodies: what is forwarded, which stores are dropped, what a prologue
 * and an epilogue see. The joined kernel is read instruction by instruction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "jit/merge.h"

static int32_t operand(rpi_ir *ir, uint8_t access, uint8_t sclass) {
  return rpi_ir_operand_add(
      ir, &(rpi_ir_operand){.dtype = RP_F64, .rank = 1, .access = access, .sclass = {sclass}});
}

/* o1 = o0 + scalar: a task of two operands and one immediate. */
static void make_add(rpi_ir *ir) {
  rpi_ir_init(ir, 1);
  operand(ir, RPI_ACCESS_READ, RPI_STRIDE_UNIT);
  operand(ir, RPI_ACCESS_WRITE, RPI_STRIDE_UNIT);
  rpi_ir_scalar_add(ir, RP_F64);
  const rpi_irval x = rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, 0, 0, NULL);
  const rpi_irval a = rpi_ir_emit(ir, RPI_IR_SCALAR, RP_F64, 0, 0, NULL);
  const rpi_irval v = rpi_ir_emit2(ir, RPI_IR_ADD, RP_F64, x, a);
  rpi_ir_emit(ir, RPI_IR_STORE, RP_F64, 1, 1, &v);
  ir->n_body = ir->n_ins;
}

/* o1 = sum of o0, all of it. */
static void make_sum(rpi_ir *ir, bool join) {
  rpi_ir_init(ir, 1);
  operand(ir, RPI_ACCESS_READ, RPI_STRIDE_UNIT);
  operand(ir, RPI_ACCESS_REDUCE, RPI_STRIDE_ZERO);
  const rpi_irval v = rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, 0, 0, NULL);
  const rpi_ir_red red = {.operand = 1, .op = RPI_RED_SUM, .join = join, .mask = 1};
  rpi_ir_emit(ir, RPI_IR_REDUCE, RP_F64, (uint64_t)rpi_ir_red_add(ir, &red), 1, &v);
  ir->n_body = ir->n_ins;
}

static int32_t count(const rpi_ir *ir, rpi_irop op, int32_t from, int32_t to) {
  int32_t n = 0;
  for (int32_t i = from; i < to; i++) n += ir->ins[i].op == op;
  return n;
}

static const rpi_ir_ins *find(const rpi_ir *ir, rpi_irop op, int32_t which) {
  for (int32_t i = 0; i < ir->n_ins; i++)
    if (ir->ins[i].op == op && which-- == 0) return &ir->ins[i];
  fail_msg("no such instruction");
  return NULL;
}

static void add(rpi_merge *m, const rpi_ir *ir, const rpi_merge_operand *o, int32_t origin) {
  const rpi_merge_task t = {.ir = ir, .operand = o, .origin = origin};
  assert_int_equal(rpi_merge_add(m, &t), RP_OK);
}

/* b = a + s; c = b + t: b is a value; whether it is stored is the caller's choice. */
static void test_forward(void **state) {
  (void)state;
  for (int keep = 0; keep < 2; keep++) {
    rpi_ir task, ir;
    rpi_merge m;
    make_add(&task);
    rpi_ir_init(&ir, 1);
    operand(&ir, RPI_ACCESS_READ, RPI_STRIDE_UNIT);
    operand(&ir, RPI_ACCESS_WRITE, RPI_STRIDE_UNIT);
    operand(&ir, RPI_ACCESS_WRITE, RPI_STRIDE_UNIT);
    assert_int_equal(rpi_merge_begin(&m, &ir, 3), RP_OK);
    rpi_merge_section(&m);
    const rpi_merge_operand first[] = {{0, 0, -1}, {1, -1, keep ? 1 : -1}};
    const rpi_merge_operand second[] = {{1, -1, -1}, {2, -1, 2}};
    add(&m, &task, first, 4);
    add(&m, &task, second, 5);
    rpi_merge_section(&m);
    assert_int_equal(rpi_merge_end(&m), RP_OK);
    assert_int_equal(ir.n_pro, 0);
    assert_int_equal(ir.n_body, ir.n_ins);
    assert_int_equal(count(&ir, RPI_IR_LOAD, 0, ir.n_ins), 1);
    assert_int_equal(count(&ir, RPI_IR_STORE, 0, ir.n_ins), 1 + keep);
    assert_int_equal(ir.n_scalar, 2); /* each task keeps its own immediates */
    assert_int_equal(find(&ir, RPI_IR_SCALAR, 0)->imm, 0);
    assert_int_equal(find(&ir, RPI_IR_SCALAR, 1)->imm, 1);
    const rpi_ir_ins *sum = find(&ir, RPI_IR_ADD, 1); /* takes the first sum, not a load */
    assert_ptr_equal(&ir.ins[rpi_ir_src(&ir, sum, 0)], find(&ir, RPI_IR_ADD, 0));
    assert_int_equal(find(&ir, RPI_IR_ADD, 0)->origin, 4);
    assert_int_equal(sum->origin, 5);
    const rpi_ir_ins *last = find(&ir, RPI_IR_STORE, keep);
    assert_int_equal(last->imm, 2);
    assert_ptr_equal(&ir.ins[rpi_ir_src(&ir, last, 0)], sum);
    rpi_merge_deinit(&m);
    rpi_ir_deinit(&ir);
    rpi_ir_deinit(&task);
  }
}

/* b = a + s; b = b + t: memory gets the last value only, once. */
static void test_overwrite(void **state) {
  (void)state;
  rpi_ir task, ir;
  rpi_merge m;
  make_add(&task);
  rpi_ir_init(&ir, 1);
  operand(&ir, RPI_ACCESS_READ, RPI_STRIDE_UNIT);
  operand(&ir, RPI_ACCESS_WRITE, RPI_STRIDE_UNIT);
  assert_int_equal(rpi_merge_begin(&m, &ir, 2), RP_OK);
  rpi_merge_section(&m);
  add(&m, &task, (const rpi_merge_operand[]){{0, 0, -1}, {1, -1, 1}}, 0);
  add(&m, &task, (const rpi_merge_operand[]){{1, -1, -1}, {1, -1, 1}}, 1);
  rpi_merge_section(&m);
  assert_int_equal(rpi_merge_end(&m), RP_OK);
  assert_int_equal(count(&ir, RPI_IR_STORE, 0, ir.n_ins), 1);
  const rpi_ir_ins *store = find(&ir, RPI_IR_STORE, 0);
  assert_ptr_equal(&ir.ins[rpi_ir_src(&ir, store, 0)], find(&ir, RPI_IR_ADD, 1));
  rpi_merge_deinit(&m);
  rpi_ir_deinit(&ir);
  rpi_ir_deinit(&task);
}

/* A prologue's value is used in the body without a load; the epilogue loads what the body reduced or
 * stored, but still knows the prologue's. */
static void test_sections(void **state) {
  (void)state;
  rpi_ir task, sum, ir;
  rpi_merge m;
  make_add(&task);
  make_sum(&sum, false);
  rpi_ir_init(&ir, 1);
  operand(&ir, RPI_ACCESS_READ | RPI_ACCESS_WRITE, RPI_STRIDE_ZERO);  /* 0: place 0 */
  operand(&ir, RPI_ACCESS_WRITE, RPI_STRIDE_UNIT);                    /* 1: place 1 */
  operand(&ir, RPI_ACCESS_REDUCE | RPI_ACCESS_READ, RPI_STRIDE_ZERO); /* 2: place 2 */
  operand(&ir, RPI_ACCESS_WRITE, RPI_STRIDE_ZERO);                    /* 3: place 3 */
  assert_int_equal(rpi_merge_begin(&m, &ir, 4), RP_OK);
  add(&m, &task, (const rpi_merge_operand[]){{0, 0, -1}, {0, -1, 0}}, 0);
  rpi_merge_section(&m);
  add(&m, &task, (const rpi_merge_operand[]){{0, 0, -1}, {1, -1, 1}}, 1);
  add(&m, &sum, (const rpi_merge_operand[]){{1, -1, -1}, {2, -1, 2}}, 2);
  rpi_merge_section(&m);
  add(&m, &task, (const rpi_merge_operand[]){{2, 2, -1}, {3, -1, 3}}, 3);
  add(&m, &task, (const rpi_merge_operand[]){{0, 0, -1}, {0, -1, 0}}, 4);
  assert_int_equal(rpi_merge_end(&m), RP_OK);
  assert_int_equal(count(&ir, RPI_IR_LOAD, 0, ir.n_pro), 1);
  assert_int_equal(count(&ir, RPI_IR_STORE, 0, ir.n_pro), 1);
  assert_int_equal(count(&ir, RPI_IR_LOAD, ir.n_pro, ir.n_body), 0);
  assert_int_equal(count(&ir, RPI_IR_REDUCE, ir.n_pro, ir.n_body), 1);
  assert_int_equal(count(&ir, RPI_IR_STORE, ir.n_pro, ir.n_body), 1);
  assert_int_equal(count(&ir, RPI_IR_LOAD, ir.n_body, ir.n_ins), 1); /* the sum, not place 0 */
  assert_int_equal(find(&ir, RPI_IR_LOAD, 1)->imm, 2);
  assert_int_equal(count(&ir, RPI_IR_STORE, ir.n_body, ir.n_ins), 2);
  assert_int_equal(ir.n_red, 1);
  assert_int_equal(ir.red[0].operand, 2);
  rpi_merge_deinit(&m);
  rpi_ir_deinit(&ir);
  rpi_ir_deinit(&sum);
  rpi_ir_deinit(&task);
}

static int32_t place_in(const rpi_ir *ir, const rpi_ir_ins *ins) {
  return (int32_t)(ins - ir->ins);
}

/* s = s + a in the prologue; a body that writes the place or does not, and sums into it; an epilogue that reads
 * it: what a reduction joins is in memory before it, and its result is read from there. */
static void test_reduce_through_memory(void **state) {
  (void)state;
  for (int stores = 0; stores < 2; stores++) {
    rpi_ir task, sum, ir;
    rpi_merge m;
    make_add(&task);
    make_sum(&sum, true);
    rpi_ir_init(&ir, 1);
    operand(&ir, RPI_ACCESS_READ, RPI_STRIDE_UNIT);                     /* 0: place 0 */
    operand(&ir, RPI_ACCESS_READ | RPI_ACCESS_WRITE, RPI_STRIDE_ZERO);  /* 1: place 1 */
    operand(&ir, RPI_ACCESS_REDUCE | RPI_ACCESS_READ, RPI_STRIDE_ZERO); /* 2: place 1 */
    operand(&ir, RPI_ACCESS_WRITE, RPI_STRIDE_ZERO);                    /* 3: place 2 */
    assert_int_equal(rpi_merge_begin(&m, &ir, 3), RP_OK);
    add(&m, &task, (const rpi_merge_operand[]){{1, 1, -1}, {1, -1, 1}}, 0);
    rpi_merge_section(&m);
    if (stores) add(&m, &task, (const rpi_merge_operand[]){{1, -1, -1}, {1, -1, 1}}, 1);
    add(&m, &sum, (const rpi_merge_operand[]){{0, 0, -1}, {1, -1, 2}}, 2);
    rpi_merge_section(&m);
    add(&m, &task, (const rpi_merge_operand[]){{1, 2, -1}, {2, -1, 3}}, 3);
    assert_int_equal(rpi_merge_end(&m), RP_OK);
    assert_int_equal(count(&ir, RPI_IR_STORE, ir.n_pro, ir.n_body), stores);
    assert_true(place_in(&ir, find(&ir, RPI_IR_STORE, stores)) <
                place_in(&ir, find(&ir, RPI_IR_REDUCE, 0)));
    assert_int_equal(count(&ir, RPI_IR_LOAD, ir.n_body, ir.n_ins),
                     1); /* not the prologue's value */
    assert_int_equal(find(&ir, RPI_IR_LOAD, 2)->imm, 2);
    assert_int_equal(ir.red[0].join, 1);
    rpi_merge_deinit(&m);
    rpi_ir_deinit(&ir);
    rpi_ir_deinit(&sum);
    rpi_ir_deinit(&task);
  }
}

/* What a body stored, the epilogue loads: there are as many values as points. */
static void test_body_values_end(void **state) {
  (void)state;
  rpi_ir task, ir;
  rpi_merge m;
  make_add(&task);
  rpi_ir_init(&ir, 1);
  for (int i = 0; i < 3; i++) operand(&ir, RPI_ACCESS_READ | RPI_ACCESS_WRITE, RPI_STRIDE_ZERO);
  assert_int_equal(rpi_merge_begin(&m, &ir, 3), RP_OK);
  rpi_merge_section(&m); /* no prologue: the body's first value is the kernel's first */
  add(&m, &task, (const rpi_merge_operand[]){{0, 0, -1}, {1, -1, 1}}, 0);
  rpi_merge_section(&m);
  add(&m, &task, (const rpi_merge_operand[]){{1, 1, -1}, {2, -1, 2}}, 1);
  assert_int_equal(rpi_merge_end(&m), RP_OK);
  assert_int_equal(ir.n_pro, 0);
  assert_int_equal(count(&ir, RPI_IR_LOAD, ir.n_body, ir.n_ins), 1);
  assert_int_equal(find(&ir, RPI_IR_LOAD, 1)->imm, 1);
  rpi_merge_deinit(&m);
  rpi_ir_deinit(&ir);
  rpi_ir_deinit(&task);
}

/* A reduction that nobody wants is not there; a place is stored to through its last operand. */
static void test_unwanted(void **state) {
  (void)state;
  rpi_ir task, sum, ir;
  rpi_merge m;
  make_add(&task);
  make_sum(&sum, false);
  rpi_ir_init(&ir, 1);
  for (int i = 0; i < 3; i++) operand(&ir, RPI_ACCESS_READ | RPI_ACCESS_WRITE, RPI_STRIDE_UNIT);
  assert_int_equal(rpi_merge_begin(&m, &ir, 3), RP_OK);
  rpi_merge_section(&m);
  add(&m, &sum, (const rpi_merge_operand[]){{0, 0, -1}, {2, -1, -1}}, 0);
  add(&m, &task, (const rpi_merge_operand[]){{0, 0, -1}, {1, -1, 1}}, 1);
  add(&m, &task, (const rpi_merge_operand[]){{1, -1, -1}, {1, -1, 2}}, 2);
  rpi_merge_section(&m);
  assert_int_equal(rpi_merge_end(&m), RP_OK);
  assert_int_equal(count(&ir, RPI_IR_REDUCE, 0, ir.n_ins), 0);
  assert_int_equal(ir.n_red, 0);
  assert_int_equal(count(&ir, RPI_IR_STORE, 0, ir.n_ins), 1);
  assert_int_equal(find(&ir, RPI_IR_STORE, 0)->imm, 2);
  rpi_merge_deinit(&m);
  rpi_ir_deinit(&ir);
  rpi_ir_deinit(&sum);
  rpi_ir_deinit(&task);
}

/* o1 = o0[o2], with two sizes that only this body knows. */
static void make_gather(rpi_ir *ir) {
  rpi_ir_init(ir, 1);
  operand(ir, RPI_ACCESS_READ, RPI_STRIDE_UNIT);
  ir->operand[0].kind = RPI_OPERAND_TABLE;
  operand(ir, RPI_ACCESS_WRITE, RPI_STRIDE_UNIT);
  operand(ir, RPI_ACCESS_READ, RPI_STRIDE_UNIT);
  ir->operand[2].dtype = RP_I64;
  ir->n_extent = 2;
  const rpi_irval i = rpi_ir_emit(ir, RPI_IR_LOAD, RP_I64, 2, 0, NULL);
  const rpi_irval n = rpi_ir_emit(ir, RPI_IR_EXTENT, RP_I64, 1, 0, NULL);
  const rpi_irval k = rpi_ir_emit2(ir, RPI_IR_SUB, RP_I64, n, i);
  const rpi_irval v = rpi_ir_emit(ir, RPI_IR_GATHER, RP_F64, 0, 1, &k);
  rpi_ir_emit(ir, RPI_IR_STORE, RP_F64, 1, 1, &v);
  ir->n_body = ir->n_ins;
}

/* Tables are numbered anew, and so are sizes. */
static void test_tables_and_sizes(void **state) {
  (void)state;
  rpi_ir task, ir;
  rpi_merge m;
  make_gather(&task);
  rpi_ir_init(&ir, 1);
  for (int i = 0; i < 5; i++) operand(&ir, RPI_ACCESS_READ | RPI_ACCESS_WRITE, RPI_STRIDE_UNIT);
  assert_int_equal(rpi_merge_begin(&m, &ir, 5), RP_OK);
  rpi_merge_section(&m);
  add(&m, &task, (const rpi_merge_operand[]){{3, 4, -1}, {0, -1, 0}, {1, 1, -1}}, 0);
  add(&m, &task, (const rpi_merge_operand[]){{3, 3, -1}, {2, -1, 2}, {1, 1, -1}}, 1);
  rpi_merge_section(&m);
  assert_int_equal(rpi_merge_end(&m), RP_OK);
  assert_int_equal(find(&ir, RPI_IR_GATHER, 0)->imm, 4);
  assert_int_equal(find(&ir, RPI_IR_GATHER, 1)->imm, 3);
  assert_int_equal(ir.n_extent, 4);
  assert_int_equal(find(&ir, RPI_IR_EXTENT, 0)->imm, 1);
  assert_int_equal(find(&ir, RPI_IR_EXTENT, 1)->imm, 3);
  rpi_merge_deinit(&m);
  rpi_ir_deinit(&ir);
  rpi_ir_deinit(&task);
}

/* Values are numbered in 16 bits: a kernel beyond them is an error, and not a wrong one. */
static void test_limit(void **state) {
  (void)state;
  rpi_ir task, ir;
  rpi_merge m;
  make_add(&task);
  rpi_ir_init(&ir, 1);
  operand(&ir, RPI_ACCESS_READ | RPI_ACCESS_WRITE, RPI_STRIDE_UNIT);
  assert_int_equal(rpi_merge_begin(&m, &ir, 1), RP_OK);
  rpi_merge_section(&m);
  const rpi_merge_task t = {.ir = &task,
                            .operand = (const rpi_merge_operand[]){{0, 0, -1}, {0, -1, 0}}};
  rp_status st = RP_OK;
  for (int32_t i = 0; i < RPI_IR_MAX_INS && st == RP_OK; i++) st = rpi_merge_add(&m, &t);
  assert_int_equal(st, RP_ERR_INTERNAL);
  assert_int_equal(ir.n_ins, RPI_IR_MAX_INS);
  rpi_merge_section(&m);
  assert_int_equal(rpi_merge_end(&m), RP_ERR_INTERNAL);
  rpi_merge_deinit(&m);
  rpi_ir_deinit(&ir);
  rpi_ir_deinit(&task);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_forward),          cmocka_unit_test(test_overwrite),
      cmocka_unit_test(test_sections),         cmocka_unit_test(test_reduce_through_memory),
      cmocka_unit_test(test_body_values_end),  cmocka_unit_test(test_unwanted),
      cmocka_unit_test(test_tables_and_sizes), cmocka_unit_test(test_limit)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
