/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_c_body.c -- rpk_body: the loops over units, rows and columns.
 *
 * Lives here: how a unit number becomes a place in the space, the column loops of each stage, the
 *             accumulators of reductions.
 * Not here:   the lines inside the loops (emit_c_line.c, emit_c_loop.c).
 * How:        a unit is a leaf of at most 1024 columns (n of them) of one row. Full vectors run in
 *             one loop; what is left is one padded vector with its first m lanes in use, so bits
 *             never depend on sizes. A leaf's 64 accumulators are 64/W vectors. A short body is
 *             written out once for each of them, so that they can stay in registers (1.2x on data
 *             in L2). With several reductions and no store, accumulators stay in memory and blocks
 *             of four rows of 64 columns share their loads and stores; otherwise columns are taken
 *             in order: going through a leaf by groups of accumulators costs 1.7x on data in DRAM.
 *             Large launches write what they do not read past the caches. */
#include "jit/emit_c_impl.h"

#include <stdio.h>

#include "core/model/dtype.h"

enum { SHORT_BODY = 12, BLOCK_BODY = 24, ROWS_AT_ONCE = 4, NAME_WORDS = 8 };
enum { STREAM_BYTES = 48 << 20 }; /* more than a usual L3 */

static const char *red_name(const rpi_ir_red *r) { return rpi_ir_redop_name((rpi_redop)r->op); }
static rp_dtype red_dtype(const rpi_emit *e, int32_t r) {
  return e->ir->operand[e->ir->red[r].operand].dtype;
}
static bool leaf_mode(const rpi_emit *e) { return e->ir->n_red > 0 && !e->row_mode; }

/* Accumulates value v; `group` >= 0: into the register accumulator of that number. */
static void emit_reduce(rpi_emit *e, int32_t i, rpi_emit_place where, int32_t group) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const int32_t r = (int32_t)ins->imm, v = rpi_ir_src(e->ir, ins, 0);
  const char *t = rpi_dtype_name(ins->dtype), *op = red_name(&e->ir->red[r]);
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
      rpi_emit_line(e, "rpv_%s a%d_%d = acc%d[%d];", rpi_dtype_name(red_dtype(e, r)), r, k, r, k);
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
    rpi_emit_line(e, "rpv_%s a%d_0 = acc%d[j];", rpi_dtype_name(red_dtype(e, r)), r, r);
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

/* Stores of this kernel that may go past the caches; 0 for kernels whose columns are not simply walked
 * once. */
