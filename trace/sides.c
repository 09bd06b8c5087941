/* SPDX-License-Identifier: Apache-2.0
 * trace/sides.c -- see sides.h. */
#include "trace/sides.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/exec/image.h"
#include "trace/lower.h"

typedef struct walk {
  rp_context *ctx;
  const rpi_tasks *ts;
  rpi_bound *b;
  rpi_sides *s;
  rpi_step *step; /* the new list */
  int32_t n, cap;
  bool failed; /* no memory */
} walk;

static void add(walk *w, const rpi_step *s) {
  void *list = w->step;
  if (!rpi_alloc_grow(&list, &w->cap, w->n + 1, sizeof *w->step)) {
    w->failed = true;
    return;
  }
  w->step = list;
  w->step[w->n++] = *s;
}

static int64_t bytes_of(const walk *w, int32_t symbol) {
  const uint32_t slot = w->b->an->symbol[symbol].slot;
  for (int32_t x = 0; x < w->ts->n_access; x++)
    if (w->ts->access[x].slot == slot)
      return w->ts->access[x].view->bsize * rpi_dtype_size(w->ts->access[x].view->dtype);
  return 0;
}

/* Bytes lo..hi-1 of the symbol come to a side from the other. */
static void move(walk *w, int32_t symbol, uint8_t to, int64_t lo, int64_t hi) {
  const bool down = to == RPI_AT_HOST;
  w->s->room[symbol] |= RPI_AT_HOST | RPI_AT_DEVICE;
  if (lo < hi)
    add(w, &(rpi_step){.kind = down ? RPI_STEP_DOWNLOAD : RPI_STEP_UPLOAD,
                       .gpu = true,
                       .dst = symbol,
                       .clip_lo = lo,
                       .clip_hi = hi,
                       .bytes = hi - lo});
  if (down) rpi_context_reason(w->ctx, RPI_REASON_GPU_HOST);
}

/* All that this rank has of the symbol does, which of one of several is known when it runs. */
static void move_all(walk *w, int32_t symbol, uint8_t to) {
  const int64_t bytes = bytes_of(w, symbol);
  const int32_t at = w->n;
  move(w, symbol, to, 0, bytes);
  if (w->b->touch && w->n > at) w->step[at].clip_hi = 0;
}

static void runs_on(rpi_sides *s, uint8_t side) {
  *(side == RPI_AT_DEVICE ? &s->gpu : &s->host) = true;
}

/* Values that are there before are needed on the side. */
static void need(walk *w, int32_t symbol, uint8_t side) {
  rpi_sides *s = w->s;
  s->room[symbol] |= side;
  runs_on(s, side);
  if (s->valid[symbol] & side) return;
  if (s->grown[symbol])
    move_all(w, symbol, side);
  else
    s->entry[symbol] |= side;
  s->valid[symbol] |= side;
}

static void changed(const walk *w, int32_t symbol, uint8_t sides) {
  w->s->valid[symbol] = sides;
  w->s->grown[symbol] = true;
}

static uint8_t access_of(const walk *w, const rpi_group *g, int32_t o) {
  const rpi_group_operand *k = &g->operand[o];
  return g->opaque ? w->ts->access[k->access].mode : k->ir.access;
}

/* The k-th group of a launch or a call; NULL: there are no more. */
static const rpi_group *group_of(const walk *w, const rpi_step *s, int32_t k) {
  const rpi_bound *b = w->b;
  if (s->kind == RPI_STEP_LAUNCH && k < s->n_sub)
    return &b->an->group[b->sub_group[s->first_sub + k]];
  return s->kind == RPI_STEP_OPAQUE && k == 0 ? &b->an->group[b->call_group[s->call]] : NULL;
}

/* ---- what other ranks bring ---- */

