/* SPDX-License-Identifier: Apache-2.0
 * core/device/device.c -- a GPU is opened and closed; what its errors are called.
 *
 * Lives here: facts, the primary context and the stream, the bracket around the driver's calls, errors that stay.
 * Not here:   memory (device_memory.c), copies and waits (device_copy.c), modules and launches (device_code.c).
 * Invariant:  a device whose context is spoilt has `failure`, and from then on its functions return that. */
#include "core/device/device.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/device/device_impl.h"

/* ---- errors ----------------------------------------------------------------------------------------- */

/* After these no call on the context succeeds any more. All but the first GONE are what a kernel did. */
enum { GONE = 5 };
static const CUresult spoils[] = {CUDA_ERROR_DEINITIALIZED,
                                  CUDA_ERROR_INVALID_CONTEXT,
                                  CUDA_ERROR_CONTEXT_IS_DESTROYED,
                                  CUDA_ERROR_ECC_UNCORRECTABLE,
                                  CUDA_ERROR_NVLINK_UNCORRECTABLE,
                                  CUDA_ERROR_ILLEGAL_ADDRESS,
                                  CUDA_ERROR_LAUNCH_TIMEOUT,
                                  CUDA_ERROR_ASSERT,
                                  CUDA_ERROR_HARDWARE_STACK_ERROR,
                                  CUDA_ERROR_ILLEGAL_INSTRUCTION,
                                  CUDA_ERROR_MISALIGNED_ADDRESS,
                                  CUDA_ERROR_INVALID_ADDRESS_SPACE,
                                  CUDA_ERROR_INVALID_PC,
                                  CUDA_ERROR_LAUNCH_FAILED,
                                  CUDA_ERROR_UNKNOWN};

/* What is added to the sentence; NULL: the error does not stay. */
static const char *aftermath(CUresult error) {
  for (int32_t i = 0; i < RPI_COUNT(spoils); i++)
    if (spoils[i] == error)
      return i < GONE
                 ? "; the GPU's context is gone, and the GPU cannot be used any more"
                 : "; it is an earlier launch that has failed so, and the GPU cannot be used any "
                   "more";
  return NULL;
}

static rp_status failed(rpi_device *d, CUresult error, const char *call, const char *what) {
  char words[256];
  const char *after = aftermath(error);
  if (error == CUDA_ERROR_NOT_READY && *d->why) return rpi_status_fail(RP_ERR_RANKS, "%s", d->why);
  const rp_status st = rpi_status_fail(
      error == CUDA_ERROR_OUT_OF_MEMORY ? RP_ERR_MEMORY : RP_ERR_DEVICE,
      "GPU %d (%s): %s%s%s: %s%s", d->facts.ordinal, d->facts.name, call, *what ? " " : "", what,
      rpi_cuda_error(d->cu, error, words, sizeof words), after ? after : "");
  if (after && !*d->failure) snprintf(d->failure, sizeof d->failure, "%s", rpi_status_message());
  return st;
}

rp_status rpi_device_status(const rpi_device *d) {
  return RPI_LIKELY(!*d->failure) ? RP_OK : rpi_status_fail(RP_ERR_DEVICE, "%s", d->failure);
}

/* What takes something back comes this way, too: short of memory for a moment is no reason to lose it. */
static CUresult push(const rpi_device *d) {
  const CUresult error = d->cu->context_push(d->context);
  return RPI_LIKELY(error != CUDA_ERROR_OUT_OF_MEMORY) ? error : d->cu->context_push(d->context);
}

rp_status rpi_device_enter(rpi_device *d) {
  RPI_TRY(rpi_device_status(d));
  const CUresult error = push(d);
  return RPI_LIKELY(error == CUDA_SUCCESS) ? RP_OK : failed(d, error, "cuCtxPushCurrent", "");
}

rp_status rpi_device_leave(rpi_device *d, CUresult error, const char *call, const char *about,
                           ...) {
  CUcontext ours;
  const CUresult popped = d->cu->context_pop(&ours);
  if (RPI_LIKELY(error == CUDA_SUCCESS)) {
    if (RPI_LIKELY(popped == CUDA_SUCCESS)) return RP_OK;
    error = popped;
    call = "cuCtxPopCurrent after that";
  }
  char what[256];
  va_list arguments;
  va_start(arguments, about);
  vsnprintf(what, sizeof what, about, arguments);
  va_end(arguments);
  return failed(d, error, call, what);
}

rp_status rpi_device_lend(rpi_device *d) { return rpi_device_enter(d); }

rp_status rpi_device_regain(rpi_device *d) {
  return rpi_device_leave(d, CUDA_SUCCESS, "a function of an op", "%s", "");
}

/* ---- facts ------------------------------------------------------------------------------------------ */

rp_status rpi_device_count(const char *library, int32_t *out) {
  const rpi_cuda *cu;
  *out = 0;
  RPI_TRY(rpi_cuda_open(library, &cu));
  *out = cu->devices;
  return RP_OK;
}

const rpi_device_facts *rpi_device_facts_get(const rpi_device *d) { return &d->facts; }
const rpi_device_stats *rpi_device_stats_get(const rpi_device *d) { return &d->stats; }
CUstream rpi_device_stream(const rpi_device *d) { return d->stream; }

