/* SPDX-License-Identifier: Apache-2.0
 * tests/support/lines.h -- may a test expect lines of source: is there DWARF in this program, and who reads it? */
#ifndef LINES_H
#define LINES_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline bool has_lines(void) {
  static char text[1 << 16];
  const char name[] = ".debug_line";
  FILE *f = fopen("/proc/self/exe", "rb");
  bool found = false;
  for (size_t n; !found && f && (n = fread(text, 1, sizeof text, f)) > 0;)
    for (const char *p = text; !found && (p = memchr(p, '.', n - (size_t)(p - text))); p++)
      found = (size_t)(text + n - p) >= sizeof name && memcmp(p, name, sizeof name) == 0;
  if (f) fclose(f);
  return found && system("addr2line --version > /dev/null 2>&1") == 0;
}

#endif
