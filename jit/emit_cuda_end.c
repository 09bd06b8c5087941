/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_cuda_end.c -- what a grid does before its first and after its last unit.
 *
 * Lives here: the prologue, the join of partials, the epilogue, who does them.
 * Not here:   the loops over units (emit_cuda_body.c), the trees themselves (cuda_frame.h).
 * How:        each thread makes the prologue's values at its start. What the prologue stores would change what other
 *             blocks still read, so it is stored by the last block; so are values of reductions that another block's
 *             prologue may read: those of one kept index. The epilogue, which one thread runs, takes prologue values from
 *             the start, put aside in the block's memory so that they cost the body no registers.
 *             Direct values need no barrier: of a scalar that the prologue reads there is one row, whose warps meet before
 *             one of them delivers.
 * Invariants: after rpk_last all blocks have done all but the end. Loads of the end are plain. */
#include "core/model/dtype.h"
#include "jit/emit_cuda_impl.h"

int32_t rpi_cuda_early(const rpi_emit *e, int32_t o, int32_t end) {
  int32_t value = -1;
  for (int32_t i = 0; i < e->ir->n_pro && i < end && !e->apart; i++) {
    const rpi_ir_ins *ins = &e->ir->ins[i];
    if (ins->op == RPI_IR_STORE && ins->imm == (uint64_t)o) value = rpi_ir_src(e->ir, ins, 0);
  }
  return value;
}

/* Value i as the prologue makes it. */
static void emit_early(rpi_emit *e, int32_t i) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const int32_t stored = ins->op == RPI_IR_LOAD ? rpi_cuda_early(e, (int32_t)ins->imm, i) : -1;
  if (stored >= 0)
    rpi_emit_line(e, "const %s s%d = s%d;", rpi_emit_ctype(ins->dtype), i, stored);
  else
    rpi_emit_value(e, i, RPI_EMIT_SCALAR);
}

static bool costs_nothing(const rpi_ir *ir, int32_t i) {
  const uint8_t op = ir->ins[i].op;
  return op == RPI_IR_CONST || op == RPI_IR_SCALAR || op == RPI_IR_EXTENT;
}

/* Does the end need value i of the prologue put aside? */
static bool is_kept(const rpi_emit *e, int32_t i) {
  const rpi_ir *ir = e->ir;
  bool used = false;
  if (ir->ins[i].op == RPI_IR_STORE || costs_nothing(ir, i)) return false;
  for (int32_t k = 0; k < ir->n_ins && !used; k++) {
    if (k == ir->n_pro) k = ir->n_body;
    if (k >= ir->n_ins || (k < ir->n_pro && (ir->ins[k].op != RPI_IR_STORE || e->apart))) continue;
    for (int32_t s = 0; s < ir->ins[k].n_src; s++) used |= rpi_ir_src(ir, &ir->ins[k], s) == i;
  }
  return used;
}

void rpi_emit_cuda_prologue(rpi_emit *e, const rpi_cuda_form *form, bool keep) {
  const rpi_ir *ir = e->ir;
  if (form->apart)
    rpi_emit_line(e, "const rpk_word *const pro = (const rpk_word *)w[%d].p;", e->l.values);
  else
    rpi_emit_operands(e, 0, ir->n_pro);
  for (int32_t i = 0; i < ir->n_pro; i++) {
    const rp_dtype t = ir->ins[i].dtype;
    if (ir->ins[i].op == RPI_IR_STORE) continue;
    if (!form->apart || costs_nothing(ir, i))
      emit_early(e, i);
    else
      rpi_emit_line(e, "const %s s%d = rpk_%s(pro[%d].u);", rpi_emit_ctype(t), i, rpi_dtype_name(t),
                    i);
  }
  for (int32_t i = 0; keep && i < ir->n_pro; i++) {
    if (!is_kept(e, i)) continue;
    rpi_emit_line(e, "RPG_SHARED %s keep%d;", rpi_emit_ctype(ir->ins[i].dtype), i);
    rpi_emit_line(e, "if (RPG_THREAD == 0) keep%d = s%d;", i, i);
  }
}

void rpi_emit_cuda_apart(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  rpi_emit_open(e, "RPG_KERNEL(rpk_pro_%s, rpk_args_%.8s) {", e->key, e->key);
  rpi_emit_line(e, "const rpk_word *const w = a.w;");
  rpi_emit_line(e, "rpk_word *const pro = (rpk_word *)w[%d].p;", e->l.values);
  rpi_emit_line(e, "if (RPG_BLOCK > 0 || RPG_THREAD > 0) return;");
  rpi_emit_operands(e, 0, ir->n_pro);
  rpi_emit_scalars(e, 0, ir->n_pro, RPI_EMIT_SCALAR);
  for (int32_t i = 0; i < ir->n_pro; i++) {
    if (ir->ins[i].op == RPI_IR_STORE || costs_nothing(ir, i)) continue;
    rpi_emit_line(e, "pro[%d].u = rpk_put_%s(s%d);", i, rpi_dtype_name(ir->ins[i].dtype), i);
  }
  rpi_emit_close(e);
}

