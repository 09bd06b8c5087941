/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/csr_stencil.h -- the matrix of a stencil, any part of it, without the rest.
 *
 * Lives here: offsets, columns and values of a range of rows or entries, from the geometry.
 * Not here:   stores (csr.c).
 * How:        a point of the stencil is inside the grid at the grid points of a box. How many of a box come before a
 *             grid point in C order is a closed form, so where a row's entries begin is a sum over the points, and the
 *             row of an entry is found by bisection.
 * Threads: one at a time for one stencil. Errors are codes and a message in the caller's buffer. */
#ifndef RPI_CSR_STENCIL_H
#define RPI_CSR_STENCIL_H

#include <stdint.h>

#include "core/include/reprise.h"
#include "kernels/sparse/csr_host.h"

/* One point: where it lies on the grid, and in the numbering. */
typedef struct rpi_csr_point {
  int64_t step;                           /* what it adds to the number of the grid point */
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM]; /* the grid points at which it is inside */
  double coefficient;
} rpi_csr_point;

typedef struct rpi_csr_stencil {
  int32_t ndim, n_points; /* points that are inside somewhere, by ascending step */
  int64_t shape[RP_MAX_DIM];
  int64_t n_rows, nnz;
  rpi_csr_point *point;
  const rpi_csr_point **used; /* room for as many, while a line of the grid is walked over */
} rpi_csr_stencil;

/* As rp_csr_from_stencil. On success the caller owns *out (rpi_csr_stencil_deinit); on failure it is empty and
 * `message` has the sentence. */
rp_status rpi_csr_stencil_init(int32_t ndim, const int64_t *shape, int32_t n_points,
                               const int64_t *offset, const double *coefficient,
                               rpi_csr_stencil *out, char message[RPI_CSR_MESSAGE]);
void rpi_csr_stencil_deinit(rpi_csr_stencil *s);

/* Offsets lo..lo+n-1, of n_rows + 1. */
void rpi_csr_stencil_ptr(rpi_csr_stencil *s, int64_t lo, int64_t n, int64_t *ptr);
/* Columns and values of entries lo..lo+n-1, of nnz; NULL: not wanted. */
void rpi_csr_stencil_entries(rpi_csr_stencil *s, int64_t lo, int64_t n, int64_t *col, double *val);

#endif
