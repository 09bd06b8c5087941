/* SPDX-License-Identifier: Apache-2.0
 * trace/subscript.c -- see subscript.h. */
#include "trace/subscript.h"

#include <string.h>

#include "core/model/dtype.h"

typedef struct finder {
  const rpi_subscript_kernel *k;
  const rpi_ir *ir;
  rpi_image *m;
  int32_t *node_of; /* per instruction: its node, -1: none yet */
  int32_t *level;   /* per node: tables on the way to it */
} finder;

static const rpi_image_node anything = {.kind = RPI_IMAGE_BOUNDS, .lo = INT64_MIN, .hi = INT64_MAX};

static int32_t add_node(finder *f, const rpi_image_node *n, int32_t level) {
  f->m->node[f->m->n_node] = *n;
  f->level[f->m->n_node] = level;
  return f->m->n_node++;
}

static int32_t add_bounds(finder *f, int64_t lo, int64_t hi) {
  const rpi_image_node n = {.kind = RPI_IMAGE_BOUNDS, .lo = lo, .hi = hi};
  return add_node(f, &n, 0);
}

static bool is_integer(rp_dtype t) {
  const int32_t kind = rpi_dtype_kind(t);
  return kind == RPI_KIND_I || kind == RPI_KIND_U || kind == RPI_KIND_B;
}

static int32_t node_for(finder *f, rpi_irval v);

static int32_t binary(finder *f, const rpi_ir_ins *i, rpi_image_kind kind) {
  rpi_image_node n = {.kind = kind};
  int32_t level = 0;
  for (int32_t s = 0; s < 2; s++) {
    n.src[s] = node_for(f, rpi_ir_src(f->ir, i, s));
    if (f->level[n.src[s]] > level) level = f->level[n.src[s]];
  }
  return add_node(f, &n, level);
}

/* Integer data, at the point or at subscripts. */
static int32_t data(finder *f, const rpi_ir_ins *i) {
  const rpi_group_operand *o = &f->k->group->operand[i->imm];
  rpi_image_node n = {.kind = i->op == RPI_IR_LOAD ? RPI_IMAGE_DATA : RPI_IMAGE_TABLE,
                      .symbol = o->symbol,
                      .dtype = i->dtype,
                      .geom = f->k->geom[i->imm]};
  int32_t level = 0;
  if (!is_integer(i->dtype)) return add_node(f, &anything, 0);
  for (int32_t d = 0; n.kind == RPI_IMAGE_TABLE && d < i->n_src; d++) {
    n.src[d] = node_for(f, rpi_ir_src(f->ir, i, d));
    if (f->level[n.src[d]] > level) level = f->level[n.src[d]];
  }
  return add_node(f, &n, level + (n.kind == RPI_IMAGE_TABLE));
}

/* Integers wrap, so arithmetic is understood in the type of subscripts only, and casts only where nothing is lost. */
static int32_t make_node(finder *f, rpi_irval v) {
  const rpi_ir_ins *i = &f->ir->ins[v];
  const bool in_body = v >= f->ir->n_pro;
  switch ((rpi_irop)i->op) {
    case RPI_IR_CONST:
      return i->dtype == RP_I64 ? add_bounds(f, (int64_t)i->imm, (int64_t)i->imm)
                                : add_node(f, &anything, 0);
    case RPI_IR_EXTENT: return add_bounds(f, f->k->param[i->imm].i, f->k->param[i->imm].i);
    case RPI_IR_INDEX:
      if (i->imm == 0) return add_node(f, &(rpi_image_node){.kind = RPI_IMAGE_ROW}, 0);
      return add_bounds(f, 0, f->k->extent[i->imm] - 1);
    case RPI_IR_LOAD:
    case RPI_IR_GATHER: return in_body ? data(f, i) : add_node(f, &anything, 0);
    case RPI_IR_CAST: {
      const rpi_irval from = rpi_ir_src(f->ir, i, 0);
      const rp_dtype t = f->ir->ins[from].dtype;
      return is_integer(t) && i->dtype == RP_I64 ? node_for(f, from) : add_node(f, &anything, 0);
    }
    case RPI_IR_LOOP: return binary(f, i, RPI_IMAGE_LOOP);
    case RPI_IR_ADD:
    case RPI_IR_SUB:
    case RPI_IR_MUL:
      if (i->dtype != RP_I64) return add_node(f, &anything, 0);
      return binary(f, i,
                    i->op == RPI_IR_ADD   ? RPI_IMAGE_ADD
                    : i->op == RPI_IR_SUB ? RPI_IMAGE_SUB
                                          : RPI_IMAGE_MUL);
    default: return add_node(f, &anything, 0);
  }
}

