/* SPDX-License-Identifier: Apache-2.0
 * tests/gpu/gpu_checks.c -- rows that are counts: kernels and bytes of a pass as on a CPU, the same results, no wait
 * for NVRTC in the first pass of a new loop, nothing compiled in a second process.
 *
 * How: the first pass runs in processes of their own (--child), which share a folder of kernels: `prime` leaves there
 *      what every program needs, `first` meets a loop that nobody has run, `again` is the same program once more. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gpu/bench_gpu.h"

enum { PASSES = 10, FIRST_SIZE = 512 };

/* ---- as on a CPU ---------------------------------------------------------------------------------------- */

typedef struct counts {
  double kernels, bytes;
} counts;

static counts counted(bench_prog *p) {
  bench_settle(p);
  RP_CHECK(rp_wait(p->ctx));
  const int64_t kernels = bench_stat(p->ctx, "kernels_run");
  const int64_t bytes = bench_stat(p->ctx, "bytes_moved");
  p->run(p->self, PASSES);
  RP_CHECK(rp_wait(p->ctx));
  return (counts){(double)(bench_stat(p->ctx, "kernels_run") - kernels) / PASSES,
                  (double)(bench_stat(p->ctx, "bytes_moved") - bytes) / PASSES};
}

static bool count_row(const char *what, const gpu_row *r, const char *unit, double ours,
                      double cpu) {
  char name[64];
  const bool met = ours <= cpu;
  snprintf(name, sizeof name, "%s_%s", what, r->name);
  gpu_print(name, ours, unit, &cpu, &met, "a pass, and of a context without a GPU");
  return met;
}

static bool as_on_cpu(const gpu_row *r) {
  char name[64];
  const int64_t size = gpu_small ? r->small : r->dimensions == 2 ? 512 : 1 << 18;
  bench_prog ours = r->make(gpu_config(), size), cpu = r->make("--gpus 0", size);
  const counts a = counted(&ours), b = counted(&cpu);
  snprintf(name, sizeof name, "same_%s", r->name);
  bool good = bench_agree(name, &ours, &cpu, PASSES, r->apart);
  gpu_print(name, good, "yes", NULL, &good,
            r->apart == 0 ? "result, to the bit that of a context without a GPU"
                          : "result, nearly that of a context without a GPU");
  good = count_row("kernels", r, "kernels", a.kernels, b.kernels) && good;
  good = count_row("bytes", r, "bytes", a.bytes, b.bytes) && good;
  bench_prog_free(&ours);
  bench_prog_free(&cpu);
  return good;
}

/* ---- first passes ---------------------------------------------------------------------------------------- */

static double compiles(rp_context *ctx) {
  return (double)(bench_stat(ctx, "compiles") + bench_stat(ctx, "gpu_compiles"));
}

int gpu_child(const char *kind) {
  const bool prime = strcmp(kind, "prime") == 0;
  bench_prog p =
      prime ? gpu_hundred(gpu_config(), 1000) : gpu_stencil_f64(gpu_config(), FIRST_SIZE);
  RP_CHECK(rp_wait(p.ctx));
  const double start = bench_now();
  p.run(p.self, 1);
  RP_CHECK(rp_wait(p.ctx));
  const double middle = bench_now();
  p.run(p.self, 3);
  RP_CHECK(rp_wait(p.ctx));
  RP_CHECK(rp_wait_compiled(p.ctx));
  printf("%.9g %.9g %.9g\n", middle - start, bench_now() - middle, compiles(p.ctx));
  fflush(stdout);
  bench_prog_free(&p);
  return 0;
}

typedef struct report {
  double first, rest, compiles;
} report;

static bool child(const char *kind, report *out) {
  char command[8192];
  snprintf(command, sizeof command, "'%s' --gpus %d %s --child %s", bench_self, gpu_gpus,
           gpu_small ? "--small" : "", kind);
  FILE *f = popen(command, "r");
  const bool good = f && fscanf(f, "%lf %lf %lf", &out->first, &out->rest, &out->compiles) == 3;
  if (f && pclose(f) != 0) return false;
  if (!good) fprintf(stderr, "bench_gpu: %s printed no times\n", command);
  return good;
}

/* The folder of kernels that its children use. */
static bool first_passes(void) {
  char folder[] = "/tmp/bench-gpu-XXXXXX", command[64];
  report prime, first, again;
  if (!mkdtemp(folder) || setenv("REPRISE_CACHE_DIR", folder, 1) != 0) return false;
  const bool ran = child("prime", &prime) && child("first", &first) && child("again", &again);
  snprintf(command, sizeof command, "rm -rf %s", folder);
  if (system(command) != 0) fprintf(stderr, "bench_gpu: %s is left behind\n", folder);
  if (!ran) {
    gpu_print("first_pass", 0, "ms", NULL, &ran, "a child process failed");
    return false;
  }
  /* Where a compiler was asked, the pass was over long before it answered. */
  const bool soon = first.compiles == 0 || first.first < 0.5 * first.rest;
  const double rest = 1e3 * first.rest, none = 0;
  gpu_print("first_pass", 1e3 * first.first, "ms", &rest, &soon,
            "of a new loop, and until all is compiled: at most half of it");
  gpu_print("first_process", 1e3 * prime.first, "ms", NULL, NULL, "first pass with an empty cache");
  const bool met = again.compiles == 0;
  gpu_print("second_process", again.compiles, "compiles", &none, &met, "of the same program");
  gpu_print("second_process_first_pass", 1e3 * again.first, "ms", NULL, NULL, NULL);
  return soon && met;
}

bool gpu_checks(void) {
  bool good = true;
  for (int i = 0; i < gpu_n_rows; i++) {
    if (gpu_rows[i].kind == GPU_TIME && gpu_rows[i].element > 0)
      good = as_on_cpu(&gpu_rows[i]) && good;
  }
  return first_passes() && good;
}
