/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/cusolver.h -- factorisations by cuSOLVER, which is found at run time.
 * Lives here: the library's functions, a handle for each context, factors and solutions. Not here: who asks (dense_factor.c),
 *             what is made of a pivot that is 0.
 * Threads:    any; a handle is used by its context's. The library stays loaded until the process ends. */
#ifndef RPI_CUSOLVER_H
#define RPI_CUSOLVER_H

#include <stdbool.h>

#include "core/include/reprise.h"

/* Is it there? Looked for once in a process. */
bool rpi_cusolver_found(void);

/* Functions of variants for the GPU; stores are those of the functions in factor_host.h, in their order. */
rp_status rpi_cusolver_lu(const rp_gpu_call *call);             /* a, pivot, info */
rp_status rpi_cusolver_cholesky(const rp_gpu_call *call);       /* a, info */
rp_status rpi_cusolver_lu_solve(const rp_gpu_call *call);       /* x, lu, pivot */
rp_status rpi_cusolver_cholesky_solve(const rp_gpu_call *call); /* x, l */

#endif
