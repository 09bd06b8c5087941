/* SPDX-License-Identifier: Apache-2.0
 * core/exec/plan.h -- the steps a replay runs.
 *
 * Lives here: the plan as data. Not here: how it was made (trace/lower), walking it (run.h).
 * How:        a plan owns one block of parameter words for all its kernels. What changes from one
 *             run to the next is small and listed: pointers (symbols, below) and scalars. Symbols
 *             are the pieces of memory a plan touches; commit turns each into a pointer.
 * Invariant:  steps run in order; each begins when the one before has ended. */
#ifndef RPI_PLAN_H
#define RPI_PLAN_H

#include "core/exec/kernel.h"
#include "core/exec/opaque.h"
#include "core/exec/messages.h"
#include "core/model/tiling.h"

typedef enum rpi_step_kind {
  RPI_STEP_LAUNCH, /* kernels, side by side */
  RPI_STEP_OPAQUE, /* one C function: on the caller's thread, or blocks of it on several */
  RPI_STEP_PATCH,  /* copy an instance into another, where it is not written anyway, if needed */
  RPI_STEP_IMAGE, /* if index data have changed, the messages of the exchange that follows are found anew */
  RPI_STEP_EXCHANGE, /* messages between ranks: what kernels read beyond this rank's part */
  RPI_STEP_GATHER,   /* every rank gets all parts of a symbol */
  RPI_STEP_UPLOAD,   /* bytes of symbol dst go to the GPU */
  RPI_STEP_DOWNLOAD  /* and come from there */
} rpi_step_kind;

/* A box of a kernel's space that runs by itself: on the kernel's words, but for extents, origin and pointers. */
typedef struct rpi_piece {
  int64_t units;
  rpi_word *words;     /* as long as the plan; filled before each use from the kernel's, */
  const int64_t *move; /* this added to each of the first n_move */
  int32_t n_move;
} rpi_piece;

/* One kernel of a launch. */
typedef struct rpi_sub {
  const rpi_kernel *kernel;
  const rpi_kernel_gpu *gpu; /* of a launch on the GPU */
  const rpi_kernel_code
      *code;              /* of the launch in progress: two codes may cut the space differently */
  int32_t word;           /* where its words begin */
  int64_t units;          /* of its body; 0: prologue and epilogue only */
  int64_t first;          /* its first unit: other ranks run those before */
  bool boxes;             /* its space is this rank's box of a larger one */
  bool shared;            /* its reductions are: ranks join their lists */
  int64_t own, own_units; /* whose partials this rank puts into its list */
  /* Where the words have the extents of a box: those of the whole space, and where the box begins in it; both live as
   * long as the plan. NULL: the words have those of the whole space. */
  const int64_t *space, *origin;
  const int64_t *
      whole; /* of a box on the GPU, by reduction: where in scratch the partials of the whole space meet, if they are sent */
  /* A launch that begins while an exchange is under way: */
  int64_t inner, inner_units;    /* need nothing of it, */
  int64_t row, rows;             /* the units are these rows of the space, */
  int64_t rows_each, units_each; /* so many as so many units; 0: this rank has no part of its own */
  const rpi_piece *piece;        /* instead, of a space that is cut into boxes: the inner one, */
  int32_t n_piece;               /* and those around it; 0: it is not */
} rpi_sub;

/* Of its rows lo..hi-1 need nothing: the whole units among them are the inner ones. */
static inline void rpi_sub_inner(rpi_sub *s, int64_t lo, int64_t hi) {
  lo = lo <= s->row ? 0 : (lo - s->row + s->rows_each - 1) / s->rows_each * s->units_each;
  hi = hi >= s->row + s->rows ? s->units
       : hi <= s->row         ? 0
                              : (hi - s->row) / s->rows_each * s->units_each;
  s->inner = s->first + lo;
  s->inner_units = lo < hi ? hi - lo : 0;
}

