/* SPDX-License-Identifier: Apache-2.0
 * jit/finish.c -- combines the partials of all units into the destinations of reductions.
 *
 * Lives here: the pairwise tree, its walk over leaves, rows and columns, the join with old values.
 * Not here:   what a leaf is worth (the kernel's body), what a combine operator computes (lanes.h).
 * How:        three loops per operator and dtype, in one table. LEAF mode: the leaves of each row, in
 *             place; then the rows of each kept index in row-major order, as a counter that carries
 *             equal subtrees. ROW mode: whole rows of partials are combined, level by level.
 * Needs:      -mavx2 -mfma -fno-math-errno -Wno-pedantic, for lanes.h. Only its scalars are used. */
/* Tables of macros, laid out by hand: */
/* clang-format off */
#include "jit/finish.h"

#include <string.h>

#include "core/model/dtype.h"

#define RPV_W 4
#define RPV_BITS 256
#define RPV_MASK 8
#define RPV_USE_ALL
#include "jit/lanes.h"

/* d[i] = a[step i] op b[step i] */
typedef void combine_fn(void *d, const void *a, const void *b, int64_t n, int64_t step);

#pragma push_macro("bool")
#undef bool
#define DEF(T, op)                                                                              \
  static void combine_##op##_##T(void *dv, const void *av, const void *bv, int64_t n, int64_t step) { \
    rpc_##T *d = dv;                                                                            \
    const rpc_##T *a = av, *b = bv;                                                             \
    for (int64_t i = 0; i < n; i++) d[i] = rps_red_##op##_##T(a[i * step], b[i * step]);        \
  }
#define OF_NUMBERS(X, ...)                                                                      \
  X(i8, I8, __VA_ARGS__) X(i16, I16, __VA_ARGS__) X(i32, I32, __VA_ARGS__)                      \
  X(i64, I64, __VA_ARGS__) X(u8, U8, __VA_ARGS__) X(u16, U16, __VA_ARGS__)                      \
  X(u32, U32, __VA_ARGS__) X(u64, U64, __VA_ARGS__)
#define OF_ALL(X, ...)                                                                          \
  X(bool, BOOL, __VA_ARGS__) OF_NUMBERS(X, __VA_ARGS__)                                         \
  X(f32, F32, __VA_ARGS__) X(f64, F64, __VA_ARGS__)
#define OF_BITS(X, ...) X(bool, BOOL, __VA_ARGS__) OF_NUMBERS(X, __VA_ARGS__)
#define DEF_OF(T, N, op, OP) DEF(T, op)
#define ROW_OF(T, N, op, OP) [RPI_RED_##OP][RP_##N] = combine_##op##_##T,
#define EACH(X)                                                                                 \
  OF_ALL(X, sum, SUM) OF_ALL(X, prod, PROD) OF_ALL(X, min, MIN) OF_ALL(X, max, MAX)             \
  OF_BITS(X, and, AND) OF_BITS(X, or, OR) OF_BITS(X, xor, XOR) X(bool, BOOL, any, ANY)          \
  X(bool, BOOL, all, ALL)
EACH(DEF_OF)
static combine_fn *const combine_table[RPI_N_RED][RPI_N_DTYPE] = {EACH(ROW_OF)};
#pragma pop_macro("bool")

void rpi_finish_combine(rpi_redop op, rp_dtype dtype, void *a, const void *b, int64_t n) {
  combine_table[op][dtype](a, a, b, n, 1);
}

void rpi_finish_tree(rpi_redop op, rp_dtype dtype, void *values, int64_t n) {
  char *v = values;
  const int64_t size = rpi_dtype_size(dtype);
  for (; n > 1; n = (n + 1) / 2) {
    combine_table[op][dtype](v, v, v + size, n / 2, 2);
    if (n % 2 != 0) memcpy(v + n / 2 * size, v + (n - 1) * size, (size_t)size);
  }
}

/* One reduction at work. */
typedef struct job {
  const rpi_ir *ir;
  const rpi_word *extent, *stride;
  const rpi_ir_red *red;
  combine_fn *combine;
  char *to;      /* destination, at the origin */
  char *partial;
  int64_t size;  /* bytes of an element */
  int32_t rank;
} job;

/* Axes of the space but for some: an odometer over those of `axes` below `rank`. */
static bool next_index(const job *j, uint32_t axes, int64_t *index) {
  for (int32_t d = j->rank - 1; d >= 0; d--) {
    if ((axes >> d & 1) == 0) continue;
    if (++index[d] < j->extent[d].i) return true;
    index[d] = 0;
  }
  return false;
}

static int64_t product(const job *j, uint32_t axes) {
  int64_t n = 1;
  for (int32_t d = 0; d < j->rank; d++)
    if (axes >> d & 1) n *= j->extent[d].i;
  return n;
}

/* The value of a kept index goes to its destination. */
static void deliver(const job *j, const int64_t *index, const void *value) {
  int64_t offset = 0;
  for (int32_t d = 0; d < j->rank; d++) offset += index[d] * j->stride[d].i;
  char *to = j->to + offset * j->size;
  if (j->red->join) j->combine(to, value, to, 1, 1);
  else memcpy(to, value, (size_t)j->size);
}

