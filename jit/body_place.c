/* SPDX-License-Identifier: Apache-2.0
 * jit/body_place.c -- the geometry of a launch: extents, reduced axes, bounds, boxes of operands.
 *
 * Lives here: everything of a body that depends on the shapes of a launch, in O(size of the body).
 * Not here:   types (body_type.c); stores and their versions.
 * How:        facts first (logical axes; the kernel's order of axes), with every check; then boxes:
 *             stride of a kernel axis = sum over the argument's axes of coefficient * stride.
 *             Axes that all reductions share and the last axis is not among come first in the
 *             kernel's order (ROW mode wants a prefix).
 * Invariant:  a bound is checked in 128 bits; coefficients stay below 2^41, so it cannot
 *             overflow. */
#include <stdio.h>
#include <string.h>

#include "jit/body_tree.h"

static rp_status shape_fail(const rpi_body *b, const rpi_body_arg *args, int32_t store, int32_t at,
                            int32_t ndim, const int64_t *shape, const char *why) {
  char mine[RPI_GEOM_SHAPE], space[RPI_GEOM_SHAPE];
  return rpi_body_lex_fail(
      RP_ERR_SHAPE, "body", b->text, at, "'%s' has shape %s, %s %s", b->store_name[store],
      rpi_geom_print_shape(args[store].geom.ndim, args[store].geom.shape, mine), why,
      rpi_geom_print_shape(ndim, shape, space));
}

/* ---- the whole-array form: broadcasting */

static rp_status broadcast(const rpi_body *b, const rpi_body_arg *args, rpi_body_facts *f) {
  f->rank = 0;
  for (int32_t i = 0; i < b->n_access; i++) {
    const rpi_body_access *a = &b->access[i];
    const rpi_body_arg *arg = &args[a->store];
    if (arg->dtype >= 0 && arg->geom.ndim > f->rank) f->rank = arg->geom.ndim;
  }
  for (int32_t d = 0; d < f->rank; d++) f->extent[d] = 1;
  for (int32_t i = 0; i < b->n_access; i++) {
    const rpi_body_access *a = &b->access[i];
    const rpi_body_arg *arg = &args[a->store];
    if (arg->dtype < 0) continue;
    int32_t shift = f->rank - arg->geom.ndim;
    for (int32_t d = 0; d < arg->geom.ndim; d++) {
      int64_t n = arg->geom.shape[d];
      int64_t *e = &f->extent[shift + d];
      if (*e == 1) *e = n;
      if (n != *e && n != 1) {
        return shape_fail(b, args, a->store, a->at, f->rank, f->extent,
                          "which does not broadcast with");
      }
    }
  }
  return RP_OK;
}

static rp_status whole_masks(const rpi_body *b, const rpi_body_arg *args, rpi_body_facts *f) {
  for (int32_t i = 0; i < b->n_stmt; i++) {
    const rpi_body_stmt *s = &b->stmt[i];
    const rpi_geom *g = &args[s->dest].geom;
    int32_t shift = f->rank - g->ndim;
    uint8_t mask = 0;
    for (int32_t d = 0; d < f->rank; d++) {
      if (d < shift || (g->shape[d - shift] == 1 && f->extent[d] != 1)) mask |= (uint8_t)(1u << d);
    }
    if (mask != 0 && s->asg == RPI_ASG_SET) {
      return shape_fail(b, args, s->dest, s->at, f->rank, f->extent, "but '=' gives it the shape");
    }
    f->mask[s->dest] = mask;
  }
  return RP_OK;
}

/* ---- the indexed form */

static rp_status check_ranks(const rpi_body *b, const rpi_body_arg *args) {
  for (int32_t i = 0; i < b->n_access; i++) {
    const rpi_body_access *a = &b->access[i];
    if (args[a->store].dtype >= 0 && args[a->store].geom.ndim != a->n_sub) {
      char buf[RPI_GEOM_SHAPE];
      return rpi_body_lex_fail(
          RP_ERR_SHAPE, "body", b->text, a->at, "'%s' has shape %s, but %d subscript%s here",
          b->store_name[a->store],
          rpi_geom_print_shape(args[a->store].geom.ndim, args[a->store].geom.shape, buf), a->n_sub,
          a->n_sub == 1 ? "" : "s");
    }
  }
  return RP_OK;
}

