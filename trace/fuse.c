/* SPDX-License-Identifier: Apache-2.0
 * trace/fuse.c -- see fuse.h. */
#include "trace/fuse.h"

#include <string.h>

enum { MAX_OPERANDS = 40, MAX_INSTRUCTIONS = 1500 };

typedef struct fuser {
  rp_context *ctx;
  rpi_queries *q;
  const rpi_tasks *ts;
  const bool *live, *checked;
  rpi_fusion *f;
  uint8_t *conflict; /* [t * n + p], p < t */
  int32_t n;
  int32_t *group_size;     /* body tasks per group */
  int32_t *group_ops;      /* instructions per group */
  int32_t *group_first;    /* a body task of it, -1: none */
  uint8_t *group_mode;     /* 0 none, 1 LEAF, 2 ROW reductions, 3 opaque */
  int32_t most;            /* body tasks of a group; 0: any number */
  int32_t *group_operands; /* distinct operands, one access for each: MAX_OPERANDS per group */
  int32_t *group_n_operands;
  int32_t *slot_head, *slot_next; /* accesses of a slot, chained */
} fuser;

/* ---- conflicts ---- */

static rpi_conflict of_pair(rp_context *ctx, rpi_queries *q, int32_t x, int32_t y, bool count) {
  const rpi_access *p = &q->tasks->access[x], *t = &q->tasks->access[y];
  uint8_t writes = RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE;
  if (p->slot != t->slot || !((p->mode | t->mode) & writes)) return RPI_CONFLICT_NONE;
  int32_t rel = rpi_query_relate(q, x, y);
  if (rel & RPI_REL_DISJOINT) return RPI_CONFLICT_NONE;
  if (count && (rel & RPI_REL_INEXACT)) rpi_context_reason(ctx, RPI_REASON_FUSE_INEXACT);
  bool equal = rel & RPI_REL_EQUAL;
  if (p->mode & RPI_ACCESS_REDUCE) return RPI_CONFLICT_HARD;
  /* A reduction writes after all points have been visited. */
  if (t->mode & RPI_ACCESS_REDUCE) return RPI_CONFLICT_POINT;
  if (p->mode & RPI_ACCESS_WRITE) return equal ? RPI_CONFLICT_POINT : RPI_CONFLICT_HARD;
  /* Each part of a split body reads what is uniform when it begins; other parts may have written by
   * then, unless there is but one point. */
  if (equal || ((rel & RPI_REL_UNIFORM) && p->view->bsize == 1)) return RPI_CONFLICT_POINT;
  if (p->operand < 0 || t->operand < 0) return RPI_CONFLICT_HARD;
  if (!ctx->config.rename) {
    if (count) rpi_context_reason(ctx, RPI_REASON_RENAME_OFF);
    return RPI_CONFLICT_HARD;
  }
  if (!rpi_query_large(q, y)) {
    if (count) rpi_context_reason(ctx, RPI_REASON_RENAME_SMALL);
    return RPI_CONFLICT_HARD;
  }
  return RPI_CONFLICT_RENAME;
}

rpi_conflict rpi_fuse_conflict(rp_context *ctx, rpi_queries *q, int32_t p, int32_t t, bool count) {
  const rpi_task *a = &q->tasks->task[p], *b = &q->tasks->task[t];
  rpi_conflict worst = RPI_CONFLICT_NONE;
  for (int32_t i = 0; i < a->n_access; i++)
    for (int32_t j = 0; j < b->n_access; j++) {
      rpi_conflict c = of_pair(ctx, q, a->first_access + i, b->first_access + j, count);
      /* What a one-point task does to a scalar is done before any body that follows begins. */
      if (a->kind == RPI_TASK_SCALAR && c > RPI_CONFLICT_POINT &&
          q->tasks->access[a->first_access + i].view->bsize == 1)
        c = RPI_CONFLICT_POINT;
      if (c > worst) worst = c;
    }
  return worst;
}

