/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/readme.c -- the program of README.md: conjugate gradients, written out. */
#include <stdio.h>

#include "example.h"

int main(void) {
  const example_options poisson = {.size = 128, .dtype = RP_F64};
  const int64_t n = poisson.size * poisson.size;
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  rp_csr *A = example_matrix(ctx, &poisson);
  rp_store *x = example_full(ctx, RP_F64, 1, &n, 0), *r = example_full(ctx, RP_F64, 1, &n, 1);
  rp_store *p = example_full(ctx, RP_F64, 1, &n, 1), *Ap = example_full(ctx, RP_F64, 1, &n, 0);
  rp_store *rho = example_full(ctx, RP_F64, 0, NULL, (double)n);
  rp_store *pAp = example_full(ctx, RP_F64, 0, NULL, 0),
           *rr = example_full(ctx, RP_F64, 0, NULL, 0);
  rp_store *alpha = example_full(ctx, RP_F64, 0, NULL, 0),
           *beta = example_full(ctx, RP_F64, 0, NULL, 0);

  for (int i = 0; i < 200; i++) {
    RP_CHECK(rp_trace_begin(ctx, 1));
    RP_CHECK(rp_csr_multiply_to(A, p, Ap));
    RP_CHECK(RP_DO(ctx, "pAp = sum(i) p[i]*Ap[i]", pAp, p, Ap));
    RP_CHECK(RP_DO(ctx, "alpha = rho/pAp", alpha, rho, pAp));
    RP_CHECK(RP_DO(ctx, "x = x + alpha*p; r = r - alpha*Ap", x, r, p, Ap, alpha));
    RP_CHECK(RP_DO(ctx, "rr = sum(i) r[i]*r[i]", rr, r));
    RP_CHECK(RP_DO(ctx, "beta = rr/rho; rho = rr", beta, rho, rr));
    RP_CHECK(RP_DO(ctx, "p = r + beta*p", p, r, beta));
    RP_CHECK(rp_trace_end(ctx, 1));
  }
  printf("r.r = %.3e after %lld launches in %lld kernels\n", example_value(rr),
         (long long)example_stat(ctx, "launches"), (long long)example_stat(ctx, "kernels_run"));
  example_bits_add(x);
  example_bits_print();

  rp_store *all[] = {x, r, p, Ap, rho, pAp, rr, alpha, beta};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_csr_release(A));
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
