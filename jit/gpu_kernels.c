/* SPDX-License-Identifier: Apache-2.0
 * jit/gpu_kernels.c -- see gpu_kernels.h. */
#include "jit/gpu_kernels.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "jit/nvrtc.h"

enum { EMIT_CUDA_ABI = 1 }; /* changes with the text the emitter writes, or with its parameters */
enum { WAVES = 8 };         /* blocks for each place that the GPU has for one */

extern const char rpi_cuda_head_text[], rpi_cuda_frame_text[];

typedef struct record {
  rpi_kernel_gpu face; /* first: the public pointer is ours */
  rpi_kernel_gpu_code code;
  rpi_gpu_kernels *owner;
  const rpi_ir *ir;
  rpi_cuda_shape shape;
  rpi_cuda_form form;
  rpi_hash128 key;
  char hex[33];
  char *refusal; /* NULL: none */
  CUmodule module;
  rpi_device_function pro, main, fin;
  int32_t most; /* blocks that the GPU is given at once */
  CUdeviceptr uniforms;
  int64_t uniforms_bytes;
  struct record *next; /* of all */
} record;

struct rpi_gpu_kernels {
  rpi_device *device;
  rpi_cache *cache;
  const rpi_nvrtc *nvrtc;
  bool keep_source;
  uint64_t head; /* hash of what all texts begin with */
  rpi_map table;
  record *all;
  rpi_gpu_counts counts;
};

/* ---- launching ---- */

static int32_t launches(const rpi_kernel_gpu_code *c, const rpi_word *w, int64_t u0, int64_t u1,
                        rpi_kernel_launch *out) {
  const record *r = c->self;
  rpi_cuda_grid grid;
  int32_t n = 0;
  rpi_cuda_grid_get(r->ir, &r->form, w, u0, u1, r->most, &grid);
  if (grid.pro > 0) out[n++] = (rpi_kernel_launch){r->pro.function, grid.pro, 1};
  if (grid.main > 0) out[n++] = (rpi_kernel_launch){r->main.function, grid.main, RPI_CUDA_BLOCK};
  if (grid.fin > 0) out[n++] = (rpi_kernel_launch){r->fin.function, grid.fin, RPI_CUDA_BLOCK};
  return n;
}

static int32_t pack(const rpi_kernel_gpu_code *c, const rpi_word *w, int64_t u0, int64_t u1,
                    void *out) {
  const record *r = c->self;
  rpi_cuda_grid grid;
  rpi_cuda_grid_get(r->ir, &r->form, w, u0, u1, r->most, &grid);
  rpi_cuda_pack(r->ir, &r->form, w, u0, u1, grid.mode, r->uniforms, out);
  return r->form.bytes;
}

/* ---- from a cubin to code ---- */

static rp_status find_functions(rpi_gpu_kernels *g, record *r) {
  char name[64];
  snprintf(name, sizeof name, "rpk_main_%s", r->hex);
  RPI_TRY(rpi_device_function_get(g->device, r->module, name, &r->main));
  if (r->form.apart) {
    snprintf(name, sizeof name, "rpk_pro_%s", r->hex);
    RPI_TRY(rpi_device_function_get(g->device, r->module, name, &r->pro));
  }
  if (r->form.finishes) {
    snprintf(name, sizeof name, "rpk_fin_%s", r->hex);
    RPI_TRY(rpi_device_function_get(g->device, r->module, name, &r->fin));
  }
  return RP_OK;
}

static rp_status install(rpi_gpu_kernels *g, record *r, const void *image) {
  int32_t blocks = 1;
  RPI_TRY(rpi_device_module(g->device, image, &r->module));
  RPI_TRY(find_functions(g, r));
  RPI_TRY(rpi_device_occupancy(g->device, r->main.function, RPI_CUDA_BLOCK, &blocks));
  if (r->form.apart) {
    const int64_t bytes = 8 * (int64_t)r->ir->n_pro;
    RPI_TRY(rpi_device_get(g->device, bytes, &r->uniforms));
    r->uniforms_bytes = bytes;
  }
  r->most = rpi_device_facts_get(g->device)->multiprocessors * (blocks > 0 ? blocks : 1) * WAVES;
  r->code = (rpi_kernel_gpu_code){.launches = launches,
                                  .pack = pack,
                                  .self = r,
                                  .tier = 1,
                                  .registers = r->main.registers,
                                  .spills = 0};
  r->face.code = &r->code;
  g->counts.spills += r->main.local > 0;
  return RP_OK;
}

