/* SPDX-License-Identifier: Apache-2.0
 * core/exec/loop.c -- see loop.h. */
#include "core/exec/loop.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/log.h"
#include "core/exec/graph_nodes.h"

_Static_assert(sizeof(rpi_kernel_flag) == 4 * sizeof(uint32_t) &&
                   offsetof(rpi_kernel_flag, raised) == 0,
               "jit/cuda_check.h reads flags so");

struct rpi_loop {
  rpi_device *device;
  CUdeviceptr left;        /* memory of ours */
  bool refused;            /* the driver has */
  rpi_device_graph *graph; /* NULL: none yet; of */
  int32_t n, n_zero;
  CUfunction function; /* that decides, */
  rpi_loop_check check[RPI_DEVICE_PHASES];
  rpi_graph_nodes nodes[RPI_DEVICE_PHASES];
  rpi_word *words; /* of all phases */
  rpi_device_fill *zero;
};

static void drop(rpi_loop *l) {
  rpi_device_graph_free(l->device, l->graph);
  l->graph = NULL;
  for (int32_t i = 0; i < RPI_DEVICE_PHASES; i++) rpi_graph_nodes_free(&l->nodes[i]);
  rpi_alloc_free(l->words);
  rpi_alloc_free(l->zero);
  l->words = NULL;
  l->zero = NULL;
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

static rpi_loop_check check_of(const rpi_loop *l, const rpi_loop_desc *desc, int32_t phase) {
  return (rpi_loop_check){.go = desc->phase[phase].go,
                          .left = l->left,
                          .flags = desc->flags,
                          .bytes = desc->go_bytes,
                          .n_flag = desc->n_flag};
}

static bool is_same_phase(const rpi_plan *plan, const rpi_loop *l, const rpi_loop_desc *desc,
                          int32_t i) {
  const size_t bytes = sizeof *l->words * (size_t)plan->n_words;
  rpi_loop_check c = check_of(l, desc, i);
  memcpy(c.sets, l->check[i].sets, sizeof c.sets);
  return memcmp(&c, &l->check[i], sizeof c) == 0 &&
         memcmp(l->words + i * plan->n_words, desc->phase[i].words, bytes) == 0 &&
         rpi_graph_nodes_current(plan, 0, plan->n_step, &l->nodes[i]);
}

/* The graph at hand is this loop. */
static bool is_same(const rpi_plan *plan, const rpi_loop *l, const rpi_loop_desc *desc) {
  if (!l->graph || l->n != desc->n || l->function != desc->check || l->n_zero != desc->n_zero ||
      memcmp(l->zero, desc->zero, sizeof *l->zero * (size_t)l->n_zero) != 0)
    return false;
  for (int32_t i = 0; i < desc->n; i++)
    if (!is_same_phase(plan, l, desc, i)) return false;
  return true;
}

/* What the graph will be of; false: no memory. */
static bool describe(const rpi_plan *plan, rpi_loop *l, const rpi_loop_desc *desc) {
  const size_t bytes = sizeof *l->words * (size_t)plan->n_words;
  l->n = desc->n;
  l->n_zero = desc->n_zero;
  l->function = desc->check;
  l->words = rpi_alloc((bytes + 1) * (size_t)desc->n);
  l->zero = rpi_alloc(sizeof *l->zero * ((size_t)desc->n_zero + 1));
  if (!l->words || !l->zero) return false;
  memcpy(l->zero, desc->zero, sizeof *l->zero * (size_t)desc->n_zero);
  for (int32_t i = 0; i < desc->n; i++) {
    l->check[i] = check_of(l, desc, i);
    memcpy(l->words + i * plan->n_words, desc->phase[i].words, bytes);
    if (!rpi_graph_nodes_reserve(plan, 0, plan->n_step, &l->nodes[i])) return false;
    rpi_graph_nodes_fill(plan, desc->phase[i].words, 0, plan->n_step, &l->nodes[i]);
  }
  return true;
}

/* What functions queue in each phase. */
static rp_status record(rpi_plan *plan, rpi_loop *l, const rpi_loop_desc *desc,
                        rpi_opaque_device *d) {
  for (int32_t i = 0; i < l->n; i++)
    RPI_TRY(rpi_graph_nodes_record(plan, desc->phase[i].words, d, &l->nodes[i]));
  return RP_OK;
}

/* Without a graph afterwards: there is no memory, a function cannot be recorded, or the driver takes none. */
static void make(rpi_plan *plan, rpi_loop *l, const rpi_loop_desc *desc, rpi_opaque_device *d) {
  static bool said;
  rpi_device_phase phase[RPI_DEVICE_PHASES];
  drop(l);
  const bool described = describe(plan, l, desc);
  if (!described || record(plan, l, desc, d) != RP_OK) {
    for (int32_t i = 0; described && i < l->n; i++) rpi_graph_nodes_forget(d, &l->nodes[i]);
    drop(l);
    return;
  }
  for (int32_t i = 0; i < l->n; i++)
    phase[i] = (rpi_device_phase){.node = l->nodes[i].node,
                                  .n = l->nodes[i].n,
                                  .zero = l->zero,
                                  .n_zero = l->n_zero,
                                  .parameters = &l->check[i],
                                  .last = {.function = l->function,
                                           .grid = 1,
                                           .block = 1,
                                           .parameters = &l->check[i],
                                           .bytes = sizeof l->check[i]}};
  const rp_status st = rpi_device_loop_create(l->device, phase, l->n, &l->graph);
  for (int32_t i = 0; i < l->n; i++) rpi_graph_nodes_forget(d, &l->nodes[i]);
  if (st == RP_OK) return;
  rpi_log_once(&said, "loops do not stay on the GPU: %s", rpi_status_message());
  drop(l);
  l->refused = true;
}

rp_status rpi_loop_run(rpi_plan *plan, rpi_opaque_device *o, const rpi_loop_desc *desc,
                       int64_t *ran) {
  rpi_device *d = o->device;
  int64_t left = desc->most;
  *ran = 0;
  rpi_loop *l = loop_of(plan, d);
  if (!l || l->refused) return rpi_device_status(d);
  if (!is_same(plan, l, desc)) make(plan, l, desc, o);
  if (!l->graph) return rpi_device_status(d);
  RPI_TRY(rpi_device_upload(d, l->left, &left, sizeof left));
  RPI_TRY(rpi_device_graph_launch(d, l->graph));
  RPI_TRY(rpi_device_download(d, &left, l->left, sizeof left));
  *ran = desc->most - left;
  if (*ran >= 1 && left >= 0) return RP_OK;
  return rpi_status_fail(RP_ERR_INTERNAL, "a loop on the GPU made %lld passes of at most %lld",
                         (long long)*ran, (long long)desc->most);
}
