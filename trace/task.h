/* SPDX-License-Identifier: Apache-2.0
 * trace/task.h -- the tasks of a segment in full: what each touches, over which space.
 *
 * Lives here: the records and how they are rebuilt from a segment's words (segment.h).
 *             A task that overwrites at other points what it reads itself, where renaming does not
 *             pay, and an opaque task that wants dense stores, get temporaries and copies here.
 * Not here:   how accesses relate (query.h), which tasks join (fuse.h).
 * Invariants: an access's geometry has exactly the task's space as its shape, unless it is a table
 *             (gathered from) or the task is opaque: then it is the argument's own box. */
#ifndef RPI_TASK_H
#define RPI_TASK_H

#include "core/base/alloc.h"
#include "core/model/op.h"
#include "jit/body.h"

typedef enum rpi_task_kind {
  RPI_TASK_BODY,   /* a space of rank >= 1 */
  RPI_TASK_SCALAR, /* scalars only, no loops: belongs into prologues and epilogues */
  RPI_TASK_COPY,   /* a whole array shared copy-on-write */
  RPI_TASK_OPAQUE
} rpi_task_kind;

typedef struct rpi_access {
  int32_t task;
  uint32_t slot;
  int32_t arg;          /* store parameter */
  int32_t operand;      /* of the variant's IR; -1 for opaque and copy tasks */
  uint8_t mode;         /* RPI_ACCESS_ bits; REDUCE | READ: the old value joins */
  bool table;           /* touches an unknown part of geom */
  const rpi_view *view; /* of the argument */
  rpi_geom geom;
} rpi_access;

typedef struct rpi_task {
  rp_op *op;
  const rpi_variant *variant; /* NULL: opaque */
  rpi_task_kind kind;
  int32_t launch; /* which of the segment's; copies of its own making have that of none */
  int32_t n_store;
  const uint32_t *slot; /* per store parameter */
  const rpi_view **view;
  int32_t first_scalar; /* in the segment's scalars, in words */
  int32_t rank;
  int64_t extent[RP_MAX_DIM];     /* of the space */
  int32_t first_access, n_access; /* in rpi_tasks.access; operands of the IR in order */
  int64_t *extent_param;
} rpi_task;

typedef struct rpi_tasks {
  rpi_task *task;
  int32_t n_task;
  rpi_access *access;
  int32_t n_access, cap_access;
  uint32_t n_slot;  /* those of the segment first, then temporaries that no buffer stands behind */
  int32_t n_scalar; /* words */
} rpi_tasks;

/* A launch's words (see segment.h): word 0 is op id | stores << 32 | scalars << 48, then one word
 * per store: slot << 32 | view id. */
static inline uint64_t rpi_task_word(const rp_op *op) {
  return (uint64_t)op->id | (uint64_t)op->n_stores << 32 | (uint64_t)op->n_scalars << 48;
}
static inline uint64_t rpi_task_arg(uint32_t slot, uint32_t view) {
  return (uint64_t)slot << 32 | view;
}

/* One element, the same at every point. Read-only operands like that are loaded before the body. */
static inline bool rpi_task_is_uniform(const rpi_access *a) {
  for (int32_t d = 0; d < a->geom.ndim; d++)
    if (a->geom.stride[d] != 0) return false;
  return !a->table;
}

/* Rebuilds all tasks of a segment; everything is allocated from `a`. */
rp_status rpi_task_build(rp_context *ctx, const uint64_t *words, int32_t n_words, uint32_t n_slot,
                         rpi_arena *a, rpi_tasks *out);
/* What a launch can see wrong, before it is recorded: RP_OK or the error. */
rp_status rpi_task_validate(rp_op *op, rp_store *const *stores);
/* A body over no points that reduces nothing: it touches nothing, so it is left out. Its shapes say so. */
static inline bool rpi_task_idle(const rpi_task *t) {
  bool none = false;
  if (t->kind != RPI_TASK_BODY || t->variant->ir.n_red > 0) return false;
  for (int32_t d = 0; d < t->rank; d++) none = none || t->extent[d] == 0;
  return none;
}

/* Every element of the buffer gets a new value through this access, whatever it held. */
static inline bool rpi_task_overwrites(const rpi_access *a) {
  if (a->table || !a->view->covers) return false;
  if (a->mode & RPI_ACCESS_REDUCE) return !(a->mode & RPI_ACCESS_READ);
  return (a->mode & RPI_ACCESS_WRITE) && rpi_geom_size(&a->geom) == a->view->bsize;
}
/* The op's name; and with its stores. */
void rpi_task_print_op(const rpi_tasks *ts, int32_t t, rpi_strbuf *out);
void rpi_task_print(const rpi_tasks *ts, int32_t t, rpi_strbuf *out);

#endif