/* Asks the driver; the failed call's name in *call. */
static CUresult ask(rpi_device *d, int *pools, const char **call) {
  const rpi_cuda *cu = d->cu;
  rpi_device_facts *f = &d->facts;
  int l2 = 0, major = 0, minor = 0;
  const struct {
    CUdevice_attribute which;
    int *value;
  } attributes[] = {{CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &f->multiprocessors},
                    {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, &l2},
                    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major},
                    {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor},
                    {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, pools}};
  *call = "cuDeviceGet";
  CUresult e = cu->device_get(&d->device, f->ordinal);
  if (e == CUDA_SUCCESS) {
    *call = "cuDeviceGetName";
    e = cu->device_name(f->name, (int)sizeof f->name, d->device);
  }
  for (int32_t i = 0; i < RPI_COUNT(attributes) && e == CUDA_SUCCESS; i++) {
    *call = "cuDeviceGetAttribute";
    e = cu->device_attribute(attributes[i].value, attributes[i].which, d->device);
  }
  size_t memory = 0;
  if (e == CUDA_SUCCESS) {
    *call = "cuDeviceTotalMem";
    e = cu->device_memory(&memory, d->device);
  }
  f->memory = (int64_t)memory;
  f->l2 = l2;
  f->arch = major * 10 + minor;
  f->driver = cu->driver;
  f->parameter_most = f->driver >= 12010 && f->arch >= 70 ? 32764 : 4096;
  return e;
}

/* ---- a device --------------------------------------------------------------------------------------- */

/* Within the bracket: the stream, the pool, the ring. The pool keeps what it has, so that only the first pass of a
 * loop waits for the system. */
static CUresult begin(rpi_device *d, const char **call) {
  uint64_t all = UINT64_MAX;
  *call = "cuStreamCreate";
  CUresult e = d->cu->stream_create(&d->stream, CU_STREAM_NON_BLOCKING);
  if (e != CUDA_SUCCESS) return e;
  *call = "cuDeviceGetMemPool";
  e = d->cu->pool_of(&d->pool, d->device);
  if (e != CUDA_SUCCESS) return e;
  *call = "cuMemPoolSetAttribute";
  e = d->cu->pool_set(d->pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &all);
  return e == CUDA_SUCCESS ? rpi_device_ring_init(d, call) : e;
}

static rp_status start(rpi_device *d) {
  const char *call;
  int pools = 0;
  const CUresult asked = ask(d, &pools, &call);
  if (asked != CUDA_SUCCESS) return failed(d, asked, call, "");
  if (!pools)
    return rpi_status_fail(RP_ERR_DEVICE,
                           "GPU %d (%s) has no memory pools (cuMemAllocAsync), which are needed",
                           d->facts.ordinal, d->facts.name);
  const CUresult retained = d->cu->context_retain(&d->context, d->device);
  if (retained != CUDA_SUCCESS) {
    d->context = NULL;
    return failed(d, retained, "cuDevicePrimaryCtxRetain", "");
  }
  RPI_TRY(rpi_device_enter(d));
  const CUresult begun = begin(d, &call);
  return rpi_device_leave(d, begun, call, "%s", "at the start");
}

rp_status rpi_device_open(const char *library, int32_t ordinal, int64_t limit, rpi_device **out) {
  const rpi_cuda *cu;
  *out = NULL;
  RPI_TRY(rpi_cuda_open(library, &cu));
  if (ordinal < 0 || ordinal >= cu->devices)
    return rpi_status_fail(RP_ERR_DEVICE, "there is no GPU %d: the driver sees %d, counted from 0",
                           ordinal, cu->devices);
  rpi_device *d = rpi_alloc_zero(sizeof *d);
  if (!d) return rpi_status_nomem("a GPU's record");
  d->cu = cu;
  d->facts.ordinal = ordinal;
  d->limit = limit;
  rpi_map_init(&d->taken);
  const rp_status st = start(d);
  if (st == RP_OK) {
    *out = d;
  } else {
    rpi_device_close(d);
  }
  return st;
}

void rpi_device_close(rpi_device *d) {
  if (!d) return;
  /* Of a context that is spoilt the driver frees all when it is released; calls before that do no harm. */
  if (d->context && push(d) == CUDA_SUCCESS) {
    CUcontext ours;
    if (d->side)
      (void)d->cu->stream_wait(d->side); /* something may have failed before they met again */
    if (d->stream) (void)rpi_device_drain(d);
    rpi_device_blocks_deinit(d);
    rpi_device_ring_deinit(d);
    if (d->meeting) (void)d->cu->event_destroy(d->meeting);
    if (d->side) (void)d->cu->stream_destroy(d->side);
    if (d->stream) (void)d->cu->stream_destroy(d->stream);
    (void)d->cu->context_pop(&ours);
  }
  if (d->context) (void)d->cu->context_release(d->device);
  for (int32_t c = 0; c < RPI_DEVICE_CLASSES; c++) rpi_alloc_free(d->lists[c].blocks);
  rpi_map_deinit(&d->taken);
  rpi_alloc_free(d);
}
