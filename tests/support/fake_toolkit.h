/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_toolkit.h -- what libraries in the place of the toolkit's share: each does its work by kernels of the
 * emulated GPU. Lives here: compiling these, launching one, a sentence for misuse. Define FAKE_NAME first. */
#ifndef FAKE_TOOLKIT_H
#define FAKE_TOOLKIT_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/emulator/emu.h"

#define FAKE_API __attribute__((visibility("default")))

static inline void check(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "fake " FAKE_NAME ": %s\n", what);
  abort();
}

/* The text, compiled once: *cubin is NULL at first. */
static inline const char *fake_image(const char *text, char **cubin) {
  static const char *const options[] = {"--gpu-architecture=sm_90"};
  nvrtcProgram p;
  size_t n;
  if (*cubin) return *cubin;
  check(nvrtcCreateProgram(&p, text, FAKE_NAME, 0, NULL, NULL) == 0, "no program");
  check(nvrtcCompileProgram(p, 1, options) == 0, "the text does not compile");
  nvrtcGetCUBINSize(p, &n);
  *cubin = malloc(n);
  nvrtcGetCUBIN(p, *cubin);
  nvrtcDestroyProgram(&p);
  return *cubin;
}

/* Queues `threads` threads, and perhaps some more, with one struct as the parameter. */
static inline CUresult fake_launch(CUfunction f, CUstream stream, int64_t threads,
                                   const void *parameters, size_t bytes) {
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)(uintptr_t)parameters,
                   CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  return cu_launch(f, (unsigned)((threads + 63) / 64), 1, 1, 64, 1, 1, 0, stream, NULL, extra);
}

#endif
