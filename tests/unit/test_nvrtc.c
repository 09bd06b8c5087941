/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_nvrtc.c -- NVIDIA's run-time compiler: cubins for several GPUs, what is reported of registers and spills,
 * texts with errors, GPUs it does not know, libraries that are none. Without the compiler it exits with 77. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "jit/nvrtc.h"

static const rpi_nvrtc *nvrtc;

/* x is scaled by y, through shared memory; unused names are not worth a word. */
static const char scale[] =
    "extern \"C\" __global__ void __launch_bounds__(256) scale(double *x, double y, int n) {\n"
    "  __shared__ double s[256];\n"
    "  int unused = 3, set; set = n;\n"
    "  for (int i = blockIdx.x * 256 + threadIdx.x; i < n; i += gridDim.x * 256) {\n"
    "    s[threadIdx.x] = x[i];\n"
    "    __syncthreads();\n"
    "    x[i] = s[255 - threadIdx.x] * y + 1.0;\n"
    "  }\n"
    "}\n";

/* An array with subscripts from memory, another with more values at a time than there are registers for. */
static const char pair[] =
    "extern \"C\" __global__ void stack(double *x, const int *m) {\n"
    "  double a[40];\n"
    "  for (int i = 0; i < 40; i++) a[i] = x[i];\n"
    "  for (int i = 0; i < 40; i++) x[i] = a[m[i]];\n"
    "}\n"
    "extern \"C\" __global__ void __launch_bounds__(1024, 2) stack_not(volatile double *x) {\n"
    "  double a[64];\n"
    "#pragma unroll\n"
    "  for (int i = 0; i < 64; i++) a[i] = x[i];\n"
    "#pragma unroll\n"
    "  for (int i = 0; i < 64; i++) x[i] = a[63 - i] + a[(i * 7) % 64];\n"
    "}\n";

static void check_says(const char *words) {
  if (!strstr(rpi_status_message(), words))
    fail_msg("\"%s\" is not in: %s", words, rpi_status_message());
}

static void test_identity(void **state) {
  (void)state;
  int major, minor;
  const rpi_nvrtc *again;
  assert_int_equal(sscanf(rpi_nvrtc_identity(nvrtc), "nvrtc %d.%d", &major, &minor), 2);
  assert_true(major >= 12);
  assert_int_equal(rpi_nvrtc_open("", &again), RP_OK);
  assert_ptr_equal(again, nvrtc);
}

static void test_knows(void **state) {
  (void)state;
  assert_true(rpi_nvrtc_knows(nvrtc, 80));
  assert_true(rpi_nvrtc_knows(nvrtc, 90));
  assert_false(rpi_nvrtc_knows(nvrtc, 13));
  assert_false(rpi_nvrtc_knows(nvrtc, 0));
}

static void test_compiles(void **state) {
  (void)state;
  static const int32_t archs[] = {80, 90, 100};
  for (int32_t i = 0; i < RPI_COUNT(archs); i++) {
    rpi_cubin c;
    rpi_nvrtc_usage u;
    if (!rpi_nvrtc_knows(nvrtc, archs[i])) continue; /* 12.x does not know 100 */
    assert_int_equal(rpi_nvrtc_compile(nvrtc, scale, archs[i], true, &c), RP_OK);
    assert_true(c.size > 500);
    assert_memory_equal(c.image, "\177ELF", 4);
    assert_true(rpi_nvrtc_usage_get(c.log, "scale", &u));
    assert_in_range(u.registers, 8, 64);
    assert_int_equal(u.shared, 2048);
    assert_int_equal(u.stack + u.spill_stores + u.spill_loads, 0);
    assert_false(rpi_nvrtc_usage_get(c.log, "scal", &u));
    assert_false(rpi_nvrtc_usage_get(c.log, "scale_", &u));
    rpi_cubin_deinit(&c);
    assert_int_equal(rpi_nvrtc_compile(nvrtc, scale, archs[i], false, &c), RP_OK);
    assert_null(c.log);
    assert_false(rpi_nvrtc_usage_get(c.log, "scale", &u));
    rpi_cubin_deinit(&c);
    assert_null(c.image);
  }
}

/* Two kernels in a text, one's name the beginning of the other's. */
static void test_usage(void **state) {
  (void)state;
  rpi_cubin c;
  rpi_nvrtc_usage a, b;
  assert_int_equal(rpi_nvrtc_compile(nvrtc, pair, 90, true, &c), RP_OK);
  assert_true(rpi_nvrtc_usage_get(c.log, "stack", &a));
  assert_true(rpi_nvrtc_usage_get(c.log, "stack_not", &b));
  assert_int_equal(a.stack, 320);
  assert_int_equal(a.spill_stores, 0);
  assert_int_equal(b.registers, 32); /* 65536 for 2048 threads */
  assert_true(b.spill_stores >= 8 * (64 - 16) && b.spill_loads >= b.spill_stores);
  assert_int_equal(a.shared + b.shared, 0);
  rpi_cubin_deinit(&c);
}

