/* SPDX-License-Identifier: Apache-2.0
 * trace/partials.h -- what GPUs tell each other of a launch whose reductions they share out.
 *
 * Lives here: the messages that make each rank's partials those of all, where GPUs speak to each other.
 * Not here:   what a rank's partials are (parts.c), the launch itself (core/exec/joint.h), lists of subtrees, which are the way
 *             of the host and of very many partials (jit/subtree.h).
 * How:        a rank that has a range of the whole space's units has left their partials where they belong, and
 *             sends that range. The partials of a box are by themselves: those of the whole space get room behind all other
 *             scratch, where they come together row by row.
 * Invariant:  whether partials are sent depends on the space, the kernels, the number of ranks and a knob alone. */
#ifndef RPI_PARTIALS_H
#define RPI_PARTIALS_H

#include "trace/distribute_impl.h"

/* Of a launch whose kernels are this rank's part: sets s->partials, if they are to be sent. */
void rpi_partials_send(rpi_walker *w, rpi_step *s);

#endif
