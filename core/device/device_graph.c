/* SPDX-License-Identifier: Apache-2.0
 * core/device/device_graph.c -- launches as a CUDA graph.
 * Lives here: building, changing, launching. Not here: which launches, and when a graph pays (core/exec/graph.h).
 * How: nodes are added one by one (no capture), so each has a handle by which its parameters are changed in the
 *      instantiated graph. The driver copies parameters; a change does not touch launches under way. */
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

static CUresult build(rpi_device *d, rpi_device_graph *g, const rpi_device_node *nodes,
                      const char **name) {
  call c;
  *name = "cuGraphCreate";
  CUresult e = d->cu->graph_create(&g->graph, 0);
  for (int32_t i = 0; i < g->n && e == CUDA_SUCCESS; i++) {
    const rpi_device_node *n = &nodes[i];
    rpi_assert(n->first_after >= 0 && n->first_after + n->n_after <= i);
    *name = "cuGraphAddKernelNode";
    call_of(n, &c);
    e = d->cu->graph_add_kernel(&g->node[i], g->graph, &g->node[n->first_after], (size_t)n->n_after,
                                &c.parameters);
  }
  if (e != CUDA_SUCCESS) return e;
  *name = "cuGraphInstantiate";
  return d->cu->graph_instantiate(&g->exec, g->graph, 0);
}

rp_status rpi_device_graph_create(rpi_device *d, const rpi_device_node *nodes, int32_t n,
                                  rpi_device_graph **out) {
  const char *name = "";
  *out = NULL;
  rpi_device_graph *g = rpi_alloc_zero(sizeof *g);
  if (g) g->node = rpi_alloc_zero(sizeof *g->node * ((size_t)n + 1));
  if (!g || !g->node) {
    rpi_alloc_free(g);
    return rpi_status_nomem("a graph");
  }
  g->n = n;
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
