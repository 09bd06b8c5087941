/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_c_stage.c -- the column loops of each stage of a leaf.
 *
 * Lives here: full vectors, the padded last one, accumulators, slots between stages, stores past the
 *             caches.
 * Not here:   the lines inside the loops (emit_c_line.c, emit_c_loop.c), the loops over units and rows
 *             (emit_c_body.c).
 * How:        full vectors run in one loop; what is left is one padded vector with its first m lanes in
 *             use, so bits never depend on sizes. A leaf's 64 accumulators are 64/W vectors. A short
 *             body is written out once for each of them, so that they can stay in registers (1.2x on
 *             data in L2). With several reductions and no store, accumulators stay in memory and blocks
 *             of four rows of 64 columns share their loads and stores; otherwise columns are taken
 *             in order: going through a leaf by groups of accumulators costs 1.7x on data in DRAM.
 *             Large launches write what they do not read past the caches. */
#include "jit/emit_c_impl.h"

#include <stdio.h>

#include "core/model/dtype.h"

enum { SHORT_BODY = 12, BLOCK_BODY = 24, ROWS_AT_ONCE = 4 };
enum { STREAM_BYTES = 48 << 20 /* more than a usual L3 */, STREAM_COLUMNS = 64 };

/* Accumulates value v; `group` >= 0: into the register accumulator of that number. */
static void emit_reduce(rpi_emit *e, int32_t i, rpi_emit_place where, int32_t group) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const int32_t r = (int32_t)ins->imm, v = rpi_ir_src(e->ir, ins, 0);
  const char *t = rpi_dtype_name(ins->dtype), *op = rpi_emit_red_name(&e->ir->red[r]);
  if (e->row_mode) {
    const bool tail = where == RPI_EMIT_TAIL;
    const char *m = tail ? ", m" : "";
    rpi_emit_line(e, "%s_%s(z%d + c, rpv_red_%s_%s(%s_%s(z%d + c%s), v%d)%s);",
                  tail ? "rpk_storen" : "rpv_store", t, r, op, t, tail ? "rpk_loadn" : "rpv_load",
                  t, r, m, v, m);
  } else if (where == RPI_EMIT_TAIL) {
    rpi_emit_line(e, "acc%d[j] = rpv_select_%s(in, rpv_red_%s_%s(acc%d[j], v%d), acc%d[j]);", r, t,
                  op, t, r, v, r);
  } else if (group >= 0) {
    rpi_emit_line(e, "a%d_%d = rpv_red_%s_%s(a%d_%d, v%d);", r, group, op, t, r, group, v);
  } else {
    rpi_emit_line(e, "acc%d[j] = rpv_red_%s_%s(acc%d[j], v%d);", r, op, t, r, v);
  }
}

/* A value of another stage, from its slot; or a value of this one, into its slot. */
static void emit_slot(rpi_emit *e, int32_t i, rpi_emit_place where, bool write) {
  const char *t = rpi_dtype_name(e->ir->ins[i].dtype);
  const bool truth = e->ir->ins[i].dtype == RP_BOOL;
  if (where == RPI_EMIT_POINT) {
    if (write)
      rpi_emit_line(e, "x%d[c] = s%d;", i, i);
    else
      rpi_emit_line(e, "const %s s%d = x%d[c]%s;", rpi_emit_ctype(e->ir->ins[i].dtype), i, i,
                    truth ? " != 0" : "");
  } else if (write) {
    rpi_emit_line(e,
                  where == RPI_EMIT_TAIL ? "rpk_storen_%s(x%d + c, v%d, m);"
                                         : "rpv_store_%s(x%d + c, v%d);",
                  t, i, i);
  } else {
    rpi_emit_line(e,
                  where == RPI_EMIT_TAIL ? "const rpv_%s v%d = rpk_loadn_%s(x%d + c, m);"
                                         : "const rpv_%s v%d = rpv_load_%s(x%d + c);",
                  t, i, t, i);
  }
}

/* The values of a stage, at column c. */
static void emit_values(rpi_emit *e, int32_t stage, rpi_emit_place where, int32_t group) {
  const rpi_ir *ir = e->ir;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    if (!rpi_emit_marked(e, stage, i)) continue;
    const bool here = e->stage[i] == stage;
    if (e->slot[i] >= 0 && !here)
      emit_slot(e, i, where, false);
    else if (ir->ins[i].op == RPI_IR_STORE)
      rpi_emit_store(e, i, where);
    else if (ir->ins[i].op == RPI_IR_REDUCE)
      emit_reduce(e, i, where, group);
    else
      rpi_emit_value(e, i, where);
    if (e->slot[i] >= 0 && here) emit_slot(e, i, where, true);
  }
}

