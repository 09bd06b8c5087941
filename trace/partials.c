/* SPDX-License-Identifier: Apache-2.0
 * trace/partials.c -- see partials.h. */
#include "trace/partials.h"

#include <string.h>

#include "core/model/dtype.h"

enum {
  PIECES = 64, /* runs that a rank's box may be for each rank: each is a copy */
  RANKS = 64,  /* of more, lists meet in fewer messages */
  LINE = 64
};

/* One launch. */
typedef struct launch {
  rpi_walker *w;
  rpi_plan_exchange *e;
  int64_t whole;  /* bytes of partials of spaces that are cut into boxes, so far, */
  int64_t pieces; /* which come in so many runs */
  bool failed;    /* no memory */
} launch;

static void add(launch *l, int32_t peer, bool send, rpi_plan_run run) {
  if (run.bytes > 0 &&
      !rpi_messages_add(l->e, l->w->b->an->n_symbol, peer, send, &run)) /* scratch is that symbol */
    l->failed = true;
}

static int64_t size_of(const rpi_ir *ir, int32_t r) {
  return rpi_dtype_size(ir->operand[ir->red[r].operand].dtype);
}

/* Where a word of the plan points to in scratch. */
static int64_t place_of(const launch *l, int32_t word) {
  const rpi_plan *p = &l->w->b->plan;
  int32_t i = 0;
  while (p->pointer[i].word != word) i++;
  rpi_assert(p->pointer[i].symbol == l->w->b->an->n_symbol);
  return p->pointer[i].offset;
}

/* ---- ranges of the whole space's units ---- */

/* What a rank has of reduction r, whose partials of the whole space are at `whole`. */
static rpi_plan_run range_of(const launch *l, const rpi_sub *s, const rpi_share *p, int32_t r,
                             int64_t whole, int32_t rank) {
  const rpi_word *words = &l->w->b->plan.words[s->word];
  int64_t extent[RP_MAX_DIM] = {0}, first, end;
  rpi_kernel_partials at;
  for (int32_t d = 0; d < rpi_jit_ir(s->kernel)->rank; d++) extent[d] = words[d].i;
  rpi_parts_own(rpi_jit_ir(s->kernel), p, extent, rank, &first, &end);
  s->kernel->partials(s->kernel, words, NULL, r, first, end, &at);
  return (rpi_plan_run){.at = whole + at.at, .bytes = at.bytes, .count = 1};
}

static void add_ranges(launch *l, const rpi_sub *s, const rpi_share *p, int32_t r) {
  rpi_ir_layout lay;
  rpi_ir_layout_get(rpi_jit_ir(s->kernel), &lay);
  const int64_t whole = place_of(l, s->word + lay.partial + r);
  const rpi_plan_run mine = range_of(l, s, p, r, whole, l->w->rank);
  for (int32_t peer = 0; peer < l->w->ranks; peer++) {
    const rpi_plan_run theirs = range_of(l, s, p, r, whole, peer);
    if (peer == l->w->rank) continue;
    add(l, peer, true, mine);
    add(l, peer, false, theirs);
  }
}

/* ---- boxes ---- */

/* Reduction r of a kernel over all axes: an array of its leaves, row by row, from `whole` on. A rank tells itself, too: its
 * leaves are among the others'. */
static void add_boxes(launch *l, const rpi_sub *s, const rpi_share *p, int32_t r, int64_t whole) {
  const rpi_ir *ir = rpi_jit_ir(s->kernel);
  const int32_t last = ir->rank - 1, scratch = l->w->b->an->n_symbol;
  rpi_plan_array leaves = {.ndim = ir->rank, .elem = (int32_t)size_of(ir, r), .at = whole};
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM];
  rpi_kernel_partials mine;
  memcpy(leaves.shape, s->space, sizeof leaves.shape);
  leaves.shape[last] = rpi_ir_leaves(s->space[last]);
  s->kernel->partials(s->kernel, &l->w->b->plan.words[s->word], s->space, r, 0, s->own_units,
                      &mine);
  const rpi_plan_run out = {
      .at = place_of(l, s->word + mine.word), .bytes = mine.bytes, .count = 1};
  for (int32_t peer = 0; peer < l->w->ranks; peer++) {
    const int32_t before = l->e->n_run;
    if (rpi_grid_box(&p->grid, peer, lo, hi)) {
      lo[last] /= RPI_LEAF;
      hi[last] = rpi_ir_leaves(hi[last]);
      if (!rpi_messages_box(l->e, scratch, peer, false, &leaves, lo, hi)) l->failed = true;
    }
    l->pieces += l->e->n_run - before;
    add(l, peer, true, out);
  }
}

