/* SPDX-License-Identifier: Apache-2.0
 * tests/support/stencil_pass.h -- five points by views of one array that alias, as an array program writes
 * them: names that outlive the pass. */
#ifndef STENCIL_PASS_H
#define STENCIL_PASS_H

#include "tests/support/api_check.h"

#include "core/include/reprise_array.h"

typedef struct stencil_pass {
  rp_context *ctx;
  rp_store *grid;                                 /* (side + 2)^2 */
  rp_store *center, *north, *south, *west, *east; /* its views */
  rp_store *average, *work;
} stencil_pass;

static inline rp_store *stencil_view(rp_store *grid, int64_t side, int64_t i, int64_t j) {
  rp_store *v = NULL;
  OK(rp_store_box(grid, (int64_t[]){i, j}, (int64_t[]){i + side, j + side}, &v));
  return v;
}

/* `grid` becomes the pass's. */
static inline stencil_pass stencil_begin(rp_context *owner, rp_store *grid, int64_t side) {
  return (stencil_pass){.ctx = owner,
                        .grid = grid,
                        .center = stencil_view(grid, side, 1, 1),
                        .north = stencil_view(grid, side, 0, 1),
                        .south = stencil_view(grid, side, 2, 1),
                        .west = stencil_view(grid, side, 1, 0),
                        .east = stencil_view(grid, side, 1, 2)};
}

static inline void stencil_run(stencil_pass *p) {
  OK(rp_trace_begin(p->ctx, 1));
  rp_store *sum[5] = {p->center}, *add[] = {p->north, p->east, p->west, p->south};
  for (int a = 0; a < 4; a++) {
    OK(rp_array_add(sum[a], add[a], &sum[a + 1]));
    if (a > 0) OK(rp_store_release(sum[a]));
  }
  OK(rp_store_release(p->average));
  p->average = sum[4];
  OK(rp_store_release(p->work));
  OK(rp_array_float_binary(RP_ARRAY_MULTIPLY, 0.2, p->average, &p->work));
  OK(rp_store_copy(p->center, p->work));
  OK(rp_trace_end(p->ctx, 1));
}

static inline void stencil_end(stencil_pass *p) {
  rp_store *all[] = {p->grid, p->center, p->north, p->south, p->west, p->east, p->average, p->work};
  for (int i = 0; i < (int)(sizeof all / sizeof *all); i++) OK(rp_store_release(all[i]));
}

#endif
