/* SPDX-License-Identifier: Apache-2.0
 * trace/parts.c -- a step becomes this rank's part of it.
 *
 * Lives here: the words, pointers and units of kernels, the rows of calls, the bytes of patches.
 * Not here:   which part that is (shares.c, shares_grid.c), what it needs of others (bring.c).
 * How:        arrays lie at their whole addresses on every rank, so a part is extents and shifted pointers. Where partials
 *             must stay where the whole space has them it is a range of the whole's units instead. */
#include <string.h>

#include "jit/gpu_kernels.h"
#include "jit/subtree.h"
#include "trace/distribute_impl.h"

/* ---- kernels ---- */

/* The first unit of a row of the space, which is a multiple of a leaf or the end. */
static int64_t unit_at(const rpi_ir *ir, const int64_t *extent, int64_t row) {
  const int64_t all = rpi_ir_units(ir, extent);
  if (row >= extent[0]) return all;
  if (ir->rank == 1) return row / RPI_LEAF;
  if (!rpi_ir_row_mode(ir)) return all / extent[0] * row;
  int64_t each = 1; /* rows of the reduction in a row of the space */
  for (int32_t d = 1; d < ir->rank; d++)
    if (ir->red[0].mask >> d & 1) each *= extent[d];
  const int64_t leaves = (extent[0] * each + RPI_ROW_LEAF - 1) / RPI_ROW_LEAF;
  return all / leaves * (row * each / RPI_ROW_LEAF);
}

int64_t rpi_parts_shift(const rpi_ir *ir, int32_t o, const rpi_geom *geom, const int64_t *lo) {
  int64_t at = 0;
  if (ir->operand[o].kind != RPI_OPERAND_AFFINE) return 0;
  for (int32_t d = 0; d < ir->rank; d++)
    at += lo[d] * geom->stride[d] * rpi_dtype_size(ir->operand[o].dtype);
  return at;
}

/* Pointers of the operands that follow the space begin where the box does. */
static void shift_pointers(rpi_walker *w, const rpi_group *g, const rpi_geom *geom,
                           const rpi_ir_layout *lay, const rpi_sub *sub, const int64_t *lo) {
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  rpi_plan *plan = &w->b->plan;
  for (int32_t i = 0; i < plan->n_pointer; i++) {
    const int32_t o = plan->pointer[i].word - sub->word - lay->ptr;
    if (o >= 0 && o < g->n_operand) plan->pointer[i].offset += rpi_parts_shift(ir, o, &geom[o], lo);
  }
}

/* Of operands that do not begin at 16 bytes any more the GPU's code must not assume it. */
static void realign(rpi_walker *w, const rpi_group *g, const rpi_geom *geom, rpi_sub *sub,
                    const int64_t *lo) {
  uint64_t odd = 0;
  if (!sub->gpu || w->trial) return;
  rpi_cuda_shape shape = *rpi_gpu_kernels_shape(sub->gpu);
  for (int32_t o = 0; o < g->n_operand && o < 64; o++)
    if (rpi_parts_shift(rpi_jit_ir(g->kernel), o, &geom[o], lo) % 16 != 0) odd |= UINT64_C(1) << o;
  if (!(shape.aligned & odd)) return;
  shape.aligned &= ~odd;
  const rp_status st = rpi_jit_gpu(w->ctx->jit, g->kernel, &shape, &sub->gpu);
  if (st != RP_OK || sub->gpu) {
    w->status = w->status == RP_OK ? st : w->status;
    return;
  }
  w->status = rpi_status_fail(RP_ERR_INTERNAL, "a kernel has code for the GPU for some parts only");
}

/* No rank has more rows. */
static int64_t longest(const rpi_rows *s) {
  const int32_t ranks = (int32_t)s->cuts.ranks;
  int64_t most = ((s->cuts.units / ranks + 1) * s->cuts.grain + s->step - 1) / s->step;
  const int64_t first = rpi_rows_at(s, 1), last = s->extent - rpi_rows_at(s, ranks - 1);
  if (first > most) most = first; /* with what lies outside of the pieces */
  if (last > most) most = last;
  return most < s->extent ? most : s->extent;
}

