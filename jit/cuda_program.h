/* SPDX-License-Identifier: Apache-2.0
 * jit/cuda_program.h -- kernel IR as a program that the interpreter on a GPU runs.
 *
 * Lives here: what becomes of a kernel in tier 0 there: its program, grids, parameters.
 * Not here:   the program's form (cuda_step.h), who runs it (cuda_interp.h), its place in memory (gpu_interp.h).
 * How:        an instruction is a step, but for constants, scalars and extents, which steps read where they are. Values of the
 *             body are in slots of the thread, given out by liveness; those of prologue and epilogue are in memory. A value from
 *             around a loop keeps its slot to the loop's end. */
#ifndef RPI_CUDA_PROGRAM_H
#define RPI_CUDA_PROGRAM_H

#include "jit/emit_cuda.h"

typedef struct rpi_cuda_program {
  const rpi_ir *ir; /* of the caller */
  void *image;      /* as it goes into the GPU's memory: see cuda_step.h */
  int64_t bytes;
  int32_t slots; /* of each thread, accumulators among them */
  rpi_cuda_form form;
} rpi_cuda_program;

/* RP_OK with *why a sentence, and nothing made: the kernel is too large for the interpreter. */
rp_status rpi_cuda_program_make(const rpi_ir *ir, rpi_cuda_program *out, const char **why);
void rpi_cuda_program_deinit(rpi_cuda_program *p);
/* A line for each step: for tests and people. */
void rpi_cuda_program_print(const rpi_cuda_program *p, rpi_strbuf *out);
/* As rpi_cuda_grid_get: blocks of the launches; 0: there is none. */
void rpi_cuda_program_grid(const rpi_cuda_program *p, const rpi_word *w, int64_t u0, int64_t u1,
                           rpi_kernel_part part, int32_t most, rpi_cuda_grid *out);
/* Writes the parameters and returns their bytes; the program is in the GPU's memory. */
int32_t rpi_cuda_program_pack(const rpi_cuda_program *p, const rpi_word *w, int64_t u0, int64_t u1,
                              int64_t mode, uint64_t program, void *out);

#endif
