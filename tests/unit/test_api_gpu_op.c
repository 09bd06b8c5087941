/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_gpu_op.c -- opaque ops with a function for the GPU, which here is the emulated one: that they run
 * there between kernels without copies, what they are told, what they may ask for, how they fail. Texts of kernels:
 * test_api_gpu_text.c. */
#include "tests/support/gpu_module.h"

#define COUNT(a) ((int32_t)(sizeof(a) / sizeof(a)[0]))

/* ---- an op of two variants: y = y + a*x for two axes -------------------------------------------------- */

typedef struct blend_parameters {
  CUdeviceptr to, from;
  double a;
  int64_t keep, rows, cols, to0, to1, from0, from1;
} blend_parameters;

static const char blend_text[] =
    "struct blend { double *to; const double *from; double a; int64_t keep, rows, cols, to0, to1, "
    "from0, from1; };\n"
    "RPG_KERNEL(blend, blend) {\n"
    "  const int64_t at = (int64_t)RPG_BLOCK * RPG_THREADS + RPG_THREAD, i = at / a.cols, j = at % "
    "a.cols;\n"
    "  if (i >= a.rows) return;\n"
    "  double *const to = a.to + i * a.to0 + j * a.to1;\n"
    "  *to = (a.keep ? *to : 0) + a.a * a.from[i * a.from0 + j * a.from1];\n"
    "}\n";

static void blend_host(double *y, const double *x, double a, int64_t rows, int64_t cols, int64_t y0,
                       int64_t y1, int64_t x0, int64_t x1) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < cols; j++) y[i * y0 + j * y1] += a * x[i * x0 + j * x1];
}

/* What the functions count, and how they are to behave. */
static struct blend {
  int key;
  int made, freed, called;
  rp_status result;
  const char *sentence; /* NULL: none */
  int64_t workspace;    /* bytes, instead of what is needed; 0: that */
  rp_context *enters;   /* a call of the library is tried on it */
} blend;

static void module_free(void *data) {
  gpu_module *m = data;
  if (cu_module_unload(m->module) == CUDA_SUCCESS) blend.freed++;
  free(m);
}

/* Made at the first call in a context, then found. */
static gpu_module *module_of(const rp_gpu_call *call) {
  gpu_module *m = rp_gpu_data(call, &blend.key);
  if (m) return m;
  m = calloc(1, sizeof *m);
  if (!m || gpu_module_load(blend_text, "blend", m) != CUDA_SUCCESS ||
      rp_gpu_set_data(call, &blend.key, m, module_free)) {
    if (m && m->module) cu_module_unload(m->module);
    free(m);
    return NULL;
  }
  blend.made++;
  return m;
}

static bool launch(const rp_gpu_call *call, const gpu_module *m, const blend_parameters *p) {
  size_t bytes = sizeof *p;
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)(uintptr_t)p,
                   CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  const unsigned grid = (unsigned)((p->rows * p->cols + 63) / 64);
  return cu_launch(m->function, grid, 1, 1, 64, 1, 1, 0, call->stream, NULL, extra) == CUDA_SUCCESS;
}

