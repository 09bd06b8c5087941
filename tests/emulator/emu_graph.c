/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_graph.c -- graphs of work, and executable copies of them.
 *
 * Lives here: cuGraph*, but for conditions.
 * Not here:   what nodes do (emu_work.c), nodes that run a graph of their own (emu_condition.c), the streams they are launched
 *             into (emu_stream.c).
 * How:        an executable graph holds a snapshot of the nodes. A launch holds the snapshot, too, so a change of a node makes a
 *             new one while launches wait. Nodes run in a random order that their dependencies allow. A node can
 *             only depend on nodes that were there before it, so there are no cycles. */
#include <stdlib.h>
#include <string.h>

#include "tests/emulator/emu_inside.h"

struct CUgraphNode_st {
  emu_handle handle;
  CUgraph graph;
  int32_t index, n_after;
  int32_t *after;
  emu_work work;
};
/* One node's copy; `after` are indices. */
typedef struct emu_step {
  emu_work work;
  int32_t n_after;
  int32_t *after;
} emu_step;
struct emu_snapshot {
  int32_t holders, n;
  emu_step *steps;
  emu_condition *conditions; /* that its nodes, and theirs, ask */
};
struct CUgraphExec_st {
  emu_handle handle;
  CUgraph graph;
  emu_snapshot *now;
};

CUgraph emu_graph_make(CUgraph root) {
  CUgraph graph = emu_handle_make(EMU_GRAPH, sizeof *graph, emu_context_device());
  graph->root = root;
  return graph;
}

CUresult cu_graph_create(CUgraph *graph, unsigned int flags) {
  EMU_ENTER(graph_create, EMU_CURRENT);
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  *graph = emu_graph_make(NULL);
  return CUDA_SUCCESS;
}

void emu_graph_end(CUgraph graph) {
  for (int32_t i = 0; i < graph->n; i++) {
    emu_work *w = &graph->nodes[i]->work;
    if (w->kind == EMU_WORK_CONDITION) emu_graph_end(w->u.condition.graph);
    emu_work_deinit(w);
    free(graph->nodes[i]->after);
    graph->nodes[i]->after = NULL;
    emu_handle_end(graph->nodes[i]);
  }
  for (emu_condition *c = graph->conditions; c; c = c->of_graph) emu_handle_end(c);
  free(graph->nodes);
  graph->nodes = NULL;
  emu_handle_end(graph);
}

CUresult cu_graph_destroy(CUgraph graph) {
  EMU_ENTER(graph_destroy, EMU_CURRENT | EMU_RELEASES);
  emu_handle_check(graph, EMU_GRAPH);
  if (graph->root) emu_die("the graph is a conditional node's, and ends with it");
  emu_graph_end(graph);
  return late;
}

void emu_graph_after(CUgraph graph, const CUgraphNode *after, size_t n) {
  emu_handle_check(graph, EMU_GRAPH);
  for (size_t i = 0; i < n; i++) {
    emu_handle_check(after[i], EMU_NODE);
    if (after[i]->graph != graph)
      emu_die("dependency %zu, of call %lld, is a node of another graph", i,
              (long long)after[i]->handle.call);
    for (size_t j = 0; j < i; j++)
      if (after[j] == after[i]) emu_die("dependencies %zu and %zu are the same node", j, i);
  }
}

CUgraphNode emu_graph_add(CUgraph graph, const CUgraphNode *after, size_t n, const emu_work *w) {
  CUgraphNode node = emu_handle_make(EMU_NODE, sizeof *node, emu_context_device());
  node->graph = graph;
  node->index = graph->n;
  node->work = *w;
  node->work.call = emu_now;
  node->n_after = (int32_t)n;
  node->after = emu_get(n * sizeof *node->after);
  for (size_t i = 0; i < n; i++) node->after[i] = after[i]->index;
  if (graph->n == graph->room) {
    graph->room = graph->room ? 2 * graph->room : 16;
    graph->nodes = realloc(graph->nodes, (size_t)graph->room * sizeof *graph->nodes);
    if (!graph->nodes) emu_die("the host has no memory for a graph's nodes");
  }
  graph->nodes[graph->n++] = node;
  return node;
}

static CUresult kernel_of(const CUDA_KERNEL_NODE_PARAMS *p, emu_work *w) {
  const uint32_t grid[] = {p->gridDimX, p->gridDimY, p->gridDimZ};
  const uint32_t block[] = {p->blockDimX, p->blockDimY, p->blockDimZ};
  if (p->kern) emu_die("kernels that are not of a module are not emulated");
  if (p->ctx) emu_handle_check(p->ctx, EMU_CONTEXT);
  *w = (emu_work){.kind = EMU_WORK_KERNEL};
  return emu_kernel_make(p->func, grid, block, p->sharedMemBytes, p->kernelParams, p->extra,
                         &w->u.kernel);
}

