/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_op.c -- libraries, ops and launches through the public interface: parameters,
 * inferred outputs, opaque functions with every kind of argument, what a launch refuses. */
#include "tests/support/api_group.h"

static rp_library *lib;

static int setup_library(void **state) {
  setup(state);
  return rp_library_create(ctx, "lib", &lib) == RP_OK ? 0 : -1;
}

static rp_op *make(const char *name, const char *params, const char *body) {
  rp_op *op = NULL;
  OK(rp_op_create(lib, name, params, body, &op));
  return op;
}

/* ---- registration ---- */

static void test_register(void **state) {
  (void)state;
  rp_library *again = NULL;
  OK(rp_library_create(ctx, "lib", &again));
  assert_ptr_equal(again, lib);
  assert_ptr_equal(rp_library_context(lib), ctx);
  FAILS(RP_ERR_ARGUMENT, "empty", rp_library_create(ctx, "", &again));
  FAILS(RP_ERR_ARGUMENT, "NULL", rp_library_create(ctx, NULL, &again));
  rp_op *op = make("axpy", "y, a:f64, x", "y = a*x + y"), *same = NULL;
  assert_int_equal(rp_op_n_stores(op), 2);
  assert_int_equal(rp_op_n_scalars(op), 1);
  assert_int_equal(rp_op_privilege(op, 0), RP_PRIV_READ_WRITE);
  assert_int_equal(rp_op_privilege(op, 1), RP_PRIV_READ);
  assert_int_equal(rp_op_privilege(make("set", "y, x", "y = x"), 0), RP_PRIV_WRITE);
  OK(rp_op_create(lib, "axpy", "y, a:f64, x", "y = a*x + y", &same));
  assert_ptr_equal(same, op);
  FAILS(RP_ERR_ARGUMENT, "lib.axpy", rp_op_create(lib, "axpy", "y, a:f64, x", "y = a*x", &same));
  assert_null(same);
  FAILS(RP_ERR_ARGUMENT, "lib.axpy",
        rp_op_create(lib, "axpy", "y, a:f32, x", "y = a*x + y", &same));
  FAILS(RP_ERR_BODY, "lib.bad", rp_op_create(lib, "bad", "y, x", "y = x +", &same));
  FAILS(RP_ERR_BODY, "z", rp_op_create(lib, "bad", "y, x", "y = x + z", &same));
  FAILS(RP_ERR_ARGUMENT, "body", rp_op_create(lib, "bad", "y, x", NULL, &same));
  FAILS(RP_ERR_ARGUMENT, "params", rp_op_create(lib, "bad", NULL, "y = 1", &same));
  FAILS(RP_ERR_ARGUMENT, "name", rp_op_create(lib, NULL, "y", "y = 1", &same));
  assert_null(same);
  make("bad", "y, x", "y = x + 1"); /* a failed one leaves no trace */
}

static void test_scalars(void **state) {
  (void)state;
  rp_op *op = make("fma", "y, a:f64, x, k:i32", "y = a*x + k + y");
  rp_op *weak = make("weak", "y, a:float, x, k:int", "y = a*x + k");
  rp_store *x = check_vector(ctx, 3, (double[]){1, 2, 3}), *y = check_vector(ctx, 3, NULL);
  rp_store *x32 = NULL, *y32 = NULL;
  double a = 0.5;
  int32_t k = -2;
  int64_t wide = 7, n = 3;
  const void *scalars[] = {&a, &k}, *weak_scalars[] = {&a, &wide};
  OK(rp_launch(op, STORES(y, x), 2, scalars, 2));
  a = 100; /* values are taken at the launch */
  k = 100;
  check_values(y, (double[]){-1.5, -1, -0.5});
  a = 0.1;
  const float f[] = {1, 2, 3};
  float got[3];
  OK(rp_store_create(ctx, RP_F32, 1, &n, &x32));
  OK(rp_store_write(x32, f, sizeof f));
  rp_store *out[] = {NULL, x32};
  OK(rp_call(weak, out, 2, weak_scalars, 2));
  y32 = out[0];
  assert_int_equal(rp_store_dtype(y32), RP_F32); /* weak scalars widen nothing */
  OK(rp_store_read(y32, got, sizeof got));
  for (int i = 0; i < 3; i++) {
    volatile float product = 0.1f * f[i];
    assert_true(got[i] == product + 7.0f);
  }
  const void *one_null[] = {&a, NULL};
  FAILS(RP_ERR_ARGUMENT, "scalars[1]", rp_launch(op, STORES(y, x), 2, one_null, 2));
  FAILS(RP_ERR_ARGUMENT, "takes 2 stores and 2 scalars, not 2 and 1",
        rp_launch(op, STORES(y, x), 2, scalars, 1));
  FAILS(RP_ERR_ARGUMENT, "scalars is NULL", rp_launch(op, STORES(y, x), 2, NULL, 2));
  check_values(y, (double[]){-1.5, -1, -0.5});
  drop(x);
  drop(y);
  drop(x32);
  drop(y32);
}

