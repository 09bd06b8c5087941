/* SPDX-License-Identifier: Apache-2.0
 * core/device/device_span.c -- spans: addresses for all of an array, memory in granules where it is used.
 *
 * Lives here: reserving addresses, mapping granules there, what becomes of both when they are given back.
 * Not here:   which bytes are used (trace/touch.h), blocks (device_memory.c).
 * How:        a span that was put back keeps its granules where they are, and is handed out again at once, for all use of it is
 *             in the order of one stream: a steady state calls no function of the driver. Of those that are free the one
 *             that has most of what is wanted is taken. Only when memory runs out are free spans dissolved, after a
 *             wait, since work that is queued may use them: their granules go to spans that need them, or to the driver.
 *             Granules are mapped, and unmapped, one by one; access is given to a row of them at once.
 * Invariants: a granule is mapped in one span, or in the list of those without addresses; `held` counts both.
 *             stats.live counts granules of spans that are handed out. */
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/base/log.h"
#include "core/device/device_impl.h"

typedef struct granule {
  CUmemGenericAllocationHandle handle;
  bool mapped;
} granule;

struct rpi_device_span {
  CUdeviceptr at;
  int64_t granule;         /* bytes */
  int64_t n, n_mapped;     /* granules */
  int64_t lo, hi;          /* these are mapped, of one row */
  rpi_device_span *next;   /* of all */
  rpi_device_span *behind; /* of those that are free */
  granule list[];
};

CUdeviceptr rpi_device_span_at(const rpi_device_span *s) { return s->at; }
int64_t rpi_device_span_bytes(const rpi_device_span *s) { return s->n_mapped * s->granule; }
int64_t rpi_device_granule(const rpi_device *d) { return d->granules.bytes; }

static CUmemAllocationProp memory_here(const rpi_device *d) {
  return (CUmemAllocationProp){.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                               .location = {CU_MEM_LOCATION_TYPE_DEVICE, d->facts.ordinal}};
}

