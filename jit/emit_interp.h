/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_interp.h -- the CUDA text of an interpreter.
 *
 * Lives here: the texts' sets of dtypes, the cases of an interpreter's switches. Not here: what is the same in all of them
 *             (cuda_interp.h), programs (cuda_program.h).
 * How:        most of an interpreter's compile is its cases, operations times dtypes. So there are several, each for a set of
 *             dtypes; a kernel takes the first that has all of its own. */
#ifndef RPI_EMIT_INTERP_H
#define RPI_EMIT_INTERP_H

#include "jit/ir.h"

enum { RPI_INTERP_F64, RPI_INTERP_F32, RPI_INTERP_ALL, RPI_INTERP_SETS };

/* The dtypes of a set, a bit each; its name. */
uint32_t rpi_emit_interp_dtypes(int32_t set);
const char *rpi_emit_interp_name(int32_t set);
/* The first set with all dtypes of the kernel. */
int32_t rpi_emit_interp_set(const rpi_ir *ir);
/* Appends the text of an interpreter of that set. */
rp_status rpi_emit_interp(int32_t set, rpi_strbuf *out);

#endif
