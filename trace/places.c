/* SPDX-License-Identifier: Apache-2.0
 * trace/places.c -- see places.h. */
#include "trace/places.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/comm/collect.h"
#include "core/exec/exchange.h"
#include "core/exec/mosaic.h"
#include "core/model/residence.h"
#include "jit/ir.h"
#include "trace/index_range.h"
#include "trace/margins.h"
#include "trace/rows.h"

/* ---- tilings ---- */

bool rpi_places_default(const rp_context *ctx, const rpi_view *v, rpi_cuts *out) {
  const int64_t ranks = rpi_comm_size(ctx->comm);
  if (!v || v->bdim == 0 || v->bsize == 0) return false;
  if (v->bsize * rpi_dtype_size(v->dtype) < ctx->config.tile) return false;
  const int64_t row = v->bsize / v->bshape[0];
  /* Whole rows; and whole leaves of reductions along rows and across them, if that leaves enough pieces to share them
   * evenly. Of a line, pieces below a leaf are worth no rank's while. */
  enum { FEW = 8 };
  const int64_t along = row / rpi_rows_gcd(row, RPI_LEAF) * RPI_LEAF, across = row * RPI_ROW_LEAF;
  const int64_t both = along > across ? along : across; /* row times powers of two */
  int64_t grain = row;
  if (v->bdim == 1 && v->bsize / along >= (ranks < FEW ? ranks : FEW)) grain = along;
  if (v->bdim > 1 && v->bsize / along >= FEW * ranks) grain = along;
  if (v->bdim > 1 && v->bsize / both >= FEW * ranks) grain = both;
  *out = (rpi_cuts){
      .n = v->bsize, .grain = grain, .units = (v->bsize + grain - 1) / grain, .ranks = ranks};
  return true;
}

void rpi_places_begin(rp_context *ctx) {
  int32_t n = rpi_comm_size(ctx->comm);
  for (int32_t f = 2; (int64_t)f * f <= n; f++)
    for (; n % f == 0; n /= f) ctx->factor[ctx->n_factor++] = f;
  if (n > 1) ctx->factor[ctx->n_factor++] = n;
}

/* Ranks go to the axes factor by factor, the largest first, each to the axis whose tiles are longest. Where the knob does
 * not insist, the last axis is cut at leaves of reductions only: ranks could not join others. */
static void share_axes(const rp_context *ctx, int32_t ndim, const int64_t *shape, int64_t *parts) {
  int64_t least[RP_MAX_DIM];
  bool several = false;
  for (int32_t d = 0; d < ndim; d++) {
    parts[d] = 1;
    least[d] = d == ndim - 1 && ctx->config.cut != RPI_CUT_BOXES ? RPI_LEAF : 1;
    several = several || (d > 0 && shape[d] >= 2 * least[d]);
  }
  for (int32_t i = ctx->n_factor - 1; several && i >= 0; i--) {
    const int64_t factor = ctx->factor[i];
    int32_t best = -1;
    for (int32_t d = 0; d < ndim; d++)
      if (shape[d] / (parts[d] * factor) >= least[d] &&
          (best < 0 || shape[d] / parts[d] > shape[best] / parts[best]))
        best = d;
    if (best < 0) return; /* not all ranks have a part */
    parts[best] *= factor;
  }
}

bool rpi_places_grid(rp_context *ctx, const rpi_view *v, rpi_tiling *out) {
  int64_t parts[RP_MAX_DIM];
  rpi_cuts axis[RP_MAX_DIM];
  if (!v || ctx->rows_only || v->bdim < 2 || v->bsize == 0 ||
      v->bsize * rpi_dtype_size(v->dtype) < ctx->config.tile)
    return false;
  rpi_tiling *last = &ctx->last_grid; /* arrays mostly have one shape */
  bool same = last->ndim == v->bdim;
  for (int32_t d = 0; same && d < v->bdim; d++) same = last->axis[d].n == v->bshape[d];
  if (!same) {
    share_axes(ctx, v->bdim, v->bshape, parts);
    for (int32_t d = 0; d < v->bdim; d++) {
      const int64_t n = v->bshape[d];
      const int64_t grain = d == v->bdim - 1 && n / parts[d] >= RPI_LEAF ? RPI_LEAF : 1;
      axis[d] =
          (rpi_cuts){.n = n, .grain = grain, .units = (n + grain - 1) / grain, .ranks = parts[d]};
    }
    *last = rpi_tiling_grid(v->bdim, axis);
  }
  *out = *last;
  bool several = false;
  for (int32_t d = 1; d < v->bdim; d++) several = several || last->axis[d].ranks > 1;
  return several && last->ranks == rpi_comm_size(ctx->comm);
}

