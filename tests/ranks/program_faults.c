/* SPDX-License-Identifier: Apache-2.0
 * tests/ranks/program_faults.c -- a loop over shared arrays, one rank of which does something wrong.
 *
 *   program_faults [MODE]   started by mpirun or alone; tests/ranks/run_faults.py does
 *
 * Each pass is one trace whose dot product the program reads, and one that calls a C function. Rank 1 does what MODE
 * says in one pass; who is rank 1, the launcher's environment says, since to a program all ranks are alike. It knows
 * the public headers only: what is tested is what becomes of a program. At its end it prints the last dot product. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "reprise.h"
#include "reprise_do.h"

enum {
  ELEMENTS = 100000,
  PASSES = 60,
  FAULT_AT = 20,
  SLOW_PASSES = 3,
  ASLEEP_S = 30,
  SUSPEND_US = 30000
};
enum { LONG_PASSES = 1000000, LONG_S = 60 };
enum { MANY = 1 << 23, ROOM = 32 << 20 /* bytes; too few for so many elements */ };

static bool is_failing; /* what this process's function will report */

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

/* The C function of the op `check`. */
static int check(double *y, int64_t n) {
  y[0] = (double)n;
  return is_failing;
}

static rp_op *make_check(rp_context *ctx) {
  static const int32_t writes[] = {RP_PRIV_WRITE};
  static const rp_opaque_arg args[] = {{RP_ARG_PTR, 0, 0, 0, 0}, {RP_ARG_SIZE, 0, 0, 0, 0}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "check",
                            .params = "y",
                            .privileges = writes,
                            .function = (void (*)(void))check,
                            .args = args,
                            .n_args = 2,
                            .flags = RP_OPAQUE_DENSE | RP_OPAQUE_STATUS};
  rp_library *lib;
  rp_op *op;
  RP_CHECK(rp_library_create(ctx, "faults", &lib));
  RP_CHECK(rp_op_create_opaque(lib, &d, &op));
  return op;
}

static void call(const problem *p, rp_op *op) {
  double value;
  RP_CHECK(rp_launch(op, (rp_store *[]){p->dot}, 1, NULL, 0));
  RP_CHECK(rp_store_read(p->dot, &value, sizeof value));
}

static void compute_much(rp_context *ctx) {
  const problem p = problem_of(ctx, MANY);
  printf("much %a\n", pass(&p, false));
  forget(&p);
}

/* From now on this process gets little more memory. */
static void limit_memory(void) {
  unsigned long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%lu", &pages) != 1) exit(77);
  fclose(f);
  const rlim_t most = pages * (rlim_t)sysconf(_SC_PAGESIZE) + ROOM;
  const struct rlimit limit = {most, most};
  if (setrlimit(RLIMIT_AS, &limit) != 0) exit(77);
}

static bool is_rank(const char *want) {
  const char *rank = getenv("PMIX_RANK");
  return rank && strcmp(rank, want) == 0;
}

/* What a process does to itself, before pass k. */
static void commit_fault(const char *mode, int k) {
  if (strcmp(mode, "slow") == 0 && k < FAULT_AT + SLOW_PASSES) sleep(1);
  if (k != FAULT_AT) return;
  if (strcmp(mode, "kill") == 0) raise(SIGKILL);
  if (strcmp(mode, "stop") == 0) raise(SIGSTOP);
  if (strcmp(mode, "exit0") == 0) exit(0);
  if (strcmp(mode, "exit1") == 0) exit(1);
  if (strcmp(mode, "asleep") == 0) sleep(ASLEEP_S);
  if (strcmp(mode, "memory") == 0) limit_memory();
  is_failing = strcmp(mode, "task") == 0;
}

static void say_on_the_way(void) {
  if (!is_rank("0")) return;
  puts("on the way");
  fflush(stdout);
}

/* Goes on until somebody else ends it; `long` itself is no fault. */
static void take_long(const problem *p) {
  const time_t end = time(NULL) + LONG_S;
  for (int k = 0; k < LONG_PASSES; k++) {
    (void)pass(p, false);
    if (k == FAULT_AT) say_on_the_way();
    if (time(NULL) > end) exit(1);
  }
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  const bool wrong = is_rank("1");
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  const problem usual = problem_of(ctx, ELEMENTS), other = problem_of(ctx, ELEMENTS - 1);
  rp_op *op = make_check(ctx);
  double dot = 0;
  if (strcmp(mode, "long") == 0) take_long(&usual);
  const bool suspended = strcmp(mode, "suspend") == 0;
  for (int k = 0; k < PASSES; k++) {
    if (suspended && k == FAULT_AT) say_on_the_way();
    if (suspended && wrong) usleep(SUSPEND_US); /* the others are found waiting */
    const bool now = wrong && k == FAULT_AT;
    if (wrong && k >= FAULT_AT) commit_fault(mode, k);
    dot = pass(now && strcmp(mode, "shape") == 0 ? &other : &usual,
               now && strcmp(mode, "extra") == 0);
    call(&usual, op);
    if (k == FAULT_AT && strcmp(mode, "memory") == 0) compute_much(ctx);
  }
  printf("dot %a\n", dot);
  forget(&usual);
  forget(&other);
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
