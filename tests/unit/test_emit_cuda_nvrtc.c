/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_emit_cuda_nvrtc.c -- CUDA texts compile for the GPUs of three generations, those of the benchmarks'
 * kernels to at most 64 registers, or 32 or 48 where more warps are wanted, and nothing spilled. Without NVRTC nothing is tested. */
#include "jit/gpu_check.h"
#include "jit/nvrtc.h"
#include "tests/support/cuda_bench.h"
#include "tests/support/cuda_kernels.h"
#include "tests/support/kernel_random.h"

enum { REGISTERS = 64, FIVE_BLOCKS = 48, EIGHT_BLOCKS = 32 };

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

/* Kernels in one text: what they share is compiled once. */
enum { UNITS = 20 };
typedef struct sheet {
  int32_t n;
  const char *name[UNITS];
  char hex[UNITS][8];
  rpi_cuda_unit unit[UNITS];
  rpi_nvrtc_usage usage[UNITS]; /* of its body */
} sheet;

static void add(sheet *s, const char *name, const rpi_ir *ir, rpi_cuda_shape shape) {
  const int32_t i = s->n++;
  assert_true(i < UNITS);
  s->name[i] = name;
  snprintf(s->hex[i], sizeof s->hex[i], "%04x", (unsigned)i);
  s->unit[i] = (rpi_cuda_unit){ir, s->hex[i], shape};
}

static void compile(sheet *s, int32_t arch) {
  rpi_strbuf text;
  rpi_cubin cubin;
  rpi_strbuf_init(&text);
  assert_int_equal(rpi_emit_cuda(s->unit, s->n, &text), RP_OK);
  if (rpi_nvrtc_compile(nvrtc, rpi_strbuf_str(&text), arch, true, &cubin) != RP_OK)
    fail_msg("sm_%d: %s", arch, rpi_status_message());
  assert_true(cubin.size > 0);
  if (strstr(cubin.log, "warning")) fail_msg("%s", cubin.log);
  for (int32_t i = 0; i < s->n; i++) {
    char entry[32];
    snprintf(entry, sizeof entry, "rpk_main_%s", s->hex[i]);
    assert_true(rpi_nvrtc_usage_get(cubin.log, entry, &s->usage[i]));
  }
  rpi_cubin_deinit(&cubin);
  rpi_strbuf_deinit(&text);
}

/* Aligned and not, narrow and wide. */
static void test_benchmarks(void **state) {
  (void)state;
  static const struct {
    const char *name, *source;
    int32_t narrow, wide; /* registers, by indices: so few that as many blocks run as are wanted */
  } kernels[] = {{"black_scholes", kernel_black_scholes, REGISTERS, REGISTERS},
                 {"stencil", kernel_stencil, FIVE_BLOCKS, FIVE_BLOCKS},
                 {"multiply", kernel_multiply, REGISTERS, REGISTERS},
                 {"update", kernel_update, REGISTERS, REGISTERS},
                 {"direction", kernel_direction, EIGHT_BLOCKS, FIVE_BLOCKS}};
  rpi_ir ir[RPI_COUNT(kernels)];
  sheet s = {.n = 0};
  if (!nvrtc) skip();
  for (int32_t k = 0; k < RPI_COUNT(kernels); k++) {
    if (rpi_ir_parse(kernels[k].source, &ir[k]) != RP_OK || rpi_ir_check(&ir[k]) != RP_OK)
      fail_msg("%s: %s", kernels[k].name, rpi_status_message());
    for (int32_t i = 0; i < 4; i++)
      add(&s, kernels[k].name, &ir[k],
          (rpi_cuda_shape){.wide = i & 1, .aligned = i & 2 ? UINT64_MAX : 0});
  }
  for (int32_t a = 0; a < RPI_COUNT(archs); a++) {
    if (!rpi_nvrtc_knows(nvrtc, archs[a])) continue;
    compile(&s, archs[a]);
    for (int32_t i = 0; i < s.n; i++) {
      const rpi_nvrtc_usage *u = &s.usage[i];
      const int32_t most = i & 1 ? kernels[i / 4].wide : kernels[i / 4].narrow;
      if (u->registers > most || u->spill_stores + u->spill_loads > 0)
        fail_msg("%s for sm_%d, form %d: %d registers, %d and %d bytes of spills", s.name[i],
                 archs[a], i % 4, u->registers, u->spill_stores, u->spill_loads);
    }
  }
  for (int32_t k = 0; k < RPI_COUNT(kernels); k++) rpi_ir_deinit(&ir[k]);
}

