/* SPDX-License-Identifier: Apache-2.0
 * trace/bring.c -- what steps need of other ranks, brought before them.
 *
 * Lives here: for each operand, whether a closed form, an image or a gather brings it; the steps that do.
 * How:        rows that lie beside each other are a closed need (needs.h), all those of a launch in one exchange. Tables,
 *             and rows that are spread over the array or run backwards, are images: the images of index data come
 *             before those that they decide. An array that is to be cut elsewhere moves in the same way. What every
 *             rank reads all of is gathered, and whole from then on. */
#include "core/exec/opaque.h"
#include "trace/distribute_impl.h"
#include "trace/subscript.h"

static bool is_tiled(const rpi_walker *w, int32_t symbol) {
  return w->held[symbol] >= RPI_PLACE_TILED;
}

void rpi_bring_whole(rpi_walker *w, int32_t symbol) {
  if (!is_tiled(w, symbol)) return;
  rpi_tiling *t = rpi_arena_get(&w->b->arena, sizeof *t);
  if (!t) return;
  *t = *rpi_places_tiling(w->ctx, w->held[symbol]);
  rpi_step s = {.kind = RPI_STEP_GATHER,
                .dst = symbol,
                .tiling = t,
                .elem = rpi_dtype_size(w->shape[symbol]->dtype)};
  if (w->ctx->nccl && !w->trial) s.exchange = rpi_distribute_exchange(w);
  if (s.exchange && !rpi_messages_tiles(s.exchange, symbol, t, s.elem, w->rank))
    w->status = rpi_status_nomem("messages");
  rpi_distribute_step(w, &s);
  w->settled[symbol] = w->n_step;
  w->epoch[symbol]++;
  w->held[symbol] = w->place[symbol] = RPI_PLACE_WHOLE;
  w->b->plan.n_gather++;
  rpi_distribute_reason(w, RPI_REASON_RANKS_GATHER);
}

static void add_margins(rpi_walker *w, rpi_plan_exchange *e, int32_t symbol) {
  const int32_t elem = rpi_dtype_size(w->shape[symbol]->dtype);
  if (!rpi_margins_messages(&w->margins, symbol, w->rank, elem, e))
    w->status = rpi_status_nomem("messages");
}

/* All its messages are there: a step, if there are any; its number, or -1. */
static int32_t close_exchange(rpi_walker *w, rpi_plan_exchange *e) {
  if (e && !(w->trial ? rpi_messages_join(e) : rpi_messages_close(e)))
    w->status = rpi_status_nomem("messages");
  if (!e || e->n == 0) return -1;
  rpi_distribute_step(w, &(rpi_step){.kind = RPI_STEP_EXCHANGE, .exchange = e});
  return w->n_step - 1;
}

/* ---- images ---- */

/* This rank's rows, in whole leaves; of boxes those of the first axis. */
static void rows_of(const rpi_walker *w, const rpi_share *s, int64_t *lo, int64_t *hi) {
  int64_t from[RP_MAX_DIM], to[RP_MAX_DIM];
  bool any = true;
  if (s->boxes) {
    any = rpi_grid_box(&s->grid, w->rank, from, to);
    *lo = from[0];
    *hi = to[0];
  } else {
    rpi_rows_wide(&s->space, s->leaf, w->rank, lo, hi);
    any = rpi_rows_at(&s->space, w->rank) < rpi_rows_at(&s->space, w->rank + 1);
  }
  if (!any) *hi = *lo;
}

static void add_image(rpi_walker *w, rpi_image *m, const rpi_share *s, int32_t level) {
  m->cuts = rpi_distribute_cuts(w, w->held[m->symbol]);
  if (rpi_ahead_has_image(w, m, s)) return;
  void *list = w->image;
  if (!rpi_alloc_grow(&list, &w->cap_image, w->n_image + 1, sizeof *w->image)) {
    w->status = rpi_status_nomem("images");
    return;
  }
  rows_of(w, s, &m->row_lo, &m->row_hi);
  w->image = list;
  w->image[w->n_image++] = (rpi_bring_image){m, level, w->user};
}

