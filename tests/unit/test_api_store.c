/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_store.c -- stores through the public interface: limits of create, lent memory,
 * host access, every view against index arithmetic done here, poisoned data. */
#include "tests/support/api_group.h"

/* ---- create ---- */

static void test_create(void **state) {
  (void)state;
  static const int64_t eight[] = {1, 2, 1, 2, 1, 2, 1, 3}, nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  static const int64_t empty[] = {3, 0, 4}, bad[] = {3, -2}, huge[] = {1ll << 40, 1ll << 40};
  rp_store *s;
  OK(rp_store_create(ctx, RP_I16, 8, eight, &s));
  assert_int_equal(rp_store_dtype(s), RP_I16);
  assert_int_equal(rp_store_ndim(s), 8);
  assert_int_equal(rp_store_extent(s, 7), 3);
  assert_int_equal(rp_store_extent(s, 8), -1);
  assert_int_equal(rp_store_extent(s, -1), -1);
  assert_int_equal(rp_store_size(s), 24);
  assert_int_equal(check_stat(ctx, "memory_live"), 0); /* no memory before it is needed */
  int16_t v[24], one = 1;
  memset(v, 1, sizeof v);
  OK(rp_store_read(s, v, sizeof v));
  for (int i = 0; i < 24; i++) assert_int_equal(v[i], 0);
  OK(rp_store_fill(s, &one));
  OK(rp_store_read(s, v, sizeof v));
  for (int i = 0; i < 24; i++) assert_int_equal(v[i], 1);
  drop(s);
  OK(rp_store_create(ctx, RP_F64, 3, empty, &s));
  assert_int_equal(rp_store_size(s), 0);
  OK(rp_store_read(s, NULL, 0));
  OK(rp_store_write(s, NULL, 0));
  OK(EVAL(ctx, "s", "s = s + 1", s));
  OK(rp_store_wait(s));
  drop(s);
  OK(rp_store_create(ctx, RP_F64, 0, NULL, &s));
  assert_int_equal(rp_store_size(s), 1);
  assert_true(check_scalar(s) == 0);
  drop(s);
  s = (rp_store *)&s;
  FAILS(RP_ERR_SHAPE, "9", rp_store_create(ctx, RP_F64, 9, nine, &s));
  assert_null(s);
  FAILS(RP_ERR_SHAPE, "-1", rp_store_create(ctx, RP_F64, -1, NULL, &s));
  FAILS(RP_ERR_SHAPE, "-2", rp_store_create(ctx, RP_F64, 2, bad, &s));
  FAILS(RP_ERR_SHAPE, "2^63", rp_store_create(ctx, RP_U8, 2, huge, &s));
  FAILS(RP_ERR_DTYPE, "11", rp_store_create(ctx, 11, 1, nine, &s));
  FAILS(RP_ERR_ARGUMENT, "shape", rp_store_create(ctx, RP_F64, 1, NULL, &s));
  FAILS(RP_ERR_ARGUMENT, "out", rp_store_create(ctx, RP_F64, 1, nine, NULL));
  const float pi = 3.25f;
  OK(rp_store_scalar(ctx, RP_F32, &pi, &s));
  float got = 0;
  OK(rp_store_read(s, &got, sizeof got));
  assert_true(got == pi);
  assert_int_equal(rp_store_ndim(s), 0);
  drop(s);
  FAILS(RP_ERR_ARGUMENT, "value", rp_store_scalar(ctx, RP_F32, NULL, &s));
  FAILS(RP_ERR_DTYPE, "-3", rp_store_scalar(ctx, -3, &pi, &s));
  assert_null(s);
}

/* ---- lent memory ---- */

static rp_store *lend(double *data, int64_t n, int32_t access) {
  rp_store *s;
  OK(rp_store_attach(ctx, RP_F64, 1, &n, data, access, &s));
  return s;
}

