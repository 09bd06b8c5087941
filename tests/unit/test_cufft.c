/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_cufft.c -- transforms on the emulated GPU by a library in cuFFT's place, against those of the host; plans
 * that are kept; calls that fail; cuFFT's declarations against the toolkit's. */
#include "tests/support/gpu_context.h"

#include <math.h>

#include "core/include/reprise_fourier.h"
#include "kernels/fourier/cufft.h"
#include "tests/support/cufft_theirs.h"
#include "tests/support/fake_cufft.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

static void drop(rp_store *s) { OK(rp_store_release(s)); }

/* ---- against the host ---- */

typedef enum way { FORWARD, INVERSE, FROM_REAL, TO_REAL, WAYS } way;

typedef struct sample {
  int32_t ndim, axes;
  int64_t shape[4];
} sample;

static const sample samples[] = {{1, 1, {12}},         {1, 1, {1}},       {2, 1, {5, 9}},
                                 {2, 2, {6, 5}},       {3, 2, {2, 4, 6}}, {3, 3, {3, 4, 5}},
                                 {4, 3, {2, 3, 1, 4}}, {2, 1, {0, 4}}};

/* The numbers of x, or of y, of a sample; fills in the shape. */
static int64_t shape_of(const sample *s, bool is_real, bool halved, int32_t *ndim, int64_t *shape) {
  int64_t n = is_real ? 1 : 2;
  *ndim = s->ndim + !is_real;
  shape[s->ndim] = 2;
  for (int32_t d = 0; d < s->ndim; d++) {
    shape[d] = halved && d == s->ndim - 1 ? s->shape[d] / 2 + 1 : s->shape[d];
    n *= shape[d];
  }
  return n;
}

/* Numbers; of a spectrum for a real array the elements that are real there, and no more, are made so by zeros. */
static double element(int64_t i) { return (double)((i * 7 + i * i / 3 + 5) % 17 - 8); }

/* The transform's result as doubles; and x is still what it was. */
static void transform(rp_context *c, const sample *s, way w, rp_dtype dtype, const double *from,
                      double *to, bool in_place) {
  int32_t nx, ny;
  int64_t sx[5], sy[5];
  const int64_t n = shape_of(s, w == FROM_REAL, w == TO_REAL, &nx, sx);
  const int64_t m = shape_of(s, w == TO_REAL, w == FROM_REAL, &ny, sy);
  rp_store *x, *y, *wide;
  OK(rp_store_create(c, RP_F64, nx, sx, &wide));
  OK(rp_store_create(c, dtype, nx, sx, &x));
  OK(rp_store_write(wide, from, (size_t)n * sizeof *from));
  if (dtype == RP_F64)
    OK(rp_store_copy(x, wide));
  else
    OK(EVAL(c, "x, w", "x = f32(w)", x, wide));
  y = x;
  if (!in_place) OK(rp_store_create(c, dtype, ny, sy, &y));
  if (w == FORWARD) OK(rp_fourier_forward(s->axes, x, y));
  if (w == INVERSE) OK(rp_fourier_inverse(s->axes, x, y));
  if (w == FROM_REAL) OK(rp_fourier_forward_real(s->axes, x, y));
  if (w == TO_REAL) OK(rp_fourier_inverse_real(s->axes, x, y));
  if (!in_place) { /* integers, exact in both dtypes */
    OK(EVAL(c, "w, x", "w = w - x", wide, x));
    double *rest = calloc((size_t)n + 1, sizeof *rest);
    OK(rp_store_read(wide, rest, (size_t)n * sizeof *rest));
    for (int64_t i = 0; i < n; i++) assert_true(rest[i] == 0);
    free(rest);
  }
  drop(wide);
  OK(rp_store_create(c, RP_F64, ny, sy, &wide));
  OK(EVAL(c, "w, y", "w = y", wide, y));
  OK(rp_store_read(wide, to, (size_t)m * sizeof *to));
  drop(wide);
  if (!in_place) drop(y);
  drop(x);
}