/* All reductions of a kernel; of each the partials of the whole space get a place behind those of the one before. */
static void add_box_kernel(launch *l, rpi_sub *s, const rpi_share *p) {
  const rpi_ir *ir = rpi_jit_ir(s->kernel);
  rpi_bound *b = l->w->b;
  int64_t *whole = rpi_arena_get(&b->arena, sizeof *whole * (size_t)(ir->n_red + 1));
  l->failed = l->failed || !whole;
  for (int32_t r = 0; r < ir->n_red && !l->failed; r++) {
    const int64_t bytes = rpi_ir_partials(ir, s->space) * size_of(ir, r);
    whole[r] = b->scratch_bytes + l->whole;
    l->whole += (bytes + LINE - 1) / LINE * LINE;
    add_boxes(l, s, p, r, whole[r]);
  }
  s->whole = whole;
}

/* ---- the launch ---- */

/* Bytes of all partials of a kernel's whole space. */
static int64_t bytes_of(const rpi_walker *w, const rpi_sub *s) {
  const rpi_ir *ir = rpi_jit_ir(s->kernel);
  int64_t extent[RP_MAX_DIM] = {0}, bytes = 0;
  for (int32_t d = 0; d < ir->rank; d++)
    extent[d] = s->space ? s->space[d] : w->b->plan.words[s->word + d].i;
  for (int32_t r = 0; r < ir->n_red; r++) bytes += rpi_ir_partials(ir, extent) * size_of(ir, r);
  return bytes;
}

static bool are_few(const rpi_walker *w, const rpi_step *s) {
  int64_t bytes = 0;
  for (int32_t i = 0; i < s->n_sub; i++) {
    const rpi_sub *sub = &w->b->plan.sub[s->first_sub + i];
    if (sub->shared) bytes += bytes_of(w, sub);
  }
  return w->ranks <= RANKS && bytes <= w->ctx->config.gpu_partials;
}

/* All that kernels of the launch share; false: there is no memory. */
static bool add_all(launch *l, const rpi_step *s) {
  bool boxes = false;
  for (int32_t i = 0; i < s->n_sub && !l->failed; i++) {
    rpi_sub *sub = &l->w->b->plan.sub[s->first_sub + i];
    if (!sub->shared) continue;
    boxes = boxes || sub->boxes;
    for (int32_t r = 0; !sub->boxes && r < sub->kernel->n_red; r++)
      add_ranges(l, sub, &l->w->share[i], r);
    if (sub->boxes) add_box_kernel(l, sub, &l->w->share[i]);
  }
  l->e->apart = !boxes;
  return !l->failed;
}

void rpi_partials_send(rpi_walker *w, rpi_step *s) {
  launch l = {.w = w};
  if (!w->ctx->nccl || !s->gpu || w->trial || s->list_room == 0) return;
  if (!are_few(w, s)) {
    rpi_distribute_reason(w, RPI_REASON_GPU_LISTS);
    return;
  }
  l.e = rpi_distribute_exchange(w);
  if (!l.e) return;
  l.e->direct = true;
  l.e->sides = RPI_AT_DEVICE;
  if (!add_all(&l, s) || !rpi_messages_close(l.e)) {
    w->status = rpi_status_nomem("messages");
    return;
  }
  if (l.pieces > PIECES * (int64_t)w->ranks) {
    rpi_messages_clear(l.e);
    rpi_distribute_reason(w, RPI_REASON_GPU_LISTS);
    return;
  }
  w->b->scratch_bytes += l.whole;
  s->partials = l.e;
}
