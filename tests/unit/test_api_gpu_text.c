/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_gpu_text.c -- opaque ops with the text of a kernel for the GPU, which here is the emulated one: its
 * parameters and launches, alone and in graphs, where it is kept, how it is refused; that the real compiler takes it. */
#include "tests/support/gpu_context.h"
#include "tests/support/gpu_members.h"

#include "jit/nvrtc.h"

#define COUNT(a) ((int32_t)(sizeof(a) / sizeof(a)[0]))

enum { PASSES = 12, FIRST = 2 /* that are not graphs */, FORMS = 4 /* of a graph */ };

/* ---- kernels' texts --------------------------------------------------------------------------------------- */

/* y = k*x + (up ? 1000 : 0) in places of y's own stride; g gets the launch's geometry. As it is for a GPU, and as the
 * emulated one takes it. */
static const char scale_text[] =
    "#ifdef RPG_HOST\n"
    "struct scale { double *y; const double *x; int32_t k; double a; bool up; int64_t n, sy, sx, "
    "*g, four; };\n"
    "RPG_KERNEL(scale, scale) {\n"
    "  double *const y = a.y; const double *const x = a.x; const int k = a.k; const double f = "
    "a.a;\n"
    "  const bool up = a.up; const long long n = a.n, sy = a.sy, sx = a.sx, four = a.four;\n"
    "  int64_t *const g = a.g;\n"
    "  const int thread = RPG_THREAD, threads = RPG_THREADS, block = RPG_BLOCK, blocks = "
    "RPG_BLOCKS;\n"
    "#else\n"
    "extern \"C\" __global__ void scale(double *y, const double *x, int k, double f, bool up, long "
    "long "
    "n,\n"
    "                                 long long sy, long long sx, long long *g, long long four) {\n"
    "  const int thread = threadIdx.x, threads = blockDim.x, block = blockIdx.x, blocks = "
    "gridDim.x;\n"
    "#endif\n"
    "  const long long from = ((long long)block * threads + thread) * four;\n"
    "  for (long long i = from; i < n && i < from + four; i++)\n"
    "    y[i * sy] = k * f * x[i * sx] + (up ? 1000 : 0);\n"
    "  if (from == 0) { g[0] = blocks; g[1] = threads; }\n"
    "}\n";

static void scale_host(double *y, int64_t ys, const double *x, int64_t xs, int64_t n, int32_t k,
                       double a, bool up) {
  for (int64_t i = 0; i < n; i++) y[i * ys] = k * a * x[i * xs] + (up ? 1000 : 0);
}

enum { THREADS = 64, FOUR = 4 };
static const rp_opaque_arg scale_args[] = {
    {.kind = RP_ARG_PTR, .a = 0},    {.kind = RP_ARG_STRIDE, .a = 0},
    {.kind = RP_ARG_PTR, .a = 1},    {.kind = RP_ARG_STRIDE, .a = 1},
    {.kind = RP_ARG_SIZE, .a = 1},   {.kind = RP_ARG_SCALAR, .a = 0},
    {.kind = RP_ARG_SCALAR, .a = 1}, {.kind = RP_ARG_SCALAR, .a = 2}};
static const rp_opaque_arg kernel_args[] = {
    {.kind = RP_ARG_PTR, .a = 0},    {.kind = RP_ARG_PTR, .a = 1},
    {.kind = RP_ARG_SCALAR, .a = 0}, {.kind = RP_ARG_SCALAR, .a = 1},
    {.kind = RP_ARG_SCALAR, .a = 2}, {.kind = RP_ARG_EXTENT, .a = 1},
    {.kind = RP_ARG_STRIDE, .a = 0}, {.kind = RP_ARG_STRIDE, .a = 1},
    {.kind = RP_ARG_PTR, .a = 2},    {.kind = RP_ARG_CONST, .value = FOUR}};
