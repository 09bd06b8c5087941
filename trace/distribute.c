/* SPDX-License-Identifier: Apache-2.0
 * trace/distribute.c -- see distribute.h.
 * How: one walk over the plan's steps with the place of each symbol at that time. Steps that bring what a step needs
 *      are put before it. The kernels of one launch are all decided on before any is cut, since what one reads may be
 *      gathered while another writes other elements of it. */
#include <string.h>

#include "core/base/alloc.h"
#include "trace/partials.h"
#include "trace/touch.h"

/* ---- steps and places ---- */

/* A symbol's place when a step first touches it: of the instance at entry; of what its patch completes it from. */
static void begin(rpi_walker *w, int32_t symbol) {
  const rpi_symbol *k = &w->b->an->symbol[symbol];
  if (w->begun[symbol]) return;
  w->begun[symbol] = true;
  if (k->kind == RPI_SYMBOL_IN) {
    const uint32_t at = w->b->place[k->slot];
    w->place[symbol] = at >= RPI_PLACE_TILED ? at : RPI_PLACE_WHOLE;
    w->filled[symbol] = true;
  } else if (k->old >= 0 && !rpi_distribute_is_pinned(w, symbol)) {
    begin(w, k->old);
    w->place[symbol] = w->place[k->old];
  }
  w->held[symbol] = w->place[symbol];
}

void rpi_distribute_step(rpi_walker *w, const rpi_step *s) {
  void *list = w->step;
  if (!rpi_alloc_grow(&list, &w->cap_step, w->n_step + 1, sizeof *w->step)) {
    w->status = rpi_status_nomem("steps");
    return;
  }
  w->step = list;
  w->step[w->n_step++] = *s;
}

rpi_plan_exchange *rpi_distribute_exchange(rpi_walker *w) {
  rpi_plan_exchange *e = rpi_alloc_zero(sizeof *e);
  if (!e) {
    w->status = rpi_status_nomem("messages");
    return NULL;
  }
  e->device = w->ctx->device;
  e->gpu = w->at < w->b->plan.n_step && w->b->plan.step[w->at].gpu;
  e->next = w->b->plan.exchanges;
  w->b->plan.exchanges = e;
  return e;
}

/* ---- kernels ---- */

static const rpi_group *group_of(const rpi_walker *w, int32_t sub) {
  return &w->b->an->group[w->b->flag_group[sub]];
}

/* Gathers with indices that are checked while they run: what one rank finds, all must know. */
static bool may_raise(const rpi_walker *w, const rpi_group *g) {
  for (int32_t i = 0; i < rpi_group_tasks(g); i++)
    if (w->b->an->checked[g->task[i]]) return true;
  return false;
}

/* Decides on the i-th kernel of a launch, and brings what it needs. */
static void share_kernel(rpi_walker *w, const rpi_sub *sub, int32_t i, const rpi_group *g) {
  int64_t extent[RP_MAX_DIM];
  rpi_geom *geom = w->geom;
  rpi_ir_layout lay;
  rpi_ir_layout_get(rpi_jit_ir(g->kernel), &lay);
  rpi_analyse_geometry(g, w->ts, geom, extent);
  w->user = i;
  for (int32_t o = 0; o < g->n_operand; o++) begin(w, g->operand[o].symbol);
  const rpi_share p = w->share[i] = rpi_shares_kernel(w, g, geom, extent);
  rpi_bring_kernel(w, g, geom, extent, &w->b->plan.words[sub->word + lay.param], &p);
  for (int32_t o = 0; p.shared && o < g->n_operand; o++) {
    const int32_t symbol = g->operand[o].symbol;
    if (rpi_shares_writes_rows(&g->operand[o], &geom[o]))
      w->result[symbol] = w->place[symbol] = w->adopt[symbol];
  }
  if (p.shared && may_raise(w, g)) w->b->joint_failure = true;
  if (!p.shared && rpi_ir_units(rpi_jit_ir(g->kernel), extent) > 1)
    rpi_distribute_reason(w, RPI_REASON_RANKS_ALIKE);
}

/* Does the call of group g write its o-th store? */
static bool is_output(const rpi_walker *w, const rpi_group *g, int32_t o) {
  return w->ts->task[g->task[0]].op->privilege[o] & RP_PRIV_WRITE;
}

