/* SPDX-License-Identifier: Apache-2.0
 * tests/support/wide.h -- integers of every dtype as 128-bit numbers, edge values in pairs, and names of columns
 * by dtype, for the rules of SEMANTICS.md 1. Include it behind sheet.h. */
#ifndef WIDE_H
#define WIDE_H

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

/* ---- integers as wide numbers ------------------------------------------------------------------ */

static const char *const integer_name[] = {"",   "i8",  "i16", "i32", "i64",
                                           "u8", "u16", "u32", "u64"};

static inline int width_of(rp_dtype t) { return 8 * (int)rp_dtype_size(t); }
static inline bool is_signed(rp_dtype t) { return t <= RP_I64; }
static inline wide least(rp_dtype t) { return is_signed(t) ? -((wide)1 << (width_of(t) - 1)) : 0; }
static inline wide most(rp_dtype t) { return ((wide)1 << (width_of(t) - is_signed(t))) - 1; }

/* The low bits of v. */
static inline void fit(rp_dtype t, wide v, void *p, int64_t i) {
  memcpy((char *)p + (size_t)i * rp_dtype_size(t), &v, rp_dtype_size(t));
}

static inline wide whole(rp_dtype t, const void *p, int64_t i) {
  uint64_t bits = 0;
  memcpy(&bits, (const char *)p + (size_t)i * rp_dtype_size(t), rp_dtype_size(t));
  if (is_signed(t) && bits >> (width_of(t) - 1) & 1) return (wide)bits - ((wide)1 << width_of(t));
  return (wide)bits;
}

enum { EDGES = 16, PAIRS = EDGES * EDGES + 13 }; /* a tail for every number of lanes */

static inline void integer_pairs(rp_dtype t, void *a, void *b) {
  const wide w = width_of(t);
  const wide v[EDGES] = {0,           1,       2,     3,     -1,       -2,
                         -7,          5,       w - 1, w + 1, least(t), least(t) + 1,
                         most(t) - 1, most(t), w,     100};
  for (int i = 0; i < PAIRS; i++) {
    fit(t, v[i % EDGES], a, i);
    fit(t, v[i / EDGES % EDGES], b, i);
  }
}

/* "A + B" with the names of the dtype's columns: "a_i8 + b_i8". */
static inline void with_names(const char *text, const char *suffix, char *out) {
  size_t n = 0;
  for (const char *p = text; *p; p++) {
    if (*p == 'A' || *p == 'B')
      n += (size_t)snprintf(out + n, SHEET_TEXT - n, "%c_%s", *p == 'A' ? 'a' : 'b', suffix);
    else
      out[n++] = *p;
  }
  out[n] = '\0';
}

#endif
