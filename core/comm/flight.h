/* SPDX-License-Identifier: Apache-2.0
 * core/comm/flight.h -- a message under way, as a link of a list from which it can be taken anywhere. */
#ifndef RPI_FLIGHT_H
#define RPI_FLIGHT_H

#include "core/comm/comm.h"

typedef struct rpi_flight {
  struct rpi_flight *next, **link; /* link: the pointer that points here */
  rpi_message *m;                  /* NULL: nobody waits any more */
  struct rpi_peer *peer;
  uint64_t tag;
  void *request; /* the transport library's */
} rpi_flight;

/* Puts f where *at points. */
void rpi_flight_put(rpi_flight **at, rpi_flight *f);
/* Takes f out of its list. */
void rpi_flight_take(rpi_flight *f);
void rpi_flight_free_list(rpi_flight *first);

#endif
