/* SPDX-License-Identifier: Apache-2.0
 * jit/shape.h -- how the operands of a kernel lie, as far as its CUDA text depends on it.
 * Lives here: from boxes and extents to rpi_cuda_shape. Not here: what the text makes of it (emit_cuda.h). */
#ifndef RPI_SHAPE_H
#define RPI_SHAPE_H

#include "core/model/geom.h"
#include "jit/emit_cuda.h"

/* geom[o]: operand o's box over the space, or a table's own; memory of symbols begins at multiples of 16 bytes. */
void rpi_shape_get(const rpi_ir *ir, const rpi_geom *geom, const int64_t *extent,
                   rpi_cuda_shape *out);

#endif