uint32_t rpi_places_number(rp_context *ctx, const rpi_tiling *t) {
  for (int32_t i = ctx->n_tiling - 1; i >= 0; i--)
    if (rpi_tiling_equal(&ctx->tiling[i], t)) return RPI_PLACE_TILED + (uint32_t)i;
  void *list = ctx->tiling;
  if (!rpi_alloc_grow(&list, &ctx->cap_tiling, ctx->n_tiling + 1, sizeof *ctx->tiling)) {
    rpi_status_nomem("tilings");
    return RPI_PLACE_WHOLE;
  }
  ctx->tiling = list;
  ctx->tiling[ctx->n_tiling] = *t;
  ctx->stats.tilings = ctx->n_tiling + 1;
  return RPI_PLACE_TILED + (uint32_t)ctx->n_tiling++;
}

uint32_t rpi_places_line(rp_context *ctx, const rpi_cuts *c) {
  const rpi_tiling t = rpi_tiling_line(c);
  return rpi_places_number(ctx, &t);
}

bool rpi_places_as_line(const rp_context *ctx, const rpi_buffer *b, rpi_tiling *out) {
  rpi_cuts c;
  if (b->place < RPI_PLACE_TILED) return false;
  if (rpi_places_is_line(ctx, b->place))
    *out = *rpi_places_tiling(ctx, b->place);
  else if (rpi_places_default(ctx, b->base, &c))
    *out = rpi_tiling_line(&c);
  else
    return false;
  return true;
}

static uint32_t renumbered(const int32_t *now, uint32_t place) {
  return place < RPI_PLACE_TILED ? place : RPI_PLACE_TILED + (uint32_t)now[place - RPI_PLACE_TILED];
}

void rpi_places_forget(rp_context *ctx) {
  rpi_pool *p = ctx->pool;
  int32_t n = 0,
          *now = ctx->n_tiling > 0 ? rpi_alloc_zero(sizeof *now * (size_t)ctx->n_tiling) : NULL;
  if (!now) return; /* nothing to do, or no memory to do it with: they stay */
  for (int32_t pass = 0; pass < 2; pass++) {
    for (int32_t i = 0; i < p->n_buffer_slabs * RPI_POOL_SLAB; i++) {
      rpi_buffer *b = &p->buffer_slab[i / RPI_POOL_SLAB][i % RPI_POOL_SLAB];
      if (pass == 0) {
        if (b->place >= RPI_PLACE_TILED) now[b->place - RPI_PLACE_TILED] = 1;
        if (b->spare_place >= RPI_PLACE_TILED) now[b->spare_place - RPI_PLACE_TILED] = 1;
      } else {
        b->place = renumbered(now, b->place);
        b->spare_place = renumbered(now, b->spare_place);
      }
    }
    for (int32_t i = 0; pass == 0 && i < ctx->n_tiling; i++) {
      if (now[i]) ctx->tiling[n] = ctx->tiling[i];
      now[i] = now[i] ? n++ : 0;
    }
  }
  ctx->stats.tilings = ctx->n_tiling = n;
  rpi_alloc_free(now);
}

/* ---- values ---- */

enum { SENTENCE = 1024 };

rp_status rpi_places_failed(rp_context *ctx, rp_status st) {
  if (RPI_LIKELY(st == RP_OK) || ctx->ranks_status != RP_OK) return st;
  ctx->ranks_status = st;
  rpi_comm_abort(ctx->comm, rpi_status_message());
  if (!ctx->device || ctx->nccl) return st;
  /* Plans may go before anybody waits for what is queued to and from their memory. */
  char why[SENTENCE];
  snprintf(why, sizeof why, "%s", rpi_status_message());
  (void)rpi_device_wait(ctx->device);
  return rpi_status_fail(st, "%s", why);
}

rp_status rpi_places_gather(rp_context *ctx, rpi_buffer *b) {
  if (b->place < RPI_PLACE_TILED) return RP_OK;
  const rpi_tiling t = *rpi_places_tiling(ctx, b->place);
  b->place = RPI_PLACE_WHOLE;
  if (!b->inst) return RP_OK;
  ctx->stats.gathers++;
  RPI_TRY(rpi_residence_host(b->pool, b->inst, RPI_USE_UPDATE));
  void *data = b->inst->data;
  return rpi_places_failed(
      ctx, rpi_exchange_gather(ctx->comm, &t, rpi_dtype_size(b->base->dtype), data, data));
}