static const rp_gpu_variant by_text = {.struct_size = sizeof by_text,
                                       .source = scale_text,
                                       .entry = "scale",
                                       .args = kernel_args,
                                       .n_args = COUNT(kernel_args),
                                       .block = THREADS,
                                       .store = 1,
                                       .per_thread = FOUR};

static rp_opaque_desc scale_desc(const char *name, const rp_gpu_variant *gpu) {
  static const int32_t privileges[] = {RP_PRIV_WRITE, RP_PRIV_READ, RP_PRIV_READ_WRITE};
  return (rp_opaque_desc){.struct_size = sizeof(rp_opaque_desc),
                          .name = name,
                          .params = "y, x, k:i32, a:f64, up:bool, g",
                          .privileges = privileges,
                          .function = (void (*)(void))scale_host,
                          .args = scale_args,
                          .n_args = COUNT(scale_args),
                          .gpu = gpu};
}

static rp_status scale(rp_op *op, rp_store *y, rp_store *x, rp_store *g, int32_t k, double a,
                       bool up) {
  return rp_launch(op, STORES(y, x, g), 3, (const void *const[]){&k, &a, &up}, 3);
}

/* A loop with kernels around the op, on every other element backwards; the sum of all, and the geometry. */
static double scale_loop(rp_context *c, rp_op *op, int64_t n, int64_t geometry[2]) {
  double *data = calloc((size_t)n, sizeof *data);
  assert_non_null(data);
  for (int64_t i = 0; i < n; i++) data[i] = (double)(i % 31);
  rp_store *x = check_vector(c, n, data), *w = check_vector(c, 2 * n, NULL), *y, *s, *g;
  free(data);
  OK(rp_store_slice(w, 0, INT64_MAX, INT64_MIN, -2, &y));
  OK(rp_store_create(c, RP_F64, 0, NULL, &s));
  OK(rp_store_create(c, RP_I64, 1, (int64_t[]){2}, &g));
  for (int32_t i = 0; i < PASSES; i++) {
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "x", "x = x + 1", x));
    OK(scale(op, y, x, g, i - 2, 0.25, i % 2));
    OK(EVAL(c, "s, w", "s += w", s, w));
    OK(rp_trace_end(c, 1));
  }
  const double sum = check_scalar(s);
  OK(rp_store_read(g, geometry, 2 * sizeof *geometry));
  rp_store *const all[] = {x, w, y, s, g};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  return sum;
}

static void test_text(void **state) {
  (void)state;
  enum { N = 3 * THREADS * FOUR + 1 };
  int64_t geometry[2];
  rp_context *host = check_context("");
  rp_opaque_desc d = scale_desc("scale", &by_text);
  const double want = scale_loop(host, check_opaque(host, &d), N, geometry);
  OK(rp_context_destroy(host));
  for (int i = 0; i < 2; i++) {
    rp_context *c = gpu_context("");
    rp_op *op = check_opaque(c, &d);
    if (i == 1) assert_int_equal(check_stat(c, "gpu_compiles"), 0); /* it is on the disk */
    d.name = "again";
    check_opaque(c, &d);
    d.name = "scale";
    assert_int_equal(check_stat(c, "gpu_kernels"), 1);
    const struct emu_counts before = counts();
    assert_true(scale_loop(c, op, N, geometry) == want);
    const struct emu_counts after = counts();
    assert_int_equal(after.uploads - before.uploads, 1);
    assert_int_equal(after.downloads - before.downloads, 2);
    assert_int_equal(after.launches - before.launches, 3 * FIRST);
    assert_int_equal(after.kernels - before.kernels, 3 * PASSES);
    assert_int_equal(after.graph_launches - before.graph_launches, PASSES - FIRST);
    assert_int_equal(after.graph_instantiations - before.graph_instantiations, FORMS);
    assert_int_equal(after.nodes_updated - before.nodes_updated, PASSES - FIRST - FORMS);
    assert_int_equal(geometry[0], 4);
    assert_int_equal(geometry[1], THREADS);
    check_explains(c, "on the GPU\n", "GPU_OPAQUE");
    end(c);
  }
}

