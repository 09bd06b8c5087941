/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_cuda.h -- kernel IR to CUDA C++ text, any number of kernels in one.
 *
 * Lives here: the contract between the text and who launches it: names, parameters, grids.
 * Not here:   compiling it (nvrtc.h), what an operation computes (lanes.h: the scalar half, rps_*).
 * How:        the text stands alone: a head (lanes_cuda.h, then the scalars of lanes.h, then cuda_frame.h), then the
 *             kernels. It is C as well as C++, and says what belongs to CUDA by words that a host head can define
 *             (RPG_KERNEL, RPG_DEVICE, RPG_SHARED, RPG_SYNC(), RPG_DOWN(v, n), RPG_THREAD, ...), so tests run the same text
 *             on a CPU.
 *
 * Units:      those of ir.h. No reduction: a group of 2^k threads does a unit (2^k <= block), so that short rows leave few
 *             threads idle; a thread does `lanes` neighbouring columns at a time. LEAF mode: a warp does a leaf: lane t
 *             holds accumulators 2t and 2t+1 of the 64. ROW mode: a thread does whole columns of a unit's rows.
 * Loops:      a body with inner loops is one of *teams*: the threads of a warp come to 32 neighbouring columns together,
 *             and share the loops' elements as the rows' lengths have it (emit_cuda_loop.c): a row per thread, by
 *             elements, or a row per warp; of very long rows all warps that are free take parts (cuda_board.h,
 *             emit_cuda_long.c). Without reductions a unit is cut into parts of 2^k columns, a warp takes
 *             2^(q-k) of them, and where there are few rows, perhaps long ones, each warp takes fewer.
 *             With reductions, where leaves are few, several warps do a leaf (emit_cuda_leaf.c).
 * Reductions: a block joins what its warps have of one row by the pairwise tree, so partials are of runs of up to
 *             RPI_CUDA_GROUP leaves; the last block to finish (a counter) does the tree above, joins old values, and then
 *             the epilogue. Where there is more to do than a block should (many kept indices, or many
 *             partials) a second launch does that: a kept index a block, or a thread; or, of few indices with very many
 *             partials, a subtree a block, whose last one does the rest. Every form gives SEMANTICS' tree.
 * Prologue:   each thread computes it for itself; what it stores is stored by the last block, since the other blocks may
 *             still read what was there. If it has loops a launch of one thread computes it before, and leaves the
 *             values in memory.
 * Invariants: nothing depends on the grid. Indices are 64 bits wide if `wide`, else all offsets in elements, and units
 *             times RPI_LEAF, fit 31 bits. */
#ifndef RPI_EMIT_CUDA_H
#define RPI_EMIT_CUDA_H

#include "core/exec/kernel.h"
#include "jit/ir.h"

enum { RPI_CUDA_GROUP = 8, RPI_CUDA_BLOCK = 256 };
enum {
  RPI_CUDA_BODY = 2,
  RPI_CUDA_ROOTS = 4,
  RPI_CUDA_SPREAD = 8,
  RPI_CUDA_FAR = 16,
  RPI_CUDA_LEAVES = 32
};
enum { RPI_CUDA_NUMBER = 32767 }; /* no number of a block in the mode is larger */
enum {
  RPI_CUDA_FAR_UNITS = 512
}; /* leaves that several blocks may do: terms take 4 MiB of doubles */

/* What is known of the operands' places, beside the IR: part of the kernel's key. */
typedef struct rpi_cuda_shape {
  bool wide;
  uint64_t
      aligned; /* bit o: AFFINE operand o, of stride 1 on the last axis, begins each row at a multiple of 16 bytes */
} rpi_cuda_shape;

/* What the parameters look like: struct { int64_t u0, u1, mode; rpk_word w[n_words]; }. Words are the IR's but for
 * those of uniforms, which are left out: a word behind them is that many places earlier. mode: bit 0: finish apart; bit 1
 * (RPI_CUDA_BODY): nothing comes after the last unit, and each leaf has a partial of its own, at its unit's number; bit
 * 2 (RPI_CUDA_ROOTS): of each kept index there is one partial, the root of its tree; bit 3 (RPI_CUDA_SPREAD): all warps of a
 * block do a leaf and, bit 4 (RPI_CUDA_FAR), of 2^p blocks, p in bits 16..23; bit 5 (RPI_CUDA_LEAVES): there are no units, and
 * each leaf of the space has left its partial; bits 8..15: k, log2 of the threads of a unit, or of a team's part; 16..23: q, log2 of the columns of a team at once; 32..47 and
 * 48..62, not 0 if rows may be shared by warps (cuda_board.h): the first block that looks for such rows without being
 * asked; the first that has none of its own. If `apart`, the words
 * at `values` are the prologue's values. On a GPU the flag word points to four
 * 32-bit words: the flag, and two counters that are 0 between launches (rpi_kernel_flag). */
typedef struct rpi_cuda_form {
  int32_t n_words;
  int32_t bytes; /* of the parameters */
  int32_t lanes; /* columns a thread does at a time */
  bool teams;    /* warps come to their points together: the body has inner loops */
  bool apart;    /* the prologue is a launch of its own: rpk_pro_KEY */
  bool ends;     /* there is something to do after the last point */
  bool spread;   /* several warps may do a leaf */
  bool finishes; /* it has reductions: rpk_fin_KEY exists */
  bool direct;   /* some launches deliver reductions where they are made */
} rpi_cuda_form;
void rpi_cuda_form_get(const rpi_ir *ir, const rpi_cuda_shape *shape, rpi_cuda_form *out);

/* How a launch of it is cut: `mode` for the parameters; grids of rpk_pro_KEY (0: not launched), rpk_main_KEY, and
 * rpk_fin_KEY (0: not launched). `most`: blocks of rpk_main_KEY that the GPU should be given at once. */
typedef struct rpi_cuda_grid {
  int64_t mode;
  int32_t pro, main, fin;
} rpi_cuda_grid;
void rpi_cuda_grid_get(const rpi_ir *ir, const rpi_cuda_form *form, const rpi_word *w, int64_t u0,
                       int64_t u1, rpi_kernel_part part, int32_t most, rpi_cuda_grid *out);
/* Elements of a reduction's partials: rpi_ir_partials, and behind them terms, if several blocks may do a leaf. */
int64_t rpi_cuda_partials(const rpi_ir *ir, const int64_t *extent);
/* Fills the parameters from the words; form->bytes. */
int32_t rpi_cuda_pack(const rpi_ir *ir, const rpi_word *w, int64_t u0, int64_t u1, int64_t mode,
                      void *out);

typedef struct rpi_cuda_unit {
  const rpi_ir *ir;
  const char *key; /* 32 hex digits: the kernels are rpk_main_KEY, rpk_pro_KEY, rpk_fin_KEY */
  rpi_cuda_shape shape;
} rpi_cuda_unit;
/* Why this IR has no CUDA text, a sentence, or NULL: more parameters than `parameter_most` bytes, and the like. */
const char *rpi_emit_cuda_refusal(const rpi_ir *ir, const rpi_cuda_shape *shape,
                                  int32_t parameter_most);
/* Appends the text of n >= 1 kernels: no include, nothing but what NVRTC has built in. */
rp_status rpi_emit_cuda(const rpi_cuda_unit *unit, int32_t n, rpi_strbuf *out);

/* Its body has inner loops: it uses the board (cuda_board.h). */
bool rpi_cuda_loops(const rpi_ir *ir);

#endif
