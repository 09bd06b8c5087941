/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_c_plan.c -- decides where each instruction of a body is computed.
 *
 * Lives here: levels (uniform, row, column, inside a loop), stages, slots. Not here: text.
 * How:        stages follow the order of the instructions, so that loads and stores of a point keep
 *             theirs: every top-level loop ends one stage of vector code and begins the next. Going
 *             backwards over the stages, each takes what its stores, reductions and loops need; a
 *             value of an earlier stage is made again if that is cheap and safe, else it gets a
 *             slot.
 * Invariant:  a LOAD is moved (to the row, or to a later stage) only if no STORE comes before the
 *             place it is moved from or to, so it reads what it would have read. */
#include "jit/emit_c_impl.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/model/dtype.h"

/* A gather that may raise the flag: done even if nobody wants its value, as in every other tier. */
static bool flags(const rpi_ir *ir, const rpi_ir_ins *i) {
  return i->op == RPI_IR_GATHER && ir->operand[i->imm].checked != 0;
}

static bool is_sink(const rpi_ir *ir, const rpi_ir_ins *i) {
  return i->op == RPI_IR_STORE || i->op == RPI_IR_REDUCE || flags(ir, i);
}

static rp_status plan_alloc(rpi_emit *e) {
  const size_t n = (size_t)e->ir->n_body + 1;
  e->level = rpi_alloc_zero(n);
  e->scalar = rpi_alloc_zero(n);
  e->stage = rpi_alloc_zero(n * sizeof *e->stage);
  e->slot = rpi_alloc_zero(n * sizeof *e->slot);
  e->end = rpi_alloc_zero(((size_t)e->ir->n_ins + 1) * sizeof *e->end);
  if (!e->level || !e->scalar || !e->stage || !e->slot || !e->end)
    return rpi_status_nomem("a plan of a kernel's text");
  return RP_OK;
}

rp_status rpi_emit_plan_loops(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  int32_t open[64], depth = 0;
  for (int32_t i = 0; i < ir->n_ins; i++) {
    e->end[i] = -1;
    if (ir->ins[i].op == RPI_IR_LOOP) {
      if (depth == RPI_COUNT(open)) {
        return rpi_status_fail(RP_ERR_INTERNAL, "loops nested deeper than %d", RPI_COUNT(open));
      }
      open[depth++] = i;
    } else if (ir->ins[i].op == RPI_IR_ENDLOOP) {
      rpi_assert(depth > 0);
      e->end[i] = open[--depth];
      e->end[e->end[i]] = i;
    }
  }
  return RP_OK;
}

static uint8_t level_of(const rpi_emit *e, int32_t i, bool stored) {
  const rpi_ir *ir = e->ir;
  const rpi_ir_ins *ins = &ir->ins[i];
  uint8_t level = RPI_EMIT_UNIFORM;
  switch (ins->op) {
    case RPI_IR_INDEX: return (int32_t)ins->imm == ir->rank - 1 ? RPI_EMIT_COLUMN : RPI_EMIT_ROW;
    case RPI_IR_LOAD:
      return ir->operand[ins->imm].sclass[ir->rank - 1] == RPI_STRIDE_ZERO && !stored
                 ? RPI_EMIT_ROW
                 : RPI_EMIT_COLUMN;
    case RPI_IR_STORE:
    case RPI_IR_REDUCE: return RPI_EMIT_COLUMN;
    case RPI_IR_GATHER: level = RPI_EMIT_ROW; break;
    default: break;
  }
  for (int32_t s = 0; s < ins->n_src; s++) {
    const rpi_irval v = rpi_ir_src(ir, ins, s);
    const uint8_t of = v < ir->n_pro ? RPI_EMIT_UNIFORM : e->level[v];
    if (of > level) level = of;
  }
  return level;
}

static rp_status plan_levels(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  int32_t stage = 0;
  bool stored = false;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    e->slot[i] = -1;
    e->stage[i] = stage;
    if (ir->ins[i].op == RPI_IR_LOOP) {
      if (stage + 2 >= RPI_EMIT_MAX_STAGE) {
        return rpi_status_fail(RP_ERR_INTERNAL, "more than %d inner loops in one kernel",
                               RPI_EMIT_MAX_STAGE / 2);
      }
      bool flagged = false;
      e->loop_at[stage + 1] = i;
      for (const int32_t end = e->end[i]; i <= end; i++) {
        e->level[i] = RPI_EMIT_INNER;
        e->stage[i] = stage + 1;
        e->slot[i] = -1;
        flagged |= flags(ir, &ir->ins[i]);
      }
      i--;
      if (flagged) e->slot[i] = e->n_slot++;
      e->level[i] = RPI_EMIT_COLUMN;
      stage += 2;
      continue;
    }
    e->level[i] = level_of(e, i, stored);
    stored |= ir->ins[i].op == RPI_IR_STORE;
  }
  e->n_stage = stage + 1;
  for (int32_t i = 0; i < ir->n_ins; i++) e->checked |= flags(ir, &ir->ins[i]);
  return RP_OK;
}

