/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_ranks.c -- programs shared out among ranks, which are threads here: the same bits on any number
 * of them, no more messages than neighbours, the same plans everywhere, and what becomes of ranks that part. */
#include "tests/support/members.h"

#include <unistd.h>

#include "core/include/reprise_array.h"
#include "core/include/reprise_do.h"
#include "tests/support/poisson.h"
#include "tests/support/stencil_pass.h"

/* ---- programs ---- */

enum { SIDE = 40, UNKNOWNS = SIDE * SIDE };

static rp_status solve_by(member *m, poisson_method *method) {
  TRY(poisson_solve(m->ctx, SIDE, method, 23, m->out));
  return count(m);
}

static rp_status by_cg(member *m) { return solve_by(m, rp_solve_cg); }
static rp_status by_pcg(member *m) { return solve_by(m, rp_solve_pcg); }
static rp_status by_bicgstab(member *m) { return solve_by(m, rp_solve_bicgstab); }
static rp_status by_jacobi(member *m) { return solve_by(m, rp_solve_jacobi); }

static void test_solvers(void **state) {
  (void)state;
  same_bits(by_cg, UNKNOWNS + 1);
  same_bits(by_pcg, UNKNOWNS + 1);
  same_bits(by_bicgstab, UNKNOWNS + 1);
  same_bits(by_jacobi, UNKNOWNS + 1);
}

enum { GRID = 30, CELLS = (GRID + 2) * (GRID + 2), PASSES = 9 };

static rp_status stencil(member *m) {
  const int64_t shape[] = {GRID + 2, GRID + 2};
  double start[CELLS];
  rp_store *g;
  for (int32_t i = 0; i < CELLS; i++) start[i] = (double)(i * 37 % 101);
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &g));
  TRY(rp_store_write(g, start, sizeof start));
  stencil_pass pass = stencil_begin(m->ctx, g, GRID);
  TRY(rp_store_retain(g));
  int64_t before[8] = {0};
  for (int32_t i = 0; i < PASSES; i++) {
    if (i == PASSES - 1) {
      TRY(rp_wait(m->ctx));
      TRY(count(m));
      memcpy(before, m->stat, sizeof before);
    }
    stencil_run(&pass);
  }
  TRY(rp_wait(m->ctx));
  TRY(count(m));
  stencil_end(&pass);
  TRY(rp_store_read(g, m->out, sizeof start));
  for (int32_t i = 0; i < 5; i++) m->stat[i] -= before[i]; /* of the last pass */
  return rp_store_release(g);
}

/* A replayed pass is one kernel and one message of one row for each neighbour. */
static void test_stencil(void **state) {
  (void)state;
  member all[MOST];
  same_bits(stencil, CELLS);
  for (int32_t ranks = 2; ranks <= MOST; ranks++) {
    run(all, ranks, "--threads 1 --tile 0", stencil, CELLS);
    all_fine(all, ranks);
    for (int32_t r = 0; r < ranks; r++) {
      const int64_t neighbours = (r > 0) + (r < ranks - 1);
      assert_int_equal(all[r].stat[0], 1);
      assert_int_equal(all[r].stat[1], neighbours);
      assert_int_equal(all[r].stat[2],
                       neighbours * (GRID + 1) * 8); /* with the border on one side */
      assert_int_equal(all[r].stat[3], 0);
    }
    forget(all, ranks);
  }
}

