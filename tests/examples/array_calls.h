/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/array_calls.h -- array operations as expressions: each gives its result, and gives up
 * the operands whose names end with it. */
#ifndef ARRAY_CALLS_H
#define ARRAY_CALLS_H

#include "reprise_array.h"
#include "reprise_do.h"

/* What `take` gives up after use: the reference of the operand. A name ends with its last use. */
enum { KEEP = 0, TAKE = 1 };

static inline rp_store *done(rp_store *operand, int take, rp_store *result) {
  if (take) RP_CHECK(rp_store_release(operand));
  return result;
}

static inline rp_store *un(rp_array_code f, rp_store *x, int take) {
  rp_store *out;
  RP_CHECK(rp_array_unary(f, x, &out));
  return done(x, take, out);
}

/* f(number, x) */
static inline rp_store *num(rp_array_code f, double number, rp_store *x, int take) {
  rp_store *out;
  RP_CHECK(rp_array_float_binary(f, number, x, &out));
  return done(x, take, out);
}

static inline rp_store *bin(rp_array_code f, rp_store *a, int take_a, rp_store *b, int take_b) {
  rp_store *out;
  RP_CHECK(rp_array_binary(f, a, b, &out));
  return done(b, take_b, done(a, take_a, out));
}

#endif
