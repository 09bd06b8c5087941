/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_reason.c -- every line of trace/reason.def has a small program that makes it happen, counted
 * in rp_explain. A reason that no program can cause has no place in the table. */
#include "tests/support/api_check.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

enum { N = 100 };

/* The emulated one. */
#define GPU "--gpus 1 --tier 1 --cc none --cuda " RPI_EMULATED_CUDA " --nvrtc " RPI_EMULATED_CUDA

static void drop(rp_store *s) { OK(rp_store_release(s)); }
static rp_store *zeros(rp_context *c, int64_t n) { return check_vector(c, n, NULL); }

static rp_store *part(rp_store *x, int64_t from, int64_t to) {
  rp_store *v;
  OK(rp_store_slice(x, 0, from, to, 1, &v));
  return v;
}

static void increment(rp_context *c, rp_store *x) { OK(EVAL(c, "x", "x = x + 1", x)); }
static void begin(rp_context *c) { OK(rp_trace_begin(c, 1)); }
static void end(rp_context *c) { OK(rp_trace_end(c, 1)); }

/* ---- cuts --------------------------------------------------------------------------------------------- */

static void cut_trace_end(rp_context *c) {
  rp_store *x = zeros(c, N);
  begin(c);
  increment(c, x);
  end(c);
  drop(x);
}

static void cut_trace_begin(rp_context *c) {
  rp_store *x = zeros(c, N);
  increment(c, x);
  begin(c);
  end(c);
  drop(x);
}

static void cut_reopened(rp_context *c) {
  rp_store *x = zeros(c, N);
  begin(c);
  increment(c, x);
  begin(c);
  end(c);
  drop(x);
}

static void cut_read(rp_context *c) {
  rp_store *x = zeros(c, 1);
  increment(c, x);
  check_values(x, (double[]){1});
  drop(x);
}

static void cut_write(rp_context *c) {
  rp_store *x = zeros(c, 1);
  increment(c, x);
  OK(rp_store_write(x, (double[]){7}, 8));
  drop(x);
}

static void cut_wait(rp_context *c) {
  rp_store *x = zeros(c, N);
  increment(c, x);
  OK(rp_wait(c));
  drop(x);
}

static void note(const double *x) { (void)x; }

static rp_op *opaque_op_on(rp_context *c, int32_t flags, const rp_gpu_variant *gpu) {
  static const int32_t privilege[] = {RP_PRIV_READ_WRITE};
  static const rp_opaque_arg arg[] = {{.kind = RP_ARG_PTR}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "note",
                            .params = "x",
                            .privileges = privilege,
                            .function = (void (*)(void))note,
                            .args = arg,
                            .n_args = 1,
                            .flags = flags,
                            .gpu = gpu};
  return check_opaque(c, &d);
}

static rp_op *opaque_op(rp_context *c, int32_t flags) { return opaque_op_on(c, flags, NULL); }

static void cut_side_effect(rp_context *c) {
  rp_store *x = zeros(c, N);
  OK(rp_launch(opaque_op(c, RP_OPAQUE_SIDE_EFFECT), STORES(x), 1, NULL, 0));
  drop(x);
}

static void makes_nothing(int64_t *count) { *count = 0; }

static void cut_size(rp_context *c) {
  static const rp_opaque_arg count = {.kind = RP_ARG_COUNT};
  static const rp_constraint room = {.kind = RP_CONSTRAINT_SCALE, .b = 1, .factor = 1};
  rp_library *lib;
  rp_op *op;
  rp_store *x = zeros(c, N), *y;
  OK(rp_library_create(c, "sizes", &lib));
  OK(rp_op_create_opaque(lib,
                         &(rp_opaque_desc){.struct_size = sizeof(rp_opaque_desc),
                                           .name = "nothing",
                                           .params = "y, x",
                                           .privileges = (int32_t[]){RP_PRIV_UNBOUND, RP_PRIV_READ},
                                           .function = (void (*)(void))makes_nothing,
                                           .args = &count,
                                           .n_args = 1,
                                           .constraints = &room,
                                           .n_constraints = 1},
                         &op));
  OK(rp_store_create_unbound(c, RP_F64, 1, NULL, &y));
  OK(rp_launch(op, STORES(y, x), 2, NULL, 0));
  assert_int_equal(rp_store_size(y), 0);
  drop(y);
  drop(x);
}

