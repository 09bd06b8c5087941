/* SPDX-License-Identifier: Apache-2.0
 * core/base/strbuf.h -- a growing string for generated code, dumps and messages.
 * Out of memory is remembered in `failed`; the text is then incomplete. */
#ifndef RPI_STRBUF_H
#define RPI_STRBUF_H

#include "core/base/attr.h"

typedef struct rpi_strbuf {
  char *text; /* NUL-terminated; NULL while empty */
  size_t len;
  size_t cap;
  bool failed;
} rpi_strbuf;

void rpi_strbuf_init(rpi_strbuf *b);
void rpi_strbuf_deinit(rpi_strbuf *b);
void rpi_strbuf_clear(rpi_strbuf *b);
void rpi_strbuf_add(rpi_strbuf *b, const char *text);
void rpi_strbuf_addn(rpi_strbuf *b, const char *text, size_t n);
void rpi_strbuf_addf(rpi_strbuf *b, const char *fmt, ...) RPI_PRINTF(2, 3);
const char *rpi_strbuf_str(const rpi_strbuf *b); /* "" while empty */

#endif
