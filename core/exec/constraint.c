/* SPDX-License-Identifier: Apache-2.0
 * core/exec/constraint.c -- see constraint.h.
 * How: one table says which members of rp_constraint each kind uses; the others must be 0. Ratios of rows are fractions
 *      of those of one store, found by walking over ALIGN and SCALE until nothing changes; the unit is what makes all
 *      of them whole numbers without a common divisor, so that any extents that fit the ratios are whole units. */
#include "core/exec/constraint.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"

enum { FACTOR_MOST = 1 << 20 };

typedef struct kind_rule {
  const char *name;                    /* NULL: no such kind */
  bool store_b, axis, factor, margins; /* members in use beside `a` */
  bool read_only;                      /* `a` must not be written, */
  const char *else_not;                /* or it is not this */
} kind_rule;

#define IMAGE(name_) \
  { .name = (name_), .store_b = true, .read_only = true, .else_not = "an image" }

static const kind_rule rules[] = {
    [RP_CONSTRAINT_ALIGN] = {.name = "ALIGN", .store_b = true, .axis = true},
    [RP_CONSTRAINT_BROADCAST] = {.name = "BROADCAST", .read_only = true, .else_not = "broadcast"},
    [RP_CONSTRAINT_SCALE] = {.name = "SCALE", .store_b = true, .factor = true},
    [RP_CONSTRAINT_BLOAT] = {.name = "BLOAT",
                             .store_b = true,
                             .factor = true,
                             .margins = true,
                             .read_only = true,
                             .else_not = "bloated"},
    [RP_CONSTRAINT_MIN_EXTENT] = {.name = "MIN_EXTENT", .factor = true},
    [RP_CONSTRAINT_IMAGE] = IMAGE("IMAGE"),
    [RP_CONSTRAINT_IMAGE_RANGES] = IMAGE("IMAGE_RANGES"),
    [RP_CONSTRAINT_IMAGE_MIN_MAX] = IMAGE("IMAGE_MIN_MAX"),
    [RP_CONSTRAINT_IMAGE_FIRST_LAST] = IMAGE("IMAGE_FIRST_LAST"),
    [RP_CONSTRAINT_IMAGE_RANGES_FIRST_LAST] = IMAGE("IMAGE_RANGES_FIRST_LAST"),
};
enum { N_RULES = sizeof rules / sizeof *rules };

/* ---- declarations ---- */

static rp_status bad_store(const rp_opaque_desc *d, int32_t i, const rp_constraint *c, int32_t n) {
  return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: constraints[%d] is about stores %d and %d of %d",
                         d->name, i, c->a, c->b, n);
}

static rp_status check_numbers(const rp_opaque_desc *d, int32_t i, const rp_constraint *c,
                               const kind_rule *r) {
  if (r->axis ? c->axis < RP_ALL_AXES || c->axis >= RP_MAX_DIM : c->axis != 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: constraints[%d] has b %d and axis %d", d->name,
                           i, c->b, c->axis);
  if (!r->store_b && c->b != 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: constraints[%d] has b %d and axis %d", d->name,
                           i, c->b, c->axis);
  if (r->factor ? c->factor < 1 || c->factor > FACTOR_MOST : c->factor != 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: constraints[%d] (%s) has factor %lld (%d..%d)",
                           d->name, i, r->name, (long long)c->factor, r->factor,
                           r->factor ? FACTOR_MOST : 0);
  const int64_t most = r->margins ? INT32_MAX : 0;
  if (c->lo < 0 || c->lo > most || c->hi < 0 || c->hi > most)
    return rpi_status_fail(RP_ERR_ARGUMENT,
                           "op %s: constraints[%d] (%s) has lo %lld and hi %lld (0..%lld)", d->name,
                           i, r->name, (long long)c->lo, (long long)c->hi, (long long)most);
  return RP_OK;
}

static rp_status check_one(const rp_opaque_desc *d, int32_t i, const rp_constraint *c,
                           int32_t n_stores) {
  if (c->kind < 0 || c->kind >= N_RULES || !rules[c->kind].name)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: constraints[%d].kind is %d", d->name, i,
                           c->kind);
  const kind_rule *r = &rules[c->kind];
  if (c->a < 0 || c->a >= n_stores || c->b < 0 || c->b >= n_stores)
    return bad_store(d, i, c, n_stores);
  RPI_TRY(check_numbers(d, i, c, r));
  if (r->read_only && d->privileges[c->a] != RP_PRIV_READ)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: constraints[%d]: store %d is written, not %s",
                           d->name, i, c->a, r->else_not);
  if (r->store_b && !r->axis && c->a == c->b)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: constraints[%d] (%s) is about store %d alone",
                           d->name, i, r->name, c->a);
  return RP_OK;
}

