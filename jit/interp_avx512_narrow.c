/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_avx512_narrow.c -- the interpreter's loops at level avx512: the dtypes of up to 4 bytes.
 * Needs -fno-math-errno -Wno-pedantic and
 * -mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl. All else is in interp_loops.h. */
#define RPV_W 16
#define RPV_BITS 512
#define RPV_MASK 4
#define RPI_LOOPS_WIDE 0
#define RPI_LOOPS_TABLE rpi_loops_avx512_narrow
#include "jit/interp_loops.h"
