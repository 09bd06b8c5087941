/* SPDX-License-Identifier: Apache-2.0
 * kernels/solve/solve_cg.c -- conjugate gradients, plain and preconditioned with the diagonal.
 * Lives here: the two recurrences (Hestenes and Stiefel 1952; Saad, "Iterative Methods for Sparse Linear
 *             Systems", 2nd ed., algorithms 6.18 and 9.1).
 * How:        in three passes over memory: (A p and p.Ap), (x, r and their dots), (p). The preconditioned
 *             residual z = r/d is never stored: both its uses compute it.
 * A division whose divisor is 0 gives 0, so that iterations after an exact solution change nothing. */
#include "kernels/solve/solve_krylov.h"

#include <math.h>

enum { TRACE_CG = INT32_MIN + 0x4347, TRACE_PCG = INT32_MIN + 0x5043 };

/* The ops that both share. */
typedef struct cg_ops {
  rp_op *dot, *alpha, *update, *beta;
} cg_ops;

static cg_ops common_ops(rpi_solve_run *run) {
  return (cg_ops){.dot = rpi_solve_krylov_dot(run),
                  .alpha = rpi_solve_run_op(run, "cg_alpha", "alpha, rho, pAp",
                                            "alpha = where(pAp == 0, 0, rho/pAp)"),
                  .update = rpi_solve_run_op(run, "cg_update", "x, r, p, Ap, alpha",
                                             "x = x + alpha*p; r = r - alpha*Ap"),
                  .beta = rpi_solve_run_op(run, "cg_beta", "beta, rho, rz",
                                           "beta = where(rho == 0, 0, rz/rho); rho = rz")};
}

rp_status rp_solve_cg(rp_operator *a, rp_store *b, rp_store *x, const rp_solve_options *options,
                      rp_solve_result *result) {
  rpi_solve_run run;
  rpi_solve_run_init(&run, __func__, TRACE_CG, a, b, x, options, result);
  const cg_ops op = common_ops(&run);
  rp_op *copy = rpi_solve_run_op(&run, "cg_start", "p, r", "p = r");
  rp_op *set = rpi_solve_run_op(&run, "cg_rho", "rho, rr", "rho = rr");
  rp_op *direction = rpi_solve_run_op(&run, "cg_direction", "p, r, beta", "p = r + beta*p");
  rp_store *r = rpi_solve_run_vector(&run), *p = rpi_solve_run_vector(&run);
  rp_store *Ap = rpi_solve_run_vector(&run), *pAp = rpi_solve_run_scalar(&run);
  rp_store *rho = rpi_solve_run_scalar(&run), *rr = rpi_solve_run_scalar(&run);
  rp_store *alpha = rpi_solve_run_scalar(&run), *beta = rpi_solve_run_scalar(&run);
  rpi_solve_krylov_start(&run, b, x, r, Ap, rr);
  RPI_SOLVE_LAUNCH(&run, copy, p, r);
  RPI_SOLVE_LAUNCH(&run, set, rho, rr);
  while (rpi_solve_run_pass_begin(&run)) {
    rpi_solve_run_apply(&run, p, Ap);
    RPI_SOLVE_LAUNCH(&run, op.dot, pAp, p, Ap);
    RPI_SOLVE_LAUNCH(&run, op.alpha, alpha, rho, pAp);
    RPI_SOLVE_LAUNCH(&run, op.update, x, r, p, Ap, alpha);
    RPI_SOLVE_LAUNCH(&run, op.dot, rr, r, r);
    RPI_SOLVE_LAUNCH(&run, op.beta, beta, rho, rr);
    RPI_SOLVE_LAUNCH(&run, direction, p, r, beta);
    if (rpi_solve_run_pass_end(&run)) {
      rpi_solve_run_check(&run, sqrt(rpi_solve_run_read(&run, rr)));
    }
  }
  return rpi_solve_run_finish(&run, result);
}

rp_status rp_solve_pcg(rp_operator *a, rp_store *b, rp_store *x, const rp_solve_options *options,
                       rp_solve_result *result) {
  rpi_solve_run run;
  rpi_solve_run_init(&run, __func__, TRACE_PCG, a, b, x, options, result);
  rp_store *d = NULL;
  if (run.status == RP_OK) run.status = rpi_solve_operator_diagonal(a, __func__, &d);
  const cg_ops op = common_ops(&run);
  rp_op *start = rpi_solve_run_op(&run, "pcg_start", "p, r, d", "p = r/d");
  rp_op *dot_z = rpi_solve_run_op(&run, "pcg_dot", "rz, r, d", "rz = sum(i) r[i]*(r[i]/d[i])");
  rp_op *direction = rpi_solve_run_op(&run, "pcg_direction", "p, r, d, beta", "p = r/d + beta*p");
  rp_store *r = rpi_solve_run_vector(&run), *p = rpi_solve_run_vector(&run);
  rp_store *Ap = rpi_solve_run_vector(&run), *pAp = rpi_solve_run_scalar(&run);
  rp_store *rho = rpi_solve_run_scalar(&run), *rz = rpi_solve_run_scalar(&run);
  rp_store *rr = rpi_solve_run_scalar(&run), *alpha = rpi_solve_run_scalar(&run);
  rp_store *beta = rpi_solve_run_scalar(&run);
  rpi_solve_krylov_start(&run, b, x, r, Ap, rr);
  RPI_SOLVE_LAUNCH(&run, start, p, r, d);
  RPI_SOLVE_LAUNCH(&run, dot_z, rho, r, d);
  while (rpi_solve_run_pass_begin(&run)) {
    rpi_solve_run_apply(&run, p, Ap);
    RPI_SOLVE_LAUNCH(&run, op.dot, pAp, p, Ap);
    RPI_SOLVE_LAUNCH(&run, op.alpha, alpha, rho, pAp);
    RPI_SOLVE_LAUNCH(&run, op.update, x, r, p, Ap, alpha);
    RPI_SOLVE_LAUNCH(&run, dot_z, rz, r, d);
    RPI_SOLVE_LAUNCH(&run, op.dot, rr, r, r);
    RPI_SOLVE_LAUNCH(&run, op.beta, beta, rho, rz);
    RPI_SOLVE_LAUNCH(&run, direction, p, r, d, beta);
    if (rpi_solve_run_pass_end(&run)) {
      rpi_solve_run_check(&run, sqrt(rpi_solve_run_read(&run, rr)));
    }
  }
  return rpi_solve_run_finish(&run, result);
}
