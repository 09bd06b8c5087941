/* SPDX-License-Identifier: Apache-2.0
 * tests/ranks/program_faults.c -- a loop over shared arrays, one rank of which does something wrong.
 *
 *   program_faults [MODE]   started by mpirun or alone; tests/ranks/run_faults.py does
 *
 * Each pass is one trace whose dot product the program reads. Rank 1 does what MODE says in one pass; who is
 * rank 1, the launcher's environment says, since to a program all ranks are alike. It knows the public headers
 * only: what is tested is what becomes of a program. At its end it prints the last dot product. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reprise.h"
#include "reprise_do.h"

enum { ELEMENTS = 100000, PASSES = 60, FAULT_AT = 20, SLOW_PASSES = 3 };

typedef struct problem {
  rp_context *ctx;
  rp_store *x, *y, *dot;
} problem;

static rp_store *full(rp_context *ctx, int64_t n, double value) {
  rp_store *s;
  RP_CHECK(rp_store_create(ctx, RP_F64, 1, &n, &s));
  RP_CHECK(rp_store_fill(s, &value));
  return s;
}

static problem problem_of(rp_context *ctx, int64_t n) {
  problem p = {.ctx = ctx, .x = full(ctx, n, 1.0), .y = full(ctx, n, 0.001)};
  RP_CHECK(rp_store_create(ctx, RP_F64, 0, NULL, &p.dot));
  return p;
}

static void forget(const problem *p) {
  RP_CHECK(rp_store_release(p->x));
  RP_CHECK(rp_store_release(p->y));
  RP_CHECK(rp_store_release(p->dot));
}

static double pass(const problem *p, bool extra) {
  rp_store *x = p->x, *y = p->y, *dot = p->dot;
  double value;
  RP_CHECK(rp_trace_begin(p->ctx, 1));
  RP_CHECK(RP_DO(p->ctx, "x = 0.99*x + y", x, y));
  if (extra) RP_CHECK(RP_DO(p->ctx, "y = y + 0.001*x", y, x));
  RP_CHECK(RP_DO(p->ctx, "dot = sum(i) x[i]*y[i]", dot, x, y));
  RP_CHECK(rp_trace_end(p->ctx, 1));
  RP_CHECK(rp_store_read(dot, &value, sizeof value));
  return value;
}

/* What a process does to itself, before pass k. */
static void commit_fault(const char *mode, int k) {
  if (strcmp(mode, "slow") == 0 && k < FAULT_AT + SLOW_PASSES) sleep(1);
  if (k != FAULT_AT) return;
  if (strcmp(mode, "kill") == 0) raise(SIGKILL);
  if (strcmp(mode, "stop") == 0) raise(SIGSTOP);
  if (strcmp(mode, "exit0") == 0) exit(0);
  if (strcmp(mode, "exit1") == 0) exit(1);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "", *rank = getenv("OMPI_COMM_WORLD_RANK");
  const bool wrong = rank && strcmp(rank, "1") == 0;
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  const problem usual = problem_of(ctx, ELEMENTS), other = problem_of(ctx, ELEMENTS - 1);
  double dot = 0;
  for (int k = 0; k < PASSES; k++) {
    const bool now = wrong && k == FAULT_AT;
    if (wrong && k >= FAULT_AT) commit_fault(mode, k);
    dot = pass(now && strcmp(mode, "shape") == 0 ? &other : &usual,
               now && strcmp(mode, "extra") == 0);
  }
  printf("dot %a\n", dot);
  forget(&usual);
  forget(&other);
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
