/* SPDX-License-Identifier: Apache-2.0
 * jit/jit.c -- the kernel table of a context, and the thread that compiles behind its back.
 *
 * Lives here: kernels by canonical bytes, their keys, the way from tier 0 to tier 1.
 * Not here:   the interpreter, the emitter, the compiler, the disk: each has its file.
 * How:        the context pushes kernels onto an inbox (one atomic exchange) and posts a semaphore;
 *             the thread takes the whole inbox at once. They share no lock: the thread is
 *             SCHED_IDLE, and a lock it held while it waits for a core would stop the context. A
 *             kernel that another process is compiling is set aside and looked for on disk every
 *             few milliseconds. With tier 1 the caller compiles itself, at its own priority.
 * Fork:       in a child process there is no thread and its state is unknown: kernels made there
 *             are interpreted, and nothing of the thread is touched.
 * Unloading:  loaded objects stay for the life of the process, even after destroy: another context
 *             may have got the same handle, a profiler may still resolve addresses, and the few KiB
 *             cost less than one wrong guess about who still runs them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "jit/jit.h"

#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "jit/cache.h"
#include "jit/compile_cc.h"
#include "jit/emit_c.h"
#include "jit/finish.h"
#include "jit/interp.h"

extern const char rpi_lanes_text[];

enum { EMIT_ABI = 2 }; /* changes with the text the emitter writes, or with core/exec/kernel.h */
enum { NAME_SIZE = 96, RETRY_NS = 5 * 1000 * 1000, POLL_NS = 100 * 1000 };

typedef struct kernel {
  rpi_kernel face; /* first: the public pointer is ours */
  rpi_jit *jit;
  rpi_ir ir;
  rpi_ir_layout layout;
  rpi_strbuf bytes;
  rpi_interp *interp;
  rpi_kernel_code compiled;
  rpi_hash128 key;
  char hex[33];
  char name[NAME_SIZE];
  _Atomic(char *) refusal; /* NULL: none */
  struct kernel *next;     /* in the inbox or the thread's list */
  struct kernel *all;      /* in the jit's list */
} kernel;

struct rpi_jit {
  int32_t tier, vector;
  bool keep_source, cc_tried;
  char *cc_knob;
  rpi_cache *cache; /* NULL in tier 0 */
  rpi_cc *cc;       /* NULL: none found, or not looked for yet */
  rpi_map table;
  kernel *all;
  pid_t pid;
  bool started;
  pthread_t thread;
  sem_t wake;
  _Atomic(kernel *) inbox;
  _Atomic bool stop;
  int64_t kernels, memory_hits;
  _Atomic int64_t disk_hits, compiles, compile_fails, compile_ns, pending;
};

static void nap(int64_t ns) {
  const struct timespec t = {.tv_sec = 0, .tv_nsec = (long)ns};
  nanosleep(&t, NULL);
}

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

rp_status rpi_jit_create(const rpi_config *config, rpi_jit **out) {
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
  sem_init(&j->wake, 0, 0);
  j->cc_knob = rpi_alloc_string(config->cc ? config->cc : "");
  if (!j->cc_knob) status = rpi_status_nomem("the jit");
  if (status == RP_OK && j->tier != RPI_TIER_0) {
    status = rpi_cache_create(config->cache_dir, config->cache_mb, &j->cache);
  }
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
    if (j->started) {
      atomic_store(&j->stop, true);
      if (j->cc) rpi_cc_cancel(j->cc);
      sem_post(&j->wake);
      pthread_join(j->thread, NULL);
    }
    rpi_cc_free(j->cc);
    rpi_cache_free(j->cache);
    sem_destroy(&j->wake);
  }
  for (kernel *k = j->all, *next; k; k = next) {
    next = k->all;
    kernel_free(k);
  }
  rpi_map_deinit(&j->table);
  rpi_alloc_free(j->cc_knob);
  rpi_alloc_free(j);
}

/* ---- from text to code ----------------------------------------------------------------------- */

static void refuse(kernel *k, const char *why) {
  char *copy = rpi_alloc_string(why);
  if (copy) atomic_store(&k->refusal, copy);
}

