/* SPDX-License-Identifier: Apache-2.0
 * core/device/device_memory.c -- blocks of a GPU's memory: a free list per size class over the driver's pool.
 *
 * Lives here: get, put, trim, the limit, what is done when memory runs out.
 * Not here:   which arrays leave the GPU then (its callers), pinned memory (device_copy.c).
 * How:        classes are those of size_class.h in units of 256 bytes, and the driver is asked for whole classes, so a
 *             steady state calls no function of it. All use of a block is in the order of one stream, so a block that was
 *             put back is handed out again at once. When the driver has no memory left all free blocks go back to it, all
 *             work is waited for, the pool gives what it keeps to the system, and it is asked once more.
 * Invariants: `taken` has each block that the driver gave and has not got back; `held` is the sum of their classes' bytes;
 *             every block in a list is of that list's class. */
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/base/hash.h"
#include "core/device/device_impl.h"

#define LARGEST (INT64_C(1) << 47) /* no request above it can succeed */

static int32_t class_of(int64_t bytes) {
  return rpi_size_class_of(((uint64_t)bytes + (1 << RPI_DEVICE_LOG2_UNIT) - 1) >>
                           RPI_DEVICE_LOG2_UNIT);
}

static int64_t class_bytes(int32_t c) {
  return (int64_t)(rpi_size_class_units(c) << RPI_DEVICE_LOG2_UNIT);
}

/* The map holds addresses themselves: they are never 0. */
static void *entry(CUdeviceptr p) { return (void *)(uintptr_t)p; }
static uint64_t hash(CUdeviceptr p) { return rpi_hash_bytes64(&p, sizeof p); }

#if defined(RPI_VALIDATE) && !defined(NDEBUG)
static bool is_taken(const rpi_device *d, CUdeviceptr p) {
  int32_t it = -1;
  const void *at;
  while ((at = rpi_map_next(&d->taken, hash(p), &it)) != NULL)
    if (at == entry(p)) return true;
  return false;
}
#endif

/* ---- between the lists and the driver: within the bracket --------------------------------------------- */

/* A block of class c goes back to the driver. */
static CUresult give_back(rpi_device *d, CUdeviceptr p, int32_t c) {
  rpi_map_remove(&d->taken, hash(p), entry(p));
  d->held -= class_bytes(c);
  return d->cu->memory_put(p, d->stream);
}

/* The largest first. */
CUresult rpi_device_release(rpi_device *d, int64_t need) {
  CUresult first = CUDA_SUCCESS;
  for (int32_t c = RPI_DEVICE_CLASSES - 1; c >= 0 && need > 0; c--) {
    rpi_device_list *l = &d->lists[c];
    for (; l->n && need > 0; need -= class_bytes(c)) {
      const CUresult e = give_back(d, l->blocks[--l->n], c);
      if (first == CUDA_SUCCESS) first = e;
    }
  }
  return first;
}

/* All that is free goes to the system. */
static CUresult release_all(rpi_device *d, const char **call) {
  *call = "cuMemFreeAsync";
  CUresult e = rpi_device_release(d, INT64_MAX);
  if (e != CUDA_SUCCESS) return e;
  *call = "cuStreamSynchronize";
  e = rpi_device_drain(d);
  if (e != CUDA_SUCCESS) return e;
  e = rpi_device_spans_release(d, call);
  if (e != CUDA_SUCCESS) return e;
  *call = "cuMemPoolTrimTo";
  return d->cu->pool_trim(d->pool, 0);
}

/* A block of class c from the driver; *out is 0 where its memory or the limit does not suffice. */
static CUresult take(rpi_device *d, int32_t c, CUdeviceptr *out, const char **call) {
  const int64_t bytes = class_bytes(c);
  *out = 0;
  if (d->limit && d->held + bytes > d->limit) {
    *call = "cuMemFreeAsync";
    CUresult e = rpi_device_release(d, d->held + bytes - d->limit);
    if (e == CUDA_SUCCESS && d->held + bytes > d->limit) e = rpi_device_spans_release(d, call);
    if (e != CUDA_SUCCESS) return e;
    if (d->held + bytes > d->limit) return CUDA_SUCCESS;
  }
  *call = "cuMemAllocAsync";
  CUresult e = d->cu->memory_get(out, (size_t)bytes, d->stream);
  if (e == CUDA_ERROR_OUT_OF_MEMORY) {
    e = release_all(d, call);
    if (e != CUDA_SUCCESS) return e;
    *call = "cuMemAllocAsync";
    e = d->cu->memory_get(out, (size_t)bytes, d->stream);
  }
  if (e == CUDA_SUCCESS) {
    d->held += bytes;
    if (rpi_map_add(&d->taken, hash(*out), entry(*out))) return e;
    (void)give_back(d, *out, c);
  }
  *out = 0;
  return e == CUDA_ERROR_OUT_OF_MEMORY ? CUDA_SUCCESS : e;
}

