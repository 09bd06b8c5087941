/* SPDX-License-Identifier: Apache-2.0
 * tests/support/lanes_one.c -- the text of GPU kernels, as far as it says what an operation computes,
 * compiled for the CPU: its functions as rows. Needs what lanes.h needs. */
#define RPG_HOST
#define RPG_HOST_BITS 256
#define RPG_DEVICE static inline __attribute__((always_inline, unused))
#define RPV_USE_ALL
#include "jit/lanes_cuda.h"

#include "jit/lanes.h"
#if defined(RPV_MOVES) || defined(RPV_VECTOR)
#error "the scalars alone have vectors"
#endif
#include "tests/support/lanes_table.h"

const lanes_row *rpi_lanes_one_rows(int *n) {
  *n = N_ROWS;
  return rows;
}
