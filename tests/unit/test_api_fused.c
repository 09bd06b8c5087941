/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_fused.c -- small programs that fused, replayed or late must do what they do task by
 * task: poison, C functions in place, shared copies, joined reductions, reductions over nothing,
 * launches that are refused. Random programs (tests/equal) found them; here they have names. */
#include "tests/support/api_group.h"

static rp_store *whole(int64_t n, const int64_t *data) {
  rp_store *s = NULL;
  OK(rp_store_create(ctx, RP_I64, 1, &n, &s));
  OK(rp_store_write(s, data, (size_t)n * sizeof *data));
  return s;
}

static bool poisoned(rp_store *s) {
  const rp_status st = rp_store_wait(s);
  assert_true(st == RP_OK || st == RP_ERR_DATA);
  return st == RP_ERR_DATA;
}

/* Of two gathers of one segment only the one that is out of range poisons, and the reason why they
 * are two kernels is given. */
static void test_which_gather(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 3, (double[]){5, 6, 7}), *y = check_vector(ctx, 3, NULL),
           *z = check_vector(ctx, 3, NULL);
  rp_store *good = whole(3, (int64_t[]){2, 1, 0}), *bad = whole(3, (int64_t[]){0, 3, 1});
  OK(EVAL(ctx, "y, x, i", "y[k] = x[i[k]]", y, x, good));
  OK(EVAL(ctx, "y, x, i", "y[k] = x[i[k]]", z, x, bad));
  check_values(y, (double[]){7, 6, 5});
  assert_true(poisoned(z));
  char *text = check_explained(ctx);
  assert_non_null(strstr(text, "FUSE_CHECKED"));
  free(text);
  drop(x), drop(y), drop(z), drop(good), drop(bad);
}

/* The gather's values are overwritten in the same kernel, but in a part of the buffer only. */
static void test_dead_gather(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 4, NULL), *part = NULL, *bad = whole(3, (int64_t[]){0, -1, 1});
  OK(rp_store_slice(x, 0, 1, INT64_MAX, 1, &part));
  OK(EVAL(ctx, "y, i", "y[k] = y[i[k]]", part, bad));
  OK(EVAL(ctx, "y", "y = 2", part));
  assert_true(poisoned(x));
  drop(x), drop(part), drop(bad);
}

/* A poisoned array is poisoned everywhere: also where an element is read that the failing task does
 * not write, by a host read that could do without it. */
static void test_read_beside(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 9, NULL), *part = NULL, *last = NULL, *v = NULL;
  rp_store *bad = whole(3, (int64_t[]){0, 1, 9});
  double value;
  OK(rp_store_slice(x, 0, 0, 3, 1, &part));
  OK(rp_store_project(x, 0, 8, &last));
  OK(rp_store_create(ctx, RP_F64, 0, NULL, &v));
  OK(EVAL(ctx, "y, i", "y[k] = y[i[k]]", part, bad));
  OK(EVAL(ctx, "y, a", "y = a", v, last));
  FAILS(RP_ERR_DATA, "out of range", rp_store_read(v, &value, sizeof value));
  drop(x), drop(part), drop(last), drop(v), drop(bad);
}

/* Tasks over nothing, on views that differ in shape and otherwise look alike. */
static void test_nothing_twice(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 1, (double[]){3}), *none = NULL, *one = NULL, *a = NULL,
           *b = NULL;
  OK(rp_store_slice(x, 0, 0, 0, 1, &none));
  OK(rp_store_project(x, 0, 0, &one));
  OK(rp_store_promote(one, 0, 0, &a));
  OK(rp_store_promote(one, 0, 1, &b));
  OK(EVAL(ctx, "y, a", "y = a", none, b));
  OK(EVAL(ctx, "y, a", "y = a; a = y", none, a));
  check_values(x, (double[]){3});
  drop(x), drop(none), drop(one), drop(a), drop(b);
}

/* The same loop at another size: what could go unchecked before cannot now. */
static void test_other_size(void **state) {
  (void)state;
  rp_store *c = check_vector(ctx, 20, NULL), *y = check_vector(ctx, 2, NULL);
  for (int64_t n = 10; n <= 30; n += 20) {
    rp_store *b = check_vector(ctx, n, NULL);
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "y, b, c", "y[i] = y[i]*(sum(k in 0..extent(b, 0)) c[k]*b[k])", y, b, c));
    OK(rp_trace_end(ctx, 1));
    assert_int_equal(poisoned(y), n > 20);
    drop(b);
  }
  drop(c), drop(y);
}