/* The values of all kept indices, in row-major order. */
static void deliver_all(const job *j, uint32_t kept, const char *from) {
  int64_t index[RP_MAX_DIM] = {0};
  do deliver(j, index, from), from += j->size;
  while (next_index(j, kept, index));
}

static void finish_empty(const job *j, uint32_t kept) {
  const uint64_t bits = rpi_ir_redop_empty(j->red->op, j->ir->operand[j->red->operand].dtype);
  int64_t index[RP_MAX_DIM] = {0};
  if (product(j, kept) == 0) return;
  do deliver(j, index, &bits);
  while (next_index(j, kept, index));
}

/* The pairwise tree over the rows of one kept index; partial[row] is a row's value. `index` is at the
 * first of them, and is there again afterwards. */
static void finish_rows(const job *j, uint32_t reduced, int64_t *index, void *out) {
  uint64_t value[64];
  int32_t top = 0;
  int64_t count = 0;
  do {
    int64_t row = 0;
    for (int32_t d = 0; d < j->rank - 1; d++) row = row * j->extent[d].i + index[d];
    memcpy(&value[top++], j->partial + row * j->size, (size_t)j->size);
    for (int64_t c = ++count; (c & 1) == 0; c >>= 1, top--)
      j->combine(&value[top - 2], &value[top - 2], &value[top - 1], 1, 1);
  } while (next_index(j, reduced, index));
  for (; top > 1; top--) j->combine(&value[top - 2], &value[top - 2], &value[top - 1], 1, 1);
  memcpy(out, value, (size_t)j->size);
}

static void finish_leaf_mode(const job *j, uint32_t kept) {
  const uint32_t outer = (1u << (j->rank - 1)) - 1, reduced = outer & ~kept;
  const int64_t leaves = rpi_ir_leaves(j->extent[j->rank - 1].i), rows = product(j, outer);
  const rp_dtype t = j->ir->operand[j->red->operand].dtype;
  for (int64_t r = 0; r < rows; r++) {
    if (leaves > 1) rpi_finish_tree(j->red->op, t, j->partial + r * leaves * j->size, leaves);
    memmove(j->partial + r * j->size, j->partial + r * leaves * j->size, (size_t)j->size);
  }
  int64_t index[RP_MAX_DIM] = {0};
  do {
    uint64_t value = 0;
    finish_rows(j, reduced, index, &value);
    deliver(j, index, &value);
  } while (next_index(j, kept, index));
}

/* Rank 1, the form of every dot product: no rows, no indices. */
static void finish_line(const job *j, rp_dtype t) {
  const int64_t leaves = rpi_ir_leaves(j->extent[0].i);
  if (leaves > 1) rpi_finish_tree(j->red->op, t, j->partial, leaves);
  if (j->red->join) j->combine(j->to, j->partial, j->to, 1, 1);
  else if (j->size == 8) memcpy(j->to, j->partial, 8);
  else memcpy(j->to, j->partial, (size_t)j->size);
}

static void finish_row_mode(const job *j, uint32_t kept) {
  const int64_t width = product(j, kept);
  int64_t n = (product(j, ~kept) + RPI_ROW_LEAF - 1) / RPI_ROW_LEAF;
  const int64_t bytes = width * j->size;
  for (; n > 1; n = (n + 1) / 2) {
    for (int64_t i = 0; i < n / 2; i++)
      j->combine(j->partial + i * bytes, j->partial + 2 * i * bytes, j->partial + (2 * i + 1) * bytes, width, 1);
    if (n % 2 != 0) memcpy(j->partial + n / 2 * bytes, j->partial + (n - 1) * bytes, (size_t)bytes);
  }
  deliver_all(j, kept, j->partial);
}

static job job_of(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w, int32_t i) {
  const rpi_ir_red *red = &ir->red[i];
  const rp_dtype t = ir->operand[red->operand].dtype;
  return (job){.ir = ir, .extent = &w[l->extent], .stride = &w[rpi_ir_layout_stride(ir, l, red->operand)],
               .red = red, .combine = combine_table[red->op][t], .to = w[l->ptr + red->operand].p,
               .partial = w[l->partial + i].p, .size = rpi_dtype_size(t), .rank = ir->rank};
}

void rpi_finish_deliver(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w, int32_t red, const void *values) {
  const job j = job_of(ir, l, w, red);
  deliver_all(&j, ((1u << ir->rank) - 1) & ~(uint32_t)j.red->mask, values);
}

void rpi_finish_all(const rpi_ir *ir, const rpi_ir_layout *l, rpi_word *w) {
  for (int32_t i = 0; i < ir->n_red; i++) {
    const job j = job_of(ir, l, w, i);
    if (ir->rank == 1 && j.extent[0].i > 0) {
      finish_line(&j, ir->operand[j.red->operand].dtype);
      continue;
    }
    const uint32_t all = (1u << ir->rank) - 1, kept = all & ~(uint32_t)j.red->mask;
    if (product(&j, all) == 0) finish_empty(&j, kept);
    else if (rpi_ir_row_mode(ir)) finish_row_mode(&j, kept);
    else finish_leaf_mode(&j, kept);
  }
}
