/* SPDX-License-Identifier: Apache-2.0
 * jit/builder.c -- from tier 0 to tier 1: kernels are compiled, several per run of the compiler.
 *
 * Lives here: the compile thread, its inbox, batches, taking compiled code into use.
 * Not here:   which kernels exist (jit.c), the text, the compiler, the disk: each has its file.
 * How:        the context pushes lists of kernels onto an inbox (one atomic exchange) and posts a
 *             semaphore; the thread takes the whole inbox at once. They share no lock: the thread is
 *             SCHED_IDLE, and a lock it held while it waits for a core would stop the context. What
 *             the inbox held goes through the compiler in batches, for most of a small kernel's
 *             compile is the compiler's start and the head of the text. A kernel that another process
 *             compiles is set aside and looked for on disk every few milliseconds. If a batch does not
 *             compile, its kernels are tried one by one, so that one bad text spoils only itself.
 * Unloading:  loaded objects stay for the life of the process, even after the context's end: another
 *             context may have got the same handle, a profiler may still resolve addresses, and the few
 *             KiB cost less than one wrong guess about who still runs them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "jit/jit_impl.h"

enum { RETRY_NS = 5 * 1000 * 1000, POLL_NS = 100 * 1000 };
/* A batch is as large as the wait for its first kernel allows. */
enum { BATCH_KERNELS = 64, BATCH_INSTRUCTIONS = 3000 };

struct rpi_builder {
  rpi_builder_tools tools;
  bool started;
  pthread_t thread;
  sem_t wake;
  _Atomic(rpi_jit_record *) inbox;
  _Atomic bool stop;
  rpi_builder_counts counts;
};

static void nap(int64_t ns) {
  const struct timespec t = {.tv_sec = 0, .tv_nsec = (long)ns};
  nanosleep(&t, NULL);
}

rp_status rpi_builder_create(const rpi_builder_tools *tools, rpi_builder **out) {
  rpi_builder *b = rpi_alloc_zero(sizeof *b);
  *out = NULL;
  if (!b) return rpi_status_nomem("the kernel builder");
  b->tools = *tools;
  sem_init(&b->wake, 0, 0);
  *out = b;
  return RP_OK;
}

void rpi_builder_free(rpi_builder *b) {
  if (!b) return;
  if (b->started) {
    atomic_store(&b->stop, true);
    rpi_cc_cancel(b->tools.cc);
    sem_post(&b->wake);
    pthread_join(b->thread, NULL);
  }
  sem_destroy(&b->wake);
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
  for (int32_t i = 0; status != RP_OK && i < n && !atomic_load(&b->stop); i++) {
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
static rpi_jit_record *work(rpi_builder *b, rpi_jit_record *list, int32_t *done) {
  rpi_jit_record *later = NULL;
  *done = 0;
  while (list && !atomic_load(&b->stop)) *done += take_batch(b, &list, &later);
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
  while ((list = work(b, list, &done)) != NULL) nap(RETRY_NS);
  while (!sigismember(&before, SIGXFSZ) && sigtimedwait(&limit, NULL, &now) == SIGXFSZ) {
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void sleep_until_woken(rpi_builder *b, bool retry) {
  struct timespec until;
  if (!retry) {
    while (sem_wait(&b->wake) != 0 && errno == EINTR) {
    }
    return;
  }
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += RETRY_NS;
  if (until.tv_nsec >= 1000000000) {
    until.tv_nsec -= 1000000000;
    until.tv_sec++;
  }
  while (sem_timedwait(&b->wake, &until) != 0 && errno == EINTR) {
  }
}

/* Appends the inbox, oldest first, to the list. */
static rpi_jit_record *take_inbox(rpi_builder *b, rpi_jit_record *list) {
  rpi_jit_record *in = atomic_exchange(&b->inbox, NULL), *oldest = NULL;
  while (in) {
    rpi_jit_record *next = in->next;
    in->next = oldest;
    oldest = in;
    in = next;
  }
  rpi_jit_record **tail = &list;
  while (*tail) tail = &(*tail)->next;
  *tail = oldest;
  return list;
}

static void *thread_main(void *arg) {
  rpi_builder *b = arg;
  rpi_jit_record *list = NULL;
  pthread_setname_np(pthread_self(), "reprise-jit");
  while (!atomic_load(&b->stop)) {
    int32_t done;
    list = work(b, take_inbox(b, list), &done);
    atomic_fetch_sub(&b->counts.pending, done);
    if (!atomic_load(&b->inbox) && !atomic_load(&b->stop)) sleep_until_woken(b, list != NULL);
  }
  return NULL;
}

static bool start_thread(rpi_builder *b) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  const struct sched_param none = {0};
  b->started = pthread_create(&b->thread, NULL, thread_main, b) == 0;
  if (b->started) pthread_setschedparam(b->thread, SCHED_IDLE, &none); /* compilers inherit it */
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return b->started;
}

void rpi_builder_enqueue(rpi_builder *b, rpi_jit_record *list) {
  if (!b->started && !start_thread(b)) {
    for (; list; list = list->next) rpi_jit_refuse(list, "the compile thread does not start");
    return;
  }
  while (list) { /* newest first, as the thread expects */
    rpi_jit_record *k = list;
    list = k->next;
    atomic_fetch_add(&b->counts.pending, 1);
    k->next = atomic_load(&b->inbox);
    while (!atomic_compare_exchange_weak(&b->inbox, &k->next, k)) {
    }
  }
  sem_post(&b->wake);
}

/* Somebody waits: the thread and the compiler it runs stop standing back, where the system allows it.
 * Else a busy machine would let the waiter starve. */
void rpi_builder_wait(rpi_builder *b) {
  const struct sched_param none = {0};
  if (atomic_load(&b->counts.pending) == 0) return;
  const bool raised = pthread_setschedparam(b->thread, SCHED_OTHER, &none) == 0;
  if (raised) rpi_cc_hurry(b->tools.cc);
  while (atomic_load(&b->counts.pending) > 0) nap(POLL_NS);
  if (raised) pthread_setschedparam(b->thread, SCHED_IDLE, &none);
}
