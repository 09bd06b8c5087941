/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/csr_host.h -- CSR matrices in the host's memory: assembly and checks.
 * Lives here: triplets to CSR, and what makes CSR arrays valid.
 * Not here:   stores (csr.c), files, stencils (csr_stencil.h). Pure: errors are codes and a message in the caller's
 *             buffer. */
#ifndef RPI_CSR_HOST_H
#define RPI_CSR_HOST_H

#include <stdint.h>

#include "core/include/reprise.h"

typedef struct rpi_csr_host {
  int64_t n_rows, n_cols;
  int64_t *ptr, *col; /* n_rows + 1 and ptr[n_rows] elements */
  double *val;
} rpi_csr_host;

enum { RPI_CSR_MESSAGE = 256 };
/* Writes the message and returns the status. */
__attribute__((format(printf, 3, 4))) rp_status rpi_csr_host_fail(char *message, rp_status status,
                                                                  const char *fmt, ...);

/* n entries, each array `step` words of 8 bytes from one to the next: 1, or 3 for records. */
typedef struct rpi_csr_triplets {
  int64_t n;
  const int64_t *row, *col;
  const double *val;
  int64_t step;
} rpi_csr_triplets;

/* As rp_csr_from_triplets. On success the caller owns *out (rpi_csr_host_free); on failure it is empty
 * and `message` has the sentence. */
rp_status rpi_csr_host_triplets(int64_t n_rows, int64_t n_cols, const rpi_csr_triplets *t,
                                rpi_csr_host *out, char message[RPI_CSR_MESSAGE]);
/* As rp_csr_from_arrays says. */
rp_status rpi_csr_host_check(int64_t n_rows, int64_t n_cols, const int64_t *ptr, const int64_t *col,
                             char message[RPI_CSR_MESSAGE]);
/* Room for nnz entries; ptr is zeroed. */
rp_status rpi_csr_host_alloc(int64_t n_rows, int64_t n_cols, int64_t nnz, rpi_csr_host *out,
                             char message[RPI_CSR_MESSAGE]);
void rpi_csr_host_free(rpi_csr_host *a);

#endif
