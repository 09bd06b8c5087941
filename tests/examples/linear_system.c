/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/linear_system.c -- see linear_system.h. */
#include "linear_system.h"

#include <stdio.h>

#include "example.h"

int linear_system_main(int argc, char **argv, linear_system_solver *solve) {
  example_options o = {.size = 64, .iters = 200, .dtype = RP_F64};
  example_parse(argc, argv, "size iters dtype matrix", &o);
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  rp_csr *matrix = example_matrix(ctx, &o);
  rp_operator *a;
  RP_CHECK(rp_operator_from_csr(matrix, &a));
  const int64_t n = rp_csr_rows(matrix);
  rp_store *b = example_full(ctx, o.dtype, 1, &n, 1), *x = example_full(ctx, o.dtype, 1, &n, 0);
  const rp_solve_options options = {.struct_size = sizeof options, .max_iterations = o.iters};
  rp_solve_result result = {.struct_size = sizeof result};
  const double start = example_seconds();
  RP_CHECK(solve(a, b, x, &options, &result));
  const double seconds = example_seconds() - start;
  printf("%lld rows, %lld entries: %lld iterations, residual %.3e, %s, %.3f ms each\n",
         (long long)n, (long long)rp_csr_nnz(matrix), (long long)result.iterations, result.residual,
         result.converged ? "converged" : "not converged",
         result.iterations ? 1e3 * seconds / (double)result.iterations : 0.0);
  example_bits_add(x);
  example_bits_print();
  RP_CHECK(rp_store_release(x));
  RP_CHECK(rp_store_release(b));
  RP_CHECK(rp_operator_release(a));
  RP_CHECK(rp_csr_release(matrix));
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
