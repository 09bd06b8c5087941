/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/crew.c -- see crew.h.
 * How: a record lies in the ring in one piece; what is left before the ring's end is skipped by a record of its own kind. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "bindings/c/crew.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "bindings/c/api.h"
#include "core/base/alloc.h"
#include "core/exec/opaque.h"
#include "trace/places.h"
#include "trace/runtime.h"

enum { RING = 1 << 16, WHY = 1200, BRIEF = 100 /* turns of spinning where cores are few */ };

typedef struct seat {
  RPI_ALIGNED(64) _Atomic uint64_t tail; /* words that it has done with */
  rpi_follower f;
  rpi_crew *crew;
  char *config;
  rp_status made;
  char why[WHY];
  pthread_t thread;
  bool started;
} seat;

struct rpi_crew {
  RPI_ALIGNED(64) _Atomic uint64_t head; /* words that have been told */
  _Atomic int32_t asleep;                /* followers */
  RPI_ALIGNED(64) uint64_t next;         /* the writer's: behind the record it fills in, */
  uint64_t least;                        /* and a tail that all have reached */
  int64_t spin;
  const rpi_crew_duty *duty;
  int32_t n;      /* followers */
  int32_t n_made; /* under the lock: those that have a context, or have failed to make one */
  enum { STAY, GO, LEAVE } gate; /* under the lock: nobody makes a context until all can */
  _Atomic bool waits;            /* the writer sleeps */
  _Atomic bool failed;           /* why and status hold */
  rp_status status;
  char why[WHY];
  pthread_mutex_t lock;
  pthread_cond_t told, done; /* for followers, for the writer */
  seat *seat;
  uint64_t ring[RING];
};

/* ---- waiting ---- */

