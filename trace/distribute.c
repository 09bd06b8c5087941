/* SPDX-License-Identifier: Apache-2.0
 * trace/distribute.c -- see distribute.h.
 * How: one walk over the plan's steps with the place of each symbol at that time. Steps that bring what a step needs
 *      are put before it. The kernels of one launch are all decided on before any is cut, since what one reads may be
 *      gathered while another writes other elements of it. */
#include "trace/distribute.h"

#include <string.h>

#include "core/exec/exchange.h"
#include "jit/subtree.h"
#include "trace/image.h"

/* How a kernel is shared out. */
typedef struct part {
  bool shared;
  bool by_units; /* the whole space's words, some of its units; else the words of a smaller space */
  rpi_rows space;
} part;

typedef struct walker {
  rp_context *ctx;
  const rpi_tasks *ts;
  rpi_bound *b;
  int32_t rank, ranks;
  part *part;       /* of the kernels of the launch at hand */
  uint32_t n_place; /* slots of the segment; the others are temporaries */
  rpi_geom *geom;   /* of the operands of the kernel at hand */
  uint32_t *place;  /* per symbol */
  uint32_t *adopt;  /* per symbol: the place it gets if the kernel at hand is shared out */
  uint32_t
      *result; /* per symbol: its place after the launch at hand, if a kernel writes its rows; 0 */
  bool *begun; /* per symbol: its place is known */
  const rpi_view **shape; /* per symbol: a view of its buffer; NULL: touched by nothing */
  rpi_step *step;         /* the new list */
  int32_t n_step, cap_step;
  rpi_needs needs;
  int64_t room_most;
  int32_t *moved; /* per old number of steps: the new number */
  rp_status status;
} walker;

/* ---- places ---- */

/* How an array is cut that no other tells; false: too small, every rank holds all of it. */
static bool default_cuts(const walker *w, int32_t symbol, rpi_cuts *out) {
  const rpi_view *v = w->shape[symbol];
  if (!v || v->bdim == 0 || v->bsize == 0) return false;
  if (v->bsize * rpi_dtype_size(v->dtype) < w->ctx->config.tile) return false;
  int64_t row = v->bsize / v->bshape[0], grain = row;
  /* Whole rows; and whole leaves of reductions, if that leaves enough pieces to share them evenly. */
  const int64_t both = row / rpi_rows_gcd(row, RPI_LEAF) * RPI_LEAF;
  if (v->bsize / both >= (v->bdim == 1 ? 2 : 8) * (int64_t)w->ranks) grain = both;
  *out = (rpi_cuts){
      .n = v->bsize, .grain = grain, .units = (v->bsize + grain - 1) / grain, .ranks = w->ranks};
  return true;
}

/* The number of a tiling; 0 (whole) without memory for it. */
static uint32_t place_of(walker *w, const rpi_cuts *c) {
  rp_context *ctx = w->ctx;
  for (int32_t i = ctx->n_cuts - 1; i >= 0; i--)
    if (memcmp(&ctx->cuts[i], c, sizeof *c) == 0) return RPI_PLACE_TILED + (uint32_t)i;
  void *list = ctx->cuts;
  if (!rpi_alloc_grow(&list, &ctx->cap_cuts, ctx->n_cuts + 1, sizeof *ctx->cuts)) {
    w->status = rpi_status_nomem("tilings");
    return RPI_PLACE_WHOLE;
  }
  ctx->cuts = list;
  ctx->cuts[ctx->n_cuts] = *c;
  return RPI_PLACE_TILED + (uint32_t)ctx->n_cuts++;
}

static bool is_tiled(const walker *w, int32_t symbol) {
  return w->place[symbol] >= RPI_PLACE_TILED;
}

static rpi_cuts cuts_of(const walker *w, int32_t symbol) {
  return w->ctx->cuts[w->place[symbol] - RPI_PLACE_TILED];
}

