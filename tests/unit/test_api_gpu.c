/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_gpu.c -- programs on a GPU, which here is the emulated one: what comes where, when, and how
 * often; errors. That results have the CPU's bits random programs show (tests/equal). */
#include "tests/support/gpu_context.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/folder.h"

static rp_store *scalar_of(rp_context *c) {
  rp_store *s = NULL;
  OK(rp_store_create(c, RP_F64, 0, NULL, &s));
  return s;
}

/* A long vector: x[i] = i mod 97. */
static rp_store *ramp(rp_context *c, int64_t n) {
  double *data = malloc((size_t)n * sizeof *data);
  assert_non_null(data);
  for (int64_t i = 0; i < n; i++) data[i] = (double)(i % 97);
  rp_store *s = check_vector(c, n, data);
  free(data);
  return s;
}

/* ---- where values are */

static void test_chain(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  rp_store *x = check_vector(c, 5, (double[]){1, 2, 3, 4, 5}), *y = check_vector(c, 5, NULL);
  OK(EVAL(c, "y, x", "y = 2*x + 1", y, x));
  OK(EVAL(c, "y", "y = y*y", y));
  check_values(y, (double[]){9, 25, 49, 81, 121});
  assert_int_equal(check_stat(c, "kernels_run"), 1);
  assert_int_equal(counts().kernels, 1);
  char *text = check_explained(c);
  assert_non_null(strstr(text, "GPU 0: "));
  assert_non_null(strstr(text, ", on the GPU in tier 1 with 32 registers, 0 bytes of spills\n"));
  free(text);
  OK(rp_store_release(x));
  OK(rp_store_release(y));
  end(c);
}

/* What is computed stays; what the host has not changed is not sent again; what it reads comes once. */
static void test_stays(void **state) {
  (void)state;
  enum { N = 50000 };
  rp_context *c = gpu_context("");
  rp_store *x = ramp(c, N), *y = check_vector(c, N, NULL), *s = scalar_of(c);
  const struct emu_counts before = counts();
  for (int i = 0; i < 5; i++) {
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "y, x", "y = y + x", y, x));
    OK(EVAL(c, "s, y", "s += y", s, y));
    OK(rp_trace_end(c, 1));
  }
  double sum = 0;
  for (int64_t i = 0; i < N; i++) sum += (double)(i % 97);
  assert_true(check_scalar(s) == sum * 15);
  assert_true(check_scalar(s) == sum * 15);
  const struct emu_counts after = counts();
  assert_int_equal(after.uploads - before.uploads, 1);
  assert_in_range(after.download_bytes - before.download_bytes, 8, 64);
  OK(rp_store_release(x));
  OK(rp_store_release(y));
  OK(rp_store_release(s));
  end(c);
}

/* One element of a long array comes alone; a write of a part keeps the rest. */
static void test_parts(void **state) {
  (void)state;
  enum { N = 3000 };
  rp_context *c = gpu_context("");
  rp_store *x = ramp(c, N);
  OK(EVAL(c, "x", "x = x + 1", x));
  const struct emu_counts before = counts();
  double v;
  OK(rp_store_read_part(x, (int64_t[]){100}, (int64_t[]){101}, &v, sizeof v));
  assert_true(v == 4);
  assert_int_equal(counts().download_bytes - before.download_bytes, 8);
  OK(rp_store_write_part(x, (int64_t[]){7}, (int64_t[]){8}, (double[]){-5}, sizeof v));
  OK(EVAL(c, "x", "x = 2*x", x));
  OK(rp_store_read_part(x, (int64_t[]){7}, (int64_t[]){8}, &v, sizeof v));
  assert_true(v == -10);
  OK(rp_store_read_part(x, (int64_t[]){8}, (int64_t[]){9}, &v, sizeof v));
  assert_true(v == 18);
  OK(rp_store_release(x));
  end(c);
}

/* A C function in the middle of a segment runs on the host, and its array goes there and back. */
static void test_function(void **state) {
  (void)state;
  rp_context *c = gpu_context("");
  rp_op *op = gpu_add_one(c);
  rp_store *x = check_vector(c, 3, (double[]){1, 2, 3});
  for (int i = 0; i < 4; i++) {
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "x", "x = 2*x", x));
    OK(rp_launch(op, STORES(x), 1, NULL, 0));
    OK(EVAL(c, "x", "x = 3*x", x));
    OK(rp_trace_end(c, 1));
  }
  check_values(x, (double[]){6 * (6 * (6 * 9 + 3) + 3) + 3, 6 * (6 * (6 * 15 + 3) + 3) + 3,
                             6 * (6 * (6 * 21 + 3) + 3) + 3});
  char *text = check_explained(c);
  assert_non_null(strstr(text, "GPU_OPAQUE"));
  free(text);
  OK(rp_store_release(x));
  end(c);
}

