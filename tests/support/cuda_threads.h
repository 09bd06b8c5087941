/* SPDX-License-Identifier: Apache-2.0
 * tests/support/cuda_threads.h -- the blocks and threads of a CUDA text's kernel, by turns on a CPU.
 * Lives here: the words of jit/lanes_cuda.h for such a text, a scheduler. A thread has a stack of its own and runs until it
 *             meets a barrier; the threads of a block, and the blocks of a grid, come in random order. One block to
 *             three are resident and go on in turns, by a few of their barriers and naps; what is shared
 *             has one place in the text, and a block that is not at hand keeps its own aside. */
#ifndef CUDA_THREADS_H
#define CUDA_THREADS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/fiber.h"

enum {
  THREADS_BLOCK = 256,
  THREADS_WARP = 32,
  THREADS_STACK = 1 << 16,
  THREADS_RESIDENT = 3,
  THREADS_OFTEN = 16
};

struct threads_place {
  int thread, threads, block, blocks;
};
struct threads_hooks {
  struct threads_place *place;
  void (*meet)(int warp); /* 2: nobody, but others run; 1: the warp, 0: the block */
  void (*may_nap)(void);  /* other warps run, at times */
  uint64_t (*down)(uint64_t bits, int by);
  char *shared, *shared_end;
};

static const char threads_head[] =
    "#ifndef __clang__\n" /* tgamma of a constant is for libm, not for the compiler */
    "#pragma GCC optimize(\"O1\", \"rounding-math\")\n"
    "#endif\n"
    "#define RPG_HOST 1\n"
    "#define RPG_HOST_BITS 256\n"
    "struct rpg_place { int thread, threads, block, blocks; };\n"
    "struct rpg_hooks { struct rpg_place *place; void (*meet)(int); void (*may_nap)(void); "
    "unsigned "
    "long (*down)(unsigned long, int); char *shared, *shared_end; };\n"
    "extern char __start_rpg_shared[] __attribute__((weak, visibility(\"hidden\")));\n"
    "extern char __stop_rpg_shared[] __attribute__((weak, visibility(\"hidden\")));\n"
    "__attribute__((visibility(\"default\"))) struct rpg_hooks rpg_hooks = {\n"
    "  .shared = __start_rpg_shared, .shared_end = __stop_rpg_shared};\n"
    "#define RPG_KERNEL(name, args) static void name##_body(const struct args a); \\\n"
    "  __attribute__((visibility(\"default\"))) void name(const void *p) \\\n"
    "  { name##_body(*(const struct args *)p); } static void name##_body(const struct args a)\n"
    "#define RPG_DEVICE static inline __attribute__((unused))\n"
    "#define RPG_FAR static __attribute__((noinline, unused))\n"
    "#define RPG_SHARED static __attribute__((section(\"rpg_shared\")))\n"
    "#define RPG_ALIGN(n) __attribute__((aligned(n)))\n"
    "#define RPG_THREAD (rpg_hooks.place->thread)\n"
    "#define RPG_THREADS (rpg_hooks.place->threads)\n"
    "#define RPG_BLOCK (rpg_hooks.place->block)\n"
    "#define RPG_BLOCKS (rpg_hooks.place->blocks)\n"
    "#define RPG_SYNC() rpg_hooks.meet(0)\n"
    "#define RPG_WARP() rpg_hooks.meet(1)\n"
    "#define RPG_FENCE() ((void)0)\n"
    "#define RPG_COUNT(p) ((*(volatile unsigned *)(p))++)\n"
    "#define RPG_NAP() rpg_hooks.meet(2)\n"
    "static inline __attribute__((unused)) unsigned rpg_add(unsigned *p, unsigned n) {\n"
    "  const unsigned before = *p;\n"
    "  *p = before + n;\n"
    "  rpg_hooks.may_nap();\n"
    "  return before;\n"
    "}\n"
    "static inline __attribute__((unused)) unsigned rpg_swap(unsigned *p, unsigned a, unsigned b) "
    "{\n"
    "  const unsigned before = *p;\n"
    "  if (before == a) *p = b;\n"
    "  rpg_hooks.may_nap();\n"
    "  return before;\n"
    "}\n"
    "#define RPG_ADD(p, n) rpg_add((unsigned *)(p), (unsigned)(n))\n"
    "#define RPG_SWAP(p, a, b) rpg_swap((unsigned *)(p), (unsigned)(a), (unsigned)(b))\n"
    "#define RPG_RAISE(p) (*(volatile unsigned *)(p) = 1u)\n"
    "#define RPG_DOWN32(v, n) ((unsigned)rpg_hooks.down((unsigned)(v), n))\n"
    "#define RPG_DOWN64(v, n) (rpg_hooks.down(v, n))\n"
    "#define RPG_FROM32(v, t) ((unsigned)rpg_hooks.down((unsigned)(v), (t) - (RPG_THREAD & 31)))\n"
    "#define RPG_FROM64(v, t) (rpg_hooks.down(v, (t) - (RPG_THREAD & 31)))\n"
    "#define RPG_BALLOT(p) rpg_ballot((p) != 0)\n"
    "static inline __attribute__((unused)) unsigned rpg_ballot(unsigned p) {\n"
    "  unsigned bits = p << (RPG_THREAD & 31);\n"
    "  for (int by = 16; by > 0; by /= 2) bits |= RPG_DOWN32(bits, by);\n"
    "  return RPG_FROM32(bits, 0);\n"
    "}\n"
    "#define RPG_LDG(p) (*(p))\n";