/* The sum of n arrays, each read where it is added. */
static void parse_sum(int32_t n, rpi_ir *out) {
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rpi_strbuf_add(&text, "kernel rank 2\n");
  for (int32_t o = 0; o < n; o++)
    rpi_strbuf_addf(&text, "operand @%d: f64 affine [any unit] read\n", o);
  rpi_strbuf_addf(&text, "operand @%d: f64 affine [any unit] write\nbody:\n", n);
  rpi_strbuf_add(&text, "  %0 = load.f64 @0\n");
  for (int32_t o = 1; o < n; o++)
    rpi_strbuf_addf(&text, "  %%%d = load.f64 @%d\n  %%%d = add.f64 %%%d, %%%d\n", 2 * o - 1, o,
                    2 * o, 2 * o - 2, 2 * o - 1);
  rpi_strbuf_addf(&text, "  store.f64 @%d, %%%d\n", n, 2 * n - 2);
  if (rpi_ir_parse(rpi_strbuf_str(&text), out) != RP_OK || rpi_ir_check(out) != RP_OK)
    fail_msg("%s", rpi_status_message());
  rpi_strbuf_deinit(&text);
}

/* Stencils of many points: no more is read at once than registers hold. */
static void test_many(void **state) {
  (void)state;
  static const int32_t points[] = {16};
  rpi_ir ir[RPI_COUNT(points)];
  sheet s = {.n = 0};
  if (!nvrtc || !rpi_nvrtc_knows(nvrtc, 90)) skip();
  for (int32_t k = 0; k < RPI_COUNT(points); k++) {
    parse_sum(points[k], &ir[k]);
    for (int32_t i = 0; i < 4;
         i++) /* all aligned, or where it is written and half of what is read */
      add(&s, "sum", &ir[k],
          (rpi_cuda_shape){.wide = i & 1,
                           .aligned = i & 2 ? UINT64_MAX : UINT64_C(1) << points[k] | 0xaaaaaaaau});
  }
  compile(&s, 90);
  for (int32_t i = 0; i < s.n; i++)
    if (s.usage[i].spill_stores + s.usage[i].spill_loads > 0)
      fail_msg("%d points, form %d: %d registers, %d and %d bytes of spills", points[i / 4], i % 4,
               s.usage[i].registers, s.usage[i].spill_stores, s.usage[i].spill_loads);
  for (int32_t k = 0; k < RPI_COUNT(points); k++) rpi_ir_deinit(&ir[k]);
}

/* Random kernels, with all that the emitter has a form for. */
static void test_random(void **state) {
  (void)state;
  enum { KERNELS = 12 };
  bench *all[KERNELS];
  sheet of[RPI_COUNT(archs)] = {{.n = 0}};
  if (!nvrtc) skip();
  bench_seed = 46;
  for (int32_t i = 0; i < KERNELS; i++) {
    all[i] = malloc(sizeof *all[i]);
    random_kernel(all[i], i % 2);
    const rpi_cuda_shape shape = {.wide = i % 3 == 0, .aligned = i % 4 ? UINT64_MAX : 0};
    add(&of[i % RPI_COUNT(archs)], "random", &all[i]->ir, shape);
  }
  for (int32_t a = 0; a < RPI_COUNT(archs); a++) compile(&of[a], archs[a]);
  for (int32_t i = 0; i < KERNELS; i++) {
    bench_free(all[i]);
    free(all[i]);
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
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_benchmarks), cmocka_unit_test(test_many),
                                     cmocka_unit_test(test_random), cmocka_unit_test(test_loop)};
  return cmocka_run_group_tests(tests, open_nvrtc, NULL);
}
