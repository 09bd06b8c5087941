/* SPDX-License-Identifier: Apache-2.0
 * core/comm/verdict.h -- what each rank did alone becomes one status of all.
 * Collective, also for ranks that failed: then all fail with the first failing rank's status and sentence. Without a
 * comm the rank's own status is all ranks'. */
#ifndef RPI_VERDICT_H
#define RPI_VERDICT_H

#include "core/comm/comm.h"

typedef struct rpi_verdict {
  int64_t most;     /* becomes the largest of all ranks' */
  uint64_t same;    /* all ranks' must be the same */
  uint64_t word[4]; /* become rank 0's */
} rpi_verdict;

/* `mine` is this rank's status, its sentence as it stands. Returns all ranks' status; *heard false: RP_ERR_RANKS, since
 * messages failed; what the others know is not known. */
rp_status rpi_verdict_reach(rpi_comm *c, rp_status mine, rpi_verdict *v, bool *heard);

#endif