static void cut_tasks(rp_context *c) { /* --window 2 */
  rp_store *x = zeros(c, N);
  for (int i = 0; i < 5; i++) increment(c, x);
  drop(x);
}

static void cut_checkpoint(rp_context *c) {
  char folder[64];
  snprintf(folder, sizeof folder, "/tmp/reprise-reason-%d/none/such", (int)getpid());
  rp_store *x = zeros(c, N);
  increment(c, x);
  FAILS(RP_ERR_ARGUMENT, "such", rp_checkpoint(c, folder, 1, (const char *[]){"x"}, STORES(x)));
  drop(x);
}

static void cut_destroy(rp_context *c) {
  rp_store *x = zeros(c, N);
  increment(c, x);
  drop(x);
}

/* ---- misses ---------------------------------------------------------------------------------------------- */

static void miss_task(rp_context *c) {
  rp_store *x = zeros(c, N);
  for (int i = 0; i < 2; i++) {
    begin(c);
    OK(EVAL(c, "x", i ? "x = 2*x" : "x = x + 1", x));
    end(c);
  }
  drop(x);
}

static void miss_slot(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N);
  for (int i = 0; i < 2; i++) {
    begin(c);
    OK(EVAL(c, "y, x", "y = x + 1", y, i ? y : x));
    end(c);
  }
  drop(x);
  drop(y);
}

static void miss_view(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N + 1);
  for (int i = 0; i < 2; i++) {
    begin(c);
    increment(c, i ? x : y);
    end(c);
  }
  drop(x);
  drop(y);
}

static void miss_class(rp_context *c) {
  static double lent[N];
  const int64_t n = N;
  rp_store *x = zeros(c, N), *y = zeros(c, N), *r;
  OK(rp_store_attach(c, RP_F64, 1, &n, lent, RP_READ_ONLY, &r));
  for (int i = 0; i < 2; i++) {
    begin(c);
    OK(EVAL(c, "y, x", "y = x + 1", y, i ? r : x));
    end(c);
  }
  drop(x);
  drop(y);
  drop(r);
}

static void miss_short(rp_context *c) {
  rp_store *x = zeros(c, N);
  for (int i = 0; i < 2; i++) {
    begin(c);
    increment(c, x);
    if (i == 0) increment(c, x);
    end(c);
  }
  drop(x);
}

/* ---- plans -------------------------------------------------------------------------------------------------- */

static void skeleton_guard(rp_context *c) {
  rp_store *x = zeros(c, 3 * N);
  for (int i = 0; i < 2; i++) {
    rp_store *a = part(x, 0, N), *b = part(x, i ? N / 2 : N, i ? N / 2 + N : 2 * N);
    begin(c);
    increment(c, a);
    OK(EVAL(c, "x", "x = 2*x", b)); /* disjoint, then not */
    end(c);
    drop(a);
    drop(b);
  }
  drop(x);
}

static void variant_live(rp_context *c) {
  rp_store *x = zeros(c, N);
  for (int i = 0; i < 2; i++) {
    rp_store *t = zeros(c, N);
    begin(c);
    OK(EVAL(c, "t, x", "t = x + 1", t, x));
    OK(EVAL(c, "x, t", "x = 2*t", x, t));
    if (i) drop(t);
    end(c);
    if (!i) drop(t);
  }
  drop(x);
}

static rp_store *indices(rp_context *c, int64_t n, int32_t all) {
  int32_t v[N];
  rp_store *s;
  for (int i = 0; i < N; i++) v[i] = all;
  OK(rp_store_create(c, RP_I32, 1, &n, &s));
  OK(rp_store_write(s, v, sizeof *v * (size_t)n));
  return s;
}

/* y = x[b], with indices in range and then not. */
static void bad_index(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N), *b = indices(c, N, N - 1);
  for (int i = 0; i < 2; i++) {
    int32_t bad = N;
    if (i) OK(rp_store_write_part(b, (int64_t[]){3}, (int64_t[]){4}, &bad, sizeof bad));
    begin(c);
    OK(EVAL(c, "y, x, b", "y[i] = x[b[i]]", y, x, b));
    end(c);
    assert_int_equal(rp_wait(c), i ? RP_ERR_DATA : RP_OK);
  }
  drop(x);
  drop(y);
  drop(b);
}