/* By way of a*x in memory of its own. */
static rp_status blend_gpu(const rp_gpu_call *call) {
  const rp_gpu_store *y = call->stores[0], *x = call->stores[1];
  const int64_t rows = y->extents[0], cols = y->extents[1];
  uint64_t aside = 0;
  blend.called++;
  if (blend.enters) {
    int64_t n;
    FAILS(RP_ERR_STATE, "callback", rp_stat(blend.enters, "launches", &n));
  }
  if (blend.result != RP_OK)
    return blend.sentence ? rp_error_set(blend.result, blend.sentence) : blend.result;
  assert_int_equal(call->n_stores, 2);
  assert_int_equal(call->n_scalars, 1);
  assert_int_equal(call->device, 0);
  assert_int_equal(x->dtype, RP_F64);
  assert_int_equal(x->ndim, 2);
  const gpu_module *m = module_of(call);
  if (!m) return rp_error_set(RP_ERR_DEVICE, "there is no kernel");
  const rp_status st =
      rp_gpu_workspace(call, blend.workspace ? blend.workspace : rows * cols * 8, &aside);
  if (st != RP_OK) return st;
  assert_int_equal(aside % 256, 0);
  const blend_parameters first = {.to = aside,
                                  .from = x->address,
                                  .a = *(const double *)call->scalars[0],
                                  .rows = rows,
                                  .cols = cols,
                                  .to0 = cols,
                                  .to1 = 1,
                                  .from0 = x->strides[0],
                                  .from1 = x->strides[1]};
  const blend_parameters second = {.to = y->address,
                                   .from = aside,
                                   .a = 1,
                                   .keep = 1,
                                   .rows = rows,
                                   .cols = cols,
                                   .to0 = y->strides[0],
                                   .to1 = y->strides[1],
                                   .from0 = cols,
                                   .from1 = 1};
  return launch(call, m, &first) && launch(call, m, &second) ? RP_OK : RP_ERR_DEVICE;
}

static const int32_t blend_privileges[] = {RP_PRIV_READ_WRITE, RP_PRIV_READ};
static const rp_opaque_arg blend_args[] = {{.kind = RP_ARG_PTR, .a = 0},
                                           {.kind = RP_ARG_PTR, .a = 1},
                                           {.kind = RP_ARG_SCALAR, .a = 0},
                                           {.kind = RP_ARG_EXTENT, .a = 0, .b = 0},
                                           {.kind = RP_ARG_EXTENT, .a = 0, .b = 1},
                                           {.kind = RP_ARG_STRIDE, .a = 0, .b = 0},
                                           {.kind = RP_ARG_STRIDE, .a = 0, .b = 1},
                                           {.kind = RP_ARG_STRIDE, .a = 1, .b = 0},
                                           {.kind = RP_ARG_STRIDE, .a = 1, .b = 1}};
static const rp_constraint blend_alike = {.kind = RP_CONSTRAINT_ALIGN, .b = 1, .axis = RP_ALL_AXES};

static rp_opaque_desc blend_desc(const char *name, const rp_gpu_variant *gpu) {
  return (rp_opaque_desc){.struct_size = sizeof(rp_opaque_desc),
                          .name = name,
                          .params = "y, x, a:f64",
                          .privileges = blend_privileges,
                          .function = (void (*)(void))blend_host,
                          .args = blend_args,
                          .n_args = COUNT(blend_args),
                          .constraints = &blend_alike,
                          .n_constraints = 1,
                          .constraint_size = sizeof(rp_constraint),
                          .gpu = gpu};
}

static const rp_gpu_variant by_function = {.struct_size = sizeof by_function,
                                           .function = blend_gpu};

static rp_op *make_blend(rp_context *c, int32_t flags) {
  rp_opaque_desc d = blend_desc("blend", &by_function);
  d.flags = flags;
  memset(&blend, 0, sizeof blend);
  return check_opaque(c, &d);
}

static void apply(rp_op *op, rp_store *y, rp_store *x, double a) {
  OK(rp_launch(op, STORES(y, x), 2, (const void *const[]){&a}, 1));
}

/* rows*cols numbers. */
static rp_store *grid(rp_context *c, int64_t rows, int64_t cols) {
  double *data = malloc((size_t)(rows * cols) * sizeof *data);
  assert_non_null(data);
  for (int64_t i = 0; i < rows * cols; i++) data[i] = (double)(i % 13) - 4;
  rp_store *s = check_store(c, 2, (int64_t[]){rows, cols}, data);
  free(data);
  return s;
}

/* ---- where it runs ------------------------------------------------------------------------------------ */

enum { ROWS = 30, COLS = 20, PASSES = 6 };

