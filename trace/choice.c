/* SPDX-License-Identifier: Apache-2.0
 * trace/choice.c -- how the arrays of a segment are cut: along the first axis, or along several.
 *
 * Lives here: what a segment costs if its arrays are cut in one way or the other, and the choice.
 * Not here:   how arrays are cut in either (places.h).
 * How:        the plan is walked over in both ways as a rank in the middle of the grid, from the places at entry and, once
 *             more, from those at the end: what moves in the second pass moves in all later ones. The first pass counts for
 *             one of HORIZON. What the segment only reads is then assumed to have been written in the same way as what
 *             it writes; where other segments disagree, that is found out later (commit.c). Messages cost what the model
 *             below says; what is looked up while plans run is not known and costs the same in both.
 * Invariant:  a function of the plan, of the places and of the number of ranks: all ranks choose alike, though each walks
 *             as another rank than itself. */
#include <string.h>

#include "core/base/alloc.h"
#include "trace/distribute_impl.h"

/* A message costs as much as so many bytes more (some microseconds at some gigabytes a second), a block that is packed or
 * unpacked (a line of the cache, which is seldom there); a kernel that every rank runs whole, a part of its traffic in
 * memory. */
enum { MESSAGE = 8192, BLOCK = 64, MEMORY = 4, HORIZON = 64 };

/* ---- costs ---- */

static int64_t log_of(int32_t ranks) { return 32 - __builtin_clz((uint32_t)ranks); }

static int64_t exchange_cost(const rpi_plan_exchange *e) {
  int64_t cost = 0;
  for (int32_t i = 0; i < e->n; i++) cost += e->list[i].bytes + MESSAGE;
  for (int32_t i = 0; i < e->n_run; i++)
    if (e->run[i].count > 1) cost += e->run[i].count * BLOCK;
  return cost / 2; /* each message is at two ends */
}

static int64_t launch_cost(const rpi_walker *w, const rpi_step *s) {
  bool alike = false;
  for (int32_t i = 0; i < s->n_sub; i++) {
    const rpi_sub *sub = &w->b->plan.sub[s->first_sub + i];
    alike = alike || !(sub->boxes || sub->rows_each > 0);
  }
  return (alike ? s->bytes / MEMORY : 0) + (s->list_room > 0 ? MESSAGE * log_of(w->ranks) : 0);
}

static int64_t cost_of(const rpi_walker *w) {
  int64_t cost = 0;
  for (int32_t i = 0; i < w->n_step; i++) {
    const rpi_step *s = &w->step[i];
    if (s->kind == RPI_STEP_EXCHANGE)
      cost += exchange_cost(s->exchange);
    else if (s->kind == RPI_STEP_GATHER)
      cost += w->shape[s->dst]->bsize * s->elem + MESSAGE * log_of(w->ranks);
    else if (s->kind == RPI_STEP_LAUNCH)
      cost += launch_cost(w, s);
  }
  return cost;
}

/* One pass; the places of slots become those at its end. */
static rp_status pass(const rpi_walker *like, bool boxes, int32_t rank, int64_t *cost) {
  rpi_bound *b = like->b;
  rpi_walker w = {.ctx = like->ctx,
                  .ts = like->ts,
                  .b = b,
                  .rank = rank,
                  .ranks = like->ranks,
                  .boxes = boxes,
                  .trial = true,
                  .status = RP_OK};
  rpi_rehearsal s;
  rp_status st = rpi_rehearsal_begin(b, &s);
  if (st == RP_OK) st = rpi_distribute_walk(&w);
  *cost = st == RP_OK ? cost_of(&w) : 0;
  for (uint32_t i = 0; st == RP_OK && i < b->an->n_slot; i++) {
    const int32_t out = b->an->out[i];
    if (out >= 0 && b->place[i] != RPI_PLACE_PINNED) b->place[i] = w.place[out];
  }
  rpi_distribute_end(&w);
  return rpi_rehearsal_end(b, &s, st);
}

