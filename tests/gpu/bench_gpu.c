/* SPDX-License-Identifier: Apache-2.0
 * tests/gpu/bench_gpu.c -- our side of the figures on a GPU.
 *
 *   bench_gpu [ROW...]   measures, one line of JSON for each row
 *   bench_gpu --checks   counts that have no other side (gpu_checks.c)
 *   bench_gpu --worlds   several ranks on one GPU (gpu_worlds.c)
 *   bench_gpu --serve    measures by order, one sample at a time, so that others can be measured in turns
 *   with --small (sizes that only show that it runs), --gpus N (of the contexts; 1, or 0 with --small), --set loops, sums or
 *   solvers (these rows or checks alone)
 *
 * Lives here: the rows, samples, the command line, the server.
 * Not here:   the loops (gpu_programs.c, gpu_sums.c, gpu_solvers.c, tests/bench/ours_*.c), the others' side (baselines.py, cg_cusparse.cu), bars
 *             and the table (compare.py).
 *
 * The server reads lines: `hello`, `prepare ROW`, `sample`, `free`; each is answered with one line of JSON: seconds of a pass for a
 * sample. A sample waits for its last pass, and begins with a pass that is not timed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gpu/bench_gpu.h"

enum { SAMPLES = 5, BURST = 50, LINE = 256 };

#define TIMES(set_, row, make_) .name = row, .make = make_, .set = set_, .kind = GPU_TIME
#define HOST(row, make_, size_) \
  { .name = row, .make = make_, .kind = GPU_HOST, .size = size_, .small = size_, .dimensions = 1 }

const gpu_row gpu_rows[] = {
    {TIMES(GPU_LOOPS, "chain_f64", gpu_chain_f64), .size = 1 << 27, .small = 1 << 12,
     .check = 1 << 18, .element = 32, .dimensions = 1},
    {TIMES(GPU_LOOPS, "chain_f32", gpu_chain_f32), .size = 1 << 28, .small = 1 << 12,
     .check = 1 << 18, .element = 16, .dimensions = 1},
    {TIMES(GPU_LOOPS, "stencil_f64", gpu_stencil_f64), .size = 16384, .small = 64, .check = 512,
     .element = 16, .dimensions = 2},
    {TIMES(GPU_LOOPS, "stencil_f32", gpu_stencil_f32), .size = 22528, .small = 64, .check = 512,
     .element = 8, .dimensions = 2},
    {TIMES(GPU_LOOPS, "bs_f64", bench_ours_bs_f64), .size = 1 << 26, .small = 1 << 12,
     .check = 1 << 18, .element = 40, .dimensions = 1, .apart = 1e-12},
    {TIMES(GPU_LOOPS, "bs_f32", bench_ours_bs_f32), .size = 1 << 26, .small = 1 << 12,
     .check = 1 << 18, .element = 20, .dimensions = 1, .apart = 1e-5},
    /* Of a row: 5 values of 8 bytes and 5 columns of 4, an offset, p, x, and of r, Ap, x, p what is read and written. */
    {TIMES(GPU_LOOPS, "cg", bench_ours_cg), .size = 4096, .small = 32, .check = 512,
     .element = 60 + 4 + 8 * 11, .dimensions = 2, .restarts = true},
    {TIMES(GPU_LOOPS, "tiny", gpu_tiny), .size = 1000, .small = 1000, .dimensions = 1},
    {TIMES(GPU_LOOPS, "tiny_ahead", gpu_chain_f64), .size = 1000, .small = 1000, .dimensions = 1},
    {TIMES(GPU_LOOPS, "tiny_own", gpu_tiny_own), .size = 1000, .small = 1000, .check = 1000,
     .dimensions = 1},
    {TIMES(GPU_LOOPS, "tiny_text", gpu_tiny_text), .size = 1000, .small = 1000, .check = 1000,
     .dimensions = 1},
    HOST("host_ten", gpu_chain_f64, 1000),
    HOST("host_hundred", gpu_hundred, 1000),
    {TIMES(GPU_SUMS, "spmv_short", gpu_spmv_short), .size = 1 << 23, .small = 1 << 10,
     .check = 1 << 16, .dimensions = 1},
    {TIMES(GPU_SUMS, "spmv_power", gpu_spmv_power), .size = 1 << 20, .small = 1 << 10,
     .check = 1 << 16, .dimensions = 1},
    {TIMES(GPU_SUMS, "spmv_giant", gpu_spmv_giant), .size = 10000000, .small = 1 << 13,
     .check = 1 << 20, .dimensions = 1},
    {TIMES(GPU_SUMS, "moments", gpu_moments), .size = 16384, .small = 64, .check = 700,
     .element = 24, .dimensions = 2},
    {TIMES(GPU_SOLVERS, "gemm", gpu_gemm), .size = 4096, .small = 48, .check = 1024,
     .dimensions = 2, .flops = 2, .apart = 1e-12},
    {TIMES(GPU_SOLVERS, "solve", gpu_solve), .size = 4096, .small = 48, .check = 2048,
     .dimensions = 2, .flops = 2.0 / 3, .apart = 1e-12},
    {TIMES(GPU_SOLVERS, "cholesky", gpu_cholesky), .size = 4096, .small = 48, .check = 2048,
     .dimensions = 2, .flops = 1.0 / 3, .apart = 1e-12},
    {TIMES(GPU_SOLVERS, "triangle", gpu_triangle), .size = 1024, .small = 24, .check = 1024,
     .dimensions = 2, .restarts = true, .apart = 1e-12},
    {TIMES(GPU_SOLVERS, "fourier_plane", gpu_fourier_plane), .size = 8192, .small = 30,
     .check = 2048, .element = 32, .dimensions = 2, .apart = 1e-12},
    {TIMES(GPU_SOLVERS, "fourier_lines", gpu_fourier_lines), .size = 1 << 14, .small = 2,
     .check = 512, .element = 32 * 4096, .dimensions = 1, .apart = 1e-4},
};
const int gpu_n_rows = (int)(sizeof gpu_rows / sizeof *gpu_rows);

