/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_supply.c -- values that ranks have in parts: stores that ask for theirs, shares that move to where
 * they are held, and back, matrices of stencils; what each rank is asked for; what is left after an error. */
#include "tests/support/members.h"

#include "core/include/reprise_sparse.h"

/* ---- elements that are asked for ---- */

typedef struct asked {
  int64_t n, calls, most, next; /* elements in all; the largest block; one behind the last */
  int64_t bad_at;               /* the call from here on fails; < 0: none */
  bool out_of_order;
} asked;

static double element(int64_t i) { return (double)(i * 37 % 1009) / 7; }

static rp_status fill_f64(void *arg, int64_t lo, int64_t n, void *out) {
  asked *a = arg;
  double *to = out;
  if (a->bad_at >= 0 && lo + n > a->bad_at)
    return rp_error_set(RP_ERR_IO, "element 4711 is not to be had");
  for (int64_t i = 0; i < n; i++) to[i] = element(lo + i);
  a->out_of_order = a->out_of_order || (a->calls > 0 && lo != a->next);
  a->next = lo + n;
  a->n += n;
  a->calls++;
  if (n > a->most) a->most = n;
  return RP_OK;
}

static rp_status fill_i32(void *arg, int64_t lo, int64_t n, void *out) {
  int32_t *to = out;
  for (int64_t i = 0; i < n; i++) to[i] = (int32_t)((lo + i) * 31 % *(int64_t *)arg);
  return RP_OK;
}

enum { LONG = 300000, EDGE = 150 };

static rp_status sum_into(member *m, rp_store *x, double *out) {
  rp_store *s;
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &s));
  TRY(EVAL(m->ctx, "s, x", "s += x", s, x));
  TRY(rp_store_read(s, out, 8));
  return rp_store_release(s);
}

/* A vector, a gather through supplied indices, and views of a matrix, supplied twice each. */
static rp_status supplied(member *m) {
  asked a = {.bad_at = -1};
  int64_t n = LONG;
  const int64_t shape[] = {EDGE, EDGE};
  rp_store *x, *at, *y, *matrix, *turned, *inner, *back, *column;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_create(m->ctx, RP_I32, 1, &n, &at));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &y));
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &matrix));
  TRY(rp_store_transpose(matrix, (int32_t[]){1, 0}, &turned));
  TRY(rp_store_box(matrix, (int64_t[]){1, 1}, (int64_t[]){EDGE - 1, EDGE - 1}, &inner));
  TRY(rp_store_slice(matrix, 0, EDGE - 1, -EDGE - 1, -1, &back));
  TRY(rp_store_project(matrix, 1, 3, &column));
  TRY(rp_store_supply(x, fill_f64, &a));
  m->stat[7] = a.n;
  m->stat[6] = a.most;
  m->stat[5] = a.out_of_order;
  TRY(rp_store_supply(at, fill_i32, &n));
  for (int32_t pass = 0; pass < 3; pass++) {
    TRY(EVAL(m->ctx, "y, x, at", "y[i] = x[at[i]] + x[i]", y, x, at));
    TRY(EVAL(m->ctx, "x, y", "x = 0.5*x + y", x, y));
    if (pass == 1) TRY(rp_store_supply(x, fill_f64, &a)); /* while others may share its memory */
  }
  TRY(rp_store_supply(matrix, fill_f64, &a));
  TRY(EVAL(m->ctx, "a", "a = a*1.25", matrix)); /* cut now, where it was not */
  TRY(rp_store_supply(inner, fill_f64, &a));
  TRY(sum_into(m, matrix, &m->out[0]));
  TRY(rp_store_supply(turned, fill_f64, &a));
  TRY(sum_into(m, matrix, &m->out[1]));
  TRY(rp_store_supply(back, fill_f64, &a));
  TRY(rp_store_supply(column, fill_f64, &a));
  TRY(sum_into(m, matrix, &m->out[2]));
  int64_t shared;
  TRY(rp_stat(m->ctx, "kernels_shared", &shared));
  m->stat[0] = shared;
  TRY(rp_store_read(x, m->out + 3, LONG * 8));
  TRY(rp_store_read(matrix, m->out + 3 + LONG, EDGE * EDGE * 8));
  rp_store *all[] = {x, at, y, matrix, turned, inner, back, column};
  for (int32_t i = 0; i < 8; i++) TRY(rp_store_release(all[i]));
  return RP_OK;
}