/* A renamed array is cut in one way, gathered, and cut in another, where its spare is not complete. */
static rp_status cut_anew(member *m) {
  enum { WIDE = 200 };
  const int64_t shape[] = {GRID + 2, GRID + 2}, wide[] = {GRID, WIDE};
  double start[CELLS];
  rp_store *g, *big, *part;
  for (int32_t i = 0; i < CELLS; i++) start[i] = (double)(i * 37 % 101);
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &g));
  TRY(rp_store_write(g, start, sizeof start));
  TRY(rp_store_create(m->ctx, RP_F64, 2, wide, &big));
  TRY(rp_store_box(big, (int64_t[]){0, 0}, (int64_t[]){GRID, GRID}, &part));
  rp_store *center = stencil_view(g, GRID, 1, 1), *north = stencil_view(g, GRID, 0, 1);
  rp_store *south = stencil_view(g, GRID, 2, 1);
  for (int32_t i = 0; i < 4; i++) { /* the spare is then the instance that the host did not write */
    TRY(EVAL(m->ctx, "c, n, s", "c = 0.5*(n + s)", center, north, south));
    TRY(rp_wait(m->ctx));
  }
  TRY(EVAL(m->ctx, "b", "b = b + 1", big));
  TRY(rp_store_read(g, start, sizeof start));
  TRY(EVAL(m->ctx, "c, n, s", "c = 0.5*(n + s)", center, north, south));
  TRY(EVAL(m->ctx, "p, c", "p = p + c", part, center));
  TRY(rp_wait(m->ctx));
  TRY(rp_store_read(g, m->out, sizeof start));
  TRY(rp_store_read(part, m->out + CELLS, GRID * GRID * sizeof(double)));
  TRY(count(m));
  rp_store *all[] = {g, big, part, center, north, south};
  for (int32_t i = 0; i < 6; i++) TRY(rp_store_release(all[i]));
  return RP_OK;
}

static void test_cut_anew(void **state) {
  (void)state;
  same_bits(cut_anew, CELLS + GRID * GRID);
}

/* Every body form on views of all kinds, sums along each axis, casts, one element of an array as a scalar. */
static rp_status medley(member *m) {
  enum { ROWS = 37, COLUMNS = 19, N = ROWS * COLUMNS };
  const int64_t shape[] = {ROWS, COLUMNS}, rows[] = {ROWS}, columns[] = {COLUMNS};
  rp_store *a, *t, *back, *every, *r, *c, *s, *one, *flat;
  double start[N];
  for (int32_t i = 0; i < N; i++) start[i] = 0.25 * (double)(i * 29 % 83) - 3;
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &a));
  TRY(rp_store_write(a, start, sizeof start));
  TRY(rp_store_create(m->ctx, RP_F64, 1, rows, &r));
  TRY(rp_store_create(m->ctx, RP_F64, 1, columns, &c));
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &s));
  for (int32_t pass = 0; pass < 3; pass++) {
    TRY(EVAL(m->ctx, "a", "a = a*0.5 + 1", a));
    TRY(rp_store_slice(a, 0, 0, ROWS, 2, &every));
    TRY(EVAL(m->ctx, "v", "v = -v", every));
    TRY(rp_store_slice(a, 0, ROWS - 1, -ROWS - 1, -1, &back));
    TRY(EVAL(m->ctx, "v", "v = v + 0.125", back));
    TRY(rp_store_transpose(a, (int32_t[]){1, 0}, &t));
    TRY(EVAL(m->ctx, "r, a", "r[i] += a[i,j]", r, a));
    TRY(EVAL(m->ctx, "c, t", "c[i] += t[i,j]", c, t));
    TRY(EVAL(m->ctx, "s, a", "s += a*a", s, a));
    TRY(rp_store_project(a, 0, 17, &one));
    TRY(EVAL(m->ctx, "v, s, c", "v = v + 0.001*s + c", one, s, c));
    TRY(rp_store_reshape(a, 1, (int64_t[]){-1}, &flat));
    TRY(EVAL(m->ctx, "v", "v[i] = v[i] + f64(i)*0.0625", flat));
    rp_store *all[] = {every, back, t, one, flat};
    for (int32_t i = 0; i < 5; i++) TRY(rp_store_release(all[i]));
  }
  TRY(rp_store_read(a, m->out, sizeof start));
  TRY(rp_store_read(r, m->out + N, ROWS * 8));
  TRY(rp_store_read(c, m->out + N + ROWS, COLUMNS * 8));
  TRY(rp_store_read(s, m->out + N + ROWS + COLUMNS, 8));
  TRY(count(m));
  rp_store *all[] = {a, r, c, s};
  for (int32_t i = 0; i < 4; i++) TRY(rp_store_release(all[i]));
  return RP_OK;
}

static void test_medley(void **state) {
  (void)state;
  same_bits(medley, 37 * 19 + 37 + 19 + 1);
}

