/* SPDX-License-Identifier: Apache-2.0
 * trace/poison.c -- see poison.h. */
#include "trace/poison.h"

#include <stdio.h>
#include <string.h>

#include "trace/outcome.h"

static void report(rp_context *ctx, const char *why) {
  ctx->data_error = true;
  rpi_alloc_free(ctx->data_message);
  ctx->data_message = rpi_alloc_string(why);
}

/* The call of this group that reported failure; -1: none. */
static int32_t failed_call(const rpi_bound *b, int32_t group) {
  if (b->an->group[group].opaque)
    for (int32_t c = 0; c < b->plan.n_call; c++)
      if (b->plan.call[c].failed && b->call_group[c] == group) return c;
  return -1;
}

/* Who failed itself in this run: every slot a group writes whose kernel raised its flag, or whose
 * function reported failure. */
static bool group_failed(const rp_context *ctx, const rpi_bound *b, int32_t group) {
  for (int32_t f = 0; f < b->n_flag; f++)
    if (b->flag_group[f] == group && ctx->flags[f].raised) return true;
  return failed_call(b, group) >= 0;
}

enum { POISON_TEXT = 512 };

typedef struct poison_walk {
  rp_context *ctx;
  const rpi_segment *s;
  bool *temporary; /* the template's `bad` */
  char why[POISON_TEXT];
} poison_walk;

/* Why the slot must not be read, NULL if it is sound. */
static const char *poison_of(const poison_walk *w, uint32_t slot) {
  if (slot < w->s->n_slot) return w->s->slot[slot]->poison;
  return w->temporary[slot - w->s->n_slot] ? w->why : NULL;
}

static void set_poison(poison_walk *w, const rpi_access *a, bool bad) {
  if (a->slot >= w->s->n_slot) {
    w->temporary[a->slot - w->s->n_slot] = bad;
    return;
  }
  rpi_buffer *b = w->s->slot[a->slot];
  if (bad) {
    if (!b->poison) w->ctx->stats.poisoned++;
    rpi_store_poison(b, w->why);
    rpi_context_reason(w->ctx, RPI_REASON_POISONED);
  } else if (b->poison && rpi_task_overwrites(a)) {
    rpi_store_poison(b, NULL);
  }
}

/* Who failed, where it was launched, and what at; `where`: on which rank, or in which words. */
static void describe_failure(const rpi_segment *s, const rpi_task *task, const rpi_access *a,
                             const char *where, char why[POISON_TEXT]) {
  char name[RPI_OP_PARAM], shape[RPI_GEOM_SHAPE];
  const rp_op *op = task->op;
  int32_t n = snprintf(why, POISON_TEXT, "%s.%s, launch %lld of the context", op->lib->name,
                       op->name, (long long)(s->first_launch + task->launch));
  if (s->pass > 0 && n < POISON_TEXT)
    n += snprintf(why + n, (size_t)(POISON_TEXT - n), " (trace %lld, pass %lld)",
                  (long long)s->trace, (long long)s->pass);
  if (op->special == RPI_OP_INVERT && n < POISON_TEXT) {
    snprintf(why + n, (size_t)(POISON_TEXT - n),
             ", met an index out of range on the left of a scatter");
    return;
  }
  const char *joint = ", met an index out of range of ";
  for (int32_t i = 0; i < task->n_access && n < POISON_TEXT; i++) {
    if (!a[i].table) continue;
    const rpi_geom *g = &a[i].view->geom;
    n += snprintf(why + n, (size_t)(POISON_TEXT - n), "%s%s, shape %s", joint,
                  rpi_op_param(op, a[i].arg, false, name),
                  rpi_geom_print_shape(g->ndim, g->shape, shape));
    joint = " or ";
  }
  if (task->kind == RPI_TASK_OPAQUE && n < POISON_TEXT)
    snprintf(why + n, (size_t)(POISON_TEXT - n), ", reported failure%s", where);
}

/* Such a task touches nothing but what it reduces into. */
static bool is_over_nothing(const rpi_task *t) {
  for (int32_t d = 0; d < t->rank; d++)
    if (t->extent[d] == 0) return true;
  return false;
}

/* Walks the tasks in program order: what reads poison is poisoned, what overwrites it is sound. */
static void walk(rp_context *ctx, rpi_template *t, const rpi_segment *s, const rpi_bound *b) {
  poison_walk w = {.ctx = ctx, .s = s, .temporary = t->bad};
  memset(t->bad, 0, t->tasks.n_slot - s->n_slot);
  for (int32_t k = 0; k < t->tasks.n_task; k++) {
    const rpi_task *task = &t->tasks.task[k];
    const rpi_access *a = &t->tasks.access[task->first_access];
    int32_t group = b->an->fusion.group[k];
    const bool may_fail = b->an->checked[k] || task->kind == RPI_TASK_OPAQUE;
    const uint8_t touched = is_over_nothing(task) ? RPI_ACCESS_REDUCE : UINT8_MAX;
    bool bad = false;
    for (int32_t i = 0; i < task->n_access && !bad; i++) {
      const bool reads = (a[i].mode & RPI_ACCESS_READ) && (a[i].mode & touched);
      const char *why = reads ? poison_of(&w, a[i].slot) : NULL;
      if (why && why != w.why) snprintf(w.why, sizeof w.why, "%s", why);
      bad = why != NULL;
    }
    /* What was given poison may have failed for that alone. */
    if (!bad && group >= 0 && may_fail && group_failed(ctx, b, group)) {
      char where[POISON_TEXT] = "";
      if (task->kind == RPI_TASK_OPAQUE)
        rpi_outcome_print(ctx, b, failed_call(b, group), where, sizeof where);
      describe_failure(s, task, a, where, w.why);
      report(ctx, w.why);
      bad = true;
    }
    for (int32_t i = 0; i < task->n_access; i++)
      if (a[i].mode & touched & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE)) set_poison(&w, &a[i], bad);
  }
}

bool rpi_poison_raised(const rp_context *ctx, const rpi_bound *b) {
  bool r = ctx->pool->n_poisoned > 0;
  for (int32_t f = 0; f < b->n_flag; f++) r = r || ctx->flags[f].raised;
  for (int32_t c = 0; c < b->plan.n_call; c++) r = r || b->plan.call[c].failed;
  return r;
}

rp_status rpi_poison_refuse(const char *call, const rpi_buffer *b) {
  return rpi_status_fail(RP_ERR_DATA, "%s: the data are poisoned: %s", call, b->poison);
}

void rpi_poison_spread(rp_context *ctx, rpi_template *t, const rpi_segment *s, rpi_bound *b) {
  if (RPI_LIKELY(!rpi_poison_raised(ctx, b))) return;
  walk(ctx, t, s, b);
  for (int32_t f = 0; f < b->n_flag; f++) ctx->flags[f].raised = 0;
  for (int32_t c = 0; c < b->plan.n_call; c++) rpi_opaque_gpu_forgive(&b->plan.call[c]);
}
