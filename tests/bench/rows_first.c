/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/rows_first.c -- the first pass of a program, each time in a process of its own: with an
 * empty cache of kernels, and with the cache an earlier process left.
 *
 * How: this program starts itself with --child, which makes the data, times one pass with the wait for
 * it, and prints the seconds and the number of compiles. Ours and the baseline take turns. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum { SAMPLES = 15 };

/* ---- inside ------------------------------------------------------------------------------------------ */

/* `kind`: ours; ours that also fills the cache; base. */
int bench_child(const char *kind, const char *name, int64_t size) {
  const bench_case *c = bench_case_find(name);
  if (!c) return 1;
  const bool base = strcmp(kind, "base") == 0;
  bench_prog (*ours)(const char *, int64_t) =
      strncmp(name, "stencil", 7) == 0 ? bench_ours_stencil_dropping : c->ours;
  bench_prog p = base ? c->base(size, 2) : ours("--threads 2", size);
  const double start = bench_now();
  p.run(p.self, 1);
  if (!base) RP_CHECK(rp_wait(p.ctx));
  const double seconds = bench_now() - start;
  if (strcmp(kind, "fill") == 0) {
    p.run(p.self, 3);
    RP_CHECK(rp_wait(p.ctx));
    RP_CHECK(rp_wait_compiled(p.ctx));
  }
  printf("%.9g %lld\n", seconds, base ? 0LL : (long long)bench_stat(p.ctx, "compiles"));
  fflush(stdout);
  bench_prog_free(&p);
  return 0;
}

/* ---- outside ----------------------------------------------------------------------------------------- */

typedef struct report {
  double seconds;
  long long compiles;
} report;

/* Runs a child on the cache folder; false if it failed. */
static bool child(const char *kind, const char *name, int64_t size, const char *cache,
                  report *out) {
  char digits[32];
  int ends[2];
  snprintf(digits, sizeof digits, "%lld", (long long)size);
  if (pipe(ends) != 0) return false;
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    setenv("REPRISE_CACHE_DIR", cache, 1);
    execl(bench_self, bench_self, "--child", kind, name, digits, (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  char text[128] = "";
  size_t got = 0;
  ssize_t part;
  while (got + 1 < sizeof text && (part = read(ends[0], text + got, sizeof text - 1 - got)) > 0) {
    got += (size_t)part;
  }
  close(ends[0]);
  int status = -1;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) return false;
  return sscanf(text, "%lf %lld", &out->seconds, &out->compiles) == 2;
}

static void remove_folder(const char *path) {
  const pid_t pid = fork();
  if (pid == 0) {
    execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
    _exit(127);
  }
  if (pid > 0) waitpid(pid, NULL, 0);
}

static const char *new_cache(char path[64]) {
  snprintf(path, 64, "/tmp/reprise-bench-XXXXXX");
  return mkdtemp(path);
}

typedef struct first {
  const char *row, *row_compiles; /* row_compiles NULL: the cache is empty each time */
  const char *name;
  int64_t size;
  double bar;
} first;

/* Samples of both sides in turns; false after a failure. */
static bool take(const first *f, double ours[SAMPLES], double base[SAMPLES], long long *compiles) {
  char cache[64];
  report r;
  *compiles = 0;
  if (f->row_compiles) {
    if (!new_cache(cache) || !child("fill", f->name, f->size, cache, &r)) return false;
  }
  bool ok = true;
  for (int i = 0; i < SAMPLES && ok; i++) {
    if (!f->row_compiles && !new_cache(cache)) return false;
    ok = child("ours", f->name, f->size, cache, &r);
    ours[i] = r.seconds;
    if (r.compiles > *compiles) *compiles = r.compiles;
    ok = ok && child("base", f->name, f->size, cache, &r);
    base[i] = r.seconds;
    if (!f->row_compiles) remove_folder(cache);
  }
  if (f->row_compiles) remove_folder(cache);
  return ok;
}

static void add_first(const first *f) {
  if (!bench_wanted(f->row) && !(f->row_compiles && bench_wanted(f->row_compiles))) return;
  double ours[SAMPLES], base[SAMPLES];
  long long compiles;
  const bool ok = take(f, ours, base, &compiles);
  if (!ok) fprintf(stderr, "reprise-bench: %s: a child process failed\n", f->row);
  bench_add(&(bench_row){.name = f->row,
                         .what = f->row_compiles ? "first pass, kernels on disk"
                                                 : "first pass, never seen",
                         .unit = "ms",
                         .baseline = "hand-fused C's first pass",
                         .value = ok ? 1e3 * bench_median(ours, SAMPLES) : 0,
                         .baseline_value = ok ? 1e3 * bench_median(base, SAMPLES) : 0,
                         .kind = BENCH_RATIO,
                         .bar = f->bar,
                         .wrong = !ok});
  if (!f->row_compiles) return;
  bench_add(&(bench_row){.name = f->row_compiles,
                         .what = "compiles in a second process",
                         .unit = "compiles",
                         .value = (double)compiles,
                         .kind = BENCH_VALUE,
                         .bar = 0,
                         .wrong = !ok});
}

void bench_rows_first(void) {
  const int64_t grid = bench_quick ? 100 : 2048, side = bench_quick ? 40 : 1024;
  add_first(&(first){"first_pass_stencil", NULL, "stencil_4096", grid, 2.0});
  add_first(&(first){"first_pass_cg", NULL, "cg_1024", side, 2.0});
  add_first(&(first){"second_process_stencil", "second_process_stencil_compiles", "stencil_4096",
                     grid, 1.2});
  add_first(&(first){"second_process_cg", "second_process_cg_compiles", "cg_1024", side, 1.2});
}