/* Only tasks that share a slot can conflict; most pairs do not. */
static void fill_conflicts(fuser *u, rpi_arena *a) {
  int32_t words = (int32_t)(u->ts->n_slot + 63) / 64;
  uint64_t *binds = rpi_arena_get(a, sizeof *binds * (size_t)(words * u->n + 1));
  if (!binds) return;
  for (int32_t i = 0; i < u->ts->n_access; i++) {
    const rpi_access *x = &u->ts->access[i];
    binds[x->task * words + (int32_t)(x->slot / 64)] |= 1ull << (x->slot & 63);
  }
  for (int32_t t = 0; t < u->n; t++)
    for (int32_t p = 0; p < t; p++) {
      bool share = false;
      for (int32_t w = 0; w < words; w++)
        share = share || (binds[t * words + w] & binds[p * words + w]);
      if (share && u->f->group[p] != -1 && u->f->group[t] != -1)
        u->conflict[t * u->n + p] = (uint8_t)rpi_fuse_conflict(u->ctx, u->q, p, t, true);
    }
}

/* ---- dead tasks ---- */

static bool has_effect(const rpi_task *t) {
  return t->kind == RPI_TASK_OPAQUE && (rpi_opaque_flags(t->op->opaque) & RP_OPAQUE_SIDE_EFFECT);
}

static void drop_dead(fuser *u, rpi_arena *a) {
  bool *need = rpi_arena_get(a, u->ts->n_slot + 1);
  if (!need) return;
  memcpy(need, u->live, u->ts->n_slot);
  for (int32_t t = u->n - 1; t >= 0; t--) {
    const rpi_task *task = &u->ts->task[t];
    const rpi_access *x = &u->ts->access[task->first_access];
    bool needed = has_effect(task);
    for (int32_t i = 0; i < task->n_access; i++)
      needed = needed || ((x[i].mode & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE)) && need[x[i].slot]);
    if (!needed || rpi_task_idle(task)) {
      u->f->group[t] = -1;
      continue;
    }
    for (int32_t i = 0; i < task->n_access; i++)
      if (rpi_query_overwrites(u->q, task->first_access + i)) need[x[i].slot] = false;
    for (int32_t i = 0; i < task->n_access; i++)
      if (x[i].mode & (RPI_ACCESS_READ | RPI_ACCESS_REDUCE)) need[x[i].slot] = true;
  }
}

/* A kernel has one flag: which of two tasks raised it could not be told. */
static bool both_checked(const fuser *u, int32_t t, int32_t g) {
  for (int32_t o = 0; u->checked[t] && o < u->n; o++)
    if (o != t && u->f->group[o] == g && u->checked[o]) return true;
  return false;
}

/* ---- placement ---- */

static uint8_t mode_of(const rpi_task *t) {
  if (t->kind == RPI_TASK_OPAQUE) return 3;
  if (t->variant->ir.n_red == 0) return 0;
  return rpi_ir_row_mode(&t->variant->ir) ? 2 : 1;
}

/* Reduced axes of a ROW reduction must be the same for all of a group. */
static uint32_t row_mask(const rpi_task *t) {
  return t->variant->ir.n_red > 0 ? t->variant->ir.red[0].mask : 0;
}

/* Group g's body touches what access x touches, at the same points. */
static bool group_touches(fuser *u, int32_t x, int32_t g) {
  const rpi_access *a = &u->ts->access[x];
  if (a->table) return false;
  for (int32_t y = u->slot_head[a->slot]; y >= 0; y = u->slot_next[y]) {
    int32_t o = u->ts->access[y].task;
    if (o == a->task || u->f->group[o] != g || u->f->phase[o] != RPI_PHASE_BODY) continue;
    if (!u->ts->access[y].table && (rpi_query_relate(u->q, x, y) & RPI_REL_EQUAL)) return true;
  }
  return false;
}

/* Elements, those that are the same at every point once. */
static int64_t elements(const rpi_geom *g) {
  int64_t n = 1;
  for (int32_t d = 0; d < g->ndim; d++)
    if (g->stride[d] != 0) n *= g->shape[d];
  return n;
}

/* Bytes of t's operands that group g touches as well, in the same place. */
static int64_t shared_bytes(fuser *u, int32_t t, int32_t g) {
  const rpi_task *task = &u->ts->task[t];
  int64_t bytes = 0;
  for (int32_t i = 0; i < task->n_access; i++) {
    const rpi_access *x = &u->ts->access[task->first_access + i];
    if (group_touches(u, task->first_access + i, g))
      bytes += elements(&x->geom) * rpi_dtype_size(x->view->dtype);
  }
  return bytes;
}

