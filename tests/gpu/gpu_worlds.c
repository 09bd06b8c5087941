/* SPDX-License-Identifier: Apache-2.0
 * tests/gpu/gpu_worlds.c -- several ranks that share one GPU: threads of this process with a context each, whose messages go by
 * way of the host.
 *
 * Lives here: their programs, the comparison with one context on the CPU, times, and why they do not speak by NCCL.
 * How:        all ranks of a world make the same calls, so passes are counted, not timed, until all are ready; a time is from a
 *             barrier to a barrier. A call that fails ends the program with its sentence. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gpu/bench_gpu.h"

enum { MOST = 4, CHECKED = 10, TIMED = 20, N_COUNTS = 4 };

static const char *const counts[N_COUNTS] = {"gpu_upload_bytes", "gpu_download_bytes", "messages",
                                             "kernels_shared"};

typedef struct loop {
  const char *name;
  bench_prog (*make)(const char *config, int64_t size);
  int64_t size, small;
} loop;

static const loop loops[] = {{"stencil_f64", gpu_stencil_f64, 4096, 48},
                             {"cg", bench_ours_cg, 1024, 40},
                             {"moments", gpu_moments, 2048, 70},
                             {"spmv_power", gpu_spmv_power, 1 << 18, 1 << 11}};

typedef struct seat {
  const loop *of;
  char config[160];
  pthread_barrier_t *all;
  double *out, seconds;     /* of a pass */
  double counted[N_COUNTS]; /* in a pass, by this rank */
  int64_t n_out;
  pthread_t thread;
} seat;

static void *live(void *arg) {
  seat *s = arg;
  bench_prog p = s->of->make(s->config, gpu_small ? s->of->small : s->of->size);
  p.run(p.self, CHECKED);
  s->n_out = p.n_result;
  s->out = bench_alloc((size_t)p.n_result * sizeof *s->out);
  p.result(p.self, s->out);
  bench_settle(&p);
  RP_CHECK(rp_wait(p.ctx));
  for (int i = 0; i < N_COUNTS; i++) s->counted[i] = (double)bench_stat(p.ctx, counts[i]);
  pthread_barrier_wait(s->all);
  const double begin = bench_now();
  p.run(p.self, TIMED);
  RP_CHECK(rp_wait(p.ctx));
  pthread_barrier_wait(s->all);
  s->seconds = (bench_now() - begin) / TIMED;
  for (int i = 0; i < N_COUNTS; i++)
    s->counted[i] = ((double)bench_stat(p.ctx, counts[i]) - s->counted[i]) / TIMED;
  bench_prog_free(&p);
  return NULL;
}

/* Runs the loop on so many ranks; 0: alone on the CPU. */
static void run(const loop *of, int ranks, seat *all) {
  static int worlds;
  pthread_barrier_t barrier;
  const int n = ranks > 0 ? ranks : 1, world = worlds++;
  if (pthread_barrier_init(&barrier, NULL, (unsigned)n) != 0) abort();
  for (int r = 0; r < n; r++) {
    all[r] = (seat){.of = of, .all = &barrier};
    if (ranks == 0)
      snprintf(all[r].config, sizeof all[r].config, "--gpus 0");
    else if (ranks == 1)
      snprintf(all[r].config, sizeof all[r].config, "%s", gpu_config());
    else
      snprintf(
          all[r].config, sizeof all[r].config,
          "%s --threads 1 --log warn --transport threads --ranks %d --rank %d --world bench%d%s",
          gpu_config(), ranks, r, world, gpu_small ? " --tile 0" : "");
    if (pthread_create(&all[r].thread, NULL, live, &all[r]) != 0) abort();
  }
  for (int r = 0; r < n; r++) pthread_join(all[r].thread, NULL);
  pthread_barrier_destroy(&barrier);
}

static void forget(seat *all, int n) {
  for (int r = 0; r < n; r++) bench_free(all[r].out, (size_t)all[r].n_out * sizeof *all[r].out);
}

static bool same(const seat *a, const seat *b) {
  return a->n_out == b->n_out && memcmp(a->out, b->out, (size_t)a->n_out * sizeof *a->out) == 0;
}

static bool shared_out(const loop *of, int ranks, const seat *cpu, const seat *gpu) {
  char row[64], note[160];
  seat all[MOST];
  run(of, ranks, all);
  bool good = all[0].counted[3] > 0;
  for (int r = 0; r < ranks; r++) good = same(cpu, &all[r]) && good;
  snprintf(row, sizeof row, "ranks%d_%s", ranks, of->name);
  snprintf(note, sizeof note, "on each of %d ranks the bits of the CPU, and kernels are shared out",
           ranks);
  gpu_print_yes(row, good, note);
  const double alone = 1e6 * gpu->seconds;
  snprintf(row, sizeof row, "ranks%d_%s_time", ranks, of->name);
  snprintf(note, sizeof note,
           "a pass, and of one rank; of rank 0: %.6g bytes up, %.6g down, %.3g messages",
           all[0].counted[0], all[0].counted[1], all[0].counted[2]);
  gpu_print(row, 1e6 * all[0].seconds, "us", &alone, NULL, note);
  forget(all, ranks);
  return good;
}

/* ---- why not by NCCL ---------------------------------------------------------------------------------------- */

static void *appear(void *arg) {
  const seat *s = arg;
  rp_context *ctx = NULL;
  if (rp_context_create(s->config, &ctx) != RP_OK || rp_context_destroy(ctx) != RP_OK)
    fprintf(stdout, "bench_gpu: two ranks on one GPU: %s\n", rp_last_error());
  return NULL;
}

/* What two ranks write to stderr while they find each other. */
static void overhear(char *text, size_t size) {
  seat all[2];
  FILE *file = tmpfile();
  const int kept = dup(STDERR_FILENO);
  fflush(stderr);
  text[0] = '\0';
  if (!file || kept < 0 || dup2(fileno(file), STDERR_FILENO) < 0) return;
  for (int r = 0; r < 2; r++) {
    snprintf(all[r].config, sizeof all[r].config,
             "%s --threads 1 --transport threads --ranks 2 --rank %d --world heard --log info",
             gpu_config(), r);
    if (pthread_create(&all[r].thread, NULL, appear, &all[r]) != 0) abort();
  }
  for (int r = 0; r < 2; r++) pthread_join(all[r].thread, NULL);
  fflush(stderr);
  dup2(kept, STDERR_FILENO);
  close(kept);
  rewind(file);
  text[fread(text, 1, size - 1, file)] = '\0';
  fclose(file);
}

static bool by_the_host(void) {
  static const char said[] = "GPUs speak by way of the host: it shares its GPU with another";
  static char text[4096];
  overhear(text, sizeof text);
  const bool good = strstr(text, said) != NULL;
  if (!good) fprintf(stderr, "bench_gpu: two ranks on one GPU write: %s\n", text);
  return gpu_print_yes("ranks_by_the_host", good, good ? said : "they do not say why");
}

bool gpu_worlds(void) {
  seat cpu[1], gpu[1];
  bool good = gpu_gpus == 0 || by_the_host();
  for (int i = 0; i < (int)(sizeof loops / sizeof *loops); i++) {
    run(&loops[i], 0, cpu);
    run(&loops[i], 1, gpu);
    for (int ranks = 2; ranks <= MOST; ranks += 2)
      good = shared_out(&loops[i], ranks, cpu, gpu) && good;
    forget(cpu, 1);
    forget(gpu, 1);
  }
  return good;
}
