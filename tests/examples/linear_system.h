/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/linear_system.h -- what the examples of linear solvers share: all but the solver. */
#ifndef LINEAR_SYSTEM_H
#define LINEAR_SYSTEM_H

#include "reprise_solve.h"

typedef rp_status linear_system_solver(rp_operator *a, rp_store *b, rp_store *x,
                                       const rp_solve_options *options, rp_solve_result *result);

/* Solves A x = 1 from x = 0 as the command line says; prints iterations, residual, time and the bits of
 * x. The result is main's. */
int linear_system_main(int argc, char **argv, linear_system_solver *solve);

#endif
