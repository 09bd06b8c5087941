/* SPDX-License-Identifier: Apache-2.0
 * core/exec/loop.c -- see loop.h. */
#include "core/exec/loop.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/exec/graph_nodes.h"

_Static_assert(sizeof(rpi_kernel_flag) == 4 * sizeof(uint32_t) &&
                   offsetof(rpi_kernel_flag, raised) == 0,
               "jit/cuda_check.h reads flags so");

struct rpi_loop {
  rpi_device *device;
  rpi_device_graph *graph; /* NULL: none yet */
  CUdeviceptr left;        /* memory of ours */
  rpi_graph_nodes nodes[RPI_DEVICE_PHASES];
  rpi_loop_check check[RPI_DEVICE_PHASES];
  rpi_loop_desc made; /* what the graph is of; its words are `words` */
  rpi_word *words;
  bool refused; /* the driver has */
};

static void drop(rpi_loop *l) {
  rpi_device_graph_free(l->device, l->graph);
  l->graph = NULL;
  for (int32_t i = 0; i < RPI_DEVICE_PHASES; i++) rpi_graph_nodes_free(&l->nodes[i]);
  rpi_alloc_free(l->words);
  l->words = NULL;
}

void rpi_loop_free(rpi_loop *l) {
  if (!l) return;
  drop(l);
  if (l->left) rpi_device_put(l->device, l->left, sizeof(int64_t));
  rpi_alloc_free(l);
}

static rpi_loop *loop_of(rpi_plan *plan, rpi_device *d) {
  if (plan->loop) return plan->loop;
  rpi_loop *l = rpi_alloc_zero(sizeof *l);
  if (!l) return NULL;
  l->device = d;
  if (rpi_device_get(d, sizeof(int64_t), &l->left) != RP_OK) {
    rpi_alloc_free(l);
    return NULL;
  }
  return plan->loop = l;
}

/* The graph at hand is this loop. */
static bool is_same(const rpi_plan *plan, const rpi_loop *l, const rpi_loop_desc *desc) {
  const rpi_loop_desc *made = &l->made;
  const size_t bytes = sizeof *l->words * (size_t)plan->n_words;
  if (!l->graph || made->n != desc->n || made->check != desc->check || made->flags != desc->flags ||
      made->go_bytes != desc->go_bytes)
    return false;
  for (int32_t i = 0; i < desc->n; i++)
    if (made->phase[i].go != desc->phase[i].go || made->phase[i].n_zero != desc->phase[i].n_zero ||
        memcmp(l->words + i * plan->n_words, desc->phase[i].words, bytes) != 0 ||
        !rpi_graph_nodes_current(plan, 0, plan->n_step, &l->nodes[i]))
      return false;
  return true;
}

static bool reserve(const rpi_plan *plan, rpi_loop *l, const rpi_loop_desc *desc) {
  const size_t bytes = sizeof *l->words * (size_t)plan->n_words;
  l->words = rpi_alloc((bytes + 1) * (size_t)desc->n);
  if (!l->words) return false;
  for (int32_t i = 0; i < desc->n; i++) {
    memcpy(l->words + i * plan->n_words, desc->phase[i].words, bytes);
    if (!rpi_graph_nodes_reserve(plan, 0, plan->n_step, &l->nodes[i])) return false;
    rpi_graph_nodes_fill(plan, desc->phase[i].words, 0, plan->n_step, &l->nodes[i]);
  }
  return true;
}

/* RP_OK without a graph: the driver takes none. */
static rp_status make(const rpi_plan *plan, rpi_loop *l, const rpi_loop_desc *desc) {
  rpi_device_phase phase[RPI_DEVICE_PHASES];
  drop(l);
  if (!reserve(plan, l, desc)) {
    drop(l);
    return rpi_status_nomem("a loop on the GPU");
  }
  l->made = *desc;
  for (int32_t i = 0; i < desc->n; i++) {
    l->check[i] = (rpi_loop_check){.go = desc->phase[i].go,
                                   .left = l->left,
                                   .flags = desc->flags,
                                   .bytes = desc->go_bytes,
                                   .n_flag = desc->n_flag};
    const rpi_graph_nodes *g = &l->nodes[i];
    phase[i] = (rpi_device_phase){.node = g->node,
                                  .n = g->n,
                                  .zero = desc->phase[i].zero,
                                  .n_zero = desc->phase[i].n_zero,
                                  .parameters = &l->check[i]};
    phase[i].last = (rpi_device_node){.function = desc->check,
                                      .grid = 1,
                                      .block = 1,
                                      .parameters = &l->check[i],
                                      .bytes = sizeof l->check[i]};
  }
  if (rpi_device_loop_create(l->device, phase, desc->n, &l->graph) == RP_OK) return RP_OK;
  drop(l);
  l->refused = true;
  return rpi_device_status(
      l->device); /* what a lack of memory or of a function has spoilt: nothing */
}

rp_status rpi_loop_run(rpi_plan *plan, rpi_device *d, const rpi_loop_desc *desc, int64_t *ran) {
  int64_t left = desc->most;
  *ran = 0;
  rpi_loop *l = loop_of(plan, d);
  if (!l || l->refused) return rpi_device_status(d);
  if (!is_same(plan, l, desc)) RPI_TRY(make(plan, l, desc));
  if (!l->graph) return RP_OK;
  RPI_TRY(rpi_device_upload(d, l->left, &left, sizeof left));
  RPI_TRY(rpi_device_graph_launch(d, l->graph));
  RPI_TRY(rpi_device_download(d, &left, l->left, sizeof left));
  *ran = desc->most - left;
  if (*ran >= 1 && left >= 0) return RP_OK;
  return rpi_status_fail(RP_ERR_INTERNAL, "a loop on the GPU made %lld passes of at most %lld",
                         (long long)*ran, (long long)desc->most);
}