static void gather_checked(rp_context *c) { /* the index is computed */
  rp_store *x = zeros(c, N), *y = zeros(c, N), *b = indices(c, N, 3);
  OK(EVAL(c, "y, x, b", "y[i] = x[b[i] + 1]", y, x, b));
  OK(rp_wait(c));
  drop(x);
  drop(y);
  drop(b);
}

static void two_checked(rp_context *c) { /* one flag could not tell whose index was wrong */
  rp_store *x = zeros(c, N), *y = zeros(c, N), *z = zeros(c, N), *b = indices(c, N, 3);
  OK(EVAL(c, "y, x, b", "y[i] = x[b[i] + 1]", y, x, b));
  OK(EVAL(c, "y, x, b", "y[i] = x[b[i] + 1]", z, x, b));
  OK(rp_wait(c));
  drop(x);
  drop(y);
  drop(z);
  drop(b);
}

static void forget(rp_context *c) { /* --templates 3 */
  for (int i = 1; i < 6; i++) {
    rp_store *x = zeros(c, i);
    increment(c, x);
    OK(rp_wait(c));
    drop(x);
  }
}

/* ---- fusion --------------------------------------------------------------------------------------------------- */

static void two_tasks(rp_context *c) {
  rp_store *x = zeros(c, N);
  increment(c, x);
  OK(EVAL(c, "x", "x = 2*x", x));
  OK(rp_wait(c));
  drop(x);
}

static void fuse_space(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N + 1);
  increment(c, x);
  increment(c, y);
  OK(rp_wait(c));
  drop(x);
  drop(y);
}

static void fuse_flow(rp_context *c) {
  rp_store *x = zeros(c, N), *a = part(x, 0, N - 1), *b = part(x, 1, N);
  increment(c, a);
  increment(c, b);
  OK(rp_wait(c));
  drop(x);
  drop(a);
  drop(b);
}

/* Boxes of two shapes of one buffer, whose digits do not fit together. */
static void fuse_inexact(rp_context *c) {
  rp_store *x = zeros(c, 4 * 9 * 25), *v[2], *w[2];
  OK(rp_store_reshape(x, 2, (int64_t[]){36, 25}, &v[0]));
  OK(rp_store_reshape(x, 2, (int64_t[]){25, 36}, &v[1]));
  OK(rp_store_box(v[0], (int64_t[]){0, 0}, (int64_t[]){7, 3}, &w[0]));
  OK(rp_store_box(v[1], (int64_t[]){0, 4}, (int64_t[]){7, 7}, &w[1]));
  increment(c, w[0]);
  increment(c, w[1]);
  OK(rp_wait(c));
  for (int i = 0; i < 2; i++) {
    drop(v[i]);
    drop(w[i]);
  }
  drop(x);
}

static void fuse_scalar(rp_context *c) {
  rp_store *x = zeros(c, N), *s = check_store(c, 0, NULL, NULL);
  OK(EVAL(c, "s, x", "s = sum(i) x[i]", s, x));
  OK(EVAL(c, "s", "s = s + 1", s));
  OK(EVAL(c, "x, s", "x = x/s", x, s));
  OK(rp_wait(c));
  drop(x);
  drop(s);
}

static void fuse_opaque(rp_context *c) {
  rp_store *x = zeros(c, N);
  OK(rp_launch(opaque_op(c, 0), STORES(x), 1, NULL, 0));
  increment(c, x);
  OK(rp_wait(c));
  drop(x);
}

static void fuse_operands(rp_context *c) {
  rp_store *x[41];
  for (int i = 0; i < 41; i++) {
    x[i] = zeros(c, N);
    increment(c, x[i]);
  }
  OK(rp_wait(c));
  assert_int_equal(check_stat(c, "kernels_run"), 2);
  for (int i = 0; i < 41; i++) drop(x[i]);
}

