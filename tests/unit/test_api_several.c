/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_several.c -- several GPUs in one ordinary process: every kind of call gives the bits of the host, the
 * work is shared out, and what the program lends is touched by nobody but who may.
 * Not here: what goes wrong (test_api_several_ends.c), random programs (tests/equal/ways.h). */
#include "tests/support/folder.h"
#include "tests/support/gpu_context.h"
#include "tests/support/lent_tensor.h"
#include "tests/support/odd_ones.h"
#include "tests/support/poisson.h"
#include "tests/support/stencil_pass.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tests/support/fake_nccl.h"

enum { MOST = 40000, GPUS = 3 };

typedef struct result {
  double at[MOST];
  int n;
} result;

static void add(result *r, const double *v, int n) {
  assert_true(r->n + n <= MOST);
  memcpy(r->at + r->n, v, sizeof *v * (size_t)n);
  r->n += n;
}

static void add_store(result *r, rp_store *s) {
  const int n = (int)rp_store_size(s);
  assert_true(r->n + n <= MOST);
  OK(rp_store_read(s, r->at + r->n, sizeof(double) * (size_t)n));
  r->n += n;
}

typedef void program(rp_context *c, result *r);

static bool on_several; /* what the program at hand runs on */

/* On one host and on several GPUs, some of which are one. */
static void same(program *p) {
  static const char *const ways[] = {
      "--gpus 3 --nccl none", "--gpus 2 --nccl none --tier 0 --graphs off",
      ("--gpus 3 --nccl " FAKE_WHOLE), "--gpus 6 --gpu_share on --cut boxes --tier 0 --threads 2"};
  static result want, got;
  want.n = 0;
  on_several = false;
  rp_context *c = check_context("--gpus 0");
  p(c, &want);
  OK(rp_context_destroy(c));
  on_several = true;
  for (int k = 0; k < 4; k++) {
    char more[600];
    snprintf(more, sizeof more, "--tile 0 --overlap 0 --watchdog 20 %s", ways[k]);
    got.n = 0;
    c = gpu_context(more);
    p(c, &got);
    assert_int_equal(rp_context_ranks(c), 1);
    assert_int_equal(rp_context_rank(c), 0);
    end(c);
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.at, want.at, sizeof(double) * (size_t)want.n);
    assert_int_equal(fake_nccl.comms, 0);
  }
}

static void fill(double *v, int n) {
  for (int i = 0; i < n; i++) v[i] = 1.0 / (1 + i * 37 % 101);
}

/* ---- tasks ---- */

enum { SIDE = 60, CELLS = (SIDE + 2) * (SIDE + 2) };

static void stencil(rp_context *c, result *r) {
  static double start[CELLS];
  fill(start, CELLS);
  rp_store *g = check_store(c, 2, (int64_t[]){SIDE + 2, SIDE + 2}, start);
  stencil_pass pass = stencil_begin(c, g, SIDE);
  OK(rp_store_retain(g));
  for (int i = 0; i < 12; i++) stencil_run(&pass);
  stencil_end(&pass);
  add_store(r, g);
  OK(rp_store_release(g));
  if (!on_several) return;
  assert_true(check_stat(c, "kernels_shared") > 0);
  /* A row for each neighbour of rank 0 and each pass, at most for both steps of it. */
  const int64_t messages = check_stat(c, "messages"), bytes = check_stat(c, "bytes_sent");
  assert_in_range(messages, 10, 200);
  assert_in_range(bytes, messages, messages * (SIDE + 2) * 8);
}

static void cg(rp_context *c, result *r) {
  static double got[SIDE * SIDE + 1];
  OK(poisson_solve(c, SIDE, rp_solve_cg, 20, got));
  add(r, got, SIDE * SIDE + 1);
  if (on_several) assert_true(check_stat(c, "joint_reductions") > 0);
}