/* The access needs no pointer if it stays in group g: a temporary that the group itself makes.
 * Tasks that come later are taken to join. */
static bool is_internal(fuser *u, int32_t x, int32_t g) {
  const rpi_access *a = &u->ts->access[x];
  if (u->live[a->slot] || a->table) return false;
  if (!(a->mode & RPI_ACCESS_READ)) return true;
  for (int32_t y = u->slot_head[a->slot]; y >= 0 && y < x; y = u->slot_next[y])
    if ((u->ts->access[y].mode & RPI_ACCESS_WRITE) && u->f->group[u->ts->access[y].task] == g)
      return true;
  return false;
}

/* How many operands t adds to group g; with `add` they are entered. */
static int32_t new_operands(fuser *u, int32_t t, int32_t g, bool add) {
  const rpi_task *task = &u->ts->task[t];
  int32_t *list = &u->group_operands[g * MAX_OPERANDS], fresh = 0;
  for (int32_t i = 0; i < task->n_access; i++) {
    int32_t x = task->first_access + i, n = u->group_n_operands[g];
    bool seen = is_internal(u, x, g);
    for (int32_t k = 0; k < n && !seen; k++)
      seen = u->ts->access[list[k]].slot == u->ts->access[x].slot &&
             (list[k] == x || (rpi_query_relate(u->q, list[k], x) & RPI_REL_EQUAL));
    fresh += !seen;
    if (add && !seen && n < MAX_OPERANDS) list[u->group_n_operands[g]++] = x;
  }
  return fresh;
}

static bool operands_fit(fuser *u, int32_t t, int32_t g) {
  return u->group_n_operands[g] == 0 ||
         u->group_n_operands[g] + new_operands(u, t, g, false) <= MAX_OPERANDS;
}

static void refuse(fuser *u, int32_t t, int32_t g, rpi_reason why) {
  rpi_context_reason(u->ctx, why);
  if (u->f->n_refusal < RPI_FUSION_REFUSALS)
    u->f->refusal[u->f->n_refusal++] = (rpi_refusal){.task = t, .group = g, .reason = (int32_t)why};
}

/* A prologue writes an element of a buffer that a body of the group writes, too: if the buffer is renamed
 * for the body's sake, the copy of what the body leaves comes before the prologue. */
static bool part_written(const fuser *u, int32_t t, int32_t g) {
  const uint8_t writes = RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE;
  const rpi_task *task = &u->ts->task[t];
  for (int32_t x = task->first_access; x < task->first_access + task->n_access; x++) {
    const rpi_access *a = &u->ts->access[x];
    if (!(a->mode & writes) || a->view->bsize <= 1) continue;
    for (int32_t y = u->slot_head[a->slot]; y >= 0; y = u->slot_next[y]) {
      const int32_t o = u->ts->access[y].task;
      if (u->f->group[o] == g && (u->ts->access[y].mode & writes) &&
          (u->ts->task[o].kind == RPI_TASK_SCALAR) != (task->kind == RPI_TASK_SCALAR))
        return true;
    }
  }
  return false;
}

/* May body task t be in group g, everything else staying where it is? */
static bool fits(fuser *u, int32_t t, int32_t g, bool count) {
  const rpi_task *task = &u->ts->task[t];
  rpi_reason why = RPI_N_REASON;
  uint8_t mode = mode_of(task), gm = u->group_mode[g];
  int32_t first = u->group_first[g];
  if (mode == 3 || gm == 3)
    why = RPI_REASON_FUSE_OPAQUE;
  else if (first >= 0 && !rpi_query_same_space(u->q, first, t))
    why = RPI_REASON_FUSE_SPACE;
  else if (mode && gm && mode != gm)
    why = RPI_REASON_FUSE_MODE;
  else if (u->group_ops[g] + task->variant->ir.n_ins > MAX_INSTRUCTIONS || !operands_fit(u, t, g))
    why = RPI_REASON_FUSE_OPERANDS;
  else if (u->most > 0 && u->group_size[g] >= u->most)
    why = RPI_REASON_FUSE_SPILLS;
  else if (both_checked(u, t, g))
    why = RPI_REASON_FUSE_CHECKED;
  else if (part_written(u, t, g))
    why = RPI_REASON_FUSE_FLOW;
  if (why == RPI_N_REASON && mode == 2 && gm == 2)
    for (int32_t o = 0; o < u->n; o++)
      if (u->f->group[o] == g && u->f->phase[o] == RPI_PHASE_BODY &&
          mode_of(&u->ts->task[o]) == 2 && row_mask(&u->ts->task[o]) != row_mask(task))
        why = RPI_REASON_FUSE_MODE;
  if (why == RPI_N_REASON) return true;
  if (count) refuse(u, t, g, why);
  return false;
}

