/* SPDX-License-Identifier: Apache-2.0
 * trace/analyse.c -- see analyse.h. Order of work: groups (fuse), members, places and forwarding,
 * what must be stored (backwards), symbols (forwards), kernels (kernels.c), launches they share (beside.c). */
#include "trace/analyse.h"

#include <string.h>

#include "trace/analyse_impl.h"
#include "trace/beside.h"

/* ---- members of the groups, in the order of their execution ---- */

static void collect(rpi_analyser *u) {
  rpi_analysis *an = u->an;
  const rpi_fusion *f = &an->fusion;
  an->n_group = f->n_group;
  an->group = rpi_arena_get(&an->arena, sizeof *an->group * (size_t)(an->n_group + 1));
  if (!an->group) return;
  for (int32_t t = 0; t < u->ts->n_task; t++) {
    if (f->group[t] < 0) {
      an->n_dead++;
      continue;
    }
    if (u->ts->task[t].kind == RPI_TASK_COPY) continue;
    rpi_group *g = &an->group[f->group[t]];
    if (u->ts->task[t].kind == RPI_TASK_OPAQUE) g->opaque = true;
    if (f->phase[t] == RPI_PHASE_PRO)
      g->n_pro++;
    else if (f->phase[t] == RPI_PHASE_BODY)
      g->n_body++;
    else
      g->n_epi++;
  }
  for (int32_t i = 0; i < an->n_group; i++) {
    rpi_group *g = &an->group[i];
    g->task = rpi_arena_get(&an->arena, sizeof *g->task * (size_t)(rpi_group_tasks(g) + 1));
    g->stage = rpi_arena_get(&an->arena, sizeof *g->stage);
    if (!g->task || !g->stage) return;
    g->n_stage = g->n_body > 0;
    *g->stage = (rpi_stage){.first = g->n_pro, .n = g->n_body};
    int32_t at[3] = {0, g->n_pro, g->n_pro + g->n_body};
    for (int32_t t = 0; t < u->ts->n_task; t++)
      if (f->group[t] == i && u->ts->task[t].kind != RPI_TASK_COPY) g->task[at[f->phase[t]]++] = t;
  }
}

/* ---- places ---- */

static bool same_place(rpi_analyser *u, int32_t x, int32_t y) {
  const rpi_access *a = &u->ts->access[x], *b = &u->ts->access[y];
  if (a->slot != b->slot || a->table || b->table) return false;
  if (x == y) return true;
  /* What a task writes twice does not overlap; boxes of nothing look alike. */
  if (a->task == b->task && (a->mode & b->mode & RPI_ACCESS_WRITE)) return false;
  int32_t rel = rpi_query_relate(&u->an->queries, x, y);
  if (rpi_task_is_uniform(a) && rpi_task_is_uniform(b)) return rel & RPI_REL_COVERS;
  return rel & RPI_REL_EQUAL;
}

/* Numbers the places of a group; tables have one each. */
static void number_places(rpi_analyser *u, const rpi_group *g) {
  u->n_place = 0;
  for (int32_t i = 0; i < rpi_group_tasks(g); i++) {
    const rpi_task *t = &u->ts->task[g->task[i]];
    for (int32_t k = 0; k < t->n_access; k++) {
      int32_t x = t->first_access + k, p = 0;
      while (p < u->n_place && !same_place(u, u->place_access[p], x)) p++;
      if (p == u->n_place) u->place_access[u->n_place++] = x;
      u->place[x] = p;
    }
  }
}