static const rpi_body_access *dest_access(const rpi_body *b, const rpi_body_stmt *s) {
  return &b->access[s->access + s->n_access - 1];
}

/* The logical axis of the destination's subscript j. */
static int32_t dest_axis(const rpi_body *b, const rpi_body_stmt *s, int32_t j) {
  const rpi_body_affine *f = &b->affine[dest_access(b, s)->affine + j];
  int32_t d = 0;
  while (f->coef[d] == 0) d++;
  return d;
}

static rp_status agree_fail(const rpi_body *b, const rpi_body_arg *args, const rpi_body_use *u,
                            int32_t store, int32_t axis, const char *why) {
  return rpi_body_lex_fail(RP_ERR_SHAPE, "body", b->text, u->at,
                           "axis %d of '%s' has extent %lld, but axis %d of '%s' has %lld, and %s",
                           u->axis, b->store_name[u->store],
                           (long long)args[u->store].geom.shape[u->axis], axis,
                           b->store_name[store], (long long)args[store].geom.shape[axis], why);
}

/* Extents of the axes of one statement. */
static rp_status stmt_extents(const rpi_body *b, const rpi_body_arg *args, const rpi_body_stmt *s,
                              int64_t *extent) {
  const rpi_body_use *from[RP_MAX_DIM] = {NULL};
  bool fixed[RP_MAX_DIM] = {false};
  for (int32_t j = 0; j < s->n_sub && !s->scatter; j++) {
    int32_t d = dest_axis(b, s, j);
    fixed[d] = true;
    extent[d] = args[s->dest].geom.shape[j];
  }
  for (int32_t i = s->use; i < s->use + s->n_use; i++) {
    const rpi_body_use *u = &b->use[i];
    if (u->range >= 0 || fixed[u->index] || u->coef != 1 || u->k != 0) continue;
    int64_t n = args[u->store].geom.shape[u->axis];
    if (from[u->index] != NULL && extent[u->index] != n) {
      return agree_fail(b, args, u, from[u->index]->store, from[u->index]->axis,
                        "one index runs over both");
    }
    from[u->index] = u;
    extent[u->index] = n;
  }
  return RP_OK;
}

/* Loops over an extent: all axes that their index stands alone in agree. */
static rp_status check_loops(const rpi_body *b, const rpi_body_arg *args) {
  for (int32_t i = 0; i < b->n_use; i++) {
    const rpi_body_use *u = &b->use[i];
    if (u->range < 0 || b->range[u->range].lo >= 0) continue;
    for (int32_t j = 0; j < i; j++) {
      const rpi_body_use *o = &b->use[j];
      if (o->range != u->range) continue;
      if (args[o->store].geom.shape[o->axis] != args[u->store].geom.shape[u->axis]) {
        return agree_fail(b, args, u, o->store, o->axis, "one index runs over both");
      }
      break; /* the first one stands for all */
    }
  }
  return RP_OK;
}

static int64_t term_extent(const rpi_body_arg *args, int32_t store, int32_t axis) {
  const rpi_geom *g = &args[store].geom;
  return g->shape[axis < 0 ? axis + g->ndim : axis];
}

/* Value of the constant part. */
static rpi_body_wide affine_origin(const rpi_body_arg *args, const rpi_body_affine *a) {
  rpi_body_wide k = a->k;
  for (int32_t i = 0; i < a->n_term; i++) {
    k += (rpi_body_wide)a->term[i].coef * term_extent(args, a->term[i].store, a->term[i].axis);
  }
  return k;
}

