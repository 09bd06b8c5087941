/* SPDX-License-Identifier: Apache-2.0
 * core/comm/library.h -- shared libraries that are looked for only when they are needed: a process alone
 * opens none, and the build links none. They stay loaded until the process ends, for they have threads. */
#ifndef RPI_LIBRARY_H
#define RPI_LIBRARY_H

#include "core/base/status.h"

/* RP_ERR_RANKS with the loader's reason if there is no such `file`. */
rp_status rpi_library_open(const char *file, void **so);
/* Puts the address of function `name` of `so` or what it depends on into the function pointer at `out`. */
rp_status rpi_library_find(void *so, const char *file, const char *name, void *out);

#endif