static void fuse_mode(rp_context *c) {
  rp_store *m = check_store(c, 2, (int64_t[]){10, 20}, NULL), *r = zeros(c, 10), *s = zeros(c, 20);
  OK(EVAL(c, "r, m", "r[i] = sum(j) m[i,j]", r, m));
  OK(EVAL(c, "s, m", "s += m", s, m));
  OK(rp_wait(c));
  drop(m);
  drop(r);
  drop(s);
}

/* What is read is overwritten at other points: from b on, `size` elements. */
static void read_then_write(rp_context *c, int64_t size) {
  rp_store *x = zeros(c, N), *y = zeros(c, size), *a = part(x, 0, size), *b = part(x, 1, size + 1);
  OK(EVAL(c, "y, a", "y = a + 1", y, a));
  OK(EVAL(c, "b", "b = 7", b));
  OK(rp_wait(c));
  drop(x);
  drop(y);
  drop(a);
  drop(b);
}

static void rename_off(rp_context *c) { read_then_write(c, N - 1); } /* --rename off */
static void rename_small(rp_context *c) { read_then_write(c, N / 2 - 1); }

static void self_overlap(rp_context *c) {
  rp_store *x = zeros(c, N), *a = part(x, 0, N / 4), *b = part(x, 1, N / 4 + 1);
  OK(EVAL(c, "b, a", "b = a + 1", b, a));
  OK(rp_wait(c));
  drop(x);
  drop(a);
  drop(b);
}

static void copy_view(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N / 2), *a = part(x, 0, N / 2);
  OK(rp_store_copy(y, a));
  OK(rp_wait(c));
  drop(x);
  drop(y);
  drop(a);
}

/* ---- late -------------------------------------------------------------------------------------------------------- */

/* The name `t` outlives its pass and is given to a new array in the next. */
static void kept_name(rp_context *c) {
  rp_store *x = zeros(c, N), *t = NULL;
  for (int i = 0; i < 4; i++) {
    begin(c);
    drop(t);
    t = zeros(c, N);
    OK(EVAL(c, "t, x", "t = x*0.5", t, x));
    OK(EVAL(c, "x, t", "x = x - t", x, t));
    end(c);
  }
  OK(rp_wait(c)); /* the last pass waits for the next one; this comes first */
  drop(x);
  drop(t);
}

static void late_off(rp_context *c) { /* --late off: every pass from the second on might have */
  kept_name(c);
}

/* ---- ranks ------------------------------------------------------------------------------------------------------- */

static void ranks_alike(rp_context *c) { /* an array of less than --tile bytes */
  rp_store *x = zeros(c, 5000);
  increment(c, x);
  OK(rp_wait(c));
  drop(x);
}

/* Two arrays that are cut alike, until elements of both at different places are written in one kernel. */
static void ranks_move(rp_context *c) {
  rp_store *x = zeros(c, 5000), *y = zeros(c, 5000), *head, *tail;
  increment(c, x);
  increment(c, y);
  OK(rp_wait(c));
  OK(rp_store_slice(x, 0, 0, 4000, 1, &head));
  OK(rp_store_slice(y, 0, 1000, 5000, 1, &tail));
  OK(EVAL(c, "a, b", "a = a + 1; b = b + 2", head, tail));
  OK(rp_wait(c));
  double back[5000];
  OK(rp_store_read(y, back, sizeof back));
  for (int i = 0; i < 5000; i++) assert_true(back[i] == (i < 1000 ? 1 : 3));
  drop(x);
  drop(y);
  drop(head);
  drop(tail);
}

/* Two ranks have the columns for what steps along them, and rows for what takes the matrix as a line. */
static void ranks_rows(rp_context *c) {
  enum { ROWS = 6, COLUMNS = 4096, ROUNDS = 12 };
  rp_store *x, *line, *inside, *above, *below;
  OK(rp_store_create(c, RP_F64, 2, (int64_t[]){ROWS, COLUMNS}, &x));
  OK(rp_store_reshape(x, 1, (int64_t[]){ROWS * COLUMNS}, &line));
  OK(rp_store_slice(x, 0, 1, ROWS - 1, 1, &inside));
  OK(rp_store_slice(x, 0, 0, ROWS - 2, 1, &above));
  OK(rp_store_slice(x, 0, 2, ROWS, 1, &below));
  for (int i = 0; i < ROUNDS; i++) {
    OK(EVAL(c, "o, a, b", "o = 0.5*(a + b) + 1", inside, above, below));
    OK(rp_wait(c));
    OK(EVAL(c, "x", "x = x + 1", line));
    OK(rp_wait(c));
  }
  static double back[ROWS * COLUMNS];
  OK(rp_store_read(x, back, sizeof back));
  for (int i = 0; i < COLUMNS; i++) assert_true(back[i] == ROUNDS);
  drop(x);
  drop(line);
  drop(inside);
  drop(above);
  drop(below);
}

