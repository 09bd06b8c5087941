/* SPDX-License-Identifier: Apache-2.0
 * trace/shares.c -- who computes what: how kernels and calls are shared out among ranks.
 *
 * Lives here: whether all that a kernel writes can be cut at the same rows, and which rows these are.
 * Not here:   what it reads (bring.c), its words (distribute.c).
 * How:        the largest written array that is tiled says where rows are cut, else the largest that may be, else what is
 *             read. All written arrays are cut there from now on: what one was cut at before moves, once. Reductions over
 *             the first axis leave partials that ranks join; others are rows themselves. A leaf of a reduction is one
 *             rank's: if nothing is written rows are cut at leaves; else a rank does the rows around its own again.
 * Invariant:  functions of the plan, of the places and of the number of ranks. */
#include "core/exec/opaque.h"
#include "trace/distribute_impl.h"

/* What the reductions leave of the space. */
typedef enum reduced {
  REDUCED_NOT,
  REDUCED_ROWS, /* the first axis: ranks join what they have */
  REDUCED_IN_ROWS,
  REDUCED_BOTH
} reduced;

static reduced reduction_of(const rpi_ir *ir) {
  bool rows = false, in_rows = false;
  for (int32_t r = 0; r < ir->n_red; r++) {
    rows = rows || (ir->red[r].mask & 1) != 0;
    in_rows = in_rows || (ir->red[r].mask & 1) == 0;
  }
  return rows && in_rows ? REDUCED_BOTH
         : rows          ? REDUCED_ROWS
         : in_rows       ? REDUCED_IN_ROWS
                         : REDUCED_NOT;
}

bool rpi_shares_writes_rows(const rpi_group_operand *k, const rpi_geom *g) {
  if (k->ir.access & RPI_ACCESS_REDUCE) return g->stride[0] != 0;
  return (k->ir.access & RPI_ACCESS_WRITE) && !rpi_distribute_is_uniform(g);
}

/* An epilogue reads an element that the body writes: only one rank would have it. */
static bool reads_back(const rpi_group *g, const rpi_geom *geom) {
  for (int32_t o = 0; o < g->n_operand; o++) {
    if (!(g->operand[o].ir.access & RPI_ACCESS_READ) || !rpi_distribute_is_uniform(&geom[o]))
      continue;
    for (int32_t q = 0; q < g->n_operand; q++)
      if (rpi_shares_writes_rows(&g->operand[q], &geom[q]) &&
          g->operand[q].symbol == g->operand[o].symbol)
        return true;
  }
  return false;
}

/* ---- candidates: arrays that may say where rows are cut ---- */

typedef struct candidate {
  int32_t symbol;
  const rpi_geom *geom;
  bool writes; /* rows of it */
  bool reads;  /* rows of it */
} candidate;

typedef struct candidates {
  candidate *list;
  int32_t n;
  int64_t extent; /* rows of the space */
} candidates;

/* How the symbol is cut, or would be; false: not at all. */
static bool cuts_of(const rpi_walker *w, int32_t symbol, bool *tiled, rpi_cuts *out) {
  *tiled = rpi_places_is_line(w->ctx, w->place[symbol]);
  if (!*tiled) return rpi_places_default(w->ctx, w->shape[symbol], out);
  *out = rpi_distribute_cuts(w, w->place[symbol]);
  return true;
}

/* Does the candidate decide rather than the one before? */
static bool is_better(bool tiled, int64_t n, bool tiled_before, int64_t before) {
  return tiled != tiled_before ? tiled : n > before;
}

/* The rows by the written array that decides: the largest that is tiled, or else the largest that may be; false: none.
 * *fits: each of its rows is one rank's. */
static bool written_rows(const rpi_walker *w, const candidates *all, rpi_rows *out, bool *fits) {
  bool any = false, fixed = false;
  for (int32_t i = 0; i < all->n; i++) {
    const candidate *k = &all->list[i];
    bool tiled;
    rpi_cuts c;
    if (!k->writes || rpi_distribute_is_pinned(w, k->symbol) || !cuts_of(w, k->symbol, &tiled, &c))
      continue;
    if (any && !is_better(tiled, c.n, fixed, out->cuts.n)) continue;
    any = true;
    fixed = tiled;
    *fits = rpi_rows_by(&c, k->geom, all->extent, out);
  }
  return any;
}

