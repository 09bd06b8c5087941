/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/ways.c -- see ways.h. */
#define _GNU_SOURCE
#include "tests/equal/ways.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COMMON " --pin off --spin 100 --log quiet"
#define TIER_0 "--tier 0 --cache_dir none" COMMON

static const char oracle[] =
    TIER_0 " --threads 1 --fusion off --tracing off --rename off --late off";

static const char *const turns[] = {"--fusion off",
                                    "--tracing off",
                                    "--rename off",
                                    "--horizontal off",
                                    "--max_tasks 7 --window 5",
                                    "--max_tasks 1 --window 1",
                                    "--templates 3"};
enum { N_TURN = sizeof turns / sizeof *turns, SECONDS = 60 };

static const int32_t threads[] = {1, 2, 3, 7};

static const char *grain(int32_t n) { return n > 1 ? " --grain 0" : ""; }

void way_interpreted(uint64_t seed, int32_t i, way *w) {
  const int32_t n = threads[(seed / 2 + (uint64_t)(i + 4)) % 4];
  const bool odd = i == 2 && seed % 2 == 1;
  const char *more = i == 1 ? "--late off" : odd ? turns[(seed / 2) % N_TURN] : "";
  *w = (way){.twice = i == 2 && !odd};
  if (i == WAY_ORACLE)
    snprintf(w->config, sizeof w->config, "%s", oracle);
  else
    snprintf(w->config, sizeof w->config, TIER_0 " --threads %d%s %s", n, grain(n), more);
}

void way_compiled(uint64_t seed, int32_t i, const char *cache, way *w) {
  const int32_t n = i == 0 ? threads[seed % 4] : 2;
  *w = (way){0};
  if (i == WAY_ORACLE)
    snprintf(w->config, sizeof w->config, "%s", oracle);
  else
    snprintf(w->config, sizeof w->config, "--tier %s --cache_dir %s --threads %d%s" COMMON,
             i == 0 ? "1" : "auto", cache, n, grain(n));
}

/* How arrays are cut: mostly along as many axes as can be. */
static const char *cut(uint64_t seed, int32_t i) {
  static const char *const cuts[] = {"boxes", "boxes", "auto", "rows"};
  return cuts[(seed / 4 + (uint64_t)(i + 1)) % 4];
}

/* One of the turns, where it is way 1's. */
static const char *turn(uint64_t seed, int32_t i) { return i == 1 ? turns[seed / 4 % N_TURN] : ""; }

void way_ranks(uint64_t seed, int32_t i, const char *cache, way *w) {
  static const int32_t ranks[] = {2, 3, 4, 6, 7};
  *w =
      (way){.ranks = i == WAY_ORACLE ? 0 : ranks[(seed + (uint64_t)(i > 0)) % 5], .uneven = i == 2};
  if (i == WAY_ORACLE)
    snprintf(w->config, sizeof w->config, "%s", oracle);
  else if (i == 2)
    snprintf(w->config, sizeof w->config,
             "%s --transport threads --tile 0 --watchdog 60 --consensus 3 --ranks %d --cut %s",
             cache ? COMMON : TIER_0, w->ranks, cut(seed, i));
  else
    snprintf(w->config, sizeof w->config,
             TIER_0
             " --threads %d%s --transport threads --tile 0 --overlap 0 --watchdog 20 --ranks %d "
             "--cut %s %s",
             i + 1, grain(i + 1), w->ranks, cut(seed, i), turn(seed, i));
}

/* The driver and the compiler: a library that is both, or those of the machine. */
static const char *libraries(const char *gpu) {
  static char text[WAY_TEXT / 2];
  if (strcmp(gpu, "card") == 0) return "";
  snprintf(text, sizeof text, " --cuda %s --nvrtc %s", gpu, gpu);
  return text;
}

static const char *gpu_tier(uint64_t seed) { return seed % 2 ? "0" : "1"; }

static const char *nccl(void) {
  const char *library = getenv("WAY_NCCL");
  return library && *library ? library : "none";
}

void way_gpu(uint64_t seed, int32_t i, const char *gpu, const char *cache, way *w) {
  static const char *const rooms[] = {"12", "24", "0"};
  *w = (way){.twice = i == 2};
  if (i == WAY_ORACLE) {
    snprintf(w->config, sizeof w->config, "%s --gpus 0", oracle);
    return;
  }
  snprintf(w->config, sizeof w->config, "--gpus 1%s --cache_dir %s --threads 1 --tier %s" COMMON,
           libraries(gpu), cache, gpu_tier(seed));
  const size_t n = strlen(w->config);
  if (i == 1)
    snprintf(w->config + n, sizeof w->config - n, " --graphs off --gpu_mb %s %s",
             rooms[seed / 2 % 3], turn(seed, i));
}

