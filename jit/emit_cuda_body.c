/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_cuda_body.c -- rpk_main: the loops of a grid over units.
 *
 * Lives here: how threads, warps and blocks share the units of ir.h; accumulators; partials.
 * Not here:   leaves (emit_cuda_leaf.c), the lines of a point (emit_cuda_line.c), what comes before and after (emit_cuda_end.c).
 * How:        no reduction: 2^k threads do a unit, k from the mode. LEAF mode: emit_cuda_leaf.c. ROW mode: 2^k threads do the columns of a unit, at most a block's; a unit of
 *             more columns is taken in parts.
 *             Teams, bodies with inner loops: the threads of a warp come to their points together, with neighbouring columns,
 *             so that they can share the loops' elements; `in` is 0 where a thread has no point. Without a reduction a
 *             unit is cut into parts of 2^k <= 32 columns, of which a warp takes 2^(q-k); where there are few rows q is
 *             less than 5, and more warps have some.
 * Invariants: every thread of a block goes through the same barriers. */
#include <stdio.h>

#include "core/model/dtype.h"
#include "jit/emit_cuda_impl.h"

enum {
  SHORT_BODY = 40,
  LOADS = 7
}; /* instructions, and loads, of a body that is worth unrolling */

void rpi_emit_cuda_bounds(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  const char *x = e->index;
  for (int32_t d = 0; d < ir->rank; d++)
    rpi_emit_line(e, "const %s e%d = (%s)w[%d].i;", x, d, x, e->l.extent + d);
  rpi_emit_origins(e);
  if (ir->rank > 0)
    rpi_emit_line(e, "const %s columns = e%d, leaves = (columns + %d) / %d;", x, ir->rank - 1,
                  RPI_LEAF - 1, RPI_LEAF);
  if (e->row_mode) rpi_emit_rows_kept(e);
  if (!rpi_cuda_may_be_direct(ir)) return;
  if (e->row_mode)
    rpi_emit_line(e, "const int direct = rows > 0 && rows <= %d && !(a.mode & %d);", RPI_ROW_LEAF,
                  RPI_CUDA_BODY | RPI_CUDA_ROOTS | RPI_CUDA_LEAVES);
  else
    rpi_emit_line(
        e, "const int direct = leaves > 0 && leaves <= (a.mode & %d ? 1 : %d) && !(a.mode & %d);",
        RPI_CUDA_SPREAD, RPI_CUDA_GROUP,
        RPI_CUDA_BODY | RPI_CUDA_ROOTS | RPI_CUDA_FAR | RPI_CUDA_LEAVES);
}

void rpi_emit_cuda_unroll(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  int32_t loads = 0;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++)
    loads += ir->ins[i].op == RPI_IR_LOAD || ir->ins[i].op == RPI_IR_GATHER;
  loads *= e->lanes;
  if (ir->n_body - ir->n_pro > SHORT_BODY || loads > LOADS || rpi_cuda_loops(ir))
    rpi_emit_line(e, "RPK_ROLLED");
  else
    rpi_emit_line(e, "RPK_UNROLL(%d)", loads > 4 ? 2 : 4);
}

void rpi_emit_cuda_leaf_bounds(rpi_emit *e, const char *l) {
  rpi_emit_line(e, "const %s c0 = %s * %d, stop = columns - c0 < %d ? columns : c0 + %d;", e->index,
                l, RPI_LEAF, RPI_LEAF, RPI_LEAF);
}

/* ---- no reduction */

