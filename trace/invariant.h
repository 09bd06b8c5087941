/* SPDX-License-Identifier: Apache-2.0
 * trace/invariant.h -- tasks of a repeated pass that would only do again what they did in the first.
 *
 * Lives here: finding and leaving them out. Not here: repeating (repeat.h).
 * How:        such a task overwrites arrays that the program holds, which nobody else in the pass writes, with what it computes
 *             of arrays that nobody in the pass writes, or of those of other such tasks. It is looked for where a scatter has
 *             inverted its subscripts: the inverse is a function of the host's, which a loop on a GPU would stop for.
 * Invariant:  what is left binds its slots in the order of their first occurrence, as segments do. */
#ifndef RPI_INVARIANT_H
#define RPI_INVARIANT_H

#include "trace/repeat.h"

/* The pass as it was launched becomes the pass as it is repeated; slots that it has no more are unbound. */
rp_status rpi_invariant_drop(const rp_context *ctx, rpi_repeat *r);

#endif