/* A loop with kernels around the op, on views that lie in other ways; the sum of all. */
static double loop(rp_context *c, rp_op *op) {
  rp_store *x = grid(c, ROWS, COLS), *big = grid(c, 2 * COLS, ROWS + 3), *every, *part, *y, *s;
  OK(rp_store_slice(big, 0, 1, INT64_MAX, 2, &every));
  OK(rp_store_slice(every, 1, 2, 2 + ROWS, 1, &part));
  OK(rp_store_transpose(part, (int32_t[]){1, 0}, &y));
  OK(rp_store_create(c, RP_F64, 0, NULL, &s));
  for (int i = 0; i < PASSES; i++) {
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "x", "x = x + 1", x));
    apply(op, y, x, 0.5 * i);
    OK(EVAL(c, "y, x", "y = 0.5*y - x", y, x));
    OK(EVAL(c, "s, y", "s += y", s, y));
    OK(rp_trace_end(c, 1));
  }
  const double sum = check_scalar(s);
  rp_store *const all[] = {x, big, every, part, y, s};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  return sum;
}

static void test_between_kernels(void **state) {
  (void)state;
  rp_context *host = check_context("");
  const double want = loop(host, make_blend(host, 0));
  assert_int_equal(blend.called, 0);
  OK(rp_context_destroy(host));
  for (int i = 0; i < 2; i++) {
    rp_context *c = gpu_context("");
    rp_op *op = make_blend(c, i == 0 ? 0 : RP_OPAQUE_DENSE);
    const struct emu_counts before = counts();
    assert_true(loop(c, op) == want);
    const struct emu_counts after = counts();
    assert_int_equal(blend.called, PASSES);
    assert_int_equal(blend.made, 1);
    assert_int_equal(after.uploads - before.uploads, 2); /* what the host wrote */
    assert_int_equal(after.downloads - before.downloads, 1);
    check_explains(c, "opaque call, group 1, on the GPU", "GPU_OPAQUE");
    end(c);
    assert_int_equal(blend.freed, 1);
  }
}

/* A description as it was before there were GPUs, and one without a variant. */
static void test_old_description(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  rp_opaque_desc d = blend_desc("old", &by_function);
  d.struct_size = offsetof(rp_opaque_desc, gpu);
  memset(&blend, 0, sizeof blend);
  rp_op *op = check_opaque(c, &d);
  rp_store *x = check_store(c, 2, (int64_t[]){1, 2}, (double[]){1, 2});
  rp_store *y = check_store(c, 2, (int64_t[]){1, 2}, (double[]){10, 20});
  apply(op, y, x, 3);
  check_values(y, (double[]){13, 26});
  assert_int_equal(blend.called, 0);
  check_explains(c, "GPU_OPAQUE", "on the GPU\n");
  OK(rp_store_release(x));
  OK(rp_store_release(y));
  end(c);
}

/* ---- failures ------------------------------------------------------------------------------------------- */

static void test_function_fails(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  rp_op *op = make_blend(c, 0);
  rp_store *x = grid(c, ROWS, COLS), *y = grid(c, ROWS, COLS), *z = grid(c, ROWS, COLS);
  double v;
  blend.enters = c;
  blend.result = RP_ERR_OPAQUE;
  blend.sentence = "the moon is full";
  apply(op, y, x, 1);
  OK(EVAL(c, "z, y", "z = z + y", z, y)); /* what is made of it is poisoned, too */
  FAILS(RP_ERR_DATA, "lib.blend, launch 1 of the context, reported failure: the moon is full",
        rp_store_read_part(z, (int64_t[]){0, 0}, (int64_t[]){1, 1}, &v, sizeof v));
  FAILS(RP_ERR_DATA, "the moon is full", rp_wait(c));
  blend.enters = NULL;
  blend.sentence = NULL;
  OK(EVAL(c, "y", "y = 0", y));
  apply(op, y, x, 1);
  FAILS(RP_ERR_DATA, "reported failure: status -13",
        rp_store_read_part(y, (int64_t[]){0, 0}, (int64_t[]){1, 1}, &v, sizeof v));
  blend.result = RP_OK;
  blend.workspace = INT64_C(1) << 40;
  OK(EVAL(c, "y", "y = 0", y));
  apply(op, y, x, 1);
  FAILS(RP_ERR_DATA, "reported failure: rp_gpu_workspace: ",
        rp_store_read_part(y, (int64_t[]){0, 0}, (int64_t[]){1, 1}, &v, sizeof v));
  blend.workspace = 0;
  OK(EVAL(c, "y", "y = 3", y));
  apply(op, y, x, 1);
  OK(rp_store_read_part(y, (int64_t[]){0, 0}, (int64_t[]){1, 1}, &v, sizeof v));
  assert_true(v == -1);
  rp_store *const all[] = {x, y, z};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
  FAILS(RP_ERR_DATA, "", rp_wait(c));
  end(c);
}

