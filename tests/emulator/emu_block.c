/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_block.c -- the threads of some blocks take turns on one core.
 *
 * Lives here: blocks, threads, barriers, shuffles.
 * Not here:   what is launched (emu_module.c), the words that call this (host_head.h).
 * How:        a *fiber* is a stack of its own on which threads run one after another, as in a loop. A thread that must wait for
 *             others keeps its fiber; the next thread then gets another one. When all have run, warps whose 32 threads have met
 *             go on, and when none has, the block's barrier is passed. A launch has some blocks *resident*, as a GPU does, from
 *             one on: these are taken on in turns, each for a few of its barriers and naps, and one that ends makes room for
 *             the next. The order of blocks, of warps, and of threads in them is random, and so is how many are resident.
 *             What is shared is EMU_POISON at a block's begin; a block that is not at hand keeps it aside, for a
 *             text has one place for it. Whoever waits for a block that does not come is told so, since then nobody does
 *             anything but nap.
 * Sanitizers: this file is compiled without them, and kernels are, too: nothing that runs on a fiber's stack
 *             tells a sanitizer of its frames, so none is led astray by the switches.
 * Invariants: under the lock of all calls, so there is one launch at a time. Memory is seen in the order in which it is written:
 *             what a fence is for is not tested. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/emulator/emu_inside.h"
#include "tests/support/fiber.h"

enum { THREADS_MOST = 1024, WARP = 32, STACK = 64 << 10 };
enum { RESIDENT_MOST = 4, STEPS = 6, OFTEN = 16, NAPS_MOST = 1 << 18 };

typedef struct fiber {
  void *stack_pointer; /* while it does not run */
  struct fiber *next;  /* idle ones */
} fiber;

typedef enum meeting { NONE, SYNC, WARPS, DOWN, NAP, DONE } meeting;
typedef struct thread {
  meeting at; /* NONE: not begun, or may go on */
  int line, by, width;
  uint64_t bits;
  fiber *on;
} thread;

/* A block that is resident. */
typedef struct block {
  thread threads[THREADS_MOST];
  int order[THREADS_MOST];
  int number, n, begun, done;
  char *shared; /* while another one is at hand */
} block;

static struct {
  const emu_kernel *kernel;
  const struct rpg_fact *fact;
  struct rpg_place *place;
  const struct rpg_unit *unit;
  size_t shared;
  block *block; /* at hand; NULL: none */
  fiber *running, *idle;
  void *scheduler; /* its stack pointer */
  int naps;        /* in a row, of whichever block */
} now;

/* ---- on a fiber */

static void fiber_main(void) {
  for (;;) {
    fiber *self = now.running;
    while (now.block->begun < now.block->n) {
      const int t = now.block->order[now.block->begun++];
      now.block->threads[t].on = self;
      now.place->thread = t;
      now.fact->run(now.kernel->parameters);
      now.block->threads[now.place->thread].at = DONE;
      now.block->done++;
    }
    self->next = now.idle;
    now.idle = self;
    fiber_switch(&self->stack_pointer, now.scheduler);
  }
}

static thread *meet(meeting at, int line) {
  thread *t = &now.block->threads[now.place->thread];
  t->at = at;
  t->line = line;
  return t;
}

static void pause_here(thread *t) { fiber_switch(&t->on->stack_pointer, now.scheduler); }

static void hook_sync(int line) { pause_here(meet(SYNC, line)); }

static void hook_warp(int line) { pause_here(meet(WARPS, line)); }

static uint64_t hook_down(uint64_t bits, int by, int width, int line) {
  thread *t = meet(DOWN, line);
  t->bits = bits;
  t->by = by;
  t->width = width;
  pause_here(t);
  return t->bits;
}

static void hook_nap(int chance) {
  if (emu_random((uint64_t)chance) == 0) pause_here(meet(NAP, 0));
}

static const struct rpg_hooks hooks = {hook_sync,         hook_warp, hook_down,
                                       emu_condition_set, hook_nap,  emu_fixed_read};

/* ---- the scheduler */