/* The log of a kernel that calls a function: the line of bytes is the kernel's own. */
static void test_usage_of_callers(void **state) {
  (void)state;
  static const char log[] =
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : Compiling entry function 'k' for 'sm_80'\n"
      "ptxas info    : Function properties for kk\n"
      "    80 bytes stack frame, 81 bytes spill stores, 82 bytes spill loads\n"
      "ptxas info    : Function properties for k\n"
      "    16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads\n"
      "ptxas info    : Used 40 registers, used 1 barriers, 96 bytes smem, 376 bytes cmem[0]\n"
      "ptxas info    : Compiling entry function 'last' for 'sm_80'\n"
      "ptxas info    : Function properties for last\n"
      "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
      "ptxas info    : Used 6 registers, 352 bytes cmem[0]\n";
  rpi_nvrtc_usage u;
  assert_true(rpi_nvrtc_usage_get(log, "k", &u));
  assert_int_equal(u.registers, 40);
  assert_int_equal(u.shared, 96);
  assert_int_equal(u.stack, 16);
  assert_int_equal(u.spill_stores, 8);
  assert_int_equal(u.spill_loads, 4);
  assert_true(rpi_nvrtc_usage_get(log, "last", &u));
  assert_int_equal(u.registers, 6);
  assert_int_equal(u.shared, 0);
  assert_false(rpi_nvrtc_usage_get(log, "kk", &u));
  assert_false(rpi_nvrtc_usage_get("", "k", &u));
}

/* The bits are a CPU's: operators mean what the functions do that round once, to nearest, and keep subnormals. */
static void test_rounding(void **state) {
  (void)state;
  static const char form[] =
      "static __device__ float add(float a, float b) { /* .ftz would flush subnormals */\n"
      "  float c;\n"
      "  asm(\"add.rn.f32 %%0, %%1, %%2;\" : \"=f\"(c) : \"f\"(a), \"f\"(b));\n"
      "  return c;\n"
      "}\n"
      "extern \"C\" __global__ void k(float *x, double *y) { x[3] = %s; y[3] = %s; }\n";
  static const char *const pairs[][4] = {
      {"x[0] * x[1] + x[2]", "y[0] * y[1] + y[2]", "__fadd_rn(__fmul_rn(x[0], x[1]), x[2])",
       "__dadd_rn(__dmul_rn(y[0], y[1]), y[2])"},
      {"x[0] + x[1]", "y[0] + y[1]", "add(x[0], x[1])", "__dadd_rn(y[0], y[1])"},
      {"x[0] / x[1]", "y[0] / y[1]", "__fdiv_rn(x[0], x[1])", "__ddiv_rn(y[0], y[1])"},
      {"sqrtf(x[0])", "sqrt(y[0])", "__fsqrt_rn(x[0])", "__dsqrt_rn(y[0])"}};
  for (int32_t i = 0; i < RPI_COUNT(pairs); i++) {
    char text[512];
    rpi_cubin a, b;
    snprintf(text, sizeof text, form, pairs[i][0], pairs[i][1]);
    assert_int_equal(rpi_nvrtc_compile(nvrtc, text, 90, false, &a), RP_OK);
    snprintf(text, sizeof text, form, pairs[i][2], pairs[i][3]);
    assert_int_equal(rpi_nvrtc_compile(nvrtc, text, 90, false, &b), RP_OK);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.image, b.image, a.size);
    rpi_cubin_deinit(&a);
    rpi_cubin_deinit(&b);
  }
}

static void test_error(void **state) {
  (void)state;
  rpi_cubin c;
  assert_int_equal(rpi_nvrtc_compile(nvrtc,
                                     "#warning first\n"
                                     "extern \"C\" __global__ void k(double *x) {\n"
                                     "  x[0] = y;\n"
                                     "}\n",
                                     90, true, &c),
                   RP_ERR_INTERNAL);
  assert_null(c.image);
  assert_null(c.log);
  check_says("sm_90");
  check_says("(3): error: identifier \"y\" is undefined");
  assert_null(strstr(rpi_status_message(), "first"));
}

static void test_unknown_arch(void **state) {
  (void)state;
  rpi_cubin c;
  assert_int_equal(rpi_nvrtc_compile(nvrtc, scale, 13, false, &c), RP_ERR_DEVICE);
  assert_null(c.image);
  check_says("sm_13");
  check_says("80, ");
}