static bool is_pinned(const walker *w, int32_t symbol) {
  return w->b->place[w->b->an->symbol[symbol].slot] == RPI_PLACE_PINNED;
}

/* A symbol's place when a step first touches it: of the instance at entry; of what its patch completes it from. */
static void begin(walker *w, int32_t symbol) {
  const rpi_symbol *k = &w->b->an->symbol[symbol];
  if (w->begun[symbol]) return;
  w->begun[symbol] = true;
  if (k->kind == RPI_SYMBOL_IN) {
    const uint32_t at = w->b->place[k->slot];
    w->place[symbol] = at >= RPI_PLACE_TILED ? at : RPI_PLACE_WHOLE;
  } else if (k->old >= 0 && !is_pinned(w, symbol)) {
    begin(w, k->old);
    w->place[symbol] = w->place[k->old];
  }
}

/* ---- new steps ---- */

static rpi_step *add_step(walker *w, const rpi_step *s) {
  void *list = w->step;
  if (!rpi_alloc_grow(&list, &w->cap_step, w->n_step + 1, sizeof *w->step)) {
    w->status = rpi_status_nomem("steps");
    return NULL;
  }
  w->step = list;
  w->step[w->n_step] = *s;
  return &w->step[w->n_step++];
}

static void gather(walker *w, int32_t symbol) {
  if (!is_tiled(w, symbol)) return;
  const rpi_step s = {.kind = RPI_STEP_GATHER,
                      .dst = symbol,
                      .cuts = cuts_of(w, symbol),
                      .elem = rpi_dtype_size(w->shape[symbol]->dtype)};
  add_step(w, &s);
  w->place[symbol] = RPI_PLACE_WHOLE;
  w->b->plan.n_gather++;
  rpi_context_reason(w->ctx, RPI_REASON_RANKS_GATHER);
}

/* An exchange of the plan, without messages yet; NULL without memory. */
static rpi_plan_exchange *add_exchange(walker *w) {
  rpi_plan_exchange *e = rpi_alloc_zero(sizeof *e);
  if (!e) {
    w->status = rpi_status_nomem("messages");
    return NULL;
  }
  e->next = w->b->plan.exchanges;
  w->b->plan.exchanges = e;
  return e;
}

/* The messages for all needs collected; symbols in order, on all ranks the same. */
static void exchange(walker *w) {
  rpi_plan_exchange *e = w->needs.n > 0 ? add_exchange(w) : NULL;
  for (int32_t symbol = 0; e && symbol < w->b->an->n_symbol; symbol++) {
    if (!is_tiled(w, symbol)) continue;
    const rpi_cuts c = cuts_of(w, symbol);
    const int32_t elem = rpi_dtype_size(w->shape[symbol]->dtype);
    if (!rpi_needs_messages(&w->needs, symbol, &c, w->rank, elem, e))
      w->status = rpi_status_nomem("messages");
  }
  if (e && !rpi_needs_post(e)) w->status = rpi_status_nomem("messages");
  if (e && e->n > 0) add_step(w, &(rpi_step){.kind = RPI_STEP_EXCHANGE, .exchange = e});
  w->needs.n = 0;
}

/* What a kernel gathers, if the image is known before the segment runs; else false. */
static bool image(walker *w, const rpi_group *g, const rpi_geom *geom, int32_t o,
                  const rpi_rows *space) {
  rpi_image *m = rpi_arena_get(&w->b->arena, sizeof *m);
  const int32_t symbol = g->operand[o].symbol;
  if (!m || !rpi_image_find(w->b->an, g, geom, o, space, m)) return false;
  const uint32_t slots[] = {m->at.slot, m->from.slot, m->to.slot};
  for (int32_t i = 0; i < (m->looped ? 3 : 1); i++)
    if (slots[i] >= w->n_place || w->b->place[slots[i]] >= RPI_PLACE_TILED) return false;
  m->cuts = cuts_of(w, symbol);
  m->exchange = add_exchange(w);
  if (!m->exchange) return true;
  m->next = w->b->images;
  w->b->images = m;
  add_step(w, &(rpi_step){.kind = RPI_STEP_EXCHANGE, .exchange = m->exchange});
  return true;
}