/* Which loads get a value that the group made (rpi_merge does exactly this). */
static void find_forwards(rpi_analyser *u, const rpi_group *g) {
  for (int32_t p = 0; p < u->n_place; p++) u->holds[p] = 0;
  for (int32_t i = 0; i < rpi_group_tasks(g); i++) {
    int32_t section = i < g->n_pro ? 1 : i < g->n_pro + g->n_body ? 2 : 3;
    if (i == g->n_pro + g->n_body)
      for (int32_t p = 0; p < u->n_place; p++)
        if (u->holds[p] == 2) u->holds[p] = 0;
    const rpi_task *t = &u->ts->task[g->task[i]];
    for (int32_t k = 0; k < t->n_access; k++) {
      int32_t x = t->first_access + k;
      const rpi_access *a = &u->ts->access[x];
      u->forwarded[x] = (a->mode & RPI_ACCESS_READ) && !(a->mode & RPI_ACCESS_REDUCE) &&
                        !a->table && a->operand >= 0 && u->holds[u->place[x]];
    }
    for (int32_t k = 0; k < t->n_access; k++) {
      int32_t x = t->first_access + k;
      if (u->ts->access[x].mode & RPI_ACCESS_REDUCE)
        u->holds[u->place[x]] = 0;
      else if (u->ts->access[x].mode & RPI_ACCESS_WRITE)
        u->holds[u->place[x]] = (uint8_t)section;
    }
  }
}

/* ---- backwards: which stores must reach memory ---- */

static int32_t section_of(const rpi_group *g, int32_t i) {
  return i < g->n_pro ? 0 : i < g->n_pro + g->n_body ? 1 : 2;
}

/* A later task of the same section stores to the same place: one store, the last, is enough. */
static bool stored_again(rpi_analyser *u, const rpi_group *g, int32_t i, int32_t x) {
  for (int32_t j = i + 1; j < rpi_group_tasks(g) && section_of(g, j) == section_of(g, i); j++) {
    const rpi_task *t = &u->ts->task[g->task[j]];
    for (int32_t k = 0; k < t->n_access; k++) {
      int32_t y = t->first_access + k;
      uint8_t mode = u->ts->access[y].mode & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE);
      if (u->place[y] == u->place[x] && mode == RPI_ACCESS_WRITE) return true;
    }
  }
  return false;
}

static void needs_of_group(rpi_analyser *u, rpi_group *g, bool *need) {
  uint8_t writes = RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE;
  for (int32_t i = rpi_group_tasks(g) - 1; i >= 0; i--) {
    const rpi_task *t = &u->ts->task[g->task[i]];
    for (int32_t k = 0; k < t->n_access; k++) {
      int32_t x = t->first_access + k;
      const rpi_access *a = &u->ts->access[x];
      if (!(a->mode & writes)) continue;
      u->stored[x] = g->opaque || (need[a->slot] && !stored_again(u, g, i, x));
    }
    for (int32_t k = 0; k < t->n_access; k++) {
      int32_t x = t->first_access + k;
      if (rpi_query_overwrites(&u->an->queries, x)) need[u->ts->access[x].slot] = false;
    }
    for (int32_t k = 0; k < t->n_access; k++) {
      int32_t x = t->first_access + k;
      const rpi_access *a = &u->ts->access[x];
      if ((a->mode & RPI_ACCESS_READ) && !u->forwarded[x]) need[a->slot] = true;
    }
  }
}

static void copies_backwards(rpi_analyser *u, int32_t group, bool *need) {
  for (int32_t t = u->ts->n_task - 1; t >= 0; t--) {
    if (u->ts->task[t].kind != RPI_TASK_COPY || u->an->fusion.group[t] != group) continue;
    bool wanted = need[u->ts->task[t].slot[0]];
    u->copy_wanted[t] = wanted;
    need[u->ts->task[t].slot[0]] = false;
    if (!wanted) continue;
    need[u->ts->task[t].slot[1]] = true;
    if (u->kept[u->ts->task[t].slot[0]]) u->kept[u->ts->task[t].slot[1]] = true;
  }
}

/* need_in[g * n_slot + s]: group g or something behind it wants what slot s holds when g begins
 * (after the copies at its border). */
static void walk_backwards(rpi_analyser *u) {
  rpi_analysis *an = u->an;
  bool *need = an->read_old;
  memcpy(need, an->live, an->n_slot);
  memcpy(u->kept, an->live, an->n_slot);
  copies_backwards(u, an->n_group, need);
  for (int32_t i = an->n_group - 1; i >= 0; i--) {
    number_places(u, &an->group[i]);
    find_forwards(u, &an->group[i]);
    needs_of_group(u, &an->group[i], need);
    memcpy(&u->need_in[(size_t)i * an->n_slot], need, an->n_slot);
    copies_backwards(u, i, need);
  }
}

