/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_cuda_interp.c -- the interpreter of a GPU, run on the CPU with blocks and threads, computes the CPU
 * interpreter's bits: random kernels, with loops and without. Without a C compiler nothing is tested. */
#include "tests/support/cuda_bench.h"
#include "tests/support/kernel_random.h"

#include "jit/cuda_program.h"
#include "jit/cuda_step.h"
#include "jit/emit_interp.h"

typedef struct interpreter {
  struct threads_hooks *hooks;
  void (*run)(const void *);
} interpreter;
static interpreter the;
static int32_t taken, refused;

static const interpreter *compiled(void) {
  interpreter *in = &the;
  rpi_strbuf text;
  if (in->run) return in;
  rpi_strbuf_init(&text);
  rpi_strbuf_add(&text, threads_head);
  assert_int_equal(rpi_emit_interp(&text), RP_OK);
  void *so = cuda_object(rpi_strbuf_str(&text));
  rpi_strbuf_deinit(&text);
  in->hooks = dlsym(so, "rpg_hooks");
  *(void **)&in->run = dlsym(so, "rpk_interp");
  assert_non_null(in->run);
  return in;
}

static uint32_t run(bench *b, const void *of, int32_t most) {
  static rpi_word parameters[RPI_KERNEL_PARAMETERS / 8], values[RPI_IR_MAX_INS];
  const rpi_cuda_program *p = of;
  const interpreter *in = compiled();
  uint32_t flag[4] = {0};
  rpi_cuda_grid grid;
  const int64_t units = b->ir.n_body > b->ir.n_pro ? rpi_ir_units(&b->ir, b->extent) : 0;
  b->w[b->l.flag].p = flag;
  b->w[b->l.values].p = values;
  rpi_cuda_program_grid(p, b->w, 0, units, RPI_KERNEL_ALL, most, &grid);
  assert_in_range(rpi_cuda_program_pack(p, b->w, 0, units, grid.mode, (uint64_t)(uintptr_t)p->image,
                                        parameters),
                  1, sizeof parameters);
  if (grid.pro > 0) threads_launch(in->hooks, in->run, parameters, grid.pro, RPK_THREADS_PRO);
  if (grid.main > 0) threads_launch(in->hooks, in->run, parameters, grid.main, RPK_THREADS_UNITS);
  if (grid.fin > 0) threads_launch(in->hooks, in->run, parameters, grid.fin, RPK_THREADS_FIN);
  assert_int_equal(flag[1], 0);
  taken++;
  return flag[0];
}

static void compare(bench *b, uint64_t from) {
  rpi_cuda_program p;
  const char *why;
  if (rpi_ir_check(&b->ir) != RP_OK) fail_msg("%s", rpi_status_message());
  assert_int_equal(rpi_cuda_program_make(&b->ir, &p, &why), RP_OK);
  refused += why != NULL;
  if (!why) cuda_compare_run(b, run, &p, 1 + bench_below(4), from);
  rpi_cuda_program_deinit(&p);
}

static void test_random(void **state) {
  (void)state;
  if (!bench_cc) skip();
  bench_seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 51;
  random_kernels(false, getenv("SEED") ? 1 : 20, compare);
}

static void test_random_loops(void **state) {
  (void)state;
  if (!bench_cc) skip();
  bench_seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 52;
  random_kernels(true, getenv("SEED") ? 1 : 14, compare);
  print_message("%d interpreted, %d refused\n", taken, refused);
  assert_true(refused < taken);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random),
                                     cmocka_unit_test(test_random_loops)};
  return cmocka_run_group_tests(tests, bench_open, bench_close);
}
