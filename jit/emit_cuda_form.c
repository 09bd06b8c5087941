/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_cuda_form.c -- what a kernel looks like from outside: lanes, parameters, grids.
 *
 * Lives here: every decision that the text and who launches it must agree on. Not here: text.
 * How:        lanes: as many columns as make 16 bytes of the widest dtype, if half of what a thread touches is aligned
 *             for it; 8 bytes if that is not all of it and a lane is 4: what is not aligned is read a lane at a time, and
 *             words four apart take a cache four turns, a stencil's more than its memory; one if the body loops, or
 *             threads do columns of rows. A finish is a launch of its own if
 *             it is more than a block should do while the others idle. One kept index has 32768 partials from 2.7e8
 *             elements on: its block would go through memory 20 times, a microsecond each, where a launch costs a few. */
#include "core/model/dtype.h"
#include "jit/cuda_board.h"
#include "jit/emit_cuda_impl.h"

enum { FUNCTIONS = 2 }; /* of f64: two lanes of more would want more registers than there are */
/* A leaf by a block if warps would otherwise be less than twice what runs at once; by several if blocks would be less than
 * what runs at once and rows are such that warps do them one after another, a microsecond each: a second launch costs
 * two. Terms of at most so many bytes a column: 16 KiB of a block's memory, of which four blocks share 164 KiB or more. */
enum { SPREAD_WAVES = 2, SPREAD_MEAN = RPI_SEGMENT_LEAF, SPREAD_BYTES = 16, FAR_MOST = 7 };
enum { WAVE_MOST = 8191 }; /* blocks whose warps a counter of 16 bits can count */
enum { APART = 64 };       /* instructions of a prologue that not every thread should repeat */
enum { WAVES = 8 };        /* of blocks, in what a GPU is given at once */
/* More kept indices, or partials of several or of one, are a launch's; there FEW and PART are RPK_FEW and RPK_PART. */
enum { FINISH_KEPT = 2048, FINISH_PARTIALS = 8192, FINISH_ALONE = 32768, FEW = 64, PART = 2048 };

bool rpi_cuda_loops(const rpi_ir *ir) {
  for (int32_t i = ir->n_pro; i < ir->n_body; i++)
    if (ir->ins[i].op == RPI_IR_LOOP) return true;
  return false;
}

bool rpi_cuda_stores_early(const rpi_ir *ir) {
  for (int32_t i = 0; i < ir->n_pro; i++)
    if (ir->ins[i].op == RPI_IR_STORE) return true;
  return false;
}

/* Nothing that the prologue stores may come between, and all reductions are over the last axis alone. */
bool rpi_cuda_may_be_direct(const rpi_ir *ir) {
  if (ir->n_red == 0 || rpi_cuda_stores_early(ir)) return false;
  for (int32_t r = 0; r < ir->n_red && !rpi_ir_row_mode(ir); r++)
    if (ir->red[r].mask != 1u << (ir->rank - 1)) return false;
  return true;
}

/* Is what the prologue stores read again through a table? Stored by the last block it would come too late. */
static bool gathers_stored(const rpi_ir *ir) {
  bool stored = false;
  for (int32_t i = 0; i < ir->n_body; i++) {
    if (ir->ins[i].op == RPI_IR_STORE && i < ir->n_pro) stored = true;
    if (ir->ins[i].op == RPI_IR_GATHER && stored) return true;
  }
  return false;
}

static bool is_apart(const rpi_ir *ir) {
  int32_t n = 0;
  if (gathers_stored(ir)) return true;
  for (int32_t i = 0; i < ir->n_pro; i++) n += rpi_ir_op_class((rpi_irop)ir->ins[i].op) != 'X';
  return n > APART;
}

static int32_t lanes_of(const rpi_ir *ir, const rpi_cuda_shape *shape) {
  const int32_t last = ir->rank - 1;
  int32_t widest = 4, touched = 0, aligned = 0, functions = 0;
  if (ir->rank == 0 || rpi_cuda_loops(ir) || (ir->n_red > 0 && rpi_ir_row_mode(ir))) return 1;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    const rpi_ir_ins *ins = &ir->ins[i];
    functions += rpi_ir_op_class((rpi_irop)ins->op) == 'M' && ins->dtype == RP_F64;
    if (ins->op != RPI_IR_LOAD && ins->op != RPI_IR_STORE) continue;
    if (ir->operand[ins->imm].sclass[last] == RPI_STRIDE_ZERO) continue;
    if (rpi_dtype_size(ins->dtype) > widest) widest = rpi_dtype_size(ins->dtype);
    touched++;
    aligned += ins->imm < 64 && (shape->aligned >> ins->imm & 1);
  }
  if (ir->n_red > 0) return 2;
  if (functions > FUNCTIONS || aligned == 0 || 2 * aligned < touched) return 1;
  return aligned < touched && widest == 4 ? 2 : 16 / widest;
}