/* Of leaves that ranks share it is the one that has their first row. */
void rpi_parts_own(const rpi_ir *ir, const rpi_share *p, const int64_t *extent, int32_t rank,
                   int64_t *first, int64_t *end) {
  const int64_t lo = rpi_rows_at(&p->space, rank), hi = rpi_rows_at(&p->space, rank + 1);
  *first = unit_at(ir, extent, (lo + p->leaf - 1) / p->leaf * p->leaf);
  *end = unit_at(ir, extent, (hi + p->leaf - 1) / p->leaf * p->leaf);
}

/* The sub becomes a kernel over this rank's box, which knows where it begins. */
static void cut_box(rpi_walker *w, const rpi_group *g, const rpi_geom *geom, const rpi_share *p,
                    const int64_t *extent, rpi_step *step, rpi_sub *sub) {
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  rpi_word *words = &w->b->plan.words[sub->word];
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM], mine[RP_MAX_DIM] = {0};
  rpi_ir_layout lay;
  rpi_ir_layout_get(ir, &lay);
  const bool any = rpi_grid_box(&p->grid, w->rank, lo, hi);
  for (int32_t d = 0; d < ir->rank; d++) {
    words[lay.origin + d].i = any ? lo[d] : 0;
    words[lay.extent + d].i = mine[d] = any ? hi[d] - lo[d] : 0;
  }
  sub->boxes = true;
  sub->units = any ? rpi_ir_units(ir, mine) : 0;
  if (any) shift_pointers(w, g, geom, &lay, sub, lo);
  if (any) realign(w, g, geom, sub, lo);
  if (ir->n_red == 0) return;
  int64_t *whole = rpi_arena_get(&w->b->arena, sizeof *whole * 2 * RP_MAX_DIM);
  if (!whole) return;
  memcpy(whole, extent, sizeof *whole * RP_MAX_DIM);
  for (int32_t d = 0; d < ir->rank; d++) whole[RP_MAX_DIM + d] = words[lay.origin + d].i;
  sub->shared = true;
  sub->space = whole;
  sub->origin = whole + RP_MAX_DIM;
  sub->own_units = sub->units;
  for (int32_t d = 0; d < ir->rank; d++) mine[d] = extent[d];
  for (int32_t k = 0; k < p->grid.n; k++)
    if (p->grid.axis[k].axis >= 0) mine[p->grid.axis[k].axis] = longest(&p->grid.axis[k].rows);
  step->list_room += rpi_subtree_room(ir, extent, mine);
}

/* The sub's words and units become this rank's. */
void rpi_parts_kernel(rpi_walker *w, const rpi_group *g, const rpi_share *p, const int64_t *extent,
                      rpi_step *step, rpi_sub *sub) {
  const rpi_geom *geom = w->geom;
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  if (p->boxes) {
    cut_box(w, g, geom, p, extent, step, sub);
    return;
  }
  const int64_t lo = rpi_rows_at(&p->space, w->rank), hi = rpi_rows_at(&p->space, w->rank + 1);
  if (p->by_units) {
    int64_t from, to;
    rpi_rows_wide(&p->space, p->leaf, w->rank, &from, &to);
    if (lo == hi) to = from;
    sub->first = unit_at(ir, extent, from);
    sub->units = unit_at(ir, extent, to) - sub->first;
    sub->shared = ir->n_red > 0;
    rpi_parts_own(ir, p, extent, w->rank, &sub->own, &sub->own_units);
    sub->own_units -= sub->own;
    sub->row = from;
    sub->rows = to - from;
    sub->rows_each = p->each;
    sub->units_each = unit_at(ir, extent, p->each);
    if (sub->shared) step->list_room += rpi_subtree_room(ir, extent, NULL);
    return;
  }
  int64_t mine[RP_MAX_DIM];
  rpi_ir_layout lay;
  rpi_ir_layout_get(ir, &lay);
  memcpy(mine, extent, sizeof mine);
  mine[0] = hi - lo;
  sub->units = hi > lo ? rpi_ir_units(ir, mine) : 0;
  sub->row = lo;
  sub->rows = hi - lo;
  sub->rows_each = p->each;
  sub->units_each = hi > lo && ir->rank > 1 ? sub->units / (hi - lo) : 1;
  w->b->plan.words[sub->word + lay.extent].i = hi - lo;
  w->b->plan.words[sub->word + lay.origin].i = lo;
  int64_t from[RP_MAX_DIM] = {lo};
  shift_pointers(w, g, geom, &lay, sub, from);
  realign(w, g, geom, sub, from);
}

