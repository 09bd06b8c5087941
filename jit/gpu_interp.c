/* SPDX-License-Identifier: Apache-2.0
 * jit/gpu_interp.c -- see gpu_interp.h. */
#include "jit/gpu_interp.h"

#include <string.h>

#include "core/base/log.h"
#include "jit/cuda_step.h"
#include "jit/emit_interp.h"

enum { WAVES = 8 }; /* blocks for each place that the GPU has for one */

/* ---- the interpreter ---- */

static rp_status text(const void *of, rpi_strbuf *out) {
  (void)of;
  return rpi_emit_interp(out);
}

rp_status rpi_gpu_interp_init(rpi_gpu_interp *i, rpi_device *device, rpi_gpu_builder *builder) {
  const rpi_nvrtc *nvrtc = rpi_gpu_builder_nvrtc(builder);
  const int32_t arch = rpi_device_facts_get(device)->arch;
  rpi_strbuf b;
  *i = (rpi_gpu_interp){.device = device, .builder = builder, .job.text = text};
  rpi_strbuf_init(&b);
  rp_status st = rpi_emit_interp(&b);
  if (st == RP_OK) {
    rpi_strbuf_addf(&b, "|cuda|sm_%d|", (int)arch);
    i->job.key = i->job.also = rpi_hash_bytes(b.text, b.len);
    if (nvrtc) {
      rpi_strbuf_add(&b, rpi_nvrtc_identity(nvrtc));
      i->job.key = rpi_hash_bytes(b.text, b.len);
      i->job.twice = true;
    }
    if (b.failed) st = rpi_status_nomem("the interpreter's key");
  }
  rpi_strbuf_deinit(&b);
  return st;
}

void rpi_gpu_interp_deinit(rpi_gpu_interp *i) {
  if (i->module) rpi_device_module_unload(i->device, i->module);
  rpi_gpu_job_deinit(&i->job);
}

static rp_status load(rpi_gpu_interp *i) {
  int32_t blocks = 1;
  CUmodule module;
  RPI_TRY(rpi_device_module(i->device, i->job.cubin.image, &module));
  rp_status st = rpi_device_function_get(i->device, module, "rpk_interp", &i->function);
  if (st == RP_OK)
    st = rpi_device_occupancy(i->device, i->function.function, RPK_THREADS_UNITS, &blocks);
  if (st != RP_OK) {
    rpi_device_module_unload(i->device, module);
    return st;
  }
  rpi_cubin_deinit(&i->job.cubin);
  i->most = rpi_device_facts_get(i->device)->multiprocessors * (blocks > 0 ? blocks : 1) * WAVES;
  i->module = module;
  return RP_OK;
}

/* What became of the compile. */
static void note_failure(rpi_gpu_interp *i) {
  static bool said;
  i->failed = true;
  rpi_log_once(&said, "there is no interpreter on the GPU: %s",
               i->job.failure ? i->job.failure : "memory");
}

rp_status rpi_gpu_interp_ready(rpi_gpu_interp *i, bool *ready) {
  *ready = false;
  if (!i->module && !i->failed) {
    if (i->asked ? !atomic_load(&i->job.done) : !rpi_gpu_builder_read(i->builder, &i->job))
      return RP_OK;
    if (i->job.status == RP_OK)
      RPI_TRY(load(i));
    else
      note_failure(i);
  }
  *ready = i->module != NULL;
  return RP_OK;
}

void rpi_gpu_interp_ask(rpi_gpu_interp *i) {
  if (!i->asked && !i->failed && !i->module) i->asked = rpi_gpu_builder_add(i->builder, &i->job);
}

rp_status rpi_gpu_interp_get(rpi_gpu_interp *i) {
  bool ready;
  if (i->asked) rpi_gpu_builder_wait(i->builder);
  RPI_TRY(rpi_gpu_interp_ready(i, &ready));
  if (ready) return RP_OK;
  if (i->failed)
    return rpi_status_fail(RP_ERR_DEVICE, "there is no interpreter on the GPU: %s",
                           i->job.failure ? i->job.failure : "memory");
  if (!rpi_gpu_builder_nvrtc(i->builder))
    return rpi_status_fail(RP_ERR_DEVICE,
                           "kernels on the GPU have no compiler (knob nvrtc), and the cache has no "
                           "interpreter for sm_%d, which a process with a compiler leaves there",
                           (int)rpi_device_facts_get(i->device)->arch);
  if (rpi_gpu_builder_build(i->builder, &i->job) != RP_OK) {
    i->failed = true;
    return i->job.status;
  }
  return load(i);
}

/* ---- a kernel's program ---- */

static int32_t launches(const rpi_kernel_gpu_code *c, const rpi_word *w, int64_t u0, int64_t u1,
                        rpi_kernel_part part, rpi_kernel_launch *out) {
  const rpi_gpu_program *p = c->self;
  CUfunction f = p->interp->function.function;
  rpi_cuda_grid grid;
  int32_t n = 0;
  rpi_cuda_program_grid(&p->program, w, u0, u1, part, p->interp->most, &grid);
  if (grid.pro > 0) out[n++] = (rpi_kernel_launch){f, grid.pro, RPK_THREADS_PRO};
  if (grid.main > 0) out[n++] = (rpi_kernel_launch){f, grid.main, RPK_THREADS_UNITS};
  if (grid.fin > 0) out[n++] = (rpi_kernel_launch){f, grid.fin, RPK_THREADS_FIN};
  return n;
}

static int32_t pack(const rpi_kernel_gpu_code *c, const rpi_word *w, int64_t u0, int64_t u1,
                    rpi_kernel_part part, void *out) {
  const rpi_gpu_program *p = c->self;
  rpi_cuda_grid grid;
  rpi_cuda_program_grid(&p->program, w, u0, u1, part, p->interp->most, &grid);
  return rpi_cuda_program_pack(&p->program, w, u0, u1, grid.mode, p->image, out);
}

rp_status rpi_gpu_program_install(rpi_gpu_program *p, const rpi_gpu_interp *i) {
  p->interp = i;
  RPI_TRY(rpi_device_get(i->device, p->program.bytes, &p->image));
  RPI_TRY(rpi_device_upload(i->device, p->image, p->program.image, p->program.bytes));
  p->code = (rpi_kernel_gpu_code){
      .launches = launches, .pack = pack, .self = p, .tier = 0, .registers = i->function.registers};
  return RP_OK;
}

void rpi_gpu_program_deinit(rpi_gpu_program *p) {
  if (p->image) rpi_device_put(p->interp->device, p->image, p->program.bytes);
  rpi_cuda_program_deinit(&p->program);
}
