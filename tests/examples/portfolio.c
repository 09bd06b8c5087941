/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/portfolio.c -- two libraries that do not know each other in one kernel: the prices of
 * pricing/ and the arithmetic and sums of the array library. */
#include "example.h"
#include "pricing/pricing.h"
#include "reprise_array.h"

int main(int argc, char **argv) {
  example_options o = {.size = 100000, .iters = 20, .dtype = RP_F64};
  example_parse(argc, argv, "size iters dtype", &o);
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  pricing *p;
  RP_CHECK(pricing_get(ctx, &p));
  rp_store *spot = example_uniform(ctx, o.dtype, 1, &o.size, 5, 30, 1);
  rp_store *strike = example_uniform(ctx, o.dtype, 1, &o.size, 1, 100, 2);
  rp_store *years = example_uniform(ctx, o.dtype, 1, &o.size, 0.25, 10, 3);
  rp_store *held = example_uniform(ctx, o.dtype, 1, &o.size, 0, 9, 4);
  rp_store *worth = NULL;
  for (int64_t i = 0; i < o.iters; i++) {
    RP_CHECK(rp_trace_begin(ctx, 1));
    rp_store *moved, *call, *put, *now, *extra, *parts;
    RP_CHECK(rp_array_multiply_scalar(spot, 1.0 + 0.001 * (double)i, &moved));    /* array */
    RP_CHECK(pricing_european(p, moved, strike, years, 0.02, 0.30, &call, &put)); /* pricing */
    RP_CHECK(pricing_payoff(p, moved, strike, &now));
    RP_CHECK(rp_array_subtract(call, now, &extra)); /* array */
    RP_CHECK(rp_array_add_to(extra, put, extra));
    RP_CHECK(rp_array_multiply(extra, held, &parts));
    RP_CHECK(rp_store_release(worth));
    RP_CHECK(rp_array_sum(parts, &worth));
    rp_store *gone[] = {moved, call, put, now, extra, parts};
    for (int k = 0; k < 6; k++) RP_CHECK(rp_store_release(gone[k]));
    RP_CHECK(rp_trace_end(ctx, 1));
  }
  printf("worth %.12g; %lld launches in %lld kernels\n", example_value(worth),
         (long long)example_stat(ctx, "launches"), (long long)example_stat(ctx, "kernels_run"));
  example_bits_add(worth);
  example_bits_print();
  rp_store *all[] = {spot, strike, years, held, worth};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