/* An operand by the image of the rank's rows. False: each rank would read all of it. */
static bool by_image(rpi_walker *w, const rpi_subscript_kernel *k, int32_t o, const rpi_share *s) {
  const rpi_group_operand *operand = &k->group->operand[o];
  rpi_image *m = rpi_arena_get(&w->b->arena, sizeof *m);
  int32_t level = 0;
  const bool ok = m && (operand->ir.kind == RPI_OPERAND_TABLE ? rpi_subscript_table(k, o, m, &level)
                                                              : rpi_subscript_affine(k, o, m));
  if (!ok) w->status = rpi_status_nomem("images");
  if (!ok || rpi_subscript_is_everything(m, w->shape[operand->symbol]->bsize)) return !ok;
  add_image(w, m, s, level);
  return true;
}

/* Do a rank's rows lie beside each other, or overlap so much that they fill what they span? */
static bool is_compact(const rpi_walker *w, const rpi_geom *g, int64_t rows) {
  int64_t first, span, points = 1;
  if (g->stride[0] <= 0) return false;
  rpi_rows_hull(g, &first, &span);
  if (span < g->stride[0]) return true;
  for (int32_t d = 1; d < g->ndim; d++)
    if (g->stride[d] != 0) points *= g->shape[d];
  const int64_t mine = (rows + w->ranks - 1) / w->ranks;
  return g->stride[0] * (mine - 1) + span < points * mine;
}

/* ---- kernels and calls ---- */

/* An affine operand of which each rank reads its rows. */
static void bring_rows(rpi_walker *w, int32_t symbol, const rpi_geom *g, const rpi_share *s) {
  rpi_ahead_need n = {.symbol = symbol, .line = rpi_needs_of(symbol, &s->space, s->leaf, g)};
  rpi_ahead_need_of(w, &n);
}

/* An operand, of which each rank reads its rows or its box, of an array that is cut along its axes; false: that is no
 * box, or a box that is no one's. */
static bool bring_box(rpi_walker *w, int32_t symbol, const rpi_geom *g, const rpi_share *s) {
  const rpi_view *v = w->shape[symbol];
  rpi_ahead_need n = {.symbol = symbol, .is_box = true};
  rpi_tiling t;
  rpi_grid reader = s->grid;
  if (rpi_distribute_is_uniform(g) ||
      !rpi_tiling_by_axes(rpi_places_tiling(w->ctx, w->held[symbol]), v->bdim, v->bshape, &t))
    return false;
  if (!s->boxes) rpi_grid_rows(&s->space, s->leaf, g, &reader);
  if (!rpi_margins_of(&reader, g, &t, v->bshape, &n.box)) return false;
  n.box.symbol = symbol;
  rpi_ahead_need_of(w, &n);
  return true;
}

/* What joins the old value of a reduction's destination is read, too; rows of it are at hand. */
static void bring_destinations(rpi_walker *w, const rpi_group *g, const rpi_geom *geom,
                               const rpi_share *s) {
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  for (int32_t r = 0; r < ir->n_red; r++) {
    const int32_t o = ir->red[r].operand;
    if (ir->red[r].join && !(s->shared && rpi_shares_writes_rows(&g->operand[o], &geom[o])))
      rpi_bring_whole(w, g->operand[o].symbol);
  }
}

/* From one tiling to another, of which one is a grid; false: the other is a line that is cut within rows. */
static bool move_box(rpi_walker *w, int32_t symbol, uint32_t place) {
  const rpi_view *v = w->shape[symbol];
  rpi_geom all;
  rpi_tiling t;
  rpi_share s = {.shared = true, .boxes = true};
  rpi_geom_dense(v->bdim, v->bshape, &all);
  return rpi_tiling_by_axes(rpi_places_tiling(w->ctx, place), v->bdim, v->bshape, &t) &&
         rpi_grid_by(&t, &all, v->bshape, &s.grid) && bring_box(w, symbol, &all, &s);
}