/* The same by what is read; such rows may begin in one rank's range and end in another's. */
static bool read_rows(const rpi_walker *w, const candidates *all, rpi_rows *out) {
  bool any = false, fixed = false;
  for (int32_t i = 0; i < all->n; i++) {
    const candidate *k = &all->list[i];
    bool tiled;
    rpi_cuts c;
    if (!k->reads || k->geom->stride[0] <= 0 || !cuts_of(w, k->symbol, &tiled, &c)) continue;
    if (any && !is_better(tiled, c.n, fixed, out->cuts.n)) continue;
    any = true;
    fixed = tiled;
    rpi_rows_by(&c, k->geom, all->extent, out);
  }
  return any;
}

bool rpi_shares_adopt(rpi_walker *w, int32_t symbol, uint32_t place) {
  if (place == RPI_PLACE_WHOLE) w->status = RP_ERR_MEMORY;
  if (w->adopt[symbol] != RPI_PLACE_WHOLE && w->adopt[symbol] != place) return false;
  if (w->result[symbol] != RPI_PLACE_WHOLE && w->result[symbol] != place) return false;
  w->adopt[symbol] = place;
  return true;
}

/* The array is cut where the rows are, or will be: w->adopt. */
static bool follows(rpi_walker *w, const candidate *k, const rpi_rows *by) {
  const int32_t symbol = k->symbol;
  rpi_rows mine;
  rpi_cuts c;
  if (rpi_distribute_is_pinned(w, symbol)) return false;
  uint32_t place = w->place[symbol];
  const bool line = rpi_places_is_line(w->ctx, place);
  if (line) c = rpi_distribute_cuts(w, place);
  if (!line || !rpi_rows_by(&c, k->geom, by->extent, &mine) || !rpi_rows_same(by, &mine)) {
    if (!rpi_rows_cuts(by, k->geom, w->shape[symbol]->bsize, &c)) {
      c = by->cuts; /* the anchor's own array, cut in the middle of its rows */
      if (!rpi_rows_by(&c, k->geom, by->extent, &mine) || c.n != w->shape[symbol]->bsize ||
          !rpi_rows_same(by, &mine))
        return false;
    }
    place = rpi_places_line(w->ctx, &c);
  }
  return rpi_shares_adopt(w, symbol, place);
}

/* The rows; false if what is written cannot be cut at them. */
static bool rows_of(rpi_walker *w, const candidates *all, rpi_rows *out, bool *writes) {
  *writes = false;
  for (int32_t i = 0; i < all->n; i++) {
    w->adopt[all->list[i].symbol] = RPI_PLACE_WHOLE;
    *writes = *writes || all->list[i].writes;
  }
  bool fits = false;
  if (*writes && written_rows(w, all, out, &fits) ? !fits : !read_rows(w, all, out)) return false;
  for (int32_t i = 0; i < all->n; i++)
    if (all->list[i].writes && !follows(w, &all->list[i], out)) return false;
  return true;
}

/* ---- kernels ---- */

/* Ranks that have units of a whole space begin at rows that are a multiple of this. */
static int64_t leaf_of(const rpi_ir *ir, const int64_t *extent) {
  if (ir->rank == 1) return RPI_LEAF;
  if (!rpi_ir_row_mode(ir)) return 1;
  int64_t each = 1; /* rows of the reduction in a row of the space */
  for (int32_t d = 1; d < ir->rank; d++)
    if (ir->red[0].mask >> d & 1) each *= extent[d];
  return RPI_ROW_LEAF / rpi_rows_gcd(RPI_ROW_LEAF, each);
}

static bool has_work(const rpi_ir *ir, const int64_t *extent) {
  return ir->rank > 0 && ir->n_body > ir->n_pro && extent[0] >= 2 && rpi_ir_units(ir, extent) > 0;
}

