/* SPDX-License-Identifier: Apache-2.0
 * jit/gpu_kernels.h -- the kernels of a context on its GPU.
 *
 * Lives here: one record for each IR and way its operands lie, its cubin from the disk or from NVRTC, its functions.
 * Not here:   texts (emit_cuda.h), the compiler (nvrtc.h), who launches (core/exec/run_gpu.h).
 * How:        two tiers. In tier 0 one interpreter runs the kernel's program at once (gpu_interp.h); in tier 1 it is compiled. Knob
 *             tier: 0 or 1 alone, or `auto`: a kernel whose cubin is not on the disk is interpreted while a thread
 *             compiles it, and rpi_gpu_kernels_take, between two launches, takes it into use. Where there is no interpreter yet
 *             the kernel is waited for, as it compiles faster, and the interpreter is compiled in the background: for
 *             the next one.
 *             Keys hold all that decides what a cubin does: the IR, the shape, the architecture, the compiler's version, the text's
 *             head. A cubin is loaded by the context's thread.
 * Threads:    the context's; texts are made and compiled by one of its own. */
#ifndef RPI_GPU_KERNELS_H
#define RPI_GPU_KERNELS_H

#include "core/base/config.h"
#include "core/device/device.h"
#include "jit/cache.h"
#include "jit/emit_cuda.h"

typedef struct rpi_gpu_kernels rpi_gpu_kernels;

typedef struct rpi_gpu_counts {
  int64_t kernels, disk_hits, compiles, compile_fails, compile_ns;
  int64_t interpreted; /* kernels that began in tier 0 */
  int64_t spills;      /* kernels with values that do not fit the registers */
} rpi_gpu_counts;

/* `cache` is borrowed, NULL: nothing is kept. RP_ERR_DEVICE if there is no compiler (knob nvrtc) and
 * no interpreter. */
rp_status rpi_gpu_kernels_create(const rpi_config *config, rpi_device *device, rpi_cache *cache,
                                 rpi_gpu_kernels **out);
void rpi_gpu_kernels_free(rpi_gpu_kernels *g); /* before the device is closed; NULL is allowed */
/* The kernel of `ir` (kept by the caller as long as g lives; `bytes`, n of them, are canonical), borrowed from g; NULL and
 * *why a sentence, which lives as long, if it has none. */
rp_status rpi_gpu_kernels_get(rpi_gpu_kernels *g, const rpi_ir *ir, const void *bytes, size_t n,
                              const rpi_cuda_shape *shape, const rpi_kernel_gpu **out,
                              const char **why);
/* The kernel that decides whether a loop goes on (gpu_check.h); NULL: it is not there yet, or (*never) will not be. */
CUfunction rpi_gpu_kernels_check(rpi_gpu_kernels *g, bool *never);
/* What k was made for. */
const rpi_cuda_shape *rpi_gpu_kernels_shape(const rpi_kernel_gpu *k);
int64_t rpi_gpu_kernels_spills(const rpi_gpu_kernels *g); /* counts.spills */
/* Takes what has been compiled into use; cheap if there is nothing. */
rp_status rpi_gpu_kernels_take(rpi_gpu_kernels *g);
/* Waits until nothing is compiled any more, and takes it. */
rp_status rpi_gpu_kernels_wait(rpi_gpu_kernels *g);
void rpi_gpu_kernels_counts(const rpi_gpu_kernels *g, rpi_gpu_counts *out);

#endif
