/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/steady.c -- the steady temperature of a square plate that is heated evenly and cold at its sides: conjugate
 * gradients (Hestenes and Stiefel 1952), which end by themselves when the residual is small. The program writes one
 * iteration; a GPU makes the others without the host. */
#include "example.h"

/* The inner points of a grid, moved by (i, j). */
static rp_store *window(rp_store *grid, int64_t n, int64_t i, int64_t j) {
  const int64_t lo[] = {1 + i, 1 + j}, hi[] = {1 + i + n, 1 + j + n};
  rp_store *view;
  RP_CHECK(rp_store_box(grid, lo, hi, &view));
  return view;
}

int main(int argc, char **argv) {
  example_options o = {.size = 128, .iters = 1000, .dtype = RP_F64};
  example_parse(argc, argv, "size iters dtype", &o);
  const int64_t n = o.size, shape[] = {n + 2, n + 2}, inner[] = {n, n};
  rp_context *ctx;
  rp_store *q, *sums[3], *go;
  int64_t passes;
  RP_CHECK(rp_context_create(NULL, &ctx));
  rp_store *x = example_full(ctx, o.dtype, 2, inner, 0),
           *r = example_full(ctx, o.dtype, 2, inner, 1);
  rp_store *grid = example_full(ctx, o.dtype, 2, shape, 0); /* directions, with a border of zeros */
  rp_store *p = window(grid, n, 0, 0), *a = window(grid, n, -1, 0), *b = window(grid, n, 1, 0);
  rp_store *c = window(grid, n, 0, -1), *d = window(grid, n, 0, 1);
  for (int i = 0; i < 3; i++) RP_CHECK(rp_store_create(ctx, o.dtype, 0, NULL, &sums[i]));
  rp_store *pq = sums[0], *rr = sums[1], *old = sums[2];
  RP_CHECK(rp_store_create(ctx, RP_BOOL, 0, NULL, &go));
  RP_CHECK(RP_DO(ctx, "p = r", p, r));
  RP_CHECK(RP_DO(ctx, "rr = sum(i, j) r[i, j]*r[i, j]", rr, r));

  RP_CHECK(rp_trace_begin(ctx, 1));
  RP_CHECK(rp_store_create(ctx, o.dtype, 2, inner, &q));
  RP_CHECK(RP_DO(ctx, "q = 4*p - a - b - c - d", q, p, a, b, c, d));
  RP_CHECK(RP_DO(ctx, "pq = sum(i, j) p[i, j]*q[i, j]", pq, p, q));
  RP_CHECK(RP_DO(ctx, "x = x + rr/pq*p; r = r - rr/pq*q", x, r, p, q, rr, pq));
  RP_CHECK(RP_DO(ctx, "old = rr", old, rr));
  RP_CHECK(RP_DO(ctx, "rr = sum(i, j) r[i, j]*r[i, j]", rr, r));
  RP_CHECK(RP_DO(ctx, "p = r + rr/old*p", p, r, rr, old));
  RP_CHECK(RP_DO(ctx, "go = rr > 1e-6", go, rr));
  RP_CHECK(rp_store_release(q)); /* a temporary of each pass */
  RP_CHECK(rp_trace_repeat(ctx, 1, go, o.iters - 1, &passes));

  printf("%lld iterations, residual %.4g; %lld passes were the GPU's own\n", (long long)passes + 1,
         example_value(rr), (long long)example_stat(ctx, "loop_passes"));
  example_bits_add(x);
  example_bits_print();
  rp_store *all[] = {x, r, grid, p, a, b, c, d, pq, rr, old, go};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
