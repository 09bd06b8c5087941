/* SPDX-License-Identifier: Apache-2.0
 * jit/gpu_source.h -- kernels that libraries bring as texts.
 *
 * Lives here: a context's modules, one for each text: from the disk or from NVRTC.
 * Not here:   kernels that are made here (gpu_kernels.h), the compiler (nvrtc.h), launches (core/exec/opaque_gpu.h).
 * Threads:    the context's. */
#ifndef RPI_GPU_SOURCE_H
#define RPI_GPU_SOURCE_H

#include "jit/gpu_kernels.h"

typedef struct rpi_gpu_sources rpi_gpu_sources;

/* `cache` is borrowed, NULL: nothing is kept. The compiler is looked for when a text needs it. */
rp_status rpi_gpu_source_open(const rpi_config *config, rpi_device *device, rpi_cache *cache,
                              rpi_gpu_sources **out);
void rpi_gpu_source_close(rpi_gpu_sources *s); /* before the device is; NULL is allowed */
/* Kernel `entry` of the text, valid as long as s. RP_ERR_BODY: the text does not compile, with the compiler's words, or has
 * no such kernel; RP_ERR_DEVICE: there is no compiler (knob nvrtc). */
rp_status rpi_gpu_source_get(rpi_gpu_sources *s, const char *text, const char *entry,
                             rpi_device_function *out);
/* Adds what was made here. */
void rpi_gpu_source_count(const rpi_gpu_sources *s, rpi_gpu_counts *counts);

#endif
