/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_loops_reduce.h -- the part of interp_loops.h that reduces: d = a op b, leaves, folds, segments
 * in order, winners, sums of products. */
/* Tables of macros, laid out by hand: */
/* clang-format off */

#define DEF_RED_T(T, op)                                                                 \
  LOOP2(rd_##op##_##T, rpv_red_##op##_##T, T, T)                                         \
  LOOP_HEAD(lf_##op##_##T) {                                                             \
    rpc_##T *d = dv;                                                                     \
    const rpc_##T *a = av;                                                               \
    const int64_t m = (int32_t)n, whole = m & ~(int64_t)(RPI_ACCUMULATORS - 1);          \
    UNUSED_BC;                                                                           \
    for (int64_t v = 0; whole > 0 && v < RPI_ACCUMULATORS; v += RPV_W) {                 \
      rpv_##T r = rpv_load_##T(d + v);                                                   \
      for (int64_t i = v; i < whole; i += RPI_ACCUMULATORS)                              \
        r = rpv_red_##op##_##T(r, rpv_load_##T(a + i));                                  \
      rpv_store_##T(d + v, r);                                                           \
    }                                                                                    \
    rd_##op##_##T(d, d, a + whole, NULL, m - whole);                                     \
  }                                                                                      \
  LOOP_HEAD(fd_##op##_##T) {                                                             \
    rpc_##T *d = dv;                                                                     \
    UNUSED_BC, (void)av, (void)n;                                                        \
    int64_t h = RPI_ACCUMULATORS / 2;                                                    \
    for (; h >= RPV_W; h /= 2)                                                           \
      for (int64_t v = 0; v < h; v += RPV_W)                                             \
        rpv_store_##T(d + v, rpv_red_##op##_##T(rpv_load_##T(d + v), rpv_load_##T(d + v + h))); \
    for (; h > 0; h /= 2)                                                                \
      for (int64_t v = 0; v < h; v++) d[v] = rps_red_##op##_##T(d[v], d[v + h]);         \
  }                                                                                      \
  static rpc_##T so_##op##_##T(rpc_##T r, const rpc_##T *a, int32_t from, int32_t to) {   \
    for (int32_t i = from; i < to; i++) r = rps_red_##op##_##T(r, rps_cast_##T##_##T(a[i])); \
    return r;                                                                            \
  }                                                                                      \
  LOOP_HEAD(sg_##op##_##T) {                                                             \
    rpc_##T *d = dv;                                                                     \
    const rpc_##T *a = av, none = rps_identity_##op##_##T();                             \
    const int32_t *off = bv;                                                             \
    int64_t s = 0;                                                                       \
    UNUSED_C;                                                                            \
    for (; s + 4 <= (int32_t)n; s += 4) { /* four segments side by side hide the latency */ \
      const int32_t *o = off + s;                                                        \
      const rpc_##T *a0 = a + o[0], *a1 = a + o[1], *a2 = a + o[2], *a3 = a + o[3];      \
      rpc_##T r0 = none, r1 = none, r2 = none, r3 = none;                                \
      int32_t m = o[1] - o[0];                                                           \
      for (int k = 1; k < 4; k++) m = o[k + 1] - o[k] < m ? o[k + 1] - o[k] : m;         \
      for (int32_t i = 0; i < m; i++) {                                                  \
        r0 = rps_red_##op##_##T(r0, rps_cast_##T##_##T(a0[i]));                          \
        r1 = rps_red_##op##_##T(r1, rps_cast_##T##_##T(a1[i]));                          \
        r2 = rps_red_##op##_##T(r2, rps_cast_##T##_##T(a2[i]));                          \
        r3 = rps_red_##op##_##T(r3, rps_cast_##T##_##T(a3[i]));                          \
      }                                                                                  \
      d[s] = so_##op##_##T(r0, a, o[0] + m, o[1]);                                       \
      d[s + 1] = so_##op##_##T(r1, a, o[1] + m, o[2]);                                   \
      d[s + 2] = so_##op##_##T(r2, a, o[2] + m, o[3]);                                   \
      d[s + 3] = so_##op##_##T(r3, a, o[3] + m, o[4]);                                   \
      for (int k = 0; k < 4; k++)                                                        \
        if (o[k] == o[k + 1]) d[s + k] = rps_empty_##op##_##T();                         \
    }                                                                                    \
    for (; s < (int32_t)n; s++)                                                          \
      d[s] = off[s] == off[s + 1] ? rps_empty_##op##_##T()                               \
                                  : so_##op##_##T(none, a, off[s], off[s + 1]);          \
  }
#define DEF_RED(op, OP, group) group(DEF_RED_T, op)
REDS(DEF_RED)

