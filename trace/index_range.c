/* SPDX-License-Identifier: Apache-2.0
 * trace/index_range.c -- see index_range.h.
 * How: each worker walks its share in blocks of 64 values, a running minimum and maximum per place of
 *      the block, so that the loops become vector instructions; this is on the first pass's path. */
#include "trace/index_range.h"

#include "core/model/dtype.h"

enum { BLOCK = 64, WORKERS = 256, GRAIN = 1 << 16 };

typedef struct bounds {
  int64_t lo, hi;
} bounds;

/* Functions by dtype; this file is the one place that needs them. */
#define BOUNDS(NAME, T) \
  __attribute__((target("avx2"), optimize("O3"))) static bounds NAME(const void *data, \
                                                                     int64_t n) { \
    const T *p = data; \
    T lo[BLOCK], hi[BLOCK]; \
    for (int64_t j = 0; j < BLOCK; j++) lo[j] = hi[j] = p[0]; \
    int64_t i = 0; \
    for (; i + BLOCK <= n; i += BLOCK) \
      for (int64_t j = 0; j < BLOCK; j++) { \
        lo[j] = p[i + j] < lo[j] ? p[i + j] : lo[j]; \
        hi[j] = p[i + j] > hi[j] ? p[i + j] : hi[j]; \
      } \
    for (; i < n; i++) { \
      lo[0] = p[i] < lo[0] ? p[i] : lo[0]; \
      hi[0] = p[i] > hi[0] ? p[i] : hi[0]; \
    } \
    for (int64_t j = 1; j < BLOCK; j++) { \
      lo[0] = lo[j] < lo[0] ? lo[j] : lo[0]; \
      hi[0] = hi[j] > hi[0] ? hi[j] : hi[0]; \
    } \
    return (bounds){(int64_t)lo[0], (int64_t)hi[0]}; \
  }

#ifdef __clang__
#define optimize(x)
#endif

BOUNDS(bounds_i8, int8_t)
BOUNDS(bounds_i16, int16_t)
BOUNDS(bounds_i32, int32_t)
BOUNDS(bounds_i64, int64_t)
BOUNDS(bounds_u8, uint8_t)
BOUNDS(bounds_u16, uint16_t)
BOUNDS(bounds_u32, uint32_t)
BOUNDS(bounds_u64, uint64_t)

typedef bounds bounds_fn(const void *data, int64_t n);

static bounds_fn *const table[RPI_N_DTYPE] = {
    [RP_BOOL] = bounds_u8, [RP_I8] = bounds_i8,   [RP_I16] = bounds_i16,
    [RP_I32] = bounds_i32, [RP_I64] = bounds_i64, [RP_U8] = bounds_u8,
    [RP_U16] = bounds_u16, [RP_U32] = bounds_u32, [RP_U64] = bounds_u64};

typedef struct search {
  rp_dtype dtype;
  const char *data;
  int64_t n;
  bounds part[WORKERS];
  int32_t parts;
} search;

static void search_part(void *arg, int32_t worker, int32_t n, void *scratch) {
  (void)scratch;
  search *s = arg;
  int64_t lo = s->n * worker / n, hi = s->n * (worker + 1) / n;
  s->part[worker] = table[s->dtype](s->data + lo * rpi_dtype_size(s->dtype), hi - lo);
  if (worker == 0) s->parts = n;
}

void rpi_index_range(rpi_workers *workers, rpi_buffer *b, const void *data, int64_t n) {
  if (b->range_version == b->version + 1) return;
  b->range_version = b->version + 1;
  b->range_lo = b->range_hi = 0;
  if (!data || n == 0 || !table[b->base->dtype]) return;
  int64_t threads = n / GRAIN;
  if (threads > rpi_workers_count(workers)) threads = rpi_workers_count(workers);
  if (threads > WORKERS) threads = WORKERS;
  search s = {.dtype = b->base->dtype, .data = data, .n = n};
  rpi_workers_run(workers, threads < 1 ? 1 : (int32_t)threads, search_part, &s);
  bool beyond = false; /* a u64 over INT64_MAX turned negative on its way here, in hi at least */
  b->range_lo = s.part[0].lo;
  b->range_hi = s.part[0].hi;
  for (int32_t i = 0; i < s.parts; i++) {
    if (s.part[i].lo < b->range_lo) b->range_lo = s.part[i].lo;
    if (s.part[i].hi > b->range_hi) b->range_hi = s.part[i].hi;
    beyond = beyond || (b->base->dtype == RP_U64 && s.part[i].hi < 0);
  }
  if (beyond) b->range_lo = INT64_MIN;
}
