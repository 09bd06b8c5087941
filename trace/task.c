/* SPDX-License-Identifier: Apache-2.0
 * trace/task.c -- see task.h. */
#include "trace/task.h"

#include <string.h>

#include "core/exec/opaque.h"
#include "trace/context.h"

/* ---- from words to tasks ---- */

typedef struct builder {
  rp_context *ctx;
  rpi_arena *arena;
  rpi_tasks *ts;
} builder;

static void access_add(rpi_tasks *ts, int32_t t, int32_t arg, int32_t operand, uint8_t mode,
                       bool table, const rpi_geom *geom) {
  rpi_task *task = &ts->task[t];
  ts->access[ts->n_access++] = (rpi_access){.task = t,
                                            .slot = task->slot[arg],
                                            .arg = arg,
                                            .operand = operand,
                                            .mode = mode,
                                            .table = table,
                                            .view = task->view[arg],
                                            .geom = *geom};
  task->n_access++;
}

static uint8_t mode_of(int32_t privilege) {
  uint8_t m = 0;
  if (privilege & RP_PRIV_READ) m |= RPI_ACCESS_READ;
  if (privilege & RP_PRIV_WRITE) m |= RPI_ACCESS_WRITE;
  return m;
}

static void whole_arguments(rpi_tasks *ts, int32_t t) {
  for (int32_t i = 0; i < ts->task[t].n_store; i++)
    access_add(ts, t, i, -1, mode_of(ts->task[t].op->privilege[i]), false,
               &ts->task[t].view[i]->geom);
}

/* Both sides whole arrays of one type and shape: the copy can share memory. */
static bool is_shared_copy(const rpi_task *t) {
  const rpi_view *dst = t->view[0], *src = t->view[1];
  return t->slot[0] != t->slot[1] && dst->whole && src->whole && dst->dtype == src->dtype &&
         dst->geom.ndim >= 1 && rpi_geom_equal(&dst->geom, &src->geom);
}

static bool has_loops(const rpi_ir *ir) {
  for (int32_t i = 0; i < ir->n_ins; i++)
    if (ir->ins[i].op == RPI_IR_LOOP || ir->ins[i].op == RPI_IR_GATHER) return true;
  return false;
}

/* One point by its form, not by accident of sizes: all arguments are scalars. */
static bool is_point(const rpi_task *t) {
  for (int32_t i = 0; i < t->n_store; i++)
    if (t->view[i]->geom.ndim > 0) return false;
  return !has_loops(&t->variant->ir);
}

/* Lays a task's variant on its arguments: the accesses and the space. */
static rp_status place_on(builder *b, int32_t t, const rpi_body_arg *args) {
  rpi_task *task = &b->ts->task[t];
  const rpi_ir *ir = &task->variant->ir;
  rpi_placement p = {0};
  p.operand = rpi_arena_get(b->arena, sizeof *p.operand * (size_t)(ir->n_operand + 1));
  p.extent_param = rpi_arena_get(b->arena, sizeof *p.extent_param * (size_t)(ir->n_extent + 1));
  if (!p.operand || !p.extent_param) return rpi_status_nomem("tasks");
  RPI_TRY(rpi_variant_place(task->variant, args, &p));
  task->extent_param = p.extent_param;
  task->rank = p.rank;
  task->kind = is_point(task) ? RPI_TASK_SCALAR : RPI_TASK_BODY;
  for (int32_t d = 0; d < task->rank; d++) task->extent[d] = p.extent[d];
  for (int32_t o = 0; o < ir->n_operand; o++) {
    bool table = ir->operand[o].kind == RPI_OPERAND_TABLE;
    uint8_t mode = ir->operand[o].access;
    for (int32_t r = 0; r < ir->n_red; r++)
      if (ir->red[r].operand == o && ir->red[r].join) mode |= RPI_ACCESS_READ;
    access_add(b->ts, t, task->variant->operand[o].arg, o, mode, table, &p.operand[o]);
  }
  return RP_OK;
}

static rp_status place_body(builder *b, int32_t t) {
  const rpi_task *task = &b->ts->task[t];
  rpi_body_arg args[RPI_OP_MAX_STORES];
  for (int32_t i = 0; i < task->n_store; i++)
    args[i] = (rpi_body_arg){.dtype = task->view[i]->dtype, .geom = task->view[i]->geom};
  return place_on(b, t, args);
}

static rp_status variant_of(rpi_task *t) {
  rpi_body_arg args[RPI_OP_MAX_STORES];
  for (int32_t i = 0; i < t->n_store; i++)
    args[i] = (rpi_body_arg){.dtype = t->view[i]->dtype, .geom = t->view[i]->geom};
  return rpi_body_variant(t->op->body, args, &t->variant);
}

/* ---- tasks that go through a temporary ---- */

