/* SPDX-License-Identifier: Apache-2.0
 * tests/support/ir_random.h -- random valid kernel IRs, for round trips and for passes.
 * Not here: running them (ir_eval.h). Deterministic: everything follows from the seed.
 * Written operands have a stride on every axis, so that points stay independent; constants lean
 * towards 0, 1, -1 and the special floats, and sources towards recent values, so that folding and
 * sharing find work. */
#ifndef RPT_IR_RANDOM_H
#define RPT_IR_RANDOM_H

#include "core/model/dtype.h"
#include "jit/ir.h"
#include "jit/ir_value.h"

typedef struct ir_random {
  uint64_t state;
  rpi_ir *ir;
  rpi_irval visible[512];
  int32_t n_visible;
  int32_t n_plain; /* operands [0, n_plain) are affine and read */
} ir_random;

static inline uint64_t ir_random_next(ir_random *g) {
  g->state ^= g->state << 13;
  g->state ^= g->state >> 7;
  g->state ^= g->state << 17;
  return g->state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static inline int32_t ir_random_below(ir_random *g, int32_t n) {
  return (int32_t)(ir_random_next(g) % (uint64_t)n);
}

static inline uint64_t ir_random_bits(ir_random *g, rp_dtype t) {
  static const double real[] = {0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -3.75, 1e300, 1e-310, 0.1};
  if (rpi_dtype_kind(t) == RPI_KIND_F) {
    int32_t n = ir_random_below(g, 13);
    double v = n < 10 ? real[n] : n == 10 ? __builtin_nan("") : n == 11 ? __builtin_inf() : 7.0;
    return rpi_ir_value_cast(RP_F64, t, rpi_ir_value_of_f64(v));
  }
  uint64_t v = ir_random_below(g, 3) ? (uint64_t)(int64_t)(ir_random_below(g, 5) - 2)
                                     : ir_random_next(g) << ir_random_below(g, 32);
  return rpi_ir_value_cast(RP_I64, t, v);
}

static inline rpi_irval ir_random_keep(ir_random *g, rpi_irval v) {
  if (g->n_visible < 512) g->visible[g->n_visible++] = v;
  return v;
}

static inline rpi_irval ir_random_const(ir_random *g, rp_dtype t) {
  return ir_random_keep(g, rpi_ir_emit(g->ir, RPI_IR_CONST, t, ir_random_bits(g, t), 0, NULL));
}

/* A visible value of the dtype; a cast or a constant where there is none. */
static inline rpi_irval ir_random_pick(ir_random *g, rp_dtype t) {
  for (int32_t tries = 0; tries < 24 && g->n_visible > 0; tries++) {
    int32_t span = tries < 8 && g->n_visible > 12 ? 12 : g->n_visible;
    rpi_irval v = g->visible[g->n_visible - 1 - ir_random_below(g, span)];
    if (g->ir->ins[v].dtype == t) return v;
    if (tries > 8 && ir_random_below(g, 4) == 0) {
      return ir_random_keep(g, rpi_ir_emit1(g->ir, RPI_IR_CAST, t, v));
    }
  }
  return ir_random_const(g, t);
}

static inline void ir_random_compute(ir_random *g) {
  rpi_irop op;
  rp_dtype t;
  rpi_irval src[3] = {0};
  do {
    op = (rpi_irop)(RPI_IR_CAST + ir_random_below(g, RPI_IR_N_OPS - RPI_IR_CAST));
    if (rpi_ir_op_class(op) == 'M' && ir_random_below(g, 4)) op = RPI_IR_MUL;
    t = ir_random_below(g, 3) ? RP_F64 - ir_random_below(g, 2) : ir_random_below(g, RPI_N_DTYPE);
  } while (op != RPI_IR_SELECT && !rpi_ir_op_takes(op, t));
  int32_t n = rpi_ir_op_n_src(op);
  for (int32_t s = 0; s < n; s++) {
    src[s] = ir_random_pick(g, op == RPI_IR_SELECT && s == 0 ? RP_BOOL : t);
  }
  rp_dtype to = rpi_ir_op_result(op) == 'B' ? RP_BOOL : t;
  if (op == RPI_IR_CAST) to = ir_random_below(g, RPI_N_DTYPE);
  ir_random_keep(g, rpi_ir_emit(g->ir, op, to, 0, n, src));
}

static inline void ir_random_step(ir_random *g, bool body) {
  rpi_ir *ir = g->ir;
  int32_t what = ir_random_below(g, 12);
  if (what == 0) {
    int32_t n = ir_random_below(g, ir->n_scalar);
    ir_random_keep(g, rpi_ir_emit(ir, RPI_IR_SCALAR, ir->scalar[n], (uint64_t)n, 0, NULL));
  } else if (what == 1) {
    bool index = body && ir_random_below(g, 2);
    int32_t n = ir_random_below(g, index ? ir->rank : ir->n_extent);
    rpi_irop op = index ? RPI_IR_INDEX : RPI_IR_EXTENT;
    ir_random_keep(g, rpi_ir_emit(ir, op, RP_I64, (uint64_t)n, 0, NULL));
  } else if (what == 2) {
    ir_random_const(g, ir_random_below(g, RPI_N_DTYPE));
  } else if (what <= 4 && body) {
    int32_t o = ir_random_below(g, g->n_plain + 1);
    rpi_irval at[2] = {0};
    if (ir->operand[o].kind == RPI_OPERAND_TABLE) {
      for (int32_t s = 0; s < 2; s++) at[s] = ir_random_pick(g, RP_I64);
      ir_random_keep(g, rpi_ir_emit(ir, RPI_IR_GATHER, ir->operand[o].dtype, (uint64_t)o, 2, at));
    } else {
      ir_random_keep(g, rpi_ir_emit(ir, RPI_IR_LOAD, ir->operand[o].dtype, (uint64_t)o, 0, NULL));
    }
  } else {
    ir_random_compute(g);
  }
}

static inline void ir_random_loop(ir_random *g, int32_t depth) {
  rpi_irval bounds[2] = {rpi_ir_const_i64(g->ir, RP_I64, 0), ir_random_pick(g, RP_I64)};
  int32_t before = g->n_visible;
  ir_random_keep(
      g, rpi_ir_emit(g->ir, RPI_IR_LOOP, RP_I64, (uint64_t)ir_random_below(g, 3), 2, bounds));
  for (int32_t n = 2 + ir_random_below(g, 6); n > 0; n--) {
    if (depth < 2 && ir_random_below(g, 8) == 0)
      ir_random_loop(g, depth + 1);
    else
      ir_random_step(g, true);
  }
  static const rpi_redop op[] = {RPI_RED_SUM,  RPI_RED_MIN,    RPI_RED_MAX,
                                 RPI_RED_PROD, RPI_RED_ARGMIN, RPI_RED_ARGMAX};
  rpi_redop red = op[ir_random_below(g, 6)];
  rpi_irval element = ir_random_pick(g, RP_F64);
  g->n_visible = before; /* what the loop made is gone */
  rp_dtype t = red >= RPI_RED_ARGMIN ? RP_I64 : RP_F64;
  ir_random_keep(g, rpi_ir_emit(g->ir, RPI_IR_ENDLOOP, t, (uint64_t)red, 1, &element));
}

static inline void ir_random_tables(ir_random *g) {
  rpi_ir *ir = g->ir;
  int32_t rank = ir->rank;
  g->n_plain = 3 + ir_random_below(g, 4);
  for (int32_t o = 0; o < g->n_plain; o++) {
    rpi_ir_operand p = {.dtype = (uint8_t)ir_random_below(g, RPI_N_DTYPE),
                        .rank = (uint8_t)rank,
                        .access = RPI_ACCESS_READ};
    for (int32_t d = 0; d < rank && o > 0; d++) p.sclass[d] = (uint8_t)(2 * ir_random_below(g, 2));
    if (o > 1) p.sclass[rank - 1] = (uint8_t)ir_random_below(g, 3);
    rpi_ir_operand_add(ir, &p);
  }
  rpi_ir_operand_add(ir, &(rpi_ir_operand){.dtype = RP_F64,
                                           .kind = RPI_OPERAND_TABLE,
                                           .rank = 2,
                                           .access = RPI_ACCESS_READ,
                                           .checked = 1,
                                           .sclass = {RPI_STRIDE_ANY, RPI_STRIDE_UNIT}});
  for (int32_t n = 0; n < 3; n++) rpi_ir_scalar_add(ir, ir_random_below(g, RPI_N_DTYPE));
  ir->n_extent = 2;
}

/* Fills an initialised IR with 20 to 120 instructions and an operand to store each few values to. */
static inline void ir_random_make(rpi_ir *ir, uint64_t seed) {
  ir_random g = {.state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1, .ir = ir};
  for (int32_t i = 0; i < 4; i++) ir_random_next(&g);
  rpi_ir_init(ir, 1 + ir_random_below(&g, 3));
  ir_random_tables(&g);
  for (int32_t n = ir_random_below(&g, 6); n > 0; n--) ir_random_step(&g, false);
  /* Operand 0 has no stride at all: a scalar in memory. */
  ir_random_keep(&g, rpi_ir_emit(ir, RPI_IR_LOAD, ir->operand[0].dtype, 0, 0, NULL));
  ir->n_pro = ir->n_ins;
  int32_t n_pro_visible = g.n_visible;
  for (int32_t n = 10 + ir_random_below(&g, 40); n > 0; n--) {
    int32_t what = ir_random_below(&g, 10);
    if (what == 0) {
      ir_random_loop(&g, 0);
    } else if (what < 3) {
      rpi_irval v = g.visible[g.n_visible - 1 - ir_random_below(&g, g.n_visible / 2 + 1)];
      rpi_ir_operand p = {.dtype = ir->ins[v].dtype,
                          .rank = (uint8_t)ir->rank,
                          .access = RPI_ACCESS_READ | RPI_ACCESS_WRITE};
      for (int32_t d = 0; d < ir->rank; d++) p.sclass[d] = RPI_STRIDE_ANY;
      uint64_t o = (uint64_t)rpi_ir_operand_add(ir, &p);
      if (ir_random_below(&g, 2)) {
        ir_random_keep(&g, rpi_ir_emit(ir, RPI_IR_LOAD, p.dtype, o, 0, NULL));
      }
      rpi_ir_emit(ir, RPI_IR_STORE, p.dtype, o, 1, &v);
      ir_random_keep(&g, rpi_ir_emit(ir, RPI_IR_LOAD, p.dtype, o, 0, NULL));
    } else {
      ir_random_step(&g, true);
    }
  }
  /* Reductions over everything, then an epilogue on what they left. */
  int32_t first = ir->n_operand;
  for (int32_t n = 0; n < 2; n++) {
    rpi_irval v = ir_random_pick(&g, RP_F64);
    rpi_ir_operand p = {.dtype = RP_F64,
                        .rank = (uint8_t)ir->rank,
                        .access = RPI_ACCESS_READ | RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE};
    rpi_ir_red r = {.operand = (uint16_t)rpi_ir_operand_add(ir, &p),
                    .op = (uint8_t)(n ? RPI_RED_MAX : RPI_RED_SUM),
                    .join = (uint8_t)ir_random_below(&g, 2),
                    .mask = (uint8_t)((1 << ir->rank) - 1)};
    uint64_t red = (uint64_t)rpi_ir_red_add(ir, &r);
    rpi_ir_emit(ir, RPI_IR_REDUCE, RP_F64, red, 1, &v);
  }
  ir->n_body = ir->n_ins;
  g.n_visible = n_pro_visible;
  for (int32_t n = 0; n < 2; n++) {
    uint64_t o = (uint64_t)(first + n);
    ir_random_keep(&g, rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, o, 0, NULL));
    for (int32_t i = 0; i < 4; i++) ir_random_compute(&g);
    rpi_irval v = ir_random_pick(&g, RP_F64);
    rpi_ir_emit(ir, RPI_IR_STORE, RP_F64, o, 1, &v);
  }
  for (int32_t i = 0; i < ir->n_ins; i++) ir->ins[i].origin = (uint8_t)ir_random_below(&g, 4);
}

#endif
