/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_index_data.c -- trace/ranges.c and trace/index_range.c through the public interface: index data
 * that is seen to be in range is not checked in the kernel, changed data is looked at again, and
 * what is out of range poisons what was gathered, with the place. */
#define GROUP_CONFIG "--threads 3"
#include "tests/support/api_group.h"

#include <stdio.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

enum { TABLE = 100 };

/* How often the word stands in the text of rp_explain. */
static int told(const char *word) {
  int times = 0;
  char *text = check_explained(ctx);
  for (const char *p = text; (p = strstr(p, word)); p += strlen(word)) times++;
  free(text);
  return times;
}

static rp_store *table_of(int64_t n) {
  double v[1000];
  for (int i = 0; i < n; i++) v[i] = i * 1.5;
  return check_vector(ctx, n, v);
}

/* An integer array of any dtype, all elements `all`. */
static rp_store *indices(rp_dtype t, int64_t n, int64_t all) {
  rp_store *s;
  char *v = calloc((size_t)n, 8);
  assert_non_null(v);
  for (int64_t i = 0; i < n; i++) memcpy(v + (size_t)i * rp_dtype_size(t), &all, rp_dtype_size(t));
  OK(rp_store_create(ctx, t, 1, &n, &s));
  OK(rp_store_write(s, v, (size_t)n * rp_dtype_size(t)));
  free(v);
  return s;
}

static void poke(rp_store *s, int64_t at, int64_t value) {
  OK(rp_store_write_part(s, &at, (int64_t[]){at + 1}, &value, rp_dtype_size(rp_store_dtype(s))));
}

static rp_status gather(rp_store *y, rp_store *x, rp_store *b) {
  OK(rp_trace_begin(ctx, 1));
  OK(EVAL(ctx, "y, x, b", "y[i] = x[b[i]]", y, x, b));
  OK(rp_trace_end(ctx, 1));
  return rp_wait(ctx);
}

/* ---- the data of one index store ------------------------------------------------------------------ */

/* Wherever the bad one lies: first, last, in a vector, in a tail, in any thread's share. */
static void test_places(void **state) {
  (void)state;
  enum { N = 200001 };
  static const int64_t at[] = {0, 1, 63, 64, N / 3, N / 2, N - 65, N - 2, N - 1};
  rp_store *x = table_of(TABLE), *y = check_vector(ctx, N, NULL), *b = indices(RP_I32, N, 7);
  assert_int_equal(gather(y, x, b), RP_OK);
  assert_int_equal(told("indices checked"), 0);
  for (int i = 0; i < COUNT(at); i++) {
    double got;
    poke(b, at[i], i % 2 ? -1 : TABLE);
    assert_int_equal(gather(y, x, b), RP_ERR_DATA);
    assert_non_null(strstr(rp_last_error(), "out of range"));
    FAILS(RP_ERR_DATA, "out of range",
          rp_store_read_part(y, &at[i], (int64_t[]){at[i] + 1}, &got, 8));
    poke(b, at[i], TABLE - 1); /* the largest index that is none too large */
    assert_int_equal(gather(y, x, b), RP_OK);
    OK(rp_store_read_part(y, &at[i], (int64_t[]){at[i] + 1}, &got, 8));
    assert_true(got == (TABLE - 1) * 1.5);
  }
  assert_int_equal(told("indices checked"), 1); /* one plan for all the bad ones */
  assert_int_equal(check_stat(ctx, "plans"), 2);
  assert_int_equal(check_stat(ctx, "templates"), 1);
  drop(x);
  drop(y);
  drop(b);
}

/* Every dtype, at its limits. */
static void test_dtypes(void **state) {
  (void)state;
  static const struct {
    rp_dtype t;
    int64_t least, most; /* INT64_MIN read as unsigned is 2^63 */
  } row[] = {{RP_I8, INT8_MIN, INT8_MAX},    {RP_I16, INT16_MIN, INT16_MAX},
             {RP_I32, INT32_MIN, INT32_MAX}, {RP_I64, INT64_MIN, INT64_MAX},
             {RP_U8, 0, UINT8_MAX},          {RP_U16, 0, UINT16_MAX},
             {RP_U32, 0, UINT32_MAX},        {RP_U64, INT64_MIN, -1}};
  rp_store *x = table_of(TABLE), *y = check_vector(ctx, 150, NULL);
  for (int r = 0; r < COUNT(row); r++) {
    rp_store *b = indices(row[r].t, 150, 0);
    const int64_t bad[] = {row[r].least, row[r].most};
    assert_int_equal(gather(y, x, b), RP_OK);
    for (int k = 0; k < 2; k++)
      for (int64_t at = 0; at < 150; at += 149) {
        if (bad[k] == 0) continue;
        poke(b, at, bad[k]);
        assert_int_equal(gather(y, x, b), RP_ERR_DATA);
        poke(b, at, TABLE - 1);
        assert_int_equal(gather(y, x, b), RP_OK);
      }
    drop(b);
  }
  drop(x);
  drop(y);
}