/* ---- one decision ---- */

/* Ranks that are slower, look at their statistics and have their finalizers run at other times. */
static rp_status uneven(member *m) {
  for (int32_t i = 0; i < m->rank; i++) {
    int64_t v;
    usleep(2000);
    TRY(rp_stat(m->ctx, "launches", &v));
  }
  rp_store *y, *x, *shifted;
  const int64_t n = 3000;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(EVAL(m->ctx, "x", "x = x + 1", x));
  TRY(rp_store_slice(x, 0, 1, n, 1, &shifted));
  TRY(rp_store_create(m->ctx, RP_F64, 1, (int64_t[]){n - 1}, &y));
  TRY(rp_wait(m->ctx));
  TRY(EVAL(m->ctx, "y, x", "y = x", y, shifted)); /* takes a message, if y lives */
  if (m->rank == 0) TRY(rp_store_release_any(y));
  TRY(rp_wait(m->ctx));
  if (m->rank != 0) TRY(rp_store_release_any(y));
  TRY(rp_store_release(x));
  TRY(rp_store_release(shifted));
  return medley(m);
}

static void test_same_plans(void **state) {
  (void)state;
  member all[MOST];
  run(all, 4, "--threads 1 --tile 0", uneven, 2000);
  all_fine(all, 4);
  for (int32_t r = 1; r < 4; r++) {
    assert_int_equal(all[r].stat[0], all[0].stat[0]);
    for (int32_t i = 3; i < 8; i++) assert_int_equal(all[r].stat[i], all[0].stat[i]);
  }
  forget(all, 4);
}

/* ---- ranks that part ---- */

/* x = x + 1, and more on a rank that goes its own way; then the sum of x. Releases what it made, whatever happens. */
static rp_status sum_of(member *m, bool first, bool extra) {
  const int64_t n = 50000;
  rp_store *x, *s;
  double sum;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &s));
  rp_status st = first ? EVAL(m->ctx, "x", "x = x + 1", x) : RP_OK;
  if (st == RP_OK && extra) st = EVAL(m->ctx, "x", "x = 2*x", x);
  if (st == RP_OK) st = EVAL(m->ctx, "s, x", "s += x", s, x);
  if (st == RP_OK) st = rp_store_read(s, &sum, sizeof sum);
  if (st != RP_OK) snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  rp_store_release(x);
  rp_store_release(s);
  return st;
}

/* Rank 1 launches what the others do not. */
static rp_status diverging(member *m) { return sum_of(m, true, m->rank == 1); }

/* The same, found by the read of an array that is not reduced. */
static rp_status diverging_read(member *m) {
  const int64_t n = 50000;
  rp_store *x;
  double *all = calloc((size_t)n, sizeof *all);
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  rp_status st = EVAL(m->ctx, "x", "x = x + 1", x);
  if (st == RP_OK && m->rank == 1) st = EVAL(m->ctx, "x", "x = 2*x", x);
  if (st == RP_OK) st = rp_store_read(x, all, (size_t)n * sizeof *all);
  if (st != RP_OK) snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  rp_store_release(x);
  free(all);
  return st;
}

static void all_diverge(rp_status (*program)(member *)) {
  member all[MOST];
  run(all, 3, "--threads 1 --tile 0", program, 1);
  for (int32_t r = 0; r < 3; r++) {
    if (all[r].status != RP_ERR_RANKS)
      fail_msg("rank %d: %d, %s", r, (int)all[r].status, all[r].said);
    assert_non_null(strstr(all[r].said, "rank 1"));
    assert_non_null(strstr(all[r].said, "another program"));
  }
  forget(all, 3);
}

static void test_diverging(void **state) {
  (void)state;
  all_diverge(diverging);
  all_diverge(diverging_read);
}

/* Rank 2 does nothing and destroys its context, which speaks to the others for the last time. */
static rp_status leaving(member *m) { return m->rank == 2 ? RP_OK : sum_of(m, false, false); }

