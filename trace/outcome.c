/* SPDX-License-Identifier: Apache-2.0
 * trace/outcome.c -- see outcome.h.
 * How: each flag's and each call's entry is the lowest rank on which it was raised or failed; the entries of all ranks are
 *      joined by their minimum. */
#include "trace/outcome.h"

#include <stdio.h>

#include "core/comm/collect.h"
#include "trace/places.h"

enum { NOWHERE = INT32_MAX };

static void lowest(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  int32_t *mine = into;
  const int32_t *theirs = from;
  (void)arg, (void)m;
  for (int64_t i = 0; i < *n / (int64_t)sizeof *mine; i++)
    if (theirs[i] < mine[i]) mine[i] = theirs[i];
}

void rpi_outcome_join(rp_context *ctx, rpi_bound *b) {
  if (RPI_LIKELY(!b->joint_failure) || rpi_comm_dry(ctx->comm) || ctx->ranks_status != RP_OK)
    return;
  const int32_t rank = rpi_comm_rank(ctx->comm);
  int32_t *call = b->marks + b->n_flag;
  int64_t bytes = (b->n_flag + b->plan.n_call) * (int64_t)sizeof *b->marks;
  for (int32_t f = 0; f < b->n_flag; f++) b->marks[f] = ctx->flags[f].raised ? rank : NOWHERE;
  for (int32_t c = 0; c < b->plan.n_call; c++) call[c] = b->plan.call[c].failed ? rank : NOWHERE;
  const rp_status st = rpi_collect_merge(ctx->comm, b->marks, &bytes, bytes, lowest, NULL);
  if (rpi_places_failed(ctx, st) != RP_OK) return;
  for (int32_t f = 0; f < b->n_flag; f++) ctx->flags[f].raised = b->marks[f] != NOWHERE;
  for (int32_t c = 0; c < b->plan.n_call; c++) b->plan.call[c].failed = call[c] != NOWHERE;
}

void rpi_outcome_print(const rp_context *ctx, const rpi_bound *b, int32_t call, char *text,
                       size_t size) {
  text[0] = '\0';
  if (ctx->comm) snprintf(text, size, " on rank %d", (int)b->marks[b->n_flag + call]);
  if (b->plan.call[call].why) snprintf(text, size, ": %s", b->plan.call[call].why);
}