static void test_attach(void **state) {
  (void)state;
  double a[6] = {1, 2, 3, 4, 5, 6};
  int64_t n = 3;
  rp_store *s = lend(a, 3, RP_READ_WRITE), *t = NULL;
  FAILS(RP_ERR_ACCESS, "overlap", rp_store_attach(ctx, RP_F64, 1, &n, a + 2, RP_READ_ONLY, &t));
  assert_null(t);
  FAILS(RP_ERR_ARGUMENT, "aligned",
        rp_store_attach(ctx, RP_F64, 1, &n, (char *)a + 4, RP_READ_ONLY, &t));
  FAILS(RP_ERR_ARGUMENT, "data", rp_store_attach(ctx, RP_F64, 1, &n, NULL, RP_READ_ONLY, &t));
  FAILS(RP_ERR_ARGUMENT, "7", rp_store_attach(ctx, RP_F64, 1, &n, a + 3, 7, &t));
  t = lend(a + 3, 3, RP_READ_ONLY);
  check_values(t, (double[]){4, 5, 6});
  OK(EVAL(ctx, "s, t", "s = s + t", s, t));
  OK(rp_store_home(s));
  for (int i = 0; i < 3; i++) assert_true(a[i] == 2 * i + 5);
  /* Views of it stay; a renaming in between comes home too. */
  rp_store *lo, *hi;
  OK(rp_store_slice(s, 0, 0, 2, 1, &lo));
  OK(rp_store_slice(s, 0, 1, 3, 1, &hi));
  OK(EVAL(ctx, "hi, lo", "hi = lo", hi, lo));
  OK(rp_store_home(lo));
  assert_true(a[0] == 5 && a[1] == 5 && a[2] == 7);
  OK(EVAL(ctx, "s", "s = 2*s", s));
  OK(rp_store_detach(hi));
  assert_true(a[0] == 10 && a[1] == 10 && a[2] == 14);
  a[0] = a[1] = a[2] = -1;
  check_values(s, (double[]){10, 10, 14});
  check_values(lo, (double[]){10, 10});
  OK(EVAL(ctx, "s", "s = s + 1", s));
  check_values(hi, (double[]){11, 15});
  assert_true(a[1] == -1);
  FAILS(RP_ERR_STATE, "not attached", rp_store_home(s));
  FAILS(RP_ERR_STATE, "not attached", rp_store_detach(s));
  /* The memory is free again. */
  rp_store *again = lend(a, 3, RP_READ_WRITE);
  check_values(again, (double[]){-1, -1, -1});
  drop(again);
  drop(s);
  drop(lo);
  drop(hi);
  /* Read-only. */
  double v[3] = {0};
  FAILS(RP_ERR_ACCESS, "read-only", EVAL(ctx, "t", "t = 1", t));
  FAILS(RP_ERR_ACCESS, "read-only", rp_store_write(t, v, sizeof v));
  FAILS(RP_ERR_ACCESS, "read-only", rp_store_fill(t, v));
  OK(rp_store_detach(t));
  OK(EVAL(ctx, "t", "t = t + 1", t));
  check_values(t, (double[]){5, 6, 7});
  assert_true(a[3] == 4);
  drop(t);
}

/* A copy may share lent memory only as long as it is lent. */
static void test_attach_copy(void **state) {
  (void)state;
  enum { N = 5000 };
  for (int way = 0; way < 2; way++) {
    double *a = malloc(N * sizeof *a);
    assert_non_null(a);
    for (int i = 0; i < N; i++) a[i] = i;
    rp_store *s = lend(a, N, RP_READ_WRITE), *t = check_vector(ctx, N, NULL);
    OK(rp_store_copy(t, s));
    OK(rp_wait(ctx));
    if (way == 0) OK(rp_store_detach(s));
    drop(s);
    free(a);
    double *got = malloc(N * sizeof *got);
    assert_non_null(got);
    OK(rp_store_read(t, got, N * sizeof *got));
    for (int i = 0; i < N; i++) assert_true(got[i] == i);
    free(got);
    drop(t);
  }
}