static fiber *fiber_make(void) {
  char *at =
      mmap(NULL, STACK + EMU_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  fiber *f = emu_get(sizeof *f);
  if (at == MAP_FAILED || mprotect(at, EMU_PAGE, PROT_NONE) != 0) emu_die("no stack for a thread");
  f->stack_pointer = fiber_begin(at + EMU_PAGE + STACK, fiber_main);
  return f;
}

static void resume(fiber *f) {
  now.running = f;
  fiber_switch(&now.scheduler, f->stack_pointer);
}

static void go_on(int t) {
  now.block->threads[t].at = NONE;
  now.place->thread = t;
  resume(now.block->threads[t].on);
}

static void shuffle(int *a, int n) {
  for (int i = n - 1; i > 0; i--) {
    const int j = (int)emu_random((uint64_t)i + 1), x = a[i];
    a[i] = a[j];
    a[j] = x;
  }
}

/* Warps in a random order, and the threads of each. */
static void shuffle_threads(void) {
  int warps[THREADS_MOST / WARP], n = 0;
  const int n_warps = (now.block->n + WARP - 1) / WARP;
  for (int w = 0; w < n_warps; w++) warps[w] = w;
  shuffle(warps, n_warps);
  for (int i = 0; i < n_warps; i++) {
    const int first = n;
    for (int t = warps[i] * WARP; t < now.block->n && t < (warps[i] + 1) * WARP; t++)
      now.block->order[n++] = t;
    shuffle(now.block->order + first, n - first);
  }
}

static const char *place_name(meeting at) {
  return at == SYNC ? "barrier" : at == WARPS ? "warp's barrier" : "shuffle";
}

/* Threads a and b should have met: a waits, b does so elsewhere or has returned. */
static _Noreturn void apart(int a, int b) {
  const thread *x = &now.block->threads[a], *y = &now.block->threads[b];
  if (y->at == DONE)
    emu_die("kernel %s, block %d: thread %d waits at the %s of line %d, and thread %d has returned",
            now.fact->name, now.place->block, a, place_name(x->at), x->line, b);
  emu_die("kernel %s, block %d: thread %d waits at the %s of line %d, and thread %d at the %s of "
          "line %d",
          now.fact->name, now.place->block, a, place_name(x->at), x->line, b, place_name(y->at),
          y->line);
}

/* Have the threads of a warp met? Aborts if two of them wait at different places within the warp. */
static bool met(int first, int end) {
  const thread *f = &now.block->threads[first];
  bool all = true;
  int waits = -1;
  for (int t = first; t < end; t++) {
    const thread *x = &now.block->threads[t];
    const bool here = x->at == WARPS || x->at == DOWN;
    if (here && waits < 0) waits = t;
    if (x->at == NAP) return false; /* it may come yet */
    all = all && here && x->at == f->at && x->line == f->line && x->width == f->width;
  }
  if (all || waits < 0) return all;
  for (int t = first; t < end; t++)
    if (now.block->threads[t].at != now.block->threads[waits].at ||
        now.block->threads[t].line != now.block->threads[waits].line ||
        now.block->threads[t].width != now.block->threads[waits].width)
      apart(waits, t);
  return false;
}

static void exchange(int first) {
  uint64_t old[WARP];
  if (first + WARP > now.block->n)
    emu_die("kernel %s: a shuffle in a warp of %d threads", now.fact->name, now.block->n - first);
  for (int i = 0; i < WARP; i++) old[i] = now.block->threads[first + i].bits;
  for (int i = 0; i < WARP; i++) {
    thread *t = &now.block->threads[first + i];
    if (t->by <= -WARP || t->by >= WARP || i + t->by < 0)
      emu_die("kernel %s: a shuffle by %d", now.fact->name, t->by);
    if (i + t->by < WARP) t->bits = old[i + t->by];
  }
}

/* Lets warps go on as far as they can without the others, but for some that make way; true: there are such. */
static bool run_warps(void) {
  int lanes[WARP];
  bool more = false;
  for (int first = 0; first < now.block->n; first += WARP) {
    const int end = first + WARP < now.block->n ? first + WARP : now.block->n;
    while (met(first, end)) {
      if (now.block->threads[first].at == DOWN) exchange(first);
      for (int t = first; t < end; t++) lanes[t - first] = t;
      shuffle(lanes, end - first);
      for (int i = 0; i < end - first; i++) go_on(lanes[i]);
      if (emu_random(OFTEN) != 0) continue;
      more = true;
      break;
    }
  }
  return more;
}

/* Threads that have let others run go on; false: there are none. */
static bool wake(void) {
  int waiting[THREADS_MOST], n = 0;
  for (int t = 0; t < now.block->n; t++)
    if (now.block->threads[t].at == NAP) waiting[n++] = t;
  shuffle(waiting, n);
  for (int i = 0; i < n; i++) go_on(waiting[i]);
  return n > 0;
}

/* All have come to the block's barrier, or the sentence says who has not. */
static void pass_barrier(void) {
  int waits = 0;
  while (now.block->threads[waits].at != SYNC) waits++;
  for (int t = 0; t < now.block->n; t++)
    if (now.block->threads[t].at != SYNC ||
        now.block->threads[t].line != now.block->threads[waits].line)
      apart(waits, t);
  shuffle_threads();
  for (int i = 0; i < now.block->n; i++) go_on(now.block->order[i]);
}

/* ---- blocks */

/* What is shared is that of b. */
static void take(block *b) {
  char *const at = now.unit->shared;
  if (now.block == b) return;
  if (now.block && now.shared) memcpy(now.block->shared, at, now.shared);
  if (now.shared) memcpy(at, b->shared, now.shared);
  now.block = b;
  now.place->block = b->number;
}

static void begin(block *b, int number) {
  b->number = number;
  b->n = now.place->threads;
  b->begun = b->done = 0;
  for (int t = 0; t < b->n; t++) b->threads[t] = (thread){.at = NONE};
  if (now.shared) memset(b->shared, EMU_POISON, now.shared);
  take(b);
  shuffle_threads();
  while (b->begun < b->n) {
    fiber *f = now.idle ? now.idle : fiber_make();
    if (f == now.idle) now.idle = f->next;
    resume(f);
  }
}

/* The block at hand up to its next barrier, or less, or until some of its threads have napped; false: it has ended. */
static bool step(void) {
  const bool more = run_warps(), ended = now.block->done == now.block->n;
  if (more || ended) {
    now.naps = 0;
    return !ended;
  }
  if (!wake()) {
    now.naps = 0;
    pass_barrier();
  } else if (++now.naps > NAPS_MOST) {
    emu_die("kernel %s, block %d of %d: threads nap, and nobody does anything else", now.fact->name,
            now.block->number, now.place->blocks);
  }
  return true;
}

static uint64_t common(uint64_t a, uint64_t b) { return b ? common(b, a % b) : a; }

/* So many blocks at once, from a random one on. */
static void run_blocks(uint64_t blocks, block *resident, uint64_t n) {
  const uint64_t from = emu_random(blocks);
  uint64_t next = 0, there = 0, apart = 1 + emu_random(blocks);
  block *at[RESIDENT_MOST];
  for (uint64_t i = 0; i < n; i++) at[i] = &resident[i];
  while (common(apart, blocks) != 1) apart++;
  while (there > 0 || next < blocks) {
    if (there < n && next < blocks && (there == 0 || emu_random(2) == 0))
      begin(at[there++], (int)((from + next++ * apart) % blocks));
    const uint64_t i = emu_random(there);
    block *const b = at[i];
    take(b);
    for (uint64_t steps = there > 1 ? 1 + emu_random(STEPS) : STEPS; steps > 0; steps--) {
      if (step()) continue;
      at[i] = at[--there];
      at[there] = b;
      now.block = NULL;
      break;
    }
  }
}

void emu_block_run(const emu_kernel *k) {
  static block resident[RESIDENT_MOST];
  static size_t room;
  now.unit = k->function->module->unit;
  now.kernel = k;
  now.fact = k->function->fact;
  now.place = now.unit->place;
  now.shared = now.unit->shared ? (size_t)(now.unit->shared_end - now.unit->shared) : 0;
  now.block = NULL;
  now.naps = 0;
  if (now.shared > room) {
    room = now.shared;
    for (int i = 0; i < RESIDENT_MOST; i++) {
      free(resident[i].shared);
      resident[i].shared = emu_get(room);
    }
  }
  *now.unit->hooks = &hooks;
  *now.place = (struct rpg_place){.threads = (int)k->block, .blocks = (int)k->grid};
  run_blocks(k->grid, resident, 1 + emu_random(k->grid < RESIDENT_MOST ? k->grid : RESIDENT_MOST));
}
