/* SPDX-License-Identifier: Apache-2.0
 * jit/builder.c -- from tier 0 to tier 1: kernels are compiled, several per run of the compiler.
 *
 * Lives here: batches, taking compiled code into use.
 * Not here:   which kernels exist (jit.c), the thread (idle_thread.c), the text, the compiler, the disk: each has its file.
 * How:        what the thread was handed goes through the compiler in batches, for most of a small kernel's
 *             compile is the compiler's start and the head of the text. A kernel that another process
 *             compiles is set aside and looked for on disk every few milliseconds. If a batch does not
 *             compile, its kernels are tried one by one, so that one bad text spoils only itself.
 * Unloading:  loaded objects stay for the life of the process, even after the context's end: another
 *             context may have got the same handle, a profiler may still resolve addresses, and the few
 *             KiB cost less than one wrong guess about who still runs them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "jit/idle_thread.h"
#include "jit/jit_impl.h"

/* A batch is as large as the wait for its first kernel allows. */
enum { BATCH_KERNELS = 64, BATCH_INSTRUCTIONS = 3000 };

struct rpi_builder {
  rpi_builder_tools tools;
  rpi_idle_thread thread;
  rpi_builder_counts counts;
};

static void *work(void *arg, void *list, int32_t *done);

rp_status rpi_builder_create(const rpi_builder_tools *tools, rpi_builder **out) {
  rpi_builder *b = rpi_alloc_zero(sizeof *b);
  *out = NULL;
  if (!b) return rpi_status_nomem("the kernel builder");
  b->tools = *tools;
  rpi_idle_init(&b->thread, work, b, offsetof(rpi_jit_record, next));
  *out = b;
  return RP_OK;
}

void rpi_builder_free(rpi_builder *b) {
  if (!b) return;
  rpi_idle_stop(&b->thread);
  if (b->thread.started) rpi_cc_cancel(b->tools.cc);
  rpi_idle_deinit(&b->thread);
  rpi_alloc_free(b);
}

void rpi_builder_forget(rpi_builder *b) { rpi_alloc_free(b); }

rpi_builder_counts *rpi_builder_counts_get(rpi_builder *b) { return &b->counts; }

/* ---- one batch ------------------------------------------------------------------------------- */

/* Takes the compiled code into use. */
static void install(rpi_jit_record *k, const rpi_emit_entry *entry) {
  if (k->ir.n_pro > 0) k->compiled.pro = entry->pro;
  k->compiled.body = entry->body;
  if (k->ir.n_ins > k->ir.n_body) k->compiled.epi = entry->epi;
  k->compiled.tier = 1;
  atomic_store_explicit(&k->face.code, &k->compiled, memory_order_release);
}

bool rpi_builder_load(rpi_builder *b, rpi_jit_record *k) {
  const rpi_emit_entry *entry = rpi_cache_load(b->tools.cache, k->key);
  if (!entry) return false;
  install(k, entry);
  atomic_fetch_add(&b->counts.disk_hits, 1);
  return true;
}

/* Emits, compiles, publishes; installs those that came out. */
static rp_status compile(rpi_builder *b, rpi_jit_record *const *k, int32_t n) {
  char path[4096];
  rpi_emit_unit unit[BATCH_KERNELS];
  rpi_hash128 key[BATCH_KERNELS];
  rpi_strbuf text;
  for (int32_t i = 0; i < n; i++) {
    unit[i] = (rpi_emit_unit){&k[i]->ir, k[i]->hex};
    key[i] = k[i]->key;
  }
  rpi_strbuf_init(&text);
  rp_status status = rpi_emit_c(unit, n, b->tools.vector, &text);
  if (status == RP_OK) status = rpi_cache_temp(b->tools.cache, key[0], path, sizeof path);
  if (status == RP_OK) {
    const int64_t from = rpi_clock_ns();
    atomic_fetch_add(&b->counts.compiles, 1);
    status = rpi_cc_compile(b->tools.cc, rpi_strbuf_str(&text), path);
    atomic_fetch_add(&b->counts.compile_ns, rpi_clock_ns() - from);
    for (int32_t i = 0; i < n && status == RP_OK && b->tools.keep_source; i++)
      rpi_cache_keep(b->tools.cache, key[i], ".c", rpi_strbuf_str(&text));
    const rpi_emit_entry *table =
        status == RP_OK ? rpi_cache_publish(b->tools.cache, key, n, path) : NULL;
    if (status == RP_OK && !table)
      status = rpi_status_fail(RP_ERR_IO, "the compiled object does not load");
    for (int32_t i = 0; i < n && status == RP_OK; i++)
      install(k[i], rpi_emit_c_find(table, k[i]->hex));
    if (status != RP_OK) atomic_fetch_add(&b->counts.compile_fails, 1);
  }
  rpi_strbuf_deinit(&text);
  return status;
}

