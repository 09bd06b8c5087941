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

/* With "petsc_" before it, what PETSc has for it. */
static bench_prog make(const char *name, int64_t size) {
  bench_prog p;
  char theirs[64];
  if (strncmp(name, "petsc_", 6) == 0) {
    snprintf(theirs, sizeof theirs, "ranks_%s", name + 6);
    if (bench_petsc(theirs, size, &p)) return p;
    fprintf(stderr, "reprise-bench: PETSc has no %s\n", name + 6);
    exit(EXIT_FAILURE);
  }
  if (strcmp(name, "tiny") == 0 || strcmp(name, "dot") == 0)
    return small_make(size, name[0] == 'd');
  if (strcmp(name, "stencil") == 0) return bench_ours_stencil_dropping(NULL, size);
  return bench_ours_cg(NULL, size);
}

enum { STATS = 3 };

static void look(const bench_prog *p, int64_t stat[STATS]) {
  static const char *const names[] = {"messages", "bytes_sent", "joint_reductions"};
  for (int k = 0; k < STATS; k++) stat[k] = p->ctx ? bench_stat(p->ctx, names[k]) : 0;
}

static void passes_of(const bench_prog *p, int64_t passes) {
  p->run(p->self, passes);
  if (p->ctx) RP_CHECK(rp_wait(p->ctx));
}

/* One line for each rank: seconds of a pass; messages, bytes and joint reductions of a pass. */
int bench_ranks_child(const char *name, int64_t size, int64_t passes) {
  const char *rank = getenv("OMPI_COMM_WORLD_RANK");
  bench_prog p = make(name, size);
  double seconds[SAMPLES];
  int64_t before[STATS], after[STATS];
  passes_of(&p, 5);
  if (p.ctx) RP_CHECK(rp_wait_compiled(p.ctx));
  passes_of(&p, passes);
  look(&p, before);
  for (int i = 0; i < SAMPLES; i++) {
    const double start = bench_now();
    passes_of(&p, passes);
    seconds[i] = (bench_now() - start) / (double)passes;
  }
  look(&p, after);
  const double all = (double)(SAMPLES * passes);
  printf("rank %s %.9g", rank ? rank : "0", bench_median(seconds, SAMPLES));
  for (int k = 0; k < STATS; k++) printf(" %.4f", (double)(after[k] - before[k]) / all);
  printf("\n");
  fflush(stdout);
  bench_prog_free(&p);
  return 0;
}

/* ---- outside ----------------------------------------------------------------------------------------- */

enum { MOST_RANKS = 9 };

typedef struct seen {
  double seconds;                     /* the slowest rank's */
  double messages, bytes, reductions; /* of rank 1, or of the only one */
  double sent[MOST_RANKS][2];         /* messages and bytes of each */
} seen;

/* A loop and its size; who runs it. */
typedef struct loop {
  const char *name;
  int64_t size, passes;
} loop;

typedef struct side {
  int ranks, threads;
  const char *options;
} side;

/* Starts the loop; false if it did not run. */
static bool ask(const loop *l, side by, seen *out) {
  char command[1200], line[256];
  int r, lines = 0;
  snprintf(command, sizeof command,
           "env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 REPRISE_THREADS=%d "
           "OMP_NUM_THREADS=%d OPENBLAS_NUM_THREADS=%d %s %s%.0d %s --ranks %s %lld %lld 2>&1",
           by.threads, by.threads, by.threads, by.options,
           by.ranks > 1 ? "mpirun --oversubscribe -n " : "", by.ranks > 1 ? by.ranks : 0,
           bench_self, l->name, (long long)l->size, (long long)l->passes);
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
    if (r >= 0 && r < MOST_RANKS) {
      out->sent[r][0] = s.messages;
      out->sent[r][1] = s.bytes;
    }
    if (r == 1 || by.ranks == 1) {
      out->messages = s.messages;
      out->bytes = s.bytes;
      out->reductions = s.reductions;
    }
  }
  return pclose(f) == 0 && lines == by.ranks;
}