static rp_status check_bounds(const rpi_body *b, const rpi_body_arg *args, const rpi_body_facts *f,
                              const rpi_body_access *a) {
  for (int32_t j = 0; j < a->n_sub; j++) {
    if ((a->bounded >> j & 1) == 0) continue;
    const rpi_body_affine *form = &b->affine[a->affine + j];
    rpi_body_wide lo = affine_origin(args, form), hi = lo;
    for (int32_t d = 0; d < f->rank; d++) {
      rpi_body_wide reach = (rpi_body_wide)form->coef[d] * (f->extent[d] - 1);
      if (reach < 0) lo += reach;
      if (reach > 0) hi += reach;
    }
    int64_t n = args[a->store].geom.shape[j];
    if (lo < 0 || hi >= n) {
      return rpi_body_lex_fail(RP_ERR_SHAPE, "body", b->text, a->at,
                               "'%s' is %s at indices %lld..%lld of axis %d, whose extent is %lld",
                               b->store_name[a->store], a->node < 0 ? "written" : "read",
                               (long long)lo, (long long)hi, j, (long long)n);
    }
  }
  return RP_OK;
}

static rp_status indexed_facts(const rpi_body *b, const rpi_body_arg *args, rpi_body_facts *f) {
  RPI_TRY(check_ranks(b, args));
  for (int32_t i = 0; i < b->n_stmt; i++) {
    const rpi_body_stmt *s = &b->stmt[i];
    int64_t extent[RP_MAX_DIM] = {0};
    RPI_TRY(stmt_extents(b, args, s, extent));
    if (i == 0) {
      f->rank = s->n_axis;
      memcpy(f->extent, extent, sizeof extent);
    } else if (memcmp(extent, f->extent, (size_t)f->rank * sizeof *extent) != 0) {
      char first[RPI_GEOM_SHAPE], mine[RPI_GEOM_SHAPE];
      return rpi_body_lex_fail(RP_ERR_SHAPE, "body", b->text, s->at,
                               "this statement ranges over %s, the first one over %s",
                               rpi_geom_print_shape(f->rank, extent, mine),
                               rpi_geom_print_shape(f->rank, f->extent, first));
    }
    f->mask[s->dest] = s->mask;
  }
  RPI_TRY(check_loops(b, args));
  for (int32_t d = 0; d < f->rank; d++) {
    if (f->extent[d] == 0) return RP_OK;
  }
  for (int32_t i = 0; i < b->n_access; i++) {
    if (b->access[i].affine >= 0) RPI_TRY(check_bounds(b, args, f, &b->access[i]));
  }
  return RP_OK;
}

/* ---- both forms */

/* Axes that extent(x, d) names: before anything asks for such an extent. */
static rp_status check_extents(const rpi_body *b, const rpi_body_arg *args) {
  for (int32_t i = 0; i < b->n_node; i++) {
    const rpi_body_node *n = &b->node[i];
    if (n->kind != RPI_NODE_EXTENT) continue;
    int64_t axis = (int64_t)n->v.u;
    const rpi_geom *g = &args[n->ref].geom;
    char buf[RPI_GEOM_SHAPE];
    if (axis >= g->ndim || axis < -g->ndim) {
      return rpi_body_lex_fail(RP_ERR_SHAPE, "body", b->text, n->at,
                               "'%s' has shape %s, so it has no axis %lld", b->store_name[n->ref],
                               rpi_geom_print_shape(g->ndim, g->shape, buf), (long long)axis);
    }
  }
  return RP_OK;
}

/* Axes that index(d) names. */
static rp_status check_coords(const rpi_body *b, const rpi_body_facts *f) {
  for (int32_t i = 0; i < b->n_node; i++) {
    const rpi_body_node *n = &b->node[i];
    if (n->kind == RPI_NODE_COORD && (n->ref >= f->rank || n->ref < -f->rank)) {
      return rpi_body_lex_fail(RP_ERR_SHAPE, "body", b->text, n->at,
                               "the space has %d axes, so it has no axis %d", f->rank, n->ref);
    }
  }
  return RP_OK;
}

