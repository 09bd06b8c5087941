/* SPDX-License-Identifier: Apache-2.0
 * jit/idle_thread.h -- a thread that works through what it is handed when the machine has nothing better to do.
 *
 * Lives here: the thread, its inbox, waiting for it. Not here: the work: the owner's function.
 * How:        the owner's one other thread pushes lists of items onto an inbox (one atomic exchange) and posts a
 *             semaphore; the thread takes the whole inbox at once. They share no lock: the thread is SCHED_IDLE, and a lock
 *             it held while it waits for a core would stop the other. Items that the work sets aside it is given again a few
 *             milliseconds later. Items are linked through a pointer of theirs, `next` bytes from their beginning. */
#ifndef RPI_IDLE_THREAD_H
#define RPI_IDLE_THREAD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "core/base/attr.h"

enum { RPI_IDLE_RETRY_NS = 5 * 1000 * 1000 };

/* Works through `list` (oldest first) and returns what it sets aside; *done: how many items are finished. Returns soon where
 * rpi_idle_stops says so. */
typedef void *(*rpi_idle_work)(void *arg, void *list, int32_t *done);

typedef struct rpi_idle_thread {
  rpi_idle_work work;
  void *arg;
  size_t next;
  bool started;
  pthread_t thread;
  sem_t wake;
  _Atomic(void *) inbox;
  _Atomic bool stop;
  _Atomic int64_t pending; /* queued or under way */
} rpi_idle_thread;

void rpi_idle_init(rpi_idle_thread *t, rpi_idle_work work, void *arg, size_t next);
/* Tells the thread to stop; then the owner may cut its work short; then ends it. */
void rpi_idle_stop(rpi_idle_thread *t);
void rpi_idle_deinit(rpi_idle_thread *t);
static inline bool rpi_idle_stops(rpi_idle_thread *t) { return atomic_load(&t->stop); }
/* Hands a list over, oldest first; false: the thread does not start, and nothing was taken. */
bool rpi_idle_add(rpi_idle_thread *t, void *list);
/* Somebody waits: the thread stops standing back, where the system allows it (`raised`, if it did), until nothing is
 * pending. Else a busy machine would let the waiter starve. */
void rpi_idle_wait(rpi_idle_thread *t, void (*raised)(void *arg));
void rpi_idle_nap(int64_t ns);

#endif
