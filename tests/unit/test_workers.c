/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_workers.c -- every part once, on its own thread; data crosses run and barrier in
 * plain memory (a thread sanitizer looks); sleeping, waking, refused threads, fork, modes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/exec/kernel.h"
#include "core/exec/workers.h"

#if defined(__SANITIZE_THREAD__)
enum { THREAD_SANITIZER = 1 };
#elif defined(__has_feature)
enum { THREAD_SANITIZER = __has_feature(thread_sanitizer) };
#else
enum { THREAD_SANITIZER = 0 };
#endif

enum { MOST = 8 };

/* What the parts of a run leave behind, each in its own row. */
typedef struct record {
  int32_t rounds;
  struct {
    int32_t calls, n, value;
    char *scratch;
    pthread_t thread;
    unsigned mode;
    sigset_t blocked;
    cpu_set_t cpus;
  } part[MOST];
} record;

static rpi_workers *create(int32_t threads, int64_t spin) {
  rpi_workers *w;
  assert_int_equal(rpi_workers_create(threads, true, spin, &w), RP_OK);
  return w;
}

static void note(void *arg, int32_t i, int32_t n, void *scratch) {
  record *r = arg;
  r->part[i].calls++;
  r->part[i].n = n;
  r->part[i].scratch = scratch;
  r->part[i].thread = pthread_self();
  pthread_sigmask(SIG_SETMASK, NULL, &r->part[i].blocked);
  sched_getaffinity(0, sizeof(cpu_set_t), &r->part[i].cpus);
#if defined(__x86_64__)
  r->part[i].mode = _mm_getcsr();
#endif
  memset(scratch, i, RPI_KERNEL_SCRATCH);
}

/* First, while no thread's stack is there to be used again: without memory for stacks the caller
 * does everything as one part, and with it the pool comes to life. */
static void test_refused(void **state) {
  (void)state;
  if (THREAD_SANITIZER) skip(); /* it dies where it cannot have memory */
  long pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%ld", &pages) != 1) skip();
  fclose(f);
  rpi_workers *w = create(2, 100);
  record r = {0};
  struct rlimit was, now;
  getrlimit(RLIMIT_AS, &was);
  now = was;
  now.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (1 << 20) + (1 << 17);
  assert_int_equal(setrlimit(RLIMIT_AS, &now), 0);
  rpi_workers_run(w, 2, note, &r);
  assert_int_equal(setrlimit(RLIMIT_AS, &was), 0);
  assert_int_equal(r.part[0].calls, 1);
  assert_int_equal(r.part[0].n, 1);
  assert_int_equal(r.part[1].calls, 0);
  rpi_workers_run(w, 2, note, &r);
  assert_int_equal(r.part[0].calls, 2);
  assert_int_equal(r.part[0].n, 2);
  assert_int_equal(r.part[1].calls, 1);
  rpi_workers_destroy(w);
}

static void test_parts(void **state) {
  (void)state;
  rpi_workers *w = create(4, 200);
  assert_int_equal(rpi_workers_count(w), 4);
  pthread_t thread[4];
  for (int32_t n = 4; n >= 1; n--) {
    record r = {0};
    rpi_workers_run(w, n, note, &r);
    assert_ptr_equal(r.part[0].scratch, rpi_workers_scratch(w));
    assert_true(pthread_equal(r.part[0].thread, pthread_self()));
    for (int32_t i = 0; i < MOST; i++) {
      assert_int_equal(r.part[i].calls, i < n);
      if (i >= n) continue;
      assert_int_equal(r.part[i].n, n);
      assert_int_equal((uintptr_t)r.part[i].scratch % 64, 0);
      for (int32_t k = 0; k < RPI_KERNEL_SCRATCH; k += 999) {
        assert_int_equal(r.part[i].scratch[k], i);
      }
      if (n == 4) thread[i] = r.part[i].thread;
      assert_true(pthread_equal(thread[i], r.part[i].thread));
      for (int32_t j = 0; j < i; j++) assert_false(pthread_equal(thread[i], thread[j]));
    }
  }
  rpi_workers_destroy(w);
}

