/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/stencil.c -- the 5-point stencil through views of one array, as a Python loop has it:
 *
 *     while ...:
 *         average = center + north + east + west + south
 *         work = 0.2*average
 *         center[:] = work
 *
 * `average` and `work` keep their names until the next pass gives them new arrays, so both are alive
 * when a pass ends, and nobody ever reads them again. */
#include "example.h"
#include "reprise_array.h"

static rp_store *window(rp_store *grid, int64_t n, int64_t i, int64_t j) {
  const int64_t lo[] = {i, j}, hi[] = {i + n, j + n};
  rp_store *view;
  RP_CHECK(rp_store_box(grid, lo, hi, &view));
  return view;
}

/* a + b; the reference to a is given up, as an expression gives up its temporaries. */
static rp_store *plus(rp_store *a, rp_store *b) {
  rp_store *sum;
  RP_CHECK(rp_array_add(a, b, &sum));
  RP_CHECK(rp_store_release(a));
  return sum;
}

int main(int argc, char **argv) {
  example_options o = {.size = 256, .iters = 50, .dtype = RP_F64};
  example_parse(argc, argv, "size iters dtype", &o);
  const int64_t n = o.size, shape[] = {n + 2, n + 2};
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  rp_store *grid = example_uniform(ctx, o.dtype, 2, shape, 0, 1, 1);
  rp_store *center = window(grid, n, 1, 1);
  rp_store *north = window(grid, n, 0, 1), *south = window(grid, n, 2, 1);
  rp_store *west = window(grid, n, 1, 0), *east = window(grid, n, 1, 2);
  rp_store *average = NULL, *work = NULL;
  for (int64_t i = 0; i < o.iters; i++) {
    RP_CHECK(rp_trace_begin(ctx, 1));
    rp_store *sum, *scaled;
    RP_CHECK(rp_array_add(center, north, &sum));
    sum = plus(plus(plus(sum, east), west), south);
    RP_CHECK(rp_store_release(average));
    average = sum;
    RP_CHECK(rp_array_float_binary(RP_ARRAY_MULTIPLY, 0.2, average, &scaled));
    RP_CHECK(rp_store_release(work));
    work = scaled;
    RP_CHECK(rp_store_copy(center, work));
    RP_CHECK(rp_trace_end(ctx, 1));
  }
  example_bits_add(grid);
  example_bits_print();
  rp_store *all[] = {grid, center, north, south, west, east, average, work};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