static rp_status compile(rpi_gpu_kernels *g, record *r, rpi_cubin *out) {
  const rpi_cuda_unit unit = {r->ir, r->hex, r->shape};
  const int32_t arch = rpi_device_facts_get(g->device)->arch;
  rpi_strbuf text;
  if (!g->nvrtc)
    return rpi_status_fail(RP_ERR_DEVICE, "a kernel for the GPU has no compiler (knob nvrtc)");
  rpi_strbuf_init(&text);
  rp_status st = rpi_emit_cuda(&unit, 1, &text);
  if (st == RP_OK) {
    const int64_t from = rpi_clock_ns();
    g->counts.compiles++;
    st = rpi_nvrtc_compile(g->nvrtc, rpi_strbuf_str(&text), arch, false, out);
    g->counts.compile_ns += rpi_clock_ns() - from;
    g->counts.compile_fails += st != RP_OK;
    if (g->keep_source && g->cache) rpi_cache_keep(g->cache, r->key, ".cu", rpi_strbuf_str(&text));
  }
  rpi_strbuf_deinit(&text);
  return st;
}

/* The disk's cubin, or a new one. */
static rp_status build(rpi_gpu_kernels *g, record *r) {
  rpi_cubin cubin = {0};
  if (g->cache && rpi_cache_read(g->cache, r->key, ".cubin", &cubin.image, &cubin.size)) {
    const rp_status st = install(g, r, cubin.image);
    rpi_cubin_deinit(&cubin);
    g->counts.disk_hits += st == RP_OK;
    return st;
  }
  rp_status st = compile(g, r, &cubin);
  if (st == RP_OK) {
    if (g->cache) rpi_cache_write(g->cache, r->key, ".cubin", cubin.image, cubin.size);
    st = install(g, r, cubin.image);
  }
  rpi_cubin_deinit(&cubin);
  return st;
}

/* ---- the table ---- */

static void record_free(rpi_gpu_kernels *g, record *r) {
  if (!r) return;
  if (r->module) rpi_device_module_unload(g->device, r->module);
  rpi_device_put(g->device, r->uniforms, r->uniforms_bytes);
  rpi_alloc_free(r->refusal);
  rpi_alloc_free(r);
}

rp_status rpi_gpu_kernels_create(const rpi_config *config, rpi_device *device, rpi_cache *cache,
                                 rpi_gpu_kernels **out) {
  *out = NULL;
  rpi_gpu_kernels *g = rpi_alloc_zero(sizeof *g);
  if (!g) return rpi_status_nomem("the kernels of a GPU");
  g->device = device;
  g->cache = cache;
  g->keep_source = config->keep_source;
  g->head = rpi_hash_bytes64(rpi_cuda_head_text, strlen(rpi_cuda_head_text)) +
            3 * rpi_hash_bytes64(rpi_cuda_frame_text, strlen(rpi_cuda_frame_text));
  rpi_map_init(&g->table);
  const bool none = config->nvrtc && strcmp(config->nvrtc, "none") == 0;
  rp_status st = none ? RP_OK : rpi_nvrtc_open(config->nvrtc, &g->nvrtc);
  if (st == RP_OK && g->nvrtc && !rpi_nvrtc_knows(g->nvrtc, rpi_device_facts_get(device)->arch))
    st = rpi_status_fail(RP_ERR_DEVICE, "%s does not compile for %s, which is sm_%d",
                         rpi_nvrtc_identity(g->nvrtc), rpi_device_facts_get(device)->name,
                         (int)rpi_device_facts_get(device)->arch);
  if (st != RP_OK) {
    rpi_gpu_kernels_free(g);
    return st;
  }
  *out = g;
  return RP_OK;
}

