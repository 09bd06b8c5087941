/* SPDX-License-Identifier: Apache-2.0
 * core/comm/deal.c -- see deal.h.
 * How: the order by rank is a radix sort of 2048 buckets, so up to 2048 ranks take one pass, and none is made over
 *      records that are in order already. It is stable, so a sender's order is kept. */
#include "core/comm/deal.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/comm/route.h"
#include "core/comm/verdict.h"

enum { DIGIT = 11, BUCKETS = 1 << DIGIT };

/* Records in the order in which they are sent. */
typedef struct hand {
  const int32_t *to;
  const char *records;
  void *own_to, *own_records; /* to be freed */
  rpi_route_list list; /* of each rank that gets some: how many; then of each that sends some */
  rpi_message *message;
  int32_t n_messages;
} hand;

static rp_status check(const rpi_comm *c, const rpi_deal *d) {
  const int32_t ranks = rpi_comm_size(c);
  for (int64_t i = 0; i < d->n; i++)
    if (d->to[i] < 0 || d->to[i] >= ranks)
      return rpi_status_fail(RP_ERR_ARGUMENT, "to[%lld] is %d, not in 0..%d", (long long)i,
                             d->to[i], ranks - 1);
  return RP_OK;
}

/* ---- order ---- */

static bool in_order(const hand *h, int64_t n) {
  int64_t i = 1;
  while (i < n && h->to[i - 1] <= h->to[i]) i++;
  return i >= n;
}

/* One pass, by the digit at `shift`. */
static rp_status sort_digit(hand *h, const rpi_deal *d, int32_t shift) {
  int64_t at[BUCKETS + 1] = {0};
  int32_t *to = rpi_alloc(sizeof *to * (size_t)d->n);
  char *records = rpi_alloc((size_t)(d->n * d->bytes));
  if (!to || !records) {
    rpi_alloc_free(to);
    rpi_alloc_free(records);
    return rpi_status_nomem("records for other ranks");
  }
  for (int64_t i = 0; i < d->n; i++) at[(h->to[i] >> shift & (BUCKETS - 1)) + 1]++;
  for (int32_t k = 1; k <= BUCKETS; k++) at[k] += at[k - 1];
  for (int64_t i = 0; i < d->n; i++) {
    const int64_t k = at[h->to[i] >> shift & (BUCKETS - 1)]++;
    to[k] = h->to[i];
    memcpy(records + k * d->bytes, h->records + i * d->bytes, (size_t)d->bytes);
  }
  rpi_alloc_free(h->own_to);
  rpi_alloc_free(h->own_records);
  h->to = h->own_to = to;
  h->records = h->own_records = records;
  return RP_OK;
}

static rp_status sort(hand *h, const rpi_deal *d, int32_t ranks) {
  if (in_order(h, d->n)) return RP_OK;
  for (int32_t shift = 0; shift < 31 && (ranks - 1) >> shift > 0; shift += DIGIT)
    RPI_TRY(sort_digit(h, d, shift));
  return RP_OK;
}

/* A routed record for each run of equal ranks. */
static rp_status count(hand *h, const rpi_deal *d) {
  for (int64_t i = 0, next; i < d->n; i = next) {
    for (next = i + 1; next < d->n && h->to[next] == h->to[i];) next++;
    if (!rpi_route_add(&h->list, h->to[i], (int64_t[4]){i, next - i, 0, 0}))
      return rpi_status_nomem("records for other ranks");
  }
  return RP_OK;
}

/* ---- messages ---- */

static bool make_room(hand *h, int32_t n) {
  rpi_message *m = rpi_alloc_resize(h->message, sizeof *m * (size_t)(h->n_messages + n + 1));
  if (m) h->message = m;
  return m != NULL;
}

/* One message for each run that is another rank's. */
static rp_status prepare_sends(hand *h, const rpi_deal *d, int32_t rank) {
  if (!make_room(h, h->list.n)) return rpi_status_nomem("messages");
  for (int32_t i = 0; i < h->list.n; i++) {
    const rpi_route_record *r = &h->list.records[i];
    if (r->to == rank) continue;
    h->message[h->n_messages++] =
        (rpi_message){.data = (void *)(uintptr_t)(h->records + r->word[0] * d->bytes),
                      .bytes = r->word[1] * d->bytes,
                      .peer = r->to,
                      .send = true};
  }
  return RP_OK;
}

/* Room for all that comes; what was this rank's own is there. */
static rp_status prepare_receives(hand *h, rpi_deal *d, int32_t rank) {
  int64_t n = 0, bytes;
  for (int32_t i = 0; i < h->list.n; i++) n += h->list.records[i].word[1];
  char *out = __builtin_mul_overflow(n, d->bytes, &bytes) ? NULL : rpi_alloc((size_t)bytes);
  d->out = out;
  if (!out || !make_room(h, h->list.n)) return rpi_status_nomem("records of other ranks");
  for (int32_t i = 0; i < h->list.n; i++) {
    const rpi_route_record *r = &h->list.records[i];
    const int64_t size = r->word[1] * d->bytes;
    if (r->from == rank)
      memcpy(out, h->records + r->word[0] * d->bytes, (size_t)size);
    else
      h->message[h->n_messages++] = (rpi_message){.data = out, .bytes = size, .peer = r->from};
    out += size;
  }
  d->n_out = n;
  return RP_OK;
}

static rp_status deal(rpi_comm *c, rp_status mine, rpi_deal *d, hand *h, bool *heard) {
  const int32_t rank = rpi_comm_rank(c);
  rpi_verdict v = {0};
  if (mine == RP_OK) mine = check(c, d);
  if (mine == RP_OK) mine = sort(h, d, rpi_comm_size(c));
  if (mine == RP_OK) mine = count(h, d);
  if (mine == RP_OK) mine = prepare_sends(h, d, rank);
  RPI_TRY(rpi_verdict_reach(c, mine, &v, heard));
  *heard = false;
  RPI_TRY(rpi_route_records(c, &h->list));
  mine = prepare_receives(h, d, rank);
  RPI_TRY(rpi_verdict_reach(c, mine, &v, heard));
  if (!c) return RP_OK;
  *heard = false;
  RPI_TRY(rpi_comm_start(c, h->message, h->n_messages));
  RPI_TRY(rpi_comm_finish(c, h->message, h->n_messages));
  *heard = true;
  return RP_OK;
}

rp_status rpi_deal_records(rpi_comm *c, rp_status mine, rpi_deal *d, bool *heard) {
  hand h = {.to = d->to, .records = d->records, .own_records = d->records};
  d->records = NULL;
  d->n_out = 0;
  d->out = NULL;
  const rp_status st = deal(c, mine, d, &h, heard);
  if (st != RP_OK) {
    rpi_alloc_free(d->out);
    d->out = NULL;
    d->n_out = 0;
  }
  rpi_alloc_free(h.own_to);
  rpi_alloc_free(h.own_records);
  rpi_alloc_free(h.list.records);
  rpi_alloc_free(h.message);
  return st;
}
