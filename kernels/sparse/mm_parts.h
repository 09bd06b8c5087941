/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_parts.h -- a Matrix Market file read by all ranks, each its part, into rows that ranks share.
 *
 * Lives here: who reads which bytes, who assembles which rows, and what all must agree on.
 * Not here:   files (mm_file.h), the format (mm_read.h), assembly (csr_host.h), stores (csr.c).
 * How:        1. All read the head. The bytes behind it are shared evenly; a line is his who has its first byte.
 *             2. A scan of the counts of lines says where in the file each part stands: values of array files get
 *                their places, lines too many or too few are found.
 *             3. Rows are shared evenly. Each entry goes to the rank that has its row; since entries arrive by sender and
 *                in the sender's order, they are in file order, and what repeats is summed as one process sums it.
 *             4. A scan of the counts of entries says where each rank's rows stand in the arrays of the matrix.
 * Invariant:  what a rank holds is a part of the file or some rows; nothing is proportional to the ranks but,
 *             if its lines are for rows of all, its messages. An error is the first one in the file, on all ranks. */
#ifndef RPI_MM_PARTS_H
#define RPI_MM_PARTS_H

#include "kernels/sparse/csr_host.h"

typedef struct rpi_mm_rows {
  int64_t n_rows, n_cols, nnz; /* of the matrix */
  rpi_csr_host a;              /* this rank's rows; those of ranks follow each other */
  int64_t before;              /* entries of lower ranks' rows */
} rpi_mm_rows;

/* Of n things that ranks share evenly, rank r has those from here on, up to where rank r + 1 begins. */
int64_t rpi_mm_parts_begin(int64_t n, int64_t ranks, int64_t r);

/* Collective. Errors are reported, with the path; then nothing is left to free. */
rp_status rpi_mm_parts_read(rp_context *ctx, const char *path, rpi_mm_rows *out);
void rpi_mm_parts_free(rpi_mm_rows *r);

#endif