/* Task t uses the single element that p reduces to. */
static bool needs_sum(const fuser *u, int32_t p, int32_t t) {
  const rpi_task *a = &u->ts->task[p], *b = &u->ts->task[t];
  for (int32_t x = a->first_access; x < a->first_access + a->n_access; x++) {
    const rpi_access *r = &u->ts->access[x];
    if (!(r->mode & RPI_ACCESS_REDUCE) || r->view->bsize != 1) continue;
    for (int32_t y = b->first_access; y < b->first_access + b->n_access; y++)
      if (u->ts->access[y].slot == r->slot) return true;
  }
  return false;
}

/* First group in which t may be, by what it depends on among the tasks before it; *why says what
 * keeps it out of the one before. */
static int32_t earliest(fuser *u, int32_t t, rpi_reason *why) {
  bool scalar = u->ts->task[t].kind == RPI_TASK_SCALAR;
  bool copy = u->ts->task[t].kind == RPI_TASK_COPY;
  int32_t g = 0;
  *why = RPI_REASON_FUSE_FLOW;
  for (int32_t p = 0; p < t; p++) {
    rpi_conflict c = u->conflict[t * u->n + p];
    if (u->f->group[p] < 0 || c == RPI_CONFLICT_NONE) continue;
    rpi_task_kind k = u->ts->task[p].kind;
    int32_t at = u->f->group[p];
    if (k == RPI_TASK_COPY) {
      /* Copies happen at the border before their group: its members see them. */
    } else if (k == RPI_TASK_SCALAR) {
      at += copy || (!scalar && c > RPI_CONFLICT_POINT);
    } else if (scalar || copy || c == RPI_CONFLICT_HARD) {
      at++;
    }
    if (at <= g) continue;
    g = at;
    *why = k == RPI_TASK_OPAQUE                         ? RPI_REASON_FUSE_OPAQUE
           : k == RPI_TASK_SCALAR || needs_sum(u, p, t) ? RPI_REASON_FUSE_SCALAR
                                                        : RPI_REASON_FUSE_FLOW;
  }
  return g;
}

static void put(fuser *u, int32_t t, int32_t g) {
  u->f->group[t] = g;
  u->f->phase[t] = RPI_PHASE_BODY;
  u->group_size[g]++;
  if (u->ts->task[t].variant) u->group_ops[g] += u->ts->task[t].variant->ir.n_ins;
  if (u->group_first[g] < 0) u->group_first[g] = t;
  uint8_t m = mode_of(&u->ts->task[t]);
  if (m) u->group_mode[g] = m;
  new_operands(u, t, g, true);
}

static void take(fuser *u, int32_t t) {
  int32_t g = u->f->group[t];
  u->group_size[g]--;
  u->group_ops[g] -= u->ts->task[t].variant->ir.n_ins;
  u->group_first[g] = -1;
  u->group_mode[g] = 0;
  u->f->group[t] = -2;
  for (int32_t o = 0; o < u->n; o++)
    if (u->f->group[o] == g && u->f->phase[o] == RPI_PHASE_BODY) {
      if (u->group_first[g] < 0) u->group_first[g] = o;
      uint8_t m = mode_of(&u->ts->task[o]);
      if (m) u->group_mode[g] = m;
    }
}

