/* SPDX-License-Identifier: Apache-2.0
 * jit/gpu_builder.c -- see gpu_builder.h. */
#include "jit/gpu_builder.h"

#include <stddef.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "jit/idle_thread.h"

struct rpi_gpu_builder {
  const rpi_nvrtc *nvrtc;
  rpi_cache *cache;
  int32_t arch;
  bool keep_source;
  rpi_idle_thread thread;
  _Atomic int64_t finished;
};

static void *work(void *arg, void *list, int32_t *done);

rp_status rpi_gpu_builder_create(const rpi_nvrtc *nvrtc, rpi_cache *cache, int32_t arch,
                                 bool keep_source, rpi_gpu_builder **out) {
  rpi_gpu_builder *b = rpi_alloc_zero(sizeof *b);
  *out = b;
  if (!b) return rpi_status_nomem("the builder of kernels for a GPU");
  b->nvrtc = nvrtc;
  b->cache = cache;
  b->arch = arch;
  b->keep_source = keep_source;
  rpi_idle_init(&b->thread, work, b, offsetof(rpi_gpu_job, next));
  return RP_OK;
}

void rpi_gpu_builder_free(rpi_gpu_builder *b) {
  if (!b) return;
  rpi_idle_deinit(&b->thread);
  rpi_alloc_free(b);
}

const rpi_nvrtc *rpi_gpu_builder_nvrtc(const rpi_gpu_builder *b) { return b->nvrtc; }
int64_t rpi_gpu_builder_finished(rpi_gpu_builder *b) { return atomic_load(&b->finished); }
void rpi_gpu_builder_wait(rpi_gpu_builder *b) { rpi_idle_wait(&b->thread, NULL); }

void rpi_gpu_job_deinit(rpi_gpu_job *job) {
  rpi_cubin_deinit(&job->cubin);
  rpi_alloc_free(job->failure);
  job->failure = NULL;
}

/* ---- one job ---- */

/* The compiler's word on spills goes behind the cubin, which knows its own length: the disk keeps both. */
static rp_status note_spills(rpi_gpu_job *job) {
  rpi_nvrtc_usage u;
  if (job->cubin.log && rpi_nvrtc_usage_get(job->cubin.log, job->entry, &u))
    job->spills = u.spill_stores + u.spill_loads;
  char *more = rpi_alloc_resize(job->cubin.image, job->cubin.size + sizeof job->spills);
  if (!more) return rpi_status_nomem("a cubin");
  memcpy(more + job->cubin.size, &job->spills, sizeof job->spills);
  job->cubin.image = more;
  job->cubin.size += sizeof job->spills;
  return RP_OK;
}

static rp_status compile(rpi_gpu_builder *b, rpi_gpu_job *job) {
  rpi_strbuf text;
  if (!b->nvrtc)
    return rpi_status_fail(RP_ERR_DEVICE, "a kernel for the GPU has no compiler (knob nvrtc)");
  rpi_strbuf_init(&text);
  rp_status st = job->text(job->of, &text);
  if (st == RP_OK) {
    const int64_t from = rpi_clock_ns();
    job->compiled = true;
    st = rpi_nvrtc_compile_until(b->nvrtc, rpi_strbuf_str(&text), b->arch, job->entry != NULL,
                                 &b->thread.stop, &job->cubin);
    job->ns = rpi_clock_ns() - from;
    if (b->keep_source && b->cache)
      rpi_cache_keep(b->cache, job->key, ".cu", rpi_strbuf_str(&text));
  }
  if (st == RP_OK && job->entry) st = note_spills(job);
  if (st == RP_OK && b->cache) {
    rpi_cache_write(b->cache, job->key, ".cubin", job->cubin.image, job->cubin.size);
    if (job->twice)
      rpi_cache_write(b->cache, job->also, ".cubin", job->cubin.image, job->cubin.size);
  }
  rpi_strbuf_deinit(&text);
  return st;
}

bool rpi_gpu_builder_read(rpi_gpu_builder *b, rpi_gpu_job *job) {
  if (!b->cache ||
      !rpi_cache_read(b->cache, job->key, ".cubin", &job->cubin.image, &job->cubin.size))
    return false;
  if (job->entry && job->cubin.size > sizeof job->spills)
    memcpy(&job->spills, (const char *)job->cubin.image + job->cubin.size - sizeof job->spills,
           sizeof job->spills);
  job->status = RP_OK;
  atomic_store(&job->done, true);
  return true;
}

/* False: another process compiles it now. */
static bool try_job(rpi_gpu_builder *b, rpi_gpu_job *job) {
  const bool mine = !b->cache || rpi_cache_lock(b->cache, job->key);
  const bool there = rpi_gpu_builder_read(b, job);
  if (!there && mine) {
    job->status = compile(b, job);
    if (job->status != RP_OK) job->failure = rpi_alloc_string(rpi_status_message());
  }
  if (mine && b->cache) rpi_cache_unlock(b->cache, job->key);
  if (!there && mine) atomic_store(&job->done, true);
  return there || mine;
}

rp_status rpi_gpu_builder_build(rpi_gpu_builder *b, rpi_gpu_job *job) {
  while (!try_job(b, job)) rpi_idle_nap(RPI_IDLE_RETRY_NS);
  return job->status;
}

/* ---- in the background ---- */

static void *work(void *arg, void *list, int32_t *done) {
  rpi_gpu_builder *b = arg;
  rpi_gpu_job *later = NULL, **end = &later;
  *done = 0;
  for (rpi_gpu_job *job = list, *next; job; job = next) {
    next = job->next; /* a finished job is the context's again */
    if (!rpi_idle_stops(&b->thread) && try_job(b, job)) {
      ++*done;
      atomic_fetch_add(&b->finished, 1);
      continue;
    }
    *end = job;
    end = &job->next;
    job->next = NULL;
  }
  return later;
}

bool rpi_gpu_builder_add(rpi_gpu_builder *b, rpi_gpu_job *job) {
  job->next = NULL;
  return b->nvrtc && rpi_idle_add(&b->thread, job);
}
