/* SPDX-License-Identifier: Apache-2.0
 * trace/query.c -- see query.h. */
#include "trace/query.h"

#include "core/base/alloc.h"

enum { Q_RELATE, Q_SPACE, Q_OVERWRITES, Q_LARGE, Q_SMALL };
enum { SMALL_BYTES = 32 * 1024 };

void rpi_query_init(rpi_queries *q, const rpi_tasks *tasks) { *q = (rpi_queries){.tasks = tasks}; }

void rpi_query_deinit(rpi_queries *q) {
  rpi_alloc_free(q->list);
  rpi_alloc_free(q->memo);
  *q = (rpi_queries){0};
}

/* A reduction over nothing writes all the same: reduced axes count as one step. */
static rpi_geom touched(const rpi_access *a) {
  rpi_geom g = a->geom;
  for (int32_t d = 0; (a->mode & RPI_ACCESS_REDUCE) && d < g.ndim; d++)
    if (g.shape[d] == 0 && g.stride[d] == 0) g.shape[d] = 1;
  return g;
}

static int32_t relate(const rpi_tasks *ts, int32_t a, int32_t b) {
  const rpi_access *x = &ts->access[a], *y = &ts->access[b];
  const rpi_view *v = x->view;
  bool opaque = x->operand < 0 || y->operand < 0;
  int32_t answer = 0;
  if (!x->table && !y->table && !opaque && rpi_geom_equal(&x->geom, &y->geom))
    answer |= RPI_REL_EQUAL;
  const rpi_geom gx = touched(x), gy = touched(y);
  rpi_relation r = rpi_geom_relate(&gx, &gy, v->bdim, v->bshape);
  if (r.disjoint) answer |= RPI_REL_DISJOINT;
  if (r.covers && !x->table) answer |= RPI_REL_COVERS;
  if (!r.exact) answer |= RPI_REL_INEXACT;
  if (!opaque && rpi_task_is_uniform(x)) answer |= RPI_REL_UNIFORM;
  return answer;
}

static int32_t same_space(const rpi_task *a, const rpi_task *b) {
  if (a->rank != b->rank) return 0;
  for (int32_t d = 0; d < a->rank; d++)
    if (a->extent[d] != b->extent[d]) return 0;
  return 1;
}

static int32_t is_small(const rpi_tasks *ts, const rpi_task *t) {
  int64_t bytes = 0;
  for (int32_t i = 0; i < t->n_access; i++) {
    const rpi_access *a = &ts->access[t->first_access + i];
    bytes += rpi_geom_size(&a->geom) * rpi_dtype_size(a->view->dtype);
  }
  return bytes <= SMALL_BYTES;
}

static int32_t evaluate(const rpi_tasks *ts, int32_t kind, int32_t a, int32_t b) {
  switch (kind) {
    case Q_RELATE: return relate(ts, a, b);
    case Q_SPACE: return same_space(&ts->task[a], &ts->task[b]);
    case Q_OVERWRITES: return rpi_task_overwrites(&ts->access[a]);
    case Q_SMALL: return is_small(ts, &ts->task[a]);
    default: {
      const rpi_access *x = &ts->access[a];
      return 2 * rpi_geom_size(&x->geom) >= x->view->bsize;
    }
  }
}

static uint32_t place(const rpi_queries *q, int32_t kind, int32_t a, int32_t b) {
  uint64_t h = ((uint64_t)(uint32_t)a << 32 | (uint32_t)b) * 0x9e3779b97f4a7c15u + (uint64_t)kind;
  return (uint32_t)((h ^ h >> 29) & (uint64_t)(q->cap_memo - 1));
}

static bool memo_grow(rpi_queries *q) {
  int32_t cap = q->cap_memo ? 2 * q->cap_memo : 256;
  int32_t *memo = rpi_alloc(sizeof *memo * (size_t)cap);
  if (!memo) return false;
  rpi_alloc_free(q->memo);
  q->memo = memo;
  q->cap_memo = cap;
  for (int32_t i = 0; i < cap; i++) memo[i] = -1;
  for (int32_t i = 0; i < q->n; i++) {
    uint32_t at = place(q, q->list[i].kind, q->list[i].a, q->list[i].b);
    while (memo[at] >= 0) at = (at + 1) & (uint32_t)(cap - 1);
    memo[at] = i;
  }
  return true;
}

static int32_t ask(rpi_queries *q, int32_t kind, int32_t a, int32_t b) {
  if (2 * (q->n + 1) > q->cap_memo && !memo_grow(q)) q->failed = true;
  if (q->failed) return evaluate(q->tasks, kind, a, b);
  uint32_t at = place(q, kind, a, b);
  for (; q->memo[at] >= 0; at = (at + 1) & (uint32_t)(q->cap_memo - 1)) {
    const rpi_query *k = &q->list[q->memo[at]];
    if (k->kind == kind && k->a == a && k->b == b) return k->answer;
  }
  int32_t answer = evaluate(q->tasks, kind, a, b);
  void *list = q->list;
  if (!rpi_alloc_grow(&list, &q->cap, q->n + 1, sizeof *q->list)) {
    q->failed = true;
    return answer;
  }
  q->list = list;
  q->list[q->n] = (rpi_query){.kind = (uint8_t)kind, .answer = (uint8_t)answer, .a = a, .b = b};
  q->memo[at] = q->n++;
  return answer;
}

int32_t rpi_query_relate(rpi_queries *q, int32_t a, int32_t b) { return ask(q, Q_RELATE, a, b); }
bool rpi_query_same_space(rpi_queries *q, int32_t a, int32_t b) { return ask(q, Q_SPACE, a, b); }
bool rpi_query_overwrites(rpi_queries *q, int32_t a) { return ask(q, Q_OVERWRITES, a, 0); }
bool rpi_query_large(rpi_queries *q, int32_t a) { return ask(q, Q_LARGE, a, 0); }
bool rpi_query_small(rpi_queries *q, int32_t task) { return ask(q, Q_SMALL, task, 0); }

bool rpi_query_hold(const rpi_queries *q, const rpi_tasks *tasks) {
  if (q->failed) return false;
  for (int32_t i = 0; i < q->n; i++) {
    const rpi_query *k = &q->list[i];
    if (evaluate(tasks, k->kind, k->a, k->b) != k->answer) return false;
  }
  return true;
}
