/* SPDX-License-Identifier: Apache-2.0
 * core/exec/opaque.h -- calls a C function with its natural signature.
 * Lives here: the prepared call interface of an opaque op, and one call. Not here: when
 *             it runs, and on which thread (run.c); what holds between stores (constraint.h). */
#ifndef RPI_OPAQUE_H
#define RPI_OPAQUE_H

#include "core/exec/constraint.h"

typedef struct rpi_opaque rpi_opaque;
enum { RPI_OPAQUE_ARGS = 128 }; /* at most */

/* Checks the description against n_stores / n_scalars and their dtypes, the first one only `args`; errors name the
 * argument. */
rp_status rpi_opaque_check_args(const rp_opaque_desc *desc, int32_t n_stores, int32_t n_scalars);
rp_status rpi_opaque_create(const rp_opaque_desc *desc, int32_t n_stores, int32_t n_scalars,
                            const uint8_t *scalar_dtype, rpi_opaque **out);
void rpi_opaque_free(rpi_opaque *o);
int32_t rpi_opaque_flags(const rpi_opaque *o);
int32_t rpi_opaque_n_scalars(const rpi_opaque *o);
/* Its variant for the GPU (opaque_gpu.h); NULL: none. */
struct rpi_opaque_gpu *rpi_opaque_on_gpu(const rpi_opaque *o);

/* The constraints hold for these shapes, or RP_ERR_SHAPE with a sentence. */
rp_status rpi_opaque_check(const rpi_opaque *o, const rp_op *op, rp_store *const *stores);

/* The function may be called on blocks of axis 0 of store i (false: it gets store i whole). */
bool rpi_opaque_cuts(const rpi_opaque *o, int32_t i);
/* The rows of store i, which is cut, in a block of units. */
const rpi_constraint_rows *rpi_opaque_rows(const rpi_opaque *o, int32_t i);
const rpi_constraints *rpi_opaque_constraints(const rpi_opaque *o);
/* Units that a block has at least, whatever it costs. */
int64_t rpi_opaque_least(const rpi_opaque *o);
/* Units a block should have at least, when each moves `unit_bytes` and a thread is worth `grain` bytes. */
int64_t rpi_opaque_block_units(const rpi_opaque *o, int64_t unit_bytes, int64_t grain);

/* Stores whose size the function decides: how many, and which is the k-th. */
int32_t rpi_opaque_n_unbound(const rpi_opaque *o);
int32_t rpi_opaque_unbound(const rpi_opaque *o, int32_t k);
/* The constraint that says how many rows of the k-th there can be. */
const rp_constraint *rpi_opaque_room(const rpi_opaque *o, int32_t k);
/* A call of it may fail. */
bool rpi_opaque_may_fail(const rpi_opaque *o);

/* Units first .. first+units-1 of a launch. */
typedef struct rpi_opaque_block {
  int64_t first, units; /* units -1: all, whether there are units or not */
  int64_t *counts;      /* gets the rows made of each unbound store */
} rpi_opaque_block;

/* The bits of an argument of a call, as below. */
uint64_t rpi_opaque_value(const rpi_opaque *o, const rp_opaque_arg *a, void *const *ptr,
                          const rpi_geom *geom, const uint64_t *scalars,
                          const rpi_opaque_block *block);
/* This thread is inside a function of an opaque op, or exists for nothing but what calls them. */
extern _Thread_local bool rpi_opaque_inside __attribute__((tls_model("initial-exec")));
/* Calls it on stores whose first elements are at ptr[i] and that lie as geom[i] says (the offset is
 * in ptr already); `block` says what is there of stores that are cut. Returns false if the function reported failure.
 * No allocation. Any thread. */
bool rpi_opaque_call(const rpi_opaque *o, void *const *ptr, const rpi_geom *geom,
                     const uint64_t *scalars, const rpi_opaque_block *block);

#endif