/* Tasks that were launched on lent memory have run when its last handle is released. */
static void test_attach_release(void **state) {
  (void)state;
  double *a = malloc(3 * sizeof *a);
  assert_non_null(a);
  a[0] = a[1] = a[2] = 2;
  rp_store *s = lend(a, 3, RP_READ_ONLY), *t = check_vector(ctx, 3, NULL);
  OK(EVAL(ctx, "t, s", "t = 3*s", t, s));
  drop(s);
  free(a);
  check_values(t, (double[]){6, 6, 6});
  drop(t);
}

/* ---- host access ---- */

static void test_parts(void **state) {
  (void)state;
  const int64_t shape[] = {4, 5}, lo[] = {1, 2}, hi[] = {3, 5}, out[] = {3, 6}, back[] = {0, 2};
  double all[20], part[6];
  for (int i = 0; i < 20; i++) all[i] = i;
  rp_store *s = check_store(ctx, 2, shape, all), *t;
  OK(rp_store_read_part(s, lo, hi, part, sizeof part));
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 3; j++) assert_true(part[3 * i + j] == 5 * (i + 1) + j + 2);
  for (int i = 0; i < 6; i++) part[i] = -i;
  OK(rp_store_write_part(s, lo, hi, part, sizeof part));
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 3; j++) all[5 * (i + 1) + j + 2] = -(3 * i + j);
  check_values(s, all);
  /* Through a view: t[i, j] = s[3 - i, j]. */
  OK(rp_store_slice(s, 0, 3, INT64_MIN, -1, &t));
  OK(rp_store_read_part(t, lo, hi, part, sizeof part));
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 3; j++) assert_true(part[3 * i + j] == all[5 * (2 - i) + j + 2]);
  drop(t);
  FAILS(RP_ERR_ARGUMENT, "40", rp_store_read_part(s, lo, hi, part, 40));
  FAILS(RP_ERR_ARGUMENT, "6", rp_store_read_part(s, lo, out, part, sizeof part));
  FAILS(RP_ERR_ARGUMENT, "", rp_store_write_part(s, hi, back, part, sizeof part));
  FAILS(RP_ERR_ARGUMENT, "lo", rp_store_read_part(s, NULL, hi, part, sizeof part));
  FAILS(RP_ERR_ARGUMENT, "160", rp_store_read(s, all, sizeof all - 8));
  FAILS(RP_ERR_ARGUMENT, "data", rp_store_read(s, NULL, sizeof all));
  FAILS(RP_ERR_ARGUMENT, "152", rp_store_write(s, all, sizeof all - 8));
  FAILS(RP_ERR_ARGUMENT, "value", rp_store_fill(s, NULL));
  check_values(s, all);
  const int64_t none[] = {1, 2};
  OK(rp_store_read_part(s, lo, none, NULL, 0)); /* an empty box */
  drop(s);
}

static void test_copy(void **state) {
  (void)state;
  rp_store *a = check_vector(ctx, 4, (double[]){1, 2, 3, 4}), *b = check_vector(ctx, 4, NULL);
  rp_store *c = check_vector(ctx, 5, NULL), *f, *lo, *hi;
  const int64_t n = 4;
  OK(rp_store_create(ctx, RP_F32, 1, &n, &f));
  FAILS(RP_ERR_SHAPE, "shape", rp_store_copy(c, a));
  FAILS(RP_ERR_DTYPE, "f32", rp_store_copy(f, a));
  FAILS(RP_ERR_ARGUMENT, "src", rp_store_copy(a, NULL));
  OK(rp_store_copy(b, a));
  OK(EVAL(ctx, "a", "a = -a", a));
  check_values(b, (double[]){1, 2, 3, 4});
  check_values(a, (double[]){-1, -2, -3, -4});
  OK(rp_store_copy(b, b));
  check_values(b, (double[]){1, 2, 3, 4});
  OK(rp_store_slice(b, 0, 0, 3, 1, &lo));
  OK(rp_store_slice(b, 0, 1, 4, 1, &hi));
  OK(rp_store_copy(hi, lo)); /* overlap: reads see the state before */
  check_values(b, (double[]){1, 1, 2, 3});
  OK(rp_store_copy(lo, hi));
  check_values(b, (double[]){1, 2, 3, 3});
  drop(a);
  drop(b);
  drop(c);
  drop(f);
  drop(lo);
  drop(hi);
}