static void add_up(void *arg, int32_t i, int32_t n, void *scratch) {
  (void)scratch;
  record *r = arg;
  r->part[i].value += r->rounds; /* written by the caller before this run */
  r->part[i].calls++;
  r->part[i].n = n;
}

/* Many runs of random width with and without pauses between them. */
static void hammer(int32_t threads, int64_t spin, int32_t runs) {
  rpi_workers *w = create(threads, spin);
  record r = {0};
  int32_t calls[MOST] = {0}, value[MOST] = {0};
  uint64_t rng = (uint64_t)threads * 1000 + (uint64_t)spin;
  for (int32_t run = 0; run < runs; run++) {
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    int32_t n = 1 + (int32_t)((rng >> 33) % (uint32_t)threads);
    r.rounds = run;
    if ((rng >> 50) % 64 == 0) usleep(100);
    rpi_workers_run(w, n, add_up, &r);
    for (int32_t i = 0; i < threads; i++) {
      if (i < n) calls[i]++, value[i] += run;
      if (i < n) assert_int_equal(r.part[i].n, n);
      assert_int_equal(r.part[i].calls, calls[i]);
      assert_int_equal(r.part[i].value, value[i]);
    }
  }
  rpi_workers_destroy(w);
}

static void test_hammer(void **state) {
  (void)state;
  hammer(1, 100, 1000);
  hammer(2, 0, 2000);
  hammer(2, 5, 3000);
  hammer(2, 20000, 10000);
  hammer(3, 20000, 1000);
  hammer(8, 20000, 400);
}

static int64_t process_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void test_idle(void **state) {
  (void)state;
  rpi_workers *w = create(2, 2000);
  record r = {0};
  rpi_workers_run(w, 2, note, &r);
  usleep(20000);
  int64_t before = process_ns();
  usleep(200000);
  assert_true(process_ns() - before < 20000000);
  rpi_workers_run(w, 2, note, &r);
  assert_int_equal(r.part[1].calls, 2);
  usleep(20000);
  rpi_workers_destroy(w);             /* while asleep */
  rpi_workers_destroy(create(8, 10)); /* never run */
  rpi_workers_destroy(NULL);
}

static void test_fork(void **state) {
  (void)state;
  rpi_workers *w = create(2, 100);
  record r = {0};
  rpi_workers_run(w, 2, note, &r);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    rpi_workers_run(w, 2, note, &r);
    bool ok = r.part[0].calls == 2 && r.part[0].n == 1 && r.part[1].calls == 1;
    rpi_workers_destroy(w);
    if (THREAD_SANITIZER) _exit(ok ? 0 : 1); /* it allows no new thread here */
    if (rpi_workers_create(2, true, 100, &w) != RP_OK) _exit(1);
    rpi_workers_run(w, 2, note, &r);
    ok = ok && r.part[0].n == 2 && r.part[1].calls == 2;
    rpi_workers_destroy(w);
    _exit(ok ? 0 : 1);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  rpi_workers_run(w, 2, note, &r);
  assert_int_equal(r.part[1].calls, 2);
  rpi_workers_destroy(w);
}

static void test_signals(void **state) {
  (void)state;
  sigset_t was, mine, after;
  sigemptyset(&mine);
  sigaddset(&mine, SIGUSR2);
  pthread_sigmask(SIG_SETMASK, &mine, &was);
  rpi_workers *w = create(2, 100);
  record r = {0};
  rpi_workers_run(w, 2, note, &r);
  assert_int_equal(sigismember(&r.part[1].blocked, SIGUSR1), 1);
  assert_int_equal(sigismember(&r.part[1].blocked, SIGCHLD), 1);
  assert_int_equal(sigismember(&r.part[1].blocked, SIGINT), 1);
  assert_int_equal(sigismember(&r.part[1].blocked, SIGSEGV), 0);
  pthread_sigmask(SIG_SETMASK, &was, &after);
  for (int s = 1; s < 32; s++) assert_int_equal(sigismember(&after, s), s == SIGUSR2);
  rpi_workers_destroy(w);
}

/* As many threads as cores: workers have a core each, none the caller's own, whose mask stays. With
 * one thread more nobody is bound. */