static void test_call(void **state) {
  (void)state;
  rp_op *add = make("add", "y, a, b", "y = a + b");
  rp_op *total = make("total", "s, a", "s = sum(i) a[i]");
  rp_op *accumulate = make("acc", "s, a", "s += a");
  const int64_t col[] = {3, 1}, row[] = {1, 2};
  int16_t values[] = {1, 2, 3};
  rp_store *a = check_store(ctx, 2, row, (double[]){10, 20}), *b = NULL;
  OK(rp_store_create(ctx, RP_I16, 2, col, &b));
  OK(rp_store_write(b, values, sizeof values));
  rp_store *s[] = {NULL, a, b};
  OK(rp_call(add, s, 3, NULL, 0));
  assert_int_equal(rp_store_dtype(s[0]), RP_F64);
  assert_int_equal(rp_store_ndim(s[0]), 2);
  check_values(s[0], (double[]){11, 21, 12, 22, 13, 23});
  drop(s[0]);
  rp_store *flat = check_vector(ctx, 4, (double[]){1, 2, 3, 4}), *t[] = {NULL, flat};
  OK(rp_call(total, t, 2, NULL, 0));
  assert_int_equal(rp_store_ndim(t[0]), 0);
  assert_true(check_scalar(t[0]) == 10);
  rp_store *given = t[0]; /* an output that is there is used */
  OK(rp_call(total, t, 2, NULL, 0));
  assert_ptr_equal(t[0], given);
  drop(given);
  t[0] = NULL;
  FAILS(RP_ERR_ARGUMENT, "stores[0]", rp_call(accumulate, t, 2, NULL, 0)); /* it is read too */
  assert_null(t[0]);
  rp_store *u[] = {NULL, NULL, a};
  FAILS(RP_ERR_ARGUMENT, "stores[1]", rp_call(add, u, 3, NULL, 0));
  rp_store *v[] = {NULL, flat, a}; /* (4) and (1, 2) do not broadcast */
  FAILS(RP_ERR_SHAPE, "lib.add", rp_call(add, v, 3, NULL, 0));
  assert_null(v[0]);
  drop(a);
  drop(b);
  drop(flat);
}

static void test_eval(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 2, (double[]){1, 2}), *y = check_vector(ctx, 2, NULL);
  for (int i = 0; i < 3; i++) OK(EVAL(ctx, "y, x", "y = y + x", y, x));
  OK(EVAL(ctx, "x, y", "y = y + x", x, y)); /* the same text with other names is another op */
  check_values(y, (double[]){4, 8});
  check_values(x, (double[]){1, 2});
  FAILS(RP_ERR_BODY, "y = ", EVAL(ctx, "y", "y = (1", y));
  FAILS(RP_ERR_ARGUMENT, "takes 2 stores", EVAL(ctx, "y, x", "y = y + x", y));
  FAILS(RP_ERR_ARGUMENT, "body", rp_eval(ctx, "y", NULL, STORES(y), 1));
  FAILS(RP_ERR_ARGUMENT, "params", rp_eval(ctx, NULL, "y = 1", STORES(y), 1));
  drop(x);
  drop(y);
}

/* ---- what a launch refuses ---- */