static int32_t streams(const rpi_emit *e) {
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

/* `stream`: the launch moves more than the caches hold, and what it writes is not what it reads.
 * Written past the caches, memory need not be read before: 1.3x for z = a*x + y on one thread. */
static void emit_stream_test(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  char size[128] = "";
  int32_t bytes = 0; /* per point: what is written, and as much again, for operands may overlap */
  size_t len = 0;
  for (int32_t o = 0; o < ir->n_operand; o++) {
    if (rpi_emit_streams(e, o)) bytes += 2 * rpi_dtype_size(ir->operand[o].dtype);
  }
  for (int32_t d = 0; d < ir->rank; d++)
    len += (size_t)snprintf(size + len, sizeof size - len, "e%d * ", d);
  rpi_emit_line(e, "int stream = %s%d > %d;", size, bytes, STREAM_BYTES);
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

/* `past`: so do the stores of this leaf, since it begins where whole vectors do. */
static void emit_stream_leaf(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  char all[2048] = "0";
  size_t len = 1;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    const int32_t o = (int32_t)ir->ins[i].imm;
    if (ir->ins[i].op == RPI_IR_STORE && rpi_emit_streams(e, o))
      len += (size_t)snprintf(all + len, sizeof all - len, " | (uint64_t)q%d", o);
  }
  rpi_emit_line(e, "const int past = stream && ((%s) & %d) == 0;", all, e->bits / 8 - 1);
}

static void emit_vector_stage(rpi_emit *e, int32_t stage) {
  const int32_t w = e->lanes, size = stage_size(e, stage);
  if (size == 0) return;
  const bool accumulates = leaf_mode(e) && stage_reduces(e, stage);
  rpi_emit_open(e, "{");
  rpi_emit_line(e, "int64_t c = 0;");
  if (accumulates) {
    const int32_t room = e->bits == 512 ? 24 : 16; /* accumulators that registers can hold */
    const bool held = size <= SHORT_BODY && e->ir->n_red * RPI_ACCUMULATORS / w <= room;
    if (!held && size <= BLOCK_BODY && !stage_stores(e, stage)) emit_blocks(e, stage);
    emit_strides(e, stage, held);
  }
  e->streaming = streams(e) > 0;
  if (e->streaming) emit_stream_leaf(e);
  if (wants_twins(e, stage)) emit_twins(e, stage);
  rpi_emit_open(e, "for (; c + %d <= n; c += %d) {", w, w);
  if (accumulates) rpi_emit_line(e, "const int64_t j = c / %d %% %d;", w, RPI_ACCUMULATORS / w);
  emit_values(e, stage, RPI_EMIT_FULL, -1);
  e->streaming = false;
  rpi_emit_close(e);
  rpi_emit_open(e, "if (c < n) { /* the last columns, padded */");
  rpi_emit_line(e, "const int64_t m = n - c;");
  rpi_emit_line(e, "const rpv_bool in = rpv_lt_i64(rpv_iota(), rpv_splat_i64(m));");
  if (accumulates) rpi_emit_line(e, "const int64_t j = c / %d %% %d;", w, RPI_ACCUMULATORS / w);
  emit_values(e, stage, RPI_EMIT_TAIL, -1);
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

/* All stages at once, point by point. */
static void emit_fused(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  for (int32_t r = 0; r < ir->n_red; r++) {
    const char *t = rpi_emit_ctype(red_dtype(e, r));
    rpi_emit_line(e, "%s *const l%d = (%s *)acc%d;", t, r, t, r);
  }
  rpi_emit_open(e, "for (int64_t c = 0; c < n; c++) {");
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    const rpi_ir_ins *ins = &ir->ins[i];
    if (ins->op == RPI_IR_LOOP) {
      rpi_emit_loop(e, i, RPI_EMIT_POINT);
      i = e->end[i];
    } else if (e->level[i] < RPI_EMIT_COLUMN) {
      continue;
    } else if (ins->op == RPI_IR_STORE) {
      rpi_emit_store(e, i, RPI_EMIT_POINT);
    } else if (ins->op == RPI_IR_REDUCE) {
      const int32_t r = (int32_t)ins->imm, at = RPI_ACCUMULATORS - 1;
      rpi_emit_line(e, "l%d[c & %d] = rps_red_%s_%s(l%d[c & %d], s%d);", r, at,
                    red_name(&ir->red[r]), rpi_dtype_name(ins->dtype), r, at,
                    rpi_ir_src(ir, ins, 0));
    } else {
      rpi_emit_value(e, i, RPI_EMIT_POINT);
    }
  }
  rpi_emit_close(e);
}

/* Pointers to the first column of the leaf at i0, i1, ... */
static void emit_row_pointers(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  for (int32_t o = 0; o < ir->n_operand; o++) {
    const rpi_ir_operand *op = &ir->operand[o];
    bool used = false;
    for (int32_t i = ir->n_pro; i < ir->n_body && !used; i++) {
      used = (ir->ins[i].op == RPI_IR_LOAD || ir->ins[i].op == RPI_IR_STORE) &&
             ir->ins[i].imm == (uint64_t)o;
    }
    if (!used || op->kind != RPI_OPERAND_AFFINE) continue;
    char text[512];
    int32_t len = snprintf(text, sizeof text, "p%d", o);
    for (int32_t d = 0; d < ir->rank; d++) {
      const bool last = d == ir->rank - 1;
      if (op->sclass[d] == RPI_STRIDE_ZERO) continue;
      char at[16];
      snprintf(at, sizeof at, last ? "c0" : "i%d", d);
      if (op->sclass[d] == RPI_STRIDE_UNIT)
        len += snprintf(text + len, sizeof text - (size_t)len, " + %s", at);
      else
        len += snprintf(text + len, sizeof text - (size_t)len, " + %s * p%d_s%d", at, o, d);
    }
    rpi_emit_line(e, "%s *const q%d = %s;", rpi_emit_ctype(op->dtype), o, text);
  }
}

/* One leaf of one row, all stages. */
static void emit_leaf(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  emit_row_pointers(e);
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    if (e->level[i] != RPI_EMIT_ROW) continue;
    rpi_emit_value(e, i, RPI_EMIT_ONCE);
    if (e->scalar[i]) {
      const rp_dtype t = ir->ins[i].dtype;
      rpi_emit_line(e, "const %s s%d = rpv_get_%s(v%d, 0);", rpi_emit_ctype(t), i,
                    rpi_dtype_name(t), i);
    }
  }
  if (e->fused) emit_fused(e);
  for (int32_t s = 0; s < e->n_stage; s++) {
    if (s & 1)
      emit_loop_stage(e, s);
    else
      emit_vector_stage(e, s);
  }
}

