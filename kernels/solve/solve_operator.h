/* SPDX-License-Identifier: Apache-2.0
 * kernels/solve/solve_operator.h -- A, as the solvers see it: something that is applied.
 * Not here: the solvers. */
#ifndef RPI_SOLVE_OPERATOR_H
#define RPI_SOLVE_OPERATOR_H

#include "core/include/reprise_solve.h"

struct rp_operator {
  uint64_t magic;
  rp_context *ctx;
  rp_dtype dtype;
  int64_t n;
  rp_apply apply;
  void *user;
  rp_csr *csr;        /* or NULL; `user` is it then */
  rp_store *diagonal; /* or NULL: of a matrix made at its first use */
};

/* RP_OK if a is a live operator. */
rp_status rpi_solve_operator_check(const rp_operator *a, const char *function);
/* The diagonal, borrowed. RP_ERR_ARGUMENT if the operator has none. */
rp_status rpi_solve_operator_diagonal(rp_operator *a, const char *function, rp_store **out);

#endif
