/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_loops_move.h -- the part of interp_loops.h that moves values and makes indices: copies,
 * strided loads and stores, gathers, expansion of one value per segment; coordinates, clamped and
 * scaled indices. */
/* Tables of macros, laid out by hand: */
/* clang-format off */

#define DEF_GATHER(name, T, B)                                                           \
  LOOP_HEAD(name) {                                                                      \
    rpc_##T *d = dv;                                                                     \
    const rpc_##T *a = av;                                                               \
    const B *b = bv;                                                                     \
    int64_t i = 0, m = (int32_t)n;                                                       \
    UNUSED_C;                                                                            \
    for (; i + 4 <= m; i += 4) {                                                         \
      const rpc_##T p = a[b[i]], q = a[b[i + 1]], r = a[b[i + 2]], s = a[b[i + 3]];      \
      d[i] = p, d[i + 1] = q, d[i + 2] = r, d[i + 3] = s;                                \
    }                                                                                    \
    for (; i < m; i++) d[i] = a[b[i]];                                                   \
  }
#define DEF_MOVE(T, x)                                                                   \
  LOOP1(lp_copy_##T, , T, T)                                                             \
  LOOP_HEAD(lp_loads_##T) {                                                              \
    rpc_##T *d = dv;                                                                     \
    const rpc_##T *a = av;                                                               \
    const int64_t s = (intptr_t)cv;                                                      \
    (void)bv;                                                                            \
    for (int64_t i = 0; i < (int32_t)n; i++) d[i] = a[i * s];                            \
  }                                                                                      \
  LOOP_HEAD(lp_stores_##T) {                                                             \
    rpc_##T *d = dv;                                                                     \
    const rpc_##T *a = av;                                                               \
    const int64_t s = (intptr_t)cv, step = STEP(0) ? 1 : 0;                              \
    (void)bv;                                                                            \
    for (int64_t i = 0; i < (int32_t)n; i++) d[i * s] = rps_cast_##T##_##T(a[i * step]);  \
  }                                                                                      \
  DEF_GATHER(lp_gather_##T, T, int64_t)                                                  \
  DEF_GATHER(lp_gather32_##T, T, int32_t)                                                \
  LOOP_HEAD(lp_expand_##T) {                                                             \
    rpc_##T *d = dv;                                                                     \
    const rpc_##T *a = av;                                                               \
    const int32_t *off = bv;                                                             \
    UNUSED_C;                                                                            \
    for (int64_t s = 0; s < (int32_t)n; s++)                                             \
      for (int32_t i = off[s]; i < off[s + 1]; i++) d[i] = a[s];                         \
  }
OF_ALL(DEF_MOVE, 0)

#if RPI_LOOPS_WIDE
/* d[i] = a + i */
LOOP_HEAD(lp_iota) {
  int64_t *d = dv, m = (int32_t)n;
  rpv_i64 v = rpv_iota() + (int64_t)(intptr_t)av;
  UNUSED_BC;
  for (; m >= RPV_W; m -= RPV_W, d += RPV_W, v += RPV_W) rpv_store_i64(d, v);
  if (m > 0) rpv_storen_i64(d, v, m);
}
/* d[i] = a[i] clamped to [0, extent), extent = c > 0; *b becomes 1 if one was outside. */
LOOP_HEAD(lp_clamp) {
  int64_t *d = dv, m = (int32_t)n, bad = 0;
  const int64_t *a = av, last = (intptr_t)cv - 1, sa = STEP(0);
  for (; m > 0; m -= RPV_W, d += RPV_W, a += sa) {
    const rpv_i64 v = m >= RPV_W ? rpv_load_i64(a) : rpv_loadn_i64(a, m);
    const rpv_i64 low = v < 0, high = v > last;
    const rpv_i64 r = (v & ~low & ~high) | (high & last), out = low | high;
    if (m >= RPV_W) {
      rpv_store_i64(d, r);
      for (int k = 0; k < RPV_W; k++) bad |= out[k];
    } else {
      rpv_storen_i64(d, r, m);
      for (int k = 0; k < m; k++) bad |= out[k];
    }
  }
  if (bad) __atomic_store_n((uint32_t *)(uintptr_t)bv, 1u, __ATOMIC_RELAXED);
}
LOOP_HEAD(lp_inside64) {
  const int64_t *a = av, last = (intptr_t)cv - 1;
  rpv_i64 out = rpv_splat_i64(0);
  int64_t m = (int32_t)n, bad = 0;
  (void)bv;
  for (; m >= RPV_W; m -= RPV_W, a += RPV_W) {
    const rpv_i64 v = rpv_load_i64(a);
    out |= (v < 0) | (v > last);
  }
  for (; m > 0; m--, a++) bad |= *a < 0 || *a > last;
  for (int k = 0; k < RPV_W; k++) bad |= out[k];
  *(int64_t *)dv = bad == 0;
}
LOOP_HEAD(lp_inside32) {
  const int64_t extent = (intptr_t)cv;
  const int32_t *a = av, last = extent > INT32_MAX ? INT32_MAX : (int32_t)extent - 1;
  rpv_i32 out0 = rpv_splat_i32(0), out1 = out0;
  int64_t m = (int32_t)n, bad = 0;
  (void)bv;
  for (; m >= 2 * RPV_W; m -= 2 * RPV_W, a += 2 * RPV_W) {
    const rpv_i32 v = rpv_load_i32(a), w = rpv_load_i32(a + RPV_W);
    out0 |= (v < 0) | (v > last);
    out1 |= (w < 0) | (w > last);
  }
  for (; m > 0; m--, a++) bad |= *a < 0 || *a > last;
  for (int k = 0; k < RPV_W; k++) bad |= out0[k] | out1[k];
  *(int64_t *)dv = bad == 0;
}
/* By groups of points; a group that does not run on is left to the caller. Differences of 64 bits wrap:
 * what is too long for an int64_t is negative. */
LOOP_HEAD(lp_run_on) {
  enum { GROUP = 16 };
  int32_t *off = dv;
  const int64_t *lo = av, *hi = bv;
  rpi_stretch *s = (rpi_stretch *)(uintptr_t)cv;
  const int64_t m = (int32_t)n;
  s->points = s->longest = 0;
  if (m <= GROUP) return;
  const uint64_t first = (uint64_t)lo[0];
  const int64_t len0 = (int64_t)((uint64_t)hi[0] - first);
  if (len0 < 0 || len0 > s->limit) return;
  off[1] = (int32_t)len0;
  s->points = 1, s->longest = len0;
  rpv_i64 longest = rpv_splat_i64(len0);
  for (int64_t i = 1; i + GROUP <= m; i += GROUP) {
    rpv_i64 bad = rpv_splat_i64(0), most = longest;
    for (int64_t j = i; j < i + GROUP; j += RPV_W) {
      const rpv_i64 a = rpv_load_i64(lo + j), b = rpv_load_i64(hi + j);
      const rpv_i64 len = (rpv_i64)((rpv_u64)b - (rpv_u64)a), at = (rpv_i64)((rpv_u64)b - first);
      bad |= (a != rpv_load_i64(hi + j - 1)) | (len < 0) | (at < 0) | (at > s->limit);
      most = rpv_max_i64(most, len);
      rpv_store_i32(off + j + 1, rpv_low_64_32(at));
    }
    int64_t any = 0;
    for (int k = 0; k < RPV_W; k++) any |= bad[k];
    if (any) break;
    longest = most;
    s->points = i + GROUP;
  }
  for (int k = 0; k < RPV_W; k++) s->longest = longest[k] > s->longest ? longest[k] : s->longest;
}
/* d[i] = d[i] * (b is there) + a[i] * c */
LOOP_HEAD(lp_scale) {
  int64_t *d = dv;
  const int64_t *a = av, s = (intptr_t)cv, sa = STEP(0) ? 1 : 0;
  for (int64_t i = 0; i < (int32_t)n; i++) d[i] = (bv != NULL ? d[i] : 0) + a[i * sa] * s;
}
#endif
