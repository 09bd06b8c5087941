/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/ways.h -- the ways to run a program, and its comparison in all of them.
 *
 * Lives here: which configurations a seed gets, contexts kept from program to program, one examination.
 * Not here:   seeds by the thousand and their processes (campaign.h).
 * How:        every seed runs task by task without fusion, tracing, renaming or threads: the oracle,
 *             whose launches are also held against an independent evaluator. Then, all in tier 0:
 *               0  fused, replayed where the program repeats, committed late
 *               1  the same, committed early
 *               2  by turns: twice in one context, so that all of the second run, which counts, is
 *                  replayed (every other seed); no fusion, no tracing, no renaming, no horizontal
 *                  fusion, segments of at most 7 tasks, of one task, a handful of templates
 *             The three ways take 1, 2, 3 and 7 threads in turns, so that with the oracle almost every
 *             seed runs on all of them; with several threads even the smallest kernels are shared
 *             out. With compiled kernels the ways are those of way_compiled; among ranks, which are threads
 *             here, those of way_ranks. */
#ifndef WAYS_H
#define WAYS_H

#include "tests/equal/program.h"

enum {
  N_WAY = 3,
  N_WAY_COMPILED = 2,
  N_WAY_RANKS = 3,
  WAY_ORACLE = -1,
  N_CONTEXT = 64,
  WAY_TEXT = 4400
};

typedef struct way {
  char config[WAY_TEXT];
  bool twice;
  int32_t ranks; /* 0: a process alone */
  bool uneven;   /* each rank has more options: add_own */
  bool half;     /* every other rank has no GPU */
} way;

/* Way i of the seed, WAY_ORACLE among them. */
void way_interpreted(uint64_t seed, int32_t i, way *w);
/* With the folder of kernels `cache`: 0 has compiled code from the first run of a kernel on, 1 takes it
 * when the compiler behind its back is ready. */
void way_compiled(uint64_t seed, int32_t i, const char *cache, way *w);

/* On 2, 3, 4, 6 and 7 ranks in turns, whose every array is shared out, by rows or by boxes: 0 on one thread each, 1
 * on two and with one of the turns above, 2 on ranks that differ in all that may be their own: threads, times, when
 * and in which order finalizers release stores; with `cache`, a folder that has one for each rank, also in tiers and
 * in what they find compiled. In all ways all ranks must have decided alike. */
void way_ranks(uint64_t seed, int32_t i, const char *cache, way *w);

/* On a GPU whose driver and compiler are the library `gpu` ("card": those of the machine, whose class M has other bits), with the folder of kernels `cache`: 0 replays graphs, 1 has
 * none, memory for a few arrays only and one of the turns above, 2 runs twice in one context; by turns with interpreted
 * and with compiled kernels, or with `tier` in that alone. */
void way_gpu(uint64_t seed, int32_t i, const char *gpu, const char *cache, way *w);

/* On 2, 3 and 4 such ranks, each with a GPU of that kind: 0 replays graphs, 1 has none and one of the turns above, 2 where
 * every other rank has no GPU. Where the environment's WAY_NCCL names a library these speak by it, if there are enough of
 * them. */
void way_gpu_ranks(uint64_t seed, int32_t i, const char *gpu, const char *cache, way *w);

/* On 2, 3 and 4 GPUs of that kind in one process, some of which stand for two where there are fewer; as way_gpu_ranks, but 2
 * runs twice in one context. */
void way_several(uint64_t seed, int32_t i, const char *gpu, const char *cache, way *w);

/* On as many ranks as the launcher has started, whose every array is shared out: as way_ranks. The oracle is a
 * process alone, whatever the launcher says. */
void way_processes(uint64_t seed, int32_t i, way *w);

/* Contexts by their configuration, which serve one program after the other. */
typedef struct way_contexts {
  int32_t n;
  memory_piece *lent; /* to any of them */
  struct {
    char *config;
    rp_context *ctx;
  } kept[N_CONTEXT];
} way_contexts;
void way_contexts_free(way_contexts *c); /* waits for their compiles first */

/* What is to be examined. */
typedef struct way_choice {
  const char *cache; /* the compiled ways; NULL: the interpreted ones */
  const char *gpu;   /* the ways on a GPU */
  const char *only;  /* configurations that contain this; NULL: all */
  int32_t one;       /* this way alone; -1: all */
  bool ranks;        /* the ways among ranks */
  bool several;      /* with `gpu`: the ways on several GPUs in one process */
  bool processes;    /* this process is one of them */
} way_choice;
void way_choose(uint64_t seed, int32_t i, const way_choice *c, way *w);

/* What was found. */
typedef struct way_finding {
  uint64_t seed;
  int32_t way;    /* tried last */
  int64_t checks; /* launches held against the evaluator */
  int64_t oracle[N_STAT], fused[N_STAT], refused;
  char why[700]; /* "" if all ways agree */
} way_finding;

/* Compares; with `contexts` in those. */
void way_examine(const program *p, uint64_t seed, const way_choice *c, way_contexts *contexts,
                 way_finding *f);
/* The same in a process of its own, so that a crash or a hang is a finding like any other; f lies in shared
 * memory. True if all is well. */
bool way_examine_apart(const program *p, uint64_t seed, const way_choice *c, way_finding *f);

#endif
