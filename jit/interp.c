/* SPDX-License-Identifier: Apache-2.0
 * jit/interp.c -- tier 0's entry points: calls, units, rows and blocks.
 *
 * Lives here: setting up the pointer table for a call, walking units, moving operands from block to
 *             block, accumulators of reductions over the space. Not here: steps and inner loops
 *             (interp_loop.c), the translation (interp_plan.c).
 * Invariants: a block never leaves a leaf, so every split of the units gives the same bits. */
#include "jit/interp.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/config.h"
#include "jit/interp_impl.h"

/* The row at hand: its coordinates, and for each moving place its address at column 0. */
typedef struct walk {
  int64_t coord[RP_MAX_DIM];
  int64_t row;
} walk;

static void set_place(const rpi_run *r, int32_t i) {
  const rpi_program *g = r->g;
  const rpi_ir_layout *l = &r->p->layout;
  const rpi_place *p = &g->place[i];
  const size_t arg = (size_t)p->arg;
  char **out = &r->ptr[i];
  switch (p->kind) {
    case RPI_PLACE_REGISTER: *out = r->scratch + g->at_register + arg * g->register_bytes; break;
    case RPI_PLACE_SPLAT: *out = r->scratch + g->at_splat + arg * RPI_SPLAT_BYTES; break;
    case RPI_PLACE_ACC: *out = r->scratch + g->at_acc + arg * RPI_ACCUMULATORS * 8; break;
    case RPI_PLACE_OFFSETS:
      *out = r->scratch + g->at_offsets + arg * (((size_t)(g->size + 1) * 4 + 63) & ~(size_t)63);
      break;
    case RPI_PLACE_MEMORY: *out = r->w[l->ptr + p->arg].p; break;
    case RPI_PLACE_STRIDE: *out = (char *)(intptr_t)r->w[p->stride + r->p->ir.rank - 1].i; break;
    case RPI_PLACE_WORD: *out = (char *)(uintptr_t)&r->w[l->uniform + p->arg]; break;
    default: *out = NULL; break;
  }
}

static rpi_run begin(const rpi_interp *p, rpi_section section, const rpi_word *w, void *scratch) {
  const rpi_program *g = &p->program[section];
  rpi_run r = {.p = p, .g = g, .w = w, .ptr = scratch, .scratch = scratch};
  r.state = (struct rpi_inner_state *)(void *)(r.scratch + g->at_state);
  r.aliased = (uint8_t *)(r.scratch + g->at_guard);
  for (int32_t i = 0; i < g->n_place; i++) set_place(&r, i);
  for (int32_t i = 0; i < g->n_guard; i++) {
    const rpi_guard *t = &g->guard[i];
    const void *own = w[p->layout.ptr + t->operand].p;
    r.aliased[i] = 0;
    for (int32_t k = 0; k < t->n_other; k++)
      r.aliased[i] |= w[p->layout.ptr + t->other[k]].p == own;
  }
  for (int32_t i = 0; i < g->n_fill; i++) {
    const rpi_fill *f = &g->fill[i];
    const int32_t size = rpi_dtype_size(f->dtype);
    rpi_interp_fill(r.ptr[f->place], f->word >= 0 ? w[f->word].u : f->bits, size,
                    RPI_SPLAT_BYTES / size);
  }
  rpi_interp_steps(&r, &g->once, 0);
  return r;
}

/* ---- prologue and epilogue: the program once, for one point */

static void run_once_in(const rpi_interp *p, rpi_section section, rpi_word *w, void *scratch) {
  const rpi_run r = begin(p, section, w, scratch);
  rpi_interp_steps(&r, &r.g->block, 1);
}

/* For the few programs with inner loops or many values; apart, so that others need little stack. */
RPI_NOINLINE static void run_once_large(const rpi_interp *p, rpi_section section, rpi_word *w) {
  RPI_ALIGNED(64) char scratch[RPI_KERNEL_SCRATCH];
  run_once_in(p, section, w, scratch);
}

static void run_once(const rpi_interp *p, rpi_section section, rpi_word *w) {
  RPI_ALIGNED(64) char scratch[16384];
  if (p->program[section].scratch > sizeof scratch)
    run_once_large(p, section, w);
  else
    run_once_in(p, section, w, scratch);
}

static void interp_pro(const void *self, rpi_word *w) {
  const rpi_interp *p = self;
  memset(&w[p->layout.uniform], 0, (size_t)p->ir.n_pro * sizeof *w);
  run_once(p, RPI_SECTION_PRO, w);
}

static void interp_epi(const void *self, rpi_word *w) { run_once(self, RPI_SECTION_EPI, w); }

