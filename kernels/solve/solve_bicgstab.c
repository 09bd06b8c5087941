/* SPDX-License-Identifier: Apache-2.0
 * kernels/solve/solve_bicgstab.c -- the stabilised bi-conjugate gradients of van der Vorst (1992; Saad,
 * "Iterative Methods for Sparse Linear Systems", 2nd ed., algorithm 7.7).
 * Lives here: the recurrence. A division whose divisor is 0 gives 0: an exact solution, and a
 * breakdown, then stay where they are. */
#include "kernels/solve/solve_krylov.h"

#include <math.h>

enum { TRACE_BICGSTAB = INT32_MIN + 0x4253 };

rp_status rp_solve_bicgstab(rp_operator *a, rp_store *b, rp_store *x,
                            const rp_solve_options *options, rp_solve_result *result) {
  rpi_solve_run run;
  rpi_solve_run_init(&run, __func__, TRACE_BICGSTAB, a, b, x, options, result);
  rp_op *dot = rpi_solve_krylov_dot(&run);
  rp_op *start = rpi_solve_run_op(&run, "bicgstab_start", "p, q, r", "p = r; q = r");
  rp_op *set = rpi_solve_run_op(&run, "cg_rho", "rho, rr", "rho = rr");
  rp_op *ratio = rpi_solve_run_op(&run, "bicgstab_ratio", "c, above, below",
                                  "c = where(below == 0, 0, above/below)");
  rp_op *half = rpi_solve_run_op(&run, "bicgstab_half", "s, r, Ap, alpha", "s = r - alpha*Ap");
  rp_op *update = rpi_solve_run_op(&run, "bicgstab_update", "x, r, p, s, As, alpha, omega",
                                   "x = x + alpha*p + omega*s; r = s - omega*As");
  rp_op *next = rpi_solve_run_op(
      &run, "bicgstab_beta", "beta, rho, qr, alpha, omega",
      "beta = where((rho == 0) | (omega == 0), 0, (qr/rho)*(alpha/omega)); rho = qr");
  rp_op *direction = rpi_solve_run_op(&run, "bicgstab_direction", "p, r, Ap, beta, omega",
                                      "p = r + beta*(p - omega*Ap)");
  rp_store *r = rpi_solve_run_vector(&run), *q = rpi_solve_run_vector(&run);
  rp_store *p = rpi_solve_run_vector(&run), *Ap = rpi_solve_run_vector(&run);
  rp_store *s = rpi_solve_run_vector(&run), *As = rpi_solve_run_vector(&run);
  rp_store *rho = rpi_solve_run_scalar(&run), *qr = rpi_solve_run_scalar(&run);
  rp_store *qAp = rpi_solve_run_scalar(&run), *alpha = rpi_solve_run_scalar(&run);
  rp_store *sAs = rpi_solve_run_scalar(&run), *AsAs = rpi_solve_run_scalar(&run);
  rp_store *omega = rpi_solve_run_scalar(&run), *beta = rpi_solve_run_scalar(&run);
  rp_store *rr = rpi_solve_run_scalar(&run);
  rpi_solve_krylov_start(&run, b, x, r, Ap, rr);
  RPI_SOLVE_LAUNCH(&run, start, p, q, r);
  RPI_SOLVE_LAUNCH(&run, set, rho, rr);
  while (rpi_solve_run_pass_begin(&run)) {
    rpi_solve_run_apply(&run, p, Ap);
    RPI_SOLVE_LAUNCH(&run, dot, qAp, q, Ap);
    RPI_SOLVE_LAUNCH(&run, ratio, alpha, rho, qAp);
    RPI_SOLVE_LAUNCH(&run, half, s, r, Ap, alpha);
    rpi_solve_run_apply(&run, s, As);
    RPI_SOLVE_LAUNCH(&run, dot, sAs, As, s);
    RPI_SOLVE_LAUNCH(&run, dot, AsAs, As, As);
    RPI_SOLVE_LAUNCH(&run, ratio, omega, sAs, AsAs);
    RPI_SOLVE_LAUNCH(&run, update, x, r, p, s, As, alpha, omega);
    RPI_SOLVE_LAUNCH(&run, dot, qr, q, r);
    RPI_SOLVE_LAUNCH(&run, dot, rr, r, r);
    RPI_SOLVE_LAUNCH(&run, next, beta, rho, qr, alpha, omega);
    RPI_SOLVE_LAUNCH(&run, direction, p, r, Ap, beta, omega);
    if (rpi_solve_run_pass_end(&run)) {
      rpi_solve_run_check(&run, sqrt(rpi_solve_run_read(&run, rr)));
    }
  }
  return rpi_solve_run_finish(&run, result);
}