static void test_refusals(void **state) {
  (void)state;
  rp_op *add = make("add", "y, a, b", "y = a + b"), *two = make("two", "p, q", "p = 1; q = 2");
  rp_op *shift = make("shift", "y, x", "y[i] = x[i + 2]");
  const int64_t n = 4, m = 6;
  rp_store *a = check_vector(ctx, 4, (double[]){1, 2, 3, 4}), *b = check_vector(ctx, 5, NULL);
  rp_store *y = check_vector(ctx, 4, NULL), *i32 = NULL, *big = NULL, *lo, *hi;
  OK(rp_store_create(ctx, RP_I32, 1, &n, &i32));
  OK(rp_store_create(ctx, RP_F64, 1, &m, &big));
  OK(rp_store_slice(big, 0, 0, 4, 1, &lo));
  OK(rp_store_slice(big, 0, 2, 6, 1, &hi));
  for (int pass = 0; pass < 3; pass++) { /* recorded and replayed */
    OK(rp_trace_begin(ctx, 1));
    OK(rp_launch(add, STORES(y, a, a), 3, NULL, 0));
    const int64_t before = check_stat(ctx, "launches");
    FAILS(RP_ERR_SHAPE, "lib.add", rp_launch(add, STORES(y, a, b), 3, NULL, 0));
    FAILS(RP_ERR_SHAPE, "lib.shift", rp_launch(shift, STORES(y, b), 2, NULL, 0)); /* x[5] of 5 */
    FAILS(RP_ERR_DTYPE, "lib.add", rp_launch(add, STORES(i32, a, a), 3, NULL, 0));
    FAILS(RP_ERR_ACCESS, "two", rp_launch(two, STORES(lo, hi), 2, NULL, 0));
    FAILS(RP_ERR_ARGUMENT, "stores[2]", rp_launch(add, STORES(y, a, NULL), 3, NULL, 0));
    FAILS(RP_ERR_ARGUMENT, "takes 3 stores", rp_launch(add, STORES(y, a), 2, NULL, 0));
    FAILS(RP_ERR_ARGUMENT, "stores is NULL", rp_launch(add, NULL, 3, NULL, 0));
    assert_int_equal(check_stat(ctx, "launches"), before);
    OK(rp_launch(add, STORES(y, y, a), 3, NULL, 0));
    OK(rp_launch(shift, STORES(y, big), 2, NULL, 0)); /* fits exactly */
    OK(rp_launch(add, STORES(y, y, a), 3, NULL, 0));
    OK(rp_trace_end(ctx, 1));
  }
  check_values(y, (double[]){1, 2, 3, 4});
  check_values(big, (double[6]){0});
  drop(a);
  drop(b);
  drop(y);
  drop(i32);
  drop(big);
  drop(lo);
  drop(hi);
}

/* ---- opaque ops ---- */

static int32_t calls;
static struct {
  const double *x;
  double *y;
  int64_t rows, cols, row_stride, col_stride, size, constant, missing_extent, missing_stride;
  float f;
  int8_t small;
  uint16_t word;
  uint64_t wide;
  double d;
  uint8_t truth;
} seen;

static void all_kinds(const double *x, int64_t rows, int64_t cols, int64_t row_stride,
                      int64_t col_stride, double *y, float f, int8_t small, int64_t size,
                      uint16_t word, uint64_t wide, int64_t constant, double d, uint8_t truth,
                      int64_t missing_extent, int64_t missing_stride) {
  calls++;
  seen.x = x;
  seen.y = y;
  seen.rows = rows;
  seen.cols = cols;
  seen.row_stride = row_stride;
  seen.col_stride = col_stride;
  seen.size = size;
  seen.constant = constant;
  seen.f = f;
  seen.small = small;
  seen.word = word;
  seen.wide = wide;
  seen.d = d;
  seen.truth = truth;
  seen.missing_extent = missing_extent;
  seen.missing_stride = missing_stride;
  for (int64_t i = 0; i < rows; i++) {
    y[i] = 0;
    for (int64_t j = 0; j < cols; j++) y[i] += x[i * row_stride + j * col_stride];
  }
}

static rp_op *opaque(const char *name, const char *params, const int32_t *privileges,
                     void (*f)(void), const rp_opaque_arg *args, int32_t n_args, int32_t flags) {
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = name,
                            .params = params,
                            .privileges = privileges,
                            .function = f,
                            .args = args,
                            .n_args = n_args,
                            .flags = flags};
  rp_op *op = NULL;
  OK(rp_op_create_opaque(lib, &d, &op));
  return op;
}

