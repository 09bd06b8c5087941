/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_shares.c -- what is shared out among ranks beyond rows beside each other, ranks being threads: sums
 * over rows, transposes, products with dense and sparse matrices, gathers, calls of C functions, arrays from the host.
 * Everywhere: the bits of one process, and no more moved than has to be. */
#include "tests/support/members.h"

#include <stdatomic.h>

#include "core/include/reprise_sparse.h"

static rp_status vector(member *m, rp_dtype t, int64_t n, const void *data, rp_store **out) {
  TRY(rp_store_create(m->ctx, t, 1, &n, out));
  return data ? rp_store_write(*out, data, (size_t)n * rp_dtype_size(t)) : RP_OK;
}

static rp_status matrix(member *m, int64_t rows, int64_t columns, rp_store **out) {
  const int64_t shape[] = {rows, columns};
  double *data = malloc((size_t)(rows * columns) * sizeof *data);
  if (!data) return RP_ERR_MEMORY;
  for (int64_t i = 0; i < rows * columns; i++) data[i] = 1.0 / (double)(1 + i * 31 % 1009);
  rp_status st = rp_store_create(m->ctx, RP_F64, 2, shape, out);
  if (st == RP_OK) st = rp_store_write(*out, data, (size_t)(rows * columns) * sizeof *data);
  free(data);
  return st;
}

static rp_status drop_all(rp_store **s, int32_t n) {
  for (int32_t i = 0; i < n; i++) TRY(rp_store_release(s[i]));
  return RP_OK;
}

/* ---- sums over rows ---- */

enum { TALL = 1792, NARROW = 37, DEEP = 4 };

/* Over the first axis, the first two, the first and the last, and all, with old values and without. */
static rp_status over_rows(member *m) {
  rp_store *a, *c, *most, *flat, *d, *all, *cube, *deep;
  const int64_t three[] = {TALL / DEEP, DEEP, NARROW};
  TRY(matrix(m, TALL, NARROW, &a));
  TRY(vector(m, RP_F64, NARROW, NULL, &c));
  TRY(vector(m, RP_F64, NARROW, NULL, &most));
  TRY(vector(m, RP_F64, NARROW, NULL, &flat));
  TRY(vector(m, RP_F64, DEEP, NULL, &d));
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &all));
  TRY(rp_store_reshape(a, 3, three, &cube));
  TRY(rp_store_reshape(d, 2, (int64_t[]){DEEP, 1}, &deep));
  for (int32_t pass = 0; pass < 3; pass++) {
    TRY(EVAL(m->ctx, "a", "a = a*1.25", a));
    TRY(EVAL(m->ctx, "c, a", "c += a", c, a));
    TRY(EVAL(m->ctx, "c, a", "c max= a", most, a));
    TRY(EVAL(m->ctx, "c, a", "c += a", flat, cube));
    TRY(EVAL(m->ctx, "d, a", "d += a", deep, cube));
    TRY(EVAL(m->ctx, "s, a, b", "s += a*b", all, a, a));
    TRY(rp_wait(m->ctx));
  }
  TRY(count(m));
  double *out = m->out;
  TRY(rp_store_read(c, out, NARROW * 8));
  TRY(rp_store_read(most, out + NARROW, NARROW * 8));
  TRY(rp_store_read(flat, out + 2 * NARROW, NARROW * 8));
  TRY(rp_store_read(d, out + 3 * NARROW, DEEP * 8));
  TRY(rp_store_read(all, out + 3 * NARROW + DEEP, 8));
  return drop_all((rp_store *[]){a, c, most, flat, d, all, cube, deep}, 8);
}

static void test_over_rows(void **state) {
  (void)state;
  member all[MOST];
  same_bits(over_rows, 3 * NARROW + DEEP + 1);
  run(all, 3, "--threads 1 --tile 0", over_rows, 3 * NARROW + DEEP + 1);
  all_fine(all, 3);
  for (int32_t r = 0; r < 3; r++) {
    assert_int_equal(all[r].stat[3], 0);     /* the matrix never comes together: */
    assert_int_equal(all[r].stat[4], 3 * 4); /* the sums of a launch are joined in one go */
    assert_true(all[r].stat[2] < 3 * 2 * 256 * NARROW * 8); /* a leaf on either side */
  }
  forget(all, 3);
}

