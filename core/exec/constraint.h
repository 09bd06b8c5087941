/* SPDX-License-Identifier: Apache-2.0
 * core/exec/constraint.h -- what must hold between the stores of an opaque op, and which rows of them go together.
 *
 * Lives here: reading and checking rp_constraint lists; the rows of each store that a block gets.
 * Not here:   calling the function (opaque.h), who runs which block (run.c, trace/).
 * How:        stores joined by ALIGN and SCALE have rows in fixed ratios. A *unit* is the smallest number of rows of each
 *             that go together: a block of n units from unit u on has rows scale*u .. scale*(u+n) of a store, and of
 *             one that is bloated `extra` more behind them. */
#ifndef RPI_CONSTRAINT_H
#define RPI_CONSTRAINT_H

#include "core/model/op.h"

typedef struct rpi_constraint_rows {
  bool cut; /* the store is handed over in blocks */
  int64_t scale, extra;
} rpi_constraint_rows;

typedef struct rpi_constraints {
  rp_constraint *list;
  int32_t n;
  rpi_constraint_rows rows[RPI_OP_MAX_STORES]; /* SPLIT only */
  int64_t least;                               /* units a block must have */
  int64_t fewest;                              /* the smallest scale of a store that is cut */
} rpi_constraints;

/* Copies and checks the description's constraints; errors name the constraint. `out` is then the caller's to deinit. */
rp_status rpi_constraint_read(const rp_opaque_desc *d, int32_t n_stores, rpi_constraints *out);
void rpi_constraint_deinit(rpi_constraints *c);
/* They hold for these stores; else RP_ERR_SHAPE or RP_ERR_DTYPE with a sentence that names stores and extents. */
rp_status rpi_constraint_check(const rpi_constraints *c, const rp_op *op, rp_store *const *stores);

/* Does it say what is read of its store `a`, by values of its store `b`? */
static inline bool rpi_constraint_is_image(const rp_constraint *c) {
  return c->kind >= RP_CONSTRAINT_IMAGE && c->kind <= RP_CONSTRAINT_IMAGE_RANGES_FIRST_LAST;
}

/* Are these values offsets, between which lie the rows that are read? */
static inline bool rpi_constraint_is_ranges(const rp_constraint *c) {
  return c->kind == RP_CONSTRAINT_IMAGE_RANGES || c->kind == RP_CONSTRAINT_IMAGE_RANGES_FIRST_LAST;
}

/* The extent of axis 0 of store i in a block of so many units. */
static inline int64_t rpi_constraint_extent(const rpi_constraints *c, int32_t i, int64_t units) {
  return c->rows[i].scale * units + c->rows[i].extra;
}

#endif
