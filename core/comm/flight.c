/* SPDX-License-Identifier: Apache-2.0
 * core/comm/flight.c -- see flight.h. */
#include "core/comm/flight.h"

#include "core/base/alloc.h"

void rpi_flight_put(rpi_flight **at, rpi_flight *f) {
  f->next = *at;
  f->link = at;
  if (f->next) f->next->link = &f->next;
  *at = f;
}

void rpi_flight_take(rpi_flight *f) {
  *f->link = f->next;
  if (f->next) f->next->link = f->link;
}

void rpi_flight_free_list(rpi_flight *first) {
  for (rpi_flight *next; first; first = next) {
    next = first->next;
    rpi_alloc_free(first);
  }
}
