/* SPDX-License-Identifier: Apache-2.0
 * trace/image.c -- see image.h. */
#include "trace/image.h"

#include "core/comm/collect.h"
#include "core/model/dtype.h"

/* ---- recognising ---- */

static const rpi_ir_ins *uncast(const rpi_ir *ir, const rpi_ir_ins *i) {
  while (i->op == RPI_IR_CAST) i = &ir->ins[rpi_ir_src(ir, i, 0)];
  return i;
}

static bool is_integer(rp_dtype t) {
  const int32_t kind = rpi_dtype_kind(t);
  return kind == RPI_KIND_I || kind == RPI_KIND_U;
}

/* An integer operand that is as it was when the segment began. */
static bool index_of(const rpi_analysis *an, const rpi_group *g, const rpi_geom *geom,
                     uint64_t operand, rpi_image_index *out) {
  const rpi_group_operand *k = &g->operand[operand];
  const rpi_symbol *s = &an->symbol[k->symbol];
  const rpi_geom *v = &geom[operand];
  if (s->kind != RPI_SYMBOL_IN || an->written[s->slot] || !is_integer(k->ir.dtype) || v->ndim != 1)
    return false;
  *out = (rpi_image_index){
      .slot = s->slot, .dtype = k->ir.dtype, .first = v->offset, .step = v->stride[0]};
  return true;
}

static bool load_of(const rpi_analysis *an, const rpi_group *g, const rpi_geom *geom,
                    const rpi_ir_ins *i, rpi_image_index *out) {
  i = uncast(rpi_jit_ir(g->kernel), i);
  return i->op == RPI_IR_LOAD && index_of(an, g, geom, i->imm, out);
}

/* The only gather from operand o; NULL if there are several. */
static const rpi_ir_ins *gather_from(const rpi_ir *ir, int32_t o) {
  const rpi_ir_ins *found = NULL;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    if (ir->ins[i].op != RPI_IR_GATHER || ir->ins[i].imm != (uint64_t)o) continue;
    if (found) return NULL;
    found = &ir->ins[i];
  }
  return found;
}

bool rpi_image_find(const rpi_analysis *an, const rpi_group *g, const rpi_geom *geom, int32_t o,
                    const rpi_rows *space, rpi_image *out) {
  const rpi_ir *ir = rpi_jit_ir(g->kernel);
  const rpi_ir_ins *gather = gather_from(ir, o);
  if (ir->rank != 1 || !gather || gather->n_src != 1 || geom[o].ndim != 1 || geom[o].stride[0] <= 0)
    return false;
  *out = (rpi_image){.symbol = g->operand[o].symbol,
                     .first = geom[o].offset,
                     .step = geom[o].stride[0],
                     .extent = geom[o].shape[0],
                     .elem = rpi_dtype_size(g->operand[o].ir.dtype),
                     .space = *space};
  const rpi_ir_ins *index = uncast(ir, &ir->ins[rpi_ir_src(ir, gather, 0)]);
  if (index->op == RPI_IR_LOAD) return index_of(an, g, geom, index->imm, &out->at);
  if (index->op != RPI_IR_GATHER || index->n_src != 1 ||
      !index_of(an, g, geom, index->imm, &out->at))
    return false;
  const rpi_ir_ins *loop = &ir->ins[rpi_ir_src(ir, index, 0)];
  out->looped = true;
  return loop->op == RPI_IR_LOOP &&
         load_of(an, g, geom, &ir->ins[rpi_ir_src(ir, loop, 0)], &out->from) &&
         load_of(an, g, geom, &ir->ins[rpi_ir_src(ir, loop, 1)], &out->to);
}

/* ---- looking ---- */

typedef struct range {
  int64_t lo, hi; /* hi is not in it; lo >= hi: nothing */
} range;