static void test_declarations(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  rp_library *lib;
  rp_op *op;
  rp_gpu_variant v = by_function;
  rp_opaque_desc d = blend_desc("bad", &v);
  OK(rp_library_create(c, "lib", &lib));
  v.struct_size = 8;
  FAILS(RP_ERR_ARGUMENT, "gpu->struct_size is 8", rp_op_create_opaque(lib, &d, &op));
  v.struct_size = sizeof v + 8;
  FAILS(RP_ERR_ARGUMENT, "gpu->struct_size is", rp_op_create_opaque(lib, &d, &op));
  v = (rp_gpu_variant){.struct_size = sizeof v};
  FAILS(RP_ERR_ARGUMENT, "is given, not none", rp_op_create_opaque(lib, &d, &op));
  v.function = blend_gpu;
  v.source = "text";
  FAILS(RP_ERR_ARGUMENT, "is given, not both", rp_op_create_opaque(lib, &d, &op));
  const int32_t unbound[] = {RP_PRIV_UNBOUND, RP_PRIV_READ};
  const rp_opaque_arg count = {.kind = RP_ARG_COUNT};
  const rp_constraint room = {.kind = RP_CONSTRAINT_SCALE, .b = 1, .factor = 1};
  v = by_function;
  d.privileges = unbound;
  d.args = &count;
  d.n_args = 1;
  d.constraints = &room;
  FAILS(RP_ERR_ARGUMENT, "store 0 is unbound: such ops run on the host so far",
        rp_op_create_opaque(lib, &d, &op));
  uint64_t out = 7;
  FAILS(RP_ERR_ARGUMENT, "the call is NULL", rp_gpu_workspace(NULL, 8, &out));
  assert_int_equal(out, 0);
  FAILS(RP_ERR_ARGUMENT, "none of the library's",
        rp_gpu_set_data(&(rp_gpu_call){0}, &out, NULL, NULL));
  assert_null(rp_gpu_data(NULL, &out));
  FAILS(RP_ERR_ARGUMENT, "rp_gpu_keep: the call is NULL", rp_gpu_keep(NULL, 8, &out));
  FAILS(RP_ERR_ARGUMENT, "rp_gpu_drop: the call is NULL", rp_gpu_drop(NULL, 8));
  end(c);
}

/* What the functions may ask for, to the limits. */
static int32_t dropped;
static void drop(void *data) {
  (void)data;
  dropped++;
}