/* The sides that a step reads or writes the symbol on. */
static uint8_t touched_on(const walk *w, const rpi_step *s, int32_t symbol) {
  const uint8_t side = s->gpu ? RPI_AT_DEVICE : RPI_AT_HOST;
  if (s->kind == RPI_STEP_PATCH) return s->src == symbol || s->dst == symbol ? side : 0;
  if (s->kind == RPI_STEP_IMAGE)
    for (int32_t i = 0; i < s->image->n_node; i++) {
      const rpi_image_node *n = &s->image->node[i];
      const bool data = n->kind == RPI_IMAGE_DATA || n->kind == RPI_IMAGE_TABLE;
      if (data && n->symbol == symbol) return RPI_AT_HOST;
    }
  const rpi_group *g;
  for (int32_t k = 0; (g = group_of(w, s, k)); k++)
    for (int32_t o = 0; o < g->n_operand; o++)
      if (g->operand[o].symbol == symbol && access_of(w, g, o) != 0) return side;
  return 0;
}

/* Who asks for parts of a symbol has not said where it wants them: wherever steps from `at` on use it. */
static void need_later(walk *w, int32_t symbol, int32_t at) {
  const rpi_plan *p = &w->b->plan;
  uint8_t sides = 0;
  if (w->s->valid[symbol] != 0) return;
  for (int32_t i = at; i < p->n_step; i++) sides |= touched_on(w, &p->step[i], symbol);
  if (sides & RPI_AT_DEVICE) need(w, symbol, RPI_AT_DEVICE);
  if (sides & RPI_AT_HOST || sides == 0) need(w, symbol, RPI_AT_HOST);
}

/* Is it index data that some step looks at? */
static bool is_looked_at(const walk *w, int32_t symbol) {
  const rpi_plan *p = &w->b->plan;
  bool is = false;
  for (int32_t i = 0; i < p->n_step && !is; i++)
    is = p->step[i].kind == RPI_STEP_IMAGE && touched_on(w, &p->step[i], symbol) != 0;
  return is;
}

/* Do GPUs send it to each other? All ranks must say the same, whatever they have of the array: it depends on the plan of the
 * whole space. It comes to the GPU before, then, and is there alone afterwards. */
static bool goes_direct(walk *w, const rpi_plan_exchange *e, int32_t symbol) {
  if (!w->ctx->nccl || !e->gpu || is_looked_at(w, symbol)) return false;
  need(w, symbol, RPI_AT_DEVICE);
  w->s->valid[symbol] = RPI_AT_DEVICE;
  return true;
}

static void exchange(walk *w, rpi_step *s, int32_t at) {
  rpi_plan_exchange *e = s->exchange;
  for (int32_t i = 0; i < e->n; i++) {
    rpi_plan_message *m = &e->list[i];
    m->direct = goes_direct(w, e, m->symbol);
    if (!m->direct) need_later(w, m->symbol, at);
    m->sides = w->s->valid[m->symbol];
  }
  for (int32_t i = 0; i < e->n; i++) w->s->grown[e->list[i].symbol] = true;
  if (e->n > 0 && !rpi_messages_close(e)) w->failed = true;
  add(w, s);
}

static void image(walk *w, const rpi_step *s, int32_t at) {
  rpi_image *m = s->image;
  for (int32_t i = 0; i < m->n_node; i++)
    if (m->node[i].kind == RPI_IMAGE_DATA || m->node[i].kind == RPI_IMAGE_TABLE)
      need(w, m->node[i].symbol, RPI_AT_HOST);
  m->exchange->direct = goes_direct(w, m->exchange, m->symbol);
  if (!m->exchange->direct) need_later(w, m->symbol, at);
  m->exchange->sides = w->s->valid[m->symbol];
  if (!m->exchange->direct)
    w->s->room[m->symbol] |= RPI_AT_HOST; /* all of it may be gathered there */
  w->s->grown[m->symbol] = true;
  add(w, s);
}

