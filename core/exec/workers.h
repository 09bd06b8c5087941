/* SPDX-License-Identifier: Apache-2.0
 * core/exec/workers.h -- the pool of pinned worker threads; the calling thread is worker 0.
 *
 * Lives here: fork-join of one function over all workers: spin for a bounded time, then futex.
 * Not here:   what the function does; splitting of work.
 * How:        one generation counter that the caller bumps and workers spin on (pause), falling
 *             asleep on a futex after `spin` turns; one arrival counter the caller waits on the
 *             same way. A hand-over between spinning threads costs about 0.1 us. Workers block all
 *             signals but those of faults, pin the floating-point mode (round to nearest, no flush
 *             to zero) and are bound to distinct processors of the allowed set (sched_setaffinity, in
 *             the order of topology.h; the caller's own binding is never touched).
 * Threads:    one caller at a time. After fork the pool is dead: rpi_workers_run then runs
 *             everything on the caller, as one part. If the machine has fewer cores than threads,
 *             there is no spinning and no binding; nor in a second copy of the library in a process. */
#ifndef RPI_WORKERS_H
#define RPI_WORKERS_H

#include "core/base/status.h"

typedef struct rpi_workers rpi_workers;
typedef void rpi_workers_fn(void *arg, int32_t worker, int32_t n, void *scratch);

/* `threads` 0: one per core of the process's affinity mask. The threads start at the first run. */
rp_status rpi_workers_create(int32_t threads, bool pin, int64_t spin, rpi_workers **out);
void rpi_workers_destroy(rpi_workers *w);
int32_t rpi_workers_count(const rpi_workers *w);
/* Calls fn(arg, i, n, scratch_i) for i < n, worker i being thread i; returns when all have. n is at
 * most the count; n == 1 is a plain call. Where threads cannot be had (after fork, or the system
 * refuses them) fn gets a smaller n than asked for: it divides the work by the n it is given.
 * scratch_i has RPI_KERNEL_SCRATCH bytes (core/exec/kernel.h). */
void rpi_workers_run(rpi_workers *w, int32_t n, rpi_workers_fn *fn, void *arg);
/* How much of worker i's part of a run is taken: 0 when the run begins; for those who share out work
 * among themselves. */
_Atomic int64_t *rpi_workers_taken(rpi_workers *w, int32_t i);
/* The caller's scratch (worker 0's). */
void *rpi_workers_scratch(rpi_workers *w);

#endif
