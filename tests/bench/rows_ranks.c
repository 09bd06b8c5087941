/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/rows_ranks.c -- the same loops on several ranks: time, messages, and what planning for many costs.
 *
 * How: this program starts itself under mpirun with --ranks, which runs a loop to its steady state, times seven
 * samples of a number of passes, and prints the median and what was sent; one process on as many cores is started in
 * the same way, in turns. Plans for 2^20 ranks are made in dry runs, without tracing, so that each pass is analysed. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum { SAMPLES = 7, TURNS = 5 };

/* ---- inside ------------------------------------------------------------------------------------------ */

typedef struct small {
  rp_context *ctx;
  rp_store *x, *y, *s;
  bool dot;
} small;

/* Ten tasks on x, or the dot product of x and y. */
static void small_run(void *self, int64_t passes) {
  static const char *const bodies[] = {"x = x*0.5", "x = x + 1", "x = x*0.25", "x = x - 1",
                                       "x = x*0.125"};
  small *b = self;
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_trace_begin(b->ctx, 1));
    if (b->dot)
      RP_CHECK(rp_eval(b->ctx, "s, x, y", "s += x*y", (rp_store *[]){b->s, b->x, b->y}, 3));
    for (int k = 0; !b->dot && k < 10; k++) RP_CHECK(rp_eval(b->ctx, "x", bodies[k % 5], &b->x, 1));
    RP_CHECK(rp_trace_end(b->ctx, 1));
  }
}

static void small_free(void *self) {
  small *b = self;
  RP_CHECK(rp_store_release(b->x));
  RP_CHECK(rp_store_release(b->y));
  RP_CHECK(rp_store_release(b->s));
  RP_CHECK(rp_context_destroy(b->ctx));
  free(b);
}

static bench_prog small_make(int64_t n, bool dot) {
  small *b = bench_need(sizeof *b);
  *b = (small){.dot = dot};
  RP_CHECK(rp_context_create(NULL, &b->ctx));
  RP_CHECK(rp_store_create(b->ctx, RP_F64, 1, &n, &b->x));
  RP_CHECK(rp_store_create(b->ctx, RP_F64, 1, &n, &b->y));
  RP_CHECK(rp_store_create(b->ctx, RP_F64, 0, NULL, &b->s));
  return (bench_prog){.self = b, .run = small_run, .free = small_free, .ctx = b->ctx};
}

static bench_prog make(const char *name, int64_t size) {
  if (strcmp(name, "tiny") == 0 || strcmp(name, "dot") == 0)
    return small_make(size, name[0] == 'd');
  if (strcmp(name, "stencil") == 0) return bench_ours_stencil_dropping(NULL, size);
  return bench_ours_cg(NULL, size);
}

/* One line for each rank: seconds of a pass; messages, bytes and joint reductions of a pass. */
int bench_ranks_child(const char *name, int64_t size, int64_t passes) {
  static const char *const stats[] = {"messages", "bytes_sent", "joint_reductions"};
  const char *rank = getenv("OMPI_COMM_WORLD_RANK");
  bench_prog p = make(name, size);
  double seconds[SAMPLES];
  int64_t before[3], after[3];
  p.run(p.self, 5);
  RP_CHECK(rp_wait(p.ctx));
  RP_CHECK(rp_wait_compiled(p.ctx));
  p.run(p.self, passes);
  RP_CHECK(rp_wait(p.ctx));
  for (int k = 0; k < 3; k++) before[k] = bench_stat(p.ctx, stats[k]);
  for (int i = 0; i < SAMPLES; i++) {
    const double start = bench_now();
    p.run(p.self, passes);
    RP_CHECK(rp_wait(p.ctx));
    seconds[i] = (bench_now() - start) / (double)passes;
  }
  for (int k = 0; k < 3; k++) after[k] = bench_stat(p.ctx, stats[k]) - before[k];
  const double all = (double)(SAMPLES * passes);
  printf("rank %s %.9g %.4f %.2f %.4f\n", rank ? rank : "0", bench_median(seconds, SAMPLES),
         (double)after[0] / all, (double)after[1] / all, (double)after[2] / all);
  fflush(stdout);
  bench_prog_free(&p);
  return 0;
}