static int64_t divide_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Is it a body of teams with few terms? */
static bool may_spread(const rpi_ir *ir) {
  int32_t bytes = 0;
  for (int32_t r = 0; r < ir->n_red; r++)
    bytes += rpi_dtype_size(ir->operand[ir->red[r].operand].dtype);
  return rpi_cuda_loops(ir) && bytes > 0 && bytes <= SPREAD_BYTES && !rpi_ir_row_mode(ir);
}

int64_t rpi_cuda_partials(const rpi_ir *ir, const int64_t *extent) {
  const int64_t n = rpi_ir_partials(ir, extent);
  const int64_t terms = RPI_CUDA_FAR_UNITS + least(n, RPI_CUDA_FAR_UNITS) * RPI_LEAF;
  return may_spread(ir) && terms > n ? terms : n; /* a part of the space may have fewer units */
}

void rpi_cuda_form_get(const rpi_ir *ir, const rpi_cuda_shape *shape, rpi_cuda_form *out) {
  rpi_ir_layout l;
  rpi_ir_layout_get(ir, &l);
  *out = (rpi_cuda_form){.n_words = l.n_words - ir->n_pro, .apart = is_apart(ir)};
  out->bytes = 8 * (3 + out->n_words);
  out->lanes = lanes_of(ir, shape);
  out->teams = rpi_cuda_loops(ir);
  out->spread = may_spread(ir);
  out->finishes = ir->n_red > 0;
  out->direct = rpi_cuda_may_be_direct(ir);
  out->ends = ir->n_red > 0 || ir->n_ins > ir->n_body || (rpi_cuda_stores_early(ir) && !out->apart);
}

const char *rpi_emit_cuda_refusal(const rpi_ir *ir, const rpi_cuda_shape *shape,
                                  int32_t parameter_most) {
  rpi_cuda_form form;
  rpi_cuda_form_get(ir, shape, &form);
  if (form.bytes > parameter_most)
    return "the kernel has more parameters than a launch on a GPU can pass";
  return NULL;
}

/* ---- grids */

/* The smallest k with n <= 2^k <= most. */
static int32_t log2_up(int64_t n, int32_t most) {
  int32_t k = 0;
  while ((1 << k) < n && (2 << k) <= most) k++;
  return k;
}

static int64_t extents(const rpi_ir *ir, const rpi_word *w, uint32_t axes) {
  int64_t n = 1;
  for (int32_t d = 0; d < ir->rank; d++)
    if (axes >> d & 1) n *= w[d].i;
  return n;
}

/* Columns of a partial, or of what is delivered at once. */
static int64_t group_of(int64_t mode) {
  return mode & (RPI_CUDA_SPREAD | RPI_CUDA_LEAVES) ? RPI_LEAF : RPI_LEAF * RPI_CUDA_GROUP;
}

/* Partials of one kept index, and how many kept indices, of reduction r. */
static int64_t partials_of(const rpi_ir *ir, const rpi_word *w, int32_t r, int64_t mode,
                           int64_t *kept) {
  const uint32_t all = (1u << ir->rank) - 1, mask = ir->red[r].mask, last = 1u << (ir->rank - 1);
  *kept = extents(ir, w, all & ~mask);
  if (rpi_ir_row_mode(ir)) return divide_up(extents(ir, w, mask), RPI_ROW_LEAF);
  return extents(ir, w, mask & ~last) * divide_up(w[ir->rank - 1].i, group_of(mode));
}

static bool is_direct(const rpi_ir *ir, const rpi_cuda_form *form, const rpi_word *w,
                      int64_t mode) {
  const uint32_t mask = ir->red[0].mask;
  if (!form->direct || mode & RPI_CUDA_LEAVES) return false;
  return extents(ir, w, mask) <= (rpi_ir_row_mode(ir) ? RPI_ROW_LEAF : group_of(mode));
}

/* Blocks of a launch that finishes; 0: the last block of the body does it. */
static int64_t finish_blocks(const rpi_ir *ir, const rpi_cuda_form *form, const rpi_word *w,
                             int64_t mode) {
  int64_t most = 0;
  if (is_direct(ir, form, w, mode)) return 0;
  for (int32_t r = 0; r < ir->n_red; r++) {
    int64_t kept, n = partials_of(ir, w, r, mode, &kept);
    if (kept <= FINISH_KEPT && n * kept <= (kept > 1 ? FINISH_PARTIALS : FINISH_ALONE)) continue;
    const int64_t blocks = n > FEW ? kept * divide_up(n, PART) : divide_up(kept, RPI_CUDA_BLOCK);
    if (blocks > most) most = blocks;
  }
  return most;
}

