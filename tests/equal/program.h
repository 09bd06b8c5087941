/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/program.h -- random programs over the public interface, for tests that run one program in
 * many ways and compare what it computes.
 *
 * Lives here: the list of steps, its generator (program.c), its execution (program_run.c), what a run
 *             observes (transcript.c), programs in print (program_text.c).
 * Not here:   which ways are compared (ways.h), the independent evaluator (direct.h).
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
  PROGRAM_STEPS = 900,
  PROGRAM_STORES = 6,
  PROGRAM_NODES = 40,
  PROGRAM_TEXT = 512
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
  PROGRAM_LARGE = 512, /* long loops, several families and phases */
  PROGRAM_ALL = 1023
};

typedef enum step_kind {
  STEP_NOTHING,
  STEP_CREATE, /* v0: dtype, shape n */
  STEP_SCALAR, /* v0: dtype, value by seed */
  STEP_ATTACH, /* as create, in memory of the program; access in flag */
  STEP_HOME,
  STEP_DETACH,
  STEP_VIEW,    /* v0 from v1: view in flag, its arguments in n */
  STEP_RELEASE, /* flag: by rp_store_release_any */
  STEP_SWAP,
  STEP_WRITE, /* values by seed; flag: see program_fill; spoil: one element becomes a bad index */
  STEP_WRITE_PART,
  STEP_READ,
  STEP_READ_PART,
  STEP_FILL,
  STEP_COPY,   /* v0 = v1 */
  STEP_LAUNCH, /* flag: make v0 by rp_call */
  STEP_OPAQUE, /* flag: which function */
  STEP_BEGIN,  /* flag: id */
  STEP_END,
  STEP_WAIT,
  STEP_STORE_WAIT,
  N_STEP_KIND
} step_kind;

enum {
  VIEW_SLICE,
  VIEW_BOX,
  VIEW_TRANSPOSE,
  VIEW_PROMOTE,
  VIEW_PROJECT,
  VIEW_BROADCAST,
  VIEW_RESHAPE,
  N_VIEW
};

/* One node of an expression; kids come after it (prefix order). */
typedef struct program_node {
  int16_t op; /* index into the table of direct.h */
  int16_t kid[3];
  int16_t operand; /* of a leaf: store, or -1 - scalar */
  int16_t dtype;   /* of its value */
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
  int32_t spoil;
  int32_t n_scalar;
  double scalar[2];
  char params[80], body[PROGRAM_TEXT];
  program_node node[PROGRAM_NODES];
  int32_t n_node; /* 0: the body has no tree and is not evaluated directly */
  int32_t asg;    /* of the tree: 0 '=', else '+' or 'm' (min) or 'M' (max) */
  bool scatter;   /* the tree is at points, which store 1 sends to elements of store 0 */
} program_step;

typedef struct program {
  int32_t n_step;
  program_step step[PROGRAM_STEPS];
} program;

/* From a seed, or from bytes that decide. Both give the same program each time. Only the steps in use are
 * set. */
void program_make(program *p, uint64_t seed, const uint8_t *bytes, size_t n_bytes,
                  uint32_t features);
void program_print_step(const program_step *s, int32_t at);
void program_print(const program *p);

/* The text and the parameters of a launch from its tree. */
void program_write_body(program_step *s);

/* ---- running */

/* What a run is counted by: names of rp_stat, in the order of program_stats. */
enum {
  STAT_LAUNCHES,
  STAT_SEGMENTS,
  STAT_HITS,
  STAT_MISSES,
  STAT_TEMPLATES,
  STAT_ANALYSES,
  STAT_SKELETONS,
  STAT_KERNELS_RUN,
  STAT_STEPS_RUN,
  STAT_TEMPORARIES,
  STAT_DEAD,
  STAT_RENAMED,
  STAT_PATCHED,
  STAT_SHARED,
  STAT_LATE,
  STAT_POISONED,
  STAT_KERNELS_SHARED,
  STAT_MESSAGES,
  STAT_GATHERS,
  STAT_JOINT,
  STAT_AGREED,
  STAT_DECISIONS,
  N_STAT
};
extern const char *const program_stats[N_STAT];

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
  int64_t stat[N_STAT];
  char fault[600]; /* the first thing that is wrong by itself; "" */
  char *explain;   /* if it was asked for */
} transcript;

/* Memory that a program has lent to stores. */
typedef struct memory_piece {
  void *data;
  struct memory_piece *next;
} memory_piece;

typedef struct run_options {
  const char *config; /* of the context that is made */
  rp_context *ctx;    /* or one that is there; other programs may have run in it */
  memory_piece **
      lent; /* with ctx: gets the memory, which must outlive it: among ranks a store that is let go by
                        * rp_store_release_any stays until the end of the context */
  bool stepwise; /* wait after every launch, and check launches with the direct evaluator */
  bool twice;    /* write down only the second of two runs in one context */
  bool explain;
  uint64_t finalizer; /* see finalizer.h; 0: none */
} run_options;

void program_run(const program *p, const run_options *o, transcript *t);

record *transcript_note(transcript *t, int32_t step, int32_t var, rp_status st);
void transcript_keep(transcript *t, record *r, rp_dtype dtype, const void *data, size_t bytes);
/* Adds what the context has counted so far, times `sign`. */
void transcript_stats(transcript *t, rp_context *ctx, int32_t sign);
void transcript_free(transcript *t);
/* The first difference in words; "" if there is none. `a` is the run task by task. */
bool transcript_equal(const program *p, const transcript *a, const transcript *b, char *why,
                      size_t size);

/* ---- shared by program.c and program_run.c: the steps that make or change handles, done on `var` */

void program_memory_free(memory_piece **first);
rp_status program_step_handles(rp_context *ctx, const program_step *s, rp_store **var,
                               memory_piece **memory, bool *skipped);
rp_status program_step_launch(rp_context *ctx, const program_step *s, rp_store **var,
                              bool *skipped);
void program_fill(rp_dtype dtype, uint64_t seed, int64_t bound, int64_t n, void *data);

#endif