/* ---- outside ----------------------------------------------------------------------------------------- */

typedef struct seen {
  double seconds;                     /* the slowest rank's */
  double messages, bytes, reductions; /* of rank 1, or of the only one */
} seen;

/* Starts the loop on `ranks` ranks of `threads` threads; false if it did not run. */
static bool ask(int ranks, int threads, const char *options, const char *name, int64_t size,
                int64_t passes, seen *out) {
  char command[1200], line[256];
  int r, lines = 0;
  snprintf(command, sizeof command,
           "env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 REPRISE_THREADS=%d %s "
           "%s%.0d %s --ranks %s %lld "
           "%lld 2>&1",
           threads, options, ranks > 1 ? "mpirun --oversubscribe -n " : "", ranks > 1 ? ranks : 0,
           bench_self, name, (long long)size, (long long)passes);
  FILE *f = popen(command, "r");
  if (!f) return false;
  *out = (seen){0};
  while (fgets(line, sizeof line, f)) {
    seen s;
    if (sscanf(line, "rank %d %lf %lf %lf %lf", &r, &s.seconds, &s.messages, &s.bytes,
               &s.reductions) != 5)
      continue;
    lines++;
    if (s.seconds > out->seconds) out->seconds = s.seconds;
    if (r == 1 || ranks == 1) {
      out->messages = s.messages;
      out->bytes = s.bytes;
      out->reductions = s.reductions;
    }
  }
  return pclose(f) == 0 && lines == ranks;
}

/* Medians of a loop on two ranks of one thread, and on one of two (or one). */
static void add_pair(const char *row, const char *what, const char *name, int64_t size,
                     int64_t passes, int threads, const char *options, bench_bar kind, double bar) {
  double ours[TURNS], base[TURNS];
  bool ok = true;
  seen s;
  if (!bench_wanted(row)) return;
  const int turns = bench_quick ? 1 : TURNS;
  for (int i = 0; i < turns && ok; i++) {
    ok = ask(2, 1, options, name, size, passes, &s);
    ours[i] = s.seconds;
    ok = ok && ask(1, threads, options, name, size, passes, &s);
    base[i] = s.seconds;
  }
  if (!ok) fprintf(stderr, "reprise-bench: %s: could not run under mpirun\n", row);
  bench_add(&(bench_row){.name = row,
                         .what = what,
                         .unit = "us",
                         .baseline = threads == 2 ? "1 rank, 2 threads" : "1 rank",
                         .value = ok ? 1e6 * bench_median(ours, turns) : 0,
                         .baseline_value = ok ? 1e6 * bench_median(base, turns) : 0,
                         .kind = kind,
                         .bar = bar,
                         .wrong = !ok});
}

static void add_count(const char *row, const char *what, double value, double bar, bool ok) {
  bench_add(&(bench_row){.name = row,
                         .what = what,
                         .unit = "",
                         .value = ok ? value : 0,
                         .kind = BENCH_VALUE,
                         .bar = bar,
                         .wrong = !ok});
}

static void add_messages(void) {
  seen s;
  const int64_t side = bench_quick ? 128 : 1024;
  if (!bench_wanted("ranks_messages") && !bench_wanted("ranks_stencil")) return;
  bool ok = ask(4, 1, "REPRISE_TILE=0", "cg", side, bench_quick ? 5 : 50, &s);
  add_count("ranks_messages", "CG, 4 ranks in a row: messages an iteration, of rank 1", s.messages,
            2, ok);
  add_count("ranks_messages_bytes", "bytes of a message: a grid row",
            s.messages > 0 ? s.bytes / s.messages : 0, (double)side * 8, ok);
  add_count("ranks_messages_dots", "joint reductions an iteration: dot groups", s.reductions, 2,
            ok);
  ok = ask(4, 1, "REPRISE_TILE=0", "stencil", side, bench_quick ? 5 : 50, &s);
  add_count("ranks_stencil", "stencil, 4 ranks in a row: messages an iteration, of rank 1",
            s.messages, 2, ok);
}

