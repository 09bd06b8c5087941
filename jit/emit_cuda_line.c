/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_cuda_line.c -- the lines of a point, as a CUDA thread computes it.
 *
 * Lives here: loads, gathers and stores of a thread, whole or lane by lane; a point's instructions in order.
 * Not here:   arithmetic (emit_c_line.c, for both texts), loops over points (emit_cuda_body.c).
 * How:        each instruction is written once for each lane. At the ragged end of a row absent lanes repeat the thread's
 *             first column: they have its values, raise no flag that it would not raise, and neither store nor
 *             count. Loads of neighbours that may come first do so together, so that all are on their way before one
 *             is waited for, and a point tests for the ragged end once. Of a column that is there all lanes are at a
 *             distance from the first that the compiler knows: one address in registers serves all of an operand.
 * Invariants: a lane's loads and stores keep the order of the IR. A load is through RPG_LDG only if no store of
 *             the kernel can be to the same elements: then another dtype or other strides are written. */
#include <stdio.h>
#include <string.h>

#include "core/model/dtype.h"
#include "jit/emit_cuda_impl.h"

/* Loads of neighbours at the head of a point, and registers for what they bring, beside wide indices and others: more would
 * not be held, but go to memory and back. */
enum { FIRST_LOADS = 16, FIRST_WIDE = 28, FIRST_NARROW = 36 };

static int32_t last_class(const rpi_emit *e, int32_t o) {
  return e->ir->operand[o].sclass[e->ir->rank - 1];
}

/* A load or store of neighbours in memory, and one that may be whole. */
static bool is_near(const rpi_emit *e, int32_t i) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  return (ins->op == RPI_IR_LOAD || ins->op == RPI_IR_STORE) && e->lanes > 1 &&
         last_class(e, (int32_t)ins->imm) == RPI_STRIDE_UNIT;
}

static bool is_whole(const rpi_emit *e, int32_t i) {
  const uint64_t o = e->ir->ins[i].imm;
  return is_near(e, i) && o < 64 && (e->aligned >> o & 1);
}

/* May something in the kernel be written where operand o lies? */
static bool is_written(const rpi_ir *ir, int32_t o) {
  const rpi_ir_operand *a = &ir->operand[o];
  if (a->access != RPI_ACCESS_READ) return true;
  for (int32_t w = 0; w < ir->n_operand && a->kind == RPI_OPERAND_AFFINE; w++) {
    const rpi_ir_operand *b = &ir->operand[w];
    if (b->access != RPI_ACCESS_READ && b->dtype == a->dtype &&
        memcmp(a->sclass, b->sclass, sizeof a->sclass) == 0)
      return true;
  }
  return false;
}

/* Where operand o is at the lane's column, which is there if its elements are neighbours. */
static void add_place(const rpi_emit *e, char *buf, int32_t o) {
  const int32_t sclass = last_class(e, o);
  rpi_emit_add(buf, "q%d", o);
  if (sclass == RPI_STRIDE_ZERO) return;
  if (sclass == RPI_STRIDE_UNIT && e->lane > 0) {
    rpi_emit_add(buf, " + c + %d", e->lane);
    return;
  }
  rpi_emit_add(buf, " + c");
  if (e->lanes > 1) rpi_emit_add(buf, "_%d", e->lane);
  if (sclass == RPI_STRIDE_ANY) rpi_emit_add(buf, " * p%d_s%d", o, e->ir->rank - 1);
}

static void add_read(const rpi_emit *e, char *buf, int32_t o) {
  const bool fixed = !is_written(e->ir, o);
  rpi_emit_add(buf, fixed ? "RPG_LDG(" : "*(");
  add_place(e, buf, o);
  rpi_emit_add(buf, ")");
}

void rpi_emit_thread_load(const rpi_emit *e, int32_t i, char *buf) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const int32_t early = rpi_cuda_early(e, (int32_t)ins->imm, e->ir->n_pro);
  if (e->guarded && early < 0) rpi_emit_add(buf, "!in ? (%s)0 : ", rpi_emit_ctype(ins->dtype));
  if (early >= 0)
    rpi_emit_add(buf, "s%d", early);
  else if (is_near(e, i))
    rpi_emit_add(buf, "m%d.v[%d]", i, e->lane);
  else
    add_read(e, buf, (int32_t)ins->imm);
  if (ins->dtype == RP_BOOL) rpi_emit_add(buf, " != 0");
  if (e->lane == 0) rpi_emit_add(buf, " /* operand %d, task %d */", (int)ins->imm, ins->origin);
}

