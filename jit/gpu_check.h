/* SPDX-License-Identifier: Apache-2.0
 * jit/gpu_check.h -- the kernel that decides whether a loop on a GPU goes on, compiled for a context's GPU.
 *
 * Lives here: its module, from the disk or from NVRTC. Not here: its text (cuda_check.h), loops (core/exec/loop.h).
 * How:        in the background, when it is first asked for; kept on the disk as kernels are. It calls cudaGraphSetConditional,
 *             which the driver resolves when it loads the module: device linkers leave that name undefined, with cudadevrt
 *             or without. A driver that does not is one that refuses the module, and the host decides. */
#ifndef RPI_GPU_CHECK_H
#define RPI_GPU_CHECK_H

#include "core/device/device.h"
#include "jit/gpu_builder.h"

typedef struct rpi_gpu_check {
  rpi_device *device;
  rpi_gpu_builder *builder;
  rpi_gpu_job job;
  bool asked, failed;
  CUmodule module; /* NULL: not loaded yet */
  rpi_device_function function;
} rpi_gpu_check;

/* The text, for NVRTC. */
rp_status rpi_gpu_check_text(rpi_strbuf *out);
void rpi_gpu_check_init(rpi_gpu_check *c, rpi_device *device, rpi_gpu_builder *builder);
void rpi_gpu_check_deinit(rpi_gpu_check *c);
/* The kernel, or NULL: it is not there yet, or (*never) will not be. `now`: waits for the compiler. */
CUfunction rpi_gpu_check_get(rpi_gpu_check *c, bool now, bool *never);

#endif
