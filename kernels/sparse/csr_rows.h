/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/csr_rows.h -- rows of a matrix, out of its stores into the host's memory: on each rank those it wants.
 * Not here: rows into stores (csr.c), what else makes a matrix valid (csr_host.h). */
#ifndef RPI_CSR_ROWS_H
#define RPI_CSR_ROWS_H

#include "core/include/reprise_sparse.h"
#include "kernels/sparse/csr_host.h"

/* Rows first..end-1 become a matrix of their own; the caller frees *out, also after an error. What could not be read as CSR
 * (ptr that descends, columns out of range, in the rows of any rank) is RP_ERR_ARGUMENT. Collective. */
rp_status rpi_csr_rows_read(const rp_csr *a, int64_t first, int64_t end, rpi_csr_host *out);

#endif
