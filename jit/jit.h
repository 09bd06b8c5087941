/* SPDX-License-Identifier: Apache-2.0
 * jit/jit.h -- the door of the JIT: a checked IR in, a kernel that runs at once out.
 *
 * Lives here: the kernel table of a context: memory (by canonical bytes), disk, background compiles.
 * Not here:   which tasks form a kernel (trace/), running it (core/exec).
 * How:        rpi_jit_kernel returns a kernel whose code is the interpreter's; if the disk has the
 *             compiled one it is loaded before the return. Of the others, rpi_jit_start makes one batch
 *             that a background thread compiles; it swaps `code`. Tier 1 waits for it; tier 0
 *             never compiles. Kernels live as long as the jit; loaded objects are never unloaded.
 * Threads:    calls from the context's thread; `code` is read by workers. */
#ifndef RPI_JIT_H
#define RPI_JIT_H

#include "core/base/config.h"
#include "core/exec/kernel.h"
#include "core/device/device.h"
#include "jit/gpu_kernels.h"
#include "jit/ir.h"

typedef struct rpi_jit rpi_jit;

typedef struct rpi_jit_stats {
  int64_t kernels;       /* distinct kernels */
  int64_t memory_hits;   /* asked for again */
  int64_t disk_hits;     /* found compiled on disk */
  int64_t compiles;      /* compilers started */
  int64_t compile_fails; /* that gave no usable object */
  int64_t compile_ns;    /* wall time in compilers */
  int64_t pending;       /* queued or running */
} rpi_jit_stats;

/* `device`: NULL, or the GPU that kernels are made for, too; it outlives the jit. */
rp_status rpi_jit_create(const rpi_config *config, rpi_device *device, rpi_jit **out);
void rpi_jit_destroy(rpi_jit *j); /* ends the compile thread; a running compiler is killed */

/* The kernel of this IR (checked, optimised); `name` is a readable prefix. Borrowed from the jit.
 * The IR is copied. */
rp_status rpi_jit_kernel(rpi_jit *j, const rpi_ir *ir, const char *name, const rpi_kernel **out);
const rpi_ir *rpi_jit_ir(const rpi_kernel *k);
/* Kernel k on the GPU, for operands that lie so. Borrowed from the jit. *out NULL and RP_OK: it cannot be made for the GPU
 * (rpi_jit_gpu_refusal says why). */
rp_status rpi_jit_gpu(rpi_jit *j, const rpi_kernel *k, const rpi_cuda_shape *shape,
                      const rpi_kernel_gpu **out);
/* Kernel `entry` of a text that is not ours (gpu_source.h). */
rp_status rpi_jit_gpu_source(rpi_jit *j, const char *text, const char *entry,
                             rpi_device_function *out);
/* As rpi_gpu_kernels_check; there is a GPU. */
CUfunction rpi_jit_gpu_check(rpi_jit *j, bool *never);
/* A sentence, or "". */
const char *rpi_jit_gpu_refusal(const rpi_kernel *k);
/* Kernels on the GPU so far that spill. */
int64_t rpi_jit_gpu_spills(const rpi_jit *j);
/* Kernels on the GPU that have been compiled meanwhile are compiled ones from now on: between two launches. */
rp_status rpi_jit_gpu_take(rpi_jit *j);
void rpi_jit_gpu_counts(const rpi_jit *j, rpi_gpu_counts *out); /* zeros without a GPU */
/* Starts the compiles of the kernels asked for since the last call, several per run of the compiler;
 * with tier 1 they are done before the return. */
void rpi_jit_start(rpi_jit *j);
/* Starts them and waits until nothing is pending. */
void rpi_jit_wait(rpi_jit *j);
void rpi_jit_stats_get(const rpi_jit *j, rpi_jit_stats *out);
/* "avx2" or "avx512": the level in force. */
const char *rpi_jit_vector(const rpi_jit *j);
/* Why kernel k is not compiled, a sentence; "" if it is, or is under way. */
const char *rpi_jit_refusal(const rpi_kernel *k);

#endif