static void emit_plain_units(rpi_emit *e) {
  const char *x = e->index;
  const int32_t rank = e->ir->rank;
  rpi_emit_line(e, "const int k = (int)(a.mode >> 8 & 255), lane = RPG_THREAD & ((1 << k) - 1);");
  rpi_emit_line(
      e, "const %s first = (%s)a.u0 + (%s)RPG_BLOCK * (RPG_THREADS >> k) + (RPG_THREAD >> k);", x,
      x, x);
  rpi_emit_open(e, "for (%s u = first; u < (%s)a.u1; u += (%s)RPG_BLOCKS * (RPG_THREADS >> k)) {",
                x, x, x);
  if (rank > 1) {
    rpi_emit_line(e, "%s r = u / leaves;", x);
    rpi_emit_line(e, "const %s l = u %% leaves;", x);
    rpi_emit_decode(e, 0, rank - 1, "r");
  }
  rpi_emit_cuda_leaf_bounds(e, rank > 1 ? "l" : "u");
  rpi_emit_row(e);
  rpi_emit_open(e, "for (%s c = c0 + (%s)lane * %d; c < stop; c += (%s)%d << k) {", x, x, e->lanes,
                x, e->lanes);
  rpi_emit_thread_point(e, "stop");
  rpi_emit_close(e);
  rpi_emit_close(e);
}

/* Warps take tasks, parts of a unit, by 2^(q-k). */
static void emit_team_units(rpi_emit *e) {
  const char *x = e->index;
  const int32_t rank = e->ir->rank;
  rpi_emit_line(e,
                "const int k = (int)(a.mode >> 8 & 255), q = (int)(a.mode >> 16 & 255), lane = "
                "RPG_THREAD & %d;",
                RPI_CUDA_WARP - 1);
  rpi_emit_line(e, "const %s parts = ((columns < %d ? columns : %d) + (1 << k) - 1) >> k;", x,
                RPI_LEAF, RPI_LEAF);
  rpi_emit_line(e, "const %s t1 = (%s)a.u1 * parts, step = (%s)(RPG_THREADS / %d) << (q - k);", x,
                x, x, RPI_CUDA_WARP);
  rpi_emit_line(e,
                "const %s first = (%s)a.u0 * parts + RPG_BLOCK * step + ((%s)(RPG_THREAD / %d) << "
                "(q - k));",
                x, x, x, RPI_CUDA_WARP);
  rpi_emit_open(e, "for (%s b = first; b < t1; b += RPG_BLOCKS * step) {", x);
  rpi_emit_line(e, "const %s t = b + (lane >> k), u = t / parts;", x);
  if (rank > 1) {
    rpi_emit_line(e, "%s r = u / leaves;", x);
    rpi_emit_line(e, "const %s l = u %% leaves;", x);
    rpi_emit_decode(e, 0, rank - 1, "r");
  }
  rpi_emit_cuda_leaf_bounds(e, rank > 1 ? "l" : "u");
  rpi_emit_line(e, "const %s c = c0 + (t %% parts << k) + (lane & ((1 << k) - 1));", x);
  rpi_emit_line(e, "const int in = lane >> q == 0 && t < t1 && c < stop;");
  rpi_emit_row(e);
  rpi_emit_thread_point(e, "stop");
  rpi_emit_close(e);
}

/* ---- the values of reductions */

/* `value` goes to reduction r's destination at i0, i1, ... and column c. */
static void emit_deliver(rpi_emit *e, int32_t r, const char *value) {
  const rpi_ir *ir = e->ir;
  const int32_t o = ir->red[r].operand;
  const rpi_ir_operand *op = &ir->operand[o];
  char place[512];
  int32_t len = snprintf(place, sizeof place, "p%d", o);
  for (int32_t d = 0; d < ir->rank; d++) {
    if (op->sclass[d] == RPI_STRIDE_ZERO) continue;
    len +=
        snprintf(place + len, sizeof place - (size_t)len, d == ir->rank - 1 ? " + c" : " + i%d", d);
    if (op->sclass[d] == RPI_STRIDE_ANY)
      len += snprintf(place + len, sizeof place - (size_t)len, " * p%d_s%d", o, d);
  }
  rpi_emit_line(e, "%s *const to = %s;", rpi_emit_ctype(op->dtype), place);
  if (ir->red[r].join)
    rpi_emit_line(e, "*to = rps_red_%s_%s(%s, *to);", rpi_emit_red_name(&ir->red[r]),
                  rpi_dtype_name(op->dtype), value);
  else
    rpi_emit_line(e, "*to = %s;", value);
}