/* What the group writes has other values from now on. */
static void advance(rpi_walker *w, const rpi_group *g) {
  for (int32_t o = 0; o < g->n_operand; o++) {
    const bool writes =
        g->opaque ? is_output(w, g, o)
                  : (g->operand[o].ir.access & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE)) != 0;
    if (writes) w->epoch[g->operand[o].symbol]++;
  }
}

/* One that was gathered for a kernel beside it, too. */
static void settle_results(rpi_walker *w) {
  for (int32_t k = 0; k < w->b->an->n_symbol; k++) {
    if (w->result[k] != RPI_PLACE_WHOLE) {
      w->place[k] = w->result[k];
      w->filled[k] = true;
    }
    w->result[k] = RPI_PLACE_WHOLE;
    w->held[k] = w->place[k];
  }
}

/* Does a kernel of the launch write what the exchange sends or receives? */
static bool writes_messages(const rpi_walker *w, const rpi_step *s, int32_t exchange) {
  const rpi_plan_exchange *e = w->step[exchange].exchange;
  for (int32_t i = 0; i < s->n_sub; i++) {
    const rpi_group *g = group_of(w, s->first_sub + i);
    for (int32_t o = 0; o < g->n_operand; o++) {
      if (!(g->operand[o].ir.access & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE))) continue;
      const int32_t symbol = g->operand[o].symbol;
      for (int32_t k = 0; k < w->n_image; k++)
        if (w->image[k].image->exchange == e && w->image[k].image->symbol == symbol) return true;
      for (int32_t k = 0; k < e->n; k++)
        if (e->list[k].symbol == symbol) return true;
    }
  }
  return false;
}

/* What of the i-th kernel of a launch needs nothing of the exchange; false: nothing at all does. */
static bool find_inner(rpi_walker *w, const rpi_step *s, int32_t exchange, int32_t i) {
  rpi_sub *sub = &w->b->plan.sub[s->first_sub + i];
  const rpi_group *g = group_of(w, s->first_sub + i);
  int64_t lo, hi, extent[RP_MAX_DIM];
  rpi_bring_inner(w, exchange, i, &lo, &hi);
  if (sub->boxes) {
    rpi_analyse_geometry(g, w->ts, w->geom, extent);
    if (hi > 0) rpi_slabs_kernel(w, exchange, i, g, s->bytes / w->ranks, sub);
    return sub->inner_units > 0;
  }
  if (sub->rows_each == 0) { /* not shared out: it needs nothing of others */
    sub->inner = sub->first;
    sub->inner_units = sub->units;
  } else {
    rpi_sub_inner(sub, lo, hi);
  }
  return true;
}

/* On a GPU what comes before and behind all units happens in each launch of a kernel: one that is to be launched in parts has
 * units alone, and no box, whose parts would not begin where its code takes them to. */
static bool is_units_alone(const rpi_walker *w, const rpi_step *s) {
  int64_t extent[RP_MAX_DIM];
  for (int32_t i = 0; i < s->n_sub; i++) {
    const rpi_group *g = group_of(w, s->first_sub + i);
    rpi_analyse_geometry(g, w->ts, w->geom, extent);
    if (w->b->plan.sub[s->first_sub + i].boxes || g->n_epi > 0 || rpi_jit_ir(g->kernel)->n_red > 0)
      return false;
    for (int32_t o = 0; o < g->n_operand; o++)
      if (g->operand[o].ir.access & RPI_ACCESS_WRITE && rpi_distribute_is_uniform(&w->geom[o]))
        return false;
  }
  return true;
}

/* The last exchange before a launch, step `exchange`, ends in its middle if what the launch does until then needs
 * nothing of it. */
