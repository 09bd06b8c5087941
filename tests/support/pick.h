/* SPDX-License-Identifier: Apache-2.0
 * tests/support/pick.h -- random integers for the tests of geometry: one fixed sequence (G. Marsaglia's
 * xorshift64, 2003). */
#ifndef PICK_H
#define PICK_H

#include <stdint.h>

static uint64_t pick_state = 88172645463325252u;

/* One of lo..hi, both included. */
static inline int64_t pick(int64_t lo, int64_t hi) {
  pick_state ^= pick_state << 13;
  pick_state ^= pick_state >> 7;
  pick_state ^= pick_state << 17;
  return lo + (int64_t)(pick_state % (uint64_t)(hi - lo + 1));
}

#endif
