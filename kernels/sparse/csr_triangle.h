/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/csr_triangle.h -- what a triangular solution wants of a matrix beside its stores (defined in csr.c). */
#ifndef RPI_CSR_TRIANGLE_H
#define RPI_CSR_TRIANGLE_H

#include <stdbool.h>

#include "core/include/reprise_sparse.h"

/* RP_OK, or that `a` is none, with a sentence that names the function. */
rp_status rpi_csr_check(const rp_csr *a, const char *function);
/* A number that no other matrix of the process has. */
int64_t rpi_csr_number(const rp_csr *a);
/* Its arrays were checked, or made by the library: ptr ascends, no index is out of range. */
bool rpi_csr_is_valid(const rp_csr *a);
/* ptr in the dtype of col; borrowed. Of i32 it is made at the first call. The matrix has at most 2^31 - 1 entries then. */
rp_status rpi_csr_ptr_as_col(rp_csr *a, rp_store **out);

#endif
