/* SPDX-License-Identifier: Apache-2.0
 * core/base/status.c -- the sentence beside a status code.
 *
 * Lives here: one buffer per thread, and the three ways to write it.
 * Not here:   names of codes and rp_last_error (bindings/c).
 * Invariants: the buffer is always NUL-terminated; a sentence that does not fit ends in "...", cut
 *             between two UTF-8 characters. Arguments may point into the buffer: text is formatted
 *             beside it first. Nothing allocates: running out of memory can be said. */
#include "core/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SENTENCE = 1024 };

static _Thread_local char sentence[SENTENCE];
static _Thread_local uint64_t written;

/* Puts `text` into the buffer, of which `len` is the full length (possibly more than there is). */
static void keep(char *text, size_t len) {
  if (len >= SENTENCE) {
    size_t at = SENTENCE - 4;
    while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80) at--;
    memcpy(text + at, "...", 4);
    len = at + 3;
  }
  memcpy(sentence, text, len + 1);
  written++;
}

/* vsnprintf's result as a length: text that cannot be formatted counts as empty. */
static size_t format(char *text, size_t size, const char *fmt, va_list args) {
  int n = vsnprintf(text, size, fmt, args);
  if (n >= 0) return (size_t)n;
  text[0] = '\0';
  return 0;
}

rp_status rpi_status_fail(rp_status status, const char *fmt, ...) {
  char text[SENTENCE];
  va_list args;
  va_start(args, fmt);
  size_t len = format(text, sizeof text, fmt, args);
  va_end(args);
  keep(text, len);
  return status;
}

rp_status rpi_status_context(rp_status status, const char *fmt, ...) {
  char text[SENTENCE];
  va_list args;
  va_start(args, fmt);
  size_t len = format(text, sizeof text, fmt, args);
  va_end(args);
  if (len < sizeof text) {
    int n = snprintf(text + len, sizeof text - len, ": %s", sentence);
    if (n > 0) len += (size_t)n;
  }
  keep(text, len);
  return status;
}

const char *rpi_status_message(void) { return sentence; }

uint64_t rpi_status_count(void) { return written; }

rp_status rpi_status_nomem(const char *what) {
  return rpi_status_fail(RP_ERR_MEMORY, "out of memory: %s", what);
}