/* Does this stage hold chains of calls, too long to overlap with the next vector's? */
static bool wants_twins(const rpi_emit *e, int32_t stage) {
  const rpi_ir *ir = e->ir;
  int32_t calls = 0;
  if (ir->n_red > 0 || e->n_stage != 1) return false;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    if (!rpi_emit_marked(e, stage, i)) continue;
    if (ir->ins[i].op == RPI_IR_GATHER) return false;
    calls += rpi_ir_op_class((rpi_irop)ir->ins[i].op) == 'M';
  }
  return calls > 0;
}

/* Two vectors at once, line by line: where calls part the code, the processor does not see the next
 * vector in time, and the latencies of one chain add up. */
static void emit_twins(rpi_emit *e, int32_t stage) {
  const rpi_ir *ir = e->ir;
  const int32_t w = e->lanes;
  rpi_emit_open(e, "for (; c + %d <= n; c += %d) {", 2 * w, 2 * w);
  rpi_emit_line(e, "const int64_t c1 = c + %d;", w);
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    if (!rpi_emit_marked(e, stage, i)) continue;
    for (int32_t k = 0; k < 2; k++) {
      e->twin = k > 0;
      if (ir->ins[i].op == RPI_IR_STORE)
        rpi_emit_store(e, i, RPI_EMIT_FULL);
      else
        rpi_emit_value(e, i, RPI_EMIT_FULL);
    }
  }
  e->twin = false;
  rpi_emit_close(e);
}

static bool stage_reduces(const rpi_emit *e, int32_t stage) {
  for (int32_t i = e->ir->n_pro; i < e->ir->n_body; i++) {
    if (e->ir->ins[i].op == RPI_IR_REDUCE && e->stage[i] == stage) return true;
  }
  return false;
}

static bool stage_stores(const rpi_emit *e, int32_t stage) {
  for (int32_t i = e->ir->n_pro; i < e->ir->n_body; i++) {
    if (e->ir->ins[i].op == RPI_IR_STORE && e->stage[i] == stage) return true;
  }
  return false;
}

static int32_t stage_size(const rpi_emit *e, int32_t stage) {
  int32_t n = 0;
  for (int32_t i = e->ir->n_pro; i < e->ir->n_body; i++) n += rpi_emit_marked(e, stage, i);
  return n;
}

/* Whole strides of 64 columns. */
static void emit_strides(rpi_emit *e, int32_t stage, bool registers) {
  const rpi_ir *ir = e->ir;
  const int32_t w = e->lanes, n = RPI_ACCUMULATORS / w;
  for (int32_t r = 0; registers && r < ir->n_red; r++) {
    for (int32_t k = 0; k < n; k++) {
      rpi_emit_line(e, "rpv_%s a%d_%d = acc%d[%d];", rpi_dtype_name(rpi_emit_red_dtype(e, r)), r, k,
                    r, k);
    }
  }
  rpi_emit_open(e, "for (; c + %d <= n; c += %d) {", RPI_ACCUMULATORS, RPI_ACCUMULATORS);
  rpi_emit_line(e, "const int64_t b = c;");
  if (registers) {
    for (int32_t k = 0; k < n; k++) {
      rpi_emit_open(e, "{");
      rpi_emit_line(e, "const int64_t c = b + %d;", k * w);
      emit_values(e, stage, RPI_EMIT_FULL, k);
      rpi_emit_close(e);
    }
  } else {
    rpi_emit_open(e, "for (int64_t j = 0; j < %d; j++) {", n);
    rpi_emit_line(e, "const int64_t c = b + j * %d;", w);
    emit_values(e, stage, RPI_EMIT_FULL, -1);
    rpi_emit_close(e);
  }
  rpi_emit_close(e);
  for (int32_t r = 0; registers && r < ir->n_red; r++) {
    for (int32_t k = 0; k < n; k++) rpi_emit_line(e, "acc%d[%d] = a%d_%d;", r, k, r, k);
  }
}

/* The lines of the next block of rows that iteration j of this one fetches, for all that is read. */
static void emit_prefetch(rpi_emit *e, int32_t stage) {
  const rpi_ir *ir = e->ir;
  for (int32_t o = 0; o < ir->n_operand; o++) {
    const rpi_ir_operand *op = &ir->operand[o];
    bool used = false;
    for (int32_t i = ir->n_pro; i < ir->n_body && !used; i++)
      used = ir->ins[i].op == RPI_IR_LOAD && ir->ins[i].imm == (uint64_t)o &&
             rpi_emit_marked(e, stage, i);
    if (!used || op->sclass[ir->rank - 1] != RPI_STRIDE_UNIT) continue;
    const int32_t line = 64 / rpi_dtype_size(op->dtype), n = ROWS_AT_ONCE * e->lanes / line;
    for (int32_t k = 0; k < (n ? n : 1); k++) {
      rpi_emit_line(e, "__builtin_prefetch(q%d + b + j * %d + %d);", o, ROWS_AT_ONCE * e->lanes,
                    ROWS_AT_ONCE * RPI_ACCUMULATORS + k * line);
    }
  }
}

