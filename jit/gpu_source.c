/* SPDX-License-Identifier: Apache-2.0
 * jit/gpu_source.c -- see gpu_source.h. */
#include "jit/gpu_source.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "jit/nvrtc.h"

enum { SOURCE_ABI = 1 }; /* changes with the compiler's options */

typedef struct source {
  rpi_hash128 key;
  char *text;
  CUmodule module;
  struct source *next;
} source;

struct rpi_gpu_sources {
  rpi_device *device;
  rpi_cache *cache;
  char *compiler; /* the knob */
  bool keep_source;
  const rpi_nvrtc *nvrtc; /* NULL: not looked for yet, or none */
  source *all;
  rpi_gpu_counts counts;
};

rp_status rpi_gpu_source_open(const rpi_config *config, rpi_device *device, rpi_cache *cache,
                              rpi_gpu_sources **out) {
  *out = NULL;
  rpi_gpu_sources *s = rpi_alloc_zero(sizeof *s);
  if (s) s->compiler = rpi_alloc_string(config->nvrtc ? config->nvrtc : "");
  if (!s || !s->compiler) {
    rpi_alloc_free(s);
    return rpi_status_nomem("the texts of a GPU");
  }
  s->device = device;
  s->cache = cache;
  s->keep_source = config->keep_source;
  *out = s;
  return RP_OK;
}

static void source_free(rpi_gpu_sources *s, source *x) {
  if (x->module) rpi_device_module_unload(s->device, x->module);
  rpi_alloc_free(x->text);
  rpi_alloc_free(x);
}

void rpi_gpu_source_close(rpi_gpu_sources *s) {
  if (!s) return;
  if (s->all) (void)rpi_device_wait(s->device); /* what is queued still needs the modules */
  for (source *x = s->all, *next; x; x = next) {
    next = x->next;
    source_free(s, x);
  }
  rpi_alloc_free(s->compiler);
  rpi_alloc_free(s);
}

/* ---- from a text to a module ---- */

static bool has_compiler(const rpi_gpu_sources *s) { return strcmp(s->compiler, "none") != 0; }

static rp_status make_key(const rpi_gpu_sources *s, const char *text, rpi_hash128 *out) {
  rpi_strbuf b;
  rpi_strbuf_init(&b);
  rpi_strbuf_addf(&b, "text|sm_%d|%s|%d|", (int)rpi_device_facts_get(s->device)->arch,
                  s->nvrtc ? rpi_nvrtc_identity(s->nvrtc) : "", SOURCE_ABI);
  rpi_strbuf_add(&b, text);
  const bool failed = b.failed;
  if (!failed) *out = rpi_hash_bytes(b.text, b.len);
  rpi_strbuf_deinit(&b);
  return failed ? rpi_status_nomem("a text's key") : RP_OK;
}

static rp_status compile(rpi_gpu_sources *s, const source *x, rpi_cubin *out) {
  if (!s->nvrtc)
    return rpi_status_fail(RP_ERR_DEVICE, "a text for the GPU has no compiler (knob nvrtc)");
  const int64_t from = rpi_clock_ns();
  s->counts.compiles++;
  if (s->keep_source && s->cache) rpi_cache_keep(s->cache, x->key, ".cu", x->text);
  const rp_status st =
      rpi_nvrtc_compile(s->nvrtc, x->text, rpi_device_facts_get(s->device)->arch, false, out);
  s->counts.compile_ns += rpi_clock_ns() - from;
  s->counts.compile_fails += st != RP_OK;
  return st == RP_ERR_INTERNAL ? RP_ERR_BODY : st; /* the sentence has the compiler's words */
}

static rp_status load(rpi_gpu_sources *s, source *x) {
  rpi_cubin cubin = {0};
  const bool known =
      s->cache && rpi_cache_read(s->cache, x->key, ".cubin", &cubin.image, &cubin.size);
  rp_status st = known ? RP_OK : compile(s, x, &cubin);
  if (st == RP_OK && !known && s->cache)
    rpi_cache_write(s->cache, x->key, ".cubin", cubin.image, cubin.size);
  if (st == RP_OK) st = rpi_device_module(s->device, cubin.image, &x->module);
  s->counts.disk_hits += known && st == RP_OK;
  rpi_cubin_deinit(&cubin);
  return st;
}

static rp_status make(rpi_gpu_sources *s, rpi_hash128 key, const char *text, source **out) {
  source *x = rpi_alloc_zero(sizeof *x);
  if (!x) return rpi_status_nomem("a text of a GPU");
  x->key = key;
  x->text = rpi_alloc_string(text);
  const rp_status st = x->text ? load(s, x) : rpi_status_nomem("a text of a GPU");
  if (st != RP_OK) {
    source_free(s, x);
    return st;
  }
  s->counts.kernels++;
  x->next = s->all;
  s->all = *out = x;
  return RP_OK;
}

rp_status rpi_gpu_source_get(rpi_gpu_sources *s, const char *text, const char *entry,
                             rpi_device_function *out) {
  rpi_hash128 key;
  source *x = s->all;
  if (!s->nvrtc && has_compiler(s))
    RPI_TRY(rpi_nvrtc_open_for(s->compiler, rpi_device_facts_get(s->device)->driver, &s->nvrtc));
  RPI_TRY(make_key(s, text, &key));
  while (x && strcmp(x->text, text) != 0) x = x->next;
  if (!x) RPI_TRY(make(s, key, text, &x));
  const rp_status st = rpi_device_function_get(s->device, x->module, entry, out);
  if (st != RP_ERR_DEVICE || rpi_device_status(s->device) != RP_OK) return st;
  return rpi_status_context(RP_ERR_BODY, "the text has no kernel %s that is extern \"C\"", entry);
}

void rpi_gpu_source_count(const rpi_gpu_sources *s, rpi_gpu_counts *counts) {
  counts->kernels += s->counts.kernels;
  counts->disk_hits += s->counts.disk_hits;
  counts->compiles += s->counts.compiles;
  counts->compile_fails += s->counts.compile_fails;
  counts->compile_ns += s->counts.compile_ns;
}
