/* SPDX-License-Identifier: Apache-2.0
 * core/model/dtype.c -- the table of element types, and NumPy's promotion (NEP 50, arrays only).
 *
 * How: promotion is a rule over (kind, size), not a table of pairs: bool gives way to everything;
 *      one kind takes the wider; a signed and an unsigned type take the next signed type that holds
 *      both, and f64 where there is none; a float takes integers of less than its own size, and
 *      any larger one makes it f64. */
#include "core/model/dtype.h"

#include <string.h>

static const struct {
  const char *name;
  int32_t size, kind;
} table[] = {
#define RPI_DTYPE(id, text, ctype, k) [RP_##id] = {#text, sizeof(ctype), RPI_KIND_##k},
#include "core/model/dtype.def"
#undef RPI_DTYPE
};

_Static_assert(sizeof table / sizeof table[0] == RPI_N_DTYPE, "dtype.def and RPI_N_DTYPE differ");

bool rpi_dtype_valid(rp_dtype t) { return t >= 0 && t < RPI_N_DTYPE; }

int32_t rpi_dtype_size(rp_dtype t) { return rpi_dtype_valid(t) ? table[t].size : 0; }

int32_t rpi_dtype_kind(rp_dtype t) { return rpi_dtype_valid(t) ? table[t].kind : -1; }

const char *rpi_dtype_name(rp_dtype t) { return rpi_dtype_valid(t) ? table[t].name : "?"; }

rp_dtype rpi_dtype_find(const char *name, size_t n) {
  for (rp_dtype t = 0; t < RPI_N_DTYPE; t++) {
    if (strlen(table[t].name) == n && memcmp(table[t].name, name, n) == 0) return t;
  }
  return -1;
}

/* The signed type that holds a signed one of `si` and an unsigned one of `su` bytes. */
static rp_dtype promote_signs(int32_t si, int32_t su) {
  int32_t size = si > su ? si : 2 * su;
  for (rp_dtype t = RP_I8; t <= RP_I64; t++) {
    if (table[t].size == size) return t;
  }
  return RP_F64;
}

rp_dtype rpi_dtype_promote(rp_dtype a, rp_dtype b) {
  if (!rpi_dtype_valid(a) || !rpi_dtype_valid(b)) return -1;
  if (table[a].kind > table[b].kind) { /* now a's kind comes first in B, I, U, F */
    rp_dtype t = a;
    a = b;
    b = t;
  }
  if (table[a].kind == RPI_KIND_B) return b;
  if (table[a].kind == table[b].kind) return table[a].size > table[b].size ? a : b;
  if (table[b].kind == RPI_KIND_U) return promote_signs(table[a].size, table[b].size);
  return table[a].size < table[b].size ? b : RP_F64;
}

bool rpi_dtype_lossless(rp_dtype from, rp_dtype to) {
  return rpi_dtype_valid(to) && rpi_dtype_promote(from, to) == to;
}