static void check_sample(rp_context *gpu, rp_context *host, const sample *s, way w,
                         rp_dtype dtype) {
  int32_t ndim;
  int64_t shape[5];
  const int64_t n = shape_of(s, w == FROM_REAL, w == TO_REAL, &ndim, shape);
  const int64_t m = shape_of(s, w == TO_REAL, w == FROM_REAL, &ndim, shape);
  double *x = calloc((size_t)n + 1, sizeof *x);
  double *want = calloc((size_t)m + 1, sizeof *want), *got = calloc((size_t)m + 1, sizeof *got);
  for (int64_t i = 0; i < n; i++) x[i] = element(i);
  if (w == TO_REAL) { /* the spectrum of something real */
    double *real = calloc((size_t)m + 1, sizeof *real);
    for (int64_t i = 0; i < m; i++) real[i] = element(i);
    transform(host, s, FROM_REAL, RP_F64, real, x, false);
    for (int64_t i = 0; i < n; i++) x[i] = (float)x[i]; /* exact in both dtypes */
    free(real);
  }
  for (int in_place = 0; in_place <= (w < FROM_REAL); in_place++) {
    transform(host, s, w, dtype, x, want, in_place);
    transform(gpu, s, w, dtype, x, got, in_place);
    double wrong = 0, all = 1e-300;
    for (int64_t i = 0; i < m; i++) {
      wrong += pow(want[i] - got[i], 2);
      all += pow(want[i], 2);
    }
    if (!(sqrt(wrong / all) < (dtype == RP_F64 ? 1e-14 : 1e-6)))
      fail_msg("%s, %d axes of %d, way %d: the error is %g", rp_dtype_name(dtype), (int)s->axes,
               (int)s->ndim, (int)w, sqrt(wrong / all));
  }
  free(x);
  free(want);
  free(got);
}

static void test_transforms(void **state) {
  (void)state;
  rp_context *gpu = gpu_context(""), *host = check_context("");
  assert_int_equal(rp_context_gpus(gpu), 1);
  assert_int_equal(rp_context_gpus(host), 0);
  fake_cufft = (struct fake_cufft){0};
  for (int i = 0; i < COUNT(samples); i++)
    for (way w = FORWARD; w < WAYS; w++)
      for (rp_dtype dtype = RP_F32; dtype <= RP_F64; dtype++)
        check_sample(gpu, host, &samples[i], w, dtype);
  const int some = COUNT(samples) - 1; /* one is empty */
  assert_int_equal(fake_cufft.transforms, some * 2 * (2 + 2 + 1 + 1));
  assert_int_equal(fake_cufft.created, some * 2 * 3); /* both directions have one */
  assert_int_equal(fake_cufft.handles, RPI_CUFFT_PLANS);
  OK(rp_context_destroy(host));
  end(gpu);
  assert_int_equal(fake_cufft.handles, 0);
}

/* ---- plans ---- */

/* What has been used last is kept. */
static void test_plans(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  fake_cufft = (struct fake_cufft){0};
  for (int64_t n = 1; n <= 2 * RPI_CUFFT_PLANS; n++)
    for (int64_t m = n; m >= 1; m -= n > 1 ? n - 1 : 1) { /* n, and 1 again */
      rp_store *x = check_store(c, 2, (int64_t[]){m, 2}, NULL);
      OK(rp_fourier_forward(1, x, x));
      OK(rp_wait(c));
      drop(x);
    }
  assert_int_equal(fake_cufft.created, 2 * RPI_CUFFT_PLANS);
  assert_int_equal(fake_cufft.handles, RPI_CUFFT_PLANS);
  end(c);
  assert_int_equal(fake_cufft.handles, 0);
}