/* r, the flattened number of axes [from, to), into i<from> ... */
static void emit_decode(rpi_emit *e, int32_t from, int32_t to, const char *r) {
  for (int32_t d = to - 1; d > from; d--) {
    rpi_emit_line(e, "int64_t i%d = %s %% e%d;", d, r, d);
    rpi_emit_line(e, "%s /= e%d;", r, d);
  }
  if (to > from) rpi_emit_line(e, "int64_t i%d = %s;", from, r);
}

/* The next place in axes [from, to); the first of them runs free. */
static void emit_advance(rpi_emit *e, int32_t from, int32_t to) {
  int32_t open = 0;
  for (int32_t d = to - 1; d >= from; d--) {
    if (d == from) {
      rpi_emit_line(e, "i%d++;", d);
    } else {
      rpi_emit_open(e, "if (++i%d == e%d) {", d, d);
      rpi_emit_line(e, "i%d = 0;", d);
      open++;
    }
  }
  while (open--) rpi_emit_close(e);
}

/* The 64 accumulators of an operator and dtype, folded by halving: written out, so that no loop and
 * no way through memory stands between two leaves. */
static void emit_fold_function(rpi_emit *e, int32_t r) {
  const rp_dtype dt = red_dtype(e, r);
  const char *t = rpi_dtype_name(dt), *op = red_name(&e->ir->red[r]), *c = rpi_emit_ctype(dt);
  const int32_t w = e->lanes, n = RPI_ACCUMULATORS / w;
  if (e->folds[dt] >> e->ir->red[r].op & 1) return;
  e->folds[dt] |= 1u << e->ir->red[r].op;
  rpi_emit_open(e, "RPK_FN %s rpk_fold_%s_%s(const rpv_%s *a) {", c, op, t, t);
  for (int32_t h = n / 2; h; h /= 2) {
    for (int32_t j = 0; j < h; j++) {
      if (h == n / 2)
        rpi_emit_line(e, "const rpv_%s v%d_%d = rpv_red_%s_%s(a[%d], a[%d]);", t, h, j, op, t, j,
                      j + h);
      else
        rpi_emit_line(e, "const rpv_%s v%d_%d = rpv_red_%s_%s(v%d_%d, v%d_%d);", t, h, j, op, t,
                      2 * h, j, 2 * h, j + h);
    }
  }
  for (int32_t j = 0; j < w; j++)
    rpi_emit_line(e, "const %s s%d_%d = rpv_get_%s(v1_0, %d);", c, w, j, t, j);
  for (int32_t h = w / 2; h; h /= 2) {
    for (int32_t j = 0; j < h; j++)
      rpi_emit_line(e, "const %s s%d_%d = rps_red_%s_%s(s%d_%d, s%d_%d);", c, h, j, op, t, 2 * h, j,
                    2 * h, j + h);
  }
  rpi_emit_line(e, "return s1_0;");
  rpi_emit_close(e);
}

