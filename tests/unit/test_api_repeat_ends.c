/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_repeat_ends.c -- rp_trace_repeat: what the GPU leaves to the host, calls of the driver that fail, what is
 * refused. Not here: bits (test_api_repeat.c), what each reason says (test_reason_gpu.c). */
#include "tests/support/gpu_context.h"

#include "tests/support/blend.h"
#include "tests/support/odd_ones.h"

static rp_store *make(rp_context *c, rp_dtype dtype, int64_t n) {
  rp_store *s = NULL;
  OK(rp_store_create(c, dtype, n > 0, &n, &s));
  return s;
}

/* ---- what the GPU cannot do alone ---- */

/* A C function in the pass: the host decides, and the bits are the same. */
static void test_function(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  rp_op *op = gpu_add_one(c);
  rp_store *x = check_vector(c, 3, (double[]){1, 2, 3}), *go = make(c, RP_BOOL, 0);
  int64_t passes;
  OK(rp_trace_begin(c, 1));
  OK(EVAL(c, "x", "x = 2*x", x));
  OK(rp_launch(op, STORES(x), 1, NULL, 0));
  OK(EVAL(c, "go, x", "go = x[0] < 100.0", go, x));
  OK(rp_trace_repeat(c, 1, go, 100, &passes));
  assert_int_equal(passes, 5);
  check_values(x, (double[]){127, 191, 255});
  check_explains(c, "REPEAT_STEPS", NULL);
  OK(rp_store_release(x));
  OK(rp_store_release(go));
  end(c);
}

/* ---- each call of the driver fails ---- */

static rp_status lose(void) {
  rp_context *c = NULL;
  const rp_status made = gpu_context_try("", &c);
  if (made != RP_OK) return made;
  rp_store *x = NULL, *u = NULL, *go = NULL, *m[3] = {NULL, NULL, NULL};
  const int64_t n = 40;
  int64_t passes = 0;
  rp_status st = rp_store_create(c, RP_F64, 1, &n, &u);
  if (st == RP_OK) st = rp_store_create(c, RP_I64, 0, NULL, &x);
  if (st == RP_OK) st = rp_store_create(c, RP_BOOL, 0, NULL, &go);
  for (int32_t k = 0; k < 3 && st == RP_OK; k++) st = rp_store_slice(u, 0, k, n - 2 + k, 1, &m[k]);
  if (st == RP_OK) st = rp_trace_begin(c, 1);
  if (st == RP_OK) st = EVAL(c, "m, a, b", "m = 0.5*(a + b) + 1", m[1], m[0], m[2]);
  if (st == RP_OK) st = blend(c, u, u, 0.5);
  if (st == RP_OK) st = EVAL(c, "x", "x = x + 1", x);
  if (st == RP_OK) st = EVAL(c, "go, x", "go = x < 9", go, x);
  if (st == RP_OK) st = rp_trace_repeat(c, 1, go, 100, &passes);
  if (st == RP_OK) st = passes == 8 ? RP_OK : RP_ERR_INTERNAL;
  int64_t v = 0;
  if (st == RP_OK) st = rp_store_read(x, &v, sizeof v);
  if (st == RP_OK && v != 9) st = RP_ERR_INTERNAL;
  rp_store *all[] = {x, u, go, m[0], m[1], m[2]};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) (void)rp_store_release(all[i]);
  const rp_status end = rp_context_destroy(c);
  return st != RP_OK ? st : end;
}

static void test_each_call_fails(void **state) {
  (void)state;
  gpu_each_call_fails(lose, RP_OK);
}

/* ---- what is refused ---- */