static void place_body(fuser *u, int32_t t) {
  rpi_reason why;
  int32_t from = earliest(u, t, &why), best = -1;
  int64_t best_bytes = -1;
  if (!u->ctx->config.fusion) {
    refuse(u, t, -1, RPI_REASON_FUSE_OFF);
    from = u->f->n_group;
  } else if (from >= u->f->n_group && u->f->n_group > 0) {
    refuse(u, t, -1, why);
  }
  for (int32_t g = from; g < u->f->n_group; g++) {
    if (!fits(u, t, g, true)) continue;
    int64_t bytes = shared_bytes(u, t, g);
    if (bytes > best_bytes) {
      best_bytes = bytes;
      best = g;
    }
  }
  if (best < 0) {
    best = from > u->f->n_group ? from : u->f->n_group;
    u->f->n_group = best + 1;
  }
  put(u, t, best);
}

/* ---- sinking: a task whose result only later groups use moves beside them ---- */

static int32_t latest(fuser *u, int32_t t) {
  int32_t g = u->f->n_group - 1;
  for (int32_t s = t + 1; s < u->n; s++) {
    rpi_conflict c = u->conflict[s * u->n + t];
    if (u->f->group[s] < 0 || c == RPI_CONFLICT_NONE) continue;
    rpi_task_kind k = u->ts->task[s].kind;
    bool together = k == RPI_TASK_BODY && c != RPI_CONFLICT_HARD;
    int32_t at = u->f->group[s] - !together;
    if (at < g) g = at;
  }
  return g;
}

static void sink(fuser *u) {
  for (int32_t t = u->n - 1; t >= 0; t--) {
    if (u->f->group[t] < 0 || u->ts->task[t].kind != RPI_TASK_BODY || mode_of(&u->ts->task[t]))
      continue;
    int32_t from = u->f->group[t], to = latest(u, t), best = from;
    if (to <= from) continue;
    int64_t best_bytes = shared_bytes(u, t, from);
    for (int32_t g = from + 1; g <= to; g++) {
      if (u->group_size[g] == 0 || !fits(u, t, g, false)) continue;
      int64_t bytes = shared_bytes(u, t, g);
      if (bytes > best_bytes) {
        best_bytes = bytes;
        best = g;
      }
    }
    if (best == from) continue;
    take(u, t);
    put(u, t, best);
  }
}

/* ---- the end: scalars that no body follows, and groups that are empty ---- */

static void close_groups(fuser *u, rpi_arena *a) {
  int32_t n = u->f->n_group;
  int32_t last = -1;
  for (int32_t g = 0; g < n; g++)
    if (u->group_size[g] > 0 && u->group_mode[g] != 3) last = g;
  for (int32_t g = last + 1; g < n; g++)
    if (u->group_size[g] > 0) last = -1; /* an opaque group comes last */
  int32_t top = n;
  for (int32_t t = 0; t < u->n; t++)
    if (u->f->group[t] >= top) top = u->f->group[t] + 1;
  /* Prologue tasks of groups that never came, behind the last body: its epilogue, unless they
   * wait for a copy that comes later. */
  for (int32_t t = 0; t < u->n && last >= 0 && u->ctx->config.fusion; t++) {
    if (u->ts->task[t].kind != RPI_TASK_SCALAR || u->f->group[t] <= last) continue;
    bool waits = both_checked(u, t, last);
    for (int32_t p = 0; p < t; p++)
      waits = waits || (u->conflict[t * u->n + p] && u->f->group[p] > last);
    if (waits) continue;
    u->f->group[t] = last;
    u->f->phase[t] = RPI_PHASE_EPI;
  }
  /* Number what is left without gaps. */
  int32_t *number = rpi_arena_get(a, sizeof *number * (size_t)(top + 1));
  if (!number) return;
  for (int32_t t = 0; t < u->n; t++)
    if (u->f->group[t] >= 0 && u->ts->task[t].kind != RPI_TASK_COPY) number[u->f->group[t]] = 1;
  int32_t next = 0;
  for (int32_t g = 0; g <= top; g++) {
    int32_t here = number[g];
    number[g] = next;
    next += here;
  }
  for (int32_t t = 0; t < u->n; t++)
    if (u->f->group[t] >= 0) u->f->group[t] = number[u->f->group[t]];
  for (int32_t i = 0; i < u->f->n_refusal; i++) { /* a group that all have left has no number */
    rpi_refusal *r = &u->f->refusal[i];
    if (r->group >= 0) r->group = number[r->group] < number[r->group + 1] ? number[r->group] : -1;
  }
  u->f->n_group = next;
}