/* ---- the body */

static void move_to(const rpi_run *r, const walk *k, int64_t column, int64_t partial_row) {
  const rpi_ir *ir = &r->p->ir;
  const rpi_ir_layout *l = &r->p->layout;
  for (int32_t i = 0; i < r->g->n_moving; i++) {
    const int32_t at = r->g->moving[i];
    const rpi_place *p = &r->g->place[at];
    int64_t offset = column;
    const char *base;
    if (p->kind == RPI_PLACE_PARTIAL) {
      offset += partial_row * r->w[l->extent + ir->rank - 1].i;
      base = r->w[l->partial + p->arg].p;
    } else {
      const rpi_word *stride = &r->w[p->stride];
      offset *= stride[ir->rank - 1].i;
      for (int32_t d = 0; d < ir->rank - 1; d++) offset += k->coord[d] * stride[d].i;
      base = r->w[l->ptr + p->arg].p;
    }
    r->ptr[at] = (char *)(uintptr_t)base + offset * p->size;
  }
  for (int32_t i = 0; i < r->g->n_coord; i++) {
    const int32_t at = r->g->coord[i], axis = r->g->place[at].arg;
    const int64_t local = axis == ir->rank - 1 ? column : k->coord[axis];
    r->ptr[at] = (char *)(intptr_t)(local + r->w[l->origin + axis].i);
  }
}

/* From one block of a row to the next. */
static void advance(const rpi_run *r, int64_t by) {
  const int32_t last = r->p->ir.rank - 1;
  for (int32_t i = 0; i < r->g->n_moving; i++) {
    const rpi_place *p = &r->g->place[r->g->moving[i]];
    const int64_t stride = p->kind == RPI_PLACE_PARTIAL ? 1 : r->w[p->stride + last].i;
    r->ptr[r->g->moving[i]] += by * stride * p->size;
  }
  for (int32_t i = 0; i < r->g->n_coord; i++)
    if (r->g->place[r->g->coord[i]].arg == last) r->ptr[r->g->coord[i]] += by;
}

static void go_to_row(const rpi_run *r, walk *k, int64_t row) {
  const rpi_word *extent = &r->w[r->p->layout.extent];
  int32_t d = r->p->ir.rank - 2;
  if (k->row >= 0 && row == k->row + 1) {
    for (; d >= 0 && ++k->coord[d] == extent[d].i; d--) k->coord[d] = 0;
  } else {
    for (int64_t rest = row; d >= 0; d--) {
      k->coord[d] = rest % extent[d].i;
      rest /= extent[d].i;
    }
  }
  k->row = row;
}

/* Blocks shorter than the accumulators: those of a block's columns. */
static void accumulators_at(const rpi_run *r, int64_t column) {
  for (int32_t i = 0; i < r->p->ir.n_red && r->g->size < RPI_ACCUMULATORS; i++) {
    const rp_dtype t = r->p->ir.operand[r->p->ir.red[i].operand].dtype;
    set_place(r, r->g->red_acc + i);
    r->ptr[r->g->red_acc + i] += column % RPI_ACCUMULATORS * rpi_dtype_size(t);
  }
}

/* Columns [c0, c1) of a row. */
static void run_columns(const rpi_run *r, walk *k, int64_t row, int64_t c0, int64_t c1,
                        int64_t partial_row) {
  const bool fresh = row != k->row;
  if (fresh) go_to_row(r, k, row);
  move_to(r, k, c0, partial_row);
  if (fresh) rpi_interp_steps(r, &r->g->row, 0);
  for (int64_t c = c0; c < c1; c += r->g->size) {
    const int64_t n = c1 - c < r->g->size ? c1 - c : r->g->size;
    if (c > c0) advance(r, r->g->size);
    accumulators_at(r, c);
    rpi_interp_steps(r, &r->g->block, n);
  }
  accumulators_at(r, 0);
}

static void leaf_unit(const rpi_run *r, walk *k, int64_t u, int64_t leaves, int64_t columns) {
  const rpi_ir *ir = &r->p->ir;
  const int64_t row = u / leaves, c0 = (u - row * leaves) * RPI_LEAF;
  const int64_t c1 = c0 + RPI_LEAF < columns ? c0 + RPI_LEAF : columns;
  for (int32_t i = 0; i < ir->n_red; i++) {
    const rp_dtype t = ir->operand[ir->red[i].operand].dtype;
    rpi_interp_fill(r->ptr[r->g->red_acc + i], rpi_ir_redop_identity(ir->red[i].op, t),
                    rpi_dtype_size(t), RPI_ACCUMULATORS);
  }
  run_columns(r, k, row, c0, c1, 0);
  for (int32_t i = 0; i < ir->n_red; i++) {
    const rp_dtype t = ir->operand[ir->red[i].operand].dtype;
    char *acc = r->ptr[r->g->red_acc + i];
    rpi_interp_loops(r->p, t)->fold[ir->red[i].op][t](acc, NULL, NULL, NULL, 0);
    memcpy((char *)r->w[r->p->layout.partial + i].p + u * rpi_dtype_size(t), acc,
           (size_t)rpi_dtype_size(t));
  }
}