/* The messages by which ranks that hold boxes get their parts of a line, and what they bring. */
static rp_status move_to_line(rp_context *ctx, const rpi_buffer *b, const rpi_margin *part) {
  const uint64_t version = 0; /* of values that no message has brought yet */
  rpi_margins m = {0};
  rpi_plan_exchange e = {0};
  rpi_exchange_count count = {0};
  rp_status st = rpi_residence_host(b->pool, b->inst, RPI_USE_READ);
  const rpi_exchange_memory at = {.pointers = &b->inst->data};
  if (st != RP_OK) return st;
  if (!rpi_margins_add(&m, part) ||
      !rpi_margins_messages(&m, part->symbol, rpi_comm_rank(ctx->comm),
                            rpi_dtype_size(b->base->dtype), &e) ||
      !rpi_messages_close(&e))
    st = rpi_status_nomem("messages");
  if (st == RP_OK) st = rpi_exchange_start(ctx->comm, &e, &at, &version, &count);
  if (st == RP_OK) st = rpi_exchange_finish(ctx->comm, &e, &at, &version);
  ctx->stats.messages += count.messages;
  ctx->stats.bytes_sent += count.bytes;
  rpi_margins_deinit(&m);
  rpi_messages_deinit(&e);
  return st;
}

rp_status rpi_places_lines(rp_context *ctx, rpi_buffer *b, const rpi_tiling *line) {
  const rpi_view *v = b->base;
  rpi_margin part = {.symbol = 0, .user = -1};
  rpi_tiling rows;
  rpi_grid reader;
  rpi_geom all;
  if (!rpi_places_is_grid(ctx, b->place) || !b->inst) return RP_OK;
  rpi_geom_dense(v->bdim, v->bshape, &all);
  if (!rpi_tiling_by_axes(line, v->bdim, v->bshape, &rows) ||
      !rpi_grid_by(&rows, &all, v->bshape, &reader) ||
      !rpi_margins_of(&reader, &all, rpi_places_tiling(ctx, b->place), v->bshape, &part))
    return rpi_places_gather(ctx, b); /* it is cut within rows */
  return rpi_places_failed(ctx, move_to_line(ctx, b, &part));
}

/* ---- what the host reads ---- */

/* In a crew the program asks, not its followers, but for what all decide by (repeat.h). */
static bool to_first(const rp_context *ctx) { return ctx->in_crew && !ctx->repeat; }

/* A box of an array that is cut in a line. */
typedef struct reading {
  const rpi_geom *box;
  const rpi_cuts *cuts;
  int64_t elem;
} reading;

static int64_t read_before(const void *arg, int32_t rank) {
  const reading *r = arg;
  return rpi_geom_before(r->box, rpi_cuts_at(r->cuts, rank)) * r->elem;
}

/* Nobody but the program reads, which is rank 0's: a message from each rank that has some of the box. */
static rp_status read_to_first(rp_context *ctx, const rpi_buffer *b, const reading *r, void *data) {
  rpi_comm *c = ctx->comm;
  const int32_t rank = rpi_comm_rank(c), size = rpi_comm_size(c), n = rank > 0 ? 1 : size - 1;
  const int64_t from = read_before(r, rank), bytes = read_before(r, rank + 1) - from;
  rpi_message *m = rpi_alloc(sizeof *m * (size_t)n);
  char *mine = rank == 0 ? (char *)data + from : rpi_alloc((size_t)bytes + 1);
  rp_status st = m && mine ? RP_OK : rpi_status_nomem("what the host reads");
  int32_t k = 0;
  if (st == RP_OK && bytes > 0)
    rpi_store_pack_part(b->inst->data, r->box, (int32_t)r->elem, from / r->elem, bytes / r->elem,
                        mine);
  if (st == RP_OK && rank > 0 && bytes > 0)
    m[k++] = (rpi_message){.data = mine, .bytes = bytes, .peer = 0, .send = true};
  for (int32_t i = 1; st == RP_OK && rank == 0 && i < size; i++) {
    const int64_t at = read_before(r, i), theirs = read_before(r, i + 1) - at;
    if (theirs > 0) m[k++] = (rpi_message){.data = (char *)data + at, .bytes = theirs, .peer = i};
  }
  if (st == RP_OK && k > 0) st = rpi_comm_start(c, m, k);
  if (st == RP_OK && k > 0) st = rpi_comm_finish(c, m, k);
  if (rank > 0) rpi_alloc_free(mine);
  rpi_alloc_free(m);
  return rpi_places_failed(ctx, st);
}

