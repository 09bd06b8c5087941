/* SPDX-License-Identifier: Apache-2.0
 * core/device/cuda.c -- see cuda.h.
 * How: all names are looked up before the first call, since the driver's words for errors are functions, too; verdicts come
 *      afterwards, in the order in which they explain each other: not a driver, too old, not initialized (a stub answers
 *      every call so), a function missing, no GPU. Names are strings, for <cuda.h> defines some as macros. */
#include "core/device/cuda.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"

#define LIBRARY "libcuda.so.1"

/* Versions as CUDA writes them: 12040 is 12.4. */
#define MAJOR(v) ((v) / 1000)
#define MINOR(v) ((v) % 1000 / 10)

typedef struct opened {
  struct opened *next;
  rpi_cuda cuda;
  rp_status status;
  char *sentence; /* of a refusal */
  char library[]; /* as it was asked for */
} opened;

static struct {
  pthread_mutex_t lock;
  opened *first;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- names ------------------------------------------------------------------------------------------ */

/* Puts the address of `symbol` into the function pointer at `out`. */
static bool find(void *so, const char *symbol, void *out) {
  void *address = dlsym(so, symbol);
  memcpy(out, &address, sizeof address); /* C has no cast from an object to a function */
  return address != NULL;
}

/* Fills the table; the first name that is missing and needed, or NULL. */
static const char *find_all(void *so, rpi_cuda *cu) {
  const char *missing = NULL;
#define RPI_CUDA_FN(field, symbol, arguments) \
  if (!find(so, symbol, &cu->field) && !missing) missing = symbol;
#define RPI_CUDA_OPT(field, symbol, arguments) find(so, symbol, &cu->field);
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

static rp_status load(const char *file, rpi_cuda *cu) {
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

/* ---- once ------------------------------------------------------------------------------------------- */

static opened *open_first(const char *library) {
  opened *o = rpi_alloc_zero(sizeof *o + strlen(library) + 1);
  if (!o) return NULL;
  strcpy(o->library, library);
  o->status = load(*library ? library : LIBRARY, &o->cuda);
  if (o->status != RP_OK && (o->sentence = rpi_alloc_string(rpi_status_message())) == NULL) {
    rpi_alloc_free(o);
    return NULL;
  }
  o->next = all.first;
  all.first = o;
  return o;
}

rp_status rpi_cuda_open(const char *library, const rpi_cuda **out) {
  if (!library) library = "";
  *out = NULL;
  pthread_mutex_lock(&all.lock);
  const opened *o = all.first;
  while (o && strcmp(o->library, library) != 0) o = o->next;
  if (!o) o = open_first(library);
  pthread_mutex_unlock(&all.lock);
  if (!o) return rpi_status_nomem("the CUDA driver's functions");
  if (o->status != RP_OK) return rpi_status_fail(o->status, "%s", o->sentence);
  *out = &o->cuda;
  return RP_OK;
}
