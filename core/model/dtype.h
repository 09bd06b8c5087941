/* SPDX-License-Identifier: Apache-2.0
 * core/model/dtype.h -- facts about element types, from dtype.def, and NumPy's promotion. */
#ifndef RPI_DTYPE_H
#define RPI_DTYPE_H

#include "core/base/status.h"

enum { RPI_N_DTYPE = 11 };
enum { RPI_KIND_B, RPI_KIND_I, RPI_KIND_U, RPI_KIND_F };

bool rpi_dtype_valid(rp_dtype t);
int32_t rpi_dtype_size(rp_dtype t);
int32_t rpi_dtype_kind(rp_dtype t);
const char *rpi_dtype_name(rp_dtype t);
/* The dtype of that name (n bytes of text), -1 if there is none. */
rp_dtype rpi_dtype_find(const char *name, size_t n);
/* NumPy's result_type of two arrays; i64 with u64 gives f64. */
rp_dtype rpi_dtype_promote(rp_dtype a, rp_dtype b);
/* Every value of `from` is a value of `to` (NumPy's "safe" cast; i64 to f64 counts as safe). */
bool rpi_dtype_lossless(rp_dtype from, rp_dtype to);

#endif
