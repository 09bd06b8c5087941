/* SPDX-License-Identifier: Apache-2.0
 * core/base/log.h -- lines to stderr, "reprise: ...". The level is process-wide: the most talkative
 * of the contexts' `log` knobs. */
#ifndef RPI_LOG_H
#define RPI_LOG_H

#include "core/base/attr.h"

enum { RPI_LOG_QUIET = 0, RPI_LOG_WARN = 1, RPI_LOG_INFO = 2, RPI_LOG_DEBUG = 3 };

void rpi_log_level(int32_t level);
void rpi_log(int32_t level, const char *fmt, ...) RPI_PRINTF(2, 3);
/* A warning said once per process and `once`. */
void rpi_log_once(bool *once, const char *fmt, ...) RPI_PRINTF(2, 3);

#endif
