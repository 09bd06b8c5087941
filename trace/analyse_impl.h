/* SPDX-License-Identifier: Apache-2.0
 * trace/analyse_impl.h -- the working state of one analysis, shared by analyse.c and kernels.c. */
#ifndef RPI_ANALYSE_IMPL_H
#define RPI_ANALYSE_IMPL_H

#include "trace/analyse.h"

typedef struct rpi_analyser {
  rp_context *ctx;
  const rpi_tasks *ts;
  rpi_analysis *an;
  rpi_arena tmp;
  rp_status status;
  int32_t cap_symbol;
  /* Per access; places are numbered anew for each group. */
  int32_t *place;
  int32_t *place_access; /* per place: the first access there */
  int32_t n_place;
  uint8_t *holds;  /* per place: section whose value it holds, 0: memory's */
  bool *forwarded; /* a load that gets a value of the group */
  bool *stored;    /* a write that must reach memory */
  int32_t *read_symbol, *write_symbol;
  /* Per slot. */
  int32_t *now;      /* symbol it is in, -1: none yet */
  int32_t *before;   /* the same when the group began, behind the copies at its border */
  int32_t *writes;   /* groups that have written it so far */
  int32_t *wrote_in; /* 1 + 3 * group + section that was the last to write it */
  bool *need_in;     /* [group][slot] */
  bool *copy_wanted; /* per task */
  bool *kept;        /* per slot: its memory outlives the segment, as its own or as a copy's */
} rpi_analyser;

/* Makes the operands, the merged IR and the kernel of a group (kernels.c). */
rp_status rpi_analyse_kernel(rpi_analyser *u, rpi_group *g);

#endif
