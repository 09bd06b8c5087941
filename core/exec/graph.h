/* SPDX-License-Identifier: Apache-2.0
 * core/exec/graph.h -- a replayed run of launches as one CUDA graph.
 *
 * Lives here: which steps make a graph, graphs of one run for several sets of parameters, changing them in place.
 * Not here:   the driver's graphs (core/device/device_graph.c), launches one by one (run_gpu.h).
 * How:        a run is as many launches of a plan as follow each other with no copy between them: kernels made here, those
 *             that opaque ops have as texts, and what their functions queue if that can be recorded. When a run has been
 *             launched WARM times one by one it becomes a graph. Programs swap buffers, so a run keeps a graph for each of its last
 *             FORMS sets of parameters: a swap finds its own, unchanged. Beyond these the one that differs in fewest
 *             launches is changed, launch by launch, which costs about a microsecond for each. What was recorded does not
 *             change: such a graph is made anew, and after REMADE times of that no graph has the function any more.
 * Invariant:  a graph's parameters are those that the launches one by one would have. Whatever prevents a graph, the run
 *             goes one by one. */
#ifndef RPI_GRAPH_H
#define RPI_GRAPH_H

#include "core/exec/opaque_gpu.h"

typedef struct rpi_graphs rpi_graphs; /* of one plan */

/* The steps first..end-1 of the plan are such a run, and bound. True: it is queued, or *st says why not; false: nothing has happened,
 * and it is to go one by one. */
bool rpi_graph_run(rpi_plan *plan, rpi_opaque_device *d, int32_t first, int32_t end, rp_status *st);
/* Steps first..end-1 are one run: end is the first that is none of its launches. */
int32_t rpi_graph_end(const rpi_plan *plan, int32_t first, int32_t end, const bool *needs_patch);
void rpi_graph_free(rpi_graphs *g); /* NULL is allowed; before the device is closed */

#endif
