/* SPDX-License-Identifier: Apache-2.0
 * tests/support/gpu_context.h -- contexts on the emulated GPU, for tests of the public interface.
 * Lives here: how one is made and ended, what the GPU has counted. Not here: the GPU (tests/emulator). */
#ifndef GPU_CONTEXT_H
#define GPU_CONTEXT_H

#include "tests/support/api_check.h"

#include "tests/emulator/emu.h"

/* The path of the library that is driver and compiler; NULL: this is no run of ctest. */
static inline const char *gpu_library(void) { return getenv("RPI_EMULATED_CUDA"); }

/* `more` are further options. */
static inline rp_context *gpu_context(const char *more) {
  char config[9000];
  rp_context *c = NULL;
  snprintf(config, sizeof config,
           "--gpus 1 --cuda %s --nvrtc %s --tier 1 --threads 1 --pin off --cc none %s %s",
           gpu_library(), gpu_library(), strstr(more, "cache") ? "" : "--cache_dir " GPU_CACHE,
           more);
  OK(rp_context_create(config, &c));
  return c;
}

/* Nothing is left of it on the GPU. */
static inline void end(rp_context *c) {
  OK(rp_context_destroy(c));
  emu_check_empty();
}

static inline struct emu_counts counts(void) {
  struct emu_counts n;
  emu_counts(&n);
  return n;
}

#endif