void rpi_emit_thread_gather(rpi_emit *e, int32_t i, char *buf) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const int32_t o = (int32_t)ins->imm;
  const rpi_ir_operand *op = &e->ir->operand[o];
  if (e->guarded) rpi_emit_add(buf, "!in ? (%s)0 : ", rpi_emit_ctype(op->dtype));
  if (op->checked) rpi_emit_add(buf, "p%d_empty ? (%s)0 : ", o, rpi_emit_ctype(op->dtype));
  rpi_emit_add(buf, "RPG_LDG(p%d", o);
  for (int32_t d = 0; d < ins->n_src; d++) {
    char index[48] = "";
    rpi_emit_add_name(e, index, rpi_ir_src(e->ir, ins, d), RPI_EMIT_THREAD);
    if (op->checked) {
      rpi_emit_line(e, "const int64_t g%d_%d_%d = rpk_clamp(%s%s, p%d_n%d, &bad);", i, d, e->lane,
                    e->guarded ? "!in ? 0 : " : "", index, o, d);
      snprintf(index, sizeof index, "g%d_%d_%d", i, d, e->lane);
    }
    rpi_emit_add(buf, " + (%s)%s", e->index, index);
    if (op->sclass[d] != RPI_STRIDE_UNIT) rpi_emit_add(buf, " * p%d_s%d", o, d);
  }
  rpi_emit_add(buf, ")%s", ins->dtype == RP_BOOL ? " != 0" : "");
}

/* ---- whole loads and stores */

static void emit_vector(rpi_emit *e, int32_t i) {
  rpi_emit_line(e, "rpk_%s_%d m%d;", rpi_dtype_name(e->ir->ins[i].dtype), e->lanes, i);
}

/* All lanes are there: at once, or one after another. */
static void emit_whole_load(rpi_emit *e, int32_t i) {
  const int32_t o = (int32_t)e->ir->ins[i].imm;
  if (is_whole(e, i)) {
    rpi_emit_line(e, "m%d = *(const rpk_%s_%d *)(q%d + c);", i, rpi_dtype_name(e->ir->ins[i].dtype),
                  e->lanes, o);
    return;
  }
  for (e->lane = 0; e->lane < e->lanes; e->lane++) {
    char buf[RPI_EMIT_EXPR] = "";
    add_read(e, buf, o);
    rpi_emit_line(e, "m%d.v[%d] = %s;", i, e->lane, buf);
  }
}

static void emit_ragged_load(rpi_emit *e, int32_t i) {
  for (e->lane = 0; e->lane < e->lanes; e->lane++) {
    char buf[RPI_EMIT_EXPR] = "";
    if (e->lane > 0) rpi_emit_add(buf, "!in_%d ? m%d.v[0] : ", e->lane, i);
    add_read(e, buf, (int32_t)e->ir->ins[i].imm);
    rpi_emit_line(e, "m%d.v[%d] = %s;", i, e->lane, buf);
  }
}

/* The loads in `list`, whole if all lanes are there. */
static void emit_loads(rpi_emit *e, const int32_t *list, int32_t n) {
  for (int32_t k = 0; k < n; k++) emit_vector(e, list[k]);
  if (n == 1 && !is_whole(e, list[0])) { /* no two forms are worth a branch */
    emit_ragged_load(e, list[0]);
    return;
  }
  rpi_emit_open(e, "if (whole) {");
  for (int32_t k = 0; k < n; k++) emit_whole_load(e, list[k]);
  e->indent--;
  rpi_emit_open(e, "} else {");
  for (int32_t k = 0; k < n; k++) emit_ragged_load(e, list[k]);
  rpi_emit_close(e);
}

static void emit_store(rpi_emit *e, int32_t i) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const int32_t o = (int32_t)ins->imm;
  char value[RPI_EMIT_EXPR] = "", place[96];
  if (is_whole(e, i)) {
    for (e->lane = 0; e->lane < e->lanes; e->lane++) {
      if (e->lane) rpi_emit_add(value, ", ");
      rpi_emit_add_name(e, value, rpi_ir_src(e->ir, ins, 0), RPI_EMIT_THREAD);
    }
    rpi_emit_open(e, "if (whole) {");
    rpi_emit_line(e, "const rpk_%s_%d m%d = {{%s}};", rpi_dtype_name(ins->dtype), e->lanes, i,
                  value);
    rpi_emit_line(e, "*(rpk_%s_%d *)(q%d + c) = m%d; /* operand %d, task %d */",
                  rpi_dtype_name(ins->dtype), e->lanes, o, i, o, ins->origin);
    e->indent--;
    rpi_emit_open(e, "} else {");
  }
  for (e->lane = 0; e->lane < e->lanes; e->lane++) {
    value[0] = place[0] = '\0';
    add_place(e, place, o);
    rpi_emit_add_name(e, value, rpi_ir_src(e->ir, ins, 0), RPI_EMIT_THREAD);
    if (e->lane == 0)
      rpi_emit_line(e, "%s*(%s) = %s; /* operand %d, task %d */", e->guarded ? "if (in) " : "",
                    place, value, o, ins->origin);
    else
      rpi_emit_line(e, "if (in_%d) *(%s) = %s;", e->lane, place, value);
  }
  if (is_whole(e, i)) rpi_emit_close(e);
}

