/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/ours_krylov.c -- CG, BiCGSTAB and the power method written out as loops on stores: the
 * launches of kernels/solve, with the pass in the measurement's own hand. */
#include <stdlib.h>
#include <string.h>

#include "reprise_array.h"
#include "reprise_sparse.h"
#include "tests/bench/bench.h"

enum { N_VECTORS = 7, N_SCALARS = 9, N_OPS = 8 };

typedef struct krylov {
  rp_context *ctx;
  rp_library *lib;
  rp_csr *a;
  int64_t n;
  rp_store *v[N_VECTORS]; /* x, r, p, Ap, q, s, As */
  rp_store *c[N_SCALARS];
  rp_op *op[N_OPS];
} krylov;

#define LAUNCH(op, ...) \
  RP_CHECK(rp_launch((op), (rp_store *const[]){__VA_ARGS__}, \
                     (int32_t)(sizeof((rp_store *const[]){__VA_ARGS__}) / sizeof(rp_store *)), \
                     NULL, 0))

/* Takes the matrix. */
static krylov *make(const char *config, bench_matrix m, int vectors, int scalars) {
  krylov *k = bench_need(sizeof *k);
  memset(k, 0, sizeof *k);
  k->n = m.n;
  RP_CHECK(rp_context_create(config, &k->ctx));
  RP_CHECK(rp_library_create(k->ctx, "bench", &k->lib));
  RP_CHECK(rp_csr_from_arrays(k->ctx, RP_F64, m.n, m.n, m.ptr, m.col, m.val, &k->a));
  bench_matrix_free(&m);
  for (int i = 0; i < vectors; i++) {
    RP_CHECK(rp_store_create(k->ctx, RP_F64, 1, &k->n, &k->v[i]));
  }
  for (int i = 0; i < scalars; i++) RP_CHECK(rp_store_create(k->ctx, RP_F64, 0, NULL, &k->c[i]));
  return k;
}

static void op(krylov *k, int i, const char *name, const char *params, const char *body) {
  RP_CHECK(rp_op_create(k->lib, name, params, body, &k->op[i]));
}

static void fill(rp_store *s, double value) { RP_CHECK(rp_store_fill(s, &value)); }

static void reset_solver(void *self) {
  krylov *k = self;
  fill(k->v[0], 0);
  fill(k->v[1], 1);
  fill(k->v[2], 1);
  if (k->v[4]) fill(k->v[4], 1);
  fill(k->c[0], (double)k->n);
  RP_CHECK(rp_wait(k->ctx));
}

static void result(void *self, double *out) {
  krylov *k = self;
  RP_CHECK(rp_store_read(k->v[0], out, (size_t)k->n * sizeof *out));
}

static void free_krylov(void *self) {
  krylov *k = self;
  for (int i = 0; i < N_VECTORS; i++) RP_CHECK(rp_store_release(k->v[i]));
  for (int i = 0; i < N_SCALARS; i++) RP_CHECK(rp_store_release(k->c[i]));
  RP_CHECK(rp_csr_release(k->a));
  RP_CHECK(rp_context_destroy(k->ctx));
  free(k);
}

static bench_prog program(krylov *k, void (*run)(void *self, int64_t passes)) {
  reset_solver(k);
  return (bench_prog){.self = k,
                      .reset = reset_solver,
                      .run = run,
                      .result = result,
                      .free = free_krylov,
                      .n_result = k->n,
                      .ctx = k->ctx};
}

/* ---- conjugate gradients ------------------------------------------------------------------------------ */

static void cg_run(void *self, int64_t passes) {
  krylov *k = self;
  rp_store *x = k->v[0], *r = k->v[1], *p = k->v[2], *Ap = k->v[3];
  rp_store *rho = k->c[0], *pAp = k->c[1], *alpha = k->c[2], *rr = k->c[3], *beta = k->c[4];
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_trace_begin(k->ctx, 1));
    RP_CHECK(rp_csr_multiply_to(k->a, p, Ap));
    LAUNCH(k->op[0], pAp, p, Ap);
    LAUNCH(k->op[1], alpha, rho, pAp);
    LAUNCH(k->op[2], x, r, p, Ap, alpha);
    LAUNCH(k->op[0], rr, r, r);
    LAUNCH(k->op[3], beta, rho, rr);
    LAUNCH(k->op[4], p, r, beta);
    RP_CHECK(rp_trace_end(k->ctx, 1));
  }
}

