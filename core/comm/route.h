/* SPDX-License-Identifier: Apache-2.0
 * core/comm/route.h -- records that ranks have for each other, brought to those they are for.
 * Lives here: sparse discovery: a rank knows what it has to say to whom, and nobody knows who has something to say to
 *             him. Not here: what a record means (the caller), collectives in which all get the same (collect.h). */
#ifndef RPI_ROUTE_H
#define RPI_ROUTE_H

#include "core/comm/comm.h"

/* Without padding: it travels as it is. */
typedef struct rpi_route_record {
  int32_t from, to; /* ranks; `from` is written by rpi_route_records */
  int64_t word[4];  /* the caller's */
} rpi_route_record;

/* Zero: empty. The owner frees `records` with rpi_alloc_free. */
typedef struct rpi_route_list {
  rpi_route_record *records;
  int32_t n, cap;
} rpi_route_list;

/* Appends a record for rank `to`; itself is allowed. False without memory. */
bool rpi_route_add(rpi_route_list *list, int32_t to, const int64_t word[4]);
/* Every rank begins with records for any ranks, as many as it likes, and ends with those that are for it, by `from`
 * and then in the order in which that rank had them. Collective; at most 2 sends and 4 receives in each of
 * ceil(log2(ranks)) rounds, nothing proportional to the number of ranks. A record passes through other ranks' memory
 * on its way. In a dry run nothing arrives but what a rank has for itself. After an error (RP_ERR_RANKS,
 * RP_ERR_MEMORY) the list holds some of the records. NULL is a process alone. */
rp_status rpi_route_records(rpi_comm *c, rpi_route_list *list);

#endif