/* Threads for some axes only; none for no elements. */
static void test_text_geometry(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  rp_gpu_variant v = by_text;
  rp_opaque_desc d = scale_desc("rows", &v);
  v.axes = 2;
  v.per_thread = 0;
  rp_op *op = check_opaque(c, &d);
  rp_store *x = check_store(c, 2, (int64_t[]){1000, 3 * THREADS}, NULL), *g, *none;
  rp_store *y = check_store(c, 2, (int64_t[]){1000, 3 * THREADS}, NULL);
  int64_t geometry[2];
  OK(rp_store_create(c, RP_I64, 1, (int64_t[]){2}, &g));
  OK(rp_store_slice(x, 1, 0, 0, 1, &none));
  OK(scale(op, y, x, g, 1, 1, false));
  OK(rp_store_read(g, geometry, sizeof geometry));
  assert_int_equal(geometry[0], 3);
  v.axes = 0;
  v.per_thread = INT64_MAX; /* more than there can be: a thread for all */
  d.name = "all";
  OK(scale(check_opaque(c, &d), y, x, g, 1, 1, false));
  OK(rp_store_read(g, geometry, sizeof geometry));
  assert_int_equal(geometry[0], 1);
  const struct emu_counts before = counts();
  OK(scale(op, y, none, g, 1, 1, false));
  OK(rp_wait(c));
  assert_int_equal(counts().kernels - before.kernels, 0);
  rp_store *const all[] = {x, y, g, none};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  end(c);
}

/* ---- in graphs ---- */

/* Kernels and texts on `most` vectors in turn, which come out in `out`. */
static rp_status turns(rp_context *c, rp_op *op, int32_t most, int64_t n, double *out) {
  rp_store *v[MOST], *g, *s;
  for (int32_t i = 0; i < most; i++) TRY(rp_store_create(c, RP_F64, 1, &n, &v[i]));
  TRY(rp_store_create(c, RP_I64, 1, (int64_t[]){2}, &g));
  TRY(rp_store_create(c, RP_F64, 0, NULL, &s));
  for (int32_t i = 0; i < 2 * PASSES; i++) {
    rp_store *a = v[i % most], *b = v[(i + 1) % most];
    TRY(rp_trace_begin(c, 1));
    TRY(EVAL(c, "a", "a = a + index(0)", a));
    TRY(scale(op, b, a, g, 1, 0.5, false));
    TRY(EVAL(c, "s, b", "s += b", s, b));
    TRY(EVAL(c, "a, s", "a = a - 0.001*s", a, s));
    TRY(scale(op, b, a, g, 3, 0.25, true));
    TRY(rp_trace_end(c, 1));
  }
  for (int32_t i = 0; i < most; i++) TRY(rp_store_read(v[i], out + i * n, (size_t)n * sizeof *out));
  for (int32_t i = 0; i < most; i++) TRY(rp_store_release(v[i]));
  TRY(rp_store_release(g));
  return rp_store_release(s);
}

/* Few sets of addresses have a graph each; of more of them the nodes change. */
static void test_graph_memory(void **state) {
  (void)state;
  enum { N = 700, LAUNCHES = 5 };
  static double want[MOST * N], got[MOST * N];
  const rp_opaque_desc d = scale_desc("scale", &by_text);
  for (int32_t most = 2; most <= MOST; most += MOST - 2) {
    rp_context *host = check_context(""), *c = gpu_context("");
    OK(turns(host, check_opaque(host, &d), most, N, want));
    rp_op *op = check_opaque(c, &d);
    const struct emu_counts before = counts();
    OK(turns(c, op, most, N, got));
    const struct emu_counts after = counts();
    const int64_t graphs = after.graph_launches - before.graph_launches;
    assert_memory_equal(got, want, sizeof *got * (size_t)(most * N));
    assert_int_equal(after.kernels - before.kernels, 2 * PASSES * LAUNCHES);
    assert_int_equal(after.launches - before.launches, (2 * PASSES - graphs) * LAUNCHES);
    assert_in_range(graphs, 2 * PASSES - 2 * FIRST, 2 * PASSES);
    assert_in_range(after.graph_instantiations - before.graph_instantiations, 1, FORMS);
    assert_int_equal(after.nodes_updated > before.nodes_updated, most > FORMS);
    OK(rp_context_destroy(host));
    end(c);
  }
}

