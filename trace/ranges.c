/* SPDX-License-Identifier: Apache-2.0
 * trace/ranges.c -- which gathers can go unchecked if index data lies within bounds.
 * Lives here: the pattern over a variant's IR. Not here: looking at data (index_range.c).
 * How: a subscript is understood if it is a load of an integer store, the running k of a loop whose
 *      bounds are such loads, or a coordinate or size. Data bounds become conditions on the whole
 *      buffer, tested once per version; sizes are compared here. Index stores that the segment
 *      itself writes are never trusted. */
#include "trace/analyse.h"

typedef struct bounds {
  bool known;
  int64_t lo, hi; /* of sizes and coordinates */
  uint32_t slot;  /* data: */
  bool data;
} bounds;

typedef struct finder {
  const rpi_tasks *ts;
  const rpi_task *task;
  rpi_range *out;
  int32_t n, cap;
} finder;

static bool written_here(const rpi_tasks *ts, uint32_t slot) {
  for (int32_t i = 0; i < ts->n_access; i++)
    if (ts->access[i].slot == slot && (ts->access[i].mode & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE)))
      return true;
  return false;
}

static bounds value_bounds(const finder *f, rpi_irval v) {
  const rpi_ir *ir = &f->task->variant->ir;
  const rpi_ir_ins *i = &ir->ins[v];
  int32_t kind;
  while (i->op == RPI_IR_CAST) {
    kind = rpi_dtype_kind(ir->ins[rpi_ir_src(ir, i, 0)].dtype);
    if (kind != RPI_KIND_I && kind != RPI_KIND_U) return (bounds){0};
    i = &ir->ins[rpi_ir_src(ir, i, 0)];
  }
  switch ((rpi_irop)i->op) {
    case RPI_IR_LOAD:
    case RPI_IR_GATHER: {
      kind = rpi_dtype_kind(i->dtype);
      const rpi_access *a = &f->ts->access[f->task->first_access + (int32_t)i->imm];
      if ((kind != RPI_KIND_I && kind != RPI_KIND_U) || written_here(f->ts, a->slot))
        return (bounds){0};
      return (bounds){.known = true, .data = true, .slot = a->slot};
    }
    case RPI_IR_INDEX: return (bounds){.known = true, .hi = f->task->extent[i->imm] - 1};
    case RPI_IR_EXTENT:
      return (bounds){
          .known = true, .lo = f->task->extent_param[i->imm], .hi = f->task->extent_param[i->imm]};
    case RPI_IR_CONST: return (bounds){.known = true, .lo = (int64_t)i->imm, .hi = (int64_t)i->imm};
    default: return (bounds){0};
  }
}

/* The values of `b` (one past the last, if `end`) are indices of an axis of n elements. */
static bool require(finder *f, bounds b, int64_t n, bool end) {
  if (!b.known) return false;
  if (!b.data) return b.lo >= 0 && b.hi <= (end ? n : n - 1);
  for (int32_t i = 0; i < f->n && i < f->cap; i++)
    if (f->out[i].slot == b.slot) {
      int64_t hi = end ? n : n - 1;
      if (hi < f->out[i].hi) f->out[i].hi = hi;
      return true;
    }
  if (f->n >= f->cap) return false;
  f->out[f->n++] = (rpi_range){.slot = b.slot, .lo = 0, .hi = end ? n : n - 1};
  return true;
}

static bool subscript(finder *f, rpi_irval v, int64_t n) {
  const rpi_ir *ir = &f->task->variant->ir;
  const rpi_ir_ins *i = &ir->ins[v];
  if (i->op != RPI_IR_LOOP) return require(f, value_bounds(f, v), n, false);
  return require(f, value_bounds(f, rpi_ir_src(ir, i, 0)), n, true) &&
         require(f, value_bounds(f, rpi_ir_src(ir, i, 1)), n, true);
}

int32_t rpi_ranges(const rpi_tasks *ts, rpi_range *out, int32_t cap, bool *provable) {
  finder f = {.ts = ts, .out = out, .cap = cap};
  for (int32_t a = 0; a < ts->n_access; a++) provable[a] = ts->access[a].table;
  for (int32_t t = 0; t < ts->n_task; t++) {
    f.task = &ts->task[t];
    if (!f.task->variant || f.task->kind == RPI_TASK_COPY) continue;
    const rpi_ir *ir = &f.task->variant->ir;
    for (int32_t k = 0; k < ir->n_ins; k++) {
      const rpi_ir_ins *i = &ir->ins[k];
      if (i->op != RPI_IR_GATHER) continue;
      int32_t a = f.task->first_access + (int32_t)i->imm;
      for (int32_t d = 0; d < i->n_src; d++)
        if (!subscript(&f, rpi_ir_src(ir, i, d), ts->access[a].geom.shape[d])) provable[a] = false;
    }
  }
  return f.n;
}
