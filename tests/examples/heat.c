/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/heat.c -- heat in a square plate with one hot side: a copy and one body each step, and a
 * look at the largest change every 25 steps, which may end the loop. */
#include "example.h"
#include "reprise_array.h"

static rp_store *window(rp_store *grid, int64_t n, int64_t i, int64_t j) {
  const int64_t lo[] = {i, j}, hi[] = {i + n, j + n};
  rp_store *view;
  RP_CHECK(rp_store_box(grid, lo, hi, &view));
  return view;
}

/* max |u - un| */
static double change(rp_store *u, rp_store *un) {
  rp_store *d, *m;
  RP_CHECK(rp_array_subtract(u, un, &d));
  RP_CHECK(rp_array_unary_to(RP_ARRAY_ABSOLUTE, d, d));
  RP_CHECK(rp_array_reduce(RP_ARRAY_MAX, d, 0, NULL, 0, &m));
  const double value = example_value(m);
  RP_CHECK(rp_store_release(d));
  RP_CHECK(rp_store_release(m));
  return value;
}

int main(int argc, char **argv) {
  example_options o = {.size = 128, .iters = 400, .dtype = RP_F64};
  example_parse(argc, argv, "size iters dtype", &o);
  const int64_t n = o.size, shape[] = {n + 2, n + 2};
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  rp_store *u = example_full(ctx, o.dtype, 2, shape, 0), *side, *un = NULL;
  RP_CHECK(rp_store_project(u, 0, 0, &side));
  const double hot = 100;
  const float hot32 = 100;
  RP_CHECK(rp_store_fill(side, o.dtype == RP_F32 ? (const void *)&hot32 : (const void *)&hot));
  rp_store *inside = window(u, n, 1, 1);
  int64_t step = 0;
  double largest = hot;
  for (; step < o.iters && largest > 0.1; step++) {
    RP_CHECK(rp_trace_begin(ctx, 1));
    RP_CHECK(rp_store_release(un));
    RP_CHECK(rp_array_copy(u, &un));
    rp_store *c = window(un, n, 1, 1), *a = window(un, n, 0, 1), *b = window(un, n, 2, 1);
    rp_store *l = window(un, n, 1, 0), *r = window(un, n, 1, 2);
    RP_CHECK(RP_DO(ctx, "inside = c + 0.2*(a + b + l + r - 4*c)", inside, c, a, b, l, r));
    rp_store *gone[] = {c, a, b, l, r};
    for (int i = 0; i < 5; i++) RP_CHECK(rp_store_release(gone[i]));
    RP_CHECK(rp_trace_end(ctx, 1));
    if ((step + 1) % 25 == 0) largest = change(u, un);
  }
  printf("%lld steps, last change %.4g\n", (long long)step, largest);
  example_bits_add(u);
  example_bits_print();
  rp_store *all[] = {u, side, un, inside};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
