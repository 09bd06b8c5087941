/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/demo.c -- what the runtime does, in figures: a sparse system from a Matrix Market file, then
 * the 2-D Poisson problem by conjugate gradients, three times: as it is, without fusion, without
 * tracing. The three must give the same bits; the program fails if they do not.
 * Lives here: the runs, and a triad that measures how fast this machine's memory is. */
#include <pthread.h>
#include <unistd.h>

#include "example.h"
#include "reprise_solve.h"

#ifndef DEMO_MATRIX
#define DEMO_MATRIX "tests/examples/data/poisson_small.mtx"
#endif

/* ---- the roof: a[i] = b[i] + s*c[i] over arrays that no cache holds ---------------------------------------- */

enum { TRIAD_ELEMENTS = 4 << 20, TRIAD_ROUNDS = 5, TRIAD_MAX_THREADS = 64 };

typedef struct triad_part {
  double *a;
  const double *b, *c;
  size_t n;
  int rounds;
} triad_part;

static void *triad(void *argument) {
  const triad_part *t = argument;
  for (int round = 0; round < t->rounds; round++) {
    for (size_t i = 0; i < t->n; i++) t->a[i] = t->b[i] + 0.5 * t->c[i];
  }
  return NULL;
}

/* Runs the parts at once; the seconds they took together. */
static double triad_run(triad_part *parts, int n) {
  pthread_t thread[TRIAD_MAX_THREADS];
  int started = 1;
  const double start = example_seconds();
  for (; started < n; started++) {
    if (pthread_create(&thread[started], NULL, triad, &parts[started]) != 0) break;
  }
  triad(&parts[0]);
  for (int k = started; k < n; k++) triad(&parts[k]);
  for (int k = 1; k < started; k++) pthread_join(thread[k], NULL);
  return example_seconds() - start;
}

/* Bytes per second of all cores together, counting what the program moves (24 bytes an element). */
static double memory_roof(void) {
  const size_t total = TRIAD_ELEMENTS;
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  const int n = cores < 1 ? 1 : cores > TRIAD_MAX_THREADS ? TRIAD_MAX_THREADS : (int)cores;
  double *memory = malloc(3 * total * sizeof *memory);
  if (!memory) return 0.0;
  for (size_t i = 0; i < 3 * total; i++) memory[i] = 1.0;
  triad_part parts[TRIAD_MAX_THREADS];
  for (int k = 0; k < n; k++) {
    const size_t lo = total * (size_t)k / (size_t)n, hi = total * (size_t)(k + 1) / (size_t)n;
    parts[k] = (triad_part){memory + lo, memory + total + lo, memory + 2 * total + lo, hi - lo, 1};
  }
  double best = triad_run(parts, n);
  for (int round = 1; round < TRIAD_ROUNDS; round++) {
    const double seconds = triad_run(parts, n);
    if (seconds < best) best = seconds;
  }
  free(memory);
  return 24.0 * (double)total / best;
}

/* ---- one solve --------------------------------------------------------------------------------------------- */

/* What a context has counted; differences describe a solve. */
typedef struct counts {
  int64_t launches, kernels, hits, misses, bytes;
} counts;

static counts count(rp_context *ctx) {
  return (counts){example_stat(ctx, "launches"), example_stat(ctx, "kernels_run"),
                  example_stat(ctx, "trace_hits"), example_stat(ctx, "trace_misses"),
                  example_stat(ctx, "bytes_moved")};
}

static int32_t show_progress(void *user, int64_t iteration, double residual) {
  const int64_t last = *(const int64_t *)user;
  if (isatty(STDERR_FILENO)) {
    fprintf(stderr, "\r  iteration %lld of %lld, residual %.3e ", (long long)iteration,
            (long long)last, residual);
  }
  return 0;
}

