/* SPDX-License-Identifier: Apache-2.0
 * jit/subtree.h -- a reduction shared out among ranks: the canonical subtrees of what a rank has of its partials.
 *
 * Lives here: from a rank's partials to subtrees, joining the lists of two blocks of ranks, from the root to the
 *             destination. Bits are those of finish.h's tree for any number of ranks (SEMANTICS 3).
 * Not here:   messages (core/comm/).
 * How:        node (level, index) stands for values index*2^level .. (index+1)*2^level - 1 of `count`; neighbours
 *             of one level combine, and a node without a right neighbour rises by itself. Nodes are listed by what
 *             they begin with; two lists are merged in that order. A rank has either of two parts of a space:
 *             - a range of rows, those of rank r + 1 behind those of rank r. It is at most 2 log2(count) + 1 nodes, and
 *               lists are joined end to end. Only for reductions over the first axis, at least: then a
 *               range of rows is a range of the tree of each result, and the results of one reduction, which have
 *               trees of the same form, are nodes of several values.
 *             - a box, where ranks form a grid. Only for reductions over all axes, of LEAF mode. What it has of a row may
 *               be a piece, whose nodes wait for those of other ranks: the tree over the leaves of a row is the lower part
 *               of the tree over rows, as if each row had a power of two of leaves. Lists of two blocks of
 *               ranks interleave, row by row. */
#ifndef RPI_SUBTREE_H
#define RPI_SUBTREE_H

#include "jit/ir.h"

/* Bytes that lists of this kernel's reductions over a space can need, of one rank or of consecutive ones. `most` NULL:
 * ranks have ranges of rows, whatever ranges. Otherwise they have boxes, of a grid of ranks in row-major order
 * whose cuts of an axis are the same for all cells; most[d]: no box is longer on axis d, and one that is
 * as long as the space has all of that axis. */
int64_t rpi_subtree_room(const rpi_ir *ir, const int64_t *extent, const int64_t *most);
/* Writes the list of units first..end-1, as many as rpi_subtree_room says at most; returns its bytes. `space` and `origin`
 * NULL: the words have the extents of the whole space, and the units are whole rows (of one axis: leaves; of ROW mode:
 * whole leaves of rows). Otherwise `space` has them, the words have those of a box that begins at `origin`, on the
 * last axis at a leaf, and ends there at one or with the space; the units are all of the box's, none if it is
 * empty. All ranks give the same `space`. The partials of these units are used up. */
int64_t rpi_subtree_list(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w,
                         const int64_t *space, const int64_t *origin, int64_t first, int64_t end,
                         void *list);
/* Of reduction r: what rpi_subtree_list would read, as bytes from where partials begin. */
void rpi_subtree_range(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w,
                       const int64_t *space, int32_t r, int64_t first, int64_t end, int64_t *at,
                       int64_t *bytes);
/* A join of collect.h, of lists that have no values in common; `arg` has room for as much as `into`. Lists of
 * several kernels may be chained, the same on both sides. */
void rpi_subtree_join(void *arg, void *into, int64_t *n, const void *from, int64_t m);
/* Delivers the roots at the beginning of a list that stands for all ranks; returns the bytes they took. */
int64_t rpi_subtree_deliver(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w,
                            const void *list);

/* The values of the first root of a list, one for each kept index in row-major order; *list moves on to the next. */
const void *rpi_subtree_root(const void **list, int64_t *bytes);

#endif
