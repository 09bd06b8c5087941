/* SPDX-License-Identifier: Apache-2.0
 * jit/gpu_kernels.c -- see gpu_kernels.h. */
#include "jit/gpu_kernels.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "jit/gpu_builder.h"
#include "jit/gpu_check.h"
#include "jit/gpu_interp.h"

enum { EMIT_CUDA_ABI = 11 }; /* changes with the text the emitter writes, or with its parameters */
enum { WAVES = 8 };          /* blocks for each place that the GPU has for one */

extern const char rpi_cuda_head_text[], rpi_cuda_frame_text[], rpi_cuda_board_text[];

typedef struct record {
  rpi_kernel_gpu face; /* first: the public pointer is ours */
  rpi_kernel_gpu_code code;
  const rpi_ir *ir;
  rpi_cuda_shape shape;
  rpi_cuda_form form;
  rpi_gpu_job job;
  bool waiting;            /* the job is the thread's */
  rpi_gpu_program program; /* tier 0 */
  char hex[33];
  char entry[48]; /* rpk_main_HEX */
  char *refusal;  /* NULL: none */
  CUmodule module;
  rpi_device_function pro, main, fin;
  int32_t most;        /* blocks that the GPU is given at once */
  struct record *next; /* of all */
} record;

struct rpi_gpu_kernels {
  rpi_device *device;
  rpi_cache *cache;
  rpi_gpu_builder *builder;
  rpi_gpu_interp interp;
  rpi_gpu_check check;
  int32_t tier;
  int64_t taken; /* of the builder's finished jobs */
  uint64_t head; /* hash of what all texts begin with */
  rpi_map table;
  record *all;
  rpi_gpu_counts counts;
};

/* ---- launching ---- */

static int32_t launches(const rpi_kernel_gpu_code *c, const rpi_word *w, int64_t u0, int64_t u1,
                        rpi_kernel_part part, rpi_kernel_launch *out) {
  const record *r = c->self;
  rpi_cuda_grid grid;
  int32_t n = 0;
  rpi_cuda_grid_get(r->ir, &r->form, w, u0, u1, part, r->most, &grid);
  if (grid.pro > 0) out[n++] = (rpi_kernel_launch){r->pro.function, grid.pro, 1};
  if (grid.main > 0) out[n++] = (rpi_kernel_launch){r->main.function, grid.main, RPI_CUDA_BLOCK};
  if (grid.fin > 0) out[n++] = (rpi_kernel_launch){r->fin.function, grid.fin, RPI_CUDA_BLOCK};
  return n;
}

static int32_t pack(const rpi_kernel_gpu_code *c, const rpi_word *w, int64_t u0, int64_t u1,
                    rpi_kernel_part part, void *out) {
  const record *r = c->self;
  rpi_cuda_grid grid;
  rpi_cuda_grid_get(r->ir, &r->form, w, u0, u1, part, r->most, &grid);
  return rpi_cuda_pack(r->ir, w, u0, u1, grid.mode, out);
}

/* ---- from a cubin to code ---- */

static rp_status find_functions(rpi_gpu_kernels *g, record *r) {
  char name[64];
  RPI_TRY(rpi_device_function_get(g->device, r->module, r->entry, &r->main));
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
  r->most = rpi_device_facts_get(g->device)->multiprocessors * (blocks > 0 ? blocks : 1) * WAVES;
  r->code = (rpi_kernel_gpu_code){.launches = launches,
                                  .pack = pack,
                                  .self = r,
                                  .tier = 1,
                                  .registers = r->main.registers,
                                  .spills = r->job.spills};
  r->face.code = &r->code;
  g->counts.spills += r->job.spills > 0;
  return RP_OK;
}

/* ---- tiers ---- */

static rp_status text(const void *of, rpi_strbuf *out) {
  const record *r = of;
  const rpi_cuda_unit unit = {r->ir, r->hex, r->shape};
  return rpi_emit_cuda(&unit, 1, out);
}

static void refuse(record *r, const char *why) {
  static bool said;
  r->refusal = rpi_alloc_string(why);
  rpi_log_once(&said, "a kernel is not made for the GPU: %s", why);
}

static void count(rpi_gpu_kernels *g, const rpi_gpu_job *job) {
  g->counts.disk_hits += !job->compiled && job->status == RP_OK;
  g->counts.compiles += job->compiled;
  g->counts.compile_fails += job->compiled && job->status != RP_OK;
  g->counts.compile_ns += job->ns;
}