static const rp_opaque_arg kinds[] = {{.kind = RP_ARG_PTR, .a = 0},
                                      {.kind = RP_ARG_EXTENT, .a = 0, .b = 0},
                                      {.kind = RP_ARG_EXTENT, .a = 0, .b = 1},
                                      {.kind = RP_ARG_STRIDE, .a = 0, .b = 0},
                                      {.kind = RP_ARG_STRIDE, .a = 0, .b = 1},
                                      {.kind = RP_ARG_PTR, .a = 1},
                                      {.kind = RP_ARG_SCALAR, .a = 0},
                                      {.kind = RP_ARG_SCALAR, .a = 1},
                                      {.kind = RP_ARG_SIZE, .a = 0},
                                      {.kind = RP_ARG_SCALAR, .a = 2},
                                      {.kind = RP_ARG_SCALAR, .a = 3},
                                      {.kind = RP_ARG_CONST, .value = -1234567890123},
                                      {.kind = RP_ARG_SCALAR, .a = 4},
                                      {.kind = RP_ARG_SCALAR, .a = 5},
                                      {.kind = RP_ARG_EXTENT, .a = 1, .b = 1},
                                      {.kind = RP_ARG_STRIDE, .a = 1, .b = 1}};

static void test_opaque_arguments(void **state) {
  (void)state;
  static const int32_t privileges[] = {RP_PRIV_READ, RP_PRIV_WRITE};
  static const char params[] = "x, f:f32, k:i8, y, w:u16, l:u64, d:f64, b:bool";
  const int64_t shape[] = {4, 6};
  double all[24], want[3];
  for (int i = 0; i < 24; i++) all[i] = i;
  const float f = 1.5f;
  const int8_t small = -7;
  const uint16_t word = 65000;
  const uint64_t wide = 0xfedcba9876543210u;
  const double d = -0.25;
  const uint8_t truth = 1;
  const void *scalars[] = {&f, &small, &word, &wide, &d, &truth};
  rp_store *s = check_store(ctx, 2, shape, all), *rows, *x, *y = check_vector(ctx, 3, NULL);
  OK(rp_store_slice(s, 0, 1, 4, 1, &rows));
  OK(rp_store_slice(rows, 1, 5, INT64_MIN, -2, &x)); /* columns 5, 3, 1 of rows 1..3 */
  for (int dense = 0; dense < 2; dense++) {
    rp_op *op =
        opaque(dense ? "kinds_dense" : "kinds", params, privileges, (void (*)(void))all_kinds,
               kinds, sizeof kinds / sizeof *kinds, dense ? RP_OPAQUE_DENSE : 0);
    assert_int_equal(rp_op_n_stores(op), 2);
    assert_int_equal(rp_op_n_scalars(op), 6);
    OK(EVAL(ctx, "s", "s = s + 1", s)); /* it sees earlier launches */
    OK(EVAL(ctx, "y", "y = 99", y));
    OK(rp_launch(op, STORES(x, y), 2, scalars, 6));
    OK(EVAL(ctx, "y", "y = 2*y", y)); /* and later ones see it */
    calls = 0;
    for (int i = 0; i < 24; i++) all[i] += 1;
    for (int i = 0; i < 3; i++)
      want[i] = 2 * (all[6 * (i + 1) + 5] + all[6 * (i + 1) + 3] + all[6 * (i + 1) + 1]);
    check_values(y, want);
    assert_int_equal(calls, 1);
    assert_int_equal(seen.rows, 3);
    assert_int_equal(seen.cols, 3);
    assert_int_equal(seen.row_stride, dense ? 3 : 6);
    assert_int_equal(seen.col_stride, dense ? 1 : -2);
    assert_int_equal(seen.size, 9);
    assert_int_equal(seen.constant, -1234567890123);
    assert_int_equal(seen.missing_extent, 1);
    assert_int_equal(seen.missing_stride, 0);
    assert_true(seen.f == f && seen.d == d);
    assert_int_equal(seen.small, small);
    assert_int_equal(seen.word, word);
    assert_true(seen.wide == wide);
    assert_int_equal(seen.truth, 1);
  }
  check_values(s, all);
  drop(s);
  drop(rows);
  drop(x);
  drop(y);
}

static void fill_down(double *y, int64_t rows, int64_t row_stride, int64_t cols,
                      int64_t col_stride) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < cols; j++) y[i * row_stride + j * col_stride] += (double)(10 * i + j);
}