/* An opaque task is a group of its own. A prologue of its group would run after it began: so it
 * takes a group behind everything it depends on, and scalars never share it. */
static void place_opaque(fuser *u, int32_t t) {
  int32_t top = u->f->n_group;
  for (int32_t p = 0; p < t; p++)
    if (u->f->group[p] >= top) top = u->f->group[p] + 1;
  u->f->n_group = top + 1;
  put(u, t, top);
}

static void place_scalar(fuser *u, int32_t t) {
  rpi_reason why;
  int32_t g = earliest(u, t, &why);
  if (!u->ctx->config.fusion) {
    for (int32_t p = 0; p < t; p++)
      if (u->f->group[p] >= g) g = u->f->group[p] + 1;
  }
  while ((g < u->f->n_group && u->group_mode[g] == 3) || both_checked(u, t, g) ||
         part_written(u, t, g))
    g++;
  u->f->group[t] = g;
  u->f->phase[t] = RPI_PHASE_PRO;
  if (!u->ctx->config.fusion) u->f->n_group = g + 1;
}

rp_status rpi_fuse(rp_context *ctx, rpi_queries *q, const bool *live, const bool *checked,
                   int32_t most, rpi_arena *a, rpi_fusion *out) {
  const rpi_tasks *ts = q->tasks;
  size_t n = (size_t)ts->n_task, m = 2 * n + 2;
  *out = (rpi_fusion){.group = rpi_arena_get(a, sizeof *out->group * (n + 1)),
                      .phase = rpi_arena_get(a, n + 1),
                      .refusal = rpi_arena_get(a, sizeof(rpi_refusal) * RPI_FUSION_REFUSALS)};
  fuser u = {.ctx = ctx,
             .q = q,
             .ts = ts,
             .live = live,
             .checked = checked,
             .most = most,
             .f = out,
             .n = ts->n_task};
  u.conflict = rpi_arena_get(a, n * n + 1);
  u.group_size = rpi_arena_get(a, sizeof *u.group_size * m);
  u.group_ops = rpi_arena_get(a, sizeof *u.group_ops * m);
  u.group_first = rpi_arena_get(a, sizeof *u.group_first * m);
  u.group_mode = rpi_arena_get(a, m);
  u.group_operands = rpi_arena_get(a, sizeof(int32_t) * m * MAX_OPERANDS);
  u.group_n_operands = rpi_arena_get(a, sizeof(int32_t) * m);
  u.slot_head = rpi_arena_get(a, sizeof(int32_t) * (ts->n_slot + 1));
  u.slot_next = rpi_arena_get(a, sizeof(int32_t) * (size_t)(ts->n_access + 1));
  if (a->failed) return rpi_status_nomem("fusion");
  for (size_t g = 0; g < m; g++) u.group_first[g] = -1;
  for (uint32_t s = 0; s < ts->n_slot; s++) u.slot_head[s] = -1;
  for (int32_t x = ts->n_access - 1; x >= 0; x--) {
    u.slot_next[x] = u.slot_head[ts->access[x].slot];
    u.slot_head[ts->access[x].slot] = x;
  }
  drop_dead(&u, a);
  fill_conflicts(&u, a);
  for (int32_t t = 0; t < u.n; t++)
    if (out->group[t] == 0) out->group[t] = -2; /* not placed yet */
  rpi_reason why;
  for (int32_t t = 0; t < u.n; t++) {
    if (out->group[t] == -1) continue;
    switch (ts->task[t].kind) {
      case RPI_TASK_BODY: place_body(&u, t); break;
      case RPI_TASK_SCALAR: place_scalar(&u, t); break;
      case RPI_TASK_COPY: out->group[t] = earliest(&u, t, &why); break;
      case RPI_TASK_OPAQUE: place_opaque(&u, t); break;
    }
  }
  if (ctx->config.fusion) sink(&u);
  close_groups(&u, a);
  return a->failed ? rpi_status_nomem("fusion") : RP_OK;
}