CUresult cu_graph_add_kernel(CUgraphNode *node, CUgraph graph, const CUgraphNode *after,
                             size_t n_after, const CUDA_KERNEL_NODE_PARAMS *parameters) {
  EMU_ENTER(graph_add_kernel, EMU_CURRENT);
  emu_graph_after(graph, after, n_after);
  emu_work w;
  const CUresult bad = kernel_of(parameters, &w);
  if (!bad) *node = emu_graph_add(graph, after, n_after, &w);
  return bad;
}

CUresult cu_graph_add_copy(CUgraphNode *node, CUgraph graph, const CUgraphNode *after,
                           size_t n_after, const CUDA_MEMCPY3D *copy, CUcontext context) {
  EMU_ENTER(graph_add_copy, EMU_CURRENT);
  emu_graph_after(graph, after, n_after);
  emu_handle_check(context, EMU_CONTEXT);
  emu_work w = {.kind = EMU_WORK_COPY};
  const CUresult bad = emu_copy_box(copy, &w.u.copy);
  if (bad) return bad;
  if (!w.u.copy.width || !w.u.copy.height || !w.u.copy.depth) return CUDA_ERROR_INVALID_VALUE;
  *node = emu_graph_add(graph, after, n_after, &w);
  return CUDA_SUCCESS;
}

CUresult cu_graph_add_fill(CUgraphNode *node, CUgraph graph, const CUgraphNode *after,
                           size_t n_after, const CUDA_MEMSET_NODE_PARAMS *fill, CUcontext context) {
  EMU_ENTER(graph_add_fill, EMU_CURRENT);
  emu_graph_after(graph, after, n_after);
  emu_handle_check(context, EMU_CONTEXT);
  emu_work w = {.kind = EMU_WORK_FILL};
  const CUresult bad = emu_fill_box(fill, &w.u.fill);
  if (!bad) *node = emu_graph_add(graph, after, n_after, &w);
  return bad;
}

CUresult cu_graph_add_empty(CUgraphNode *node, CUgraph graph, const CUgraphNode *after,
                            size_t n_after) {
  EMU_ENTER(graph_add_empty, EMU_CURRENT);
  emu_graph_after(graph, after, n_after);
  *node = emu_graph_add(graph, after, n_after, &(emu_work){.kind = EMU_WORK_EMPTY});
  return CUDA_SUCCESS;
}

static emu_snapshot *snapshot_of(CUgraph graph);

/* A copy of what the graph is now. */
CUresult cu_graph_add_child(CUgraphNode *node, CUgraph graph, const CUgraphNode *after,
                            size_t n_after, CUgraph child) {
  EMU_ENTER(graph_add_child, EMU_CURRENT);
  emu_graph_after(graph, after, n_after);
  emu_handle_check(child, EMU_GRAPH);
  if (child->conditions || child->root) emu_die("the graph has conditions, or is such a node's");
  *node = emu_graph_add(graph, after, n_after,
                        &(emu_work){.kind = EMU_WORK_GRAPH, .u.graph = snapshot_of(child)});
  return CUDA_SUCCESS;
}

/* ---- executable graphs */

/* What a conditional node runs is copied with it. */
static void step_copy(emu_step *to, const emu_work *work, const int32_t *after, int32_t n_after) {
  emu_work_copy(&to->work, work);
  if (work->kind == EMU_WORK_CONDITION && !work->u.condition.body)
    to->work.u.condition.body = snapshot_of(work->u.condition.graph);
  to->n_after = n_after;
  to->after = emu_get((size_t)n_after * sizeof *after);
  if (n_after) memcpy(to->after, after, (size_t)n_after * sizeof *after);
}

static emu_snapshot *snapshot(int32_t n) {
  emu_snapshot *s = emu_get(sizeof *s);
  *s = (emu_snapshot){.holders = 1, .n = n, .steps = emu_get((size_t)n * sizeof *s->steps)};
  return s;
}

static emu_snapshot *snapshot_of(CUgraph graph) {
  emu_snapshot *s = snapshot(graph->n);
  s->conditions = graph->conditions;
  for (int32_t i = 0; i < graph->n; i++)
    step_copy(&s->steps[i], &graph->nodes[i]->work, graph->nodes[i]->after,
              graph->nodes[i]->n_after);
  return s;
}

void emu_graph_hold(emu_snapshot *s) { s->holders++; }

void emu_graph_forget(emu_snapshot *s) {
  if (--s->holders) return;
  for (int32_t i = 0; i < s->n; i++) {
    emu_work_deinit(&s->steps[i].work);
    free(s->steps[i].after);
  }
  free(s->steps);
  free(s);
}

void emu_graph_count(const emu_snapshot *s) {
  for (int32_t i = 0; i < s->n; i++) emu_work_count(&s->steps[i].work);
}

static bool may_run(const emu_snapshot *s, int32_t i, const bool *done) {
  for (int32_t k = 0; k < s->steps[i].n_after; k++)
    if (!done[s->steps[i].after[k]]) return false;
  return !done[i];
}

