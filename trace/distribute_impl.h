/* SPDX-License-Identifier: Apache-2.0
 * trace/distribute_impl.h -- what the files of distribution share: the walk over a plan's steps.
 * Lives here: the walker's record. distribute.c walks, choice.c decides how arrays are cut, shares.c and shares_grid.c who
 *             computes what, parts.c cuts, bring.c gets what is needed. */
#ifndef RPI_DISTRIBUTE_IMPL_H
#define RPI_DISTRIBUTE_IMPL_H

#include "core/exec/image.h"
#include "trace/distribute.h"
#include "trace/places.h"
#include "trace/margins.h"
#include "trace/needs.h"

/* How a kernel or a call is shared out. */
typedef struct rpi_share {
  bool shared;
  bool by_units; /* the whole space's words, some of its units; else the words of a smaller space */
  int64_t each;  /* rows of the space that are one or more whole units */
  int64_t
      leaf; /* ranks compute whole leaves of so many rows: what two ranks share of one, both do */
  rpi_rows space;
  bool boxes;    /* by several axes, in the words of a smaller space: */
  rpi_grid grid; /* instead of all of the above but `shared` */
} rpi_share;

/* An image that comes before the launch at hand. */
typedef struct rpi_bring_image {
  rpi_image *image;
  int32_t level, user;
} rpi_bring_image;

/* What launch `at` needs of the values that a symbol has in its epoch. */
typedef struct rpi_ahead_need {
  int32_t at, symbol, epoch;
  bool is_box;
  rpi_need line;
  rpi_margin box;
} rpi_ahead_need;

typedef struct rpi_ahead {
  rpi_ahead_need *list;
  int32_t n, cap;
  bool known; /* it is all there */
} rpi_ahead;

/* The user of a need of a later launch. */
enum { RPI_AHEAD_LATER = INT32_MAX };

/* An image that was added before. */
typedef struct rpi_ahead_image {
  const rpi_image *image;
  rpi_share share;
  int32_t at;
  uint64_t epochs; /* a hash of those of all that it reads */
} rpi_ahead_image;

typedef struct rpi_walker {
  rp_context *ctx;
  const rpi_tasks *ts;
  rpi_bound *b;
  int32_t rank, ranks;
  rpi_share *share; /* of the kernels of the launch at hand */
  rpi_geom *geom;   /* of the operands of the kernel at hand */
  uint32_t *held;   /* per symbol: its place before the step at hand, */
  uint32_t *place;  /* and after it */
  uint32_t *adopt;  /* per symbol: the place it gets if the kernel at hand is shared out */
  uint32_t
      *result;  /* per symbol: its place after the launch at hand, if a kernel writes its rows; 0 */
  bool *begun;  /* per symbol: its place is known */
  bool *filled; /* per symbol: it holds values */
  const rpi_view **shape; /* per symbol: a view of its buffer; NULL: touched by nothing */
  rpi_step *step;         /* the new list */
  int32_t n_step, cap_step;
  rpi_needs needs;
  rpi_margins margins;
  bool boxes; /* arrays of several axes are to be cut along more than the first */
  bool trial; /* nothing but steps and places comes of this walk, */
  bool notes; /* and what is needed, into `ahead` */
  rpi_ahead *ahead;
  int32_t at;          /* number of the step at hand */
  int32_t *epoch;      /* per symbol: how often it was written or moved */
  int32_t *brought;    /* per symbol: 1 + the epoch of which all needs are brought, */
  int32_t *brought_at; /* by this step */
  rpi_ahead_image *past;
  int32_t n_past, cap_past;
  int32_t
      user; /* number of the kernel at hand in its launch; -1: something else needs what is brought */
  rpi_bring_image *image;
  int32_t n_image, cap_image;
  int64_t room_most;
  int32_t *moved;   /* per old number of steps: the new number */
  int32_t *settled; /* per symbol: after so many new steps it is gathered for good */
  rp_status status;
} rpi_walker;

/* ---- distribute.c ---- */

/* A step of the new list; without memory the walk's status says so. */
void rpi_distribute_step(rpi_walker *w, const rpi_step *s);

/* An exchange of the plan, without messages yet; NULL without memory, as the walk's status says. */
rpi_plan_exchange *rpi_distribute_exchange(rpi_walker *w);

/* Goes over the plan's steps from the places at entry: all but `ctx`, `ts`, `b`, `rank`, `ranks`, `boxes`, `trial` of the
 * walker is set. */
rp_status rpi_distribute_walk(rpi_walker *w);
/* Frees what the walk has made but what lies in the plan's arena. */
void rpi_distribute_end(rpi_walker *w);

static inline bool rpi_distribute_is_tiled(const rpi_walker *w, int32_t symbol) {
  return w->place[symbol] >= RPI_PLACE_TILED;
}
static inline bool rpi_distribute_is_grid(const rpi_walker *w, int32_t symbol) {
  return rpi_places_is_grid(w->ctx, w->place[symbol]);
}
/* Of a line. */
static inline rpi_cuts rpi_distribute_cuts(const rpi_walker *w, uint32_t place) {
  return rpi_places_tiling(w->ctx, place)->axis[0];
}
/* Why something is slower than it could be; of a trial nothing is said. */
static inline void rpi_distribute_reason(const rpi_walker *w, rpi_reason r) {
  if (!w->trial) rpi_context_reason(w->ctx, r);
}
static inline bool rpi_distribute_is_pinned(const rpi_walker *w, int32_t symbol) {
  return w->b->place[w->b->an->symbol[symbol].slot] == RPI_PLACE_PINNED;
}
static inline bool rpi_distribute_is_uniform(const rpi_geom *g) {
  for (int32_t d = 0; d < g->ndim; d++)
    if (g->stride[d] != 0) return false;
  return true;
}

