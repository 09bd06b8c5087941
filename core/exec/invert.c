/* SPDX-License-Identifier: Apache-2.0
 * core/exec/invert.c -- see invert.h. While points are placed, count[j + 1] is where the next one with key j goes; when all
 * are, it is where the segment ends. */
#include "core/exec/invert.h"

#include <string.h>

enum { BLOCK = 1024 };

/* Up to BLOCK keys from the first on, each in 0..n_count-1; returns whether all were. */
typedef bool load_fn(const void *key, int64_t first, int64_t n, int64_t n_count, int64_t *out);

#define LOAD(NAME, T) \
  static bool NAME(const void *key, int64_t first, int64_t n, int64_t n_count, int64_t *out) { \
    const T *p = (const T *)key + first; \
    bool good = true; \
    for (int64_t i = 0; i < n; i++) { \
      const int64_t v = (int64_t)p[i]; \
      const int64_t c = v < 0 ? 0 : v >= n_count ? n_count - 1 : v; \
      good = good & (v == c); \
      out[i] = c; \
    } \
    return good; \
  }

LOAD(load_i8, int8_t)
LOAD(load_i16, int16_t)
LOAD(load_i32, int32_t)
LOAD(load_i64, int64_t)
LOAD(load_u8, uint8_t)
LOAD(load_u16, uint16_t)
LOAD(load_u32, uint32_t)
LOAD(load_u64, uint64_t)

static load_fn *const table[RPI_N_DTYPE] = {
    [RP_I8] = load_i8, [RP_I16] = load_i16, [RP_I32] = load_i32, [RP_I64] = load_i64,
    [RP_U8] = load_u8, [RP_U16] = load_u16, [RP_U32] = load_u32, [RP_U64] = load_u64};

typedef struct job {
  load_fn *load;
  const rpi_invert_space *space;
  const void *key;
  int64_t n, n_count;
  void *const *point;
} job;

/* Functions by the width of what they write. */
#define SORT(T) \
  static bool count_##T(const job *j, T *count) { \
    int64_t key[BLOCK]; \
    bool good = true; \
    memset(count, 0, (size_t)(j->n_count + 1) * sizeof *count); \
    for (int64_t i = 0; i < j->n; i += BLOCK) { \
      const int64_t n = j->n - i < BLOCK ? j->n - i : BLOCK; \
      good = j->load(j->key, i, n, j->n_count, key) & good; \
      for (int64_t k = 0; k < n; k++) count[key[k] + 1]++; \
    } \
    T before = 0; \
    for (int64_t c = 1; c <= j->n_count; c++) { \
      const T mine = count[c]; \
      count[c] = before; \
      before += mine; \
    } \
    return good; \
  } \
\
  static void place_##T(const job *j, T *count) { \
    int64_t key[BLOCK], at[RP_MAX_DIM] = {0}; \
    const int64_t last = j->space->rank - 1; \
    for (int64_t i = 0; i < j->n; i += BLOCK) { \
      const int64_t n = j->n - i < BLOCK ? j->n - i : BLOCK; \
      j->load(j->key, i, n, j->n_count, key); \
      for (int64_t k = 0; k < n && last == 0; k++) \
        ((T *)j->point[0])[count[key[k] + 1]++] = (T)(i + k); \
      for (int64_t k = 0; k < n && last != 0; k++) { \
        const T to = count[key[k] + 1]++; \
        for (int64_t d = 0; d <= last; d++) ((T *)j->point[d])[to] = (T)at[d]; \
        for (int64_t d = last; d > 0 && ++at[d] == j->space->extent[d - 1]; d--) at[d] = 0; \
        if (last > 0) at[0] += is_zero(at, last); \
      } \
    } \
  } \
\
  static bool sort_##T(const job *j, T *count) { \
    const bool good = count_##T(j, count); \
    place_##T(j, count); \
    return good; \
  }

/* All coordinates but the first came round. */
static bool is_zero(const int64_t *at, int64_t last) {
  bool zero = true;
  for (int64_t d = 1; d <= last; d++) zero = zero && at[d] == 0;
  return zero;
}

SORT(int32_t)
SORT(int64_t)

int rpi_invert(rp_dtype dtype, bool wide, const rpi_invert_space *space, const void *key, int64_t n,
               void *count, int64_t n_count, void *const point[RP_MAX_DIM]) {
  const job j = {table[dtype], space, key, n, n_count, point};
  if (n_count == 0 || n == 0) { /* nowhere to go, or nobody goes */
    const size_t each = wide ? sizeof(int64_t) : sizeof(int32_t);
    memset(count, 0, (size_t)(n_count + 1) * each);
    for (int64_t d = 0; d < space->rank; d++) memset(point[d], 0, (size_t)n * each);
    return n > 0;
  }
  return wide ? !sort_int64_t(&j, count) : !sort_int32_t(&j, count);
}