#define EACH_INTEGER(X) \
  X(RP_BOOL, uint8_t) \
  X(RP_I8, int8_t) \
  X(RP_I16, int16_t) \
  X(RP_I32, int32_t) \
  X(RP_I64, int64_t) X(RP_U8, uint8_t) X(RP_U16, uint16_t) X(RP_U32, uint32_t) X(RP_U64, uint64_t)

/* The values of elements i of `rows`. */
static range values_in(const rpi_image_index *x, const rpi_buffer *b, range rows) {
  range r = {INT64_MAX, INT64_MIN};
  if (rows.lo >= rows.hi) return r;
  if (!b->inst) return (range){0, 1}; /* never written: zeros */
  switch (x->dtype) {
#define CASE(t, type) \
  case t: \
    for (int64_t i = rows.lo; i < rows.hi; i++) { \
      const int64_t v = (int64_t)((const type *)b->inst->data)[x->first + x->step * i]; \
      if (v < r.lo) r.lo = v; \
      if (v >= r.hi && v < INT64_MAX) r.hi = v + 1; \
    } \
    break;
    EACH_INTEGER(CASE)
#undef CASE
    default: break;
  }
  return r;
}

static range within(range r, int64_t n) {
  return (range){r.lo < 0 ? 0 : r.lo, r.hi > n ? n : r.hi};
}

/* The elements of the table that this rank's rows reach. */
static range reached(const rpi_image *m, rpi_buffer *const *slot, int32_t rank) {
  range rows = {rpi_rows_at(&m->space, rank), rpi_rows_at(&m->space, rank + 1)};
  if (rows.lo >= rows.hi) return (range){0, 0};
  if (m->looped) {
    const range from = values_in(&m->from, slot[m->from.slot], rows),
                to = values_in(&m->to, slot[m->to.slot], rows);
    rows = within((range){from.lo, to.hi - 1}, slot[m->at.slot]->base->bsize);
  }
  const range r = within(values_in(&m->at, slot[m->at.slot], rows), m->extent);
  if (r.lo >= r.hi) return (range){0, 0};
  return (range){m->first + m->step * r.lo, m->first + m->step * (r.hi - 1) + 1};
}

static int64_t bound(const void *arg, int32_t rank) {
  (void)arg;
  return rank * (int64_t)sizeof(range);
}

static rp_status find_messages(rp_context *ctx, rpi_image *m, rpi_buffer *const *slot) {
  const int32_t rank = rpi_comm_rank(ctx->comm), ranks = rpi_comm_size(ctx->comm);
  range *all = rpi_alloc_zero((size_t)ranks * sizeof *all);
  bool ok = all != NULL;
  rp_status st = RP_OK;
  m->exchange->n = 0;
  if (ok) {
    all[rank] = reached(m, slot, rank);
    st = rpi_collect_gather(ctx->comm, all, bound, NULL);
  }
  if (ok && st == RP_OK)
    ok = rpi_needs_receives(all[rank].lo, all[rank].hi, m->symbol, &m->cuts, rank, m->elem,
                            m->exchange);
  for (int32_t r = 0; ok && st == RP_OK && r < ranks; r++)
    ok = rpi_needs_send(all[r].lo, all[r].hi, r, m->symbol, &m->cuts, rank, m->elem, m->exchange);
  rpi_alloc_free(all);
  ok = ok && rpi_needs_post(m->exchange);
  return ok ? st : rpi_status_nomem("the image of a gather");
}

/* Is the index another one than was looked at? It is the one from now on. */
static bool is_new(rpi_image_index *x, rpi_buffer *const *slot) {
  const uint64_t version = slot[x->slot]->version + 1;
  if (x->version == version) return false;
  x->version = version;
  return true;
}

rp_status rpi_image_refresh(rp_context *ctx, rpi_image *m, rpi_buffer *const *slot) {
  bool look = is_new(&m->at, slot);
  if (m->looped && is_new(&m->from, slot)) look = true;
  if (m->looped && is_new(&m->to, slot)) look = true;
  return look ? find_messages(ctx, m, slot) : RP_OK;
}
