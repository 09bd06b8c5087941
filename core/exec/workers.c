/* SPDX-License-Identifier: Apache-2.0
 * core/exec/workers.c -- fork-join over pinned threads: spin for a while, then sleep on a futex.
 *
 * Lives here: starting, binding, waking and joining the threads.
 * Not here:   which part of the work is whose; the caller's floating-point mode (the runner).
 * How:        a run writes fn and arg, then the `turn` word: a count of runs with the number of
 *             parts in its low 16 bits, so that one load tells a thread that there is a new run and
 *             whether it takes part. The parts count `left` down; the caller waits for 0. A sleeper
 *             has a flag of its own, which is its futex. It sets the flag and then looks at the
 *             word it waits for; a waker changes the word and then looks at the flag; all four are
 *             sequentially consistent, so one of the two sees the other (Dekker) and no wake-up is
 *             lost. A waker that clears a flag always wakes, and a sleeper sets its flag anew
 *             before every sleep, so a belated wake costs a turn of the loop and nothing else. Who
 *             takes no part is neither woken nor waited for.
 *             Cores: the allowed set from sched_getaffinity, in the order of topology.h, found when
 *             the first thread starts; more threads than cores are neither bound nor do they spin.
 * Invariants: fn and arg are read only by threads of the run, and `left` keeps the caller from
 *             writing them before the last has arrived. Memory is freed after all threads are
 *             joined. A fork handler counts forks; a pool whose count is old has no threads. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/exec/workers.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#else
#include <fenv.h>
#endif

#include "core/base/alloc.h"
#include "core/exec/copies.h"
#include "core/exec/kernel.h"
#include "core/exec/topology.h"

enum { MAX_THREADS = 4096, CPU_SETS = 8 /* of 1024 processors each */ };
enum { MOST_CPUS = CPU_SETS * CPU_SETSIZE };

typedef struct worker {
  RPI_ALIGNED(64) _Atomic uint32_t asleep; /* a line of its own: the caller polls it */
  int32_t index;
  int32_t cpu;    /* to bind to, -1: none */
  uint64_t since; /* the turn before its first */
  rpi_workers *pool;
  pthread_t thread;
  RPI_ALIGNED(64) _Atomic int64_t taken;
} worker;

struct rpi_workers {
  int32_t count;
  int32_t alive; /* threads started, the caller included */
  bool pin;
  int64_t spin;
  uint32_t forks; /* the process's count when the pool was made */
  worker *all;    /* [count]; [0] is the caller */
  char *scratch;

  /* One line written by the caller and read by all: a worker that sees the turn has fn too. */
  RPI_ALIGNED(64) _Atomic uint64_t turn;
  rpi_workers_fn *fn;
  void *arg;

  RPI_ALIGNED(64) _Atomic uint32_t left;
  RPI_ALIGNED(64) _Atomic uint32_t caller_asleep;
};

/* ---- small machinery ------------------------------------------------------------------------- */

static _Atomic uint32_t fork_count;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void after_fork(void) { atomic_fetch_add(&fork_count, 1); }
static void watch_forks(void) { pthread_atfork(NULL, NULL, after_fork); }

static bool forked(const rpi_workers *w) {
  return w->forks != atomic_load_explicit(&fork_count, memory_order_relaxed);
}

static void pause_briefly(void) {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t expected) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Wakes the thread that sleeps on `flag`, if one does. */
static void rouse(_Atomic uint32_t *flag) {
  if (atomic_load(flag) && atomic_exchange(flag, 0)) futex_wake(flag);
}

/* Round to nearest, subnormals kept, no traps. Looked at before each part: an opaque task may have
 * left another mode. */
static void pin_float_mode(void) {
#if defined(__x86_64__)
  enum { MODE = 0x1F80, RAISED = 0x3F };
  if ((_mm_getcsr() & ~(unsigned)RAISED) != MODE) _mm_setcsr(MODE);
#else
  fesetenv(FE_DFL_ENV);
#endif
}

/* The processors the calling thread may use, in order: fills `cpu` up to `cap`, returns how
 * many. */
static int32_t allowed_cpus(int32_t *cpu, int32_t cap) {
  cpu_set_t set[CPU_SETS];
  memset(set, 0, sizeof set);
  int32_t n = 0;
  if (sched_getaffinity(0, sizeof set, set) == 0) {
    for (int32_t i = 0; i < CPU_SETS * CPU_SETSIZE && n < cap; i++) {
      if (CPU_ISSET_S((size_t)i, sizeof set, set)) cpu[n++] = i;
    }
  }
  return n;
}

