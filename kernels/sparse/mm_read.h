/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_read.h -- a Matrix Market text to triplets.
 * Lives here: the format as its authors define it (R. F. Boisvert, R. Pozo, K. A. Remington, "The Matrix
 *             Market exchange formats: initial design", NISTIR 5935, 1996).
 * Not here:   files (mm_file.c), CSR (csr_host.h). Pure: no stores, no contexts. */
#ifndef RPI_MM_READ_H
#define RPI_MM_READ_H

#include <stddef.h>
#include <stdint.h>

#include "core/include/reprise.h"

typedef struct rpi_mm_triplets {
  int64_t n_rows, n_cols;
  int64_t n; /* entries, with the mirrored ones of symmetric files right behind their originals */
  int64_t *row, *col; /* from 0 */
  double *val;
} rpi_mm_triplets;

enum { RPI_MM_MESSAGE = 256 };

/* Parses `size` bytes of text. On success the caller owns *out (rpi_mm_read_free). On failure *out is
 * empty and `message` says why: RP_ERR_IO (malformed: "line 3: expected ..."), RP_ERR_DTYPE (complex),
 * RP_ERR_MEMORY. */
rp_status rpi_mm_read_text(const char *text, size_t size, rpi_mm_triplets *out,
                           char message[RPI_MM_MESSAGE]);
void rpi_mm_read_free(rpi_mm_triplets *t);

#endif
