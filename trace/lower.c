/* SPDX-License-Identifier: Apache-2.0
 * trace/lower.c -- see lower.h. */
#include "trace/lower.h"

#include <string.h>

#include "core/base/hash.h"
#include "core/exec/graph.h"
#include "core/exec/loop.h"
#include "core/exec/joint.h"
#include "jit/emit_cuda.h"
#include "jit/shape.h"
#include "trace/distribute.h"
#include "trace/lower_call.h"
#include "trace/slabs.h"

typedef struct lowerer {
  rp_context *ctx;
  const rpi_analysis *an;
  const rpi_tasks *ts;
  const uint32_t *klass; /* of the segment's slots */
  rpi_bound *b;
  rpi_geom *geom;
  int64_t partial_bytes; /* of the launch at hand, and of the widest one */
  int64_t partial_most;
  int32_t *symbol_ready;
  int64_t extent[RP_MAX_DIM]; /* of the group at hand, whose boxes are in geom; */
  const rpi_kernel_gpu *gpu;  /* its code there, */
  uint8_t side;               /* and where it runs */
  bool mismatch;
} lowerer;

static int64_t align64(int64_t n) { return (n + 63) & ~(int64_t)63; }

/* ---- sizes ---- */

static void count_group(const lowerer *l, const rpi_group *g, rpi_plan *p) {
  if (g->opaque) {
    const int32_t scalars = l->ts->task[g->task[0]].op->n_scalars;
    p->n_call++;
    p->n_words += g->n_operand + scalars;
    p->n_pointer += g->n_operand;
    p->n_scalar += scalars;
    return;
  }
  if (!g->kernel) return;
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  p->n_sub++;
  p->n_words += g->kernel->n_words;
  p->n_pointer += g->n_operand + ir->n_red + 3;
  p->n_scalar += ir->n_scalar;
}

static bool allocate(lowerer *l) {
  rpi_plan *p = &l->b->plan, n = {0};
  const rpi_analysis *an = l->an;
  int32_t operands = 0;
  for (int32_t i = 0; i < an->n_group; i++) {
    count_group(l, &an->group[i], &n);
    n.n_step += 1 + an->group[i].n_patch;
    n.n_box += 2 * RP_MAX_DIM * an->group[i].n_patch;
    if (an->group[i].n_operand > operands) operands = an->group[i].n_operand;
  }
  rpi_arena *a = &l->b->arena;
  p->words = rpi_arena_get(a, sizeof *p->words * (size_t)(n.n_words + 1));
  p->box = rpi_arena_get(a, sizeof *p->box * (size_t)(n.n_box + 1));
  p->step = rpi_arena_get(a, sizeof *p->step * (size_t)(n.n_step + 1));
  p->sub = rpi_arena_get(a, sizeof *p->sub * (size_t)(n.n_sub + 1));
  p->call = rpi_arena_get(a, sizeof *p->call * (size_t)(n.n_call + 1));
  p->pointer = rpi_arena_get(a, sizeof *p->pointer * (size_t)(n.n_pointer + 1));
  p->scalar = rpi_arena_get(a, sizeof *p->scalar * (size_t)(n.n_scalar + 1));
  l->geom = rpi_arena_get(a, sizeof *l->geom * (size_t)(operands + 1));
  l->b->scratch = rpi_arena_get(a, sizeof(int64_t) * (size_t)(an->n_symbol + 1));
  l->b->flag_group = rpi_arena_get(a, sizeof(int32_t) * (size_t)(n.n_sub + 1));
  l->b->sub_group = rpi_arena_get(a, sizeof(int32_t) * (size_t)(n.n_sub + 1));
  l->b->call_group = rpi_arena_get(a, sizeof(int32_t) * (size_t)(n.n_call + 1));
  l->symbol_ready = rpi_arena_get(a, sizeof(int32_t) * (size_t)(an->n_symbol + 1));
  l->b->ready = rpi_arena_get(a, sizeof(int32_t) * (an->n_slot + 1u));
  l->b->tag = rpi_arena_get(a, sizeof(uint64_t) * (an->n_slot + 1u));
  return !a->failed;
}

/* ---- scratch: symbols whose groups overlap get disjoint places ---- */