/* Parts of units, as a warp takes them: of 2^k columns, by 2^(q-k). Where rows are few each warp has fewer of them. */
static int64_t parts_of(const rpi_ir *ir, const rpi_word *w, int64_t units, int32_t most,
                        int32_t *k, int32_t *q) {
  const int64_t columns = least(w[ir->rank - 1].i, RPI_LEAF);
  for (*q = 5; *q > 0; --*q) {
    const int64_t warps = divide_up(units * columns, INT64_C(1) << *q);
    if (warps * RPI_CUDA_WARP / RPI_CUDA_BLOCK * WAVES >= most) break;
  }
  *k = log2_up(columns, 1 << *q);
  return divide_up(units * divide_up(columns, INT64_C(1) << *k), INT64_C(1) << (*q - *k));
}

/* Threads of a unit, log2, and how many groups of so many threads there is work for. */
static int64_t tasks_of(const rpi_ir *ir, const rpi_cuda_form *form, const rpi_word *w,
                        int64_t units, bool apart, int32_t *k) {
  const int64_t n = w[ir->rank - 1].i, leaves = divide_up(n, RPI_LEAF),
                columns = least(n, RPI_LEAF);
  if (ir->n_red > 0 && !rpi_ir_row_mode(ir)) {
    *k = 0;
    if (apart) return units; /* leaves do not meet */
    *k = log2_up(leaves, RPI_CUDA_GROUP);
    if (leaves <= RPI_CUDA_GROUP) return leaves > 0 ? units / leaves << *k : 0;
    return units / leaves * divide_up(leaves, RPI_CUDA_GROUP) * RPI_CUDA_GROUP +
           divide_up(units % leaves, RPI_CUDA_GROUP) * RPI_CUDA_GROUP;
  }
  *k = log2_up(divide_up(columns, form->lanes), RPI_CUDA_BLOCK);
  if (ir->n_red > 0) units *= divide_up(columns, 1 << *k);
  return units << *k;
}

/* Elements that a row of an inner loop may have, as far as extents tell: those of what is read element by element. */
static int64_t longest_row(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w) {
  int64_t longest = 0, here = 0;
  int32_t loop = -1;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    const rpi_ir_ins *ins = &ir->ins[i];
    if (ins->op == RPI_IR_LOOP) {
      loop = i;
      here = INT64_MAX;
    } else if (ins->op == RPI_IR_GATHER && rpi_ir_src(ir, ins, 0) == loop) {
      const int32_t o = (int32_t)ins->imm;
      here = least(here, w[rpi_ir_layout_stride(ir, l, o) + ir->operand[o].rank].i);
    } else if (ins->op == RPI_IR_ENDLOOP && here > longest) {
      longest = here;
    }
  }
  return longest;
}

/* Bits of the mode for a launch whose leaves several warps do each; *p: log2 of the blocks of one. */
static int64_t spread_of(const rpi_ir *ir, const rpi_word *w, int64_t units, int64_t wave,
                         int32_t *p) {
  rpi_ir_layout l;
  int64_t extent[RP_MAX_DIM];
  rpi_ir_layout_get(ir, &l);
  if (units >= SPREAD_WAVES * wave * (RPI_CUDA_BLOCK / RPI_CUDA_WARP)) return 0;
  for (int32_t d = 0; d < ir->rank; d++) extent[d] = w[d].i;
  const int64_t columns = extent[ir->rank - 1], warps = RPI_CUDA_BLOCK / RPI_CUDA_WARP;
  if (rpi_ir_units(ir, extent) <= RPI_CUDA_FAR_UNITS &&
      longest_row(ir, &l, w) / extents(ir, w, (1u << ir->rank) - 1) >= SPREAD_MEAN)
    while (*p < FAR_MOST && units << *p < wave && warps << *p < columns) ++*p;
  return RPI_CUDA_SPREAD | (*p > 0 ? RPI_CUDA_FAR : 0);
}

/* Bits of the mode for a launch that may have rows for more than one warp: which blocks look for them; and blocks that do
 * nothing else, if they are few that have rows. `wave`: blocks that run at once. Numbers too large for the mode are left
 * out: then fewer blocks look. */
static int64_t board_of(const rpi_ir *ir, const rpi_word *w, int64_t wave, int64_t *blocks) {
  rpi_ir_layout l;
  rpi_ir_layout_get(ir, &l);
  const int64_t longest = longest_row(ir, &l, w), points = extents(ir, w, (1u << ir->rank) - 1);
  if (longest <= RPK_ALONE || points == 0) return 0;
  const int64_t idle = least(*blocks, RPI_CUDA_NUMBER),
                first = least(*blocks > wave ? *blocks - wave : 0, idle);
  if (*blocks < wave && wave <= WAVE_MOST && longest >= RPK_BUSY_MOST &&
      longest / points >= RPK_BUSY_MEAN)
    *blocks = wave;
  return first << 32 | idle << 48;
}

