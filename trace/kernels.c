/* SPDX-License-Identifier: Apache-2.0
 * trace/kernels.c -- from a group to its kernel: operands, merged IR, passes, the JIT's door.
 * Not here: which tasks are in the group (fuse.c), what is stored where (analyse.c).
 * Invariant: operands are unified by place and symbol, so a buffer that is read through five shifted
 *            views has five operands, and one that is read and written in place has one. */
#include <stdio.h>
#include <string.h>

#include "jit/merge.h"
#include "trace/places.h"
#include "trace/analyse_impl.h"

/* ---- geometry ---- */

static bool uses_index(const rpi_ir *ir) {
  for (int32_t i = 0; i < ir->n_ins; i++)
    if (ir->ins[i].op == RPI_IR_INDEX) return true;
  return false;
}

static bool may_collapse(const rpi_tasks *ts, const rpi_group *g) {
  for (int32_t i = g->n_pro; i < g->n_pro + g->n_body; i++) {
    const rpi_ir *ir = &ts->task[g->task[i]].variant->ir;
    if (ir->n_red > 0 || uses_index(ir)) return false;
  }
  return true;
}

/* Among ranks that may cut its arrays along several axes a group keeps them apart. */
static bool keeps_axes(const rpi_analyser *u, const rpi_group *g) {
  rpi_tiling t;
  if (!u->ctx->comm || u->ctx->config.cut == RPI_CUT_ROWS) return false;
  for (int32_t i = g->n_pro; i < g->n_pro + g->n_body; i++) {
    const rpi_task *task = &u->ts->task[g->task[i]];
    for (int32_t x = task->first_access; x < task->first_access + task->n_access; x++) {
      const rpi_access *a = &u->ts->access[x];
      if (a->geom.ndim > 1 && (a->mode & RPI_ACCESS_WRITE) && rpi_places_grid(u->ctx, a->view, &t))
        return true;
    }
  }
  return false;
}

static void over_space(const rpi_task *space, const rpi_geom *from, rpi_geom *to) {
  memset(to, 0, sizeof *to);
  to->offset = from->offset;
  to->ndim = space ? space->rank : 0;
  for (int32_t d = 0; d < to->ndim; d++) {
    to->shape[d] = space->extent[d];
    if (from->ndim == to->ndim) to->stride[d] = from->stride[d];
  }
}

/* Boxes of all operands; tables keep their own. Returns the rank of the merged space. */
static int32_t lay_out(const rpi_group *g, const rpi_tasks *ts, rpi_geom *geom, int64_t *extent) {
  const rpi_task *space = NULL;
  if (g->n_stage > 0) space = &ts->task[g->task[g->stage[g->n_stage - 1].first]];
  int32_t n = 0;
  /* Affine operands first, so that they can be merged together. */
  for (int32_t o = 0; o < g->n_operand; o++) {
    const rpi_access *a = &ts->access[g->operand[o].access];
    if (a->table) continue;
    rpi_assert(o == n);
    over_space(space, &a->geom, &geom[n++]);
  }
  int32_t rank = space ? space->rank : 0;
  for (int32_t d = 0; d < rank; d++) extent[d] = space->extent[d];
  if (g->collapse && n > 0) {
    rank = rpi_geom_collapse(geom, n);
    for (int32_t d = 0; d < rank; d++) extent[d] = geom[0].shape[d];
    for (int32_t o = 0; o < n; o++) /* one element stays one element, whatever axis was left */
      if (rpi_task_is_uniform(&ts->access[g->operand[o].access]))
        memset(geom[o].stride, 0, sizeof geom[o].stride);
  }
  for (int32_t o = n; o < g->n_operand; o++) geom[o] = ts->access[g->operand[o].access].geom;
  return rank;
}

static uint8_t stride_class(const rpi_geom *g, int32_t d) {
  if (g->stride[d] == 0) return RPI_STRIDE_ZERO;
  return d == g->ndim - 1 && g->stride[d] == 1 ? RPI_STRIDE_UNIT : RPI_STRIDE_ANY;
}

bool rpi_analyse_geometry(const rpi_group *g, const rpi_tasks *ts, rpi_geom *geom,
                          int64_t *extent) {
  if (lay_out(g, ts, geom, extent) != g->rank) return false;
  for (int32_t o = 0; o < g->n_operand; o++) {
    const rpi_ir_operand *k = &g->operand[o].ir;
    for (int32_t d = 0; d < k->rank; d++)
      if (k->sclass[d] != stride_class(&geom[o], d)) return false;
  }
  return true;
}

/* ---- operands ---- */

