/* SPDX-License-Identifier: Apache-2.0
 * trace/gpu_ranks.h -- what ranks know of each other's GPUs, and the way between these.
 * Lives here: whether any rank has one; NCCL, if each has one of its own. Not here: messages (core/exec/exchange.h), a rank's
 *             own GPU (gpu_bind.h).
 * How:        ranks of a machine take its GPUs in turn, so who shares one knows. Whether NCCL can be used each says before
 *             any joins, and what came of it afterwards: all speak so, or none.
 * Collective. */
#ifndef RPI_GPU_RANKS_H
#define RPI_GPU_RANKS_H

#include "trace/context.h"

/* ctx->gpu_somewhere, ctx->nccl. A process alone has neither. */
rp_status rpi_gpu_ranks_agree(rp_context *ctx);
/* Leaves the others' GPUs; while the comm is open. */
void rpi_gpu_ranks_part(rp_context *ctx);

#endif
