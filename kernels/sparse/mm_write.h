/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_write.h -- a Matrix Market file written by all ranks, each its rows.
 *
 * Lives here: who writes which rows, where they stand in the file, and that the file appears whole or not at all.
 * Not here:   reading (mm_parts.h, mm_file.h), the rows themselves (csr.c reads them from stores).
 * How:        1. Rows are shared evenly. What is no regular file (a pipe, a device) can be written in order only, and in
 *                place: rank 0 gets all rows.
 *             2. Rank 0 makes a file beside the one that is asked for, under a name that all ranks know.
 *             3. Each rank makes its text; a scan of sizes says where it begins. It writes it there.
 *             4. When all have, rank 0 gives the file its name.
 * Invariant:  the bytes do not depend on the number of ranks. An error on one rank is all ranks'; then what had the name
 *             before still has it, and nothing else is left. A process alone makes its text in blocks; of several
 *             each keeps its own. */
#ifndef RPI_MM_WRITE_H
#define RPI_MM_WRITE_H

#include <stdbool.h>

#include "kernels/sparse/csr_host.h"

typedef struct rpi_mm_output {
  rp_context *ctx;
  const char *path;   /* the caller's */
  bool in_order;      /* no regular file */
  uint64_t number;    /* part of the temporary name */
  int64_t first, end; /* rows of this rank */
} rpi_mm_output;

/* Which rows of n_rows this rank is to have. Collective. */
rp_status rpi_mm_write_begin(rp_context *ctx, const char *path, int64_t n_rows, rpi_mm_output *out);
/* Writes the matrix of n_rows rows, of which `a` is this rank's, with `digits` significant digits. Collective; errors are
 * reported with the path. */
rp_status rpi_mm_write_rows(const rpi_mm_output *o, int64_t n_rows, const rpi_csr_host *a,
                            int digits);

#endif
