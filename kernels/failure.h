/* SPDX-License-Identifier: Apache-2.0
 * kernels/failure.h -- how the shipped libraries report an error: a formatted sentence through
 * rp_error_set, as any other library would. */
#ifndef RPI_FAILURE_H
#define RPI_FAILURE_H

#include "core/include/reprise.h"

/* Makes the text this thread's sentence (cut at 1000 bytes) and returns `status`. */
rp_status rpi_failure_set(rp_status status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* RP_ERR_MEMORY with "out of memory: <what>". */
rp_status rpi_failure_memory(const char *what);

#endif
