/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/api_gpu_op.c -- entry points for the functions of variants for the GPU, while they run.
 * Lives here: the checks of what they pass. Not here: what the calls do (core/exec/opaque_gpu.h). The context is inside a
 * call of its thread already. */
#include "core/exec/opaque_gpu.h"

static rp_status check_call(const rp_gpu_call *call, const char *name) {
  if (call && call->runtime) return RP_OK;
  return rpi_status_fail(RP_ERR_ARGUMENT, "%s: the call is %s", name,
                         call ? "none of the library's" : "NULL");
}

rp_status rp_gpu_workspace(const rp_gpu_call *call, int64_t bytes, uint64_t *out) {
  if (!out) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_gpu_workspace: out is NULL");
  *out = 0;
  RPI_TRY(check_call(call, "rp_gpu_workspace"));
  return rpi_opaque_gpu_workspace(call, bytes, out);
}

rp_status rp_gpu_keep(const rp_gpu_call *call, int64_t bytes, uint64_t *out) {
  if (!out) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_gpu_keep: out is NULL");
  *out = 0;
  RPI_TRY(check_call(call, "rp_gpu_keep"));
  return rpi_opaque_gpu_keep(call, bytes, out);
}

rp_status rp_gpu_drop(const rp_gpu_call *call, uint64_t address) {
  RPI_TRY(check_call(call, "rp_gpu_drop"));
  return rpi_opaque_gpu_drop(call, address);
}

rp_status rp_gpu_set_data(const rp_gpu_call *call, const void *key, void *data,
                          void (*free_data)(void *data)) {
  RPI_TRY(check_call(call, "rp_gpu_set_data"));
  if (!key) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_gpu_set_data: key is NULL");
  return rpi_opaque_gpu_set_data(call, key, data, free_data);
}

void *rp_gpu_data(const rp_gpu_call *call, const void *key) {
  return call && call->runtime ? rpi_opaque_gpu_data(call, key) : NULL;
}