rpi_share rpi_shares_kernel(rpi_walker *w, const rpi_group *g, const rpi_geom *geom,
                            const int64_t *extent) {
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  const reduced kind = reduction_of(ir);
  rpi_share s = {.leaf = 1};
  candidates all = {.extent = extent[0]};
  bool writes;
  if (!has_work(ir, extent) || kind == REDUCED_BOTH || reads_back(g, geom)) return s;
  if (rpi_shares_grid(w, g, geom, &s)) return s;
  all.list = rpi_arena_get(&w->b->arena, sizeof *all.list * (size_t)(g->n_operand + 1));
  if (!all.list) return s;
  for (int32_t o = 0; o < g->n_operand; o++) {
    const rpi_group_operand *k = &g->operand[o];
    const bool rows = rpi_shares_writes_rows(k, &geom[o]);
    if (rows && k->ir.kind != RPI_OPERAND_AFFINE) return s;
    all.list[all.n++] =
        (candidate){.symbol = k->symbol,
                    .geom = &geom[o],
                    .writes = rows,
                    .reads = (k->ir.access & RPI_ACCESS_READ) && k->ir.kind == RPI_OPERAND_AFFINE &&
                             !rpi_distribute_is_uniform(&geom[o])};
  }
  if (!rows_of(w, &all, &s.space, &writes) || (!writes && kind != REDUCED_ROWS)) return s;
  s.by_units = kind == REDUCED_ROWS;
  const int64_t leaf = s.by_units ? leaf_of(ir, extent) : 1;
  s.each = s.by_units || ir->rank > 1 ? leaf : RPI_LEAF;
  if (leaf > 1 && !rpi_rows_at_leaves(&s.space, leaf)) {
    if (extent[0] <= leaf) return s;
    if (writes)
      s.leaf = leaf;
    else
      s.space.leaf = leaf;
  }
  s.shared = true;
  return s;
}

/* ---- calls ---- */

/* Rows that no array is cut at yet: pieces of at least so many of them, else as the array would be cut that decides. */
static bool even_rows(rpi_walker *w, const candidates *all, int64_t least, rpi_rows *out) {
  rpi_rows by;
  bool fits;
  if ((!written_rows(w, all, &by, &fits) && !read_rows(w, all, &by)) || by.step <= 0) return false;
  int64_t each = (by.cuts.grain + by.step - 1) / by.step;
  if (each < least) each = least;
  const int64_t pieces = all->extent / each;
  if (pieces < 2) return false;
  *out = (rpi_rows){.cuts = {.n = all->extent, .grain = each, .units = pieces, .ranks = w->ranks},
                    .step = 1,
                    .extent = all->extent,
                    .leaf = 1};
  for (int32_t i = 0; i < all->n; i++) w->adopt[all->list[i].symbol] = RPI_PLACE_WHOLE;
  for (int32_t i = 0; i < all->n; i++)
    if (all->list[i].writes && !follows(w, &all->list[i], out)) return false;
  return true;
}

rpi_share rpi_shares_call(rpi_walker *w, const rpi_group *g, const rpi_plan_call *c) {
  const rpi_task *t = &w->ts->task[g->task[0]];
  rpi_share s = {.leaf = 1};
  candidates all = {.extent = c->units};
  bool writes;
  if (!c->unit_bytes || c->units < 2 || (rpi_opaque_flags(c->opaque) & RP_OPAQUE_SIDE_EFFECT))
    return s;
  all.list = rpi_arena_get(&w->b->arena, sizeof *all.list * (size_t)(g->n_operand + 1));
  if (!all.list) return s;
  for (int32_t o = 0; o < g->n_operand; o++) {
    const bool cut = rpi_opaque_cuts(c->opaque, o);
    /* Of stores whose size is not known yet each rank has its own rows, wherever they belong. */
    const bool bound = o < g->n_operand - c->n_unbound && t->op->privilege[o] != RP_PRIV_UNBOUND;
    const bool written = bound && (t->op->privilege[o] & RP_PRIV_WRITE);
    if (written && !cut) return s;
    all.list[all.n++] = (candidate){.symbol = g->operand[o].symbol,
                                    .geom = cut ? &c->unit[o] : &c->geom[o],
                                    .writes = written,
                                    .reads = bound && cut && !written};
  }
  const int64_t least = rpi_opaque_least(c->opaque);
  s.shared = rows_of(w, &all, &s.space, &writes) && rpi_rows_at_least(&s.space, least);
  writes = writes || c->n_unbound > 0;
  if (!s.shared && writes) s.shared = even_rows(w, &all, least, &s.space);
  s.shared = s.shared && writes;
  return s;
}