/* ---- replays */

/* From the third run on launches are one graph; two buffers in turns have a graph each; a scalar that changes is a changed
 * node. */
static void test_graph(void **state) {
  (void)state;
  enum { N = 2500, PASSES = 12 };
  rp_context *c = gpu_context("");
  rp_store *u = ramp(c, N), *v = check_vector(c, N, NULL), *s = scalar_of(c), *a[2], *b[2];
  OK(rp_store_slice(u, 0, 1, N - 1, 1, &a[0]));
  OK(rp_store_slice(v, 0, 1, N - 1, 1, &b[0]));
  OK(rp_store_slice(u, 0, 2, N, 1, &a[1]));
  OK(rp_store_slice(v, 0, 2, N, 1, &b[1]));
  for (int i = 0; i < PASSES; i++) {
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "b, a, r", "b = 0.5*(a + r)", b[0], a[0], a[1]));
    OK(EVAL(c, "a, b, r", "a = 0.5*(b + r)", a[0], b[0], b[1]));
    OK(EVAL(c, "s, a", "s += a", s, a[0]));
    OK(EVAL(c, "a, s", "a = a - s/1000000", a[0], s));
    OK(rp_trace_end(c, 1));
  }
  OK(rp_wait(c));
  const struct emu_counts n = counts();
  assert_in_range(n.graph_launches, PASSES - 4, PASSES);
  assert_in_range(n.graph_instantiations, 1, 4);
  assert_int_equal(check_stat(c, "gpu_graphs"), n.graph_launches);
  for (int i = 0; i < 2; i++) {
    OK(rp_store_release(a[i]));
    OK(rp_store_release(b[i]));
  }
  OK(rp_store_release(u));
  OK(rp_store_release(v));
  OK(rp_store_release(s));
  end(c);
}

/* x becomes 1, where it is, through a graph of several launches; `out` is the sum. */
static rp_status pass_through(rp_context *c, rp_store *x, rp_store *s, double *out) {
  const double none = 0;
  rp_status st = rp_store_fill(s, &none);
  if (st == RP_OK) st = rp_trace_begin(c, 1);
  if (st == RP_OK) st = EVAL(c, "x", "x = x + 1", x);
  if (st == RP_OK) st = EVAL(c, "s, x", "s += x", s, x);
  if (st == RP_OK) st = EVAL(c, "x, s", "x = x/s", x, s);
  if (st == RP_OK) st = EVAL(c, "s, x", "s min= x", s, x);
  if (st == RP_OK) st = EVAL(c, "x, s", "x = x/s", x, s);
  if (st == RP_OK) st = rp_trace_end(c, 1);
  return st == RP_OK ? rp_store_read(s, out, sizeof *out) : st;
}

/* More arrays in turns than graphs, so their nodes change; where the i-th call of a pass fails, a change among them, the
 * pass is done without the graph or the context ends. Whether some changes were not made and it went on. */
enum { CHANGES = 3 };

static bool goes_on(int64_t i) {
  enum { N = 2000, ARRAYS = 7 };
  rp_context *c = gpu_context("--log quiet");
  rp_store *x[ARRAYS], *s = scalar_of(c);
  double got = 0;
  for (int k = 0; k < ARRAYS; k++) x[k] = check_vector(c, N, NULL);
  for (int k = 0; k < 2 * ARRAYS; k++) OK(pass_through(c, x[k % ARRAYS], s, &got));
  const int64_t updated = counts().nodes_updated;
  assert_true(updated >= CHANGES);
  emu_fail(i, CUDA_ERROR_OUT_OF_MEMORY);
  rp_status st = pass_through(c, x[0], s, &got);
  emu_fail(0, CUDA_SUCCESS);
  const bool whole = counts().nodes_updated - updated == CHANGES;
  for (int k = 0; k < 2 * ARRAYS && st == RP_OK; k++) {
    if (got != 1.0 / N) fail_msg("call %lld, pass %d: %.17g", (long long)i, k, got);
    st = pass_through(c, x[ARRAYS - 1 - k % ARRAYS], s, &got);
  }
  for (int k = 0; k < ARRAYS; k++) OK(rp_store_release(x[k]));
  OK(rp_store_release(s));
  end(c);
  return st == RP_OK && !whole;
}

static void test_changed_nodes(void **state) {
  (void)state;
  int went_on = 0;
  for (int64_t i = 1; i <= 40; i++) went_on += goes_on(i);
  assert_in_range(went_on, CHANGES, 40);
}

