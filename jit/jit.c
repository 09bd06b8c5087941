/* SPDX-License-Identifier: Apache-2.0
 * jit/jit.c -- the kernel table of a context.
 *
 * Lives here: kernels by canonical bytes, their keys, names, refusals.
 * Not here:   compiling (builder.c), the interpreter, the emitter, the disk: each has its file.
 * How:        a kernel runs in tier 0 from its birth. If the disk has it compiled it is loaded at
 *             once; else it joins the list of those asked for, which rpi_jit_start hands to the builder as
 *             one: so the kernels of a plan go through the compiler together.
 * Fork:       in a child process there is no thread and its state is unknown: kernels made there
 *             are interpreted, and nothing of the builder is touched. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "jit/jit.h"

#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "jit/finish.h"
#include "jit/gpu_source.h"
#include "jit/subtree.h"
#include "jit/jit_impl.h"

extern const char rpi_lanes_text[];

enum { EMIT_ABI = 20 }; /* changes with the text the emitter writes, or with core/exec/kernel.h */

typedef rpi_jit_record kernel;

struct rpi_jit {
  int32_t tier, vector;
  bool keep_source, cc_tried;
  char *cc_knob;
  rpi_cache *cache;     /* NULL in tier 0 */
  rpi_cc *cc;           /* NULL: none found, or not looked for yet */
  rpi_builder *builder; /* made with cc */
  rpi_gpu_kernels *gpu; /* NULL: no GPU */
  rpi_gpu_sources *sources;
  rpi_map table;
  kernel *all;
  kernel *asked, **asked_end; /* since the last start, oldest first */
  pid_t pid;
  int64_t kernels, memory_hits;
};

/* ---- create and destroy ---------------------------------------------------------------------- */

static rp_status choose_vector(int32_t knob, int32_t *out) {
  __builtin_cpu_init();
  const bool has2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has512 = has2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (!has2)
    return rpi_status_fail(RP_ERR_CONFIG, "this CPU lacks AVX2 and FMA, which every kernel uses");
  if (knob == RPI_VECTOR_AVX512 && !has512) {
    return rpi_status_fail(RP_ERR_CONFIG,
                           "vector: this CPU lacks avx512 (f, bw, dq and vl); it has avx2");
  }
  *out = knob == RPI_VECTOR_AUTO ? (has512 ? RPI_VECTOR_AVX512 : RPI_VECTOR_AVX2) : knob;
  return RP_OK;
}

rp_status rpi_jit_create(const rpi_config *config, rpi_device *device, rpi_jit **out) {
  int32_t vector = RPI_VECTOR_AVX2;
  *out = NULL;
  RPI_TRY(choose_vector(config->vector, &vector));
  rpi_jit *j = rpi_alloc_zero(sizeof *j);
  if (!j) return rpi_status_nomem("the jit");
  rp_status status = RP_OK;
  j->tier = config->tier;
  j->vector = vector;
  j->keep_source = config->keep_source;
  j->pid = getpid();
  rpi_map_init(&j->table);
  j->asked_end = &j->asked;
  j->cc_knob = rpi_alloc_string(config->cc ? config->cc : "");
  if (!j->cc_knob) status = rpi_status_nomem("the jit");
  if (status == RP_OK && (j->tier != RPI_TIER_0 || device)) {
    status = rpi_cache_create(config->cache_dir, config->cache_mb, &j->cache);
  }
  if (status == RP_OK && device) status = rpi_gpu_kernels_create(config, device, j->cache, &j->gpu);
  if (status == RP_OK && device)
    status = rpi_gpu_source_open(config, device, j->cache, &j->sources);
  if (status != RP_OK) {
    rpi_jit_destroy(j);
    return status;
  }
  *out = j;
  return RP_OK;
}

static bool forked(const rpi_jit *j) { return getpid() != j->pid; }

static void kernel_free(kernel *k) {
  if (!k) return;
  rpi_alloc_free(atomic_load(&k->refusal));
  rpi_interp_free(k->interp);
  rpi_strbuf_deinit(&k->bytes);
  rpi_ir_deinit(&k->ir);
  rpi_alloc_free(k);
}

void rpi_jit_destroy(rpi_jit *j) {
  if (!j) return;
  if (!forked(j)) {
    rpi_gpu_source_close(j->sources);
    rpi_gpu_kernels_free(j->gpu);
    rpi_builder_free(j->builder);
    rpi_cc_free(j->cc);
    rpi_cache_free(j->cache);
  } else {
    rpi_builder_forget(j->builder);
  }
  for (kernel *k = j->all, *next; k; k = next) {
    next = k->older;
    kernel_free(k);
  }
  rpi_map_deinit(&j->table);
  rpi_alloc_free(j->cc_knob);
  rpi_alloc_free(j);
}

/* ---- kernels --------------------------------------------------------------------------------- */

static void finish(const rpi_kernel *face, rpi_word *w) {
  const kernel *k = (const kernel *)face;
  rpi_finish_all(&k->ir, &k->layout, w);
}

