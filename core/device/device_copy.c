/* SPDX-License-Identifier: Apache-2.0
 * core/device/device_copy.c -- copies between the host's memory and a GPU's, and within the latter; waits.
 *
 * Lives here: the ring of pinned memory, the choice of a path for a copy.
 * Not here:   which arrays are copied when (core/model/residence.h), launches (device_code.c).
 * How:        up to 64 KiB go through the ring: the host copies them there and goes on, and the GPU copies them when their turn
 *             comes. What is longer the driver takes from where it lies, and we wait: that it has staged pageable memory when
 *             the call returns is nowhere promised, it does not stage memory that the GPU can read itself (pinned, managed,
 *             any on some systems), and where it does the call has waited for the stream already.
 * Invariant:  of the ring's segments only those that are pending, and the one being filled, may be in use by the GPU. */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "core/device/device_impl.h"

/* ---- the ring: within the bracket ----------------------------------------------------------------------- */

CUresult rpi_device_ring_init(rpi_device *d, const char **call) {
  rpi_device_ring *r = &d->ring;
  void *memory = NULL;
  *call = "cuMemHostAlloc";
  CUresult e = d->cu->host_get(&memory, (size_t)RPI_DEVICE_SEGMENT * RPI_DEVICE_SEGMENTS, 0);
  if (e != CUDA_SUCCESS) return e;
  r->memory = memory;
  *call = "cuEventCreate";
  for (int32_t i = 0; i < RPI_DEVICE_SEGMENTS && e == CUDA_SUCCESS; i++)
    e = d->cu->event_create(&r->done[i], CU_EVENT_DISABLE_TIMING);
  return e;
}

void rpi_device_ring_deinit(rpi_device *d) {
  for (int32_t i = 0; i < RPI_DEVICE_SEGMENTS; i++)
    if (d->ring.done[i]) (void)d->cu->event_destroy(d->ring.done[i]);
  if (d->ring.memory) (void)d->cu->host_put(d->ring.memory);
}

/* The GPU has done all that is queued. */
static void all_free(rpi_device_ring *r) {
  memset(r->pending, 0, sizeof r->pending);
  r->used = 0;
}

CUresult rpi_device_ask_until(rpi_device *d, CUevent mark) {
  enum { SPINS = 256 };
  for (int32_t turn = 0;; turn++) {
    const CUresult e = mark ? d->cu->event_query(mark) : d->cu->stream_query(d->stream);
    if (e != CUDA_ERROR_NOT_READY) return e;
    if (!d->poll(d->poll_arg)) {
      snprintf(d->why, sizeof d->why, "%s", rpi_status_message());
      return e;
    }
    if (turn > SPINS) sched_yield();
  }
}

CUresult rpi_device_drain(rpi_device *d) {
  d->stats.waits++;
  const CUresult e = d->poll ? rpi_device_ask_until(d, NULL) : d->cu->stream_wait(d->stream);
  if (e == CUDA_SUCCESS) all_free(&d->ring);
  return e;
}

/* The next segment, when the GPU has done with it. */
static CUresult next_segment(rpi_device *d, const char **call) {
  rpi_device_ring *r = &d->ring;
  *call = "cuEventRecord";
  CUresult e = d->cu->event_record(r->done[r->at], d->stream);
  if (e != CUDA_SUCCESS) return e;
  r->pending[r->at] = true;
  const int32_t next = (r->at + 1) % RPI_DEVICE_SEGMENTS;
  if (r->pending[next]) {
    *call = "cuEventQuery";
    e = d->cu->event_query(r->done[next]);
    if (e == CUDA_ERROR_NOT_READY) {
      *call = "cuEventSynchronize";
      d->stats.waits++;
      e = d->cu->event_wait(r->done[next]);
    }
    if (e != CUDA_SUCCESS) return e;
    r->pending[next] = false;
  }
  r->at = next;
  r->used = 0;
  return e;
}

/* Pinned memory for a copy of at most a segment. */
static CUresult stage(rpi_device *d, int64_t bytes, char **out, const char **call) {
  rpi_device_ring *r = &d->ring;
  const int32_t size = (int32_t)(bytes + 63) / 64 * 64;
  if (r->used + size > RPI_DEVICE_SEGMENT) {
    const CUresult e = next_segment(d, call);
    if (e != CUDA_SUCCESS) return e;
  }
  *out = r->memory + (int64_t)r->at * RPI_DEVICE_SEGMENT + r->used;
  r->used += size;
  return CUDA_SUCCESS;
}

/* ---- host and GPU --------------------------------------------------------------------------------------- */

/* Before the driver copies pageable memory, in a call that returns when it is done: nobody is asked meanwhile whether it ever
 * will be. */
static CUresult come_to_it(rpi_device *d, const char **call) {
  *call = "cuStreamQuery";
  return d->poll ? rpi_device_ask_until(d, NULL) : CUDA_SUCCESS;
}

