/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_cuda_program.c -- kernels as programs for the interpreter on a GPU: where values are, slots in loops, what is
 * refused; the interpreter's text compiles for each architecture, where NVRTC is. That programs compute the right bits
 * test_cuda_interp.c shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "jit/cuda_program.h"
#include "jit/cuda_step.h"
#include "jit/emit_interp.h"
#include "jit/nvrtc.h"

static void parse(const char *text, rpi_ir *ir) {
  if (rpi_ir_parse(text, ir) != RP_OK || rpi_ir_check(ir) != RP_OK)
    fail_msg("%s", rpi_status_message());
}

static void make(const rpi_ir *ir, rpi_cuda_program *p, const char **why) {
  if (rpi_cuda_program_make(ir, p, why) != RP_OK) fail_msg("%s", rpi_status_message());
}

/* The listing of a kernel's program. */
static void assert_listing(const char *text, const char *listing) {
  rpi_ir ir;
  rpi_cuda_program p;
  rpi_strbuf b;
  const char *why;
  parse(text, &ir);
  make(&ir, &p, &why);
  assert_null(why);
  rpi_strbuf_init(&b);
  rpi_cuda_program_print(&p, &b);
  assert_string_equal(rpi_strbuf_str(&b), listing);
  rpi_strbuf_deinit(&b);
  rpi_cuda_program_deinit(&p);
  rpi_ir_deinit(&ir);
}

/* Why a kernel is refused; its IR is the caller's. */
static const char *refusal(rpi_ir *ir) {
  rpi_cuda_program p;
  const char *why;
  if (rpi_ir_check(ir) != RP_OK) fail_msg("%s", rpi_status_message());
  make(ir, &p, &why);
  if (why) assert_null(p.image);
  rpi_cuda_program_deinit(&p);
  return why ? why : "";
}

static rpi_ir_operand vector_of(rp_dtype t, uint8_t access) {
  return (rpi_ir_operand){.dtype = t, .rank = 1, .access = access, .sclass = {RPI_STRIDE_UNIT}};
}

/* Constants and scalars are read where they are; prologue and epilogue keep values in memory; slots come back. */
static void test_sections(void **state) {
  (void)state;
  assert_listing("kernel rank 2\n"
                 "operand @0: f64 affine [any unit] read\n"
                 "operand @1: f64 affine [any unit] read\n"
                 "operand @2: f64 affine [any unit] write\n"
                 "operand @3: f64 affine [zero zero] read write reduce\n"
                 "scalar $0: f64\n"
                 "reduction #0: max into @3 over 0 1\n"
                 "prologue:\n"
                 "  %0 = scalar.f64 $0\n"
                 "  %1 = const.f64 0.5\n"
                 "  %2 = mul.f64 %0, %1\n"
                 "body:\n"
                 "  %3 = load.f64 @0\n"
                 "  %4 = load.f64 @1\n"
                 "  %5 = add.f64 %3, %4\n"
                 "  %6 = mul.f64 %5, %2\n"
                 "  store.f64 @2, %6\n"
                 "  %8 = sub.f64 %6, %3 from 1\n"
                 "  %9 = abs.f64 %8 from 1\n"
                 "  reduce.f64 #0, %9 from 1\n"
                 "epilogue:\n"
                 "  %11 = load.f64 @3 from 2\n"
                 "  %12 = sqrt.f64 %11 from 2\n"
                 "  store.f64 @3, %12 from 2\n",
                 "0 compute mul f64 0: w16 c0 -> u0\n"
                 "body\n"
                 "1 load f64 0: -> s2\n"
                 "2 load f64 1: -> s3\n"
                 "3 compute add f64 0: s2 s3 -> s3\n"
                 "4 compute mul f64 0: s3 u0 -> s3\n"
                 "5 store f64 2: s3\n"
                 "6 compute sub f64 0: s3 s2 -> s2\n"
                 "7 compute abs f64 0: s2 -> s2\n"
                 "8 reduce max f64 0: s2 -> s0\n"
                 "epilogue\n"
                 "9 load f64 3: -> u1\n"
                 "10 compute sqrt f64 0: u1 -> u2\n"
                 "11 store f64 3: u2\n");
}

/* A value from around a loop keeps its slot to the loop's end; one from inside gives it back within. */
static void test_loop(void **state) {
  (void)state;
  assert_listing("kernel rank 1\n"
                 "operand @0: i64 affine [unit] read\n"
                 "operand @1: i64 affine [unit] read\n"
                 "operand @2: f64 table [unit] read\n"
                 "operand @3: f64 affine [unit] read write\n"
                 "extents 0\n"
                 "body:\n"
                 "  %0 = load.i64 @0\n"
                 "  %1 = load.i64 @1\n"
                 "  %2 = load.f64 @3\n"
                 "  %3 = loop.i64 segment, %0, %1\n"
                 "    %4 = gather.f64 @2, %3\n"
                 "    %5 = mul.f64 %4, %2\n"
                 "    %6 = neg.f64 %5\n"
                 "  %7 = endloop.f64 sum, %6\n"
                 "  store.f64 @3, %7\n",
                 "body\n"
                 "0 load i64 0: -> s0\n"
                 "1 load i64 1: -> s1\n"
                 "2 load f64 3: -> s2\n"
                 "3 loop rule 0 7: s0 s1 -> s0\n"
                 "4 gather f64 2: s0 -> s1\n"
                 "5 compute mul f64 0: s1 s2 -> s1\n"
                 "6 compute neg f64 0: s1 -> s1\n"
                 "7 end sum f64 3: s1 -> s0\n"
                 "8 store f64 3: s0\n");
}

