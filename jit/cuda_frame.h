/* SPDX-License-Identifier: Apache-2.0
 * jit/cuda_frame.h -- what every CUDA kernel stands on: words, checked indices, warps, the end of a grid,
 * and the upper half of reductions.
 *
 * Lives here: text behind the head of jit/lanes_cuda.h, C11 and CUDA C++ alike; the build embeds it.
 * Not here:   what an operation computes (lanes.h), the kernels (emit_cuda.c).
 * How:        RPG_FINISH(op, T) writes, for one operator and dtype, what joins partials: the pairwise tree of SEMANTICS
 *             3 over the groups of each row, then over the rows of each kept index. Value i of a tree stays at its first
 *             place while subtrees join, so nothing moves and a level has no hazards; a thread does three levels of
 *             an aligned run of 8 at once. A block does a kept index if that has many partials, else a thread does; where
 *             kept indices are few and their partials very many, blocks join subtrees first and the last block the rest.
 *             RPG_FOLD(op, T) folds the 64 accumulators of a warp. A text names only those that it uses. */
/* Tables of macros, laid out by hand: */
/* clang-format off */
#ifndef RPI_CUDA_FRAME_H
#define RPI_CUDA_FRAME_H

typedef rpc_i8 int8_t; typedef rpc_i16 int16_t; typedef rpc_i32 int32_t; typedef rpc_i64 int64_t;
typedef rpc_u8 uint8_t; typedef rpc_u16 uint16_t; typedef rpc_u32 uint32_t; typedef rpc_u64 uint64_t;
/* Before a loop: how often it is written out. */
#ifdef RPG_HOST
#define RPK_ROLLED
#define RPK_UNROLL(n)
#else
#pragma nv_diag_suppress 177 /* values that a section does not use */
#define RPK_ROLLED _Pragma("unroll 1")
#define RPK_PRAGMA(text) _Pragma(#text)
#define RPK_UNROLL(n) RPK_PRAGMA(unroll n)
#endif

typedef union rpk_word { int64_t i; uint64_t u; double f; void *p; } rpk_word;

/* Values from and to the bits of a word; a value of the thread n further in the warp, or of thread t; n neighbours in
 * memory. */
