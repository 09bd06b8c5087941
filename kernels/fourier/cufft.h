/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/cufft.h -- transforms by cuFFT, which is found at run time.
 * Lives here: the library's functions, a context's plans by shape, one batch of transforms. Not here: who asks (fourier.c).
 * Threads:    any; plans are used by their context's. The library stays loaded until the process ends. */
#ifndef RPI_CUFFT_H
#define RPI_CUFFT_H

#include <stdbool.h>

#include "core/include/reprise.h"

/* Is it there? Looked for once in a process. */
bool rpi_cufft_found(void);

/* Codes of the library. */
enum { RPI_CUFFT_FORWARD = -1, RPI_CUFFT_INVERSE = 1 };
enum {
  RPI_CUFFT_R2C = 0x2a,
  RPI_CUFFT_C2R = 0x2c,
  RPI_CUFFT_C2C = 0x29,
  RPI_CUFFT_D2Z = 0x6a,
  RPI_CUFFT_Z2D = 0x6c,
  RPI_CUFFT_Z2Z = 0x69
};
enum { RPI_CUFFT_PLANS = 32 /* kept by a context */ };

/* y = the transforms of `batch` dense arrays with `axes` axes of n elements, of the real array where one is; not scaled. */
typedef struct rpi_cufft_transform {
  int32_t type, direction, axes;
  int64_t n[3], batch;
  uint64_t x, y; /* transforms to real arrays overwrite x */
} rpi_cufft_transform;
/* Queues it on the call's stream. */
rp_status rpi_cufft_transform_queue(const rp_gpu_call *call, const rpi_cufft_transform *t);

#endif
