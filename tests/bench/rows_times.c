/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/rows_times.c -- the table of cases, and the rows that run all of them: time, kernels,
 * bytes, memory; fused, unfused and interpreted. */
#include <stdio.h>
#include <string.h>

#include "tests/bench/bench.h"

const bench_case bench_cases[] = {
    {"bs_f64", bench_ours_bs_f64, bench_base_bs_f64, 1 << 24, 20000, 1, 1e-9, 1.10, 1},
    {"bs_f32", bench_ours_bs_f32, bench_base_bs_f32, 1 << 24, 20000, 1, 1e-5, 1.10, 0},
    {"stencil_4096", bench_ours_stencil, bench_base_stencil, 4096, 100, 5, 1e-9, 1.05, 1},
    {"cg_1024", bench_ours_cg, bench_base_cg, 1024, 40, 10, 1e-9, 1.10, 3},
    {"bicgstab_1024", bench_ours_bicgstab, bench_base_bicgstab, 1024, 40, 8, 1e-9, 1.10, 5},
    {"power_200k", bench_ours_power, bench_base_power, 200000, 1000, 10, 1e-9, 1.10, 2},
    {"cg_32", bench_ours_cg, bench_base_cg, 32, 32, 20, 1e-9, 1.15, 0},
};
const int bench_n_cases = (int)(sizeof bench_cases / sizeof *bench_cases);

const bench_case *bench_case_find(const char *name) {
  for (int i = 0; i < bench_n_cases; i++) {
    if (strcmp(bench_cases[i].name, name) == 0) return &bench_cases[i];
  }
  return NULL;
}

static int64_t size_of(const bench_case *c) { return bench_quick ? c->quick_size : c->size; }

/* ---- time ------------------------------------------------------------------------------------------- */

typedef struct timing {
  const char *row, *what;
  const bench_case *c;
  const char *options; /* of the context, besides the threads */
  int threads;
  bench_bar kind;
  double bar;
  bool petsc;
} timing;

static void add_petsc(const timing *t, double t_base) {
  bench_prog p;
  char row[64];
  snprintf(row, sizeof row, "petsc_%s", t->c->name);
  if (!bench_wanted(row) || !bench_petsc(t->c->name, size_of(t->c), &p)) return;
  bench_add(&(bench_row){.name = row,
                         .what = "PETSc, one process",
                         .unit = "ms",
                         .baseline = "hand-fused C, 1 thread",
                         .value = 1e3 * bench_alone(&p),
                         .baseline_value = 1e3 * t_base});
  bench_prog_free(&p);
}

static void add_time(const timing *t) {
  char config[128], baseline[64], petsc[64];
  snprintf(petsc, sizeof petsc, "petsc_%s", t->c->name);
  if (!bench_wanted(t->row) && !(t->petsc && bench_wanted(petsc))) return;
  snprintf(config, sizeof config, "--threads %d %s", t->threads, t->options);
  snprintf(baseline, sizeof baseline, "hand-fused C, %d thread%s", t->threads,
           t->threads == 1 ? "" : "s");
  bench_prog ours = t->c->ours(config, size_of(t->c));
  bench_prog base = t->c->base(size_of(t->c), t->threads);
  bench_settle(&ours);
  const bool right = bench_agree(t->row, &ours, &base, t->c->check_passes, t->c->tolerance);
  double t_ours, t_base;
  /* CG on 32^2 unknowns is at its end after some sixty iterations. */
  bench_pair(&ours, &base, strcmp(t->c->name, "cg_32") == 0 ? 50 : 0, &t_ours, &t_base);
  bench_add(&(bench_row){.name = t->row,
                         .what = t->what,
                         .unit = "ms",
                         .baseline = baseline,
                         .value = 1e3 * t_ours,
                         .baseline_value = 1e3 * t_base,
                         .kind = t->kind,
                         .bar = t->bar,
                         .wrong = !right});
  if (t->petsc) add_petsc(t, t_base);
  bench_prog_free(&ours);
  bench_prog_free(&base);
}

