/* SPDX-License-Identifier: Apache-2.0
 * trace/outcome.h -- what happened to one rank while a plan ran is known to all: an index out of range in its part of a
 * kernel, a function that reported failure (a file may be missing on one machine only).
 * Not here: what follows from it (commit.c). */
#ifndef RPI_OUTCOME_H
#define RPI_OUTCOME_H

#include "trace/lower.h"

/* After the last step of a run: makes the flags and the failures of calls those of all ranks. Collective; a failure is
 * passed to rpi_places_failed. Does nothing for plans in which all ranks see the same. */
void rpi_outcome_join(rp_context *ctx, rpi_bound *b);
/* " on rank 2", the first on which the call failed, or what a function on the GPU said of it; empty: neither. */
void rpi_outcome_print(const rp_context *ctx, const rpi_bound *b, int32_t call, char *text,
                       size_t size);

#endif