/* A dense function gets a copy of a view and its results come back into the view. */
static void test_opaque_dense_write(void **state) {
  (void)state;
  static const int32_t rw[] = {RP_PRIV_READ_WRITE};
  static const rp_opaque_arg args[] = {{.kind = RP_ARG_PTR},
                                       {.kind = RP_ARG_EXTENT, .b = 0},
                                       {.kind = RP_ARG_STRIDE, .b = 0},
                                       {.kind = RP_ARG_EXTENT, .b = 1},
                                       {.kind = RP_ARG_STRIDE, .b = 1}};
  for (int dense = 0; dense < 2; dense++) {
    rp_op *op = opaque(dense ? "down_dense" : "down", "y", rw, (void (*)(void))fill_down, args, 5,
                       dense ? RP_OPAQUE_DENSE : 0);
    const int64_t shape[] = {3, 4};
    double want[12];
    for (int i = 0; i < 12; i++) want[i] = i;
    rp_store *s = check_store(ctx, 2, shape, want), *tr, *part;
    OK(rp_store_transpose(s, (int32_t[]){1, 0}, &tr));
    OK(rp_store_slice(tr, 0, 3, INT64_MIN, -2, &part)); /* part[i, j] = s[j, 3 - 2 i] */
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 3; j++) want[4 * j + 3 - 2 * i] += 10 * i + j;
    OK(rp_launch(op, STORES(part), 1, NULL, 0));
    check_values(s, want);
    drop(s);
    drop(tr);
    drop(part);
  }
}

static int fail_if_negative(const double *x, double *y) {
  calls++;
  y[0] = x[0];
  return x[0] < 0;
}

static void test_opaque_status(void **state) {
  (void)state;
  static const int32_t privileges[] = {RP_PRIV_READ, RP_PRIV_WRITE};
  static const rp_opaque_arg args[] = {{.kind = RP_ARG_PTR}, {.kind = RP_ARG_PTR, .a = 1}};
  rp_op *op = opaque("check", "x, y", privileges, (void (*)(void))fail_if_negative, args, 2,
                     RP_OPAQUE_STATUS);
  rp_store *x = check_vector(ctx, 1, (double[]){4}), *y = check_vector(ctx, 1, NULL);
  rp_store *z = check_vector(ctx, 1, NULL);
  double v;
  OK(rp_launch(op, STORES(x, y), 2, NULL, 0));
  check_values(y, (double[]){4});
  for (int pass = 0; pass < 3; pass++) {
    OK(EVAL(ctx, "x", "x = -x", x));
    OK(rp_launch(op, STORES(x, y), 2, NULL, 0));
    OK(EVAL(ctx, "z, y", "z = y + 1", z, y));
    if (pass % 2 == 0) {
      FAILS(RP_ERR_DATA, "lib.check", rp_store_read(y, &v, sizeof v));
      FAILS(RP_ERR_DATA, "lib.check", rp_store_read(z, &v, sizeof v));
      FAILS(RP_ERR_DATA, "lib.check", rp_wait(ctx));
    } else {
      check_values(z, (double[]){5}); /* written anew: sound again */
      OK(rp_wait(ctx));
    }
  }
  drop(x);
  drop(y);
  drop(z);
}

static int32_t order[16], n_order;
static void note(int64_t which) { order[n_order++] = (int32_t)which; }

static void test_side_effects(void **state) {
  (void)state;
  rp_op *op[3];
  for (int i = 0; i < 3; i++) {
    const rp_opaque_arg args[] = {{.kind = RP_ARG_CONST, .value = i}};
    op[i] = opaque(i == 0   ? "n0"
                   : i == 1 ? "n1"
                            : "n2",
                   "", NULL, (void (*)(void))note, args, 1, RP_OPAQUE_SIDE_EFFECT);
  }
  rp_store *x = check_vector(ctx, 3, NULL);
  for (int pass = 0; pass < 3; pass++) {
    n_order = 0;
    OK(rp_trace_begin(ctx, 1));
    OK(rp_launch(op[2], NULL, 0, NULL, 0));
    assert_int_equal(n_order, 1); /* it ends a segment */
    OK(EVAL(ctx, "x", "x = x + 1", x));
    OK(rp_launch(op[0], NULL, 0, NULL, 0));
    OK(rp_launch(op[2], NULL, 0, NULL, 0));
    OK(rp_launch(op[1], NULL, 0, NULL, 0));
    OK(rp_trace_end(ctx, 1));
    OK(rp_wait(ctx));
    assert_int_equal(n_order, 4);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 0);
    assert_int_equal(order[2], 2);
    assert_int_equal(order[3], 1);
  }
  check_values(x, (double[]){3, 3, 3});
  /* Without side effects, a task whose outputs die unread does not run. */
  static const int32_t w[] = {RP_PRIV_READ, RP_PRIV_WRITE};
  static const rp_opaque_arg pointers[] = {{.kind = RP_ARG_PTR}, {.kind = RP_ARG_PTR, .a = 1}};
  rp_op *quiet = opaque("quiet", "x, y", w, (void (*)(void))fail_if_negative, pointers, 2, 0);
  rp_store *y = check_vector(ctx, 3, NULL);
  calls = 0;
  OK(rp_launch(quiet, STORES(x, y), 2, NULL, 0));
  drop(y);
  OK(rp_wait(ctx));
  assert_int_equal(calls, 0);
  assert_int_equal(check_stat(ctx, "dead_tasks"), 1);
  drop(x);
}