/* A block that is resident. */
typedef struct threads_block {
  int number;
  void *there[THREADS_BLOCK]; /* where each goes on */
  char *stack[THREADS_BLOCK];
  enum { THREADS_RUNS, THREADS_WARPS, THREADS_SYNC, THREADS_NAPS, THREADS_DONE } at[THREADS_BLOCK];
  uint64_t bits[2][THREADS_BLOCK];
  int turn[THREADS_BLOCK]; /* which of them the next shuffle uses */
  char *shared;            /* while another block is at hand */
} threads_block;

static struct {
  struct threads_place place;
  void *scheduler;
  threads_block resident[THREADS_RESIDENT], *at_hand;
  char *shared;
  size_t bytes; /* that are shared */
  void (*run)(const void *);
  const void *parameters;
  uint64_t seed;
} threads_now;

/* What runs on the threads' own stacks. */
#define THREADS_PLAIN __attribute__((noinline, no_sanitize("address", "undefined", "thread")))

static THREADS_PLAIN void threads_meet(int warp) {
  const int t = threads_now.place.thread;
  threads_now.at_hand->at[t] = warp == 2 ? THREADS_NAPS : warp ? THREADS_WARPS : THREADS_SYNC;
  fiber_switch(&threads_now.at_hand->there[t], threads_now.scheduler);
}

static inline uint32_t threads_next(void) {
  threads_now.seed = threads_now.seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(threads_now.seed >> 33);
}

/* Behind what threads do to each other's memory. */
static THREADS_PLAIN void threads_may_nap(void) {
  if (threads_next() % 4 == 0) threads_meet(2);
}

static THREADS_PLAIN uint64_t threads_down(uint64_t bits, int by) {
  const int t = threads_now.place.thread, from = t % THREADS_WARP + by < THREADS_WARP ? t + by : t;
  if (from < t - t % THREADS_WARP) abort();
  uint64_t *const all = threads_now.at_hand->bits[threads_now.at_hand->turn[t] ^= 1];
  all[t] = bits;
  threads_meet(1);
  return all[from]; /* the next shuffle writes elsewhere; before the one after it all have read */
}

/* A thread of each block in turn. */
static THREADS_PLAIN void threads_main(void) {
  for (;;) {
    threads_now.run(threads_now.parameters);
    const int t = threads_now.place.thread;
    threads_now.at_hand->at[t] = THREADS_DONE;
    fiber_switch(&threads_now.at_hand->there[t], threads_now.scheduler);
  }
}

static inline int threads_count(int from, int n, int at) {
  int found = 0;
  for (int t = from; t < from + n; t++) found += (int)threads_now.at_hand->at[t] == at;
  return found;
}

static inline void threads_release(int from, int n, int at) {
  for (int t = from; t < from + n; t++)
    if ((int)threads_now.at_hand->at[t] == at) threads_now.at_hand->at[t] = THREADS_RUNS;
}

static THREADS_PLAIN void threads_resume(int t) {
  threads_now.place.thread = t;
  fiber_switch(&threads_now.scheduler, threads_now.at_hand->there[t]);
}

/* A warp as far as it comes without the others, or up to where it meets, at times. */
static inline void threads_warp(int from) {
  const int first = (int)(threads_now.seed >> 40) & (THREADS_WARP - 1);
  do {
    if (threads_count(from, THREADS_WARP, THREADS_WARPS) == THREADS_WARP)
      threads_release(from, THREADS_WARP, THREADS_WARPS);
    for (int i = 0; i < THREADS_WARP; i++) {
      const int t = from + (i + first) % THREADS_WARP;
      if (threads_now.at_hand->at[t] == THREADS_RUNS) threads_resume(t);
    }
  } while (threads_count(from, THREADS_WARP, THREADS_WARPS) == THREADS_WARP &&
           threads_next() % THREADS_OFTEN != 0);
}

