/* SPDX-License-Identifier: Apache-2.0
 * jit/ir.h -- the kernel IR: what one kernel computes, over one iteration space.
 *
 * Lives here: the data structure, its builder, its parameter layout. Companions: ir_check (validator),
 *             ir_print / ir_parse (text, which round-trips), opt_* (passes), merge (joins bodies).
 * Not here:   where operands live in memory (words, bound at run time), threads, tiers.
 *
 * A kernel has three sections, executed in this order:
 *   prologue  instructions [0, n_pro): uniform values, run once by the caller's thread before the body.
 *             LOAD/STORE there touch operands whose strides are all zero (rank-0 stores).
 *   body      [n_pro, n_body): run for each point of the space; may use prologue values.
 *   epilogue  [n_body, n_ins): run once after all reductions are finished; it sees their results by
 *             LOADing the reduction's operand; may use prologue values, not body values.
 * The body consists of instructions in SSA order; LOOP ... ENDLOOP brackets one level of inner
 * iteration (k from lo to hi) whose instructions run for each k of each point; loops may nest.
 * Values made inside a loop are not visible outside; ENDLOOP's value is the reduction.
 *
 * Points of one kernel are independent: for any two operands of one buffer with a store among
 * them, either they are the same box in the same order or they do not touch. Whoever merges bodies
 * has made sure of it. So any order of points, vectors or blocks gives the same bits.
 *
 * Parameters are 64-bit words (rpi_ir_layout): sizes, strides, pointers and scalars are never part
 * of the IR, so a kernel serves all sizes. Rank, dtypes and stride classes are part of it. */
#ifndef RPI_IR_H
#define RPI_IR_H

#include "core/base/hash.h"
#include "core/base/status.h"
#include "core/base/strbuf.h"
#include "core/exec/kernel.h"

typedef enum rpi_irop {
#define RPI_IROP(NAME, text, n_src, result, operands, class) RPI_IR_##NAME,
#include "jit/ir_ops.def"
#undef RPI_IROP
  RPI_IR_N_OPS
} rpi_irop;

/* Combine operators of reductions. Identities: + is -0.0 (0 for integers), * 1, min/max the largest /
 * smallest value (inf), & all ones, | and ^ 0. ANY/ALL work on bool. ARGMIN/ARGMAX only in ENDLOOP:
 * the value is the k of the winner (lowest index on ties, first NaN wins; -1 when empty). */
typedef enum rpi_redop {
  RPI_RED_SUM,
  RPI_RED_PROD,
  RPI_RED_MIN,
  RPI_RED_MAX,
  RPI_RED_AND,
  RPI_RED_OR,
  RPI_RED_XOR,
  RPI_RED_ANY,
  RPI_RED_ALL,
  RPI_RED_ARGMIN,
  RPI_RED_ARGMAX,
  RPI_N_RED
} rpi_redop;

/* Order of the elements in a LOOP (SEMANTICS 3). */
typedef enum rpi_looprule {
  RPI_LOOP_SEGMENT, /* up to 32 in order; longer: 1024-leaves from the segment's start, then the tree */
  RPI_LOOP_AXIS, /* 1024-leaves with 64 accumulators, then the pairwise tree, whatever the length */
  RPI_LOOP_ROWS  /* the pairwise tree over the elements themselves */
} rpi_looprule;

enum { RPI_STRIDE_ZERO = 0, RPI_STRIDE_UNIT = 1, RPI_STRIDE_ANY = 2 };
enum { RPI_OPERAND_AFFINE = 0, RPI_OPERAND_TABLE = 1 };
enum { RPI_ACCESS_READ = 1, RPI_ACCESS_WRITE = 2, RPI_ACCESS_REDUCE = 4 };

typedef struct rpi_ir_operand {
  uint8_t dtype;
  uint8_t kind; /* AFFINE: one stride per axis of the space; TABLE: own axes, addressed by GATHER */
  uint8_t rank; /* AFFINE: the space's rank; TABLE: number of its axes (>= 1) */
  uint8_t access; /* RPI_ACCESS_ bits */
  uint8_t
      checked; /* TABLE: 1: indices are clamped to the extents and the flag is raised; 0: trusted */
  uint8_t sclass[RP_MAX_DIM]; /* RPI_STRIDE_ per axis; UNIT only on the last; beyond rank: 0 */
} rpi_ir_operand;

/* A reduction over axes of the space. The operand's strides are 0 on the reduced axes (`mask`, one
 * bit per axis; never empty). LEAF mode: the mask has the last axis; ROW mode: it has not, and is a
 * prefix 0..k-1 of the axes. All reductions of one kernel have the same mode and, in ROW mode, mask. */
