/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_fourier_api.c -- transforms of stores on the host: over several axes against those over each, there and
 * back, views, in place, in loops; the same bits on threads and ranks; errors. */
#include "tests/support/members.h"

#include <float.h>
#include <math.h>

#include "core/include/reprise_fourier.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

/* ---- stores ---- */

/* Fractions without a pattern. */
static double element(int64_t i) {
  return (double)((uint64_t)(i + 3) * 0x9e3779b97f4a7c15u >> 11) * 0x1p-52 - 1;
}

static rp_status fill(rp_store *s) {
  const size_t n = (size_t)rp_store_size(s), size = rp_dtype_size(rp_store_dtype(s));
  double *wide = calloc(n + 1, sizeof *wide);
  float *narrow = (float *)wide;
  for (size_t i = 0; i < n; i++)
    if (size == sizeof *wide)
      wide[i] = element((int64_t)i);
    else
      narrow[i] = (float)element((int64_t)i);
  const rp_status status = rp_store_write(s, wide, n * size);
  free(wide);
  return status;
}

static rp_store *new_store(rp_context *c, rp_dtype dtype, int32_t ndim, const int64_t *shape) {
  rp_store *s = NULL;
  OK(rp_store_create(c, dtype, ndim, shape, &s));
  return s;
}

static rp_store *filled(rp_context *c, rp_dtype dtype, int32_t ndim, const int64_t *shape) {
  rp_store *s = new_store(c, dtype, ndim, shape);
  OK(fill(s));
  return s;
}

/* The caller frees them. */
static void *bits_of(rp_store *s, size_t *bytes) {
  *bytes = (size_t)rp_store_size(s) * rp_dtype_size(rp_store_dtype(s));
  void *data = calloc(*bytes + 1, 1);
  OK(rp_store_read(s, data, *bytes));
  return data;
}

static void check_same(const char *what, rp_store *a, rp_store *b) {
  size_t n[2];
  void *x = bits_of(a, &n[0]), *y = bits_of(b, &n[1]);
  assert_int_equal(n[0], n[1]);
  if (memcmp(x, y, n[0]) != 0) fail_msg("%s: other bits", what);
  free(x);
  free(y);
}

/* a and b differ by at most so many eps of the dtype, relative to the 2-norm. */
static void check_near(const char *what, rp_store *a, rp_store *b, double most) {
  const bool wide = rp_store_dtype(a) == RP_F64;
  size_t bytes;
  double *x = bits_of(a, &bytes), *y = bits_of(b, &bytes), wrong = 0, all = 0;
  for (size_t i = 0; i < bytes / (wide ? 8 : 4); i++) {
    const double v = wide ? x[i] : ((float *)x)[i], w = wide ? y[i] : ((float *)y)[i];
    wrong += (v - w) * (v - w);
    all += v * v;
  }
  const double error = sqrt(wrong / all) / (wide ? DBL_EPSILON : (double)FLT_EPSILON);
  if (!(error <= most)) fail_msg("%s: %g eps", what, error);
  free(x);
  free(y);
}

static void drop(rp_store *s) { OK(rp_store_release(s)); }

/* ---- over several axes, as over each ---- */

typedef struct sample {
  int32_t ndim, axes;
  int64_t shape[5];
} sample;

static const sample samples[] = {
    {1, 1, {30}},      {1, 1, {1009}},       {2, 1, {9, 64}},    {3, 1, {2, 3, 12}},
    {2, 2, {24, 10}},  {2, 2, {67, 128}},    {3, 2, {5, 16, 9}}, {3, 3, {6, 10, 8}},
    {3, 3, {1, 7, 4}}, {4, 3, {3, 4, 5, 6}}, {2, 2, {40, 1}},    {5, 2, {2, 1, 3, 8, 15}},
    {3, 3, {5, 1, 9}}, {2, 1, {0, 4}},       {1, 1, {1}},        {2, 2, {131, 33}}};

static void complex_shape(const sample *s, int64_t *out) {
  memcpy(out, s->shape, (size_t)s->ndim * sizeof *out);
  out[s->ndim] = 2;
}

/* y = x, transformed along `axis` alone. */
static void along(rp_store *x, int32_t axis, bool inverse, rp_store *y) {
  const int32_t last = rp_store_ndim(x) - 2;
  int32_t order[RP_MAX_DIM];
  int64_t shape[RP_MAX_DIM];
  for (int32_t d = 0; d <= last + 1; d++) order[d] = d;
  order[axis] = last;
  order[last] = axis;
  rp_store *view, *back;
  OK(rp_store_transpose(x, order, &view));
  for (int32_t d = 0; d <= last + 1; d++) shape[d] = rp_store_extent(view, d);
  rp_store *t = new_store(rp_store_context(x), rp_store_dtype(x), last + 2, shape);
  OK(inverse ? rp_fourier_inverse(1, view, t) : rp_fourier_forward(1, view, t));
  OK(rp_store_transpose(t, order, &back));
  OK(rp_store_copy(y, back));
  drop(view);
  drop(t);
  drop(back);
}

