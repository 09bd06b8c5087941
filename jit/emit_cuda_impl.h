/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_cuda_impl.h -- what the files of the CUDA emitter share, beside emit_c_impl.h.
 *
 * Words:      a thread has `lanes` neighbouring columns at a time: those of lane 0, 1, ... A load or store of all of
 *             them at once is *whole*. A *direct* launch delivers reductions where they are made: every row is one
 *             group (LEAF mode), or every column one unit (ROW mode), so there is nothing to finish.
 * Names in the text: s<i>_<j> the value of instruction i at lane j, s<i> where there is one lane or the value is of the
 *             prologue; m<i> what a whole load brought; c or c_<j> a column, of its row; a<r>_0, a<r>_1 or a<r>
 *             accumulators of reduction r; keep<i> a value of the prologue kept by thread 0 for the end. */
#ifndef RPI_EMIT_CUDA_IMPL_H
#define RPI_EMIT_CUDA_IMPL_H

#include "jit/emit_c_impl.h"
#include "jit/emit_cuda.h"

enum { RPI_CUDA_WARP = 32 };
enum { RPI_CUDA_POOL = 256 }; /* elements that a warp shares at once: 16 KiB a block */

/* ---- emit_cuda_form.c */
/* Does the prologue store (and no launch of its own does it)? */
bool rpi_cuda_stores_early(const rpi_ir *ir);
/* May some launches be direct? */
bool rpi_cuda_may_be_direct(const rpi_ir *ir);

/* ---- emit_cuda_line.c */
/* Expressions of values at the lane at hand. */
void rpi_emit_thread_load(const rpi_emit *e, int32_t i, char *buf);
void rpi_emit_thread_gather(rpi_emit *e, int32_t i, char *buf);
/* Instructions of the body at column c of all lanes; `limit` names the end of the columns. */
void rpi_emit_thread_point(rpi_emit *e, const char *limit);

/* ---- emit_cuda_loop.c */
/* An inner loop whose rows a warp does together. */
typedef struct rpi_emit_team {
  int32_t at, end;
  bool segment; /* else of a fixed axis: leaves, however short */
  rp_dtype dtype;
  rpi_irval element;
  const char *ctype, *t, *red;
} rpi_emit_team;
/* Do the threads of a warp do the loop at instruction `at` together? It is then written by rpi_emit_team_loop, with the
 * functions of rpi_emit_team_long for longer rows, which want RPG_FOLD and RPG_COLLECT of that operator and dtype. */
bool rpi_emit_is_team(const rpi_emit *e, int32_t at);
/* Is there one in the body? */
bool rpi_emit_has_team(const rpi_emit *e);
rpi_emit_team rpi_emit_team_of(const rpi_emit *e, int32_t at);
void rpi_emit_team_folds(const rpi_emit *e, int32_t at, rpi_redop *op, rp_dtype *t);
void rpi_emit_team_loop(rpi_emit *e, int32_t at);
/* The next value that the loop takes from around it, behind v; p->end: there is none. */
int32_t rpi_emit_team_taken(const rpi_emit *e, const rpi_emit_team *p, int32_t v);
/* `most` elements at once, so that their loads overlap, as far as registers go: wide indices take twice as many. */
void rpi_emit_team_unroll(rpi_emit *e, const rpi_emit_team *p, int32_t most);
/* The loop's instructions for element s<at>; then it joins `sum`. */
void rpi_emit_team_inner(rpi_emit *e, const rpi_emit_team *p);
void rpi_emit_team_join(rpi_emit *e, const rpi_emit_team *p, const char *only, const char *sum);

/* ---- emit_cuda_long.c */
void rpi_emit_team_long(rpi_emit *e, int32_t at);
/* Behind those of all loops: what warps do that have no row of their own left. */
void rpi_emit_team_assist(rpi_emit *e);

/* ---- emit_cuda_body.c */
/* Bounds that all modes have, then the loops over units. */
void rpi_emit_cuda_bounds(rpi_emit *e);
void rpi_emit_cuda_units(rpi_emit *e);

/* Several points at once, so that their loads overlap, as far as registers go. */
void rpi_emit_cuda_unroll(rpi_emit *e);
/* The columns [c0, stop) of the row's leaf l. */
void rpi_emit_cuda_leaf_bounds(rpi_emit *e, const char *l);
/* Accumulator a<r><suffix>. */
void rpi_emit_cuda_identity(rpi_emit *e, int32_t r, const char *suffix);
/* A value goes to reduction r's destination, or to place `at` of its partials. */
void rpi_emit_cuda_value(rpi_emit *e, int32_t r, const char *value, const char *at);

/* ---- emit_cuda_leaf.c */
void rpi_emit_cuda_leaf_units(rpi_emit *e);
/* Spread: an element of reduction r at the thread's column. */
void rpi_emit_cuda_term(rpi_emit *e, int32_t r, const char *value);
/* rpk_leaves_KEY, which makes partials of terms that far blocks have left. */
void rpi_emit_cuda_leaves(rpi_emit *e);

/* ---- emit_cuda_end.c */
/* The value that a store of the prologue, before instruction `end`, gives operand o; -1: none, or it is in memory. */
int32_t rpi_cuda_early(const rpi_emit *e, int32_t o, int32_t end);
/* The prologue's values, made by each thread or, `apart`, read; then what the end needs of them put aside. */
void rpi_emit_cuda_prologue(rpi_emit *e, const rpi_cuda_form *form, bool keep);
/* The kernel that makes the prologue apart. */
void rpi_emit_cuda_apart(rpi_emit *e);
/* rpk_join_KEY, which finishes all reductions. */
void rpi_emit_cuda_join(rpi_emit *e);
/* What the last block does; `kept`: from the values put aside; `stage`: of the reductions, with block and blocks. */
void rpi_emit_cuda_end(rpi_emit *e, const rpi_cuda_form *form, bool kept, const char *stage);

#endif
