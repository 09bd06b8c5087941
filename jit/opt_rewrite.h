/* SPDX-License-Identifier: Apache-2.0
 * jit/opt_rewrite.h -- building the IR a pass leaves from the one it found.
 * Lives here: the new IR, the map from old values to new ones, and the ends of sections.
 * Use:        begin; for each old instruction in order: rpi_opt_rewrite_mark, then keep it, alias it
 *             to a new value, or drop it; end. Operands, scalars, extents and reductions keep their
 *             numbers. On any failure the old IR is untouched. */
#ifndef RPI_OPT_REWRITE_H
#define RPI_OPT_REWRITE_H

#include "jit/ir.h"

typedef struct rpi_opt_rewrite {
  const rpi_ir *from;
  rpi_ir to;
  rpi_irval *map; /* new number of each old value; RPI_IR_NONE: it has none (yet) */
} rpi_opt_rewrite;

rp_status rpi_opt_rewrite_begin(rpi_opt_rewrite *w, const rpi_ir *from);
/* Before old instruction i (and by `end` after the last): closes the sections that end there. */
void rpi_opt_rewrite_mark(rpi_opt_rewrite *w, int32_t i);
/* Appends old instruction i with renumbered sources, maps it, and returns its number. */
rpi_irval rpi_opt_rewrite_keep(rpi_opt_rewrite *w, int32_t i);
/* Appends a new instruction in the place of old instruction i (its origin), maps and returns it. */
rpi_irval rpi_opt_rewrite_put(rpi_opt_rewrite *w, int32_t i, rpi_irop op, rp_dtype dtype,
                              uint64_t imm, int32_t n_src, const rpi_irval *src);
/* Replaces *ir by the new one and frees what begin took. */
rp_status rpi_opt_rewrite_end(rpi_opt_rewrite *w, rpi_ir *ir);
/* Gives up: frees everything. */
void rpi_opt_rewrite_drop(rpi_opt_rewrite *w);

#endif