/* The kernel's order of axes. */
static rp_status order_axes(const rpi_body *b, rpi_body_facts *f) {
  uint8_t last = f->rank > 0 ? (uint8_t)(1u << (f->rank - 1)) : 0, first = 0;
  for (int32_t i = 0; i < b->n_stmt; i++) {
    uint8_t mask = f->mask[b->stmt[i].dest];
    if (mask == 0) continue;
    if (first == 0) first = mask;
    bool leaf = (mask & last) != 0;
    if (leaf != ((first & last) != 0) || (!leaf && mask != first)) {
      return rpi_body_lex_fail(RP_ERR_SHAPE, "body", b->text, b->stmt[i].at,
                               "'%s' reduces over other axes than the destinations before it; "
                               "make it a body of its own",
                               b->store_name[b->stmt[i].dest]);
    }
  }
  bool row = first != 0 && (first & last) == 0;
  int32_t n = 0;
  for (int32_t d = 0; d < f->rank && row; d++) {
    if ((first >> d & 1) != 0) f->perm[n++] = (int8_t)d;
  }
  for (int32_t d = 0; d < f->rank; d++) {
    if (!row || (first >> d & 1) == 0) f->perm[n++] = (int8_t)d;
  }
  for (int32_t k = 0; k < f->rank; k++) f->kaxis[f->perm[k]] = (int8_t)k;
  return RP_OK;
}

rp_status rpi_body_place_facts(const rpi_body *b, const rpi_body_arg *args, rpi_body_facts *out) {
  memset(out, 0, sizeof *out);
  RPI_TRY(check_extents(b, args));
  if (b->form == RPI_BODY_SEGMENTS) {
    rpi_body_scatter_facts(b, args, out);
    return RP_OK;
  }
  if (b->indexed) {
    RPI_TRY(indexed_facts(b, args, out));
  } else {
    RPI_TRY(broadcast(b, args, out));
    RPI_TRY(whole_masks(b, args, out));
  }
  RPI_TRY(check_coords(b, out));
  return order_axes(b, out);
}

/* ---- inferred shapes */

static rp_status infer_fail(const rpi_body *b, const rpi_body_stmt *s, const char *why) {
  return rpi_body_lex_fail(RP_ERR_SHAPE, "body", b->text, s->at,
                           "the shape of '%s' cannot be inferred: %s", b->store_name[s->dest], why);
}

/* Extent of axis d from the accesses of the statement: if the index always stands alone, what all
 * say; else the largest that keeps every access inside. */
static rp_status infer_axis(const rpi_body *b, const rpi_body_arg *args, const rpi_body_stmt *s,
                            int32_t d, int64_t *out) {
  const rpi_body_use *from = NULL;
  bool shifted = false;
  *out = -1;
  for (int32_t i = s->use; i < s->use + s->n_use; i++) {
    const rpi_body_use *u = &b->use[i];
    if (u->range < 0 && u->index == d) shifted = shifted || u->coef != 1 || u->k != 0;
  }
  for (int32_t i = s->use; i < s->use + s->n_use; i++) {
    const rpi_body_use *u = &b->use[i];
    if (u->range >= 0 || u->index != d || u->coef <= 0) continue;
    rpi_body_wide n = args[u->store].geom.shape[u->axis];
    if (shifted) n = n - 1 - u->k < 0 ? 0 : (n - 1 - u->k) / u->coef + 1;
    if (from != NULL && !shifted && n != *out) {
      return agree_fail(b, args, u, from->store, from->axis, "one index runs over both");
    }
    if (from == NULL || n < *out) *out = (int64_t)n;
    from = u;
  }
  if (from == NULL) return infer_fail(b, s, "an index stands alone in no subscript of an input");
  return RP_OK;
}