#define RPG_BITS(T, width)                                                                          \
  RPG_DEVICE rpc_##T rpk_##T(uint64_t u) {                                                          \
    union { uint64_t u; rpc_##T v; } x; x.u = u; return x.v;                                        \
  }                                                                                                 \
  RPG_DEVICE uint64_t rpk_put_##T(rpc_##T v) {                                                      \
    union { uint64_t u; rpc_##T v; } x; x.u = 0; x.v = v; return x.u;                               \
  }                                                                                                 \
  RPG_DEVICE rpc_##T rpk_down_##T(rpc_##T v, int n) {                                               \
    return rpk_##T(RPG_DOWN##width((rpc_u##width)rpk_put_##T(v), n));                               \
  }                                                                                                 \
  RPG_DEVICE rpc_##T rpk_from_##T(rpc_##T v, int t) {                                               \
    return rpk_##T(RPG_FROM##width((rpc_u##width)rpk_put_##T(v), t));                               \
  }                                                                                                 \
  typedef struct RPG_ALIGN(2 * sizeof(rpc_##T)) rpk_##T##_2 { rpc_##T v[2]; } rpk_##T##_2;
#define RPG_FOURS(T) \
  typedef struct RPG_ALIGN(4 * sizeof(rpc_##T)) rpk_##T##_4 { rpc_##T v[4]; } rpk_##T##_4;
RPG_BITS(bool, 32) RPG_BITS(i8, 32) RPG_BITS(i16, 32) RPG_BITS(i32, 32) RPG_BITS(i64, 64)
RPG_BITS(u8, 32) RPG_BITS(u16, 32) RPG_BITS(u32, 32) RPG_BITS(u64, 64) RPG_BITS(f32, 32) RPG_BITS(f64, 64)
RPG_FOURS(bool) RPG_FOURS(i8) RPG_FOURS(i16) RPG_FOURS(i32) RPG_FOURS(u8) RPG_FOURS(u16) RPG_FOURS(u32)
RPG_FOURS(f32)

/* Indices out of range are clamped and noted; an empty table is read as 0 by the caller. */
RPG_DEVICE int64_t rpk_clamp(int64_t i, int64_t n, int *bad) {
  const int64_t k = i >= n ? n - 1 : i;
  const int64_t inside = k < 0 ? 0 : k;
  *bad |= inside != i || n <= 0;
  return inside;
}

/* Elements of the rows of a warp's threads, numbered one row after another: where the thread's row ends if it has
 * `size`, and whose element j is. */
RPG_DEVICE int rpk_ends(int size) {
  const int me = RPG_THREAD & 31;
  for (int d = 1; d < 32; d *= 2) {
    const int before = rpk_from_i32(size, me < d ? me : me - d);
    size += me < d ? 0 : before;
  }
  return size;
}
RPG_DEVICE int rpk_row_of(int end, int j) {
  int r = 0;
  for (int d = 16; d > 0; d /= 2)
    r += rpk_from_i32(end, r + d - 1) <= j ? d : 0;
  return r;
}

/* Is this the last block of the grid to come here? `flag`: the flag and the counter of blocks, 0 again afterwards.
 * All threads come; what other blocks wrote before is seen afterwards. */
RPG_DEVICE int rpk_last(uint32_t *flag) {
  RPG_SHARED int last;
  RPG_SYNC(); /* what threads of this block wrote */
  if (RPG_BLOCKS == 1) return 1;
  RPG_FENCE();
  RPG_SYNC();
  if (RPG_THREAD == 0) {
    last = RPG_COUNT(flag + 1) == (uint32_t)RPG_BLOCKS - 1;
    if (last) flag[1] = 0;
  }
  RPG_SYNC();
  RPG_FENCE();
  return last;
}

/* ---- reductions ----------------------------------------------------------------------------------- */

/* One reduction: partials of `groups` groups for each row. LEAF mode: rows are the points of `rank` axes, all but the
 * last, and a row's groups are neighbours. ROW mode: all axes count, a kept index is a row of its own, and groups are
 * `step` apart, one for each kept index. Kept indices are row-major numbers. */
enum { RPK_AXES = 8, RPK_RUN = 8, RPK_FEW = 64 };
typedef struct rpk_finish {
  int32_t rank, mask; /* mask: axes that are reduced */
  int64_t groups, step;
  int64_t extent[RPK_AXES], stride[RPK_AXES]; /* of the space, of the destination */
} rpk_finish;

/* Where ranks have joined what each of them had: one partial for each kept index. */
RPG_DEVICE void rpk_roots(rpk_finish *f) {
  f->groups = 1;
  for (int32_t d = 0; d < f->rank; d++) if (f->mask >> d & 1) f->extent[d] = 1;
}

RPG_FAR int64_t rpk_product(const rpk_finish *f, int32_t mask) {
  int64_t n = 1;
  for (int32_t d = 0; d < f->rank; d++) if (mask >> d & 1) n *= f->extent[d];
  return n;
}

/* Where the first partial of row `row` of kept index k is; the next are rpk_kept_step apart. */
RPG_DEVICE int64_t rpk_kept_step(const rpk_finish *f) { return f->step > 0 ? f->step : 1; }
RPG_FAR int64_t rpk_place(const rpk_finish *f, int64_t k, int64_t row) {
  int64_t at = 0, size = 1;
  if (f->step > 0) return k;
  for (int32_t d = f->rank - 1; d >= 0; d--) {
    const int64_t n = f->extent[d];
    if (f->mask >> d & 1) {
      at += row % n * size;
      row /= n;
    } else {
      at += k % n * size;
      k /= n;
    }
    size *= n;
  }
  return at * f->groups;
}

RPG_FAR int64_t rpk_target(const rpk_finish *f, int64_t k) {
  int64_t at = 0;
  for (int32_t d = f->rank - 1; d >= 0; d--) {
    if (f->mask >> d & 1) continue;
    at += k % f->extent[d] * f->stride[d];
    k /= f->extent[d];
  }
  return at;
}

/* What a launch of blocks has to do of it. RPK_ALL: the last block does everything. Else RPK_FIRST by all blocks: what
 * does not concern the prologue, and parts of large trees; then RPK_REST by the last, told how many blocks there were. */
enum { RPK_ALL = 0, RPK_FIRST = 1, RPK_REST = 2 };
enum { RPK_PART = 2048 }; /* partials of a part: every thread of a block joins a run of 8 */

/* The trees of a kept index in parts that blocks do: pieces of `span` groups of a row or, where rows have no more, `some`
 * rows each. Both are powers of 2 or all there are, so a part is a subtree. */
typedef struct rpk_parts { int64_t span, pieces, some, n; } rpk_parts;
RPG_FAR void rpk_cut(rpk_parts *c, int64_t rows, int64_t groups) {
  c->span = groups > RPK_PART ? RPK_PART : groups;
  c->pieces = (groups + c->span - 1) / c->span;
  c->some = 1;
  while (c->pieces == 1 && c->some < rows && 2 * c->some * groups <= RPK_PART) c->some *= 2;
  c->n = (rows + c->some - 1) / c->some * c->pieces;
}

/* rpk_trees: by the whole block, trees over groups [at, at + n) of each of `rows` rows from `row` on (over: 0), or over
 * n rows from `row` on (over: 1), of which subtrees of h are joined already. rpk_part: part i of kept index k; rpk_rest: what
 * is left behind all parts. rpk_tree: by one thread, all of a kept index. rpk_finish: stage `stage` of a reduction,
 * for this block of so many. A kept index with many partials is done by a block, if there are as many of them as
 * blocks, else in parts. */
#define RPG_FINISH(op, T)                                                                               \
  RPG_DEVICE void rpk_trees_##op##_##T(const rpk_finish *f, rpc_##T *p, int64_t k, int64_t row0, int64_t rows, \
                                       int64_t at, int64_t n, int over, int64_t h) {                    \
    const int64_t step = rpk_kept_step(f);                                                              \
    RPK_ROLLED for (; h < n; h *= RPK_RUN) {                                                            \
      const int64_t per = (n + RPK_RUN * h - 1) / (RPK_RUN * h);                                        \
      RPK_ROLLED for (int64_t i = RPG_THREAD; i < rows * per; i += RPG_THREADS) {                       \
        const int64_t row = i / per, first = (i - row * per) * RPK_RUN * h;                             \
        rpc_##T *const q = p + rpk_place(f, k, row0 + (over ? first : row)) + (over ? 0 : (at + first) * step); \
        rpc_##T v[RPK_RUN];                                                                             \
        v[0] = *q;                                                                                      \
        for (int j = 1; j < RPK_RUN; j++) {                                                             \
          const int64_t by = first + j * h < n ? j * h : 0;                                             \
          v[j] = over ? p[rpk_place(f, k, row0 + first + by)] : q[by * step];                           \
        }                                                                                               \
        for (int d = 1; d < RPK_RUN; d *= 2)                                                            \
          for (int j = 0; j + d < RPK_RUN; j += 2 * d)                                                  \
            if (first + (j + d) * h < n) v[j] = rps_red_##op##_##T(v[j], v[j + d]);                     \
        *q = v[0];                                                                                      \
      }                                                                                                 \
      RPG_SYNC();                                                                                       \
    }                                                                                                   \
  }                                                                                                     \
  RPG_FAR void rpk_part_##op##_##T(const rpk_finish *f, rpc_##T *p, int64_t k, int64_t rows, const rpk_parts *c, \
                                   int64_t i) {                                                         \
    const int64_t row = i / c->pieces * c->some, at = i % c->pieces * c->span;                          \
    const int64_t m = rows - row < c->some ? rows - row : c->some;                                      \
    const int64_t n = f->groups - at < c->span ? f->groups - at : c->span;                              \
    rpk_trees_##op##_##T(f, p, k, row, m, at, n, 0, 1);                                                 \
    rpk_trees_##op##_##T(f, p, k, row, 1, 0, m, 1, 1);                                                  \
  }                                                                                                     \
  RPG_FAR void rpk_rest_##op##_##T(const rpk_finish *f, rpc_##T *p, int64_t k, int64_t rows, const rpk_parts *c) { \
    rpk_trees_##op##_##T(f, p, k, 0, rows, 0, f->groups, 0, c->span);                                   \
    rpk_trees_##op##_##T(f, p, k, 0, 1, 0, rows, 1, c->some);                                           \
  }                                                                                                     \
  RPG_DEVICE rpc_##T rpk_tree_##op##_##T(const rpk_finish *f, rpc_##T *p, int64_t k, int64_t rows) {    \
    const int64_t step = rpk_kept_step(f);                                                              \
    RPK_ROLLED for (int64_t row = 0; row < rows; row++) {                                               \
      rpc_##T *const q = p + rpk_place(f, k, row);                                                      \
      RPK_ROLLED for (int64_t h = 1; h < f->groups; h *= 2)                                             \
        RPK_ROLLED for (int64_t g = 0; g + h < f->groups; g += 2 * h)                                   \
          q[g * step] = rps_red_##op##_##T(q[g * step], q[(g + h) * step]);                             \
    }                                                                                                   \
    RPK_ROLLED for (int64_t h = 1; h < rows; h *= 2)                                                    \
      RPK_ROLLED for (int64_t row = 0; row + h < rows; row += 2 * h) {                                  \
        rpc_##T *const q = p + rpk_place(f, k, row);                                                    \
        *q = rps_red_##op##_##T(*q, p[rpk_place(f, k, row + h)]);                                       \
      }                                                                                                 \
    return p[rpk_place(f, k, 0)];                                                                       \
  }                                                                                                     \
  RPG_FAR void rpk_finish_##op##_##T(const rpk_finish *f, rpc_##T *p, rpc_##T *to, int join, int stage, \
                                     int block, int blocks) {                                           \
    const int64_t kept = rpk_product(f, ~f->mask), rows = f->step > 0 ? 1 : rpk_product(f, f->mask);    \
    const int64_t n = rows * f->groups;                                                                 \
    const int whole = n > 0 && (kept == 1 || n > RPK_FEW);                                              \
    const int parts = stage != RPK_ALL && n > RPK_PART && kept < blocks;                                \
    rpk_parts c;                                                                                        \
    c.span = c.some = 1;                                                                                \
    if (parts) rpk_cut(&c, rows, f->groups);                                                            \
    if (parts && stage == RPK_FIRST) {                                                                  \
      RPK_ROLLED for (int64_t i = block; i < kept * c.n; i += blocks)                                   \
        rpk_part_##op##_##T(f, p, i / c.n, rows, &c, i % c.n);                                          \
      return;                                                                                           \
    }                                                                                                   \
    if (!parts && stage == (kept == 1 ? RPK_FIRST : RPK_REST)) return;                                  \
    if (stage != RPK_FIRST) block = 0, blocks = 1;                                                      \
    const int64_t first = whole ? block : (int64_t)block * RPG_THREADS + RPG_THREAD;                    \
    const int64_t next = whole ? blocks : (int64_t)blocks * RPG_THREADS;                                \
    RPK_ROLLED for (int64_t k = first; k < kept; k += next) {                                           \
      rpc_##T v;                                                                                        \
      if (whole) {                                                                                      \
        rpk_rest_##op##_##T(f, p, k, rows, &c);                                                         \
        if (RPG_THREAD != 0) continue;                                                                  \
        v = p[rpk_place(f, k, 0)];                                                                      \
      } else {                                                                                          \
        v = n == 0 ? rps_empty_##op##_##T() : rpk_tree_##op##_##T(f, p, k, rows);                       \
      }                                                                                                 \
      rpc_##T *const t = to + rpk_target(f, k);                                                         \
      *t = join ? rps_red_##op##_##T(v, *t) : v;                                                        \
    }                                                                                                   \
  }

