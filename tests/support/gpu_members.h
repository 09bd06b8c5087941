/* SPDX-License-Identifier: Apache-2.0
 * tests/support/gpu_members.h -- one program on several ranks with emulated GPUs, threads of one process.
 * Lives here: their configuration. Not here: starting and comparing them (members.h), the GPU (tests/emulator). Include it
 * first. */
#ifndef GPU_MEMBERS_H
#define GPU_MEMBERS_H

#include "tests/support/members.h"

/* `usual`: options of the test's; `more`: further ones. Both are all ranks'. */
static inline void members_on_gpus(member *all, int32_t ranks, const char *usual, const char *more,
                                   rp_status (*program)(member *), int64_t n) {
  static char config[8000];
  const char *library = getenv("RPI_EMULATED_CUDA");
  snprintf(config, sizeof config,
           "--gpus 1 --cuda %s --nvrtc %s --cache_dir " GPU_CACHE
           " --cc none --threads 1 --tile 0 %s %s",
           library, library, usual, more);
  run(all, ranks, config, program, n);
}

#endif