static void test_refused(void **state) {
  (void)state;
  rp_context *c = check_context(""), *other = check_context("");
  rp_store *x = check_vector(c, 3, NULL), *go = make(c, RP_BOOL, 0), *f = make(c, RP_F32, 0);
  rp_store *elsewhere = make(other, RP_BOOL, 0);
  int64_t passes = 5;
  FAILS(RP_ERR_STATE, "trace 1 is not open", rp_trace_repeat(c, 1, go, 1, &passes));
  assert_int_equal(passes, 0);
  OK(rp_trace_begin(c, 1));
  FAILS(RP_ERR_STATE, "trace 2 is not open", rp_trace_repeat(c, 2, go, 1, NULL));
  FAILS(RP_ERR_STATE, "no launch", rp_trace_repeat(c, 1, go, 1, NULL));
  OK(EVAL(c, "x", "x = x + 1", x));
  FAILS(RP_ERR_ARGUMENT, "NULL", rp_trace_repeat(c, 1, NULL, 1, NULL));
  FAILS(RP_ERR_ARGUMENT, "another context", rp_trace_repeat(c, 1, elsewhere, 1, NULL));
  FAILS(RP_ERR_SHAPE, "3 elements", rp_trace_repeat(c, 1, x, 1, NULL));
  FAILS(RP_ERR_DTYPE, "f32", rp_trace_repeat(c, 1, f, 1, NULL));
  FAILS(RP_ERR_ARGUMENT, "most is -1", rp_trace_repeat(c, 1, go, -1, NULL));
  OK(EVAL(c, "go", "go = 1 < 2", go));
  OK(rp_trace_repeat(c, 1, go, 3, &passes)); /* all these have changed nothing */
  assert_int_equal(passes, 3);
  check_values(x, (double[]){4, 4, 4});
  OK(rp_trace_begin(c, 1));
  OK(EVAL(c, "x", "x = x + 1", x));
  double data[3];
  OK(rp_store_read(x, data, sizeof data));
  OK(EVAL(c, "x", "x = x + 1", x));
  FAILS(RP_ERR_STATE, "of the pass's 2 launches 1 have been run",
        rp_trace_repeat(c, 1, go, 1, NULL));
  OK(rp_trace_end(c, 1));
  check_values(x, (double[]){6, 6, 6});
  rp_store *all[] = {x, go, f};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) OK(rp_store_release(all[i]));
  OK(rp_store_release(elsewhere));
  OK(rp_context_destroy(c));
  OK(rp_context_destroy(other));
}

/* What each pass would have to decide anew: an array's size, the inverse of subscripts that change. */
static void test_refused_ops(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_op *op = NULL;
  OK(odd_ones_op(c, &op));
  rp_store *x = check_vector(c, 20, NULL), *y = NULL;
  rp_store *b = make(c, RP_I64, 20), *h = make(c, RP_F64, 20), *go = make(c, RP_BOOL, 0);
  OK(EVAL(c, "x", "x = index(0)", x));
  OK(EVAL(c, "b", "b = 19 - index(0)", b));
  OK(rp_trace_begin(c, 1));
  OK(EVAL(c, "h, b", "h[b[i]] += 1.0*b[i]", h, b));
  OK(EVAL(c, "b", "b = (b + 1) % 20", b));
  OK(EVAL(c, "go, h", "go = h[0] < 9.0", go, h));
  FAILS(RP_ERR_STATE, "subscripts of a scatter", rp_trace_repeat(c, 1, go, 5, NULL));
  OK(rp_trace_end(c, 1));
  OK(rp_store_create_unbound(c, RP_F64, 1, NULL, &y));
  OK(rp_trace_begin(c, 2));
  OK(rp_launch(op, STORES(y, x), 2, NULL, 0));
  OK(EVAL(c, "go, h", "go = h[1] < 9.0", go, h));
  FAILS(RP_ERR_STATE, "odd_ones makes arrays whose size it decides",
        rp_trace_repeat(c, 2, go, 5, NULL));
  OK(rp_trace_end(c, 2));
  assert_int_equal(rp_store_size(y), 10);
  rp_store *all[] = {b, h, go, x, y};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) OK(rp_store_release(all[i]));
  OK(rp_context_destroy(c));
}

int main(void) {
  if (gpu_missing()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_function), cmocka_unit_test(test_each_call_fails),
      cmocka_unit_test(test_refused), cmocka_unit_test(test_refused_ops)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
