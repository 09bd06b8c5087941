/* SPDX-License-Identifier: Apache-2.0
 * jit/merge.c -- see merge.h. */
#include "jit/merge.h"

#include <string.h>

#include "core/base/alloc.h"

rp_status rpi_merge_begin(rpi_merge *m, rpi_ir *ir, int32_t n_places) {
  *m = (rpi_merge){.ir = ir, .n_places = n_places};
  m->value = rpi_alloc(sizeof *m->value * (size_t)n_places);
  m->write = rpi_alloc(sizeof *m->write * (size_t)n_places);
  if (!m->value || !m->write) {
    rpi_merge_deinit(m);
    return rpi_status_nomem("merge");
  }
  for (int32_t p = 0; p < n_places; p++) {
    m->value[p] = RPI_IR_NONE;
    m->write[p] = -1;
  }
  return RP_OK;
}

void rpi_merge_deinit(rpi_merge *m) {
  rpi_alloc_free(m->value);
  rpi_alloc_free(m->write);
  rpi_alloc_free(m->map);
  m->value = NULL;
  m->write = NULL;
  m->map = NULL;
}

static void flush_store(rpi_merge *m, int32_t place) {
  if (m->write[place] < 0) return;
  rpi_irval v = m->value[place];
  rpi_ir_emit(m->ir, RPI_IR_STORE, m->ir->operand[m->write[place]].dtype, (uint64_t)m->write[place],
              1, &v);
  m->write[place] = -1;
}

static void flush_stores(rpi_merge *m) {
  for (int32_t p = 0; p < m->n_places; p++) flush_store(m, p);
}

void rpi_merge_section(rpi_merge *m) {
  flush_stores(m);
  if (m->section == 0) {
    m->ir->n_pro = m->ir->n_ins;
  } else {
    m->ir->n_body = m->ir->n_ins;
    /* Values of the body do not exist in the epilogue: memory holds what it needs. */
    for (int32_t p = 0; p < m->n_places; p++)
      if (m->value[p] != RPI_IR_NONE && m->value[p] >= m->ir->n_pro) m->value[p] = RPI_IR_NONE;
  }
  m->section++;
}

/* The builder stops where numbers of values end, or memory does. */
static rp_status built(const rpi_ir *ir) {
  if (!ir->failed) return RP_OK;
  if (ir->n_ins < RPI_IR_MAX_INS) return rpi_status_nomem("kernel");
  return rpi_status_fail(RP_ERR_INTERNAL, "kernel of more than %d instructions", RPI_IR_MAX_INS);
}

rp_status rpi_merge_end(rpi_merge *m) {
  flush_stores(m);
  return built(m->ir);
}

static rpi_irval add_load(rpi_merge *m, const rpi_merge_operand *o, rp_dtype dtype) {
  if (m->value[o->place] != RPI_IR_NONE) return m->value[o->place];
  rpi_assert(o->read >= 0);
  return rpi_ir_emit(m->ir, RPI_IR_LOAD, dtype, (uint64_t)o->read, 0, NULL);
}

static rpi_irval add_reduce(rpi_merge *m, const rpi_merge_task *t, const rpi_ir_ins *in,
                            rpi_irval v) {
  const rpi_ir_red *from = &t->ir->red[in->imm];
  const rpi_merge_operand *o = &t->operand[from->operand];
  if (o->write < 0) return RPI_IR_NONE;
  rpi_ir_red r = *from;
  r.operand = (uint16_t)o->write;
  flush_store(m, o->place); /* what the reduction joins is in memory */
  m->value[o->place] = RPI_IR_NONE;
  return rpi_ir_emit(m->ir, RPI_IR_REDUCE, in->dtype, (uint64_t)rpi_ir_red_add(m->ir, &r), 1, &v);
}

/* One instruction of the task, its sources mapped. */
static rpi_irval add_ins(rpi_merge *m, const rpi_merge_task *t, const rpi_ir_ins *in,
                         int32_t scalar0, int32_t extent0) {
  rpi_irval src[RP_MAX_DIM];
  rpi_assert(in->n_src <= RP_MAX_DIM);
  for (int32_t s = 0; s < in->n_src; s++) src[s] = m->map[rpi_ir_src(t->ir, in, s)];
  switch ((rpi_irop)in->op) {
    case RPI_IR_LOAD: return add_load(m, &t->operand[in->imm], in->dtype);
    case RPI_IR_STORE:
      m->value[t->operand[in->imm].place] = src[0];
      m->write[t->operand[in->imm].place] = t->operand[in->imm].write;
      return RPI_IR_NONE;
    case RPI_IR_REDUCE: return add_reduce(m, t, in, src[0]);
    case RPI_IR_GATHER:
      return rpi_ir_emit(m->ir, RPI_IR_GATHER, in->dtype, (uint64_t)t->operand[in->imm].read,
                         in->n_src, src);
    case RPI_IR_SCALAR:
      return rpi_ir_emit(m->ir, RPI_IR_SCALAR, in->dtype, in->imm + (uint64_t)scalar0, 0, NULL);
    case RPI_IR_EXTENT:
      return rpi_ir_emit(m->ir, RPI_IR_EXTENT, in->dtype, in->imm + (uint64_t)extent0, 0, NULL);
    default: return rpi_ir_emit(m->ir, (rpi_irop)in->op, in->dtype, in->imm, in->n_src, src);
  }
}

rp_status rpi_merge_add(rpi_merge *m, const rpi_merge_task *t) {
  void *map = m->map;
  if (!rpi_alloc_grow(&map, &m->cap_map, t->ir->n_ins, sizeof *m->map))
    return rpi_status_nomem("merge");
  m->map = map;
  int32_t scalar0 = m->ir->n_scalar, extent0 = m->ir->n_extent;
  for (int32_t s = 0; s < t->ir->n_scalar; s++) rpi_ir_scalar_add(m->ir, t->ir->scalar[s]);
  m->ir->n_extent += t->ir->n_extent;
  for (int32_t i = 0; i < t->ir->n_ins; i++) {
    int32_t before = m->ir->n_ins;
    m->map[i] = add_ins(m, t, &t->ir->ins[i], scalar0, extent0);
    if (m->ir->n_ins > before && !m->ir->failed)
      m->ir->ins[m->ir->n_ins - 1].origin = (uint8_t)t->origin;
  }
  return built(m->ir);
}