/* ---- kernels ---- */

/* Kernels that ask for their place in the space keep the space's words. */
static bool asks_index(const rpi_ir *ir) {
  for (int32_t i = ir->n_pro; i < ir->n_body; i++)
    if (ir->ins[i].op == RPI_IR_INDEX) return true;
  return false;
}

static bool is_uniform(const rpi_geom *g) {
  for (int32_t d = 0; d < g->ndim; d++)
    if (g->stride[d] != 0) return false;
  return true;
}

/* What the reductions leave of the space. */
typedef enum reduced {
  REDUCED_NOT,
  REDUCED_TO_ONE,
  REDUCED_ROWS /* each row by itself */,
  REDUCED_OTHERWISE
} reduced;

static reduced reduction_of(const rpi_ir *ir) {
  bool one = true, rows = true;
  for (int32_t r = 0; r < ir->n_red; r++) {
    one = one && ir->red[r].mask == (1u << ir->rank) - 1;
    rows = rows && (ir->red[r].mask & 1) == 0;
  }
  if (ir->n_red == 0) return REDUCED_NOT;
  return one ? REDUCED_TO_ONE : rows ? REDUCED_ROWS : REDUCED_OTHERWISE;
}

/* Is the operand written row by row? */
static bool writes_rows(const rpi_group_operand *k, const rpi_geom *g) {
  return (k->ir.access & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE)) && !is_uniform(g);
}

/* An epilogue reads an element that the body writes: only one rank would have it. */
static bool reads_back(const rpi_group *g, const rpi_geom *geom) {
  for (int32_t o = 0; o < g->n_operand; o++) {
    if (!(g->operand[o].ir.access & RPI_ACCESS_READ) || !is_uniform(&geom[o])) continue;
    for (int32_t q = 0; q < g->n_operand; q++)
      if (writes_rows(&g->operand[q], &geom[q]) && g->operand[q].symbol == g->operand[o].symbol)
        return true;
  }
  return false;
}

/* The operand that says where rows are cut: the largest written one that is tiled, or else the largest that may be;
 * -1: none. */
static int32_t anchor_of(const walker *w, const rpi_group *g, const rpi_geom *geom, rpi_cuts *out) {
  int32_t best = -1;
  bool fixed = false;
  for (int32_t o = 0; o < g->n_operand; o++) {
    const int32_t symbol = g->operand[o].symbol;
    const bool tiled = is_tiled(w, symbol);
    rpi_cuts c;
    if (!writes_rows(&g->operand[o], &geom[o]) || is_pinned(w, symbol)) continue;
    if (tiled)
      c = cuts_of(w, symbol);
    else if (!default_cuts(w, symbol, &c))
      continue;
    if (best >= 0 && (fixed > tiled || (fixed == tiled && c.n <= out->n))) continue;
    best = o;
    fixed = tiled;
    *out = c;
  }
  return best;
}

/* The operand's array is cut where the rows are; if it is whole, it will be (w->adopt). */
static bool follows(walker *w, int32_t symbol, const rpi_geom *g, const rpi_rows *by) {
  rpi_rows mine;
  rpi_cuts c;
  if (is_pinned(w, symbol)) return false;
  if (is_tiled(w, symbol)) {
    c = cuts_of(w, symbol);
    w->adopt[symbol] = w->place[symbol];
    return rpi_rows_by(&c, g, by->extent, &mine) && rpi_rows_same(by, &mine);
  }
  if (!rpi_rows_cuts(by, g, w->shape[symbol]->bsize, &c)) {
    c = by->cuts; /* the anchor's own array, cut in the middle of its rows */
    if (!rpi_rows_by(&c, g, by->extent, &mine) || c.n != w->shape[symbol]->bsize ||
        !rpi_rows_same(by, &mine))
      return false;
  }
  const uint32_t place = place_of(w, &c);
  if (w->adopt[symbol] != RPI_PLACE_WHOLE && w->adopt[symbol] != place) return false;
  if (w->result[symbol] != RPI_PLACE_WHOLE && w->result[symbol] != place) return false;
  w->adopt[symbol] = place;
  return true;
}