static void test_no_library(void **state) {
  (void)state;
  const rpi_nvrtc *n = nvrtc;
  for (int32_t i = 0; i < 2; i++) {
    assert_int_equal(rpi_nvrtc_open("/nowhere/libnvrtc.so", &n), RP_ERR_DEVICE);
    assert_null(n);
    check_says("/nowhere/libnvrtc.so");
  }
  assert_int_equal(rpi_nvrtc_open("libm.so.6", &n), RP_ERR_DEVICE);
  check_says("libm.so.6 has no function nvrtc");
}

/* A folder like a toolkit's, with an emulated compiler of CUDA 12. */
static void toolkit_make(char folder[32]) {
  char path[64];
  strcpy(folder, "/tmp/toolkit-XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/lib", folder);
  assert_int_equal(mkdir(path, 0700), 0);
  snprintf(path, sizeof path, "%s/lib/libnvrtc.so.12", folder);
  assert_int_equal(symlink(getenv("RPI_EMULATED_CUDA"), path), 0);
  assert_int_equal(setenv("CUDA_HOME", folder, 1) + setenv("EMU_NVRTC", "12", 1), 0);
}

static void toolkit_remove(const char *folder) {
  char path[64];
  snprintf(path, sizeof path, "%s/lib/libnvrtc.so.12", folder);
  assert_int_equal(unlink(path), 0);
  snprintf(path, sizeof path, "%s/lib", folder);
  assert_int_equal(rmdir(path) + rmdir(folder), 0);
}

/* An older driver needs an older compiler: it is refused by the one that was named, and found if none was. */
static void test_older_driver(void **state) {
  (void)state;
  const rpi_nvrtc *n;
  char folder[32];
  assert_int_equal(rpi_nvrtc_open_for(NULL, 99000, &n), RP_OK);
  assert_ptr_equal(n, nvrtc);
  if (!getenv("RPI_EMULATED_CUDA") || strncmp(rpi_nvrtc_identity(nvrtc), "nvrtc 13", 8) != 0 ||
      dlopen("libnvrtc.so.12", RTLD_NOW))
    skip();
  assert_int_equal(rpi_nvrtc_open_for("libnvrtc.so.13", 12040, &n), RP_ERR_DEVICE);
  assert_null(n);
  check_says("nvrtc 13");
  check_says("has CUDA 12.4");
  toolkit_make(folder);
  const rp_status st = rpi_nvrtc_open_for("", 12040, &n);
  toolkit_remove(folder);
  assert_int_equal(st, RP_OK);
  assert_string_equal(rpi_nvrtc_identity(n), "nvrtc 12.0");
}

/* Each allocation fails once: a status, and nothing is left (the sanitizers look). */
static void test_memory(void **state) {
  (void)state;
  rpi_cubin c;
  rp_status st = RP_ERR_MEMORY;
  for (int32_t n = 1; st != RP_OK; n++) {
    assert_in_range(n, 1, 5);
    rpi_alloc_inject(n);
    st = rpi_nvrtc_compile(nvrtc, scale, 80, true, &c);
    rpi_alloc_inject(-1);
    if (st != RP_OK) assert_int_equal(st, RP_ERR_MEMORY);
  }
  rpi_cubin_deinit(&c);
}

static void *compile_one(void *arg) {
  rpi_cubin *c = arg;
  return rpi_nvrtc_compile(nvrtc, scale, 90, false, c) == RP_OK ? c : NULL;
}

static void test_side_by_side(void **state) {
  (void)state;
  enum { N = 3 };
  pthread_t threads[N];
  rpi_cubin cubins[N];
  for (int32_t i = 0; i < N; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, compile_one, &cubins[i]), 0);
  for (int32_t i = 0; i < N; i++) {
    void *result;
    assert_int_equal(pthread_join(threads[i], &result), 0);
    assert_non_null(result);
    assert_int_equal(cubins[i].size, cubins[0].size);
    assert_memory_equal(cubins[i].image, cubins[0].image, cubins[0].size);
  }
  for (int32_t i = 0; i < N; i++) rpi_cubin_deinit(&cubins[i]);
}

int main(void) {
  if (rpi_nvrtc_open(NULL, &nvrtc) != RP_OK) {
    printf("%s\n", rpi_status_message());
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_identity),
      cmocka_unit_test(test_knows),
      cmocka_unit_test(test_compiles),
      cmocka_unit_test(test_usage),
      cmocka_unit_test(test_usage_of_callers),
      cmocka_unit_test(test_rounding),
      cmocka_unit_test(test_error),
      cmocka_unit_test(test_unknown_arch),
      cmocka_unit_test(test_no_library),
      cmocka_unit_test(test_older_driver),
      cmocka_unit_test(test_memory),
      cmocka_unit_test(test_side_by_side),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