/* Every kind of launch, gathers, scatters, fill, copy, traces, what launches refuse. */
static void launches(rp_context *c, result *r) {
  enum { N = 5000 };
  static double start[N];
  rp_library *lib;
  rp_op *scale;
  fill(start, N);
  rp_store *x = check_vector(c, N, start), *y = check_vector(c, N, NULL), *i, *s, *v, *t;
  rp_store *short_one = check_vector(c, 7, start);
  static int64_t at[N];
  for (int k = 0; k < N; k++) at[k] = k * 37 % N;
  OK(rp_store_create(c, RP_I64, 1, (int64_t[]){N}, &i));
  OK(rp_store_write(i, at, sizeof at));
  OK(rp_store_scalar(c, RP_F64, &(double){2}, &s));
  OK(rp_library_create(c, "test", &lib));
  OK(rp_op_create(lib, "scale", "y, a:f64, x", "y = a*x", &scale));
  for (int pass = 0; pass < 4; pass++) {
    const double a = 1.5 + pass;
    OK(rp_trace_begin(c, 7));
    OK(EVAL(c, "y, x, i", "y[k] = x[i[k]] + x[k]", y, x, i));
    OK(EVAL(c, "y, i, x", "y[i[k]] += x[k]", y, i, x));
    OK(EVAL(c, "s, y, x", "s += y*x", s, y, x));
    OK(rp_launch(scale, STORES(x, y), 2, (const void *[]){&a}, 1));
    OK(EVAL(c, "x, s", "x = x/(1 + s*s)", x, s));
    OK(rp_trace_end(c, 7));
    FAILS(RP_ERR_SHAPE, "", rp_launch(scale, STORES(x, short_one), 2, (const void *[]){&a}, 1));
    FAILS(RP_ERR_BODY, "", EVAL(c, "y, x", "y = x +", y, x));
  }
  rp_store *out[2] = {NULL, x};
  OK(rp_call(scale, out, 2, (const void *[]){&(double){3}}, 1));
  OK(rp_store_slice(out[0], 0, N - 1, INT64_MIN, -2, &v));
  OK(rp_store_fill(v, &(double){0.5}));
  OK(rp_store_reshape(out[0], 2, (int64_t[]){N / 50, 50}, &t));
  add_store(r, v);
  OK(rp_store_copy(x, out[0]));
  OK(rp_store_wait(x));
  OK(EVAL(c, "x", "x = x + 1", x));
  add_store(r, t);
  add_store(r, x);
  add_store(r, s);
  rp_store *all[] = {x, y, i, s, v, t, out[0], short_one};
  for (int k = 0; k < 8; k++) OK(rp_store_release(all[k]));
}

/* A pass that repeats itself: what it looks at is an element of an array that is cut, another time all have it. */
static void repeated(rp_context *c, result *r) {
  enum { N = 3000 };
  for (int k = 0; k < 2; k++) {
    int64_t passes = -1;
    rp_store *x = check_vector(c, N, NULL), *n = NULL, *go = NULL, *sum = NULL;
    OK(rp_store_create(c, RP_I64, 1, (int64_t[]){N}, &n));
    if (k == 0)
      OK(rp_store_slice(n, 0, N - 5, N - 4, 1, &go));
    else
      OK(rp_store_create(c, RP_BOOL, 0, NULL, &go));
    OK(EVAL(c, "n", "n = 9", n));
    OK(rp_trace_begin(c, 3));
    OK(rp_store_create(c, RP_F64, 0, NULL, &sum));
    OK(EVAL(c, "x, n", "x = 0.5*x + n", x, n));
    OK(EVAL(c, "n", "n = n - 1", n));
    OK(EVAL(c, "s, x", "s += x", sum, x));
    if (k == 1) OK(EVAL(c, "go, s", "go = s > 20000.0", go, sum));
    OK(rp_store_release(sum));
    FAILS(RP_ERR_DTYPE, "f64", rp_trace_repeat(c, 3, sum = check_vector(c, 1, NULL), 9, NULL));
    OK(rp_trace_repeat(c, 3, go, 100, &passes));
    add(r, &(double){(double)passes}, 1);
    add_store(r, x);
    rp_store *all[] = {x, n, go, sum};
    for (int i = 0; i < 4; i++) OK(rp_store_release(all[i]));
  }
}

static void test_tasks(void **state) {
  (void)state;
  same(stencil);
  same(cg);
  same(launches);
  same(repeated);
}

/* ---- values in and out ---- */

enum { WIDE = 9000 };

typedef struct asked {
  pthread_t thread;
  int64_t n;
} asked;

static rp_status supply(void *arg, int64_t lo, int64_t n, void *out) {
  asked *a = arg;
  if (!pthread_equal(a->thread, pthread_self()) || (on_several && lo != a->n))
    return rp_error_set(RP_ERR_STATE, "asked for by another thread, or twice");
  for (int64_t i = 0; i < n; i++) ((double *)out)[i] = 0.5 * (double)(lo + i);
  a->n = lo + n;
  return RP_OK;
}

static rp_status refuses(void *arg, int64_t lo, int64_t n, void *out) {
  (void)arg, (void)n, (void)out;
  return lo > 100000 ? rp_error_set(RP_ERR_IO, "no more of it") : RP_OK;
}