typedef struct row_space {
  int64_t reduced, kept; /* rows over which is reduced (F); kept rows (Mk) */
} row_space;

static row_space row_space_of(const rpi_run *r) {
  const rpi_ir *ir = &r->p->ir;
  row_space s = {1, 1};
  for (int32_t d = 0; d < ir->rank - 1; d++) {
    const int64_t e = r->w[r->p->layout.extent + d].i;
    if (ir->red[0].mask >> d & 1)
      s.reduced *= e;
    else
      s.kept *= e;
  }
  return s;
}

static void row_unit(const rpi_run *r, walk *k, int64_t u, int64_t leaves, int64_t columns,
                     row_space s) {
  const rpi_ir *ir = &r->p->ir;
  const int64_t group = u / leaves, c0 = (u - group * leaves) * RPI_LEAF;
  const int64_t c1 = c0 + RPI_LEAF < columns ? c0 + RPI_LEAF : columns;
  const int64_t f0 = group / s.kept * RPI_ROW_LEAF, kr = group % s.kept;
  for (int32_t i = 0; i < ir->n_red; i++) {
    const rp_dtype t = ir->operand[ir->red[i].operand].dtype;
    const int32_t size = rpi_dtype_size(t);
    rpi_interp_fill((char *)r->w[r->p->layout.partial + i].p + (group * columns + c0) * size,
                    rpi_ir_redop_identity(ir->red[i].op, t), size, c1 - c0);
  }
  for (int64_t f = f0; f < f0 + RPI_ROW_LEAF && f < s.reduced; f++)
    run_columns(r, k, f * s.kept + kr, c0, c1, group);
}

static void interp_body(const void *self, const rpi_word *w, int64_t u0, int64_t u1,
                        void *scratch) {
  const rpi_interp *p = self;
  const int64_t columns = w[p->layout.extent + p->ir.rank - 1].i;
  const int64_t leaves = rpi_ir_leaves(columns);
  if (u0 >= u1) return;
  const rpi_run r = begin(p, RPI_SECTION_BODY, w, scratch);
  const bool rows = rpi_ir_row_mode(&p->ir);
  const row_space s = rows ? row_space_of(&r) : (row_space){0, 0};
  walk k = {.row = -1};
  for (int64_t u = u0; u < u1; u++) {
    if (rows)
      row_unit(&r, &k, u, leaves, columns, s);
    else
      leaf_unit(&r, &k, u, leaves, columns);
  }
}

/* ---- life */

rp_status rpi_interp_create(const rpi_ir *ir, int32_t vector, rpi_interp **out) {
  const bool wide = vector == RPI_VECTOR_AVX512;
  *out = NULL;
  rpi_interp *p = rpi_alloc_zero(sizeof *p);
  if (p == NULL) return rpi_status_nomem("an interpreter");
  p->narrow = wide ? &rpi_loops_avx512_narrow : &rpi_loops_avx2_narrow;
  p->wide = wide ? &rpi_loops_avx512_wide : &rpi_loops_avx2_wide;
  rp_status status = rpi_ir_copy(ir, &p->ir);
  if (status != RP_OK) {
    rpi_alloc_free(p);
    return status;
  }
  rpi_ir_layout_get(&p->ir, &p->layout);
  for (int32_t i = 0; i < 3 && status == RP_OK; i++) status = rpi_interp_plan(p, i, &p->program[i]);
  if (status != RP_OK) {
    rpi_interp_free(p);
    return status;
  }
  p->code = (rpi_kernel_code){.self = p, .body = interp_body, .tier = 0};
  if (p->ir.n_pro > 0) p->code.pro = interp_pro;
  if (p->ir.n_ins > p->ir.n_body) p->code.epi = interp_epi;
  *out = p;
  return RP_OK;
}

void rpi_interp_free(rpi_interp *p) {
  if (p == NULL) return;
  for (int32_t i = 0; i < 3; i++) rpi_interp_plan_deinit(&p->program[i]);
  rpi_ir_deinit(&p->ir);
  rpi_alloc_free(p);
}

const rpi_kernel_code *rpi_interp_code(const rpi_interp *p) { return &p->code; }
