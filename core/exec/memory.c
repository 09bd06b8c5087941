/* SPDX-License-Identifier: Apache-2.0
 * core/exec/memory.c -- the allocator of arrays: one free list per size class.
 *
 * Lives here: the lists, heap blocks (below 2 MiB) and mappings (from there on).
 * Not here:   records of the library (core/base/alloc.h).
 * How:        classes are those of size_class.h, in units of 64 bytes. A free block holds
 *             the link of its list in its first word. A mapping starts at a multiple of 2 MiB and
 *             is a page longer than its class: the block begins 0..15 sixteenths of a page into it,
 *             by turns, which leaves at least 64 bytes behind it. The mapping's start is the
 *             block's address rounded down, so no record of blocks is kept.
 * Invariants: a block's class is that of the size it was asked with; every block in a list is of
 *             that list's class. In sanitized builds a free block is poisoned but for its link. */
#include "core/exec/memory.h"

#include <sys/mman.h>

#include "core/base/alloc.h"
#include "core/base/size_class.h"

#if defined(__SANITIZE_ADDRESS__)
#define RPI_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RPI_POISON 1
#endif
#endif
#ifdef RPI_POISON
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define UNIT ((size_t)64)           /* alignment, and the step of the small classes */
#define TAIL ((size_t)64)           /* readable bytes behind every block */
#define HUGE_PAGE ((size_t)2 << 20) /* classes from here on are mappings */
#define PAGE ((size_t)4096)
#define LARGEST ((size_t)1 << 47) /* no request above it can succeed */

_Static_assert(UNIT + TAIL <= PAGE, "no phase leaves room for the tail");

enum { N_CLASSES = RPI_SIZE_CLASSES(47 - 6) };

typedef struct free_block {
  struct free_block *next;
} free_block;

struct rpi_memory {
  bool hugepages;
  uint32_t turn; /* the next phase, in lines */
  rpi_memory_stats stats;
  free_block *lists[N_CLASSES];
};

/* The class of a request of `size` bytes; *bytes is the size of its blocks. */
static int32_t size_class(size_t size, size_t *bytes) {
  const int32_t c = rpi_size_class_of(size ? (size + UNIT - 1) / UNIT : 1);
  *bytes = rpi_size_class_units(c) * UNIT;
  return c;
}

static size_t system_bytes(size_t bytes) { return bytes + (bytes < HUGE_PAGE ? TAIL : PAGE); }

/* A mapping of `len` bytes at a multiple of 2 MiB. */
static char *map_aligned(size_t len) {
  size_t wide = len + HUGE_PAGE;
  char *p = mmap(NULL, wide, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return NULL;
  size_t before = (size_t)(-(uintptr_t)p & (HUGE_PAGE - 1));
  if (before) munmap(p, before);
  munmap(p + before + len, wide - before - len);
  return p + before;
}

static void *from_system(rpi_memory *m, size_t bytes) {
  size_t len = system_bytes(bytes);
  char *p;
  m->stats.system_calls++;
  if (bytes < HUGE_PAGE) {
    p = rpi_alloc_aligned(UNIT, len);
  } else if ((p = map_aligned(len)) != NULL) {
    if (m->hugepages) madvise(p, len, MADV_HUGEPAGE); /* a wish: without it the memory is as good */
  }
  if (p) m->stats.held += (int64_t)len;
  return p;
}

static void to_system(rpi_memory *m, void *p, size_t bytes) {
  size_t len = system_bytes(bytes);
  m->stats.held -= (int64_t)len;
  ASAN_UNPOISON_MEMORY_REGION(p, bytes);
  if (bytes < HUGE_PAGE) {
    rpi_alloc_free(p);
  } else {
    munmap((void *)((uintptr_t)p & ~(uintptr_t)(HUGE_PAGE - 1)), len);
  }
}

rp_status rpi_memory_create(bool hugepages, rpi_memory **out) {
  *out = NULL;
  rpi_memory *m = rpi_alloc_zero(sizeof *m);
  if (!m) return rpi_status_nomem("the allocator of arrays");
  m->hugepages = hugepages;
  *out = m;
  return RP_OK;
}

void rpi_memory_destroy(rpi_memory *m) {
  if (!m) return;
  rpi_memory_trim(m);
  rpi_alloc_free(m);
}

/* Where a block of a mapping begins. */
static void *in_phase(rpi_memory *m, void *p, const void *like) {
  enum { PHASES = 16 }; /* of turns: as many ways as caches have */
  const uintptr_t phase = like ? (uintptr_t)like % PAGE / UNIT * UNIT : m->turn++ % PHASES * UNIT;
  return (void *)(((uintptr_t)p & ~(uintptr_t)(HUGE_PAGE - 1)) + phase);
}

void *rpi_memory_get(rpi_memory *m, size_t size, const void *like) {
  free_block *p = NULL;
  if (size <= LARGEST) {
    size_t bytes;
    int32_t c = size_class(size, &bytes);
    p = m->lists[c];
    if (p) {
      m->lists[c] = p->next;
      ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    } else if ((p = from_system(m, bytes)) == NULL) {
      rpi_memory_trim(m);
      p = from_system(m, bytes);
    }
    if (p && bytes >= HUGE_PAGE) p = in_phase(m, p, like);
  }
  if (!p) {
    rpi_status_fail(RP_ERR_MEMORY, "out of memory: an array of %zu bytes (%lld are in use)", size,
                    (long long)m->stats.live);
    return NULL;
  }
  m->stats.live += (int64_t)size;
  if (m->stats.peak < m->stats.live) m->stats.peak = m->stats.live;
  return p;
}

void rpi_memory_put(rpi_memory *m, void *p, size_t size) {
  if (!p) return;
  size_t bytes;
  int32_t c = size_class(size, &bytes);
  rpi_assert((uintptr_t)p % UNIT == 0 && m->stats.live >= (int64_t)size);
  m->stats.live -= (int64_t)size;
  free_block *b = p;
  b->next = m->lists[c];
  m->lists[c] = b;
  ASAN_POISON_MEMORY_REGION(b + 1, bytes - sizeof *b);
}

void rpi_memory_trim(rpi_memory *m) {
  for (int32_t c = 0; c < N_CLASSES; c++) {
    size_t bytes = rpi_size_class_units(c) * UNIT;
    while (m->lists[c]) {
      free_block *b = m->lists[c];
      m->lists[c] = b->next;
      to_system(m, b, bytes);
    }
  }
}

void rpi_memory_stats_get(const rpi_memory *m, rpi_memory_stats *out) { *out = m->stats; }
