/* SPDX-License-Identifier: Apache-2.0
 * jit/idle_thread.c -- see idle_thread.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "jit/idle_thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { POLL_NS = 100 * 1000 };

void rpi_idle_nap(int64_t ns) {
  const struct timespec t = {.tv_sec = 0, .tv_nsec = (long)ns};
  nanosleep(&t, NULL);
}

void rpi_idle_init(rpi_idle_thread *t, rpi_idle_work work, void *arg, size_t next) {
  memset(t, 0, sizeof *t);
  t->work = work;
  t->arg = arg;
  t->next = next;
  sem_init(&t->wake, 0, 0);
}

void rpi_idle_stop(rpi_idle_thread *t) { atomic_store(&t->stop, true); }

void rpi_idle_deinit(rpi_idle_thread *t) {
  rpi_idle_stop(t);
  if (t->started) {
    sem_post(&t->wake);
    pthread_join(t->thread, NULL);
  }
  sem_destroy(&t->wake);
}

/* ---- lists ---- */

static void *get_next(const rpi_idle_thread *t, const void *item) {
  void *next;
  memcpy(&next, (const char *)item + t->next, sizeof next);
  return next;
}

static void set_next(const rpi_idle_thread *t, void *item, void *next) {
  memcpy((char *)item + t->next, &next, sizeof next);
}

/* Appends the inbox, oldest first, to the list. */
static void *take_inbox(rpi_idle_thread *t, void *list) {
  void *in = atomic_exchange(&t->inbox, NULL), *oldest = NULL, *last = list;
  while (in) {
    void *next = get_next(t, in);
    set_next(t, in, oldest);
    oldest = in;
    in = next;
  }
  if (!list) return oldest;
  while (get_next(t, last)) last = get_next(t, last);
  set_next(t, last, oldest);
  return list;
}

/* ---- the thread ---- */

static void sleep_until_woken(rpi_idle_thread *t, bool retry) {
  struct timespec until;
  if (!retry) {
    while (sem_wait(&t->wake) != 0 && errno == EINTR) {
    }
    return;
  }
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += RPI_IDLE_RETRY_NS;
  if (until.tv_nsec >= 1000000000) {
    until.tv_nsec -= 1000000000;
    until.tv_sec++;
  }
  while (sem_timedwait(&t->wake, &until) != 0 && errno == EINTR) {
  }
}

static void *thread_main(void *arg) {
  rpi_idle_thread *t = arg;
  void *list = NULL;
  pthread_setname_np(pthread_self(), "reprise-jit");
  while (!atomic_load(&t->stop)) {
    int32_t done;
    list = t->work(t->arg, take_inbox(t, list), &done);
    atomic_fetch_sub(&t->pending, done);
    if (!atomic_load(&t->inbox) && !atomic_load(&t->stop)) sleep_until_woken(t, list != NULL);
  }
  return NULL;
}

static bool start(rpi_idle_thread *t) {
  sigset_t all, old;
  const struct sched_param none = {0};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  t->started = pthread_create(&t->thread, NULL, thread_main, t) == 0;
  if (t->started) pthread_setschedparam(t->thread, SCHED_IDLE, &none); /* compilers inherit it */
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return t->started;
}

bool rpi_idle_add(rpi_idle_thread *t, void *list) {
  if (!t->started && !start(t)) return false;
  while (list) { /* newest first, as take_inbox expects */
    void *item = list, *first = atomic_load(&t->inbox);
    list = get_next(t, item);
    atomic_fetch_add(&t->pending, 1);
    do set_next(t, item, first);
    while (!atomic_compare_exchange_weak(&t->inbox, &first, item));
  }
  sem_post(&t->wake);
  return true;
}

void rpi_idle_wait(rpi_idle_thread *t, void (*raised)(void *arg)) {
  const struct sched_param none = {0};
  if (atomic_load(&t->pending) == 0) return;
  const bool up = pthread_setschedparam(t->thread, SCHED_OTHER, &none) == 0;
  if (up && raised) raised(t->arg);
  while (atomic_load(&t->pending) > 0) rpi_idle_nap(POLL_NS);
  if (up) pthread_setschedparam(t->thread, SCHED_IDLE, &none);
}
