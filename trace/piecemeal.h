/* SPDX-License-Identifier: Apache-2.0
 * trace/piecemeal.h -- a segment whose arrays do not fit the GPU together runs launch by launch.
 * Lives here: taking a complete segment apart into segments of one task each. Not here: what leaves the GPU for them
 *             (core/model/residence.h).
 * How:        nothing of the segment has run. Each task becomes a segment of its own, with a template like any other, so
 *             between two of them arrays may leave the GPU. All outputs are taken to be alive meanwhile: who reads
 *             them comes later. */
#ifndef RPI_PIECEMEAL_H
#define RPI_PIECEMEAL_H

#include "trace/segment.h"

/* Of a segment of several tasks, which stays bound. The first error ends it: launches before the one it names have run. */
rp_status rpi_piecemeal_commit(rp_context *ctx, const rpi_segment *s);

#endif