static void test_cores(void **state) {
  (void)state;
  cpu_set_t all, both;
  sched_getaffinity(0, sizeof all, &all);
  int32_t cores = CPU_COUNT(&all);
  rpi_workers *w;
  assert_int_equal(rpi_workers_create(0, true, 100, &w), RP_OK);
  assert_int_equal(rpi_workers_count(w), cores);
  rpi_workers_destroy(w);
  int32_t n = cores < MOST ? cores : MOST, here = sched_getcpu();
  w = create(n, 100);
  bool stayed = sched_getcpu() == here;
  record r = {0};
  rpi_workers_run(w, n, note, &r);
  assert_true(CPU_EQUAL(&r.part[0].cpus, &all));
  for (int32_t i = 1; i < n; i++) {
    assert_int_equal(CPU_COUNT(&r.part[i].cpus), 1);
    if (stayed) assert_false(CPU_ISSET((size_t)here, &r.part[i].cpus));
    for (int32_t j = 1; j < i; j++) {
      CPU_AND(&both, &r.part[i].cpus, &r.part[j].cpus);
      assert_int_equal(CPU_COUNT(&both), 0);
    }
  }
  rpi_workers_destroy(w);
  if (cores >= MOST) return;
  for (int32_t pin = 0; pin < 2; pin++) {
    assert_int_equal(rpi_workers_create(pin ? cores + 1 : 2, pin, 100, &w), RP_OK);
    rpi_workers_run(w, 2, note, &r);
    assert_true(CPU_EQUAL(&r.part[1].cpus, &all));
    rpi_workers_destroy(w);
  }
}

#if defined(__x86_64__)
static void spoil(void *arg, int32_t i, int32_t n, void *scratch) {
  (void)arg, (void)n, (void)scratch;
  if (i) _mm_setcsr(0x9FC0); /* flush to zero, denormals are zero */
}

/* Workers have the plain mode whatever the creator's, or what a part left; the caller's is its
 * own. */
static void test_float_mode(void **state) {
  (void)state;
  enum { PLAIN = 0x1F80, MASK = 0xFFC0, TOWARDS_ZERO = 0xFF80 };
  unsigned was = _mm_getcsr();
  rpi_workers *w = create(2, 100);
  record r = {0};
  _mm_setcsr(TOWARDS_ZERO);
  rpi_workers_run(w, 2, note, &r);
  unsigned mine = _mm_getcsr();
  _mm_setcsr(was);
  assert_int_equal(mine & MASK, TOWARDS_ZERO & MASK);
  assert_int_equal(r.part[1].mode & MASK, PLAIN);
  rpi_workers_run(w, 2, spoil, NULL);
  rpi_workers_run(w, 2, note, &r);
  assert_int_equal(r.part[1].mode & MASK, PLAIN);
  rpi_workers_destroy(w);
}
#endif

static void test_errors(void **state) {
  (void)state;
  rpi_workers *w = (rpi_workers *)state; /* not NULL: a failure must set it */
  assert_int_equal(rpi_workers_create(-1, true, 0, &w), RP_ERR_ARGUMENT);
  assert_null(w);
  assert_int_equal(rpi_workers_create(4097, true, 0, &w), RP_ERR_ARGUMENT);
  assert_non_null(strstr(rpi_status_message(), "4097"));
  int32_t n = 1;
  for (;; n++) {
    rpi_alloc_inject(n);
    rp_status s = rpi_workers_create(2, true, 0, &w);
    rpi_alloc_inject(-1);
    if (s == RP_OK) break;
    assert_int_equal(s, RP_ERR_MEMORY);
    assert_null(w);
  }
  assert_true(n > 3);
  rpi_workers_destroy(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_refused),
    cmocka_unit_test(test_parts),
    cmocka_unit_test(test_hammer),
    cmocka_unit_test(test_idle),
    cmocka_unit_test(test_fork),
    cmocka_unit_test(test_signals),
    cmocka_unit_test(test_cores),
#if defined(__x86_64__)
    cmocka_unit_test(test_float_mode),
#endif
    cmocka_unit_test(test_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
