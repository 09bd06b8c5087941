/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_c.h -- kernel IR to C text.
 * The text is self-contained: lanes.h (the meaning of the operations) comes first, then three
 * functions and a query, all extern "C":
 *   void rpk_pro(const void *self, rpi_word *w);      void rpk_epi(...);   (empty if not needed)
 *   void rpk_body(const void *self, const rpi_word *w, int64_t u0, int64_t u1, void *scratch);
 *   const char *rpk_query(void);                      -- the 32 hex digits of the key
 * Readable on purpose: people meet it in a profiler. */
#ifndef RPI_EMIT_C_H
#define RPI_EMIT_C_H

#include "jit/ir.h"

/* Appends the text. `vector` as in interp.h; `key` is what rpk_query answers. */
rp_status rpi_emit_c(const rpi_ir *ir, int32_t vector, const char *key, rpi_strbuf *out);

#endif