#define DEF_WINNER(T, op)                                                                \
  LOOP_HEAD(ag_##op##_##T) {                                                             \
    rpi_winner *d = dv;                                                                  \
    const rpc_##T *a = av;                                                               \
    (void)bv;                                                                            \
    for (int64_t i = 0; i < (int32_t)n; i++) {                                           \
      rpc_##T best;                                                                      \
      __builtin_memcpy(&best, d->value, sizeof best);                                    \
      if (d->k >= 0 && !rps_beats_##op##_##T(rps_cast_##T##_##T(a[i]), best)) continue;  \
      best = rps_cast_##T##_##T(a[i]);                                                   \
      __builtin_memcpy(d->value, &best, sizeof best);                                    \
      d->k = (intptr_t)cv + i;                                                           \
    }                                                                                    \
  }
#define DEF_ARG(T, x) DEF_WINNER(T, argmin) DEF_WINNER(T, argmax)
OF_ALL(DEF_ARG, 0)

/* Sums of products: AT(p, i) is the second factor of pair i. Four segments side by side, as in sg_. */
#define DOT_PLAIN(p, i) b[i]
#define DOT_TABLE(p, i) table[b[i]]
#define DEF_DOT(T, name, B, AT)                                                          \
  static rpc_##T st_##name##_##T(rpc_##T r, const rpc_##T *a, const B *b, const rpc_##T *table, \
                                 int32_t from, int32_t to) {                             \
    (void)table;                                                                         \
    for (int32_t i = from; i < to; i++) r += a[i] * AT(b, i);                            \
    return r;                                                                            \
  }                                                                                      \
  LOOP_HEAD(lp_##name##_##T) {                                                           \
    const rpi_dot *dot = cv;                                                             \
    rpc_##T *d = dv;                                                                     \
    const rpc_##T *a = av, *table = dot->table;                                          \
    const B *b = bv;                                                                     \
    const int32_t *o = dot->offsets, m = (int32_t)n;                                     \
    int32_t s = 0;                                                                       \
    for (; s + 4 <= m; s += 4, o += 4) {                                                 \
      const int32_t len = o[1] - o[0], o0 = o[0], o1 = o[1], o2 = o[2], o3 = o[3];       \
      if (len == 0 || o2 - o1 != len || o3 - o2 != len || o[4] - o3 != len) {            \
        for (int32_t k = 0; k < 4; k++)                                                  \
          d[s + k] = o[k] == o[k + 1] ? rps_empty_sum_##T()                              \
                                      : st_##name##_##T(-0.0, a, b, table, o[k], o[k + 1]); \
        continue;                                                                        \
      }                                                                                  \
      rpc_##T r0 = -0.0, r1 = -0.0, r2 = -0.0, r3 = -0.0;                                \
      for (int32_t i = 0; i < len; i++) {                                                \
        r0 += a[o0 + i] * AT(b, o0 + i);                                                 \
        r1 += a[o1 + i] * AT(b, o1 + i);                                                 \
        r2 += a[o2 + i] * AT(b, o2 + i);                                                 \
        r3 += a[o3 + i] * AT(b, o3 + i);                                                 \
      }                                                                                  \
      d[s] = r0, d[s + 1] = r1, d[s + 2] = r2, d[s + 3] = r3;                            \
    }                                                                                    \
    for (; s < m; s++, o++)                                                              \
      d[s] = o[0] == o[1] ? rps_empty_sum_##T()                                          \
                          : st_##name##_##T(-0.0, a, b, table, o[0], o[1]);              \
  }
#define DEF_DOTS(T, _)                                                                   \
  DEF_DOT(T, dot, rpc_##T, DOT_PLAIN)                                                    \
  DEF_DOT(T, dot_gather32, int32_t, DOT_TABLE)                                           \
  DEF_DOT(T, dot_gather64, int64_t, DOT_TABLE)                                           \
  RPV_FN rpv_##T pf_dot_##T(rpv_##T a, rpv_##T b, rpv_##T c) {                           \
    return rpv_red_sum_##T(c, rpv_mul_##T(a, b));                                        \
  }                                                                                      \
  LOOP3(lp_dot_rest_##T, pf_dot_##T, T, T)                                               \
  LOOP_HEAD(lp_leaf_dot_##T) {                                                           \
    rpc_##T *d = dv;                                                                     \
    const rpc_##T *a = av, *b = bv;                                                      \
    const int64_t m = (int32_t)n, whole = m & ~(int64_t)(RPI_ACCUMULATORS - 1);          \
    UNUSED_C;                                                                            \
    for (int64_t v = 0; whole > 0 && v < RPI_ACCUMULATORS; v += 4 * RPV_W) {             \
      rpv_##T r0 = rpv_load_##T(d + v), r1 = rpv_load_##T(d + v + RPV_W);                \
      rpv_##T r2 = rpv_load_##T(d + v + 2 * RPV_W), r3 = rpv_load_##T(d + v + 3 * RPV_W); \
      for (int64_t i = v; i < whole; i += RPI_ACCUMULATORS) {                            \
        const rpc_##T *x = a + i, *y = b + i;                                            \
        r0 = pf_dot_##T(rpv_load_##T(x), rpv_load_##T(y), r0);                           \
        r1 = pf_dot_##T(rpv_load_##T(x + RPV_W), rpv_load_##T(y + RPV_W), r1);           \
        r2 = pf_dot_##T(rpv_load_##T(x + 2 * RPV_W), rpv_load_##T(y + 2 * RPV_W), r2);   \
        r3 = pf_dot_##T(rpv_load_##T(x + 3 * RPV_W), rpv_load_##T(y + 3 * RPV_W), r3);   \
      }                                                                                  \
      rpv_store_##T(d + v, r0), rpv_store_##T(d + v + RPV_W, r1);                        \
      rpv_store_##T(d + v + 2 * RPV_W, r2), rpv_store_##T(d + v + 3 * RPV_W, r3);        \
    }                                                                                    \
    lp_dot_rest_##T(d, a + whole, b + whole, d, m - whole);                              \
  }
OF_FLOAT(DEF_DOTS, 0)
