/* SPDX-License-Identifier: Apache-2.0
 * trace/lower_call.h -- a call of a C function as a plan has it: its geometry, and how it is cut.
 * Lives here: whether the function may be called on blocks of rows, and how many units of rows each has; what a function on
 *             the GPU is told of its stores. Not here: addresses (lower.h), what the op declares of its rows
 *             (core/exec/constraint.h), the part of a rank (shares.c).
 * Invariant:  blocks write different elements, and none reads what another one writes. */
#ifndef RPI_LOWER_CALL_H
#define RPI_LOWER_CALL_H

#include "core/base/alloc.h"
#include "core/exec/plan.h"
#include "trace/context.h"
#include "trace/task.h"

/* Fills *c, but for its words, for an opaque task; what it points to is in the arena, which says so when memory lacks. */
void rpi_lower_call(const rp_context *ctx, rpi_arena *a, const rpi_task *t, bool gpu,
                    rpi_plan_call *c);

#endif
