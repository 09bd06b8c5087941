/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_opaque.c -- opaque ops that declare more: constraints between their stores, and that
 * they may run in blocks of rows: which blocks, on which threads, with which results and errors. */
#include "tests/support/api_check.h"

#include <fenv.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { ROWS = 23, COLS = 5, MOST_CALLS = 64 };

static rp_context *ctx;
static rp_library *lib;

static void open_as(const char *more) {
  ctx = check_context(more);
  OK(rp_library_create(ctx, "lib", &lib));
}

static void open_with(int threads) {
  char more[64];
  snprintf(more, sizeof more, "--threads %d", threads);
  open_as(more);
}

static void close_it(void) { OK(rp_context_destroy(ctx)); }

/* ---- constraints -------------------------------------------------------------------------------- */

static void nothing(void) {}

static const int32_t privileges[] = {RP_PRIV_WRITE, RP_PRIV_READ, RP_PRIV_READ};

/* An op on stores y (written), a, w. */
static rp_status make(const char *name, void (*f)(void), const rp_opaque_arg *args, int32_t n_args,
                      int32_t flags, const rp_constraint *constraints, int32_t n,
                      int64_t block_rows, rp_op **out) {
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = name,
                            .params = "y, a, w",
                            .privileges = privileges,
                            .function = f,
                            .args = args,
                            .n_args = n_args,
                            .flags = flags,
                            .constraints = constraints,
                            .n_constraints = n,
                            .block_rows = block_rows};
  return rp_op_create_opaque(lib, &d, out);
}

static rp_status declare(int32_t flags, const rp_constraint *constraints, int32_t n) {
  static int number;
  char name[16];
  rp_op *op;
  snprintf(name, sizeof name, "op%d", number++);
  return make(name, nothing, NULL, 0, flags, constraints, n, 0, &op);
}

#define ALIGN(x, y, ax) \
  { .kind = RP_CONSTRAINT_ALIGN, .a = (x), .b = (y), .axis = (ax) }
#define BROADCAST(x) \
  { .kind = RP_CONSTRAINT_BROADCAST, .a = (x) }

static void test_declarations(void **state) {
  (void)state;
  open_with(1);
  const rp_constraint good[] = {ALIGN(0, 1, 0), BROADCAST(2)};
  rp_constraint c[2];
  OK(declare(RP_OPAQUE_SPLIT, good, 2));
  OK(declare(RP_OPAQUE_MAIN_THREAD, good, 2));
  FAILS(RP_ERR_ARGUMENT, "flags is 32", declare(32, good, 2));
  FAILS(RP_ERR_ARGUMENT, "excludes", declare(RP_OPAQUE_SPLIT | RP_OPAQUE_MAIN_THREAD, good, 2));
  FAILS(RP_ERR_ARGUMENT, "excludes", declare(RP_OPAQUE_SPLIT | RP_OPAQUE_SIDE_EFFECT, good, 2));
  FAILS(RP_ERR_ARGUMENT, "n_constraints is -1", declare(0, good, -1));
  FAILS(RP_ERR_ARGUMENT, "constraints NULL", declare(0, NULL, 1));
  FAILS(RP_ERR_ARGUMENT, "constraints[0].kind is 0", declare(0, (rp_constraint[1]){{0}}, 1));
  memcpy(c, good, sizeof c);
  c[1].kind = 99;
  FAILS(RP_ERR_ARGUMENT, "constraints[1].kind is 99", declare(0, c, 2));
  memcpy(c, good, sizeof c);
  c[0].b = 3;
  FAILS(RP_ERR_ARGUMENT, "stores 0 and 3 of 3", declare(0, c, 2));
  c[0].b = -1;
  FAILS(RP_ERR_ARGUMENT, "stores 0 and -1 of 3", declare(0, c, 2));
  memcpy(c, good, sizeof c);
  c[0].axis = 8;
  FAILS(RP_ERR_ARGUMENT, "axis 8", declare(0, c, 2));
  c[0].axis = -2;
  FAILS(RP_ERR_ARGUMENT, "axis -2", declare(0, c, 2));
  memcpy(c, good, sizeof c);
  c[1].a = 0;
  FAILS(RP_ERR_ARGUMENT, "store 0 is written", declare(0, c, 2));
  c[1].a = 2;
  c[1].axis = 1;
  FAILS(RP_ERR_ARGUMENT, "constraints[1] has b 0 and axis 1", declare(0, c, 2));
  /* What is cut must have its rows in common. */
  FAILS(RP_ERR_ARGUMENT, "store 2 is neither", declare(RP_OPAQUE_SPLIT, good, 1));
  FAILS(RP_ERR_ARGUMENT, "store 1 is neither", declare(RP_OPAQUE_SPLIT, &good[1], 1));
  memcpy(c, good, sizeof c);
  c[0].axis = 1;
  FAILS(RP_ERR_ARGUMENT, "store 1 is neither", declare(RP_OPAQUE_SPLIT, c, 2));
  const rp_constraint chain[] = {ALIGN(1, 2, RP_ALL_AXES), ALIGN(2, 0, 0)};
  OK(declare(RP_OPAQUE_SPLIT, chain, 2));
  close_it();
}

