/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_c.h -- kernel IR to C text, any number of kernels in one.
 * The text is self-contained: lanes.h (the meaning of the operations) comes first, then each kernel's
 * functions, at last the one thing it exports, the table `rpk_table` of rpi_emit_entry.
 * Readable on purpose: people meet it in a profiler. */
#ifndef RPI_EMIT_C_H
#define RPI_EMIT_C_H

#include "core/exec/kernel.h"
#include "jit/ir.h"

/* An entry of rpk_table; the last one has no key. `pro` and `epi` do nothing if not needed. */
typedef struct rpi_emit_entry {
  const char *key; /* 32 hex digits */
  void (*pro)(const void *self, rpi_word *w);
  void (*body)(const void *self, const rpi_word *w, int64_t u0, int64_t u1, void *scratch);
  void (*epi)(const void *self, rpi_word *w);
} rpi_emit_entry;

typedef struct rpi_emit_unit {
  const rpi_ir *ir;
  const char *key;
} rpi_emit_unit;

/* Lanes of the vectors of this kernel's text; `vector` as in interp.h. Kernels share a text only
 * if theirs agree, for its head fixes the width. */
int32_t rpi_emit_c_lanes(const rpi_ir *ir, int32_t vector);
/* Appends the text of n >= 1 kernels. */
rp_status rpi_emit_c(const rpi_emit_unit *unit, int32_t n, int32_t vector, rpi_strbuf *out);
/* The entry of `key` in a loaded object's table (NULL: no table), or NULL. */
const rpi_emit_entry *rpi_emit_c_find(const rpi_emit_entry *table, const char *key);

#endif