/* ---- rows that are spread over the array ---- */

enum { EDGE = 60, FIVE = 5 };

/* A transpose, rows backwards, and windows that overlap. */
static rp_status spread(member *m) {
  rp_store *a, *t, *b, *back, *x, *w;
  TRY(matrix(m, EDGE, EDGE, &a));
  TRY(matrix(m, EDGE, EDGE, &b));
  TRY(vector(m, RP_F64, EDGE - FIVE + 1, NULL, &w));
  TRY(rp_store_project(a, 1, 3, &x));
  TRY(rp_store_transpose(a, (int32_t[]){1, 0}, &t));
  TRY(rp_store_slice(a, 0, EDGE - 1, -EDGE - 1, -1, &back));
  for (int32_t pass = 0; pass < 3; pass++) {
    TRY(EVAL(m->ctx, "a", "a = a + 1", a));
    TRY(EVAL(m->ctx, "b, t", "b = b + t", b, t));
    TRY(EVAL(m->ctx, "b, t", "b = b*0.5 + t", b, back));
    TRY(EVAL(m->ctx, "w, x", "w[i] = x[i] + 2*x[i+4]", w, x));
    TRY(rp_wait(m->ctx));
  }
  TRY(count(m));
  TRY(rp_store_read(b, m->out, EDGE * EDGE * 8));
  TRY(rp_store_read(w, m->out + EDGE * EDGE, (EDGE - FIVE + 1) * 8));
  return drop_all((rp_store *[]){a, t, b, back, x, w}, 6);
}

static void test_spread(void **state) {
  (void)state;
  member all[MOST];
  same_bits(spread, EDGE * EDGE + EDGE - FIVE + 1);
  run(all, 4, "--threads 1 --tile 0", spread, EDGE * EDGE + EDGE - FIVE + 1);
  all_fine(all, 4);
  for (int32_t r = 0; r < 4; r++) assert_int_equal(all[r].stat[3], 0);
  /* A quarter of the columns of each quarter of the rows, 3 times in each of 3 passes; the rows of the reversed view are
   * another rank's or the rank's own; and a few rows' worth of borders. */
  const int64_t block = EDGE * EDGE / 16 * 8;
  for (int32_t r = 0; r < 4; r++) {
    assert_true(all[r].stat[2] >= 3 * 3 * block);
    assert_true(all[r].stat[2] <= 3 * (3 * block + 4 * block + 5 * EDGE * 8));
  }
  forget(all, 4);
}

/* ---- matrices ---- */

enum { SIZE = 90, SOME = 4 };

/* A dense product: the vector comes together, the matrix does not move. */
static rp_status dense(member *m) {
  rp_store *a, *x, *y;
  TRY(matrix(m, SIZE, SIZE, &a));
  TRY(vector(m, RP_F64, SIZE, NULL, &x));
  TRY(vector(m, RP_F64, SIZE, NULL, &y));
  TRY(EVAL(m->ctx, "x", "x = 1", x));
  for (int32_t pass = 0; pass < SOME; pass++) {
    TRY(EVAL(m->ctx, "y, a, x", "y[i] = sum(j) a[i,j]*x[j]", y, a, x));
    TRY(EVAL(m->ctx, "x, y", "x = y*0.3", x, y));
    TRY(rp_wait(m->ctx));
  }
  TRY(count(m));
  TRY(rp_store_read(x, m->out, SIZE * 8));
  return drop_all((rp_store *[]){a, x, y}, 3);
}

enum { N = 4096, BAND = 3 };