/* What comes after the units: by one block, unless there are many kept indices. */
static void end_grid(const rpi_ir *ir, const rpi_cuda_form *form, const rpi_word *w, int32_t most,
                     rpi_cuda_grid *out) {
  int64_t many = 0;
  for (int32_t r = 0; r < ir->n_red; r++) {
    const int64_t kept = extents(ir, w, ((1u << ir->rank) - 1) & ~(uint32_t)ir->red[r].mask);
    if (kept > many) many = kept;
  }
  const bool fin = form->finishes && many > FINISH_KEPT;
  *out = (rpi_cuda_grid){.mode = RPI_CUDA_ROOTS,
                         .main = fin ? 0 : 1,
                         .fin = fin ? (int32_t)least(divide_up(many, RPI_CUDA_BLOCK), most) : 0};
}

/* The same where the partials of all leaves are to be joined. */
static void join_grid(const rpi_ir *ir, const rpi_cuda_form *form, const rpi_word *w, int32_t most,
                      rpi_cuda_grid *out) {
  const int64_t fin = form->finishes ? finish_blocks(ir, form, w, RPI_CUDA_LEAVES) : 0;
  *out = (rpi_cuda_grid){
      .mode = RPI_CUDA_LEAVES, .main = fin > 0 ? 0 : 1, .fin = (int32_t)least(fin, most)};
}

/* The grid of rpk_main: *k, *q (or p) and other bits of the mode, and what comes of them. */
static int64_t main_blocks(const rpi_ir *ir, const rpi_cuda_form *form, const rpi_word *w,
                           int64_t units, bool body, int32_t most, int64_t *mode) {
  const int64_t wave = divide_up(most, WAVES), warps = RPI_CUDA_BLOCK / RPI_CUDA_WARP;
  int64_t blocks, board = 0;
  int32_t k = 0, q = 0;
  if (form->spread) *mode |= spread_of(ir, w, units, wave, &q);
  if (*mode & RPI_CUDA_SPREAD) {
    k = __builtin_ctzll((uint64_t)warps);
    blocks = units << q;
  } else if (form->teams && ir->n_red == 0) {
    blocks = divide_up(parts_of(ir, w, units, most, &k, &q), warps);
  } else {
    const bool leaf = ir->n_red > 0 && !rpi_ir_row_mode(ir);
    blocks = divide_up(tasks_of(ir, form, w, units, body, &k), leaf ? warps : RPI_CUDA_BLOCK);
  }
  blocks = blocks < 1 ? 1 : least(blocks, most);
  if (form->teams) board = board_of(ir, w, wave, &blocks);
  *mode |= (int64_t)k << 8 | (int64_t)q << 16 | board;
  return blocks;
}

void rpi_cuda_grid_get(const rpi_ir *ir, const rpi_cuda_form *form, const rpi_word *w, int64_t u0,
                       int64_t u1, rpi_kernel_part part, int32_t most, rpi_cuda_grid *out) {
  const bool body = part == RPI_KERNEL_BODY;
  int64_t mode = body ? RPI_CUDA_BODY : 0, blocks = 1, fin = 0;
  if (part == RPI_KERNEL_END) {
    end_grid(ir, form, w, most, out);
    return;
  }
  if (part == RPI_KERNEL_JOIN) {
    join_grid(ir, form, w, most, out);
    return;
  }
  if (u1 > u0) blocks = main_blocks(ir, form, w, u1 - u0, body, most, &mode);
  if (mode & RPI_CUDA_FAR)
    fin = divide_up(u1 - u0, RPI_CUDA_BLOCK / RPI_CUDA_WARP);
  else if (form->finishes && u1 > u0 && !body)
    fin = finish_blocks(ir, form, w, mode);
  *out = (rpi_cuda_grid){.mode = mode | (fin > 0),
                         .pro = form->apart ? 1 : 0,
                         .main = (int32_t)blocks,
                         .fin = (int32_t)least(fin, most)};
}

int32_t rpi_cuda_pack(const rpi_ir *ir, const rpi_word *w, int64_t u0, int64_t u1, int64_t mode,
                      void *out) {
  rpi_ir_layout l;
  rpi_word *to = out;
  rpi_ir_layout_get(ir, &l);
  *to++ = (rpi_word){.i = u0};
  *to++ = (rpi_word){.i = u1};
  *to++ = (rpi_word){.i = mode};
  for (int32_t i = 0; i < l.n_words; i++)
    if (i < l.uniform || i >= l.uniform + ir->n_pro) *to++ = w[i];
  return (int32_t)(8 * (to - (rpi_word *)out));
}