/* ---- forwards: symbols ---- */

static int32_t symbol_add(rpi_analyser *u, rpi_symbol_kind kind, uint32_t slot, int32_t group) {
  rpi_analysis *an = u->an;
  if (an->n_symbol == u->cap_symbol) return 0;
  an->symbol[an->n_symbol] =
      (rpi_symbol){.kind = kind, .slot = slot, .old = -1, .first = group, .last = group};
  return an->n_symbol++;
}

static int32_t symbol_in(rpi_analyser *u, uint32_t slot, int32_t group) {
  if (u->an->in[slot] < 0) u->an->in[slot] = symbol_add(u, RPI_SYMBOL_IN, slot, group);
  return u->an->in[slot];
}

static int32_t symbol_now(rpi_analyser *u, uint32_t slot, int32_t group) {
  if (u->now[slot] < 0) {
    u->now[slot] = symbol_in(u, slot, group);
    u->an->symbol[u->now[slot]].needs_old = true;
  }
  rpi_symbol *s = &u->an->symbol[u->now[slot]];
  if (group > s->last) s->last = group;
  return u->now[slot];
}

/* The slot's memory is another slot's (a shared copy), or another slot whose values are wanted by this
 * group or later has it too, or had it until this group renamed that one: a write needs memory of its
 * own. */
static bool is_shared(rpi_analyser *u, uint32_t slot, int32_t group) {
  if (u->now[slot] >= 0 && u->an->symbol[u->now[slot]].slot != slot) return true;
  const bool *wanted = &u->need_in[(size_t)group * u->an->n_slot];
  for (uint32_t s = 0; s < u->an->n_slot; s++)
    if (s != slot && u->before[s] >= 0 && u->before[s] == u->now[slot] && wanted[s]) return true;
  return false;
}

/* A body access of the group reads memory of the slot at other points than this write. */
static bool must_rename(rpi_analyser *u, const rpi_group *g, int32_t w) {
  uint32_t slot = u->ts->access[w].slot;
  for (int32_t i = g->n_pro; i < g->n_pro + g->n_body; i++) {
    const rpi_task *t = &u->ts->task[g->task[i]];
    for (int32_t k = 0; k < t->n_access; k++) {
      int32_t x = t->first_access + k;
      const rpi_access *a = &u->ts->access[x];
      if (a->slot != slot || !(a->mode & RPI_ACCESS_READ) || (a->mode & RPI_ACCESS_REDUCE) ||
          u->forwarded[x])
        continue;
      int32_t rel = rpi_query_relate(&u->an->queries, x, w);
      bool single = (rel & RPI_REL_UNIFORM) && a->view->bsize == 1;
      if (!single && !(rel & (RPI_REL_EQUAL | RPI_REL_DISJOINT))) return true;
    }
  }
  return false;
}

static bool overwritten_by(rpi_analyser *u, const rpi_group *g, uint32_t slot) {
  for (int32_t i = 0; i < rpi_group_tasks(g); i++) {
    const rpi_task *t = &u->ts->task[g->task[i]];
    for (int32_t k = 0; k < t->n_access; k++) {
      int32_t x = t->first_access + k;
      if (u->ts->access[x].slot == slot && u->stored[x] && rpi_query_overwrites(&u->an->queries, x))
        return true;
    }
  }
  return false;
}

/* Remembers what is written since the renaming, so that the next pass can tell what its spare
 * lacks (commit.c); any other write to the slot in the segment spoils it. */
static void note_writes(rpi_analyser *u, const rpi_group *g, uint32_t slot) {
  rpi_analysis *an = u->an;
  int32_t *list = rpi_arena_get(&an->arena, sizeof *list * (size_t)(u->ts->n_access + 1));
  if (!list) return;
  int32_t n = 0;
  for (int32_t i = 0; i < rpi_group_tasks(g); i++) {
    const rpi_task *t = &u->ts->task[g->task[i]];
    for (int32_t x = t->first_access; x < t->first_access + t->n_access; x++)
      if (u->ts->access[x].slot == slot && u->stored[x]) list[n++] = x;
  }
  an->tag_access[slot] = list;
  an->n_tag[slot] = n;
}

