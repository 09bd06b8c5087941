/* SPDX-License-Identifier: Apache-2.0
 * core/exec/graph_nodes.c -- see graph_nodes.h. */
#include "core/exec/graph_nodes.h"

#include <string.h>

#include "core/base/alloc.h"

static int64_t padded(int64_t n) { return (n + 15) & ~(int64_t)15; }

typedef struct walk {
  const rpi_plan *plan;
  const rpi_word *words;
  rpi_graph_nodes *to; /* NULL: launches are only counted */
  int32_t n, sub;
  int32_t before, n_before; /* the launches of the step before */
  int64_t bytes;
} walk;

/* Where the next parameters go; `room` takes those that are only counted. */
static char *parameters_of(const walk *w, char room[RPI_KERNEL_PARAMETERS]) {
  return w->to ? w->to->parameters + w->bytes : room;
}

/* Launches one after another, behind those of the step before, all with the parameters that are there. */
static void add(walk *w, const rpi_kernel_launch *l, int32_t n, int32_t bytes) {
  for (int32_t i = 0; i < n && w->to; i++) {
    w->to->call[w->n + i] = -1;
    w->to->node[w->n + i] = (rpi_device_node){.function = l[i].function,
                                              .grid = l[i].grid,
                                              .block = l[i].block,
                                              .first_after = i > 0 ? w->n + i - 1 : w->before,
                                              .n_after = i > 0 ? 1 : w->n_before,
                                              .parameters = w->to->parameters + w->bytes,
                                              .bytes = bytes};
  }
  w->n += n;
  w->bytes += padded(bytes);
}

static void add_sub(walk *w, const rpi_sub *s) {
  char room[RPI_KERNEL_PARAMETERS];
  rpi_kernel_launch l[RPI_KERNEL_LAUNCHES];
  const rpi_kernel_gpu_code *code = s->gpu->code;
  const rpi_word *words = &w->words[s->word];
  const int64_t end = s->first + s->units;
  const int32_t n = code->launches(code, words, s->first, end, RPI_KERNEL_ALL, l);
  add(w, l, n, code->pack(code, words, s->first, end, RPI_KERNEL_ALL, parameters_of(w, room)));
  if (w->to) w->to->code[w->sub] = code;
  w->sub++;
}

/* A function's call is known by its words. */
static void add_function(walk *w, int32_t call) {
  const rpi_plan_call *c = &w->plan->call[call];
  const size_t bytes = sizeof *w->words * (size_t)(c->n + rpi_opaque_n_scalars(c->opaque));
  const int32_t here = w->n;
  if (w->to && bytes > 0) memcpy(w->to->parameters + w->bytes, &w->words[c->word], bytes);
  add(w, &(rpi_kernel_launch){0}, 1, (int32_t)bytes);
  if (w->to) w->to->call[here] = call;
}

static void add_call(walk *w, int32_t call) {
  char room[RPI_KERNEL_PARAMETERS];
  rpi_kernel_launch l;
  const rpi_plan_call *c = &w->plan->call[call];
  if (!rpi_opaque_gpu_is_launch(c)) {
    add_function(w, call);
    return;
  }
  const int32_t n = rpi_opaque_gpu_launches(c, &l);
  if (n > 0) add(w, &l, n, rpi_opaque_gpu_pack(c, w->words, parameters_of(w, room)));
}

static void add_step(walk *w, const rpi_step *s) {
  const int32_t here = w->n;
  for (int32_t k = 0; s->kind == RPI_STEP_LAUNCH && k < s->n_sub; k++)
    add_sub(w, &w->plan->sub[s->first_sub + k]);
  if (s->kind == RPI_STEP_OPAQUE) add_call(w, s->call);
  if (w->n == here) return;
  w->before = here;
  w->n_before = w->n - here;
}

/* A step's kernels begin when those of the step before have ended. */
static walk walk_steps(const rpi_plan *plan, const rpi_word *words, int32_t first, int32_t end,
                       rpi_graph_nodes *to) {
  walk w = {.plan = plan, .words = words, .to = to};
  for (int32_t i = first; i < end; i++) add_step(&w, &plan->step[i]);
  return w;
}

bool rpi_graph_nodes_reserve(const rpi_plan *plan, int32_t first, int32_t end, rpi_graph_nodes *g) {
  const walk w = walk_steps(plan, plan->words, first, end, NULL);
  g->node = rpi_alloc_zero(sizeof *g->node * ((size_t)w.n + 1));
  g->code = rpi_alloc_zero(sizeof *g->code * ((size_t)w.sub + 1));
  g->call = rpi_alloc_zero(sizeof *g->call * ((size_t)w.n + 1));
  g->parameters = rpi_alloc_zero((size_t)w.bytes + 1);
  g->n = w.n;
  g->bytes = w.bytes;
  return g->node && g->code && g->call && g->parameters;
}

void rpi_graph_nodes_fill(const rpi_plan *plan, const rpi_word *words, int32_t first, int32_t end,
                          rpi_graph_nodes *g) {
  walk_steps(plan, words, first, end, g);
}

bool rpi_graph_nodes_current(const rpi_plan *plan, int32_t first, int32_t end,
                             const rpi_graph_nodes *g) {
  int32_t n = 0;
  for (int32_t i = first; i < end; i++)
    for (int32_t k = 0; plan->step[i].kind == RPI_STEP_LAUNCH && k < plan->step[i].n_sub; k++)
      if (plan->sub[plan->step[i].first_sub + k].gpu->code != g->code[n++]) return false;
  return true;
}

void rpi_graph_nodes_forget(rpi_opaque_device *d, rpi_graph_nodes *g) {
  for (int32_t i = 0; i < g->n; i++) {
    rpi_device_forget(d->device, g->node[i].child);
    g->node[i].child = NULL;
  }
}

rp_status rpi_graph_nodes_record(rpi_plan *plan, const rpi_word *words, rpi_opaque_device *d,
                                 rpi_graph_nodes *g) {
  rp_status st = RP_OK;
  for (int32_t i = 0; i < g->n && st == RP_OK; i++)
    if (g->call[i] >= 0)
      st = rpi_opaque_gpu_record(plan, &plan->call[g->call[i]], words, d, &g->node[i].child);
  if (st != RP_OK) rpi_graph_nodes_forget(d, g);
  return st;
}

void rpi_graph_nodes_free(rpi_graph_nodes *g) {
  rpi_alloc_free(g->node);
  rpi_alloc_free(g->code);
  rpi_alloc_free(g->call);
  rpi_alloc_free(g->parameters);
  *g = (rpi_graph_nodes){0};
}