/* The rows by the largest array that the group reads in tiles, or could. */
static bool read_rows(const walker *w, const rpi_group *g, const rpi_geom *geom, int64_t extent,
                      rpi_rows *out) {
  int64_t most = 0;
  bool fixed = false;
  for (int32_t o = 0; o < g->n_operand; o++) {
    const rpi_group_operand *k = &g->operand[o];
    const bool tiled = is_tiled(w, k->symbol);
    rpi_cuts c;
    rpi_rows r;
    if (!(k->ir.access & RPI_ACCESS_READ) || k->ir.kind != RPI_OPERAND_AFFINE ||
        is_uniform(&geom[o]))
      continue;
    if (tiled)
      c = cuts_of(w, k->symbol);
    else if (!default_cuts(w, k->symbol, &c))
      continue;
    if (!rpi_rows_by(&c, &geom[o], extent, &r)) continue;
    if (most > 0 && (fixed > tiled || (fixed == tiled && r.cuts.n <= most))) continue;
    most = r.cuts.n;
    fixed = tiled;
    *out = r;
  }
  return most > 0;
}

/* The rows by what the group writes: all of it must be cut alike. */
static bool written_rows(walker *w, const rpi_group *g, const rpi_geom *geom, int64_t extent,
                         rpi_rows *out, bool *any) {
  rpi_cuts c;
  *any = false;
  for (int32_t o = 0; o < g->n_operand; o++) {
    w->adopt[g->operand[o].symbol] = RPI_PLACE_WHOLE;
    *any = *any || writes_rows(&g->operand[o], &geom[o]);
  }
  if (!*any) return true;
  const int32_t anchor = anchor_of(w, g, geom, &c);
  if (anchor >= 0 ? !rpi_rows_by(&c, &geom[anchor], extent, out)
                  : !read_rows(w, g, geom, extent, out))
    return false;
  for (int32_t o = 0; o < g->n_operand; o++) {
    if (!writes_rows(&g->operand[o], &geom[o])) continue;
    if (g->operand[o].ir.kind != RPI_OPERAND_AFFINE ||
        !follows(w, g->operand[o].symbol, &geom[o], out))
      return false;
  }
  return true;
}

static part part_of(walker *w, const rpi_group *g, const rpi_geom *geom, const int64_t *extent) {
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  part p = {0};
  bool writes;
  if (ir->rank == 0 || ir->n_body == ir->n_pro || extent[0] < 2 || rpi_ir_units(ir, extent) == 0)
    return p;
  for (int32_t i = 0; i < rpi_group_tasks(g); i++)
    if (w->b->an->checked[g->task[i]]) return p;
  const reduced kind = reduction_of(ir);
  if (kind == REDUCED_OTHERWISE || (kind == REDUCED_ROWS && asks_index(ir)) ||
      reads_back(g, geom) || !written_rows(w, g, geom, extent[0], &p.space, &writes))
    return p;
  if (!writes && (ir->n_red == 0 || !read_rows(w, g, geom, extent[0], &p.space))) return p;
  p.by_units = kind == REDUCED_TO_ONE || asks_index(ir);
  if (p.by_units && ir->rank == 1 && !rpi_rows_at_leaves(&p.space)) {
    if (writes) return p;
    p.space.leaf = RPI_LEAF;
  }
  p.shared = true;
  return p;
}