/* All warps up to the block's next barrier, or less, or to their end; false: all have ended. Threads that wait for
 * ones that have ended, or at different barriers, never go on: that aborts. */
static inline bool threads_step(void) {
  const int n = threads_now.place.threads;
  const int first = (int)threads_next() & (THREADS_BLOCK - THREADS_WARP);
  for (int w = 0; w < n; w += THREADS_WARP) threads_warp((w + first) % n);
  if (threads_count(0, n, THREADS_DONE) == n) return false;
  for (int w = 0; w < n; w += THREADS_WARP)
    if (threads_count(w, THREADS_WARP, THREADS_WARPS) == THREADS_WARP) return true;
  if (threads_count(0, n, THREADS_NAPS) > 0) {
    threads_release(0, n, THREADS_NAPS);
    return true;
  }
  if (threads_count(0, n, THREADS_SYNC) != n) abort();
  threads_release(0, n, THREADS_SYNC);
  return true;
}

static inline void threads_begin(int t) {
  threads_now.at_hand->at[t] = THREADS_RUNS;
  if (threads_now.at_hand->stack[t]) return;
  threads_now.at_hand->stack[t] = aligned_alloc(64, THREADS_STACK);
  if (!threads_now.at_hand->stack[t]) abort();
  threads_now.at_hand->there[t] =
      fiber_begin(threads_now.at_hand->stack[t] + THREADS_STACK, threads_main);
}

/* What is shared is that of block b, or as a new block finds it. */
static inline void threads_take(threads_block *b, int fresh) {
  const size_t n = threads_now.bytes;
  if (n > 0 && threads_now.at_hand && threads_now.at_hand != b)
    memcpy(threads_now.at_hand->shared, threads_now.shared, n);
  if (n > 0 && fresh)
    memset(threads_now.shared, 0xa5, n);
  else if (n > 0 && threads_now.at_hand != b)
    memcpy(threads_now.shared, b->shared, n);
  threads_now.at_hand = b;
  threads_now.place.block = b->number;
}

/* Some steps of a block that is resident; false: it has ended. */
static inline bool threads_go_on(threads_block *b) {
  threads_take(b, 0);
  for (int steps = 1 + (int)(threads_next() % 4); steps > 0; steps--) {
    if (threads_step()) continue;
    threads_now.at_hand = NULL;
    return false;
  }
  return true;
}

static inline void threads_enter(threads_block *b, int number) {
  b->number = number;
  threads_take(b, 1);
  for (int t = 0; t < threads_now.place.threads; t++) threads_begin(t);
}

/* A launch of `blocks` blocks of `threads`, whole warps and at most THREADS_BLOCK. */
static inline void threads_launch(struct threads_hooks *hooks, void (*run)(const void *),
                                  const void *parameters, int blocks, int threads) {
  threads_block *at[THREADS_RESIDENT];
  hooks->place = &threads_now.place;
  hooks->meet = threads_meet;
  hooks->may_nap = threads_may_nap;
  hooks->down = threads_down;
  threads_now.run = run;
  threads_now.parameters = parameters;
  threads_now.place = (struct threads_place){.threads = threads, .blocks = blocks};
  threads_now.at_hand = NULL;
  threads_now.shared = hooks->shared;
  threads_now.bytes = (size_t)(hooks->shared_end - hooks->shared);
  const int first = (int)(threads_now.seed >> 20 & 0xffff) % blocks;
  const int most = 1 + (int)(threads_next() % THREADS_RESIDENT);
  for (int i = 0; i < THREADS_RESIDENT; i++) {
    at[i] = &threads_now.resident[i];
    at[i]->shared = threads_now.bytes > 0 ? malloc(threads_now.bytes) : NULL;
  }
  for (int next = 0, there = 0; there > 0 || next < blocks;) {
    if (there < most && next < blocks) threads_enter(at[there++], (next++ + first) % blocks);
    const int i = (int)(threads_next() % (unsigned)there);
    threads_block *const b = at[i];
    if (threads_go_on(b)) continue;
    at[i] = at[--there];
    at[there] = b;
  }
  for (int i = 0; i < THREADS_RESIDENT; i++) free(at[i]->shared);
}

#endif
