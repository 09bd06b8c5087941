/* SPDX-License-Identifier: Apache-2.0
 * core/exec/opaque.c -- see opaque.h. The argument values are gathered into a block of the caller's
 * stack; libffi reads them from there, or where the build has none sysv.c. A block of rows differs from the
 * whole in its pointers, which the
 * runner moves, and in what EXTENT and SIZE say of the stores that are cut. */
#include "core/exec/opaque.h"

#ifdef RPI_HAVE_FFI
#include <ffi.h>
#endif

#include "core/base/alloc.h"
#include "core/exec/sysv.h"
#include "core/exec/opaque_gpu.h"

enum { MAX_ARGS = RPI_OPAQUE_ARGS, WHOLE_ROWS = -1 };
_Static_assert((int)MAX_ARGS <= (int)RPI_SYSV_ARGS, "the call has room for all arguments");

struct rpi_opaque {
  void (*function)(void);
  int32_t n_args, n_scalars, flags;
  int64_t block_rows;
  uint8_t dtype[MAX_ARGS]; /* pointers: RP_I64 */
#ifdef RPI_HAVE_FFI
  ffi_cif cif;
  ffi_type *types[MAX_ARGS];
#endif
  rp_opaque_arg *args;
  rpi_constraints constraints;
  rpi_opaque_gpu *gpu; /* NULL: none */
  int32_t n_unbound, unbound[RPI_OP_MAX_STORES];
};

static rp_status check_arg(const rp_opaque_desc *d, int32_t i, int32_t n_stores,
                           int32_t n_scalars) {
  const rp_opaque_arg *a = &d->args[i];
  bool of_store = a->kind == RP_ARG_PTR || a->kind == RP_ARG_EXTENT || a->kind == RP_ARG_STRIDE ||
                  a->kind == RP_ARG_SIZE || a->kind == RP_ARG_OFFSET || a->kind == RP_ARG_COUNT;
  if (a->kind < RP_ARG_PTR || a->kind > RP_ARG_COUNT)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: args[%d].kind is %d", d->name, i, a->kind);
  if (of_store && (a->a < 0 || a->a >= n_stores))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: args[%d].a is store %d of %d", d->name, i, a->a,
                           n_stores);
  if (a->kind == RP_ARG_COUNT && d->privileges[a->a] != RP_PRIV_UNBOUND)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: args[%d]: store %d is not unbound", d->name, i,
                           a->a);
  if ((a->kind == RP_ARG_EXTENT || a->kind == RP_ARG_STRIDE) && (a->b < 0 || a->b >= RP_MAX_DIM))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: args[%d].b is axis %d", d->name, i, a->b);
  if (a->kind == RP_ARG_SCALAR && (a->a < 0 || a->a >= n_scalars))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: args[%d].a is scalar %d of %d", d->name, i,
                           a->a, n_scalars);
  return RP_OK;
}

rp_status rpi_opaque_check_args(const rp_opaque_desc *d, int32_t n_stores, int32_t n_scalars) {
  if (d->n_args < 0 || d->n_args > MAX_ARGS || (d->n_args > 0 && !d->args))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: n_args is %d (0..%d) with args %s", d->name,
                           d->n_args, MAX_ARGS, d->args ? "given" : "NULL");
  for (int32_t i = 0; i < d->n_args; i++) RPI_TRY(check_arg(d, i, n_stores, n_scalars));
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

rp_status rpi_opaque_check(const rpi_opaque *o, const rp_op *op, rp_store *const *stores) {
  return rpi_constraint_check(&o->constraints, op, stores);
}

bool rpi_opaque_cuts(const rpi_opaque *o, int32_t i) { return o->constraints.rows[i].cut; }

const rpi_constraint_rows *rpi_opaque_rows(const rpi_opaque *o, int32_t i) {
  return &o->constraints.rows[i];
}

const rpi_constraints *rpi_opaque_constraints(const rpi_opaque *o) { return &o->constraints; }

int64_t rpi_opaque_least(const rpi_opaque *o) { return o->constraints.least; }

int64_t rpi_opaque_block_units(const rpi_opaque *o, int64_t unit_bytes, int64_t grain) {
  const rpi_constraints *c = &o->constraints;
  int64_t units = 1;
  if (o->block_rows > 0)
    units = (o->block_rows + c->fewest - 1) / c->fewest;
  else if (unit_bytes > 0 && grain > unit_bytes)
    units = (grain + unit_bytes - 1) / unit_bytes;
  return units > c->least ? units : c->least;
}