/* A slot of the segment's own that no buffer stands behind: it dies in the segment. */
static const rpi_view *temporary(builder *b, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                                 uint32_t *slot) {
  rpi_geom g;
  rpi_geom_dense(ndim, shape, &g);
  *slot = b->ts->n_slot++;
  return rpi_view_get(&b->ctx->pool->views, dtype, ndim, shape, &g);
}

/* Appends dst[...] = src[...], where `dst` and `src` are boxes of one shape. */
static rp_status add_copy(builder *b, const rpi_view *dst_view, const rpi_geom *dst,
                          uint32_t dst_slot, const rpi_view *src_view, const rpi_geom *src,
                          uint32_t src_slot) {
  rpi_task *t = &b->ts->task[b->ts->n_task];
  uint32_t *slot = rpi_arena_get(b->arena, 2 * sizeof *slot);
  const rpi_view **view = rpi_arena_get(b->arena, 2 * sizeof *view);
  if (!slot || !view) return rpi_status_nomem("tasks");
  slot[0] = dst_slot;
  slot[1] = src_slot;
  view[0] = dst_view;
  view[1] = src_view;
  *t = (rpi_task){.op = b->ctx->copy_op,
                  .n_store = 2,
                  .slot = slot,
                  .view = view,
                  .first_access = b->ts->n_access};
  rpi_body_arg args[2] = {{.dtype = dst_view->dtype, .geom = *dst},
                          {.dtype = src_view->dtype, .geom = *src}};
  RPI_TRY(rpi_body_variant(t->op->body, args, &t->variant));
  RPI_TRY(place_on(b, b->ts->n_task, args));
  b->ts->n_task++;
  return RP_OK;
}

/* The task overwrites what access r reads, at other points, and renaming cannot help. */
static bool overlaps_itself(const builder *b, const rpi_task *t, const rpi_access *r) {
  if ((r->mode & ~RPI_ACCESS_READ) || rpi_task_is_uniform(r)) return false;
  for (int32_t i = 0; i < t->n_access; i++) {
    const rpi_access *w = &b->ts->access[t->first_access + i];
    bool renames = b->ctx->config.rename && 2 * rpi_geom_size(&w->geom) >= w->view->bsize;
    if (r->slot != w->slot || !(w->mode & RPI_ACCESS_WRITE) || renames) continue;
    if (!r->table && rpi_geom_equal(&r->geom, &w->geom)) continue;
    if (!rpi_geom_relate(&r->geom, &w->geom, w->view->bdim, w->view->bshape).disjoint) return true;
  }
  return false;
}

/* Places a body task; what it would overwrite under its own feet is copied to temporaries first. */
static rp_status place_safely(builder *b, rpi_task *raw) {
  rpi_tasks *ts = b->ts;
  int32_t t = ts->n_task, first = ts->n_access;
  ts->task[t] = *raw;
  ts->task[t].first_access = first;
  RPI_TRY(place_body(b, t));
  int32_t n = ts->task[t].n_access, n_aside = 0;
  rpi_access *aside = rpi_arena_get(b->arena, sizeof *aside * (size_t)(n + 1));
  if (!aside) return rpi_status_nomem("tasks");
  for (int32_t i = 0; i < n; i++)
    if (overlaps_itself(b, &ts->task[t], &ts->access[first + i]))
      aside[n_aside++] = ts->access[first + i];
  if (n_aside == 0) {
    ts->n_task++;
    return RP_OK;
  }
  rpi_context_reason(b->ctx, RPI_REASON_SELF_OVERLAP);
  ts->n_access = first; /* again, behind the copies */
  for (int32_t i = 0; i < n_aside; i++) {
    rpi_access old = aside[i];
    aside[i].view = temporary(b, old.view->dtype, old.geom.ndim, old.geom.shape, &aside[i].slot);
    if (!aside[i].view) return RP_ERR_MEMORY;
    aside[i].geom = aside[i].view->geom;
    RPI_TRY(
        add_copy(b, aside[i].view, &aside[i].geom, aside[i].slot, old.view, &old.geom, old.slot));
  }
  t = ts->n_task++;
  ts->task[t] = *raw;
  ts->task[t].first_access = ts->n_access;
  RPI_TRY(place_body(b, t));
  for (int32_t i = 0; i < n_aside; i++) {
    rpi_access *r = &ts->access[ts->task[t].first_access + aside[i].operand];
    r->slot = aside[i].slot;
    r->view = aside[i].view;
    r->geom = aside[i].geom;
  }
  return RP_OK;
}

