/* SPDX-License-Identifier: Apache-2.0
 * tests/gpu/gpu_checks.c -- rows that are counts: kernels and bytes of a pass as on a CPU, the same results, registers, no
 * wait for NVRTC in the first pass of a new loop, nothing compiled in a second process; of libraries their time beside the
 * host's.
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

/* What the context says of itself; the caller frees it. */
static char *explained(rp_context *ctx) {
  size_t size = 0;
  RP_CHECK(rp_explain(ctx, NULL, 0, &size));
  char *text = bench_need(size + 1);
  RP_CHECK(rp_explain(ctx, text, size + 1, &size));
  return text;
}

/* Registers of each of its kernels on the GPU; met if all are compiled, and none spills. */
static bool registers(const gpu_row *r, const char *text) {
  static const char there[] = ", on the GPU in tier ";
  char name[64], note[200] = "of";
  int most = 0, spills = 0, kernels = 0, waiting = 0;
  for (const char *at = text; (at = strstr(at, there)) != NULL;) {
    int tier = 0, of = 0, bytes = 0;
    at += sizeof there - 1;
    const int n = sscanf(at, "%d with %d registers, %d bytes of spills", &tier, &of, &bytes);
    kernels++;
    waiting += n != 3;
    spills += bytes;
    most = of > most ? of : most;
    if (strlen(note) < 120) snprintf(note + strlen(note), 16, " %d", of);
  }
  if (kernels == 0) return true; /* libraries' alone, or no GPU */
  const bool met = spills == 0 && waiting == 0;
  snprintf(note + strlen(note), 72, " in its kernels; %d bytes of spills, %d not compiled", spills,
           waiting);
  snprintf(name, sizeof name, "registers_%s", r->name);
  gpu_print(name, most, "a thread", NULL, &met, note);
  return met;
}

/* What NVIDIA's libraries do is a call on the GPU, unless they were not found. */
static bool libraries(const gpu_row *r, const char *text) {
  char name[64];
  if (gpu_gpus == 0) return true;
  snprintf(name, sizeof name, "library_%s", r->name);
  const bool good = !strstr(text, "GPU_OPAQUE");
  return gpu_print_yes(name, good,
                       good ? "the work is done on the GPU" : "on the host: is the library there?");
}

/* A pass that repeats itself does so on the GPU, or the first reason of those why not. */
static bool repeats(const gpu_row *r, rp_context *ctx, const char *text) {
  char name[64], note[160] = "passes go on from one to the next on the GPU";
  if (gpu_gpus == 0 || !strstr(text, "CUT_REPEAT")) return true;
  const bool good = bench_stat(ctx, "loops") > 0;
  const char *why = strstr(text, "REPEAT_"), *cut = strstr(text, "CUT_REPEAT");
  if (why == cut + 4) why = strstr(why + 1, "REPEAT_"); /* that is why the segment ended */
  if (!good)
    snprintf(note, sizeof note, "%.*s", why ? (int)strcspn(why, "\n\"") : 9,
             why ? why : "no reason");
  snprintf(name, sizeof name, "repeats_%s", r->name);
  return gpu_print_yes(name, good, note);
}

static double times(bench_prog *p) {
  enum { TIMES = 3 };
  const double begin = bench_now();
  p->run(p->self, TIMES);
  RP_CHECK(rp_wait(p->ctx));
  return (bench_now() - begin) / TIMES;
}

static void beside_host(const gpu_row *r, bench_prog *ours, bench_prog *cpu, int64_t size) {
  char name[64], note[96];
  const double beside = 1e6 * times(cpu);
  snprintf(name, sizeof name, "time_%s", r->name);
  snprintf(note, sizeof note, "a pass of size %lld, and of our own code on the host",
           (long long)size);
  gpu_print(name, 1e6 * times(ours), "us", &beside, NULL, note);
}

static bool as_on_cpu(const gpu_row *r) {
  char name[64], note[96] = "result, to the bit that of a context without a GPU";
  const int64_t size = gpu_small ? r->small : r->check;
  bench_prog ours = r->make(gpu_config(), size), cpu = r->make("--gpus 0", size);
  const counts a = counted(&ours), b = counted(&cpu);
  snprintf(name, sizeof name, "same_%s", r->name);
  bool good = bench_agree(name, &ours, &cpu, PASSES, r->apart);
  if (r->apart > 0)
    snprintf(note, sizeof note, "result, but for %g that of a context without a GPU", r->apart);
  gpu_print_yes(name, good, note);
  char *text = explained(ours.ctx);
  if (r->set == GPU_SOLVERS) {
    good = libraries(r, text) && good;
    beside_host(r, &ours, &cpu, size);
  } else {
    good = count_row("kernels", r, "kernels", a.kernels, b.kernels) && good;
    good = count_row("bytes", r, "bytes", a.bytes, b.bytes) && good;
    good = registers(r, text) && good;
    good = repeats(r, ours.ctx, text) && good;
  }
  free(text);
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
  for (int i = 0; i < gpu_n_rows; i++)
    if (gpu_rows[i].check > 0 && gpu_wanted(gpu_rows[i].set))
      good = as_on_cpu(&gpu_rows[i]) && good;
  if (gpu_wanted(GPU_SOLVERS)) good = gpu_solver_checks() && good;
  if (gpu_wanted(GPU_LOOPS)) good = first_passes() && good;
  return good;
}
