/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_avx2_wide.c -- the interpreter's loops at level avx2: the 8-byte dtypes, casts from and to them.
 * Needs -fno-math-errno -Wno-pedantic and
 * -mavx2 -mfma. All else is in interp_loops.h. */
#define RPV_W 4
#define RPV_BITS 256
#define RPV_MASK 8
#define RPI_LOOPS_WIDE 1
#define RPI_LOOPS_TABLE rpi_loops_avx2_wide
#include "jit/interp_loops.h"
