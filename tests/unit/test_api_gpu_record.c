/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_gpu_record.c -- functions for the (emulated) GPU whose work is recorded, and queued again without a call:
 * in graphs and in passes that repeat themselves, with memory of their own, until it cannot be. Functions that are called
 * each time: test_api_gpu_op.c. */
#include "tests/support/gpu_module.h"

enum {
  N = 40,
  PASSES = 12,
  FIRST = 2 /* that are not graphs */,
  FORMS = 4,
  REMADE = 16,
  LAUNCHES = 4
};

/* ---- y = y/2 + a*x, by way of a*x in memory that the call borrows -------------------------------------- */

typedef struct parameters {
  CUdeviceptr to, from;
  double a, keep;
  int64_t n;
} parameters;

static const char blend_text[] =
    "struct blend { double *to; const double *from; double a, keep; int64_t n; };\n"
    "RPG_KERNEL(blend, blend) {\n"
    "  const int64_t i = (int64_t)RPG_BLOCK * RPG_THREADS + RPG_THREAD;\n"
    "  if (i < a.n) a.to[i] = (a.keep != 0 ? a.keep * a.to[i] : 0) + a.a * a.from[i];\n"
    "}\n";

static void blend_host(double *y, const double *x, double a, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = 0.5 * y[i] + a * x[i];
}

typedef enum habit { GOOD, WAITS, SETS, LARGE } habit;
static habit now; /* what the function does beside its work */
static int32_t called;

static void module_free(void *data) {
  cu_module_unload(((gpu_module *)data)->module);
  free(data);
}

static gpu_module *module_of(const rp_gpu_call *call) {
  static int key;
  gpu_module *m = rp_gpu_data(call, &key);
  if (m) return m;
  m = calloc(1, sizeof *m);
  if (m && gpu_module_load(blend_text, "blend", m) == CUDA_SUCCESS &&
      rp_gpu_set_data(call, &key, m, module_free) == RP_OK)
    return m;
  if (m && m->module) cu_module_unload(m->module);
  free(m);
  return NULL;
}

static rp_status launch(const rp_gpu_call *call, const gpu_module *m, const parameters *p) {
  size_t bytes = sizeof *p;
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)(uintptr_t)p,
                   CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  const unsigned grid = (unsigned)((p->n + 63) / 64);
  return cu_launch(m->function, grid, 1, 1, 64, 1, 1, 0, call->stream, NULL, extra) == CUDA_SUCCESS
             ? RP_OK
             : rp_error_set(RP_ERR_DEVICE, "cuLaunchKernel");
}

static rp_status blend_gpu(const rp_gpu_call *call) {
  static int other;
  const int64_t n = call->stores[0]->extents[0];
  const double a = *(const double *)call->scalars[0];
  const uint64_t y = call->stores[0]->address, x = call->stores[1]->address;
  const int64_t large = (int64_t)65 << 20;
  uint64_t aside = 0, more = 0;
  called++;
  if (now == WAITS && cu_stream_wait(call->stream) != CUDA_SUCCESS) return RP_ERR_DEVICE;
  if (now == SETS && rp_gpu_set_data(call, &other, &other, NULL) != RP_OK) return RP_ERR_STATE;
  const gpu_module *m = module_of(call);
  if (!m) return rp_error_set(RP_ERR_DEVICE, "there is no kernel");
  rp_status st = rp_gpu_workspace(call, now == LARGE ? large : 8 * n, &aside);
  if (st == RP_OK) st = rp_gpu_workspace(call, 16, &more);
  if (st == RP_OK && more == aside) st = RP_ERR_INTERNAL;
  if (st == RP_OK) st = launch(call, m, &(parameters){aside, x, a, 0, n});
  return st == RP_OK ? launch(call, m, &(parameters){y, aside, 1, 0.5, n}) : st;
}

static rp_status make(rp_context *c, rp_op **op) {
  static const int32_t privileges[] = {RP_PRIV_READ_WRITE, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {{.kind = RP_ARG_PTR, .a = 0},
                                       {.kind = RP_ARG_PTR, .a = 1},
                                       {.kind = RP_ARG_SCALAR, .a = 0},
                                       {.kind = RP_ARG_SIZE, .a = 0}};
  static const rp_gpu_variant gpu = {
      .struct_size = sizeof gpu, .function = blend_gpu, .flags = RP_GPU_QUEUES};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "blend",
                            .params = "y, x, a:f64",
                            .privileges = privileges,
                            .function = (void (*)(void))blend_host,
                            .args = args,
                            .n_args = 4,
                            .flags = RP_OPAQUE_DENSE,
                            .gpu = &gpu};
  rp_library *lib = NULL;
  const rp_status st = rp_library_create(c, "lib", &lib);
  return st == RP_OK ? rp_op_create_opaque(lib, &d, op) : st;
}

