/* SPDX-License-Identifier: Apache-2.0
 * trace/task.c -- see task.h. */
#include "trace/task.h"

#include <string.h>

#include "trace/context.h"

/* ---- from words to tasks ---- */

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

static rp_status place_body(rpi_tasks *ts, int32_t t, rpi_arena *a) {
  rpi_task *task = &ts->task[t];
  const rpi_ir *ir = &task->variant->ir;
  rpi_body_arg args[RPI_OP_MAX_STORES];
  for (int32_t i = 0; i < task->n_store; i++)
    args[i] = (rpi_body_arg){.dtype = task->view[i]->dtype, .geom = task->view[i]->geom};
  rpi_placement p = {0};
  p.operand = rpi_arena_get(a, sizeof *p.operand * (size_t)(ir->n_operand + 1));
  p.extent_param = rpi_arena_get(a, sizeof *p.extent_param * (size_t)(ir->n_extent + 1));
  if (!p.operand || !p.extent_param) return rpi_status_nomem("tasks");
  RPI_TRY(rpi_variant_place(task->variant, args, &p));
  task->extent_param = p.extent_param;
  task->rank = p.rank;
  task->kind = is_point(task) ? RPI_TASK_SCALAR : RPI_TASK_BODY;
  for (int32_t d = 0; d < task->rank; d++) {
    task->extent[d] = p.extent[d];
  }
  for (int32_t o = 0; o < ir->n_operand; o++) {
    bool table = ir->operand[o].kind == RPI_OPERAND_TABLE;
    uint8_t mode = ir->operand[o].access;
    for (int32_t r = 0; r < ir->n_red; r++)
      if (ir->red[r].operand == o && ir->red[r].join) mode |= RPI_ACCESS_READ;
    access_add(ts, t, task->variant->operand[o].arg, o, mode, table, &p.operand[o]);
  }
  return RP_OK;
}

static rp_status variant_of(rpi_task *t) {
  rpi_body_arg args[RPI_OP_MAX_STORES];
  for (int32_t i = 0; i < t->n_store; i++)
    args[i] = (rpi_body_arg){.dtype = t->view[i]->dtype, .geom = t->view[i]->geom};
  return rpi_body_variant(t->op->body, args, &t->variant);
}

static int32_t count_tasks(const uint64_t *words, int32_t n_words) {
  int32_t n = 0;
  for (int32_t w = 0; w < n_words; w += 1 + (int32_t)(words[w] >> 32 & 0xffff)) n++;
  return n;
}

/* Ids, views and variants; returns an upper bound of the accesses in *n_access. */
static rp_status decode(rp_context *ctx, const uint64_t *words, int32_t n_words, rpi_arena *a,
                        rpi_tasks *ts, int32_t *n_access) {
  int32_t t = 0;
  *n_access = 0;
  for (int32_t w = 0; w < n_words; t++) {
    rpi_task *task = &ts->task[t];
    task->op = ctx->op_by_id[words[w] & 0xffffffffu];
    task->n_store = (int32_t)(words[w] >> 32 & 0xffff);
    task->first_scalar = ts->n_scalar;
    ts->n_scalar += (int32_t)(words[w] >> 48);
    uint32_t *slot = rpi_arena_get(a, sizeof *slot * (size_t)(task->n_store + 1));
    task->view = rpi_arena_get(a, sizeof *task->view * (size_t)(task->n_store + 1));
    if (!slot || !task->view) return rpi_status_nomem("tasks");
    for (int32_t i = 0; i < task->n_store; i++) {
      slot[i] = (uint32_t)(words[w + 1 + i] >> 32);
      task->view[i] = ctx->pool->view_by_id[words[w + 1 + i] & 0xffffffffu];
    }
    task->slot = slot;
    *n_access += task->n_store;
    if (task->op->body) {
      RPI_TRY(variant_of(task));
      *n_access += task->variant->ir.n_operand;
    }
    w += 1 + task->n_store;
  }
  return RP_OK;
}

