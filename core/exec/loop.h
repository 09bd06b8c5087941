/* SPDX-License-Identifier: Apache-2.0
 * core/exec/loop.h -- a plan again and again on a GPU, as long as a number in its memory is not 0.
 *
 * Lives here: a plan's loop: a graph of its launches that begins anew by itself, and how often it did.
 * Not here:   conditional nodes (core/device/device_graph.c), which passes are alike (trace/converge.h), the kernel that
 *             decides (jit/gpu_check.h).
 * How:        a loop has a phase for each set of words that the passes have in turn: one, or two where they swap memory.
 *             Behind each phase the deciding kernel looks at the number, counts, and looks at the flags of checked
 *             indices, which end the loop, too. A plan keeps its last loop, for the next time that it is run so.
 * Invariant:  the first pass is made in any case, so `ran` >= 1. */
#ifndef RPI_LOOP_H
#define RPI_LOOP_H

#include "core/exec/opaque_gpu.h"

typedef struct rpi_loop rpi_loop;

/* The parameters of the kernel that decides, as its text has them (jit/cuda_check.h). */
typedef struct rpi_loop_check {
  uint64_t sets[2];  /* handles, of the driver's */
  CUdeviceptr go;    /* an integer of `bytes` bytes */
  CUdeviceptr left;  /* int64_t: passes that may be made, the one before included */
  CUdeviceptr flags; /* n_flag of rpi_kernel_flag */
  int32_t bytes, n_flag;
} rpi_loop_check;

typedef struct rpi_loop_phase {
  const rpi_word *words; /* as long as the plan's */
  CUdeviceptr go;        /* where the number is after it */
} rpi_loop_phase;

typedef struct rpi_loop_desc {
  rpi_loop_phase phase[RPI_DEVICE_PHASES];
  rpi_device_fill *zero; /* what is zeros before each phase, n_zero of them */
  int32_t n, n_zero;
  int32_t go_bytes, n_flag;
  CUdeviceptr flags;
  CUfunction check; /* of one thread */
  int64_t most;     /* passes */
} rpi_loop_desc;

/* All steps of the plan are launches on the GPU (rpi_graph_end). Waits until the loop has ended, after *ran passes. *ran 0 and
 * RP_OK: it cannot be one, and nothing has happened. */
rp_status rpi_loop_run(rpi_plan *plan, rpi_opaque_device *d, const rpi_loop_desc *desc,
                       int64_t *ran);
void rpi_loop_free(rpi_loop *l); /* NULL is allowed; before the device is closed */

#endif
