/* SPDX-License-Identifier: Apache-2.0
 * core/comm/ucx_worker.h -- UCX as this library uses it: its functions, one context, one worker.
 *
 * Lives here: loading, the settings that must not be UCX's defaults, endpoints, sleeping.
 * Not here:   messages and failures (comm_ucx.c), which calls the functions of the table itself.
 * Threads:    one thread at a time; UCX moves nothing but in ucp_worker_progress. */
#ifndef RPI_UCX_WORKER_H
#define RPI_UCX_WORKER_H

#include <ucp/api/ucp.h>

#include "core/base/status.h"

typedef struct rpi_ucx {
#define RPI_UCX_FN(name) __typeof__(name) *name;
#include "core/comm/ucx.def"
#undef RPI_UCX_FN
  ucp_context_h context;
  ucp_worker_h worker;
  ucp_address_t *address; /* what peers need to reach the worker */
  size_t address_bytes;
  int wake; /* readable when something has arrived since it was armed */
} rpi_ucx;

/* For `size` ranks, `local` of them on this machine. */
rp_status rpi_ucx_open(rpi_ucx *u, int32_t size, int32_t local);
void rpi_ucx_close(rpi_ucx *u);
/* An endpoint whose failure calls `lost` with `arg`, from within ucp_worker_progress. */
rp_status rpi_ucx_connect(rpi_ucx *u, const void *address, ucp_err_handler_cb_t lost, void *arg,
                          ucp_ep_h *out);
/* Of a request with a callback, which gets `arg`. Told what memory it is, UCX does not search for that. */
ucp_request_param_t rpi_ucx_param(uint32_t flags, void *arg);
/* Sleeps until something has arrived, at most `ms` milliseconds. */
void rpi_ucx_sleep(rpi_ucx *u, int32_t ms);
/* Moves what is on its way until all that was sent has left, at most `ms` milliseconds; false: not all has. */
bool rpi_ucx_flush(rpi_ucx *u, int32_t ms);

#endif
