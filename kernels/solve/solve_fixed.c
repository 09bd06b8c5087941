/* SPDX-License-Identifier: Apache-2.0
 * kernels/solve/solve_fixed.c -- fixed-point iterations: damped Jacobi and the power method.
 * Lives here: the two recurrences (Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., section
 * 4.1; Golub and Van Loan, "Matrix Computations", 4th ed., section 7.3.1). */
#include "kernels/failure.h"
#include "kernels/solve/solve_krylov.h"

#include <math.h>

enum { TRACE_JACOBI = INT32_MIN + 0x4a61, TRACE_POWER = INT32_MIN + 0x506f };

rp_status rp_solve_jacobi(rp_operator *a, rp_store *b, rp_store *x, const rp_solve_options *options,
                          rp_solve_result *result) {
  rpi_solve_run run;
  rpi_solve_run_init(&run, __func__, TRACE_JACOBI, a, b, x, options, result);
  rp_store *d = NULL;
  if (run.status == RP_OK) run.status = rpi_solve_operator_diagonal(a, __func__, &d);
  rp_op *norm = rpi_solve_run_op(&run, "jacobi_residual", "rr, b, Ax",
                                 "rr = sum(i) (b[i] - Ax[i])*(b[i] - Ax[i])");
  rp_op *update =
      rpi_solve_run_op(&run, "jacobi_update", "x, b, Ax, d, w:float", "x = x + w*((b - Ax)/d)");
  rp_store *Ax = rpi_solve_run_vector(&run), *r = rpi_solve_run_vector(&run);
  rp_store *rr = rpi_solve_run_scalar(&run);
  rpi_solve_krylov_start(&run, b, x, r, Ax, rr);
  rp_store *const operands[] = {x, b, Ax, d};
  while (rpi_solve_run_pass_begin(&run)) {
    rpi_solve_run_apply(&run, x, Ax);
    RPI_SOLVE_LAUNCH(&run, norm, rr, b, Ax);
    rpi_solve_run_launch_scalar(&run, update, 4, operands, run.options.damping);
    if (rpi_solve_run_pass_end(&run)) {
      rpi_solve_run_check(&run, sqrt(rpi_solve_run_read(&run, rr)));
    }
  }
  return rpi_solve_run_finish(&run, result);
}

/* x = x/|x|; a guess of 0 has no direction. */
static void normalise_guess(rpi_solve_run *run, rp_op *dot, rp_op *scale, rp_store *x,
                            rp_store *xx) {
  RPI_SOLVE_LAUNCH(run, dot, xx, x, x);
  const double norm = rpi_solve_run_read(run, xx);
  if (run->status == RP_OK && !(norm > 0)) {
    run->status = rpi_failure_set(RP_ERR_ARGUMENT, "%s: the first guess has norm %g", run->function,
                                  sqrt(norm));
  }
  RPI_SOLVE_LAUNCH(run, scale, x, x, xx);
}

rp_status rp_solve_power(rp_operator *a, rp_store *x, const rp_solve_options *options,
                         rp_solve_result *result) {
  rpi_solve_run run;
  rpi_solve_run_init(&run, __func__, TRACE_POWER, a, x, x, options, result);
  rp_op *dot = rpi_solve_krylov_dot(&run);
  rp_op *scale =
      rpi_solve_run_op(&run, "power_scale", "x, y, yy", "x = where(yy == 0, 0, y/sqrt(yy))");
  rp_op *norm = rpi_solve_run_op(&run, "power_residual", "rr, y, x, value",
                                 "rr = sum(i) (y[i] - value*x[i])*(y[i] - value*x[i])");
  rp_store *y = rpi_solve_run_vector(&run), *value = rpi_solve_run_scalar(&run);
  rp_store *yy = rpi_solve_run_scalar(&run), *rr = rpi_solve_run_scalar(&run);
  normalise_guess(&run, dot, scale, x, yy);
  while (rpi_solve_run_pass_begin(&run)) {
    rpi_solve_run_apply(&run, x, y);
    RPI_SOLVE_LAUNCH(&run, dot, value, x, y);
    RPI_SOLVE_LAUNCH(&run, dot, yy, y, y);
    RPI_SOLVE_LAUNCH(&run, norm, rr, y, x, value);
    RPI_SOLVE_LAUNCH(&run, scale, x, y, yy);
    if (rpi_solve_run_pass_end(&run)) {
      run.result.value = rpi_solve_run_read(&run, value);
      run.threshold = fmax(run.options.rtol * fabs(run.result.value), run.options.atol);
      rpi_solve_run_check(&run, sqrt(rpi_solve_run_read(&run, rr)));
    }
  }
  return rpi_solve_run_finish(&run, result);
}
