/* SPDX-License-Identifier: Apache-2.0
 * core/device/device_code.c -- modules, their functions, launches.
 * Lives here: what turns a cubin into launches. Not here: how it is compiled (jit/nvrtc.h), graphs.
 * How: a kernel's parameters are one struct, which the driver copies when it is called. */
#include "core/device/device_impl.h"

rp_status rpi_device_module(rpi_device *d, const void *image, CUmodule *out) {
  *out = NULL;
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = d->cu->module_load(out, image);
  CUmodule lost = e == CUDA_SUCCESS ? *out : NULL;
  const rp_status st = rpi_device_leave(d, e, "cuModuleLoadData", "for sm_%d", d->facts.arch);
  if (st == RP_OK) return RP_OK;
  *out = NULL;
  rpi_device_module_unload(d, lost); /* it was loaded, and what came behind it failed */
  return st;
}

void rpi_device_module_unload(rpi_device *d, CUmodule m) {
  if (!m || rpi_device_enter(d) != RP_OK) return;
  (void)rpi_device_leave(d, d->cu->module_unload(m), "cuModuleUnload", "%s", "");
}

static CUresult function_get(rpi_device *d, CUmodule m, const char *name, rpi_device_function *out,
                             const char **call) {
  const struct {
    CUfunction_attribute which;
    int32_t *value;
  } attributes[] = {{CU_FUNC_ATTRIBUTE_NUM_REGS, &out->registers},
                    {CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, &out->local},
                    {CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, &out->shared},
                    {CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &out->threads_most}};
  *call = "cuModuleGetFunction";
  CUresult e = d->cu->function_get(&out->function, m, name);
  for (int32_t i = 0; i < RPI_COUNT(attributes) && e == CUDA_SUCCESS; i++) {
    *call = "cuFuncGetAttribute";
    e = d->cu->function_attribute(attributes[i].value, attributes[i].which, out->function);
  }
  return e;
}

rp_status rpi_device_function_get(rpi_device *d, CUmodule m, const char *name,
                                  rpi_device_function *out) {
  const char *call;
  *out = (rpi_device_function){0};
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = function_get(d, m, name, out, &call);
  return rpi_device_leave(d, e, call, "of %s", name);
}

rp_status rpi_device_occupancy(rpi_device *d, CUfunction f, int32_t threads, int32_t *out) {
  *out = 0;
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = d->cu->occupancy(out, f, threads, 0);
  return rpi_device_leave(d, e, "cuOccupancyMaxActiveBlocksPerMultiprocessor",
                          "with blocks of %d threads", threads);
}

rp_status rpi_device_launch(rpi_device *d, CUfunction f, int32_t grid, int32_t block,
                            const void *parameters, int64_t bytes) {
  size_t size = (size_t)bytes;
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)(uintptr_t)parameters,
                   CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
  rpi_assert(grid > 0 && block > 0);
  RPI_TRY(rpi_device_enter(d));
  const CUresult e = d->cu->launch(f, (unsigned int)grid, 1, 1, (unsigned int)block, 1, 1, 0,
                                   d->stream, NULL, extra);
  RPI_TRY(rpi_device_leave(d, e, "cuLaunchKernel",
                           "of %d blocks of %d threads with %lld bytes of parameters", grid, block,
                           (long long)bytes));
  d->stats.launches++;
  return RP_OK;
}
