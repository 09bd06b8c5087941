/* SPDX-License-Identifier: Apache-2.0
 * trace/slabs.c -- see slabs.h: a kernel over a box becomes pieces, of which the inner one runs while messages travel.
 *
 * Lives here: which box is the inner one, and the words of the pieces.
 * Not here:   which exchanges a launch may begin before (distribute.c), when pieces run (core/exec/run.h).
 * How:        what a kernel reads is, for a box of its space, boxes of arrays (margins.h); in the inner box they are this
 *             rank's own. Each piece is the same kernel on the same words but for extents, origin and pointers. What
 *             lies beside the inner box on the last axis has rows of an element or two, far from each other in memory:
 *             such an inner box is no longer than the messages take, and what follows has whole rows.
 * Invariant:  a piece has no reductions: partials are laid out by the box. Which pieces there are, each rank says for
 *             itself. */
#include "trace/slabs.h"

#include "trace/distribute_impl.h"

/* ---- geometry ---- */

static int64_t points(int32_t ndim, const rpi_slab *s) {
  int64_t n = 1;
  for (int32_t d = 0; d < ndim; d++) n *= s->hi[d] > s->lo[d] ? s->hi[d] - s->lo[d] : 0;
  return n;
}

bool rpi_slabs_inner(int32_t ndim, const rpi_slab *box, int64_t rows, rpi_slab *inner) {
  const int32_t last = ndim - 1;
  const int64_t mine = points(ndim, inner);
  if (mine == 0 || 2 * mine < points(ndim, box)) return false;
  const bool narrow = inner->lo[last] > box->lo[last] || inner->hi[last] < box->hi[last];
  if (narrow && last > 0 && inner->hi[0] - inner->lo[0] > rows) inner->hi[0] = inner->lo[0] + rows;
  return true;
}

int32_t rpi_slabs_cut(int32_t ndim, const rpi_slab *box, const rpi_slab *inner,
                      rpi_slab out[RPI_SLABS_MOST]) {
  rpi_slab rest = *box;
  int32_t n = 1;
  out[0] = *inner;
  for (int32_t d = 0; d < ndim; d++) {
    for (int32_t above = 0; above < 2; above++) {
      rpi_slab s = rest;
      *(above ? &s.lo[d] : &s.hi[d]) = above ? inner->hi[d] : inner->lo[d];
      if (points(ndim, &s) > 0) out[n++] = s;
    }
    rest.lo[d] = inner->lo[d];
    rest.hi[d] = inner->hi[d];
  }
  return n;
}

/* ---- kernels ---- */

/* Rows of a box, moving `bytes` each, that take as long as the messages of an exchange, and more than that. */
static int64_t rows_beside(const rpi_walker *w, const rpi_plan_exchange *e, int64_t bytes) {
  enum {
    TIMES = 8,
    MESSAGE = 65536
  }; /* slower than memory, and each as slow as so many bytes more */
  int64_t sent = 0;
  for (int32_t i = 0; i < e->n; i++) sent += e->list[i].bytes + MESSAGE;
  return sent * TIMES * rpi_workers_count(w->ctx->workers) / (bytes > 0 ? bytes : 1) + 1;
}

/* One piece; its words are there when it runs. */
static rpi_piece piece_of(rpi_walker *w, const rpi_group *g, const rpi_slab *box,
                          const rpi_slab *s) {
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  rpi_arena *a = &w->b->arena;
  int64_t at[RP_MAX_DIM] = {0}, shape[RP_MAX_DIM] = {0};
  rpi_ir_layout lay;
  rpi_ir_layout_get(ir, &lay);
  const int32_t n = lay.ptr + ir->n_operand; /* extents, origin and pointers come first */
  int64_t *move = rpi_arena_get(a, sizeof *move * (size_t)n);
  rpi_word *words = rpi_arena_get(a, sizeof *words * (size_t)lay.n_words);
  if (!move || !words) return (rpi_piece){0}; /* the arena says so */
  for (int32_t d = 0; d < ir->rank; d++) {
    at[d] = s->lo[d] - box->lo[d];
    shape[d] = s->hi[d] - s->lo[d];
    move[lay.extent + d] = shape[d] - (box->hi[d] - box->lo[d]);
    move[lay.origin + d] = at[d];
  }
  for (int32_t o = 0; o < ir->n_operand; o++)
    move[lay.ptr + o] = rpi_parts_shift(ir, o, &w->geom[o], at);
  return (rpi_piece){.units = rpi_ir_units(ir, shape), .words = words, .move = move, .n_move = n};
}

void rpi_slabs_kernel(rpi_walker *w, int32_t step, int32_t user, const rpi_group *g, int64_t bytes,
                      rpi_sub *sub) {
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  rpi_slab box = {{0}, {0}}, out[RPI_SLABS_MOST];
  sub->inner = sub->inner_units = 0;
  if (sub->units == 0 || !rpi_grid_box(&w->share[user].grid, w->rank, box.lo, box.hi)) return;
  rpi_slab inner = box;
  for (int32_t i = 0; i < w->margins.n && w->n_image == 0; i++)
    if (w->margins.list[i].user == user)
      rpi_margins_within(&w->margins.list[i], w->rank, inner.lo, inner.hi);
  if (points(ir->rank, &inner) == points(ir->rank, &box)) {
    sub->inner_units = sub->units;
    return;
  }
  const int64_t rows = rows_beside(w, w->step[step].exchange, bytes / (box.hi[0] - box.lo[0]));
  if (ir->n_red > 0 || !rpi_slabs_inner(ir->rank, &box, rows, &inner)) return;
  const int32_t n = rpi_slabs_cut(ir->rank, &box, &inner, out);
  rpi_piece *piece = rpi_arena_get(&w->b->arena, sizeof *piece * (size_t)n);
  if (!piece) return;
  for (int32_t i = 0; i < n; i++) piece[i] = piece_of(w, g, &box, &out[i]);
  sub->inner_units = piece[0].units;
  sub->piece = piece;
  sub->n_piece = n;
}