static int32_t node_for(finder *f, rpi_irval v) {
  if (f->node_of[v] < 0) f->node_of[v] = make_node(f, v);
  return f->node_of[v];
}

/* Room for a node for each of n instructions. */
static bool begin(finder *f, const rpi_subscript_kernel *k, int32_t o, int32_t n, rpi_image *out) {
  *f = (finder){.k = k, .ir = rpi_jit_ir(k->group->kernel), .m = out};
  *out = (rpi_image){.symbol = k->group->operand[o].symbol,
                     .elem = rpi_dtype_size(k->group->operand[o].ir.dtype),
                     .geom = k->geom[o]};
  out->node = rpi_arena_get(k->arena, sizeof *out->node * (size_t)(n + 1));
  out->use = rpi_arena_get(k->arena, sizeof *out->use * (size_t)(n + 1));
  f->node_of = rpi_arena_get(k->arena, sizeof *f->node_of * (size_t)(n + 1));
  f->level = rpi_arena_get(k->arena, sizeof *f->level * (size_t)(n + 1));
  if (k->arena->failed) return false;
  for (int32_t i = 0; i < n; i++) f->node_of[i] = -1;
  return true;
}

bool rpi_subscript_table(const rpi_subscript_kernel *k, int32_t o, rpi_image *out, int32_t *level) {
  finder f;
  const rpi_ir *ir = rpi_jit_ir(k->group->kernel);
  if (!begin(&f, k, o, 2 * ir->n_ins, out)) return false;
  *level = 1;
  for (int32_t v = 0; v < ir->n_ins; v++) {
    const rpi_ir_ins *i = &ir->ins[v];
    if (i->op != RPI_IR_GATHER || i->imm != (uint64_t)o) continue;
    rpi_image_use *u = &out->use[out->n_use++];
    /* All ranks run a prologue and an epilogue, also those without rows. */
    const bool by_all = v < ir->n_pro || v >= ir->n_body;
    for (int32_t d = 0; d < i->n_src; d++) {
      u->axis[d] = by_all ? add_node(&f, &anything, 0) : node_for(&f, rpi_ir_src(ir, i, d));
      if (f.level[u->axis[d]] >= *level) *level = f.level[u->axis[d]] + 1;
    }
  }
  return true;
}

bool rpi_subscript_affine(const rpi_subscript_kernel *k, int32_t o, rpi_image *out) {
  finder f;
  if (!begin(&f, k, o, RP_MAX_DIM, out)) return false;
  rpi_image_use *u = &out->use[out->n_use++];
  for (int32_t d = 0; d < out->geom.ndim; d++)
    u->axis[d] = d == 0 ? add_node(&f, &(rpi_image_node){.kind = RPI_IMAGE_ROW}, 0)
                        : add_bounds(&f, 0, out->geom.shape[d] - 1);
  return true;
}

/* Bounds that no data and no row move. */
static bool is_fixed(const rpi_image *m, int32_t node, int64_t *lo, int64_t *hi) {
  const rpi_image_node *n = &m->node[node];
  int64_t a, b;
  if (n->kind == RPI_IMAGE_LOOP)
    return is_fixed(m, n->src[0], lo, &a) && is_fixed(m, n->src[1], &b, hi) && --*hi >= *lo;
  *lo = n->lo;
  *hi = n->hi;
  return n->kind == RPI_IMAGE_BOUNDS;
}

bool rpi_subscript_is_everything(const rpi_image *m, int64_t n) {
  for (int32_t u = 0; u < m->n_use; u++) {
    int64_t size = 1, lo, hi;
    for (int32_t d = 0; d < m->geom.ndim && size > 0; d++) {
      const int64_t all = m->geom.shape[d];
      if (m->geom.stride[d] == 0) continue;
      if (!is_fixed(m, m->use[u].axis[d], &lo, &hi)) {
        size = 0;
        continue;
      }
      if (lo < 0) lo = 0;
      if (hi > all - 1) hi = all - 1;
      size *= hi - lo + 1;
    }
    if (size > n / 2) return true;
  }
  return false;
}