static rp_status asks(const rp_gpu_call *call) {
  static int32_t mine, other;
  uint64_t at[16], more;
  if (rp_gpu_data(call, &mine) != (dropped ? &other : NULL)) return RP_ERR_INTERNAL;
  OK(rp_gpu_set_data(call, &mine, &mine, drop));
  assert_ptr_equal(rp_gpu_data(call, &mine), &mine);
  assert_null(rp_gpu_data(call, &other));
  OK(rp_gpu_set_data(call, &mine, &other, drop)); /* the one before is dropped */
  for (int i = 0; i < 16; i++) {
    OK(rp_gpu_workspace(call, 100 * i + 1, &at[i]));
    for (int k = 0; k < i; k++) assert_true(at[k] != at[i]);
  }
  static uint64_t kept;
  if (kept) OK(rp_gpu_drop(call, kept));
  OK(rp_gpu_keep(call, 300, &kept)); /* of the last call the context's end takes it */
  for (int i = 0; i < 16; i++) assert_true(at[i] != kept);
  FAILS(RP_ERR_ARGUMENT, "nothing that was kept", rp_gpu_drop(call, at[0]));
  FAILS(RP_ERR_ARGUMENT, "rp_gpu_keep: 0 bytes", rp_gpu_keep(call, 0, &more));
  FAILS(RP_ERR_ARGUMENT, "rp_gpu_keep: out is NULL", rp_gpu_keep(call, 1, NULL));
  FAILS(RP_ERR_ARGUMENT, "more than 16 times", rp_gpu_workspace(call, 1, &more));
  FAILS(RP_ERR_ARGUMENT, "-1 bytes", rp_gpu_workspace(call, -1, &more));
  FAILS(RP_ERR_ARGUMENT, "key is NULL", rp_gpu_set_data(call, NULL, NULL, NULL));
  FAILS(RP_ERR_ARGUMENT, "out is NULL", rp_gpu_workspace(call, 1, NULL));
  return RP_OK;
}

static void test_requests(void **state) {
  (void)state;
  static const rp_gpu_variant variant = {.struct_size = sizeof variant, .function = asks};
  rp_context *c = gpu_context("");
  const rp_opaque_desc d = blend_desc("asks", &variant);
  rp_op *op = check_opaque(c, &d);
  rp_store *x = grid(c, 2, 2), *y = grid(c, 2, 2);
  int64_t live = 0;
  dropped = 0;
  for (int i = 0; i < 3; i++) {
    apply(op, y, x, 1);
    OK(rp_wait(c));
    assert_int_equal(dropped, 2 * i + 1);
    if (i > 0) assert_int_equal(check_stat(c, "gpu_memory_live"), live);
    live = check_stat(c, "gpu_memory_live");
  }
  OK(rp_store_release(x));
  OK(rp_store_release(y));
  end(c);
  assert_int_equal(dropped, 6);
}

/* ---- failures of the driver, at each of its calls */

static rp_status whole_life(void) {
  rp_context *c = NULL;
  rp_library *lib = NULL;
  rp_op *op = NULL;
  rp_store *x = NULL, *y = NULL;
  double v[8 * 8] = {0}, a = 2;
  const int64_t shape[] = {8, 8};
  const rp_opaque_desc d = blend_desc("blend", &by_function);
  memset(&blend, 0, sizeof blend);
  rp_status st = gpu_context_try("--log quiet", &c);
  if (st == RP_OK) st = rp_library_create(c, "lib", &lib);
  if (st == RP_OK) st = rp_op_create_opaque(lib, &d, &op);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 2, shape, &x);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 2, shape, &y);
  for (int i = 0; i < 3 && st == RP_OK; i++) {
    st = EVAL(c, "x", "x = x + 1", x);
    if (st == RP_OK) st = rp_launch(op, STORES(y, x), 2, (const void *const[]){&a}, 1);
    if (st == RP_OK) st = EVAL(c, "y", "y = y*2", y);
  }
  if (st == RP_OK) st = rp_store_read(y, v, sizeof v);
  if (st == RP_OK && v[63] != 2 * (2 * (2 * 2 + 4) + 6)) st = RP_ERR_INTERNAL;
  rp_store_release(x);
  rp_store_release(y);
  const rp_status last = rp_context_destroy(c);
  return st != RP_OK ? st : last;
}

static void test_each_call_fails(void **state) {
  (void)state;
  gpu_each_call_fails(whole_life, RP_ERR_DATA);
}

int main(void) {
  if (gpu_missing()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_between_kernels), cmocka_unit_test(test_old_description),
      cmocka_unit_test(test_function_fails),  cmocka_unit_test(test_declarations),
      cmocka_unit_test(test_requests),        cmocka_unit_test(test_each_call_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
