/* SPDX-License-Identifier: Apache-2.0
 * core/base/clock.h -- monotonic nanoseconds. */
#ifndef RPI_CLOCK_H
#define RPI_CLOCK_H

#include <stdint.h>

int64_t rpi_clock_ns(void);

#endif