/* Takes the compiled code into use. */
static bool install(kernel *k, void *so) {
  void *pro = dlsym(so, "rpk_pro"), *body = dlsym(so, "rpk_body"), *epi = dlsym(so, "rpk_epi");
  if (!pro || !body || !epi) return false;
  if (k->ir.n_pro > 0) memcpy(&k->compiled.pro, &pro, sizeof pro);
  memcpy(&k->compiled.body, &body, sizeof body);
  if (k->ir.n_ins > k->ir.n_body) memcpy(&k->compiled.epi, &epi, sizeof epi);
  k->compiled.tier = 1;
  atomic_store_explicit(&k->face.code, &k->compiled, memory_order_release);
  return true;
}

/* Emits, compiles, publishes. NULL: refused, with the reason noted. */
static void *compile(rpi_jit *j, kernel *k) {
  char path[4096];
  void *so = NULL;
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rp_status status = rpi_emit_c(&k->ir, j->vector, k->hex, &text);
  if (status == RP_OK) status = rpi_cache_temp(j->cache, k->key, path, sizeof path);
  if (status == RP_OK) {
    const int64_t from = rpi_clock_ns();
    atomic_fetch_add(&j->compiles, 1);
    status = rpi_cc_compile(j->cc, rpi_strbuf_str(&text), path);
    atomic_fetch_add(&j->compile_ns, rpi_clock_ns() - from);
    if (status == RP_OK && j->keep_source) rpi_cache_keep(j->cache, k->key, rpi_strbuf_str(&text));
    if (status == RP_OK) {
      so = rpi_cache_publish(j->cache, k->key, path);
      if (!so) status = rpi_status_fail(RP_ERR_IO, "the compiled object does not load");
    }
    if (status != RP_OK) atomic_fetch_add(&j->compile_fails, 1);
  }
  rpi_strbuf_deinit(&text);
  if (status != RP_OK && !atomic_load(&j->stop)) {
    static bool said;
    refuse(k, rpi_status_message());
    rpi_log_once(&said, "kernels stay interpreted: %s", rpi_status_message());
  }
  return so;
}

/* False: another process compiles this kernel now; try again later. */
static bool work(rpi_jit *j, kernel *k) {
  const bool mine = rpi_cache_lock(j->cache, k->key);
  void *so = rpi_cache_load(j->cache, k->key); /* somebody may have finished it meanwhile */
  if (so)
    atomic_fetch_add(&j->disk_hits, 1);
  else if (mine)
    so = compile(j, k);
  if (mine) rpi_cache_unlock(j->cache, k->key);
  if (!so && !mine) return false;
  if (so && !install(k, so)) refuse(k, "the compiled object lacks an entry");
  return true;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void sleep_until_woken(rpi_jit *j, bool retry) {
  struct timespec until;
  if (!retry) {
    while (sem_wait(&j->wake) != 0 && errno == EINTR) {
    }
    return;
  }
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += RETRY_NS;
  if (until.tv_nsec >= 1000000000) {
    until.tv_nsec -= 1000000000;
    until.tv_sec++;
  }
  while (sem_timedwait(&j->wake, &until) != 0 && errno == EINTR) {
  }
}

/* Appends the inbox, oldest first, to the list. */
static kernel *take_inbox(rpi_jit *j, kernel *list) {
  kernel *in = atomic_exchange(&j->inbox, NULL), *oldest = NULL;
  while (in) {
    kernel *next = in->next;
    in->next = oldest;
    oldest = in;
    in = next;
  }
  kernel **tail = &list;
  while (*tail) tail = &(*tail)->next;
  *tail = oldest;
  return list;
}

static void *thread_main(void *arg) {
  rpi_jit *j = arg;
  kernel *list = NULL;
  const struct sched_param none = {0};
  sched_setscheduler(0, SCHED_IDLE, &none); /* this thread only; compilers inherit it */
  pthread_setname_np(pthread_self(), "reprise-jit");
  while (!atomic_load(&j->stop)) {
    list = take_inbox(j, list);
    kernel *later = NULL;
    while (list && !atomic_load(&j->stop)) {
      kernel *k = list;
      list = k->next;
      if (work(j, k)) {
        atomic_fetch_sub(&j->pending, 1);
      } else {
        k->next = later;
        later = k;
      }
    }
    list = later;
    if (!atomic_load(&j->inbox) && !atomic_load(&j->stop)) sleep_until_woken(j, list != NULL);
  }
  return NULL;
}

static bool start_thread(rpi_jit *j) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  j->started = pthread_create(&j->thread, NULL, thread_main, j) == 0;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return j->started;
}

