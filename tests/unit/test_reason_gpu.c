/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_reason_gpu.c -- test_reason.c for the lines that a GPU, here the emulated one, gives. */
#include "tests/support/reasons.h"

#define GPU "--gpus 1 --tier 1 --cc none --cuda " RPI_EMULATED_CUDA " --nvrtc " RPI_EMULATED_CUDA

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

/* ---- the table ---- */

static const row table[] = {
    {"FUSE_SPILLS", GPU, fuse_spills, 1},
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
    {"REPEAT_MEMORY", GPU, repeat_stencil, 1}};

int main(void) { return run_reasons(table, COUNT(table), true); }
