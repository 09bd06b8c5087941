/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_trace.c -- traces through the public interface: which passes replay, where they are
 * cut, what is fused, renamed, shared, dropped and never stored, counted by statistics; and the
 * values, against loops on the host. */
#include "tests/support/api_group.h"

#include <math.h>

#include "core/base/alloc.h"
#include "core/include/reprise_array.h"
#include "core/include/reprise_solve.h"
#include "tests/support/stencil_pass.h"

static int64_t stat(const char *name) { return check_stat(ctx, name); }

/* ---- the rules of begin and end ---- */

static void test_rules(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 3, NULL);
  FAILS(RP_ERR_STATE, "7", rp_trace_end(ctx, 7));
  OK(rp_trace_begin(ctx, 7));
  FAILS(RP_ERR_STATE, "8", rp_trace_begin(ctx, 8));
  FAILS(RP_ERR_STATE, "8", rp_trace_end(ctx, 8));
  OK(EVAL(ctx, "x", "x = x + 1", x));
  OK(rp_trace_begin(ctx, 7)); /* a break skipped the end */
  OK(EVAL(ctx, "x", "x = x + 1", x));
  OK(rp_trace_begin(ctx, 7));
  OK(EVAL(ctx, "x", "x = x + 1", x));
  OK(rp_trace_end(ctx, 7));
  FAILS(RP_ERR_STATE, "7", rp_trace_end(ctx, 7));
  check_values(x, (double[]){3, 3, 3});
  assert_int_equal(stat("trace_hits"), 2);
  assert_int_equal(stat("segments"), 3);
  OK(rp_trace_begin(ctx, INT64_MIN)); /* any id; an empty pass is a pass */
  OK(rp_trace_end(ctx, INT64_MIN));
  drop(x);
}

static void pass(int64_t id, int variant, rp_store *x) {
  OK(rp_trace_begin(ctx, id));
  OK(EVAL(ctx, "x", "x = x + 1", x));
  if (variant == 0) OK(EVAL(ctx, "x", "x = 2*x", x));
  if (variant == 1) OK(EVAL(ctx, "x", "x = x - 3", x));
  if (variant == 2) OK(EVAL(ctx, "x", "x = x*x", x));
  OK(rp_trace_end(ctx, id));
}

/* Two bodies that alternate are two templates of one trace; each pass runs the right one. */
static void test_templates(void **state) {
  (void)state;
  static const int variant[] = {0, 0, 1, 0, 1, 1, 0, 3, 1, 3, 0};
  double v = 0.5;
  rp_store *x = check_vector(ctx, 1, &v);
  for (int i = 0; i < 11; i++) {
    pass(5, variant[i], x);
    v += 1;
    v = variant[i] == 0 ? 2 * v : variant[i] == 1 ? v - 3 : v;
  }
  check_values(x, &v);
  assert_int_equal(stat("templates"), 3);
  assert_int_equal(stat("analyses"), 3);
  assert_int_equal(stat("segments"), 11);
  const int64_t misses = stat("trace_misses");
  pass(5, 2, x); /* a changed body is recorded anew, and then known */
  pass(5, 2, x);
  v += 1;
  v *= v;
  v += 1;
  v *= v;
  check_values(x, &v);
  assert_int_equal(stat("templates"), 4);
  assert_int_equal(stat("trace_misses"), misses + 1);
  drop(x);
}

/* Another buffer of the same kind in the same role is the same pass; other shapes are not. */
static void test_slots(void **state) {
  (void)state;
  const int64_t n = 3, m = 5;
  for (int i = 0; i < 6; i++) {
    rp_store *t = check_vector(ctx, i < 4 ? n : m, NULL);
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "t", "t = t + 2", t));
    OK(rp_trace_end(ctx, 1));
    check_values(t, (double[]){2, 2, 2, 2, 2});
    drop(t);
  }
  assert_int_equal(stat("templates"), 2);
  assert_int_equal(stat("trace_hits"), 4);
}

/* ---- host access in a pass ---- */

static void test_read_splits(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 4, (double[]){1, 2, 3, 4}), *s = check_store(ctx, 0, NULL, NULL);
  double host[4] = {1, 2, 3, 4};
  for (int i = 0; i < 5; i++) {
    double want = 0, got;
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "x", "x = x*0.5 + 1", x));
    OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, x));
    for (int k = 0; k < 4; k++) want += host[k] = host[k] * 0.5 + 1;
    OK(rp_store_read(s, &got, sizeof got));
    assert_true(fabs(got - want) < 1e-14);
    const double back = 3;
    OK(rp_store_write_part(x, (int64_t[]){1}, (int64_t[]){2}, &back, sizeof back));
    host[1] = 3;
    OK(EVAL(ctx, "x, s", "x = x + s", x, s));
    for (int k = 0; k < 4; k++) host[k] += got;
    OK(rp_trace_end(ctx, 1));
  }
  check_values(x, host);
  assert_int_equal(stat("segments"), 10);
  assert_int_equal(stat("templates"), 2);
  assert_int_equal(stat("trace_hits"), 8);
  drop(x);
  drop(s);
}

