/* SPDX-License-Identifier: Apache-2.0
 * jit/shape.c -- see shape.h. */
#include "jit/shape.h"

#include "core/model/dtype.h"

enum { ALIGNED = 16, MASK_BITS = 64 };

/* The farthest element that the operand reaches from where it begins, in elements. */
static int64_t reach_of(const rpi_geom *g, int32_t rank) {
  int64_t reach = 0;
  for (int32_t d = 0; d < rank; d++) {
    int64_t step;
    const int64_t stride = g->stride[d] < 0 ? -g->stride[d] : g->stride[d];
    if (g->shape[d] > 1 && (__builtin_mul_overflow(stride, g->shape[d] - 1, &step) ||
                            __builtin_add_overflow(reach, step, &reach)))
      return INT64_MAX;
  }
  return reach;
}

static bool is_aligned(const rpi_ir_operand *o, const rpi_geom *g) {
  const int64_t size = rpi_dtype_size(o->dtype);
  if (o->kind != RPI_OPERAND_AFFINE || o->rank == 0 || o->sclass[o->rank - 1] != RPI_STRIDE_UNIT)
    return false;
  bool aligned = g->offset * size % ALIGNED == 0;
  for (int32_t d = 0; d < o->rank - 1; d++)
    aligned = aligned && (g->shape[d] <= 1 || g->stride[d] * size % ALIGNED == 0);
  return aligned;
}

/* Points of the space with each row as long as its leaves; -1: beyond 63 bits. */
static int64_t padded_points(const rpi_ir *ir, const int64_t *extent) {
  int64_t n = 1;
  for (int32_t d = 0; d < ir->rank; d++) {
    int64_t e = extent[d];
    if (d == ir->rank - 1 && __builtin_add_overflow(e, RPI_LEAF, &e)) return -1;
    if (__builtin_mul_overflow(n, e, &n)) return -1;
  }
  return n;
}

void rpi_shape_get(const rpi_ir *ir, const rpi_geom *geom, const int64_t *extent,
                   rpi_cuda_shape *out) {
  const int64_t points = padded_points(ir, extent);
  *out = (rpi_cuda_shape){.wide = points < 0 || points > INT32_MAX};
  for (int32_t o = 0; o < ir->n_operand; o++) {
    const rpi_ir_operand *k = &ir->operand[o];
    if (reach_of(&geom[o], k->rank) > INT32_MAX / 2) out->wide = true;
    if (o < MASK_BITS && is_aligned(k, &geom[o])) out->aligned |= (uint64_t)1 << o;
  }
}
