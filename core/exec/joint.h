/* SPDX-License-Identifier: Apache-2.0
 * core/exec/joint.h -- a launch on the GPU whose reductions ranks share out.
 * Lives here: from the kernels' units to what comes after them, with the ranks' lists between. Not here: the lists
 *             (jit/subtree.h), how they meet (exchange.h).
 * How:        each kernel runs without its end and leaves partials; this rank's own come to the host, where the lists are
 *             made as they are for a kernel of the host; the roots go back to where partials begin, and the kernels end.
 * Collective. */
#ifndef RPI_JOINT_H
#define RPI_JOINT_H

#include "core/exec/exchange.h"

/* Runs the step, whose list_room is not 0. */
rp_status rpi_joint_run(rpi_plan *plan, const rpi_step *step, rpi_device *d, rpi_comm *comm);
void rpi_joint_free(struct rpi_joint *j); /* NULL is allowed */

#endif
