/* SPDX-License-Identifier: Apache-2.0
 * core/exec/opaque.c -- see opaque.h. The argument values are gathered into a block of the caller's
 * stack; libffi reads them from there. A block of rows differs from the whole in its pointers, which the
 * runner moves, and in what EXTENT and SIZE say of the stores that are cut. */
#include "core/exec/opaque.h"

#include <ffi.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"

enum { MAX_ARGS = 128 };

struct rpi_opaque {
  ffi_cif cif;
  void (*function)(void);
  int32_t n_args, n_constraints, flags;
  int64_t block_rows;
  ffi_type **types;
  rp_opaque_arg *args;
  rp_constraint *constraints;
  bool cut[RPI_OP_MAX_STORES]; /* SPLIT: the store is handed over in blocks */
};

static ffi_type *scalar_type(rp_dtype t) {
  static ffi_type *const table[] = {&ffi_type_uint8,  &ffi_type_sint8,  &ffi_type_sint16,
                                    &ffi_type_sint32, &ffi_type_sint64, &ffi_type_uint8,
                                    &ffi_type_uint16, &ffi_type_uint32, &ffi_type_uint64,
                                    &ffi_type_float,  &ffi_type_double};
  return table[t];
}

static rp_status check_arg(const rp_opaque_desc *d, int32_t i, int32_t n_stores,
                           int32_t n_scalars) {
  const rp_opaque_arg *a = &d->args[i];
  bool of_store = a->kind == RP_ARG_PTR || a->kind == RP_ARG_EXTENT || a->kind == RP_ARG_STRIDE ||
                  a->kind == RP_ARG_SIZE;
  if (a->kind < RP_ARG_PTR || a->kind > RP_ARG_SIZE)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: args[%d].kind is %d", d->name, i, a->kind);
  if (of_store && (a->a < 0 || a->a >= n_stores))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: args[%d].a is store %d of %d", d->name, i, a->a,
                           n_stores);
  if ((a->kind == RP_ARG_EXTENT || a->kind == RP_ARG_STRIDE) && (a->b < 0 || a->b >= RP_MAX_DIM))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: args[%d].b is axis %d", d->name, i, a->b);
  if (a->kind == RP_ARG_SCALAR && (a->a < 0 || a->a >= n_scalars))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: args[%d].a is scalar %d of %d", d->name, i,
                           a->a, n_scalars);
  return RP_OK;
}

/* ---- constraints ---- */

static rp_status check_constraint(const rp_opaque_desc *d, int32_t i, int32_t n_stores) {
  const rp_constraint *c = &d->constraints[i];
  bool align = c->kind == RP_CONSTRAINT_ALIGN;
  if (!align && c->kind != RP_CONSTRAINT_BROADCAST)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: constraints[%d].kind is %d", d->name, i,
                           c->kind);
  if (c->a < 0 || c->a >= n_stores || c->b < 0 || c->b >= n_stores)
    return rpi_status_fail(RP_ERR_ARGUMENT,
                           "op %s: constraints[%d] is about stores %d and %d of %d", d->name, i,
                           c->a, c->b, n_stores);
  if (align ? c->axis < RP_ALL_AXES || c->axis >= RP_MAX_DIM : c->axis != 0 || c->b != 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: constraints[%d] has b %d and axis %d", d->name,
                           i, c->b, c->axis);
  if (!align && d->privileges[c->a] != RP_PRIV_READ)
    return rpi_status_fail(RP_ERR_ARGUMENT,
                           "op %s: constraints[%d]: store %d is written, not broadcast", d->name, i,
                           c->a);
  return RP_OK;
}

/* Which stores come in blocks; they must have their rows in common. */
static rp_status find_cut(const rp_opaque_desc *d, int32_t n_stores, bool *cut) {
  bool joined[RPI_OP_MAX_STORES] = {false};
  int32_t first = -1;
  for (int32_t i = 0; i < n_stores; i++) cut[i] = true;
  for (int32_t k = 0; k < d->n_constraints; k++)
    if (d->constraints[k].kind == RP_CONSTRAINT_BROADCAST) cut[d->constraints[k].a] = false;
  for (int32_t i = n_stores - 1; i >= 0; i--)
    if (cut[i]) first = i;
  if (first < 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: RP_OPAQUE_SPLIT, but no store can be cut",
                           d->name);
  joined[first] = true;
  for (int32_t round = 0; round < n_stores; round++)
    for (int32_t k = 0; k < d->n_constraints; k++) {
      const rp_constraint *c = &d->constraints[k];
      if (c->kind != RP_CONSTRAINT_ALIGN || c->axis > 0) continue;
      joined[c->a] = joined[c->b] = joined[c->a] || joined[c->b];
    }
  for (int32_t i = 0; i < n_stores; i++)
    if (cut[i] && !joined[i])
      return rpi_status_fail(
          RP_ERR_ARGUMENT,
          "op %s: RP_OPAQUE_SPLIT, but store %d is neither broadcast nor aligned with "
          "store %d along axis 0",
          d->name, i, first);
  return RP_OK;
}

