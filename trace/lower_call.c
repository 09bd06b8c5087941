/* SPDX-License-Identifier: Apache-2.0
 * trace/lower_call.c -- see lower_call.h. */
#include "trace/lower_call.h"

#include "core/exec/opaque.h"
#include "trace/rows.h"

/* Blocks have the same rows of both. */
static bool same_rows(const rpi_opaque *o, int32_t i, int32_t j) {
  const rpi_constraint_rows *a = rpi_opaque_rows(o, i), *b = rpi_opaque_rows(o, j);
  return a->cut && b->cut && a->scale == b->scale && a->extra == b->extra;
}

/* May an opaque task run in blocks of rows, each reading and writing its own? Another store that shares a
 * buffer with a written one must be the same box, or not touch it. */
static bool may_split(const rpi_task *t) {
  for (int32_t i = 0; i < t->n_store; i++) {
    if (!(t->op->privilege[i] & RP_PRIV_WRITE)) continue;
    for (int32_t j = 0; j < t->n_store; j++) {
      const rpi_view *v = t->view[i], *w = t->view[j];
      if (j == i || t->slot[i] != t->slot[j]) continue;
      if (same_rows(t->op->opaque, i, j) && rpi_geom_equal(&v->geom, &w->geom)) continue;
      if (!rpi_geom_relate(&v->geom, &w->geom, v->bdim, v->bshape).disjoint) return false;
    }
  }
  return true;
}

/* What a unit's rows span, as a row of so many units; of plain rows the store's own geometry. */
static void unit_geometry(const rpi_constraint_rows *r, const rpi_geom *g, int64_t units,
                          rpi_geom *out) {
  int64_t first, span;
  *out = *g;
  if (r->scale == 1 && r->extra == 0) return;
  const int64_t reach = (r->scale + r->extra - 1) * g->stride[0];
  rpi_rows_hull(g, &first, &span);
  *out = (rpi_geom){.ndim = 2,
                    .offset = reach < 0 ? first + reach : first,
                    .shape = {units, span + 1 + (reach < 0 ? -reach : reach)},
                    .stride = {r->scale * g->stride[0], 1}};
}

/* How an opaque call is cut: into at most `threads` blocks of units. */
static void split(const rp_context *ctx, rpi_arena *a, const rpi_task *t, rpi_plan_call *c) {
  const rpi_opaque *o = t->op->opaque;
  const size_t n_store = (size_t)t->n_store + 1;
  int64_t *step = rpi_arena_get(a, sizeof *step * n_store);
  rpi_geom *unit = rpi_arena_get(a, sizeof *unit * n_store);
  int64_t unit_bytes = 0;
  c->threads = 1;
  if (!step || !unit || !(rpi_opaque_flags(o) & RP_OPAQUE_SPLIT) || !may_split(t)) return;
  for (int32_t i = 0; i < t->n_store; i++) {
    const rpi_geom *g = &c->geom[i];
    const rpi_constraint_rows *r = rpi_opaque_rows(o, i);
    if (!r->cut) continue;
    if (g->ndim == 0 || rpi_geom_size(g) == 0) return;
    const int64_t elem = rpi_dtype_size(t->view[i]->dtype);
    c->units = (g->shape[0] - r->extra) / r->scale;
    step[i] = r->scale * g->stride[0] * elem;
    unit_bytes += rpi_geom_size(g) / g->shape[0] * r->scale * elem;
    unit_geometry(r, g, c->units, &unit[i]);
  }
  if (c->units == 0) return;
  c->unit = unit;
  c->unit_bytes = step;
  c->block_units = rpi_opaque_block_units(o, unit_bytes, ctx->config.grain);
  const int64_t n = c->units / c->block_units;
  const int64_t most = rpi_workers_count(ctx->workers);
  if (n > 1) c->threads = (int32_t)(n < most ? n : most);
}

/* What a function on the GPU is told, but for addresses. */
static void describe_stores(rpi_arena *a, const rpi_task *t, rpi_plan_call *c) {
  const size_t n = (size_t)t->n_store + 1;
  rp_gpu_store *s = rpi_arena_get(a, sizeof *s * n);
  const rp_gpu_store **at = rpi_arena_get(a, sizeof(*at) * n);
  c->threads = 1;
  if (!s || !at) return;
  for (int32_t i = 0; i < t->n_store; i++) {
    s[i] = (rp_gpu_store){.dtype = t->view[i]->dtype,
                          .ndim = c->geom[i].ndim,
                          .extents = c->geom[i].shape,
                          .strides = c->geom[i].stride};
    at[i] = &s[i];
  }
  c->gpu = s;
  c->gpu_stores = at;
}

void rpi_lower_call(const rp_context *ctx, rpi_arena *a, const rpi_task *t, bool gpu,
                    rpi_plan_call *c) {
  rpi_geom *geom = rpi_arena_get(a, sizeof *geom * (size_t)(t->n_store + 1));
  *c = (rpi_plan_call){.opaque = t->op->opaque, .geom = geom, .n = t->n_store};
  if (!geom) return;
  for (int32_t i = 0; i < t->n_store; i++) geom[i] = t->view[i]->geom;
  if (gpu)
    describe_stores(a, t, c);
  else
    split(ctx, a, t, c);
  c->n_unbound = rpi_opaque_n_unbound(c->opaque);
  c->counts = rpi_arena_get(a, sizeof *c->counts * (size_t)(c->threads * c->n_unbound + 1));
}
