/* SPDX-License-Identifier: Apache-2.0
 * core/comm/depart.h -- the last steps of a process that has ranks: how it gives up, and last calls of libraries that have
 * been seen to hang in them, within a bounded time. */
#ifndef RPI_DEPART_H
#define RPI_DEPART_H

#include "core/base/attr.h"

/* All of what is below ends within so many seconds of the time when it was known that a rank has failed: 10, if nobody says.
 * Any thread. */
void rpi_depart_grace(int32_t seconds);
/* Calls last(arg) on a thread of its own. False: it did not return in time, and keeps `arg`. */
bool rpi_depart(void (*last)(void *arg), void *arg);

enum { RPI_DEPART_STATUS = 13 }; /* exit status of a process that gave up */

/* `why` without the name of this rank, if it begins with that. */
const char *rpi_depart_words(int32_t rank, int32_t size, const char *why);
/* Says on stderr why this rank gives up, and ends the process soon, also if what the caller does then hangs. */
void rpi_depart_say(int32_t rank, int32_t size, const char *why);
/* Waits a moment, so that what this process said last is read before its launcher is asked to end the job: MPICH's
 * forwards nothing any more from then on. */
void rpi_depart_linger(void);

#endif
