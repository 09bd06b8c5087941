/* SPDX-License-Identifier: Apache-2.0
 * core/device/cuda.c -- see cuda.h.
 * How: all names are looked up before the first call, since the driver's words for errors are functions, too; verdicts come
 *      afterwards, in the order in which they explain each other: not a driver, too old, not initialized (a stub answers
 *      every call so), a function missing, no GPU. Names are strings, for <cuda.h> defines some as macros. */
#include "core/device/cuda.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/opened.h"

#define LIBRARY "libcuda.so.1"

/* Versions as CUDA writes them: 12040 is 12.4. */
#define MAJOR(v) ((v) / 1000)
#define MINOR(v) ((v) % 1000 / 10)

/* ---- names ------------------------------------------------------------------------------------------ */

/* Fills the table; the first name that is missing and needed, or NULL. */
static const char *find_all(void *so, rpi_cuda *cu) {
  const char *missing = NULL;
#define RPI_CUDA_FN(field, symbol, arguments) \
  if (!rpi_opened_find(so, symbol, &cu->field) && !missing) missing = symbol;
#define RPI_CUDA_OPT(field, symbol, arguments) (void)rpi_opened_find(so, symbol, &cu->field);
#include "core/device/cuda_driver.def"
#undef RPI_CUDA_OPT
#undef RPI_CUDA_FN
  return missing;
}

const char *rpi_cuda_error(const rpi_cuda *cu, CUresult error, char *text, size_t size) {
  const char *name = NULL, *string = NULL;
  if (cu->error_name) cu->error_name(error, &name);
  if (cu->error_string) cu->error_string(error, &string);
  if (name && string) {
    snprintf(text, size, "%s (%s)", name, string);
  } else {
    snprintf(text, size, "error %d", (int)error);
  }
  return text;
}

/* ---- verdicts --------------------------------------------------------------------------------------- */

static rp_status is_new_enough(rpi_cuda *cu, const char *file) {
  int version = 0;
  /* The stub has no version: what it is, cuInit says. */
  if (cu->driver_version(&version) != CUDA_SUCCESS) return RP_OK;
  cu->driver = version;
  if (version >= RPI_CUDA_OLDEST) return RP_OK;
  return rpi_status_fail(RP_ERR_DEVICE,
                         "the CUDA driver %s is too old: it has CUDA %d.%d, and 12.0 is needed",
                         file, MAJOR(version), MINOR(version));
}

static rp_status sees_none(const rpi_cuda *cu) {
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  return rpi_status_fail(RP_ERR_DEVICE, "the CUDA driver (CUDA %d.%d) sees no GPU%s%s%s",
                         MAJOR(cu->driver), MINOR(cu->driver),
                         visible ? "; CUDA_VISIBLE_DEVICES is \"" : "", visible ? visible : "",
                         visible ? "\"" : "");
}

static rp_status begins(const rpi_cuda *cu, const char *file) {
  char text[256];
  const CUresult error = cu->init(0);
  switch (error) {
    case CUDA_SUCCESS: return RP_OK;
    case CUDA_ERROR_STUB_LIBRARY:
      return rpi_status_fail(
          RP_ERR_DEVICE,
          "%s is the stub of the CUDA toolkit, which is there to link with: the library of "
          "the NVIDIA driver is needed",
          file);
    case CUDA_ERROR_NO_DEVICE: return sees_none(cu);
    default:
      return rpi_status_fail(
          RP_ERR_DEVICE, "the CUDA driver %s (CUDA %d.%d) does not begin: cuInit: %s", file,
          MAJOR(cu->driver), MINOR(cu->driver), rpi_cuda_error(cu, error, text, sizeof text));
  }
}

static rp_status counts(rpi_cuda *cu) {
  char text[256];
  int n = 0;
  const CUresult error = cu->device_count(&n);
  if (error != CUDA_SUCCESS)
    return rpi_status_fail(RP_ERR_DEVICE,
                           "the CUDA driver does not count its GPUs: cuDeviceGetCount: %s",
                           rpi_cuda_error(cu, error, text, sizeof text));
  cu->devices = n;
  return n > 0 ? RP_OK : sees_none(cu);
}

static rp_status load(const char *library, void *table) {
  rpi_cuda *cu = table;
  const char *file = *library ? library : LIBRARY;
  void *so = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!so) {
    const char *why = dlerror();
    return rpi_status_fail(
        RP_ERR_DEVICE,
        "no CUDA driver: a GPU needs the library of the NVIDIA driver, which cannot be "
        "loaded: %s",
        why ? why : file);
  }
  const char *missing = find_all(so, cu);
  cu->process = (int32_t)getpid();
  if (!cu->init || !cu->driver_version)
    return rpi_status_fail(RP_ERR_DEVICE, "%s is no CUDA driver: it has no function %s", file,
                           cu->init ? "cuDriverGetVersion" : "cuInit");
  RPI_TRY(is_new_enough(cu, file));
  RPI_TRY(begins(cu, file));
  if (missing)
    return rpi_status_fail(
        RP_ERR_DEVICE,
        "the CUDA driver %s (CUDA %d.%d) has no function %s, which drivers have from CUDA 12.0 "
        "on: it is too old, or another library of that name",
        file, MAJOR(cu->driver), MINOR(cu->driver), missing);
  return counts(cu);
}

rp_status rpi_cuda_open(const char *library, const rpi_cuda **out) {
  static rpi_opened_list all = RPI_OPENED_LIST;
  const void *table;
  *out = NULL;
  RPI_TRY(rpi_opened_get(&all, library, sizeof **out, load, &table));
  const rpi_cuda *cu = table;
  if (cu->process != (int32_t)getpid())
    return rpi_status_fail(RP_ERR_DEVICE,
                           "no GPU in this process: it was forked from process %d, in which the "
                           "CUDA driver had begun, and such a driver works in no child",
                           (int)cu->process);
  *out = cu;
  return RP_OK;
}
