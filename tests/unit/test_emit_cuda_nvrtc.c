/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_emit_cuda_nvrtc.c -- CUDA texts compile for the GPUs of three generations, those of the benchmarks'
 * kernels to at most 64 registers and nothing spilled. Without NVRTC nothing is tested. */
#include "jit/gpu_check.h"
#include "jit/nvrtc.h"
#include "tests/support/cuda_bench.h"
#include "tests/support/cuda_kernels.h"
#include "tests/support/kernel_random.h"

enum { REGISTERS = 64 };

static const int32_t archs[] = {80, 90, 100};
static const rpi_nvrtc *nvrtc;

static int open_nvrtc(void **state) {
  (void)state;
  if (rpi_nvrtc_open(NULL, &nvrtc) != RP_OK) {
    print_message("%s: CUDA texts are not compiled\n", rpi_status_message());
    nvrtc = NULL;
  }
  return 0;
}

/* Compiles the kernel; what it takes, of its body. */
static rpi_nvrtc_usage compiled(const rpi_ir *ir, rpi_cuda_shape shape, int32_t arch) {
  rpi_strbuf text;
  rpi_cubin cubin;
  rpi_nvrtc_usage usage = {0};
  rpi_strbuf_init(&text);
  assert_int_equal(rpi_emit_cuda(&(rpi_cuda_unit){ir, "0123", shape}, 1, &text), RP_OK);
  if (rpi_nvrtc_compile(nvrtc, rpi_strbuf_str(&text), arch, true, &cubin) != RP_OK)
    fail_msg("sm_%d: %s", arch, rpi_status_message());
  assert_true(cubin.size > 0);
  assert_true(rpi_nvrtc_usage_get(cubin.log, "rpk_main_0123", &usage));
  if (strstr(cubin.log, "warning")) fail_msg("%s", cubin.log);
  rpi_cubin_deinit(&cubin);
  rpi_strbuf_deinit(&text);
  return usage;
}

/* Aligned and not, narrow and wide. */
static void check(const char *name, const char *source) {
  rpi_ir ir;
  if (rpi_ir_parse(source, &ir) != RP_OK || rpi_ir_check(&ir) != RP_OK)
    fail_msg("%s: %s", name, rpi_status_message());
  for (int32_t i = 0; i < 4 * RPI_COUNT(archs); i++) {
    const rpi_cuda_shape shape = {.wide = i & 1, .aligned = i & 2 ? UINT64_MAX : 0};
    const int32_t arch = archs[i / 4];
    if (!rpi_nvrtc_knows(nvrtc, arch)) continue;
    const rpi_nvrtc_usage u = compiled(&ir, shape, arch);
    if (u.registers > REGISTERS || u.spill_stores + u.spill_loads > 0)
      fail_msg("%s for sm_%d, form %d: %d registers, %d and %d bytes of spills", name, arch, i % 4,
               u.registers, u.spill_stores, u.spill_loads);
  }
  rpi_ir_deinit(&ir);
}

static void test_benchmarks(void **state) {
  (void)state;
  if (!nvrtc) skip();
  check("black_scholes", kernel_black_scholes);
  check("stencil", kernel_stencil);
  check("multiply", kernel_multiply);
  check("update", kernel_update);
  check("direction", kernel_direction);
}

/* Random kernels, with all that the emitter has a form for. */
static void test_random(void **state) {
  (void)state;
  if (!nvrtc) skip();
  bench_seed = 46;
  for (int32_t i = 0; i < 12; i++) {
    bench *b = malloc(sizeof *b);
    random_kernel(b, i % 2);
    const rpi_cuda_shape shape = {.wide = i % 3 == 0, .aligned = i % 4 ? UINT64_MAX : 0};
    compiled(&b->ir, shape, archs[i % RPI_COUNT(archs)]);
    bench_free(b);
    free(b);
  }
}

/* What sets a graph's condition is the driver's, so the cubin is whole without it. */
static void test_loop(void **state) {
  (void)state;
  if (!nvrtc) skip();
  for (int32_t i = 0; i < RPI_COUNT(archs); i++) {
    rpi_strbuf text;
    rpi_cubin cubin;
    if (!rpi_nvrtc_knows(nvrtc, archs[i])) continue;
    rpi_strbuf_init(&text);
    assert_int_equal(rpi_gpu_check_text(&text), RP_OK);
    if (rpi_nvrtc_compile(nvrtc, rpi_strbuf_str(&text), archs[i], true, &cubin) != RP_OK)
      fail_msg("sm_%d: %s", archs[i], rpi_status_message());
    assert_int_equal(memcmp(cubin.image,
                            "\x7f"
                            "ELF",
                            4),
                     0);
    if (strstr(cubin.log, "warning")) fail_msg("%s", cubin.log);
    rpi_cubin_deinit(&cubin);
    rpi_strbuf_deinit(&text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_benchmarks),
                                     cmocka_unit_test(test_random), cmocka_unit_test(test_loop)};
  return cmocka_run_group_tests(tests, open_nvrtc, NULL);
}
