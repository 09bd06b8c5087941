/* SPDX-License-Identifier: Apache-2.0
 * trace/nonfinite.h -- results that are infinite or no number (knob nonfinite).
 * Lives here: counting them after a run, and the sentence about the first. Not here: bad indices (poison.h), that segments
 *             have one task while the knob is on (runtime.c). */
#ifndef RPI_NONFINITE_H
#define RPI_NONFINITE_H

#include "trace/template.h"

/* Looks at all that the segment, which has run, has written. */
void rpi_nonfinite_look(rp_context *ctx, const rpi_template *t, const rpi_segment *s);

#endif