static int64_t list(const rpi_kernel *face, const rpi_word *w, const int64_t *space,
                    const int64_t *origin, int64_t first, int64_t end, void *out) {
  const kernel *k = (const kernel *)face;
  return rpi_subtree_list(&k->ir, &k->layout, w, space, origin, first, end, out);
}

static int64_t deliver(const rpi_kernel *face, rpi_word *w, const void *from) {
  const kernel *k = (const kernel *)face;
  return rpi_subtree_deliver(&k->ir, &k->layout, w, from);
}

static void partials(const rpi_kernel *face, const rpi_word *w, const int64_t *space, int32_t r,
                     int64_t first, int64_t end, rpi_kernel_partials *out) {
  const kernel *k = (const kernel *)face;
  out->word = k->layout.partial + r;
  rpi_subtree_range(&k->ir, &k->layout, w, space, r, first, end, &out->at, &out->bytes);
}

static void widen(const rpi_kernel *face, rpi_word *w, const int64_t *space) {
  const kernel *k = (const kernel *)face;
  for (int32_t d = 0; d < k->ir.rank; d++) {
    w[k->layout.extent + d].i = space[d];
    w[k->layout.origin + d].i = 0;
  }
}

static const void *root(const rpi_kernel *face, int32_t r, const void **from,
                        rpi_kernel_partials *out) {
  const kernel *k = (const kernel *)face;
  *out = (rpi_kernel_partials){.word = k->layout.partial + r};
  return rpi_subtree_root(from, &out->bytes);
}

static rp_status find_compiler(rpi_jit *j) {
  static bool said;
  if (j->cc_tried) return RP_OK;
  if (!j->cc) RPI_TRY(rpi_cc_create(j->cc_knob, j->vector, &j->cc));
  if (!j->cc) {
    if (strcmp(j->cc_knob, "none") != 0)
      rpi_log_once(&said, "no C compiler (knob cc): kernels are interpreted");
    j->cc_tried = true;
    return RP_OK;
  }
  const rpi_builder_tools tools = {j->cache, j->cc, j->vector, j->keep_source};
  RPI_TRY(rpi_builder_create(&tools, &j->builder));
  j->cc_tried = true;
  return RP_OK;
}

/* Everything that decides what the object does goes into its key. */
static rp_status make_key(rpi_jit *j, kernel *k) {
  rpi_strbuf b;
  rpi_strbuf_init(&b);
  rpi_strbuf_addn(&b, rpi_strbuf_str(&k->bytes), k->bytes.len);
  rpi_strbuf_addf(&b, "|cpu|%d|glibc %s|%d|%s|%016llx", j->vector, gnu_get_libc_version(), EMIT_ABI,
                  j->cc ? rpi_cc_identity(j->cc) : "",
                  (unsigned long long)rpi_hash_bytes64(rpi_lanes_text, strlen(rpi_lanes_text)));
  const bool failed = b.failed;
  if (!failed) k->key = rpi_hash_bytes(b.text, b.len);
  rpi_strbuf_deinit(&b);
  rpi_hash_hex(k->key, k->hex);
  return failed ? rpi_status_nomem("a kernel's key") : RP_OK;
}

static kernel *lookup(rpi_jit *j, const rpi_strbuf *bytes, uint64_t hash) {
  int32_t it = -1;
  for (kernel *k = rpi_map_next(&j->table, hash, &it); k; k = rpi_map_next(&j->table, hash, &it)) {
    if (k->bytes.len == bytes->len && memcmp(k->bytes.text, bytes->text, bytes->len) == 0) return k;
  }
  return NULL;
}

void rpi_jit_refuse(rpi_jit_record *k, const char *why) {
  char *copy = rpi_alloc_string(why);
  if (copy) atomic_store(&k->refusal, copy);
}

/* Brings the kernel to tier 1, or among those that rpi_jit_start sends there. */
static void promote(rpi_jit *j, kernel *k) {
  if (j->tier == RPI_TIER_0) {
    rpi_jit_refuse(k, "tier 0 was asked for");
  } else if (forked(j)) {
    rpi_jit_refuse(k, "a forked child does not compile");
  } else if (!j->cc) {
    rpi_jit_refuse(k, "there is no C compiler");
  } else if (!rpi_builder_load(j->builder, k)) {
    *j->asked_end = k;
    j->asked_end = &k->next;
  }
}

void rpi_jit_start(rpi_jit *j) {
  kernel *list = j->asked;
  j->asked = NULL;
  j->asked_end = &j->asked;
  if (!list || forked(j)) return;
  if (j->tier == RPI_TIER_1)
    rpi_builder_build(j->builder, list);
  else
    rpi_builder_enqueue(j->builder, list);
}

