/* SPDX-License-Identifier: Apache-2.0
 * core/exec/messages.h -- messages between ranks as a plan knows them: which bytes of which symbol, to or from whom.
 *
 * Lives here: the lists, and how they are made piece by piece.
 * Not here:   which pieces (trace/needs.h, image.h), when they are sent (exchange.h), how they travel (core/comm/).
 * How:        a message is a row of runs, each some blocks of equal length at equal distances: ranges, the columns of a
 *             matrix, and any other set of elements alike. One block is sent from where it lies; more are packed.
 * Invariant:  both sides name the same elements in the same order; how they are put into runs may differ. */
#ifndef RPI_MESSAGES_H
#define RPI_MESSAGES_H

#include "core/model/hull.h"
#include "core/model/tiling.h"

/* Bytes at + i*step .. + bytes-1 of a symbol, i < count. */
typedef struct rpi_plan_run {
  int64_t at, bytes, count, step;
} rpi_plan_run;

typedef struct rpi_plan_message {
  int32_t symbol, peer;
  bool send;
  bool direct; /* from one GPU to the other, by NCCL */
  uint8_t
      sides; /* where the symbol's values are: of RPI_AT_; 0: the host. What comes goes to all of them */
  int64_t bytes; /* of all runs */
  int32_t first_run, n_run;
  int64_t
      stage; /* where it is packed; -1: it is one block, of the host or, if it is direct, of the GPU */
  uint64_t seen; /* the version of the symbol's values that it brought last; 0: none */
} rpi_plan_message;

/* Messages that are sent and received together. */
typedef struct rpi_plan_exchange {
  rpi_plan_message *list;
  rpi_plan_run *run;
  struct rpi_message *post; /* as many as list: where they are under way */
  char *stage;
  int64_t stage_bytes;
  struct rpi_device
      *device;    /* set before messages are; NULL: none. Else the stage is pinned memory */
  uint64_t there; /* the same for those that are direct, on the GPU */
  int64_t there_bytes;
  bool gpu; /* what it is for runs on the GPU, on all ranks alike */
  bool
      apart; /* all are direct, and both sides have the same runs, all blocks: each goes by itself */
  bool aside;    /* direct messages are under way beside other work of the GPU */
  bool direct;   /* of messages to come, */
  uint8_t sides; /* as this */
  bool taken;    /* the GPU may still read the stage */
  bool
      marked; /* what the GPU packs, and reads of the stage, is done when it has reached the mark */
  struct CUevent_st *mark; /* NULL: none was made yet */
  int32_t n, cap, cap_post, n_run, cap_run;
  int32_t n_post;                 /* under way */
  struct rpi_plan_exchange *next; /* all of a plan */
} rpi_plan_exchange;

/* One more run: of the last message if that has this symbol, peer and direction, else of a new one. False without
 * memory. */
bool rpi_messages_add(rpi_plan_exchange *e, int32_t symbol, int32_t peer, bool send,
                      const rpi_plan_run *run);
/* A dense array in C order, from byte `at` of its symbol on. */
typedef struct rpi_plan_array {
  int32_t ndim, elem;
  int64_t at, shape[RP_MAX_DIM];
} rpi_plan_array;

/* The box lo <= index < hi of an array, which is not empty, as runs: rows of the last axis, those of the axis before it
 * together; whole rows are one block. False without memory. */
bool rpi_messages_box(rpi_plan_exchange *e, int32_t symbol, int32_t peer, bool send,
                      const rpi_plan_array *array, const int64_t *lo, const int64_t *hi);
/* All tiles of an array of `elem`-byte elements become all ranks': this rank's goes to the others, theirs come. False without
 * memory. */
bool rpi_messages_tiles(rpi_plan_exchange *e, int32_t symbol, const rpi_tiling *tiling,
                        int32_t elem, int32_t rank);
/* All are there: what has one symbol, peer and direction becomes one message. False without memory. */
bool rpi_messages_join(rpi_plan_exchange *e);
/* The same, and room for them to be under way, for where they are by now. False without memory. */
bool rpi_messages_close(rpi_plan_exchange *e);
/* From the first byte of the symbol that some message has to the last. */
rpi_hull rpi_messages_hull(const rpi_plan_exchange *e, int32_t symbol);
/* None any more; memory is kept. */
void rpi_messages_clear(rpi_plan_exchange *e);
void rpi_messages_deinit(rpi_plan_exchange *e);

#endif