void rpi_bring_range(rpi_walker *w, int32_t symbol, uint32_t place) {
  const rpi_geom all = {.ndim = 1, .shape = {w->shape[symbol]->bsize}, .stride = {1}};
  if (!is_tiled(w, symbol) || place < RPI_PLACE_TILED || place == w->held[symbol]) return;
  const int32_t user = w->user;
  w->user = -1;
  rpi_distribute_reason(w, RPI_REASON_RANKS_MOVE);
  if (rpi_places_is_grid(w->ctx, place) || rpi_places_is_grid(w->ctx, w->held[symbol])) {
    if (!move_box(w, symbol, place)) rpi_bring_whole(w, symbol);
  } else {
    const rpi_cuts c = rpi_distribute_cuts(w, place);
    rpi_share s = {.leaf = 1};
    rpi_rows_by(&c, &all, all.shape[0], &s.space);
    bring_rows(w, symbol, &all, &s);
  }
  w->user = user;
}

void rpi_bring_line(rpi_walker *w, int32_t symbol) {
  rpi_cuts c;
  if (!rpi_places_is_grid(w->ctx, w->held[symbol])) return;
  const uint32_t place = rpi_places_default(w->ctx, w->shape[symbol], &c)
                             ? rpi_places_line(w->ctx, &c)
                             : RPI_PLACE_WHOLE;
  if (place == RPI_PLACE_WHOLE) {
    rpi_bring_whole(w, symbol);
    return;
  }
  rpi_margins others = w->margins; /* of the launch at hand: they are brought later */
  w->margins = (rpi_margins){0};
  rpi_bring_range(w, symbol, place);
  rpi_plan_exchange *e = rpi_distribute_exchange(w);
  if (e) add_margins(w, e, symbol);
  close_exchange(w, e);
  rpi_margins_deinit(&w->margins);
  w->margins = others;
  w->held[symbol] = w->place[symbol] = place;
  w->epoch[symbol]++;
  w->settled[symbol] = w->n_step;
}

/* A written array that will be cut elsewhere moves, if it holds anything yet. */
static void bring_written(rpi_walker *w, int32_t symbol) {
  if (w->filled[symbol]) rpi_bring_range(w, symbol, w->adopt[symbol]);
}

void rpi_bring_kernel(rpi_walker *w, const rpi_group *g, const rpi_geom *geom,
                      const int64_t *extent, const rpi_word *param, const rpi_share *s) {
  const rpi_subscript_kernel k = {g, geom, extent, param, &w->b->arena};
  for (int32_t o = 0; o < g->n_operand; o++) {
    const rpi_group_operand *operand = &g->operand[o];
    if (!(operand->ir.access & RPI_ACCESS_READ) || !is_tiled(w, operand->symbol)) continue;
    const bool affine = operand->ir.kind == RPI_OPERAND_AFFINE;
    const bool boxes = s->boxes || rpi_places_is_grid(w->ctx, w->held[operand->symbol]);
    if (!s->shared) {
      rpi_bring_whole(w, operand->symbol);
      continue;
    }
    if (boxes && affine && bring_box(w, operand->symbol, &geom[o], s)) continue;
    if (!(affine && rpi_distribute_is_uniform(&geom[o]))) rpi_bring_line(w, operand->symbol);
    if (!s->boxes && affine && is_compact(w, &geom[o], extent[0]))
      bring_rows(w, operand->symbol, &geom[o], s);
    else if ((affine && rpi_distribute_is_uniform(&geom[o])) || !by_image(w, &k, o, s))
      rpi_bring_whole(w, operand->symbol);
  }
  for (int32_t o = 0; s->shared && o < g->n_operand; o++)
    if (rpi_shares_writes_rows(&g->operand[o], &geom[o])) bring_written(w, g->operand[o].symbol);
  bring_destinations(w, g, geom, s);
}

