/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_impl.h -- what the interpreter's files share: loops, places, steps, programs.
 *
 * A program works on places: slots of a pointer table that lies at the start of the scratch. A step
 * is a precompiled loop and the places of its destination and sources. Three kinds of values:
 *   splat     one value for a whole row or for the whole call: 64 bytes of copies of it, read with
 *             step 0 (a flag beside the count, one bit per source)
 *   register  a block of values in the scratch
 *   memory    a stretch of an operand, used in place
 * A place may also hold a plain number (a stride, a coordinate) that a loop takes as third source.
 *
 * Superinstructions: two operations in one loop (RPI_PAIRS), products summed without being stored
 * (leaf_dot, dot), indices of 4 bytes (gather32). Each gives the bits of the loops it stands for. */
#ifndef RPI_INTERP_IMPL_H
#define RPI_INTERP_IMPL_H

#include "core/model/dtype.h"
#include "jit/interp.h"

/* n: low half the count; bit 32 + k: source k is a splat. */
typedef void rpi_loop_fn(void *d, const void *a, const void *b, const void *c, int64_t n);
#define RPI_SPLAT(k) ((int64_t)1 << (32 + (k)))

typedef struct rpi_winner { /* of argmin and argmax: k < 0 is none */
  int64_t k;
  uint8_t value[8];
} rpi_winner;

/* X(outer, OUTER, inner, INNER, at): d = (a inner b) outer c, at = 1: d = c outer (a inner b). Each
 * operation rounds. ADD and MUL stand for both orders: only NaNs can tell, one value. */
/* clang-format off */
#define RPI_PAIRS(X)                                                                             \
  X(add, ADD, add, ADD, 0) X(add, ADD, sub, SUB, 0) X(add, ADD, mul, MUL, 0)                     \
  X(sub, SUB, add, ADD, 0) X(sub, SUB, sub, SUB, 0) X(sub, SUB, mul, MUL, 0)                     \
  X(sub, SUB, add, ADD, 1) X(sub, SUB, sub, SUB, 1) X(sub, SUB, mul, MUL, 1)                     \
  X(mul, MUL, add, ADD, 0) X(mul, MUL, sub, SUB, 0) X(mul, MUL, mul, MUL, 0)
typedef enum rpi_pair {
#define RPI_PAIR(outer, OUTER, inner, INNER, at) RPI_PAIR_##OUTER##_##INNER##_##at,
  RPI_PAIRS(RPI_PAIR)
#undef RPI_PAIR
  RPI_N_PAIR
} rpi_pair;
/* clang-format on */

/* What dot takes as its third source. */
typedef struct rpi_dot {
  const int32_t *offsets;
  const void *table; /* of dot_gather */
} rpi_dot;

/* What run_on takes as its third source, and gives. */
typedef struct rpi_stretch {
  int64_t limit;   /* in: most pairs */
  int64_t points;  /* out: points taken */
  int64_t longest; /* out: pairs of the longest of them */
} rpi_stretch;

