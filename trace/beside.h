/* SPDX-License-Identifier: Apache-2.0
 * trace/beside.h -- small groups that do not depend on each other share a launch (knob horizontal).
 * Lives here: which groups follow each other so, and what that means for the symbols they use. Not here: which task is in
 *             which group (fuse.h), the step that runs several kernels (lower.c).
 * Invariant:  groups of one launch run at the same time, so any two of them could change places. */
#ifndef RPI_BESIDE_H
#define RPI_BESIDE_H

#include "trace/analyse.h"

/* For an analysis that has its kernels and symbols, while its queries have their tasks. */
void rpi_beside(rp_context *ctx, rpi_analysis *an);

#endif