static int64_t slot_bytes(const lowerer *l, uint32_t slot) {
  for (int32_t x = 0; x < l->ts->n_access; x++)
    if (l->ts->access[x].slot == slot)
      return l->ts->access[x].view->bsize * rpi_dtype_size(l->ts->access[x].view->dtype);
  return 0;
}

static void plan_scratch(lowerer *l) {
  const rpi_analysis *an = l->an;
  int64_t top = 0;
  for (int32_t s = 0; s < an->n_symbol; s++) {
    if (an->symbol[s].kind != RPI_SYMBOL_SCRATCH) continue;
    int64_t bytes = align64(slot_bytes(l, an->symbol[s].slot)), at = 0;
    for (bool moved = true; moved;) {
      moved = false;
      for (int32_t o = 0; o < s; o++) {
        const rpi_symbol *q = &an->symbol[o];
        if (q->kind != RPI_SYMBOL_SCRATCH || q->last < an->symbol[s].first ||
            q->first > an->symbol[s].last)
          continue;
        int64_t lo = l->b->scratch[o], hi = lo + align64(slot_bytes(l, q->slot));
        if (at < hi && lo < at + bytes) {
          at = hi;
          moved = true;
        }
      }
    }
    l->b->scratch[s] = at;
    if (at + bytes > top) top = at + bytes;
  }
  l->b->scratch_bytes = top;
}

/* ---- kernels ---- */

static void add_pointer(lowerer *l, int32_t word, int32_t symbol, int64_t offset) {
  rpi_plan *p = &l->b->plan;
  p->pointer[p->n_pointer++] = (rpi_plan_pointer){
      .word = word, .symbol = symbol, .gpu = l->side == RPI_AT_DEVICE, .offset = offset};
}

static int64_t box_elements(const rpi_geom *g) {
  int64_t n = 1;
  for (int32_t d = 0; d < g->ndim; d++)
    if (g->stride[d] != 0 || g->shape[d] == 0) n *= g->shape[d];
  return n;
}

/* Modelled traffic: per symbol, what is read and what is written, each at most once. */
static int64_t group_bytes(const lowerer *l, const rpi_group *g) {
  int64_t total = 0;
  for (int32_t rw = 0; rw < 2; rw++) {
    uint8_t want = rw ? RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE : RPI_ACCESS_READ;
    for (int32_t o = 0; o < g->n_operand; o++) {
      const rpi_group_operand *k = &g->operand[o];
      if (!(k->ir.access & want)) continue;
      bool first = true;
      for (int32_t q = 0; q < o; q++)
        first = first && !(g->operand[q].symbol == k->symbol && (g->operand[q].ir.access & want));
      if (!first) continue;
      const rpi_view *v = l->ts->access[k->access].view;
      int64_t sum = 0;
      for (int32_t q = o; q < g->n_operand; q++)
        if (g->operand[q].symbol == k->symbol && (g->operand[q].ir.access & want))
          sum += box_elements(&l->geom[q]);
      total += (sum < v->bsize ? sum : v->bsize) * rpi_dtype_size(v->dtype);
    }
  }
  return total;
}

static void bind_tasks(lowerer *l, const rpi_group *g, const rpi_ir_layout *lay, int32_t word) {
  rpi_plan *p = &l->b->plan;
  int32_t scalar = 0, param = 0;
  for (int32_t i = 0; i < rpi_group_tasks(g); i++) {
    const rpi_task *t = &l->ts->task[g->task[i]];
    for (int32_t s = 0; s < t->variant->ir.n_scalar; s++)
      p->scalar[p->n_scalar++] =
          (rpi_plan_scalar){.word = word + lay->scalar + scalar++, .scalar = t->first_scalar + s};
    for (int32_t e = 0; e < t->variant->ir.n_extent; e++)
      p->words[word + lay->param + param++].i = t->extent_param[e];
  }
}