static void run_beside(rpi_walker *w, rpi_step *s, int32_t exchange) {
  rpi_plan *plan = &w->b->plan;
  int64_t lo, hi;
  bool any = false;
  if (s->bytes / w->ranks < w->ctx->config.overlap || writes_messages(w, s, exchange)) return;
  if (s->gpu && !is_units_alone(w, s)) {
    rpi_distribute_reason(w, RPI_REASON_GPU_BESIDE);
    return;
  }
  for (int32_t i = 0; i < s->n_sub; i++)
    if (!rpi_bring_inner(w, exchange, i, &lo, &hi)) return;
  for (int32_t i = 0; i < s->n_sub; i++) any |= find_inner(w, s, exchange, i);
  if (!any) return;
  for (int32_t k = 0; k < w->n_image; k++) {
    rpi_image *m = w->image[k].image;
    if (m->exchange != w->step[exchange].exchange) continue;
    if (plan->sub[s->first_sub + w->image[k].user].boxes) continue; /* none of it is beside */
    m->sub = s->first_sub + w->image[k].user;
    m->block = plan->sub[m->sub].rows_each;
  }
  w->step[exchange].deferred = true;
  s->exchange = w->step[exchange].exchange;
}

/* What explain says of a kernel that is shared out by boxes. */
static void note_grid(rpi_walker *w, int32_t sub, const rpi_grid *grid) {
  rpi_grid *kept = rpi_arena_get(&w->b->arena, sizeof *kept);
  if (!kept) return;
  *kept = *grid;
  w->b->grid[sub] = kept;
}

static void launch(rpi_walker *w, const rpi_step *old) {
  rpi_plan *plan = &w->b->plan;
  rpi_step s = *old;
  int64_t extent[RP_MAX_DIM];
  for (int32_t i = 0; i < s.n_sub; i++)
    share_kernel(w, &plan->sub[s.first_sub + i], i, group_of(w, s.first_sub + i));
  const int32_t last = rpi_bring_steps(w);
  s.units = 0;
  for (int32_t i = 0; i < s.n_sub; i++) {
    const rpi_group *g = group_of(w, s.first_sub + i);
    rpi_sub *sub = &plan->sub[s.first_sub + i];
    const rpi_share p = w->share[i];
    rpi_analyse_geometry(g, w->ts, w->geom, extent);
    plan->n_shared += p.shared;
    plan->n_boxed += p.shared && p.boxes;
    if (p.shared) rpi_parts_kernel(w, g, &p, extent, &s, sub);
    if (p.shared && p.boxes && !w->trial) note_grid(w, s.first_sub + i, &p.grid);
    rpi_touch_kernel(w, g, &p, extent, sub);
    s.units += sub->units;
  }
  rpi_partials_send(w, &s);
  if (last >= 0 && !w->trial) run_beside(w, &s, last);
  rpi_bring_done(w);
  for (int32_t i = 0; i < s.n_sub; i++) advance(w, group_of(w, s.first_sub + i));
  settle_results(w);
  plan->n_joint += s.list_room > 0;
  if (s.list_room > w->room_most) w->room_most = s.list_room;
  rpi_distribute_step(w, &s);
}

/* ---- other steps ---- */

/* A function that only rank 0 may call. */
static bool is_for_first(const rpi_walker *w, const rpi_plan_call *c) {
  const int32_t flags = rpi_opaque_flags(c->opaque);
  return flags & RP_OPAQUE_SIDE_EFFECT || (w->ctx->in_crew && flags & RP_OPAQUE_MAIN_THREAD);
}

/* What has an effect outside happens once: on rank 0, from where all get what it wrote. */
static void call_once(rpi_walker *w, const rpi_step *s, const rpi_group *g) {
  if (w->rank == 0) rpi_distribute_step(w, s);
  for (int32_t o = 0; o < g->n_operand; o++) {
    const rpi_view *v = w->shape[g->operand[o].symbol];
    if (!is_output(w, g, o) || v->bsize == 0) continue;
    const rpi_cuts first = {.n = v->bsize,
                            .grain = v->bsize,
                            .units = 1,
                            .offset = -v->bsize, /* rank 1 begins at the end */
                            .ranks = w->ranks};
    rpi_tiling *t = rpi_arena_get(&w->b->arena, sizeof *t);
    if (!t) return;
    *t = rpi_tiling_line(&first);
    const rpi_step all = {.kind = RPI_STEP_GATHER,
                          .dst = g->operand[o].symbol,
                          .elem = rpi_dtype_size(v->dtype),
                          .tiling = t};
    rpi_distribute_step(w, &all);
    w->b->plan.n_gather++;
  }
}