static void ranks_gather(rp_context *c) {
  rp_store *x = zeros(c, 5000), *y = zeros(c, 5000), *one;
  increment(c, x);
  OK(rp_wait(c));
  OK(rp_store_slice(x, 0, 7, 8, 1, &one));
  OK(EVAL(c, "y, x", "y = x", y, one));
  OK(rp_wait(c));
  drop(x);
  drop(y);
  drop(one);
}

#define TWO "--transport threads --ranks 2 --watchdog 20 "

/* ---- the table ------------------------------------------------------------------------------------------------------ */

/* ---- on a GPU ------------------------------------------------------------------------------------------ */

static void gpu_opaque(rp_context *c) {
  rp_store *x = zeros(c, N);
  OK(rp_launch(opaque_op(c, 0), STORES(x), 1, NULL, 0));
  OK(rp_wait(c));
  drop(x);
}

static rp_status queue_nothing(const rp_gpu_call *call) {
  (void)call;
  return RP_OK;
}

static void gpu_function(rp_context *c) {
  const rp_gpu_variant gpu = {.struct_size = sizeof gpu, .function = queue_nothing};
  rp_store *x = zeros(c, N);
  OK(rp_launch(opaque_op_on(c, 0, &gpu), STORES(x), 1, NULL, 0));
  OK(rp_wait(c));
  drop(x);
}

static void gpu_host(rp_context *c) { /* in one plan, behind a kernel */
  rp_store *x = zeros(c, N);
  increment(c, x);
  OK(rp_launch(opaque_op(c, 0), STORES(x), 1, NULL, 0));
  OK(rp_wait(c));
  drop(x);
}

/* ---- passes that repeat themselves ---- */

typedef void launches(rp_context *c, rp_store *x);

/* x, of N elements, twice again. */
static void twice(rp_context *c, launches *pass) {
  rp_store *x = zeros(c, N), *go = NULL;
  int64_t passes = 0;
  OK(rp_store_create(c, RP_BOOL, 0, NULL, &go));
  OK(rp_trace_begin(c, 1));
  pass(c, x);
  OK(EVAL(c, "go, x", "go = x[7] < 100.0", go, x));
  OK(rp_trace_repeat(c, 1, go, 2, &passes));
  assert_int_equal(passes, 2);
  drop(x);
  drop(go);
}

static void repeat_plain(rp_context *c) { twice(c, increment); }

static void repeat_refused(rp_context *c) { /* the driver has conditional nodes, and takes none */
  setenv("EMU_LOOPS", "off", 1);
  twice(c, increment);
  unsetenv("EMU_LOOPS");
}

static void by_function(rp_context *c, rp_store *x) {
  OK(rp_launch(opaque_op(c, 0), STORES(x), 1, NULL, 0));
}
static void repeat_function(rp_context *c) { twice(c, by_function); }

static rp_status set_data(const rp_gpu_call *call) {
  static int key;
  return rp_gpu_set_data(call, &key, &key, NULL);
}

static void by_record(rp_context *c, rp_store *x) {
  const rp_gpu_variant gpu = {
      .struct_size = sizeof gpu, .function = set_data, .flags = RP_GPU_QUEUES};
  OK(rp_launch(opaque_op_on(c, 0, &gpu), STORES(x), 1, NULL, 0));
}
static void gpu_record(rp_context *c) { twice(c, by_record); }

