/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_memory.c -- an emulated GPU's memory, and pinned memory of the host.
 *
 * Lives here: the arena, its blocks from allocation to the end of their quarantine, who may touch them when.
 * Not here:   copies (emu_copy.c), the order of allocations among other work (emu_stream.c).
 * How:        a block has pages of its own with a page that nobody may touch behind them, and ends at a page's end but for
 *             what the alignment takes; so most of what goes beyond it is a SIGSEGV, and the rest breaks the canaries
 *             around it. All pages are closed unless work runs. A freed block's addresses are not used again
 *             until the arena, several times the memory, has been used up. Fresh memory is EMU_POISON. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/emulator/emu_inside.h"

enum { ARENA_TIMES = 16 };

static emu_memory *ready; /* list of those whose pages work may touch */
static emu_pin *pins;
static int32_t opened;

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

void emu_memory_protect(char *first, const char *last, int how) {
  if (mprotect(first, (size_t)(last - first), how) != 0)
    emu_die("mprotect of %zu bytes failed", (size_t)(last - first));
}

void emu_memory_init(emu_device *d) {
  const size_t bytes = (size_t)d->memory * ARENA_TIMES + ((size_t)1 << 30);
  d->base = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (d->base == MAP_FAILED) emu_die("no %zu bytes of addresses for the arena", bytes);
  const char *open = getenv("EMU_OPEN");
  if (open && *open) opened = 1;
  d->cursor = d->base;
  d->end = d->base + bytes;
}

/* ---- blocks by address */