/* In the order of memory each rank's elements are a range of the box: they come together where they are wanted. */
static rp_status read_line(rp_context *ctx, const rpi_buffer *b, const rpi_tiling *line,
                           const rpi_geom *box, void *data) {
  const int32_t elem = rpi_dtype_size(b->base->dtype);
  const reading r = {box, &line->axis[0], elem};
  int64_t lo, hi;
  if (to_first(ctx)) return read_to_first(ctx, b, &r, data);
  rpi_tiling_hull(line, rpi_comm_rank(ctx->comm), &lo, &hi);
  rpi_store_pack(b->inst->data, box, elem, data, lo, hi);
  return rpi_places_failed(ctx, rpi_collect_gather(ctx->comm, data, read_before, &r));
}

static int64_t row_begin(const void *arg, int32_t k, int32_t at) {
  return rpi_rows_at(&((const rpi_grid *)arg)->axis[k].rows, at);
}

/* Which points of a box each rank has of an array cut along its axes. Where the box runs backwards it is read forwards,
 * and comes backwards to memory: `there` and `here`. False: its axes do not lie along the array's. */
static bool read_grid(const rpi_tiling *t, const int64_t *bshape, const rpi_geom *box,
                      rpi_geom *there, rpi_geom *here, rpi_grid *out) {
  rpi_tiling_map map[RP_MAX_DIM];
  int64_t at[RP_MAX_DIM];
  if (!rpi_tiling_axes(box, t->ndim, bshape, map, at)) return false;
  *there = *box;
  rpi_geom_dense(box->ndim, box->shape, here);
  for (int32_t d = 0; d < box->ndim; d++) {
    if (map[d].step > 0) continue;
    there->offset += (box->shape[d] - 1) * there->stride[d];
    here->offset += (box->shape[d] - 1) * here->stride[d];
    there->stride[d] = -there->stride[d];
    here->stride[d] = -here->stride[d];
  }
  return rpi_grid_by(t, there, bshape, out);
}

/* Of an array that is cut along its axes only what is read comes together. */
static rp_status read_boxes(rp_context *ctx, const rpi_buffer *b, const rpi_grid *g,
                            const rpi_geom *there, const rpi_geom *here, void *data) {
  rpi_mosaic m = {.n = g->n, .begin = row_begin, .arg = g};
  for (int32_t k = 0; k < g->n; k++) {
    m.ranks[k] = (int32_t)g->axis[k].rows.cuts.ranks;
    m.axis[k] = g->axis[k].axis;
    m.extent[k] = g->axis[k].rows.extent;
  }
  return rpi_places_failed(ctx, rpi_mosaic_gather(ctx->comm, &m, rpi_dtype_size(b->base->dtype),
                                                  there, b->inst->data, here, data));
}

/* Some consecutive elements of an array on the GPU come from there; the rest stays. */
static bool read_run(const rpi_buffer *b, const rpi_geom *box, void *data, rp_status *st) {
  enum { FEW = 8 }; /* of what is read more than an eighth comes along soon, too */
  const int64_t elem = rpi_dtype_size(b->base->dtype), bytes = rpi_geom_size(box) * elem;
  const rpi_hull run = {box->offset * elem, box->offset * elem + bytes};
  if (!rpi_geom_is_dense(box) || bytes > b->inst->bytes / FEW) return false;
  if (!rpi_hull_has(b->inst->held, run)) return false; /* zeros that nobody has written */
  *st = rpi_device_download(b->pool->device, data,
                            b->inst->device + (CUdeviceptr)(box->offset * elem), bytes);
  return true;
}

/* What comes together on all ranks goes nowhere where nobody reads it. */
static rp_status read_aside(rp_context *ctx, const rpi_buffer *b, const rpi_grid *g,
                            const rpi_geom *there, const rpi_geom *here, void *data) {
  const size_t bytes = (size_t)(rpi_geom_size(here) * (int64_t)rpi_dtype_size(b->base->dtype));
  if (!to_first(ctx) || rpi_comm_rank(ctx->comm) == 0)
    return read_boxes(ctx, b, g, there, here, data);
  void *aside = rpi_alloc(bytes);
  if (!aside) return rpi_places_failed(ctx, rpi_status_nomem("what the host reads"));
  const rp_status st = read_boxes(ctx, b, g, there, here, aside);
  rpi_alloc_free(aside);
  return st;
}