int32_t rpi_opaque_n_unbound(const rpi_opaque *o) { return o->n_unbound; }
int32_t rpi_opaque_unbound(const rpi_opaque *o, int32_t k) { return o->unbound[k]; }
bool rpi_opaque_may_fail(const rpi_opaque *o) {
  return (o->flags & RP_OPAQUE_STATUS) || o->n_unbound > 0;
}

const rp_constraint *rpi_opaque_room(const rpi_opaque *o, int32_t k) {
  const rp_constraint *c = o->constraints.list;
  while (c->kind != RP_CONSTRAINT_SCALE || c->a != o->unbound[k]) c++;
  return c;
}

/* ---- the signature ---- */

#ifdef RPI_HAVE_FFI
static bool prepare(rpi_opaque *o) {
  static ffi_type *const table[] = {&ffi_type_uint8,  &ffi_type_sint8,  &ffi_type_sint16,
                                    &ffi_type_sint32, &ffi_type_sint64, &ffi_type_uint8,
                                    &ffi_type_uint16, &ffi_type_uint32, &ffi_type_uint64,
                                    &ffi_type_float,  &ffi_type_double};
  for (int32_t i = 0; i < o->n_args; i++) o->types[i] = table[o->dtype[i]];
  ffi_type *ret = o->flags & RP_OPAQUE_STATUS ? &ffi_type_sint : &ffi_type_void;
  return ffi_prep_cif(&o->cif, FFI_DEFAULT_ABI, (unsigned)o->n_args, ret, o->types) == FFI_OK;
}

static int call(const rpi_opaque *o, uint64_t *value) {
  void *at[MAX_ARGS];
  union {
    ffi_arg word;
    int status;
  } ret = {0};
  for (int32_t i = 0; i < o->n_args; i++) at[i] = &value[i]; /* low bytes first: little endian */
  ffi_call((ffi_cif *)&o->cif, o->function, &ret, at);
  return (int)ret.word;
}
#else
static bool prepare(rpi_opaque *o) {
  (void)o;
  return true;
}

static int call(const rpi_opaque *o, uint64_t *value) {
  return rpi_sysv_call(o->function, o->n_args, o->dtype, value);
}
#endif

/* ---- making ---- */

/* Of each unbound store one SCALE says how much room there is, one argument takes the count, and nothing else is said. */
static rp_status find_unbound(const rp_opaque_desc *d, int32_t n_stores, rpi_opaque *o) {
  for (int32_t i = 0; i < n_stores; i++) {
    int32_t scales = 0, others = 0, counts = 0;
    if (d->privileges[i] != RP_PRIV_UNBOUND) continue;
    for (int32_t k = 0; k < o->constraints.n; k++) {
      const rp_constraint *c = &o->constraints.list[k];
      const bool room =
          c->kind == RP_CONSTRAINT_SCALE && c->a == i && d->privileges[c->b] != RP_PRIV_UNBOUND;
      scales += room;
      others += !room && (c->a == i || (c->b == i && c->kind != RP_CONSTRAINT_MIN_EXTENT &&
                                        c->kind != RP_CONSTRAINT_BROADCAST));
    }
    for (int32_t k = 0; k < d->n_args; k++)
      counts += d->args[k].kind == RP_ARG_COUNT && d->args[k].a == i;
    if (scales != 1 || others != 0 || counts != 1)
      return rpi_status_fail(RP_ERR_ARGUMENT,
                             "op %s: store %d is unbound: one RP_CONSTRAINT_SCALE to a store that "
                             "is not and one RP_ARG_COUNT are about it, not %d (%d other) and %d",
                             d->name, i, scales, others, counts);
    o->unbound[o->n_unbound++] = i;
  }
  return RP_OK;
}

