/* SPDX-License-Identifier: Apache-2.0
 * trace/touch.h -- which bytes of each symbol this rank's part of a plan touches, on whichever side.
 *
 * Lives here: the hull of all that kernels, calls, patches and messages of a plan read or write of a symbol here.
 * Not here:   what ranks hold (places.h), memory for it and moves of it (core/model/residence.h).
 * How:        operands of kernels that are boxes touch the hull of this rank's rows, or of its box, exactly; messages and patches
 *             say their bytes. What data decide, as the table of a gather, and what functions do, is the rank's tile of
 *             an array that is cut: what they use beyond it comes by messages. Of images these are found when index
 *             data are looked at, and are added then (core/exec/run.h). All else touches all.
 * Invariant:  nothing of a plan touches more than this and what images add: other bytes need no memory, and do not move. */
#ifndef RPI_TOUCH_H
#define RPI_TOUCH_H

#include "trace/distribute_impl.h"

/* Before the walk whose steps become the plan's. False without memory. */
bool rpi_touch_begin(rpi_walker *w);
/* A kernel, which is shared out like that, its words being the rank's; w->geom are its operands'. */
void rpi_touch_kernel(rpi_walker *w, const rpi_group *g, const rpi_share *p, const int64_t *extent,
                      const rpi_sub *sub);
/* A call; its places are decided on. */
void rpi_touch_call(rpi_walker *w, const rpi_group *g, const rpi_plan_call *c, const rpi_share *p);
/* The walk has ended: its steps. */
void rpi_touch_steps(rpi_walker *w);

#endif
