/* SPDX-License-Identifier: Apache-2.0
 * trace/gpu_bind.h -- memory of a plan on the GPU, each time it runs.
 * Lives here: what a commit does beside binding on the host: instances come to where the plan wants them at entry, scratch
 *             and flags have memory, and afterwards instances know where their values are.
 * Not here:   which side that is (sides.h), moving (core/model/residence.h).
 * Without a GPU none of this is called. */
#ifndef RPI_GPU_BIND_H
#define RPI_GPU_BIND_H

#include "trace/lower.h"

/* *n: how many GPUs this process, which is alone, is to use; 1 where rpi_gpu_bind_open says what becomes of it.
 * RP_ERR_CONFIG: there are fewer. */
rp_status rpi_gpu_bind_several(const rpi_config *c, int32_t *n);
/* Opens what the knobs ask for: ctx->device, or NULL where none is to be used. RP_ERR_DEVICE if one was asked for by
 * number and cannot be had. */
rp_status rpi_gpu_bind_open(rp_context *ctx);
/* Gives back what the context has there; the device is the pool's to close. */
void rpi_gpu_bind_close(rp_context *ctx);
/* The kernels' side says why it cannot use the device: if nobody has asked for a GPU the context has none from now on, and
 * RP_OK; else `why`. */
rp_status rpi_gpu_bind_without(rp_context *ctx, rp_status why);
/* The symbols' instances are known (ctx->instances); fills in ctx->pointers and ctx->addresses. */
rp_status rpi_gpu_bind_symbols(rp_context *ctx, rpi_bound *b);
/* While it runs: more of a symbol is used (rpi_run_reach; arg: the context). */
rp_status rpi_gpu_bind_reach(void *arg, int32_t symbol, rpi_hull more);
/* The plan has been run, or queued: the instances' values are where it leaves them. */
void rpi_gpu_bind_settle(rp_context *ctx, const rpi_bound *b);
/* Flags that kernels on the GPU may have raised come to ctx->flags; waits, if there can be any. */
rp_status rpi_gpu_bind_flags(rp_context *ctx, const rpi_bound *b);

#endif