static void by_stencil(rp_context *c, rp_store *x) {
  rp_store *l = part(x, 0, N - 2), *m = part(x, 1, N - 1), *r = part(x, 2, N);
  OK(EVAL(c, "m, l, r", "m = l + r", m, l, r));
  drop(l);
  drop(m);
  drop(r);
}
static void repeat_stencil(rp_context *c) { twice(c, by_stencil); }

static void
fuse_spills(rp_context *c) { /* of eight tasks together the values are said not to fit */
  rp_store *x[9];
  for (int i = 0; i < 9; i++) x[i] = zeros(c, N);
  setenv("EMU_SPILLS", "150", 1);
  for (int i = 0; i < 8; i++) OK(EVAL(c, "y, x", "y = 2*x + y", x[i + 1], x[i]));
  OK(rp_wait(c));
  unsetenv("EMU_SPILLS");
  for (int i = 0; i < 9; i++) drop(x[i]);
}

static void gpu_beside(rp_context *c) { /* neighbours, summed */
  rp_store *x = zeros(c, 5000), *left, *right, *s;
  const double nothing = 0;
  increment(c, x);
  OK(rp_wait(c));
  OK(rp_store_scalar(c, RP_F64, &nothing, &s));
  OK(rp_store_slice(x, 0, 0, 4999, 1, &left));
  OK(rp_store_slice(x, 0, 1, 5000, 1, &right));
  OK(EVAL(c, "s, a, b", "s += a*b", s, left, right));
  OK(rp_wait(c));
  drop(x);
  drop(left);
  drop(right);
  drop(s);
}

static void gpu_lists(rp_context *c) { /* a sum that two GPUs share */
  rp_store *x = zeros(c, 5000), *s;
  const double nothing = 0;
  OK(rp_store_scalar(c, RP_F64, &nothing, &s));
  increment(c, x);
  OK(EVAL(c, "s, x", "s += x", s, x));
  OK(rp_wait(c));
  drop(x);
  drop(s);
}

static void gpu_full(rp_context *c) { /* of six arrays four fit */
  enum { ARRAYS = 6 };
  rp_store *x[ARRAYS];
  for (int i = 0; i < ARRAYS; i++) x[i] = zeros(c, 32768);
  for (int i = 0; i < ARRAYS; i++) increment(c, x[i]);
  OK(rp_wait(c));
  for (int i = 0; i < ARRAYS; i++) drop(x[i]);
}

/* A tensor of all but the first element comes back as memory of somebody else. */
static void gpu_unaligned(rp_context *c) {
  const rp_export_desc d = {.struct_size = sizeof d, .device_type = 2, .stream = -1};
  const int64_t n = 8;
  rp_store *x = check_vector(c, n, NULL), *y = check_vector(c, n - 1, NULL), *rest, *odd;
  struct DLManagedTensorVersioned *t;
  OK(rp_store_slice(x, 0, 1, n, 1, &rest));
  OK(rp_store_export_dlpack(rest, &d, &t));
  OK(rp_store_import_dlpack(c, t, -1, &odd));
  OK(EVAL(c, "y, x", "y = x + 1", y, odd));
  OK(rp_wait(c));
  rp_store *all[] = {x, y, rest, odd};
  for (int i = 0; i < 4; i++) OK(rp_store_release(all[i]));
}

/* So many operands of eight axes, which cannot be merged, that their strides do not fit the parameters. */
static void gpu_kernel(rp_context *c) {
  enum { STORES_MOST = 60, AXES = 8 };
  static const int64_t shape[AXES] = {2, 2, 2, 2, 2, 2, 2, 2};
  static const int32_t turned[AXES] = {7, 6, 5, 4, 3, 2, 1, 0};
  rp_store *x[STORES_MOST], *y = NULL;
  char params[512] = "y", body[512] = "y = 0.0";
  for (int i = 1; i < STORES_MOST; i++) {
    x[i] = check_store(c, AXES, shape, NULL);
    snprintf(params + strlen(params), sizeof params - strlen(params), ", x%d", i);
    snprintf(body + strlen(body), sizeof body - strlen(body), " + x%d", i);
  }
  rp_store *out = check_store(c, AXES, shape, NULL);
  OK(rp_store_transpose(out, turned, &y));
  x[0] = y;
  OK(rp_eval(c, params, body, x, STORES_MOST));
  OK(rp_wait(c));
  for (int i = 0; i < STORES_MOST; i++) drop(x[i]);
  drop(out);
}

