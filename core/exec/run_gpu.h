/* SPDX-License-Identifier: Apache-2.0
 * core/exec/run_gpu.h -- steps of a plan on a GPU.
 * Lives here: kernels, opaque calls and patches as launches and copies on the device's stream, moves of symbols between the
 *             sides. Not here: steps of the host (run.c), which steps run where (trace/sides.h).
 * Invariant:  nothing waits but a download: the calls return when the work is queued. */
#ifndef RPI_RUN_GPU_H
#define RPI_RUN_GPU_H

#include "core/exec/opaque_gpu.h"
#include "core/model/hull.h"

/* The memory of a plan's symbols on both sides; needs_patch and patch_bytes as for rpi_run_plan. */
typedef struct rpi_run_gpu {
  rpi_device *device;
  void *const *pointers;
  const CUdeviceptr *addresses;
  const bool *needs_patch;
  const int64_t *patch_bytes;
  rpi_opaque_device *opaque;
  const rpi_hull *held;
} rpi_run_gpu;

/* One kernel, or a part of it; on the plan's words, or on others. */
rp_status rpi_run_gpu_words(const rpi_sub *s, const rpi_word *words, rpi_kernel_part part,
                            rpi_device *d);
rp_status rpi_run_gpu_sub(const rpi_plan *plan, const rpi_sub *s, rpi_kernel_part part,
                          rpi_device *d);
/* Of a launch that may begin beside messages, and has nothing but units: the inner ones, or the others. */
rp_status rpi_run_gpu_units(const rpi_plan *plan, const rpi_step *s, bool inner, rpi_device *d);
rp_status rpi_run_gpu_step(const rpi_plan *plan, const rpi_step *s, const rpi_run_gpu *g);

#endif