/* May column value i be made again in `stage`? Cheap, and no store can have changed its source. */
static bool again(const rpi_emit *e, int32_t i, int32_t stage) {
  const rpi_ir *ir = e->ir;
  const rpi_ir_ins *ins = &ir->ins[i];
  switch (ins->op) {
    case RPI_IR_INDEX: return true;
    case RPI_IR_LOAD:
      for (int32_t k = ir->n_pro; k < ir->n_body && e->stage[k] <= stage; k++) {
        if (ir->ins[k].op == RPI_IR_STORE) return false;
      }
      return true;
    case RPI_IR_CAST:
    case RPI_IR_ADD:
    case RPI_IR_SUB:
      if (ins->dtype == RP_F32 || ins->dtype == RP_F64) return false;
      for (int32_t s = 0; s < ins->n_src; s++) {
        const rpi_irval v = rpi_ir_src(ir, ins, s);
        if (v < ir->n_pro || e->level[v] < RPI_EMIT_COLUMN) continue;
        if (!again(e, v, stage)) return false;
      }
      return true;
    default: return false;
  }
}

/* Notes that `stage` uses value v, in scalar code or not. */
static void want(rpi_emit *e, uint8_t *mark, int32_t stage, rpi_irval v) {
  if (v < e->ir->n_pro) return;
  if (e->level[v] < RPI_EMIT_COLUMN) {
    e->scalar[v] |= stage & 1;
  } else if (e->level[v] == RPI_EMIT_COLUMN) {
    mark[v] = 1;
  }
}

static void plan_stage(rpi_emit *e, int32_t stage) {
  const rpi_ir *ir = e->ir;
  uint8_t *mark = e->mark + (size_t)stage * (size_t)ir->n_body;
  if (stage & 1) {
    const int32_t at = e->loop_at[stage], end = e->end[at];
    if (e->slot[end] < 0) return; /* nobody wants its value */
    for (int32_t i = at; i <= end; i++) {
      for (int32_t s = 0; s < ir->ins[i].n_src; s++) {
        const rpi_irval v = rpi_ir_src(ir, &ir->ins[i], s);
        if (v < at) want(e, mark, stage, v);
      }
    }
  }
  for (int32_t i = ir->n_body - 1; i >= ir->n_pro; i--) {
    const rpi_ir_ins *ins = &ir->ins[i];
    if (e->level[i] != RPI_EMIT_COLUMN || e->stage[i] > stage) continue;
    const bool here = e->stage[i] == stage && !(stage & 1);
    if (here && (is_sink(ir, ins) || e->slot[i] >= 0)) mark[i] = 1;
    if (!mark[i]) continue;
    if (!here && (ins->op == RPI_IR_ENDLOOP || !again(e, i, stage))) {
      if (e->slot[i] < 0) e->slot[i] = e->n_slot++;
      continue;
    }
    for (int32_t s = 0; s < ins->n_src; s++) want(e, mark, stage, rpi_ir_src(ir, ins, s));
  }
}

rp_status rpi_emit_plan(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  rpi_ir_layout_get(ir, &e->l);
  e->row_mode = ir->n_red > 0 && rpi_ir_row_mode(ir);
  for (int32_t d = 0; e->row_mode && d < ir->rank; d++) e->n_prefix += ir->red[0].mask >> d & 1;
  RPI_TRY(plan_alloc(e));
  RPI_TRY(rpi_emit_plan_loops(e));
  RPI_TRY(plan_levels(e));
  const size_t size = (size_t)e->n_stage * (size_t)ir->n_body;
  e->mark = rpi_alloc_zero(size ? size : 1);
  if (!e->mark) return rpi_status_nomem("a plan of a kernel's text");
  for (int32_t s = e->n_stage - 1; s >= 0; s--) plan_stage(e, s);
  const int32_t room = RPI_KERNEL_SCRATCH / (RPI_LEAF * 8);
  if (e->n_slot > room) {
    return rpi_status_fail(
        RP_ERR_INTERNAL,
        "inner loops exchange %d values with their surroundings; the scratch holds %d", e->n_slot,
        room);
  }
  return RP_OK;
}

void rpi_emit_plan_free(rpi_emit *e) {
  rpi_alloc_free(e->mark);
  rpi_alloc_free(e->end);
  rpi_alloc_free(e->slot);
  rpi_alloc_free(e->stage);
  rpi_alloc_free(e->scalar);
  rpi_alloc_free(e->level);
}