enum { LENGTH = 4000, TWO = 2 };

static rp_status turns_of_rank(member *m) {
  const rp_opaque_desc d = scale_desc("scale", &by_text);
  rp_library *lib;
  rp_op *op;
  TRY(rp_library_create(m->ctx, "lib", &lib));
  TRY(rp_op_create_opaque(lib, &d, &op));
  TRY(turns(m->ctx, op, TWO, LENGTH, m->out));
  TRY(rp_stat(m->ctx, "gpu_graphs", &m->stat[0]));
  return rp_stat(m->ctx, "kernels_shared", &m->stat[1]);
}

/* Each rank launches it on all elements: in a graph where kernels do, too, and behind what others have of them. */
static void test_graph_on_ranks(void **state) {
  (void)state;
  member alone, all[MOST];
  run(&alone, 1, "--threads 1 --gpus 0", turns_of_rank, TWO * LENGTH);
  all_fine(&alone, 1);
  for (int32_t shared = 0; shared < 2; shared++) {
    members_on_gpus(all, 2, "--tier 1", shared ? "" : "--tile 1000000", turns_of_rank,
                    TWO * LENGTH);
    same_as(&alone, all, 2);
    for (int32_t r = 0; r < 2; r++) {
      assert_int_equal(all[r].stat[1] > 0, shared);
      if (!shared) assert_in_range(all[r].stat[0], 2 * PASSES - 2 * FIRST, 2 * PASSES);
    }
    forget(all, 2);
    emu_check_empty();
  }
  forget(&alone, 1);
}

static rp_status queue_nothing(const rp_gpu_call *call) {
  (void)call;
  return RP_OK;
}

/* An op among four kernels; from the third pass on so many kernels are launched alone, and so many by one graph. */
static void among(rp_context *c, rp_op *op, rp_store *from, int64_t alone, int64_t in_graph) {
  rp_store *x = check_vector(c, 300, NULL), *y = check_vector(c, 300, NULL), *g, *s;
  struct emu_counts before = counts();
  OK(rp_store_create(c, RP_I64, 1, (int64_t[]){2}, &g));
  OK(rp_store_create(c, RP_F64, 0, NULL, &s));
  for (int32_t i = 0; i < PASSES; i++) {
    if (i == FIRST) before = counts();
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "x", "x = x + 1", x));
    OK(scale(op, y, from ? from : x, g, 1, 2, false));
    for (int32_t k = 0; k < 3; k++) {
      OK(EVAL(c, "s, x", "s += x", s, x));
      OK(EVAL(c, "x, s", "x = x - s/1000", x, s));
    }
    OK(rp_trace_end(c, 1));
  }
  const double sum = check_scalar(s);
  const struct emu_counts after = counts();
  assert_true(sum != 0);
  assert_int_equal(after.launches - before.launches, alone * (PASSES - FIRST));
  assert_int_equal(after.kernels - before.kernels, (alone + in_graph) * (PASSES - FIRST));
  assert_int_equal(after.graph_launches - before.graph_launches, PASSES - FIRST);
  rp_store *const all[] = {x, y, g, s};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
}

/* A text without elements is no launch, and no end of the graph. */
static void test_graph_of_nothing(void **state) {
  (void)state;
  rp_context *c = gpu_context("--late off");
  const rp_opaque_desc d = scale_desc("scale", &by_text);
  rp_op *op = check_opaque(c, &d);
  rp_store *x = check_vector(c, 5, NULL), *none;
  OK(rp_store_slice(x, 0, 3, 3, 1, &none));
  among(c, op, none, 0, 4);
  among(c, op, NULL, 0, 5);
  check_explains(c, "on the GPU\n", "GPU_FUNCTION");
  OK(rp_store_release(x));
  OK(rp_store_release(none));
  end(c);
}