/* The old values are read through the pointer that is written: by a C function, and by a reduction that
 * joins what was there. */
static bool works_in_place(rpi_analyser *u, const rpi_group *g, uint32_t slot) {
  for (int32_t i = 0; i < rpi_group_tasks(g); i++) {
    const rpi_task *t = &u->ts->task[g->task[i]];
    for (int32_t x = t->first_access; x < t->first_access + t->n_access; x++) {
      const rpi_access *a = &u->ts->access[x];
      bool in_place = g->opaque || (a->mode & RPI_ACCESS_REDUCE);
      if (a->slot == slot && in_place && (a->mode & RPI_ACCESS_READ)) return true;
    }
  }
  return false;
}

static void rename_slot(rpi_analyser *u, rpi_group *g, uint32_t slot, int32_t group) {
  rpi_analysis *an = u->an;
  const bool all = works_in_place(u, g, slot); /* the old values, to the last */
  int32_t old = !all && overwritten_by(u, g, slot) ? -1 : symbol_now(u, slot, group);
  int32_t s = symbol_add(u, u->kept[slot] ? RPI_SYMBOL_NEW : RPI_SYMBOL_SCRATCH, slot, group);
  an->symbol[s].old = old;
  if (old >= 0) g->patch[g->n_patch++] = s;
  an->n_tag[slot] = 0;
  if (u->writes[slot] == 0 && !all) note_writes(u, g, slot);
  u->now[slot] = s;
  an->n_renamed++;
}

/* Any stored body write of the slot, from task i of the group on, asks for a renaming. */
static bool rename_asked(rpi_analyser *u, const rpi_group *g, int32_t i, uint32_t slot) {
  for (int32_t j = i; j < g->n_pro + g->n_body; j++) {
    const rpi_task *o = &u->ts->task[g->task[j]];
    for (int32_t m = 0; m < o->n_access; m++) {
      int32_t y = o->first_access + m;
      if (u->ts->access[y].slot == slot && u->stored[y] &&
          (u->ts->access[y].mode & RPI_ACCESS_WRITE) && must_rename(u, g, y))
        return true;
    }
  }
  return false;
}

static void first_write(rpi_analyser *u, const rpi_group *g, uint32_t slot, int32_t group) {
  rpi_analysis *an = u->an;
  bool fresh = overwritten_by(u, g, slot);
  u->now[slot] = !u->kept[slot] && fresh ? symbol_add(u, RPI_SYMBOL_SCRATCH, slot, group)
                                         : symbol_in(u, slot, group);
  rpi_symbol *s = &an->symbol[u->now[slot]];
  if (s->kind == RPI_SYMBOL_IN) s->needs_old = s->needs_old || !fresh;
}

/* Symbols of what one section of the group writes; what it reads has its symbols already. */
static void section_writes(rpi_analyser *u, rpi_group *g, int32_t group, int32_t section) {
  rpi_analysis *an = u->an;
  for (int32_t i = 0; i < rpi_group_tasks(g); i++) {
    if (section_of(g, i) != section) continue;
    const rpi_task *t = &u->ts->task[g->task[i]];
    for (int32_t k = 0; k < t->n_access; k++) {
      int32_t x = t->first_access + k, mark = 1 + 3 * group + section;
      uint32_t slot = u->ts->access[x].slot;
      if (!u->stored[x] || u->wrote_in[slot] == mark) continue;
      u->wrote_in[slot] = mark;
      bool body = section == 1 && !g->opaque;
      if (is_shared(u, slot, group) || (body && rename_asked(u, g, i, slot)))
        rename_slot(u, g, slot, group);
      else if (u->now[slot] < 0)
        first_write(u, g, slot, group);
      else
        an->n_tag[slot] = 0;
      rpi_symbol *s = &an->symbol[u->now[slot]];
      if (s->kind == RPI_SYMBOL_IN) s->written = true;
      if (group > s->last) s->last = group;
      u->writes[slot]++;
      an->written[slot] = true;
    }
  }
  for (int32_t i = 0; i < rpi_group_tasks(g); i++) {
    if (section_of(g, i) != section) continue;
    const rpi_task *t = &u->ts->task[g->task[i]];
    for (int32_t x = t->first_access; x < t->first_access + t->n_access; x++)
      if (u->stored[x]) u->write_symbol[x] = u->now[u->ts->access[x].slot];
  }
}

