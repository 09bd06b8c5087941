/* SPDX-License-Identifier: Apache-2.0
 * kernels/failure.c -- formats the sentences of the shipped libraries. */
#include "kernels/failure.h"

#include <stdarg.h>
#include <stdio.h>

rp_status rpi_failure_set(rp_status status, const char *fmt, ...) {
  char text[1000];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  return rp_error_set(status, text);
}

rp_status rpi_failure_memory(const char *what) {
  return rpi_failure_set(RP_ERR_MEMORY, "out of memory: %s", what);
}
