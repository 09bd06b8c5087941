/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/black_scholes.c -- option prices by the formula of F. Black and M. Scholes (1973), one
 * array operation after the other: 63 launches, most of which make a temporary that dies at once.
 * The normal distribution is the polynomial 26.2.17 of Abramowitz and Stegun (1964). */
#include "example.h"
#include "reprise_array.h"

static const double rate = 0.02, volatility = 0.30;

/* What `take` gives up after use: the reference of the operand. A name ends with its last use. */
enum { KEEP = 0, TAKE = 1 };

static rp_store *done(rp_store *operand, int take, rp_store *result) {
  if (take) RP_CHECK(rp_store_release(operand));
  return result;
}

static rp_store *un(rp_array_code f, rp_store *x, int take) {
  rp_store *out;
  RP_CHECK(rp_array_unary(f, x, &out));
  return done(x, take, out);
}

/* f(number, x) */
static rp_store *num(rp_array_code f, double number, rp_store *x, int take) {
  rp_store *out;
  RP_CHECK(rp_array_float_binary(f, number, x, &out));
  return done(x, take, out);
}

static rp_store *bin(rp_array_code f, rp_store *a, int take_a, rp_store *b, int take_b) {
  rp_store *out;
  RP_CHECK(rp_array_binary(f, a, b, &out));
  return done(b, take_b, done(a, take_a, out));
}

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

static void prices(rp_store *s, rp_store *x, rp_store *t, rp_store **call, rp_store **put) {
  const double drift = rate + 0.5 * volatility * volatility;
  rp_store *root = un(RP_ARRAY_SQRT, t, KEEP);
  rp_store *d1 = un(RP_ARRAY_LOG, bin(RP_ARRAY_DIVIDE, s, KEEP, x, KEEP), TAKE);
  rp_store *spread = num(RP_ARRAY_MULTIPLY, volatility, root, KEEP);
  rp_store *shift = bin(RP_ARRAY_DIVIDE, num(RP_ARRAY_MULTIPLY, drift, t, KEEP), TAKE, spread, TAKE);
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