/* Symbols of what one section loads from memory. What reductions join is read after the body. */
static void section_reads(rpi_analyser *u, const rpi_group *g, int32_t group, int32_t section) {
  for (int32_t i = 0; i < rpi_group_tasks(g); i++) {
    if (section_of(g, i) != section) continue;
    const rpi_task *t = &u->ts->task[g->task[i]];
    for (int32_t x = t->first_access; x < t->first_access + t->n_access; x++) {
      const rpi_access *a = &u->ts->access[x];
      if ((a->mode & RPI_ACCESS_READ) && !u->forwarded[x])
        u->read_symbol[x] = symbol_now(u, a->slot, group);
    }
  }
}

static void copies_forwards(rpi_analyser *u, int32_t group) {
  rpi_analysis *an = u->an;
  for (int32_t t = 0; t < u->ts->n_task; t++) {
    const rpi_task *task = &u->ts->task[t];
    if (task->kind != RPI_TASK_COPY || an->fusion.group[t] != group || !u->copy_wanted[t]) continue;
    u->now[task->slot[0]] = symbol_now(u, task->slot[1], group);
    an->written[task->slot[0]] = true;
    an->n_tag[task->slot[0]] = 0;
    u->writes[task->slot[0]]++;
    an->n_copies++;
  }
}

static void walk_forwards(rpi_analyser *u) {
  rpi_analysis *an = u->an;
  for (int32_t i = 0; i < an->n_group; i++) {
    copies_forwards(u, i);
    memcpy(u->before, u->now, sizeof *u->now * an->n_slot);
    rpi_group *g = &an->group[i];
    g->patch = rpi_arena_get(&an->arena, sizeof *g->patch * (size_t)(an->n_slot + 1));
    if (!g->patch) return;
    for (int32_t section = 0; section < 3; section++) {
      section_reads(u, g, i, section);
      section_writes(u, g, i, section);
    }
    number_places(u, g);
    find_forwards(u, g);
    u->status = rpi_analyse_kernel(u, g);
    if (u->status != RP_OK) return;
  }
  copies_forwards(u, an->n_group);
  for (uint32_t s = 0; s < an->n_slot; s++) an->out[s] = an->live[s] ? u->now[s] : -1;
}

/* ---- the whole ---- */

static bool allocate(rpi_analyser *u) {
  rpi_analysis *an = u->an;
  rpi_arena *tmp = &u->tmp;
  size_t slots = an->n_slot + 1u, acc = (size_t)u->ts->n_access + 1;
  an->in = rpi_arena_get(&an->arena, sizeof(int32_t) * slots);
  an->out = rpi_arena_get(&an->arena, sizeof(int32_t) * slots);
  an->written = rpi_arena_get(&an->arena, slots);
  an->read_old = rpi_arena_get(&an->arena, slots);
  an->n_tag = rpi_arena_get(&an->arena, sizeof(int32_t) * slots);
  an->tag_access = rpi_arena_get(&an->arena, sizeof(int32_t *) * slots);
  u->cap_symbol = (int32_t)(3 * slots) + u->ts->n_task * 2 + u->ts->n_access;
  an->symbol = rpi_arena_get(&an->arena, sizeof *an->symbol * (size_t)u->cap_symbol);
  u->place = rpi_arena_get(tmp, sizeof(int32_t) * acc);
  u->place_access = rpi_arena_get(tmp, sizeof(int32_t) * acc);
  u->holds = rpi_arena_get(tmp, acc);
  u->forwarded = rpi_arena_get(tmp, acc);
  u->stored = rpi_arena_get(tmp, acc);
  u->read_symbol = rpi_arena_get(tmp, sizeof(int32_t) * acc);
  u->write_symbol = rpi_arena_get(tmp, sizeof(int32_t) * acc);
  u->need_in = rpi_arena_get(tmp, slots * (size_t)(an->n_group + 1));
  u->now = rpi_arena_get(tmp, sizeof(int32_t) * slots);
  u->before = rpi_arena_get(tmp, sizeof(int32_t) * slots);
  u->writes = rpi_arena_get(tmp, sizeof(int32_t) * slots);
  u->wrote_in = rpi_arena_get(tmp, sizeof(int32_t) * slots);
  u->kept = rpi_arena_get(tmp, slots);
  u->copy_wanted = rpi_arena_get(tmp, (size_t)u->ts->n_task + 1);
  if (tmp->failed || an->arena.failed) return false;
  for (size_t s = 0; s < slots; s++) an->in[s] = an->out[s] = u->now[s] = -1;
  return true;
}

