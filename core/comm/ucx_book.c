/* SPDX-License-Identifier: Apache-2.0
 * core/comm/ucx_book.c -- see ucx_book.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/comm/ucx_book.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"

/* Moves messages until the launcher has done what it was asked for; false: not within the watchdog's time. */
static bool launcher_did(const rpi_ucx_book *b, bool (*did)(const rpi_boot *)) {
  const int64_t until = rpi_clock_ns() + b->patience * INT64_C(1000000000);
  const struct timespec pause = {.tv_nsec = 100000};
  while (!did(b->boot)) {
    if (rpi_clock_ns() > until) return false;
    if (b->u->ucp_worker_progress(b->u->worker) == 0) nanosleep(&pause, NULL);
  }
  return true;
}

rp_status rpi_ucx_book_meet(rpi_ucx_book *b, bool collect) {
  RPI_TRY(rpi_boot_fence_begin(b->boot, collect));
  if (!launcher_did(b, rpi_boot_fence_ended))
    return rpi_status_fail(RP_ERR_RANKS, "rank %d of %d: not all ranks have come within %d s",
                           b->rank, b->size, b->patience);
  return rpi_boot_fence_result(b->boot);
}

rp_status rpi_ucx_book_publish(rpi_ucx_book *b, int64_t collect) {
  static _Atomic int32_t opened; /* ranks open their comms in the same order */
  snprintf(b->key, sizeof b->key, "reprise.ucx.%d", (int)opened++);
  const size_t bytes = sizeof(rpi_ucx_card) + b->u->address_bytes;
  rpi_ucx_card *mine = rpi_alloc_zero(bytes);
  if (!mine) return rpi_status_nomem("this rank's address");
  mine->pid = (int32_t)getpid();
  gethostname(mine->host, sizeof mine->host - 1);
  memcpy(mine + 1, b->u->address, b->u->address_bytes);
  const rp_status st = rpi_boot_put(b->boot, b->key, mine, bytes);
  rpi_alloc_free(mine);
  RPI_TRY(st);
  return rpi_ucx_book_meet(b, b->size <= collect);
}

rp_status rpi_ucx_book_get(rpi_ucx_book *b, int32_t rank, rpi_ucx_card **out) {
  void *data;
  size_t bytes;
  RPI_TRY(rpi_boot_ask(b->boot, rank, b->key));
  if (!launcher_did(b, rpi_boot_answered))
    return rpi_status_fail(RP_ERR_RANKS,
                           "rank %d of %d: the launcher has not found rank %d within %d s", b->rank,
                           b->size, rank, b->patience);
  RPI_TRY(rpi_boot_answer(b->boot, &data, &bytes));
  *out = data;
  if (bytes > sizeof **out) return RP_OK;
  rpi_alloc_free(data);
  return rpi_status_fail(RP_ERR_RANKS, "rank %d runs another version of the library", rank);
}
