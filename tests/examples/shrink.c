/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/shrink.c -- LU factors of a diagonally dominant matrix in place, without pivots, by whole
 * arrays: each pass works on the views A[k+1:, k], A[k, k+1:] and A[k+1:, k+1:], which shrink. The views
 * differ in every pass; what is done with them does not. */
#include "example.h"
#include "reprise_array.h"

/* A[i0:, j0:] cut to at most `rows` by `cols`. */
static rp_store *part(rp_store *a, int64_t i0, int64_t j0, int64_t rows, int64_t cols) {
  const int64_t lo[] = {i0, j0}, hi[] = {i0 + rows, j0 + cols};
  rp_store *view;
  RP_CHECK(rp_store_box(a, lo, hi, &view));
  return view;
}

/* Random, with n added to the diagonal. */
static rp_store *dominant(rp_context *ctx, int64_t n) {
  const int64_t shape[] = {n, n};
  rp_store *a = example_uniform(ctx, RP_F64, 2, shape, 0, 1, 5);
  rp_store *eye = example_full(ctx, RP_F64, 2, shape, 0);
  RP_CHECK(RP_DO(ctx, "eye[i,j] = where(i == j, 1.0, 0.0)", eye));
  RP_CHECK(rp_array_binary_float_to(RP_ARRAY_MULTIPLY, eye, (double)n, eye));
  RP_CHECK(rp_array_add_to(a, eye, a));
  RP_CHECK(rp_store_release(eye));
  return a;
}

int main(int argc, char **argv) {
  example_options o = {.size = 96};
  example_parse(argc, argv, "size", &o);
  const int64_t n = o.size;
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  rp_store *A = dominant(ctx, n);
  for (int64_t k = 0; k + 1 < n; k++) {
    RP_CHECK(rp_trace_begin(ctx, 1));
    const int64_t left = n - k - 1;
    rp_store *pivot = part(A, k, k, 1, 1), *col = part(A, k + 1, k, left, 1);
    rp_store *row = part(A, k, k + 1, 1, left), *rest = part(A, k + 1, k + 1, left, left);
    RP_CHECK(RP_DO(ctx, "col = col/pivot", col, pivot));
    RP_CHECK(RP_DO(ctx, "rest = rest - col*row", rest, col, row));
    rp_store *gone[] = {pivot, col, row, rest};
    for (int i = 0; i < 4; i++) RP_CHECK(rp_store_release(gone[i]));
    RP_CHECK(rp_trace_end(ctx, 1));
  }
  example_bits_add(A);
  example_bits_print();
  RP_CHECK(rp_store_release(A));
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
