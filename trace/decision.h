/* SPDX-License-Identifier: Apache-2.0
 * trace/decision.h -- what was decided for a plan, as a number that must be the same on all ranks.
 * Lives here: a hash of groups, memory, places and what is shared out, gathered, looked up and joined. Not here: whoever
 *             decides; what is each rank's own, as its rows, messages, threads, the tier of its kernels, and what it
 *             runs beside messages. */
#ifndef RPI_DECISION_H
#define RPI_DECISION_H

#include "trace/lower.h"

/* Of a plan with ranks, for n_task tasks; the first n_place slots are buffers. */
uint64_t rpi_decision_of(const rpi_bound *b, int32_t n_task, uint32_t n_place);

#endif
