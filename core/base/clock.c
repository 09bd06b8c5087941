/* SPDX-License-Identifier: Apache-2.0
 * core/base/clock.c -- nanoseconds of the system's clock that is never set and never jumps. */
#include "core/base/clock.h"

#include <time.h>

int64_t rpi_clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
