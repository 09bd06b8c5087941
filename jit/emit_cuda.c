/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_cuda.c -- a text of CUDA kernels: a head for all, then each one's kernels.
 *
 * Lives here: what a text is made of, and rpk_main and rpk_fin from their parts.
 * Not here:   the loops over units (emit_cuda_body.c), the lines inside them (emit_cuda_line.c), prologue
 *             and end (emit_cuda_end.c), grids and parameters (emit_cuda_form.c).
 * How:        the same instructions, names and scalar functions as the C text (emit_c_impl.h); a thread is what an
 *             inner loop of the C text is: scalar code at one point. */
#include "jit/emit_cuda.h"

#include "core/base/alloc.h"
#include "core/model/dtype.h"
#include "jit/emit_cuda_impl.h"

extern const char
    rpi_cuda_head_text[]; /* jit/lanes_cuda.h and jit/lanes.h, embedded by the build */
extern const char rpi_cuda_frame_text[]; /* jit/cuda_frame.h */
extern const char rpi_cuda_board_text[]; /* jit/cuda_board.h */

enum {
  LIVE = 20,
  TEAM = 12
}; /* values of 64 bits that a thread of 64 registers can hold beside indices; of a team's loop */
enum {
  SMALL_LOADS = 20,
  SMALL_OPERANDS = 6,
  SMALL_BODY = 40
}; /* registers of what a point reads, operands, instructions: of a body for which 48 registers do */
enum { LEAST_LOADS = 10, LEAST_LIVE = 8 }; /* the same, and values at once: for which 32 do */
enum { WIDE_OPERANDS = 13 }; /* of more, wide places and what is read of them want 80 */
/* rpi_emit.folds: bit of an operator's RPG_FINISH, then of its RPG_FOLD, then of its RPG_COLLECT */
enum { FOLD = 16, COLLECT = 32 };

static void emit_head(const rpi_cuda_unit *unit, int32_t n, rpi_strbuf *out) {
  uint32_t used = 1u << RP_I64 | 1u << RP_BOOL;
  for (int32_t k = 0; k < n; k++) used |= rpi_emit_dtypes(unit[k].ir);
  for (int32_t t = 0; t < RPI_N_DTYPE; t++)
    if (used >> t & 1) rpi_strbuf_addf(out, "#define RPV_USE_%s\n", rpi_dtype_name(t));
  rpi_strbuf_add(out, "#line 1 \"lanes.h\"\n");
  rpi_strbuf_add(out, rpi_cuda_head_text);
  rpi_strbuf_add(out, "#line 1 \"cuda_frame.h\"\n");
  rpi_strbuf_add(out, rpi_cuda_frame_text);
  for (int32_t k = 0; k < n; k++) {
    if (!rpi_cuda_loops(unit[k].ir)) continue;
    rpi_strbuf_add(out, "#line 1 \"cuda_board.h\"\n");
    rpi_strbuf_add(out, rpi_cuda_board_text);
    break;
  }
  rpi_strbuf_add(out, "#line 1 \"kernel.cu\"\n");
}

static void emit_fold(rpi_emit *e, rpi_redop op, rp_dtype t) {
  if (!(e->folds[t] >> (FOLD + op) & 1))
    rpi_emit_line(e, "RPG_FOLD(%s, %s)", rpi_ir_redop_name(op), rpi_dtype_name(t));
  e->folds[t] |= UINT64_C(1) << (FOLD + op);
}

/* What reductions need of the frame, if the text does not have it yet. */
static void emit_operators(rpi_emit *e) {
  for (int32_t i = e->ir->n_pro; i < e->ir->n_body; i++) {
    rpi_redop op;
    rp_dtype t;
    if (!rpi_emit_is_team(e, i)) continue;
    rpi_emit_team_folds(e, i, &op, &t);
    emit_fold(e, op, t);
    if (!(e->folds[t] >> (COLLECT + op) & 1))
      rpi_emit_line(e, "RPG_COLLECT(%s, %s)", rpi_ir_redop_name(op), rpi_dtype_name(t));
    e->folds[t] |= UINT64_C(1) << (COLLECT + op);
  }
  for (int32_t r = 0; r < e->ir->n_red; r++) {
    const rp_dtype t = rpi_emit_red_dtype(e, r);
    const int32_t op = e->ir->red[r].op;
    const char *name = rpi_emit_red_name(&e->ir->red[r]);
    if (!(e->folds[t] >> op & 1)) rpi_emit_line(e, "RPG_FINISH(%s, %s)", name, rpi_dtype_name(t));
    e->folds[t] |= UINT64_C(1) << op;
    if (!e->row_mode) emit_fold(e, (rpi_redop)op, t);
  }
}