/* ---- a loop with kernels on both sides ---- */

typedef struct stores {
  rp_store *x, *y, *s, *n, *go;
} stores;

static rp_status first(rp_context *c, stores *s) {
  const int64_t n = N;
  *s = (stores){0};
  rp_status st = rp_store_create(c, RP_F64, 1, &n, &s->x);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 1, &n, &s->y);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 0, NULL, &s->s);
  if (st == RP_OK) st = rp_store_create(c, RP_I64, 0, NULL, &s->n);
  return st == RP_OK ? rp_store_create(c, RP_BOOL, 0, NULL, &s->go) : st;
}

static const char usual[] = "go = n < 30", soon[] = "go = n < 6";

static rp_status pass(rp_context *c, rp_op *op, const stores *s, double a, const char *go) {
  rp_status st = EVAL(c, "x", "x = 0.5*x + index(0)", s->x);
  if (st == RP_OK) st = rp_launch(op, STORES(s->y, s->x), 2, (const void *const[]){&a}, 1);
  if (st == RP_OK) st = EVAL(c, "s, y", "s += y", s->s, s->y);
  if (st == RP_OK) st = EVAL(c, "n", "n = n + 1", s->n);
  return st == RP_OK ? EVAL(c, "go, n", go, s->go, s->n) : st;
}

static void last(const stores *s, double *out) {
  rp_store *const all[] = {s->x, s->y, s->s, s->n, s->go};
  if (out) OK(rp_store_read(s->y, out, N * sizeof *out));
  for (int i = 0; i < 5; i++) (void)rp_store_release(all[i]);
}

/* Passes of which each begins a trace, with `kinds` scalars in turn. */
static void play(rp_context *c, int32_t passes, int32_t kinds, double *out) {
  rp_op *op;
  stores s;
  OK(make(c, &op));
  OK(first(c, &s));
  for (int32_t i = 0; i < passes; i++) {
    OK(rp_trace_begin(c, 1));
    OK(pass(c, op, &s, 0.25 * (1 + i % kinds), usual));
    OK(rp_trace_end(c, 1));
  }
  last(&s, out);
}

static void repeat(rp_context *c, double *out) {
  rp_op *op;
  stores s;
  OK(make(c, &op));
  OK(first(c, &s));
  OK(rp_trace_begin(c, 1));
  OK(pass(c, op, &s, 0.25, usual));
  OK(rp_trace_repeat(c, 1, s.go, 100, NULL));
  last(&s, out);
}

static void test_graph(void **state) {
  (void)state;
  static double want[N], got[N];
  for (int32_t kinds = 1; kinds <= 2; kinds++) {
    rp_context *host = check_context(""), *c = gpu_context("");
    play(host, PASSES, kinds, want);
    called = 0;
    const struct emu_counts before = counts();
    play(c, PASSES, kinds, got);
    const struct emu_counts after = counts();
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(after.graph_launches - before.graph_launches, PASSES - FIRST);
    assert_int_equal(after.launches - before.launches, FIRST * LAUNCHES + 2 * kinds);
    assert_int_equal(after.kernels - before.kernels, PASSES * LAUNCHES);
    /* Once for each scalar, and twice when its memory was not there yet. */
    assert_int_equal(called, FIRST + kinds + 2);
    check_explains(c, NULL, "in no graph");
    OK(rp_context_destroy(host));
    end(c);
  }
}

/* Always other work: graphs are made anew so many times, and no more. */
static void test_changes(void **state) {
  (void)state;
  static double want[N], got[N];
  enum { MANY = FIRST + FORMS + REMADE + 6 };
  rp_context *host = check_context(""), *c = gpu_context("");
  play(host, MANY, MANY, want);
  const struct emu_counts before = counts();
  play(c, MANY, MANY, got);
  assert_memory_equal(got, want, sizeof want);
  assert_in_range(counts().graph_instantiations - before.graph_instantiations, FORMS + REMADE,
                  FORMS + REMADE + 1);
  check_explains(c, "GPU_RECORD", NULL);
  check_explains(c, "on the GPU, in no graph\n", NULL);
  OK(rp_context_destroy(host));
  end(c);
}