void way_gpu_ranks(uint64_t seed, int32_t i, const char *gpu, const char *cache, way *w) {
  *w = (way){.ranks = i == WAY_ORACLE ? 0 : 2 + (int32_t)((seed / 2 + (uint64_t)(i + 1)) % 3),
             .half = i == 2};
  if (i == WAY_ORACLE)
    snprintf(w->config, sizeof w->config, "%s --gpus 0", oracle);
  else
    snprintf(
        w->config, sizeof w->config,
        "--gpus 1%s --cache_dir %s --threads 1 --tier %s" COMMON
        " --transport threads --tile 0 --overlap 0 --watchdog 60 --nccl %s --ranks %d --cut %s "
        "%s %s",
        libraries(gpu), cache, gpu_tier(seed), nccl(), w->ranks, cut(seed, i),
        i == 1 ? "--graphs off" : "", turn(seed, i));
}

void way_several(uint64_t seed, int32_t i, const char *gpu, const char *cache, way *w) {
  *w = (way){.twice = i == 2};
  if (i == WAY_ORACLE)
    snprintf(w->config, sizeof w->config, "%s --gpus 0", oracle);
  else
    snprintf(
        w->config, sizeof w->config,
        "--gpus %d --gpu_share on --cuda %s --nvrtc %s --cache_dir %s --threads 1 --tier %s" COMMON
        " --tile 0 --overlap 0 --consensus 3 --watchdog 60 --nccl %s --cut %s %s %s",
        2 + (int)((seed / 2 + (uint64_t)(i + 1)) % 3), gpu, gpu, cache, gpu_tier(seed), nccl(),
        cut(seed, i), i == 1 ? "--graphs off" : "", turn(seed, i));
}

void way_processes(uint64_t seed, int32_t i, way *w) {
  *w = (way){0};
  if (i == WAY_ORACLE)
    snprintf(w->config, sizeof w->config, "%s --transport none", oracle);
  else
    snprintf(w->config, sizeof w->config,
             TIER_0 " --threads %d%s --tile 0 --watchdog 20 --cut %s %s", i + 1, grain(i + 1),
             cut(seed, i), turn(seed, i));
}

void way_choose(uint64_t seed, int32_t i, const way_choice *c, way *w) {
  if (c->gpu && c->several)
    way_several(seed, i, c->gpu, c->cache, w);
  else if (c->gpu && c->ranks)
    way_gpu_ranks(seed, i, c->gpu, c->cache, w);
  else if (c->gpu)
    way_gpu(seed, i, c->gpu, c->cache, w);
  else if (c->ranks)
    way_ranks(seed, i, c->cache, w);
  else if (c->cache)
    way_compiled(seed, i, c->cache, w);
  else if (c->processes)
    way_processes(seed, i, w);
  else
    way_interpreted(seed, i, w);
}

/* ---- ranks: each a thread with contexts of its own */

typedef struct rank_run {
  const program *p;
  char config[2 * WAY_TEXT];
  uint64_t finalizer;
  transcript t;
} rank_run;

static void *run_rank(void *arg) {
  rank_run *r = arg;
  program_run(r->p, &(run_options){.config = r->config, .finalizer = r->finalizer}, &r->t);
  return NULL;
}

/* The options that are a rank's own: tiers and kernels too, if there are any. */
static void add_own(rank_run *r, int32_t rank, uint64_t seed, const char *cache) {
  const size_t n = strlen(r->config);
  const int32_t k = (rank + (int32_t)(seed % 3)) % 3, t = threads[(seed + (uint64_t)rank) % 3];
  char *at = r->config + n;
  const size_t room = sizeof r->config - n;
  r->finalizer = seed * 64 + (uint64_t)rank + 1;
  const char *overlap = (seed + (uint64_t)rank) % 2 ? " --overlap 0" : "";
  if (!cache)
    snprintf(at, room, " --threads %d%s%s", t, grain(t), overlap);
  else if (k == 0)
    snprintf(at, room, " --threads %d%s%s --cc none --cache_dir none", t, grain(t), overlap);
  else
    snprintf(at, room, " --threads %d%s%s --tier %s --cache_dir %s/%d", t, grain(t), overlap,
             k == 1 ? "1" : "auto", cache, rank);
}