typedef struct linker {
  rpi_analyser *u;
  rpi_group *g;
  rpi_merge_operand *of; /* per access of the tasks */
  int32_t cap;
} linker;

static int32_t operand_of(linker *l, int32_t x, int32_t symbol, uint8_t access) {
  rpi_analyser *u = l->u;
  rpi_group *g = l->g;
  for (int32_t o = 0; o < g->n_operand; o++) {
    rpi_group_operand *k = &g->operand[o];
    bool reduce = (k->ir.access | access) & RPI_ACCESS_REDUCE;
    /* An axis of one element makes a box and a single element the same place: they keep apart, since
     * prologues and epilogues take operands without strides only. */
    bool uniform = rpi_task_is_uniform(&u->ts->access[k->access]);
    if (u->place[k->access] != u->place[x] || k->symbol != symbol ||
        uniform != rpi_task_is_uniform(&u->ts->access[x]) || (reduce && k->ir.access != access))
      continue;
    k->ir.access |= access;
    return o;
  }
  const rpi_access *a = &u->ts->access[x];
  if (a->table && !u->an->provable[x]) rpi_context_reason(u->ctx, RPI_REASON_GATHER_CHECKED);
  g->operand[g->n_operand] =
      (rpi_group_operand){.access = x,
                          .symbol = symbol,
                          .ir = {.dtype = (uint8_t)a->view->dtype,
                                 .kind = a->table ? RPI_OPERAND_TABLE : RPI_OPERAND_AFFINE,
                                 .access = access,
                                 .checked = a->table && !(u->an->trusted && u->an->provable[x])}};
  return g->n_operand++;
}

static bool in_epilogue(const rpi_group *g, int32_t i) { return i >= g->n_pro + g->n_body; }

/* The epilogue reads a reduction's result through the reduction's own operand. */
static int32_t reduced_operand(linker *l, int32_t x) {
  for (int32_t o = 0; o < l->g->n_operand; o++)
    if (l->u->place[l->g->operand[o].access] == l->u->place[x] &&
        (l->g->operand[o].ir.access & RPI_ACCESS_REDUCE)) {
      l->g->operand[o].ir.access |= RPI_ACCESS_READ;
      return o;
    }
  return -1;
}

static void link_access(linker *l, int32_t i, int32_t x) {
  rpi_analyser *u = l->u;
  const rpi_access *a = &u->ts->access[x];
  rpi_merge_operand *m = &l->of[x];
  *m = (rpi_merge_operand){.place = u->place[x], .read = -1, .write = -1};
  if (a->mode & RPI_ACCESS_REDUCE) {
    if (u->stored[x]) m->write = operand_of(l, x, u->write_symbol[x], RPI_ACCESS_REDUCE);
    return;
  }
  if ((a->mode & RPI_ACCESS_READ) && !u->forwarded[x]) {
    if (in_epilogue(l->g, i)) m->read = reduced_operand(l, x);
    if (m->read < 0) m->read = operand_of(l, x, u->read_symbol[x], RPI_ACCESS_READ);
  }
  if ((a->mode & RPI_ACCESS_WRITE) && u->stored[x])
    m->write = operand_of(l, x, u->write_symbol[x], RPI_ACCESS_WRITE);
}

/* Affine operands first, then tables: two passes keep the numbers final. */
static void link_all(linker *l) {
  for (int32_t tables = 0; tables < 2; tables++)
    for (int32_t i = 0; i < rpi_group_tasks(l->g); i++) {
      const rpi_task *t = &l->u->ts->task[l->g->task[i]];
      for (int32_t k = 0; k < t->n_access; k++)
        if (l->u->ts->access[t->first_access + k].table == (bool)tables)
          link_access(l, i, t->first_access + k);
    }
}

static rp_status finish_operands(rpi_analyser *u, rpi_group *g) {
  size_t n = (size_t)g->n_operand + 1;
  rpi_geom *geom = rpi_arena_get(&u->tmp, sizeof *geom * n);
  if (!geom) return rpi_status_nomem("operands");
  int64_t extent[RP_MAX_DIM];
  g->rank = lay_out(g, u->ts, geom, extent);
  for (int32_t o = 0; o < g->n_operand; o++) {
    rpi_ir_operand *k = &g->operand[o].ir;
    k->rank = (uint8_t)(k->kind == RPI_OPERAND_TABLE ? geom[o].ndim : g->rank);
    for (int32_t d = 0; d < k->rank; d++) k->sclass[d] = stride_class(&geom[o], d);
  }
  return RP_OK;
}

/* ---- the merged IR ---- */

