/* SPDX-License-Identifier: Apache-2.0
 * jit/opt_eval.h -- one operation on constants, by the rules of SEMANTICS 1. */
#ifndef RPI_OPT_EVAL_H
#define RPI_OPT_EVAL_H

#include "jit/ir.h"

/* `from` is the dtype of the sources (of SELECT's last two), `to` of the result; src and *out are
 * canonical images, NaN results the positive quiet NaN. False: not an operation that is folded
 * (structure, math functions). The caller has pinned the floating-point mode. */
bool rpi_opt_eval(rpi_irop op, rp_dtype from, rp_dtype to, const uint64_t *src, uint64_t *out);

#endif
