/* SPDX-License-Identifier: Apache-2.0
 * trace/distribute.h -- a plan of the whole space becomes this rank's part of it.
 *
 * Lives here: which kernels are shared out among ranks and where they are cut, what each rank needs of the
 *             others before a step, and where buffers are valid afterwards.
 * Not here:   how messages travel (core/comm/), when they are sent (core/exec/exchange.h).
 * How:        a rank has the addresses of a whole array, but touches only its own range of elements (cuts.h) and
 *             what it receives; pages it never touches do not exist. So views, strides and offsets are those of
 *             one process, and a rank's part of a kernel is a range of its rows. A buffer is WHOLE (every rank
 *             holds valid values of all of it) or TILED (each of its own range, or box). What is whole is cut where the
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

#endif