/* What the group reads must be there: gathered, or its neighbours' rows exchanged. */
static void bring(walker *w, const rpi_group *g, const rpi_geom *geom, const part *p) {
  for (int32_t o = 0; o < g->n_operand; o++) {
    const rpi_group_operand *k = &g->operand[o];
    if (!(k->ir.access & RPI_ACCESS_READ) || !is_tiled(w, k->symbol)) continue;
    if (p->shared && k->ir.kind == RPI_OPERAND_TABLE && image(w, g, geom, o, &p->space)) continue;
    if (!p->shared || k->ir.kind != RPI_OPERAND_AFFINE || geom[o].stride[0] <= 0) {
      gather(w, k->symbol);
      continue;
    }
    if (!rpi_needs_add(&w->needs, k->symbol, &p->space, &geom[o]))
      w->status = rpi_status_nomem("needs");
  }
}

/* What joins the old value of a reduction's destination is read, too; rows of it are at hand. */
static void bring_destinations(walker *w, const rpi_group *g, const rpi_geom *geom, const part *p) {
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  for (int32_t r = 0; r < ir->n_red; r++) {
    const int32_t o = ir->red[r].operand;
    if (ir->red[r].join && (!p->shared || is_uniform(&geom[o]))) gather(w, g->operand[o].symbol);
  }
}

/* The sub's words and units become this rank's. */
static void cut_sub(walker *w, const rpi_group *g, const rpi_geom *geom, const part *p,
                    const int64_t *extent, rpi_step *step, rpi_sub *sub) {
  rpi_plan *plan = &w->b->plan;
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  const int64_t lo = rpi_rows_at(&p->space, w->rank), hi = rpi_rows_at(&p->space, w->rank + 1);
  rpi_ir_layout lay;
  rpi_ir_layout_get(ir, &lay);
  int64_t mine[RP_MAX_DIM];
  memcpy(mine, extent, sizeof mine);
  if (p->by_units) {
    const int64_t all = rpi_ir_units(ir, extent), each = ir->rank == 1 ? 1 : all / extent[0];
    const int64_t scale = ir->rank == 1 ? RPI_LEAF : 1;
    sub->first = (lo + scale - 1) / scale * each;
    sub->units = (hi + scale - 1) / scale * each - sub->first;
    sub->shared = ir->n_red > 0;
    if (sub->shared) step->list_room += rpi_subtree_room(ir, extent);
    return;
  }
  mine[0] = hi - lo;
  sub->units = hi > lo ? rpi_ir_units(ir, mine) : 0;
  plan->words[sub->word + lay.extent].i = hi - lo;
  for (int32_t i = 0; i < plan->n_pointer; i++) {
    const int32_t o = plan->pointer[i].word - sub->word - lay.ptr;
    if (o >= 0 && o < g->n_operand && g->operand[o].ir.kind == RPI_OPERAND_AFFINE)
      plan->pointer[i].offset += lo * geom[o].stride[0] * rpi_dtype_size(ir->operand[o].dtype);
  }
}

static const rpi_group *group_of(const walker *w, int32_t sub) {
  return &w->b->an->group[w->b->flag_group[sub]];
}

