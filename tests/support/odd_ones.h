/* SPDX-License-Identifier: Apache-2.0
 * tests/support/odd_ones.h -- a C function that decides how large its result is: the odd ones of a vector's numbers, in order.
 * Lives here: the function and its op, of f64. Not here: what such ops may do (test_api_unbound.c). */
#ifndef ODD_ONES_H
#define ODD_ONES_H

#include "core/include/reprise.h"

static inline void odd_ones(double *y, int64_t *made, const double *x, int64_t n) {
  int64_t k = 0;
  for (int64_t i = 0; i < n; i++)
    if ((int64_t)x[i] % 2) y[k++] = x[i];
  *made = k;
}

/* An op of stores y, which is unbound, and x. It may be called on blocks of rows. No assertions: ranks' threads use it. */
static inline rp_status odd_ones_op(rp_context *c, rp_op **out) {
  static const int32_t privileges[] = {RP_PRIV_UNBOUND, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {{.kind = RP_ARG_PTR, .a = 0},
                                       {.kind = RP_ARG_COUNT, .a = 0},
                                       {.kind = RP_ARG_PTR, .a = 1},
                                       {.kind = RP_ARG_SIZE, .a = 1}};
  static const rp_constraint room = {.kind = RP_CONSTRAINT_SCALE, .a = 0, .b = 1, .factor = 1};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "odd_ones",
                            .params = "y, x",
                            .privileges = privileges,
                            .function = (void (*)(void))odd_ones,
                            .args = args,
                            .n_args = 4,
                            .flags = RP_OPAQUE_DENSE | RP_OPAQUE_SPLIT,
                            .constraints = &room,
                            .n_constraints = 1};
  rp_library *lib;
  const rp_status st = rp_library_create(c, "filters", &lib);
  return st == RP_OK ? rp_op_create_opaque(lib, &d, out) : st;
}

#endif