/* ---- memory */

/* Six arrays of 256 KiB where four fit: all keep their values. */
static void test_spill(void **state) {
  (void)state;
  enum { N = 32768, ARRAYS = 6 };
  rp_context *c = gpu_context("--gpu_mb 1");
  rp_store *x[ARRAYS];
  for (int i = 0; i < ARRAYS; i++) x[i] = ramp(c, N);
  for (int pass = 0; pass < 3; pass++)
    for (int i = 0; i < ARRAYS; i++) {
      OK(EVAL(c, "x", "x = x + 1", x[i]));
      if (pass < 2) OK(rp_wait(c)); /* and then all of them in one segment */
    }
  for (int i = 0; i < ARRAYS; i++) {
    double v;
    OK(rp_store_read_part(x[i], (int64_t[]){96}, (int64_t[]){97}, &v, sizeof v));
    assert_true(v == 99);
  }
  assert_in_range(check_stat(c, "gpu_spilled"), 3, 100);
  char *text = check_explained(c);
  assert_non_null(strstr(text, "GPU_FULL"));
  free(text);
  for (int i = 0; i < ARRAYS; i++) OK(rp_store_release(x[i]));
  end(c);
}

/* One launch needs more than there is. */
static void test_too_large(void **state) {
  (void)state;
  rp_context *c = gpu_context("--gpu_mb 1");
  rp_store *x = check_vector(c, 100000, NULL), *y = check_vector(c, 100000, NULL);
  OK(EVAL(c, "y, x", "y = x + 1", y, x));
  FAILS(RP_ERR_MEMORY, "on the GPU", rp_wait(c));
  /* What fits goes on. */
  rp_store *z = check_vector(c, 3, (double[]){1, 2, 3});
  OK(EVAL(c, "z", "z = z + 1", z));
  check_values(z, (double[]){2, 3, 4});
  OK(rp_store_release(x));
  OK(rp_store_release(y));
  OK(rp_store_release(z));
  end(c);
}

/* ---- registers */

/* Eight tasks on nine arrays. */
static void steps(rp_context *c, rp_store **x) {
  OK(rp_trace_begin(c, 1));
  for (int i = 0; i < 8; i++) OK(EVAL(c, "y, x", "y = 2*x + y", x[i + 1], x[i]));
  OK(rp_trace_end(c, 1));
}

/* A kernel that spills is made of fewer tasks: at once where its compiler is waited for, else when it is known. */
static void test_spilling_kernel(void **state) {
  (void)state;
  const folder_name f = folder_make(); /* no kernel but the interpreter is on its disk */
  rp_store *x[9];
  setenv("EMU_SPILLS", "150", 1);
  for (int k = -1; k < 2; k++) {
    char more[2 * FOLDER_PATH];
    snprintf(more, sizeof more, "--tier %s --cache_dir %s",
             k < 0    ? "0"
             : k == 0 ? "auto"
                      : "1",
             k < 1 ? f.path : "none");
    rp_context *c = gpu_context(more);
    for (int i = 0; i < 9; i++) x[i] = check_vector(c, 3, (double[]){1, 2, i});
    steps(c, x);
    OK(rp_wait(c));
    assert_int_equal(check_stat(c, "kernels_run"), k == 1 ? 2 : 1);
    OK(rp_wait_compiled(c));
    const int64_t before = check_stat(c, "kernels_run");
    steps(c, x);
    OK(rp_wait(c));
    assert_int_equal(check_stat(c, "kernels_run") - before, k < 0 ? 1 : 2);
    check_values(x[1], (double[]){5, 10, 1});
    check_values(x[2], (double[]){17, 34, 6});
    for (int i = 0; i < 9; i++) OK(rp_store_release(x[i]));
    end(c);
  }
  unsetenv("EMU_SPILLS");
  folder_remove(f.path);
}

/* ---- what cannot be had */

