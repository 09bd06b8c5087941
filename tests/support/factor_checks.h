/* SPDX-License-Identifier: Apache-2.0
 * tests/support/factor_checks.h -- the checks of test_factor_host.c for one dtype; included once for each.
 * Lives here: the textbook's loops, comparisons. Not here: names and functions of the dtype (the macros). */

/* Random numbers, some of them above the rows that are read. */
static T *N(random)(int64_t n) {
  T *a = malloc((size_t)(n + 1) * sizeof *a);
  assert_non_null(a);
  for (int64_t i = 0; i < n; i++) a[i] = (T)number();
  return a;
}

/* Row k looks for the largest element from the diagonal on, and columns are exchanged. */
static void N(textbook_lu)(T *a, int64_t *pivot, int64_t n) {
  for (int64_t k = 0; k < n; k++) {
    int64_t at = k;
    for (int64_t j = k; j < n; j++)
      if (ABS(a[k * n + j]) > ABS(a[k * n + at])) at = j;
    pivot[k] = at + 1;
    for (int64_t i = 0; i < n; i++) {
      const T was = a[i * n + k];
      a[i * n + k] = a[i * n + at];
      a[i * n + at] = was;
    }
    for (int64_t j = k + 1; j < n; j++) a[k * n + j] /= a[k * n + k];
    for (int64_t i = k + 1; i < n; i++)
      for (int64_t j = k + 1; j < n; j++)
        a[i * n + j] = FMA(-a[i * n + k], a[k * n + j], a[i * n + j]);
  }
}

/* Of RIGHTS right-hand sides x, some alone, against the sums that they should have. */
static void N(check_right)(const T *a, const T *b, const T *x, int64_t n) {
  for (int64_t r = 0; r < RIGHTS; r++)
    for (int64_t i = 0; i < n; i++) {
      double sum = 0, size = 0;
      for (int64_t j = 0; j < n; j++) {
        sum += (double)a[i * n + j] * (double)x[r * n + j];
        size += fabs((double)a[i * n + j] * (double)x[r * n + j]);
      }
      if (!(fabs(sum - (double)b[r * n + i]) <= NEAR * (1 + size)))
        fail_msg("%lld unknowns, side %lld, equation %lld: %.9g, not %.9g", (long long)n,
                 (long long)r, (long long)i, sum, (double)b[r * n + i]);
    }
}

static void N(check_lu)(int64_t n) {
  T *a = N(random)(n * n), *lu = N(random)(n * n), *want = N(random)(n * n);
  T *b = N(random)(n * RIGHTS), *x = N(random)(n * RIGHTS), *one = N(random)(n);
  int64_t pivot[MOST], pivots_want[MOST];
  int32_t info = -1;
  memcpy(lu, a, (size_t)(n * n) * sizeof *a);
  memcpy(want, a, (size_t)(n * n) * sizeof *a);
  memcpy(x, b, (size_t)(n * RIGHTS) * sizeof *x);
  N(textbook_lu)(want, pivots_want, n);
  N(rpi_factor_lu)(lu, pivot, &info, n);
  assert_int_equal(info, 0);
  assert_memory_equal(pivot, pivots_want, (size_t)n * sizeof *pivot);
  assert_memory_equal(lu, want, (size_t)(n * n) * sizeof *lu);
  N(rpi_factor_lu_solve)(x, lu, pivot, RIGHTS, n);
  N(check_right)(a, b, x, n);
  for (int64_t r = 0; r < RIGHTS; r += 8) {
    memcpy(one, b + r * n, (size_t)n * sizeof *one);
    N(rpi_factor_lu_solve)(one, lu, pivot, 1, n);
    assert_memory_equal(one, x + r * n, (size_t)n * sizeof *one);
  }
  T *const all[] = {a, lu, want, b, x, one};
  for (int i = 0; i < 6; i++) free(all[i]);
}

static void N(textbook_cholesky)(T *a, int64_t n) {
  for (int64_t k = 0; k < n; k++) {
    a[k * n + k] = SQRT(a[k * n + k]);
    for (int64_t i = k + 1; i < n; i++) a[i * n + k] /= a[k * n + k];
    for (int64_t i = k + 1; i < n; i++)
      for (int64_t j = k + 1; j <= i; j++)
        a[i * n + j] = FMA(-a[i * n + k], a[j * n + k], a[i * n + j]);
  }
}

static void N(check_cholesky)(int64_t n) {
  T *a = N(random)(n * n), *l = N(random)(n * n), *want = N(random)(n * n);
  T *b = N(random)(n * RIGHTS), *x = N(random)(n * RIGHTS), *one = N(random)(n);
  int32_t info = -1;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) a[j * n + i] = a[i * n + j] = i == j ? (T)n : a[i * n + j];
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) want[i * n + j] = l[i * n + j] = j > i ? NAN : a[i * n + j];
  memcpy(x, b, (size_t)(n * RIGHTS) * sizeof *x);
  N(textbook_cholesky)(want, n);
  N(rpi_factor_cholesky)(l, &info, n);
  assert_int_equal(info, 0);
  for (int64_t i = 0; i < n; i++)
    assert_memory_equal(l + i * n, want + i * n, (size_t)(i + 1) * sizeof *l);
  N(rpi_factor_cholesky_solve)(x, l, RIGHTS, n);
  N(check_right)(a, b, x, n);
  for (int64_t r = 0; r < RIGHTS; r += 8) {
    memcpy(one, b + r * n, (size_t)n * sizeof *one);
    N(rpi_factor_cholesky_solve)(one, l, 1, n);
    assert_memory_equal(one, x + r * n, (size_t)n * sizeof *one);
  }
  T *const all[] = {a, l, want, b, x, one};
  for (int i = 0; i < 6; i++) free(all[i]);
}
