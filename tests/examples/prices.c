/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/prices.c -- see prices.h. The normal distribution is the polynomial 26.2.17 of
 * Abramowitz and Stegun (1964). */
#include "prices.h"

#include "array_calls.h"

static const double rate = 0.02, volatility = 0.30;

/* The cumulative normal distribution: 24 operations. */
static rp_store *cnd(rp_store *d) {
  static const double a[] = {0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429};
  rp_store *k = num(RP_ARRAY_MULTIPLY, 0.2316419, un(RP_ARRAY_ABSOLUTE, d, KEEP), TAKE);
  k = num(RP_ARRAY_DIVIDE, 1.0, num(RP_ARRAY_ADD, 1.0, k, TAKE), TAKE);
  rp_store *poly = num(RP_ARRAY_MULTIPLY, a[4], k, KEEP);
  for (int i = 3; i >= 0; i--) {
    poly = num(RP_ARRAY_ADD, a[i], poly, TAKE);
    poly = bin(RP_ARRAY_MULTIPLY, k, KEEP, poly, TAKE);
  }
  rp_store *bell = bin(RP_ARRAY_MULTIPLY, num(RP_ARRAY_MULTIPLY, -0.5, d, KEEP), TAKE, d, KEEP);
  bell = num(RP_ARRAY_MULTIPLY, 0.39894228040143267, un(RP_ARRAY_EXP, bell, TAKE), TAKE);
  rp_store *tail = bin(RP_ARRAY_MULTIPLY, bell, TAKE, poly, TAKE);
  rp_store *positive, *head = num(RP_ARRAY_SUBTRACT, 1.0, tail, KEEP), *out;
  RP_CHECK(rp_array_binary_float(RP_ARRAY_GREATER, d, 0.0, &positive));
  RP_CHECK(rp_array_where(positive, head, tail, &out));
  rp_store *gone[] = {k, positive, head, tail};
  for (int i = 0; i < 4; i++) RP_CHECK(rp_store_release(gone[i]));
  return out;
}

void prices(rp_store *s, rp_store *x, rp_store *t, rp_store **call, rp_store **put) {
  const double drift = rate + 0.5 * volatility * volatility;
  rp_store *root = un(RP_ARRAY_SQRT, t, KEEP);
  rp_store *d1 = un(RP_ARRAY_LOG, bin(RP_ARRAY_DIVIDE, s, KEEP, x, KEEP), TAKE);
  rp_store *spread = num(RP_ARRAY_MULTIPLY, volatility, root, KEEP);
  rp_store *shift =
      bin(RP_ARRAY_DIVIDE, num(RP_ARRAY_MULTIPLY, drift, t, KEEP), TAKE, spread, TAKE);
  d1 = bin(RP_ARRAY_ADD, d1, TAKE, shift, TAKE);
  spread = num(RP_ARRAY_MULTIPLY, volatility, root, TAKE);
  rp_store *d2 = bin(RP_ARRAY_SUBTRACT, d1, KEEP, spread, TAKE);
  rp_store *c1 = cnd(d1), *c2 = cnd(d2);
  rp_store *e = un(RP_ARRAY_EXP, num(RP_ARRAY_MULTIPLY, -rate, t, KEEP), TAKE);
  rp_store *gain = bin(RP_ARRAY_MULTIPLY, s, KEEP, c1, KEEP);
  rp_store *cost = bin(RP_ARRAY_MULTIPLY, bin(RP_ARRAY_MULTIPLY, x, KEEP, e, KEEP), TAKE, c2, KEEP);
  *call = bin(RP_ARRAY_SUBTRACT, gain, TAKE, cost, TAKE);
  gain = bin(RP_ARRAY_MULTIPLY, bin(RP_ARRAY_MULTIPLY, x, KEEP, e, TAKE), TAKE,
             num(RP_ARRAY_SUBTRACT, 1.0, c2, TAKE), TAKE);
  cost = bin(RP_ARRAY_MULTIPLY, s, KEEP, num(RP_ARRAY_SUBTRACT, 1.0, c1, TAKE), TAKE);
  *put = bin(RP_ARRAY_SUBTRACT, gain, TAKE, cost, TAKE);
  RP_CHECK(rp_store_release(d1));
  RP_CHECK(rp_store_release(d2));
}