/* Opaque functions that want dense stores get dense temporaries for the others. */
static rp_status dense_aside(builder *b, rpi_task *raw, rpi_task *after, bool *copied) {
  uint32_t *slot = rpi_arena_get(b->arena, sizeof *slot * (size_t)(raw->n_store + 1));
  const rpi_view **view = rpi_arena_get(b->arena, sizeof *view * (size_t)(raw->n_store + 1));
  if (!slot || !view) return rpi_status_nomem("tasks");
  *after = *raw;
  for (int32_t i = 0; i < raw->n_store; i++) {
    slot[i] = raw->slot[i];
    view[i] = raw->view[i];
    copied[i] = !view[i]->dense;
    if (!copied[i]) continue;
    const rpi_geom *g = &raw->view[i]->geom;
    view[i] = temporary(b, view[i]->dtype, g->ndim, g->shape, &slot[i]);
    if (!view[i]) return RP_ERR_MEMORY;
    if (raw->op->privilege[i] & RP_PRIV_READ)
      RPI_TRY(add_copy(b, view[i], &view[i]->geom, slot[i], raw->view[i], g, raw->slot[i]));
  }
  after->slot = slot;
  after->view = view;
  return RP_OK;
}

static rp_status add_opaque(builder *b, rpi_task *raw) {
  bool copied[RPI_OP_MAX_STORES] = {false};
  rpi_task task = *raw;
  if (rpi_opaque_flags(raw->op->opaque) & RP_OPAQUE_DENSE)
    RPI_TRY(dense_aside(b, raw, &task, copied));
  task.kind = RPI_TASK_OPAQUE;
  task.first_access = b->ts->n_access;
  b->ts->task[b->ts->n_task] = task;
  whole_arguments(b->ts, b->ts->n_task++);
  for (int32_t i = 0; i < raw->n_store; i++)
    if (copied[i] && (raw->op->privilege[i] & RP_PRIV_WRITE))
      RPI_TRY(add_copy(b, raw->view[i], &raw->view[i]->geom, raw->slot[i], task.view[i],
                       &task.view[i]->geom, task.slot[i]));
  return RP_OK;
}

static rp_status add_task(builder *b, rpi_task *raw) {
  if (!raw->op->body) return add_opaque(b, raw);
  if (raw->op->special == RPI_OP_COPY && b->ctx->config.fusion) {
    if (is_shared_copy(raw)) {
      int32_t t = b->ts->n_task++;
      b->ts->task[t] = *raw;
      b->ts->task[t].first_access = b->ts->n_access;
      b->ts->task[t].kind = RPI_TASK_COPY;
      whole_arguments(b->ts, t);
      return RP_OK;
    }
    rpi_context_reason(b->ctx, RPI_REASON_COPY_VIEW);
  }
  return place_safely(b, raw);
}

static int32_t count_tasks(const uint64_t *words, int32_t n_words) {
  int32_t n = 0;
  for (int32_t w = 0; w < n_words; w += 1 + (int32_t)(words[w] >> 32 & 0xffff)) n++;
  return n;
}

/* Ids, views and variants; *most is an upper bound of the accesses, *copies of the copies. */
static rp_status decode(builder *b, const uint64_t *words, int32_t n_words, rpi_task *raw,
                        int32_t *most, int32_t *copies) {
  *most = *copies = 0;
  for (int32_t w = 0, t = 0; w < n_words; t++) {
    rpi_task *task = &raw[t];
    task->op = b->ctx->op_by_id[words[w] & 0xffffffffu];
    task->n_store = (int32_t)(words[w] >> 32 & 0xffff);
    task->launch = t;
    task->first_scalar = b->ts->n_scalar;
    b->ts->n_scalar += (int32_t)(words[w] >> 48);
    uint32_t *slot = rpi_arena_get(b->arena, sizeof *slot * (size_t)(task->n_store + 1));
    task->view = rpi_arena_get(b->arena, sizeof *task->view * (size_t)(task->n_store + 1));
    if (!slot || !task->view) return rpi_status_nomem("tasks");
    for (int32_t i = 0; i < task->n_store; i++) {
      slot[i] = (uint32_t)(words[w + 1 + i] >> 32);
      task->view[i] = b->ctx->pool->views.by_id[words[w + 1 + i] & 0xffffffffu];
    }
    task->slot = slot;
    *most += task->n_store;
    *copies += 2 * task->n_store;
    if (task->op->body) {
      RPI_TRY(variant_of(task));
      *most += task->variant->ir.n_operand;
      *copies += task->variant->ir.n_operand;
    }
    w += 1 + task->n_store;
  }
  *most += 2 * *copies;
  return RP_OK;
}

