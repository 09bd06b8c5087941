/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_emit_cuda.c -- the CUDA text of a kernel, run on the CPU with blocks and threads, computes the
 * interpreter's bits: random kernels; reductions of every operator, dtype and shape; ends and prologues. Without a C
 * compiler nothing is tested. */
#include "tests/support/cuda_bench.h"
#include "tests/support/kernel_random.h"

static void random_kernels(bool loops, int32_t n) {
  for (int32_t i = 0; i < n; i++) {
    const uint64_t from = bench_seed;
    bench *b = malloc(sizeof *b);
    random_kernel(b, loops);
    for (int32_t r = 0; r < b->ir.n_red; r++) b->ir.red[r].join = (uint8_t)bench_below(2);
    cuda_compare(b, from);
    bench_free(b);
    free(b);
  }
}

static void test_random(void **state) {
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 41;
  random_kernels(false, 30);
}

static void test_random_loops(void **state) {
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 42;
  random_kernels(true, 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random),
                                     cmocka_unit_test(test_random_loops)};
  return cmocka_run_group_tests(tests, bench_open, bench_close);
}