static void test_supply(void **state) {
  (void)state;
  member all[MOST];
  same_bits(supplied, 3 + LONG + EDGE * EDGE);
  for (int32_t n = 1; n <= MOST; n++) {
    int64_t sum = 0;
    run(all, n, "--threads 1 --tile 0", supplied, 3 + LONG + EDGE * EDGE);
    all_fine(all, n);
    for (int32_t r = 0; r < n; r++) {
      sum += all[r].stat[7];
      assert_true(all[r].stat[7] <= LONG / n + 2048); /* its part */
      assert_true(all[r].stat[6] <= (1 << 20) / 8);   /* in pieces */
      assert_int_equal(all[r].stat[5], 0);
    }
    assert_int_equal(sum, LONG);
    forget(all, n);
  }
  /* What all ranks hold each is asked for. */
  run(all, 3, "--threads 1 --tile 100000000", supplied, 3 + LONG + EDGE * EDGE);
  all_fine(all, 3);
  for (int32_t r = 0; r < 3; r++) assert_int_equal(all[r].stat[7], LONG);
  forget(all, 3);
}

/* One rank's function fails: all are told, by its sentence; the store has what it had, and goes on to work. */
static rp_status refused(member *m) {
  const int64_t n = LONG;
  rp_store *x, *part;
  double before = 1.5;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_fill(x, &before));
  TRY(rp_store_slice(x, 0, 1, n, 1, &part));
  asked a = {.bad_at = n - 1};
  m->stat[0] = rp_store_supply(x, fill_f64, &a);
  snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  a.bad_at = n - 2;
  m->stat[1] = rp_store_supply(part, fill_f64, &a);
  m->stat[2] = rp_store_write_share(x, m->out, m->rank == m->ranks - 1 ? 12 : 0);
  m->stat[3] = rp_store_write_share(x, m->out, 16);
  m->stat[4] = rp_store_supply(x, NULL, NULL);
  TRY(rp_store_read(x, m->out, LONG * 8));
  TRY(rp_store_release(part));
  return rp_store_release(x);
}

static void test_refused(void **state) {
  (void)state;
  member all[MOST];
  for (int32_t n = 1; n <= 4; n++) {
    run(all, n, "--threads 1 --tile 0", refused, LONG);
    for (int32_t r = 0; r < n; r++) {
      assert_int_equal(all[r].status, RP_OK);
      assert_int_equal(all[r].stat[0], RP_ERR_IO);
      assert_int_equal(all[r].stat[1], RP_ERR_IO);
      for (int32_t k = 2; k < 5; k++) assert_int_equal(all[r].stat[k], RP_ERR_ARGUMENT);
      char want[100] = "rp_store_supply: element 4711 is not to be had";
      if (n > 1)
        snprintf(want, sizeof want, "rp_store_supply: rank %d: element 4711 is not to be had",
                 n - 1);
      assert_string_equal(all[r].said, want);
      for (int64_t i = 0; i < LONG; i++) assert_true(all[r].out[i] == 1.5);
    }
    forget(all, n);
  }
}

/* ---- shares ---- */

/* Where the share of a rank of n elements begins: the higher the rank the more it has, but rank 1 has none. */
static int64_t share_at(const member *m, int64_t n, int64_t rank) {
  const int64_t r = rank == 1 && m->ranks > 2 ? 2 : rank;
  return n * r * r / (m->ranks * m->ranks);
}

static void share_of(const member *m, int64_t n, int64_t *lo, int64_t *hi) {
  *lo = share_at(m, n, m->rank);
  *hi = share_at(m, n, m->rank + 1);
}

static rp_status shared(member *m) {
  const int64_t n = LONG, few = 5, wide = 2 * LONG;
  int64_t lo, hi;
  double *data = malloc(LONG * 8);
  rp_store *x, *y, *z, *odd;
  if (!data) return RP_ERR_MEMORY;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &few, &y));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &wide, &z));
  TRY(rp_store_slice(z, 0, 1, wide, 2, &odd));
  share_of(m, n, &lo, &hi);
  for (int64_t i = lo; i < hi; i++) data[i - lo] = element(i);
  TRY(rp_store_write_share(x, data, (size_t)(hi - lo) * 8));
  TRY(EVAL(m->ctx, "x", "x = x*1.25 + 1", x));
  TRY(EVAL(m->ctx, "z", "z = z + 3", z));
  TRY(rp_store_write_share(odd, data, (size_t)(hi - lo) * 8));
  TRY(EVAL(m->ctx, "x, o", "x = x - o", x, odd));
  share_of(m, few, &lo, &hi);
  for (int64_t i = lo; i < hi; i++) data[i - lo] = element(i);
  TRY(rp_store_write_share(y, data, (size_t)(hi - lo) * 8));
  TRY(count(m));
  TRY(rp_store_read(x, m->out, LONG * 8));
  TRY(rp_store_read(y, m->out + LONG, 40));
  TRY(rp_store_read(z, m->out + LONG + 5, 2 * LONG * 8));
  free(data);
  rp_store *all[] = {x, y, z, odd};
  for (int32_t i = 0; i < 4; i++) TRY(rp_store_release(all[i]));
  return RP_OK;
}