static rp_status kernel_init(rpi_jit *j, kernel *k, const rpi_ir *ir, const char *name) {
  k->jit = j;
  RPI_TRY(rpi_ir_copy(ir, &k->ir));
  rpi_ir_layout_get(&k->ir, &k->layout);
  RPI_TRY(rpi_interp_create(&k->ir, j->vector, &k->interp));
  if (j->tier != RPI_TIER_0 && !forked(j)) RPI_TRY(find_compiler(j));
  RPI_TRY(make_key(j, k));
  snprintf(k->name, sizeof k->name, "%.80s_%.8s", name && *name ? name : "kernel", k->hex);
  k->face.name = k->name;
  k->face.n_words = k->layout.n_words;
  if (k->ir.n_red > 0) {
    k->face.finish = finish;
    k->face.list = list;
    k->face.deliver = deliver;
    k->face.partials = partials;
    k->face.widen = widen;
    k->face.root = root;
    k->face.n_red = k->ir.n_red;
    k->face.join = rpi_subtree_join;
  }
  atomic_store(&k->face.code, rpi_interp_code(k->interp));
  return RP_OK;
}

rp_status rpi_jit_kernel(rpi_jit *j, const rpi_ir *ir, const char *name, const rpi_kernel **out) {
  rpi_strbuf bytes;
  *out = NULL;
  rpi_strbuf_init(&bytes);
  rpi_ir_bytes(ir, &bytes);
  if (bytes.failed) {
    rpi_strbuf_deinit(&bytes);
    return rpi_status_nomem("a kernel's canonical bytes");
  }
  const uint64_t hash = rpi_hash_bytes64(bytes.text, bytes.len);
  kernel *k = lookup(j, &bytes, hash);
  if (k) {
    j->memory_hits++;
    rpi_strbuf_deinit(&bytes);
    *out = &k->face;
    return RP_OK;
  }
  k = rpi_alloc_zero(sizeof *k);
  if (!k) {
    rpi_strbuf_deinit(&bytes);
    return rpi_status_nomem("a kernel");
  }
  rpi_ir_init(&k->ir, ir->rank);
  k->bytes = bytes;
  rp_status status = kernel_init(j, k, ir, name);
  if (status == RP_OK && !rpi_map_add(&j->table, hash, k))
    status = rpi_status_nomem("the kernel table");
  if (status != RP_OK) {
    kernel_free(k);
    return status;
  }
  k->older = j->all;
  j->all = k;
  j->kernels++;
  promote(j, k);
  *out = &k->face;
  return RP_OK;
}

const rpi_ir *rpi_jit_ir(const rpi_kernel *k) { return &((const kernel *)k)->ir; }

rp_status rpi_jit_gpu(rpi_jit *j, const rpi_kernel *face, const rpi_cuda_shape *shape,
                      const rpi_kernel_gpu **out) {
  kernel *k = (kernel *)face;
  const char *why;
  RPI_TRY(rpi_gpu_kernels_get(j->gpu, &k->ir, k->bytes.text, k->bytes.len, shape, out, &why));
  if (why) k->gpu_refusal = why;
  return RP_OK;
}

int64_t rpi_jit_gpu_spills(const rpi_jit *j) { return rpi_gpu_kernels_spills(j->gpu); }
rp_status rpi_jit_gpu_take(rpi_jit *j) { return j->gpu ? rpi_gpu_kernels_take(j->gpu) : RP_OK; }

void rpi_jit_gpu_counts(const rpi_jit *j, rpi_gpu_counts *out) {
  *out = (rpi_gpu_counts){0};
  if (!j->gpu) return;
  rpi_gpu_kernels_counts(j->gpu, out);
  rpi_gpu_source_count(j->sources, out);
}

rp_status rpi_jit_gpu_source(rpi_jit *j, const char *text, const char *entry,
                             rpi_device_function *out) {
  return rpi_gpu_source_get(j->sources, text, entry, out);
}

CUfunction rpi_jit_gpu_check(rpi_jit *j, bool *never) {
  return rpi_gpu_kernels_check(j->gpu, never);
}

const char *rpi_jit_gpu_refusal(const rpi_kernel *face) {
  const char *why = ((const kernel *)face)->gpu_refusal;
  return why ? why : "";
}

void rpi_jit_wait(rpi_jit *j) {
  if (forked(j)) return;
  rpi_jit_start(j);
  if (j->builder) rpi_builder_wait(j->builder);
  if (j->gpu)
    (void)rpi_gpu_kernels_wait(j->gpu); /* a failure is the device's, and said by the next launch */
}

void rpi_jit_stats_get(const rpi_jit *j, rpi_jit_stats *out) {
  *out = (rpi_jit_stats){.kernels = j->kernels, .memory_hits = j->memory_hits};
  if (!j->builder) return;
  rpi_builder_counts *c = rpi_builder_counts_get(j->builder);
  out->disk_hits = atomic_load(&c->disk_hits);
  out->compiles = atomic_load(&c->compiles);
  out->compile_fails = atomic_load(&c->compile_fails);
  out->compile_ns = atomic_load(&c->compile_ns);
  out->pending = rpi_builder_pending(j->builder);
}

const char *rpi_jit_vector(const rpi_jit *j) {
  return j->vector == RPI_VECTOR_AVX512 ? "avx512" : "avx2";
}

const char *rpi_jit_refusal(const rpi_kernel *face) {
  const char *why = atomic_load(&((const kernel *)face)->refusal);
  return why ? why : "";
}