/* Registers of what a point reads, if it is a few loads, as a stencil's, a little arithmetic, and stores; 0: it is more. */
static int32_t small_loads(const rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  int32_t loads = 0;
  if (ir->n_red > 0 || e->teams || ir->n_operand > SMALL_OPERANDS) return 0;
  if (e->wide && e->lanes > 2) return 0; /* indices take twice as many */
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    const rpi_ir_ins *ins = &ir->ins[i];
    if (rpi_ir_op_class((rpi_irop)ins->op) == 'M' || ins->op == RPI_IR_GATHER) return 0;
    if (ins->op == RPI_IR_LOAD) loads += e->lanes * (rpi_dtype_size(ins->dtype) > 4 ? 2 : 1);
  }
  return loads <= SMALL_LOADS && ir->n_body - ir->n_pro <= SMALL_BODY ? loads : 0;
}

/* Blocks that should run on a multiprocessor at once: 4 leave 64 registers to a thread, which most bodies can do with.
 * Without a bound the end, which runs once, would say how many registers the body has. A small body gets more than it needs
 * unless it is told; what it wants is many points on their way, of whose loads, if it is a stencil, one goes to memory. */
static void emit_at_once(rpi_emit *e) {
  const int32_t live = e->lanes * rpi_opt_live(e->ir) + (e->teams ? TEAM : 0);
  const int32_t loads = small_loads(e);
  int32_t blocks = live <= LIVE ? 4 : 2;
  if (blocks == 4 && loads > 0)
    blocks = !e->wide && loads <= LEAST_LOADS && live <= LEAST_LIVE ? 8 : 5;
  if (blocks == 4 && e->wide && e->ir->n_operand > WIDE_OPERANDS) blocks = 3;
  rpi_emit_line(e, "#undef RPG_AT_ONCE");
  rpi_emit_line(e, "#define RPG_AT_ONCE %d", blocks);
}

static void emit_main(rpi_emit *e, const rpi_cuda_form *form) {
  const rpi_ir *ir = e->ir;
  const bool direct = rpi_cuda_may_be_direct(ir);
  rpi_emit_open(e, "RPG_KERNEL(rpk_main_%s, rpk_args_%.8s) {", e->key, e->key);
  rpi_emit_line(e, "const rpk_word *const w = a.w;");
  rpi_emit_open(e, "{");
  rpi_emit_cuda_bounds(e);
  rpi_emit_cuda_prologue(e, form, form->ends);
  if (ir->n_body > ir->n_pro) {
    rpi_emit_open(e, "{");
    rpi_emit_operands(e, ir->n_pro, ir->n_body);
    rpi_emit_cuda_units(e);
    rpi_emit_close(e);
  }
  if (ir->n_red > 0) rpi_emit_line(e, "if (a.mode & %d) return;", 1 | RPI_CUDA_BODY);
  if (direct && ir->n_ins == ir->n_body) rpi_emit_line(e, "if (direct) return;");
  if (form->ends) {
    rpi_emit_line(e, "if (!rpk_last((uint32_t *)w[%d].p)) return;", e->l.flag);
    rpi_emit_cuda_end(e, form, true, "RPK_ALL, 0, 1");
  }
  rpi_emit_close(e);
  rpi_emit_close(e);
}

