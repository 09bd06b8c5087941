/* SPDX-License-Identifier: Apache-2.0
 * core/base/alloc.c -- the library's calls of the system heap, counted and made to fail by tests.
 *
 * How:        every call that takes memory passes `admit`, which counts it and, while a test
 *             injects failures, lets the first few pass and refuses the rest. The arena is a list
 *             of blocks that at least double, of which only the newest has room.
 * Invariants: no call sets a status message: the caller knows what it wanted the memory for. */
#include "core/base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int64_t made;
static _Atomic int64_t allowed = -1; /* allocations that still succeed; -1: no failures injected */

static bool admit(void) {
  int64_t left = atomic_load_explicit(&allowed, memory_order_relaxed);
  while (left > 0 && !atomic_compare_exchange_weak_explicit(
                         &allowed, &left, left - 1, memory_order_relaxed, memory_order_relaxed)) {
  }
  if (left == 0) return false;
  atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
  return true;
}

void *rpi_alloc(size_t size) { return admit() ? malloc(size ? size : 1) : NULL; }

void *rpi_alloc_zero(size_t size) { return admit() ? calloc(1, size ? size : 1) : NULL; }

void *rpi_alloc_aligned(size_t align, size_t size) {
  rpi_assert(align > 0 && (align & (align - 1)) == 0);
  if (!admit()) return NULL;
  void *p;
  if (align < sizeof(void *)) align = sizeof(void *);
  return posix_memalign(&p, align, size ? size : 1) == 0 ? p : NULL;
}

void *rpi_alloc_resize(void *p, size_t size) {
  return admit() ? realloc(p, size ? size : 1) : NULL;
}

char *rpi_alloc_string(const char *s) {
  size_t size = strlen(s) + 1;
  char *copy = rpi_alloc(size);
  if (copy) memcpy(copy, s, size);
  return copy;
}

void rpi_alloc_free(void *p) { free(p); }

int64_t rpi_alloc_count(void) { return atomic_load_explicit(&made, memory_order_relaxed); }

void rpi_alloc_inject(int64_t n) {
  int64_t succeed = n < 0 ? -1 : n > 0 ? n - 1 : 0;
  atomic_store_explicit(&allowed, succeed, memory_order_relaxed);
}

bool rpi_alloc_grow(void **p, int32_t *cap, int32_t need, size_t elem) {
  if (need <= *cap) return true;
  int32_t wide = *cap > INT32_MAX / 2 ? INT32_MAX : *cap * 2;
  if (wide < 8) wide = 8;
  if (wide < need) wide = need;
  size_t size;
  if (__builtin_mul_overflow((size_t)wide, elem, &size)) return false;
  void *grown = rpi_alloc_resize(*p, size);
  if (!grown) return false;
  *p = grown;
  *cap = wide;
  return true;
}

struct rpi_arena_block {
  struct rpi_arena_block *next;
  RPI_ALIGNED(16) char data[];
};

enum { FIRST_BLOCK = 4096 };

void rpi_arena_init(rpi_arena *a) { *a = (rpi_arena){0}; }

/* Puts a block in front that holds at least `size` bytes. */
static bool add_block(rpi_arena *a, size_t size) {
  size_t cap;
  if (__builtin_mul_overflow(a->cap, (size_t)2, &cap)) return false;
  if (cap < FIRST_BLOCK) cap = FIRST_BLOCK;
  if (cap < size) cap = size;
  if (cap > SIZE_MAX - sizeof(struct rpi_arena_block)) return false;
  struct rpi_arena_block *b = rpi_alloc_aligned(16, sizeof *b + cap);
  if (!b) return false;
  b->next = a->head;
  a->head = b;
  a->used = 0;
  a->cap = cap;
  return true;
}

void *rpi_arena_get(rpi_arena *a, size_t size) {
  if (size > SIZE_MAX / 2) {
    a->failed = true;
    return NULL;
  }
  size = size ? (size + 15) & ~(size_t)15 : 16;
  if (size > a->cap - a->used && !add_block(a, size)) {
    a->failed = true;
    return NULL;
  }
  void *p = a->head->data + a->used;
  a->used += size;
  return memset(p, 0, size); /* here and not per block: much of the last one is never asked for */
}

static void free_blocks(struct rpi_arena_block *b) {
  while (b) {
    struct rpi_arena_block *next = b->next;
    rpi_alloc_free(b);
    b = next;
  }
}

void rpi_arena_deinit(rpi_arena *a) {
  free_blocks(a->head);
  *a = (rpi_arena){0};
}
