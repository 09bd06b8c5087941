/* SPDX-License-Identifier: Apache-2.0
 * tests/support/body_eval.h -- an oracle for op bodies: runs a variant's IR point by point.
 *
 * Lives here: the slowest possible evaluator of the IR on one placement, for tests of jit/body_*.c.
 * Not here:   exact bits: reductions run in the order of the points, so tests use values (small
 *             integers) for which the order does not matter.
 * How:        every element is a double and an int64_t side by side; the dtype says which counts.
 *             Reads see the state before, writes go to a copy. */
#ifndef RPI_BODY_EVAL_H
#define RPI_BODY_EVAL_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/model/dtype.h"
#include "jit/body.h"

typedef struct cell {
  double f;
  int64_t i;
} cell;

enum { EVAL_MAX = 8192, EVAL_CELLS = 4096 };

typedef struct evaluation {
  const rpi_ir *ir;
  rpi_placement place;
  rpi_geom box[64];
  int64_t extent_param[64];
  int32_t arg[64];
  cell *now[16], *next[16]; /* per argument: its whole buffer */
  const cell *scalar;
  cell val[EVAL_MAX];
  int64_t index[RP_MAX_DIM];
  bool clamped;
} evaluation;

static inline bool eval_is_float(int32_t dtype) { return rpi_dtype_kind(dtype) == RPI_KIND_F; }

static inline cell eval_fix(int32_t dtype, cell c) {
  switch (dtype) {
    case RP_F32: c.f = (double)(float)c.f; break;
    case RP_BOOL: c.i = c.i != 0; break;
    case RP_I8: c.i = (int8_t)c.i; break;
    case RP_I16: c.i = (int16_t)c.i; break;
    case RP_I32: c.i = (int32_t)c.i; break;
    case RP_U8: c.i = (uint8_t)c.i; break;
    case RP_U16: c.i = (uint16_t)c.i; break;
    case RP_U32: c.i = (uint32_t)c.i; break;
    default: break;
  }
  return c;
}

static inline cell eval_cast(int32_t from, int32_t to, cell c) {
  if (eval_is_float(from) && !eval_is_float(to)) c.i = (int64_t)c.f;
  if (to == RP_BOOL && eval_is_float(from)) c.i = c.f != 0;
  if (!eval_is_float(from) && eval_is_float(to)) c.f = (double)c.i;
  return eval_fix(to, c);
}

static inline cell eval_bits(int32_t dtype, uint64_t bits) {
  cell c = {0, (int64_t)bits};
  if (dtype == RP_F64) memcpy(&c.f, &bits, 8);
  if (dtype == RP_F32) {
    uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, 4);
    c.f = (double)f;
  }
  return eval_fix(dtype, c);
}

