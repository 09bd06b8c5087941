/* SPDX-License-Identifier: Apache-2.0
 * jit/finish.h -- the upper half of a reduction: from the partials of all units to the destinations.
 * SEMANTICS 3: pairwise tree over leaves, then over rows, then the destination's old value (join).
 * Pairwise tree over n values: neighbours are combined, (0,1) (2,3) ..., an odd last one is carried
 * up, until one is left; so any aligned run of 2^k values is a subtree of its own. */
#ifndef RPI_FINISH_H
#define RPI_FINISH_H

#include "jit/ir.h"

/* Does so for every reduction of the IR, whose words (rpi_ir_layout) are w. Serial. */
void rpi_finish_all(const rpi_ir *ir, const rpi_ir_layout *l, rpi_word *w);
/* The tree over n >= 1 values of a dtype, in place; the result is values[0]. */
void rpi_finish_tree(rpi_redop op, rp_dtype dtype, void *values, int64_t n);
/* a[i] = a[i] (op) b[i], i < n. */
void rpi_finish_combine(rpi_redop op, rp_dtype dtype, void *a, const void *b, int64_t n);
/* Reduction `red`'s results, one for each kept index in row-major order, go to its destination. */
void rpi_finish_deliver(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w, int32_t red,
                        const void *values);

#endif