static void test_missing(void **state) {
  (void)state;
  rp_context *c = NULL;
  char config[9000];
  FAILS(RP_ERR_DEVICE, "/nowhere/libcuda.so",
        rp_context_create("--gpus 1 --cuda /nowhere/libcuda.so", &c));
  FAILS(RP_ERR_CONFIG, "cuda is \"none\"", rp_context_create("--gpus 1 --cuda none", &c));
  snprintf(config, sizeof config, "--gpus 1 --cuda %s --gpu 3", gpu_library());
  FAILS(RP_ERR_CONFIG, "gpu: 3, but there are 1", rp_context_create(config, &c));
  snprintf(config, sizeof config, "--gpus 1 --cuda %s --nvrtc /nowhere/libnvrtc.so", gpu_library());
  FAILS(RP_ERR_DEVICE, "/nowhere/libnvrtc.so", rp_context_create(config, &c));
  assert_int_equal(setenv("EMU_DRIVER", "12040", 1), 0); /* another path, and so another driver */
  snprintf(config, sizeof config, "--gpus 1 --cuda /proc/self/root%s --nvrtc %s --cache_dir none",
           gpu_library(), gpu_library());
  FAILS(RP_ERR_DEVICE, "too old to load: it has CUDA 12.4", rp_context_create(config, &c));
  assert_int_equal(unsetenv("EMU_DRIVER"), 0);
  OK(rp_context_create("--cuda /nowhere/libcuda.so", &c)); /* nobody asked for one */
  OK(rp_context_destroy(c));
  snprintf(config, sizeof config, "--cuda %s --nvrtc /nowhere/libnvrtc.so --cache_dir none",
           gpu_library());
  OK(rp_context_create(config, &c)); /* there is one, and nothing to make kernels with */
  assert_int_equal(rp_context_gpus(c), 0);
  OK(rp_context_destroy(c));
  emu_check_empty();
}

/* A child of fork has no GPU once its parent has used one: who asks for one is told so, others compute on the host. */
static int child(void) {
  rp_context *c = NULL;
  char config[9000];
  if (gpu_context_try("", &c) != RP_ERR_DEVICE || !strstr(rp_last_error(), "was forked from"))
    return 1;
  snprintf(config, sizeof config, "--cuda %s --nvrtc %s --tier 0 --threads 1 --cache_dir none",
           gpu_library(), gpu_library());
  if (rp_context_create(config, &c) != RP_OK) return 2;
  return rp_context_gpus(c) == 0 && rp_context_destroy(c) == RP_OK ? 0 : 3;
}

static void test_fork(void **state) {
  (void)state;
  int status = -1;
  rp_context *c = gpu_context("");
  const pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(child());
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  end(c);
}

/* ---- kernels on disk */

static void test_second_process(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    rp_context *c = gpu_context("");
    rp_store *x = check_vector(c, 4, (double[]){1, 2, 3, 4});
    OK(EVAL(c, "x", "x = x*x*x - 7", x));
    check_values(x, (double[]){-6, 1, 20, 57});
    if (i == 1) assert_int_equal(check_stat(c, "gpu_compiles"), 0);
    if (i == 1) assert_in_range(check_stat(c, "gpu_disk_hits"), 1, 8);
    OK(rp_store_release(x));
    end(c);
  }
}

/* ---- failures of the driver, at each of its calls */

/* A program that meets all of it; its first status that is not RP_OK. */
static rp_status whole_life(void) {
  rp_context *c = NULL;
  rp_store *x = NULL, *y = NULL, *s = NULL;
  double v = 0;
  const int64_t n = 2000;
  rp_status st = gpu_context_try("--log quiet", &c);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 1, &n, &x);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 1, &n, &y);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 0, NULL, &s);
  for (int i = 0; i < 5 && st == RP_OK; i++) {
    st = rp_trace_begin(c, 1);
    if (st == RP_OK) st = EVAL(c, "x", "x = x + 1", x);
    if (st == RP_OK) st = EVAL(c, "s, x", "s += x", s, x);
    if (st == RP_OK) st = EVAL(c, "y, x, s", "y = x*s", y, x, s);
    if (st == RP_OK) st = EVAL(c, "s, y", "s min= y", s, y);
    if (st == RP_OK) st = rp_trace_end(c, 1);
  }
  if (st == RP_OK) st = rp_store_read(s, &v, sizeof v);
  if (st == RP_OK && !(v > 0)) st = RP_ERR_INTERNAL;
  rp_store_release(x);
  rp_store_release(y);
  rp_store_release(s);
  const rp_status last = rp_context_destroy(c);
  return st != RP_OK ? st : last;
}

static void test_each_call_fails(void **state) {
  (void)state;
  gpu_each_call_fails(whole_life, RP_OK);
}

int main(void) {
  if (gpu_missing()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_chain),           cmocka_unit_test(test_stays),
      cmocka_unit_test(test_parts),           cmocka_unit_test(test_function),
      cmocka_unit_test(test_graph),           cmocka_unit_test(test_changed_nodes),
      cmocka_unit_test(test_spill),           cmocka_unit_test(test_too_large),
      cmocka_unit_test(test_missing),         cmocka_unit_test(test_fork),
      cmocka_unit_test(test_second_process),  cmocka_unit_test(test_spilling_kernel),
      cmocka_unit_test(test_each_call_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
