/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_module.c -- modules, their functions, and launches of them.
 *
 * Lives here: cuModule*, cuFunc*, cuOccupancy*, cuLaunchKernel.
 * Not here:   making the code (emu_nvrtc.c), running it (emu_block.c).
 * How:        an image is a shared object behind an emu_cubin; it is opened from a file of its own, which is gone at once. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/emulator/emu_inside.h"

enum { THREADS_MOST = 1024, PARAMETERS_MOST = 32764 };

void *emu_module_open(const void *bytes, size_t n, const struct rpg_unit **unit) {
  static _Atomic unsigned number; /* the loader takes equal paths for one object */
  char path[512];
  const char *folder = getenv("TMPDIR");
  snprintf(path, sizeof path, "%s/emulated-%d-%u.so", folder ? folder : "/tmp", (int)getpid(),
           atomic_fetch_add(&number, 1u));
  const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
  if (fd < 0) emu_die("no file for a module: %s", path);
  void *library = NULL;
  const bool written = write(fd, bytes, n) == (ssize_t)n;
  close(fd);
  if (written) library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  unlink(path);
  *unit = library ? dlsym(library, "rpg_unit") : NULL;
  if (library && *unit) return library;
  emu_log("  %s", dlerror());
  if (library) dlclose(library);
  return NULL;
}

CUresult cu_module_load(CUmodule *module, const void *image) {
  EMU_ENTER(module_load, EMU_CURRENT);
  emu_cubin head;
  if (!image) return CUDA_ERROR_INVALID_VALUE;
  memcpy(&head, image, sizeof head);
  if (memcmp(head.magic, EMU_CUBIN_MAGIC, sizeof head.magic) != 0) return CUDA_ERROR_INVALID_IMAGE;
  if (head.compiler > emu_driver() / 1000) return CUDA_ERROR_INVALID_IMAGE; /* of a later CUDA */
  if (head.arch / 10 != 9 || head.arch > 90) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  const struct rpg_unit *unit;
  void *library = emu_module_open((const char *)image + sizeof head, head.bytes, &unit);
  if (!library) return CUDA_ERROR_INVALID_IMAGE;
  const char *loops = getenv("EMU_LOOPS");
  for (const struct rpg_fact *f = unit->facts; f < unit->facts_end; f++)
    if (loops && strcmp(loops, "unlinked") == 0 && strcmp(f->name, "rpk_go_on") == 0) {
      dlclose(library);
      return CUDA_ERROR_NOT_FOUND;
    }
  *module = emu_handle_make(EMU_MODULE, sizeof **module, emu_context_device());
  (*module)->library = library;
  (*module)->unit = unit;
  (*module)->functions = emu_get((size_t)(unit->facts_end - unit->facts) * sizeof(CUfunction));
  return CUDA_SUCCESS;
}

CUresult cu_module_unload(CUmodule module) {
  EMU_ENTER(module_unload, EMU_CURRENT | EMU_RELEASES);
  emu_handle_check(module, EMU_MODULE);
  for (ptrdiff_t i = 0; i < module->unit->facts_end - module->unit->facts; i++)
    if (module->functions[i]) emu_handle_end(module->functions[i]);
  free(module->functions);
  module->functions = NULL;
  emu_handle_end(module);
  dlclose(module->library);
  return late;
}

CUresult cu_function_get(CUfunction *function, CUmodule module, const char *name) {
  EMU_ENTER(function_get, EMU_CURRENT);
  emu_handle_check(module, EMU_MODULE);
  for (const struct rpg_fact *f = module->unit->facts; f < module->unit->facts_end; f++)
    if (strcmp(f->name, name) == 0) {
      CUfunction *known = &module->functions[f - module->unit->facts];
      if (!*known) {
        *known = emu_handle_make(EMU_FUNCTION, sizeof **known, module->handle.device);
        (*known)->module = module;
        (*known)->fact = f;
      }
      *function = *known;
      return CUDA_SUCCESS;
    }
  return CUDA_ERROR_NOT_FOUND;
}

CUresult cu_function_attribute(int *value, CUfunction_attribute which, CUfunction function) {
  EMU_ENTER(function_attribute, EMU_CURRENT);
  emu_handle_check(function, EMU_FUNCTION);
  switch (which) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = THREADS_MOST; break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES: *value = 0; break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = 32; break;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult cu_occupancy(int *blocks, CUfunction function, int threads, size_t shared) {
  EMU_ENTER(occupancy, EMU_CURRENT);
  emu_handle_check(function, EMU_FUNCTION);
  if (threads < 1 || threads > THREADS_MOST || shared) return CUDA_ERROR_INVALID_VALUE;
  *blocks = 2048 / threads > 32 ? 32 : 2048 / threads;
  return CUDA_SUCCESS;
}

/* The one struct that `extra` says; NULL if there is none. */
static const void *block_of(void **extra, size_t *bytes) {
  const void *at = NULL;
  *bytes = 0;
  for (; extra && *extra != CU_LAUNCH_PARAM_END; extra += 2) {
    if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
      at = extra[1];
    else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
      *bytes = *(const size_t *)extra[1];
    else
      emu_die("extra says %p, which is no word of cuLaunchKernel", *extra);
  }
  return at;
}

CUresult emu_kernel_make(CUfunction f, const uint32_t grid[3], const uint32_t block[3],
                         uint32_t shared, void **parameters, void **extra, emu_kernel *out) {
  emu_handle_check(f, EMU_FUNCTION);
  if (f->handle.device != emu_context_device()) return CUDA_ERROR_INVALID_HANDLE;
  if (!grid[0] || !grid[1] || !grid[2] || !block[0] || !block[1] || !block[2])
    return CUDA_ERROR_INVALID_VALUE;
  if (block[0] > THREADS_MOST || grid[0] > INT32_MAX) return CUDA_ERROR_INVALID_VALUE;
  if (grid[1] * grid[2] != 1 || block[1] * block[2] != 1 || shared)
    emu_die("only grids and blocks of one dimension, without dynamic shared memory, are emulated");
  if (parameters && extra) return CUDA_ERROR_INVALID_VALUE;
  if (parameters) emu_die("parameters one by one are not emulated: give `extra`");
  size_t bytes;
  const void *at = block_of(extra, &bytes);
  if (bytes > PARAMETERS_MOST) return CUDA_ERROR_INVALID_VALUE;
  if (!at || bytes != f->fact->bytes)
    emu_die("kernel %s takes %zu bytes of parameters and is given %zu", f->fact->name,
            f->fact->bytes, at ? bytes : 0);
  *out =
      (emu_kernel){.function = f, .grid = grid[0], .block = block[0], .parameters = emu_get(bytes)};
  memcpy(out->parameters, at, bytes);
  return CUDA_SUCCESS;
}

CUresult cu_launch(CUfunction function, unsigned int grid_x, unsigned int grid_y,
                   unsigned int grid_z, unsigned int block_x, unsigned int block_y,
                   unsigned int block_z, unsigned int shared, CUstream stream, void **parameters,
                   void **extra) {
  EMU_ENTER(launch, EMU_CURRENT);
  if (!emu_stream_check(stream)) return CUDA_ERROR_INVALID_HANDLE;
  const uint32_t grid[] = {grid_x, grid_y, grid_z}, block[] = {block_x, block_y, block_z};
  emu_work w = {.kind = EMU_WORK_KERNEL};
  const CUresult bad =
      emu_kernel_make(function, grid, block, shared, parameters, extra, &w.u.kernel);
  if (bad) return bad;
  emu_counted.launches++;
  return emu_stream_add(stream, &w);
}
