/* SPDX-License-Identifier: Apache-2.0
 * core/comm/ucx_worker.c -- see ucx_worker.h.
 * How: endpoints are made in UCX's mode that reports a peer's end, for without it a dead peer is a hang. In that
 *      mode UCX drops shared memory unless told that its transports may be watched; then it costs nothing
 *      (measured on one machine: 8 bytes in 1.8 us, else 22). How many endpoints to expect decides which
 *      transports UCX takes: we make few, to neighbours and in trees, whatever the number of ranks. */
#include "core/comm/ucx_worker.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/comm/library.h"

#define LIBRARY "libucp.so.0"
enum { ENDPOINTS = 64 };

static rp_status load(rpi_ucx *u) {
  void *so;
  RPI_TRY(rpi_library_open(LIBRARY, &so));
#define RPI_UCX_FN(name) RPI_TRY(rpi_library_find(so, LIBRARY, #name, &u->name));
#include "core/comm/ucx.def"
#undef RPI_UCX_FN
  return RP_OK;
}

static rp_status fails(const rpi_ucx *u, const char *what, ucs_status_t st) {
  return rpi_status_fail(RP_ERR_RANKS, "UCX %s: %s", what, u->ucs_status_string(st));
}

/* A setting that the user's environment (UCX_name) goes before. What an UCX does not know it refuses, and does
 * without. */
static void set(rpi_ucx *u, ucp_config_t *config, const char *variable, const char *value) {
  if (!getenv(variable)) u->ucp_config_modify(config, variable + 4, value);
}

/* Whether the user lets UCX have shared memory; if not, UCX would warn of a setting without use. */
static bool may_share_memory(void) {
  static const char *const names[] = {"all", "sm", "shm", "mm", "posix", "sysv"};
  const char *wanted = getenv("UCX_TLS");
  bool named = false;
  for (int32_t i = 0; wanted && i < RPI_COUNT(names); i++)
    named = named || strstr(wanted, names[i]) != NULL;
  return !wanted || named != (wanted[0] == '^');
}

static rp_status open_context(rpi_ucx *u, int32_t size, int32_t local) {
  ucp_config_t *config;
  ucs_status_t st = u->ucp_config_read(NULL, NULL, &config);
  if (st != UCS_OK) return fails(u, "does not read its settings", st);
  if (may_share_memory()) set(u, config, "UCX_MM_ERROR_HANDLING", "y");
  /* How soon the end of a peer in shared memory is seen. */
  set(u, config, "UCX_KEEPALIVE_INTERVAL", "2s");
  const ucp_params_t params = {
      .field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_ESTIMATED_NUM_EPS |
                    UCP_PARAM_FIELD_ESTIMATED_NUM_PPN,
      .features = UCP_FEATURE_TAG | UCP_FEATURE_WAKEUP,
      .estimated_num_eps = (size_t)(size < ENDPOINTS ? size : ENDPOINTS),
      .estimated_num_ppn = (size_t)local,
  };
  st = u->ucp_init_version(UCP_API_MAJOR, UCP_API_MINOR, &params, config, &u->context);
  u->ucp_config_release(config);
  return st == UCS_OK ? RP_OK : fails(u, "does not start", st);
}

static rp_status open_worker(rpi_ucx *u) {
  const ucp_worker_params_t params = {
      .field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
      .thread_mode = UCS_THREAD_MODE_SERIALIZED,
  };
  ucs_status_t st = u->ucp_worker_create(u->context, &params, &u->worker);
  if (st != UCS_OK) return fails(u, "makes no worker", st);
  st = u->ucp_worker_get_efd(u->worker, &u->wake);
  if (st == UCS_OK) st = u->ucp_worker_get_address(u->worker, &u->address, &u->address_bytes);
  return st == UCS_OK ? RP_OK : fails(u, "makes no worker that can be reached", st);
}

rp_status rpi_ucx_open(rpi_ucx *u, int32_t size, int32_t local) {
  *u = (rpi_ucx){.wake = -1};
  RPI_TRY(load(u));
  rp_status st = open_context(u, size, local);
  if (st == RP_OK) st = open_worker(u);
  if (st != RP_OK) rpi_ucx_close(u);
  return st;
}

void rpi_ucx_close(rpi_ucx *u) {
  if (u->address) u->ucp_worker_release_address(u->worker, u->address);
  if (u->worker) u->ucp_worker_destroy(u->worker);
  if (u->context) u->ucp_cleanup(u->context);
  u->address = NULL;
  u->worker = NULL;
  u->context = NULL;
}

rp_status rpi_ucx_connect(rpi_ucx *u, const void *address, ucp_err_handler_cb_t lost, void *arg,
                          ucp_ep_h *out) {
  const ucp_ep_params_t params = {
      .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                    UCP_EP_PARAM_FIELD_ERR_HANDLER,
      .address = address,
      .err_mode = UCP_ERR_HANDLING_MODE_PEER,
      .err_handler = {.cb = lost, .arg = arg},
  };
  const ucs_status_t st = u->ucp_ep_create(u->worker, &params, out);
  return st == UCS_OK ? RP_OK : fails(u, "finds no way", st);
}

ucp_request_param_t rpi_ucx_param(uint32_t flags, void *arg) {
  return (ucp_request_param_t){
      .op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                      UCP_OP_ATTR_FIELD_MEMORY_TYPE | flags,
      .user_data = arg,
      .memory_type = UCS_MEMORY_TYPE_HOST,
  };
}

void rpi_ucx_sleep(rpi_ucx *u, int32_t ms) {
  /* Busy: something has arrived that was not looked at yet. */
  if (u->ucp_worker_arm(u->worker) != UCS_OK) return;
  struct pollfd p = {.fd = u->wake, .events = POLLIN};
  (void)poll(&p, 1, ms);
}

bool rpi_ucx_flush(rpi_ucx *u, int32_t ms) {
  const int64_t until = rpi_clock_ns() + (int64_t)ms * 1000000;
  const ucp_request_param_t param = {0};
  ucs_status_ptr_t r = u->ucp_worker_flush_nbx(u->worker, &param);
  if (!UCS_PTR_IS_PTR(r)) return UCS_PTR_STATUS(r) == UCS_OK;
  ucs_status_t st;
  while ((st = u->ucp_request_check_status(r)) == UCS_INPROGRESS && rpi_clock_ns() < until)
    if (u->ucp_worker_progress(u->worker) == 0) rpi_ucx_sleep(u, 1);
  u->ucp_request_free(r);
  return st == UCS_OK;
}