/* A loop of transforms and bodies: nothing is copied, and the factor of the inverse needs no kernel of its own. */
static void test_loop(void **state) {
  (void)state;
  enum { N = 16, PASSES = 5 };
  rp_context *c = gpu_context("");
  double v[N][N], last;
  for (int i = 0; i < N * N; i++) v[i / N][i % N] = element(i);
  rp_store *u = check_store(c, 2, (int64_t[]){N, N}, v[0]);
  rp_store *w = check_store(c, 3, (int64_t[]){N, N / 2 + 1, 2}, NULL);
  struct emu_counts before = {0};
  int64_t kernels = 0;
  for (int i = 0; i < PASSES; i++) {
    if (i == PASSES - 1) kernels = check_stat(c, "kernels_run");
    if (i == 1) before = counts();
    OK(rp_trace_begin(c, 1));
    OK(rp_fourier_forward_real(2, u, w));
    OK(EVAL(c, "w", "w = w*0.5", w));
    OK(rp_fourier_inverse_real(2, w, u));
    OK(EVAL(c, "u", "u = u + u", u));
    OK(rp_trace_end(c, 1));
    OK(rp_wait(c));
  }
  assert_int_equal(check_stat(c, "kernels_run") - kernels, 2);
  assert_int_equal(counts().uploads - before.uploads, 0);
  assert_int_equal(counts().downloads - before.downloads, 0);
  OK(rp_store_read_part(u, (int64_t[]){3, 5}, (int64_t[]){4, 6}, &last, sizeof last));
  assert_true(fabs(last - v[3][5]) < 1e-12);
  drop(u);
  drop(w);
  end(c);
}

/* Each call of the library fails once, for each way: the launch has failed, what it writes is poisoned, and later ones
 * are well. */
static void test_failures(void **state) {
  (void)state;
  enum { CALLS = 6, N = 6 };
  static const char *const says[CALLS] = {
      "cufftCreate: status 5",         "cufftSetAutoAllocation: status 5",
      "cufftMakePlanMany64: status 5", "cufftSetWorkArea: status 5",
      "cufftSetStream: status 5",      "cufftExec: status 5"};
  for (int fail = 1; fail <= CALLS + 1; fail++) {
    rp_context *c = gpu_context("");
    double got[2 * N];
    fake_cufft = (struct fake_cufft){.fail = fail, .status = 5};
    rp_store *x = check_store(c, 2, (int64_t[]){N, 2}, NULL),
             *y = check_store(c, 2, (int64_t[]){N, 2}, NULL);
    OK(rp_fourier_inverse(1, x, y));
    if (fail > CALLS)
      OK(rp_store_read(y, got, sizeof got));
    else
      FAILS(RP_ERR_DATA, says[fail - 1], rp_store_read(y, got, sizeof got));
    fake_cufft.fail = 0;
    OK(rp_fourier_inverse(1, x, y));
    OK(rp_store_read(y, got, sizeof got));
    assert_int_equal(fake_cufft.handles, 1);
    drop(x);
    drop(y);
    end(c);
    assert_int_equal(fake_cufft.handles, 0);
  }
}

/* ... and each call of the driver. */
static rp_status life(void) {
  rp_context *c = NULL;
  rp_status st = gpu_context_try("", &c);
  if (st != RP_OK) return st;
  rp_store *u = NULL, *w = NULL;
  double v[12] = {1, 2, 3};
  st = rp_store_create(c, RP_F64, 1, (int64_t[]){12}, &u);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 2, (int64_t[]){7, 2}, &w);
  if (st == RP_OK) st = rp_store_write(u, v, sizeof v);
  if (st == RP_OK) st = rp_fourier_forward_real(1, u, w);
  if (st == RP_OK) st = rp_fourier_inverse_real(1, w, u);
  if (st == RP_OK) st = rp_store_read(u, v, sizeof v);
  rp_store_release(u);
  rp_store_release(w);
  const rp_status ended = rp_context_destroy(c);
  return st == RP_OK ? ended : st;
}

static void test_driver_fails(void **state) {
  (void)state;
  fake_cufft = (struct fake_cufft){0};
  gpu_each_call_fails(life, RP_ERR_DATA);
  assert_int_equal(fake_cufft.handles, 0);
}

static void test_declarations(void **state) {
  (void)state;
  const int n = cufft_theirs();
  if (n == 0) {
    print_message("no cufft.h was found when this was built\n");
    skip();
  }
  assert_int_equal(n, 12);
}

int main(void) {
  if (gpu_missing()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_transforms),   cmocka_unit_test(test_plans),
      cmocka_unit_test(test_loop),         cmocka_unit_test(test_failures),
      cmocka_unit_test(test_driver_fails), cmocka_unit_test(test_declarations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
