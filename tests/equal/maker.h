/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/maker.h -- what the files of the generator share: decisions, stores, the steps so far.
 *
 * Lives here: the generator's state, and how a step enters the program.
 * Not here:   which steps follow one another (program.c), expressions (make_tree.c), indexed bodies
 *             (make_form.c), views and host access (make_access.c).
 * How:        the generator keeps stores of its own beside the program's variables, so that shapes
 *             need no second model: a step that makes or drops a handle is done on them as well. */
#ifndef MAKER_H
#define MAKER_H

#include "tests/equal/program.h"

/* What a variable may be used as. SPAN: a view of an index array, which only moves. */
enum { ROLE_FREE, ROLE_DATA, ROLE_INDEX, ROLE_SPAN };

typedef struct maker {
  program *p;
  uint64_t state;
  const uint8_t *bytes; /* decide instead of the state, if there are any */
  size_t n_bytes;
  uint32_t features;
  bool bad_index; /* this program may gather out of range */
  rp_context *ctx;
  rp_store *var[PROGRAM_VARS];
  int8_t role[PROGRAM_VARS];
  bool fixed[PROGRAM_VARS]; /* shows elements twice, or is read-only: rarely written */
  memory_piece *memory;
} maker;

/* ---- decisions */

uint64_t maker_draw(maker *m);
int32_t maker_pick(maker *m, int64_t n); /* 0..n-1; 0 for n <= 1 */
bool maker_chance(maker *m, int32_t percent);
bool maker_has(const maker *m, uint32_t feature);

/* ---- steps */

bool maker_full(const maker *m, int32_t n); /* no room for n more steps */
program_step maker_step(step_kind kind, int32_t v0, int32_t v1);
void maker_emit(maker *m, const program_step *s);
void maker_emit_simple(maker *m, step_kind kind, int32_t v0, int32_t v1, int32_t flag);

/* ---- variables: -1 where there is none */

typedef struct like {
  int32_t ndim;
  int64_t shape[RP_MAX_DIM];
  rp_dtype dtype; /* -1: any */
  bool write;
} like;

typedef bool (*maker_test)(const maker *m, int32_t v, const void *with);

int32_t maker_free_var(maker *m);
int32_t maker_choose(maker *m, maker_test test, const void *with);
bool maker_any(const maker *m, int32_t v, const void *with);
bool maker_writable(const maker *m, int32_t v, const void *with);
bool maker_same_shape(const maker *m, int32_t v, const void *with); /* with: a like */
bool maker_fits_into(const maker *m, int32_t v, const void *with);  /* broadcasts to a like */
like maker_shape_of(const maker *m, int32_t v);
int32_t maker_make_like(maker *m, const like *l, bool filled);
/* A variable of that shape, made if there is none, and in `fresh` percent of the cases. */
int32_t maker_get_like(maker *m, const like *l, int32_t fresh);

/* ---- kinds of steps, each in the file named above */

bool make_is_float(rp_dtype d);
void make_assign(maker *m);
void make_call(maker *m);
void make_chain(maker *m);
void make_reduce(maker *m);
void make_scatter(maker *m);
/* An index array of that extent: below `bound`, or rising to it; -1 if there is none. */
int32_t make_index(maker *m, int64_t extent, int64_t bound, bool rising);
void make_form(maker *m, uint32_t kinds);
void make_view(maker *m);
void make_host(maker *m);
void make_copy(maker *m);
void make_opaque(maker *m);

/* Kinds of forms. */
enum { FORM_WHOLE = 1, FORM_STENCIL = 2, FORM_REDUCE = 4, FORM_GATHER = 8 };

#endif