static void bind_to(int32_t cpu) {
  cpu_set_t set[CPU_SETS];
  memset(set, 0, sizeof set);
  CPU_SET_S((size_t)cpu, sizeof set, set);
  sched_setaffinity(0, sizeof set, set); /* a processor may have gone: then it stays unbound */
}

/* ---- the life of a worker -------------------------------------------------------------------- */

static int32_t parts_of(uint64_t turn) { return (int32_t)(turn & 0xFFFF); }

/* Waits for a turn after `last` that worker `me` has a part in. */
static uint64_t wait_for_turn(rpi_workers *w, worker *me, uint64_t last) {
  uint64_t turn;
  for (int64_t i = 0; i < w->spin; i++) {
    turn = atomic_load_explicit(&w->turn, memory_order_acquire);
    if (turn != last && me->index < parts_of(turn)) return turn;
    pause_briefly();
  }
  for (;;) {
    atomic_store(&me->asleep, 1);
    turn = atomic_load(&w->turn);
    if (turn != last && me->index < parts_of(turn)) break;
    futex_wait(&me->asleep, 1);
  }
  atomic_store_explicit(&me->asleep, 0, memory_order_relaxed);
  return turn;
}

static char *scratch_of(const rpi_workers *w, int32_t i) {
  return w->scratch + (size_t)i * RPI_KERNEL_SCRATCH;
}

static void *worker_main(void *arg) {
  worker *me = arg;
  rpi_workers *w = me->pool;
  char name[16];
  snprintf(name, sizeof name, "reprise-%d", (int)(me->index % 10000));
  pthread_setname_np(pthread_self(), name);
  if (me->cpu >= 0) bind_to(me->cpu);
#if defined(__x86_64__)
  __asm__ volatile("fninit"); /* the creator's mode is inherited, the x87's too */
#endif
  for (uint64_t turn = me->since;;) {
    turn = wait_for_turn(w, me, turn);
    if (!w->fn) return NULL;
    pin_float_mode();
    w->fn(w->arg, me->index, parts_of(turn), scratch_of(w, me->index));
    if (atomic_fetch_sub(&w->left, 1) == 1) rouse(&w->caller_asleep);
  }
}

/* Gives the threads of a pool that binds them their processors: the caller's is worker 0's, which stays
 * unbound. Without memory for it all do. */
static void choose_cpus(rpi_workers *w) {
  int32_t *cpu = rpi_alloc(MOST_CPUS * sizeof *cpu);
  const int32_t n = cpu ? allowed_cpus(cpu, MOST_CPUS) : 0;
  if (n >= w->count) {
    rpi_topology_order(RPI_TOPOLOGY_ROOT, sched_getcpu(), cpu, n);
    for (int32_t i = 1; i < w->count; i++) w->all[i].cpu = cpu[i];
  }
  rpi_alloc_free(cpu);
}

