/* SPDX-License-Identifier: Apache-2.0
 * core/exec/opaque.h -- calls a C function with its natural signature, through libffi.
 * Lives here: the prepared call interface of an opaque op, and one call. Not here: when it runs. */
#ifndef RPI_OPAQUE_H
#define RPI_OPAQUE_H

#include "core/model/op.h"

typedef struct rpi_opaque rpi_opaque;

/* Checks the description against n_stores / n_scalars and their dtypes; errors name the argument. */
rp_status rpi_opaque_create(const rp_opaque_desc *desc, int32_t n_stores, int32_t n_scalars,
                            const uint8_t *scalar_dtype, rpi_opaque **out);
void rpi_opaque_free(rpi_opaque *o);
int32_t rpi_opaque_flags(const rpi_opaque *o);

/* Calls it on stores whose first elements are at ptr[i] and that lie as geom[i] says (the offset is
 * in ptr already). Returns false if the function reported failure. No allocation. */
bool rpi_opaque_call(const rpi_opaque *o, void *const *ptr, const rpi_geom *geom,
                     const uint64_t *scalars);

#endif