rp_status rpi_places_read(rp_context *ctx, rpi_buffer *b, const rpi_geom *box, void *data) {
  const bool reads = !to_first(ctx) || rpi_comm_rank(ctx->comm) == 0;
  const rpi_view *v = b->base;
  const int64_t n = rpi_geom_size(box);
  rpi_tiling line, axes;
  rpi_geom there, here;
  rpi_grid g;
  rp_status st;
  if (n == 0 || (!reads && b->place < RPI_PLACE_TILED)) return RP_OK;
  if (b->inst->valid == RPI_AT_DEVICE && b->place < RPI_PLACE_TILED) {
    RPI_TRY(rpi_residence_ours(b->pool, b->inst));
    if (read_run(b, box, data, &st)) return st;
  }
  RPI_TRY(rpi_residence_host(b->pool, b->inst, RPI_USE_READ));
  const bool in_order = rpi_geom_ascends(box) && rpi_places_as_line(ctx, b, &line);
  if (b->place >= RPI_PLACE_TILED && !(in_order && rpi_places_is_line(ctx, b->place)) &&
      rpi_tiling_by_axes(rpi_places_tiling(ctx, b->place), v->bdim, v->bshape, &axes) &&
      read_grid(&axes, v->bshape, box, &there, &here, &g)) {
    ctx->stats.gathers += n == v->bsize;
    return read_aside(ctx, b, &g, &there, &here, data);
  }
  if (in_order) {
    RPI_TRY(rpi_places_lines(ctx, b, &line));
    ctx->stats.gathers += n == v->bsize;
    return read_line(ctx, b, &line, box, data);
  }
  RPI_TRY(rpi_places_gather(ctx, b));
  if (reads) rpi_store_pack(b->inst->data, box, rpi_dtype_size(v->dtype), data, 0, v->bsize);
  return RP_OK;
}

/* ---- what the host writes, and what all ranks must know ---- */

rp_status rpi_places_host(rp_context *ctx, const rpi_buffer *b, uint32_t *place) {
  rpi_cuts c;
  *place = b->place;
  const bool anew = b->place == RPI_PLACE_WHOLE || rpi_places_is_grid(ctx, b->place);
  if (!ctx->comm || !anew || b->whole || !rpi_places_default(ctx, b->base, &c)) return RP_OK;
  *place = rpi_places_line(ctx, &c);
  return *place == RPI_PLACE_WHOLE ? RP_ERR_MEMORY : RP_OK;
}

static void join_bounds(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  int64_t *a = into;
  const int64_t *b = from;
  (void)arg, (void)n, (void)m;
  if (b[0] < a[0]) a[0] = b[0];
  if (b[1] > a[1]) a[1] = b[1];
}

/* Of this rank's tile, put together in memory of its own; *n: its elements. */
static rp_status range_of_tile(rp_context *ctx, rpi_buffer *b, int64_t *n) {
  const int32_t elem = rpi_dtype_size(b->base->dtype);
  rpi_geom tile;
  void *packed = NULL;
  *n = rpi_tiling_box(rpi_store_tiling(b), b->pool->rank, &tile) ? rpi_geom_size(&tile) : 0;
  if (*n > 0 && b->inst) {
    RPI_TRY(rpi_residence_host(b->pool, b->inst, RPI_USE_READ));
    packed = rpi_alloc((size_t)(*n * elem));
    if (!packed) return rpi_places_failed(ctx, rpi_status_nomem("a tile of index data"));
    rpi_store_pack_part(b->inst->data, &tile, elem, 0, *n, packed);
  }
  rpi_index_range(ctx->workers, b, packed, *n);
  rpi_alloc_free(packed);
  return RP_OK;
}

static rp_status range_of_part(rp_context *ctx, rpi_buffer *b, int64_t *n) {
  int64_t lo, hi;
  if (rpi_places_is_grid(ctx, b->place)) return range_of_tile(ctx, b, n);
  rpi_store_part(b, &lo, &hi);
  *n = hi - lo;
  if (b->inst) RPI_TRY(rpi_residence_host(b->pool, b->inst, RPI_USE_READ));
  const char *data = b->inst ? b->inst->data : NULL;
  rpi_index_range(ctx->workers, b, data ? data + lo * rpi_dtype_size(b->base->dtype) : NULL, *n);
  return RP_OK;
}

rp_status rpi_places_index_range(rp_context *ctx, rpi_buffer *b) {
  if (RPI_LIKELY(b->range_version == b->version + 1)) return RP_OK;
  int64_t n, bounds[2] = {INT64_MAX, INT64_MIN}, bytes = sizeof bounds;
  RPI_TRY(range_of_part(ctx, b, &n));
  if (b->place < RPI_PLACE_TILED || rpi_comm_dry(ctx->comm)) return RP_OK;
  if (n > 0) bounds[0] = b->range_lo, bounds[1] = b->range_hi;
  const rp_status st = rpi_collect_merge(ctx->comm, bounds, &bytes, bytes, join_bounds, NULL);
  b->range_lo = bounds[0];
  b->range_hi = bounds[1];
  return rpi_places_failed(ctx, st);
}