/* Units of kernels without reductions, and of reductions over the last axis. */
static void emit_leaf_units(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  if (ir->rank == 1) /* one row */
    rpi_emit_line(e, "int64_t l = u0, r = 0;");
  else
    rpi_emit_line(e, "int64_t l = u0 %% leaves, r = u0 / leaves;");
  rpi_emit_line(e, "(void)r;");
  emit_decode(e, 0, ir->rank - 1, "r");
  rpi_emit_open(e, "for (int64_t u = u0; u < u1; u++) {");
  rpi_emit_line(e, "const int64_t c0 = l * %d, n = columns - c0 < %d ? columns - c0 : %d;",
                RPI_LEAF, RPI_LEAF, RPI_LEAF);
  for (int32_t r = 0; r < ir->n_red; r++) {
    const char *t = rpi_dtype_name(red_dtype(e, r));
    const int32_t n = RPI_ACCUMULATORS / e->lanes;
    rpi_emit_line(e, "rpv_%s acc%d[%d];", t, r, n);
    rpi_emit_line(e, "for (int j = 0; j < %d; j++) acc%d[j] = rpv_splat_%s(rps_identity_%s_%s());",
                  n, r, t, red_name(&ir->red[r]), t);
  }
  emit_leaf(e);
  for (int32_t r = 0; r < ir->n_red; r++) {
    const rp_dtype t = red_dtype(e, r);
    rpi_emit_line(e, "((%s *)w[%d].p)[u] = rpk_fold_%s_%s(acc%d);", rpi_emit_ctype(t),
                  e->l.partial + r, red_name(&ir->red[r]), rpi_dtype_name(t), r);
  }
  rpi_emit_open(e, "if (++l == leaves) {");
  rpi_emit_line(e, "l = 0;");
  emit_advance(e, 0, ir->rank - 1);
  rpi_emit_close(e);
  rpi_emit_close(e);
}

/* Units of reductions over leading axes: up to 256 rows added onto one leaf of partials. */
static void emit_row_units(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  const int32_t k = e->n_prefix;
  rpi_emit_open(e, "for (int64_t u = u0; u < u1; u++) {");
  rpi_emit_line(e, "int64_t kr = u / leaves;");
  rpi_emit_line(e,
                "const int64_t c0 = u %% leaves * %d, n = columns - c0 < %d ? columns - c0 : %d;",
                RPI_LEAF, RPI_LEAF, RPI_LEAF);
  for (int32_t r = 0; r < ir->n_red; r++) {
    const rp_dtype t = red_dtype(e, r);
    rpi_emit_line(e, "%s *const z%d = (%s *)w[%d].p + kr * columns + c0;", rpi_emit_ctype(t), r,
                  rpi_emit_ctype(t), e->l.partial + r);
    rpi_emit_line(e, "for (int64_t c = 0; c < n; c++) z%d[c] = rps_identity_%s_%s();", r,
                  red_name(&ir->red[r]), rpi_dtype_name(t));
  }
  rpi_emit_line(e, "int64_t f = kr / kept * %d;", RPI_ROW_LEAF);
  rpi_emit_line(e, "const int64_t f1 = rows - f < %d ? rows : f + %d;", RPI_ROW_LEAF, RPI_ROW_LEAF);
  rpi_emit_line(e, "kr %%= kept;");
  emit_decode(e, k, ir->rank - 1, "kr");
  rpi_emit_line(e, "int64_t r = f;");
  emit_decode(e, 0, k, "r");
  rpi_emit_open(e, "for (; f < f1; f++) {");
  emit_leaf(e);
  emit_advance(e, 0, k);
  rpi_emit_close(e);
  rpi_emit_close(e);
}