static void count(rpi_analyser *u) {
  rpi_analysis *an = u->an;
  for (uint32_t s = 0; s < an->n_slot; s++) {
    bool touched = false;
    for (int32_t x = 0; x < u->ts->n_access && !touched; x++)
      touched = u->ts->access[x].slot == s &&
                (u->ts->access[x].mode & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE)) &&
                an->fusion.group[u->ts->access[x].task] >= 0;
    if (touched && !an->live[s] && u->now[s] < 0) an->n_temporary++;
  }
}

static rp_status find_checked(rpi_analysis *an, const rpi_tasks *ts) {
  rpi_range ranges[RPI_RANGES];
  an->provable = rpi_arena_get(&an->arena, (size_t)ts->n_access + 1);
  an->checked = rpi_arena_get(&an->arena, (size_t)ts->n_task + 1);
  if (an->arena.failed) return rpi_status_nomem("analysis");
  rpi_ranges(ts, ranges, RPI_RANGES, an->provable);
  for (int32_t x = 0; x < ts->n_access; x++) {
    if (!ts->access[x].table) continue;
    an->has_tables = true;
    if (!(an->trusted && an->provable[x])) an->checked[ts->access[x].task] = true;
  }
  return RP_OK;
}

rp_status rpi_analyse(rp_context *ctx, const rpi_tasks *tasks, const bool *live, bool trusted,
                      int32_t most, rpi_analysis **out) {
  *out = NULL;
  rpi_analysis *an = rpi_alloc_zero(sizeof *an);
  if (!an) return rpi_status_nomem("analysis");
  rpi_arena_init(&an->arena);
  rpi_query_init(&an->queries, tasks);
  an->n_slot = tasks->n_slot;
  an->trusted = trusted;
  rpi_analyser u = {.ctx = ctx, .ts = tasks, .an = an};
  rpi_arena_init(&u.tmp);
  an->live = rpi_arena_get(&an->arena, tasks->n_slot + 1u);
  rp_status st = an->live ? RP_OK : rpi_status_nomem("analysis");
  if (st == RP_OK) {
    memcpy(an->live, live, tasks->n_slot);
    st = find_checked(an, tasks);
  }
  if (st == RP_OK) {
    st = rpi_fuse(ctx, &an->queries, live, an->checked, most, &an->arena, &an->fusion);
  }
  if (st == RP_OK) {
    collect(&u);
    if (!allocate(&u)) st = rpi_status_nomem("analysis");
  }
  if (st == RP_OK) {
    walk_backwards(&u);
    walk_forwards(&u);
    st = u.status;
    if (st == RP_OK) rpi_beside(ctx, an);
    count(&u);
    if (st == RP_OK && (an->arena.failed || u.tmp.failed)) st = rpi_status_nomem("analysis");
  }
  rpi_arena_deinit(&u.tmp);
  rpi_jit_start(ctx->jit);
  an->queries.tasks = NULL;
  if (st != RP_OK) {
    rpi_analyse_free(an);
    return st;
  }
  ctx->stats.analyses++;
  *out = an;
  return RP_OK;
}

void rpi_analyse_free(rpi_analysis *an) {
  if (!an) return;
  rpi_query_deinit(&an->queries);
  rpi_arena_deinit(&an->arena);
  rpi_alloc_free(an->skeleton);
  rpi_alloc_free(an);
}
