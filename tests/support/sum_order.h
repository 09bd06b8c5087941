/* SPDX-License-Identifier: Apache-2.0
 * tests/support/sum_order.h -- the order of sums, SEMANTICS 3, written out for doubles.
 * Lives here: a leaf, the tree over leaves, whole axes and segments; NaNs and tiers do not matter. */
#ifndef SUM_ORDER_H
#define SUM_ORDER_H

#include <assert.h>
#include <stdint.h>

/* Values by pairs: each half a power of two of them, but for the last. */
static inline double sum_tree(const double *v, int64_t n) {
  if (n == 1) return v[0];
  int64_t half = 1;
  while (2 * half < n) half *= 2;
  const double a = sum_tree(v, half), b = sum_tree(v + half, n - half);
  return a + b;
}

/* Up to 1024 values in 64 accumulators, folded by halving. */
static inline double sum_leaf(const double *v, int64_t n, int64_t stride) {
  double acc[64];
  for (int32_t i = 0; i < 64; i++) acc[i] = -0.0;
  for (int64_t i = 0; i < n; i++) acc[i % 64] += v[i * stride];
  for (int32_t h = 32; h > 0; h /= 2)
    for (int32_t i = 0; i < h; i++) acc[i] += acc[i + h];
  return acc[0];
}

static inline double sum_axis(const double *v, int64_t n, int64_t stride) {
  enum { LEAVES = 1000 };
  double leaf[LEAVES];
  int64_t m = 0;
  assert(n > 0 && n <= LEAVES * 1024);
  for (int64_t i = 0; i < n; i += 1024)
    leaf[m++] = sum_leaf(v + i * stride, n - i < 1024 ? n - i : 1024, stride);
  return sum_tree(leaf, m);
}

/* Short segments are summed in their order. */
static inline double sum_segment(const double *v, int64_t n) {
  if (n > 32) return sum_axis(v, n, 1);
  double s = n == 0 ? 0.0 : -0.0;
  for (int64_t i = 0; i < n; i++) s += v[i];
  return s;
}

#endif
