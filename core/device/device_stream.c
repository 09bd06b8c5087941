/* SPDX-License-Identifier: Apache-2.0
 * core/device/device_stream.c -- our stream beside a second one and those of other libraries, and whose memory an address is.
 *
 * Lives here: which of two streams waits for the other.
 * Not here:   when that is needed (trace/lending.h, trace/tensor.h).
 * How:        one event serves all meetings: a stream that was told to wait for it waits for what it meant at that moment,
 *             so it can be recorded again at once. The host never waits. */
#include "core/device/device_impl.h"

rp_status rpi_device_stream_good(const rpi_device *d, int64_t stream) {
  if (stream == RPI_STREAM_NONE || stream > 0) return RP_OK;
  return rpi_status_fail(RP_ERR_ARGUMENT,
                         "stream is %lld for GPU %d: 1 is the legacy default stream, 2 the "
                         "thread's, -1 none, a greater number a CUstream",
                         (long long)stream, d->facts.ordinal);
}

/* What `first` has by now comes before what `then` gets from now on. Within the bracket. */
static CUresult order(rpi_device *d, CUstream first, CUstream then, const char **call) {
  CUresult e = CUDA_SUCCESS;
  *call = "cuEventCreate";
  if (!d->meeting) e = d->cu->event_create(&d->meeting, CU_EVENT_DISABLE_TIMING);
  if (e != CUDA_SUCCESS) return e;
  *call = "cuEventRecord";
  e = d->cu->event_record(d->meeting, first);
  if (e != CUDA_SUCCESS) return e;
  *call = "cuStreamWaitEvent";
  return d->cu->stream_wait_event(then, d->meeting, 0);
}

static rp_status meet(rpi_device *d, int64_t stream, bool follows) {
  const char *call;
  RPI_TRY(rpi_device_stream_good(d, stream));
  if (stream == RPI_STREAM_NONE) return RP_OK;
  /* The numbers of the default streams are the driver's own handles for them. */
  const CUstream other = (CUstream)(intptr_t)stream;
  if (other == d->stream) return RP_OK;
  RPI_TRY(rpi_device_enter(d));
  const CUresult e =
      follows ? order(d, other, d->stream, &call) : order(d, d->stream, other, &call);
  return rpi_device_leave(d, e, call, "with stream %lld of another library", (long long)stream);
}

rp_status rpi_device_follow(rpi_device *d, int64_t stream) { return meet(d, stream, true); }
rp_status rpi_device_lead(rpi_device *d, int64_t stream) { return meet(d, stream, false); }

/* ---- our own ---- */

rp_status rpi_device_aside(rpi_device *d, CUstream *out) {
  const char *call = "cuStreamCreate";
  RPI_TRY(rpi_device_enter(d));
  CUresult e = d->side ? CUDA_SUCCESS : d->cu->stream_create(&d->side, CU_STREAM_NON_BLOCKING);
  if (e == CUDA_SUCCESS) e = order(d, d->stream, d->side, &call);
  *out = d->side;
  return rpi_device_leave(d, e, call, "%s", "for work beside ours");
}

rp_status rpi_device_rejoin(rpi_device *d) {
  const char *call;
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = order(d, d->side, d->stream, &call);
  return rpi_device_leave(d, e, call, "%s", "with work beside ours");
}

rp_status rpi_device_mark(rpi_device *d, CUevent *mark) {
  const char *call = "cuEventCreate";
  RPI_TRY(rpi_device_enter(d));
  CUresult e = *mark ? CUDA_SUCCESS : d->cu->event_create(mark, CU_EVENT_DISABLE_TIMING);
  if (e == CUDA_SUCCESS) {
    call = "cuEventRecord";
    e = d->cu->event_record(*mark, d->stream);
  }
  return rpi_device_leave(d, e, call, "%s", "behind what is queued");
}

rp_status rpi_device_reach(rpi_device *d, CUevent mark) {
  d->stats.waits++;
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = d->poll ? rpi_device_ask_until(d, mark) : d->cu->event_wait(mark);
  return rpi_device_leave(d, e, "cuEventSynchronize", "%s", "for what was queued before");
}

void rpi_device_unmark(rpi_device *d, CUevent mark) {
  if (!mark || rpi_device_enter(d) != RP_OK) return;
  (void)rpi_device_leave(d, d->cu->event_destroy(mark), "cuEventDestroy", "%s", "");
}

rp_status rpi_device_has(rpi_device *d, CUdeviceptr p) {
  unsigned int type = 0;
  int ordinal = -1;
  RPI_TRY(rpi_device_enter(d));
  CUresult e = d->cu->pointer_attribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p);
  if (e == CUDA_SUCCESS)
    e = d->cu->pointer_attribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p);
  const bool unknown = e == CUDA_ERROR_INVALID_VALUE;
  RPI_TRY(
      rpi_device_leave(d, unknown ? CUDA_SUCCESS : e, "cuPointerGetAttribute", "%s", "of memory"));
  if (unknown || (type != CU_MEMORYTYPE_DEVICE && type != CU_MEMORYTYPE_UNIFIED))
    return rpi_status_fail(RP_ERR_ARGUMENT, "memory at 0x%llx is no memory of a GPU",
                           (unsigned long long)p);
  if (ordinal != d->facts.ordinal)
    return rpi_status_fail(RP_ERR_DEVICE, "memory at 0x%llx is of GPU %d, not of GPU %d (%s)",
                           (unsigned long long)p, ordinal, d->facts.ordinal, d->facts.name);
  return RP_OK;
}
