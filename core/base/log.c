/* SPDX-License-Identifier: Apache-2.0
 * core/base/log.c -- lines to stderr, each in one write so that threads do not mix theirs.
 *
 * How: until the first context says its level, REPRISE_LOG or "warn" holds; the first context's
 *      level replaces that, and every later one can only make it more talkative. */
#include "core/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNSAID = -1, LINE = 2048 };

static _Atomic int32_t said = UNSAID;
static _Atomic int32_t initial = UNSAID;

static int32_t initial_level(void) {
  static const char *const name[] = {"quiet", "warn", "info", "debug"};
  int32_t level = atomic_load_explicit(&initial, memory_order_relaxed);
  if (level != UNSAID) return level;
  level = RPI_LOG_WARN;
  const char *text = getenv("REPRISE_LOG");
  for (int32_t i = 0; text && i < RPI_COUNT(name); i++) {
    if (strcmp(text, name[i]) == 0) level = i;
  }
  atomic_store_explicit(&initial, level, memory_order_relaxed);
  return level;
}

static bool wanted(int32_t level) {
  int32_t now = atomic_load_explicit(&said, memory_order_relaxed);
  return level <= (now == UNSAID ? initial_level() : now);
}

void rpi_log_level(int32_t level) {
  int32_t now = atomic_load_explicit(&said, memory_order_relaxed);
  while (level > now && !atomic_compare_exchange_weak_explicit(
                            &said, &now, level, memory_order_relaxed, memory_order_relaxed)) {
  }
}

RPI_PRINTF(1, 0) static void write_line(const char *fmt, va_list args) {
  char line[LINE];
  static const char head[] = "reprise: ";
  size_t at = sizeof head - 1;
  memcpy(line, head, at);
  int n = vsnprintf(line + at, sizeof line - at - 1, fmt, args);
  if (n < 0) return;
  size_t room = sizeof line - at - 2;
  at += (size_t)n < room ? (size_t)n : room;
  line[at++] = '\n';
  fwrite(line, 1, at, stderr);
}

void rpi_log(int32_t level, const char *fmt, ...) {
  if (!wanted(level)) return;
  va_list args;
  va_start(args, fmt);
  write_line(fmt, args);
  va_end(args);
}

void rpi_log_once(bool *once, const char *fmt, ...) {
  if (!wanted(RPI_LOG_WARN) || __atomic_exchange_n(once, true, __ATOMIC_RELAXED)) return;
  va_list args;
  va_start(args, fmt);
  write_line(fmt, args);
  va_end(args);
}
