/* SPDX-License-Identifier: Apache-2.0
 * kernels/solve/solve_krylov.h -- what the solvers of A x = b begin with. */
#ifndef RPI_SOLVE_KRYLOV_H
#define RPI_SOLVE_KRYLOV_H

#include "kernels/solve/solve_run.h"

/* The op s = sum of u*v. */
rp_op *rpi_solve_krylov_dot(rpi_solve_run *r);
/* r = b - A x through `work`; rr = r.r; sets the threshold from b, and checks the first residual. */
void rpi_solve_krylov_start(rpi_solve_run *run, rp_store *b, rp_store *x, rp_store *residual,
                            rp_store *work, rp_store *rr);

#endif