void bench_rows_times(void) {
  char row[64];
  for (int i = 0; i < bench_n_cases; i++) {
    const bench_case *c = &bench_cases[i];
    for (int threads = 1; threads <= 2; threads++) {
      const bool tiny = strcmp(c->name, "cg_32") == 0;
      if (tiny && threads == 2) continue;
      snprintf(row, sizeof row, "%s_t%d", c->name, threads);
      add_time(
          &(timing){row, "time per iteration", c, "", threads, BENCH_RATIO, c->bar, threads == 1});
    }
  }
  for (int i = 0; i < bench_n_cases; i++) {
    const bench_case *c = &bench_cases[i];
    snprintf(row, sizeof row, "unfused_%s", c->name);
    add_time(&(timing){row, "fusion off", c, "--fusion off", strcmp(c->name, "cg_32") ? 2 : 1,
                       BENCH_REPORTED, 0, false});
  }
  static const char *const interpreted[] = {"bs_f64", "stencil_4096", "cg_1024"};
  for (int i = 0; i < 3; i++) {
    for (int threads = 1; threads <= 2; threads++) {
      snprintf(row, sizeof row, "tier0_%s_t%d", interpreted[i], threads);
      add_time(&(timing){row, "interpreter alone", bench_case_find(interpreted[i]), "--tier 0",
                         threads, BENCH_RATIO, 2.0, false});
    }
  }
}

/* ---- kernels and bytes of an iteration ------------------------------------------------------------------ */

static void count(const bench_case *c, const char *kernels, const char *bytes) {
  const int64_t passes = 20, n = bench_quick ? c->quick_size : c->size / 4;
  bench_prog ours = c->ours("--threads 1", n), base = c->base(n, 1);
  bench_settle(&ours);
  const int64_t kernels_before = bench_stat(ours.ctx, "kernels_run");
  const int64_t bytes_before = bench_stat(ours.ctx, "bytes_moved");
  ours.run(ours.self, passes);
  const int64_t run = bench_stat(ours.ctx, "kernels_run") - kernels_before;
  const int64_t moved = bench_stat(ours.ctx, "bytes_moved") - bytes_before;
  bench_add(&(bench_row){.name = kernels,
                         .what = "kernels per iteration",
                         .unit = "kernels",
                         .baseline = "hand-fused loops",
                         .value = (double)run / (double)passes,
                         .baseline_value = c->kernels,
                         .kind = BENCH_RATIO,
                         .bar = 1});
  bench_add(&(bench_row){.name = bytes,
                         .what = "modelled traffic per iteration",
                         .unit = "MB",
                         .baseline = "the loops' own count",
                         .value = 1e-6 * (double)moved / (double)passes,
                         .baseline_value = 1e-6 * base.bytes,
                         .kind = BENCH_RATIO,
                         .bar = 1.05});
  bench_prog_free(&ours);
  bench_prog_free(&base);
}

void bench_rows_kernels(void) {
  for (int i = 0; i < bench_n_cases; i++) {
    const bench_case *c = &bench_cases[i];
    if (c->kernels <= 0) continue;
    char kernels[64], bytes[64];
    const int stem = (int)strcspn(c->name, "_");
    snprintf(kernels, sizeof kernels, "kernels_%.*s", stem, c->name);
    snprintf(bytes, sizeof bytes, "kernels_%.*s_bytes", stem, c->name);
    if (bench_wanted(kernels) || bench_wanted(bytes)) count(c, kernels, bytes);
  }
}

/* ---- memory ----------------------------------------------------------------------------------------------- */

void bench_rows_memory(void) {
  if (!bench_wanted("memory")) return;
  const bench_case *c = bench_case_find("bs_f64");
  const int64_t n = size_of(c);
  bench_prog ours = c->ours("", n);
  ours.run(ours.self, 5);
  RP_CHECK(rp_wait(ours.ctx));
  bench_add(&(bench_row){.name = "memory",
                         .what = "peak of Black-Scholes",
                         .unit = "MB",
                         .baseline = "inputs and outputs",
                         .value = 1e-6 * (double)bench_stat(ours.ctx, "memory_peak"),
                         .baseline_value = 1e-6 * 40.0 * (double)n,
                         .kind = BENCH_RATIO,
                         .bar = 1.05});
  bench_prog_free(&ours);
}