/* An element joins its accumulator; of a warp's leaf, the one of its column's parity or, one lane at a time, the turn's. */
static void emit_reduce(rpi_emit *e, int32_t i) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const int32_t r = (int32_t)ins->imm;
  const char *t = rpi_dtype_name(ins->dtype), *op = rpi_emit_red_name(&e->ir->red[r]);
  for (e->lane = 0; e->lane < e->lanes; e->lane++) {
    char v[32] = "", only[32] = "";
    rpi_emit_add_name(e, v, rpi_ir_src(e->ir, ins, 0), RPI_EMIT_THREAD);
    if (e->row_mode) {
      rpi_emit_line(e, "%sa%d = rps_red_%s_%s(a%d, %s);", e->guarded ? "if (in) " : "", r, op, t, r,
                    v);
      continue;
    }
    if (e->spread) rpi_emit_cuda_term(e, r, v);
    if (e->lanes == 1)
      snprintf(only, sizeof only, "if (in && !spread && !turn) ");
    else if (e->lane > 0)
      snprintf(only, sizeof only, "if (in_%d) ", e->lane);
    rpi_emit_line(e, "%sa%d_%d = rps_red_%s_%s(a%d_%d, %s);", only, r, e->lane, op, t, r, e->lane,
                  v);
    if (e->lanes == 1)
      rpi_emit_line(e, "if (in && !spread && turn) a%d_1 = rps_red_%s_%s(a%d_1, %s);", r, op, t, r,
                    v);
  }
}

/* ---- a point */

static int32_t first_loads(const rpi_emit *e, int32_t *list) {
  int32_t n = 0, left = e->wide ? FIRST_WIDE : FIRST_NARROW;
  for (int32_t i = e->ir->n_pro; i < e->ir->n_body && n < FIRST_LOADS; i++) {
    const rpi_ir_ins *ins = &e->ir->ins[i];
    if (ins->op == RPI_IR_STORE) break;
    if (ins->op != RPI_IR_LOAD || !is_near(e, i)) continue;
    left -= e->lanes * (rpi_dtype_size(ins->dtype) > 4 ? 2 : 1);
    if (left < 0) break;
    list[n++] = i;
  }
  return n;
}

static void emit_columns(rpi_emit *e, const char *limit) {
  const int32_t v = e->lanes;
  if (v == 1) return;
  rpi_emit_line(e, "const %s c_0 = c;", e->index);
  for (int32_t j = 1; j < v; j++) {
    rpi_emit_line(e, "const int in_%d = c + %d < %s;", j, j, limit);
    rpi_emit_line(e, "const %s c_%d = in_%d ? c + %d : c;", e->index, j, j, j);
  }
  rpi_emit_line(e, "const int whole = in_%d;", v - 1);
  rpi_emit_line(e, "(void)c_0, (void)whole;");
}

void rpi_emit_thread_point(rpi_emit *e, const char *limit) {
  const rpi_ir *ir = e->ir;
  int32_t list[FIRST_LOADS];
  const int32_t n = first_loads(e, list);
  int32_t next = 0;
  emit_columns(e, limit);
  e->guarded = e->teams;
  if (n > 0) emit_loads(e, list, n);
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    switch (ir->ins[i].op) {
      case RPI_IR_LOOP:
        if (rpi_emit_is_team(e, i))
          rpi_emit_team_loop(e, i);
        else
          rpi_emit_loop(e, i, RPI_EMIT_THREAD);
        i = e->end[i];
        break;
      case RPI_IR_STORE: emit_store(e, i); break;
      case RPI_IR_REDUCE: emit_reduce(e, i); break;
      default:
        if (next < n && list[next] == i)
          next++;
        else if (is_near(e, i))
          emit_loads(e, &i, 1);
        for (e->lane = 0; e->lane < e->lanes; e->lane++) rpi_emit_value(e, i, RPI_EMIT_THREAD);
        break;
    }
    e->lane = 0;
  }
  e->guarded = false;
}