static void call(rpi_walker *w, const rpi_step *s) {
  const rpi_group *g = &w->b->an->group[w->b->call_group[s->call]];
  rpi_plan_call *c = &w->b->plan.call[s->call];
  for (int32_t o = 0; o < g->n_operand; o++) begin(w, g->operand[o].symbol);
  const rpi_share p = rpi_shares_call(w, g, c);
  w->user = 0;
  rpi_bring_call(w, g, c, &p);
  rpi_bring_steps(w);
  rpi_bring_done(w);
  rpi_touch_call(w, g, c, &p);
  advance(w, g);
  if (rpi_opaque_may_fail(c->opaque)) w->b->joint_failure = true;
  if (is_for_first(w, c)) {
    call_once(w, s, g);
    return;
  }
  if (!p.shared) {
    rpi_distribute_reason(w, RPI_REASON_RANKS_ALIKE);
    rpi_distribute_step(w, s);
    return;
  }
  for (int32_t o = 0; o < g->n_operand; o++) {
    const int32_t symbol = g->operand[o].symbol;
    if (is_output(w, g, o)) w->result[symbol] = w->adopt[symbol];
  }
  settle_results(w);
  rpi_parts_call(w, c, &p);
  w->b->plan.n_shared++;
  if (c->units > 0 || c->n_unbound > 0) rpi_distribute_step(w, s);
}

/* A patch takes this rank's part only: its source may hold no more. */
static void patch(rpi_walker *w, const rpi_step *old) {
  rpi_step s = *old;
  begin(w, s.src);
  begin(w, s.dst);
  if (rpi_distribute_is_pinned(w, s.dst)) rpi_bring_whole(w, s.src);
  if (rpi_distribute_is_tiled(w, s.src) && !rpi_distribute_is_tiled(w, s.dst))
    w->held[s.dst] = w->place[s.dst] = w->place[s.src];
  const bool any = rpi_parts_patch(w, &s);
  if (rpi_distribute_is_tiled(w, s.src)) { /* the kernel may have been cut elsewhere */
    rpi_bring_range(w, s.src, w->place[s.dst]);
    rpi_bring_steps(w);
    rpi_bring_done(w);
  }
  w->filled[s.dst] = true;
  w->epoch[s.dst]++;
  w->b->patched[s.dst] = w->place[s.dst];
  if (any) rpi_distribute_step(w, &s);
}

/* ---- the walk ---- */

static bool prepare(rpi_walker *w) {
  const rpi_analysis *an = w->b->an;
  rpi_arena *a = &w->b->arena;
  w->held = rpi_arena_get(a, sizeof *w->held * (size_t)(an->n_symbol + 1));
  w->place = rpi_arena_get(a, sizeof *w->place * (size_t)(an->n_symbol + 1));
  w->adopt = rpi_arena_get(a, sizeof *w->adopt * (size_t)(an->n_symbol + 1));
  w->result = rpi_arena_get(a, sizeof *w->result * (size_t)(an->n_symbol + 1));
  w->settled = rpi_arena_get(a, sizeof *w->settled * (size_t)(an->n_symbol + 1));
  w->epoch = rpi_arena_get(a, sizeof *w->epoch * 3 * (size_t)(an->n_symbol + 1));
  w->begun = rpi_arena_get(a, (size_t)an->n_symbol + 1);
  w->filled = rpi_arena_get(a, (size_t)an->n_symbol + 1);
  w->shape = rpi_arena_get(a, sizeof *w->shape * (size_t)(an->n_symbol + 1));
  int32_t operands = 0;
  for (int32_t g = 0; g < an->n_group; g++)
    if (an->group[g].n_operand > operands) operands = an->group[g].n_operand;
  w->geom = rpi_arena_get(a, sizeof *w->geom * (size_t)(operands + 1));
  int32_t subs = 0;
  for (int32_t i = 0; i < w->b->plan.n_step; i++)
    if (w->b->plan.step[i].n_sub > subs) subs = w->b->plan.step[i].n_sub;
  w->share = rpi_arena_get(a, sizeof *w->share * (size_t)(subs + 1));
  w->moved = rpi_arena_get(a, sizeof *w->moved * (size_t)(w->b->plan.n_step + 1));
  if (a->failed) return false;
  w->brought = w->epoch + an->n_symbol + 1;
  w->brought_at = w->brought + an->n_symbol + 1;
  for (int32_t i = 0; i < an->n_symbol; i++) {
    const rpi_symbol *k = &an->symbol[i];
    w->shape[i] = NULL;
    for (int32_t x = 0; x < w->ts->n_access && !w->shape[i]; x++)
      if (w->ts->access[x].slot == k->slot) w->shape[i] = w->ts->access[x].view;
    w->held[i] = w->place[i] = w->result[i] = RPI_PLACE_WHOLE;
    w->settled[i] = w->epoch[i] = w->brought[i] = w->brought_at[i] = 0;
    w->begun[i] = w->filled[i] = false;
  }
  return true;
}

