/* SPDX-License-Identifier: Apache-2.0
 * jit/lanes.h -- what an IR operation computes, once for every tier: vectors and scalars.
 *
 * Lives here: the meaning, to the bit, of each operation of ir_ops.def on each dtype, of the combine
 *             operators of reductions, and of loads and stores of W lanes.
 * Not here:   which operations a kernel has (interp_loops.h, emit_c), the order of a reduction.
 *
 * Who reads:  the interpreter's loop files include it; the build puts its parts in place of the includes
 *             below, and embeds the whole as a string that opens every generated C kernel. So it
 *             includes nothing else, and one text holds it once. It needs
 *             gcc >= 12 or clang >= 14, x86-64, C11 or later, -mavx2 -mfma (level 512: also
 *             -mavx512f -mavx512bw -mavx512dq -mavx512vl), -ffp-contract=off -fno-math-errno.
 *
 * The scalars alone: RPV_ONE before it leaves out all vectors, by leaving out what RPV_WIDE holds; RPV_W and
 *             RPV_MASK are not needed then. That text is C11 and C++17, and with RPV_CUDA what NVRTC
 *             compiles for a GPU (lanes_cuda.h): the functions of <math.h> are then CUDA's, so class E
 *             keeps its bits and class M has those of CUDA's. Without RPV_CUDA it is the same text run
 *             on a CPU, with the bits of level RPV_BITS.
 *
 * Before it, the reader defines
 *   RPV_W        lanes of every vector in this text: 4, 8 or 16
 *   RPV_BITS     256 or 512: the vector level, that is whose libmvec symbols are called
 *   RPV_MASK     bytes of one lane of a bool vector: 4 or 8; 8 where any 8-byte dtype is used
 *   RPV_USE_<T>  for each dtype T wanted (bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64); i64 is always
 *                there; RPV_USE_ALL for all of them
 * and gets, for each T in use, with the lower-case op names of ir_ops.def:
 *   rpv_T                    vector of RPV_W lanes; rpv_bool: lanes of RPV_MASK bytes, 0 or -1
 *   rpv_<op>_T(...)          rpv_add_f64(a, b), rpv_lt_i32(a, b) -> rpv_bool, rpv_exp_f32(a)
 *   rpv_cast_S_T(a)          between any two dtypes in use
 *   rpv_select_T(c, a, b)    c is rpv_bool
 *   rpv_splat_T(x), rpv_iota() -> rpv_i64 0..W-1, rpv_get_T(v, lane) -> scalar
 *   rpv_load_T(p), rpv_store_T(p, v)           W consecutive elements, unaligned
 *   rpv_loadn_T(p, n), rpv_storen_T(p, v, n)   the first n lanes, 0 < n < W; the other lanes of a
 *                            load are 1: never a reason for an exception or a slow path
 *   rpv_loads_T(p, stride), rpv_stores_T(p, stride, v), rpv_loadsn_T(p, stride, n),
 *   rpv_storesn_T(p, stride, v, n)             strides count elements
 *   rpv_gather_T(base, rpv_i64 index)          base[index], W lanes
 *   rps_<op>_T, rps_cast_S_T, rps_select_T     the same on C scalars (bool: 0 or 1 in a byte), with
 *                            the bits of the vector forms: a function of class M calls the same
 *                            vector symbol with a splat and takes lane 0
 *   rpv_red_<redop>_T(a, b), rps_red_<redop>_T combine operators: sum prod min max; and or xor on
 *                            bool and integers; any all on bool (sum and prod of bool: or, and)
 *   rps_identity_<redop>_T() identity (-0.0 for sums of floats);
 *   rps_empty_<redop>_T()    value of a reduction over nothing: the identity, but +0.0 for sums
 *   rps_beats_argmin_T(b, a), rps_beats_argmax_T(b, a)   1 where b, of a higher index, replaces a:
 *                            strictly smaller (larger), or the first NaN
 * Bools in memory are bytes: loads normalise (any non-zero byte is true), stores write 0 or 1.
 * The 64 accumulators of a leaf (SEMANTICS 3): element j goes to accumulator j mod 64; absent elements
 * are masked, the accumulator keeps its value; the fold halves: a[i] op= a[i+32], then 16, 8, 4, 2, 1.
 *
 * Rules, beyond SEMANTICS 1 (which scalar and vector forms share):
 *  - Shift counts are read as unsigned: a negative count is one of the width or more.
 *  - Integer pow wraps; x ** -n is 1/x**n truncated: 1 for 1, +-1 for -1, 0 for all others and for 0.
 *  - Float mod: r = fmod(a, b); if r is not 0 and its sign is not b's, r += b; a zero gets b's sign.
 *    Float floordiv: b == 0: a / b. Else q = (a - fmod(a, b)) / b, less 1 where mod was corrected;
 *    q == 0: a zero with the sign of a / b; else floor(q), plus 1 if q - floor(q) > 0.5. All in the
 *    dtype's own precision: Python's and NumPy's definition.
 *  - min and max with one NaN give that NaN, fmin and fmax the other value; all four order -0 < +0.
 *  - ldexp casts its exponent to i32 by the rule of casts.
 *  - Vectors narrower than the hardware's are doubled up for a libmvec call, wider ones are cut: lanes do
 *    not influence each other, so bits depend on the level only. libmvec of glibc 2.36 has neither
 *    tgamma nor lgamma; they, and fmod, nextafter and ldexp, go lane by lane to libm. */
/* Tables of macros, laid out by hand: */
/* clang-format off */
#ifndef RPV_LANES_H
#define RPV_LANES_H

#if !defined(RPV_ONE) && (!defined(RPV_W) || !defined(RPV_BITS) || !defined(RPV_MASK))
#error "define RPV_W, RPV_BITS and RPV_MASK before lanes.h"
#elif !defined(RPV_CUDA) && !defined(RPV_BITS)
#error "define RPV_BITS before lanes.h: whose math functions?"
#endif

#ifndef RPV_CUDA
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wpsabi"
#pragma GCC diagnostic ignored "-Wfloat-equal"
#pragma GCC diagnostic ignored "-Wpedantic"

/* The dtype is a word of its own here, whatever <stdbool.h> made of it. */
#pragma push_macro("bool")
#undef bool
#endif

#ifndef RPV_FN
#define RPV_FN static inline __attribute__((always_inline, unused))
#endif
#define RPV_CAT_(a, b) a##b
#define RPV_CAT(a, b) RPV_CAT_(a, b)

#include "jit/lanes_type.h"
#ifndef RPV_CUDA
#include "jit/lanes_hw.h"
#endif
#include "jit/lanes_move.h"
#include "jit/lanes_int.h"
#include "jit/lanes_float.h"
#include "jit/lanes_cast.h"
#include "jit/lanes_reduce.h"

#ifndef RPV_CUDA
#pragma pop_macro("bool")
#pragma GCC diagnostic pop
#endif
#endif