/* ---- shares.c ---- */

/* Does the operand get rows, one for each row of the space? */
bool rpi_shares_writes_rows(const rpi_group_operand *k, const rpi_geom *g);
/* A written array is to be at this place (WHOLE: there was no memory for one); false: another kernel of the launch, or
 * another operand, has it elsewhere. */
bool rpi_shares_adopt(rpi_walker *w, int32_t symbol, uint32_t place);
/* How a kernel is shared out, if it is; its written rows' arrays are to get the places w->adopt. */
rpi_share rpi_shares_kernel(rpi_walker *w, const rpi_group *g, const rpi_geom *geom,
                            const int64_t *extent);
/* How a kernel is shared out by boxes, if it is; w->adopt as above. */
bool rpi_shares_grid(rpi_walker *w, const rpi_group *g, const rpi_geom *geom, rpi_share *out);
/* The same for a call of a C function. */
rpi_share rpi_shares_call(rpi_walker *w, const rpi_group *g, const rpi_plan_call *c);

/* ---- choice.c ---- */

/* Are arrays of several axes better cut along more than the first, in this segment? */
rp_status rpi_choice_boxes(const rpi_walker *w, bool *boxes);

/* ---- rehearsal.c ---- */

typedef struct rpi_rehearsal {
  rpi_plan plan;
  rpi_arena arena;
  bool joint_failure, saved;
  void *copy[5];
} rpi_rehearsal;

/* Before and after a walk that is to leave nothing behind; the end also comes after a beginning that failed. `st`: what the
 * walk came to, and what the end returns, unless memory ran out. */
rp_status rpi_rehearsal_begin(rpi_bound *b, rpi_rehearsal *r);
rp_status rpi_rehearsal_end(rpi_bound *b, rpi_rehearsal *r, rp_status st);

/* ---- ahead.c ---- */

/* The needs of all steps of the walk to come, if some are of the same values. To be forgotten. */
rp_status rpi_ahead_learn(const rpi_walker *like, rpi_ahead *out);
void rpi_ahead_forget(rpi_ahead *a);
/* The step at hand has this need: `line` or `box` of `symbol`. It is brought, unless it is there. */
void rpi_ahead_need_of(rpi_walker *w, rpi_ahead_need *n);
/* An earlier step has looked up the same of the same values; else this one is remembered. */
bool rpi_ahead_has_image(rpi_walker *w, const rpi_image *m, const rpi_share *s);

/* ---- parts.c ---- */

/* What of a kernel that is shared out is this rank's; w->geom are its operands'. */
void rpi_parts_kernel(rpi_walker *w, const rpi_group *g, const rpi_share *p, const int64_t *extent,
                      rpi_step *step, rpi_sub *sub);
/* The units whose partials a rank puts in, of a kernel that is shared out by units. */
void rpi_parts_own(const rpi_ir *ir, const rpi_share *p, const int64_t *extent, int32_t rank,
                   int64_t *first, int64_t *end);
/* How far the pointer of operand o moves, in bytes, if the space begins at `lo` of what it was. */
int64_t rpi_parts_shift(const rpi_ir *ir, int32_t o, const rpi_geom *geom, const int64_t *lo);
/* A call becomes one on this rank's rows. */
void rpi_parts_call(rpi_walker *w, rpi_plan_call *c, const rpi_share *s);
/* A patch copies what this rank holds of its destination; false: nothing. */
bool rpi_parts_patch(rpi_walker *w, rpi_step *s);

/* ---- bring.c ---- */

/* Every rank gets all of the symbol, now. */
void rpi_bring_whole(rpi_walker *w, int32_t symbol);
/* The symbol is cut as a line of elements, now. */
void rpi_bring_line(rpi_walker *w, int32_t symbol);
/* Each rank gets what a tiling would give it of a symbol that is tiled in another way. */
void rpi_bring_range(rpi_walker *w, int32_t symbol, uint32_t place);
/* What a kernel reads, and the old values its reductions join, will be at hand. */
void rpi_bring_kernel(rpi_walker *w, const rpi_group *g, const rpi_geom *geom,
                      const int64_t *extent, const rpi_word *param, const rpi_share *s);
/* The same for a call. */
void rpi_bring_call(rpi_walker *w, const rpi_group *g, const rpi_plan_call *c, const rpi_share *s);
/* The steps for all that was asked for since the last time; the number of the last exchange, -1: there is none. What was
 * asked for is kept for rpi_bring_inner. */
int32_t rpi_bring_steps(rpi_walker *w);
/* While exchange `step` is under way kernel `user` of the launch may run rows *lo..*hi-1; false if the exchange must
 * end before the launch. Of one that is shared out by boxes: *hi 0 or not says whether any, see rpi_slabs_kernel. */
bool rpi_bring_inner(const rpi_walker *w, int32_t step, int32_t user, int64_t *lo, int64_t *hi);
/* What was asked for is forgotten. */
void rpi_bring_done(rpi_walker *w);

/* ---- slabs.c ---- */

/* The box of kernel `user` of the launch, which is shared out by boxes, becomes pieces, of which the first may run while
 * exchange `step` is under way; w->geom are its operands'. One that may run whole, or not at all, is left in one.
 * `bytes`: the launch's modelled traffic on this rank. */
void rpi_slabs_kernel(rpi_walker *w, int32_t step, int32_t user, const rpi_group *g, int64_t bytes,
                      rpi_sub *sub);

#endif
