/* SPDX-License-Identifier: Apache-2.0
 * jit/interp.h -- tier 0: runs a kernel IR by blocks, without a compiler; the oracle of the tests.
 *
 * Lives here: translation of an IR to a program of precompiled SIMD loops over blocks of a few
 *             hundred elements that stay in L1, and its execution.
 * Not here:   the meaning of the operations (jit/lanes.h, shared with generated code); the tree
 *             over partials (finish.h).
 * Threads:    a program is immutable; any number of threads may run it, each with its scratch. */
#ifndef RPI_INTERP_H
#define RPI_INTERP_H

#include "jit/ir.h"

typedef struct rpi_interp rpi_interp;

/* `vector` is RPI_VECTOR_AVX2 or RPI_VECTOR_AVX512 (core/base/config.h). */
rp_status rpi_interp_create(const rpi_ir *ir, int32_t vector, rpi_interp **out);
void rpi_interp_free(rpi_interp *p);
/* The code whose `self` is p; valid as long as p. */
const rpi_kernel_code *rpi_interp_code(const rpi_interp *p);

#endif
