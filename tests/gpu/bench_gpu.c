/* SPDX-License-Identifier: Apache-2.0
 * tests/gpu/bench_gpu.c -- our side of the figures on a GPU.
 *
 *   bench_gpu [ROW...]   measures, one line of JSON for each row
 *   bench_gpu --checks   counts that have no other side (gpu_checks.c)
 *   bench_gpu --serve    measures by order, one sample at a time, so that others can be measured in turns
 *   with --small (sizes that only show that it runs) and --gpus N (of the contexts; 1, or 0 with --small)
 *
 * Lives here: the rows, samples, the command line, the server.
 * Not here:   the loops (gpu_programs.c, tests/bench/ours_*.c), the others' side (baselines.py, cg_cusparse.cu), bars
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

const gpu_row gpu_rows[] = {
    {"chain_f64", gpu_chain_f64, 1 << 27, 1 << 12, GPU_TIME, 32, 1, false, 0},
    {"chain_f32", gpu_chain_f32, 1 << 28, 1 << 12, GPU_TIME, 16, 1, false, 0},
    {"stencil_f64", gpu_stencil_f64, 16384, 64, GPU_TIME, 16, 2, false, 0},
    {"stencil_f32", gpu_stencil_f32, 22528, 64, GPU_TIME, 8, 2, false, 0},
    {"bs_f64", bench_ours_bs_f64, 1 << 26, 1 << 12, GPU_TIME, 40, 1, false, 1e-12},
    {"bs_f32", bench_ours_bs_f32, 1 << 26, 1 << 12, GPU_TIME, 20, 1, false, 1e-5},
    /* Of a row: 5 values of 8 bytes and 5 columns of 4, an offset, p, x, and of r, Ap, x, p what is read and written. */
    {"cg", bench_ours_cg, 4096, 32, GPU_TIME, 60 + 4 + 8 * 11, 2, true, 0},
    {"tiny", gpu_tiny, 1000, 1000, GPU_TIME, 0, 1, false, 0},
    {"tiny_ahead", gpu_chain_f64, 1000, 1000, GPU_TIME, 0, 1, false, 0},
    {"host_ten", gpu_chain_f64, 1000, 1000, GPU_HOST, 0, 1, false, 0},
    {"host_hundred", gpu_hundred, 1000, 1000, GPU_HOST, 0, 1, false, 0},
};
const int gpu_n_rows = (int)(sizeof gpu_rows / sizeof *gpu_rows);

bool bench_quick;
const char *bench_self;
bool gpu_small;
int gpu_gpus = -1;

const char *gpu_config(void) {
  static char text[32];
  snprintf(text, sizeof text, "--gpus %d", gpu_gpus);
  return text;
}

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
  double bytes = j->row->element;
  for (int i = 0; i < j->row->dimensions; i++) bytes *= (double)j->size;
  return bytes;
}

/* ---- alone, or by order ----------------------------------------------------------------------------------- */

static void measure(const gpu_row *row) {
  double v[SAMPLES];
  char note[LINE] = "";
  job j = start(row);
  for (int i = 0; i < SAMPLES; i++) v[i] = sample(&j);
  const double seconds = bench_median(v, SAMPLES);
  if (row->element > 0) snprintf(note, sizeof note, "%.5g GB/s", 1e-9 * moved(&j) / seconds);
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
      printf("{\"ok\": true, \"size\": %lld, \"bytes\": %.17g}\n", (long long)j.size, moved(&j));
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

static int usage(void) {
  fprintf(stderr, "usage: bench_gpu [--small] [--gpus N] [ROW... | --checks | --serve]\nrows:");
  for (int i = 0; i < gpu_n_rows; i++) fprintf(stderr, " %s", gpu_rows[i].name);
  fprintf(stderr, "\n");
  return 2;
}

int main(int argc, char **argv) {
  static char path[4096];
  const char *child = NULL, *rows[64];
  bool checks = false, serves = false;
  int n_rows = 0;
  bench_self = readlink("/proc/self/exe", path, sizeof path - 1) > 0 ? path : argv[0];
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--small") == 0) {
      gpu_small = bench_quick = true;
    } else if (strcmp(argv[i], "--gpus") == 0 && i + 1 < argc) {
      gpu_gpus = atoi(argv[++i]);
    } else if (strcmp(argv[i], "--child") == 0 && i + 1 < argc) {
      child = argv[++i];
    } else if (strcmp(argv[i], "--checks") == 0) {
      checks = true;
    } else if (strcmp(argv[i], "--serve") == 0) {
      serves = true;
    } else if (n_rows < 64 && find(argv[i])) {
      rows[n_rows++] = argv[i];
    } else {
      return usage();
    }
  }
  if (gpu_gpus < 0) gpu_gpus = gpu_small ? 0 : 1;
  if (child) return gpu_child(child);
  if (checks) return gpu_checks() ? EXIT_SUCCESS : EXIT_FAILURE;
  if (serves) {
    serve();
    return EXIT_SUCCESS;
  }
  for (int i = 0; i < gpu_n_rows; i++) {
    bool wanted = n_rows == 0;
    for (int k = 0; k < n_rows; k++) wanted = wanted || strcmp(rows[k], gpu_rows[i].name) == 0;
    if (wanted) measure(&gpu_rows[i]);
  }
  return EXIT_SUCCESS;
}