typedef struct row {
  const char *code, *config;
  void (*program)(rp_context *c);
  int64_t count;
} row;

static const row table[] = {
    {"CUT_TRACE_END", "", cut_trace_end, 1},
    {"CUT_TRACE_BEGIN", "", cut_trace_begin, 1},
    {"CUT_REOPENED", "", cut_reopened, 1},
    {"CUT_READ", "", cut_read, 1},
    {"CUT_WRITE", "", cut_write, 1},
    {"CUT_WAIT", "", cut_wait, 1},
    {"CUT_SIZE", "", cut_size, 1},
    {"CUT_SIDE_EFFECT", "", cut_side_effect, 1},
    {"CUT_TASKS", "--window 2", cut_tasks, 2},
    {"CUT_CHECKPOINT", "", cut_checkpoint, 1},
    {"CUT_REPEAT", "", repeat_plain, 2},
    {"CUT_DESTROY", "--explain on", cut_destroy, 1},
    {"MISS_NEW", "", cut_wait, 1},
    {"MISS_TASK", "", miss_task, 1},
    {"MISS_SLOT", "", miss_slot, 1},
    {"MISS_VIEW", "", miss_view, 1},
    {"MISS_CLASS", "", miss_class, 1},
    {"MISS_SHORT", "", miss_short, 1},
    {"MISS_TRACING_OFF", "--tracing off", cut_wait, 1},
    {"SKELETON_GUARD", "", skeleton_guard, 1},
    {"VARIANT_LIVE", "", variant_live, 1},
    {"VARIANT_RANGE", "", bad_index, 1},
    {"FUSE_OFF", "--fusion off", two_tasks, 2},
    {"FUSE_SPACE", "", fuse_space, 1},
    {"FUSE_FLOW", "", fuse_flow, 1},
    {"FUSE_INEXACT", "", fuse_inexact, 1},
    {"FUSE_SCALAR", "", fuse_scalar, 1},
    {"FUSE_OPAQUE", "", fuse_opaque, 1},
    {"FUSE_OPERANDS", "", fuse_operands, 1},
    {"FUSE_SPILLS", GPU, fuse_spills, 1},
    {"FUSE_CHECKED", "", two_checked, 1},
    {"FUSE_MODE", "", fuse_mode, 1},
    {"RENAME_OFF", "--rename off", rename_off, 1},
    {"RENAME_SMALL", "", rename_small, 1},
    {"SELF_OVERLAP", "", self_overlap, 1},
    {"COPY_VIEW", "", copy_view, 1},
    {"LATE_OFF", "--late off", late_off, 3},
    {"LATE_OBSERVED", "", kept_name, 1},
    {"GATHER_CHECKED", "", gather_checked, 1},
    {"POISONED", "", bad_index, 1},
    {"RANKS_ALIKE", TWO "--tile 1000000", ranks_alike, 1},
    {"RANKS_MOVE", TWO "--tile 0", ranks_move, 1},
    {"RANKS_ROWS", TWO "--tile 0", ranks_rows, 1},
    {"RANKS_GATHER", TWO "--tile 0", ranks_gather, 1},
    {"GPU_OPAQUE", GPU, gpu_opaque, 1},
    {"GPU_FUNCTION", GPU, gpu_function, 1},
    {"GPU_RECORD", GPU, gpu_record, 1},
    {"GPU_KERNEL", GPU, gpu_kernel, 1},
    {"GPU_HOST", GPU, gpu_host, 1},
    {"GPU_FULL", GPU " --gpu_mb 1", gpu_full, 1},
    {"GPU_FLAG", GPU, gather_checked, 1},
    {"GPU_LISTS", GPU " --tile 0 --gpu_partials 39 --nccl " FAKE_WHOLE " " TWO, gpu_lists, 1},
    {"GPU_BESIDE", GPU " --overlap 0 --tile 0 " TWO, gpu_beside, 1},
    {"GPU_UNALIGNED", GPU, gpu_unaligned, 1},
    {"REPEAT_RANKS", TWO GPU, repeat_plain, 1},
    {"REPEAT_DRIVER", GPU " --graphs off", repeat_plain, 1},
    {"REPEAT_REFUSED", GPU, repeat_refused, 1},
    {"REPEAT_STEPS", GPU, repeat_function, 1},
    {"REPEAT_COMPILE", GPU " --tier auto", repeat_plain, 1},
    {"REPEAT_MEMORY", GPU, repeat_stencil, 1},
    {"FORGET", "--templates 3", forget, 1}};

