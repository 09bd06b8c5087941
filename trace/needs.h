/* SPDX-License-Identifier: Apache-2.0
 * trace/needs.h -- what ranks read beyond their own ranges, as messages.
 *
 * Lives here: needs in closed form (rows of a kernel through a view), and the messages of one rank that follow.
 * Not here:   other needs (core/exec/image.h), when messages are sent (core/exec/exchange.h).
 * How:        of one array a rank needs one range, the hull of all that is read of it. Its owners follow from the cuts.
 *             Those who need something of this rank are found by bisection, for what rank r needs moves upwards with
 *             r: both sides compute the same messages, and nothing loops over all ranks.
 * Invariant:  between two ranks there is one message for an array at most, in each direction. */
#ifndef RPI_NEEDS_H
#define RPI_NEEDS_H

#include "core/exec/plan.h"
#include "trace/rows.h"

/* Row i of `space` needs elements first + step*i .. + span of a symbol; a rank has its rows in whole leaves. */
typedef struct rpi_need {
  int32_t symbol, user; /* user: the caller's */
  rpi_rows space;
  int64_t leaf;
  int64_t first, step, span;
} rpi_need;

typedef struct rpi_needs {
  rpi_need *list;
  int32_t n, cap;
} rpi_needs;

/* What whole leaves of rows of `space` read through a view (step > 0). */
rpi_need rpi_needs_of(int32_t symbol, const rpi_rows *space, int64_t leaf, const rpi_geom *view);
/* False without memory. */
bool rpi_needs_add(rpi_needs *needs, const rpi_need *one);
/* The rows lo..hi-1 whose need lies in elements from..to-1. */
void rpi_needs_within(const rpi_need *need, int64_t from, int64_t to, int64_t *lo, int64_t *hi);
/* This rank's messages for all needs of a symbol whose array has these cuts and elements of `elem` bytes: what it
 * receives, then what it sends. False without memory. */
bool rpi_needs_messages(const rpi_needs *needs, int32_t symbol, const rpi_cuts *cuts, int32_t rank,
                        int32_t elem, rpi_plan_exchange *out);

#endif
