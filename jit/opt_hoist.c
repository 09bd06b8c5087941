/* SPDX-License-Identifier: Apache-2.0
 * jit/opt_hoist.c -- what is the same at every point moves from the body to the prologue.
 *
 * Lives here: the walk. Uniform are CONST, SCALAR and EXTENT, LOADs of operands that are only read
 *             and have no stride, and pure computation on uniform values (from inside loops too).
 * How:        CONST, SCALAR and EXTENT are copied, not moved: the body has them for nothing. Where
 *             neither side needs a copy, opt_dce removes it. */
#include <string.h>

#include "core/base/alloc.h"
#include "jit/opt_rewrite.h"

typedef struct hoister {
  rpi_opt_rewrite w;
  rpi_irval *early; /* number in the new prologue of each old value; RPI_IR_NONE: none */
  bool *uniform;    /* per old value */
} hoister;

static bool is_free(int32_t op) {
  return op == RPI_IR_CONST || op == RPI_IR_SCALAR || op == RPI_IR_EXTENT;
}

static bool read_only_scalar(const rpi_ir_operand *o) {
  for (int32_t d = 0; d < o->rank; d++) {
    if (o->sclass[d] != RPI_STRIDE_ZERO) return false;
  }
  return o->access == RPI_ACCESS_READ;
}

static bool is_uniform(const hoister *h, const rpi_ir_ins *i) {
  if (is_free(i->op)) return true;
  if (i->op == RPI_IR_LOAD) return read_only_scalar(&h->w.from->operand[i->imm]);
  if (rpi_ir_op_class((rpi_irop)i->op) == 'X') return false;
  for (int32_t s = 0; s < i->n_src; s++) {
    if (!h->uniform[rpi_ir_src(h->w.from, i, s)]) return false;
  }
  return true;
}

/* Old value v, which is uniform, in the prologue: made there now if it is not there yet. */
static rpi_irval early(hoister *h, int32_t v) {
  const rpi_ir_ins *i = &h->w.from->ins[v];
  if (h->early[v] == RPI_IR_NONE) {
    rpi_assert(is_free(i->op));
    h->early[v] = rpi_opt_rewrite_put(&h->w, v, (rpi_irop)i->op, i->dtype, i->imm, 0, NULL);
  }
  return h->early[v];
}

static void move(hoister *h, int32_t v) {
  const rpi_ir_ins *i = &h->w.from->ins[v];
  rpi_irval src[UINT8_MAX];
  for (int32_t s = 0; s < i->n_src; s++) src[s] = early(h, rpi_ir_src(h->w.from, i, s));
  h->early[v] = rpi_opt_rewrite_put(&h->w, v, (rpi_irop)i->op, i->dtype, i->imm, i->n_src, src);
}

static void walk(hoister *h) {
  const rpi_ir *from = h->w.from;
  for (int32_t v = 0; v < from->n_pro && !h->w.to.failed; v++) {
    h->early[v] = rpi_opt_rewrite_keep(&h->w, v);
    h->uniform[v] = true;
  }
  for (int32_t v = from->n_pro; v < from->n_body && !h->w.to.failed; v++) {
    h->uniform[v] = is_uniform(h, &from->ins[v]);
    if (h->uniform[v] && !is_free(from->ins[v].op)) move(h, v);
  }
  h->w.to.n_pro = h->w.to.n_ins;
  for (int32_t v = from->n_pro; v < from->n_ins && !h->w.to.failed; v++) {
    if (v == from->n_body) h->w.to.n_body = h->w.to.n_ins;
    bool moved = v < from->n_body && h->uniform[v] && !is_free(from->ins[v].op);
    if (!moved) rpi_opt_rewrite_keep(&h->w, v);
  }
  if (from->n_body == from->n_ins) h->w.to.n_body = h->w.to.n_ins;
}

rp_status rpi_opt_hoist(rpi_ir *ir) {
  hoister h = {0};
  size_t n = (size_t)ir->n_ins;
  RPI_TRY(rpi_opt_rewrite_begin(&h.w, ir));
  h.early = rpi_alloc(n * sizeof *h.early);
  h.uniform = rpi_alloc_zero(n * sizeof *h.uniform);
  bool ok = h.early && h.uniform;
  int32_t n_pro = 0, n_body = 0;
  if (ok) {
    memset(h.early, 0xff, n * sizeof *h.early); /* RPI_IR_NONE */
    walk(&h);
    n_pro = h.w.to.n_pro;
    n_body = h.w.to.n_body;
  }
  rpi_alloc_free(h.uniform);
  rpi_alloc_free(h.early);
  if (!ok) {
    rpi_opt_rewrite_drop(&h.w);
    return rpi_status_nomem("a pass over a kernel's IR");
  }
  RPI_TRY(rpi_opt_rewrite_end(&h.w, ir));
  ir->n_pro = n_pro;
  ir->n_body = n_body;
  return RP_OK;
}