typedef struct rpi_loops {
  /* By the dtype of the sources; SELECT: of the value. */
  rpi_loop_fn *op[RPI_IR_N_OPS][RPI_N_DTYPE];
  rpi_loop_fn *cast[RPI_N_DTYPE][RPI_N_DTYPE]; /* [from][to] */
  rpi_loop_fn *red[RPI_N_RED][RPI_N_DTYPE];    /* d = a op b */
  /* The accumulators d take in a, which starts at 0 mod 64. */
  rpi_loop_fn *leaf[RPI_N_RED][RPI_N_DTYPE];
  rpi_loop_fn *fold[RPI_N_RED][RPI_N_DTYPE]; /* d[0] = the 64 accumulators d */
  /* d[s] = the elements b[s] .. b[s+1] of a in order (b: int32_t). ARGMIN, ARGMAX: the rpi_winner d
   * takes in the n elements a, whose k begin at c. */
  rpi_loop_fn *segment[RPI_N_RED][RPI_N_DTYPE];
  rpi_loop_fn *copy[RPI_N_DTYPE];
  rpi_loop_fn *loads[RPI_N_DTYPE];  /* from a with stride c */
  rpi_loop_fn *stores[RPI_N_DTYPE]; /* to d with stride c */
  rpi_loop_fn *gather[RPI_N_DTYPE]; /* d[i] = a[b[i]], b: int64_t */
  rpi_loop_fn *expand[RPI_N_DTYPE]; /* d[b[s] .. b[s+1]] = a[s] for n segments */
  rpi_loop_fn *iota, *clamp, *scale;
  /* Floats only. */
  rpi_loop_fn *pair[RPI_N_PAIR][RPI_N_DTYPE];
  rpi_loop_fn *sum4[RPI_N_DTYPE];     /* d = ((a + b) + c[0]) + c[1], c: two pointers */
  rpi_loop_fn *leaf_dot[RPI_N_DTYPE]; /* the accumulators d take in a * b, as leaf does */
  /* d[s] = the sum in order of a[i] * b[i] for the i of segment s; the rpi_dot c. With gather:
   * a[i] * c.table[b[i]], b: int32_t or int64_t. */
  rpi_loop_fn *dot[RPI_N_DTYPE], *dot_gather32[RPI_N_DTYPE], *dot_gather64[RPI_N_DTYPE];
  rpi_loop_fn *gather32[RPI_N_DTYPE]; /* d[i] = a[b[i]], b: int32_t */
  rpi_loop_fn *inside32, *inside64;   /* *(int64_t *)d = all a are in [0, c) */
  /* Points from lo = a, hi = b whose pairs follow each other: their offsets d; the rpi_stretch c. It
   * may stop early. */
  rpi_loop_fn *run_on;
} rpi_loops;
extern const rpi_loops rpi_loops_avx2_narrow, rpi_loops_avx2_wide;
extern const rpi_loops rpi_loops_avx512_narrow, rpi_loops_avx512_wide;

enum { RPI_SPLAT_BYTES = 64 };

typedef enum rpi_place_kind {
  RPI_PLACE_REGISTER, /* arg: number */
  RPI_PLACE_SPLAT,    /* arg: number */
  RPI_PLACE_ACC,      /* arg: number; 64 accumulators of 8 bytes */
  RPI_PLACE_OFFSETS,  /* arg: number; int32_t per point of a block, and one */
  RPI_PLACE_MEMORY,   /* arg: operand; moves with the block */
  RPI_PLACE_PARTIAL,  /* arg: reduction; moves with the block (ROW mode) */
  RPI_PLACE_STRIDE,   /* arg: operand; the stride of its last axis */
  RPI_PLACE_COORD,    /* arg: axis; number: where the block begins in the whole space */
  RPI_PLACE_WORD,     /* arg: prologue instruction; its word */
  RPI_PLACE_DYNAMIC,  /* set while running */
  RPI_PLACE_ZERO      /* the number 0 */
} rpi_place_kind;

typedef struct rpi_place {
  uint8_t kind;
  uint8_t size; /* MEMORY, PARTIAL: bytes of an element */
  int32_t arg;
  int32_t stride; /* MEMORY, STRIDE: word of the operand's first stride */
} rpi_place;

typedef enum rpi_interp_step_kind {
  RPI_INTERP_CALL,
  RPI_INTERP_CALL4, /* a call whose third source is the pointers of c and e */
  RPI_INTERP_GATHER,
  RPI_INTERP_LOOP,
  RPI_INTERP_GUARD,
  RPI_INTERP_SETTLE /* a call, unless destination and source are one place already */
} rpi_interp_step_kind;

typedef struct rpi_interp_step {
  rpi_loop_fn *fn;
  int64_t flags; /* splat bits */
  int32_t fixed; /* count, if not that of the block: splats */
  int32_t d, a, b, c, e;
  uint8_t kind; /* GATHER, LOOP, GUARD: a is the number */
} rpi_interp_step;

typedef struct rpi_steps {
  rpi_interp_step *at;
  int32_t n, cap;
} rpi_steps;

/* A splat that is filled when a call begins. */
typedef struct rpi_fill {
  int32_t place;
  uint8_t dtype;
  int32_t word; /* word that holds it; -1: `bits` */
  uint64_t bits;
} rpi_fill;

typedef struct rpi_gather {
  uint16_t operand;
  uint8_t dtype, n_axes, checked;
  int32_t stride; /* word of the table's first stride; its extents follow the strides */
  int32_t loop;   /* the index is the k of this loop itself; -1 */
  int32_t d;      /* DYNAMIC place of the value */
  int32_t reg;    /* its register */
  int32_t temp[2];
  int32_t index[RP_MAX_DIM];
  uint8_t splat[RP_MAX_DIM];
  uint8_t narrow[RP_MAX_DIM]; /* the index is an int32_t */
} rpi_gather;