/* More index arrays than conditions on them are kept. */
static void test_many_indices(void **state) {
  (void)state;
  enum { N = 20 };
  rp_store *x = check_vector(ctx, 3, (double[]){5, 6, 7}), *y[N], *i[N];
  for (int64_t k = 0; k < N; k++) {
    i[k] = whole(2, (int64_t[]){2, k == N - 1 ? 1000000 : 0});
    y[k] = check_vector(ctx, 2, NULL);
  }
  for (int k = 0; k < N; k++) OK(EVAL(ctx, "y, x, i", "y[k] = x[i[k]]", y[k], x, i[k]));
  for (int k = 0; k < N; k++) {
    assert_int_equal(poisoned(y[k]), k == N - 1);
    drop(y[k]), drop(i[k]);
  }
  drop(x);
}

static void halve(double *y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] *= 0.5;
}

/* A C function changes a shared copy in place. */
static void test_function_on_copy(void **state) {
  (void)state;
  static const int32_t both[] = {RP_PRIV_READ_WRITE};
  static const rp_opaque_arg args[] = {{RP_ARG_PTR, 0, 0, 0, 0}, {RP_ARG_SIZE, 0, 0, 0, 0}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "halve",
                            .params = "y",
                            .privileges = both,
                            .function = (void (*)(void))halve,
                            .args = args,
                            .n_args = 2};
  rp_op *op = check_opaque(ctx, &d);
  rp_store *x = check_vector(ctx, 3, (double[]){2, 4, 6}), *y = check_vector(ctx, 3, NULL);
  OK(rp_store_copy(y, x));
  OK(rp_launch(op, &y, 1, NULL, 0));
  check_values(y, (double[]){1, 2, 3});
  check_values(x, (double[]){2, 4, 6});
  drop(x), drop(y);
}

/* One group renames the copy and writes the original, which the copy's old values still lie in. */
static void test_both_written(void **state) {
  (void)state;
  enum { N = 3000 };
  double want[N], start[N];
  int64_t back[N];
  for (int i = 0; i < N; i++) {
    start[i] = i;
    back[i] = N - 1 - i;
    want[i] = N - 1 - i;
  }
  rp_store *x = check_vector(ctx, N, start), *y = check_vector(ctx, N, NULL), *i = whole(N, back);
  OK(rp_store_copy(y, x));
  OK(EVAL(ctx, "y, i", "y[k] = y[i[k]]", y, i));
  OK(EVAL(ctx, "x", "x = -1", x));
  check_values(y, want);
  drop(x), drop(y), drop(i);
}

/* A reduction joins what its buffer held; the buffer is renamed, for a copy of it is alive, and from the
 * second pass on takes the memory of the pass before the last. */
static void test_join_renamed(void **state) {
  (void)state;
  const int64_t shape[] = {2, 8};
  double want[] = {0, 0}, before[] = {0, 0};
  rp_store *a = check_store(ctx, 2, shape, NULL), *s = check_vector(ctx, 2, NULL),
           *old = check_vector(ctx, 2, NULL);
  OK(EVAL(ctx, "a", "a = index(0) + 1.0", a));
  for (int pass = 0; pass < 6; pass++) {
    OK(rp_trace_begin(ctx, 2));
    OK(rp_store_copy(old, s));
    OK(EVAL(ctx, "s, a, old", "s[i] += a[i,j] + old[i]", s, a, old));
    OK(rp_trace_end(ctx, 2));
    for (int i = 0; i < 2; i++) {
      before[i] = want[i];
      want[i] += 8 * (i + 1) + 8 * before[i];
    }
  }
  check_values(s, want);
  check_values(old, before);
  drop(a), drop(s), drop(old);
}

/* One element is set by a prologue, others by a body that makes the buffer take a new instance. */
static void test_element_and_box(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 8, (double[]){0, 1, 2, 4, 8, 16, 32, 64}), *to, *from, *first;
  OK(rp_store_slice(x, 0, 3, 7, 1, &to));
  OK(rp_store_slice(x, 0, 2, 8, 1, &from));
  OK(rp_store_project(x, 0, 0, &first));
  OK(EVAL(ctx, "y, a", "y[i] = a[i] + a[i+2]", to, from));
  OK(EVAL(ctx, "y", "y max= 0.25", first));
  check_values(x, (double[]){0.25, 1, 2, 10, 20, 40, 80, 64});
  drop(x), drop(to), drop(from), drop(first);
}