static void emit_constants(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  for (int32_t d = 0; d < ir->rank; d++)
    rpi_emit_line(e, "const int64_t e%d = w[%d].i;", d, e->l.extent + d);
  rpi_emit_line(e, "const int64_t columns = e%d, leaves = (columns + %d) / %d;", ir->rank - 1,
                RPI_LEAF - 1, RPI_LEAF);
  if (e->row_mode) {
    char rows[128] = "1", kept[128] = "1";
    int32_t nr = 1, nk = 1;
    for (int32_t d = 0; d < ir->rank - 1; d++) {
      if (d < e->n_prefix)
        nr += snprintf(rows + nr, sizeof rows - (size_t)nr, " * e%d", d);
      else
        nk += snprintf(kept + nk, sizeof kept - (size_t)nk, " * e%d", d);
    }
    rpi_emit_line(e, "const int64_t rows = %s, kept = %s;", rows, kept);
  }
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    if (e->slot[i] < 0) continue;
    const char *t = rpi_emit_ctype(ir->ins[i].dtype);
    rpi_emit_line(e, "%s *const x%d = (%s *)((char *)scratch + %d);", t, i, t,
                  e->slot[i] * RPI_LEAF * 8);
  }
  rpi_emit_operands(e, ir->n_pro, ir->n_body);
  rpi_emit_uniforms(e, ir->n_pro, ir->n_body, true);
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    if (e->level[i] != RPI_EMIT_UNIFORM) continue;
    rpi_emit_value(e, i, RPI_EMIT_ONCE);
    if (e->scalar[i]) {
      const rp_dtype t = ir->ins[i].dtype;
      rpi_emit_line(e, "const %s s%d = rpv_get_%s(v%d, 0);", rpi_emit_ctype(t), i,
                    rpi_dtype_name(t), i);
    }
  }
}

/* A name that tells what the kernel does, for profilers: the first few operations of its body. */
static void worker_name(const rpi_emit *e, char *name, size_t size) {
  const rpi_ir *ir = e->ir;
  int32_t len = snprintf(name, size, "k"), words = 0;
  uint8_t last = RPI_IR_N_OPS;
  for (int32_t i = ir->n_pro; i < ir->n_body && words < NAME_WORDS; i++) {
    const uint8_t op = ir->ins[i].op;
    const char *word = rpi_ir_op_name((rpi_irop)op);
    if (op == RPI_IR_REDUCE) word = red_name(&ir->red[ir->ins[i].imm]);
    if (op == RPI_IR_ENDLOOP) word = rpi_ir_redop_name((rpi_redop)ir->ins[i].imm);
    if (op == last || op == RPI_IR_CONST || op == RPI_IR_LOAD || op == RPI_IR_STORE) continue;
    len += snprintf(name + len, size - (size_t)len, "_%s", word);
    last = op;
    words++;
  }
  snprintf(name + len, size - (size_t)len, "_%.8s", e->key);
}

void rpi_emit_body(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  char name[160];
  worker_name(e, name, sizeof name);
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    if (ir->ins[i].op == RPI_IR_LOOP && rpi_emit_apart(e, i)) rpi_emit_long(e, i);
  }
  for (int32_t r = 0; leaf_mode(e) && r < ir->n_red; r++) emit_fold_function(e, r);
  rpi_emit_line(e,
                "static __attribute__((noinline)) void %s(const rpk_word *w, int64_t u0, int64_t "
                "u1, void *scratch) {",
                name);
  e->indent++;
  rpi_emit_line(e, "(void)w, (void)scratch;");
  if (ir->n_body > ir->n_pro) {
    rpi_emit_line(e, "if (u0 >= u1) return;");
    emit_constants(e);
    if (e->checked) {
      rpi_emit_line(e, "int bad = 0;");
      rpi_emit_line(e, "rpv_bool badv = rpv_splat_bool(0);");
    }
    if (streams(e) > 0) emit_stream_test(e);
    if (e->row_mode)
      emit_row_units(e);
    else
      emit_leaf_units(e);
    if (streams(e) > 0) rpi_emit_line(e, "if (stream) __builtin_ia32_sfence();");
    if (e->checked) {
      rpi_emit_line(e, "for (int k = 0; k < RPV_W; k++) bad |= rpv_get_bool(badv, k);");
      rpi_emit_line(e, "if (bad) __atomic_store_n((uint32_t *)w[%d].p, 1u, __ATOMIC_RELAXED);",
                    e->l.flag);
    }
  }
  rpi_emit_close(e);
  rpi_emit_open(e,
                "static void rpk_body_%.8s(const void *self, const rpk_word *w, int64_t u0, "
                "int64_t u1, void *scratch) {",
                e->key);
  rpi_emit_line(e, "(void)self;");
  rpi_emit_line(e, "%s(w, u0, u1, scratch);", name);
  rpi_emit_close(e);
}