/* The job is done: tier 1 is there, or the kernel stays what it is. */
static rp_status take(rpi_gpu_kernels *g, record *r) {
  static bool said;
  count(g, &r->job);
  rp_status st = r->job.status == RP_OK ? install(g, r, r->job.cubin.image) : RP_OK;
  if (r->job.status == RP_ERR_INTERNAL && !r->face.code) /* the compiler has not taken the text */
    refuse(r, r->job.failure ? r->job.failure : "the compiler fails");
  else if (r->job.status != RP_OK && !r->face.code)
    st = rpi_status_fail(r->job.status, "%s", r->job.failure ? r->job.failure : "no memory");
  else if (r->job.status != RP_OK)
    rpi_log_once(&said, "kernels stay interpreted on the GPU: %s",
                 r->job.failure ? r->job.failure : "no memory");
  rpi_gpu_job_deinit(&r->job);
  return st;
}

static rp_status build(rpi_gpu_kernels *g, record *r) {
  (void)rpi_gpu_builder_build(g->builder, &r->job);
  return take(g, r);
}

static rp_status interpret(rpi_gpu_kernels *g, record *r) {
  RPI_TRY(rpi_gpu_program_install(&r->program, &g->interp));
  r->face.code = &r->program.code;
  g->counts.interpreted++;
  return RP_OK;
}

/* Tier 0 now and tier 1 later, unless there is no interpreter yet: `why` it has no program, or NULL. */
static rp_status start(rpi_gpu_kernels *g, record *r, const char *why) {
  bool ready = false;
  if (!why) RPI_TRY(rpi_gpu_interp_ready(&g->interp, &ready));
  if (!ready && !rpi_gpu_builder_nvrtc(g->builder)) {
    if (!why) return rpi_gpu_interp_get(&g->interp);
    refuse(r, why);
    return RP_OK;
  }
  if (!ready) {
    RPI_TRY(build(g, r));
    rpi_gpu_interp_ask(&g->interp);
    return RP_OK;
  }
  RPI_TRY(interpret(g, r));
  r->waiting = rpi_gpu_builder_add(g->builder, &r->job);
  return RP_OK;
}

/* The kernel's first code; why_1: a sentence why it has no text. */
static rp_status begin(rpi_gpu_kernels *g, record *r, const char *why_1) {
  const char *why_0 = NULL;
  if (g->tier != RPI_TIER_0 && !why_1 && rpi_gpu_builder_read(g->builder, &r->job))
    return take(g, r);
  if (g->tier != RPI_TIER_1) RPI_TRY(rpi_cuda_program_make(r->ir, &r->program.program, &why_0));
  if (g->tier == RPI_TIER_0 && !why_0) {
    RPI_TRY(rpi_gpu_interp_get(&g->interp));
    return interpret(g, r);
  }
  const char *why = g->tier == RPI_TIER_0 ? why_0 : why_1;
  if (why) {
    refuse(r, why);
    return RP_OK;
  }
  return g->tier == RPI_TIER_1 ? build(g, r) : start(g, r, why_0);
}

rp_status rpi_gpu_kernels_take(rpi_gpu_kernels *g) {
  const int64_t finished = rpi_gpu_builder_finished(g->builder);
  if (finished == g->taken) return RP_OK;
  for (record *r = g->all; r; r = r->next) {
    if (!r->waiting || !atomic_load(&r->job.done)) continue;
    r->waiting = false;
    RPI_TRY(take(g, r));
  }
  g->taken = finished; /* after an error the others are looked at again */
  return RP_OK;
}

rp_status rpi_gpu_kernels_wait(rpi_gpu_kernels *g) {
  rpi_gpu_builder_wait(g->builder);
  return rpi_gpu_kernels_take(g);
}

/* ---- the table ---- */

static void record_free(rpi_gpu_kernels *g, record *r) {
  if (!r) return;
  if (r->module) rpi_device_module_unload(g->device, r->module);
  rpi_gpu_program_deinit(&r->program);
  rpi_gpu_job_deinit(&r->job);
  rpi_alloc_free(r->refusal);
  rpi_alloc_free(r);
}

/* The compiler, or without one the interpreter that another process has left on the disk. */
static rp_status open_compiler(const rpi_config *config, rpi_gpu_kernels *g) {
  const rpi_device_facts *facts = rpi_device_facts_get(g->device);
  const rpi_nvrtc *nvrtc = NULL;
  const bool none = config->nvrtc && strcmp(config->nvrtc, "none") == 0;
  char *missing = NULL;
  bool ready = false;
  rp_status st = none ? RP_OK : rpi_nvrtc_open_for(config->nvrtc, facts->driver, &nvrtc);
  if (st == RP_OK && nvrtc && !rpi_nvrtc_knows(nvrtc, facts->arch)) {
    st = rpi_status_fail(RP_ERR_DEVICE, "%s does not compile for %s, which is sm_%d",
                         rpi_nvrtc_identity(nvrtc), facts->name, (int)facts->arch);
    nvrtc = NULL;
  }
  if (st != RP_OK && (g->tier == RPI_TIER_1 || st != RP_ERR_DEVICE)) return st;
  if (st != RP_OK) missing = rpi_alloc_string(rpi_status_message());
  const rp_status without = st;
  st = rpi_gpu_builder_create(nvrtc, g->cache, facts->arch, config->keep_source, &g->builder);
  if (st == RP_OK) st = rpi_gpu_interp_init(&g->interp, g->device, g->builder);
  if (st == RP_OK) rpi_gpu_check_init(&g->check, g->device, g->builder);
  if (st == RP_OK && without != RP_OK) st = rpi_gpu_interp_ready(&g->interp, &ready);
  if (st == RP_OK && without != RP_OK && !ready)
    st = rpi_status_fail(without, "%s", missing ? missing : "no run-time compiler of NVIDIA");
  rpi_alloc_free(missing);
  return st;
}