void rpi_gpu_kernels_free(rpi_gpu_kernels *g) {
  if (!g) return;
  (void)rpi_device_wait(g->device); /* what is queued still needs the modules */
  for (record *r = g->all, *next; r; r = next) {
    next = r->next;
    record_free(g, r);
  }
  rpi_map_deinit(&g->table);
  rpi_alloc_free(g);
}

static rp_status make_key(const rpi_gpu_kernels *g, const void *bytes, size_t n, record *r) {
  rpi_strbuf b;
  rpi_strbuf_init(&b);
  rpi_strbuf_addn(&b, bytes, n);
  rpi_strbuf_addf(&b, "|cuda|sm_%d|%s|%d|%d %llx|%016llx",
                  (int)rpi_device_facts_get(g->device)->arch,
                  g->nvrtc ? rpi_nvrtc_identity(g->nvrtc) : "", EMIT_CUDA_ABI, r->shape.wide,
                  (unsigned long long)r->shape.aligned, (unsigned long long)g->head);
  const bool failed = b.failed;
  if (!failed) r->key = rpi_hash_bytes(b.text, b.len);
  rpi_strbuf_deinit(&b);
  rpi_hash_hex(r->key, r->hex);
  return failed ? rpi_status_nomem("a kernel's key") : RP_OK;
}

static uint64_t hash_of(const rpi_ir *ir, const rpi_cuda_shape *shape) {
  return ((uint64_t)(uintptr_t)ir + shape->wide) * 0x9e3779b97f4a7c15u ^ shape->aligned;
}

static record *lookup(const rpi_gpu_kernels *g, const rpi_ir *ir, const rpi_cuda_shape *shape) {
  int32_t it = -1;
  for (record *r; (r = rpi_map_next(&g->table, hash_of(ir, shape), &it));)
    if (r->ir == ir && r->shape.wide == shape->wide && r->shape.aligned == shape->aligned) return r;
  return NULL;
}

static void refuse(record *r, const char *why) {
  static bool said;
  r->refusal = rpi_alloc_string(why);
  rpi_log_once(&said, "a kernel is not made for the GPU: %s", why);
}

static rp_status make(rpi_gpu_kernels *g, const rpi_ir *ir, const void *bytes, size_t n,
                      const rpi_cuda_shape *shape, record **out) {
  record *r = rpi_alloc_zero(sizeof *r);
  if (!r) return rpi_status_nomem("a kernel");
  r->owner = g;
  r->ir = ir;
  r->shape = *shape;
  rpi_cuda_form_get(ir, shape, &r->form);
  const int32_t most = rpi_device_facts_get(g->device)->parameter_most;
  const char *why = rpi_emit_cuda_refusal(
      ir, shape, most < RPI_KERNEL_PARAMETERS ? most : RPI_KERNEL_PARAMETERS);
  rp_status st = make_key(g, bytes, n, r);
  if (st == RP_OK && why) refuse(r, why);
  if (st == RP_OK && !why) st = build(g, r);
  if (st == RP_ERR_INTERNAL) { /* the compiler has not taken the text */
    refuse(r, rpi_status_message());
    st = RP_OK;
  }
  if (st == RP_OK && !rpi_map_add(&g->table, hash_of(ir, shape), r))
    st = rpi_status_nomem("the table of kernels");
  if (st != RP_OK) {
    record_free(g, r);
    return st;
  }
  g->counts.kernels++;
  r->next = g->all;
  g->all = r;
  *out = r;
  return RP_OK;
}

rp_status rpi_gpu_kernels_get(rpi_gpu_kernels *g, const rpi_ir *ir, const void *bytes, size_t n,
                              const rpi_cuda_shape *shape, const rpi_kernel_gpu **out,
                              const char **why) {
  record *r = lookup(g, ir, shape);
  *out = NULL;
  *why = NULL;
  if (!r) RPI_TRY(make(g, ir, bytes, n, shape, &r));
  *why = r->refusal;
  if (r->face.code) *out = &r->face;
  return RP_OK;
}

int64_t rpi_gpu_kernels_spills(const rpi_gpu_kernels *g) { return g->counts.spills; }

void rpi_gpu_kernels_counts(const rpi_gpu_kernels *g, rpi_gpu_counts *out) { *out = g->counts; }
