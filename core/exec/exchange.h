/* SPDX-License-Identifier: Apache-2.0
 * core/exec/exchange.h -- the steps of a plan in which ranks speak to each other.
 * Collective: all ranks come to the same steps in the same order. Errors: RP_ERR_RANKS, see comm.h. */
#ifndef RPI_EXCHANGE_H
#define RPI_EXCHANGE_H

#include "core/comm/comm.h"
#include "core/exec/plan.h"

/* An EXCHANGE step: all its messages at once; returns when they are done. */
rp_status rpi_exchange_messages(rpi_comm *comm, const rpi_step *step, void *const *pointers);
/* Every rank's part of an array of `elem`-byte elements comes to every rank. */
rp_status rpi_exchange_gather(rpi_comm *comm, const rpi_cuts *cuts, int32_t elem, void *data);
/* The joint reductions of a launch, all in one message a round: from partials to destinations. */
rp_status rpi_exchange_reductions(rpi_comm *comm, const rpi_plan *plan, const rpi_step *step);

#endif
