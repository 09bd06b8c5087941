/* SPDX-License-Identifier: Apache-2.0
 * kernels/solve/solve_krylov.c -- the first residual and the threshold of A x = b. */
#include "kernels/solve/solve_krylov.h"

#include <math.h>

rp_op *rpi_solve_krylov_dot(rpi_solve_run *r) {
  return rpi_solve_run_op(r, "dot", "s, u, v", "s = sum(i) u[i]*v[i]");
}

void rpi_solve_krylov_start(rpi_solve_run *run, rp_store *b, rp_store *x, rp_store *residual,
                            rp_store *work, rp_store *rr) {
  rp_op *dot = rpi_solve_krylov_dot(run);
  rp_op *first = rpi_solve_run_op(run, "first_residual", "r, b, Ax", "r = b - Ax");
  rp_store *bb = rpi_solve_run_scalar(run);
  RPI_SOLVE_LAUNCH(run, dot, bb, b, b);
  rpi_solve_run_apply(run, x, work);
  RPI_SOLVE_LAUNCH(run, first, residual, b, work);
  RPI_SOLVE_LAUNCH(run, dot, rr, residual, residual);
  const double norm_b = sqrt(rpi_solve_run_read(run, bb));
  run->threshold = fmax(run->options.rtol * norm_b, run->options.atol);
  rpi_solve_run_check(run, sqrt(rpi_solve_run_read(run, rr)));
}
