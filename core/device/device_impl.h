/* SPDX-License-Identifier: Apache-2.0
 * core/device/device_impl.h -- what the device_*.c files know of a device and no other file does.
 * Lives here: the record, the bracket around calls of the driver. Not here: what the rest asks for (device.h).
 * How:        a function that calls the driver does so between rpi_device_enter and rpi_device_leave; the latter turns the
 *             last call's error into a status and a sentence. */
#ifndef RPI_DEVICE_IMPL_H
#define RPI_DEVICE_IMPL_H

#include "core/base/map.h"
#include "core/base/size_class.h"
#include "core/device/cuda.h"
#include "core/device/device.h"

enum {
  RPI_DEVICE_SEGMENT = 64 << 10, /* the longest copy that goes through pinned memory */
  RPI_DEVICE_SEGMENTS = 16,
  RPI_DEVICE_LOG2_UNIT = 8, /* blocks are aligned to it and counted in it */
  RPI_DEVICE_CLASSES = RPI_SIZE_CLASSES(47 - RPI_DEVICE_LOG2_UNIT)
};

/* Pinned memory in segments that are filled one after another. Of a segment that the GPU may still read or write the event
 * says when it has. */
typedef struct rpi_device_ring {
  char *memory;
  CUevent done[RPI_DEVICE_SEGMENTS];
  bool pending[RPI_DEVICE_SEGMENTS]; /* its event was recorded, and nobody has waited since */
  int32_t at, used;                  /* the segment being filled, bytes of it */
} rpi_device_ring;

typedef struct rpi_device_list {
  CUdeviceptr *blocks;
  int32_t n, cap;
} rpi_device_list;

/* Spans, and granules that are in none. */
typedef struct rpi_device_granules {
  int64_t bytes;                        /* of one; 0: the driver has none */
  rpi_device_span *spans;               /* all there are, */
  rpi_device_span *free;                /* and those that were put back */
  CUmemGenericAllocationHandle *handle; /* of granules without addresses */
  int32_t n, cap;
} rpi_device_granules;

struct rpi_device {
  const rpi_cuda *cu;
  rpi_device_facts facts;
  rpi_device_stats stats;
  CUdevice device;
  CUcontext context;     /* retained unless NULL */
  CUstream stream, side; /* side NULL: none was asked for yet */
  CUmemoryPool pool;
  char failure[640]; /* the sentence of the error that it failed with; "": it has not */
  int64_t limit;     /* bytes; 0: none */
  int64_t held;      /* bytes taken from the driver */
  rpi_map taken;     /* all blocks taken from the driver */
  rpi_device_list lists[RPI_DEVICE_CLASSES]; /* those of them that are free */
  rpi_device_granules granules;
  rpi_device_ring ring;
  rpi_device_poll *poll; /* asked while the GPU is waited for; NULL: the driver waits */
  void *poll_arg;
  char why[640];   /* what it gave up for */
  CUevent meeting; /* where our stream and one of others wait for each other; NULL: none did yet */
};

/* Makes the GPU's context current; the error that the device failed with. */
rp_status rpi_device_enter(rpi_device *d);
/* Makes the caller's context current again. Not after an rpi_device_enter that failed. RP_OK if `error` is, else the sentence: the
 * GPU, `call`, what it was about, the driver's words. */
rp_status rpi_device_leave(rpi_device *d, CUresult error, const char *call, const char *about, ...)
    RPI_PRINTF(4, 5);
/* Within the bracket: waits for the stream, after which no segment is pending. */
CUresult rpi_device_drain(rpi_device *d);

/* Within the bracket: until `mark` is reached or, if it is NULL, all is done; or `poll` gives up. */
CUresult rpi_device_ask_until(rpi_device *d, CUevent mark);

/* Within the bracket. The ring of a new device; the failed call's name in *call. */
CUresult rpi_device_ring_init(rpi_device *d, const char **call);
void rpi_device_ring_deinit(rpi_device *d);
/* Within the bracket: free blocks go back to the driver as long as so many bytes are missing. */
CUresult rpi_device_release(rpi_device *d, int64_t need);
/* Within the bracket: spans that are free go, once all work is done, and so do granules in none. */
CUresult rpi_device_spans_release(rpi_device *d, const char **call);
void rpi_device_spans_deinit(rpi_device *d);
/* RP_ERR_MEMORY and its sentence. */
rp_status rpi_device_lacks(rpi_device *d, int64_t bytes, size_t available);

/* Within the bracket: gives all blocks back to the driver, also those that are handed out. */
void rpi_device_blocks_deinit(rpi_device *d);

#endif