/* ---- units ---- */

static int64_t gcd(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

/* Rows of a store for each row of the first: num/den; num 0: not known yet. */
typedef struct ratio {
  int64_t num, den;
} ratio;

static ratio times(ratio r, int64_t up, int64_t down) {
  r.num *= up;
  r.den *= down;
  const int64_t g = gcd(r.num, r.den);
  return (ratio){r.num / g, r.den / g};
}

static bool is_large(ratio r) { return r.num > FACTOR_MOST || r.den > FACTOR_MOST; }

typedef struct solver {
  const rp_opaque_desc *d;
  rpi_constraints *c;
  ratio of[RPI_OP_MAX_STORES];
} solver;

static rp_status disagree(const solver *s, int32_t k) {
  const rp_constraint *c = &s->c->list[k];
  return rpi_status_fail(RP_ERR_ARGUMENT,
                         "op %s: constraints[%d] (%s) contradicts others about the rows of stores "
                         "%d and %d, or asks for more than %d rows for one",
                         s->d->name, k, rules[c->kind].name, c->a, c->b, FACTOR_MOST);
}

/* One constraint that joins the rows of two stores; *more: something became known. */
static rp_status join(solver *s, int32_t k, bool *more) {
  const rp_constraint *c = &s->c->list[k];
  const bool scale = c->kind == RP_CONSTRAINT_SCALE;
  const int64_t factor = scale ? c->factor : 1;
  if (!scale && (c->kind != RP_CONSTRAINT_ALIGN || c->axis > 0)) return RP_OK;
  ratio *a = &s->of[c->a], *b = &s->of[c->b];
  if (a->num == 0 && b->num == 0) return RP_OK;
  if (a->num == 0 || b->num == 0) {
    if (a->num == 0)
      *a = times(*b, factor, 1);
    else
      *b = times(*a, 1, factor);
    *more = true;
  }
  const ratio want = times(*b, factor, 1);
  return want.num != a->num || want.den != a->den || is_large(*a) || is_large(*b) ? disagree(s, k)
                                                                                  : RP_OK;
}

/* A bloated store goes with others by this alone. */
static rp_status bloat(solver *s, int32_t k) {
  const rp_constraint *c = &s->c->list[k];
  if (c->kind != RP_CONSTRAINT_BLOAT || s->of[c->b].num == 0) return RP_OK;
  if (s->of[c->a].num != 0)
    return rpi_status_fail(RP_ERR_ARGUMENT,
                           "op %s: constraints[%d]: store %d is bloated, and its rows are joined "
                           "by another constraint, too",
                           s->d->name, k, c->a);
  s->of[c->a] = times(s->of[c->b], c->factor, 1);
  if (is_large(s->of[c->a])) return disagree(s, k);
  s->c->rows[c->a].extra = c->lo + c->hi;
  return RP_OK;
}

/* Fractions become whole numbers without a common divisor. */
static rp_status set_scales(solver *s, int32_t n_stores) {
  int64_t all = 1, common = 0;
  for (int32_t i = 0; i < n_stores; i++) {
    if (!s->c->rows[i].cut) continue;
    all = all / gcd(all, s->of[i].den) * s->of[i].den;
    if (all > FACTOR_MOST)
      return rpi_status_fail(RP_ERR_ARGUMENT,
                             "op %s: the rows of store %d go with those of others only in blocks "
                             "of more than %d",
                             s->d->name, i, FACTOR_MOST);
  }
  for (int32_t i = 0; i < n_stores; i++)
    if (s->c->rows[i].cut)
      common = gcd(s->c->rows[i].scale = s->of[i].num * (all / s->of[i].den), common);
  s->c->fewest = INT64_MAX;
  for (int32_t i = 0; i < n_stores; i++) {
    rpi_constraint_rows *r = &s->c->rows[i];
    if (!r->cut) continue;
    r->scale /= common;
    if (r->scale < s->c->fewest) s->c->fewest = r->scale;
  }
  return RP_OK;
}

static void set_least(rpi_constraints *c) {
  c->least = 1;
  for (int32_t k = 0; k < c->n; k++) {
    const rpi_constraint_rows *r = &c->rows[c->list[k].a];
    if (c->list[k].kind != RP_CONSTRAINT_MIN_EXTENT || !r->cut) continue;
    const int64_t units = (c->list[k].factor - r->extra + r->scale - 1) / r->scale;
    if (units > c->least) c->least = units;
  }
}

/* Which stores come in blocks, and of how many rows of each; they must have their rows in common. */
static rp_status find_rows(const rp_opaque_desc *d, int32_t n_stores, rpi_constraints *c) {
  solver s = {.d = d, .c = c};
  int32_t first = -1;
  bool bloated[RPI_OP_MAX_STORES] = {false};
  for (int32_t i = 0; i < n_stores; i++)
    c->rows[i] = (rpi_constraint_rows){.cut = true, .scale = 1};
  for (int32_t k = 0; k < c->n; k++) {
    if (c->list[k].kind == RP_CONSTRAINT_BROADCAST || rpi_constraint_is_image(&c->list[k]))
      c->rows[c->list[k].a].cut = false;
    if (c->list[k].kind == RP_CONSTRAINT_BLOAT) bloated[c->list[k].a] = true;
  }
  for (int32_t i = n_stores - 1; i >= 0; i--)
    if (c->rows[i].cut && !bloated[i]) first = i;
  if (first < 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: RP_OPAQUE_SPLIT, but no store can be cut",
                           d->name);
  s.of[first] = (ratio){1, 1};
  for (bool more = true; more;) {
    more = false;
    for (int32_t k = 0; k < c->n; k++) RPI_TRY(join(&s, k, &more));
  }
  for (int32_t k = 0; k < c->n; k++) RPI_TRY(bloat(&s, k));
  for (int32_t i = 0; i < n_stores; i++)
    if (c->rows[i].cut && s.of[i].num == 0)
      return rpi_status_fail(
          RP_ERR_ARGUMENT,
          "op %s: RP_OPAQUE_SPLIT, but store %d is neither broadcast nor aligned with "
          "store %d along axis 0",
          d->name, i, first);
  RPI_TRY(set_scales(&s, n_stores));
  set_least(c);
  return RP_OK;
}

/* Programs that were compiled before descriptions had constraint_size have constraints of four members. */
static size_t size_of_one(const rp_opaque_desc *d) {
  const size_t first = offsetof(rp_constraint, factor);
  if (d->constraint_size != 0) return d->constraint_size;
  return d->struct_size <= offsetof(rp_opaque_desc, constraint_size) ? first
                                                                     : sizeof(rp_constraint);
}

static rp_status read_all(const rp_opaque_desc *d, int32_t n_stores, rpi_constraints *out) {
  const size_t each = size_of_one(d);
  for (int32_t i = 0; i < d->n_constraints; i++) {
    memcpy(&out->list[i], (const char *)d->constraints + (size_t)i * each, each);
    RPI_TRY(check_one(d, i, &out->list[i], n_stores));
  }
  return d->flags & RP_OPAQUE_SPLIT ? find_rows(d, n_stores, out) : RP_OK;
}

rp_status rpi_constraint_read(const rp_opaque_desc *d, int32_t n_stores, rpi_constraints *out) {
  *out = (rpi_constraints){.least = 1, .fewest = 1};
  if (d->n_constraints < 0 || (d->n_constraints > 0 && !d->constraints))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: n_constraints is %d with constraints %s",
                           d->name, d->n_constraints, d->constraints ? "given" : "NULL");
  if (size_of_one(d) < offsetof(rp_constraint, factor) || size_of_one(d) > sizeof(rp_constraint))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: constraint_size is %zu, not %zu", d->name,
                           size_of_one(d), sizeof(rp_constraint));
  out->list = rpi_alloc_zero((size_t)(d->n_constraints + 1) * sizeof *out->list);
  if (!out->list) return rpi_status_nomem("opaque op");
  out->n = d->n_constraints;
  const rp_status st = read_all(d, n_stores, out);
  if (st != RP_OK) rpi_constraint_deinit(out);
  return st;
}