static void launch(walker *w, const rpi_step *old) {
  rpi_plan *plan = &w->b->plan;
  rpi_step s = *old;
  rpi_geom *geom = w->geom;
  int64_t extent[RP_MAX_DIM];
  for (int32_t i = 0; i < s.n_sub; i++) {
    const rpi_group *g = group_of(w, s.first_sub + i);
    rpi_analyse_geometry(g, w->ts, geom, extent);
    for (int32_t o = 0; o < g->n_operand; o++) begin(w, g->operand[o].symbol);
    const part p = w->part[i] = part_of(w, g, geom, extent);
    bring(w, g, geom, &p);
    bring_destinations(w, g, geom, &p);
    for (int32_t o = 0; p.shared && o < g->n_operand; o++) {
      const int32_t symbol = g->operand[o].symbol;
      if (writes_rows(&g->operand[o], &geom[o]))
        w->result[symbol] = w->place[symbol] = w->adopt[symbol];
    }
    if (!p.shared && rpi_ir_units(rpi_jit_ir(g->kernel), extent) > 1)
      rpi_context_reason(w->ctx, RPI_REASON_RANKS_ALIKE);
  }
  exchange(w);
  /* One that was gathered for a kernel beside it, too. */
  for (int32_t k = 0; k < w->b->an->n_symbol; k++) {
    if (w->result[k] != RPI_PLACE_WHOLE) w->place[k] = w->result[k];
    w->result[k] = RPI_PLACE_WHOLE;
  }
  s.units = 0;
  for (int32_t i = 0; i < s.n_sub; i++) {
    const rpi_group *g = group_of(w, s.first_sub + i);
    rpi_sub *sub = &plan->sub[s.first_sub + i];
    const part p = w->part[i];
    rpi_analyse_geometry(g, w->ts, geom, extent);
    plan->n_shared += p.shared;
    if (p.shared) cut_sub(w, g, geom, &p, extent, &s, sub);
    s.units += sub->units;
  }
  plan->n_joint += s.list_room > 0;
  if (s.list_room > w->room_most) w->room_most = s.list_room;
  add_step(w, &s);
}

/* ---- other steps ---- */

static void call(walker *w, const rpi_step *s) {
  const rpi_group *g = &w->b->an->group[w->b->call_group[s->call]];
  for (int32_t o = 0; o < g->n_operand; o++) {
    begin(w, g->operand[o].symbol);
    gather(w, g->operand[o].symbol);
  }
  add_step(w, s);
}

/* A patch takes this rank's part only: its source may hold no more. */
static void patch(walker *w, const rpi_step *old) {
  rpi_step s = *old;
  begin(w, s.src);
  begin(w, s.dst);
  if (is_pinned(w, s.dst)) gather(w, s.src);
  if (is_tiled(w, s.src) && !is_tiled(w, s.dst)) w->place[s.dst] = w->place[s.src];
  if (is_tiled(w, s.dst)) {
    const int64_t size = rpi_dtype_size(w->shape[s.dst]->dtype);
    const rpi_cuts c = cuts_of(w, s.dst);
    s.clip_lo = rpi_cuts_at(&c, w->rank) * size;
    s.clip_hi = rpi_cuts_at(&c, w->rank + 1) * size;
  }
  w->b->patched[s.dst] = w->place[s.dst];
  if (!is_tiled(w, s.dst) || s.clip_lo < s.clip_hi) add_step(w, &s);
}

/* ---- the walk ---- */

static bool prepare(walker *w) {
  const rpi_analysis *an = w->b->an;
  rpi_arena *a = &w->b->arena;
  w->place = rpi_arena_get(a, sizeof *w->place * (size_t)(an->n_symbol + 1));
  w->adopt = rpi_arena_get(a, sizeof *w->adopt * (size_t)(an->n_symbol + 1));
  w->result = rpi_arena_get(a, sizeof *w->result * (size_t)(an->n_symbol + 1));
  w->begun = rpi_arena_get(a, (size_t)an->n_symbol + 1);
  w->shape = rpi_arena_get(a, sizeof *w->shape * (size_t)(an->n_symbol + 1));
  int32_t operands = 0;
  for (int32_t g = 0; g < an->n_group; g++)
    if (an->group[g].n_operand > operands) operands = an->group[g].n_operand;
  w->geom = rpi_arena_get(a, sizeof *w->geom * (size_t)(operands + 1));
  int32_t subs = 0;
  for (int32_t i = 0; i < w->b->plan.n_step; i++)
    if (w->b->plan.step[i].n_sub > subs) subs = w->b->plan.step[i].n_sub;
  w->part = rpi_arena_get(a, sizeof *w->part * (size_t)(subs + 1));
  w->moved = rpi_arena_get(a, sizeof *w->moved * (size_t)(w->b->plan.n_step + 1));
  if (a->failed) return false;
  for (int32_t i = 0; i < an->n_symbol; i++) {
    const rpi_symbol *k = &an->symbol[i];
    w->shape[i] = NULL;
    for (int32_t x = 0; x < w->ts->n_access && !w->shape[i]; x++)
      if (w->ts->access[x].slot == k->slot) w->shape[i] = w->ts->access[x].view;
    w->place[i] = w->result[i] = RPI_PLACE_WHOLE;
    w->begun[i] = false;
  }
  return true;
}