/* Blocks of a few rows of 64 columns: an accumulator that lives in memory is read and written once
 * for all of them. The hardware prefetcher does not follow several rows, so they are fetched in
 * order one block ahead. Not with stores: 1.3x on data in DRAM. */
static void emit_blocks(rpi_emit *e, int32_t stage) {
  const rpi_ir *ir = e->ir;
  const int32_t w = e->lanes, n = RPI_ACCUMULATORS / w, all = ROWS_AT_ONCE * RPI_ACCUMULATORS;
  rpi_emit_open(e, "for (; c + %d <= n; c += %d) {", all, all);
  rpi_emit_line(e, "const int64_t b = c;");
  rpi_emit_open(e, "for (int64_t j = 0; j < %d; j++) {", n);
  emit_prefetch(e, stage);
  for (int32_t r = 0; r < ir->n_red; r++)
    rpi_emit_line(e, "rpv_%s a%d_0 = acc%d[j];", rpi_dtype_name(rpi_emit_red_dtype(e, r)), r, r);
  for (int32_t k = 0; k < ROWS_AT_ONCE; k++) {
    rpi_emit_open(e, "{");
    rpi_emit_line(e, "const int64_t c = b + j * %d + %d;", w, k * RPI_ACCUMULATORS);
    emit_values(e, stage, RPI_EMIT_FULL, 0);
    rpi_emit_close(e);
  }
  for (int32_t r = 0; r < ir->n_red; r++) rpi_emit_line(e, "acc%d[j] = a%d_0;", r, r);
  rpi_emit_close(e);
  rpi_emit_close(e);
}

int32_t rpi_emit_n_streams(const rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  int32_t n = 0;
  if (ir->n_red > 0 || e->n_stage != 1) return 0;
  for (int32_t o = 0; o < ir->n_operand; o++) {
    bool stored = false;
    for (int32_t i = ir->n_pro; i < ir->n_body && !stored; i++)
      stored = ir->ins[i].op == RPI_IR_STORE && ir->ins[i].imm == (uint64_t)o;
    n += stored && rpi_emit_streams(e, o);
  }
  return n;
}

void rpi_emit_stream_test(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  char size[128] = "";
  int32_t bytes = 0; /* per point: what is written, and as much again, for operands may overlap */
  size_t len = 0;
  for (int32_t o = 0; o < ir->n_operand; o++) {
    if (rpi_emit_streams(e, o)) bytes += 2 * rpi_dtype_size(ir->operand[o].dtype);
  }
  for (int32_t d = 0; d < ir->rank; d++)
    len += (size_t)snprintf(size + len, sizeof size - len, "e%d * ", d);
  rpi_emit_line(e, "int stream = %s%d > %d && columns >= %d;", size, bytes, STREAM_BYTES,
                STREAM_COLUMNS);
  for (int32_t o = 0; o < ir->n_operand; o++) {
    for (int32_t k = 0; k < ir->n_operand && rpi_emit_streams(e, o); k++) {
      bool loaded = false, stored = false;
      for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
        loaded |= ir->ins[i].op == RPI_IR_LOAD && ir->ins[i].imm == (uint64_t)k;
        stored |= ir->ins[i].op == RPI_IR_STORE && ir->ins[i].imm == (uint64_t)o;
      }
      if (loaded && stored) rpi_emit_line(e, "stream &= (void *)p%d != (void *)p%d;", o, k);
    }
  }
}

/* `past`: so do the stores of this row. Its whole vectors begin after `head` columns: a view of the inside
 * of an array mostly begins one element after a line, as every row of it does. The bounds of its leaves move
 * by as much. */