/* ---- views ---- */

/* Python's slice of 0..n-1: the indices in order. */
static int slice_oracle(int64_t n, int64_t start, int64_t stop, int64_t step, double *out) {
  const int64_t lowest = step < 0 ? -1 : 0, highest = step < 0 ? n - 1 : n;
  const bool to_end = (step > 0 && stop == INT64_MAX) || (step < 0 && stop == INT64_MIN);
  if (start < 0) start += n;
  start = start < lowest ? lowest : start > highest ? highest : start;
  if (!to_end && stop < 0) stop += n;
  stop = stop < lowest ? lowest : stop > highest ? highest : stop;
  if (to_end) stop = step > 0 ? n : -1;
  int k = 0;
  for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) out[k++] = (double)i;
  return k;
}

static void test_slices(void **state) {
  (void)state;
  static const int64_t bound[] = {INT64_MIN, -9, -7, -3, -1, 0, 1, 3, 6, 7, 9, INT64_MAX};
  static const int64_t step[] = {1, 2, 3, 8, -1, -2, -8};
  double want[8], all[7] = {0, 1, 2, 3, 4, 5, 6};
  rp_store *s = check_vector(ctx, 7, all), *v;
  for (size_t a = 0; a < sizeof bound / sizeof *bound; a++)
    for (size_t b = 0; b < sizeof bound / sizeof *bound; b++)
      for (size_t c = 0; c < sizeof step / sizeof *step; c++) {
        if (bound[a] == INT64_MIN || bound[a] == INT64_MAX) continue;
        const int n = slice_oracle(7, bound[a], bound[b], step[c], want);
        OK(rp_store_slice(s, 0, bound[a], bound[b], step[c], &v));
        if (rp_store_size(v) != n)
          fail_msg("[%lld:%lld:%lld] has %lld elements, not %d", (long long)bound[a],
                   (long long)bound[b], (long long)step[c], (long long)rp_store_size(v), n);
        check_values(v, want);
        drop(v);
      }
  v = s;
  FAILS(RP_ERR_ARGUMENT, "step", rp_store_slice(s, 0, 0, 7, 0, &v));
  assert_null(v);
  FAILS(RP_ERR_ARGUMENT, "1", rp_store_slice(s, 1, 0, 7, 1, &v));
  FAILS(RP_ERR_ARGUMENT, "out", rp_store_slice(s, 0, 0, 7, 1, NULL));
  drop(s);
}

static void expect_shape(rp_store *s, int32_t ndim, const int64_t *shape) {
  assert_int_equal(rp_store_ndim(s), ndim);
  for (int32_t d = 0; d < ndim; d++) assert_int_equal(rp_store_extent(s, d), shape[d]);
}