/* A read of something the pass does not touch splits nothing. */
static void test_read_elsewhere(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 1, NULL), *other = check_vector(ctx, 1, (double[]){8});
  for (int i = 0; i < 3; i++) {
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "x", "x = x + 1", x));
    check_values(other, (double[]){8});
    OK(EVAL(ctx, "x", "x = x*2", x));
    OK(rp_trace_end(ctx, 1));
  }
  check_values(x, (double[]){14});
  assert_int_equal(stat("segments"), 3);
  drop(x);
  drop(other);
}

static int n_called;
static void called(void) { n_called++; }

/* Waiting for one store, like reading it, runs what it needs and leaves the rest. */
static void test_wait_for_one(void **state) {
  (void)state;
  static const int32_t rw[] = {RP_PRIV_READ_WRITE};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "called",
                            .params = "x",
                            .privileges = rw,
                            .function = called};
  rp_op *op = check_opaque(ctx, &d);
  rp_store *x = check_vector(ctx, 3, NULL), *y = check_vector(ctx, 5, NULL),
           *z = check_vector(ctx, 7, NULL);
  for (int pass = 0; pass < 4; pass++) {
    double v[3];
    n_called = 0;
    OK(rp_launch(op, STORES(x), 1, NULL, 0));
    OK(rp_launch(op, STORES(y), 1, NULL, 0));
    OK(rp_launch(op, STORES(z), 1, NULL, 0));
    assert_int_equal(n_called, 0);
    OK(pass % 2 ? rp_store_read(x, v, sizeof v) : rp_store_wait(x));
    assert_int_equal(n_called, 1);
    OK(rp_store_wait(x)); /* again: nothing more to do for it */
    assert_int_equal(n_called, 1);
    OK(rp_store_wait(y));
    assert_int_equal(n_called, 3); /* what is left runs together */
  }
  drop(x);
  drop(y);
  drop(z);
}

static void test_max_tasks(void **state) {
  (void)state;
  OK(rp_context_destroy(ctx));
  ctx = check_context("--max-tasks 4 --window 3");
  rp_store *x = check_vector(ctx, 2, NULL);
  for (int i = 0; i < 3; i++) {
    OK(rp_trace_begin(ctx, 1));
    for (int k = 0; k < 10; k++) OK(EVAL(ctx, "x", "x = x + 1", x));
    OK(rp_trace_end(ctx, 1));
  }
  assert_int_equal(stat("segments"), 9);
  assert_int_equal(stat("analyses"), 2); /* the second four are the first four */
  assert_int_equal(stat("templates"), 2);
  check_values(x, (double[]){30, 30});
  const int64_t before = stat("segments");
  for (int k = 0; k < 7; k++) OK(EVAL(ctx, "x", "x = x + 1", x));
  assert_int_equal(stat("segments"), before + 2);
  check_values(x, (double[]){37, 37});
  drop(x);
}

/* ---- what is never stored ---- */

enum { N = 4096 };

static void host_random(double *v, int n) {
  uint64_t seed = 12345;
  for (int i = 0; i < n; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    v[i] = (double)(seed >> 11) * 0x1p-53;
  }
}

/* The names `t` and `u` outlive their pass, as an interpreted language has it, and are given to new
 * arrays in the next: from the third pass on neither is stored. */
