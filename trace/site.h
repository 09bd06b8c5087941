/* SPDX-License-Identifier: Apache-2.0
 * trace/site.h -- a site of a call as a person knows it: function, file and line.
 *
 * Lives here: from a return address to a record that another process of the same program understands, and from that to
 *             words. Not here: whose addresses these are (calls.h).
 * How:        the record is the module and the address within it, with the nearest dynamic symbol. Words ask `addr2line`,
 *             if there is one and the module has DWARF; else the symbol must do, or the module.
 * Threads:    any. Only for what goes wrong: words take milliseconds, at most two seconds. */
#ifndef RPI_SITE_H
#define RPI_SITE_H

#include "core/base/strbuf.h"

enum { RPI_SITE_MODULE = 240, RPI_SITE_SYMBOL = 80 };

typedef struct rpi_site {
  char module[RPI_SITE_MODULE]; /* a file; empty: nothing is known */
  uint64_t address;             /* as in the file, of the call */
  char symbol[RPI_SITE_SYMBOL]; /* empty: none */
  uint64_t offset;              /* from that */
} rpi_site;

/* `caller`: what __builtin_return_address said, or NULL. */
void rpi_site_find(const void *caller, rpi_site *out);
/* Adds "solver.c:41 (solve)", "app (solve+0x1c)", "app+0x401c" or "an unknown place". */
void rpi_site_print(const rpi_site *w, rpi_strbuf *out);
/* Is it in the module that this library is part of? */
bool rpi_site_is_own(const void *caller);

#endif