/* A banded matrix from the host; x comes anew each pass, the matrix's borders once. */
static rp_status sparse(member *m) {
  int64_t ptr[N + 1] = {0};
  int64_t *col = malloc(N * (2 * BAND + 1) * sizeof *col);
  double *val = malloc(N * (2 * BAND + 1) * sizeof *val);
  rp_csr *a;
  rp_store *x, *y;
  int64_t nnz = 0, images = 0;
  for (int64_t i = 0; i < N; i++) {
    for (int64_t j = i - BAND; j <= i + BAND; j++)
      if (j >= 0 && j < N && (i + j) % 5 != 1)
        col[nnz] = j, val[nnz++] = 1.0 / (double)(1 + i % 7 + j % 3);
    ptr[i + 1] = nnz;
  }
  rp_status st = rp_csr_from_arrays(m->ctx, RP_F64, N, N, ptr, col, val, &a);
  free(col);
  free(val);
  TRY(st);
  TRY(vector(m, RP_F64, N, NULL, &x));
  TRY(vector(m, RP_F64, N, NULL, &y));
  TRY(EVAL(m->ctx, "x", "x[i] = 1 + 0.001*f64(i)", x));
  for (int32_t pass = 0; pass < SOME; pass++) {
    if (pass == SOME - 1) {
      TRY(count(m));
      TRY(rp_stat(m->ctx, "images", &images));
    }
    TRY(rp_csr_multiply_to(a, x, y));
    TRY(EVAL(m->ctx, "x, y", "x = 0.5*y", x, y));
    TRY(rp_wait(m->ctx));
  }
  const int64_t messages = m->stat[1], bytes = m->stat[2];
  TRY(count(m));
  m->stat[1] -= messages;
  m->stat[2] -= bytes;
  int64_t now;
  TRY(rp_stat(m->ctx, "images", &now));
  m->stat[5] = now - images;
  TRY(rp_store_read(x, m->out, N * 8));
  TRY(rp_csr_release(a));
  return drop_all((rp_store *[]){x, y}, 2);
}

static void test_matrices(void **state) {
  (void)state;
  member all[MOST];
  same_bits(dense, SIZE);
  same_bits(sparse, N);
  run(all, 3, "--threads 1 --tile 0", dense, SIZE);
  all_fine(all, 3);
  for (int32_t r = 0; r < 3; r++) {
    assert_int_equal(all[r].stat[3], SOME); /* x */
    assert_int_equal(all[r].stat[1], 0);
  }
  forget(all, 3);
  run(all, 4, "--threads 1 --tile 0", sparse, N);
  all_fine(all, 4);
  for (int32_t r = 0; r < 4; r++) {
    const int64_t neighbours = (r > 0) + (r < 3);
    assert_int_equal(all[r].stat[3], 0);
    assert_int_equal(all[r].stat[5], 0); /* known from before */
    assert_int_equal(all[r].stat[1], neighbours);
    assert_in_range(all[r].stat[2], neighbours * 8, neighbours * BAND * 8);
  }
  forget(all, 4);
}

/* ---- gathers ---- */

enum { POINTS = 3000, BINS = 500 };

/* Through indices that a kernel computes, that change, that lie anywhere, and one too far in a pass. */
static rp_status gathers(member *m) {
  int32_t host[POINTS];
  rp_store *i, *j, *x, *y, *z;
  for (int32_t k = 0; k < POINTS; k++) host[k] = (int32_t)((int64_t)k * k * 7 % POINTS);
  TRY(vector(m, RP_I32, POINTS, host, &i));
  TRY(vector(m, RP_I32, POINTS, NULL, &j));
  TRY(vector(m, RP_F64, POINTS, NULL, &x));
  TRY(vector(m, RP_F64, POINTS, NULL, &y));
  TRY(vector(m, RP_F64, POINTS, NULL, &z));
  TRY(EVAL(m->ctx, "x", "x[i] = f64(i)", x));
  for (int32_t pass = 0; pass < 4; pass++) {
    TRY(EVAL(m->ctx, "j, i", "j = (3*i + 1) % 2999", j, i));
    TRY(EVAL(m->ctx, "y, x, j", "y[k] = x[j[2999 - k]] + 1", y, x, j)); /* not point by point */
    TRY(EVAL(m->ctx, "z, x, i, j", "z[k] = x[i[j[k]]]*0.5", z, x, i, j));
    TRY(EVAL(m->ctx, "x, y, z", "x = 0.5*y + z", x, y, z));
    TRY(EVAL(m->ctx, "i", "i = (i + 1 + i//7) % 3000", i));
    TRY(rp_wait(m->ctx));
  }
  TRY(count(m));
  TRY(rp_store_read(x, m->out, POINTS * 8));
  return drop_all((rp_store *[]){i, j, x, y, z}, 5);
}