/* What functions queue is in no graph, and neither is what cannot be launched: the kernels behind it make one. */
static void test_graph_ends(void **state) {
  (void)state;
  const rp_gpu_variant function = {.struct_size = sizeof function, .function = queue_nothing};
  rp_gpu_variant v = by_text;
  rp_context *c = gpu_context("--late off --log quiet");
  rp_opaque_desc d = scale_desc("function", &function);
  among(c, check_opaque(c, &d), NULL, 1, 3);
  check_explains(c, "on the GPU, in no graph\n", NULL);
  check_explains(c, "GPU_FUNCTION", NULL);
  end(c);
  c = gpu_context("--late off --log quiet");
  rp_store *one = check_vector(c, 1, NULL), *much;
  OK(rp_store_broadcast(one, 1, (int64_t[]){INT64_C(1) << 31}, &much));
  d = scale_desc("much", &v);
  v.block = v.per_thread = 1;
  among(c, check_opaque(c, &d), much, 1, 3);
  FAILS(RP_ERR_DATA, "scale would run in 2147483648 blocks of 1 threads", rp_wait(c));
  check_explains(c, "on the GPU, in no graph\n", NULL);
  check_explains(c, "GPU_FUNCTION", NULL);
  OK(rp_store_release(one));
  OK(rp_store_release(much));
  end(c);
}

static void test_bad_texts(void **state) {
  (void)state;
  rp_context *c = gpu_context("--log quiet");
  rp_library *lib;
  rp_op *op;
  rp_gpu_variant v = by_text;
  rp_opaque_desc d = scale_desc("bad", &v);
  OK(rp_library_create(c, "lib", &lib));
  v.source =
      "struct scale { int n; };\nRPG_KERNEL(scale, scale) {\n  nothing_of_the_kind();\n  ?\n}\n";
  FAILS(RP_ERR_BODY, "op lib.bad: nvrtc 13.0 does not compile", rp_op_create_opaque(lib, &d, &op));
  FAILS(RP_ERR_BODY, "text:4:", rp_op_create_opaque(lib, &d, &op));
  v.source = scale_text;
  v.entry = "scales";
  FAILS(RP_ERR_BODY, "the text has no kernel scales", rp_op_create_opaque(lib, &d, &op));
  v.entry = NULL;
  FAILS(RP_ERR_ARGUMENT, "gpu->entry is NULL", rp_op_create_opaque(lib, &d, &op));
  v.entry = "scale";
  v.block = 1025;
  FAILS(RP_ERR_ARGUMENT, "gpu->block is 1025", rp_op_create_opaque(lib, &d, &op));
  v.block = 0;
  v.store = 3;
  FAILS(RP_ERR_ARGUMENT, "gpu->store is store 3 of 3", rp_op_create_opaque(lib, &d, &op));
  v.store = 0;
  v.axes = 1 << RP_MAX_DIM;
  FAILS(RP_ERR_ARGUMENT, "gpu->axes is 256", rp_op_create_opaque(lib, &d, &op));
  v.axes = 0;
  v.per_thread = -1;
  FAILS(RP_ERR_ARGUMENT, "gpu->per_thread is -1", rp_op_create_opaque(lib, &d, &op));
  v.per_thread = 0;
  v.n_args = -1;
  FAILS(RP_ERR_ARGUMENT, "gpu: op bad: n_args is -1", rp_op_create_opaque(lib, &d, &op));
  const rp_opaque_arg wrong = {.kind = RP_ARG_SCALAR, .a = 3};
  v.args = &wrong;
  v.n_args = 1;
  FAILS(RP_ERR_ARGUMENT, "gpu: op bad: args[0].a is scalar 3 of 3",
        rp_op_create_opaque(lib, &d, &op));
  v = by_text;
  OK(rp_op_create_opaque(lib, &d, &op)); /* none of that is left */
  end(c);
  c = gpu_context("--nvrtc none --cache_dir none");
  OK(rp_library_create(c, "lib", &lib));
  FAILS(RP_ERR_DEVICE, "no compiler (knob nvrtc)", rp_op_create_opaque(lib, &d, &op));
  end(c);
}

