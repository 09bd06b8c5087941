/* SPDX-License-Identifier: Apache-2.0
 * jit/gpu_interp.h -- tier 0 of a context's kernels on its GPU.
 *
 * Lives here: the interpreter's module, programs in the GPU's memory, their launches.
 * Not here:   the text (emit_interp.h), what a program is (cuda_program.h), when tier 0 is taken (gpu_kernels.c).
 * How:        the interpreter is one kernel for all programs, compiled once for an architecture and kept on the disk, under a key
 *             with the compiler's version and under one without, by which a process that has no compiler finds it. */
#ifndef RPI_GPU_INTERP_H
#define RPI_GPU_INTERP_H

#include "core/device/device.h"
#include "jit/cuda_program.h"
#include "jit/gpu_builder.h"

typedef struct rpi_gpu_interp {
  rpi_device *device;
  rpi_gpu_builder *builder;
  rpi_gpu_job job;
  bool asked, failed;
  CUmodule module; /* NULL: not loaded yet */
  rpi_device_function function;
  int32_t most; /* blocks that the GPU is given at once */
} rpi_gpu_interp;

typedef struct rpi_gpu_program {
  const rpi_gpu_interp *interp;
  rpi_cuda_program program;
  CUdeviceptr image;
  rpi_kernel_gpu_code code;
} rpi_gpu_program;

rp_status rpi_gpu_interp_init(rpi_gpu_interp *i, rpi_device *device, rpi_gpu_builder *builder);
void rpi_gpu_interp_deinit(rpi_gpu_interp *i);
/* Is it loaded, or could it be at once? */
rp_status rpi_gpu_interp_ready(rpi_gpu_interp *i, bool *ready);
/* Starts its compile in the background, once. */
void rpi_gpu_interp_ask(rpi_gpu_interp *i);
/* Waits for it. RP_ERR_DEVICE if there is none, nor a compiler. */
rp_status rpi_gpu_interp_get(rpi_gpu_interp *i);
/* `p->program` goes to the GPU, and p->code is ready to run: the interpreter is loaded. */
rp_status rpi_gpu_program_install(rpi_gpu_program *p, const rpi_gpu_interp *i);
void rpi_gpu_program_deinit(rpi_gpu_program *p);

#endif
