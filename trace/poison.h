/* SPDX-License-Identifier: Apache-2.0
 * trace/poison.h -- what a task that failed on bad data leaves behind: arrays that must not be read.
 *
 * Lives here: who failed in a run, what that makes of the stores its segment wrote, and the sentence about it.
 * Not here:   who raises flags (jit/), that all ranks know of them (outcome.h), when a host meets poison (bindings/c).
 * How:        the tasks of the segment in program order: what reads poison is poisoned, what overwrites it is sound. So the
 *             outcome is that of running them one after another, whatever was fused.
 * In steady state, without failures, it looks at the flags and returns. */
#ifndef RPI_POISON_H
#define RPI_POISON_H

#include "trace/template.h"

/* Has a step of the run failed so far, or is there poison that it may read or overwrite? */
bool rpi_poison_raised(const rp_context *ctx, const rpi_bound *b);
/* What the host must not read: RP_ERR_DATA, with the sentence. */
rp_status rpi_poison_refuse(const char *call, const rpi_buffer *b);
/* After the last step of a run, whose failures all ranks know: poisons stores and makes others sound, reports the failure
 * to the context, and takes flags and failures back. */
void rpi_poison_spread(rp_context *ctx, rpi_template *t, const rpi_segment *s, rpi_bound *b);

#endif