/* One reduction, as rpk_finish wants it. */
static void emit_finish(rpi_emit *e, int32_t r) {
  const rpi_ir *ir = e->ir;
  const rpi_ir_red *red = &ir->red[r];
  const rp_dtype t = rpi_emit_red_dtype(e, r);
  const int32_t rank = e->row_mode ? ir->rank : ir->rank - 1;
  const int32_t at = rpi_ir_layout_stride(ir, &e->l, red->operand);
  rpi_emit_open(e, "{");
  rpi_emit_line(e, "rpk_finish f;");
  rpi_emit_line(e, "f.rank = %d, f.mask = %d;", rank, red->mask & ((1 << rank) - 1));
  if (e->row_mode) {
    rpi_emit_line(e, "f.groups = 1, f.step = 1;");
    for (int32_t d = 0; d < rank; d++)
      rpi_emit_line(e, "f.%s *= w[%d].i;", d < e->n_prefix ? "groups" : "step", e->l.extent + d);
    rpi_emit_line(e, "f.groups = (f.groups + %d) / %d;", RPI_ROW_LEAF - 1, RPI_ROW_LEAF);
  } else {
    rpi_emit_line(e, "const int64_t leaf = mode & %d ? %d : %d;", RPI_CUDA_SPREAD | RPI_CUDA_LEAVES,
                  RPI_LEAF, RPI_LEAF * RPI_CUDA_GROUP);
    rpi_emit_line(e, "f.groups = (w[%d].i + leaf - 1) / leaf, f.step = 0;", e->l.extent + rank);
  }
  for (int32_t d = 0; d < rank; d++)
    rpi_emit_line(e, "f.extent[%d] = w[%d].i, f.stride[%d] = w[%d].i;", d, e->l.extent + d, d,
                  at + d);
  rpi_emit_line(e, "if (mode & %d) rpk_roots(&f);", RPI_CUDA_ROOTS);
  rpi_emit_line(e, "rpk_finish_%s_%s(&f, (%s *)w[%d].p, (%s *)w[%d].p, %d, stage, block, blocks);",
                rpi_emit_red_name(red), rpi_dtype_name(t), rpi_emit_ctype(t), e->l.partial + r,
                rpi_emit_ctype(t), e->l.ptr + red->operand, red->join);
  rpi_emit_close(e);
}

void rpi_emit_cuda_join(rpi_emit *e) {
  rpi_emit_open(
      e,
      "RPG_FAR void rpk_join_%.8s(const rpk_word *w, int64_t mode, int stage, int block, int "
      "blocks) {",
      e->key);
  for (int32_t r = 0; r < e->ir->n_red; r++) emit_finish(e, r);
  rpi_emit_close(e);
}

/* Prologue values under their names again. */
static void emit_kept(rpi_emit *e) {
  for (int32_t i = 0; i < e->ir->n_pro; i++)
    if (is_kept(e, i))
      rpi_emit_line(e, "const %s s%d = keep%d;", rpi_emit_ctype(e->ir->ins[i].dtype), i, i);
}

void rpi_emit_cuda_end(rpi_emit *e, const rpi_cuda_form *form, bool kept, const char *stage) {
  const rpi_ir *ir = e->ir;
  if (!form->apart && rpi_cuda_stores_early(ir)) {
    rpi_emit_open(e, "if (RPG_THREAD == 0) {");
    if (kept) emit_kept(e);
    rpi_emit_operands(e, 0, ir->n_pro);
    for (int32_t i = 0; i < ir->n_pro; i++)
      if (ir->ins[i].op == RPI_IR_STORE) rpi_emit_store(e, i, RPI_EMIT_SCALAR);
    rpi_emit_close(e);
    rpi_emit_line(e, "RPG_SYNC();");
  }
  if (ir->n_red > 0) {
    rpi_emit_line(e, "%srpk_join_%.8s(w, a.mode, %s);",
                  kept && rpi_cuda_may_be_direct(ir) ? "if (!direct) " : "", e->key, stage);
    rpi_emit_line(e, "RPG_SYNC();");
  }
  if (ir->n_ins > ir->n_body) {
    rpi_emit_open(e, "if (RPG_THREAD == 0) {");
    if (kept) emit_kept(e);
    rpi_emit_operands(e, ir->n_body, ir->n_ins);
    rpi_emit_scalars(e, ir->n_body, ir->n_ins, RPI_EMIT_SCALAR);
    rpi_emit_close(e);
  }
}
