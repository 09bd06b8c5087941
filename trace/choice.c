/* SPDX-License-Identifier: Apache-2.0
 * trace/choice.c -- how the arrays of a segment are cut: along the first axis, or along several.
 *
 * Lives here: what a segment costs if its arrays are cut in one way or the other, and the choice.
 * Not here:   how arrays are cut in either (places.h).
 * How:        the plan is walked over in both ways as a rank in the middle of the grid, from the places at entry and, once
 *             more, from those at the end: what moves in the second pass moves in all later ones. The first pass counts for
 *             one of HORIZON. Messages cost what the model below says; what is looked up while plans run is not known and
 *             costs the same in both.
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

/* One pass; the places of slots become those at its end. -1 without memory. */
static int64_t pass(const rpi_walker *like, bool boxes, int32_t rank) {
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
  const bool saved = rpi_rehearsal_begin(b, &s);
  const bool ok = saved && rpi_distribute_walk(&w) && w.status == RP_OK;
  const int64_t cost = ok ? cost_of(&w) : -1;
  for (uint32_t i = 0; ok && i < b->an->n_slot; i++) {
    const int32_t out = b->an->out[i];
    if (out >= 0 && b->place[i] != RPI_PLACE_PINNED) b->place[i] = w.place[out];
  }
  rpi_distribute_end(&w);
  rpi_rehearsal_end(b, &s, saved);
  return cost;
}

static int64_t segment_cost(const rpi_walker *w, bool boxes, int32_t rank) {
  const size_t bytes = sizeof *w->b->place * (w->b->an->n_slot + 1u);
  uint32_t *before = rpi_alloc(bytes);
  if (!before) return -1;
  memcpy(before, w->b->place, bytes);
  const int64_t first = pass(w, boxes, rank), later = first < 0 ? -1 : pass(w, boxes, rank);
  memcpy(w->b->place, before, bytes);
  rpi_alloc_free(before);
  return later < 0 ? -1 : first / HORIZON + later;
}

/* ---- the choice ---- */

/* Arrays that are or could be cut so; *middle: a rank in the middle of the grid; *busy: the same or, where that one has no
 * rows, since there are fewer than ranks, one that has. */
static bool is_open(const rpi_walker *w, int32_t *middle, int32_t *busy) {
  const rpi_view *v = NULL;
  rpi_tiling t;
  rpi_cuts rows;
  int32_t at[RP_MAX_DIM];
  for (int32_t x = 0; x < w->ts->n_access && !v; x++)
    if (rpi_places_grid(w->ctx, w->ts->access[x].view, &t)) v = w->ts->access[x].view;
  if (!v) return false;
  for (int32_t d = 0; d < t.ndim; d++) at[d] = (int32_t)t.axis[d].ranks / 2;
  *middle = *busy = rpi_tiling_rank(&t, at);
  if (rpi_places_default(w->ctx, v, &rows) &&
      rpi_cuts_at(&rows, *busy) == rpi_cuts_at(&rows, *busy + 1))
    *busy = rpi_cuts_owner(&rows, v->bsize / 2);
  return true;
}

bool rpi_choice_boxes(const rpi_walker *w) {
  int32_t middle, busy;
  if (w->ctx->config.cut == RPI_CUT_ROWS || w->ctx->rows_only) return false;
  if (w->ctx->config.cut == RPI_CUT_BOXES) return true;
  if (!is_open(w, &middle, &busy)) return false;
  const int64_t rows = segment_cost(w, false, busy), boxes = segment_cost(w, true, middle);
  return boxes >= 0 && boxes < rows;
}