rp_status rpi_body_place_infer(const rpi_body *b, rpi_body_arg *args) {
  rpi_body_facts f;
  memset(&f, 0, sizeof f);
  if (b->indexed) {
    RPI_TRY(check_ranks(b, args));
  } else {
    RPI_TRY(broadcast(b, args, &f));
  }
  for (int32_t i = 0; i < b->n_stmt; i++) {
    const rpi_body_stmt *s = &b->stmt[i];
    if (args[s->dest].dtype >= 0) continue;
    int64_t shape[RP_MAX_DIM] = {0};
    for (int32_t j = 0; j < s->n_sub; j++) {
      RPI_TRY(infer_axis(b, args, s, dest_axis(b, s, j), &shape[j]));
    }
    rpi_geom_dense(b->indexed ? s->n_sub : f.rank, b->indexed ? shape : f.extent,
                   &args[s->dest].geom);
  }
  for (int32_t i = 0; i < b->n_node; i++) {
    const rpi_body_node *n = &b->node[i];
    if (n->kind == RPI_NODE_EXTENT && args[n->ref].dtype < 0) {
      return rpi_body_lex_fail(RP_ERR_SHAPE, "body", b->text, n->at,
                               "'%s' is to be inferred, so it has no extent yet",
                               b->store_name[n->ref]);
    }
  }
  return RP_OK;
}

/* ---- boxes */

static int64_t wrap_mul(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }
static int64_t wrap_add(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }

/* Strides by logical axis. `untouched`: nothing was checked, and nothing is touched. */
static void affine_box(const rpi_body *b, const rpi_body_arg *args, const rpi_body_access *a,
                       bool untouched, int64_t *offset, int64_t *stride) {
  const rpi_geom *g = &args[a->store].geom;
  *offset = g->offset;
  if (untouched) return;
  for (int32_t j = 0; j < a->n_sub; j++) {
    const rpi_body_affine *form = &b->affine[a->affine + j];
    *offset = wrap_add(*offset, wrap_mul(g->stride[j], (int64_t)affine_origin(args, form)));
    for (int32_t d = 0; d < RP_MAX_DIM; d++) {
      stride[d] = wrap_add(stride[d], wrap_mul(g->stride[j], form->coef[d]));
    }
  }
}

static void broadcast_box(const rpi_geom *g, int32_t rank, int64_t *stride) {
  int32_t shift = rank - g->ndim;
  for (int32_t d = 0; d < g->ndim; d++) {
    stride[shift + d] = g->shape[d] == 1 ? 0 : g->stride[d];
  }
}

static void place_operand(const rpi_body *b, const rpi_body_arg *args, const rpi_body_facts *f,
                          const rpi_body_access *a, bool reduces, const rpi_placement *p,
                          rpi_geom *out) {
  int64_t stride[RP_MAX_DIM] = {0};
  int64_t offset = args[a->store].geom.offset;
  if (a->table) {
    *out = args[a->store].geom;
    return;
  }
  bool empty = false;
  for (int32_t d = 0; d < f->rank; d++) empty = empty || f->extent[d] == 0;
  if (b->indexed) {
    affine_box(b, args, a, empty && !reduces, &offset, stride);
  } else {
    broadcast_box(&args[a->store].geom, f->rank, stride);
  }
  memset(out, 0, sizeof *out);
  out->ndim = p->rank;
  out->offset = offset;
  for (int32_t k = 0; k < p->rank; k++) {
    out->shape[k] = p->extent[k];
    out->stride[k] = f->rank == 0 ? 0 : stride[f->perm[k]];
  }
}

rp_status rpi_variant_place(const rpi_variant *v, const rpi_body_arg *args, rpi_placement *out) {
  const rpi_body_variant_rec *rec = (const rpi_body_variant_rec *)(const void *)v;
  const rpi_body *b = v->body;
  rpi_body_facts f;
  RPI_TRY(rpi_body_place_facts(b, args, &f));
  out->rank = f.rank > 0 ? f.rank : 1;
  memset(out->extent, 0, sizeof out->extent);
  out->extent[0] = 1;
  for (int32_t k = 0; k < f.rank; k++) out->extent[k] = f.extent[f.perm[k]];
  for (int32_t o = 0; o < v->ir.n_operand; o++) {
    bool reduces = v->ir.operand[o].access & RPI_ACCESS_REDUCE; /* over nothing, too */
    place_operand(b, args, &f, &b->access[rec->access[o]], reduces, out, &out->operand[o]);
  }
  for (int32_t i = 0; i < v->ir.n_extent; i++) {
    out->extent_param[i] = term_extent(args, rec->extent[i].store, rec->extent[i].axis);
  }
  return RP_OK;
}