static void emit_fin(rpi_emit *e, const rpi_cuda_form *form) {
  rpi_emit_open(e, "RPG_KERNEL(rpk_fin_%s, rpk_args_%.8s) {", e->key, e->key);
  rpi_emit_line(e, "const rpk_word *const w = a.w;");
  rpi_emit_cuda_prologue(e, form, false);
  if (e->spread) {
    rpi_emit_line(e, "const int far = (a.mode & %d) != 0;", RPI_CUDA_FAR);
    rpi_emit_line(e, "if (far) rpk_leaves_%.8s(w, a.u0, a.u1);", e->key);
    rpi_emit_line(e, "if (a.mode & %d) return;", RPI_CUDA_BODY);
  }
  rpi_emit_line(e, "%srpk_join_%.8s(w, a.mode, RPK_FIRST, RPG_BLOCK, RPG_BLOCKS);",
                e->spread ? "if (!far) " : "", e->key);
  rpi_emit_line(e, "if (!rpk_last((uint32_t *)w[%d].p)) return;", e->l.flag);
  rpi_emit_cuda_end(e, form, false,
                    e->spread ? "far ? RPK_ALL : RPK_REST, 0, RPG_BLOCKS"
                              : "RPK_REST, 0, RPG_BLOCKS");
  rpi_emit_close(e);
}

static rp_status emit_kernel(const rpi_cuda_unit *unit, uint64_t *folds, rpi_strbuf *out) {
  const rpi_ir *ir = unit->ir;
  rpi_cuda_form form;
  char name[160];
  rpi_cuda_form_get(ir, &unit->shape, &form);
  rpi_emit e = {.ir = ir,
                .key = unit->key,
                .out = out,
                .folds = folds,
                .lanes = form.lanes,
                .index = unit->shape.wide ? "int64_t" : "int32_t",
                .cuda = true,
                .apart = form.apart,
                .wide = unit->shape.wide,
                .teams = form.teams,
                .spread = form.spread,
                .aligned = unit->shape.aligned,
                .loop_inner = -1};
  e.end = rpi_alloc_zero(((size_t)ir->n_ins + 1) * sizeof *e.end);
  if (!e.end) return rpi_status_nomem("a plan of a kernel's text");
  rpi_ir_layout_get(ir, &e.l);
  e.l.partial -= ir->n_pro;
  e.l.flag -= ir->n_pro;
  e.l.values -= ir->n_pro;
  e.l.board -= ir->n_pro;
  e.row_mode = ir->n_red > 0 && rpi_ir_row_mode(ir);
  for (int32_t d = 0; e.row_mode && d < ir->rank; d++) e.n_prefix += ir->red[0].mask >> d & 1;
  for (int32_t o = 0; o < ir->n_operand; o++) e.checked |= ir->operand[o].checked != 0;
  const rp_status status = rpi_emit_plan_loops(&e);
  if (status == RP_OK) {
    rpi_emit_worker_name(&e, name, sizeof name);
    rpi_emit_line(&e, "/* %s: rank %d, %d instructions, %d operands, %d reductions. */", name,
                  ir->rank, ir->n_ins, ir->n_operand, ir->n_red);
    emit_operators(&e);
    emit_at_once(&e);
    rpi_emit_line(&e, "struct rpk_args_%.8s { int64_t u0, u1, mode; rpk_word w[%d]; };", e.key,
                  form.n_words);
    if (form.apart) rpi_emit_cuda_apart(&e);
    if (ir->n_red > 0) rpi_emit_cuda_join(&e);
    if (e.spread) rpi_emit_cuda_leaves(&e);
    for (int32_t i = ir->n_pro; i < ir->n_body; i++)
      if (rpi_emit_is_team(&e, i)) rpi_emit_team_long(&e, i);
    if (rpi_emit_has_team(&e)) rpi_emit_team_assist(&e);
    emit_main(&e, &form);
    if (form.finishes) emit_fin(&e, &form);
  }
  rpi_alloc_free(e.end);
  return status;
}

rp_status rpi_emit_cuda(const rpi_cuda_unit *unit, int32_t n, rpi_strbuf *out) {
  uint64_t folds[RPI_N_DTYPE] = {0};
  emit_head(unit, n, out);
  for (int32_t k = 0; k < n; k++) RPI_TRY(emit_kernel(&unit[k], folds, out));
  return out->failed ? rpi_status_nomem("a kernel's text") : RP_OK;
}