/* ---- calls ---- */

/* A call becomes one on this rank's rows. */
void rpi_parts_call(rpi_walker *w, rpi_plan_call *c, const rpi_share *s) {
  rpi_plan *plan = &w->b->plan;
  const int64_t lo = rpi_rows_at(&s->space, w->rank), hi = rpi_rows_at(&s->space, w->rank + 1);
  for (int32_t i = 0; i < plan->n_pointer; i++) {
    const int32_t o = plan->pointer[i].word - c->word;
    if (o >= 0 && o < c->n) plan->pointer[i].offset += lo * c->unit_bytes[o];
  }
  c->part = true;
  c->first = lo;
  c->units = hi - lo;
  const int64_t blocks = c->units / c->block_units;
  if (blocks < c->threads) c->threads = blocks < 1 ? 1 : (int32_t)blocks;
}

/* ---- patches ---- */

/* The boxes to copy become those parts of them that lie in a tile; false: nothing is left. No boxes stand for all. */
static bool clip_boxes(rpi_plan *p, rpi_step *s, const rpi_tiling *t, int32_t rank, int32_t elem) {
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM], shape[RP_MAX_DIM];
  rpi_geom whole;
  int32_t n = 0;
  if (!rpi_tiling_tile(t, rank, lo, hi)) return false;
  for (int32_t d = 0; d < t->ndim; d++) shape[d] = t->axis[d].n;
  rpi_geom_dense(t->ndim, shape, &whole);
  if (s->n_box == 0) {
    s->first_box = p->n_box; /* there is room for more boxes than this for each patch */
    p->box[p->n_box] = whole;
    s->n_box = 1;
    p->n_box++;
  }
  s->elem = elem;
  for (int32_t i = 0; i < s->n_box; i++) {
    rpi_geom g = p->box[s->first_box + i];
    int64_t rest = g.offset;
    bool any = true;
    for (int32_t d = 0; d < t->ndim; d++) {
      const int64_t at = rest / whole.stride[d], end = at + g.shape[d];
      rest %= whole.stride[d];
      const int64_t from = at > lo[d] ? at : lo[d], to = end < hi[d] ? end : hi[d];
      g.offset += (from - at) * whole.stride[d];
      g.shape[d] = to - from;
      any = any && from < to;
    }
    if (any) p->box[s->first_box + n++] = g;
  }
  s->n_box = n;
  return n > 0;
}

bool rpi_parts_patch(rpi_walker *w, rpi_step *s) {
  const int64_t elem = rpi_dtype_size(w->shape[s->dst]->dtype);
  if (rpi_distribute_is_grid(w, s->dst))
    return clip_boxes(&w->b->plan, s, rpi_places_tiling(w->ctx, w->place[s->dst]), w->rank,
                      (int32_t)elem);
  if (!rpi_distribute_is_tiled(w, s->dst)) return true;
  const rpi_cuts c = rpi_distribute_cuts(w, w->place[s->dst]);
  s->clip_lo = rpi_cuts_at(&c, w->rank) * elem;
  s->clip_hi = rpi_cuts_at(&c, w->rank + 1) * elem;
  return s->clip_lo < s->clip_hi;
}
