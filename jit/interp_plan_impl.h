/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_plan_impl.h -- what the files of the interpreter's planner share.
 * Nobody else includes it, so what is inline here has short names.
 *
 * Words:      every value has a *level*: 0 the same for the whole call, 1 for a row, 2 + d for a value
 *             that changes inside d loops. A *frame* is the block itself or an inner loop that is being
 *             translated. A value is *absorbed* where its user computes it: it makes no step.
 * Errors:     memory that is missing and loops that are missing are noted in the planner, and told
 *             once, at the end; places given out after that are 0. */
#ifndef RPI_INTERP_PLAN_IMPL_H
#define RPI_INTERP_PLAN_IMPL_H

#include "core/base/alloc.h"
#include "jit/interp_impl.h"

enum { RPI_LEVEL_CALL = 0, RPI_LEVEL_ROW = 1, RPI_LEVEL_BLOCK = 2 };

typedef struct rpi_plan_value {
  int32_t place, reg; /* reg: register to give back; -1: none */
  int32_t last_use;   /* instruction after which nobody reads it */
  int32_t next_dead;  /* list of the values with one last use */
  int32_t dead;       /* head of that list for this instruction */
  int32_t match;      /* LOOP: its ENDLOOP; ENDLOOP: its LOOP */
  int32_t inner;      /* LOOP: its number in the program */
  int32_t uses, user; /* number of uses, and the last one */
  int32_t store;      /* the first STORE of the value; -1 */
  int32_t next_store; /* LOAD: the next STORE of its dtype */
  uint8_t level, nest;
  uint8_t
      part; /* head of a pair: the source that is absorbed, and 1; of a dot: its gather, and 1 */
  bool done;
  bool absorbed; /* its user computes it */
  bool stored;   /* the result goes to where its store would copy it; guarded: perhaps */
} rpi_plan_value;

typedef struct rpi_frame {
  struct rpi_frame *parent;
  int32_t depth, inner; /* inner: -1 for the block itself */
  int32_t temp[2];
  bool tail; /* steps go to the tail of the inner program */
} rpi_frame;

typedef struct rpi_planner {
  const rpi_interp *p;
  const rpi_ir *ir;
  rpi_program *g;
  rpi_section section;
  int32_t first, end;
  rpi_plan_value *v;
  int32_t *pool, n_pool, cap_pool;
  int32_t *inplace, n_inplace, cap_inplace; /* values that are memory, perhaps guarded */
  int32_t zero;
  int32_t at;      /* the instruction at hand */
  int32_t missing; /* the first that has no loop; -1 */
  bool failed;
} rpi_planner;

static inline const rpi_ir_ins *ins(const rpi_planner *c, int32_t i) { return &c->ir->ins[i]; }
static inline int32_t source(const rpi_planner *c, int32_t i, int32_t k) {
  return rpi_ir_src(c->ir, ins(c, i), k);
}
static inline bool is_splat(const rpi_planner *c, int32_t v) {
  return v < c->first || c->v[v].level <= RPI_LEVEL_ROW;
}
/* The number of loops that a value changes inside. */
static inline int32_t depth_of(const rpi_plan_value *v) {
  return v->level <= RPI_LEVEL_BLOCK ? 0 : v->level - RPI_LEVEL_BLOCK;
}

/* ---- interp_value.c */
/* Fills c->v but for places: levels, uses, stores, loops, what is absorbed, lifetimes. False if loops
 * nest deeper than a level can say. */
bool rpi_interp_values(rpi_planner *c);

/* ---- interp_absorb.c */
/* Decides which values their users compute, once levels and uses are known; their sources then live
 * until the user runs. */
void rpi_interp_absorb(rpi_planner *c);
/* The pair of i and its source k; -1. */
int32_t rpi_interp_pair_of(const rpi_planner *c, int32_t i, int32_t k);

/* ---- interp_place.c */
bool rpi_interp_grow(rpi_planner *c, void **array, int32_t *cap, int32_t need, size_t elem);
#define RPI_INTERP_GROW(ctx, array, n, cap) \
  rpi_interp_grow(ctx, (void **)&(array), &(cap), (n) + 1, sizeof *(array))
/* Appends to a list of the planner or the program; gives `place`. */
int32_t rpi_interp_list_add(rpi_planner *c, int32_t **list, int32_t *n, int32_t *cap,
                            int32_t place);
int32_t rpi_interp_place_add(rpi_planner *c, rpi_place_kind kind, int32_t arg);
/* The place that moves with the block, or of the coordinate; one for each argument. */
int32_t rpi_interp_place_moving(rpi_planner *c, rpi_place_kind kind, int32_t arg);
int32_t rpi_interp_place_coord(rpi_planner *c, int32_t axis);
int32_t rpi_interp_register_get(rpi_planner *c);
void rpi_interp_register_give(rpi_planner *c, int32_t place); /* -1: nothing */
int32_t rpi_interp_splat_get(rpi_planner *c);
/* A splat that is known when the call begins: `bits`, or the word of that number if it is not -1. */
int32_t rpi_interp_fill_add(rpi_planner *c, rp_dtype dtype, int32_t word, uint64_t bits);
rpi_steps *rpi_interp_steps_of(rpi_planner *c, const rpi_frame *f, int32_t level);
/* Notes the instruction at hand if fn is NULL. */
void rpi_interp_need_loop(rpi_planner *c, rpi_loop_fn *fn);
void rpi_interp_step_add(rpi_planner *c, rpi_steps *s, rpi_interp_step step);
/* The place of value v as seen from a frame: expanded by the loops between. */
int32_t rpi_interp_resolve(rpi_planner *c, const rpi_frame *f, int32_t v);
/* The same, but never a splat: *temp is a register to give back, or -1. */
int32_t rpi_interp_resolve_block(rpi_planner *c, const rpi_frame *f, int32_t v, int32_t *temp);
/* The length of blocks, and the scratch. RP_ERR_INTERNAL with a sentence if nothing fits it. */
rp_status rpi_interp_lay_out(const rpi_planner *c);

/* ---- interp_memory.c */
void rpi_interp_plan_load(rpi_planner *c, const rpi_frame *f, int32_t i);
void rpi_interp_plan_store(rpi_planner *c, const rpi_frame *f, int32_t i);
void rpi_interp_plan_reduce(rpi_planner *c, const rpi_frame *f, int32_t i);
void rpi_interp_plan_gather(rpi_planner *c, rpi_frame *f, int32_t i);
/* True if the result of i may be written where its store would copy it, perhaps with a guard: then it
 * has its place. */
bool rpi_interp_store_ahead(rpi_planner *c, const rpi_frame *f, int32_t i);

#endif