/* A view of what a slot has. */
static const rpi_view *view_of(const rpi_walker *w, uint32_t slot) {
  for (int32_t x = 0; x < w->ts->n_access; x++)
    if (w->ts->access[x].slot == slot) return w->ts->access[x].view;
  return NULL;
}

/* What the segment only reads others have written, in the same way as this one writes its own: two arrays may change their
 * roles from segment to segment. */
static void assume(const rpi_walker *w, bool boxes) {
  rpi_bound *b = w->b;
  for (uint32_t i = 0; i < b->an->n_slot; i++) {
    const rpi_view *v = view_of(w, i);
    rpi_tiling t;
    rpi_cuts c;
    if (!v || b->an->written[i] || b->place[i] == RPI_PLACE_PINNED ||
        !rpi_places_grid(w->ctx, v, &t))
      continue;
    const bool is_grid = rpi_places_is_grid(w->ctx, b->place[i]);
    uint32_t place = RPI_PLACE_WHOLE;
    if (boxes && !is_grid)
      place = rpi_places_number(w->ctx, &t);
    else if (!boxes && !rpi_places_is_line(w->ctx, b->place[i]) &&
             rpi_places_default(w->ctx, v, &c))
      place = rpi_places_line(w->ctx, &c);
    if (place != RPI_PLACE_WHOLE) b->place[i] = place;
  }
}

static rp_status segment_cost(const rpi_walker *w, bool boxes, int32_t rank, int64_t *cost) {
  const size_t bytes = sizeof *w->b->place * (w->b->an->n_slot + 1u);
  uint32_t *before = rpi_alloc(bytes);
  int64_t first, later = 0;
  if (!before) return rpi_status_nomem("places");
  memcpy(before, w->b->place, bytes);
  rp_status st = pass(w, boxes, rank, &first);
  if (st == RP_OK) assume(w, boxes);
  if (st == RP_OK) st = pass(w, boxes, rank, &later);
  memcpy(w->b->place, before, bytes);
  rpi_alloc_free(before);
  *cost = first / HORIZON + later;
  return st;
}

/* ---- the choice ---- */

/* Arrays that are or could be cut so; *middle: a rank in the middle of the grid; *busy: one in the middle of the rows. */
static bool is_open(const rpi_walker *w, int32_t *middle, int32_t *busy) {
  const rpi_view *v = NULL;
  rpi_tiling t;
  rpi_cuts rows;
  int32_t at[RP_MAX_DIM];
  for (int32_t x = 0; x < w->ts->n_access && !v; x++)
    if (rpi_places_grid(w->ctx, w->ts->access[x].view, &t)) v = w->ts->access[x].view;
  if (!v) return false;
  for (int32_t d = 0; d < t.ndim; d++) at[d] = (int32_t)t.axis[d].ranks / 2;
  *middle = rpi_tiling_rank(&t, at);
  *busy = w->ranks / 2;
  if (rpi_places_default(w->ctx, v, &rows) && /* there may be fewer rows than ranks */
      rpi_cuts_at(&rows, *busy) == rpi_cuts_at(&rows, *busy + 1))
    *busy = rpi_cuts_owner(&rows, v->bsize / 2);
  return true;
}

rp_status rpi_choice_boxes(const rpi_walker *w, bool *boxes) {
  int32_t middle, busy;
  int64_t by_rows, by_boxes;
  *boxes = w->ctx->config.cut == RPI_CUT_BOXES;
  if (w->ctx->config.cut != RPI_CUT_AUTO || w->ctx->rows_only || !is_open(w, &middle, &busy))
    return RP_OK;
  RPI_TRY(segment_cost(w, false, busy, &by_rows));
  RPI_TRY(segment_cost(w, true, middle, &by_boxes));
  *boxes = by_boxes < by_rows;
  return RP_OK;
}