static void walk(rpi_walker *w) {
  rpi_plan *p = &w->b->plan;
  for (int32_t i = 0; i < p->n_step && w->status == RP_OK; i++) {
    w->moved[i] = w->n_step;
    w->at = i;
    switch (p->step[i].kind) {
      case RPI_STEP_LAUNCH: launch(w, &p->step[i]); break;
      case RPI_STEP_OPAQUE: call(w, &p->step[i]); break;
      case RPI_STEP_PATCH: patch(w, &p->step[i]); break;
      default: break;
    }
  }
  w->at = p->n_step;
  for (uint32_t s = 0; s < w->b->an->n_slot; s++) {
    const int32_t out = w->b->an->out[s];
    if (out < 0) continue;
    begin(w, out);
    if (w->b->place[s] == RPI_PLACE_PINNED)
      rpi_bring_whole(w, out); /* it may be a copy of a tiled array */
  }
  w->moved[p->n_step] = w->n_step;
}

/* The new steps, messages and lists become the plan's own. */
static rp_status install(rpi_walker *w) {
  rpi_bound *b = w->b;
  rpi_plan *p = &b->plan;
  rpi_arena *a = &b->arena;
  const rpi_analysis *an = b->an;
  rpi_step *steps = rpi_arena_get(a, sizeof *steps * (size_t)(w->n_step + 1));
  p->lists = w->room_most > 0 ? rpi_alloc(2 * (size_t)w->room_most) : NULL;
  if (a->failed || (w->room_most > 0 && !p->lists)) return rpi_status_nomem("plan");
  if (w->n_step > 0) memcpy(steps, w->step, sizeof *steps * (size_t)w->n_step);
  for (uint32_t s = 0; s < an->n_slot; s++) {
    b->ready[s] = w->moved[b->ready[s]];
    if (an->out[s] < 0) continue;
    b->place_out[s] = w->place[an->out[s]];
    if (w->settled[an->out[s]] > b->ready[s]) b->ready[s] = w->settled[an->out[s]];
  }
  p->step = steps;
  p->n_step = w->n_step;
  return RP_OK;
}

void rpi_distribute_end(rpi_walker *w) {
  rpi_alloc_free(w->step);
  rpi_alloc_free(w->needs.list);
  rpi_margins_deinit(&w->margins);
  rpi_alloc_free(w->image);
  rpi_alloc_free(w->past);
}

rp_status rpi_distribute_walk(rpi_walker *w) {
  if (!prepare(w)) return rpi_status_nomem("plan");
  walk(w);
  return w->status;
}

rp_status rpi_distribute(rp_context *ctx, const rpi_tasks *ts, rpi_bound *b) {
  rpi_walker w = {.ctx = ctx,
                  .ts = ts,
                  .b = b,
                  .rank = rpi_comm_rank(ctx->comm),
                  .ranks = rpi_comm_size(ctx->comm),
                  .status = RP_OK};
  RPI_TRY(rpi_choice_boxes(&w, &w.boxes));
  rpi_ahead ahead;
  b->grid = rpi_arena_get(&b->arena, sizeof *b->grid * (size_t)(b->n_flag + 1));
  if (!b->grid) return rpi_status_nomem("plan");
  rp_status st = rpi_ahead_learn(&w, &ahead);
  w.ahead = &ahead;
  if (st == RP_OK && !rpi_touch_begin(&w)) st = rpi_status_nomem("plan");
  if (st == RP_OK) st = rpi_distribute_walk(&w);
  if (st == RP_OK) rpi_touch_steps(&w);
  rpi_ahead_forget(&ahead);
  if (st == RP_OK) st = install(&w);
  rpi_distribute_end(&w);
  return st;
}
