/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_ir_text.c -- ir_print.c and ir_parse.c: goldens, random kernels, all float bits,
 * other locales, and the sentences for text that does not parse. Runs in the root of the tree. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/alloc.h"
#include "tests/support/ir_random.h"

static void assert_round_trip(const rpi_ir *ir) {
  rpi_strbuf a, b;
  rpi_ir again;
  rpi_strbuf_init(&a);
  rpi_strbuf_init(&b);
  rpi_ir_print(ir, &a);
  if (rpi_ir_parse(rpi_strbuf_str(&a), &again) != RP_OK) {
    fail_msg("%s in\n%s", rpi_status_message(), a.text);
  }
  assert_int_equal(again.n_ins, ir->n_ins);
  for (int32_t i = 0; i < ir->n_ins; i++) {
    assert_int_equal(again.ins[i].origin, ir->ins[i].origin);
  }
  rpi_strbuf_clear(&a);
  rpi_ir_bytes(ir, &a);
  rpi_ir_bytes(&again, &b);
  assert_int_equal(a.len, b.len);
  assert_memory_equal(a.text, b.text, a.len);
  rpi_ir_deinit(&again);
  rpi_strbuf_deinit(&b);
  rpi_strbuf_deinit(&a);
}

static void test_goldens(void **state) {
  static const char *const name[] = {"jacobi_residual", "spmv", "constants"};
  (void)state;
  for (int32_t i = 0; i < RPI_COUNT(name); i++) {
    char path[100], text[4096];
    rpi_strbuf out;
    rpi_ir ir;
    snprintf(path, sizeof path, "tests/golden/ir_%s.txt", name[i]);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    assert_int_equal(rpi_ir_parse(text, &ir), RP_OK);
    if (rpi_ir_check(&ir) != RP_OK) fail_msg("%s: %s", path, rpi_status_message());
    rpi_strbuf_init(&out);
    rpi_ir_print(&ir, &out);
    assert_string_equal(rpi_strbuf_str(&out), text);
    rpi_strbuf_deinit(&out);
    rpi_ir_deinit(&ir);
  }
}

static void test_random_kernels(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    rpi_ir ir;
    ir_random_make(&ir, seed);
    if (rpi_ir_check(&ir) != RP_OK) fail_msg("seed %d: %s", (int)seed, rpi_status_message());
    assert_round_trip(&ir);
    rpi_ir_deinit(&ir);
  }
}

static void test_every_float(void **state) {
  uint64_t x = 88172645463325252u;
  rpi_ir ir;
  (void)state;
  rpi_ir_init(&ir, 0);
  for (int32_t n = 0; n < 4000; n++) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    rpi_ir_emit(&ir, RPI_IR_CONST, RP_F64, x, 0, NULL);
    rpi_ir_emit(&ir, RPI_IR_CONST, RP_F32, x >> 32, 0, NULL);
    rpi_ir_emit(&ir, RPI_IR_CONST, RP_F64, x >> 12, 0, NULL); /* subnormal */
    rpi_ir_emit(&ir, RPI_IR_CONST, RP_F32, x >> 41, 0, NULL);
    rpi_ir_emit(&ir, RPI_IR_CONST, RP_F64, UINT64_C(0x7ff) << 52 | x >> 12, 0, NULL); /* NaN */
  }
  ir.n_pro = ir.n_body = ir.n_ins;
  assert_round_trip(&ir);
  rpi_ir_deinit(&ir);
}