/* Compiles these, whose locks are ours, and gives the locks back. */
static void compile_batch(rpi_builder *b, rpi_jit_record *const *k, int32_t n) {
  rp_status status = n > 0 ? compile(b, k, n) : RP_OK;
  for (int32_t i = 0; status != RP_OK && i < n && !rpi_idle_stops(&b->thread); i++) {
    if (n > 1) status = compile(b, &k[i], 1);
    if (status != RP_OK) {
      static bool said;
      rpi_jit_refuse(k[i], rpi_status_message());
      rpi_log_once(&said, "kernels stay interpreted: %s", rpi_status_message());
    }
    status = RP_ERR_IO; /* on with the next one */
  }
  for (int32_t i = 0; i < n; i++) rpi_cache_unlock(b->tools.cache, k[i]->key);
}

/* One batch from the front of the list: kernels of one vector width, the others stay. Those that another
 * process compiles move to *later. Returns how many are done. */
static int32_t take_batch(rpi_builder *b, rpi_jit_record **list, rpi_jit_record **later) {
  rpi_jit_record *batch[BATCH_KERNELS], **at = list;
  int32_t n = 0, done = 0, instructions = 0, lanes = 0;
  while (*at && n < BATCH_KERNELS && instructions < BATCH_INSTRUCTIONS) {
    rpi_jit_record *k = *at;
    const int32_t own = rpi_emit_c_lanes(&k->ir, b->tools.vector);
    if (n > 0 && own != lanes) {
      at = &k->next;
      continue;
    }
    *at = k->next;
    const bool mine = rpi_cache_lock(b->tools.cache, k->key);
    if (rpi_builder_load(b, k)) { /* somebody has finished it meanwhile */
      if (mine) rpi_cache_unlock(b->tools.cache, k->key);
      done++;
    } else if (mine) {
      batch[n++] = k;
      lanes = own;
      instructions += k->ir.n_ins;
    } else {
      k->next = *later;
      *later = k;
    }
  }
  compile_batch(b, batch, n);
  return done + n;
}

/* Works through the list; returns those set aside. */
static void *work(void *arg, void *items, int32_t *done) {
  rpi_builder *b = arg;
  rpi_jit_record *list = items, *later = NULL;
  *done = 0;
  while (list && !rpi_idle_stops(&b->thread)) *done += take_batch(b, &list, &later);
  return later;
}

/* On the application's thread: a file that meets the process's limit on sizes must not end the process. */
void rpi_builder_build(rpi_builder *b, rpi_jit_record *list) {
  static const struct timespec now = {0};
  sigset_t limit, before;
  int32_t done;
  sigemptyset(&limit);
  sigaddset(&limit, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &limit, &before);
  while ((list = work(b, list, &done)) != NULL) rpi_idle_nap(RPI_IDLE_RETRY_NS);
  while (!sigismember(&before, SIGXFSZ) && sigtimedwait(&limit, NULL, &now) == SIGXFSZ) {
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the thread ------------------------------------------------------------------------------ */

void rpi_builder_enqueue(rpi_builder *b, rpi_jit_record *list) {
  if (rpi_idle_add(&b->thread, list)) return;
  for (; list; list = list->next) rpi_jit_refuse(list, "the compile thread does not start");
}

static void hurry(void *arg) { rpi_cc_hurry(((rpi_builder *)arg)->tools.cc); }

void rpi_builder_wait(rpi_builder *b) { rpi_idle_wait(&b->thread, hurry); }

int64_t rpi_builder_pending(rpi_builder *b) { return atomic_load(&b->thread.pending); }