static void test_views(void **state) {
  (void)state;
  const int64_t shape[] = {2, 3, 4};
  double all[24], want[48];
  for (int i = 0; i < 24; i++) all[i] = i;
  rp_store *s = check_store(ctx, 3, shape, all), *v, *w;
  int k = 0;
  OK(rp_store_transpose(s, (int32_t[]){2, 0, 1}, &v));
  expect_shape(v, 3, (int64_t[]){4, 2, 3});
  for (int a = 0; a < 4; a++)
    for (int b = 0; b < 2; b++)
      for (int c = 0; c < 3; c++) want[k++] = 12 * b + 4 * c + a;
  check_values(v, want);
  FAILS(RP_ERR_SHAPE, "", rp_store_reshape(v, 1, (int64_t[]){24}, &w)); /* needs a copy */
  assert_null(w);
  drop(v);
  FAILS(RP_ERR_ARGUMENT, "", rp_store_transpose(s, (int32_t[]){0, 0, 1}, &v));
  FAILS(RP_ERR_ARGUMENT, "", rp_store_transpose(s, (int32_t[]){0, 3, 1}, &v));
  assert_null(v);
  OK(rp_store_box(s, (int64_t[]){0, 1, 1}, (int64_t[]){2, 3, 3}, &v));
  expect_shape(v, 3, (int64_t[]){2, 2, 2});
  k = 0;
  for (int a = 0; a < 2; a++)
    for (int b = 1; b < 3; b++)
      for (int c = 1; c < 3; c++) want[k++] = 12 * a + 4 * b + c;
  check_values(v, want);
  drop(v);
  FAILS(RP_ERR_ARGUMENT, "5", rp_store_box(s, (int64_t[]){0, 1, 1}, (int64_t[]){2, 3, 5}, &v));
  FAILS(RP_ERR_ARGUMENT, "-1", rp_store_box(s, (int64_t[]){0, -1, 1}, (int64_t[]){2, 3, 4}, &v));
  assert_null(v);
  OK(rp_store_project(s, 1, 2, &v));
  expect_shape(v, 2, (int64_t[]){2, 4});
  for (int i = 0; i < 8; i++) want[i] = 12 * (i / 4) + 8 + i % 4;
  check_values(v, want);
  OK(rp_store_project(v, 0, 1, &w));
  check_values(w, (double[]){20, 21, 22, 23});
  drop(w);
  drop(v);
  FAILS(RP_ERR_ARGUMENT, "3", rp_store_project(s, 1, 3, &v));
  FAILS(RP_ERR_ARGUMENT, "7", rp_store_project(s, 7, 0, &v));
  assert_null(v);
  OK(rp_store_reshape(s, 2, (int64_t[]){-1, 8}, &v));
  expect_shape(v, 2, (int64_t[]){3, 8});
  check_values(v, all);
  OK(EVAL(ctx, "v", "v = v + 0", v)); /* writing through it is allowed */
  drop(v);
  FAILS(RP_ERR_SHAPE, "", rp_store_reshape(s, 2, (int64_t[]){-1, 7}, &v));
  FAILS(RP_ERR_SHAPE, "", rp_store_reshape(s, 2, (int64_t[]){-1, -1}, &v));
  assert_null(v);
  FAILS(RP_ERR_ARGUMENT, "hi", rp_store_box(s, shape, NULL, &v));
  FAILS(RP_ERR_ARGUMENT, "axes", rp_store_transpose(s, NULL, &v));
  FAILS(RP_ERR_ARGUMENT, "shape", rp_store_reshape(s, 2, NULL, &v));
  FAILS(RP_ERR_ARGUMENT, "shape", rp_store_broadcast(s, 4, NULL, &v));
  drop(s);
}

