/* SPDX-License-Identifier: Apache-2.0
 * core/comm/ucx_book.h -- the ranks' address book: what each tells the others of itself through the launcher.
 *
 * Lives here: publishing one's own card, getting another's, and meeting in the launcher's fence.
 * Not here:   the launcher (boot_pmix.c), what is done with an address (comm_ucx.c).
 * How:        whatever is asked of the launcher is waited for while UCX moves, and no longer than the watchdog's time. */
#ifndef RPI_UCX_BOOK_H
#define RPI_UCX_BOOK_H

#include "core/comm/boot_pmix.h"
#include "core/comm/ucx_worker.h"

/* Its worker's address follows. */
typedef struct rpi_ucx_card {
  int32_t pid;
  char host[60];
} rpi_ucx_card;

typedef struct rpi_ucx_book {
  rpi_boot *boot;
  rpi_ucx *u;
  int32_t rank, size;
  int32_t patience; /* seconds */
  char key[32];     /* what cards are put under */
} rpi_ucx_book;

/* Returns when all ranks have come here. `collect`: with all that was published on every machine. */
rp_status rpi_ucx_book_meet(rpi_ucx_book *b, bool collect);
/* Puts this rank's card into the book, and meets the others; `collect` ranks or fewer have all cards on every machine.
 * Books are made in the same order on all ranks. */
rp_status rpi_ucx_book_publish(rpi_ucx_book *b, int64_t collect);
/* What a rank has published; the caller frees it. */
rp_status rpi_ucx_book_get(rpi_ucx_book *b, int32_t rank, rpi_ucx_card **out);

#endif