/* ---- planning for many ------------------------------------------------------------------------------- */

/* Seconds of a launch of the stencil's pass, each analysed anew, as the middle one of so many ranks. */
static double planning(int64_t ranks) {
  char config[128];
  double seconds[SAMPLES];
  const int64_t shape[] = {(bench_quick ? 1 << 12 : 1 << 21) + 2, 64}, rows = shape[0] - 2;
  rp_context *ctx;
  rp_store *g, *center, *north, *south, *t;
  snprintf(config, sizeof config, "--tracing off --threads 1 --tier 0 --dryrun %lld/%lld",
           (long long)ranks / 2, (long long)ranks);
  RP_CHECK(rp_context_create(config, &ctx));
  RP_CHECK(rp_store_create(ctx, RP_F64, 2, shape, &g));
  RP_CHECK(rp_store_box(g, (int64_t[]){1, 1}, (int64_t[]){1 + rows, 63}, &center));
  RP_CHECK(rp_store_box(g, (int64_t[]){0, 1}, (int64_t[]){rows, 63}, &north));
  RP_CHECK(rp_store_box(g, (int64_t[]){2, 1}, (int64_t[]){2 + rows, 63}, &south));
  for (int i = -1; i < SAMPLES; i++) {
    const double start = bench_now();
    for (int k = 0; k < 200; k++) {
      RP_CHECK(rp_trace_begin(ctx, 1));
      RP_CHECK(rp_store_create(ctx, RP_F64, 2, (int64_t[]){rows, 62}, &t));
      RP_CHECK(rp_eval(ctx, "t, a, b", "t = a + b", (rp_store *[]){t, north, south}, 3));
      RP_CHECK(rp_eval(ctx, "c, t", "c = 0.5*t", (rp_store *[]){center, t}, 2));
      RP_CHECK(rp_store_release(t));
      RP_CHECK(rp_trace_end(ctx, 1));
    }
    if (i >= 0) seconds[i] = (bench_now() - start) / 400;
  }
  rp_store *all[] = {g, center, north, south};
  for (int i = 0; i < 4; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(ctx));
  return bench_median(seconds, SAMPLES);
}

static void add_flat(void) {
  double many[TURNS], two[TURNS];
  if (!bench_wanted("ranks_flat")) return;
  for (int i = 0; i < TURNS; i++) {
    many[i] = planning(1 << 20);
    two[i] = planning(2);
  }
  bench_add(&(bench_row){.name = "ranks_flat",
                         .what = "analysis of a launch for one of 2^20 ranks",
                         .unit = "us",
                         .baseline = "of 2 ranks",
                         .value = 1e6 * bench_median(many, TURNS),
                         .baseline_value = 1e6 * bench_median(two, TURNS),
                         .kind = BENCH_RATIO,
                         .bar = 1.1});
}

void bench_rows_ranks(void) {
  add_flat();
  if (system("command -v mpirun >/dev/null 2>&1") != 0) {
    fprintf(stderr, "reprise-bench: there is no mpirun: the rows of ranks are skipped\n");
    return;
  }
  add_pair("ranks_cg_1024", "CG 1024^2, 2 ranks of 1 thread", "cg", bench_quick ? 64 : 1024,
           bench_quick ? 5 : 60, 2, "", BENCH_RATIO, 1.15);
  add_pair("ranks_tiny", "pass of 10 tasks on 1000 elements, 2 ranks", "tiny", 1000,
           bench_quick ? 100 : 100000, 1, "", BENCH_RATIO, 1.2);
  add_pair("ranks_dot", "dot of 1000 elements, 2 ranks, shared out all the same", "dot", 1000,
           bench_quick ? 100 : 100000, 1, "REPRISE_TILE=0", BENCH_VALUE,
           0.6 /* 1.5 times what PETSc needs, 0.40 us at least */);
  add_messages();
}