static void enqueue(rpi_jit *j, kernel *k) {
  if (!j->started && !start_thread(j)) {
    refuse(k, "the compile thread does not start");
    return;
  }
  atomic_fetch_add(&j->pending, 1);
  k->next = atomic_load(&j->inbox);
  while (!atomic_compare_exchange_weak(&j->inbox, &k->next, k)) {
  }
  sem_post(&j->wake);
}

/* ---- kernels --------------------------------------------------------------------------------- */

static void finish(const rpi_kernel *face, rpi_word *w) {
  const kernel *k = (const kernel *)face;
  rpi_finish_all(&k->ir, &k->layout, w);
}

static rp_status find_compiler(rpi_jit *j) {
  static bool said;
  if (j->cc_tried) return RP_OK;
  RPI_TRY(rpi_cc_create(j->cc_knob, j->vector, &j->cc));
  j->cc_tried = true;
  if (!j->cc && strcmp(j->cc_knob, "none") != 0) {
    rpi_log_once(&said, "no C compiler (knob cc): kernels are interpreted");
  }
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

/* Brings the kernel to tier 1, or on its way. */
static void promote(rpi_jit *j, kernel *k) {
  if (j->tier == RPI_TIER_0) {
    refuse(k, "tier 0 was asked for");
    return;
  }
  if (forked(j)) {
    refuse(k, "a forked child does not compile");
    return;
  }
  if (!j->cc) {
    refuse(k, "there is no C compiler");
    return;
  }
  void *so = rpi_cache_load(j->cache, k->key);
  if (so && install(k, so)) {
    atomic_fetch_add(&j->disk_hits, 1);
  } else if (j->tier == RPI_TIER_1) {
    while (!work(j, k)) nap(RETRY_NS);
  } else {
    enqueue(j, k);
  }
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
  k->face.finish = k->ir.n_red > 0 ? finish : NULL;
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
  k->all = j->all;
  j->all = k;
  j->kernels++;
  promote(j, k);
  *out = &k->face;
  return RP_OK;
}

const rpi_ir *rpi_jit_ir(const rpi_kernel *k) { return &((const kernel *)k)->ir; }

void rpi_jit_source(const rpi_kernel *face, rpi_strbuf *out) {
  const kernel *k = (const kernel *)face;
  if (rpi_emit_c(&k->ir, k->jit->vector, k->hex, out) != RP_OK) {
    rpi_strbuf_addf(out, "/* no C text: %s */\n", rpi_status_message());
  }
}

void rpi_jit_wait(rpi_jit *j) {
  if (forked(j)) return;
  while (atomic_load(&j->pending) > 0) nap(POLL_NS);
}

void rpi_jit_stats_get(const rpi_jit *j, rpi_jit_stats *out) {
  *out = (rpi_jit_stats){.kernels = j->kernels,
                         .memory_hits = j->memory_hits,
                         .disk_hits = atomic_load(&j->disk_hits),
                         .compiles = atomic_load(&j->compiles),
                         .compile_fails = atomic_load(&j->compile_fails),
                         .compile_ns = atomic_load(&j->compile_ns),
                         .pending = atomic_load(&j->pending)};
}

const char *rpi_jit_vector(const rpi_jit *j) {
  return j->vector == RPI_VECTOR_AVX512 ? "avx512" : "avx2";
}

const char *rpi_jit_refusal(const rpi_kernel *face) {
  const char *why = atomic_load(&((const kernel *)face)->refusal);
  return why ? why : "";
}