static void walk(walker *w) {
  rpi_plan *p = &w->b->plan;
  for (int32_t i = 0; i < p->n_step && w->status == RP_OK; i++) {
    w->moved[i] = w->n_step;
    switch (p->step[i].kind) {
      case RPI_STEP_LAUNCH: launch(w, &p->step[i]); break;
      case RPI_STEP_OPAQUE: call(w, &p->step[i]); break;
      case RPI_STEP_PATCH: patch(w, &p->step[i]); break;
      default: break;
    }
  }
  for (uint32_t s = 0; s < w->b->an->n_slot; s++) {
    const int32_t out = w->b->an->out[s];
    if (out < 0) continue;
    begin(w, out);
    if (w->b->place[s] == RPI_PLACE_PINNED) gather(w, out); /* it may be a copy of a tiled array */
  }
  w->moved[p->n_step] = w->n_step;
}

/* The new steps, messages and lists become the plan's own. */
static rp_status install(walker *w) {
  rpi_bound *b = w->b;
  rpi_plan *p = &b->plan;
  rpi_arena *a = &b->arena;
  const rpi_analysis *an = b->an;
  rpi_step *steps = rpi_arena_get(a, sizeof *steps * (size_t)(w->n_step + 1));
  p->lists = rpi_arena_get(a, 2 * (size_t)w->room_most + 1);
  if (a->failed) return rpi_status_nomem("plan");
  if (w->n_step > 0) memcpy(steps, w->step, sizeof *steps * (size_t)w->n_step);
  for (uint32_t s = 0; s < an->n_slot; s++) {
    b->ready[s] = w->moved[b->ready[s]];
    if (an->out[s] >= 0) b->place_out[s] = w->place[an->out[s]];
  }
  p->step = steps;
  p->n_step = w->n_step;
  return RP_OK;
}

rp_status rpi_distribute(rp_context *ctx, const rpi_tasks *ts, rpi_bound *b, uint32_t n_place) {
  walker w = {.ctx = ctx,
              .ts = ts,
              .b = b,
              .rank = rpi_comm_rank(ctx->comm),
              .ranks = rpi_comm_size(ctx->comm),
              .n_place = n_place,
              .status = RP_OK};
  if (!prepare(&w)) return rpi_status_nomem("plan");
  walk(&w);
  if (w.status == RP_OK) w.status = install(&w);
  rpi_alloc_free(w.step);
  rpi_alloc_free(w.needs.list);
  return w.status;
}

rp_status rpi_distribute_failed(rp_context *ctx, rp_status st) {
  if (RPI_LIKELY(st == RP_OK) || ctx->ranks_status != RP_OK) return st;
  ctx->ranks_status = st;
  rpi_comm_abort(ctx->comm, rpi_status_message());
  return st;
}

rp_status rpi_distribute_gather(rp_context *ctx, rpi_buffer *b) {
  if (b->place < RPI_PLACE_TILED) return RP_OK;
  const rpi_cuts c = ctx->cuts[b->place - RPI_PLACE_TILED];
  b->place = RPI_PLACE_WHOLE;
  if (!b->inst) return RP_OK;
  ctx->stats.gathers++;
  return rpi_distribute_failed(
      ctx, rpi_exchange_gather(ctx->comm, &c, rpi_dtype_size(b->base->dtype), b->inst->data));
}
