/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_c_body.c -- rpk_body: the loops over units and rows.
 *
 * Lives here: how a unit number becomes a place in the space, the accumulators of reductions.
 * Not here:   the column loops (emit_c_stage.c), the lines inside them (emit_c_line.c,
 *             emit_c_loop.c).
 * How:        a unit is a leaf of at most 1024 columns (n of them) of one row. */
#include "jit/emit_c_impl.h"

#include <stdio.h>

#include "core/model/dtype.h"

enum { NAME_WORDS = 8 };

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
      if (op->sclass[d] == RPI_STRIDE_ZERO || (last && !e->first)) continue;
      char at[16];
      if (last)
        snprintf(at, sizeof at, "%s", e->first);
      else
        snprintf(at, sizeof at, "i%d", d);
      if (op->sclass[d] == RPI_STRIDE_UNIT)
        len += snprintf(text + len, sizeof text - (size_t)len, " + %s", at);
      else
        len += snprintf(text + len, sizeof text - (size_t)len, " + %s * p%d_s%d", at, o, d);
    }
    rpi_emit_line(e, "%s *const q%d = %s;", rpi_emit_ctype(op->dtype), o, text);
  }
}

/* A uniform or row value, as a vector of equal lanes and, where an inner loop wants it, as a scalar. */
static void emit_once(rpi_emit *e, int32_t i) {
  const rp_dtype t = e->ir->ins[i].dtype;
  rpi_emit_value(e, i, RPI_EMIT_ONCE);
  if (e->scalar[i])
    rpi_emit_line(e, "const %s s%d = rpv_get_%s(v%d, 0);", rpi_emit_ctype(t), i, rpi_dtype_name(t),
                  i);
}

static bool asks_index(const rpi_ir *ir, int32_t axis) {
  for (int32_t i = ir->n_pro; i < ir->n_body; i++)
    if (ir->ins[i].op == RPI_IR_INDEX && ir->ins[i].imm == (uint64_t)axis) return true;
  return false;
}

/* Where the leaf lies in the whole space, on the axes that are asked for. */
static void emit_row_indices(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  for (int32_t d = 0; d < ir->rank; d++) {
    if (!asks_index(ir, d)) continue;
    if (d == ir->rank - 1)
      rpi_emit_line(e, "const int64_t at%d = o%d%s%s;", d, d, e->first ? " + " : "",
                    e->first ? e->first : "");
    else
      rpi_emit_line(e, "const int64_t at%d = o%d + i%d;", d, d, d);
  }
}

void rpi_emit_row(rpi_emit *e) {
  emit_row_pointers(e);
  emit_row_indices(e);
}

/* One leaf of one row, all stages. */
static void emit_leaf(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  rpi_emit_row(e);
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    if (e->level[i] != RPI_EMIT_ROW) continue;
    emit_once(e, i);
  }
  rpi_emit_stages(e);
}

void rpi_emit_decode(rpi_emit *e, int32_t from, int32_t to, const char *r) {
  for (int32_t d = to - 1; d > from; d--) {
    rpi_emit_line(e, "%s i%d = %s %% e%d;", e->index, d, r, d);
    rpi_emit_line(e, "%s /= e%d;", r, d);
  }
  if (to > from) rpi_emit_line(e, "%s i%d = %s;", e->index, from, r);
}

