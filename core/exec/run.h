/* SPDX-License-Identifier: Apache-2.0
 * core/exec/run.h -- walks a plan: binds pointers and scalars, launches, joins.
 * Threads: the context's thread; workers help inside a launch. No allocation, no lock, but what messages
 * between ranks take. The caller's floating-point mode is saved, pinned to the library's, and restored. */
#ifndef RPI_RUN_H
#define RPI_RUN_H

#include "core/exec/exchange.h"
#include "core/exec/opaque_gpu.h"
#include "core/exec/workers.h"
#include "core/model/hull.h"

/* Writes pointers and scalars into the plan's words. pointers[symbol], addresses[symbol] on the GPU (NULL: none);
 * scalars as gathered. */
void rpi_run_bind(rpi_plan *plan, void *const *pointers, const CUdeviceptr *addresses,
                  const uint64_t *scalars);
/* Messages of an image, found just now, are of these bytes of the symbol: beside what the plan touches anyway. */
typedef rp_status rpi_run_reach(void *arg, int32_t symbol, rpi_hull more);
/* What a plan runs on. */
typedef struct rpi_run_host {
  rpi_workers *workers;
  rpi_comm *comm;               /* NULL: alone */
  const uint64_t *version;      /* per symbol: names its values; 0: they have no name */
  rpi_exchange_count *count;    /* what goes to other ranks is counted here */
  rpi_nccl *nccl;               /* NULL: GPUs speak by way of the host */
  rpi_device *device;           /* NULL: no GPU */
  bool graphs;                  /* runs of launches there become graphs */
  const CUdeviceptr *addresses; /* of the symbols there */
  const rpi_hull *held;         /* what moves of a symbol between the sides */
  rpi_run_reach *reach;         /* makes room for more of it; NULL: there is */
  void *reach_arg;
  rpi_opaque_device *opaque; /* what opaque calls find there */
} rpi_run_host;

/* Runs the steps first..end-1; fails only where a message between ranks, or the GPU, does. needs_patch[symbol] says
 * whether a PATCH into that symbol must copy, and patch_bytes[symbol] how much. */
rp_status rpi_run_plan(rpi_plan *plan, int32_t first, int32_t end, const rpi_run_host *host,
                       void *const *pointers, const bool *needs_patch, const int64_t *patch_bytes);

#endif