/* Starts threads until `n` are alive, the caller counted; fewer if the system refuses. */
static void start_threads(rpi_workers *w, int32_t n) {
  /* Signals are for the application's threads. Faults stay open: a blocked one would kill the
   * process without the crash handler that may be installed. */
  static const int fault[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
  sigset_t block, before;
  if (w->pin && w->alive == 1) choose_cpus(w);
  sigfillset(&block);
  for (int32_t i = 0; i < RPI_COUNT(fault); i++) sigdelset(&block, fault[i]);
  pthread_sigmask(SIG_SETMASK, &block, &before);
  for (; w->alive < n; w->alive++) {
    worker *one = &w->all[w->alive];
    one->since = atomic_load_explicit(&w->turn, memory_order_relaxed);
    if (pthread_create(&one->thread, NULL, worker_main, one) != 0) break;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- creating and destroying ----------------------------------------------------------------- */

static rp_status create_with(int32_t threads, bool pin, int64_t spin, int32_t n_cpu,
                             rpi_workers **out) {
  if (threads == 0) threads = n_cpu < MAX_THREADS ? n_cpu : MAX_THREADS;
  rpi_workers *w = rpi_alloc_aligned(64, sizeof *w);
  if (!w) return rpi_status_nomem("the worker pool");
  memset(w, 0, sizeof *w);
  size_t all_size = (size_t)threads * sizeof(worker);
  w->all = rpi_alloc_aligned(64, all_size);
  w->scratch = rpi_alloc_aligned(64, (size_t)threads * RPI_KERNEL_SCRATCH);
  if (!w->all || !w->scratch) {
    rpi_alloc_free(w->scratch);
    rpi_alloc_free(w->all);
    rpi_alloc_free(w);
    return rpi_status_nomem("the scratch memory of the workers");
  }
  memset(w->all, 0, all_size);
  w->count = threads;
  w->alive = 1;
  w->spin = threads <= n_cpu ? spin : 0;
  w->pin = pin && threads <= n_cpu;
  w->forks = atomic_load(&fork_count);
  for (int32_t i = 0; i < threads; i++) {
    w->all[i].index = i;
    w->all[i].pool = w;
    w->all[i].cpu = -1;
  }
  *out = w;
  return RP_OK;
}

rp_status rpi_workers_create(int32_t threads, bool pin, int64_t spin, rpi_workers **out) {
  *out = NULL;
  if (threads < 0 || threads > MAX_THREADS) {
    return rpi_status_fail(RP_ERR_ARGUMENT, "threads: %d is not in 0..%d", (int)threads,
                           (int)MAX_THREADS);
  }
  pthread_once(&fork_once, watch_forks);
  int32_t *cpu = rpi_alloc(MOST_CPUS * sizeof *cpu);
  if (!cpu) return rpi_status_nomem("the list of processors");
  int32_t n_cpu = allowed_cpus(cpu, MOST_CPUS);
  rpi_alloc_free(cpu);
  if (n_cpu == 0) { /* the system does not say: as many as there are, and none to bind to */
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    n_cpu = online > 0 && online < MOST_CPUS ? (int32_t)online : 1;
    pin = false;
  }
  if (!rpi_copies_first()) { /* its threads and ours would fight for the processors */
    pin = false;
    spin = 0;
  }
  return create_with(threads, pin, spin, n_cpu, out);
}

/* Starts a run of `n` parts; fn NULL ends the threads. */
static void publish(rpi_workers *w, int32_t n, rpi_workers_fn *fn, void *arg) {
  uint64_t turn = atomic_load_explicit(&w->turn, memory_order_relaxed);
  w->fn = fn;
  w->arg = arg;
  for (int32_t i = 0; i < n; i++) atomic_store_explicit(&w->all[i].taken, 0, memory_order_relaxed);
  atomic_store_explicit(&w->left, (uint32_t)n - 1, memory_order_relaxed);
  atomic_store(&w->turn, ((turn >> 16) + 1) << 16 | (uint64_t)n);
  for (int32_t i = 1; i < n; i++) rouse(&w->all[i].asleep);
}

void rpi_workers_destroy(rpi_workers *w) {
  if (!w) return;
  if (w->alive > 1 && !forked(w)) {
    publish(w, w->alive, NULL, NULL);
    for (int32_t i = 1; i < w->alive; i++) pthread_join(w->all[i].thread, NULL);
  }
  rpi_alloc_free(w->scratch);
  rpi_alloc_free(w->all);
  rpi_alloc_free(w);
}

int32_t rpi_workers_count(const rpi_workers *w) { return w->count; }

_Atomic int64_t *rpi_workers_taken(rpi_workers *w, int32_t i) { return &w->all[i].taken; }

void *rpi_workers_scratch(rpi_workers *w) { return w->scratch; }

/* ---- running --------------------------------------------------------------------------------- */

static void wait_for_parts(rpi_workers *w) {
  for (int64_t i = 0; i < w->spin; i++) {
    if (atomic_load_explicit(&w->left, memory_order_acquire) == 0) return;
    pause_briefly();
  }
  for (;;) {
    atomic_store(&w->caller_asleep, 1);
    if (atomic_load(&w->left) == 0) break;
    futex_wait(&w->caller_asleep, 1);
  }
  atomic_store_explicit(&w->caller_asleep, 0, memory_order_relaxed);
}

void rpi_workers_run(rpi_workers *w, int32_t n, rpi_workers_fn *fn, void *arg) {
  rpi_assert(n >= 1 && n <= w->count && fn);
  if (n > 1) {
    if (RPI_UNLIKELY(forked(w))) {
      n = 1;
    } else if (RPI_UNLIKELY(n > w->alive)) {
      start_threads(w, n);
      if (n > w->alive) n = w->alive;
    }
  }
  if (n == 1) {
    fn(arg, 0, 1, w->scratch);
    return;
  }
  publish(w, n, fn, arg);
  fn(arg, 0, n, w->scratch);
  wait_for_parts(w);
}
