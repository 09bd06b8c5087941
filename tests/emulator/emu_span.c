/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_span.c -- addresses that are reserved, and memory that is mapped there.
 *
 * Lives here: cuMemAddressReserve, cuMemCreate, cuMemMap, cuMemSetAccess and what undoes them, each as strict as the driver may be.
 * Not here:   who may touch memory when (emu_memory.c).
 * How:        memory is a part of a file in memory, and is mapped by mapping that. What has none, or no access, cannot
 *             be touched: work that still uses what was unmapped is a SIGSEGV when it runs, as late as it may. Memory that is
 *             new is EMU_POISON. A piece is mapped once at most, whole, and unmapped as it was mapped. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/emulator/emu_inside.h"

struct emu_granule {
  CUmemGenericAllocationHandle handle;
  size_t bytes, offset; /* in the file */
  emu_device *device;
  emu_memory *at;           /* where it is mapped; NULL: nowhere */
  bool mapped_ever, opened; /* opened: access was given */
  bool released;
  int64_t call, ended;
  emu_granule *next;
};

static emu_granule *granules; /* all there ever were */
static int file = -1;
static size_t file_end;

static size_t granularity(void) {
  const char *text = getenv("EMU_GRANULE_KB");
  return (size_t)(text && *text ? strtoll(text, NULL, 10) : 2048) << 10;
}

static bool is_here(const CUmemLocation *l) {
  return l->type == CU_MEM_LOCATION_TYPE_DEVICE && l->id == emu_context_device()->ordinal;
}

CUresult cu_granularity(size_t *bytes, const CUmemAllocationProp *what,
                        CUmemAllocationGranularity_flags which) {
  EMU_ENTER(granularity, EMU_CURRENT);
  if (!is_here(&what->location) || which != CU_MEM_ALLOC_GRANULARITY_MINIMUM)
    return CUDA_ERROR_INVALID_VALUE;
  *bytes = granularity();
  return CUDA_SUCCESS;
}

/* ---- addresses */

CUresult cu_address_get(CUdeviceptr *at, size_t bytes, size_t alignment, CUdeviceptr wish,
                        unsigned long long flags) {
  EMU_ENTER(address_get, EMU_CURRENT);
  if (!bytes || bytes % granularity() || alignment || wish || flags)
    return CUDA_ERROR_INVALID_VALUE;
  emu_memory *m = emu_memory_place(emu_context_device(), bytes, bytes);
  m->granules = emu_get(bytes / granularity() * sizeof(*m->granules));
  emu_memory_enlist(m);
  *at = (CUdeviceptr)(uintptr_t)m->at;
  return CUDA_SUCCESS;
}

/* The reservation that [at, at + bytes) lies in, in whole granules; *first is its number there. */
static emu_memory *find(CUdeviceptr at, size_t bytes, size_t *first) {
  const char *p = (const char *)(uintptr_t)at;
  emu_memory *m = emu_memory_find(p);
  if (!m || !m->granules) emu_die("%p is no address that was reserved", (const void *)p);
  if (m->state != EMU_LIVE)
    emu_die("the addresses of call %lld were freed by call %lld", (long long)m->call,
            (long long)m->freed);
  const size_t from = (size_t)(p - m->at), each = granularity();
  if (from % each || !bytes || bytes % each || from + bytes > m->bytes)
    emu_die("%zu bytes from %zu on are no granules of the %zu bytes of addresses of call %lld",
            bytes, from, m->bytes, (long long)m->call);
  *first = from / each;
  return m;
}

CUresult cu_address_put(CUdeviceptr at, size_t bytes) {
  EMU_ENTER(address_put, EMU_CURRENT | EMU_RELEASES);
  size_t first;
  emu_memory *m = find(at, bytes, &first);
  if (first || bytes != m->bytes)
    emu_die("%zu bytes of the %zu bytes of addresses of call %lld are freed", bytes, m->bytes,
            (long long)m->call);
  for (size_t i = 0; i < bytes / granularity(); i++)
    if (m->granules[i])
      emu_die("addresses are freed where memory of call %lld is mapped",
              (long long)m->granules[i]->call);
  m->freed = emu_now;
  emu_memory_gone(m);
  return late;
}

/* ---- memory */

CUresult cu_physical_get(CUmemGenericAllocationHandle *handle, size_t bytes,
                         const CUmemAllocationProp *what, unsigned long long flags) {
  EMU_ENTER(physical_get, EMU_CURRENT);
  emu_device *d = emu_context_device();
  const char *refuses = getenv("EMU_MAP");
  if (refuses && strcmp(refuses, "off") == 0) return CUDA_ERROR_NOT_SUPPORTED;
  if (!bytes || bytes % granularity() || flags || !is_here(&what->location) ||
      what->type != CU_MEM_ALLOCATION_TYPE_PINNED || what->requestedHandleTypes ||
      what->allocFlags || what->win32HandleMetaData)
    return CUDA_ERROR_INVALID_VALUE;
  if (emu_faults_memory() || (size_t)(d->memory - d->used) < bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  if (file < 0) file = memfd_create("granules", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, (off_t)(file_end + bytes)) != 0) emu_die("no file for memory");
  emu_granule *g = emu_get(sizeof *g);
  *g = (emu_granule){.handle = granules ? granules->handle + 1 : 1,
                     .bytes = bytes,
                     .offset = file_end,
                     .device = d,
                     .call = emu_now,
                     .next = granules};
  granules = g;
  file_end += bytes;
  d->used += (int64_t)bytes;
  *handle = g->handle;
  return CUDA_SUCCESS;
}

