/* SPDX-License-Identifier: Apache-2.0
 * trace/distribute.h -- a plan of the whole space becomes this rank's part of it.
 *
 * Lives here: which kernels are shared out among ranks and where they are cut, what each rank needs of the
 *             others before a step, and where buffers are valid afterwards.
 * Not here:   how messages travel (core/comm/), when they are sent (core/exec/exchange.h).
 * How:        a rank has the addresses of a whole array, but touches only its own range of elements (cuts.h) and
 *             what it receives; pages it never touches do not exist. So views, strides and offsets are those of
 *             one process, and a rank's part of a kernel is a range of its rows. A buffer is WHOLE (every rank
 *             holds valid values of all of it) or TILED (each of its own range). What is whole is cut where the
 *             kernel's other arrays are when it is first written in parts. A kernel is shared out if
 *             all it writes are rows of tiled arrays that are cut alike, or reductions over the first axis, which ranks
 *             join; so is a call that may be split by rows. Before it comes what it reads beyond its own rows. Whatever
 *             is not shared out runs on all ranks alike, on whole arrays, which are gathered first; a reason says why.
 * Invariant:  all decisions are functions of the plan, of the places and of the number of ranks, so that all
 *             ranks decide alike and send what the others receive (DESIGN.md, invariant 8). */
#ifndef RPI_DISTRIBUTE_H
#define RPI_DISTRIBUTE_H

#include "trace/lower.h"

/* Rewrites the plan of b for this rank. b->place is where the slots are valid at entry; b->place_out becomes where they
 * are at the end. */
rp_status rpi_distribute(rp_context *ctx, const rpi_tasks *ts, rpi_bound *b);
/* Takes what a message between ranks came to: of a failure the first is kept in ctx->ranks_status, the other ranks are
 * told, and nothing is sent any more. Returns st. */
rp_status rpi_distribute_failed(rp_context *ctx, rp_status st);

/* The following are collective where the buffer is tiled; their failures are passed to rpi_distribute_failed. */

/* Every rank gets all of the buffer's values. */
rp_status rpi_distribute_gather(rp_context *ctx, rpi_buffer *b);
/* The elements of a box of the buffer, which has an instance, in C order, on every rank; the buffer may stay in parts. */
rp_status rpi_distribute_read(rp_context *ctx, rpi_buffer *b, const rpi_geom *box, void *data);
/* Makes range_lo and range_hi true: bounds of an integer buffer's values on all ranks (index_range.h). */
rp_status rpi_distribute_index_range(rp_context *ctx, rpi_buffer *b);

/* How an array is cut that no other tells; false: too small, every rank holds all of it. v NULL: unknown. */
bool rpi_distribute_default(const rp_context *ctx, const rpi_view *v, rpi_cuts *out);
/* The place that a tiling is; RPI_PLACE_WHOLE and a status message without memory for it. */
uint32_t rpi_distribute_number(rp_context *ctx, const rpi_cuts *c);
/* Tilings that no array has are given up. Only while there are no plans. */
void rpi_distribute_forget(rp_context *ctx);
/* Where the buffer is to be valid when the host has written all of it. */
rp_status rpi_distribute_host(rp_context *ctx, const rpi_buffer *b, uint32_t *place);

#endif
