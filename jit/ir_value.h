/* SPDX-License-Identifier: Apache-2.0
 * jit/ir_value.h -- the bits of one constant: from a dtype's value and back, and casts.
 *
 * Lives here: readings of the 64-bit image a CONST carries (zero-extended, bool 0 or 1), and
 *             SEMANTICS 1's casts on it.
 * Not here:   the other operations on constants (opt_eval.h), vectors (lanes.h).
 * Invariant:  every function returns a canonical image: nothing beyond the dtype's width is set. */
#ifndef RPI_IR_VALUE_H
#define RPI_IR_VALUE_H

#include <string.h>

#include "core/model/dtype.h"

static inline double rpi_ir_value_f64(uint64_t bits) {
  double v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

static inline float rpi_ir_value_f32(uint64_t bits) {
  uint32_t half = (uint32_t)bits;
  float v;
  memcpy(&v, &half, sizeof v);
  return v;
}

static inline uint64_t rpi_ir_value_of_f64(double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}

static inline uint64_t rpi_ir_value_of_f32(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}

/* All ones in the dtype's width. */
static inline uint64_t rpi_ir_value_ones(rp_dtype t) {
  return UINT64_MAX >> (64 - 8 * rpi_dtype_size(t));
}

/* Keeps the low bits of an integer: wraps to the dtype (not bool). */
static inline uint64_t rpi_ir_value_wrap(rp_dtype t, uint64_t v) {
  return v & rpi_ir_value_ones(t);
}

/* The integer of a signed dtype's image. */
static inline int64_t rpi_ir_value_signed(rp_dtype t, uint64_t bits) {
  int32_t shift = 64 - 8 * rpi_dtype_size(t);
  return (int64_t)(bits << shift) >> shift;
}

/* A float to an integer dtype: truncates, saturates, NaN gives 0. `v` is exact in double. */
static inline uint64_t rpi_ir_value_truncate(rp_dtype to, double v) {
  int32_t bits = 8 * rpi_dtype_size(to);
  bool is_signed = rpi_dtype_kind(to) == RPI_KIND_I;
  double limit = (double)(UINT64_C(1) << (bits - 1)) * (is_signed ? 1.0 : 2.0);
  if (v != v) return 0;
  if (v >= limit) return is_signed ? rpi_ir_value_ones(to) >> 1 : rpi_ir_value_ones(to);
  if (is_signed) {
    return rpi_ir_value_wrap(to, v <= -limit ? UINT64_C(1) << (bits - 1) : (uint64_t)(int64_t)v);
  }
  return v <= 0.0 ? 0 : (uint64_t)v;
}

/* CAST on one constant. */
static inline uint64_t rpi_ir_value_cast(rp_dtype from, rp_dtype to, uint64_t bits) {
  int32_t kind = rpi_dtype_kind(from);
  if (from == to) return bits;
  if (kind == RPI_KIND_F) {
    double v = from == RP_F32 ? (double)rpi_ir_value_f32(bits) : rpi_ir_value_f64(bits);
    if (to == RP_BOOL) return v != 0.0;
    if (to == RP_F32) return rpi_ir_value_of_f32((float)v);
    return to == RP_F64 ? rpi_ir_value_of_f64(v) : rpi_ir_value_truncate(to, v);
  }
  if (to == RP_BOOL) return bits != 0;
  if (kind == RPI_KIND_I) {
    int64_t v = rpi_ir_value_signed(from, bits);
    if (to == RP_F32) return rpi_ir_value_of_f32((float)v);
    return to == RP_F64 ? rpi_ir_value_of_f64((double)v) : rpi_ir_value_wrap(to, (uint64_t)v);
  }
  if (to == RP_F32) return rpi_ir_value_of_f32((float)bits);
  return to == RP_F64 ? rpi_ir_value_of_f64((double)bits) : rpi_ir_value_wrap(to, bits);
}

#endif
