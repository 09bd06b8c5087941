/* SPDX-License-Identifier: Apache-2.0
 * trace/grid.h -- which box of a kernel's space each rank has, where ranks are a grid.
 *
 * Lives here: closed forms of boxes from the tiling of an array, and back. Pure arithmetic.
 * Not here:   rows alone (rows.h), which array decides (shares_grid.c).
 * How:        each axis of the grid cuts one axis of the space as the array of an operand is cut there. Where the operand
 *             is at one index of its array's axis, as in a row of a matrix, the ranks that do not hold that index have
 *             nothing. */
#ifndef RPI_GRID_H
#define RPI_GRID_H

#include "core/model/tiling.h"
#include "trace/rows.h"

typedef struct rpi_grid_axis {
  int32_t axis;  /* of the space; -1: none, `rows` is one */
  rpi_rows rows; /* for the ranks along this axis of the grid */
  int64_t leaf;  /* that are computed in whole leaves of so many */
} rpi_grid_axis;

typedef struct rpi_grid {
  int32_t n, ranks;
  int32_t rank; /* axes of the space, */
  int64_t extent[RP_MAX_DIM];
  rpi_grid_axis axis[RP_MAX_DIM]; /* of the grid, which is numbered in row-major order */
} rpi_grid;

/* By an operand of an array of this shape and tiling. False: the operand's axes do not lie along the array's, or run
 * backwards. */
bool rpi_grid_by(const rpi_tiling *t, const rpi_geom *operand, const int64_t *bshape,
                 rpi_grid *out);
/* Rows of the first axis of a space of the operand's shape. */
void rpi_grid_rows(const rpi_rows *rows, int64_t leaf, const rpi_geom *operand, rpi_grid *out);
/* The box of rank r, lo <= index < hi; false: it is empty. */
bool rpi_grid_box(const rpi_grid *g, int32_t r, int64_t *lo, int64_t *hi);
/* The ranks along axis k of the grid that may have rows from..to-1 of its axis of the space: *first..*last. */
void rpi_grid_holders(const rpi_grid *g, int32_t k, int64_t from, int64_t to, int32_t *first,
                      int32_t *last);
/* The tiling of an array with which each rank holds what another operand has in its box. False: there is none. */
bool rpi_grid_tiling(const rpi_grid *g, const rpi_geom *operand, int32_t bdim,
                     const int64_t *bshape, rpi_tiling *out);
/* All ranks have the same boxes; false may be caution. */
bool rpi_grid_same(const rpi_grid *a, const rpi_grid *b);

#endif
