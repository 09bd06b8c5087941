/* SPDX-License-Identifier: Apache-2.0
 * core/device/device_graph.c -- launches as a CUDA graph.
 * Lives here: building, changing, launching; loops; recording what others queue. Not here: which launches, and when a graph
 *             pays (core/exec/graph.h).
 * How: nodes are added one by one (no capture), so each has a handle by which its parameters are changed in the
 *      instantiated graph. The driver copies parameters; a change does not touch launches under way.
 *      A loop is a WHILE node. Its graph has the first phase and, behind the kernel that decides, an IF node with the
 *      next one, and so on. Where a phase but the last decides that there is no next one, that is the loop's end, too. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/device/device_impl.h"

struct rpi_device_graph {
  CUgraph graph;
  CUgraphExec exec;
  CUgraphNode *node;
  int32_t n;
};

/* The driver's form of a node; `extra` holds what it points to. */
typedef struct call {
  CUDA_KERNEL_NODE_PARAMS parameters;
  size_t size;
  void *extra[5];
} call;

static void call_of(const rpi_device_node *n, call *c) {
  c->size = (size_t)n->bytes;
  void *extra[5] = {CU_LAUNCH_PARAM_BUFFER_POINTER, (void *)(uintptr_t)n->parameters,
                    CU_LAUNCH_PARAM_BUFFER_SIZE, &c->size, CU_LAUNCH_PARAM_END};
  for (int32_t i = 0; i < RPI_COUNT(extra); i++) c->extra[i] = extra[i];
  c->parameters = (CUDA_KERNEL_NODE_PARAMS){.func = n->function,
                                            .gridDimX = (unsigned)n->grid,
                                            .gridDimY = 1,
                                            .gridDimZ = 1,
                                            .blockDimX = (unsigned)n->block,
                                            .blockDimY = 1,
                                            .blockDimZ = 1,
                                            .extra = c->extra};
}

/* Kernels into `graph`, their handles into `made`; those that need not wait for each other begin behind *root (NULL: at once). */
static CUresult add_kernels(rpi_device *d, CUgraph graph, const CUgraphNode *root,
                            const rpi_device_node *nodes, int32_t n, CUgraphNode *made,
                            const char **name) {
  call c;
  CUresult e = CUDA_SUCCESS;
  for (int32_t i = 0; i < n && e == CUDA_SUCCESS; i++) {
    const rpi_device_node *k = &nodes[i];
    rpi_assert(k->first_after >= 0 && k->first_after + k->n_after <= i);
    const bool first = k->n_after == 0 && root;
    const CUgraphNode *after = first ? root : &made[k->first_after];
    const size_t n_after = first ? 1 : (size_t)k->n_after;
    *name = k->child ? "cuGraphAddChildGraphNode" : "cuGraphAddKernelNode";
    call_of(k, &c);
    e = k->child ? d->cu->graph_add_child(&made[i], graph, after, n_after, k->child)
                 : d->cu->graph_add_kernel(&made[i], graph, after, n_after, &c.parameters);
  }
  return e;
}

static CUresult build(rpi_device *d, rpi_device_graph *g, const rpi_device_node *nodes,
                      const char **name) {
  *name = "cuGraphCreate";
  CUresult e = d->cu->graph_create(&g->graph, 0);
  if (e == CUDA_SUCCESS) e = add_kernels(d, g->graph, NULL, nodes, g->n, g->node, name);
  if (e != CUDA_SUCCESS) return e;
  *name = "cuGraphInstantiate";
  return d->cu->graph_instantiate(&g->exec, g->graph, 0);
}

static rpi_device_graph *make(int32_t n) {
  rpi_device_graph *g = rpi_alloc_zero(sizeof *g);
  if (g) g->node = rpi_alloc_zero(sizeof *g->node * ((size_t)n + 1));
  if (g && g->node) {
    g->n = n;
    return g;
  }
  rpi_alloc_free(g);
  rpi_status_nomem("a graph");
  return NULL;
}