static rp_status join_task(rpi_analyser *u, rpi_merge *m, const linker *l, int32_t t) {
  const rpi_task *task = &u->ts->task[t];
  const rpi_ir *ir = &task->variant->ir;
  rpi_merge_task mt = {.ir = ir, .operand = &l->of[task->first_access], .origin = t};
  return rpi_merge_add(m, &mt);
}

static rp_status join_all(rpi_analyser *u, const linker *l, rpi_ir *ir) {
  const rpi_group *g = l->g;
  for (int32_t o = 0; o < g->n_operand; o++) rpi_ir_operand_add(ir, &g->operand[o].ir);
  rpi_merge m;
  RPI_TRY(rpi_merge_begin(&m, ir, u->n_place));
  rp_status st = RP_OK;
  for (int32_t i = 0; i < g->n_pro && st == RP_OK; i++) st = join_task(u, &m, l, g->task[i]);
  rpi_merge_section(&m);
  for (int32_t s = 0; s < g->n_stage; s++) {
    const rpi_stage *stage = &g->stage[s];
    for (int32_t d = 0; d < RP_MAX_DIM; d++) rpi_assert(stage->lo[d] == 0 && stage->hi[d] == 0);
    for (int32_t i = 0; i < stage->n && st == RP_OK; i++)
      st = join_task(u, &m, l, g->task[stage->first + i]);
  }
  rpi_merge_section(&m);
  for (int32_t i = g->n_pro + g->n_body; i < rpi_group_tasks(g) && st == RP_OK; i++)
    st = join_task(u, &m, l, g->task[i]);
  if (st == RP_OK) st = rpi_merge_end(&m);
  rpi_merge_deinit(&m);
  return st;
}

/* "axpy_dot": the first ops of the group, so that a profiler's line can be read. */
static void name_of(const rpi_tasks *ts, const rpi_group *g, char *out, size_t size) {
  size_t len = 0;
  out[0] = 0;
  for (int32_t i = 0; i < rpi_group_tasks(g) && len + 1 < size; i++) {
    const char *op = ts->task[g->task[i]].op->name;
    if (i >= 3) {
      len += (size_t)snprintf(out + len, size - len, "_and%d", rpi_group_tasks(g) - i);
      break;
    }
    if (i > 0) out[len++] = '_';
    for (int32_t c = 0; op[c] && c < 12 && len + 1 < size; c++) {
      char ch = op[c];
      bool word = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
      if (word) out[len++] = ch;
    }
    out[len < size ? len : size - 1] = 0;
  }
}

rp_status rpi_analyse_kernel(rpi_analyser *u, rpi_group *g) {
  rpi_analysis *an = u->an;
  int32_t n = 0;
  g->small = true;
  for (int32_t i = 0; i < rpi_group_tasks(g); i++) {
    n += u->ts->task[g->task[i]].n_access;
    if (g->small && i >= g->n_pro && i < g->n_pro + g->n_body)
      g->small = rpi_query_small(&an->queries, g->task[i]);
  }
  g->operand = rpi_arena_get(&an->arena, sizeof *g->operand * (size_t)(2 * n + 1));
  linker l = {.u = u, .g = g};
  l.of = rpi_arena_get(&u->tmp, sizeof *l.of * (size_t)(u->ts->n_access + 1));
  if (!g->operand || !l.of) return rpi_status_nomem("operands");
  if (g->opaque) {
    /* A function that gets a buffer twice, to read and to write, gets the same memory. */
    const rpi_task *t = &u->ts->task[g->task[0]];
    for (int32_t k = 0; k < t->n_access; k++) {
      int32_t x = t->first_access + k;
      g->operand[g->n_operand++] =
          (rpi_group_operand){.access = x, .symbol = u->now[u->ts->access[x].slot]};
    }
    return RP_OK;
  }
  link_all(&l);
  g->collapse = g->n_body > 0 && may_collapse(u->ts, g) && !keeps_axes(u, g);
  RPI_TRY(finish_operands(u, g));
  rpi_ir ir;
  rpi_ir_init(&ir, g->rank);
  rp_status st = join_all(u, &l, &ir);
  if (st == RP_OK) st = rpi_opt_all(&ir);
  if (st == RP_OK) {
    rpi_assert_heavy(rpi_ir_check(&ir) != RP_ERR_INTERNAL);
    char name[80];
    name_of(u->ts, g, name, sizeof name);
    if (ir.n_ins > 0) st = rpi_jit_kernel(u->ctx->jit, &ir, name, &g->kernel);
  }
  rpi_ir_deinit(&ir);
  return st;
}
