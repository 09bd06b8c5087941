/* SPDX-License-Identifier: Apache-2.0
 * trace/shares_grid.c -- who computes which part of a kernel, where ranks are a grid of several axes.
 *
 * Lives here: whether a kernel is shared out by boxes, and how the arrays that it writes are cut.
 * Not here:   sharing by rows (shares.c), what is read (bring.c), whether boxes are worth while (choice.c).
 * How:        the largest written array of several axes says how the space is cut, else the largest one that is read and is
 *             cut so already. All that is written is cut alike from now on. Reductions are over all axes, and their spaces
 *             are cut at leaves of the last: ranks join what they have of rows (jit/subtree.h).
 * Invariant:  functions of the plan, of the places and of the number of ranks. */
#include "trace/distribute_impl.h"

/* All reductions are over all axes, by leaves. */
static bool reduces_all(const rpi_ir *ir) {
  const uint32_t all = (1u << ir->rank) - 1;
  for (int32_t r = 0; r < ir->n_red; r++)
    if ((uint32_t)ir->red[r].mask != all) return false;
  return ir->rank > 1 && !rpi_ir_row_mode(ir);
}

/* The tiling of an operand's array, or what it would be. */
static bool tiling_of(const rpi_walker *w, int32_t symbol, bool anew, rpi_tiling *out) {
  if (rpi_distribute_is_grid(w, symbol)) {
    *out = *rpi_places_tiling(w->ctx, w->place[symbol]);
    return true;
  }
  return anew && rpi_places_grid(w->ctx, w->shape[symbol], out);
}

/* The grid by the operand that decides; false: none does. */
static bool decide(const rpi_walker *w, const rpi_group *g, const rpi_geom *geom, bool writes,
                   rpi_grid *out) {
  bool fixed = false;
  int64_t most = 0;
  for (int32_t o = 0; o < g->n_operand; o++) {
    const rpi_group_operand *k = &g->operand[o];
    const rpi_view *v = w->shape[k->symbol];
    rpi_tiling t;
    rpi_grid by;
    const bool asked =
        writes ? rpi_shares_writes_rows(k, &geom[o])
               : (k->ir.access & RPI_ACCESS_READ) && !rpi_distribute_is_uniform(&geom[o]);
    if (!asked || k->ir.kind != RPI_OPERAND_AFFINE || rpi_distribute_is_pinned(w, k->symbol))
      continue;
    const bool is = rpi_distribute_is_grid(w, k->symbol);
    if (fixed > is || (fixed == is && v->bsize <= most)) continue;
    if (!tiling_of(w, k->symbol, writes && geom[o].ndim > 1, &t) ||
        !rpi_grid_by(&t, &geom[o], v->bshape, &by))
      continue;
    fixed = is;
    most = v->bsize;
    *out = by;
  }
  return most > 0;
}

/* Are the boxes' columns whole leaves? */
static bool at_leaves(const rpi_grid *g) {
  for (int32_t k = 0; k < g->n; k++)
    if (g->axis[k].axis == g->rank - 1 && g->axis[k].rows.cuts.ranks > 1 &&
        !rpi_rows_at_leaves(&g->axis[k].rows, RPI_LEAF))
      return false;
  return true;
}

/* The array is cut as the boxes are, or will be: w->adopt. */
static bool follows(rpi_walker *w, int32_t symbol, const rpi_geom *geom, const rpi_grid *grid) {
  const rpi_view *v = w->shape[symbol];
  rpi_tiling t;
  rpi_grid mine;
  uint32_t place = w->place[symbol];
  if (rpi_distribute_is_pinned(w, symbol)) return false;
  const bool fits = place >= RPI_PLACE_TILED &&
                    rpi_tiling_by_axes(rpi_places_tiling(w->ctx, place), v->bdim, v->bshape, &t) &&
                    rpi_grid_by(&t, geom, v->bshape, &mine) && rpi_grid_same(&mine, grid);
  if (!fits) {
    if (!rpi_grid_tiling(grid, geom, v->bdim, v->bshape, &t)) return false;
    place = rpi_places_number(w->ctx, &t);
  }
  return rpi_shares_adopt(w, symbol, place);
}

bool rpi_shares_grid(rpi_walker *w, const rpi_group *g, const rpi_geom *geom, rpi_share *out) {
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  rpi_grid grid;
  bool writes = false;
  if (!w->boxes || (ir->n_red > 0 && !reduces_all(ir))) return false;
  for (int32_t o = 0; o < g->n_operand; o++) {
    const bool rows = rpi_shares_writes_rows(&g->operand[o], &geom[o]);
    const bool table = g->operand[o].ir.kind != RPI_OPERAND_AFFINE;
    /* What a table reaches is looked up by rows. */
    if (table && (rows || rpi_distribute_is_tiled(w, g->operand[o].symbol))) return false;
    writes = writes || rows;
  }
  if ((!writes && ir->n_red == 0) || !decide(w, g, geom, writes, &grid)) return false;
  if (ir->n_red > 0 && !at_leaves(&grid)) return false;
  for (int32_t o = 0; o < g->n_operand; o++) w->adopt[g->operand[o].symbol] = RPI_PLACE_WHOLE;
  for (int32_t o = 0; o < g->n_operand; o++)
    if (rpi_shares_writes_rows(&g->operand[o], &geom[o]) &&
        !follows(w, g->operand[o].symbol, &geom[o], &grid))
      return false;
  *out = (rpi_share){.shared = true, .boxes = true, .grid = grid, .leaf = 1};
  return true;
}
