/* SPDX-License-Identifier: Apache-2.0
 * tests/support/gpu_module.h -- a kernel's text as a module of the (emulated) GPU, as a library that brings its own makes it. */
#ifndef GPU_MODULE_H
#define GPU_MODULE_H

#include "tests/support/gpu_context.h"

typedef struct gpu_module {
  CUmodule module;
  CUfunction function;
} gpu_module;

/* The kernel `name` of the only text that a file has. It is compiled once. */
static inline CUresult gpu_module_load(const char *text, const char *name, gpu_module *m) {
  static const char *const options[] = {"--gpu-architecture=sm_90"};
  static char *image;
  nvrtcProgram p;
  size_t n;
  if (!image) {
    assert_int_equal(nvrtcCreateProgram(&p, text, name, 0, NULL, NULL), 0);
    assert_int_equal(nvrtcCompileProgram(p, 1, options), 0);
    assert_int_equal(nvrtcGetCUBINSize(p, &n), 0);
    image = malloc(n);
    assert_int_equal(nvrtcGetCUBIN(p, image), 0);
    nvrtcDestroyProgram(&p);
  }
  const CUresult e = cu_module_load(&m->module, image);
  return e == CUDA_SUCCESS ? cu_function_get(&m->function, m->module, name) : e;
}

#endif