/* The row with the medians of both sides, which take turns. */
static void add_pair(bench_row row, loop ours, side by, loop base, side against) {
  double mine[TURNS], theirs[TURNS];
  bool ok = true;
  seen s;
  if (!bench_wanted(row.name)) return;
  const int turns = bench_quick ? 1 : TURNS;
  for (int i = 0; i < turns && ok; i++) {
    ok = ask(&ours, by, &s);
    mine[i] = s.seconds;
    ok = ok && ask(&base, against, &s);
    theirs[i] = s.seconds;
  }
  if (!ok) fprintf(stderr, "reprise-bench: %s: could not run under mpirun\n", row.name);
  row.unit = "us";
  row.value = ok ? 1e6 * bench_median(mine, turns) : 0;
  row.baseline_value = ok ? 1e6 * bench_median(theirs, turns) : 0;
  row.wrong = !ok;
  bench_add(&row);
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
  const int64_t rows = bench_quick ? 128 : 1024;
  if (!bench_wanted("ranks_messages")) return;
  const side four = {4, 1, "REPRISE_TILE=0"};
  bool ok = ask(&(loop){"cg", rows, bench_quick ? 5 : 50}, four, &s);
  add_count("ranks_messages", "CG, 4 ranks in a row: messages an iteration, of rank 1", s.messages,
            2, ok);
  add_count("ranks_messages_bytes", "bytes of a message: a grid row",
            s.messages > 0 ? s.bytes / s.messages : 0, (double)rows * 8, ok);
  add_count("ranks_messages_dots", "joint reductions an iteration: dot groups", s.reductions, 2,
            ok);
}

/* Ranks in a square of p x p: each sends one edge of its tile's interior to each neighbour, and nothing else.
 * `cells` is the side of the grid, margin included; p divides it. */
static bool one_per_neighbour(const seen *s, int p, int64_t cells) {
  for (int r = 0; r < p * p; r++) {
    const int above = (r / p > 0) + (r / p < p - 1), beside = (r % p > 0) + (r % p < p - 1);
    const int64_t rows = cells / p - (2 - above), columns = cells / p - (2 - beside);
    const double bytes = 8.0 * (double)(above * columns + beside * rows);
    if (s->sent[r][0] == above + beside && s->sent[r][1] == bytes) continue;
    fprintf(stderr,
            "reprise-bench: rank %d of %d x %d sends %g messages of %g bytes, not %d of %g\n", r, p,
            p, s->sent[r][0], s->sent[r][1], above + beside, bytes);
    return false;
  }
  return true;
}

