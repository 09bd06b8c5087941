/* SPDX-License-Identifier: Apache-2.0
 * core/comm/depart.c -- see depart.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/comm/depart.h"

#include <pthread.h>
#include <time.h>

#include "core/base/alloc.h"

enum { PATIENCE_S = 5 };

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
  until.tv_sec += PATIENCE_S;
  if (pthread_create(&thread, NULL, make, c) != 0) {
    (void)make(c);
    return true;
  }
  return pthread_timedjoin_np(thread, NULL, &until) == 0;
}
