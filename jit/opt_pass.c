/* SPDX-License-Identifier: Apache-2.0
 * jit/opt_pass.c -- the passes in their order, and what a kernel asks of the registers.
 * Common subexpressions are looked for again after hoisting: copies of constants that hoisting
 * made, and uniform values that several loops computed, meet in the prologue. */
#include "core/base/alloc.h"
#include "jit/opt_rewrite.h"

typedef struct pass {
  const char *name;
  rp_status (*run)(rpi_ir *ir);
} pass;

static const pass pass_table[] = {
    {"fold", rpi_opt_fold}, {"cse", rpi_opt_cse}, {"hoist", rpi_opt_hoist},
    {"cse", rpi_opt_cse},   {"dce", rpi_opt_dce},
};

rp_status rpi_opt_all(rpi_ir *ir) {
  for (int32_t p = 0; p < RPI_COUNT(pass_table); p++) {
    rp_status status = pass_table[p].run(ir);
#ifdef RPI_VALIDATE
    if (status == RP_OK) status = rpi_ir_check(ir);
#endif
    if (status != RP_OK) return rpi_status_context(status, "pass %s", pass_table[p].name);
  }
  return RP_OK;
}

/* ---- live values --------------------------------------------------------------------------- */

/* Bytes of a lane that the value keeps in a register; 0 for what is read where it is used. A bool is
 * a mask as wide as the widest type. */
static int32_t lane_bytes(const rpi_ir_ins *i) {
  static const uint8_t size[] = {8, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
  if (rpi_ir_op_result((rpi_irop)i->op) == 'N' || i->op == RPI_IR_CONST || i->op == RPI_IR_SCALAR ||
      i->op == RPI_IR_EXTENT) {
    return 0;
  }
  return size[i->dtype];
}

/* last[v]: the instruction after which value v is dead. A use inside a loop that v was made outside
 * of keeps v until that loop ends. `depth` and `open` are scratch of n_ins. */
static void last_uses(const rpi_ir *ir, int32_t *last, int32_t *depth, int32_t *open,
                      const int32_t *end) {
  int32_t d = 0;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    const rpi_ir_ins *n = &ir->ins[i];
    last[i] = n->op == RPI_IR_LOOP ? end[i] : i; /* the counter runs on, used or not */
    for (int32_t s = 0; s < n->n_src; s++) {
      int32_t v = rpi_ir_src(ir, n, s);
      if (v < ir->n_pro) continue;
      int32_t until = depth[v] < d ? end[open[depth[v]]] : i;
      if (until > last[v]) last[v] = until;
    }
    if (n->op == RPI_IR_LOOP) open[d++] = i;
    if (n->op == RPI_IR_ENDLOOP) d--;
    depth[i] = d;
  }
}

/* end[i] of each LOOP: its ENDLOOP. */
static void loop_ends(const rpi_ir *ir, int32_t *end, int32_t *open) {
  int32_t d = 0;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    if (ir->ins[i].op == RPI_IR_LOOP) open[d++] = i;
    if (ir->ins[i].op == RPI_IR_ENDLOOP) end[open[--d]] = i;
  }
}

int32_t rpi_opt_live(const rpi_ir *ir) {
  size_t n = (size_t)ir->n_ins + 1;
  int32_t *last = rpi_alloc_zero(5 * n * sizeof *last);
  if (!last) return 0; /* a guess for a heuristic */
  int32_t *depth = last + n, *open = depth + n, *end = open + n, *freed = end + n;
  int64_t bytes = 0, most = 0;
  loop_ends(ir, end, open);
  last_uses(ir, last, depth, open, end);
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) freed[last[i]] += lane_bytes(&ir->ins[i]);
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    bytes += lane_bytes(&ir->ins[i]);
    if (bytes > most) most = bytes;
    bytes -= freed[i];
  }
  rpi_alloc_free(last);
  return (int32_t)((most + 7) / 8);
}