static void values(rp_context *c, result *r) {
  static double start[WIDE], part[WIDE];
  asked a = {.thread = pthread_self()};
  fill(start, WIDE);
  rp_store *x = check_vector(c, WIDE, start), *big = check_vector(c, 400000, NULL), *v, *flags;
  memset(start, 0, sizeof start); /* it has been taken */
  OK(EVAL(c, "x", "x = 2*x", x));
  OK(rp_store_write_part(x, (int64_t[]){10}, (int64_t[]){12}, (double[]){7, 8}, 16));
  fill(part, 6000);
  OK(rp_store_write_part(x, (int64_t[]){2000}, (int64_t[]){8000}, part, sizeof(double) * 6000));
  memset(part, 0, sizeof part);
  OK(EVAL(c, "x", "x = x + 1", x));
  OK(rp_store_read_part(x, (int64_t[]){1990}, (int64_t[]){6010}, part, sizeof(double) * 4020));
  add(r, part, 4020);
  OK(rp_store_read_part(x, (int64_t[]){5}, (int64_t[]){6}, part, sizeof(double)));
  add(r, part, 1);
  OK(rp_store_slice(x, 0, INT64_MAX, INT64_MIN, -3, &v));
  add_store(r, v);
  OK(rp_store_supply(big, supply, &a));
  if (on_several) assert_int_equal(a.n, 400000);
  FAILS(RP_ERR_IO, "no more of it", rp_store_supply(big, refuses, NULL));
  OK(EVAL(c, "x, b", "x[i] = x[i] + b[40*i]", x, big));
  OK(rp_store_write_share(x, start, sizeof start));
  FAILS(RP_ERR_ARGUMENT, "together", rp_store_write_share(x, start, 16));
  OK(EVAL(c, "x, b", "x[i] = x[i] + b[40*i]", x, big));
  OK(rp_store_read_share(x, 100, part, sizeof(double) * 1000));
  add(r, part, 1000);
  FAILS(RP_ERR_ARGUMENT, "elements", rp_store_read_share(x, 100, part, sizeof part));
  int64_t before, all, n_out;
  void *records = malloc(8), *got;
  OK(rp_context_scan(c, 5, &before, &all));
  assert_int_equal(before + all, 5);
  OK(rp_context_agree(c, RP_OK, 3));
  memcpy(records, "12345678", 8);
  OK(rp_context_deal(c, 1, (int32_t[]){0}, 8, records, &n_out, &got));
  assert_memory_equal(got, "12345678", 8);
  free(got);
  OK(rp_store_create(c, RP_BOOL, 1, (int64_t[]){WIDE}, &flags));
  OK(rp_store_write(flags, start, WIDE));
  OK(rp_store_read(flags, part, WIDE));
  rp_store *each[] = {x, big, v, flags};
  for (int k = 0; k < 4; k++) OK(rp_store_release(each[k]));
}

/* Memory in turns: whoever has it finds what the other has left. */
static void lent(rp_context *c, result *r) {
  static double mine[WIDE], fixed[WIDE];
  int deleted = 0;
  rp_store *x, *y, *t = NULL, *v = NULL, *z = check_vector(c, WIDE, NULL);
  fill(mine, WIDE);
  fill(fixed, WIDE);
  OK(rp_store_attach(c, RP_F64, 1, (int64_t[]){WIDE}, mine, RP_READ_WRITE, &x));
  OK(rp_store_attach(c, RP_F64, 1, (int64_t[]){WIDE}, fixed, RP_READ_ONLY, &y));
  for (int pass = 0; pass < 4; pass++) {
    OK(EVAL(c, "x, y", "x = x*1.5 + y", x, y));
    OK(EVAL(c, "z, x", "z[i] = x[i] + x[8999 - i]", z, x));
    OK(rp_store_home(x));
    add(r, mine + 4000, 500);
    for (int i = 0; i < WIDE; i++) mine[i] += i % (3 + pass);
    if (pass == 2) OK(rp_store_copy(z, x));
    if (pass == 2) OK(rp_store_home(x));
  }
  add_store(r, z);
  OK(rp_store_detach(x));
  memset(mine, 0, sizeof mine);
  OK(EVAL(c, "z, x", "z = z + x", z, x));
  add_store(r, z);
  struct DLManagedTensorVersioned *d =
      tensor_make(mine, 1, (int64_t[]){WIDE / 3}, (int64_t[]){3}, &deleted);
  for (int i = 0; i < WIDE; i++) mine[i] = i;
  OK(rp_store_import_dlpack(c, d, -1, &t));
  OK(rp_store_slice(z, 0, 0, WIDE, 3, &v));
  OK(EVAL(c, "v, t", "v = v*t", v, t));
  add_store(r, v);
  add_store(r, t);
  rp_store *all[] = {x, y, z, t, v};
  for (int k = 0; k < 5; k++) OK(rp_store_release(all[k]));
  OK(rp_wait(c));
  assert_int_equal(deleted, 1);
}