rp_status rpi_opaque_create(const rp_opaque_desc *d, int32_t n_stores, int32_t n_scalars,
                            const uint8_t *scalar_dtype, rpi_opaque **out) {
  *out = NULL;
  if (!d->function) return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: function is NULL", d->name);
  RPI_TRY(rpi_opaque_check_args(d, n_stores, n_scalars));
  RPI_TRY(check_flags(d));
  size_t n = (size_t)d->n_args;
  rpi_opaque *o = rpi_alloc_zero(sizeof *o);
  if (o) o->args = rpi_alloc(n * sizeof *o->args);
  if (!o || !o->args) {
    rpi_opaque_free(o);
    return rpi_status_nomem("opaque op");
  }
  o->function = d->function;
  o->n_args = d->n_args;
  o->n_scalars = n_scalars;
  o->flags = d->flags;
  o->block_rows = d->block_rows;
  rp_status st = rpi_constraint_read(d, n_stores, &o->constraints);
  if (st == RP_OK) st = find_unbound(d, n_stores, o);
  if (st == RP_OK) st = rpi_opaque_gpu_create(d, n_stores, n_scalars, scalar_dtype, &o->gpu);
  if (st != RP_OK) {
    rpi_opaque_free(o);
    return st;
  }
  for (int32_t i = 0; i < d->n_args; i++) {
    o->args[i] = d->args[i];
    o->dtype[i] = d->args[i].kind == RP_ARG_SCALAR ? scalar_dtype[d->args[i].a] : RP_I64;
  }
  if (!prepare(o)) {
    rpi_opaque_free(o);
    return rpi_status_fail(RP_ERR_INTERNAL, "op %s: libffi refuses the signature", d->name);
  }
  *out = o;
  return RP_OK;
}

void rpi_opaque_free(rpi_opaque *o) {
  if (!o) return;
  rpi_alloc_free(o->args);
  rpi_constraint_deinit(&o->constraints);
  rpi_opaque_gpu_free(o->gpu);
  rpi_alloc_free(o);
}

int32_t rpi_opaque_flags(const rpi_opaque *o) { return o->flags; }
int32_t rpi_opaque_n_scalars(const rpi_opaque *o) { return o->n_scalars; }
rpi_opaque_gpu *rpi_opaque_on_gpu(const rpi_opaque *o) { return o->gpu; }

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

/* Which of the unbound stores it is. */
static int32_t number_of(const rpi_opaque *o, int32_t store) {
  int32_t k = 0;
  while (o->unbound[k] != store) k++;
  return k;
}

uint64_t rpi_opaque_value(const rpi_opaque *o, const rp_opaque_arg *a, void *const *ptr,
                          const rpi_geom *geom, const uint64_t *scalars,
                          const rpi_opaque_block *block) {
  const bool of_store = a->kind != RP_ARG_SCALAR && a->kind != RP_ARG_CONST;
  const bool cut = of_store && block->units >= 0 && rpi_opaque_cuts(o, a->a);
  const int64_t rows =
      cut ? rpi_constraint_extent(&o->constraints, a->a, block->units) : WHOLE_ROWS;
  const rpi_geom *g = of_store ? &geom[a->a] : NULL;
  switch (a->kind) {
    case RP_ARG_PTR: return (uint64_t)(uintptr_t)ptr[a->a];
    case RP_ARG_EXTENT: return (uint64_t)extent_of(g, a->b, rows);
    case RP_ARG_STRIDE: return a->b < g->ndim ? (uint64_t)g->stride[a->b] : 0;
    case RP_ARG_SCALAR: return scalars[a->a]; /* low bytes first: little endian */
    case RP_ARG_SIZE: return (uint64_t)size_of(g, rows);
    case RP_ARG_OFFSET: return cut ? (uint64_t)(rpi_opaque_rows(o, a->a)->scale * block->first) : 0;
    case RP_ARG_COUNT: return (uint64_t)(uintptr_t)&block->counts[number_of(o, a->a)];
    default: return (uint64_t)a->value;
  }
}

_Thread_local bool rpi_opaque_inside;

bool rpi_opaque_call(const rpi_opaque *o, void *const *ptr, const rpi_geom *geom,
                     const uint64_t *scalars, const rpi_opaque_block *block) {
  uint64_t value[MAX_ARGS];
  for (int32_t k = 0; k < o->n_args; k++)
    value[k] = rpi_opaque_value(o, &o->args[k], ptr, geom, scalars, block);
  const bool inside = rpi_opaque_inside;
  rpi_opaque_inside = true;
  const int status = call(o, value);
  rpi_opaque_inside = inside;
  return !(o->flags & RP_OPAQUE_STATUS) || status == 0;
}