/* The text that a GPU gets is one to its compiler, if that is here. */
static void test_real_compiler(void **state) {
  (void)state;
  const rpi_nvrtc *nvrtc;
  rpi_cubin cubin;
  if (rpi_nvrtc_open(NULL, &nvrtc) != RP_OK) skip();
  OK(rpi_nvrtc_compile(nvrtc, scale_text, 90, true, &cubin));
  rpi_nvrtc_usage usage;
  assert_true(rpi_nvrtc_usage_get(cubin.log, "scale", &usage));
  rpi_cubin_deinit(&cubin);
}

/* ---- failures of the driver, at each of its calls */

static rp_status one_pass(rp_context *c, rp_op *op, rp_store *const s[3], int32_t k) {
  const double a = 2;
  const bool up = true;
  rp_status st = rp_trace_begin(c, 1);
  if (st == RP_OK) st = EVAL(c, "x", "x = x + 1", s[1]);
  if (st == RP_OK) st = rp_launch(op, s, 3, (const void *const[]){&k, &a, &up}, 3);
  if (st == RP_OK) st = EVAL(c, "y", "y = y + 1", s[0]);
  return st == RP_OK ? rp_trace_end(c, 1) : st;
}

/* A text alone, in a graph for each of its scalars, and in one that is changed. */
static rp_status whole_life(void) {
  rp_context *c = NULL;
  rp_library *lib = NULL;
  rp_op *op = NULL;
  rp_store *x = NULL, *y = NULL, *g = NULL;
  const int64_t n = 100, two = 2;
  const int32_t passes = FIRST + FORMS + 1;
  double v[100] = {0};
  const rp_opaque_desc d = scale_desc("scale", &by_text);
  rp_status st = gpu_context_try("--late off --log quiet", &c);
  if (st == RP_OK) st = rp_library_create(c, "lib", &lib);
  if (st == RP_OK) st = rp_op_create_opaque(lib, &d, &op);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 1, &n, &x);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 1, &n, &y);
  if (st == RP_OK) st = rp_store_create(c, RP_I64, 1, &two, &g);
  for (int32_t i = 1; i <= passes && st == RP_OK; i++) st = one_pass(c, op, STORES(y, x, g), i);
  if (st == RP_OK) st = rp_store_read(y, v, sizeof v);
  if (st == RP_OK && v[99] != 2 * passes * passes + 1001) st = RP_ERR_INTERNAL;
  rp_store_release(x);
  rp_store_release(y);
  rp_store_release(g);
  const rp_status last = rp_context_destroy(c);
  return st != RP_OK ? st : last;
}

static void test_each_call_fails(void **state) {
  (void)state;
  const struct emu_counts before = counts();
  OK(whole_life());
  const struct emu_counts after = counts();
  assert_int_equal(after.graph_launches - before.graph_launches, FORMS + 1);
  assert_int_equal(after.nodes_updated - before.nodes_updated, 1);
  gpu_each_call_fails(whole_life, RP_OK);
}

int main(void) {
  if (gpu_missing()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text),
      cmocka_unit_test(test_text_geometry),
      cmocka_unit_test(test_graph_memory),
      cmocka_unit_test(test_graph_on_ranks),
      cmocka_unit_test(test_graph_of_nothing),
      cmocka_unit_test(test_graph_ends),
      cmocka_unit_test(test_bad_texts),
      cmocka_unit_test(test_real_compiler),
      cmocka_unit_test(test_each_call_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
