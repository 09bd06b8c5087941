/* SPDX-License-Identifier: Apache-2.0
 * jit/merge.h -- merges the bodies of several tasks into one kernel: stores become values.
 *
 * Lives here: the merging, instruction by instruction. Not here: which tasks join and why it is
 *             legal (trace/fuse), where operands lie.
 * How:        the caller gives each operand of a task a *place*: equal places are the same elements
 *             in the same order. A value stored to a place is forwarded to later loads of it; what
 *             must reach memory is stored once, at the end of its section. Tasks come in the order
 *             prologue, body, epilogue, and within a section in program order. */
#ifndef RPI_MERGE_H
#define RPI_MERGE_H

#include "jit/ir.h"

/* One operand of a task that is merged. */
typedef struct rpi_merge_operand {
  int32_t place; /* 0.. ; < n_places of the merge */
  int32_t read;  /* operand of the merged kernel to load from or gather in; -1: never loaded */
  int32_t write; /* operand to store or reduce to; -1: the store is not needed */
} rpi_merge_operand;

typedef struct rpi_merge_task {
  const rpi_ir *ir;                 /* a body section only */
  const rpi_merge_operand *operand; /* ir->n_operand of them */
  int32_t origin;                   /* for dumps */
} rpi_merge_task;

typedef struct rpi_merge {
  rpi_ir *ir; /* the merged kernel; its operands were added by the caller */
  int32_t section;
  int32_t n_places;
  rpi_irval *value; /* per place: what it holds now, RPI_IR_NONE: what memory holds */
  int32_t *write;   /* per place: operand of a pending store, -1: none */
  rpi_irval *map;   /* value map of the task at hand */
  int32_t cap_map;
} rpi_merge;

/* `ir` is initialised and has its operands; it must outlive the merge. */
rp_status rpi_merge_begin(rpi_merge *m, rpi_ir *ir, int32_t n_places);
rp_status rpi_merge_add(rpi_merge *m, const rpi_merge_task *t);
/* Ends the prologue (first call) or the body (second call): writes its pending stores. */
void rpi_merge_section(rpi_merge *m);
/* Ends the epilogue. rpi_merge_section must have been called twice. */
rp_status rpi_merge_end(rpi_merge *m);
void rpi_merge_deinit(rpi_merge *m);

#endif