static void test_launches(void **state) {
  (void)state;
  open_with(2);
  const rp_constraint rows[] = {ALIGN(0, 1, 0), ALIGN(1, 2, RP_ALL_AXES)},
                      last[] = {ALIGN(1, 2, 1)};
  const int64_t m[] = {4, 3}, n[] = {4, 2}, k[] = {5, 3};
  rp_op *op, *column;
  OK(make("rows", nothing, NULL, 0, 0, rows, 2, 0, &op));
  OK(make("column", nothing, NULL, 0, 0, last, 1, 0, &column));
  rp_store *v4 = check_vector(ctx, 4, NULL), *v5 = check_vector(ctx, 5, NULL);
  rp_store *a = check_store(ctx, 2, m, NULL), *b = check_store(ctx, 2, n, NULL);
  rp_store *c = check_store(ctx, 2, k, NULL), *s = check_store(ctx, 0, NULL, NULL);
  for (int pass = 0; pass < 3; pass++) { /* recorded and replayed */
    OK(rp_trace_begin(ctx, 1));
    OK(rp_launch(op, STORES(v4, a, a), 3, NULL, 0));
    FAILS(RP_ERR_SHAPE,
          "lib.rows: stores[0] ('y') of shape (5,) and stores[1] ('a') of shape (4, 3)",
          rp_launch(op, STORES(v5, a, a), 3, NULL, 0));
    FAILS(RP_ERR_SHAPE, "one extent of axis 0", rp_launch(op, STORES(s, a, a), 3, NULL, 0));
    FAILS(RP_ERR_SHAPE, "shape (4, 3) and stores[2] ('w') of shape (4, 2) must have one shape",
          rp_launch(op, STORES(v4, a, b), 3, NULL, 0));
    FAILS(RP_ERR_SHAPE, "must have one shape", rp_launch(op, STORES(v4, a, v4), 3, NULL, 0));
    OK(rp_launch(column, STORES(v5, a, c), 3, NULL, 0));
    FAILS(RP_ERR_SHAPE, "one extent of axis 1", rp_launch(column, STORES(v5, a, b), 3, NULL, 0));
    FAILS(RP_ERR_SHAPE, "axis 1", rp_launch(column, STORES(v5, v4, v4), 3, NULL, 0));
    OK(rp_trace_end(ctx, 1));
  }
  OK(rp_wait(ctx));
  rp_store *all[] = {v4, v5, a, b, c, s};
  for (int i = 0; i < 6; i++) OK(rp_store_release(all[i]));
  close_it();
}

/* ---- a function that takes notes ---------------------------------------------------------------- */

static struct call {
  const double *first;
  int64_t rows, size_a, size_w;
  pthread_t thread;
  int rounding;
} calls[MOST_CALLS];
static atomic_int n_calls, to_meet;
static int64_t bad_row; /* the row whose block fails */