typedef struct rpi_ir_red {
  uint16_t operand; /* destination (access REDUCE); its dtype is the accumulator's */
  uint8_t op;       /* rpi_redop, SUM..ALL */
  uint8_t join;     /* 1: the destination's old value joins last; 0: it is overwritten */
  uint8_t mask;
} rpi_ir_red;

typedef uint16_t rpi_irval; /* number of the instruction that makes the value */

typedef struct rpi_ir_ins {
  uint8_t op;    /* rpi_irop */
  uint8_t dtype; /* of the value; of the stored or reduced value for STORE and REDUCE */
  uint8_t n_src;
  uint8_t origin; /* which task of the group it came from, modulo 256: for dumps only, not hashed */
  uint32_t src;   /* first source in rpi_ir.srcs */
  uint64_t imm;
} rpi_ir_ins;

typedef struct rpi_ir {
  int32_t rank; /* of the space, 0 only for a kernel without body */
  int32_t n_ins, cap_ins, n_pro, n_body;
  int32_t n_src, cap_src;
  int32_t n_operand, cap_operand;
  int32_t n_red, cap_red;
  int32_t n_scalar, cap_scalar;
  int32_t n_extent; /* extent parameters */
  rpi_ir_ins *ins;
  rpi_irval *srcs;
  rpi_ir_operand *operand;
  rpi_ir_red *red;
  uint8_t *scalar; /* dtype of each immediate */
  bool failed;     /* an allocation failed while building */
} rpi_ir;

enum { RPI_IR_MAX_INS = 60000, RPI_IR_MAX_OPERAND = 4096, RPI_IR_NONE = 0xffff };

/* ---- builder (ir.c). Errors of memory are remembered in `failed`. */
void rpi_ir_init(rpi_ir *ir, int32_t rank);
void rpi_ir_deinit(rpi_ir *ir);
rp_status rpi_ir_copy(const rpi_ir *from, rpi_ir *to); /* `to` is uninitialised on entry */
int32_t rpi_ir_operand_add(rpi_ir *ir, const rpi_ir_operand *o);
int32_t rpi_ir_scalar_add(rpi_ir *ir, rp_dtype dtype);
int32_t rpi_ir_red_add(rpi_ir *ir, const rpi_ir_red *r);
/* Appends an instruction and returns its number. */
rpi_irval rpi_ir_emit(rpi_ir *ir, rpi_irop op, rp_dtype dtype, uint64_t imm, int32_t n_src,
                      const rpi_irval *src);
rpi_irval rpi_ir_emit1(rpi_ir *ir, rpi_irop op, rp_dtype dtype, rpi_irval a);
rpi_irval rpi_ir_emit2(rpi_ir *ir, rpi_irop op, rp_dtype dtype, rpi_irval a, rpi_irval b);
rpi_irval rpi_ir_emit3(rpi_ir *ir, rpi_irop op, rp_dtype dtype, rpi_irval a, rpi_irval b,
                       rpi_irval c);
rpi_irval rpi_ir_const_f64(rpi_ir *ir, rp_dtype dtype, double value); /* converted to dtype */
rpi_irval rpi_ir_const_i64(rpi_ir *ir, rp_dtype dtype, int64_t value);
static inline rpi_irval rpi_ir_src(const rpi_ir *ir, const rpi_ir_ins *i, int32_t n) {
  return ir->srcs[i->src + (uint32_t)n];
}

/* ---- facts from ir_ops.def */
const char *rpi_ir_op_name(rpi_irop op);
rpi_irop rpi_ir_op_find(const char *name, size_t n); /* RPI_IR_N_OPS if there is none */
int32_t rpi_ir_op_n_src(rpi_irop op);                /* -1: variable */
char rpi_ir_op_result(rpi_irop op);                  /* 'S' 'T' 'B' 'N' 'L' */
char rpi_ir_op_class(rpi_irop op);                   /* 'X' 'E' 'M' */
bool rpi_ir_op_takes(rpi_irop op, rp_dtype dtype);
const char *rpi_ir_redop_name(rpi_redop op);
/* Bits of the identity of a reduction, in the dtype, zero-extended. */
uint64_t rpi_ir_redop_identity(rpi_redop op, rp_dtype dtype);
/* Bits of a reduction over nothing: the identity, but +0.0 for sums. */
uint64_t rpi_ir_redop_empty(rpi_redop op, rp_dtype dtype);