static void test_late_commit(void **state) {
  (void)state;
  static double v[N], got[N];
  host_random(v, N);
  rp_store *x = check_vector(ctx, N, v), *t = NULL, *u = NULL;
  int64_t bytes = 0, temporaries = 0;
  for (int i = 0; i < 12; i++) {
    const int64_t b = stat("bytes_moved"), k = stat("temporaries");
    OK(rp_trace_begin(ctx, 1));
    drop(t);
    t = check_vector(ctx, N, NULL);
    OK(EVAL(ctx, "t, x", "t = x*0.5", t, x));
    drop(u);
    u = check_vector(ctx, N, NULL);
    OK(EVAL(ctx, "u, t", "u = t + 1", u, t));
    OK(EVAL(ctx, "x, u", "x = x - u*0.25", x, u));
    OK(rp_trace_end(ctx, 1));
    for (int j = 0; j < N; j++) v[j] = v[j] - (v[j] * 0.5 + 1) * 0.25;
    bytes = stat("bytes_moved") - b;
    temporaries = stat("temporaries") - k;
  }
  assert_int_equal(bytes, 2 * N * 8); /* x read and written: nothing else moves */
  assert_int_equal(temporaries, 2);
  assert_true(stat("late_commits") >= 8);
  /* The last ones are still readable: they are what the application holds. */
  OK(rp_store_read(x, got, sizeof got));
  for (int j = 0; j < N; j++) assert_true(got[j] == v[j]);
  OK(rp_store_read(u, got, sizeof got));
  for (int j = 0; j < N; j++) assert_true(fabs(got[j] - 4 * (got[j] * 0.25)) < 1e-300);
  OK(rp_store_read(t, got, sizeof got));
  double old = got[7]; /* t = x_old/2, x = x_old - (t + 1)/4 */
  assert_true(fabs(2 * old - (old + 1) * 0.25 - v[7]) < 1e-15);
  drop(x);
  drop(t);
  drop(u);
}

static void test_dead(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 3, (double[]){1, 2, 3}), *y = check_vector(ctx, 3, NULL);
  OK(rp_wait(ctx));
  const int64_t dead = stat("dead_tasks");
  OK(EVAL(ctx, "y, x", "y = x*2", y, x)); /* overwritten before anybody reads it */
  OK(EVAL(ctx, "y, x", "y = x*3", y, x));
  rp_store *z = check_vector(ctx, 3, NULL), *w = check_vector(ctx, 3, NULL);
  OK(EVAL(ctx, "z, y", "z = y + 1", z, y)); /* a chain nobody holds the end of */
  OK(EVAL(ctx, "w, z", "w = z + 1", w, z));
  drop(z);
  drop(w);
  OK(rp_wait(ctx));
  assert_int_equal(stat("dead_tasks") - dead, 3);
  check_values(y, (double[]){3, 6, 9});
  drop(x);
  drop(y);
}

/* ---- renaming and sharing ---- */

enum { SIDE = 40, GRID = (SIDE + 2) * (SIDE + 2) };

static void stencil_host(double *g, int sweeps) {
  static double old[GRID];
  const int w = SIDE + 2;
  for (int s = 0; s < sweeps; s++) {
    memcpy(old, g, sizeof old);
    for (int i = 1; i <= SIDE; i++)
      for (int j = 1; j <= SIDE; j++) {
        const double *c = old + i * w + j;
        g[i * w + j] = 0.2 * ((((c[0] + c[-w]) + c[1]) + c[-1]) + c[w]);
      }
  }
}

/* Views of one array that alias: the sweep is one kernel, which reads the old and writes the new. */
static void test_stencil(void **state) {
  (void)state;
  static double v[GRID];
  host_random(v, GRID);
  const int64_t shape[] = {SIDE + 2, SIDE + 2};
  rp_store *g = check_store(ctx, 2, shape, v);
  stencil_pass pass = stencil_begin(ctx, g, SIDE);
  int64_t kernels = 0, moved = 0, renamed = 0, patched = 0;
  for (int i = 0; i < 10; i++) {
    const int64_t k = stat("kernels_run"), b = stat("bytes_moved"), r = stat("renamed");
    const int64_t p = stat("patched");
    stencil_run(&pass);
    kernels = stat("kernels_run") - k;
    moved = stat("bytes_moved") - b;
    renamed = stat("renamed") - r;
    patched = stat("patched") - p;
  }
  assert_int_equal(kernels, 1);
  assert_int_equal(renamed, 1);
  assert_int_equal(patched, 0);     /* the border is valid in both instances */
  assert_true(stat("patched") > 0); /* but once it had to be copied */
  assert_true(moved <= 6 * SIDE * SIDE * 8);
  stencil_host(v, 10);
  check_values(g, v);
  stencil_end(&pass);
}

/* One launch that overwrites what it reads at other points; and with the knob off. */
static void test_rename_off(void **state) {
  (void)state;
  static const char *const more[] = {"", "--rename off", "--fusion off", "--tracing off"};
  for (int k = 0; k < 4; k++) {
    OK(rp_context_destroy(ctx));
    ctx = check_context(more[k]);
    double v[64];
    host_random(v, 64);
    rp_store *x = check_vector(ctx, 64, v), *lo, *hi;
    OK(rp_store_slice(x, 0, 0, 63, 1, &lo));
    OK(rp_store_slice(x, 0, 1, 64, 1, &hi));
    for (int i = 0; i < 4; i++) {
      OK(rp_trace_begin(ctx, 1));
      OK(EVAL(ctx, "hi, lo", "hi = hi + lo", hi, lo));
      OK(EVAL(ctx, "lo, hi", "lo = lo - hi", lo, hi));
      OK(rp_trace_end(ctx, 1));
      for (int j = 63; j > 0; j--) v[j] += v[j - 1];
      for (int j = 0; j < 63; j++) v[j] -= v[j + 1];
    }
    check_values(x, v);
    drop(x);
    drop(lo);
    drop(hi);
  }
}