void rpi_emit_cuda_value(rpi_emit *e, int32_t r, const char *value, const char *at) {
  const char *t = rpi_emit_ctype(rpi_emit_red_dtype(e, r));
  char partial[96];
  snprintf(partial, sizeof partial, "((%s *)w[%d].p)[%s] = %s;", t, e->l.partial + r, at, value);
  if (!rpi_cuda_may_be_direct(e->ir)) {
    rpi_emit_line(e, "%s", partial);
    return;
  }
  rpi_emit_open(e, "if (direct) {");
  emit_deliver(e, r, value);
  e->indent--;
  rpi_emit_open(e, "} else {");
  rpi_emit_line(e, "%s", partial);
  rpi_emit_close(e);
}

void rpi_emit_cuda_identity(rpi_emit *e, int32_t r, const char *suffix) {
  const rp_dtype t = rpi_emit_red_dtype(e, r);
  rpi_emit_line(e, "%s a%d%s = rps_identity_%s_%s();", rpi_emit_ctype(t), r, suffix,
                rpi_emit_red_name(&e->ir->red[r]), rpi_dtype_name(t));
}

/* ---- ROW mode */

static void emit_row_task(rpi_emit *e) {
  const char *x = e->index;
  const int32_t prefix = e->n_prefix;
  rpi_emit_line(e, "const %s u = t / parts, kr = u / leaves;", x);
  rpi_emit_line(e, "const %s c0 = u %% leaves * %d, c = c0 + (t %% parts << k) + lane;", x,
                RPI_LEAF);
  if (e->teams)
    rpi_emit_line(e, "const int here = t < t1 && c < columns && c < c0 + %d;", RPI_LEAF);
  else
    rpi_emit_line(e, "if (c >= columns || c >= c0 + %d) continue;", RPI_LEAF);
  rpi_emit_line(e, "%s f = kr / kept * %d;", x, RPI_ROW_LEAF);
  rpi_emit_line(e, "const %s f1 = rows - f < %d ? rows : f + %d;", x, RPI_ROW_LEAF, RPI_ROW_LEAF);
  for (int32_t r = 0; r < e->ir->n_red; r++) rpi_emit_cuda_identity(e, r, "");
  rpi_emit_line(e, "%s left = kr %% kept, r = f;", x);
  rpi_emit_decode(e, prefix, e->ir->rank - 1, "left");
  rpi_emit_decode(e, 0, prefix, "r");
  rpi_emit_line(e, "(void)left, (void)r;");
  rpi_emit_cuda_unroll(e);
  if (e->teams) {
    rpi_emit_open(e, "for (int m = 0; m < %d && m < rows; m++, f++) {", RPI_ROW_LEAF);
    rpi_emit_line(e, "const int in = here && f < f1;");
  } else {
    rpi_emit_open(e, "for (; f < f1; f++) {");
  }
  rpi_emit_row(e);
  rpi_emit_thread_point(e, "columns");
  rpi_emit_advance(e, 0, prefix);
  rpi_emit_close(e);
  if (e->teams) rpi_emit_line(e, "if (!here) continue;");
  for (int32_t r = 0; r < e->ir->n_red; r++) {
    char value[16];
    snprintf(value, sizeof value, "a%d", r);
    rpi_emit_cuda_value(e, r, value, "kr * columns + c");
  }
}