/* The parts of all ranks meet on the host, or are messages between GPUs as any others. */
static void gather(walk *w, rpi_step *s, int32_t step) {
  rpi_sides *at = w->s;
  int64_t lo = 0, hi = bytes_of(w, s->dst);
  if (s->exchange && goes_direct(w, s->exchange, s->dst)) {
    s->kind = RPI_STEP_EXCHANGE;
    exchange(w, s, step);
    return;
  }
  if (at->grown[s->dst] && at->valid[s->dst] == RPI_AT_DEVICE && rpi_tiling_is_line(s->tiling)) {
    rpi_tiling_hull(s->tiling, rpi_comm_rank(w->ctx->comm), &lo, &hi);
    move(w, s->dst, RPI_AT_HOST, lo * s->elem, hi * s->elem);
    at->valid[s->dst] = RPI_AT_HOST;
  }
  need(w, s->dst, RPI_AT_HOST);
  changed(w, s->dst, RPI_AT_HOST);
  add(w, s);
}

/* ---- what runs ---- */

/* Moves come between a launch and the exchange that it was to end: they take what the messages bring, so that ends before. */
static void end_early(walk *w, rpi_step *s) {
  for (int32_t i = 0; i < w->n; i++)
    if (w->step[i].kind == RPI_STEP_EXCHANGE && w->step[i].exchange == s->exchange)
      w->step[i].deferred = false;
  s->exchange = NULL;
}

/* What is written may be written in part: the rest must be there, too. */
static void groups(walk *w, rpi_step *s) {
  const uint8_t side = s->gpu ? RPI_AT_DEVICE : RPI_AT_HOST;
  const int32_t before = w->n;
  const rpi_group *g;
  runs_on(w->s, side);
  for (int32_t k = 0; (g = group_of(w, s, k)); k++)
    for (int32_t o = 0; o < g->n_operand; o++)
      if (access_of(w, g, o) != 0) need(w, g->operand[o].symbol, side);
  if (w->n > before && s->exchange) end_early(w, s);
  add(w, s);
  for (int32_t k = 0; (g = group_of(w, s, k)); k++)
    for (int32_t o = 0; o < g->n_operand; o++)
      if (access_of(w, g, o) & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE))
        changed(w, g->operand[o].symbol, side);
}

static void patch(walk *w, const rpi_step *s) {
  const uint8_t side = s->gpu ? RPI_AT_DEVICE : RPI_AT_HOST;
  need(w, s->src, side);
  need(w, s->dst, side);
  add(w, s);
  changed(w, s->dst, side);
}

static void walk_steps(walk *w) {
  rpi_plan *p = &w->b->plan;
  for (int32_t i = 0; i < p->n_step && !w->failed; i++) {
    rpi_step *s = &p->step[i];
    switch (s->kind) {
      case RPI_STEP_PATCH: patch(w, s); break;
      case RPI_STEP_EXCHANGE: exchange(w, s, i); break;
      case RPI_STEP_IMAGE: image(w, s, i); break;
      case RPI_STEP_GATHER: gather(w, s, i); break;
      default: groups(w, s); break;
    }
  }
}

/* ---- the whole ---- */

static bool prepare(rpi_sides *s, size_t n, rpi_arena *a) {
  s->on = true;
  s->entry = rpi_arena_get(a, 4 * n);
  if (!s->entry) return false;
  memset(s->entry, 0, 4 * n);
  s->room = s->entry + n;
  s->valid = s->room + n;
  s->grown = (bool *)(s->valid + n);
  return true;
}

rp_status rpi_sides_plan(rp_context *ctx, const rpi_tasks *ts, rpi_bound *b) {
  walk w = {.ctx = ctx, .ts = ts, .b = b, .s = &b->sides};
  rpi_plan *p = &b->plan;
  if (!ctx->device) {
    b->sides.host = true;
    return RP_OK;
  }
  if (!prepare(&b->sides, (size_t)b->an->n_symbol + 1, &b->arena))
    return rpi_status_nomem("a plan");
  walk_steps(&w);
  rpi_step *steps = rpi_arena_get(&b->arena, sizeof *steps * ((size_t)w.n + 1));
  if (steps && w.n > 0) memcpy(steps, w.step, sizeof *steps * (size_t)w.n);
  rpi_alloc_free(w.step);
  if (w.failed || !steps) return rpi_status_nomem("a plan");
  p->step = steps;
  p->n_step = w.n;
  return RP_OK;
}