/* One index is out of range, on one rank: every rank gets the same error. */
static rp_status out_of_range(member *m) {
  rp_store *j, *x, *y;
  TRY(vector(m, RP_I64, POINTS, NULL, &j));
  TRY(vector(m, RP_F64, POINTS, NULL, &x));
  TRY(vector(m, RP_F64, POINTS, NULL, &y));
  TRY(EVAL(m->ctx, "x", "x = x + 1", x));
  TRY(EVAL(m->ctx, "j", "j[k] = where(k == 2500, 3000, k)", j));
  TRY(EVAL(m->ctx, "y, x, j", "y[k] = x[j[k]]", y, x, j));
  const rp_status st = rp_store_read(y, m->out, POINTS * 8);
  snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  TRY(count(m));
  TRY(drop_all((rp_store *[]){j, x, y}, 3));
  return st;
}

static void test_gathers(void **state) {
  (void)state;
  member all[MOST];
  same_bits(gathers, POINTS);
  for (int32_t ranks = 1; ranks <= 4; ranks++) {
    run(all, ranks, "--threads 1 --tile 0", out_of_range, POINTS);
    for (int32_t r = 0; r < ranks; r++) {
      assert_int_equal(all[r].status, RP_ERR_DATA);
      assert_non_null(strstr(all[r].said, "met an index out of range of stores[1] ('x')"));
      assert_true(ranks == 1 || all[r].stat[0] == 2);
    }
    forget(all, ranks);
  }
}

/* ---- C functions ---- */

static _Atomic int64_t rows_seen, calls_seen;

static void add_rows(double *y, const double *x, const double *c, int64_t n, int64_t columns) {
  atomic_fetch_add(&rows_seen, n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < columns; j++) y[i * columns + j] += x[i * columns + j] * c[j];
}

static int32_t fails_at(double *y, int64_t n) {
  int32_t bad = 0;
  for (int64_t i = 0; i < n; i++) bad = bad || y[i] == 77;
  return bad;
}

static void once(double *y, int64_t n) {
  const double call = (double)(1 + atomic_fetch_add(&calls_seen, 1));
  for (int64_t i = 0; i < n; i++) y[i] = 0.25 * (double)i + call;
}

