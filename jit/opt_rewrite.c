/* SPDX-License-Identifier: Apache-2.0
 * jit/opt_rewrite.c -- the renumbering that all passes share. */
#include "jit/opt_rewrite.h"

#include <string.h>

#include "core/base/alloc.h"

rp_status rpi_opt_rewrite_begin(rpi_opt_rewrite *w, const rpi_ir *from) {
  w->from = from;
  w->map = NULL;
  if (from->failed) return rpi_status_nomem("a kernel's IR");
  RPI_TRY(rpi_ir_copy(from, &w->to));
  size_t bytes = (size_t)from->n_ins * sizeof *w->map;
  w->map = rpi_alloc(bytes);
  if (!w->map) {
    rpi_ir_deinit(&w->to);
    return rpi_status_nomem("a pass over a kernel's IR");
  }
  memset(w->map, 0xff, bytes); /* RPI_IR_NONE */
  w->to.n_ins = w->to.n_src = w->to.n_pro = w->to.n_body = 0;
  return RP_OK;
}

void rpi_opt_rewrite_mark(rpi_opt_rewrite *w, int32_t i) {
  if (i == w->from->n_pro) w->to.n_pro = w->to.n_ins;
  if (i == w->from->n_body) w->to.n_body = w->to.n_ins;
}

rpi_irval rpi_opt_rewrite_put(rpi_opt_rewrite *w, int32_t i, rpi_irop op, rp_dtype dtype,
                              uint64_t imm, int32_t n_src, const rpi_irval *src) {
  rpi_irval v = rpi_ir_emit(&w->to, op, dtype, imm, n_src, src);
  if (w->to.failed) return 0;
  w->to.ins[v].origin = w->from->ins[i].origin;
  w->map[i] = v;
  return v;
}

rpi_irval rpi_opt_rewrite_keep(rpi_opt_rewrite *w, int32_t i) {
  const rpi_ir_ins *old = &w->from->ins[i];
  rpi_irval src[UINT8_MAX];
  for (int32_t s = 0; s < old->n_src; s++) {
    src[s] = w->map[rpi_ir_src(w->from, old, s)];
    rpi_assert(src[s] != RPI_IR_NONE);
  }
  return rpi_opt_rewrite_put(w, i, (rpi_irop)old->op, old->dtype, old->imm, old->n_src, src);
}

rp_status rpi_opt_rewrite_end(rpi_opt_rewrite *w, rpi_ir *ir) {
  rpi_opt_rewrite_mark(w, w->from->n_ins);
  if (w->to.failed) {
    rpi_opt_rewrite_drop(w);
    return rpi_status_nomem("a pass over a kernel's IR");
  }
  rpi_alloc_free(w->map);
  rpi_ir_deinit(ir);
  *ir = w->to;
  return RP_OK;
}

void rpi_opt_rewrite_drop(rpi_opt_rewrite *w) {
  rpi_alloc_free(w->map);
  rpi_ir_deinit(&w->to);
}