/* Data that tasks wrote in an earlier segment is looked at as well; an array never written is zeros. */
static void test_versions(void **state) {
  (void)state;
  rp_store *x = table_of(TABLE), *y = check_vector(ctx, 50, NULL), *b;
  const int64_t n = 50;
  OK(rp_store_create(ctx, RP_I64, 1, &n, &b));
  assert_int_equal(gather(y, x, b), RP_OK);
  for (int i = 0; i < 4; i++) {
    OK(EVAL(ctx, "b", "b = b + 33", b));
    assert_int_equal(gather(y, x, b), i == 3 ? RP_ERR_DATA : RP_OK); /* 33, 66, 99, 132 */
  }
  assert_int_equal(told("indices checked"), 1);
  drop(x);
  drop(y);
  drop(b);
}

/* Nothing is in range of an empty table; nothing is gathered by an empty index. */
static void test_empty(void **state) {
  (void)state;
  rp_store *none = check_vector(ctx, 0, NULL), *x = table_of(TABLE),
           *y = check_vector(ctx, 5, NULL);
  rp_store *b = indices(RP_I32, 5, 0), *nothing = indices(RP_I32, 0, 0);
  assert_int_equal(gather(y, x, b), RP_OK);
  assert_int_equal(gather(none, x, nothing), RP_OK);
  assert_int_equal(gather(none, none, nothing), RP_OK);
  rp_store *all[] = {none, x, y, b, nothing};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

/* ---- what subscripts are understood --------------------------------------------------------------------- */

/* One index store for tables of two sizes: the smaller one decides. */
static void test_two_tables(void **state) {
  (void)state;
  rp_store *x = table_of(TABLE), *w = table_of(20), *y = check_vector(ctx, 9, NULL);
  rp_store *z = check_vector(ctx, 9, NULL), *b = indices(RP_I32, 9, 19);
  for (int i = 0; i < 3; i++) {
    if (i == 1) poke(b, 4, 20);
    if (i == 2) poke(b, 4, 3);
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "y, x, b", "y[i] = x[b[i]]", y, x, b));
    OK(EVAL(ctx, "z, w, b", "z[i] = w[b[i]]", z, w, b));
    OK(rp_trace_end(ctx, 1));
    assert_int_equal(rp_wait(ctx), i == 1 ? RP_ERR_DATA : RP_OK);
    double v[9];
    assert_int_equal(rp_store_read(z, v, sizeof v), i == 1 ? RP_ERR_DATA : RP_OK);
  }
  assert_int_equal(told("indices checked"), 1);
  rp_store *all[] = {x, w, y, z, b};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

/* Rows of a sparse matrix: both the rows' bounds and the columns. */
static void test_csr(void **state) {
  (void)state;
  enum { ROWS = 4, NNZ = 6 };
  const int64_t ptr[ROWS + 1] = {0, 2, 3, 3, NNZ}, n = ROWS + 1;
  rp_store *p, *c = indices(RP_I32, NNZ, 3), *x = table_of(ROWS),
               *y = check_vector(ctx, ROWS, NULL);
  rp_store *v = check_vector(ctx, NNZ, (double[]){1, 1, 1, 1, 1, 1});
  OK(rp_store_create(ctx, RP_I64, 1, &n, &p));
  OK(rp_store_write(p, ptr, sizeof ptr));
  static const struct {
    int which;
    int64_t at, value, good;
  } bad[] = {{0, 4, NNZ + 1, NNZ}, {0, 0, -1, 0}, {1, 5, ROWS, 3}, {1, 0, -1, 3}};
  for (int i = 0; i <= 2 * COUNT(bad); i++) {
    rp_store *s = i > 0 && bad[(i - 1) / 2].which ? c : p;
    if (i > 0) poke(s, bad[(i - 1) / 2].at, i % 2 ? bad[(i - 1) / 2].value : bad[(i - 1) / 2].good);
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "y, p, v, c, x", "y[i] = sum(k in p[i]..p[i+1]) v[k]*x[c[k]]", y, p, v, c, x));
    OK(rp_trace_end(ctx, 1));
    assert_int_equal(rp_wait(ctx), i % 2 ? RP_ERR_DATA : RP_OK);
  }
  check_values(y, (double[]){9, 4.5, 0, 13.5});
  assert_int_equal(told("indices checked"), 1);
  assert_int_equal(told("GATHER_CHECKED"), 0);
  rp_store *all[] = {p, c, x, y, v};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

