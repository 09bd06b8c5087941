/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/cublas.h -- products by cuBLAS, which is found at run time.
 * Lives here: the library's functions, a handle for each context, one product. Not here: who asks (dense.c).
 * Threads:    any; a handle is used by its context's. The library stays loaded until the process ends. */
#ifndef RPI_CUBLAS_H
#define RPI_CUBLAS_H

#include <stdbool.h>

#include "core/include/reprise.h"

/* Is it there? Looked for once in a process. */
bool rpi_cublas_found(void);

/* c = alpha*a*b + beta*c for dense matrices of rows, m x n in the end; `wide`: of f64. */
typedef struct rpi_cublas_product {
  bool wide, transpose_a, transpose_b;
  int64_t m, n, k;
  uint64_t a, b, c;
  double alpha, beta;
} rpi_cublas_product;
/* Queues it on the call's stream. */
rp_status rpi_cublas_multiply(const rp_gpu_call *call, const rpi_cublas_product *p);

#endif