static void test_refusals(void **state) {
  (void)state;
  rpi_ir ir;
  const rpi_ir_operand in = vector_of(RP_F64, RPI_ACCESS_READ),
                       out = vector_of(RP_F64, RPI_ACCESS_WRITE);
  rpi_ir_init(&ir, 1); /* as many values at once as loads */
  for (int32_t n = 64; n <= 65; n++) {
    rpi_irval v[65];
    rpi_ir_deinit(&ir);
    rpi_ir_init(&ir, 1);
    for (int32_t i = 0; i < n; i++) {
      const int32_t o = rpi_ir_operand_add(&ir, &in);
      v[i] = rpi_ir_emit(&ir, RPI_IR_LOAD, RP_F64, (uint64_t)o, 0, NULL);
    }
    rpi_irval sum = v[0];
    for (int32_t i = 1; i < n; i++) sum = rpi_ir_emit2(&ir, RPI_IR_ADD, RP_F64, sum, v[i]);
    const int32_t o = rpi_ir_operand_add(&ir, &out);
    rpi_ir_emit(&ir, RPI_IR_STORE, RP_F64, (uint64_t)o, 1, &sum);
    ir.n_body = ir.n_ins;
    assert_string_equal(refusal(&ir),
                        n == 64 ? ""
                                : "it has more values at once than a thread of the interpreter on "
                                  "a GPU keeps");
  }
  while (2 * ir.n_operand + 3 <= RPK_WORDS) rpi_ir_operand_add(&ir, &in);
  assert_string_equal(refusal(&ir),
                      "it has more parameters than a launch of the interpreter on a GPU can pass");
  rpi_ir_deinit(&ir);
}

static void test_deep_loops(void **state) {
  (void)state;
  for (int32_t deep = RPK_LOOPS; deep <= RPK_LOOPS + 1; deep++) {
    rpi_ir ir;
    const rpi_ir_operand out = vector_of(RP_I64, RPI_ACCESS_WRITE);
    rpi_ir_init(&ir, 1);
    const int32_t o = rpi_ir_operand_add(&ir, &out);
    const rpi_irval bounds[] = {rpi_ir_const_i64(&ir, RP_I64, 0), rpi_ir_const_i64(&ir, RP_I64, 3)};
    rpi_irval v = 0;
    for (int32_t d = 0; d < deep; d++)
      v = rpi_ir_emit(&ir, RPI_IR_LOOP, RP_I64, RPI_LOOP_AXIS, 2, bounds);
    for (int32_t d = 0; d < deep; d++)
      v = rpi_ir_emit(&ir, RPI_IR_ENDLOOP, RP_I64, RPI_RED_SUM, 1, &v);
    rpi_ir_emit(&ir, RPI_IR_STORE, RP_I64, (uint64_t)o, 1, &v);
    ir.n_body = ir.n_ins;
    assert_string_equal(
        refusal(&ir),
        deep == RPK_LOOPS ? "" : "its loops nest deeper than the interpreter's on a GPU");
    rpi_ir_deinit(&ir);
  }
}

/* The text is NVRTC's, too; registers and memory of a thread are what launches count on. */
static void test_text(void **state) {
  (void)state;
  static const int32_t archs[] = {80, 90, 100};
  const rpi_nvrtc *nvrtc;
  rpi_strbuf text;
  if (rpi_nvrtc_open(NULL, &nvrtc) != RP_OK) {
    print_message("not compiled: %s\n", rpi_status_message());
    skip();
  }
  rpi_strbuf_init(&text);
  assert_int_equal(rpi_emit_interp(&text), RP_OK);
  for (int32_t i = 0; i < RPI_COUNT(archs); i++) {
    rpi_cubin c;
    rpi_nvrtc_usage u;
    const int64_t from = rpi_clock_ns();
    if (!rpi_nvrtc_knows(nvrtc, archs[i])) continue;
    if (archs[i] != 90 && !getenv("REPRISE_TEST_LONG")) continue; /* ten seconds each */
    if (rpi_nvrtc_compile(nvrtc, rpi_strbuf_str(&text), archs[i], true, &c) != RP_OK)
      fail_msg("%s", rpi_status_message());
    assert_true(rpi_nvrtc_usage_get(c.log, "rpk_interp", &u));
    print_message("sm_%d: %.1f s, %d registers, %d bytes of a thread's memory, %zu of code\n",
                  (int)archs[i], 1e-9 * (double)(rpi_clock_ns() - from), (int)u.registers,
                  (int)u.stack, c.size);
    assert_in_range(u.registers, 32, 168); /* a block fits a multiprocessor */
    assert_in_range(u.stack, 512, 2048);
    assert_in_range(u.spill_stores + u.spill_loads, 0, 32); /* beside 1.5 KiB of slots */
    rpi_cubin_deinit(&c);
  }
  rpi_strbuf_deinit(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sections), cmocka_unit_test(test_loop), cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_deep_loops), cmocka_unit_test(test_text)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
