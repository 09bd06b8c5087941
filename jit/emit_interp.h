/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_interp.h -- the CUDA text of the interpreter.
 *
 * Lives here: the cases of its switches, all operations times dtypes. Not here: what stands around them
 *             (cuda_interp.h), programs (cuda_program.h).
 * How:        one text for all dtypes: NVRTC takes 7 to 9 s for it, half of that for f64, i64 and bool alone, so several would
 *             cost more than they save. */
#ifndef RPI_EMIT_INTERP_H
#define RPI_EMIT_INTERP_H

#include "jit/ir.h"

/* Appends the text. */
rp_status rpi_emit_interp(rpi_strbuf *out);

#endif