/* Behind it: whatever the first wait says, the caller's memory is not touched any more. */
static CUresult until_copied(rpi_device *d) {
  const CUresult e = rpi_device_drain(d);
  if (e != CUDA_SUCCESS) (void)d->cu->stream_wait(d->stream);
  return e;
}

static CUresult upload(rpi_device *d, CUdeviceptr to, const void *from, int64_t bytes,
                       const char **call) {
  char *staged = NULL;
  CUresult e;
  if (bytes <= RPI_DEVICE_SEGMENT) {
    e = stage(d, bytes, &staged, call);
    if (e != CUDA_SUCCESS) return e;
    memcpy(staged, from, (size_t)bytes);
  } else if ((e = come_to_it(d, call)) != CUDA_SUCCESS) {
    return e;
  }
  *call = "cuMemcpyHtoDAsync";
  e = d->cu->upload(to, staged ? staged : from, (size_t)bytes, d->stream);
  if (e != CUDA_SUCCESS || staged) return e;
  *call = "cuStreamSynchronize after cuMemcpyHtoDAsync";
  return until_copied(d);
}

rp_status rpi_device_upload(rpi_device *d, CUdeviceptr to, const void *from, int64_t bytes) {
  const char *call;
  if (bytes == 0) return RP_OK;
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = upload(d, to, from, bytes, &call);
  RPI_TRY(rpi_device_leave(d, e, call, "of %lld bytes", (long long)bytes));
  d->stats.uploads++;
  d->stats.upload_bytes += bytes;
  return RP_OK;
}

static CUresult download(rpi_device *d, void *to, CUdeviceptr from, int64_t bytes,
                         const char **call) {
  char *staged = NULL;
  CUresult e;
  if (bytes <= RPI_DEVICE_SEGMENT) {
    e = stage(d, bytes, &staged, call);
    if (e != CUDA_SUCCESS) return e;
  } else if ((e = come_to_it(d, call)) != CUDA_SUCCESS) {
    return e;
  }
  *call = "cuMemcpyDtoHAsync";
  e = d->cu->download(staged ? staged : to, from, (size_t)bytes, d->stream);
  if (e != CUDA_SUCCESS) return e;
  *call = "cuStreamSynchronize after cuMemcpyDtoHAsync";
  e = staged ? rpi_device_drain(d) : until_copied(d);
  if (e == CUDA_SUCCESS && staged) memcpy(to, staged, (size_t)bytes);
  return e;
}

rp_status rpi_device_download(rpi_device *d, void *to, CUdeviceptr from, int64_t bytes) {
  const char *call;
  if (bytes == 0) return rpi_device_wait(d);
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = download(d, to, from, bytes, &call);
  RPI_TRY(rpi_device_leave(d, e, call, "of %lld bytes", (long long)bytes));
  d->stats.downloads++;
  d->stats.download_bytes += bytes;
  return RP_OK;
}

rp_status rpi_device_wait(rpi_device *d) {
  RPI_TRY(rpi_device_enter(d));
  return rpi_device_leave(d, rpi_device_drain(d), "cuStreamSynchronize", "%s", "");
}

rp_status rpi_device_idle(rpi_device *d, bool *out) {
  *out = false;
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = d->cu->stream_query(d->stream);
  RPI_TRY(
      rpi_device_leave(d, e == CUDA_ERROR_NOT_READY ? CUDA_SUCCESS : e, "cuStreamQuery", "%s", ""));
  *out = e == CUDA_SUCCESS;
  if (*out) all_free(&d->ring);
  return RP_OK;
}

void rpi_device_ask(rpi_device *d, rpi_device_poll *poll, void *arg) {
  d->poll = poll;
  d->poll_arg = arg;
}

/* ---- pinned memory of others -------------------------------------------------------------------------------- */

rp_status rpi_device_pin(rpi_device *d, int64_t bytes, void **out) {
  *out = NULL;
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = d->cu->host_get(out, (size_t)bytes, 0);
  const rp_status st = rpi_device_leave(d, e, "cuMemHostAlloc", "of %lld bytes", (long long)bytes);
  if (st == RP_OK || e != CUDA_SUCCESS) return st;
  void *lost = *out; /* it was had, and what came behind it failed */
  *out = NULL;
  rpi_device_unpin(d, lost);
  return st;
}

void rpi_device_unpin(rpi_device *d, void *p) {
  if (!p || rpi_device_enter(d) != RP_OK) return;
  const CUresult e = d->cu->host_put(p);
  (void)rpi_device_leave(d, e, "cuMemFreeHost", "%s", "");
}

/* One row of a box. */
static CUresult copy_row(rpi_device *d, const CUDA_MEMCPY3D *box, size_t bytes, const char **call) {
  if (box->dstMemoryType == CU_MEMORYTYPE_HOST) {
    *call = "cuMemcpyDtoHAsync";
    return d->cu->download(box->dstHost, box->srcDevice, bytes, d->stream);
  }
  *call = "cuMemcpyHtoDAsync";
  return d->cu->upload(box->dstDevice, box->srcHost, bytes, d->stream);
}

/* Rows, of which the box says where they lie on both sides. A pitch must not be longer than 2 GiB even of one row, which may
 * be. */
