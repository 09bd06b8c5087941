/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_avx2_narrow.c -- the interpreter's loops at level avx2: the dtypes of up to 4 bytes.
 * Needs -fno-math-errno -Wno-pedantic and
 * -mavx2 -mfma. All else is in interp_loops.h. */
#define RPV_W 8
#define RPV_BITS 256
#define RPV_MASK 4
#define RPI_LOOPS_WIDE 0
#define RPI_LOOPS_TABLE rpi_loops_avx2_narrow
#include "jit/interp_loops.h"
