/* SPDX-License-Identifier: Apache-2.0
 * core/comm/depart.c -- see depart.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/comm/depart.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/alloc.h"

enum { LINGER_MS = 100 };

/* Half of it for last calls, a fifth for what the caller does once it was told. */
static _Atomic int32_t grace = 10;

void rpi_depart_grace(int32_t seconds) { grace = seconds; }

/* So many tenths of it from now on. */
static struct timespec tenths(int32_t n) {
  const int64_t ns = (int64_t)grace * n * 100000000;
  return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

typedef struct call {
  void (*last)(void *arg);
  void *arg;
} call;

static void *make(void *arg) {
  const call c = *(const call *)arg;
  rpi_alloc_free(arg);
  c.last(c.arg);
  return NULL;
}

bool rpi_depart(void (*last)(void *arg), void *arg) {
  call *c = rpi_alloc(sizeof *c);
  pthread_t thread;
  struct timespec until;
  if (!c) return false;
  *c = (call){last, arg};
  clock_gettime(CLOCK_REALTIME, &until); /* the clock of pthread_timedjoin_np */
  const struct timespec patience = tenths(5);
  until.tv_sec += patience.tv_sec + (until.tv_nsec + patience.tv_nsec) / 1000000000;
  until.tv_nsec = (until.tv_nsec + patience.tv_nsec) % 1000000000;
  if (pthread_create(&thread, NULL, make, c) != 0) {
    (void)make(c);
    return true;
  }
  return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

static void *last_exit(void *arg) {
  const struct timespec pause = tenths(2);
  (void)arg;
  nanosleep(&pause, NULL);
  _exit(RPI_DEPART_STATUS);
}

const char *rpi_depart_words(int32_t rank, int32_t size, const char *why) {
  char name[40];
  const int n = snprintf(name, sizeof name, "rank %d of %d: ", rank, size);
  return strncmp(why, name, (size_t)n) == 0 ? why + n : why;
}

void rpi_depart_say(int32_t rank, int32_t size, const char *why) {
  pthread_t guard;
  fprintf(stderr, "reprise: rank %d of %d: %s\n", rank, size, rpi_depart_words(rank, size, why));
  fflush(stderr);
  pthread_create(&guard, NULL, last_exit, NULL);
}

void rpi_depart_linger(void) {
  const struct timespec pause = {.tv_nsec = LINGER_MS * 1000000};
  nanosleep(&pause, NULL);
}