/* A stretch of an operand in place of a register, unless one of `other` is the same memory: operands
 * of one buffer are one box, then their pointers are equal, or do not touch. A load then copies to
 * the register, a result waits there for its store. Decided when a call begins. */
enum { RPI_GUARD_OPERANDS = 8 };
typedef struct rpi_guard {
  rpi_loop_fn *copy; /* NULL: of a result */
  int32_t d, memory, reg;
  uint16_t operand;
  uint16_t n_other, other[RPI_GUARD_OPERANDS];
} rpi_guard;

typedef struct rpi_expansion {
  int32_t from, to;
  uint8_t dtype;
} rpi_expansion;

typedef enum rpi_inner_dot { RPI_DOT_NONE, RPI_DOT_PLAIN, RPI_DOT_GATHER } rpi_inner_dot;

typedef struct rpi_inner {
  rpi_steps step;
  rpi_steps tail; /* the last steps, which `dot` replaces where all segments are short */
  uint8_t dot;
  int32_t dot_a, dot_b; /* places of the factors; GATHER: dot_b is the number of the gather */
  rpi_expansion *expansion;
  int32_t n_expansion, cap_expansion;
  uint8_t rule, op, dtype; /* dtype of the elements */
  uint8_t lo_splat, hi_splat;
  bool need_k; /* k is used for more than reading tables in place */
  int32_t lo, hi, k, value, d, offsets, acc, temp;
} rpi_inner;

typedef struct rpi_program {
  rpi_place *place;
  rpi_fill *fill;
  rpi_gather *gather;
  rpi_inner *inner;
  rpi_guard *guard;
  int32_t n_place, cap_place, n_fill, cap_fill, n_gather, cap_gather, n_inner, cap_inner;
  int32_t n_guard, cap_guard;
  rpi_steps once, row, block; /* when a call begins; when a row begins; for each block */
  int32_t *moving;            /* places of kind MEMORY and PARTIAL */
  int32_t *coord;             /* places of kind COORD */
  int32_t n_moving, cap_moving, n_coord, cap_coord;
  int32_t n_register, n_splat, n_acc, n_offsets;
  int32_t red_acc; /* place of the accumulators of reduction 0; the others follow */
  int32_t size;    /* elements of a block: a power of two */
  size_t register_bytes, at_register, at_splat, at_acc, at_offsets, at_state, at_guard, scratch;
} rpi_program;

typedef enum rpi_section { RPI_SECTION_PRO, RPI_SECTION_BODY, RPI_SECTION_EPI } rpi_section;

struct rpi_interp {
  rpi_kernel_code code;
  rpi_ir ir;
  rpi_ir_layout layout;
  const rpi_loops *narrow, *wide;
  rpi_program program[3]; /* by rpi_section */
};

/* interp_plan.c: the program of a section. On failure the program is what deinit takes. */
rp_status rpi_interp_plan(const rpi_interp *p, rpi_section section, rpi_program *out);
void rpi_interp_plan_deinit(rpi_program *g);

/* A thread's run of a program. */
typedef struct rpi_run {
  const rpi_interp *p;
  const rpi_program *g;
  const rpi_word *w;
  char **ptr; /* the pointer table */
  char *scratch;
  struct rpi_inner_state {
    int64_t k0;      /* k of the chunk's first element */
    bool contiguous; /* and it runs on without a gap */
    bool have_k;     /* the register of k is filled */
  } * state;
  uint8_t *aliased; /* per guard */
} rpi_run;

/* interp_loop.c */
void rpi_interp_steps(const rpi_run *r, const rpi_steps *s, int64_t n);
/* dst = bytes of `n` copies of an element. */
void rpi_interp_fill(void *dst, uint64_t bits, int32_t size, int64_t n);

static inline bool rpi_interp_wide(rp_dtype t) { return t == RP_I64 || t == RP_U64 || t == RP_F64; }
static inline const rpi_loops *rpi_interp_loops(const rpi_interp *p, rp_dtype t) {
  return rpi_interp_wide(t) ? p->wide : p->narrow;
}

#endif