rp_status rpi_task_build(rp_context *ctx, const uint64_t *words, int32_t n_words, uint32_t n_slot,
                         rpi_arena *a, rpi_tasks *out) {
  *out = (rpi_tasks){.n_slot = n_slot};
  out->n_task = count_tasks(words, n_words);
  out->task = rpi_arena_get(a, sizeof *out->task * (size_t)(out->n_task + 1));
  if (!out->task) return rpi_status_nomem("tasks");
  RPI_TRY(decode(ctx, words, n_words, a, out, &out->cap_access));
  out->access = rpi_arena_get(a, sizeof *out->access * (size_t)(out->cap_access + 1));
  if (!out->access) return rpi_status_nomem("tasks");
  for (int32_t t = 0; t < out->n_task; t++) {
    rpi_task *task = &out->task[t];
    task->first_access = out->n_access;
    if (!task->op->body) {
      task->kind = RPI_TASK_OPAQUE;
      whole_arguments(out, t);
    } else if (task->op->special == RPI_OP_COPY && ctx->config.fusion && is_shared_copy(task)) {
      task->kind = RPI_TASK_COPY;
      whole_arguments(out, t);
    } else {
      RPI_TRY(place_body(out, t, a));
    }
  }
  return RP_OK;
}

/* ---- validation of a launch ---- */

static rp_status check_access(const rp_op *op, rp_store *const *stores, int32_t i) {
  if (!(op->privilege[i] & RP_PRIV_WRITE)) return RP_OK;
  const rp_store *s = stores[i];
  if (s->buf->klass & RPI_CLASS_READ_ONLY)
    return rpi_status_fail(RP_ERR_ACCESS, "%s: argument %d is attached read-only and is written",
                           op->name, i);
  if (s->readonly_view)
    return rpi_status_fail(RP_ERR_ACCESS,
                           "%s: argument %d is written through a view that shows elements twice",
                           op->name, i);
  for (int32_t j = 0; j < op->n_stores; j++) {
    if (j == i || !(op->privilege[j] & RP_PRIV_WRITE) || stores[j]->buf != s->buf) continue;
    rpi_relation r = rpi_geom_relate(&s->view->geom, &stores[j]->view->geom, s->view->bdim,
                                     s->view->bshape);
    if (!r.disjoint)
      return rpi_status_fail(RP_ERR_ACCESS, "%s: arguments %d and %d are both written and overlap",
                             op->name, i < j ? i : j, i < j ? j : i);
  }
  return RP_OK;
}

rp_status rpi_task_validate(rp_op *op, rp_store *const *stores) {
  for (int32_t i = 0; i < op->n_stores; i++) RPI_TRY(check_access(op, stores, i));
  if (!op->body) return RP_OK;
  rpi_body_arg args[RPI_OP_MAX_STORES];
  for (int32_t i = 0; i < op->n_stores; i++)
    args[i] = (rpi_body_arg){.dtype = stores[i]->view->dtype, .geom = stores[i]->view->geom};
  const rpi_variant *v;
  rp_status st = rpi_body_variant(op->body, args, &v);
  return st == RP_OK ? RP_OK : rpi_status_context(st, "%s.%s", op->lib->name, op->name);
}

/* ---- text ---- */

void rpi_task_print(const rpi_tasks *ts, int32_t t, rpi_strbuf *out) {
  const rpi_task *task = &ts->task[t];
  rpi_strbuf_addf(out, "%s.%s(", task->op->lib->name, task->op->name);
  for (int32_t i = 0; i < task->n_store; i++) {
    char geom[256];
    rpi_geom_print(&task->view[i]->geom, geom, sizeof geom);
    rpi_strbuf_addf(out, "%ss%u:%s%s", i ? ", " : "", task->slot[i],
                    rpi_dtype_name(task->view[i]->dtype), geom);
  }
  rpi_strbuf_add(out, ")");
}
