/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_fourier_host.c -- transforms of lines against the definition in long double, with bounds of the error; the
 * bits of a line wherever it lies and whatever lies beside it; real lines; what a context keeps. */
#include "tests/support/api_check.h"

#include <float.h>
#include <math.h>

#include "kernels/fourier/fourier_cache.h"
#include "kernels/fourier/fourier_host.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

/* The 2-norm of an error is at most so many eps*log2(2n) of that of the values. */
#define BOUND 0.5

/* ---- numbers ---- */

static double element(int64_t i) {
  uint64_t u = (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u;
  u ^= u >> 29;
  u *= 0xbf58476d1ce4e5b9u;
  return (double)(int64_t)(u >> 12) / (double)(1LL << 51) - 1;
}

/* n numbers of the dtype. */
static void *numbers(bool wide, int64_t n, bool filled) {
  double *d = calloc((size_t)n + 1, sizeof *d);
  float *f = (float *)d;
  assert_non_null(d);
  for (int64_t i = 0; filled && i < n; i++)
    if (wide)
      d[i] = element(i);
    else
      f[i] = (float)element(i);
  return d;
}
static double at(bool wide, const void *x, int64_t i) {
  return wide ? ((const double *)x)[i] : ((const float *)x)[i];
}
static size_t size(bool wide) { return wide ? sizeof(double) : sizeof(float); }

static void *work_of(const rpi_fourier_plan *p) {
  return calloc(
      (size_t)p->work + (p->wide ? 16 : 8) * (size_t)(p->n * (rpi_fourier_lanes(p->wide) + 1)), 1);
}

static void line(const rpi_fourier_plan *p, const void *x, void *y, bool inverse, void *work) {
  if (p->wide)
    rpi_fourier_line_f64(p, x, y, inverse, 1, work);
  else
    rpi_fourier_line_f32(p, x, y, inverse, 1, work);
}
static void lines(const rpi_fourier_plan *p, const void *x, rpi_fourier_place from, void *y,
                  rpi_fourier_place to, int64_t count, bool inverse, void *work) {
  if (p->wide)
    rpi_fourier_lines_f64(p, x, from, y, to, count, inverse, 1, work);
  else
    rpi_fourier_lines_f32(p, x, from, y, to, count, inverse, 1, work);
}

/* ---- the definition ---- */

/* Roots of order n in long double, interleaved. */
static long double *roots(int64_t n) {
  const long double pi = acosl(-1);
  long double *w = malloc(2 * (size_t)n * sizeof *w);
  assert_non_null(w);
  for (int64_t k = 0; k < n; k++) {
    w[2 * k] = cosl(2 * pi * (long double)k / (long double)n);
    w[2 * k + 1] = -sinl(2 * pi * (long double)k / (long double)n);
  }
  return w;
}

/* The relative error of elements 0, step, 2*step, ... below `count` of y, in units of eps*log2(2n). */
static double error_of(bool wide, int64_t n, const void *x, bool real, const void *y, int64_t count,
                       int64_t step, bool inverse) {
  const double eps = wide ? DBL_EPSILON : (double)FLT_EPSILON;
  long double *w = roots(n), wrong = 0, all = 0;
  for (int64_t k = 0; k < count; k += step) {
    long double re = 0, im = 0;
    for (int64_t j = 0, e = 0; j < n; j++, e = e + k < n ? e + k : e + k - n) {
      const long double c = w[2 * e], s = inverse ? -w[2 * e + 1] : w[2 * e + 1];
      const long double xr = at(wide, x, real ? j : 2 * j), xi = real ? 0 : at(wide, x, 2 * j + 1);
      re += xr * c - xi * s;
      im += xr * s + xi * c;
    }
    const long double dr = re - at(wide, y, 2 * k), di = im - at(wide, y, 2 * k + 1);
    wrong += dr * dr + di * di;
    all += re * re + im * im;
  }
  free(w);
  return (double)sqrtl(wrong / all) / (eps * log2(2 * (double)n));
}

static void check_definition(bool wide, int64_t n, int64_t step) {
  rpi_fourier_plan *p = rpi_fourier_plan_create(wide, false, n);
  assert_non_null(p);
  void *x = numbers(wide, 2 * n, true), *y = numbers(wide, 2 * n, false), *work = work_of(p);
  for (int inverse = 0; inverse < 2; inverse++) {
    line(p, x, y, inverse, work);
    const double error = error_of(wide, n, x, false, y, n, step, inverse);
    if (!(error <= BOUND))
      fail_msg("%s, %lld elements%s: the error is %g eps*log2(2n)", wide ? "f64" : "f32",
               (long long)n, inverse ? ", inverse" : "", error);
  }
  free(x);
  free(y);
  free(work);
  rpi_fourier_plan_free(p);
}

static void test_definition(void **state) {
  (void)state;
  static const int64_t more[] = {243,  256,  289,  343,  512,  961,  1000, 1009,
                                 1024, 2003, 2048, 2187, 4096, 4099, 7919, 8192};
  static const int64_t large[] = {32768, 32749, 48000, 65536, 100003, 262144, 1048576};
  for (int wide = 0; wide < 2; wide++) {
    for (int64_t n = 1; n <= 130; n++) check_definition(wide, n, 1);
    for (int i = 0; i < COUNT(more); i++) check_definition(wide, more[i], 1 + more[i] / 200);
    for (int i = 0; i < COUNT(large); i++) check_definition(wide, large[i], large[i] / 7);
  }
}

/* All three ways to do it have been there. */
static void test_kinds(void **state) {
  (void)state;
  static const struct {
    int64_t n;
    rpi_fourier_kind kind;
  } of[] = {{1, RPI_FOURIER_DIRECT},     {17, RPI_FOURIER_DIRECT},     {1024, RPI_FOURIER_DIRECT},
            {1009, RPI_FOURIER_CHIRP},   {32768, RPI_FOURIER_SQUARE},  {48000, RPI_FOURIER_SQUARE},
            {100003, RPI_FOURIER_CHIRP}, {1048576, RPI_FOURIER_SQUARE}};
  for (int i = 0; i < COUNT(of); i++) {
    rpi_fourier_plan *p = rpi_fourier_plan_create(true, false, of[i].n);
    assert_int_equal(p->kind, of[i].kind);
    rpi_fourier_plan_free(p);
  }
}

/* ---- where lines lie ---- */

static const int64_t lengths[] = {1,  2,  3,   5,   7,   8,   12,   16,   30,   31,
                                  64, 96, 110, 128, 134, 256, 1009, 1024, 33750};

/* `count` lines in columns, apart, with their parts apart: each has the bits that it has alone. */
static void check_places(bool wide, int64_t n, int64_t count, bool inverse) {
  rpi_fourier_plan *p = rpi_fourier_plan_create(wide, false, n);
  const rpi_fourier_place rows = {2, 2 * n, 1}, columns = {2 * count, 2, 1};
  const rpi_fourier_place split = {count, 1, n * count};
  const struct {
    rpi_fourier_place from, to;
  } ways[] = {{rows, rows}, {rows, columns}, {columns, columns}, {columns, split}, {split, rows}};
  const int64_t all = 2 * n * count;
  void *x = numbers(wide, all, true), *y = numbers(wide, all, false), *work = work_of(p);
  void *one = numbers(wide, 2 * n, false);
  for (int way = 0; way < COUNT(ways); way++) {
    const rpi_fourier_place from = ways[way].from, to = ways[way].to;
    lines(p, x, from, y, to, count, inverse, work);
    for (int64_t c = 0; c < count; c++) {
      for (int64_t e = 0; e < n; e++)
        for (int part = 0; part < 2; part++)
          memcpy((char *)one + (size_t)(2 * e + part) * size(wide),
                 (char *)x +
                     (size_t)(c * from.line + e * from.element + part * from.part) * size(wide),
                 size(wide));
      line(p, one, one, inverse, work); /* in place */
      for (int64_t e = 0; e < n; e++)
        for (int part = 0; part < 2; part++)
          if (memcmp((char *)one + (size_t)(2 * e + part) * size(wide),
                     (char *)y +
                         (size_t)(c * to.line + e * to.element + part * to.part) * size(wide),
                     size(wide)) != 0)
            fail_msg("%s, way %d, line %lld of %lld, element %lld of %lld", wide ? "f64" : "f32",
                     way, (long long)c, (long long)count, (long long)e, (long long)n);
    }
  }
  free(x);
  free(y);
  free(one);
  free(work);
  rpi_fourier_plan_free(p);
}

static void test_places(void **state) {
  (void)state;
  static const int64_t counts[] = {1, 2, 4, 7, 8, 9, 16, 19, 33};
  for (int i = 0; i < COUNT(lengths); i++)
    for (int k = 0; k < COUNT(counts); k++)
      if (lengths[i] * counts[k] < 50000) {
        check_places(true, lengths[i], counts[k], k % 2);
        check_places(false, lengths[i], counts[k], k % 2);
      }
}

/* Numbers that are none stay in their line. */
static void test_apart(void **state) {
  (void)state;
  enum { N = 12, LINES = 5 };
  rpi_fourier_plan *p = rpi_fourier_plan_create(true, false, N);
  double x[2 * N * LINES], y[2 * N * LINES];
  void *work = work_of(p);
  for (int i = 0; i < 2 * N * LINES; i++) x[i] = i / (2 * N) == 2 ? NAN : 1;
  const rpi_fourier_place rows = {2, 2 * N, 1};
  rpi_fourier_lines_f64(p, x, rows, y, rows, LINES, false, 1, work);
  for (int i = 0; i < 2 * N * LINES; i++) assert_int_equal(isnan(y[i]) != 0, i / (2 * N) == 2);
  free(work);
  rpi_fourier_plan_free(p);
}

/* ---- real lines ---- */

static void from_real(const rpi_fourier_plan *p, const void *x, void *y, int64_t count,
                      void *work) {
  if (p->wide)
    rpi_fourier_from_real_f64(p, x, y, count, work);
  else
    rpi_fourier_from_real_f32(p, x, y, count, work);
}
static void to_real(const rpi_fourier_plan *p, const void *x, void *y, int64_t count, void *work) {
  if (p->wide)
    rpi_fourier_to_real_f64(p, x, y, count, 1.0 / (double)p->n, work);
  else
    rpi_fourier_to_real_f32(p, x, y, count, 1.0F / (float)p->n, work);
}

static void put(bool wide, void *x, int64_t i, double v) {
  if (wide)
    ((double *)x)[i] = v;
  else
    ((float *)x)[i] = (float)v;
}

/* The last one of `count` lines; it has the bits that it has alone. */
static void check_real(bool wide, int64_t n, int64_t count) {
  const double eps = wide ? DBL_EPSILON : (double)FLT_EPSILON;
  rpi_fourier_plan *p = rpi_fourier_plan_create(wide, n % 2 == 0, n);
  const int64_t h = n / 2 + 1;
  void *x = numbers(wide, n * count, true), *y = numbers(wide, 2 * h * count, false);
  void *z = numbers(wide, n * count, false), *one = numbers(wide, 2 * h, false), *work = work_of(p);
  void *last = (char *)x + (size_t)(n * (count - 1)) * size(wide);
  void *got = (char *)y + (size_t)(2 * h * (count - 1)) * size(wide);
  from_real(p, x, y, count, work);
  from_real(p, last, one, 1, work);
  assert_memory_equal(one, got, (size_t)(2 * h) * size(wide));
  const double error = error_of(wide, n, last, true, got, h, 1 + n / 100, false);
  if (!(error <= BOUND)) fail_msg("real, %lld elements: %g", (long long)n, error);
  assert_true(at(wide, got, 1) == 0);
  if (n % 2 == 0) assert_true(at(wide, got, 2 * h - 1) == 0);
  /* Imaginary parts that the transform of a real line has not. */
  put(wide, got, 1, 7);
  if (n % 2 == 0) put(wide, got, 2 * h - 1, 7);
  to_real(p, y, z, count, work);
  double wrong = 0, all = 0;
  for (int64_t i = 0; i < n * count; i++) {
    wrong += pow(at(wide, z, i) - at(wide, x, i), 2);
    all += pow(at(wide, x, i), 2);
  }
  if (!(sqrt(wrong / all) <= 2 * BOUND * eps * log2(2 * (double)n)))
    fail_msg("real, %lld elements, there and back: %g", (long long)n, sqrt(wrong / all));
  to_real(p, got, last, 1, work);
  assert_memory_equal(last, (char *)z + (size_t)(n * (count - 1)) * size(wide),
                      (size_t)n * size(wide));
  void *const gone[] = {x, y, z, one, work};
  for (int i = 0; i < COUNT(gone); i++) free(gone[i]);
  rpi_fourier_plan_free(p);
}

static void test_real(void **state) {
  (void)state;
  static const int64_t more[] = {1009, 1024, 2018, 4096, 65536, 65537};
  for (int wide = 0; wide < 2; wide++) {
    for (int64_t n = 1; n <= 130; n++) check_real(wide, n, 1 + n % 19);
    for (int i = 0; i < COUNT(more); i++) check_real(wide, more[i], 1 + i);
  }
}

/* ---- what is kept ---- */

static void test_cache(void **state) {
  (void)state;
  rpi_fourier_cache *c = rpi_fourier_cache_create();
  const rpi_fourier_plan *first = rpi_fourier_cache_plan(c, true, false, 48);
  assert_ptr_equal(first, rpi_fourier_cache_plan(c, true, false, 48));
  rpi_fourier_cache_give_plan(c, first);
  const rpi_fourier_plan *others[] = {rpi_fourier_cache_plan(c, false, false, 48),
                                      rpi_fourier_cache_plan(c, true, true, 48)};
  assert_true(others[0] != first && others[1] != first && others[0] != others[1]);
  for (int i = 0; i < 2; i++) rpi_fourier_cache_give_plan(c, others[i]);
  assert_int_equal(rpi_fourier_cache_plans(c), 3);
  for (int64_t n = 1; n < 2 * RPI_FOURIER_KEPT; n++)
    rpi_fourier_cache_give_plan(c, rpi_fourier_cache_plan(c, false, false, n));
  assert_int_equal(rpi_fourier_cache_plans(c), RPI_FOURIER_KEPT);
  assert_ptr_equal(first, rpi_fourier_cache_plan(c, true, false, 48)); /* it was in use */
  void *a = rpi_fourier_cache_buffer(c, 1000), *b = rpi_fourier_cache_buffer(c, 100);
  assert_true(a != b && (uintptr_t)a % 64 == 0 && (uintptr_t)b % 64 == 0);
  memset(a, 1, 1000);
  rpi_fourier_cache_give_buffer(c, a);
  assert_ptr_equal(rpi_fourier_cache_buffer(c, 500), a);
  rpi_fourier_cache_give_buffer(c, a);
  rpi_fourier_cache_give_buffer(c, b);
  a = rpi_fourier_cache_buffer(c, 1 << 20); /* in place of one that is too small */
  assert_int_equal(rpi_fourier_cache_buffers(c), 2);
  memset(a, 1, 1 << 20);
  rpi_fourier_cache_give_buffer(c, a);
  rpi_fourier_cache_free(c);
}

/* ---- memory that lacks: the linker brings every call of the heap here ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *p);

static int64_t countdown, alive; /* the allocation that fails: 1 is the next one, 0 none */

static bool fails(void) { return countdown > 0 && --countdown == 0; }
void *__wrap_malloc(size_t size_) {
  void *p = fails() ? NULL : __real_malloc(size_);
  alive += p != NULL;
  return p;
}
void *__wrap_calloc(size_t n, size_t size_) {
  void *p = fails() ? NULL : __real_calloc(n, size_);
  alive += p != NULL;
  return p;
}
void __wrap_free(void *p) {
  alive -= p != NULL;
  __real_free(p);
}

/* Each allocation fails once: there is no plan, and nothing is left. */
static void test_memory(void **state) {
  (void)state;
  static const struct {
    int64_t n;
    bool wide, real;
  } of[] = {{1001, true, false},   {1009, false, false}, {1009, true, false},
            {33750, false, false}, {1000, true, true},   {100003, true, false}};
  for (int i = 0; i < COUNT(of); i++) {
    const int64_t before = alive;
    int64_t k = 1;
    for (rpi_fourier_plan *p = NULL; !p; k++) {
      countdown = k;
      p = rpi_fourier_plan_create(of[i].wide, of[i].real, of[i].n);
      assert_true(!p == (countdown == 0));
      countdown = 0;
      rpi_fourier_plan_free(p);
      assert_int_equal(alive, before);
    }
    assert_true(k > 5);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_definition), cmocka_unit_test(test_kinds),
      cmocka_unit_test(test_places),     cmocka_unit_test(test_apart),
      cmocka_unit_test(test_real),       cmocka_unit_test(test_cache),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