void rpi_constraint_deinit(rpi_constraints *c) {
  rpi_alloc_free(c->list);
  c->list = NULL;
  c->n = 0;
}

/* ---- launches ---- */

/* Is there an axis `axis` in both, of one extent? RP_ALL_AXES: are the shapes equal? */
static bool aligned(const rpi_geom *a, const rpi_geom *b, int32_t axis) {
  if (axis >= 0) return axis < a->ndim && axis < b->ndim && a->shape[axis] == b->shape[axis];
  return a->ndim == b->ndim &&
         memcmp(a->shape, b->shape, sizeof a->shape[0] * (size_t)a->ndim) == 0;
}

/* Has `a` the rows that those of b ask for? */
static bool fits(const rpi_geom *a, const rpi_geom *b, const rp_constraint *c) {
  int64_t rows;
  if (a->ndim == 0 || b->ndim == 0) return false;
  return !__builtin_mul_overflow(b->shape[0], c->factor, &rows) &&
         !__builtin_add_overflow(rows, c->lo + c->hi, &rows) && a->shape[0] == rows;
}

static rp_status fail(const rp_op *op, const rp_constraint *c, const rpi_geom *a, const rpi_geom *b,
                      const char *must) {
  char name[2][RPI_OP_PARAM], shape[2][RPI_GEOM_SHAPE];
  return rpi_status_fail(RP_ERR_SHAPE, "%s.%s: %s of shape %s and %s of shape %s must have %s",
                         op->lib->name, op->name, rpi_op_param(op, c->a, false, name[0]),
                         rpi_geom_print_shape(a->ndim, a->shape, shape[0]),
                         rpi_op_param(op, c->b, false, name[1]),
                         rpi_geom_print_shape(b->ndim, b->shape, shape[1]), must);
}

