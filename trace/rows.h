/* SPDX-License-Identifier: Apache-2.0
 * trace/rows.h -- which rows of a kernel's space each rank has, and how tilings follow each other through views.
 *
 * Lives here: closed forms of rows from the cuts of an array, and back. Pure arithmetic, O(1) for any number of ranks.
 * Not here:   which array decides (distribute.h).
 * How:        row i of a space begins, in an operand, at element first + step*i, and covers a hull of elements from
 *             there. A rank has the rows that lie in its range of that operand's array. */
#ifndef RPI_ROWS_H
#define RPI_ROWS_H

#include "core/model/cuts.h"
#include "core/model/geom.h"

typedef struct rpi_rows {
  rpi_cuts cuts;
  int64_t first, step; /* > 0 */
  int64_t extent;
  int64_t leaf; /* rows are cut at multiples of it */
} rpi_rows;

int64_t rpi_rows_gcd(int64_t a, int64_t b);
/* The first row of rank r (r 0..ranks). */
int64_t rpi_rows_at(const rpi_rows *s, int32_t r);
/* The rows lo..hi-1 that rank r computes if it computes whole leaves: those around its own rows, too. */
void rpi_rows_wide(const rpi_rows *s, int64_t leaf, int32_t r, int64_t *lo, int64_t *hi);
/* The first element of row 0's hull, and how far a row's hull reaches: over all axes but the first. */
void rpi_rows_hull(const rpi_geom *g, int64_t *first, int64_t *span);
/* The rows by an operand of an array with these cuts, each for the rank that holds where it begins; false if some row lies
 * in two ranks' ranges, or there are no such rows (step <= 0). */
bool rpi_rows_by(const rpi_cuts *cuts, const rpi_geom *g, int64_t extent, rpi_rows *out);
/* Cuts for the array (n elements) of another operand, at the same rows; false if there is no closed form. */
bool rpi_rows_cuts(const rpi_rows *s, const rpi_geom *g, int64_t n, rpi_cuts *out);
/* Every rank has the same rows of both; false may be caution. */
bool rpi_rows_same(const rpi_rows *a, const rpi_rows *b);
/* Every rank that has rows has at least so many; false may be caution. */
bool rpi_rows_at_least(const rpi_rows *s, int64_t least);
/* All ranks begin at multiples of `leaf` rows. */
bool rpi_rows_at_leaves(const rpi_rows *s, int64_t leaf);

#endif