/* Solves A x = 1 and prints what it took. Returns the bits of x. */
static uint64_t solve(rp_context *ctx, const char *title, rp_csr *matrix, int64_t iters,
                      double roof) {
  const int64_t n = rp_csr_rows(matrix);
  rp_operator *a;
  RP_CHECK(rp_operator_from_csr(matrix, &a));
  rp_store *b = example_full(ctx, RP_F64, 1, &n, 1), *x = example_full(ctx, RP_F64, 1, &n, 0);
  rp_solve_options options = {.struct_size = sizeof options, .max_iterations = 3};
  rp_solve_result result = {.struct_size = sizeof result};
  /* Three iterations first: what is measured is the steady state, with compiled kernels. */
  RP_CHECK(rp_solve_cg(a, b, x, &options, &result));
  RP_CHECK(rp_wait_compiled(ctx));
  const double zero = 0;
  RP_CHECK(rp_store_fill(x, &zero));
  options.max_iterations = iters;
  options.progress = show_progress;
  options.user = &iters;
  RP_CHECK(rp_wait(ctx));
  const counts before = count(ctx);
  const double start = example_seconds();
  RP_CHECK(rp_solve_cg(a, b, x, &options, &result));
  RP_CHECK(rp_wait(ctx));
  const double seconds = example_seconds() - start;
  const counts after = count(ctx);
  if (isatty(STDERR_FILENO)) fprintf(stderr, "\n");
  const double k = result.iterations ? (double)result.iterations : 1.0;
  const double rate = (double)(after.bytes - before.bytes) / seconds;
  printf("%s\n  %lld iterations, residual %.3e, %.3f ms each\n", title,
         (long long)result.iterations, result.residual, 1e3 * seconds / k);
  printf("  each: %.1f launches in %.1f kernels, %.2f MB moved; trace hits %lld, misses %lld\n",
         (double)(after.launches - before.launches) / k,
         (double)(after.kernels - before.kernels) / k,
         1e-6 * (double)(after.bytes - before.bytes) / k, (long long)(after.hits - before.hits),
         (long long)(after.misses - before.misses));
  printf("  %.1f GB/s", 1e-9 * rate);
  if (roof > 0)
    printf(", %.0f %% of the %.1f GB/s of a triad here", 100 * rate / roof, 1e-9 * roof);
  printf("\n");
  example_bits_add(x);
  RP_CHECK(rp_store_release(x));
  RP_CHECK(rp_store_release(b));
  RP_CHECK(rp_operator_release(a));
  return example_bits_take();
}

/* The Poisson problem in a context of its own. */
static uint64_t poisson(const char *title, const char *config, const example_options *o,
                        double roof) {
  const example_options grid = {.size = o->size, .dtype = RP_F64};
  rp_context *ctx;
  RP_CHECK(rp_context_create(config, &ctx));
  rp_csr *matrix = example_matrix(ctx, &grid);
  const uint64_t bits = solve(ctx, title, matrix, o->iters, roof);
  RP_CHECK(rp_csr_release(matrix));
  RP_CHECK(rp_context_destroy(ctx));
  return bits;
}

static void from_file(const char *path) {
  const example_options file = {.matrix = path, .dtype = RP_F64};
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  const double start = example_seconds();
  rp_csr *matrix = example_matrix(ctx, &file);
  printf("%s: %lld by %lld, %lld entries, read in %.1f ms\n", path, (long long)rp_csr_rows(matrix),
         (long long)rp_csr_cols(matrix), (long long)rp_csr_nnz(matrix),
         1e3 * (example_seconds() - start));
  if (rp_csr_rows(matrix) == rp_csr_cols(matrix)) {
    solve(ctx, "conjugate gradients on it", matrix, 1000, 0.0);
  }
  RP_CHECK(rp_csr_release(matrix));
  RP_CHECK(rp_context_destroy(ctx));
}

int main(int argc, char **argv) {
  example_options o = {.size = 1024, .iters = 100, .matrix = DEMO_MATRIX};
  example_parse(argc, argv, "size iters matrix", &o);
  from_file(o.matrix);
  const double roof = memory_roof();
  printf("Poisson on %lld x %lld points\n", (long long)o.size, (long long)o.size);
  const uint64_t whole = poisson("fused and traced", NULL, &o, roof);
  const uint64_t unfused = poisson("without fusion", "--fusion off", &o, roof);
  const uint64_t untraced = poisson("without tracing", "--tracing off", &o, roof);
  const bool same = whole == unfused && whole == untraced;
  printf("%s\n", same ? "all three gave the same bits" : "THE THREE RUNS DIFFER");
  printf("bits %016llx\n", (unsigned long long)whole);
  return same ? EXIT_SUCCESS : EXIT_FAILURE;
}
