/* SPDX-License-Identifier: Apache-2.0
 * jit/subtree.h -- a reduction shared out among ranks: the canonical subtrees of a range of its partials.
 *
 * Lives here: from a rank's partials to subtrees, joining the lists of two neighbours, from the root to the
 *             destination. Bits are those of finish.h's tree for any number of ranks (SEMANTICS 3).
 * Not here:   messages (core/comm/).
 * How:        node (level, index) stands for values index*2^level .. (index+1)*2^level - 1 of `count`; neighbours
 *             of one level combine, and a node without a right neighbour rises by itself. A range of
 *             partials is at most 2 log2(count) + 1 nodes; lists of ranks side by side are joined end to end.
 * Only for reductions over the first axis, at least: then a range of rows is a range of the tree of each result, and the
 * results of one reduction, which have trees of the same form, are nodes of several values. */
#ifndef RPI_SUBTREE_H
#define RPI_SUBTREE_H

#include "jit/ir.h"

/* Bytes that lists of this kernel's reductions can need, whatever the range. */
int64_t rpi_subtree_room(const rpi_ir *ir, const int64_t *extent);
/* The list of units first..end-1, which are whole rows (of one axis: leaves; of ROW mode: whole leaves of rows); its
 * bytes. */
int64_t rpi_subtree_list(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w, int64_t first,
                         int64_t end, void *list);
/* A join of collect.h; `arg` has room for as much as `into`. Lists of several kernels may be chained, the same
 * on both sides. */
void rpi_subtree_join(void *arg, void *into, int64_t *n, const void *from, int64_t m);
/* Delivers the roots at the beginning of a list that stands for all ranks; returns the bytes they took. */
int64_t rpi_subtree_deliver(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w,
                            const void *list);

#endif
