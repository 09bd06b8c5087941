/* SPDX-License-Identifier: Apache-2.0
 * core/exec/exchange.h -- the steps of a plan in which ranks speak to each other.
 * Collective: all ranks come to the same steps in the same order. Errors: RP_ERR_RANKS, see comm.h. */
#ifndef RPI_EXCHANGE_H
#define RPI_EXCHANGE_H

#include "core/comm/comm.h"
#include "core/device/nccl.h"
#include "core/exec/plan.h"

/* What was sent, looked up, and done beside work, counted up. */
typedef struct rpi_exchange_count {
  int64_t messages, bytes, images, index_values, overlapped;
} rpi_exchange_count;

/* Where symbols are. */
typedef struct rpi_exchange_memory {
  void *const *pointers;
  rpi_device *device;           /* NULL: there is none, nor an address */
  const CUdeviceptr *addresses; /* of those that messages say are there */
  rpi_nccl *nccl;               /* NULL: no message is direct */
} rpi_exchange_memory;

/* Begins all messages of an exchange. Those that brought this version of a symbol's values before are left out;
 * version[symbol] 0: it has none. What is sent must not be written before the end. */
rp_status rpi_exchange_start(rpi_comm *comm, rpi_plan_exchange *e, const rpi_exchange_memory *at,
                             const uint64_t *version, rpi_exchange_count *count);
/* The same in two halves, between which the GPU may be given other work: what is sent is packed there, queued; then it is waited
 * for, but no longer, and messages begin. If e->n_post is 0 after the first there is no second. What goes from GPU to GPU
 * does so `beside` that work (e->aside), and not before it; then what it brings is there at the end only. */
rp_status rpi_exchange_pack(rpi_plan_exchange *e, const rpi_exchange_memory *at,
                            const uint64_t *version, bool beside, rpi_exchange_count *count);
rp_status rpi_exchange_send(rpi_comm *comm, rpi_plan_exchange *e, const rpi_exchange_memory *at,
                            const uint64_t *version);
/* Returns when they are done and what came is where it belongs, or on its way there on the GPU; versions as at the
 * start. */
rp_status rpi_exchange_finish(rpi_comm *comm, rpi_plan_exchange *e, const rpi_exchange_memory *at,
                              const uint64_t *version);
/* Every rank's tile of an array of `elem`-byte elements, from where it is in `from`, comes to where it belongs in `to` on
 * every rank; `to` may be `from`. RP_ERR_MEMORY: tiles that are no ranges are packed. */
rp_status rpi_exchange_gather(rpi_comm *comm, const rpi_tiling *tiling, int32_t elem,
                              const void *from, void *to);
/* The lists of a launch's joint reductions, `bytes` of them in plan->lists, become those of all ranks, all in one message a
 * round. */
rp_status rpi_exchange_lists(rpi_comm *comm, const rpi_plan *plan, const rpi_step *step,
                             int64_t bytes);
/* The joint reductions of a launch on the host: from partials to destinations. */
rp_status rpi_exchange_reductions(rpi_comm *comm, const rpi_plan *plan, const rpi_step *step);

#endif
