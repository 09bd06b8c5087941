/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_condition.c -- nodes that run a graph of their own, once or again and again, as kernels say.
 *
 * Lives here: cuGraphConditionalHandleCreate, cuGraphAddNode, what kernels do to handles.
 * Not here:   graphs (emu_graph.c).
 * How:        a handle's value is that of the launch that runs; where no default is assigned it begins as anything. A kernel may
 *             set each handle once, since on a GPU two threads would race. */
#include <stdlib.h>
#include <string.h>

#include "tests/emulator/emu_inside.h"

/* The handle: one that lives, of a graph that runs. */
static emu_condition *condition_of(uint64_t handle) {
  emu_condition *c = (emu_condition *)(uintptr_t)handle;
  emu_handle_check(c, EMU_CONDITION);
  return c;
}

static emu_condition *running; /* those of the launch that runs */

CUresult cu_graph_condition(CUgraphConditionalHandle *handle, CUgraph graph, CUcontext context,
                            unsigned int value, unsigned int flags) {
  EMU_ENTER(graph_condition, EMU_CURRENT);
  emu_handle_check(graph, EMU_GRAPH);
  emu_handle_check(context, EMU_CONTEXT);
  if (flags & ~(unsigned)CU_GRAPH_COND_ASSIGN_DEFAULT) return CUDA_ERROR_INVALID_VALUE;
  const char *refuses = getenv("EMU_LOOPS");
  if (refuses && strcmp(refuses, "off") == 0) return CUDA_ERROR_NOT_SUPPORTED;
  if (graph->root) emu_die("the handle is to be made for the graph that is instantiated");
  emu_condition *c = emu_handle_make(EMU_CONDITION, sizeof *c, emu_context_device());
  c->graph = graph;
  c->assigns = flags != 0;
  c->first = value;
  c->of_graph = graph->conditions;
  graph->conditions = c;
  *handle = (uintptr_t)c;
  return CUDA_SUCCESS;
}

CUresult cu_graph_add_node(CUgraphNode *node, CUgraph graph, const CUgraphNode *after,
                           const CUgraphEdgeData *edges, size_t n_after, CUgraphNodeParams *p) {
  EMU_ENTER(graph_add_node, EMU_CURRENT);
  emu_graph_after(graph, after, n_after);
  if (edges) emu_die("edges with data are not emulated");
  for (int i = 0; i < 3; i++)
    if (p->reserved0[i]) return CUDA_ERROR_INVALID_VALUE;
  if (p->type != CU_GRAPH_NODE_TYPE_CONDITIONAL || p->reserved2)
    emu_die("nodes of type %d are not emulated here", (int)p->type);
  emu_condition *c = condition_of(p->conditional.handle);
  emu_handle_check(p->conditional.ctx, EMU_CONTEXT);
  if (c->graph != (graph->root ? graph->root : graph))
    emu_die("the handle of call %lld is of another graph", (long long)c->handle.call);
  if (c->used) emu_die("the handle of call %lld has a node", (long long)c->handle.call);
  if (p->conditional.size != 1) return CUDA_ERROR_INVALID_VALUE;
  c->used = true;
  emu_work w = {.kind = EMU_WORK_CONDITION};
  w.u.condition.handle = c;
  w.u.condition.again = p->conditional.type == CU_GRAPH_COND_TYPE_WHILE;
  w.u.condition.graph = emu_graph_make(c->graph);
  *node = emu_graph_add(graph, after, n_after, &w);
  static CUgraph bodies[64];
  static unsigned turn; /* the driver's own array, while the node is looked at */
  p->conditional.phGraph_out = &bodies[turn++ % 64];
  *p->conditional.phGraph_out = w.u.condition.graph;
  return CUDA_SUCCESS;
}

/* ---- while a launch runs */

void emu_condition_begin(emu_condition *all) {
  if (!all) return;
  if (running) emu_die("two graphs with conditions run at the same time");
  running = all;
  for (emu_condition *c = all; c; c = c->of_graph) {
    c->running = true;
    c->value = c->assigns ? c->first : (unsigned)emu_random(2);
  }
}

void emu_condition_end(emu_condition *all) {
  for (emu_condition *c = all; c; c = c->of_graph) c->running = false;
  if (all) running = NULL;
}

void emu_condition_kernel(void) {
  for (emu_condition *c = running; c; c = c->of_graph) c->set = false;
}

/* A launch may outlive the graph that it was instantiated of; its handles are records still. */
void emu_condition_set(uint64_t handle, unsigned value) {
  emu_condition *c = running;
  while (c && (uintptr_t)c != handle) c = c->of_graph;
  if (!c)
    emu_die("a kernel sets the condition %p, which is none of the graph that runs",
            (void *)(uintptr_t)handle);
  if (!c->running)
    emu_die("a kernel sets the condition of call %lld, whose graph does not run",
            (long long)c->handle.call);
  if (c->set) emu_die("a kernel sets a condition twice");
  c->set = true;
  c->value = value;
}

void emu_condition_run(const emu_work *w, emu_device *device) {
  const emu_condition *c = w->u.condition.handle;
  while (c->value != 0 && !device->sticky) {
    emu_graph_count(w->u.condition.body);
    emu_graph_run(w->u.condition.body, device);
    if (!w->u.condition.again) return;
  }
}