bench_prog bench_ours_cg(const char *config, int64_t side) {
  krylov *k = make(config, bench_matrix_poisson(side), 4, 5);
  op(k, 0, "dot", "s, u, v", "s = sum(i) u[i]*v[i]");
  op(k, 1, "alpha", "alpha, rho, pAp", "alpha = rho/pAp");
  op(k, 2, "update", "x, r, p, Ap, alpha", "x = x + alpha*p; r = r - alpha*Ap");
  op(k, 3, "beta", "beta, rho, rr", "beta = rr/rho; rho = rr");
  op(k, 4, "direction", "p, r, beta", "p = r + beta*p");
  return program(k, cg_run);
}

/* ---- BiCGSTAB ----------------------------------------------------------------------------------------- */

static void bicgstab_run(void *self, int64_t passes) {
  krylov *k = self;
  rp_store *x = k->v[0], *r = k->v[1], *p = k->v[2], *Ap = k->v[3], *q = k->v[4], *s = k->v[5];
  rp_store *As = k->v[6], *rho = k->c[0], *qAp = k->c[1], *alpha = k->c[2], *sAs = k->c[3];
  rp_store *AsAs = k->c[4], *omega = k->c[5], *qr = k->c[6], *beta = k->c[7], *rr = k->c[8];
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_trace_begin(k->ctx, 1));
    RP_CHECK(rp_csr_multiply_to(k->a, p, Ap));
    LAUNCH(k->op[0], qAp, q, Ap);
    LAUNCH(k->op[1], alpha, rho, qAp);
    LAUNCH(k->op[2], s, r, Ap, alpha);
    RP_CHECK(rp_csr_multiply_to(k->a, s, As));
    LAUNCH(k->op[0], sAs, As, s);
    LAUNCH(k->op[0], AsAs, As, As);
    LAUNCH(k->op[1], omega, sAs, AsAs);
    LAUNCH(k->op[3], x, r, p, s, As, alpha, omega);
    LAUNCH(k->op[0], qr, q, r);
    LAUNCH(k->op[0], rr, r, r);
    LAUNCH(k->op[4], beta, rho, qr, alpha, omega);
    LAUNCH(k->op[5], p, r, Ap, beta, omega);
    RP_CHECK(rp_trace_end(k->ctx, 1));
  }
}

bench_prog bench_ours_bicgstab(const char *config, int64_t side) {
  krylov *k = make(config, bench_matrix_poisson(side), 7, 9);
  op(k, 0, "dot", "s, u, v", "s = sum(i) u[i]*v[i]");
  op(k, 1, "ratio", "c, above, below", "c = above/below");
  op(k, 2, "half", "s, r, Ap, alpha", "s = r - alpha*Ap");
  op(k, 3, "update", "x, r, p, s, As, alpha, omega", "x = x + alpha*p + omega*s; r = s - omega*As");
  op(k, 4, "beta", "beta, rho, qr, alpha, omega", "beta = (qr/rho)*(alpha/omega); rho = qr");
  op(k, 5, "direction", "p, r, Ap, beta, omega", "p = r + beta*(p - omega*Ap)");
  return program(k, bicgstab_run);
}

/* ---- the power method ------------------------------------------------------------------------------- */

static void power_run(void *self, int64_t passes) {
  krylov *k = self;
  for (int64_t i = 0; i < passes; i++) {
    rp_store *x = k->v[0], *y, *norm, *next, *xx, *xy;
    RP_CHECK(rp_trace_begin(k->ctx, 1));
    RP_CHECK(rp_csr_multiply(k->a, x, &y));
    RP_CHECK(rp_array_dot(x, x, &xx));
    RP_CHECK(rp_array_dot(x, y, &xy));
    RP_CHECK(rp_store_release(k->c[0]));
    RP_CHECK(rp_array_divide(xy, xx, &k->c[0]));
    RP_CHECK(rp_array_norm(y, &norm));
    RP_CHECK(rp_array_divide(y, norm, &next));
    RP_CHECK(rp_store_release(x));
    k->v[0] = next;
    rp_store *const gone[] = {y, norm, xx, xy};
    for (int g = 0; g < 4; g++) RP_CHECK(rp_store_release(gone[g]));
    RP_CHECK(rp_trace_end(k->ctx, 1));
  }
}

static void power_reset(void *self) {
  krylov *k = self;
  fill(k->v[0], 1);
  RP_CHECK(rp_wait(k->ctx));
}

bench_prog bench_ours_power(const char *config, int64_t n) {
  krylov *k = make(config, bench_matrix_random(n), 1, 1);
  bench_prog p = {.self = k,
                  .reset = power_reset,
                  .run = power_run,
                  .result = result,
                  .free = free_krylov,
                  .n_result = k->n,
                  .ctx = k->ctx};
  power_reset(k);
  return p;
}