/* Reductions over nothing write all they keep, and what reads the result comes behind. */
static void test_over_nothing(void **state) {
  (void)state;
  const int64_t shape[] = {3, 0};
  rp_store *none = check_store(ctx, 2, shape, NULL), *y = check_vector(ctx, 3, (double[]){7, 8, 9}),
           *s = check_store(ctx, 0, NULL, NULL), *t = check_store(ctx, 0, NULL, NULL);
  OK(EVAL(ctx, "y, a", "y[i] = min(k) a[i,k]", y, none));
  OK(EVAL(ctx, "s, a", "s = min(i, k) a[i,k]", s, none));
  OK(rp_store_copy(t, s));
  check_values(t, (double[]){1.0 / 0.0});
  check_values(y, (double[]){1.0 / 0.0, 1.0 / 0.0, 1.0 / 0.0});
  drop(none), drop(y), drop(s), drop(t);
}

/* Two outputs over nothing that would overlap if they were something. */
static void test_empty_outputs(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 1, (double[]){3}), *none = NULL, *one = NULL, *wide = NULL;
  OK(rp_store_slice(x, 0, 0, 0, 1, &none));
  OK(rp_store_project(x, 0, 0, &one));
  OK(rp_store_promote(one, 0, 0, &wide));
  OK(EVAL(ctx, "y, a", "y = a; a = y", none, wide));
  check_values(x, (double[]){3});
  drop(x), drop(none), drop(one), drop(wide);
}

/* A launch that is refused binds nothing: what waits for the next segment is not lost. */
static void test_refused(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 4, NULL), *y = check_vector(ctx, 4, NULL),
           *z = check_vector(ctx, 4, NULL);
  for (int pass = 0; pass < 8; pass++) {
    rp_store *other = pass == 7 ? check_vector(ctx, 3, NULL) : NULL;
    OK(rp_trace_begin(ctx, 3));
    const rp_status st = EVAL(ctx, "y, x", "y = x + 1", y, other ? other : x);
    assert_int_equal(st, other ? RP_ERR_SHAPE : RP_OK);
    OK(EVAL(ctx, "z", "z = z + 1", z));
    if (!other) OK(EVAL(ctx, "x", "x = x + 1", x));
    OK(rp_trace_end(ctx, 3));
    rp_store_release(other);
  }
  check_values(y, (double[]){7, 7, 7, 7});
  check_values(z, (double[]){8, 8, 8, 8});
  check_values(x, (double[]){7, 7, 7, 7});
  drop(x), drop(y), drop(z);
}

/* Inside a reduction, too, a subscript that is affine in the indices is checked by the launch. */
static void test_affine_in_loop(void **state) {
  (void)state;
  const int64_t shape[] = {2, 3};
  rp_store *a = check_store(ctx, 2, shape, NULL), *y = check_vector(ctx, 5, NULL);
  FAILS(RP_ERR_SHAPE, "axis 0", EVAL(ctx, "y, a", "y[i] = 1 + (max(k) a[i,k])", y, a));
  FAILS(RP_ERR_SHAPE, "axis 1", EVAL(ctx, "y, a", "y[i] = y[i]*(sum(k in 0..2) a[k,i+1])", y, a));
  drop(a), drop(y);
}

/* Functions of constants: the compiler does not take the liberty to know them better than libm does. */
static void test_constants(void **state) {
  (void)state;
  static const char *const bodies[] = {"y = tgamma(4.9) + 0*y", "y = tgamma(10.1) + 0*y",
                                       "y = tgamma(100.1) + 0*y", "y = lgamma(33.3) + 0*y"};
  rp_context *compiled = check_context("--tier 1");
  for (int i = 0; i < 4; i++) {
    rp_store *y = check_vector(ctx, 1, NULL), *z = check_vector(compiled, 1, NULL);
    OK(EVAL(ctx, "y", bodies[i], y));
    OK(EVAL(compiled, "y", bodies[i], z));
    const double want = check_scalar(y);
    check_values(z, &want);
    drop(y), drop(z);
  }
  assert_in_range(check_stat(compiled, "compiles"), 1, 4);
  OK(rp_context_destroy(compiled));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_read_beside),      TEST(test_nothing_twice),  TEST(test_which_gather),
      TEST(test_dead_gather),      TEST(test_other_size),     TEST(test_many_indices),
      TEST(test_function_on_copy), TEST(test_both_written),   TEST(test_join_renamed),
      TEST(test_over_nothing),     TEST(test_empty_outputs),  TEST(test_element_and_box),
      TEST(test_refused),          TEST(test_affine_in_loop), TEST(test_constants)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
