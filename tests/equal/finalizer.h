/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/finalizer.h -- a rank of its own kind: who releases its stores at other times, and is slow now and then.
 * Lives here: handles that the program let go of, until a finalizer comes to them. Not here: the program. */
#ifndef FINALIZER_H
#define FINALIZER_H

#include <stdbool.h>

#include "core/include/reprise.h"

/* For this thread: handles go to a finalizer, which comes in an order and at times by `seed`; 0: they are released at
 * once. */
void finalizer_begin(uint64_t seed);
/* The program lets go of the handle (NULL is allowed), itself or through rp_store_release_any. */
rp_status finalizer_take(rp_store *s, bool any);
/* Between two steps. */
void finalizer_step(void);
/* Releases all that is left. */
void finalizer_end(void);

#endif