void emu_graph_run(emu_snapshot *s, emu_device *device) {
  emu_condition_begin(s->conditions);
  bool *done = emu_get((size_t)s->n * sizeof *done);
  int32_t *ready = emu_get((size_t)s->n * sizeof *ready);
  for (int32_t ran = 0; ran < s->n; ran++) {
    int32_t n_ready = 0;
    for (int32_t i = 0; i < s->n; i++)
      if (may_run(s, i, done)) ready[n_ready++] = i;
    const int32_t i = ready[emu_random((uint64_t)n_ready)];
    (void)emu_work_run(&s->steps[i].work, device); /* no node waits */
    done[i] = true;
  }
  free(done);
  free(ready);
  emu_condition_end(s->conditions);
}

CUresult cu_graph_instantiate(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
  EMU_ENTER(graph_instantiate, EMU_CURRENT);
  emu_handle_check(graph, EMU_GRAPH);
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  for (emu_condition *c = graph->conditions; c; c = c->of_graph)
    if (!c->used) return CUDA_ERROR_INVALID_VALUE;
  if (graph->root) emu_die("the graph is a conditional node's");
  if (graph->conditions && graph->copied)
    emu_die("a graph with conditional nodes is instantiated a second time");
  graph->copied = true;
  CUgraphExec e = emu_handle_make(EMU_EXEC, sizeof *e, emu_context_device());
  e->graph = graph;
  e->now = snapshot_of(graph);
  emu_counted.graph_instantiations++;
  *exec = e;
  return CUDA_SUCCESS;
}

/* The node's copy, which launches that wait do not share; aborts unless it is of that kind. */
static emu_work *changeable(CUgraphExec exec, CUgraphNode node, emu_work_kind kind) {
  emu_handle_check(exec, EMU_EXEC);
  emu_handle_check(node, EMU_NODE);
  if (node->graph != exec->graph)
    emu_die("the node of call %lld is not of the graph that was instantiated",
            (long long)node->handle.call);
  if (node->index >= exec->now->n)
    emu_die("the node of call %lld was added after the graph was instantiated",
            (long long)node->handle.call);
  if (node->work.kind != kind)
    emu_die("the node of call %lld is of another kind", (long long)node->handle.call);
  if (exec->now->holders > 1) {
    emu_snapshot *old = exec->now;
    exec->now = snapshot(old->n);
    exec->now->conditions = old->conditions;
    for (int32_t i = 0; i < old->n; i++)
      step_copy(&exec->now->steps[i], &old->steps[i].work, old->steps[i].after,
                old->steps[i].n_after);
    emu_graph_forget(old);
  }
  emu_counted.nodes_updated++;
  return &exec->now->steps[node->index].work;
}

static void replace(emu_work *old, emu_work *w) {
  w->call = emu_now;
  emu_work_deinit(old);
  *old = *w;
}

CUresult cu_graph_set_kernel(CUgraphExec exec, CUgraphNode node,
                             const CUDA_KERNEL_NODE_PARAMS *parameters) {
  EMU_ENTER(graph_set_kernel, EMU_CURRENT);
  emu_work w, *old = changeable(exec, node, EMU_WORK_KERNEL);
  const CUresult bad = kernel_of(parameters, &w);
  if (bad) return bad;
  if (w.u.kernel.function != old->u.kernel.function && !emu_faults_functions())
    emu_die("kernel %s becomes %s", old->u.kernel.function->fact->name,
            w.u.kernel.function->fact->name);
  replace(old, &w);
  return CUDA_SUCCESS;
}

/* The driver changes copies of one row only, and only between memories of the same kinds. */
CUresult cu_graph_set_copy(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D *copy,
                           CUcontext context) {
  EMU_ENTER(graph_set_copy, EMU_CURRENT);
  emu_work w = {.kind = EMU_WORK_COPY}, *old = changeable(exec, node, EMU_WORK_COPY);
  emu_handle_check(context, EMU_CONTEXT);
  const CUresult bad = emu_copy_box(copy, &w.u.copy);
  if (bad) return bad;
  const emu_copy *a = &old->u.copy, *b = &w.u.copy;
  if (a->height * a->depth != 1 || b->height * b->depth != 1 || !b->width)
    return CUDA_ERROR_INVALID_VALUE;
  if (!a->from.memory != !b->from.memory || !a->to.memory != !b->to.memory)
    return CUDA_ERROR_INVALID_VALUE;
  replace(old, &w);
  return CUDA_SUCCESS;
}

CUresult cu_graph_launch(CUgraphExec exec, CUstream stream) {
  EMU_ENTER(graph_launch, EMU_CURRENT);
  emu_handle_check(exec, EMU_EXEC);
  if (!emu_stream_check(stream)) return CUDA_ERROR_INVALID_HANDLE;
  emu_counted.graph_launches++;
  exec->now->holders++;
  return emu_stream_add(stream, &(emu_work){.kind = EMU_WORK_GRAPH, .u.graph = exec->now});
}

CUresult cu_graph_exec_destroy(CUgraphExec exec) {
  EMU_ENTER(graph_exec_destroy, EMU_CURRENT | EMU_RELEASES);
  emu_handle_check(exec, EMU_EXEC);
  emu_graph_forget(exec->now);
  emu_handle_end(exec);
  return late;
}