/* Grids of 6k cells a side, so that tiles of 2 x 2 and of 3 x 3 ranks are alike. */
static void add_stencil(void) {
  const loop l = {"stencil", bench_quick ? 130 : 1024, bench_quick ? 5 : 50};
  const side rows = {4, 1, "REPRISE_TILE=0 REPRISE_CUT=rows"},
             four = {4, 1, "REPRISE_TILE=0 REPRISE_CUT=boxes"},
             nine = {9, 1, "REPRISE_TILE=0 REPRISE_CUT=boxes"};
  seen s;
  if (bench_wanted("ranks_stencil")) {
    bool ok = ask(&l, nine, &s) && one_per_neighbour(&s, 3, l.size + 2);
    add_count("ranks_stencil", "stencil, 3 x 3 ranks: messages an iteration, of the middle one",
              s.sent[4][0], 4, ok);
    add_count("ranks_stencil_bytes", "bytes of these messages: an edge of the tile each",
              s.sent[4][1], 4 * 8 * (double)((l.size + 2) / 3), ok);
    ok = ask(&l, four, &s) && one_per_neighbour(&s, 2, l.size + 2);
    add_count("ranks_stencil_4", "stencil, 2 x 2 ranks: messages an iteration, of rank 1",
              s.messages, 2, ok);
    ok = ask(&l, rows, &s);
    add_count("ranks_stencil_rows", "stencil, 4 ranks in a row: messages an iteration, of rank 1",
              s.messages, 2, ok && s.messages == 2);
  }
  add_pair((bench_row){.name = "ranks_stencil_time",
                       .what = "stencil, 2 x 2 ranks of 1 thread",
                       .baseline = "4 ranks in a row",
                       .kind = BENCH_REPORTED},
           l, four, l, rows);
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

/* ---- times ------------------------------------------------------------------------------------------- */

/* Below two leaves of a reduction nothing is shared out: each rank sums all, and says nothing. */
static void add_times(void) {
  const int64_t many = bench_quick ? 100 : 100000;
  const loop cg = {"cg", bench_quick ? 64 : 1024, bench_quick ? 5 : 60},
             tiny = {"tiny", 1000, many}, dot = {"dot", 1000, many}, leaves = {"dot", 2048, many};
  const side two = {2, 1, ""}, one = {1, 1, ""}, threads = {1, 2, ""},
             all_the_same = {2, 1, "REPRISE_TILE=0"};
  add_pair((bench_row){.name = "ranks_cg_1024",
                       .what = "CG 1024^2, 2 ranks of 1 thread",
                       .baseline = "1 rank, 2 threads",
                       .kind = BENCH_RATIO,
                       .bar = 1.15},
           cg, two, cg, threads);
  add_pair((bench_row){.name = "ranks_tiny",
                       .what = "pass of 10 tasks on 1000 elements, 2 ranks",
                       .baseline = "1 rank",
                       .kind = BENCH_RATIO,
                       .bar = 1.2},
           tiny, two, tiny, one);
  add_pair((bench_row){.name = "ranks_dot",
                       .what = "dot of 1000 elements, 2 ranks, each sums all",
                       .baseline = "1 rank",
                       .kind = BENCH_VALUE,
                       .bar = 0.6 /* 1.5 times what PETSc needs, 0.40 us at least */},
           dot, two, dot, one);
  add_pair((bench_row){.name = "ranks_dot_joint",
                       .what = "dot of 2048 elements, 2 ranks, a joint reduction",
                       .baseline = "1 rank",
                       .kind = BENCH_VALUE,
                       .bar = 0.6},
           leaves, all_the_same, leaves, one);
  if (!bench_petsc_built()) return;
  add_pair((bench_row){.name = "ranks_petsc_cg_1024",
                       .what = "CG 1024^2, 2 ranks of 1 thread",
                       .baseline = "PETSc, 2 ranks",
                       .kind = BENCH_RATIO,
                       .bar = 1.0},
           cg, two, (loop){"petsc_cg", cg.size, cg.passes}, two);
  add_pair((bench_row){.name = "ranks_petsc_dot",
                       .what = "dot of 1000 elements, 2 ranks, each sums all",
                       .baseline = "PETSc, 2 ranks",
                       .kind = BENCH_RATIO,
                       .bar = 1.5},
           dot, two, (loop){"petsc_dot", dot.size, dot.passes}, two);
  add_pair((bench_row){.name = "ranks_petsc_dot_joint",
                       .what = "dot of 2048 elements, 2 ranks, a joint reduction",
                       .baseline = "PETSc, 2 ranks",
                       .kind = BENCH_RATIO,
                       .bar = 1.5},
           leaves, all_the_same, (loop){"petsc_dot", leaves.size, leaves.passes}, two);
}

/* BENCH_RANKS: the build has a transport between processes. */
static bool ranks_can_run(void) {
#ifdef BENCH_RANKS
  return system("command -v mpirun >/dev/null 2>&1") == 0;
#else
  return false;
#endif
}

void bench_rows_ranks(void) {
  add_flat();
  if (!ranks_can_run()) {
    fprintf(stderr, "reprise-bench: no mpirun, or a build without ranks that are processes: their "
                    "rows are skipped\n");
    return;
  }
  add_times();
  add_messages();
  add_stencil();
}
