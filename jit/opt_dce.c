/* SPDX-License-Identifier: Apache-2.0
 * jit/opt_dce.c -- removes instructions that no store and no reduction needs. A checked gather stays:
 * it may raise the kernel's flag, whatever becomes of its value.
 * How: one walk backwards marks what is needed (sources come before their users; an ENDLOOP needs its
 * LOOP, and values inside a loop are needed through its ENDLOOP only), one forwards keeps it. */
#include "core/base/alloc.h"
#include "jit/opt_rewrite.h"

/* The LOOP of each ENDLOOP; at a LOOP the one around it, which makes the stack of open ones. */
static void pair_loops(const rpi_ir *ir, int32_t *pair) {
  int32_t open = -1;
  for (int32_t i = 0; i < ir->n_ins; i++) {
    if (ir->ins[i].op == RPI_IR_LOOP) {
      pair[i] = open;
      open = i;
    } else if (ir->ins[i].op == RPI_IR_ENDLOOP) {
      pair[i] = open;
      open = pair[open];
    }
  }
}

/* Checked gathers and the loops around them. */
static void mark_checked(const rpi_ir *ir, const int32_t *pair, bool *needed) {
  int32_t open = -1;
  for (int32_t i = 0; i < ir->n_ins; i++) {
    const rpi_ir_ins *n = &ir->ins[i];
    if (n->op == RPI_IR_LOOP) open = i;
    if (n->op == RPI_IR_ENDLOOP) open = pair[pair[i]];
    if (n->op != RPI_IR_GATHER || !ir->operand[n->imm].checked) continue;
    needed[i] = true;
    for (int32_t l = open; l >= 0; l = pair[l]) needed[l] = true;
  }
}

static void mark(const rpi_ir *ir, const int32_t *pair, bool *needed) {
  for (int32_t i = ir->n_ins - 1; i >= 0; i--) {
    const rpi_ir_ins *n = &ir->ins[i];
    if (n->op == RPI_IR_ENDLOOP && needed[pair[i]]) needed[i] = true;
    if (n->op == RPI_IR_STORE || n->op == RPI_IR_REDUCE) needed[i] = true;
    if (!needed[i]) continue;
    if (n->op == RPI_IR_ENDLOOP) needed[pair[i]] = true;
    for (int32_t s = 0; s < n->n_src; s++) needed[rpi_ir_src(ir, n, s)] = true;
  }
}

rp_status rpi_opt_dce(rpi_ir *ir) {
  rpi_opt_rewrite w;
  RPI_TRY(rpi_opt_rewrite_begin(&w, ir));
  int32_t *pair = rpi_alloc((size_t)ir->n_ins * sizeof *pair);
  bool *needed = rpi_alloc_zero((size_t)ir->n_ins * sizeof *needed);
  bool ok = pair && needed;
  if (ok) {
    pair_loops(ir, pair);
    mark_checked(ir, pair, needed);
    mark(ir, pair, needed);
    for (int32_t i = 0; i < ir->n_ins && !w.to.failed; i++) {
      rpi_opt_rewrite_mark(&w, i);
      if (needed[i]) rpi_opt_rewrite_keep(&w, i);
    }
  }
  rpi_alloc_free(needed);
  rpi_alloc_free(pair);
  if (ok) return rpi_opt_rewrite_end(&w, ir);
  rpi_opt_rewrite_drop(&w);
  return rpi_status_nomem("a pass over a kernel's IR");
}
