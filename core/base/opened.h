/* SPDX-License-Identifier: Apache-2.0
 * core/base/opened.h -- tables of the functions of libraries that are opened at run time, each once in a process.
 *
 * Lives here: an address by its name; what came of a library when it was first asked for, a refusal with its sentence as well
 *             as a table.
 * Not here:   which libraries, what is needed of them, what is said where they are missing: their own files.
 * Threads:    any. What is open stays open until the process ends. */
#ifndef RPI_OPENED_H
#define RPI_OPENED_H

#include <pthread.h>

#include "core/base/status.h"

/* Those of one kind, by the names that they were asked for by. */
typedef struct rpi_opened_list {
  pthread_mutex_t lock;
  struct rpi_opened *first;
} rpi_opened_list;
#define RPI_OPENED_LIST \
  { .lock = PTHREAD_MUTEX_INITIALIZER }

/* Fills a table of zeros; `library` is "" if none was named. */
typedef rp_status rpi_opened_load(const char *library, void *table);
/* The table of `library` (NULL: ""), of `bytes` bytes, which is loaded if this is the first time; or the status and the sentence of
 * that time. Short of memory nothing is remembered. */
rp_status rpi_opened_get(rpi_opened_list *all, const char *library, size_t bytes,
                         rpi_opened_load *load, const void **out);

/* Puts the address of `symbol` into the function pointer at `out`; false, and NULL there: it has none. */
bool rpi_opened_find(void *so, const char *symbol, void *out);

#endif
