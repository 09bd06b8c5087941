/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/host_head.h -- the words of a CUDA text on a CPU: stands in front of each text that is compiled.
 *
 * Lives here: RPG_HOST and the RPG_ words; what a compiled text and the emulator know of each other (rpg_unit).
 * Not here:   how threads of a block take turns (emu_block.c). The words on a GPU: jit/lanes_cuda.h.
 * How:        travels in the library as text. The emulator itself includes the first half. */
#ifndef RPG_HOST
#define RPG_HOST 1

#include <stdint.h>
#include <stddef.h>
#include <stdbool.h>

/* Where the thread is that runs. */
struct rpg_place {
  int thread, threads, block, blocks;
};
/* What threads do together; `line` is where the text says so. */
struct rpg_hooks {
  void (*sync)(int line);
  void (*warp)(int line);
  uint64_t (*down)(uint64_t bits, int by, int width, int line); /* of thread t + by of the warp */
  void (*condition)(uint64_t handle, unsigned value);           /* of a graph that runs */
  void (*nap)(int chance); /* others run first: always (1), or once in so many times */
  void (*fixed)(const void *at, size_t bytes); /* is read as what nobody writes */
};
struct rpg_fact {
  const char *name;
  size_t bytes; /* of its parameters */
  void (*run)(const void *parameters);
};
/* The one symbol of a compiled text. */
struct rpg_unit {
  struct rpg_place *place;
  const struct rpg_hooks **hooks;
  const struct rpg_fact *facts, *facts_end;
  char *shared, *shared_end; /* of all kernels */
};

#ifndef EMU_INSIDE

static struct rpg_place rpg_place;
static const struct rpg_hooks *rpg_hooks;
extern const struct rpg_fact __start_rpg_facts[] __attribute__((weak, visibility("hidden")));
extern const struct rpg_fact __stop_rpg_facts[] __attribute__((weak, visibility("hidden")));
extern char __start_rpg_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_rpg_shared[] __attribute__((weak, visibility("hidden")));
const struct rpg_unit rpg_unit __attribute__((visibility("default"))) = {
    &rpg_place,       &rpg_hooks,         __start_rpg_facts,
    __stop_rpg_facts, __start_rpg_shared, __stop_rpg_shared};

/* RPG_KERNEL(name, X) { ... a.n ... }, of struct X */
#define RPG_KERNEL(name, args) \
  static void name##_body(const struct args a); \
  static void name(const void *p) { name##_body(*(const struct args *)p); } \
  static const struct rpg_fact name##_fact \
      __attribute__((used, section("rpg_facts"), aligned(8))) = {#name, sizeof(struct args), \
                                                                 name}; \
  static void name##_body(const struct args a)

#define RPG_DEVICE static inline __attribute__((unused))
#define RPG_FAR static __attribute__((noinline, unused))
#define RPG_SHARED static __attribute__((section("rpg_shared")))
#define RPG_ALIGN(n) __attribute__((aligned(n)))

#define RPG_THREAD (rpg_place.thread)
#define RPG_THREADS (rpg_place.threads)
#define RPG_BLOCK (rpg_place.block)
#define RPG_BLOCKS (rpg_place.blocks)

#define RPG_SYNC() rpg_hooks->sync(__LINE__)
#define RPG_WARP() rpg_hooks->warp(__LINE__)
#define RPG_FENCE() __asm__ volatile("" ::: "memory")
#define RPG_COUNT(p) ((*(volatile unsigned *)(p))++)
#define RPG_RAISE(p) ((void)(*(volatile unsigned *)(p) = 1u))
#define RPG_ADD(p, n) rpg_add((uint32_t *)(p), (uint32_t)(n))
#define RPG_SWAP(p, a, b) rpg_swap((uint32_t *)(p), (uint32_t)(a), (uint32_t)(b))
#define RPG_NAP() rpg_hooks->nap(1)
#define RPG_DOWN32(v, n) ((uint32_t)rpg_hooks->down((uint32_t)(v), (n), 32, __LINE__))
#define RPG_DOWN64(v, n) (rpg_hooks->down((uint64_t)(v), (n), 64, __LINE__))
#define RPG_FROM32(v, t) \
  ((uint32_t)rpg_hooks->down((uint32_t)(v), (t) - (RPG_THREAD & 31), 32, __LINE__))
#define RPG_FROM64(v, t) (rpg_hooks->down((uint64_t)(v), (t) - (RPG_THREAD & 31), 64, __LINE__))
#define RPG_BALLOT(p) rpg_ballot((p) != 0, __LINE__)
#define RPG_LDG(p) (*(__typeof__(p))rpg_fixed((p), sizeof *(p)))
#define RPG_CONDITION(handle, value) (rpg_hooks->condition((handle), (value)))

static inline __attribute__((unused)) const void *rpg_fixed(const void *p, size_t bytes) {
  rpg_hooks->fixed(p, bytes);
  return p;
}

/* What threads do to each other's memory: behind it others may run. */
static inline __attribute__((unused)) uint32_t rpg_add(uint32_t *p, uint32_t n) {
  const uint32_t before = *(volatile uint32_t *)p;
  *(volatile uint32_t *)p = before + n;
  rpg_hooks->nap(4);
  return before;
}
static inline __attribute__((unused)) uint32_t rpg_swap(uint32_t *p, uint32_t a, uint32_t b) {
  const uint32_t before = *(volatile uint32_t *)p;
  if (before == a) *(volatile uint32_t *)p = b;
  rpg_hooks->nap(4);
  return before;
}

static inline uint32_t rpg_ballot(uint32_t p, int line) {
  uint64_t bits = (uint64_t)p << (RPG_THREAD & 31);
  for (int by = 16; by > 0; by /= 2) bits |= rpg_hooks->down(bits, by, 32, line);
  return (uint32_t)rpg_hooks->down(bits, -(RPG_THREAD & 31), 32, line);
}

#if defined __AVX512F__
#define RPG_HOST_BITS 512
#else
#define RPG_HOST_BITS 256
#endif

#endif
#endif
