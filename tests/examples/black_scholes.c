/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/black_scholes.c -- option prices, one array operation after the other (prices.c): 63
 * launches a pass, most of which make a temporary that dies at once. */
#include "example.h"
#include "prices.h"

int main(int argc, char **argv) {
  example_options o = {.size = 100000, .iters = 5, .dtype = RP_F64};
  example_parse(argc, argv, "size iters dtype", &o);
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  rp_store *s = example_uniform(ctx, o.dtype, 1, &o.size, 5, 30, 1);
  rp_store *x = example_uniform(ctx, o.dtype, 1, &o.size, 1, 100, 2);
  rp_store *t = example_uniform(ctx, o.dtype, 1, &o.size, 0.25, 10, 3);
  rp_store *call = NULL, *put = NULL;
  const int64_t before = example_stat(ctx, "launches");
  for (int64_t i = 0; i < o.iters; i++) {
    RP_CHECK(rp_store_release(call));
    RP_CHECK(rp_store_release(put));
    RP_CHECK(rp_trace_begin(ctx, 1));
    prices(s, x, t, &call, &put);
    RP_CHECK(rp_trace_end(ctx, 1));
  }
  printf("%lld launches a pass\n", (long long)((example_stat(ctx, "launches") - before) / o.iters));
  example_bits_add(call);
  example_bits_add(put);
  example_bits_print();
  rp_store *all[] = {s, x, t, call, put};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