/* The number of blocks that begin at or before `at`. */
static int64_t rank_of(const emu_device *d, const char *at) {
  int64_t low = 0, high = d->n_blocks;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (d->blocks[middle]->first <= at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static const emu_device *device_of(const void *at) {
  for (int32_t i = 0; i < emu_n_devices; i++)
    if ((const char *)at >= emu_devices[i].base && (const char *)at < emu_devices[i].end)
      return &emu_devices[i];
  return NULL;
}

bool emu_memory_is_device(const void *at) { return device_of(at) != NULL; }

emu_memory *emu_memory_find(const void *at) {
  const emu_device *d = device_of(at);
  const int64_t r = d ? rank_of(d, at) : 0;
  emu_memory *m = r ? d->blocks[r - 1] : NULL;
  return m && (const char *)at < m->last + EMU_PAGE ? m : NULL;
}

static void remove_at(emu_device *d, int64_t r) {
  free(d->blocks[r]);
  memmove(d->blocks + r, d->blocks + r + 1, (size_t)(--d->n_blocks - r) * sizeof *d->blocks);
}

/* Addresses for `bytes` with a guard page behind; dead blocks that lie there are forgotten. */
static char *place(emu_device *d, size_t bytes) {
  char *at = d->cursor;
  for (int32_t around = 0;;) {
    if ((size_t)(d->end - at) < bytes) {
      if (around++) emu_die("the arena is used up");
      at = d->base;
    }
    int64_t r = rank_of(d, at);
    if (r && d->blocks[r - 1]->last + EMU_PAGE > at) r--;
    while (r < d->n_blocks && d->blocks[r]->first < at + bytes && d->blocks[r]->state == EMU_DEAD)
      remove_at(d, r);
    if (r == d->n_blocks || d->blocks[r]->first >= at + bytes) break;
    at = d->blocks[r]->last + EMU_PAGE;
  }
  d->cursor = at + bytes;
  return at;
}

static void insert(emu_device *d, emu_memory *m) {
  if (d->n_blocks == d->room) {
    d->room = d->room ? 2 * d->room : 64;
    d->blocks = realloc(d->blocks, (size_t)d->room * sizeof *d->blocks);
    if (!d->blocks) emu_die("the host has no memory for the list of blocks");
  }
  const int64_t r = rank_of(d, m->first);
  memmove(d->blocks + r + 1, d->blocks + r, (size_t)(d->n_blocks - r) * sizeof *d->blocks);
  d->blocks[r] = m;
  d->n_blocks++;
}

/* It ends at a page's end, but for what `charged` is more than was asked for. */
emu_memory *emu_memory_place(emu_device *d, size_t pages, size_t charged) {
  emu_memory *m = emu_get(sizeof *m);
  *m = (emu_memory){.bytes = charged, .state = EMU_LIVE, .call = emu_now, .device = d};
  m->first = place(d, pages + EMU_PAGE);
  m->last = m->first + pages;
  m->at = m->last - charged;
  insert(d, m);
  return m;
}

CUresult cu_memory_get(CUdeviceptr *memory, size_t bytes, CUstream stream) {
  EMU_ENTER(memory_get, EMU_CURRENT);
  stream = emu_stream_check(stream);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!bytes || !memory) return CUDA_ERROR_INVALID_VALUE;
  emu_device *d = stream->handle.device;
  const size_t charged = round_up(bytes, EMU_ALIGN), pages = round_up(charged, EMU_PAGE);
  if (emu_faults_memory() || bytes > (size_t)d->memory || (size_t)(d->memory - d->used) < charged)
    return CUDA_ERROR_OUT_OF_MEMORY;
  emu_memory *m = emu_memory_place(d, pages, charged);
  m->bytes = bytes;
  d->used += (int64_t)charged;
  *memory = (CUdeviceptr)(uintptr_t)m->at;
  return emu_stream_add(stream, &(emu_work){.kind = EMU_WORK_GET, .u.memory = m});
}

/* The block that begins there; aborts unless it may be freed. */
static emu_memory *freeable(CUdeviceptr memory) {
  char *at = (char *)(uintptr_t)memory;
  emu_memory *m = emu_memory_find(at);
  if (!m) emu_die("%p is not memory of the GPU", (void *)at);
  if (m->granules) emu_die("%p is an address that was reserved", (void *)at);
  if (m->state != EMU_LIVE)
    emu_die("double free: the block of call %lld was freed by call %lld", (long long)m->call,
            (long long)m->freed);
  if (m->at != at)
    emu_die("%p is %td bytes into the block of call %lld", (void *)at, at - m->at,
            (long long)m->call);
  return m;
}

CUresult cu_memory_put(CUdeviceptr memory, CUstream stream) {
  EMU_ENTER(memory_put, EMU_CURRENT | EMU_RELEASES);
  stream = emu_stream_check(stream);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  emu_memory *m = freeable(memory);
  m->state = EMU_LEAVING;
  m->freed = emu_now;
  m->device->used -= (int64_t)round_up(m->bytes, EMU_ALIGN);
  emu_stream_add(stream, &(emu_work){.kind = EMU_WORK_PUT, .u.memory = m});
  return late;
}

/* ---- what work does */

void emu_memory_enlist(emu_memory *m) {
  m->ready = true;
  m->after = ready;
  if (ready) ready->before = m;
  ready = m;
}

bool emu_memory_is_open(void) { return opened > 0; }

void emu_memory_ready(emu_memory *m) {
  emu_memory_enlist(m);
  emu_memory_protect(m->first, m->last, PROT_READ | PROT_WRITE);
  memset(m->first, EMU_CANARY, (size_t)(m->at - m->first));
  memset(m->at, EMU_POISON, m->bytes);
  memset(m->at + m->bytes, EMU_CANARY, (size_t)(m->last - m->at) - m->bytes);
  if (!opened) emu_memory_protect(m->first, m->last, PROT_NONE);
}

void emu_memory_gone(emu_memory *m) {
  m->state = EMU_DEAD;
  if (m->ready) {
    m->ready = false;
    *(m->before ? &m->before->after : &ready) = m->after;
    if (m->after) m->after->before = m->before;
    m->before = m->after = NULL;
  }
  if (m->granules) emu_span_gone(m);
  emu_memory_protect(m->first, m->last, PROT_NONE);
  madvise(m->first, (size_t)(m->last - m->first), MADV_DONTNEED);
}

static void protect(const emu_memory *m, int how) {
  if (m->granules)
    emu_span_protect(m, how);
  else
    emu_memory_protect(m->first, m->last, how);
}

void emu_memory_open(void) {
  if (opened++) return;
  for (const emu_memory *m = ready; m; m = m->after) protect(m, PROT_READ | PROT_WRITE);
}

void emu_memory_close(void) {
  if (--opened) return;
  for (const emu_memory *m = ready; m; m = m->after) protect(m, PROT_NONE);
}

static bool canary(const char *at, const char *end) {
  while (at < end && *(const unsigned char *)at == EMU_CANARY) at++;
  return at == end;
}

void emu_memory_check(const char *who) {
  for (const emu_memory *m = ready; m; m = m->after) {
    if (m->granules) continue; /* what lies around it cannot be touched */
    const bool front = canary(m->first, m->at), back = canary(m->at + m->bytes, m->last);
    if (!front || !back)
      emu_die("%s wrote %s the block of %zu bytes of call %lld", who, front ? "behind" : "before",
              m->bytes, (long long)m->call);
  }
}

emu_memory *emu_memory_range(const void *at, size_t bytes, const char *what) {
  emu_memory *m = emu_memory_find(at);
  if (!m) emu_die("%s: %p is not memory of the GPU", what, at);
  if (m->state != EMU_LIVE)
    emu_die("%s: use after free: the block of call %lld was freed by call %lld", what,
            (long long)m->call, (long long)m->freed);
  const ptrdiff_t from = (const char *)at - m->at;
  if (from < 0 || from > (ptrdiff_t)m->bytes || bytes > m->bytes - (size_t)from)
    emu_die("%s: %zu bytes from %td on are beyond the block of %zu bytes of call %lld", what, bytes,
            from, m->bytes, (long long)m->call);
  if (m->granules) emu_span_check(m, at, bytes, what);
  return m;
}

void emu_memory_end_all(emu_device *d) {
  for (int64_t i = 0; i < d->n_blocks; i++)
    if (d->blocks[i]->state != EMU_DEAD) emu_memory_gone(d->blocks[i]);
  emu_span_end_all(d);
  d->used = 0;
  for (emu_pin *p = pins; p; p = p->next)
    if (p->device == d) p->dead = true;
}

const emu_memory *emu_memory_alive(int64_t *n, int64_t *bytes) {
  const emu_memory *one = NULL;
  *n = *bytes = 0;
  for (int32_t i = 0; i < emu_n_devices; i++)
    for (int64_t j = 0; j < emu_devices[i].n_blocks; j++)
      if (emu_devices[i].blocks[j]->state == EMU_LIVE) {
        one = emu_devices[i].blocks[j];
        *bytes += (int64_t)one->bytes;
        ++*n;
      }
  return one;
}

/* ---- what is asked of memory */

CUresult cu_memory_info(size_t *bytes, size_t *total) {
  EMU_ENTER(memory_info, EMU_CURRENT);
  const emu_device *d = emu_context_device();
  *bytes = (size_t)(d->memory - d->used);
  *total = (size_t)d->memory;
  return CUDA_SUCCESS;
}

CUresult cu_pool_of(CUmemoryPool *pool, CUdevice device) {
  EMU_ENTER(pool_of, EMU_INIT);
  if (device < 0 || device >= emu_n_devices) return CUDA_ERROR_INVALID_DEVICE;
  *pool = emu_devices[device].pool;
  return CUDA_SUCCESS;
}

CUresult cu_pool_set(CUmemoryPool pool, CUmemPool_attribute which, void *value) {
  EMU_ENTER(pool_set, EMU_INIT);
  emu_handle_check(pool, EMU_POOL);
  if (which != CU_MEMPOOL_ATTR_RELEASE_THRESHOLD || !value) return CUDA_ERROR_INVALID_VALUE;
  pool->threshold = *(const uint64_t *)value;
  return CUDA_SUCCESS;
}

CUresult cu_pool_trim(CUmemoryPool pool, size_t keep) {
  EMU_ENTER(pool_trim, EMU_INIT);
  (void)keep;
  emu_handle_check(pool, EMU_POOL);
  return CUDA_SUCCESS;
}

CUresult cu_pointer_attribute(void *value, CUpointer_attribute which, CUdeviceptr pointer) {
  EMU_ENTER(pointer_attribute, EMU_CURRENT);
  const void *at = (const void *)(uintptr_t)pointer;
  const emu_memory *m = emu_memory_find(at);
  const emu_pin *p = m ? NULL : emu_pin_find(at);
  if (m &&
      (m->state != EMU_LIVE || (const char *)at < m->at || (const char *)at >= m->at + m->bytes))
    m = NULL;
  if (!m && !p) return CUDA_ERROR_INVALID_VALUE;
  if (which == CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
    *(unsigned int *)value = m ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
  else if (which == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
    *(int *)value = m ? m->device->ordinal : p->device->ordinal;
  else
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

/* ---- pinned memory: the host may touch it at any time, until it is freed */

emu_pin *emu_pin_find(const void *at) {
  for (emu_pin *p = pins; p; p = p->next)
    if ((const char *)at >= p->at && (const char *)at < p->last) return p;
  return NULL;
}

CUresult cu_host_get(void **memory, size_t bytes, unsigned int flags) {
  EMU_ENTER(host_get, EMU_CURRENT);
  (void)flags;
  if (!bytes) return CUDA_ERROR_INVALID_VALUE;
  if (emu_faults_memory()) return CUDA_ERROR_OUT_OF_MEMORY;
  const size_t pages = round_up(bytes, EMU_PAGE);
  char *at =
      mmap(NULL, pages + EMU_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  emu_memory_protect(at + pages, at + pages + EMU_PAGE, PROT_NONE);
  memset(at, EMU_POISON, pages);
  emu_pin *p = emu_get(sizeof *p);
  *p = (emu_pin){.at = at,
                 .last = at + pages,
                 .bytes = bytes,
                 .call = emu_now,
                 .device = emu_context_device(),
                 .next = pins};
  pins = p;
  *memory = at;
  return CUDA_SUCCESS;
}

CUresult cu_host_put(void *memory) {
  EMU_ENTER(host_put, EMU_CURRENT | EMU_RELEASES);
  emu_pin *p = emu_pin_find(memory);
  if (!p || p->at != memory) emu_die("%p is not pinned memory", memory);
  if (p->dead) emu_die("double free of the pinned memory of call %lld", (long long)p->call);
  p->dead = true;
  emu_memory_protect(p->at, p->last, PROT_NONE);
  madvise(p->at, (size_t)(p->last - p->at), MADV_DONTNEED);
  return late;
}

const emu_pin *emu_pin_alive(int64_t *n, int64_t *bytes) {
  const emu_pin *one = NULL;
  *n = *bytes = 0;
  for (const emu_pin *p = pins; p; p = p->next)
    if (!p->dead) {
      one = p;
      *bytes += (int64_t)p->bytes;
      ++*n;
    }
  return one;
}