typedef struct rpi_step {
  rpi_step_kind kind;
  bool gpu;                 /* LAUNCH, OPAQUE, PATCH: on the GPU */
  int32_t first_sub, n_sub; /* LAUNCH */
  int32_t threads;          /* LAUNCH: how many are worth waking */
  int64_t units;            /* LAUNCH: sum over its kernels */
  int64_t piece;            /* LAUNCH: units a thread takes at a time; 0: its part is taken whole */
  int64_t bytes;            /* modelled traffic */
  int32_t src, dst;         /* PATCH: symbols, */
  int32_t first_box, n_box; /* and the boxes to copy; none: all of it */
  int32_t elem;             /* bytes of their elements; GATHER: of the symbol's */
  int64_t clip_lo,
      clip_hi; /* PATCH: the bytes this rank holds; both 0: all. UPLOAD, DOWNLOAD: those that move; both 0: what is held when it runs */
  struct rpi_plan_exchange *exchange; /* EXCHANGE; LAUNCH: that may be under way when it begins */
  bool deferred;                      /* EXCHANGE: the launch that follows ends it */
  struct rpi_image *image;            /* IMAGE */
  const rpi_tiling
      *tiling; /* GATHER: of symbol dst. GPUs may bring it by `exchange`, if that is not NULL */
  int64_t list_room; /* LAUNCH: bytes of its joint reductions; 0: none */
  struct rpi_plan_exchange
      *partials; /* of these on GPUs: ranks' partials; NULL: lists are made on the host */
  int32_t call;  /* OPAQUE: index into calls */
} rpi_step;

/* An opaque call: `n` pointer words from `word` and behind them its scalars, geometry of each store; with threads > 1
 * blocks of units (constraint.h), of unit_bytes[i] from one to the next in store i (0: it is not cut). */
typedef struct rpi_plan_call {
  const rpi_opaque *opaque;
  const rpi_geom *geom;
  const rpi_geom
      *unit; /* of stores that are cut: the elements from a unit's first to its last, row by unit */
  const int64_t *unit_bytes;
  int64_t first, units; /* of the stores that are cut; 0: none is */
  int64_t block_units;  /* that a block should have at least */
  bool part;            /* `units` are this rank's: not all that the geometry says */
  int32_t
      n_unbound; /* stores whose size the call decides; as many last pointers are for rpi_pieces_made */
  int64_t *counts; /* rows that each thread's block made of each */
  int32_t threads;
  int32_t word, n;
  rp_gpu_store *
      gpu; /* of a call on the GPU: what its function is told of each store, the runner the addresses; */
  const rp_gpu_store **gpu_stores; /* and where that is */
  bool loose;                      /* its function cannot be recorded: no graph has it */
  bool failed;                     /* set by the runner: the function reported failure, */
  char *why;                       /* in these words; NULL: it said nothing */
} rpi_plan_call;

/* Each in the low bytes. */
static inline const uint64_t *rpi_plan_call_scalars(const rpi_plan_call *c, const rpi_word *words) {
  return &words[c->word + c->n].u;
}

/* words[word] = pointer of the symbol, on the host or the GPU, + offset bytes. */
typedef struct rpi_plan_pointer {
  int32_t word, symbol;
  bool gpu;
  int64_t offset;
} rpi_plan_pointer;

typedef struct rpi_plan_scalar {
  int32_t word, scalar;
} rpi_plan_scalar;

typedef struct rpi_plan {
  rpi_word *words;
  rpi_step *step;
  rpi_sub *sub;
  rpi_plan_call *call;
  rpi_plan_pointer *pointer;
  rpi_plan_scalar *scalar;
  rpi_geom *box;
  char *lists; /* room for two lists of joint reductions of any step */
  int32_t n_box;
  int32_t n_words, n_step, n_sub, n_call, n_pointer, n_scalar;
  int32_t n_kernels;                            /* kernels run each time */
  int64_t bytes;                                /* modelled traffic of one run */
  int32_t n_shared, n_boxed, n_gather, n_joint; /* the same of kernels and steps among ranks */
  rpi_plan_exchange *exchanges;
  struct rpi_graphs *graphs; /* graph.h; NULL: none yet */
  struct rpi_joint *joint;   /* joint.h; NULL: none yet */
  struct rpi_loop *loop;     /* loop.h; NULL: none yet */
  int32_t n_loose;           /* calls that are loose */
} rpi_plan;

#endif