static rp_status make_ops(member *m, rp_op **add, rp_op **fails, rp_op **effect) {
  static const rp_opaque_arg add_args[] = {{.kind = RP_ARG_PTR, .a = 0},
                                           {.kind = RP_ARG_PTR, .a = 1},
                                           {.kind = RP_ARG_PTR, .a = 2},
                                           {.kind = RP_ARG_EXTENT, .a = 0, .b = 0},
                                           {.kind = RP_ARG_EXTENT, .a = 0, .b = 1}};
  static const rp_opaque_arg one_args[] = {{.kind = RP_ARG_PTR, .a = 0},
                                           {.kind = RP_ARG_EXTENT, .a = 0, .b = 0}};
  static const int32_t add_rights[] = {RP_PRIV_READ_WRITE, RP_PRIV_READ, RP_PRIV_READ},
                       change[] = {RP_PRIV_READ_WRITE};
  static const rp_constraint constraints[] = {
      {.kind = RP_CONSTRAINT_ALIGN, .a = 0, .b = 1, .axis = RP_ALL_AXES},
      {.kind = RP_CONSTRAINT_BROADCAST, .a = 2}};
  rp_library *lib;
  TRY(rp_library_create(m->ctx, "shares", &lib));
  const rp_opaque_desc a = {.struct_size = sizeof a,
                            .name = "add",
                            .params = "y, x, c",
                            .privileges = add_rights,
                            .function = (void (*)(void))add_rows,
                            .args = add_args,
                            .n_args = 5,
                            .flags = RP_OPAQUE_DENSE | RP_OPAQUE_SPLIT,
                            .constraints = constraints,
                            .n_constraints = 2};
  const rp_opaque_desc f = {.struct_size = sizeof f,
                            .name = "fails",
                            .params = "y",
                            .privileges = change,
                            .function = (void (*)(void))fails_at,
                            .args = one_args,
                            .n_args = 2,
                            .flags = RP_OPAQUE_DENSE | RP_OPAQUE_SPLIT | RP_OPAQUE_STATUS};
  const rp_opaque_desc e = {.struct_size = sizeof e,
                            .name = "once",
                            .params = "y",
                            .privileges = change,
                            .function = (void (*)(void))once,
                            .args = one_args,
                            .n_args = 2,
                            .flags = RP_OPAQUE_DENSE | RP_OPAQUE_SIDE_EFFECT};
  TRY(rp_op_create_opaque(lib, &a, add));
  TRY(rp_op_create_opaque(lib, &f, fails));
  return rp_op_create_opaque(lib, &e, effect);
}

static rp_status calls(member *m) {
  rp_op *add, *fails, *effect;
  rp_store *x, *y, *c, *z;
  TRY(make_ops(m, &add, &fails, &effect));
  TRY(matrix(m, SIZE, NARROW, &x));
  TRY(matrix(m, SIZE, NARROW, &y));
  TRY(vector(m, RP_F64, NARROW, NULL, &c));
  TRY(vector(m, RP_F64, SIZE, NULL, &z));
  TRY(EVAL(m->ctx, "c", "c[i] = 1 + f64(i)", c));
  for (int32_t pass = 0; pass < 2; pass++) {
    TRY(EVAL(m->ctx, "x", "x = x*1.5", x));
    TRY(rp_launch(add, (rp_store *[]){y, x, c}, 3, NULL, 0));
    TRY(rp_launch(effect, &z, 1, NULL, 0));
    TRY(EVAL(m->ctx, "z", "z = z + 1", z));
  }
  TRY(rp_launch(fails, &z, 1, NULL, 0));
  TRY(rp_wait(m->ctx));
  TRY(count(m));
  TRY(rp_store_read(y, m->out, SIZE * NARROW * 8));
  return drop_all((rp_store *[]){x, y, c, z}, 4);
}

/* The last rank's block fails: all ranks are told. */
static rp_status failing_call(member *m) {
  rp_op *add, *fails, *effect;
  rp_store *z;
  TRY(make_ops(m, &add, &fails, &effect));
  TRY(vector(m, RP_F64, SIZE, NULL, &z));
  TRY(EVAL(m->ctx, "z", "z[i] = where(i == 88, 77, 1)", z));
  TRY(rp_launch(fails, &z, 1, NULL, 0));
  const rp_status st = rp_store_read(z, m->out, SIZE * 8);
  snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  TRY(rp_store_release(z));
  return st;
}

static void test_calls(void **state) {
  (void)state;
  member all[MOST];
  same_bits(calls, SIZE * NARROW);
  for (int32_t ranks = 1; ranks <= 5; ranks += 2) {
    atomic_store(&rows_seen, 0);
    atomic_store(&calls_seen, 0);
    run(all, ranks, "--threads 1 --tile 0", calls, SIZE * NARROW);
    all_fine(all, ranks);
    assert_int_equal(atomic_load(&rows_seen), 2 * SIZE); /* each row by one rank */
    assert_int_equal(atomic_load(&calls_seen), 2);       /* once, whatever the ranks */
    forget(all, ranks);
    run(all, ranks, "--threads 1 --tile 0", failing_call, SIZE);
    for (int32_t r = 0; r < ranks; r++) {
      assert_int_equal(all[r].status, RP_ERR_DATA);
      assert_non_null(strstr(all[r].said, "reported failure"));
    }
    forget(all, ranks);
  }
}

