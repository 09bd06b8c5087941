/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_context.c -- emulated GPUs, their primary contexts, and which is current.
 *
 * Lives here: cuInit, facts of devices, contexts, words for errors; handles of all kinds.
 * Not here:   what lives in a context. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/emulator/emu_inside.h"

enum { CONTEXTS_DEEP = 64 };
static const uint64_t magic = 0x656d756c61746564u;

emu_device emu_devices[EMU_DEVICES_MOST];
int32_t emu_n_devices;

static emu_handle *handles; /* all there ever were */
static _Thread_local CUcontext current[CONTEXTS_DEEP];
static _Thread_local int32_t n_current;

static const char *const kind_names[EMU_N_KINDS] = {"context",   "stream", "event", "module",
                                                    "function",  "graph",  "node",  "exec",
                                                    "condition", "pool"};
const char *emu_kind_name(emu_kind kind) { return kind_names[kind]; }

void *emu_handle_make(emu_kind kind, size_t size, emu_device *device) {
  emu_handle *h = emu_get(size);
  *h = (emu_handle){
      .magic = magic, .kind = kind, .call = emu_now, .device = device, .next = handles};
  handles = h;
  return h;
}

void emu_handle_check(const void *handle, emu_kind kind) {
  const emu_handle *h = handle;
  if (!h) emu_die("the %s is NULL", kind_names[kind]);
  if (h->magic != magic) emu_die("%p is no %s", handle, kind_names[kind]);
  if (h->kind != kind)
    emu_die("a %s is given where a %s is due", kind_names[h->kind], kind_names[kind]);
  if (h->dead) emu_die("the %s of call %lld has ended", kind_names[kind], (long long)h->call);
}

void emu_handle_end(void *handle) { ((emu_handle *)handle)->dead = true; }

void emu_handle_end_all(emu_device *device) {
  for (emu_handle *h = handles; h; h = h->next)
    if (h->device == device && h->kind != EMU_CONTEXT && h->kind != EMU_POOL) h->dead = true;
}

const emu_handle *emu_handle_alive(emu_kind kind, int64_t *n) {
  const emu_handle *one = NULL;
  *n = 0;
  for (const emu_handle *h = handles; h; h = h->next)
    if (h->kind == kind && !h->dead) {
      one = h;
      ++*n;
    }
  return one;
}

static int64_t number(const char *variable, int64_t otherwise) {
  const char *text = getenv(variable);
  return text && *text ? strtoll(text, NULL, 10) : otherwise;
}

static pid_t process; /* that cuInit was called in first */

/* No child of it that was made by fork has a driver that works. */
bool emu_forked(void) { return process && process != getpid(); }

CUresult cu_init(unsigned int flags) {
  EMU_ENTER(init, 0);
  if (emu_forked()) return CUDA_ERROR_NOT_INITIALIZED;
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  if (emu_n_devices) return CUDA_SUCCESS;
  process = getpid();
  const int64_t n = number("EMU_DEVICES", 1), memory = number("EMU_MEMORY_MB", 512);
  if (n == 0) return CUDA_ERROR_NO_DEVICE;
  if (n < 0 || n > EMU_DEVICES_MOST || memory < 1) return CUDA_ERROR_INVALID_VALUE;
  emu_faults_init();
  for (int32_t i = 0; i < n; i++) {
    emu_device *d = &emu_devices[i];
    *d = (emu_device){.ordinal = i, .memory = memory << 20};
    d->context = emu_handle_make(EMU_CONTEXT, sizeof *d->context, d);
    d->pool = emu_handle_make(EMU_POOL, sizeof *d->pool, d);
    emu_memory_init(d);
  }
  emu_n_devices = (int32_t)n;
  return CUDA_SUCCESS;
}

int emu_driver(void) { return (int)number("EMU_DRIVER", 13000); }

CUresult cu_driver_version(int *version) {
  EMU_ENTER(driver_version, 0);
  *version = emu_driver();
  return CUDA_SUCCESS;
}