rp_status rpi_device_graph_create(rpi_device *d, const rpi_device_node *nodes, int32_t n,
                                  rpi_device_graph **out) {
  const char *name = "";
  *out = NULL;
  rpi_device_graph *g = make(n);
  if (!g) return RP_ERR_MEMORY;
  rp_status st = rpi_device_enter(d);
  if (st == RP_OK) st = rpi_device_leave(d, build(d, g, nodes, &name), name, "of %d launches", n);
  if (st == RP_OK)
    *out = g;
  else
    rpi_device_graph_free(d, g);
  return st;
}

rp_status rpi_device_graph_set(rpi_device *d, rpi_device_graph *g, int32_t i,
                               const rpi_device_node *node) {
  call c;
  call_of(node, &c);
  RPI_TRY(rpi_device_enter(d));
  return rpi_device_leave(d, d->cu->graph_set_kernel(g->exec, g->node[i], &c.parameters),
                          "cuGraphExecKernelNodeSetParams", "of launch %d of %d", i, g->n);
}

rp_status rpi_device_graph_launch(rpi_device *d, rpi_device_graph *g) {
  RPI_TRY(rpi_device_enter(d));
  RPI_TRY(rpi_device_leave(d, d->cu->graph_launch(g->exec, d->stream), "cuGraphLaunch",
                           "of %d launches", g->n));
  d->stats.graph_launches++;
  return RP_OK;
}

void rpi_device_graph_free(rpi_device *d, rpi_device_graph *g) {
  if (!g) return;
  if (rpi_device_enter(d) == RP_OK) {
    CUresult e = g->exec ? d->cu->graph_exec_destroy(g->exec) : CUDA_SUCCESS;
    if (g->graph) {
      const CUresult f = d->cu->graph_destroy(g->graph);
      if (e == CUDA_SUCCESS) e = f;
    }
    (void)rpi_device_leave(d, e, "cuGraphDestroy", "%s", "");
  }
  rpi_alloc_free(g->node);
  rpi_alloc_free(g);
}

/* ---- what others queue ---- */

rp_status rpi_device_record(rpi_device *d, rp_status (*queue)(void *arg), void *arg, CUgraph *out) {
  const rpi_cuda *cu = d->cu;
  *out = NULL;
  if (!cu->stream_record || !cu->stream_recorded || !cu->graph_add_child)
    return rpi_status_fail(RP_ERR_DEVICE, "the driver records no streams");
  RPI_TRY(rpi_device_enter(d));
  CUresult e = cu->stream_record(d->stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  if (e != CUDA_SUCCESS) return rpi_device_leave(d, e, "cuStreamBeginCapture", "%s", "");
  const rp_status said = queue(arg);
  e = cu->stream_recorded(d->stream, out);
  if (e != CUDA_SUCCESS) *out = NULL;
  const rp_status st = rpi_device_leave(d, e, "cuStreamEndCapture", "%s", "");
  if (st == RP_OK && said == RP_OK) return RP_OK;
  rpi_device_forget(d, *out);
  *out = NULL;
  return st != RP_OK ? st : said;
}

void rpi_device_forget(rpi_device *d, CUgraph recorded) {
  if (recorded && rpi_device_enter(d) == RP_OK)
    (void)rpi_device_leave(d, d->cu->graph_destroy(recorded), "cuGraphDestroy", "%s", "");
}

/* ---- loops ---- */

bool rpi_device_loops(const rpi_device *d) {
  return d->cu->graph_add_node && d->cu->graph_condition;
}

/* A node behind `after` (NULL: the first) that runs *body once or again and again. */
static CUresult add_conditional(rpi_device *d, CUgraph graph, const CUgraphNode *after,
                                CUgraphConditionalNodeType type, CUgraphConditionalHandle handle,
                                CUgraph *body, const char **name) {
  CUgraphNode node;
  CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL,
                         .conditional = {.handle = handle, .type = type, .size = 1}};
  p.conditional.ctx = d->context;
  *name = "cuGraphAddNode";
  const CUresult e = d->cu->graph_add_node(&node, graph, after, NULL, after ? 1 : 0, &p);
  if (e == CUDA_SUCCESS) *body = p.conditional.phGraph_out[0];
  return e;
}

