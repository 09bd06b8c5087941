/* SPDX-License-Identifier: Apache-2.0
 * jit/gpu_check.c -- see gpu_check.h. */
#include "jit/gpu_check.h"

#include "core/base/log.h"

extern const char rpi_cuda_head_text[], rpi_cuda_check_text[];

rp_status rpi_gpu_check_text(rpi_strbuf *out) {
  rpi_strbuf_add(out, "#line 1 \"lanes.h\"\n");
  rpi_strbuf_add(out, rpi_cuda_head_text);
  rpi_strbuf_add(out, "#line 1 \"cuda_check.h\"\n");
  rpi_strbuf_add(out, rpi_cuda_check_text);
  return out->failed ? rpi_status_nomem("the text of a loop's kernel") : RP_OK;
}

static rp_status text(const void *of, rpi_strbuf *out) {
  (void)of;
  return rpi_gpu_check_text(out);
}

void rpi_gpu_check_init(rpi_gpu_check *c, rpi_device *device, rpi_gpu_builder *builder) {
  *c = (rpi_gpu_check){.device = device, .builder = builder, .job.text = text};
}

void rpi_gpu_check_deinit(rpi_gpu_check *c) {
  if (c->module) rpi_device_module_unload(c->device, c->module);
  rpi_gpu_job_deinit(&c->job);
}

static bool make_key(rpi_gpu_check *c) {
  const rpi_nvrtc *nvrtc = rpi_gpu_builder_nvrtc(c->builder);
  rpi_strbuf b;
  rpi_strbuf_init(&b);
  (void)rpi_gpu_check_text(&b);
  rpi_strbuf_addf(&b, "|cuda|sm_%d|%s", (int)rpi_device_facts_get(c->device)->arch,
                  nvrtc ? rpi_nvrtc_identity(nvrtc) : "");
  const bool good = !b.failed;
  if (good) c->job.key = rpi_hash_bytes(b.text, b.len);
  rpi_strbuf_deinit(&b);
  return good;
}

static bool is_built(rpi_gpu_check *c, bool now) {
  if (c->asked) {
    if (now) rpi_gpu_builder_wait(c->builder);
    return atomic_load(&c->job.done);
  }
  if (!make_key(c)) return false;
  if (rpi_gpu_builder_read(c->builder, &c->job)) return true;
  if (!rpi_gpu_builder_nvrtc(c->builder)) {
    c->failed = true;
    return false;
  }
  if (!now) {
    c->asked = rpi_gpu_builder_add(c->builder, &c->job);
    return false;
  }
  (void)rpi_gpu_builder_build(c->builder, &c->job);
  return true;
}

/* NULL: it cannot be had, which is said. */
static CUfunction load(rpi_gpu_check *c) {
  static bool said;
  rp_status st = c->job.status;
  if (st == RP_OK) st = rpi_device_module(c->device, c->job.cubin.image, &c->module);
  if (st == RP_OK) st = rpi_device_function_get(c->device, c->module, "rpk_go_on", &c->function);
  if (st == RP_OK) return c->function.function;
  if (c->module) rpi_device_module_unload(c->device, c->module);
  c->module = NULL;
  c->failed = true; /* an older driver, say: the host decides, as it does anyway until now */
  rpi_log_once(&said, "loops do not stay on the GPU: %s",
               c->job.failure ? c->job.failure : rpi_status_message());
  return NULL;
}

CUfunction rpi_gpu_check_get(rpi_gpu_check *c, bool now, bool *never) {
  CUfunction f = c->module ? c->function.function : NULL;
  if (!f && !c->failed && is_built(c, now)) f = load(c);
  *never = c->failed;
  return f;
}
