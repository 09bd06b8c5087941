/* SPDX-License-Identifier: Apache-2.0
 * core/base/alloc.h -- every allocation of the library's own records passes here.
 * Lives here: heap calls with a count and injected failures (tests), and the arena.
 * Not here:   memory of arrays (core/exec/memory.h).
 * Threads:    heap calls from any thread; an arena belongs to its owner. */
#ifndef RPI_ALLOC_H
#define RPI_ALLOC_H

#include "core/base/attr.h"

/* NULL when out of memory (or when a failure is injected); size 0 gives a unique pointer. */
void *rpi_alloc(size_t size);
void *rpi_alloc_zero(size_t size);
void *rpi_alloc_aligned(size_t align, size_t size); /* release with rpi_alloc_free */
void *rpi_alloc_resize(void *p, size_t size);
char *rpi_alloc_string(const char *s);
void rpi_alloc_free(void *p);

/* System allocations made so far by these calls: replay must not move it (a test looks). */
int64_t rpi_alloc_count(void);
/* Tests: the n-th allocation from now on (1: the next) fails, and each after it; n < 0: off. */
void rpi_alloc_inject(int64_t n);

/* Grows *p (capacity *cap elements of `elem` bytes) to hold at least `need`; false if out of
 * memory, then nothing changed. Doubles. */
bool rpi_alloc_grow(void **p, int32_t *cap, int32_t need, size_t elem);

/* Bump allocator; everything dies together. Zero-initialised memory, 16-byte aligned. */
typedef struct rpi_arena {
  struct rpi_arena_block *head;
  size_t used;
  size_t cap;
  bool failed; /* an allocation failed: check once at the end of a pass */
} rpi_arena;

void rpi_arena_init(rpi_arena *a);
void *rpi_arena_get(rpi_arena *a, size_t size); /* NULL when out of memory; sets `failed` */
void rpi_arena_deinit(rpi_arena *a);

#endif
