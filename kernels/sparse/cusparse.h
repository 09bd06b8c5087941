/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/cusparse.h -- triangular solutions by cuSPARSE, which is found at run time.
 * Lives here: the library's functions, a handle for each context, the triangles that it has analysed. Not here: who asks
 *             (csr_triangle.c); products, which are generated code.
 * How:        an analysis takes many times as long as a solution, and holds the values, too: it stays with the triangle's
 *             number until the arrays lie elsewhere, or others have been used since.
 * Threads:    any; a handle is used by its context's. The library stays loaded until the process ends. */
#ifndef RPI_CUSPARSE_H
#define RPI_CUSPARSE_H

#include <stdbool.h>

#include "core/include/reprise.h"

/* Is it there? Looked for once in a process. */
bool rpi_cusparse_found(void);

/* The function of a variant for the GPU: stores x, ptr, col (both i32), val, b; scalars are the flags and the matrix' number. */
rp_status rpi_cusparse_solve(const rp_gpu_call *call);

#endif
