/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_work.c -- one piece of work, of whatever kind: counted, run, copied, forgotten.
 *
 * Lives here: what queues and graphs have in common.
 * Not here:   when work runs (emu_stream.c, emu_graph.c). */
#include <stdlib.h>
#include <string.h>

#include "tests/emulator/emu_inside.h"

static const char *const names[] = {"empty",  "get",  "put",  "copy",  "fill",     "kernel",
                                    "record", "wait", "step", "graph", "condition"};

void emu_work_count(const emu_work *w) {
  if (w->kind == EMU_WORK_KERNEL) emu_counted.kernels++;
  if (w->kind == EMU_WORK_FILL) emu_counted.fills++;
  if (w->kind == EMU_WORK_GRAPH) emu_graph_count(w->u.graph);
  if (w->kind != EMU_WORK_COPY) return;
  const emu_copy *c = &w->u.copy;
  const int64_t bytes = (int64_t)(c->width * c->height * c->depth);
  const bool up = !c->from.memory, down = !c->to.memory;
  *(up ? &emu_counted.uploads : down ? &emu_counted.downloads : &emu_counted.copies) += 1;
  *(up     ? &emu_counted.upload_bytes
    : down ? &emu_counted.download_bytes
           : &emu_counted.copy_bytes) += bytes;
}

static void run_kernel(const emu_kernel *k, emu_device *device) {
  const CUresult fault = emu_faults_kernel();
  if (fault) {
    device->sticky = fault;
    return;
  }
  emu_handle_check(k->function, EMU_FUNCTION);
  emu_log("  kernel %s, grid %u, block %u", k->function->fact->name, k->grid, k->block);
  emu_condition_kernel();
  emu_fixed_begin();
  emu_block_run(k);
  emu_fixed_check(k->function->fact->name);
  emu_memory_check(k->function->fact->name);
}

bool emu_work_run(emu_work *w, emu_device *device) {
  if (device->sticky) return true; /* nothing runs in a failed context */
  emu_log("  runs: %s of call %lld", names[w->kind], (long long)w->call);
  switch (w->kind) {
    case EMU_WORK_GET: emu_memory_ready(w->u.memory); break;
    case EMU_WORK_PUT:
      if (!w->u.memory->ready)
        emu_die("the block of call %lld is freed before its allocation has run in its stream",
                (long long)w->u.memory->call);
      emu_memory_gone(w->u.memory);
      break;
    case EMU_WORK_COPY: emu_copy_run(&w->u.copy); break;
    case EMU_WORK_FILL: emu_fill_run(&w->u.fill); break;
    case EMU_WORK_KERNEL: run_kernel(&w->u.kernel, device); break;
    case EMU_WORK_WAIT: return emu_stream_run(w->u.wait.stream, w->u.wait.end);
    case EMU_WORK_STEP: return w->u.step.run(w->u.step.arg);
    case EMU_WORK_GRAPH: emu_graph_run(w->u.graph, device); break;
    case EMU_WORK_CONDITION: emu_condition_run(w, device); break;
    case EMU_WORK_EMPTY:
    case EMU_WORK_RECORD: break;
  }
  return true;
}

void emu_work_deinit(emu_work *w) {
  if (w->kind == EMU_WORK_COPY) free(w->u.copy.kept);
  if (w->kind == EMU_WORK_KERNEL) free(w->u.kernel.parameters);
  if (w->kind == EMU_WORK_GRAPH) emu_graph_forget(w->u.graph);
  if (w->kind == EMU_WORK_CONDITION && w->u.condition.body) emu_graph_forget(w->u.condition.body);
}

void emu_work_copy(emu_work *to, const emu_work *from) {
  *to = *from;
  if (from->kind == EMU_WORK_CONDITION && from->u.condition.body)
    emu_graph_hold(from->u.condition.body);
  if (from->kind == EMU_WORK_GRAPH) emu_graph_hold(from->u.graph);
  if (from->kind != EMU_WORK_KERNEL) return;
  const size_t bytes = from->u.kernel.function->fact->bytes;
  to->u.kernel.parameters = emu_get(bytes);
  memcpy(to->u.kernel.parameters, from->u.kernel.parameters, bytes);
}