/* A store's rows unit by unit, as an operand of a kernel over units; false: it has too many axes. */
static bool by_units(const rpi_constraint_rows *r, const rpi_geom *g, int64_t units,
                     rpi_geom *out) {
  *out = *g;
  out->shape[0] = units;
  if (r->scale == 1) return true;
  if (g->ndim == RP_MAX_DIM) return false;
  *out = (rpi_geom){.ndim = g->ndim + 1,
                    .offset = g->offset,
                    .shape = {units, r->scale},
                    .stride = {r->scale * g->stride[0], g->stride[0]}};
  for (int32_t d = 1; d < g->ndim; d++) {
    out->shape[d + 1] = g->shape[d];
    out->stride[d + 1] = g->stride[d];
  }
  return true;
}

static int32_t add_node(rpi_image *m, const rpi_image_node *n) {
  m->node[m->n_node] = *n;
  return m->n_node++;
}

static const rpi_image_hint hints[] = {[RP_CONSTRAINT_IMAGE_MIN_MAX] = RPI_IMAGE_MIN_MAX,
                                       [RP_CONSTRAINT_IMAGE_FIRST_LAST] = RPI_IMAGE_FIRST_LAST,
                                       [RP_CONSTRAINT_IMAGE_RANGES_FIRST_LAST] =
                                           RPI_IMAGE_FIRST_LAST}; /* else EXACT */

/* What one constraint says of the image's store; false: it says nothing that could be looked at. */
static bool add_use(const rpi_walker *w, rpi_image *m, const rpi_group *g, const rpi_plan_call *c,
                    const rp_constraint *k) {
  const rpi_constraint_rows *r = rpi_opaque_rows(c->opaque, k->b);
  const rpi_task *t = &w->ts->task[g->task[0]];
  rpi_image_node n = {.kind = RPI_IMAGE_DATA,
                      .hint = hints[k->kind],
                      .symbol = g->operand[k->b].symbol,
                      .dtype = t->view[k->b]->dtype,
                      .op = t->op,
                      .store = k->b};
  rpi_image_use *u = &m->use[m->n_use++];
  const bool ranges = rpi_constraint_is_ranges(k);
  if (!r->cut || (ranges && r->extra < 1) || !by_units(r, &c->geom[k->b], c->units, &n.geom))
    return false;
  u->axis[0] = add_node(m, &n);
  if (ranges) { /* from the first offset of the rows up to the last */
    n.geom.offset += c->geom[k->b].stride[0] * r->extra;
    const int32_t last = add_node(m, &n);
    u->axis[0] = add_node(m, &(rpi_image_node){.kind = RPI_IMAGE_LOOP, .src = {u->axis[0], last}});
  }
  for (int32_t d = 1; d < m->geom.ndim; d++)
    u->axis[d] =
        add_node(m, &(rpi_image_node){.kind = RPI_IMAGE_BOUNDS, .hi = m->geom.shape[d] - 1});
  return true;
}

/* Store o of a call by the index data that say what is read of it. False: nothing says so. */
static bool by_index_data(rpi_walker *w, const rpi_group *g, const rpi_plan_call *c, int32_t o,
                          const rpi_share *s) {
  const rpi_constraints *all = rpi_opaque_constraints(c->opaque);
  rpi_image *m = rpi_arena_get(&w->b->arena, sizeof *m);
  const size_t room = (size_t)all->n + 1;
  if (!m) return false;
  *m = (rpi_image){.symbol = g->operand[o].symbol,
                   .elem = rpi_dtype_size(w->shape[g->operand[o].symbol]->dtype),
                   .geom = c->geom[o],
                   .node = rpi_arena_get(&w->b->arena, sizeof *m->node * room * (RP_MAX_DIM + 2)),
                   .use = rpi_arena_get(&w->b->arena, sizeof *m->use * room)};
  if (!m->node || !m->use) return false; /* the arena has failed, and says so */
  for (int32_t k = 0; k < all->n; k++)
    if (rpi_constraint_is_image(&all->list[k]) && all->list[k].a == o &&
        !add_use(w, m, g, c, &all->list[k]))
      return false;
  if (m->n_use > 0) add_image(w, m, s, 0);
  return m->n_use > 0;
}

