/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/finalizer.c -- see finalizer.h. */
#include "tests/equal/finalizer.h"

#include <stdlib.h>
#include <unistd.h>

static _Thread_local struct {
  uint64_t random; /* 0: nobody finalizes */
  rp_store **held;
  int32_t n, cap;
} f;

static uint32_t next_of(uint32_t n) {
  f.random = f.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(f.random >> 33) % n;
}

static void finalize_one(void) {
  const uint32_t i = next_of((uint32_t)f.n);
  rp_store_release_any(f.held[i]);
  f.held[i] = f.held[--f.n];
}

void finalizer_begin(uint64_t seed) { f.random = seed; }

rp_status finalizer_take(rp_store *s, bool any) {
  if (!f.random) return any ? rp_store_release_any(s) : rp_store_release(s);
  if (!s) return RP_OK;
  if (f.n == f.cap) {
    f.cap = f.cap ? 2 * f.cap : 64;
    f.held = realloc(f.held, (size_t)f.cap * sizeof(*f.held));
    if (!f.held) abort();
  }
  f.held[f.n++] = s;
  return RP_OK;
}

void finalizer_step(void) {
  if (!f.random) return;
  if (next_of(16) == 0) usleep(next_of(200));
  while (f.n > 0 && next_of(5) > 1) finalize_one();
}

void finalizer_end(void) {
  while (f.random && f.n > 0) finalize_one();
  free(f.held);
  f.held = NULL;
  f.n = f.cap = 0;
  f.random = 0;
}
