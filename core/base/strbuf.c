/* SPDX-License-Identifier: Apache-2.0
 * core/base/strbuf.c -- a string that doubles as it grows.
 * Invariants: cap is 0 and text NULL, or len < cap and text[len] is NUL. Once `failed`, nothing is
 *             added until the next clear, so that what is there is a true beginning of the text. */
#include "core/base/strbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"

void rpi_strbuf_init(rpi_strbuf *b) { *b = (rpi_strbuf){0}; }

void rpi_strbuf_deinit(rpi_strbuf *b) {
  rpi_alloc_free(b->text);
  *b = (rpi_strbuf){0};
}

void rpi_strbuf_clear(rpi_strbuf *b) {
  b->len = 0;
  b->failed = false;
  if (b->text) b->text[0] = '\0';
}

/* Makes room for `more` characters and the NUL. */
static bool reserve(rpi_strbuf *b, size_t more) {
  if (b->failed) return false;
  if (more < b->cap - b->len) return true;
  size_t cap = b->cap ? b->cap * 2 : 256;
  if (more >= SIZE_MAX / 4 || b->len >= SIZE_MAX / 4) {
    b->failed = true;
    return false;
  }
  if (cap < b->len + more + 1) cap = b->len + more + 1;
  char *text = rpi_alloc_resize(b->text, cap);
  if (!text) {
    b->failed = true;
    return false;
  }
  if (!b->text) text[0] = '\0';
  b->text = text;
  b->cap = cap;
  return true;
}

void rpi_strbuf_addn(rpi_strbuf *b, const char *text, size_t n) {
  if (n == 0 || !reserve(b, n)) return;
  memcpy(b->text + b->len, text, n);
  b->len += n;
  b->text[b->len] = '\0';
}

void rpi_strbuf_add(rpi_strbuf *b, const char *text) { rpi_strbuf_addn(b, text, strlen(text)); }

void rpi_strbuf_addf(rpi_strbuf *b, const char *fmt, ...) {
  va_list args, again;
  va_start(args, fmt);
  va_copy(again, args);
  size_t room = b->cap - b->len;
  int n = b->failed ? 0 : vsnprintf(room ? b->text + b->len : NULL, room, fmt, args);
  va_end(args);
  if (n < 0) {
    b->failed = true;
    if (b->text) b->text[b->len] = '\0';
  } else if ((size_t)n < room) {
    b->len += (size_t)n;
  } else if (reserve(b, (size_t)n)) {
    vsnprintf(b->text + b->len, (size_t)n + 1, fmt, again);
    b->len += (size_t)n;
  } else if (b->text) {
    b->text[b->len] = '\0'; /* the first attempt left a part of it */
  }
  va_end(again);
}

const char *rpi_strbuf_str(const rpi_strbuf *b) { return b->text ? b->text : ""; }
