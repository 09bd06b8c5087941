/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_gpu_tiers.c -- kernels on an emulated GPU in tier 0 and tier 1: who waits for the compiler, what is on the
 * disk afterwards, and what comes of a compiler that is missing or fails. */
#include "tests/support/api_check.h"
#include "tests/support/folder.h"

#include "tests/emulator/emu.h"

static char library[4096];

static rp_context *context(const char *folder, const char *nvrtc, const char *more) {
  char config[9000];
  rp_context *c = NULL;
  snprintf(config, sizeof config,
           "--gpus 1 --cuda %s --nvrtc %s --threads 1 --pin off --cc none --log quiet --cache_dir "
           "%s %s",
           library, nvrtc, folder, more);
  OK(rp_context_create(config, &c));
  return c;
}

static void end(rp_context *c) {
  OK(rp_context_destroy(c));
  emu_check_empty();
}

/* One kernel on 1, 2, 3: the first result. */
static void work(rp_context *c, const char *body, double first) {
  rp_store *x = check_vector(c, 3, (double[]){1, 2, 3});
  OK(EVAL(c, "x", body, x));
  double got[3];
  OK(rp_store_read(x, got, sizeof got));
  assert_true(got[0] == first);
  OK(rp_store_release(x));
}

static void test_tier_0(void **state) {
  (void)state;
  const folder_name f = folder_make();
  for (int i = 0; i < 2; i++) {
    struct emu_counts before, after;
    emu_counts(&before);
    rp_context *c = context(f.path, library, "--tier 0");
    work(c, "x = 2*x + 1", 3);
    work(c, "x = x*x - 4", -3);
    emu_counts(&after);
    assert_int_equal(check_stat(c, "gpu_kernels"), 2);
    assert_int_equal(check_stat(c, "gpu_interpreted"), 2);
    char *text = check_explained(c);
    assert_non_null(strstr(text, ", on the GPU in tier 0\n"));
    free(text);
    assert_int_equal(check_stat(c, "gpu_compiles"), 0);
    assert_int_equal(after.compiles - before.compiles, i == 0); /* the interpreter */
    end(c);
  }
  folder_remove(f.path);
}

/* The first kernel is waited for, those behind the interpreter are not, and all are on the disk at last. */
static void test_auto(void **state) {
  (void)state;
  const folder_name f = folder_make();
  rp_context *c = context(f.path, library, "");
  work(c, "x = 2*x + 1", 3);
  assert_int_equal(check_stat(c, "gpu_interpreted"), 0);
  assert_int_equal(check_stat(c, "gpu_compiles"), 1);
  OK(rp_wait_compiled(c));
  work(c, "x = x*x - 4", -3);
  assert_int_equal(check_stat(c, "gpu_interpreted"), 1);
  OK(rp_wait_compiled(c));
  assert_int_equal(check_stat(c, "gpu_compiles"), 2);
  work(c, "x = x*x - 4", -3);
  end(c);
  c = context(f.path, library, "");
  work(c, "x = x*x - 4", -3);
  work(c, "x = x/2", 0.5);
  assert_int_equal(check_stat(c, "gpu_disk_hits"), 1);
  assert_int_equal(check_stat(c, "gpu_interpreted"), 1);
  end(c);
  folder_remove(f.path);
}