static rp_status copy_box(rpi_device *d, CUDA_MEMCPY3D *box, int64_t bytes, int64_t rows) {
  const char *call = "cuMemcpy3DAsync";
  box->WidthInBytes = (size_t)bytes;
  box->Height = (size_t)rows;
  box->Depth = 1;
  RPI_TRY(rpi_device_enter(d));
  const CUresult e =
      rows == 1 ? copy_row(d, box, (size_t)bytes, &call) : d->cu->copy_box(box, d->stream);
  return rpi_device_leave(d, e, call, "of %lld rows of %lld bytes", (long long)rows,
                          (long long)bytes);
}

/* Is that no pitch of one copy? Rows may be further apart than a copy can tell; those of messages may overlap. */
static bool is_odd(int64_t pitch, int64_t bytes) { return pitch > INT32_MAX || pitch < bytes; }

/* Rows that lie one behind another are one row; what one copy cannot do goes row by row. */
static int64_t rows_at_once(int64_t *bytes, int64_t *rows, int64_t pitch) {
  if (*rows == 1 || *bytes == pitch) {
    *bytes *= *rows;
    *rows = 1;
  }
  return is_odd(pitch, *bytes) ? 1 : *rows;
}

rp_status rpi_device_pack(rpi_device *d, void *to, CUdeviceptr from, int64_t bytes, int64_t rows,
                          int64_t pitch) {
  const int64_t each = rows_at_once(&bytes, &rows, pitch);
  for (int64_t i = 0; i < rows && bytes > 0; i += each) {
    CUDA_MEMCPY3D box = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                         .srcDevice = from + (CUdeviceptr)(i * pitch),
                         .srcPitch = (size_t)(each > 1 ? pitch : bytes),
                         .dstMemoryType = CU_MEMORYTYPE_HOST,
                         .dstHost = (char *)to + i * bytes,
                         .dstPitch = (size_t)bytes};
    RPI_TRY(copy_box(d, &box, bytes, each));
  }
  d->stats.downloads++;
  d->stats.download_bytes += bytes * rows;
  return RP_OK;
}

rp_status rpi_device_unpack(rpi_device *d, CUdeviceptr to, const void *from, int64_t bytes,
                            int64_t rows, int64_t pitch) {
  const int64_t each = rows_at_once(&bytes, &rows, pitch);
  for (int64_t i = 0; i < rows && bytes > 0; i += each) {
    CUDA_MEMCPY3D box = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                         .srcHost = (const char *)from + i * bytes,
                         .srcPitch = (size_t)bytes,
                         .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                         .dstDevice = to + (CUdeviceptr)(i * pitch),
                         .dstPitch = (size_t)(each > 1 ? pitch : bytes)};
    RPI_TRY(copy_box(d, &box, bytes, each));
  }
  d->stats.uploads++;
  d->stats.upload_bytes += bytes * rows;
  return RP_OK;
}

/* ---- within the GPU ------------------------------------------------------------------------------------- */

rp_status rpi_device_copy(rpi_device *d, CUdeviceptr to, CUdeviceptr from, int64_t bytes) {
  if (bytes == 0) return RP_OK;
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = d->cu->copy(to, from, (size_t)bytes, d->stream);
  return rpi_device_leave(d, e, "cuMemcpyDtoDAsync", "of %lld bytes", (long long)bytes);
}

rp_status rpi_device_zero(rpi_device *d, CUdeviceptr to, int64_t bytes) {
  if (bytes == 0) return RP_OK;
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = d->cu->fill(to, 0, (size_t)bytes, d->stream);
  return rpi_device_leave(d, e, "cuMemsetD8Async", "of %lld bytes", (long long)bytes);
}

rp_status rpi_device_copy_pitched(rpi_device *d, CUdeviceptr to, int64_t to_pitch, CUdeviceptr from,
                                  int64_t from_pitch, int64_t bytes, int64_t rows) {
  if (bytes == 0 || rows == 0) return RP_OK;
  if (rows == 1 || (bytes == to_pitch && bytes == from_pitch))
    return rpi_device_copy(d, to, from, bytes * rows);
  if (is_odd(to_pitch, bytes) || is_odd(from_pitch, bytes)) { /* few rows */
    for (int64_t i = 0; i < rows; i++)
      RPI_TRY(rpi_device_copy(d, to + (CUdeviceptr)(i * to_pitch),
                              from + (CUdeviceptr)(i * from_pitch), bytes));
    return RP_OK;
  }
  CUDA_MEMCPY3D box = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                       .srcDevice = from,
                       .srcPitch = (size_t)from_pitch,
                       .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                       .dstDevice = to,
                       .dstPitch = (size_t)to_pitch};
  return copy_box(d, &box, bytes, rows);
}

rp_status rpi_device_copy_rows(rpi_device *d, CUdeviceptr to, CUdeviceptr from, int64_t bytes,
                               int64_t rows, int64_t pitch) {
  return rpi_device_copy_pitched(d, to, pitch, from, pitch, bytes, rows);
}