static void pause_briefly(void) {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

/* A follower: until there is more than `tail`. */
static uint64_t await_more(rpi_crew *c, uint64_t tail) {
  uint64_t head = tail;
  for (int64_t i = 0; i < c->spin && head == tail; i++) {
    head = atomic_load_explicit(&c->head, memory_order_acquire);
    if (head == tail) pause_briefly();
  }
  if (head != tail) return head;
  pthread_mutex_lock(&c->lock);
  atomic_fetch_add(&c->asleep, 1);
  while ((head = atomic_load(&c->head)) == tail) pthread_cond_wait(&c->told, &c->lock);
  atomic_fetch_sub(&c->asleep, 1);
  pthread_mutex_unlock(&c->lock);
  return head;
}

static void rouse(rpi_crew *c, pthread_cond_t *who) {
  pthread_mutex_lock(&c->lock);
  pthread_cond_broadcast(who);
  pthread_mutex_unlock(&c->lock);
}

static uint64_t last_tail(rpi_crew *c) {
  uint64_t least = atomic_load(&c->seat[0].tail);
  for (int32_t i = 1; i < c->n; i++) {
    const uint64_t tail = atomic_load(&c->seat[i].tail);
    if (tail < least) least = tail;
  }
  return least;
}

/* The writer: until all tails have reached `mark`. */
static void await_tails(rpi_crew *c, uint64_t mark) {
  if (c->least >= mark) return;
  for (int64_t i = 0; i < c->spin && (c->least = last_tail(c)) < mark; i++) pause_briefly();
  if (c->least >= mark) return;
  pthread_mutex_lock(&c->lock);
  atomic_store(&c->waits, true);
  while ((c->least = last_tail(c)) < mark) pthread_cond_wait(&c->done, &c->lock);
  atomic_store(&c->waits, false);
  pthread_mutex_unlock(&c->lock);
}

/* ---- the ring ---- */

static rpi_crew_record *record_at(rpi_crew *c, uint64_t at) {
  return (rpi_crew_record *)&c->ring[at % RING];
}

rpi_crew_record *rpi_crew_begin(rpi_crew *c, int32_t kind, int32_t arg, size_t bytes) {
  const uint64_t words = (sizeof(rpi_crew_record) + bytes + 7) / 8;
  const uint64_t head = atomic_load_explicit(&c->head, memory_order_relaxed);
  const uint64_t left = RING - head % RING, skip = left < words ? left : 0;
  rpi_assert(words <= RPI_CREW_RECORD);
  c->next = head + skip + words;
  if (RPI_UNLIKELY(c->next - c->least > RING)) await_tails(c, c->next - RING);
  if (skip > 0) *record_at(c, head) = (rpi_crew_record){.words = (uint16_t)skip};
  rpi_crew_record *r = record_at(c, head + skip);
  *r = (rpi_crew_record){.kind = (uint8_t)kind, .words = (uint16_t)words, .arg = arg};
  return r;
}

void rpi_crew_tell(rpi_crew *c) {
  atomic_store(&c->head, c->next);
  if (RPI_UNLIKELY(atomic_load(&c->asleep) > 0)) rouse(c, &c->told);
}

void rpi_crew_wait(rpi_crew *c) {
  await_tails(c, atomic_load_explicit(&c->head, memory_order_relaxed));
}

int32_t rpi_crew_size(const rpi_crew *c) { return c->n + 1; }

/* ---- failures ---- */

/* What ranks say of each other is an echo of what one of them says of itself. */
void rpi_crew_fail(rpi_crew *c, const rpi_follower *f, rp_status st) {
  pthread_mutex_lock(&c->lock);
  if (!atomic_load(&c->failed) || (c->status == RP_ERR_RANKS && st != RP_ERR_RANKS)) {
    c->status = st;
    snprintf(c->why, WHY, "rank %d of the context's %d: %s", f->rank, c->n + 1,
             rpi_status_message());
    atomic_store(&c->failed, true);
  }
  pthread_mutex_unlock(&c->lock);
}

rp_status rpi_crew_check(rp_context *ctx) {
  rpi_crew *c = ctx->crew;
  if (RPI_LIKELY(!atomic_load_explicit(&c->failed, memory_order_relaxed))) return RP_OK;
  pthread_mutex_lock(&c->lock);
  const rp_status st = rpi_status_fail(RP_ERR_RANKS, "%s", c->why);
  pthread_mutex_unlock(&c->lock);
  return rpi_places_failed(ctx, st);
}

/* ---- the life of a follower ---- */

static void follow(seat *s) {
  rpi_crew *c = s->crew;
  for (uint64_t tail = 0;;) {
    for (const uint64_t head = await_more(c, tail); tail != head;) {
      const rpi_crew_record *r = record_at(c, tail);
      if (r->kind == RPI_CREW_LAST) return;
      if (r->kind != RPI_CREW_SKIP) c->duty->run(&s->f, c, r);
      tail += r->words;
      atomic_store(&s->tail, tail);
      if (RPI_UNLIKELY(atomic_load(&c->waits))) rouse(c, &c->done);
    }
  }
}

static rp_status open_seat(seat *s) {
  RPI_TRY(rpi_runtime_create(s->config, true, &s->f.ctx));
  s->f.ctx->forks = rpi_api_forks;
  return s->crew->duty->begin(&s->f);
}

static void *live(void *arg) {
  seat *s = arg;
  rpi_crew *c = s->crew;
  char name[16];
  snprintf(name, sizeof name, "reprise-gpu%d", (int)(s->f.rank % 1000));
  pthread_setname_np(pthread_self(), name);
  rpi_opaque_inside = true; /* no function that it calls may use the program's context */
  pthread_mutex_lock(&c->lock);
  while (c->gate == STAY) pthread_cond_wait(&c->told, &c->lock);
  const bool leaves = c->gate == LEAVE;
  pthread_mutex_unlock(&c->lock);
  if (leaves) return NULL;
  s->made = open_seat(s);
  if (s->made != RP_OK) snprintf(s->why, WHY, "%s", rpi_status_message());
  pthread_mutex_lock(&c->lock);
  c->n_made++;
  pthread_cond_broadcast(&c->done);
  pthread_mutex_unlock(&c->lock);
  if (s->made == RP_OK) follow(s);
  c->duty->end(&s->f);
  return NULL;
}

/* Signals are for the application's threads, but those of faults. */
static bool start(seat *s) {
  static const int fault[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
  sigset_t block, before;
  sigfillset(&block);
  for (int32_t i = 0; i < RPI_COUNT(fault); i++) sigdelset(&block, fault[i]);
  pthread_sigmask(SIG_SETMASK, &block, &before);
  s->started = pthread_create(&s->thread, NULL, live, s) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return s->started;
}

/* ---- making and ending ---- */

/* Cores that the process may use. */
static int32_t count_cores(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (int32_t)n : 1;
}

/* What a rank adds to the program's options: its place, and its share of the cores. Contexts of one process would bind
 * their threads to the same ones. */
static char *options(const rpi_config *base, const char *config, int32_t n, int32_t rank,
                     int64_t number) {
  const int64_t given = base->threads ? base->threads : base->cpus;
  const int64_t all = given ? given : count_cores(), threads = all / n > 0 ? all / n : 1;
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rpi_strbuf_addf(
      &text,
      "%s --transport threads --world \"GPUs of process %ld, %lld\" --ranks %d --rank %d "
      "--gpus 1 --threads %lld --pin off%s",
      config ? config : "", (long)getpid(), (long long)number, n, rank, (long long)threads,
      rank > 0 ? " --explain off" : "");
  char *copy = text.failed ? NULL : rpi_alloc_string(rpi_strbuf_str(&text));
  rpi_strbuf_deinit(&text);
  return copy;
}

static rpi_crew *crew_new(const rpi_config *base, int32_t n, const rpi_crew_duty *duty) {
  rpi_crew *c = rpi_alloc_aligned(64, sizeof *c);
  seat *all = rpi_alloc_aligned(64, sizeof *all * (size_t)n);
  if (!c || !all) {
    rpi_alloc_free(c);
    rpi_alloc_free(all);
    return NULL;
  }
  memset(c, 0, sizeof *c);
  memset(all, 0, sizeof *all * (size_t)n);
  c->seat = all;
  c->n = n;
  c->duty = duty;
  c->spin = count_cores() > n ? base->spin : BRIEF < base->spin ? BRIEF : base->spin;
  pthread_mutex_init(&c->lock, NULL);
  pthread_cond_init(&c->told, NULL);
  pthread_cond_init(&c->done, NULL);
  for (int32_t i = 0; i < n; i++) {
    all[i].crew = c;
    all[i].f.rank = i + 1;
  }
  return c;
}

static void open_gate(rpi_crew *c, bool go) {
  pthread_mutex_lock(&c->lock);
  c->gate = go ? GO : LEAVE;
  pthread_cond_broadcast(&c->told);
  pthread_mutex_unlock(&c->lock);
}

void rpi_crew_close(rpi_crew *c) {
  rpi_crew_begin(c, RPI_CREW_LAST, 0, 0);
  rpi_crew_tell(c);
}

void rpi_crew_free(rpi_crew *c) {
  for (int32_t i = 0; i < c->n; i++) {
    if (c->seat[i].started) pthread_join(c->seat[i].thread, NULL);
    rpi_alloc_free(c->seat[i].config);
  }
  pthread_cond_destroy(&c->told);
  pthread_cond_destroy(&c->done);
  pthread_mutex_destroy(&c->lock);
  rpi_alloc_free(c->seat);
  rpi_alloc_free(c);
}

/* The others' contexts are there, or one cannot be: then the sentence is the one that says why itself. */
static rp_status await_others(rpi_crew *c, rp_status own) {
  char before[WHY];
  const seat *bad = NULL;
  snprintf(before, sizeof before, "%s", rpi_status_message());
  pthread_mutex_lock(&c->lock);
  while (c->n_made < c->n) pthread_cond_wait(&c->done, &c->lock);
  pthread_mutex_unlock(&c->lock);
  if (own != RP_OK && own != RP_ERR_RANKS) return own;
  for (int32_t i = 0; i < c->n; i++) {
    const seat *s = &c->seat[i];
    if (s->made != RP_OK && (!bad || bad->made == RP_ERR_RANKS)) bad = s;
  }
  if (!bad || (own != RP_OK && bad->made == RP_ERR_RANKS))
    return own == RP_OK ? RP_OK : rpi_status_fail(own, "%s", before);
  return rpi_status_fail(bad->made, "GPU %d of %d: %s", bad->f.rank + 1, c->n + 1, bad->why);
}

/* Starts the others, all or none. */
static rp_status start_all(rpi_crew *c, const rpi_config *base, const char *config,
                           int64_t number) {
  bool all = true;
  for (int32_t i = 0; all && i < c->n; i++) {
    seat *s = &c->seat[i];
    s->config = options(base, config, c->n + 1, i + 1, number);
    all = s->config && start(s);
  }
  open_gate(c, all);
  return all ? RP_OK : rpi_status_fail(RP_ERR_MEMORY, "no threads for %d GPUs", c->n + 1);
}

/* What the program asked for, where the options of rank 0 stand. */
static void show_asked(rpi_config *shown, const rpi_config *base) {
  shown->gpus = base->gpus;
  shown->threads = base->threads;
  shown->transport = base->transport;
  shown->ranks = base->ranks;
  shown->rank = base->rank;
}

rp_status rpi_crew_create(const rpi_config *base, const char *config, int32_t n,
                          const rpi_crew_duty *duty, rp_context **out) {
  static _Atomic int64_t numbers;
  const int64_t number = atomic_fetch_add(&numbers, 1);
  rp_context *ctx = NULL;
  rpi_crew *c = crew_new(base, n - 1, duty);
  char *own = options(base, config, n, 0, number);
  *out = NULL;
  rp_status st = c && own ? start_all(c, base, config, number)
                          : rpi_status_nomem("the contexts of several GPUs");
  if (st == RP_OK) st = await_others(c, rpi_runtime_create(own, true, &ctx));
  rpi_alloc_free(own);
  if (st == RP_OK) {
    show_asked(&ctx->config, base);
    ctx->crew = c;
    *out = ctx;
    return RP_OK;
  }
  char why[WHY]; /* the others end while somebody may wait for them: rank 0 says that it is over */
  snprintf(why, sizeof why, "%s", rpi_status_message());
  if (ctx) {
    rpi_places_failed(ctx, st);
    rpi_runtime_destroy(ctx);
  }
  if (c && c->gate == GO) rpi_crew_close(c);
  if (c) rpi_crew_free(c);
  return rpi_status_fail(st, "%s", why);
}