/* Teams: `b` is the task of the warp's first thread. */
static void emit_row_units(rpi_emit *e) {
  const char *x = e->index, *first = e->teams ? "(RPG_THREAD & ~31)" : "RPG_THREAD";
  rpi_emit_line(e, "const int k = (int)(a.mode >> 8 & 255), lane = RPG_THREAD & ((1 << k) - 1);");
  rpi_emit_line(e, "const %s parts = ((columns < %d ? columns : %d) + (1 << k) - 1) >> k;", x,
                RPI_LEAF, RPI_LEAF);
  rpi_emit_line(
      e, "const %s first = (%s)a.u0 * parts + (%s)RPG_BLOCK * (RPG_THREADS >> k) + (%s >> k);", x,
      x, x, first);
  rpi_emit_line(e, "const %s t1 = (%s)a.u1 * parts;", x, x);
  rpi_emit_open(e, "for (%s b = first; b < t1; b += (%s)RPG_BLOCKS * (RPG_THREADS >> k)) {", x, x);
  rpi_emit_line(e, "const %s t = b%s;", x, e->teams ? " + ((RPG_THREAD & 31) >> k)" : "");
  emit_row_task(e);
  rpi_emit_close(e);
}

/* What warps share: elements in the block's memory; very long rows, if the mode says so. */
static void emit_shared(rpi_emit *e) {
  rpi_emit_line(e, "RPG_SHARED uint64_t shared[%d];",
                RPI_CUDA_BLOCK / RPI_CUDA_WARP * RPI_CUDA_POOL);
  rpi_emit_line(
      e, "RPG_SHARED uint32_t tally[2]; /* warps that are done; times that rows were posted */");
  rpi_emit_open(e, "if (a.mode >> 32) {");
  rpi_emit_line(e, "if (RPG_THREAD < 2) tally[RPG_THREAD] = 0;");
  rpi_emit_line(e, "RPG_SYNC();");
  rpi_emit_close(e);
}

/* Warps look for rows of others: those of the last blocks once, and of a block that had nothing to do one warp, until
 * all that have rows are done. The third word of the flag counts: warps that are done with their rows and, from its
 * bit 16 on, warps that have left; the last one makes it 0 again. */
static void emit_assist(rpi_emit *e) {
  rpi_emit_open(e, "if (a.mode >> 32) {");
  rpi_emit_line(e, "const int first = (int)(a.mode >> 32 & 65535), busy = (int)(a.mode >> 48);");
  rpi_emit_line(e, "const int spare = busy < RPG_BLOCKS && busy < %d, mine = RPG_BLOCK < busy;",
                RPI_CUDA_NUMBER);
  rpi_emit_line(e, "uint32_t *const ended = (uint32_t *)w[%d].p + 2;", e->l.flag);
  rpi_emit_line(e, "const int patient = spare && RPG_THREAD < %d ? RPK_PATIENCE : 0;",
                RPI_CUDA_WARP);
  rpi_emit_line(e, "const int looks = mine ? RPG_BLOCK >= first : patient;");
  rpi_emit_line(e, "if (spare && mine) (void)rpk_add(ended, 1);");
  rpi_emit_line(
      e, "rpk_assist_%.8s(w, shared + RPG_THREAD / %d * %d, tally, looks, ended, busy * %d);",
      e->key, RPI_CUDA_WARP, RPI_CUDA_POOL, RPI_CUDA_BLOCK / RPI_CUDA_WARP);
  rpi_emit_line(e, "if (spare) rpk_depart(ended);");
  rpi_emit_close(e);
}

void rpi_emit_cuda_units(rpi_emit *e) {
  if (e->checked) rpi_emit_line(e, "int bad = 0;");
  const bool team = rpi_emit_has_team(e);
  if (team) emit_shared(e);
  if (e->ir->n_red == 0 && e->teams)
    emit_team_units(e);
  else if (e->ir->n_red == 0)
    emit_plain_units(e);
  else if (e->row_mode)
    emit_row_units(e);
  else
    rpi_emit_cuda_leaf_units(e);
  if (team) emit_assist(e);
  if (e->checked) rpi_emit_line(e, "if (bad) RPG_RAISE((uint32_t *)w[%d].p);", e->l.flag);
}