static void lower_kernel(lowerer *l, const rpi_group *g, int64_t *partials) {
  rpi_bound *b = l->b;
  rpi_plan *p = &b->plan;
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  rpi_ir_layout lay;
  rpi_ir_layout_get(ir, &lay);
  const int64_t *extent = l->extent;
  int32_t word = p->n_words;
  p->n_words += g->kernel->n_words;
  for (int32_t d = 0; d < ir->rank; d++) {
    p->words[word + lay.extent + d].i = extent[d];
    p->words[word + lay.origin + d].i = 0;
  }
  for (int32_t o = 0; o < g->n_operand; o++) {
    const rpi_ir_operand *k = &ir->operand[o];
    add_pointer(l, word + lay.ptr + o, g->operand[o].symbol,
                l->geom[o].offset * rpi_dtype_size(k->dtype));
    int32_t at = word + rpi_ir_layout_stride(ir, &lay, o);
    for (int32_t d = 0; d < k->rank; d++) p->words[at + d].i = l->geom[o].stride[d];
    if (k->kind == RPI_OPERAND_TABLE)
      for (int32_t d = 0; d < k->rank; d++) p->words[at + k->rank + d].i = l->geom[o].shape[d];
  }
  bind_tasks(l, g, &lay, word);
  for (int32_t r = 0; r < ir->n_red; r++) {
    add_pointer(l, word + lay.partial + r, l->an->n_symbol, *partials);
    const int64_t count =
        l->side == RPI_AT_DEVICE ? rpi_cuda_partials(ir, extent) : rpi_ir_partials(ir, extent);
    *partials += align64(count * rpi_dtype_size(ir->operand[ir->red[r].operand].dtype));
  }
  if (l->side == RPI_AT_DEVICE) {
    add_pointer(l, word + lay.values, l->an->n_symbol, *partials);
    *partials += align64(rpi_ir_values(ir) * (int64_t)sizeof(rpi_word));
    if (rpi_cuda_loops(ir)) {
      add_pointer(l, word + lay.board, l->an->n_symbol + 2, 0);
      b->board = true;
    }
  }
  add_pointer(l, word + lay.flag, l->an->n_symbol + 1,
              (int64_t)sizeof(rpi_kernel_flag) * b->n_flag);
  b->flag_group[b->n_flag++] = (int32_t)(g - l->an->group);
  bool body = ir->n_body > ir->n_pro;
  b->sub_group[p->n_sub] = (int32_t)(g - l->an->group);
  p->sub[p->n_sub++] = (rpi_sub){.kernel = g->kernel,
                                 .gpu = l->gpu,
                                 .word = word,
                                 .units = body ? rpi_ir_units(ir, extent) : 0};
}

/* On the GPU: a graph has its launch, or ends. */
static void note_graphs(lowerer *l, const rpi_plan_call *c) {
  if (l->ctx->config.graphs && !rpi_opaque_gpu_in_graphs(c))
    rpi_context_reason(l->ctx, RPI_REASON_GPU_FUNCTION);
}

static void lower_call(lowerer *l, const rpi_group *g) {
  rpi_plan *p = &l->b->plan;
  const rpi_task *t = &l->ts->task[g->task[0]];
  const bool gpu = l->side == RPI_AT_DEVICE;
  for (int32_t i = 0; i < t->n_store; i++)
    add_pointer(l, p->n_words + i, g->operand[i].symbol,
                t->view[i]->geom.offset * rpi_dtype_size(t->view[i]->dtype));
  l->b->call_group[p->n_call] = (int32_t)(g - l->an->group);
  rpi_lower_call(l->ctx, &l->b->arena, t, gpu, &p->call[p->n_call]);
  p->call[p->n_call].word = p->n_words;
  if (gpu) note_graphs(l, &p->call[p->n_call]);
  p->step[p->n_step++] = (rpi_step){.kind = RPI_STEP_OPAQUE, .gpu = gpu, .call = p->n_call++};
  p->n_words += t->n_store;
  for (int32_t i = 0; i < t->op->n_scalars; i++)
    p->scalar[p->n_scalar++] =
        (rpi_plan_scalar){.word = p->n_words++, .scalar = t->first_scalar + i};
}

/* Remembers after how many steps the symbols this group writes are done. */
static void note_ready(lowerer *l, const rpi_group *g) {
  for (int32_t o = 0; o < g->n_operand; o++) {
    const rpi_group_operand *k = &g->operand[o];
    const uint8_t access = g->opaque ? l->ts->access[k->access].mode : k->ir.access;
    if (access & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE))
      l->symbol_ready[k->symbol] = l->b->plan.n_step;
  }
}

