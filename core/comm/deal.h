/* SPDX-License-Identifier: Apache-2.0
 * core/comm/deal.h -- records of one size, many of them, from each rank to any ranks.
 *
 * Lives here: a sparse exchange of bulk data.
 * Not here:   a few records that travel through other ranks (route.h), what a record means (the caller).
 * How:        records are put in order of the ranks they are for; a routed record tells each of these how many come, and
 *             then one message brings them. Nothing is proportional to the number of ranks but, where a rank has records
 *             for all of them, its messages. */
#ifndef RPI_DEAL_H
#define RPI_DEAL_H

#include "core/comm/comm.h"

typedef struct rpi_deal {
  int64_t n;         /* records of this rank */
  const int32_t *to; /* whom each is for */
  int64_t bytes;     /* of a record, > 0; the same on all ranks */
  void *
      records; /* of rpi_alloc: taken and freed, also after an error, so that never are there three copies */
  int64_t n_out; /* results: the records for this rank, by sender and then in the sender's order, */
  void *out;     /* for rpi_alloc_free */
} rpi_deal;

/* Collective. `mine` is what this rank's arguments came to: if it is an error anywhere, or memory is short anywhere, all
 * ranks get the first such rank's. *heard false: messages failed, and what other ranks know is not known. Without a comm a
 * rank deals to itself. In a dry run nothing arrives but what a rank has for itself. */
rp_status rpi_deal_records(rpi_comm *c, rp_status mine, rpi_deal *d, bool *heard);

#endif
