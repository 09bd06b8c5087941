/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/csr_stores.h -- the three stores of a matrix, from what the host has of it.
 * Lives here: their making out of arrays or a stencil, whose parts the library asks for, and out of rows, of which each rank
 *             has some; what is kept narrower than it comes. Not here: whether it is a matrix (csr_host.h), the handle
 *             (csr.c). */
#ifndef RPI_CSR_STORES_H
#define RPI_CSR_STORES_H

#include "core/include/reprise_sparse.h"
#include "kernels/sparse/csr_stencil.h"
#include "kernels/sparse/mm_parts.h"

/* Columns are i32 where that is enough. */
typedef struct rpi_csr_stores {
  rp_store *ptr, *col, *val;
} rpi_csr_stores;

typedef struct rpi_csr_arrays {
  const int64_t *ptr, *col; /* in the host's memory */
  const double *val;
  rpi_csr_stencil *stencil; /* in place of these */
} rpi_csr_arrays;

/* On failure there are no stores. */
rp_status rpi_csr_stores_supply(rp_context *ctx, rp_dtype dtype, int64_t n_rows, int64_t n_cols,
                                int64_t nnz, const rpi_csr_arrays *from, rpi_csr_stores *out);
/* The same of the rows of each rank, whose memory is used up. */
rp_status rpi_csr_stores_share(rp_context *ctx, rp_dtype dtype, rpi_mm_rows *r,
                               rpi_csr_stores *out);
void rpi_csr_stores_release(const rpi_csr_stores *s);

#endif
