/* SPDX-License-Identifier: Apache-2.0
 * core/exec/opaque.h -- calls a C function with its natural signature, through libffi.
 * Lives here: the prepared call interface of an opaque op, its constraints, and one call. Not here: when
 *             it runs, and on which thread (run.c). */
#ifndef RPI_OPAQUE_H
#define RPI_OPAQUE_H

#include "core/model/op.h"

typedef struct rpi_opaque rpi_opaque;

/* Checks the description against n_stores / n_scalars and their dtypes; errors name the argument. */
rp_status rpi_opaque_create(const rp_opaque_desc *desc, int32_t n_stores, int32_t n_scalars,
                            const uint8_t *scalar_dtype, rpi_opaque **out);
void rpi_opaque_free(rpi_opaque *o);
int32_t rpi_opaque_flags(const rpi_opaque *o);

/* The constraints hold for these shapes, or RP_ERR_SHAPE with a sentence. */
rp_status rpi_opaque_check(const rpi_opaque *o, const rp_op *op, rp_store *const *stores);

/* The function may be called on blocks of axis 0 of store i (false: it gets store i whole). */
bool rpi_opaque_cuts(const rpi_opaque *o, int32_t i);
/* Rows a block should have at least, when each moves `row_bytes` and a thread is worth `grain` bytes. */
int64_t rpi_opaque_block_rows(const rpi_opaque *o, int64_t row_bytes, int64_t grain);

/* Calls it on stores whose first elements are at ptr[i] and that lie as geom[i] says (the offset is
 * in ptr already); `rows` replaces the extent of axis 0 of stores that are cut, -1: whole. Returns
 * false if the function reported failure. No allocation. Any thread. */
bool rpi_opaque_call(const rpi_opaque *o, void *const *ptr, const rpi_geom *geom,
                     const uint64_t *scalars, int64_t rows);

#endif