static void test_opaque_refusals(void **state) {
  (void)state;
  static const int32_t read[] = {RP_PRIV_READ}, none[] = {0};
  rp_opaque_arg arg = {.kind = RP_ARG_PTR};
  rp_opaque_desc d = {.struct_size = sizeof d,
                      .name = "o",
                      .params = "x",
                      .privileges = read,
                      .function = (void (*)(void))note,
                      .args = &arg,
                      .n_args = 1};
  rp_op *op = NULL;
  arg.a = 1;
  FAILS(RP_ERR_ARGUMENT, "args[0].a", rp_op_create_opaque(lib, &d, &op));
  arg = (rp_opaque_arg){.kind = 99};
  FAILS(RP_ERR_ARGUMENT, "args[0].kind is 99", rp_op_create_opaque(lib, &d, &op));
  arg = (rp_opaque_arg){.kind = RP_ARG_EXTENT, .b = 8};
  FAILS(RP_ERR_ARGUMENT, "args[0].b", rp_op_create_opaque(lib, &d, &op));
  arg = (rp_opaque_arg){.kind = RP_ARG_SCALAR};
  FAILS(RP_ERR_ARGUMENT, "args[0].a", rp_op_create_opaque(lib, &d, &op));
  arg = (rp_opaque_arg){.kind = RP_ARG_PTR};
  d.privileges = none;
  FAILS(RP_ERR_ARGUMENT, "privileges[0] is 0", rp_op_create_opaque(lib, &d, &op));
  d.privileges = read;
  d.params = "x, a:f65";
  FAILS(RP_ERR_ARGUMENT, "f65", rp_op_create_opaque(lib, &d, &op));
  d.params = "x";
  d.function = NULL;
  FAILS(RP_ERR_ARGUMENT, "function", rp_op_create_opaque(lib, &d, &op));
  d.function = (void (*)(void))note;
  d.n_args = -1;
  FAILS(RP_ERR_ARGUMENT, "n_args is -1", rp_op_create_opaque(lib, &d, &op));
  d.n_args = 1;
  d.struct_size = 3;
  FAILS(RP_ERR_ARGUMENT, "struct_size is 3", rp_op_create_opaque(lib, &d, &op));
  d.struct_size = sizeof d + 8;
  FAILS(RP_ERR_ARGUMENT, "struct_size", rp_op_create_opaque(lib, &d, &op));
  d.struct_size = sizeof d;
  assert_null(op);
  OK(rp_op_create_opaque(lib, &d, &op));
  FAILS(RP_ERR_ARGUMENT, "lib.o", rp_op_create_opaque(lib, &d, &op)); /* the name is taken */
  OK(rp_op_create(lib, "p", "x", "x = 1", &op));
  d.name = "p";
  FAILS(RP_ERR_ARGUMENT, "lib.p", rp_op_create_opaque(lib, &d, &op));
  d.name = "q";
  OK(rp_op_create_opaque(lib, &d, &op));
  rp_store *out[] = {NULL};
  FAILS(RP_ERR_ARGUMENT, "", rp_call(op, out, 1, NULL, 0));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_library, teardown)
  const struct CMUnitTest tests[] = {TEST(test_register),
                                     TEST(test_scalars),
                                     TEST(test_call),
                                     TEST(test_eval),
                                     TEST(test_refusals),
                                     TEST(test_opaque_arguments),
                                     TEST(test_opaque_dense_write),
                                     TEST(test_opaque_status),
                                     TEST(test_side_effects),
                                     TEST(test_opaque_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