/* ---- the host ---- */

/* Whole writes, parts of them, through views, again after a task; copies that share memory. */
static rp_status from_host(member *m) {
  enum { ROWS = 50, COLUMNS = 11, ALL = ROWS * COLUMNS };
  const int64_t shape[] = {ROWS, COLUMNS}, lo[] = {7, 2}, hi[] = {40, 9};
  double data[ALL];
  rp_store *a, *t, *b;
  for (int32_t i = 0; i < ALL; i++) data[i] = i * 0.125;
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &a));
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &b));
  TRY(rp_store_transpose(a, (int32_t[]){1, 0}, &t));
  TRY(rp_store_write(t, data, sizeof data));
  TRY(rp_store_copy(b, a));
  TRY(EVAL(m->ctx, "a", "a = a + 1", a));
  TRY(rp_store_write_part(a, lo, hi, data, 33 * 7 * 8));
  TRY(rp_store_write_part(b, lo, hi, data + 5, 33 * 7 * 8));
  TRY(EVAL(m->ctx, "a, b", "a = a*2 + b", a, b));
  TRY(rp_store_read(a, m->out, sizeof data));
  TRY(rp_store_write(a, data, sizeof data));
  TRY(EVAL(m->ctx, "a, b", "a = a + b", a, b));
  TRY(rp_store_read_part(a, lo, hi, m->out + ALL, 33 * 7 * 8));
  TRY(count(m));
  return drop_all((rp_store *[]){a, t, b}, 3);
}

static void test_from_host(void **state) {
  (void)state;
  same_bits(from_host, 50 * 11 + 33 * 7);
}

/* Shapes that never repeat: tilings are forgotten with templates, those of arrays that live are kept. */
static rp_status many_shapes(member *m) {
  rp_store *kept;
  TRY(matrix(m, SIZE, NARROW, &kept));
  TRY(EVAL(m->ctx, "a", "a = a*3", kept));
  for (int64_t n = 100; n < 160; n++) {
    rp_store *x;
    TRY(vector(m, RP_F64, n, NULL, &x));
    TRY(EVAL(m->ctx, "x", "x = x + 1", x));
    TRY(rp_wait(m->ctx));
    TRY(rp_store_release(x));
  }
  TRY(rp_stat(m->ctx, "kernels_shared", &m->stat[0]));
  TRY(rp_stat(m->ctx, "tilings", &m->stat[1]));
  TRY(EVAL(m->ctx, "a", "a = a + 1", kept));
  TRY(rp_store_read(kept, m->out, SIZE * NARROW * 8));
  return rp_store_release(kept);
}

static void test_many_shapes(void **state) {
  (void)state;
  member all[MOST];
  same_bits(many_shapes, SIZE * NARROW);
  run(all, 3, "--threads 1 --tile 0 --templates 8", many_shapes, SIZE * NARROW);
  all_fine(all, 3);
  for (int32_t r = 0; r < 3; r++) assert_in_range(all[r].stat[1], 1, 10);
  forget(all, 3);
}

/* ---- a table in two places of a kernel ---- */

enum { BACK = 11 };

/* Rows backwards, each of which is read twice by what several ranks hold: still one message from each. */
static rp_status backwards(member *m) {
  rp_store *a, *v, *w, *y;
  TRY(matrix(m, 35, 5, &a));
  TRY(rp_store_slice(a, 0, 32, INT64_MIN, -2, &v));
  TRY(rp_store_slice(v, 1, -2, INT64_MIN, -1, &w));
  TRY(vector(m, RP_F64, BACK, NULL, &y));
  TRY(EVAL(m->ctx, "y, a", "y[i] = f64(sum(k in 1..extent(a, 1)) a[i,k]*a[i,k-1])", y, w));
  TRY(rp_wait(m->ctx));
  TRY(count(m));
  TRY(rp_store_read(y, m->out, BACK * 8));
  return drop_all((rp_store *[]){a, v, w, y}, 4);
}

