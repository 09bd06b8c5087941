/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/power.c -- the largest eigenvalue of a random sparse matrix by the power method, with
 * the sparse and the array library: product, Rayleigh quotient, norm, division. */
#include "example.h"
#include "reprise_array.h"

enum { PER_ROW = 10 };

/* Symmetric, about 2*PER_ROW entries in a row besides the diagonal, which dominates in row 0 so that
 * one eigenvalue stands out. */
static rp_csr *random_matrix(rp_context *ctx, rp_dtype dtype, int64_t n) {
  const int64_t n_entries = n * (2 * PER_ROW + 1);
  int64_t *row = malloc((size_t)n_entries * sizeof *row);
  int64_t *col = malloc((size_t)n_entries * sizeof *col);
  double *val = malloc((size_t)n_entries * sizeof *val);
  if (!row || !col || !val) exit(EXIT_FAILURE);
  uint64_t seed = 7;
  int64_t k = 0;
  for (int64_t i = 0; i < n; i++) {
    row[k] = col[k] = i;
    val[k++] = i == 0 ? 40.0 : 4.0;
    for (int j = 0; j < PER_ROW; j++, k += 2) {
      const int64_t other = (int64_t)(example_random(&seed) * (double)n);
      row[k] = col[k + 1] = i;
      col[k] = row[k + 1] = other;
      val[k] = val[k + 1] = 0.5 * example_random(&seed);
    }
  }
  rp_csr *a;
  RP_CHECK(rp_csr_from_triplets(ctx, dtype, n, n, n_entries, row, col, val, &a));
  free(row);
  free(col);
  free(val);
  return a;
}

int main(int argc, char **argv) {
  example_options o = {.size = 5000, .iters = 50, .dtype = RP_F64};
  example_parse(argc, argv, "size iters dtype matrix", &o);
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  rp_csr *a = o.matrix ? example_matrix(ctx, &o) : random_matrix(ctx, o.dtype, o.size);
  const int64_t n = rp_csr_rows(a);
  rp_store *x = example_full(ctx, o.dtype, 1, &n, 1), *value = NULL;
  for (int64_t i = 0; i < o.iters; i++) {
    RP_CHECK(rp_trace_begin(ctx, 1));
    rp_store *y, *norm, *next, *xx, *xy;
    RP_CHECK(rp_csr_multiply(a, x, &y));
    RP_CHECK(rp_array_dot(x, x, &xx));
    RP_CHECK(rp_array_dot(x, y, &xy));
    RP_CHECK(rp_store_release(value));
    RP_CHECK(rp_array_divide(xy, xx, &value));
    RP_CHECK(rp_array_norm(y, &norm));
    RP_CHECK(rp_array_divide(y, norm, &next));
    RP_CHECK(rp_store_release(x));
    x = next;
    rp_store *gone[] = {y, norm, xx, xy};
    for (int k = 0; k < 4; k++) RP_CHECK(rp_store_release(gone[k]));
    RP_CHECK(rp_trace_end(ctx, 1));
  }
  printf("eigenvalue %.12g\n", example_value(value));
  example_bits_add(x);
  example_bits_add(value);
  example_bits_print();
  RP_CHECK(rp_store_release(x));
  RP_CHECK(rp_store_release(value));
  RP_CHECK(rp_csr_release(a));
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