/* rpk_halve: the values of a warp, folded by halving; thread 0 has what they make. rpk_fold: so with the accumulators
 * of a leaf, 2t and 2t + 1 at thread t; where they are t and t + 32 their join comes first. rpk_terms: the value of a
 * leaf of n elements in memory. rpk_group: the pairwise
 * tree over n values of neighbouring leaves, in place. */
#define RPG_FOLD(op, T)                                                                             \
  RPG_DEVICE rpc_##T rpk_halve_##op##_##T(rpc_##T v) {                                              \
    for (int h = 16; h > 0; h /= 2) v = rps_red_##op##_##T(v, rpk_down_##T(v, h));                  \
    return v;                                                                                       \
  }                                                                                                 \
  RPG_DEVICE rpc_##T rpk_terms_##op##_##T(const rpc_##T *v, int n) {                                \
    rpc_##T even = rps_identity_##op##_##T(), odd = even;                                           \
    RPK_ROLLED for (int i = RPG_THREAD & 31; i < n; i += 64) {                                      \
      even = rps_red_##op##_##T(even, v[i]);                                                        \
      if (i + 32 < n) odd = rps_red_##op##_##T(odd, v[i + 32]);                                     \
    }                                                                                               \
    return rpk_halve_##op##_##T(rps_red_##op##_##T(even, odd));                                     \
  }                                                                                                 \
  RPG_DEVICE rpc_##T rpk_fold_##op##_##T(rpc_##T even, rpc_##T odd) {                               \
    even = rpk_halve_##op##_##T(even);                                                              \
    return rps_red_##op##_##T(even, rpk_halve_##op##_##T(odd));                                     \
  }                                                                                                 \
  RPG_DEVICE rpc_##T rpk_group_##op##_##T(rpc_##T *v, int n) {                                      \
    for (int h = 1; h < n; h *= 2)                                                                  \
      for (int i = 0; i + h < n; i += 2 * h) v[i] = rps_red_##op##_##T(v[i], v[i + h]);             \
    return v[0];                                                                                    \
  }
#endif
