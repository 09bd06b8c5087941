/* SPDX-License-Identifier: Apache-2.0
 * core/exec/joint.h -- a launch on the GPU whose reductions ranks share out.
 * Lives here: from the kernels' units to what comes after them, with the ranks' lists between. Not here: the lists
 *             (jit/subtree.h), how they meet (exchange.h).
 * How:        each kernel runs without its end and leaves a partial for each leaf. GPUs that speak to each other send them all
 *             to all, and each joins the whole tree and ends: nobody waits. Otherwise, and where partials are too many for
 *             that, this rank's own come to the host, where the lists are made as they are for a kernel of the host; the
 *             roots go back to where partials begin, and the kernels end.
 * Collective. */
#ifndef RPI_JOINT_H
#define RPI_JOINT_H

#include "core/exec/exchange.h"

/* Runs the step, whose list_room is not 0. Versions and counts are those of an exchange. */
rp_status rpi_joint_run(rpi_plan *plan, const rpi_step *step, rpi_comm *comm,
                        const rpi_exchange_memory *at, const uint64_t *version,
                        rpi_exchange_count *count);
void rpi_joint_free(struct rpi_joint *j); /* NULL is allowed */

#endif
