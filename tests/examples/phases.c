/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/phases.c -- two phases that part (Allen and Cahn 1979): u_t = eps*laplace(u) + u - u^3 on a periodic square. In
 * each step the reaction is a body on the grid and diffusion, taken implicitly, one on the frequencies, between transforms. */
#include "example.h"
#include "reprise_fourier.h"

int main(int argc, char **argv) {
  example_options o = {.size = 128, .iters = 100, .dtype = RP_F64};
  example_parse(argc, argv, "size iters dtype", &o);
  const int64_t n = o.size, shape[] = {n, n}, half[] = {n, n / 2 + 1, 2};
  rp_context *ctx;
  rp_store *w, *m;
  RP_CHECK(rp_context_create(NULL, &ctx));
  rp_store *u = example_uniform(ctx, o.dtype, 2, shape, -0.1, 0.1, 1);
  RP_CHECK(rp_store_create(ctx, o.dtype, 3, half, &w));
  RP_CHECK(rp_store_create(ctx, o.dtype, 0, NULL, &m));
  for (int64_t step = 0; step < o.iters; step++) {
    RP_CHECK(rp_trace_begin(ctx, 1));
    RP_CHECK(RP_DO(ctx, "u = u + 0.2*(u - u*u*u)", u));
    RP_CHECK(rp_fourier_forward_real(2, u, w));
    RP_CHECK(RP_DO(ctx,
                   "let i = min(index(0), extent(w, 0) - index(0)); let j = index(1);"
                   "w = w/(1 + 0.004*(i*i + j*j))",
                   w));
    RP_CHECK(rp_fourier_inverse_real(2, w, u));
    RP_CHECK(rp_trace_end(ctx, 1));
  }
  RP_CHECK(RP_DO(ctx, "m = max(i, j) u[i, j]", m, u));
  printf("%lld steps on %lld x %lld points, u is at most %.6f\n", (long long)o.iters, (long long)n,
         (long long)n, example_value(m));
  example_bits_add(u);
  example_bits_print();
  rp_store *all[] = {u, w, m};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
