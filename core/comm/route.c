/* SPDX-License-Identifier: Apache-2.0
 * core/comm/route.c -- see route.h.
 *
 * Lives here: through whose hands a record goes, and the order in which records end.
 * Not here:   messages themselves (comm.c), what is asked or answered by records (the caller).
 * How:        the crystal router (Fox, Johnson, Lyzenga, Otto, Salmon, Walker: Solving Problems on Concurrent
 *             Processors, 1988, chapter 22), for any number of ranks: the ranks are halved, each hands what is for the
 *             other half to its partner there, and goes on in its own half. Of an odd number the left half has one more,
 *             who hands to the last of the right half and is handed nothing. A receiver does not know how much comes,
 *             so a message of the count goes before that of the records.
 *             Messages here have no tags and are received from a rank that is named, so a rank cannot wait for whoever
 *             speaks, as NBX (Hoefler, Siebert, Lumsdaine 2010) does; here all messages are known beforehand, at the
 *             price that a record travels log2(ranks) times.
 * Invariants: in each half all records of one sender that are for this half are held by one rank, for where a record
 *             goes depends on who holds it and on the half it is for. So lists that are each in order of `from` have
 *             no sender in common, and are merged: order is never lost, and no sort is needed at the end. */
#include "core/comm/route.h"

#include <string.h>

#include "core/base/alloc.h"

_Static_assert(sizeof(rpi_route_record) == 40, "a record has no padding");

bool rpi_route_add(rpi_route_list *list, int32_t to, const int64_t word[4]) {
  if (list->n == INT32_MAX ||
      !rpi_alloc_grow((void **)&list->records, &list->cap, list->n + 1, sizeof *list->records))
    return false;
  rpi_route_record *r = &list->records[list->n++];
  r->to = to;
  memcpy(r->word, word, sizeof r->word);
  return true;
}

/* ---- one round ---- */

/* Ranks begin..end-1, of whom the left half ends before `middle`. */
typedef struct halves {
  int32_t begin, middle, end;
} halves;

/* Whom a rank hands to, and who hand to it. */
typedef struct partners {
  int32_t target, source[2], n_sources;
} partners;

static partners partners_of(const halves *h, int32_t rank) {
  const int32_t left = h->middle - h->begin, right = h->end - h->middle;
  partners p = {0};
  if (rank >= h->middle) {
    p.target = rank - left;
    p.source[p.n_sources++] = p.target;
    if (left > right && rank == h->end - 1) p.source[p.n_sources++] = h->middle - 1;
  } else {
    p.target = rank + left;
    if (p.target < h->end)
      p.source[p.n_sources++] = p.target;
    else
      p.target = h->end - 1;
  }
  return p;
}

/* Moves what is for the other half from the list to `out`, in order on both sides; returns how many. */
static int32_t part(rpi_route_list *list, rpi_route_record *out, const halves *h, bool left) {
  int32_t kept = 0, n = 0;
  for (int32_t i = 0; i < list->n; i++) {
    const rpi_route_record *r = &list->records[i];
    rpi_assert(r->to >= h->begin && r->to < h->end);
    if ((r->to < h->middle) == left)
      list->records[kept++] = *r;
    else
      out[n++] = *r;
  }
  list->n = kept;
  return n;
}

/* Merges n records into the list, which has room. */
static void merge(rpi_route_list *list, const rpi_route_record *in, int32_t n) {
  rpi_route_record *to = list->records;
  int32_t mine = list->n - 1, theirs = n - 1;
  list->n += n;
  for (int32_t at = list->n - 1; theirs >= 0; at--) {
    rpi_assert(mine < 0 || to[mine].from != in[theirs].from);
    to[at] = mine >= 0 && to[mine].from > in[theirs].from ? to[mine--] : in[theirs--];
  }
}

static rpi_message message(rpi_route_record *r, int64_t n, int32_t peer, bool send) {
  return (rpi_message){.data = r, .bytes = n * (int64_t)sizeof *r, .peer = peer, .send = send};
}

static rp_status exchange(rpi_comm *c, rpi_message *m, int32_t n) {
  RPI_TRY(rpi_comm_start(c, m, n));
  return rpi_comm_finish(c, m, n);
}

/* How many records come from each source; none in a dry run. */
static rp_status exchange_counts(rpi_comm *c, const partners *p, int64_t n_out, int64_t *n_in) {
  rpi_message m[3];
  int32_t n = 0;
  n_in[0] = n_in[1] = 0;
  for (int32_t i = 0; i < p->n_sources; i++)
    m[n++] = (rpi_message){.data = &n_in[i], .bytes = sizeof *n_in, .peer = p->source[i]};
  m[n++] = (rpi_message){.data = &n_out, .bytes = sizeof n_out, .peer = p->target, .send = true};
  return exchange(c, m, n);
}

/* The scratch memory, what is in it kept, for n records. */
static rpi_route_record *scratch(rpi_comm *c, int64_t n) {
  return rpi_comm_scratch(c, n * (int64_t)sizeof(rpi_route_record));
}

static rp_status round_of(rpi_comm *c, rpi_route_list *list, const halves *h) {
  const int32_t rank = rpi_comm_rank(c);
  const partners p = partners_of(h, rank);
  rpi_route_record *out = scratch(c, list->n);
  if (!out) return RP_ERR_MEMORY;
  const int32_t n_out = part(list, out, h, rank < h->middle);
  int64_t n_in[2];
  RPI_TRY(exchange_counts(c, &p, n_out, n_in));
  const int64_t total = list->n + n_in[0] + n_in[1];
  if (total > INT32_MAX ||
      !rpi_alloc_grow((void **)&list->records, &list->cap, (int32_t)total, sizeof *list->records))
    return rpi_status_nomem("records of other ranks");
  out = scratch(c, n_out + n_in[0] + n_in[1]);
  if (!out) return RP_ERR_MEMORY;
  rpi_route_record *in[2] = {out + n_out, out + n_out + n_in[0]};
  rpi_message m[3];
  int32_t n = 0;
  for (int32_t i = 0; i < p.n_sources; i++)
    if (n_in[i]) m[n++] = message(in[i], n_in[i], p.source[i], false);
  if (n_out) m[n++] = message(out, n_out, p.target, true);
  RPI_TRY(exchange(c, m, n));
  for (int32_t i = 0; i < p.n_sources; i++) merge(list, in[i], (int32_t)n_in[i]);
  return RP_OK;
}

/* ---- all rounds ---- */

rp_status rpi_route_records(rpi_comm *c, rpi_route_list *list) {
  const int32_t rank = rpi_comm_rank(c);
  halves h = {.end = rpi_comm_size(c)};
  for (int32_t i = 0; i < list->n; i++) list->records[i].from = rank;
  while (h.end - h.begin > 1) {
    h.middle = h.end - (h.end - h.begin) / 2;
    RPI_TRY(round_of(c, list, &h));
    if (rank < h.middle)
      h.end = h.middle;
    else
      h.begin = h.middle;
  }
  return RP_OK;
}