rp_status rpi_gpu_kernels_create(const rpi_config *config, rpi_device *device, rpi_cache *cache,
                                 rpi_gpu_kernels **out) {
  *out = NULL;
  rpi_gpu_kernels *g = rpi_alloc_zero(sizeof *g);
  if (!g) return rpi_status_nomem("the kernels of a GPU");
  g->device = device;
  g->cache = cache;
  g->tier = config->tier;
  g->head = rpi_hash_bytes64(rpi_cuda_head_text, strlen(rpi_cuda_head_text)) +
            3 * rpi_hash_bytes64(rpi_cuda_frame_text, strlen(rpi_cuda_frame_text)) +
            5 * rpi_hash_bytes64(rpi_cuda_board_text, strlen(rpi_cuda_board_text));
  rpi_map_init(&g->table);
  const rp_status st = open_compiler(config, g);
  if (st != RP_OK) {
    rpi_gpu_kernels_free(g);
    return st;
  }
  *out = g;
  return RP_OK;
}

void rpi_gpu_kernels_free(rpi_gpu_kernels *g) {
  if (!g) return;
  rpi_gpu_builder_free(g->builder); /* first: its jobs are in records */
  (void)rpi_device_wait(g->device); /* what is queued still needs the modules */
  for (record *r = g->all, *next; r; r = next) {
    next = r->next;
    record_free(g, r);
  }
  rpi_gpu_interp_deinit(&g->interp);
  rpi_gpu_check_deinit(&g->check);
  rpi_map_deinit(&g->table);
  rpi_alloc_free(g);
}

static rp_status make_key(const rpi_gpu_kernels *g, const void *bytes, size_t n, record *r) {
  const rpi_nvrtc *nvrtc = rpi_gpu_builder_nvrtc(g->builder);
  rpi_strbuf b;
  rpi_strbuf_init(&b);
  rpi_strbuf_addn(&b, bytes, n);
  rpi_strbuf_addf(&b, "|cuda|sm_%d|%s|%d|%d %llx|%016llx",
                  (int)rpi_device_facts_get(g->device)->arch,
                  nvrtc ? rpi_nvrtc_identity(nvrtc) : "", EMIT_CUDA_ABI, r->shape.wide,
                  (unsigned long long)r->shape.aligned, (unsigned long long)g->head);
  const bool failed = b.failed;
  if (!failed) r->job.key = rpi_hash_bytes(b.text, b.len);
  rpi_strbuf_deinit(&b);
  rpi_hash_hex(r->job.key, r->hex);
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

static rp_status make(rpi_gpu_kernels *g, const rpi_ir *ir, const void *bytes, size_t n,
                      const rpi_cuda_shape *shape, record **out) {
  record *r = rpi_alloc_zero(sizeof *r);
  if (!r) return rpi_status_nomem("a kernel");
  r->ir = ir;
  r->shape = *shape;
  rpi_cuda_form_get(ir, shape, &r->form);
  const int32_t most = rpi_device_facts_get(g->device)->parameter_most;
  const char *why =
      rpi_emit_cuda_refusal(ir, shape, most < RPI_KERNEL_PARAMETERS ? most : RPI_KERNEL_PARAMETERS);
  rp_status st = make_key(g, bytes, n, r);
  r->job.text = text;
  r->job.of = r;
  snprintf(r->entry, sizeof r->entry, "rpk_main_%s", r->hex);
  r->job.entry = r->entry;
  if (st == RP_OK && !rpi_map_add(&g->table, hash_of(ir, shape), r))
    st = rpi_status_nomem("the table of kernels");
  if (st == RP_OK && (st = begin(g, r, why)) != RP_OK) /* then the thread has not got it */
    rpi_map_remove(&g->table, hash_of(ir, shape), r);
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

const rpi_cuda_shape *rpi_gpu_kernels_shape(const rpi_kernel_gpu *k) {
  return &((const record *)k)->shape;
}

int64_t rpi_gpu_kernels_spills(const rpi_gpu_kernels *g) { return g->counts.spills; }

void rpi_gpu_kernels_counts(const rpi_gpu_kernels *g, rpi_gpu_counts *out) { *out = g->counts; }

CUfunction rpi_gpu_kernels_check(rpi_gpu_kernels *g, bool *never) {
  return rpi_gpu_check_get(&g->check, g->tier != RPI_TIER_AUTO, never);
}