static void find_ready(lowerer *l) {
  for (uint32_t s = 0; s < l->an->n_slot; s++)
    l->b->ready[s] = l->an->out[s] >= 0 ? l->symbol_ready[l->an->out[s]] : 0;
}

/* The write covers a plain box of its buffer. */
static bool plain_box(const rpi_access *a, rpi_slab *box) {
  const rpi_view *v = a->view;
  if (a->table || a->geom.ndim != v->bdim || v->bdim == 0 || rpi_geom_size(&a->geom) == 0)
    return false;
  rpi_geom whole;
  rpi_geom_dense(v->bdim, v->bshape, &whole);
  int64_t rest = a->geom.offset;
  for (int32_t d = 0; d < v->bdim; d++) {
    if (a->geom.stride[d] != whole.stride[d] || whole.stride[d] == 0) return false;
    box->lo[d] = rest / whole.stride[d];
    box->hi[d] = box->lo[d] + a->geom.shape[d];
    rest %= whole.stride[d];
    if (box->hi[d] > v->bshape[d]) return false;
  }
  return rest == 0;
}

/* What lies outside the box. */
static void patch_around(rpi_plan *p, rpi_step *s, const rpi_view *v, const rpi_slab *box) {
  rpi_slab all = {{0}, {0}}, out[RPI_SLABS_MOST];
  rpi_geom whole;
  rpi_geom_dense(v->bdim, v->bshape, &whole);
  memcpy(all.hi, whole.shape, sizeof all.hi);
  const int32_t n = rpi_slabs_cut(v->bdim, &all, box, out);
  s->first_box = p->n_box;
  s->n_box = n - 1; /* all but the box itself */
  s->elem = rpi_dtype_size(v->dtype);
  for (int32_t i = 1; i < n; i++)
    (void)rpi_geom_box(&whole, out[i].lo, out[i].hi, &p->box[p->n_box++]); /* within the array */
}

/* The one write since the renaming, if it covers a plain box; NULL: all must be copied. */
static const rpi_access *patched_around(const lowerer *l, int32_t symbol, rpi_slab *box) {
  uint32_t slot = l->an->symbol[symbol].slot;
  if (l->an->n_tag[slot] != 1) return NULL;
  const rpi_access *a = &l->ts->access[l->an->tag_access[slot][0]];
  return (a->mode & RPI_ACCESS_WRITE) && plain_box(a, box) ? a : NULL;
}

/* New symbols take from their old ones what the group does not write. Around a box that happens behind
 * the kernel, whose threads have touched the fresh memory by then; an epilogue might read it. */
static void lower_patches(lowerer *l, const rpi_group *g, bool behind) {
  rpi_plan *p = &l->b->plan;
  for (int32_t i = 0; i < g->n_patch; i++) {
    rpi_slab box;
    const rpi_access *a = patched_around(l, g->patch[i], &box);
    if (behind != (a && g->kernel && g->n_epi == 0)) continue;
    rpi_step *s = &p->step[p->n_step++];
    *s = (rpi_step){.kind = RPI_STEP_PATCH,
                    .gpu = l->side == RPI_AT_DEVICE,
                    .src = l->an->symbol[g->patch[i]].old,
                    .dst = g->patch[i]};
    if (a) patch_around(p, s, a->view, &box);
    if (behind) l->symbol_ready[g->patch[i]] = p->n_step;
  }
}

/* Memory of others on the GPU may begin anywhere. Is that so of an operand that would have been aligned? */
static bool drop_unaligned(const lowerer *l, const rpi_group *g, rpi_cuda_shape *shape) {
  const uint64_t before = shape->aligned;
  for (int32_t o = 0; o < g->n_operand && o < 64; o++) {
    const uint32_t slot = l->an->symbol[g->operand[o].symbol].slot;
    if (slot < l->an->n_slot && l->klass[slot] & RPI_CLASS_UNALIGNED)
      shape->aligned &= ~((uint64_t)1 << o);
  }
  return shape->aligned != before;
}