static void test_leaving(void **state) {
  (void)state;
  member all[MOST];
  run(all, 3, "--threads 1 --tile 0", leaving, 1);
  for (int32_t r = 0; r < 2; r++)
    if (all[r].status != RP_ERR_RANKS)
      fail_msg("rank %d: %d, %s", r, (int)all[r].status, all[r].said);
  forget(all, 3);
}

/* ---- a C function that fails on some ranks only ---- */

static _Thread_local bool is_failing;

static int weigh(double *y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = (double)i;
  return is_failing;
}

static rp_status make_weigh(rp_context *ctx, rp_op **out) {
  static const int32_t writes[] = {RP_PRIV_WRITE};
  static const rp_opaque_arg args[] = {{RP_ARG_PTR, 0, 0, 0, 0}, {RP_ARG_SIZE, 0, 0, 0, 0}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "weigh",
                            .params = "y",
                            .privileges = writes,
                            .function = (void (*)(void))weigh,
                            .args = args,
                            .n_args = 2,
                            .flags = RP_OPAQUE_DENSE | RP_OPAQUE_STATUS};
  rp_library *lib;
  TRY(rp_library_create(ctx, "scales", &lib));
  return rp_op_create_opaque(lib, &d, out);
}

/* Every third pass ranks 1 and 3 fail: all see that, and see sound data in the next pass. */
static rp_status fails_sometimes(member *m) {
  const int64_t n = 1000;
  double y[1000];
  rp_op *op;
  rp_store *s;
  TRY(make_weigh(m->ctx, &op));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &s));
  for (int32_t k = 0; k < 12; k++) {
    is_failing = k % 3 == 2 && m->rank % 2 == 1;
    TRY(rp_trace_begin(m->ctx, 1));
    TRY(rp_launch(op, (rp_store *[]){s}, 1, NULL, 0));
    TRY(RP_DO(m->ctx, "s = 2*s", s));
    TRY(rp_trace_end(m->ctx, 1));
    const rp_status st = rp_store_read(s, y, sizeof y);
    m->stat[1] += st == RP_ERR_DATA && strstr(rp_last_error(), "scales.weigh, launch ") &&
                  strstr(rp_last_error(), "reported failure on rank 1");
    m->stat[2] += st == RP_OK && y[10] == 20;
    if (st != RP_OK && st != RP_ERR_DATA) return st;
  }
  return rp_store_release(s);
}

static void test_failing_function(void **state) {
  (void)state;
  member all[MOST];
  for (int32_t ranks = 2; ranks <= 4; ranks++) {
    run(all, ranks, "--threads 1", fails_sometimes, 0);
    all_fine(all, ranks);
    for (int32_t r = 0; r < ranks; r++) {
      assert_int_equal(all[r].stat[1], 4);
      assert_int_equal(all[r].stat[2], 8);
    }
    forget(all, ranks);
  }
}

/* ---- dry runs ---- */

/* What the host reads is supplied. */
static void test_stub(void **state) {
  (void)state;
  rp_context *ctx = check_context("--dryrun 1/4 --stub -3");
  rp_store *x = check_store(ctx, 1, (int64_t[]){20000}, NULL), *k, *b;
  static double got[20000];
  int32_t number = 0;
  bool bit = false;
  OK(EVAL(ctx, "x", "x = x + 1", x));
  OK(rp_store_read(x, got, sizeof got));
  assert_true(got[0] == -3 && got[19999] == -3);
  OK(rp_store_create(ctx, RP_I32, 0, NULL, &k));
  OK(rp_store_read(k, &number, sizeof number));
  assert_int_equal(number, -3);
  OK(rp_store_create(ctx, RP_BOOL, 0, NULL, &b));
  OK(rp_store_read(b, &bit, 1));
  assert_true(bit);
  OK(rp_store_release(x));
  OK(rp_store_release(k));
  OK(rp_store_release(b));
  OK(rp_context_destroy(ctx));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_solvers),         cmocka_unit_test(test_stencil),
      cmocka_unit_test(test_cut_anew),        cmocka_unit_test(test_medley),
      cmocka_unit_test(test_same_plans),      cmocka_unit_test(test_diverging),
      cmocka_unit_test(test_leaving),         cmocka_unit_test(test_stub),
      cmocka_unit_test(test_failing_function)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