static void test_shared_copy(void **state) {
  (void)state;
  static double v[N];
  host_random(v, N);
  rp_store *u = check_vector(ctx, N, v), *un = NULL;
  int64_t bytes = 0, copies = 0;
  for (int i = 0; i < 6; i++) {
    const int64_t b = stat("bytes_moved"), c = stat("copies_shared");
    OK(rp_trace_begin(ctx, 1));
    drop(un);
    OK(rp_array_copy(u, &un));
    OK(EVAL(ctx, "u, un", "u = un*0.5 + 1", u, un));
    OK(rp_trace_end(ctx, 1));
    OK(rp_wait(ctx));
    bytes = stat("bytes_moved") - b;
    copies = stat("copies_shared") - c;
    if (i == 5) check_values(un, v);
    for (int j = 0; j < N; j++) v[j] = v[j] * 0.5 + 1;
  }
  assert_int_equal(copies, 1);
  assert_int_equal(bytes, 2 * N * 8);
  check_values(u, v);
  drop(u);
  drop(un);
}

/* ---- kernels of whole methods ---- */

static int64_t kernels_per_pass(rp_status (*solve)(rp_operator *, rp_store *, rp_store *,
                                                   const rp_solve_options *, rp_solve_result *),
                                rp_operator *a, rp_store *b, rp_store *x) {
  int64_t kernels[2];
  const int64_t iterations[] = {8, 18};
  for (int i = 0; i < 2; i++) {
    const int64_t before = stat("kernels_run");
    const rp_solve_options o = {
        .struct_size = sizeof o, .max_iterations = iterations[i], .check_every = 1000};
    rp_solve_result r = {.struct_size = sizeof r};
    const double zero = 0;
    OK(rp_store_fill(x, &zero));
    OK(solve(a, b, x, &o, &r));
    OK(rp_wait(ctx));
    kernels[i] = stat("kernels_run") - before;
  }
  return kernels[1] - kernels[0]; /* of ten passes */
}

static void test_methods(void **state) {
  (void)state;
  const int64_t offset[] = {0, 0, -1, 0, 1, 0, 0, -1, 0, 1}, shape[] = {SIDE, SIDE};
  const double coefficient[] = {4, -1, -1, -1, -1};
  const int64_t n = SIDE * SIDE;
  static double one[SIDE * SIDE];
  for (int i = 0; i < SIDE * SIDE; i++) one[i] = 1 + i % 7;
  rp_csr *m;
  rp_operator *a;
  OK(rp_csr_from_stencil(ctx, RP_F64, 2, shape, 5, offset, coefficient, &m));
  OK(rp_operator_from_csr(m, &a));
  rp_store *b = check_vector(ctx, n, one), *x = check_vector(ctx, n, NULL);
  assert_int_equal(kernels_per_pass(rp_solve_cg, a, b, x), 30);
  assert_true(kernels_per_pass(rp_solve_bicgstab, a, b, x) <= 50);
  /* The power method of the array library: product and dots, then the division. */
  OK(rp_store_write(x, one, sizeof one));
  int64_t last = 0;
  for (int i = 0; i < 6; i++) {
    const int64_t before = stat("kernels_run");
    rp_store *y, *norm, *next;
    OK(rp_trace_begin(ctx, 9));
    OK(rp_csr_multiply(m, x, &y));
    OK(rp_array_norm(y, &norm));
    OK(rp_array_divide(y, norm, &next));
    drop(x);
    x = next;
    drop(y);
    drop(norm);
    OK(rp_trace_end(ctx, 9));
    OK(rp_wait(ctx));
    last = stat("kernels_run") - before;
  }
  assert_true(last <= 2);
  drop(b);
  drop(x);
  OK(rp_operator_release(a));
  OK(rp_csr_release(m));
}