rp_status rpi_task_build(rp_context *ctx, const uint64_t *words, int32_t n_words, uint32_t n_slot,
                         rpi_arena *a, rpi_tasks *out) {
  *out = (rpi_tasks){.n_slot = n_slot};
  builder b = {.ctx = ctx, .arena = a, .ts = out};
  int32_t n = count_tasks(words, n_words), copies;
  rpi_task *raw = rpi_arena_get(a, sizeof *raw * (size_t)(n + 1));
  if (!raw) return rpi_status_nomem("tasks");
  RPI_TRY(decode(&b, words, n_words, raw, &out->cap_access, &copies));
  out->task = rpi_arena_get(a, sizeof *out->task * (size_t)(n + copies + 1));
  out->access = rpi_arena_get(a, sizeof *out->access * (size_t)(out->cap_access + 1));
  if (!out->task || !out->access) return rpi_status_nomem("tasks");
  for (int32_t t = 0; t < n; t++) RPI_TRY(add_task(&b, &raw[t]));
  return RP_OK;
}

/* ---- validation of a launch ---- */

static rp_status check_access(const rp_op *op, rp_store *const *stores, int32_t i) {
  if (!(op->privilege[i] & RP_PRIV_WRITE)) return RP_OK;
  const rp_store *s = stores[i];
  char mine[RPI_OP_PARAM], other[RPI_OP_PARAM];
  if (s->buf->klass & RPI_CLASS_READ_ONLY)
    return rpi_status_fail(RP_ERR_ACCESS, "%s.%s: %s is attached read-only and is written",
                           op->lib->name, op->name, rpi_op_param(op, i, false, mine));
  if (s->readonly_view)
    return rpi_status_fail(RP_ERR_ACCESS,
                           "%s.%s: %s is written through a view that shows elements twice",
                           op->lib->name, op->name, rpi_op_param(op, i, false, mine));
  for (int32_t j = 0; j < op->n_stores; j++) {
    if (j == i || !(op->privilege[j] & RP_PRIV_WRITE) || stores[j]->buf != s->buf) continue;
    rpi_relation r =
        rpi_geom_relate(&s->view->geom, &stores[j]->view->geom, s->view->bdim, s->view->bshape);
    if (!r.disjoint)
      return rpi_status_fail(RP_ERR_ACCESS, "%s.%s: %s and %s are both written and overlap",
                             op->lib->name, op->name, rpi_op_param(op, i, false, mine),
                             rpi_op_param(op, j, false, other));
  }
  return RP_OK;
}

rp_status rpi_task_validate(rp_op *op, rp_store *const *stores) {
  for (int32_t i = 0; i < op->n_stores; i++) RPI_TRY(check_access(op, stores, i));
  if (!op->body) return rpi_opaque_check(op->opaque, op, stores);
  rpi_body_arg args[RPI_OP_MAX_STORES];
  for (int32_t i = 0; i < op->n_stores; i++)
    args[i] = (rpi_body_arg){.dtype = stores[i]->view->dtype, .geom = stores[i]->view->geom};
  const rpi_variant *v;
  rp_status st = rpi_body_variant(op->body, args, &v);
  return st == RP_OK ? RP_OK : rpi_status_context(st, "%s.%s", op->lib->name, op->name);
}

/* ---- text ---- */

/* "[4,6]", or "[4,6 by 12,-1 from 5]" where the elements are not all of the buffer in C order. */
static void print_view(const rpi_view *v, rpi_strbuf *out) {
  const rpi_geom *g = &v->geom;
  rpi_strbuf_add(out, "[");
  for (int32_t d = 0; d < g->ndim; d++)
    rpi_strbuf_addf(out, "%s%lld", d ? "," : "", (long long)g->shape[d]);
  if (!v->whole && g->ndim > 0) {
    for (int32_t d = 0; d < g->ndim; d++)
      rpi_strbuf_addf(out, "%s%lld", d ? "," : " by ", (long long)g->stride[d]);
  }
  if (!v->whole) rpi_strbuf_addf(out, " from %lld", (long long)g->offset);
  rpi_strbuf_add(out, "]");
}

void rpi_task_print_op(const rpi_tasks *ts, int32_t t, rpi_strbuf *out) {
  const rp_op *op = ts->task[t].op;
  if (strchr(op->name, ' ')) /* an ad hoc op is named after its body */
    rpi_strbuf_addf(out, "\"%.100s\"", op->name);
  else
    rpi_strbuf_addf(out, "%s.%s", op->lib->name, op->name);
}

void rpi_task_print(const rpi_tasks *ts, int32_t t, rpi_strbuf *out) {
  const rpi_task *task = &ts->task[t];
  rpi_task_print_op(ts, t, out);
  rpi_strbuf_add(out, " (");
  for (int32_t i = 0; i < task->n_store; i++) {
    rpi_strbuf_addf(out, "%ss%u %s", i ? ", " : "", task->slot[i],
                    rpi_dtype_name(task->view[i]->dtype));
    print_view(task->view[i], out);
  }
  rpi_strbuf_add(out, ")");
}