static void test_repeat(void **state) {
  (void)state;
  static double want[N], got[N];
  rp_context *host = check_context(""), *c = gpu_context("");
  repeat(host, want);
  called = 0;
  repeat(c, got);
  assert_memory_equal(got, want, sizeof want);
  assert_int_equal(check_stat(c, "loops"), 1);
  assert_in_range(check_stat(c, "loop_passes"), 25, 29);
  assert_in_range(called, 2, 8);
  OK(rp_context_destroy(host));
  end(c);
}

/* What cannot be recorded is called each time, as ever. */
static void test_loose(void **state) {
  (void)state;
  static double want[N], got[N];
  static const habit habits[] = {WAITS, SETS, LARGE};
  rp_context *host = check_context("");
  play(host, PASSES, 1, want);
  for (int i = 0; i < 3; i++) {
    rp_context *c = gpu_context("--log quiet");
    now = habits[i];
    called = 0;
    play(c, PASSES, 1, got);
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(called, PASSES + 1);
    check_explains(c, "GPU_RECORD", NULL);
    end(c);
    c = gpu_context("--log quiet");
    repeat(c, got);
    check_explains(c, "REPEAT_STEPS", NULL);
    check_explains(c, "GPU_RECORD", NULL);
    end(c);
    now = GOOD;
  }
  OK(rp_context_destroy(host));
}

static void test_declarations(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  rp_gpu_variant v = {.struct_size = sizeof v, .function = blend_gpu, .flags = 2};
  const int32_t privileges[] = {RP_PRIV_READ_WRITE};
  const rp_opaque_arg arg = {.kind = RP_ARG_PTR};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "bad",
                            .params = "y",
                            .privileges = privileges,
                            .function = (void (*)(void))blend_host,
                            .args = &arg,
                            .n_args = 1,
                            .gpu = &v};
  rp_library *lib;
  rp_op *op;
  OK(rp_library_create(c, "lib", &lib));
  FAILS(RP_ERR_ARGUMENT, "op bad: gpu->flags is 2", rp_op_create_opaque(lib, &d, &op));
  v = (rp_gpu_variant){.struct_size = sizeof v, .source = "", .entry = "e", .flags = RP_GPU_QUEUES};
  FAILS(RP_ERR_ARGUMENT, "gpu->flags is 1, of a text", rp_op_create_opaque(lib, &d, &op));
  end(c);
}

/* ---- failures of the driver, at each of its calls */

static rp_status whole_life(void) {
  rp_context *c = NULL;
  rp_op *op = NULL;
  stores s = {0};
  double v = 0;
  rp_status st = gpu_context_try("--log quiet", &c);
  if (st == RP_OK) st = make(c, &op);
  if (st == RP_OK) st = first(c, &s);
  for (int32_t i = 0; i < FIRST + 1 && st == RP_OK; i++) {
    st = rp_trace_begin(c, 1);
    if (st == RP_OK) st = pass(c, op, &s, 0.25 * (1 + i), soon);
    if (st == RP_OK) st = rp_trace_end(c, 1);
    if (st == RP_OK) st = rp_store_read(s.s, &v, sizeof v);
  }
  if (st == RP_OK) st = rp_trace_begin(c, 2);
  if (st == RP_OK) st = pass(c, op, &s, 1, soon);
  if (st == RP_OK) st = rp_trace_repeat(c, 2, s.go, 100, NULL);
  if (st == RP_OK) st = rp_store_read(s.s, &v, sizeof v);
  last(&s, NULL);
  const rp_status end = rp_context_destroy(c);
  static double right;
  if (right == 0) right = v;
  if (st == RP_OK && v != right) st = RP_ERR_INTERNAL;
  return st != RP_OK ? st : end;
}

static void test_each_call_fails(void **state) {
  (void)state;
  OK(whole_life()); /* kernels are on the disk */
  gpu_each_call_fails(whole_life, RP_ERR_DATA);
}

int main(void) {
  if (!gpu_library()) {
    fprintf(stderr, "RPI_EMULATED_CUDA is not set\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_graph),        cmocka_unit_test(test_changes),
      cmocka_unit_test(test_repeat),       cmocka_unit_test(test_loose),
      cmocka_unit_test(test_declarations), cmocka_unit_test(test_each_call_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
