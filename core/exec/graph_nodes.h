/* SPDX-License-Identifier: Apache-2.0
 * core/exec/graph_nodes.h -- the launches of consecutive steps on a GPU, as nodes of a graph.
 *
 * Lives here: which kernels, behind which, with which parameters; what functions of opaque ops queue, recorded.
 * Not here:   which steps are launches (rpi_graph_end), graphs that are replayed (graph.h), loops (loop.h).
 * Invariant:  how many nodes there are, and of which functions, depends on the kernels' codes and extents alone; the words give
 *             parameters, those of opaque ops' texts as well, whose function stays the same. */
#ifndef RPI_GRAPH_NODES_H
#define RPI_GRAPH_NODES_H

#include "core/exec/opaque_gpu.h"

typedef struct rpi_graph_nodes {
  int32_t n; /* launches; 0: not known yet */
  rpi_device_node *node;
  int64_t bytes;                    /* of all parameters, which lie side by side, */
  char *parameters;                 /* padded */
  const rpi_kernel_gpu_code **code; /* per kernel */
  int32_t *call; /* per node: whose function it is, with its words as parameters; -1: a kernel */
} rpi_graph_nodes;

/* Room for the launches of steps first..end-1. False: no memory. */
bool rpi_graph_nodes_reserve(const rpi_plan *plan, int32_t first, int32_t end, rpi_graph_nodes *g);
/* The launches with the parameters that `words` say. */
void rpi_graph_nodes_fill(const rpi_plan *plan, const rpi_word *words, int32_t first, int32_t end,
                          rpi_graph_nodes *g);
/* The kernels still have the codes that the nodes were made of. */
bool rpi_graph_nodes_current(const rpi_plan *plan, int32_t first, int32_t end,
                             const rpi_graph_nodes *g);
/* Before a graph is made of them: what functions queue with those words. After an error nothing is left of it. */
rp_status rpi_graph_nodes_record(rpi_plan *plan, const rpi_word *words, rpi_opaque_device *d,
                                 rpi_graph_nodes *g);
/* After that. */
void rpi_graph_nodes_forget(rpi_opaque_device *d, rpi_graph_nodes *g);
void rpi_graph_nodes_free(rpi_graph_nodes *g);

#endif