static void check_complex(rp_context *c, rp_dtype dtype, const sample *s, bool inverse) {
  int64_t shape[6];
  complex_shape(s, shape);
  rp_store *x = filled(c, dtype, s->ndim + 1, shape), *y = new_store(c, dtype, s->ndim + 1, shape);
  rp_store *z = new_store(c, dtype, s->ndim + 1, shape), *in = filled(c, dtype, s->ndim + 1, shape);
  OK(inverse ? rp_fourier_inverse(s->axes, x, y) : rp_fourier_forward(s->axes, x, y));
  OK(rp_store_copy(z, x));
  for (int32_t d = s->ndim - 1; d >= s->ndim - s->axes; d--) along(z, d, inverse, z);
  check_same("several axes", y, z);
  OK(inverse ? rp_fourier_inverse(s->axes, in, in) : rp_fourier_forward(s->axes, in, in));
  check_same("in place", y, in);
  OK(inverse ? rp_fourier_forward(s->axes, y, z) : rp_fourier_inverse(s->axes, y, z));
  if (rp_store_size(x) > 0) check_near("there and back", x, z, 12);
  drop(x);
  drop(y);
  drop(z);
  drop(in);
}

static void check_real(rp_context *c, rp_dtype dtype, const sample *s) {
  const int32_t last = s->ndim - 1;
  int64_t shape[6];
  complex_shape(s, shape);
  shape[last] = s->shape[last] / 2 + 1;
  rp_store *x = filled(c, dtype, s->ndim, s->shape), *z = new_store(c, dtype, s->ndim, s->shape);
  rp_store *y = new_store(c, dtype, s->ndim + 1, shape),
           *w = new_store(c, dtype, s->ndim + 1, shape);
  OK(rp_fourier_forward_real(s->axes, x, y));
  OK(rp_fourier_forward_real(1, x, w));
  for (int32_t d = last - 1; d > last - s->axes; d--) along(w, d, false, w);
  check_same("real", y, w);
  OK(rp_fourier_inverse_real(s->axes, y, z));
  if (rp_store_size(x) > 0) check_near("real, there and back", x, z, 12);
  for (int32_t d = s->ndim - s->axes; d < last; d++) along(y, d, true, y);
  OK(rp_fourier_inverse_real(1, y, x));
  check_same("to real", z, x);
  /* The first half of the complex transform. */
  int64_t full[6];
  complex_shape(s, full);
  rp_store *u = new_store(c, dtype, s->ndim + 1, full), *v = new_store(c, dtype, s->ndim + 1, full);
  rp_store *part, *half;
  OK(rp_store_slice(u, s->ndim, 0, 1, 1, &part));
  OK(rp_store_project(part, s->ndim, 0, &half));
  drop(part);
  OK(rp_store_copy(half, z));
  OK(rp_fourier_forward(s->axes, u, v));
  OK(rp_store_slice(v, last, 0, shape[last], 1, &part));
  OK(rp_fourier_forward_real(s->axes, z, w));
  if (rp_store_size(x) > 0) check_near("real and complex", part, w, 12);
  rp_store *const all[] = {x, y, z, w, u, v, half, part};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

static void check_all(rp_context *c) {
  for (int i = 0; i < COUNT(samples); i++)
    for (rp_dtype dtype = RP_F32; dtype <= RP_F64; dtype++) {
      check_complex(c, dtype, &samples[i], false);
      check_complex(c, dtype, &samples[i], true);
      check_real(c, dtype, &samples[i]);
    }
}

static void test_axes(void **state) {
  (void)state;
  static const char *const ways[] = {"--threads 1", "--threads 3 --grain 1024"};
  for (int i = 0; i < COUNT(ways); i++) {
    rp_context *c = check_context(ways[i]);
    check_all(c);
    OK(rp_context_destroy(c));
  }
}

/* x[j] = exp(2 pi i 3 j/n) is one number in its transform, and the same of a real wave: sign and factor. */
static void test_convention(void **state) {
  (void)state;
  enum { N = 8 };
  const double pi = acos(-1);
  double wave[2 * N], got[2 * N], real[N], back[N];
  rp_context *c = check_context("");
  for (int j = 0; j < N; j++) {
    wave[2 * j] = real[j] = cos(2 * pi * 3 * j / N);
    wave[2 * j + 1] = sin(2 * pi * 3 * j / N);
  }
  rp_store *x = check_store(c, 2, (int64_t[]){N, 2}, wave);
  rp_store *r = check_store(c, 1, (int64_t[]){N}, real);
  rp_store *h = check_store(c, 2, (int64_t[]){N / 2 + 1, 2}, NULL);
  OK(rp_fourier_forward(1, x, x));
  OK(rp_store_read(x, got, sizeof got));
  for (int k = 0; k < 2 * N; k++) assert_true(fabs(got[k] - (k == 6 ? N : 0)) < 1e-14);
  OK(rp_fourier_forward_real(1, r, h));
  OK(rp_store_read(h, got, (N + 2) * sizeof *got));
  for (int k = 0; k < N + 2; k++) assert_true(fabs(got[k] - (k == 6 ? N / 2 : 0)) < 1e-14);
  OK(rp_fourier_inverse_real(1, h, r));
  OK(rp_store_read(r, back, sizeof back));
  for (int j = 0; j < N; j++) assert_true(fabs(back[j] - real[j]) < 1e-15);
  drop(x);
  drop(r);
  drop(h);
  OK(rp_context_destroy(c));
}

/* Views are taken, and written, as they are seen. */
static void test_views(void **state) {
  (void)state;
  rp_context *c = check_context("");
  const int64_t shape[] = {6, 8, 2}, flipped[] = {2, 8, 6};
  rp_store *x = filled(c, RP_F64, 3, shape), *y = new_store(c, RP_F64, 3, shape);
  rp_store *whole = new_store(c, RP_F64, 3, (int64_t[]){6, 16, 2}), *odd, *view, *t;
  t = new_store(c, RP_F64, 3, flipped);
  OK(rp_store_transpose(t, (int32_t[]){2, 1, 0}, &view));
  OK(rp_store_copy(view, x));
  OK(rp_store_slice(whole, 1, 1, 16, 2, &odd));
  for (int32_t axes = 1; axes <= 2; axes++) {
    OK(rp_fourier_forward(axes, x, y));
    OK(rp_fourier_forward(axes, view, odd));
    check_same("views", y, odd);
  }
  double first[2];
  OK(rp_store_read_part(whole, (int64_t[]){3, 4, 0}, (int64_t[]){4, 5, 2}, first, sizeof first));
  assert_true(first[0] == 0 && first[1] == 0); /* beside what the view shows */
  rp_store *const all[] = {x, y, whole, odd, view, t};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
  OK(rp_context_destroy(c));
}

/* ---- threads, ranks ---- */

/* u' = u - a decay by frequency, in a loop: transforms between bodies; of a batch, of a plane, of a cube. */
static rp_status decays(member *m, int32_t ndim, const int64_t *shape, int32_t axes, double *out) {
  int64_t half[4];
  rp_store *u, *w;
  memcpy(half, shape, (size_t)ndim * sizeof *half);
  half[ndim - 1] = shape[ndim - 1] / 2 + 1;
  half[ndim] = 2;
  TRY(rp_store_create(m->ctx, RP_F64, ndim, shape, &u));
  TRY(rp_store_create(m->ctx, RP_F64, ndim + 1, half, &w));
  TRY(fill(u));
  for (int i = 0; i < 4; i++) {
    TRY(rp_trace_begin(m->ctx, axes));
    TRY(rp_fourier_forward_real(axes, u, w));
    TRY(rp_eval(m->ctx, "w", "w = w*0.75", &w, 1));
    TRY(rp_fourier_inverse_real(axes, w, u));
    TRY(rp_fourier_forward(axes < ndim ? axes : ndim - 1, w, w));
    TRY(rp_fourier_inverse(axes < ndim ? axes : ndim - 1, w, w));
    TRY(rp_eval(m->ctx, "u", "u = u + 0.125*u*u", &u, 1));
    TRY(rp_trace_end(m->ctx, axes));
  }
  TRY(rp_store_read(u, out, (size_t)rp_store_size(u) * sizeof *out));
  TRY(rp_store_release(u));
  return rp_store_release(w);
}

enum { BATCH = 40 * 48, PLANE = 36 * 50, CUBE = 10 * 12 * 14 };

static rp_status decays_all(member *m) {
  TRY(decays(m, 2, (int64_t[]){40, 48}, 1, m->out));
  TRY(decays(m, 2, (int64_t[]){36, 50}, 2, m->out + BATCH));
  TRY(decays(m, 3, (int64_t[]){10, 12, 14}, 3, m->out + BATCH + PLANE));
  return count(m);
}

static void test_ranks(void **state) {
  (void)state;
  same_bits(decays_all, BATCH + PLANE + CUBE);
}

/* Without a batch ranks exchange parts, and none has all. */
static rp_status planes(member *m) {
  rp_store *x, *y;
  TRY(rp_store_create(m->ctx, RP_F64, 3, (int64_t[]){48, 64, 2}, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 3, (int64_t[]){48, 64, 2}, &y));
  TRY(rp_eval(m->ctx, "x", "x = 1.0/(1 + index(0)*index(1))", &x, 1));
  for (int i = 0; i < 3; i++) {
    TRY(rp_trace_begin(m->ctx, 1));
    TRY(rp_fourier_forward(2, x, y));
    TRY(rp_eval(m->ctx, "y", "y = y*0.5", &y, 1));
    TRY(rp_fourier_inverse(2, y, x));
    TRY(rp_trace_end(m->ctx, 1));
  }
  TRY(rp_wait(m->ctx));
  TRY(count(m));
  TRY(rp_store_read(x, m->out, (size_t)m->n_out * sizeof *m->out));
  TRY(rp_store_release(x));
  return rp_store_release(y);
}

static void test_exchange(void **state) {
  (void)state;
  enum { N = 48 * 64 * 2 };
  member alone, all[4];
  run(&alone, 1, "--threads 1", planes, N);
  run(all, 4, "--threads 1 --tile 0", planes, N);
  same_as(&alone, all, 4);
  for (int r = 0; r < 4; r++) {
    assert_int_equal(all[r].stat[3], 0); /* gathers */
    assert_true(all[r].stat[1] > 0);
  }
  forget(&alone, 1);
  forget(all, 4);
}

static void test_threads(void **state) {
  (void)state;
  member alone, more;
  run(&alone, 1, "--threads 1", decays_all, BATCH + PLANE + CUBE);
  run(&more, 1, "--threads 2 --grain 0", decays_all, BATCH + PLANE + CUBE);
  same_as(&alone, &more, 1);
  forget(&alone, 1);
  forget(&more, 1);
}

/* ---- errors ---- */

static void test_errors(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *x = new_store(c, RP_F64, 3, (int64_t[]){4, 6, 2}),
           *r = new_store(c, RP_F64, 1, (int64_t[]){9});
  rp_store *y = new_store(c, RP_F64, 3, (int64_t[]){4, 5, 2}),
           *f = new_store(c, RP_F32, 3, (int64_t[]){4, 6, 2});
  rp_store *i = new_store(c, RP_I32, 3, (int64_t[]){4, 6, 2}),
           *h = new_store(c, RP_F64, 2, (int64_t[]){5, 2});
  rp_store *three = new_store(c, RP_F64, 2, (int64_t[]){4, 3}),
           *none = new_store(c, RP_F64, 3, (int64_t[]){4, 0, 2});
  rp_store *four = new_store(c, RP_F64, 2, (int64_t[]){4, 2});
  FAILS(RP_ERR_ARGUMENT, "rp_fourier_forward: axes is 0, not 1, 2 or 3",
        rp_fourier_forward(0, x, x));
  FAILS(RP_ERR_ARGUMENT, "axes is 4", rp_fourier_inverse_real(4, x, x));
  FAILS(RP_ERR_ARGUMENT, "rp_fourier_inverse: x is NULL", rp_fourier_inverse(1, NULL, x));
  FAILS(RP_ERR_ARGUMENT, "y is NULL", rp_fourier_inverse(1, x, NULL));
  FAILS(RP_ERR_SHAPE, "x has 3 axes, not 4 for 3 to transform and the parts",
        rp_fourier_forward(3, x, x));
  FAILS(RP_ERR_SHAPE, "axis 1 has 6 elements in x and 5 in y", rp_fourier_forward(1, x, y));
  FAILS(RP_ERR_SHAPE, "x has 3 axes, y has 2", rp_fourier_forward(1, x, h));
  FAILS(RP_ERR_SHAPE, "y has 3 elements along its last axis", rp_fourier_forward(1, h, three));
  FAILS(RP_ERR_SHAPE, "axis 1, which is transformed, has no elements",
        rp_fourier_forward(1, none, none));
  FAILS(RP_ERR_DTYPE, "y is f32", rp_fourier_forward(1, x, f));
  FAILS(RP_ERR_DTYPE, "x is i32", rp_fourier_forward(1, i, i));
  FAILS(RP_ERR_SHAPE, "axis 0 has 9 elements in x and 4 in y: n of a real array are n/2 + 1",
        rp_fourier_forward_real(1, r, four));
  FAILS(RP_ERR_SHAPE, "axis 0 has 4 elements in x and 9 in y", rp_fourier_inverse_real(1, four, r));
  OK(rp_fourier_forward_real(1, r, h));
  OK(rp_store_release(h));
  FAILS(RP_ERR_HANDLE, "y is no store", rp_fourier_forward_real(1, r, h));
  rp_store *const all[] = {x, r, y, f, i, three, none, four};
  for (int k = 0; k < COUNT(all); k++) drop(all[k]);
  OK(rp_context_destroy(c));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_axes),   cmocka_unit_test(test_convention),
      cmocka_unit_test(test_views),  cmocka_unit_test(test_threads),
      cmocka_unit_test(test_ranks),  cmocka_unit_test(test_exchange),
      cmocka_unit_test(test_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
