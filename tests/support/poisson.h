/* SPDX-License-Identifier: Apache-2.0
 * tests/support/poisson.h -- one system of equations for every method: the 5-point matrix of a square grid, which the library makes,
 * and a right side from the host.
 * Lives here: a solution of so many steps, and its residual. Not here: whether it is right (test_solve_api.c). */
#ifndef POISSON_H
#define POISSON_H

#include "core/include/reprise_solve.h"
#include "core/include/reprise_sparse.h"

typedef rp_status poisson_method(rp_operator *, rp_store *, rp_store *, const rp_solve_options *,
                                 rp_solve_result *);

/* The matrix of side*side unknowns. */
static inline rp_status poisson_matrix(rp_context *c, int64_t side, rp_operator **out) {
  static const int64_t offsets[] = {0, 0, -1, 0, 1, 0, 0, -1, 0, 1};
  static const double values[] = {4, -1, -1, -1, -1};
  const int64_t shape[] = {side, side};
  rp_csr *a;
  rp_status st = rp_csr_from_stencil(c, RP_F64, 2, shape, 5, offsets, values, &a);
  if (st != RP_OK) return st;
  st = rp_operator_from_csr(a, out);
  rp_csr_release(a);
  return st;
}

/* `steps` steps of the method, which are looked at now and then. out: the solution, and behind it its residual. */
static inline rp_status poisson_solve(rp_context *c, int64_t side, poisson_method *method,
                                      int32_t steps, double *out) {
  const int64_t n = side * side;
  const size_t bytes = (size_t)n * sizeof *out;
  const rp_solve_options o = {
      .struct_size = sizeof o, .max_iterations = steps, .check_every = 7, .rtol = 1e-300};
  rp_solve_result result = {.struct_size = sizeof result};
  rp_operator *a = NULL;
  rp_store *b = NULL, *x = NULL;
  for (int64_t i = 0; i < n; i++) out[i] = 1.0 / (1 + i % 17);
  rp_status st = poisson_matrix(c, side, &a);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 1, &n, &b);
  if (st == RP_OK) st = rp_store_write(b, out, bytes);
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 1, &n, &x);
  if (st == RP_OK) st = method(a, b, x, &o, &result);
  if (st == RP_OK) st = rp_store_read(x, out, bytes);
  out[n] = result.residual;
  rp_operator_release(a);
  rp_store_release(b);
  rp_store_release(x);
  return st;
}

#endif