static rp_status check_flags(const rp_opaque_desc *d) {
  const int32_t alone = RP_OPAQUE_SIDE_EFFECT | RP_OPAQUE_MAIN_THREAD;
  const int32_t all = alone | RP_OPAQUE_DENSE | RP_OPAQUE_STATUS | RP_OPAQUE_SPLIT;
  if (d->flags & ~all)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: flags is %d, of which %d is no RP_OPAQUE_ bit",
                           d->name, d->flags, d->flags & ~all);
  if ((d->flags & RP_OPAQUE_SPLIT) && (d->flags & alone))
    return rpi_status_fail(RP_ERR_ARGUMENT,
                           "op %s: RP_OPAQUE_SPLIT excludes RP_OPAQUE_SIDE_EFFECT and "
                           "RP_OPAQUE_MAIN_THREAD",
                           d->name);
  if (d->block_rows < 0 || d->reserved != 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: block_rows is %lld, reserved is %d", d->name,
                           (long long)d->block_rows, d->reserved);
  return RP_OK;
}

static rp_status check_constraints(const rp_opaque_desc *d, int32_t n_stores) {
  if (d->n_constraints < 0 || (d->n_constraints > 0 && !d->constraints))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: n_constraints is %d with constraints %s",
                           d->name, d->n_constraints, d->constraints ? "given" : "NULL");
  for (int32_t i = 0; i < d->n_constraints; i++) RPI_TRY(check_constraint(d, i, n_stores));
  return RP_OK;
}

/* Is there an axis `axis` in both, of one extent? RP_ALL_AXES: are the shapes equal? */
static bool aligned(const rpi_geom *a, const rpi_geom *b, int32_t axis) {
  if (axis >= 0) return axis < a->ndim && axis < b->ndim && a->shape[axis] == b->shape[axis];
  return a->ndim == b->ndim &&
         memcmp(a->shape, b->shape, sizeof a->shape[0] * (size_t)a->ndim) == 0;
}

static rp_status align_fail(const rp_op *op, const rp_constraint *c, const rpi_geom *a,
                            const rpi_geom *b) {
  char name[2][RPI_OP_PARAM], shape[2][RPI_GEOM_SHAPE], what[32] = "one shape";
  if (c->axis >= 0) snprintf(what, sizeof what, "one extent of axis %d", c->axis);
  return rpi_status_fail(RP_ERR_SHAPE, "%s.%s: %s of shape %s and %s of shape %s must have %s",
                         op->lib->name, op->name, rpi_op_param(op, c->a, false, name[0]),
                         rpi_geom_print_shape(a->ndim, a->shape, shape[0]),
                         rpi_op_param(op, c->b, false, name[1]),
                         rpi_geom_print_shape(b->ndim, b->shape, shape[1]), what);
}

rp_status rpi_opaque_check(const rpi_opaque *o, const rp_op *op, rp_store *const *stores) {
  for (int32_t i = 0; i < o->n_constraints; i++) {
    const rp_constraint *c = &o->constraints[i];
    if (c->kind != RP_CONSTRAINT_ALIGN) continue;
    const rpi_geom *a = &stores[c->a]->view->geom, *b = &stores[c->b]->view->geom;
    if (!aligned(a, b, c->axis)) return align_fail(op, c, a, b);
  }
  return RP_OK;
}

bool rpi_opaque_cuts(const rpi_opaque *o, int32_t i) { return o->cut[i]; }

int64_t rpi_opaque_block_rows(const rpi_opaque *o, int64_t row_bytes, int64_t grain) {
  if (o->block_rows > 0) return o->block_rows;
  return row_bytes > 0 && grain > row_bytes ? (grain + row_bytes - 1) / row_bytes : 1;
}

/* ---- making ---- */