bool bench_quick;
const char *bench_self;
bool gpu_small;
int gpu_gpus = -1;
static int only = -1; /* the one gpu_set */

const char *gpu_config(void) {
  static char text[32];
  snprintf(text, sizeof text, "--gpus %d", gpu_gpus);
  return text;
}

bool gpu_wanted(gpu_set set) { return only < 0 || only == (int)set; }

void gpu_print(const char *row, double value, const char *unit, const double *baseline,
               const bool *met, const char *note) {
  char text[32] = "null";
  if (baseline) snprintf(text, sizeof text, "%.9g", *baseline);
  printf("{\"row\": \"%s\", \"value\": %.9g, \"unit\": \"%s\", \"baseline\": %s, \"met\": %s, "
         "\"note\": \"%s\"}\n",
         row, value, unit, text,
         !met   ? "null"
         : *met ? "true"
                : "false",
         note ? note : "");
  fflush(stdout);
}

bool gpu_print_yes(const char *row, bool yes, const char *note) {
  gpu_print(row, yes, "yes", NULL, &yes, note);
  return yes;
}

/* ---- samples -------------------------------------------------------------------------------------------- */

typedef struct job {
  const gpu_row *row;
  bench_prog prog;
  int64_t size, passes; /* passes 0: not calibrated */
} job;

static const gpu_row *find(const char *name) {
  if (!name) return NULL;
  for (int i = 0; i < gpu_n_rows; i++) {
    if (strcmp(gpu_rows[i].name, name) == 0) return &gpu_rows[i];
  }
  return NULL;
}

static job start(const gpu_row *row) {
  job j = {.row = row, .size = gpu_small ? row->small : row->size};
  j.prog = row->make(gpu_config(), j.size);
  bench_settle(&j.prog);
  RP_CHECK(rp_wait(j.prog.ctx));
  return j;
}

/* Seconds of so many passes. */
static double timed(job *j, int64_t passes) {
  bench_prog *p = &j->prog;
  if (j->row->restarts) p->reset(p->self);
  p->run(p->self, 1);
  RP_CHECK(rp_wait(p->ctx));
  double seconds = 0;
  for (int64_t done = 0; done < passes;) {
    const int64_t left = passes - done,
                  now = j->row->kind == GPU_HOST && left > BURST ? BURST : left;
    const double begin = bench_now();
    p->run(p->self, now);
    if (j->row->kind == GPU_HOST) seconds += bench_now() - begin;
    RP_CHECK(rp_wait(p->ctx));
    if (j->row->kind == GPU_TIME) seconds += bench_now() - begin;
    done += now;
  }
  return seconds;
}

static double sample(job *j) {
  const double shortest = gpu_small ? 1e-4 : 0.05;
  for (int64_t passes = 1; j->passes == 0; passes *= 4) {
    const double t = timed(j, passes);
    if (t >= 0.25 * shortest) j->passes = (int64_t)(1 + (double)passes * shortest / t);
  }
  return timed(j, j->passes) / (double)j->passes;
}

static double moved(const job *j) {
  if (j->prog.bytes > 0) return j->prog.bytes;
  double bytes = j->row->element;
  for (int i = 0; i < j->row->dimensions; i++) bytes *= (double)j->size;
  return bytes;
}

static double flops(const job *j) {
  return j->row->flops * (double)j->size * (double)j->size * (double)j->size;
}

/* ---- alone, or by order ----------------------------------------------------------------------------------- */