static void test_broadcasts(void **state) {
  (void)state;
  const double three[3] = {1, 2, 3};
  double v6[6] = {0};
  rp_store *s = check_vector(ctx, 3, three), *b, *p, *q;
  OK(rp_store_broadcast(s, 2, (int64_t[]){2, 3}, &b));
  expect_shape(b, 2, (int64_t[]){2, 3});
  check_values(b, (double[]){1, 2, 3, 1, 2, 3});
  FAILS(RP_ERR_ACCESS, "twice", rp_store_write(b, v6, sizeof v6));
  FAILS(RP_ERR_ACCESS, "twice", EVAL(ctx, "b", "b = 1", b));
  FAILS(RP_ERR_ACCESS, "twice", rp_store_fill(b, v6));
  OK(rp_store_promote(s, 1, 2, &p));
  expect_shape(p, 2, (int64_t[]){3, 2});
  check_values(p, (double[]){1, 1, 2, 2, 3, 3});
  FAILS(RP_ERR_ACCESS, "twice", rp_store_write(p, v6, sizeof v6));
  drop(p);
  OK(rp_store_promote(s, 0, 1, &p)); /* extent 1 shows nothing twice */
  OK(EVAL(ctx, "p", "p = p + 1", p));
  check_values(s, (double[]){2, 3, 4});
  check_values(b, (double[]){2, 3, 4, 2, 3, 4});
  FAILS(RP_ERR_SHAPE, "", rp_store_broadcast(s, 2, (int64_t[]){3, 2}, &q));
  FAILS(RP_ERR_SHAPE, "", rp_store_broadcast(b, 1, (int64_t[]){3}, &q));
  FAILS(RP_ERR_ARGUMENT, "5", rp_store_promote(s, 5, 1, &q));
  assert_null(q);
  /* The sum of a broadcast counts every repetition. */
  rp_store *sum = check_store(ctx, 0, NULL, NULL);
  OK(EVAL(ctx, "sum, b", "sum = sum(i, j) b[i, j]", sum, b));
  assert_true(check_scalar(sum) == 18);
  drop(sum);
  drop(b);
  drop(p);
  drop(s);
}

static void test_views_write(void **state) {
  (void)state;
  double want[20] = {0};
  const int64_t shape[] = {4, 5};
  rp_store *s = check_store(ctx, 2, shape, NULL), *odd, *rev, *col, *tr;
  OK(rp_store_slice(s, 0, 1, INT64_MAX, 2, &odd));
  OK(rp_store_slice(odd, 1, -1, INT64_MIN, -2, &rev)); /* columns 4, 2, 0 of rows 1, 3 */
  const double part[6] = {1, 2, 3, 4, 5, 6};
  OK(rp_store_write(rev, part, sizeof part));
  for (int i = 0; i < 6; i++) want[5 * (1 + 2 * (i / 3)) + 4 - 2 * (i % 3)] = part[i];
  check_values(s, want);
  OK(rp_store_project(s, 1, 2, &col));
  OK(EVAL(ctx, "col", "col = 10*col + 1", col));
  for (int i = 0; i < 4; i++) want[5 * i + 2] = 10 * want[5 * i + 2] + 1;
  OK(rp_store_transpose(s, (int32_t[]){1, 0}, &tr));
  OK(EVAL(ctx, "tr", "tr[i, j] = 2*tr[i, j] + j", tr));
  for (int i = 0; i < 20; i++) want[i] = 2 * want[i] + i / 5;
  check_values(s, want);
  drop(tr);
  drop(col);
  drop(rev);
  drop(odd);
  drop(s);
}

/* ---- poison ---- */

static rp_store *indices(int64_t n, const int64_t *data) {
  rp_store *s;
  OK(rp_store_create(ctx, RP_I64, 1, &n, &s));
  OK(rp_store_write(s, data, (size_t)n * sizeof *data));
  return s;
}

