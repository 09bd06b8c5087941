/* SPDX-License-Identifier: Apache-2.0
 * core/exec/copies.h -- other copies of this library in the process (linked into a plug-in, say).
 * Lives here: whether ours is the first. Not here: what a later one does without (workers.c). */
#ifndef RPI_COPIES_H
#define RPI_COPIES_H

#include "core/base/attr.h"

/* False if the process holds another copy, of any version, that was loaded before this one. Looks
 * through the loaded objects: some microseconds. Any thread. */
bool rpi_copies_first(void);

#endif