/* Bounds of segments from two stores: each is looked at. */
static void test_two_bounds(void **state) {
  (void)state;
  rp_store *a = indices(RP_I32, 4, 1), *b = indices(RP_I32, 4, 5), *y = check_vector(ctx, 4, NULL);
  rp_store *v = check_vector(ctx, 6, (double[]){1, 2, 4, 8, 16, 32});
  static const struct {
    int which;
    int64_t value, good;
  } bad[] = {{0, -1, 1}, {0, -100, 2}, {1, 7, 6}, {1, 100, 3}};
  for (int i = 0; i <= 2 * COUNT(bad); i++) {
    if (i > 0)
      poke(bad[(i - 1) / 2].which ? b : a, 2,
           i % 2 ? bad[(i - 1) / 2].value : bad[(i - 1) / 2].good);
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "y, a, b, v", "y[i] = sum(k in a[i]..b[i]) v[k]", y, a, b, v));
    OK(rp_trace_end(ctx, 1));
    assert_int_equal(rp_wait(ctx), i % 2 ? RP_ERR_DATA : RP_OK);
  }
  check_values(y, (double[]){30, 30, 4, 30});
  rp_store *all[] = {a, b, y, v};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

/* Computed subscripts are checked in the kernel, always; casts and constants are seen through. */
static void test_forms(void **state) {
  (void)state;
  static const struct {
    const char *body;
    bool checked;
  } row[] = {
      {"y[i] = x[b[i]] + m[b[i],0]", false},     {"y[i] = x[i64(b[i])] + m[b[i],3]", false},
      {"y[i] = x[i] + m[b[i],b[i]]", false},     {"y[i] = x[b[i] + 1] + m[0,0]", true},
      {"y[i] = x[min(b[i], 3)] + m[0,0]", true}, {"y[i] = x[0] + m[i32(f64(b[i])),0]", true}};
  for (int r = 0; r < COUNT(row); r++) {
    OK(rp_context_destroy(ctx));
    setup(NULL);
    rp_store *x = table_of(4), *y = check_vector(ctx, 4, NULL), *b = indices(RP_I32, 4, 2);
    rp_store *m = check_store(ctx, 2, (int64_t[]){4, 4}, NULL);
    OK(EVAL(ctx, "y, x, b, m", row[r].body, y, x, b, m));
    OK(rp_wait(ctx));
    if ((told("GATHER_CHECKED") > 0) != row[r].checked)
      fail_msg("%s: %d gathers are checked", row[r].body, told("GATHER_CHECKED"));
    rp_store *all[] = {x, y, b, m};
    for (int i = 0; i < COUNT(all); i++) drop(all[i]);
  }
}

/* A constant subscript is compared with each size it meets, also where the analysis is known. */
static void test_constant_and_size(void **state) {
  (void)state;
  rp_store *y = check_vector(ctx, 4, NULL), *b = indices(RP_I32, 4, 1);
  for (int64_t width = 6; width > 1; width--) {
    rp_store *m = check_store(ctx, 2, (int64_t[]){4, width}, NULL);
    rp_status st = EVAL(ctx, "y, b, m", "y[i] = m[b[i],3]", y, b, m);
    if (st == RP_OK) st = rp_wait(ctx);
    if (width > 3)
      assert_int_equal(st, RP_OK);
    else
      assert_true(st == RP_ERR_DATA || st == RP_ERR_SHAPE);
    drop(m);
  }
  drop(y);
  drop(b);
}

