/* SPDX-License-Identifier: Apache-2.0
 * core/comm/boot_pmix.h -- what the launcher knows, asked through PMIx: who we are, and what ranks tell each
 * other before they have messages.
 *
 * Lives here: place among the ranks, one blob per rank and key, a fence, the end of the job.
 * Not here:   messages (comm_ucx.c).
 * Threads:    one thread at a time, all boots of the process together. Being a client of PMIx is what makes the
 *             launcher end the job when this process ends otherwise than it should. So the process stays one, once it
 *             has a boot, and takes its leave of the launcher when it exits with all boots closed. */
#ifndef RPI_BOOT_PMIX_H
#define RPI_BOOT_PMIX_H

#include "core/base/status.h"

typedef struct rpi_boot rpi_boot;

/* *out NULL: no launcher that speaks PMIx, or one that started one process. */
rp_status rpi_boot_open(rpi_boot **out);
/* From the last close on the process may end without the others. Not while a fence or a question is under way: then
 * the boot stays. */
void rpi_boot_close(rpi_boot *b);

int32_t rpi_boot_rank(const rpi_boot *b);
int32_t rpi_boot_size(const rpi_boot *b);
int32_t rpi_boot_seat(const rpi_boot *b);  /* this rank's number among those of its machine, or 0 */
int32_t rpi_boot_local(const rpi_boot *b); /* how many of the ranks share this machine, or 1 */

/* Others can ask for it after the next fence. */
rp_status rpi_boot_put(rpi_boot *b, const char *key, const void *data, size_t bytes);
/* Asks for what `rank` has put, perhaps on that rank's machine. In halves, as a fence; one question at a time. */
rp_status rpi_boot_ask(rpi_boot *b, int32_t rank, const char *key);
bool rpi_boot_answered(const rpi_boot *b);
/* The answer; *data is released with rpi_alloc_free. */
rp_status rpi_boot_answer(rpi_boot *b, void **data, size_t *bytes);

/* A fence in two halves, so that the caller can move messages meanwhile, and stop waiting: begin it once, then look.
 * `collect`: it brings what ranks have put to every machine, which takes memory there for each rank. */
rp_status rpi_boot_fence_begin(rpi_boot *b, bool collect);
bool rpi_boot_fence_ended(const rpi_boot *b);
/* How the ended one ended. */
rp_status rpi_boot_fence_result(const rpi_boot *b);

/* Has the launcher end all ranks with that exit status. May return. */
void rpi_boot_abort(rpi_boot *b, int32_t status, const char *why);

#endif