rp_status rpi_opaque_create(const rp_opaque_desc *d, int32_t n_stores, int32_t n_scalars,
                            const uint8_t *scalar_dtype, rpi_opaque **out) {
  *out = NULL;
  if (!d->function) return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: function is NULL", d->name);
  if (d->n_args < 0 || d->n_args > MAX_ARGS || (d->n_args > 0 && !d->args))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: n_args is %d (0..%d) with args %s", d->name,
                           d->n_args, MAX_ARGS, d->args ? "given" : "NULL");
  for (int32_t i = 0; i < d->n_args; i++) RPI_TRY(check_arg(d, i, n_stores, n_scalars));
  RPI_TRY(check_flags(d));
  RPI_TRY(check_constraints(d, n_stores));
  size_t n = (size_t)d->n_args, n_constraints = (size_t)d->n_constraints;
  rpi_opaque *o = rpi_alloc_zero(sizeof *o);
  if (o) o->types = rpi_alloc(n * sizeof *o->types);
  if (o) o->args = rpi_alloc(n * sizeof *o->args);
  if (o) o->constraints = rpi_alloc(n_constraints * sizeof *o->constraints);
  if (!o || !o->types || !o->args || !o->constraints) {
    rpi_opaque_free(o);
    return rpi_status_nomem("opaque op");
  }
  o->function = d->function;
  o->n_args = d->n_args;
  o->flags = d->flags;
  o->block_rows = d->block_rows;
  o->n_constraints = d->n_constraints;
  if (n_constraints > 0)
    memcpy(o->constraints, d->constraints, n_constraints * sizeof *o->constraints);
  rp_status st = d->flags & RP_OPAQUE_SPLIT ? find_cut(d, n_stores, o->cut) : RP_OK;
  if (st != RP_OK) {
    rpi_opaque_free(o);
    return st;
  }
  for (int32_t i = 0; i < d->n_args; i++) {
    o->args[i] = d->args[i];
    o->types[i] = d->args[i].kind == RP_ARG_PTR      ? &ffi_type_pointer
                  : d->args[i].kind == RP_ARG_SCALAR ? scalar_type(scalar_dtype[d->args[i].a])
                                                     : &ffi_type_sint64;
  }
  ffi_type *ret = d->flags & RP_OPAQUE_STATUS ? &ffi_type_sint : &ffi_type_void;
  if (ffi_prep_cif(&o->cif, FFI_DEFAULT_ABI, (unsigned)o->n_args, ret, o->types) != FFI_OK) {
    rpi_opaque_free(o);
    return rpi_status_fail(RP_ERR_INTERNAL, "op %s: libffi refuses the signature", d->name);
  }
  *out = o;
  return RP_OK;
}

void rpi_opaque_free(rpi_opaque *o) {
  if (!o) return;
  rpi_alloc_free(o->types);
  rpi_alloc_free(o->args);
  rpi_alloc_free(o->constraints);
  rpi_alloc_free(o);
}

int32_t rpi_opaque_flags(const rpi_opaque *o) { return o->flags; }

/* ---- calling ---- */

static int64_t extent_of(const rpi_geom *g, int32_t axis, int64_t rows) {
  if (axis >= g->ndim) return 1;
  return axis == 0 && rows >= 0 ? rows : g->shape[axis];
}

static int64_t size_of(const rpi_geom *g, int64_t rows) {
  int64_t n = 1;
  if (rows < 0) return rpi_geom_size(g);
  for (int32_t d = 0; d < g->ndim; d++) n *= extent_of(g, d, rows);
  return n;
}

bool rpi_opaque_call(const rpi_opaque *o, void *const *ptr, const rpi_geom *geom,
                     const uint64_t *scalars, int64_t rows) {
  union {
    int64_t i;
    uint64_t u;
    void *p;
  } value[MAX_ARGS];
  void *at[MAX_ARGS];
  for (int32_t k = 0; k < o->n_args; k++) {
    const rp_opaque_arg *a = &o->args[k];
    bool of_store = a->kind != RP_ARG_SCALAR && a->kind != RP_ARG_CONST;
    int64_t cut = of_store && o->cut[a->a] ? rows : -1;
    at[k] = &value[k];
    switch (a->kind) {
      case RP_ARG_PTR: value[k].p = ptr[a->a]; break;
      case RP_ARG_EXTENT: value[k].i = extent_of(&geom[a->a], a->b, cut); break;
      case RP_ARG_STRIDE: value[k].i = a->b < geom[a->a].ndim ? geom[a->a].stride[a->b] : 0; break;
      case RP_ARG_SCALAR: value[k].u = scalars[a->a]; break; /* low bytes first: little endian */
      case RP_ARG_SIZE: value[k].i = size_of(&geom[a->a], cut); break;
      default: value[k].i = a->value; break;
    }
  }
  union {
    ffi_arg word;
    int status;
  } ret = {0};
  ffi_call((ffi_cif *)&o->cif, o->function, &ret, at);
  return !(o->flags & RP_OPAQUE_STATUS) || (int)ret.word == 0;
}