static const struct {
  const char *code, *sentence;
} reasons[] = {
#define RPI_REASON(code, sentence) {#code, sentence},
#include "trace/reason.def"
#undef RPI_REASON
};

/* What explain writes to stderr when the context is destroyed. */
static char *last_words(rp_context *c) {
  char path[] = "/tmp/reprise-reason-XXXXXX";
  const int file = mkstemp(path), kept = dup(STDERR_FILENO);
  assert_true(file >= 0 && kept >= 0);
  fflush(stderr);
  dup2(file, STDERR_FILENO);
  const rp_status st = rp_context_destroy(c);
  fflush(stderr);
  dup2(kept, STDERR_FILENO);
  char *text = calloc(1, 1 << 16);
  const ssize_t got = pread(file, text, (1 << 16) - 1, 0);
  close(file);
  close(kept);
  unlink(path);
  OK(st);
  assert_true(got > 0);
  return text;
}

/* The count that the text gives for a reason, with its sentence behind it; 0: not there. */
static int64_t count_in(const char *text, const char *code, const char *sentence) {
  char name[64], line[256];
  int64_t count;
  const char *p = strstr(text, "\nreasons\n");
  assert_non_null(p);
  for (p = strchr(p + 1, '\n') + 1; *p == ' '; p = strchr(p, '\n') + 1) {
    assert_int_equal(sscanf(p, "%ld %63s %255[^\n]", &count, name, line), 3);
    if (strcmp(name, code) != 0) continue;
    assert_string_equal(line, sentence);
    return count;
  }
  return 0;
}

static const char *sentence_of(const char *code) {
  for (int i = 0; i < COUNT(reasons); i++)
    if (strcmp(reasons[i].code, code) == 0) return reasons[i].sentence;
  fail_msg("%s is not in trace/reason.def", code);
  return NULL;
}

/* The other rank of a row that has two. */
static void *other_rank(void *arg) {
  const row *r = arg;
  rp_context *c = check_context_of(r->config, 1);
  r->program(c);
  OK(rp_context_destroy(c));
  return NULL;
}

static void test_row(void **state) {
  const row *r = *state;
  const char *sentence = sentence_of(r->code);
  pthread_t other;
  const bool two = strstr(r->config, "--ranks");
  if (two) assert_int_equal(pthread_create(&other, NULL, other_rank, (void *)r), 0);
  rp_context *c = check_context_of(r->config, 0);
  char *before = check_explained(c);
  assert_int_equal(count_in(before, r->code, sentence), 0);
  free(before);
  r->program(c);
  const bool at_end = strstr(r->config, "--explain");
  char *after = at_end ? last_words(c) : check_explained(c);
  assert_int_equal(count_in(after, r->code, sentence), r->count);
  free(after);
  if (!at_end) OK(rp_context_destroy(c));
  if (two) pthread_join(other, NULL);
}

/* Each reason has its row, in the order of the table. */
static void test_all_reasons(void **state) {
  (void)state;
  for (int i = 0; i < COUNT(reasons); i++) {
    if (i >= COUNT(table)) fail_msg("%s has no program here", reasons[i].code);
    assert_string_equal(reasons[i].code, table[i].code);
  }
  assert_int_equal(COUNT(table), COUNT(reasons));
}

int main(void) {
  struct CMUnitTest tests[COUNT(table) + 1];
  for (int i = 0; i < COUNT(table); i++)
    tests[i] = (struct CMUnitTest){
        .name = table[i].code, .test_func = test_row, .initial_state = (void *)&table[i]};
  tests[COUNT(table)] = (struct CMUnitTest)cmocka_unit_test(test_all_reasons);
  return _cmocka_run_group_tests("reasons", tests, COUNT(tests), NULL, NULL);
}