static void test_backwards(void **state) {
  (void)state;
  member alone, all[MOST];
  run(&alone, 1, "--threads 1", backwards, BACK);
  all_fine(&alone, 1);
  for (int32_t n = 2; n <= MOST; n++) {
    run(all, n, "--threads 1 --tile 0", backwards, BACK);
    same_as(&alone, all, n);
    assert_int_equal(all[0].stat[0], 1);
    forget(all, n);
  }
  forget(&alone, 1);
}

/* ---- what several launches read of the same values ---- */

enum { LINE = 6000, ROUNDS = 5 };

/* The sum between them keeps the launches apart. Two read from the right-hand neighbour, two look up the same. */
static rp_status again(member *m) {
  rp_store *x, *y, *z, *b, *s, *v[3];
  int64_t index[LINE], before[8];
  for (int32_t i = 0; i < LINE; i++) index[i] = i + 40 < LINE ? i + 40 : i;
  TRY(vector(m, RP_F64, LINE, NULL, &x));
  TRY(vector(m, RP_F64, LINE, NULL, &y));
  TRY(vector(m, RP_F64, LINE, NULL, &z));
  TRY(vector(m, RP_I64, LINE, index, &b));
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &s));
  for (int32_t k = 0; k < 3; k++) TRY(rp_store_slice(x, 0, k, LINE - 2 + k, 1, &v[k]));
  for (int32_t pass = 0; pass < ROUNDS; pass++) {
    TRY(EVAL(m->ctx, "x", "x = 0.5*x + 1.0/(1 + index(0))", x));
    TRY(EVAL(m->ctx, "s, a, b", "s += a*b", s, v[0], v[1]));
    TRY(EVAL(m->ctx, "y, x, b, s", "y[i] = s*x[b[i]]", y, x, b, s));
    TRY(EVAL(m->ctx, "s, a, b", "s += a*b", s, v[0], v[2]));
    TRY(EVAL(m->ctx, "z, x, b, s", "z[i] = s - x[b[i]]", z, x, b, s));
    TRY(EVAL(m->ctx, "s, a, b", "s += a*b", s, y, z));
    TRY(rp_wait(m->ctx));
    if (pass == ROUNDS - 2) TRY(count(m));
    memcpy(before, m->stat, sizeof before);
  }
  TRY(count(m));
  for (int32_t i = 0; i < 8; i++) m->stat[i] -= before[i];
  TRY(rp_store_read(y, m->out, LINE * 8));
  TRY(rp_store_read(z, m->out + LINE, LINE * 8));
  TRY(rp_store_read(s, m->out + 2 * LINE, 8));
  return drop_all((rp_store *[]){x, y, z, b, s, v[0], v[1], v[2]}, 8);
}

static void test_again(void **state) {
  (void)state;
  member alone, all[MOST];
  run(&alone, 1, "--threads 1", again, 2 * LINE + 1);
  all_fine(&alone, 1);
  for (int32_t n = 2; n <= 4; n++) {
    run(all, n, "--threads 1 --tile 0 --overlap 0", again, 2 * LINE + 1);
    same_as(&alone, all, n);
    /* One message for what views read, one for what was looked up. */
    for (int32_t r = 0; r < n; r++) assert_int_equal(all[r].stat[1], r > 0 ? 2 : 0);
    forget(all, n);
  }
  forget(&alone, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_over_rows),  cmocka_unit_test(test_spread),
      cmocka_unit_test(test_matrices),   cmocka_unit_test(test_gathers),
      cmocka_unit_test(test_calls),      cmocka_unit_test(test_from_host),
      cmocka_unit_test(test_backwards),  cmocka_unit_test(test_again),
      cmocka_unit_test(test_many_shapes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