static void emit_stream_leaf(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  char apart[2048] = "0";
  size_t len = 1;
  int32_t first = -1, size = 1;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    const int32_t o = (int32_t)ir->ins[i].imm;
    if (ir->ins[i].op != RPI_IR_STORE || !rpi_emit_streams(e, o)) continue;
    if (first < 0) {
      first = o;
      size = rpi_dtype_size(ir->operand[o].dtype);
      len = (size_t)snprintf(apart, sizeof apart, "((uint64_t)q%d & %d)", o, size - 1);
    } else {
      len +=
          (size_t)snprintf(apart + len, sizeof apart - len,
                           " | (((uint64_t)q%d ^ (uint64_t)q%d) & %d)", first, o, e->bits / 8 - 1);
    }
  }
  rpi_emit_line(e, "const int past = stream && (%s) == 0;", apart);
  rpi_emit_line(e, "const int64_t head = past ? (int64_t)((-(uint64_t)q%d & %d) / %d) : 0;", first,
                e->bits / 8 - 1, size);
  rpi_emit_line(e, "const int64_t left = columns - c0, n = left < %d + head ? left : %d + head;",
                RPI_LEAF, RPI_LEAF);
  rpi_emit_line(e, "int64_t c = l == 0 ? 0 : head, m = l == 0 ? head : 0;");
}

/* m columns from c on, padded. */
static void emit_padded(rpi_emit *e, int32_t stage, bool accumulates) {
  rpi_emit_line(e, "const rpv_bool in = rpv_lt_i64(rpv_iota(), rpv_splat_i64(m));");
  if (accumulates)
    rpi_emit_line(e, "const int64_t j = c / %d %% %d;", e->lanes, RPI_ACCUMULATORS / e->lanes);
  emit_values(e, stage, RPI_EMIT_TAIL, -1);
}

static void emit_full(rpi_emit *e, int32_t stage, bool accumulates) {
  const int32_t w = e->lanes;
  if (wants_twins(e, stage)) emit_twins(e, stage);
  rpi_emit_open(e, "for (; c + %d <= n; c += %d) {", w, w);
  if (accumulates) rpi_emit_line(e, "const int64_t j = c / %d %% %d;", w, RPI_ACCUMULATORS / w);
  emit_values(e, stage, RPI_EMIT_FULL, -1);
  rpi_emit_close(e);
}

/* A stage that may store past the caches: padded columns, full vectors, padded columns. */
static void emit_streaming_stage(rpi_emit *e, int32_t stage) {
  emit_stream_leaf(e);
  rpi_emit_open(e, "for (;;) {");
  rpi_emit_open(e, "if (m > 0) { /* the columns before the first vector, or the last: padded */");
  emit_padded(e, stage, false);
  rpi_emit_line(e, "c += m;");
  rpi_emit_close(e);
  rpi_emit_line(e, "if (c >= n) break;");
  e->streaming = true;
  emit_full(e, stage, false);
  e->streaming = false;
  rpi_emit_line(e, "m = n - c;");
  rpi_emit_close(e);
}

static void emit_vector_stage(rpi_emit *e, int32_t stage) {
  const int32_t w = e->lanes, size = stage_size(e, stage);
  if (size == 0) return;
  const bool accumulates = rpi_emit_leaf_mode(e) && stage_reduces(e, stage);
  rpi_emit_open(e, "{");
  if (rpi_emit_n_streams(e) > 0) {
    emit_streaming_stage(e, stage);
    rpi_emit_close(e);
    return;
  }
  rpi_emit_line(e, "int64_t c = 0;");
  if (accumulates) {
    const int32_t room = e->bits == 512 ? 24 : 16; /* accumulators that registers can hold */
    const bool held = size <= SHORT_BODY && e->ir->n_red * RPI_ACCUMULATORS / w <= room;
    if (!held && size <= BLOCK_BODY && !stage_stores(e, stage)) emit_blocks(e, stage);
    emit_strides(e, stage, held);
  }
  emit_full(e, stage, accumulates);
  rpi_emit_open(e, "if (c < n) { /* the last columns, padded */");
  rpi_emit_line(e, "const int64_t m = n - c;");
  emit_padded(e, stage, accumulates);
  rpi_emit_close(e);
  rpi_emit_close(e);
}

static void emit_loop_stage(rpi_emit *e, int32_t stage) {
  const int32_t at = e->loop_at[stage], end = e->end[at];
  if (e->slot[end] < 0) return;
  rpi_emit_open(e, "for (int64_t c = 0; c < n; c++) {");
  for (int32_t i = e->ir->n_pro; i < at; i++) {
    if (!rpi_emit_marked(e, stage, i)) continue;
    if (e->slot[i] >= 0)
      emit_slot(e, i, RPI_EMIT_POINT, false);
    else
      rpi_emit_value(e, i, RPI_EMIT_POINT);
  }
  rpi_emit_loop(e, at, RPI_EMIT_POINT);
  emit_slot(e, end, RPI_EMIT_POINT, true);
  rpi_emit_close(e);
}

void rpi_emit_stages(rpi_emit *e) {
  for (int32_t s = 0; s < e->n_stage; s++) {
    if (s & 1)
      emit_loop_stage(e, s);
    else
      emit_vector_stage(e, s);
  }
}