void rpi_emit_advance(rpi_emit *e, int32_t from, int32_t to) {
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
  const rp_dtype dt = rpi_emit_red_dtype(e, r);
  const char *t = rpi_dtype_name(dt), *op = rpi_emit_red_name(&e->ir->red[r]),
             *c = rpi_emit_ctype(dt);
  const int32_t w = e->lanes, n = RPI_ACCUMULATORS / w;
  if (e->folds[dt] >> e->ir->red[r].op & 1) return;
  e->folds[dt] |= UINT64_C(1) << e->ir->red[r].op;
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
  rpi_emit_decode(e, 0, ir->rank - 1, "r");
  rpi_emit_open(e, "for (int64_t u = u0; u < u1; u++) {");
  rpi_emit_line(e, "const int64_t c0 = l * %d, n = columns - c0 < %d ? columns - c0 : %d;",
                RPI_LEAF, RPI_LEAF, RPI_LEAF);
  for (int32_t r = 0; r < ir->n_red; r++) {
    const char *t = rpi_dtype_name(rpi_emit_red_dtype(e, r));
    const int32_t n = RPI_ACCUMULATORS / e->lanes;
    rpi_emit_line(e, "rpv_%s acc%d[%d];", t, r, n);
    rpi_emit_line(e, "for (int j = 0; j < %d; j++) acc%d[j] = rpv_splat_%s(rps_identity_%s_%s());",
                  n, r, t, rpi_emit_red_name(&ir->red[r]), t);
  }
  emit_leaf(e);
  for (int32_t r = 0; r < ir->n_red; r++) {
    const rp_dtype t = rpi_emit_red_dtype(e, r);
    rpi_emit_line(e, "((%s *)w[%d].p)[u] = rpk_fold_%s_%s(acc%d);", rpi_emit_ctype(t),
                  e->l.partial + r, rpi_emit_red_name(&ir->red[r]), rpi_dtype_name(t), r);
  }
  rpi_emit_open(e, "if (++l == leaves) {");
  rpi_emit_line(e, "l = 0;");
  rpi_emit_advance(e, 0, ir->rank - 1);
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
    const rp_dtype t = rpi_emit_red_dtype(e, r);
    rpi_emit_line(e, "%s *const z%d = (%s *)w[%d].p + kr * columns + c0;", rpi_emit_ctype(t), r,
                  rpi_emit_ctype(t), e->l.partial + r);
    rpi_emit_line(e, "for (int64_t c = 0; c < n; c++) z%d[c] = rps_identity_%s_%s();", r,
                  rpi_emit_red_name(&ir->red[r]), rpi_dtype_name(t));
  }
  rpi_emit_line(e, "int64_t f = kr / kept * %d;", RPI_ROW_LEAF);
  rpi_emit_line(e, "const int64_t f1 = rows - f < %d ? rows : f + %d;", RPI_ROW_LEAF, RPI_ROW_LEAF);
  rpi_emit_line(e, "kr %%= kept;");
  rpi_emit_decode(e, k, ir->rank - 1, "kr");
  rpi_emit_line(e, "int64_t r = f;");
  rpi_emit_decode(e, 0, k, "r");
  rpi_emit_open(e, "for (; f < f1; f++) {");
  emit_leaf(e);
  rpi_emit_advance(e, 0, k);
  rpi_emit_close(e);
  rpi_emit_close(e);
}

void rpi_emit_rows_kept(rpi_emit *e) {
  char rows[128] = "1", kept[128] = "1";
  int32_t nr = 1, nk = 1;
  for (int32_t d = 0; d < e->ir->rank - 1; d++) {
    if (d < e->n_prefix)
      nr += snprintf(rows + nr, sizeof rows - (size_t)nr, " * e%d", d);
    else
      nk += snprintf(kept + nk, sizeof kept - (size_t)nk, " * e%d", d);
  }
  rpi_emit_line(e, "const %s rows = %s, kept = %s;", e->index, rows, kept);
}

void rpi_emit_origins(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  for (int32_t d = 0; d < ir->rank; d++)
    if (asks_index(ir, d)) rpi_emit_line(e, "const int64_t o%d = w[%d].i;", d, e->l.origin + d);
}

static void emit_constants(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  for (int32_t d = 0; d < ir->rank; d++)
    rpi_emit_line(e, "const int64_t e%d = w[%d].i;", d, e->l.extent + d);
  rpi_emit_origins(e);
  rpi_emit_line(e, "const int64_t columns = e%d, leaves = (columns + %d) / %d;", ir->rank - 1,
                RPI_LEAF - 1, RPI_LEAF);
  if (e->row_mode) rpi_emit_rows_kept(e);
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
    emit_once(e, i);
  }
}

void rpi_emit_worker_name(const rpi_emit *e, char *name, size_t size) {
  const rpi_ir *ir = e->ir;
  int32_t len = snprintf(name, size, "k"), words = 0;
  uint8_t last = RPI_IR_N_OPS;
  for (int32_t i = ir->n_pro; i < ir->n_body && words < NAME_WORDS; i++) {
    const uint8_t op = ir->ins[i].op;
    const char *word = rpi_ir_op_name((rpi_irop)op);
    if (op == RPI_IR_REDUCE) word = rpi_emit_red_name(&ir->red[ir->ins[i].imm]);
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
  rpi_emit_worker_name(e, name, sizeof name);
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    if (ir->ins[i].op == RPI_IR_LOOP && rpi_emit_apart(e, i)) rpi_emit_long(e, i);
  }
  for (int32_t r = 0; rpi_emit_leaf_mode(e) && r < ir->n_red; r++) emit_fold_function(e, r);
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
    if (rpi_emit_n_streams(e) > 0) rpi_emit_stream_test(e);
    if (e->row_mode)
      emit_row_units(e);
    else
      emit_leaf_units(e);
    if (rpi_emit_n_streams(e) > 0) rpi_emit_line(e, "if (stream) __builtin_ia32_sfence();");
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
