/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/program.h -- random programs over the public interface, for tests that run one program in
 * many ways and compare what it computes.
 *
 * Lives here: the list of steps, its generator (program.c), its execution (program_run.c).
 * Not here:   which ways are compared (test_programs.c), the independent evaluator (direct.h).
 * How:        a program works on numbered variables that hold stores. The generator keeps a context of
 *             its own in which it makes the same stores, so that shapes need no second model. Loops are
 *             written out: a step list is flat, and any of its sublists is a program as well (a step on
 *             an empty variable is skipped), which makes shrinking trivial. A step that the runtime
 *             refuses is part of the program: all ways must refuse it alike.
 * Invariant:  what a run records depends on the program alone. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>

#include "core/include/reprise.h"

enum {
  PROGRAM_VARS = 48,
  PROGRAM_STEPS = 700,
  PROGRAM_STORES = 6,
  PROGRAM_NODES = 24,
  PROGRAM_TEXT = 400
};

/* Features of the generator that a caller may switch off. */
enum {
  PROGRAM_OPAQUE = 1,
  PROGRAM_ATTACH = 2,
  PROGRAM_GATHER = 4,
  PROGRAM_MATH = 8,
  PROGRAM_BREAK = 16,
  PROGRAM_LATE_RELEASE = 32,
  PROGRAM_COPY = 64,
  PROGRAM_REDUCE = 128,
  PROGRAM_HOST = 256,
  PROGRAM_ALL = 511
};

typedef enum step_kind {
  STEP_NOTHING,
  STEP_CREATE,  /* v0: dtype, shape n */
  STEP_SCALAR,  /* v0: dtype, value by seed */
  STEP_ATTACH,  /* as create, in memory of the program; access in flag */
  STEP_HOME,
  STEP_DETACH,
  STEP_VIEW,    /* v0 from v1: view in flag, its arguments in n */
  STEP_RELEASE, /* flag: by rp_store_release_any */
  STEP_SWAP,
  STEP_WRITE,   /* values by seed; flag: bound of indices (0: any values), -1: rising from 0 to rank */
  STEP_WRITE_PART,
  STEP_READ,
  STEP_READ_PART,
  STEP_FILL,
  STEP_COPY,    /* v0 = v1 */
  STEP_LAUNCH,  /* flag: make v0 by rp_call */
  STEP_OPAQUE,  /* flag: which function */
  STEP_BEGIN,   /* flag: id */
  STEP_END,
  STEP_WAIT,
  STEP_STORE_WAIT,
  N_STEP_KIND
} step_kind;

enum { VIEW_SLICE, VIEW_BOX, VIEW_TRANSPOSE, VIEW_PROMOTE, VIEW_PROJECT, VIEW_BROADCAST, VIEW_RESHAPE, N_VIEW };

/* One node of an expression; kids come after it (prefix order). */
typedef struct program_node {
  int32_t op;      /* index into the table of direct.h */
  int32_t kid[3];
  int32_t operand; /* of a leaf: store, or -1 - scalar */
  double literal;
} program_node;

typedef struct program_step {
  step_kind kind;
  int32_t flag;
  int32_t v[PROGRAM_STORES], n_store;
  rp_dtype dtype;
  int32_t ndim;
  int64_t n[RP_MAX_DIM + 8];
  uint64_t seed;
  int32_t n_scalar;
  double scalar[2];
  char params[80], body[PROGRAM_TEXT];
  program_node node[PROGRAM_NODES];
  int32_t n_node; /* 0: the body has no tree and is not evaluated directly */
  int32_t asg;    /* of the tree: 0 '=', else '+' or 'm' (min) or 'M' (max) */
} program_step;

typedef struct program {
  int32_t n_step;
  program_step step[PROGRAM_STEPS];
} program;

/* From a seed, or from bytes that decide. Both give the same program each time. */
void program_make(program *p, uint64_t seed, const uint8_t *bytes, size_t n_bytes, uint32_t features);
void program_print_step(const program_step *s, int32_t at);
void program_print(const program *p);

/* ---- running */

/* What a run observed, in order: host reads, statuses, memory brought home, and at last every store. */
typedef struct record {
  int32_t step; /* index of the step; n_step: at the end */
  int32_t var;
  rp_status status;
  rp_dtype dtype;
  size_t at, bytes; /* in transcript.data */
} record;

typedef struct transcript {
  record *rec;
  int32_t n_rec, cap_rec;
  unsigned char *data;
  size_t n_data, cap_data;
  int32_t direct_checks; /* launches that the direct evaluator agreed with */
  char fault[600];       /* the first thing that is wrong by itself; "" */
  char *explain;         /* if it was asked for */
} transcript;

typedef struct run_options {
  const char *config;
  bool stepwise; /* wait after every launch, and check launches with the direct evaluator */
  bool explain;
  bool compiled; /* wait for compiles now and then, so that both tiers take part */
} run_options;

void program_run(const program *p, const run_options *o, transcript *t);
void transcript_free(transcript *t);
/* The first difference in words; "" if there is none. */
bool transcript_equal(const program *p, const transcript *a, const transcript *b, char *why, size_t size);

/* What program.c shares with program_run.c: the step that makes or changes handles, done on `var`. */
typedef struct memory_piece {
  void *data;
  struct memory_piece *next;
} memory_piece;
rp_status program_step_handles(rp_context *ctx, const program_step *s, rp_store **var,
                               memory_piece **memory, bool *skipped);
rp_status program_step_launch(rp_context *ctx, const program_step *s, rp_store **var, bool *skipped);
void program_fill(rp_dtype dtype, uint64_t seed, int64_t bound, int64_t n, void *data);

#endif