/* Waits, for a while, until as many blocks have begun as `to_meet` says. */
static void meet(void) {
  for (int i = 0; i < 20000 && atomic_load(&n_calls) < atomic_load(&to_meet); i++)
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* y[i] = sum over j of a[i, j]*w[j]; w has a double for each column, a any strides. */
static int weigh(double *y, int64_t y_stride, const double *a, int64_t rows, int64_t row_stride,
                 int64_t col_stride, int64_t size_a, const double *w, int64_t size_w) {
  const int k = atomic_fetch_add(&n_calls, 1);
  if (k < MOST_CALLS)
    calls[k] = (struct call){a, rows, size_a, size_w, pthread_self(), fegetround()};
  meet();
  int status = 0;
  for (int64_t i = 0; i < rows; i++) {
    y[i * y_stride] = 0;
    for (int64_t j = 0; j < size_w; j++)
      y[i * y_stride] += a[i * row_stride + j * col_stride] * w[j];
    if (a[i * row_stride] == (double)bad_row) status = 1;
  }
  return status;
}

static const rp_opaque_arg weigh_args[] = {
    {.kind = RP_ARG_PTR, .a = 0},    {.kind = RP_ARG_STRIDE, .a = 0},
    {.kind = RP_ARG_PTR, .a = 1},    {.kind = RP_ARG_EXTENT, .a = 1},
    {.kind = RP_ARG_STRIDE, .a = 1}, {.kind = RP_ARG_STRIDE, .a = 1, .b = 1},
    {.kind = RP_ARG_SIZE, .a = 1},   {.kind = RP_ARG_PTR, .a = 2},
    {.kind = RP_ARG_SIZE, .a = 2}};
static const rp_constraint weigh_rules[] = {ALIGN(0, 1, 0), BROADCAST(2)};

static rp_op *weigher(const char *name, int32_t flags, int64_t block_rows) {
  rp_op *op = NULL;
  OK(make(name, (void (*)(void))weigh, weigh_args, 9, flags | RP_OPAQUE_STATUS, weigh_rules, 2,
          block_rows, &op));
  return op;
}

static void forget(void) {
  atomic_store(&n_calls, 0);
  atomic_store(&to_meet, 0);
  bad_row = -1;
}

/* The blocks together are all rows, once each; every block's facts are its own. */
static void check_blocks(int64_t want_calls) {
  int64_t rows = 0;
  assert_int_equal(atomic_load(&n_calls), want_calls);
  for (int k = 0; k < want_calls; k++) {
    assert_true(calls[k].rows >= 1);
    assert_int_equal(calls[k].size_a, calls[k].rows * COLS);
    assert_int_equal(calls[k].size_w, COLS);
    for (int o = 0; o < k; o++) assert_ptr_not_equal(calls[k].first, calls[o].first);
    rows += calls[k].rows;
  }
  assert_int_equal(rows, ROWS);
}

typedef struct rig {
  rp_store *a, *w, *y, *parent, *parent_y;
} rig;

/* a[i, 0] is i; as a view of every second row from the end of a larger array if `odd`. */
static rig make_rig(bool odd) {
  const int64_t shape[] = {odd ? 2 * ROWS : ROWS, COLS};
  double data[2 * ROWS * COLS], w[COLS];
  for (int64_t i = 0; i < shape[0]; i++)
    for (int64_t j = 0; j < COLS; j++)
      data[i * COLS + j] = (odd ? (double)(2 * ROWS - 1 - i) / 2 : (double)i) + 10.0 * (double)j;
  for (int j = 0; j < COLS; j++) w[j] = j + 1;
  rig r = {.parent = check_store(ctx, 2, shape, data),
           .w = check_vector(ctx, COLS, w),
           .parent_y = check_vector(ctx, odd ? 3 * ROWS : ROWS, NULL)};
  OK(rp_store_slice(r.parent, 0, odd ? -1 : 0, odd ? INT64_MIN : INT64_MAX, odd ? -2 : 1, &r.a));
  OK(rp_store_slice(r.parent_y, 0, odd ? 1 : 0, INT64_MAX, odd ? 3 : 1, &r.y));
  return r;
}

static void drop_rig(rig *r) {
  rp_store *all[] = {r->a, r->w, r->y, r->parent, r->parent_y};
  for (int i = 0; i < 5; i++) OK(rp_store_release(all[i]));
}

static void check_weighed(rp_store *y) {
  double want[ROWS];
  for (int i = 0; i < ROWS; i++) {
    want[i] = 0;
    for (int j = 0; j < COLS; j++) want[i] += (i + 10.0 * j) * (j + 1);
  }
  check_values(y, want);
}

/* ---- blocks ------------------------------------------------------------------------------------- */

static void test_blocks(void **state) {
  (void)state;
  static const int threads[] = {1, 2, 7};
  for (int t = 0; t < 3; t++) {
    open_with(threads[t]);
    rp_op *op[] = {weigher("split", RP_OPAQUE_SPLIT, 1),
                   weigher("dense", RP_OPAQUE_SPLIT | RP_OPAQUE_DENSE, 1), weigher("whole", 0, 0),
                   weigher("main", RP_OPAQUE_MAIN_THREAD, 0)};
    for (int odd = 0; odd < 2; odd++)
      for (int k = 0; k < 4; k++) {
        rig r = make_rig(odd);
        for (int pass = 0; pass < 3; pass++) {
          forget();
          OK(rp_trace_begin(ctx, 8 * odd + k));
          OK(EVAL(ctx, "y", "y = -1", r.y)); /* it sees earlier launches, later ones see it */
          OK(rp_launch(op[k], STORES(r.y, r.a, r.w), 3, NULL, 0));
          OK(EVAL(ctx, "y", "y = y + 0", r.y));
          OK(rp_trace_end(ctx, 8 * odd + k));
          check_weighed(r.y);
          check_blocks(k < 2 ? threads[t] : 1);
          if (k >= 2) assert_true(pthread_equal(calls[0].thread, pthread_self()));
        }
        drop_rig(&r);
      }
    close_it();
  }
}

/* Blocks run at the same time, each on a thread of its own. */
static void test_together(void **state) {
  (void)state;
  open_with(3);
  rp_op *op = weigher("split", RP_OPAQUE_SPLIT, 1);
  rig r = make_rig(false);
  forget();
  atomic_store(&to_meet, 3);
  OK(rp_launch(op, STORES(r.y, r.a, r.w), 3, NULL, 0));
  check_weighed(r.y);
  check_blocks(3);
  int mine = 0;
  for (int k = 0; k < 3; k++) {
    mine += pthread_equal(calls[k].thread, pthread_self()) != 0;
    for (int o = 0; o < k; o++) assert_false(pthread_equal(calls[k].thread, calls[o].thread));
  }
  assert_int_equal(mine, 1);
  drop_rig(&r);
  close_it();
}

/* How many blocks are worth it. */
static void test_block_rows(void **state) {
  (void)state;
  open_with(7);
  rig r = make_rig(false);
  rp_op *op[] = {weigher("eight", RP_OPAQUE_SPLIT, 8), weigher("many", RP_OPAQUE_SPLIT, 100),
                 weigher("guess", RP_OPAQUE_SPLIT, 0)};
  static const int want[] = {ROWS / 8, 1,
                             1}; /* 23 rows of 48 bytes are not worth a second thread */
  for (int k = 0; k < 3; k++) {
    forget();
    OK(rp_launch(op[k], STORES(r.y, r.a, r.w), 3, NULL, 0));
    check_weighed(r.y);
    check_blocks(want[k]);
  }
  drop_rig(&r);
  close_it();
  ctx = check_context("--threads 7 --grain 300"); /* seven rows have 336 bytes */
  OK(rp_library_create(ctx, "lib", &lib));
  r = make_rig(false);
  rp_op *guess = weigher("guess", RP_OPAQUE_SPLIT, 0);
  forget();
  OK(rp_launch(guess, STORES(r.y, r.a, r.w), 3, NULL, 0));
  check_weighed(r.y);
  check_blocks(3);
  drop_rig(&r);
  close_it();
}

/* The failure of one block poisons what the launch writes, on every number of threads. */
static void test_one_fails(void **state) {
  (void)state;
  static const int threads[] = {1, 2, 7};
  for (int t = 0; t < 3; t++) {
    open_with(threads[t]);
    rp_op *op = weigher("split", RP_OPAQUE_SPLIT, 1);
    rig r = make_rig(false);
    for (int64_t row = 0; row < ROWS; row += ROWS - 1) {
      double v[ROWS];
      forget();
      bad_row = row;
      OK(rp_launch(op, STORES(r.y, r.a, r.w), 3, NULL, 0));
      FAILS(RP_ERR_DATA, "lib.split", rp_store_read(r.y, v, sizeof v));
      FAILS(RP_ERR_DATA, "reported failure", rp_wait(ctx));
      check_blocks(threads[t]);
      forget();
      OK(rp_launch(op, STORES(r.y, r.a, r.w), 3, NULL, 0));
      check_weighed(r.y); /* written anew: sound */
      OK(rp_wait(ctx));
    }
    drop_rig(&r);
    close_it();
  }
}

/* Every block runs in the application's rounding mode. */
static void test_mode(void **state) {
  (void)state;
  open_with(7);
  rp_op *op = weigher("split", RP_OPAQUE_SPLIT, 1);
  rig r = make_rig(false);
  fenv_t before;
  fegetenv(&before);
  for (int up = 0; up < 2; up++) {
    const int mode = up ? FE_UPWARD : FE_TONEAREST;
    fesetround(mode);
    forget();
    OK(rp_launch(op, STORES(r.y, r.a, r.w), 3, NULL, 0));
    OK(rp_wait(ctx));
    const int after = fegetround();
    fesetenv(&before);
    assert_int_equal(after, mode);
    check_blocks(7);
    for (int k = 0; k < 7; k++) assert_int_equal(calls[k].rounding, mode);
  }
  drop_rig(&r);
  close_it();
}

/* ---- stores that overlap ------------------------------------------------------------------------ */

static void add_up(double *y, const double *x, int64_t n) {
  atomic_fetch_add(&n_calls, 1);
  for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

static void test_overlaps(void **state) {
  (void)state;
  static const int32_t both[] = {RP_PRIV_READ_WRITE, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {
      {.kind = RP_ARG_PTR}, {.kind = RP_ARG_PTR, .a = 1}, {.kind = RP_ARG_SIZE}};
  static const rp_constraint rules[] = {ALIGN(0, 1, RP_ALL_AXES)};
  open_with(4);
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "add_up",
                            .params = "y, x",
                            .privileges = both,
                            .function = (void (*)(void))add_up,
                            .args = args,
                            .n_args = 3,
                            .flags = RP_OPAQUE_SPLIT,
                            .constraints = rules,
                            .n_constraints = 1,
                            .block_rows = 1};
  rp_op *op;
  OK(rp_op_create_opaque(lib, &d, &op));
  rp_store *x = check_vector(ctx, 9, (double[]){1, 1, 1, 1, 1, 1, 1, 1, 1}), *lo, *hi, *left,
           *right;
  OK(rp_store_slice(x, 0, 0, 8, 1, &lo));
  OK(rp_store_slice(x, 0, 1, 9, 1, &hi));
  OK(rp_store_slice(x, 0, 0, 4, 1, &left));
  OK(rp_store_slice(x, 0, 4, 8, 1, &right));
  forget();
  OK(rp_launch(op, STORES(hi, lo), 2, NULL, 0)); /* a running sum: in one piece */
  check_values(x, (double[]){1, 2, 3, 4, 5, 6, 7, 8, 9});
  assert_int_equal(atomic_load(&n_calls), 1);
  forget();
  OK(rp_launch(op, STORES(x, x), 2, NULL, 0)); /* the same box: row by row */
  check_values(x, (double[]){2, 4, 6, 8, 10, 12, 14, 16, 18});
  assert_int_equal(atomic_load(&n_calls), 4);
  forget();
  OK(rp_launch(op, STORES(left, right), 2, NULL, 0)); /* apart */
  check_values(x, (double[]){12, 16, 20, 24, 10, 12, 14, 16, 18});
  assert_int_equal(atomic_load(&n_calls), 4);
  /* Nothing to cut. */
  rp_store *s = check_store(ctx, 0, NULL, (double[]){3}), *none = check_vector(ctx, 0, NULL);
  forget();
  OK(rp_launch(op, STORES(s, s), 2, NULL, 0));
  OK(rp_launch(op, STORES(none, none), 2, NULL, 0));
  OK(rp_wait(ctx));
  assert_true(check_scalar(s) == 6);
  rp_store *all[] = {x, lo, hi, left, right, s, none};
  for (int i = 0; i < 7; i++) OK(rp_store_release(all[i]));
  close_it();
}

/* ---- calls from inside -------------------------------------------------------------------------- */

static atomic_int refused;
static void call_back(int64_t rows) {
  const rp_status st = rp_wait(ctx);
  atomic_fetch_add(&n_calls, 1);
  if (rows > 0 && (st == RP_ERR_STATE || st == RP_ERR_THREAD)) atomic_fetch_add(&refused, 1);
}

static void test_inside(void **state) {
  (void)state;
  static const int32_t rw[] = {RP_PRIV_READ_WRITE};
  static const rp_opaque_arg args[] = {{.kind = RP_ARG_EXTENT}};
  open_with(3);
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "inside",
                            .params = "x",
                            .privileges = rw,
                            .function = (void (*)(void))call_back,
                            .args = args,
                            .n_args = 1,
                            .flags = RP_OPAQUE_SPLIT,
                            .block_rows = 1};
  rp_op *op;
  OK(rp_op_create_opaque(lib, &d, &op));
  rp_store *x = check_vector(ctx, 9, NULL);
  forget();
  OK(rp_launch(op, STORES(x), 1, NULL, 0));
  OK(rp_wait(ctx));
  assert_int_equal(atomic_load(&n_calls), 3);
  assert_int_equal(atomic_load(&refused), 3);
  OK(rp_store_release(x));
  close_it();
}

static void count_it(double *y) {
  atomic_fetch_add(&n_calls, 1);
  y[0] = 5;
}

/* A host read runs a plan as far as its store needs: what comes behind is left for the next cut. (Where there is a GPU it
 * may run more of it.) */
static void test_read_before(void **state) {
  (void)state;
  static const rp_opaque_arg y_only[] = {{.kind = RP_ARG_PTR, .a = 0}};
  open_as("--threads 1 --gpus 0");
  rp_op *op;
  OK(make("count_it", (void (*)(void))count_it, y_only, 1, RP_OPAQUE_DENSE, NULL, 0, 0, &op));
  rp_store *x = check_vector(ctx, 100, NULL), *y = check_vector(ctx, 100, NULL);
  double got[100];
  atomic_store(&n_calls, 0);
  OK(EVAL(ctx, "x", "x = x + 1", x));
  OK(rp_launch(op, (rp_store *[]){y, x, x}, 3, NULL, 0));
  OK(rp_store_read(x, got, sizeof got));
  assert_true(got[0] == 1 && got[99] == 1);
  assert_int_equal(atomic_load(&n_calls), 0);
  OK(rp_store_read(y, got, sizeof got));
  assert_true(got[0] == 5);
  assert_int_equal(atomic_load(&n_calls), 1);
  OK(rp_store_release(x));
  OK(rp_store_release(y));
  close_it();
}

/* A description from before constraints existed. */
static void test_older_description(void **state) {
  (void)state;
  open_with(2);
  rp_opaque_desc d = {.struct_size = offsetof(rp_opaque_desc, constraints),
                      .name = "old",
                      .params = "y, a, w",
                      .privileges = privileges,
                      .function = nothing,
                      .constraints = (void *)&d,
                      .n_constraints = 77,
                      .reserved = 5,
                      .block_rows = -3};
  rp_op *op;
  OK(rp_op_create_opaque(lib, &d, &op));
  assert_int_equal(rp_op_n_stores(op), 3);
  d.struct_size = sizeof d;
  d.name = "new";
  FAILS(RP_ERR_ARGUMENT, "block_rows is -3", rp_op_create_opaque(lib, &d, &op));
  close_it();
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_declarations),
                                     cmocka_unit_test(test_launches),
                                     cmocka_unit_test(test_blocks),
                                     cmocka_unit_test(test_together),
                                     cmocka_unit_test(test_block_rows),
                                     cmocka_unit_test(test_one_fails),
                                     cmocka_unit_test(test_mode),
                                     cmocka_unit_test(test_overlaps),
                                     cmocka_unit_test(test_inside),
                                     cmocka_unit_test(test_read_before),
                                     cmocka_unit_test(test_older_description)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