static emu_granule *granule_of(CUmemGenericAllocationHandle handle) {
  emu_granule *g = granules;
  while (g && g->handle != handle) g = g->next;
  if (!g) emu_die("%llu is no memory", handle);
  if (g->released)
    emu_die("the memory of call %lld was released by call %lld", (long long)g->call,
            (long long)g->ended);
  return g;
}

/* It goes when it is neither held nor mapped. */
static void let_go(emu_granule *g) {
  if (!g->released || g->at) return;
  g->device->used -= (int64_t)g->bytes;
  void *p = mmap(NULL, g->bytes, PROT_WRITE, MAP_SHARED, file, (off_t)g->offset);
  if (p == MAP_FAILED) return;
  (void)madvise(p, g->bytes, MADV_REMOVE);
  munmap(p, g->bytes);
}

CUresult cu_physical_put(CUmemGenericAllocationHandle handle) {
  EMU_ENTER(physical_put, EMU_CURRENT | EMU_RELEASES);
  emu_granule *g = granule_of(handle);
  g->released = true;
  g->ended = emu_now;
  let_go(g);
  return late;
}

/* ---- memory at addresses */

CUresult cu_map(CUdeviceptr at, size_t bytes, size_t offset, CUmemGenericAllocationHandle handle,
                unsigned long long flags) {
  EMU_ENTER(map, EMU_CURRENT);
  size_t first;
  emu_memory *m = find(at, bytes, &first);
  emu_granule *g = granule_of(handle);
  if (flags || offset || bytes != g->bytes) return CUDA_ERROR_INVALID_VALUE;
  if (g->device != m->device) emu_die("memory of another GPU is mapped");
  if (g->at) emu_die("the memory of call %lld is mapped twice", (long long)g->call);
  for (size_t i = 0; i < bytes / granularity(); i++) {
    if (m->granules[first + i]) emu_die("memory is mapped where there is some");
    m->granules[first + i] = g;
  }
  char *p = (char *)(uintptr_t)at;
  const int how = g->mapped_ever ? PROT_NONE : PROT_READ | PROT_WRITE;
  if (mmap(p, bytes, how, MAP_SHARED | MAP_FIXED, file, (off_t)g->offset) == MAP_FAILED)
    emu_die("no mapping of %zu bytes", bytes);
  if (!g->mapped_ever) memset(p, EMU_POISON, bytes);
  emu_memory_protect(p, p + bytes, PROT_NONE);
  g->at = m;
  g->mapped_ever = true;
  g->opened = false;
  emu_counted.maps++;
  return CUDA_SUCCESS;
}

/* [first, first + n) of the granules have nothing any more. */
static void unmap(emu_memory *m, size_t first, size_t n) {
  const size_t each = granularity();
  char *p = m->at + first * each;
  for (size_t i = first; i < first + n; i++) {
    emu_granule *g = m->granules[i];
    m->granules[i] = NULL;
    if (!g || !g->at) continue;
    g->at = NULL;
    let_go(g);
  }
  const int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  if (mmap(p, n * each, PROT_NONE, how, -1, 0) == MAP_FAILED) emu_die("addresses are lost");
}

CUresult cu_unmap(CUdeviceptr at, size_t bytes) {
  EMU_ENTER(unmap, EMU_CURRENT | EMU_RELEASES);
  size_t first;
  emu_memory *m = find(at, bytes, &first);
  const emu_granule *g = m->granules[first];
  if (!g) emu_die("nothing is mapped where memory is unmapped");
  if (g->bytes != bytes || (first > 0 && m->granules[first - 1] == g))
    emu_die("the memory of call %lld is unmapped in part", (long long)g->call);
  unmap(m, first, bytes / granularity());
  return late;
}

CUresult cu_access(CUdeviceptr at, size_t bytes, const CUmemAccessDesc *what, size_t n) {
  EMU_ENTER(access, EMU_CURRENT);
  size_t first;
  emu_memory *m = find(at, bytes, &first);
  if (n != 1 || !is_here(&what->location) || what->flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = first; i < first + bytes / granularity(); i++) {
    if (!m->granules[i]) emu_die("access is given where nothing is mapped");
    m->granules[i]->opened = true;
  }
  if (emu_memory_is_open()) emu_span_protect(m, PROT_READ | PROT_WRITE);
  return CUDA_SUCCESS;
}

/* ---- what other files ask */

/* Rows of what may be touched at once. */
void emu_span_protect(const emu_memory *m, int how) {
  const size_t each = granularity(), n = m->bytes / each;
  for (size_t i = 0, end; i < n; i = end) {
    const bool opened = m->granules[i] && m->granules[i]->opened;
    for (end = i; end < n && (m->granules[end] && m->granules[end]->opened) == opened;) end++;
    if (opened) emu_memory_protect(m->at + i * each, m->at + end * each, how);
  }
}

void emu_span_check(const emu_memory *m, const char *at, size_t bytes, const char *what) {
  const size_t each = granularity(), from = (size_t)(at - m->at);
  for (size_t i = from / each; bytes && i <= (from + bytes - 1) / each; i++)
    if (!m->granules[i] || !m->granules[i]->opened)
      emu_die("%s: %zu bytes from %zu on have no memory in the %zu bytes of addresses of call %lld",
              what, bytes, from, m->bytes, (long long)m->call);
}

void emu_span_gone(emu_memory *m) {
  unmap(m, 0, m->bytes / granularity());
  free(m->granules);
  m->granules = NULL;
}

int64_t emu_span_alive(int64_t *call) {
  int64_t n = 0;
  for (const emu_granule *g = granules; g; g = g->next)
    if (!g->released || g->at) {
      *call = g->call;
      n++;
    }
  return n;
}

void emu_span_end_all(emu_device *d) {
  for (emu_granule *g = granules; g; g = g->next)
    if (g->device == d && !g->released) {
      g->released = true;
      let_go(g);
    }
}
