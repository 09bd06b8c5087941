/* SPDX-License-Identifier: Apache-2.0
 * tests/support/gpu_context.h -- contexts on the emulated GPU, for tests of the public interface.
 * Lives here: how one is made and ended, a function of the host's, what the GPU has counted, a program run once for each call of the driver
 * that can fail. Not here: the GPU (tests/emulator). */
#ifndef GPU_CONTEXT_H
#define GPU_CONTEXT_H

#include "tests/support/api_check.h"

#include "tests/emulator/emu.h"

/* The path of the library that is driver and compiler; NULL: this is no run of ctest. */
static inline const char *gpu_library(void) { return getenv("RPI_EMULATED_CUDA"); }

/* Says so where that is NULL: the test is skipped, with status 77. */
static inline bool gpu_missing(void) {
  if (!gpu_library()) fprintf(stderr, "RPI_EMULATED_CUDA is not set\n");
  return !gpu_library();
}

/* `more` are further options. */
static inline rp_status gpu_context_try(const char *more, rp_context **out) {
  char config[9000];
  snprintf(config, sizeof config,
           "--gpus 1 --cuda %s --nvrtc %s --tier 1 --threads 1 --pin off --cc none %s %s",
           gpu_library(), gpu_library(), strstr(more, "cache") ? "" : "--cache_dir " GPU_CACHE,
           more);
  return rp_context_create(config, out);
}

static inline rp_context *gpu_context(const char *more) {
  rp_context *c = NULL;
  OK(gpu_context_try(more, &c));
  return c;
}

static inline void add_one(double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] += 1;
}

/* A C function of the host's: x = x + 1. */
static inline rp_op *gpu_add_one(rp_context *c) {
  static const int32_t both[] = {RP_PRIV_READ_WRITE};
  static const rp_opaque_arg args[] = {{RP_ARG_PTR, 0, 0, 0, 0}, {RP_ARG_SIZE, 0, 0, 0, 0}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "add_one",
                            .params = "x",
                            .privileges = both,
                            .args = args,
                            .n_args = 2,
                            .function = (void (*)(void))add_one,
                            .flags = RP_OPAQUE_DENSE};
  return check_opaque(c, &d);
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

/* Runs `life`, a program that makes its context and ends it, with each of the driver's calls failing in turn: it gives
 * an error of the device, of memory or `also`, or does without, and nothing is left. */
static inline void gpu_each_call_fails(rp_status (*life)(void), rp_status also) {
  static const CUresult codes[] = {CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_LAUNCH_FAILED};
  const int64_t from = emu_calls();
  int64_t failed = 0;
  OK(life());
  const int64_t calls = emu_calls() - from;
  assert_in_range(calls, 50, 2000);
  for (int k = 0; k < 2; k++)
    for (int64_t i = 1; i <= calls; i++) {
      emu_fail(i, codes[k]);
      const rp_status st = life();
      emu_fail(0, CUDA_SUCCESS);
      if (st != RP_OK && st != RP_ERR_DEVICE && st != RP_ERR_MEMORY && st != also)
        fail_msg("call %lld: %s, %s", (long long)i, rp_status_name(st), rp_last_error());
      failed += st != RP_OK;
      emu_check_empty();
    }
  assert_in_range(failed, calls, 2 * calls);
}

#endif