/* The segment itself writes the index, before or after: never trusted. */
static void test_written_in_the_segment(void **state) {
  (void)state;
  for (int after = 0; after < 2; after++) {
    rp_store *x = table_of(TABLE), *y = check_vector(ctx, 4, NULL), *b = indices(RP_I32, 4, 98);
    for (int i = 0; i < 4; i++) {
      OK(rp_trace_begin(ctx, 1 + after));
      if (!after) OK(EVAL(ctx, "b", "b = b + 1", b));
      OK(EVAL(ctx, "y, x, b", "y[i] = x[b[i]]", y, x, b));
      if (after) OK(EVAL(ctx, "b", "b = b + 1", b));
      OK(rp_trace_end(ctx, 1 + after));
      assert_int_equal(rp_wait(ctx), i < 1 + after ? RP_OK : RP_ERR_DATA); /* 99 is the last */
    }
    drop(x);
    drop(y);
    drop(b);
  }
  assert_int_equal(told("indices checked"), 0); /* of data that was looked at: there is none */
}

/* More index stores than a segment looks at: the others are checked in the kernel. */
static void test_many(void **state) {
  (void)state;
  enum { MANY = 30 };
  rp_store *x = table_of(TABLE), *y[MANY], *b[MANY];
  for (int k = 0; k < MANY; k++) {
    y[k] = check_vector(ctx, 5, NULL);
    b[k] = indices(RP_I32, 5, k);
  }
  for (int bad = -1; bad < MANY; bad++) {
    if (bad >= 0) poke(b[bad], 2, TABLE);
    OK(rp_trace_begin(ctx, 1));
    for (int k = 0; k < MANY; k++) OK(EVAL(ctx, "y, x, b", "y[i] = x[b[i]]", y[k], x, b[k]));
    OK(rp_trace_end(ctx, 1));
    const rp_status st = rp_wait(ctx);
    if (st != (bad < 0 ? RP_OK : RP_ERR_DATA)) fail_msg("index %d: %s", bad, rp_status_name(st));
    if (bad >= 0) poke(b[bad], 2, 0);
  }
  drop(x);
  for (int k = 0; k < MANY; k++) {
    drop(y[k]);
    drop(b[k]);
  }
}

/* ---- poison ------------------------------------------------------------------------------------------------- */

/* It names the op and its place, spreads to what is made of it, and goes with an overwrite. */
static void test_poison(void **state) {
  (void)state;
  rp_library *lib;
  rp_op *take;
  OK(rp_library_create(ctx, "mine", &lib));
  OK(rp_op_create(lib, "take", "y, x, b", "y[i] = x[b[i]]", &take));
  rp_store *x = table_of(TABLE), *y = check_vector(ctx, 4, NULL), *z = check_vector(ctx, 4, NULL);
  rp_store *w = check_vector(ctx, 4, NULL), *b = indices(RP_I32, 4, TABLE), *s;
  OK(rp_store_create(ctx, RP_F64, 0, NULL, &s));
  OK(rp_trace_begin(ctx, 1));
  OK(EVAL(ctx, "w, x", "w[i] = x[i]", w, x));
  OK(rp_launch(take, STORES(y, x, b), 3, NULL, 0));
  OK(EVAL(ctx, "z, y", "z = y + 1", z, y));
  OK(EVAL(ctx, "s, z", "s = sum(i) z[i]", s, z));
  OK(rp_trace_end(ctx, 1));
  FAILS(RP_ERR_DATA,
        "mine.take, launch 2 of the context (trace 1, pass 1), met an index out of range of",
        rp_wait(ctx));
  double v[4];
  FAILS(RP_ERR_DATA, "mine.take", rp_store_read(y, v, sizeof v));
  FAILS(RP_ERR_DATA, "mine.take", rp_store_read(z, v, sizeof v));
  FAILS(RP_ERR_DATA, "mine.take", rp_store_read(s, v, sizeof *v));
  check_values(w, (double[]){0, 1.5, 3, 4.5});
  assert_int_equal(check_stat(ctx, "poisoned"), 3);
  OK(EVAL(ctx, "y", "y = 2", y)); /* sound again */
  check_values(y, (double[]){2, 2, 2, 2});
  OK(rp_store_write(z, v, sizeof v));
  OK(rp_store_read(z, v, sizeof v));
  FAILS(RP_ERR_DATA, "mine.take", rp_store_read(s, v, sizeof *v));
  rp_store *all[] = {x, y, z, w, b, s};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {TEST(test_places),
                                     TEST(test_dtypes),
                                     TEST(test_versions),
                                     TEST(test_empty),
                                     TEST(test_two_tables),
                                     TEST(test_csr),
                                     TEST(test_two_bounds),
                                     TEST(test_forms),
                                     TEST(test_constant_and_size),
                                     TEST(test_written_in_the_segment),
                                     TEST(test_many),
                                     TEST(test_poison)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