/* Where the group runs. Patches of a group without anything to do are copies on the GPU. */
static rp_status take_side(lowerer *l, const rpi_group *g) {
  rpi_cuda_shape shape;
  l->gpu = NULL;
  l->side = RPI_AT_HOST;
  if (l->ctx->device && g->kernel) {
    rpi_shape_get(rpi_jit_ir(g->kernel), l->geom, l->extent, &shape);
    if (shape.aligned && drop_unaligned(l, g, &shape))
      rpi_context_reason(l->ctx, RPI_REASON_GPU_UNALIGNED);
    RPI_TRY(rpi_jit_gpu(l->ctx->jit, g->kernel, &shape, &l->gpu));
    if (!l->gpu) rpi_context_reason(l->ctx, RPI_REASON_GPU_KERNEL);
  }
  const bool call = g->opaque && rpi_opaque_on_gpu(l->ts->task[g->task[0]].op->opaque);
  if (l->ctx->device && g->opaque && !call) rpi_context_reason(l->ctx, RPI_REASON_GPU_OPAQUE);
  if (l->gpu || (l->ctx->device && !g->kernel && (!g->opaque || call))) l->side = RPI_AT_DEVICE;
  return RP_OK;
}

/* A step of its own, or a place in the one before. */
static rpi_step *launch_step(lowerer *l, const rpi_group *g) {
  rpi_plan *p = &l->b->plan;
  const bool gpu = l->side == RPI_AT_DEVICE;
  rpi_step *last = p->n_step > 0 ? &p->step[p->n_step - 1] : NULL;
  if (g->beside && last && last->kind == RPI_STEP_LAUNCH && last->gpu == gpu) return last;
  l->partial_bytes = 0;
  last = &p->step[p->n_step++];
  *last = (rpi_step){.kind = RPI_STEP_LAUNCH, .gpu = gpu, .first_sub = p->n_sub, .threads = 1};
  return last;
}

static rp_status lower_group(lowerer *l, const rpi_group *g) {
  rpi_plan *p = &l->b->plan;
  memset(l->extent, 0, sizeof l->extent);
  if (g->kernel && !rpi_analyse_geometry(g, l->ts, l->geom, l->extent)) {
    l->mismatch = true;
    return RP_OK;
  }
  RPI_TRY(take_side(l, g));
  lower_patches(l, g, false);
  if (g->opaque) {
    lower_call(l, g);
    note_ready(l, g);
    return RP_OK;
  }
  if (!g->kernel) return RP_OK;
  rpi_step *s = launch_step(l, g);
  lower_kernel(l, g, &l->partial_bytes);
  if (l->partial_bytes > l->partial_most) l->partial_most = l->partial_bytes;
  s->n_sub++;
  s->units += p->sub[p->n_sub - 1].units;
  s->bytes += group_bytes(l, g);
  p->n_kernels++;
  note_ready(l, g);
  lower_patches(l, g, true);
  return RP_OK;
}

/* How many units a thread takes at a time: pieces of GRAINS grains or more, PIECES at most to a thread. */
static int64_t piece_of(const rpi_step *s, int64_t grain) {
  enum { GRAINS = 8, PIECES = 16 };
  int64_t pieces = s->bytes / s->threads / GRAINS / grain;
  if (pieces > PIECES) pieces = PIECES;
  if (s->threads == 1 || pieces < 2) return 0;
  const int64_t each = s->units / s->threads;
  return each < pieces ? 1 : each / pieces;
}

static void choose_threads(lowerer *l) {
  rpi_plan *p = &l->b->plan;
  int64_t most = rpi_workers_count(l->ctx->workers);
  for (int32_t i = 0; i < p->n_step; i++) {
    rpi_step *s = &p->step[i];
    if (s->kind != RPI_STEP_LAUNCH) continue;
    int64_t grain = l->ctx->config.grain > 0 ? l->ctx->config.grain : 1;
    int64_t n = s->bytes / grain;
    if (n > most) n = most;
    if (n > s->units) n = s->units;
    s->threads = n < 1 ? 1 : (int32_t)n;
    s->piece = piece_of(s, grain);
    p->bytes += s->bytes;
  }
}

/* Partials lie behind the scratch of symbols. */
static void place_partials(lowerer *l) {
  rpi_plan *p = &l->b->plan;
  l->b->partials = l->b->scratch_bytes;
  for (int32_t i = 0; i < p->n_pointer; i++)
    if (p->pointer[i].symbol == l->an->n_symbol) p->pointer[i].offset += l->b->scratch_bytes;
}

