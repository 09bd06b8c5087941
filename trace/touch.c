/* SPDX-License-Identifier: Apache-2.0
 * trace/touch.c -- see touch.h. */
#include "trace/touch.h"

#include <string.h>

/* ---- what is added ---- */

static int64_t elem_of(const rpi_walker *w, int32_t symbol) {
  return w->shape[symbol] ? rpi_dtype_size(w->shape[symbol]->dtype) : 0;
}

/* A beginning of a kernel may look at an array without elements; what it finds is not used. */
static void add_bytes(rpi_walker *w, int32_t symbol, int64_t lo, int64_t hi) {
  const int64_t all = w->shape[symbol] ? w->shape[symbol]->bsize * elem_of(w, symbol) : 0;
  rpi_hull *h = &w->b->touch[symbol];
  *h = rpi_hull_join(*h, (rpi_hull){lo, hi < all ? hi : all});
}

static void add_all(rpi_walker *w, int32_t symbol) { add_bytes(w, symbol, 0, INT64_MAX); }

static void add_box(rpi_walker *w, int32_t symbol, const rpi_geom *g) {
  const int64_t elem = elem_of(w, symbol);
  int64_t lo, hi;
  if (rpi_geom_span(g, &lo, &hi)) add_bytes(w, symbol, lo * elem, (hi + 1) * elem);
}

/* What this rank has of it at this place. */
static void add_place(rpi_walker *w, int32_t symbol, uint32_t place) {
  const int64_t elem = elem_of(w, symbol);
  int64_t lo, hi;
  if (place < RPI_PLACE_TILED) {
    add_all(w, symbol);
    return;
  }
  rpi_tiling_hull(rpi_places_tiling(w->ctx, place), w->rank, &lo, &hi);
  add_bytes(w, symbol, lo * elem, hi * elem);
}

bool rpi_touch_begin(rpi_walker *w) {
  const size_t bytes = sizeof *w->b->touch * ((size_t)w->b->an->n_symbol + 1);
  if (!w->ctx->device) return true;
  w->b->touch = rpi_arena_get(&w->b->arena, bytes);
  if (!w->b->touch) return false;
  memset(w->b->touch, 0, bytes);
  return true;
}

/* ---- kernels ---- */

/* The part of the space that this rank computes; false: none. */
static bool space_of(const rpi_walker *w, const rpi_share *p, const rpi_sub *sub,
                     const int64_t *extent, int64_t *lo, int64_t *hi) {
  memset(lo, 0, sizeof *lo * RP_MAX_DIM);
  memcpy(hi, extent, sizeof *hi * RP_MAX_DIM);
  if (!p->shared) return true;
  if (p->boxes) return rpi_grid_box(&p->grid, w->rank, lo, hi);
  lo[0] = sub->row;
  hi[0] = sub->row + sub->rows;
  return sub->rows > 0;
}

/* Points lo..hi-1 of the operand's space; what does not move along an axis is touched even if no point of it is this
 * rank's: beginnings and ends of kernels run everywhere. */
static void add_points(rpi_walker *w, int32_t symbol, const rpi_geom *g, int32_t rank,
                       const int64_t *lo, const int64_t *hi) {
  rpi_geom part = {.ndim = rank, .offset = g->offset};
  for (int32_t d = 0; d < rank; d++) {
    part.stride[d] = g->stride[d];
    part.shape[d] = g->stride[d] == 0 ? 1 : hi[d] - lo[d];
    part.offset += lo[d] * g->stride[d];
    if (part.shape[d] <= 0) return;
  }
  add_box(w, symbol, &part);
}

void rpi_touch_kernel(rpi_walker *w, const rpi_group *g, const rpi_share *p, const int64_t *extent,
                      const rpi_sub *sub) {
  const int32_t rank = rpi_jit_ir(g->kernel)->rank;
  const int64_t none[RP_MAX_DIM] = {0};
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM];
  if (!w->b->touch || w->trial) return;
  if (!space_of(w, p, sub, extent, lo, hi)) memcpy(hi, lo, sizeof hi);
  for (int32_t o = 0; o < g->n_operand; o++) {
    const rpi_group_operand *k = &g->operand[o];
    /* Reductions that ranks join are stored whole on all of them. */
    const bool joined = sub->shared && k->ir.access & RPI_ACCESS_REDUCE;
    if (k->ir.kind != RPI_OPERAND_AFFINE)
      add_place(w, k->symbol, w->held[k->symbol]);
    else
      add_points(w, k->symbol, &w->geom[o], rank, joined ? none : lo, joined ? extent : hi);
  }
}

/* ---- the rest ---- */

void rpi_touch_call(rpi_walker *w, const rpi_group *g, const rpi_plan_call *c, const rpi_share *p) {
  const rp_op *op = w->ts->task[g->task[0]].op;
  if (!w->b->touch || w->trial) return;
  for (int32_t o = 0; o < g->n_operand; o++) {
    const int32_t symbol = g->operand[o].symbol;
    const bool writes = (op->privilege[o] & RP_PRIV_WRITE) != 0;
    if (!p->shared || c->n_unbound > 0) {
      add_all(w, symbol);
      continue;
    }
    add_place(w, symbol, writes ? w->adopt[symbol] : w->held[symbol]);
    if (w->held[symbol] >= RPI_PLACE_TILED) add_place(w, symbol, w->held[symbol]);
  }
}

static void add_patch(rpi_walker *w, const rpi_step *s) {
  const int32_t both[] = {s->src, s->dst};
  for (int32_t i = 0; i < 2; i++) {
    if (s->n_box == 0 && s->clip_hi == 0) add_all(w, both[i]);
    if (s->clip_hi > 0) add_bytes(w, both[i], s->clip_lo, s->clip_hi);
    for (int32_t k = 0; k < s->n_box && s->clip_hi == 0; k++)
      add_box(w, both[i], &w->b->plan.box[s->first_box + k]);
  }
}

static void add_messages(rpi_walker *w, const rpi_plan_exchange *e) {
  for (int32_t i = 0; i < e->n; i++) {
    const rpi_hull h = rpi_messages_hull(e, e->list[i].symbol);
    add_bytes(w, e->list[i].symbol, h.lo, h.hi);
  }
}

void rpi_touch_steps(rpi_walker *w) {
  for (int32_t i = 0; w->b->touch && i < w->n_step; i++) {
    const rpi_step *s = &w->step[i];
    if (s->kind == RPI_STEP_PATCH) add_patch(w, s);
    if (s->kind == RPI_STEP_GATHER) add_all(w, s->dst);
    if (s->kind == RPI_STEP_EXCHANGE) add_messages(w, s->exchange);
  }
}
