/* SPDX-License-Identifier: Apache-2.0
 * trace/scatter.h -- launches of bodies that scatter, `h[b[i]] += w[i]`: which launches take their place.
 *
 * Lives here: the op's other ops, the inverses of index arrays and how long they hold.
 * Not here:   the bodies (jit/body.h), the sort (core/exec/invert.h).
 * How:        up to three launches: the keys of all points (unless an index array holds them as they are), their inverse,
 *             and a segmented reduction over it; tasks like any other from there on. The inverse is kept by the
 *             array that the subscripts read, the last few of each, and is not launched again while the versions of all
 *             such arrays are those it was made of; it goes with that array. What is written in a segment that has not run
 *             has no version yet: then, and for subscripts that read no array or a scalar of the host, there is nothing to
 *             keep, and each launch inverts.
 * Invariants: what is launched depends on the program alone, so all ranks launch alike, and a loop in its steady state
 *             launches the same in each pass. An inverse that has not run is not used. */
#ifndef RPI_SCATTER_H
#define RPI_SCATTER_H

#include "core/model/op.h"
#include "jit/body.h"

struct rpi_scatter;

/* For an op whose body scatters; takes over nothing. */
rp_status rpi_scatter_create(rp_op *op, const rpi_body_scatter *how, rp_op *keys, rp_op *segments);
void rpi_scatter_free(struct rpi_scatter *s);
/* In the place of rpi_segment_launch. */
rp_status rpi_scatter_launch(rp_context *ctx, rp_op *op, rp_store *const *stores,
                             const void *const *scalars);

#endif