static void test_poison(void **state) {
  (void)state;
  rp_library *lib;
  rp_op *take;
  OK(rp_library_create(ctx, "picks", &lib));
  OK(rp_op_create(lib, "take", "y, x, k", "y[i] = x[k[i]]", &take));
  rp_store *x = check_vector(ctx, 4, (double[]){1, 2, 3, 4}), *y = check_vector(ctx, 3, NULL);
  rp_store *z = check_vector(ctx, 3, NULL), *sum = check_store(ctx, 0, NULL, NULL), *part;
  rp_store *good = indices(3, (int64_t[]){3, 0, 1}), *bad = indices(3, (int64_t[]){3, 4, 0});
  double v[3];
  OK(rp_store_slice(y, 0, 0, 2, 1, &part));
  OK(rp_launch(take, STORES(y, x, good), 3, NULL, 0));
  check_values(y, (double[]){4, 1, 2});
  OK(rp_launch(take, STORES(y, x, bad), 3, NULL, 0));
  OK(EVAL(ctx, "z, y", "z = y + 1", z, y)); /* a reader inherits it */
  OK(EVAL(ctx, "sum, z", "sum = sum(i) z[i]", sum, z));
  FAILS(RP_ERR_DATA, "picks.take", rp_store_read(y, v, sizeof v));
  FAILS(RP_ERR_DATA, "picks.take", rp_store_read(z, v, sizeof v));
  FAILS(RP_ERR_DATA, "picks.take", rp_store_read(sum, v, 8));
  FAILS(RP_ERR_DATA, "picks.take", rp_store_read(part, v, 16));
  FAILS(RP_ERR_DATA, "picks.take", rp_store_wait(y));
  FAILS(RP_ERR_DATA, "picks.take", rp_wait(ctx));
  OK(rp_wait(ctx)); /* nothing since the last wait */
  assert_true(check_stat(ctx, "poisoned") == 3);
  check_values(x, (double[]){1, 2, 3, 4});
  /* A partial overwrite does not clear it, a whole one does. */
  OK(EVAL(ctx, "p", "p = 5", part));
  FAILS(RP_ERR_DATA, "picks.take", rp_store_read(y, v, sizeof v));
  OK(rp_store_write(part, v, 16));
  FAILS(RP_ERR_DATA, "picks.take", rp_store_read(y, v, sizeof v));
  OK(EVAL(ctx, "y", "y = 6", y));
  check_values(y, (double[]){6, 6, 6});
  OK(rp_store_write(z, (double[]){1, 2, 3}, sizeof v));
  check_values(z, (double[]){1, 2, 3});
  OK(EVAL(ctx, "sum, z", "sum = sum(i) z[i]", sum, z));
  assert_true(check_scalar(sum) == 6);
  /* A negative index is out of range too; both launches in later segments. */
  OK(rp_store_write(bad, (int64_t[]){0, -1, 2}, 24));
  OK(rp_launch(take, STORES(y, x, bad), 3, NULL, 0));
  FAILS(RP_ERR_DATA, "picks.take", rp_store_read(y, v, sizeof v));
  OK(EVAL(ctx, "z, y", "z = z + y", z, y));
  FAILS(RP_ERR_DATA, "picks.take", rp_store_read(z, v, sizeof v));
  OK(rp_store_copy(y, x = (drop(x), check_vector(ctx, 3, NULL)))); /* a copy overwrites */
  check_values(y, (double[]){0, 0, 0});
  OK(rp_store_copy(y, z)); /* and inherits */
  FAILS(RP_ERR_DATA, "picks.take", rp_store_read(y, v, sizeof v));
  drop(x);
  drop(y);
  drop(z);
  drop(sum);
  drop(part);
  drop(good);
  drop(bad);
}

static void test_poison_home(void **state) {
  (void)state;
  double data[3] = {1, 2, 3};
  rp_store *s = lend(data, 3, RP_READ_WRITE), *x = check_vector(ctx, 2, NULL);
  rp_store *bad = indices(3, (int64_t[]){0, 7, 0});
  OK(EVAL(ctx, "y, x, k", "y[i] = x[k[i]]", s, x, bad));
  FAILS(RP_ERR_DATA, "eval", rp_store_home(s));
  FAILS(RP_ERR_DATA, "eval", rp_store_detach(s));
  OK(EVAL(ctx, "s", "s = 9", s));
  OK(rp_store_detach(s));
  for (int i = 0; i < 3; i++) assert_true(data[i] == 9);
  drop(s);
  drop(x);
  drop(bad);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_create),         TEST(test_attach), TEST(test_attach_copy),
      TEST(test_attach_release), TEST(test_parts),  TEST(test_copy),
      TEST(test_slices),         TEST(test_views),  TEST(test_broadcasts),
      TEST(test_views_write),    TEST(test_poison), TEST(test_poison_home)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
