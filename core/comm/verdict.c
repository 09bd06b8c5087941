/* SPDX-License-Identifier: Apache-2.0
 * core/comm/verdict.c -- see verdict.h. */
#include "core/comm/verdict.h"

#include <stdio.h>

#include "core/comm/collect.h"

enum { SAID = 640 };

typedef struct voices {
  rpi_verdict v;
  rp_status status;
  int32_t rank; /* of the status */
  bool differ;  /* not all have the same `same` */
  char said[SAID];
} voices;

static void join(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  (void)arg, (void)n, (void)m;
  voices *a = into;
  const voices *b = from;
  if (b->v.most > a->v.most) a->v.most = b->v.most;
  a->differ = a->differ || b->differ || a->v.same != b->v.same;
  if (a->status != RP_OK || b->status == RP_OK) return;
  a->status = b->status;
  a->rank = b->rank;
  snprintf(a->said, sizeof a->said, "%s", b->said);
}

rp_status rpi_verdict_reach(rpi_comm *c, rp_status mine, rpi_verdict *v, bool *heard) {
  *heard = true;
  if (!c) return mine;
  voices all = {.v = *v, .status = mine, .rank = rpi_comm_rank(c)};
  int64_t n = sizeof all;
  if (mine != RP_OK) snprintf(all.said, sizeof all.said, "%s", rpi_status_message());
  *heard = false;
  RPI_TRY(rpi_collect_merge(c, &all, &n, sizeof all, join, NULL));
  *heard = true;
  *v = all.v;
  if (all.status != RP_OK) return rpi_status_fail(all.status, "rank %d: %s", all.rank, all.said);
  if (all.differ) return rpi_status_fail(RP_ERR_RANKS, "the ranks do not do the same");
  return RP_OK;
}