static void measure(const gpu_row *row) {
  double v[SAMPLES];
  char note[LINE] = "";
  job j = start(row);
  for (int i = 0; i < SAMPLES; i++) v[i] = sample(&j);
  const double seconds = bench_median(v, SAMPLES);
  if (moved(&j) > 0)
    snprintf(note, sizeof note, "%.5g GB/s", 1e-9 * moved(&j) / seconds);
  else if (row->flops > 0)
    snprintf(note, sizeof note, "%.5g GFLOP/s", 1e-9 * flops(&j) / seconds);
  gpu_print(row->name, 1e6 * seconds, "us", NULL, NULL, note);
  bench_prog_free(&j.prog);
}

static void refuse(const char *why) {
  printf("{\"ok\": false, \"why\": \"%s\"}\n", why);
  fflush(stdout);
}

static void serve(void) {
  char line[LINE];
  job j = {.row = NULL};
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "hello") == 0) {
      printf("{\"ok\": true, \"name\": \"reprise\"}\n");
    } else if (strncmp(line, "prepare ", 8) == 0) {
      const gpu_row *row = find(strtok(line + 8, " "));
      bench_prog_free(&j.prog);
      j.row = row;
      if (!row) {
        refuse("no such row");
        continue;
      }
      j = start(row);
      printf("{\"ok\": true, \"size\": %lld, \"bytes\": %.17g, \"flops\": %.17g}\n",
             (long long)j.size, moved(&j), flops(&j));
    } else if (strcmp(line, "sample") == 0 && j.row) {
      printf("{\"ok\": true, \"seconds\": %.9g}\n", sample(&j));
    } else if (strcmp(line, "free") == 0) {
      bench_prog_free(&j.prog);
      j.row = NULL;
      printf("{\"ok\": true}\n");
    } else {
      refuse("no such order, or nothing prepared");
    }
    fflush(stdout);
  }
  bench_prog_free(&j.prog);
}

/* ---- the command line ------------------------------------------------------------------------------------- */

static const char *const sets[] = {"loops", "sums", "solvers"};

static int usage(void) {
  fprintf(stderr,
          "usage: bench_gpu [--small] [--gpus N] [--set loops|sums|solvers] [ROW... | --checks | "
          "--worlds | --serve]\nrows:");
  for (int i = 0; i < gpu_n_rows; i++) fprintf(stderr, " %s", gpu_rows[i].name);
  fprintf(stderr, "\n");
  return 2;
}

typedef struct options {
  const char *child, *rows[64];
  int n_rows;
  bool checks, worlds, serves;
} options;

static bool is_set(const char *name) {
  for (int k = 0; k < 3; k++)
    if (strcmp(sets[k], name) == 0) only = k;
  return only >= 0;
}

/* False: no such option. */
static bool parse(int argc, char **argv, options *o) {
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--small") == 0) {
      gpu_small = bench_quick = true;
    } else if (strcmp(argv[i], "--gpus") == 0 && value) {
      gpu_gpus = atoi(argv[++i]);
    } else if (strcmp(argv[i], "--child") == 0 && value) {
      o->child = argv[++i];
    } else if (strcmp(argv[i], "--set") == 0 && value && is_set(value)) {
      i++;
    } else if (strcmp(argv[i], "--checks") == 0) {
      o->checks = true;
    } else if (strcmp(argv[i], "--worlds") == 0) {
      o->worlds = true;
    } else if (strcmp(argv[i], "--serve") == 0) {
      o->serves = true;
    } else if (o->n_rows < 64 && find(argv[i])) {
      o->rows[o->n_rows++] = argv[i];
    } else {
      return false;
    }
  }
  if (gpu_gpus < 0) gpu_gpus = gpu_small ? 0 : 1;
  return true;
}

static void measure_all(const options *o) {
  for (int i = 0; i < gpu_n_rows; i++) {
    bool wanted = o->n_rows == 0 && gpu_wanted(gpu_rows[i].set);
    for (int k = 0; k < o->n_rows; k++)
      wanted = wanted || strcmp(o->rows[k], gpu_rows[i].name) == 0;
    if (wanted) measure(&gpu_rows[i]);
  }
}

int main(int argc, char **argv) {
  static char path[4096];
  options o = {.n_rows = 0};
  bench_self = readlink("/proc/self/exe", path, sizeof path - 1) > 0 ? path : argv[0];
  if (!parse(argc, argv, &o)) return usage();
  if (o.child) return gpu_child(o.child);
  if (o.checks) return gpu_checks() ? EXIT_SUCCESS : EXIT_FAILURE;
  if (o.worlds) return gpu_worlds() ? EXIT_SUCCESS : EXIT_FAILURE;
  if (o.serves)
    serve();
  else
    measure_all(&o);
  return EXIT_SUCCESS;
}