void rpi_device_blocks_deinit(rpi_device *d) {
  rpi_device_spans_deinit(d);
  for (int32_t i = 0; i < d->taken.cap; i++)
    if (d->taken.slots[i].value)
      (void)d->cu->memory_put((CUdeviceptr)(uintptr_t)d->taken.slots[i].value, d->stream);
  if (!d->stream) return;
  (void)rpi_device_drain(d);
  if (d->pool) (void)d->cu->pool_trim(d->pool, 0);
}

/* ---- blocks ------------------------------------------------------------------------------------------- */

rp_status rpi_device_lacks(rpi_device *d, int64_t bytes, size_t available) {
  char most[64] = "";
  if (d->limit) snprintf(most, sizeof most, ", at most %lld may be", (long long)d->limit);
  return rpi_status_fail(
      RP_ERR_MEMORY,
      "out of memory of GPU %d (%s): a block of %lld bytes; %lld bytes are in use here%s, %lld of "
      "the GPU's %lld are free",
      d->facts.ordinal, d->facts.name, (long long)bytes, (long long)d->stats.live, most,
      (long long)available, (long long)d->facts.memory);
}

static rp_status get_from_driver(rpi_device *d, int64_t bytes, CUdeviceptr *out) {
  const char *call = "cuMemAllocAsync";
  CUresult e = CUDA_SUCCESS;
  size_t available = 0, total = 0;
  RPI_TRY(rpi_device_enter(d));
  if (bytes <= LARGEST) e = take(d, class_of(bytes), out, &call);
  if (e == CUDA_SUCCESS && !*out) (void)d->cu->memory_info(&available, &total);
  const rp_status st = rpi_device_leave(d, e, call, "for a block of %lld bytes, with %lld in use",
                                        (long long)bytes, (long long)d->stats.live);
  if (st != RP_OK) *out = 0; /* a block that came all the same is freed when the device is closed */
  if (st != RP_OK) return st;
  return *out ? RP_OK : rpi_device_lacks(d, bytes, available);
}

rp_status rpi_device_get(rpi_device *d, int64_t bytes, CUdeviceptr *out) {
  rpi_assert(bytes >= 0);
  *out = 0;
  if (bytes == 0) return RP_OK;
  rpi_device_list *l = bytes <= LARGEST ? &d->lists[class_of(bytes)] : NULL;
  if (l && l->n && !*d->failure) {
    *out = l->blocks[--l->n];
  } else {
    RPI_TRY(get_from_driver(d, bytes, out));
  }
  d->stats.live += bytes;
  if (d->stats.peak < d->stats.live) d->stats.peak = d->stats.live;
  return RP_OK;
}

void rpi_device_put(rpi_device *d, CUdeviceptr p, int64_t bytes) {
  if (bytes == 0) return;
  const int32_t c = class_of(bytes);
  rpi_device_list *l = &d->lists[c];
  rpi_assert(p && p % (1 << RPI_DEVICE_LOG2_UNIT) == 0 && d->stats.live >= bytes);
  rpi_assert_heavy(is_taken(d, p));
  d->stats.live -= bytes;
  if (l->n < l->cap || rpi_alloc_grow((void **)&l->blocks, &l->cap, l->n + 1, sizeof *l->blocks)) {
    l->blocks[l->n++] = p;
  } else if (rpi_device_enter(d) == RP_OK) { /* no memory to remember it */
    (void)rpi_device_leave(d, give_back(d, p, c), "cuMemFreeAsync", "of %lld bytes",
                           (long long)bytes);
  }
}

void rpi_device_trim(rpi_device *d) {
  const char *call;
  if (rpi_device_enter(d) != RP_OK) return;
  const CUresult e = release_all(d, &call);
  (void)rpi_device_leave(d, e, call, "%s", "of free blocks");
}