static rp_status fail_rows(const rp_op *op, const rp_constraint *c, const rpi_geom *a,
                           const rpi_geom *b) {
  char must[160];
  int32_t n = snprintf(must, sizeof must, "%lld rows for one", (long long)c->factor);
  if (c->kind == RP_CONSTRAINT_BLOAT)
    snprintf(must + n, sizeof must - (size_t)n, ", and %lld + %lld more", (long long)c->lo,
             (long long)c->hi);
  return fail(op, c, a, b, must);
}

static rp_status check_image(const rp_op *op, const rp_constraint *c, const rp_store *a,
                             const rp_store *b) {
  char name[2][RPI_OP_PARAM];
  const int32_t kind = rpi_dtype_kind(b->view->dtype);
  if (kind != RPI_KIND_I && kind != RPI_KIND_U)
    return rpi_status_fail(RP_ERR_DTYPE,
                           "%s.%s: %s is %s, not integers that say what is read of %s",
                           op->lib->name, op->name, rpi_op_param(op, c->b, false, name[0]),
                           rpi_dtype_name(b->view->dtype), rpi_op_param(op, c->a, false, name[1]));
  const bool ranges = rpi_constraint_is_ranges(c);
  if (a->view->geom.ndim == 0 || b->view->geom.ndim == 0 || (ranges && b->view->geom.ndim != 1))
    return fail(op, c, &a->view->geom, &b->view->geom, ranges ? "rows and one axis" : "rows");
  return RP_OK;
}

rp_status rpi_constraint_check(const rpi_constraints *all, const rp_op *op,
                               rp_store *const *stores) {
  for (int32_t i = 0; i < all->n; i++) {
    const rp_constraint *c = &all->list[i];
    const rpi_geom *a = &stores[c->a]->view->geom, *b = &stores[c->b]->view->geom;
    char what[32] = "one shape";
    switch (c->kind) {
      case RP_CONSTRAINT_ALIGN:
        if (c->axis >= 0) snprintf(what, sizeof what, "one extent of axis %d", c->axis);
        if (!aligned(a, b, c->axis)) return fail(op, c, a, b, what);
        break;
      case RP_CONSTRAINT_SCALE:
      case RP_CONSTRAINT_BLOAT:
        if (!fits(a, b, c)) return fail_rows(op, c, a, b);
        break;
      default:
        if (rpi_constraint_is_image(c)) RPI_TRY(check_image(op, c, stores[c->a], stores[c->b]));
    }
  }
  return RP_OK;
}