/* What is handed out is a copy, which outlives the context. */
static void handed_out(rp_context *c, result *r) {
  rp_export_desc d = {
      .struct_size = sizeof d, .flags = RP_EXPORT_MUST_COPY, .device_type = 1, .stream = -1};
  struct DLManagedTensorVersioned *t;
  static double start[WIDE];
  fill(start, WIDE);
  rp_store *x = check_vector(c, WIDE, start);
  OK(EVAL(c, "x", "x = 3*x", x));
  OK(rp_store_export_dlpack(x, &d, &t));
  add(r, t->dl_tensor.data, WIDE);
  t->deleter(t);
  if (on_several) {
    d.flags = 0;
    FAILS(RP_ERR_ACCESS, "several GPUs", rp_store_export_dlpack(x, &d, &t));
    int32_t gpu = -1;
    int64_t stream;
    OK(rp_context_gpu(c, &gpu, &stream));
    assert_int_equal(gpu, 0);
    d = (rp_export_desc){.struct_size = sizeof d, .flags = RP_EXPORT_MAY_COPY, .stream = stream};
    OK(rp_store_export_dlpack(x, &d, &t));
    assert_int_equal(t->dl_tensor.device.device_type, 2);
    static double back[WIDE];
    rp_context *other = gpu_context("");
    rp_store *copy;
    OK(rp_store_import_dlpack(other, t, stream, &copy));
    OK(rp_store_read(copy, back, sizeof back));
    assert_memory_equal(back, r->at + r->n - WIDE, sizeof back);
    OK(rp_store_release(copy));
    OK(rp_context_destroy(other));
    FAILS(RP_ERR_DEVICE, "uses one GPU",
          rp_store_attach_device(c, RP_F64, 1, (int64_t[]){4}, (void *)4096, 0, -1, RP_READ_ONLY,
                                 &(rp_store *){NULL}));
  }
  OK(rp_store_release(x));
}

static void saved(rp_context *c, result *r) {
  static double start[WIDE];
  folder_name f = folder_make();
  fill(start, WIDE);
  rp_store *x = check_vector(c, WIDE, start), *y = check_vector(c, 3, (double[]){1, 2, 3});
  OK(EVAL(c, "x", "x = x + 1", x));
  const char *const names[] = {"x", "y"};
  OK(rp_checkpoint(c, f.path, 2, names, STORES(x, y)));
  OK(EVAL(c, "x", "x = 0*x", x));
  OK(EVAL(c, "y", "y = 0*y", y));
  OK(rp_restore(c, f.path, 2, names, STORES(x, y)));
  FAILS(RP_ERR_ARGUMENT, "", rp_restore(c, f.path, 1, (const char *const[]){"z"}, STORES(x)));
  add_store(r, x);
  add_store(r, y);
  OK(rp_store_release(x));
  OK(rp_store_release(y));
  folder_remove(f.path);
}

static void test_values(void **state) {
  (void)state;
  same(values);
  same(lent);
  same(handed_out);
  same(saved);
}

/* ---- C functions ---- */

static pthread_t main_thread;
static _Atomic int called, elsewhere, rows_seen, refused;
static rp_context *inside;

static void twice(double *y, const double *x, int64_t n) {
  const bool there = !pthread_equal(main_thread, pthread_self());
  if (there) usleep(5000); /* who does not wait is seen */
  called++;
  elsewhere += there;
  rows_seen += (int)n;
  int64_t out;
  if (inside && rp_stat(inside, "launches", &out) != RP_OK) refused++;
  for (int64_t i = 0; i < n; i++) y[i] = 2 * x[i];
}

static int picky(double *y, const double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i];
  return n > 0 && x[n - 1] > 50;
}