static inline int64_t eval_floordiv(int64_t a, int64_t b) {
  if (b == 0) return 0;
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static inline cell eval_two(int32_t op, int32_t dtype, cell a, cell b) {
  bool f = eval_is_float(dtype);
  cell r = {0, 0};
  if (f) {
    a.i = b.i = 0;
  } else {
    a.f = b.f = 0;
  }
  switch (op) {
    case RPI_IR_ADD: r = (cell){a.f + b.f, a.i + b.i}; break;
    case RPI_IR_SUB: r = (cell){a.f - b.f, a.i - b.i}; break;
    case RPI_IR_MUL: r = (cell){a.f * b.f, a.i * b.i}; break;
    case RPI_IR_DIV: r.f = a.f / b.f; break;
    case RPI_IR_FLOORDIV: r = (cell){floor(a.f / b.f), eval_floordiv(a.i, b.i)}; break;
    case RPI_IR_MOD:
      r = (cell){a.f - floor(a.f / b.f) * b.f, b.i == 0 ? 0 : a.i - eval_floordiv(a.i, b.i) * b.i};
      break;
    case RPI_IR_POW:
      r = (cell){pow(a.f, b.f), 1};
      for (int64_t k = 0; k < b.i && !f; k++) r.i *= a.i;
      break;
    case RPI_IR_MIN: r = (f ? a.f < b.f : a.i < b.i) ? a : b; break;
    case RPI_IR_MAX: r = (f ? a.f > b.f : a.i > b.i) ? a : b; break;
    case RPI_IR_AND: r.i = a.i & b.i; break;
    case RPI_IR_OR: r.i = a.i | b.i; break;
    case RPI_IR_XOR: r.i = a.i ^ b.i; break;
    case RPI_IR_SHL: r.i = a.i << b.i; break;
    case RPI_IR_SHR: r.i = a.i >> b.i; break;
    case RPI_IR_LT: r.i = f ? a.f < b.f : a.i < b.i; break;
    case RPI_IR_LE: r.i = f ? a.f <= b.f : a.i <= b.i; break;
    case RPI_IR_EQ: r.i = f ? a.f == b.f : a.i == b.i; break;
    case RPI_IR_NE: r.i = f ? a.f != b.f : a.i != b.i; break;
    default: fail_msg("the oracle does not know %s", rpi_ir_op_name((rpi_irop)op));
  }
  return r;
}

static inline cell eval_one(int32_t op, int32_t dtype, cell a) {
  switch (op) {
    case RPI_IR_NEG: return (cell){-a.f, -a.i};
    case RPI_IR_ABS: return (cell){fabs(a.f), a.i < 0 ? -a.i : a.i};
    case RPI_IR_SQRT: return (cell){sqrt(a.f), 0};
    case RPI_IR_FLOOR: return (cell){floor(a.f), 0};
    case RPI_IR_NOT: return (cell){0, dtype == RP_BOOL ? !a.i : ~a.i};
    default: fail_msg("the oracle does not know %s", rpi_ir_op_name((rpi_irop)op));
  }
  return a;
}

/* Combines for a reduction; *n counts the elements before. */
static inline cell eval_join(int32_t redop, int32_t dtype, cell acc, cell v, int64_t n) {
  static const int32_t op[] = {RPI_IR_ADD, RPI_IR_MUL, RPI_IR_MIN, RPI_IR_MAX, RPI_IR_AND,
                               RPI_IR_OR,  RPI_IR_XOR, RPI_IR_OR,  RPI_IR_AND};
  return n == 0 ? v : eval_fix(dtype, eval_two(op[redop], dtype, acc, v));
}

static inline cell eval_empty(int32_t redop) {
  bool one = redop == RPI_RED_PROD || redop == RPI_RED_ALL;
  bool arg = redop == RPI_RED_ARGMIN || redop == RPI_RED_ARGMAX;
  return (cell){one ? 1 : 0, arg ? -1 : one ? 1 : 0};
}

static inline int64_t eval_offset(const evaluation *e, int32_t o) {
  const rpi_geom *g = &e->box[o];
  int64_t at = g->offset;
  for (int32_t d = 0; d < g->ndim; d++) at += g->stride[d] * e->index[d];
  assert_in_range(at, 0, EVAL_CELLS - 1);
  return at;
}

static inline int64_t eval_gather(evaluation *e, const rpi_ir_ins *n, int32_t o) {
  const rpi_geom *g = &e->box[o];
  int64_t at = g->offset;
  for (int32_t d = 0; d < g->ndim; d++) {
    int64_t k = e->val[rpi_ir_src(e->ir, n, d)].i;
    if (k < 0 || k >= g->shape[d]) {
      e->clamped = true;
      k = k < 0 ? 0 : g->shape[d] - 1;
    }
    at += g->stride[d] * k;
  }
  return at;
}

static inline int32_t eval_end(const rpi_ir *ir, int32_t loop) {
  int32_t depth = 0;
  for (int32_t i = loop;; i++) {
    depth += ir->ins[i].op == RPI_IR_LOOP;
    depth -= ir->ins[i].op == RPI_IR_ENDLOOP;
    if (depth == 0) return i;
  }
}

static inline void eval_run(evaluation *e, int32_t from, int32_t to);

static inline void eval_loop(evaluation *e, int32_t at, int32_t end) {
  const rpi_ir_ins *n = &e->ir->ins[at], *stop = &e->ir->ins[end];
  int64_t lo = e->val[rpi_ir_src(e->ir, n, 0)].i, hi = e->val[rpi_ir_src(e->ir, n, 1)].i;
  int32_t redop = (int32_t)stop->imm, src = rpi_ir_src(e->ir, stop, 0);
  int32_t dtype = e->ir->ins[src].op == RPI_IR_ENDLOOP ? stop->dtype : e->ir->ins[src].dtype;
  bool lowest = redop == RPI_RED_ARGMIN;
  cell acc = eval_empty(redop), best = {0, 0};
  for (int64_t k = lo; k < hi; k++) {
    e->val[at] = (cell){0, k};
    eval_run(e, at + 1, end);
    cell v = e->val[src];
    if (redop == RPI_RED_ARGMIN || redop == RPI_RED_ARGMAX) {
      bool less = eval_two(RPI_IR_LT, dtype, lowest ? v : best, lowest ? best : v).i != 0;
      if (k == lo || less) {
        best = v;
        acc.i = k;
      }
    } else {
      acc = eval_join(redop, dtype, acc, v, k - lo);
    }
  }
  e->val[end] = acc;
}

/* Runs instructions [from, to) at the current point. REDUCE and STORE write to `next`. */
static inline void eval_run(evaluation *e, int32_t from, int32_t to) {
  const rpi_ir *ir = e->ir;
  for (int32_t i = from; i < to; i++) {
    const rpi_ir_ins *n = &ir->ins[i];
    int32_t o = (int32_t)n->imm;
    cell a = n->n_src > 0 ? e->val[rpi_ir_src(ir, n, 0)] : (cell){0, 0};
    int32_t ta = n->n_src > 0 ? ir->ins[rpi_ir_src(ir, n, 0)].dtype : 0;
    switch (n->op) {
      case RPI_IR_CONST: e->val[i] = eval_bits(n->dtype, n->imm); break;
      case RPI_IR_SCALAR: e->val[i] = e->scalar[o]; break;
      case RPI_IR_INDEX: e->val[i] = (cell){0, e->index[o]}; break;
      case RPI_IR_EXTENT: e->val[i] = (cell){0, e->extent_param[o]}; break;
      case RPI_IR_LOAD: e->val[i] = e->now[e->arg[o]][eval_offset(e, o)]; break;
      case RPI_IR_GATHER: e->val[i] = e->now[e->arg[o]][eval_gather(e, n, o)]; break;
      case RPI_IR_STORE: e->next[e->arg[o]][eval_offset(e, o)] = a; break;
      case RPI_IR_REDUCE: {
        const rpi_ir_red *r = &ir->red[o];
        cell *to_cell = &e->next[e->arg[r->operand]][eval_offset(e, r->operand)];
        bool first = true;
        for (int32_t d = 0; d < ir->rank; d++) {
          if ((r->mask >> d & 1) != 0 && e->index[d] != 0) first = false;
        }
        *to_cell = eval_join(r->op, n->dtype, *to_cell, a, first && !r->join ? 0 : 1);
        break;
      }
      case RPI_IR_LOOP: {
        int32_t end = eval_end(ir, i);
        eval_loop(e, i, end);
        i = end;
        break;
      }
      case RPI_IR_CAST: e->val[i] = eval_cast(ta, n->dtype, a); break;
      case RPI_IR_SELECT: e->val[i] = e->val[rpi_ir_src(ir, n, a.i != 0 ? 1 : 2)]; break;
      default:
        e->val[i] = n->n_src == 1 ? eval_one(n->op, ta, a)
                                  : eval_two(n->op, ta, a, e->val[rpi_ir_src(ir, n, 1)]);
        e->val[i] = eval_fix(n->dtype, e->val[i]);
    }
  }
}

/* What jit/ir.h says of the masks of reductions: all have the last axis, or all are one prefix. */
static inline void eval_check_masks(const rpi_ir *ir) {
  for (int32_t r = 0; r < ir->n_red; r++) {
    int32_t mask = ir->red[r].mask, first = ir->red[0].mask, last = 1 << (ir->rank - 1);
    assert_true(mask > 0 && mask < 2 * last);
    assert_int_equal((mask & last) != 0, (first & last) != 0);
    if ((mask & last) == 0) {
      assert_int_equal(mask, first);
      assert_int_equal(mask & (mask + 1), 0);
    }
  }
}

/* Runs the body on args; cells[i] is the buffer of store i and is updated. true if an index of a
 * gather was out of range. A failing call fails the test. */
static inline bool eval_body(rpi_body *b, const rpi_body_arg *args, const cell *scalar,
                             cell **cells) {
  static evaluation e;
  const rpi_variant *v = NULL;
  memset(&e, 0, sizeof e);
  if (rpi_body_variant(b, args, &v) != RP_OK) fail_msg("%s", rpi_status_message());
  if (rpi_ir_check(&v->ir) != RP_OK) fail_msg("%s", rpi_status_message());
  e.ir = &v->ir;
  eval_check_masks(e.ir);
  e.place.operand = e.box;
  e.place.extent_param = e.extent_param;
  e.scalar = scalar;
  assert_in_range(e.ir->n_ins, 1, EVAL_MAX);
  assert_in_range(e.ir->n_operand, 1, 64);
  if (rpi_variant_place(v, args, &e.place) != RP_OK) fail_msg("%s", rpi_status_message());
  assert_int_equal(e.place.rank, e.ir->rank);
  int64_t n = 1;
  for (int32_t d = 0; d < e.place.rank; d++) n *= e.place.extent[d];
  for (int32_t i = 0; i < rpi_body_n_stores(b); i++) {
    e.now[i] = cells[i];
    e.next[i] = malloc(EVAL_CELLS * sizeof(cell));
    memcpy(e.next[i], cells[i], EVAL_CELLS * sizeof(cell));
  }
  for (int32_t o = 0; o < e.ir->n_operand; o++) {
    e.arg[o] = v->operand[o].arg;
    if (e.ir->operand[o].kind != RPI_OPERAND_AFFINE) continue;
    assert_int_equal(e.box[o].ndim, e.place.rank);
    for (int32_t d = 0; d < e.place.rank; d++) {
      assert_int_equal(e.box[o].shape[d], e.place.extent[d]);
    }
  }
  for (int64_t p = 0; p < n; p++) {
    int64_t rest = p;
    for (int32_t d = e.place.rank - 1; d >= 0; d--) {
      e.index[d] = rest % e.place.extent[d];
      rest /= e.place.extent[d];
    }
    eval_run(&e, 0, e.ir->n_ins);
  }
  for (int32_t i = 0; i < rpi_body_n_stores(b); i++) {
    memcpy(cells[i], e.next[i], EVAL_CELLS * sizeof(cell));
    free(e.next[i]);
  }
  return e.clamped;
}

#endif