/* A loop that is replayed as graphs goes over to compiled kernels in the middle. */
static void test_graph(void **state) {
  (void)state;
  const folder_name f = folder_make();
  rp_context *c = context(f.path, library, "--tier 0");
  work(c, "x = x + 9", 10);
  end(c);
  c = context(f.path, library, "");
  const int64_t n = 3000;
  rp_store *x = check_vector(c, n, NULL), *s = NULL;
  double want = 0;
  OK(rp_store_create(c, RP_F64, 0, NULL, &s));
  for (int i = 0; i < 24; i++) {
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "x", "x = x + 1", x));
    OK(EVAL(c, "s, x", "s += x", s, x));
    OK(EVAL(c, "x, s", "x = x + s*0", x, s));
    OK(rp_trace_end(c, 1));
    want += (double)(n * (i + 1));
    if (i == 12) OK(rp_wait_compiled(c));
  }
  double got;
  OK(rp_store_read(s, &got, sizeof got));
  assert_true(got == want);
  assert_in_range(check_stat(c, "gpu_interpreted"), 1, 9);
  assert_int_equal(check_stat(c, "gpu_compiles"), check_stat(c, "gpu_interpreted"));
  assert_in_range(check_stat(c, "gpu_graphs"), 1, 100);
  OK(rp_store_release(x));
  OK(rp_store_release(s));
  end(c);
  folder_remove(f.path);
}

static void test_no_compiler(void **state) {
  (void)state;
  const folder_name f = folder_make();
  rp_context *c = context(f.path, "none", "");
  rp_store *x = check_vector(c, 3, NULL);
  double got[3];
  OK(EVAL(c, "x", "x = x + 1", x));
  FAILS(RP_ERR_DEVICE, "the cache has no interpreter for sm_", rp_store_read(x, got, sizeof got));
  OK(rp_store_release(x));
  end(c);
  char config[9000];
  snprintf(config, sizeof config, "--gpus 1 --cuda %s --nvrtc /nowhere/libnvrtc.so --cache_dir %s",
           library, f.path);
  FAILS(RP_ERR_DEVICE, "/nowhere/libnvrtc.so", rp_context_create(config, &c));
  c = context(f.path, library, "--tier 0");
  work(c, "x = x + 1", 2);
  end(c);
  for (int i = 0; i < 4; i++) { /* now there is one */
    c = context(f.path, i % 2 ? "none" : "/nowhere/libnvrtc.so", i < 2 ? "" : "--tier 0");
    work(c, "x = x + 1", 2);
    assert_int_equal(check_stat(c, "gpu_interpreted"), 1);
    OK(rp_wait_compiled(c));
    work(c, "x = x + 1", 2);
    end(c);
  }
  folder_remove(f.path);
}

/* A compile that fails in the background leaves the kernel in tier 0; nobody hears of it but the log. */
static void test_failing_compile(void **state) {
  (void)state;
  const folder_name f = folder_make();
  rp_context *c = context(f.path, library, "--tier 0");
  work(c, "x = x + 1", 2);
  end(c);
  c = context(f.path, library, "");
  emu_fail_compile(1, EMU_NVRTC_COMPILATION);
  work(c, "x = 3*x", 3);
  OK(rp_wait_compiled(c));
  work(c, "x = 3*x", 3);
  assert_int_equal(check_stat(c, "gpu_interpreted"), 1);
  assert_int_equal(check_stat(c, "gpu_compiles"), 1);
  end(c);
  folder_remove(f.path);
}

/* A context that ends while its kernels are compiled. */
static void test_early_end(void **state) {
  (void)state;
  const folder_name f = folder_make();
  for (int i = 0; i < 3; i++) {
    char body[40];
    rp_context *c = context(f.path, library, "");
    for (int k = 0; k < 3; k++) {
      snprintf(body, sizeof body, "x = x*%d + %d", 3 + i, 5 + k);
      work(c, body, 8 + i + k);
    }
    end(c);
  }
  folder_remove(f.path);
}

int main(void) {
  const char *path = getenv("RPI_EMULATED_CUDA");
  if (!path) {
    fprintf(stderr, "RPI_EMULATED_CUDA is not set\n");
    return 77;
  }
  snprintf(library, sizeof library, "%s", path);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tier_0),          cmocka_unit_test(test_auto),
      cmocka_unit_test(test_graph),           cmocka_unit_test(test_no_compiler),
      cmocka_unit_test(test_failing_compile), cmocka_unit_test(test_early_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