static const struct {
  CUresult code;
  const char *name, *text;
} errors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {CUDA_ERROR_DEINITIALIZED, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
    {CUDA_ERROR_STUB_LIBRARY, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {CUDA_ERROR_ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE",
     "the operation cannot be performed in the present state"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
     "system has unsupported display driver / cuda driver combination"},
    {CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

/* Words for an error are had at any time; these two are not counted as calls, so that a fault does not hide a fault. */
CUresult cu_error_name(CUresult error, const char **text) {
  *text = NULL;
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (errors[i].code == error) *text = errors[i].name;
  return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cu_error_string(CUresult error, const char **text) {
  *text = NULL;
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (errors[i].code == error) *text = errors[i].text;
  return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- devices */

static bool known(CUdevice device) { return device >= 0 && device < emu_n_devices; }

CUresult cu_device_count(int *count) {
  EMU_ENTER(device_count, EMU_INIT | EMU_ANYWAY);
  *count = emu_n_devices;
  return CUDA_SUCCESS;
}

CUresult cu_device_get(CUdevice *device, int ordinal) {
  EMU_ENTER(device_get, EMU_INIT | EMU_ANYWAY);
  if (!known(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult cu_device_name(char *name, int size, CUdevice device) {
  EMU_ENTER(device_name, EMU_INIT | EMU_ANYWAY);
  if (!known(device)) return CUDA_ERROR_INVALID_DEVICE;
  if (size < 1) return CUDA_ERROR_INVALID_VALUE;
  snprintf(name, (size_t)size, "Emulated GPU %d", device);
  return CUDA_SUCCESS;
}

CUresult cu_device_attribute(int *value, CUdevice_attribute which, CUdevice device) {
  static const struct {
    CUdevice_attribute which;
    int value;
  } facts[] = {{CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, INT32_MAX},
               {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 4},
               {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 4 << 20},
               {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9},
               {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0},
               {CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, 1},
               {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1}};
  EMU_ENTER(device_attribute, EMU_INIT | EMU_ANYWAY);
  if (!known(device)) return CUDA_ERROR_INVALID_DEVICE;
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
    if (facts[i].which == which) {
      *value = facts[i].value;
      return CUDA_SUCCESS;
    }
  emu_die("attribute %d of a device is not known here", (int)which);
}

CUresult cu_device_memory(size_t *bytes, CUdevice device) {
  EMU_ENTER(device_memory, EMU_INIT | EMU_ANYWAY);
  if (!known(device)) return CUDA_ERROR_INVALID_DEVICE;
  *bytes = (size_t)emu_devices[device].memory;
  return CUDA_SUCCESS;
}

/* ---- contexts */

emu_device *emu_context_device(void) {
  return n_current && current[n_current - 1] ? current[n_current - 1]->handle.device : NULL;
}

int emu_current(void) {
  const emu_device *d = emu_context_device();
  return d ? d->ordinal : -1;
}

int32_t emu_context_depth(void) { return n_current; }

CUresult cu_context_retain(CUcontext *context, CUdevice device) {
  EMU_ENTER(context_retain, EMU_INIT | EMU_ANYWAY);
  if (!known(device)) return CUDA_ERROR_INVALID_DEVICE;
  emu_devices[device].retained++;
  *context = emu_devices[device].context;
  return CUDA_SUCCESS;
}

CUresult cu_context_release(CUdevice device) {
  EMU_ENTER(context_release, EMU_INIT | EMU_RELEASES | EMU_ANYWAY);
  if (!known(device)) return CUDA_ERROR_INVALID_DEVICE;
  emu_device *d = &emu_devices[device];
  if (!d->retained) emu_die("the context of GPU %d is not retained", device);
  if (--d->retained == 0 && (d->failed || d->sticky)) {
    emu_handle_end_all(d);
    emu_memory_end_all(d);
    d->sticky = CUDA_SUCCESS;
    d->failed = false;
  }
  return late;
}

CUresult cu_context_push(CUcontext context) {
  EMU_ENTER(context_push, EMU_INIT | EMU_ANYWAY);
  if (context) {
    emu_handle_check(context, EMU_CONTEXT);
    if (!context->handle.device->retained)
      emu_die("nobody retains the context of GPU %d", context->handle.device->ordinal);
  }
  if (n_current == CONTEXTS_DEEP) emu_die("%d contexts are current, one above another", n_current);
  current[n_current++] = context;
  return CUDA_SUCCESS;
}

CUresult cu_context_pop(CUcontext *context) {
  EMU_ENTER(context_pop, EMU_INIT | EMU_RELEASES | EMU_ANYWAY);
  if (!n_current) return CUDA_ERROR_INVALID_CONTEXT;
  const CUcontext top = current[--n_current];
  if (context) *context = top;
  return late;
}
