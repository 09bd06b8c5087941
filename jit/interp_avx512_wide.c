/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_avx512_wide.c -- the interpreter's loops at level avx512: the 8-byte dtypes, casts from and to them.
 * Needs -fno-math-errno -Wno-pedantic and
 * -mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl. All else is in interp_loops.h. */
#define RPV_W 8
#define RPV_BITS 512
#define RPV_MASK 8
#define RPI_LOOPS_WIDE 1
#define RPI_LOOPS_TABLE rpi_loops_avx512_wide
#include "jit/interp_loops.h"
