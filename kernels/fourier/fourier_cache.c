/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/fourier_cache.c -- see fourier_cache.h: two short lists under a mutex. */
#include "kernels/fourier/fourier_cache.h"

#include <pthread.h>
#include <stdlib.h>

enum { ALIGNED = 64 };

typedef struct kept {
  struct kept *next; /* last used first */
  rpi_fourier_plan *plan;
  bool real;
  int32_t users;
} kept;

/* In front of a buffer, which begins ALIGNED bytes behind it. */
typedef struct buffer {
  struct buffer *next;
  int64_t bytes;
} buffer;

struct rpi_fourier_cache {
  pthread_mutex_t lock;
  kept *plans;
  buffer *idle;
  int32_t n_plans, n_buffers;
};

rpi_fourier_cache *rpi_fourier_cache_create(void) {
  rpi_fourier_cache *c = calloc(1, sizeof *c);
  if (c && pthread_mutex_init(&c->lock, NULL) != 0) {
    free(c);
    c = NULL;
  }
  return c;
}

void rpi_fourier_cache_free(void *cache) {
  rpi_fourier_cache *c = cache;
  if (!c) return;
  for (kept *k = c->plans, *next; k; k = next) {
    next = k->next;
    rpi_fourier_plan_free(k->plan);
    free(k);
  }
  for (buffer *b = c->idle, *next; b; b = next) {
    next = b->next;
    free(b);
  }
  pthread_mutex_destroy(&c->lock);
  free(c);
}

/* ---- plans ---- */

static kept *make(bool wide, bool real, int64_t n) {
  kept *k = calloc(1, sizeof *k);
  if (!k) return NULL;
  k->real = real;
  k->plan = rpi_fourier_plan_create(wide, real, n);
  if (k->plan) return k;
  free(k);
  return NULL;
}

/* Ends the plan that has not been used for longest, if there are too many. */
static void forget(rpi_fourier_cache *c) {
  kept **oldest = NULL;
  if (c->n_plans <= RPI_FOURIER_KEPT) return;
  for (kept **at = &c->plans; *at; at = &(*at)->next)
    if ((*at)->users == 0) oldest = at;
  if (!oldest) return;
  kept *k = *oldest;
  *oldest = k->next;
  c->n_plans--;
  rpi_fourier_plan_free(k->plan);
  free(k);
}

const rpi_fourier_plan *rpi_fourier_cache_plan(rpi_fourier_cache *c, bool wide, bool real,
                                               int64_t n) {
  pthread_mutex_lock(&c->lock);
  kept **at = &c->plans, *k;
  while (*at && ((*at)->plan->n != n || (*at)->plan->wide != wide || (*at)->real != real))
    at = &(*at)->next;
  k = *at;
  if (k)
    *at = k->next;
  else
    c->n_plans += (k = make(wide, real, n)) != NULL;
  if (k) {
    k->next = c->plans;
    c->plans = k;
    k->users++;
    forget(c);
  }
  pthread_mutex_unlock(&c->lock);
  return k ? k->plan : NULL;
}

void rpi_fourier_cache_give_plan(rpi_fourier_cache *c, const rpi_fourier_plan *p) {
  if (!p) return;
  pthread_mutex_lock(&c->lock);
  kept *k = c->plans;
  while (k->plan != p) k = k->next;
  k->users--;
  pthread_mutex_unlock(&c->lock);
}

/* ---- buffers ---- */

void *rpi_fourier_cache_buffer(rpi_fourier_cache *c, int64_t bytes) {
  pthread_mutex_lock(&c->lock);
  buffer **at = &c->idle, *b;
  while (*at && (*at)->bytes < bytes) at = &(*at)->next;
  b = *at ? *at : c->idle; /* one that is too small makes way */
  if (b && b->bytes >= bytes) {
    *at = b->next;
  } else {
    if (b) c->idle = b->next;
    c->n_buffers -= b != NULL;
    free(b);
    const int64_t room = (bytes + 2 * ALIGNED - 1) / ALIGNED * ALIGNED;
    b = aligned_alloc(ALIGNED, (size_t)room);
    if (b) b->bytes = bytes;
    c->n_buffers += b != NULL;
  }
  pthread_mutex_unlock(&c->lock);
  return b ? (char *)b + ALIGNED : NULL;
}

void rpi_fourier_cache_give_buffer(rpi_fourier_cache *c, void *memory) {
  if (!memory) return;
  buffer *b = (buffer *)((char *)memory - ALIGNED);
  pthread_mutex_lock(&c->lock);
  b->next = c->idle;
  c->idle = b;
  pthread_mutex_unlock(&c->lock);
}

int32_t rpi_fourier_cache_plans(rpi_fourier_cache *c) {
  pthread_mutex_lock(&c->lock);
  const int32_t n = c->n_plans;
  pthread_mutex_unlock(&c->lock);
  return n;
}

int32_t rpi_fourier_cache_buffers(rpi_fourier_cache *c) {
  pthread_mutex_lock(&c->lock);
  const int32_t n = c->n_buffers;
  pthread_mutex_unlock(&c->lock);
  return n;
}