static void test_share(void **state) {
  (void)state;
  same_bits(shared, 3 * LONG + 5);
}

/* Elements of a store that this rank asks for, in two ways: a share of its own, and ranges that overlap those of others.
 * How many of them are not what all read is added to stat[5]. */
static rp_status ask_for(member *m, rp_store *s) {
  const int64_t n = rp_store_size(s), elem = rp_dtype_size(rp_store_dtype(s));
  int64_t lo[2], hi[2];
  share_of(m, n, &lo[0], &hi[0]);
  lo[1] = n / 3 - n / (4 + m->rank);
  hi[1] = m->rank == 2 ? lo[1] : n - n / (5 + m->rank);
  char *all = malloc((size_t)(n * elem) + 1), *part[2];
  for (int32_t k = 0; k < 2; k++) {
    part[k] = malloc((size_t)((hi[k] - lo[k]) * elem) + 1);
    if (!part[k] || !all) return RP_ERR_MEMORY;
    TRY(rp_store_read_share(s, lo[k], lo[k] < hi[k] ? part[k] : NULL,
                            (size_t)((hi[k] - lo[k]) * elem)));
  }
  TRY(rp_store_read(s, all, (size_t)(n * elem)));
  for (int32_t k = 0; k < 2; k++) {
    m->stat[5] += memcmp(part[k], all + lo[k] * elem, (size_t)((hi[k] - lo[k]) * elem)) != 0;
    free(part[k]);
  }
  free(all);
  return RP_OK;
}

/* Arrays and views that are cut, and not, in closed form and in none; then what is refused. */
static rp_status taken(member *m) {
  const int64_t n = LONG, shape[] = {EDGE, EDGE};
  enum { VIEWS = 9 };
  rp_store *x, *matrix, *s[VIEWS] = {NULL};
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_create(m->ctx, RP_I32, 2, shape, &matrix));
  TRY(rp_store_slice(x, 0, 7, n, 1, &s[0]));
  TRY(rp_store_slice(x, 0, 1, n, 3, &s[1]));
  TRY(rp_store_slice(x, 0, n - 1, -n - 1, -1, &s[2]));
  TRY(rp_store_box(matrix, (int64_t[]){1, 1}, (int64_t[]){EDGE - 1, EDGE - 1}, &s[3]));
  TRY(rp_store_transpose(matrix, (int32_t[]){1, 0}, &s[4]));
  TRY(rp_store_project(matrix, 1, 3, &s[5]));
  TRY(rp_store_create(m->ctx, RP_F64, 1, (int64_t[]){5}, &s[6]));
  TRY(rp_store_create(m->ctx, RP_BOOL, 1, &n, &s[7]));
  TRY(rp_store_create(m->ctx, RP_F32, 1, &n, &s[8])); /* zeros, without memory */
  TRY(EVAL(m->ctx, "x", "x[i] = 1/(1.0 + f64(i))", x));
  TRY(EVAL(m->ctx, "a", "a[i, j] = i32(1000*i + j)", matrix));
  TRY(EVAL(m->ctx, "y", "y = y + 3", s[6]));
  TRY(EVAL(m->ctx, "b", "b[i] = i % 3 == 1", s[7]));
  TRY(rp_wait(m->ctx));
  TRY(count(m));
  m->stat[5] = 0;
  TRY(ask_for(m, x));
  TRY(ask_for(m, matrix));
  for (int32_t i = 0; i < VIEWS; i++) TRY(ask_for(m, s[i]));
  m->stat[6] = rp_store_read_share(x, m->rank == m->ranks - 1 ? n - 1 : 0, m->out, 16);
  snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  m->stat[7] = rp_store_read_share(x, 0, NULL, m->rank == 0 ? 8 : 0);
  TRY(rp_store_read_share(x, 5, m->out, 8));
  for (int32_t i = 0; i < VIEWS; i++) TRY(rp_store_release(s[i]));
  TRY(rp_store_release(x));
  return rp_store_release(matrix);
}

static void test_taken(void **state) {
  (void)state;
  static const char *const configs[] = {"--threads 1 --tile 0", "--threads 2 --tile 100000000"};
  member all[MOST];
  for (int32_t k = 0; k < 2; k++) {
    for (int32_t n = 1; n <= MOST; n++) {
      run(all, n, configs[k], taken, LONG);
      for (int32_t r = 0; r < n; r++) {
        if (all[r].status != RP_OK) fail_msg("rank %d of %d: %s", r, n, rp_last_error());
        if (k == 0 && n > 1) assert_true(all[r].stat[0] > 0);
        assert_int_equal(all[r].stat[5], 0);
        assert_int_equal(all[r].stat[6], RP_ERR_ARGUMENT);
        assert_int_equal(all[r].stat[7], RP_ERR_ARGUMENT);
        assert_non_null(strstr(all[r].said, "2 elements from element 299999 on of a store of"));
        assert_true(all[r].out[0] == 1.0 / 6);
      }
      forget(all, n);
    }
  }
}