static rp_op *function(rp_context *c, const char *name, void (*f)(void), int32_t flags) {
  static const int32_t privileges[] = {RP_PRIV_WRITE, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {
      {RP_ARG_PTR, 0, 0, 0, 0}, {RP_ARG_PTR, 1, 0, 0, 0}, {RP_ARG_EXTENT, 0, 0, 0, 0}};
  static const rp_constraint together[] = {{RP_CONSTRAINT_ALIGN, 0, 1, 0, 0, 0, 0}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = name,
                            .params = "y, x",
                            .privileges = privileges,
                            .function = f,
                            .args = args,
                            .n_args = 3,
                            .flags = flags | RP_OPAQUE_DENSE,
                            .constraints = together,
                            .n_constraints = 1,
                            .constraint_size = sizeof *together};
  return check_opaque(c, &d);
}

static void forget_calls(void) { called = elsewhere = rows_seen = refused = 0; }

static void functions(rp_context *c, result *r) {
  static double start[WIDE];
  for (int i = 0; i < WIDE; i++) start[i] = i % 47;
  main_thread = pthread_self();
  rp_store *x = check_vector(c, WIDE, start), *y = check_vector(c, WIDE, NULL), *u = NULL;
  rp_op *split = function(c, "split", (void (*)(void))twice, RP_OPAQUE_SPLIT);
  rp_op *here = function(c, "here", (void (*)(void))twice, RP_OPAQUE_MAIN_THREAD);
  rp_op *once = function(c, "once", (void (*)(void))twice, RP_OPAQUE_SIDE_EFFECT);
  rp_op *fails = function(c, "fails", (void (*)(void))picky, RP_OPAQUE_STATUS), *odd;
  forget_calls();
  inside = on_several ? c : NULL; /* a function may not use the context, on whatever thread it is */
  OK(EVAL(c, "x", "x = x + 1", x));
  OK(rp_launch(split, STORES(y, x), 2, NULL, 0));
  OK(rp_store_wait(y));
  assert_int_equal(rows_seen, WIDE); /* each row once, and all of it before the call is over */
  if (on_several) assert_true(elsewhere > 0);
  if (on_several) assert_int_equal(refused, called);
  inside = NULL;
  add_store(r, y);
  for (int k = 0; k < 2; k++) {
    forget_calls();
    OK(rp_launch(k ? once : here, STORES(x, y), 2, NULL, 0));
    OK(EVAL(c, "y, x", "y = x - y", y, x));
    add_store(r, y);
    assert_int_equal(called, 1);
    assert_int_equal(elsewhere, 0);
  }
  OK(rp_store_create_unbound(c, RP_F64, 1, NULL, &u));
  OK(odd_ones_op(c, &odd));
  OK(rp_launch(odd, STORES(u, x), 2, NULL, 0));
  const double rows = (double)rp_store_extent(u, 0);
  add(r, &rows, 1);
  OK(EVAL(c, "u", "u = u + 0.5", u));
  add_store(r, u);
  OK(EVAL(c, "x", "x = x + 100", x));
  OK(rp_launch(fails, STORES(y, x), 2, NULL, 0));
  FAILS(RP_ERR_DATA, "poisoned", rp_store_read(y, start, sizeof start));
  FAILS(RP_ERR_DATA, "", rp_wait(c));
  OK(rp_store_fill(y, &(double){1}));
  add_store(r, y);
  OK(rp_store_release(x));
  OK(rp_store_release(y));
  OK(rp_store_release(u));
}

/* An index out of range is found by one rank, and poisons on all. */
static void poison(rp_context *c, result *r) {
  static int64_t at[WIDE];
  static double none[WIDE];
  rp_store *i, *x = check_vector(c, WIDE, none), *y = check_vector(c, WIDE, NULL);
  at[WIDE - 1] = WIDE;
  OK(rp_store_create(c, RP_I64, 1, (int64_t[]){WIDE}, &i));
  OK(rp_store_write(i, at, sizeof at));
  OK(EVAL(c, "y, x, i", "y[k] = x[i[k]]", y, x, i));
  FAILS(RP_ERR_DATA, "poisoned", rp_store_read(y, none, sizeof none));
  FAILS(RP_ERR_DATA, "poisoned", rp_store_wait(y));
  FAILS(RP_ERR_DATA, "", rp_wait(c));
  at[WIDE - 1] = 0;
  OK(rp_store_write(i, at, sizeof at));
  OK(EVAL(c, "y, x, i", "y[k] = x[i[k]] + k", y, x, i));
  add_store(r, y);
  OK(rp_store_release(i));
  OK(rp_store_release(x));
  OK(rp_store_release(y));
}

static void test_functions(void **state) {
  (void)state;
  same(functions);
  same(poison);
}

int main(void) {
  if (gpu_missing()) return 77;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_tasks), cmocka_unit_test(test_values),
                                     cmocka_unit_test(test_functions)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
