/* SPDX-License-Identifier: Apache-2.0
 * core/base/rounding.h -- the floating-point mode of results, whatever mode the caller is in.
 * Lives here: round to nearest, no exceptions, subnormals kept, and the way back.
 * Not here:   kernels and folding, which pin MXCSR themselves (core/exec/run.c, jit/opt_fold.c). This is for
 *             reading literals, where strtod asks the other unit for its mode. */
#ifndef RPI_ROUNDING_H
#define RPI_ROUNDING_H

#include <fenv.h>

/* Enters the usual mode; *caller gets what rpi_rounding_leave restores, exception flags included. */
void rpi_rounding_enter(fenv_t *caller);
void rpi_rounding_leave(const fenv_t *caller);

#endif
