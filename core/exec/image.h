/* SPDX-License-Identifier: Apache-2.0
 * core/exec/image.h -- what a rank's part of a kernel reads of an array where that is no closed form: found out while the
 * plan runs, and kept until the data that decide it change.
 *
 * Lives here: the subscripts of a table as a small expression over rows, loops and index data; the elements they reach;
 *             the messages that follow.
 * Not here:   recognising subscripts in a kernel (trace/subscript.h), who runs the kernel (trace/distribute.h).
 * How:        a rank evaluates the expression for its own rows in interval arithmetic: the least and the largest value of
 *             index data over what is reached of them. A table of one axis whose subscript is index data, as in x[col[k]],
 *             is exact: every element reached that other ranks hold, small gaps filled. Otherwise, or if a hint says so,
 *             it is the box of the intervals (min-max), or that of the first and the last value of index data that are
 *             promised to be in order; where validators run, they are held to it. Owners follow from the cuts; they
 *             learn of it through core/comm/route.h. Index data must be at hand: they are the rank's own, or came by
 *             an image before. If the rank that reaches most reaches half of the table, it is gathered instead:
 *             log2(ranks) messages, not one for each other rank; or all of them in one group, where they go from GPU to GPU.
 * Invariants: whether a rank looks again depends on the versions of index data, which all ranks know. Subscripts out of
 *             range are clamped, as kernels do; what cannot be evaluated reaches everything.
 * Cost:       when index data have changed: a look at the rank's share of them, log2(ranks) rounds of messages. Afterwards:
 *             a comparison for each index array. */
#ifndef RPI_IMAGE_H
#define RPI_IMAGE_H

#include "core/base/status.h"
#include "core/comm/comm.h"
#include "core/exec/exchange.h"
#include "core/exec/messages.h"
#include "core/model/cuts.h"
#include "core/model/geom.h"
#include "core/model/hull.h"

typedef enum rpi_image_kind {
  RPI_IMAGE_BOUNDS, /* lo .. hi */
  RPI_IMAGE_ROW,    /* the rank's rows */
  RPI_IMAGE_DATA,   /* index data at the points of the rank's rows */
  RPI_IMAGE_TABLE,  /* index data at subscripts */
  RPI_IMAGE_LOOP,   /* src[0] up to src[1], which is not in it */
  RPI_IMAGE_ADD,    /* src[0], src[1] */
  RPI_IMAGE_SUB,
  RPI_IMAGE_MUL
} rpi_image_kind;

/* How index data are looked at. */
typedef enum rpi_image_hint {
  RPI_IMAGE_EXACT,     /* each value counts, where that can be told apart */
  RPI_IMAGE_MIN_MAX,   /* the range of values */
  RPI_IMAGE_FIRST_LAST /* the same, of data that do not decrease in row-major order */
} rpi_image_hint;

typedef struct rpi_image_node {
  rpi_image_kind kind;
  rpi_image_hint hint;     /* DATA */
  int32_t src[RP_MAX_DIM]; /* nodes before this one; TABLE: one for each axis */
  int64_t lo, hi;          /* BOUNDS */
  int32_t symbol;          /* DATA, TABLE */
  rp_dtype dtype;          /* an integer's */
  rpi_geom geom;           /* DATA: over the whole space; TABLE: its own axes */
  uint64_t seen;           /* the version looked at; 0: none */
  const struct rp_op *op;  /* FIRST_LAST: the promise is about its store, */
  int32_t store;           /* this one */
} rpi_image_node;

/* One place in a kernel that reads the table: a node for each of its axes. */
typedef struct rpi_image_use {
  int32_t axis[RP_MAX_DIM];
} rpi_image_use;

typedef struct rpi_image {
  rpi_image_node *node;
  int32_t n_node;
  rpi_image_use *use;
  int32_t n_use;
  int32_t symbol; /* of the table */
  int32_t elem;   /* bytes of its elements */
  rpi_geom geom;
  rpi_cuts cuts;
  int64_t row_lo, row_hi; /* this rank's, row_hi is not in it */
  bool looked;
  bool all;      /* so much is reached that every rank gets all of the table: */
  uint64_t seen; /* its version that it got last */
  /* If the kernel, the plan's sub-th (else -1), runs while the exchange is under way: */
  int32_t sub;
  int64_t block;               /* it is asked for that many rows at a time */
  int64_t inner_lo, inner_hi;  /* rows that reach nothing of other ranks */
  rpi_plan_exchange *exchange; /* the plan's */
  rpi_hull reach;              /* bytes of the table in messages of the last look */
} rpi_image;

/* Makes the exchange's messages true for the index data as they are. version[symbol] names the values of a symbol, 0: they
 * have no name. Counts looks and the values of index data that they read. RP_ERR_DATA: data promised to be in order
 * are not; this rank alone may say so. Collective. */
rp_status rpi_image_look(rpi_comm *comm, rpi_image *image, void *const *pointers,
                         const uint64_t *version, rpi_exchange_count *count);
/* Where `all`: every rank gets all of the table, unless it has this version, on the sides of the exchange; pointers has room
 * for it. What is direct is left to the exchange, whose messages are all tiles then. Collective. */
rp_status rpi_image_gather(rpi_comm *comm, rpi_image *image, const rpi_exchange_memory *at,
                           const uint64_t *version);

#endif