/* ---- parameter words, in this order (counts in words) */
typedef struct rpi_ir_layout {
  int32_t extent;  /* rank extents of the space */
  int32_t origin;  /* rank indices of its first point in the whole space: see below */
  int32_t ptr;     /* n_operand pointers to the element at the first point (AFFINE) or at index 0 */
  int32_t stride;  /* AFFINE: rank strides; TABLE: rank strides, then rank extents: see stride_of */
  int32_t scalar;  /* n_scalar immediates, bits zero-extended */
  int32_t param;   /* n_extent extent parameters */
  int32_t uniform; /* one word per prologue instruction: its value, written by the prologue */
  int32_t partial; /* n_red pointers to partials (below) */
  int32_t flag;    /* pointer to a uint32_t: set to 1 (relaxed atomic) when an index was clamped */
  int32_t
      values; /* on a GPU: pointer to rpi_ir_values words, for values that several launches share */
  int32_t
      board; /* on a GPU: pointer to where warps post rows that are too long for one (jit/cuda_board.h) */
  int32_t n_words;
} rpi_ir_layout;
void rpi_ir_layout_get(const rpi_ir *ir, rpi_ir_layout *out);
/* Instructions of the prologue and the epilogue. */
int64_t rpi_ir_values(const rpi_ir *ir);
/* Word of operand o's first stride. */
int32_t rpi_ir_layout_stride(const rpi_ir *ir, const rpi_ir_layout *l, int32_t o);

/* ---- origin. A space may be a box of a larger one: extents e and origin o are its points o .. o + e - 1.
 * Only INDEX knows: on axis d it is the index in the box + origin[d]. All else counts within the box:
 * extents, units, partials, strides, and AFFINE pointers, which are those of the whole space's operands
 * shifted by the origin. TABLEs are addressed by values, so their pointers, strides and extents are those
 * of the whole. Then a box computes at each of its points what the whole does. Reductions are those of the
 * box: their partials are leaves of the whole only where the box begins at one. Nothing may take an INDEX
 * to be less than the extent; 0 <= origin, and origin + extent does not overflow. A space that is no part
 * of another has zeros. */

/* ---- units of work. N is the last extent, L = ceil(N / RPI_LEAF).
 * LEAF mode and kernels without reductions: unit u is columns [1024 l, min(N, 1024 l + 1024)) of row
 *   r = u / L (all axes but the last, flattened), l = u % L. partial[red][u] = value of the leaf.
 * ROW mode, reduced prefix of k axes with F = product of their extents: with Mk = product of the
 *   kept axes but the last, unit u = (fl * Mk + kr) * L + l is, for f in [256 fl, min(F, 256 fl+256)),
 *   the columns of leaf l of row f * Mk + kr. partial[red][(fl * Mk + kr) * N + column].
 * Partials are elements of the accumulator's dtype. An empty space has no units. */
enum { RPI_LEAF = 1024, RPI_ACCUMULATORS = 64, RPI_ROW_LEAF = 256, RPI_SEGMENT_LEAF = 32 };
static inline int64_t rpi_ir_leaves(int64_t columns) { return (columns + RPI_LEAF - 1) / RPI_LEAF; }
bool rpi_ir_row_mode(const rpi_ir *ir);
int64_t rpi_ir_units(const rpi_ir *ir, const int64_t *extent);
/* Number of elements in the partial array of a reduction. */
int64_t rpi_ir_partials(const rpi_ir *ir, const int64_t *extent);

/* ---- validator, text, passes */
/* RP_OK, or RP_ERR_INTERNAL and a sentence that names the instruction. */
rp_status rpi_ir_check(const rpi_ir *ir);
void rpi_ir_print(const rpi_ir *ir, rpi_strbuf *out);
/* Reads what rpi_ir_print writes; errors (RP_ERR_ARGUMENT) name the line. */
rp_status rpi_ir_parse(const char *text, rpi_ir *out);
/* Canonical bytes: equal for equal kernels, free of `origin`; appended to `out`. */
void rpi_ir_bytes(const rpi_ir *ir, rpi_strbuf *out);

/* Passes never change a result bit. Each leaves a checked IR. */
rp_status
rpi_opt_fold(rpi_ir *ir); /* constants (class E only), casts of casts, select of constants */
rp_status rpi_opt_cse(rpi_ir *ir);   /* equal pure instructions and loads with no store between */
rp_status rpi_opt_hoist(rpi_ir *ir); /* uniform body instructions into the prologue */
rp_status rpi_opt_dce(rpi_ir *ir);   /* what no store or reduction needs; unused operands stay */
rp_status rpi_opt_all(rpi_ir *ir);   /* the pass table, in order */
/* Largest number of body values alive at once, in 64-bit registers: predicts spills. */
int32_t rpi_opt_live(const rpi_ir *ir);

#endif
