/* SPDX-License-Identifier: Apache-2.0
 * trace/beside.c -- see beside.h. */
#include "trace/beside.h"

/* A copy made two slots share memory: one group reads it as the one, the other writes it as the other. */
static bool share_memory(const rpi_tasks *ts, const rpi_group *a, const rpi_group *b) {
  uint8_t writes = RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE;
  for (int32_t i = 0; i < a->n_operand; i++)
    for (int32_t j = 0; j < b->n_operand; j++) {
      const rpi_group_operand *x = &a->operand[i], *y = &b->operand[j];
      if (x->symbol == y->symbol && ((x->ir.access | y->ir.access) & writes) &&
          ts->access[x->access].slot != ts->access[y->access].slot)
        return true;
    }
  return false;
}

static bool independent(rp_context *ctx, rpi_analysis *an, const rpi_group *a, const rpi_group *b) {
  if (share_memory(an->queries.tasks, a, b)) return false;
  for (int32_t i = 0; i < rpi_group_tasks(a); i++)
    for (int32_t j = 0; j < rpi_group_tasks(b); j++) {
      int32_t p = a->task[i], t = b->task[j];
      if (rpi_fuse_conflict(ctx, &an->queries, p < t ? p : t, p < t ? t : p, false)) return false;
    }
  return true;
}

static bool copies_before(const rpi_analysis *an, int32_t group) {
  const rpi_tasks *ts = an->queries.tasks;
  for (int32_t t = 0; t < ts->n_task; t++)
    if (ts->task[t].kind == RPI_TASK_COPY && an->fusion.group[t] == group) return true;
  return false;
}

void rpi_beside(rp_context *ctx, rpi_analysis *an) {
  if (!ctx->config.horizontal || !ctx->config.fusion) return;
  int32_t first = 0;
  for (int32_t i = 1; i < an->n_group; i++) {
    rpi_group *g = &an->group[i];
    bool beside = g->small && g->kernel && g->n_patch == 0 && !copies_before(an, i);
    for (int32_t k = first; k < i && beside; k++)
      beside = an->group[k].small && an->group[k].kernel && independent(ctx, an, &an->group[k], g);
    g->beside = beside;
    if (!beside) first = i;
  }
  /* Groups of one launch run at the same time: what one of them uses, all of them keep. */
  for (int32_t i = 0; i < an->n_symbol; i++) {
    rpi_symbol *s = &an->symbol[i];
    while (s->first > 0 && s->first < an->n_group && an->group[s->first].beside) s->first--;
    while (s->last + 1 < an->n_group && an->group[s->last + 1].beside) s->last++;
  }
}