/* ---- ranks ---- */

static rp_status counted(member *m) {
  int64_t before, all, n;
  void *out;
  int32_t to[20];
  int64_t(*record)[2] = malloc(20 * sizeof *record);
  if (!record) return RP_ERR_MEMORY;
  TRY(rp_context_scan(m->ctx, 10 + m->rank, &before, &all));
  m->stat[0] = rp_context_ranks(m->ctx) == m->ranks && rp_context_rank(m->ctx) == m->rank;
  m->stat[1] = before - (10 * m->rank + m->rank * (m->rank - 1) / 2);
  m->stat[2] = all - (10 * m->ranks + m->ranks * (m->ranks - 1) / 2);
  for (int32_t k = 0; k < 20; k++) {
    to[k] = k % m->ranks;
    record[k][0] = m->rank;
    record[k][1] = k;
  }
  TRY(rp_context_deal(m->ctx, 20, to, 16, record, &n, &out));
  const int64_t(*got)[2] = out;
  int64_t at = 0;
  for (int32_t from = 0; from < m->ranks; from++)
    for (int32_t k = m->rank; k < 20; k += m->ranks, at++)
      m->stat[3] += at >= n || got[at][0] != from || got[at][1] != k;
  m->stat[3] += at != n;
  free(out);
  m->stat[4] = rp_context_deal(m->ctx, 20, m->rank ? NULL : to, 16, calloc(20, 16), &n, &out);
  free(out);
  m->stat[5] = rp_context_agree(
      m->ctx, m->rank == m->ranks - 1 ? rp_error_set(RP_ERR_IO, "the last one") : RP_OK, 0);
  snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  m->stat[6] = rp_context_agree(m->ctx, RP_OK, (uint64_t)(m->rank > 0));
  return rp_context_agree(m->ctx, RP_OK, 7);
}

static void test_ranks(void **state) {
  (void)state;
  member all[MOST];
  for (int32_t n = 1; n <= MOST; n++) {
    run(all, n, "--threads 1", counted, 1);
    for (int32_t r = 0; r < n; r++) {
      assert_int_equal(all[r].status, RP_OK);
      assert_true(all[r].stat[0]);
      for (int32_t k = 1; k < 4; k++) assert_int_equal(all[r].stat[k], 0);
      assert_int_equal(all[r].stat[4], n > 1 ? RP_ERR_ARGUMENT : RP_OK);
      assert_int_equal(all[r].stat[5], RP_ERR_IO);
      assert_non_null(strstr(all[r].said, "the last one"));
      assert_int_equal(all[r].stat[6], n > 1 ? RP_ERR_RANKS : RP_OK);
    }
    forget(all, n);
  }
}

/* ---- stencils ---- */

static rp_status stencil(member *m) {
  static const int64_t offset[] = {0, 0, -1, 0, 1, 0, 0, -1, 0, 1}, shape[] = {61, 53};
  static const double c[] = {4, -1, -1.5, -1, -1.25};
  const int64_t n = 61 * 53;
  rp_csr *a;
  rp_store *x, *y;
  for (int32_t t = 0; t < 2; t++) {
    const rp_dtype dtype = t ? RP_F32 : RP_F64;
    double *out = m->out + t * (2 * n + 1);
    TRY(rp_csr_from_stencil(m->ctx, dtype, 2, shape, 5, offset, c, &a));
    TRY(rp_store_create(m->ctx, dtype, 1, &n, &x));
    TRY(EVAL(m->ctx, "x", "x = x + 1", x));
    for (int32_t pass = 0; pass < 3; pass++) {
      TRY(rp_csr_multiply(a, x, &y));
      TRY(EVAL(m->ctx, "x, y", "x = 0.125*y", x, y));
      TRY(rp_store_release(y));
    }
    TRY(count(m));
    TRY(rp_store_read(x, out, (size_t)n * rp_dtype_size(dtype)));
    TRY(rp_store_read(rp_csr_ptr(a), out + n, (size_t)(n + 1) * 8));
    TRY(rp_store_release(x));
    TRY(rp_csr_release(a));
  }
  return RP_OK;
}

static void test_stencil(void **state) {
  (void)state;
  same_bits(stencil, 4 * 61 * 53 + 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_supply), cmocka_unit_test(test_refused),
                                     cmocka_unit_test(test_taken),  cmocka_unit_test(test_share),
                                     cmocka_unit_test(test_ranks),  cmocka_unit_test(test_stencil)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
