/* SPDX-License-Identifier: Apache-2.0
 * kernels/solve/solve_run.h -- what every solver has: options, ops, work vectors, passes, checks.
 * Lives here: the frame. Not here: the recurrences (solve_cg.c, solve_bicgstab.c, solve_fixed.c).
 * How:        a solver opens a run, asks it for ops and work stores (which it owns), and brackets each
 *             iteration with pass_begin and pass_end. Errors stick to the run: after the first, each
 *             of these does nothing, so that a recurrence reads straight down. */
#ifndef RPI_SOLVE_RUN_H
#define RPI_SOLVE_RUN_H

#include <stdbool.h>

#include "kernels/solve/solve_operator.h"

enum { RPI_SOLVE_MAX_STORES = 20 };

typedef struct rpi_solve_run {
  rp_status status;
  const char *function; /* for messages */
  rp_operator *a;
  rp_library *lib;
  rp_solve_options options;
  rp_solve_result result;
  double threshold; /* converged at or below */
  int64_t trace;    /* id of the pass; 0 while the caller's trace is used */
  bool traced;      /* this run has opened the trace of the current pass */
  bool stop;        /* converged, or progress said so */
  int32_t n_stores;
  rp_store *stores[RPI_SOLVE_MAX_STORES];
} rpi_solve_run;

/* Checks everything that a solver is given (without a right-hand side, b is x). `trace` is the
 * solver's own. */
void rpi_solve_run_init(rpi_solve_run *r, const char *function, int64_t trace, rp_operator *a,
                        rp_store *b, rp_store *x, const rp_solve_options *options,
                        const rp_solve_result *result);
/* Frees the work stores, copies the result out, and returns the status. */
rp_status rpi_solve_run_finish(rpi_solve_run *r, rp_solve_result *result);

/* A work vector / scalar, zero. NULL after an error. */
rp_store *rpi_solve_run_vector(rpi_solve_run *r);
rp_store *rpi_solve_run_scalar(rpi_solve_run *r);

/* Registers an op of the library "solve"; `params` and `body` as in rp_op_create. */
rp_op *rpi_solve_run_op(rpi_solve_run *r, const char *name, const char *params, const char *body);
/* Launches it on `n` stores. */
void rpi_solve_run_launch(rpi_solve_run *r, rp_op *op, int32_t n, rp_store *const *stores);
void rpi_solve_run_launch_scalar(rpi_solve_run *r, rp_op *op, int32_t n, rp_store *const *stores,
                                 double scalar);
/* y = A x */
void rpi_solve_run_apply(rpi_solve_run *r, rp_store *x, rp_store *y);
/* Waits for a rank-0 store and returns its value; 0 after an error. */
double rpi_solve_run_read(rpi_solve_run *r, rp_store *scalar);

/* More iterations to do? Then begins the pass of the next one. */
bool rpi_solve_run_pass_begin(rpi_solve_run *r);
/* Ends it, counts it, and says whether this is one that is checked (the last one always is). */
bool rpi_solve_run_pass_end(rpi_solve_run *r);
/* Records a residual: sets converged, calls progress, may stop the run. */
void rpi_solve_run_check(rpi_solve_run *r, double residual);

/* Launch on the stores named. */
#define RPI_SOLVE_LAUNCH(run, op, ...) \
  rpi_solve_run_launch((run), (op), \
                       (int32_t)(sizeof((rp_store *const[]){__VA_ARGS__}) / sizeof(rp_store *)), \
                       (rp_store *const[]){__VA_ARGS__})

#endif
