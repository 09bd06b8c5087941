/* SPDX-License-Identifier: Apache-2.0
 * core/comm/depart.h -- last calls of libraries that have been seen to hang in them, within a bounded time. */
#ifndef RPI_DEPART_H
#define RPI_DEPART_H

#include "core/base/attr.h"

/* Calls last(arg) on a thread of its own. False: it did not return in time, and keeps `arg`. */
bool rpi_depart(void (*last)(void *arg), void *arg);

#endif
