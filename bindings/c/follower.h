/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/follower.h -- what a context that follows the program's does with what it is told.
 *
 * Lives here: its table of handles, and each call once more, by the public functions where they fit.
 * Not here:   what is told (follow.h), the thread that does this (crew.h).
 * How:        a follower's handles are found by the index that the program's handle has. Memory that the program lends is
 *             its own as far as a follower is concerned: it has a copy of the same size, which is filled when the program's
 *             turn ends. What the program reads a follower helps to bring, and keeps nothing of it.
 * Invariants: a follower never writes memory of the program, and reads it only in calls that wait for it. */
#ifndef RPI_FOLLOWER_H
#define RPI_FOLLOWER_H

#include "bindings/c/follow.h"

extern const rpi_crew_duty rpi_follower_duty;

#endif