static CUmemAccessDesc access_here(const rpi_device *d) {
  return (CUmemAccessDesc){{CU_MEM_LOCATION_TYPE_DEVICE, d->facts.ordinal},
                           CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
}

/* Within the bracket. One granule there and back: what stands between us and the GPU (a sandbox, a virtual machine) may say
 * that it can do this, and refuse. */
static CUresult try_one(rpi_device *d, size_t bytes) {
  const rpi_cuda *cu = d->cu;
  const CUmemAllocationProp what = memory_here(d);
  const CUmemAccessDesc both = access_here(d);
  CUmemGenericAllocationHandle h;
  CUdeviceptr at = 0;
  CUresult undone[3] = {CUDA_SUCCESS, CUDA_SUCCESS, CUDA_SUCCESS};
  CUresult e = cu->physical_get(&h, bytes, &what, 0);
  if (e != CUDA_SUCCESS) return e;
  e = cu->address_get(&at, bytes, 0, 0, 0);
  if (e == CUDA_SUCCESS) {
    e = cu->map(at, bytes, 0, h, 0);
    if (e == CUDA_SUCCESS) {
      e = cu->access(at, bytes, &both, 1);
      undone[0] = cu->unmap(at, bytes);
    }
    undone[1] = cu->address_put(at, bytes);
  }
  undone[2] = cu->physical_put(h);
  for (int32_t i = 0; i < RPI_COUNT(undone) && e == CUDA_SUCCESS; i++) e = undone[i];
  return e;
}

rp_status rpi_device_span_begin(rpi_device *d) {
  static bool said;
  const rpi_cuda *cu = d->cu;
  const CUmemAllocationProp here = memory_here(d);
  char words[256];
  size_t bytes = 0;
  int can = 0;
  CUresult tried = CUDA_SUCCESS;
  if (!cu->granularity || !cu->address_get || !cu->address_put || !cu->physical_get ||
      !cu->physical_put || !cu->map || !cu->unmap || !cu->access)
    return RP_OK;
  RPI_TRY(rpi_device_enter(d));
  const char *call = "cuDeviceGetAttribute";
  CUresult e = cu->device_attribute(&can, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
                                    d->device);
  if (e == CUDA_SUCCESS && can) {
    call = "cuMemGetAllocationGranularity";
    e = cu->granularity(&bytes, &here, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
    if (e == CUDA_SUCCESS) tried = try_one(d, bytes);
  }
  RPI_TRY(rpi_device_leave(d, e, call, "%s", "at the start"));
  const bool good = tried == CUDA_SUCCESS || tried == CUDA_ERROR_OUT_OF_MEMORY; /* which passes */
  if (!good)
    rpi_log_once(&said, "GPU %d (%s): arrays of ranks have memory for all elements: cuMemMap: %s",
                 d->facts.ordinal, d->facts.name, rpi_cuda_error(cu, tried, words, sizeof words));
  if (good) d->granules.bytes = (int64_t)bytes;
  return RP_OK;
}

/* ---- granules: within the bracket --------------------------------------------------------------------- */

/* One that no span has any more. Without memory to remember it, it goes back. */
static CUresult keep(rpi_device *d, CUmemGenericAllocationHandle h) {
  rpi_device_granules *g = &d->granules;
  void *list = g->handle;
  if (g->n < g->cap || rpi_alloc_grow(&list, &g->cap, g->n + 1, sizeof h)) {
    g->handle = list;
    g->handle[g->n++] = h;
    return CUDA_SUCCESS;
  }
  d->held -= g->bytes;
  return d->cu->physical_put(h);
}

static CUresult unmap(rpi_device *d, rpi_device_span *s, int64_t i) {
  const int64_t bytes = d->granules.bytes;
  const CUresult e = d->cu->unmap(s->at + (CUdeviceptr)(i * bytes), (size_t)bytes);
  s->list[i].mapped = false;
  s->n_mapped--;
  const CUresult kept = keep(d, s->list[i].handle);
  return e == CUDA_SUCCESS ? kept : e;
}

/* A span that no work uses any more: its granules are in none. */
static CUresult dissolve(rpi_device *d, rpi_device_span *s, const char **call) {
  CUresult first = CUDA_SUCCESS;
  *call = "cuMemUnmap";
  for (int64_t i = 0; i < s->n; i++) {
    const CUresult e = s->list[i].mapped ? unmap(d, s, i) : CUDA_SUCCESS;
    if (first == CUDA_SUCCESS) first = e;
  }
  const CUresult e = d->cu->address_put(s->at, (size_t)(s->n * d->granules.bytes));
  if (first == CUDA_SUCCESS && e != CUDA_SUCCESS) *call = "cuMemAddressFree";
  rpi_device_span **at = &d->granules.spans;
  while (*at != s) at = &(*at)->next;
  *at = s->next;
  rpi_alloc_free(s);
  return first == CUDA_SUCCESS ? e : first;
}

/* All that are free, after a wait. */
static CUresult dissolve_free(rpi_device *d, const char **call) {
  CUresult first = CUDA_SUCCESS;
  if (!d->granules.free) return CUDA_SUCCESS;
  *call = "cuStreamSynchronize";
  const CUresult waited = rpi_device_drain(d);
  if (waited != CUDA_SUCCESS) return waited;
  for (rpi_device_span *s = d->granules.free, *next; s; s = next) {
    const char *which;
    next = s->behind;
    const CUresult e = dissolve(d, s, &which);
    if (first == CUDA_SUCCESS && e != CUDA_SUCCESS) *call = which;
    if (first == CUDA_SUCCESS) first = e;
  }
  d->granules.free = NULL;
  return first;
}

CUresult rpi_device_spans_release(rpi_device *d, const char **call) {
  rpi_device_granules *g = &d->granules;
  CUresult first = dissolve_free(d, call);
  while (g->n > 0) {
    const CUresult e = d->cu->physical_put(g->handle[--g->n]);
    d->held -= g->bytes;
    if (first == CUDA_SUCCESS && e != CUDA_SUCCESS) *call = "cuMemRelease";
    if (first == CUDA_SUCCESS) first = e;
  }
  return first;
}

void rpi_device_spans_deinit(rpi_device *d) {
  const char *call;
  if (d->granules.spans) (void)rpi_device_drain(d);
  while (d->granules.spans) (void)dissolve(d, d->granules.spans, &call);
  d->granules.free = NULL;
  (void)rpi_device_spans_release(d, &call);
  rpi_alloc_free(d->granules.handle);
  d->granules.handle = NULL;
}

static CUresult create(rpi_device *d, CUmemGenericAllocationHandle *out, const char **call) {
  const CUmemAllocationProp here = memory_here(d);
  *call = "cuMemCreate";
  const CUresult e = d->cu->physical_get(out, (size_t)d->granules.bytes, &here, 0);
  if (e == CUDA_SUCCESS) d->held += d->granules.bytes;
  return e;
}

/* One that is in no span, if there is one. */
static bool pop(rpi_device *d, CUmemGenericAllocationHandle *out) {
  if (d->granules.n == 0) return false;
  *out = d->granules.handle[--d->granules.n];
  return true;
}

/* Blocks that are free leave room for a granule, if they can; the driver's pool would keep what it gets. */
static CUresult make_room(rpi_device *d, const char **call) {
  const int64_t bytes = d->granules.bytes;
  const bool limited = d->limit && d->held + bytes > d->limit;
  *call = "cuMemFreeAsync";
  CUresult e = rpi_device_release(d, limited ? d->held + bytes - d->limit : INT64_MAX);
  if (e != CUDA_SUCCESS) return e;
  if (limited && d->held + bytes > d->limit) return CUDA_ERROR_OUT_OF_MEMORY;
  *call = "cuStreamSynchronize";
  e = rpi_device_drain(d);
  if (e != CUDA_SUCCESS) return e;
  *call = "cuMemPoolTrimTo";
  return d->cu->pool_trim(d->pool, 0);
}

/* One in no span, or a new one, or what free spans and free blocks leave. CUDA_ERROR_OUT_OF_MEMORY: the GPU has, or the
 * limit allows, no more. */
static CUresult take(rpi_device *d, CUmemGenericAllocationHandle *out, const char **call) {
  if (pop(d, out)) return CUDA_SUCCESS;
  const bool full = d->limit && d->held + d->granules.bytes > d->limit;
  CUresult e = full ? CUDA_ERROR_OUT_OF_MEMORY : create(d, out, call);
  if (e != CUDA_ERROR_OUT_OF_MEMORY) return e;
  e = dissolve_free(d, call);
  if (e != CUDA_SUCCESS || pop(d, out)) return e;
  e = make_room(d, call);
  return e == CUDA_SUCCESS ? create(d, out, call) : e;
}

/* ---- spans -------------------------------------------------------------------------------------------- */

/* Within the bracket. Granules from..to-1, none of which is mapped; those that could not be are not. */
static CUresult map_row(rpi_device *d, rpi_device_span *s, int64_t from, int64_t to,
                        const char **call) {
  const int64_t bytes = d->granules.bytes;
  const CUmemAccessDesc both = access_here(d);
  CUresult e = CUDA_SUCCESS;
  int64_t i = from;
  for (; i < to && e == CUDA_SUCCESS; i++) {
    granule *g = &s->list[i];
    e = take(d, &g->handle, call);
    if (e != CUDA_SUCCESS) break;
    *call = "cuMemMap";
    e = d->cu->map(s->at + (CUdeviceptr)(i * bytes), (size_t)bytes, 0, g->handle, 0);
    g->mapped = e == CUDA_SUCCESS;
    s->n_mapped += g->mapped;
    if (!g->mapped) (void)keep(d, g->handle);
    if (!g->mapped) break;
  }
  if (i == from) return e;
  const CUresult opened =
      d->cu->access(s->at + (CUdeviceptr)(from * bytes), (size_t)((i - from) * bytes), &both, 1);
  if (opened == CUDA_SUCCESS) return e;
  for (int64_t k = from; k < i; k++) (void)unmap(d, s, k); /* nothing has used them */
  if (e == CUDA_SUCCESS) *call = "cuMemSetAccess";
  return e == CUDA_SUCCESS ? opened : e;
}

/* Within the bracket. All of granules lo..hi-1. */
static CUresult map_all(rpi_device *d, rpi_device_span *s, int64_t lo, int64_t hi,
                        const char **call) {
  for (int64_t i = lo, end; i < hi; i = end) {
    for (end = i; end < hi && s->list[end].mapped == s->list[i].mapped;) end++;
    if (s->list[i].mapped) continue;
    const CUresult e = map_row(d, s, i, end, call);
    if (e != CUDA_SUCCESS) return e;
  }
  return CUDA_SUCCESS;
}

/* How many of granules lo..hi-1 have memory. */
static int64_t count_mapped(const rpi_device_span *s, int64_t lo, int64_t hi) {
  int64_t n = 0;
  for (int64_t i = lo; i < hi; i++) n += s->list[i].mapped;
  return n;
}

/* What is used of a span that is handed out. */
static void count(rpi_device *d, int64_t more) {
  d->stats.live += more;
  if (d->stats.peak < d->stats.live) d->stats.peak = d->stats.live;
}

rp_status rpi_device_span_grow(rpi_device *d, rpi_device_span *s, int64_t lo, int64_t hi) {
  const int64_t each = s->granule, first = lo / each, end = (hi + each - 1) / each;
  const char *call = "cuMemMap";
  size_t available = 0, total = 0;
  rpi_assert(0 <= lo && end <= s->n);
  if (lo >= hi || (s->lo <= first && end <= s->hi)) return RP_OK;
  if (count_mapped(s, first, end) == end - first) return RP_OK;
  RPI_TRY(rpi_device_enter(d));
  const int64_t before = rpi_device_span_bytes(s);
  CUresult e = map_all(d, s, first, end, &call);
  const bool full = e == CUDA_ERROR_OUT_OF_MEMORY;
  if (full) (void)d->cu->memory_info(&available, &total);
  count(d, rpi_device_span_bytes(s) - before);
  RPI_TRY(rpi_device_leave(d, full ? CUDA_SUCCESS : e, call, "for %lld bytes, with %lld in use",
                           (long long)(hi - lo), (long long)d->stats.live));
  if (full) return rpi_device_lacks(d, (end - first) * each, available);
  const bool meets = s->lo <= end && first <= s->hi;
  s->lo = meets && s->lo < first ? s->lo : first;
  s->hi = meets && s->hi > end ? s->hi : end;
  return RP_OK;
}

/* The free span of n granules that has most of granules lo..hi-1, and least beside them; NULL: none has any. */
static rpi_device_span *pick(rpi_device *d, int64_t n, int64_t lo, int64_t hi) {
  rpi_device_span **best = NULL;
  int64_t most = 0;
  for (rpi_device_span **at = &d->granules.free; *at; at = &(*at)->behind) {
    const int64_t has = (*at)->n == n ? count_mapped(*at, lo, hi) : 0;
    if (has < most || has == 0 || (has == most && (*at)->n_mapped >= (*best)->n_mapped)) continue;
    best = at;
    most = has;
  }
  rpi_device_span *s = best ? *best : NULL;
  if (s) *best = s->behind;
  return s;
}

static rp_status reserve(rpi_device *d, int64_t n, rpi_device_span **out) {
  rpi_device_span *s = rpi_alloc_zero(sizeof *s + sizeof *s->list * (size_t)n);
  if (!s) return rpi_status_nomem("addresses on a GPU");
  s->n = n;
  s->granule = d->granules.bytes;
  rp_status st = rpi_device_enter(d);
  if (st == RP_OK) {
    const CUresult e = d->cu->address_get(&s->at, (size_t)(n * s->granule), 0, 0, 0);
    st =
        rpi_device_leave(d, e, "cuMemAddressReserve", "of %lld bytes", (long long)(n * s->granule));
  }
  if (!s->at) {
    rpi_alloc_free(s);
    return st;
  }
  s->next = d->granules.spans;
  d->granules.spans = s;
  if (st == RP_OK)
    *out = s;
  else
    rpi_device_span_put(d, s); /* addresses that came all the same */
  return st;
}

rp_status rpi_device_span_get(rpi_device *d, int64_t bytes, int64_t lo, int64_t hi,
                              rpi_device_span **out) {
  const int64_t each = d->granules.bytes, n = (bytes + each - 1) / each;
  rpi_device_span *s = pick(d, n, lo / each, (hi + each - 1) / each);
  *out = NULL;
  if (!s) RPI_TRY(reserve(d, n, &s));
  count(d, rpi_device_span_bytes(s));
  const rp_status st = rpi_device_span_grow(d, s, lo, hi);
  if (st == RP_OK)
    *out = s;
  else
    rpi_device_span_put(d, s);
  return st;
}

void rpi_device_span_put(rpi_device *d, rpi_device_span *s) {
  count(d, -rpi_device_span_bytes(s));
  s->behind = d->granules.free;
  d->granules.free = s;
}
