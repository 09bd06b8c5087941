/* SPDX-License-Identifier: Apache-2.0
 * reprise_solve.h -- iterative solvers: CG, Jacobi-preconditioned CG, BiCGSTAB, damped Jacobi, power iteration.
 *
 * Lives here: the public interface of kernels/solve, an ordinary client of reprise.h.
 * Not here:   matrices (reprise_sparse.h).
 *
 * Vectors are rank-1 stores of one dtype, f32 or f64, which all scalars have too. Every iteration is
 * one pass of a trace; inside a trace of the caller's it belongs to that one. The host reads a residual
 * every `check_every` iterations only. Trace ids INT32_MIN .. INT32_MIN + 65535 are theirs. On success, converged or not, x holds the last iterate.
 */
#ifndef REPRISE_SOLVE_H
#define REPRISE_SOLVE_H

#include "reprise.h"
#include "reprise_sparse.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- operators -------------------------------------------------------------------------------------- */

typedef struct rp_operator rp_operator;

/* Launches y = A x, and does not wait. x and y are never one store. A failure ends the solve and is
 * returned by it. */
typedef rp_status (*rp_apply)(void *user, rp_store *x, rp_store *y);

/* The operator of a square matrix, of which it keeps a reference. */
RP_API rp_status rp_operator_from_csr(rp_csr *a, rp_operator **out);
/* A matrix-free one on vectors of n elements. `diagonal` (its diagonal, rank 1, n elements) may be
 * NULL: then the solvers that need one refuse it. `user` must outlive the operator. */
RP_API rp_status rp_operator_create(rp_context *ctx, rp_dtype dtype, int64_t n, rp_apply apply,
                                    void *user, rp_store *diagonal, rp_operator **out);
/* NULL is allowed. */
RP_API rp_status rp_operator_release(rp_operator *a);

/* ---- options and results -------------------------------------------------------------------------------- */

/* Called at every check, after it; a result other than 0 ends the solve there, without error. */
typedef int32_t (*rp_solve_progress)(void *user, int64_t iteration, double residual);

/* NULL for the whole struct, and 0 or NULL for a field, mean the default. */
typedef struct rp_solve_options {
  size_t struct_size;         /* sizeof(rp_solve_options) */
  int64_t max_iterations;     /* 1000 */
  int64_t check_every;        /* 25; iterations between two looks at the residual */
  double rtol;                /* 1e-8 (f32: 1e-4), of the norm of b (power: of the eigenvalue) */
  double atol;                /* 0: converged when residual <= max(rtol*|b|, atol) */
  double damping;             /* 2/3 (Jacobi) */
  rp_solve_progress progress; /* NULL */
  void *user;                 /* passed to progress */
} rp_solve_options;

/* Set struct_size before the call; the rest is written, also when the solve fails. */
typedef struct rp_solve_result {
  size_t struct_size; /* sizeof(rp_solve_result) */
  int64_t iterations; /* that x has seen */
  double residual;    /* 2-norm at the last check: |b - A x|, for power |A x - value x| */
  double value;       /* power: the eigenvalue; otherwise 0 */
  int32_t converged;  /* 0 or 1 */
  int32_t reserved;
} rp_solve_result;

/* ---- solvers: x is read as the first guess and written; `options` and `result` may be NULL ------------------ */

/* Conjugate gradients (M. R. Hestenes, E. Stiefel, 1952), for symmetric positive definite A. */
RP_API rp_status rp_solve_cg(rp_operator *a, rp_store *b, rp_store *x,
                             const rp_solve_options *options, rp_solve_result *result);
/* The same, preconditioned with the diagonal of A, which must not have a 0. */
RP_API rp_status rp_solve_pcg(rp_operator *a, rp_store *b, rp_store *x,
                              const rp_solve_options *options, rp_solve_result *result);
/* BiCGSTAB (H. A. van der Vorst, 1992), for any regular A. After a breakdown x stays where it is. */
RP_API rp_status rp_solve_bicgstab(rp_operator *a, rp_store *b, rp_store *x,
                                   const rp_solve_options *options, rp_solve_result *result);
/* x += damping * D^-1 (b - A x), with D the diagonal of A, which must not have a 0. The residual is that
 * of the iterate before the last. */
RP_API rp_status rp_solve_jacobi(rp_operator *a, rp_store *b, rp_store *x,
                                 const rp_solve_options *options, rp_solve_result *result);
/* The eigenvalue of largest magnitude, as Rayleigh quotient, and its vector of norm 1 in x, whose
 * first guess must not be 0. Residual and value are those of the iterate before the last. */
RP_API rp_status rp_solve_power(rp_operator *a, rp_store *x, const rp_solve_options *options,
                                rp_solve_result *result);

#ifdef __cplusplus
}
#endif

#endif