/* One behind the other; the last one's node. */
static CUresult add_zeros(rpi_device *d, CUgraph graph, const rpi_device_phase *phase,
                          CUgraphNode *last, const char **name) {
  CUresult e = CUDA_SUCCESS;
  for (int32_t i = 0; i < phase->n_zero && e == CUDA_SUCCESS; i++) {
    const CUDA_MEMSET_NODE_PARAMS fill = {.dst = phase->zero[i].at,
                                          .elementSize = 1,
                                          .width = (size_t)phase->zero[i].bytes,
                                          .height = 1};
    const CUgraphNode before = *last;
    *name = "cuGraphAddMemsetNode";
    e = d->cu->graph_add_fill(last, graph, &before, i > 0, &fill, d->context);
  }
  return e;
}

/* The launches of a phase, and the one that decides. */
static CUresult add_phase(rpi_device *d, CUgraph graph, const rpi_device_phase *phase,
                          CUgraphNode *made, const char **name) {
  call c;
  CUgraphNode zeros = NULL;
  CUresult e = add_zeros(d, graph, phase, &zeros, name);
  if (e == CUDA_SUCCESS)
    e = add_kernels(d, graph, zeros ? &zeros : NULL, phase->node, phase->n, made, name);
  if (e != CUDA_SUCCESS) return e;
  call_of(&phase->last, &c);
  return d->cu->graph_add_kernel(&made[phase->n], graph, made, (size_t)phase->n, &c.parameters);
}

static CUresult build_loop(rpi_device *d, rpi_device_graph *g, const rpi_device_phase *phase,
                           int32_t n, const char **name) {
  CUgraphConditionalHandle handle[RPI_DEVICE_PHASES]; /* the loop's, then one for each next phase */
  CUgraph body;
  *name = "cuGraphCreate";
  CUresult e = d->cu->graph_create(&g->graph, 0);
  for (int32_t i = 0; i < n && e == CUDA_SUCCESS; i++) {
    *name = "cuGraphConditionalHandleCreate";
    e = d->cu->graph_condition(&handle[i], g->graph, d->context, i == 0,
                               CU_GRAPH_COND_ASSIGN_DEFAULT);
  }
  if (e == CUDA_SUCCESS)
    e = add_conditional(d, g->graph, NULL, CU_GRAPH_COND_TYPE_WHILE, handle[0], &body, name);
  for (int32_t i = 0; i < n && e == CUDA_SUCCESS; i++) {
    const uint64_t sets[2] = {handle[i + 1 < n ? i + 1 : 0], handle[0]};
    memcpy(phase[i].parameters, sets, sizeof sets);
    e = add_phase(d, body, &phase[i], g->node, name);
    if (e == CUDA_SUCCESS && i + 1 < n)
      e = add_conditional(d, body, &g->node[phase[i].n], CU_GRAPH_COND_TYPE_IF, handle[i + 1],
                          &body, name);
  }
  if (e != CUDA_SUCCESS) return e;
  *name = "cuGraphInstantiate";
  return d->cu->graph_instantiate(&g->exec, g->graph, 0);
}

rp_status rpi_device_loop_create(rpi_device *d, const rpi_device_phase *phase, int32_t n,
                                 rpi_device_graph **out) {
  const char *name = "";
  int32_t most = 0;
  *out = NULL;
  rpi_assert(n >= 1 && n <= RPI_DEVICE_PHASES);
  for (int32_t i = 0; i < n; i++) most = phase[i].n + 1 > most ? phase[i].n + 1 : most;
  rpi_device_graph *g = make(most);
  if (!g) return RP_ERR_MEMORY;
  rp_status st = rpi_device_enter(d);
  if (st == RP_OK)
    st = rpi_device_leave(d, build_loop(d, g, phase, n, &name), name, "of a loop of %d launches",
                          most);
  if (st == RP_OK)
    *out = g;
  else
    rpi_device_graph_free(d, g);
  return st;
}