void rpi_bring_call(rpi_walker *w, const rpi_group *g, const rpi_plan_call *c, const rpi_share *s) {
  for (int32_t o = 0; o < g->n_operand; o++) {
    const int32_t symbol = g->operand[o].symbol;
    const int32_t rights = w->ts->task[g->task[0]].op->privilege[o];
    if (s->shared && (rights & RP_PRIV_WRITE)) bring_written(w, symbol);
    if (!is_tiled(w, symbol) || (s->shared && !(rights & RP_PRIV_READ))) continue;
    if (s->shared) rpi_bring_line(w, symbol);
    if (s->shared && rpi_opaque_cuts(c->opaque, o) && c->unit[o].stride[0] > 0)
      bring_rows(w, symbol, &c->unit[o], s);
    else if (!s->shared || rpi_opaque_cuts(c->opaque, o) || !by_index_data(w, g, c, o, s))
      rpi_bring_whole(w, symbol);
  }
}

/* ---- steps ---- */

/* The messages for all closed needs; symbols in order, on all ranks the same. */
static int32_t exchange_needs(rpi_walker *w) {
  rpi_plan_exchange *e = w->needs.n + w->margins.n > 0 ? rpi_distribute_exchange(w) : NULL;
  for (int32_t symbol = 0; e && symbol < w->b->an->n_symbol; symbol++) {
    if (!is_tiled(w, symbol)) continue;
    add_margins(w, e, symbol);
    if (!rpi_places_is_line(w->ctx, w->held[symbol])) continue;
    const rpi_cuts c = rpi_distribute_cuts(w, w->held[symbol]);
    const int32_t elem = rpi_dtype_size(w->shape[symbol]->dtype);
    if (!rpi_needs_messages(&w->needs, symbol, &c, w->rank, elem, e))
      w->status = rpi_status_nomem("messages");
  }
  return close_exchange(w, e);
}

int32_t rpi_bring_steps(rpi_walker *w) {
  if (w->notes) return -1; /* it is known what is needed */
  int32_t last = exchange_needs(w);
  for (int32_t level = 0, left = w->n_image; left > 0; level++) {
    for (int32_t i = 0; i < w->n_image; i++) {
      rpi_image *m = w->image[i].image;
      if (w->image[i].level != level) continue;
      left--;
      m->sub = -1;
      m->exchange = rpi_distribute_exchange(w);
      if (!m->exchange) return -1;
      rpi_distribute_step(w, &(rpi_step){.kind = RPI_STEP_IMAGE, .image = m});
      rpi_distribute_step(w, &(rpi_step){.kind = RPI_STEP_EXCHANGE, .exchange = m->exchange});
      last = w->n_step - 1;
    }
  }
  return last;
}

void rpi_bring_done(rpi_walker *w) { w->needs.n = w->margins.n = w->n_image = 0; }

bool rpi_bring_inner(const rpi_walker *w, int32_t step, int32_t user, int64_t *lo, int64_t *hi) {
  *lo = 0;
  *hi = INT64_MAX;
  for (int32_t i = 0; i < w->n_image; i++) {
    if (w->image[i].image->exchange != w->step[step].exchange) continue;
    if (w->image[i].user == user) *hi = 0; /* known when it has been looked at */
    return true;
  }
  const bool boxes = w->share[user].shared && w->share[user].boxes; /* what they may: slabs.c */
  for (int32_t i = 0; i < w->margins.n; i++)
    if (w->margins.list[i].user < 0 || (w->margins.list[i].user == user && !boxes)) return false;
  for (int32_t i = 0; i < w->needs.n; i++) {
    const rpi_need *n = &w->needs.list[i];
    if (n->user < 0) return false;
    if (n->user != user || !is_tiled(w, n->symbol)) continue;
    const rpi_cuts c = rpi_distribute_cuts(w, w->held[n->symbol]);
    int64_t from, to;
    rpi_needs_within(n, rpi_cuts_at(&c, w->rank), rpi_cuts_at(&c, w->rank + 1), &from, &to);
    if (from > *lo) *lo = from;
    if (to < *hi) *hi = to;
  }
  return true;
}