static void test_other_locale(void **state) {
  static const char *const comma[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8", "ps_AF.UTF-8"};
  rpi_ir ir;
  rpi_strbuf out;
  (void)state;
  rpi_ir_init(&ir, 0);
  rpi_ir_const_f64(&ir, RP_F64, 0.25);
  ir.n_pro = ir.n_body = 1;
  for (int32_t i = 0; i < RPI_COUNT(comma); i++) {
    if (!setlocale(LC_ALL, comma[i])) continue; /* not installed */
    rpi_strbuf_init(&out);
    rpi_ir_print(&ir, &out);
    assert_non_null(strstr(rpi_strbuf_str(&out), "const.f64 0.25\n"));
    rpi_strbuf_deinit(&out);
    assert_round_trip(&ir);
  }
  setlocale(LC_ALL, "C");
  rpi_ir_deinit(&ir);
}

static void test_errors(void **state) {
  static const struct {
    const char *text, *says;
  } bad[] = {
      {"", "line 1: \"kernel rank\" expected"},
      {"kernel rank 9", "line 1: a number beyond 8"},
      {"kernel rank 1 x", "line 1: \"x\" is too much"},
      {"kernel rank 1\noperand @1: f64 affine [any] read", "line 2: @0 expected"},
      {"kernel rank 1\noperand @0: f16 affine [any] read", "line 2: a dtype expected"},
      {"kernel rank 1\noperand @0: f64 affine [some] read",
       "line 2: \"zero\", \"unit\" or \"any\""},
      {"kernel rank 1\noperand @0: f64 affine [any any any any any any any any any]",
       "line 2: more than 8 axes"},
      {"kernel rank 1\nreduction #0: mean into @0 over 0", "line 2: a reduction operator"},
      {"kernel rank 1\n%0 = index.i64 0", "line 2: index before any section"},
      {"kernel rank 1\nbody:\nprologue:", "line 3: a section out of order"},
      {"kernel rank 1\nbody:\n\n  %1 = index.i64 0", "line 4: %0 expected"},
      {"kernel rank 1\nbody:\n  %0 = indexx.i64 0", "line 3: an operation expected"},
      {"kernel rank 1\nbody:\n  index.i64 0", "line 3: index makes a value"},
      {"kernel rank 1\nbody:\n  %0 = store.f64 @0, %0", "line 3: store makes no value"},
      {"kernel rank 1\nbody:\n  %0 = const.i8 128", "line 3: a number beyond 127"},
      {"kernel rank 1\nbody:\n  %0 = const.u64 18446744073709551616", "line 3: a number beyond"},
      {"kernel rank 1\nbody:\n  %0 = const.f64 0.1.2", "line 3: \".2\" is too much"},
      {"kernel rank 1\nbody:\n  %0 = const.f64\n1.5", "line 3: a float expected"},
      {"kernel rank 1\nbody:\n  %0 = const.f64 nan:0x1", "line 3: \"nan:0x1\" is no NaN"},
      {"kernel rank 1\nbody:\n  %0 = const.bool 1", "line 3: \"true\" or \"false\""},
      {"kernel rank 1\nbody:\n  %0 = loop.i64 fast, %0, %0", "line 3: a rule of order"},
      {"kernel rank 1\nbody:\n  %0 = add.f64 %1 %2", "line 3: \"%2\" is too much"},
  };
  (void)state;
  for (int32_t i = 0; i < RPI_COUNT(bad); i++) {
    rpi_ir ir;
    assert_int_equal(rpi_ir_parse(bad[i].text, &ir), RP_ERR_ARGUMENT);
    if (!strstr(rpi_status_message(), bad[i].says)) {
      fail_msg("%d: \"%s\" says \"%s\"", (int)i, bad[i].says, rpi_status_message());
    }
    assert_null(ir.ins);
  }
}

static void test_memory(void **state) {
  rpi_ir ir;
  (void)state;
  for (int64_t n = 0; n < 4; n++) {
    rpi_alloc_inject(n);
    rp_status status = rpi_ir_parse("kernel rank 1\nscalar $0: f64\nextents 1\noperand @0: f64 "
                                    "affine [any]\nbody:\n%0 = index.i64 0\n%1 = neg.i64 %0",
                                    &ir);
    rpi_alloc_inject(-1);
    assert_int_equal(status, RP_ERR_MEMORY);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_goldens),     cmocka_unit_test(test_random_kernels),
      cmocka_unit_test(test_every_float), cmocka_unit_test(test_other_locale),
      cmocka_unit_test(test_errors),      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