static void name_writes(lowerer *l) {
  for (uint32_t s = 0; s < l->an->n_slot; s++) {
    if (l->an->n_tag[s] == 0) continue;
    uint64_t tag = 0;
    for (int32_t i = 0; i < l->an->n_tag[s]; i++)
      tag += rpi_hash_bytes64(&l->ts->access[l->an->tag_access[s][i]].geom, sizeof(rpi_geom));
    l->b->tag[s] = tag | 1;
  }
}

static bool moves_instances(const rpi_analysis *an) {
  for (int32_t i = 0; i < an->n_symbol; i++)
    if (an->symbol[i].kind == RPI_SYMBOL_NEW) return true;
  for (uint32_t s = 0; s < an->n_slot; s++)
    if (an->out[s] >= 0 && an->out[s] != an->in[s]) return true;
  return false;
}

/* The places at entry; temporaries have none yet. */
static bool note_places(rpi_bound *b, const uint32_t *place, uint32_t n_place) {
  const size_t n = b->an->n_slot + 1u, symbols = (size_t)b->an->n_symbol + 1;
  b->place = rpi_arena_get(&b->arena, sizeof *place * (2 * n + symbols));
  if (!b->place) return false;
  b->place_out = b->place + n;
  b->patched = b->place_out + n;
  memset(b->place, 0, sizeof *place * (2 * n + symbols)); /* RPI_PLACE_WHOLE */
  memcpy(b->place, place, sizeof *place * n_place);
  memcpy(b->place_out, b->place, sizeof *place * n);
  b->marks = rpi_arena_get(&b->arena, sizeof *b->marks * (size_t)(b->n_flag + b->plan.n_call + 1));
  return b->marks != NULL;
}

/* All of the plan, unless the analysis does not fit. */
static rp_status fill(lowerer *l, const uint32_t *place, uint32_t n_place) {
  rpi_bound *b = l->b;
  if (!allocate(l)) return rpi_status_nomem("plan");
  plan_scratch(l);
  for (int32_t i = 0; i < l->an->n_group && !l->mismatch; i++)
    RPI_TRY(lower_group(l, &l->an->group[i]));
  if (b->arena.failed) return rpi_status_nomem("plan");
  if (l->mismatch) return RP_OK;
  place_partials(l);
  b->scratch_bytes += l->partial_most;
  name_writes(l);
  find_ready(l);
  b->moves = moves_instances(l->an);
  if (place && !note_places(b, place, n_place)) return rpi_status_nomem("plan");
  if (place) RPI_TRY(rpi_distribute(l->ctx, l->ts, b));
  RPI_TRY(rpi_sides_plan(l->ctx, l->ts, b));
  choose_threads(l);
  return b->arena.failed ? rpi_status_nomem("plan") : RP_OK;
}

rp_status rpi_lower(rp_context *ctx, rpi_analysis *an, const rpi_tasks *tasks,
                    const uint32_t *klass, const uint32_t *place, uint32_t n_place,
                    rpi_bound **out) {
  *out = NULL;
  rpi_bound *b = rpi_alloc_zero(sizeof *b);
  if (!b) return rpi_status_nomem("plan");
  rpi_arena_init(&b->arena);
  b->an = an;
  b->trusted = an->trusted;
  b->live = an->live;
  b->n_symbol = an->n_symbol + 3;
  lowerer l = {.ctx = ctx, .an = an, .ts = tasks, .klass = klass, .b = b};
  const rp_status st = fill(&l, place, n_place);
  if (st != RP_OK || l.mismatch) {
    rpi_lower_free(b);
    return st;
  }
  ctx->stats.plans++;
  *out = b;
  return RP_OK;
}

void rpi_lower_free(rpi_bound *b) {
  if (!b) return;
  if (b->owns) rpi_analyse_free(b->an);
  rpi_graph_free(b->plan.graphs);
  rpi_loop_free(b->plan.loop);
  rpi_joint_free(b->plan.joint);
  for (int32_t c = 0; c < b->plan.n_call; c++) rpi_alloc_free(b->plan.call[c].why);
  for (rpi_plan_exchange *e = b->plan.exchanges, *next; e; e = next) {
    next = e->next;
    rpi_messages_deinit(e);
    rpi_alloc_free(e);
  }
  rpi_alloc_free(b->plan.lists);
  rpi_arena_deinit(&b->arena);
  rpi_alloc_free(b);
}