/* Arithmetic on scalars between two reductions costs no kernel of its own. */
static void test_scalars_fold(void **state) {
  (void)state;
  double v[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  rp_store *x = check_vector(ctx, 8, v), *s = check_store(ctx, 0, NULL, NULL);
  rp_store *t = check_store(ctx, 0, NULL, NULL);
  for (int i = 0; i < 4; i++) {
    const int64_t before = stat("kernels_run");
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, x));
    OK(EVAL(ctx, "t, s", "t = s/64", t, s));
    OK(EVAL(ctx, "t", "t = t + 0.5", t));
    OK(EVAL(ctx, "x, t", "x = x*t", x, t));
    OK(EVAL(ctx, "s, t", "s = s + t", s, t));
    OK(rp_trace_end(ctx, 1));
    OK(rp_wait(ctx));
    assert_int_equal(stat("kernels_run") - before, 2);
    double sum = 0;
    for (int k = 0; k < 8; k++) sum += v[k];
    for (int k = 0; k < 8; k++) v[k] *= sum / 64 + 0.5;
    assert_true(fabs(check_scalar(s) - (sum + (sum / 64 + 0.5))) < 1e-12 * sum);
  }
  drop(x);
  drop(s);
  drop(t);
}

/* ---- skeletons ---- */

/* A view that moves: templates differ, the analysis is made once. */
static void test_skeleton(void **state) {
  (void)state;
  enum { M = 24 };
  double v[M][M], host[M][M];
  host_random(&v[0][0], M * M);
  memcpy(host, v, sizeof v);
  rp_store *a = check_store(ctx, 2, (int64_t[]){M, M}, &v[0][0]);
  for (int64_t k = 0; k + 1 < M; k++) {
    rp_store *col, *below, *row;
    OK(rp_trace_begin(ctx, 1));
    OK(rp_store_project(a, 1, k, &col));
    OK(rp_store_slice(col, 0, k + 1, INT64_MAX, 1, &below));
    OK(rp_store_project(a, 0, k, &row));
    OK(EVAL(ctx, "b", "b = b*0.5", below));
    OK(EVAL(ctx, "r", "r = r + 1", row));
    OK(rp_trace_end(ctx, 1));
    drop(col);
    drop(below);
    drop(row);
    for (int64_t i = k + 1; i < M; i++) host[i][k] *= 0.5;
    for (int64_t j = 0; j < M; j++) host[k][j] += 1;
  }
  check_values(a, &host[0][0]);
  assert_true(stat("skeleton_hits") >= M - 5);
  assert_true(stat("analyses") <= 4);
  drop(a);
}

/* ---- replay does nothing but run ---- */

static void test_no_allocation(void **state) {
  (void)state;
  static double v[N];
  if (rp_context_gpus(ctx) > 0) skip(); /* its kernels may still be compiled meanwhile */
  host_random(v, N);
  rp_store *x = check_vector(ctx, N, v), *s = check_store(ctx, 0, NULL, NULL), *kept = NULL;
  rp_library *lib;
  rp_op *op;
  OK(rp_library_create(ctx, "lib", &lib));
  OK(rp_op_create(lib, "scale", "y, a:f64, x", "y = a*x", &op));
  int64_t heap = 0, system = 0;
  const int64_t n = N;
  for (int i = 0; i < 40; i++) {
    if (i == 20) {
      heap = rpi_alloc_count();
      system = stat("memory_calls");
    }
    const double a = 1 + i * 1e-3;
    OK(rp_trace_begin(ctx, 1));
    rp_store *t, *lo, *hi;
    OK(rp_store_create(ctx, RP_F64, 1, &n, &t));
    OK(rp_launch(op, STORES(t, x), 2, (const void *[]){&a}, 1));
    OK(rp_store_slice(t, 0, 0, N - 1, 1, &lo));
    OK(rp_store_slice(x, 0, 1, N, 1, &hi));
    OK(EVAL(ctx, "hi, lo", "hi = 0.5*hi + 0.25*lo", hi, lo));
    OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, x));
    drop(kept);
    kept = t;
    drop(lo);
    drop(hi);
    OK(rp_trace_end(ctx, 1));
    if (i % 3 == 0) check_scalar(s);
  }
  OK(rp_wait(ctx));
  assert_int_equal(rpi_alloc_count(), heap);
  assert_int_equal(stat("memory_calls"), system);
  drop(x);
  drop(s);
  drop(kept);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_rules),        TEST(test_templates),      TEST(test_slots),
      TEST(test_read_splits),  TEST(test_read_elsewhere), TEST(test_wait_for_one),
      TEST(test_max_tasks),    TEST(test_late_commit),    TEST(test_dead),
      TEST(test_stencil),      TEST(test_rename_off),     TEST(test_shared_copy),
      TEST(test_methods),      TEST(test_scalars_fold),   TEST(test_skeleton),
      TEST(test_no_allocation)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