/* What each rank saw must be what `want` is. */
static void compare_ranks(const program *p, uint64_t seed, const way *w, const char *cache,
                          const transcript *want, int64_t *stat, char *why, size_t size) {
  static _Atomic int32_t worlds;
  const int32_t world = worlds++;
  rank_run *runs = calloc((size_t)w->ranks, sizeof *runs);
  pthread_t *all = calloc((size_t)w->ranks, sizeof *all);
  if (!runs || !all) abort();
  for (int32_t r = 0; r < w->ranks; r++) {
    runs[r].p = p;
    snprintf(runs[r].config, sizeof runs[r].config, "%s --rank %d --world w%d", w->config, r,
             world);
    if (w->uneven) add_own(&runs[r], r, seed, cache);
    if (w->half && (seed + (uint64_t)r) % 2) strcat(runs[r].config, " --gpus 0");
    if (pthread_create(&all[r], NULL, run_rank, &runs[r]) != 0) abort();
  }
  for (int32_t r = 0; r < w->ranks; r++) pthread_join(all[r], NULL);
  memcpy(stat, runs[0].t.stat, sizeof runs[0].t.stat);
  for (int32_t r = 0; r < w->ranks; r++) {
    const int64_t own = runs[r].t.stat[STAT_DECISIONS], first = stat[STAT_DECISIONS];
    if (!why[0]) transcript_equal(p, want, &runs[r].t, why, size);
    if (!why[0] && own != first)
      snprintf(why, size, "rank %d has decided otherwise than rank 0 (%llx, %llx)", r,
               (unsigned long long)own, (unsigned long long)first);
    transcript_free(&runs[r].t);
  }
  free(runs);
  free(all);
}

/* ---- contexts */

static rp_context *context_for(way_contexts *c, const char *config) {
  for (int32_t i = 0; i < c->n; i++)
    if (strcmp(c->kept[i].config, config) == 0) return c->kept[i].ctx;
  if (c->n == N_CONTEXT) return NULL;
  rp_context *ctx = NULL;
  if (rp_context_create(config, &ctx) != RP_OK) return NULL;
  c->kept[c->n].config = strdup(config);
  c->kept[c->n++].ctx = ctx;
  return ctx;
}

void way_contexts_free(way_contexts *c) {
  for (int32_t i = 0; i < c->n; i++) {
    rp_wait_compiled(c->kept[i].ctx);
    rp_context_destroy(c->kept[i].ctx);
    free(c->kept[i].config);
  }
  c->n = 0;
  program_memory_free(&c->lent);
}

/* ---- one program */

static void run(const program *p, const way *w, bool stepwise, way_contexts *contexts,
                transcript *t) {
  const run_options o = {.config = w->config,
                         .ctx = contexts ? context_for(contexts, w->config) : NULL,
                         .lent = contexts ? &contexts->lent : NULL,
                         .stepwise = stepwise,
                         .twice = w->twice};
  program_run(p, &o, t);
}

static int64_t count_refused(const transcript *t) {
  int64_t n = 0;
  for (int32_t i = 0; i < t->n_rec; i++)
    n += t->rec[i].status != RP_OK && t->rec[i].status != RP_ERR_DATA;
  return n;
}

void way_examine(const program *p, uint64_t seed, const way_choice *c, way_contexts *contexts,
                 way_finding *f) {
  const int32_t n = c->ranks || c->processes || c->several ? N_WAY_RANKS
                    : c->cache                             ? N_WAY_COMPILED
                                                           : N_WAY;
  transcript a, b;
  way w;
  f->seed = seed;
  f->way = WAY_ORACLE;
  way_choose(seed, WAY_ORACLE, c, &w);
  run(p, &w, true, contexts, &a);
  f->checks = a.direct_checks;
  f->refused = count_refused(&a);
  memcpy(f->oracle, a.stat, sizeof a.stat);
  if (a.fault[0]) snprintf(f->why, sizeof f->why, "task by task: %s", a.fault);
  for (int32_t i = 0; i < n && !f->why[0]; i++) {
    if (c->one >= 0 && c->one != i) continue;
    way_choose(seed, i, c, &w);
    if (c->only && !strstr(w.config, c->only)) continue;
    f->way = i;
    if (w.ranks > 0) {
      int64_t stat[N_STAT];
      compare_ranks(p, seed, &w, c->cache, &a, stat, f->why, sizeof f->why);
      if (i == 0) memcpy(f->fused, stat, sizeof stat);
      f->fused[STAT_AGREED] = stat[STAT_AGREED];
      continue;
    }
    run(p, &w, false, contexts, &b);
    transcript_equal(p, &a, &b, f->why, sizeof f->why);
    if (i == 0) memcpy(f->fused, b.stat, sizeof b.stat);
    transcript_free(&b);
  }
  transcript_free(&a);
}

bool way_examine_apart(const program *p, uint64_t seed, const way_choice *c, way_finding *f) {
  int status = 0;
  f->why[0] = '\0';
  fflush(NULL);
  const pid_t child = fork();
  if (child < 0) abort();
  if (child == 0) {
    alarm(SECONDS);
    way_examine(p, seed, c, NULL, f);
    _exit(0);
  }
  while (waitpid(child, &status, 0) < 0) {
  }
  if (status != 0 && !f->why[0])
    snprintf(f->why, sizeof f->why, "the process ended with %s %d",
             WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  return f->why[0] == '\0';
}
