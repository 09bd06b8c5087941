/* SPDX-License-Identifier: Apache-2.0
 * core/base/status.h -- how an error travels: a code up, a thread-local sentence beside it.
 * Lives here: rpi_status_fail, RPI_TRY. Not here: the codes (reprise.h).
 * Whoever decides an error writes the sentence; everyone else passes the code on. */
#ifndef RPI_STATUS_H
#define RPI_STATUS_H

#include "core/base/attr.h"
#include "core/include/reprise.h"

/* Sets this thread's sentence and returns `status`. */
rp_status rpi_status_fail(rp_status status, const char *fmt, ...) RPI_PRINTF(2, 3);
/* Puts "<text>: " before the sentence that is there, and returns `status`. */
rp_status rpi_status_context(rp_status status, const char *fmt, ...) RPI_PRINTF(2, 3);
/* The sentence, "" if none. */
const char *rpi_status_message(void);
/* How many sentences this thread has written. */
uint64_t rpi_status_count(void);
/* RP_ERR_MEMORY with "out of memory: <what>". */
rp_status rpi_status_nomem(const char *what);

#define RPI_TRY(expr) \
  do { \
    rp_status rpi_try_ = (expr); \
    if (rpi_try_ != RP_OK) return rpi_try_; \
  } while (0)

#endif
